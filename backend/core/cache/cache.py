"""The cache as the rest of the server sees it: values under kinds and keys, a tenant's own."""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import orjson
from loguru import logger

from backend.core.cache.base import MISS, NAMESPACE, CacheStore, Entry, Hit, Key, Miss
from backend.util.key_part import key_part

DEFAULT = "default"
"""The kind whose seconds hold for all that have none of their own."""
DEFAULT_TTL: Mapping[str, float] = {DEFAULT: 300, "verdict": 300, "refusal": 30}
"""What a support platform said of an agent's key: that it is good, that it is not (`service/platform_door.py`)."""
_JSON, _BYTES = b"j", b"b"


class Caches:
    """The caches of all tenants, over one store."""

    def __init__(
        self,
        store: CacheStore,
        ttl: Mapping[str, float] | None = None,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`ttl` has the seconds of kinds, over `DEFAULT_TTL`; a kind with 0 is not kept."""
        self._store = store
        self._ttl = {**DEFAULT_TTL, **(ttl or {})}
        self._clock = clock
        self._flights: dict[str, _Flight] = {}
        self._hits = self._misses = 0
        store.listen(self._outdate)

    def of(self, tenant_id: str) -> "Cache":
        """Return a tenant's cache; it is cheap, and any number of them are the same cache.

        Raises:
            ValueError: there is no tenant, which is a mistake of ours.
        """
        if not tenant_id:
            raise ValueError("A cache needs a tenant.")
        return Cache(self, tenant_id)

    async def open(self) -> None:
        await self._store.open()

    async def close(self) -> None:
        await self._store.close()

    async def purge(self, tenant_id: str) -> int:
        """Forget all values of a tenant; return how many there were."""
        prefix = self.of(tenant_id)._prefix
        self._outdate(prefix)
        return await self._store.delete_prefix(prefix)

    def figures(self) -> dict[str, int]:
        """Return `entries` and `bytes` in this process, `hits` and `misses` since its start, and what is being made."""
        return {
            **self._store.figures(),
            "hits": self._hits,
            "misses": self._misses,
            "in_flight": len(self._flights),
        }

    async def _find(self, key: str) -> bytes | None:
        entry = await self._store.get(key)
        if entry is None:
            self._misses += 1
            return None
        self._hits += 1
        return entry.payload

    async def _keep(self, key: str, payload: bytes, seconds: float) -> None:
        if seconds > 0:
            await self._store.set(key, Entry(payload, self._clock() + seconds))
        else:
            await self._store.delete(key)

    def _seconds(self, kind: str, ttl: float | None) -> float:
        seconds = self._ttl.get(kind, self._ttl[DEFAULT]) if ttl is None else ttl
        if not 0 <= seconds < math.inf:
            raise ValueError(f"A value is kept for some seconds, or 0 for not at all, and not for {seconds}.")
        return seconds

    def _outdate(self, prefix: str) -> None:
        """Let what is being made under a prefix be made anew for whoever asks from now on, and not be kept."""
        for key in [key for key in self._flights if key.startswith(prefix)]:
            del self._flights[key]

    async def _fly(self, key: str, make: Callable[[], Awaitable[Any]], seconds: float) -> bytes:
        flight = self._flights.get(key)
        if flight is None:
            flight = self._flights[key] = _Flight()
            flight.task = asyncio.create_task(self._make(key, flight, make, seconds))
            flight.task.add_done_callback(_look)
        flight.waiting += 1
        try:
            return await asyncio.shield(flight.task)
        finally:
            flight.waiting -= 1
            if not flight.waiting and not flight.task.done():  # nobody is left who wants it
                flight.task.cancel()
                self._forget(key, flight)

    async def _make(self, key: str, flight: "_Flight", make: Callable[[], Awaitable[Any]], seconds: float) -> bytes:
        try:
            entry = await self._store.get(key)  # whoever was in flight a moment ago may have left it
            if entry is not None and _load(key, entry.payload):
                return entry.payload
            payload = _dump(await make())
            if self._is_current(key, flight):
                await self._keep(key, payload, seconds)
                if not self._is_current(key, flight):  # outdated while it was on its way
                    await self._store.delete(key)
            return payload
        finally:
            self._forget(key, flight)

    def _is_current(self, key: str, flight: "_Flight") -> bool:
        return self._flights.get(key) is flight

    def _forget(self, key: str, flight: "_Flight") -> None:
        if self._is_current(key, flight):
            del self._flights[key]


class Cache:
    """One tenant's cache.

    A value is JSON (None, booleans, numbers, texts, lists, and objects with texts as keys) or bytes; anything else,
    a moment or a tuple too, is a TypeError and not silently something else when it comes back. Each `get` gives a
    value of its own.
    """

    def __init__(self, caches: Caches, tenant_id: str) -> None:
        """Of `Caches.of`."""
        self._caches = caches
        self._prefix = f"{NAMESPACE}{key_part(tenant_id)}:"

    async def get(self, kind: str, key: Key) -> Hit | Miss:
        """Return what is kept: a `Hit` (its value may be None), or `MISS`, which is false."""
        full = self._key(kind, key)
        payload = await self._caches._find(full)
        return MISS if payload is None else _load(full, payload)

    async def set(self, kind: str, key: Key, value: Any, ttl: float | None = None) -> None:
        """Keep a value for `ttl` seconds, without it for those of its kind; 0 keeps nothing, also not what was there.

        Raises:
            TypeError: it is neither JSON nor bytes.
            ValueError: `ttl` is negative or without end.
        """
        seconds = self._caches._seconds(kind, ttl)
        await self._caches._keep(self._key(kind, key), _dump(value), seconds)

    async def delete(self, kind: str, key: Key) -> bool:
        """Forget a value; return whether there was one. One that is just being made is not kept."""
        full = self._key(kind, key)
        self._caches._outdate(full)
        return await self._caches._store.delete(full)

    async def delete_matching(self, kind: str, prefix: Sequence[str] = ()) -> int:
        """Forget the values of a kind whose keys begin with these parts, whole ones; return how many there were."""
        full = self._key(kind, prefix)
        self._caches._outdate(full)
        return await self._caches._store.delete_prefix(full)

    async def get_or_make(
        self, kind: str, key: Key, make: Callable[[], Awaitable[Any]], ttl: float | None = None
    ) -> Any:
        """Return what is kept, or what `make` returns, which is then kept as `set` does.

        However many ask at once in this process, `make` is called once. What it raises is raised by each of them and
        kept by none. One of them who is cancelled leaves the others their value; with the last, `make` is cancelled.
        """
        full = self._key(kind, key)
        seconds = self._caches._seconds(kind, ttl)
        payload = await self._caches._find(full)
        found = MISS if payload is None else _load(full, payload)
        if isinstance(found, Hit):
            return found.value
        made = _load(full, await self._caches._fly(full, make, seconds))
        assert isinstance(made, Hit)  # it was dumped, or looked at, a moment ago
        return made.value

    def _key(self, kind: str, key: Key) -> str:
        parts = (key,) if isinstance(key, str) else key
        return f"{self._prefix}{key_part(kind)}:{''.join([f'{key_part(part)}:' for part in parts])}"


class _Flight:
    """A value that is being made."""

    __slots__ = ("task", "waiting")

    task: "asyncio.Task[bytes]"

    def __init__(self) -> None:
        self.waiting = 0


def _look(task: "asyncio.Task[bytes]") -> None:
    """Look at how a flight ended, for those who left before it did."""
    if not task.cancelled():
        task.exception()


def _dump(value: Any) -> bytes:
    if isinstance(value, bytes):
        return _BYTES + value
    _refuse_else(value)
    return _JSON + orjson.dumps(value)


def _refuse_else(value: Any) -> None:
    """Refuse what orjson would take and give back as something else (moments, UUIDs, tuples, enumerations, NaN)."""
    kind = type(value)
    if kind is list:
        for one in value:
            _refuse_else(one)
    elif kind is dict:
        for key, one in value.items():
            if type(key) is not str:
                raise TypeError(f"A cached object has texts as keys, and not {type(key).__name__}.")
            _refuse_else(one)
    elif kind is float:
        if not math.isfinite(value):
            raise TypeError(f"{value} is not JSON.")
    elif value is not None and kind not in {bool, int, str}:
        raise TypeError(f"A cached value is JSON or bytes, and not {kind.__name__}.")


def _load(key: str, payload: bytes) -> Hit | Miss:
    head, rest = payload[:1], payload[1:]
    if head == _BYTES:
        return Hit(rest)
    try:
        if head == _JSON:
            return Hit(orjson.loads(rest))
    except orjson.JSONDecodeError:
        pass
    logger.warning("the cache holds what is not ours under {key}", key=key[:80])
    return MISS
