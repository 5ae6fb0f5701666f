"""Summaries ahead of time, for tenants that want all of their tickets summarised (`summaries: all`).

A little at a time, beside everything else: a round looks at the tickets that changed last, and goes on with older ones
where the round before ended. What a model made is kept as any other summary is, so nothing is made twice, also not by
several servers.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Protocol
from uuid import UUID

from loguru import logger

from backend.core.error import BudgetExceeded, DomainError, NotFound
from backend.core.model.extractive import MODEL_NAME
from backend.database.base import Database
from backend.dto.principal import Principal
from backend.repository.tenant import AllTenants
from backend.repository.ticket import Place, TicketRepository, Unsummarized
from backend.service.audit import SERVER
from backend.service.summary import Settings, SummaryOutcome

ROUND_SECONDS = 60.0
"""Between the end of a round and the next one."""
MOST = 50
"""Tickets of a tenant that are summarised in a round."""
LOOKED_AT = 300
"""Tickets of a tenant that are looked at in a round, of the newest and again of the older ones."""
AT_ONCE = 10
TENANTS_AT_ONCE = 4
RETRY = timedelta(hours=1)
"""After which a ticket is tried again of which no summary could be made."""
REMEMBERED = 20_000
_NEVER = datetime.max.replace(tzinfo=UTC)


class Models(Protocol):
    def is_extractive(self, alias: str | None = None) -> bool: ...


class Summaries(Protocol):
    """Makes summaries: `SummaryService`."""

    async def batch(self, principal: Principal, ticket_ids: Sequence[str], /) -> list[SummaryOutcome]: ...


class SummaryBacklog:
    """Its user in the ledger of usage is `server`, whose budget is that of any user."""

    def __init__(
        self,
        database: Database,
        summaries: Summaries,
        models: Models,
        clock: Callable[[], datetime],
        *,
        settings: Settings,
    ) -> None:
        self._database = database
        self._summaries = summaries
        self._models = models
        self._clock = clock
        self._settings = settings
        self._places: dict[str, Place] = {}
        self._pauses: dict[str, datetime] = {}
        self._tried: OrderedDict[tuple[str, UUID, str], datetime] = OrderedDict()

    async def sweep(self) -> None:
        """Do one round. Without a language model there is nothing to do: what rules make, each ticket has already."""
        if self._models.is_extractive():
            return
        tenants = await self._database.read(lambda connection: AllTenants(connection).that_chose("summaries", "all"))
        for kept in (self._places, self._pauses):
            for gone in kept.keys() - set(tenants):
                del kept[gone]
        turns = asyncio.Semaphore(TENANTS_AT_ONCE)

        async def one(tenant_id: str) -> None:
            async with turns:
                await self._round(tenant_id)

        async with asyncio.TaskGroup() as group:
            for tenant_id in tenants:
                group.create_task(one(tenant_id))

    async def _round(self, tenant_id: str) -> None:
        now = self._clock()
        if now < self._pauses.get(tenant_id, now):
            return
        try:
            if not (await self._settings(tenant_id)).get("external_llm", True):
                return
            due = await self._due(tenant_id, now)
            for start in range(0, len(due), AT_ONCE):
                if not await self._summarize(tenant_id, due[start : start + AT_ONCE]):
                    return
        except DomainError as error:
            logger.warning("summaries of {tenant} wait: {reason}", tenant=tenant_id, reason=error.detail)
        except Exception:  # noqa: BLE001 - one tenant's trouble must not stop the others'
            logger.exception("tickets of {tenant} could not be summarised", tenant=tenant_id)

    async def _due(self, tenant_id: str, now: datetime) -> list[Unsummarized]:
        """Return tickets to summarise, the last changed first, and remember where the older ones go on."""
        newest, end = await self._look(tenant_id, None)
        place = self._places.pop(tenant_id, None) or end
        older, behind = ([], None) if place is None else await self._look(tenant_id, place)
        due = [one for one in dict.fromkeys((*newest, *older)) if self._is_due(tenant_id, one, now)]
        if len(due) > MOST:
            behind = place  # the rest of them in the next round
        if behind is not None:
            self._places[tenant_id] = behind
        return due[:MOST]

    async def _look(self, tenant_id: str, before: Place | None) -> tuple[list[Unsummarized], Place | None]:
        return await self._database.read(
            lambda connection: TicketRepository(connection, tenant_id).unsummarized(LOOKED_AT, before, rules=MODEL_NAME)
        )

    def _is_due(self, tenant_id: str, one: Unsummarized, now: datetime) -> bool:
        until = self._tried.get((tenant_id, one.id, one.content_hash))
        return until is None or until <= now

    async def _summarize(self, tenant_id: str, some: Sequence[Unsummarized]) -> bool:
        """Summarise tickets; return whether to go on."""
        outcomes = await self._summaries.batch(Principal(tenant_id, SERVER), [str(one.id) for one in some])
        now, goes_on = self._clock(), True
        for one, outcome in zip(some, outcomes, strict=True):
            if isinstance(outcome.error, BudgetExceeded):
                self._pauses[tenant_id] = now + timedelta(seconds=outcome.error.retry_after)
                goes_on = False
                continue
            failed = outcome.error is not None and not isinstance(outcome.error, NotFound)
            # A summary in another language than the ticket's does not become the ticket's own, nor does one that could
            # not be used: each content is tried once all the same.
            self._tried[tenant_id, one.id, one.content_hash] = now + RETRY if failed else _NEVER
            if failed and outcome.error is not None and goes_on:
                goes_on = False
                logger.warning("summaries of {tenant} wait: {reason}", tenant=tenant_id, reason=outcome.error.detail)
        while len(self._tried) > REMEMBERED:
            self._tried.popitem(last=False)
        return goes_on
