"""One attempt of a run: the graph, its checkpoints, its events."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Protocol, cast

import orjson
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import convert_to_messages
from langchain_core.runnables import RunnableConfig
from langgraph.channels import BinaryOperatorAggregate
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.serde.types import INTERRUPT
from langgraph.graph.message import add_messages
from langgraph.graph.state import CompiledStateGraph
from langgraph.types import Command

from backend.core.error import Invalid
from backend.core.graph.context import Context
from backend.core.model.usage_meter import UsageMeter
from backend.core.retrieval.base import Retriever
from backend.core.run.encoder import ChatEncoder, Encoder
from backend.core.run.event_log import Channel
from backend.core.run.message_handler import MessageHandler
from backend.dto.agent import AgentInfo
from backend.dto.run import Run, RunRequest
from backend.dto.thread import ThreadStatus
from backend.dto.usage import Usage


class Graphs(Protocol):
    def get(self, name: str) -> CompiledStateGraph[Any, Any, Any, Any]: ...

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
    last_event: Literal["done", "error"]
    result: dict[str, Any] | orjson.Fragment
    """The data of the last event, as they are or as JSON."""
    usage: Usage | None = None


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
    ) -> None:
        self._graphs = graphs
        self._models = models
        self._retriever = retriever
        self._clock = clock
        self._max_tokens = max_tokens

    async def check(self, request: RunRequest) -> None:
        """Make sure that a run for the request can begin at once.

        Raises:
            AgentNotFound, InvalidGraph, UnsupportedModel: it could not.
            Invalid: its messages are none.
        """
        await self._graphs.prepare(request.agent)
        self._models.get(request.model)
        if isinstance(request.input, Mapping) and "messages" in request.input:
            check_messages(request.input["messages"], self._graphs.get(request.agent))

    def attempt(
        self, run: Run, channel: Channel, saver: BaseCheckpointSaver[str] | None, *, streamed: bool = True
    ) -> "Attempt":
        """Return an attempt, not yet begun; `saver` None keeps no state, `streamed` False says only how it ends."""
        request = run.request
        graph = self._graphs.get(request.agent)
        context = None
        if self._graphs.describe(request.agent).takes_context:
            context = Context(
                tenant_id=run.tenant_id,
                user_id=run.user_id,
                model=self._models.get(request.model),
                retriever=self._retriever(run.tenant_id),
                clock=self._clock,
                max_tokens=self._max_tokens,
                has_llm=not self._models.is_extractive(request.model),
            )
        encoder = ChatEncoder(channel, run, stored=saver is not None, streamed=streamed)
        return Attempt(run, encoder, saver, graph, context, self._models.meter(request.model))


class Attempt:
    """One attempt of a run. Events up to but not with the last go to its channel; the last is the outcome's."""

    def __init__(
        self,
        run: Run,
        encoder: Encoder,
        saver: BaseCheckpointSaver[str] | None,
        graph: CompiledStateGraph[Any, Any, Any, Any],
        context: Context | None,
        meter: UsageMeter,
    ) -> None:
        self._run = run
        self._saver = saver
        self._graph = graph
        self._context = context
        self._meter = meter
        self._encoder = encoder

    @property
    def usage(self) -> Usage:
        """What it has used of the models until now."""
        return self._meter.usage

    async def execute(self) -> Outcome:
        """Run the graph to its end or its interrupt.

        Raises:
            Exception: what the graph raised.
        """
        run, encoder, saver = self._run, self._encoder, self._saver
        request = run.request
        config: RunnableConfig = {
            "configurable": {
                **clean(request.configurable),
                "thread_id": str(run.thread_id),
                "run_id": str(run.run_id),
                "user_id": run.user_id,
            },
            # With its own run id in the metadata of the last checkpoint, LangGraph takes a run up again where that
            # checkpoint stands and does not apply the input twice (langgraph PR 3668).
            "metadata": {"run_id": str(run.run_id)},
            "callbacks": [MessageHandler(encoder.message, self._meter) if encoder.streamed else self._meter],
            "recursion_limit": request.recursion_limit,
        }
        encoder.start(request.model or "default")
        graph = self._graph if saver is None else self._graph.copy({"checkpointer": saver})
        stream = graph.astream(
            await self._input(config),
            config,
            context=self._context,
            stream_mode=cast(Any, list(encoder.modes)),
            durability=request.durability if saver is not None else None,
        )
        async for mode, payload in stream:
            encoder.feed(mode, payload)
        return self.ended("interrupted" if encoder.interrupts else "success")

    def ended(self, how: Literal["success", "interrupted", "cancelled", "timeout"]) -> Outcome:
        """Return the outcome of an attempt that failed of nothing: `interrupted` waits, `cancelled` was stopped."""
        usage = self._meter.usage
        shown = "interrupted" if how == "cancelled" else how
        return Outcome(
            status="success" if how == "interrupted" else shown,
            thread_status="interrupted" if how == "interrupted" else "idle",
            last_event="done",
            result=self._encoder.finish(shown, usage),
            usage=usage,
        )

    async def _input(self, config: RunnableConfig) -> Any:
        """What the graph is given: the input, an answer to its interrupt, or nothing to go on from where it stands."""
        request = self._run.request
        if not request.has_resume:
            return request.input
        if self._saver is None or (self._run.attempt == 1 and request.resume is not None):
            return Command(resume=request.resume)
        last = await self._saver.aget_tuple(config)
        if last is not None and last.metadata.get("run_id") == str(self._run.run_id):
            # The answer was taken when this run saved its first checkpoint; given again, it would answer the next
            # interrupt.
            return None
        if request.resume is None and last is not None:
            # LangGraph takes a bare None for no answer, so each interrupt gets it by its id.
            writes = [value for _, channel, value in last.pending_writes or () if channel == INTERRUPT]
            return Command(resume={interrupt.id: None for interrupts in writes for interrupt in interrupts})
        return Command(resume=request.resume)


def check_messages(messages: Any, graph: CompiledStateGraph[Any, Any, Any, Any]) -> None:
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
    ours = {"thread_id", "run_id", "user_id", "tenant_id", "checkpoint_ns", "checkpoint_map"}
    return {key: value for key, value in configurable.items() if not key.startswith("__") and key not in ours}
