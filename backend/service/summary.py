"""Summaries of tickets: made once for what they are made from, kept, and shown with the personal data put back.

What goes to the model and what is kept has placeholders for personal data; only what `get` and `batch` return to the
desk's people has them put back.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal, Protocol
from uuid import UUID

from langchain_core.language_models import BaseChatModel
from langchain_core.runnables import RunnableConfig
from loguru import logger
from sqlalchemy import Connection

from backend.core.desk.personal_data import restore
from backend.core.desk.summarizer import SUMMARY_SECONDS, Summarizer
from backend.core.error import DomainError
from backend.core.lock import DistributedLock
from backend.core.model.extractive import MODEL_NAME, ExtractiveChatModel
from backend.core.model.usage_meter import UsageMeter
from backend.database.base import Database
from backend.dto.desk import Summary, TicketText
from backend.dto.principal import Principal
from backend.dto.usage import Usage
from backend.repository.summary import AllSummaries, SummaryRepository, summary_record
from backend.repository.ticket import TicketRepository
from backend.service.ticket_text import read_ticket_text
from backend.util.id_generator import new_id
from backend.util.language import Language

MAX_BATCH = 100
AGENT = "summary"
"""Under which name the ledger has what summaries used."""
KEPT = timedelta(days=90)
"""After which a summary is made again when it is asked for."""
_SWEPT_AT_ONCE = 200
_WAIT_SECONDS = SUMMARY_SECONDS + 10
"""How long to wait for somebody who is making the same summary."""


class Models(Protocol):
    def get(self, alias: str | None = None) -> BaseChatModel: ...

    def meter(self, alias: str | None = None) -> UsageMeter: ...


Settings = Callable[[str], Awaitable[Mapping[str, Any]]]
"""What a tenant chose (`TenantSettings`)."""


class Budget(Protocol):
    """What may be used of the models in a day (`service/budget.py`)."""

    async def hold(self, principal: Principal, run_id: UUID, /) -> None: ...

    def release(self, run_id: UUID, usage: Usage, /) -> None: ...


class Note(Protocol):
    """Records what was used."""

    def __call__(self, tenant_id: str, user_id: str, agent: str | None, usage: Usage, /, *, run_id: UUID) -> None: ...


@dataclass(frozen=True, slots=True)
class TicketSummary:
    """A ticket's summary for the desk's people: with the personal data in it."""

    ticket: UUID
    ticket_id: str
    platform: str
    summary: Summary
    cached: bool


@dataclass(frozen=True, slots=True)
class SummaryOutcome:
    """What became of one ticket of a batch: a summary, or why there is none."""

    ticket_id: str
    """As it was asked for."""
    made: TicketSummary | None
    error: DomainError | None


class SummaryService:
    def __init__(
        self,
        database: Database,
        models: Models,
        lock: DistributedLock,
        clock: Callable[[], datetime],
        *,
        settings: Settings,
        budget: Budget,
        note: Note,
        batch_size: int = 10,
        max_tokens: int = 2048,
    ) -> None:
        """At most `batch_size` tickets of one batch are summarised at once; `max_tokens` is the models' own limit."""
        self._database = database
        self._models = models
        self._lock = lock
        self._clock = clock
        self._settings = settings
        self._budget = budget
        self._note = note
        self._batch_size = batch_size
        self._parameters = {"max_tokens": max_tokens}
        self._summarizer = Summarizer()

    async def get(
        self,
        principal: Principal,
        ticket_id: str,
        *,
        language: Language | None = None,
        model: str | None = None,
        refresh: bool = False,
        platform: str | None = None,
    ) -> TicketSummary:
        """Return a ticket's summary: the kept one where nothing changed, else a new one.

        Args:
            principal: Who asks.
            ticket_id: The platform's id, or ours.
            language: Of the summary; None is the tenant's choice, else the ticket's.
            model: An alias; None is the default. A tenant that lets no text out gets its summaries by rules.
            refresh: Whether to make it anew all the same.
            platform: Which platform's id it is, where several have one.

        Raises:
            TicketNotFound: no such ticket, or another tenant's.
            UnsupportedModel: no such alias.
            BudgetExceeded: the day's budget is used up, and no summary is kept.
            DomainError: the model failed.
        """
        chosen, tongue = await self._choose(principal.tenant_id, model, language)
        return await self._get(principal, ticket_id, tongue, chosen, refresh=refresh, platform=platform)

    async def batch(
        self,
        principal: Principal,
        ticket_ids: Sequence[str],
        *,
        language: Language | None = None,
        model: str | None = None,
        platform: str | None = None,
    ) -> list[SummaryOutcome]:
        """Return what became of each ticket, in the order of the ids: one that fails takes no other with it.

        Raises:
            UnsupportedModel: no such alias.
        """
        chosen, tongue = await self._choose(principal.tenant_id, model, language)
        free = asyncio.Semaphore(self._batch_size)

        async def one(ticket_id: str) -> SummaryOutcome:
            async with free:
                try:
                    made = await self._get(principal, ticket_id, tongue, chosen, refresh=False, platform=platform)
                except DomainError as error:
                    return SummaryOutcome(ticket_id, None, error)
                return SummaryOutcome(ticket_id, made, None)

        async with asyncio.TaskGroup() as group:
            tasks = {ticket_id: group.create_task(one(ticket_id)) for ticket_id in dict.fromkeys(ticket_ids)}
        return [tasks[ticket_id].result() for ticket_id in ticket_ids]

    async def of_text(self, tenant_id: str, ticket: TicketText, model: BaseChatModel, language: Language) -> Summary:
        """Return the summary of a text by a model, for a run: with placeholders, and the run's meter counts the calls.

        Raises:
            DomainError: the model failed.
        """
        if not (await self._settings(tenant_id)).get("external_llm", True):
            model = ExtractiveChatModel()
        alias = str(getattr(model, "alias", "") or getattr(model, "model_name", "") or model._llm_type)
        summary, _ = await self._made(tenant_id, ticket, model, language, alias)
        return summary

    async def sweep(self) -> None:
        """Remove summaries that were made long ago."""
        before = self._clock() - KEPT
        while await self._database.write(
            lambda connection: AllSummaries(connection).remove_older(before, _SWEPT_AT_ONCE), durable=False
        ):
            pass

    async def _choose(
        self, tenant_id: str, model: str | None, language: Language | None
    ) -> tuple[str | None, Language | None]:
        """Return the model and the language by what was asked for and what the tenant chose."""
        self._models.get(model)  # an alias that there is not is refused before anything is read
        settings = await self._settings(tenant_id)
        chosen = language or settings.get("language", "auto")
        tongue: Language | None = chosen if chosen in {"ko", "en"} else None
        return (model if settings.get("external_llm", True) else MODEL_NAME), tongue

    async def _get(
        self,
        principal: Principal,
        ticket_id: str,
        language: Language | None,
        model: str | None,
        *,
        refresh: bool,
        platform: str | None,
    ) -> TicketSummary:
        text = await read_ticket_text(self._database, principal.tenant_id, ticket_id, platform)
        summary, cached = await self._made(
            principal.tenant_id,
            text,
            self._models.get(model),
            language or text.language,
            model or "default",
            principal=principal,
            refresh=refresh,
        )
        return TicketSummary(text.ticket, text.ticket_id, text.platform, _shown(summary, text.placeholders), cached)

    async def _made(
        self,
        tenant_id: str,
        text: TicketText,
        model: BaseChatModel,
        language: Language,
        alias: str,
        *,
        principal: Principal | None = None,
        refresh: bool = False,
    ) -> tuple[Summary, bool]:
        """Return the summary, with placeholders, and whether it was kept; one is made once, whoever else wants it."""
        digest = self._summarizer.digest(text, model, language, alias=alias, parameters=self._parameters)
        if not refresh and (kept := await self._kept(tenant_id, digest)):
            return kept, True
        async with AsyncExitStack() as stack:
            if not isinstance(model, ExtractiveChatModel):
                lock = self._lock.of(tenant_id)
                await stack.enter_async_context(lock.lock(f"summary:{digest}", timeout=_WAIT_SECONDS))
                if not refresh and (kept := await self._kept(tenant_id, digest)):
                    return kept, True
            config: RunnableConfig = {}
            meter: UsageMeter | None = None
            work_id = new_id()
            if principal is not None and not isinstance(model, ExtractiveChatModel):
                meter = self._models.meter(alias)
                await self._budget.hold(principal, work_id)
                config = {"callbacks": [meter]}
            try:
                summary = await self._summarizer.summarize(
                    text, model, language, alias=alias, parameters=self._parameters, config=config
                )
            finally:
                if principal is not None and meter is not None:
                    self._note(principal.tenant_id, principal.user_id, AGENT, meter.usage, run_id=work_id)
                    self._budget.release(work_id, meter.usage)
            if summary.fallback:
                logger.warning("a model's summary could not be used (model {alias})", alias=alias)
            else:
                await self._keep(tenant_id, text, summary)
        return summary, False

    async def _kept(self, tenant_id: str, digest: str) -> Summary | None:
        return await self._database.read(lambda connection: SummaryRepository(connection, tenant_id).find(digest))

    async def _keep(self, tenant_id: str, text: TicketText, summary: Summary) -> None:
        now = self._clock()

        def work(connection: Connection) -> None:
            SummaryRepository(connection, tenant_id).put(summary, now, text.ticket)
            if summary.language == text.language:
                TicketRepository(connection, tenant_id).set_summary(
                    text.ticket, summary_record(summary), text.content_hash
                )

        await self._database.write(work, durable=False)


def _shown(summary: Summary, placeholders: Mapping[str, str]) -> Summary:
    """Return the summary with what its placeholders stand for."""
    names: tuple[Literal["problem", "cause", "solution", "result"], ...] = ("problem", "cause", "solution", "result")
    fields = {name: restore(getattr(summary, name), placeholders) for name in names}
    return replace(summary, **fields, keywords=tuple(restore(word, placeholders) for word in summary.keywords))  # type: ignore[arg-type]
