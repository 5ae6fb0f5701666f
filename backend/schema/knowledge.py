"""Documents, ingestion jobs, searches and citations on the wire."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from backend.dto.knowledge import Document, FileOutcome, FileReport, Job, JobKind, JobStatus, Passage, Retrieval
from backend.dto.ticket import Audience
from backend.schema.chat import Metadata

SEARCH_LIMIT = 50
_Line = StringConstraints(strip_whitespace=True, min_length=1, pattern=r"^[^\x00-\x1f]+$")
_NOTICE = "신청 기간은 2026년 7월 27일부터 2026년 8월 23일까지입니다."

DOCUMENT_EXAMPLES: dict[str, Any] = {
    "korean": {
        "summary": "한국어 문서",
        "value": {
            "source": "rules/leave",
            "title": "휴가 규정",
            "text": "## 연차 휴가\n\n1년 이상 근무한 직원의 연차 휴가는 15일이다.",
            "url": "https://intranet.example.com/leave",
        },
    },
    "english": {
        "summary": "A document in English",
        "value": {"title": "Leave policy", "text": "Leave is requested three days ahead.", "metadata": {"team": "HR"}},
    },
}
SEARCH_EXAMPLES: dict[str, Any] = {
    "korean": {
        "summary": "한국어로 찾기",
        "value": {"query": "SEO 마케팅 교육은 언제까지 신청할 수 있나요?", "limit": 3},
    },
    "english": {"summary": "A search in English", "value": {"query": "start-up programme in Tokyo for physical AI"}},
}


class DocumentCreate(BaseModel):
    """A document that is sent as text."""

    model_config = ConfigDict(extra="forbid")

    title: Annotated[str, _Line, Field(max_length=500)]
    text: Annotated[str, Field(min_length=1, max_length=1_000_000, description="Plain text or Markdown.")]
    source: Annotated[str, _Line, Field(max_length=500)] | None = Field(
        None, description="What names the document: the same again is a new version of it. Without it, the title does."
    )
    url: Annotated[str, Field(max_length=2000, pattern=r"^https?://[^\s\x00-\x1f\x7f]+$")] | None = Field(
        None, description="Where a reader finds the original."
    )
    metadata: Metadata = Field(default_factory=dict, description="For the caller's own use.")


class DocumentRead(BaseModel):
    """A document."""

    document_id: UUID
    source: str = Field(examples=["handbook/leave.docx"], description="What names it: a path, a URL.")
    title: str = Field(examples=["휴가 규정"])
    media_type: str = Field(examples=["text/markdown"])
    sha256: str = Field(description="Of its content; empty while it is being written or removed.")
    size: int = Field(description="Bytes of the original.")
    chunks: int = Field(examples=[12], description="Its passages.")
    url: str | None
    metadata: dict[str, Any]
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, document: Document) -> Self:
        return cls(
            document_id=document.document_id,
            source=document.source,
            title=document.title,
            media_type=document.media_type,
            sha256=document.sha256,
            size=document.size,
            chunks=document.chunks,
            url=document.url,
            metadata=document.metadata,
            created_at=document.created_at,
            updated_at=document.updated_at,
        )


class DocumentWritten(DocumentRead):
    """A document, and what was done to it."""

    outcome: FileOutcome = Field(description="`added`, `updated` or `unchanged`.")


class DocumentList(BaseModel):
    """Documents, the last changed first."""

    items: list[DocumentRead]
    next: str | None = Field(None, description="Ask with it as `before` for the next page; None when there is none.")
    documents: int = Field(description="How many there are in all.")
    passages: int = Field(description="How many passages they have together.")


class FileReportRead(BaseModel):
    """What became of one file."""

    source: str = Field(examples=["handbook/leave.pdf"])
    outcome: FileOutcome
    chunks: int = Field(description="Passages that the document has.")
    code: str | None = Field(None, examples=["encrypted"], description="Why it failed, for a machine.")
    reason: str | None = Field(
        None, examples=["The file is protected with a password; save it without one."], description="For a person."
    )
    reason_ko: str | None = Field(None, examples=["암호가 걸린 파일입니다. 암호를 풀고 다시 올려 주세요."])

    @classmethod
    def of(cls, report: FileReport) -> Self:
        return cls(
            source=report.source,
            outcome=report.outcome,
            chunks=report.chunks,
            code=report.code,
            reason=report.reason,
            reason_ko=report.reason_ko,
        )


class JobRead(BaseModel):
    """An ingestion: how far it is, and how it ended."""

    job_id: UUID
    kind: JobKind
    status: JobStatus
    total: int = Field(examples=[300], description="Files to take in.")
    done: int = Field(examples=[120], description="Files that are through, the failed ones among them.")
    failed: int = Field(examples=[1])
    chunks: int = Field(examples=[930], description="Passages of the files that are through.")
    error: str | None = Field(None, description="Why no further file could be taken in.")
    metadata: dict[str, Any]
    reports: list[FileReportRead] = Field(description="In the order in which the files were through.")
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, job: Job) -> Self:
        return cls(
            job_id=job.job_id,
            kind=job.kind,
            status=job.status,
            total=job.total,
            done=job.done,
            failed=job.failed,
            chunks=job.chunks,
            error=job.error,
            metadata=job.metadata,
            reports=[FileReportRead.of(report) for report in job.reports],
            created_at=job.created_at,
            updated_at=job.updated_at,
        )


class JobList(BaseModel):
    """Jobs without their reports, the newest first."""

    items: list[JobRead]
    next: UUID | None = Field(None, description="Ask with it as `before` for the next page; None when there is none.")


class SearchRequest(BaseModel):
    """A question to the documents."""

    model_config = ConfigDict(extra="forbid")

    query: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2000)]
    limit: int = Field(6, ge=1, le=SEARCH_LIMIT)
    audience: Audience = Field("customer", description="Who is to read it; `agent` also finds what is internal.")


class PassageRead(BaseModel):
    """A passage of a document."""

    passage_id: str = Field(description="What a citation names; look it up at `/citations/{passage_id}`.")
    document_id: UUID
    title: str = Field(examples=["'스타트업 SEO 마케팅 전략' 비대면 교육 모집"])
    path: list[str] = Field(examples=[["신청 기간과 방법"]], description="Headings from the top down to it.")
    text: str = Field(examples=[_NOTICE])
    position: int = Field(description="Its place in the document, from 0.")
    url: str | None
    source: str
    language: str | None = Field(None, description="The document's, where its source says it.")

    @classmethod
    def of(cls, passage: Passage) -> Self:
        return cls(**_passage(passage))


class FoundPassage(PassageRead):
    """A passage that a search found."""

    score: float = Field(description="Relevance, 0 to 1, comparable within one search.")
    keyword_score: float
    vector_score: float

    @classmethod
    def of(cls, passage: Passage) -> Self:
        return cls(
            **_passage(passage),
            score=passage.score,
            keyword_score=passage.keyword_score,
            vector_score=passage.vector_score,
        )


class SearchResult(BaseModel):
    """What was found, best first."""

    query: str
    evidence: float = Field(description="Confidence, 0 to 1, that the passages answer the question.")
    enough: bool = Field(description="Whether an agent would answer from them; otherwise it refuses.")
    passages: list[FoundPassage]

    @classmethod
    def of(cls, found: Retrieval) -> Self:
        return cls(
            query=found.query,
            evidence=found.evidence,
            enough=found.enough,
            passages=[FoundPassage.of(passage) for passage in found.passages],
        )


class CitationRead(BaseModel):
    """What a citation names, in its context."""

    passage: PassageRead
    before: list[PassageRead] = Field(description="What stands before it in the document.")
    after: list[PassageRead]
    document: DocumentRead

    @classmethod
    def of(cls, document: Document, passage: Passage, before: Sequence[Passage], after: Sequence[Passage]) -> Self:
        return cls(
            passage=PassageRead.of(passage),
            before=[PassageRead.of(one) for one in before],
            after=[PassageRead.of(one) for one in after],
            document=DocumentRead.of(document),
        )


def _passage(passage: Passage) -> dict[str, Any]:
    return {
        "passage_id": passage.passage_id,
        "document_id": UUID(passage.document_id),
        "title": passage.title,
        "path": list(passage.path),
        "text": passage.text,
        "position": passage.position,
        "url": passage.url,
        "source": passage.source,
        "language": passage.language,
    }
