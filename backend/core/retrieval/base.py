"""Ports of retrieval. Each promise below holds for every implementation."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from backend.dto.knowledge import KNOWLEDGE, Corpus, Passage, Retrieval


class Retriever(Protocol):
    """Finds passages; bound to one tenant when it is made, so no search can cross to another."""

    async def retrieve(self, query: str, *, limit: int = 6) -> Retrieval:
        """Return the best passages for `query`, best first, neighbours merged, with the evidence verdict."""


class Embedder(Protocol):
    """Turns text into vectors of length 1; never blocks the event loop."""

    @property
    def key(self) -> str:
        """Model and size, e.g. `use-multilingual-512`: what an index remembers."""

    @property
    def dimensions(self) -> int: ...

    async def embed(self, texts: Sequence[str], *, bulk: bool = False) -> list[list[float]]:
        """Return one vector a text, in order; batched, and cached by model, size and text.

        `bulk` is for ingestion: its batches let every query go before them, and do not push queries out of the cache.
        An empty text gets a vector of zeros, which is like nothing.

        Raises:
            UpstreamFailed, UpstreamTimeout, Unavailable: the model's endpoint does not answer as it should.
        """


@dataclass(frozen=True, slots=True)
class Hit:
    """A passage that the keyword index found."""

    passage: Passage
    score: float
    """BM25, above 0; comparable within one search."""


@dataclass(frozen=True, slots=True)
class Statistics:
    """What a keyword index holds."""

    passages: int
    characters: int

    @property
    def mean_length(self) -> float:
        """Characters of a passage, on average."""
        return self.characters / self.passages if self.passages else 0.0


@dataclass(frozen=True, slots=True)
class Matches:
    """What a keyword search found."""

    hits: tuple[Hit, ...]
    """Highest BM25 first; equal scores are ordered by document and position."""
    frequencies: dict[str, int]
    """In how many passages each of the terms occurs; those that occur nowhere are left out."""
    statistics: Statistics


class PassageIndex(Protocol):
    """The passages of one tenant and the keyword index over them: the truth about which passages exist."""

    async def replace(self, document_id: str, passages: Sequence[Passage]) -> None:
        """Make `passages` the passages of the document, all at once; doing it again changes nothing."""

    async def replace_all(self, documents: Mapping[str, Sequence[Passage]]) -> None:
        """Do so for many documents; each changes at once, though not with the others."""

    async def remove(self, *document_ids: str) -> None:
        """Remove the documents' passages, if there are any."""

    async def ids(self, document_id: str) -> list[str]:
        """Return the ids of the document's passages, in its order."""

    async def ids_of(self, document_ids: Sequence[str]) -> list[str]:
        """Return the ids of the passages of many documents, in no order."""

    async def find(self, passage_ids: Sequence[str]) -> list[Passage]:
        """Return those of the passages that exist, in the order asked for."""

    async def get(self, passage_id: str) -> Passage:
        """Return the passage.

        Raises:
            PassageNotFound: no such passage, or another tenant's.
        """

    async def around(self, document_id: str, position: int, radius: int) -> list[Passage]:
        """Return the passages from `position - radius` to `position + radius`, in the document's order."""

    async def search(self, terms: Sequence[str], limit: int) -> Matches:
        """Return the passages with the highest BM25 for any of `terms` (see `tokenizer.py`).

        Whatever the terms hold, it is only ever looked up.
        """

    async def statistics(self) -> Statistics: ...

    async def count(self) -> int:
        """Return how many passages there are."""


class PassageIndexes(Protocol):
    """Hands out the keyword indexes of each tenant."""

    def of(self, tenant_id: str, corpus: Corpus = KNOWLEDGE) -> PassageIndex: ...

    async def purge(self, tenant_id: str, corpora: Collection[Corpus] | None = None) -> None:
        """Remove these of the tenant's indexes, all of them for None, whatever is in them."""

    async def close(self) -> None: ...


class VectorIndex(Protocol):
    """The vectors of one tenant, of one embedding model."""

    async def upsert(self, passage_ids: Sequence[str], vectors: Sequence[Sequence[float]]) -> None:
        """Keep a vector for each passage; a passage that is known gets the new one.

        Raises:
            IndexMismatch: the tenant's vectors were made with another model.
        """

    async def remove(self, passage_ids: Sequence[str]) -> None:
        """Remove the vectors of the passages; those that have none are left out."""

    async def query(self, vector: Sequence[float], limit: int) -> list[tuple[str, float]]:
        """Return passage ids and their cosine with `vector`, most alike first.

        Raises:
            IndexMismatch: the tenant's vectors were made with another model.
        """


class VectorIndexes(Protocol):
    """Hands out the vector indexes of each tenant."""

    def of(self, tenant_id: str, corpus: Corpus = KNOWLEDGE) -> VectorIndex: ...

    async def purge(self, tenant_id: str, corpora: Collection[Corpus] | None = None) -> None:
        """Remove the vectors of these corpora, of every embedding model; for None, whatever is kept of the tenant."""

    async def close(self) -> None: ...
