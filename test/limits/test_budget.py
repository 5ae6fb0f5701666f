"""Daily budgets over the real ledger and the real engine. (000-34, 000-33, A13)"""

import asyncio
import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Connection

from backend.core.error import BudgetExceeded, IdempotencyConflict, ThreadBusy, Unavailable
from backend.database.base import Database, Work
from backend.dto.principal import Principal
from backend.dto.run import Run
from backend.dto.tenant import Limits
from backend.dto.usage import Usage, UsageRecord
from backend.repository.usage import UsageRepository
from backend.service.budget import SOON_SECONDS, Budget
from backend.service.limit import LimitBook, no_limits
from backend.service.usage_recorder import UsageRecorder
from backend.util.id_generator import new_id
from test.engine_fixture import ALICE, MALLORY, Agents, Engine, FakeClock, Gate, echo, graph_of, request

SEOUL = ZoneInfo("Asia/Seoul")
BOB = Principal("default", "bob")


class Counting:
    """A database that counts what is read, and holds a reading back when told to."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.reads = 0
        self.gate: asyncio.Event | None = None
        self.read_done = asyncio.Event()

    async def read(self, work: Work[Any]) -> Any:
        self.reads += 1
        found = await self._database.read(work)
        self.read_done.set()
        if self.gate is not None:
            await self.gate.wait()
        return found

    async def write(self, work: Work[Any], *, durable: bool = True) -> Any:
        return await self._database.write(work, durable=durable)


def budget_of(database: Any, clock: Callable[[], datetime], **limits: Any) -> Budget:
    return Budget(database, LimitBook(no_limits, Limits(**limits)), clock, zone=SEOUL)


def record_of(clock: FakeClock, tokens: int, user_id: str = "alice", tenant_id: str = "default") -> UsageRecord:
    usage = Usage("default", input_tokens=tokens - 1, output_tokens=1, cost=tokens / 1000, calls=1)
    return UsageRecord(new_id(), tenant_id, user_id, usage, clock(), "assistant")


async def keep(database: Database, *records: UsageRecord) -> None:
    def work(connection: Connection) -> None:
        for record in records:
            UsageRepository(connection, record.tenant_id).add_many([record])

    await database.write(work)


async def check(budget: Budget, principal: Principal) -> None:
    """Let something begin that ends at once."""
    run_id = new_id()
    await budget.hold(principal, run_id)
    budget.release(run_id)


async def refused(budget: Budget, principal: Principal = ALICE) -> str | None:
    """Return why a run would be refused."""
    try:
        await check(budget, principal)
    except BudgetExceeded as error:
        return error.detail
    return None


@pytest.mark.parametrize(
    ("limit", "whose"),
    [
        ({"daily_tokens": 100}, "tenant"),
        ({"daily_cost": 0.1}, "tenant"),
        ({"user_daily_tokens": 100}, "user"),
        ({"user_daily_cost": 0.1}, "user"),
    ],
)
async def test_who_has_used_it_up_is_refused_until_the_day_ends(
    database: Database, clock: FakeClock, limit: dict[str, Any], whose: str
) -> None:
    clock.now = datetime(2026, 3, 1, 14, 0, tzinfo=UTC)  # 23:00 in Seoul
    await keep(database, record_of(clock, 99))
    budget = budget_of(database, clock, **limit)
    assert await refused(budget) is None
    budget.count(record_of(clock, 1))
    with pytest.raises(BudgetExceeded) as caught:
        await check(budget, ALICE)
    assert whose in caught.value.detail
    assert "2026-03-02T00:00:00+09:00" in caught.value.detail
    assert caught.value.retry_after == 3600
    assert (await refused(budget, BOB) is None) == (whose == "user")
    assert await refused(budget, MALLORY) is None, "another tenant has a budget of its own"
    clock.advance(3600)
    assert await refused(budget) is None


async def test_a_restart_knows_what_was_used_today_and_forgets_yesterday(database: Database, clock: FakeClock) -> None:
    clock.now = datetime(2026, 3, 1, 14, 59, tzinfo=UTC)
    yesterday = record_of(clock, 500)
    clock.advance(120)  # past midnight in Seoul
    await keep(
        database, yesterday, record_of(clock, 60), record_of(clock, 40, "bob"), record_of(clock, 999, "m", "other")
    )
    budget = budget_of(database, clock, daily_tokens=101, user_daily_tokens=61)
    assert await refused(budget) is None
    state = await budget.state(ALICE)
    assert (state.tokens, state.remaining_tokens, state.remaining_cost) == (60, 1, None)
    assert math.isclose(state.cost, 0.06)
    assert str(state.day) == "2026-03-02"


async def test_warm_it_reads_nothing_and_without_limits_never(file: Database, clock: FakeClock) -> None:
    counting: Any = Counting(file)
    free = budget_of(counting, clock)
    for _ in range(10):
        await check(free, ALICE)
    assert counting.reads == 0
    budget = budget_of(counting, clock, daily_tokens=10_000, user_daily_tokens=1000)
    await asyncio.gather(*(check(budget, ALICE) for _ in range(10)))
    for _ in range(10):
        await check(budget, ALICE)
        budget.count(record_of(clock, 1))
    assert counting.reads == 2, "one for the tenant, one for the user"


@pytest.mark.parametrize("when", ["before", "during", "after"])
async def test_what_is_recorded_while_the_ledger_is_read_counts_once(
    file: Database, clock: FakeClock, when: str
) -> None:
    counting: Any = Counting(file)
    budget = budget_of(counting, clock, daily_tokens=10_000)
    seen, unseen = record_of(clock, 10), record_of(clock, 7)
    await keep(file, seen)
    counting.gate = asyncio.Event()
    if when == "before":
        budget.count(seen)  # nobody asked yet: the ledger has it
    checking = asyncio.create_task(check(budget, ALICE))
    await counting.read_done.wait()
    await keep(file, unseen)
    if when == "during":
        budget.count(seen)
        budget.count(unseen)
    counting.gate.set()
    await checking
    if when == "after":
        budget.count(seen)
    if when != "during":
        budget.count(unseen)
    counting.gate = None
    assert (await budget.state(ALICE)).remaining_tokens == 10_000 - 17


async def test_a_reading_that_failed_is_tried_again(file: Database, clock: FakeClock) -> None:
    class Failing(Counting):
        async def read(self, work: Work[Any]) -> Any:
            if self.reads == 0:
                self.reads += 1
                raise ConnectionError
            return await super().read(work)

    budget = budget_of(Failing(file), clock, daily_tokens=5)
    with pytest.raises(ConnectionError):
        await check(budget, ALICE)
    assert await refused(budget) is None


async def test_how_many_sums_are_remembered_is_bounded(file: Database, clock: FakeClock) -> None:
    budget = Budget(file, LimitBook(no_limits, Limits(user_daily_tokens=5)), clock, zone=SEOUL, most=10)
    for number in range(50):
        await check(budget, Principal("default", f"user-{number}"))
    assert len(budget._sums) == 10


# Every run passes it.


def budgeted(engine: Engine, clock: FakeClock, tokens: int) -> tuple[Budget, UsageRecorder]:
    """Give an engine a budget, as the container does."""
    budget = budget_of(engine.database, clock, daily_tokens=tokens)
    recorder = UsageRecorder(engine.database, clock, budget.count)

    def used(run: Run, usage: Usage) -> None:
        recorder.note(run.tenant_id, run.user_id, run.request.agent, usage, run_id=run.run_id)

    engine.runs._budget = budget
    engine.worker._budget = budget
    engine.ledger._counted = budget.count
    engine.worker._used = used
    return budget, recorder


async def usage_of(engine: Engine, run_id: UUID) -> UsageRecord | None:
    return await engine.database.read(lambda connection: UsageRepository(connection, "default").find(run_id))


async def test_a_run_that_has_begun_is_finished_and_the_next_is_refused(
    engine: Engine, clock: FakeClock, agents: Agents
) -> None:
    budget, _ = budgeted(engine, clock, 2)
    run = await engine.ask("echo", "one two three four")
    assert (await engine.end(run)).status == "success"
    record = await usage_of(engine, run.run_id)
    assert record is not None
    assert record.agent == "echo"
    assert record.usage.calls == 1
    with pytest.raises(BudgetExceeded):
        await engine.ask("echo", "five")
    assert await refused(budget, MALLORY) is None


async def test_runs_that_wait_are_refused_when_their_turn_comes(
    engine: Engine, clock: FakeClock, agents: Agents
) -> None:
    """However many are queued while something is left of the budget, one uses it up."""
    budget, _ = budgeted(engine, clock, 2)
    gate = Gate()
    agents.graphs["gated"] = graph_of(gate.node, echo)
    first = await engine.ask("gated", "one two three four")
    queued = [await engine.ask("gated", "more", first.thread_id) for _ in range(3)]
    later = await engine.runs.start(ALICE, request("gated", "later"), thread_id=None, after_seconds=60)
    gate.open.set()
    await engine.end(queued[-1])
    clock.advance(60)
    engine.worker._look(later)
    ended = [await engine.end(run) for run in (first, *queued, later)]
    assert [run.status for run in ended] == ["success", "error", "error", "error", "error"]
    assert ended[1].result is not None
    assert ended[1].result["type"] == "/problems/budget-exceeded"
    assert ended[1].result["retry_after"] > 0
    for run in ended[1:]:
        assert await usage_of(engine, run.run_id) is None
    assert await refused(budget, MALLORY) is None


async def test_a_run_whose_turn_comes_while_the_ledger_cannot_be_read_waits_for_it(
    engine: Engine, clock: FakeClock, agents: Agents, monkeypatch: pytest.MonkeyPatch
) -> None:
    budget, _ = budgeted(engine, clock, 100)
    monkeypatch.setattr("backend.service.run_worker.RETRY_SECONDS", (0, 0))
    asked = 0
    hold = budget.hold

    async def unreadable_once(*arguments: Any, **options: Any) -> None:
        nonlocal asked
        asked += 1
        if asked == 1:
            raise Unavailable("The database does not answer.")
        await hold(*arguments, **options)

    gate = Gate()
    agents.graphs["gated"] = graph_of(gate.node, echo)
    first = await engine.ask("gated", "one")
    queued = await engine.ask("gated", "two", first.thread_id)
    monkeypatch.setattr(budget, "hold", unreadable_once)
    gate.open.set()
    assert (await engine.end(queued)).status == "success"
    assert asked == 2


async def test_what_was_made_before_the_budget_was_used_up_is_found_by_its_key(
    engine: Engine, clock: FakeClock
) -> None:
    budgeted(engine, clock, 2)
    asked = request("echo", "one two three four")
    first = await engine.runs.start(ALICE, asked, thread_id=None, idempotency_key="k")
    await engine.end(first)
    assert (await engine.runs.start(ALICE, asked, thread_id=None, idempotency_key="k")).run_id == first.run_id
    with pytest.raises(BudgetExceeded):
        await engine.runs.start(ALICE, asked, thread_id=None, idempotency_key="another")
    with pytest.raises(IdempotencyConflict):
        await engine.runs.start(ALICE, request("echo", "five"), thread_id=None, idempotency_key="k")


async def test_runs_that_leave_nothing_count_and_are_refused(lite: Engine, clock: FakeClock) -> None:
    budget, recorder = budgeted(lite, clock, 2)
    asked = request("echo", "one two three four")
    await lite.runs.answer(ALICE, asked)
    await recorder.flush()
    assert (await budget.state(ALICE)).tokens > 2
    with pytest.raises(BudgetExceeded):
        await lite.runs.answer(ALICE, asked)
    with pytest.raises(BudgetExceeded):
        await lite.runs.passing(ALICE, asked)
    with pytest.raises(BudgetExceeded):
        await lite.runs.detach(ALICE, asked)
    with pytest.raises(BudgetExceeded):
        await anext(lite.runs.stateless(ALICE, asked))
    with pytest.raises(BudgetExceeded):
        await lite.ask("echo", "more")


async def test_the_servers_own_work_is_recorded_with_its_name(database: Database, clock: FakeClock) -> None:
    budget = budget_of(database, clock, daily_tokens=100)
    await check(budget, ALICE)
    recorder = UsageRecorder(database, clock, budget.count)
    recorder.note("default", "alice", "summary", Usage("default", 30, 3, 0.5, calls=1))
    recorder.note("other", "m", "summary", Usage("default", 30, 3, calls=1))
    recorder.note("default", "alice", "summary", Usage("default"))  # no model was called
    await recorder.flush()
    assert (await budget.state(ALICE)).tokens == 33
    since = clock.now - timedelta(days=1)
    total = await database.read(
        lambda connection: UsageRepository(connection, "default").total(since, since + timedelta(days=2))
    )
    assert (total.runs, total.tokens, total.cost) == (1, 33, 0.5)


# Many in one moment.


def bounded(engine: Engine, clock: FakeClock, **limits: Any) -> tuple[Budget, UsageRecorder]:
    """Give an engine a budget of which everything that begins holds a hundred tokens."""
    _, recorder = budgeted(engine, clock, 1)
    engine.runs._budget._limits = LimitBook(no_limits, Limits(**limits))  # type: ignore[union-attr]
    engine.runs._budget._answer_tokens = 100  # type: ignore[union-attr]
    budget = engine.runs._budget
    assert budget is not None
    return budget, recorder


def outcomes(ended: list[Any]) -> tuple[int, list[int]]:
    """Return how many were let in, and when the others are told to ask again."""
    refused = [one for one in ended if isinstance(one, BudgetExceeded)]
    assert not [one for one in ended if isinstance(one, BaseException) and one not in refused], ended
    return len(ended) - len(refused), sorted({one.retry_after for one in refused})


async def test_what_begins_in_one_moment_sees_what_the_others_hold(file: Database, clock: FakeClock) -> None:
    budget = Budget(
        file,
        LimitBook(no_limits, Limits(daily_tokens=250, user_daily_tokens=150)),
        clock,
        zone=SEOUL,
        answer_tokens=100,
    )
    asking = [budget.hold(person, new_id()) for person in (ALICE, BOB) for _ in range(20)]
    assert outcomes(await asyncio.gather(*asking, return_exceptions=True)) == (3, [SOON_SECONDS])
    for run_id in list(budget._holds):
        budget.release(run_id)
    assert (budget._holds, budget._held) == ({}, {})
    assert await refused(budget) is None
    assert (await budget.state(ALICE)).remaining_tokens == 150, "what is held is not used"


async def test_what_a_run_used_is_held_until_it_is_counted(file: Database, clock: FakeClock) -> None:
    budget = Budget(file, LimitBook(no_limits, Limits(daily_cost=1.0)), clock, zone=SEOUL, answer_cost=0.4)
    record = record_of(clock, 1000)
    await budget.hold(ALICE, record.run_id)
    assert await refused(budget) is None
    budget.release(record.run_id, record.usage)
    budget.release(record.run_id)  # whoever ends it second changes nothing
    assert await refused(budget) is not None, "a dollar"
    budget.count(record)
    assert (budget._holds, budget._held) == ({}, {})
    with pytest.raises(BudgetExceeded) as caught:
        await budget.hold(ALICE, new_id())
    assert caught.value.retry_after > SOON_SECONDS


async def test_runs_hold_what_they_used_on_average(file: Database, clock: FakeClock) -> None:
    budget = budget_of(file, clock, daily_tokens=1000)
    await keep(file, record_of(clock, 100), record_of(clock, 300))
    asking = [budget.hold(ALICE, new_id()) for _ in range(20)]
    assert outcomes(await asyncio.gather(*asking, return_exceptions=True)) == (3, [SOON_SECONDS])


async def test_what_is_never_written_is_counted_all_the_same(database: Database, clock: FakeClock) -> None:
    class Broken(Counting):
        async def write(self, work: Work[Any], *, durable: bool = True) -> Any:
            raise ValueError

    budget = budget_of(database, clock, daily_tokens=100)
    recorder = UsageRecorder(Broken(database), clock, budget.count)  # type: ignore[arg-type]
    record = record_of(clock, 60)
    await budget.hold(ALICE, record.run_id)
    recorder.note("default", "alice", "echo", record.usage, run_id=record.run_id)
    budget.release(record.run_id, record.usage)
    await recorder.flush()
    assert budget._holds == {}
    assert (await budget.state(ALICE)).remaining_tokens == 40


@pytest.mark.parametrize("kept", [True, False])
async def test_of_runs_begun_in_the_same_moment_as_many_begin_as_the_budget_bears(
    engine: Engine, clock: FakeClock, agents: Agents, kept: bool
) -> None:
    budget, recorder = bounded(engine, clock, daily_tokens=250)
    gate = Gate()
    agents.graphs["gated"] = graph_of(gate.node, echo)
    asked = request("gated", "one two three four")
    asking: list[asyncio.Task[Any]] = [
        asyncio.create_task(engine.ask("gated", "one") if kept else engine.runs.answer(ALICE, asked)) for _ in range(20)
    ]
    async with asyncio.timeout(60):
        while sum(one.done() for one in asking) < (20 if kept else 17):
            await asyncio.wait(asking, return_when=asyncio.FIRST_COMPLETED, timeout=0.05)
    gate.open.set()
    ended = await asyncio.gather(*asking, return_exceptions=True)
    assert outcomes(ended) == (3, [SOON_SECONDS])
    if kept:
        for run in ended:
            if isinstance(run, Run):
                assert (await engine.end(run)).status == "success"
    await recorder.flush()
    assert budget._holds == {}
    assert await refused(budget) is None, "what they used is far less"


async def test_nothing_is_held_for_what_failed_was_stopped_or_never_begun(
    engine: Engine, clock: FakeClock, agents: Agents
) -> None:
    budget, recorder = bounded(engine, clock, daily_tokens=10_000)
    gate = Gate()

    async def broken(state: Any) -> None:
        raise ValueError

    agents.graphs |= {"gated": graph_of(gate.node, echo), "broken": graph_of(broken)}
    assert (await engine.end(await engine.ask("broken", "x"))).status == "error"
    await engine.runs.answer(ALICE, request("broken", "x"))
    running = await engine.ask("gated", "x")
    queued = await engine.ask("gated", "x", running.thread_id)
    later = await engine.runs.start(ALICE, request("echo", "later"), thread_id=None, after_seconds=60)
    assert set(budget._holds) == {running.run_id}, "what waits holds nothing"
    with pytest.raises(ThreadBusy):
        await engine.ask("echo", "x", running.thread_id, multitask_strategy="reject")
    for run in (queued, later, running):
        await engine.runs.cancel(ALICE, run.run_id)
        await engine.end(run)
    detached = await engine.runs.detach(ALICE, request("gated", "x"))
    await engine.runs.cancel(ALICE, detached.run_id)
    await engine.events(detached)
    waiting = asyncio.create_task(engine.runs.answer(ALICE, request("gated", "x")))
    stream = engine.runs.stateless(ALICE, request("gated", "x"))
    await anext(stream)
    await gate.entered.wait()
    waiting.cancel()
    await asyncio.wait({waiting})
    await stream.aclose()  # type: ignore[attr-defined]
    await asyncio.gather(*engine.worker._tasks)
    await recorder.flush()
    assert (budget._holds, budget._held) == ({}, {})


async def test_a_run_that_leaves_nothing_counts_at_every_door(lite: Engine, clock: FakeClock) -> None:
    """Also where only its end is asked for, in the Agent Server's words: `POST /runs/wait`, and tools of MCP."""
    budget, recorder = budgeted(lite, clock, 2)
    asked = request("echo", "one two three four", dialect="agent")
    await lite.runs.body_of(await lite.runs.passing(ALICE, asked))
    await recorder.flush()
    assert (await budget.state(ALICE)).tokens > 2
    with pytest.raises(BudgetExceeded):
        await lite.runs.passing(ALICE, asked)
