"""JSON and JSON Lines: each object is a part, each value a line `name: value`."""

import json
from collections.abc import Iterable
from typing import Any

from backend.core.collector.file.document import Limits, Outline, ParsedDocument, one_line
from backend.core.collector.file.reason import refused

_TITLES = ("title", "name", "subject", "heading", "question", "제목", "이름", "질문")
_TEXTS = ("text", "content", "contents", "body", "description", "answer", "내용", "본문", "설명", "답변")
_MAX_DEPTH = 32


def read_json(text: str, name: str, limits: Limits) -> ParsedDocument:
    value = _loads(text, 1)
    outline = Outline(limits)
    _write(outline, value if isinstance(value, list) else [value], limits)
    return ParsedDocument(name, outline.sections(), "application/json")


def read_jsonl(text: str, name: str, limits: Limits) -> ParsedDocument:
    values: list[Any] = []
    # Not splitlines(): a line separator such as U+2028 may stand inside a JSON string.
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        if len(values) >= limits.max_rows:
            raise refused("too_many_rows", limit=limits.max_rows)
        values.append(_loads(line, number))
    outline = Outline(limits)
    _write(outline, values, limits)
    return ParsedDocument(name, outline.sections(), "application/jsonl")


def _loads(text: str, line: int) -> Any:
    """Return the value of a text that begins on `line` of its file."""
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise refused("syntax", line=line + error.lineno - 1, detail=error.msg) from error
    except ValueError as error:  # Python reads no number of more than 4300 digits
        raise refused("syntax", line=line, detail="a number has too many digits") from error
    except RecursionError as error:
        raise refused("too_deep") from error


def _write(outline: Outline, values: Iterable[Any], limits: Limits) -> None:
    for count, value in enumerate(values):
        if count >= limits.max_rows:
            raise refused("too_many_rows", limit=limits.max_rows)
        if isinstance(value, dict):
            named = (value[key] for key in _TITLES if isinstance(value.get(key), str))
            title = next((text for text in named if text.strip()), None)
            if title:
                outline.heading(1, title)
            outline.text("\n".join(_lines({key: item for key, item in value.items() if item is not title}, "", 0)))
        else:
            outline.text("\n".join(_lines(value, "", 0)))


def _lines(value: Any, name: str, depth: int) -> list[str]:
    """Return a line for each value; a nested name is joined by dots."""
    if depth > _MAX_DEPTH:
        raise refused("too_deep")
    if isinstance(value, dict):
        return [
            line
            for key, item in value.items()
            for line in _lines(item, f"{name}.{key}" if name else str(key), depth + 1)
        ]
    if isinstance(value, list):
        if all(isinstance(item, str | int | float) for item in value):
            return _lines(", ".join(str(item) for item in value), name, depth)
        return [line for item in value for line in _lines(item, name, depth + 1)]
    if value is None or value == "":
        return []
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    if not name or name in _TEXTS:
        return [text]
    return [f"{name}: {one_line(text)}" if "\n" not in text.strip() else f"{name}:\n{text}"]
