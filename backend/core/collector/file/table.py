"""CSV and XLSX: a line a row, each with the names of its columns."""

import csv
import datetime
import io
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from backend.core.collector.file.document import Limits, Outline, ParsedDocument, one_line, table_lines
from backend.core.collector.file.reason import refused

_DELIMITERS = ",;\t|"
_SAMPLE_LINES = 20


def read_csv(text: str, name: str, limits: Limits) -> ParsedDocument:
    """Return the table; the delimiter is the one that cuts the first lines into the most columns alike."""
    csv.field_size_limit(limits.max_chars)
    delimiter = max(_DELIMITERS, key=lambda mark: _columns(text, mark))
    rows: list[list[str]] = []
    cells = 0
    try:
        for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter):
            cells += len(row)
            if len(rows) >= limits.max_rows or cells > limits.max_cells:
                raise refused("too_many_rows", limit=limits.max_rows)
            rows.append(row)
    except csv.Error as error:
        raise refused("damaged", detail=str(error)) from error
    outline = Outline(limits)
    outline.text("\n".join(table_lines(rows)))
    return ParsedDocument(name, outline.sections(), "text/csv")


def _columns(text: str, delimiter: str) -> int:
    lines = io.StringIO("\n".join(text[:65536].splitlines()[:_SAMPLE_LINES]), newline="")
    try:
        widths = [len(row) for row in csv.reader(lines, delimiter=delimiter) if row]
    except csv.Error:
        return 0
    return min(widths, default=0)


def read_xlsx(path: Path, name: str, limits: Limits, media_type: str) -> ParsedDocument:
    """Return the workbook: a section a sheet, values as last computed."""
    from openpyxl import load_workbook
    from openpyxl.utils.exceptions import InvalidFileException

    try:
        with path.open("rb") as stream:
            book = load_workbook(stream, read_only=True, data_only=True, keep_links=False)
            outline = Outline(limits)
            left = [limits.max_cells]
            for sheet in book.worksheets:
                if sheet.sheet_state != "visible":
                    continue
                sheet.reset_dimensions()  # what a sheet says of its size may be anything
                outline.heading(1, sheet.title)
                outline.text("\n".join(table_lines(_rows(sheet.iter_rows(values_only=True), limits, left))))
            title = one_line(book.properties.title or "")
            book.close()
    except (InvalidFileException, LookupError, ValueError, TypeError, AttributeError, zipfile.BadZipFile) as error:
        raise refused("damaged", detail=one_line(str(error)) or type(error).__name__) from error
    return ParsedDocument(title or name, outline.sections(), media_type)


def _rows(rows: Iterable[Sequence[Any]], limits: Limits, left: list[int]) -> list[list[str]]:
    """Return the filled rows as text; `left` counts down the cells of the whole workbook."""
    filled: list[list[str]] = []
    for row in rows:
        left[0] -= max(1, len(row))
        if left[0] < 0 or len(filled) >= limits.max_rows:
            raise refused("too_many_rows", limit=limits.max_rows if left[0] >= 0 else limits.max_cells)
        cells = [_value(value) for value in row]
        if any(cells):
            filled.append(cells)
    return filled


def _value(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "TRUE" if value else "FALSE"
        case float() if value.is_integer() and abs(value) < 1e15:
            return str(int(value))
        case float():
            return f"{value:.10g}"
        case datetime.datetime() if value.time() == datetime.time():
            return value.date().isoformat()
        case datetime.datetime():
            return value.isoformat(" ", "minutes")
        case _:
            return one_line(str(value))
