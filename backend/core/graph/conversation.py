"""The conversation as prompts need it: the question, and a bounded stretch of what was said before it."""

import re
from collections.abc import Sequence
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage

from backend.core.error import Invalid

MAX_HISTORY_MESSAGES = 8
MAX_HISTORY_CHARS = 6_000

_CITATION = re.compile(r"\s?\[\d{1,4}(?:\s*,\s*\d{1,4})*\]")


def question_of(messages: Sequence[BaseMessage]) -> HumanMessage:
    """Return the last thing that the user said.

    Raises:
        Invalid: there is none, or it has no text.
    """
    for message in reversed(messages):
        if isinstance(message, HumanMessage):
            if not message.text.strip():
                break
            return message
    raise Invalid("The run has no question: its input needs a user message with text.")


def history_of(messages: Sequence[BaseMessage]) -> list[BaseMessage]:
    """Return what was said before the question, in plain messages, oldest first, within the bounds.

    Source numbers of earlier answers are left out: they belong to other passages.
    """
    messages = list(messages)
    end = max((place for place, message in enumerate(messages) if isinstance(message, HumanMessage)), default=0)
    kept: list[BaseMessage] = []
    room = MAX_HISTORY_CHARS
    for message in reversed(messages[:end]):
        plain = _plain(message)
        if plain is None:
            continue
        room -= len(plain.text)
        if room < 0 or len(kept) == MAX_HISTORY_MESSAGES:
            break
        kept.append(plain)
    return kept[::-1]


def _plain(message: BaseMessage) -> BaseMessage | None:
    text = message.text.strip()
    if not text:
        return None
    if isinstance(message, HumanMessage):
        return HumanMessage(text)
    return AIMessage(_CITATION.sub("", text)) if isinstance(message, AIMessage) else None


def citation(index: int, document: dict[str, Any]) -> dict[str, Any]:
    """Return how a source is shown: an id and a label, never its text. `document` is a passage as in the state."""
    names = ("passage_id", "document_id", "title", "path", "url", "language", "score")
    return {"index": index, **{name: document.get(name) for name in names}}
