"""Which files of a folder are taken in, and under what name."""

import os
import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path

from backend.core.collector.file.sniff import SUFFIXES
from backend.core.error import InvalidFile, TooLarge

_UNSEEN = re.compile(r"[\x00-\x1f\x7f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]")
_DRIVE = re.compile(r"^[A-Za-z]:")
_MAX_SOURCE = 512


@dataclass(frozen=True, slots=True)
class Folder:
    files: list[tuple[str, Path]]
    """Source and path of each, in the order of their names."""
    skipped: int
    """Files of kinds that nothing here reads; hidden ones are not counted."""


def find_files(path: Path, limit: int) -> Folder:
    """Return the file at `path`, or the files below it that can be read; links and hidden entries are not followed.

    A file is named by its place below the folder, the folder's own name first: `handbook/leave/annual.md`.

    Raises:
        InvalidFile: there is nothing at `path`.
        TooLarge: there are more than `limit` files.
    """
    path = path.expanduser().resolve()
    if path.is_file():
        return Folder([(safe_source(path.name), path)], 0)
    if not path.is_dir():
        raise InvalidFile(f"There is no file or folder {path}.", code="not_found")
    files: list[tuple[str, Path]] = []
    skipped = 0
    for folder, folders, names in os.walk(path):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            found = Path(folder, name)
            if name.startswith(".") or found.is_symlink() or not found.is_file():
                continue
            if found.suffix.lower() not in SUFFIXES:
                skipped += 1
                continue
            if len(files) == limit:
                raise TooLarge(f"The folder holds more than {limit} files; take it in by parts.")
            files.append((safe_source(f"{path.name}/{found.relative_to(path).as_posix()}"), found))
    return Folder(files, skipped)


def safe_source(name: str | None) -> str:
    """Return a name that leads nowhere and shows as it is: no drive, no `..`, nothing invisible, in Unicode's form C.

    Form C because macOS sends Hangul in letters (form D), and the same file is to have the same name everywhere.
    """
    text = unicodedata.normalize("NFC", _UNSEEN.sub("", name or ""))
    text = _DRIVE.sub("", text).replace("\\", "/")
    parts = [part.strip() for part in text.split("/")]
    source = "/".join(part for part in parts if part not in {"", ".", ".."}) or "unnamed"
    return source if len(source) <= _MAX_SOURCE else source[-_MAX_SOURCE:].lstrip("/")
