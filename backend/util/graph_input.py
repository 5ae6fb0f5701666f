"""What a graph takes and leaves, told by the JSON schema of its input and the JSON of its state."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

CONVERSATION: Final = "messages"
"""The field that holds the messages of a graph that converses."""
_DEFINED: Final = "#/$defs/"


def is_object(schema: Mapping[str, Any]) -> bool:
    """Whether an input is an object; one of which nothing is known may be."""
    return bool(schema.get("type", "object") == "object")


def takes_conversation(schema: Mapping[str, Any]) -> bool:
    """Whether a graph's input has chat messages: a list of LangChain's classes, or of anything."""
    field = (schema.get("properties") or {}).get(CONVERSATION)
    if not isinstance(field, Mapping) or field.get("type", "array") != "array":
        return False
    items = field.get("items")
    return not items or any("Message" in name for name in _references(items))


def closed(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema with those definitions alone that are still used."""
    defined = schema.get("$defs")
    if not isinstance(defined, Mapping):
        return schema
    rest = {key: value for key, value in schema.items() if key != "$defs"}
    used: dict[str, Any] = {}
    waiting = list(_references(rest))
    while waiting:
        name = waiting.pop()
        if name in defined and name not in used:
            used[name] = defined[name]
            waiting += _references(defined[name])
    return rest | ({"$defs": used} if used else {})


def spoken_messages(text: str) -> list[dict[str, Any]]:
    """Return a text as the messages of a user."""
    return [{"role": "user", "content": text}]


def text_of(content: Any) -> str:
    """Return the text in a message's content, which is a text or a list of blocks."""
    if isinstance(content, str):
        return content
    if not isinstance(content, Sequence):
        return ""
    parts = []
    for block in content:
        if isinstance(block, str):
            parts.append(block)
        elif isinstance(block, Mapping) and block.get("type") == "text" and isinstance(block.get("text"), str):
            parts.append(block["text"])
    return "".join(parts)


def final_answer(state: Mapping[str, Any]) -> str:
    """Return the text of the assistant's message that ends a conversation; empty when it ends otherwise."""
    messages = state.get(CONVERSATION)
    last = messages[-1] if isinstance(messages, list) and messages else None
    if not isinstance(last, Mapping) or last.get("type") not in {"ai", "AIMessageChunk"}:
        return ""
    return text_of(last.get("content"))


def _references(schema: Any) -> Iterator[str]:
    """Yield the names of the definitions that a schema uses; what is nested is walked without recursion."""
    waiting = [schema]
    while waiting:
        part = waiting.pop()
        if isinstance(part, Mapping):
            target = part.get("$ref")
            if isinstance(target, str) and target.startswith(_DEFINED):
                yield target.removeprefix(_DEFINED)
            waiting += part.values()
        elif isinstance(part, list):
            waiting += part
