"""Receives webhooks: `PORT=9000 SECRET=whsec_… INBOX=inbox python3 receive.py`.

A delivery is verified, put aside and answered; what it asks for is done later, by whoever works off
INBOX. verify.py is the Python block of ../../verify.md.
"""
import os
import tempfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from verify import verify_standard

SECRET = os.environ["SECRET"]
INBOX = Path(os.environ.get("INBOX", "inbox"))
BODY_BYTES_MAX = 2 * 1024 * 1024


def put_aside(message_id, body):
    """A file named for the delivery's id: one that comes again finds it there."""
    file = INBOX / f"{message_id}.json"
    if file.exists():
        return
    with tempfile.NamedTemporaryFile(dir=INBOX, delete=False) as draft:
        draft.write(body)
        draft.flush()
        os.fsync(draft.fileno())
    os.replace(draft.name, file)


class Receiver(BaseHTTPRequestHandler):
    timeout = 30

    def do_POST(self):
        length = int(self.headers.get("Content-Length") or 0)
        if length > BODY_BYTES_MAX:
            return self.answer(413)
        body = self.rfile.read(length)
        if not verify_standard(SECRET, self.headers, body):
            return self.answer(401)
        put_aside(self.headers["webhook-id"], body)
        self.answer(204)

    def answer(self, status):
        self.send_response(status)
        self.end_headers()


INBOX.mkdir(exist_ok=True)
ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Receiver).serve_forever()
