"""How fast an account may be asked: Freshdesk counts for the whole account, so all of ours share one limiter.

Every answer says how many credits a minute has and how many are left (`X-RateLimit-Total`, `X-RateLimit-Remaining`); a
request costs one, and more with embedded objects. Work in the background leaves a few for people. An answer 429 stops
everybody who asks this account for as long as it says (`Retry-After`).

Several processes share what they know through Redis; without it, or when it is away, a process goes by what it saw
itself.
"""

import asyncio
import math
import random
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Protocol
from uuid import uuid4

from loguru import logger

from backend.core.error import TooMany

if TYPE_CHECKING:
    from redis.asyncio import Redis

WINDOW_SECONDS = 60.0
"""After which Freshdesk's count begins anew. Older plans count by the hour: then one request a minute finds out."""
RESERVE_SHARE = 20
"""One in so many credits is left to people."""
LEASE_SECONDS = 120.0
"""After which a process that died no longer counts as asking; longer than any request."""
_BUSY = -1.0
_ACCOUNTS = 1000

Sleep = Callable[[float], Awaitable[object]]


class Allowance(Protocol):
    """What is known of one account."""

    async def take(self, holder: str, cost: int, *, urgent: bool) -> float:
        """Return 0 when a request may be made now, the seconds to wait, or `_BUSY` when too many are being made."""

    async def give_back(self, holder: str, total: int | None, remaining: int | None) -> None:
        """End a request, with what its answer said."""

    async def block(self, seconds: float) -> None:
        """Nobody may ask for so long."""


class LocalAllowance:
    """Of this process alone; how many requests are made at once is bounded by who uses it."""

    def __init__(self, concurrency: int, clock: Callable[[], float]) -> None:
        self._slack = concurrency * 7  # what answers that come out of order may differ by
        self._clock = clock
        self._total: int | None = None
        self._remaining: int | None = None
        self._last = 0
        self._began = 0.0
        self._blocked = 0.0

    async def take(self, holder: str, cost: int, *, urgent: bool) -> float:
        now = self._clock()
        if self._blocked > now:
            return self._blocked - now
        if self._remaining is not None and now >= self._began + WINDOW_SECONDS:
            self._remaining = None
        if self._remaining is not None and self._total is not None:
            reserve = 0 if urgent else max(1, self._total // RESERVE_SHARE)
            if self._remaining - cost < reserve:
                return self._began + WINDOW_SECONDS - now
            self._remaining -= cost
        return 0.0

    async def give_back(self, holder: str, total: int | None, remaining: int | None) -> None:
        if total is None or remaining is None:
            return
        if self._remaining is None or remaining - self._last > max(self._slack, total // 4):
            self._remaining, self._began = remaining, self._clock()
        else:  # what others are asking for is taken off already
            self._remaining = min(self._remaining, remaining)
        self._total, self._last = total, remaining

    async def block(self, seconds: float) -> None:
        self._blocked = max(self._blocked, self._clock() + seconds)
        self._remaining = None


_TAKE = """
local time = redis.call('time')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local known = redis.call('hmget', KEYS[1], 'blocked', 'total', 'remaining', 'began')
local blocked = tonumber(known[1] or '0')
if blocked > now then return blocked - now end
redis.call('zremrangebyscore', KEYS[2], '-inf', now)
if redis.call('zcard', KEYS[2]) >= tonumber(ARGV[3]) then return -1 end
local total, remaining, began = tonumber(known[2] or '0'), tonumber(known[3] or '-1'), tonumber(known[4] or '0')
if known[3] and now >= began + tonumber(ARGV[6]) then
  redis.call('hdel', KEYS[1], 'remaining')
elseif known[3] then
  local reserve = 0
  if ARGV[5] == '0' then reserve = math.max(1, math.floor(total / tonumber(ARGV[7]))) end
  if remaining - tonumber(ARGV[2]) < reserve then return began + tonumber(ARGV[6]) - now end
  redis.call('hset', KEYS[1], 'remaining', remaining - tonumber(ARGV[2]))
end
redis.call('zadd', KEYS[2], now + tonumber(ARGV[4]), ARGV[1])
redis.call('pexpire', KEYS[1], 3600000)
redis.call('pexpire', KEYS[2], 3600000)
return 0
"""
_GIVE_BACK = """
redis.call('zrem', KEYS[2], ARGV[1])
if ARGV[2] == '' then return 0 end
local time = redis.call('time')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local known = redis.call('hmget', KEYS[1], 'remaining', 'last')
local total, seen = tonumber(ARGV[2]), tonumber(ARGV[3])
local jump = math.max(tonumber(ARGV[4]), math.floor(total / 4))
if not known[1] or seen - tonumber(known[2] or '0') > jump then
  redis.call('hset', KEYS[1], 'remaining', seen, 'began', now)
else
  redis.call('hset', KEYS[1], 'remaining', math.min(seen, tonumber(known[1])))
end
redis.call('hset', KEYS[1], 'total', total, 'last', seen)
redis.call('pexpire', KEYS[1], 3600000)
return 0
"""
_BLOCK = """
local time = redis.call('time')
local until_ms = time[1] * 1000 + math.floor(time[2] / 1000) + tonumber(ARGV[1])
local blocked = tonumber(redis.call('hget', KEYS[1], 'blocked') or '0')
redis.call('hset', KEYS[1], 'blocked', string.format('%.0f', math.max(blocked, until_ms)))
redis.call('hdel', KEYS[1], 'remaining')
redis.call('pexpire', KEYS[1], 3600000 + tonumber(ARGV[1]))
return 0
"""


class RedisAllowance:
    """Shared by all processes; the clock is Redis's. While that does not answer, `local` holds."""

    def __init__(self, client: "Redis", account: str, concurrency: int, local: LocalAllowance) -> None:
        self._keys = [f"daedap:freshdesk:{{{account}}}:state", f"daedap:freshdesk:{{{account}}}:asking"]
        self._concurrency = concurrency
        self._local = local
        self._take = client.register_script(_TAKE)
        self._give_back = client.register_script(_GIVE_BACK)
        self._block = client.register_script(_BLOCK)

    async def take(self, holder: str, cost: int, *, urgent: bool) -> float:
        from redis.exceptions import RedisError

        window, lease = int(WINDOW_SECONDS * 1000), int(LEASE_SECONDS * 1000)
        args: list[str | int] = [holder, cost, self._concurrency, lease, int(urgent), window, RESERVE_SHARE]
        try:
            answer = int(await self._take(keys=self._keys, args=args))
        except (RedisError, OSError) as error:
            logger.debug("the shared limit cannot be asked: {kind}", kind=type(error).__name__)
            return await self._local.take(holder, cost, urgent=urgent)
        return _BUSY if answer < 0 else answer / 1000

    async def give_back(self, holder: str, total: int | None, remaining: int | None) -> None:
        from redis.exceptions import RedisError

        args: list[str | int] = [holder, "", "", self._concurrency * 7]
        if total is not None and remaining is not None:
            args[1:3] = [total, remaining]
        await self._local.give_back(holder, total, remaining)
        try:
            await self._give_back(keys=self._keys, args=args)
        except (RedisError, OSError) as error:
            logger.debug("the shared limit cannot be told: {kind}", kind=type(error).__name__)

    async def block(self, seconds: float) -> None:
        from redis.exceptions import RedisError

        await self._local.block(seconds)
        try:
            await self._block(keys=self._keys, args=[math.ceil(seconds * 1000)])
        except (RedisError, OSError) as error:
            logger.debug("the shared limit cannot be told: {kind}", kind=type(error).__name__)


class AccountLimiter:
    """Lets requests to one account through, one by one."""

    def __init__(self, allowance: Allowance, concurrency: int, clock: Callable[[], float], sleep: Sleep) -> None:
        self._allowance = allowance
        self._places = asyncio.Semaphore(concurrency)
        self._clock = clock
        self._sleep = sleep
        self.asking = 0
        """Requests that are being made, or wait."""

    @asynccontextmanager
    async def request(
        self, cost: int, *, urgent: bool = False, patience: float
    ) -> AsyncIterator[Callable[[Mapping[str, str]], None]]:
        """Wait until a request of this cost may be made; hand what is given the headers of the answer.

        Raises:
            TooMany: that would take longer than `patience` seconds.
        """
        deadline = self._clock() + patience
        holder = uuid4().hex
        self.asking += 1
        said: list[tuple[int | None, int | None]] = [(None, None)]

        def learn(headers: Mapping[str, str]) -> None:
            total, left = _number(headers.get("x-ratelimit-total")), _number(headers.get("x-ratelimit-remaining"))
            said[0] = (total, left) if total else (None, None)

        try:
            await self._admit(holder, cost, urgent=urgent, deadline=deadline)
            try:
                yield learn
            finally:
                self._places.release()
                # Also when the request was cancelled: a place that is not given back is lost until its lease ends.
                await asyncio.shield(self._allowance.give_back(holder, *said[0]))
        finally:
            self.asking -= 1

    async def block(self, seconds: float) -> None:
        """Stop all requests to the account for so long."""
        await self._allowance.block(seconds)

    async def _admit(self, holder: str, cost: int, *, urgent: bool, deadline: float) -> None:
        while True:
            try:
                async with asyncio.timeout(max(deadline - self._clock(), 0.001)):
                    await self._places.acquire()
            except TimeoutError:
                raise _too_many(1.0) from None
            wait = None
            try:
                wait = await self._allowance.take(holder, cost, urgent=urgent)
            finally:
                if wait != 0:  # who waits does not hold up those who may ask, and those in a hurry
                    self._places.release()
            if wait == 0:
                return
            pause = random.uniform(0.05, 0.15) if wait == _BUSY else wait
            if self._clock() + pause > deadline:
                raise _too_many(max(pause, 1.0))
            await self._sleep(pause)


class Limiters:
    """The limiters of this process, one an account."""

    def __init__(
        self,
        concurrency: int,
        *,
        redis: "Redis | None" = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._concurrency = concurrency
        self._redis = redis
        self._clock = clock
        self._sleep = sleep
        self._known: OrderedDict[str, AccountLimiter] = OrderedDict()

    def of(self, account: str) -> AccountLimiter:
        """Return an account's limiter, always the same while it is in use."""
        found = self._known.get(account)
        if found is None:
            allowance: Allowance = LocalAllowance(self._concurrency, self._clock)
            if self._redis is not None:
                assert isinstance(allowance, LocalAllowance)
                allowance = RedisAllowance(self._redis, account, self._concurrency, allowance)
            found = self._known[account] = AccountLimiter(allowance, self._concurrency, self._clock, self._sleep)
            for name, limiter in list(self._known.items())[: max(0, len(self._known) - _ACCOUNTS)]:
                if not limiter.asking and name != account:
                    del self._known[name]
        self._known.move_to_end(account)
        return found


def _too_many(seconds: float) -> TooMany:
    wait = math.ceil(seconds)
    return TooMany(f"The platform's request limit is used up; try again in {wait} s.", wait)


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isascii() and text.isdigit() and len(text) < 10 else None
