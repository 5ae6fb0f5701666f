"""What makes a tenant's desk findable: tickets by what was asked and what was answered, articles by their text.

Collecting only marks what changed; this takes the marked ones in batches, and takes the mark away when a batch is in
the indexes and only where nothing changed meanwhile. So it may die or fail at any moment, and be called by anybody, any
time: what is still marked is taken up again.

Nothing is indexed that is not cleaned and redacted (`ticket_text.py`). Tickets are a corpus of their own, and so are
articles that are not for everybody (`ticket_passages.py` says who may see what of a ticket).
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Protocol
from uuid import UUID
from weakref import WeakValueDictionary

from loguru import logger
from sqlalchemy import Connection

from backend.core.collector.file.document import Limits, ParsedDocument
from backend.core.collector.file.html import read_html
from backend.core.desk.entities import ticket_part
from backend.core.desk.summarizer import extract_summary
from backend.core.error import DomainError, InvalidFile
from backend.core.knowledge_graph import KnowledgeGraph
from backend.core.model.extractive import MODEL_NAME
from backend.core.retrieval.base import Embedder, PassageIndexes, VectorIndexes
from backend.core.retrieval.indexer import Indexer, Readable
from backend.database.base import Database
from backend.dto.desk import Summary
from backend.dto.knowledge import KNOWLEDGE, Corpus
from backend.dto.knowledge_graph import EntityKey, GraphPart
from backend.dto.ticket import Article, Audience, Conversation, Ticket
from backend.repository.article import ArticleRepository
from backend.repository.attachment import AttachmentRepository
from backend.repository.summary import summary_record
from backend.repository.ticket import TicketRepository
from backend.service.document_store import DocumentStore, Incoming
from backend.service.ticket_passages import FILES, TICKETS, AttachedText, documents_of, names_of
from backend.service.ticket_text import ticket_text

BATCH = 100
"""Tickets or articles that are read, embedded and written at once."""
FILE_READS = 8
"""Tickets whose attachments are read at once."""
PRODUCTS = 200
"""Products of a tenant that are looked for in its tickets."""
_CORPORA: Mapping[Audience, Corpus] = {"customer": KNOWLEDGE, "member": "member", "agent": "internal"}
ARTICLE = "article/"
"""What the source of an article's document begins with; its id follows."""
_DIGEST_VERSION = "1"


class AttachedTexts(Protocol):
    """Reads what is in attachments: `AttachmentService`."""

    async def texts(
        self, tenant_id: str, platform: str, ticket_id: str, *, private: bool = False, limit: int = 20
    ) -> Sequence[AttachedText]: ...


class Graphs(Protocol):
    """Keeps who is about what: `KnowledgeGraphService`."""

    def of(self, tenant_id: str) -> KnowledgeGraph: ...

    async def remember(self, tenant_id: str, parts: Sequence[GraphPart]) -> None: ...

    async def forget(self, tenant_id: str, sources: Sequence[EntityKey]) -> None: ...


class SupportIndex:
    """Indexes one batch of a tenant at a time in this process."""

    def __init__(
        self,
        db: Database,
        passages: PassageIndexes,
        vectors: VectorIndexes,
        embedder: Embedder,
        documents: DocumentStore,
        *,
        files: AttachedTexts,
        graphs: Graphs,
        forget_threads: Callable[[str], Awaitable[object]],
    ) -> None:
        """`forget_threads` removes the threads on which a deleted ticket was read (`TicketThreadService`)."""
        self._db = db
        self._passages = passages
        self._vectors = vectors
        self._embedder = embedder
        self._documents = documents
        self._files = files
        self._graphs = graphs
        self._forget_threads = forget_threads
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def work(self, tenant_id: str) -> AsyncIterator[int]:
        """Index what is not processed, the tickets first; yield how many objects each batch was.

        Raises:
            IndexMismatch: the tenant's vectors were made with another embedding model.
            UpstreamFailed, UpstreamTimeout, Unavailable: the embedding model does not answer as it should.
        """
        turn = self._turns.setdefault(tenant_id, asyncio.Lock())
        for step in (self._index_tickets, self._index_articles):
            while True:
                async with turn:
                    done = await step(tenant_id)
                if not done:
                    break
                yield done

    async def remove(self, tenant_id: str, tickets: Sequence[UUID]) -> None:
        """Make tickets unfindable; nothing happens to one that is not known."""
        for start in range(0, len(tickets), BATCH):
            await self._indexer(tenant_id).remove(
                *(name for ticket in tickets[start : start + BATCH] for name in names_of(ticket))
            )

    async def remove_articles(self, tenant_id: str, articles: Sequence[UUID]) -> None:
        """Make articles unfindable; nothing happens to one that is not known."""
        await self._documents.remove(tenant_id, [_source(article) for article in articles])

    # --- tickets

    async def _index_tickets(self, tenant_id: str) -> int:
        def read(connection: Connection) -> tuple[list[Ticket], dict[UUID, list[Conversation]], set[tuple[str, str]]]:
            tickets = TicketRepository(connection, tenant_id)
            found = tickets.unprocessed(BATCH)
            files = AttachmentRepository(connection, tenant_id)
            keys = [(ticket.platform, ticket.data.ticket_id) for ticket in found]
            return found, tickets.conversations_of([ticket.id for ticket in found]), files.stored_of(keys)

        found, said, with_files = await self._db.read(read)
        if not found:
            return 0
        indexer = self._indexer(tenant_id)
        gone = [ticket for ticket in found if is_hidden(ticket)]
        await indexer.remove(*(name for ticket in gone for name in names_of(ticket.id)))
        shown = [ticket for ticket in found if not is_hidden(ticket)]
        attached = await self._attached(tenant_id, [one for one in shown if _key(one) in with_files])
        products = await self._products(tenant_id)
        made = await asyncio.to_thread(
            lambda: [_read(one, said.get(one.id, ()), attached.get(one.id, ()), products) for one in shown]
        )
        await indexer.replace(*(document for one in made for document in one.documents))
        await self._relate(tenant_id, [one.part for one in made], gone)
        if any(ticket.data.deleted for ticket in gone):
            await self._forget_threads(tenant_id)

        def note(tickets: TicketRepository) -> None:
            for ticket, one in zip(shown, made, strict=True):
                if not _is_summarized(ticket):
                    tickets.set_summary(ticket.id, summary_record(one.summary), ticket.content_hash)
            tickets.mark_processed([(ticket.id, ticket.content_hash) for ticket in found])

        await self._db.write(lambda c: note(TicketRepository(c, tenant_id)), durable=False)
        return len(found)

    async def _attached(self, tenant_id: str, tickets: Iterable[Ticket]) -> dict[UUID, Sequence[AttachedText]]:
        turns = asyncio.Semaphore(FILE_READS)

        async def read(ticket: Ticket) -> tuple[UUID, Sequence[AttachedText]]:
            async with turns:
                texts = await self._files.texts(
                    tenant_id, ticket.platform, ticket.data.ticket_id, private=True, limit=FILES
                )
                return ticket.id, texts

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(read(ticket)) for ticket in tickets]
        return dict(task.result() for task in tasks)

    async def _products(self, tenant_id: str) -> list[str]:
        found = await self._graphs.of(tenant_id).find("product", "", limit=PRODUCTS)
        return [product.name for product in found]

    async def _relate(self, tenant_id: str, parts: Sequence[GraphPart], gone: Sequence[Ticket]) -> None:
        """Tell the knowledge graph. A ticket that it cannot hold is found all the same."""
        try:
            await self._graphs.remember(tenant_id, parts)
            await self._graphs.forget(tenant_id, [EntityKey("ticket", ":".join(_key(ticket))) for ticket in gone])
        except DomainError as error:
            logger.warning("the knowledge graph was not told of {count} tickets: {why}", count=len(parts), why=error)

    def _indexer(self, tenant_id: str) -> Indexer:
        return Indexer(tenant_id, TICKETS, passages=self._passages, vectors=self._vectors, embedder=self._embedder)

    # --- articles

    async def _index_articles(self, tenant_id: str) -> int:
        found = await self._db.read(lambda c: ArticleRepository(c, tenant_id).unprocessed(BATCH))
        if not found:
            return 0
        parsed = await asyncio.to_thread(lambda: [_parsed(article) for article in found])
        ready = [(article, one) for article, one in zip(found, parsed, strict=True) if one is not None]
        empty = [_source(article.id) for article, one in zip(found, parsed, strict=True) if one is None]
        await self._documents.remove(tenant_id, empty)
        await self._documents.put(tenant_id, [_incoming(article, one) for article, one in ready])
        done = [(article.id, article.content_hash) for article in found]
        await self._db.write(lambda c: ArticleRepository(c, tenant_id).mark_processed(done), durable=False)
        return len(found)


def is_hidden(ticket: Ticket) -> bool:
    """Return whether nobody finds a ticket: it is spam, deleted, or a part of another."""
    return ticket.data.deleted or ticket.data.spam or ticket.data.merged_into is not None


@dataclass(frozen=True, slots=True)
class _Made:
    documents: list[Readable]
    summary: Summary
    part: GraphPart


def _read(
    ticket: Ticket, said: Sequence[Conversation], attached: Sequence[AttachedText], products: Sequence[str]
) -> _Made:
    text = ticket_text(ticket, said)
    # Who may read the graph need not be one of the desk, so it is told of nothing private.
    public = [text.title, *(str(message["text"]) for message in text.messages if not message["private"])]
    part = ticket_part(
        ticket.platform,
        ticket.data.ticket_id,
        public,
        tags=ticket.data.tags,
        products=products,
        company_id=ticket.data.customer_company_id,
    )
    return _Made(documents_of(text, attached), extract_summary(text), part)


def _is_summarized(ticket: Ticket) -> bool:
    """Return whether a language model has summarized the ticket as it stands: rules would not do better."""
    kept = ticket.summary or {}
    return kept.get("content") == ticket.content_hash and kept.get("model") != MODEL_NAME


def _key(ticket: Ticket) -> tuple[str, str]:
    return ticket.platform, ticket.data.ticket_id


def _source(article: UUID) -> str:
    return f"{ARTICLE}{article}"


def _parsed(article: Article) -> ParsedDocument | None:
    """Return an article's text; None when there is none in it."""
    data = article.data
    try:
        page = read_html(data.description.encode(), data.title, Limits())
    except InvalidFile:
        return None
    return ParsedDocument(data.title, page.sections, "text/html")


def _incoming(article: Article, parsed: ParsedDocument) -> Incoming:
    data = article.data
    corpus = _CORPORA[data.audience if data.published else "agent"]
    digest = sha256(
        f"{_DIGEST_VERSION}\n{corpus}\n{data.language}\n{data.title}\n{data.description}".encode()
    ).hexdigest()
    return Incoming(
        source=_source(article.id),
        parsed=parsed,
        digest=digest,
        size=len(data.description.encode()),
        url=data.url,
        metadata={
            "platform": article.platform,
            "article_id": data.article_id,
            "translation_of": data.translation_of,
            "path": list(data.path),
        },
        language=data.language,
        corpus=corpus,
    )
