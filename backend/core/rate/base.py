"""The port of the rate limits.

A bucket holds as many tokens as are granted a minute and is filled evenly; who has rested may so take a minute's worth
at once, and no minute sees more than two minutes' worth.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

MINUTE = 60.0


@dataclass(frozen=True, slots=True)
class Bucket:
    key: str
    """Of letters that `key_part` gives, and `:`."""
    per_minute: int
    """0 lets nobody through."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """What became of a request, by the bucket that has least left."""

    allowed: bool
    limit: int
    """Requests a minute."""
    remaining: int
    reset: int
    """Seconds until the bucket is full again."""
    retry_after: int
    """Seconds until the next request is let through; 0 when this one was."""


class RateLimiter(Protocol):
    """Both implementations promise what is said here; `test/limits/test_rate.py` holds them to it."""

    async def take(self, buckets: Sequence[Bucket]) -> Allowance:
        """Take a token from each bucket, or from none when one of them is empty. There is at least one bucket."""


def allowance(buckets: Sequence[Bucket], tokens: Sequence[float], *, allowed: bool) -> Allowance:
    """Return what is said of buckets with so many tokens left."""
    left, bucket = min(zip(tokens, buckets, strict=True), key=lambda pair: pair[0])
    if bucket.per_minute <= 0:
        return Allowance(allowed=False, limit=0, remaining=0, reset=math.ceil(MINUTE), retry_after=math.ceil(MINUTE))
    a_second = bucket.per_minute / MINUTE
    wait = 0.0 if allowed else max((1 - left) / a_second, 0.001)
    return Allowance(
        allowed=allowed,
        limit=bucket.per_minute,
        remaining=max(0, math.floor(left)),
        reset=math.ceil(max(0.0, bucket.per_minute - left) / a_second),
        retry_after=math.ceil(wait),
    )
