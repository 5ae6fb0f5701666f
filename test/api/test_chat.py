"""Asking over HTTP: whole, streamed, again, wrongly."""

import asyncio
from typing import Any, TypedDict
from uuid import uuid4

import orjson
import pytest
from langgraph.types import interrupt

from test.door_fixture import QUESTION_CHARS, Door, parse, stream_of, thread_of
from test.engine_fixture import Agents, Gate, graph_of

ASK = {"message": "one two", "agent": "echo"}
BAD = [
    (b"", 400, "JSON"),
    (b'{"message": ', 400, "JSON"),
    (b"\xff\xfe", 400, "JSON"),
    (b"[" * 50_000, 400, "JSON"),
    (b"null", 422, "body"),
    (b"[]", 422, "body"),
    (b"{}", 422, "message or an input"),
    (b'{"message": "  \\n"}', 422, "empty"),
    (b'{"message": 5}', 422, "message"),
    (b'{"message": "?", "input": {}}', 422, "message or an input"),
    (b'{"message": "?", "input": 5}', 422, "input"),
    (b'{"message": "?", "mesage": "?"}', 422, "mesage"),
    (b'{"agent": "echo", "input": {"messages": 5}}', 422, "messages"),
    (b'{"agent": "echo", "input": {"messages": [{"role": "root", "content": "x"}]}}', 422, "messages"),
    (b'{"agent": "echo", "input": {"messages": [{"role": "user", "content": {"a": 1}}]}}', 422, "messages"),
    (b'{"message": "?", "agent": "nobody"}', 404, "nobody"),
    (b'{"message": "?", "agent": "echo", "model": "gpt-99"}', 422, "gpt-99"),
    (b'{"message": "?", "thread_id": "x"}', 422, "thread_id"),
    (b'{"message": "?", "thread_id": "00000000-0000-4000-8000-000000000000", "agent": "echo"}', 404, "Thread"),
    (b'{"message": "?", "keep": "no"}', 422, "keep"),
    (b'{"message": "?", "keep": false, "thread_id": "00000000-0000-4000-8000-000000000000"}', 422, "keep"),
    (b'{"message": "?", "keep": false, "agent": "nobody"}', 404, "nobody"),
    (b'{"message": "?", "timeout": 0}', 422, "timeout"),
    (b'{"message": "?", "timeout": NaN}', 422, "timeout"),
    (b'{"message": "?", "multitask_strategy": "hope"}', 422, "multitask_strategy"),
    (b'{"message": "a\\u0000b", "agent": "echo"}', 422, "NUL"),
    (b'{"message": "?", "metadata": {"a": ["\\u0000"]}}', 422, "NUL"),
    (b'{"message": "\\ud800", "agent": "echo"}', 400, "JSON"),
    (orjson.dumps({"message": "?" * (QUESTION_CHARS + 1)}), 422, "characters"),
    (orjson.dumps({"message": "?" * 1_000_000}), 422, "characters"),
    (orjson.dumps({"message": "?" * 3_000_000}), 413, "bytes"),
    (orjson.dumps({"message": "?", "metadata": {str(key): 1 for key in range(100)}}), 422, "metadata"),
]


async def test_an_answer_comes_whole_and_names_its_run(door: Door) -> None:
    answer = await door.http.post("/api/v1/chat", json=ASK)
    assert answer.status_code == 200
    body = answer.json()
    assert body["answer"].strip() == "echo one two"
    assert body["status"] == "success"
    assert answer.headers["x-run-id"] == body["run_id"]
    assert answer.headers["location"] == f"/api/v1/runs/{body['run_id']}"
    said = await door.http.get(f"/api/v1/threads/{body['thread_id']}/messages")
    assert [message["role"] for message in said.json()["items"]] == ["user", "assistant"]


async def test_a_stream_says_the_same_as_the_whole_answer(door: Door) -> None:
    async with door.http.stream("POST", "/api/v1/chat/stream", json=ASK) as response:
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/event-stream")
        assert response.headers["x-accel-buffering"] == "no"
        assert response.headers["cache-control"] == "no-cache, no-transform"
        frames = await stream_of(response)
    assert [frame.name for frame in frames] == ["start", "token", "token", "token", "usage", "done"]
    assert "".join(frame.data["text"] for frame in frames if frame.name == "token").strip() == "echo one two"
    assert response.headers["x-run-id"] == frames[0].data["run_id"]
    again = await door.http.get(response.headers["location"])
    assert parse(again.text) == frames


async def test_a_conversation_goes_on(door: Door) -> None:
    thread_id = await thread_of(door)
    await door.http.post(f"/api/v1/threads/{thread_id}/chat", json=ASK)
    async with door.http.stream("POST", f"/api/v1/threads/{thread_id}/chat/stream", json=ASK) as response:
        await stream_of(response)
    await door.http.post("/api/v1/chat", json=ASK | {"thread_id": str(thread_id)})
    said = (await door.http.get(f"/api/v1/threads/{thread_id}/messages")).json()["items"]
    assert [message["content"].strip() for message in said] == ["one two", "echo one two"] * 3


async def test_what_is_not_kept_leaves_nothing(door: Door) -> None:
    before = await door.engine.count()
    answer = await door.http.post("/api/v1/chat", json=ASK | {"keep": False})
    async with door.http.stream("POST", "/api/v1/chat/stream", json=ASK | {"keep": False}) as response:
        frames = await stream_of(response)
    assert answer.json()["answer"].strip() == "echo one two"
    assert answer.json()["thread_id"] is None
    assert frames[-1].name == "done"
    assert response.headers["x-run-id"] == frames[0].data["run_id"]
    assert await door.engine.count() == before


async def test_a_run_that_is_not_kept_ends_when_its_client_leaves(door: Door, agents: Agents) -> None:
    gate = Gate()
    stopped = asyncio.Event()

    async def wait(state: dict[str, Any]) -> dict[str, Any]:
        try:
            await gate.passed()
        finally:
            stopped.set()
        return {}

    agents.graphs["slow"] = graph_of(wait)
    async with door.http.stream(
        "POST", "/api/v1/chat/stream", json={"message": "?", "agent": "slow", "keep": False}
    ) as response:
        await stream_of(response, until=lambda frame: frame.name == "start")
        async with asyncio.timeout(60):
            await gate.entered.wait()
    async with asyncio.timeout(60):
        await stopped.wait()


async def test_waiting_for_an_answer_that_is_not_kept_ends_with_its_client(
    door: Door, agents: Agents, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backend.api.sse.PATIENCE_SECONDS", 0.01)
    gate = Gate()
    stopped = asyncio.Event()

    async def wait(state: dict[str, Any]) -> dict[str, Any]:
        try:
            await gate.passed()
        finally:
            stopped.set()
        return {}

    agents.graphs["slow"] = graph_of(wait)
    body = {"message": "?", "agent": "slow", "keep": False}
    asking = asyncio.create_task(door.http.post("/api/v1/chat", json=body))
    async with asyncio.timeout(60):
        await gate.entered.wait()
        asking.cancel()
        await stopped.wait()


async def test_a_stored_run_goes_on_without_its_client(door: Door, agents: Agents) -> None:
    gate = Gate()
    agents.graphs["slow"] = graph_of(gate.node)
    async with door.http.stream("POST", "/api/v1/chat/stream", json={"message": "?", "agent": "slow"}) as response:
        await stream_of(response, until=lambda frame: frame.name == "start")
        run_id = response.headers["x-run-id"]
    gate.open.set()
    after = await door.http.get(f"/api/v1/runs/{run_id}/stream", headers={"Last-Event-ID": "1-1"})
    frames = parse(after.text)
    assert frames[-1].name == "done"
    assert frames[-1].data["answer"] == "passed"
    assert all(frame.id != "1-1" for frame in frames)


async def test_the_same_key_gives_the_same_run(door: Door) -> None:
    key = {"Idempotency-Key": "order-1"}
    first = await door.http.post("/api/v1/chat", json=ASK, headers=key)
    again = await door.http.post("/api/v1/chat", json=ASK, headers=key)
    other = await door.http.post("/api/v1/chat", json=ASK | {"message": "three"}, headers=key)
    assert first.json() == again.json()
    assert other.status_code == 409
    assert other.json()["type"] == "/problems/idempotency-conflict"
    said = await door.http.get(f"/api/v1/threads/{first.json()['thread_id']}/messages")
    assert len(said.json()["items"]) == 2


async def test_a_graph_that_fails_answers_with_a_problem(door: Door, agents: Agents) -> None:
    async def fail(state: dict[str, Any]) -> dict[str, Any]:
        raise RuntimeError("secret of the house")

    agents.graphs["broken"] = graph_of(fail)
    body = {"message": "?", "agent": "broken"}
    whole = await door.http.post("/api/v1/chat", json=body)
    async with door.http.stream("POST", "/api/v1/chat/stream", json=body) as response:
        frames = await stream_of(response)
    assert whole.status_code == 500
    assert whole.headers["content-type"] == "application/problem+json"
    assert whole.json()["type"] == "/problems/agent-failed"
    assert whole.json()["request_id"] == whole.headers["x-request-id"]
    assert [frame.name for frame in frames][-1] == "error"
    assert "secret" not in whole.text + str(frames)


async def test_a_run_that_takes_too_long_is_a_timeout(door: Door, agents: Agents) -> None:
    gate = Gate()
    agents.graphs["slow"] = graph_of(gate.node)
    answer = await door.http.post("/api/v1/chat", json={"message": "?", "agent": "slow", "timeout": 0.05})
    assert answer.status_code == 504
    assert answer.json()["type"] == "/problems/run-timeout"


async def test_a_graph_of_another_shape_takes_an_input(door: Door, agents: Agents) -> None:
    class Sum(TypedDict):
        numbers: list[int]
        total: int

    async def add(state: Sum) -> dict[str, int]:
        return {"total": sum(state["numbers"])}

    agents.graphs["sum"] = graph_of(add, state=Sum)
    answer = await door.http.post("/api/v1/chat", json={"agent": "sum", "input": {"numbers": [1, 2, 3]}})
    assert answer.json()["output"]["total"] == 6


async def test_an_interrupt_is_answered_by_resuming(door: Door, agents: Agents) -> None:
    async def approve(state: dict[str, Any]) -> dict[str, Any]:
        said = interrupt({"question": "May I?"})
        return {"messages": [{"role": "assistant", "content": f"You said {said}."}]}

    agents.graphs["careful"] = graph_of(approve)
    waiting = (await door.http.post("/api/v1/chat", json={"message": "?", "agent": "careful"})).json()
    assert waiting["interrupts"][0]["value"] == {"question": "May I?"}
    done = await door.http.post(f"/api/v1/runs/{waiting['run_id']}/resume", json={"answer": "yes"})
    assert done.json()["answer"] == "You said yes."
    again = await door.http.post(f"/api/v1/runs/{waiting['run_id']}/resume", json={"answer": "no"})
    assert again.status_code == 409


async def test_a_resumed_run_can_be_streamed(door: Door, agents: Agents) -> None:
    async def approve(state: dict[str, Any]) -> dict[str, Any]:
        return {"messages": [{"role": "assistant", "content": str(interrupt("?"))}]}

    agents.graphs["careful"] = graph_of(approve)
    async with door.http.stream("POST", "/api/v1/chat/stream", json={"message": "?", "agent": "careful"}) as response:
        frames = await stream_of(response)
    assert "interrupt" in [frame.name for frame in frames]
    run_id = response.headers["x-run-id"]
    async with door.http.stream(
        "POST", f"/api/v1/runs/{run_id}/resume", json={"answer": "yes", "stream": True}
    ) as response:
        frames = await stream_of(response)
    assert frames[-1].data["answer"] == "yes"


@pytest.mark.parametrize("path", ["/api/v1/chat", "/api/v1/chat/stream"])
async def test_bad_input_is_refused_before_the_first_byte(door: Door, path: str) -> None:
    for body, status, word in BAD:
        answer = await door.http.post(path, content=body)
        assert answer.status_code == status, (body[:100], answer.text)
        assert answer.headers["content-type"] == "application/problem+json"
        assert word in answer.json()["detail"], (body[:100], answer.text)
    assert (await door.http.post("/api/v1/chat", json=ASK)).status_code == 200


async def test_a_bad_idempotency_key_is_refused(door: Door) -> None:
    for key in (b"", b"x" * 256, "ключ".encode()):
        answer = await door.http.post("/api/v1/chat", json=ASK, headers=[(b"Idempotency-Key", key)])
        assert answer.status_code == 422


async def test_the_path_and_the_body_must_name_one_thread(door: Door) -> None:
    thread_id = await thread_of(door)
    for path, body in [
        (f"/api/v1/threads/{thread_id}/chat", ASK | {"thread_id": str(uuid4())}),
        (f"/api/v1/threads/{thread_id}/chat", ASK | {"keep": False}),
        ("/api/v1/threads/not-an-id/chat", ASK),
    ]:
        assert (await door.http.post(path, json=body)).status_code == 422


async def test_another_tenants_thread_is_not_found(door: Door) -> None:
    thread_id = await thread_of(door)
    for path in (f"/api/v1/threads/{thread_id}/chat", f"/api/v1/threads/{thread_id}/chat/stream"):
        answer = await door.stranger.post(path, json=ASK)
        assert answer.status_code == 404
        assert answer.json()["type"] == "/problems/thread-not-found"


async def test_a_busy_thread_refuses_when_it_is_told_to(door: Door, agents: Agents) -> None:
    gate = Gate()
    agents.graphs["slow"] = graph_of(gate.node)
    run = await door.engine.ask("slow", "?")
    answer = await door.http.post(
        f"/api/v1/threads/{run.thread_id}/chat/stream",
        json={"message": "?", "agent": "slow", "multitask_strategy": "reject"},
    )
    assert answer.status_code == 409
    gate.open.set()
    await door.engine.end(run)


async def test_nobody_asks_without_a_token(door: Door) -> None:
    for path in ("/api/v1/chat", "/api/v1/chat/stream"):
        answer = await door.http.post(path, json=ASK, headers={"Authorization": "Bearer wrong"})
        assert answer.status_code == 401
