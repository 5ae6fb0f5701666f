"""Which limits hold for a tenant: its own, and the server's settings where it has none."""

import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import fields, replace
from typing import Any

from backend.core.error import NotFound, Unavailable
from backend.dto.tenant import Limits

_FIELDS = [field.name for field in fields(Limits)]


async def no_limits(tenant_id: str) -> Limits:
    """Return that a tenant has no limits of its own."""
    del tenant_id
    return Limits()


class LimitBook:
    """Remembers each tenant's limits for a few seconds, so that a request asks a dictionary."""

    def __init__(
        self,
        limits: Callable[[str], Awaitable[Limits]],
        defaults: Limits,
        *,
        seconds: float = 5.0,
        most: int = 10_000,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`limits` gives what a tenant has of its own; of the `most` last tenants it is remembered for `seconds`."""
        self._limits = limits
        self._defaults = defaults
        self._seconds = seconds
        self._most = most
        self._clock = clock
        self._known: OrderedDict[str, tuple[Limits, float]] = OrderedDict()
        self._changes = 0

    def known(self, tenant_id: str) -> Limits | None:
        """Return a tenant's limits when they are remembered."""
        found = self._known.get(tenant_id)
        return found[0] if found is not None and found[1] > self._clock() else None

    async def of(self, tenant_id: str) -> Limits:
        """Return a tenant's limits; what is None there has no limit.

        While the database does not answer, the last that were known hold, or those of the server.
        """
        found = self.known(tenant_id)
        if found is not None:
            return found
        changes = self._changes
        try:
            own = await self._limits(tenant_id)
        except NotFound:  # a tenant of the settings, which has no row
            own = Limits()
        except Unavailable:
            last = self._known.get(tenant_id)
            return self._defaults if last is None else last[0]
        given: dict[str, Any] = {name: getattr(own, name) for name in _FIELDS if getattr(own, name) is not None}
        merged = replace(self._defaults, **given)
        if changes != self._changes:  # it may have been read before a change that is made by now
            return merged
        self._known[tenant_id] = (merged, self._clock() + self._seconds)
        self._known.move_to_end(tenant_id)
        if len(self._known) > self._most:
            self._known.popitem(last=False)
        return merged

    def forget(self, tenant_id: str) -> None:
        """Look again at the next request: a tenant's limits were changed."""
        self._changes += 1
        self._known.pop(tenant_id, None)
