"""The Model Context Protocol: every assistant is a tool. Streamable HTTP without sessions and without streams.

Source of the rules: https://modelcontextprotocol.io/specification, versions 2024-11-05 to 2025-11-25.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from backend.api.agent.access import authorize, authorize_run
from backend.api.agent.reply import reply
from backend.api.agent.rpc import LONGEST_NAME, Call, accepts, call_of, failure, id_of, read, success
from backend.api.agent.run_answer import Waiting
from backend.api.dependency import container_of, principal_of
from backend.api.route import HotRoute
from backend.core.error import DomainError
from backend.core.rpc import INVALID_PARAMS, INVALID_REQUEST, METHOD_NOT_FOUND, RpcError
from backend.core.run.wire import dumps
from backend.schema.agent.mcp import has_batches, initialized, result_wire, tool_wire, version_of
from backend.service.run_request import RunBody

router = APIRouter(tags=["mcp"], route_class=HotRoute)

MAX_BATCH = 20
MAX_OFFSET = 100_000
_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {"type": "object"},
                "examples": {"list": {"value": {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}}},
            }
        },
    }
}


@router.post("/mcp", summary="Speak MCP", openapi_extra=_BODY)
async def post_mcp(request: Request) -> Response:
    """Answer a JSON-RPC message of the Model Context Protocol: `initialize`, `ping`, `tools/list`, `tools/call`.

    There is no session: each request stands for itself. A notification is answered with 202.
    """
    if not accepts(request.headers.get("accept"), "application/json", "text/event-stream"):
        return reply({"error": "The Accept header must take application/json or text/event-stream."}, 400)
    version = version_of(request.headers.get("mcp-protocol-version"))
    try:
        messages = _messages(read(await request.body()), version)
    except RpcError as error:
        return reply(failure(None, error), 400)
    if isinstance(messages, list):
        return await _several(request, messages, version)
    try:
        call = call_of(messages)
    except RpcError as error:
        if _is_answer(messages):
            return Response(status_code=202)
        return reply(failure(id_of(messages), error), 400 if error.code == INVALID_REQUEST else 200)
    if call.id is None:
        return Response(status_code=202)
    answer = await _answered(request, call, version)
    return reply(answer) if isinstance(answer, dict) else Waiting(_bytes(answer), {}, gone=None)


@router.get("/mcp", summary="MCP without streams", status_code=405)
async def get_mcp(request: Request) -> Response:
    """There is no stream to listen to."""
    del request
    return Response(status_code=405, headers={"Allow": "POST"})


@router.delete("/mcp", summary="MCP without sessions", status_code=404)
async def delete_mcp(request: Request) -> Response:
    """There is no session to end."""
    del request
    return Response(status_code=404)


_Later = Callable[[], Awaitable[dict[str, Any]]]
"""An answer that takes a run."""


def _messages(found: Any, version: str) -> dict[str, Any] | list[Any]:
    if isinstance(found, dict):
        return found
    if isinstance(found, list) and has_batches(version):
        if 0 < len(found) <= MAX_BATCH:
            return found
        raise RpcError(INVALID_REQUEST, f"Invalid request: a batch has 1 to {MAX_BATCH} messages.")
    raise RpcError(INVALID_REQUEST, "Invalid request: the body is one message.")


async def _several(request: Request, messages: list[Any], version: str) -> Response:
    """Answer a batch, in order; what needs no answer has none."""
    answers: list[dict[str, Any] | _Later] = []
    for message in messages:
        try:
            call = call_of(message)
        except RpcError as error:
            if not _is_answer(message):
                answers.append(failure(id_of(message), error))
            continue
        if call.id is not None:
            answers.append(await _answered(request, call, version))
    if not answers:
        return Response(status_code=202)

    async def all_of_them() -> bytes:
        return dumps([answer if isinstance(answer, dict) else await answer() for answer in answers])

    return Waiting(all_of_them(), {}, gone=None)


def _is_answer(message: Any) -> bool:
    """Whether a message answers a request, of which this server makes none."""
    return isinstance(message, dict) and message.get("jsonrpc") == "2.0" and bool(message.keys() & {"result", "error"})


async def _answered(request: Request, call: Call, version: str) -> dict[str, Any] | _Later:
    try:
        if call.method == "tools/call":
            return await _begin(request, call, version)
        return success(call.id, await _result(request, call))
    except RpcError as error:
        return failure(call.id, error)


async def _result(request: Request, call: Call) -> dict[str, Any]:
    if call.method == "ping":
        return {}
    if call.method == "initialize":
        return initialized(call.params.get("protocolVersion"), container_of(request).version())
    if call.method == "tools/list":
        return await _list(request, call.params.get("cursor"))
    raise RpcError(METHOD_NOT_FOUND, f"Method not found: {call.method[:LONGEST_NAME]}")


async def _list(request: Request, cursor: Any) -> dict[str, Any]:
    offset = 0
    if cursor is not None:
        if not (isinstance(cursor, str) and cursor.isascii() and cursor.isdigit() and len(cursor) < 7):
            raise RpcError(INVALID_PARAMS, "Invalid params: the cursor is none that this server gave.")
        offset = min(int(cursor), MAX_OFFSET)
    only = await authorize(request, "assistants", "search", {"metadata": {}, "limit": 0, "offset": 0})
    listed, following = await container_of(request).mcp_service().tools(principal_of(request), offset=offset, only=only)
    tools = [
        tool_wire(one.tool.name, one.tool.assistant.name, one.tool.assistant.description, one.input_schema)
        for one in listed
    ]
    return {"tools": tools} if following is None else {"tools": tools, "nextCursor": str(following)}


async def _begin(request: Request, call: Call, version: str) -> _Later:
    """Check a call; return what does the rest."""
    name, arguments = call.params.get("name"), call.params.get("arguments")
    if not isinstance(name, str):
        raise RpcError(INVALID_PARAMS, "Invalid params: a tool has a name.")
    if arguments is not None and not isinstance(arguments, dict):
        raise RpcError(INVALID_PARAMS, "Invalid params: the arguments are not an object.")
    container, caller = container_of(request), principal_of(request)
    service = container.mcp_service()
    visible = await authorize(request, "assistants", "search", {"metadata": {}, "limit": 0, "offset": 0})
    tool = await service.find(caller, name, only=visible)
    body = RunBody(assistant_id=tool.assistant.assistant_id, input=await service.input(caller, tool, arguments or {}))
    allowed = await authorize_run(request, body, None)
    asked = await container.run_starter().request(
        caller,
        body,
        configurable=container.run_headers()(request.headers),
        metadata=allowed.metadata,
        only_assistants=allowed.assistants,
    )

    async def rest() -> dict[str, Any]:
        try:
            found = await service.call(caller, asked)
        except DomainError as error:
            return failure(call.id, error)
        return success(call.id, result_wire(found.text, found.data, failed=found.failed, version=version))

    return rest


async def _bytes(later: _Later) -> bytes:
    return dumps(await later())
