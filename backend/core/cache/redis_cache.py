"""The cache in Redis or Valkey."""

import time
from collections.abc import Callable

from redis.asyncio import Redis

from backend.core.cache.base import Entry

_BATCH = 500
"""Keys that are looked through, and removed, at once: Redis serves others between two batches."""
_HEAD = 8


class RedisStore:
    """Expects Redis to answer: what the client raises goes on to the caller, which is `TwoLevelStore`.

    A value carries its end, in milliseconds of the epoch, so that whoever takes it over knows it too.
    """

    def __init__(
        self, client: Redis, *, largest: int = 8 * 1024 * 1024, clock: Callable[[], float] = time.time
    ) -> None:
        """Keep values of at most `largest` bytes."""
        self._client = client
        self._largest = largest
        self._clock = clock

    async def open(self) -> None:
        """The connection is opened by who owns it."""

    async def close(self) -> None:
        """The connection is closed by who owns it."""

    async def get(self, key: str) -> Entry | None:
        found = await self._client.get(key)
        return None if found is None else self._entry(found)

    async def set(self, key: str, entry: Entry) -> None:
        left = round((entry.expires - self._clock()) * 1000)
        if left <= 0 or len(entry.payload) > self._largest:
            await self._client.unlink(key)
            return
        ends = round(entry.expires * 1000).to_bytes(_HEAD, signed=True)
        await self._client.set(key, ends + entry.payload, px=left)

    async def delete(self, key: str) -> bool:
        found = await self._client.getdel(key)
        return found is not None and self._entry(found) is not None

    async def delete_prefix(self, prefix: str) -> int:
        """Forget what begins so, a batch at a time. `prefix` has no sign that patterns give a meaning."""
        count = 0
        batch: list[bytes] = []
        async for key in self._client.scan_iter(match=f"{prefix}*", count=_BATCH):
            batch.append(key)
            if len(batch) >= _BATCH:
                count += await self._client.unlink(*batch)
                batch.clear()
        if batch:
            count += await self._client.unlink(*batch)
        return count

    def listen(self, told: Callable[[str], None]) -> None:
        """Redis tells nothing by itself; `TwoLevelStore` does."""

    def figures(self) -> dict[str, int]:
        return {"entries": 0, "bytes": 0}

    def _entry(self, found: bytes | str) -> Entry | None:
        if isinstance(found, str) or len(found) <= _HEAD:  # not ours
            return None
        expires = int.from_bytes(found[:_HEAD], signed=True) / 1000
        return Entry(found[_HEAD:], expires) if expires > self._clock() else None
