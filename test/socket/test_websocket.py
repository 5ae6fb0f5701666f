"""`/ws/chat` over real sockets."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import orjson
import pytest
from langchain_core.messages import AIMessage
from langgraph.types import interrupt
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from backend.api.socket.websocket import GARBAGE_LIMIT
from test.door_fixture import MESSAGE_BYTES, OTHER_TOKEN, TOKEN, Door, thread_of
from test.engine_fixture import Agents, Gate, graph_of

Message = dict[str, Any]
GARBAGE = [
    ("", "JSON object"),
    ("{", "JSON object"),
    ("[]", "JSON object"),
    ("[" * 4000, "JSON object"),
    ("5", "JSON object"),
    ("{}", "type"),
    ('{"type": "explode"}', "type"),
    ('{"type": ["chat"]}', "type"),
    ('{"type": "chat"}', "message"),
    ('{"type": "chat", "message": ""}', "empty"),
    ('{"type": "chat", "message": "?", "mesage": "?"}', "mesage"),
    ('{"type": "chat", "message": "?", "agent": "nobody"}', "nobody"),
    ('{"type": "chat", "message": "?", "agent": "nobody", "keep": false}', "nobody"),
    ('{"type": "join", "thread_id": "x"}', "thread_id"),
    ('{"type": "join", "thread_id": "00000000-0000-4000-8000-000000000000"}', "does not exist"),
    ('{"type": "cancel", "run_id": "00000000-0000-4000-8000-000000000000"}', "does not exist"),
    ('{"type": "ping", "ref": {"a": 1}}', "ref"),
    ('{"type": "chat", "message": "' + "?" * 600 + '"}', "characters"),
]


class Client:
    """A client of the socket."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection

    async def say(self, **call: Any) -> None:
        await self.connection.send(orjson.dumps(call).decode())

    async def hear(self) -> Message:
        async with asyncio.timeout(60):
            message: Message = orjson.loads(await self.connection.recv())
        return message

    async def until(self, *names: str) -> list[Message]:
        """Return what comes up to the first message of one of these names."""
        heard = [await self.hear()]
        while heard[-1]["event"] not in names:
            heard.append(await self.hear())
        return heard


@asynccontextmanager
async def client_of(door: Door, token: str = TOKEN) -> AsyncIterator[Client]:
    async with connect(door.ws_url, additional_headers={"Authorization": f"Bearer {token}"}) as connection:
        yield Client(connection)


async def test_a_question_is_answered_with_events(door: Door) -> None:
    async with client_of(door) as client:
        await client.say(type="chat", ref="q1", message="one two", agent="echo")
        heard = await client.until("done")
    accepted = [message for message in heard if message["event"] == "ok"]
    assert [message["ref"] for message in accepted] == ["q1"]
    events = [message for message in heard if message["event"] != "ok"]
    assert [event["event"] for event in events] == ["start", "token", "token", "token", "usage", "done"]
    assert {event["run_id"] for event in events} == {accepted[0]["run_id"]}
    assert events[-1]["data"]["answer"].strip() == "echo one two"


async def test_a_conversation_goes_on_over_one_socket(door: Door) -> None:
    async with client_of(door) as client:
        await client.say(type="chat", message="one", agent="echo")
        thread_id = (await client.until("done"))[-1]["thread_id"]
        await client.say(type="chat", message="two", agent="echo", thread_id=thread_id)
        heard = await client.until("done")
    assert [message["event"] for message in heard].count("start") == 1
    assert len((await door.http.get(f"/api/v1/threads/{thread_id}/messages")).json()["items"]) == 4


async def test_what_is_not_kept_leaves_nothing(door: Door) -> None:
    before = await door.engine.count()
    async with client_of(door) as client:
        await client.say(type="chat", message="one", agent="echo", keep=False)
        heard = await client.until("done")
    assert heard[-1]["thread_id"] is None
    assert await door.engine.count() == before


async def test_a_viewer_that_comes_back_misses_nothing(door: Door) -> None:
    run = await door.engine.ask("echo", "one two three")
    events = await door.engine.events(run)
    async with client_of(door) as client:
        after = {"run_id": str(run.run_id), "id": str(events[2].cursor)}
        await client.say(type="join", thread_id=str(run.thread_id), after=after)
        heard = await client.until("done")
    assert [message["id"] for message in heard if message["id"]] == [str(event.cursor) for event in events[3:]]


async def test_a_viewer_hears_what_others_ask(door: Door) -> None:
    thread_id = await thread_of(door)
    async with client_of(door) as client:
        await client.say(type="join", thread_id=str(thread_id))
        await client.until("ok")
        run = await door.engine.ask("echo", "one", thread_id)
        heard = await client.until("done")
        assert heard[-1]["run_id"] == str(run.run_id)
        await client.say(type="leave", thread_id=str(thread_id))
        await client.until("ok")
        await door.engine.end(await door.engine.ask("echo", "two", thread_id))
        await client.say(type="ping", ref=7)
        assert (await client.hear()) == {"event": "pong", "ref": 7, "id": None, "run_id": None, "thread_id": None}


async def test_a_run_is_cancelled_and_an_interrupt_answered(door: Door, agents: Agents) -> None:
    gate = Gate()

    async def approve(state: Any) -> dict[str, Any]:
        return {"messages": [AIMessage(f"You said {interrupt('?')}.")]}

    agents.graphs["slow"] = graph_of(gate.node)
    agents.graphs["careful"] = graph_of(approve)
    async with client_of(door) as client:
        await client.say(type="chat", message="?", agent="slow")
        run_id = (await client.until("start"))[-1]["run_id"]
        await client.say(type="cancel", run_id=run_id)
        heard = await client.until("done")
        assert heard[-1]["data"]["status"] == "interrupted"
        await client.say(type="chat", message="?", agent="careful")
        waiting = (await client.until("done"))[-1]
        assert waiting["data"]["interrupts"]
        await client.say(type="resume", run_id=waiting["run_id"], answer="yes")
        assert (await client.until("done"))[-1]["data"]["answer"] == "You said yes."


async def test_garbage_is_one_error_and_the_socket_stays(door: Door) -> None:
    async with client_of(door) as client:
        for text, word in GARBAGE:
            await client.connection.send(text)
            answer = await client.hear()
            assert answer["event"] == "error", text
            assert word in answer["data"]["detail"], text
            await client.say(type="ping")
            assert (await client.hear())["event"] == "pong"


async def test_bytes_are_garbage_too(door: Door) -> None:
    async with client_of(door) as client:
        await client.connection.send(b"\x00\xff")
        assert (await client.hear())["event"] == "error"


async def test_nothing_but_garbage_closes_the_socket(door: Door) -> None:
    async with client_of(door) as client:
        for _ in range(GARBAGE_LIMIT):
            await client.connection.send("garbage")
        for _ in range(GARBAGE_LIMIT):
            assert (await client.hear())["event"] == "error"
        with pytest.raises(ConnectionClosed) as closed:
            await client.hear()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1008


async def test_a_message_that_is_too_large_closes_the_socket(door: Door) -> None:
    async with client_of(door) as client:
        await client.connection.send("x" * (MESSAGE_BYTES + 1))
        assert (await client.hear())["data"]["status"] == 413
        with pytest.raises(ConnectionClosed):
            await client.hear()
    assert (await door.http.get("/api/v1/threads")).status_code == 200


async def test_one_socket_follows_so_many_threads_and_no_more(door: Door) -> None:
    async with client_of(door) as client:
        for _ in range(16):
            await client.say(type="join", thread_id=str(await thread_of(door)))
            assert (await client.hear())["event"] == "ok"
        await client.say(type="chat", message="?", agent="echo")
        assert "at most 16" in (await client.hear())["data"]["detail"]
    assert (await door.http.get("/api/v1/threads", params={"limit": 100})).json()["next"] is None


async def test_another_tenant_hears_nothing(door: Door) -> None:
    run = await door.engine.ask("echo", "one")
    await door.engine.end(run)
    async with client_of(door, OTHER_TOKEN) as client:
        calls: list[Message] = [
            {"type": "join", "thread_id": str(run.thread_id)},
            {"type": "chat", "message": "?", "agent": "echo", "thread_id": str(run.thread_id)},
            {"type": "cancel", "run_id": str(run.run_id)},
            {"type": "resume", "run_id": str(run.run_id), "answer": 1},
        ]
        for call in calls:
            await client.say(**call)
            assert (await client.hear())["data"]["status"] == 404


async def test_nobody_comes_in_without_a_token(door: Door) -> None:
    for token in ("wrong", str(uuid4())):
        with pytest.raises(InvalidStatus):
            async with client_of(door, token):
                pass


async def test_a_client_that_leaves_ends_what_it_alone_wanted(door: Door, agents: Agents) -> None:
    stopped = asyncio.Event()
    gate = Gate()

    async def wait(state: Any) -> dict[str, Any]:
        try:
            await gate.passed()
        finally:
            stopped.set()
        return {}

    agents.graphs["slow"] = graph_of(wait)
    async with client_of(door) as client:
        await client.say(type="chat", message="?", agent="slow", keep=False)
        await client.until("start")
        async with asyncio.timeout(60):
            await gate.entered.wait()
    async with asyncio.timeout(60):
        await stopped.wait()
