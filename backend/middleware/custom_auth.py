"""The door of a project that brings its own authentication (`auth.path` of a `langgraph.json`).

It takes the place of the token door, for everything that is served, Socket.IO's handshake included.
"""

import re
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import asdict, is_dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from loguru import logger
from starlette.authentication import AuthCredentials
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backend.core.error import BadRequest, DomainError, Refused
from backend.core.graph.project import AuthConfig
from backend.core.origin import coming_from
from backend.dto.principal import DEFAULT_TENANT, Principal
from backend.middleware.auth import BearerTokenAuthMiddleware, is_webhook, refuse_unless_allowed
from backend.middleware.handler_call import HandlerCall, Replay
from backend.middleware.reply import refuse
from backend.service.access import STUDIO_KIND, raise_refusal, sdk_user

if TYPE_CHECKING:
    from langgraph_sdk import Auth

_TENANT = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_LOOPBACK_HOST = re.compile(rb"(?:localhost|127\.0\.0\.1|\[::1\])(?::\d{1,5})?", re.IGNORECASE)
_STUDIO_SCHEME = (b"x-auth-scheme", b"langsmith")
_SERVER_HEADERS = frozenset({"content-type", "content-length", "transfer-encoding", "connection"})
IDENTITY_LIMIT = 1000
"""Characters of an identity."""


class CustomAuthMiddleware:
    """Asks the project's `@auth.authenticate` handler; puts a `Principal` into `scope["state"]["principal"]`.

    The tenant is the user's own `tenant_id`, where that is a tenant's name, else `default`.
    """

    PUBLIC: ClassVar[frozenset[str]] = BearerTokenAuthMiddleware.PUBLIC | {"/ok", "/info", "/metrics"}

    def __init__(
        self,
        app: ASGIApp,
        auth: "Auth",
        config: AuthConfig,
        *,
        public: Collection[str] = PUBLIC,
        studio: bool = False,
        admit: Callable[[Principal], Awaitable[None]] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Read the handler's parameters.

        Args:
            app: what comes behind the door.
            auth: with the handler.
            config: the cache.
            public: whole paths that need no user.
            studio: whether a request to a loopback name that says it comes from LangGraph Studio needs no more. For
                development alone, since anybody can say so.
            admit: refuses those whose tenant is suspended.
            clock: seconds that only go forward.

        Raises:
            InvalidGraph: the handler takes what no request has.
        """
        self.app = app
        handler: Any = auth._authenticate_handler
        self._call = HandlerCall.of(handler, config.path.where)
        self._public = frozenset(public)
        self._studio = studio and not config.disable_studio_auth
        self._admit = admit
        self._cache = _Cache(config, clock)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in {"http", "websocket"} or self._is_public(scope):
            await self.app(scope, receive, send)
            return
        scope.setdefault("state", {})
        replay = Replay(receive)
        try:
            principal = await self._identify(scope, replay)
            if self._admit is not None:
                await self._admit(principal)
            refuse_unless_allowed(principal, scope)  # the project's handlers decide within a tenant, not above it
        except DomainError as error:
            await _refuse(scope, send, error)
            return
        scope["state"]["principal"] = principal
        if self._admit is not None:
            scope["state"]["recheck"] = partial(self._recheck, principal)
        # Starlette's own names, which a project's routes and middlewares know.
        scope["user"] = sdk_user(principal.user or {})
        scope["auth"] = AuthCredentials(list(principal.permissions))
        address = scope["client"][0] if scope.get("client") else None
        with (
            logger.contextualize(tenant_id=principal.tenant_id),
            coming_from(address, scope["state"].get("request_id")),
        ):
            await self.app(scope, replay.receive, send)

    async def _recheck(self, principal: Principal, scope: Scope) -> None:
        """Raise when the tenant was suspended. Whether the project's handler changed its mind is not asked again."""
        del scope
        assert self._admit is not None
        await self._admit(principal)

    def _is_public(self, scope: Scope) -> bool:
        path: str = scope["path"]
        return (path in self._public or is_webhook(path)) and not is_custom_route(scope)

    async def _identify(self, scope: Scope, replay: Replay) -> Principal:
        if self._studio and _is_studio(scope):
            return principal_of({"identity": "langgraph-studio-user", "kind": STUDIO_KIND})
        key = self._cache.key(scope)
        principal = self._cache.find(key)
        if principal is None:
            try:
                said = await self._call.call(scope, replay)
            except DomainError:
                raise
            except Exception as error:
                raise_refusal(error)
                raise
            principal = principal_of(said)
            self._cache.keep(key, principal)
        return principal


def is_custom_route(scope: Scope) -> bool:
    """Tell whether a request is for a route of the project's own application."""
    state: Mapping[str, Any] = scope.get("state") or {}
    return state.get("custom_route") is True


def principal_of(said: object) -> Principal:
    """Return the principal that a handler's answer means: an identity, a map with one, or an object with one.

    Raises:
        BadRequest: it is none of these.
    """
    user = _as_map(said)
    identity = user.get("identity")
    if not isinstance(identity, str) or not 0 < len(identity) <= IDENTITY_LIMIT:
        raise BadRequest("The server's authentication named nobody: its answer needs an `identity` that is a text.")
    tenant = user.get("tenant_id")
    permissions = tuple(str(one) for one in user.get("permissions") or ())
    return Principal(
        tenant_id=tenant if isinstance(tenant, str) and _TENANT.fullmatch(tenant) else DEFAULT_TENANT,
        user_id=identity,
        user={"is_authenticated": True, "display_name": identity, **user, "permissions": list(permissions)},
        permissions=permissions,
    )


def _as_map(said: Any) -> dict[str, Any]:
    if isinstance(said, str):
        return {"identity": said}
    if isinstance(said, Mapping):
        return {str(key): value for key, value in said.items()}
    if is_dataclass(said) and not isinstance(said, type):
        return asdict(said)
    if hasattr(said, "model_dump"):
        return dict(said.model_dump())
    names = ("identity", "display_name", "is_authenticated", "permissions", "tenant_id")
    return {name: getattr(said, name) for name in names if hasattr(said, name)}


def _is_studio(scope: Scope) -> bool:
    # The host's name too, or a page of another site could reach this one under its own name (DNS rebinding).
    headers = list(scope["headers"])
    hosts = [value for name, value in headers if name == b"host"]
    return _STUDIO_SCHEME in headers and len(hosts) == 1 and _LOOPBACK_HOST.fullmatch(hosts[0]) is not None


async def _refuse(scope: Scope, send: Send, error: DomainError) -> None:
    if scope["type"] != "http":  # before it is accepted: the server answers the handshake with 403
        await send({"type": "websocket.close", "code": 4000 + error.status, "reason": error.detail[:100]})
        return
    more = [
        (name.lower().encode("latin-1"), value.encode("latin-1"))
        for name, value in (error.headers if isinstance(error, Refused) else {}).items()
        if name.lower() not in _SERVER_HEADERS
    ]

    async def with_more(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message["headers"], *more]}
        await send(message)

    await refuse(scope, with_more, error)


class _Cache:
    """Answers of the handler by the values of some headers, for a while; the oldest goes when it is full."""

    def __init__(self, config: AuthConfig, clock: Callable[[], float]) -> None:
        self._config = config.cache
        self._names = [] if config.cache is None else [name.lower().encode() for name in config.cache.cache_keys]
        self._clock = clock
        self._kept: OrderedDict[tuple[Any, ...], tuple[float, Principal]] = OrderedDict()

    def key(self, scope: Scope) -> tuple[Any, ...] | None:
        """Return what a request is known by; None when it has none of the headers, and so is not kept."""
        if self._config is None:
            return None
        values = tuple(
            tuple(value for name, value in scope["headers"] if name == wanted) or None for wanted in self._names
        )
        return values if any(values) else None

    def find(self, key: tuple[Any, ...] | None) -> Principal | None:
        if key is None or key not in self._kept:
            return None
        ends, principal = self._kept[key]
        if ends <= self._clock():
            del self._kept[key]
            return None
        return principal

    def keep(self, key: tuple[Any, ...] | None, principal: Principal) -> None:
        if key is None or self._config is None:
            return
        self._kept[key] = self._clock() + self._config.ttl_seconds, principal
        self._kept.move_to_end(key)
        if len(self._kept) > self._config.max_size:
            self._kept.popitem(last=False)
