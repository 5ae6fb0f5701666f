"""The worker: how attempts end, are stopped, given back, taken up again; small graphs, real ledger, real database."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any, TypedDict

import pytest
from langchain_core.messages import AIMessage, HumanMessage
from langgraph.graph import MessagesState
from langgraph.types import Command, interrupt

from backend.core.error import TooMany, Unavailable
from backend.database.base import Database
from backend.database.sqlite import SqliteDatabase
from backend.dto.run import CancelAction, Durability, Run
from test.engine_fixture import (
    ALICE,
    Agents,
    EchoModel,
    Engine,
    FakeClock,
    Gate,
    data,
    echo,
    graph_of,
    request,
    text_said,
    until,
)


@pytest.fixture
def gate(agents: Agents) -> Gate:
    """The gate of the agent `gated`."""
    made = Gate()
    agents.graphs["gated"] = graph_of(made.node)
    return made


async def happened(event: asyncio.Event) -> None:
    async with asyncio.timeout(60):
        await event.wait()


async def kept(engine: Engine, checkpoints: int) -> None:
    """Wait until so many checkpoints are in the database: with `async` they are written while the next node runs."""

    async def there() -> bool:
        return (await engine.count())["checkpoints"] >= checkpoints

    await until(there)


# --- ends


async def test_a_run_streams_what_the_model_says_and_ends_with_its_answer(engine: Engine):
    run = await engine.ask("echo", "good morning")
    events = await engine.events(run)

    assert [event.name for event in events] == ["start", "token", "token", "token", "usage", "done"]
    assert [event.cursor.seq for event in events] == [1, 2, 3, 4, 5, 6]
    assert text_said(events) == "echo good morning"
    done = data(events[-1])
    assert (done["status"], done["answer"].strip()) == ("success", "echo good morning")
    assert {data(event)["message_id"] for event in events if event.name == "token"} == {done["message_id"]}
    ended = await engine.end(run)
    assert (ended.status, ended.result) == ("success", done)
    assert (await engine.threads.get(ALICE, run.thread_id)).status == "idle"
    assert await engine.events(run) == events  # the same again, from the store


async def test_the_next_run_on_the_thread_goes_on_from_its_state(engine: Engine):
    run = await engine.ask("echo", "one")
    await engine.end(run)
    await engine.end(await engine.ask("echo", "two", run.thread_id))
    assert await engine.said(run.thread_id) == ["one", "echo one", "two", "echo two"]


async def test_each_message_of_a_node_keeps_its_own_id(lite: Engine):
    async def two(state: MessagesState) -> dict[str, Any]:
        await EchoModel().ainvoke("first")
        await EchoModel().ainvoke("second")
        return {"messages": [AIMessage("third", id="m3"), AIMessage("fourth", id="m4")]}

    lite.agents.graphs["two"] = graph_of(two)
    events = await lite.events(await lite.ask("two", "hi"))
    said: dict[str, str] = {}
    for event in events:
        if event.name == "token":
            said[data(event)["message_id"]] = said.get(data(event)["message_id"], "") + data(event)["text"]
    assert sorted(said.values()) == ["echo first ", "echo second ", "fourth", "third"]
    assert (said["m3"], said["m4"]) == ("third", "fourth")


async def test_a_node_that_raises_ends_the_run_with_an_error_that_tells_no_secrets(engine: Engine):
    async def fail(state: MessagesState) -> None:
        await EchoModel().ainvoke(state["messages"])
        raise ValueError("the password is hunter2")

    engine.agents.graphs["fail"] = graph_of(fail)
    run = await engine.ask("fail", "hi")
    events = await engine.events(run)
    ended = await engine.end(run)

    assert events[-1].name == "error"
    assert [event.name for event in events].count("error") == 1
    assert b"hunter2" not in b"".join(event.data for event in events)
    assert (ended.status, data(events[-1])["status"]) == ("error", 500)
    assert (await engine.threads.get(ALICE, run.thread_id)).status == "error"
    assert (await engine.count())["usage"] == 1  # what it used was used
    again = await engine.end(await engine.ask("echo", "again", run.thread_id))
    assert again.status == "success"


async def test_an_expected_failure_is_told_as_it_is(lite: Engine):
    async def refuse(state: MessagesState) -> None:
        raise TooMany("Slow down.", 7)

    lite.agents.graphs["refuse"] = graph_of(refuse)
    run = await lite.end(await lite.ask("refuse", "hi"))
    assert run.result is not None
    assert (run.result["type"], run.result["status"], run.result["retry_after"]) == ("/problems/too-many", 429, 7)


async def test_a_graph_that_goes_round_in_circles_is_ended(lite: Engine):
    async def again(state: MessagesState) -> Command[Any]:
        return Command(goto="again")

    lite.agents.graphs["again"] = graph_of(again)
    run = await lite.end(await lite.ask("again", "hi", recursion_limit=5))
    assert run.status == "error"
    assert run.result is not None
    assert "GraphRecursionError" in run.result["detail"]


async def test_a_run_that_takes_too_long_ends_as_timeout_and_keeps_its_finished_steps(engine: Engine, gate: Gate):
    engine.agents.graphs["slow"] = graph_of(echo, gate.node)
    run = await engine.ask("slow", "hi", timeout=1)
    events = await engine.events(run)
    assert (events[-1].name, data(events[-1])["status"]) == ("done", "timeout")
    assert (await engine.end(run)).status == "timeout"
    assert await engine.said(run.thread_id) == ["hi", "echo hi"]
    assert (await engine.threads.get(ALICE, run.thread_id)).status == "idle"


async def test_a_caller_cannot_ask_for_more_time_than_the_server_gives(
    file: SqliteDatabase, agents: Agents, clock: FakeClock, gate: Gate
):
    engine = Engine(file, agents, clock, timeout=0.05)
    async with engine.worker:
        assert (await engine.end(await engine.ask("gated", "hi", timeout=1000))).status == "timeout"


async def test_a_state_that_cannot_be_kept_fails_its_run_and_no_other(engine: Engine):
    class State(TypedDict, total=False):
        lock: Any

    async def odd(state: State) -> State:
        return {"lock": threading.Lock()}

    engine.agents.graphs["odd"] = graph_of(odd, state=State)
    runs = [await engine.ask("odd" if number % 2 else "echo", "hi") for number in range(8)]
    ended = [await engine.end(run) for run in runs]
    assert [run.status for run in ended] == ["success", "error"] * 4


class Out(TypedDict, total=False):
    out: Any


class Model:
    def model_dump(self) -> dict[str, int]:
        return {"a": 1}


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (HumanMessage("hi", id="m"), {"id": "m", "role": "user", "content": "hi"}),
        (b"raw", "b'raw'"),
        ({"a"}, ["a"]),
        ({1: {2: "b"}}, {"1": {"2": "b"}}),
        ("다음 줄\n\x1f\u2028", "다음 줄\n\x1f\u2028"),
    ],
)
async def test_an_output_of_any_type_is_shown_and_kept(engine: Engine, value: Any, shown: Any):
    async def make(state: Out) -> Out:
        return {"out": value}

    engine.agents.graphs["make"] = graph_of(make, state=Out)
    run = await engine.runs.start(ALICE, request("make", "hi"), thread_id=None)
    events = await engine.events(run)
    ended = await engine.end(run)
    assert ended.status == "success"
    assert data(events[-1])["output"]["out"] == shown
    assert ended.result == data(events[-1])


@pytest.mark.parametrize("value", ["\ud800 lone surrogate", 2**70, "nul \x00"])
async def test_an_output_that_cannot_be_shown_or_kept_ends_the_run_all_the_same(engine: Engine, value: Any):
    async def make(state: Out) -> Out:
        return {"out": value}

    engine.agents.graphs["make"] = graph_of(make, state=Out)
    run = await engine.runs.start(ALICE, request("make", "hi"), thread_id=None)
    events = await engine.events(run)
    ended = await engine.end(run)

    assert ended.ended
    assert ended.status == ("success" if value == "nul \x00" and engine.database.dialect == "sqlite" else "error")
    assert events[-1].ends_run
    assert [event.cursor.seq for event in await engine.events(run)] == list(range(1, len(events) + 1))
    assert (await engine.threads.get(ALICE, run.thread_id)).status != "busy"


# --- stop


async def test_a_run_is_cancelled_in_the_middle_of_a_node(engine: Engine, gate: Gate):
    engine.agents.graphs["slow"] = graph_of(echo, gate.node)
    run = await engine.ask("slow", "hi")
    await happened(gate.entered)
    asked = await engine.runs.cancel(ALICE, run.run_id)
    assert asked.cancel_action == "interrupt"
    events = await engine.events(run)

    assert (events[-1].name, data(events[-1])["status"]) == ("done", "interrupted")
    assert (await engine.end(run)).status == "interrupted"
    assert (await engine.threads.get(ALICE, run.thread_id)).status == "idle"
    assert await engine.said(run.thread_id) == ["hi", "echo hi"]


async def test_cancel_with_rollback_takes_everything_back(engine: Engine, gate: Gate):
    first = await engine.ask("echo", "one")
    await engine.end(first)
    before = await engine.count()
    engine.agents.graphs["slow"] = graph_of(echo, gate.node)
    run = await engine.ask("slow", "two", first.thread_id)
    reading = asyncio.create_task(engine.events(run))
    await happened(gate.entered)
    await engine.runs.cancel(ALICE, run.run_id, "rollback")
    assert data((await reading)[-1])["status"] == "interrupted"

    assert await engine.said(first.thread_id) == ["one", "echo one"]
    after = await engine.count()
    assert {name: after[name] for name in ("checkpoints", "runs")} == {
        name: before[name] for name in ("checkpoints", "runs")
    }
    await engine.end(await engine.ask("echo", "three", first.thread_id))
    assert await engine.said(first.thread_id) == ["one", "echo one", "three", "echo three"]


@pytest.mark.usefixtures("quick_abandon")
async def test_a_node_that_does_not_let_itself_be_cancelled_is_left_behind_and_fenced(engine: Engine):
    entered, release, ended = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def stubborn(state: MessagesState) -> dict[str, Any]:
        entered.set()
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue
        return {"messages": [AIMessage("too late")]}

    async def after(state: MessagesState) -> None:
        ended.set()

    engine.agents.graphs["stubborn"] = graph_of(stubborn, after)
    run = await engine.ask("stubborn", "hi")
    await happened(entered)
    await engine.runs.cancel(ALICE, run.run_id)
    assert (await engine.end(run)).status == "interrupted"
    following = await engine.ask("echo", "next", run.thread_id)
    await engine.end(following)
    kept = await engine.count()
    seen = await engine.events(run)

    release.set()
    for _ in range(50):
        await asyncio.sleep(0.001)
    assert await engine.count() == kept
    assert await engine.said(run.thread_id) == ["hi", "next", "echo next"]
    assert await engine.events(run) == seen


async def test_a_node_that_blocks_its_thread_holds_up_no_other_run(lite: Engine):
    release = threading.Event()

    def block(state: MessagesState) -> dict[str, Any]:
        release.wait(60)
        return {"messages": [AIMessage("unblocked")]}

    lite.agents.graphs["block"] = graph_of(block)
    blocked = await lite.ask("block", "hi")
    others = [await lite.ask("echo", "hi") for _ in range(5)]
    assert {(await lite.end(run)).status for run in others} == {"success"}
    assert (await lite.runs.get(ALICE, blocked.run_id)).status == "running"
    release.set()
    assert (await lite.end(blocked)).status == "success"


# --- interrupts


async def ask_twice(state: MessagesState) -> dict[str, Any]:
    first = interrupt("first?")
    second = interrupt("second?")
    return {"messages": [AIMessage(f"{first} and {second}")]}


async def test_an_interrupt_waits_for_its_answer(engine: Engine):
    engine.agents.graphs["ask"] = graph_of(ask_twice)
    run = await engine.ask("ask", "hi")
    events = await engine.events(run)
    assert [event.name for event in events] == ["start", "interrupt", "usage", "done"]
    assert data(events[1])["interrupts"][0]["value"] == "first?"
    ended = await engine.end(run)
    assert (ended.status, data(events[-1])["status"]) == ("success", "interrupted")
    assert (await engine.threads.get(ALICE, run.thread_id)).status == "interrupted"

    second = await engine.runs.resume(ALICE, run.run_id, "yes")
    assert data((await engine.events(second))[-1])["interrupts"][0]["value"] == "second?"
    third = await engine.runs.resume(ALICE, second.run_id, None)
    done = data((await engine.events(third))[-1])
    assert (done["status"], done["answer"]) == ("success", "yes and None")
    assert await engine.said(run.thread_id) == ["hi", "yes and None"]


async def test_an_answer_that_is_cancelled_leaves_the_question_to_be_answered_again(engine: Engine, gate: Gate):
    async def ask_then_wait(state: MessagesState) -> dict[str, Any]:
        answer = interrupt("really?")
        await gate.passed()
        return {"messages": [AIMessage(f"so {answer}")]}

    engine.agents.graphs["ask"] = graph_of(ask_then_wait)
    actions: list[CancelAction] = ["interrupt", "rollback"]
    for action in actions:
        gate.open.clear()
        run = await engine.ask("ask", "hi")
        await engine.end(run)
        gate.entered.clear()
        answered = await engine.runs.resume(ALICE, run.run_id, "yes")
        await happened(gate.entered)
        await engine.runs.cancel(ALICE, answered.run_id, action)
        await engine.rests(run.thread_id)
        assert (await engine.threads.get(ALICE, run.thread_id)).status == "interrupted"
        latest = (await engine.runs.list(ALICE, run.thread_id, limit=1))[0]
        assert latest.run_id == (run.run_id if action == "rollback" else answered.run_id)
        gate.open.set()
        asked = request("ask", "", resume="no", has_resume=True)
        again = await engine.end(await engine.runs.start(ALICE, asked, thread_id=run.thread_id))
        assert again.status == "success"
        assert again.result is not None
        assert again.result["answer"] == "so no"
        assert (await engine.threads.get(ALICE, run.thread_id)).status == "idle"


async def test_null_is_an_answer_like_any_other(engine: Engine):
    async def ask(state: MessagesState) -> dict[str, Any]:
        return {"messages": [AIMessage(f"so {interrupt('really?')}")]}

    engine.agents.graphs["ask"] = graph_of(ask)
    run = await engine.ask("ask", "hi")
    await engine.end(run)

    again = await engine.end(await engine.runs.resume(ALICE, run.run_id, None))

    assert again.result is not None
    assert again.result["answer"] == "so None"


# --- death and recovery


class Crash:
    """Servers over one database, one after the other; each but the last dies without a word."""

    def __init__(self, database: Database, agents: Agents, clock: FakeClock) -> None:
        self.make: Callable[..., Engine] = lambda **options: Engine(database, agents, clock, **options)

    async def start(self, **options: Any) -> Engine:
        engine = self.make(**options)
        await engine.worker.__aenter__()
        return engine


@pytest.fixture
def crash(database: Database, agents: Agents, clock: FakeClock) -> Crash:
    return Crash(database, agents, clock)


@pytest.mark.parametrize("durability", ["sync", "async", "exit"])
async def test_after_a_death_a_run_goes_on_where_it_stood_and_says_nothing_twice(
    crash: Crash, gate: Gate, durability: Durability
):
    visits: list[str] = []

    async def before(state: MessagesState) -> dict[str, Any]:
        visits.append("before")
        return {"messages": [AIMessage("before")]}

    first = await crash.start()
    first.agents.graphs["two"] = graph_of(before, gate.node)
    run = await first.ask("two", "hi", durability=durability)
    await happened(gate.entered)
    if durability != "exit":
        await kept(first, 3)
    first.database.kill()

    gate.open.set()
    second = crash.make()
    async with second.worker:
        ended = await second.end(run)
        events = await second.events(run)
        said = await second.said(run.thread_id)

    assert (ended.status, ended.attempt) == ("success", 2)
    assert said == ["hi", "before", "passed"]
    assert visits == (["before"] * (2 if durability == "exit" else 1))
    assert [event.cursor.attempt for event in events if event.ends_run] == [2]
    assert [event.name for event in events].count("start") >= 1


@pytest.mark.parametrize("durability", ["sync", "async"])
async def test_after_a_death_an_answer_is_given_once(crash: Crash, gate: Gate, durability: Durability):
    async def first_question(state: MessagesState) -> dict[str, Any]:
        return {"messages": [AIMessage(f"first {interrupt('first?')}")]}

    async def second_question(state: MessagesState) -> dict[str, Any]:
        return {"messages": [AIMessage(f"second {interrupt('second?')}")]}

    first = await crash.start()
    first.agents.graphs["ask"] = graph_of(first_question, gate.node, second_question)
    run = await first.ask("ask", "hi", durability=durability)
    await first.end(run)
    answer = await first.runs.resume(ALICE, run.run_id, "yes")
    await happened(gate.entered)
    await kept(first, 3)
    first.database.kill()

    gate.open.set()
    second = crash.make()
    async with second.worker:
        ended = await second.end(answer)
        assert ended.result is not None
        assert ended.result["interrupts"][0]["value"] == "second?"
        last = await second.end(await second.runs.resume(ALICE, answer.run_id, "no"))
        assert last.status == "success"
        assert await second.said(run.thread_id) == ["hi", "first yes", "passed", "second no"]


async def test_a_server_that_comes_back_from_the_dead_changes_nothing(crash: Crash, gate: Gate):
    """The first server only seemed dead: its attempt goes on, and is fenced at its next write."""
    first = await crash.start()
    first.agents.graphs["slow"] = graph_of(gate.node, echo)
    run = await first.ask("slow", "hi")
    await happened(gate.entered)
    gate.entered.clear()
    second = await crash.start()
    await happened(gate.entered)

    gate.open.set()
    assert (await second.end(run)).status == "success"
    await first.worker.__aexit__()
    said = await second.said(run.thread_id)
    events = await second.events(run)
    await second.worker.__aexit__()

    assert said == ["hi", "passed", "echo passed"]
    assert (await second.runs.get(ALICE, run.run_id)).attempt == 2
    assert [event.cursor.attempt for event in events if event.ends_run] == [2]


async def test_a_run_that_kills_its_server_is_given_up_after_three_deaths(crash: Crash, gate: Gate):
    engine = await crash.start()
    run = await engine.ask("gated", "hi")
    neighbour = await engine.ask("echo", "hi")
    queued = await engine.ask("echo", "next", run.thread_id)
    await engine.end(neighbour)
    for _ in range(3):
        await happened(gate.entered)
        gate.entered.clear()
        engine.database.kill()
        engine = await crash.start()

    ended = await engine.end(run)
    assert (ended.status, ended.attempt) == ("error", 3)
    assert (await engine.events(run))[-1].name == "error"
    assert (await engine.end(queued)).status == "success"
    await engine.worker.__aexit__()


async def test_a_run_whose_agent_is_gone_after_a_restart_ends_and_frees_its_thread(crash: Crash, gate: Gate):
    first = await crash.start()
    run = await first.ask("gated", "hi")
    await happened(gate.entered)
    first.database.kill()
    second = crash.make()
    graph = second.agents.graphs.pop("gated")
    async with second.worker:
        ended = await second.end(run)
        assert ended.result is not None
        assert (ended.status, ended.result["type"]) == ("error", "/problems/agent-not-found")
        assert (await second.threads.get(ALICE, run.thread_id)).status == "error"
    assert graph is not None


async def test_draining_lets_runs_end(database: Database, agents: Agents, clock: FakeClock, gate: Gate):
    engine = Engine(database, agents, clock, drain_seconds=10)
    async with engine.worker:
        run = await engine.ask("gated", "hi")
        await happened(gate.entered)
        leaving = asyncio.create_task(engine.worker.drain())
        await asyncio.sleep(0)
        assert not engine.worker.has_room
        gate.open.set()
        async with asyncio.timeout(60):
            await leaving
        assert (await engine.runs.get(ALICE, run.run_id)).status == "success"


async def test_draining_gives_back_what_does_not_end_and_releases_every_reader(crash: Crash, gate: Gate):
    first = await crash.start(concurrency=1)
    run = await first.ask("gated", "hi")
    queued = await first.ask("echo", "next", run.thread_id)
    waiting = await first.ask("echo", "other")
    await happened(gate.entered)
    readers = [asyncio.create_task(first.events(one)) for one in (run, queued, waiting)]
    await asyncio.sleep(0)
    async with asyncio.timeout(60):
        await first.worker.__aexit__()
        told = await asyncio.gather(*readers)
    assert [[event.name for event in events] for events in told] == [["start"], [], []]
    late = await first.ask("echo", "late")
    statuses = [(await first.runs.get(ALICE, one.run_id)).status for one in (run, queued, waiting, late)]
    assert statuses == ["pending", "queued", "pending", "pending"]

    gate.open.set()
    second = crash.make()
    async with second.worker:
        ended = [await second.end(one) for one in (run, queued, waiting, late)]
    assert [(one.status, one.attempt) for one in ended] == [("success", attempt) for attempt in (2, 1, 1, 1)]


async def test_a_database_that_is_away_for_a_moment_costs_no_run(
    lite: Engine, gate: Gate, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("backend.service.run_worker.RETRY_SECONDS", (0.001, 0.001, 0.001))
    run = await lite.ask("gated", "hi")
    await happened(gate.entered)
    finish, failures = lite.ledger.finish, 2

    async def sometimes(*args: Any) -> Run | None:
        nonlocal failures
        failures -= 1
        if failures >= 0:
            raise Unavailable("The database cannot be written.")
        return await finish(*args)

    monkeypatch.setattr(lite.ledger, "finish", sometimes)
    gate.open.set()
    assert (await lite.end(run)).status == "success"


# --- how many at once


async def test_no_more_runs_execute_at_once_than_allowed_and_all_have_their_turn(
    database: Database, agents: Agents, clock: FakeClock
):
    now = most = 0

    async def count(state: MessagesState) -> None:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0.002)
        now -= 1

    agents.graphs["count"] = graph_of(count)
    engine = Engine(database, agents, clock, concurrency=3)
    async with engine.worker:
        runs = await asyncio.gather(*(engine.ask("count", "hi") for _ in range(20)))
        ended = await asyncio.gather(*(engine.end(run) for run in runs))
    assert {run.status for run in ended} == {"success"}
    assert most <= 3


async def test_fenced_is_no_error_of_the_agent(engine: Engine):
    """Somebody else ends the run while its node works."""

    async def overtaken(state: MessagesState) -> dict[str, Any]:
        await engine.ledger.release(engine_run[0])
        return {"messages": [AIMessage("late")]}

    engine_run: list[Run] = []
    gate = Gate()
    engine.agents.graphs["overtaken"] = graph_of(gate.node, overtaken)
    engine_run.append(await engine.ask("overtaken", "hi"))
    gate.open.set()
    await engine.end(engine_run[0])
    left = await engine.runs.get(ALICE, engine_run[0].run_id)
    assert (left.status, left.result) == ("pending", None)
