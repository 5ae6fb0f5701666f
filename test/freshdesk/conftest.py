"""A simulated Freshdesk with two accounts, and what talks to it."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from backend.core.collector.freshdesk.limiter import Limiters
from backend.core.collector.freshdesk.network import FreshdeskNetwork
from backend.core.collector.freshdesk.platform import FreshdeskPlatform
from backend.database.base import Database
from backend.database.model import Base
from backend.database.postgres import PostgresDatabase
from backend.database.sqlite import SqliteDatabase
from backend.simulator.freshdesk import Account, FreshdeskSimulator
from backend.simulator.freshdesk.desk import ADMIN_ROLE

KEY = "kim-is-the-administrator"
AGENT_KEY = "lee-is-an-agent"
OTHER_KEY = "park-is-at-the-other-company"
REQUESTER = 21


def make_account(subdomain: str, keys: dict[str, int]) -> Account:
    """Return an account with two agents, the first an administrator, and a customer."""
    account = Account(subdomain)
    for agent_id, name in {11: "Kim", 12: "Lee"}.items():
        account.agents[agent_id] = {
            "id": agent_id,
            "contact": {"name": name, "email": f"{name}@{subdomain}.example"},
            "role_ids": [ADMIN_ROLE if agent_id == 11 else ADMIN_ROLE + 1],
            "ticket_scope": 1,
            "group_ids": [],
            "type": "support_agent",
        }
    account.api_keys.update(keys)
    account.contacts[REQUESTER] = {"id": REQUESTER, "name": "Choi", "email": "Choi@customer.example"}
    account.ticket_fields = [
        {"name": "status", "type": "default_status", "choices": {"2": ["Open", "Open"], "6": ["고객 회신 대기", "-"]}}
    ]
    return account


def at(second: int) -> str:
    """Return a moment as the API writes it."""
    return datetime.fromtimestamp(1_780_000_000 + second, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def add_tickets(account: Account, seconds: list[int], **fields: Any) -> list[str]:
    """Add a ticket for each second at which one changed; return their ids."""
    return [
        str(
            account.add_ticket(
                f"Ticket {n}",
                "<p>It does not work.</p>",
                requester_id=REQUESTER,
                created_at=at(0),
                updated_at=at(second),
                silent=True,
                **fields,
            )
        )
        for n, second in enumerate(seconds)
    ]


@pytest.fixture
def freshdesk() -> Iterator[FreshdeskSimulator]:
    """Accounts `acme` and `other`, on a plan without limits."""
    accounts = [make_account("acme", {KEY: 11, AGENT_KEY: 12}), make_account("other", {OTHER_KEY: 11})]
    with FreshdeskSimulator(accounts, plan="unlimited") as running:
        yield running


class Pace:
    """Stands for waiting: nobody sleeps, and what was waited is known."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)


@pytest.fixture
def pace() -> Pace:
    return Pace()


@pytest.fixture
async def network(freshdesk: FreshdeskSimulator) -> AsyncIterator[FreshdeskNetwork]:
    made = FreshdeskNetwork(freshdesk.root_url)
    yield made
    await made.close()


@pytest.fixture
def platform(network: FreshdeskNetwork, pace: Pace) -> FreshdeskPlatform:
    return FreshdeskPlatform(
        network, Limiters(5, clock=pace, sleep=pace.sleep), timeout=2, patience=600, sleep=pace.sleep
    )


@pytest.fixture
def empty_database(request: pytest.FixtureRequest, tmp_path: Path) -> Database:
    """A database without tables, not open; SQLite unless a test asks for PostgreSQL by parameter."""
    if getattr(request, "param", "sqlite") == "sqlite":
        return SqliteDatabase(tmp_path / "sqlite.db")
    return PostgresDatabase(request.getfixturevalue("postgres_url"))


@pytest.fixture
async def database(empty_database: Database) -> AsyncIterator[Database]:
    """An open database with the tables."""
    await empty_database.open()
    await empty_database.write(Base.metadata.create_all)
    yield empty_database
    await empty_database.close()
