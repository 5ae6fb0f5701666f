"""The short way of a token: from the model's callback to the run's events.

`astream(stream_mode="messages")` puts each token into a queue, wakes a task, and goes through two generators before it
comes out: half of what a token costs. This is LangGraph's own handler of that mode, so what is streamed is the same
(the `nostream` tag, subgraphs, messages that nodes return, no message twice), but it hands each message on at once. It
also counts for the usage meter, since every further handler is called for every token as well.
"""

import asyncio
import threading
from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

from langchain_core.messages import BaseMessage
from langchain_core.outputs import LLMResult
from langgraph.pregel._messages import StreamMessagesHandler, graph_namespace

from backend.core.model.usage_meter import UsageMeter

Say = Callable[[Any, Mapping[str, Any]], None]
NS_SEP = "|"
"""Between the tasks of a LangGraph namespace."""


class MessageHandler(StreamMessagesHandler):
    """Put it into a run's callbacks instead of asking for the mode `messages`."""

    def __init__(self, say: Say, meter: UsageMeter, *, subgraphs: bool = False) -> None:
        """`say` takes a message or a piece of one, and the metadata of the node; it is called in this thread.

        `subgraphs` says whether it hears those of subgraphs as well.
        """
        # A graph takes handlers without `subgraphs` out of its configuration, since they could be those of a caller,
        # and the meter wants to hear all calls; so what subgraphs say is left out below.
        super().__init__(self._hand_on, subgraphs=True)
        self._all = subgraphs
        self._root: UUID | None = None
        self._own: set[str] = set()
        self._foreign: set[str] = set()
        self._say = say
        self._meter = meter
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()

    def _hand_on(self, part: Any) -> None:
        message, metadata = part[2]
        if threading.get_ident() == self._thread:
            self._say(message, metadata)
        else:  # a synchronous node has its own thread
            self._loop.call_soon_threadsafe(self._say, message, metadata)

    def on_chain_start(
        self,
        serialized: dict[str, Any],
        inputs: dict[str, Any],
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        **kwargs: Any,
    ) -> None:
        if self._root is None:
            self._root = run_id
        metadata = kwargs.get("metadata")
        if not self._all and metadata and "langgraph_checkpoint_ns" in metadata:
            if kwargs.get("name") == metadata.get("langgraph_node"):
                self._place(metadata["langgraph_checkpoint_ns"], parent_run_id)
            if not self._is_root(metadata):
                return
        super().on_chain_start(serialized, inputs, run_id=run_id, parent_run_id=parent_run_id, **kwargs)

    def on_chat_model_start(
        self, serialized: dict[str, Any], messages: list[list[BaseMessage]], *, run_id: UUID, **kwargs: Any
    ) -> None:
        self._meter.on_chat_model_start(serialized, messages, run_id=run_id)
        metadata = kwargs.get("metadata")
        if metadata and "langgraph_checkpoint_ns" in metadata and (self._all or self._is_root(metadata)):
            super().on_chat_model_start(serialized, messages, run_id=run_id, **kwargs)

    def _place(self, checkpoint_ns: str, parent_run_id: UUID | None) -> None:
        """Remember whether a node that begins is one of the root graph's.

        A graph that a node calls with a thread of its own begins its namespaces anew: they look like the root's, but
        its nodes do not begin under the root's run. Neither does a chain of the name of the node that it is in.
        """
        if NS_SEP in checkpoint_ns:
            return
        if parent_run_id == self._root:
            self._own.add(checkpoint_ns)
        elif checkpoint_ns not in self._own:
            self._foreign.add(checkpoint_ns)

    def _is_root(self, metadata: Mapping[str, Any]) -> bool:
        """Whether a task is the root graph's own."""
        if graph_namespace(metadata):
            return False
        return not self._foreign or metadata["langgraph_checkpoint_ns"].partition(NS_SEP)[0] not in self._foreign

    def on_llm_new_token(self, token: Any, *, run_id: UUID, **kwargs: Any) -> None:
        self._meter.on_llm_new_token(token, run_id=run_id)
        super().on_llm_new_token(token, run_id=run_id, **kwargs)

    def on_llm_end(self, response: LLMResult, *, run_id: UUID, **kwargs: Any) -> None:
        self._meter.on_llm_end(response, run_id=run_id)
        super().on_llm_end(response, run_id=run_id, **kwargs)

    def on_llm_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:
        self._meter.on_llm_error(error, run_id=run_id)
        super().on_llm_error(error, run_id=run_id, **kwargs)
