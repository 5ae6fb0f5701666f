"""What the desk's agents wrote is not there for who may only chat: no thread of theirs, no run, no copy, no count."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import orjson
import pytest
import socketio
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from backend.core.graph.registry import GraphRegistry
from backend.dto.principal import DESK_AGENTS, SCOPES, Principal
from test.hostile.conftest import SECRET
from test.hostile.target import Target
from test.hostile.test_role import PASSWORD
from test.hostile.test_tenant_matrix import BODIES, kinds_of
from test.hostile.world import Desk

OTHERWISE = {
    ("POST", "/api/v1/drafts/{run_id}/decision"): 403,
    ("POST", "/threads/{thread_id}/copy"): 409,  # as for one that is not there
    ("POST", "/threads/{thread_id}/commands"): 200,  # which says so within
}
ROUTES = [key for key in BODIES if key[0] != "WEBSOCKET" and {"thread_id", "run_id"} & set(kinds_of(key[1]))]


def test_the_hidden_agents_are_those_that_need_more_than_chatting() -> None:
    registry = GraphRegistry(Path("there-is-none"))
    assert {name for name in registry.names() if registry.describe(name).scope is not None} == set(DESK_AGENTS)
    assert Principal("t", "u").hidden == ()
    assert Principal("t", "u", scopes=SCOPES - {"tickets:read"}).hidden == DESK_AGENTS


@pytest.fixture
def chatter(target: Target, alices_desk: Desk) -> Iterator[httpx.Client]:
    """Who has a key of Alice's tenant for `chat` and `knowledge:read`."""
    with target.client(alices_desk.api_key) as client:
        yield client


@pytest.fixture(scope="module")
def colleague_token(attacked_server: Target) -> str:
    with attacked_server.client() as alice:
        user = {"email": f"{uuid4().hex}@desk.example", "role": "agent", "password": PASSWORD}
        assert alice.post("/api/v1/users", json=user).status_code == 201
        login = {"tenant_id": "default", "email": user["email"], "password": PASSWORD}
        return str(alice.post("/api/v1/auth/login", json=login).json()["access_token"])


@pytest.fixture
def colleague(target: Target, colleague_token: str) -> Iterator[httpx.Client]:
    """Somebody of the role `agent`."""
    with target.client(colleague_token) as client:
        yield client


@pytest.mark.parametrize("key", ROUTES, ids=" ".join)
def test_no_route_knows_a_thread_or_run_of_the_desk(
    target: Target, alices_desk: Desk, chatter: httpx.Client, key: tuple[str, str]
) -> None:
    method, template = key
    thread_id, run_id = alices_desk.draft_thread_id, alices_desk.draft_run_id
    with target.client() as alice:
        before = alice.get(f"/threads/{thread_id}").json()
        checkpoint = alice.get(f"/threads/{thread_id}/state").json()["checkpoint"]
        values = {"thread_id": thread_id, "run_id": run_id, "checkpoint_id": checkpoint["checkpoint_id"]}
        asked = orjson.loads(orjson.dumps(BODIES[key]))
        if template.endswith("/state/checkpoint"):
            asked["json"]["checkpoint"] = checkpoint
        answer = chatter.request(method, template.format(**values), **asked)
        assert answer.status_code == OTHERWISE.get(key, 404), answer.text
        assert SECRET not in answer.text
        if answer.status_code == 200:
            assert "error" in answer.json() or not answer.json()["result"], answer.text
        assert alice.get(f"/threads/{thread_id}").json() == before


def test_no_search_and_no_list_has_them(alices_desk: Desk, chatter: httpx.Client, colleague: httpx.Client) -> None:
    thread_id = alices_desk.draft_thread_id
    thread = colleague.get(f"/threads/{thread_id}").json()
    status = thread["status"]
    name, value = next((name, value) for name, value in thread["values"].items() if value and isinstance(value, str))
    questions: list[dict[str, Any]] = [
        {},
        {"ids": [thread_id]},
        {"status": status},
        {"metadata": thread["metadata"]},
        {"values": {name: value}},
        {"ids": [thread_id], "status": status},
    ]
    own = chatter.post("/threads", json={"metadata": {"graph_id": "echo"}}).json()["thread_id"]
    for question in questions:
        shown = [one["thread_id"] for one in chatter.post("/threads/search", json={**question, "limit": 1000}).json()]
        seen = [one["thread_id"] for one in colleague.post("/threads/search", json={**question, "limit": 1000}).json()]
        assert thread_id not in shown
        assert thread_id in seen
        if "ids" not in question:  # which are not counted by
            assert chatter.post("/threads/count", json=question).json() == len(shown)
            assert colleague.post("/threads/count", json=question).json() == len(seen)
    everything = [one["thread_id"] for one in chatter.post("/threads/search", json={"limit": 1000}).json()]
    assert own in everything
    listed = listed_threads(chatter)
    assert own in listed
    assert thread_id not in listed
    assert thread_id in listed_threads(colleague)


def listed_threads(client: httpx.Client) -> set[str]:
    """Return all threads of the list, page by page: other tests have left theirs."""
    listed: set[str] = set()
    page: dict[str, Any] = {"limit": 100}
    while True:
        answer = client.get("/api/v1/threads", params=page).json()
        listed |= {one["thread_id"] for one in answer["items"]}
        if answer["next"] is None:
            return listed
        page["before"] = answer["next"]


def test_they_are_neither_pruned_nor_stopped_nor_taken(
    alices_desk: Desk, chatter: httpx.Client, colleague: httpx.Client
) -> None:
    thread_id, run_id = alices_desk.draft_thread_id, alices_desk.draft_run_id
    pruned = chatter.post("/threads/prune", json={"thread_ids": [thread_id]})
    assert pruned.json() == {"pruned_count": 0}
    chatter.post("/runs/cancel", json={"thread_id": thread_id, "run_ids": [run_id]})
    taken = chatter.post("/threads", json={"thread_id": thread_id, "if_exists": "do_nothing"})
    assert taken.status_code == 409
    assert SECRET not in taken.text
    run = {"assistant_id": "echo", "input": {"messages": []}, "if_not_exists": "create"}
    assert chatter.post(f"/threads/{thread_id}/runs/wait", json=run).status_code in {404, 409}
    body = {"message": "Go on.", "agent": "echo", "thread_id": thread_id}
    assert chatter.post("/api/v1/chat", json=body).status_code == 404
    assert chatter.post("/threads", json={"metadata": {"graph_id": "copilot"}}).status_code == 403
    assert colleague.get(f"/api/v1/runs/{run_id}").status_code == 200


def test_a_copy_is_hidden_too_and_a_desks_thread_stays_the_desks(
    alices_desk: Desk, chatter: httpx.Client, colleague: httpx.Client
) -> None:
    thread_id = alices_desk.draft_thread_id
    named = colleague.post("/threads", json={"metadata": {"graph_id": "summary"}}).json()["thread_id"]
    copy = colleague.post(f"/threads/{thread_id}/copy").json()["thread_id"]
    try:
        assert colleague.patch(f"/threads/{copy}", json={"metadata": {"graph_id": "echo"}}).status_code == 200
        for hidden in (copy, named):
            assert colleague.get(f"/threads/{hidden}").status_code == 200
            assert chatter.get(f"/threads/{hidden}").status_code == 404
            assert chatter.get(f"/threads/{hidden}/state").status_code == 404
        # An agent of chats on it would make it a thread of chats, with all that it holds.
        other = colleague.post(f"/threads/{copy}/runs/wait", json={"assistant_id": "echo", "input": {"messages": []}})
        assert other.status_code == 409
        assert chatter.get(f"/threads/{copy}").status_code == 404
    finally:
        for made in (copy, named):
            assert colleague.delete(f"/threads/{made}").status_code == 204


def test_who_works_at_the_desk_sees_it_all(alices_desk: Desk, colleague: httpx.Client) -> None:
    thread_id, run_id = alices_desk.draft_thread_id, alices_desk.draft_run_id
    for path in (
        f"/threads/{thread_id}",
        f"/threads/{thread_id}/state",
        f"/threads/{thread_id}/history",
        f"/threads/{thread_id}/runs",
        f"/threads/{thread_id}/runs/{run_id}",
        f"/api/v1/threads/{thread_id}",
        f"/api/v1/threads/{thread_id}/messages",
        f"/api/v1/runs/{run_id}",
        f"/runs/{run_id}/join",
    ):
        answer = colleague.get(path)
        assert answer.status_code == 200, (path, answer.text)
    assert SECRET in colleague.get(f"/threads/{thread_id}/state").text


def test_who_follows_a_thread_is_told_no_more_once_it_is_the_desks(
    alices_desk: Desk, chatter: httpx.Client, colleague: httpx.Client
) -> None:
    thread_id = chatter.post("/threads", json={}).json()["thread_id"]
    asked = {"stream_modes": ["run_modes", "lifecycle", "state_update"]}
    try:
        with chatter.stream("GET", f"/threads/{thread_id}/stream", params=asked) as stream:
            assert stream.status_code == 200
            run = {"assistant_id": "copilot", "input": {"ticket_id": alices_desk.ticket_id}}
            assert colleague.post(f"/threads/{thread_id}/runs/wait", json=run).status_code == 200
            said = {"values": {"messages": [{"role": "user", "content": f"About {SECRET}."}]}, "as_node": "__start__"}
            assert colleague.post(f"/threads/{thread_id}/state", json=said).status_code == 200
            told = "".join(stream.iter_text())
        assert SECRET not in told
        assert "event: error" in told
    finally:
        assert colleague.delete(f"/threads/{thread_id}").status_code == 204


async def test_no_socket_knows_them(target: Target, alices_desk: Desk) -> None:
    thread_id, run_id = alices_desk.draft_thread_id, alices_desk.draft_run_id
    calls: dict[str, dict[str, Any]] = {
        "join": {"thread_id": thread_id},
        "cancel": {"run_id": run_id},
        "resume": {"run_id": run_id, "answer": {"action": "reject"}},
        "chat": {"thread_id": thread_id, "message": "Go on.", "agent": "echo"},
    }
    client = socketio.AsyncClient(reconnection=False)
    await client.connect(target.url, auth={"token": alices_desk.api_key}, transports=["websocket"])
    for name, call in {**calls, "claim": {"thread_id": thread_id}, "release": {"thread_id": thread_id}}.items():
        said = await client.call(name, call, timeout=10)
        assert said["problem"]["status"] == 404, (name, said)
    await client.disconnect()
    headers = {"Authorization": f"Bearer {alices_desk.api_key}"}
    async with asyncio.timeout(60), connect(target.ws_url, additional_headers=headers) as socket:
        for name, call in calls.items():
            await socket.send(orjson.dumps({"type": name, **call}).decode())
            said = orjson.loads(await socket.recv())
            assert said["event"] == "error", said
            assert said["data"]["status"] == 404, said
    address = target.ws_url.rsplit("/ws", 1)[0] + f"/threads/{thread_id}/stream/events"
    async with asyncio.timeout(60), connect(address, additional_headers=headers) as socket:
        with pytest.raises(ConnectionClosed) as closed:
            await socket.recv()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 4404
