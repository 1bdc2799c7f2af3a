"""Checks the signature of a webhook of Spanlight: the body on standard input, the header and the secret as arguments."""

import hashlib
import hmac
import sys
import time


def is_from_spanlight(secret: str, header: str, body: bytes, tolerance: float = 300) -> bool:
    parts = dict(part.split("=", 1) for part in header.split(","))
    signed = parts["t"].encode() + b"." + body
    expected = hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
    is_recent = abs(time.time() - int(parts["t"])) <= tolerance
    return is_recent and hmac.compare_digest(expected, parts["v1"])


if __name__ == "__main__":
    print(is_from_spanlight(sys.argv[2], sys.argv[1], sys.stdin.buffer.read()))
