"""What was computed once and may be forgotten at any time: in the process by default, also in Redis when there is one.

- **Namespaces.** A `Cache` is one tenant's; a value has a kind and a key. No two (tenant, kind, key) share a value,
  whatever letters they are made of.
- **How long.** A kind has its seconds (`CACHE_TTL`); nothing is served after them.
- **When it is outdated sooner.** Whoever changes what a value was made of deletes it, or all that begins alike; a
  value that is just being made from the old is then not kept. Other processes on the same Redis hear of it.
- **How much.** A tenant's part and the whole are bounded in entries and bytes; `Caches.figures()` counts them.
"""

from typing import TYPE_CHECKING

from backend.core.cache.base import MISS, CacheStore, Hit, Key, Miss
from backend.core.cache.cache import Cache, Caches
from backend.core.cache.memory_cache import MemoryStore

if TYPE_CHECKING:
    from redis.asyncio import Redis

__all__ = ["MISS", "Cache", "CacheStore", "Caches", "Hit", "Key", "Miss", "cache_store"]


def cache_store(client: "Redis | None" = None) -> CacheStore:
    """Return a store in this process, before one in the Redis behind `client` when there is one."""
    near = MemoryStore()
    if client is None:
        return near
    from backend.core.cache.redis_cache import RedisStore
    from backend.core.cache.two_level_cache import TwoLevelStore

    return TwoLevelStore(near, RedisStore(client), client)
