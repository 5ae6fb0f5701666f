"""Tasks of Agent2Agent: messages to an assistant, and what became of them.

A context is a thread. A task is a run, and the runs that answer its interrupts; it is named by the first of them.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast
from uuid import UUID, uuid4

import orjson

from backend.core.error import NotFound, RunEnded, RunNotFound
from backend.core.rpc import INVALID_PARAMS, RpcError
from backend.core.run.wire import dumps
from backend.database.base import Database
from backend.dto.a2a import (
    TERMINAL,
    A2AMessage,
    ArtifactUpdate,
    HistoryScope,
    StatusUpdate,
    Task,
    TaskEvent,
    TaskId,
    TaskQuery,
    TaskState,
    TaskStatus,
    TextPart,
)
from backend.dto.assistant import Assistant
from backend.dto.event import Event
from backend.dto.principal import Principal
from backend.dto.run import Run
from backend.dto.thread import ThreadState
from backend.repository.a2a_task import MARK, A2ATaskRepository, TaskRuns, canceled_in, start_of
from backend.service.a2a_conversation import Conversation, LiveText, answered, graph_input
from backend.service.assistant import AssistantService
from backend.service.run import RunService
from backend.service.run_request import CommandBody, RunBody
from backend.service.thread import ThreadService
from backend.service.thread_state import ThreadStateService
from backend.util.containment import Filters
from backend.util.graph_input import CONVERSATION
from backend.util.id_generator import new_id

TASK_NOT_FOUND = -32001
NOT_CANCELABLE = -32002
PUSH_UNSUPPORTED = -32003
UNSUPPORTED = -32004
CONTENT_UNSUPPORTED = -32005
MAX_CANCELED = 100
"""The canceled tasks that a thread remembers, the newest."""

__all__ = ["A2AService", "Asked"]


@dataclass(frozen=True, slots=True)
class Asked:
    """A message that was taken: the run to start for it, and its place."""

    body: RunBody
    thread_id: UUID
    task_id: TaskId | None
    """The task that it goes on with; None for one of its own."""
    message: A2AMessage


class A2AService:
    def __init__(
        self,
        database: Database,
        assistants: AssistantService,
        runs: RunService,
        threads: ThreadService,
        states: ThreadStateService,
        clock: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._assistants = assistants
        self._runs = runs
        self._threads = threads
        self._states = states
        self._clock = clock

    async def speaks(self, principal: Principal, assistant: Assistant) -> bool:
        """Return whether an assistant can be talked to: its graph takes `messages`."""
        return CONVERSATION in await self.fields(principal, assistant)

    async def fields(self, principal: Principal, assistant: Assistant) -> dict[str, bool]:
        """Return the fields of the graph's input, and whether each is required."""
        schemas = await self._assistants.schemas(principal, assistant.assistant_id)
        schema = schemas["input_schema"] or {}
        required = schema.get("required") or ()
        return {name: name in required for name in schema.get("properties") or {}}

    async def ask(
        self,
        principal: Principal,
        assistant: Assistant,
        message: A2AMessage,
        *,
        context_id: UUID | None,
        metadata: Mapping[str, Any],
        streams: bool,
        only: Filters = None,
    ) -> Asked:
        """Return the run that a message asks for: a new task, the answer to one that waits, or more for one that works.

        Raises:
            RpcError: the assistant cannot be talked to, the task is not there or has ended, or the context is another.
        """
        fields = await self.fields(principal, assistant)
        if CONVERSATION not in fields:
            raise RpcError(
                INVALID_PARAMS,
                f"Assistant {assistant.assistant_id} does not converse: the input of its graph has no field"
                f" 'messages', only these: {', '.join(fields) or 'none'}.",
            )
        task_id, thread_id, start = message.task_id, context_id or new_id(), uuid4().hex
        resumes = False
        if task_id is not None:
            task = await self._task(principal, assistant, task_id, only)
            if context_id is not None and context_id != task_id.thread_id:
                raise RpcError(INVALID_PARAMS, "The task is not in this context.")
            state = state_of(task)
            if state in TERMINAL:
                raise RpcError(UNSUPPORTED, "The task has ended and takes no more messages: begin another one.")
            thread_id, start, resumes = task_id.thread_id, start_of(task.first) or start, state == "input-required"
        body = RunBody(
            assistant_id=assistant.assistant_id,
            metadata={**metadata, MARK: {"task_start_id": start, "starts": task_id is None}},
            if_not_exists="create",
            stream_mode=["messages-tuple"] if streams else ["values"],
            **(
                {"command": CommandBody(resume=answered(message.parts))}
                if resumes
                else {"input": graph_input(message, start)}
            ),
        )
        return Asked(body, thread_id, task_id, message)

    async def waiting(
        self, principal: Principal, assistant: Assistant, context_id: UUID, only: Filters = None
    ) -> list[TaskRuns]:
        """Return the task that waits for an answer in a context, if one does."""
        return [task for task in await self._tasks(principal, assistant, context_id, only) if task.waits]

    async def give_up(self, principal: Principal, tasks: Iterable[TaskRuns]) -> None:
        """Remember that these tasks, whose questions nobody is going to answer, are canceled."""
        for task in tasks:
            await self._note_canceled(principal, task)

    async def get(
        self,
        principal: Principal,
        assistant: Assistant,
        task_id: TaskId,
        *,
        scope: HistoryScope = "context",
        only: Filters = None,
    ) -> Task:
        """Return a task as it stands.

        Raises:
            RpcError: there is no such task, or it is another tenant's or another assistant's.
        """
        task = await self._task(principal, assistant, task_id, only)
        others = await self._tasks(principal, assistant, task_id.thread_id, only)
        return await self._view(principal, assistant, task, scope, others, {})

    async def result(
        self, principal: Principal, assistant: Assistant, asked: Asked, run: Run, scope: HistoryScope = "context"
    ) -> Task:
        """Return the task of a message when the run that was started for it has ended."""
        task_id = task_of(asked, run)
        following: Run | None = run
        while following is not None:
            await self._runs.wait_body(principal, following)
            following = await self._working(principal, assistant, task_id)
        return await self.get(principal, assistant, task_id, scope=scope)

    async def find(
        self,
        principal: Principal,
        assistant: Assistant,
        query: TaskQuery,
        *,
        scope: HistoryScope = "context",
        only: Filters = None,
    ) -> tuple[list[Task], int]:
        """Return a page of an assistant's tasks, newest first, and how many there are in all."""
        found = everything = await self._tasks(principal, assistant, query.context_id, only)
        if query.state is not None:
            found = [task for task in found if state_of(task) == query.state]
        if query.changed_after is not None:
            found = [task for task in found if _changed_at(task) >= query.changed_after]
        page = found[query.offset : query.offset + query.limit]
        states: dict[UUID, ThreadState] = {}
        shown = [await self._view(principal, assistant, task, scope, everything, states) for task in page]
        return shown, len(found)

    async def cancel(
        self, principal: Principal, assistant: Assistant, task_id: TaskId, *, only: Filters = None
    ) -> Task:
        """Stop a task, or give up its question; return it.

        Raises:
            RpcError: there is no such task, or it has ended.
        """
        task = await self._task(principal, assistant, task_id, only)
        state = state_of(task)
        try:
            if state in TERMINAL:
                raise _not_cancelable()
            if state == "input-required":
                await self._states.update(principal, task_id.thread_id, None, as_node="__end__", only=only)
                await self._note_canceled(principal, task)
            else:
                stopped = [
                    await self._runs.cancel(principal, run.run_id) for run in reversed(task.runs) if not run.ended
                ]
                for run in stopped:
                    await self._runs.wait_body(principal, run)
        except (RunEnded, RunNotFound):
            raise _not_cancelable() from None
        return await self.get(principal, assistant, task_id, only=only)

    async def begun(self, asked: Asked, run: Run) -> Task:
        """Return the task of a message whose run has been started and has said nothing yet."""
        task_id = task_of(asked, run)
        said = A2AMessage(asked.message.message_id, True, asked.message.parts, task_id)
        return Task(task_id, TaskStatus("submitted", run.created_at), (said,))

    async def follow(
        self, principal: Principal, assistant: Assistant, task_id: TaskId, run: Run
    ) -> AsyncIterator[list[TaskEvent]]:
        """Yield what a run says for a task, in batches: what it has said of a text each time, then how it ends."""
        following: Run | None = run
        while following is not None:
            async with aclosing(self._live(principal, task_id, following)) as batches:
                async for batch in batches:
                    yield batch
            await self._runs.wait_body(principal, following)
            following = await self._working(principal, assistant, task_id)
        task = await self.get(principal, assistant, task_id)
        artifacts: list[TaskEvent] = [ArtifactUpdate(task_id, artifact) for artifact in task.artifacts]
        yield [*artifacts, StatusUpdate(task_id, task.status, final=True)]

    async def _live(self, principal: Principal, task_id: TaskId, run: Run) -> AsyncGenerator[list[TaskEvent]]:
        text = LiveText()
        events = self._runs.events(principal, run)
        async with aclosing(cast(AsyncGenerator[list[Event]], events)) as batches:
            async for batch in batches:
                spoken: dict[str, A2AMessage] = {}
                for event in batch:
                    if event.name == "messages" and (said := text.feed(event.data, task_id)) is not None:
                        spoken.pop(said.message_id, None)
                        spoken[said.message_id] = said
                if spoken:
                    now = self._clock()
                    yield [StatusUpdate(task_id, TaskStatus("working", now, said)) for said in spoken.values()]

    async def _working(
        self, principal: Principal, assistant: Assistant, task_id: TaskId, only: Filters = None
    ) -> Run | None:
        """Return the oldest run of a task that has not ended; None when all have."""
        task = await self._task(principal, assistant, task_id, only)
        return next((run for run in task.runs if not run.ended), None)

    async def subscribe(
        self, principal: Principal, assistant: Assistant, task_id: TaskId, *, only: Filters = None
    ) -> tuple[Task, Run]:
        """Return a task that works, and the run to follow.

        Raises:
            RpcError: there is no such task, or it does not work.
        """
        working = await self._working(principal, assistant, task_id, only)
        if working is None:
            raise RpcError(UNSUPPORTED, "The task does not work any more: look at it instead.")
        return await self.get(principal, assistant, task_id, only=only), working

    async def _task(self, principal: Principal, assistant: Assistant, task_id: TaskId, only: Filters) -> TaskRuns:
        tenant = principal.tenant_id
        try:
            return await self._database.read(
                lambda connection: A2ATaskRepository(connection, tenant, only, principal.hidden).get(
                    task_id.thread_id, task_id.run_id, assistant.assistant_id
                )
            )
        except NotFound:
            raise not_found(str(task_id)) from None

    async def _tasks(
        self, principal: Principal, assistant: Assistant, thread_id: UUID | None, only: Filters
    ) -> list[TaskRuns]:
        tenant = principal.tenant_id
        return await self._database.read(
            lambda connection: A2ATaskRepository(connection, tenant, only, principal.hidden).find(
                assistant.assistant_id, thread_id
            )
        )

    async def _note_canceled(self, principal: Principal, task: TaskRuns) -> None:
        thread = await self._threads.get(principal, task.first.thread_id)
        canceled = [*canceled_in(thread.metadata), str(task.first.run_id)][-MAX_CANCELED:]
        await self._threads.update(principal, thread.thread_id, {MARK: {"canceled": canceled}})

    async def _view(
        self,
        principal: Principal,
        assistant: Assistant,
        task: TaskRuns,
        scope: HistoryScope,
        others: Sequence[TaskRuns],
        states: dict[UUID, ThreadState],
    ) -> Task:
        """Return a task with what was said; its history may name `others`, and `states` keeps what was read."""
        first, latest = task.first, task.latest
        task_id = TaskId(first.thread_id, first.run_id)
        if first.thread_id not in states:
            states[first.thread_id] = (await self._threads.look(principal, first.thread_id))[1]
        state = states[first.thread_id]
        start = start_of(first) or ""
        names = {start_of(one.first) or "": TaskId(one.first.thread_id, one.first.run_id) for one in others}
        values = orjson.loads(dumps(state.values))
        talk = Conversation(values if isinstance(values, dict) else {}, names | {start: task_id})
        found = state_of(task)
        said = None
        if found == "failed":
            said = A2AMessage(f"{latest.run_id}-error", False, (TextPart(_failure(latest)),), task_id)
        artifacts = talk.artifacts(start, latest.run_id, assistant.assistant_id) if found == "completed" else ()
        if found == "input-required":
            artifacts = talk.questions([one for each in state.interrupts.values() for one in each])
        return Task(
            task_id,
            TaskStatus(found, _changed_at(task), said),
            talk.history(start, first.request.input, scope),
            artifacts,
        )


def task_of(asked: Asked, run: Run) -> TaskId:
    """Return the task that a message's run works on."""
    return asked.task_id or TaskId(run.thread_id, run.run_id)


def state_of(task: TaskRuns) -> TaskState:
    """Return how a task stands."""
    if task.canceled:
        return "canceled"
    if task.latest.status == "success":
        return "input-required" if task.waits else "completed"
    states: dict[str, TaskState] = {
        "queued": "submitted",
        "pending": "submitted",
        "running": "working",
        "interrupted": "canceled",
    }
    return states.get(task.latest.status, "failed")


def not_found(text: str) -> RpcError:
    """Return the refusal of a task that is not there."""
    return RpcError(TASK_NOT_FOUND, f"Task not found: {text[:100]}")


def _not_cancelable() -> RpcError:
    return RpcError(NOT_CANCELABLE, "The task has ended and cannot be canceled.")


def _changed_at(task: TaskRuns) -> datetime:
    return task.latest.ended_at or task.latest.updated_at


def _failure(run: Run) -> str:
    result = run.result or {}
    if run.status == "timeout":
        return "The task was stopped at its time limit."
    return str(result.get("message") or result.get("error") or "The task failed.")
