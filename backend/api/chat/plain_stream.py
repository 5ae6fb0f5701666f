"""A run's events as lines that hold `content`, `done` or `error`, for clients that know nothing else of a run.

    data: {"content": "예비창업패키지는 "}
    id: 1-2

    data: {"done": true, "answer": "…", "citations": […], …}
    id: 1-9

They have no names, so an `EventSource` gets them as `message`, and who reads lines finds JSON behind `data: `. Lines
end in a bare line feed: readers that split at an empty line expect that.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from typing import Any

import orjson

from backend.core.error import DomainError, RunTimeout
from backend.core.problem import problem
from backend.dto.event import START, Cursor, Event
from backend.schema.simple_chat import simple_answer

HEARTBEAT = b": heartbeat\n\n"


class PlainLines:
    """Writes the events of one run, as they come in."""

    def __init__(self, model: str | None, *, kept: bool, after: Cursor = START) -> None:
        """`model` is the alias that was asked for; `after` the last event that the reader has had already."""
        self._model = model
        self._kept = kept
        # Only what holds `content` has an id before the end, so who comes back with one has heard something.
        self._spoke = after != START

    def __call__(self, events: Sequence[Event]) -> bytes:
        """Return the lines of the events that are told; the others are passed over."""
        return b"".join([self._lines(event) for event in events])

    def _lines(self, event: Event) -> bytes:
        if event.name == "token":
            self._spoke = True
            return _frame({"content": orjson.loads(event.data)["text"]}, event)
        if event.name == "start" and self._spoke and orjson.loads(event.data).get("attempt", 1) > 1:
            return _frame({"restart": True}, event)  # the server had died: the answer begins anew
        if event.name == "error":
            return _frame({"error": told(orjson.loads(event.data))}, event)
        if event.name == "done":
            return self._end(event)
        return b""

    def _end(self, event: Event) -> bytes:
        done = orjson.loads(event.data)
        if done.get("status") == "timeout":
            return _frame({"error": told(problem(RunTimeout(done["run_id"])))}, event)
        answer = simple_answer(done, self._model, kept=self._kept)
        content = answer.pop("content")
        # An agent that speaks in one piece; without an id, or a reader who comes back with it would miss the end.
        piece = b"" if self._spoke or not content else _frame({"content": content})
        return piece + _frame({"done": True, "answer": content, **answer}, event)


def told(problem: Mapping[str, Any]) -> dict[str, Any]:
    """Return how a line tells of a failure: a code, a sentence, and the status that a whole answer would have had."""
    code = str(problem.get("type", "")).rpartition("/")[2]
    failure = {"code": code, "message": problem.get("detail") or problem.get("title"), "status": problem.get("status")}
    wait = problem.get("retry_after")
    return failure if wait is None else {**failure, "retry_after": wait}


def failed(error: BaseException) -> dict[str, Any]:
    """Return what is told when the stream itself fails."""
    return {"error": told(problem(error))}


async def plainly(batches: AsyncIterator[list[Event]]) -> AsyncGenerator[list[Event]]:
    """Yield `batches`, and as a last event what keeps them from coming: such as events that are no longer kept."""
    assert isinstance(batches, AsyncGenerator)  # what the run service gives; its type promises less
    try:
        async with aclosing(batches) as reading:
            async for events in reading:
                yield events
    except DomainError as error:
        yield [Event(START, "error", orjson.dumps(problem(error), default=str))]


def _frame(data: Mapping[str, Any], event: Event | None = None) -> bytes:
    line = orjson.dumps(data)
    if event is None or event.cursor == START:
        return b"data: %b\n\n" % line
    return b"data: %b\nid: %b\n\n" % (line, str(event.cursor).encode())
