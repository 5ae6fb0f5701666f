"""The doors for tests: the real routes, sockets and middleware over the real run engine, served on a real port."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import httpx
import orjson
import pytest
import socketio
import uvicorn
from fastapi import FastAPI
from pydantic import SecretStr

from backend.api import problem
from backend.api.chat.router import router as simple_chat_router
from backend.api.page import router as page_router
from backend.api.socket.namespace import build_socket_server, close_socket_server
from backend.api.socket.websocket import router as socket_router
from backend.api.v1 import agent, chat, hand_over, run, thread
from backend.config.setting import Settings
from backend.core.rate.memory_rate import MemoryRate
from backend.dto.tenant import Limits
from backend.middleware.auth import BearerTokenAuthMiddleware
from backend.middleware.limit import BodyLimitMiddleware
from backend.middleware.tracking import TrackingMiddleware
from backend.service.auth import Authenticator
from backend.service.limit import LimitBook, no_limits
from backend.service.rate import RateService
from test.engine_fixture import Engine
from test.server import free_port

TOKEN = "alices-token"
OTHER_TOKEN = "mallorys-token"
TOKENS = {"default": SecretStr(TOKEN), "other": SecretStr(OTHER_TOKEN)}
QUESTION_CHARS = 500
MESSAGE_BYTES = 4096


class Server(uvicorn.Server):
    """Says when it listens, and stops at once: uvicorn's own looks ten times a second whether it should."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()
        self.stop = asyncio.Event()

    async def main_loop(self) -> None:
        await self.on_tick(0)
        await self.stop.wait()

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        self.ready.set()


@dataclass
class Door:
    """A running server, and clients for it."""

    url: str
    engine: Engine
    http: httpx.AsyncClient
    """Alice's."""
    stranger: httpx.AsyncClient
    """Mallory's, of another tenant."""
    sockets: socketio.AsyncServer

    @property
    def ws_url(self) -> str:
        return self.url.replace("http", "ws", 1) + "/ws/chat"


@dataclass(frozen=True)
class Frame:
    """One server-sent event as a client reads it."""

    name: str
    id: str | None
    data: Any


def parse(text: str) -> list[Frame]:
    """Return the events of a stream; comments are passed over."""
    found = []
    for block in text.split("\r\n\r\n"):
        fields = dict(line.split(": ", 1) for line in block.split("\r\n") if line and not line.startswith(":"))
        if fields:
            found.append(Frame(fields["event"], fields.get("id"), orjson.loads(fields["data"])))
    return found


async def stream_of(response: httpx.Response, *, until: Callable[[Frame], bool] | None = None) -> list[Frame]:
    """Read a stream to its end, or to the first event that is wanted."""
    text = ""
    async with asyncio.timeout(60):
        async for part in response.aiter_text():
            text += part
            if until is not None and text.endswith("\r\n\r\n") and any(until(frame) for frame in parse(text)):
                break
    return parse(text)


async def thread_of(door: Door, **body: Any) -> UUID:
    answer = await door.http.post("/api/v1/threads", json=body)
    assert answer.status_code == 201, answer.text
    return UUID(answer.json()["thread_id"])


@asynccontextmanager
async def open_door(engine: Engine, **overrides: Any) -> AsyncIterator[Door]:
    """Serve an engine."""
    settings = Settings(
        _env_file=None,
        auth_mode="token",
        tenant_tokens={"other": SecretStr(OTHER_TOKEN)},
        access_token=SecretStr(TOKEN),
        max_question_chars=QUESTION_CHARS,
        max_message_bytes=MESSAGE_BYTES,
        **overrides,
    )
    authenticator = Authenticator(settings.tokens)
    rates = RateService(MemoryRate(), LimitBook(no_limits, Limits()))
    container = SimpleNamespace(
        settings=lambda: settings,
        authenticator=lambda: authenticator,
        run_service=lambda: engine.runs,
        thread_service=lambda: engine.threads,
        graph_registry=lambda: SimpleNamespace(
            names=lambda: sorted(engine.agents.graphs), describe=engine.agents.describe
        ),
        rate_service=lambda: rates,
        hand_over_service=lambda: engine.hand_over,
        llm_manager=lambda: SimpleNamespace(names=lambda: ["default"], has_llm=False),
    )
    inner = FastAPI()
    inner.state.container = container
    problem.install(inner)
    for part in (agent, thread, hand_over, chat, run):
        inner.include_router(part.router, prefix="/api/v1")
    inner.include_router(socket_router)
    inner.include_router(page_router)
    inner.include_router(simple_chat_router)
    container_any: Any = container
    sockets = build_socket_server(container_any, settings)
    app: Any = socketio.ASGIApp(sockets, inner)
    app = BodyLimitMiddleware(app, settings.max_body_bytes)
    app = BearerTokenAuthMiddleware(app, authenticator, cors_origins=settings.cors_origins)
    app = TrackingMiddleware(app)
    port = free_port()
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
    server = Server(
        uvicorn.Config(
            app,
            port=port,
            log_config=None,
            lifespan="off",
            ws="websockets-sansio",
            access_log=False,
            timeout_graceful_shutdown=2,
        )
    )
    task = asyncio.create_task(server.serve())
    async with asyncio.timeout(60):
        await server.ready.wait()
    url = f"http://127.0.0.1:{port}"
    try:
        async with (
            httpx.AsyncClient(base_url=url, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=60) as http,
            httpx.AsyncClient(base_url=url, headers={"Authorization": f"Bearer {OTHER_TOKEN}"}, timeout=60) as other,
        ):
            yield Door(url, engine, http, other, sockets)
    finally:
        await close_socket_server(sockets)
        server.stop.set()
        await task


@pytest.fixture
def serve() -> Callable[..., AbstractAsyncContextManager[Door]]:
    """Return how to serve an engine with settings of one's own."""
    return open_door


@pytest.fixture
async def door(lite: Engine) -> AsyncIterator[Door]:
    """A server over the agents of the test."""
    async with open_door(lite) as made:
        yield made
