"""Attachments: fetched while their links live, kept with their hash, and read for the text in them.

Of each, the file is written first, then its text, and last its row says that both are there. Their places follow from
the row's id alone; so a server that is killed at any moment does it again in the same places, and nothing is doubled.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

from loguru import logger

from backend.core.collector.file.document import ParsedDocument
from backend.core.collector.file.pool import FileReader
from backend.core.collector.platform import SupportSource
from backend.core.error import (
    DomainError,
    FileNotFound,
    InvalidFile,
    TooLarge,
    TooMany,
    Unauthorized,
)
from backend.core.storage import FileStorage, FileStorages
from backend.core.storage.base import BLOCK, safe_name
from backend.core.storage.content import Received, clear_stale, receive
from backend.database.base import Database
from backend.dto.file import StoredFile
from backend.dto.principal import Principal
from backend.dto.tenant import Limits
from backend.dto.ticket import Attachment, AttachmentStatus
from backend.repository.attachment import AttachmentRepository
from backend.service.file import used_by

BATCH = 20
AT_ONCE = 4
"""Attachments that are fetched at once."""
FETCH_SECONDS = 300.0
"""For the whole of one attachment."""
TEXT_LIMIT = 200_000
"""Characters of an attachment's text that are kept for the index; more says nothing more about its ticket."""
_FATAL = (Unauthorized, TooMany)
"""What would befall every further attachment as well."""
_NO_DOCUMENT = frozenset({"unsupported", "old_office", "no_text"})
"""Why there is no text in what is quite in order: a picture, an archive."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AttachmentText:
    """The text in an attachment."""

    id: UUID
    name: str
    private: bool
    """Whether it hangs on a note among agents: never to be shown to a customer."""
    text: str


_NO_ROOM = "The tenant's files have as many bytes as its storage limit allows."


class _Room:
    """How many bytes the files that are fetched may have together; None without a limit."""

    def __init__(self, left: int | None) -> None:
        self._left = left

    def has(self, size: int) -> bool:
        return self._left is None or 0 < self._left >= size

    def take(self, size: int) -> bool:
        """Take as much, if there is that much."""
        if self._left is None:
            return True
        if not self.has(size):
            return False
        self._left -= size
        return True


class _FetchFailed(Exception):
    """The platform's side failed, not ours."""

    def __init__(self, error: DomainError) -> None:
        super().__init__(error.slug)
        self.error = error


class AttachmentService:
    """Fetches and shows attachments. `work` is a part of collecting from a platform."""

    def __init__(
        self,
        database: Database,
        storages: FileStorages,
        reader: FileReader,
        *,
        folder: Path,
        max_bytes: int,
        limits: Callable[[str], Awaitable[Limits]] | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """`folder` holds what is being received; nothing in it is needed after a restart."""
        self._database = database
        self._storages = storages
        self._reader = reader
        self._folder = folder
        self._max_bytes = max_bytes
        self._limits = limits
        self._clock = clock

    # --- fetching

    async def work(self, tenant_id: str, platform: str, source: SupportSource) -> AsyncIterator[int]:
        """Fetch what waits, and clear away what the platform has no more; yield how many each batch had.

        One that fails is recorded at its row, and the rest goes on.

        Raises:
            Unauthorized, TooMany: the platform lets no more be fetched now; what is left goes on waiting.
            Unavailable, UpstreamFailed: files cannot be kept now; what is left goes on waiting.
        """
        await asyncio.to_thread(clear_stale, self._folder)
        async for cleared in self._clear(tenant_id, platform):
            yield cleared
        room = await self._room(tenant_id)
        behind: UUID | None = None
        while True:
            waiting = await self._database.read(
                lambda c: AttachmentRepository(c, tenant_id).pending(BATCH, platform=platform, after=behind)  # noqa: B023 - read within this turn
            )
            if not waiting:
                return
            behind = waiting[-1].id
            await self._fetch_all(source, waiting, room)
            yield len(waiting)

    async def _room(self, tenant_id: str) -> "_Room":
        most = None if self._limits is None else (await self._limits(tenant_id)).storage_bytes
        return _Room(None if most is None else most - await used_by(self._storages.of(tenant_id)))

    async def _fetch_all(self, source: SupportSource, waiting: Sequence[Attachment], room: "_Room") -> None:
        turns = asyncio.Semaphore(AT_ONCE)

        async def fetch(attachment: Attachment) -> None:
            async with turns:
                await self._fetch(source, attachment, room)

        try:
            async with asyncio.TaskGroup() as group:
                for attachment in waiting:
                    group.create_task(fetch(attachment))
        except* DomainError as failures:
            raise _first(failures) from None

    async def _fetch(self, source: SupportSource, attachment: Attachment, room: "_Room") -> None:
        if attachment.data.size > self._max_bytes:
            await self._note(attachment, "skipped", self._too_large())
            return
        if not room.has(attachment.data.size):
            await self._note(attachment, "failed", _NO_ROOM)  # it is tried again when its ticket is read again
            return
        try:
            async with asyncio.timeout(FETCH_SECONDS):
                received = await receive(
                    self._folder,
                    _download(source, attachment),
                    limit=self._max_bytes,
                    declared=attachment.data.content_type,
                )
        except TooLarge:
            await self._note(attachment, "skipped", self._too_large())
        except TimeoutError:
            await self._note(attachment, "failed", f"It was not received within {FETCH_SECONDS:g} seconds.")
        except _FetchFailed as failed:
            if isinstance(failed.error, _FATAL):
                raise failed.error from None
            await self._note(attachment, "failed", failed.error.detail)
        else:
            try:
                if room.take(received.size):
                    await self._keep(attachment, received)
                else:
                    await self._note(attachment, "failed", _NO_ROOM)
            finally:
                await asyncio.to_thread(received.path.unlink, missing_ok=True)

    async def _keep(self, attachment: Attachment, received: Received) -> None:
        """Store the file and its text, then say so."""
        files = self._storages.of(attachment.tenant_id)
        key = f"{_folder(attachment)}/content/{safe_name(attachment.data.name)}"
        stored = await files.put(key, _blocks(received.path), content_type=received.content_type)
        text, reason = await self._text(received.path, attachment.data.name)
        if text:
            await files.put(_text_key(attachment), text.encode())
        else:
            await files.delete(_text_key(attachment))
        if attachment.file_key is not None and attachment.file_key != key:
            await files.delete(attachment.file_key)  # it was stored under another name before
        await self._database.write(
            lambda c: AttachmentRepository(c, attachment.tenant_id).stored(
                attachment.id,
                key,
                received.sha256,
                stored.size,
                received.content_type,
                self._clock(),
                reason=reason,
                has_text=bool(text),
            ),
            durable=False,
        )

    async def _text(self, path: Path, name: str) -> tuple[str, str | None]:
        """Return the text of a file, or why there is none where there should be one."""
        try:
            parsed = await self._reader.read(path, name)
        except InvalidFile as error:
            return "", None if error.members.get("code") in _NO_DOCUMENT else error.detail
        return _flat(parsed)[:TEXT_LIMIT], None

    async def _note(self, attachment: Attachment, status: AttachmentStatus, reason: str) -> None:
        logger.info(
            "attachment {attachment_id} {status}: {reason}",
            attachment_id=attachment.id,
            status=status,
            reason=reason,
        )
        await self._database.write(
            lambda c: AttachmentRepository(c, attachment.tenant_id).failed(
                attachment.id, status, reason, self._clock()
            ),
            durable=False,
        )

    def _too_large(self) -> str:
        return f"It has more than {self._max_bytes} bytes."

    async def _clear(self, tenant_id: str, platform: str | None) -> AsyncIterator[int]:
        """Remove the files of what was removed, then the rows."""
        files = self._storages.of(tenant_id)
        while True:
            gone = await self._database.read(
                lambda c: AttachmentRepository(c, tenant_id).removed(BATCH, platform=platform)
            )
            if not gone:
                return
            for attachment in gone:
                await files.clear(_folder(attachment))
            ids = [attachment.id for attachment in gone]
            await self._database.write(lambda c: AttachmentRepository(c, tenant_id).forget(ids))  # noqa: B023 - awaited within this turn
            yield len(gone)

    async def remove(self, tenant_id: str, platform: str, ticket_ids: Sequence[str]) -> int:
        """Remove the attachments of tickets with their files; return how many there were."""
        now = self._clock()
        removed = await self._database.write(
            lambda c: AttachmentRepository(c, tenant_id).remove_tickets(platform, ticket_ids, now)
        )
        async for _ in self._clear(tenant_id, platform):
            pass
        return removed

    async def purge(self, tenant_id: str, platform: str | None = None) -> None:
        """Remove all attachments of a tenant, or those from one platform, with their files."""
        now = self._clock()
        await self._database.write(lambda c: AttachmentRepository(c, tenant_id).purge(now, platform))
        async for _ in self._clear(tenant_id, platform):
            pass
        # Also what no row knows of, however it came there.
        await self._storages.of(tenant_id).clear(f"attachments/{safe_name(platform)}" if platform else "attachments")

    # --- showing

    async def list(
        self,
        principal: Principal,
        *,
        ticket_id: str | None = None,
        platform: str | None = None,
        status: AttachmentStatus | None = None,
        limit: int = 20,
        after: UUID | None = None,
    ) -> Sequence[Attachment]:
        """Return attachments, the oldest first, from behind `after` on."""
        return await self._database.read(
            lambda c: AttachmentRepository(c, principal.tenant_id).list(
                ticket_id=ticket_id, platform=platform, status=status, limit=limit, after=after
            )
        )

    async def count(
        self,
        principal: Principal,
        *,
        ticket_id: str | None = None,
        platform: str | None = None,
        status: AttachmentStatus | None = None,
    ) -> int:
        """Return how many such attachments there are."""
        return await self._database.read(
            lambda c: AttachmentRepository(c, principal.tenant_id).count(
                ticket_id=ticket_id, platform=platform, status=status
            )
        )

    async def get(self, principal: Principal, attachment_id: UUID) -> Attachment:
        """Return an attachment.

        Raises:
            AttachmentNotFound: no such attachment, or another tenant's.
        """
        return await self._database.read(lambda c: AttachmentRepository(c, principal.tenant_id).get(attachment_id))

    async def content(self, principal: Principal, attachment_id: UUID) -> tuple[Attachment, StoredFile, FileStorage]:
        """Return an attachment, its file, and where that is to be read.

        Raises:
            AttachmentNotFound: no such attachment, or another tenant's.
            FileNotFound: it is not there (yet); the detail says why.
        """
        attachment = await self.get(principal, attachment_id)
        if attachment.status != "stored" or attachment.file_key is None:
            raise FileNotFound(f"{attachment_id} ({attachment.status})")
        files = self._storages.of(principal.tenant_id)
        return attachment, await files.stat(attachment.file_key), files

    async def texts(
        self, tenant_id: str, platform: str, ticket_id: str, *, private: bool = False, limit: int = 20
    ) -> Sequence[AttachmentText]:
        """Return the texts in the attachments of a ticket; those on notes among agents only with `private`."""
        found = await self._database.read(
            lambda c: AttachmentRepository(c, tenant_id).list(
                ticket_id=ticket_id, platform=platform, status="stored", limit=limit
            )
        )
        files = self._storages.of(tenant_id)
        texts = []
        for attachment in found:
            if attachment.private and not private:
                continue
            try:
                blocks = [block async for block in files.open(_text_key(attachment))]
            except FileNotFound:
                continue  # there is no text in it
            texts.append(
                AttachmentText(
                    id=attachment.id,
                    name=attachment.data.name,
                    private=attachment.private,
                    text=b"".join(blocks).decode(errors="replace"),
                )
            )
        return texts


async def _download(source: SupportSource, attachment: Attachment) -> AsyncGenerator[bytes]:
    """Yield the bytes; a failure of the platform's is told apart from one of ours."""
    blocks = source.download(attachment.data, ticket_id=attachment.ticket_id)
    try:
        async for block in blocks:
            yield block
    except DomainError as error:
        raise _FetchFailed(error) from error
    finally:
        if isinstance(blocks, AsyncGenerator):
            await blocks.aclose()


async def _blocks(path: Path) -> AsyncGenerator[bytes]:
    stream = await asyncio.to_thread(path.open, "rb")
    try:
        while block := await asyncio.to_thread(stream.read, BLOCK):
            yield block
    finally:
        stream.close()


def _folder(attachment: Attachment) -> str:
    return f"attachments/{safe_name(attachment.platform)}/{attachment.id.hex}"


def _text_key(attachment: Attachment) -> str:
    return f"{_folder(attachment)}/text.txt"


def _flat(parsed: ParsedDocument) -> str:
    """Return a document's text with its headings, as it would be read."""
    parts: list[str] = []
    path: tuple[str, ...] = ()
    for section in parsed.sections:
        if section.path != path and section.path:
            parts.append(section.path[-1])
        path = section.path
        parts.append(section.text)
    return "\n\n".join(parts)


def _first(failures: ExceptionGroup[DomainError]) -> DomainError:
    first = failures.exceptions[0]
    return _first(first) if isinstance(first, ExceptionGroup) else first
