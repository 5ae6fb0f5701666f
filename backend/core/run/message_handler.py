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


class MessageHandler(StreamMessagesHandler):
    """Put it into a run's callbacks instead of asking for the mode `messages`."""

    def __init__(self, say: Say, meter: UsageMeter) -> None:
        """`say` takes a message or a piece of one, and the metadata of the node; it is called in this thread."""
        # A graph takes handlers without `subgraphs` out of its configuration, since they could be those of a caller;
        # what subgraphs say is left out below.
        super().__init__(self._hand_on, subgraphs=True)
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
        self, serialized: dict[str, Any], inputs: dict[str, Any], *, run_id: UUID, **kwargs: Any
    ) -> None:
        metadata = kwargs.get("metadata")
        if not (metadata and "langgraph_checkpoint_ns" in metadata and graph_namespace(metadata)):
            super().on_chain_start(serialized, inputs, run_id=run_id, **kwargs)

    def on_chat_model_start(
        self, serialized: dict[str, Any], messages: list[list[BaseMessage]], *, run_id: UUID, **kwargs: Any
    ) -> None:
        self._meter.on_chat_model_start(serialized, messages, run_id=run_id)
        metadata = kwargs.get("metadata")
        if metadata and "langgraph_checkpoint_ns" in metadata and not graph_namespace(metadata):
            super().on_chat_model_start(serialized, messages, run_id=run_id, **kwargs)

    def on_llm_new_token(self, token: Any, *, run_id: UUID, **kwargs: Any) -> None:
        self._meter.on_llm_new_token(token, run_id=run_id)
        super().on_llm_new_token(token, run_id=run_id, **kwargs)

    def on_llm_end(self, response: LLMResult, *, run_id: UUID, **kwargs: Any) -> None:
        self._meter.on_llm_end(response, run_id=run_id)
        super().on_llm_end(response, run_id=run_id, **kwargs)

    def on_llm_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:
        self._meter.on_llm_error(error, run_id=run_id)
        super().on_llm_error(error, run_id=run_id, **kwargs)
