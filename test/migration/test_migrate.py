"""A database is made and brought up to date by the server itself."""

import asyncio
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, ForeignKeyConstraint, LargeBinary, Table, inspect, text

import migration
from backend.database.base import Database
from backend.database.migrate import _upgrade, migrate
from backend.database.model import Base
from backend.database.postgres import PostgresDatabase
from backend.database.sqlite import SqliteDatabase
from test.engine_fixture import of_everyone

NOW = datetime(2026, 11, 21, 9, 30, 15, 123456, tzinfo=UTC)
Shape = dict[str, Any]


def _texts(options: dict[str, Any]) -> list[str]:
    return sorted(f"{name}={value}" for name, value in options.items())


def shape(connection: Connection) -> Shape:
    """What a database looks like: columns, keys, indexes and their conditions."""
    found = inspect(connection)
    tables = {}
    for name in sorted(found.get_table_names()):
        columns = [(c["name"], str(c["type"]), c["nullable"], c["default"]) for c in found.get_columns(name)]
        tables[name] = {
            "columns": columns,
            "primary": found.get_pk_constraint(name)["constrained_columns"],
            "unique": sorted(tuple(u["column_names"]) for u in found.get_unique_constraints(name)),
            "indexes": sorted(
                (str(i["name"]), i["column_names"], bool(i["unique"]), _texts(i["dialect_options"]))
                for i in found.get_indexes(name)
            ),
            "foreign": sorted((f["referred_table"], str(f["options"])) for f in found.get_foreign_keys(name)),
        }
    return tables


async def shape_of(database: Database) -> Shape:
    await database.open()
    try:
        return await database.read(shape)
    finally:
        await database.close()


async def version_of(database: Database) -> str:
    await database.open()
    try:
        return str(
            await database.read(lambda c: c.execute(text("SELECT version_num FROM alembic_version")).scalar_one())
        )
    finally:
        await database.close()


async def test_a_new_sqlite_file_is_what_all_migrations_come_to(tmp_path: Path) -> None:
    made, upgraded = tmp_path / "made.db", tmp_path / "upgraded.db"
    await migrate(SqliteDatabase(made))
    database = SqliteDatabase(upgraded, foreign_keys=False)
    await database.open()
    await database.write(_upgrade)
    await database.close()

    assert await shape_of(SqliteDatabase(made)) == await shape_of(SqliteDatabase(upgraded))
    assert await version_of(SqliteDatabase(made)) == await version_of(SqliteDatabase(upgraded)) == migration.HEAD


async def test_what_is_up_to_date_is_left_alone(tmp_path: Path) -> None:
    await migrate(SqliteDatabase(tmp_path / "x.db"))
    await migrate(SqliteDatabase(tmp_path / "x.db"))
    assert await version_of(SqliteDatabase(tmp_path / "x.db")) == migration.HEAD


async def test_postgresql_has_the_same_tables(tmp_path: Path, postgres_url: str) -> None:
    await migrate(PostgresDatabase(postgres_url))
    await migrate(SqliteDatabase(tmp_path / "x.db"))
    ours, theirs = await shape_of(SqliteDatabase(tmp_path / "x.db")), await shape_of(PostgresDatabase(postgres_url))
    assert {name: [column[0] for column in table["columns"]] for name, table in ours.items()} == {
        name: [column[0] for column in table["columns"]] for name, table in theirs.items()
    }


def test_the_newest_migration_is_the_one_that_the_server_expects() -> None:
    script = ScriptDirectory(str(Path(migration.__file__).parent))
    assert script.get_current_head() == migration.HEAD


def _row(table: Table, tenant: str, made: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Return a row that hangs on those of the same tenant that were made before."""
    row: dict[str, Any] = {}
    for column in table.columns:
        kind = type(column.type).__name__
        if column.name == "tenant_id":
            row[column.name] = tenant
        elif kind == "Uuid":
            row[column.name] = uuid4()
        elif "JSON" in repr(column.type):
            row[column.name] = {"이름": "한글"}
        elif kind == "UtcDateTime":
            row[column.name] = NOW
        elif isinstance(column.type, LargeBinary):
            row[column.name] = b"\x00\xff" * 16
        elif issubclass(column.type.python_type, str):
            row[column.name] = f"{tenant}:{column.name}"[: getattr(column.type, "length", None) or 100]
        else:
            row[column.name] = column.type.python_type(1)
    for constraint in table.constraints:
        if isinstance(constraint, ForeignKeyConstraint):
            other = made[constraint.referred_table.name]
            row |= {element.parent.name: other[element.column.name] for element in constraint.elements}
    return row


def fill(connection: Connection) -> None:
    """Put a row of each of two tenants into every table."""
    for tenant in ("acme", "beta"):
        made: dict[str, dict[str, Any]] = {}
        for table in Base.metadata.sorted_tables:
            made[table.name] = _row(table, tenant, made)
            connection.execute(table.insert(), made[table.name])


def rows(connection: Connection) -> dict[str, int]:
    return {
        name: int(connection.execute(text(f'SELECT count(*) FROM "{name}"')).scalar_one())
        for name in inspect(connection).get_table_names()
        if name != "alembic_version"
    }


async def alembic(url: str, *arguments: str) -> None:
    """Run the migrations by hand, as an operator does."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "alembic", "-x", f"url={url}", *arguments, stderr=asyncio.subprocess.PIPE
    )
    _, said = await process.communicate()
    assert process.returncode == 0, said.decode()


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, Database]]:
    """An empty database: its address on the command line, and itself."""
    if request.param == "sqlite":
        path = tmp_path / "x.db"
        yield f"sqlite:///{path}", SqliteDatabase(path)
    else:
        url = request.getfixturevalue("postgres_url")
        yield url, PostgresDatabase(url)


async def test_what_an_earlier_version_has_kept_survives_the_way_down_and_up_again(
    place: tuple[str, Database],
) -> None:
    url, database = place

    async def count() -> dict[str, int]:
        await database.open()
        try:
            return await database.write(of_everyone(rows))
        finally:
            await database.close()

    await migrate(database)
    await database.open()
    await database.write(of_everyone(fill))
    await database.close()

    assert set((await count()).values()) == {2}
    for revision in ("0002", "0001"):
        await alembic(url, "downgrade", revision)
        assert set((await count()).values()) == {2}, revision
    kept = await count()

    await alembic(url, "upgrade", "head")
    after = await count()
    assert {name: after[name] for name in kept} == kept
    if database.dialect == "sqlite":
        await database.open()
        assert (await database.read(lambda c: c.exec_driver_sql("PRAGMA foreign_key_check").all())) == []
        await database.close()


async def test_threads_of_the_desk_are_tied_to_their_tickets_whatever_somebody_wrote_into_their_states(
    place: tuple[str, Database],
) -> None:
    url, database = place
    ticket = str(uuid4())
    states = [{"ticket": {"id": ticket}}, {"ticket": {"id": "no id"}}, {"ticket": "42"}, ["ticket"], None]

    def threads(connection: Connection) -> None:
        table = Base.metadata.tables["threads"]
        for agent in ("copilot", "answer"):
            for values in states:
                connection.execute(table.insert(), _row(table, "acme", {}) | {"agent": agent, "values": values})

    def ties(connection: Connection) -> list[str]:
        return [str(found) for found in connection.scalars(text("SELECT ticket FROM ticket_threads"))]

    await migrate(database)
    await alembic(url, "downgrade", "0005")
    await database.open()
    await database.write(of_everyone(threads))
    await database.close()
    await alembic(url, "upgrade", "head")
    await database.open()
    found = await database.read(of_everyone(ties))
    await database.close()
    assert [one.replace("-", "") for one in found] == [ticket.replace("-", "")]
