"""Writes documents into both indexes, in an order that a killed process cannot break."""

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from backend.core.retrieval.base import Embedder, PassageIndexes, VectorIndexes
from backend.core.retrieval.chunking import Section, chunk, index_text
from backend.dto.knowledge import KNOWLEDGE, Corpus, Passage


@dataclass(frozen=True, slots=True, kw_only=True)
class Readable:
    """A document that has been read, and what a citation of it shows."""

    document_id: str
    title: str
    sections: Sequence[Section]
    source: str = ""
    url: str | None = None
    language: str | None = None
    by_meaning: bool = True
    """Whether it is found by what it means as well; False for what is searched for by its words alone."""


class Indexer:
    """Keeps the passages and the vectors of one corpus of a tenant."""

    def __init__(
        self,
        tenant_id: str,
        corpus: Corpus = KNOWLEDGE,
        *,
        passages: PassageIndexes,
        vectors: VectorIndexes,
        embedder: Embedder,
    ) -> None:
        self._passages = passages.of(tenant_id, corpus)
        self._vectors = vectors.of(tenant_id, corpus)
        self._embedder = embedder

    async def replace(self, *documents: Readable) -> int:
        """Make each document findable as it is now, whatever was known of it before; returns the number of passages.

        New vectors come first, then old vectors go, then the passages change in one transaction a document. A search
        takes only what the passages know, so at any moment it sees a document as it was or as it is; and doing it again
        after a kill makes it whole. Several documents at once are quicker than one by one.

        Raises:
            IndexMismatch: the tenant's vectors were made with another embedding model.
        """
        found = await asyncio.to_thread(lambda: [_passages(document) for document in documents])
        by_document = {document.document_id: passages for document, passages in zip(documents, found, strict=True)}
        meant = [
            passage for document in documents if document.by_meaning for passage in by_document[document.document_id]
        ]
        new = {passage.passage_id for passage in meant}
        known = await self._passages.ids_of([document.document_id for document in documents])
        texts = [index_text(passage.title, passage.path, passage.text) for passage in meant]
        vectors = await self._embedder.embed(texts, bulk=True)
        await self._vectors.upsert([passage.passage_id for passage in meant], vectors)
        await self._vectors.remove([name for name in known if name not in new])
        await self._passages.replace_all(by_document)
        return sum(map(len, found))

    async def remove(self, *document_ids: str) -> None:
        """Make the documents unfindable; nothing happens to one that is not known."""
        if document_ids:
            await self._vectors.remove(await self._passages.ids_of(document_ids))
            await self._passages.remove(*document_ids)


def _passages(document: Readable) -> list[Passage]:
    return [
        Passage(
            passage_id=_passage_id(document.document_id, one.position, one.text),
            document_id=document.document_id,
            title=document.title,
            path=one.path,
            text=one.text,
            position=one.position,
            url=document.url,
            source=document.source,
            language=document.language,
        )
        for one in chunk(document.sections)
    ]


def _passage_id(document_id: str, position: int, text: str) -> str:
    """Name a passage by what it says and where, so a citation never shows another text than the one that was cited."""
    return hashlib.sha256(f"{document_id}\n{position}\n{text}".encode()).hexdigest()[:32]
