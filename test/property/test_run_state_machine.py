"""The ledger against a small model of it: any order of making, beginning, ending, stopping, giving back and dying."""

import asyncio
import shutil
from collections.abc import Coroutine
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, TypeVar
from uuid import UUID

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import Connection, delete, select

from backend.core.error import DomainError, Fenced, NotInterrupted, RunEnded, RunNotFound, ThreadBusy
from backend.core.run.executor import Outcome
from backend.database.base import Database
from backend.database.model import RunEventRow, RunRow, ThreadRow, table_of
from backend.database.postgres import PostgresDatabase
from backend.database.sqlite import SqliteDatabase
from backend.dto.run import CancelAction, MultitaskStrategy, Run
from backend.repository.checkpoint import Checkpointer
from backend.service.run_ledger import RunLedger
from backend.service.thread import ThreadService
from test.engine_fixture import ALICE, FakeClock, of_everyone, request

T = TypeVar("T")
How = Literal["success", "waits", "error", "timeout", "stopped"]
MAX_LOSSES = 3
OUTCOMES: dict[How, Outcome] = {
    "success": Outcome("success", "idle", "done", {}),
    "waits": Outcome("success", "interrupted", "done", {}),
    "error": Outcome("error", "error", "error", {}),
    "timeout": Outcome("timeout", "idle", "done", {}),
    "stopped": Outcome("interrupted", "idle", "done", {}),
}


@dataclass
class ModelRun:
    number: int
    thread: UUID
    status: str
    attempt: int
    losses: int = 0
    cancel: CancelAction | None = None


@dataclass
class Model:
    """What should be. A run that is rolled back is taken out."""

    threads: dict[UUID, str] = field(default_factory=dict)
    runs: dict[UUID, ModelRun] = field(default_factory=dict)
    numbers: int = 0

    def of(self, thread: UUID, *statuses: str) -> list[UUID]:
        found = [run for run, row in self.runs.items() if row.thread == thread and row.status in statuses]
        return sorted(found, key=lambda run: self.runs[run].number)

    def create(
        self, thread: UUID, policy: MultitaskStrategy, *, begin: bool, resume: bool
    ) -> tuple[str, int] | type[DomainError]:
        """Return the new run's status and attempt, or what it is refused with."""
        if resume and self.threads[thread] not in {"busy", "interrupted"}:
            return NotInterrupted
        active = self.of(thread, "pending", "running")
        if active and (resume or policy == "reject"):
            return ThreadBusy
        taken = bool(active)
        if active and policy in {"interrupt", "rollback"}:
            action: CancelAction = "rollback" if policy == "rollback" else "interrupt"
            for run in self.of(thread, "queued", "pending"):
                self.end(run, "interrupted", action)
            if running := self.of(thread, "running"):
                self.runs[running[0]].cancel = action
            taken = bool(running)
        self.threads[thread] = "busy"
        begins = begin and not taken
        return ("queued" if taken else "running" if begins else "pending"), int(begins)

    def add(self, run: UUID, thread: UUID, status: str, attempt: int) -> None:
        self.numbers += 1
        self.runs[run] = ModelRun(self.numbers, thread, status, attempt)

    def end(self, run: UUID, status: str, action: CancelAction | None = None) -> None:
        if action == "rollback":
            del self.runs[run]
        else:
            self.runs[run].status = status

    def hand_over(self, thread: UUID, status: str) -> UUID | None:
        queued = self.of(thread, "queued")
        self.threads[thread] = "busy" if queued else status
        if not queued:
            return None
        self.runs[queued[0]].status = "pending"
        return queued[0]

    def finish(self, run: UUID, how: How) -> UUID | None:
        row, outcome = self.runs[run], OUTCOMES[how]
        self.end(run, outcome.status, row.cancel if how == "stopped" else None)
        return self.hand_over(row.thread, outcome.thread_status)

    def recover(self) -> set[UUID]:
        """Return what is given up."""
        ended = set()
        for run, row in sorted(self.runs.items(), key=lambda item: item[1].number):
            if row.status != "running":
                continue
            if row.cancel is not None:
                self.end(run, "interrupted", row.cancel)
                self.hand_over(row.thread, "idle")
            elif row.losses + 1 >= MAX_LOSSES:
                self.end(run, "error")
                self.hand_over(row.thread, "error")
            else:
                row.status, row.losses = "pending", row.losses + 1
                continue
            ended.add(run)
        return ended


class LedgerMachine(RuleBasedStateMachine):
    """Makes the same steps in the ledger and in the model, and compares what there is after each."""

    threads = Bundle("threads")
    runs = Bundle("runs")

    def open_database(self) -> Database:
        raise NotImplementedError

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.database = self.open_database()
        self.model = Model()
        clock = FakeClock()
        saver = Checkpointer(self.database)
        self.ledger = RunLedger(self.database, saver, clock, max_losses=MAX_LOSSES)
        self.thread_service = ThreadService(self.database, saver, clock)
        self.do(self.database.open())
        self.do(self.database.write(of_everyone(_empty)))
        self.known: dict[UUID, Run] = {}

    def teardown(self) -> None:
        self.do(self.database.close())
        self.runner.close()

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    def refused(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Return what `work` returns, or the type of its refusal."""
        try:
            return self.do(work)
        except DomainError as error:
            return type(error)

    @initialize(target=threads)
    def first_thread(self) -> UUID:
        return self.new_thread()

    @rule(target=threads)
    def thread(self) -> UUID:
        return self.new_thread()

    def new_thread(self) -> UUID:
        made = self.do(self.thread_service.create(ALICE))
        self.model.threads[made.thread_id] = "idle"
        return made.thread_id

    @rule(
        target=runs,
        thread=threads,
        policy=st.sampled_from(["reject", "enqueue", "enqueue", "interrupt", "rollback"]),
        begin=st.booleans(),
        resume=st.sampled_from([False, False, False, True]),
    )
    def create(self, thread: UUID, policy: MultitaskStrategy, begin: bool, resume: bool) -> UUID:
        asked = replace(request("echo", "hi"), multitask_strategy=policy, has_resume=resume)
        running = self.model.of(thread, "running")
        expected = self.model.create(thread, policy, begin=begin, resume=resume)
        created = self.refused(self.ledger.create(ALICE, asked, thread_id=thread, begin=begin))
        if isinstance(expected, type):
            assert created is expected
            return UUID(int=0)
        assert (created.run.status, created.run.attempt) == expected
        stopped = policy in {"interrupt", "rollback"} and bool(running)
        assert (None if created.stop is None else created.stop.run_id) == (running[0] if stopped else None)
        self.model.add(created.run.run_id, thread, *expected)
        self.known[created.run.run_id] = created.run
        return created.run.run_id

    @rule(run=runs)
    def claim(self, run: UUID) -> None:
        if run not in self.known:
            return
        claimed = self.do(self.ledger.claim(self.known[run]))
        row = self.model.runs.get(run)
        if row is None or row.status != "pending":
            assert claimed is None
            return
        row.status, row.attempt = "running", row.attempt + 1
        assert claimed is not None
        assert (claimed.status, claimed.attempt) == ("running", row.attempt)

    @rule(run=runs, how=st.sampled_from(list(OUTCOMES)), stale=st.sampled_from([0, 0, 0, 1]))
    def finish(self, run: UUID, how: How, stale: int) -> None:
        if run not in self.known:
            return
        row = self.model.runs.get(run)
        attempt = max((row.attempt if row is not None else 1) - stale, 0)
        current = row is not None and row.status == "running" and row.attempt == attempt
        answer = self.refused(self.ledger.finish(replace(self.known[run], attempt=attempt), OUTCOMES[how]))
        if not current:
            assert answer is Fenced
            return
        following = self.model.finish(run, how)
        assert (None if answer is None else answer.run_id) == following

    @rule(run=runs)
    def release(self, run: UUID) -> None:
        if run not in self.known:
            return
        row = self.model.runs.get(run)
        held = row is not None and row.status == "running"
        attempt = row.attempt if row is not None else 1
        assert self.do(self.ledger.release(replace(self.known[run], attempt=attempt))) == held
        if held and row is not None:
            row.status = "pending"

    @rule(run=runs, action=st.sampled_from(["interrupt", "rollback"]))
    def cancel(self, run: UUID, action: CancelAction) -> None:
        if run not in self.known:
            return
        row = self.model.runs.get(run)
        answer = self.refused(self.ledger.cancel(ALICE, run, action))
        if row is None:
            assert answer is RunNotFound
        elif row.status == "running":
            row.cancel = action
            assert answer.running
        elif row.status in {"queued", "pending"}:
            was_pending = row.status == "pending"
            self.model.end(run, "interrupted", action)
            following = self.model.hand_over(row.thread, "idle") if was_pending else None
            assert (None if answer.next is None else answer.next.run_id) == following
        else:
            assert answer is RunEnded

    @rule()
    def die_and_recover(self) -> None:
        recovered = self.do(self.ledger.recover())
        assert {run.run_id for run in recovered.ended} == self.model.recover()
        pending = [run for thread in self.model.threads for run in self.model.of(thread, "pending")]
        waiting = [run for thread in self.model.threads for run in self.model.of(thread, "queued")]
        assert [run.run_id for run in recovered.pending] == sorted(pending, key=lambda run: self.model.runs[run].number)
        assert {run.run_id for run in recovered.waiting} == set(waiting)

    @invariant()
    def all_is_as_it_should_be(self) -> None:
        threads, runs = self.do(self.database.read(of_everyone(_everything)))
        assert threads == self.model.threads
        assert runs == {
            run: (row.status, row.attempt, row.losses, row.status in {"success", "error", "timeout", "interrupted"})
            for run, row in self.model.runs.items()
        }
        for thread in self.model.threads:
            active = self.model.of(thread, "pending", "running")
            queued = self.model.of(thread, "queued")
            assert len(active) <= 1
            assert bool(active) == (self.model.threads[thread] == "busy")
            assert active or not queued  # nobody waits for nothing
            if active and queued:
                assert self.model.runs[active[0]].number < self.model.runs[queued[0]].number


def _empty(connection: Connection) -> None:
    for table in (RunEventRow, RunRow, ThreadRow):
        connection.execute(delete(table_of(table)))


def _everything(connection: Connection) -> tuple[dict[UUID, str], dict[UUID, tuple[str, int, int, bool]]]:
    threads = connection.execute(select(table_of(ThreadRow))).all()
    runs = connection.execute(select(table_of(RunRow))).all()
    return (
        {row.thread_id: row.status for row in threads},
        {row.run_id: (row.status, row.attempt, row.losses, row.ended_at is not None) for row in runs},
    )


def _settings(examples: int, steps: int) -> settings:
    return settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        print_blob=True,
    )


@pytest.mark.timeout(120)
def test_the_ledger_does_what_the_model_says_on_sqlite(sqlite_template: Path, tmp_path: Path) -> None:
    shutil.copy(sqlite_template, tmp_path / "test.db")

    class Machine(LedgerMachine):
        def open_database(self) -> Database:
            return SqliteDatabase(tmp_path / "test.db")

    run_state_machine_as_test(Machine, settings=_settings(120, 35))


@pytest.mark.timeout(120)
def test_the_ledger_does_what_the_model_says_on_postgresql(prepared_postgres_url: str) -> None:
    class Machine(LedgerMachine):
        def open_database(self) -> Database:
            return PostgresDatabase(prepared_postgres_url)

    run_state_machine_as_test(Machine, settings=_settings(20, 30))
