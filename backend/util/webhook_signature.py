"""Signatures of webhooks, as of Standard Webhooks 1.0.0 (https://www.standardwebhooks.com)."""

import base64
import hashlib
import hmac

MIN_KEY_BYTES = 24


def signing_key(secret: str) -> bytes:
    """Return the key that a secret stands for: base64, with or without `whsec_` before it.

    Raises:
        ValueError: it is not base64, or the key is short.
    """
    try:
        key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except ValueError:
        raise ValueError("It must be base64, with or without 'whsec_' before it.") from None
    if len(key) < MIN_KEY_BYTES:
        raise ValueError(f"It must be base64 of {MIN_KEY_BYTES} bytes or more.")
    return key


def sign(key: bytes, message_id: str, timestamp: int, body: bytes) -> str:
    """Return the header `webhook-signature` of a message; `timestamp` is in Unix seconds."""
    signed = f"{message_id}.{timestamp}.".encode() + body
    return f"v1,{base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()}"
