"""The run engine for tests: real databases, the real ledger, worker and services, small graphs, a model that echoes."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID, uuid4

import asyncpg
import orjson
import pytest
from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.graph.state import CompiledStateGraph
from sqlalchemy import Connection, func, select

from backend.core.error import AgentNotFound, UnsupportedModel
from backend.core.model.usage_meter import UsageMeter
from backend.core.run.event_log import EventLog
from backend.core.run.executor import RunExecutor
from backend.database.base import Database, Work
from backend.database.migrate import migrate
from backend.database.model import Base
from backend.database.postgres import PostgresDatabase
from backend.database.sqlite import SqliteDatabase
from backend.database.tenant_scope import EVERYONE, name_tenant
from backend.dto.agent import AgentInfo
from backend.dto.event import Event
from backend.dto.principal import Principal
from backend.dto.run import Run, RunRequest
from backend.repository.checkpoint import Checkpointer
from backend.service.event_store import DatabaseEventStore
from backend.service.hand_over import HandOverService
from backend.service.run import RunService
from backend.service.run_ledger import RunLedger
from backend.service.run_worker import RunWorker
from backend.service.thread import ThreadService

T = TypeVar("T")
Graph = CompiledStateGraph[Any, Any, Any, Any]

ALICE = Principal("default", "alice")
MALLORY = Principal("other", "mallory")


class FakeClock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        self.now += timedelta(microseconds=1)
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


class EchoModel(BaseChatModel):
    """Says the last message again, a word a chunk."""

    @property
    def _llm_type(self) -> str:
        return "echo"

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=AIMessage("".join(_echo(messages))))])

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        for word in _echo(messages):
            await asyncio.sleep(0)
            yield ChatGenerationChunk(message=AIMessageChunk(content=word))


def _echo(messages: list[BaseMessage]) -> list[str]:
    return [f"{word} " for word in ("echo", *str(messages[-1].content).split())]


class Agents:
    """The graphs of a test, by name."""

    def __init__(self) -> None:
        self.graphs: dict[str, Graph] = {}

    def static(self, name: str) -> Graph:
        if name not in self.graphs:
            raise AgentNotFound(name, sorted(self.graphs))
        return self.graphs[name]

    @asynccontextmanager
    async def use(self, name: str, **_: Any) -> AsyncIterator[Graph]:
        yield self.static(name)

    def transformers(self, name: str) -> list[Any]:
        del name
        return []

    async def prepare(self, name: str) -> None:
        self.static(name)

    def describe(self, name: str) -> AgentInfo:
        return AgentInfo(name, name, "", takes_context=False)


class Models:
    def get(self, alias: str | None = None) -> BaseChatModel:
        if alias not in {None, "default"}:
            raise UnsupportedModel(f"There is no model {alias!r}.")
        return EchoModel()

    def meter(self, alias: str | None = None) -> UsageMeter:
        return UsageMeter(alias or "default", {})

    def is_extractive(self, alias: str | None = None) -> bool:
        del alias
        return False


class Mortal:
    """A database of which a process can be cut off: what it asks after `kill` is never done and never answered."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._dead = False
        self._unanswered: list[asyncio.Future[Any]] = []

    @property
    def dialect(self) -> str:
        return self._database.dialect

    def kill(self) -> None:
        self._dead = True

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    async def tidy(self) -> None: ...

    async def read(self, work: Work[T]) -> T:
        return await self._ask(lambda: self._database.read(work))

    async def write(self, work: Work[T], *, durable: bool = True) -> T:
        return await self._ask(lambda: self._database.write(work, durable=durable))

    async def _ask(self, question: Callable[[], Awaitable[T]]) -> T:
        if not self._dead:
            answer = await question()
            if not self._dead:
                return answer
        self._unanswered.append(asyncio.get_running_loop().create_future())
        return await self._unanswered[-1]


class Engine:
    """One server process' part of the engine."""

    def __init__(
        self,
        database: Database,
        agents: Agents,
        clock: Callable[[], datetime],
        *,
        concurrency: int = 50,
        timeout: float = 120,
        drain_seconds: float = 0,
        event_limit: int = 10_000,
    ) -> None:
        self.agents = agents
        self.database = Mortal(database)
        self.checkpointer = Checkpointer(self.database)
        self.ledger = RunLedger(self.database, self.checkpointer, clock)
        self.log = EventLog(DatabaseEventStore(self.database), limit=event_limit)
        self.executor = RunExecutor(agents, Models(), _no_retriever, clock, max_tokens=100)
        self.worker = RunWorker(
            self.ledger,
            self.executor,
            self.log,
            self.checkpointer,
            self.database,
            clock,
            concurrency=concurrency,
            timeout=timeout,
            drain_seconds=drain_seconds,
            event_ttl=3600,
            idempotency_ttl=86_400,
        )
        self.runs = RunService(self.database, self.ledger, self.worker, self.executor, self.log, clock)
        self.threads = ThreadService(self.database, self.checkpointer, clock)
        self.hand_over = HandOverService(self.database, self.ledger, self.worker, self.log, clock)

    async def ask(self, agent: str, text: str, thread_id: UUID | None = None, **options: Any) -> Run:
        """Start a run with one message of a person."""
        return await self.runs.start(ALICE, request(agent, text, **options), thread_id=thread_id)

    async def events(self, run: Run) -> list[Event]:
        """Return all events of a run, to its end."""
        async with asyncio.timeout(60):
            return [event async for batch in self.runs.events(ALICE, run) for event in batch]

    async def end(self, run: Run) -> Run:
        """Return a run when it has ended."""
        async with asyncio.timeout(60):
            return await self.runs.wait(ALICE, run)

    async def said(self, thread_id: UUID) -> list[str]:
        """Return what was said on a thread."""
        return [message["content"].strip() for message in await self.threads.messages(ALICE, thread_id)]

    async def rests(self, thread_id: UUID) -> None:
        """Return when a thread is not busy any more."""

        async def at_rest() -> bool:
            return (await self.threads.get(ALICE, thread_id)).status != "busy"

        await until(at_rest)

    async def count(self) -> dict[str, int]:
        """Return how many rows each table has."""

        def work(connection: Connection) -> dict[str, int]:
            return {
                table.name: connection.execute(select(func.count()).select_from(table)).scalar_one()
                for table in Base.metadata.sorted_tables
            }

        return await self.database.read(of_everyone(work))


def of_everyone(work: Work[T]) -> Work[T]:  # noqa: UP047 - the type of the module
    """Let a test's own statements see the rows of all tenants, as those of no repository do."""

    def named(connection: Connection) -> T:
        name_tenant(connection, EVERYONE)
        return work(connection)

    return named


def _no_retriever(tenant_id: str) -> Any:
    raise AssertionError(f"no graph of a test retrieves, and {tenant_id}'s did")


def request(agent: str, text: str, **options: Any) -> RunRequest:
    """Return a request with one message of a person."""
    return RunRequest(agent=agent, input={"messages": [{"role": "user", "content": text}]}, **options)


def graph_of(*nodes: Callable[..., Any], state: type = MessagesState) -> Graph:
    """Return a graph of nodes in a row."""
    builder: StateGraph[Any, Any, Any, Any] = StateGraph(state)
    before = START
    for node in nodes:
        builder.add_node(node.__name__, node)
        builder.add_edge(before, node.__name__)
        before = node.__name__
    builder.add_edge(before, END)
    return builder.compile()


async def echo(state: MessagesState) -> dict[str, Any]:
    return {"messages": [await EchoModel().ainvoke(state["messages"])]}


class Gate:
    """A place where a node says that it has come, and waits until it may go on."""

    def __init__(self) -> None:
        self.entered = asyncio.Event()
        self.open = asyncio.Event()
        self.visits = 0

    async def node(self, state: MessagesState) -> dict[str, Any]:
        """Say `passed` when it may go on."""
        del state
        await self.passed()
        return {"messages": [AIMessage("passed")]}

    async def passed(self) -> None:
        self.visits += 1
        self.entered.set()
        async with asyncio.timeout(60):
            await self.open.wait()


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Return when something in the database has come true."""
    async with asyncio.timeout(60):
        while not await condition():  # noqa: ASYNC110 - the database wakes nobody
            await asyncio.sleep(0.002)


def data(event: Event) -> Any:
    return orjson.loads(event.data)


def text_said(events: list[Event]) -> str:
    """Return the tokens of the last attempt as one text."""
    attempt = events[-1].cursor.attempt
    return "".join(
        data(event)["text"] for event in events if event.name == "token" and event.cursor.attempt == attempt
    ).strip()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with the tables, to be copied: quicker than migrating one for each test."""
    path = tmp_path_factory.mktemp("template") / "template.db"
    asyncio.run(migrate(SqliteDatabase(path)))
    return path


@pytest.fixture(scope="session")
def postgres_template(postgres_server: str) -> str:
    """The name of a PostgreSQL database with the tables."""
    asyncio.run(_execute(postgres_server, "CREATE DATABASE template_daedap"))
    asyncio.run(migrate(PostgresDatabase(f"{postgres_server}/template_daedap")))
    return "template_daedap"


@pytest.fixture(params=["sqlite", "postgresql"])
def make_database(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Database]:
    """Return how to make a `Database` with the tables, each time over the same data, on both: SQLite and PostgreSQL."""
    if request.param == "sqlite":
        shutil.copy(request.getfixturevalue("sqlite_template"), tmp_path / "test.db")
        return lambda: SqliteDatabase(tmp_path / "test.db")
    url = request.getfixturevalue("prepared_postgres_url")
    return lambda: PostgresDatabase(url)


@pytest.fixture
def prepared_postgres_url(postgres_server: str, postgres_template: str) -> str:
    """The address of a PostgreSQL database with the tables, that only this test uses."""
    name = f"test_{uuid4().hex}"
    asyncio.run(_execute(postgres_server, f"CREATE DATABASE {name} TEMPLATE {postgres_template}"))
    return f"{postgres_server}/{name}"


async def _execute(server: str, statement: str) -> None:
    connection = await asyncpg.connect(f"{server}/postgres")
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


@pytest.fixture
async def database(make_database: Callable[[], Database]) -> AsyncIterator[Database]:
    """An open database with the tables."""
    made = make_database()
    await made.open()
    yield made
    await made.close()


@pytest.fixture
def agents() -> Agents:
    """The agent `echo`; a test adds its own."""
    found = Agents()
    found.graphs["echo"] = graph_of(echo)
    return found


@pytest.fixture
async def engine(database: Database, agents: Agents, clock: FakeClock) -> AsyncIterator[Engine]:
    made = Engine(database, agents, clock)
    async with made.worker:
        yield made


@pytest.fixture
async def file(tmp_path: Path, sqlite_template: Path) -> AsyncIterator[SqliteDatabase]:
    """An open SQLite file with the tables, for what does not differ by database."""
    shutil.copy(sqlite_template, tmp_path / "file.db")
    made = SqliteDatabase(tmp_path / "file.db")
    await made.open()
    yield made
    await made.close()


@pytest.fixture
async def lite(file: SqliteDatabase, agents: Agents, clock: FakeClock) -> AsyncIterator[Engine]:
    """An engine on SQLite alone."""
    made = Engine(file, agents, clock)
    async with made.worker:
        yield made


@pytest.fixture
def quick_abandon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave a node that does not stop behind after an instant."""
    monkeypatch.setattr("backend.service.run_worker.ABANDON_SECONDS", 0.05)
