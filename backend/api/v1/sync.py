"""Collecting from support platforms: as jobs that can be watched, paused and resumed."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Body, Header, Query
from starlette.responses import Response

from backend.api.dependency import Caller, Syncs
from backend.api.sse import EventStream
from backend.core.error import (
    Conflict,
    InstallationNotFound,
    Invalid,
    InvalidCursor,
    JobNotFound,
    SyncActive,
    Unauthorized,
)
from backend.dto.event import Cursor, Event
from backend.dto.sync import SyncJob
from backend.schema.problem import problems
from backend.schema.sync import (
    JOB_EXAMPLES,
    Platform,
    SyncIssueList,
    SyncIssueRead,
    SyncJobCreate,
    SyncJobList,
    SyncJobRead,
    SyncStatusRead,
)

router = APIRouter(prefix="/sync", tags=["sync"])

LIST_LIMIT = 100
_LONGEST_CURSOR = 100
_PROGRESS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The job as it stands, then after each change (`progress`), and once more when it has ended"
        " (`done`). A comment every 5 seconds.",
        "content": {
            "text/event-stream": {
                "schema": {"type": "string"},
                "example": 'event: progress\r\nid: 1-1520\r\ndata: {"status":"running","stage":"tickets",…}\r\n\r\n'
                'event: done\r\nid: 1-96000\r\ndata: {"status":"success","stage":"done",…}\r\n\r\n',
            }
        },
    }
}


@router.post(
    "/jobs",
    summary="Collect from a platform",
    status_code=202,
    responses=problems(Unauthorized, InstallationNotFound, SyncActive, Invalid),
)
async def start_job(
    wanted: Annotated[SyncJobCreate, Body(openapi_examples=JOB_EXAMPLES)],
    caller: Caller,
    syncs: Syncs,
    response: Response,
) -> SyncJobRead:
    """Begin a collection. At most one of a platform at a time; single tickets may be read beside it."""
    job = await syncs.start(caller, wanted.kind, wanted.platform, wanted.options())
    response.headers["Location"] = f"/api/v1/sync/jobs/{job.job_id}"
    return SyncJobRead.of(job)


@router.get("/jobs", summary="List collections", responses=problems(Unauthorized, Invalid))
async def list_jobs(
    caller: Caller,
    syncs: Syncs,
    platform: Annotated[Platform | None, Query(description="Of one platform alone.")] = None,
    limit: Annotated[int, Query(ge=1, le=LIST_LIMIT, description="Most of a page.")] = 20,
    before: Annotated[UUID | None, Query(description="`next` of the page before.")] = None,
) -> SyncJobList:
    """Return jobs, the newest first."""
    found, total = await syncs.list(caller, platform=platform, limit=limit + 1, before=before)
    page = found[:limit]
    return SyncJobList(
        items=[SyncJobRead.of(job) for job in page],
        next=page[-1].job_id if len(found) > limit else None,
        total=total,
    )


@router.get("/jobs/{job_id}", summary="Look at a collection", responses=problems(Unauthorized, JobNotFound))
async def get_job(job_id: UUID, caller: Caller, syncs: Syncs) -> SyncJobRead:
    """Return a job: how far it is, and how it ended."""
    return SyncJobRead.of(await syncs.get(caller, job_id))


@router.get(
    "/jobs/{job_id}/issues",
    summary="What could not be collected",
    responses=problems(Unauthorized, JobNotFound, Invalid),
)
async def list_issues(
    job_id: UUID,
    caller: Caller,
    syncs: Syncs,
    limit: Annotated[int, Query(ge=1, le=LIST_LIMIT, description="Most of a page.")] = 100,
    after: Annotated[str | None, Query(max_length=_LONGEST_CURSOR, description="`next` of the page before.")] = None,
) -> SyncIssueList:
    """Return the items that a job could not take in; each collection tries the tickets among them again."""
    behind = None
    if after is not None:
        kind, dot, original = after.partition(".")
        if not dot or "\x00" in after:
            raise Invalid("`after` is not the `next` of a page of this list.")
        behind = (kind, original)
    found, total = await syncs.issues(caller, job_id, limit=limit + 1, after=behind)
    page = found[:limit]
    return SyncIssueList(
        items=[SyncIssueRead.of(issue) for issue in page],
        next=f"{page[-1].object_type}.{page[-1].original_id}" if len(found) > limit else None,
        total=total,
    )


@router.post(
    "/jobs/{job_id}/pause",
    summary="Let a collection rest",
    status_code=202,
    responses=problems(Unauthorized, JobNotFound, Conflict),
)
async def pause_job(job_id: UUID, caller: Caller, syncs: Syncs) -> SyncJobRead:
    """Ask a job to rest after the page that is under way; one that has ended cannot."""
    return SyncJobRead.of(await syncs.pause(caller, job_id))


@router.post(
    "/jobs/{job_id}/resume",
    summary="Let a collection go on",
    status_code=202,
    responses=problems(Unauthorized, JobNotFound, Conflict, SyncActive),
)
async def resume_job(job_id: UUID, caller: Caller, syncs: Syncs) -> SyncJobRead:
    """Let a job go on where it was that is paused, or was stopped by an error."""
    return SyncJobRead.of(await syncs.resume(caller, job_id))


@router.post(
    "/jobs/{job_id}/cancel",
    summary="Stop a collection",
    status_code=202,
    responses=problems(Unauthorized, JobNotFound),
)
async def cancel_job(job_id: UUID, caller: Caller, syncs: Syncs) -> SyncJobRead:
    """Ask a job to stop. What was collected stays; a job that has ended is left as it is."""
    return SyncJobRead.of(await syncs.cancel(caller, job_id))


@router.get(
    "/jobs/{job_id}/events",
    summary="Follow a collection",
    response_model=None,
    responses=_PROGRESS | problems(Unauthorized, JobNotFound, InvalidCursor),
)
async def follow_job(
    job_id: UUID,
    caller: Caller,
    syncs: Syncs,
    last_event_id: Annotated[
        str | None, Header(description="The last event that was received: the same state is not sent again.")
    ] = None,
) -> Response:
    """Read the job as it stands, then each change, until it has ended; whichever server does the work."""
    try:
        seen = Cursor.parse(last_event_id or "")
    except ValueError as error:
        raise InvalidCursor(str(error)) from None
    await syncs.get(caller, job_id)
    return EventStream(_events(syncs.progress(caller, job_id), seen), resync={"job_id": str(job_id)})


@router.get("/status", summary="What is here, and how it came", responses=problems(Unauthorized))
async def get_status(caller: Caller, syncs: Syncs) -> SyncStatusRead:
    """Return for each platform what is here of it, up to where it was read, and its last collection."""
    return SyncStatusRead.of(await syncs.status(caller))


async def _events(jobs: AsyncGenerator[SyncJob], seen: Cursor) -> AsyncGenerator[list[Event]]:
    """Make an event of each state, which holds all there is to know; its id is the moment of the change."""
    async with aclosing(jobs) as reading:
        async for job in reading:
            # Counted from the attempt's job, in milliseconds, modulo what an id can hold (eleven days).
            since = int((job.updated_at - job.created_at).total_seconds() * 1000) % 10**9
            cursor = Cursor(job.attempt, since)
            if job.ended or cursor != seen:
                data = SyncJobRead.of(job).model_dump_json().encode()
                yield [Event(cursor, "done" if job.ended else "progress", data)]
