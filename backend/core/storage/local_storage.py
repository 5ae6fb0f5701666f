"""Files in a folder: `<folder>/<tenant>/<path>`, as they are, so that a copy of the folder is a backup.

The library behind `s3_storage.py` has a local store too. It is not used here: it keeps no media type or hash, follows
symbolic links out of its folder, and creates files that other users of the machine may read.
"""

import asyncio
import errno
import os
import stat
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from hashlib import file_digest
from io import FileIO
from pathlib import Path
from typing import BinaryIO, cast

import orjson

from backend.core.error import AlreadyThere, FileNotFound, Invalid, InvalidId, Unavailable
from backend.core.storage.base import BLOCK, LIST_LIMIT, check_path, check_tenant
from backend.core.storage.content import Received, clear_stale, content_type, receive
from backend.dto.file import FileEntry, FilePage, StoredFile

_INCOMING = ".incoming"
"""No tenant's name begins with a dot."""
_FACTS = "user.daedap"
"""An attribute of the file itself, so that it changes with it at once. Where the file system has none, or lost it on
the way through a backup, media type and hash are made anew from the content."""
_TRIES = 10
_HEAD, _TAIL = 4096, 65_536


class LocalStorages:
    """The `FileStorages` below a folder."""

    def __init__(self, folder: Path, *, max_bytes: int) -> None:
        self._folder = folder
        self._max_bytes = max_bytes

    async def open(self) -> None:
        await _disk(lambda: (self._folder / _INCOMING).mkdir(parents=True, exist_ok=True, mode=0o700))
        await self.tidy()

    async def tidy(self) -> None:
        await asyncio.to_thread(clear_stale, self._folder / _INCOMING)

    async def close(self) -> None:
        """Nothing is held open."""

    async def check(self) -> None:
        if not await asyncio.to_thread(os.access, self._folder, os.W_OK | os.X_OK):
            raise Unavailable("The folder of the files cannot be written.")

    def of(self, tenant_id: str) -> "LocalStorage":
        return LocalStorage(self._folder, check_tenant(tenant_id), self._max_bytes)


class LocalStorage:
    """The `FileStorage` of one tenant, in a folder."""

    def __init__(self, folder: Path, tenant_id: str, max_bytes: int) -> None:
        self._incoming = folder / _INCOMING
        self._home = folder / tenant_id
        self._max_bytes = max_bytes

    async def put(
        self,
        path: str,
        content: bytes | AsyncIterator[bytes],
        *,
        content_type: str | None = None,
        limit: int | None = None,
    ) -> StoredFile:
        key = check_path(path)
        limit = self._max_bytes if limit is None else min(limit, self._max_bytes)
        received = await receive(self._incoming, content, limit=limit, declared=content_type)
        try:
            return await _disk(lambda: self._place(received, key))
        finally:
            await asyncio.to_thread(received.path.unlink, missing_ok=True)

    async def open(self, path: str, start: int = 0, end: int | None = None) -> AsyncGenerator[bytes]:
        key = check_path(path)
        if start < 0 or (end is not None and end <= start):
            raise Invalid("A range begins at 0 or later and ends behind its beginning.")
        stream = await _disk(lambda: self._stream(key))
        try:
            size = os.fstat(stream.fileno()).st_size
            if start and start >= size:
                raise Invalid(f"The file ends at {size}.", size=size)
            left = (size if end is None else min(end, size)) - start
            await _disk(lambda: stream.seek(start))
            while left > 0:
                block = await _disk(lambda: stream.read(min(BLOCK, left)))  # noqa: B023 - awaited within this turn
                if not block:
                    return
                left -= len(block)
                yield block
        finally:
            stream.close()

    async def stat(self, path: str) -> StoredFile:
        key = check_path(path)

        def look() -> StoredFile:
            with self._stream(key) as stream:
                return _describe(key, stream)

        return await _disk(look)

    async def delete(self, path: str) -> bool:
        key = check_path(path)

        def remove() -> bool:
            place = self._locate(key)
            if not place.is_file():
                return False
            place.unlink()
            self._prune(place.parent)
            return True

        try:
            return await _disk(remove)
        except FileNotFound:
            return False

    async def clear(self, folder: str = "") -> int:
        key = check_path(folder) if folder else ""

        def empty() -> int:
            place = self._locate(key) if key else self._home
            removed = _empty(place)
            self._prune(place)
            if not key:
                with suppress(OSError):  # something has been put into it just now, or it leads elsewhere
                    self._home.rmdir()
            return removed

        return await _disk(empty)

    async def list(self, folder: str = "", *, limit: int = LIST_LIMIT, after: str | None = None) -> FilePage:
        top = f"{check_path(folder)}/" if folder else ""
        limit = max(1, min(limit, LIST_LIMIT))

        def walk() -> FilePage:
            found: list[FileEntry] = []
            home = self._locate(top[:-1]) if top else self._home
            for key, entry in _files(home, top, after or ""):
                if len(found) == limit:
                    return FilePage(files=tuple(found), next=found[-1].key)
                with suppress(FileNotFoundError):  # deleted meanwhile
                    status = entry.stat(follow_symlinks=False)
                    found.append(
                        FileEntry(key=key, size=status.st_size, etag=_etag(status), updated_at=_moment(status))
                    )
            return FilePage(files=tuple(found))

        return await _disk(walk)

    async def link(self, path: str, seconds: int) -> str | None:
        await self.stat(path)
        return None

    def _locate(self, key: str) -> Path:
        """Return the place of a path, when no symbolic link is on the way to it.

        Raises:
            InvalidId: there is one; only somebody on this machine can have put it there.
        """
        place = self._home / key
        real = os.path.realpath(self._home)
        if os.path.realpath(place) != os.path.join(real, *key.split("/")):
            raise InvalidId("The path leads through a symbolic link.")
        return place

    def _prune(self, folder: Path) -> None:
        """Remove a folder and those above it, up to the tenant's, as far as they are empty."""
        while folder != self._home:
            try:
                folder.rmdir()
            except OSError:
                break  # something else is in it
            folder = folder.parent

    def _stream(self, key: str) -> BinaryIO:
        """Open a file.

        Raises:
            FileNotFound: there is none, or a folder.
        """
        try:
            descriptor = os.open(self._locate(key), os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            raise FileNotFound(key) from None
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise FileNotFound(key)
        return os.fdopen(descriptor, "rb", buffering=0)

    def _place(self, received: Received, key: str) -> StoredFile:
        """Put what was received where it belongs, in place of what is there."""
        facts = orjson.dumps({"type": received.content_type, "sha256": received.sha256})
        with suppress(OSError, AttributeError):
            os.setxattr(received.path, _FACTS, facts)
        place = self._locate(key)
        for _ in range(_TRIES):  # a delete may take an empty folder away just now
            try:
                place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                received.path.replace(place)
                break
            except FileNotFoundError:
                continue
            except (NotADirectoryError, IsADirectoryError, FileExistsError) as error:
                raise AlreadyThere(f"{key} cannot be a file: it, or a part of its path, is another thing.") from error
        else:
            raise Unavailable("The folder of the file keeps vanishing.")
        _sync(place.parent)
        status = place.stat()
        return StoredFile(
            key=key,
            size=received.size,
            content_type=received.content_type,
            sha256=received.sha256,
            etag=_etag(status),
            updated_at=_moment(status),
        )


def _files(folder: Path, prefix: str, after: str) -> Iterator[tuple[str, "os.DirEntry[str]"]]:
    """Yield the files below a folder that stand behind `after`, in the order of their keys."""
    try:
        with os.scandir(folder) as entries:
            # A folder sorts as its keys do: with a slash behind its name.
            found = sorted(
                (f"{prefix}{entry.name}{'/' if entry.is_dir(follow_symlinks=False) else ''}", entry)
                for entry in entries
                if not entry.is_symlink()
            )
    except (FileNotFoundError, NotADirectoryError):
        return
    for key, entry in found:
        if not key.endswith("/"):
            if key > after:
                yield key, entry
        elif key > after or after.startswith(key):
            yield from _files(Path(entry.path), key, after)


def _empty(folder: Path) -> int:
    """Remove what is below a folder; return how many files that were.

    Their names are not asked whether they are paths: a copy that was made on another system may have put them in a
    form of Unicode in which nobody finds them, and they are to go all the same.
    """
    removed = 0
    for place, folders, names in folder.walk(top_down=False):  # it follows no symbolic links, and names them as files
        for name in names:
            (place / name).unlink(missing_ok=True)
        removed += len(names)
        for name in folders:
            with suppress(OSError):  # somebody has put something into it just now
                (place / name).rmdir()
    return removed


def _describe(key: str, stream: BinaryIO) -> StoredFile:
    descriptor = stream.fileno()
    status = os.fstat(descriptor)
    try:
        facts = orjson.loads(os.getxattr(descriptor, _FACTS))
        kind, digest = str(facts["type"]), str(facts["sha256"])
    except (OSError, AttributeError, ValueError, KeyError, TypeError):
        head = stream.read(_HEAD)
        stream.seek(max(0, status.st_size - _TAIL))
        kind = content_type(head, stream.read(_TAIL))
        stream.seek(0)
        digest = file_digest(cast(FileIO, stream), "sha256").hexdigest()
    return StoredFile(
        key=key,
        size=status.st_size,
        content_type=kind,
        sha256=digest,
        etag=_etag(status),
        updated_at=_moment(status),
    )


def _etag(status: os.stat_result) -> str:
    return f'"{status.st_ino:x}-{status.st_mtime_ns:x}-{status.st_size:x}"'


def _moment(status: os.stat_result) -> datetime:
    return datetime.fromtimestamp(status.st_mtime, UTC)


def _sync(folder: Path) -> None:
    """Wait until the disk has the file's name, where folders can be waited for."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


async def _disk[T](work: Callable[[], T]) -> T:
    try:
        return await asyncio.to_thread(work)
    except OSError as error:
        if error.errno in {errno.ENAMETOOLONG, errno.EINVAL, errno.EILSEQ}:
            raise InvalidId("The file system does not take this path.") from error
        raise Unavailable("The files cannot be reached.") from error
