"""The lock of a server that is one process."""

import time

from backend.core.lock.base import DistributedLock

_SWEEP_AT = 1024
"""Locks, from which on those that ended by themselves are looked for and dropped."""


class MemoryLock(DistributedLock):
    """A lock among the tasks of one event loop. Fences go on rising after a restart, by the clock."""

    def __init__(self, *, ttl: float = 30.0) -> None:
        super().__init__(ttl=ttl)
        self._locks = _Locks()

    async def _take(self, key: str, token: str, ttl: float) -> int:
        return self._locks.take(key, token, ttl)

    async def _renew(self, key: str, token: str, seconds: float, *, add: bool) -> bool:
        return self._locks.renew(key, token, seconds, add=add)

    async def _free(self, key: str, token: str) -> bool:
        return self._locks.free(key, token)


class _Locks:
    """Who holds what, until when by `time.monotonic`. Nothing here awaits, so each call is atomic."""

    def __init__(self) -> None:
        self._held: dict[str, tuple[str, float]] = {}
        self._fence = 0

    def take(self, key: str, token: str, ttl: float) -> int:
        now = time.monotonic()
        owner = self._owner(key, now)
        if owner not in {None, token}:
            return 0
        if len(self._held) >= _SWEEP_AT:
            self._held = {name: (holder, ends) for name, (holder, ends) in self._held.items() if ends > now}
        self._held[key] = (token, now + ttl)
        self._fence = max(self._fence + 1, time.time_ns() // 1000)
        return self._fence

    def renew(self, key: str, token: str, seconds: float, *, add: bool) -> bool:
        now = time.monotonic()
        if self._owner(key, now) != token:
            return False
        ends = self._held[key][1]
        self._held[key] = (token, ends + seconds if add else max(ends, now + seconds))
        return True

    def free(self, key: str, token: str) -> bool:
        if self._owner(key, time.monotonic()) != token:
            return False
        del self._held[key]
        return True

    def _owner(self, key: str, now: float) -> str | None:
        owner, ends = self._held.get(key, (None, 0.0))
        return owner if ends > now else None
