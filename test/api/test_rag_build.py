"""`/rag/build` over HTTP: texts in, a job that survives (002-24, 002-25, 002-26, X11)."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from fastapi import FastAPI
from pydantic import SecretStr

from backend.api import problem
from backend.api.rag.router import is_build, router
from backend.api.v1 import knowledge
from backend.core.error import UpstreamFailed
from backend.middleware.auth import BearerTokenAuthMiddleware
from backend.middleware.limit import BodyLimitMiddleware
from backend.middleware.tracking import TrackingMiddleware
from backend.service.auth import Authenticator
from backend.service.ingest import MAX_ACTIVE
from test.ingest_fixture import ALICE, Library, open_library

ROOT = "/rag/build"
BODY_BYTES = 1_500_000


@dataclass
class Desk:
    library: Library
    http: httpx.AsyncClient
    stranger: httpx.AsyncClient

    async def build(self, body: Any) -> dict[str, Any]:
        """Build and return the task at its end."""
        sent = await self.http.post(ROOT, json=body)
        assert sent.status_code == 202, sent.text
        begun = sent.json()
        assert (begun["status"], sent.headers["location"]) == ("processing", f"{ROOT}/{begun['task_id']}")
        async with asyncio.timeout(30):
            await self.library.ingest.wait(ALICE, UUID(begun["task_id"]))
        task: dict[str, Any] = (await self.http.get(sent.headers["location"])).json()
        return task


@asynccontextmanager
async def open_desk(folder: Path) -> AsyncIterator[Desk]:
    async with AsyncExitStack() as stack:
        library = await stack.enter_async_context(open_library(folder))
        authenticator = Authenticator({"default": SecretStr("alice"), "other": SecretStr("mallory")})
        app = FastAPI()
        app.state.container = SimpleNamespace(
            knowledge_service=lambda: library.knowledge, ingest_service=lambda: library.ingest
        )
        problem.install(app)
        app.include_router(router)
        app.include_router(knowledge.router, prefix="/api/v1")
        whole: Any = BodyLimitMiddleware(app, 10_000, [(is_build, BODY_BYTES)])
        whole = TrackingMiddleware(BearerTokenAuthMiddleware(whole, authenticator))
        clients = [
            await stack.enter_async_context(
                httpx.AsyncClient(
                    transport=httpx.ASGITransport(whole),
                    base_url="http://test",
                    headers={"Authorization": f"Bearer {token}"},
                )
            )
            for token in ("alice", "mallory")
        ]
        yield Desk(library, *clients)


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with open_desk(tmp_path / "data") as opened:
        yield opened


NAMED = {
    "title": "휴가 규정",
    "text": "연차 휴가는 15일이다.",
    "source": "rules/leave",
    "url": "https://example.com/leave",
}


async def test_texts_are_taken_in_and_found(desk: Desk) -> None:
    """(002-26)"""
    task = await desk.build({"documents": ["# 출장비\n\n기차표는 30일 안에 환불한다.", NAMED]})
    assert (task["status"], task["total"], task["done"], task["failed"]) == ("completed", 2, 2, 0)
    assert [report["outcome"] for report in task["reports"]] == ["added", "added"]
    found = (await desk.http.post("/api/v1/knowledge/search", json={"query": "기차표 환불"})).json()["passages"]
    assert found[0]["title"] == "출장비"
    documents = (await desk.http.get("/api/v1/knowledge/documents")).json()["items"]
    assert {document["url"] for document in documents} == {None, "https://example.com/leave"}


async def test_a_bare_list_will_do_and_the_same_text_again_changes_nothing(desk: Desk) -> None:
    assert [one["outcome"] for one in (await desk.build(["same", "same", "other"]))["reports"]].count("added") == 2
    again = await desk.build(["same", "other"])
    assert [report["outcome"] for report in again["reports"]] == ["unchanged", "unchanged"]
    assert (await desk.library.counts())[0] == 2


async def test_small_documents_are_embedded_together_and_one_failure_loses_no_other(desk: Desk) -> None:
    """(002-24, 002-25)"""
    calls: list[int] = []

    def failure(texts: Any) -> Exception | None:
        calls.append(len(texts))
        return UpstreamFailed("secret of the endpoint") if any("poison" in text for text in texts) else None

    desk.library.embedder.failure = failure
    task = await desk.build([f"text {number}" for number in range(60)])
    assert (task["status"], task["done"]) == ("completed", 60)
    assert len(calls) < 60 / 2
    assert max(calls) > 1
    task = await desk.build(["good 1", "poison", "good 2"])
    assert (task["status"], task["done"], task["failed"]) == ("completed", 3, 1)
    assert (await desk.build(["poison"]))["status"] == "failed"


async def test_a_build_goes_on_after_a_restart(tmp_path: Path) -> None:
    """(002-26)"""
    async with open_desk(tmp_path / "data") as desk:
        desk.library.embedder.gate = asyncio.Event()
        sent = await desk.http.post(ROOT, json={"documents": ["one", "two"]})
        async with asyncio.timeout(60):
            await desk.library.embedder.waiting.wait()
        path = sent.headers["location"]
        assert (await desk.http.get(path)).json()["status"] == "processing"
    async with open_desk(tmp_path / "data") as desk:
        async with asyncio.timeout(30):
            await desk.library.ingest.wait(ALICE, UUID(sent.json()["task_id"]))
        assert ((await desk.http.get(path)).json()["status"], (await desk.library.counts())[0]) == ("completed", 2)


async def test_a_build_that_was_stopped_says_so(desk: Desk) -> None:
    desk.library.embedder.gate = asyncio.Event()
    sent = (await desk.http.post(ROOT, json=[f"text {number}" for number in range(60)])).json()
    async with asyncio.timeout(60):
        await desk.library.embedder.waiting.wait()
    await desk.http.post(f"/api/v1/knowledge/jobs/{sent['task_id']}/cancel")
    desk.library.embedder.gate.set()
    async with asyncio.timeout(60):
        await desk.library.ingest.wait(ALICE, UUID(sent["task_id"]))
    task = (await desk.http.get(f"{ROOT}/{sent['task_id']}")).json()
    assert task["status"] == "cancelled"
    assert task["done"] < 60


async def test_a_build_is_its_tenants_alone_and_no_other_job_is_a_build(desk: Desk) -> None:
    """(002-26)"""
    task = await desk.build(["mine"])
    for http, job_id in ((desk.stranger, task["task_id"]), (desk.http, uuid4())):
        missing = await http.get(f"{ROOT}/{job_id}")
        assert (missing.status_code, missing.json()["error"]) == (404, missing.json()["title"])
    upload = await desk.http.post("/api/v1/knowledge/upload", files=[("files", ("a.md", b"# A"))])
    assert (await desk.http.get(f"{ROOT}/{upload.json()['job_id']}")).status_code == 404
    assert (await desk.http.get(f"{ROOT}/no-id")).status_code == 422


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        {"documents": []},
        {"documents": "text"},
        {"documents": [""]},
        {"documents": [" \n\t"]},
        {"documents": [None]},
        {"documents": [7]},
        {"documents": ["a\0b"]},
        {"documents": ["x"] * 1001},
        {"documents": ["가" * 333_334]},
        {"documents": [{"text": "no title"}]},
        {"documents": [{**NAMED, "url": "javascript:alert(1)"}]},
        {"documents": [{**NAMED, "extra": 1}]},
        {"documents": ["x"], "tenant_id": "other"},
    ],
)
async def test_what_cannot_be_taken_in_is_refused_whole(desk: Desk, body: Any) -> None:
    refused = await desk.http.post(ROOT, json=body)
    assert (refused.status_code, refused.json()["error"]) == (422, refused.json()["title"])
    assert (await desk.http.get("/api/v1/knowledge/jobs")).json()["items"] == []


@pytest.mark.parametrize("raw", [b"", b"{", b"\xff", b'["\\ud800"]', b"[" * 100_000])
async def test_a_hostile_body_is_a_problem_and_no_crash(desk: Desk, raw: bytes) -> None:
    refused = await desk.http.post(ROOT, content=raw, headers={"content-type": "application/json"})
    assert refused.status_code in {400, 422}
    assert refused.json()["error"] == refused.json()["title"]


async def test_a_body_has_a_bound_and_so_have_the_jobs_under_way(desk: Desk) -> None:
    """(002-26)"""
    large = await desk.http.post(ROOT, json=["x" * 900_000, "y" * 900_000])
    assert (large.status_code, large.json()["error"]) == (413, large.json()["title"])
    assert (await desk.http.post(ROOT, json=["x" * 900_000])).status_code == 202
    desk.library.embedder.gate = asyncio.Event()
    for number in range(MAX_ACTIVE):
        await desk.http.post(ROOT, json=[f"{number}"])
    last = await desk.http.post(ROOT, json=["one more"])
    assert (last.status_code, last.headers["retry-after"]) == (429, str(last.json()["retry_after"]))
    desk.library.embedder.gate.set()
