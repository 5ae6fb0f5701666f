"""Ids: UUIDv7, so that ids sort by the time they were made (RFC 9562 §5.7)."""

import secrets
import threading
import time
import uuid

_lock = threading.Lock()
_last = 0


def new_id() -> uuid.UUID:
    """Return a UUIDv7: 48 bits of Unix milliseconds, then 74 random bits.

    Within a process each id is greater than the one before, also within a millisecond (RFC 9562 §6.2, method 2).
    """
    global _last
    now = (time.time_ns() // 1_000_000) << 74 | secrets.randbits(74)
    with _lock:
        if now >> 74 <= _last >> 74:
            now = _last + 1 + secrets.randbits(32)
        _last = now
    return uuid.UUID(int=(now >> 74) << 80 | 0x7 << 76 | (now >> 62 & 0xFFF) << 64 | 0b10 << 62 | now & (1 << 62) - 1)
