"""The rules of assistants, on SQLite and PostgreSQL."""

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, TypeVar
from uuid import UUID, uuid4

import pytest

from backend.core.error import (
    AgentNotFound,
    AssistantExists,
    AssistantNotFound,
    BadRequest,
    Conflict,
    Invalid,
    NotFound,
)
from backend.database.base import Database, Work
from backend.dto.assistant import AssistantChange, AssistantQuery
from backend.dto.principal import Principal
from backend.service.assistant import CACHE_SECONDS, AssistantService
from backend.util.containment import Filters
from backend.util.id_generator import default_assistant_id
from test.assistant_fixture import ServedGraphs
from test.engine_fixture import ALICE, MALLORY, FakeClock

T = TypeVar("T")

CHAT = default_assistant_id("chat")


class Watched:
    """A database whose reads are counted, and can be held back between the reading and the answer."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.dialect = database.dialect
        self.reads = 0
        self.read_done = asyncio.Event()
        self.answer = asyncio.Event()
        self.answer.set()

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    async def tidy(self) -> None: ...

    async def read(self, work: Work[T]) -> T:
        self.reads += 1
        found = await self._database.read(work)
        self.read_done.set()
        async with asyncio.timeout(60):
            await self.answer.wait()
        return found

    async def write(self, work: Work[T], *, durable: bool = True) -> T:
        return await self._database.write(work, durable=durable)


class Recorder:
    """Says what it was asked to take along with an assistant."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.failure: Exception | None = None

    async def end(self, principal: Principal, assistant_id: UUID) -> None:
        self.calls.append(("end", principal.tenant_id, assistant_id))
        if self.failure is not None:
            raise self.failure

    async def delete_threads(self, principal: Principal, assistant_id: UUID, only: Filters) -> None:
        self.calls.append(("delete_threads", principal.tenant_id, assistant_id, only))


@pytest.fixture
def graphs() -> ServedGraphs:
    return ServedGraphs()


@pytest.fixture
def dependents() -> Recorder:
    return Recorder()


@pytest.fixture
def watched(database: Database) -> Watched:
    return Watched(database)


@pytest.fixture
async def assistants(
    watched: Watched, graphs: ServedGraphs, clock: FakeClock, dependents: Recorder
) -> AssistantService:
    service = AssistantService(watched, graphs, clock, dependents)
    await service.open()
    return service


@pytest.fixture
def moment(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """What the clock says by which assistants are kept in memory."""
    found = SimpleNamespace(now=0.0)
    monkeypatch.setattr("backend.service.assistant.time", SimpleNamespace(monotonic=lambda: found.now))
    return found


async def test_each_graph_has_a_default_assistant_after_every_start(
    assistants: AssistantService, watched: Watched, graphs: ServedGraphs, clock: FakeClock
) -> None:
    first = await assistants.get(ALICE, CHAT)
    assert (first.name, first.description, first.metadata) == ("Chat", "The graph chat.", {"created_by": "system"})
    assert (await assistants.resolve(ALICE, "nested")).name == "Nested one"
    again = AssistantService(watched, graphs, clock)
    await again.open()
    assert await again.get(MALLORY, CHAT) == first
    assert await again.count(ALICE, AssistantQuery()) == len(graphs.graphs)


async def test_a_default_assistant_follows_its_graph(
    assistants: AssistantService, watched: Watched, graphs: ServedGraphs, clock: FakeClock
) -> None:
    first = await assistants.get(ALICE, CHAT)
    graphs.graphs["new"] = graphs.graphs.pop("chat")
    restarted = AssistantService(watched, graphs, clock)
    await restarted.open()
    with pytest.raises(AssistantNotFound):
        await restarted.get(ALICE, CHAT)
    assert (await restarted.resolve(ALICE, "new")).graph_id == "new"
    graphs.graphs["chat"] = graphs.graphs["new"]
    assert await restarted.get(ALICE, CHAT) == first


async def test_a_graph_that_came_after_the_start_has_a_default_assistant_too(
    assistants: AssistantService, graphs: ServedGraphs
) -> None:
    graphs.graphs["late"] = graphs.graphs["chat"]
    assert (await assistants.resolve(ALICE, "late")).assistant_id == default_assistant_id("late")


async def test_a_graph_id_and_both_spellings_of_an_id_mean_the_same(assistants: AssistantService) -> None:
    found = [await assistants.resolve(ALICE, text) for text in ("chat", str(CHAT), str(CHAT).upper(), CHAT.hex)]
    assert [one.assistant_id for one in found] == [CHAT] * 4


async def test_what_is_neither_an_id_nor_a_graph_is_invalid(assistants: AssistantService) -> None:
    for text in ("", "nowhere", "x" * 10_000, "\0", "chat\ud800"):
        with pytest.raises(Invalid):
            await assistants.resolve(ALICE, text)
    with pytest.raises(AssistantNotFound):
        await assistants.resolve(ALICE, str(uuid4()))


async def test_an_assistant_is_read_once_and_then_taken_from_memory(
    assistants: AssistantService, watched: Watched
) -> None:
    before = watched.reads
    for _ in range(100):
        await assistants.resolve(ALICE, "chat")
    assert watched.reads - before <= 2  # a second may end in between


async def test_those_who_ask_while_an_assistant_is_read_anew_need_not_read_it_too(
    assistants: AssistantService, watched: Watched, moment: SimpleNamespace
) -> None:
    await assistants.resolve(ALICE, "chat")
    for _ in range(2):
        moment.now += CACHE_SECONDS
        before = watched.reads
        found = await asyncio.gather(*(assistants.resolve(ALICE, "chat") for _ in range(16)))
        assert {one.name for one in found} == {"Chat"}
        assert watched.reads - before == 1


async def test_an_assistant_that_another_server_deleted_is_gone_once_somebody_has_looked(
    assistants: AssistantService, watched: Watched, graphs: ServedGraphs, clock: FakeClock, moment: SimpleNamespace
) -> None:
    made = (await assistants.create(ALICE, "chat")).assistant_id
    await assistants.resolve(ALICE, str(made))
    await AssistantService(watched, graphs, clock).delete(ALICE, made)
    moment.now += CACHE_SECONDS
    for _ in range(2):
        with pytest.raises(AssistantNotFound):
            await assistants.resolve(ALICE, str(made))


async def test_no_run_gets_an_assistant_older_than_an_answered_change(assistants: AssistantService) -> None:
    for number in range(5):
        await assistants.resolve(ALICE, "chat")
        await assistants.resolve(ALICE, str(CHAT).upper())
        await assistants.update(ALICE, CHAT, AssistantChange(name=f"name {number}"))
        assert (await assistants.resolve(ALICE, "chat")).name == f"name {number}"
        assert (await assistants.resolve(ALICE, str(CHAT).upper())).name == f"name {number}"
        assert (await assistants.resolve(MALLORY, "chat")).name == "Chat"


async def test_what_was_read_before_a_change_is_not_kept_after_it(
    assistants: AssistantService, watched: Watched
) -> None:
    watched.read_done.clear()
    watched.answer.clear()
    early = asyncio.create_task(assistants.resolve(ALICE, "chat"))
    async with asyncio.timeout(60):
        await watched.read_done.wait()
    await assistants.update(ALICE, CHAT, AssistantChange(name="new"))
    watched.answer.set()
    assert (await early).name == "Chat"
    assert (await assistants.resolve(ALICE, "chat")).name == "new"


async def test_changes_at_once_each_make_a_version_and_none_is_lost(assistants: AssistantService) -> None:
    changes = [AssistantChange(metadata={f"key{number}": number}) for number in range(10)]
    done = await asyncio.gather(*(assistants.update(ALICE, CHAT, change) for change in changes))
    assert sorted(one.version for one in done) == list(range(2, 12))
    found = await assistants.get(ALICE, CHAT)
    assert found.metadata == {"created_by": "system", **{f"key{number}": number for number in range(10)}}
    assert found.version == 11


async def test_of_two_that_make_the_same_assistant_one_does(assistants: AssistantService) -> None:
    assistant_id = uuid4()
    made = await asyncio.gather(
        *(assistants.create(ALICE, "chat", assistant_id=assistant_id, name=str(n)) for n in range(5)),
        return_exceptions=True,
    )
    assert sum(isinstance(one, AssistantExists) for one in made) == 4
    same = await asyncio.gather(
        *(
            assistants.create(ALICE, "chat", assistant_id=assistant_id, name=str(n), if_exists="do_nothing")
            for n in range(5)
        )
    )
    assert {one.name for one in same} <= {str(n) for n in range(5)}
    assert len({one.name for one in same}) == 1
    assert (await assistants.create(MALLORY, "chat", assistant_id=assistant_id, name="mine")).name == "mine"


async def test_context_and_configurable_follow_each_other(assistants: AssistantService) -> None:
    made = await assistants.create(ALICE, "context", config={"tags": ["t"], "configurable": {"model": "a"}})
    assert (made.config, made.context) == ({"tags": ["t"], "configurable": {"model": "a"}}, {"model": "a"})
    assistant_id = made.assistant_id

    async def after(**change: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        changed = await assistants.update(ALICE, assistant_id, AssistantChange(**change))
        return changed.config, changed.context

    assert await after(context={"model": "b"}) == ({"tags": ["t"], "configurable": {"model": "b"}}, {"model": "b"})
    assert await after(name="x") == ({"tags": ["t"], "configurable": {"model": "b"}}, {"model": "b"})
    assert await after(config={"configurable": {"model": "c"}}) == ({"configurable": {"model": "c"}}, {"model": "c"})
    assert await after(config={"tags": ["u"]}) == ({"tags": ["u"]}, {"model": "c"})
    assert await after(config={"tags": ["v"]}, context={"model": "d"}) == (
        {"tags": ["v"], "configurable": {"model": "d"}},
        {"model": "d"},
    )
    assert await after(context={}) == ({"tags": ["v"]}, {})
    with pytest.raises(BadRequest):
        await after(config={"configurable": {"model": "e"}}, context={"model": "f"})
    with pytest.raises(BadRequest):
        await assistants.create(ALICE, "context", config={"configurable": {"a": 1}}, context={"b": 1})


async def test_an_old_version_is_taken_up_again_as_a_whole(assistants: AssistantService) -> None:
    made = await assistants.create(ALICE, "context", context={"model": "a"}, metadata={"a": 1}, name="one")
    assistant_id = made.assistant_id
    change = AssistantChange(graph_id="chat", context={"model": "b"}, metadata={"b": 2}, name="two", description="d")
    await assistants.update(ALICE, assistant_id, change)
    old = await assistants.set_latest(ALICE, assistant_id, 1)
    assert (old.version, old.graph_id, old.context, old.metadata, old.name, old.description) == (
        1,
        "context",
        {"model": "a"},
        {"a": 1},
        "one",
        None,
    )
    assert old.updated_at > made.updated_at
    assert await assistants.get(ALICE, assistant_id) == old
    assert (await assistants.update(ALICE, assistant_id, AssistantChange(name="three"))).version == 3
    found = await assistants.versions(ALICE, assistant_id)
    assert [(one.version, one.name) for one in found] == [(3, "three"), (2, "two"), (1, "one")]
    assert [one.version for one in await assistants.versions(ALICE, assistant_id, metadata={"b": 2})] == [2]
    with pytest.raises(NotFound):
        await assistants.set_latest(ALICE, assistant_id, 4)


async def test_an_unknown_graph_is_not_found(assistants: AssistantService) -> None:
    asked = [
        assistants.create(ALICE, "nowhere"),
        assistants.update(ALICE, CHAT, AssistantChange(graph_id="nowhere")),
        assistants.search(ALICE, AssistantQuery(graph_id="nowhere")),
        assistants.count(ALICE, AssistantQuery(graph_id="nowhere")),
    ]
    for question in asked:
        with pytest.raises(AgentNotFound):
            await question


async def test_what_depends_on_an_assistant_goes_first_and_the_rest_can_be_asked_for_again(
    assistants: AssistantService, dependents: Recorder
) -> None:
    made = await assistants.create(ALICE, "chat")
    dependents.failure = ConnectionError()
    with pytest.raises(ConnectionError):
        await assistants.delete(ALICE, made.assistant_id, delete_threads=True)
    assert await assistants.get(ALICE, made.assistant_id) == made
    dependents.failure = None
    dependents.calls.clear()
    await assistants.delete(ALICE, made.assistant_id, delete_threads=True, threads_only={"owner": "alice"})
    assert dependents.calls == [
        ("end", "default", made.assistant_id),
        ("delete_threads", "default", made.assistant_id, {"owner": "alice"}),
    ]
    for question in (assistants.get(ALICE, made.assistant_id), assistants.delete(ALICE, made.assistant_id)):
        with pytest.raises(AssistantNotFound):
            await question
    assert len(dependents.calls) == 2


async def test_the_shared_default_cannot_be_deleted_and_comes_back_after_ones_own(
    assistants: AssistantService, dependents: Recorder
) -> None:
    with pytest.raises(Conflict, match="default of graph 'chat'"):
        await assistants.delete(ALICE, CHAT)
    await assistants.update(ALICE, CHAT, AssistantChange(name="mine"))
    with pytest.raises(Conflict):
        await assistants.delete(MALLORY, CHAT)
    assert dependents.calls == []
    await assistants.delete(ALICE, CHAT)
    assert (await assistants.get(ALICE, CHAT)).name == "Chat"


async def test_another_tenants_assistant_is_not_there(assistants: AssistantService, dependents: Recorder) -> None:
    made = await assistants.create(ALICE, "chat", name="alice's")
    await assistants.get(ALICE, made.assistant_id)
    asked: list[Callable[[], Any]] = [
        lambda: assistants.get(MALLORY, made.assistant_id),
        lambda: assistants.resolve(MALLORY, str(made.assistant_id)),
        lambda: assistants.update(MALLORY, made.assistant_id, AssistantChange(name="x")),
        lambda: assistants.delete(MALLORY, made.assistant_id),
        lambda: assistants.versions(MALLORY, made.assistant_id),
        lambda: assistants.set_latest(MALLORY, made.assistant_id, 1),
        lambda: assistants.graph(MALLORY, made.assistant_id),
    ]
    for question in asked:
        with pytest.raises(AssistantNotFound):
            await question()
    assert await assistants.count(MALLORY, AssistantQuery(name="alice")) == 0
    assert await assistants.get(ALICE, made.assistant_id) == made
    assert dependents.calls == []


async def test_what_a_filter_hides_is_not_there(assistants: AssistantService, dependents: Recorder) -> None:
    made = await assistants.create(ALICE, "chat", metadata={"owner": "ann"})
    ann, bob = {"owner": "ann"}, {"owner": {"$eq": "bob"}}
    asked: list[Callable[[Filters], Any]] = [
        lambda only: assistants.resolve(ALICE, str(made.assistant_id), only),
        lambda only: assistants.update(ALICE, made.assistant_id, AssistantChange(name="x"), only=only),
        lambda only: assistants.versions(ALICE, made.assistant_id, only=only),
        lambda only: assistants.set_latest(ALICE, made.assistant_id, 1, only=only),
        lambda only: assistants.schemas(ALICE, made.assistant_id, only=only),
        lambda only: assistants.delete(ALICE, made.assistant_id, only=only),
    ]
    for question in asked:
        with pytest.raises(AssistantNotFound):
            await question(bob)
    with pytest.raises(AssistantExists):
        await assistants.create(ALICE, "chat", assistant_id=made.assistant_id, if_exists="do_nothing", only=bob)
    assert await assistants.search(ALICE, AssistantQuery(), only=bob) == ([], False)
    assert dependents.calls == []
    for question in asked:
        await question(ann)


async def test_a_filter_leaves_no_copy_of_a_default_assistant_behind(assistants: AssistantService) -> None:
    with pytest.raises(AssistantNotFound):
        await assistants.update(ALICE, CHAT, AssistantChange(name="x"), only={"owner": "ann"})
    assert (await assistants.get(ALICE, CHAT)).shared


async def test_a_factory_is_told_the_configuration_and_the_user(
    assistants: AssistantService, graphs: ServedGraphs
) -> None:
    graphs.made.add("chat")
    made = await assistants.create(ALICE, "chat", context={"more": True})
    user = {"identity": "ann"}
    for _ in range(2):
        await assistants.schemas(Principal("default", "ann", user=user), made.assistant_id)
    assert (
        graphs.uses
        == [
            {
                "name": "chat",
                "config": {"configurable": {"more": True}},
                "access_context": "assistants.read",
                "user": user,
            }
        ]
        * 2
    )


async def test_what_never_changes_of_a_graph_is_made_once(assistants: AssistantService, graphs: ServedGraphs) -> None:
    first = await assistants.graph(ALICE, CHAT)
    assert await assistants.graph(ALICE, CHAT) == first
    assert len(graphs.uses) == 1
