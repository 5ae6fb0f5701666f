"""An OpenAI-compatible server that does what a test scripts: over real HTTP, in the test's own loop.

    async with OpenAISimulator() as endpoint:
        endpoint.script(Turn(status=500), Turn("Hello there."))
        …  # a client with `base_url=endpoint.url`: its first request fails, the second and all later ones are answered
        endpoint.requests[-1].body["messages"]

It is written on bare sockets, since it must also do what servers are written not to: stall, cut an answer in the
middle, or end it without saying so.
"""

import asyncio
import json
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Literal, Self

Stop = Literal["stall", "cut", "end"]
"""`stall`: silence with the connection open. `cut`: the connection breaks. `end`: it closes as if all had been said."""


@dataclass(frozen=True)
class Turn:
    """How one request is answered."""

    text: str = "Hello."
    """Streamed word by word."""
    tool_calls: tuple[dict[str, Any], ...] = ()
    """`{"id", "name", "arguments"}` each."""
    status: int = 200
    error: dict[str, Any] | None = None
    """The body's `error` when the status is not 200; within a stream when it is."""
    headers: dict[str, str] = field(default_factory=dict)
    stop_after: int | None = None
    """Words after which `stop` happens; 0 is after the chunk that names the role, None is never."""
    stop: Stop = "stall"
    silent: bool = False
    """Whether not even a status line is sent."""
    usage: bool = True
    """Whether the server counts tokens when it is asked to."""
    finish_reason: str = "stop"
    garbage: bool = False
    """Whether the stream holds what is not JSON."""


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    headers: dict[str, str]
    body: dict[str, Any]


class OpenAISimulator:
    """Answers `POST …/chat/completions`, streamed or not, and `GET …/models`."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.hung_up = asyncio.Event()
        """Set when a client closes the connection before its answer is complete."""
        self._script: deque[Turn] = deque()
        self._last = Turn()
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def script(self, *turns: Turn) -> None:
        """Answer the next requests by `turns`, in order; the last of them also answers all later ones."""
        self._script = deque(turns)

    @property
    def url(self) -> str:
        """What a client takes as its base URL."""
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/v1"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            while (request := await _read(reader)) is not None:
                self.requests.append(request)
                if not await self._answer(request, reader, writer):
                    break
        except ConnectionError:
            self.hung_up.set()
        except asyncio.CancelledError:
            pass  # the simulator closes; the task ends here, and nobody waits for more
        finally:
            self._tasks.discard(task)
            writer.transport.abort()
            with suppress(ConnectionError):
                await writer.wait_closed()

    async def _answer(self, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; return whether the connection goes on."""
        if request.path.endswith("/models"):
            _send_json(writer, 200, {"object": "list", "data": [{"id": "simulated", "object": "model"}]}, {})
            return True
        if self._script:
            self._last = self._script.popleft()
        turn = self._last
        if turn.silent:
            await self._until_hung_up(reader)
            return False
        if turn.status != 200:
            error = turn.error or {
                "message": "secret upstream text",
                "type": "server_error",
                "param": None,
                "code": None,
            }
            _send_json(writer, turn.status, {"error": error}, turn.headers)
            return True
        if not request.body.get("stream"):
            _send_json(writer, 200, _completion(turn, request.body), turn.headers)
            return True
        return await self._stream(turn, request.body, reader, writer)

    async def _stream(
        self, turn: Turn, body: dict[str, Any], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        writer.write(_head(200, {"content-type": "text/event-stream", "transfer-encoding": "chunked", **turn.headers}))
        _send_event(writer, _chunk(body, {"role": "assistant", "content": ""}))
        for position, piece in enumerate(_pieces(turn.text)):
            if position == turn.stop_after:
                return await self._stop(turn.stop, reader, writer)
            _send_event(writer, _chunk(body, {"content": piece}))
            await writer.drain()
            await asyncio.sleep(0)
        if turn.stop_after is not None:
            return await self._stop(turn.stop, reader, writer)
        if turn.garbage:
            _send_raw(writer, b"data: {not json\n\n")
        if turn.error is not None:
            _send_event(writer, {"error": turn.error})
        for index, call in enumerate(turn.tool_calls):
            function = {"name": call["name"], "arguments": json.dumps(call["arguments"])}
            entry = {"index": index, "id": call["id"], "type": "function", "function": function}
            _send_event(writer, _chunk(body, {"tool_calls": [entry]}))
        _send_event(writer, _chunk(body, {}, "tool_calls" if turn.tool_calls else turn.finish_reason))
        if turn.usage and (body.get("stream_options") or {}).get("include_usage"):
            _send_event(writer, {**_chunk(body, {}), "choices": [], "usage": _usage(turn, body)})
        _send_raw(writer, b"data: [DONE]\n\n")
        writer.write(b"0\r\n\r\n")
        await writer.drain()
        return True

    async def _stop(self, how: Stop, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        await writer.drain()
        if how == "stall":
            await self._until_hung_up(reader)
        elif how == "end":
            writer.write(b"0\r\n\r\n")
            await writer.drain()
            return True
        return False

    async def _until_hung_up(self, reader: asyncio.StreamReader) -> None:
        await reader.read(1)
        self.hung_up.set()


async def _read(reader: asyncio.StreamReader) -> Request | None:
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.strip().split("\r\n")
    method, path, _ = first.split(" ")
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
    raw = await reader.readexactly(int(headers.get("content-length", 0)))
    return Request(method, path, headers, json.loads(raw) if raw else {})


def _head(status: int, headers: dict[str, str]) -> bytes:
    lines = [f"HTTP/1.1 {status} Scripted", *(f"{name}: {value}" for name, value in headers.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def _send_json(writer: asyncio.StreamWriter, status: int, body: dict[str, Any], headers: dict[str, str]) -> None:
    raw = json.dumps(body).encode()
    own = {"content-type": "application/json", "content-length": str(len(raw)), "x-request-id": "req_simulated"}
    writer.write(_head(status, {**own, **headers}) + raw)


def _send_event(writer: asyncio.StreamWriter, data: dict[str, Any]) -> None:
    _send_raw(writer, f"data: {json.dumps(data)}\n\n".encode())


def _send_raw(writer: asyncio.StreamWriter, raw: bytes) -> None:
    writer.write(f"{len(raw):x}\r\n".encode() + raw + b"\r\n")


def _pieces(text: str) -> list[str]:
    words = text.split(" ") if text else []
    return [word if position == 0 else f" {word}" for position, word in enumerate(words)]


def _usage(turn: Turn, body: dict[str, Any]) -> dict[str, int]:
    asked = sum(len(str(message.get("content")).split()) for message in body["messages"])
    said = len(_pieces(turn.text)) + len(turn.tool_calls)
    return {"prompt_tokens": asked, "completion_tokens": said, "total_tokens": asked + said}


def _chunk(body: dict[str, Any], delta: dict[str, Any], finish_reason: str | None = None) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
    return {
        "id": "chatcmpl-simulated",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": body["model"],
        "choices": [choice],
        "usage": None,
    }


def _completion(turn: Turn, body: dict[str, Any]) -> dict[str, Any]:
    message = {"role": "assistant", "content": turn.text, "refusal": None}
    return {
        "id": "chatcmpl-simulated",
        "object": "chat.completion",
        "created": 1,
        "model": body["model"],
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": turn.finish_reason}],
        "usage": _usage(turn, body),
    }
