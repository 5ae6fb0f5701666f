"""What a parser makes of a file, how much it may take, and the builder that every parser writes into."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from backend.core.collector.file.reason import refused
from backend.core.retrieval.chunking import Section

_SPACE = re.compile(r"[^\S\n]+")
_BREAKS = re.compile(r"\n{3,}")
# Those that join letters (U+200C, U+200D) belong to some scripts' spelling; tags (U+E0000…) only hide sentences.
_UNSEEN = re.compile(
    r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff"
    r"\ud800-\udfff\U000e0000-\U000e007f]"
)
_MAX_HEADING = 200


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one file may hold; what is beyond is refused, never cut off in silence."""

    max_bytes: int = 50 * 1024 * 1024
    max_chars: int = 5_000_000
    max_pages: int = 2_000
    max_rows: int = 100_000
    max_cells: int = 2_000_000
    max_entries: int = 1_000
    """Entries of an archive (DOCX, XLSX and HWPX are archives)."""
    max_unpacked: int = 200 * 1024 * 1024
    """Bytes of an archive's entries together."""
    max_ratio: int = 100
    """Unpacked bytes for each packed one."""


@dataclass(frozen=True, slots=True)
class ParsedDocument:
    """A file's text along its structure."""

    title: str
    sections: list[Section]
    media_type: str


def clean(text: str) -> str:
    """Return `text` without invisible characters, with single spaces and at most one empty line in a row."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    text = _SPACE.sub(" ", _UNSEEN.sub("", text))
    text = "\n".join(line.strip() for line in text.split("\n"))
    return _BREAKS.sub("\n\n", text).strip()


def one_line(text: str) -> str:
    return " ".join(_UNSEEN.sub("", text).split())


@dataclass(slots=True)
class Outline:
    """Collects headings and text in the document's order and makes sections of them."""

    limits: Limits
    _sections: list[Section] = field(default_factory=list)
    _headings: list[tuple[int, str]] = field(default_factory=list)
    _blocks: list[str] = field(default_factory=list)
    _chars: int = 0

    def heading(self, level: int, text: str) -> None:
        """Begin a part; it ends where a heading of its level or a higher one (a smaller number) follows."""
        title = one_line(text)[:_MAX_HEADING]
        if not title:
            return
        self._flush()
        self._count(title)
        while self._headings and self._headings[-1][0] >= level:
            self._headings.pop()
        self._headings.append((level, title))

    def text(self, text: str) -> None:
        """Add a paragraph, or several lines that belong together."""
        block = clean(text)
        if block:
            self._count(block)
            self._blocks.append(block)

    def table(self, rows: Sequence[Sequence[str]]) -> None:
        """Add a table, a line a row."""
        self.text("\n".join(table_lines(rows)))

    def sections(self) -> list[Section]:
        """Return what was collected.

        Raises:
            InvalidFile: there is no text.
        """
        self._flush()
        if not self._sections:
            raise refused("no_text")
        return self._sections

    def drop_title(self, title: str) -> None:
        """Take the document's own title off the top of every path: it is shown beside the path anyway."""
        self._flush()
        if all(section.path[:1] == (title,) for section in self._sections):
            self._sections = [Section(section.path[1:], section.text) for section in self._sections]

    def _count(self, text: str) -> None:
        self._chars += len(text)
        if self._chars > self.limits.max_chars:
            raise refused("too_much_text", limit=self.limits.max_chars)

    def _flush(self) -> None:
        if self._blocks:
            path = tuple(title for _, title in self._headings)
            self._sections.append(Section(path, "\n\n".join(self._blocks)))
            self._blocks.clear()


def table_lines(rows: Iterable[Sequence[str]]) -> list[str]:
    """Return a line a row: `header: value; header: value`, so that a row is understood without the rest of its table.

    A table whose first row has a gap, or that has one row or one column, has no header: its cells are joined by `; `.
    """
    filled = [cells for row in rows if any(cells := [one_line(cell) for cell in row])]
    if len(filled) < 2 or len(filled[0]) < 2 or not all(filled[0]):
        return ["; ".join(cell for cell in row if cell) for row in filled]
    header, *body = filled
    return [row_line(header, row) for row in body]


def row_line(header: Sequence[str], row: Sequence[str]) -> str:
    """Return one row as `header: value; header: value`; empty cells are left out."""
    cells = []
    for position, value in enumerate(row):
        name = header[position] if position < len(header) else ""
        if value:
            cells.append(f"{name}: {value}" if name and name != value else value)
    return "; ".join(cells)
