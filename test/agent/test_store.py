"""The store over HTTP, mostly through the official client: what a client sees, and what it may not."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi import FastAPI
from langgraph_sdk import Auth, get_client
from langgraph_sdk._async.store import StoreClient
from langgraph_sdk.errors import ConflictError, PermissionDeniedError

from backend.api import problem
from backend.api.agent.store import router
from backend.core.graph.project import AuthConfig, Reference
from backend.database.sqlite import SqliteDatabase
from backend.dto.store import StoreIndex, StoreTtl
from backend.middleware.agent_door import AgentDoorMiddleware
from backend.middleware.auth import BearerTokenAuthMiddleware
from backend.middleware.custom_auth import CustomAuthMiddleware
from backend.service.access import AccessControl
from backend.service.auth import Authenticator
from backend.service.graph_store import GraphStore
from backend.service.store import StoreService
from test.door_fixture import OTHER_TOKEN, TOKEN, TOKENS, Server
from test.engine_fixture import FakeClock
from test.server import free_port

ITEM = {"namespace": ["a"], "key": "k", "value": {"n": 1}}


@dataclass
class Door:
    url: str
    http: httpx.AsyncClient
    clients: AsyncExitStack
    graph: GraphStore
    clock: FakeClock

    async def user(self, token: str) -> StoreClient:
        """Return the official client of who has this token."""
        client = get_client(url=self.url, api_key=None, headers={"Authorization": f"Bearer {token}"})
        return (await self.clients.enter_async_context(client)).store


async def letters(texts: list[str]) -> list[list[float]]:
    return [[float(text.count(letter)) for letter in "xyz"] + [0.01] for text in texts]


@asynccontextmanager
async def serve(file: SqliteDatabase, clock: FakeClock, auth: Auth | None = None) -> AsyncIterator[Door]:
    store = GraphStore(file, clock, index=StoreIndex(letters, fields=("text",)), ttl=StoreTtl())
    service = StoreService(file, store, clock)
    access = AccessControl(auth)
    inner = FastAPI()
    inner.state.container = SimpleNamespace(store_service=lambda: service, access_control=lambda: access)
    problem.install(inner)
    inner.include_router(router)
    app: Any = inner
    if auth is None:
        app = BearerTokenAuthMiddleware(app, Authenticator(TOKENS))
    else:
        config = AuthConfig(path=Reference(Path("langgraph.json"), "auth.path", "auth.py", "auth"))
        app = CustomAuthMiddleware(app, auth, config)
    app = AgentDoorMiddleware(app)
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
    port = free_port()
    server = Server(uvicorn.Config(app, port=port, log_config=None, lifespan="off", access_log=False))
    task = asyncio.create_task(server.serve())
    async with asyncio.timeout(60):
        await server.ready.wait()
    url = f"http://127.0.0.1:{port}"
    try:
        async with AsyncExitStack() as stack:
            http = httpx.AsyncClient(base_url=url, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=60)
            yield Door(url, await stack.enter_async_context(http), stack, store, clock)
    finally:
        server.stop.set()
        await task


@pytest.fixture
async def alice(door: Door) -> StoreClient:
    return await door.user(TOKEN)


@pytest.fixture
async def mallory(door: Door) -> StoreClient:
    """Of another tenant."""
    return await door.user(OTHER_TOKEN)


@pytest.fixture
async def door(file: SqliteDatabase, clock: FakeClock) -> AsyncIterator[Door]:
    async with serve(file, clock) as made:
        yield made


async def search(door: Door, **body: Any) -> httpx.Response:
    return await door.http.post("/store/items/search", json={"namespace_prefix": [], **body})


async def test_an_item_is_put_read_and_deleted(door: Door):
    put = await door.http.put("/store/items", json=ITEM)
    assert (put.status_code, put.content) == (204, b"")

    got = await door.http.get("/store/items", params={"namespace": "a", "key": "k"})
    assert got.status_code == 200
    item = got.json()
    assert list(item) == ["namespace", "key", "value", "created_at", "updated_at"]
    assert {name: item[name] for name in ITEM} == ITEM
    assert datetime.fromisoformat(item["created_at"]).utcoffset() is not None

    deleted = await door.http.request("DELETE", "/store/items", json={"namespace": ["a"], "key": "k"})
    assert (deleted.status_code, deleted.content) == (204, b"")
    gone = await door.http.get("/store/items", params={"namespace": "a", "key": "k"})
    assert (gone.status_code, gone.content) == (200, b"null")
    assert (await door.http.request("DELETE", "/store/items", json={"namespace": [], "key": "k"})).status_code == 204


async def test_the_official_client_does_all_of_it(alice: StoreClient):
    await alice.put_item(["users", "1"], "likes", {"text": "xxx", "n": 1})
    await alice.put_item(["users", "2"], "likes", {"text": "yyy", "n": 2}, index=["text"], ttl=5)
    await alice.put_item(["users", "2", "old"], "likes", {"text": "xxx", "n": 3}, index=False)

    assert (await alice.get_item(["users", "1"], "likes", refresh_ttl=False))["value"] == {"text": "xxx", "n": 1}
    found = await alice.search_items(["users"], query="y", filter={"n": {"$lte": 2}}, limit=5)
    assert [item["namespace"] for item in found["items"]] == [["users", "2"], ["users", "1"]]
    assert [item["score"] for item in found["items"]] == [pytest.approx(1, abs=0.01), pytest.approx(0, abs=0.01)]
    assert (await alice.list_namespaces(prefix=["users"], max_depth=2)) == {
        "namespaces": [["users", "1"], ["users", "2"]]
    }
    assert (await alice.list_namespaces(suffix=["*", "old"]))["namespaces"] == [["users", "2", "old"]]
    await alice.delete_item(["users", "1"], "likes")
    assert await alice.get_item(["users", "1"], "likes") is None


async def test_what_a_graph_writes_the_api_reads_and_the_other_way_round(door: Door, alice: StoreClient):
    graph = door.graph.bound("default")
    await graph.aput(("notes",), "graph", {"text": "x"})
    await alice.put_item(["notes"], "api", {"text": "y"})

    assert (await alice.get_item(["notes"], "graph"))["value"] == {"text": "x"}
    assert [item.key for item in await graph.asearch(("notes",), query="y")] == ["api", "graph"]


async def test_another_tenants_items_are_not_there(alice: StoreClient, mallory: StoreClient):
    await alice.put_item(["a"], "k", {"of": "alice"})
    await mallory.put_item(["a"], "k", {"of": "mallory"})
    await alice.put_item(["secret"], "k", {"text": "x"})

    assert (await alice.get_item(["a"], "k"))["value"] == {"of": "alice"}
    assert await mallory.get_item(["secret"], "k") is None
    assert len((await mallory.search_items([], query="x"))["items"]) == 1
    assert (await mallory.list_namespaces())["namespaces"] == [["a"]]
    await mallory.delete_item(["secret"], "k")
    assert await alice.get_item(["secret"], "k") is not None


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"namespace": []}, 400),
        ({"namespace": ["langgraph", "x"]}, 400),
        ({"namespace": ["a\0"]}, 400),
        ({"namespace": ["a.b"]}, 422),
        ({"namespace": [""]}, 422),
        ({"namespace": ["a", 1]}, 422),
        ({"namespace": "a"}, 422),
        ({"namespace": ["a"] * 65}, 422),
        ({"namespace": ["a" * 513]}, 422),
        ({"key": 3}, 422),
        ({"key": "k" * 513}, 422),
        ({"key": "nul\0"}, 422),
        ({"value": None}, 422),
        ({"value": [1]}, 422),
        ({"value": {"long": "x" * 1024 * 1024}}, 413),
        ({"value": {"big": 2**70}}, 422),
        ({"index": True}, 422),
        ({"index": "a"}, 422),
        ({"index": ["a" * 300]}, 422),
        ({"ttl": 0}, 422),
        ({"ttl": -1}, 422),
        ({"ttl": "soon"}, 422),
    ],
)
async def test_an_item_that_cannot_be_is_refused_with_a_sentence(door: Door, change: dict[str, Any], status: int):
    answer = await door.http.put("/store/items", json={**ITEM, **change})

    assert answer.status_code == status, answer.text
    assert list(answer.json()) == ["detail"]
    assert answer.json()["detail"]
    assert (await search(door)).json() == {"items": []}


@pytest.mark.parametrize(
    ("params", "status"),
    [
        ({"namespace": "a"}, 400),
        ({"key": "k"}, 422),
        ({"namespace": "a..b", "key": "k"}, 422),
        ({"namespace": "a", "key": "k", "refresh_ttl": "perhaps"}, 422),
    ],
)
async def test_a_read_that_cannot_be_is_refused(door: Door, params: dict[str, str], status: int):
    answer = await door.http.get("/store/items", params=params)

    assert answer.status_code == status
    assert list(answer.json()) == ["detail"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"namespace_prefix": None}, 422),
        ({"namespace_prefix": ["a.b"]}, 422),
        ({"filter": [1]}, 422),
        ({"filter": {"n": {"$in": [1]}}}, 400),
        ({"limit": -1}, 422),
        ({"limit": 1001}, 422),
        ({"offset": -1}, 422),
        ({"offset": 10**9}, 422),
        ({"query": 5}, 422),
        ({"query": "x" * 32_001}, 422),
    ],
)
async def test_a_search_that_cannot_be_is_refused(door: Door, body: dict[str, Any], status: int):
    answer = await search(door, **body)

    assert answer.status_code == status, answer.text
    assert list(answer.json()) == ["detail"]


async def test_hostile_filters_are_data(door: Door, alice: StoreClient):
    await alice.put_item(["a"], "k", {"n": 1, "x'\"]": "y", "$.n": "path"})

    for hostile in ("x') OR 1=1 --", "$.n", "n') IS NOT NULL --", "**", "n.x", "\0", "", "$"):
        answer = await search(door, filter={hostile: 1})
        assert (answer.status_code, answer.json()) == (200, {"items": []}), hostile
    assert len((await search(door, filter={"x'\"]": "y", "$.n": "path"})).json()["items"]) == 1


@pytest.mark.parametrize("depth", [300, 100_000])
async def test_a_filter_or_a_value_without_a_bottom_is_refused(door: Door, depth: int):
    bottomless = '{"a":' * depth + "1" + "}" * depth
    for method, path, body in (
        ("POST", "/store/items/search", f'{{"namespace_prefix":[],"filter":{bottomless}}}'),
        ("PUT", "/store/items", f'{{"namespace":["a"],"key":"k","value":{bottomless}}}'),
    ):
        answer = await door.http.request(method, path, content=body)
        assert 400 <= answer.status_code < 500, (method, answer.text)


async def test_search_pages_and_a_limit_of_zero_is_the_default(door: Door, alice: StoreClient):
    for number in range(12):
        await alice.put_item(["p"], str(number), {"n": number}, index=False)

    def numbers(answer: httpx.Response) -> list[int]:
        return [item["value"]["n"] for item in answer.json()["items"]]

    assert numbers(await search(door)) == list(range(10))
    assert numbers(await search(door, limit=0)) == list(range(10))
    assert numbers(await search(door, offset=10)) == [10, 11]
    assert numbers(await search(door, limit=2, offset=1, filter={"n": {"$gt": 5}})) == [7, 8]
    assert (await search(door, limit=1)).json()["items"][0]["score"] is None


@pytest.mark.parametrize("body", [{"prefix": ["a.b"]}, {"suffix": [""]}, {"max_depth": -1}, {"limit": 1001}])
async def test_a_listing_of_namespaces_that_cannot_be_is_refused(door: Door, body: dict[str, Any]):
    answer = await door.http.post("/store/namespaces", json=body)

    assert answer.status_code == 422
    assert list(answer.json()) == ["detail"]


async def test_a_time_to_live_runs_out_and_reading_lets_it_begin_anew(door: Door, alice: StoreClient):
    await alice.put_item(["t"], "read", {}, ttl=1)
    await alice.put_item(["t"], "looked at", {}, ttl=1)
    door.clock.advance(40)
    assert await alice.get_item(["t"], "read") is not None
    assert await alice.get_item(["t"], "looked at", refresh_ttl=False) is not None
    door.clock.advance(40)

    assert [item["key"] for item in (await search(door)).json()["items"]] == ["read"]
    assert await alice.get_item(["t"], "looked at") is None


def keep_apart() -> Auth:
    """Rules under which each user has a namespace of their own; `Bearer <name>` says who asks."""
    auth = Auth()

    @auth.authenticate
    async def authenticate(authorization: str | None) -> str:
        return (authorization or "").removeprefix("Bearer ")

    @auth.on.store
    async def own_namespace(ctx: Auth.types.AuthContext, value: Any) -> Any:
        if ctx.user.identity == "guest":
            return False
        if ctx.user.identity == "filtered":
            return {"owner": "filtered"}
        if ctx.user.identity != "admin":
            value["namespace"] = ["users", ctx.user.identity, *(value["namespace"] or [])]
        return None

    return auth


async def test_a_handler_moves_each_user_into_a_namespace_of_their_own(file: SqliteDatabase, clock: FakeClock):
    async with serve(file, clock, keep_apart()) as door:
        ann, bob, admin = [await door.user(name) for name in ("ann", "bob", "admin")]
        await ann.put_item(["notes"], "k", {"of": "ann"})
        await bob.put_item(["notes"], "k", {"of": "bob"})

        item = await ann.get_item(["notes"], "k")
        assert (item["namespace"], item["value"]) == (["users", "ann", "notes"], {"of": "ann"})
        assert [item["value"] for item in (await bob.search_items([]))["items"]] == [{"of": "bob"}]
        assert (await ann.list_namespaces())["namespaces"] == [["users", "ann", "notes"]]
        await bob.delete_item(["notes"], "k")
        assert (await admin.list_namespaces())["namespaces"] == [["users", "ann", "notes"]]


async def test_a_handlers_no_is_a_403_and_its_filter_hides_items(file: SqliteDatabase, clock: FakeClock):
    async with serve(file, clock, keep_apart()) as door:
        guest, filtered, admin = [await door.user(name) for name in ("guest", "filtered", "admin")]
        await admin.put_item(["n"], "theirs", {"owner": "admin"})
        await filtered.put_item(["n"], "mine", {"owner": "filtered"})

        for asked in (
            guest.put_item(["n"], "k", {}),
            guest.get_item(["n"], "theirs"),
            guest.delete_item(["n"], "theirs"),
            guest.search_items([]),
            guest.list_namespaces(),
        ):
            with pytest.raises(PermissionDeniedError):
                await asked
        assert await filtered.get_item(["n"], "theirs") is None
        assert [item["key"] for item in (await filtered.search_items([]))["items"]] == ["mine"]
        with pytest.raises(ConflictError):
            await filtered.put_item(["n"], "theirs", {"owner": "filtered"})
        assert (await admin.get_item(["n"], "theirs"))["value"] == {"owner": "admin"}
