"""A lock with an owner and an end.

    async with lock.lock("refresh:freshdesk", ttl=30) as held:
        if held:
            ...

A lock of this kind is a lease: it ends by itself when its holder dies. So it can also end while its holder lives (a
stopped process, a clock, a lost network), and then two believe that they hold it. Two things are done about that:

- inside `lock()` a watchdog renews the lease at a third of its time and, when that fails, cancels the body;
- every acquisition has a `fence`, a number greater than all before it. What the lock protects should remember the
  greatest that it saw and refuse a smaller one (Kleppmann, "How to do distributed locking", 2016).

No lock protects a run: there the database decides (`attempt`).
"""

import asyncio
import random
import secrets
import time
from abc import ABC, abstractmethod
from collections.abc import Coroutine
from contextlib import suppress
from copy import copy
from types import TracebackType
from typing import Any, Self
from weakref import WeakKeyDictionary

from loguru import logger

from backend.core.error import Invalid, LockLost, Unavailable

NAME_LIMIT = 200
"""Characters of a lock's name."""
SHORTEST_TTL = 0.05
FIRST_RETRY = 0.01
LONGEST_RETRY = 0.25
"""Seconds between two tries to get a lock that is held; they grow, and each is drawn anew."""


class LeaseHandle:
    """One acquisition, or a failed try at one: true while it is held."""

    __slots__ = ("ends", "fence", "home", "key", "lost", "name", "token", "ttl")

    def __init__(self, name: str, key: str, token: str, fence: int, ttl: float, ends: float) -> None:
        self.name = name
        self.key = key
        """The name with its tenant, as the lock's server knows it."""
        self.token = token
        """Proves the ownership; no other acquisition has it."""
        self.fence = fence
        """Greater than that of every acquisition before; 0 when the lock was not got."""
        self.ttl = ttl
        self.ends = ends
        """When the lease ends unless it is renewed, by the clock `time.monotonic`; at the server it ends no earlier."""
        self.lost = asyncio.Event()
        """Set when the lease has ended against the holder's will."""
        self.home: dict[str, LeaseHandle] = {}
        """Where its task's handles are kept, by key."""

    def __bool__(self) -> bool:
        return self.fence > 0 and not self.lost.is_set() and time.monotonic() < self.ends


class DistributedLock(ABC):
    """Mutual exclusion by name.

    What every implementation promises:

    - At most one acquisition of a name at a time, until it is released or its `ttl` has passed.
    - Only the acquisition that got it can release or extend it. `release` and `extend` by name mean the acquisition of
      the running task; a handle may be given instead, from any task.
    - An `acquire` that is cancelled, at whatever moment, leaves nothing locked.
    - It is not reentrant, and waiters are not served in order.
    """

    def __init__(self, *, ttl: float = 30.0) -> None:
        self._ttl = ttl
        self._scope = "server"
        self._held: WeakKeyDictionary[asyncio.Task[Any], dict[str, LeaseHandle]] = WeakKeyDictionary()
        self._finishing: set[asyncio.Task[Any]] = set()

    def of(self, tenant_id: str) -> Self:
        """Return the same lock for the names of one tenant, which no other tenant's names can meet."""
        view = copy(self)
        view._scope = f"tenant:{tenant_id}"
        return view

    @abstractmethod
    async def _take(self, key: str, token: str, ttl: float) -> int:
        """Take the lock if it is free, or again if `token` holds it; return the fence, 0 when another holds it."""

    @abstractmethod
    async def _renew(self, key: str, token: str, seconds: float, *, add: bool) -> bool:
        """Let the lease end `seconds` from now, never earlier than it would, or with `add` that much later.

        Return False when `token` does not hold it.
        """

    @abstractmethod
    async def _free(self, key: str, token: str) -> bool:
        """Release the lock; return False when `token` does not hold it."""

    async def acquire(self, name: str, ttl: float | None = None, timeout: float = 0.0) -> LeaseHandle:
        """Try for up to `timeout` seconds, at least once, to get the lock for `ttl` seconds.

        The handle is false when it was not got. Nothing renews it: `extend` does, or use `lock()`.

        Raises:
            Invalid: the name is empty or too long, or the ttl too short.
            Unavailable: the lock's server does not answer.
        """
        ttl = self._ttl if ttl is None else ttl
        if not 0 < len(name) <= NAME_LIMIT:
            raise Invalid(f"A lock's name has 1 to {NAME_LIMIT} characters.")
        if ttl < SHORTEST_TTL:
            raise Invalid(f"A lock is held for at least {SHORTEST_TTL} seconds.")
        until = time.monotonic() + timeout
        delay = FIRST_RETRY
        while True:
            handle = await self._try(name, ttl)
            left = until - time.monotonic()
            if handle or left <= 0:
                break
            await asyncio.sleep(min(left, delay * random.uniform(0.5, 1.5)))  # drawn, so that waiters part
            delay = min(delay * 2, LONGEST_RETRY)
        if handle:
            handle.home = self._mine()
            handle.home[handle.key] = handle
        return handle

    async def release(self, name: str | LeaseHandle) -> bool:
        """Release the lock; return False when it is not held, or no longer."""
        handle = self._owned(name)
        if handle is None:
            return False
        self._forget(handle)
        return await self._to_the_end(self._free(handle.key, handle.token))

    async def extend(self, name: str | LeaseHandle, seconds: float) -> bool:
        """Let the lease end `seconds` later than it would; return False when it is not held, or no longer."""
        handle = self._owned(name)
        if handle is None:
            return False
        if not await self._renew(handle.key, handle.token, seconds, add=True):
            self._forget(handle)
            handle.lost.set()
            return False
        handle.ends += seconds
        return True

    def lock(self, name: str, ttl: float | None = None, timeout: float = 0.0) -> "_Held":
        """Return a context in which the lock is held, and renewed; `acquire` says what the arguments mean.

        It yields the handle, which is false when the lock was not got. When the lock is lost the body is cancelled,
        and the context raises `LockLost`.
        """
        return _Held(self, name, ttl, timeout)

    def _key(self, name: str) -> str:
        return f"daedap:lock:{self._scope}:{name}"

    async def _try(self, name: str, ttl: float) -> LeaseHandle:
        key, token = self._key(name), secrets.token_hex(16)
        ends = time.monotonic() + ttl  # counted from before the server counts
        taking = asyncio.ensure_future(self._take(key, token, ttl))
        try:
            fence = await asyncio.shield(taking)
        except BaseException:
            # Cancelled, or failed without an answer: whether it was taken is not known, so it is released by its token.
            self._keep(asyncio.ensure_future(self._undo(taking, key, token)))
            raise
        return LeaseHandle(name, key, token, fence, ttl, ends)

    async def _undo(self, taking: "asyncio.Future[int]", key: str, token: str) -> None:
        with suppress(Unavailable):
            await taking
        try:
            await self._free(key, token)
        except Unavailable as error:
            logger.warning("a lock may stay until its time is over: {reason}", reason=error.detail)

    def _mine(self) -> dict[str, LeaseHandle]:
        task = asyncio.current_task()
        assert task is not None  # a coroutine runs in one
        return self._held.setdefault(task, {})

    def _owned(self, name: str | LeaseHandle) -> LeaseHandle | None:
        if isinstance(name, LeaseHandle):
            return name if name.fence else None
        return self._mine().get(self._key(name))

    def _forget(self, handle: LeaseHandle) -> None:
        if handle.home.get(handle.key) is handle:
            del handle.home[handle.key]

    def _keep(self, task: "asyncio.Future[Any]") -> None:
        self._finishing.add(task)  # type: ignore[arg-type]  # the loop itself holds tasks but weakly
        task.add_done_callback(self._finishing.discard)

    async def _to_the_end[T](self, work: Coroutine[Any, Any, T]) -> T:
        """Run the work so that it ends even when its caller is cancelled meanwhile."""
        task = asyncio.ensure_future(work)
        self._keep(task)
        return await asyncio.shield(task)


class _Held:
    """The context of `DistributedLock.lock`; cancels its body as `asyncio.timeout` does."""

    def __init__(self, lock: DistributedLock, name: str, ttl: float | None, timeout: float) -> None:
        self._lock = lock
        self._name = name
        self._ttl = ttl
        self._timeout = timeout
        self._watchdog: asyncio.Task[None] | None = None
        self._cancelled = False

    async def __aenter__(self) -> LeaseHandle:
        self._handle = await self._lock.acquire(self._name, self._ttl, self._timeout)
        task = asyncio.current_task()
        assert task is not None
        self._body: asyncio.Task[Any] = task
        self._cancelling = task.cancelling()
        if self._handle:
            self._watchdog = asyncio.create_task(self._watch(), name=f"lock {self._name}")
        return self._handle

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._watchdog is None:
            return
        self._watchdog.cancel()
        lost = self._handle.lost.is_set()
        try:
            if lost:
                self._lock._forget(self._handle)
            else:
                await self._lock.release(self._handle)
        except Unavailable as failed:  # the body is done; its lock ends by itself
            logger.warning("the lock {name} stays until its time is over: {reason}", name=self._name, reason=failed)
        finally:
            if self._cancelled and self._body.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
                raise LockLost(self._name) from error
        if lost and kind is None:
            raise LockLost(self._name)

    async def _watch(self) -> None:
        handle = self._handle
        try:
            await self._renew_until_lost(handle)
        except Exception:  # noqa: BLE001  # our task ends here; what is not renewed is as good as lost
            logger.exception("the lock {name} can no longer be renewed", name=handle.name)
        logger.error("the lock {name} was lost; the work under it is cancelled", name=handle.name)
        handle.lost.set()
        self._cancelled = True
        self._body.cancel()

    async def _renew_until_lost(self, handle: LeaseHandle) -> None:
        pause = handle.ttl / 3
        while True:
            await asyncio.sleep(pause)
            asked = time.monotonic()
            try:
                async with asyncio.timeout(max(handle.ends - asked, 0.0)):
                    if not await self._lock._renew(handle.key, handle.token, handle.ttl, add=False):
                        return
            except (TimeoutError, Unavailable) as error:
                left = handle.ends - time.monotonic()
                if left <= 0:
                    return
                logger.warning("the lock {name} was not renewed: {reason}", name=handle.name, reason=error)
                pause = min(handle.ttl / 10, left)
            else:
                handle.ends = max(handle.ends, asked + handle.ttl)
                pause = handle.ttl / 3
