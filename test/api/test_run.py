"""Runs over HTTP."""

from uuid import uuid4

import pytest

from test.door_fixture import Door, parse
from test.engine_fixture import Agents, Gate, graph_of


async def test_runs_are_read_and_listed(door: Door) -> None:
    first = await door.engine.ask("echo", "one", metadata={"ticket": 7})
    await door.engine.end(first)
    second = await door.engine.ask("echo", "two", first.thread_id)
    await door.engine.end(second)
    shown = (await door.http.get(f"/api/v1/runs/{first.run_id}")).json()
    assert shown["status"] == "success"
    assert shown["metadata"] == {"ticket": 7}
    assert shown["result"]["answer"].strip() == "echo one"
    listed = (await door.http.get(f"/api/v1/threads/{first.thread_id}/runs")).json()["items"]
    assert [run["run_id"] for run in listed] == [str(second.run_id), str(first.run_id)]


async def test_the_runs_of_a_thread_are_read_page_by_page_while_others_come(door: Door) -> None:
    first = await door.engine.ask("echo", "0")
    made = [first, *[await door.engine.ask("echo", str(number), first.thread_id) for number in range(1, 5)]]
    await door.engine.end(made[-1])
    path, seen, before = f"/api/v1/threads/{first.thread_id}/runs", [], None
    while True:
        page = (await door.http.get(path, params={"limit": "2"} | ({"before": before} if before else {}))).json()
        seen += [run["run_id"] for run in page["items"]]
        await door.engine.end(await door.engine.ask("echo", "meanwhile", first.thread_id))
        if (before := page["next"]) is None:
            break
    assert seen == [str(run.run_id) for run in reversed(made)]
    assert (await door.http.get(path, params={"before": "x"})).status_code == 422


async def test_a_run_that_waits_for_another_is_pending(door: Door, agents: Agents) -> None:
    gate = Gate()
    agents.graphs["slow"] = graph_of(gate.node)
    first = await door.engine.ask("slow", "?")
    second = await door.engine.ask("slow", "?", first.thread_id)
    assert second.status == "queued"
    assert (await door.http.get(f"/api/v1/runs/{second.run_id}")).json()["status"] == "pending"
    gate.open.set()
    await door.engine.end(second)


async def test_a_run_is_cancelled_once(door: Door, agents: Agents) -> None:
    gate = Gate()
    agents.graphs["slow"] = graph_of(gate.node)
    run = await door.engine.ask("slow", "?")
    assert (await door.http.post(f"/api/v1/runs/{run.run_id}/cancel")).status_code == 202
    frames = parse((await door.http.get(f"/api/v1/runs/{run.run_id}/stream")).text)
    assert (frames[-1].name, frames[-1].data["status"]) == ("done", "interrupted")
    again = await door.http.post(f"/api/v1/runs/{run.run_id}/cancel", json={"action": "rollback"})
    assert again.status_code == 409
    assert again.json()["type"] == "/problems/run-ended"


async def test_another_tenants_run_is_not_found(door: Door) -> None:
    run = await door.engine.ask("echo", "?")
    await door.engine.end(run)
    path = f"/api/v1/runs/{run.run_id}"
    answers = [
        await door.stranger.get(path),
        await door.stranger.get(f"{path}/stream"),
        await door.stranger.post(f"{path}/cancel"),
        await door.stranger.post(f"{path}/resume", json={"answer": 1}),
        await door.http.get(f"/api/v1/runs/{uuid4()}"),
    ]
    assert [answer.status_code for answer in answers] == [404] * 5


@pytest.mark.parametrize("path", ["", "/stream", "/cancel", "/resume"])
async def test_a_bad_id_is_refused(door: Door, path: str) -> None:
    method = "GET" if path in {"", "/stream"} else "POST"
    answer = await door.http.request(method, f"/api/v1/runs/not-an-id{path}", json={"answer": 1})
    assert answer.status_code == 422


async def test_bad_bodies_are_refused(door: Door) -> None:
    run = await door.engine.ask("echo", "?")
    await door.engine.end(run)
    for path, body in [
        ("cancel", {"action": "explode"}),
        ("cancel", {"wait": True}),
        ("resume", {}),
        ("resume", {"answer": 1, "stream": "yes"}),
    ]:
        assert (await door.http.post(f"/api/v1/runs/{run.run_id}/{path}", json=body)).status_code == 422
    finished = await door.http.post(f"/api/v1/runs/{run.run_id}/resume", json={"answer": 1})
    assert finished.json()["type"] == "/problems/not-interrupted"
