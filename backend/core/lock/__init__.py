"""Distributed locks: in the process by default, in Redis when there is one. `base.py` says what they promise."""

from typing import TYPE_CHECKING

from backend.core.lock.base import DistributedLock, LeaseHandle

if TYPE_CHECKING:
    from redis.asyncio import Redis

__all__ = ["DistributedLock", "LeaseHandle", "get_redis_lock"]


def get_redis_lock(client: "Redis | None" = None, *, ttl: float = 30.0) -> DistributedLock:
    """Return a lock in the Redis behind `client`, or in this process without one.

    Built once, in the container: two locks in the process do not know of each other.
    """
    if client is None:
        from backend.core.lock.memory_lock import MemoryLock

        return MemoryLock(ttl=ttl)
    from backend.core.lock.redis_lock import RedisLock

    return RedisLock(client, ttl=ttl)
