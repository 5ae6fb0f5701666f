"""The keys that the server's secrets are encrypted with, as people write them down."""

import base64
import binascii

KEY_BYTES = 32


def secret_key(text: str) -> bytes:
    """Return the 32 bytes that base64 (either alphabet, padded or not) stands for.

    Raises:
        ValueError: it is something else; the message does not repeat it.
    """
    plain = text.strip().rstrip("=").replace("-", "+").replace("_", "/")
    try:
        key = base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != KEY_BYTES:
        raise ValueError(f"A secret key is base64 of {KEY_BYTES} bytes; `openssl rand -base64 {KEY_BYTES}` makes one.")
    return key
