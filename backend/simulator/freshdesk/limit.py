"""How many requests an account may make in a minute, whoever makes them."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from math import ceil
from threading import Lock
from typing import Literal

Plan = Literal["trial", "growth", "pro", "enterprise", "unlimited"]
Kind = Literal["create", "update", "ticket_list", "contact_list"]
WINDOW = 60.0
"""Seconds."""

_PLANS: dict[Plan, tuple[int, dict[Kind, int]]] = {
    "trial": (50, {}),
    "growth": (200, {"create": 80, "update": 80, "ticket_list": 20, "contact_list": 20}),
    "pro": (400, {"create": 160, "update": 160, "ticket_list": 100, "contact_list": 100}),
    "enterprise": (700, {"create": 280, "update": 280, "ticket_list": 200, "contact_list": 200}),
    "unlimited": (10**9, {}),
}


@dataclass(frozen=True, slots=True)
class Verdict:
    allowed: bool
    total: int
    remaining: int
    used: int
    """Credits that this request cost."""
    retry_after: int
    """Whole seconds until the next minute begins."""


class Limiter:
    """Counts an account's credits: a minute begins with the first request after the last one ended.

    The kinds of a plan (ticket lists, …) are counted in requests, the whole in credits.
    """

    def __init__(self, plan: Plan, clock: Callable[[], datetime], per_minute: int | None = None) -> None:
        """Take a plan's limits; `per_minute` replaces its total and drops the limits of its kinds."""
        total, kinds = _PLANS[plan]
        self.total = per_minute if per_minute is not None else total
        self._kinds = kinds if per_minute is None else {}
        self._clock = clock
        self._lock = Lock()
        self._began: datetime | None = None
        self._used = 0
        self._used_kinds: dict[Kind, int] = {}

    def take(self, credits: int, kind: Kind | None = None) -> Verdict:
        """Spend credits on a request if they are there."""
        with self._lock:
            now = self._clock()
            if self._began is None or (now - self._began).total_seconds() >= WINDOW:
                self._began, self._used, self._used_kinds = now, 0, {}
            left = WINDOW - (now - self._began).total_seconds()
            retry_after = max(1, ceil(left))
            of_kind = self._used_kinds.get(kind, 0) if kind is not None else 0
            if self._used + credits > self.total or (kind in self._kinds and of_kind >= self._kinds[kind]):
                return Verdict(False, self.total, max(0, self.total - self._used), 0, retry_after)
            self._used += credits
            if kind is not None:
                self._used_kinds[kind] = of_kind + 1
            return Verdict(True, self.total, self.total - self._used, credits, retry_after)
