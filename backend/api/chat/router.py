"""`/api/chat`: a list of messages in, an answer out. The plain form, for clients that want no more.

`/api/v1/chat` has all that a run says; both begin the same runs and read the same events.
"""

from typing import Annotated, Any
from uuid import UUID

import orjson
from fastapi import APIRouter, Body, Header
from starlette.requests import Request
from starlette.responses import Response

from backend.api.chat.plain_stream import HEARTBEAT, PlainLines, failed, plainly
from backend.api.dependency import Caller, Runs, Settings
from backend.api.sse import EventStream, last_event, preceded, while_connected
from backend.core.error import (
    AgentNotFound,
    Invalid,
    InvalidCursor,
    RunNotFound,
    RunTimeout,
    ThreadBusy,
    ThreadNotFound,
    TooLarge,
    TooMany,
    Unauthorized,
    Unavailable,
    UnsupportedModel,
    UpstreamFailed,
)
from backend.dto.event import Cursor, Event
from backend.dto.run import Run
from backend.schema.problem import MEDIA_TYPE, problems
from backend.schema.simple_chat import SIMPLE_CHAT_EXAMPLES, SimpleChatAnswer, SimpleChatRequest, simple_answer

router = APIRouter(prefix="/api/chat", tags=["chat"])

_REFUSALS = problems(
    Unauthorized, AgentNotFound, ThreadNotFound, ThreadBusy, TooLarge, TooMany, Invalid, UnsupportedModel
)
_FAILURES = problems(UpstreamFailed, Unavailable, RunTimeout)
_STREAM: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Lines of JSON, each an event without a name:\n\n"
        "- `content`: a piece of the answer.\n"
        "- `restart`: the server had died, and begins the answer anew: throw away the pieces before.\n"
        "- `done`: true, with the whole `answer` and its `citations`. Nothing follows.\n"
        "- `error`: `code`, `message` and `status` of a failure. Nothing follows.\n\n"
        "A comment every 5 seconds. With `keep`, after a break `GET /api/chat/stream/{run_id}` (the `Location`) with"
        " the last id in `Last-Event-ID` goes on where it was.",
        "content": {
            "text/event-stream": {
                "schema": {"type": "string"},
                "example": 'data: {"content":"예비창업패키지는 "}\nid: 1-2\n\n'
                'data: {"done":true,"answer":"예비창업패키지는 …","model":"default","citations":[…],…}\nid: 1-9\n\n',
            }
        },
    }
}
_Asked = Annotated[SimpleChatRequest, Body(openapi_examples=SIMPLE_CHAT_EXAMPLES)]


@router.post(
    "/",
    summary="Ask with a list of messages",
    response_model=None,
    responses={200: {"model": SimpleChatAnswer, "description": "The answer and its sources."}} | _REFUSALS | _FAILURES,
)
@router.post("", include_in_schema=False)
async def simple_chat(asked: _Asked, request: Request, caller: Caller, runs: Runs, settings: Settings) -> Response:
    """Answer the last message. Nothing is stored unless `keep` is true; then `thread_id` goes on with it later."""
    _check(asked, settings.max_question_chars)
    if not asked.keep:
        async with while_connected(request.receive):
            last: Event | None = await runs.answer(caller, asked.run_request())
        return _ended(last, request, asked, {})
    run = await runs.start(caller, asked.run_request(), thread_id=asked.thread_id)
    async with while_connected(request.receive):
        last = await last_event(runs.events(caller, run))
    return _ended(last, request, asked, _headers(run))


@router.post("/stream", summary="Ask, and read the answer as lines", response_model=None, responses=_STREAM | _REFUSALS)
@router.post("/stream/", include_in_schema=False)
async def simple_chat_stream(asked: _Asked, caller: Caller, runs: Runs, settings: Settings) -> Response:
    """Answer the last message as it comes. Without `keep`, the run ends when the client goes away."""
    _check(asked, settings.max_question_chars)
    if asked.keep:
        run = await runs.start(caller, asked.run_request(), thread_id=asked.thread_id)
        return _stream(runs.events(caller, run), PlainLines(asked.model, kept=True), _headers(run))
    batches = runs.stateless(caller, asked.run_request())
    first = await anext(batches)  # refuses here, if it does
    return _stream(preceded(first, batches), PlainLines(asked.model, kept=False), {})


@router.get(
    "/stream/{run_id}",
    summary="Read an answer on",
    response_model=None,
    responses=_STREAM | problems(Unauthorized, RunNotFound, InvalidCursor),
)
async def read_on(
    run_id: UUID,
    caller: Caller,
    runs: Runs,
    last_event_id: Annotated[
        str | None, Header(description="The last event that was received; without it, all are sent.")
    ] = None,
) -> Response:
    """Send what a run that is kept has said behind `Last-Event-ID`, then follow it to its end."""
    try:
        after = Cursor.parse(last_event_id or "")
    except ValueError as error:
        raise InvalidCursor(str(error)) from None
    run = await runs.get(caller, run_id)
    if run.request.dialect != "chat":
        raise RunNotFound(run_id)
    lines = PlainLines(run.request.model, kept=True, after=after)
    return _stream(runs.events(caller, run, after), lines, _headers(run))


def _check(asked: SimpleChatRequest, limit: int) -> None:
    if len(asked.question) > limit:
        raise Invalid(f"The question has {len(asked.question)} characters; at most {limit} are taken.")


def _stream(batches: Any, lines: PlainLines, headers: dict[str, str]) -> EventStream:
    return EventStream(
        plainly(batches), resync={}, headers=headers, encode=lines, failed=failed, heartbeat_line=HEARTBEAT
    )


def _headers(run: Run) -> dict[str, str]:
    """Return the headers that name a stored run, and say where it is read on."""
    return {
        "X-Run-ID": str(run.run_id),
        "X-Thread-ID": str(run.thread_id),
        "Location": f"/api/chat/stream/{run.run_id}",
    }


def _ended(last: Event | None, request: Request, asked: SimpleChatRequest, headers: dict[str, str]) -> Response:
    """Return the end of a run as an answer, or the problem that ended it.

    Raises:
        RunTimeout: it was stopped at its time limit.
        Unavailable: the server stops; a stored run goes on when it is back.
    """
    if last is None:
        raise Unavailable("The server is stopping; a stored run goes on when it is back.")
    said = orjson.loads(last.data)
    if last.name == "done":
        if said["status"] == "timeout":
            raise RunTimeout(said["run_id"])
        body = orjson.dumps(simple_answer(said, asked.model, kept=asked.keep))
        return Response(body, headers=headers, media_type="application/json")
    said |= {
        "instance": request.scope["path"],
        "request_id": request.scope.get("state", {}).get("request_id"),
        "error": said.get("title"),
    }
    if "retry_after" in said:
        headers = {**headers, "Retry-After": str(said["retry_after"])}
    return Response(orjson.dumps(said), said.get("status", 500), headers=headers, media_type=MEDIA_TYPE)
