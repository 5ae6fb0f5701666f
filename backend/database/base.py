"""The port to a relational database.

A unit of work is a synchronous function over a SQLAlchemy Core `Connection`. That one form runs on both databases: on
SQLite in the one writer thread, together with whatever else waits to be written (`sqlite.py`); on PostgreSQL through
asyncpg (`postgres.py`). It is a transaction: all of it happens or nothing does, and it is never held across a model
call, a graph or a stream, because it cannot await.
"""

from collections.abc import Callable
from typing import Protocol, TypeVar

import orjson
from sqlalchemy import Connection

T = TypeVar("T")
Work = Callable[[Connection], T]


class Database(Protocol):
    """Both implementations promise what is said here; `test/contract/test_database.py` holds them to it."""

    @property
    def dialect(self) -> str:
        """`sqlite` or `postgresql`."""

    async def open(self) -> None: ...

    async def close(self) -> None:
        """Finish what was asked for, then let go of every connection."""

    async def read(self, work: Work[T]) -> T:
        """Return what `work` reads from one consistent view; it sees every write that was answered before."""

    async def write(self, work: Work[T], *, durable: bool = True) -> T:
        """Return what `work` returns, once it is committed; an exception of it undoes all of it and is raised here.

        Work that met others' may be undone and called again, so it changes nothing but the database.

        `durable` waits until the disk has it: needed before something is acknowledged. Without it, a killed process
        loses nothing, but a power cut may lose the last writes.

        Raises:
            Unavailable: the database cannot be reached or written.
        """

    async def tidy(self) -> None:
        """Give back to the disk what removed rows took, but for what new ones will need soon; others write meanwhile.

        Raises:
            Unavailable: the database cannot be reached or written.
        """


def dump_json(value: object) -> str:
    """Serialize for a JSON column.

    Raises:
        TypeError: `value` is not JSON, or holds an integer of more than 64 bits.
    """
    return orjson.dumps(value).decode()


load_json = orjson.loads
