"""The application and its life: `python -m backend.main` serves it, `daedap serve` does the same."""

import gc

gc.disable()  # what imports make stays; looking through it again and again is a fifth of the start

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from functools import partial
from typing import Any, Protocol

import socketio
import uvicorn
from fastapi import FastAPI
from loguru import logger
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Scope

from backend.api import problem
from backend.api.agent.custom_app import CustomApp, compose, cors_options, describe, prefixed
from backend.api.agent.router import hot_routes
from backend.api.agent.router import router as agent_router
from backend.api.chat.router import router as simple_chat_router
from backend.api.health import router as health_router
from backend.api.hot_path import HotPath
from backend.api.http_protocol import HeadWithBody
from backend.api.open_api import secured, with_failures
from backend.api.openai.router import router as openai_router
from backend.api.page import router as page_router
from backend.api.rag.router import is_build
from backend.api.rag.router import router as rag_router
from backend.api.setup.router import router as setup_router
from backend.api.socket.namespace import build_socket_server, close_socket_server
from backend.api.socket.websocket import router as websocket_router
from backend.api.v1.chat import router as chat_router
from backend.api.v1.file import is_file_upload
from backend.api.v1.knowledge import is_upload
from backend.api.v1.router import router as v1_router
from backend.config.logging import flush_logging, setup_logging
from backend.config.setting import LOOPBACK, SettingError, Settings, load_settings
from backend.container import Container
from backend.core.error import DomainError, InvalidGraph
from backend.core.graph.project import CorsConfig, HttpConfig
from backend.core.loopback import close_loopback, install_loopback, open_loopback
from backend.database.migrate import migrate
from backend.dto.principal import DEFAULT_TENANT
from backend.middleware.agent_door import AgentDoorMiddleware, is_agent_path
from backend.middleware.auth import LOOPBACK_ORIGIN, BearerTokenAuthMiddleware
from backend.middleware.cors import CorsMiddleware
from backend.middleware.custom_auth import CustomAuthMiddleware
from backend.middleware.limit import BodyLimitMiddleware
from backend.middleware.openai_error import OpenAIErrorMiddleware
from backend.middleware.rate import RateMiddleware
from backend.middleware.tracking import TrackingMiddleware
from backend.schema.tag import TAGS
from backend.service.run_header import configurable_headers

gc.freeze()  # or the first collection would do at once what was put off
gc.enable()

EXPOSED = (
    "Accept-Ranges",
    "Content-Disposition",
    "Content-Location",
    "Content-Range",
    "ETag",
    "Location",
    "Repr-Digest",
    "Retry-After",
    "X-Pagination-Next",
    "X-Pagination-Total",
    "X-Process-Time",
    "X-RateLimit-Limit",
    "X-RateLimit-Remaining",
    "X-RateLimit-Reset",
    "X-Request-ID",
    "X-Run-ID",
    "X-Thread-ID",
)
"""Headers that a page of another origin may read."""
KEEP_ALIVE_SECONDS = 75
"""Longer than the idle limit of usual proxies (60 s), or they would now and then use a connection that just ends."""
PING_SECONDS = 10
STALL_MILLISECONDS = 30_000
"""After which the kernel gives up a connection whose peer takes nothing."""
MULTIPART_BYTES = 64 * 1024
"""What a form adds to the file in it."""
SPARE_THREADS = 32
"""Beyond one for each run that may execute at once."""
SHUTDOWN_MARGIN = 5
"""Seconds beyond the drain time in which open connections must have ended."""


def create_app(container: Container) -> FastAPI:
    """Return the routes over a container; `create_asgi` makes the whole application of it."""
    container.check_dependencies()
    app = FastAPI(
        title="Daedap",
        version=container.version(),
        summary="An open LangGraph agent server with its own knowledge.",
        openapi_tags=TAGS,
        lifespan=lifespan,
        strict_content_type=False,
    )
    app.state.container = container
    app.state.socket_server = build_socket_server(container, container.settings())
    problem.install(app)
    outer = (page_router, health_router, setup_router, simple_chat_router, rag_router)
    for router in (*outer, v1_router, openai_router, websocket_router, agent_router):
        app.include_router(router)
    app.openapi = partial(_openapi, app, app.openapi)  # type: ignore[method-assign]  # as FastAPI's manual has it
    return app


def _openapi(app: FastAPI, own: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Return our OpenAPI document, with what a project adds to it; with its own authentication, only that stands."""
    container: Container = app.state.container
    config = container.projects().auth
    custom: CustomApp | None = getattr(app.state, "custom", None)
    document = with_failures(own())
    return describe(secured(document), custom, None) if config is None else describe(document, custom, config.openapi)


def create_asgi(app: FastAPI) -> ASGIApp:
    """Return the whole application: Socket.IO around the routes, and around both what every request passes.

    Raises:
        InvalidGraph: a project's own application or authentication cannot be loaded.
    """
    container: Container = app.state.container
    settings = container.settings()
    install_loopback()  # before anything of a project is imported
    projects = container.projects()
    http = projects.http
    custom = app.state.custom = CustomApp.load(http)
    routes = HotPath(app, {v1_router.prefix: chat_router.routes, "": hot_routes})
    core: ASGIApp = socketio.ASGIApp(app.state.socket_server, other_asgi_app=routes)
    whole = app.state.inside = compose(core, http, custom, _limited(_door(container), container))
    larger = (
        (is_upload, settings.max_upload_bytes),
        (is_file_upload, settings.max_file_bytes + MULTIPART_BYTES),
        (is_agent_path, settings.max_input_bytes),
        (is_build, settings.max_input_bytes),
    )
    whole = BodyLimitMiddleware(whole, settings.max_body_bytes, larger)
    options = cors_options(http.cors, settings.cors_origins, EXPOSED)
    if settings.auth_mode == "disabled" and http.cors is None and projects.auth is None:
        # The door lets in pages that this machine serves.
        options = cors_options(CorsConfig(allow_origins=settings.cors_origins, allow_methods=("*",)), (), EXPOSED)
        options = {**(options or {}), "allow_origin_regex": LOOPBACK_ORIGIN}
    if options is not None:
        whole = CorsMiddleware(whole, **options)
    log = container.request_log_service()
    whole = TrackingMiddleware(whole, _logged(http), log.saw if log.enabled else None)
    return prefixed(AgentDoorMiddleware(OpenAIErrorMiddleware(whole)), http)


def _logged(http: HttpConfig) -> Callable[[Scope], Mapping[str, str]] | None:
    """Return what gives the headers of a request that are logged; none without the project's word."""
    config = http.logging_headers
    return None if config is None else lambda scope: configurable_headers(Headers(scope=scope), config)


def _limited(door: Callable[[ASGIApp], ASGIApp], container: Container) -> Callable[[ASGIApp], ASGIApp]:
    """Return the door with the rate limits right behind it."""
    return lambda app: door(RateMiddleware(app, container.rate_service()))


def _door(container: Container) -> Callable[[ASGIApp], ASGIApp]:
    """Return what puts the authentication before an application: a project's own, or ours.

    Raises:
        InvalidGraph: the settings want a project's, and there is none.
    """
    settings = container.settings()
    config = container.projects().auth
    if config is not None:
        auth = container.auth()
        assert auth is not None  # there is its section
        public = CustomAuthMiddleware.PUBLIC
        if settings.docs_public:
            public |= BearerTokenAuthMiddleware.DOCS
        studio = settings.environment == "development" and settings.host in LOOPBACK
        admit = container.tenant_service().admit
        return lambda app: CustomAuthMiddleware(app, auth, config, public=public, studio=studio, admit=admit)
    if settings.auth_mode == "custom":
        raise InvalidGraph("AUTH_MODE=custom needs a langgraph.json with auth.path (GRAPH_CONFIG).")
    cors = container.projects().http.cors
    origins = (*settings.cors_origins, *(() if cors is None else cors.allow_origins))
    return lambda app: BearerTokenAuthMiddleware(
        app, container.authenticator(), docs_public=settings.docs_public, cors_origins=origins
    )


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Open the parts in order; close them in reverse, also after a failed start."""
    container: Container = app.state.container
    settings = container.settings()
    async with AsyncExitStack() as stack:
        folder = container.data_folder()
        folder.claim(container.url())
        stack.callback(folder.release)
        await migrate(container.migrated_database())
        await _open(stack, container.database())
        await container.tenant_service().open()
        if (redis := container.redis()) is not None:
            await _open(stack, redis)
        await _open(
            stack, container.caches(), container.usage_recorder(), container.request_log(), container.file_storages()
        )
        await container.graph_registry().open()
        # The three that take long, at once: they read files and import in threads.
        await _open(stack, container.embedding_manager(), container.chroma_manager(), container.llm_manager())
        stack.push_async_callback(container.passage_indexes().close)
        ingest = container.ingest_service()
        await _open(stack, ingest)
        await asyncio.to_thread(container.access_control)  # it imports what a project names
        await asyncio.to_thread(container.run_priority)  # this too
        await container.assistant_service().open()
        await stack.enter_async_context(container.webhook_service())
        setup = container.setup_service()
        stack.push_async_callback(setup.close)
        await setup.rotate_secrets()
        await _open(stack, container.index_worker(), container.sync_service())
        await stack.enter_async_context(container.run_worker())  # opened late, drained early
        await stack.enter_async_context(container.cron_scheduler())
        await _open(stack, container.tenant_purge())
        await stack.enter_async_context(container.sweeper())
        if (inside := getattr(app.state, "inside", None)) is not None:
            open_loopback(inside)
            stack.callback(close_loopback, inside)
        if (custom := getattr(app.state, "custom", None)) is not None:
            await stack.enter_async_context(custom.lifespan())
        stack.push_async_callback(close_socket_server, app.state.socket_server)
        if settings.freshdesk_domain is not None and settings.freshdesk_api_key is not None:
            await setup.install_default(settings.platform, settings.freshdesk_domain, settings.freshdesk_api_key)
        if settings.sample_corpus:
            await ingest.load_sample(DEFAULT_TENANT)
        logger.info("ready on {url}", url=container.url())
        yield


class _Part(Protocol):
    """A part that is opened and closed."""

    async def open(self) -> None: ...

    async def close(self) -> None: ...


async def _open(stack: AsyncExitStack, *parts: _Part) -> None:
    """Open parts at once; whatever becomes of that, each is closed at the end. The first failure is raised."""
    for part in parts:
        stack.push_async_callback(part.close)
    for failure in await asyncio.gather(*(part.open() for part in parts), return_exceptions=True):
        if failure is not None:
            raise failure


class Server(uvicorn.Server):
    """Uvicorn without its own handling of signals, so that ours holds from the first moment to the last."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def serve(settings: Settings) -> int:
    """Serve until told to stop (SIGINT, SIGTERM); return the exit code of the process."""
    from backend.core.sturdy_loop import SturdyLoop, left_behind
    from backend.util.allocator import keep_less

    setup_logging(settings)
    keep_less()
    threads = settings.run_concurrency + SPARE_THREADS
    try:
        code = asyncio.run(_serve(settings), loop_factory=lambda: SturdyLoop(threads))
        stuck = len(left_behind())
        if stuck:
            logger.warning("{count} threads do not come to an end and are left behind", count=stuck)
    finally:
        flush_logging()
    if stuck:
        os._exit(code)  # everything is closed
    return code


async def _serve(settings: Settings) -> int:
    from backend.core.sturdy_loop import outliving_exits, watch_for_blocking

    container = Container(settings=settings)
    try:
        app = create_app(container)
        whole = create_asgi(app)
    except DomainError as error:
        logger.error("the server cannot start: {reason}", reason=error.detail)
        return 1
    config = uvicorn.Config(
        whole,
        host=settings.host,
        port=settings.port,
        lifespan="off",
        http=HeadWithBody,
        ws="websockets-sansio",
        ws_max_size=settings.max_message_bytes,
        ws_ping_interval=PING_SECONDS,
        ws_ping_timeout=PING_SECONDS,
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=int(settings.drain_seconds) + SHUTDOWN_MARGIN,
    )
    try:
        listener = config.bind_socket()
    except SystemExit:
        logger.error("port {port} of {host} cannot be opened", port=settings.port, host=settings.host)
        return 1
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux; accepted connections inherit it
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, STALL_MILLISECONDS)
    container.url.override(_url(settings.host, listener.getsockname()[1]))
    server = Server(config)
    try:
        with _stopping(app, server), outliving_exits():
            async with whole_life(app):
                watch = asyncio.create_task(watch_for_blocking(), name="loop-watch")
                try:
                    await server.serve(sockets=[listener])
                finally:
                    watch.cancel()
    except DomainError as error:
        logger.error("the server cannot start: {reason}", reason=error.detail)
        return 1
    except asyncio.CancelledError:
        logger.info("stopped before it was ready")
    finally:
        listener.close()
    return 0


@asynccontextmanager
async def whole_life(app: FastAPI) -> AsyncIterator[None]:
    """The life of an application that the process ends with: the collector leaves alone what its start has made.

    Where a process outlives it, what is closed has to be collected; so this is no part of `lifespan`.
    """
    gc.disable()  # as for the imports: what is opened stays
    try:
        async with lifespan(app):
            # What was made by now stays: later collections need not look at it, and so do not stop the streams for it.
            gc.freeze()
            gc.set_threshold(20_000, 20, 50)
            gc.enable()
            yield
    finally:
        gc.enable()


@contextmanager
def _stopping(app: FastAPI, server: Server) -> Iterator[None]:
    """Stop at a signal: a first one ends what is open in order, a second one at once."""
    container: Container = app.state.container
    loop = asyncio.get_running_loop()
    whole = asyncio.current_task()
    draining: list[asyncio.Task[None]] = []

    async def drain() -> None:
        # Streams end when their runs do, so the runs are drained while uvicorn waits for the streams.
        await container.run_worker().drain()
        await close_socket_server(app.state.socket_server)

    def stop() -> None:
        if not server.started:
            if whole is not None:
                whole.cancel()
        elif draining:
            server.force_exit = True
        else:
            logger.info("stopping")
            container.health_service().drain()
            draining.append(loop.create_task(drain()))
            server.should_exit = True

    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, stop)
    try:
        yield
    finally:
        for name in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(name)


def _url(host: str, port: int) -> str:
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def main() -> int:
    """Serve with the settings of the environment."""
    try:
        settings = load_settings()
    except SettingError as error:
        sys.stderr.write(f"The settings cannot be used:\n{error}\n")
        return 2
    return serve(settings)


if __name__ == "__main__":
    sys.exit(main())
