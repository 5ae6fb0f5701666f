"""The graphs that are measured, the same in every column."""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Any, TypedDict

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langgraph.graph import END, START, StateGraph
from langgraph.graph.message import add_messages

DOCUMENT = "x" * 1000


class Chat(TypedDict):
    messages: Annotated[list[Any], add_messages]


class Rag(Chat):
    documents: list[str]
    good: bool


class Talker(BaseChatModel):
    """Streams `count` tokens, `pause` seconds apart."""

    count: int
    pause: float = 0.0

    @property
    def _llm_type(self) -> str:
        return "talker"

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: Any = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **_: Any,
    ) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=AIMessage("word " * self.count))])

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: Any = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **_: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        for _at in range(self.count):
            if self.pause:
                await asyncio.sleep(self.pause)
            chunk = ChatGenerationChunk(message=AIMessageChunk(content="word "))
            if run_manager is not None:
                await run_manager.on_llm_new_token("word ", chunk=chunk)
            yield chunk


def _graph(state: type, *nodes: Any) -> StateGraph[Any]:
    builder: StateGraph[Any] = StateGraph(state)
    before = START
    for node in nodes:
        builder.add_node(node.__name__, node)
        builder.add_edge(before, node.__name__)
        before = node.__name__
    builder.add_edge(before, END)
    return builder


def _talk(count: int, pause: float = 0.0) -> Any:
    model = Talker(count=count, pause=pause)

    async def generate(state: Chat) -> dict[str, Any]:
        return {"messages": [await model.ainvoke(state["messages"])]}

    return generate


async def answer(state: Chat) -> dict[str, Any]:
    return {"messages": [AIMessage(f"You said: {state['messages'][-1].content}")]}


async def retrieve(state: Rag) -> dict[str, Any]:
    return {"documents": [DOCUMENT] * 5}


async def grade(state: Rag) -> dict[str, Any]:
    return {"good": len(state["documents"]) == 5}


async def finish(state: Rag) -> dict[str, Any]:
    return {"good": True}


echo = _graph(Chat, answer)
tokens = _graph(Chat, _talk(100))
rag = _graph(Rag, retrieve, grade, _talk(60), finish)
slow = _graph(Chat, _talk(60, 0.05))
