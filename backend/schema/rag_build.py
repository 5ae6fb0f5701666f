"""Building the knowledge base from a list of texts, on the wire."""

import re
from hashlib import sha256
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator, model_validator
from pydantic_core import PydanticCustomError

from backend.dto.knowledge import Job
from backend.schema.chat import Storable
from backend.schema.knowledge import DocumentCreate, FileReportRead
from backend.service.knowledge import TextDocument

MAX_DOCUMENTS = 1000
MAX_TEXT_BYTES = 1_000_000
TITLE_CHARS = 80
_NO_TITLE = re.compile(r"[\x00-\x1f\x7f]")

BUILD_EXAMPLES: dict[str, Any] = {
    "korean": {
        "summary": "글 목록",
        "value": {"documents": ["연차 휴가는 15일이다.", "# 출장비\n\n기차표는 30일 안에 환불한다."]},
    },
    "english": {
        "summary": "Documents with a title and a source",
        "value": {
            "documents": [{"title": "Leave", "text": "Leave is requested three days ahead.", "source": "rules/leave"}]
        },
    },
}
_Text = Annotated[str, StringConstraints(min_length=1, max_length=MAX_TEXT_BYTES), Storable]
TaskStatus = Literal["processing", "completed", "failed", "cancelled"]


class BuildDocument(DocumentCreate):
    """A document with a name."""

    text: _Text


class BuildRequest(BaseModel):
    """Texts to take in. The bare list will do as well."""

    model_config = ConfigDict(extra="forbid")

    documents: Annotated[list[_Text | BuildDocument], Field(min_length=1, max_length=MAX_DOCUMENTS)] = Field(
        description="Plain text or Markdown, at most 1 MB each. A bare text is named by its content: the same again"
        " changes nothing. One with a `source` is a new version of what has that source."
    )

    @model_validator(mode="before")
    @classmethod
    def _bare(cls, value: Any) -> Any:
        return {"documents": value} if isinstance(value, list) else value

    @field_validator("documents")
    @classmethod
    def _readable(cls, documents: list[str | BuildDocument]) -> list[str | BuildDocument]:
        for document in documents:
            text = document if isinstance(document, str) else document.text
            if not text.strip():
                raise PydanticCustomError("empty", "A document is empty.")
            if len(text) * 3 > MAX_TEXT_BYTES and len(text.encode()) > MAX_TEXT_BYTES:
                raise PydanticCustomError(
                    "too_long", "A document has at most {limit} bytes.", {"limit": MAX_TEXT_BYTES}
                )
        return documents

    def texts(self) -> list[TextDocument]:
        """Return the documents as an ingestion takes them."""
        return [
            _titled(one)
            if isinstance(one, str)
            else TextDocument(
                source=one.source or one.title, title=one.title, text=one.text, url=one.url, metadata=one.metadata
            )
            for one in self.documents
        ]


class BuildRead(BaseModel):
    """A build, and how far it is."""

    task_id: UUID
    status: TaskStatus = Field(
        description="`failed` when nothing could be taken in; else `reports` has what could not."
    )
    total: int
    done: int
    failed: int
    error: str | None = Field(None, description="Why nothing went on.")
    reports: list[FileReportRead] = Field(default_factory=list, description="Of at most 1000 documents.")

    @classmethod
    def of(cls, job: Job) -> Self:
        return cls(
            task_id=job.job_id,
            status=_status(job),
            total=job.total,
            done=job.done,
            failed=job.failed,
            error=job.error,
            reports=[FileReportRead.of(report) for report in job.reports],
        )


def _status(job: Job) -> TaskStatus:
    if not job.ended:
        return "processing"
    if job.status == "cancelled":
        return "cancelled"
    return "failed" if job.status == "error" or job.failed == job.total else "completed"


def _titled(text: str) -> TextDocument:
    """Return a bare text as a document: its first line is the title, its content the name."""
    line = next((found for line in text.splitlines() if (found := _NO_TITLE.sub("", line).strip("# \t"))), "")
    title = line if len(line) <= TITLE_CHARS else f"{line[: TITLE_CHARS - 1]}…"
    return TextDocument(source=f"text/{sha256(text.encode()).hexdigest()[:32]}", title=title or "?", text=text)
