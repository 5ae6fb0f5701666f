"""`HEAD` is answered where `GET` is, as RFC 9110 §9.1 wants it of a server."""

from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from backend.config.setting import Settings
from backend.container import Container
from backend.main import create_app, create_asgi, lifespan


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(Container(settings=Settings(_env_file=None, data_dir=tmp_path, sample_corpus=False)))
    async with lifespan(app):
        transport = httpx.ASGITransport(create_asgi(app))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
            yield http


async def test_head_answers_as_get_does_without_the_body(client: httpx.AsyncClient) -> None:
    made = (await client.post("/api/v1/threads", json={})).json()
    for path in (
        f"/api/v1/threads/{made['thread_id']}",
        f"/threads/{made['thread_id']}",
        "/api/v1/threads",
        "/api/v1/tickets",
        "/health/live",
        "/v1/models",
        "/info",
        "/",
        f"/api/v1/threads/{uuid4()}",
    ):
        get, head = await client.get(path), await client.head(path)
        assert (head.status_code, head.content) == (get.status_code, b""), path
        for name in ("content-type", "content-length"):
            assert head.headers[name] == get.headers[name], path


async def test_what_lasts_and_what_is_no_get_has_no_head(client: httpx.AsyncClient) -> None:
    run = uuid4()
    for path in (f"/api/v1/runs/{run}/stream", f"/threads/{run}/runs/{run}/join", "/api/v1/tenant/export"):
        refused = await client.head(path)
        assert (refused.status_code, refused.headers["allow"]) == (405, "GET"), path
    assert (await client.head("/api/v1/chat")).headers["allow"] == "POST"
    assert (await client.head("/nowhere")).status_code == 404
    assert (await client.delete("/api/v1/threads")).headers["allow"] == "GET, HEAD, POST"
