"""PostgreSQL through asyncpg, behind the `Database` port."""

from typing import TypeVar

from sqlalchemy import Connection
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from backend.core.error import Invalid, Unavailable
from backend.database.base import Work, dump_json, load_json
from backend.database.tenant_scope import forget_tenant

T = TypeVar("T")

POOL = 20
WAIT_SECONDS = 10
STATEMENT_SECONDS = 60
TURNS = 5
"""How often a unit of work is begun that PostgreSQL sent back because two had waited for each other."""
_BEGIN_AGAIN = frozenset({"40001", "40P01"})
"""`serialization_failure` and `deadlock_detected`: all of it was undone, and it may be done again."""


class PostgresDatabase:
    """A PostgreSQL database (15 or later) behind the `Database` port."""

    dialect = "postgresql"

    def __init__(self, url: str, *, patient: bool = False) -> None:
        """`patient` waits for a statement as long as it takes."""
        self._patient = patient
        self.url = make_url(url).set(drivername="postgresql+asyncpg")
        self._engine: AsyncEngine | None = None
        self._reading: AsyncEngine | None = None
        """The same pool; its transactions see one state and cannot write."""

    async def open(self) -> None:
        """Open the pool and ask the server once.

        Raises:
            Unavailable: it does not answer.
        """
        from backend.database.postgres_connection import PostgresConnection

        self._engine = create_async_engine(
            self.url,
            pool_size=POOL,
            max_overflow=0,
            pool_timeout=WAIT_SECONDS,
            pool_pre_ping=True,
            connect_args={
                "timeout": WAIT_SECONDS,
                "command_timeout": None if self._patient else STATEMENT_SECONDS,
                "connection_class": PostgresConnection,
            },
            json_serializer=dump_json,
            json_deserializer=load_json,
        )
        self._reading = self._engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        await self.read(lambda connection: connection.exec_driver_sql("SELECT 1").scalar_one())

    async def close(self) -> None:
        if self._engine is not None:
            await self._engine.dispose()
            self._engine = self._reading = None

    async def read(self, work: Work[T]) -> T:
        return await self._run(self._reading, work)

    async def write(self, work: Work[T], *, durable: bool = True) -> T:
        del durable  # PostgreSQL's commit is durable as its operator set it up
        for _ in range(TURNS):
            try:
                return await self._run(self._engine, work)
            except DBAPIError as error:
                if _code(error) not in _BEGIN_AGAIN:
                    raise
        raise Unavailable("The database is busy: others write the same rows.")

    async def tidy(self) -> None:
        """PostgreSQL does that by itself (autovacuum)."""

    async def _run(self, engine: AsyncEngine | None, work: Work[T]) -> T:
        if engine is None:
            raise Unavailable("The database is closed.")

        def begun(connection: Connection) -> T:
            forget_tenant(connection)
            return work(connection)

        try:
            async with engine.begin() as connection:
                return await connection.run_sync(begun)
        except IntegrityError:
            raise
        except DBAPIError as error:
            code = _code(error)
            if code.startswith("22") or _is_unsendable(error):  # data exception, e.g. a NUL character in text
                raise Invalid("A value cannot be stored.") from error
            if error.connection_invalidated or code[:2] in {"", "08", "28", "3D", "53", "57"}:
                raise Unavailable("The database does not answer.") from error
            raise
        except (OSError, TimeoutError, PoolTimeout) as error:
            raise Unavailable("The database does not answer.") from error


def _is_unsendable(error: DBAPIError) -> bool:
    """Whether the driver could not write a value down for the server, such as a number that is too large for it."""
    from asyncpg.exceptions._base import DataError  # the one in `asyncpg` is the server's

    return error.orig is not None and isinstance(error.orig.__cause__, DataError)


def _code(error: DBAPIError) -> str:
    """Return PostgreSQL's `SQLSTATE`; nothing when the error is not the server's."""
    return getattr(error.orig, "sqlstate", None) or ""
