"""One way in for every kind of file. Untrusted files are read in another process: see `pool.py`."""

from collections.abc import Callable
from pathlib import Path

from backend.core.collector.file.archive import check_archive
from backend.core.collector.file.charset import decode
from backend.core.collector.file.document import Limits, ParsedDocument
from backend.core.collector.file.hangul import read_hangul
from backend.core.collector.file.html import read_html
from backend.core.collector.file.markdown import read_markdown, read_text
from backend.core.collector.file.pdf import read_pdf
from backend.core.collector.file.reason import refused
from backend.core.collector.file.record import read_json, read_jsonl
from backend.core.collector.file.sniff import MEDIA_TYPES, Kind, kind_of
from backend.core.collector.file.table import read_csv, read_xlsx
from backend.core.collector.file.word import read_docx


def read_file(path: Path, limits: Limits | None = None, name: str | None = None) -> ParsedDocument:
    """Return the text of a file along its structure.

    `name` is what the file was called where that is not its path; its suffix has to agree with the content.

    Raises:
        InvalidFile: it cannot be read; the members `code` and `detail_ko` say why besides the detail.
    """
    limits = limits or Limits()
    name = name or path.name
    if not path.is_file():
        raise refused("not_found")
    size = path.stat().st_size
    if size > limits.max_bytes:
        raise refused("too_large", size=size, limit=limits.max_bytes)
    kind = kind_of(path, name)
    title, media_type = Path(name).stem, MEDIA_TYPES[kind]
    if kind in {"docx", "xlsx", "hwpx"}:
        check_archive(path, limits)
    match kind:
        case "pdf":
            return read_pdf(path, title, limits)
        case "docx":
            return read_docx(path, title, limits, media_type)
        case "xlsx":
            return read_xlsx(path, title, limits, media_type)
        case "hwp" | "hwpx":
            return read_hangul(path, title, limits, media_type)
        case "html":
            return read_html(path.read_bytes(), title, limits)
        case _:
            return _TEXT_READERS[kind](decode(path.read_bytes()), title, limits)


_TEXT_READERS: dict[Kind, Callable[[str, str, Limits], ParsedDocument]] = {
    "markdown": read_markdown,
    "text": read_text,
    "csv": read_csv,
    "json": read_json,
    "jsonl": read_jsonl,
}
