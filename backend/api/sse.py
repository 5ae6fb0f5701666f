"""Server-sent events (WHATWG HTML §9.2): the events of a run as one answer that stays open.

A reader is a cursor into the run's event log and no more: no queue grows for it. Whatever the log has at once leaves in
one write. A comment every few seconds tells the client, and every proxy between, that the stream lives; a client that
takes no bytes is dropped. So is one whose credentials are revoked, or whose tenant is suspended, while it reads: the
door is asked again now and then.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from typing import Any

import orjson
from loguru import logger
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from backend.core.error import DomainError, Forbidden, Gone, Unauthorized
from backend.core.problem import problem
from backend.dto.event import Event

HEARTBEAT_SECONDS = 5.0
STALL_SECONDS = 30.0
"""How long one write may wait for the client."""
EAGER_EVENTS = 4
"""The first ones are never held back."""
PAUSE_SECONDS = 0.002
"""Later ones that follow each other faster than this are gathered for as long."""
RECHECK_BEATS = 5
"""Between two looks at whether what the client came in with still opens: 25 seconds."""
PATIENCE_SECONDS = 1.0
"""After which a waiting request looks whether its client is still there."""
_HEARTBEAT = b": heartbeat\r\n\r\n"


def frame(name: str, data: bytes, event_id: object = None) -> bytes:
    """Return one event; `data` is JSON on one line."""
    if event_id is None:
        return b"event: %b\r\ndata: %b\r\n\r\n" % (name.encode(), data)
    return b"event: %b\r\nid: %b\r\ndata: %b\r\n\r\n" % (name.encode(), str(event_id).encode(), data)


def frames(events: Sequence[Event]) -> bytes:
    """Return the events' bytes; their data were serialized when they were said."""
    return b"".join([frame(event.name, event.data, event.cursor) for event in events])


class _Left(Exception):
    """The client went away, or stopped reading."""


class EventStream(Response):
    """Sends batches of events until the run ends, the client goes or stalls, or the events are gone.

    `batches` is always closed at the end, so a run that lives by it stops with it. `resync` is sent when the log no
    longer has what comes next: what the client needs to fetch the state instead.
    """

    media_type = "text/event-stream"

    def __init__(
        self,
        batches: AsyncIterator[list[Any]],
        *,
        resync: Mapping[str, Any],
        headers: Mapping[str, str] | None = None,
        heartbeat: float = HEARTBEAT_SECONDS,
        stall: float = STALL_SECONDS,
        encode: Callable[[Sequence[Any]], bytes] = frames,
        heartbeat_line: bytes = _HEARTBEAT,
        failed: Callable[[BaseException], dict[str, Any]] | None = None,
        left: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """Send with `encode` the bytes of a batch, with `failed` what is told of a failure.

        `left` is called when the client goes before the end.
        """
        super().__init__(
            headers={"Cache-Control": "no-cache, no-transform", "X-Accel-Buffering": "no", **(headers or {})}
        )
        del self.headers["content-length"]
        self._batches = batches
        self._resync = resync
        self._heartbeat = heartbeat
        self._stall = stall
        self._encode = encode
        self._heartbeat_line = heartbeat_line
        self._failed = failed
        self._left = left
        self._turn = asyncio.Lock()
        self._since: float | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request_id = scope.get("state", {}).get("request_id")
        try:
            async with asyncio.TaskGroup() as group:
                watch = group.create_task(self._watch(scope, receive, send))
                await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
                await self._write(send, scope["path"], request_id)
                watch.cancel()
        except* _Left:
            # The run goes on, but for one that lives by this stream, or was to end with it.
            if self._left is not None:
                await self._left()

    async def _write(self, send: Send, path: str, request_id: str | None) -> None:
        loop = asyncio.get_running_loop()
        sent = 0
        last = 0.0
        try:
            async with _closing(self._batches) as batches:
                async for events in batches:
                    quick = loop.time() - last < PAUSE_SECONDS
                    if body := self._encode(events):
                        await self._send(send, body)
                    last = loop.time()
                    sent += len(events)
                    if quick and sent > EAGER_EVENTS and not getattr(events[-1], "ends_run", False):
                        await asyncio.sleep(PAUSE_SECONDS)
        except Gone as error:
            if self._failed is not None:
                await self._send(send, frame("error", orjson.dumps(self._failed(error))))
            else:
                await self._send(send, frame("resync", orjson.dumps({"detail": error.detail, **self._resync})))
        except Exception as error:
            said = problem(error, path, request_id) if self._failed is None else self._failed(error)
            await self._send(send, frame("error", orjson.dumps(said, default=str)))
            if not isinstance(error, DomainError):
                raise
        async with self._turn:
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _send(self, send: Send, body: bytes) -> None:
        async with self._turn:
            self._since = asyncio.get_running_loop().time()
            await send({"type": "http.response.body", "body": body, "more_body": True})
            self._since = None

    async def _watch(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Beat, and look out for a client that leaves, takes no bytes, or may not read any more."""
        beats = 0
        while True:
            try:
                async with asyncio.timeout(self._heartbeat):
                    message = await receive()
            except TimeoutError:
                await self._beat(send)
                beats += 1
                if beats % RECHECK_BEATS == 0:
                    await self._recheck(scope, send)
            else:
                if message["type"] == "http.disconnect":
                    raise _Left

    async def _recheck(self, scope: Scope, send: Send) -> None:
        """End the stream of a client that would not be let in any more."""
        check = scope.get("state", {}).get("recheck")
        if check is None:
            return
        try:
            await check(scope)
        except (Unauthorized, Forbidden) as error:
            logger.info("a stream was ended: what its client came in with no longer opens")
            if not self._turn.locked():  # else it takes no bytes, and learns of it as the end of the connection
                await self._turn.acquire()  # and never released: nothing may follow
                request_id = scope["state"].get("request_id")
                said = problem(error, scope["path"], request_id) if self._failed is None else self._failed(error)
                last = frame("error", orjson.dumps(said, default=str))
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._stall):
                        await send({"type": "http.response.body", "body": last, "more_body": False})
            raise _Left from None
        except DomainError:  # it cannot be told now; what the stream reads from will fail by itself
            logger.warning("whether a stream may go on could not be found out")

    async def _beat(self, send: Send) -> None:
        if not self._turn.locked():
            try:
                async with asyncio.timeout(self._stall):
                    await self._send(send, self._heartbeat_line)
            except TimeoutError:
                self._drop()
        elif self._since is not None and asyncio.get_running_loop().time() - self._since > self._stall:
            self._drop()

    def _drop(self) -> None:
        logger.info("a client took no bytes for {seconds} s and was dropped", seconds=self._stall)
        raise _Left


def _closing(batches: AsyncIterator[list[Any]]) -> "aclosing[AsyncGenerator[list[Any]]]":
    assert isinstance(batches, AsyncGenerator)  # what the run service gives; its type promises less
    return aclosing(batches)


async def last_event(batches: AsyncIterator[list[Event]]) -> Event | None:
    """Read to the end and return the event that ended the run; None when the server let go of it before."""
    last: Event | None = None
    async with _closing(batches) as reading:
        async for events in reading:
            last = events[-1]
    return last if last is not None and last.ends_run else None


async def preceded(first: list[Event], batches: AsyncIterator[list[Event]]) -> AsyncGenerator[list[Event]]:
    """Yield `first`, which was read to see whether the run begins, then the rest."""
    async with _closing(batches) as rest:
        yield first
        async for events in rest:
            yield events


@asynccontextmanager
async def while_connected(receive: Receive) -> AsyncIterator[None]:
    """Stop the body when the client goes away; the request's own body must have been read.

    A quick answer costs one timer: the client is only looked after when it has waited for a while.

    Raises:
        ClientDisconnect: it went.
    """
    task = asyncio.current_task()
    assert task is not None
    left = False
    watch: asyncio.Task[None] | None = None

    async def look() -> None:
        nonlocal left
        while (await receive())["type"] != "http.disconnect":
            pass
        left = True
        task.cancel()

    def begin() -> None:
        nonlocal watch
        watch = asyncio.create_task(look())

    timer = asyncio.get_running_loop().call_later(PATIENCE_SECONDS, begin)
    try:
        yield
    except asyncio.CancelledError:
        if left and task.uncancel() == 0:
            raise ClientDisconnect from None
        raise
    finally:
        timer.cancel()
        if watch is not None:
            watch.cancel()
