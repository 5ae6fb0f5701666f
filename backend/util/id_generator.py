"""Ids: UUIDv7, so that ids sort by the time they were made (RFC 9562 §5.7)."""

import secrets
import threading
import time
import uuid
from functools import lru_cache


class _Generator:
    """The last id of this process, the lock around it, and randomness fetched ahead: a system call an id costs most."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last = 0
        self._ahead = b""
        self._at = 0

    def next(self) -> int:
        """Return 48 bits of milliseconds and 74 random bits: as a number, greater than any before."""
        with self._lock:
            if self._at == len(self._ahead):
                self._ahead, self._at = secrets.token_bytes(2560), 0
            random = int.from_bytes(self._ahead[self._at : self._at + 10])
            self._at += 10
            now = (time.time_ns() // 1_000_000) << 74 | random & (1 << 74) - 1
            if now >> 74 <= self._last >> 74:
                now = self._last + 1 + (random >> 48)
            self._last = now
        return now


_generator = _Generator()


def new_id() -> uuid.UUID:
    """Return a UUIDv7: 48 bits of Unix milliseconds, then 74 random bits.

    Within a process each id is greater than the one before, also within a millisecond (RFC 9562 §6.2, method 2).
    """
    now = _generator.next()
    return uuid.UUID(int=(now >> 74) << 80 | 0x7 << 76 | (now >> 62 & 0xFFF) << 64 | 0b10 << 62 | now & (1 << 62) - 1)


_ASSISTANTS = uuid.UUID("6ba7b821-9dad-11d1-80b4-00c04fd430c8")


@lru_cache(1024)
def default_assistant_id(graph_id: str) -> uuid.UUID:
    """Return the id of a graph's default assistant: the same on every server (LangGraph Agent Server API)."""
    return uuid.uuid5(_ASSISTANTS, graph_id)
