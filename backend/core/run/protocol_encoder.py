"""A run of the thread protocol: LangGraph's event stream (version 3), as the run's events.

LangGraph itself makes of a graph's stream what depends on the transformers that the graph was compiled with. Here every
channel is filled for every graph: what the transformers leave in the main log is taken as it is, and a transformer of
ours asks for the modes that they may not have asked for.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from langchain_core._api import suppress_langchain_beta_warning
from langchain_core.language_models._compat_bridge import message_to_events
from langchain_core.messages import BaseMessage, ToolMessage
from langchain_core.runnables import RunnableConfig
from langgraph.graph.state import CompiledStateGraph
from langgraph.stream import StreamTransformer
from langgraph.types import Command, Interrupt

from backend.core.run.event_log import Channel
from backend.core.run.protocol_event import checkpoint, interrupt, shown
from backend.core.run.protocol_transformer import TASKS, Everything, Factory, Namespace, Task, factory_of
from backend.core.run.wire import error_data
from backend.dto.run import Run
from backend.dto.usage import Usage

_ROLES = {"ai": "ai", "AIMessageChunk": "ai", "human": "human", "system": "system"}
_INTERRUPTS = "__interrupt__"


class ProtocolEncoder:
    """Streams a graph by `drive` and writes what it says; the run's last event is made of what `finish` returns."""

    modes: Sequence[str] = ()
    subgraphs = True
    streamed = False
    """Messages come with the stream of `drive`, by its own handler."""

    def __init__(self, channel: Channel, run: Run) -> None:
        self._channel = channel
        self._run = run
        self._names: dict[Namespace, str | None] = {}
        """The subgraphs that have begun, with their graphs' names."""
        self._held: dict[Namespace, list[Mapping[str, Any]]] = {}
        self._pairs = False
        """Whether states come with checkpoints."""
        self._open: dict[Namespace, dict[str, _OpenMessage]] = {}
        self._asked: dict[str, tuple[Namespace, Any]] = {}
        self._stands = False
        self._over = False
        self.values: Any = None

    @property
    def interrupts(self) -> list[dict[str, Any]]:
        """What the graph waits for."""
        return [{"id": found, "value": value} for found, (_, value) in self._asked.items()]

    def start(self, model: str) -> None:
        self._say("lifecycle", (), {"event": "running", "graph_name": self._run.request.agent})
        if ids := _answered(self._run.request.resume if self._run.request.has_resume else None):
            self._say("input.answered", (), {"interrupt_ids": ids})

    def feed(self, mode: str, payload: Any, ns: Namespace = ()) -> None:
        """Nothing is fed: see `drive`."""

    def message(self, message: Any, metadata: Mapping[str, Any]) -> None:
        """No message is handed on: see `drive`."""

    def finish(self, status: str, usage: Usage) -> dict[str, Any]:
        """Return the data of the last event: the root's last state of life, and what it waits for, where it waits."""
        event = {"success": "completed", "timeout": "failed"}.get(status, status)
        if event == "completed" and (self._asked or self._stands):
            event = "interrupted"
        end: dict[str, Any] = {"run_id": str(self._run.run_id), "status": status, "event": event}
        if status == "timeout":
            end["error"] = "The run was stopped at its time limit."
        if self._asked:
            end["interrupts"] = [
                {"id": found, "value": value, "namespace": list(ns)} for found, (ns, value) in self._asked.items()
            ]
        return end

    async def drive(
        self,
        graph: CompiledStateGraph[Any, Any, Any, Any],
        given: Any,
        config: RunnableConfig,
        *,
        transformers: Iterable[Factory | StreamTransformer] = (),
        **options: Any,
    ) -> None:
        """Stream the graph to its end or its interrupt; `options` are those of `astream`.

        `transformers` are added to those that the graph was compiled with. When the caller is cancelled, the graph is
        stopped, and has stopped when this raises.

        Raises:
            Exception: what the graph raised.
        """
        self._pairs = options.get("durability") is not None
        factories: list[Any] = [*(factory_of(one) for one in transformers), Everything]
        with suppress_langchain_beta_warning():
            stream = await graph.astream_events(given, config, version="v3", transformers=factories, **options)
        # Cancelled itself, the stream would leave its graph behind; told to stop, it waits for it.
        reading = asyncio.create_task(self._read(stream))
        try:
            await asyncio.shield(reading)
            self._release(())
        except BaseException as error:
            self._release(())
            if isinstance(error, Exception):
                self._break_off(error)
            self._over = True
            await stream.abort()
            await asyncio.wait({reading})
            raise
        for found, (ns, value) in self._asked.items():
            self._say("input.requested", ns, interrupt(found, value))

    async def _read(self, stream: Any) -> None:
        async for event in stream:
            if not self._over:
                self._take(event)

    # What the stream says. A state is held until its checkpoint is there, which LangGraph says right after it: clients
    # want the checkpoint first. So are the first words of a subgraph, until it is known that it has begun.

    def _take(self, event: Mapping[str, Any]) -> None:
        method, params = event["method"], event["params"]
        data = params["data"]
        if method == "lifecycle" or (method == TASKS and isinstance(data, Task)):
            ns = tuple(data.namespace if isinstance(data, Task) else data["namespace"])
        else:
            ns = tuple(params["namespace"])
        if method == "lifecycle":
            self._live(ns, params, data)
            return
        for inner in [held for held in self._held if len(held) > len(ns) and held[: len(ns)] == ns]:
            self._let(inner)
        held = self._held.get(ns)
        begins = bool(ns) and ns not in self._names and ":" in ns[-1]
        if method == "values" and (begins or (self._pairs and not params.get("interrupts"))):
            if held and not begins:
                self._let(ns)
            self._held.setdefault(ns, []).append(event)
        elif method == "checkpoints" and (begins or held):
            if begins:
                self._held.setdefault(ns, []).append(event)
            else:
                self._tell(ns, event)
                self._let(ns)
        else:
            if held:
                self._let(ns)
            self._tell(ns, event)

    def _live(self, ns: Namespace, params: Mapping[str, Any], data: Mapping[str, Any]) -> None:
        found = {**data, "namespace": list(ns)}
        if data["event"] == "started":
            self._names[ns] = data.get("graph_name")
            self._say("lifecycle", ns, found, params["timestamp"])
            self._let(ns)
            return
        self._release(ns)
        if data["event"] == "drained":
            found["event"] = "interrupted"
        if name := self._names.get(ns):
            found["graph_name"] = name
        self._say("lifecycle", ns, found, params["timestamp"])

    def _release(self, ns: Namespace) -> None:
        """Say what is held in a namespace and below it."""
        for held in [held for held in self._held if held[: len(ns)] == ns]:
            self._let(held)

    def _let(self, ns: Namespace) -> None:
        events = self._held.pop(ns, [])
        for event in sorted(events, key=lambda event: event["method"] != "checkpoints") if len(events) == 2 else events:
            self._tell(ns, event)

    def _tell(self, ns: Namespace, event: Mapping[str, Any]) -> None:
        method, params = event["method"], event["params"]
        data, at = params["data"], params["timestamp"]
        if method == "messages":
            payload, metadata = data
            self._message(ns, payload, metadata, at)
        elif method == "values":
            for asked in params.get("interrupts") or ():
                self._ask(ns, asked)
            if not ns:
                self.values = data
            self._say("values", ns, data, at)
        elif method == "updates":
            self._update(ns, data, at)
        elif method == "tools":
            self._tool(ns, data, at)
        elif method == "checkpoints":
            self._say("checkpoints", ns, checkpoint(data), at)
        elif method == TASKS:
            self._say(TASKS, ns, data.data if isinstance(data, Task) else data, at)
        elif method == "custom":
            self._say("custom", ns, data, at)
        elif method != "debug":  # a transformer's own channel
            self._say("custom", ns, {"name": method.removeprefix("custom:"), "payload": data}, at)

    def _ask(self, ns: Namespace, asked: Interrupt) -> None:
        """Note an interrupt, with the innermost graph that says it."""
        known = self._asked.get(asked.id)
        if known is None or len(ns) > len(known[0]):
            self._asked[asked.id] = ns, asked.value

    def _update(self, ns: Namespace, data: Any, at: int) -> None:
        node = None
        if isinstance(data, Mapping):
            if _INTERRUPTS in data:
                self._stands = True  # also at a breakpoint, which asks nothing
                found = [{"id": one.id, "value": one.value} for one in data[_INTERRUPTS]]
                data = {**data, _INTERRUPTS: found}
            elif len(data) == 1:
                node = next(iter(data))
        self._say("updates", ns, data, at, node)

    def _message(self, ns: Namespace, payload: Any, metadata: Mapping[str, Any], at: int) -> None:
        node = metadata.get("langgraph_node")
        run_id = str(metadata.get("run_id") or "")
        if isinstance(payload, BaseMessage):
            # it came whole: no model of this run wrote it before our eyes
            if (role := _ROLES.get(payload.type)) is not None:
                run_id = f"whole:{payload.id}"
                for part in message_to_events(payload):
                    self._part(ns, {**part, "role": role} if "role" in part else part, run_id, node, at)
        elif isinstance(payload, Mapping):
            self._part(ns, payload, run_id, node, at)

    def _part(self, ns: Namespace, part: Mapping[str, Any], run_id: str, node: str | None, at: int) -> None:
        """Say a part of a message.

        Parts name no message: clients tell them apart by their namespace. Only where several are written at once in
        one, each part says whose it is: by `id` for the Python client, by `run_id` for the JavaScript one.
        """
        written = self._open.setdefault(ns, {})
        kind = part.get("event")
        found: dict[str, Any] = dict(part)
        if kind == "message-start":
            found["metadata"] = {**(found.get("metadata") or {}), "langgraph_node": node}
            found["run_id"] = run_id
            message = _OpenMessage(part.get("id") or part.get("message_id"), node, shared=bool(written))
            for other in written.values():
                other.shared = True
            written[run_id] = message
        elif (known := written.get(run_id)) is not None:
            if known.shared:
                found |= {"id": known.id, "run_id": run_id}
            if kind in {"message-finish", "error"}:
                del written[run_id]
        self._say("messages", ns, found, at, node)

    def _tool(self, ns: Namespace, data: Mapping[str, Any], at: int) -> None:
        self._say("tools", ns, data, at)
        if data.get("event") != "tool-finished":
            return
        call_id = str(data.get("tool_call_id"))
        if (text := _tool_text(data.get("output"), call_id)) is None:
            return
        # What a tool answers is shown as a message too, in a namespace of its own.
        own = (*ns, f"tools:{call_id}")
        block = {"type": "text", "text": text}
        for part in (
            {"event": "message-start", "role": "tool", "id": f"tool-{call_id}", "tool_call_id": call_id},
            {"event": "content-block-start", "index": 0, "content": {"type": "text", "text": ""}},
            {
                "event": "content-block-delta",
                "index": 0,
                "delta": {"type": "text-delta", "text": text},
                "content": block,
            },
            {"event": "content-block-finish", "index": 0, "content": block},
            {"event": "message-finish", "metadata": {}},
        ):
            self._say("messages", own, part, at)

    def _break_off(self, error: Exception) -> None:
        """End the messages that are being written when the graph fails."""
        for ns, written in self._open.items():
            for run_id, message in written.items():
                told = error_data(error)["message"]
                data = {"event": "error", "message": told, "id": message.id, "run_id": run_id}
                self._say("messages", ns, data, None, message.node)

    def _say(
        self, method: str, ns: Namespace, data: Any, timestamp: int | None = None, node: str | None = None
    ) -> None:
        channel = self._channel
        event_id = f"{self._run.run_id}-{channel.attempt}-{channel.seq + 1}"
        channel.append(method, shown(event_id, method, ns, data, timestamp=timestamp, node=node).data)


@dataclass(slots=True)
class _OpenMessage:
    """A message that is being written."""

    id: Any
    node: str | None
    shared: bool
    """Whether another one was written in the same namespace at the same time."""


def _answered(resume: Any) -> list[str]:
    """Return the ids of the interrupts that an answer names; LangGraph takes a mapping for one by ids if all are."""
    if isinstance(resume, Mapping) and resume and all(_is_interrupt_id(key) for key in resume):
        return list(resume)
    return []


def _is_interrupt_id(key: object) -> bool:
    return isinstance(key, str) and len(key) == 32 and all(letter in "0123456789abcdef" for letter in key)


def _tool_text(output: Any, call_id: str) -> str | None:
    """Return what a tool answered, as text; None when it answered with anything but text or a message."""
    if isinstance(output, Command):
        update = output.update if isinstance(output.update, Mapping) else {}
        messages = update.get("messages")
        output = next(
            (
                one
                for one in (messages if isinstance(messages, list) else [])
                if isinstance(one, ToolMessage) and one.tool_call_id == call_id
            ),
            None,
        )
    if isinstance(output, ToolMessage):
        return output.text
    return output if isinstance(output, str) else None
