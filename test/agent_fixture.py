"""A real agent server for the conformance tests, and the official client of it.

The server is a process of its own, started once a session (once a worker with xdist) over the graphs of
`test/agent/graph/`. With `AGENT_URL=http://127.0.0.1:2024` in the environment, the tests talk to a server that runs
there instead, over the same `langgraph.json` and on the same machine (the gates are files); what needs a server with
settings of its own is skipped then.
"""

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Queue
from threading import Thread
from typing import Any
from uuid import UUID, uuid4, uuid5

import httpx
import orjson
import pytest
from langgraph_sdk import get_client
from langgraph_sdk.client import LangGraphClient
from langgraph_sdk.schema import StreamPart

from test.forked import Program, start
from test.server import free_port

ROOT = Path(__file__).parents[1]
GRAPH_CONFIG = ROOT / "test" / "agent" / "graph" / "langgraph.json"
GRAPHS = UUID("6ba7b821-9dad-11d1-80b4-00c04fd430c8")
"""The namespace of the default assistants' ids."""
Sdk = Any
"""The official client. Its own types say of most answers only that they are a list or a dictionary, or None."""
START_SECONDS = 120
STOP_SECONDS = 45
WAIT_SECONDS = 45
"""The most that a test waits for anything."""


@contextmanager
def agent_server(folder: Path, *, config: Path = GRAPH_CONFIG, **settings: str) -> Iterator[str]:
    """Serve the graphs of a `langgraph.json`; yield the address. What the server keeps and logs is in the folder."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "DATA_DIR": str(folder / "data"),
        "DRAIN_SECONDS": "0",
        "EXTENSION_DIR": str(folder / "extension"),
        "GRAPH_CONFIG": str(config),
        "PORT": str(port),
        "SAMPLE_CORPUS": "false",
        **settings,
    }
    log = folder / "log"
    with log.open("wb") as output:
        process = start("backend.main", cwd=folder, env=environment, stdout=output, stderr=output)
    try:
        _wait_until_ready(url, process, log)
        yield url
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(STOP_SECONDS)
            raise AssertionError(f"The server does not stop:\n{log.read_text(errors='replace')[-3000:]}") from None


def _wait_until_ready(url: str, process: Program, log: Path) -> None:
    until = time.monotonic() + START_SECONDS
    while True:
        try:
            if httpx.get(f"{url}/health/ready").status_code == 200:
                return
        except httpx.TransportError:
            pass
        if process.poll() is not None or time.monotonic() > until:
            raise AssertionError(f"The server does not start:\n{log.read_text(errors='replace')[-3000:]}")
        time.sleep(0.05)


@pytest.fixture(scope="session")
def agent_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server without authentication."""
    if url := os.environ.get("AGENT_URL"):
        yield url.rstrip("/")
        return
    with agent_server(tmp_path_factory.mktemp("agent")) as url:
        yield url


@pytest.fixture
async def sdk(agent_url: str) -> AsyncIterator[Sdk]:
    """The official client."""
    async with client_of(agent_url) as client:
        yield client


def client_of(url: str, **headers: str) -> LangGraphClient:
    """Return an official client that sends these headers."""
    return get_client(url=url, api_key=None, headers=headers, timeout=WAIT_SECONDS)


@dataclass(frozen=True)
class Tenants:
    """A server in token mode, the tokens of two tenants, and the origin of a page that browsers may call it from."""

    url: str
    alice: str = "alices-token"
    mallory: str = "mallorys-token"
    page: str = "https://studio.example"


@pytest.fixture(scope="session")
def tenants(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tenants]:
    """A server with two tenants, which a page may call from its own origin."""
    if "AGENT_URL" in os.environ:
        pytest.skip("AGENT_URL is set, and this needs a server of its own")
    with agent_server(
        tmp_path_factory.mktemp("tenants"),
        AUTH_MODE="token",
        CORS_ORIGINS=Tenants.page,
        ACCESS_TOKEN=Tenants.alice,
        TENANT_TOKENS=orjson.dumps({"mallory": Tenants.mallory}).decode(),
    ) as url:
        yield Tenants(url)


@pytest.fixture
async def alice(tenants: Tenants) -> AsyncIterator[Sdk]:
    """The client of the first tenant."""
    async with client_of(tenants.url, Authorization=f"Bearer {tenants.alice}") as client:
        yield client


@pytest.fixture
async def mallory(tenants: Tenants) -> AsyncIterator[Sdk]:
    """The client of the second tenant."""
    async with client_of(tenants.url, Authorization=f"Bearer {tenants.mallory}") as client:
        yield client


@dataclass(frozen=True)
class Gate:
    """What the graph `gate` waits for."""

    path: Path

    @property
    def input(self) -> dict[str, str]:
        """What a run is given so that it waits."""
        return {"gate": str(self.path)}

    def open(self) -> None:
        """Let the runs that wait go on, and those to come."""
        self.path.touch()


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Gate]:
    """A closed gate; at the end it is opened, so that no run is left."""
    made = Gate(tmp_path / "gate")
    yield made
    made.open()


@dataclass(frozen=True)
class Hook:
    """A server that is told of ended runs."""

    url: str
    calls: "Queue[dict[str, Any]]"

    async def call(self) -> dict[str, Any]:
        """Return the next body that came."""
        return await asyncio.to_thread(self.calls.get, timeout=WAIT_SECONDS)


@pytest.fixture
def hook() -> Iterator[Hook]:
    """A server for webhooks."""
    calls: Queue[dict[str, Any]] = Queue()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            calls.put(orjson.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield Hook(f"http://127.0.0.1:{server.server_port}/hook", calls)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def mark() -> dict[str, str]:
    """Metadata that nothing else has: a search for it finds what this test made."""
    return {"mark": uuid4().hex}


async def until[T](ask: Callable[[], Awaitable[T]], good: Callable[[T], bool]) -> T:
    """Ask again and again, a moment apart, until the answer is good; return it."""
    answer: T | None = None
    try:
        async with asyncio.timeout(WAIT_SECONDS):
            while True:
                answer = await ask()
                if good(answer):
                    return answer
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(f"It never came to that; last seen: {answer!r}") from None


async def collect(stream: AsyncIterator[StreamPart]) -> list[StreamPart]:
    """Return all parts of a stream."""
    async with asyncio.timeout(WAIT_SECONDS):
        return [part async for part in stream]


def default_assistant(graph_id: str) -> str:
    """Return the id of the assistant that each graph has from the start."""
    return str(uuid5(GRAPHS, graph_id))


async def new_thread(sdk: Sdk, **arguments: Any) -> str:
    """Return the id of a new thread."""
    return (await sdk.threads.create(**arguments))["thread_id"]


async def held(sdk: Sdk, gate: Gate, thread_id: str, **arguments: Any) -> str:
    """Start a run that waits at a gate; return its id once it is there."""
    run = await sdk.runs.create(thread_id, "gate", input=gate.input, **arguments)
    await until(lambda: sdk.threads.get_state(thread_id), lambda state: state["next"] == ["hold"])
    return run["run_id"]


async def ended(sdk: Sdk, thread_id: str, run_id: str) -> str:
    """Return the status with which a run ends."""
    run = await until(
        lambda: sdk.runs.get(thread_id, run_id), lambda found: found["status"] not in {"pending", "running"}
    )
    return run["status"]
