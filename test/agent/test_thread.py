"""Threads: made, found, changed, copied, pruned, deleted, and gone when their time is over."""

import random
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from langgraph_sdk.client import LangGraphClient
from langgraph_sdk.errors import BadRequestError, ConflictError, NotFoundError
from pydantic import BaseModel, ValidationError
from sqlalchemy import func, select

from backend.core.error import Conflict, Invalid, ThreadBusy, ThreadExists, ThreadNotFound
from backend.database.base import Database
from backend.database.model import ThreadMetadataRow
from backend.dto.principal import Principal
from backend.dto.thread import Thread, ThreadQuery, ThreadState, ThreadStatus, TtlRule
from backend.repository.checkpoint import Checkpointer
from backend.repository.thread import ThreadRepository
from backend.schema.agent.thread import (
    Checkpoint,
    History,
    StateUpdate,
    ThreadCreate,
    ThreadPatch,
    ThreadPrune,
    ThreadSearch,
    found_wire,
    selected_state,
)
from backend.service.thread import ThreadService
from backend.util.containment import contains, passes
from backend.util.metadata_term import LINES, OVERFLOW, lines_of, wanted_lines
from test.agent_fixture import Gate, held, new_thread
from test.engine_fixture import ALICE, MALLORY, FakeClock, of_everyone

Change = Callable[[ThreadRepository], None]


class World:
    def __init__(self, database: Database, clock: FakeClock) -> None:
        self.database = database
        self.clock = clock
        self.checkpointer = Checkpointer(database)
        self.stopped: list[UUID] = []
        self.threads = self.service()

    def service(self, default_ttl: TtlRule | None = None) -> ThreadService:
        return ThreadService(
            self.database, self.checkpointer, self.clock, default_ttl=default_ttl, stop_runs=self._stop
        )

    async def _stop(self, principal: Principal, thread_id: UUID) -> None:
        assert principal == ALICE
        self.stopped.append(thread_id)

    async def make(self, metadata: dict[str, Any] | None = None, *, by: Principal = ALICE, **arguments: Any) -> UUID:
        thread, _ = await self.threads.ensure(by, metadata=metadata, **arguments)
        return thread.thread_id

    async def change(self, change: Change) -> None:
        await self.database.write(lambda connection: change(ThreadRepository(connection, ALICE.tenant_id)))

    async def settle(self, thread_id: UUID, values: Any, status: ThreadStatus = "idle", **left: Any) -> None:
        now = self.clock()
        await self.change(lambda threads: threads.settle(thread_id, status, now, values=values, **left))

    async def busy(self, thread_id: UUID) -> None:
        now = self.clock()
        await self.change(lambda threads: threads.set_status(thread_id, "busy", now))

    async def found(self, *, by: Principal = ALICE, only: Any = None, **query: Any) -> list[UUID]:
        """Return the ids that a search finds, which must be as many as are counted."""
        page, more = await self.threads.search(by, ThreadQuery(**query), limit=1000, only=only)
        assert not more
        assert await self.threads.count(by, ThreadQuery(**query), only=only) == len(page)
        return [thread.thread_id for thread, _ in page]

    async def lines(self) -> int:
        count = select(func.count()).select_from(ThreadMetadataRow)
        return await self.database.read(of_everyone(lambda connection: connection.execute(count).scalar_one()))


@pytest.fixture
def world(database: Database, clock: FakeClock) -> World:
    return World(database, clock)


async def test_an_id_that_is_taken_is_left_as_it_is_on_request(world: World):
    made = await world.threads.create(ALICE, metadata={"owner": "kim"})
    same = await world.threads.ensure(
        ALICE, thread_id=made.thread_id, metadata={"owner": "lee"}, if_exists="do_nothing", only={"owner": "kim"}
    )
    assert same == (made, False)
    with pytest.raises(ThreadExists):
        await world.threads.ensure(
            ALICE, thread_id=made.thread_id, if_exists="do_nothing", only={"owner": "somebody else"}
        )
    with pytest.raises(ThreadExists):
        await world.threads.create(ALICE, thread_id=made.thread_id)


async def test_a_change_merges_metadata_as_they_are_and_searches_see_it(world: World):
    thread_id = await world.make({"a": 1, "b": {"c": 1}})
    changed, _ = await world.threads.change(ALICE, thread_id, metadata={"a": None, "b": {"d": 2}})
    assert changed.metadata == {"a": None, "b": {"d": 2}}
    assert await world.found(metadata={"b": {"c": 1}}) == []
    assert await world.found(metadata={"a": None, "b": {"d": 2}}) == [thread_id]
    with pytest.raises(ThreadNotFound):
        await world.threads.change(MALLORY, thread_id, metadata={"x": 1})
    with pytest.raises(ThreadNotFound):
        await world.threads.change(ALICE, thread_id, metadata={"x": 1}, only={"owner": "me"})


async def test_a_run_stamps_the_metadata_by_which_chat_interfaces_list_threads(world: World):
    thread_id = await world.make({"mine": 1})
    thread = await world.threads.get(ALICE, thread_id)
    now = world.clock()
    stamp = {"graph_id": "g", "assistant_id": "an-id"}
    await world.change(lambda threads: threads.begin_run(thread, now, agent="g", metadata=stamp, config={"tags": []}))
    busy = await world.threads.get(ALICE, thread_id)
    assert (busy.status, busy.agent, busy.config) == ("busy", "g", {"tags": []})
    assert busy.metadata == {"mine": 1, **stamp}
    assert await world.found(metadata={"graph_id": "g"}) == [thread_id]
    assert await world.found(metadata={"assistant_id": "an-id", "mine": 1}) == [thread_id]
    assert await world.found(metadata={"assistant_id": "another"}) == []
    later = world.clock()
    await world.change(lambda threads: threads.begin_run(busy, later, agent="g", metadata=stamp, config=busy.config))
    assert (await world.threads.get(ALICE, thread_id)).updated_at == later


async def test_what_most_threads_have_and_what_none_has_costs_no_lines(world: World):
    await world.make()
    await world.make({"graph_id": "g", "assistant_id": "a"})
    assert await world.lines() == 0
    made = await world.make({"graph_id": 5, "user": "kim"})
    assert await world.lines() == 2
    assert await world.found(metadata={"graph_id": 5}) == [made]
    await world.threads.delete(ALICE, made)
    assert await world.lines() == 0


def _document(chance: random.Random, depth: int = 3) -> Any:
    kind = chance.randrange(9 if depth else 6)
    if kind < 6:
        return [chance.choice("ab"), chance.randrange(2), float(chance.randrange(2)), None, True, ""][kind]
    if kind == 6:
        return [_document(chance, depth - 1) for _ in range(chance.randrange(3))]
    return {key: _document(chance, depth - 1) for key in "xyz" if chance.random() < 0.5}


def _object(chance: random.Random) -> dict[str, Any]:
    found = {key: _document(chance) for key in ("p", "q", "graph_id", "assistant_id") if chance.random() < 0.6}
    if chance.random() < 0.1:
        found |= {f"k{number}": number for number in range(LINES + 5)}
    return found


async def test_a_search_finds_what_contains_the_wanted_and_nothing_else(world: World):
    chance = random.Random(7)
    stored = [_object(chance) for _ in range(250)]
    ids = [await world.make(metadata) for metadata in stored]
    for _ in range(150):
        wanted = chance.choice(stored) if chance.random() < 0.3 else _object(chance)
        if chance.random() < 0.5:
            wanted = dict(list(wanted.items())[:1])
        expected = {each for each, metadata in zip(ids, stored, strict=True) if contains(metadata, wanted)}
        assert set(await world.found(metadata=wanted)) == expected, wanted
        only = {key: value for key, value in wanted.items() if not isinstance(value, dict)}
        if chance.random() < 0.5:
            only = {key: {"$contains": value} for key, value in only.items() if value is not None}
        expected = {each for each, metadata in zip(ids, stored, strict=True) if passes(metadata, only)}
        assert set(await world.found(only=only)) == expected, only


def test_lines_are_bounded_and_a_document_has_those_of_what_it_contains():
    chance = random.Random(11)
    for _ in range(500):
        document, wanted = _object(chance), _object(chance)
        lines = lines_of(document)
        assert len(lines) <= LINES + 1
        asked, exact = wanted_lines(wanted)
        if OVERFLOW in lines:
            continue
        if contains(document, wanted):
            assert set(asked) <= lines
        elif exact:
            assert not set(asked) <= lines


async def test_common_and_rare_things_are_found_together_in_order_and_in_pages(world: World, monkeypatch: Any):
    monkeypatch.setattr("backend.repository.thread_search.FEW", 5)
    monkeypatch.setattr("backend.repository.thread_search.MANY", 7)
    ids = [
        await world.make({"all": 1, "half": number % 2, "rare": number if number == 12 else None, "tags": ["a", "b"]})
        for number in range(30)
    ]
    newest = ids[::-1]
    assert await world.found(metadata={"all": 1}) == newest
    assert await world.found(metadata={"all": 1, "half": 1}) == [each for each in newest if ids.index(each) % 2]
    assert await world.found(metadata={"all": 1, "rare": 12}) == [ids[12]]
    assert await world.found(metadata={"tags": ["b", "a"]}, sort_by="created_at", descending=False) == ids
    assert await world.found(metadata={"all": 1}, sort_by="thread_id") == sorted(ids, reverse=True)
    query = ThreadQuery(metadata={"half": 0})
    pages = [await world.threads.search(ALICE, query, limit=7, offset=offset) for offset in (0, 7, 14)]
    assert [more for _, more in pages] == [True, True, False]
    assert [thread.thread_id for page, _ in pages for thread, _ in page] == newest[1::2]
    many = await world.make({f"k{number}": number for number in range(LINES + 9)} | {"all": 1})
    assert await world.found(metadata={"all": 1}) == [many, *newest]
    assert await world.found(metadata={f"k{LINES + 8}": LINES + 8}) == [many]


async def test_a_search_by_status_ids_and_values(world: World, monkeypatch: Any):
    monkeypatch.setattr("backend.service.thread.SCAN_PAGE", 3)
    ids = [await world.make({"n": number}) for number in range(10)]
    for number, thread_id in enumerate(ids):
        await world.settle(
            thread_id,
            {"n": number, "said": [{"who": '"kim\\', "what": "안녕"}]},
            "interrupted" if number == 4 else "idle",
        )
    await world.busy(ids[5])
    assert await world.found(status="interrupted") == [ids[4]]
    assert await world.found(status="busy") == [ids[5]]
    assert set(await world.found(status="idle")) == {*ids} - {ids[4], ids[5]}
    assert await world.found(status="idle", metadata={"n": 4}) == []
    assert await world.found(ids=(ids[2], ids[2], uuid4()), metadata={"n": 2}) == [ids[2]]
    assert await world.found(ids=(ids[2],), metadata={"n": 3}) == []
    assert await world.found(values={"n": 7.0}) == [ids[7]]
    assert await world.found(values={"n": 7}, status="interrupted") == []
    assert set(await world.found(values={"said": [{"who": '"kim\\'}, {"what": "안녕"}]})) == {*ids}
    query = ThreadQuery(values={"said": [{"what": "안녕"}]}, sort_by="created_at", descending=False)
    page, more = await world.threads.search(ALICE, query, limit=4, offset=3)
    assert ([thread.thread_id for thread, _ in page], more) == (ids[3:7], True)
    assert await world.found(by=MALLORY, values={"n": 7.0}) == []


@pytest.mark.parametrize(
    "key", ["') OR ('1'='1", '$.a"', ":tenant", "a\\", "한국", "", "%", "[0]", "tenant_id", "a.b", "$ne", "*"]
)
async def test_keys_and_values_are_data(world: World, key: str):
    other = await world.make({"x": {"y": 1}})
    foreign = await world.make({"x": 1}, by=MALLORY)
    made = await world.make({key: [key, {key: key}]})
    for wanted in ({key: [key]}, {key: [{key: key}]}):
        assert await world.found(metadata=wanted) == [made]
    assert await world.found(metadata={key: key}) == []
    assert await world.found(only={key: {"$contains": key}}) == [made]
    assert await world.found(only={key: {"$eq": key}}) == []
    await world.settle(made, {key: key})
    assert await world.found(values={key: key}) == [made]
    assert {*await world.found(), *await world.found(by=MALLORY)} == {other, made, foreign}


async def test_a_filter_that_does_not_exist_is_refused(world: World):
    with pytest.raises(Invalid):
        await world.found(only={"a": {"$gt": 1}})
    with pytest.raises(Invalid):
        await world.found(metadata={"a": 2**70})


async def test_what_a_run_left_is_handed_on_as_it_is(world: World):
    thread_id = await world.make()
    left = {"messages": [{"type": "ai", "content": "a\\u0000b"}], "n": 1}
    waiting = {"task": [{"id": "i", "value": {"q": 1}}]}
    await world.settle(thread_id, left, "interrupted", interrupts=waiting, error={"error": "E", "message": "m"})
    state = await world.database.read(lambda connection: ThreadRepository(connection, ALICE.tenant_id).state(thread_id))
    assert state == ThreadState(left, waiting, {"error": "E", "message": "m"})


async def test_a_nul_that_a_graph_says_does_not_keep_its_run_from_ending(world: World):
    thread_id = await world.make()
    await world.settle(thread_id, {"a\0": "b\\\0\0c", "d": 1}, interrupts={"t": ["\0"]})
    state = await world.database.read(lambda connection: ThreadRepository(connection, ALICE.tenant_id).state(thread_id))
    assert {key.strip("\0"): value for key, value in state.values.items()}["a"].replace("\0", "") == "b\\c"
    assert state.values["d"] == 1


async def test_a_copy_is_a_thread_of_its_own(world: World):
    thread_id = await world.make({"a": 1})
    await world.settle(thread_id, {"n": 1}, "interrupted", interrupts={"t": []})
    copy, state = await world.threads.copy(ALICE, thread_id, metadata={"b": 2})
    assert copy.metadata == {"a": 1, "b": 2}
    assert copy.status == "interrupted"
    assert found_wire(copy, state, ThreadSearch(extract={"n": "values.n"}))["extracted"] == {"n": 1}
    assert await world.found(metadata={"a": 1}) == [copy.thread_id, thread_id]
    for by, only in ((MALLORY, None), (ALICE, {"owner": "me"})):
        with pytest.raises(Conflict):
            await world.threads.copy(by, thread_id, only=only)


async def test_an_active_run_is_stopped_when_its_thread_is_deleted_or_nothing_is_done(world: World):
    thread_id, other = await world.make({"owner": "kim"}), await world.make()
    await world.busy(thread_id)
    with pytest.raises(ThreadBusy):
        await world.threads.delete(ALICE, thread_id)
    with pytest.raises(ThreadNotFound):
        await world.threads.delete(ALICE, thread_id, stop=True, only={"owner": "lee"})
    assert world.stopped == []
    await world.threads.delete(ALICE, thread_id, stop=True, only={"owner": "kim"})
    assert world.stopped == [thread_id]
    assert await world.found() == [other]


async def test_pruning_leaves_out_what_is_not_there_not_the_callers_or_at_work(world: World):
    mine = [await world.make({"owner": "kim"}) for _ in range(3)]
    theirs, foreign = await world.make({"owner": "lee"}), await world.make(by=MALLORY)
    await world.busy(mine[0])
    asked = [*mine, mine[1], theirs, foreign, uuid4()]
    assert await world.threads.prune(ALICE, asked, "keep_latest", only={"owner": "kim"}) == 2
    assert await world.threads.prune(ALICE, asked, "delete", only={"owner": "kim"}) == 3
    assert world.stopped == [mine[0]]
    assert await world.found() == [theirs]
    assert await world.found(by=MALLORY) == [foreign]


async def test_a_thread_expires_when_it_has_rested_for_its_time(world: World):
    rule = TtlRule("delete", 10)
    _, active, busy = [await world.make(ttl=rule) for _ in range(3)]
    for_ever = await world.make()
    foreign = await world.make(by=MALLORY, ttl=rule)
    world.clock.advance(6 * 60)
    await world.settle(active, {"n": 1})
    assert await world.threads.sweep() == 0
    world.clock.advance(5 * 60)
    await world.busy(busy)
    assert await world.threads.sweep() == 4
    assert set(await world.found()) == {active, busy, for_ever}
    with pytest.raises(ThreadNotFound):
        await world.threads.get(MALLORY, foreign)
    world.clock.advance(6 * 60)
    await world.settle(busy, {"n": 1})
    await world.threads.sweep()
    assert set(await world.found()) == {busy, for_ever}
    shown = await world.threads.get(ALICE, busy)
    assert shown.ttl is not None
    assert shown.state_updated_at is not None
    assert shown.ttl.expires_at == shown.state_updated_at + timedelta(minutes=10)


async def test_a_sweep_is_bounded_and_goes_on_where_it_was(world: World):
    for _ in range(5):
        await world.make(ttl=TtlRule("delete", 1))
    world.clock.advance(120)
    assert [await world.threads.sweep(2) for _ in range(4)] == [2, 2, 1, 0]
    assert await world.found() == []


async def test_threads_that_ask_for_none_get_the_time_to_live_of_the_server(world: World):
    service = world.service(TtlRule("keep_latest", 5))
    made = await service.create(ALICE)
    assert made.ttl is not None
    assert (made.ttl.strategy, made.ttl.expires_at) == ("keep_latest", made.created_at + timedelta(minutes=5))
    own, _ = await service.ensure(ALICE, ttl=TtlRule("delete", 1))
    assert own.ttl is not None
    assert own.ttl.strategy == "delete"
    world.clock.advance(3600)
    await service.sweep()
    assert await world.found() == [made.thread_id]
    assert await service.sweep() == 0
    changed, _ = await service.change(ALICE, made.thread_id, ttl=TtlRule("delete", 2))
    assert changed.ttl is not None
    assert (changed.ttl.strategy, changed.ttl.minutes) == ("delete", 2)


def _thread() -> Thread:
    now = FakeClock()()
    return Thread(uuid4(), "default", "idle", None, {"m": {"k": [1, 2]}}, now, now)


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("values.log[0]", "a"),
        ("values.log[-1]", "c"),
        ("values.log[9]", None),
        ("values.log[-9]", None),
        ("values.log.x", None),
        ("values.grid[1][0]", 3),
        ("values.a-b c", 1),
        ("values", {"log": ["a", "b", "c"], "grid": [[1, 2], [3]], "a-b c": 1}),
        ("metadata.m.k[1]", 2),
        ("interrupts.t[0].value", "?"),
        ("config.none.of.it", None),
    ],
)
def test_an_extract_path_leads_to_a_value_or_to_nothing(path: str, found: Any):
    state = ThreadState({"log": ["a", "b", "c"], "grid": [[1, 2], [3]], "a-b c": 1}, {"t": [{"value": "?"}]})
    wire = found_wire(_thread(), state, ThreadSearch(extract={"it": path}, select=["thread_id"]))
    assert wire["extracted"] == {"it": found}


_DEEP: Any = {}
for _ in range(150):
    _DEEP = {"a": _DEEP}


@pytest.mark.parametrize(
    ("model", "body"),
    [
        (ThreadCreate, {"metadata": {"a": "\0"}}),
        (ThreadCreate, {"metadata": {"\0": 1}}),
        (ThreadCreate, {"metadata": {"a": 2**64}}),
        (ThreadCreate, {"metadata": _DEEP}),
        (ThreadCreate, {"metadata": {"a": float("nan")}}),
        (ThreadCreate, {"metadata": []}),
        (ThreadCreate, {"thread_id": "1"}),
        (ThreadCreate, {"ttl": -1}),
        (ThreadCreate, {"ttl": 1e300}),
        (ThreadCreate, {"ttl": True}),
        (ThreadCreate, {"ttl": {"ttl": 1, "strategy": "burn"}}),
        (ThreadCreate, {"if_exists": "explode"}),
        (ThreadCreate, {"supersteps": [{"updates": [{"values": _DEEP}]}]}),
        (ThreadPatch, {"metadata": {"a": "\ud800"}}),
        (ThreadSearch, {"limit": 0}),
        (ThreadSearch, {"limit": 1001}),
        (ThreadSearch, {"offset": -1}),
        (ThreadSearch, {"offset": 2**40}),
        (ThreadSearch, {"ids": ["1"]}),
        (ThreadSearch, {"ids": [str(uuid4())] * 1001}),
        (ThreadSearch, {"sort_by": "updated_at; DROP TABLE threads"}),
        (ThreadSearch, {"sort_order": "sideways"}),
        (ThreadSearch, {"select": ["tenant_id"]}),
        (ThreadSearch, {"metadata": _DEEP}),
        (ThreadSearch, {"values": {"a": "\0"}}),
        (ThreadSearch, {"extract": {"a": "tenant_id"}}),
        (ThreadSearch, {"extract": {"a": "values..n"}}),
        (ThreadSearch, {"extract": {"a": "values.a[b]"}}),
        (ThreadSearch, {"extract": {"a": ""}}),
        (ThreadSearch, {"extract": {"a b": "values"}}),
        (ThreadSearch, {"extract": {f"a{number}": "values" for number in range(11)}}),
        (ThreadPrune, {"thread_ids": ["1"]}),
        (ThreadPrune, {"thread_ids": [str(uuid4())] * 1001}),
        (ThreadPrune, {}),
        (StateUpdate, {"values": 5}),
        (StateUpdate, {"values": {"a": "\0"}}),
        (StateUpdate, {"values": {}, "checkpoint_id": "a\0"}),
        (StateUpdate, {"values": {}, "as_node": "\0"}),
        (Checkpoint, {"checkpoint_id": "x" * 256}),
        (Checkpoint, {"checkpoint_map": {"": 5}}),
        (History, {"limit": 0}),
        (History, {"before": 5}),
        (History, {"before": {"configurable": {"checkpoint_id": "\0"}}}),
    ],
)
def test_hostile_bodies_are_refused_at_the_door(model: type[BaseModel], body: dict[str, Any]):
    with pytest.raises(ValidationError):
        model.model_validate(body)


@pytest.mark.parametrize(
    "before",
    [
        "an-id",
        {"checkpoint_id": "an-id", "thread_id": "t"},
        {"configurable": {"checkpoint_id": "an-id", "checkpoint_ns": ""}},
    ],
)
def test_before_is_understood_in_all_its_forms(before: Any):
    assert History.model_validate({"before": before}).before == "an-id"


def test_a_state_is_shown_in_the_fields_that_were_asked_for():
    wire: dict[str, Any] = {"values": {"a": 1, "b.c": 2}, "next": [], "tasks": [], "created_at": None}
    assert selected_state(wire, None) == wire
    assert selected_state(wire, ["next", "values.b.c", "values.none"]) == {"values": {"b.c": 2}, "next": []}
    assert selected_state(wire, ["values", "values.a"]) == {"values": wire["values"]}
    with pytest.raises(ValidationError):
        History.model_validate({"select": ["secrets"]})


def test_before_in_a_query_string_is_an_id_or_json():
    assert History.of_query(5, "an-id").before == "an-id"
    assert History.of_query(5, '{"configurable": {"checkpoint_id": "an-id"}}').before == "an-id"
    assert History.of_query(5, None).before is None


async def test_states_to_begin_with_that_the_graph_does_not_take_leave_no_thread(sdk: LangGraphClient):
    wrong: Any = [{"updates": [{"values": {"total": 1}, "as_node": "nobody"}]}]
    thread_id = str(uuid4())
    with pytest.raises(BadRequestError):
        await sdk.threads.create(thread_id=thread_id, graph_id="counter", supersteps=wrong)
    with pytest.raises(NotFoundError):
        await sdk.threads.get(thread_id)
    made = await sdk.threads.create(thread_id=thread_id, graph_id="counter")
    same = await sdk.threads.create(thread_id=thread_id, if_exists="do_nothing", supersteps=wrong)
    assert same == made
    assert (await sdk.threads.get_state(thread_id))["checkpoint"] is None


async def test_a_thread_at_work_is_deleted_with_its_run(sdk: LangGraphClient, gate: Gate):
    thread_id = await new_thread(sdk)
    run_id = await held(sdk, gate, thread_id)
    await sdk.threads.delete(thread_id)
    for ask in (sdk.threads.get(thread_id), sdk.runs.get(thread_id, run_id)):
        with pytest.raises(NotFoundError):
            await ask
    made = await sdk.threads.create(thread_id=thread_id)
    assert (made["status"], made["values"]) == ("idle", None)


async def test_a_state_is_not_changed_under_a_run(sdk: LangGraphClient, gate: Gate):
    thread_id = await new_thread(sdk)
    await held(sdk, gate, thread_id)
    with pytest.raises(ConflictError):
        await sdk.threads.update_state(thread_id, {"trail": ["by hand"]})


async def test_one_of_the_values_is_shown_alone(sdk: LangGraphClient):
    thread_id = await new_thread(sdk)
    await sdk.runs.wait(thread_id, "counter", input={"total": 0})
    alone: Any = await sdk.threads.get_state(thread_id, select=["values.total", "next"])
    assert alone == {"values": {"total": 3}, "next": []}
    history: Any = await sdk.threads.get_history(thread_id, limit=2, select=["values.total"])
    assert [set(state) for state in history] == [{"values"}, {"values"}]
    assert history[0]["values"] == {"total": 3}


@pytest.mark.parametrize("path", ["state/nonsense", "state/%27%20OR%201=1"])
async def test_a_forged_checkpoint_is_not_found(sdk: LangGraphClient, path: str):
    thread_id = await new_thread(sdk)
    await sdk.runs.wait(thread_id, "counter", input={"total": 0})
    with pytest.raises(NotFoundError):
        await sdk.http.get(f"/threads/{thread_id}/{path}")
    answer = await sdk.http.client.get(f"/threads/{thread_id}/state/a%00b")
    assert answer.status_code == 422
