"""Runs, as every door uses them: make, watch, cancel, resume."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import Connection

from backend.core.error import (
    BudgetExceeded,
    Gone,
    Invalid,
    NotInterrupted,
    RunEnded,
    RunNotFound,
    ThreadNotFound,
    Unavailable,
)
from backend.core.run.event_log import EventLog
from backend.core.run.executor import RunExecutor
from backend.database.base import Database
from backend.dto.event import START, Cursor, Event, ThreadCursor
from backend.dto.principal import SCOPES, Principal
from backend.dto.priority import PrioritySettings
from backend.dto.run import CancelAction, IfMissing, Run, RunRequest, RunStatus
from backend.repository.run import AllRuns, RunRepository
from backend.repository.thread import ThreadRepository
from backend.service.budget import Budget
from backend.service.run_ledger import Cancelled, RunLedger
from backend.service.run_priority import RunPriority
from backend.service.run_worker import RunWorker
from backend.util.containment import Filters, passes
from backend.util.id_generator import new_id

MANY = 1000
"""Most runs that are cancelled at once."""
STOP_SECONDS = 10.0
UNENDED: tuple[RunStatus, ...] = ("queued", "pending", "running")
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
        priority: RunPriority | None = None,
        *,
        budget: Budget | None = None,
        admission: Callable[[Principal, RunRequest], Awaitable[RunRequest]] | None = None,
    ) -> None:
        """Every run passes both before it begins.

        `budget` refuses who has used up what they may, but for the answers of people that no model is asked about
        (`RunExecutor.asks_no_model`); `admission` says whether, and how, they may run
        this (`Admission`).
        """
        self._database = database
        self._ledger = ledger
        self._worker = worker
        self._executor = executor
        self._log = log
        self._clock = clock
        self._priority = priority
        self._budget = budget
        self._admission = admission

    async def start(
        self,
        principal: Principal,
        request: RunRequest,
        *,
        thread_id: UUID | None,
        idempotency_key: str | None = None,
        if_missing: IfMissing = "reject",
        after_seconds: float = 0,
        only: Filters = None,
        temporary: bool = False,
        cron_id: str | None = None,
    ) -> Run:
        """Make a run, on a new thread when none is given; it is durable when this returns.

        The same `idempotency_key` with the same request gives the same run again. `if_missing` says whether a thread
        that is not there is made; a thread that does not pass `only` is not there. A `temporary` run takes its thread
        with it when it ends. `cron_id` is the cron that asks.

        Raises:
            AgentNotFound, UnsupportedModel, InvalidGraph: it could not begin.
            Forbidden: the caller may not run this agent, or not with this model.
            Invalid: the input cannot be stored.
            ThreadNotFound, ThreadBusy, ThreadClaimed, NotInterrupted: the thread does not allow it.
            IdempotencyConflict: the key was used with another request.
            BudgetExceeded: the caller, or their tenant, has used up what they may today, or what runs may use the rest.
            Refused, UpstreamFailed, UpstreamTimeout: the project's priority handler did not let it.
        """
        if temporary:
            request = replace(request, temporary=True)
        request = _storable(await self._admitted(principal, request))
        held = new_id()
        try:
            await self._hold(principal, held)
        except BudgetExceeded:
            # What is asked for a second time was let in the first time, and may be what used the budget up.
            known = idempotency_key is not None and await self._ledger.knows(
                principal, request, thread_id, idempotency_key
            )
            if not known and not await self._only_answers(principal, request, thread_id):
                raise
        settings: PrioritySettings | None = None
        try:
            if self._priority is not None and self._priority.enabled:
                settings = await self._priority.settings(
                    principal, request, thread_id=thread_id, if_missing=if_missing, only=only, cron_id=cron_id
                )
        except BaseException:
            self._release(held)
            raise
        start_at = self._clock() + timedelta(seconds=after_seconds) if after_seconds > 0 else None
        return await self._worker.whole(
            self._start(
                principal, request, thread_id, idempotency_key, None, if_missing, start_at, only, settings, held=held
            )
        )

    async def _start(
        self,
        principal: Principal,
        request: RunRequest,
        thread_id: UUID | None,
        idempotency_key: str | None,
        answers: UUID | None,
        if_missing: IfMissing = "reject",
        start_at: datetime | None = None,
        only: Filters = None,
        settings: PrioritySettings | None = None,
        *,
        held: UUID,
    ) -> Run:
        try:
            return await self._made(
                principal, request, thread_id, idempotency_key, answers, if_missing, start_at, only, settings, held
            )
        finally:
            self._release(held)

    async def _made(
        self,
        principal: Principal,
        request: RunRequest,
        thread_id: UUID | None,
        idempotency_key: str | None,
        answers: UUID | None,
        if_missing: IfMissing,
        start_at: datetime | None,
        only: Filters,
        settings: PrioritySettings | None,
        held: UUID,
    ) -> Run:
        with self._worker.room() as begin:
            created = await self._ledger.create(
                principal,
                request,
                thread_id=thread_id,
                idempotency_key=idempotency_key,
                answers=answers,
                begin=begin,
                if_missing=if_missing,
                start_at=start_at,
                only=only,
                settings=settings,
            )
            if not created.new:
                return created.run
            for ended in created.ended:
                self._worker.end_waiting(ended)
            if created.stop is not None:
                self._worker.stop(created.stop.run_id)
            if created.next is not None:
                self._worker.dispatch(created.next)
            if created.run.status == "running" and self._budget is not None:
                self._budget.pass_on(held, created.run.run_id)  # one that waits holds nothing: its turn is asked for
            self._worker.accept(created.run, fresh=created.new_thread)
        self._log.announce(principal.tenant_id, created.run.thread_id)
        return created.run

    async def get(self, principal: Principal, run_id: UUID) -> Run:
        """Return a run.

        Raises:
            RunNotFound: no such run, or another tenant's.
        """
        return await self._database.read(
            lambda connection: RunRepository(connection, principal.tenant_id, principal.hidden).get(run_id)
        )

    async def find(self, principal: Principal, run_id: UUID) -> Run:
        """Return a run as `get` does; also one that lives here, or did a moment ago, and of which nothing is kept.

        Raises:
            RunNotFound: no such run, or another tenant's.
        """
        channel = self._log.find(principal.tenant_id, run_id)
        if channel is not None and channel.run is not None:
            if channel.run.request.agent in principal.hidden:
                raise RunNotFound(run_id)
            return channel.run
        return await self.get(principal, run_id)

    async def figures(self) -> dict[str, dict[str, float]]:
        """Return how many runs of all tenants wait and execute."""
        counts, oldest = await self._database.read(lambda connection: AllRuns(connection).load())
        waited = 0.0 if oldest is None else max(0.0, (self._clock() - oldest).total_seconds())
        waiting = counts.get("pending", 0) + counts.get("queued", 0)
        return {
            "queue": {
                "n_pending": waiting,
                "n_running": counts.get("running", 0),
                "pending_runs_wait_time_max_secs": waited,
            },
            "workers": self._worker.places(),
        }

    async def check_thread(self, principal: Principal, run: Run, only: Filters) -> None:
        """Make sure that the run's thread passes `only`.

        Raises:
            RunNotFound: it does not.
        """
        thread = await self._database.read(
            lambda connection: ThreadRepository(connection, principal.tenant_id).find(run.thread_id)
        )
        channel = self._log.find(principal.tenant_id, run.run_id)
        passing = thread is None and channel is not None and channel.run is not None
        if passing and run.user_id == principal.user_id:
            return  # it has no thread, or none any more, and is the caller's own
        if thread is None or not passes(thread.metadata, only):
            raise RunNotFound(run.run_id)

    async def cancel(
        self, principal: Principal, run_id: UUID, action: CancelAction = "interrupt", *, reason: str | None = None
    ) -> Run:
        """Ask a run to stop; `rollback` also takes back what it did to its thread.

        Raises:
            RunNotFound: no such run, or another tenant's.
            RunEnded: it is over.
        """
        return await self._worker.whole(self._cancel(principal, run_id, action, reason))

    async def _cancel(self, principal: Principal, run_id: UUID, action: CancelAction, reason: str | None) -> Run:
        run = self._worker.detached(run_id)
        if run is not None and run.tenant_id == principal.tenant_id:
            if run.request.agent in principal.hidden:
                raise RunNotFound(run_id)
            self._worker.stop(run_id)
            return run
        cancelled: Cancelled = await self._ledger.cancel(principal, run_id, action, reason)
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
        request = _storable(await self._admitted(principal, request))
        held = new_id()
        if not self._executor.asks_no_model(request):
            await self._hold(principal, held)
        return await self._worker.whole(self._start(principal, request, run.thread_id, None, run_id, held=held))

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

    async def wait_body(self, principal: Principal, run: Run) -> bytes:
        """Return what a run left, as JSON, when it has ended: the state, what it waits for, or why it failed.

        Raises:
            RunNotFound: it was taken back meanwhile, or is another tenant's.
            Unavailable: the server lets go of the run; it goes on with the next start.
        """
        if run.tenant_id != principal.tenant_id:
            raise RunNotFound(run.run_id)
        if not run.ended:
            channel = self._log.find(run.tenant_id, run.run_id)
            if channel is not None:
                await channel.ended()
                if channel.body is not None:
                    return channel.body
            run = await self.get(principal, run.run_id)
            if not run.ended:
                raise Unavailable("The server is stopping; the run goes on when it is back.")
        if run.status in {"error", "timeout"}:
            return orjson.dumps({"__error__": _error(run)})
        tenant = run.tenant_id
        state = await self._database.read(lambda connection: ThreadRepository(connection, tenant).state(run.thread_id))
        if state.interrupts and isinstance(state.values, dict):
            waiting = [one for task in state.interrupts.values() for one in task]
            return orjson.dumps({**state.values, "__interrupt__": waiting})
        return orjson.dumps(state.values)

    async def delete(self, principal: Principal, thread_id: UUID, run_id: UUID) -> None:
        """Remove a run that has ended, with its checkpoints and events; one that has not is stopped first.

        Raises:
            RunNotFound: no such run on the thread.
        """
        run = await self.get(principal, run_id)
        if run.thread_id != thread_id:
            raise RunNotFound(run_id)
        if not run.ended:
            with suppress(RunEnded, RunNotFound):
                await self.cancel(principal, run_id, "rollback")
            channel = self._log.find(run.tenant_id, run_id)
            if channel is not None:
                await channel.ended()
        with suppress(RunNotFound):
            await self._ledger.delete(principal, run_id)

    async def cancel_many(
        self,
        principal: Principal,
        *,
        thread_id: UUID | None = None,
        run_ids: Sequence[UUID] = (),
        statuses: Sequence[RunStatus] = (),
        action: CancelAction = "interrupt",
        only: Filters = None,
    ) -> int:
        """Ask runs to stop: those of a list, or those in some statuses, on one thread or on all; return how many."""
        tenant = principal.tenant_id

        def work(connection: Connection) -> list[Run]:
            runs = RunRepository(connection, tenant, principal.hidden)
            if thread_id is None:
                found = runs.unfinished(statuses, limit=MANY)
            elif run_ids:
                found = [run for run in runs.of(run_ids) if run.thread_id == thread_id]
            else:
                found = runs.list(thread_id, limit=MANY, statuses=statuses)
            if only is None:
                return found
            threads = ThreadRepository(connection, tenant)
            metadata = {run.thread_id: threads.get(run.thread_id).metadata for run in found}
            return [run for run in found if passes(metadata[run.thread_id], only)]

        count = 0
        for run in reversed(await self._database.read(work)):  # the newest first: no run is begun to be stopped
            with suppress(RunEnded, RunNotFound):
                await self.cancel(principal, run.run_id, action)
                count += 1
        return count

    async def stop_all(self, principal: Principal, thread_id: UUID) -> None:
        """Stop a thread's runs, and return when they have ended, or after a while."""
        tenant = principal.tenant_id
        active = await self._database.read(
            lambda connection: RunRepository(connection, tenant).list(thread_id, limit=MANY, statuses=UNENDED)
        )
        for run in active:  # the newest first: none is begun to be stopped
            with suppress(RunEnded, RunNotFound):
                await self.cancel(principal, run.run_id)
        for run in active:
            channel = self._log.find(tenant, run.run_id)
            if channel is not None:
                with suppress(TimeoutError):
                    async with asyncio.timeout(STOP_SECONDS):
                        await channel.ended()

    def position(self, principal: Principal, run: Run) -> Cursor:
        """Return the place behind all that a run has said until now."""
        channel = self._log.find(principal.tenant_id, run.run_id)
        return START if channel is None else Cursor(channel.attempt, channel.seq)

    async def passing(self, principal: Principal, request: RunRequest) -> Run:
        """Return a run that leaves nothing, for `body_of`, which must follow; it has not begun.

        Raises:
            AgentNotFound, UnsupportedModel, InvalidGraph, Invalid: it could not begin.
        """
        run = self._passing(principal, await self._admitted(principal, request))
        await self._hold(principal, run.run_id)
        return run

    async def body_of(self, run: Run) -> bytes:
        """Execute a run that leaves nothing, and return what it answers, as JSON; it stops when this is cancelled."""
        return await self._worker.body(run)

    async def detach(self, principal: Principal, request: RunRequest) -> Run:
        """Begin a run that leaves nothing, and goes on when nobody looks; `events` reads it while it lives.

        Raises:
            AgentNotFound, UnsupportedModel, InvalidGraph, Invalid: it could not begin.
        """
        run = await self.passing(principal, request)
        self._worker.detach(run)
        return run

    async def stateless(self, principal: Principal, request: RunRequest) -> AsyncIterator[list[Event]]:
        """Execute a run that leaves nothing, and yield its events; it stops when this is closed.

        Raises:
            AgentNotFound, UnsupportedModel, InvalidGraph, Invalid: it could not begin.
        """
        async with self._worker.stateless(await self.passing(principal, request)) as channel:
            async for batch in channel.follow(START):
                yield batch

    async def answer(self, principal: Principal, request: RunRequest) -> Event:
        """Execute a run that leaves nothing, and return its last event; it stops when the caller is cancelled.

        Raises:
            AgentNotFound, UnsupportedModel, InvalidGraph, Invalid: it could not begin.
        """
        return await self._worker.answer(await self.passing(principal, request))

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
        await self._database.read(
            lambda connection: ThreadRepository(connection, tenant, principal.hidden).get(thread_id)
        )
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
                    runs = RunRepository(connection, tenant, principal.hidden)
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

    def listening(
        self, principal: Principal, thread_id: UUID, hear: Callable[[str, bytes], None]
    ) -> AbstractContextManager[None]:
        """Let `hear` be told what is said of the tenant's thread outside its runs; it must be quick."""
        return self._log.listening(principal.tenant_id, thread_id, hear)

    async def thread_stream(
        self,
        principal: Principal,
        thread_id: UUID,
        after: ThreadCursor | None,
        *,
        modes: Collection[str],
        only: Filters = None,
    ) -> AsyncIterator[list[tuple[ThreadCursor | None, str, bytes]]]:
        """Yield what happens on a thread: first an empty batch, then lists of cursor, name and data. It never ends.

        `run_modes` are the events of its runs, `lifecycle` their beginnings and ends, `state_update` changes of its
        state from outside.

        Raises:
            ThreadNotFound: no such thread, another tenant's, or one that does not pass `only`.
            Gone: events of a run are no longer kept.
        """
        tenant = principal.tenant_id

        def look(connection: Connection) -> None:
            ThreadRepository(connection, tenant, principal.hidden).get(thread_id, only=only)

        await self._database.read(look)
        yield []
        waiting: asyncio.Queue[list[tuple[ThreadCursor | None, str, bytes]] | BaseException] = asyncio.Queue(8)

        def hear(name: str, data: bytes) -> None:
            if name in modes and not waiting.full():  # who reads slowly gets the next state
                waiting.put_nowait([(None, name, data)])

        async def follow() -> None:
            try:
                async for run_id, batch in self.thread_events(principal, thread_id, after):
                    parts = [part for event in batch for part in _thread_parts(run_id, event, modes)]
                    if parts:
                        await waiting.put(parts)
            except Exception as error:  # noqa: BLE001 - raised where the stream is read
                await waiting.put(error)

        following = asyncio.create_task(follow())
        try:
            with self._log.listening(tenant, thread_id, hear):
                while True:
                    found = await waiting.get()
                    if isinstance(found, BaseException):
                        raise found
                    if principal.hidden and found[0][0] is None:  # the thread may be another graph's by now
                        await self._database.read(look)
                    yield found
        finally:
            following.cancel()

    async def _hold(self, principal: Principal, run_id: UUID) -> None:
        if self._budget is not None:
            await self._budget.hold(principal, run_id)

    def _release(self, run_id: UUID) -> None:
        if self._budget is not None:
            self._budget.release(run_id)

    async def _only_answers(self, principal: Principal, request: RunRequest, thread_id: UUID | None) -> bool:
        """Return whether this answers a thread's interrupt, and no model is asked about it."""
        if thread_id is None or not self._executor.asks_no_model(request):
            return False

        def work(connection: Connection) -> bool:
            thread = ThreadRepository(connection, principal.tenant_id, principal.hidden).find(thread_id)
            if thread is None or thread.agent != request.agent or thread.status != "interrupted":
                return False
            return bool(ThreadRepository(connection, principal.tenant_id).state(thread_id).interrupts)

        return await self._database.read(work)

    async def _admitted(self, principal: Principal, request: RunRequest) -> RunRequest:
        await self._executor.check(request)
        if self._admission is not None:
            request = await self._admission(principal, request)
        scopes = None if principal.scopes >= SCOPES else sorted(principal.scopes & SCOPES)
        return request if request.scopes == scopes else replace(request, scopes=scopes)

    async def list(
        self,
        principal: Principal,
        thread_id: UUID,
        *,
        limit: int = 20,
        offset: int = 0,
        before: UUID | None = None,
        statuses: Sequence[RunStatus] = (),
        only: Filters = None,
    ) -> list[Run]:
        """Return a thread's runs, newest first, from behind the run `before` on.

        Raises:
            ThreadNotFound: no such thread, or another tenant's.
        """
        tenant = principal.tenant_id

        def work(connection: Any) -> Any:
            if not passes(ThreadRepository(connection, tenant, principal.hidden).get(thread_id).metadata, only):
                raise ThreadNotFound(thread_id)
            runs = RunRepository(connection, tenant, principal.hidden)
            return runs.list(thread_id, limit=limit, offset=offset, before=before, statuses=statuses)

        return await self._database.read(work)


def _storable(request: RunRequest) -> RunRequest:
    try:
        orjson.dumps(request)
    except TypeError as error:
        raise Invalid(f"The input cannot be stored: {error}.") from error
    return request


def _error(run: Run) -> dict[str, Any]:
    """Why a run failed, as the Agent Server API says it."""
    result = run.result or {}
    if "error" in result:
        return {"error": result["error"], "message": result.get("message", "")}
    if run.status == "timeout":
        return {"error": "TimeoutError", "message": "The run was stopped at its time limit."}
    return {"error": result.get("title", "Error"), "message": result.get("detail", "")}


def _thread_parts(run_id: UUID, event: Event, modes: Collection[str]) -> list[tuple[ThreadCursor | None, str, bytes]]:
    """What a reader of a thread is told of an event of one of its runs."""
    cursor = ThreadCursor(run_id, event.cursor)
    parts: list[tuple[ThreadCursor | None, str, bytes]] = []
    begins = event.name in {"metadata", "start"}
    if event.name not in {"end", "done"} and ("run_modes" in modes or (begins and "lifecycle" in modes)):
        parts.append((cursor, event.name, event.data))
    if event.ends_run and ("run_modes" in modes or "lifecycle" in modes):
        parts.append((cursor, "metadata", orjson.dumps({"status": "run_done", "run_id": str(run_id)})))
    return parts
