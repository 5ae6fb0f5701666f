"""Which runs are tasks of Agent2Agent, and how these stand. The marks are in metadata; no table is needed."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, select

from backend.core.error import RunNotFound
from backend.database.model import RunRow, ThreadRow, table_of
from backend.dto.run import Run
from backend.repository.containment import contained
from backend.repository.run import RunRepository
from backend.repository.scope import Scoped
from backend.util.containment import Filters, passes

MARK = "a2a"
"""The key of the marks. A run's is `{"task_start_id": TEXT, "starts": BOOL}`: the same text for all runs of a task. A
thread's is `{"canceled": [RUN_ID]}`: the tasks that were given up while they waited, of which their runs know nothing.
"""
SCAN = 1000
"""The newest runs, of a tenant or of a thread, that are looked through: no index knows what stands in JSON."""

_runs = table_of(RunRow)
_threads = table_of(ThreadRow)


@dataclass(frozen=True, slots=True)
class TaskRuns:
    """A task by its runs."""

    runs: tuple[Run, ...]
    """Oldest first: the one that began it, those that answered its interrupts or took more messages."""
    waits: bool
    """Whether its thread stands at an interrupt that the latest run left."""
    canceled: bool

    @property
    def first(self) -> Run:
        return self.runs[0]

    @property
    def latest(self) -> Run:
        return self.runs[-1]


class A2ATaskRepository(Scoped):
    """The tasks of one tenant, on threads that pass `only`, of graphs that are not `hidden`."""

    def __init__(
        self, connection: Connection, tenant_id: str, only: Filters = None, hidden: Sequence[str] = ()
    ) -> None:
        super().__init__(connection, tenant_id)
        self._only = only
        self._hidden = hidden

    def get(self, thread_id: UUID, run_id: UUID, assistant_id: UUID) -> TaskRuns:
        """Return the task of an assistant that this run began.

        Raises:
            RunNotFound: there is none, or it is another tenant's.
        """
        first = RunRepository(self._connection, self._tenant_id, self._hidden).get(run_id)
        start = start_of(first)
        if first.thread_id != thread_id or first.request.assistant_id != str(assistant_id) or start is None:
            raise RunNotFound(run_id)
        marked = self._marked(assistant_id, thread_id, since=run_id, start_id=start)
        for task in self._tasks(marked):
            if task.first.run_id == run_id:
                return task
        raise RunNotFound(run_id)

    def find(self, assistant_id: UUID, thread_id: UUID | None) -> list[TaskRuns]:
        """Return an assistant's tasks, newest first: those of one thread, or of all."""
        return self._tasks(self._marked(assistant_id, thread_id))

    def _marked(
        self, assistant_id: UUID, thread_id: UUID | None, *, since: UUID | None = None, start_id: str | None = None
    ) -> list[Run]:
        newest = select(_runs.c.run_id).where(_runs.c.tenant_id == self._tenant_id)
        if thread_id is not None:
            newest = newest.where(_runs.c.thread_id == thread_id)
        if since is not None:
            newest = newest.where(_runs.c.run_id >= since)
        mark = {} if start_id is None else {"task_start_id": start_id}
        wanted = {"assistant_id": str(assistant_id), "metadata": {MARK: mark}}
        query = select(_runs.c.run_id).where(
            _runs.c.run_id.in_(newest.order_by(_runs.c.run_id.desc()).limit(SCAN)),
            contained(self._connection, _runs.c.request, wanted),
        )
        found = list(self._connection.execute(query).scalars())
        if since is not None and since not in found:
            found.append(since)  # behind more runs than are looked through
        return RunRepository(self._connection, self._tenant_id, self._hidden).of(found)

    def _tasks(self, runs: Iterable[Run]) -> list[TaskRuns]:
        found: dict[tuple[UUID, str], list[Run]] = {}
        for run in runs:  # oldest first
            start = start_of(run, any_run=True)
            if start is not None and (start_of(run) or (run.thread_id, start) in found):
                found.setdefault((run.thread_id, start), []).append(run)
        standing = self._standing({thread_id for thread_id, _ in found})
        tasks = []
        for (thread_id, _), of_task in found.items():
            if thread_id in standing:
                waiting, canceled = standing[thread_id]
                waits = waiting == of_task[-1].run_id
                tasks.append(TaskRuns(tuple(of_task), waits, str(of_task[0].run_id) in canceled))
        return sorted(tasks, key=lambda task: task.first.run_id, reverse=True)

    def _standing(self, thread_ids: Iterable[UUID]) -> dict[UUID, tuple[UUID | None, list[str]]]:
        """Return of each thread the run that left it waiting, if it waits, and its canceled tasks."""
        query = select(_threads.c.thread_id, _threads.c.status, _threads.c.metadata).where(
            _threads.c.tenant_id == self._tenant_id, _threads.c.thread_id.in_(list(thread_ids))
        )
        runs = RunRepository(self._connection, self._tenant_id)
        found: dict[UUID, tuple[UUID | None, list[str]]] = {}
        for row in self._connection.execute(query).all():
            if passes(row.metadata, self._only):
                last = runs.list(row.thread_id, limit=1) if row.status == "interrupted" else []
                found[row.thread_id] = (last[0].run_id if last else None, canceled_in(row.metadata))
        return found


def start_of(run: Run, *, any_run: bool = False) -> str | None:
    """Return the text that marks the runs of a task, of the run that began it or, with `any_run`, of each."""
    mark = run.request.metadata.get(MARK)
    if not isinstance(mark, Mapping) or not (any_run or mark.get("starts") is True):
        return None
    start = mark.get("task_start_id")
    return start if isinstance(start, str) else None


def canceled_in(metadata: Mapping[str, Any]) -> list[str]:
    """Return the tasks that a thread's metadata name as given up."""
    mark = metadata.get(MARK)
    found = mark.get("canceled") if isinstance(mark, Mapping) else None
    return [one for one in found if isinstance(one, str)] if isinstance(found, list) else []
