"""What both databases can hold: text without NUL and halves of surrogate pairs, JSON of 64-bit numbers, not too deep.

For what a platform sent, which is to be kept and not refused. A client's own bodies are refused (`schema`).
"""

from collections.abc import Mapping
from typing import Any

import orjson

MAX_DEPTH = 100
_NUL = b"\\u0000"
_MOST = 2**63
_PRINTED = 1024
"""Bits of the largest number that is kept in decimal: writing those costs the square of their length."""


def storable_text(text: str) -> str:
    """Return the text; what cannot be stored of it is U+FFFD."""
    if "\0" in text:
        text = text.replace("\0", "\ufffd")
    try:
        text.encode()
    except UnicodeEncodeError:
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def storable_json(value: Any) -> bytes:
    """Return the JSON of a value, keys in order: equal values give equal bytes, and both databases can hold it."""
    try:
        made = orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except TypeError:
        made = _NUL
    if _NUL in made:
        made = orjson.dumps(_mended(value, MAX_DEPTH), option=orjson.OPT_SORT_KEYS)
    return made


def _mended(value: Any, depth: int) -> Any:
    if isinstance(value, str):
        return storable_text(value)
    if isinstance(value, int) and not isinstance(value, bool):
        if -_MOST <= value < _MOST:
            return value
        return str(value) if value.bit_length() < _PRINTED else hex(value)
    if isinstance(value, Mapping):
        return {storable_text(str(key)): _mended(item, depth - 1) for key, item in value.items()} if depth else None
    if isinstance(value, list | tuple):
        return [_mended(item, depth - 1) for item in value] if depth else None
    if value is None or isinstance(value, bool | float):
        return value
    return storable_text(str(value))
