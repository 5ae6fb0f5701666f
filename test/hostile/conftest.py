"""One server for all attacks: whatever was done to it, it is well after each test."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from backend.simulator.freshdesk import FreshdeskSimulator
from test.hostile.target import TWIN, Target, attacked
from test.hostile.world import ALICE_DESK, MALLORY_DESK, TWIN_DESK, Desk, fill, make_account

SECRET = "zanzibarish"
"""In everything that Alice writes."""
TWINS = "quaggaresque"
"""In everything that her twin writes."""


@pytest.fixture(scope="session")
def freshdesk() -> Iterator[FreshdeskSimulator]:
    """The desks of Alice and her twin, whose ids are the same, and an empty one of Mallory's."""
    accounts = [make_account(ALICE_DESK, SECRET), make_account(TWIN_DESK, TWINS), make_account(MALLORY_DESK, None)]
    with FreshdeskSimulator(accounts, plan="unlimited") as running:
        yield running


@pytest.fixture(scope="session")
def attacked_server(freshdesk: FreshdeskSimulator) -> Iterator[Target]:
    with (
        TemporaryDirectory(prefix="daedap-hostile-") as folder,
        attacked(Path(folder), FRESHDESK_URL=freshdesk.root_url) as target,
    ):
        yield target


@pytest.fixture(scope="session")
def alices_desk(attacked_server: Target) -> Desk:
    with attacked_server.client() as alice:
        return fill(alice, ALICE_DESK, SECRET)


@pytest.fixture(scope="session")
def twins_desk(attacked_server: Target) -> Desk:
    with attacked_server.client(TWIN) as twin:
        return fill(twin, TWIN_DESK, TWINS)


@pytest.fixture
def target(attacked_server: Target) -> Iterator[Target]:
    """The server, which must be unharmed after the test."""
    yield attacked_server
    attacked_server.check()
