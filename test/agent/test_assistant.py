"""Assistants over HTTP: bodies, statuses, headers and the rules of a project's own authentication."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
import uvicorn
from fastapi import FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send

from backend.api import problem
from backend.api.agent.assistant import router
from backend.database.sqlite import SqliteDatabase
from backend.dto.principal import Principal
from backend.service.assistant import AssistantService
from backend.util.containment import Filters
from backend.util.id_generator import default_assistant_id
from test.assistant_fixture import ServedGraphs
from test.door_fixture import Server
from test.engine_fixture import FakeClock
from test.server import free_port

FIELDS = {
    "assistant_id",
    "graph_id",
    "config",
    "context",
    "metadata",
    "name",
    "created_at",
    "updated_at",
    "version",
    "description",
}


class Owners:
    """A project's authentication in which everybody sees only what is their own."""

    def __init__(self) -> None:
        self.enabled = False
        self.asked: list[tuple[str, str, dict[str, Any]]] = []

    async def check(self, principal: Principal, resource: str, action: str, value: dict[str, Any]) -> Filters:
        self.asked.append((resource, action, dict(value)))
        if action in {"create", "update"} and "metadata" in value:
            value["metadata"] = {**value["metadata"], "owner": principal.user_id}
        return {"owner": principal.user_id}


class AsUser:
    """Puts the user named by a header on the request, as the server's authentication does."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        user = dict(scope["headers"]).get(b"user", b"ann").decode()
        scope["state"] = {"principal": Principal("default", user)}
        await self._app(scope, receive, send)


@asynccontextmanager
async def serving(container: Any) -> AsyncIterator[httpx.AsyncClient]:
    app = FastAPI()
    app.state.container = container
    problem.install(app)
    app.include_router(router)
    port = free_port()
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
    server = Server(uvicorn.Config(AsUser(app), port=port, log_config=None, lifespan="off", access_log=False))
    task = asyncio.create_task(server.serve())
    try:
        async with asyncio.timeout(60):
            await server.ready.wait()
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            yield client
    finally:
        server.stop.set()
        await task


@pytest.fixture
def owners() -> Owners:
    return Owners()


@pytest.fixture
async def http(file: SqliteDatabase, clock: FakeClock, owners: Owners) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a server of assistants."""
    assistants = AssistantService(file, ServedGraphs(), clock)
    await assistants.open()
    container = SimpleNamespace(assistant_service=lambda: assistants, access_control=lambda: owners)
    async with serving(container) as client:
        yield client


async def make(http: httpx.AsyncClient, graph_id: str = "chat", **body: Any) -> dict[str, Any]:
    answer = await http.post("/assistants", json={"graph_id": graph_id, **body})
    assert answer.status_code == 200, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def test_an_assistant_is_made_read_changed_and_deleted(http: httpx.AsyncClient) -> None:
    made = await make(http, config={"configurable": {"model": "m"}, "recursion_limit": 7}, metadata={"a": 1})
    assert set(made) == FIELDS
    assert (made["version"], made["name"], made["context"]) == (1, "Untitled", {"model": "m"})
    assert made["created_at"] == made["updated_at"]
    assert made["created_at"].endswith("+00:00")
    path = f"/assistants/{made['assistant_id']}"
    changed = (await http.patch(path, json={"metadata": {"b": None}, "name": "new"})).json()
    assert changed == {
        **made,
        "metadata": {"a": 1, "b": None},
        "name": "new",
        "version": 2,
        "updated_at": changed["updated_at"],
    }
    assert (await http.get(path)).json() == changed
    gone = await http.delete(path)
    assert (gone.status_code, gone.content) == (204, b"")
    assert [(await http.get(path)).status_code, (await http.delete(path)).status_code] == [404, 404]


async def test_the_body_is_read_leniently_where_nothing_is_lost(http: httpx.AsyncClient) -> None:
    made = await make(http, name="", unknown=1, description=None, context=None, metadata=None, config=None)
    assert (made["name"], made["description"], made["context"], made["config"]) == ("Untitled", None, {}, {})
    kept = await make(http, config={"run_name": "r", "tags": None})
    assert kept["config"] == {"run_name": "r"}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 422),
        ({"graph_id": "nowhere"}, 404),
        ({"graph_id": ""}, 422),
        ({"graph_id": "chat", "assistant_id": "mine"}, 422),
        ({"graph_id": "chat", "if_exists": "replace"}, 422),
        ({"graph_id": "chat", "config": {"configurable": {"a": 1}}, "context": {"b": 1}}, 400),
        ({"graph_id": "chat", "config": [1]}, 422),
        ({"graph_id": "chat", "config": {"configurable": 1}}, 422),
        ({"graph_id": "chat", "config": {"tags": "t"}}, 422),
        ({"graph_id": "chat", "config": {"recursion_limit": "7"}}, 422),
        ({"graph_id": "chat", "config": {"recursion_limit": True}}, 422),
        ({"graph_id": "chat", "config": {"recursion_limit": 0}}, 422),
        ({"graph_id": "chat", "metadata": "x"}, 422),
        ({"graph_id": "chat", "metadata": {"n": 2**64}}, 422),
        ({"graph_id": "chat", "metadata": {"nul\0": 1}}, 422),
        ({"graph_id": "chat", "context": {"nul": ["\0"]}}, 422),
        ({"graph_id": "chat", "context": {"half": "\ud800"}}, 422),
        ({"graph_id": "chat", "name": "nul\0"}, 422),
        ({"graph_id": "chat", "name": "x" * 1001}, 422),
        ({"graph_id": "chat", "name": 5}, 422),
        ({"graph_id": "nul\0"}, 422),
    ],
)
async def test_what_cannot_be_honoured_is_refused(http: httpx.AsyncClient, body: Any, status: int) -> None:
    # In ASCII: half of a surrogate pair could not be sent otherwise.
    answer = await http.post("/assistants", content=json.dumps(body), headers={"Content-Type": "application/json"})
    assert (answer.status_code, "detail" in answer.json()) == (status, True)


@pytest.mark.parametrize("depth", [90, 100, 250, 1000, 100_000])
async def test_deep_json_never_breaks_the_server(http: httpx.AsyncClient, depth: int) -> None:
    for field in ("metadata", "config", "context"):
        body = b'{"graph_id": "chat", "%s": {"a": %s}}' % (field.encode(), b"[" * depth + b"]" * depth)
        for path in ("/assistants", "/assistants/search", "/assistants/count"):
            answer = await http.post(path, content=body, headers={"Content-Type": "application/json"})
            assert answer.status_code in ({200} if depth == 90 else {200, 400, 422}), (path, answer.text)
    assert (await http.post("/assistants/search", json={})).status_code == 200


async def test_ids_must_be_uuids_where_no_graph_id_will_do(http: httpx.AsyncClient) -> None:
    for path in ("/assistants/chat", "/assistants/x", "/assistants/%00"):
        assert (await http.get(path)).status_code == 422
        assert (await http.patch(path, json={})).status_code == 422
        assert (await http.delete(path)).status_code == 422
    assert (await http.post("/assistants/chat/versions", json={})).status_code == 422
    assert (await http.post("/assistants/chat/latest", json={"version": 1})).status_code == 422
    assert (await http.get("/assistants/nowhere/graph")).status_code == 422
    assert (await http.get(f"/assistants/{uuid4()}/graph")).status_code == 404


async def test_a_taken_id_is_a_conflict_unless_nothing_is_to_be_done(http: httpx.AsyncClient) -> None:
    made = await make(http)
    again = {"graph_id": "context", "assistant_id": made["assistant_id"]}
    assert (await http.post("/assistants", json=again)).status_code == 409
    assert await make(http, **again, if_exists="do_nothing") == made
    default = {"graph_id": "chat", "assistant_id": str(default_assistant_id("chat"))}
    assert (await http.post("/assistants", json=default)).status_code == 409


async def test_a_default_assistant_is_not_deleted(http: httpx.AsyncClient) -> None:
    path = f"/assistants/{default_assistant_id('chat')}"
    refused = await http.delete(path)
    assert refused.status_code == 409
    assert "default of graph 'chat'" in refused.json()["detail"]
    assert (await http.patch(path, json={"name": "mine"})).json()["version"] == 2
    assert (await http.delete(path)).status_code == 204
    assert (await http.get(path)).json()["name"] == "Chat"


async def test_pages_say_where_the_next_one_begins(http: httpx.AsyncClient) -> None:
    for name in ("one", "two", "three"):
        await make(http, name=name, metadata={"mine": True})
    wanted = {"metadata": {"mine": True}}

    async def page(**body: Any) -> tuple[list[str], str | None, str]:
        answer = await http.post("/assistants/search", json={**wanted, **body})
        headers = answer.headers
        names = [one["name"] for one in answer.json()]
        return names, headers.get("X-Pagination-Next"), headers["X-Pagination-Total"]

    assert await page() == (["three", "two", "one"], None, "3")
    assert await page(limit=2) == (["three", "two"], "2", "3")
    assert await page(limit=2, offset=2) == (["one"], None, "3")
    assert await page(limit=3) == (["three", "two", "one"], None, "3")
    assert await page(offset=50) == ([], None, "50")
    assert await page(sort_by="name", sort_order="asc", limit=1) == (["one"], "1", "2")
    assert (await http.post("/assistants/count", json=wanted)).json() == 3
    assert (await http.post("/assistants/count", json={**wanted, "name": "T"})).json() == 2


async def test_only_the_selected_fields_are_sent(http: httpx.AsyncClient) -> None:
    answer = await http.post("/assistants/search", json={"select": ["assistant_id", "name"]})
    assert [set(one) for one in answer.json()] == [{"assistant_id", "name"}] * 5
    assert set((await http.post("/assistants/search", json={"select": []})).json()[0]) == FIELDS


@pytest.mark.parametrize(
    "body",
    [
        {"limit": 0},
        {"limit": 1001},
        {"offset": -1},
        {"offset": 2**70},
        {"sort_by": "color"},
        {"sort_by": "name; DROP TABLE assistants"},
        {"sort_order": "ASC"},
        {"select": ["color"]},
        {"metadata": [1]},
        {"metadata": {"a": "\0"}},
        {"name": "\0"},
    ],
)
async def test_a_search_beyond_its_bounds_is_refused(http: httpx.AsyncClient, body: Any) -> None:
    assert (await http.post("/assistants/search", json=body)).status_code == 422


async def test_versions_are_listed_and_taken_up_again(http: httpx.AsyncClient) -> None:
    made = await make(http, name="one")
    path = f"/assistants/{made['assistant_id']}"
    changed = (await http.patch(path, json={"name": "two"})).json()
    versions = (await http.post(f"{path}/versions", json={})).json()
    assert [set(one) for one in versions] == [FIELDS - {"updated_at"}] * 2
    assert [(one["version"], one["name"]) for one in versions] == [(2, "two"), (1, "one")]
    assert versions[0]["created_at"] == changed["updated_at"]
    assert [one["version"] for one in (await http.post(f"{path}/versions", json={"limit": 1})).json()] == [2]
    old = (await http.post(f"{path}/latest", json={"version": 1})).json()
    assert (old["version"], old["name"]) == (1, "one")
    assert (await http.post(f"{path}/latest", json={"version": 3})).status_code == 404
    for version in ("1", None, -1, 2**31, 1.5):
        assert (await http.post(f"{path}/latest", json={"version": version})).status_code == 422


async def test_a_graph_is_drawn(http: httpx.AsyncClient) -> None:
    drawn = (await http.get("/assistants/chat/graph")).json()
    assert drawn == {
        "nodes": [
            {"id": "__start__", "type": "runnable", "data": {"name": "__start__"}},
            {"id": "say", "type": "runnable", "data": {"name": "say"}},
            {"id": "__end__"},
        ],
        "edges": [
            {"source": "__start__", "target": "say"},
            {"source": "say", "target": "__end__", "data": "enough", "conditional": True},
            {"source": "say", "target": "say", "data": "again", "conditional": True},
        ],
    }
    assert (await http.get(f"/assistants/{default_assistant_id('chat')}/graph")).json() == drawn
    context = (await http.get("/assistants/context/graph")).json()
    assert context["nodes"][1] == {
        "id": "think",
        "type": "runnable",
        "data": {"name": "think"},
        "metadata": {"color": "red", "__interrupt": "before"},
    }


async def test_an_x_ray_shows_the_insides_down_to_a_depth(http: httpx.AsyncClient) -> None:
    async def nodes(xray: str) -> set[str]:
        drawn = (await http.get("/assistants/nested/graph", params={"xray": xray})).json()
        return {node["id"] for node in drawn["nodes"]} - {"__start__", "__end__", "plain"}

    assert await nodes("false") == await nodes("") == {"middle"}
    assert await nodes("1") == {"middle:inner"}
    assert await nodes("2") == await nodes("true") == await nodes("True") == {"middle:inner:add"}
    for wrong in ("0", "-1", "x", "9" * 10_000, "1.5"):
        assert (await http.get("/assistants/nested/graph", params={"xray": wrong})).status_code == 422


async def test_schemas_tell_what_goes_in_and_comes_out(http: httpx.AsyncClient) -> None:
    schema = (await http.get("/assistants/context/schemas")).json()
    context = {
        "properties": {
            "model": {"title": "Model", "type": "string"},
            "temperature": {"title": "Temperature", "type": "number"},
        },
        "title": "Context",
        "type": "object",
    }
    assert schema == {
        "graph_id": "context",
        "input_schema": {
            "properties": {"question": {"title": "Question", "type": "string"}},
            "required": ["question"],
            "title": "Question",
            "type": "object",
        },
        "output_schema": {
            "properties": {"answer": {"title": "Answer", "type": "string"}},
            "required": ["answer"],
            "title": "Answer",
            "type": "object",
        },
        "state_schema": {
            "properties": {
                "question": {"default": None, "title": "Question", "type": "string"},
                "answer": {"default": None, "title": "Answer", "type": "string"},
                "steps": {"default": None, "items": {"type": "string"}, "title": "Steps", "type": "array"},
            },
            "title": "context_state",
            "type": "object",
        },
        "config_schema": context,
        "context_schema": context,
    }


async def test_schemas_of_messages_functions_and_odd_types(http: httpx.AsyncClient) -> None:
    chat = (await http.get("/assistants/chat/schemas")).json()
    assert chat["input_schema"]["properties"]["messages"]["items"]["oneOf"]
    assert (chat["config_schema"], chat["context_schema"]) == ({}, None)
    function = (await http.get("/assistants/function/schemas")).json()
    assert function["input_schema"] == {"title": "function_input", "type": "integer"}
    assert function["output_schema"] == {"title": "function_output", "type": "integer"}
    odd = (await http.get("/assistants/odd/schemas")).json()
    assert (odd["input_schema"], odd["output_schema"]) == (None, None)
    assert odd["state_schema"]["properties"]["copy"] == {"default": None, "title": "Copy"}
    assert odd["state_schema"]["properties"]["y"]["type"] == "integer"


async def test_subgraphs_are_named_by_their_place(http: httpx.AsyncClient) -> None:
    async def names(path: str = "", **query: Any) -> list[str]:
        answer = await http.get(f"/assistants/nested/subgraphs{path}", params=query)
        return sorted(answer.json())

    assert await names() == ["middle"]
    assert await names(recurse=True) == ["middle", "middle|inner"]
    assert await names("/middle") == ["middle"]
    assert await names("/middle|inner", recurse=True) == ["middle|inner"]
    assert await names("/nowhere") == []
    assert (await http.get("/assistants/chat/subgraphs")).json() == {}
    middle = (await http.get("/assistants/nested/subgraphs/middle")).json()["middle"]
    assert set(middle) == {"input_schema", "output_schema", "state_schema", "config_schema", "context_schema"}
    assert middle["input_schema"]["properties"] == {"n": {"default": 0, "title": "N", "type": "integer"}}


async def test_the_rules_of_a_project_stamp_owners_and_hide_from_others(
    http: httpx.AsyncClient, owners: Owners
) -> None:
    owners.enabled = True
    made = await make(http, metadata={"a": 1})
    assert made["metadata"] == {"a": 1, "owner": "ann"}
    path = f"/assistants/{made['assistant_id']}"
    bob = {"user": "bob"}
    foreign = [
        await http.get(path, headers=bob),
        await http.patch(path, json={"name": "x"}, headers=bob),
        await http.delete(path, headers=bob),
        await http.get(f"{path}/graph", headers=bob),
        await http.get(f"{path}/schemas", headers=bob),
        await http.get(f"{path}/subgraphs", headers=bob),
        await http.post(f"{path}/versions", json={}, headers=bob),
        await http.post(f"{path}/latest", json={"version": 1}, headers=bob),
    ]
    assert [answer.status_code for answer in foreign] == [404] * 8
    assert (await http.post("/assistants/search", json={}, headers=bob)).json() == []
    assert (await http.post("/assistants/count", json={}, headers=bob)).json() == 0
    assert [one["assistant_id"] for one in (await http.post("/assistants/search", json={})).json()] == [
        made["assistant_id"]
    ]
    assert (await http.get(path)).json() == made


async def test_the_rules_are_asked_with_what_is_meant(http: httpx.AsyncClient, owners: Owners) -> None:
    made = await make(http, metadata={"owner": "ann"})
    owners.enabled = True
    assistant_id = UUID(made["assistant_id"])
    path = f"/assistants/{assistant_id}"
    await http.get(path)
    await http.get(f"{path}/graph")
    await http.get("/assistants/chat/schemas")
    await http.patch(path, json={"name": "x"})
    await http.post(f"{path}/latest", json={"version": 1})
    await http.post("/assistants/count", json={"graph_id": "chat"})
    await http.delete(path, params={"delete_threads": True})
    read = {"assistant_id": assistant_id}
    changed: dict[str, Any] = {"graph_id": None, "config": {}, "context": None, "metadata": {}, "name": "x"}
    assert owners.asked == [
        ("assistants", "read", read),
        ("assistants", "read", read),
        ("assistants", "read", {"assistant_id": default_assistant_id("chat")}),
        ("assistants", "update", {**read, **changed}),
        ("assistants", "update", {**read, "version": 1}),
        ("assistants", "search", {"graph_id": "chat", "metadata": {}, "limit": 0, "offset": 0}),
        ("assistants", "delete", read),
        ("threads", "delete", {"thread_id": None, "metadata": {"assistant_id": str(assistant_id)}}),
    ]
