"""The cache in the process."""

import time
from collections import OrderedDict
from collections.abc import Callable

from backend.core.cache.base import NAMESPACE, Entry

_OVERHEAD = 200
"""Bytes that an entry takes beside its key and its payload, about."""


class MemoryStore:
    """For each tenant, what was used last (LRU), so that none pushes out what is another's.

    When all of them together hold too much, the tenant that was not heard of for longest loses first.
    """

    def __init__(
        self,
        *,
        entries: int = 2048,
        tenant_bytes: int = 8 * 1024 * 1024,
        total_bytes: int = 64 * 1024 * 1024,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Keep at most `entries` and `tenant_bytes` for a tenant, and `total_bytes` in all."""
        self._entries = entries
        self._tenant_bytes = tenant_bytes
        self._total_bytes = total_bytes
        self._clock = clock
        self._tenants: OrderedDict[str, _Part] = OrderedDict()
        self._bytes = 0

    async def open(self) -> None:
        """There is nothing to open."""

    async def close(self) -> None:
        self.clear()

    async def get(self, key: str) -> Entry | None:
        part = self._part(key)
        entry = None if part is None else part.entries.get(key)
        if part is None or entry is None:
            return None
        if entry.expires <= self._clock():
            self._drop(part, key)
            return None
        part.entries.move_to_end(key)
        self._tenants.move_to_end(part.tenant)
        return entry

    async def set(self, key: str, entry: Entry) -> None:
        tenant = _tenant(key)
        part = self._tenants.get(tenant)
        if part is None:
            part = self._tenants[tenant] = _Part(tenant)
        self._drop(part, key)
        size = _size(key, entry)
        if entry.expires <= self._clock() or size > min(self._tenant_bytes, self._total_bytes):
            self._forget_empty(part)
            return
        part.entries[key] = entry
        part.bytes += size
        self._bytes += size
        self._tenants.move_to_end(tenant)
        while len(part.entries) > self._entries or part.bytes > self._tenant_bytes:
            self._drop(part, next(iter(part.entries)))
        while self._bytes > self._total_bytes:
            oldest = next(iter(self._tenants.values()))
            self._drop(oldest, next(iter(oldest.entries)))
            self._forget_empty(oldest)

    async def delete(self, key: str) -> bool:
        part = self._part(key)
        entry = None if part is None else part.entries.get(key)
        if part is None or entry is None:
            return False
        self._drop(part, key)
        self._forget_empty(part)
        return entry.expires > self._clock()

    async def delete_prefix(self, prefix: str) -> int:
        now = self._clock()
        count = 0
        one = self._part(prefix) if prefix.count(":") > NAMESPACE.count(":") else None
        for part in list(self._tenants.values()) if one is None else [one]:
            for key in [key for key in part.entries if key.startswith(prefix)]:
                count += part.entries[key].expires > now
                self._drop(part, key)
            self._forget_empty(part)
        return count

    def listen(self, told: Callable[[str], None]) -> None:
        """Nobody else deletes here."""

    def clear(self) -> None:
        """Forget everything."""
        self._tenants.clear()
        self._bytes = 0

    def figures(self) -> dict[str, int]:
        return {"entries": sum(len(part.entries) for part in self._tenants.values()), "bytes": self._bytes}

    def _part(self, key: str) -> "_Part | None":
        return self._tenants.get(_tenant(key))

    def _drop(self, part: "_Part", key: str) -> None:
        entry = part.entries.pop(key, None)
        if entry is not None:
            size = _size(key, entry)
            part.bytes -= size
            self._bytes -= size

    def _forget_empty(self, part: "_Part") -> None:
        if not part.entries:
            self._tenants.pop(part.tenant, None)


class _Part:
    """What is one tenant's, the last used at the end."""

    __slots__ = ("bytes", "entries", "tenant")

    def __init__(self, tenant: str) -> None:
        self.tenant = tenant
        self.entries: OrderedDict[str, Entry] = OrderedDict()
        self.bytes = 0


def _tenant(key: str) -> str:
    return key[len(NAMESPACE) :].partition(":")[0]


def _size(key: str, entry: Entry) -> int:
    return len(key) + len(entry.payload) + _OVERHEAD
