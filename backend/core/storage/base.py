"""The port to files: a name within a tenant, bytes that stream in and out, and nothing that leads outside.

A path is like `invoices/2026/한글 이름.pdf`: parts joined by `/`. Whatever could mean another place (`..`, a leading
`/`, a backslash, control characters) is refused, never repaired.
"""

import re
import unicodedata
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Protocol

from backend.core.error import InvalidId
from backend.dto.file import FilePage, StoredFile

BLOCK = 256 * 1024
"""Bytes that are read or written at once."""
MAX_PATH_BYTES = 800
"""S3 takes keys of 1024 bytes, and the tenant and a prefix stand in front."""
MAX_NAME_BYTES = 240
"""File systems take names of 255 bytes."""
LIST_LIMIT = 1000
LONGEST_LINK = 7 * 24 * 3600
"""Seconds; S3 signs no link for longer."""
_TENANT = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_REFUSED = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Characters that are not seen, that turn a name around, or that nobody can write."""
_JOINERS = frozenset("\u200c\u200d")
"""Also not seen, but words of several languages and many emoji are spelled with them."""


class FileStorage(Protocol):
    """The files of one tenant. `test/contract/test_storage_contract.py` holds every implementation to this.

    Every method may raise `InvalidId` for what is no path, and `Unavailable` or `UpstreamFailed` where the files cannot
    be reached: these never mean that a file is missing.
    """

    async def put(
        self,
        path: str,
        content: bytes | AsyncIterator[bytes],
        *,
        content_type: str | None = None,
        limit: int | None = None,
    ) -> StoredFile:
        """Keep a file, in place of what was there, at once and whole: a reader sees the old or the new one.

        The content is never in memory as a whole. Whatever raises while it comes leaves what was there. `content_type`
        only tells kinds of text apart (CSV, Markdown); else the content itself says what it is.

        Raises:
            TooLarge: it has more than `limit` bytes, or than the storage takes.
        """

    def open(self, path: str, start: int = 0, end: int | None = None) -> AsyncGenerator[bytes]:
        """Yield the bytes from `start` up to, not including, `end`; close it when it is not read to its end.

        Raises:
            FileNotFound: there is none.
            Invalid: `start` is negative, or `end` not behind it, or the file ends before `start`.
        """

    async def stat(self, path: str) -> StoredFile:
        """Return what is known of a file.

        Raises:
            FileNotFound: there is none.
        """

    async def delete(self, path: str) -> bool:
        """Remove a file; return whether it was there."""

    async def clear(self, folder: str = "") -> int:
        """Remove every file in a folder and in those below it, whatever it is called; return how many there were."""

    async def list(self, folder: str = "", *, limit: int = LIST_LIMIT, after: str | None = None) -> FilePage:
        """Return the files in a folder and in those below it, at most `limit`, from behind the page's `next` on."""

    async def link(self, path: str, seconds: int) -> str | None:
        """Return an address from which anybody may fetch the file for so many seconds; None where there is no such.

        Raises:
            FileNotFound: there is none.
        """


class FileStorages(Protocol):
    """The storage of the server: one `FileStorage` a tenant."""

    async def open(self) -> None:
        """Make ready."""

    async def tidy(self) -> None:
        """Clear away what a killed server was receiving."""

    async def close(self) -> None: ...

    async def check(self) -> None:
        """Raise `Unavailable` when files cannot be kept."""

    def of(self, tenant_id: str) -> FileStorage:
        """Return the files of one tenant.

        Raises:
            InvalidId: not a tenant's name, which is also a folder's.
        """


def check_tenant(tenant_id: str) -> str:
    """Return the folder of a tenant.

    Raises:
        InvalidId: not a tenant's name.
    """
    if not _TENANT.fullmatch(tenant_id):
        raise InvalidId(f"{tenant_id[:100]!r} is not a tenant's name.")
    return tenant_id


def check_path(path: str) -> str:
    """Return a path in Unicode's composed form (NFC), so that one name is one file however it was typed.

    Raises:
        InvalidId: it is none, or could lead elsewhere.
    """
    path = unicodedata.normalize("NFC", path)
    if not path:
        raise InvalidId("A file needs a name.")
    if "\\" in path or any(unicodedata.category(char) in _REFUSED and char not in _JOINERS for char in path):
        raise InvalidId("A path may hold neither backslashes nor characters that cannot be seen.")
    if len(path.encode()) > MAX_PATH_BYTES:
        raise InvalidId(f"A path may have at most {MAX_PATH_BYTES} bytes.")
    for part in path.split("/"):
        if part in {"", ".", ".."}:
            raise InvalidId("A path has no empty part, no `.` and no `..`, and begins without `/`.")
        if part != part.strip() or part.endswith("."):
            raise InvalidId("No part of a path begins or ends with a space, or ends with a dot.")
        if len(part.encode()) > MAX_NAME_BYTES:
            raise InvalidId(f"A part of a path may have at most {MAX_NAME_BYTES} bytes.")
    return path


def safe_name(name: str) -> str:
    """Return a name made fit to be a part of a path: for files that others named, who are not there to be asked."""
    name = unicodedata.normalize("NFC", name).replace("\\", "/").rsplit("/", 1)[-1]
    name = "".join(char if unicodedata.category(char) not in _REFUSED else " " for char in name)
    name = " ".join(name.split()).rstrip(". ")
    stem, dot, suffix = name.rpartition(".")
    if dot and stem and len(suffix) <= 16 and len(suffix.encode()) <= 64:
        return _cut(stem, MAX_NAME_BYTES - len(suffix.encode()) - 1).rstrip(". ") + "." + suffix
    return _cut(name, MAX_NAME_BYTES).rstrip(". ") or "file"


def _cut(text: str, size: int) -> str:
    """Return the beginning of a text that has at most `size` bytes."""
    return text.encode()[:size].decode(errors="ignore")
