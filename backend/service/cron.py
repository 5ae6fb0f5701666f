"""Crons: runs that come again and again. `cron_scheduler.py` starts them."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from backend.core.error import BadRequest, Conflict, Invalid, ThreadNotFound
from backend.database.base import Database, dump_json
from backend.dto.assistant import SortOrder
from backend.dto.cron import Cron, CronChange, CronDraft, CronSearch, CronSortField, OnRunCompleted
from backend.dto.principal import Principal
from backend.repository.cron import DISABLED_REASON, CronRepository
from backend.repository.thread import ThreadRepository
from backend.util.containment import Filters, passes
from backend.util.cron_schedule import next_firing
from backend.util.id_generator import new_id

MOST = 10_000
"""Crons of one tenant."""


class CronService:
    """`check_webhook` raises Invalid for an address that may not be called; `on_change` wakes the scheduler."""

    def __init__(
        self,
        database: Database,
        check_webhook: Callable[[str], Awaitable[None]],
        on_change: Callable[[], None],
        clock: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._check_webhook = check_webhook
        self._on_change = on_change
        self._clock = clock

    async def create(
        self, principal: Principal, draft: CronDraft, *, thread_id: UUID | None = None, only_threads: Filters = None
    ) -> Cron:
        """Make a cron whose runs are on one thread, or each on a new one; they are runs of `principal`.

        Raises:
            ThreadNotFound: no such thread, another tenant's, or one that `only_threads` hides.
            Invalid: the schedule, the time zone or the webhook is none, or a thread of its own is to be deleted.
            BadRequest: config and context contradict each other.
            Conflict: the tenant has too many.
        """
        now = self._clock()
        next_run_date = _next(draft.schedule, draft.timezone, now, draft.end_time)
        await self._check(draft.payload)
        cron_id = new_id()
        cron = Cron(
            cron_id=cron_id,
            owner=principal,
            assistant_id=draft.assistant_id,
            thread_id=thread_id,
            schedule=draft.schedule,
            timezone=draft.timezone,
            end_time=draft.end_time,
            enabled=draft.enabled,
            on_run_completed=_on_run_completed(draft.on_run_completed, thread_id, "delete"),
            next_run_date=next_run_date,
            payload=_payload({**draft.payload, "assistant_id": str(draft.assistant_id)}, cron_id),
            metadata=draft.metadata,
            created_at=now,
            updated_at=now,
        )

        def work(connection: Connection) -> None:
            if thread_id is not None:
                thread = ThreadRepository(connection, principal.tenant_id, principal.hidden).get(thread_id)
                if not passes(thread.metadata, only_threads):
                    raise ThreadNotFound(thread_id)
            crons = CronRepository(connection, principal.tenant_id)
            if crons.count(CronSearch()) >= MOST:
                raise Conflict(f"There are {MOST} crons already; delete some first.")
            crons.insert(cron)

        await self._database.write(work)
        self._on_change()
        return cron

    async def get(self, principal: Principal, cron_id: UUID, *, only: Filters = None) -> Cron:
        """Return a cron.

        Raises:
            CronNotFound: no such cron, another tenant's, or one that `only` hides.
        """
        return await self._database.read(
            lambda connection: CronRepository(connection, principal.tenant_id).get(cron_id, only=only)
        )

    async def update(self, principal: Principal, cron_id: UUID, change: CronChange, *, only: Filters = None) -> Cron:
        """Change a cron; its next firing is found anew, so that none is made up for.

        Raises:
            CronNotFound: no such cron, another tenant's, or one that `only` hides.
            Invalid: the schedule, the time zone or the webhook is none, or a cron of a thread is to delete it.
            BadRequest: config and context contradict each other.
        """
        await self._check(change.payload)
        now = self._clock()

        def work(connection: Connection) -> Cron:
            crons = CronRepository(connection, principal.tenant_id)
            cron = _changed(crons.get(cron_id, only=only, lock=True), change, now)
            if change.payload:  # what somebody has its owner do may be no more than either of them may
                scopes = cron.owner.scopes & principal.scopes
                cron = replace(cron, owner=replace(cron.owner, scopes=scopes))
            crons.update(cron)
            return cron

        cron = await self._database.write(work)
        self._on_change()
        return cron

    async def delete(self, principal: Principal, cron_id: UUID, *, only: Filters = None) -> None:
        """Remove a cron; runs that it has started go on.

        Raises:
            CronNotFound: no such cron, another tenant's, or one that `only` hides.
        """
        await self._database.write(
            lambda connection: CronRepository(connection, principal.tenant_id).delete(cron_id, only=only)
        )

    async def delete_of_assistant(self, principal: Principal, assistant_id: UUID) -> None:
        """Remove all crons of an assistant."""
        await self._database.write(
            lambda connection: CronRepository(connection, principal.tenant_id).delete_of_assistant(assistant_id)
        )

    async def search(
        self,
        principal: Principal,
        wanted: CronSearch,
        *,
        limit: int,
        offset: int = 0,
        sort_by: CronSortField = "created_at",
        sort_order: SortOrder = "desc",
        only: Filters = None,
    ) -> list[Cron]:
        """Return crons in order.

        Raises:
            Invalid: a filter is not JSON.
        """
        return await self._database.read(
            lambda connection: CronRepository(connection, principal.tenant_id).search(
                wanted, limit=limit, offset=offset, sort_by=sort_by, sort_order=sort_order, only=only
            )
        )

    async def count(self, principal: Principal, wanted: CronSearch, *, only: Filters = None) -> int:
        """Return how many crons a search would find.

        Raises:
            Invalid: a filter is not JSON.
        """
        return await self._database.read(
            lambda connection: CronRepository(connection, principal.tenant_id).count(wanted, only=only)
        )

    async def _check(self, payload: Mapping[str, Any]) -> None:
        try:
            dump_json(payload)
        except TypeError as error:
            raise Invalid(f"The cron cannot be stored: {error}.") from None
        if payload.get("webhook") is not None:
            await self._check_webhook(payload["webhook"])


def _next(schedule: str, timezone: str | None, after: datetime, end_time: datetime | None) -> datetime | None:
    try:
        firing = next_firing(schedule, timezone, after)
    except ValueError as error:
        raise Invalid(str(error)) from None
    return firing if end_time is None or firing <= end_time else None


def _on_run_completed(
    wanted: OnRunCompleted | None, thread_id: UUID | None, default: OnRunCompleted | None
) -> OnRunCompleted | None:
    if thread_id is None:
        return wanted or default
    if wanted == "delete":
        raise Invalid("on_run_completed: this cron has a thread of its own, which its runs do not delete.")
    return None


def _payload(fields: dict[str, Any], cron_id: UUID) -> dict[str, Any]:
    """What is kept of a request: all of it, and the cron's id where clients look for it."""
    config = fields.get("config") or {}
    own = config.get("configurable") or {}
    if not isinstance(own, dict):
        raise Invalid("config.configurable is an object.")
    if fields.get("context") and own.keys() - {"cron_id"}:
        raise BadRequest("Cannot specify both config.configurable and context: give one of them, rather context.")
    return {**fields, "config": {**config, "configurable": {**own, "cron_id": str(cron_id)}}}


def _changed(cron: Cron, change: CronChange, now: datetime) -> Cron:
    schedule = change.schedule or cron.schedule
    timezone = change.timezone or cron.timezone
    end_time = change.end_time if change.has_end_time else cron.end_time
    metadata = {key: value for key, value in cron.metadata.items() if key != DISABLED_REASON or not change.enabled}
    return replace(
        cron,
        schedule=schedule,
        timezone=timezone,
        end_time=end_time,
        enabled=cron.enabled if change.enabled is None else change.enabled,
        on_run_completed=_on_run_completed(change.on_run_completed, cron.thread_id, cron.on_run_completed),
        next_run_date=_next(schedule, timezone, now, end_time),
        payload=_payload({**cron.payload, **change.payload}, cron.cron_id),
        metadata={**metadata, **change.metadata},
        updated_at=now,
    )
