"""Ingestion for tests: the real services, rows and keyword index over a folder; the vectors and their model are fakes.

Run as a program (`python -m test.ingest_fixture DATA FOLDER`), it takes in a folder and prints a line a file, until it
is killed.
"""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, get_args

import pytest

from backend.core.collector.file.pool import FileReader
from backend.core.retrieval.hybrid_search import HybridSearch
from backend.database.base import Database
from backend.database.migrate import migrate
from backend.database.sqlite import SqliteDatabase
from backend.dto.knowledge import KNOWLEDGE, Corpus, Job
from backend.dto.principal import Principal
from backend.repository.passage_index import SqlitePassageIndexes
from backend.service.document_store import DocumentStore
from backend.service.ingest import IngestService
from backend.service.knowledge import KnowledgeService

ALICE = Principal("default", "alice")


class FakeEmbedder:
    """Vectors from a text's letters; may be told to wait or to fail."""

    key = "fake-16"
    dimensions = 16

    def __init__(self) -> None:
        self.failure: Callable[[Sequence[str]], Exception | None] = lambda texts: None
        self.gate: asyncio.Event | None = None
        self.waiting = asyncio.Event()
        self.texts = 0

    async def embed(self, texts: Sequence[str], *, bulk: bool = False) -> list[list[float]]:
        if (failure := self.failure(texts)) is not None:
            raise failure
        if self.gate is not None and bulk:
            self.waiting.set()
            await self.gate.wait()
        self.texts += len(texts)
        return [[byte / 4096 for byte in sha256(text.encode()).digest()[:16]] for text in texts]


class MemoryVectors:
    """The `VectorIndexes` port in a dictionary, or in a file for each vector, which a killed process leaves behind."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self.kept: dict[tuple[str, str], Sequence[float]] = {}

    def of(self, tenant_id: str, corpus: Corpus = KNOWLEDGE) -> "MemoryVectorIndex":
        return MemoryVectorIndex(self, f"{tenant_id}.{corpus}")

    async def purge(self, tenant_id: str, corpora: Collection[Corpus] | None = None) -> None:
        spaces = {f"{tenant_id}.{corpus}" for corpus in (get_args(Corpus) if corpora is None else corpora)}
        for space, passage_id in [pair for pair in self.kept if pair[0] in spaces]:
            await MemoryVectorIndex(self, space).remove([passage_id])

    async def close(self) -> None: ...

    def path(self, tenant_id: str, passage_id: str) -> Path | None:
        return None if self._folder is None else self._folder / f"{tenant_id}.{passage_id}"

    def count(self) -> int:
        return len(self.kept) if self._folder is None else len(list(self._folder.iterdir()))


@dataclass
class MemoryVectorIndex:
    vectors: MemoryVectors
    tenant_id: str

    async def upsert(self, passage_ids: Sequence[str], vectors: Sequence[Sequence[float]]) -> None:
        for passage_id, vector in zip(passage_ids, vectors, strict=True):
            self.vectors.kept[self.tenant_id, passage_id] = vector
            if (path := self.vectors.path(self.tenant_id, passage_id)) is not None:
                path.touch()

    async def remove(self, passage_ids: Sequence[str]) -> None:
        for passage_id in passage_ids:
            self.vectors.kept.pop((self.tenant_id, passage_id), None)
            if (path := self.vectors.path(self.tenant_id, passage_id)) is not None:
                path.unlink(missing_ok=True)

    async def query(self, vector: Sequence[float], limit: int) -> list[tuple[str, float]]:
        own = [(name, kept) for (tenant, name), kept in self.vectors.kept.items() if tenant == self.tenant_id]
        return sorted(
            ((name, sum(a * b for a, b in zip(vector, kept, strict=True))) for name, kept in own),
            key=lambda pair: -pair[1],
        )[:limit]


@dataclass
class Library:
    """Everything that ingestion needs, open."""

    database: Database
    passages: SqlitePassageIndexes
    vectors: MemoryVectors
    embedder: FakeEmbedder
    store: DocumentStore
    ingest: IngestService
    knowledge: KnowledgeService
    files_path: Path
    sent: list[str] = field(default_factory=list)

    async def take_in(self, path: Path, principal: Principal = ALICE) -> Job:
        """Take in a file or folder and return the job at its end."""
        job = await self.ingest.submit_folder(principal, path)
        async with asyncio.timeout(30):
            return await self.ingest.wait(principal, job.job_id)

    async def counts(self, tenant_id: str = ALICE.tenant_id) -> tuple[int, int, int, int]:
        """Return documents, passages by their rows, passages in the keyword index, vectors of all tenants."""
        documents, chunks = await self.knowledge.count(Principal(tenant_id, "counter"))
        return documents, chunks, await self.passages.of(tenant_id).count(), self.vectors.count()


@asynccontextmanager
async def open_library(
    folder: Path, database: Database | None = None, *, vectors: MemoryVectors | None = None, **options: Any
) -> AsyncIterator[Library]:
    """Open everything over `folder`; a given database is open and stays so."""
    db = database or SqliteDatabase(folder / "rows.db")
    if database is None:
        await migrate(db)
        await db.open()
    passages = SqlitePassageIndexes(folder / "keyword")
    vectors = vectors or MemoryVectors()
    embedder = FakeEmbedder()
    store = DocumentStore(db, passages, vectors, embedder)
    search = HybridSearch(passages=passages, vectors=vectors, embedder=embedder)
    ingest = IngestService(
        db,
        store,
        FileReader(),
        files_path=folder / "files",
        **{"max_upload_bytes": 1024 * 1024, **options},
    )
    await ingest.open()
    try:
        yield Library(
            db, passages, vectors, embedder, store, ingest, KnowledgeService(db, store, search), folder / "files"
        )
    finally:
        await ingest.close()
        await passages.close()
        if database is None:
            await db.close()


@pytest.fixture
async def library(tmp_path: Path) -> AsyncIterator[Library]:
    async with open_library(tmp_path / "data") as opened:
        yield opened


async def _take_in_until_killed(data: Path, folder: Path) -> None:
    async with open_library(data, vectors=file_vectors(data)) as library:
        jobs = await library.ingest.list(ALICE)
        job = jobs[0] if jobs else await library.ingest.submit_folder(ALICE, folder)
        async for now in library.ingest.progress(ALICE, job.job_id):
            for report in now.reports:
                print(report.source, flush=True)


def file_vectors(data: Path) -> MemoryVectors:
    folder = data / "vectors"
    folder.mkdir(parents=True, exist_ok=True)
    return MemoryVectors(folder)


if __name__ == "__main__":
    asyncio.run(_take_in_until_killed(Path(sys.argv[1]), Path(sys.argv[2])))
