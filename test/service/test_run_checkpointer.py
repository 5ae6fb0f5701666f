"""The saver of an attempt: what is saved while a commit is made goes with the next, and none of it is lost."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import Checkpoint, empty_checkpoint
from langgraph.checkpoint.base.id import uuid6

from backend.core.error import Fenced, Unavailable
from backend.core.run.executor import Outcome
from backend.database.base import Database, Work
from backend.dto.run import Run
from backend.repository.checkpoint import Checkpointer
from backend.repository.run_checkpoint import RunCheckpointer
from backend.service.run_ledger import RunLedger
from test.engine_fixture import ALICE, FakeClock, request

SUCCESS = Outcome("success", "idle", "done", {"status": "success"})


class Slow:
    """A database whose writes wait until they are let through, and fail when that is wanted."""

    dialect = "sqlite"

    def __init__(self, inner: Database) -> None:
        self._inner = inner
        self.gate = asyncio.Event()
        self.writes = 0
        self.fails = False

    async def read[T](self, work: Work[T]) -> T:
        return await self._inner.read(work)

    async def write[T](self, work: Work[T], *, durable: bool = True) -> T:
        self.writes += 1
        await self.gate.wait()
        if self.fails:
            raise Unavailable("The disk is full.")
        return await self._inner.write(work, durable=durable)

    async def open(self) -> None: ...

    async def tidy(self) -> None: ...

    async def close(self) -> None: ...


class Desk:
    def __init__(self, database: Database) -> None:
        self.kept = Checkpointer(database)
        self.ledger = RunLedger(database, self.kept, FakeClock())
        self.slow = Slow(database)

    async def run(self, **options: Any) -> Run:
        return (await self.ledger.create(ALICE, request("echo", "hi", **options), thread_id=None, begin=True)).run

    def saver(self, run: Run) -> RunCheckpointer:
        return RunCheckpointer(Checkpointer(self.slow), run, fresh=True)

    async def stands(self, run: Run) -> int:
        """How many checkpoints others can read."""
        found = self.kept.bound(run.tenant_id).alist({"configurable": {"thread_id": str(run.thread_id)}})
        return len([each async for each in found])


async def save(saver: RunCheckpointer, run: Run, step: int) -> None:
    config: RunnableConfig = {"configurable": {"thread_id": str(run.thread_id), "checkpoint_ns": ""}}
    checkpoint: Checkpoint = {**empty_checkpoint(), "id": str(uuid6(clock_seq=step))}
    await saver.aput(config, checkpoint, {"source": "loop", "step": step, "parents": {}}, {})


@pytest.fixture
def desk(database: Database) -> Desk:
    return Desk(database)


async def test_what_is_saved_during_a_commit_goes_with_the_next(desk: Desk):
    run = await desk.run()
    saver = desk.saver(run)
    for step in range(5):
        await save(saver, run, step)
    await asyncio.sleep(0)
    assert desk.slow.writes == 1, "one is on its way, and the others wait"
    desk.slow.gate.set()
    await saver.flush()
    assert desk.slow.writes <= 3
    assert await desk.stands(run) == 5


async def test_the_attempt_reads_what_it_saved(desk: Desk):
    run = await desk.run()
    saver = desk.saver(run)
    desk.slow.gate.set()
    await save(saver, run, 1)
    found = await saver.aget_tuple({"configurable": {"thread_id": str(run.thread_id), "checkpoint_ns": ""}})
    assert found is not None
    assert found.metadata["step"] == 1


async def test_with_sync_whoever_saves_waits(desk: Desk):
    run = await desk.run(durability="sync")
    saver = desk.saver(run)
    saving = asyncio.create_task(save(saver, run, 1))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not saving.done()
    desk.slow.gate.set()
    await saving
    assert await desk.stands(run) == 1


async def test_the_rest_is_kept_by_the_transaction_that_ends_the_run(desk: Desk):
    run = await desk.run()
    saver = desk.saver(run)
    desk.slow.gate.set()
    await save(saver, run, 1)
    await saver.flush()
    desk.slow.gate.clear()
    desk.slow.fails = True
    await save(saver, run, 2)
    desk.slow.gate.set()  # it fails, and what it should have kept still waits
    await asyncio.sleep(0)
    rest = await saver.close()
    assert await desk.stands(run) == 1
    await desk.ledger.finish(run, SUCCESS, (), rest)
    assert await desk.stands(run) == 2
    with pytest.raises(Fenced):
        await save(saver, run, 3)


async def test_an_attempt_that_was_taken_over_saves_nothing(desk: Desk):
    run = await desk.run()
    saver = desk.saver(run)
    await desk.ledger.release(run)
    again = await desk.ledger.claim(replace(run, status="pending"))
    assert again is not None
    desk.slow.gate.set()
    await save(saver, run, 1)
    with pytest.raises(Fenced):
        await saver.flush()
    assert await desk.stands(run) == 0
    rest = await saver.close()
    with pytest.raises(Fenced):
        await desk.ledger.finish(run, SUCCESS, (), rest)
    assert await desk.stands(run) == 0
