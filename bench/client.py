"""A small HTTP client that costs little, so that what is measured is the server."""

import asyncio
import json
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Any, Self


class Client:
    """One kept-alive connection."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._reader: asyncio.StreamReader
        self._writer: asyncio.StreamWriter

    async def __aenter__(self) -> Self:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port, limit=2**22)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.close()

    async def post(self, path: str, body: Any) -> tuple[int, bytes]:
        """Return the status and the whole body."""
        status, length = await self.send("POST", path, body)
        if length is None:
            return status, b"".join([part async for part in self._chunks()])
        return status, await self._reader.readexactly(length)

    async def get(self, path: str) -> tuple[int, bytes]:
        status, length = await self.send("GET", path, None)
        if length is None:
            return status, b"".join([part async for part in self._chunks()])
        return status, await self._reader.readexactly(length)

    async def stream(self, path: str, body: Any) -> AsyncIterator[bytes]:
        """Yield the body in the pieces in which it comes."""
        status, length = await self.send("POST", path, body)
        if status != 200 or length is not None:
            raise RuntimeError(f"{path} answered {status}")
        async for part in self._chunks():
            yield part

    async def send(self, method: str, path: str, body: Any) -> tuple[int, int | None]:
        """Send a request; return the status and the length of the body, or None if it comes in chunks."""
        payload = b"" if body is None else json.dumps(body).encode()
        head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{self._port}\r\nContent-Type: application/json\r\n"
        self._writer.write(f"{head}Content-Length: {len(payload)}\r\n\r\n".encode() + payload)
        lines = (await self._reader.readuntil(b"\r\n\r\n")).lower().split(b"\r\n")
        length = next((int(line[15:]) for line in lines if line.startswith(b"content-length:")), None)
        return int(lines[0].split()[1]), length

    async def _chunks(self) -> AsyncIterator[bytes]:
        while size := int(await self._reader.readline(), 16):
            yield (await self._reader.readexactly(size + 2))[:-2]
        await self._reader.readline()
