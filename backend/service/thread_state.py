"""The states of a thread: what its checkpoints say, read and changed through the thread's graph."""

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, cast
from uuid import UUID

import orjson
from langchain_core.runnables import RunnableConfig
from langgraph.errors import EmptyInputError, InvalidUpdateError
from langgraph.pregel import Pregel
from langgraph.types import Command, Send, StateSnapshot, StateUpdate
from sqlalchemy import Connection

from backend.core.error import BadRequest, CheckpointNotFound, ThreadBusy
from backend.core.run.state_wire import state_wire, waiting_wire
from backend.core.run.wire import dumps
from backend.database.base import Database
from backend.dto.principal import Principal
from backend.dto.thread import StorageSize, Thread, ThreadStatus
from backend.repository.checkpoint import Checkpointer
from backend.repository.thread import ThreadRepository
from backend.util.containment import Filters

AT_ONCE = 20
"""States of a history that are read and rebuilt before others have their turn."""
TRIES = 5
"""How often a change is made anew because another came first."""

Graph = Pregel[Any, Any, Any, Any]
OnStateUpdate = Callable[[str, UUID, dict[str, Any]], Awaitable[None]]
"""Told of the tenant, the thread and its new state, as the wire has it."""

EMPTY = StateSnapshot({}, (), {"configurable": {}}, None, None, None, (), ())
"""The state of a thread that no graph has run on."""


class Graphs(Protocol):
    def use(
        self, name: str, *, config: RunnableConfig | None = None, access_context: Any = ..., user: Any = None
    ) -> AbstractAsyncContextManager[Graph]: ...


class _Moved(Exception):
    """Another wrote a checkpoint since the state was read."""


@dataclass(slots=True)
class _Unmoved:
    """Lets a saver write only while no run is active on the thread and its newest checkpoint is the one that was seen.

    A run begins in the same row, so one of the two comes first: the run sees the change, or the change sees the run.
    """

    tenant_id: str
    thread_id: UUID
    saver: Checkpointer
    head: str | None

    def check(self, connection: Connection) -> None:
        if ThreadRepository(connection, self.tenant_id).get(self.thread_id, lock=True).status == "busy":
            raise ThreadBusy(self.thread_id)
        if self.saver.head_in(connection, self.thread_id) != self.head:
            raise _Moved

    def wrote(self, checkpoint_id: str) -> None:
        self.head = checkpoint_id if self.head is None else max(self.head, checkpoint_id)


class ThreadStateService:
    """All methods raise `ThreadNotFound` when there is no such thread, it is another tenant's, or `only` hides it."""

    def __init__(
        self,
        database: Database,
        checkpointer: Checkpointer,
        graphs: Graphs,
        clock: Callable[[], datetime],
        *,
        on_state_update: OnStateUpdate | None = None,
    ) -> None:
        self._database = database
        self._checkpointer = checkpointer
        self._graphs = graphs
        self._clock = clock
        self._on_state_update = on_state_update

    async def get(
        self,
        principal: Principal,
        thread_id: UUID,
        *,
        checkpoint: Mapping[str, Any] | None = None,
        subgraphs: bool = False,
        only: Filters = None,
    ) -> StateSnapshot:
        """Return the state at `checkpoint` (`checkpoint_id`, `checkpoint_ns`, `checkpoint_map`), or the newest.

        Raises:
            CheckpointNotFound: the thread has no such checkpoint.
            BadRequest: the graph cannot make a state of what was written to it.
        """
        thread = await self._thread(principal, thread_id, only)
        asked = None if checkpoint is None else checkpoint.get("checkpoint_id")
        if (graph_id := graph_of(thread)) is None:
            if asked is not None:
                raise CheckpointNotFound(asked)
            return EMPTY
        async with self._use(principal, thread, graph_id, "threads.read") as graph:
            bound = self._bind(graph, self._checkpointer.bound(principal.tenant_id))
            with _readable():
                state = await bound.aget_state(_config(thread_id, checkpoint), subgraphs=subgraphs)
        if asked is not None and state.created_at is None:
            raise CheckpointNotFound(asked)
        return state

    async def history(
        self,
        principal: Principal,
        thread_id: UUID,
        *,
        limit: int = 1,
        before: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        checkpoint: Mapping[str, Any] | None = None,
        only: Filters = None,
    ) -> list[StateSnapshot]:
        """Return states, newest first: those before the checkpoint `before` whose metadata contain `metadata`.

        `checkpoint` names a subgraph by its `checkpoint_ns`, or one state by its `checkpoint_id`.

        Raises:
            BadRequest: as `get` does.
        """
        thread = await self._thread(principal, thread_id, only)
        if (graph_id := graph_of(thread)) is None:
            return []
        found: list[StateSnapshot] = []
        config = _config(thread_id, checkpoint)
        async with self._use(principal, thread, graph_id, "threads.read") as graph:
            bound = self._bind(graph, self._checkpointer.bound(principal.tenant_id))
            while len(found) < limit:
                size = min(AT_ONCE, limit - len(found))
                behind: RunnableConfig | None = None if before is None else {"configurable": {"checkpoint_id": before}}
                with _readable():
                    states = [
                        state
                        async for state in bound.aget_state_history(
                            config, filter=dict(metadata) if metadata else None, before=behind, limit=size
                        )
                    ]
                found += states
                if len(states) < size:
                    break
                before = states[-1].config["configurable"]["checkpoint_id"]
        return found

    async def update(
        self,
        principal: Principal,
        thread_id: UUID,
        values: Any,
        *,
        as_node: str | None = None,
        checkpoint: Mapping[str, Any] | None = None,
        only: Filters = None,
    ) -> dict[str, Any]:
        """Save a new state as if a node had written `values`, after the newest or `checkpoint`; return its place.

        Raises:
            BadRequest: no graph has run on the thread, or the graph does not take this.
            CheckpointNotFound: the thread has no such checkpoint.
            ThreadBusy: a run is pending or running on it.
        """
        return await self._write(principal, thread_id, [[StateUpdate(values, as_node)]], checkpoint, only)

    async def apply(
        self,
        principal: Principal,
        thread_id: UUID,
        supersteps: Sequence[Sequence[Mapping[str, Any]]],
        *,
        only: Filters = None,
    ) -> dict[str, Any]:
        """Save a state after each superstep; an update has `as_node`, and `values` or a `command`.

        Raises: as `update` does.
        """
        steps = [
            [
                StateUpdate(
                    cast(Any, command_of(update["command"]) if update.get("command") else update.get("values")),
                    update.get("as_node"),
                    update.get("task_id"),
                )
                for update in superstep
            ]
            for superstep in supersteps
        ]
        return await self._write(principal, thread_id, steps, None, only)

    async def storage(self, principal: Principal, thread_id: UUID, *, only: Filters = None) -> StorageSize:
        """Return what the thread's checkpoints take."""
        await self._thread(principal, thread_id, only)
        return await self._checkpointer.bound(principal.tenant_id).storage(thread_id)

    async def _write(
        self,
        principal: Principal,
        thread_id: UUID,
        supersteps: Sequence[Sequence[StateUpdate]],
        checkpoint: Mapping[str, Any] | None,
        only: Filters,
    ) -> dict[str, Any]:
        for _ in range(TRIES):
            try:
                return await self._write_once(principal, thread_id, supersteps, checkpoint, only)
            except _Moved:
                continue
        raise ThreadBusy(thread_id)

    async def _write_once(
        self,
        principal: Principal,
        thread_id: UUID,
        supersteps: Sequence[Sequence[StateUpdate]],
        checkpoint: Mapping[str, Any] | None,
        only: Filters,
    ) -> dict[str, Any]:
        reading = self._checkpointer.bound(principal.tenant_id)

        def look(connection: Connection) -> tuple[Thread, str | None]:
            threads = ThreadRepository(connection, principal.tenant_id, principal.hidden)
            return threads.get(thread_id, only=only), reading.head_in(connection, thread_id)

        thread, head = await self._database.read(look)
        if thread.status == "busy":
            raise ThreadBusy(thread_id)
        graph_id = graph_of(thread)
        if graph_id is None:
            raise BadRequest(
                f"No graph has run on thread {thread_id} yet, so there is none to take the values:"
                " start a run, or set graph_id in the thread's metadata."
            )
        config = _config(thread_id, checkpoint)
        asked = config["configurable"].get("checkpoint_id")
        guard = _Unmoved(principal.tenant_id, thread_id, reading, head)
        async with self._use(principal, thread, graph_id, "threads.update") as graph:
            if asked is not None and (await self._bind(graph, reading).aget_state(config)).created_at is None:
                raise CheckpointNotFound(asked)
            config["metadata"] = {"graph_id": graph_id}
            try:
                bound = self._bind(graph, self._checkpointer.bound(principal.tenant_id, guard))
                written = await bound.abulk_update_state(config, supersteps)
            except (InvalidUpdateError, EmptyInputError, ValueError, TypeError, KeyError) as error:
                raise BadRequest(str(error) or type(error).__name__) from error
            state = await self._bind(graph, reading).aget_state(_config(thread_id, None))
        await self._settle(principal, thread_id, state, guard.head)
        if self._on_state_update is not None:
            await self._on_state_update(principal.tenant_id, thread_id, state_wire(state))
        return dict(written["configurable"])

    async def _settle(self, principal: Principal, thread_id: UUID, state: StateSnapshot, head: str | None) -> None:
        """Keep the new state in the thread's row, unless another has come since, which does so itself."""
        saver = self._checkpointer.bound(principal.tenant_id)
        values = orjson.Fragment(dumps(state.values))
        waiting = orjson.loads(dumps(waiting_wire(state)))

        def work(connection: Connection) -> None:
            threads = ThreadRepository(connection, principal.tenant_id, principal.hidden)
            if threads.get(thread_id, lock=True).status == "busy" or saver.head_in(connection, thread_id) != head:
                return
            status: ThreadStatus = "interrupted" if state.next else "idle"
            threads.settle(thread_id, status, self._clock(), values=values, interrupts=waiting)

        await self._database.write(work)

    async def _thread(self, principal: Principal, thread_id: UUID, only: Filters) -> Thread:
        return await self._database.read(
            lambda connection: ThreadRepository(connection, principal.tenant_id, principal.hidden).get(
                thread_id, only=only
            )
        )

    def _use(
        self, principal: Principal, thread: Thread, graph_id: str, access_context: str
    ) -> AbstractAsyncContextManager[Graph]:
        configurable = {**thread.config.get("configurable", {}), "thread_id": str(thread.thread_id)}
        config = cast(RunnableConfig, {**thread.config, "configurable": configurable})
        return self._graphs.use(graph_id, config=config, access_context=access_context, user=principal.user)

    @staticmethod
    def _bind(graph: Graph, saver: Checkpointer) -> Graph:
        return graph.copy({"checkpointer": saver})


def graph_of(thread: Thread) -> str | None:
    """Return the graph of a thread: of its last run or, before the first, the one that its metadata name."""
    if thread.agent is not None:
        return thread.agent
    named = thread.metadata.get("graph_id")
    return named if isinstance(named, str) else None


def command_of(command: Mapping[str, Any]) -> Command[Any]:
    """Return a command as it comes over the wire: `update`, `resume`, `goto` (a name, `{"node", "input"}`, or a list).

    Raises:
        BadRequest: it is none.
    """
    goto = command.get("goto") or ()
    places = goto if isinstance(goto, list | tuple) else [goto]
    targets: list[Send | str] = []
    for place in places:
        if isinstance(place, str):
            targets.append(place)
        elif isinstance(place, Mapping) and isinstance(place.get("node"), str):
            targets.append(Send(place["node"], place.get("input")))
        else:
            raise BadRequest("A command goes to a node's name, or to {node, input}.")
    return Command(update=command.get("update"), resume=command.get("resume"), goto=targets)


def _config(thread_id: UUID, checkpoint: Mapping[str, Any] | None) -> RunnableConfig:
    """Return LangGraph's config of a thread's checkpoint; whatever thread `checkpoint` names, it is this one."""
    configurable: dict[str, Any] = {"thread_id": str(thread_id), "checkpoint_ns": ""}
    for name in ("checkpoint_id", "checkpoint_ns", "checkpoint_map"):
        if checkpoint is not None and checkpoint.get(name) is not None:
            configurable[name] = checkpoint[name]
    return {"configurable": configurable}


@contextmanager
def _readable() -> Iterator[None]:
    """Two commands that write the same part of a state leave LangGraph with a checkpoint that it cannot read."""
    try:
        yield
    except InvalidUpdateError as error:
        raise BadRequest(f"The state cannot be made: {error}") from error
