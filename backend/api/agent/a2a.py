"""Agent2Agent: every assistant whose graph takes messages is an agent. JSON-RPC in two dialects, and agent cards.

Source of the rules: https://a2a-protocol.org, versions 0.3 and 1.0.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from typing import Any
from uuid import UUID

from fastapi import APIRouter
from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import Response

from backend.api.agent.access import authorize, authorize_run
from backend.api.agent.reply import reply
from backend.api.agent.rpc import LONGEST_NAME, Call, accepts, call_of, failure, id_of, read, success
from backend.api.agent.run_answer import Waiting
from backend.api.dependency import container_of, principal_of
from backend.api.route import HotRoute
from backend.api.sse import EventStream, frame
from backend.core.error import DomainError, NotFound
from backend.core.rpc import INVALID_PARAMS, METHOD_NOT_FOUND, RpcError
from backend.core.run.wire import dumps
from backend.dto.a2a import HistoryScope, TaskEvent, TaskId, TaskQuery
from backend.dto.assistant import Assistant
from backend.dto.run import Run
from backend.schema.agent.a2a import (
    METHODS,
    SCOPE_HEADER,
    Action,
    ListParams,
    SendParams,
    TaskParams,
    UnsupportedContent,
    Wire,
    card_wire,
    told,
)
from backend.service.a2a import CONTENT_UNSUPPORTED, PUSH_UNSUPPORTED, A2AService, Asked, not_found, task_of
from backend.util.containment import Filters

router = APIRouter(tags=["a2a"], route_class=HotRoute)

VERSION_UNSUPPORTED = -32009
_AGENT = {
    "parameters": [
        {
            "name": "assistant_id",
            "in": "path",
            "required": True,
            "description": "The assistant, or the graph whose default it is.",
            "schema": {"type": "string"},
        }
    ]
}
_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


@router.post("/a2a/{assistant_id}", summary="Speak A2A", openapi_extra=_AGENT)
async def post_a2a(request: Request) -> Response:
    """Answer a JSON-RPC request of Agent2Agent, in the dialect that its method is of."""
    call_id = None
    try:
        message = read(await request.body())
        call_id = id_of(message)
        call = call_of(message)
        if call.method not in METHODS:
            raise RpcError(METHOD_NOT_FOUND, f"Method not found: {call.method[:LONGEST_NAME]}")
        action, dialect = METHODS[call.method]
        _check_version(request)
        if (refused := _unacceptable(request, action)) is not None:
            return refused
        if action == "push":
            raise RpcError(PUSH_UNSUPPORTED, "Push notifications are not supported.")
        return await _Conversation(request, call, Wire(dialect), await _assistant(request)).answer(action)
    except ValidationError as error:
        return reply(failure(call_id, RpcError(INVALID_PARAMS, told(error))))
    except UnsupportedContent as error:
        return reply(failure(call_id, RpcError(CONTENT_UNSUPPORTED, str(error))))
    except RpcError as error:
        return reply(failure(call_id, error))
    except DomainError as error:
        if error.status in {400, 404, 409, 422}:
            return reply(failure(call_id, error))
        raise


@router.get("/a2a/{assistant_id}", summary="Read an agent card", openapi_extra=_AGENT)
@router.get("/a2a/{assistant_id}/.well-known/agent-card.json", summary="Read an agent card", openapi_extra=_AGENT)
@router.get("/a2a/{assistant_id}/.well-known/agent.json", summary="Read an agent card", openapi_extra=_AGENT)
async def get_card(request: Request) -> Response:
    """Return what an assistant says of itself to other agents."""
    return await _card_reply(request, request.path_params["assistant_id"])


@router.get(
    "/.well-known/agent-card.json",
    summary="Read an agent card",
    openapi_extra={"parameters": [{**_AGENT["parameters"][0], "in": "query"}]},
)
async def get_card_of(request: Request) -> Response:
    """Return what an assistant says of itself to other agents."""
    assistant_id = request.query_params.get("assistant_id")
    if assistant_id is None:
        refused = failure(None, RpcError(INVALID_PARAMS, "The query parameter assistant_id is missing."))
        return reply({"error": refused["error"]}, 400)
    return await _card_reply(request, assistant_id)


@router.delete("/a2a/{assistant_id}", summary="A2A without sessions", status_code=405, openapi_extra=_AGENT)
async def delete_a2a(request: Request) -> Response:
    """There is no session to end."""
    del request
    return Response(status_code=405, headers={"Allow": "GET, POST"})


class _Conversation:
    """One request, and what it needs."""

    def __init__(self, request: Request, call: Call, wire: Wire, assistant: Assistant) -> None:
        self._request = request
        self._call = call
        self._wire = wire
        self._assistant = assistant
        self._caller = principal_of(request)
        self._service: A2AService = container_of(request).a2a_service()

    async def answer(self, action: Action) -> Response:
        match action:
            case "send":
                return await self._send()
            case "stream":
                return await self._stream()
            case "subscribe":
                return await self._subscribe()
            case "list":
                return await self._list()
            case "card":
                return self._success(await _card(self._request, self._assistant))
            case _:
                return await self._task(cancels=action == "cancel")

    async def _send(self) -> Response:
        params = SendParams.model_validate(self._call.params)
        scope = _scope(self._request)
        asked, run = await self._begin(params, streams=not params.waits)
        length = params.configuration.history_length
        if not params.waits:
            return self._success(self._wire.sent(await self._service.begun(asked, run), history_length=length))

        async def ended() -> bytes:
            try:
                task = await self._service.result(self._caller, self._assistant, asked, run, scope)
            except (DomainError, RpcError) as error:
                return dumps(failure(self._call.id, error))
            return dumps(success(self._call.id, self._wire.sent(task, history_length=length)))

        return Waiting(ended(), {}, gone=_nothing)

    async def _stream(self) -> Response:
        asked, run = await self._begin(SendParams.model_validate(self._call.params), streams=True)
        return self._events([await self._service.begun(asked, run)], task_of(asked, run), run)

    async def _subscribe(self) -> Response:
        params = TaskParams.model_validate(self._call.params)
        task_id = _task_id(params)
        only = await self._threads("read", task_id.thread_id)
        task, run = await self._service.subscribe(self._caller, self._assistant, task_id, only=only)
        return self._events([task], task.task_id, run)

    async def _task(self, *, cancels: bool) -> Response:
        params = TaskParams.model_validate(self._call.params)
        scope, task_id = _scope(self._request), _task_id(params)
        only = await self._threads("update" if cancels else "read", task_id.thread_id)
        if cancels:
            task = await self._service.cancel(self._caller, self._assistant, task_id, only=only)
        else:
            task = await self._service.get(self._caller, self._assistant, task_id, scope=scope, only=only)
        return self._success(self._wire.task(task, history_length=params.history_length))

    async def _list(self) -> Response:
        params = ListParams.model_validate(self._call.params)
        try:
            state = params.state
        except ValueError as error:
            raise RpcError(INVALID_PARAMS, f"Invalid params: {error}") from None
        offset = int(params.page_token or 0)
        query = TaskQuery(params.context_id, state, params.status_timestamp_after, params.page_size, offset)
        only = await self._threads("search")
        tasks, total = await self._service.find(
            self._caller, self._assistant, query, scope=_scope(self._request), only=only
        )
        after = offset + len(tasks)
        shown = [
            self._wire.task(task, history_length=params.history_length, artifacts=params.include_artifacts)
            for task in tasks
        ]
        return self._success(
            {
                "tasks": shown,
                "totalSize": total,
                "pageSize": params.page_size,
                "nextPageToken": str(after) if after < total else "",
            }
        )

    async def _begin(self, params: SendParams, *, streams: bool) -> tuple[Asked, Run]:
        """Start the run that a message asks for."""
        if params.pushes:
            raise RpcError(PUSH_UNSUPPORTED, "Push notifications are not supported.")
        body = params.message
        task_id = None
        if body.task_id:
            task_id = TaskId.find(body.task_id)
            if task_id is None:
                raise not_found(body.task_id)
        context_id = _context(body.context_id)
        container = container_of(self._request)
        only = None if task_id is None else await self._threads("read", task_id.thread_id)
        asked = await self._service.ask(
            self._caller,
            self._assistant,
            params.said(task_id),
            context_id=context_id,
            metadata=params.metadata or {},
            streams=streams,
            only=only,
        )
        allowed = await authorize_run(self._request, asked.body, asked.thread_id)
        waiting: list[Any] = []
        if context_id is not None and task_id is None:
            waiting = await self._service.waiting(self._caller, self._assistant, context_id, allowed.only)
        run = await container.run_starter().start(
            self._caller,
            asked.body,
            thread_id=asked.thread_id,
            configurable=container.run_headers()(self._request.headers),
            metadata=allowed.metadata,
            only=allowed.only,
            only_assistants=allowed.assistants,
        )
        await self._service.give_up(self._caller, waiting)
        return asked, run

    def _events(self, first: list[TaskEvent], task_id: TaskId, run: Run) -> EventStream:
        async def parts() -> AsyncGenerator[list[dict[str, Any]]]:
            try:
                yield [success(self._call.id, self._wire.event(event)) for event in first]
                async for batch in self._follow(task_id, run):
                    yield [success(self._call.id, self._wire.event(event)) for event in batch]
            except (DomainError, RpcError) as error:
                yield [failure(self._call.id, error)]

        return EventStream(parts(), resync={}, headers=_HEADERS, encode=_frames)

    def _follow(self, task_id: TaskId, run: Run) -> AsyncIterator[list[TaskEvent]]:
        return self._service.follow(self._caller, self._assistant, task_id, run)

    async def _threads(self, action: str, thread_id: UUID | None = None) -> Filters:
        return await authorize(self._request, "threads", action, {"thread_id": thread_id, "metadata": {}})

    def _success(self, result: Any) -> Response:
        return reply(success(self._call.id, result))


def _frames(messages: Sequence[dict[str, Any]]) -> bytes:
    return b"".join([frame("message", dumps(message)) for message in messages])


def _unacceptable(request: Request, action: Action) -> Response | None:
    accept = request.headers.get("accept")
    if action in {"stream", "subscribe"}:
        if not accepts(accept, "text/event-stream"):
            return reply({"error": "The Accept header must take text/event-stream for a stream."}, 400)
    elif not accepts(accept, "application/json"):
        return reply({"error": "The Accept header must take application/json."}, 400)
    return None


def _check_version(request: Request) -> None:
    version = request.headers.get("a2a-version")
    if version and version.partition(".")[0] not in {"0", "1"}:
        raise RpcError(VERSION_UNSUPPORTED, "This server speaks A2A 0.3 and 1.0.")


def _scope(request: Request) -> HistoryScope:
    found = request.headers.get(SCOPE_HEADER, "context")
    if found == "context":
        return "context"
    if found == "task":
        return "task"
    raise RpcError(INVALID_PARAMS, f"{SCOPE_HEADER} is 'context' or 'task'.")


def _context(text: str | None) -> UUID | None:
    if not text:
        return None
    try:
        if len(text) == 36:
            return UUID(text)
    except ValueError:
        pass
    raise RpcError(INVALID_PARAMS, "Invalid params: the contextId is not a UUID.")


def _task_id(params: TaskParams) -> TaskId:
    found = TaskId.find(params.id)
    if found is None or params.context_id not in {None, "", str(found.thread_id)}:
        raise not_found(params.id)
    return found


async def _assistant(request: Request, text: str | None = None) -> Assistant:
    asked = text or request.path_params["assistant_id"]
    assistants = container_of(request).assistant_service()
    only = await authorize(request, "assistants", "read", {"assistant_id": asked})
    return await assistants.resolve(principal_of(request), asked[:100], only=only)


async def _card_reply(request: Request, assistant_id: str) -> Response:
    try:
        return reply(await _card(request, await _assistant(request, assistant_id)))
    except DomainError as error:
        if not isinstance(error, NotFound) and error.status != 422:
            raise
        return reply({"error": failure(None, error)["error"]}, 400)


async def _card(request: Request, assistant: Assistant) -> dict[str, Any]:
    container = container_of(request)
    return card_wire(
        assistant_id=assistant.assistant_id,
        name=assistant.name,
        description=assistant.description,
        url=f"{request.base_url}a2a/{assistant.assistant_id}",
        version=container.version(),
        fields=await container.a2a_service().fields(principal_of(request), assistant),
    )


async def _nothing() -> None:
    """A run that was started goes on when its caller leaves."""
