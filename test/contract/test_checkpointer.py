"""The checkpointer: LangGraph's own conformance suite, the stock saver as reader and writer, and what is ours."""

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any, cast
from uuid import UUID, uuid4

import ormsgpack
import pytest
from langchain_core.messages import AIMessage, HumanMessage
from langgraph.checkpoint.base import CheckpointMetadata, CheckpointTuple, empty_checkpoint
from langgraph.checkpoint.conformance import checkpointer_test, validate
from langgraph.checkpoint.serde.jsonplus import EXT_CONSTRUCTOR_POS_ARGS
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.graph import MessagesState
from langgraph.types import Command, interrupt
from sqlalchemy import Connection, text

from backend.core.error import Fenced
from backend.database.base import Database
from backend.database.sqlite import SqliteDatabase
from backend.repository.checkpoint import Checkpointer, Fence
from test.engine_fixture import ALICE, Engine, FakeClock, Graph, graph_of, of_everyone, request

Config = Any


def on(thread: object, checkpoint_id: str | None = None) -> Config:
    configurable = {"thread_id": str(thread), "checkpoint_ns": ""}
    return {"configurable": configurable | ({"checkpoint_id": checkpoint_id} if checkpoint_id else {})}


async def save(saver: Checkpointer, thread: object, **metadata: Any) -> Config:
    described = cast(CheckpointMetadata, {"source": "loop", "step": 1, **metadata})
    return await saver.aput(on(thread), empty_checkpoint(), described, {})


async def ask(state: MessagesState) -> dict[str, Any]:
    answer = interrupt({"question": f"about {state['messages'][-1].content}?"})
    return {"messages": [AIMessage(f"so {answer}", id="a1")]}


async def history(graph: Graph, thread: str) -> list[tuple[Any, ...]]:
    return [
        (state.config["configurable"]["checkpoint_id"], state.values, state.next, state.metadata, state.interrupts)
        async for state in graph.aget_state_history(on(thread))
    ]


async def test_langgraphs_conformance_suite_passes(database: Database):
    @checkpointer_test(name=database.dialect)
    async def ours() -> AsyncIterator[Checkpointer]:
        yield Checkpointer(database)

    report = await validate(ours)

    failures = [failure for result in report.results.values() for failure in result.failures or []]
    assert failures == []
    assert {name for name, result in report.results.items() if result.passed} == {
        "put", "put_writes", "get_tuple", "list", "delete_thread", "delete_for_runs", "copy_thread", "prune",
    }  # fmt: skip


async def test_langgraphs_conformance_suite_passes_for_a_tenant(database: Database):
    @checkpointer_test(name="tenant")
    async def ours() -> AsyncIterator[Checkpointer]:
        yield Checkpointer(database, tenant_id="acme")

    report = await validate(ours)

    assert report.passed_all()


async def test_the_stock_saver_reads_what_ours_wrote(file: SqliteDatabase):
    ours = graph_of(ask).copy({"checkpointer": Checkpointer(file)})
    await ours.ainvoke({"messages": [HumanMessage("one", id="h1")]}, on("t"))
    waiting = await history(ours, "t")

    async with AsyncSqliteSaver.from_conn_string(str(file.path)) as stock:
        theirs = graph_of(ask).copy({"checkpointer": stock})
        assert await history(theirs, "t") == waiting
        assert waiting[0][4][0].value == {"question": "about one?"}

    await ours.ainvoke(Command(resume="yes"), on("t"))
    async with AsyncSqliteSaver.from_conn_string(str(file.path)) as stock:
        theirs = graph_of(ask).copy({"checkpointer": stock})
        assert await history(theirs, "t") == await history(ours, "t")
        state = await theirs.aget_state(on("t"))
    assert [message.content for message in state.values["messages"]] == ["one", "so yes"]


async def test_ours_goes_on_where_the_stock_saver_stopped(file: SqliteDatabase):
    async with AsyncSqliteSaver.from_conn_string(str(file.path)) as stock:
        theirs = graph_of(ask).copy({"checkpointer": stock})
        await theirs.ainvoke({"messages": [HumanMessage("two", id="h1")]}, on("t"))
        written = await history(theirs, "t")

    ours = graph_of(ask).copy({"checkpointer": Checkpointer(file)})
    assert await history(ours, "t") == written
    result = await ours.ainvoke(Command(resume="no"), on("t"))
    assert [message.content for message in result["messages"]] == ["two", "so no"]


async def test_a_forged_checkpoint_runs_no_code(database: Database, tmp_path: Path):
    """The type of the blob is a call of `os.mkdir`, as an attacker with access to the file would write it."""
    saver = Checkpointer(database)
    config = await save(saver, "t")
    bait = tmp_path / "made-by-a-checkpoint"
    call = ormsgpack.packb(("os", "mkdir", [str(bait)]))
    blob = ormsgpack.packb(ormsgpack.Ext(EXT_CONSTRUCTOR_POS_ARGS, call))
    forged = b'{"lc":2,"type":"constructor","id":["os","mkdir"],"args":["' + str(bait).encode() + b'"],"kwargs":{}}'

    for kind, value in (
        ("msgpack", blob),
        ("json", forged),
        ("pickle", b"cos\nmkdir\n(V" + str(bait).encode() + b"\ntR."),
    ):

        def put(connection: Connection, kind: str = kind, value: bytes = value) -> None:
            row = {"type": kind, "value": value}
            connection.execute(text("UPDATE checkpoints SET type = :type, checkpoint = :value"), row)

        await database.write(of_everyone(put))
        with suppress(Exception):  # to refuse it is as good as to read it as plain data
            await saver.aget_tuple(config)
        assert not bait.exists()
    os.mkdir(bait)  # the call itself would have worked
    assert bait.exists()


@pytest.fixture
async def zombie(engine: Engine) -> tuple[Engine, UUID, Fence]:
    """An attempt that another has taken over from, on a thread with one checkpoint."""
    created = await engine.ledger.create(ALICE, request("echo", "hi"), thread_id=None, begin=True)
    run = created.run
    fence = Fence(run.run_id, run.attempt)
    await save(engine.checkpointer.bound("default", fence), run.thread_id)
    await engine.ledger.release(run)
    again = await engine.ledger.claim(run)
    assert again is not None
    assert again.attempt == 2
    return engine, run.thread_id, fence


async def test_what_a_zombie_writes_is_refused_and_the_head_stays(zombie: tuple[Engine, UUID, Fence]):
    engine, thread, fence = zombie
    head = await engine.checkpointer.aget_tuple(on(thread))
    assert head is not None
    late = engine.checkpointer.bound("default", fence)

    with pytest.raises(Fenced):
        await save(late, thread)
    with pytest.raises(Fenced):
        await late.aput_writes(head.config, [("messages", "late")], "task")

    assert await engine.checkpointer.aget_tuple(on(thread)) == head
    assert (await engine.count())["checkpoints"] == 1


async def test_the_current_attempt_writes(zombie: tuple[Engine, UUID, Fence]):
    engine, thread, fence = zombie
    current = engine.checkpointer.bound("default", Fence(fence.run_id, 2))
    config = await save(current, thread)
    await current.aput_writes(config, [("messages", "in time")], "task")

    head = await engine.checkpointer.aget_tuple(on(thread))
    assert head is not None
    assert head.pending_writes == [("task", "messages", "in time")]


async def test_a_run_that_has_ended_or_never_was_writes_nothing(engine: Engine):
    run = await engine.ask("echo", "hi")
    await engine.end(run)
    for fence in (Fence(run.run_id, 1), Fence(uuid4(), 1)):
        with pytest.raises(Fenced):
            await save(engine.checkpointer.bound("default", fence), run.thread_id)


async def test_one_thread_id_in_two_tenants_is_two_threads(database: Database):
    ours, acme, lite = (Checkpointer(database, tenant_id=tenant) for tenant in ("default", "acme", "lite"))
    for saver, tenant in ((ours, "default"), (acme, "acme")):
        config = await save(saver, "t", run_id=f"run of {tenant}")
        await saver.aput_writes(config, [("channel", tenant)], "task")

    async def seen(saver: Checkpointer) -> list[Any]:
        found = [found async for found in saver.alist(on("t"))]
        return [(one.metadata["run_id"], [write[2] for write in one.pending_writes or []]) for one in found]

    assert await seen(ours) == [("run of default", ["default"])]
    assert await seen(acme) == [("run of acme", ["acme"])]
    assert await seen(lite) == []
    head = await acme.aget_tuple(on("t"))
    assert head is not None
    assert head.config["configurable"]["thread_id"] == "t"
    assert await lite.aget_tuple(head.config) is None

    await acme.acopy_thread("t", "copy")
    assert await ours.aget_tuple(on("copy")) is None
    await lite.adelete_thread("t")
    await lite.aprune(["t"], strategy="delete")
    await lite.adelete_for_runs(["run of default", "run of acme"])
    await acme.adelete_for_runs(["run of default"])
    assert len(await seen(ours)) == len(await seen(acme)) == 1


async def test_a_listing_of_everything_holds_one_tenant_only(database: Database):
    ours, acme = Checkpointer(database), Checkpointer(database, tenant_id="acme")
    await save(ours, "t")
    await save(acme, "u")

    assert [found.config["configurable"]["thread_id"] async for found in ours.alist(None)] == ["t"]
    assert [found.config["configurable"]["thread_id"] async for found in acme.alist(None)] == ["u"]


async def test_a_long_history_is_listed_in_pages_without_gap_or_double(database: Database):
    saver = Checkpointer(database)
    ids = [(await save(saver, "t", even=number % 2 == 0))["configurable"]["checkpoint_id"] for number in range(230)]
    ids.reverse()

    async def listed(**options: Any) -> list[str]:
        return [found.config["configurable"]["checkpoint_id"] async for found in saver.alist(on("t"), **options)]

    assert await listed() == ids
    assert await listed(limit=101) == ids[:101]
    assert await listed(limit=0) == []
    assert await listed(filter={"even": True}) == ids[1::2]
    assert await listed(filter={"even": True}, limit=60) == ids[1::2][:60]
    assert await listed(before=on("t", ids[200])) == ids[201:]


async def test_somebody_who_pauses_in_a_listing_keeps_nobody_from_writing(database: Database):
    saver = Checkpointer(database)
    for _ in range(3):
        await save(saver, "t")
    listing = cast(AsyncGenerator[CheckpointTuple], saver.alist(on("t")))
    first = await anext(listing)
    async with asyncio.timeout(60):
        await save(saver, "t")
    assert isinstance(first, CheckpointTuple)
    await listing.aclose()


async def test_the_synchronous_methods_work_from_a_thread(database: Database):
    saver = Checkpointer(database).bound("default")

    def work() -> tuple[int, Any, Any]:
        config = saver.put(on("t"), empty_checkpoint(), {"source": "loop", "step": 1}, {})
        saver.put_writes(config, [("channel", 1)], "task")
        found, listed = saver.get_tuple(config), list(saver.list(on("t")))
        saver.delete_thread("t")
        return len(listed), found, saver.get_tuple(on("t"))

    listed, found, gone = await asyncio.to_thread(work)
    assert listed == 1
    assert found.pending_writes == [("task", "channel", 1)]
    assert gone is None


async def test_the_synchronous_methods_refuse_to_block_the_loop(database: Database):
    saver = Checkpointer(database).bound("default")
    with pytest.raises(RuntimeError):
        saver.get_tuple(on("t"))
    with pytest.raises(RuntimeError):
        Checkpointer(database).get_tuple(on("t"))


async def test_versions_sort_as_the_stock_savers_do(file: SqliteDatabase):
    ours = Checkpointer(file)
    version = None
    versions = []
    for _ in range(12):
        version = ours.get_next_version(version, None)
        versions.append(version)
    assert versions == sorted(versions)
    async with AsyncSqliteSaver.from_conn_string(str(file.path)) as stock:
        assert stock.get_next_version(versions[-1], None) > versions[-1]
        assert len(stock.get_next_version(versions[-1], None).split(".")[0]) == len(versions[-1].split(".")[0])


async def test_metadata_that_is_not_json_does_not_stop_a_run(database: Database):
    saver = Checkpointer(database)
    await save(saver, "t", odd={"when": FakeClock()(), 1: {"a set"}})
    head = await saver.aget_tuple(on("t"))
    assert head is not None
    assert head.metadata["source"] == "loop"
