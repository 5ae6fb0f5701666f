"""Streams over HTTP: breaks, heartbeats, stalled readers, what is no longer kept."""

import asyncio
import random
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any
from urllib.parse import urlsplit

import orjson
import pytest
from fastapi import FastAPI
from langchain_core.messages import AIMessage

from backend.api import problem
from backend.api.sse import EventStream, frame
from backend.core.error import Gone, ThreadNotFound
from backend.database.sqlite import SqliteDatabase
from backend.dto.event import Cursor, Event
from test.door_fixture import TOKEN, Door, Frame, parse, stream_of
from test.engine_fixture import Agents, Engine, FakeClock, Gate, graph_of

Serve = Callable[..., AbstractAsyncContextManager[Door]]
RESYNC = {"run_id": "r", "thread_id": "t"}


def token(seq: int, text: str = "x") -> Event:
    return Event(Cursor(1, seq), "token", orjson.dumps({"text": text}))


DONE = Event(Cursor(1, 999), "done", b"{}")


async def sent(batches: AsyncIterator[list[Event]], **options: Any) -> list[bytes]:
    """Return the writes of a stream whose client stays."""
    written: list[bytes] = []

    async def receive() -> Any:
        await asyncio.get_running_loop().create_future()

    async def send(message: Any) -> None:
        if message["type"] == "http.response.body":
            written.append(message["body"])

    stream = EventStream(batches, resync=RESYNC, **options)
    async with asyncio.timeout(60):
        await stream({"type": "http", "path": "/", "state": {}}, receive, send)
    return written


async def batches_of(*batches: list[Event]) -> AsyncGenerator[list[Event]]:
    for batch in batches:
        yield batch


def test_a_frame_has_the_lines_that_the_standard_asks_for() -> None:
    assert frame("token", b'{"text":"a"}', "1-2") == b'event: token\r\nid: 1-2\r\ndata: {"text":"a"}\r\n\r\n'
    assert frame("resync", b"{}") == b"event: resync\r\ndata: {}\r\n\r\n"


async def test_what_is_there_at_once_leaves_in_one_write() -> None:
    written = await sent(batches_of([token(1), token(2), token(3)], [DONE]))
    assert [len(parse(part.decode())) for part in written] == [3, 1, 0]


async def test_a_burst_is_gathered_and_a_lonely_token_is_not_held() -> None:
    said: list[Event] = []
    more = asyncio.Event()

    async def follow() -> AsyncGenerator[list[Event]]:
        position = 0
        while True:
            await more.wait()
            more.clear()
            batch = said[position:]
            position = len(said)
            yield batch
            if batch[-1].ends_run:
                return

    async def burst() -> None:
        for seq in range(1, 201):
            said.append(token(seq))
            more.set()
            await asyncio.sleep(0)
        said.append(DONE)
        more.set()

    speaking = asyncio.create_task(burst())
    written = await sent(follow())
    await speaking
    frames = parse(b"".join(written).decode())
    assert [item.id for item in frames] == [*(f"1-{seq}" for seq in range(1, 201)), "1-999"]
    assert len(written) < 100
    assert len(parse(written[0].decode())) == 1


async def test_a_silent_run_still_beats() -> None:
    async def silent() -> AsyncGenerator[list[Event]]:
        await asyncio.sleep(0.1)
        yield [DONE]

    written = await sent(silent(), heartbeat=0.02)
    assert written.count(b": heartbeat\r\n\r\n") >= 2
    assert parse(written[-2].decode())[0].name == "done"


async def test_a_failure_on_the_way_is_one_last_event() -> None:
    async def failing(error: Exception) -> AsyncGenerator[list[Event]]:
        yield [token(1)]
        raise error

    written = await sent(failing(ThreadNotFound("t")))
    last = parse(b"".join(written).decode())[-1]
    assert (last.name, last.data["type"]) == ("error", "/problems/thread-not-found")
    gone = parse(b"".join(await sent(failing(Gone("No longer kept.")))).decode())[-1]
    assert (gone.name, gone.id, gone.data) == ("resync", None, {"detail": "No longer kept.", **RESYNC})
    with pytest.raises(ExceptionGroup):
        await sent(failing(RuntimeError("secret")))


async def test_a_client_that_takes_no_bytes_is_dropped_and_its_reader_closed() -> None:
    closed = asyncio.Event()

    async def endless() -> AsyncGenerator[list[Event]]:
        try:
            seq = 0
            while True:
                seq += 1
                yield [token(seq, "x" * 1000)]
                await asyncio.sleep(0)
        finally:
            closed.set()

    async def receive() -> Any:
        await asyncio.get_running_loop().create_future()

    taken = 0

    async def send(message: Any) -> None:
        nonlocal taken
        taken += 1
        if taken > 5:
            await asyncio.get_running_loop().create_future()

    stream = EventStream(endless(), resync=RESYNC, heartbeat=0.02, stall=0.05)
    async with asyncio.timeout(60):
        await stream({"type": "http", "path": "/", "state": {}}, receive, send)
    assert closed.is_set()


async def test_a_client_that_stalls_while_nothing_is_said_is_dropped_too() -> None:
    async def silent() -> AsyncGenerator[list[Event]]:
        await asyncio.get_running_loop().create_future()
        yield []

    async def receive() -> Any:
        await asyncio.get_running_loop().create_future()

    async def send(message: Any) -> None:
        if message["type"] == "http.response.body":
            await asyncio.get_running_loop().create_future()

    stream = EventStream(silent(), resync=RESYNC, heartbeat=0.02, stall=0.05)
    async with asyncio.timeout(60):
        await stream({"type": "http", "path": "/", "state": {}}, receive, send)


async def test_a_client_that_comes_back_misses_nothing_and_gets_nothing_twice(door: Door, agents: Agents) -> None:
    gate = Gate()

    async def before(state: Any) -> dict[str, Any]:
        return {"messages": [AIMessage(f"part {number}", id=f"m{number}") for number in range(20)]}

    async def after(state: Any) -> dict[str, Any]:
        await gate.passed()
        return {"messages": [AIMessage(f"rest {number}", id=f"n{number}") for number in range(20)]}

    agents.graphs["long"] = graph_of(before, after)
    run = await door.engine.ask("long", "?")
    path = f"/api/v1/runs/{run.run_id}/stream"
    chance = random.Random(7)

    async def follow() -> list[Frame]:
        """Read with a break after a random number of events, again and again."""
        got: list[Frame] = []
        while not got or got[-1].name != "done":
            enough = chance.randint(1, 8)
            headers = {"Last-Event-ID": got[-1].id or ""} if got else {}
            async with door.http.stream("GET", path, headers=headers) as response:
                part: list[Frame] = []
                async with asyncio.timeout(60):
                    text = ""
                    async for piece in response.aiter_text():
                        text += piece
                        part = parse(text[: text.rfind("\r\n\r\n") + 4])
                        if len(part) >= enough:
                            break
                got += part[:enough]
            if len(got) > 15:
                gate.open.set()
        return got

    results = await asyncio.gather(*(follow() for _ in range(8)))
    reference = parse((await door.http.get(path)).text)
    assert len(reference) > 40
    assert all(result == reference for result in results)


async def test_a_bad_last_event_id_is_refused_before_the_first_byte(door: Door) -> None:
    run = await door.engine.ask("echo", "?")
    await door.engine.end(run)
    for cursor in ["x", "1", "1-", "-5", "1-2-3", "9" * 30, "1.0-2"]:
        answer = await door.http.get(f"/api/v1/runs/{run.run_id}/stream", headers={"Last-Event-ID": cursor})
        assert answer.status_code == 422, cursor
        assert answer.json()["type"] == "/problems/invalid-cursor"


async def test_the_beginning_can_be_asked_for(door: Door) -> None:
    run = await door.engine.ask("echo", "?")
    for cursor in ("", "-1", "0-0"):
        answer = await door.http.get(f"/api/v1/runs/{run.run_id}/stream", headers={"Last-Event-ID": cursor})
        names = [frame.name for frame in parse(answer.text)]
        assert (names[0], names[-1]) == ("start", "done")


async def test_what_is_no_longer_kept_is_a_resync(
    file: SqliteDatabase, agents: Agents, clock: FakeClock, serve: Serve
) -> None:
    gates = [Gate(), Gate()]

    async def first(state: Any) -> dict[str, Any]:
        return {"messages": [AIMessage(f"part {number}", id=f"m{number}") for number in range(200)]}

    async def second(state: Any) -> dict[str, Any]:
        await gates[0].passed()
        return {"messages": [AIMessage(f"rest {number}", id=f"n{number}") for number in range(200)]}

    async def third(state: Any) -> dict[str, Any]:
        await gates[1].passed()
        return {}

    agents.graphs["long"] = graph_of(first, second, third)
    engine = Engine(file, agents, clock, event_limit=100)
    async with engine.worker, serve(engine) as door:
        run = await engine.ask("long", "?")
        for gate in gates:
            async with asyncio.timeout(60):
                await gate.entered.wait()
            await engine.log.flush()
            gate.open.set()
        frames = parse((await door.http.get(f"/api/v1/runs/{run.run_id}/stream")).text)
        assert [frame.name for frame in frames] == ["resync"]
        assert frames[0].id is None
        assert frames[0].data["messages"] == f"/api/v1/threads/{run.thread_id}/messages"
        late = parse(
            (await door.http.get(f"/api/v1/runs/{run.run_id}/stream", headers={"Last-Event-ID": "1-395"})).text
        )
        assert late[-1].name == "done"
        said = await door.http.get(frames[0].data["messages"])
        assert len(said.json()["items"]) == 401


async def test_a_stalled_reader_holds_nobody_up(door: Door, agents: Agents, monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients that never read: the run ends as ever, others get everything, and the stalled ones are let go."""
    defaults = EventStream.__init__.__kwdefaults__ or {}
    monkeypatch.setattr(EventStream.__init__, "__kwdefaults__", {**defaults, "heartbeat": 0.1, "stall": 0.3})
    text = "x" * 50_000

    async def talk(state: Any) -> dict[str, Any]:
        return {"messages": [AIMessage(text, id=f"m{number}") for number in range(150)]}

    agents.graphs["long"] = graph_of(talk)
    run = await door.engine.ask("long", "?")
    address = urlsplit(door.url)
    stalled = []
    for _ in range(10):
        client = socket.create_connection((address.hostname, address.port))
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.sendall(
            f"GET /api/v1/runs/{run.run_id}/stream HTTP/1.1\r\nHost: {address.netloc}\r\n"
            f"Authorization: Bearer {TOKEN}\r\n\r\n".encode()
        )
        stalled.append(client)
    try:
        async with door.http.stream("GET", f"/api/v1/runs/{run.run_id}/stream") as response:
            frames = await stream_of(response)
        assert frames[-1].name == "done"
        async with asyncio.timeout(60):
            while any("EventStream" in str(task.get_coro()) for task in asyncio.all_tasks()):  # noqa: ASYNC110  # no event
                await asyncio.sleep(0.02)
    finally:
        for client in stalled:
            client.close()


def test_every_route_is_documented() -> None:
    app = FastAPI()
    problem.install(app)
    from backend.api.v1.router import router

    app.include_router(router)
    paths = app.openapi()["paths"]
    for path in ("/api/v1/chat/stream", "/api/v1/threads/{thread_id}/chat/stream", "/api/v1/runs/{run_id}/stream"):
        operation = next(iter(paths[path].values()))
        assert operation["summary"]
        assert "text/event-stream" in operation["responses"]["200"]["content"]
        assert "404" in operation["responses"]
    body = paths["/api/v1/chat"]["post"]["requestBody"]["content"]["application/json"]
    assert {"korean", "english"} <= set(body["examples"])
    assert body["schema"]["properties"]["message"]
    for path, operations in paths.items():
        for operation in operations.values():
            assert operation.get("summary"), path
            assert operation.get("description"), path
