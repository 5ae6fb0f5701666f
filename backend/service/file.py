"""A tenant's own files. They stand apart from what the server keeps for itself, such as attachments."""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from dataclasses import replace

from backend.core.error import Conflict, FileNotFound, TooLarge
from backend.core.storage import FileStorage, FileStorages
from backend.core.storage.base import LIST_LIMIT, check_path
from backend.dto.file import FilePage, StoredFile
from backend.dto.principal import Principal
from backend.dto.tenant import Limits

_HOME = "files/"


class FileService:
    """Takes in, shows and gives out files."""

    def __init__(self, storages: FileStorages, limits: Callable[[str], Awaitable[Limits]] | None = None) -> None:
        """`limits` tells what a tenant may use; without it, all it likes."""
        self._storages = storages
        self._limits = limits

    async def put(
        self,
        principal: Principal,
        path: str,
        content: AsyncIterator[bytes],
        *,
        content_type: str | None = None,
    ) -> tuple[bool, StoredFile]:
        """Keep a file, in place of what was there; return whether it is new, and the file.

        Raises:
            InvalidId: it is no path.
            TooLarge: it has too many bytes, or the tenant's files together would have.
        """
        files, key = self._of(principal, path)
        try:
            before = (await files.stat(key)).size
        except FileNotFound:
            before = None
        limit = await self._room(principal, files, before or 0)
        stored = await files.put(key, content, content_type=content_type, limit=limit)
        return before is None, _own(stored)

    async def stat(self, principal: Principal, path: str) -> StoredFile:
        """Return what is known of a file.

        Raises:
            InvalidId, FileNotFound
        """
        files, key = self._of(principal, path)
        return _own(await _found(path, files.stat(key)))

    def read(self, principal: Principal, path: str, start: int = 0, end: int | None = None) -> AsyncGenerator[bytes]:
        """Return the bytes from `start` up to, not including, `end`."""
        files, key = self._of(principal, path)
        return files.open(key, start, end)

    async def delete(self, principal: Principal, path: str) -> None:
        """Remove a file.

        Raises:
            InvalidId, FileNotFound
        """
        files, key = self._of(principal, path)
        if not await files.delete(key):
            raise FileNotFound(path)

    async def list(
        self, principal: Principal, folder: str = "", *, limit: int = 100, after: str | None = None
    ) -> FilePage:
        """Return the files in a folder and below it, from behind the page's `next` on."""
        files = self._storages.of(principal.tenant_id)
        folder = check_path(folder) if folder else ""
        page = await files.list(
            f"{_HOME}{folder}".rstrip("/"), limit=limit, after=None if after is None else f"{_HOME}{check_path(after)}"
        )
        return FilePage(
            files=tuple(replace(entry, key=entry.key.removeprefix(_HOME)) for entry in page.files),
            next=None if page.next is None else page.next.removeprefix(_HOME),
        )

    async def link(self, principal: Principal, path: str, seconds: int) -> str:
        """Return an address from which anybody may fetch the file for so many seconds.

        Raises:
            InvalidId, FileNotFound
            Conflict: the files are in a folder of the server, which gives no such addresses.
        """
        files, key = self._of(principal, path)
        found = await _found(path, files.link(key, seconds))
        if found is None:
            raise Conflict("Files are kept in a folder of the server; links need S3 (FILES_URL).")
        return found

    async def purge(self, tenant_id: str) -> int:
        """Remove every file that is kept for a tenant, attachments too; return how many there were."""
        return await self._storages.of(tenant_id).clear()

    def _of(self, principal: Principal, path: str) -> tuple[FileStorage, str]:
        return self._storages.of(principal.tenant_id), f"{_HOME}{check_path(path)}"

    async def _room(self, principal: Principal, files: FileStorage, before: int) -> int | None:
        """Return how many bytes the file may have by the tenant's limit; None without one.

        Two uploads at once may each take what is left: the limit is one of storage, not of money.
        """
        most = None if self._limits is None else (await self._limits(principal.tenant_id)).storage_bytes
        if most is None:
            return None
        left = most - await used_by(files) + before
        if left <= 0:
            raise TooLarge(f"The files of the tenant may have at most {most} bytes together.", limit=most)
        return left


async def used_by(files: FileStorage) -> int:
    """Return how many bytes all files of a tenant have, attachments too."""
    used, after = 0, None
    while True:
        page = await files.list(limit=LIST_LIMIT, after=after)
        used += sum(entry.size for entry in page.files)
        if (after := page.next) is None:
            return used


def _own(file: StoredFile) -> StoredFile:
    """Return the file under the name by which its tenant knows it."""
    return replace(file, key=file.key.removeprefix(_HOME))


async def _found[T](path: str, asked: Awaitable[T]) -> T:
    try:
        return await asked
    except FileNotFound:
        raise FileNotFound(path) from None  # by the name that was asked for
