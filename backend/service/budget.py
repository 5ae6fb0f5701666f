"""What a tenant and each of its users may use of the models in a day.

The ledger (table `usage`) is the truth. A day's sum is read from it once, when it is first asked for, and then goes on
in memory with what is recorded; after a restart it is read again. A run that has begun is finished, whatever it uses.

What runs holds a part of the budget until what it used is counted: the longest answer (`LLM_MAX_TOKENS`), or what a
run of that day used on average if that is more. Nothing begins once used and held reach the limit. So where no run uses
more than it holds, a day ends above its budget by at most one run; else by that, and what each that ran just then used
beyond what it held.
"""

import asyncio
import math
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from uuid import UUID

from sqlalchemy import Connection

from backend.core.error import BudgetExceeded
from backend.database.base import Database
from backend.dto.principal import Principal
from backend.dto.usage import BudgetState, Usage, UsageRecord, UsageSum
from backend.repository.usage import UsageRepository
from backend.service.limit import LimitBook
from backend.util.local_day import day_of, day_start

RECENT = timedelta(minutes=1)
"""How long before a reading a record may have been made of which we are told only after it."""
MOST_RECENT = 10_000
SOON_SECONDS = 5
"""When to ask again where what runs now holds what is left."""


class Budget:
    def __init__(
        self,
        database: Database,
        limits: LimitBook,
        clock: Callable[[], datetime],
        *,
        zone: tzinfo,
        answer_tokens: int = 0,
        answer_cost: float = 0.0,
        most: int = 10_000,
    ) -> None:
        """A day is one of `zone`; the sums of the `most` tenants and users that were asked for last are remembered.

        What begins holds `answer_tokens` and `answer_cost` at least: those of the longest answer.
        """
        self._database = database
        self._limits = limits
        self._clock = clock
        self._zone = zone
        self._answer_tokens = answer_tokens
        self._answer_cost = answer_cost
        self._most = most
        self._sums: OrderedDict[tuple[str, str | None], _Sum] = OrderedDict()
        self._holds: dict[UUID, _Hold] = {}
        self._held: dict[tuple[str, str | None], _Held] = {}
        """What the holds of a tenant, and of each of its users, come to."""

    async def hold(self, principal: Principal, run_id: UUID, *, refuse: bool = True) -> None:
        """Let begin what may still use models today, and hold a part of the budget for it until `release`.

        Without a limit this asks nobody and holds nothing. `refuse` False is for what has to be finished.

        Raises:
            BudgetExceeded: the tenant's budget or the user's own is used up, and `retry_after` ends with the day; or
                what runs now holds the rest, and `retry_after` is a few seconds.
            Unavailable: the ledger cannot be read.
        """
        tenant_id, user_id = principal.tenant_id, principal.user_id
        limits = self._limits.known(tenant_id) or await self._limits.of(tenant_id)
        asked: list[tuple[str, str | None, _Sum, int | None, float | None]] = []
        if limits.daily_tokens is not None or limits.daily_cost is not None:
            asked.append(("tenant", None, await self._sum(tenant_id, None), limits.daily_tokens, limits.daily_cost))
        if limits.user_daily_tokens is not None or limits.user_daily_cost is not None:
            used = await self._sum(tenant_id, user_id)
            asked.append(("user", user_id, used, limits.user_daily_tokens, limits.user_daily_cost))
        if not asked:
            return
        # From here on nothing waits: of those who ask in one moment, each sees what the others hold.
        if refuse:
            for whose, of, used, tokens, cost in asked:
                self._refuse(whose, used, self._held.get((tenant_id, of)), tokens, cost)
        usual_tokens = max(used.usual_tokens for _, _, used, _, _ in asked)
        usual_cost = max(used.usual_cost for _, _, used, _, _ in asked)
        self._keep(
            run_id,
            _Hold(tenant_id, user_id, max(self._answer_tokens, usual_tokens), max(self._answer_cost, usual_cost)),
        )

    def pass_on(self, held_by: UUID, run_id: UUID) -> None:
        """Let a run have what was held under another id, before it was made."""
        hold = self._drop(held_by)
        if hold is not None:
            self._keep(run_id, hold)

    def release(self, run_id: UUID, usage: Usage | None = None) -> None:
        """Hold nothing more for what has ended; what it used, where that is yet to be counted, is held until then."""
        hold = self._holds.get(run_id)
        if hold is None or hold.ended:
            return
        if usage is not None and usage.calls:
            tokens = usage.input_tokens + usage.output_tokens
            self._keep(run_id, _Hold(hold.tenant_id, hold.user_id, tokens, usage.cost, ended=True))
        else:
            self._drop(run_id)

    def count(self, record: UsageRecord) -> None:
        """Add what was recorded to the sums that are remembered; it is held no more."""
        self._drop(record.run_id)
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

    def _refuse(self, whose: str, used: "_Sum", held: "_Held | None", tokens: int | None, cost: float | None) -> None:
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
        if held is None:
            return
        if (tokens is not None and used.tokens + held.tokens >= tokens) or (
            cost is not None and used.cost + held.cost >= cost
        ):
            raise BudgetExceeded(
                f"What runs at this moment may use up the rest of the {whose}'s budget of the day;"
                " ask again when it has ended.",
                SOON_SECONDS,
            )

    def _keep(self, run_id: UUID, hold: "_Hold") -> None:
        self._drop(run_id)
        self._holds[run_id] = hold
        for user_id in (None, hold.user_id):
            held = self._held.setdefault((hold.tenant_id, user_id), _Held())
            held.holds += 1
            held.tokens += hold.tokens
            held.cost += hold.cost

    def _drop(self, run_id: UUID) -> "_Hold | None":
        hold = self._holds.pop(run_id, None)
        if hold is not None:
            for user_id in (None, hold.user_id):
                held = self._held[hold.tenant_id, user_id]
                held.holds -= 1
                held.tokens -= hold.tokens
                held.cost -= hold.cost
                if not held.holds:
                    del self._held[hold.tenant_id, user_id]
        return hold

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


@dataclass(frozen=True, slots=True)
class _Hold:
    """What one run holds."""

    tenant_id: str
    user_id: str
    tokens: int
    cost: float
    ended: bool = False
    """Whether it is what was used, and no estimate any more."""


@dataclass(slots=True)
class _Held:
    """What several hold together."""

    holds: int = 0
    tokens: int = 0
    cost: float = 0.0


class _Sum:
    """What was used on a day.

    What is recorded while the ledger is read, or just before, may be in what was read and be told to us as well: it is
    known by its id, and counted once.
    """

    __slots__ = ("_early", "_seen", "cost", "day", "reading", "runs", "start", "tokens")

    def __init__(self, day: date, start: datetime) -> None:
        self.day = day
        self.start = start
        self.runs = 0
        self.tokens = 0
        self.cost = 0.0
        self.reading: asyncio.Task[None] | None = None
        self._early: list[UsageRecord] = []
        self._seen: frozenset[UUID] = frozenset()

    @property
    def usual_tokens(self) -> int:
        """What was used by a run, on average."""
        return self.tokens // self.runs if self.runs else 0

    @property
    def usual_cost(self) -> float:
        return self.cost / self.runs if self.runs else 0.0

    def begin(self, total: UsageSum, seen: list[UUID]) -> None:
        """Start from what was read."""
        self.runs, self.tokens, self.cost = total.runs, total.tokens, total.cost
        self._seen = frozenset(seen)
        self.reading = None
        early, self._early = self._early, []
        for record in early:
            self.add(record)

    def add(self, record: UsageRecord) -> None:
        if self.reading is not None:
            self._early.append(record)
        elif record.created_at >= self.start and record.run_id not in self._seen:
            self.runs += 1
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
