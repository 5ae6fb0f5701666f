"""A project's own `langgraph_sdk.Priority`: which of the waiting runs begins next."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from langchain_core.messages import AIMessage
from langgraph.graph import MessagesState
from langgraph_sdk import Auth, PriorityContext
from langgraph_sdk.errors import APIStatusError

from backend.core.error import DomainError, InvalidGraph, Refused, ThreadNotFound, UpstreamFailed, UpstreamTimeout
from backend.core.graph.project import PriorityConfig, Reference
from backend.core.graph.project_reader import read_projects
from backend.database.base import Database
from backend.dto.assistant import SHARED, Assistant
from backend.dto.principal import Principal
from backend.dto.priority import PrioritySettings
from backend.dto.run import Run
from backend.repository.assistant import AssistantRepository
from backend.repository.thread_priority import ThreadPriorityRepository
from backend.service.run import RunService
from backend.service.run_backlog import Backlog
from backend.service.run_priority import Handler, RunPriority, load_priority
from backend.util.id_generator import default_assistant_id, new_id
from test.agent_fixture import WAIT_SECONDS, agent_server, client_of
from test.engine_fixture import ALICE, Agents, Engine, FakeClock, Gate, graph_of, request

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def waiting(name: str, priority: int = 0, group: str | None = None) -> Run:
    asked = request("echo", name, priority=priority, fairness=group)
    return Run(new_id(), new_id(), "default", "alice", "pending", 0, asked, None, None, NOW, NOW)


def said(run: Run) -> str:
    return str(run.request.input["messages"][0]["content"])


def taken(backlog: Backlog) -> list[str]:
    found = []
    while backlog:
        found.append(said(backlog.take()))
    return found


# --- the backlog


def test_without_priorities_the_backlog_is_a_queue() -> None:
    backlog = Backlog()
    for name in "abcd":
        backlog.add(waiting(name))
    assert (bool(backlog), sorted(map(said, backlog))) == (True, list("abcd"))
    assert taken(backlog) == list("abcd")
    with pytest.raises(IndexError):
        backlog.take()


def test_the_least_priority_comes_first_whenever_it_came() -> None:
    backlog = Backlog()
    for name, priority in (("last", 5), ("plain", 0), ("first", -5), ("plain too", 0)):
        backlog.add(waiting(name, priority))
    assert said(backlog.take()) == "first"
    backlog.add(waiting("first too", -5))
    assert taken(backlog) == ["first too", "plain", "plain too", "last"]


def test_groups_of_one_priority_take_turns_however_much_one_of_them_asks_for() -> None:
    backlog = Backlog()
    for name, group in (("a1", "a"), ("a2", "a"), ("a3", "a"), ("b1", "b"), ("none1", None), ("b2", "b")):
        backlog.add(waiting(name, 1, group))
    assert [said(backlog.take()) for _ in range(4)] == ["a1", "b1", "none1", "a2"]
    backlog.add(waiting("none2", 1))  # its group had its turn, and goes behind the others
    backlog.add(waiting("urgent", -1, "a"))
    assert taken(backlog) == ["urgent", "b2", "a3", "none2"]


# --- with the engine


class Order:
    """A graph that keeps what its runs said, in the order of their beginnings; the first one waits at a gate."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.gate = Gate()

    async def node(self, state: MessagesState) -> dict[str, Any]:
        self.begun.append(str(state["messages"][-1].content))
        if len(self.begun) == 1:
            await self.gate.passed()
        return {"messages": [AIMessage("done")]}


@pytest.fixture
def order(agents: Agents) -> Order:
    made = Order()
    agents.graphs["order"] = graph_of(made.node)
    return made


def prioritized(engine: Engine, handler: Handler | None, **options: Any) -> Engine:
    """Let an engine ask a priority handler."""
    priority = RunPriority(handler, engine.database, lambda: ["echo", "order"], **options)
    engine.runs = RunService(
        engine.database, engine.ledger, engine.worker, engine.executor, engine.log, datetime.now, priority
    )
    return engine


@asynccontextmanager
async def one_at_a_time(
    database: Database, agents: Agents, clock: FakeClock, handler: Handler | None
) -> AsyncIterator[Engine]:
    engine = prioritized(Engine(database, agents, clock, concurrency=1), handler)
    async with engine.worker:
        yield engine


async def by_metadata(ctx: PriorityContext) -> Any:
    return ctx.run_metadata.get("settings")


async def test_runs_that_wait_begin_by_what_the_handler_said(
    database: Database, agents: Agents, clock: FakeClock, order: Order
) -> None:
    async with one_at_a_time(database, agents, clock, by_metadata) as engine:

        async def ask(text: str, priority: int | None = None, group: str | None = None) -> Run:
            settings = {"priority": priority, "fairness_group": group}
            return await engine.ask("order", text, metadata={"settings": settings})

        runs = [await ask("blocker", 5)]
        async with asyncio.timeout(60):
            await order.gate.entered.wait()
        runs += [await ask("a1", 1, "a"), await ask("a2", 1, "a"), await ask("b1", 1, "b")]
        runs += [await ask("plain"), await ask("last", 5), await ask("first", -5)]
        order.gate.open.set()
        ended = [await engine.end(run) for run in runs]
    assert [run.status for run in ended] == ["success"] * 7
    assert order.begun == ["blocker", "first", "plain", "a1", "b1", "a2", "last"]


async def test_the_next_run_of_a_thread_does_not_overtake_what_waits_with_a_better_priority(
    database: Database, agents: Agents, clock: FakeClock, order: Order
) -> None:
    async with one_at_a_time(database, agents, clock, by_metadata) as engine:
        late = {"settings": {"priority": 3}}
        runs = [await engine.ask("order", "one", metadata=late)]
        async with asyncio.timeout(60):
            await order.gate.entered.wait()
        runs += [await engine.ask("order", text, runs[0].thread_id, metadata=late) for text in ("two", "three")]
        runs.append(await engine.ask("order", "better", metadata={"settings": {"priority": 2}}))
        order.gate.open.set()
        for run in runs:
            await engine.end(run)
    assert order.begun == ["one", "better", "two", "three"]


async def test_the_next_start_goes_by_the_priorities_too(
    database: Database, agents: Agents, clock: FakeClock, order: Order
) -> None:
    async with one_at_a_time(database, agents, clock, by_metadata) as engine:
        runs = [await engine.ask("order", "blocker", metadata={"settings": {"priority": 4}})]
        async with asyncio.timeout(60):
            await order.gate.entered.wait()
        for text, priority in (("last", 5), ("plain", 0), ("first", -1)):
            runs.append(await engine.ask("order", text, metadata={"settings": {"priority": priority}}))
    order.gate.open.set()
    order.begun.append("---")
    async with one_at_a_time(database, agents, clock, by_metadata) as engine:
        for run in runs:
            await engine.end(run)
    assert order.begun == ["blocker", "---", "first", "plain", "blocker", "last"]


async def test_a_thread_keeps_what_was_said_at_its_first_run(engine: Engine, database: Database) -> None:
    asked: list[str | None] = []

    async def handler(ctx: PriorityContext) -> Any:
        asked.append(ctx.thread_id)
        return {"priority": -2, "fairness_group": "acme"} if len(asked) == 1 else {"priority": 5}

    prioritized(engine, handler)
    first = await engine.ask("echo", "one")
    second = await engine.ask("echo", "two", first.thread_id)
    assert asked == [None]
    assert [(run.request.priority, run.request.fairness) for run in (first, second)] == [(-2, "acme")] * 2
    assert (await engine.runs.get(ALICE, second.run_id)).request.priority == -2
    await engine.end(second)
    await engine.threads.delete(ALICE, first.thread_id)
    assert (await engine.count())["thread_priorities"] == 0


async def test_of_two_answers_for_one_thread_the_first_holds_for_both_runs(engine: Engine) -> None:
    answers = iter([1, 2])
    both = asyncio.Barrier(2)

    async def handler(ctx: PriorityContext) -> Any:
        del ctx
        await both.wait()
        return {"priority": next(answers)}

    prioritized(engine, handler)
    thread = uuid4()
    runs = await asyncio.gather(
        *(engine.runs.start(ALICE, request("echo", "hi"), thread_id=thread, if_missing="create") for _ in range(2))
    )
    assert len({run.request.priority for run in runs}) == 1
    for run in runs:
        await engine.end(run)


async def test_an_idempotency_key_finds_its_run_again_whatever_the_handler_says_then(engine: Engine) -> None:
    answers = iter([1, 2])

    async def handler(ctx: PriorityContext) -> Any:
        del ctx
        return {"priority": next(answers)}

    prioritized(engine, handler)
    one, again = [
        await engine.runs.start(ALICE, request("echo", "hi"), thread_id=None, idempotency_key="k") for _ in range(2)
    ]
    assert (again.run_id, again.request.priority) == (one.run_id, 1)
    await engine.end(one)


async def test_a_thread_that_goes_with_its_run_keeps_nothing(engine: Engine) -> None:
    async def handler(ctx: PriorityContext) -> Any:
        del ctx
        return {"priority": 3}

    prioritized(engine, handler)
    run = await engine.runs.start(ALICE, request("echo", "hi", dialect="agent"), thread_id=None, temporary=True)
    assert run.request.priority == 3
    assert (await engine.count())["thread_priorities"] == 0
    async for _ in engine.runs.events(ALICE, run):
        pass


async def test_without_a_handler_nothing_is_asked_of_the_database(engine: Engine) -> None:
    prioritized(engine, None)
    run = await engine.ask("echo", "hi")
    assert (run.request.priority, run.request.fairness) == (0, None)
    assert (await engine.count())["thread_priorities"] == 0
    await engine.end(run)


async def test_the_settings_of_a_thread_are_its_tenants_own(engine: Engine, database: Database) -> None:
    async def handler(ctx: PriorityContext) -> Any:
        del ctx
        return {"priority": 1}

    prioritized(engine, handler)
    run = await engine.ask("echo", "hi")
    await engine.end(run)

    def of(tenant: str) -> Callable[[], Awaitable[PrioritySettings | None]]:
        return lambda: database.read(lambda c: ThreadPriorityRepository(c, tenant).find(run.thread_id))

    assert await of("default")() == PrioritySettings(1)
    assert await of("other")() is None


# --- what the handler is told


async def test_the_handler_is_told_who_asks_for_what(engine: Engine, database: Database) -> None:
    seen: list[PriorityContext] = []

    async def handler(ctx: PriorityContext) -> Any:
        seen.append(ctx)

    prioritized(engine, handler)
    mine = Assistant(uuid4(), "default", "echo", {}, {}, {"plan": "gold"}, "mine", None, 1, NOW, NOW)
    shared = replace(mine, assistant_id=default_assistant_id("echo"), tenant_id=SHARED, metadata={"by": "system"})
    await database.write(lambda connection: AssistantRepository(connection, "default", ["echo"]).insert(mine))
    await database.write(lambda connection: AssistantRepository(connection, SHARED, ["echo"]).insert(shared))
    ada = Principal("default", "ada", user={"identity": "ada", "org_id": "o1"}, permissions=("premium",))
    asked = request("echo", "hi", dialect="agent", assistant_id=str(mine.assistant_id), metadata={"m": 1})
    thread = uuid4()
    runs = [
        await engine.runs.start(ada, asked, thread_id=thread, if_missing="create", cron_id="a-cron"),
        await engine.runs.start(ALICE, request("echo", "hi"), thread_id=None),
    ]
    for run in runs:
        await engine.end(run)
    told, plain = seen
    assert (told.user.identity, told.user["org_id"], list(told.permissions)) == ("ada", "o1", ["premium"])
    assert (told.thread_id, told.thread_metadata, told.run_metadata) == (str(thread), {"m": 1}, {"m": 1})
    assert (told.assistant_id, told.graph_id, told.assistant_metadata) == (
        str(mine.assistant_id),
        "echo",
        {"plan": "gold"},
    )
    assert told.cron_id == "a-cron"
    assert (plain.user.identity, plain.user.is_authenticated, list(plain.permissions)) == ("", False, [])
    assert (plain.thread_id, plain.cron_id) == (None, None)
    assert (UUID(plain.assistant_id), plain.assistant_metadata) == (shared.assistant_id, {"by": "system"})


async def test_the_handler_does_not_hear_of_threads_that_are_not_there_for_the_caller(engine: Engine) -> None:
    async def handler(ctx: PriorityContext) -> Any:
        raise AssertionError(f"told of {ctx.thread_metadata}")

    owned = await engine.threads.create(ALICE, metadata={"owner": "alice"})
    prioritized(engine, handler)
    with pytest.raises(ThreadNotFound):
        await engine.runs.start(ALICE, request("echo", "hi"), thread_id=uuid4())
    with pytest.raises(ThreadNotFound):
        await engine.runs.start(
            ALICE, request("echo", "hi"), thread_id=owned.thread_id, if_missing="create", only={"owner": "bob"}
        )


# --- when it goes wrong


@pytest.mark.parametrize(
    ("answer", "error", "sentence"),
    [
        ({"priority": 6}, UpstreamFailed, "from -5 to 5"),
        ({"priority": -6}, UpstreamFailed, "from -5 to 5"),
        ({"priority": True}, UpstreamFailed, "from -5 to 5"),
        ({"priority": 1.0}, UpstreamFailed, "from -5 to 5"),
        ({"fairness_group": "g" * 257}, UpstreamFailed, "at most 256 characters"),
        ({"fairness_group": 3}, UpstreamFailed, "at most 256 characters"),
        ({"fairness_group": "a\0b"}, UpstreamFailed, "at most 256 characters"),
        ({"fairness_group": "a\ud800"}, UpstreamFailed, "at most 256 characters"),
        ({"fairness": "a"}, UpstreamFailed, "unknown keys: fairness"),
        ("high", UpstreamFailed, "returned str"),
        (ValueError("s3cret"), UpstreamFailed, "its log says why"),
        (TimeoutError("its own"), UpstreamFailed, "its log says why"),
        (Auth.exceptions.HTTPException(status_code=402, detail="no plan"), Refused, "no plan"),
    ],
)
async def test_a_run_is_not_made_when_the_handler_fails_or_says_nonsense(
    lite: Engine, answer: Any, error: type[DomainError], sentence: str
) -> None:
    async def handler(ctx: PriorityContext) -> Any:
        del ctx
        if isinstance(answer, Exception):
            raise answer
        return answer

    prioritized(lite, handler)
    with pytest.raises(error, match=sentence) as caught:
        await lite.ask("echo", "hi")
    assert "s3cret" not in caught.value.detail
    counts = await lite.count()
    assert (counts["runs"], counts["threads"], counts["thread_priorities"]) == (0, 0, 0)


@pytest.mark.parametrize(
    ("answer", "settings"),
    [
        (None, (0, None)),
        ({}, (0, None)),
        ({"priority": None, "fairness_group": None}, (0, None)),
        ({"priority": -5, "fairness_group": ""}, (-5, None)),
        ({"priority": 5, "fairness_group": "default"}, (5, None)),
        ({"fairness_group": "한" * 256}, (0, "한" * 256)),
    ],
)
async def test_what_is_missing_has_its_default(engine: Engine, answer: Any, settings: tuple[int, str | None]) -> None:
    async def handler(ctx: PriorityContext) -> Any:
        del ctx
        return answer

    prioritized(engine, handler)
    run = await engine.end(await engine.ask("echo", "hi"))
    assert (run.request.priority, run.request.fairness) == settings
    again = await engine.end(await engine.ask("echo", "hi", run.thread_id))
    assert (again.request.priority, again.request.fairness) == settings


async def test_a_handler_that_does_not_answer_costs_its_time_and_no_more(lite: Engine) -> None:
    async def handler(ctx: PriorityContext) -> Any:
        del ctx
        await asyncio.Event().wait()

    prioritized(lite, handler, patience=0.02)
    with pytest.raises(UpstreamTimeout, match="too long"):
        await lite.ask("echo", "hi")
    assert (await lite.count())["runs"] == 0


async def test_a_thread_is_asked_for_again_when_the_handler_had_failed(engine: Engine) -> None:
    answers: list[Any] = [ValueError("not yet"), {"priority": 2}]

    async def handler(ctx: PriorityContext) -> Any:
        del ctx
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    thread = await engine.threads.create(ALICE)
    prioritized(engine, handler)
    with pytest.raises(UpstreamFailed):
        await engine.ask("echo", "hi", thread.thread_id)
    run = await engine.end(await engine.ask("echo", "hi", thread.thread_id))
    assert (run.status, run.request.priority) == ("success", 2)


# --- the file


RULES = """
import warnings
from langgraph_sdk import Priority

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # the SDK calls it a beta
    unused, used = Priority(), Priority()

@used.assign
async def assign(ctx):
    return None

text = "x"
"""


def test_the_key_must_name_a_priority_that_assigns(tmp_path: Path) -> None:
    (tmp_path / "rules.py").write_text(RULES)

    def config(name: str) -> PriorityConfig:
        return PriorityConfig(path=Reference(tmp_path / "langgraph.json", '"priority.path"', "./rules.py", name))

    assert load_priority(None) is None
    for name, sentence in (
        ("missing", "there is no such name"),
        ("text", r"is str, not a langgraph_sdk\.Priority"),
        ("unused", r"has no @priority\.assign handler"),
    ):
        with pytest.raises(InvalidGraph, match=sentence):
            load_priority(config(name))
    handler = load_priority(config("used"))
    assert handler is not None
    assert handler.__name__ == "assign"


def test_two_files_may_not_both_decide(tmp_path: Path) -> None:
    paths = []
    for name in ("a", "b"):
        folder = tmp_path / name
        folder.mkdir()
        paths.append(folder / "langgraph.json")
        content = {"graphs": {name: "./g.py:g"}, "priority": {"path": "./p.py:p"}}
        paths[-1].write_text(json.dumps(content))
    assert read_projects(paths[:1]).priority is not None
    with pytest.raises(InvalidGraph, match='"priority" stands in'):
        read_projects(paths)


# --- a real server


GRAPH = """
import asyncio, os, time
from pathlib import Path
from typing import TypedDict
from langgraph.graph import StateGraph, START
from langgraph_sdk import Priority

class State(TypedDict):
    name: str

async def node(state: State, config):
    here = Path(__file__).parent
    with (here / "order").open("a") as file:
        file.write(state["name"] + "\\n")
    until = time.monotonic() + 20
    while state["name"] == "blocker" and not (here / "open").exists() and time.monotonic() < until:
        await asyncio.sleep(0.01)
    return {}

builder = StateGraph(State)
builder.add_node("node", node)
builder.add_edge(START, "node")
graph = builder.compile()
priority = Priority()

@priority.assign
async def assign(ctx):
    if ctx.thread_metadata.get("plan") == "unpaid":
        raise ValueError("unpaid")
    return {"priority": ctx.thread_metadata.get("priority"), "fairness_group": ctx.user.identity}
"""


async def test_a_server_that_is_full_begins_the_threads_of_the_best_priority_first(tmp_path: Path) -> None:
    (tmp_path / "order.py").write_text(GRAPH)
    config = {
        "dependencies": ["."],
        "graphs": {"order": "./order.py:graph"},
        "priority": {"path": "./order.py:priority"},
    }
    (tmp_path / "langgraph.json").write_text(json.dumps(config))
    with agent_server(tmp_path, config=tmp_path / "langgraph.json", RUN_CONCURRENCY="1") as url:
        async with client_of(url) as sdk:
            runs = []
            for name, priority in (("blocker", 5), ("last", 5), ("plain", None), ("first", -5)):
                thread = await sdk.threads.create(metadata={"priority": priority})
                run = await sdk.runs.create(thread["thread_id"], "order", input={"name": name})
                runs.append((thread["thread_id"], run["run_id"]))
            unpaid = await sdk.threads.create(metadata={"plan": "unpaid"})
            with pytest.raises(APIStatusError) as caught:
                await sdk.runs.create(unpaid["thread_id"], "order", input={"name": "unpaid"})
            assert caught.value.response.status_code == 502
            assert (await sdk.threads.get(unpaid["thread_id"]))["status"] == "idle"
            stateless = asyncio.create_task(sdk.runs.wait(None, "order", input={"name": "stateless"}))
            async with asyncio.timeout(WAIT_SECONDS):
                while (await sdk.threads.count()) < 6:  # noqa: ASYNC110 - it waits on a thread of its own
                    await asyncio.sleep(0.01)
            (tmp_path / "open").touch()
            assert await stateless == {"name": "stateless"}
            for thread_id, run_id in runs:
                await sdk.runs.join(thread_id, run_id)
            statuses = Counter([(await sdk.runs.get(*run))["status"] for run in runs])
    assert statuses == {"success": 4}
    assert (tmp_path / "order").read_text().split() == ["blocker", "first", "plain", "stateless", "last"]
