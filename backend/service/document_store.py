"""A document and its passages, kept in three places that no transaction spans: rows, keyword index, vectors.

The row goes first, without a hash: it says that something of the document may be in the indexes. The indexes follow,
and last the row gets its hash. A server that dies in between leaves a row without a hash, so the next time the document
comes it is written again, over the same ids, and nothing is there twice.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any
from uuid import UUID, uuid5
from weakref import WeakValueDictionary

from backend.core.collector.file.document import ParsedDocument
from backend.core.error import DocumentNotFound
from backend.core.retrieval.base import Embedder, PassageIndex, PassageIndexes, VectorIndexes
from backend.core.retrieval.indexer import Indexer, Readable
from backend.core.retrieval.precomputed import PrecomputedEmbedder
from backend.database.base import Database
from backend.dto.knowledge import KNOWLEDGE, Corpus, Document, FileOutcome
from backend.repository.document import DocumentRepository
from backend.service.sample import SAMPLE_VECTORS

_SPACE = UUID("5b0f4f0a-6a63-5b3c-9d0e-1f8d6c9f3a27")
"""Of document ids: the same source of the same tenant always gets the same id, so writing twice cannot double it."""


@dataclass(frozen=True, slots=True)
class Incoming:
    """A document that was read and is to be kept."""

    source: str
    parsed: ParsedDocument
    digest: str
    """SHA-256 of what it was made from; the same again changes nothing."""
    size: int
    """Bytes of what it was made from."""
    url: str | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    language: str | None = None
    """Where it is known: a citation shows it."""
    corpus: Corpus = KNOWLEDGE
    """Which of the tenant's indexes it goes to; one that comes to another than before leaves that one first."""


class DocumentStore:
    """Writes and removes documents; two writers of one document take turns."""

    def __init__(
        self,
        db: Database,
        passages: PassageIndexes,
        vectors: VectorIndexes,
        embedder: Embedder,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._db = db
        self._passages = passages
        self._vectors = vectors
        # The shipped corpus comes with its vectors; whatever else is embedded passes by.
        self._embedder = PrecomputedEmbedder(embedder, SAMPLE_VECTORS)
        self._clock = clock
        self._locks: WeakValueDictionary[UUID, asyncio.Lock] = WeakValueDictionary()

    async def unchanged(self, tenant_id: str, source: str, digest: str) -> Document | None:
        """Return the document when it is there with just this content."""
        document_id = _id(tenant_id, source)
        document = await self._db.read(lambda c: DocumentRepository(c, tenant_id).find(document_id))
        return document if document is not None and await self._holds(tenant_id, document, digest) else None

    async def put(self, tenant_id: str, documents: Sequence[Incoming]) -> list[tuple[FileOutcome, Document]]:
        """Keep each document, several at once being quicker; return what became of each, in order.

        The sources must differ from each other.

        Raises:
            IndexMismatch: the tenant's vectors were made with another embedding model.
            UpstreamFailed, UpstreamTimeout, Unavailable: the embedding model does not answer as it should.
        """
        ids = [_id(tenant_id, document.source) for document in documents]
        async with self._turn(ids):
            known = await self._find(tenant_id, ids)
            results: list[tuple[FileOutcome, Document]] = []
            changed: list[tuple[Incoming, Document]] = []
            for document_id, incoming in zip(ids, documents, strict=True):
                old = known.get(document_id)
                stays = old is not None and old.corpus == incoming.corpus
                if old is not None and stays and await self._holds(tenant_id, old, incoming.digest):
                    results.append(("unchanged", old))
                    continue
                if old is not None and not stays:
                    await self._put_rows(tenant_id, [replace(old, sha256="")])
                    await self._indexer(tenant_id, old.corpus).remove(str(document_id))
                new = self._row(tenant_id, document_id, incoming, old)
                changed.append((incoming, new))
                results.append(("updated" if old is not None and old.sha256 else "added", new))
            written = await self._write(tenant_id, changed) if changed else {}
        return [(outcome, written.get(document.document_id, document)) for outcome, document in results]

    async def delete(self, tenant_id: str, document_id: UUID) -> None:
        """Remove a document with its passages and vectors.

        Raises:
            DocumentNotFound: no such document, or another tenant's.
        """
        async with self._turn([document_id]):
            document = (await self._find(tenant_id, [document_id])).get(document_id)
            if document is None:
                raise DocumentNotFound(document_id)
            await self._put_rows(tenant_id, [replace(document, sha256="", chunks=0)])
            await self._indexer(tenant_id, document.corpus).remove(str(document_id))
            await self._db.write(lambda c: DocumentRepository(c, tenant_id).delete(document_id))

    async def remove(self, tenant_id: str, sources: Sequence[str]) -> None:
        """Remove the documents of these sources; nothing happens where there is none."""
        ids = [_id(tenant_id, source) for source in sources]
        for document_id in await self._find(tenant_id, ids) if ids else ():
            await self.delete(tenant_id, document_id)

    def passages(self, tenant_id: str, corpus: Corpus = KNOWLEDGE) -> PassageIndex:
        """Return the passages of one of a tenant's corpora, to be read."""
        return self._passages.of(tenant_id, corpus)

    async def _holds(self, tenant_id: str, document: Document, digest: str) -> bool:
        """Whether just this content can be found: somebody may have deleted the indexes, to have them made anew."""
        if document.sha256 != digest:
            return False
        index = self.passages(tenant_id, document.corpus)
        return len(await index.ids(str(document.document_id))) == document.chunks

    async def _write(self, tenant_id: str, changed: Sequence[tuple[Incoming, Document]]) -> dict[UUID, Document]:
        await self._put_rows(tenant_id, [row for _, row in changed])
        for corpus in {row.corpus for _, row in changed}:
            await self._indexer(tenant_id, corpus).replace(
                *(
                    Readable(
                        document_id=str(row.document_id),
                        title=row.title,
                        sections=incoming.parsed.sections,
                        source=row.source,
                        url=row.url,
                        language=incoming.language,
                    )
                    for incoming, row in changed
                    if row.corpus == corpus
                )
            )
        counts = await asyncio.gather(
            *(self.passages(tenant_id, row.corpus).ids(str(row.document_id)) for _, row in changed)
        )
        rows = [
            replace(row, sha256=incoming.digest, chunks=len(ids))
            for (incoming, row), ids in zip(changed, counts, strict=True)
        ]
        await self._put_rows(tenant_id, rows)
        return {row.document_id: row for row in rows}

    def _row(self, tenant_id: str, document_id: UUID, incoming: Incoming, old: Document | None) -> Document:
        """Return the row as it is while the indexes are being written."""
        now = self._clock()
        return Document(
            document_id=document_id,
            tenant_id=tenant_id,
            source=incoming.source,
            title=incoming.parsed.title,
            media_type=incoming.parsed.media_type,
            sha256="",
            size=incoming.size,
            chunks=old.chunks if old is not None else 0,
            url=incoming.url,
            metadata=incoming.metadata | ({"language": incoming.language} if incoming.language else {}),
            created_at=old.created_at if old is not None else now,
            updated_at=now,
            corpus=incoming.corpus,
        )

    async def _find(self, tenant_id: str, ids: Sequence[UUID]) -> dict[UUID, Document]:
        def find(documents: DocumentRepository) -> dict[UUID, Document]:
            found = (documents.find(document_id) for document_id in ids)
            return {document.document_id: document for document in found if document is not None}

        return await self._db.read(lambda c: find(DocumentRepository(c, tenant_id)))

    async def _put_rows(self, tenant_id: str, rows: Iterable[Document]) -> None:
        """Write rows without waiting for the disk: what a power cut takes back is only taken in once more."""

        def put(documents: DocumentRepository) -> None:
            for row in rows:
                documents.put(row)

        await self._db.write(lambda c: put(DocumentRepository(c, tenant_id)), durable=False)

    def _indexer(self, tenant_id: str, corpus: Corpus) -> Indexer:
        return Indexer(tenant_id, corpus, passages=self._passages, vectors=self._vectors, embedder=self._embedder)

    @asynccontextmanager
    async def _turn(self, ids: Sequence[UUID]) -> AsyncIterator[None]:
        """Hold the documents for one writer; all take them in one order, so that no two wait for each other."""
        async with AsyncExitStack() as stack:
            for document_id in sorted(ids):
                await stack.enter_async_context(self._locks.setdefault(document_id, asyncio.Lock()))
            yield


def digest_of(content: dict[str, Any]) -> tuple[str, int]:
    """Return SHA-256 and bytes of a document that is no file: of all that can be changed about it."""
    data = json.dumps(content, ensure_ascii=False, sort_keys=True).encode()
    return sha256(data).hexdigest(), len(data)


def _id(tenant_id: str, source: str) -> UUID:
    return uuid5(_SPACE, f"{tenant_id}\n{source}")
