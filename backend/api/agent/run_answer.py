"""How a run is answered: as a stream of its events, or by what it leaves when it has ended."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from backend.api.dependency import container_of, principal_of
from backend.api.sse import HEARTBEAT_SECONDS, EventStream, frame, while_connected
from backend.core.error import DomainError, InvalidCursor, RunEnded, RunNotFound
from backend.core.run.wire import dumps, error_data
from backend.dto.event import START, Cursor, Event, ThreadCursor
from backend.dto.run import Run, StreamMode

QUICK_SECONDS = 0.05
"""How long the head of an answer may wait, so that a quick run leaves in one write."""

STREAM_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


def path_of(run: Run) -> str:
    return f"/threads/{run.thread_id}/runs/{run.run_id}"


def follow(request: Request, run: Run, *, cancel: bool, location: str | None = None) -> EventStream:
    """Return the stream of a run that was just made."""
    where = location or path_of(run)
    headers = {**STREAM_HEADERS, "Location": f"{where}/stream", "Content-Location": where}
    runs = container_of(request).run_service()
    batches = runs.events(principal_of(request), run)
    return _answer(request, run, batches, headers, cancel=cancel, modes=None)


def join(
    request: Request, run: Run, stream_mode: list[str] | None, last_event_id: str | None, *, cancel: bool
) -> EventStream:
    runs = container_of(request).run_service()
    caller = principal_of(request)
    after = runs.position(caller, run)
    if last_event_id is not None:
        try:
            after = Cursor.parse(last_event_id)
        except ValueError as error:
            raise InvalidCursor(str(error)) from None
    elif run.ended:
        return _answer(request, run, _no_events(), STREAM_HEADERS, cancel=False, modes=None)
    if run.ended and not run.request.kept:  # its events were of the moment
        return _answer(request, run, _last_event(run), STREAM_HEADERS, cancel=False, modes=None)
    modes = {part for text in stream_mode or () for part in text.split(",") if part} or None
    return _answer(request, run, runs.events(caller, run, after), STREAM_HEADERS, cancel=cancel, modes=modes)


def _answer(
    request: Request,
    run: Run,
    batches: AsyncIterator[list[Event]],
    headers: dict[str, str],
    *,
    cancel: bool,
    modes: set[str] | None,
) -> EventStream:
    encode: Callable[[Sequence[Event]], bytes] = _frames_with_ids if run.request.kept else _frames
    if run.request.dialect == "chat":
        encode = _chat_frames
    if modes is not None:
        encode = _only(modes, encode)
    left = None
    if cancel:
        runs, caller = container_of(request).run_service(), principal_of(request)

        async def left() -> None:
            with suppress(RunEnded, RunNotFound):
                await runs.cancel(caller, run.run_id)

    return EventStream(batches, resync={}, headers=headers, encode=encode, failed=error_data, left=left)


def _frames(events: Sequence[Event]) -> bytes:
    return b"".join([frame(event.name, event.data) for event in events])


def _frames_with_ids(events: Sequence[Event]) -> bytes:
    return b"".join([frame(event.name, event.data, event.cursor) for event in events])


def _chat_frames(events: Sequence[Event]) -> bytes:
    """A run of the chat doors as it is; its `done` is followed by the `end` that the official clients wait for."""
    body = _frames_with_ids(events)
    return body + frame("end", b"null", events[-1].cursor) if events and events[-1].name == "done" else body


_NAMES: dict[StreamMode, tuple[str, ...]] = {
    "messages": ("messages/partial", "messages/complete", "messages/metadata"),
    "messages-tuple": ("messages",),
}
_ALWAYS = frozenset({"metadata", "error", "end", "done", "start"})


def _only(modes: set[str], encode: Callable[[Sequence[Event]], bytes]) -> Callable[[Sequence[Event]], bytes]:
    """Leave out the events of other modes than those that were asked for."""
    names = {name for mode in modes for name in _NAMES.get(mode, (mode,))} | _ALWAYS  # type: ignore[call-overload]

    def some(events: Sequence[Event]) -> bytes:
        return encode([event for event in events if event.name.partition("|")[0] in names])

    return some


async def _no_events() -> AsyncIterator[list[Event]]:
    nothing: tuple[list[Event], ...] = ()
    for batch in nothing:
        yield batch


async def _last_event(run: Run) -> AsyncIterator[list[Event]]:
    yield [Event(START, "end", dumps({"status": run.status}))]


def thread_frames(parts: Sequence[tuple[ThreadCursor | None, str, bytes]]) -> bytes:
    return b"".join([frame(name, data, cursor) for cursor, name, data in parts])


def thread_cursor(text: str | None) -> ThreadCursor | None:
    if text is None:
        return None
    try:
        return ThreadCursor.parse(text)
    except ValueError as error:
        raise InvalidCursor(str(error)) from None


def wait_headers(run: Run) -> dict[str, str]:
    where = path_of(run)
    return {"Location": f"{where}/join", "Content-Location": where}


def wait_for(request: Request, run: Run, *, cancel: bool) -> "Waiting":
    """Return the answer that comes when the run has ended; the run goes on when the client leaves, or is cancelled."""
    runs, caller = container_of(request).run_service(), principal_of(request)

    async def gone() -> None:
        if cancel:
            with suppress(RunEnded, RunNotFound):
                await runs.cancel(caller, run.run_id)

    return Waiting(runs.wait_body(caller, run), wait_headers(run), gone=gone)


async def nothing() -> None: ...


class Waiting(Response):
    """JSON that comes when a run has ended; until then a line feed every few seconds keeps the connection alive.

    The status and headers leave before the end is known, so a failure after that is told in the body, as `__error__`.
    """

    media_type = "application/json"

    def __init__(
        self,
        body: Any,
        headers: dict[str, str],
        *,
        gone: Callable[[], Any] | None,
        heartbeat: float = HEARTBEAT_SECONDS,
    ) -> None:
        """Await `body` for the bytes. `gone` is called when the client leaves; without it `body` is then cancelled."""
        self.status_code = 200
        self.background = None
        self.init_headers(headers)  # not all of Response's own: how long it gets is not known
        self._waited = body
        self._gone = gone
        self._heartbeat = heartbeat

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # Begun at once, not in the loop's next turn.
        task = asyncio.Task(self._waited, loop=asyncio.get_running_loop(), eager_start=True)
        await asyncio.wait({task}, timeout=QUICK_SECONDS)
        if task.done():
            body = _body_of(task)
            head = [*self.raw_headers, (b"content-length", str(len(body)).encode())]
            await send({"type": "http.response.start", "status": 200, "headers": head})
            await send({"type": "http.response.body", "body": body})
            return
        try:
            async with while_connected(receive):
                await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
                while not (await asyncio.wait({task}, timeout=self._heartbeat))[0]:
                    await send({"type": "http.response.body", "body": b"\n", "more_body": True})
                await send({"type": "http.response.body", "body": _body_of(task)})
        finally:
            if not task.done():
                if self._gone is None:
                    task.cancel()
                else:
                    task.add_done_callback(_forget)
                    await self._gone()


def _forget(task: asyncio.Task[Any]) -> None:
    if not task.cancelled():
        task.exception()  # nobody is there to hear it


def _body_of(task: asyncio.Future[bytes]) -> bytes:
    try:
        return task.result()
    except DomainError as error:
        return dumps({"__error__": error_data(error)})
