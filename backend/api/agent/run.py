"""Runs of the Agent Server API: make them, on a thread or without, follow, wait, join, cancel."""

from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Header, Query
from pydantic import TypeAdapter, ValidationError
from starlette.requests import Request
from starlette.responses import Response

from backend.api.agent.access import authorize, authorize_run
from backend.api.agent.reply import reply, selected
from backend.api.agent.run_answer import (
    STREAM_HEADERS,
    Waiting,
    follow,
    join,
    nothing,
    path_of,
    thread_cursor,
    thread_frames,
    wait_for,
    wait_headers,
)
from backend.api.dependency import Caller, Runs, container_of, principal_of
from backend.api.route import HotRoute, body_of, not_valid, parse_id, path_id
from backend.api.sse import EventStream
from backend.core.error import BadRequest, Invalid, NotFound, RunEnded, RunNotFound
from backend.core.run.wire import error_data
from backend.dto.principal import Principal
from backend.dto.run import CancelAction, Run, RunRequest, RunStatus
from backend.schema.agent.run import CancelBody
from backend.service.run_request import RunBody
from backend.service.run_wire import run_wire

hot = APIRouter(tags=["runs"], route_class=HotRoute)
"""Routes whose endpoints read the bare request."""
router = APIRouter(tags=["runs"])

MAX_BATCH = 100
_BATCH: TypeAdapter[list[RunBody]] = TypeAdapter(list[RunBody])
_BODY = {"requestBody": body_of(RunBody, {})}
_ON_THREAD = _BODY | {"parameters": [path_id("thread_id", "The thread.")]}

ShownStatus = Literal["pending", "running", "success", "error", "timeout", "interrupted"]


@hot.post("/threads/{thread_id}/runs", summary="Start a run on a thread", openapi_extra=_ON_THREAD)
async def create_run(request: Request) -> Response:
    """Make a run and answer at once; `Content-Location` names it."""
    run = await _begin(request, await _read(request), thread_id=parse_id(request.path_params["thread_id"]))
    return reply(run_wire(run), headers={"Content-Location": path_of(run)})


@hot.post("/threads/{thread_id}/runs/stream", summary="Start a run and follow it", openapi_extra=_ON_THREAD)
async def stream_run(request: Request) -> Response:
    """Make a run and send its events as they come."""
    body = await _read(request)
    run = await _begin(request, body, thread_id=parse_id(request.path_params["thread_id"]))
    return follow(request, run, cancel=body.on_disconnect == "cancel")


@hot.post("/threads/{thread_id}/runs/wait", summary="Start a run and wait for it", openapi_extra=_ON_THREAD)
async def wait_run(request: Request) -> Response:
    """Make a run and answer with what it leaves."""
    body = await _read(request)
    run = await _begin(request, body, thread_id=parse_id(request.path_params["thread_id"]))
    return wait_for(request, run, cancel=body.on_disconnect == "cancel")


@hot.post("/runs", summary="Start a run without a thread", openapi_extra=_BODY)
async def create_stateless(request: Request) -> Response:
    """Make a run on a thread of its own, which goes with it unless `on_completion` is `keep`."""
    body = await _read_stateless(request)
    run = await _begin(request, body, thread_id=None)
    return reply(run_wire(run), headers={"Content-Location": f"/runs/{run.run_id}"})


@hot.post("/runs/stream", summary="Start a run without a thread and follow it", openapi_extra=_BODY)
async def stream_stateless(request: Request) -> Response:
    """Make a run and send its events as they come; nothing of it is kept unless that is asked for."""
    body = await _read_stateless(request)
    if _is_kept(request, body):
        run = await _begin(request, body, thread_id=None)
    else:
        run = await container_of(request).run_service().detach(principal_of(request), await _passing(request, body))
    return follow(request, run, cancel=body.on_disconnect == "cancel", location=f"/runs/{run.run_id}")


@hot.post("/runs/wait", summary="Start a run without a thread and wait for it", openapi_extra=_BODY)
async def wait_stateless(request: Request) -> Response:
    """Make a run and answer with what it leaves; nothing of it is kept unless that is asked for."""
    body = await _read_stateless(request)
    cancel = body.on_disconnect == "cancel"
    if _is_kept(request, body):
        return wait_for(request, await _begin(request, body, thread_id=None), cancel=cancel)
    runs = container_of(request).run_service()
    passing = await runs.passing(principal_of(request), await _passing(request, body))
    return Waiting(runs.body_of(passing), wait_headers(passing), gone=None if cancel else nothing)


@router.post("/runs/batch", summary="Start several runs without a thread")
async def create_batch(request: Request) -> Response:
    """Make each run as `POST /runs` does."""
    raw = await request.body()
    try:
        bodies = _BATCH.validate_json(raw)
    except ValidationError as error:
        raise not_valid(error, raw) from None
    if len(bodies) > MAX_BATCH:
        raise Invalid(f"A batch has at most {MAX_BATCH} runs.")
    runs = []
    for body in bodies:
        _refuse_resume(body)
        runs.append(await _begin(request, body, thread_id=None))
    return reply([run_wire(run) for run in runs])


@router.get("/threads/{thread_id}/runs", summary="List a thread's runs")
async def list_runs(
    thread_id: UUID,
    request: Request,
    caller: Caller,
    runs: Runs,
    limit: Annotated[int, Query(ge=1, le=1000)] = 10,
    offset: Annotated[int, Query(ge=0)] = 0,
    status: ShownStatus | None = None,
    select: Annotated[list[str] | None, Query(max_length=50)] = None,
) -> Response:
    """Return the thread's runs, newest first."""
    only = await authorize(request, "threads", "read", {"thread_id": thread_id})
    statuses: list[RunStatus] = [] if status is None else [status]
    if status == "pending":
        statuses.append("queued")
    found = await runs.list(caller, thread_id, limit=limit, offset=offset, statuses=statuses, only=only)
    return reply([selected(run_wire(run), select) for run in found])


@router.get("/threads/{thread_id}/runs/{run_id}", summary="Look at a run")
async def get_run(thread_id: UUID, run_id: UUID, request: Request, caller: Caller, runs: Runs) -> Response:
    """Return a run."""
    return reply(run_wire(await _find(request, caller, thread_id, run_id, "read")))


@router.delete("/threads/{thread_id}/runs/{run_id}", summary="Delete a run", status_code=204)
async def delete_run(thread_id: UUID, run_id: UUID, request: Request, caller: Caller, runs: Runs) -> Response:
    """Remove a run with its checkpoints; one that has not ended is stopped first."""
    run = await _find(request, caller, thread_id, run_id, "delete")
    await runs.delete(caller, run.thread_id, run_id)
    return Response(status_code=204)


@router.get("/threads/{thread_id}/runs/{run_id}/join", summary="Wait for a run")
async def join_run(
    thread_id: UUID, run_id: UUID, request: Request, caller: Caller, cancel_on_disconnect: bool = False
) -> Response:
    """Answer with what the run leaves, also when it has ended."""
    run = await _find(request, caller, thread_id, run_id, "read")
    return wait_for(request, run, cancel=cancel_on_disconnect)


@router.get("/threads/{thread_id}/runs/{run_id}/stream", summary="Follow a run")
async def join_stream(
    thread_id: UUID,
    run_id: UUID,
    request: Request,
    caller: Caller,
    cancel_on_disconnect: bool = False,
    stream_mode: Annotated[list[str] | None, Query(max_length=20)] = None,
    last_event_id: Annotated[str | None, Header()] = None,
) -> Response:
    """Send the run's events behind `Last-Event-ID` (`-1` for all), or those to come, until it ends."""
    run = await _find(request, caller, thread_id, run_id, "read")
    return join(request, run, stream_mode, last_event_id, cancel=cancel_on_disconnect)


@router.get("/runs/{run_id}/stream", summary="Follow a run without a thread")
async def join_stateless(
    run_id: UUID,
    request: Request,
    caller: Caller,
    cancel_on_disconnect: bool = False,
    stream_mode: Annotated[list[str] | None, Query(max_length=20)] = None,
    last_event_id: Annotated[str | None, Header()] = None,
) -> Response:
    """As on a thread; a run that is kept nowhere can be read while it lives and a little longer."""
    run = await _find(request, caller, None, run_id, "read")
    return join(request, run, stream_mode, last_event_id, cancel=cancel_on_disconnect)


@router.get("/runs/{run_id}/join", summary="Wait for a run without a thread")
async def wait_for_stateless(run_id: UUID, request: Request, caller: Caller) -> Response:
    """Answer with what the run leaves."""
    return wait_for(request, await _find(request, caller, None, run_id, "read"), cancel=False)


@router.post("/threads/{thread_id}/runs/{run_id}/cancel", summary="Stop a run", status_code=202)
async def cancel_run(
    thread_id: UUID,
    run_id: UUID,
    request: Request,
    caller: Caller,
    runs: Runs,
    wait: bool = False,
    action: CancelAction = "interrupt",
    reason: Literal["taken"] | None = None,
) -> Response:
    """Ask a run to stop; `rollback` also takes back what it did. With `wait`, answer when it has ended.

    The reason `taken` says that another run has taken over its input.
    """
    if reason is not None and action == "rollback":
        raise Invalid("A reason goes with the action interrupt alone: what is rolled back leaves nothing that has one.")
    run = await _find(request, caller, thread_id, run_id, "update")
    return await _cancel(request, run, wait, action, None if reason is None else "taken: another run took its input")


@router.post("/runs/{run_id}/cancel", summary="Stop a run without a thread", status_code=202)
async def cancel_stateless(
    run_id: UUID, request: Request, caller: Caller, wait: bool = False, action: CancelAction = "interrupt"
) -> Response:
    """As on a thread."""
    return await _cancel(request, await _find(request, caller, None, run_id, "update"), wait, action)


@router.post("/runs/cancel", summary="Stop several runs", status_code=204)
async def cancel_runs(
    body: CancelBody, request: Request, caller: Caller, runs: Runs, action: CancelAction = "interrupt"
) -> Response:
    """Stop the runs in a status, of one thread or of all, or the runs of a list.

    Raises:
        NotFound: none matches.
    """
    only = await authorize(request, "threads", "update", {"thread_id": body.thread_id})
    if body.run_ids is not None and (body.status is not None or body.thread_id is None):
        raise Invalid("Give either a status, or a thread_id with run_ids.")
    if body.run_ids is None and body.status is None:
        raise Invalid("Give either a status, or a thread_id with run_ids.")
    statuses: dict[str | None, list[RunStatus]] = {
        None: [],
        "pending": ["pending", "queued"],
        "running": ["running"],
        "all": ["pending", "queued", "running"],
    }
    count = await runs.cancel_many(
        caller,
        thread_id=body.thread_id,
        run_ids=body.run_ids or (),
        statuses=statuses[body.status],
        action=action,
        only=only,
    )
    if count == 0:
        raise NotFound("No runs matched.")
    return Response(status_code=204)


@router.get("/threads/{thread_id}/stream", summary="Follow all runs of a thread")
async def stream_thread(
    thread_id: UUID,
    request: Request,
    caller: Caller,
    runs: Runs,
    stream_modes: Annotated[list[str] | None, Query(max_length=3)] = None,
    stream_mode: Annotated[list[str] | None, Query(max_length=3)] = None,
    last_event_id: Annotated[str | None, Header()] = None,
) -> Response:
    """Send the events of the thread's runs as they come: `run_modes`, `lifecycle`, `state_update`."""
    wanted = {part for text in [*(stream_modes or []), *(stream_mode or [])] for part in text.split(",")}
    if unknown := wanted - {"run_modes", "lifecycle", "state_update"}:
        raise Invalid(f"There is no stream mode {sorted(unknown)[0][:40]!r} of a thread.")
    only = await authorize(request, "threads", "read", {"thread_id": thread_id})
    batches = runs.thread_stream(
        caller, thread_id, thread_cursor(last_event_id), modes=wanted or {"run_modes"}, only=only
    )
    await anext(batches)  # refuses here, if it does
    return EventStream(batches, resync={}, headers=STREAM_HEADERS, encode=thread_frames, failed=error_data)


# Reading what is asked.


async def _read(request: Request) -> RunBody:
    raw = await request.body()
    try:
        return RunBody.model_validate_json(raw)
    except ValidationError as error:
        raise not_valid(error, raw) from None


async def _read_stateless(request: Request) -> RunBody:
    body = await _read(request)
    _refuse_resume(body)
    return body


def _refuse_resume(body: RunBody) -> None:
    if body.has_resume:
        raise BadRequest("A run without a thread has no interrupt to answer: command.resume needs a thread.")


def _of_request(request: Request) -> dict[str, Any]:
    """What a run may read of the request that made it."""
    headers = container_of(request).run_headers()(request.headers)
    return {**headers, "langgraph_request_id": request.scope["state"].get("request_id")}


async def _begin(request: Request, body: RunBody, *, thread_id: UUID | None) -> Run:
    container = container_of(request)
    allowed = await authorize_run(request, body, thread_id)
    return await container.run_starter().start(
        principal_of(request),
        body,
        thread_id=thread_id,
        configurable=_of_request(request),
        metadata=allowed.metadata,
        only=allowed.only,
        only_assistants=allowed.assistants,
    )


async def _passing(request: Request, body: RunBody) -> RunRequest:
    """Return the request of a run that leaves nothing."""
    container = container_of(request)
    allowed = await authorize_run(request, body, None)
    return await container.run_starter().request(
        principal_of(request),
        body,
        configurable=_of_request(request),
        metadata=allowed.metadata,
        only_assistants=allowed.assistants,
    )


def _is_kept(request: Request, body: RunBody) -> bool:
    """Whether a run without a thread needs rows: to outlive this process, to be come back to, or to wait its turn."""
    modes = body.stream_mode if isinstance(body.stream_mode, list) else [body.stream_mode]
    return (
        body.on_completion == "keep"
        or body.stream_resumable
        or bool(body.after_seconds)
        or body.webhook is not None
        or "checkpoints" in modes
        or "debug" in modes
        or container_of(request).run_priority().enabled
    )


async def _find(request: Request, caller: Principal, thread_id: UUID | None, run_id: UUID, action: str) -> Run:
    runs = container_of(request).run_service()
    run = await runs.find(caller, run_id)
    if thread_id is not None and run.thread_id != thread_id:
        raise RunNotFound(run_id)
    only = await authorize(request, "threads", action, {"thread_id": run.thread_id, "run_id": run_id})
    if only is not None:
        await runs.check_thread(caller, run, only)
    return run


async def _cancel(request: Request, run: Run, wait: bool, action: CancelAction, reason: str | None = None) -> Response:
    runs, caller = container_of(request).run_service(), principal_of(request)
    try:
        await runs.cancel(caller, run.run_id, action, reason=reason)
    except RunEnded as error:
        raise NotFound(error.detail) from None
    if not wait:
        return Response(status_code=202)
    return Waiting(runs.wait_body(caller, run), {}, gone=nothing)
