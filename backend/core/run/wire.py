"""How what graphs hold looks as JSON on the wire: messages, interrupts, and whatever else a state may contain.

Messages are serialized straight from their fields: `model_dump()` of LangChain's classes makes the same, eight times
slower. Nothing that a graph says can make it fail, since a stream would end with it: what JSON cannot hold is told as
text, and what orjson refuses (integers past 64 bits, lone surrogates, circles) goes a slower way.
"""

import re
from base64 import b64encode
from collections import deque
from collections.abc import KeysView, Mapping, ValuesView
from collections.abc import Set as AbstractSet
from dataclasses import fields, is_dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import PurePath
from typing import Any, Final
from uuid import UUID

import orjson
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    ChatMessage,
    ChatMessageChunk,
    FunctionMessage,
    FunctionMessageChunk,
    HumanMessage,
    HumanMessageChunk,
    RemoveMessage,
    SystemMessage,
    SystemMessageChunk,
    ToolMessage,
    ToolMessageChunk,
)
from langgraph.errors import EmptyInputError, InvalidUpdateError, NodeTimeoutError, UnknownInterruptError
from langgraph.types import Send
from pydantic import BaseModel

from backend.core.error import DomainError

MAX_DEPTH: Final = 200
"""How deep the slower way goes into what is nested; below, and where a circle closes, stands `…`."""
MAX_ERROR_TEXT: Final = 10_000
"""Most characters of an exception's text."""

MAX_BITS: Final = 1000
"""The largest integer that is told as a number: past 1e308, readers fail or make it infinite."""

_ADDRESS = re.compile(r" at 0x[0-9A-Fa-f]+")
_CUT = "…"
_MESSAGES = frozenset(
    {
        AIMessage,
        AIMessageChunk,
        ChatMessage,
        ChatMessageChunk,
        FunctionMessage,
        FunctionMessageChunk,
        HumanMessage,
        HumanMessageChunk,
        RemoveMessage,
        SystemMessage,
        SystemMessageChunk,
        ToolMessage,
        ToolMessageChunk,
    }
)
"""The classes whose fields are what `model_dump()` gives; a subclass may have rules of its own."""
_TOLD = (
    ArithmeticError,
    AttributeError,
    EmptyInputError,
    InvalidUpdateError,
    LookupError,
    NodeTimeoutError,
    RuntimeError,
    TimeoutError,
    TypeError,
    UnknownInterruptError,
    ValueError,
)
"""Exceptions whose text is the graph author's word to the caller. That of others (files, connections, a client's own)
may name hosts, paths or keys."""


def dumps(data: Any) -> bytes:
    """Return data as JSON, on one line.

    Messages and pydantic models have their fields, dataclasses and named tuples theirs, bytes are base64, dates ISO
    8601 (with an offset when they have one), durations seconds, NaN and infinity null, exceptions `error_data`, and
    what nothing is known of its text.
    """
    try:
        return orjson.dumps(data, default=_plain)
    except TypeError:  # orjson's own error is one
        pass
    try:  # with it all takes half as long again
        return orjson.dumps(data, default=_plain, option=orjson.OPT_NON_STR_KEYS)
    except TypeError:
        return orjson.dumps(_safe(data, ()))


def error_data(error: BaseException) -> dict[str, Any]:
    """Return what a caller is told of a failure: the exception's class as `error`, and a `message`.

    The text of an exception that may speak of the server rather than of the request is left out. A group of exceptions
    is told by its first.
    """
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, DomainError):
        message = error.detail
    elif isinstance(error, _TOLD):
        message = _text(error)
    else:
        message = "An internal error occurred"
    said = {"error": type(error).__name__, "message": _clean(message[:MAX_ERROR_TEXT])}
    if isinstance(error, UnknownInterruptError):  # by these a client can put its questions again
        return {**said, "interrupt_ids": error.interrupt_ids, "pending_ids": error.pending_ids}
    return said


def _plain(value: Any) -> Any:
    """Return something that orjson knows for what it does not."""
    kind = type(value)
    if kind in _MESSAGES:
        extra = value.__pydantic_extra__
        return {**value.__dict__, **extra} if extra else value.__dict__
    if isinstance(value, type):
        return value.__qualname__
    if isinstance(value, BaseModel):
        return value.model_dump(warnings=False)
    if kind is Send:
        return {"node": value.node, "args": value.arg}
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, tuple):
        return value._asdict() if hasattr(value, "_asdict") else list(value)
    if isinstance(value, AbstractSet | deque | range | KeysView | ValuesView):
        return list(value)
    if isinstance(value, bytes | bytearray | memoryview):
        return b64encode(value).decode()
    if isinstance(value, BaseException):
        return error_data(value)
    return _scalar(value)


def _scalar(value: Any) -> Any:
    if isinstance(value, Decimal):
        if not value.is_finite():
            return None
        return orjson.Fragment(str(value)) if abs(value.adjusted()) < 300 else str(value)
    if isinstance(value, float):
        return float(value)
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, time):
        return value.isoformat()
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, re.Pattern):
        return value.pattern
    if type(value).__module__.partition(".")[0] == "numpy":  # not worth importing it to ask
        return value.tolist()
    if callable(value) and hasattr(value, "__qualname__"):
        return value.__qualname__
    if callable(as_dict := getattr(value, "dict", None)):  # models of pydantic 1
        return as_dict()
    return _ADDRESS.sub("", _text(value))


def _text(value: Any) -> str:
    """Return an object's text; where its class has none, the name of the class."""
    kind: Any = type(value)
    name = f"<{kind.__qualname__}>"
    if kind.__str__ is object.__str__ and kind.__repr__ is object.__repr__:
        return name
    try:
        return str(value)
    except Exception:  # noqa: BLE001 - the code of a stranger's class; a stream must not end with it
        return name


def _safe(value: Any, above: tuple[int, ...]) -> Any:
    """Return a copy that orjson is sure to take; `above` are the ids of what the value is nested in."""
    if value is None or isinstance(value, bool | orjson.Fragment):
        return value
    if isinstance(value, str):
        return _clean(value)
    if isinstance(value, int):
        return _integer(value)
    if isinstance(value, float):
        return float(value)
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, UUID):
        return str(value)
    if len(above) >= MAX_DEPTH or id(value) in above:
        return _CUT
    above = (*above, id(value))
    if isinstance(value, Enum):
        return _safe(value.value, above)
    if isinstance(value, Mapping):
        return {_key(key): _safe(item, above) for key, item in value.items()}
    if isinstance(value, list) or type(value) is tuple:
        return [_safe(item, above) for item in value]
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: _safe(getattr(value, field.name, None), above) for field in fields(value)}
    try:
        plain = _plain(value)
    except Exception:  # noqa: BLE001 - the code of a stranger's class; a stream must not end with it
        plain = _text(value)
    return _safe(plain, above)


def _key(key: Any) -> str:
    if isinstance(key, str):
        return _clean(key)
    if isinstance(key, Enum):
        return _key(key.value)
    if key is None or isinstance(key, bool):
        return {None: "null", True: "true", False: "false"}[key]
    if isinstance(key, datetime | date | time):
        return key.isoformat()
    return _clean(_text(key))


def _clean(text: str) -> str:
    """Return the text with halves of surrogate pairs joined, or replaced where one is alone."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _integer(value: int) -> Any:
    if -(2**63) <= value < 2**64:
        return int(value)
    return orjson.Fragment(str(int(value))) if value.bit_length() <= MAX_BITS else hex(value)
