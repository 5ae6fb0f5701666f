"""Commands of the thread protocol: start a run, answer interrupts, look at states, fork, tell the tree of graphs."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol, cast
from uuid import UUID

from langgraph.types import StateSnapshot

from backend.core.error import CheckpointNotFound, NotInterrupted, RunNotFound, ThreadBusy, ThreadNotFound
from backend.core.run.event_log import EventLog
from backend.database.base import Database
from backend.dto.principal import Principal
from backend.dto.run import Run, RunRequest, StreamMode
from backend.repository.thread import ThreadRepository
from backend.service.run import RunService
from backend.service.subscription import SubscriptionService
from backend.service.thread_state import ThreadStateService
from backend.util.containment import Filters

SETTLE_SECONDS = 5.0
"""How long an answer waits for a run that is about to stop at its interrupt."""
PAUSE_SECONDS = 0.05
MODES = ["values", "updates", "messages", "tools", "lifecycle", "custom", "tasks", "checkpoints"]
"""What such a run streams, as its row tells it."""

ErrorCode = Literal[
    "invalid_argument",
    "unknown_command",
    "unknown_error",
    "no_such_run",
    "no_such_subscription",
    "no_such_namespace",
    "no_such_interrupt",
    "no_such_checkpoint",
    "permission_denied",
    "not_supported",
]


class CommandError(Exception):
    """A command that is answered with an error."""

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class Graphs(Protocol):
    def static(self, name: str) -> Any: ...


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer to one interrupt; the namespace None fits any."""

    interrupt_id: str
    response: Any
    namespace: Sequence[str] | None = None


class CommandService:
    def __init__(
        self,
        database: Database,
        runs: RunService,
        states: ThreadStateService,
        subscriptions: SubscriptionService,
        graphs: Graphs,
        log: EventLog,
    ) -> None:
        self._database = database
        self._runs = runs
        self._states = states
        self._subscriptions = subscriptions
        self._graphs = graphs
        self._log = log

    async def start(self, principal: Principal, thread_id: UUID, request: RunRequest, *, only: Filters = None) -> Run:
        """Start a run on the thread, which is made when it is not there.

        On a thread that waits at interrupts the input is the answer to them, unless the run goes on from another
        checkpoint.

        Raises:
            DomainError: as `RunService.start` raises it.
        """
        asked = _streamed(request)
        if request.input is not None and request.checkpoint is None and await self._waits(principal, thread_id):
            try:
                return await self._start(
                    principal, thread_id, replace(asked, input=None, resume=asked.input, has_resume=True), only
                )
            except NotInterrupted:
                pass  # somebody answered in this moment: it is an input again
        return await self._start(principal, thread_id, asked, only)

    async def settled(self, principal: Principal, thread_id: UUID, *, only: Filters = None) -> Run | None:
        """Return the thread's last run when nothing runs on it any more, which is waited for a little.

        Raises:
            CommandError: `no_such_run`: there is no such thread, or its run goes on.
        """
        none = CommandError("no_such_run", "No interrupted run is bound to this thread.")
        try:
            async with asyncio.timeout(SETTLE_SECONDS):
                while True:
                    run = next(iter(await self._runs.list(principal, thread_id, limit=1, only=only)), None)
                    if run is None or run.ended:
                        return run
                    channel = self._log.find(principal.tenant_id, run.run_id)
                    # One that is not here ended a moment ago, or its server stops.
                    await (asyncio.sleep(PAUSE_SECONDS) if channel is None else channel.ended())
        except (TimeoutError, ThreadNotFound):
            raise none from None

    async def answer(
        self,
        principal: Principal,
        last: Run,
        request: RunRequest,
        answers: Sequence[Answer],
        *,
        only: Filters = None,
    ) -> Run:
        """Go on with a thread whose `last` run stopped at interrupts; the request carries what goes with the answers.

        Raises:
            CommandError: `no_such_interrupt`: one of them does not wait, not there, or no longer.
        """
        thread_id = last.thread_id
        waiting = await self._waiting(principal, thread_id)
        where = {one["id"]: one.get("namespace") for one in (last.result or {}).get("interrupts") or ()}
        for given in answers:
            known = where.get(given.interrupt_id)
            elsewhere = known is not None and given.namespace is not None and list(given.namespace) != known
            if given.interrupt_id not in waiting or elsewhere:
                raise unknown_interrupt(given.interrupt_id)
        resume = {given.interrupt_id: given.response for given in answers}
        asked = replace(_streamed(request), input=None, resume=resume, has_resume=True, multitask_strategy="reject")
        try:
            return await self._start(principal, thread_id, asked, only)
        except (ThreadBusy, NotInterrupted):  # somebody else was faster
            raise unknown_interrupt(answers[0].interrupt_id) from None

    async def active(self, principal: Principal, thread_id: UUID, *, only: Filters = None) -> Run:
        """Return the run into which something can be said now.

        Raises:
            CommandError: `no_such_run`: there is none; `not_supported`: its graph keeps no messages.
        """
        run = await self._last(principal, thread_id, only)
        if run is None or run.ended:
            raise CommandError("no_such_run", "No active run is bound to this thread.")
        graph = self._graphs.static(run.request.agent)
        if graph is not None and "messages" not in graph.channels:
            raise CommandError("not_supported", f"The graph {run.request.agent} keeps no messages.")
        return run

    async def inject(self, principal: Principal, thread_id: UUID, request: RunRequest, *, only: Filters = None) -> Run:
        """Say something to a thread at work: LangGraph takes nothing into a running graph, so it is the next run's."""
        return await self._start(principal, thread_id, replace(_streamed(request), multitask_strategy="enqueue"), only)

    async def forked(self, principal: Principal, thread_id: UUID, checkpoint_id: str, *, only: Filters = None) -> Run:
        """Return the thread's last run, whose assistant a fork from a checkpoint has.

        Raises:
            CommandError: `no_such_checkpoint`.
        """
        try:
            await self._states.get(principal, thread_id, checkpoint={"checkpoint_id": checkpoint_id}, only=only)
            run = await self._last(principal, thread_id, only)
        except (CheckpointNotFound, ThreadNotFound):
            run = None
        if run is None:
            raise CommandError("no_such_checkpoint", f"Checkpoint {checkpoint_id[:60]} does not exist.")
        return run

    async def fork(
        self, principal: Principal, thread_id: UUID, checkpoint_id: str, request: RunRequest, *, only: Filters = None
    ) -> Run:
        """Start a run from one of the thread's checkpoints."""
        asked = replace(_streamed(request), checkpoint={"checkpoint_id": checkpoint_id})
        return await self._start(principal, thread_id, asked, only)

    async def state(
        self,
        principal: Principal,
        thread_id: UUID,
        namespace: Sequence[str],
        keys: Sequence[str] | None,
        *,
        only: Filters = None,
    ) -> dict[str, Any]:
        """Return the values of a graph of the thread, or some of them, and its checkpoint.

        Raises:
            CommandError: `no_such_namespace`.
        """
        try:
            found = await self._states.get(principal, thread_id, checkpoint=_checkpoint(namespace), only=only)
        except ValueError:
            found = None
        if found is None or (namespace and found.created_at is None):
            raise CommandError("no_such_namespace", f"There is nothing at {'|'.join(namespace)[:200]}.")
        values = found.values
        if keys is not None and isinstance(values, Mapping):
            values = {key: values[key] for key in keys if key in values}
        shown: dict[str, Any] = {"values": values}
        if (checkpoint_id := _id_of(found)) is not None:
            shown["checkpoint"] = {"id": checkpoint_id, "ns": "|".join(namespace)}
        return shown

    async def checkpoints(
        self,
        principal: Principal,
        thread_id: UUID,
        namespace: Sequence[str],
        limit: int,
        before: str | None,
        *,
        only: Filters = None,
    ) -> list[dict[str, Any]]:
        """Return the checkpoints of a graph of the thread, newest first, those before `before`.

        Raises:
            CommandError: `no_such_namespace`.
        """
        try:
            found = await self._states.history(
                principal, thread_id, limit=limit, before=before, checkpoint=_checkpoint(namespace), only=only
            )
        except ValueError:
            raise CommandError("no_such_namespace", f"There is nothing at {'|'.join(namespace)[:200]}.") from None
        return [_summary(state) for state in found]

    async def tree(
        self, principal: Principal, thread_id: UUID, run_id: UUID | None, *, only: Filters = None
    ) -> dict[str, Any]:
        """Return the graphs of a run, by default of the thread's last, with their subgraphs and where each stands.

        Raises:
            CommandError: `no_such_run`.
        """
        run = await self._last(principal, thread_id, only)
        if run is not None and run_id is not None:
            try:
                run = await self._runs.get(principal, run_id)
            except RunNotFound:
                run = None
        if run is None or run.thread_id != thread_id:
            raise CommandError("no_such_run", "No run is bound to this thread.")
        root = _node((), "started", run.request.agent)
        nodes: dict[tuple[str, ...], dict[str, Any]] = {(): root}
        for event in await self._subscriptions.tree(principal, run):
            ns = tuple(event.namespace)
            data = event.content()
            node = nodes.get(ns)
            if node is None:
                node = nodes[ns] = _node(ns, data["event"], data.get("graph_name") or ns[-1].partition(":")[0])
                above = next(ns[:length] for length in range(len(ns) - 1, -1, -1) if ns[:length] in nodes)
                nodes[above]["children"].append(node)
            node["status"] = data["event"]
        return root

    async def _start(self, principal: Principal, thread_id: UUID, request: RunRequest, only: Filters) -> Run:
        return await self._runs.start(principal, request, thread_id=thread_id, if_missing="create", only=only)

    async def _last(self, principal: Principal, thread_id: UUID, only: Filters) -> Run | None:
        try:
            return next(iter(await self._runs.list(principal, thread_id, limit=1, only=only)), None)
        except ThreadNotFound:
            return None

    async def _waits(self, principal: Principal, thread_id: UUID) -> bool:
        return bool(await self._waiting(principal, thread_id))

    async def _waiting(self, principal: Principal, thread_id: UUID) -> set[str]:
        """Return the ids of the interrupts at which the thread stands."""
        try:
            found = await self._database.read(
                lambda connection: (
                    ThreadRepository(connection, principal.tenant_id, principal.hidden).state(thread_id).interrupts
                )
            )
        except ThreadNotFound:
            return set()
        return {one["id"] for task in (found or {}).values() for one in task}


def _streamed(request: RunRequest) -> RunRequest:
    return replace(
        request,
        dialect="protocol",
        stream_mode=cast(list[StreamMode], MODES),
        stream_subgraphs=True,
        stream_resumable=True,
    )


def unknown_interrupt(interrupt_id: str) -> CommandError:
    """Return the error of an answer to what does not wait."""
    return CommandError("no_such_interrupt", f"Unknown or already-consumed interrupt: {interrupt_id[:60]}")


def _checkpoint(namespace: Sequence[str]) -> dict[str, Any] | None:
    return {"checkpoint_ns": "|".join(namespace)} if namespace else None


def _id_of(state: StateSnapshot) -> str | None:
    found: str | None = state.config.get("configurable", {}).get("checkpoint_id") if state.config else None
    return found


def _summary(state: StateSnapshot) -> dict[str, Any]:
    metadata = dict(state.metadata or {})
    parent = (state.parent_config or {}).get("configurable", {}).get("checkpoint_id")
    return {
        "id": _id_of(state),
        "timestamp": state.created_at,
        "step": metadata.get("step"),
        "source": metadata.get("source"),
        "metadata": metadata,
    } | ({} if parent is None else {"parent_id": parent})


def _node(namespace: tuple[str, ...], status: str, graph_name: str) -> dict[str, Any]:
    return {"namespace": list(namespace), "status": status, "graph_name": graph_name, "children": []}
