"""A small HTTP client that costs little, so that what is measured is the server."""

import asyncio
import json
import time
from types import TracebackType
from typing import Any, Self, cast


class Client(asyncio.Protocol):
    """One kept-alive connection: a request at a time, and when each piece of its answer came."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._transport: asyncio.Transport
        self._answer: asyncio.Future[tuple[int, bytes]] | None = None
        self._raw = bytearray()
        self._status = 0
        self._begin = 0
        self._length: int | None = None
        self.pieces: list[tuple[float, int]] = []
        """Of each piece of the answer, when it came and where in the answer it ends."""

    async def __aenter__(self) -> Self:
        await asyncio.get_running_loop().create_connection(lambda: self, "127.0.0.1", self._port)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._transport.close()

    async def post(self, path: str, body: Any) -> tuple[int, bytes]:
        """Return the status and the whole body."""
        return await self.ask("POST", path, body)

    async def get(self, path: str) -> tuple[int, bytes]:
        return await self.ask("GET", path, None)

    async def ask(self, method: str, path: str, body: Any) -> tuple[int, bytes]:
        self.send(method, path, body)
        self._answer = asyncio.get_running_loop().create_future()
        return await self._answer

    def send(self, method: str, path: str, body: Any) -> None:
        """Send a request, whether anybody waits for its answer or not."""
        payload = b"" if body is None else json.dumps(body).encode()
        head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{self._port}\r\nContent-Type: application/json\r\n"
        self._raw.clear()
        self._status = 0
        self.pieces.clear()
        self._transport.write(f"{head}Content-Length: {len(payload)}\r\n\r\n".encode() + payload)

    def stall(self) -> None:
        """Read no more."""
        self._transport.pause_reading()

    def times(self, marker: bytes) -> list[float]:
        """When the pieces came that have `marker` in them."""
        found = []
        before = 0
        for at, end in self.pieces:
            if self._raw.find(marker, before, end) >= 0:
                found.append(at)
            before = end
        return found

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass

    def connection_lost(self, exc: Exception | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(exc or ConnectionResetError("The server closed the connection."))

    def data_received(self, data: bytes) -> None:
        raw = self._raw
        raw += data
        self.pieces.append((time.perf_counter(), len(raw)))
        if not self._status and not self._read_head():
            return
        chunked = self._length is None
        ended = raw.endswith(b"0\r\n\r\n") if chunked else len(raw) - self._begin >= (self._length or 0)
        if ended and self._answer is not None and not self._answer.done():
            body = bytes(raw[self._begin :])
            self._answer.set_result((self._status, _joined(body) if chunked else body))

    def _read_head(self) -> bool:
        end = self._raw.find(b"\r\n\r\n")
        if end < 0:
            return False
        lines = bytes(self._raw[:end]).lower().split(b"\r\n")
        self._begin = end + 4
        self._status = int(lines[0].split()[1])
        self._length = next((int(line[15:]) for line in lines if line.startswith(b"content-length:")), None)
        return True


def _joined(body: bytes) -> bytes:
    """Return a chunked body whole."""
    parts: list[bytes] = []
    at = 0
    while True:
        end = body.index(b"\r\n", at)
        size = int(body[at:end], 16)
        if size == 0:
            return b"".join(parts)
        parts.append(body[end + 2 : end + 2 + size])
        at = end + size + 4
