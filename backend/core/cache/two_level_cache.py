"""The cache of a process with a Redis behind it: what was just used is at hand, what others made is found."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from loguru import logger
from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.exceptions import RedisError

from backend.core.cache.base import NAMESPACE, Entry
from backend.core.cache.memory_cache import MemoryStore
from backend.core.cache.redis_cache import RedisStore
from backend.core.redis_guard import Away, RedisGuard
from backend.util.id_generator import new_id

T = TypeVar("T")
CHANNEL = f"{NAMESPACE}gone"
NEAR_SECONDS = 30.0
"""How long something is at hand without looking at Redis: what a lost message can cost."""
PREFIX_SECONDS = 10.0
"""For removing all that begins alike, which looks through all keys."""
OWED = 1000
"""Deletions that are remembered while Redis is away; beyond them, all is deleted when it is back."""
_IDLE_SECONDS = 10.0
_AGAIN_SECONDS = 1.0


class TwoLevelStore:
    """The process' store before Redis; each change is told to the other processes, which let go of theirs.

    When Redis does not answer, this is the process' store alone, and what was deleted meanwhile is deleted there before
    anything is read from it again. Whoever lost the connection on which changes are told lets go of all it has at hand.
    """

    def __init__(
        self,
        near: MemoryStore,
        far: RedisStore,
        client: Redis,
        *,
        near_seconds: float = NEAR_SECONDS,
        clock: Callable[[], float] = time.time,
        guard: RedisGuard | None = None,
    ) -> None:
        self._near = near
        self._far = far
        self._client = client
        self._near_seconds = near_seconds
        self._clock = clock
        self._guard = guard or RedisGuard("each process keeps a cache of its own")
        self._me = new_id().hex
        self._told: Callable[[str], None] | None = None
        self._changes = 0
        """Counts changes: what was read in Redis before one is not taken to hand after it."""
        self._owed: dict[str, bool] = {}
        """Keys (False) and prefixes (True) to be deleted in Redis when it is back."""
        self._settling = asyncio.Lock()
        self._listener: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Begin to hear of what other processes change; returns when that is so, or Redis does not answer."""
        hears = asyncio.Event()
        self._listener = asyncio.create_task(self._listen(hears), name="cache-listener")
        try:
            async with asyncio.timeout(_AGAIN_SECONDS):
                await hears.wait()
        except TimeoutError:
            logger.warning("Redis does not answer: the cache does not hear of what other processes change")

    async def close(self) -> None:
        if self._listener is not None:
            self._listener.cancel()
            await asyncio.gather(self._listener, return_exceptions=True)
            self._listener = None
        self._near.clear()

    async def get(self, key: str) -> Entry | None:
        entry = await self._near.get(key)
        if entry is not None:
            return entry
        changes = self._changes
        try:
            entry = await self._ask(lambda: self._far.get(key))
        except Away:
            return None
        if entry is not None and changes == self._changes:
            await self._near.set(key, self._soon(entry))
        return entry

    async def set(self, key: str, entry: Entry) -> None:
        self._changes += 1
        await self._near.set(key, self._soon(entry))

        async def both() -> None:
            await self._far.set(key, entry)
            await self._tell("key", key)

        try:
            await self._ask(both)
        except Away:
            self._owe(key, is_prefix=False)
        finally:
            self._changes += 1

    async def delete(self, key: str) -> bool:
        here = await self._near.delete(key)

        async def both() -> bool:
            there = await self._far.delete(key)
            await self._tell("deleted", key)
            return there

        try:
            return await self._ask(both) or here
        except Away:
            self._owe(key, is_prefix=False)
            return here
        finally:  # what was read there a moment before it was deleted
            self._changes += 1
            await self._near.delete(key)

    async def delete_prefix(self, prefix: str) -> int:
        here = await self._near.delete_prefix(prefix)

        async def both() -> int:
            there = await self._far.delete_prefix(prefix)
            await self._tell("prefix", prefix)
            return there

        try:
            return max(await self._ask(both, PREFIX_SECONDS), here)
        except Away:
            self._owe(prefix, is_prefix=True)
            return here
        finally:
            self._changes += 1
            await self._near.delete_prefix(prefix)

    def listen(self, told: Callable[[str], None]) -> None:
        self._told = told

    def figures(self) -> dict[str, int]:
        return self._near.figures()

    def _soon(self, entry: Entry) -> Entry:
        return Entry(entry.payload, min(entry.expires, self._clock() + self._near_seconds))

    async def _ask(self, question: Callable[[], Awaitable[T]], seconds: float | None = None) -> T:
        if self._owed:
            async with self._settling:
                await self._settle()
        return await self._guard.ask(question, seconds=seconds)

    # What Redis has not heard of.

    def _owe(self, key: str, *, is_prefix: bool) -> None:
        if len(self._owed) >= OWED:
            self._owed = {NAMESPACE: True}
        if NAMESPACE not in self._owed:
            self._owed[key] = self._owed.get(key, False) or is_prefix

    async def _settle(self) -> None:
        while self._owed:
            key, is_prefix = next(iter(self._owed.items()))

            async def delete(key: str = key, is_prefix: bool = is_prefix) -> None:
                if is_prefix:
                    await self._far.delete_prefix(key)
                else:
                    await self._far.delete(key)
                await self._tell("prefix" if is_prefix else "deleted", key)

            await self._guard.ask(delete, seconds=PREFIX_SECONDS if is_prefix else None)
            self._owed.pop(key, None)

    # What others change.

    async def _tell(self, what: str, key: str) -> None:
        await self._client.publish(CHANNEL, f"{self._me} {what} {key}")

    async def _listen(self, hears: asyncio.Event) -> None:
        while True:
            try:
                async with self._client.pubsub() as subscription:
                    await subscription.subscribe(CHANNEL)
                    await self._hear(subscription, hears)
            except (RedisError, OSError) as error:
                self._let_go()
                logger.debug("the cache's listener lost Redis ({reason})", reason=type(error).__name__)
            except Exception:  # noqa: BLE001 - a task of ours: without it, others' changes would be missed for good
                self._let_go()
                logger.exception("the cache's listener failed")
            await asyncio.sleep(_AGAIN_SECONDS)

    async def _hear(self, subscription: PubSub, hears: asyncio.Event) -> None:
        silent = 0
        while silent < 2:  # a connection can die without a word
            message = await subscription.get_message(timeout=_IDLE_SECONDS)
            if message is None:
                silent += 1
                await subscription.ping()
                continue
            silent = 0
            if message["type"] == "subscribe":  # also after a reconnection that the client made by itself
                self._let_go()
                hears.set()
            elif message["type"] == "message":
                await self._take(message["data"])

    async def _take(self, data: bytes) -> None:
        sender, _, rest = data.decode("utf-8", "replace").partition(" ")
        what, _, key = rest.partition(" ")
        if sender == self._me or not key.startswith(NAMESPACE):
            return
        self._changes += 1
        if what == "prefix":
            await self._near.delete_prefix(key)
        else:
            await self._near.delete(key)
        if what != "key" and self._told is not None:
            self._told(key)

    def _let_go(self) -> None:
        self._changes += 1
        self._near.clear()
