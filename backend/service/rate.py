"""How often a tenant, and each of its users, may ask."""

from backend.core.error import TooMany
from backend.core.rate import Allowance, Bucket, RateLimiter
from backend.dto.principal import Principal
from backend.dto.tenant import Limits
from backend.service.limit import LimitBook
from backend.util.key_part import key_part

_PREFIX = "daedap:rate:"


class RateService:
    def __init__(self, limiter: RateLimiter, limits: LimitBook) -> None:
        self._limiter = limiter
        self._limits = limits

    async def take(self, principal: Principal) -> Allowance | None:
        """Count a request; None when there is no limit, which costs a look into a dictionary."""
        limits = self._limits.known(principal.tenant_id)
        if limits is None:
            limits = await self._limits.of(principal.tenant_id)
        if limits.requests_per_minute is None and limits.user_requests_per_minute is None:
            return None
        return await self._limiter.take(_buckets(principal, limits))

    async def check(self, principal: Principal) -> None:
        """Count a call on a socket.

        Raises:
            TooMany: there were too many; its `retry_after` says when the next is let through.
        """
        allowance = await self.take(principal)
        if allowance is not None and not allowance.allowed:
            raise too_many(allowance)


def too_many(allowance: Allowance) -> TooMany:
    """Return the refusal of a request that was not allowed."""
    return TooMany(
        f"There were more than {allowance.limit} requests in a minute. Try again in {allowance.retry_after} seconds.",
        allowance.retry_after,
    )


def _buckets(principal: Principal, limits: Limits) -> list[Bucket]:
    # In braces: what a Redis cluster must keep on one node.
    tenant = f"{_PREFIX}{{{key_part(principal.tenant_id)}}}:"
    buckets = []
    if limits.requests_per_minute is not None:
        buckets.append(Bucket(tenant, limits.requests_per_minute))
    if limits.user_requests_per_minute is not None:
        buckets.append(Bucket(f"{tenant}{key_part(principal.user_id)}:", limits.user_requests_per_minute))
    return buckets
