"""What is measured through a door, with its answers checked."""

import json
import time
from collections.abc import Callable
from typing import Any

from bench.client import Client
from bench.measure import Once, Seen

TURNS = 20
SAID = "x" * 400
"""What is said in each turn of a conversation."""
WORDS = {"tokens": 100, "slow": 60, "rag": 60}
"""How many tokens a run of each graph has."""
INPUT = {"messages": [{"role": "user", "content": "hi"}]}

Scenario = Callable[[Client], "Once"]


def through(clients: list[Client], scenario: Scenario) -> Once:
    """Return a scenario that takes a free client each time."""

    async def once() -> Seen:
        client = clients.pop()
        try:
            return await scenario(client)()
        finally:
            clients.append(client)

    return once


def _asked(status: int, answer: bytes) -> Any:
    assert status == 200, (status, answer)
    return json.loads(answer)


async def _new_thread(client: Client) -> str:
    return _asked(*await client.post("/threads", {}))["thread_id"]


def stateless(client: Client) -> Once:
    async def once() -> Seen:
        state = _asked(*await client.post("/runs/wait", {"assistant_id": "echo", "input": INPUT}))
        assert state["messages"][-1]["content"] == "You said: hi"
        return {}

    return once


def new_thread(client: Client) -> Once:
    async def once() -> Seen:
        path = f"/threads/{await _new_thread(client)}/runs/wait"
        state = _asked(*await client.post(path, {"assistant_id": "echo", "input": INPUT}))
        assert state["messages"][-1]["content"] == "You said: hi"
        return {}

    return once


def conversation(client: Client) -> Once:
    async def once() -> Seen:
        path = f"/threads/{await _new_thread(client)}/runs/wait"
        said = {"messages": [{"role": "user", "content": SAID}]}
        seen: Seen = {"runs": TURNS}
        for turn in range(1, TURNS + 1):
            began = time.perf_counter()
            state = _asked(*await client.post(path, {"assistant_id": "echo", "input": said}))
            seen[f"turn {turn}"] = time.perf_counter() - began
            assert len(state["messages"]) == 2 * turn
        return seen

    return once


def streamed(agent: str, *modes: str, kept: bool = False) -> Scenario:
    def scenario(client: Client) -> Once:
        async def once() -> Seen:
            path = f"/threads/{await _new_thread(client)}/runs/stream" if kept else "/runs/stream"
            body = {"assistant_id": agent, "input": INPUT, "stream_mode": list(modes)}
            return await follow(client, path, body, b"event: messages")

        return once

    async def follow(client: Client, path: str, body: Any, marker: bytes) -> Seen:
        began = time.perf_counter()
        status, answer = await client.post(path, body)
        assert status == 200, (status, answer)
        assert answer.count(marker) >= WORDS[agent], answer[-500:]
        assert b"event: error" not in answer, answer[-500:]
        return {"events": answer.count(marker), "first": client.times(marker)[0] - began}

    return scenario


def chat(agent: str, *, keep: bool) -> Scenario:
    """The chat API's own door, answered whole."""

    def scenario(client: Client) -> Once:
        async def once() -> Seen:
            body = {"agent": agent, "message": "hi", "keep": keep}
            assert _asked(*await client.post("/api/v1/chat", body))["answer"] == "You said: hi"
            return {}

        return once

    return scenario


def chat_stream(agent: str, *, keep: bool) -> Scenario:
    def scenario(client: Client) -> Once:
        async def once() -> Seen:
            began = time.perf_counter()
            status, answer = await client.post("/api/v1/chat/stream", {"agent": agent, "message": "hi", "keep": keep})
            assert status == 200, (status, answer)
            count = answer.count(b"event: token")
            assert count >= WORDS[agent], answer[-500:]
            assert b"event: done" in answer, answer[-500:]
            return {"events": count, "first": client.times(b"event: token")[0] - began}

        return once

    return scenario


AGENT: dict[str, Scenario] = {
    "stateless": stateless,
    "new thread": new_thread,
    "conversation": conversation,
    "tokens": streamed("tokens", "messages-tuple"),
    "slow": streamed("slow", "messages-tuple"),
    "rag": streamed("rag", "messages-tuple", "values", kept=True),
}
CHAT: dict[str, Scenario] = {
    "stateless": chat("echo", keep=False),
    "new thread": chat("echo", keep=True),
    "tokens": chat_stream("tokens", keep=False),
    "rag": chat_stream("rag", keep=True),
}
