"""The door: who asks is settled here, before anything else looks at the request.

With `AUTH_MODE=token`, every HTTP request and WebSocket needs `Authorization: Bearer <token>` or, as the official
LangGraph clients send it, `x-api-key: <token>`, or the four tenant headers of a support desk's application; a browser,
which cannot set headers on a WebSocket, offers the subprotocols `bearer, <token>` instead. A token in the address is
never looked at: addresses are logged and remembered. Socket.IO's own path is let through: its token comes in the
payload of `connect`, which the Socket.IO handlers give to the same `Authenticator`. What the one who came in may do is
asked here too (`service/permission.py`), and of a WebSocket again with each of its messages and at least every
`RECHECK_SECONDS`; a stream finds in `scope["state"]["recheck"]` how to ask for itself.

With `AUTH_MODE=disabled` the server is on the loopback interface, where it is still in reach of any web page that the
user opens. So it answers to its loopback names alone (against DNS rebinding), and to no pages but those that this
machine serves itself, and those of `CORS_ORIGINS`.
"""

import re
from collections.abc import Collection
from functools import partial
from typing import ClassVar

from loguru import logger
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backend.core.error import DomainError, Forbidden
from backend.core.origin import coming_from
from backend.dto.principal import Principal
from backend.middleware.reply import refuse
from backend.middleware.watched_socket import WatchedSocket
from backend.service.auth import Authenticator, Credentials, credentials_of
from backend.service.permission import allowed, rule_of

BEARER = "bearer"
"""The WebSocket subprotocol under which a browser sends its token, and which the server accepts."""
LOOPBACK_ORIGIN = r"https?://(?:localhost|127\.0\.0\.1|\[::1\])(?::\d{1,5})?"
"""Of a page that this machine serves, at any port: a chat interface under development."""
_LOOPBACK_HOST = re.compile(r"(?:localhost|127\.0\.0\.1|\[::1\])(?::\d{1,5})?", re.IGNORECASE)
_CLOSE_CODES = {401: 4401, 403: 4403, 429: 4429}
RECHECK_SECONDS = 30.0
_WEBHOOKS = "/setup/freshdesk/webhook/"


def is_webhook(path: str) -> bool:
    """Whether a platform calls here for a tenant, with a secret that the route itself compares."""
    return path.startswith(_WEBHOOKS) and "/" not in path[len(_WEBHOOKS) :] and path != _WEBHOOKS


def refuse_unless_allowed(principal: Principal, scope: Scope) -> None:
    """Raise Forbidden unless a request is open to who sends it. What a project adds is a part of its agents."""
    if scope["state"].get("custom_route") is True and rule_of(scope["path"]) is None:
        permitted = principal.may("chat")
    else:
        permitted = allowed(principal, scope.get("method", "GET"), scope["path"])
    if not permitted:
        raise Forbidden("Your role or key does not allow this.")


class BearerTokenAuthMiddleware:
    """Puts a `Principal` into `scope["state"]["principal"]`, or refuses.

    Paths are compared whole, with `scope["path"]`: never by their beginning, never by the `Host` header's address.
    """

    PUBLIC: ClassVar[frozenset[str]] = frozenset(
        {
            "/",
            "/favicon.ico",
            "/health",
            "/health/live",
            "/health/ready",
            "/ok",
            "/info",
            "/setup/freshdesk/iparams.html",
        }
    )
    LOGIN: ClassVar[frozenset[str]] = frozenset({"/api/v1/auth/login", "/api/v1/auth/refresh", "/api/v1/auth/logout"})
    """Their bodies say who it is."""
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
        self._public = self.PUBLIC | self.LOGIN | (self.DOCS if docs_public else frozenset())
        self._origins = frozenset(origin.rstrip("/").lower() for origin in cors_origins)
        self._socket_path = socket_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in {"http", "websocket"}:
            await self.app(scope, receive, send)
            return
        state = scope.setdefault("state", {})
        address = scope["client"][0] if scope.get("client") else ""
        with coming_from(address, state.get("request_id")):
            try:
                credentials, principal = await self._identify(scope, address)
            except DomainError as error:
                await _refuse(scope, send, error)
                return
            if principal is None:
                await self.app(scope, receive, send)
                return
            state["principal"] = principal
            with logger.contextualize(tenant_id=principal.tenant_id):
                if scope["type"] == "websocket" and credentials is not None:
                    await self._serve_socket(scope, receive, send, credentials)
                else:
                    if credentials is not None:
                        state["recheck"] = partial(self._recheck, credentials)
                    await self.app(scope, receive, send)

    async def _identify(self, scope: Scope, address: str) -> tuple[Credentials | None, Principal | None]:
        """Return what was sent, and who asks; None where nobody needs to say."""
        if not self._authenticator.enabled:
            self._refuse_other_sites(scope)
            return None, await self._authenticator.identify(Credentials())
        path: str = scope["path"]
        if path in self._public or path.startswith(self._socket_path) or is_webhook(path):
            return None, None
        credentials = credentials_of(scope["headers"])
        if credentials == _NONE and scope["type"] == "websocket" and _is_offered(scope):
            offered = scope["subprotocols"]
            credentials = Credentials(token=offered[1] if len(offered) == 2 else "")
        principal = await self._authenticator.identify(credentials, address)
        refuse_unless_allowed(principal, scope)
        return credentials, principal

    async def _serve_socket(self, scope: Scope, receive: Receive, send: Send, credentials: Credentials) -> None:
        if _is_offered(scope):
            send = _accepting_bearer(scope, send)

        check = partial(self._recheck, credentials, scope)
        async with WatchedSocket(receive, send, check, RECHECK_SECONDS) as socket:
            await self.app(scope, socket.receive, send)

    async def _recheck(self, credentials: Credentials, scope: Scope) -> None:
        """Raise unless what somebody came in with still opens this; an answer that lasts asks now and then."""
        refuse_unless_allowed(await self._authenticator.recheck(credentials), scope)

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


_NONE = Credentials()


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
