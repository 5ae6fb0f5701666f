"""Conversations over HTTP."""

from uuid import uuid4

from test.door_fixture import Door, thread_of
from test.engine_fixture import Agents, Gate, graph_of


async def test_a_thread_is_made_read_changed_and_deleted(door: Door) -> None:
    made = await door.http.post("/api/v1/threads", json={"metadata": {"title": "문의", "old": 1}})
    path = made.headers["location"]
    assert made.json()["status"] == "idle"
    changed = await door.http.patch(path, json={"metadata": {"title": "답변", "old": None}})
    assert changed.json()["metadata"] == {"title": "답변"}
    assert (await door.http.get(path)).json() == changed.json()
    assert (await door.http.get(f"{path}/messages")).json()["items"] == []
    assert (await door.http.delete(path)).status_code == 204
    assert (await door.http.get(path)).status_code == 404


async def test_a_thread_needs_no_body(door: Door) -> None:
    assert (await door.http.post("/api/v1/threads")).status_code == 201


async def test_an_id_is_taken_once(door: Door) -> None:
    thread_id = str(uuid4())
    assert (await door.http.post("/api/v1/threads", json={"thread_id": thread_id})).status_code == 201
    again = await door.http.post("/api/v1/threads", json={"thread_id": thread_id})
    assert again.status_code == 409
    assert again.json()["type"] == "/problems/thread-exists"


async def test_threads_are_listed_in_pages(door: Door) -> None:
    made = [await thread_of(door) for _ in range(5)]
    seen: list[str] = []
    before: dict[str, str] = {}
    while True:
        page = (await door.http.get("/api/v1/threads", params={"limit": 2, **before})).json()
        seen += [thread["thread_id"] for thread in page["items"]]
        assert len(page["items"]) <= 2
        if page["next"] is None:
            break
        before = {"before": page["next"]}
    assert seen == [str(thread_id) for thread_id in reversed(made)]
    assert (await door.stranger.get("/api/v1/threads")).json()["items"] == []


async def test_a_list_has_a_bound(door: Door) -> None:
    for limit in ("0", "101", "-1", "x", "9" * 40):
        assert (await door.http.get("/api/v1/threads", params={"limit": limit})).status_code == 422


async def test_another_tenants_thread_is_not_found(door: Door) -> None:
    path = f"/api/v1/threads/{await thread_of(door)}"
    answers = [
        await door.stranger.get(path),
        await door.stranger.get(f"{path}/messages"),
        await door.stranger.get(f"{path}/runs"),
        await door.stranger.patch(path, json={"metadata": {}}),
        await door.stranger.delete(path),
    ]
    assert [answer.status_code for answer in answers] == [404] * 5
    assert (await door.http.get(path)).status_code == 200


async def test_a_busy_thread_is_not_deleted(door: Door, agents: Agents) -> None:
    gate = Gate()
    agents.graphs["slow"] = graph_of(gate.node)
    run = await door.engine.ask("slow", "?")
    assert (await door.http.delete(f"/api/v1/threads/{run.thread_id}")).status_code == 409
    gate.open.set()
    await door.engine.end(run)


async def test_unknown_fields_and_bad_ids_are_refused(door: Door) -> None:
    assert (await door.http.post("/api/v1/threads", json={"meta": {}})).status_code == 422
    assert (await door.http.post("/api/v1/threads", json={"thread_id": "x"})).status_code == 422
    assert (await door.http.get("/api/v1/threads/x")).status_code == 422
    assert (await door.http.patch(f"/api/v1/threads/{await thread_of(door)}", json={})).status_code == 422


async def test_agents_are_listed(door: Door) -> None:
    agents = (await door.http.get("/api/v1/agents")).json()
    assert [agent["name"] for agent in agents["items"]] == ["echo"]
    assert agents["models"] == ["default"]
