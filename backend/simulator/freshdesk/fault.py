"""What goes wrong between a client and Freshdesk, switched on for a path or for the next requests."""

import asyncio
import json
import re
import socket
import struct
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, Literal

from backend.simulator.freshdesk.ask import DENIED

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

FaultKind = Literal[
    "html_500",
    "html_502",
    "html_200",
    "too_many",
    "forbidden",
    "truncated",
    "cut",
    "reset",
    "slow",
    "malformed_items",
    "huge_description",
    "wrong_type",
]
"""
- `html_500`, `html_502`, `html_200`: a page instead of JSON, with that status.
- `too_many`: 429, whatever the limit; `retry_after` is its header, None leaves it out.
- `forbidden`: 403, whatever the key may do.
- `truncated`: half of the JSON, sent as if it were all.
- `cut`: half of the JSON, then the connection ends before the promised length.
- `reset`: the connection is reset before any answer.
- `slow`: the answer comes in pieces, over `seconds`.
- `malformed_items`: in a list, one of two items is not what it should be; an object loses its id.
- `huge_description`: the (first) object has a description of `size` bytes.
- `wrong_type`: the right JSON with `Content-Type: text/html`.
"""
_PAGE = (
    "<!DOCTYPE html><html><head><title>{title}</title></head><body><h1>{title}</h1>"
    "<p>We're sorry, but something went wrong. We've been notified about this issue.</p></body></html>"
)
_PIECES = 10
HUGE = 10 * 1024 * 1024


@dataclass(slots=True)
class Fault:
    kind: FaultKind
    path: str = ""
    """A regular expression, searched in the path below the account (`/api/v2/tickets`)."""
    times: int | None = 1
    """How many requests; None is until it is cleared."""
    after: int = 0
    """Requests that match and are let pass first."""
    retry_after: int | None = 1
    seconds: float = 1.0
    size: int = HUGE


@dataclass(slots=True)
class Faults:
    """The faults to come; the first that matches a request happens to it.

    simulator.faults.add("html_502", path=r"/tickets$", times=2)
    """

    pending: list[Fault] = field(default_factory=list)
    happened: list[tuple[FaultKind, str]] = field(default_factory=list)
    """Which, and to which path."""
    _lock: Lock = field(default_factory=Lock)

    def add(
        self,
        kind: FaultKind,
        *,
        path: str = "",
        times: int | None = 1,
        after: int = 0,
        retry_after: int | None = 1,
        seconds: float = 1.0,
        size: int = HUGE,
    ) -> Fault:
        """Switch a fault on (see `FaultKind`) and return it."""
        fault = Fault(kind, path, times, after, retry_after, seconds, size)
        with self._lock:
            self.pending.append(fault)
        return fault

    def clear(self) -> None:
        """Switch all off."""
        with self._lock:
            self.pending.clear()

    def take(self, path: str) -> Fault | None:
        """Return the fault of a request, which is then used up once."""
        with self._lock:
            for fault in self.pending:
                if not re.search(fault.path, path):
                    continue
                if fault.after > 0:
                    fault.after -= 1
                    continue
                if fault.times is not None:
                    fault.times -= 1
                    if fault.times <= 0:
                        self.pending.remove(fault)
                self.happened.append((fault.kind, path))
                return fault
        return None


async def answer_wrongly(fault: Fault, app: App, scope: Message, receive: Receive, send: Send) -> int:
    """Answer a request as a fault says, and return the status, 0 when there was none."""
    if fault.kind in {"html_500", "html_502", "html_200"}:
        status = int(fault.kind[-3:])
        title = {500: "500 Internal Server Error", 502: "502 Bad Gateway", 200: "We'll be back soon"}[status]
        return await _send(send, status, [(b"content-type", b"text/html; charset=utf-8")], _page(title))
    if fault.kind == "too_many":
        headers = [(b"content-type", b"application/json; charset=utf-8"), (b"x-ratelimit-remaining", b"0")]
        if fault.retry_after is not None:
            headers.append((b"retry-after", str(fault.retry_after).encode()))
        return await _send(send, 429, headers, json.dumps({"message": TOO_MANY}).encode())
    if fault.kind == "forbidden":
        body = json.dumps({"code": "access_denied", "message": DENIED}).encode()
        return await _send(send, 403, [(b"content-type", b"application/json; charset=utf-8")], body)
    if fault.kind == "reset":
        await _hang_up(send, hard=True)
        return 0
    status, headers, body = await _whole(app, scope, receive)
    if fault.kind == "truncated":
        return await _send(send, status, headers, body[: len(body) // 2])
    if fault.kind == "cut":
        headers.append((b"content-length", str(len(body)).encode()))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})
        await _hang_up(send, hard=False)
        return status
    if fault.kind == "slow":
        await send({"type": "http.response.start", "status": status, "headers": headers})
        step = max(1, len(body) // _PIECES)
        for start in range(0, len(body), step):
            await asyncio.sleep(fault.seconds / _PIECES)
            await send({"type": "http.response.body", "body": body[start : start + step], "more_body": True})
        await send({"type": "http.response.body", "body": b""})
        return status
    if fault.kind == "wrong_type":
        headers = [(name, b"text/html" if name == b"content-type" else value) for name, value in headers]
    elif fault.kind == "malformed_items":
        body = json.dumps(_malformed(json.loads(body or b"null"))).encode()
    elif fault.kind == "huge_description":
        body = json.dumps(_huge(json.loads(body or b"null"), fault.size)).encode()
    return await _send(send, status, headers, body)


TOO_MANY = "You have exceeded the limit of requests per minute"


def _page(title: str) -> bytes:
    return _PAGE.format(title=title).encode()


async def _send(send: Send, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> int:
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [*headers, length]})
    await send({"type": "http.response.body", "body": body})
    return status


async def _whole(app: App, scope: Message, receive: Receive) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    status, headers, parts = 500, [], []

    async def keep(message: Message) -> None:
        nonlocal status, headers
        if message["type"] == "http.response.start":
            status = message["status"]
            headers = [(name, value) for name, value in message["headers"] if name != b"content-length"]
        else:
            parts.append(message.get("body", b""))

    await app(scope, receive, keep)
    return status, headers, b"".join(parts)


async def _hang_up(send: Send, *, hard: bool) -> None:
    """End the connection below HTTP: uvicorn's `send` belongs to what holds the transport."""
    transport = getattr(getattr(send, "__self__", None), "transport", None)
    if transport is None:
        raise ConnectionResetError("a simulated reset, without uvicorn below")
    if hard and (connection := transport.get_extra_info("socket")) is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    if hard:
        transport.abort()
    else:
        transport.close()  # what was written still goes out
    await asyncio.sleep(0.01)  # the protocol hears of it before the request ends, and complains of nothing


def _malformed(body: Any) -> Any:
    if isinstance(body, dict):
        if isinstance(body.get("results"), list):
            return {**body, "results": _malformed(body["results"])}
        return {name: value for name, value in body.items() if name != "id"}
    if not isinstance(body, list):
        return body
    wrong: list[Any] = [None, "not an object", [], {"id": None}, {"id": "seven", "updated_at": "yesterday"}]
    # Every second one, beginning with the second; the last kind keeps the item but for the types of its fields.
    return [
        item
        if position % 2 == 0
        else {**item, "subject": {"a": 1}, "updated_at": 5, "title": 7, "body": 9, "attachments": "none"}
        if (kind := (position // 2) % (len(wrong) + 1)) == len(wrong)
        else wrong[kind]
        for position, item in enumerate(body)
    ]


def _huge(body: Any, size: int) -> Any:
    target = body[0] if isinstance(body, list) and body else body
    if isinstance(target, dict):
        text = "<p>" + "로그 내용이 너무 깁니다. " * (size // len("로그 내용이 너무 깁니다. ".encode())) + "</p>"
        name = "body" if "body" in target else "description"
        target.update({name: text, f"{name}_text": text[3:-4]})
    return body
