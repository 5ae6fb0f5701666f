"""One attempt of a run: the graph, its checkpoints, its events."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager, contextmanager
from copy import copy
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal, Protocol, cast

import orjson
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import convert_to_messages
from langchain_core.runnables import RunnableConfig
from langgraph._internal._constants import CONFIG_KEY_STRICT_RESUME
from langgraph.channels import BinaryOperatorAggregate
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.serde.types import INTERRUPT
from langgraph.errors import UnknownInterruptError
from langgraph.graph.message import add_messages
from langgraph.graph.state import CompiledStateGraph
from langgraph.store.base import BaseStore
from langgraph.types import Command, Send
from loguru import logger

from backend.core.error import DomainError, Invalid
from backend.core.graph.context import Context
from backend.core.graph.desk import Desk
from backend.core.loopback import acting_as
from backend.core.model.usage_meter import UsageMeter
from backend.core.retrieval.base import Retriever
from backend.core.run.agent_encoder import AgentEncoder
from backend.core.run.encoder import ChatEncoder, Encoder
from backend.core.run.event_log import Channel
from backend.core.run.message_handler import MessageHandler
from backend.core.run.protocol_encoder import ProtocolEncoder
from backend.core.run.run_context import context_for
from backend.core.run.wire import dumps, error_data
from backend.core.user import User
from backend.dto.agent import AgentInfo
from backend.dto.principal import SCOPES, Principal
from backend.dto.run import Run, RunRequest
from backend.dto.thread import ThreadStatus
from backend.dto.usage import Usage

Graph = CompiledStateGraph[Any, Any, Any, Any]


class Graphs(Protocol):
    def static(self, name: str) -> Graph | None:
        """Return a graph that is compiled once; None when it is made for each use."""

    def use(
        self,
        name: str,
        *,
        config: RunnableConfig,
        access_context: str,
        user: Mapping[str, Any] | None,
        store: BaseStore | None,
        context: Any = None,
    ) -> AbstractAsyncContextManager[Graph]: ...

    def transformers(self, name: str) -> list[Any]:
        """Return the stream transformers that a graph's module has for it."""

    def describe(self, name: str) -> AgentInfo: ...

    async def prepare(self, name: str) -> None: ...


class Models(Protocol):
    def get(self, alias: str | None = None) -> BaseChatModel: ...

    def meter(self, alias: str | None = None) -> UsageMeter: ...

    def is_extractive(self, alias: str | None = None) -> bool: ...


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an attempt ended: what its run and its thread become, and the data of its last event."""

    status: Literal["success", "error", "timeout", "interrupted"]
    thread_status: ThreadStatus
    last_event: Literal["done", "error", "end"]
    result: dict[str, Any] | orjson.Fragment
    """The data of the last event, as they are or as JSON."""
    usage: Usage | None = None
    values: bytes | None = None
    """The thread's state as JSON; None when the attempt saw none."""
    interrupts: dict[str, Any] | None = None
    """By task, what each waits for."""
    error: dict[str, Any] | None = None
    """What the thread says of a failure."""
    body: bytes | None = None
    """What those are told who wait for the end alone."""


class RunExecutor:
    """Makes attempts; holds nothing between them."""

    def __init__(
        self,
        graphs: Graphs,
        models: Models,
        retriever: Callable[[str], Retriever],
        clock: Callable[[], datetime],
        *,
        max_tokens: int,
        store: Callable[[Run, bool], BaseStore] | None = None,
        desk: Callable[[Run], Desk] | None = None,
    ) -> None:
        """`store` gives a run its tenant's long-term memory; the flag says whether the run has a row.

        `desk` gives it its tenant's support desk.
        """
        self._graphs = graphs
        self._models = models
        self._retriever = retriever
        self._clock = clock
        self._max_tokens = max_tokens
        self._store = store
        self._desk = desk

    async def check(self, request: RunRequest) -> None:
        """Make sure that a run for the request can begin at once.

        Raises:
            AgentNotFound, InvalidGraph, UnsupportedModel: it could not.
            Invalid: its messages are none.
        """
        await self._graphs.prepare(request.agent)
        self._models.get(request.model)
        if isinstance(request.input, Mapping) and "messages" in request.input:
            graph = self._graphs.static(request.agent)
            if graph is not None:
                check_messages(request.input["messages"], graph)

    def asks_no_model(self, request: RunRequest) -> bool:
        """Return whether it is an answer to an interrupt, and nothing else, of an agent that then asks none."""
        return (
            request.has_resume
            and request.input is None
            and request.update is None
            and request.goto is None
            and request.checkpoint is None
            and self._graphs.describe(request.agent).answers_ask_no_model
        )

    def attempt(
        self, run: Run, channel: Channel, saver: BaseCheckpointSaver[str] | None, *, streamed: bool = True
    ) -> "Attempt":
        """Return an attempt, not yet begun; `saver` None keeps no state, `streamed` False says only how it ends."""
        request = run.request
        context: Any = request.context
        if self._graphs.describe(request.agent).takes_context:
            context = Context(
                tenant_id=run.tenant_id,
                user_id=run.user_id,
                model=self._models.get(request.model),
                sampling=request.sampling,
                retriever=self._retriever(run.tenant_id),
                clock=self._clock,
                max_tokens=self._max_tokens,
                has_llm=not self._models.is_extractive(request.model),
                desk=None if self._desk is None else self._desk(run),
            )
        encoder: Encoder
        if request.dialect == "agent":
            encoder = AgentEncoder(channel, run, streamed=streamed)
        elif request.dialect == "protocol":
            encoder = ProtocolEncoder(channel, run)
        else:
            encoder = ChatEncoder(channel, run, stored=saver is not None, streamed=streamed)
        store = None if self._store is None else self._store(run, saver is not None)
        return Attempt(run, encoder, saver, store, self._graphs, context, self._models.meter(request.model))


class Attempt:
    """One attempt of a run. Events up to but not with the last go to its channel; the last is the outcome's."""

    def __init__(
        self,
        run: Run,
        encoder: Encoder,
        saver: BaseCheckpointSaver[str] | None,
        store: BaseStore | None,
        graphs: Graphs,
        context: Any,
        meter: UsageMeter,
    ) -> None:
        self._run = run
        self._saver = saver
        self._store = store
        self._graphs = graphs
        self._context = context
        self._meter = meter
        self._encoder = encoder
        self._waiting: dict[str, Any] = {}
        self._stands = False
        """Whether the graph stopped before its end."""

    @property
    def usage(self) -> Usage:
        """What it has used of the models until now."""
        return self._meter.usage

    async def execute(self) -> Outcome:
        """Run the graph to its end or its interrupt.

        Raises:
            Exception: what the graph raised.
        """
        request = self._run.request
        config = self._config()
        self._encoder.start(request.model or "default")
        graph = self._graphs.static(request.agent)
        with _contained(), acting_as(_principal(self._run)):
            if request.tracer is not None:
                with _traced(request.tracer):
                    await self._use(graph, config)
            else:
                await self._use(graph, config)
        return self.ended("interrupted" if self._stands else "success")

    async def _use(self, graph: Graph | None, config: RunnableConfig) -> None:
        request = self._run.request
        if graph is not None:
            await self._drive(graph, config)
        else:
            async with self._graphs.use(
                request.agent,
                config=config,
                access_context="threads.create_run",
                user=config["configurable"].get("langgraph_auth_user"),
                store=self._store,
                context=self._context,
            ) as made:
                await self._drive(made, config)

    async def _drive(self, graph: Graph, config: RunnableConfig) -> None:
        run, encoder, saver = self._run, self._encoder, self._saver
        request = run.request
        graph = copy(graph)  # its own `copy` checks all nodes again: a twentieth of a small run
        if saver is not None:
            graph.checkpointer = saver
        if self._store is not None:
            graph.store = self._store
        options: dict[str, Any] = {
            "context": self._context if isinstance(self._context, Context) else context_for(graph, self._context),
            "durability": request.durability if saver is not None else None,
            "interrupt_before": request.interrupt_before,
            "interrupt_after": request.interrupt_after,
        }
        given = await self._input(graph, config)
        if isinstance(encoder, ProtocolEncoder):
            added = self._graphs.transformers(request.agent)
            await encoder.drive(graph, given, config, transformers=added, **options)
        elif isinstance(encoder, AgentEncoder) and encoder.wants_events:
            events = graph.astream_events(
                given, config, version="v2", stream_mode=list(encoder.modes), subgraphs=encoder.subgraphs, **options
            )
            async for event in events:
                encoder.event(event)
        elif encoder.subgraphs:
            parts = graph.astream(given, config, stream_mode=cast(Any, list(encoder.modes)), subgraphs=True, **options)
            async for ns, mode, payload in parts:
                encoder.feed(mode, payload, ns)
        else:
            async for mode, payload in graph.astream(
                given, config, stream_mode=cast(Any, list(encoder.modes)), **options
            ):
                encoder.feed(mode, payload)
        self._stands = bool(encoder.interrupts)
        stops = request.interrupt_before or request.interrupt_after
        if saver is not None and (self._stands or stops or graph.interrupt_before_nodes or graph.interrupt_after_nodes):
            state = await graph.aget_state({"configurable": {"thread_id": str(run.thread_id)}})
            self._stands = bool(state.next)
            self._waiting = {task.id: list(task.interrupts) for task in state.tasks if task.interrupts}

    def ended(self, how: Literal["success", "interrupted", "cancelled", "timeout"]) -> Outcome:
        """Return the outcome of an attempt that failed of nothing: `interrupted` waits, `cancelled` was stopped."""
        usage = self._meter.usage
        shown = "interrupted" if how == "cancelled" else how
        encoder = self._encoder
        dialect = self._run.request.dialect
        result = encoder.finish(shown if dialect == "chat" or how != "interrupted" else "success", usage)
        error = None
        if isinstance(encoder, AgentEncoder):
            values, body = encoder.state(), encoder.body()
        else:
            values = None if encoder.values is None else dumps(encoder.values)
            body = values or b"null"
            if encoder.interrupts and isinstance(encoder.values, dict):
                body = dumps({**encoder.values, "__interrupt__": encoder.interrupts})
        if dialect != "chat" and how == "timeout":
            error = error_data(TimeoutError("The run was stopped at its time limit."))
            body = dumps({"__error__": error})
        elif dialect != "chat" and how == "cancelled":
            error = {"error": "UserInterrupt", "message": "The run was cancelled."}
        return Outcome(
            status="success" if how == "interrupted" else shown,
            thread_status="interrupted" if how == "interrupted" else "idle",
            last_event="done" if dialect == "chat" else "end",
            result=result,
            usage=usage,
            values=values,
            interrupts=json_of(self._waiting),
            error=error,
            body=body,
        )

    def failed(self, error: BaseException) -> Outcome:
        """Return the outcome of an attempt whose graph raised."""
        values = self._encoder.values
        return replace(
            failure(self._run, error),
            usage=self._meter.usage,
            values=None if values is None else dumps(values),
        )

    def _config(self) -> RunnableConfig:
        run = self._run
        request = run.request
        run_id = str(run.run_id)
        ids = {"thread_id": str(run.thread_id), "run_id": run_id, "user_id": run.user_id}
        # With its own run id in the metadata of the last checkpoint, LangGraph takes a run up again where that
        # checkpoint stands and does not apply the input twice (langgraph PR 3668).
        metadata: dict[str, Any] = {"run_id": run_id}
        if request.dialect != "chat":
            ids |= {"graph_id": request.agent, "assistant_id": request.assistant_id or ""}
            metadata = {**request.metadata, **ids, "run_attempt": run.attempt}
        configurable: dict[str, Any] = {**clean(request.configurable), **ids}
        if request.checkpoint:
            place = request.checkpoint
            configurable |= {key: place[key] for key in _CHECKPOINT_KEYS if place.get(key) is not None}
        if request.strict_resume:
            configurable[CONFIG_KEY_STRICT_RESUME] = True
        if (user := configurable.get("langgraph_auth_user")) is not None:
            configurable["langgraph_auth_user"] = User(user)
        encoder = self._encoder
        config: RunnableConfig = {
            "configurable": configurable,
            "metadata": metadata,
            "run_id": run.run_id,
            "run_name": request.agent,
        }
        if encoder.streamed:
            config["callbacks"] = [MessageHandler(encoder.message, self._meter, subgraphs=encoder.subgraphs)]
        else:
            config["callbacks"] = [self._meter]
        if request.recursion_limit is not None:
            config["recursion_limit"] = request.recursion_limit
        if request.tags:
            config["tags"] = request.tags
        return cast(RunnableConfig, {**config, **request.options}) if request.options else config

    async def _input(self, graph: Graph, config: RunnableConfig) -> Any:
        """What the graph is given: the input, a command, or nothing to go on from where it stands."""
        request = self._run.request
        again = self._run.attempt > 1 and self._saver is not None
        if not request.has_command and not (again and request.checkpoint):
            return request.input
        head = {"configurable": {"thread_id": str(self._run.thread_id), "checkpoint_ns": ""}}
        last = await self._saver.aget_tuple(cast(RunnableConfig, head)) if self._saver is not None else None
        if again and last is not None and last.metadata.get("run_id") == str(self._run.run_id):
            # The command was taken, or the fork made, when this run saved its first checkpoint: given again, it would
            # answer the next interrupt, or make a second fork.
            for key in _CHECKPOINT_KEYS:
                config["configurable"].pop(key, None)
            return None
        if not request.has_command:
            return request.input
        writes = (
            () if last is None else [value for _, channel, value in last.pending_writes or () if channel == INTERRUPT]
        )
        waiting = [interrupt.id for interrupts in writes for interrupt in interrupts]
        # LangGraph checks answers by id itself, and lets any other through where nothing waits: the graph may stand at
        # a breakpoint.
        if request.strict_resume and request.has_resume and not waiting:
            state = await graph.aget_state(cast(RunnableConfig, head))
            if not state.next:
                raise UnknownInterruptError("Nothing waits for an answer.", reason="not_pending", pending_ids=[])
        return command_of(request, waiting)


class NodeExit(RuntimeError):
    """A node wanted to end more than its run: the process, or the task that it runs in."""


@contextmanager
def _contained() -> Iterator[None]:
    """Make of what would end the task, or the server, an ordinary failure; a cancellation from outside stays one."""
    try:
        yield
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise NodeExit("A node cancelled its own run.") from error
    except Exception:
        raise
    except BaseException as error:
        raise NodeExit(f"A node raised {type(error).__name__}.") from error


def _traced(tracer: Mapping[str, Any]) -> AbstractContextManager[Any]:
    """Send the traces of what runs herein to a project of LangSmith, where the process is set up for it."""
    from langsmith import tracing_context

    reference = {"reference_example_id": tracer["example_id"]} if tracer.get("example_id") else None
    return tracing_context(project_name=tracer.get("project_name"), metadata=reference)


def _principal(run: Run) -> Principal:
    """In whose name the graph calls this server."""
    configurable = run.request.configurable
    return Principal(
        run.tenant_id,
        run.user_id,
        user=configurable.get("langgraph_auth_user"),
        permissions=tuple(configurable.get("langgraph_auth_permissions") or ()),
        scopes=SCOPES if run.request.scopes is None else frozenset(run.request.scopes),
    )


_CHECKPOINT_KEYS = ("checkpoint_id", "checkpoint_ns", "checkpoint_map")


def command_of(request: RunRequest, waiting: list[str]) -> Command[Any]:
    """Return a request's command; `waiting` are the ids of the interrupts that the thread stands at."""
    resume = request.resume
    if request.has_resume and resume is None:
        # LangGraph takes a bare None for no answer, so each interrupt gets it by its id.
        resume = dict.fromkeys(waiting)
    return Command(resume=resume if request.has_resume else None, update=request.update, goto=_goto(request.goto))


def _goto(goto: Any) -> Any:
    if goto is None:
        return ()
    if isinstance(goto, list):
        return [_goto(one) for one in goto]
    return Send(goto["node"], goto.get("input")) if isinstance(goto, dict) else goto


def failure(run: Run, error: BaseException) -> Outcome:
    """The outcome of a run whose graph raised: what a person may know of it, and the rest in the log."""
    if isinstance(error, DomainError):
        logger.warning("run failed: {slug}", slug=error.slug)
    else:
        logger.opt(exception=error).error("the agent {agent} failed", agent=run.request.agent)
    if run.request.dialect != "chat":
        said = error_data(error)
        return Outcome("error", "error", "error", said, error=said, body=dumps({"__error__": said}))
    ids = {"run_id": str(run.run_id), "thread_id": str(run.thread_id)}
    if isinstance(error, DomainError):
        problem = {
            "type": f"/problems/{error.slug}",
            "title": error.title,
            "status": error.status,
            "detail": error.detail,
            **error.members,
            **ids,
        }
    else:
        problem = {
            "type": "/problems/agent-failed",
            "title": "The agent failed",
            "status": 500,
            "detail": f"The agent {run.request.agent} failed with {type(error).__name__}.",
            **ids,
        }
    said = {"error": type(error).__name__, "message": problem["detail"]}
    return Outcome("error", "error", "error", problem, error=said, body=dumps({"__error__": said}))


def json_of(value: Any) -> Any:
    """Return a value as plain JSON."""
    return orjson.loads(dumps(value)) if value else value


def check_messages(messages: Any, graph: Graph) -> None:
    """Make sure that a graph that keeps messages can take these.

    Raises:
        Invalid: it cannot; LangGraph would only say so within the run.
    """
    if isinstance(messages, list) and all(_is_plain(message) for message in messages):
        return
    channel = graph.channels.get("messages")
    if not isinstance(channel, BinaryOperatorAggregate) or channel.operator is not add_messages:
        return
    try:
        convert_to_messages(messages if isinstance(messages, list) else [messages])
    except (ValueError, TypeError, KeyError, AttributeError, NotImplementedError) as error:
        raise Invalid("input.messages: these are no messages, each with a role and a content.") from error


def _is_plain(message: Any) -> bool:
    return (
        isinstance(message, dict)
        and message.get("role") in {"user", "human", "assistant", "ai", "system"}
        and isinstance(message.get("content"), str)
    )


def clean(configurable: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a caller may set: neither LangGraph's own keys nor those that say whose state is meant."""
    ours = {"thread_id", "run_id", "user_id", "tenant_id", "checkpoint_ns", "checkpoint_map", "checkpoint_id"}
    return {key: value for key, value in configurable.items() if not key.startswith("__") and key not in ours}
