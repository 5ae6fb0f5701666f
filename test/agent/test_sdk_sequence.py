"""What whole programs ask, in the order in which they ask it: a chat page, the two hooks for React, a studio."""

import asyncio
from typing import Any
from uuid import uuid4

import httpx

from test.agent_fixture import WAIT_SECONDS, Gate, Sdk, collect, default_assistant, ended, held, new_thread, until

QUESTION = {"messages": [{"type": "human", "content": "good day", "id": "1"}]}


async def test_a_chat_page(sdk: Sdk):
    info = await sdk.http.get("/info")
    assert info["version"]
    assert info["flags"]["assistants"] is True

    thread_id = str(uuid4())
    made = await sdk.threads.create(thread_id=thread_id, metadata={})
    assert made["thread_id"] == thread_id
    assert await sdk.threads.get_history(thread_id, limit=10) == []
    parts = await collect(
        sdk.runs.stream(
            thread_id,
            "tokens",
            input=QUESTION,
            stream_mode=["values"],
            stream_subgraphs=True,
            stream_resumable=True,
            on_disconnect="continue",
        )
    )
    assert [message["type"] for message in parts[-2 if parts[-1].event == "end" else -1].data["messages"]] == [
        "human",
        "ai",
    ]
    history = await sdk.threads.get_history(thread_id, limit=10)
    assert history[0]["values"]["messages"][-1]["content"] == "You said: good day "

    for about in ({"graph_id": "tokens"}, {"assistant_id": default_assistant("tokens")}):
        found = await sdk.threads.search(metadata=about, limit=100)
        assert thread_id in {thread["thread_id"] for thread in found}

    # To regenerate: the state before the answer, and no input.
    before = next(state for state in history if state["next"] == ["answer"])
    await collect(sdk.runs.stream(thread_id, "tokens", input=None, checkpoint=before["checkpoint"]))
    state: Any = await sdk.threads.get_state(thread_id)
    assert [message["type"] for message in state["values"]["messages"]] == ["human", "ai"]


async def test_a_chat_page_answers_a_question(sdk: Sdk):
    thread_id = await new_thread(sdk)
    await collect(sdk.runs.stream(thread_id, "ask", input={}, stream_mode=["values"], stream_subgraphs=True))
    (state,) = await sdk.threads.get_history(thread_id, limit=1)
    assert state["tasks"][0]["interrupts"][0]["value"] == {"question": "Shall we?"}
    parts = await collect(sdk.runs.stream(thread_id, "ask", command={"resume": "yes"}, stream_mode=["values"]))
    values = [part.data for part in parts if part.event == "values"]
    assert values[-1]["answers"] == ["opened", "asked: yes", "closed"]


async def test_the_older_hook_comes_back_to_a_running_thread(sdk: Sdk, gate: Gate):
    thread_id = await new_thread(sdk)
    run_id = await held(sdk, gate, thread_id, stream_mode=["values", "messages-tuple", "custom"], stream_resumable=True)
    await sdk.http.post(f"/threads/{thread_id}/history", json={"limit": 10})
    joining = asyncio.create_task(collect(sdk.runs.join_stream(thread_id, run_id, last_event_id="-1")))
    gate.open()
    assert [part.data["trail"] for part in await joining if part.event == "values"][-1] == ["before", "hold", "after"]


async def test_the_older_hook_stops_and_queues(sdk: Sdk, gate: Gate):
    thread_id = await new_thread(sdk)
    run_id = await held(sdk, gate, thread_id)
    queued = await sdk.runs.create(thread_id, "counter", input={"total": 0}, multitask_strategy="enqueue")
    answer = await sdk.http.client.post(f"/threads/{thread_id}/runs/{run_id}/cancel", params={"wait": 0})
    assert answer.status_code == 202
    values = await sdk.runs.join(thread_id, queued["run_id"])
    assert values["total"] == 3
    assert await ended(sdk, thread_id, run_id) == "interrupted"


async def test_the_newer_hook(sdk: Sdk, agent_url: str):
    thread_id = str(uuid4())
    missing = await sdk.http.client.get(f"/threads/{thread_id}/state")
    assert missing.status_code == 404
    channels = {"channels": ["values", "lifecycle", "input", "messages", "tools"], "namespaces": [[]], "depth": 1}
    begun = await sdk.http.post(
        f"/threads/{thread_id}/commands",
        json={
            "id": 1,
            "method": "run.start",
            "params": {"assistant_id": "tokens", "input": QUESTION, "multitask_strategy": "enqueue"},
        },
    )
    assert begun["type"] == "success"
    seen = ""
    async with (
        asyncio.timeout(WAIT_SECONDS),
        httpx.AsyncClient(base_url=agent_url, timeout=WAIT_SECONDS) as client,
        client.stream("POST", f"/threads/{thread_id}/stream/events", json=channels) as answer,
    ):
        async for part in answer.aiter_text():
            seen += part
            if '"completed"' in seen:
                break
    assert "event: messages" in seen
    assert "event: values" in seen
    history = await sdk.http.post(f"/threads/{thread_id}/history", json={"limit": 20})
    older = await sdk.http.post(
        f"/threads/{thread_id}/history",
        json={"limit": 20, "before": {"configurable": {"checkpoint_id": history[0]["checkpoint"]["checkpoint_id"]}}},
    )
    assert [state["checkpoint"] for state in older] == [state["checkpoint"] for state in history[1:]]


async def test_the_newer_hook_keeps_a_queue_on_the_server(sdk: Sdk, gate: Gate):
    thread_id = await new_thread(sdk)
    await held(sdk, gate, thread_id)
    queued = await sdk.runs.create(thread_id, "counter", input={"total": 0}, multitask_strategy="enqueue")
    waiting = await sdk.runs.list(thread_id, status="pending", limit=1000, select=["run_id", "status"])
    assert [run["run_id"] for run in waiting] == [queued["run_id"]]
    await sdk.runs.cancel(thread_id, queued["run_id"])
    assert await sdk.runs.list(thread_id, status="pending", limit=1000) == []


async def test_a_studio(sdk: Sdk):
    system = await sdk.http.client.post(
        "/assistants/search",
        content=b'{"metadata": {"created_by": "system"}, "limit": 100}',
        headers={"Content-Type": "text/plain;charset=UTF-8"},
    )
    ids = {found["graph_id"]: found["assistant_id"] for found in system.json()}
    for what in ("graph", "schemas", "subgraphs"):
        assert await sdk.http.get(f"/assistants/{ids['nested']}/{what}")


async def test_the_server_tells_of_itself(sdk: Sdk):
    assert (await sdk.http.get("/ok"))["ok"] is True
    metrics = await sdk.http.client.get("/metrics")
    assert metrics.status_code == 200
    assert {"queue", "workers"} <= set(await sdk.http.get("/metrics", params={"format": "json"}))
    paths = (await sdk.http.get("/openapi.json"))["paths"]
    assert {"/assistants/search", "/threads/{thread_id}/runs/stream", "/store/items", "/runs/crons"} <= set(paths)
    assert (await sdk.http.client.get("/docs")).status_code == 200


async def test_a_graph_without_a_user_interface_says_so(sdk: Sdk):
    assert (await sdk.http.client.post("/ui/echo", json={"name": "card"})).status_code == 404


async def test_many_runs_go_on_side_by_side(sdk: Sdk, gate: Gate):
    threads = [await new_thread(sdk) for _ in range(8)]
    runs = [await sdk.runs.create(thread_id, "gate", input=gate.input) for thread_id in threads]

    async def held_ones() -> int:
        states = await asyncio.gather(*(sdk.threads.get_state(thread_id) for thread_id in threads))
        return sum(state["next"] == ["hold"] for state in states)

    assert await until(held_ones, lambda number: number == 8)
    gate.open()
    for thread_id, run in zip(threads, runs, strict=True):
        assert await ended(sdk, thread_id, run["run_id"]) == "success"
