"""What lets in and out by HTTP does so by WebSocket and Socket.IO too (001-55, 001-56)."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
import socketio
import uvicorn
from fastapi import FastAPI
from pydantic import SecretStr
from socketio.exceptions import ConnectionError as Refused
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol

from backend.api import problem
from backend.api.socket import namespace
from backend.api.socket.namespace import build_socket_server, close_socket_server
from backend.api.socket.websocket import router as socket_router
from backend.api.v1 import api_key, auth, tenant, user
from backend.config.setting import Settings
from backend.container import Container
from backend.core.rate.memory_rate import MemoryRate
from backend.dto.tenant import Limits
from backend.main import create_app, create_asgi, lifespan
from backend.middleware import auth as door
from backend.middleware.auth import BearerTokenAuthMiddleware
from backend.middleware.tracking import TrackingMiddleware
from backend.service.limit import LimitBook, no_limits
from backend.service.rate import RateService
from test.door_fixture import Server
from test.engine_fixture import Engine
from test.identity.conftest import ACME, OPERATOR, PASSWORD, House
from test.server import free_port


@dataclass
class Whole:
    url: str

    @asynccontextmanager
    async def client(self, token: str | None) -> AsyncIterator[httpx.AsyncClient]:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        async with httpx.AsyncClient(base_url=self.url, headers=headers, timeout=60) as http:
            yield http

    async def login(self, role: str) -> dict[str, Any]:
        async with self.client(ACME) as http:
            body = {"email": f"{role}@acme.example", "role": role, "password": PASSWORD}
            assert (await http.post("/api/v1/users", json=body)).status_code == 201
            body = {"company_id": "acme", "email": f"{role}@acme.example", "password": PASSWORD}
            found: dict[str, Any] = (await http.post("/api/v1/auth/login", json=body)).json()
            return found

    def websocket(self, token: str) -> Any:
        return connect(self.url.replace("http", "ws", 1) + "/ws/chat", additional_headers={"x-api-key": token})

    async def socket(self, token: str) -> tuple[socketio.AsyncClient, asyncio.Event]:
        client = socketio.AsyncClient(reconnection=False)
        gone = asyncio.Event()
        client.on("disconnect", lambda *_: gone.set())
        await client.connect(self.url, auth={"token": token}, transports=["websocket"])
        return client, gone


@asynccontextmanager
async def serving(app: Any) -> AsyncIterator[str]:
    """Serve an application on a real port; yield its address."""
    port = free_port()
    options: dict[str, Any] = {"log_config": None, "lifespan": "off", "ws": "websockets-sansio", "access_log": False}
    server = Server(uvicorn.Config(app, port=port, **options))
    task = asyncio.create_task(server.serve())
    async with asyncio.timeout(60):
        await server.ready.wait()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.stop.set()
        await task


@pytest.fixture
async def whole(lite: Engine, home: House) -> AsyncIterator[Whole]:
    """The doors and the sockets over the run engine, and the routes of tenants and people."""
    settings = Settings(_env_file=None)
    rates = RateService(MemoryRate(), LimitBook(no_limits, Limits()))
    container: Any = SimpleNamespace(
        **vars(home.routes.state.container),
        settings=lambda: settings,
        authenticator=lambda: home.authenticator,
        run_service=lambda: lite.runs,
        thread_service=lambda: lite.threads,
        hand_over_service=lambda: None,  # nobody takes a thread over here
        rate_service=lambda: rates,
    )
    app = FastAPI()
    app.state.container = container
    problem.install(app)
    for part in (auth, tenant, user, api_key):
        app.include_router(part.router, prefix="/api/v1")
    app.include_router(socket_router)
    sockets = build_socket_server(container, settings)
    guarded = BearerTokenAuthMiddleware(socketio.ASGIApp(sockets, app), home.authenticator)
    async with serving(TrackingMiddleware(guarded)) as url:
        yield Whole(url)
        await close_socket_server(sockets)


async def ping(socket: Any) -> dict[str, Any]:
    await socket.send(json.dumps({"type": "ping", "ref": 1}))
    async with asyncio.timeout(60):
        answer: dict[str, Any] = json.loads(await socket.recv())
    return answer


async def test_the_server_as_it_is_started_lets_a_user_log_in_and_chat(tmp_path: Path) -> None:
    settings = Settings(
        _env_file=None,
        data_dir=tmp_path,
        auth_mode="token",
        admin_token=SecretStr(OPERATOR),
        tenant_tokens={"acme": SecretStr(ACME)},
        sample_corpus=False,
    )
    app = create_app(Container(settings=settings))
    whole = create_asgi(app)
    async with lifespan(app), serving(whole) as url:
        server = Whole(url)
        token = (await server.login("agent"))["access_token"]
        async with server.client(token) as http:
            answer = await http.post("/api/v1/chat", json={"message": "안녕하세요"})
            assert answer.status_code == 200, answer.text
            assert (await http.get("/api/v1/tenant")).status_code == 403
        async with server.client(OPERATOR) as http:
            assert (await http.get("/api/v1/tenants")).json()["total"] == 2
    assert (tmp_path / "secret.key").stat().st_mode & 0o777 == 0o600


async def test_logging_out_ends_every_door(whole: Whole) -> None:
    login = await whole.login("agent")
    token = login["access_token"]
    async with whole.client(token) as http:
        client, gone = await whole.socket(token)
        async with whole.websocket(token) as socket:
            assert (await ping(socket))["event"] == "pong"
            assert (await client.call("ping", {}))["user_id"] == login["user"]["user_id"]
            await http.post("/api/v1/auth/logout", json={"refresh_token": login["refresh_token"]})
            with pytest.raises(ConnectionClosed):
                await ping(socket)
            assert socket.close_code == 4401
        await client.emit("join", {"thread_id": "01990000-0000-7000-8000-000000000000"})
        async with asyncio.timeout(60):
            await gone.wait()
        assert (await http.get("/api/v1/auth/me")).status_code == 401
    with pytest.raises(Refused):
        await whole.socket(token)
    with pytest.raises(InvalidStatus) as caught:
        async with whole.websocket(token):
            pass
    assert caught.value.response.status_code == 403


async def test_a_silent_socket_is_closed_when_its_key_is_revoked(whole: Whole, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(namespace, "RECHECK_SECONDS", 0.05)
    monkeypatch.setattr(door, "RECHECK_SECONDS", 0.05)
    async with whole.client(ACME) as http:
        made = (await http.post("/api/v1/api-keys", json={"name": "x", "scopes": ["chat"]})).json()
        client, gone = await whole.socket(made["api_key"])
        async with whole.websocket(made["api_key"]) as socket:
            assert (await ping(socket))["event"] == "pong"
            assert not gone.is_set()
            await http.delete(f"/api/v1/api-keys/{made['key_id']}")
            async with asyncio.timeout(60):
                await socket.wait_closed()
                await gone.wait()
            assert socket.close_code == 4401
    await client.disconnect()


async def test_a_suspended_tenants_sockets_are_closed(whole: Whole) -> None:
    client, gone = await whole.socket(ACME)
    async with whole.websocket(ACME) as socket, whole.client(OPERATOR) as http:
        assert (await ping(socket))["event"] == "pong"
        assert (await http.post("/api/v1/tenants/acme/suspend")).status_code == 200
        with pytest.raises(ConnectionClosed):
            await ping(socket)
        assert socket.close_code == 4403
        await client.emit("ping", {})
        async with asyncio.timeout(60):
            await gone.wait()


async def test_who_may_not_chat_opens_no_socket(whole: Whole) -> None:
    token = (await whole.login("viewer"))["access_token"]
    with pytest.raises(Refused):
        await whole.socket(token)
    with pytest.raises(InvalidStatus) as caught:
        async with whole.websocket(token):
            pass
    assert caught.value.response.status_code == 403
    async with whole.client(token) as http:
        answer = await http.post("/api/v1/threads", json={})
        assert (answer.status_code, answer.json()["detail"]) == (403, "Your role or key does not allow this.")


async def test_a_browser_offers_its_access_token_as_a_subprotocol(whole: Whole) -> None:
    token = (await whole.login("agent"))["access_token"]
    url = whole.url.replace("http", "ws", 1) + "/ws/chat"
    async with connect(url, subprotocols=[Subprotocol("bearer"), Subprotocol(token)]) as socket:
        assert socket.subprotocol == "bearer"
        assert (await ping(socket))["event"] == "pong"
