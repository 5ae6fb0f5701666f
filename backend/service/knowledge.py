"""What a tenant knows: its documents, searching them, and the passages that citations name."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from backend.core.collector.file.document import Limits
from backend.core.collector.file.folder import safe_source
from backend.core.collector.file.markdown import read_markdown
from backend.core.error import DocumentNotFound, Forbidden, PassageNotFound
from backend.core.retrieval.base import Retriever
from backend.database.base import Database
from backend.dto.knowledge import READABLE, Corpus, Document, FileOutcome, Passage, Retrieval
from backend.dto.principal import Principal
from backend.dto.ticket import Audience
from backend.repository.document import DocumentRepository
from backend.service.document_store import DocumentStore, Incoming, digest_of

DESK = "tickets:read"
"""The scope of the desk's own people, who may read what customers may not."""
NEIGHBOURS = 1
"""Passages shown before and after a cited one."""


class Search(Protocol):
    """Makes retrievers."""

    def bound(self, tenant_id: str, *corpora: Corpus) -> Retriever: ...


@dataclass(frozen=True, slots=True)
class TextDocument:
    """A document that is sent as text (Markdown), not as a file."""

    source: str
    title: str
    text: str
    url: str | None = None
    metadata: dict[str, Any] = field(default_factory=dict)

    @property
    def content(self) -> dict[str, Any]:
        """All that is taken in, and by which a change is known."""
        return {"title": self.title, "text": self.text, "url": self.url, "metadata": self.metadata}


@dataclass(frozen=True, slots=True)
class PassageInContext:
    """A passage with its neighbours and its document."""

    document: Document
    passage: Passage
    before: Sequence[Passage]
    after: Sequence[Passage]


class KnowledgeService:
    def __init__(self, db: Database, store: DocumentStore, search: Search) -> None:
        self._db = db
        self._store = store
        self._search = search

    async def list(
        self, principal: Principal, *, limit: int = 20, before: tuple[datetime, UUID] | None = None
    ) -> list[Document]:
        """Return documents, the last changed first, from behind `before` (moment of change and id) on."""
        return await self._db.read(
            lambda c: DocumentRepository(c, principal.tenant_id).list(_corpora(principal), limit=limit, before=before)
        )

    async def count(self, principal: Principal) -> tuple[int, int]:
        """Return how many documents there are, and how many passages they have together."""
        return await self._db.read(lambda c: DocumentRepository(c, principal.tenant_id).count(_corpora(principal)))

    async def get(self, principal: Principal, document_id: UUID) -> Document:
        """Return a document.

        Raises:
            DocumentNotFound: no such document, another tenant's, or not for this reader.
        """
        document = await self._db.read(lambda c: DocumentRepository(c, principal.tenant_id).get(document_id))
        if document.corpus not in _corpora(principal):
            raise DocumentNotFound(document_id)
        return document

    async def add(self, principal: Principal, text: TextDocument) -> tuple[FileOutcome, Document]:
        """Take in a text at once and return what became of it; the same source again is a new version.

        Raises:
            InvalidFile: there is no text in it, or too much.
            IndexMismatch: the tenant's vectors were made with another embedding model.
        """
        digest, size = digest_of(text.content)
        parsed = await asyncio.to_thread(read_markdown, text.text, text.title, Limits())
        incoming = Incoming(safe_source(text.source), parsed, digest, size, text.url, text.metadata)
        ((outcome, document),) = await self._store.put(principal.tenant_id, [incoming])
        return outcome, document

    async def delete(self, principal: Principal, document_id: UUID) -> None:
        """Remove a document and its passages.

        Raises:
            DocumentNotFound: no such document, another tenant's, or not for this reader.
        """
        await self.get(principal, document_id)
        await self._store.delete(principal.tenant_id, document_id)

    async def search(
        self, principal: Principal, query: str, *, limit: int = 6, audience: Audience = "customer"
    ) -> Retrieval:
        """Return the best passages that an audience may read, and whether they are enough to answer from.

        Raises:
            Forbidden: who asks does not belong to the audience.
        """
        if audience != "customer" and not principal.may(DESK):
            raise Forbidden("Only the desk's own people may search what is not for everybody.")
        return await self._search.bound(principal.tenant_id, *READABLE[audience]).retrieve(query, limit=limit)

    async def passage(self, principal: Principal, passage_id: str, *, radius: int = NEIGHBOURS) -> PassageInContext:
        """Return what a citation names, with what stands around it.

        Raises:
            PassageNotFound: no such passage, another tenant's, or not for this reader.
            DocumentNotFound: its document is being removed.
        """
        for corpus in _corpora(principal):
            index = self._store.passages(principal.tenant_id, corpus)
            if found := await index.find([passage_id]):
                break
        else:
            raise PassageNotFound(passage_id)
        (passage,) = found
        document = await self.get(principal, UUID(passage.document_id))
        around = await index.around(passage.document_id, passage.position, radius)
        return PassageInContext(
            document=document,
            passage=passage,
            before=[one for one in around if one.position < passage.position],
            after=[one for one in around if one.position > passage.position],
        )


def _corpora(principal: Principal) -> tuple[Corpus, ...]:
    return READABLE["agent" if principal.may(DESK) else "customer"]
