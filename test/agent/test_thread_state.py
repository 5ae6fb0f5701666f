"""States of threads: read, branched from, changed and measured, through the thread's own graph."""

import asyncio
import operator
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any, TypedDict
from uuid import UUID, uuid4

import pytest
from langgraph.channels.delta import DeltaChannel
from langgraph.graph import END, START, StateGraph
from langgraph.types import interrupt
from sqlalchemy import Connection

from backend.core.error import BadRequest, CheckpointNotFound, ThreadBusy, ThreadNotFound
from backend.core.run.state_wire import state_wire
from backend.database.base import Database
from backend.dto.principal import Principal
from backend.dto.thread import ThreadStatus
from backend.repository.checkpoint import Checkpointer
from backend.repository.thread import ThreadRepository
from backend.service.thread import ThreadService
from backend.service.thread_state import ThreadStateService
from test.engine_fixture import ALICE, MALLORY, FakeClock, Graph


class Log(TypedDict, total=False):
    log: Annotated[list[str], operator.add]
    n: int


def first(state: Log) -> Log:
    return {"log": ["first"], "n": state.get("n", 0) + 1}


def second(state: Log) -> Log:
    del state
    return {"log": ["second"]}


def ask(state: Log) -> Log:
    del state
    return {"log": [f"heard {interrupt('well?')}"]}


def _two_steps() -> Graph:
    builder = StateGraph(Log)
    builder.add_node("first", first)
    builder.add_node("second", second)
    builder.add_edge(START, "first")
    builder.add_edge("first", "second")
    builder.add_edge("second", END)
    return builder.compile()


def _nested() -> Graph:
    child = StateGraph(Log)
    child.add_node("inner", second)
    child.add_node("ask", ask)
    child.add_edge(START, "inner")
    child.add_edge("inner", "ask")
    child.add_edge("ask", END)
    builder = StateGraph(Log)
    builder.add_node("first", first)
    builder.add_node("child", child.compile())
    builder.add_edge(START, "first")
    builder.add_edge("first", "child")
    builder.add_edge("child", END)
    return builder.compile()


def _add(left: list[str], writes: list[list[str]]) -> list[str]:
    return [*left, *(item for write in writes for item in write)]


class Deltas(TypedDict):
    log: Annotated[list[str], DeltaChannel(_add)]


def _deltas() -> Graph:
    builder = StateGraph(Deltas)
    builder.add_node("say", lambda state: {"log": [str(len(state["log"]))]})
    builder.add_edge(START, "say")
    builder.add_edge("say", END)
    return builder.compile()


class World:
    """Threads on a database, with graphs that are run without the run engine."""

    def __init__(self, database: Database, clock: FakeClock) -> None:
        self.database = database
        self.clock = clock
        self.checkpointer = Checkpointer(database)
        self.graphs = {"steps": _two_steps(), "nested": _nested(), "deltas": _deltas()}
        self.told: list[tuple[str, UUID, dict[str, Any]]] = []
        self.uses: list[tuple[str, Any]] = []
        self.threads = ThreadService(database, self.checkpointer, clock)
        self.states = ThreadStateService(database, self.checkpointer, self, clock, on_state_update=self._tell)

    @asynccontextmanager
    async def use(
        self, name: str, *, config: Any = None, access_context: Any = None, user: Any = None
    ) -> AsyncIterator[Graph]:
        del user
        self.uses.append((access_context, config))
        yield self.graphs[name]

    async def _tell(self, tenant_id: str, thread_id: UUID, state: dict[str, Any]) -> None:
        self.told.append((tenant_id, thread_id, state))

    async def thread(self, principal: Principal = ALICE, graph: str = "steps") -> UUID:
        """Return a thread on which a graph has run once."""
        made = await self.threads.create(principal, metadata={"graph_id": graph})
        await self.run(made.thread_id, principal, graph)
        return made.thread_id

    async def run(self, thread_id: UUID, principal: Principal = ALICE, graph: str = "steps") -> None:
        bound = self.graphs[graph].copy({"checkpointer": self.checkpointer.bound(principal.tenant_id)})
        await bound.ainvoke({"log": ["in"]}, {"configurable": {"thread_id": str(thread_id)}})

    async def set_status(self, thread_id: UUID, status: ThreadStatus) -> None:
        def work(connection: Connection) -> None:
            ThreadRepository(connection, ALICE.tenant_id).set_status(thread_id, status, self.clock())

        await self.database.write(work)

    async def checkpoints(self, thread_id: UUID) -> list[str]:
        found = await self.states.history(ALICE, thread_id, limit=1000)
        return [state.config["configurable"]["checkpoint_id"] for state in found]


@pytest.fixture
def world(database: Database, clock: FakeClock) -> World:
    return World(database, clock)


async def test_the_newest_state_is_whole_and_its_wire_shape_names_the_checkpoint(world: World):
    thread_id = await world.thread()
    wire = state_wire(await world.states.get(ALICE, thread_id))
    assert wire["values"] == {"log": ["in", "first", "second"], "n": 1}
    assert (wire["next"], wire["tasks"], wire["interrupts"]) == ([], [], [])
    assert wire["checkpoint"] == {
        "checkpoint_id": wire["checkpoint_id"], "thread_id": str(thread_id), "checkpoint_ns": "",
    }  # fmt: skip
    assert wire["parent_checkpoint"]["checkpoint_id"] == wire["parent_checkpoint_id"]
    assert wire["metadata"]["step"] == 2


async def test_a_thread_without_a_graph_has_an_empty_state_and_takes_none(world: World):
    made = await world.threads.create(ALICE)
    wire = state_wire(await world.states.get(ALICE, made.thread_id))
    assert wire == {
        "values": {}, "next": [], "tasks": [], "metadata": None, "created_at": None, "checkpoint": None,
        "parent_checkpoint": None, "interrupts": [], "checkpoint_id": None, "parent_checkpoint_id": None,
    }  # fmt: skip
    assert await world.states.history(ALICE, made.thread_id) == []
    with pytest.raises(BadRequest, match="graph"):
        await world.states.update(ALICE, made.thread_id, {"n": 1})


async def test_an_earlier_state_shows_its_task_and_what_came_of_it(world: World):
    thread_id = await world.thread()
    before_second = (await world.checkpoints(thread_id))[1]
    wire = state_wire(await world.states.get(ALICE, thread_id, checkpoint={"checkpoint_id": before_second}))
    assert wire["values"] == {"log": ["in", "first"], "n": 1}
    assert wire["next"] == ["second"]
    (task,) = wire["tasks"]
    assert (task["name"], task["result"], task["error"]) == ("second", {"log": ["second"]}, None)


async def test_a_checkpoint_that_the_thread_does_not_have_is_not_found(world: World):
    thread_id, other = await world.thread(), await world.thread()
    foreign = await world.thread(MALLORY)
    theirs = await world.states.history(MALLORY, foreign)
    forged = [
        (await world.checkpoints(other))[0],
        str(theirs[0].config["configurable"]["checkpoint_id"]),
        "nonsense",
        "' OR 1=1 --",
    ]
    for checkpoint_id in forged:
        with pytest.raises(CheckpointNotFound):
            await world.states.get(ALICE, thread_id, checkpoint={"checkpoint_id": checkpoint_id})
        with pytest.raises(CheckpointNotFound):
            await world.states.update(ALICE, thread_id, {"n": 9}, checkpoint={"checkpoint_id": checkpoint_id})
    place = {"checkpoint_id": forged[0], "thread_id": str(other)}
    with pytest.raises(CheckpointNotFound):
        await world.states.get(ALICE, thread_id, checkpoint=place)


async def test_another_tenant_or_owner_finds_no_thread(world: World):
    thread_id = await world.thread()
    for call in (
        world.states.get(MALLORY, thread_id),
        world.states.update(MALLORY, thread_id, {"n": 9}),
        world.states.history(MALLORY, thread_id),
        world.states.storage(MALLORY, thread_id),
        world.states.get(ALICE, thread_id, only={"owner": "bob"}),
        world.states.update(ALICE, thread_id, {"n": 9}, only={"owner": "bob"}),
        world.states.history(ALICE, thread_id, only={"owner": "bob"}),
        world.states.storage(ALICE, thread_id, only={"owner": "bob"}),
    ):
        with pytest.raises(ThreadNotFound):
            await call
    assert (await world.states.get(ALICE, thread_id)).values["n"] == 1


async def test_an_update_is_a_new_state_that_the_threads_row_and_its_followers_have_at_once(world: World):
    thread_id = await world.thread()
    head = (await world.checkpoints(thread_id))[0]
    place = await world.states.update(ALICE, thread_id, {"n": 7})
    state = await world.states.get(ALICE, thread_id)
    assert state.config["configurable"]["checkpoint_id"] == place["checkpoint_id"]
    assert state.parent_config is not None
    assert state.parent_config["configurable"]["checkpoint_id"] == head
    assert state.metadata is not None
    assert state.metadata["source"] == "update"

    def work(connection: Connection) -> Any:
        threads = ThreadRepository(connection, ALICE.tenant_id)
        return threads.get(thread_id).status, threads.state(thread_id).values

    assert await world.database.read(work) == ("idle", {"log": ["in", "first", "second"], "n": 7})
    assert [(tenant, thread) for tenant, thread, _ in world.told] == [(ALICE.tenant_id, thread_id)]
    assert world.told[0][2]["values"]["n"] == 7


async def test_an_update_as_a_node_leaves_the_rest_to_be_done(world: World):
    thread_id = await world.thread()
    await world.states.update(ALICE, thread_id, {"n": 3}, as_node="first")
    assert (await world.states.get(ALICE, thread_id)).next == ("second",)
    assert (await world.threads.get(ALICE, thread_id)).status == "interrupted"


@pytest.mark.parametrize(
    ("values", "as_node"), [({"n": 1}, "nobody"), ([{"n": 1}, {"n": 2}], "first"), ({"log": 5}, "first")]
)
async def test_what_the_graph_does_not_take_is_refused_and_changes_nothing(world: World, values: Any, as_node: str):
    thread_id = await world.thread()
    before = await world.checkpoints(thread_id)
    with pytest.raises(BadRequest):
        await world.states.update(ALICE, thread_id, values, as_node=as_node)
    assert await world.checkpoints(thread_id) == before


async def test_an_update_of_an_earlier_state_is_a_branch(world: World):
    thread_id = await world.thread()
    earlier = (await world.checkpoints(thread_id))[1]
    await world.states.update(ALICE, thread_id, {"n": 5}, as_node="first", checkpoint={"checkpoint_id": earlier})
    head, *rest = await world.states.history(ALICE, thread_id, limit=10)
    assert head.parent_config is not None
    assert head.parent_config["configurable"]["checkpoint_id"] == earlier
    assert head.values == {"log": ["in", "first"], "n": 5}
    assert len(rest) == 4


async def test_a_busy_threads_state_is_not_changed(world: World):
    thread_id = await world.thread()
    await world.set_status(thread_id, "busy")
    before = await world.checkpoints(thread_id)
    with pytest.raises(ThreadBusy):
        await world.states.update(ALICE, thread_id, {"n": 7})
    assert await world.checkpoints(thread_id) == before


async def test_a_run_that_begins_while_an_update_is_made_wins(world: World):
    thread_id = await world.thread()
    before = await world.checkpoints(thread_id)
    use = world.use

    @asynccontextmanager
    async def late(name: str, **arguments: Any) -> AsyncIterator[Graph]:
        await world.set_status(thread_id, "busy")
        async with use(name, **arguments) as graph:
            yield graph

    world.use = late  # type: ignore[method-assign]
    with pytest.raises(ThreadBusy):
        await world.states.update(ALICE, thread_id, {"n": 7})
    assert await world.checkpoints(thread_id) == before


async def test_updates_at_once_come_one_after_the_other(world: World):
    thread_id = await world.thread()
    await asyncio.gather(*(world.states.update(ALICE, thread_id, {"log": [str(i)]}) for i in range(4)))
    states = await world.states.history(ALICE, thread_id, limit=5)
    assert set(states[0].values["log"]) == {"in", "first", "second", "0", "1", "2", "3"}
    parents = [None if state.parent_config is None else state.parent_config["configurable"] for state in states]
    ids = [state.config["configurable"]["checkpoint_id"] for state in states]
    assert [parent and parent["checkpoint_id"] for parent in parents][:4] == ids[1:]


async def test_history_pages_before_a_checkpoint_and_filters_by_metadata(world: World):
    thread_id = await world.thread()
    ids = await world.checkpoints(thread_id)
    assert len(ids) == 4
    assert ids == sorted(ids, reverse=True)
    found = await world.states.history(ALICE, thread_id, limit=2, before=ids[1])
    assert [state.config["configurable"]["checkpoint_id"] for state in found] == ids[2:]
    by_step = await world.states.history(ALICE, thread_id, limit=10, metadata={"step": 1})
    assert [state.config["configurable"]["checkpoint_id"] for state in by_step] == [ids[1]]
    assert await world.states.history(ALICE, thread_id, limit=10, metadata={"step'": 1}) == []
    assert await world.states.history(ALICE, thread_id, limit=10, before="' OR ''='") == []


async def test_a_long_history_comes_whole(world: World):
    thread_id = await world.thread()
    for number in range(45):
        await world.states.update(ALICE, thread_id, {"n": number})
    states = await world.states.history(ALICE, thread_id, limit=1000)
    assert [state.values.get("n") for state in states[:46]] == [*reversed(range(45)), 1]
    assert len(states) == 49
    assert len(await world.states.history(ALICE, thread_id, limit=33)) == 33


async def test_a_subgraphs_state_is_shown_on_request_and_can_be_changed(world: World):
    thread_id = await world.thread(graph="nested")
    plain = state_wire(await world.states.get(ALICE, thread_id))
    (task,) = plain["tasks"]
    assert (task["name"], task["state"]) == ("child", None)
    assert [one["value"] for one in plain["interrupts"]] == ["well?"]
    whole = state_wire(await world.states.get(ALICE, thread_id, subgraphs=True))["tasks"][0]
    assert whole["checkpoint"] is None
    assert whole["state"]["values"] == {"log": ["in", "first", "second"], "n": 1}
    place = {"checkpoint_ns": task["checkpoint"]["checkpoint_ns"]}
    inner = state_wire(await world.states.get(ALICE, thread_id, checkpoint=place))
    assert inner["next"] == ["ask"]
    assert set(inner["checkpoint"]["checkpoint_map"]) == {"", place["checkpoint_ns"]}
    states = await world.states.history(ALICE, thread_id, limit=10, checkpoint=place)
    assert [state.next for state in states] == [("ask",), ("inner",), ("__start__",)]
    await world.states.update(ALICE, thread_id, {"log": ["by hand"]}, as_node="ask", checkpoint=place)
    changed = await world.states.get(ALICE, thread_id, checkpoint=place)
    assert changed.values["log"][-1] == "by hand"
    with pytest.raises(BadRequest, match="not found"):
        await world.states.update(ALICE, thread_id, {"n": 1}, checkpoint={"checkpoint_ns": "nobody:1"})


async def test_supersteps_make_a_state_each(world: World):
    made = await world.threads.create(ALICE, metadata={"graph_id": "steps"})
    await world.states.apply(
        ALICE,
        made.thread_id,
        [
            [{"values": {"n": 1, "log": ["in"]}, "as_node": "__input__"}],
            [{"values": {"n": 1, "log": ["in"]}, "as_node": "__start__"}],
            [{"command": {"update": {"n": 4}, "goto": "second"}, "as_node": "first"}],
        ],
    )
    state = await world.states.get(ALICE, made.thread_id)
    assert state.values == {"log": ["in"], "n": 4}
    assert state.next == ("second",)
    with pytest.raises(BadRequest, match="No updates"):
        await world.states.apply(ALICE, made.thread_id, [[]])
    with pytest.raises(BadRequest):
        await world.states.apply(ALICE, made.thread_id, [[{"command": {"goto": 5}, "as_node": "first"}]])


async def test_a_graph_that_is_made_for_each_use_hears_what_it_is_for(world: World):
    thread_id = await world.thread()
    await world.states.update(ALICE, thread_id, {"n": 7})
    await world.states.get(ALICE, thread_id)
    assert [context for context, _ in world.uses] == ["threads.update", "threads.read"]
    assert all(config["configurable"]["thread_id"] == str(thread_id) for _, config in world.uses)


async def test_storage_is_the_sum_of_its_parts(world: World):
    thread_id = await world.thread()
    size = await world.states.storage(ALICE, thread_id)
    assert size.checkpoints == 4
    assert size.channels["log"].versions == 3
    assert size.channels["log"].bytes > size.channels["n"].bytes > 0
    assert size.writes > 0
    empty = await world.threads.create(ALICE)
    nothing = await world.states.storage(ALICE, empty.thread_id)
    assert (nothing.checkpoints, nothing.checkpoint_bytes, nothing.writes, nothing.channels) == (0, 0, 0, {})


async def test_pruning_keeps_the_newest_state_of_each_graph_and_a_thread_can_go_on(world: World):
    thread_id, nested = await world.thread(), await world.thread(graph="nested")
    before = await world.states.get(ALICE, nested, subgraphs=True)
    assert await world.threads.prune(ALICE, [thread_id, nested, uuid4()], "keep_latest") == 2
    (state,) = await world.states.history(ALICE, thread_id, limit=10)
    assert state.values == {"log": ["in", "first", "second"], "n": 1}
    after = await world.states.get(ALICE, nested, subgraphs=True)
    assert (after.values, after.next, after.interrupts) == (before.values, before.next, before.interrupts)
    await world.run(thread_id)
    assert (await world.states.get(ALICE, thread_id)).values["n"] == 2


async def test_pruning_leaves_what_channels_of_deltas_need(world: World):
    thread_id = await world.thread(graph="deltas")
    for _ in range(3):
        await world.run(thread_id, graph="deltas")
    before = await world.states.get(ALICE, thread_id)
    assert len(before.values["log"]) == 8
    await world.threads.prune(ALICE, [thread_id], "keep_latest")
    assert (await world.states.get(ALICE, thread_id)).values == before.values
    await world.run(thread_id, graph="deltas")
    assert len((await world.states.get(ALICE, thread_id)).values["log"]) == 10


async def test_a_copy_has_all_states_under_its_own_name(world: World):
    thread_id = await world.thread()
    await world.states.update(ALICE, thread_id, {"n": 7})
    copy, state = await world.threads.copy(ALICE, thread_id)
    ours = await world.states.history(ALICE, copy.thread_id, limit=10)
    theirs = await world.states.history(ALICE, thread_id, limit=10)
    assert [each.values for each in ours] == [each.values for each in theirs]
    assert {each.config["configurable"]["thread_id"] for each in ours} == {str(copy.thread_id)}
    assert state.values is not None
    await world.states.update(ALICE, copy.thread_id, {"n": 8})
    assert (await world.states.get(ALICE, thread_id)).values["n"] == 7
