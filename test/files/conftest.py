"""Files over HTTP for tests: the real routes and services behind a real server; a header says who asks."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi import FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send

from backend.api import problem
from backend.api.v1 import attachment, file, knowledge_graph
from backend.api.v1.file import is_file_upload
from backend.core.collector.file.pool import FileReader
from backend.core.storage import FileStorages, open_storages
from backend.database.base import Database
from backend.database.sqlite import SqliteDatabase
from backend.dto.principal import Principal
from backend.dto.tenant import Limits
from backend.middleware.limit import BodyLimitMiddleware
from backend.service.attachment import AttachmentService
from backend.service.file import FileService
from backend.service.knowledge_graph import KnowledgeGraphService
from test.door_fixture import Server
from test.engine_fixture import FakeClock
from test.server import free_port

MAX_FILE = 4 * 1024 * 1024
ACME = Principal("acme", "alice")


class SaidTenant:
    """Stands for the door: believes who the caller says that it is."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            tenant = dict(scope["headers"]).get(b"tenant", b"acme").decode()
            scope.setdefault("state", {})["principal"] = Principal(tenant, "alice")
        await self._app(scope, receive, send)


@dataclass
class Office:
    """The services over a folder, and clients of two tenants."""

    database: Database
    storages: FileStorages
    files: FileService
    attachments: AttachmentService
    graph: KnowledgeGraphService
    http: httpx.AsyncClient
    stranger: httpx.AsyncClient
    folder: Path
    limits: dict[str, Limits]


@pytest.fixture
async def rows(tmp_path: Path, sqlite_template: Path) -> AsyncIterator[Database]:
    shutil.copy(sqlite_template, tmp_path / "rows.db")
    made = SqliteDatabase(tmp_path / "rows.db")
    await made.open()
    yield made
    await made.close()


@pytest.fixture
async def office(tmp_path: Path, rows: Database) -> AsyncIterator[Office]:
    async with AsyncExitStack() as stack:
        storages = open_storages(None, tmp_path / "files", max_bytes=MAX_FILE)
        await storages.open()
        limits: dict[str, Limits] = {}

        async def limits_of(tenant_id: str) -> Limits:
            return limits.get(tenant_id, Limits())

        reader = await stack.enter_async_context(FileReader())
        clock = FakeClock()
        files = FileService(storages, limits_of)
        attachments = AttachmentService(
            rows,
            storages,
            reader,
            folder=tmp_path / "files" / ".incoming",
            max_bytes=MAX_FILE,
            limits=limits_of,
            clock=clock,
        )
        graph = KnowledgeGraphService(rows, clock)
        app = FastAPI()
        app.state.container = SimpleNamespace(
            file_service=lambda: files,
            attachment_service=lambda: attachments,
            knowledge_graph_service=lambda: graph,
        )
        problem.install(app)
        for part in (file, attachment, knowledge_graph):
            app.include_router(part.router, prefix="/api/v1")
        whole: Any = SaidTenant(BodyLimitMiddleware(app, 100_000, [(is_file_upload, MAX_FILE + 10_000)]))
        port = free_port()
        server = Server(uvicorn.Config(whole, host="127.0.0.1", port=port, log_config=None, lifespan="off"))
        running = asyncio.create_task(server.serve())
        await server.ready.wait()

        async def end() -> None:
            server.stop.set()
            await running

        stack.push_async_callback(end)
        http, stranger = [
            await stack.enter_async_context(
                httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}/api/v1", headers={"tenant": tenant}, timeout=60)
            )
            for tenant in ("acme", "beta")
        ]
        yield Office(rows, storages, files, attachments, graph, http, stranger, tmp_path / "files", limits)
