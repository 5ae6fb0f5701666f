"""Cuts a document into passages along its structure. Parsers produce `Section`s; everything after them reads `Chunk`s.

Sizes are in characters, and a Hangul letter counts as two: it says as much as two Latin ones, and costs a model as many
tokens. So a passage has about 400 to 500 Korean letters or twice as many English ones.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

TARGET = 900
"""A passage ends with the piece that would take it past this size."""
MOST = 1400
"""A single sentence or table row that is larger is cut."""
OVERLAP = 280
"""The last sentence is repeated in the next passage of the same paragraph if it is not larger than this."""

# A sentence ends at its mark, with the closing quotes and brackets that follow it.
_SENTENCE_END = re.compile(r"(?<=[.!?。!?])[\"'”’)\]」』]*\s+")
_WIDE = re.compile(r"[ᄀ-ᇿ⺀-鿿가-힣豈-﫿＀-￯]")


@dataclass(frozen=True, slots=True)
class Section:
    """A run of text under one heading, in the document's order.

    `text` is plain text: paragraphs are separated by an empty line, a list item or a table row is one line.
    """

    path: tuple[str, ...]
    """Headings from the document's top down to this text, without the document's title; may be empty."""
    text: str


@dataclass(frozen=True, slots=True)
class Chunk:
    """One passage of a document, before it has an id."""

    position: int
    """Its place in the document, from 0."""
    path: tuple[str, ...]
    text: str


@dataclass(frozen=True, slots=True)
class _Piece:
    """What is not cut: a sentence, a list item, a table row. `gap` is what stands between it and the piece before."""

    text: str
    gap: str
    size: int


def chunk(sections: Sequence[Section], *, target: int = TARGET) -> list[Chunk]:
    """Cut the sections into passages of about `target`, none across a heading, none empty.

    A small section is joined to its neighbour when both stand under the same heading, or when one heading is above the
    other: a heading with one line under it says little alone. The headings that were joined stay in the text.
    """
    chunks: list[Chunk] = []
    for path, text in _joined(sections, target):
        for part in _parts(text, target):
            chunks.append(Chunk(position=len(chunks), path=path, text=part))
    return chunks


def index_text(title: str, path: Sequence[str], text: str) -> str:
    """Return what is embedded: the passage with where it stands, which its own words often leave out."""
    where = " > ".join(part for part in (title, *path) if part)
    return f"{where}\n{text}" if where else text


def size(text: str) -> int:
    """Return the size of `text`: its characters, the wide ones (Hangul, Han, Kana) counted twice."""
    return len(text) + len(_WIDE.findall(text))


def _joined(sections: Sequence[Section], target: int) -> Iterator[tuple[tuple[str, ...], str]]:
    path: tuple[str, ...] = ()
    text = ""
    for section in sections:
        body = section.text.strip()
        if not body:
            continue
        common = _common(path, section.path)
        related = common in (path, section.path)
        if text and related and size(text) + size(body) <= target:
            below = section.path[len(common) :]
            text = "\n\n".join([text, *below, body])
            continue
        if text:
            yield path, text
        path, text = section.path, body
    if text:
        yield path, text


def _common(one: tuple[str, ...], other: tuple[str, ...]) -> tuple[str, ...]:
    length = 0
    for a, b in zip(one, other, strict=False):
        if a != b:
            break
        length += 1
    return one[:length]


def _parts(text: str, target: int) -> Iterator[str]:
    if size(text) <= target:
        yield text
        return
    kept: list[_Piece] = []
    total = 0
    fresh = 0  # pieces of `kept` that no part has yet
    for piece in _pieces(text):
        if fresh and total + piece.size > target:
            yield _text(kept)
            last = kept[-1]
            kept = [last] if piece.gap == " " and last.size <= OVERLAP and last.size + piece.size <= target else []
            total = sum(one.size for one in kept)
            fresh = 0
        kept.append(piece)
        total += piece.size
        fresh += 1
    if fresh:
        yield _text(kept)


def _text(pieces: Sequence[_Piece]) -> str:
    return "".join((piece.gap if number else "") + piece.text for number, piece in enumerate(pieces))


def _pieces(text: str) -> Iterator[_Piece]:
    for number, paragraph in enumerate(re.split(r"\n\s*\n", text)):
        gap = "\n\n" if number else ""
        for line in paragraph.splitlines():
            if not line.strip():
                continue
            for sentence in _sentences(line.strip()):
                yield _Piece(sentence, gap, len(gap) + size(sentence))
                gap = " "
            gap = "\n"


def _sentences(line: str) -> Iterator[str]:
    start = 0
    for end in _SENTENCE_END.finditer(line):
        yield from _cut(line[start : end.end()].strip())
        start = end.end()
    if start < len(line):
        yield from _cut(line[start:].strip())


def _cut(sentence: str) -> Iterator[str]:
    """Cut what is larger than a passage may be, at a space where there is one."""
    while size(sentence) > MOST:
        # MOST counts a wide letter twice, so half as many characters are never too large.
        end = sentence.rfind(" ", MOST // 4, MOST // 2)
        end = end if end > 0 else MOST // 2
        yield sentence[:end].strip()
        sentence = sentence[end:].strip()
    if sentence:
        yield sentence
