"""Which database: the one that `DATABASE_URL` names, or SQLite in the data folder."""

from pathlib import Path

from pydantic import SecretStr

from backend.database.base import Database
from backend.database.postgres import PostgresDatabase
from backend.database.sqlite import SqliteDatabase


def build_database(url: SecretStr | None, sqlite_path: Path, *, foreign_keys: bool = True) -> Database:
    """Return the database, not yet open; migrations want it without `foreign_keys`."""
    if url is None:
        return SqliteDatabase(sqlite_path, foreign_keys=foreign_keys)
    return PostgresDatabase(url.get_secret_value())
