"""The rows of documents, on both databases."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from backend.core.error import DocumentNotFound
from backend.database.base import Database
from backend.dto.knowledge import Document
from backend.repository.document import DocumentRepository

NOW = datetime(2026, 3, 5, 9, 0, tzinfo=UTC)


def make_document(number: int = 0, tenant_id: str = "alpha") -> Document:
    return Document(
        document_id=uuid4(),
        tenant_id=tenant_id,
        source=f"docs/{number}.md",
        title=f"문서 {number}",
        media_type="text/markdown",
        sha256="ab" * 32,
        size=120,
        chunks=3,
        url="https://example.com/a",
        metadata={"team": "인사"},
        created_at=NOW,
        updated_at=NOW + timedelta(seconds=number),
    )


async def put(database: Database, *documents: Document) -> None:
    def work(repository: DocumentRepository) -> None:
        for document in documents:
            repository.put(document)

    await database.write(lambda c: work(DocumentRepository(c, documents[0].tenant_id)))


async def get(database: Database, document_id: UUID, tenant_id: str = "alpha") -> Document:
    return await database.read(lambda c: DocumentRepository(c, tenant_id).get(document_id))


async def test_a_document_is_kept_as_it_is(database: Database) -> None:
    document = make_document()
    await put(database, document)
    assert await get(database, document.document_id) == document


async def test_a_new_version_keeps_the_moment_of_creation(database: Database) -> None:
    document = make_document()
    changed = replace(document, title="새 제목", chunks=9, created_at=NOW + timedelta(1), updated_at=NOW + timedelta(1))
    await put(database, document)
    await put(database, changed)
    assert await get(database, document.document_id) == replace(changed, created_at=NOW)
    assert await database.read(lambda c: DocumentRepository(c, "alpha").count(["knowledge"])) == (1, 9)


async def test_another_tenants_document_is_not_found(database: Database) -> None:
    document = make_document()
    await put(database, document)
    assert await database.read(lambda c: DocumentRepository(c, "beta").find(document.document_id)) is None
    assert await database.read(lambda c: DocumentRepository(c, "beta").list(["knowledge"], limit=9)) == []
    assert await database.read(lambda c: DocumentRepository(c, "beta").count(["knowledge"])) == (0, 0)
    with pytest.raises(DocumentNotFound):
        await database.write(lambda c: DocumentRepository(c, "beta").delete(document.document_id))
    assert await get(database, document.document_id) == document


async def test_two_tenants_may_name_their_documents_alike(database: Database) -> None:
    await put(database, make_document())
    await put(database, make_document(tenant_id="beta"))
    assert await database.read(lambda c: DocumentRepository(c, "beta").count(["knowledge"])) == (1, 3)


async def test_documents_are_listed_the_last_changed_first_in_pages(database: Database) -> None:
    documents = [make_document(number // 2 * 2) for number in range(6)]  # two of each moment
    documents = [replace(document, source=f"{number}") for number, document in enumerate(documents)]
    await put(database, *documents)
    seen: list[Document] = []
    before: tuple[datetime, UUID] | None = None
    while page := await database.read(
        lambda c: DocumentRepository(c, "alpha").list(["knowledge"], limit=4, before=before)  # noqa: B023
    ):
        seen += page
        before = page[-1].updated_at, page[-1].document_id
    assert {document.document_id for document in seen} == {document.document_id for document in documents}
    assert [document.updated_at for document in seen] == sorted((one.updated_at for one in documents), reverse=True)
    assert len(seen) == 6


async def test_a_deleted_document_is_gone(database: Database) -> None:
    document = make_document()
    await put(database, document)
    await database.write(lambda c: DocumentRepository(c, "alpha").delete(document.document_id))
    with pytest.raises(DocumentNotFound):
        await get(database, document.document_id)
    with pytest.raises(DocumentNotFound):
        await database.write(lambda c: DocumentRepository(c, "alpha").delete(document.document_id))
