"""Runs collections as tasks of this process, and wakes those who watch them."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Literal
from uuid import UUID
from weakref import WeakValueDictionary

from loguru import logger

from backend.core.collector.platform import SupportSource
from backend.core.error import DomainError, Fenced, JobNotFound, LockLost, Unauthorized
from backend.core.lock import DistributedLock
from backend.database.base import Database
from backend.repository.sync import SyncRepository, SyncTask
from backend.service.ingest_worker import Signal
from backend.service.sync_collection import Collection, Files, Index, Stopped

AT_ONCE = 4
"""Jobs that run at once in this process; more wait, each with no more than its row."""
BEAT = 10.0
"""Seconds between two signs of life; `sync.STALE` is a multiple of it."""
LOCK_PATIENCE = 30.0
"""Seconds for which a job waits for another one of its tenant and platform to end."""

Source = Callable[[str, str], Awaitable[SupportSource]]
"""Opens a tenant's account at a platform. Raises InstallationNotFound when there is none."""
_Outcome = tuple[Literal["paused", "success", "error", "cancelled"], str | None]


class SyncWorker:
    """The collections of this process."""

    def __init__(
        self,
        database: Database,
        source: Source,
        lock: DistributedLock,
        *,
        index: Index,
        files: Files,
        clock: Callable[[], datetime],
        backoff: float = 1.0,
    ) -> None:
        self._database = database
        self._source = source
        self._lock = lock
        self._index = index
        self._files = files
        self._clock = clock
        self._backoff = backoff
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._tasks: dict[UUID, asyncio.Task[None]] = {}
        self._again: set[UUID] = set()
        self._collections: dict[UUID, Collection] = {}
        self._signals: WeakValueDictionary[UUID, Signal] = WeakValueDictionary()

    def start(self, tenant_id: str, job_id: UUID, delay: float = 0.0) -> None:
        """Begin a job after some seconds, or go on with one; one that is at work here is looked at when it is done."""
        if job_id in self._tasks:
            self._again.add(job_id)
        else:
            self._tasks[job_id] = asyncio.create_task(self._run(tenant_id, job_id, delay), name=f"sync {job_id}")

    def nudge(self, job_id: UUID) -> None:
        """Let a job look at once at what somebody wants of it, and wake those who watch it."""
        if (collection := self._collections.get(job_id)) is not None:
            collection.nudge()
        self.signal(job_id).send()

    def signal(self, job_id: UUID) -> Signal:
        """Return what is sent whenever something of the job has changed in this process."""
        return self._signals.setdefault(job_id, Signal())

    async def close(self) -> None:
        """Stop at once; the jobs stay `running` in their rows, and the next start takes them up."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._tasks.clear()

    async def _run(self, tenant_id: str, job_id: UUID, delay: float) -> None:
        signal = self.signal(job_id)
        with logger.contextualize(job_id=str(job_id)):
            try:
                await asyncio.sleep(delay)
                await self._run_now(tenant_id, job_id, signal)
            except (Fenced, LockLost, JobNotFound) as error:
                logger.warning("a collection goes on elsewhere: {reason}", reason=error.detail)
            except Exception:  # noqa: BLE001  (where the job's task ends)
                logger.exception("a collection failed; it is taken up again")
            finally:
                self._collections.pop(job_id, None)
                self._tasks.pop(job_id, None)
                signal.send()
        if job_id in self._again:
            self._again.discard(job_id)
            self.start(tenant_id, job_id)

    async def _run_now(self, tenant_id: str, job_id: UUID, signal: Signal) -> None:
        """Do the work of one attempt, if the job wants any."""
        job = await self._database.read(lambda c: SyncRepository(c, tenant_id).get(job_id))
        if job.status not in {"pending", "running"}:
            return
        name = f"sync:{job.platform}" if job.kind != "ticket" else f"sync-ticket:{job.platform}"
        async with self._lock.of(tenant_id).lock(name, timeout=LOCK_PATIENCE) as held:
            if not held:  # another server is at work; should it die, the row shows it
                return
            async with self._turns:
                # What waits for its turn may be stopped or taken meanwhile: `begin` tells.
                task = await self._database.write(
                    lambda c: SyncRepository(c, tenant_id).begin(job_id, job.attempt, self._clock())
                )
                signal.send()
                if task is not None:
                    await self._attempt(task, signal)

    async def _attempt(self, task: SyncTask, signal: Signal) -> None:
        job = task.job
        status, error = await self._outcome(task, signal)
        ended = await self._database.write(
            lambda c: SyncRepository(c, job.tenant_id).settle(job.job_id, job.attempt, status, self._clock(), error)
        )
        counts = ended.counts
        logger.info(
            "collection ended as {status}: {tickets} tickets, {changed} changed, {conversations} messages,"
            " {articles} articles, {failed} failed, {requests} requests",
            status=ended.status,
            tickets=counts.tickets,
            changed=counts.changed,
            conversations=counts.conversations,
            articles=counts.articles,
            failed=counts.failed,
            requests=counts.requests,
        )
        if ended.status == "pending":  # it was to pause, and was told to go on before it did
            self._again.add(job.job_id)

    async def _outcome(self, task: SyncTask, signal: Signal) -> _Outcome:
        job = task.job
        try:
            source = await self._source(job.tenant_id, job.platform)
            try:
                collection = Collection(
                    self._database,
                    source,
                    task,
                    index=self._index,
                    files=self._files,
                    clock=self._clock,
                    on_change=signal.send,
                    backoff=self._backoff,
                )
                self._collections[job.job_id] = collection
                await _while_beating(collection)
            finally:
                await source.close()
        except Stopped as stopped:
            return ("paused" if stopped.wanted == "pause" else "cancelled"), None
        except Unauthorized as error:
            return "error", f"{error.detail} It can be resumed with a key that works."
        except Fenced:
            raise
        except DomainError as error:
            return "error", f"{error.detail} It can be resumed where it is."
        except Exception:  # noqa: BLE001  (a mistake of ours must not be made again at every start)
            logger.exception("a collection failed")
            return "error", "Something went wrong in the server; its log says what. It can be resumed where it is."
        return "success", None


async def _while_beating(collection: Collection) -> None:
    """Collect to the end, for as long as the heart beats."""
    work = asyncio.ensure_future(collection.run())
    beat = asyncio.ensure_future(collection.beat(BEAT))
    try:
        done, _ = await asyncio.wait({work, beat}, return_when=asyncio.FIRST_COMPLETED)
        (work if work in done else beat).result()
    finally:
        for each in (work, beat):
            each.cancel()
        await asyncio.gather(work, beat, return_exceptions=True)
