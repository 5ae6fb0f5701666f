"""An application at its smallest, and ways to call it as a server does."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
from fastapi import FastAPI, Request, UploadFile, WebSocket
from fastapi.responses import StreamingResponse
from loguru import logger
from pydantic import BaseModel, ConfigDict, Field

from backend.api.problem import install
from backend.core.error import DomainError, ThreadNotFound, TooMany


class Body(BaseModel):
    model_config = ConfigDict(extra="forbid")

    text: str = Field(max_length=10)
    number: int = 0


def small_app() -> FastAPI:
    """Return an application with one route for each kind of answer."""
    app = FastAPI()
    install(app)

    @app.get("/who")
    async def who(request: Request) -> dict[str, Any]:
        principal = getattr(request.state, "principal", None)
        return {"tenant_id": principal and principal.tenant_id, "request_id": request.state.request_id}

    @app.get("/")
    @app.get("/health")
    async def public() -> str:
        return "public"

    @app.post("/body")
    async def body(body: Body) -> Body:
        return body

    @app.post("/upload")
    async def upload(file: UploadFile) -> int:
        return len(await file.read())

    @app.post("/raw")
    async def raw(request: Request) -> int:
        return len(await request.body())

    @app.get("/stream")
    async def stream() -> StreamingResponse:
        async def parts() -> AsyncIterator[bytes]:
            yield b"one"
            await asyncio.sleep(0.05)
            yield b"two"

        return StreamingResponse(parts())

    @app.get("/broken-stream")
    async def broken_stream() -> StreamingResponse:
        async def parts() -> AsyncIterator[bytes]:
            yield b"one"
            raise RuntimeError("secret detail")

        return StreamingResponse(parts())

    @app.get("/missing/{thread_id}")
    async def missing(thread_id: str) -> None:
        raise ThreadNotFound(thread_id)

    @app.get("/busy")
    async def busy() -> None:
        raise TooMany("Slow down.", 7)

    @app.get("/odd")
    async def odd() -> None:
        raise DomainError("Odd.", status=200, slug="x", type="/evil", path="/odd")

    @app.get("/bug")
    async def bug() -> None:
        raise RuntimeError("secret detail")

    @app.websocket("/ws")
    async def ws(socket: WebSocket) -> None:
        await socket.accept()
        await socket.send_json({"tenant_id": socket.state.principal.tenant_id, "seen": socket.scope["subprotocols"]})
        await socket.close()

    return app


def client(app: Any, *, host: str = "localhost", address: str = "192.0.2.1", **options: Any) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app=app, client=(address, 50000))
    return httpx.AsyncClient(transport=transport, base_url=f"http://{host}", **options)


async def call(
    app: Any, path: str, *, headers: Iterable[tuple[str, str]] = (), kind: str = "http", **scope: Any
) -> list[dict[str, Any]]:
    """Return the messages that the application sends, as they come."""
    sent: list[dict[str, Any]] = []
    incoming: list[dict[str, Any]]
    incoming = [{"type": "websocket.connect"}] if kind == "websocket" else [{"type": "http.request", "body": b""}]

    async def receive() -> dict[str, Any]:
        if incoming:
            return incoming.pop(0)
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    full: dict[str, Any] = {
        "type": kind,
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in headers],
        "client": ("192.0.2.1", 50000),
        "server": ("localhost", 80),
        "scheme": "http",
    }
    if kind == "http":
        full["method"] = "GET"
    else:
        full["subprotocols"] = []
    full |= scope
    async with asyncio.timeout(60):
        await app(full, receive, send)
    return sent


@contextmanager
def logged(level: str = "DEBUG") -> Iterator[list[dict[str, Any]]]:
    """Collect the records that are logged inside."""
    records: list[dict[str, Any]] = []

    def keep(message: Any) -> None:
        records.append(message.record)

    sink = logger.add(keep, level=level, format="{message}")
    try:
        yield records
    finally:
        logger.remove(sink)
