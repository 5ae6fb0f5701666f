"""The dialect of the Agent Server API, version 1: an event for each part that a graph streams.

An event's name is its stream mode. Parts of subgraphs have their namespace behind it (`updates|node:task`), but for the
accumulated messages, whose ids are enough. The data have LangGraph's own shapes.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from langchain_core.messages import AIMessageChunk, BaseMessage, BaseMessageChunk
from langchain_core.messages.utils import message_chunk_to_message
from langgraph.pregel._messages import graph_namespace
from langgraph.types import Interrupt

from backend.core.run.event_log import Channel
from backend.core.run.wire import dumps, error_data
from backend.dto.run import Run
from backend.dto.usage import Usage

__all__ = ["AgentEncoder", "error_data"]

GRAPH_MODES: Final = ("updates", "custom", "tasks", "checkpoints", "debug")
"""What a graph streams by itself, beside the values; messages come from their handler, events from its callbacks."""
MAX_MESSAGES: Final = 1000
"""Most messages of a run whose text so far is kept; one that goes on when a thousand began after it starts anew."""
MAX_METADATA: Final = 64
_INTERRUPT: Final = "__interrupt__"


class AgentEncoder:
    """Writes the events that a run's `stream_mode` asks for.

    Whoever drives the graph asks `modes`, `subgraphs`, `streamed` and `wants_events`, and hands over each part:
    `feed` what `astream` yields, `message` what the message handler hears, or, with `wants_events`, `event` what
    `astream_events` yields instead of `feed`.
    """

    def __init__(self, channel: Channel, run: Run, *, streamed: bool = True) -> None:
        """`streamed` False says nothing and only follows the state: for those who wait for the end alone."""
        request = run.request
        wanted: frozenset[str] = frozenset(request.stream_mode) if streamed else frozenset()
        self.modes: Sequence[str] = ("values", *(mode for mode in GRAPH_MODES if mode in wanted))
        """Always with `values`: the final state is the run's result, asked for as events or not."""
        self.subgraphs = streamed and request.stream_subgraphs
        self.streamed = "messages" in wanted or "messages-tuple" in wanted
        self.wants_events = "events" in wanted
        """Whether the graph is to be driven by `astream_events`."""
        self.values: Any = None
        """The last state of the root graph; None before any."""
        self._speaks = streamed
        self._wanted = wanted
        self._pieces = "messages-tuple" in wanted  # asked for both, only these are sent
        self._channel = channel
        self._run = run
        self._state: bytes | None = None
        self._waiting: dict[str, Interrupt] = {}
        self._metadata: dict[int, tuple[Mapping[str, Any], str, bytes, bytes]] = {}
        self._partials: dict[str | None, _Partial] = {}

    @property
    def interrupts(self) -> list[dict[str, Any]]:
        """What the graph waits for: `id`, `value`, and `response_schema` where the graph gives one."""
        return [
            {"id": found.id, "value": found.value}
            | ({} if found.response_schema is None else {"response_schema": found.response_schema})
            for found in self._waiting.values()
        ]

    def start(self, model: str = "default") -> None:
        """Say which run it is; a client that comes back asks for it."""
        if self._speaks:
            data = {"run_id": str(self._run.run_id), "attempt": self._run.attempt}
            self._channel.append("metadata", dumps(data))

    def feed(self, mode: str, payload: Any, ns: tuple[str, ...] = ()) -> None:
        """Take a part of the stream; `ns` is the path of the subgraph that it comes from."""
        is_state = mode == "values" and not ns
        if is_state:
            self._follow(payload)
        if mode not in self._wanted:
            return
        if mode == "checkpoints":
            payload = _with_checkpoints(payload)
        elif mode == "debug" and payload["type"] == "checkpoint":
            payload = {**payload, "payload": _without_states(_with_checkpoints(payload["payload"]))}
        data = dumps(payload)
        if is_state and payload is self.values:
            self._state = data
        self._channel.append(_name(mode, ns), data)

    def event(self, event: Mapping[str, Any]) -> None:
        """Take an event of `astream_events`, version 2; those that carry the graph's own stream are its parts."""
        if event["event"] != "on_chain_stream" or event["parent_ids"]:
            self._channel.append("events", dumps(event))
        elif self.subgraphs:
            ns, mode, payload = event["data"]["chunk"]
            self.feed(mode, payload, ns)
        else:
            mode, payload = event["data"]["chunk"]
            self.feed(mode, payload)

    def message(self, message: Any, metadata: Mapping[str, Any]) -> None:
        """Take a message of a node, or a piece of one that is being written."""
        known = self._metadata.get(id(metadata))
        if known is None:
            known = self._describe(metadata)
        if self._pieces:
            # a token is most often just its fields, which need not go through `default`
            plain = type(message) is AIMessageChunk and not message.__pydantic_extra__
            self._channel.append(known[1], b"[" + dumps(message.__dict__ if plain else message) + known[3])
        else:
            self._accumulate(message, known[2])

    def finish(self, status: str, usage: Usage) -> dict[str, Any]:
        """Return the data of the last event; what the run used is kept with it, not told here."""
        return {"status": status}

    def state(self) -> bytes | None:
        """Return `values` as JSON; None before any."""
        if self._state is None and self.values is not None:
            self._state = dumps(self.values)
        return self._state

    def body(self) -> bytes:
        """Return what those are told who wait for the end alone: the state, with the interrupts it stands at."""
        state = self.state()
        if not self._waiting:
            return b"null" if state is None else state
        waiting = dumps({_INTERRUPT: list(self._waiting.values())})
        if state is None or state == b"{}" or not state.startswith(b"{"):
            return waiting
        return state[:-1] + b"," + waiting[1:]

    def _follow(self, values: Any) -> None:
        if isinstance(values, dict) and _INTERRUPT in values:
            # Each task that waits is told of by itself, and the state may still change after it.
            self._waiting.update((found.id, found) for found in values[_INTERRUPT])
            values = {key: value for key, value in values.items() if key != _INTERRUPT}
            if not values:
                return
        self.values = values
        self._state = None

    def _describe(self, metadata: Mapping[str, Any]) -> tuple[Mapping[str, Any], str, bytes, bytes]:
        """Return what is the same for all pieces of a message: their event's name, the metadata, the event's tail.

        Holding the metadata themselves keeps their id their own.
        """
        if len(self._metadata) >= MAX_METADATA:
            self._metadata.clear()
        ns = graph_namespace(metadata) if self.subgraphs else ()
        data = dumps(metadata)
        found = self._metadata[id(metadata)] = (metadata, _name("messages", ns), data, b",%b]" % data)
        return found

    def _accumulate(self, message: BaseMessage, metadata: bytes) -> None:
        partial = self._partials.get(message.id)
        if partial is None:
            if len(self._partials) >= MAX_MESSAGES:
                del self._partials[next(iter(self._partials))]
            partial = self._partials[message.id] = _Partial()
            head = b"{" + dumps(message.id or "") + b':{"metadata":'
            self._channel.append("messages/metadata", head + metadata + b"}}")
        if isinstance(message, BaseMessageChunk):
            self._channel.append("messages/partial", b"[" + dumps(partial.add(message)) + b"]")
        else:
            self._channel.append("messages/complete", b"[" + dumps(message) + b"]")


class _Partial:
    """A message as far as it is written.

    Adding chunks takes LangChain 11 µs each, to merge what most tokens do not have. So text is put to the text, and
    only a chunk with more than text is merged.
    """

    __slots__ = ("_chunk", "_shown")

    def __init__(self) -> None:
        self._chunk: BaseMessageChunk | None = None
        self._shown: dict[str, Any] = {}

    def add(self, chunk: BaseMessageChunk) -> dict[str, Any]:
        """Return the fields of the whole message, with the chunk."""
        whole, shown = self._chunk, self._shown
        if whole is None:
            whole = chunk
        elif isinstance(chunk.content, str) and isinstance(shown["content"], str) and _is_text(chunk):
            shown["content"] += chunk.content
            return shown
        else:
            if whole.content != shown["content"]:
                whole = whole.model_copy(update={"content": shown["content"]})
            whole += chunk
        self._chunk = whole
        self._shown = {**message_chunk_to_message(whole).__dict__}
        return self._shown


def _is_text(chunk: BaseMessageChunk) -> bool:
    """Whether a chunk has nothing but its content."""
    return type(chunk) is AIMessageChunk and not (
        chunk.tool_call_chunks
        or chunk.usage_metadata
        or chunk.response_metadata
        or chunk.additional_kwargs
        or chunk.chunk_position
        or chunk.tool_calls
        or chunk.invalid_tool_calls
    )


def _name(mode: str, ns: Sequence[str]) -> str:
    return f"{mode}|{'|'.join(ns)}" if ns else mode


def _with_checkpoints(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Add to a checkpoint where it is and where its parent is, as the state of a thread tells it."""
    return {
        **payload,
        "checkpoint": _checkpoint(payload["config"]),
        "parent_checkpoint": _checkpoint(payload.get("parent_config")),
    }


def _without_states(payload: dict[str, Any]) -> dict[str, Any]:
    """Tell where the state of a task's subgraph is in the same way."""
    return {**payload, "tasks": [_task(task) for task in payload["tasks"]]}


def _task(task: Mapping[str, Any]) -> Mapping[str, Any]:
    state = task.get("state")
    if not isinstance(state, Mapping):
        return task
    return {**{key: value for key, value in task.items() if key != "state"}, "checkpoint": _checkpoint(state)}


def _checkpoint(config: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if config is None:
        return None
    configurable = config["configurable"]
    names = ("checkpoint_id", "thread_id", "checkpoint_ns", "checkpoint_map")
    return {name: configurable[name] for name in names if configurable.get(name) is not None}
