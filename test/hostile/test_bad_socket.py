"""Sockets that send garbage, forge, flood, or never read: one error each, and nobody else notices."""

import asyncio
import os
import socket as sockets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import httpx
import orjson
import psutil
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from test.hostile.target import ALICE, MESSAGE_BYTES, Target

NOBODY = "00000000-0000-4000-8000-000000000000"
BEARER = {"Authorization": f"Bearer {ALICE}"}
MESSAGES: tuple[str, ...] = (
    "",
    "{",
    "[]",
    "null",
    "NaN",
    "[" * 20_000,
    '{"a":' * 5_000 + "1" + "}" * 5_000,
    '{"type": null}',
    '{"type": "chat", "type": "explode"}',
    '{"type": "__init__"}',
    '{"type": "_chat", "message": "hi"}',
    '{"type": "ping", "ref": {}}',
    '{"type": "ping", "ref": 1e400}',
    '{"type": "ping", "ref": 99999999999999999999999999}',
    '{"type": "ping", "more": 1}',
    '{"type": "chat", "message": "\\ud800"}',
    '{"type": "chat", "message": "\\u0000"}',
    '{"type": "chat", "input": {"a": "\\u0000"}}',
    '{"type": "chat", "message": "hi", "timeout": -1}',
    '{"type": "chat", "message": "hi", "agent": "../x"}',
    '{"type": "chat", "message": "hi", "idempotency_key": "\\u0001"}',
    '{"type": "chat", "message": "hi", "agent": "echo", "metadata": {"a": "\\u0000"}}',
    '{"type": "join", "thread_id": 7}',
    '{"type": "join", "thread_id": "NOBODY", "after": {"run_id": "NOBODY", "id": "9-x"}}',
    '{"type": "join", "thread_id": "NOBODY", "after": "1-1"}',
    '{"type": "cancel", "run_id": "NOBODY", "action": "explode"}',
    '{"type": "resume", "run_id": "NOBODY"}',
    '{"type": "resume", "run_id": "NOBODY", "answer": "\\u0000"}',
)


@asynccontextmanager
async def chatting(target: Target) -> AsyncIterator[ClientConnection]:
    async with connect(target.ws_url, additional_headers=BEARER, max_size=None) as socket:
        yield socket


async def hear(socket: ClientConnection) -> dict[str, Any]:
    async with asyncio.timeout(60):
        told: dict[str, Any] = orjson.loads(await socket.recv())
    return told


async def test_each_message_that_is_none_gets_one_error_on_a_websocket(target: Target) -> None:
    async with chatting(target) as socket:
        for message in MESSAGES:
            await socket.send(message.replace("NOBODY", NOBODY))
            await socket.send('{"type": "ping", "ref": "after"}')
            heard = await hear(socket)
            assert heard["event"] == "error", (message[:80], heard)
            assert heard["data"]["status"] in {404, 422}, (message[:80], heard)
            assert len(str(heard)) < 3000
            assert (await hear(socket)) | {"data": 0} == {
                "event": "pong",
                "ref": "after",
                "id": None,
                "run_id": None,
                "thread_id": None,
                "data": 0,
            }


async def test_a_websocket_of_pure_garbage_is_closed(target: Target) -> None:
    async def talk(socket: ClientConnection) -> None:
        for number in range(200):
            await socket.send(os.urandom(200) if number % 2 else "garbage")
            assert (await hear(socket))["event"] == "error"

    async with chatting(target) as socket:
        with pytest.raises(ConnectionClosed) as closed:
            await talk(socket)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1008


@pytest.mark.parametrize("size", [MESSAGE_BYTES + 1, MESSAGE_BYTES * 20])
async def test_a_message_that_is_too_large_ends_its_websocket(target: Target, size: int) -> None:
    async def talk(socket: ClientConnection) -> None:
        await socket.send('{"type": "chat", "message": "' + "a" * size + '"}')
        while (await hear(socket))["event"] == "error":
            pass

    async with chatting(target) as socket:
        with pytest.raises(ConnectionClosed):
            await talk(socket)


def upgrade(path: str = "/ws/chat") -> bytes:
    return (
        f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {ALICE}\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    ).encode()


FRAMES = {
    "not masked": b"\x81\x05hello",
    "a reserved opcode": b"\x83\x80\0\0\0\0",
    "reserved bits": b"\xf1\x80\0\0\0\0",
    "a long ping": b"\x89\xfe\x01\x00" + b"\0" * 260,
    "a ping in fragments": b"\x09\x80\0\0\0\0",
    "a text that is no UTF-8": b"\x81\x82\0\0\0\0\xff\xfe",
    "half a surrogate pair": b"\x81\x83\0\0\0\0\xed\xa0\x80",
    "a frame of 2^63 bytes": b"\x81\xff" + b"\xff" * 8 + b"\0" * 4,
    "a frame of 2^40 bytes": b"\x81\xff\0\0\x01" + b"\0" * 5 + b"\0" * 4,
    "a continuation of nothing": b"\x80\x80\0\0\0\0",
    "a close of one byte": b"\x88\x81\0\0\0\0a",
    "a close with a forged code": b"\x88\x82\0\0\0\0\x03\xed",
    "no frames": b"\0" * 1000,
    "half a frame": b"\x81\xfe",
}


@pytest.mark.parametrize("what", FRAMES)
def test_frames_that_are_none_end_their_websocket(target: Target, what: str) -> None:
    answer = target.raw(upgrade() + FRAMES[what], wait=2)
    # Nothing: it broke the protocol before the door had found out who it is.
    assert not answer or answer.startswith((b"HTTP/1.1 101", b"HTTP/1.1 400"))


async def test_a_client_that_never_reads_costs_nobody_anything(target: Target) -> None:
    """It floods calls, and reads no answer: the server stops reading it, in bounded memory."""
    process = psutil.Process(target.process.pid)
    before = process.memory_info().rss
    with sockets.create_connection(("127.0.0.1", target.port)) as stuck:
        stuck.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 4096)
        text = b'{"type": "ping", "ref": "' + b"a" * 80 + b'"}'
        assert len(text) < 126
        masked = bytes([0x81, 0x80 | len(text)]) + b"\0\0\0\0" + text
        stuck.sendall(upgrade())
        stuck.settimeout(1)
        with suppress(TimeoutError):  # it is not read any more
            for _ in range(30):
                stuck.sendall(masked * 200)
        async with chatting(target) as other:
            await other.send('{"type": "chat", "message": "hi", "agent": "echo"}')
            while (await hear(other))["event"] != "done":
                pass
        assert process.memory_info().rss - before < 60 * 1024 * 1024


async def test_200_quick_connections_are_all_let_go(target: Target) -> None:
    process = psutil.Process(target.process.pid)
    before = process.num_fds()

    async def come_and_go(number: int) -> None:
        if number % 2:
            async with chatting(target) as socket:
                await socket.send('{"type": "ping"}')
            return
        _, writer = await asyncio.open_connection("127.0.0.1", target.port)
        writer.write(upgrade())
        await writer.drain()
        writer.transport.abort()

    async with asyncio.timeout(60):
        for _ in range(5):
            await asyncio.gather(*(come_and_go(number) for number in range(40)))
    async with asyncio.timeout(60):
        while process.num_fds() > before + 5:  # noqa: ASYNC110  # another process has no event to wait for
            await asyncio.sleep(0.02)


async def test_pages_of_other_sites_get_no_socket(target: Target) -> None:
    url = f"{target.url.replace('http', 'ws')}/socket.io/?EIO=4&transport=websocket"
    with pytest.raises(InvalidStatus):
        await connect(url, origin="https://evil.example")  # type: ignore[arg-type]  # an origin
    with target.client() as page:
        answer = page.get(
            "/socket.io/", params={"EIO": 4, "transport": "polling"}, headers={"Origin": "https://evil.example"}
        )
        assert answer.status_code == 400
        assert "access-control-allow-origin" not in answer.headers


# Socket.IO, by hand.


@asynccontextmanager
async def socket_io(target: Target, token: object = ALICE) -> AsyncIterator[ClientConnection]:
    url = f"{target.url.replace('http', 'ws')}/socket.io/?EIO=4&transport=websocket"
    async with connect(url, max_size=None) as socket:
        assert (await socket.recv(decode=True)).startswith("0")
        await socket.send("40" + orjson.dumps({"token": token}).decode())
        yield socket


async def packet(socket: ClientConnection, prefix: str) -> str:
    async with asyncio.timeout(60):
        while True:
            text = await socket.recv(decode=True)
            if text.startswith(prefix):
                return text


PACKETS = (
    '42["connect",{"asgi.scope":{"client":["1.1.1.1",1]}},{"token":"x"}]',
    '42["disconnect","client disconnect"]',
    '42["events",{"events":[]}]',
    '42["presence",{}]',
    '42["__class__",{}]',
    '42["trigger_event","connect"]',
    "42[]",
    '42["chat"',
    "42{}",
    "42" + "[" * 10_000,
    '42["chat",{"message":"\\ud800"}]',
    "43999[1]",
    '431["forged"]',
    "49",
    "4",
    "41/elsewhere,",
    "40/admin,{}",
    '42/admin,["chat",{"message":"hi"}]',
    "45" + "9" * 5000 + "-[]",
    "2",
    "3probe",
    "5",
    "6",
    "9",
    "x",
    "",
    "\0",
)


@pytest.mark.parametrize("text", PACKETS)
async def test_a_forged_packet_never_harms_more_than_its_own_connection(target: Target, text: str) -> None:
    async with socket_io(target) as bad, socket_io(target) as good:
        await packet(bad, "40")
        await packet(good, "40")
        try:
            await bad.send(text)
            await bad.send('427["ping",{}]')
            answer = await packet(bad, "437")
            assert orjson.loads(answer[3:])[0].get("ok") is True
        except ConnectionClosed:
            pass  # an answer too
        await good.send('428["ping",{}]')
        assert orjson.loads((await packet(good, "438"))[3:]) == [{"ok": True, "user_id": "default"}]


@pytest.mark.parametrize("text", ["x", "", "\0", "9", "b!!", "가"])
async def test_whoever_speaks_no_engine_io_is_let_go(target: Target, text: str) -> None:
    async with socket_io(target) as bad:
        await packet(bad, "40")
        await bad.send(text)
        with pytest.raises(ConnectionClosed):
            await packet(bad, "never")


async def test_garbage_bytes_and_floods_end_their_own_connection_alone(target: Target) -> None:
    async with socket_io(target) as good:
        await packet(good, "40")
        floods: list[list[str | bytes]] = [
            [os.urandom(500)] * 20,
            ["42" + '["ping",' + "1" * MESSAGE_BYTES + "]"],
            ["451-" + '["chat",{"_placeholder":true,"num":0}]', *[b"\0" * 1000] * 50],
            ["459999-" + '["chat",{"_placeholder":true,"num":0}]'],
            ["2"] * 2000,
        ]
        for flood in floods:
            async with socket_io(target) as bad:
                await packet(bad, "40")
                try:
                    for part in flood:
                        await bad.send(part)
                    await bad.send('427["ping",{}]')
                    async with asyncio.timeout(1):
                        await packet(bad, "437")
                except (ConnectionClosed, TimeoutError):
                    pass
        await good.send('428["ping",{}]')
        assert "ok" in await packet(good, "438")


def test_polling_that_is_none_is_refused(target: Target) -> None:
    with target.client(None) as client:
        for params in (
            {},
            {"EIO": "3", "transport": "polling"},
            {"EIO": "4", "transport": "carrier-pigeon"},
            {"EIO": "4", "transport": "polling", "sid": "nobody"},
            {"EIO": "4", "transport": "polling", "sid": "../../etc/passwd"},
            {"EIO": "4", "transport": "websocket"},
            {"EIO": "4", "transport": "polling", "sid": "a" * 10_000},
        ):
            for method in ("GET", "POST", "PUT", "DELETE"):
                answer = client.request(method, "/socket.io/", params=params, content=b"4" * 100)
                assert answer.status_code in {400, 405}, (params, method, answer.text)
        for body in (b"\xff\xfe", b"4" * (MESSAGE_BYTES + 1), b"\x1e" * 1000, b"b!!", b"40{" + b"[" * 9000):
            opened = client.get("/socket.io/", params={"EIO": 4, "transport": "polling"})
            sid = orjson.loads(opened.content[1:])["sid"]
            # Engine.IO answers some of them only when the client has fetched its goodbye.
            with suppress(httpx.ReadTimeout):
                polling = {"EIO": 4, "transport": "polling", "sid": sid}
                answer = client.post("/socket.io/", params=polling, content=body, timeout=0.3)
                assert answer.status_code < 500
