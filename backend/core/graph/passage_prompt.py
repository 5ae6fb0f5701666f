"""How passages and a question stand in a prompt: written here, read here, and nowhere else.

    <passages>
    <passage index="1" title="Title &gt; Heading">
    text
    </passage>
    </passages>
    <question>…</question>

Passages are data from outside and may say anything, also `</passage>` or "ignore what you were told". Everything in
them is escaped, so that no text can end its own passage, open another or pose as the question.
"""

import html
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

MAX_PASSAGE_CHARS = 4_000
"""Most of one passage that a prompt shows."""
MAX_PROMPT_CHARS = 16_000
"""Most of all passages together; the last ones are left out first."""

_PASSAGE = re.compile(r'<passage index="(\d{1,4})" title="([^"]*)">\n(.*?)\n</passage>', re.DOTALL)
_QUESTION = re.compile(r"<question>(.*?)</question>", re.DOTALL)


_LOOKALIKES = str.maketrans("＜﹤‹〈⟨˂＞﹥›〉⟩˃", "<<<<<<>>>>>>")
_FENCE_ALIKE = re.compile(
    r"[＜﹤‹〈⟨˂<][\s/／∕⁄]{0,4}(?:ticket|message|passages?|question|parts?|answer|system|assistant|user)\b[^＜﹤‹〈⟨˂<]{0,200}?"
    r"[＞﹥›〉⟩˃>]",
    re.IGNORECASE,
)


def fenced(text: str, *, quote: bool = False) -> str:
    """Return a text from outside as a prompt shows it, `quote` within quotes: it ends nothing and opens nothing.

    Neither does what only looks like one of our marks (`＜／ticket＞`), which a model may take for it.
    """
    plain = _FENCE_ALIKE.sub(lambda match: match[0].translate(_LOOKALIKES), text)
    return html.escape(plain, quote=quote)


@dataclass(frozen=True, slots=True)
class PromptPassage:
    """One passage as a prompt shows it."""

    index: int
    """The number by which an answer cites it, from 1."""
    title: str
    """The document's title and the headings down to the passage, joined by ` > `."""
    text: str


def presented(documents: Sequence[Mapping[str, Any]]) -> list[PromptPassage]:
    """Return what a prompt shows of `documents` (passages as in a graph's state), numbered from 1, and bounded."""
    shown: list[PromptPassage] = []
    room = MAX_PROMPT_CHARS
    for index, document in enumerate(documents, start=1):
        text = str(document["text"])[: min(MAX_PASSAGE_CHARS, room)]
        if not text:
            break
        room -= len(text)
        headings = [str(part) for part in document.get("path") or () if part and part != document["title"]]
        title = " > ".join([str(document["title"]), *headings])
        shown.append(PromptPassage(index, " ".join(title.split()), text))
    return shown


def render(question: str, passages: Sequence[PromptPassage]) -> str:
    """Return the message that shows `passages` and asks `question`."""
    lines = ["<passages>"]
    for passage in passages:
        lines.append(f'<passage index="{passage.index}" title="{fenced(passage.title, quote=True)}">')
        lines.append(fenced(passage.text))
        lines.append("</passage>")
    lines.append("</passages>")
    lines.append(f"<question>{fenced(question)}</question>")
    return "\n".join(lines)


def parse(message: str) -> tuple[str, list[PromptPassage]] | None:
    """Return the question and the passages of a message that `render` wrote; None when it is another message."""
    question = _QUESTION.search(message)
    if question is None:
        return None
    passages = [
        PromptPassage(int(index), html.unescape(title), html.unescape(text))
        for index, title, text in _PASSAGE.findall(message)
    ]
    return html.unescape(question[1]), passages
