"""The filters of a store search: values by key, and `$eq $ne $gt $gte $lt $lte`, as langgraph's stores read them.

A filter is data that is compared in Python: nothing of it comes near SQL or a JSON path.
"""

import operator
from collections.abc import Callable, Mapping
from typing import Any

import orjson

_ORDER: dict[str, Callable[[Any, Any], bool]] = {
    "$gt": operator.gt,
    "$gte": operator.ge,
    "$lt": operator.lt,
    "$lte": operator.le,
}
_OPERATORS = {"$eq", "$ne", *_ORDER}


class InvalidFilter(ValueError):
    """A filter that no item can be compared with."""


def check_filter(wanted: Mapping[str, Any]) -> None:
    """Let a filter pass that `matches` understands.

    Raises:
        InvalidFilter: it has an operator that does not exist, or is not JSON.
    """
    try:
        orjson.dumps(wanted)  # which also bounds how deep it goes
    except TypeError as error:
        raise InvalidFilter(f"The filter is not JSON: {error}") from None
    _check(wanted)


def _check(wanted: Mapping[str, Any]) -> None:
    for value in wanted.values():
        if not isinstance(value, Mapping):
            continue
        if _has_operators(value):
            for name in value:
                if name not in _OPERATORS:
                    raise InvalidFilter(f"Unsupported operator: {name}")
        else:
            _check(value)


def matches(value: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Return whether an item's value is what a filter asks for; a key that is not there counts as null."""
    return all(_matches(value.get(key), asked) for key, asked in wanted.items())


def _matches(value: Any, asked: Any) -> bool:
    if isinstance(asked, Mapping):
        if _has_operators(asked):
            return all(_holds(value, name, other) for name, other in asked.items())
        return isinstance(value, dict) and matches(value, asked)
    if isinstance(asked, list | tuple):
        return isinstance(value, list) and len(value) == len(asked) and all(map(_matches, value, asked))
    return _equal(value, asked)


def _has_operators(asked: Mapping[str, Any]) -> bool:
    return any(name.startswith("$") for name in asked)


def _holds(value: Any, name: str, other: Any) -> bool:
    if name == "$eq":
        return _equal(value, other)
    if name == "$ne":
        return not _equal(value, other)
    pair = _numbers(value, other)
    if pair is None:
        if not (isinstance(value, str) and isinstance(other, str)):
            return False  # there is no order between a text and a number, or with null
        pair = value, other
    return _ORDER[name](*pair)


def _numbers(value: Any, other: Any) -> tuple[Any, Any] | None:
    """Both as numbers; texts that say numbers are numbers beside one, as in langgraph."""
    found = []
    for one in (value, other):
        if isinstance(one, str):
            try:
                found.append(float(one))
            except ValueError:
                return None
        elif isinstance(one, int | float) and not isinstance(one, bool):
            found.append(one)
        else:
            return None
    return found[0], found[1]


def _equal(value: Any, other: Any) -> bool:
    """JSON's equality, all the way down: true is not 1."""
    if isinstance(value, bool) or isinstance(other, bool):
        return value is other
    if isinstance(value, dict) and isinstance(other, Mapping):
        return value.keys() == other.keys() and all(_equal(value[key], other[key]) for key in value)
    if isinstance(value, list) and isinstance(other, list | tuple):
        return len(value) == len(other) and all(map(_equal, value, other))
    return bool(value == other)
