"""A graph in which two models write at once, in one namespace, each of them one word at the other's."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langgraph.graph import START, MessagesState, StateGraph


class Talker(BaseChatModel):
    """Says its words, and gives way to the other after each."""

    words: list[str]

    @property
    def _llm_type(self) -> str:
        return "talker"

    def _generate(self, messages: list[BaseMessage], *_: Any, **__: Any) -> ChatResult:
        raise NotImplementedError

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        for word in self.words:
            await asyncio.sleep(0.01)
            yield ChatGenerationChunk(message=AIMessageChunk(content=word))


async def _both(state: MessagesState) -> dict[str, Any]:
    talkers = [Talker(words=["a1 ", "a2 ", "a3"]), Talker(words=["b1 ", "b2 ", "b3"])]
    return {"messages": await asyncio.gather(*(talker.ainvoke(state["messages"]) for talker in talkers))}


pair = StateGraph(MessagesState).add_node("both", _both).add_edge(START, "both").compile()
