"""What a project's `http` section makes of the server.

Its own application around ours, groups of routes switched off, a prefix, and CORS.

`compose` puts it together. Without an application: the door, the groups, the core. With one, by `middleware_order`:

    middleware_first (the default)    its middlewares, then its routes, or the door and the core
    auth_first                        the door, its middlewares, then its routes or the core

Its routes come first, but for those of `RESERVED`. They pass the door only with `enable_custom_route_auth`.
"""

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Match, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from backend.core.error import InvalidGraph
from backend.core.graph.loader import load_object
from backend.core.graph.project import CorsConfig, HttpConfig, OpenApiConfig
from backend.core.loopback import is_loopback

Door = Callable[[ASGIApp], ASGIApp]
"""Puts the authentication before an application."""

RESERVED = frozenset({"/ok", "/info", "/metrics", "/docs", "/redoc", "/openapi.json"})
"""Paths that a project's own application cannot take over."""
UNPREFIXED = frozenset({"/ok", "/metrics"})
"""Paths of the Agent Server API that probes find without the prefix too."""
HOUSE_ROOTS = frozenset({"api", "v1", "ws", "health", "socket.io", "problems", "favicon.ico"})
"""First parts of the paths that are not of the Agent Server API; the prefix does not move them."""
_META = frozenset({"info", "metrics", "docs", "redoc", "openapi.json"})


class CustomApp:
    """A project's own Starlette or FastAPI application, as the file `http.app` names it."""

    def __init__(self, app: Starlette) -> None:
        self.app = app
        # What FastAPI serves of its own accord stands where ours is, which describes the project's routes too.
        names = ("docs_url", "redoc_url", "openapi_url", "swagger_ui_oauth2_redirect_url")
        own = {getattr(app, name, None) for name in names} - {None}
        self._routes = [route for route in app.router.routes if getattr(route, "path", None) not in own]

    @classmethod
    def load(cls, http: HttpConfig) -> "CustomApp | None":
        """Import the application; it blocks.

        Raises:
            InvalidGraph: it cannot be imported, or is none.
        """
        if http.app is None:
            return None
        app = load_object(http.app)
        if not isinstance(app, Starlette):
            raise InvalidGraph(f"{http.app.where}: is {type(app).__name__}, not a Starlette or FastAPI application.")
        return cls(app)

    @asynccontextmanager
    async def lifespan(self) -> AsyncIterator[None]:
        """Start the application up, and shut it down; within the server's own lifespan."""
        async with self.app.router.lifespan_context(self.app):
            yield

    def has(self, scope: Scope) -> bool:
        """Tell whether one of its routes answers a request, method included."""
        if scope["type"] not in {"http", "websocket"} or scope["path"] in RESERVED:
            return False
        return any(route.matches(scope)[0] is Match.FULL for route in self._routes)

    def around(self, core: ASGIApp, door: Door | None) -> ASGIApp:
        """Return the application with `core` behind its own routes, and its middlewares around both.

        `door` is put before its own routes.
        """
        self.app.user_middleware.append(Middleware(_Fork, custom=self, core=core, door=door))  # the innermost
        self.app.middleware_stack = None  # made anew at the first request
        return self.app

    def openapi(self) -> dict[str, Any]:
        """Return what the OpenAPI document says of its routes: `paths` and `components`."""
        described = getattr(self.app, "openapi", None)
        if callable(described):
            document: dict[str, Any] = described()
            return {"paths": document.get("paths", {}), "components": document.get("components", {})}
        paths: dict[str, Any] = {}
        for route in self._routes:
            if isinstance(route, Route) and route.include_in_schema:
                for method in sorted(route.methods or ()):
                    answer = {"summary": route.name, "responses": {"200": {"description": "Successful Response"}}}
                    paths.setdefault(route.path_format, {})[method.lower()] = answer
        return {"paths": paths, "components": {}}


def compose(core: ASGIApp, http: HttpConfig, custom: CustomApp | None, door: Door) -> ASGIApp:
    """Return all that stands behind CORS, the limit of the body and the log of requests.

    Args:
        core: our routes, Socket.IO included, without authentication.
        http: the section.
        custom: the project's application, when it has one; `custom.lifespan()` is run by whoever runs ours.
        door: puts the authentication before an application. Calls within this process do not pass it.
    """

    def guard(app: ASGIApp) -> ASGIApp:
        return _Guard(app, door(app))

    whole: ASGIApp = _Groups(core, http) if any(_switches(http).values()) else core
    if custom is None:
        whole = guard(whole)
    elif http.middleware_order == "auth_first":
        inner = custom.around(whole, None)
        guarded = guard(inner)
        whole = _Branch(custom, guarded if http.enable_custom_route_auth else inner, guarded)
    else:
        whole = custom.around(guard(whole), guard if http.enable_custom_route_auth else None)
    return whole


def prefixed(app: ASGIApp, http: HttpConfig) -> ASGIApp:
    """Return the application behind `http.mount_prefix`; the outermost, since what is within knows paths without it."""
    return _Prefix(app, http.mount_prefix) if http.mount_prefix else app


class _Fork:
    """Sends a request on to the application's own routes or to the core."""

    def __init__(self, app: ASGIApp, custom: CustomApp, core: ASGIApp, door: Door | None) -> None:
        self._branch = _Branch(custom, app if door is None else door(app), core)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._branch(scope, receive, send)


class _Guard:
    """The door, and the way past it for calls within this process."""

    def __init__(self, app: ASGIApp, guarded: ASGIApp) -> None:
        self._app = app
        self._guarded = guarded

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await (self._app if is_loopback(scope) else self._guarded)(scope, receive, send)


class _Branch:
    """Sends requests for routes of the project's own one way, and all others another."""

    def __init__(self, custom: CustomApp, own: ASGIApp, other: ASGIApp) -> None:
        self._custom = custom
        self._own = own
        self._other = other

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        own = self._custom.has(scope)
        if scope["type"] in {"http", "websocket"}:
            scope.setdefault("state", {})["custom_route"] = own
        await (self._own if own else self._other)(scope, receive, send)


class _Groups:
    """Answers 404 for the routes of the groups that are switched off."""

    def __init__(self, app: ASGIApp, http: HttpConfig) -> None:
        self._app = app
        self._off = {group for group, off in _switches(http).items() if off}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in {"http", "websocket"} and self._off & groups(scope["path"]):
            await _not_found(scope, send)
        else:
            await self._app(scope, receive, send)


def groups(path: str) -> set[str]:
    """Return the groups of `http.disable_*` to which a path of the Agent Server API belongs."""
    parts = [part for part in path.split("/") if part]
    match parts:
        case ["threads", _, "runs", *_] | ["runs", *_]:
            return {"runs"}
        case ["threads", _, "commands"]:
            return {"event_streaming", "runs"}  # it starts runs
        case ["threads", _, "stream", "events"]:
            return {"event_streaming"}
        case [("assistants" | "threads" | "store" | "mcp" | "a2a" | "ui") as group, *_]:
            return {group}
        case [".well-known", *_]:
            return {"a2a"}
        case [part] if part in _META:
            return {"meta"}
        case ["docs", *_]:
            return {"meta"}
    return set()


def _switches(http: HttpConfig) -> dict[str, bool]:
    return {
        "assistants": http.disable_assistants,
        "threads": http.disable_threads,
        "runs": http.disable_runs,
        "store": http.disable_store,
        "mcp": http.disable_mcp,
        "a2a": http.disable_a2a,
        "meta": http.disable_meta,
        "ui": http.disable_ui,
        "event_streaming": http.disable_event_streaming,
    }


class _Prefix:
    """Takes the prefix off paths that have it; what should have it and has not, is not there."""

    def __init__(self, app: ASGIApp, prefix: str) -> None:
        self._app = app
        self._prefix = prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        path: str = scope["path"]
        if path.startswith(f"{self._prefix}/"):
            rest = path[len(self._prefix) :]
            # Routers take `root_path` off a path that begins with it, so such a path would be understood in two ways.
            if rest == self._prefix or rest.startswith(f"{self._prefix}/"):
                await _not_found(scope, send)
                return
            await self._app({**scope, "path": rest, "root_path": self._prefix}, receive, send)
        elif path in UNPREFIXED or path.split("/")[1] in HOUSE_ROOTS or path == "/":
            await self._app(scope, receive, send)
        else:
            await _not_found(scope, send)


async def _not_found(scope: Scope, send: Send) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 4404, "reason": "Not Found"})
        return
    body = b'{"detail":"Not Found"}'
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 404, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def cors_options(cors: CorsConfig | None, origins: Iterable[str], exposed: Iterable[str]) -> dict[str, Any] | None:
    """Return how `CORSMiddleware` is made, by `http.cors`, else by the setting; None when nobody may call.

    `exposed` is what a page may read in any case: without it the official clients cannot follow a run.
    """
    if cors is None:
        origins = list(origins)
        if not origins:
            return None
        cors = CorsConfig(allow_origins=tuple(origins), allow_methods=("*",))
    return {
        "allow_origins": cors.allow_origins,
        "allow_methods": cors.allow_methods,
        "allow_headers": cors.allow_headers,
        "allow_credentials": cors.allow_credentials,
        "allow_origin_regex": cors.allow_origin_regex,
        "expose_headers": [*dict.fromkeys([*exposed, *cors.expose_headers])],
        "max_age": cors.max_age,
        "allow_private_network": True,  # pages served over HTTPS, as LangGraph Studio, call servers on loopback
    }


def describe(document: dict[str, Any], custom: CustomApp | None, auth: OpenApiConfig | None) -> dict[str, Any]:
    """Return our OpenAPI document with a project's routes and what it says of its authentication."""
    merged = {**document, "paths": dict(document.get("paths", {})), "components": dict(document.get("components", {}))}
    added = custom.openapi() if custom is not None else {"paths": {}, "components": {}}
    for path, methods in added["paths"].items():
        merged["paths"][path] = {**merged["paths"].get(path, {}), **methods}
    schemes = {"securitySchemes": auth.securitySchemes} if auth is not None and auth.securitySchemes else {}
    for components in (added["components"], schemes):
        for kind, items in components.items():
            merged["components"][kind] = {**items, **merged["components"].get(kind, {})}
    if auth is not None and auth.security:
        merged["security"] = list(auth.security)
    for path, methods in (auth.paths if auth is not None else {}).items():
        for method, security in methods.items():
            operation = merged["paths"].get(path, {}).get(method.lower())
            if operation is not None:
                merged["paths"][path] = {**merged["paths"][path], method.lower(): {**operation, "security": security}}
    return merged
