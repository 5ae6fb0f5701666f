"""The events of the thread protocol (version 2 of the Agent Server's streaming), and which of them a reader wants.

An event is one JSON object, serialized once for all its readers:
`{"type": "event", "event_id", "method", "params": {"namespace", "timestamp", "data", "node"?}}`; what is counted for
each connection, its `seq`, is put behind it when it is sent. The order of the members is fixed, so that a reader's
filter can look at the namespace without parsing the rest.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson
from langchain_core.messages import BaseMessage
from pydantic import BaseModel

from backend.core.run.wire import dumps

CHANNELS = ("values", "updates", "messages", "tools", "lifecycle", "input", "checkpoints", "tasks", "custom")
"""What can be subscribed to; beside these, `custom:<name>` for one name alone."""
_NAMED = "custom:"
_PARAMS = b'"params":{"namespace":'
_AFTER_NAMESPACE = b',"timestamp":'
_DATA = b'"data":'
_ALWAYS = frozenset({"type", "content"})


class Shown(NamedTuple):
    """An event as readers get it, but for its `seq`."""

    method: str
    data: bytes

    @property
    def namespace(self) -> list[str]:
        """Where in the tree of graphs it comes from; the root is empty."""
        start = self.data.index(_PARAMS) + len(_PARAMS)
        # Quotes within a segment are escaped, so that this is the end of the array and nothing in it.
        found: list[str] = orjson.loads(self.data[start : self.data.index(_AFTER_NAMESPACE, start)])
        return found

    def numbered(self, seq: int) -> bytes:
        """Return the event with its number on one connection."""
        return b'%b,"seq":%d}' % (self.data[:-1], seq)

    def content(self) -> Any:
        """Return its `params.data`."""
        return orjson.loads(self.data)["params"]["data"]


def shown(
    event_id: str,
    method: str,
    namespace: Sequence[str],
    data: Any,
    *,
    timestamp: int | None = None,
    node: str | None = None,
) -> Shown:
    """Return a new event; `timestamp` is in milliseconds, by default now."""
    tail = b"" if node is None else b',"node":' + orjson.dumps(node)
    body = b'{"type":"event","event_id":"%b","method":"%b",%b%b%b%d,%b%b%b}}' % (
        event_id.encode(),
        method.encode(),
        _PARAMS,
        orjson.dumps(list(namespace)),
        _AFTER_NAMESPACE,
        now() if timestamp is None else timestamp,
        _DATA,
        encode(data),
        tail,
    )
    return Shown(method, body)


def now() -> int:
    """Return the time in milliseconds since 1970."""
    return time.time_ns() // 1_000_000


def encode(data: Any) -> bytes:
    """Serialize an event's data; messages without what is empty in them."""
    try:
        return orjson.dumps(data, default=_plain, option=orjson.OPT_NON_STR_KEYS)
    except TypeError:  # what orjson refuses goes a slower way
        return dumps(data)


def checkpoint(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Return what clients need to draw the tree of checkpoints and to fork from one."""
    metadata = payload.get("metadata") or {}
    found: dict[str, Any] = {
        "id": _checkpoint_id(payload.get("config")),
        "step": metadata.get("step"),
        "source": metadata.get("source"),
    }
    if (parent := _checkpoint_id(payload.get("parent_config"))) is not None:
        found["parent_id"] = parent
    return found


def interrupt(interrupt_id: str, value: Any) -> dict[str, Any]:
    """Return what `input.requested` says; its value under both names, since of the official clients each reads one."""
    return {"interrupt_id": interrupt_id, "payload": value, "value": value}


@dataclass(frozen=True, slots=True)
class EventFilter:
    """What a subscription wants: channels, and namespaces with as many levels below each as `depth` says."""

    channels: frozenset[str]
    namespaces: tuple[tuple[str, ...], ...] = ()
    """Prefixes; none for all. A segment without a colon also means `name:task_id`."""
    depth: int | None = None

    def wants(self, event: Shown) -> bool:
        """Return whether the event is for this subscription."""
        return self._wants_channel(event) and (not self.namespaces or self._wants_namespace(event.namespace))

    def _wants_channel(self, event: Shown) -> bool:
        if event.method in {"input.requested", "input.answered"}:
            return "input" in self.channels
        if event.method in self.channels:
            return True
        if event.method != "custom" or not any(channel.startswith(_NAMED) for channel in self.channels):
            return False
        data = event.content()
        return isinstance(data, dict) and f"{_NAMED}{data.get('name')}" in self.channels

    def _wants_namespace(self, namespace: list[str]) -> bool:
        return any(
            _begins(namespace, prefix) and (self.depth is None or len(namespace) - len(prefix) <= self.depth)
            for prefix in self.namespaces
        )


def is_channel(name: object) -> bool:
    """Return whether something can be subscribed to."""
    return isinstance(name, str) and (name in CHANNELS or (name.startswith(_NAMED) and len(name) > len(_NAMED)))


def _begins(namespace: Sequence[str], prefix: Sequence[str]) -> bool:
    return len(prefix) <= len(namespace) and all(
        have == want or (":" not in want and have.partition(":")[0] == want)
        for have, want in zip(namespace, prefix, strict=False)
    )


def _checkpoint_id(config: Any) -> str | None:
    found = ((config or {}).get("configurable") or {}).get("checkpoint_id")
    return found if isinstance(found, str) else None


def _plain(value: Any) -> Any:
    if isinstance(value, BaseMessage):
        return _message(value)
    if isinstance(value, BaseModel):
        return {name: getattr(value, name) for name in type(value).model_fields}
    if isinstance(value, tuple | set | frozenset):
        return list(value)
    return orjson.Fragment(dumps(value))


def _message(message: BaseMessage) -> dict[str, Any]:
    said = {name: value for name, value in message if name not in _ALWAYS and value not in (None, {}, [], "")}
    return {"type": message.type.removesuffix("MessageChunk").lower(), "content": message.content, **said}
