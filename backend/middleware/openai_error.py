"""Failures at the OpenAI-compatible door, in OpenAI's own form: `{"error": {"message", "type", "param", "code"}}`.

Whoever refuses a request (authentication, the body's limit, validation, a route) says so in a problem document. This
stands before all of them and writes it anew for the paths of that door, so that none of them has to know of it.
"""

import orjson
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backend.schema.openai import openai_error
from backend.schema.problem import MEDIA_TYPE

PREFIX = "/v1/"


class OpenAIErrorMiddleware:
    """The outermost middleware, so that it sees every refusal."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith(PREFIX):
            await self.app(scope, receive, send)
            return
        start: Message | None = None
        body = b""

        async def rewritten(message: Message) -> None:
            nonlocal start, body
            if message["type"] == "http.response.start" and _is_problem(message):
                start = message
                return
            if start is None:
                await send(message)
                return
            body += message.get("body", b"")
            if message.get("more_body", False):
                return
            status, error = openai_error(orjson.loads(body))
            raw = orjson.dumps(error)
            kept = [pair for pair in start["headers"] if pair[0].lower() not in {b"content-type", b"content-length"}]
            own = [(b"content-type", b"application/json"), (b"content-length", str(len(raw)).encode())]
            await send({**start, "status": status, "headers": [*kept, *own]})
            await send({"type": "http.response.body", "body": raw})

        await self.app(scope, receive, rewritten)


def _is_problem(message: Message) -> bool:
    return any(
        name.lower() == b"content-type" and value.startswith(MEDIA_TYPE.encode()) for name, value in message["headers"]
    )
