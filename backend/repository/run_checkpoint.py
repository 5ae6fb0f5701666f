"""The saver of one attempt of a run: what is saved while something is on its way to the writer goes with the next.

A small run saves some six times within a few milliseconds. Each alone is a way to the writer and back, and pages that
the next one writes again. So while one commit is made, rows are gathered for the next, and what is left at the end
joins the commit that ends the run. LangGraph's durability `async` lets a run go on before its checkpoints are kept;
with `sync` whoever saves waits.
"""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import CheckpointTuple
from loguru import logger
from sqlalchemy import Connection

from backend.core.error import Fenced, Unavailable
from backend.database.prepared import Params, Prepared
from backend.database.tenant_scope import name_tenant
from backend.dto.run import Run
from backend.repository.checkpoint import Checkpointer, Fence

MOST = 64
"""Most statements that wait; whoever saves one more waits for them."""

_Statement = tuple[Prepared, Params | Sequence[Params]]


class RunCheckpointer(Checkpointer):
    """A `Checkpointer` for one attempt. It reads what it was given; others do when that is kept."""

    def __init__(self, kept: Checkpointer, run: Run, *, fresh: bool = False) -> None:
        """`fresh`: the thread has no checkpoint, so the first look-up needs no query."""
        fence = Fence(run.run_id, run.attempt)
        super().__init__(kept._database, tenant_id=run.tenant_id, fence=fence, fresh=fresh, serde=kept.serde)
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._run = run
        self._at_once = run.request.durability == "sync"
        self._waiting: list[_Statement] = []
        self._turn = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        """Keeps what waits."""
        self._fenced = False
        self._closed = False

    async def flush(self) -> None:
        """Return when all that was saved is kept.

        Raises:
            Fenced: the attempt is not the current one any more.
            Unavailable: the database does not answer; what was saved still waits.
        """
        async with self._turn:
            if self._closed or not self._waiting:
                return
            statements = tuple(self._waiting)

            def work(connection: Connection) -> None:
                name_tenant(connection, self._tenant_id)
                if self._fence is not None:
                    self._fence.check(connection)
                self._put(statements, connection)

            try:
                await self._database.write(work, durable=False)
            except Fenced:
                self._fenced = True
                raise
            del self._waiting[: len(statements)]

    async def close(self) -> Callable[[Connection], None]:
        """Take nothing more; return what keeps the rest as a part of a larger unit of work."""
        self._closed = True
        async with self._turn:
            return partial(self._put, tuple(self._waiting))

    def drop(self) -> None:
        """Take nothing more, and keep nothing that still waits."""
        self._closed = True
        if self._task is not None:
            self._task.cancel()

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        if self._waiting:
            await self.flush()
        return await super().aget_tuple(config)

    async def alist(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[CheckpointTuple]:
        await self.flush()
        async for found in super().alist(config, filter=filter, before=before, limit=limit):
            yield found

    async def _write(self, statement: Prepared, params: Params | Sequence[Params]) -> None:
        if self._closed or self._fenced:
            raise Fenced(self._run.run_id, self._run.attempt)
        self._waiting.append((statement, params))
        if self._at_once or len(self._waiting) > MOST:
            await self.flush()
        elif self._task is None or self._task.done():
            self._task = asyncio.create_task(self._keep())

    async def _keep(self) -> None:
        try:
            while self._waiting and not self._closed:
                await self.flush()
        except Fenced:
            pass  # whoever saves next hears of it
        except Unavailable as error:
            logger.warning("checkpoints are kept later: {error}", error=error)
        except Exception:  # noqa: BLE001 - a task of ours ends here
            logger.exception("checkpoints could not be kept")

    def _put(self, statements: Sequence[_Statement], connection: Connection) -> None:
        name_tenant(connection, self._tenant_id)
        for statement, params in statements:
            statement.run(connection, params)
