"""`check.py VECTORS`: what verify.py, from docs/verify.md, says to each vector, a line each."""
import json
import sys

from verify import verify_hex, verify_sha256, verify_standard


def verdict(vector):
    scheme, secret, signature = vector["scheme"], vector["secret"], vector["signature"]
    body = vector["body"].encode()
    if scheme == "standard":
        headers = {
            "webhook-id": vector["id"],
            "webhook-timestamp": vector["timestamp"],
            "webhook-signature": signature,
        }
        return verify_standard(secret, headers, body, vector["now"])
    return {"hex": verify_hex, "sha256": verify_sha256}[scheme](secret, signature, body)


with open(sys.argv[1], encoding="utf-8") as vectors:
    for each in json.load(vectors):
        print({True: "true", False: "false"}[verdict(each)])
