"""PDF: a section a page, under the bookmarks that lead to it."""

import re
from pathlib import Path
from typing import Any

from backend.core.collector.file.document import Limits, Outline, ParsedDocument, one_line
from backend.core.collector.file.reason import refused

_HYPHEN = re.compile(r"(?<=[a-z])-\n(?=[a-z])")
_ITEM = re.compile(r"\s*(?:[-–—•·▪◦○●□■◆◇▶※*]|\(?\d{1,3}[.)]|[가-하]\.|[①-⑳]|제\s?\d+\s?[조장절])")
_END = re.compile(r"[.!?。:;…」』)\]\"'”’]\s*$")
_NO_TITLE = re.compile(r"\.(docx?|hwpx?|pptx?|xlsx?|indd)$|^microsoft |^untitled", re.IGNORECASE)
_MAX_MARKS = 5_000
_PAGE_LEVEL = 100
"""Below every bookmark, so that a page ends only the page before."""


def read_pdf(path: Path, name: str, limits: Limits) -> ParsedDocument:
    from pypdf import PdfReader
    from pypdf.errors import DependencyError, FileNotDecryptedError, LimitReachedError, PyPdfError

    try:
        reader = PdfReader(path, strict=False)
        # An empty password opens a file that only forbids printing or changing.
        if reader.is_encrypted and not reader.decrypt(""):
            raise refused("encrypted")
        pages = len(reader.pages)
        if pages > limits.max_pages:
            raise refused("too_many_pages", pages=pages, limit=limits.max_pages)
        marks = _bookmarks(reader)
        outline = Outline(limits)
        for number, page in enumerate(reader.pages, start=1):
            text = _unwrap(page.extract_text() or "")
            for level, title in marks.get(number - 1, ()):
                outline.heading(level, title)
            if text.strip():
                outline.heading(_PAGE_LEVEL, f"p. {number}")
                outline.text(text)
        metadata = reader.metadata
        title = one_line(str(metadata.title or "")) if metadata else ""
    except (DependencyError, FileNotDecryptedError) as error:
        raise refused("encrypted") from error
    except LimitReachedError as error:
        raise refused("bomb", detail=one_line(str(error))) from error
    except RecursionError as error:
        raise refused("too_deep") from error
    except (PyPdfError, LookupError, ValueError, TypeError, AttributeError, ArithmeticError, AssertionError) as error:
        # pypdf meets broken files with whatever its code happens to raise.
        raise refused("damaged", detail=one_line(str(error))[:200] or type(error).__name__) from error
    return ParsedDocument(title if _is_title(title) else name, outline.sections(), "application/pdf")


def _is_title(title: str) -> bool:
    """Word processors fill in names such as `Microsoft Word - draft3.doc` or `untitled`."""
    return bool(title) and not _NO_TITLE.search(title)


def _bookmarks(reader: Any) -> dict[int, list[tuple[int, str]]]:
    """Return `(level, title)` of the bookmarks that begin on each page, counted from 0."""
    found: dict[int, list[tuple[int, str]]] = {}
    count = 0
    stack: list[tuple[int, Any]] = [(1, item) for item in reversed(reader.outline)]
    while stack and count < _MAX_MARKS:
        level, item = stack.pop()
        if isinstance(item, list):
            if level < _PAGE_LEVEL - 1:
                stack.extend((level + 1, child) for child in reversed(item))
            continue
        count += 1
        page = reader.get_destination_page_number(item)
        if page is not None and page >= 0 and item.title:
            found.setdefault(page, []).append((level, str(item.title)))
    return found


def _unwrap(text: str) -> str:
    """Join the lines of a paragraph, which a page breaks at its margin; keep list items and short lines apart."""
    text = _HYPHEN.sub("", text)
    lines = [line.rstrip() for line in text.split("\n")]
    width = max((len(line) for line in lines), default=0)
    joined: list[str] = []
    for line in lines:
        previous = joined[-1] if joined else ""
        last = previous.rsplit("\n", 1)[-1]
        full = len(last) >= width * 0.6 or len(last) > width
        if line.strip() and last.strip() and full and not _END.search(last) and not _ITEM.match(line):
            joined[-1] = f"{previous} {line.lstrip()}"
        else:
            joined.append(line)
    return "\n".join(joined)
