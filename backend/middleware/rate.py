"""How often: right behind the door, so that who asks is known, and nothing else has looked at the request yet.

An answer under a limit says how it stands: `X-RateLimit-Limit` (requests a minute), `-Remaining` (that may come at
once) and `-Reset` (seconds until all of them may). Where there is no limit, there are no such headers.
"""

from collections.abc import Collection
from typing import ClassVar

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backend.core.rate import Allowance
from backend.middleware.auth import BearerTokenAuthMiddleware
from backend.middleware.reply import refuse
from backend.service.rate import RateService, too_many

TOO_MANY_CLOSE = 4429


class RateMiddleware:
    """Refuses with 429 who asks too often; a WebSocket counts when it is opened, and then by its calls."""

    EXEMPT: ClassVar[frozenset[str]] = BearerTokenAuthMiddleware.PUBLIC | BearerTokenAuthMiddleware.DOCS
    """What monitors and browsers ask for by themselves."""

    def __init__(
        self, app: ASGIApp, rates: RateService, *, exempt: Collection[str] = EXEMPT, socket_path: str = "/socket.io/"
    ) -> None:
        """Socket.IO counts by its calls alone: its polling is not what anybody chose."""
        self.app = app
        self._rates = rates
        self._exempt = frozenset(exempt)
        self._socket_path = socket_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        principal = scope.get("state", {}).get("principal")
        if principal is None or scope["path"] in self._exempt or scope["path"].startswith(self._socket_path):
            await self.app(scope, receive, send)
            return
        allowance = await self._rates.take(principal)
        if allowance is None:
            await self.app(scope, receive, send)
            return
        if not allowance.allowed:
            error = too_many(allowance)
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": TOO_MANY_CLOSE, "reason": error.detail[:100]})
            else:
                await refuse(scope, _telling(send, allowance), error)
            return
        await self.app(scope, receive, _telling(send, allowance))


def _telling(send: Send, allowance: Allowance) -> Send:
    headers = [
        (b"x-ratelimit-limit", b"%d" % allowance.limit),
        (b"x-ratelimit-remaining", b"%d" % allowance.remaining),
        (b"x-ratelimit-reset", b"%d" % allowance.reset),
    ]

    async def telling(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", ()), *headers]}
        await send(message)

    return telling
