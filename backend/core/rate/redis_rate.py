"""Rate limits of several processes that share a Redis or Valkey."""

from collections.abc import Sequence

from redis.asyncio import Redis

from backend.core.rate.base import Allowance, Bucket, RateLimiter, allowance
from backend.core.redis_guard import Away, RedisGuard

_TAKE = """
local time = redis.call('time')
local now = time[1] + time[2] / 1000000
local tokens, allowed = {}, 1
for i, key in ipairs(KEYS) do
  local limit = tonumber(ARGV[i])
  local kept = redis.call('hmget', key, 'tokens', 'at')
  local left = limit
  if kept[1] then left = math.min(limit, kept[1] + math.max(0, now - kept[2]) * limit / 60) end
  if left < 1 then allowed = 0 end
  tokens[i] = left
end
for i, key in ipairs(KEYS) do
  tokens[i] = tokens[i] - allowed
  redis.call('hset', key, 'tokens', string.format('%.6f', tokens[i]), 'at', string.format('%.6f', now))
  redis.call('pexpire', key, 61000)
  tokens[i] = string.format('%.6f', tokens[i])
end
return {allowed, unpack(tokens)}
"""
"""One script, so that nobody comes between looking and taking; its clock is the server's, one for all processes. A
bucket that nobody used for a minute is full, and so is forgotten."""


class RedisRate:
    """A limit for all processes together; while Redis does not answer, each process counts for itself."""

    def __init__(self, client: Redis, own: RateLimiter, guard: RedisGuard | None = None) -> None:
        self._script = client.register_script(_TAKE)
        self._own = own
        # A request waits for this, so it waits a short time.
        self._guard = guard or RedisGuard("each process counts requests for itself", seconds=0.25)

    async def take(self, buckets: Sequence[Bucket]) -> Allowance:
        keys = [bucket.key for bucket in buckets]
        limits = [bucket.per_minute for bucket in buckets]
        try:
            allowed, *tokens = await self._guard.ask(lambda: self._script(keys=keys, args=limits))
        except Away:
            return await self._own.take(buckets)
        return allowance(buckets, [float(left) for left in tokens], allowed=bool(allowed))
