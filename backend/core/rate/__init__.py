"""How often somebody may ask: token buckets, in the process by default, in Redis when there is one."""

from typing import TYPE_CHECKING

from backend.core.rate.base import Allowance, Bucket, RateLimiter
from backend.core.rate.memory_rate import MemoryRate

if TYPE_CHECKING:
    from redis.asyncio import Redis

__all__ = ["Allowance", "Bucket", "RateLimiter", "rate_limiter"]


def rate_limiter(client: "Redis | None" = None) -> RateLimiter:
    """Return a limiter for this process, or for all that use the Redis behind `client`."""
    own = MemoryRate()
    if client is None:
        return own
    from backend.core.rate.redis_rate import RedisRate

    return RedisRate(client, own)
