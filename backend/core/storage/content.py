"""What a content is, from its first and last bytes; and receiving one into a file."""

import asyncio
import os
import re
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, suppress
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path
from tempfile import mkstemp
from typing import TYPE_CHECKING

from backend.core.error import TooLarge, Unavailable
from backend.core.storage.base import BLOCK

if TYPE_CHECKING:
    from hashlib import _Hash as HASH

OCTETS = "application/octet-stream"
_HEAD, _TAIL = 4096, 65_536
_STALE = 24 * 3600
"""Seconds after which nobody is still sending a file."""
_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"%PDF-", "application/pdf"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"BM", "image/bmp"),
    (b"II*\x00", "image/tiff"),
    (b"MM\x00*", "image/tiff"),
    (b"HWP Document File V", "application/x-hwp"),
    (b"\x1f\x8b", "application/gzip"),
    (b"BZh", "application/x-bzip2"),
    (b"\xfd7zXZ\x00", "application/x-xz"),
    (b"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed"),
    (b"Rar!", "application/vnd.rar"),
    (b"\x7fELF", "application/x-elf"),
    (b"MZ", "application/vnd.microsoft.portable-executable"),
    (b"{\\rtf", "application/rtf"),
    (b"%!PS", "application/postscript"),
    (b"OggS", "application/ogg"),
    (b"ID3", "audio/mpeg"),
    (b"SQLite format 3\x00", "application/vnd.sqlite3"),
)
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_OFFICE = "application/vnd.openxmlformats-officedocument"
_PARTS: tuple[tuple[bytes, str], ...] = (
    (b"word/document.xml", f"{_OFFICE}.wordprocessingml.document"),
    (b"xl/workbook.xml", f"{_OFFICE}.spreadsheetml.sheet"),
    (b"ppt/presentation.xml", f"{_OFFICE}.presentationml.presentation"),
    (b"Contents/section0.xml", "application/hwp+zip"),
)
_MARKS: tuple[tuple[bytes, str], ...] = (
    (b"\xef\xbb\xbf", "utf-8"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)
_MARKUP = re.compile(rb"<(!doctype html|html|head|body|script|iframe|table|div|style|title)[\s>/]|<!--")
_TEXTS = frozenset({"text/csv", "text/markdown", "text/tab-separated-values", "application/json", "application/jsonl"})
"""Kinds of plain text, which no byte tells apart; a browser runs none of them."""


def content_type(head: bytes, tail: bytes, declared: str | None = None) -> str:
    """Return the media type that a content has by its first 4 KiB and its last 64 KiB."""
    for magic, found in _MAGIC:
        if head.startswith(magic):
            return found
    if head.startswith(b"PK"):
        return _archive(head, tail)
    if head.startswith(_OLE):
        return "application/x-ole-storage"
    if head[:4] == b"RIFF":
        return {b"WEBP": "image/webp", b"WAVE": "audio/wav", b"AVI ": "video/x-msvideo"}.get(head[8:12], OCTETS)
    if head[4:8] == b"ftyp":
        return "image/heic" if head[8:12] in {b"heic", b"heix", b"mif1"} else "video/mp4"
    return _text(head, declared)


def _archive(head: bytes, tail: bytes) -> str:
    """Tell the archives apart by the names in their directory, which stands at the end."""
    # OPF, ODF and HWPX archives begin with an entry `mimetype`, which is not packed.
    if head[30:38] == b"mimetype" and (match := re.match(rb"[a-z]+/[a-z0-9.+-]{1,100}", head[38:])):
        return match[0].removesuffix(b"PK").decode()
    return next((found for part, found in _PARTS if part in tail or part in head), "application/zip")


def _text(head: bytes, declared: str | None) -> str:
    marked = next((charset for mark, charset in _MARKS if head.startswith(mark)), None)
    if b"\x00" in head and marked != "utf-16":
        return OCTETS
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if _MARKUP.match(start):
        return "text/html"
    if start.startswith((b"<?xml", b"<svg")):
        return "image/svg+xml" if b"<svg" in start else "application/xml"
    controls = sum(byte < 32 and byte not in b"\t\n\r\f\x1b" for byte in head)
    if marked is None and controls:
        return OCTETS
    kind = (declared or "").partition(";")[0].strip().lower()
    return kind if kind in _TEXTS else "text/plain"


@dataclass(frozen=True, slots=True)
class Received:
    """A content that was received into a file of its own, which only its owner may read."""

    path: Path
    size: int
    sha256: str
    content_type: str


async def receive(
    folder: Path,
    content: bytes | AsyncIterator[bytes],
    *,
    limit: int,
    declared: str | None = None,
) -> Received:
    """Write a content, as it comes, into a new file of `folder` (mode 0600); on any error the file is gone.

    Raises:
        TooLarge: it has more than `limit` bytes.
        Unavailable: the disk is full, or cannot be written.
    """
    descriptor, path = await _create(folder)
    try:
        size, digest, head, tail = 0, sha256(), bytearray(), b""
        async with aclosing(_blocks(content)) as blocks:
            async for block in blocks:
                size += len(block)
                if size > limit:
                    raise TooLarge(f"A file may have at most {limit} bytes.", limit=limit)
                if len(head) < _HEAD:
                    head += block[: _HEAD - len(head)]
                tail = (tail + block)[-_TAIL:]
                await _disk(partial(_write, descriptor, block, digest))
        await _disk(lambda: os.fsync(descriptor))
        return Received(path, size, digest.hexdigest(), content_type(bytes(head), tail, declared))
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    finally:
        os.close(descriptor)


def clear_stale(folder: Path) -> None:
    """Remove what servers that were killed had begun to receive."""
    before = time.time() - _STALE
    for path in folder.glob("*.part"):
        with suppress(OSError):
            if path.stat().st_mtime < before:
                path.unlink()


async def _blocks(content: bytes | AsyncIterator[bytes]) -> AsyncGenerator[bytes]:
    """Yield the content in pieces worth a trip to a thread: what comes in crumbs is put together."""
    if isinstance(content, bytes):
        for at in range(0, len(content), BLOCK):
            yield content[at : at + BLOCK]
        return
    waiting = bytearray()
    try:
        async for piece in content:
            waiting += piece
            while len(waiting) >= BLOCK:
                yield bytes(waiting[:BLOCK])
                del waiting[:BLOCK]
        if waiting:
            yield bytes(waiting)
    finally:
        if isinstance(content, AsyncGenerator):
            await content.aclose()  # it may hold a connection, and would be closed only when somebody cleans up


async def _create(folder: Path) -> tuple[int, Path]:
    making = asyncio.ensure_future(asyncio.to_thread(_new, folder))
    try:
        return await asyncio.shield(making)
    except asyncio.CancelledError:
        with suppress(OSError):
            descriptor, path = await making  # nobody else knows of it
            os.close(descriptor)
            path.unlink()
        raise
    except OSError as error:
        raise Unavailable("The file cannot be written.") from error


def _new(folder: Path) -> tuple[int, Path]:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor, name = mkstemp(suffix=".part", dir=folder)  # mode 0600
    return descriptor, Path(name)


def _write(descriptor: int, block: bytes, digest: "HASH") -> None:
    digest.update(block)
    view = memoryview(block)
    while view:
        view = view[os.write(descriptor, view) :]


async def _disk[T](work: Callable[[], T]) -> T:
    """Do something slow with the disk in a thread.

    It is waited for also when the caller is cancelled, since the descriptor is closed then.
    """
    task = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        with suppress(OSError):
            await task
        raise
    except OSError as error:
        raise Unavailable("The file cannot be written.") from error
