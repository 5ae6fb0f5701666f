"""Executes runs in this process: the embedded dispatch, one asyncio task a run.

The ledger says what may run; the worker only does it. An attempt is begun, watched (time limit, cancel, drain), and its
end recorded; then the thread's next run follows.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal, Self, TypeVar
from uuid import UUID

import orjson
from loguru import logger

from backend.core.error import BudgetExceeded, Fenced, Invalid, Unavailable
from backend.core.run.encoder import encode
from backend.core.run.event_log import Channel, EventLog
from backend.core.run.executor import Attempt, Outcome, RunExecutor, failure
from backend.database.base import Database
from backend.dto.event import Event
from backend.dto.principal import Principal
from backend.dto.run import Run
from backend.dto.usage import Usage
from backend.repository.checkpoint import Checkpointer
from backend.repository.run import AllRuns
from backend.repository.run_checkpoint import RunCheckpointer
from backend.repository.run_event import AllRunEvents
from backend.service.budget import Budget
from backend.service.run_backlog import Backlog
from backend.service.run_ledger import RunLedger, last_name

ABANDON_SECONDS = 5.0
"""How long a stopped attempt may take to let go; then it is left behind, fenced."""
SWEEP_SECONDS = 60.0
LONGEST_SECONDS = 86_400.0
"""Longest timer: event loops refuse very long ones."""
RETRY_SECONDS = (0.05, 0.2, 1.0, 3.0, 10.0, 30.0)
"""Pauses before a database that does not answer is asked again: a run without its end keeps its thread busy."""

T = TypeVar("T")

Reason = Literal["cancel", "timeout", "shutdown"]


@dataclass(slots=True)
class _Live:
    """A run that this process executes."""

    run: Run
    stop: asyncio.Future[Reason]


class RunWorker:
    def __init__(
        self,
        ledger: RunLedger,
        executor: RunExecutor,
        log: EventLog,
        checkpointer: Checkpointer,
        database: Database,
        clock: Callable[[], datetime],
        *,
        concurrency: int,
        timeout: float,
        drain_seconds: float,
        event_ttl: float,
        idempotency_ttl: float,
        used: Callable[[Run, Usage], None] | None = None,
        budget: Budget | None = None,
    ) -> None:
        """`used` is told what runs that are kept nowhere used of the models, also those whose caller left.

        `budget` is asked again before a run that had to wait begins: it refuses with `BudgetExceeded`. What a run holds
        of it ends with the run.
        """
        self._ledger = ledger
        self._executor = executor
        self._log = log
        self._checkpointer = checkpointer
        self._database = database
        self._clock = clock
        self._concurrency = concurrency
        self._timeout = timeout
        self._drain_seconds = drain_seconds
        self._event_ttl = timedelta(seconds=event_ttl)
        self._idempotency_ttl = timedelta(seconds=idempotency_ttl)
        self._used = used
        self._budget = budget
        self._live: dict[UUID, _Live] = {}
        self._detached: dict[UUID, _Live] = {}
        """Runs that are kept nowhere and that nobody's connection holds."""
        self._backlog = Backlog()
        self._kept = 0
        """Places that are kept for runs which are just being made."""
        self._tasks: set[asyncio.Task[Any]] = set()
        self._background: list[asyncio.Task[None]] = []
        self._idle = asyncio.Event()
        self._idle.set()
        self._draining = False

    async def __aenter__(self) -> Self:
        """Begin: take up what a dead server left, then what comes."""
        recovered = await self._ledger.recover()
        if recovered.pending or recovered.ended:
            logger.info(
                "{pending} runs are taken up again, {ended} given up",
                pending=len(recovered.pending),
                ended=len(recovered.ended),
            )
        for run in recovered.waiting:
            self._channel(run)
            self._delay(run)
        for run in recovered.pending:
            self._channel(run)
            self._backlog.add(run)
        self._fill()
        self._background = [
            asyncio.create_task(self._log.flush_forever(), name="event-flush"),
            asyncio.create_task(self._sweep_forever(), name="sweep"),
        ]
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.drain()
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        await self._log.flush()

    @property
    def has_room(self) -> bool:
        """Whether a run would begin at once."""
        return len(self._live) + self._kept < self._concurrency and not self._draining

    def places(self) -> dict[str, float]:
        """Return how many runs may execute at once here, and how many do."""
        busy = len(self._live) + len(self._detached)
        return {"max": self._concurrency, "active": busy, "available": max(0, self._concurrency - busy)}

    @contextmanager
    def room(self) -> Iterator[bool]:
        """Say whether a run that is made and accepted herein may begin at once; its place is kept until then."""
        has_room = self.has_room
        self._kept += has_room
        try:
            yield has_room
        finally:
            self._kept -= has_room
            self._fill()

    async def whole(self, work: Coroutine[Any, Any, T]) -> T:
        """Return what `work` returns; it goes to its end also when the caller goes away.

        Between a commit and what must follow it (begin the run, stop the run) nobody may be lost.
        """
        return await asyncio.shield(self._spawn(work))

    def accept(self, run: Run, *, fresh: bool) -> None:
        """Take a run that was just made, on a thread without checkpoints (`fresh`) or not; a queued one waits."""
        channel = self._log.channel(run.run_id, run.tenant_id, new=True, kept=run.request.kept)
        self._delay(run)
        if self._draining and run.status != "running":
            self._log.end(channel)  # the next start takes it up
        elif run.status != "queued":
            self.dispatch(run, fresh=fresh)

    def dispatch(self, run: Run, *, fresh: bool = False) -> None:
        """Execute a run: pending, or already running as the attempt that it carries."""
        self._channel(run)
        if self._draining:
            # The next start takes it up; a run that was begun already is given back.
            if run.status == "running":
                self._spawn(self._give_back(run))
        elif run.status == "running" or (self.has_room and not self._backlog):
            self._begin(run, fresh=fresh)
        else:
            self._backlog.add(run)

    def stop(self, run_id: UUID) -> None:
        """Stop a run whose cancelling has been recorded."""
        live = self._live.get(run_id) or self._detached.get(run_id)
        if live is not None and not live.stop.done():
            live.stop.set_result("cancel")

    def withdraw(self, run: Run) -> None:
        """Do not begin a run that is not pending any more; its readers go on waiting."""
        self._backlog.discard(run)

    def end_waiting(self, run: Run) -> None:
        """Tell the readers of a run that was never begun that it has ended."""
        channel = self._channel(run)
        channel.begin(run.attempt + 1)
        last = channel.seal(last_name(run), encode(run.result))[-1]
        channel.body = b"null"
        self._log.end(channel, last)

    def _channel(self, run: Run) -> Channel:
        return self._log.channel(run.run_id, run.tenant_id, kept=run.request.kept)

    def _delay(self, run: Run) -> None:
        """Wake a run that is to begin later when its time has come."""
        if run.status != "queued" or run.start_at is None:
            return
        seconds = max(0.0, (run.start_at - self._clock()).total_seconds())
        asyncio.get_running_loop().call_later(min(seconds, LONGEST_SECONDS), self._look, run)

    def _look(self, run: Run) -> None:
        if not self._draining:
            self._spawn(self._wake(run))

    async def _wake(self, run: Run) -> None:
        if run.start_at is not None and run.start_at > self._clock():
            self._delay(run)  # the timer was shorter than the wait, or the clock was set back
            return
        try:
            due = await self._insist(lambda: self._ledger.wake(run))
        except Unavailable:
            logger.exception("run {run_id} could not be begun in its time", run_id=run.run_id)
            return
        if due is not None:
            self.dispatch(due)

    async def drain(self) -> None:
        """Let the runs end; what has not within the drain time is given back for the next start."""
        self._draining = True
        for run in self._backlog:  # still pending: the next start begins them
            self._log.end(self._log.channel(run.run_id, run.tenant_id))
        self._backlog.clear()
        if self._live or self._detached:
            logger.info("draining {count} runs", count=len(self._live) + len(self._detached))
            try:
                async with asyncio.timeout(self._drain_seconds):
                    await self._idle.wait()
                    while self._detached:
                        await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
            except TimeoutError:
                for live in [*self._live.values(), *self._detached.values()]:
                    if not live.stop.done():
                        live.stop.set_result("shutdown")
        while self._tasks:
            await asyncio.wait(self._tasks)
        self._log.close()

    async def answer(self, run: Run) -> Event:
        """Execute a run that is kept nowhere, for a caller who wants only its end; return its last event."""
        channel = self._log.ephemeral(run.run_id, run.tenant_id)
        channel.begin(run.attempt)
        outcome = await self._execute_stateless(run, channel, streamed=False)
        return self._last_stateless(run, channel, outcome)

    def detached(self, run_id: UUID) -> Run | None:
        """Return a run that is kept nowhere and lives here."""
        live = self._detached.get(run_id)
        return None if live is None else live.run

    def detach(self, run: Run) -> None:
        """Execute a run that is kept nowhere, whether anybody looks or not."""
        channel = self._log.ephemeral(run.run_id, run.tenant_id, found=True)
        channel.run = run
        channel.begin(run.attempt)
        live = self._detached[run.run_id] = _Live(run, asyncio.get_running_loop().create_future())
        self._spawn(self._tell_detached(live, channel))

    async def _tell_detached(self, live: _Live, channel: Channel) -> None:
        run = live.run
        body = asyncio.create_task(self._execute_stateless(run, channel))
        try:
            either: set[asyncio.Future[Any]] = {body, live.stop}
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if not body.done():
                body.cancel()
                await asyncio.wait({body}, timeout=ABANDON_SECONDS)
            if body.done() and not body.cancelled():
                outcome = body.result()
                channel.body = outcome.body
                last = self._last_stateless(run, channel, outcome)
            else:
                channel.body = b"null"
                last = channel.seal(last_name(run), b'{"status":"interrupted"}')[-1]
            self._log.end(channel, last, linger=True)
        finally:
            del self._detached[run.run_id]
            self._release(run)

    async def body(self, run: Run) -> bytes:
        """Execute a run that is kept nowhere, for a caller who wants only what it leaves; return that as JSON."""
        channel = self._log.ephemeral(run.run_id, run.tenant_id)
        channel.begin(run.attempt)
        outcome = await self._execute_stateless(run, channel, streamed=False)
        return outcome.body or b"null"

    @asynccontextmanager
    async def stateless(self, run: Run) -> AsyncIterator[Channel]:
        """Execute a run that is kept nowhere, as long as the caller stays."""
        channel = self._log.ephemeral(run.run_id, run.tenant_id)
        channel.begin(run.attempt)
        task = asyncio.create_task(self._tell_stateless(run, channel))
        try:
            yield channel
        finally:
            task.cancel()
            await asyncio.wait({task}, timeout=ABANDON_SECONDS)
            self._release(run)

    async def _tell_stateless(self, run: Run, channel: Channel) -> None:
        outcome = await self._execute_stateless(run, channel)
        channel.end(self._last_stateless(run, channel, outcome))

    @staticmethod
    def _last_stateless(run: Run, channel: Channel, outcome: Outcome) -> Event:
        try:
            return channel.seal(outcome.last_event, encode(outcome.result))[-1]
        except TypeError as error:
            return channel.seal("error", encode(failure(run, error).result))[-1]

    async def _execute_stateless(self, run: Run, channel: Channel, *, streamed: bool = True) -> Outcome:
        try:
            attempt = self._executor.attempt(run, channel, None, streamed=streamed)
        except BaseException:
            self._release(run)
            raise
        limit = asyncio.timeout(min(run.request.timeout or self._timeout, self._timeout))
        try:
            async with limit:
                return await attempt.execute()
        except TimeoutError as error:
            return attempt.ended("timeout") if limit.expired() else failure(run, error)
        except Exception as error:  # noqa: BLE001 - a task of ours ends here
            return failure(run, error)
        finally:
            usage = attempt.usage
            if self._used is not None:
                self._used(run, usage)
            self._release(run, usage)

    def _release(self, run: Run, usage: Usage | None = None) -> None:
        if self._budget is not None:
            self._budget.release(run.run_id, usage)

    def _begin(self, run: Run, *, fresh: bool = False) -> None:
        live = _Live(run, asyncio.get_running_loop().create_future())
        self._live[run.run_id] = live
        self._idle.clear()
        self._spawn(self._supervise(live, fresh))

    def _fill(self) -> None:
        while self._backlog and self.has_room:
            self._begin(self._backlog.take())

    def _spawn(self, work: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _supervise(self, live: _Live, fresh: bool) -> None:
        following: Run | None = None
        claimed: Run | None = None
        try:
            if live.run.status != "running":
                claimed = await self._insist(lambda: self._ledger.claim(live.run))
                if claimed is None:
                    return
                live.run = claimed
                if claimed.cancel_action is not None and not live.stop.done():
                    live.stop.set_result("cancel")
            with logger.contextualize(run_id=str(live.run.run_id), tenant_id=live.run.tenant_id):
                following = await self._execute(live, fresh, waited=claimed is not None)
        except Fenced:
            logger.warning("run {run_id} was taken over by another attempt", run_id=live.run.run_id)
            self._log.end(self._channel(live.run))
        except Exception:  # noqa: BLE001 - a task of ours ends here
            # The database failed: the run stays as it is, and the next start takes it up.
            logger.exception("the end of run {run_id} could not be recorded", run_id=live.run.run_id)
            self._log.end(self._channel(live.run))
        finally:
            if self._live.get(live.run.run_id) is live:  # else it was dispatched again meanwhile
                del self._live[live.run.run_id]
                self._release(live.run)
            if following is not None:
                self.dispatch(following)
            self._fill()
            if not self._live:
                self._idle.set()

    async def _execute(self, live: _Live, fresh: bool, *, waited: bool) -> Run | None:
        """Execute the attempt to its end; return the thread's next run.

        One that `waited` was let in by what had been used when it was made: any number may have run since.
        """
        run = live.run
        channel = self._channel(run)
        channel.begin(run.attempt)
        saver = RunCheckpointer(self._checkpointer, run, fresh=fresh)
        try:
            try:
                if waited and (budget := self._budget) is not None:
                    begun = run.attempt > 1  # by a server that died: it is finished
                    refuse = not begun and not self._executor.asks_no_model(run.request)
                    who = Principal(run.tenant_id, run.user_id)
                    await self._insist(lambda: budget.hold(who, run.run_id, refuse=refuse))
            except BudgetExceeded as error:
                return await self._finish(run, channel, saver, failure(run, error))
            try:
                attempt = self._executor.attempt(run, channel, saver)
            except Exception as error:  # noqa: BLE001 - its agent or model is not there any more
                return await self._finish(run, channel, saver, failure(run, error))
            outcome = await self._watch(live, attempt)
            if outcome is None:
                await saver.flush()
                await self._give_back(run)
                return None
            return await self._finish(run, channel, saver, outcome)
        finally:
            saver.drop()

    async def _finish(self, run: Run, channel: Channel, saver: RunCheckpointer, outcome: Outcome) -> Run | None:
        """Record the end of an attempt, then show it; return the thread's next run."""
        # A graph can end with what JSON cannot say (a lone surrogate) or PostgreSQL cannot keep (a NUL).
        try:
            outcome, data = _shown(outcome)
        except TypeError as error:
            outcome, data = _shown(replace(failure(run, error), usage=outcome.usage))
        events = channel.seal(outcome.last_event, data)
        kept = events if run.request.kept else ()
        if run.request.temporary:
            channel.run = run  # its row goes with its end; those who come back to it still find it here
        saved = await saver.close()
        try:
            following = await self._insist(lambda: self._ledger.finish(run, outcome, kept, saved))
        except Invalid as error:
            outcome, data = _shown(replace(failure(run, error), usage=outcome.usage))
            events[-1] = replace(events[-1], name=outcome.last_event, data=data)
            try:
                following = await self._insist(lambda: self._ledger.finish(run, outcome, kept, saved))
            except Invalid:  # then what it saved is what cannot be stored
                following = await self._insist(lambda: self._ledger.finish(run, outcome, kept))
        await self._log.settle(channel)
        channel.body = outcome.body
        self._log.end(channel, events[-1], linger=run.request.temporary)
        return following

    async def _insist(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Ask the database until it answers, for some time; not while draining: the next start knows what to do."""
        for seconds in RETRY_SECONDS:
            try:
                return await ask()
            except Unavailable as error:
                if self._draining:
                    raise
                logger.warning("asked again in {seconds} s: {error}", seconds=seconds, error=error)
                await asyncio.sleep(seconds)
        return await ask()

    async def _watch(self, live: _Live, attempt: Attempt) -> Outcome | None:
        """Return how the attempt ended; None when it is to be begun again by the next start."""
        body = asyncio.create_task(attempt.execute())
        limit = min(live.run.request.timeout or self._timeout, self._timeout)
        either: set[asyncio.Future[Any]] = {body, live.stop}
        await asyncio.wait(either, timeout=limit, return_when=asyncio.FIRST_COMPLETED)
        if not body.done():
            reason: Reason = live.stop.result() if live.stop.done() else "timeout"
            body.cancel()
            await asyncio.wait({body}, timeout=ABANDON_SECONDS)
            if not body.done():
                logger.error("a node of agent {agent} does not let itself be stopped", agent=live.run.request.agent)
            elif not body.cancelled() and body.exception() is None:
                return body.result()  # it was done in the very moment
            if reason == "shutdown":
                return None
            return attempt.ended("cancelled" if reason == "cancel" else "timeout")
        if body.cancelled():
            return attempt.failed(RuntimeError("The graph cancelled itself."))
        if (error := body.exception()) is not None:
            if isinstance(error, Fenced):
                raise error
            return attempt.failed(error)
        return body.result()

    async def _give_back(self, run: Run) -> None:
        await self._ledger.release(run)
        self._log.end(self._channel(run))

    async def _sweep_forever(self) -> None:
        """Let go of what has been kept long enough."""
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            try:
                await self.sweep()
            except Exception:  # noqa: BLE001 - a task of ours
                logger.exception("the sweep failed")

    async def sweep(self) -> None:
        """Drop the events of runs that ended long ago, and old idempotency keys."""
        now = self._clock()
        while await self._database.write(
            lambda connection: AllRunEvents(connection).expire(now - self._event_ttl), durable=False
        ):
            pass
        await self._database.write(
            lambda connection: AllRuns(connection).forget_keys(now - self._idempotency_ttl), durable=False
        )


def _shown(outcome: Outcome) -> tuple[Outcome, bytes]:
    """Return the outcome with its result as JSON, and the same JSON as its last event's data: serialized once for both.

    Raises:
        TypeError: JSON cannot say it.
    """
    data = encode(outcome.result)
    return replace(outcome, result=orjson.Fragment(data)), data
