"""Any run as events of the thread protocol, whatever dialect its events were written in.

A run of the protocol is shown as it was written. The runs of the chat API and of the Agent Server's first protocol are
translated as far as they say the same: their states, messages, tools, interrupts, custom parts. What a run leaves open
(a message, a subgraph) is closed with its end, also when it was stopped or its server broke down; the end itself is
made of the run's last event, so that it is seen when the end is recorded and not before.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from backend.core.run.protocol_event import Shown, checkpoint, interrupt, shown
from backend.dto.event import Event
from backend.dto.run import Run

Namespace = tuple[str, ...]

_INTERRUPTS = "__interrupt__"
_END_OF = {"success": "completed", "error": "failed", "timeout": "failed", "interrupted": "interrupted"}


class RunView:
    """Shows the events of one run, from its first on, to one reader."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._graphs: dict[Namespace, str | None] = {}
        """The subgraphs that have begun and not ended, with their names."""
        self._messages: dict[tuple[Namespace, str], _Message] = {}
        self._asked: dict[str, tuple[Namespace, Any]] = {}
        self._made: list[Shown] = []
        self._count = 0
        self._at = ""
        self._before: bytes | None = None
        """The last event of a run of the protocol."""

    def show(self, event: Event) -> list[Shown]:
        """Return what an event of the run is in the protocol: nothing, one event, or several."""
        if event.ends_run:
            data = orjson.loads(event.data)
            return self._gather(event, lambda: self._end(event.name, data if isinstance(data, dict) else {}))
        if self._run.request.dialect == "protocol":
            self._before = event.data
            if event.name == "lifecycle":
                self._watch(Shown(event.name, event.data))
            return [Shown(event.name, event.data)]
        data = orjson.loads(event.data)
        translate = self._chat if self._run.request.dialect == "chat" else self._agent
        return self._gather(event, lambda: translate(event.name, data))

    def _gather(self, event: Event, say: Callable[[], None]) -> list[Shown]:
        self._made, self._count, self._at = [], 0, f"{self._run.run_id}-{event.cursor}"
        say()
        return self._made

    def _say(self, method: str, ns: Namespace, data: Any, node: str | None = None) -> None:
        event_id = f"{self._at}.{self._count}" if self._count else self._at
        self._count += 1
        # The same time for each reader: that of the event before, or of the run.
        at = self._run.created_at.timestamp() * 1000
        if self._before is not None:
            at = orjson.loads(self._before)["params"]["timestamp"]
        self._made.append(shown(event_id, method, ns, data, timestamp=int(at), node=node))

    def _watch(self, event: Shown) -> None:
        ns = tuple(event.namespace)
        data = event.content()
        if not ns:
            return
        if data["event"] == "started":
            self._graphs[ns] = data.get("graph_name")
        else:
            self._graphs.pop(ns, None)

    # The end.

    def _end(self, name: str, data: Mapping[str, Any]) -> None:
        for message in list(self._messages.values()):
            self._finish(message)
        for found, (ns, value) in self._asked.items():
            self._say("input.requested", ns, interrupt(found, value))
        end = self._ending(name, data)
        for ns in sorted(self._graphs, key=len, reverse=True):
            inner = {"event": end["event"], "namespace": list(ns), "graph_name": self._graphs[ns]}
            self._say("lifecycle", ns, {key: value for key, value in inner.items() if value is not None})
        self._say("lifecycle", (), end)

    def _ending(self, name: str, data: Mapping[str, Any]) -> dict[str, Any]:
        end: dict[str, Any] = {"event": "completed", "graph_name": self._run.request.agent}
        status = data.get("status")
        if name == "error":
            end["event"] = "failed"
            end["error"] = data.get("message") or data.get("detail") or "The run failed."
            if data.get("error") == "UnknownInterruptError":
                # It ran nothing: what it hid as answered still waits.
                end["reason"] = "unknown_interrupt"
                end["interrupt_ids"] = data.get("interrupt_ids") or []
                end["pending_ids"] = data.get("pending_ids") or []
        elif "event" in data:
            end["event"] = data["event"]
            if "error" in data:
                end["error"] = data["error"]
        elif data.get("interrupts") or self._asked:
            end["event"] = "interrupted"
        elif isinstance(status, str):
            end["event"] = _END_OF.get(status, "completed")
            if status == "timeout":
                end["error"] = "The run was stopped at its time limit."
        return end

    # The chat API: start, token, citation, refusal, tool, usage, interrupt, done.

    def _chat(self, name: str, data: Mapping[str, Any]) -> None:
        if name == "start":
            self._begin()
        elif name == "token":
            self._write((), str(data.get("message_id")), data["text"], data.get("node"))
        elif name == "tool":
            self._chat_tool(data)
        elif name in {"citation", "refusal"}:
            self._say("custom", (), {"name": name, "payload": data})
        elif name == "interrupt":
            self._note((), data["interrupts"])

    def _chat_tool(self, data: Mapping[str, Any]) -> None:
        call_id, status = data.get("id"), data.get("status")
        if call_id is None:
            return
        if status == "called":
            event = {"event": "tool-started", "tool_name": data.get("name"), "input": data.get("args")}
        elif status == "error":
            event = {"event": "tool-error", "message": "The tool failed."}
        else:
            event = {"event": "tool-finished", "output": None}
        self._say("tools", (), {**event, "tool_call_id": call_id})

    # The first protocol: a mode's name, with the namespace behind it, and what LangGraph says in this mode.

    def _agent(self, name: str, data: Any) -> None:
        mode, *path = name.split("|")
        ns = tuple(path)
        if mode == "metadata":
            self._begin()
            return
        if ns and mode != "debug":
            self._enter(ns)
        if mode == "values":
            self._state(ns, data)
        elif mode == "updates":
            node = next(iter(data)) if isinstance(data, dict) and len(data) == 1 else None
            self._say("updates", ns, data, None if node == _INTERRUPTS else node)
        elif mode == "messages":
            message, metadata = data
            self._piece(ns or _namespace(metadata), message, metadata)
        elif mode in {"messages/partial", "messages/complete"}:
            for message in data:
                self._grown(message, whole=mode == "messages/complete")
        elif mode in {"custom", "tasks"}:
            self._say(mode, ns, data)
        elif mode == "checkpoints":
            self._say("checkpoints", ns, checkpoint(data))

    def _begin(self) -> None:
        self._say("lifecycle", (), {"event": "running", "graph_name": self._run.request.agent})

    def _enter(self, ns: Namespace) -> None:
        """Say that a subgraph has begun, when it is heard of for the first time."""
        if ns in self._graphs:
            return
        name, _, call_id = ns[-1].partition(":")
        self._graphs[ns] = name
        data = {"event": "started", "namespace": list(ns), "graph_name": name}
        self._say("lifecycle", ns, data | ({"trigger_call_id": call_id} if call_id else {}))

    def _state(self, ns: Namespace, data: Any) -> None:
        if isinstance(data, dict) and _INTERRUPTS in data:
            self._note(ns, data[_INTERRUPTS])
            data = {key: value for key, value in data.items() if key != _INTERRUPTS}
        self._say("values", ns, data)

    def _note(self, ns: Namespace, interrupts: Iterable[Mapping[str, Any]]) -> None:
        for asked in interrupts:
            known = self._asked.get(asked["id"])
            if known is None or len(ns) > len(known[0]):
                self._asked[asked["id"]] = ns, asked.get("value")

    def _piece(self, ns: Namespace, message: Mapping[str, Any], metadata: Mapping[str, Any]) -> None:
        """Show a piece of a message, or a whole one."""
        kind = message.get("type")
        if kind not in {"AIMessageChunk", "ai"}:
            return
        node = metadata.get("langgraph_node")
        message_id = str(message.get("id"))
        self._write(ns, message_id, _text(message.get("content")), node)
        for call in message.get("tool_call_chunks") or ():
            self._call(ns, message_id, call, node)
        if kind == "ai":
            for index, call in enumerate(message.get("tool_calls") or ()):
                piece = {**call, "args": orjson.dumps(call.get("args")).decode(), "index": index}
                self._call(ns, message_id, piece, node)
        if kind == "ai" or message.get("chunk_position") == "last":
            written = self._messages[ns, message_id]
            written.usage = message.get("usage_metadata") or written.usage
            self._finish(written)

    def _grown(self, message: Mapping[str, Any], *, whole: bool) -> None:
        """Show what a message that is told again and again, each time longer, has gained."""
        if message.get("type") not in {"AIMessageChunk", "ai"}:
            return
        message_id = str(message.get("id"))
        known = self._messages.get(((), message_id))
        text = _text(message.get("content"))
        had = known.blocks[0].said if known is not None and known.blocks and known.blocks[0].kind == "text" else ""
        self._write((), message_id, text[len(had) :], None)
        if whole:
            written = self._messages[(), message_id]
            for index, call in enumerate(message.get("tool_calls") or ()):
                piece = {**call, "args": orjson.dumps(call.get("args")).decode(), "index": index}
                self._call((), message_id, piece, None)
            written.usage = message.get("usage_metadata")
            self._finish(written)

    # Messages, in blocks.

    def _open(self, ns: Namespace, message_id: str, node: str | None) -> "_Message":
        found = self._messages.get((ns, message_id))
        if found is None:
            found = self._messages[ns, message_id] = _Message(ns, message_id, node)
            metadata = {} if node is None else {"metadata": {"langgraph_node": node}}
            start = {"event": "message-start", "role": "ai", "id": message_id, "run_id": message_id, **metadata}
            self._say("messages", ns, start, node)
        return found

    def _part(self, message: "_Message", part: Mapping[str, Any]) -> None:
        # Two models may write at once, and clients know the parts of one message by these.
        ids = {"id": message.message_id, "run_id": message.message_id}
        self._say("messages", message.ns, {**part, **ids}, message.node)

    def _write(self, ns: Namespace, message_id: str, text: str, node: str | None) -> None:
        message = self._open(ns, message_id, node)
        if not text:
            return
        index = message.index("text", 0)
        if index is None:
            index = message.add(_Block("text", 0))
            start = {"type": "text", "text": ""}
            self._part(message, {"event": "content-block-start", "index": index, "content": start})
        message.blocks[index].said += text
        delta = {"type": "text-delta", "text": text}
        self._part(message, {"event": "content-block-delta", "index": index, "delta": delta})

    def _call(self, ns: Namespace, message_id: str, call: Mapping[str, Any], node: str | None) -> None:
        message = self._open(ns, message_id, node)
        position = call.get("index") or 0
        index = message.index("call", position)
        if index is None:
            index = message.add(_Block("call", position, call_id=call.get("id"), name=call.get("name")))
            start = {"type": "tool_call_chunk", "id": call.get("id"), "name": call.get("name"), "args": ""}
            self._part(message, {"event": "content-block-start", "index": index, "content": start})
        if args := call.get("args"):
            message.blocks[index].said += args
            delta = {"type": "tool-call-delta", "args": args}
            self._part(message, {"event": "content-block-delta", "index": index, "delta": delta})

    def _finish(self, message: "_Message") -> None:
        for index, block in enumerate(message.blocks):
            self._part(message, {"event": "content-block-finish", "index": index, "content": block.whole()})
        self._part(message, {"event": "message-finish"} | ({"usage": message.usage} if message.usage else {}))
        del self._messages[message.ns, message.message_id]


@dataclass(slots=True)
class _Block:
    """A part of a message that is being written."""

    kind: str
    position: int
    said: str = ""
    call_id: str | None = None
    name: str | None = None

    def whole(self) -> dict[str, Any]:
        if self.kind == "text":
            return {"type": "text", "text": self.said}
        call = {"id": self.call_id, "name": self.name}
        try:
            args = orjson.loads(self.said or "{}")
        except orjson.JSONDecodeError:
            return {"type": "invalid_tool_call", **call, "args": self.said, "error": "The arguments are not JSON."}
        return {"type": "tool_call", **call, "args": args}


@dataclass(slots=True)
class _Message:
    ns: Namespace
    message_id: str
    node: str | None
    blocks: list[_Block] = field(default_factory=list)
    usage: Any = None

    def index(self, kind: str, position: int) -> int | None:
        for index, block in enumerate(self.blocks):
            if block.kind == kind and block.position == position:
                return index
        return None

    def add(self, block: _Block) -> int:
        self.blocks.append(block)
        return len(self.blocks) - 1


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "".join(
        str(block.get("text", "")) for block in content or () if isinstance(block, dict) and block.get("type") == "text"
    )


def _namespace(metadata: Mapping[str, Any]) -> Namespace:
    """Return the graph in which a message was written: its node's namespace without the node."""
    parts = str(metadata.get("langgraph_checkpoint_ns") or "").split("|")
    return tuple(parts[:-1])
