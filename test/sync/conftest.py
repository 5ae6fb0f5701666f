"""An office over a desk in memory."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from backend.database.base import Database
from test.sync.desk import Desk, Office, open_database, open_office


@pytest.fixture
async def tables(tmp_path: Path) -> AsyncIterator[Database]:
    """An open SQLite file with the tables."""
    async with open_database(tmp_path / "rows.db") as database:
        yield database


@pytest.fixture
async def office(tables: Database) -> AsyncIterator[Office]:
    async with open_office(tables, Desk()) as opened:
        yield opened
