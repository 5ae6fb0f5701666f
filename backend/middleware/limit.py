"""How large a request may be. Bytes are counted as they come, whatever `Content-Length` says or leaves unsaid."""

from collections.abc import Callable, Sequence

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backend.core.error import TooLarge
from backend.middleware.reply import refuse


class BodyTooLarge(HTTPException):
    """Raised where the application reads the body; FastAPI passes an `HTTPException` on, and any other not."""

    def __init__(self, detail: str) -> None:
        super().__init__(413, detail)


class BodyLimitMiddleware:
    """Refuses a body of more than `max_bytes`, or than what `larger` allows its path, with 413.

    The connection stays open: the server throws away what the client still sends. Closing it under a client that is
    sending would reset it, and the client would never see the answer.
    """

    def __init__(self, app: ASGIApp, max_bytes: int, larger: Sequence[tuple[Callable[[str], bool], int]] = ()) -> None:
        self.app = app
        self._max_bytes = max_bytes
        self._larger = tuple(larger)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        limit = next((limit for is_meant, limit in self._larger if is_meant(scope["path"])), self._max_bytes)
        detail = f"The body is larger than {limit} bytes."
        for name, value in scope["headers"]:
            if name == b"content-length" and value.isdigit() and (len(value) > 18 or int(value) > limit):
                await refuse(scope, send, TooLarge(detail, limit=limit))
                return
        seen = 0
        started = False

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            if message["type"] == "http.request":
                seen += len(message.get("body", b""))
                if seen > limit:
                    raise BodyTooLarge(detail)
            return message

        async def noted(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self.app(scope, counted, noted)
        except BodyTooLarge:
            if started:
                raise
            await refuse(scope, send, TooLarge(detail, limit=limit))
