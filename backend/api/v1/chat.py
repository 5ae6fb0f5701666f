"""Ask a question, and get the answer whole or as it comes.

These are the hot routes, and thin: one validation of the raw body, one call, bytes out (see `HotRoute`).
"""

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import orjson
from fastapi import APIRouter
from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import Response

from backend.api.dependency import container_of, principal_of
from backend.api.route import HotRoute, body_of, header, idempotency_key, not_valid, parse_id, path_id
from backend.api.sse import EventStream, last_event, preceded, while_connected
from backend.core.error import (
    AgentNotFound,
    IdempotencyConflict,
    Invalid,
    RunTimeout,
    ThreadBusy,
    ThreadNotFound,
    TooLarge,
    Unauthorized,
    Unavailable,
    UnsupportedModel,
    UpstreamFailed,
)
from backend.dto.event import Event
from backend.dto.run import Run
from backend.schema.chat import CHAT_EXAMPLES, ChatAnswer, ChatRequest
from backend.schema.event import EVENTS
from backend.schema.problem import MEDIA_TYPE, problems

router = APIRouter(tags=["chat"], route_class=HotRoute)

_REFUSALS = problems(
    Unauthorized, AgentNotFound, ThreadNotFound, ThreadBusy, IdempotencyConflict, TooLarge, Invalid, UnsupportedModel
)
_FAILURES = problems(UpstreamFailed, Unavailable, RunTimeout)
_KEY = header(
    "Idempotency-Key",
    "The same key with the same body gives the same run again, for a day; with another body it is refused (409).",
)
_THREAD = path_id("thread_id", "The conversation to go on with.")
_BODY = body_of(ChatRequest, CHAT_EXAMPLES)
STREAM_EXAMPLE = (
    'event: start\r\nid: 1-1\r\ndata: {"run_id":"0193…","thread_id":"0193…","agent":"answer",…}\r\n\r\n'
    'event: token\r\nid: 1-2\r\ndata: {"text":"예비창업패키지는 ","node":"generate","message_id":"run--0193…"}\r\n\r\n'
    'event: done\r\nid: 1-9\r\ndata: {"run_id":"0193…","status":"success","answer":"…","citations":[…],…}\r\n\r\n'
)
STREAM: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The events of the run, until `done` or `error`; a comment every 5 seconds.\n\n"
        + "\n".join(f"- `{name}`: {meaning}" for name, meaning in EVENTS.items()),
        "content": {"text/event-stream": {"schema": {"type": "string"}, "example": STREAM_EXAMPLE}},
        "headers": {
            "X-Run-ID": {"description": "The run.", "schema": {"type": "string", "format": "uuid"}},
            "X-Thread-ID": {"description": "Its thread.", "schema": {"type": "string", "format": "uuid"}},
            "Location": {
                "description": "Where to read on after a break, with `Last-Event-ID`.",
                "schema": {"type": "string"},
            },
        },
    }
}


@router.post(
    "/chat",
    summary="Ask, and wait for the answer",
    response_model=None,
    responses={200: {"model": ChatAnswer, "description": "The answer and its sources."}} | _REFUSALS | _FAILURES,
    openapi_extra={"requestBody": _BODY, "parameters": [_KEY]},
)
async def chat(request: Request) -> Response:
    """Ask an agent and wait until its run has ended.

    With `keep` (the default) the conversation is stored, and the run goes on when the client leaves; `X-Run-ID` names
    it. A run that fails is answered with its problem document.
    """
    asked, key = await _read(request)
    return await _answer(request, asked, key, asked.thread_id)


@router.post(
    "/chat/stream",
    summary="Ask, and read the answer as it comes",
    response_model=None,
    responses=STREAM | _REFUSALS,
    openapi_extra={"requestBody": _BODY, "parameters": [_KEY]},
)
async def chat_stream(request: Request) -> Response:
    """Ask an agent and follow its run by server-sent events.

    Whatever can be refused is refused before the first byte; a later failure is one last `error` event. After a break,
    read on from `Location` with the last id in `Last-Event-ID`: nothing is missed or doubled.
    """
    asked, key = await _read(request)
    return await _stream(request, asked, key, asked.thread_id)


@router.post(
    "/threads/{thread_id}/chat",
    summary="Go on with a conversation, and wait for the answer",
    response_model=None,
    responses={200: {"model": ChatAnswer, "description": "The answer and its sources."}} | _REFUSALS | _FAILURES,
    openapi_extra={"requestBody": _BODY, "parameters": [_THREAD, _KEY]},
)
async def thread_chat(request: Request) -> Response:
    """As `POST /chat`, on this thread."""
    asked, key = await _read(request)
    return await _answer(request, asked, key, _thread(request, asked))


@router.post(
    "/threads/{thread_id}/chat/stream",
    summary="Go on with a conversation, and read the answer as it comes",
    response_model=None,
    responses=STREAM | _REFUSALS,
    openapi_extra={"requestBody": _BODY, "parameters": [_THREAD, _KEY]},
)
async def thread_chat_stream(request: Request) -> Response:
    """As `POST /chat/stream`, on this thread."""
    asked, key = await _read(request)
    return await _stream(request, asked, key, _thread(request, asked))


async def _read(request: Request) -> tuple[ChatRequest, str | None]:
    limit = container_of(request).settings().max_question_chars
    body = await request.body()
    try:
        asked = ChatRequest.read(body, limit)
    except ValidationError as error:
        raise not_valid(error, body) from None
    key = idempotency_key(request.headers.get("idempotency-key"))
    if key is not None and not asked.keep:
        raise Invalid("keep=false stores nothing, so it takes no Idempotency-Key.")
    return asked, key


def _thread(request: Request, asked: ChatRequest) -> UUID:
    thread_id = parse_id(request.path_params["thread_id"])
    if asked.thread_id not in {None, thread_id}:
        raise Invalid("The body names another thread than the path.")
    if not asked.keep:
        raise Invalid("keep=false stores nothing, so it takes no thread.")
    return thread_id


async def _answer(request: Request, asked: ChatRequest, key: str | None, thread_id: UUID | None) -> Response:
    runs = container_of(request).run_service()
    principal = principal_of(request)
    if asked.keep:
        run = await runs.start(principal, asked.run_request(key), thread_id=thread_id, idempotency_key=key)
        return await wait(request, runs.events(principal, run), run)
    async with while_connected(request.receive):
        last = await runs.answer(principal, asked.run_request())
    return _ended(last, request, {}, None)


async def _stream(request: Request, asked: ChatRequest, key: str | None, thread_id: UUID | None) -> Response:
    runs = container_of(request).run_service()
    principal = principal_of(request)
    if asked.keep:
        run = await runs.start(principal, asked.run_request(key), thread_id=thread_id, idempotency_key=key)
        return follow(runs.events(principal, run), run)
    batches = runs.stateless(principal, asked.run_request())
    first = await anext(batches)  # refuses here, if it does
    run_id = orjson.loads(first[0].data).get("run_id")
    return EventStream(
        preceded(first, batches), resync={"run_id": run_id, "thread_id": None}, headers={"X-Run-ID": str(run_id)}
    )


def follow(batches: AsyncIterator[list[Event]], run: Run) -> EventStream:
    """Return the stream of a stored run."""
    resync = {
        "run_id": str(run.run_id),
        "thread_id": str(run.thread_id),
        "messages": f"/api/v1/threads/{run.thread_id}/messages",
    }
    return EventStream(batches, resync=resync, headers=_headers_of(run, stream=True))


async def wait(request: Request, batches: AsyncIterator[list[Event]], run: Run) -> Response:
    """Return the end of a stored run as an answer; the run goes on when the client leaves."""
    async with while_connected(request.receive):
        last = await last_event(batches)
    return _ended(last, request, _headers_of(run, stream=False), run.run_id)


def _headers_of(run: Run, *, stream: bool) -> dict[str, str]:
    """Return the headers that name a run and say where it is read."""
    location = f"/api/v1/runs/{run.run_id}{'/stream' if stream else ''}"
    return {
        "X-Run-ID": str(run.run_id),
        "X-Thread-ID": str(run.thread_id),
        "Location": location,
        "Content-Location": location,
    }


def _ended(last: Event | None, request: Request, headers: dict[str, str], run_id: UUID | None) -> Response:
    """Return the end of a run as an answer: the data of `done` as they are, or the problem that ended it.

    Raises:
        RunTimeout: it was stopped at its time limit.
        Unavailable: the server stops; a stored run goes on when it is back.
    """
    if last is None:
        raise Unavailable(
            "The server is stopping; a stored run goes on when it is back.", run_id=run_id and str(run_id)
        )
    if last.name == "done":
        if b'"timeout"' in last.data and (done := orjson.loads(last.data))["status"] == "timeout":
            raise RunTimeout(done["run_id"])
        return Response(last.data, headers=headers, media_type="application/json")
    found = orjson.loads(last.data)
    found |= {"instance": request.scope["path"], "request_id": request.scope.get("state", {}).get("request_id")}
    status = found.get("status", 500)
    if "retry_after" in found:
        headers = {**headers, "Retry-After": str(found["retry_after"])}
    return Response(orjson.dumps(found), status, headers=headers, media_type=MEDIA_TYPE)
