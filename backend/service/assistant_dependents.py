"""What goes with an assistant that is deleted: its active runs, its crons and, when asked for, its threads."""

from contextlib import suppress
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection

from backend.core.error import RunEnded, RunNotFound, ThreadBusy, ThreadNotFound
from backend.database.base import Database
from backend.dto.principal import Principal
from backend.dto.thread import Thread
from backend.repository.cron import CronRepository
from backend.repository.run import RunRepository
from backend.repository.thread import ThreadRepository
from backend.service.run import RunService
from backend.service.thread import ThreadService
from backend.util.containment import Filters, passes

_PAGE = 200


class AssistantDependents:
    """Implements `Dependents`."""

    def __init__(self, database: Database, runs: RunService, threads: ThreadService) -> None:
        self._database = database
        self._runs = runs
        self._threads = threads

    async def end(self, principal: Principal, assistant_id: UUID) -> None:
        tenant = principal.tenant_id
        active = await self._database.read(
            lambda connection: RunRepository(connection, tenant).of_assistant(assistant_id)
        )
        for run in reversed(active):  # the newest first: none is begun to be stopped
            with suppress(RunEnded, RunNotFound):
                await self._runs.cancel(principal, run.run_id)
        await self._database.write(
            lambda connection: CronRepository(connection, tenant).delete_of_assistant(assistant_id)
        )

    async def delete_threads(self, principal: Principal, assistant_id: UUID, only: Filters) -> None:
        tenant = principal.tenant_id
        metadata = {"assistant_id": str(assistant_id)}
        before: tuple[datetime, UUID] | None = None
        while True:

            def work(connection: Connection, behind: tuple[datetime, UUID] | None = before) -> list[Thread]:
                return ThreadRepository(connection, tenant).list(limit=_PAGE, before=behind, metadata=metadata)

            page = await self._database.read(work)
            for thread in page:
                if passes(thread.metadata, only):
                    with suppress(ThreadNotFound, ThreadBusy):
                        await self._threads.delete(principal, thread.thread_id, stop=True)
            if len(page) < _PAGE:
                return
            before = page[-1].updated_at, page[-1].thread_id
