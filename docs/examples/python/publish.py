"""Publishes an event: `python3 publish.py`. Nothing but the standard library."""
import json
import os
import random
import time
import urllib.error
import urllib.request

URL = os.environ.get("HOOKFLEET_URL", "http://127.0.0.1:8080")
TOKEN = os.environ.get("HOOKFLEET_TOKEN", "")
TENANT = os.environ.get("HOOKFLEET_TENANT", "default")
TRIES = 8
# Hookfleet is called directly, whatever proxy the environment names.
HTTP = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def publish(event_type, data, key):
    """Returns once the event is durable. `key` makes it one event, however often it is tried."""
    request = urllib.request.Request(
        f"{URL}/v1/tenants/{TENANT}/events",
        data=json.dumps({"type": event_type, "data": data}).encode(),
        headers={
            "Authorization": f"Bearer {TOKEN}",
            "Content-Type": "application/json",
            "Idempotency-Key": key,
        },
    )
    for attempt in range(TRIES):
        wait = random.uniform(0, min(30, 2**attempt))
        try:
            with HTTP.open(request, timeout=10) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            # What was refused once is refused again; what was too much, or fails there, is not.
            if error.code != 429 and error.code < 500:
                raise RuntimeError(f"refused: {error.read().decode()}") from error
            wait = max(wait, float(error.headers.get("Retry-After") or 0))
        except OSError:
            pass  # No answer: it may or may not be durable, and the same key finds out.
        time.sleep(wait)
    raise RuntimeError(f"not published after {TRIES} tries")


if __name__ == "__main__":
    print(json.dumps(publish("order.paid", {"order": 42}, "order-42-paid")))
