"""The states of a run, each way from one to another, on both databases."""

import asyncio
from dataclasses import replace
from uuid import UUID, uuid4

import pytest
from langgraph.checkpoint.base import empty_checkpoint
from langgraph.checkpoint.serde.types import INTERRUPT
from sqlalchemy import Connection, insert
from sqlalchemy.exc import IntegrityError

from backend.core.error import (
    Fenced,
    IdempotencyConflict,
    NotInterrupted,
    RunEnded,
    RunNotFound,
    ThreadBusy,
    ThreadNotFound,
)
from backend.core.run.executor import Outcome
from backend.database.base import Database
from backend.database.model import RunRow, table_of
from backend.dto.event import START, Cursor, Event
from backend.dto.run import MultitaskStrategy, Run, RunRequest
from backend.dto.usage import Usage
from backend.repository.checkpoint import Checkpointer
from backend.repository.run import RunRepository
from backend.repository.run_event import RunEventRepository
from backend.repository.thread import ThreadRepository
from backend.service.run_ledger import Created, RunLedger
from test.engine_fixture import ALICE, MALLORY, FakeClock, of_everyone, request

SUCCESS = Outcome("success", "idle", "done", {"status": "success"})
WAITS = Outcome("success", "interrupted", "done", {"status": "interrupted", "interrupts": [{"id": "i", "value": 1}]})
STOPPED = Outcome("interrupted", "idle", "done", {"status": "interrupted"})


class Desk:
    """A ledger and a look at what it keeps."""

    def __init__(self, database: Database, clock: FakeClock) -> None:
        self.database = database
        self.ledger = RunLedger(database, Checkpointer(database), clock)

    async def create(
        self,
        thread: UUID | None = None,
        policy: MultitaskStrategy = "enqueue",
        *,
        key: str | None = None,
        begin: bool = False,
        text: str = "hi",
        resume: bool = False,
    ) -> Created:
        asked = request("echo", text, multitask_strategy=policy)
        if resume:
            asked = replace(asked, input=None, resume="yes", has_resume=True)
        return await self.ledger.create(ALICE, asked, thread_id=thread, idempotency_key=key, begin=begin)

    async def running(self) -> Run:
        """A running run on a new thread."""
        return (await self.create(begin=True)).run

    async def claim(self, run: Run) -> Run:
        claimed = await self.ledger.claim(run)
        assert claimed is not None
        return claimed

    async def status(self, run: Run) -> str:
        """The run's status, or `gone`."""
        try:
            return (await self.get(run)).status
        except RunNotFound:
            return "gone"

    async def get(self, run: Run) -> Run:
        return await self.database.read(lambda connection: RunRepository(connection, "default").get(run.run_id))

    async def thread(self, run: Run) -> str:
        found = await self.database.read(lambda connection: ThreadRepository(connection, "default").get(run.thread_id))
        return found.status

    async def events(self, run: Run) -> list[tuple[str, str]]:
        found = await self.database.read(
            lambda connection: RunEventRepository(connection, "default").after(run.run_id, START)
        )
        return [(str(event.cursor), event.name) for event in found]


@pytest.fixture
def desk(database: Database, clock: FakeClock) -> Desk:
    return Desk(database, clock)


async def test_a_run_goes_from_pending_to_running_to_its_end(desk: Desk):
    run = (await desk.create()).run
    assert (run.status, run.attempt, await desk.thread(run)) == ("pending", 0, "busy")
    claimed = await desk.claim(run)
    assert (claimed.status, claimed.attempt) == ("running", 1)
    assert await desk.ledger.claim(run) is None

    last = Event(Cursor(1, 1), "done", b'{"status":"success"}')
    assert await desk.ledger.finish(claimed, SUCCESS, [last]) is None

    ended = await desk.get(run)
    assert (ended.status, ended.result, await desk.thread(run)) == ("success", {"status": "success"}, "idle")
    assert await desk.events(run) == [("1-1", "done")]


async def test_a_run_that_begins_at_once_is_running_when_it_is_acknowledged(desk: Desk):
    created = await desk.create(begin=True)
    assert created.new_thread
    assert (await desk.get(created.run)) == created.run
    assert (created.run.status, created.run.attempt) == ("running", 1)
    assert (await desk.create(created.run.thread_id, begin=True)).run.status == "queued"


async def test_a_run_ends_once(desk: Desk):
    run = await desk.running()
    await desk.ledger.finish(run, SUCCESS)
    with pytest.raises(Fenced):
        await desk.ledger.finish(run, STOPPED, [Event(Cursor(1, 1), "done", b"{}")])
    assert await desk.status(run) == "success"
    assert await desk.events(run) == []


async def test_an_attempt_that_was_taken_over_cannot_end_the_run(desk: Desk):
    first = await desk.running()
    assert await desk.ledger.release(first)
    second = await desk.claim(first)
    assert not await desk.ledger.release(first)
    with pytest.raises(Fenced):
        await desk.ledger.finish(first, SUCCESS)
    assert second.attempt == 2
    await desk.ledger.finish(second, SUCCESS)


async def test_the_usage_of_a_run_is_kept_with_its_end(desk: Desk):
    run = await desk.running()
    usage = Usage("default", input_tokens=3, output_tokens=5, calls=1)
    await desk.ledger.finish(run, replace(SUCCESS, usage=usage))
    kept = await desk.database.read(
        of_everyone(lambda c: c.exec_driver_sql("SELECT input_tokens, output_tokens FROM usage").all())
    )
    assert [tuple(row) for row in kept] == [(3, 5)]


# --- double texting


async def test_reject_is_refused_while_a_run_is_active_and_passes_when_it_is_not(desk: Desk):
    run = await desk.running()
    with pytest.raises(ThreadBusy):
        await desk.create(run.thread_id, "reject")
    await desk.ledger.finish(run, SUCCESS)
    assert (await desk.create(run.thread_id, "reject")).run.status == "pending"


async def test_enqueued_runs_follow_one_another_in_the_order_of_their_making(desk: Desk):
    run = await desk.running()
    queued = [(await desk.create(run.thread_id)).run for _ in range(5)]
    assert {one.status for one in queued} == {"queued"}

    for expected in queued:
        following = await desk.ledger.finish(run, SUCCESS)
        assert following is not None
        assert following.run_id == expected.run_id
        assert await desk.thread(run) == "busy"
        run = await desk.claim(following)
    assert await desk.ledger.finish(run, SUCCESS) is None
    assert await desk.thread(run) == "idle"


async def test_interrupt_stops_the_running_run_and_ends_those_that_wait(desk: Desk):
    run = await desk.running()
    waiting = [(await desk.create(run.thread_id)).run for _ in range(2)]
    created = await desk.create(run.thread_id, "interrupt")

    assert created.stop is not None
    assert (created.stop.run_id, created.stop.cancel_action) == (run.run_id, "interrupt")
    assert [one.run_id for one in created.ended] == [one.run_id for one in waiting]
    assert [await desk.status(one) for one in waiting] == ["interrupted", "interrupted"]
    assert await desk.events(waiting[0]) == [("1-1", "done")]
    following = await desk.ledger.finish(run, STOPPED)
    assert following is not None
    assert following.run_id == created.run.run_id


async def test_interrupt_takes_the_place_of_a_run_that_was_not_begun(desk: Desk):
    run = (await desk.create()).run
    created = await desk.create(run.thread_id, "interrupt")
    assert (created.run.status, created.stop) == ("pending", None)
    assert [one.run_id for one in created.ended] == [run.run_id]
    assert await desk.ledger.claim(run) is None


async def test_rollback_leaves_nothing_of_the_runs_before(desk: Desk):
    run = await desk.running()
    waiting = (await desk.create(run.thread_id)).run
    created = await desk.create(run.thread_id, "rollback")
    assert created.stop is not None
    assert created.stop.cancel_action == "rollback"
    assert await desk.status(waiting) == "gone"

    following = await desk.ledger.finish(run, STOPPED, [Event(Cursor(1, 1), "done", b"{}")])
    assert following is not None
    assert following.run_id == created.run.run_id
    assert await desk.status(run) == "gone"


async def test_a_run_that_had_ended_well_before_it_was_stopped_is_not_rolled_back(desk: Desk):
    run = await desk.running()
    await desk.create(run.thread_id, "rollback")
    await desk.ledger.finish(run, SUCCESS)
    assert await desk.status(run) == "success"


@pytest.mark.parametrize("policy", ["reject", "enqueue", "interrupt", "rollback"])
async def test_many_at_once_leave_one_active_run(desk: Desk, policy: MultitaskStrategy):
    thread = (await desk.create()).run
    await desk.ledger.finish(await desk.claim(thread), SUCCESS)
    answers = await asyncio.gather(
        *(desk.create(thread.thread_id, policy, begin=True) for _ in range(16)), return_exceptions=True
    )

    made = [answer.run for answer in answers if isinstance(answer, Created)]
    assert {type(answer) for answer in answers} <= {Created, ThreadBusy}
    statuses = [await desk.status(run) for run in made]
    assert statuses.count("running") == 1
    if policy == "reject":
        assert len(made) == 1
    elif policy == "enqueue":
        assert statuses.count("queued") == 15
    else:
        assert statuses.count("queued") == 1  # the last, behind the one that is asked to stop
        assert statuses.count("interrupted" if policy == "interrupt" else "gone") == 14


async def test_the_database_itself_refuses_a_second_active_run(desk: Desk):
    run = await desk.running()

    def force(connection: Connection) -> None:
        row = connection.execute(table_of(RunRow).select()).mappings().one()
        connection.execute(insert(table_of(RunRow)), {**row, "run_id": uuid4(), "status": "pending"})

    with pytest.raises(IntegrityError):
        await desk.database.write(of_everyone(force))
    assert await desk.status(run) == "running"


async def test_ends_and_new_runs_at_the_same_moment_do_not_stop_each_other(desk: Desk):
    """On PostgreSQL two transactions that lock a run and its thread in different orders would wait for one another."""
    run = await desk.running()
    for number in range(25):
        policy: MultitaskStrategy = ("interrupt", "rollback", "enqueue")[number % 3]
        async with asyncio.timeout(60):
            created, following, cancelled = await asyncio.gather(
                desk.create(run.thread_id, policy),
                desk.ledger.finish(run, STOPPED),
                desk.ledger.cancel(ALICE, run.run_id, "interrupt"),
                return_exceptions=True,
            )
        assert isinstance(created, Created)
        assert following is None or isinstance(following, Run)
        assert not isinstance(cancelled, Exception) or isinstance(cancelled, RunEnded | RunNotFound)
        run = await desk.claim(created.run)


# --- threads of others, and none


async def test_another_tenants_thread_and_run_are_not_found(desk: Desk):
    run = await desk.running()
    with pytest.raises(ThreadNotFound):
        await desk.ledger.create(MALLORY, request("echo", "hi"), thread_id=run.thread_id)
    with pytest.raises(RunNotFound):
        await desk.ledger.cancel(MALLORY, run.run_id, "rollback")
    with pytest.raises(ThreadNotFound):
        await desk.create(uuid4())
    assert (await desk.get(run)).cancel_action is None


# --- idempotency


async def test_the_same_key_and_request_give_the_same_run(desk: Desk):
    first = await desk.create(key="k")
    again = await desk.create(key="k")
    assert (again.run, again.new) == (first.run, False)
    await desk.ledger.finish(await desk.claim(first.run), SUCCESS)
    assert (await desk.create(key="k")).run.status == "success"


async def test_the_same_key_with_another_request_is_a_conflict(desk: Desk):
    first = await desk.create(key="k")
    with pytest.raises(IdempotencyConflict):
        await desk.create(key="k", text="something else")
    with pytest.raises(IdempotencyConflict):
        await desk.create(first.run.thread_id, key="k")


async def test_fifty_with_one_key_at_once_make_one_run(desk: Desk):
    answers = await asyncio.gather(*(desk.create(key="k", begin=True) for _ in range(50)))
    assert len({answer.run.run_id for answer in answers}) == 1
    assert sum(answer.new for answer in answers) == 1

    def rows(connection: Connection) -> tuple[int, int]:
        return tuple(
            connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar_one() for table in ("runs", "threads")
        )

    assert await desk.database.read(of_everyone(rows)) == (1, 1)


async def test_a_key_is_a_tenants_own_and_is_forgotten_in_time(desk: Desk, clock: FakeClock):
    first = await desk.create(key="k")
    other = await desk.ledger.create(MALLORY, request("echo", "hi"), thread_id=None, idempotency_key="k")
    assert other.run.run_id != first.run.run_id
    clock.advance(86_401)
    later = await desk.create(key="k", text="something else")
    assert later.new
    assert (await desk.create(key="k", text="something else")).run == later.run


# --- cancel


async def test_a_queued_run_is_cancelled_at_once_and_the_active_one_goes_on(desk: Desk):
    run = await desk.running()
    queued, last = [(await desk.create(run.thread_id)).run for _ in range(2)]
    cancelled = await desk.ledger.cancel(ALICE, queued.run_id, "interrupt")
    assert (cancelled.running, cancelled.next, cancelled.run.status) == (False, None, "interrupted")
    assert (await desk.status(run), await desk.thread(run)) == ("running", "busy")
    following = await desk.ledger.finish(run, SUCCESS)
    assert following is not None
    assert following.run_id == last.run_id


async def test_a_pending_run_is_cancelled_at_once_and_the_next_follows(desk: Desk):
    run = (await desk.create()).run
    queued = (await desk.create(run.thread_id)).run
    cancelled = await desk.ledger.cancel(ALICE, run.run_id, "rollback")
    assert cancelled.next is not None
    assert cancelled.next.run_id == queued.run_id
    assert (await desk.status(run), await desk.status(queued)) == ("gone", "pending")
    await desk.ledger.cancel(ALICE, queued.run_id, "interrupt")
    assert await desk.thread(run) == "idle"


async def test_a_running_run_is_asked_to_stop_as_often_as_one_likes(desk: Desk):
    run = await desk.running()
    for _ in range(2):
        cancelled = await desk.ledger.cancel(ALICE, run.run_id, "interrupt")
        assert (cancelled.running, cancelled.run.status) == (True, "running")
    await desk.ledger.finish(run, STOPPED)
    with pytest.raises(RunEnded):
        await desk.ledger.cancel(ALICE, run.run_id, "interrupt")


async def test_who_cancels_at_the_same_moment_as_the_run_ends_hears_one_of_the_two(desk: Desk):
    for _ in range(10):
        run = await desk.running()
        finished, cancelled = await asyncio.gather(
            desk.ledger.finish(run, SUCCESS), desk.ledger.cancel(ALICE, run.run_id, "interrupt"), return_exceptions=True
        )
        assert finished is None
        assert isinstance(cancelled, RunEnded) or cancelled.running  # type: ignore[union-attr]
        assert (await desk.status(run), await desk.thread(run)) == ("success", "idle")


# --- resume


async def test_of_two_answers_at_once_one_wins(desk: Desk):
    run = await desk.running()
    await desk.ledger.finish(run, WAITS)
    assert await desk.thread(run) == "interrupted"
    answers = await asyncio.gather(
        *(desk.create(run.thread_id, "reject", resume=True) for _ in range(8)), return_exceptions=True
    )
    assert sum(isinstance(answer, Created) for answer in answers) == 1
    assert sum(isinstance(answer, ThreadBusy) for answer in answers) == 7


async def test_an_answer_where_nothing_waits_is_refused(desk: Desk):
    run = await desk.running()
    with pytest.raises(ThreadBusy):
        await desk.create(run.thread_id, "enqueue", resume=True)
    await desk.ledger.finish(run, SUCCESS)
    with pytest.raises(NotInterrupted):
        await desk.create(run.thread_id, resume=True)


async def test_an_answer_that_was_cancelled_before_it_began_leaves_the_question(desk: Desk):
    run = await desk.running()
    saver = Checkpointer(desk.database)
    head = await saver.aput(
        {"configurable": {"thread_id": str(run.thread_id)}}, empty_checkpoint(), {"source": "loop"}, {}
    )
    await saver.aput_writes(head, [(INTERRUPT, "really?")], "task")
    await desk.ledger.finish(run, WAITS)
    answer = (await desk.create(run.thread_id, resume=True)).run
    await desk.ledger.cancel(ALICE, answer.run_id, "interrupt")
    assert await desk.thread(run) == "interrupted"
    assert (await desk.create(run.thread_id, resume=True)).run.status == "pending"


# --- death


async def test_after_a_death_what_was_running_is_pending_again_and_keeps_its_place(desk: Desk):
    first, second = await desk.running(), (await desk.create()).run
    queued = (await desk.create(first.thread_id)).run
    recovered = await desk.ledger.recover()

    assert [run.run_id for run in recovered.pending] == [first.run_id, second.run_id]
    assert [run.run_id for run in recovered.waiting] == [queued.run_id]
    assert recovered.ended == ()
    assert (await desk.claim(first)).attempt == 2


async def test_a_run_that_takes_its_server_with_it_three_times_is_given_up(desk: Desk):
    run = await desk.running()
    queued = (await desk.create(run.thread_id)).run
    for _ in range(2):
        recovered = await desk.ledger.recover()
        assert [one.run_id for one in recovered.pending] == [run.run_id]
        await desk.claim(run)
    recovered = await desk.ledger.recover()

    assert [one.run_id for one in recovered.ended] == [run.run_id]
    assert [one.run_id for one in recovered.pending] == [queued.run_id]
    ended = await desk.get(run)
    assert ended.status == "error"
    assert ended.result is not None
    assert ended.result["type"] == "/problems/worker-lost"
    assert await desk.events(run) == [("4-1", "error")]


async def test_being_given_back_is_not_counted_as_a_death(desk: Desk):
    run = await desk.running()
    for _ in range(5):
        assert await desk.ledger.release(run)
        run = await desk.claim(run)
    recovered = await desk.ledger.recover()
    assert [one.run_id for one in recovered.pending] == [run.run_id]


@pytest.mark.parametrize("action", ["interrupt", "rollback"])
async def test_a_run_that_was_to_stop_when_its_server_died_has_stopped(desk: Desk, action: str):
    run = await desk.running()
    queued = (await desk.create(run.thread_id)).run
    await desk.ledger.cancel(ALICE, run.run_id, action)  # type: ignore[arg-type]
    recovered = await desk.ledger.recover()

    assert [one.run_id for one in recovered.ended] == [run.run_id]
    assert [one.run_id for one in recovered.pending] == [queued.run_id]
    assert await desk.status(run) == ("interrupted" if action == "interrupt" else "gone")


async def test_the_second_recovery_finds_nothing_new(desk: Desk):
    run = await desk.running()
    await desk.ledger.recover()
    recovered = await desk.ledger.recover()
    assert [one.run_id for one in recovered.pending] == [run.run_id]
    assert await desk.status(run) == "pending"


async def test_a_request_comes_back_from_its_row_as_it_was(desk: Desk):
    asked = RunRequest(
        agent="echo",
        input={"messages": [], "deep": {"한국어": [1, 2.5, None, True]}},
        resume=None,
        has_resume=False,
        model="default",
        multitask_strategy="rollback",
        durability="exit",
        timeout=1.5,
        recursion_limit=7,
        metadata={"a": "b"},
        configurable={"c": 1},
    )
    run = (await desk.ledger.create(ALICE, asked, thread_id=None)).run
    assert (await desk.get(run)).request == asked
