"""Brings a database to the newest revision, in one transaction."""

from pathlib import Path

from loguru import logger
from sqlalchemy import Connection, inspect, text

import migration
from backend.core.error import Unavailable
from backend.database.base import Database


async def migrate(database: Database) -> None:
    """Run what is missing of the migrations; when nothing is, this is one query and imports nothing.

    `database` is not open yet and is closed again: migrations want their own, without foreign keys.

    Raises:
        Unavailable: the database was made by a newer version of the server.
    """
    await database.open()
    try:
        current = await database.read(_revision)
        if current != migration.HEAD:
            await database.write(_upgrade)
            logger.info("database migrated from {old} to {new}", old=current or "nothing", new=migration.HEAD)
    finally:
        await database.close()


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()


def _upgrade(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", str(Path(migration.__file__).parent))
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise Unavailable(f"The database cannot be migrated: {error}") from error
