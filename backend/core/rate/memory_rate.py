"""Rate limits of a server that is one process."""

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence

from backend.core.rate.base import MINUTE, Allowance, Bucket, allowance


class MemoryRate:
    """Buckets in a dictionary. One that nobody used for a minute is full, and need not be remembered."""

    def __init__(self, *, most: int = 100_000, clock: Callable[[], float] = time.monotonic) -> None:
        """Remember at most this many buckets, those that were used last."""
        self._most = most
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()
        """Tokens, and when they were counted."""

    async def take(self, buckets: Sequence[Bucket]) -> Allowance:
        now = self._clock()
        tokens = [self._tokens(bucket, now) for bucket in buckets]
        allowed = all(left >= 1 for left in tokens)
        if allowed:
            tokens = [left - 1 for left in tokens]
        for bucket, left in zip(buckets, tokens, strict=True):
            self._buckets[bucket.key] = (left, now)
            self._buckets.move_to_end(bucket.key)
        while len(self._buckets) > self._most:
            self._buckets.popitem(last=False)
        return allowance(buckets, tokens, allowed=allowed)

    def _tokens(self, bucket: Bucket, now: float) -> float:
        left, since = self._buckets.get(bucket.key, (float(bucket.per_minute), now))
        return min(bucket.per_minute, left + max(0.0, now - since) * bucket.per_minute / MINUTE)
