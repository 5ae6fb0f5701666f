"""Documents in, documents out, and searching them."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Body, File, Header, Query, UploadFile
from starlette.responses import Response

from backend.api.dependency import Caller, Ingest, Knowledge
from backend.api.sse import EventStream
from backend.core.error import (
    DocumentNotFound,
    Forbidden,
    IndexMismatch,
    Invalid,
    InvalidCursor,
    InvalidFile,
    JobNotFound,
    TooLarge,
    TooMany,
    Unauthorized,
    UpstreamFailed,
)
from backend.dto.event import Cursor, Event
from backend.dto.knowledge import Job
from backend.schema.knowledge import (
    DOCUMENT_EXAMPLES,
    SEARCH_EXAMPLES,
    DocumentCreate,
    DocumentList,
    DocumentRead,
    DocumentWritten,
    JobList,
    JobRead,
    SearchRequest,
    SearchResult,
)
from backend.schema.problem import problems
from backend.service.knowledge import TextDocument
from backend.util.cursor import decode_cursor, encode_cursor

router = APIRouter(prefix="/knowledge", tags=["knowledge"])

LIST_LIMIT = 100
_UPLOAD_PATH = "/api/v1/knowledge/upload"
_PROGRESS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The job as it stands, then after each change (`progress`), and once more when it has ended"
        " (`done`). `reports` holds the files that were through since the event before. A comment every 5 seconds.",
        "content": {
            "text/event-stream": {
                "schema": {"type": "string"},
                "example": 'event: progress\r\nid: 1-120\r\ndata: {"status":"running","total":300,"done":120,…}\r\n\r\n'
                'event: done\r\nid: 1-300\r\ndata: {"status":"success","total":300,"done":300,…}\r\n\r\n',
            }
        },
    }
}


def is_upload(path: str) -> bool:
    """Whether a body may be as large as an upload on this path."""
    return path == _UPLOAD_PATH


@router.get("/documents", summary="List documents", responses=problems(Unauthorized, Invalid))
async def list_documents(
    caller: Caller,
    knowledge: Knowledge,
    limit: Annotated[int, Query(ge=1, le=LIST_LIMIT, description="Most of a page.")] = 20,
    before: Annotated[str | None, Query(max_length=64, description="`next` of the page before.")] = None,
) -> DocumentList:
    """Return documents, the last changed first."""
    try:
        behind = decode_cursor(before) if before is not None else None
    except ValueError:
        raise Invalid("`before` is not the `next` of a page of this list.") from None
    # One more than asked for tells whether there is another page.
    found = await knowledge.list(caller, limit=limit + 1, before=behind)
    documents, passages = await knowledge.count(caller)
    page = found[:limit]
    return DocumentList(
        items=[DocumentRead.of(document) for document in page],
        next=encode_cursor(page[-1].updated_at, page[-1].document_id) if len(found) > limit else None,
        documents=documents,
        passages=passages,
    )


@router.post(
    "/documents",
    summary="Add a text",
    status_code=201,
    responses=problems(Unauthorized, InvalidFile, IndexMismatch, UpstreamFailed),
)
async def add_document(
    document: Annotated[DocumentCreate, Body(openapi_examples=DOCUMENT_EXAMPLES)],
    caller: Caller,
    knowledge: Knowledge,
    response: Response,
) -> DocumentWritten:
    """Take in a text at once; when this answers, it can be found. The same source again is a new version of it."""
    outcome, written = await knowledge.add(
        caller,
        TextDocument(
            source=document.source or document.title,
            title=document.title,
            text=document.text,
            url=document.url,
            metadata=document.metadata,
        ),
    )
    if outcome != "added":
        response.status_code = 200
    response.headers["Location"] = f"/api/v1/knowledge/documents/{written.document_id}"
    return DocumentWritten(**DocumentRead.of(written).model_dump(), outcome=outcome)


@router.get(
    "/documents/{document_id}", summary="Look at a document", responses=problems(Unauthorized, DocumentNotFound)
)
async def get_document(document_id: UUID, caller: Caller, knowledge: Knowledge) -> DocumentRead:
    """Return one document, without its text."""
    return DocumentRead.of(await knowledge.get(caller, document_id))


@router.delete(
    "/documents/{document_id}",
    summary="Remove a document",
    status_code=204,
    responses=problems(Unauthorized, DocumentNotFound),
)
async def delete_document(document_id: UUID, caller: Caller, knowledge: Knowledge) -> None:
    """Remove a document; its passages are no longer found or cited."""
    await knowledge.delete(caller, document_id)


@router.post(
    "/upload",
    summary="Upload files",
    status_code=202,
    responses=problems(Unauthorized, TooLarge, TooMany, Invalid),
)
async def upload(
    caller: Caller,
    ingest: Ingest,
    response: Response,
    files: Annotated[
        list[UploadFile],
        File(
            description="Markdown, text, HTML, PDF, DOCX, XLSX, CSV, JSON, JSON Lines, HWP and HWPX; a name may hold a"
            " path. The same name again is a new version of the document."
        ),
    ],
) -> JobRead:
    """Take in files as a job: read its events, or the job itself. A file that cannot be read never stops the rest."""
    job = await ingest.submit_upload(caller, files)
    response.headers["Location"] = f"/api/v1/knowledge/jobs/{job.job_id}"
    return JobRead.of(job)


@router.get("/jobs", summary="List ingestions", responses=problems(Unauthorized))
async def list_jobs(
    caller: Caller,
    ingest: Ingest,
    limit: Annotated[int, Query(ge=1, le=LIST_LIMIT, description="Most of a page.")] = 20,
    before: Annotated[UUID | None, Query(description="`next` of the page before.")] = None,
) -> JobList:
    """Return jobs without their reports, the newest first."""
    found = await ingest.list(caller, limit=limit + 1, before=before)
    page = found[:limit]
    return JobList(items=[JobRead.of(job) for job in page], next=page[-1].job_id if len(found) > limit else None)


@router.get("/jobs/{job_id}", summary="Look at an ingestion", responses=problems(Unauthorized, JobNotFound))
async def get_job(
    job_id: UUID,
    caller: Caller,
    ingest: Ingest,
    after: Annotated[int, Query(ge=0, description="Reports to leave out, of the 1000 that come at once.")] = 0,
) -> JobRead:
    """Return a job and what became of its files."""
    return JobRead.of(await ingest.get(caller, job_id, after=after))


@router.post(
    "/jobs/{job_id}/cancel",
    summary="Stop an ingestion",
    status_code=202,
    responses=problems(Unauthorized, JobNotFound),
)
async def cancel_job(job_id: UUID, caller: Caller, ingest: Ingest) -> JobRead:
    """Ask a job to stop. What was taken in stays; a job that has ended is left as it is."""
    return JobRead.of(await ingest.cancel(caller, job_id))


@router.get(
    "/jobs/{job_id}/events",
    summary="Follow an ingestion",
    response_model=None,
    responses=_PROGRESS | problems(Unauthorized, JobNotFound, InvalidCursor),
)
async def follow_job(
    job_id: UUID,
    caller: Caller,
    ingest: Ingest,
    last_event_id: Annotated[
        str | None, Header(description="The last event that was received: its reports are not sent again.")
    ] = None,
) -> Response:
    """Read the job as it stands, then each change, until it has ended."""
    try:
        after = Cursor.parse(last_event_id or "").seq
    except ValueError as error:
        raise InvalidCursor(str(error)) from None
    await ingest.get(caller, job_id)
    return EventStream(_events(ingest.progress(caller, job_id, after=after), after), resync={"job_id": str(job_id)})


async def _events(jobs: AsyncGenerator[Job], seen: int) -> AsyncGenerator[list[Event]]:
    """Make an event of each state; its id counts the files whose reports were sent up to it."""
    async with aclosing(jobs) as reading:
        async for job in reading:
            seen += len(job.reports)
            last = job.ended and seen >= job.done
            data = JobRead.of(job).model_dump_json().encode()
            yield [Event(Cursor(1, seen), "done" if last else "progress", data)]


@router.post("/search", summary="Search", responses=problems(Unauthorized, Forbidden, IndexMismatch, UpstreamFailed))
async def search(
    question: Annotated[SearchRequest, Body(openapi_examples=SEARCH_EXAMPLES)], caller: Caller, knowledge: Knowledge
) -> SearchResult:
    """Find passages by their words and their meaning, best first, with the scores behind the order."""
    found = await knowledge.search(caller, question.query, limit=question.limit, audience=question.audience)
    return SearchResult.of(found)
