"""Ingestion: files in, passages out, as a job that can be watched, cancelled, and killed at any moment.

A job is a row, and a row for each of its files. Whatever has no outcome when a server starts is taken up again; a file
that had been written already is recognized by its content's hash. Progress is read from the same rows, by any number of
readers, who are woken when something ends.
"""

import asyncio
import shutil
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol
from uuid import UUID

from backend.core.collector.file.folder import find_files, safe_source
from backend.core.collector.file.pool import FileReader
from backend.core.error import Invalid, InvalidFile, JobNotFound, TooLarge, TooMany
from backend.database.base import Database
from backend.dto.knowledge import Job, JobKind
from backend.dto.principal import Principal
from backend.repository.job import AllJobs, JobFile, JobRepository
from backend.service.document_store import DocumentStore
from backend.service.ingest_worker import IngestWorker
from backend.service.knowledge import TextDocument
from backend.service.sample import SAMPLE, read_sample
from backend.util.id_generator import new_id

MAX_FILES = 10_000
"""Files of one job."""
MAX_ACTIVE = 20
"""Jobs of a tenant that may wait or run at once."""
REPORTS = 1000
"""Reports returned at once."""
_KEPT = timedelta(days=30)
_BLOCK = 1024 * 1024
_END_SECONDS = 60.0
"""For which the end of a tenant's jobs is waited for."""
_LOOK_AGAIN = 15.0
"""Seconds after which a reader looks without being woken: another process may be running the job."""


class Upload(Protocol):
    """A file that is being sent."""

    @property
    def filename(self) -> str | None: ...

    async def read(self, size: int = -1, /) -> bytes: ...


class IngestService:
    """Makes, runs and shows ingestion jobs. Between `open` and `close` jobs run in this process."""

    def __init__(
        self,
        db: Database,
        store: DocumentStore,
        reader: FileReader,
        *,
        files_path: Path,
        max_upload_bytes: int,
        concurrency: int = 1,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._db = db
        self._files_path = files_path
        self._max_upload_bytes = max_upload_bytes
        self._clock = clock
        self._cleaning: set[asyncio.Task[None]] = set()
        self._worker = IngestWorker(db, store, reader, concurrency=concurrency, clock=clock, on_end=self._clean)

    async def open(self) -> None:
        """Take up every job that has not ended."""
        await self.sweep()
        active = await self._db.read(lambda c: AllJobs(c).active())
        await asyncio.to_thread(self._sweep, {job_id for _, job_id in active})
        for tenant_id, job_id in active:
            self._worker.start(tenant_id, job_id)

    async def close(self) -> None:
        """Stop the jobs where they are; the next `open` goes on with them."""
        await self._worker.close()
        await asyncio.gather(*self._cleaning)

    async def submit_folder(self, principal: Principal, path: Path) -> Job:
        """Take in a file, or the files below a folder, from where they are.

        Raises:
            InvalidFile: there is nothing at `path`, or nothing that can be read.
            TooLarge: there are too many files.
            TooMany: too many jobs of the tenant are under way.
        """
        folder = await asyncio.to_thread(find_files, path, MAX_FILES)
        if not folder.files:
            raise InvalidFile(f"Nothing in {path} can be read.", code="unsupported")
        files = [JobFile(source, str(found)) for source, found in folder.files]
        metadata = {"path": str(path), "skipped": folder.skipped}
        return await self._submit(new_id(), principal.tenant_id, principal.user_id, "folder", files, metadata)

    async def submit_upload(self, principal: Principal, uploads: Sequence[Upload]) -> Job:
        """Keep the files that are being sent, and take them in.

        Raises:
            Invalid: there are none.
            TooLarge: one has too many bytes, or there are too many.
            TooMany: too many jobs of the tenant are under way.
        """
        if not uploads:
            raise Invalid("No file was sent.")
        if len(uploads) > MAX_FILES:
            raise TooLarge(f"At most {MAX_FILES} files may be sent at once.")
        job_id = new_id()
        folder = self._folder(principal.tenant_id, job_id)
        try:
            files: list[JobFile] = []
            for position, upload in enumerate(uploads):
                path = folder / str(position)
                await self._keep(upload, path)
                files.append(JobFile(safe_source(upload.filename), str(path)))
            return await self._submit(job_id, principal.tenant_id, principal.user_id, "upload", files, {})
        except BaseException:
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
            raise

    async def submit_texts(self, principal: Principal, documents: Sequence[TextDocument]) -> Job:
        """Take in documents that are no files; they wait in the job's own rows.

        Raises:
            TooMany: too many jobs of the tenant are under way.
        """
        files = [JobFile(safe_source(text.source), content=text.content) for text in documents]
        return await self._submit(new_id(), principal.tenant_id, principal.user_id, "text", files, {})

    async def load_sample(self, tenant_id: str, path: Path = SAMPLE) -> Job | None:
        """Take in the shipped corpus, once for each version of it: whoever deletes the sample is rid of it."""
        version, files = await asyncio.to_thread(read_sample, path)
        if await self._db.read(lambda c: JobRepository(c, tenant_id).exists("sample", version)):
            return None
        return await self._submit(new_id(), tenant_id, "system", "sample", files, {"version": version})

    async def get(self, principal: Principal, job_id: UUID, *, after: int = 0) -> Job:
        """Return a job with the reports of the files that ended behind the first `after` ones, at most `REPORTS`.

        Raises:
            JobNotFound: no such job, or another tenant's.
        """
        return await self._db.read(
            lambda c: JobRepository(c, principal.tenant_id).get(job_id, after=after, limit=REPORTS)
        )

    async def list(self, principal: Principal, *, limit: int = 20, before: UUID | None = None) -> list[Job]:
        """Return jobs without their reports, the newest first, from behind the job `before` on."""
        return await self._db.read(lambda c: JobRepository(c, principal.tenant_id).list(limit=limit, before=before))

    async def cancel(self, principal: Principal, job_id: UUID) -> Job:
        """Ask for a job's end; what was taken in stays. Nothing happens to a job that has ended.

        Raises:
            JobNotFound: no such job, or another tenant's.
        """
        job = await self._db.write(lambda c: JobRepository(c, principal.tenant_id).cancel(job_id, self._clock()))
        self._worker.stop(job_id)
        return job

    async def progress(self, principal: Principal, job_id: UUID, *, after: int = 0) -> AsyncGenerator[Job]:
        """Yield the job as it stands, then after each change, until it has ended.

        `reports` holds only what is new since the job was yielded before, or behind the first `after` ones; together
        they are all, each once.

        Raises:
            JobNotFound: no such job, or another tenant's.
        """
        signal = self._worker.signal(job_id)
        seen = after
        while True:
            changed = signal.next()
            job = await self.get(principal, job_id, after=seen)
            seen += len(job.reports)
            yield job
            if seen < job.done:
                continue
            if job.ended:
                return
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_AGAIN):
                    await changed.wait()

    async def wait(self, principal: Principal, job_id: UUID) -> Job:
        """Return the job, with its first reports, once it has ended."""
        async for _ in self.progress(principal, job_id):
            pass
        return await self.get(principal, job_id)

    async def sweep(self) -> None:
        """Drop the jobs that ended long ago."""
        before = self._clock() - _KEPT
        await self._db.write(lambda c: AllJobs(c).expire(before), durable=False)

    async def purge(self, tenant_id: str) -> None:
        """End a tenant's jobs, and remove what waits to be taken in."""
        server = Principal(tenant_id, "server")
        active = [job_id for owner, job_id in await self._db.read(lambda c: AllJobs(c).active()) if owner == tenant_id]
        with suppress(TimeoutError, JobNotFound):
            async with asyncio.timeout(_END_SECONDS):
                for job_id in active:
                    await self.cancel(server, job_id)
                for job_id in active:
                    await self.wait(server, job_id)
        await asyncio.to_thread(shutil.rmtree, self._files_path / tenant_id, ignore_errors=True)

    async def _submit(
        self,
        job_id: UUID,
        tenant_id: str,
        user_id: str,
        kind: JobKind,
        files: Sequence[JobFile],
        metadata: dict[str, Any],
    ) -> Job:
        now = self._clock()
        job = Job(
            job_id=job_id,
            tenant_id=tenant_id,
            status="pending",
            total=len(files),
            done=0,
            failed=0,
            chunks=0,
            reports=(),
            created_at=now,
            updated_at=now,
            metadata=metadata,
            kind=kind,
        )

        def insert(jobs: JobRepository) -> None:
            if jobs.count_active() >= MAX_ACTIVE:
                raise TooMany(f"{MAX_ACTIVE} ingestion jobs are under way already.", retry_after=30)
            jobs.insert(job, user_id, files)

        await self._db.write(lambda c: insert(JobRepository(c, tenant_id)))
        self._worker.start(tenant_id, job_id)
        return job

    async def _keep(self, upload: Upload, path: Path) -> None:
        await asyncio.to_thread(path.parent.mkdir, parents=True, exist_ok=True)
        stream = await asyncio.to_thread(path.open, "wb")
        try:
            size = 0
            while block := await upload.read(_BLOCK):
                size += len(block)
                if size > self._max_upload_bytes:
                    raise TooLarge(f"A file may have at most {self._max_upload_bytes} bytes.")
                await asyncio.to_thread(stream.write, block)
        finally:
            await asyncio.to_thread(stream.close)

    def _folder(self, tenant_id: str, job_id: UUID) -> Path:
        """Return where the files of an upload wait to be taken in."""
        return self._files_path / tenant_id / "upload" / job_id.hex

    def _clean(self, tenant_id: str, job_id: UUID) -> None:
        """Remove the files of an upload that has ended."""
        folder = self._folder(tenant_id, job_id)
        task = asyncio.create_task(asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True))
        self._cleaning.add(task)
        task.add_done_callback(self._cleaning.discard)

    def _sweep(self, active: set[UUID]) -> None:
        """Remove the files of uploads that no job waits for: a killed server leaves them."""
        kept = {job_id.hex for job_id in active}
        for folder in self._files_path.glob("*/upload/*"):
            if folder.name not in kept:
                shutil.rmtree(folder, ignore_errors=True)
