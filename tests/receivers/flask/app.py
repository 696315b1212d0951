"""Receives webhooks with Flask.

From the environment: PORT, SECRET, and PROFILE, which decides how a delivery is verified and what its
body looks like.
"""
import hashlib
import hmac
import json
import os
import re
import sys

from flask import Flask, request
from standardwebhooks import Webhook, WebhookVerificationError
from werkzeug.serving import make_server

PORT = int(os.environ.get("PORT", "0"))
SECRET = os.environ.get("SECRET", "")
PROFILE = os.environ.get("PROFILE", "")
PROFILES = ["standard", "entri", "penr", "content-engine", "auto-blogger", "entro"]
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", re.ASCII)

if not PORT or not SECRET or PROFILE not in PROFILES:
    sys.exit("set PORT, SECRET and PROFILE")

app = Flask(__name__)
app.config["MAX_CONTENT_LENGTH"] = 2 * 1024 * 1024


def equal(received, expected):
    return hmac.compare_digest(received.encode(), expected.encode())


def verify_standard(body):
    try:
        Webhook(SECRET).verify(body, request.headers, json_parse=False)
    except (WebhookVerificationError, ValueError):
        # ValueError: a signature without a comma or that is no base64, a body that is no text.
        return False
    return True


def verify(body):
    signature = request.headers.get("X-Webhook-Signature", "")
    digest = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    if PROFILE == "standard":
        return verify_standard(body)
    if PROFILE in ("entri", "penr"):
        return equal(signature, digest)
    if PROFILE in ("content-engine", "auto-blogger"):
        return equal(signature, "sha256=" + digest)
    return equal(request.headers.get("Authorization", ""), "Bearer " + SECRET)


def is_envelope(content, name):
    return (
        isinstance(content, dict)
        and list(content) == [name, "timestamp", "data"]
        and isinstance(content[name], str)
        and TIME.fullmatch(str(content["timestamp"])) is not None
    )


def is_well_formed(content):
    """Does it look as the profile says?"""
    if PROFILE == "entro":
        return True
    if PROFILE == "standard":
        return is_envelope(content, "type")
    if PROFILE in ("content-engine", "auto-blogger") and not request.headers.get("Idempotency-Key"):
        return False
    if PROFILE == "auto-blogger":
        return isinstance(content, dict) and isinstance(content.get("event"), str)
    return is_envelope(content, "event") and request.headers.get("X-Webhook-Event") == content["event"]


@app.route("/", defaults={"path": ""}, methods=["POST", "PUT", "PATCH"])
@app.route("/<path:path>", methods=["POST", "PUT", "PATCH"])
def receive(path):
    body = request.get_data()
    if not verify(body):
        return {"error": "not verified"}, 401
    try:
        content = json.loads(body)
    except ValueError:
        return {"error": "the body is not JSON"}, 400
    if not is_well_formed(content):
        return {"error": f"not a delivery of {PROFILE}"}, 400
    return {"received": True}


if __name__ == "__main__":
    server = make_server("127.0.0.1", PORT, app, threaded=True)
    print("listening", flush=True)
    server.serve_forever()
