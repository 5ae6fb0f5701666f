"""What a tenant and each of its users may use of the models in a day.

The ledger (table `usage`) is the truth. A day's sum is read from it once, when it is first asked for, and then goes on
in memory with what is recorded; after a restart it is read again. A run that has begun is finished, whatever it uses:
the next one is refused, so a day can end above its budget by what ran at that moment (`LLM_MAX_TOKENS` bounds an
answer).
"""

import asyncio
import math
from collections import OrderedDict
from collections.abc import Callable
from datetime import date, datetime, timedelta, tzinfo
from uuid import UUID

from sqlalchemy import Connection

from backend.core.error import BudgetExceeded
from backend.database.base import Database
from backend.dto.principal import Principal
from backend.dto.usage import BudgetState, UsageRecord, UsageSum
from backend.repository.usage import UsageRepository
from backend.service.limit import LimitBook
from backend.util.local_day import day_of, day_start

RECENT = timedelta(minutes=1)
"""How long before a reading a record may have been made of which we are told only after it."""
MOST_RECENT = 10_000


class Budget:
    def __init__(
        self,
        database: Database,
        limits: LimitBook,
        clock: Callable[[], datetime],
        *,
        zone: tzinfo,
        most: int = 10_000,
    ) -> None:
        """A day is one of `zone`; the sums of the `most` tenants and users that were asked for last are remembered."""
        self._database = database
        self._limits = limits
        self._clock = clock
        self._zone = zone
        self._most = most
        self._sums: OrderedDict[tuple[str, str | None], _Sum] = OrderedDict()

    async def check(self, principal: Principal) -> None:
        """Let pass who may still use models today; without a limit this asks nobody.

        Raises:
            BudgetExceeded: the tenant's budget or the user's own is used up; `retry_after` ends with the day.
            Unavailable: the ledger cannot be read.
        """
        limits = self._limits.known(principal.tenant_id) or await self._limits.of(principal.tenant_id)
        if limits.daily_tokens is not None or limits.daily_cost is not None:
            used = await self._sum(principal.tenant_id, None)
            self._refuse("tenant", used, limits.daily_tokens, limits.daily_cost)
        if limits.user_daily_tokens is not None or limits.user_daily_cost is not None:
            used = await self._sum(principal.tenant_id, principal.user_id)
            self._refuse("user", used, limits.user_daily_tokens, limits.user_daily_cost)

    def count(self, record: UsageRecord) -> None:
        """Add what was recorded to the sums that are remembered."""
        for user_id in (None, record.user_id):
            kept = self._sums.get((record.tenant_id, user_id))
            if kept is not None:
                kept.add(record)

    async def state(self, principal: Principal) -> BudgetState:
        """Return what the caller used today and what is left. Raises `Unavailable` as `check` does."""
        limits = await self._limits.of(principal.tenant_id)
        own = await self._sum(principal.tenant_id, principal.user_id)
        all_of_it = await self._sum(principal.tenant_id, None)
        tokens = _least(_left(limits.user_daily_tokens, own.tokens), _left(limits.daily_tokens, all_of_it.tokens))
        return BudgetState(
            day=own.day,
            resets_at=self._end(own.day),
            tokens=own.tokens,
            cost=own.cost,
            remaining_tokens=None if tokens is None else int(tokens),
            remaining_cost=_least(_left(limits.user_daily_cost, own.cost), _left(limits.daily_cost, all_of_it.cost)),
        )

    def _refuse(self, whose: str, used: "_Sum", tokens: int | None, cost: float | None) -> None:
        spent = None
        if tokens is not None and used.tokens >= tokens:
            spent = f"{tokens} tokens"
        elif cost is not None and used.cost >= cost:
            spent = f"{cost:g} US dollars"
        if spent is not None:
            end = self._end(used.day)
            seconds = max(1, math.ceil((end - self._clock()).total_seconds()))
            raise BudgetExceeded(
                f"The {whose}'s budget of {spent} a day is used up; the next day begins at {end.isoformat()}.", seconds
            )

    def _end(self, day: date) -> datetime:
        return day_start(day + timedelta(days=1), self._zone)

    async def _sum(self, tenant_id: str, user_id: str | None) -> "_Sum":
        key = (tenant_id, user_id)
        today = day_of(self._clock(), self._zone)
        kept = self._sums.get(key)
        if kept is None or kept.day != today:
            kept = self._sums[key] = _Sum(today, day_start(today, self._zone))
            kept.reading = asyncio.create_task(self._read(key, kept))
            kept.reading.add_done_callback(_look)
            if len(self._sums) > self._most:
                self._sums.popitem(last=False)
        self._sums.move_to_end(key)
        if kept.reading is not None:
            await asyncio.shield(kept.reading)
        return kept

    async def _read(self, key: tuple[str, str | None], sums: "_Sum") -> None:
        tenant_id, user_id = key
        recent = max(sums.start, self._clock() - RECENT)

        def work(connection: Connection) -> tuple[UsageSum, list[UUID]]:
            usage = UsageRepository(connection, tenant_id)
            total = usage.total(sums.start, self._end(sums.day), user_id)
            return total, usage.ids(recent, user_id, limit=MOST_RECENT)

        try:
            sums.begin(*await self._database.read(work))
        except BaseException:
            if self._sums.get(key) is sums:
                del self._sums[key]  # whoever asks next reads again
            raise


class _Sum:
    """What was used on a day.

    What is recorded while the ledger is read, or just before, may be in what was read and be told to us as well: it is
    known by its id, and counted once.
    """

    __slots__ = ("_early", "_seen", "cost", "day", "reading", "start", "tokens")

    def __init__(self, day: date, start: datetime) -> None:
        self.day = day
        self.start = start
        self.tokens = 0
        self.cost = 0.0
        self.reading: asyncio.Task[None] | None = None
        self._early: list[UsageRecord] = []
        self._seen: frozenset[UUID] = frozenset()

    def begin(self, total: UsageSum, seen: list[UUID]) -> None:
        """Start from what was read."""
        self.tokens, self.cost = total.tokens, total.cost
        self._seen = frozenset(seen)
        self.reading = None
        early, self._early = self._early, []
        for record in early:
            self.add(record)

    def add(self, record: UsageRecord) -> None:
        if self.reading is not None:
            self._early.append(record)
        elif record.created_at >= self.start and record.run_id not in self._seen:
            self.tokens += record.usage.input_tokens + record.usage.output_tokens
            self.cost += record.usage.cost


def _look(task: asyncio.Task[None]) -> None:
    """Look at how a reading ended, for those who left before it did."""
    if not task.cancelled():
        task.exception()


def _left(limit: float | None, used: float) -> float | None:
    return None if limit is None else max(0, limit - used)


def _least(*left: float | None) -> float | None:
    known = [one for one in left if one is not None]
    return min(known) if known else None
