"""A tenant is deleted on a whole server: what it had in files, indexes and vectors is gone too (000-57, I-6)."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from backend.api.sse import EventStream
from backend.config.setting import Settings
from backend.container import Container
from backend.dto.ticket import AttachmentData
from backend.main import create_app, create_asgi, lifespan
from backend.repository.attachment import AttachmentRepository
from backend.repository.purge import KEPT
from backend.repository.ticket import TicketRepository
from test.door_fixture import parse
from test.identity.test_socket import serving
from test.purge.rows import counts, fill
from test.repository.test_ticket import NOW, make_message, make_ticket

OPERATOR, ACME, OTHER = "operators-token", "acmes-token", "others-token"
SECRET = "자작나무"
"""A word that is in all that is written for a tenant, after its name."""


class Whole:
    """A running server, and what its folder holds."""

    def __init__(self, url: str, container: Container, folder: Path) -> None:
        self.url = url
        self.container = container
        self.folder = folder

    def client(self, token: str) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=self.url, headers={"Authorization": f"Bearer {token}"}, timeout=30)

    async def live_in(self, tenant: str, token: str) -> None:
        """Leave something of a tenant wherever something can be left."""
        text = f"{tenant} {SECRET} 환불은 사흘 걸립니다."
        async with self.client(token) as http:
            made = await http.post(
                "/api/v1/knowledge/documents", json={"source": "a.md", "title": "환불", "text": text}
            )
            assert made.status_code in {200, 201}, made.text
            assert (await http.put("/api/v1/files/a/b.txt", content=text.encode())).status_code == 201
            answer = await http.post("/api/v1/chat", json={"message": text, "agent": "answer"})
            assert answer.status_code == 200, answer.text

        def work(connection: Any) -> None:
            tickets = TicketRepository(connection, tenant)
            put = tickets.put("freshdesk", [make_ticket(1, title=text)], NOW)
            tickets.put_conversations("freshdesk", "1", [make_message(1, content=text)], NOW)
            file = AttachmentData(attachment_id="1", name="a.txt")
            files = AttachmentRepository(connection, tenant)
            files.put("freshdesk", "ticket", "1", "1", False, [file], NOW)
            assert put["1"].outcome == "added"

        await self.container.database().write(work)
        async for _ in self.container.support_index().work(tenant):
            pass
        store = await self.container.chroma_manager().vector_store(tenant, "notes")
        await store.aadd_texts([text])
        upload = self.container.settings().files_path / tenant / "upload" / ("0" * 32)
        upload.mkdir(parents=True)
        (upload / "0").write_text(text)
        await self.container.caches().of(tenant).set("answer", "a", text)
        await fill(self.container.database(), tenant, without={"tenants", "installations"})

    async def places(self, tenant: str) -> list[str]:
        """Return where something of a tenant is: files by their names and contents, collections by their names."""
        client = await self.container.chroma_manager().client()
        collections = await asyncio.to_thread(client.list_collections)
        found = [f"chroma {one.name}" for one in collections if one.name[2:].startswith(f"{tenant}.")]
        for path in (path for path in self.folder.rglob("*") if path.is_file()):
            inside = path.relative_to(self.folder)
            if any(part == tenant or part.startswith(f"{tenant}.") for part in inside.parts):
                found.append(str(inside))
        if await self.container.caches().of(tenant).get("answer", "a"):
            found.append("cache")
        return sorted(found)


@pytest.fixture
async def whole(tmp_path: Path) -> AsyncIterator[Whole]:
    async with opened(tmp_path) as made:
        yield made


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[Whole]:
    settings = Settings(
        _env_file=None,
        data_dir=folder,
        auth_mode="token",
        admin_token=SecretStr(OPERATOR),
        tenant_tokens={"acme": SecretStr(ACME), "other": SecretStr(OTHER)},
        sample_corpus=False,
        drain_seconds=0,
    )
    container = Container(settings=settings)
    app = create_app(container)
    app_whole = create_asgi(app)
    async with lifespan(app), serving(app_whole) as url:
        yield Whole(url, container, folder)


async def purged(http: httpx.AsyncClient, tenant: str) -> dict[str, Any]:
    async with asyncio.timeout(30):
        while True:
            found: dict[str, Any] = (await http.get(f"/api/v1/tenants/{tenant}")).json()
            if found["purged_at"]:
                return found
            await asyncio.sleep(0.05)


def quicker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let streams beat twenty times a second."""
    defaults = EventStream.__init__.__kwdefaults__ or {}
    monkeypatch.setattr(EventStream.__init__, "__kwdefaults__", {**defaults, "heartbeat": 0.05})


async def test_a_deleted_tenant_leaves_nothing_but_its_name_and_its_bill(whole: Whole) -> None:
    await whole.live_in("acme", ACME)
    await whole.live_in("other", OTHER)
    database = whole.container.database()
    places, rows = await whole.places("other"), await counts(database, "other")
    mine = await whole.places("acme")
    assert [place.replace("other", "acme") for place in places] == mine
    assert len([place for place in mine if place.startswith("chroma")]) == 3
    assert any(place.endswith("b.txt") for place in mine)
    assert any(place.endswith("acme.db") for place in mine)
    assert any("upload" in place for place in mine)

    async with whole.client(OPERATOR) as http:
        answer = await http.delete("/api/v1/tenants/acme")
        assert answer.status_code == 202, answer.text
        assert answer.json()["status"] == "deleted"
        await purged(http, "acme")
        again = await http.post("/api/v1/tenants", json={"tenant_id": "acme"})
        assert again.status_code == 409  # what still names it must not open another's
    assert await whole.places("acme") == []
    assert (await counts(database, "acme")).keys() == KEPT
    async with whole.client(ACME) as http:
        assert (await http.get("/api/v1/threads")).status_code == 403

    assert await whole.places("other") == places
    assert await counts(database, "other") == rows
    async with whole.client(OTHER) as http:
        found = await http.post("/api/v1/knowledge/search", json={"query": SECRET})
        assert "other" in found.text
        assert "acme" not in found.text
        assert (await http.get("/api/v1/files/a/b.txt")).text.startswith("other")


async def test_what_a_killed_server_did_not_remove_goes_with_the_next_start(tmp_path: Path) -> None:
    async with opened(tmp_path) as first:
        await first.live_in("acme", ACME)
        await first.container.tenant_purge().close()  # it dies before it begins
        async with first.client(OPERATOR) as http:
            assert (await http.delete("/api/v1/tenants/acme")).json()["purged_at"] is None
        assert await first.places("acme")
    async with opened(tmp_path) as second, second.client(OPERATOR) as http:
        await purged(http, "acme")
        assert await second.places("acme") == []
        assert (await counts(second.container.database(), "acme")).keys() == KEPT


async def test_a_stream_ends_when_its_key_is_revoked(whole: Whole, monkeypatch: pytest.MonkeyPatch) -> None:
    """An open answer is asked again whether it may go on: the token was good when it began."""
    quicker(monkeypatch)
    async with whole.client(ACME) as owner, asyncio.timeout(60):
        made = (await owner.post("/api/v1/api-keys", json={"name": "k", "scopes": ["chat"]})).json()
        async with whole.client(made["api_key"]) as http:
            thread = (await http.post("/threads", json={})).json()["thread_id"]
            async with http.stream("GET", f"/threads/{thread}/stream") as stream:
                text = ""
                async for part in stream.aiter_text():
                    if not text:
                        await owner.delete(f"/api/v1/api-keys/{made['key_id']}")
                    text += part
    last = parse(text)[-1]
    assert last.name == "error"
    assert "access token" in str(last.data)


async def test_a_stream_ends_when_its_tenant_is_suspended(whole: Whole, monkeypatch: pytest.MonkeyPatch) -> None:
    quicker(monkeypatch)
    async with whole.client(ACME) as http, whole.client(OPERATOR) as operator, asyncio.timeout(60):
        thread = (await http.post("/threads", json={})).json()["thread_id"]
        async with http.stream("GET", f"/threads/{thread}/stream") as stream:
            text = ""
            async for part in stream.aiter_text():
                if not text:
                    await operator.post("/api/v1/tenants/acme/suspend")
                text += part
    assert "suspended" in str(parse(text)[-1].data)
