"""Reports of what was used."""

from collections.abc import Callable
from datetime import date, datetime, timedelta, tzinfo

from backend.core.error import Invalid
from backend.database.base import Database
from backend.dto.principal import Principal
from backend.dto.usage import BudgetState, UsageGroup, UsageReport
from backend.repository.usage import UsageRepository
from backend.service.budget import Budget
from backend.util.local_day import day_of, day_start, offsets

MOST_DAYS = 366
MOST_GROUPS = 1000
YEARS = range(2000, 3000)
"""Beyond them, databases and clocks differ in what they can say."""
USUAL_DAYS = 30


class UsageService:
    def __init__(self, database: Database, budget: Budget, clock: Callable[[], datetime], *, zone: tzinfo) -> None:
        """Days are those of `zone`, as they are of the budgets."""
        self._database = database
        self._budget = budget
        self._clock = clock
        self._zone = zone

    async def report(
        self, principal: Principal, group_by: UsageGroup, since: date | None = None, until: date | None = None
    ) -> UsageReport:
        """Return what the tenant used from one day to another, both included; without them, the last 30 days.

        Raises:
            Invalid: the days are in the wrong order, or more than a year.
        """
        return await self._report(principal, group_by, since, until, None)

    async def own_report(
        self, principal: Principal, group_by: UsageGroup, since: date | None = None, until: date | None = None
    ) -> UsageReport:
        """Return what the caller used. Raises what `report` does."""
        return await self._report(principal, group_by, since, until, principal.user_id)

    async def budget(self, principal: Principal) -> BudgetState:
        """Return what is left of today's budget to the caller."""
        return await self._budget.state(principal)

    async def _report(
        self, principal: Principal, group_by: UsageGroup, since: date | None, until: date | None, user_id: str | None
    ) -> UsageReport:
        last = until or day_of(self._clock(), self._zone)
        try:
            first = since or last - timedelta(days=USUAL_DAYS - 1)
        except OverflowError:
            raise Invalid("There is no such day.") from None
        if first.year not in YEARS or last.year not in YEARS:
            raise Invalid("There is no such day.")
        if not 1 <= (last - first).days + 1 <= MOST_DAYS:
            raise Invalid(f"`from` is not after `to`, and at most {MOST_DAYS} days are reported at once.")
        begins = day_start(first, self._zone)
        ends = day_start(last + timedelta(days=1), self._zone)
        ahead = offsets(self._zone, begins, ends)
        groups, total = await self._database.read(
            lambda connection: UsageRepository(connection, principal.tenant_id).report(
                group_by, begins, ends, offsets=ahead, user_id=user_id, limit=MOST_GROUPS + 1
            )
        )
        return UsageReport(
            since=first,
            until=last,
            group_by=group_by,
            groups=tuple(groups[:MOST_GROUPS]),
            total=total,
            complete=len(groups) <= MOST_GROUPS,
        )
