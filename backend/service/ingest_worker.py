"""Runs ingestion jobs as tasks of this process, and wakes those who watch them."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID
from weakref import WeakValueDictionary

from loguru import logger

from backend.core.collector.file.pool import FileReader
from backend.core.error import IndexMismatch, Unavailable
from backend.database.base import Database
from backend.repository.job import JobRepository
from backend.service.document_store import DocumentStore
from backend.service.ingest_pipeline import IngestPipeline

_JOBS = 2
"""Jobs that run at once; more wait as `pending`, so that a small one need not wait for all of a large one."""


class Signal:
    """Wakes all who wait for the next change; who takes `next` first and looks then misses none."""

    def __init__(self) -> None:
        self._next = asyncio.Event()

    def next(self) -> asyncio.Event:
        """Return the event of the next change."""
        return self._next

    def send(self) -> None:
        changed, self._next = self._next, asyncio.Event()
        changed.set()


@dataclass(frozen=True, slots=True)
class _Active:
    pipeline: IngestPipeline
    task: asyncio.Task[None]


class IngestWorker:
    """The jobs of this process."""

    def __init__(
        self,
        db: Database,
        store: DocumentStore,
        reader: FileReader,
        *,
        concurrency: int,
        clock: Callable[[], datetime],
        on_end: Callable[[str, UUID], None],
    ) -> None:
        self._db = db
        self._store = store
        self._reader = reader
        self._concurrency = concurrency
        self._clock = clock
        self._on_end = on_end
        self._turns = asyncio.Semaphore(_JOBS)
        self._active: dict[UUID, _Active] = {}
        self._signals: WeakValueDictionary[UUID, Signal] = WeakValueDictionary()

    def start(self, tenant_id: str, job_id: UUID) -> None:
        """Begin a job, or go on with one that a dead server left."""
        signal = self.signal(job_id)
        pipeline = IngestPipeline(
            tenant_id,
            job_id,
            db=self._db,
            store=self._store,
            reader=self._reader,
            concurrency=self._concurrency,
            clock=self._clock,
            on_change=signal.send,
        )
        task = asyncio.create_task(self._run(tenant_id, job_id, pipeline, signal), name=f"ingest {job_id}")
        self._active[job_id] = _Active(pipeline, task)

    def stop(self, job_id: UUID) -> None:
        """Let a job end: what is being read is given up, what has been read is written."""
        active = self._active.get(job_id)
        if active is not None:
            active.pipeline.stop()

    def signal(self, job_id: UUID) -> Signal:
        """Return what is sent whenever something of the job has changed."""
        return self._signals.setdefault(job_id, Signal())

    async def close(self) -> None:
        """Stop at once; the jobs stay `running` in their rows, and the next start takes them up."""
        tasks = [active.task for active in self._active.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._active.clear()
        await self._reader.close()

    async def _run(self, tenant_id: str, job_id: UUID, pipeline: IngestPipeline, signal: Signal) -> None:
        with logger.contextualize(job_id=str(job_id)):
            try:
                async with self._turns:
                    await self._run_now(tenant_id, job_id, pipeline, signal)
                self._on_end(tenant_id, job_id)
            except Exception:  # noqa: BLE001  (where the job's task ends)
                logger.exception("an ingestion job failed; the next start goes on with it")
            finally:
                signal.send()
                if self._active.keys() <= {job_id}:
                    await self._reader.rest()
                self._active.pop(job_id, None)

    async def _run_now(self, tenant_id: str, job_id: UUID, pipeline: IngestPipeline, signal: Signal) -> None:
        error: str | None = None
        if await self._db.write(lambda c: JobRepository(c, tenant_id).begin(job_id, self._clock())):
            signal.send()
            try:
                await pipeline.run()
            except (IndexMismatch, Unavailable) as stop:
                error = stop.detail
        job = await self._db.write(lambda c: JobRepository(c, tenant_id).finish(job_id, self._clock(), error))
        logger.info(
            "ingestion ended as {status}: {done} of {total} files, {failed} failed, {chunks} passages",
            status=job.status,
            done=job.done,
            total=job.total,
            failed=job.failed,
            chunks=job.chunks,
        )
