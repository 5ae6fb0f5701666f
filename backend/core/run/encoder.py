"""From what a graph streams to the events of a run."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol
from uuid import UUID

import orjson
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, HumanMessage, ToolMessage

from backend.core.run.event_log import Channel
from backend.dto.run import Run
from backend.dto.usage import Usage


class Encoder(Protocol):
    """Writes a run's events in one dialect."""

    @property
    def modes(self) -> Sequence[str]:
        """The stream modes that it reads by `feed`."""

    @property
    def subgraphs(self) -> bool:
        """Whether it wants to hear of subgraphs."""

    @property
    def streamed(self) -> bool:
        """Whether it wants messages while they are written."""

    def start(self, model: str) -> None: ...

    def feed(self, mode: str, payload: Any, ns: tuple[str, ...] = ()) -> None: ...

    def message(self, message: Any, metadata: Mapping[str, Any]) -> None:
        """Take a message of a node, or a piece of one that is being written."""

    def finish(self, status: str, usage: Usage) -> dict[str, Any]:
        """Return the data of the run's last event; it is written when the end is recorded."""

    @property
    def values(self) -> Any:
        """The last state of the graph that was seen; None before any."""

    @property
    def interrupts(self) -> list[dict[str, Any]]:
        """What the graph waits for."""


class ChatEncoder:
    """The dialect of `/api/v1` and the sockets: start, token, citation, refusal, tool, usage, interrupt, done."""

    def __init__(self, channel: Channel, run: Run, *, stored: bool, streamed: bool = True) -> None:
        """`streamed` False spares the tokens: who waits for the end alone does not need them."""
        self.modes: Sequence[str] = ("custom", "values") if streamed else ("values",)
        self.subgraphs = False
        self.streamed = streamed
        self._channel = channel
        self._run = run
        self._ids = {
            "run_id": str(run.run_id),
            "thread_id": str(run.thread_id) if stored else None,
        }
        self.values: Any = None
        self._tail: bytes = b""
        self._tail_of: tuple[object, str | None] = (None, None)
        self.interrupts: list[dict[str, Any]] = []

    def start(self, model: str) -> None:
        self._say(
            "start", {**self._ids, "agent": self._run.request.agent, "attempt": self._run.attempt, "model": model}
        )

    def feed(self, mode: str, payload: Any, ns: tuple[str, ...] = ()) -> None:
        if mode == "custom":
            self._custom(payload)
        else:
            self._state(payload)

    def finish(self, status: str, usage: Usage) -> dict[str, Any]:
        self._say("usage", _usage(usage))
        values = self.values if isinstance(self.values, Mapping) else {}
        answer = _answer(values)
        done: dict[str, Any] = {
            **self._ids,
            "status": status,
            "answer": None if answer is None else text_of(answer),
            "message_id": None if answer is None else answer.id,
            "citations": values.get("citations") or [],
            "refused": bool(values.get("refused")),
            "finish_reason": _finish_reason(answer),
            "usage": _usage(usage),
        }
        if "messages" not in values and self.values is not None:
            done["output"] = self.values
        if self.interrupts:
            done["interrupts"] = self.interrupts
        return done

    def message(self, message: Any, metadata: Mapping[str, Any]) -> None:
        if isinstance(message, ToolMessage):
            self._say("tool", {"name": message.name, "id": message.tool_call_id, "status": message.status})
            return
        if not isinstance(message, AIMessage):
            return
        if calls := message.tool_calls if not isinstance(message, AIMessageChunk) else []:
            for call in calls:
                self._say("tool", {"name": call["name"], "id": call["id"], "status": "called", "args": call["args"]})
        content = message.content
        text = content if isinstance(content, str) else text_of(message)
        if not text:
            return
        if metadata is not self._tail_of[0] or message.id != self._tail_of[1]:
            # the part of an event that is the same for every token of a message
            rest = orjson.dumps({"node": metadata.get("langgraph_node"), "message_id": message.id})
            self._tail = b"," + rest[1:]
            self._tail_of = metadata, message.id
        self._channel.append("token", b'{"text":' + orjson.dumps(text) + self._tail)

    def _custom(self, payload: Any) -> None:
        if not isinstance(payload, Mapping):
            return
        kind = payload.get("type")
        if kind in {"citation", "refusal", "tool"}:
            self._say(str(kind), {key: value for key, value in payload.items() if key != "type"})

    def _state(self, values: Any) -> None:
        if isinstance(values, Mapping) and "__interrupt__" in values:
            self.interrupts = [{"id": found.id, "value": found.value} for found in values["__interrupt__"]]
            self._say("interrupt", {"interrupts": self.interrupts})
            values = {key: value for key, value in values.items() if key != "__interrupt__"}
            if not values:
                return
        self.values = values

    def _say(self, name: str, data: Mapping[str, Any]) -> None:
        if self.streamed:
            self._channel.append(name, encode(data))


def encode(data: Any) -> bytes:
    """Serialize an event's data; messages as role and content, what is not JSON as text."""
    return orjson.dumps(data, default=_plain, option=orjson.OPT_NON_STR_KEYS)


def text_of(message: BaseMessage) -> str:
    """Return the text of a message, whatever form its content has."""
    content = message.content
    if isinstance(content, str):
        return content
    return "".join(
        block if isinstance(block, str) else str(block.get("text", ""))
        for block in content
        if isinstance(block, str) or block.get("type") in {"text", "output_text"}
    )


def _answer(values: Mapping[str, Any]) -> AIMessage | None:
    """The last thing that the assistant said to the person's last message."""
    for message in reversed(_messages(values)):
        if isinstance(message, AIMessage):
            return message
        if isinstance(message, HumanMessage):
            return None
    return None


def _finish_reason(answer: AIMessage | None) -> str:
    """Return `length` for an answer that its model had to break off, else `stop`."""
    return "length" if answer is not None and answer.response_metadata.get("finish_reason") == "length" else "stop"


def _messages(values: Mapping[str, Any]) -> list[BaseMessage]:
    found = values.get("messages")
    return [item for item in found if isinstance(item, BaseMessage)] if isinstance(found, list) else []


def _usage(usage: Usage) -> dict[str, Any]:
    return {
        "model": usage.model,
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "cost": usage.cost,
        "calls": usage.calls,
        "latency": round(usage.latency, 6),
    }


def _plain(value: Any) -> Any:
    if isinstance(value, BaseMessage):
        role = {"human": "user", "ai": "assistant"}.get(value.type, value.type)
        return {"id": value.id, "role": role, "content": value.content}
    if isinstance(value, UUID | bytes | set | frozenset):
        return list(value) if isinstance(value, set | frozenset) else str(value)
    if hasattr(value, "model_dump"):
        return value.model_dump()
    return str(value)
