"""Markdown and plain text."""

import re
from collections.abc import Iterator

from backend.core.collector.file.document import Limits, Outline, ParsedDocument, one_line, row_line

_ATX = re.compile(r" {0,3}(#{1,6})(?:[ \t]+(.*?))?(?:[ \t]+#+)?[ \t]*$")
_SETEXT = re.compile(r" {0,3}(=+|-+)[ \t]*$")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_RULE = re.compile(r"[ \t]*\|?[ \t]*:?-+:?[ \t]*(\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*$")
_CELL = re.compile(r"(?<!\\)\|")
_IMAGE = re.compile(r"!\[([^\]\n]{0,500})\]\([^()\n]{0,2000}\)")
_LINK = re.compile(r"(?<!!)\[([^\]\n]{1,500})\]\(<?(https?://[^\s()<>]{1,2000})>?(?:[ \t]+\"[^\"\n]{0,500}\")?\)")
_LOCAL = re.compile(r"(?<!!)\[([^\]\n]{1,500})\]\([^()\n]{0,2000}\)")
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_STRONG = re.compile(r"(\*\*|__)(?=\S)([^\n]{1,1000}?)(?<=\S)\1")
_ESCAPE = re.compile(r"\\([\\`*_{}\[\]()#+\-.!|>~])")
_FRONT = re.compile(r"---[ \t]*\n(.{0,20000}?)\n(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.DOTALL)
_TITLE = re.compile(r"^title[ \t]*:[ \t]*(.+)$", re.MULTILINE)


def read_markdown(text: str, name: str, limits: Limits, media_type: str = "text/markdown") -> ParsedDocument:
    """Return the document; its title is the front matter's, else its only top heading, else `name`."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").removeprefix("\ufeff")
    title = None
    if front := _FRONT.match(text):
        named = _TITLE.search(front[1])
        title = one_line(named[1].strip("\"'")) if named else None
        text = text[front.end() :]
    outline = Outline(limits)
    tops: list[str] = []
    for level, block in _blocks(_COMMENT.sub("", text)):
        if not level:
            outline.text(block)
            continue
        if level == 1:
            tops.append(one_line(block))
        outline.heading(level, block)
    title = title or (tops[0] if len(tops) == 1 else None)
    if title:
        outline.drop_title(title)
    return ParsedDocument(title or name, outline.sections(), media_type)


def read_text(text: str, name: str, limits: Limits) -> ParsedDocument:
    """Return plain text, which has no structure but its paragraphs."""
    outline = Outline(limits)
    outline.text(text)
    return ParsedDocument(name, outline.sections(), "text/plain")


def _blocks(text: str) -> Iterator[tuple[int, str]]:
    """Yield `(level, heading)` and `(0, paragraph)` in order."""
    lines = text.split("\n")
    paragraph: list[str] = []
    fence = ""
    position = 0
    while position < len(lines):
        line = lines[position]
        position += 1
        if fence:
            if line.strip().startswith(fence) and not line.strip().strip(fence[0]):
                fence = ""
            else:
                paragraph.append(line)
            continue
        if opened := _FENCE.match(line):
            fence = opened[1]
            continue
        if heading := _ATX.match(line):
            yield from _paragraph(paragraph)
            yield len(heading[1]), _inline(heading[2] or "")
            continue
        if paragraph and len(paragraph) == 1 and paragraph[0].strip() and (under := _SETEXT.match(line)):
            title = paragraph.pop()
            yield (1 if under[1][0] == "=" else 2), _inline(title)
            continue
        if "|" in line and position < len(lines) and "-" in lines[position] and _RULE.match(lines[position]):
            yield from _paragraph(paragraph)
            rows = [_cells(line)]
            position += 1
            while position < len(lines) and "|" in lines[position]:
                rows.append(_cells(lines[position]))
                position += 1
            yield from _table(rows)
            continue
        if not line.strip():
            yield from _paragraph(paragraph)
            continue
        paragraph.append(_inline(line))
    yield from _paragraph(paragraph)


def _paragraph(lines: list[str]) -> Iterator[tuple[int, str]]:
    if lines:
        yield 0, "\n".join(lines)
        lines.clear()


def _table(rows: list[list[str]]) -> Iterator[tuple[int, str]]:
    """A Markdown table always says which row is its header, even where a header cell is empty."""
    header, *body = rows
    lines = [line for row in body if (line := row_line(header, row))]
    yield 0, "\n".join(lines or ["; ".join(filter(None, header))])


def _cells(line: str) -> list[str]:
    line = line.strip().removeprefix("|")
    if line.endswith("|") and not line.endswith("\\|"):
        line = line[:-1]
    return [_inline(cell).strip() for cell in _CELL.split(line)]


def _inline(line: str) -> str:
    """Take away the marks that mean nothing to a search: emphasis, images, targets of links within the document."""
    line = _IMAGE.sub(r"\1", line)
    line = _LINK.sub(lambda link: link[1] if link[1] == link[2] else f"{link[1]} ({link[2]})", line)
    line = _LOCAL.sub(r"\1", line)
    line = _STRONG.sub(r"\2", line)
    return _ESCAPE.sub(r"\1", line)
