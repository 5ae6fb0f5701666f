"""Uvicorn's HTTP protocol, which sends the head of an answer together with what follows.

Uvicorn writes the two one after the other. Each write is a system call that wakes the client, and for a small answer
the first of them is for nothing.
"""

import asyncio
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_HEADERS = 64 * 1024
"""Bytes of all header fields of a request together."""
_SWITCHING = b"HTTP/1.1 1"
"""The handshake of a WebSocket, which nothing of the answer follows."""


class HeadWithBody(HttpToolsProtocol):
    """Give it to uvicorn as its `http`. A request whose headers are larger than `MAX_HEADERS` is refused (400)."""

    def on_headers_complete(self) -> None:
        if sum([len(name) + len(value) for name, value in self.headers]) > MAX_HEADERS:
            raise ValueError("The headers are too large.")  # the parser's error, which uvicorn answers
        super().on_headers_complete()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(cast(asyncio.Transport, _HeadHolder(cast(asyncio.Transport, transport))))


class _HeadHolder:
    """A transport that holds the head of an answer back until its body comes, or the loop's next turn."""

    __slots__ = ("_head", "_transport")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._head = b""

    def write(self, data: bytes) -> None:
        if self._head:
            data, self._head = self._head + data, b""
        elif data.startswith(b"HTTP/") and not data.startswith(_SWITCHING):
            self._head = data
            asyncio.get_running_loop().call_soon(self._send)
            return
        self._transport.write(data)

    def close(self) -> None:
        self._send()
        self._transport.close()

    def _send(self) -> None:
        if self._head:
            head, self._head = self._head, b""
            self._transport.write(head)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)
