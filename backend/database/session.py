"""Which database: the one that `DATABASE_URL` names, or SQLite in the data folder."""

from pathlib import Path

from pydantic import SecretStr

from backend.database.base import Database
from backend.database.postgres import PostgresDatabase
from backend.database.sqlite import SqliteDatabase


def build_database(url: SecretStr | None, sqlite_path: Path, *, migrating: bool = False) -> Database:
    """Return the database, not yet open.

    `migrating` is for migrations alone. SQLite's copy tables, and with foreign keys would take what hangs on the old
    one with it. PostgreSQL's may take as long as the tables are large, or another server's that came first.
    """
    if url is None:
        return SqliteDatabase(sqlite_path, foreign_keys=not migrating)
    return PostgresDatabase(url.get_secret_value(), patient=migrating)
