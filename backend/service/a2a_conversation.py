"""A thread's messages as Agent2Agent tells them, and its messages as a graph takes them.

The first message of an input has a mark in `additional_kwargs`: which task it began or went on with. What follows it,
up to the next mark, belongs to that task.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final
from uuid import UUID

import orjson

from backend.dto.a2a import A2AMessage, Artifact, DataPart, FilePart, HistoryScope, Part, TaskId, TextPart
from backend.repository.a2a_task import MARK
from backend.util.graph_input import CONVERSATION, text_of

MAX_LIVE: Final = 1000
"""Messages of a run whose text so far is kept."""
_KINDS: Final = ("image", "audio", "video")
"""What LangChain has blocks of its own for; everything else is a file."""


def graph_input(message: A2AMessage, start_id: str) -> dict[str, Any]:
    """Return the input of a graph for a message: its data as they are, its text and files as a chat message."""
    given: dict[str, Any] = {}
    content: list[dict[str, Any]] = []
    for part in message.parts:
        if isinstance(part, DataPart):
            given |= part.data
        elif isinstance(part, TextPart):
            content.append({"type": "text", "text": part.text})
        else:
            content.append(_block(part))
    if not content:
        return _marked(given, start_id)
    said = {
        "role": "user" if message.by_user else "assistant",
        # models take a text more readily than a list of one
        "content": content[0]["text"] if len(content) == 1 and content[0]["type"] == "text" else content,
        "id": message.message_id,
    }
    before = given.get(CONVERSATION)
    return _marked({**given, CONVERSATION: [*before, said] if isinstance(before, list) else [said]}, start_id)


def _marked(given: dict[str, Any], start_id: str) -> dict[str, Any]:
    """Return an input whose first message tells the task."""
    messages = given.get(CONVERSATION)
    if not isinstance(messages, list) or not messages or not isinstance(messages[0], dict):
        return given
    extra = messages[0].get("additional_kwargs")
    kept = extra if isinstance(extra, dict) else {}
    first = {**messages[0], "additional_kwargs": {**kept, MARK: {"task_start_id": start_id}}}
    return {**given, CONVERSATION: [first, *messages[1:]]}


def answered(parts: Iterable[Part]) -> Any:
    """Return the answer to an interrupt: the data, or the text where there are none."""
    data: dict[str, Any] = {}
    texts: list[str] = []
    has_data = False
    for part in parts:
        if isinstance(part, DataPart):
            data |= part.data
            has_data = True
        elif isinstance(part, TextPart):
            texts.append(part.text)
    return data if has_data else "\n".join(texts)


class Conversation:
    """What a thread's state says of its tasks."""

    def __init__(self, values: Mapping[str, Any], tasks: Mapping[str, TaskId]) -> None:
        """`tasks` are the ids by their marks."""
        messages = values.get(CONVERSATION)
        self._messages = [one for one in messages if isinstance(one, dict)] if isinstance(messages, list) else []
        self._tasks = tasks

    def history(self, start_id: str, given: Any, scope: HistoryScope) -> tuple[A2AMessage, ...]:
        """Return what was said until the end of a task, or in it alone; `given` is its input, if not there yet."""
        marked = list(self._marked(self._messages))
        mine = [at for at, (mark, _) in enumerate(marked) if mark == start_id]
        if not mine:
            messages = given.get(CONVERSATION) if isinstance(given, dict) else None
            marked += self._marked([one for one in messages if isinstance(one, dict)] if messages else [])
            mine = [at for at, (mark, _) in enumerate(marked) if mark == start_id]
        shown = marked[: mine[-1] + 1] if mine else []
        if scope == "task":
            shown = [marked[at] for at in mine]
        told = (
            _told(message, self._tasks.get(mark or ""), f"message-{at}") for at, (mark, message) in enumerate(shown)
        )
        return tuple(one for one in told if one is not None)

    def artifacts(self, start_id: str, run_id: UUID, assistant_id: UUID) -> tuple[Artifact, ...]:
        """Return what a task that has ended answered: its last message."""
        mine = [message for mark, message in self._marked(self._messages) if mark == start_id]
        if not mine or (said := _told(mine[-1], None, "")) is None or said.by_user:
            return ()
        described = f"Response from assistant {assistant_id}"
        return (Artifact(str(run_id), "Assistant Response", described, said.parts),)

    @staticmethod
    def questions(interrupts: Sequence[Mapping[str, Any]]) -> tuple[Artifact, ...]:
        """Return what a task that waits asks."""
        asked = [{key: value for key, value in found.items() if value is not None} for found in interrupts]
        described = "Agent requires input to continue"
        return tuple(Artifact(str(found.get("id")), "Interrupt", described, (DataPart(found),)) for found in asked)

    @staticmethod
    def _marked(messages: Iterable[dict[str, Any]]) -> Iterator[tuple[str | None, dict[str, Any]]]:
        mark = None
        for message in messages:
            extra = message.get("additional_kwargs")
            found = extra.get(MARK) if isinstance(extra, Mapping) else None
            if isinstance(found, Mapping) and isinstance(found.get("task_start_id"), str):
                mark = found["task_start_id"]
            yield mark, message


class LiveText:
    """The messages of a run as far as they are written, from the events of a stream in pieces."""

    def __init__(self) -> None:
        self._texts: dict[str, str] = {}

    def feed(self, data: bytes, task_id: TaskId) -> A2AMessage | None:
        """Take a piece; return its message so far, if there is anything to tell of it."""
        message, _ = orjson.loads(data)
        kind, message_id = message.get("type"), str(message.get("id") or "message")
        if kind not in {"ai", "AIMessageChunk"}:
            return _told(message, task_id, message_id) if kind in {"tool", "ToolMessage"} else None
        text = text_of(message.get("content"))
        if not text:
            return None
        if kind == "AIMessageChunk":
            if message_id not in self._texts and len(self._texts) >= MAX_LIVE:
                del self._texts[next(iter(self._texts))]
            text = self._texts[message_id] = self._texts.get(message_id, "") + text
        return A2AMessage(message_id, False, (TextPart(text),), task_id)


def _block(part: FilePart) -> dict[str, Any]:
    """Return a file as a content block of LangChain."""
    kind = (part.media_type or "").partition("/")[0]
    block: dict[str, Any] = {"type": kind if kind in _KINDS else "file"}
    found = {"base64": part.base64, "url": part.url, "mime_type": part.media_type, "filename": part.name}
    return block | {name: value for name, value in found.items() if value is not None}


def _told(message: Mapping[str, Any], task_id: TaskId | None, otherwise: str) -> A2AMessage | None:
    """Return a message of a state; None for one that says nothing to others."""
    kind = message.get("type") or message.get("role")
    parts: tuple[Part, ...]
    if kind in {"tool", "ToolMessage"}:
        told = {
            "toolCallId": message.get("tool_call_id"),
            "content": message.get("content"),
            "name": message.get("name"),
            "status": message.get("status"),
        }
        parts = (DataPart({"tool_results": [told]}),)
    elif kind in {"human", "user", "ai", "assistant", "AIMessageChunk"}:
        parts = tuple(_parts(message.get("content")))
    else:
        return None
    if not parts:
        return None
    return A2AMessage(str(message.get("id") or otherwise), kind in {"human", "user"}, parts, task_id)


def _parts(content: Any) -> Iterator[Part]:
    if isinstance(content, str):
        if content:
            yield TextPart(content)
        return
    for block in content if isinstance(content, list) else ():
        if isinstance(block, str):
            yield TextPart(block)
        elif not isinstance(block, Mapping):
            continue
        elif block.get("type") == "text" and isinstance(block.get("text"), str):
            yield TextPart(block["text"])
        elif isinstance(block.get("base64"), str) or isinstance(block.get("url"), str):
            named = {name: block.get(name) for name in ("base64", "url", "mime_type", "filename")}
            texts = {name: value if isinstance(value, str) else None for name, value in named.items()}
            yield FilePart(texts["base64"], texts["url"], texts["mime_type"], texts["filename"])
