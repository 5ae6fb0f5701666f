"""Alembic's environment: runs the migrations on the server's own databases.

The server passes the connection of a unit of work (`config.attributes["connection"]`). The command line names a
database, `alembic -x url=sqlite:////tmp/new.db …` or `-x url=postgresql://…`, or means the one of the settings.
"""

import asyncio
from logging.config import fileConfig
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from alembic import context
from pydantic import SecretStr
from sqlalchemy import Connection, text

from backend.config.setting import load_settings
from backend.database.model import Base
from backend.database.model.base import JsonType, UtcDateTime
from backend.database.session import build_database
from backend.database.tenant_scope import EVERYONE, name_tenant

if TYPE_CHECKING:
    from alembic.autogenerate.api import AutogenContext

    from backend.database.base import Database

MIGRATION_LOCK = 0x64616564
"""Any number that nobody else locks in this database."""


def render_item(kind: str, item: Any, autogen: "AutogenContext") -> str | Literal[False]:
    """Write a type of ours as what the database sees: a migration must still run when our class has changed."""
    if kind == "type" and isinstance(item, UtcDateTime):
        return "sa.DateTime(timezone=True)"
    if kind == "type" and item is JsonType:
        autogen.imports.add("from sqlalchemy.dialects import postgresql")
        return 'sa.JSON().with_variant(postgresql.JSONB(), "postgresql")'
    return False


def migrate(connection: Connection) -> None:
    """Run the asked-for migrations in the caller's transaction: all of them or none."""
    if not connection.in_transaction():
        connection.begin()  # or Alembic would begin one itself, and commit what is the caller's to commit
    if (
        connection.dialect.name == "postgresql"
    ):  # servers that start at once take turns; SQLite's writer is alone anyway
        name_tenant(connection, EVERYONE)  # a migration may change rows, and those are everybody's
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK})
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        render_as_batch=connection.dialect.name == "sqlite",  # SQLite changes a column by copying its table
        render_item=render_item,
    )
    with context.begin_transaction():
        context.run_migrations()


def named_database() -> "Database":
    """Return the database that the command line or the settings name."""
    url = context.get_x_argument(as_dictionary=True).get("url")
    if isinstance(url, str) and url.startswith("sqlite:///"):
        return build_database(None, Path(url.removeprefix("sqlite:///")), migrating=True)
    if isinstance(url, str):
        return build_database(SecretStr(url), Path(), migrating=True)
    settings = load_settings()
    return build_database(settings.database_url, settings.sqlite_path, migrating=True)


async def migrate_named() -> None:
    """Open the named database, migrate it and close it."""
    database = named_database()
    await database.open()
    try:
        await database.write(migrate)
    finally:
        await database.close()


def write_sql() -> None:
    """Print what would be run, for somebody else to run (`alembic upgrade head --sql`)."""
    context.configure(dialect_name=named_database().dialect, target_metadata=Base.metadata, literal_binds=True)
    with context.begin_transaction():
        context.run_migrations()


given: Connection | None = context.config.attributes.get("connection")
if given is not None:
    migrate(given)
else:
    if context.config.config_file_name is not None:
        fileConfig(context.config.config_file_name, disable_existing_loggers=False)
    if context.is_offline_mode():
        write_sql()
    else:
        asyncio.run(migrate_named())
