"""Brings a database to the newest revision, in one transaction."""

from pathlib import Path

from loguru import logger
from sqlalchemy import Column, Connection, MetaData, String, Table, inspect, text

import migration
from backend.core.error import Unavailable
from backend.database.base import Database
from backend.database.model import Base


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
            # A new SQLite file is made from the models, which is what all migrations come to (a test compares), and a
            # tenth of a second instead of loading Alembic; PostgreSQL may have several servers starting at once.
            new = current is None and database.dialect == "sqlite"
            await database.write(_create if new else _upgrade)
            logger.info("database migrated from {old} to {new}", old=current or "nothing", new=migration.HEAD)
    finally:
        await database.close()


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()


def _create(connection: Connection) -> None:
    Base.metadata.create_all(connection)
    versions = Table("alembic_version", MetaData(), Column("version_num", String(32), primary_key=True))
    versions.create(connection)
    connection.execute(versions.insert().values(version_num=migration.HEAD))


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
