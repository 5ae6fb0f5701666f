"""Threads: whose they are, what is found, what goes with them."""

import asyncio
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest

from backend.core.error import Conflict, Forbidden, RunNotFound, ThreadBusy, ThreadExists, ThreadNotFound
from backend.dto.thread import Thread, ThreadQuery
from test.engine_fixture import ALICE, MALLORY, Agents, Engine, Gate, echo, graph_of, request


async def test_a_thread_comes_back_as_it_was_made(engine: Engine):
    made = await engine.threads.create(ALICE, metadata={"customer": "한국", "deep": {"a": [1, None]}})
    assert await engine.threads.get(ALICE, made.thread_id) == made
    assert (made.status, made.agent) == ("idle", None)


async def test_an_id_that_is_taken_is_refused_but_another_tenant_may_have_the_same(engine: Engine):
    thread_id = uuid4()
    await engine.threads.create(ALICE, thread_id=thread_id, metadata={"of": "alice"})
    with pytest.raises(ThreadExists):
        await engine.threads.create(ALICE, thread_id=thread_id)
    await engine.threads.create(MALLORY, thread_id=thread_id, metadata={"of": "mallory"})
    assert (await engine.threads.get(ALICE, thread_id)).metadata == {"of": "alice"}


async def test_another_tenants_thread_is_not_found(engine: Engine):
    run = await engine.ask("echo", "secret")
    await engine.end(run)
    for call in (
        engine.threads.get(MALLORY, run.thread_id),
        engine.threads.update(MALLORY, run.thread_id, {"mine": "now"}),
        engine.threads.delete(MALLORY, run.thread_id),
        engine.threads.messages(MALLORY, run.thread_id),
        engine.threads.values(MALLORY, run.thread_id),
        engine.threads.list(MALLORY, before=run.thread_id),
    ):
        with pytest.raises(ThreadNotFound):
            await call
    assert await engine.threads.list(MALLORY) == []
    assert await engine.said(run.thread_id) == ["secret", "echo secret"]


async def test_threads_of_the_desk_are_not_there_for_who_may_only_chat(engine: Engine, agents: Agents):
    chatter = replace(ALICE, scopes=frozenset({"chat"}))
    agents.graphs["copilot"] = graph_of(echo)
    run = await engine.ask("copilot", "secret")
    await engine.end(run)
    hidden = run.thread_id
    named = (await engine.threads.create(ALICE, metadata={"graph_id": "summary"})).thread_id
    copy = (await engine.threads.copy(ALICE, hidden, metadata={"graph_id": "echo"}))[0].thread_id
    shown = (await engine.threads.create(ALICE)).thread_id
    for query in (
        ThreadQuery(),
        ThreadQuery(status="idle"),
        ThreadQuery(ids=(hidden, named, copy, shown)),
        ThreadQuery(metadata={"graph_id": "echo"}),
        ThreadQuery(values={"messages": []}),
    ):
        wanted, _ = await engine.threads.search(ALICE, query, limit=10)
        assert {hidden, named, copy} & {thread.thread_id for thread, _ in wanted}
        found, more = await engine.threads.search(chatter, query, limit=1)
        assert {thread.thread_id for thread, _ in found} <= {shown}
        assert not more
        assert await engine.threads.count(chatter, query) == len(found)
    assert [thread.thread_id for thread in await engine.threads.list(chatter)] == [shown]
    for thread_id in (hidden, named, copy):
        for call in (
            engine.threads.get(chatter, thread_id),
            engine.threads.look(chatter, thread_id),
            engine.threads.delete(chatter, thread_id, stop=True),
            engine.threads.change(chatter, thread_id, metadata={"graph_id": "echo"}),
            engine.runs.start(chatter, request("echo", "mine"), thread_id=thread_id),
        ):
            with pytest.raises(ThreadNotFound):
                await call
        assert await engine.threads.prune(chatter, [thread_id], "delete") == 0
        assert (await engine.threads.get(ALICE, thread_id)).thread_id == thread_id
    with pytest.raises(RunNotFound):
        await engine.runs.get(chatter, run.run_id)
    with pytest.raises(Conflict, match="support desk"):
        await engine.ask("echo", "mine", hidden)
    with pytest.raises(Forbidden):
        await engine.threads.create(chatter, metadata={"graph_id": "copilot"})


async def test_metadata_is_merged_and_none_takes_a_key_out(engine: Engine):
    made = await engine.threads.create(ALICE, metadata={"a": 1, "b": 2})
    updated = await engine.threads.update(ALICE, made.thread_id, {"b": None, "c": 3})
    assert updated.metadata == {"a": 1, "c": 3}
    assert await engine.threads.get(ALICE, made.thread_id) == updated


async def test_changes_at_once_are_all_kept(engine: Engine):
    made = await engine.threads.create(ALICE)
    await asyncio.gather(
        *(engine.threads.update(ALICE, made.thread_id, {f"k{number}": number}) for number in range(10))
    )
    assert len((await engine.threads.get(ALICE, made.thread_id)).metadata) == 10


async def test_threads_are_listed_in_pages_the_last_changed_first(engine: Engine):
    made = [await engine.threads.create(ALICE) for _ in range(7)]
    await engine.threads.update(ALICE, made[0].thread_id, {"touched": True})
    order = [made[0].thread_id, *(thread.thread_id for thread in reversed(made[1:]))]
    pages: list[Thread] = []
    while page := await engine.threads.list(ALICE, limit=3, before=pages[-1].thread_id if pages else None):
        pages += page
    assert [thread.thread_id for thread in pages] == order


@pytest.mark.parametrize(
    ("stored", "asked", "found"),
    [
        ({"customer": "kim"}, {"customer": "kim"}, True),
        ({"customer": "kim"}, {"customer": "lee"}, False),
        ({"customer": "kim", "n": 1}, {"customer": "kim", "n": 1}, True),
        ({"customer": "kim", "n": 1}, {"customer": "kim", "n": 2}, False),
        ({"vip": True}, {"vip": True}, True),
        ({"vip": False}, {"vip": True}, False),
        ({"n": 1}, {"n": True}, False),
        ({"n": 1}, {"n": "1"}, False),
        ({"ratio": 0.5}, {"ratio": 0.5}, True),
        ({"a": None}, {"a": None}, True),
        ({}, {"a": None}, False),
        ({'a"b': "c"}, {'a"b': "c"}, True),
        ({"a.b": "c"}, {"a.b": "c"}, True),
        ({"a": {"b": "c"}}, {"a.b": "c"}, False),
        ({"a": {"b": "c"}}, {"a": {"b": "c"}}, True),
        ({"$": "x"}, {"$": "x"}, True),
        ({"고객": "김"}, {"고객": "김"}, True),
        ({"a": "x' OR 1=1 --"}, {"a": "x' OR 1=1 --"}, True),
        ({"b": 1}, {"x') OR 1=1 --": 1}, False),
    ],
)
async def test_threads_are_found_by_their_metadata(
    engine: Engine, stored: dict[str, Any], asked: dict[str, Any], found: bool
):
    made = await engine.threads.create(ALICE, metadata=stored)
    await engine.threads.create(ALICE, metadata={"else": "where"})
    listed = await engine.threads.list(ALICE, metadata=asked)
    assert [thread.thread_id for thread in listed] == ([made.thread_id] if found else [])


async def test_messages_say_who_said_what(engine: Engine):
    thread = await engine.threads.create(ALICE)
    assert await engine.threads.messages(ALICE, thread.thread_id) == []
    await engine.end(await engine.ask("echo", "hi", thread.thread_id))
    messages = await engine.threads.messages(ALICE, thread.thread_id)
    assert [(message["role"], message["content"]) for message in messages] == [
        ("user", "hi"),
        ("assistant", "echo hi "),
    ]
    assert all(message["id"] for message in messages)


async def test_a_thread_is_not_deleted_while_a_run_is_active(engine: Engine):
    gate = Gate()
    engine.agents.graphs["gated"] = graph_of(gate.node)
    run = await engine.ask("gated", "hi")
    with pytest.raises(ThreadBusy):
        await engine.threads.delete(ALICE, run.thread_id)
    gate.open.set()
    await engine.end(run)
    await engine.threads.delete(ALICE, run.thread_id)
    with pytest.raises(ThreadNotFound):
        await engine.threads.delete(ALICE, run.thread_id)


async def test_with_a_thread_goes_all_that_was_of_it_and_nothing_else(engine: Engine):
    other = await engine.ask("echo", "stays")
    await engine.end(other)
    before = await engine.count()
    run = await engine.ask("echo", "goes")
    await engine.end(run)
    await engine.threads.delete(ALICE, run.thread_id)
    after = await engine.count()
    assert after | {"usage": 0} == before | {"usage": 0}  # what was used was used
    assert await engine.said(other.thread_id) == ["stays", "echo stays"]
