"""Look at runs, stop them, answer their interrupts, and read what they say."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Header, Query
from starlette.requests import Request
from starlette.responses import Response

from backend.api.dependency import Caller, Runs
from backend.api.v1.chat import STREAM, follow, wait
from backend.core.error import (
    InvalidCursor,
    NotInterrupted,
    RunEnded,
    RunNotFound,
    RunTimeout,
    ThreadBusy,
    ThreadNotFound,
    Unauthorized,
    Unavailable,
    UpstreamFailed,
)
from backend.dto.event import Cursor
from backend.schema.chat import ChatAnswer
from backend.schema.problem import problems
from backend.schema.run import CancelRequest, ResumeRequest, RunList, RunRead

router = APIRouter(tags=["runs"])

_RESUMED: dict[int | str, dict[str, Any]] = {
    200: {
        "model": ChatAnswer,
        "description": "How the new run ended; with `stream`, its events.",
        "content": STREAM[200]["content"],
    }
}

LIST_LIMIT = 100


@router.get(
    "/threads/{thread_id}/runs", summary="List a thread's runs", responses=problems(Unauthorized, ThreadNotFound)
)
async def list_runs(
    thread_id: UUID,
    caller: Caller,
    runs: Runs,
    limit: Annotated[int, Query(ge=1, le=LIST_LIMIT, description="Most of a page.")] = 20,
    before: Annotated[UUID | None, Query(description="`next` of the page before.")] = None,
) -> RunList:
    """Return the thread's runs, newest first."""
    found = await runs.list(caller, thread_id, limit=limit + 1, before=before)
    page = found[:limit]
    return RunList(items=[RunRead.of(run) for run in page], next=page[-1].run_id if len(found) > limit else None)


@router.get("/runs/{run_id}", summary="Look at a run", responses=problems(Unauthorized, RunNotFound))
async def get_run(run_id: UUID, caller: Caller, runs: Runs) -> RunRead:
    """Return a run: where it stands and, once it has ended, how."""
    return RunRead.of(await runs.get(caller, run_id))


@router.post(
    "/runs/{run_id}/cancel",
    summary="Stop a run",
    status_code=202,
    responses=problems(Unauthorized, RunNotFound, RunEnded),
)
async def cancel_run(run_id: UUID, caller: Caller, runs: Runs, how: CancelRequest | None = None) -> RunRead:
    """Ask a run to stop. It stops within moments; its stream says when it has."""
    return RunRead.of(await runs.cancel(caller, run_id, (how or CancelRequest()).action))


@router.post(
    "/runs/{run_id}/resume",
    summary="Answer a run that waits",
    response_model=None,
    responses=_RESUMED
    | problems(Unauthorized, RunNotFound, NotInterrupted, ThreadBusy, UpstreamFailed, Unavailable, RunTimeout),
)
async def resume_run(run_id: UUID, answer: ResumeRequest, request: Request, caller: Caller, runs: Runs) -> Response:
    """Answer the interrupt at which the run stopped; the thread goes on in a new run. Of two answers, one wins."""
    run = await runs.resume(caller, run_id, answer.answer)
    if answer.stream:
        return follow(runs.events(caller, run), run)
    return await wait(request, runs.events(caller, run), run)


@router.get(
    "/runs/{run_id}/stream",
    summary="Read what a run says",
    response_model=None,
    responses=STREAM | problems(Unauthorized, RunNotFound, InvalidCursor),
)
async def stream_run(
    run_id: UUID,
    caller: Caller,
    runs: Runs,
    last_event_id: Annotated[
        str | None, Header(description="The last event that was received; without it, all are sent.")
    ] = None,
) -> Response:
    """Replay the run's events behind `Last-Event-ID`, then follow until it ends.

    When they are no longer kept, one `resync` event says so: fetch the thread's messages instead.
    """
    try:
        after = Cursor.parse(last_event_id or "")
    except ValueError as error:
        raise InvalidCursor(str(error)) from None
    run = await runs.get(caller, run_id)
    return follow(runs.events(caller, run, after), run)
