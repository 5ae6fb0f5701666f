"""Runs as the doors use them: double texting from end to end, keys, stateless runs, and those who watch a thread."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress
from dataclasses import replace
from typing import Any, cast
from uuid import UUID, uuid4

import pytest
from langchain_core.messages import AIMessage
from langgraph.graph import MessagesState
from langgraph.types import interrupt

from backend.core.error import (
    AgentNotFound,
    DomainError,
    Gone,
    IdempotencyConflict,
    Invalid,
    NotInterrupted,
    RunEnded,
    RunNotFound,
    ThreadBusy,
    ThreadNotFound,
    UnsupportedModel,
)
from backend.core.run import executor
from backend.dto.event import Cursor, Event
from backend.dto.principal import OPERATE, SCOPES
from backend.dto.run import MultitaskStrategy, Run
from test.engine_fixture import (
    ALICE,
    MALLORY,
    Agents,
    Engine,
    FakeClock,
    Gate,
    data,
    echo,
    graph_of,
    request,
    text_said,
)


@pytest.fixture
def gate(agents: Agents) -> Gate:
    """The gate of the agent `gated`."""
    made = Gate()
    agents.graphs["gated"] = graph_of(made.node)
    return made


async def busy(engine: Engine, gate: Gate) -> Run:
    """A run that stands at its gate, on a thread where `one` was said before."""
    first = await engine.ask("echo", "one")
    await engine.end(first)
    run = await engine.ask("gated", "two", first.thread_id)
    async with asyncio.timeout(60):
        await gate.entered.wait()
    return run


# --- double texting


async def test_reject_refuses_and_the_run_goes_on(engine: Engine, gate: Gate):
    run = await busy(engine, gate)
    with pytest.raises(ThreadBusy):
        await engine.ask("echo", "three", run.thread_id, multitask_strategy="reject")
    gate.open.set()
    assert (await engine.end(run)).status == "success"
    assert await engine.said(run.thread_id) == ["one", "echo one", "two", "passed"]


async def test_enqueue_lets_each_have_its_turn(engine: Engine, gate: Gate):
    run = await busy(engine, gate)
    queued = [await engine.ask("echo", text, run.thread_id) for text in ("three", "four")]
    readers = [asyncio.create_task(engine.events(one)) for one in queued]
    gate.open.set()
    assert [text_said(await reader) for reader in readers] == ["echo three", "echo four"]
    assert await engine.said(run.thread_id) == [
        "one", "echo one", "two", "passed", "three", "echo three", "four", "echo four",
    ]  # fmt: skip
    assert (await engine.threads.get(ALICE, run.thread_id)).status == "idle"


async def test_interrupt_stops_the_run_and_keeps_what_was_said(engine: Engine, gate: Gate):
    run = await busy(engine, gate)
    following = await engine.ask("echo", "three", run.thread_id, multitask_strategy="interrupt")
    assert (await engine.end(following)).status == "success"
    assert (await engine.end(run)).status == "interrupted"
    assert await engine.said(run.thread_id) == ["one", "echo one", "two", "three", "echo three"]


async def test_rollback_stops_the_run_and_takes_back_what_was_said(engine: Engine, gate: Gate):
    run = await busy(engine, gate)
    queued = await engine.ask("echo", "never", run.thread_id)
    waiting = asyncio.create_task(engine.events(queued))
    following = await engine.ask("echo", "three", run.thread_id, multitask_strategy="rollback")
    assert (await engine.end(following)).status == "success"
    assert data((await waiting)[-1])["status"] == "interrupted"
    assert await engine.said(run.thread_id) == ["one", "echo one", "three", "echo three"]
    for gone in (run, queued):
        with pytest.raises(RunNotFound):
            await engine.runs.get(ALICE, gone.run_id)


async def test_a_storm_of_messages_and_cancels_leaves_the_thread_free(engine: Engine):
    """Eight people at once with every policy, some of them cancelling: all runs end, and the thread rests."""
    first = await engine.ask("echo", "start")
    await engine.end(first)
    policies: list[MultitaskStrategy] = ["reject", "enqueue", "interrupt", "rollback"]

    async def person(number: int) -> list[Run]:
        made = []
        for turn in range(5):
            try:
                run = await engine.ask(
                    "echo", f"{number}.{turn}", first.thread_id, multitask_strategy=policies[(number + turn) % 4]
                )
            except ThreadBusy:
                continue
            made.append(run)
            if turn % 2:
                for _ in range(2):
                    try:
                        await engine.runs.cancel(ALICE, run.run_id, "rollback" if number % 2 else "interrupt")
                    except (RunEnded, RunNotFound):
                        break
        return made

    async with asyncio.timeout(60):
        runs = [run for made in await asyncio.gather(*(person(number) for number in range(8))) for run in made]
        await engine.rests(first.thread_id)
    for run in runs:
        try:
            ended = await engine.runs.get(ALICE, run.run_id)
        except RunNotFound:
            continue
        assert ended.ended
        events = await engine.events(run)
        assert [event.ends_run for event in events].count(True) == 1
    last = await engine.end(await engine.ask("echo", "at last", first.thread_id))
    assert last.status == "success"
    assert (await engine.said(first.thread_id))[-2:] == ["at last", "echo at last"]


# --- what is refused


async def test_what_cannot_begin_is_refused_and_leaves_nothing(engine: Engine):
    before = await engine.count()
    refused: list[tuple[type[DomainError], dict[str, Any], UUID | None]] = [
        (AgentNotFound, {"agent": "nobody"}, None),
        (UnsupportedModel, {"model": "gpt-0"}, None),
        (ThreadNotFound, {}, uuid4()),
        (Invalid, {"metadata": {"big": 2**70}}, None),
        (Invalid, {"metadata": {"half": "\ud800"}}, None),
    ]
    for error, options, thread in refused:
        asked = replace(request("echo", "hi"), **options)
        with pytest.raises(error):
            await engine.runs.start(ALICE, asked, thread_id=thread)
    assert await engine.count() == before


async def test_a_nul_is_refused_where_it_cannot_be_kept(engine: Engine):
    if engine.database.dialect == "postgresql":
        with pytest.raises(Invalid):
            await engine.ask("echo", "nul \x00")
    else:
        assert (await engine.end(await engine.ask("echo", "nul \x00"))).status == "success"


async def test_another_tenant_sees_no_run(engine: Engine):
    run = await engine.ask("echo", "hi")
    await engine.end(run)
    for call in (
        engine.runs.get(MALLORY, run.run_id),
        engine.runs.cancel(MALLORY, run.run_id),
        engine.runs.resume(MALLORY, run.run_id, 1),
    ):
        with pytest.raises(RunNotFound):
            await call
    with pytest.raises(ThreadNotFound):
        await engine.runs.list(MALLORY, run.thread_id)
    with pytest.raises(ThreadNotFound):
        await engine.runs.start(MALLORY, request("echo", "hi"), thread_id=run.thread_id)
    with pytest.raises(RunNotFound):
        engine.runs.events(MALLORY, run)
    with pytest.raises(ThreadNotFound):
        await anext(aiter(engine.runs.thread_events(MALLORY, run.thread_id, None)))


@pytest.mark.parametrize("cursor", [Cursor(1, 999_999_999), Cursor(999_999_999, 1)])
async def test_a_cursor_beyond_the_end_yields_nothing(engine: Engine, cursor: Cursor):
    run = await engine.ask("echo", "hi")
    await engine.end(run)
    assert [batch async for batch in engine.runs.events(ALICE, run, cursor)] == []


async def test_runs_are_listed_newest_first(engine: Engine):
    runs = [await engine.ask("echo", "one")]
    runs += [await engine.ask("echo", str(number), runs[0].thread_id) for number in range(3)]
    for run in runs:
        await engine.end(run)
    listed = await engine.runs.list(ALICE, runs[0].thread_id, limit=3)
    assert [run.run_id for run in listed] == [run.run_id for run in reversed(runs)][:3]


# --- keys and answers


async def test_many_with_one_key_execute_once(engine: Engine):
    visits = 0

    async def count(state: MessagesState) -> None:
        nonlocal visits
        visits += 1

    engine.agents.graphs["count"] = graph_of(count)
    asked = request("count", "hi")
    runs = await asyncio.gather(
        *(engine.runs.start(ALICE, asked, thread_id=None, idempotency_key="k") for _ in range(20))
    )
    assert len({run.run_id for run in runs}) == 1
    await engine.end(runs[0])
    assert visits == 1
    with pytest.raises(IdempotencyConflict):
        await engine.runs.start(ALICE, request("echo", "hi"), thread_id=None, idempotency_key="k")


async def ask_twice(state: MessagesState) -> dict[str, Any]:
    return {"messages": [AIMessage(f"{interrupt('first?')} {interrupt('second?')}")]}


async def test_of_many_answers_to_one_question_one_is_taken(engine: Engine):
    """Also when the run that takes it has come to the next question before the others look."""
    engine.agents.graphs["ask"] = graph_of(ask_twice)
    for _ in range(5):
        run = await engine.ask("ask", "hi")
        await engine.end(run)

        async def answer(number: int, run: Run = run) -> Run:
            resumed = await engine.runs.resume(ALICE, run.run_id, number)
            await engine.end(resumed)
            return resumed

        answers = await asyncio.gather(*(answer(number) for number in range(6)), return_exceptions=True)
        won = [one for one in answers if isinstance(one, Run)]
        assert len(won) == 1
        assert {type(one) for one in answers} <= {Run, ThreadBusy, NotInterrupted}
        ended = await engine.runs.get(ALICE, won[0].run_id)
        assert ended.result is not None
        assert ended.result["interrupts"][0]["value"] == "second?"


async def test_an_answer_to_what_does_not_wait_is_refused(engine: Engine):
    engine.agents.graphs["ask"] = graph_of(ask_twice)
    plain = await engine.ask("echo", "hi")
    await engine.end(plain)
    with pytest.raises(NotInterrupted):
        await engine.runs.resume(ALICE, plain.run_id, 1)
    run = await engine.ask("ask", "hi")
    await engine.end(run)
    await engine.end(await engine.runs.resume(ALICE, run.run_id, 1))
    with pytest.raises(NotInterrupted):
        await engine.runs.resume(ALICE, run.run_id, 2)  # that question has been answered; another waits


# --- callers that go away


async def test_a_caller_that_goes_away_while_a_run_is_made_leaves_no_run_without_a_worker(engine: Engine):
    threads = []
    for turns in range(12):
        first = await engine.ask("echo", "one")
        await engine.end(first)
        threads.append(first.thread_id)
        asking = asyncio.create_task(engine.ask("echo", "two", first.thread_id))
        for _ in range(turns):
            await asyncio.sleep(0)
        asking.cancel()
    for thread in threads:
        await engine.rests(thread)
        assert {run.status for run in await engine.runs.list(ALICE, thread)} == {"success"}


async def test_a_cancel_that_was_asked_for_is_done_though_the_caller_goes_away(engine: Engine, gate: Gate):
    for turns in range(1, 8):
        gate.entered.clear()
        run = await busy(engine, gate)
        cancelling = asyncio.create_task(engine.runs.cancel(ALICE, run.run_id))
        for _ in range(turns):
            await asyncio.sleep(0)
        cancelling.cancel()
        asked = (await engine.runs.get(ALICE, run.run_id)).cancel_action
        if asked is None:
            with suppress(RunEnded):
                await engine.runs.cancel(ALICE, run.run_id)
        assert (await engine.end(run)).status == "interrupted"


# --- stateless


async def test_a_stateless_run_says_the_same_and_leaves_nothing(engine: Engine):
    before = await engine.count()
    events = [event async for batch in engine.runs.stateless(ALICE, request("echo", "hi there")) for event in batch]
    assert [event.name for event in events] == ["start", "token", "token", "token", "usage", "done"]
    assert text_said(events) == "echo hi there"
    assert data(events[-1])["thread_id"] is None
    await engine.log.flush()
    assert await engine.count() == before


async def test_a_stateless_run_stops_when_its_reader_leaves(lite: Engine):
    entered, stopped = asyncio.Event(), asyncio.Event()

    async def wait(state: MessagesState) -> None:
        entered.set()
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()

    lite.agents.graphs["wait"] = graph_of(echo, wait)
    stream = cast(AsyncGenerator[list[Event]], lite.runs.stateless(ALICE, request("wait", "hi")))
    await anext(stream)
    async with asyncio.timeout(60):
        await entered.wait()
        await stream.aclose()
    assert stopped.is_set()


async def test_a_stateless_run_that_fails_or_takes_too_long_says_so(lite: Engine):
    async def fail(state: MessagesState) -> None:
        raise ValueError

    async def timeout_of_its_own(state: MessagesState) -> None:
        raise TimeoutError

    async def surrogate(state: MessagesState) -> dict[str, Any]:
        return {"messages": [AIMessage("\ud800")]}

    async def wait(state: MessagesState) -> None:
        await asyncio.Event().wait()

    for node in (fail, timeout_of_its_own, surrogate, wait):
        lite.agents.graphs[node.__name__] = graph_of(node)

    async def last(agent: str) -> Event:
        async with asyncio.timeout(60):
            asked = request(agent, "hi", timeout=0.05)
            events = [event async for batch in lite.runs.stateless(ALICE, asked) for event in batch]
        return events[-1]

    assert [(await last(agent)).name for agent in ("fail", "timeout_of_its_own", "surrogate")] == ["error"] * 3
    ended = await last("wait")
    assert (ended.name, data(ended)["status"]) == ("done", "timeout")


# --- watching a thread


async def watch(engine: Engine, thread: UUID, after: tuple[UUID, Cursor] | None, ends: int) -> list[tuple[UUID, Event]]:
    """What a viewer of a thread is shown until so many runs have ended."""
    seen: list[tuple[UUID, Event]] = []
    async with asyncio.timeout(60):
        async for run_id, batch in engine.runs.thread_events(ALICE, thread, after):
            seen += [(run_id, event) for event in batch]
            if sum(event.ends_run for _, event in seen) >= ends:
                break
    return seen


async def test_who_watches_a_thread_at_rest_misses_no_run_however_quick(engine: Engine):
    thread = (await engine.threads.create(ALICE)).thread_id
    for _ in range(6):
        watching = asyncio.create_task(watch(engine, thread, None, 2))
        await asyncio.sleep(0.02)
        runs = []
        for text in ("one", "two"):
            runs.append(await engine.ask("echo", text, thread))
            await engine.end(runs[-1])
        seen = await watching
        for run in runs:
            assert [event for run_id, event in seen if run_id == run.run_id] == await engine.events(run)


async def test_who_comes_in_the_middle_of_a_run_is_shown_all_of_it_and_what_follows(engine: Engine, gate: Gate):
    run = await busy(engine, gate)
    queued = await engine.ask("echo", "three", run.thread_id)
    watching = asyncio.create_task(watch(engine, run.thread_id, None, 2))
    await asyncio.sleep(0.01)
    gate.open.set()
    seen = await watching
    assert [event for run_id, event in seen if run_id == run.run_id] == await engine.events(run)
    assert [event for run_id, event in seen if run_id == queued.run_id] == await engine.events(queued)


async def test_who_comes_back_to_a_thread_is_shown_what_came_since(engine: Engine):
    thread = (await engine.threads.create(ALICE)).thread_id
    runs = []
    for text in ("one", "two", "three"):
        runs.append(await engine.ask("echo", text, thread))
        await engine.end(runs[-1])
    seen = await watch(engine, thread, (runs[0].run_id, Cursor(1, 3)), 3)
    missed = [event for event in await engine.events(runs[0]) if event.cursor > Cursor(1, 3)]
    everything = [(runs[0].run_id, event) for event in missed]
    for run in runs[1:]:
        everything += [(run.run_id, event) for event in await engine.events(run)]
    assert seen == everything


async def test_who_comes_back_after_very_many_runs_is_shown_all_of_them(lite: Engine, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("backend.service.run.REPLAY", 3)
    thread = (await lite.threads.create(ALICE)).thread_id
    runs = [await lite.ask("echo", str(number), thread) for number in range(8)]
    await lite.end(runs[-1])
    seen = await watch(lite, thread, (runs[0].run_id, Cursor(0, 0)), 8)
    assert list(dict.fromkeys(run_id for run_id, _ in seen)) == [run.run_id for run in runs]


async def test_runs_that_are_no_longer_kept_do_not_end_the_watching(lite: Engine, clock: FakeClock):
    thread = (await lite.threads.create(ALICE)).thread_id
    old = [await lite.ask("echo", text, thread) for text in ("one", "two")]
    await lite.end(old[-1])
    clock.advance(5000)
    await lite.worker.sweep()
    young = await lite.ask("echo", "three", thread)
    await lite.end(young)
    with pytest.raises(Gone):
        await watch(lite, thread, (old[0].run_id, Cursor(1, 2)), 1)
    await lite.database.write(
        lambda connection: connection.exec_driver_sql(f"DELETE FROM run_events WHERE run_id = '{old[1].run_id.hex}'")
    )
    last = (await lite.events(young))[-1].cursor
    seen = await watch(lite, thread, (young.run_id, Cursor(last.attempt, last.seq - 1)), 1)
    assert [event.name for _, event in seen] == ["done"]


async def test_a_run_keeps_what_its_caller_may_where_that_is_not_all(engine: Engine) -> None:
    narrow = replace(ALICE, scopes=frozenset({"chat", "knowledge:read"}))
    mine = await engine.runs.start(narrow, request("echo", "one"), thread_id=None)
    whole = await engine.runs.start(ALICE, request("echo", "one"), thread_id=None)
    operator = replace(ALICE, scopes=SCOPES | {OPERATE})
    highest = await engine.runs.start(operator, request("echo", "one"), thread_id=None)
    kept = [(await engine.runs.get(ALICE, run.run_id)) for run in (mine, whole, highest)]
    assert [run.request.scopes for run in kept] == [["chat", "knowledge:read"], None, None]
    assert [executor._principal(run).scopes for run in kept] == [narrow.scopes, SCOPES, SCOPES]
    for run in kept:
        await engine.end(run)


async def test_who_answers_a_run_lends_it_what_they_may(engine: Engine, agents: Agents) -> None:
    async def ask(state: MessagesState) -> dict[str, Any]:
        return {"messages": [AIMessage(str(interrupt("?")))]}

    agents.graphs["asking"] = graph_of(ask)
    run = await engine.ask("asking", "one")
    await engine.end(run)
    narrow = replace(ALICE, scopes=frozenset({"chat"}))
    again = await engine.runs.resume(narrow, run.run_id, "yes")
    await engine.end(again)
    assert again.request.scopes == ["chat"]
