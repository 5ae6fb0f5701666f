"""One job's files on their way: some are being read while others, all that are ready, are being written together."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import file_digest
from pathlib import Path
from uuid import UUID

from loguru import logger

from backend.core.collector.file.document import Limits, ParsedDocument
from backend.core.collector.file.markdown import read_markdown
from backend.core.collector.file.pool import FileReader
from backend.core.collector.file.reason import refused
from backend.core.error import DomainError, IndexMismatch, InvalidFile, Unavailable
from backend.database.base import Database
from backend.dto.knowledge import FileReport
from backend.repository.job import JobFile, JobRepository
from backend.service.document_store import DocumentStore, Incoming, digest_of

_PAGE = 100
"""Files of a job that are looked up at once."""
_GROUP = 16
"""Documents that are written together, and that may wait to be."""
_GROUP_CHARS = 500_000


@dataclass(frozen=True, slots=True)
class _Ready:
    """A file that has been read, or that will never be."""

    file: JobFile
    result: Incoming | FileReport


class IngestPipeline:
    """Takes in the files of one job that have no outcome yet."""

    def __init__(
        self,
        tenant_id: str,
        job_id: UUID,
        *,
        db: Database,
        store: DocumentStore,
        reader: FileReader,
        concurrency: int,
        clock: Callable[[], datetime],
        on_change: Callable[[], None],
    ) -> None:
        self._tenant_id = tenant_id
        self._job_id = job_id
        self._db = db
        self._store = store
        self._reader = reader
        self._concurrency = concurrency
        self._clock = clock
        self._on_change = on_change
        self._stopped = asyncio.Event()
        self._error: DomainError | None = None

    def stop(self) -> None:
        """Begin no further file and give up what is being read; what has been read is still written."""
        self._stopped.set()

    async def run(self) -> None:
        """Take in all that is left, or until `stop`.

        Raises:
            IndexMismatch, Unavailable: no further file could succeed.
        """
        files: asyncio.Queue[JobFile | None] = asyncio.Queue(maxsize=self._concurrency)
        ready: asyncio.Queue[_Ready | None] = asyncio.Queue(maxsize=_GROUP)
        async with asyncio.TaskGroup() as writing:
            writing.create_task(self._write_all(ready))
            async with asyncio.TaskGroup() as reading:
                for _ in range(self._concurrency):
                    reading.create_task(self._read_all(files, ready))
                await self._list(files)
            await ready.put(None)
        if self._error is not None:
            raise self._error

    async def _list(self, files: asyncio.Queue[JobFile | None]) -> None:
        """Hand out the files that are left, then an end to each reader."""
        behind = -1
        while not self._stopped.is_set() and (page := await self._left(behind)):
            for file in page:
                await files.put(file)
            behind = page[-1].position
        for _ in range(self._concurrency):
            await files.put(None)

    async def _left(self, behind: int) -> Sequence[JobFile]:
        return await self._db.read(
            lambda c: JobRepository(c, self._tenant_id).left(self._job_id, limit=_PAGE, behind=behind)
        )

    # --- reading

    async def _read_all(self, files: asyncio.Queue[JobFile | None], ready: asyncio.Queue[_Ready | None]) -> None:
        while (file := await files.get()) is not None:
            if not self._stopped.is_set() and (result := await self._try_read(file)) is not None:
                await ready.put(_Ready(file, result))

    async def _try_read(self, file: JobFile) -> Incoming | FileReport | None:
        """Return the document, or why there is none; None when the job was stopped meanwhile."""
        try:
            digest, size = await asyncio.to_thread(_measure, file)
            document = await self._store.unchanged(self._tenant_id, file.source, digest)
            if document is not None:
                return FileReport(file.source, "unchanged", chunks=document.chunks)
            if file.path is not None:
                parsed = await self._read_file(Path(file.path), file.source)
                return Incoming(file.source, parsed, digest, size) if parsed is not None else None
            content = file.content or {}
            parsed = await asyncio.to_thread(read_markdown, content["text"], content["title"], Limits())
            return Incoming(file.source, parsed, digest, size, content.get("url"), content.get("metadata") or {})
        except Unavailable as error:
            self._give_up(error)
            return None
        except DomainError as error:
            return _failed(file, error)
        except Exception:  # noqa: BLE001  (where the file's task ends)
            logger.exception("a file could not be read")
            return _failed(file, refused("crashed"))

    async def _read_file(self, path: Path, name: str) -> ParsedDocument | None:
        reading = asyncio.ensure_future(self._reader.read(path, name))
        stopped = asyncio.ensure_future(self._stopped.wait())
        try:
            await asyncio.wait((reading, stopped), return_when=asyncio.FIRST_COMPLETED)
            return reading.result() if reading.done() else None
        finally:
            reading.cancel()
            stopped.cancel()
            await asyncio.gather(reading, stopped, return_exceptions=True)

    # --- writing

    async def _write_all(self, ready: asyncio.Queue[_Ready | None]) -> None:
        group: list[_Ready] = []
        ended = False
        while not ended:
            item = await ready.get()
            while item is not None:
                if not _fits(item, group):
                    await self._write(group)
                    group = []
                group.append(item)
                if ready.empty():
                    break
                item = ready.get_nowait()
            ended = item is None
            await self._write(group)
            group = []

    async def _write(self, group: Sequence[_Ready]) -> None:
        """Write the documents of a group and record what became of its files."""
        if not group or self._error is not None:
            return
        incoming = [item.result for item in group if isinstance(item.result, Incoming)]
        written = await self._try_put(incoming)
        if written is None:
            return
        outcomes = iter(written)
        reports = [
            (item.file, item.result if isinstance(item.result, FileReport) else next(outcomes)) for item in group
        ]

        def record(jobs: JobRepository) -> bool:
            now = self._clock()
            goes_on = [jobs.report(self._job_id, file.position, report, now) for file, report in reports]
            return all(goes_on)

        if not await self._db.write(lambda c: record(JobRepository(c, self._tenant_id)), durable=False):
            self.stop()
        self._on_change()

    async def _try_put(self, documents: Sequence[Incoming]) -> list[FileReport] | None:
        """Return a report for each document; None when no further one could succeed."""
        try:
            results = await self._store.put(self._tenant_id, documents) if documents else []
            return [FileReport(document.source, outcome, chunks=document.chunks) for outcome, document in results]
        except (IndexMismatch, Unavailable) as error:
            self._give_up(error)
            return None
        except DomainError as error:
            if len(documents) == 1:
                return [_failed(documents[0], error)]
        except Exception:  # noqa: BLE001  (where the files' task ends)
            logger.exception("documents could not be written")
            if len(documents) == 1:
                return [_failed(documents[0], refused("crashed"))]
        # One of them spoils it for the others: each on its own.
        reports: list[FileReport] = []
        for document in documents:
            report = await self._try_put([document])
            if report is None:
                return None
            reports += report
        return reports

    def _give_up(self, error: DomainError) -> None:
        """Nothing is wrong with this file, and the next one would fare no better."""
        self._error = error
        self.stop()


def _fits(item: _Ready, group: Sequence[_Ready]) -> bool:
    """Whether a group stays small with `item`, and each of its documents has a name of its own."""
    if len(group) >= _GROUP or any(other.file.source == item.file.source for other in group):
        return False
    return sum(_chars(other) for other in (item, *group)) <= _GROUP_CHARS or not group


def _chars(item: _Ready) -> int:
    return sum(len(part.text) for part in item.result.parsed.sections) if isinstance(item.result, Incoming) else 0


def _failed(file: JobFile | Incoming, error: DomainError) -> FileReport:
    code = error.members.get("code", error.slug)
    return FileReport(file.source, "failed", error.detail, 0, code, error.members.get("detail_ko"))


def _measure(file: JobFile) -> tuple[str, int]:
    """Return SHA-256 and bytes of what a file holds now."""
    if file.path is None:
        return digest_of(file.content or {})
    try:
        with Path(file.path).open("rb") as stream:
            return file_digest(stream, "sha256").hexdigest(), stream.tell()
    except FileNotFoundError as error:
        raise refused("not_found") from error
    except OSError as error:
        raise InvalidFile(f"The file cannot be opened: {error.strerror}.", code="unreadable") from error
