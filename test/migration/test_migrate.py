"""A database is made and brought up to date by the server itself."""

from pathlib import Path
from typing import Any

from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text

import migration
from backend.database.base import Database
from backend.database.migrate import _upgrade, migrate
from backend.database.postgres import PostgresDatabase
from backend.database.sqlite import SqliteDatabase

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
