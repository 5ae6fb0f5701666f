"""The lock of several servers that share a Redis or Valkey.

Each step is one Lua script, so that looking and changing cannot be torn apart. It is a lock on one node: when that node
fails over to a replica which had not yet heard of it, the lock is lost, and the fence is what still holds.
"""

from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError

from backend.core.error import Unavailable
from backend.core.lock.base import DistributedLock

_FENCE_KEY = "daedap:lock-fence"

_TAKE = """
local owner = redis.call('get', KEYS[1])
if owner and owner ~= ARGV[1] then return 0 end
redis.call('set', KEYS[1], ARGV[1], 'PX', ARGV[2])
local fence = redis.call('incr', KEYS[2])
local now = redis.call('time')
local floor = now[1] * 1000000 + now[2]
if fence < floor then
  fence = floor
  redis.call('set', KEYS[2], string.format('%.0f', floor))
end
return fence
"""
"""The same token may take it again: that is the client trying once more after a lost answer. The fence starts from the
clock, in microseconds, so that it does not fall back when the server is emptied."""

_RENEW = """
if redis.call('get', KEYS[1]) ~= ARGV[1] then return 0 end
local left = redis.call('pttl', KEYS[1])
local ends = tonumber(ARGV[2])
if ARGV[3] == '1' then ends = left + ends elseif ends < left then ends = left end
return redis.call('pexpire', KEYS[1], string.format('%.0f', ends))
"""

_FREE = """
if redis.call('get', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('del', KEYS[1])
"""


class RedisLock(DistributedLock):
    """A lock among everything that uses the same Redis. `Unavailable` is raised when that does not answer."""

    def __init__(self, client: Redis, *, ttl: float = 30.0) -> None:
        super().__init__(ttl=ttl)
        self._take_script = client.register_script(_TAKE)
        self._renew_script = client.register_script(_RENEW)
        self._free_script = client.register_script(_FREE)

    async def _take(self, key: str, token: str, ttl: float) -> int:
        return await _answer(self._take_script(keys=[key, _FENCE_KEY], args=[token, _milliseconds(ttl)]))

    async def _renew(self, key: str, token: str, seconds: float, *, add: bool) -> bool:
        args: list[str | int] = [token, _milliseconds(seconds), int(add)]
        return bool(await _answer(self._renew_script(keys=[key], args=args)))

    async def _free(self, key: str, token: str) -> bool:
        return bool(await _answer(self._free_script(keys=[key], args=[token])))


async def _answer(asked: Any) -> int:
    try:
        return int(await asked)
    except (RedisError, OSError) as error:
        raise Unavailable(f"The lock server does not answer ({type(error).__name__}).") from error


def _milliseconds(seconds: float) -> int:
    return max(1, round(seconds * 1000))
