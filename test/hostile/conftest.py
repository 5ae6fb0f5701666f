"""One server for all attacks: whatever was done to it, it is well after each test."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from test.hostile.target import Target, attacked


@pytest.fixture(scope="session")
def attacked_server() -> Iterator[Target]:
    with TemporaryDirectory(prefix="daedap-hostile-") as folder, attacked(Path(folder)) as target:
        yield target


@pytest.fixture
def target(attacked_server: Target) -> Iterator[Target]:
    """The server, which must be unharmed after the test."""
    yield attacked_server
    attacked_server.check()
