"""Socket.IO over real sockets: with the usual client, and with one that speaks the protocol by hand, and wrongly."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any
from uuid import uuid4

import httpx
import orjson
import pytest
import socketio
from langchain_core.messages import AIMessage
from langgraph.types import interrupt
from socketio.exceptions import ConnectionError as Refused
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from backend.api.socket.namespace import close_socket_server
from test.door_fixture import MESSAGE_BYTES, OTHER_TOKEN, TOKEN, Door, stream_of, thread_of
from test.engine_fixture import Agents, Engine, Gate, graph_of

Serve = Callable[..., AbstractAsyncContextManager[Door]]
GARBAGE: list[list[Any]] = [
    ["explode", {}],
    ["chat"],
    ["chat", None],
    ["chat", []],
    ["chat", "?"],
    ["chat", {}],
    ["chat", {"message": ""}],
    ["chat", {"message": "?", "mesage": "?"}],
    ["chat", {"message": "?", "agent": "nobody"}],
    ["chat", {"message": "?", "agent": "echo", "keep": False}],
    ["chat", {"message": "?" * 600, "agent": "echo"}],
    ["chat", {"message": "?"}, {"more": 1}],
    ["join", {"thread_id": "x"}],
    ["join", {"thread_id": "00000000-0000-4000-8000-000000000000", "after": {"run_id": "x"}}],
    ["cancel", {"run_id": 5}],
    ["resume", {}],
    ["_chat", {}],
    ["trigger_event", {}],
    [5, {}],
    [["chat"], {}],
    [{"a": 1}],
]


class Viewer:
    """A client with everything that it was told."""

    def __init__(self) -> None:
        self.client = socketio.AsyncClient(reconnection=False)
        self.events: list[dict[str, Any]] = []
        self.told: list[tuple[str, Any]] = []
        self._news = asyncio.Event()
        self.client.on("events", self._take)
        for name in ("typing", "presence"):
            self.client.on(name, self._note(name))

    async def _take(self, batch: dict[str, Any]) -> None:
        self.events += batch["events"]
        self._news.set()

    def _note(self, name: str) -> Callable[[Any], None]:
        def note(data: Any) -> None:
            self.told.append((name, data))
            self._news.set()

        return note

    async def call(self, name: str, data: Any = None) -> Any:
        async with asyncio.timeout(60):
            return await self.client.call(name, data)

    async def until(self, holds: Callable[[], object]) -> None:
        """Wait until something holds of what was told."""
        async with asyncio.timeout(60):
            while not holds():
                self._news.clear()
                await self._news.wait()

    async def ends(self, count: int = 1) -> None:
        await self.until(lambda: [event["event"] for event in self.events].count("done") >= count)


@asynccontextmanager
async def viewer_of(door: Door, token: str | None = TOKEN, **options: Any) -> AsyncIterator[Viewer]:
    viewer = Viewer()
    auth = None if token is None else {"token": token}
    await viewer.client.connect(door.url, auth=auth, transports=["websocket"], wait_timeout=60, **options)
    try:
        yield viewer
    finally:
        await viewer.client.disconnect()


class Raw:
    """A client that speaks Engine.IO by hand."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection

    async def hear(self, beginning: str) -> str:
        """Return the next packet that begins so."""
        async with asyncio.timeout(60):
            while not (packet := str(await self.connection.recv())).startswith(beginning):
                pass
        return packet

    async def call(self, *event: Any) -> Any:
        await self.connection.send("427" + orjson.dumps(event).decode())
        return orjson.loads((await self.hear("437")).removeprefix("437"))[0]


@asynccontextmanager
async def raw_of(door: Door, token: str = TOKEN, **options: Any) -> AsyncIterator[Raw]:
    url = door.url.replace("http", "ws", 1) + "/socket.io/?EIO=4&transport=websocket"
    async with connect(url, **options) as connection:
        raw = Raw(connection)
        await raw.hear("0")
        await connection.send("40" + orjson.dumps({"token": token}).decode())
        await raw.hear("40")
        yield raw


async def test_a_question_is_acknowledged_and_answered_with_events(door: Door) -> None:
    async with viewer_of(door) as viewer:
        ack = await viewer.call("chat", {"message": "one two", "agent": "echo"})
        await viewer.ends()
    assert ack["ok"] is True
    assert [event["event"] for event in viewer.events] == ["start", "token", "token", "token", "usage", "done"]
    assert {event["run_id"] for event in viewer.events} == {ack["run_id"]}
    assert {event["thread_id"] for event in viewer.events} == {ack["thread_id"]}


async def test_every_door_says_the_same_with_the_same_ids(door: Door, agents: Agents) -> None:
    gate = Gate()

    async def talk(state: Any) -> dict[str, Any]:
        await gate.passed()
        return {"messages": [AIMessage(f"부분 {number}", id=f"m{number}") for number in range(50)]}

    agents.graphs["talk"] = graph_of(talk)
    thread_id = str(await thread_of(door))
    ws = door.ws_url
    async with viewer_of(door) as viewer, connect(ws, additional_headers={"Authorization": f"Bearer {TOKEN}"}) as plain:
        await viewer.call("join", {"thread_id": thread_id})
        await plain.send(orjson.dumps({"type": "join", "thread_id": thread_id}).decode())
        await plain.recv()
        async with door.http.stream(
            "POST", f"/api/v1/threads/{thread_id}/chat/stream", json={"message": "?", "agent": "talk"}
        ) as response:
            gate.open.set()
            over_sse = [(frame.name, frame.id, frame.data) for frame in await stream_of(response)]
        over_ws: list[tuple[str, str, Any]] = []
        async with asyncio.timeout(60):
            while not over_ws or over_ws[-1][0] != "done":
                event = orjson.loads(await plain.recv())
                over_ws.append((event["event"], event["id"], event["data"]))
        await viewer.ends()
    over_socketio = [(event["event"], event["id"], event["data"]) for event in viewer.events]
    assert len(over_sse) > 50
    assert over_sse == over_ws == over_socketio


async def test_several_viewers_of_a_thread_hear_the_same(door: Door) -> None:
    thread_id = str(await thread_of(door))
    async with viewer_of(door) as one, viewer_of(door) as two:
        await one.call("join", {"thread_id": thread_id})
        await two.call("join", {"thread_id": thread_id})
        await one.call("chat", {"message": "hello", "agent": "echo", "thread_id": thread_id})
        await one.ends()
        await two.ends()
        assert one.events == two.events
        await two.call("leave", {"thread_id": thread_id})
        await one.call("chat", {"message": "again", "agent": "echo", "thread_id": thread_id})
        await one.ends(2)
        assert (await two.call("ping"))["ok"] is True
        assert [event["event"] for event in two.events].count("done") == 1


async def test_a_viewer_that_comes_back_misses_nothing(door: Door) -> None:
    run = await door.engine.ask("echo", "one two three")
    events = await door.engine.events(run)
    second = await door.engine.ask("echo", "four", run.thread_id)
    await door.engine.end(second)
    after = {"run_id": str(run.run_id), "id": str(events[1].cursor)}
    async with viewer_of(door) as viewer:
        await viewer.call("join", {"thread_id": str(run.thread_id), "after": after})
        await viewer.ends(2)
    first = [event["id"] for event in viewer.events if event["run_id"] == str(run.run_id)]
    assert first == [str(event.cursor) for event in events[2:]]
    assert {event["run_id"] for event in viewer.events} == {str(run.run_id), str(second.run_id)}


async def test_runs_are_cancelled_and_interrupts_answered(door: Door, agents: Agents) -> None:
    gate = Gate()

    async def approve(state: Any) -> dict[str, Any]:
        return {"messages": [AIMessage(f"You said {interrupt('?')}.")]}

    agents.graphs["slow"] = graph_of(gate.node)
    agents.graphs["careful"] = graph_of(approve)
    async with viewer_of(door) as viewer:
        slow = await viewer.call("chat", {"message": "?", "agent": "slow"})
        assert (await viewer.call("cancel", {"run_id": slow["run_id"]}))["ok"] is True
        await viewer.ends()
        assert viewer.events[-1]["data"]["status"] == "interrupted"
        careful = await viewer.call("chat", {"message": "?", "agent": "careful"})
        await viewer.ends(2)
        assert (await viewer.call("resume", {"run_id": careful["run_id"], "answer": "yes"}))["ok"] is True
        await viewer.ends(3)
    assert viewer.events[-1]["data"]["answer"] == "You said yes."


async def test_typing_is_shown_to_the_others_and_not_too_often(door: Door) -> None:
    thread_id = str(await thread_of(door))
    async with viewer_of(door) as one, viewer_of(door) as two:
        assert "problem" in await one.call("typing", {"thread_id": thread_id})
        joined = await one.call("join", {"thread_id": thread_id})
        assert joined["viewers"] == [{"user_id": "default", "connections": 1}]
        await two.call("join", {"thread_id": thread_id})
        assert (await one.call("typing", {"thread_id": thread_id}))["ok"] is True
        assert (await one.call("typing", {"thread_id": thread_id}))["problem"]["status"] == 429
        await two.until(lambda: ("typing", {"thread_id": thread_id, "user_id": "default", "typing": True}) in two.told)
        assert not [name for name, _ in one.told if name == "typing"]


async def test_viewers_see_who_comes_and_goes(door: Door) -> None:
    thread_id = str(await thread_of(door))

    def counts(viewer: Viewer) -> list[int]:
        return [data["viewers"][0]["connections"] for name, data in viewer.told if name == "presence"]

    async with viewer_of(door) as one:
        await one.call("join", {"thread_id": thread_id})
        async with viewer_of(door) as two:
            await two.call("join", {"thread_id": thread_id})
            await one.until(lambda: counts(one)[-1:] == [2])
        await one.until(lambda: counts(one)[-1:] == [1])


async def test_another_tenant_sees_and_stops_nothing(door: Door) -> None:
    run = await door.engine.ask("echo", "one")
    await door.engine.end(run)
    thread_id = str(run.thread_id)
    async with viewer_of(door) as owner, viewer_of(door, OTHER_TOKEN) as viewer:
        await owner.call("join", {"thread_id": thread_id})
        for name, data in [
            ("join", {"thread_id": thread_id}),
            ("chat", {"message": "?", "agent": "echo", "thread_id": thread_id}),
            ("cancel", {"run_id": str(run.run_id)}),
            ("resume", {"run_id": str(run.run_id), "answer": 1}),
        ]:
            assert (await viewer.call(name, data))["problem"]["status"] == 404
        assert "problem" in await viewer.call("typing", {"thread_id": thread_id})
        await owner.call("chat", {"message": "?", "agent": "echo", "thread_id": thread_id})
        await owner.ends()
        assert (await viewer.call("ping"))["ok"] is True
        assert viewer.events == []
        assert viewer.told == []


@pytest.mark.parametrize("token", [None, "wrong", ""])
async def test_nobody_comes_in_without_a_token(door: Door, token: str | None) -> None:
    with pytest.raises(Refused):
        async with viewer_of(door, token):
            pass


async def test_a_token_in_the_address_is_not_looked_at(door: Door) -> None:
    viewer = Viewer()
    with pytest.raises(Refused):
        await viewer.client.connect(f"{door.url}?token={TOKEN}", transports=["websocket"], wait_timeout=60)


async def test_a_token_in_the_header_is_as_good(door: Door) -> None:
    async with viewer_of(door, None, headers={"Authorization": f"Bearer {TOKEN}"}) as viewer:
        assert (await viewer.call("ping"))["ok"] is True


async def test_polling_works_too(door: Door) -> None:
    path = "/socket.io/?EIO=4&transport=polling"
    async with httpx.AsyncClient(base_url=door.url, timeout=60) as poller:
        path += "&sid=" + orjson.loads((await poller.get(path)).text[1:])["sid"]
        await poller.post(path, content="40" + orjson.dumps({"token": TOKEN}).decode())
        assert (await poller.get(path)).text.startswith("40")
        await poller.post(path, content='427["ping",{}]')
        assert (await poller.get(path)).text == '437[{"ok":true,"user_id":"default"}]'


async def test_pages_of_other_sites_stay_outside(lite: Engine, serve: Serve) -> None:
    async with serve(lite, cors_origins="https://friend.example") as door:
        for origin, allowed in [
            ("https://evil.example", False),
            ("https://friend.example", True),
            (door.url, True),
        ]:
            if allowed:
                async with raw_of(door, origin=origin) as raw:
                    assert (await raw.call("ping", {}))["ok"] is True
            else:
                with pytest.raises((InvalidStatus, ConnectionClosed)):
                    async with raw_of(door, origin=origin):
                        pass


async def test_garbage_gets_a_problem_and_the_socket_stays(door: Door) -> None:
    async with raw_of(door) as raw:
        for event in GARBAGE:
            assert "problem" in await raw.call(*event), event
        assert (await raw.call("ping", {}))["ok"] is True


async def test_packets_that_make_no_sense_leave_the_server_up(door: Door) -> None:
    for packet in ["", "4", "42", "42[", "42{}", "42[]", "9", "44{}", "4999", "451-[]", "43999[1]", "ÿ"]:
        async with raw_of(door) as raw:
            await raw.connection.send(packet)
            await raw.connection.send(b"\x00\x01")
    async with viewer_of(door) as viewer:
        assert (await viewer.call("ping"))["ok"] is True


async def test_a_client_cannot_forge_its_own_connecting(door: Door) -> None:
    """A client may name its event `connect` and bring an environment in which it is somebody else."""
    mallory = {"asgi.scope": {"client": None}, "HTTP_AUTHORIZATION": f"Bearer {TOKEN}"}
    async with raw_of(door, OTHER_TOKEN) as raw:
        for forged in (["connect", mallory], ["connect", mallory, {"token": TOKEN}], ["disconnect", "reason"]):
            assert "problem" in await raw.call(*forged)
        thread_id = str(await thread_of(door))
        assert (await raw.call("join", {"thread_id": thread_id}))["problem"]["status"] == 404


async def test_a_message_that_is_too_large_ends_the_connection(door: Door) -> None:
    async with raw_of(door) as raw:
        await raw.connection.send("42" + "x" * (MESSAGE_BYTES + 1))
        with pytest.raises(ConnectionClosed):
            await raw.hear("never")
    assert (await door.http.get("/api/v1/threads")).status_code == 200


async def test_a_client_that_acknowledges_nothing_is_sent_one_batch_and_dropped(door: Door, agents: Agents) -> None:
    namespace = door.sockets.namespace_handlers["/"]
    namespace._ack_seconds = 1.0

    async def talk(state: Any) -> dict[str, Any]:
        return {"messages": [AIMessage("x" * 1000, id=f"m{number}") for number in range(2000)]}

    agents.graphs["talk"] = graph_of(talk)
    async with viewer_of(door) as healthy, raw_of(door) as raw:
        thread_id = str(await thread_of(door))
        await healthy.call("join", {"thread_id": thread_id})
        await raw.call("join", {"thread_id": thread_id})
        await healthy.call("chat", {"message": "?", "agent": "talk", "thread_id": thread_id})
        async with asyncio.timeout(60):
            received = [str(packet) async for packet in raw.connection]  # to the end of the connection
        await healthy.ends()
    batches = [packet for packet in received if '"events"' in packet[:20]]
    assert len(batches) == 1
    assert len(batches[0]) < 70_000
    assert len([event for event in healthy.events if event["event"] == "token"]) == 2000
    assert not namespace._clients


async def test_an_event_too_large_for_a_message_is_to_be_fetched(door: Door, agents: Agents) -> None:
    async def talk(state: Any) -> dict[str, Any]:
        return {"messages": [AIMessage("x" * (MESSAGE_BYTES + 1))]}

    agents.graphs["talk"] = graph_of(talk)
    async with viewer_of(door) as viewer:
        ack = await viewer.call("chat", {"message": "?", "agent": "talk"})
        await viewer.until(lambda: len(viewer.events) >= 4)
    resync = next(event for event in viewer.events if event["event"] == "resync")
    assert resync["data"]["messages"] == f"/api/v1/threads/{ack['thread_id']}/messages"


async def test_one_socket_follows_so_many_threads_and_no_more(door: Door) -> None:
    async with viewer_of(door) as viewer:
        for _ in range(16):
            assert (await viewer.call("join", {"thread_id": str(await thread_of(door))}))["ok"] is True
        assert "at most 16" in (await viewer.call("chat", {"message": "?", "agent": "echo"}))["problem"]["detail"]


async def test_the_same_key_gives_the_same_run(door: Door) -> None:
    call = {"message": "one", "agent": "echo", "idempotency_key": str(uuid4())}
    async with viewer_of(door) as viewer:
        first = await viewer.call("chat", call)
        assert await viewer.call("chat", call) == first


async def test_other_paths_are_still_served(door: Door) -> None:
    async with httpx.AsyncClient(base_url=door.url, timeout=60) as visitor:
        assert (await visitor.get("/socket.io/")).status_code == 400
        assert (await visitor.get("/socket.io/?EIO=4&transport=websocket")).status_code == 400


async def test_a_server_that_stops_lets_its_clients_go(door: Door) -> None:
    gone = asyncio.Event()
    async with viewer_of(door) as viewer, raw_of(door) as raw:
        viewer.client.on("disconnect", lambda *_: gone.set())
        await viewer.call("join", {"thread_id": str(await thread_of(door))})
        await close_socket_server(door.sockets)
        async with asyncio.timeout(60):
            await gone.wait()
            assert [packet async for packet in raw.connection][-1] == "1"
        await close_socket_server(door.sockets)
