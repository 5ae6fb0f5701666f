"""The door: who asks is settled here, before anything else looks at the request.

With `AUTH_MODE=token`, every HTTP request and WebSocket needs `Authorization: Bearer <token>` or, as the official
LangGraph clients send it, `x-api-key: <token>`; a browser, which cannot
set headers on a WebSocket, offers the subprotocols `bearer, <token>` instead. A token in the address is never looked
at: addresses are logged and remembered. Socket.IO's own path is let through: its token comes in the payload of
`connect`, which the Socket.IO handlers give to the same `Authenticator`.

With `AUTH_MODE=disabled` the server is on the loopback interface, where it is still in reach of any web page that the
user opens. So it answers to its loopback names alone (against DNS rebinding), and to no pages but those that this
machine serves itself, and those of `CORS_ORIGINS`.
"""

import re
from collections.abc import Collection
from typing import ClassVar

from loguru import logger
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backend.core.error import DomainError, Forbidden
from backend.dto.principal import Principal
from backend.middleware.reply import refuse
from backend.service.auth import Authenticator

BEARER = "bearer"
"""The WebSocket subprotocol under which a browser sends its token, and which the server accepts."""
LOOPBACK_ORIGIN = r"https?://(?:localhost|127\.0\.0\.1|\[::1\])(?::\d{1,5})?"
"""Of a page that this machine serves, at any port: a chat interface under development."""
_LOOPBACK_HOST = re.compile(r"(?:localhost|127\.0\.0\.1|\[::1\])(?::\d{1,5})?", re.IGNORECASE)
_CLOSE_CODES = {401: 4401, 403: 4403, 429: 4429}


class BearerTokenAuthMiddleware:
    """Puts a `Principal` into `scope["state"]["principal"]`, or refuses.

    Paths are compared whole, with `scope["path"]`: never by their beginning, never by the `Host` header's address.
    """

    PUBLIC: ClassVar[frozenset[str]] = frozenset(
        {"/", "/favicon.ico", "/health", "/health/live", "/health/ready", "/ok", "/info"}
    )
    DOCS: ClassVar[frozenset[str]] = frozenset({"/docs", "/redoc", "/openapi.json"})

    def __init__(
        self,
        app: ASGIApp,
        authenticator: Authenticator,
        *,
        docs_public: bool = True,
        cors_origins: Collection[str] = (),
        socket_path: str = "/socket.io/",
    ) -> None:
        self.app = app
        self._authenticator = authenticator
        self._public = self.PUBLIC | self.DOCS if docs_public else self.PUBLIC
        self._origins = frozenset(origin.rstrip("/").lower() for origin in cors_origins)
        self._socket_path = socket_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in {"http", "websocket"}:
            await self.app(scope, receive, send)
            return
        try:
            principal = self._identify(scope)
        except DomainError as error:
            await _refuse(scope, send, error)
            return
        if principal is None:
            await self.app(scope, receive, send)
            return
        scope.setdefault("state", {})["principal"] = principal
        if scope["type"] == "websocket" and self._authenticator.enabled and _is_offered(scope):
            send = _accepting_bearer(scope, send)
        with logger.contextualize(tenant_id=principal.tenant_id):
            await self.app(scope, receive, send)

    def _identify(self, scope: Scope) -> Principal | None:
        """Return who asks; None where nobody needs to say."""
        if not self._authenticator.enabled:
            self._refuse_other_sites(scope)
            return self._authenticator.authenticate(None)
        path: str = scope["path"]
        if path in self._public or path.startswith(self._socket_path):
            return None
        address = scope["client"][0] if scope.get("client") else ""
        header: str | None = None
        key: str | None = None
        for name, value in scope["headers"]:
            if name == b"authorization":
                # Of two, this server and one before it may believe different ones.
                header = value.decode("utf-8", "replace") if header is None else ""
            elif name == b"x-api-key":  # how the official LangGraph clients send it
                key = value.decode("utf-8", "replace") if key is None else ""
        if header is None and key is not None:
            return self._authenticator.authenticate(key, address)
        if header is None and scope["type"] == "websocket" and _is_offered(scope):
            offered = scope["subprotocols"]
            return self._authenticator.authenticate(offered[1] if len(offered) == 2 else "", address)
        return self._authenticator.authenticate_header(header, address)

    def _refuse_other_sites(self, scope: Scope) -> None:
        host = origin = ""
        for name, value in scope["headers"]:
            if name == b"host":
                host = value.decode("latin-1")
            elif name == b"origin":
                origin = value.decode("latin-1").lower()
        if host and not _LOOPBACK_HOST.fullmatch(host):
            raise Forbidden("Without authentication this server answers to localhost alone, not to another host name.")
        if (
            origin
            and origin not in {f"http://{host.lower()}", f"https://{host.lower()}"}
            and origin not in self._origins
            and "*" not in self._origins
            and not re.fullmatch(LOOPBACK_ORIGIN, origin)
        ):
            raise Forbidden("Pages of this origin may not call the server; CORS_ORIGINS lists those that may.")


async def _refuse(scope: Scope, send: Send, error: DomainError) -> None:
    if scope["type"] == "http":
        await refuse(scope, send, error)
    else:  # before it is accepted: the server answers the handshake with 403
        await send({"type": "websocket.close", "code": _CLOSE_CODES.get(error.status, 4403), "reason": error.detail})


def _is_offered(scope: Scope) -> bool:
    offered: list[str] = scope.get("subprotocols") or []
    return bool(offered) and offered[0].lower() == BEARER


def _accepting_bearer(scope: Scope, send: Send) -> Send:
    """Take the token out of what the application sees, and name the accepted protocol, without which browsers leave."""
    scope["subprotocols"] = [BEARER]

    async def accepting(message: Message) -> None:
        if message["type"] == "websocket.accept" and not message.get("subprotocol"):
            message = {**message, "subprotocol": BEARER}
        await send(message)

    return accepting
