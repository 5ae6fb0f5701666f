"""The head of an answer leaves with its body; one that has to wait for its body leaves alone, and soon."""

import asyncio
from typing import Any

import uvicorn
from starlette.types import Receive, Scope, Send

from backend.api.http_protocol import HeadWithBody
from test.server import free_port


class Transport(asyncio.Transport):
    """Takes what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes] = []
        self.closed = False

    def write(self, data: Any) -> None:
        self.writes.append(bytes(data))

    def close(self) -> None:
        self.closed = True


def held(transport: Transport) -> asyncio.Transport:
    """What the protocol writes to."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None: ...

    config = uvicorn.Config(app, lifespan="off", log_config=None)
    config.load()
    protocol = HeadWithBody(config, uvicorn.Server(config).server_state, {})
    protocol.connection_made(transport)
    return protocol.transport


async def test_head_and_body_are_one_write():
    transport = Transport()
    holder = held(transport)
    holder.write(b"HTTP/1.1 200 OK\r\n\r\n")
    holder.write(b"body")
    holder.write(b"more")
    await asyncio.sleep(0)
    assert transport.writes == [b"HTTP/1.1 200 OK\r\n\r\nbody", b"more"]


async def test_a_head_without_a_body_leaves_in_the_loops_next_turn():
    transport = Transport()
    holder = held(transport)
    holder.write(b"HTTP/1.1 200 OK\r\n\r\n")
    assert transport.writes == []
    await asyncio.sleep(0)
    assert transport.writes == [b"HTTP/1.1 200 OK\r\n\r\n"]
    holder.write(b"body")
    assert transport.writes[1:] == [b"body"]


async def test_a_head_is_not_lost_when_the_connection_closes():
    transport = Transport()
    holder = held(transport)
    holder.write(b"HTTP/1.1 204 No Content\r\n\r\n")
    holder.close()
    assert (transport.writes, transport.closed) == ([b"HTTP/1.1 204 No Content\r\n\r\n"], True)


async def test_several_answers_on_one_connection_come_whole():
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        body = scope["path"].encode()
        headers = [(b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    port = free_port()
    config = uvicorn.Config(app, port=port, http=HeadWithBody, lifespan="off", log_config=None, access_log=False)
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    try:
        async with asyncio.timeout(60):
            while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
                await asyncio.sleep(0.01)
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            request = "GET /{} HTTP/1.1\r\nHost: here\r\n\r\n"
            writer.write("".join(request.format(number) for number in range(3)).encode())  # pipelined
            for number in range(3):
                head = await reader.readuntil(b"\r\n\r\n")
                assert head.startswith(b"HTTP/1.1 200 OK")
                assert await reader.readexactly(2) == f"/{number}".encode()
            writer.close()
    finally:
        server.should_exit = True
        await serving
