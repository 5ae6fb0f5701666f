"""All SQL of documents. The tenant is bound once, so that no statement can forget it."""

from collections.abc import Collection
from datetime import datetime
from typing import Any, cast
from uuid import UUID

from sqlalchemy import Row, Table, and_, bindparam, delete, func, insert, or_, select, update

from backend.core.error import DocumentNotFound
from backend.database.model import DocumentRow
from backend.dto.knowledge import Corpus, Document
from backend.repository.scope import Scoped

_documents = cast(Table, DocumentRow.__table__)
_one = (_documents.c.tenant_id == bindparam("tenant")) & (_documents.c.document_id == bindparam("document"))
_select = select(_documents).where(_one)


class DocumentRepository(Scoped):
    """The documents of one tenant."""

    def get(self, document_id: UUID) -> Document:
        """Return a document.

        Raises:
            DocumentNotFound: no such document, or another tenant's.
        """
        document = self.find(document_id)
        if document is None:
            raise DocumentNotFound(document_id)
        return document

    def find(self, document_id: UUID) -> Document | None:
        row = self._connection.execute(_select, self._key(document_id)).one_or_none()
        return None if row is None else _document(row)

    def list(
        self, corpora: Collection[Corpus], *, limit: int, before: tuple[datetime, UUID] | None = None
    ) -> list[Document]:
        """Return documents of some corpora, the last changed first, from behind `before` on."""
        query = select(_documents).where(_documents.c.tenant_id == self._tenant_id, _documents.c.corpus.in_(corpora))
        if before is not None:
            moment, document_id = before
            query = query.where(
                or_(
                    _documents.c.updated_at < moment,
                    and_(_documents.c.updated_at == moment, _documents.c.document_id < document_id),
                )
            )
        query = query.order_by(_documents.c.updated_at.desc(), _documents.c.document_id.desc()).limit(limit)
        return [_document(row) for row in self._connection.execute(query)]

    def count(self, corpora: Collection[Corpus]) -> tuple[int, int]:
        """Return how many documents of some corpora there are, and how many passages they have together."""
        query = select(func.count(), func.coalesce(func.sum(_documents.c.chunks), 0)).where(
            _documents.c.tenant_id == self._tenant_id, _documents.c.corpus.in_(corpora)
        )
        documents, chunks = self._connection.execute(query).one()
        return documents, chunks

    def open(self, document_id: UUID) -> None:
        """Mark that a document's passages are about to change: until `put`, no content counts as the one it has."""
        self._connection.execute(update(_documents).where(_one).values(sha256=""), self._key(document_id))

    def put(self, document: Document) -> None:
        """Add a document, or replace what is there under its id; the moment of its creation stays."""
        values: dict[str, Any] = {
            "source": document.source,
            "title": document.title,
            "media_type": document.media_type,
            "sha256": document.sha256,
            "size": document.size,
            "chunks": document.chunks,
            "url": document.url,
            "metadata": document.metadata,
            "updated_at": document.updated_at,
            "corpus": document.corpus,
        }
        done = self._connection.execute(update(_documents).where(_one).values(values), self._key(document.document_id))
        if done.rowcount == 0:
            values |= {
                "tenant_id": self._tenant_id,
                "document_id": document.document_id,
                "created_at": document.created_at,
            }
            self._connection.execute(insert(_documents), values)

    def delete(self, document_id: UUID) -> None:
        """Remove a document.

        Raises:
            DocumentNotFound: no such document, or another tenant's.
        """
        done = self._connection.execute(delete(_documents).where(_one), self._key(document_id))
        if done.rowcount == 0:
            raise DocumentNotFound(document_id)

    def _key(self, document_id: UUID) -> dict[str, Any]:
        return {"tenant": self._tenant_id, "document": document_id}


def _document(row: Row[Any]) -> Document:
    return Document(
        document_id=row.document_id,
        tenant_id=row.tenant_id,
        source=row.source,
        title=row.title,
        media_type=row.media_type,
        sha256=row.sha256,
        size=row.size,
        chunks=row.chunks,
        url=row.url,
        metadata=row.metadata,
        created_at=row.created_at,
        updated_at=row.updated_at,
        corpus=row.corpus,
    )
