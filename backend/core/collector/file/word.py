"""DOCX: headings by their style, tables by row."""

import re
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

from backend.core.collector.file.document import Limits, Outline, ParsedDocument, one_line
from backend.core.collector.file.reason import refused

_HEADING = re.compile(r"(?:heading|제목|개요)\s*([1-9])$", re.IGNORECASE)
_MAX_STYLES = 20


def read_docx(path: Path, name: str, limits: Limits, media_type: str) -> ParsedDocument:
    """Return the document's body; its title is its property, else its `Title` paragraph, else `name`."""
    from docx import Document
    from docx.opc.exceptions import PackageNotFoundError
    from docx.table import Table

    try:
        with path.open("rb") as stream:
            document = Document(stream)
        outline = Outline(limits)
        title = one_line(document.core_properties.title or "")
        rows_left = limits.max_rows
        for item in document.iter_inner_content():
            if isinstance(item, Table):
                rows = _rows(item._tbl)
                rows_left -= len(rows)
                if rows_left < 0:
                    raise refused("too_many_rows", limit=limits.max_rows)
                outline.table(rows)
                continue
            level = _level(item)
            if level == 0:
                title = title or one_line(item.text)
            elif level:
                outline.heading(level, item.text)
            else:
                outline.text(f"- {item.text}" if _is_item(item) and item.text.strip() else item.text)
    except RecursionError as error:
        raise refused("too_deep") from error
    except (PackageNotFoundError, SyntaxError, LookupError, ValueError, TypeError, AttributeError, BadZipFile) as error:
        # lxml's XMLSyntaxError is a SyntaxError.
        raise refused("damaged", detail=one_line(str(error))[:200] or type(error).__name__) from error
    if title:
        outline.drop_title(title)
    return ParsedDocument(title or name, outline.sections(), media_type)


def _level(paragraph: Any) -> int | None:
    """Return 0 for the document's title, 1..9 for a heading, None for text.

    The style's name says it in Word; an outline level, its own or of a style above, in what other programs write.
    """
    style = paragraph.style
    own = paragraph._p.xpath("./w:pPr/w:outlineLvl/@w:val")
    for _ in range(_MAX_STYLES):  # a style may be based on itself
        if style is None:
            break
        if (style.name or "").lower() == "title":
            return 0
        if found := _HEADING.match(style.name or ""):
            return int(found[1])
        own = own or style.element.xpath("./w:pPr/w:outlineLvl/@w:val")
        style = style.base_style
    return int(own[0]) + 1 if own and own[0].isdigit() and int(own[0]) < 9 else None


def _is_item(paragraph: Any) -> bool:
    return bool(paragraph._p.xpath("./w:pPr/w:numPr")) or "list" in (paragraph.style.name or "").lower()


def _rows(table: Any) -> list[list[str]]:
    """Return the cells' text; a merged cell stands in each of its columns and rows, so that it names all of them."""
    from docx.oxml.ns import qn

    rows: list[list[str]] = []
    for row in table.tr_lst:
        cells: list[str] = []
        for cell in row.tc_lst:
            lines = ("".join(node.text or "" for node in line.iter(qn("w:t"))) for line in cell.iter(qn("w:p")))
            text = one_line(" ".join(lines))
            column = len(cells)
            if cell.vMerge == "continue" and rows and column < len(rows[-1]):
                text = rows[-1][column]
            cells.extend([text] * min(cell.grid_span, 63))
        rows.append(cells)
    return rows
