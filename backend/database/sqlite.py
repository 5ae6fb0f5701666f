"""SQLite: one writing connection a file, in one thread, committing in groups; readers beside it.

Why one writer: writers in turn never meet `database is locked`, and SQLite before 3.51.3 can corrupt a WAL when two
connections write and checkpoint at once (https://sqlite.org/wal.html#walresetbug). Why groups: a commit costs 30 to
200 µs, a row in a shared commit a tenth of it, so everything that waits when the writer becomes free shares the next
commit; each unit of work still succeeds or fails alone. Most groups have no failure and need no savepoints: only when
a unit of work fails is its group rolled back and done again with one around each.
"""

import asyncio
import queue
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, cast

from loguru import logger
from sqlalchemy import Connection, Engine, NullPool, create_engine, event

from backend.core.error import Unavailable
from backend.database.base import Work, dump_json, load_json
from backend.util.containment import contains, passes

T = TypeVar("T")

GROUP = 256
"""Most units of work in one commit."""
READERS = 2
WRITER_CACHE, READER_CACHE = 8_000, 4_000
"""KiB of pages that a connection keeps. Beyond that, the system's own cache is as near as a copy."""
BUSY_SECONDS = 5
SPARE = 10 * 1024 * 1024
"""Bytes of a file that are free and stay so: new rows are soon to be written there."""
TIDIED = 512
"""Pages that are given back in one commit."""


@dataclass(slots=True)
class _Job:
    work: Work[Any]
    durable: bool
    future: asyncio.Future[Any]
    result: Any = None
    error: BaseException | None = None


class SqliteDatabase:
    """A SQLite file behind the `Database` port."""

    dialect = "sqlite"

    def __init__(self, path: Path, *, foreign_keys: bool = True) -> None:
        """`foreign_keys` False is for migrations, which copy tables and would else take their children with the old."""
        self.path = path
        self._foreign_keys = foreign_keys
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._writer: threading.Thread | None = None
        self._readers: ThreadPoolExecutor | None = None
        self._local = threading.local()
        self._read_connections: list[Connection] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._read_engine: Engine | None = None

    async def open(self) -> None:
        """Open the file, making it and its folder when they are not there.

        Raises:
            Unavailable: it cannot be opened or written.
        """
        self._loop = asyncio.get_running_loop()
        ready: asyncio.Future[None] = self._loop.create_future()
        self._writer = threading.Thread(target=self._write_loop, args=(ready,), name=f"sqlite:{self.path.name}")
        self._writer.daemon = True
        self._writer.start()
        try:
            await ready
        except (OSError, sqlite3.Error) as error:
            self._writer = None
            raise Unavailable(f"The database {self.path} cannot be opened: {error}") from error
        self._read_engine = _engine(self.path, read_only=True, foreign_keys=False)
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="sqlite-read")

    async def close(self) -> None:
        if self._readers is not None:
            await asyncio.to_thread(self._readers.shutdown)
            self._readers = None
        for connection in self._read_connections:
            connection.close()
        self._read_connections.clear()
        self._local = threading.local()
        writer, self._writer = self._writer, None  # from here on nobody can ask: who came too late would wait for good
        if writer is not None:
            self._jobs.put(None)
            await asyncio.to_thread(writer.join)

    async def read(self, work: Work[T]) -> T:
        if self._readers is None or self._loop is None:
            raise Unavailable("The database is closed.")
        return await self._loop.run_in_executor(self._readers, self._read, work)

    async def write(self, work: Work[T], *, durable: bool = True) -> T:
        if self._writer is None or self._loop is None:
            raise Unavailable("The database is closed.")
        future: asyncio.Future[T] = self._loop.create_future()
        self._jobs.put(_Job(work, durable, future))
        return await future

    async def tidy(self) -> None:
        """Make the file smaller. One that was made before files were made so (`auto_vacuum`) stays as it is."""
        while await self.write(_give_back, durable=False):
            pass

    def _read(self, work: Work[T]) -> T:
        connection: Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            assert self._read_engine is not None
            connection = self._local.connection = _connect(self._read_engine)
            self._read_connections.append(connection)
        raw = _raw(connection)
        raw.execute("BEGIN")
        try:
            return work(connection)
        finally:
            raw.execute("COMMIT")

    def _write_loop(self, ready: asyncio.Future[None]) -> None:
        loop = ready.get_loop()
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            connection = _connect(_engine(self.path, read_only=False, foreign_keys=self._foreign_keys))
            raw = _raw(connection)
        except Exception as error:  # noqa: BLE001 - handed to whoever opens
            failure = error.__cause__ if isinstance(error.__cause__, sqlite3.Error) else error
            loop.call_soon_threadsafe(ready.set_exception, failure)
            return
        loop.call_soon_threadsafe(ready.set_result, None)
        synced = False
        closing = False
        while not closing:
            job = self._jobs.get()
            group: list[_Job] = []
            while job is not None:
                if not job.future.cancelled():
                    group.append(job)
                if len(group) == GROUP:
                    break
                try:
                    job = self._jobs.get_nowait()
                except queue.Empty:
                    break
            else:
                closing = True
            if not group:
                continue
            durable = any(job.durable for job in group)
            if durable != synced:
                raw.execute(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
                synced = durable
            self._commit(connection, raw, group)
            loop.call_soon_threadsafe(_resolve, group)
        raw.execute("PRAGMA optimize")
        connection.close()

    def _commit(self, connection: Connection, raw: sqlite3.Connection, group: list[_Job]) -> None:
        """Commit a group together; when one of it fails, all over again with a savepoint around each."""
        try:
            raw.execute("BEGIN IMMEDIATE")
            try:
                for job in group:
                    job.result = job.work(connection)
            except Exception as error:  # noqa: BLE001 - handed to whoever waits
                raw.execute("ROLLBACK")
                if len(group) == 1:
                    group[0].error = error
                    return
                raw.execute("BEGIN IMMEDIATE")
                for job in group:
                    self._apart(connection, raw, job)
            raw.execute("COMMIT")
        except sqlite3.Error as error:
            # A full disk, a broken file: nothing of the group is kept, and everyone who waits for it hears so.
            if raw.in_transaction:
                raw.execute("ROLLBACK")
            logger.error("{path} cannot be written: {error}", path=self.path, error=error)
            for job in group:
                job.error = Unavailable(f"The database cannot be written: {error}")

    @staticmethod
    def _apart(connection: Connection, raw: sqlite3.Connection, job: _Job) -> None:
        raw.execute("SAVEPOINT job")
        try:
            job.result = job.work(connection)
        except Exception as error:  # noqa: BLE001 - handed to whoever waits
            raw.execute("ROLLBACK TO job")
            job.error = error
        raw.execute("RELEASE job")


def _resolve(group: list[_Job]) -> None:
    for job in group:
        if job.future.done():
            continue
        if job.error is not None:
            job.future.set_exception(job.error)
        else:
            job.future.set_result(job.result)


def _give_back(connection: Connection) -> bool:
    """Give some free pages back; return whether that is worth doing again."""
    raw = _raw(connection)

    def figure(name: str) -> int:
        return int(raw.execute(f"PRAGMA {name}").fetchone()[0])

    free = figure("freelist_count")
    more = free - SPARE // figure("page_size")
    if more <= 0:
        return False
    raw.execute(f"PRAGMA incremental_vacuum({min(more, TIDIED)})").fetchall()
    return figure("freelist_count") < free


def _engine(path: Path, *, read_only: bool, foreign_keys: bool) -> Engine:
    name = f"{path.resolve().as_uri()}?mode={'ro' if read_only else 'rwc'}"

    def connect() -> sqlite3.Connection:
        return sqlite3.connect(name, timeout=BUSY_SECONDS, check_same_thread=False, uri=True)

    engine = create_engine(
        "sqlite://",
        creator=connect,
        poolclass=NullPool,
        isolation_level="AUTOCOMMIT",  # transactions are begun and ended here, not by the driver
        json_serializer=dump_json,
        json_deserializer=load_json,
    )

    @event.listens_for(engine, "connect")
    def _configure(connection: sqlite3.Connection, _: object) -> None:
        if not read_only:
            connection.execute("PRAGMA auto_vacuum=INCREMENTAL")  # of an empty file; one with tables stays as it is
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA secure_delete=ON")  # what is removed is not left in the file; Debian's default
        connection.execute(f"PRAGMA foreign_keys={'ON' if foreign_keys else 'OFF'}")
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute("PRAGMA temp_store=MEMORY")
        connection.execute(f"PRAGMA cache_size=-{READER_CACHE if read_only else WRITER_CACHE}")
        connection.create_function("lower", 1, _lower, deterministic=True)
        connection.create_function("json_contains", 2, _json_contains, deterministic=True)
        connection.create_function("json_passes", 2, _json_passes, deterministic=True)

    return engine


def _connect(engine: Engine) -> Connection:
    """Connect, and let SQLAlchemy believe in one long transaction of its own.

    Without it, a value that cannot be bound makes it roll back on its own accord: ours, with all that others wrote.
    """
    connection = engine.connect()
    connection.begin()
    return connection


def _lower(text: str | None) -> str | None:
    """As PostgreSQL does it; SQLite's own knows the letters of ASCII alone."""
    return None if text is None else text.lower()


def _json_contains(document: str | None, wanted: str) -> bool:
    return document is not None and contains(load_json(document), load_json(wanted))


def _json_passes(metadata: str | None, filters: str) -> bool:
    return passes({} if metadata is None else load_json(metadata), load_json(filters))


def _raw(connection: Connection) -> sqlite3.Connection:
    return cast(sqlite3.Connection, connection.connection.dbapi_connection)
