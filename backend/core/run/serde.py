"""Which Python types a checkpoint may make again.

Checkpoints are data, and data must not choose what is called (CVE-2026-28277). So a checkpoint makes only what
LangGraph knows to be safe, what a project names (`checkpointer.serde` of a `langgraph.json`), and plain types of data
(a data class, a pydantic model, an enumeration, a named tuple) that this process has imported by itself: so the state
of any graph comes back as it was, and nothing is imported because a checkpoint says so.
"""

import sys
from collections.abc import Iterable
from dataclasses import is_dataclass
from enum import Enum
from typing import Any, cast

from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer, _create_msgpack_ext_hook
from pydantic import BaseModel

Modules = bool | Iterable[tuple[str, ...]] | None


def checkpoint_serde(msgpack: Modules = None, json: Modules = None) -> JsonPlusSerializer:
    """Return the serializer of checkpoints; `msgpack` and `json` name further types, and True means all."""
    allowed_json: Any = True if json is True else tuple(json or ())
    if msgpack is True:
        return JsonPlusSerializer(allowed_msgpack_modules=True, allowed_json_modules=allowed_json)
    known = cast("set[tuple[str, ...]]", _DataTypes(msgpack or ()))
    return JsonPlusSerializer(allowed_json_modules=allowed_json, __unpack_ext_hook__=_create_msgpack_ext_hook(known))


class _DataTypes:
    """Answers whether a type, by its module and name, may be made."""

    def __init__(self, named: Iterable[tuple[str, ...]]) -> None:
        self._named = {tuple(one) for one in named}
        self._known: dict[tuple[str, ...], bool] = {}

    def __contains__(self, key: tuple[str, ...]) -> bool:
        if key in self._named:
            return True
        known = self._known.get(key)
        if known is None:
            known = _is_data(key)
            if known:  # a module may yet be imported, so a no is not kept
                self._known[key] = known
        return known


def _is_data(key: tuple[str, ...]) -> bool:
    module = sys.modules.get(key[0])
    found = getattr(module, key[-1], None)
    if not isinstance(found, type):
        return False
    return (
        is_dataclass(found)
        or issubclass(found, BaseModel | Enum)
        or (issubclass(found, tuple) and hasattr(found, "_fields"))
    )
