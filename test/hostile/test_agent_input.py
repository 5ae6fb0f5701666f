"""What a client of the Agent Server API can send, and a graph do, that nobody should: the neighbours' runs go on."""

import asyncio
import itertools
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import orjson
import pytest
from websockets.asyncio.client import connect

from backend.middleware.agent_door import is_agent_path
from test.agent_fixture import WAIT_SECONDS, agent_server

CONFIG = Path(__file__).with_name("graph") / "langgraph.json"
JSON = {"Content-Type": "application/json"}
NOBODY = "00000000-0000-4000-8000-000000000000"
BODY_BYTES = 1024 * 1024
RUN_SECONDS = 4
RUN = {"assistant_id": "echo", "input": {"said": "hi"}}
CRON = {"assistant_id": "echo", "schedule": "0 0 29 2 *"}
ITEM = {"namespace": ["a"], "key": "k", "value": {"v": 1}}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hostile-agent")


@pytest.fixture(scope="module")
def client(folder: Path) -> Iterator[httpx.Client]:
    settings = {
        "CORS_ORIGINS": "https://page.example",
        "MAX_INPUT_BYTES": str(BODY_BYTES),
        "RUN_TIMEOUT": str(RUN_SECONDS),
    }
    with agent_server(folder, config=CONFIG, **settings) as url, httpx.Client(base_url=url, timeout=60) as client:
        yield client


@pytest.fixture(autouse=True)
def _neighbour(client: httpx.Client) -> Iterator[None]:
    """Whatever was done, somebody else's run works as ever."""
    yield
    for path in ("/runs/wait", f"/threads/{new_thread(client)}/runs/wait"):
        answer = client.post(path, json=RUN)
        assert answer.json() == {"said": "hi", "answer": "hi"}, answer.text
    assert client.get("/ok").json() == {"ok": True, "services": {}}


def new_thread(client: httpx.Client) -> str:
    thread_id: str = client.post("/threads", json={}).json()["thread_id"]
    return thread_id


def asking(client: httpx.Client, graph: str = "ask") -> tuple[str, str]:
    """Return a thread that waits for an answer, and the id of its interrupt."""
    thread_id = new_thread(client)
    body = client.post(f"/threads/{thread_id}/runs/wait", json={"assistant_id": graph, "input": {}}).json()
    return thread_id, body["__interrupt__"][0]["id"]


def answered(client: httpx.Client, thread_id: str, resume: Any, **more: Any) -> httpx.Response:
    body = {"assistant_id": "ask", "command": {"resume": resume}, **more}
    return client.post(f"/threads/{thread_id}/runs/wait", json=body)


def refused(answer: httpx.Response, *statuses: int) -> None:
    assert answer.status_code in statuses, (str(answer.request.url), answer.status_code, answer.text[:500])
    assert len(answer.content) < 20_000, "what was sent comes back"
    document = answer.json()
    if answer.request.url.path.endswith("/commands") and "detail" not in document:
        assert document["type"] == "error"
    elif answer.request.url.path.startswith(("/a2a", "/mcp")):
        assert document["error"]
    else:
        assert list(document) == ["detail"]
        assert document["detail"]


# What is sent.

BODIES: dict[tuple[str, str], Any] = {
    ("POST", "/assistants"): {
        "graph_id": "echo", "config": {"configurable": {"a": 1}}, "metadata": {"a": 1}, "name": "a", "description": "a",
        "if_exists": "raise",
    },
    ("POST", "/assistants/search"): {
        "graph_id": "echo", "metadata": {"a": 1}, "name": "a", "limit": 1, "offset": 0, "sort_by": "name",
        "sort_order": "asc", "select": ["name"],
    },
    ("POST", "/assistants/count"): {"graph_id": "echo", "metadata": {"a": 1}, "name": "a"},
    ("PATCH", "/assistants/{assistant_id}"): {
        "graph_id": "echo", "context": {"a": 1}, "metadata": {"a": 1}, "name": "a", "description": "a",
    },
    ("POST", "/assistants/{assistant_id}/versions"): {"metadata": {"a": 1}, "limit": 1, "offset": 0},
    ("POST", "/assistants/{assistant_id}/latest"): {"version": 1},
    ("POST", "/threads"): {
        "metadata": {"graph_id": "echo"}, "if_exists": "raise", "ttl": {"ttl": 5, "strategy": "delete"},
        "supersteps": [{"updates": [{"values": {"said": "a"}, "as_node": "__start__"}]}],
    },
    ("POST", "/threads/search"): {
        "ids": [NOBODY], "metadata": {"a": 1}, "values": {"a": 1}, "status": "idle", "limit": 1, "offset": 0,
        "sort_by": "thread_id", "sort_order": "asc", "select": ["values"], "extract": {"a": "values.said"},
    },
    ("POST", "/threads/count"): {"metadata": {"a": 1}, "values": {"a": 1}, "status": "idle"},
    ("POST", "/threads/prune"): {"thread_ids": [NOBODY], "strategy": "keep_latest"},
    ("PATCH", "/threads/{thread_id}"): {"metadata": {"a": 1}, "ttl": {"ttl": 5}},
    ("POST", "/threads/{thread_id}/state"): {
        "values": {"said": "a"}, "as_node": "say", "checkpoint": {"checkpoint_ns": ""}, "checkpoint_id": NOBODY,
    },
    ("POST", "/threads/{thread_id}/state/checkpoint"): {
        "checkpoint": {"checkpoint_id": NOBODY}, "subgraphs": True, "select": ["values"],
    },
    ("POST", "/threads/{thread_id}/history"): {
        "limit": 1, "before": {"configurable": {"checkpoint_id": NOBODY}}, "metadata": {"a": 1},
        "checkpoint": {"checkpoint_ns": ""}, "select": ["values"],
    },
    ("POST", "/threads/{thread_id}/runs/wait"): {
        **RUN, "metadata": {"a": 1}, "tags": ["a"],
        "config": {"configurable": {"a": 1}, "recursion_limit": 5, "tags": ["a"], "metadata": {"a": 1}},
        "interrupt_before": ["nowhere"], "interrupt_after": ["nowhere"], "stream_mode": ["values"],
        "stream_subgraphs": True, "stream_resumable": True, "feedback_keys": [], "durability": "sync",
        "checkpoint_during": True, "langsmith_tracer": {"project_name": "a"}, "strict_resume": False,
        "on_disconnect": "continue", "multitask_strategy": "enqueue", "if_not_exists": "create",
        "checkpoint": {"checkpoint_ns": ""},
    },
    ("POST", "/runs/wait"): {**RUN, "context": {"a": 1}, "on_completion": "delete", "webhook": "https://a.example/"},
    ("POST", "/runs/stream"): {
        "assistant_id": "echo", "command": {"update": {"said": "a"}, "goto": {"node": "say", "input": {"said": "b"}}},
    },
    ("POST", "/runs/batch"): [RUN],
    ("POST", "/runs/cancel"): {"thread_id": NOBODY, "run_ids": [NOBODY]},
    ("POST", "/runs/crons"): {
        **CRON, "input": {"said": "a"}, "metadata": {"a": 1}, "config": {"configurable": {}}, "timezone": "Asia/Seoul",
        "end_time": "2027-01-01T00:00:00Z", "enabled": True, "on_run_completed": "keep",
    },
    ("POST", "/runs/crons/search"): {
        "assistant_id": NOBODY, "thread_id": NOBODY, "enabled": True, "metadata": {"a": 1}, "limit": 1, "offset": 0,
        "sort_by": "next_run_date", "sort_order": "asc", "select": ["cron_id"],
    },
    ("POST", "/runs/crons/count"): {"assistant_id": NOBODY, "thread_id": NOBODY, "metadata": {"a": 1}},
    ("PATCH", "/runs/crons/{cron_id}"): {
        "schedule": "0 0 29 2 *", "end_time": None, "enabled": True, "metadata": {"a": 1}, "input": {"said": "a"},
    },
    ("PUT", "/store/items"): {**ITEM, "index": False, "ttl": 5},
    ("DELETE", "/store/items"): {"namespace": ["a"], "key": "k"},
    ("POST", "/store/items/search"): {
        "namespace_prefix": ["a"], "filter": {"v": {"$gt": 0}}, "limit": 1, "offset": 0, "query": "v",
        "refresh_ttl": True,
    },
    ("POST", "/store/namespaces"): {"prefix": ["a"], "suffix": ["a"], "max_depth": 1, "limit": 1, "offset": 0},
    ("POST", "/threads/{thread_id}/commands"): {"id": 1, "method": "run.start", "params": RUN},
    ("POST", "/mcp"): {
        "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "echo", "arguments": {"said": "a"}},
    },
    ("POST", "/a2a/{assistant_id}"): {
        "jsonrpc": "2.0", "id": 1, "method": "message/send",
        "params": {"message": {"role": "user", "messageId": "1", "parts": [{"kind": "text", "text": "a"}]}},
    },
}  # fmt: skip
"""One of each body, with every field."""
WRONG: dict[str, bytes] = {
    "null": b"null",
    "a number of 70 bits": str(2**70).encode(),
    "NaN": b"NaN",
    "infinity": b"1e999",
    "SQL": b'"\' OR 1=1; DROP TABLE threads; --"',
    "a NUL": b'"a\\u0000b"',
    "a lone surrogate": b'"\\ud800"',
    "a long text": b'"' + b"x" * 15_000 + b'"',
    "odd items": b'[null, 1, "\\u0000", {"a": "\\ud800"}, [[]]]',
    "an object": b"{}",
    "odd keys": b'{"": 1, "\\u0000": 2, "\\ud800": 3, "__proto__": {}, "$eq": 4, "a.b": 5, "configurable": 6}',
    "odd values": b'{"a": 1267650600228229401496703205376, "b": NaN, "c": {"$gt": []}, "d": "\\ud800"}',
    "deep lists": b"[" * 100_000 + b"]" * 100_000,
    "deep objects": b'{"a":' * 20_000 + b"1" + b"}" * 20_000,
    "JSON cut off": b'{"a": [',
}


@pytest.fixture(scope="module")
def own(client: httpx.Client) -> dict[str, str]:
    """One thing of each kind, by the names that paths give them."""
    thread_id = new_thread(client)
    return {
        "assistant_id": client.post("/assistants", json={"graph_id": "echo"}).json()["assistant_id"],
        "thread_id": thread_id,
        "cron_id": client.post("/runs/crons", json=CRON).json()["cron_id"],
        "run_id": client.post(f"/threads/{thread_id}/runs", json=RUN).json()["run_id"],
        "checkpoint_id": NOBODY,
        "namespace": "say",
    }


def fields_of(body: Any) -> Iterator[tuple[Any, ...]]:
    """Yield the way to each field of a body, those in others too."""
    for name, value in body.items() if isinstance(body, dict) else enumerate(body):
        yield (name,)
        if isinstance(value, dict | list):
            yield from ((name, *rest) for rest in fields_of(value))


def with_field(body: Any, path: tuple[Any, ...], value: bytes) -> bytes:
    """Return a body as JSON, with another value in one place; the value need not be JSON."""
    mark = uuid4().hex
    changed = orjson.loads(orjson.dumps(body))
    place = changed
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = mark
    return orjson.dumps(changed).replace(f'"{mark}"'.encode(), value)


ALIKE = {("post", path) for path in ("/runs", "/threads/{thread_id}/runs", "/threads/{thread_id}/runs/stream")} | {
    ("post", "/threads/{thread_id}/runs/crons"),
    ("post", "/threads/{thread_id}/stream/events"),
}
"""Routes whose bodies are those of others, or are tried by themselves."""


def test_every_route_with_a_body_is_tried(client: httpx.Client) -> None:
    found = {
        (method, path)
        for path, methods in client.get("/openapi.json").json()["paths"].items()
        for method, route in methods.items()
        if is_agent_path(path) and "requestBody" in route
    }
    assert found <= {(method.lower(), path) for method, path in BODIES} | ALIKE


@pytest.mark.parametrize("what", WRONG)
def test_no_value_in_any_field_breaks_a_route(client: httpx.Client, own: dict[str, str], what: str) -> None:
    for (method, path), body in BODIES.items():
        for field in fields_of(body):
            content = with_field(body, field, WRONG[what])
            answer = client.request(method, path.format(**own), content=content, headers=JSON)
            assert answer.status_code < 500, (method, path, field, answer.text[:500])
            if answer.status_code >= 400:
                refused(answer, 400, 404, 409, 413, 422)
            if answer.headers.get("content-type") == "application/json":
                orjson.loads(answer.content or b"null")
    for path in ("/assistants", "/threads", "/runs/crons"):
        assert client.post(f"{path}/search", json={"limit": 1000}).status_code == 200
    assert client.post("/store/items/search", json={"namespace_prefix": []}).status_code == 200
    assert client.get(f"/threads/{own['thread_id']}/history", params={"limit": 1000}).status_code == 200
    assert client.get(f"/threads/{own['thread_id']}/runs", params={"limit": 1000}).status_code == 200


@pytest.mark.parametrize("what", WRONG)
def test_no_body_breaks_a_route(client: httpx.Client, own: dict[str, str], what: str) -> None:
    for method, path in [*BODIES, ("POST", "/threads/{thread_id}/stream/events")]:
        answer = client.request(method, path.format(**own), content=WRONG[what], headers=JSON)
        assert answer.status_code < 500, (method, path, answer.text[:500])
        if answer.status_code >= 400:
            refused(answer, 400, 404, 409, 413, 422)


async def test_a_socket_of_a_thread_answers_garbage_and_then_hangs_up(client: httpx.Client) -> None:
    url = f"ws{str(client.base_url).removeprefix('http').rstrip('/')}/threads/{new_thread(client)}/stream/events"
    calls = [
        b'{"id": 1, "method": "' + method + b'", "params": ' + wrong + b"}"
        for method in (b"subscription.subscribe", b"run.start", b"input.respond", b"x")
        for wrong in WRONG.values()
    ]
    for number, call in enumerate([*WRONG.values(), *calls]):
        async with connect(url) as socket:
            await socket.send(call)
            async with asyncio.timeout(WAIT_SECONDS):
                answer = orjson.loads(await socket.recv())
            assert answer["type"] == "error" or (number >= len(WRONG) and b"run.start" not in call), (call, answer)
    async with connect(url) as socket, asyncio.timeout(WAIT_SECONDS):
        for _ in range(5):
            await socket.send("garbage")
        assert [orjson.loads(await socket.recv())["error"] for _ in range(5)] == ["invalid_argument"] * 5
        await socket.wait_closed()
        assert socket.close_code == 1008
    for strange in ("x", "%00", f"{NOBODY}0"):
        async with connect(url.replace(url.split("/")[-3], strange)) as socket, asyncio.timeout(WAIT_SECONDS):
            await socket.wait_closed()
            assert socket.close_code == 4422


STRANGE_IDS = (
    "1",
    "null",
    "'%20OR%20'1'='1",
    "1;DROP%20TABLE%20threads",
    "%00",
    "a%00b",
    "%ff%fe",
    "%F0%9F%98%80",
    "*",
    "{thread_id}",
    "$ne",
    "a" * 5000,
    NOBODY + "%0d%0aX-Evil:%201",
    NOBODY[:-1],
    "9" * 40,
)
ADDRESSES = (
    *(("GET", f"/assistants/{{}}{rest}") for rest in ("", "/graph", "/schemas", "/subgraphs", "/subgraphs/a")),
    *(("POST", f"/assistants/{{}}{rest}") for rest in ("/versions", "/latest")),
    *((method, path) for method in ("GET", "PATCH", "DELETE") for path in ("/assistants/{}", "/runs/crons/{}")),
    *((method, "/threads/{}") for method in ("GET", "PATCH", "DELETE")),
    *(("GET", f"/threads/{{}}/{rest}") for rest in ("state", "history", "storage", "stream", "runs", f"runs/{NOBODY}")),
    *(("POST", f"/threads/{{}}/{rest}") for rest in ("copy", "state", "state/checkpoint", "history", "commands")),
    *(("POST", f"/threads/{{}}/{rest}") for rest in ("runs", "runs/stream", "runs/wait", "runs/crons")),
    ("POST", "/threads/{}/stream/events"),
    *(("GET", f"/threads/{NOBODY}/runs/{{}}{rest}") for rest in ("", "/join", "/stream")),
    ("DELETE", f"/threads/{NOBODY}/runs/{{}}"),
    ("POST", f"/threads/{NOBODY}/runs/{{}}/cancel"),
    *(("GET", f"/runs/{{}}/{rest}") for rest in ("join", "stream")),
    ("POST", "/runs/{}/cancel"),
    ("GET", f"/threads/{NOBODY}/state/{{}}"),
    ("GET", "/a2a/{}"),
)


@pytest.mark.parametrize("identifier", STRANGE_IDS)
def test_what_is_no_id_finds_nothing(client: httpx.Client, identifier: str) -> None:
    bodies = {"latest": {"version": 1}, "state": {"values": {}}, "checkpoint": {"checkpoint": {}}, "crons": CRON}
    for method, path in ADDRESSES:
        body = bodies.get(path.rpartition("/")[2], {"channels": ["values"]} if "events" in path else RUN)
        answer = client.request(method, path.format(identifier), json=None if method in {"GET", "DELETE"} else body)
        refused(answer, 400, 404, 405, 409, 422)
        assert "x-evil" not in answer.headers


@pytest.mark.parametrize(
    "name", ["nobody", "", "../../etc/passwd", "echo\n", "Echo", NOBODY, "unimportable", "a" * 5000]
)
def test_a_graph_that_is_not_there_is_refused_everywhere(client: httpx.Client, name: str) -> None:
    thread_id = new_thread(client)
    for path in ("/runs", "/runs/wait", "/runs/stream", f"/threads/{thread_id}/runs", "/runs/crons"):
        refused(client.post(path, json={**CRON, "assistant_id": name}), 404, 422)
    refused(client.post("/runs/batch", json=[{"assistant_id": name}]), 404, 422)
    refused(client.post("/assistants", json={"graph_id": name}), 404, 422)
    call = {"id": 1, "method": "run.start", "params": {"assistant_id": name}}
    refused(client.post(f"/threads/{thread_id}/commands", json=call), 200)
    assert client.get(f"/threads/{thread_id}/runs").json() == []


BAD_CRONS: tuple[dict[str, Any], ...] = (
    {"schedule": ""},
    {"schedule": "* * *"},
    {"schedule": "* * * * * * *"},
    {"schedule": "60 * * * *"},
    {"schedule": "* * 31 2 *"},
    {"schedule": "*/0 * * * *"},
    {"schedule": "5-1 * * * *"},
    {"schedule": "@reboot"},
    {"schedule": "0-59/1," * 5000 + "1 * * * *"},
    {"schedule": "* * * * *; rm -rf /"},
    {"schedule": "٠ * * * *"},
    {"timezone": "Nowhere/None"},
    {"timezone": "../../etc/passwd"},
    {"timezone": "/etc/localtime"},
    {"timezone": "\0"},
    {"end_time": "10000-01-01T00:00:00Z"},
)


@pytest.mark.parametrize("wrong", BAD_CRONS, ids=lambda wrong: str(wrong)[:40])
def test_a_schedule_that_never_comes_is_refused(
    client: httpx.Client, own: dict[str, str], wrong: dict[str, Any]
) -> None:
    before = client.get(f"/runs/crons/{own['cron_id']}").json()
    refused(client.post("/runs/crons", json={**CRON, **wrong}), 422)
    refused(client.post(f"/threads/{own['thread_id']}/runs/crons", json={**CRON, **wrong}), 422)
    if wrong != {"schedule": ""}:  # leaves the old one
        refused(client.patch(f"/runs/crons/{own['cron_id']}", json=wrong), 422)
    assert client.get(f"/runs/crons/{own['cron_id']}").json() == before


INJECTIONS = (
    "x' OR '1'='1",
    "x') OR 1=1 --",
    'a"."b',
    "a.b",
    "$.a",
    "$[*]",
    "a') = 1 OR json_extract(metadata, '$.a",
    "a}', '{",
    "%",
    "_",
    "\\",
    "?",
    ":name",
    "%s",
    "%(a)s",
    "*",
    "[0]",
    "a[0]",
    "::jsonb",
    "../..",
    "__proto__",
    "가",
)


@pytest.fixture(scope="module")
def kept(client: httpx.Client) -> dict[str, str]:
    """Things that no filter below is for."""
    made = {"secret": "yes", "nested": {"a": [1, 2]}}
    thread_id = client.post("/threads", json={"metadata": made}).json()["thread_id"]
    client.post(f"/threads/{thread_id}/runs/wait", json=RUN)
    assistant_id = client.post("/assistants", json={"graph_id": "echo", "metadata": made}).json()["assistant_id"]
    cron_id = client.post("/runs/crons", json={**CRON, "metadata": made}).json()["cron_id"]
    client.put("/store/items", json={"namespace": ["kept"], "key": "k", "value": made})
    return {"thread_id": thread_id, "assistant_id": assistant_id, "cron_id": cron_id}


@pytest.mark.parametrize("text", INJECTIONS)
def test_keys_and_values_of_a_filter_are_nothing_but_data(
    client: httpx.Client, kept: dict[str, str], text: str
) -> None:
    for wanted in (
        {text: "yes"},
        {"secret": text},
        {text: {text: text}},
        {"nested": {text: 1}},
        {"nested": {"a": [text]}},
    ):
        for path in ("/threads", "/assistants", "/runs/crons"):
            assert client.post(f"{path}/search", json={"metadata": wanted}).json() == [], path
            assert client.post(f"{path}/count", json={"metadata": wanted}).json() == 0
        assert client.post("/threads/search", json={"values": wanted}).json() == []
        found = client.post("/store/items/search", json={"namespace_prefix": ["kept"], "filter": wanted})
        assert found.status_code in {400, 422} or found.json()["items"] == []
        history = client.post(f"/threads/{kept['thread_id']}/history", json={"metadata": wanted, "limit": 10})
        assert history.json() == []
    for operator in ("$eq", "$gt", "$gte", "$lt", "$lte"):
        body = {"namespace_prefix": ["kept"], "filter": {text: {operator: text}}}
        found = client.post("/store/items/search", json=body)
        assert found.status_code in {400, 422} or found.json()["items"] == []
    for prefix in ([text], ["kept", text], [text, "kept"]):
        found = client.post("/store/items/search", json={"namespace_prefix": prefix})
        assert found.status_code in {400, 422} or found.json()["items"] == []
        for where in ("prefix", "suffix"):
            found = client.post("/store/namespaces", json={where: prefix})
            assert found.status_code == 422 or text == "*" or found.json()["namespaces"] == []
    assert client.get("/store/items", params={"namespace": "kept", "key": text}).json() is None
    assert all(text in one["name"] for one in client.post("/assistants/search", json={"name": text}).json())
    for path in ("/threads/search", "/assistants/search", "/runs/crons/search"):
        for field in ("sort_by", "sort_order", "select"):
            refused(client.post(path, json={field: [text] if field == "select" else text}), 422)
    extracted = client.post("/threads/search", json={"ids": [kept["thread_id"]], "extract": {"a": f"metadata.{text}"}})
    assert extracted.status_code == 422 or extracted.json()[0]["extracted"] == {"a": None}
    if not text.isidentifier() or not text.isascii():
        refused(client.post("/threads/search", json={"extract": {text: "metadata.secret"}}), 422)
    refused(client.post("/threads/search", json={"extract": {"a": text}}), 422)


def test_a_key_like_an_injection_is_found_again(client: httpx.Client) -> None:
    for text in INJECTIONS:
        made = {text: {text: text}}
        thread_id = client.post("/threads", json={"metadata": made}).json()["thread_id"]
        assert [one["thread_id"] for one in client.post("/threads/search", json={"metadata": made}).json()] == [
            thread_id
        ]
        item = {"namespace": ["injections"], "key": text, "value": {text: text}}
        assert client.put("/store/items", json=item).status_code == 204
        asked = {"namespace_prefix": ["injections"], "filter": {text: text}}
        assert [one["key"] for one in client.post("/store/items/search", json=asked).json()["items"]] == [text]
        gone = {"namespace": ["injections"], "key": text}
        assert client.request("DELETE", "/store/items", json=gone).status_code == 204
        assert client.delete(f"/threads/{thread_id}").status_code == 204


# Checkpoints and answers that are not one's own.


def test_a_checkpoint_of_another_thread_is_not_found(client: httpx.Client) -> None:
    secret = {"said": f"secret-{uuid4()}"}
    theirs = new_thread(client)
    client.post(f"/threads/{theirs}/runs/wait", json={**RUN, "input": secret})
    place = client.get(f"/threads/{theirs}/state").json()["checkpoint"]
    mine = new_thread(client)
    client.post(f"/threads/{mine}/runs/wait", json=RUN)
    thread = f"/threads/{mine}"
    refused(client.get(f"{thread}/state/{place['checkpoint_id']}"), 404)
    refused(client.post(f"{thread}/state/checkpoint", json={"checkpoint": place}), 404)
    refused(client.post(f"{thread}/state", json={"values": {}, "checkpoint": place}), 400, 404)
    keys = {
        "__pregel_checkpointer": "x",
        "__pregel_store": "x",
        "__pregel_read": "x",
        "__pregel_resuming": True,
        "__pregel_runtime": {},
        "checkpoint_ns": "say:1",
        "checkpoint_map": {"": place["checkpoint_id"]},
        "tenant_id": "other",
        "run_id": NOBODY,
        "langgraph_auth_user": {"identity": "root"},
        "langgraph_auth_permissions": ["all"],
    }
    forged: list[dict[str, Any]] = [
        {"checkpoint": place},
        {"checkpoint_id": place["checkpoint_id"]},
        {"config": {"configurable": {**place, "thread_id": theirs}}},
        *({"config": {"configurable": {key: value}}} for key, value in keys.items()),
        {"config": {"configurable": {"thread_id": theirs, **keys}}},
        {"context": {"thread_id": theirs, **keys}},
        {"metadata": {"thread_id": theirs, "run_id": NOBODY}},
        {"config": {"callbacks": ["x"], "run_id": "x", "store": "x", "metadata": {"thread_id": theirs}}},
    ]
    before = client.get(f"/threads/{theirs}/history", params={"limit": 100}).json()
    for more, path in itertools.product(forged, (f"{thread}/runs/wait", f"{thread}/runs/stream", "/runs/wait")):
        answer = client.post(path, json={**RUN, **more})
        assert answer.status_code < 500, (more, answer.text)
        assert secret["said"] not in answer.text, more
    assert secret["said"] not in client.get(f"{thread}/history", params={"limit": 1000}).text
    assert client.get(f"/threads/{theirs}/history", params={"limit": 100}).json() == before


def test_an_answer_to_nothing_changes_nothing(client: httpx.Client) -> None:
    resume: Any
    for resume in ("yes", {NOBODY.replace("-", ""): "yes"}, [], 0):
        assert "answer" not in answered(client, new_thread(client), resume).json()
        strict = answered(client, new_thread(client), resume, strict_resume=True).json()
        assert strict["__error__"]["error"] == "UnknownInterruptError"
        assert strict["__error__"]["pending_ids"] == []
        thread_id, interrupt_id = asking(client)
        assert answered(client, thread_id, {interrupt_id: "yes"}).json() == {"answer": "yes"}
        again = answered(client, thread_id, resume, strict_resume=True).json()
        assert again["__error__"]["error"] == "UnknownInterruptError"
    for path in ("/runs", "/runs/wait", "/runs/stream"):
        refused(client.post(path, json={"assistant_id": "ask", "command": {"resume": "yes"}}), 400)


def test_a_strict_answer_goes_on_from_a_breakpoint(client: httpx.Client) -> None:
    thread_id = new_thread(client)
    body = {"assistant_id": "ask", "input": {}, "interrupt_before": "*"}
    assert client.post(f"/threads/{thread_id}/runs/wait", json=body).status_code == 200
    assert client.get(f"/threads/{thread_id}").json()["status"] == "interrupted"
    went_on = answered(client, thread_id, "yes", strict_resume=True)
    assert went_on.json() == {"answer": "yes"}, "nothing waits, but the graph stands before its node"


def test_an_answer_to_an_interrupt_that_is_past_counts_for_no_other(client: httpx.Client) -> None:
    thread_id, first = asking(client, "ask_twice")
    body = {"assistant_id": "ask_twice"}
    second = answered(client, thread_id, {first: "one"}, **body).json()["__interrupt__"][0]
    assert second["value"] == "second?"
    stale = answered(client, thread_id, {first: "stale"}, strict_resume=True, **body)
    assert "__error__" in stale.json(), stale.text
    again = answered(client, thread_id, {first: "stale"}, **body).json()
    assert again.get("answer") != ["one", "stale"]
    done = answered(client, thread_id, {second["id"]: "two"}, **body).json()
    assert done == {"answer": ["one", "two"]}


def test_of_two_answers_at_once_one_counts(client: httpx.Client) -> None:
    thread_id, interrupt_id = asking(client)
    with ThreadPoolExecutor(8) as pool:
        answers = list(
            pool.map(
                lambda number: answered(
                    client, thread_id, {interrupt_id: number}, strict_resume=True, multitask_strategy="reject"
                ),
                range(8),
            )
        )
    won = [answer.json()["answer"] for answer in answers if answer.status_code == 200 and "answer" in answer.json()]
    assert len(won) == 1, [answer.text for answer in answers]
    assert all(answer.status_code in {200, 409} for answer in answers)
    assert client.get(f"/threads/{thread_id}/state").json()["values"] == {"answer": won[0]}


# Graphs that do what they should not.

ENDS = {
    "exit": ("NodeExit", "A node raised SystemExit."),
    "keyboard": ("NodeExit", "A node raised KeyboardInterrupt."),
    "rude": ("NodeExit", "A node raised Rude."),
    "group": ("NodeExit", "A node raised BaseExceptionGroup."),
    "cancel": ("NodeCancelledError", "An internal error occurred"),
    "no text": ("_Mute", "An internal error occurred"),
    "surrogate": ("ValueError", "\ufffd"),
    "huge text": ("ValueError", "x" * 10_000),
}


@pytest.mark.parametrize("graph", ["fail", "fail_sync"])
@pytest.mark.parametrize("how", ENDS)
def test_what_a_node_raises_ends_its_run_and_nothing_else(client: httpx.Client, graph: str, how: str) -> None:
    error, message = ENDS[how]
    body = {"assistant_id": graph, "input": {"how": how}}
    waiting = new_thread(client)
    neighbour = client.post(f"/threads/{waiting}/runs", json={"assistant_id": "wait", "input": {}}).json()["run_id"]
    thread_id = new_thread(client)
    for path in ("/runs/wait", f"/threads/{thread_id}/runs/wait"):
        assert client.post(path, json=body).json() == {"__error__": {"error": error, "message": message}}
    for path in ("/runs/stream", f"/threads/{thread_id}/runs/stream"):
        last = client.post(path, json=body).text.rstrip().splitlines()[-2:]
        assert last[0] == "event: error" or last[0].startswith("id: ")
        assert orjson.loads(last[1].removeprefix("data: ")) == {"error": error, "message": message}
    assert client.get(f"/threads/{thread_id}").json()["status"] == "error"
    assert client.get(f"/threads/{thread_id}/history", params={"limit": 100}).status_code == 200
    assert client.get(f"/threads/{waiting}/runs/{neighbour}").json()["status"] == "running"
    assert client.post(f"/threads/{waiting}/runs/{neighbour}/cancel").status_code == 202


@pytest.mark.parametrize("how", ["task exit", "task keyboard", "task rude", "thread"])
def test_what_a_node_leaves_behind_ends_nothing_at_all(client: httpx.Client, how: str) -> None:
    body = {"assistant_id": "fail", "input": {"how": how}}
    for path in ("/runs/wait", f"/threads/{new_thread(client)}/runs/wait"):
        assert client.post(path, json=body).json() == {"how": how, "answer": "done"}


def test_a_factory_that_wants_to_end_the_server_ends_its_run(client: httpx.Client) -> None:
    body = {"assistant_id": "exit_factory", "input": {"how": "x"}}
    ending = {**body, "config": {"configurable": {"how": "exit"}}}
    for path in ("/runs/wait", f"/threads/{new_thread(client)}/runs/wait"):
        assert client.post(path, json=ending).json()["__error__"]["message"] == "A node raised SystemExit."
        assert client.post(path, json=body).json()["answer"] == "x"


def test_a_graph_that_cannot_be_imported_is_named_and_the_others_are_served(client: httpx.Client, folder: Path) -> None:
    errors = client.get("/info").json()["graph_errors"]
    assert set(errors) == {"exit_at_import", "unimportable"}
    assert "No module named 'a_module_that_nobody_has' (line 3)" in errors["unimportable"]
    assert "SystemExit: 3 (line 5)" in errors["exit_at_import"]
    log = (folder / "log").read_text()
    assert all(f"graph {name} is not served: " in log for name in errors)
    assert client.get("/health/ready").status_code == 200


KEPT_ODD = {
    "a NUL": "a\0b",
    "a surrogate": "\ufffd",
    "not a number": None,
    "bytes": "/wA=",
    "odd keys": {"(1, 2)": 3, "null": 4, "5.5": 6, "b'x'": 7},
}
ODD = ("a function", "a generator", "a lock", "a thing", "a trap", "a circle", "a big number", "a class", "a coroutine")


@pytest.mark.parametrize("where", ["state", "custom", "interrupt"])
@pytest.mark.parametrize("what", [*ODD, *KEPT_ODD])
def test_what_no_serializer_knows_is_told_somehow_or_fails_its_own_run(
    client: httpx.Client, what: str, where: str
) -> None:
    modes = ["values", "updates", "custom", "tasks", "debug", "checkpoints"]
    body = {"assistant_id": "odd", "input": {"how": [what, where]}, "stream_mode": modes}
    thread_id = new_thread(client)
    left = client.post(f"/threads/{thread_id}/runs/wait", json=body).json()
    if where == "state" and what in KEPT_ODD:
        assert left["answer"] == KEPT_ODD[what]
    elif where == "interrupt" and what in KEPT_ODD:
        assert left["__interrupt__"][0]["value"] == KEPT_ODD[what]
    elif where != "custom":
        assert left["__error__"]["error"] == "TypeError"  # no checkpoint can hold it
    if where != "interrupt":
        streamed = client.post("/runs/stream", json={**body, "stream_mode": modes[:4]}).text
        assert "event: error" not in streamed
        if where == "custom":
            assert "event: custom" in streamed
    for path in ("", "/state", "/history"):
        assert client.get(f"/threads/{thread_id}{path}").status_code == 200


def test_a_graph_that_calls_itself_for_ever_fails_alone(client: httpx.Client) -> None:
    thread_id = new_thread(client)
    for path in ("/runs/wait", f"/threads/{thread_id}/runs/wait"):
        body = {"assistant_id": "recurse", "input": {"how": "python"}}
        assert client.post(path, json=body).json()["__error__"]["error"] == "RecursionError"
        body = {"assistant_id": "spin", "input": {}, "config": {"recursion_limit": 50}}
        assert client.post(path, json=body).json()["__error__"]["error"] == "GraphRecursionError"
    deep = {"assistant_id": "recurse", "input": {"how": "deep"}}
    assert "answer" in client.post("/runs/wait", json=deep).json()
    assert client.post(f"/threads/{thread_id}/runs/wait", json=deep).json()["__error__"]["error"] == "TypeError"


def test_graphs_that_block_their_threads_hold_up_no_other(client: httpx.Client) -> None:
    """The time limit ends their runs; the threads are left behind until they come back by themselves."""
    began = time.monotonic()
    body = {"assistant_id": "block", "input": {"how": RUN_SECONDS + 1}}
    threads = [new_thread(client) for _ in range(20)]
    runs = [client.post(f"/threads/{thread_id}/runs", json=body).json()["run_id"] for thread_id in threads]
    quick = {"assistant_id": "fail_sync", "input": {"how": "thread"}}
    assert client.post("/runs/wait", json=quick).json()["answer"] == "done"
    assert time.monotonic() - began < RUN_SECONDS / 2
    left = client.get(f"/threads/{threads[0]}/runs/{runs[0]}/join").json()
    assert left["__error__"]["error"] == "TimeoutError"


def test_a_graph_that_blocks_the_loop_is_only_waited_for(client: httpx.Client) -> None:
    """Nothing can take the loop away from `time.sleep` in an `async def`: all wait, and nobody loses anything."""
    thread_id = new_thread(client)
    client.post(f"/threads/{thread_id}/runs", json={"assistant_id": "block_loop", "input": {"how": 1}})
    assert client.post("/runs/wait", json=RUN).json()["answer"] == "hi"


def test_what_a_run_held_is_let_go(client: httpx.Client, folder: Path) -> None:
    def held() -> int:
        figures = client.get("/metrics", params={"format": "json"}).json()
        assert figures["queue"]["n_running"] == 0
        return _resident(folder)

    body = {"assistant_id": "grow", "input": {"how": 20}}
    for _ in range(3):
        assert len(client.post("/runs/wait", json=body).json()["answer"]) == 20 * 1024 * 1024
    before = held()
    for _ in range(6):
        client.post("/runs/wait", json=body)
    assert held() - before < 100 * 1024 * 1024


def _resident(folder: Path) -> int:
    """Bytes of memory that the server in a folder has."""
    if not Path("/proc/self/statm").exists():
        pytest.skip("there is no /proc to look at")
    found = []
    for process in Path("/proc").iterdir():
        try:
            if process.name.isdigit() and (process / "cwd").readlink() == folder:
                found.append(int((process / "statm").read_text().split()[1]) * 4096)
        except OSError:
            pass
    return max(found)  # the least are those that it reads files with


# HTTP.


def test_a_page_of_another_origin_is_let_in_by_name_alone(client: httpx.Client) -> None:
    asked = {
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type,x-api-key,x-auth-scheme",
    }
    for path in ("/threads/search", "/runs/stream", "/assistants/search", "/info"):
        for private in ({}, {"Access-Control-Request-Private-Network": "true"}):
            known = client.options(path, headers={"Origin": "https://page.example", **asked, **private})
            assert known.status_code == 200, known.text
            assert known.headers["access-control-allow-origin"] == "https://page.example"
            assert "x-api-key" in known.headers["access-control-allow-headers"].lower()
            stranger = client.options(path, headers={"Origin": "https://evil.example", **asked, **private})
            assert stranger.status_code == 400
            assert "access-control-allow-origin" not in stranger.headers
    made = client.post("/runs/wait", json=RUN, headers={"Origin": "https://page.example"})
    assert made.headers["access-control-allow-origin"] == "https://page.example"
    assert "Content-Location" in made.headers["access-control-expose-headers"]


@pytest.mark.parametrize(
    "kind", ["text/plain", "text/plain;charset=UTF-8", "application/x-www-form-urlencoded", "x", ""]
)
def test_a_body_is_json_whatever_its_content_type_says(client: httpx.Client, own: dict[str, str], kind: str) -> None:
    for (method, path), body in BODIES.items():
        content = orjson.dumps(body)
        plain = client.request(method, path.format(**own), content=content, headers={"Content-Type": kind})
        known = client.request(method, path.format(**own), content=content, headers=JSON)
        assert plain.status_code == known.status_code, (method, path, plain.text, known.text)
    assert client.post("/runs/wait", content=orjson.dumps(RUN)).json()["answer"] == "hi"  # none at all


def test_a_body_that_is_too_large_is_refused(client: httpx.Client) -> None:
    body = json.dumps({**RUN, "input": {"said": "x" * BODY_BYTES}})
    for path in ("/runs", "/runs/wait", "/threads", "/assistants", "/store/items/search", "/mcp", "/a2a/echo"):
        answer = client.post(path, content=body, headers=JSON)
        assert answer.status_code == 413, path
    assert client.put("/store/items", content=body, headers=JSON).status_code == 413


def test_unknown_methods_and_paths_are_told_apart(client: httpx.Client) -> None:
    for method, path in (
        ("PUT", "/threads"),
        ("GET", "/threads/search"),
        ("PATCH", f"/threads/{NOBODY}/state"),
        ("DELETE", "/runs"),
        ("PUT", f"/assistants/{NOBODY}"),
        ("POST", "/store/items"),
        ("EXPLODE", "/runs/wait"),
    ):
        assert client.request(method, path).status_code in {400, 405, 422}, (method, path)
    for path in ("/threads/", "/runs/x/y/z", "/assistants/x/y/z", "/store", "/store/", "/ui", "/threads//state"):
        assert client.get(path).status_code in {307, 404, 405, 422}, path


def test_a_place_that_is_told_is_the_runs_own(client: httpx.Client) -> None:
    thread_id = new_thread(client)
    evil = {"X-Forwarded-Host": "evil.example", "X-Forwarded-Prefix": "/evil", "X-Request-ID": "a\tb"}
    for path in (f"/threads/{thread_id}/runs/wait", f"/threads/{thread_id}/runs/stream", "/runs/stream"):
        answer = client.post(path, json={**RUN, "thread_id": "x\r\nX-Evil: 1"}, headers=evil)
        for name in ("location", "content-location"):
            assert answer.headers[name].startswith(("/threads/", "/runs/"))
        assert "x-evil" not in answer.headers
        assert "evil" not in str(answer.headers.raw)
