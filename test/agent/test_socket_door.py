"""One run, several doors: what the official client starts is watched and cancelled in a socket, and the other way."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import socketio

from test.agent_fixture import WAIT_SECONDS, Gate, Sdk, collect, ended, held, new_thread

Watched = list[dict[str, Any]]


@asynccontextmanager
async def socket(url: str) -> AsyncIterator[tuple[socketio.AsyncClient, Watched]]:
    """A Socket.IO client, and what it hears."""
    client = socketio.AsyncClient(reconnection=False)
    heard: Watched = []

    @client.on("events")
    async def events(batch: dict[str, Any]) -> bool:
        heard.extend(batch["events"])
        return True

    await client.connect(url, transports=["websocket"], wait_timeout=WAIT_SECONDS)
    try:
        yield client, heard
    finally:
        await client.disconnect()


async def last(heard: Watched, name: str) -> None:
    """Return when an event of this name was heard."""
    async with asyncio.timeout(WAIT_SECONDS):
        while not any(event["event"] == name for event in heard):  # noqa: ASYNC110 - the client has no event for it
            await asyncio.sleep(0.01)


async def test_a_room_hears_a_run_of_the_official_client_with_the_same_ids(agent_url: str, sdk: Sdk):
    thread_id = await new_thread(sdk)
    async with socket(agent_url) as (client, heard):
        assert (await client.call("join", {"thread_id": thread_id}))["ok"]
        parts = await collect(
            sdk.runs.stream(
                thread_id,
                "tokens",
                input={"messages": [{"role": "user", "content": "hello"}]},
                stream_mode=["messages-tuple", "values"],
                stream_resumable=True,
            )
        )
        await last(heard, "end")
    told = [(part.event, part.id, part.data) for part in parts]
    assert len(told) > 5
    assert [(event["event"], event["id"], event["data"]) for event in heard] == told
    assert {event["run_id"] for event in heard} == {parts[0].data["run_id"]}


async def test_a_socket_stops_a_run_of_the_official_client(agent_url: str, sdk: Sdk, gate: Gate):
    thread_id = await new_thread(sdk)
    run_id = await held(sdk, gate, thread_id)
    async with socket(agent_url) as (client, heard):
        assert (await client.call("join", {"thread_id": thread_id}))["ok"]
        assert (await client.call("cancel", {"run_id": run_id}))["ok"]
        assert await ended(sdk, thread_id, run_id) == "interrupted"
        await last(heard, "end")


async def test_the_official_client_reads_and_waits_for_a_run_of_a_socket(agent_url: str, sdk: Sdk):
    async with socket(agent_url) as (client, heard):
        asked = await client.call("chat", {"message": "hello there", "agent": "example"})
        run_id, thread_id = asked["run_id"], asked["thread_id"]
        await last(heard, "done")
    parts = await collect(sdk.runs.join_stream(thread_id, run_id, last_event_id="-1"))
    told = [(part.event, part.id, part.data) for part in parts if part.event != "end"]
    assert [(event["event"], event["id"], event["data"]) for event in heard] == told
    assert [part.event for part in parts][-2:] == ["done", "end"]
    left = await sdk.runs.join(thread_id, run_id)
    assert [message["type"] for message in left["messages"]] == ["human", "ai"]
    thread = await sdk.threads.get(thread_id)
    assert (thread["status"], thread["values"]) == ("idle", left)
    assert (await sdk.runs.get(thread_id, run_id))["status"] == "success"


async def test_a_socket_comes_back_to_a_run_of_the_official_client_and_misses_nothing(agent_url: str, sdk: Sdk):
    thread_id = await new_thread(sdk)
    parts = await collect(
        sdk.runs.stream(thread_id, "counter", input={"total": 0}, stream_mode="values", stream_resumable=True)
    )
    run_id = parts[0].data["run_id"]
    async with socket(agent_url) as (client, heard):
        await client.call("join", {"thread_id": thread_id, "after": {"run_id": run_id, "id": parts[1].id}})
        await last(heard, "end")
    assert [(event["event"], event["id"]) for event in heard] == [(part.event, part.id) for part in parts[2:]]
