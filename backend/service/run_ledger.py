"""The states of a run. Each method is one transaction, and the only way from one state to another.

    (new) ──> queued ──> pending ──> running ──> success | error | timeout | interrupted
                │           │  ^        │
                └───────────┴──┼────────┘ (cancelled: interrupted)
                               └ given back (drain, death of the server)

At most one run of a thread is pending or running: an index of the table says so. `attempt` grows with every begin, and
what an attempt writes is refused once it is not the current one any more.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

import orjson
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from backend.core.error import (
    Conflict,
    IdempotencyConflict,
    NotInterrupted,
    RunEnded,
    ThreadBusy,
    ThreadClaimed,
    ThreadExists,
    ThreadNotFound,
)
from backend.core.run.encoder import encode
from backend.core.run.executor import Outcome
from backend.database.base import Database
from backend.dto.event import Cursor, Event
from backend.dto.principal import DESK_AGENTS, Principal
from backend.dto.priority import PrioritySettings
from backend.dto.run import CancelAction, IfMissing, Run, RunRequest, RunStatus
from backend.dto.thread import Thread, ThreadClaim, ThreadStatus, TtlRule
from backend.dto.usage import UsageRecord
from backend.repository.checkpoint import Checkpointer
from backend.repository.run import AllRuns, RunRepository
from backend.repository.run_event import EventBatch, RunEventRepository
from backend.repository.thread import AllThreads, ThreadRepository
from backend.repository.thread_priority import ThreadPriorityRepository
from backend.repository.usage import UsageRepository
from backend.service.run_webhook import RunWebhook
from backend.util.containment import Filters, passes, plain_filters
from backend.util.id_generator import new_id


@dataclass(frozen=True, slots=True)
class Created:
    """A run that was made, or that an idempotency key found again."""

    run: Run
    new: bool = True
    new_thread: bool = False
    """Whether its thread has no checkpoint."""
    stop: Run | None = None
    """The thread's running run, which this one asks to stop."""
    ended: tuple[Run, ...] = ()
    """Waiting runs that this one ended."""
    next: Run | None = None
    """Another run of the thread, now pending: its time came with this one's making."""


@dataclass(frozen=True, slots=True)
class Cancelled:
    """What became of a request to cancel."""

    run: Run
    running: bool
    """Whether an attempt must still be stopped; otherwise the run has ended."""
    next: Run | None = None
    """The thread's next run, now pending."""


@dataclass(frozen=True, slots=True)
class Held:
    """What became of the runs of a thread that was taken over."""

    claim: ThreadClaim
    stop: Run | None = None
    """Its running run, which is asked to stop."""
    demoted: Run | None = None
    """Its pending run, which waits again."""


@dataclass(frozen=True, slots=True)
class Recovered:
    """What a dead server left."""

    pending: tuple[Run, ...]
    """To be begun, in the order of their making."""
    waiting: tuple[Run, ...]
    """Queued behind one of them."""
    ended: tuple[Run, ...]
    """Given up."""


@dataclass(frozen=True, slots=True)
class _Room:
    """What the double-texting policy left on a thread."""

    taken: bool = False
    """Whether a run is still before the new one."""
    stop: Run | None = None
    ended: tuple[Run, ...] = ()


class RunLedger:
    def __init__(
        self,
        database: Database,
        checkpointer: Checkpointer,
        clock: Callable[[], datetime],
        *,
        max_losses: int = 3,
        idempotency_seconds: float = 86_400,
        webhook: RunWebhook | None = None,
        default_ttl: TtlRule | None = None,
        counted: Callable[[UsageRecord], None] | None = None,
    ) -> None:
        """`default_ttl` is of the threads that are made for runs; `counted` is told of each usage once it is kept."""
        self._database = database
        self._checkpointer = checkpointer
        self._clock = clock
        self._max_losses = max_losses
        self._idempotency = timedelta(seconds=idempotency_seconds)
        self._webhook = webhook
        self._default_ttl = default_ttl
        self._counted = counted

    async def create(
        self,
        principal: Principal,
        request: RunRequest,
        *,
        thread_id: UUID | None,
        idempotency_key: str | None = None,
        answers: UUID | None = None,
        begin: bool = False,
        if_missing: IfMissing = "reject",
        start_at: datetime | None = None,
        only: Filters = None,
        settings: PrioritySettings | None = None,
    ) -> Created:
        """Make a run; without a thread, on a new one. `begin` makes it running at once if nothing is before it.

        `answers` is the run whose interrupt this one answers: it must be the thread's last. `if_missing` says whether
        a thread that is not there is made; before `start_at` the run does not begin; a thread that does not pass
        `only` is not there. The thread keeps `settings`, if it has none yet, and the run is made with what it has.

        Raises:
            ThreadNotFound: no such thread.
            ThreadClaimed: a person has taken it over.
            Conflict: it is the support desk's, and the agent is not.
            ThreadBusy: it has a run that has not ended, and the request rejects that or answers an interrupt.
            NotInterrupted: the request answers an interrupt, and there is none.
            IdempotencyConflict: the key was used for another request.
        """
        tenant = principal.tenant_id
        digest = _digest(principal, request, thread_id) if idempotency_key is not None else None

        def work(connection: Connection) -> Created:
            now = self._clock()
            runs = RunRepository(connection, tenant)
            threads = ThreadRepository(connection, tenant, principal.hidden)
            if idempotency_key is not None:
                found = self._by_key(runs, idempotency_key, digest, now)
                if found is not None:
                    return Created(found, new=False)
            room = _Room()
            thread = None if thread_id is None else threads.find(thread_id, lock=True)
            if thread is not None and not passes(thread.metadata, only):
                raise ThreadNotFound(thread_id)
            if thread is not None and thread.agent in DESK_AGENTS and request.agent not in DESK_AGENTS:
                # Of the agent of its last run is a thread: it would be shown to who may not see what it holds.
                raise Conflict(f"Thread {thread_id} is the support desk's; run {request.agent!r} on another thread.")
            following: Run | None = None
            if thread is not None and thread.claim is not None:
                thread, following = self._past_claim(connection, thread, now)
            empty = thread is None
            on = thread_id or new_id()
            asked = request
            if thread is None:
                if thread_id is not None and if_missing == "reject":
                    raise ThreadNotFound(thread_id)
                given = request.metadata if request.dialect != "chat" else {}
                metadata = {**given, **_named(request), **_owned(only)}
                config = _config(None, request)
                ttl = None if self._default_ttl is None else self._default_ttl.since(now)
                threads.insert(Thread(on, tenant, "busy", request.agent, metadata, now, now, config=config, ttl=ttl))
            else:
                room = self._make_room(connection, thread, request, now)
                if answers is not None and [last.run_id for last in runs.list(on, limit=1)] != [answers]:
                    raise NotInterrupted(on)
                saver = Checkpointer(self._database, tenant_id=tenant)
                empty = thread.agent is None and saver.head_in(connection, on) is None
                asked = _with_config_of(thread, request)
                threads.begin_run(
                    thread, now, agent=request.agent, metadata=_named(request), config=_config(thread, request)
                )
            if settings is not None:
                held = settings
                if not request.temporary:
                    held = ThreadPriorityRepository(connection, tenant).keep(on, settings)
                asked = replace(asked, priority=held.priority, fairness=held.fairness)
            later = start_at is not None and start_at > now
            begins = begin and not room.taken and not later
            run = Run(
                run_id=new_id(),
                thread_id=on,
                tenant_id=tenant,
                user_id=principal.user_id,
                status="running" if begins else "queued" if room.taken or later else "pending",
                attempt=1 if begins else 0,
                request=asked,
                cancel_action=None,
                result=None,
                created_at=start_at if later and start_at is not None else now,
                updated_at=now,
                start_at=start_at if later else None,
            )
            runs.insert(run, idempotency_key, digest)
            return Created(run, new_thread=empty, stop=room.stop, ended=room.ended, next=following)

        try:
            return await self._database.write(work)
        except (IntegrityError, ThreadExists):
            # Two with one key, or two that make one thread, at the same moment: the other's is there now.
            return await self._database.write(work)

    async def knows(
        self, principal: Principal, request: RunRequest, thread_id: UUID | None, idempotency_key: str
    ) -> bool:
        """Return whether `create` would find the run of an idempotency key. Raises IdempotencyConflict as it does."""
        digest = _digest(principal, request, thread_id)

        def work(connection: Connection) -> bool:
            runs = RunRepository(connection, principal.tenant_id)
            return self._by_key(runs, idempotency_key, digest, self._clock()) is not None

        return await self._database.write(work)

    async def wake(self, run: Run) -> Run | None:
        """Make a run whose time has come pending; None when it must still wait for its thread, or is gone."""
        tenant = run.tenant_id

        def work(connection: Connection) -> Run | None:
            now = self._clock()
            runs = RunRepository(connection, tenant)
            thread = ThreadRepository(connection, tenant).find(run.thread_id, lock=True)
            if thread is None or thread.claimed(now) or runs.active(run.thread_id) is not None:
                return None
            return runs.promote(run.thread_id, now)

        return await self._database.write(work)

    async def claim(self, run: Run) -> Run | None:
        """Begin a pending run as a new attempt; None when it is not pending any more."""
        now = self._clock()
        return await self._database.write(
            lambda connection: RunRepository(connection, run.tenant_id).claim(run.run_id, now)
        )

    async def finish(
        self,
        run: Run,
        outcome: Outcome,
        events: Sequence[Event] = (),
        save: Callable[[Connection], None] | None = None,
    ) -> Run | None:
        """End an attempt's run with its last events and its usage; return the thread's next run, now pending.

        `save` keeps the checkpoints that are not kept yet. A run that was to be rolled back leaves nothing: no
        checkpoint and no row.

        Raises:
            Fenced: the attempt is not the current one, or the run has ended.
        """

        def work(connection: Connection) -> Run | None:
            now = self._clock()
            ThreadRepository(connection, run.tenant_id).lock(run.thread_id)
            runs = RunRepository(connection, run.tenant_id)
            asked = runs.finish(run.run_id, run.attempt, outcome.status, outcome.result, now)
            if save is not None:
                save(connection)
            rolled_back = asked == "rollback" and outcome.status == "interrupted"
            if rolled_back:
                self._roll_back(connection, run)
            elif events:
                batch = EventBatch(run.run_id, run.attempt, events[0].cursor.seq, events)
                RunEventRepository(connection, run.tenant_id).add(batch)
            if outcome.usage is not None and outcome.usage.calls:
                UsageRepository(connection, run.tenant_id).add(
                    run.run_id, run.user_id, outcome.usage, now, agent=run.request.agent
                )
            stopped = outcome.status in {"interrupted", "timeout"}
            if stopped and run.request.has_resume:
                self._saver(run).drop_answers_in(connection, run.thread_id)
            status = self._left(connection, run) if stopped else outcome.thread_status
            if stopped and run.request.dialect != "chat" and not rolled_back:
                status = "interrupted" if outcome.status == "interrupted" else "error"
            if self._webhook is not None:
                self._webhook.tell_in(connection, run, outcome, "rollback" if rolled_back else outcome.status, now)
            if run.request.temporary:
                self._saver(run).delete_in(connection, [run.thread_id])
                ThreadRepository(connection, run.tenant_id).delete(run.thread_id)
                return None
            return self._hand_over(connection, run, status, now, None if rolled_back else outcome)

        following = await self._database.write(work)
        if self._counted is not None and outcome.usage is not None and outcome.usage.calls:
            agent = run.request.agent
            self._counted(UsageRecord(run.run_id, run.tenant_id, run.user_id, outcome.usage, self._clock(), agent))
        if self._webhook is not None:
            self._webhook.wake(run)
        return following

    async def cancel(
        self, principal: Principal, run_id: UUID, action: CancelAction, reason: str | None = None
    ) -> Cancelled:
        """Ask a run to stop: one that waits ends at once, one that runs is to be stopped by who runs it.

        Raises:
            RunNotFound: no such run.
            RunEnded: it is over.
        """
        tenant = principal.tenant_id

        def work(connection: Connection) -> Cancelled:
            now = self._clock()
            runs = RunRepository(connection, tenant, principal.hidden)
            run = runs.get(run_id)
            ThreadRepository(connection, tenant).get(run.thread_id, lock=True)
            run = runs.get(run_id, lock=True)
            if run.ended:
                raise RunEnded(run_id, run.status)
            if run.status == "running":
                runs.request_cancel(run_id, action, now, reason)
                return Cancelled(replace(run, cancel_action=action, cancel_reason=reason), running=True)
            ended = self._end_waiting(connection, run, action, now, reason)
            following = None
            if run.status == "pending":
                following = self._hand_over(connection, run, self._left(connection, run), now)
            return Cancelled(ended, running=False, next=following)

        return await self._database.write(work)

    async def delete(self, principal: Principal, run_id: UUID) -> None:
        """Remove a run that has ended, with all that it did.

        Raises:
            RunNotFound: no such run.
        """

        def work(connection: Connection) -> None:
            run = RunRepository(connection, principal.tenant_id, principal.hidden).get(run_id, lock=True)
            self._roll_back(connection, run)

        await self._database.write(work)

    async def release(self, run: Run) -> bool:
        """Give an attempt's run back to be begun again, at no cost to it; whether the attempt still held it."""
        now = self._clock()
        return await self._database.write(
            lambda connection: RunRepository(connection, run.tenant_id).release(run.run_id, run.attempt, now)
        )

    async def hold(self, principal: Principal, thread_id: UUID, until: datetime) -> Held:
        """Give a thread to a person until a moment, or for longer: no run of it begins meanwhile.

        Raises:
            ThreadNotFound: no such thread.
            ThreadClaimed: somebody else has it.
        """
        tenant = principal.tenant_id

        def work(connection: Connection) -> Held:
            now = self._clock()
            threads = ThreadRepository(connection, tenant, principal.hidden)
            runs = RunRepository(connection, tenant)
            thread = threads.get(thread_id, lock=True)
            holder = thread.claimed(now)
            if holder is not None and holder.user_id != principal.user_id:
                raise ThreadClaimed(thread_id, holder.user_id, holder.until)
            claim = ThreadClaim(principal.user_id, until)
            threads.set_claim(thread_id, claim)
            active = runs.active(thread_id)
            if active is None:
                return Held(claim)
            if active.status == "running":
                runs.request_cancel(active.run_id, "interrupt", now, "a person took over the thread")
                return Held(claim, stop=active)
            runs.demote(active.run_id, now)
            threads.set_status(thread_id, self._left(connection, active), now)
            return Held(claim, demoted=active)

        return await self._database.write(work)

    async def let_go(self, principal: Principal, thread_id: UUID) -> tuple[bool, Run | None]:
        """Take a thread back from who holds it; return whether anybody did, and its next run, now pending.

        Raises:
            ThreadNotFound: no such thread.
            ThreadClaimed: somebody else has it, and the caller is no administrator.
        """

        def work(connection: Connection) -> tuple[bool, Run | None]:
            now = self._clock()
            threads = ThreadRepository(connection, principal.tenant_id, principal.hidden)
            thread = threads.get(thread_id, lock=True)
            holder = thread.claimed(now)
            if holder is not None and holder.user_id != principal.user_id and not principal.may("admin"):
                raise ThreadClaimed(thread_id, holder.user_id, holder.until)
            if thread.claim is None:
                return False, None
            return holder is not None, self._unhold(connection, thread, now)

        return await self._database.write(work)

    async def let_go_expired(self, limit: int) -> list[tuple[Thread, Run | None]]:
        """Clear away claims that have run out; return the threads, each with its next run, now pending."""
        now = self._clock()
        overdue = await self._database.read(lambda connection: AllThreads(connection).unclaimed(now, limit=limit))
        if not overdue:
            return []

        def work(connection: Connection) -> list[tuple[Thread, Run | None]]:
            freed = []
            for one in overdue:
                thread = ThreadRepository(connection, one.tenant_id).find(one.thread_id, lock=True)
                if thread is not None and thread.claim is not None and not thread.claimed(now):  # nobody renewed it
                    freed.append((thread, self._unhold(connection, thread, now)))
            return freed

        return await self._database.write(work)

    def _past_claim(self, connection: Connection, thread: Thread, now: datetime) -> tuple[Thread, Run | None]:
        """Return a thread whose claim has run out as it is without it, and its next run, now pending.

        Raises:
            ThreadClaimed: the claim holds.
        """
        if holder := thread.claimed(now):
            raise ThreadClaimed(thread.thread_id, holder.user_id, holder.until)
        following = self._unhold(connection, thread, now)
        return ThreadRepository(connection, thread.tenant_id).get(thread.thread_id), following

    @staticmethod
    def _unhold(connection: Connection, thread: Thread, now: datetime) -> Run | None:
        """Take a thread back from who held it; return its next run, now pending, unless one is still at its end."""
        runs = RunRepository(connection, thread.tenant_id)
        threads = ThreadRepository(connection, thread.tenant_id)
        threads.set_claim(thread.thread_id, None)
        if runs.active(thread.thread_id) is not None or not runs.waits(thread.thread_id):
            return None
        threads.set_status(thread.thread_id, "busy", now)
        return runs.promote(thread.thread_id, now)

    async def recover(self) -> Recovered:
        """Take stock after a start: what was running was lost, and is begun again or, lost too often, given up."""

        def work(connection: Connection) -> Recovered:
            now = self._clock()
            everything = AllRuns(connection)
            again, ended = [], []
            for run, losses in everything.lost():
                if run.cancel_action is not None or losses + 1 >= self._max_losses:
                    ended.append(self._give_up(connection, run, losses + 1, now))
                else:
                    again.append(run.run_id)
            everything.lose(again)
            return Recovered(
                tuple(everything.in_status("pending")), tuple(everything.in_status("queued")), tuple(ended)
            )

        return await self._database.write(work)

    def _by_key(self, runs: RunRepository, key: str, digest: bytes | None, now: datetime) -> Run | None:
        found = runs.find_by_key(key)
        if found is None:
            return None
        run, known = found
        if run.created_at < now - self._idempotency:
            runs.forget_key(run.run_id)
            return None
        if known != digest:
            raise IdempotencyConflict(key)
        return run

    def _make_room(self, connection: Connection, thread: Thread, request: RunRequest, now: datetime) -> "_Room":
        """Apply the double-texting policy to the thread."""
        if request.dialect == "chat" and request.has_resume and thread.status not in {"busy", "interrupted"}:
            raise NotInterrupted(thread.thread_id)
        runs = RunRepository(connection, thread.tenant_id)
        if thread.status != "busy":
            return _Room()
        active = runs.active(thread.thread_id)
        waiting = runs.queued(thread.thread_id) if active is None or request.multitask_strategy != "enqueue" else []
        if active is None and not waiting:
            return _Room()
        if (request.has_resume and request.dialect == "chat") or request.multitask_strategy == "reject":
            raise ThreadBusy(thread.thread_id)
        if request.multitask_strategy == "enqueue":
            return _Room(taken=active is not None)
        action: CancelAction = "rollback" if request.multitask_strategy == "rollback" else "interrupt"
        if active is None:
            return _Room(ended=tuple(self._end_waiting(connection, run, action, now) for run in waiting))
        if active.status == "running":
            runs.request_cancel(active.run_id, action, now)
        else:
            waiting = [active, *waiting]
        ended = tuple(self._end_waiting(connection, run, action, now) for run in waiting)
        if active.status == "running":
            return _Room(taken=True, stop=replace(active, cancel_action=action), ended=ended)
        return _Room(ended=ended)

    def _end_waiting(
        self, connection: Connection, run: Run, action: CancelAction, now: datetime, reason: str | None = None
    ) -> Run:
        """End a run that was not begun."""
        if action == "rollback":
            RunRepository(connection, run.tenant_id).delete(run.run_id)
            return replace(run, status="interrupted", result=_cancelled(run))
        return self._end_without_attempt(connection, run, "interrupted", last_name(run), _cancelled(run), now, reason)

    def _give_up(self, connection: Connection, run: Run, losses: int, now: datetime) -> Run:
        """End a run whose server died."""
        if run.cancel_action is not None:
            if run.cancel_action == "rollback":
                self._roll_back(connection, run)
                given_up = replace(run, status="interrupted", result=_cancelled(run))
            else:
                given_up = self._end_without_attempt(
                    connection, run, "interrupted", last_name(run), _cancelled(run), now
                )
            if run.request.has_resume:
                self._saver(run).drop_answers_in(connection, run.thread_id)
            self._hand_over(connection, run, self._left(connection, run), now)
            return given_up
        lost: dict[str, Any] = {
            "type": "/problems/worker-lost",
            "title": "The run was lost",
            "status": 500,
            "detail": f"The server died {losses} times while it executed this run.",
            "run_id": str(run.run_id),
        }
        if run.request.dialect != "chat":
            lost = {"error": "WorkerLost", "message": lost["detail"]}
        given_up = self._end_without_attempt(connection, run, "error", "error", lost, now)
        self._hand_over(connection, run, "error", now)
        return given_up

    def _roll_back(self, connection: Connection, run: Run) -> None:
        """Take back all that a run did: its checkpoints, its events, its row."""
        self._saver(run).delete_runs_in(connection, [run.run_id], run.thread_id)
        RunRepository(connection, run.tenant_id).delete(run.run_id)

    def _left(self, connection: Connection, run: Run) -> ThreadStatus:
        """What the thread becomes when a run was stopped: an interrupt still waits for its answer."""
        return "interrupted" if self._saver(run).waits_in(connection, run.thread_id) else "idle"

    def _saver(self, run: Run) -> Checkpointer:
        return Checkpointer(self._database, tenant_id=run.tenant_id)

    @staticmethod
    def _end_without_attempt(
        connection: Connection,
        run: Run,
        status: RunStatus,
        name: str,
        result: dict[str, Any],
        now: datetime,
        reason: str | None = None,
    ) -> Run:
        """End a run that nobody executes; its last event is the only one of an attempt that was never begun."""
        RunRepository(connection, run.tenant_id).end_waiting(run.run_id, status, result, now, reason)
        event = Event(Cursor(run.attempt + 1, 1), name, encode(result))
        RunEventRepository(connection, run.tenant_id).add(EventBatch(run.run_id, run.attempt + 1, 1, [event]))
        return replace(run, status=status, result=result, cancel_reason=reason)

    @staticmethod
    def _hand_over(
        connection: Connection,
        run: Run,
        thread_status: ThreadStatus,
        now: datetime,
        outcome: Outcome | None = None,
    ) -> Run | None:
        """Make the thread's next run pending, or the thread free; it keeps what an attempt left."""
        runs = RunRepository(connection, run.tenant_id)
        threads = ThreadRepository(connection, run.tenant_id)
        waits = runs.waits(run.thread_id)
        if waits:  # only then it matters who has the thread
            thread = threads.find(run.thread_id)
            waits = thread is not None and thread.claimed(now) is None
        following = runs.promote(run.thread_id, now) if waits else None
        status: ThreadStatus = "busy" if waits else thread_status
        if outcome is None or outcome.values is None:
            threads.set_status(run.thread_id, status, now)
        else:
            values = orjson.Fragment(outcome.values)
            threads.settle(
                run.thread_id, status, now, values=values, interrupts=outcome.interrupts, error=outcome.error
            )
        return following


def last_name(run: Run) -> Literal["done", "end"]:
    """The name of a run's last event when it did not fail."""
    return "done" if run.request.dialect == "chat" else "end"


def _named(request: RunRequest) -> dict[str, Any]:
    """What a thread's metadata say of its last run: by these, chat interfaces list the threads of an agent."""
    if request.dialect == "chat":
        return {}
    return {"graph_id": request.agent, "assistant_id": request.assistant_id}


def _owned(only: Filters) -> dict[str, Any]:
    """What the metadata of a thread need, so that who makes it may see it."""
    return {key: value for key, operator, value in plain_filters(only) if operator == "$eq"}


def _config(thread: Thread | None, request: RunRequest) -> dict[str, Any]:
    """What a thread keeps of the configuration of its runs: their assistants'."""
    kept = {} if thread is None else thread.config
    if not request.assistant_configurable:
        return kept
    return {**kept, "configurable": {**kept.get("configurable", {}), **request.assistant_configurable}}


def _with_config_of(thread: Thread, request: RunRequest) -> RunRequest:
    """Return the request with what earlier runs' assistants configured and this one leaves open."""
    kept = thread.config.get("configurable")
    if not kept or request.dialect == "chat":
        return request
    return replace(request, configurable={**kept, **request.configurable})


def _cancelled(run: Run) -> dict[str, Any]:
    if run.request.dialect != "chat":
        return {"status": "interrupted"}
    return {
        "run_id": str(run.run_id),
        "thread_id": str(run.thread_id),
        "status": "interrupted",
        "answer": None,
        "message_id": None,
        "citations": [],
        "refused": False,
        "usage": None,
    }


def _digest(principal: Principal, request: RunRequest, thread_id: UUID | None) -> bytes:
    asked = [principal.user_id, str(thread_id), request]
    return hashlib.sha256(orjson.dumps(asked, option=orjson.OPT_SORT_KEYS)).digest()
