"""The gate before anything unpacks a DOCX, XLSX or HWPX file, all of which are ZIP archives of XML."""

import re
import stat
import zipfile
from pathlib import Path

from backend.core.collector.file.document import Limits
from backend.core.collector.file.reason import refused

_ENCRYPTED = 0x1
_SMALL = 1024 * 1024
"""Entries below it may be packed as tightly as they like: they cannot fill a memory."""
_XML = (".xml", ".rels", ".hpf", ".opf", ".rdf", ".vml")
# None of these formats uses a document type declaration (ECMA-376 part 2 forbids it), and without one there are no
# entities to expand. The zeros are for UTF-16.
_DECLARATION = re.compile(rb"<\0?!\0?(?:D\0?O\0?C\0?T|E\0?N\0?T\0?I)", re.IGNORECASE)
_BLOCK = 256 * 1024


def check_archive(path: Path, limits: Limits) -> None:
    """Unpack the archive once, block by block, and keep nothing.

    Archives inside it (embedded tables, say) are not looked at: no parser here opens them.

    Raises:
        InvalidFile: it is damaged, protected, a bomb, or holds links, foreign paths or XML declarations.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            _check_list(entries, limits)
            for entry in entries:
                _check_entry(archive, entry, limits)
    except (zipfile.BadZipFile, EOFError, OSError, ValueError, NotImplementedError) as error:
        raise refused("damaged", detail=str(error) or type(error).__name__) from error
    except Exception as error:
        # zlib.error and lzma.LZMAError have no common base.
        if type(error).__module__ in {"zlib", "_lzma", "lzma"}:
            raise refused("damaged", detail=str(error)) from error
        raise


def _check_list(entries: list[zipfile.ZipInfo], limits: Limits) -> None:
    if len(entries) > limits.max_entries:
        raise refused("bomb", detail=f"{len(entries)} entries")
    unpacked = sum(entry.file_size for entry in entries)
    if unpacked > limits.max_unpacked:
        raise refused("bomb", detail=f"{unpacked} bytes")
    seen: set[str] = set()
    for entry in entries:
        name = entry.filename.replace("\\", "/")
        if name in seen:
            raise refused("unsafe_archive", detail="two entries of one name")
        seen.add(name)
        if name.startswith("/") or ".." in name.split("/") or ":" in name.split("/")[0]:
            raise refused("unsafe_archive", detail="a path that leads outside")
        if stat.S_ISLNK(entry.external_attr >> 16):
            raise refused("unsafe_archive", detail="a link")
        if entry.flag_bits & _ENCRYPTED:
            raise refused("encrypted")
        if entry.file_size > _SMALL and entry.file_size > limits.max_ratio * max(entry.compress_size, 1):
            raise refused("bomb", detail=f"{entry.file_size} bytes from {entry.compress_size}")


def _check_entry(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, limits: Limits) -> None:
    """Read one entry to its end: `zipfile` stops at the stated size and then compares the checksum."""
    is_xml = entry.filename.lower().endswith(_XML)
    tail = b""
    with archive.open(entry) as stream:
        while block := stream.read(_BLOCK):
            if is_xml and _DECLARATION.search(tail + block):
                raise refused("unsafe_archive", detail="an XML document type declaration")
            tail = block[-32:]
