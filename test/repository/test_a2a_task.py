"""Runs as tasks of Agent2Agent, on SQLite and PostgreSQL."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest

from backend.core.error import RunNotFound
from backend.database.base import Database
from backend.dto.run import Run, RunRequest, RunStatus
from backend.dto.thread import Thread, ThreadStatus
from backend.repository.a2a_task import A2ATaskRepository, TaskRuns
from backend.repository.run import RunRepository
from backend.repository.thread import ThreadRepository
from backend.util.containment import Filters
from backend.util.id_generator import new_id

NOW = datetime(2026, 1, 1, tzinfo=UTC)
AGENT = uuid4()


def make_thread(status: ThreadStatus = "idle", tenant_id: str = "alpha", **metadata: Any) -> Thread:
    return Thread(uuid4(), tenant_id, status, "echo", metadata, NOW, NOW)


def make_run(thread: Thread, mark: Any, status: RunStatus = "success", assistant_id: UUID = AGENT) -> Run:
    request = RunRequest(agent="echo", assistant_id=str(assistant_id), metadata={"a2a": mark})
    return Run(new_id(), thread.thread_id, thread.tenant_id, "u", status, 1, request, None, None, NOW, NOW)


def begins(text: str) -> dict[str, Any]:
    return {"task_start_id": text, "starts": True}


def goes_on(text: str) -> dict[str, Any]:
    return {"task_start_id": text, "starts": False}


async def put(database: Database, thread: Thread, *runs: Run) -> None:
    def work(connection: Any) -> None:
        ThreadRepository(connection, thread.tenant_id).insert(thread)
        for run in runs:
            RunRepository(connection, thread.tenant_id).insert(run, None, None)

    await database.write(work)


async def find(
    database: Database, tenant_id: str = "alpha", thread_id: UUID | None = None, only: Filters = None
) -> list[TaskRuns]:
    return await database.read(lambda c: A2ATaskRepository(c, tenant_id, only).find(AGENT, thread_id))


async def get(database: Database, thread_id: UUID, run_id: UUID, tenant_id: str = "alpha") -> TaskRuns:
    return await database.read(lambda c: A2ATaskRepository(c, tenant_id).get(thread_id, run_id, AGENT))


async def test_a_task_has_the_runs_with_its_mark(database: Database) -> None:
    thread = make_thread()
    runs = [make_run(thread, mark) for mark in (begins("a"), begins("b"), goes_on("a"))]
    await put(database, thread, *runs)
    assert [[run.run_id for run in task.runs] for task in await find(database)] == [
        [runs[1].run_id],
        [runs[0].run_id, runs[2].run_id],
    ]
    task = await get(database, thread.thread_id, runs[0].run_id)
    assert (task.first, task.latest) == (runs[0], runs[2])


@pytest.mark.parametrize("mark", [None, 1, {}, {"starts": True}, {"task_start_id": 1, "starts": True}, goes_on("a")])
async def test_a_run_without_a_whole_mark_begins_no_task(database: Database, mark: Any) -> None:
    thread = make_thread()
    run = make_run(thread, mark)
    await put(database, thread, run)
    assert await find(database) == []
    with pytest.raises(RunNotFound):
        await get(database, thread.thread_id, run.run_id)


async def test_a_task_waits_while_its_last_run_is_the_threads(database: Database) -> None:
    waiting, moved_on = make_thread("interrupted"), make_thread("interrupted")
    await put(database, waiting, make_run(waiting, begins("a")))
    await put(database, moved_on, make_run(moved_on, begins("a")), make_run(moved_on, begins("b")))
    assert [task.waits for task in await find(database, thread_id=waiting.thread_id)] == [True]
    assert [task.waits for task in await find(database, thread_id=moved_on.thread_id)] == [True, False]


async def test_a_thread_remembers_what_was_given_up(database: Database) -> None:
    bare = make_thread()
    run = make_run(bare, begins("a"))
    thread = Thread(bare.thread_id, "alpha", "idle", "echo", {"a2a": {"canceled": [str(run.run_id), 7]}}, NOW, NOW)
    await put(database, thread, run, make_run(bare, begins("b")))
    assert [task.canceled for task in await find(database)] == [False, True]


async def test_others_tasks_are_not_there(database: Database) -> None:
    mine, theirs = make_thread(owner="me"), make_thread(tenant_id="beta")
    run, other, strange = (
        make_run(mine, begins("a")),
        make_run(theirs, begins("a")),
        make_run(mine, begins("b"), assistant_id=uuid4()),
    )
    await put(database, mine, run, strange)
    await put(database, theirs, other)
    assert [task.first for task in await find(database)] == [run]
    assert await find(database, only={"owner": "you"}) == []
    assert [task.first for task in await find(database, only={"owner": "me"})] == [run]
    for thread_id, run_id, tenant_id in (
        (theirs.thread_id, other.run_id, "alpha"),
        (mine.thread_id, run.run_id, "beta"),
        (theirs.thread_id, run.run_id, "alpha"),
        (mine.thread_id, strange.run_id, "alpha"),
    ):
        with pytest.raises(RunNotFound):
            await get(database, thread_id, run_id, tenant_id)


async def test_the_tasks_of_hidden_graphs_are_not_there(database: Database) -> None:
    thread = make_thread()
    run = make_run(thread, begins("a"))
    await put(database, thread, run)

    def hidden(connection: Any) -> A2ATaskRepository:
        return A2ATaskRepository(connection, "alpha", None, ("echo",))

    assert len(await find(database)) == 1
    assert await database.read(lambda c: hidden(c).find(AGENT, None)) == []
    with pytest.raises(RunNotFound):
        await database.read(lambda c: hidden(c).get(thread.thread_id, run.run_id, AGENT))
