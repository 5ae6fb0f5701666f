"""HTML pages: what a reader sees of the main part, without navigation and scripts."""

import re
from typing import Any

from backend.core.collector.file.charset import decode
from backend.core.collector.file.document import Limits, Outline, ParsedDocument, one_line
from backend.core.collector.file.reason import refused

_META = re.compile(rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?\s*([A-Za-z0-9_\-]{2,40})", re.IGNORECASE)
_SKIPPED = frozenset(
    {"script", "style", "noscript", "template", "svg", "math", "iframe", "object", "nav", "aside", "form", "button",
     "select", "head", "canvas", "audio", "video", "dialog"}
)  # fmt: skip
_AROUND = frozenset({"header", "footer"})
"""Skipped outside an article, where they hold the site's own."""
_BLOCKS = frozenset(
    {"p", "div", "section", "article", "main", "header", "footer", "ul", "ol", "li", "dl", "dt", "dd", "pre",
     "blockquote", "figure", "figcaption", "address", "details", "summary", "hr", "body", "table", "caption"}
)  # fmt: skip
_HEADINGS = {"h1": 1, "h2": 2, "h3": 3, "h4": 4, "h5": 5, "h6": 6}
_MAX_DEPTH = 500
_MAX_SPAN = 50
_MIN_MAIN = 200
"""Characters that the marked main part must have to stand for the page."""


def read_html(data: bytes, name: str, limits: Limits) -> ParsedDocument:
    """Return the page; its title is its only `h1`, else its `title`, else `name`."""
    from selectolax.lexbor import LexborHTMLParser

    declared = _META.search(data[:4096])
    page = LexborHTMLParser(decode(data, declared[1].decode("ascii") if declared else None))
    if page.body is None:
        raise refused("no_text")
    root = page.body
    for selector in ("main", "article", "[role=main]"):
        found = page.css(selector)
        if len(found) == 1 and len(found[0].text(deep=True)) >= _MIN_MAIN:
            root = found[0]
            break
    outline = Outline(limits)
    _Walk(outline).walk(root)
    tops = [one_line(node.text(deep=True)) for node in page.css("h1")]
    titled = page.css_first("title")
    title = tops[0] if len(tops) == 1 and tops[0] else one_line(titled.text()) if titled else ""
    if title:
        outline.drop_title(title)
    return ParsedDocument(title or name, outline.sections(), "text/html")


class _Walk:
    """Goes through the tree without recursion: pages are nested as deeply as their authors like."""

    def __init__(self, outline: Outline) -> None:
        self._outline = outline
        self._words: list[str] = []

    def walk(self, root: Any) -> None:
        stack: list[tuple[Any, int, bool]] = [(root, 0, False)]
        while stack:
            node, depth, leaving = stack.pop()
            tag = node.tag
            if leaving:
                self._end_block()
                continue
            if tag == "-text":
                self._words.append(node.text_content or "")
                continue
            if not self._enters(node, tag, depth):
                continue
            if tag in _BLOCKS:
                self._end_block()
                stack.append((node, depth, True))
                if tag == "li":
                    self._words.append("- ")
            stack.extend((child, depth + 1, False) for child in reversed(_children(node)))
        self._end_block()

    def _enters(self, node: Any, tag: str, depth: int) -> bool:
        """Handle what is read as a whole; return whether the children are still to be read."""
        if tag.startswith("-") or tag in _SKIPPED or _hidden(node):
            return False
        if depth > _MAX_DEPTH:
            raise refused("too_deep")
        if tag in _AROUND and not _within_article(node):
            return False
        if tag == "br":
            self._words.append("\n")
            return False
        if tag in _HEADINGS:
            self._end_block()
            self._outline.heading(_HEADINGS[tag], node.text(deep=True))
            return False
        if tag == "pre":
            self._end_block()
            self._outline.text(node.text(deep=True))
            return False
        if tag == "table" and not node.css("table table"):
            self._end_block()
            self._table(node)
            return False
        return True

    def _end_block(self) -> None:
        if self._words:
            lines = "".join(word if word == "\n" else re.sub(r"\s+", " ", word) for word in self._words)
            self._words.clear()
            if lines.strip(" \n-"):
                self._outline.text(lines)

    def _table(self, table: Any) -> None:
        caption = table.css_first("caption")
        if caption is not None:
            self._outline.text(one_line(caption.text(deep=True, separator=" ")))
        rows = []
        for row in table.css("tr"):
            cells: list[str] = []
            for cell in row.iter():
                if cell.tag in {"td", "th"}:
                    cells.extend([one_line(cell.text(deep=True, separator=" "))] * _span(cell))
            rows.append(cells)
        self._outline.table(rows)


def _span(cell: Any) -> int:
    """Return how many columns a cell covers; what it says may be anything."""
    stated = (cell.attributes.get("colspan") or "").strip()
    return min(max(int(stated), 1), _MAX_SPAN) if re.fullmatch(r"[0-9]{1,4}", stated) else 1


def _children(node: Any) -> list[Any]:
    return list(node.iter(include_text=True))


def _hidden(node: Any) -> bool:
    attributes = node.attributes
    style = (attributes.get("style") or "").replace(" ", "").lower()
    return "hidden" in attributes or attributes.get("aria-hidden") == "true" or "display:none" in style


def _within_article(node: Any) -> bool:
    parent = node.parent
    while parent is not None:
        if parent.tag in {"article", "main"}:
            return True
        parent = parent.parent
    return False
