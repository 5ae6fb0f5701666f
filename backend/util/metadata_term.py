"""The plain values of a JSON document as lines of an index, by which a search for what it contains finds it.

A line is a path (the JSON of the keys that lead to the value; 0 stands for the elements of an array) and a value (its
JSON). A document contains another (`util/containment.py`) only if it has all its lines.
"""

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

import orjson

LINES = 64
"""Most lines of a document; one with more has `OVERFLOW` too, and every search must look at it."""
OVERFLOW = ("*", "")
WANTED = 8
"""Most lines that a search looks up; what it wants beyond these is seen by the exact check."""
_LONG = 80

Line = tuple[str, str]


def lines_of(document: Mapping[str, Any]) -> set[Line]:
    """Return the lines of a document, at most `LINES` and `OVERFLOW`."""
    found: set[Line] = set()
    for path, value in _leaves(document, ()):
        line = (_short(path), _short(value))
        if line not in found and len(found) == LINES:
            return {*found, OVERFLOW}
        found.add(line)
    return found


def wanted_lines(wanted: Mapping[str, Any]) -> tuple[list[Line], bool]:
    """Return the lines that what contains `wanted` has, and whether whatever has them contains it."""
    exact = _is_exact(wanted, top=True)
    found: list[Line] = []
    for path, value in _leaves(wanted, ()):
        line = (_short(path), _short(value))
        if line in found:
            continue
        if len(found) == WANTED:
            return found, False
        found.append(line)
    return found, exact


def _leaves(value: Any, path: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _leaves(item, (*path, str(key)))
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _leaves(item, (*path, 0))
    else:
        # 1 and 1.0 are one number.
        yield path, int(value) if isinstance(value, float) and value.is_integer() else value


def _is_exact(wanted: Any, *, top: bool = False) -> bool:
    """Whether lines say all: not of an empty object or array, nor of what stands together in an array's element."""
    if isinstance(wanted, Mapping):
        return (top or bool(wanted)) and all(_is_exact(item) for item in wanted.values())
    if isinstance(wanted, list | tuple):
        return bool(wanted) and not any(isinstance(item, Mapping | list | tuple) for item in wanted)
    return True


def _short(value: Any) -> str:
    # A whole float may have more than 64 bits.
    is_number = isinstance(value, int) and not isinstance(value, bool)
    text = str(value) if is_number else orjson.dumps(value).decode()
    return text if len(text) <= _LONG else f"#{hashlib.sha256(text.encode()).hexdigest()}"
