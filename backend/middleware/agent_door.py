"""The Agent Server API's own manners, for the paths that are its.

Every error is `{"detail": "<text>"}`, and a body is JSON whatever its content type says (LangGraph Studio sends
`text/plain`).

Whoever refuses a request (authentication, the body's limit, validation, a route) says so in a problem document; this
stands before all of them and writes it anew, so that none of them has to know of it.
"""

import orjson
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backend.schema.problem import MEDIA_TYPE

ROOTS = frozenset("assistants threads runs store mcp a2a ok info metrics ui .well-known".split())
"""First segments of its paths."""
_NOT_JSON = "/problems/not-json"
"""400 elsewhere; this API says 422."""
_JSON = (b"content-type", b"application/json")


def is_agent_path(path: str) -> bool:
    """Return whether a path belongs to the Agent Server API."""
    return path[1:].partition("/")[0] in ROOTS


class AgentDoorMiddleware:
    def __init__(self, app: ASGIApp, prefix: str = "") -> None:
        """`prefix` is where the API is mounted."""
        self.app = app
        self._prefix = prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope.get("path", "").removeprefix(self._prefix)
        if scope["type"] != "http" or not is_agent_path(path):
            await self.app(scope, receive, send)
            return
        if scope["method"] in {"POST", "PUT", "PATCH", "DELETE"}:
            scope["headers"] = [pair for pair in scope["headers"] if pair[0] != b"content-type"] + [_JSON]
        start: Message | None = None
        body = b""

        async def rewritten(message: Message) -> None:
            nonlocal start, body
            if message["type"] == "http.response.start" and message["status"] >= 400 and _is_problem(message):
                start = message
                return
            if start is None:
                await send(message)
                return
            body += message.get("body", b"")
            if message.get("more_body", False):
                return
            problem = orjson.loads(body)
            status = 422 if problem.get("type") == _NOT_JSON else start["status"]
            raw = orjson.dumps({"detail": problem.get("detail", "")})
            kept = [pair for pair in start["headers"] if pair[0].lower() not in {b"content-type", b"content-length"}]
            kept += [_JSON, (b"content-length", str(len(raw)).encode())]
            await send({**start, "status": status, "headers": kept})
            await send({"type": "http.response.body", "body": raw})

        await self.app(scope, receive, rewritten)


def _is_problem(message: Message) -> bool:
    return any(
        name.lower() == b"content-type" and value.startswith(MEDIA_TYPE.encode()) for name, value in message["headers"]
    )
