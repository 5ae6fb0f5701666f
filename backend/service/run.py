"""Runs, as every door uses them: make, watch, cancel, resume."""

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from backend.core.error import Gone, Invalid, NotInterrupted, RunNotFound
from backend.core.run.event_log import EventLog
from backend.core.run.executor import RunExecutor
from backend.database.base import Database
from backend.dto.event import START, Cursor, Event
from backend.dto.principal import Principal
from backend.dto.run import CancelAction, Run, RunRequest
from backend.repository.run import RunRepository
from backend.repository.thread import ThreadRepository
from backend.service.run_ledger import Cancelled, RunLedger
from backend.service.run_worker import RunWorker
from backend.util.id_generator import new_id

REPLAY = 100
"""Runs of a thread that a returning viewer is shown at once."""


class RunService:
    def __init__(
        self,
        database: Database,
        ledger: RunLedger,
        worker: RunWorker,
        executor: RunExecutor,
        log: EventLog,
        clock: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._ledger = ledger
        self._worker = worker
        self._executor = executor
        self._log = log
        self._clock = clock

    async def start(
        self,
        principal: Principal,
        request: RunRequest,
        *,
        thread_id: UUID | None,
        idempotency_key: str | None = None,
    ) -> Run:
        """Make a run, on a new thread when none is given; it is durable when this returns.

        The same `idempotency_key` with the same request gives the same run again.

        Raises:
            AgentNotFound, UnsupportedModel, InvalidGraph: it could not begin.
            Invalid: the input cannot be stored.
            ThreadNotFound, ThreadBusy, NotInterrupted: the thread does not allow it.
            IdempotencyConflict: the key was used with another request.
        """
        await self._check(request)
        return await self._worker.whole(self._start(principal, request, thread_id, idempotency_key, None))

    async def _start(
        self,
        principal: Principal,
        request: RunRequest,
        thread_id: UUID | None,
        idempotency_key: str | None,
        answers: UUID | None,
    ) -> Run:
        with self._worker.room() as begin:
            created = await self._ledger.create(
                principal,
                request,
                thread_id=thread_id,
                idempotency_key=idempotency_key,
                answers=answers,
                begin=begin,
            )
            if not created.new:
                return created.run
            for ended in created.ended:
                self._worker.end_waiting(ended)
            if created.stop is not None:
                self._worker.stop(created.stop.run_id)
            self._worker.accept(created.run, fresh=created.new_thread)
        self._log.announce(principal.tenant_id, created.run.thread_id)
        return created.run

    async def get(self, principal: Principal, run_id: UUID) -> Run:
        """Return a run.

        Raises:
            RunNotFound: no such run, or another tenant's.
        """
        return await self._database.read(lambda connection: RunRepository(connection, principal.tenant_id).get(run_id))

    async def cancel(self, principal: Principal, run_id: UUID, action: CancelAction = "interrupt") -> Run:
        """Ask a run to stop; `rollback` also takes back what it did to its thread.

        Raises:
            RunNotFound: no such run, or another tenant's.
            RunEnded: it is over.
        """
        return await self._worker.whole(self._cancel(principal, run_id, action))

    async def _cancel(self, principal: Principal, run_id: UUID, action: CancelAction) -> Run:
        cancelled: Cancelled = await self._ledger.cancel(principal, run_id, action)
        if cancelled.running:
            self._worker.stop(run_id)
        else:
            self._worker.end_waiting(cancelled.run)
            if cancelled.next is not None:
                self._worker.dispatch(cancelled.next)
        return cancelled.run

    async def resume(self, principal: Principal, run_id: UUID, answer: Any) -> Run:
        """Answer the interrupt at which a run stopped, by a new run on its thread.

        Raises:
            RunNotFound: no such run, or another tenant's.
            NotInterrupted: it does not wait, or another run has come since.
            ThreadBusy: somebody else was faster.
        """
        run = await self.get(principal, run_id)
        waits = run.status == "success" and run.result is not None and run.result.get("interrupts")
        if not waits:
            raise NotInterrupted(run.thread_id)
        request = replace(run.request, input=None, resume=answer, has_resume=True, multitask_strategy="reject")
        await self._check(request)
        return await self._worker.whole(self._start(principal, request, run.thread_id, None, run_id))

    def events(self, principal: Principal, run: Run, after: Cursor = START) -> AsyncIterator[list[Event]]:
        """Yield the run's events behind `after`, in batches of all there is.

        It ends after the last event, or without one when the server lets go of the run.

        Raises:
            Gone: events behind `after` are no longer kept.
        """
        if run.tenant_id != principal.tenant_id:
            raise RunNotFound(run.run_id)
        return self._log.read(run.tenant_id, run.run_id, after, ended=run.ended)

    async def wait(self, principal: Principal, run: Run) -> Run:
        """Return the run when it has ended; it may have been given back for another start, and then has not."""
        async for _ in self.events(principal, run):
            pass
        return await self.get(principal, run.run_id)

    async def stateless(self, principal: Principal, request: RunRequest) -> AsyncIterator[list[Event]]:
        """Execute a run that leaves nothing, and yield its events; it stops when this is closed.

        Raises:
            AgentNotFound, UnsupportedModel, InvalidGraph, Invalid: it could not begin.
        """
        await self._executor.check(request)
        async with self._worker.stateless(self._passing(principal, request)) as channel:
            async for batch in channel.follow(START):
                yield batch

    async def answer(self, principal: Principal, request: RunRequest) -> Event:
        """Execute a run that leaves nothing, and return its last event; it stops when the caller is cancelled.

        Raises:
            AgentNotFound, UnsupportedModel, InvalidGraph, Invalid: it could not begin.
        """
        await self._executor.check(request)
        return await self._worker.answer(self._passing(principal, request))

    def _passing(self, principal: Principal, request: RunRequest) -> Run:
        now = self._clock()
        return Run(
            run_id=new_id(),
            thread_id=new_id(),
            tenant_id=principal.tenant_id,
            user_id=principal.user_id,
            status="running",
            attempt=1,
            request=request,
            cancel_action=None,
            result=None,
            created_at=now,
            updated_at=now,
        )

    async def thread_events(
        self, principal: Principal, thread_id: UUID, after: tuple[UUID, Cursor] | None
    ) -> AsyncIterator[tuple[UUID, list[Event]]]:
        """Yield the events of all of a thread's runs, from `after` on or from the run that is active, as they come.

        It never ends by itself.

        Raises:
            ThreadNotFound: no such thread, or another tenant's.
            Gone: events of a run are no longer kept; who comes back with a later cursor, or none, goes on.
        """
        tenant = principal.tenant_id
        await self._database.read(lambda connection: ThreadRepository(connection, tenant).get(thread_id))
        last: UUID | None = None
        start = START
        if after is not None:
            last, start = after
        reached: UUID | None = None
        # Who comes to a thread that rests is shown what comes after its last run, also when that ends at once.
        nothing = UUID(int=0)
        while True:
            coming = self._log.next_run(tenant, thread_id)
            try:
                since = reached or last

                def work(connection: Any, since: UUID | None = since) -> Any:
                    runs = RunRepository(connection, tenant)
                    found = runs.after(thread_id, since, limit=REPLAY)
                    return found, None if found else next(iter(runs.list(thread_id, limit=1)), None)

                found, newest = await self._database.read(work)
                for run in found:
                    if run.run_id == reached:
                        continue
                    cursor = start if run.run_id == last else START
                    told = run.ended
                    try:
                        async for batch in self.events(principal, run, cursor):
                            told = True
                            yield run.run_id, batch
                    except Gone:
                        if run.run_id == last:
                            raise
                    if not told:
                        break  # made, and not yet here: it is about to be announced
                    reached = run.run_id
                else:
                    if not found:
                        reached = nothing if newest is None else newest.run_id
                    if len(found) == REPLAY:
                        continue
                await coming
            finally:
                coming.cancel()

    async def _check(self, request: RunRequest) -> None:
        await self._executor.check(request)
        try:
            orjson.dumps(request)
        except TypeError as error:
            raise Invalid(f"The input cannot be stored: {error}.") from error

    async def list(self, principal: Principal, thread_id: UUID, *, limit: int = 20) -> list[Run]:
        """Return a thread's runs, newest first.

        Raises:
            ThreadNotFound: no such thread, or another tenant's.
        """
        tenant = principal.tenant_id

        def work(connection: Any) -> Any:
            ThreadRepository(connection, tenant).get(thread_id)
            return RunRepository(connection, tenant).list(thread_id, limit=limit)

        return await self._database.read(work)
