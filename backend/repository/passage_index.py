"""The keyword index on SQLite FTS5: a file for each tenant, which holds its passages and the terms in them.

FTS5 cannot split Korean, so the terms are ours (`core/retrieval/tokenizer.py`), handed over with spaces between; its
own tokenizer, `ascii`, leaves letters beyond ASCII alone. The FTS table keeps no copy of the text (`content=''`), so a
passage is taken out by naming the terms that went in.
"""

import asyncio
import re
from collections import OrderedDict
from collections.abc import AsyncGenerator, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, get_args

import orjson
from sqlalchemy import Connection

from backend.core.error import InvalidId, PassageNotFound
from backend.core.retrieval.base import Hit, Matches, Statistics
from backend.core.retrieval.tokenizer import VERSION, terms
from backend.database.sqlite import SqliteDatabase
from backend.dto.knowledge import KNOWLEDGE, Corpus, Passage

OPEN_FILES = 32
"""Files that stay open when nobody uses them."""
MOST_TERMS = 64
"""Of a question; the rarest are kept."""
_BATCH = 500
_GROUP = 50
"""Documents that one transaction writes."""
_TENANT = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")

_SCHEMA = (
    """CREATE TABLE IF NOT EXISTS passage (
        id INTEGER PRIMARY KEY, passage_id TEXT NOT NULL UNIQUE, document_id TEXT NOT NULL, position INTEGER NOT NULL,
        title TEXT NOT NULL, path TEXT NOT NULL, text TEXT NOT NULL, url TEXT, source TEXT NOT NULL, language TEXT,
        UNIQUE (document_id, position))""",
    "CREATE VIRTUAL TABLE IF NOT EXISTS term USING fts5(head, body, content='', tokenize='ascii')",
    "CREATE VIRTUAL TABLE IF NOT EXISTS frequency USING fts5vocab(term, row)",
    """CREATE TABLE IF NOT EXISTS meta (
        passages INTEGER NOT NULL, characters INTEGER NOT NULL, tokenizer INTEGER NOT NULL)""",
)
_COLUMNS = "passage_id, document_id, title, path, text, position, url, source, language"


class SqlitePassageIndexes:
    """Opens the index files, one a tenant and corpus, when asked for; closes those unused for the longest time."""

    def __init__(self, folder: Path, *, open_files: int = OPEN_FILES) -> None:
        self._folder = folder
        self._most = open_files
        self._files: OrderedDict[str, _File] = OrderedDict()

    def of(self, tenant_id: str, corpus: Corpus = KNOWLEDGE) -> "SqlitePassageIndex":
        """Return an index of the tenant; its file is opened at the first use.

        Raises:
            InvalidId: not a tenant's name, which also names the file.
        """
        return SqlitePassageIndex(self, _file_name(tenant_id, corpus))

    async def purge(self, tenant_id: str, corpora: Collection[Corpus] | None = None) -> None:
        for corpus in get_args(Corpus) if corpora is None else corpora:
            name = _file_name(tenant_id, corpus)
            async with self.use(name) as database:  # also waits for whoever has it open
                await database.write(_empty)
            file = self._files.get(name)
            if file is not None and not file.users:
                del self._files[name]
                await file.close()
                for ending in ("", "-wal", "-shm"):
                    await asyncio.to_thread((self._folder / f"{name}.db{ending}").unlink, missing_ok=True)

    async def close(self) -> None:
        files = list(self._files.values())
        self._files.clear()
        for file in files:
            await file.close()

    @asynccontextmanager
    async def use(self, name: str) -> AsyncGenerator[SqliteDatabase]:
        """Give the database of this name, which stays open at least as long as it is used."""
        file = self._files.get(name)
        if file is None:
            file = self._files[name] = _File(self._folder / f"{name}.db")
        self._files.move_to_end(name)
        file.users += 1
        try:
            yield await file.opened()
        finally:
            file.users -= 1
            await self._close_idle()

    async def _close_idle(self) -> None:
        over = len(self._files) - self._most
        if over <= 0:
            return
        idle = [name for name, file in self._files.items() if not file.users][:over]
        for file in [self._files.pop(name) for name in idle]:
            await file.close()


class _File:
    """One database file, opened once however many ask for it at the same time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = asyncio.Lock()
        self._database: SqliteDatabase | None = None
        self.users = 0

    async def opened(self) -> SqliteDatabase:
        async with self._lock:
            if self._database is None:
                database = SqliteDatabase(self._path)
                await database.open()
                await database.write(_prepare)
                self._database = database
            return self._database

    async def close(self) -> None:
        async with self._lock:
            database, self._database = self._database, None
            if database is not None:
                await database.close()


class SqlitePassageIndex:
    """A `PassageIndex` of one tenant: a file."""

    def __init__(self, files: SqlitePassageIndexes, name: str) -> None:
        self._files = files
        self._name = name

    async def replace(self, document_id: str, passages: Sequence[Passage]) -> None:
        await self.replace_all({document_id: passages})

    async def replace_all(self, documents: Mapping[str, Sequence[Passage]]) -> None:
        if any(passage.document_id != name for name, passages in documents.items() for passage in passages):
            raise ValueError("a passage belongs to another document")
        names = list(documents)
        async with self._files.use(self._name) as database:
            for start in range(0, len(names), _GROUP):
                some = names[start : start + _GROUP]
                # Tokenizing is the long part, so it is done before the transaction, off the loop.
                ready = await asyncio.to_thread(_ready, [documents[name] for name in some])
                await database.write(partial(_put, some, ready))

    async def remove(self, *document_ids: str) -> None:
        async with self._files.use(self._name) as database:
            for start in range(0, len(document_ids), _GROUP):
                await database.write(partial(_put, document_ids[start : start + _GROUP], []))

    async def ids(self, document_id: str) -> list[str]:
        def work(connection: Connection) -> list[str]:
            rows = connection.exec_driver_sql(
                "SELECT passage_id FROM passage WHERE document_id = ? ORDER BY position", (document_id,)
            )
            return [row[0] for row in rows]

        async with self._files.use(self._name) as database:
            return await database.read(work)

    async def ids_of(self, document_ids: Sequence[str]) -> list[str]:
        def work(connection: Connection) -> list[str]:
            found: list[str] = []
            for batch in _batches(list(document_ids)):
                rows = connection.exec_driver_sql(
                    f"SELECT passage_id FROM passage WHERE document_id IN ({_marks(batch)})",  # noqa: S608
                    tuple(batch),
                )
                found += [row[0] for row in rows]
            return found

        async with self._files.use(self._name) as database:
            return await database.read(work)

    async def find(self, passage_ids: Sequence[str]) -> list[Passage]:
        found: dict[str, Passage] = {}

        def work(connection: Connection) -> None:
            for batch in _batches(list(passage_ids)):
                rows = connection.exec_driver_sql(
                    f"SELECT {_COLUMNS} FROM passage WHERE passage_id IN ({_marks(batch)})",  # noqa: S608
                    tuple(batch),
                )
                found.update((row[0], _passage(row)) for row in rows)

        async with self._files.use(self._name) as database:
            await database.read(work)
        return [found[passage_id] for passage_id in passage_ids if passage_id in found]

    async def get(self, passage_id: str) -> Passage:
        found = await self.find([passage_id])
        if not found:
            raise PassageNotFound(passage_id)
        return found[0]

    async def around(self, document_id: str, position: int, radius: int) -> list[Passage]:
        def work(connection: Connection) -> list[Passage]:
            rows = connection.exec_driver_sql(
                f"SELECT {_COLUMNS} FROM passage WHERE document_id = ? AND position BETWEEN ? AND ? ORDER BY position",  # noqa: S608
                (document_id, position - radius, position + radius),
            )
            return [_passage(row) for row in rows]

        async with self._files.use(self._name) as database:
            return await database.read(work)

    async def search(self, terms: Sequence[str], limit: int) -> Matches:
        def work(connection: Connection) -> Matches:
            statistics = _statistics(connection)
            known = _frequencies(connection, terms)
            # FTS5 gives a term that is in more than half of the rows no weight; leaving it out saves reading its rows.
            telling = {term: count for term, count in known.items() if count * 2 < statistics.passages} or known
            chosen = sorted(telling, key=lambda term: (telling[term], term))[:MOST_TERMS]
            hits = _hits(connection, chosen, limit) if chosen else ()
            return Matches(hits=hits, frequencies=known, statistics=statistics)

        async with self._files.use(self._name) as database:
            return await database.read(work)

    async def statistics(self) -> Statistics:
        async with self._files.use(self._name) as database:
            return await database.read(_statistics)

    async def count(self) -> int:
        return (await self.statistics()).passages


def _file_name(tenant_id: str, corpus: Corpus) -> str:
    # A tenant's name has no dot, so no two names are the same.
    if not _TENANT.fullmatch(tenant_id):
        raise InvalidId(f"{tenant_id!r} is not a tenant's name.")
    return tenant_id if corpus == KNOWLEDGE else f"{tenant_id}.{corpus}"


def _empty(connection: Connection) -> None:
    connection.exec_driver_sql("INSERT INTO term (term) VALUES ('delete-all')")
    connection.exec_driver_sql("DELETE FROM passage")
    connection.exec_driver_sql("UPDATE meta SET passages = 0, characters = 0")


def _prepare(connection: Connection) -> None:
    """Make the tables; make the terms again when another version of the tokenizer made them."""
    for statement in _SCHEMA:
        connection.exec_driver_sql(statement)
    if not any(row[1] == "language" for row in connection.exec_driver_sql("PRAGMA table_info(passage)")):
        connection.exec_driver_sql("ALTER TABLE passage ADD COLUMN language TEXT")  # a file of an earlier release
    version = connection.exec_driver_sql("SELECT tokenizer FROM meta").scalar()
    if version is None:
        connection.exec_driver_sql("INSERT INTO meta VALUES (0, 0, ?)", (VERSION,))
    elif version != VERSION:
        connection.exec_driver_sql("INSERT INTO term (term) VALUES ('delete-all')")
        for row in connection.exec_driver_sql(f"SELECT {_COLUMNS}, id FROM passage").all():  # noqa: S608
            connection.exec_driver_sql(
                "INSERT INTO term (rowid, head, body) VALUES (?, ?, ?)", (row[9], *_entry(_passage(row)))
            )
        connection.exec_driver_sql("UPDATE meta SET tokenizer = ?", (VERSION,))


_Ready = list[tuple[Passage, tuple[str, str]]]
"""Passages with the terms of their headings and of their texts."""


def _ready(documents: Iterable[Sequence[Passage]]) -> _Ready:
    return [(passage, _entry(passage)) for passages in documents for passage in passages]


def _put(names: Sequence[str], ready: _Ready, connection: Connection) -> None:
    """Make `ready` the passages of the documents."""
    for name in names:
        _remove(connection, name)
    for passage, (head, body) in ready:
        row = connection.exec_driver_sql(
            f"INSERT INTO passage ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id",  # noqa: S608
            _row(passage),
        ).scalar_one()
        connection.exec_driver_sql("INSERT INTO term (rowid, head, body) VALUES (?, ?, ?)", (row, head, body))
    connection.exec_driver_sql(
        "UPDATE meta SET passages = passages + ?, characters = characters + ?",
        (len(ready), sum(len(passage.text) for passage, _ in ready)),
    )


def _remove(connection: Connection, document_id: str) -> None:
    rows = connection.exec_driver_sql(
        f"SELECT {_COLUMNS}, id FROM passage WHERE document_id = ?",  # noqa: S608
        (document_id,),
    ).all()
    for row in rows:
        connection.exec_driver_sql(
            "INSERT INTO term (term, rowid, head, body) VALUES ('delete', ?, ?, ?)", (row[9], *_entry(_passage(row)))
        )
    connection.exec_driver_sql("DELETE FROM passage WHERE document_id = ?", (document_id,))
    connection.exec_driver_sql(
        "UPDATE meta SET passages = passages - ?, characters = characters - ?",
        (len(rows), sum(len(row[4]) for row in rows)),
    )


def _statistics(connection: Connection) -> Statistics:
    passages, characters = connection.exec_driver_sql("SELECT passages, characters FROM meta").one()
    return Statistics(passages=passages, characters=characters)


def _hits(connection: Connection, chosen: Sequence[str], limit: int) -> tuple[Hit, ...]:
    # The inner query orders by number and score alone, so the passages' text is read for the best only.
    rows = connection.exec_driver_sql(
        f"""SELECT {_COLUMNS}, -best.score FROM (
                SELECT rowid, bm25(term) AS score FROM term WHERE term MATCH ? ORDER BY score LIMIT ?
            ) AS best JOIN passage ON passage.id = best.rowid ORDER BY best.score, document_id, position""",  # noqa: S608
        (" OR ".join(f'"{term}"' for term in chosen), limit),
    )
    return tuple(Hit(_passage(row), float(row[9])) for row in rows)


def _frequencies(connection: Connection, wanted: Iterable[str]) -> dict[str, int]:
    # Only what the tokenizer can have made is looked up; so nothing else can reach the MATCH expression either.
    found: dict[str, int] = {}
    for batch in _batches([term for term in dict.fromkeys(wanted) if term.isalnum()]):
        rows = connection.exec_driver_sql(
            f"SELECT term, doc FROM frequency WHERE term IN ({_marks(batch)})",  # noqa: S608
            tuple(batch),
        )
        found.update((row[0], row[1]) for row in rows)
    return found


def _entry(passage: Passage) -> tuple[str, str]:
    """Return the terms of the headings and of the text, as FTS5 takes them."""
    return " ".join(terms(" ".join((passage.title, *passage.path)))), " ".join(terms(passage.text))


def _row(passage: Passage) -> tuple[Any, ...]:
    return (
        passage.passage_id,
        passage.document_id,
        passage.title,
        orjson.dumps(passage.path).decode(),
        passage.text,
        passage.position,
        passage.url,
        passage.source,
        passage.language,
    )


def _passage(row: Any) -> Passage:
    return Passage(
        passage_id=row[0],
        document_id=row[1],
        title=row[2],
        path=tuple(orjson.loads(row[3])),
        text=row[4],
        position=row[5],
        url=row[6],
        source=row[7],
        language=row[8],
    )


def _batches(values: list[str]) -> Iterable[list[str]]:
    """Cut, since SQLite takes a bounded number of variables in a statement."""
    return (values[start : start + _BATCH] for start in range(0, len(values), _BATCH))


def _marks(values: Sequence[str]) -> str:
    return ", ".join("?" * len(values))
