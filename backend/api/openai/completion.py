"""From the events of a run to what OpenAI's clients read, streamed or whole."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from contextlib import aclosing
from typing import Any, Literal

import orjson
from loguru import logger

from backend.core.error import DomainError, Forbidden, Unauthorized
from backend.core.problem import problem
from backend.dto.event import Event
from backend.schema.openai import (
    AnswerMessage,
    ChatCompletion,
    ChatCompletionRequest,
    Choice,
    Usage,
    completion_id,
    openai_error,
)

HEARTBEAT_SECONDS = 5.0
RECHECK_SECONDS = 25.0
"""Between two looks at whether what the client came in with still opens."""
_DONE = b"data: [DONE]\n\n"
_HEARTBEAT = b": still there\n\n"
_NOT_HERE = {
    "type": "/problems/interrupted",
    "status": 409,
    "detail": "The agent waits for an answer of its own, which this API cannot give it: use /api/v1/chat.",
}

Beats = AsyncGenerator[list[Event] | None]
"""The events of a run in batches, and None now and then while there are none."""


async def with_heartbeats(batches: AsyncIterator[list[Event]], seconds: float = HEARTBEAT_SECONDS) -> Beats:
    """Yield `batches`, and None whenever nothing has come for `seconds`; closing this closes them."""
    pending: asyncio.Task[list[Event] | None] | None = None
    try:
        while True:
            pending = pending or asyncio.create_task(_next(batches))
            await asyncio.wait({pending}, timeout=seconds)
            if not pending.done():
                yield None
                continue
            ready, pending = pending, None
            batch = ready.result()
            if batch is None:
                return
            yield batch
    finally:
        if pending is not None:
            pending.cancel()
            await asyncio.wait({pending})
        close = getattr(batches, "aclose", None)
        if close is not None:
            await close()


async def _next(batches: AsyncIterator[list[Event]]) -> list[Event] | None:
    return await anext(batches, None)


class Completion:
    """The answer to one request, as its events come in."""

    def __init__(self, request: ChatCompletionRequest) -> None:
        self._model = request.model
        self._counts = bool(request.stream_options and request.stream_options.include_usage)
        self._id = completion_id("")
        self._created = int(time.time())
        self._text: list[str] = []
        self.problem: dict[str, Any] | None = None
        """Why there is no answer."""
        self._done: dict[str, Any] | None = None

    def feed(self, event: Event) -> str | None:
        """Take in one event; return the piece of the answer that it brings."""
        if event.name == "start":
            self._id = completion_id(orjson.loads(event.data)["run_id"])
        elif event.name == "token":
            text = str(orjson.loads(event.data)["text"])
            self._text.append(text)
            return text
        elif event.name == "error":
            self.problem = orjson.loads(event.data)
        elif event.name == "done":
            self._done = orjson.loads(event.data)
            if self._done.get("status") != "success":
                self.problem = _NOT_HERE
            elif not self._text:
                whole = _whole(self._done)
                self._text.append(whole)
                return whole
        return None

    def whole(self) -> ChatCompletion:
        """Return the answer, once the run has ended without a problem."""
        done = self._done or {}
        message = AnswerMessage(content=_whole(done) if done.get("answer") else "".join(self._text), **self._sources())
        return ChatCompletion(
            id=self._id,
            created=self._created,
            model=self._model,
            choices=[Choice(message=message, finish_reason=self._reason())],
            usage=self._usage(),
        )

    def opening(self) -> bytes:
        return self._chunk({"role": "assistant", "content": ""})

    def piece(self, text: str) -> bytes:
        return self._chunk({"content": text})

    def closing(self) -> Iterator[bytes]:
        """Yield what ends the stream."""
        if self.problem is not None:
            yield _sse(openai_error(self.problem)[1])
            return
        yield self._chunk(self._sources(), self._reason())
        if self._counts:
            yield _sse({**self._head(), "choices": [], "usage": self._usage().model_dump()})
        yield _DONE

    def _reason(self) -> Literal["stop", "length"]:
        return "length" if (self._done or {}).get("finish_reason") == "length" else "stop"

    def _sources(self) -> dict[str, Any]:
        done = self._done or {}
        citations = done.get("citations") or []
        annotations = list(_annotations("".join(self._text), citations))
        return {"annotations": annotations, "citations": citations, "refused": bool(done.get("refused"))}

    def _usage(self) -> Usage:
        used = (self._done or {}).get("usage") or {}
        asked, said = used.get("input_tokens", 0), used.get("output_tokens", 0)
        return Usage(prompt_tokens=asked, completion_tokens=said, total_tokens=asked + said)

    def _head(self) -> dict[str, Any]:
        return {"id": self._id, "object": "chat.completion.chunk", "created": self._created, "model": self._model}

    def _chunk(self, delta: dict[str, Any], finish_reason: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        chunk = {**self._head(), "choices": [choice]}
        if self._counts:
            chunk["usage"] = None
        return _sse(chunk)


async def follow(
    completion: Completion, events: Beats, check: Callable[[], Awaitable[None]] | None = None
) -> AsyncIterator[bytes]:
    """Yield the stream of an answer; it ends with `[DONE]`, or with an error that clients raise.

    `check` is asked now and then whether the client would still be let in; Unauthorized or Forbidden ends the stream.
    """
    opened = False
    loop = asyncio.get_running_loop()
    checked = loop.time()
    async with aclosing(events) as batches:
        async for batch in batches:
            if check is not None and loop.time() - checked >= RECHECK_SECONDS:
                checked = loop.time()
                try:
                    await check()
                except (Unauthorized, Forbidden) as error:
                    yield _sse(openai_error(problem(error))[1])
                    return
                except DomainError:  # it cannot be found out now
                    logger.warning("whether a stream may go on could not be found out")
            if batch is None:
                yield _HEARTBEAT
                continue
            pieces = [completion.piece(text) for event in batch if (text := completion.feed(event))]
            if not opened:  # only now, since the run's first event brings the id
                pieces.insert(0, completion.opening())
                opened = True
            if pieces:
                yield b"".join(pieces)
    yield b"".join(completion.closing())


def _whole(done: dict[str, Any]) -> str:
    """Return the answer of a run that has ended; of a graph without a conversation, its output as JSON."""
    if done.get("answer") is not None:
        return str(done["answer"])
    return orjson.dumps(done["output"]).decode() if done.get("output") is not None else ""


def _annotations(text: str, citations: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield OpenAI's own form of a source, for those with a URL that the text cites: `url_citation`."""
    for citation in citations:
        mark = f"[{citation.get('index')}]"
        start = text.find(mark)
        if start >= 0 and citation.get("url"):
            place = {"start_index": start, "end_index": start + len(mark)}
            source = {"url": citation["url"], "title": citation.get("title", "")}
            yield {"type": "url_citation", "url_citation": {**place, **source}}


def _sse(data: dict[str, Any]) -> bytes:
    return b"data: " + orjson.dumps(data) + b"\n\n"
