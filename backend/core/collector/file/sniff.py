"""What a file is: its content and its name have to agree."""

import zipfile
from pathlib import Path
from typing import Literal

from backend.core.collector.file.reason import refused
from backend.core.error import InvalidFile

Kind = Literal["markdown", "text", "html", "pdf", "docx", "xlsx", "csv", "json", "jsonl", "hwp", "hwpx"]

SUFFIXES: dict[str, Kind] = {
    ".md": "markdown",
    ".markdown": "markdown",
    ".txt": "text",
    ".text": "text",
    ".rst": "text",
    ".log": "text",
    ".html": "html",
    ".htm": "html",
    ".xhtml": "html",
    ".pdf": "pdf",
    ".docx": "docx",
    ".docm": "docx",
    ".xlsx": "xlsx",
    ".xlsm": "xlsx",
    ".csv": "csv",
    ".tsv": "csv",
    ".json": "json",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".hwp": "hwp",
    ".hwpx": "hwpx",
}

MEDIA_TYPES: dict[Kind, str] = {
    "markdown": "text/markdown",
    "text": "text/plain",
    "html": "text/html",
    "pdf": "application/pdf",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "csv": "text/csv",
    "json": "application/json",
    "jsonl": "application/jsonl",
    "hwp": "application/x-hwp",
    "hwpx": "application/hwp+zip",
}

_HEAD = 8192
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ZIP = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")
_OTHERS = {
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"\xff\xd8\xff": "JPEG",
    b"GIF8": "GIF",
    b"II*\x00": "TIFF",
    b"MM\x00*": "TIFF",
    b"\x1f\x8b": "GZIP",
    b"BZh": "BZIP2",
    b"\xfd7zXZ\x00": "XZ",
    b"7z\xbc\xaf\x27\x1c": "7-Zip",
    b"Rar!": "RAR",
    b"\x7fELF": "ELF",
    b"MZ": "EXE",
    b"{\\rtf": "RTF",
    b"%!PS": "PostScript",
    b"SQLite format 3\x00": "SQLite",
}
_TEXTS: frozenset[Kind] = frozenset({"markdown", "text", "html", "csv", "json", "jsonl"})
_MARKED = (b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf")


def kind_of(path: Path, name: str) -> Kind:
    """Return the kind of the file at `path` that was called `name`.

    Raises:
        InvalidFile: nothing here reads it, or its content is not what its name says.
    """
    with path.open("rb") as stream:
        head = stream.read(_HEAD)
    if not head:
        raise refused("empty")
    suffix = Path(name).suffix.lower()
    named = SUFFIXES.get(suffix)
    found = _binary_kind(path, head, suffix)
    if found is None:
        return _text_kind(head, suffix, named)
    if named is not None and named != found and {named, found} != {"hwp", "hwpx"}:
        raise refused("mismatch", suffix=suffix, kind=found.upper())
    return found


def _binary_kind(path: Path, head: bytes, suffix: str) -> Kind | None:
    """Return the kind that the first bytes prove, or None for text."""
    if head.startswith(b"%PDF-"):
        return "pdf"
    if head.startswith(_ZIP):
        return _zip_kind(path, suffix)
    if head.startswith(_OLE):
        return _ole_kind(path)
    if head.startswith(b"HWP Document File V"):
        return "hwp"
    for magic, kind in _OTHERS.items():
        if head.startswith(magic):
            raise _other(suffix, kind)
    # The header may stand behind other bytes (ISO 32000-1, annex H), but only a file that calls itself PDF is read so.
    if b"%PDF-" in head[:1024] and suffix == ".pdf":
        return "pdf"
    return None


def _text_kind(head: bytes, suffix: str, named: Kind | None) -> Kind:
    if b"\x00" in head and not head.startswith(_MARKED):
        raise _other(suffix, "binary")
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    is_html = start.startswith((b"<!doctype html", b"<html"))
    if named is None:
        return "html" if is_html else "text"
    if named not in _TEXTS:
        raise refused("mismatch", suffix=suffix, kind="HTML" if is_html else "text")
    # A page that was saved as text is read as the page that it is.
    return "html" if is_html and named in {"text", "markdown"} else named


def _zip_kind(path: Path, suffix: str) -> Kind:
    try:
        with zipfile.ZipFile(path) as archive:
            names = set(archive.namelist())
            mimetype = archive.open("mimetype").read(64) if "mimetype" in names else b""
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, RuntimeError) as error:
        raise refused("damaged", detail=str(error) or "not an archive") from error
    kinds: list[Kind] = []
    if "word/document.xml" in names:
        kinds.append("docx")
    if "xl/workbook.xml" in names:
        kinds.append("xlsx")
    if mimetype.startswith(b"application/hwp+zip") or "Contents/section0.xml" in names:
        kinds.append("hwpx")
    if len(kinds) > 1:
        raise refused("ambiguous", kind=", ".join(kinds))
    if not kinds:
        raise _other(suffix, "ZIP")
    return kinds[0]


def _ole_kind(path: Path) -> Kind:
    """Tell the compound files apart by the names in their directory, which are UTF-16."""
    data = path.read_bytes()
    if "EncryptedPackage".encode("utf-16-le") in data:
        raise refused("encrypted")
    if b"HWP Document File" in data:
        return "hwp"
    if any(name.encode("utf-16-le") in data for name in ("WordDocument", "Workbook", "PowerPoint Document")):
        raise refused("old_office")
    raise refused("unsupported", kind="OLE")


def _other(suffix: str, kind: str) -> InvalidFile:
    """Return the error of content that nothing here reads, whatever it is called."""
    return refused("mismatch", suffix=suffix, kind=kind) if suffix in SUFFIXES else refused("unsupported", kind=kind)
