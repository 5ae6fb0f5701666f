"""Documents, their passages, and what a search finds."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from backend.dto.ticket import Audience

JobStatus = Literal["pending", "running", "success", "error", "cancelled"]
JobKind = Literal["upload", "folder", "sample", "text"]
FileOutcome = Literal["added", "updated", "unchanged", "failed"]
Corpus = Literal["knowledge", "member", "internal", "ticket"]
"""What a tenant's indexes are kept apart by: documents for everybody, for customers who are logged in, for the desk's
own people, and the desk's tickets. A search names those that it may read, so nothing has to be filtered out of it."""
KNOWLEDGE: Corpus = "knowledge"
READABLE: Mapping[Audience, tuple[Corpus, ...]] = {
    "customer": ("knowledge",),
    "member": ("knowledge", "member"),
    "agent": ("knowledge", "member", "internal"),
}
"""The documents that each audience may read."""


@dataclass(frozen=True, slots=True)
class Document:
    """One document of a tenant. `source` names it (a path, a URL); the same source again is a new version of it."""

    document_id: UUID
    tenant_id: str
    source: str
    title: str
    media_type: str
    sha256: str
    size: int
    """Bytes of the original."""
    chunks: int
    url: str | None
    metadata: dict[str, Any]
    created_at: datetime
    updated_at: datetime
    corpus: Corpus = KNOWLEDGE


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of a document that a search found, or that a citation names."""

    passage_id: str
    document_id: str
    title: str
    path: tuple[str, ...]
    """Headings from the document's top down to the passage."""
    text: str
    position: int
    """Its place among the passages of the document, from 0."""
    url: str | None = None
    source: str = ""
    language: str | None = None
    """Where the document's source says it."""
    score: float = 0.0
    """Fused relevance, 0..1, comparable within one search."""
    keyword_score: float = 0.0
    vector_score: float = 0.0


@dataclass(frozen=True, slots=True)
class Retrieval:
    """What a search found and whether it is enough to answer from."""

    query: str
    passages: tuple[Passage, ...]
    evidence: float
    """Calibrated confidence, 0..1, that the passages answer the query."""
    enough: bool


@dataclass(frozen=True, slots=True)
class FileReport:
    """What became of one file of an ingestion."""

    source: str
    outcome: FileOutcome
    reason: str | None = None
    """Why it failed, for a person to read."""
    chunks: int = 0
    code: str | None = None
    """The reason, for a machine to read."""
    reason_ko: str | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """An ingestion: its progress and its end."""

    job_id: UUID
    tenant_id: str
    status: JobStatus
    total: int
    done: int
    failed: int
    chunks: int
    reports: tuple[FileReport, ...]
    created_at: datetime
    updated_at: datetime
    error: str | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    kind: JobKind = "upload"

    @property
    def ended(self) -> bool:
        return self.status not in {"pending", "running"}
