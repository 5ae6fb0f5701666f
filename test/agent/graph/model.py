"""Graphs with a chat model, which is a script: it says its words one by one, with no pause and no network."""

from collections.abc import AsyncIterator, Iterator
from typing import Any, NotRequired

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, ToolMessage
from langchain_core.messages.tool import tool_call_chunk
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.tools import tool
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, tools_condition
from waiting import opened  # type: ignore[import-not-found]  # beside this file, as in any project


class Script(BaseChatModel):
    """Answers a question word by word; asks for the tool `add` first when the question says so."""

    @property
    def _llm_type(self) -> str:
        return "script"

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        whole: AIMessageChunk | None = None
        for chunk in _chunks(messages):
            whole = chunk if whole is None else whole + chunk
        assert whole is not None
        message = AIMessage(content=whole.content, tool_calls=whole.tool_calls, usage_metadata=whole.usage_metadata)
        return ChatResult(generations=[ChatGeneration(message=message)])

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        for chunk in _chunks(messages):
            part = ChatGenerationChunk(message=chunk)
            if run_manager:
                run_manager.on_llm_new_token(chunk.text, chunk=part)
            yield part

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        for chunk in _chunks(messages):
            part = ChatGenerationChunk(message=chunk)
            if run_manager:
                await run_manager.on_llm_new_token(chunk.text, chunk=part)
            yield part


def _chunks(messages: list[BaseMessage]) -> Iterator[AIMessageChunk]:
    last = messages[-1]
    question = last.text
    if question.startswith("add "):
        _, a, b = question.split()
        yield AIMessageChunk(content="", tool_call_chunks=[tool_call_chunk(name="add", args="", id="call-1", index=0)])
        yield AIMessageChunk(content="", tool_call_chunks=[tool_call_chunk(args=f'{{"a": {int(a)},', index=0)])
        yield AIMessageChunk(content="", tool_call_chunks=[tool_call_chunk(args=f' "b": {int(b)}}}', index=0)])
        return
    words = f"The sum is {question} ." if isinstance(last, ToolMessage) else f"You said: {question}"
    for word in words.split(" "):
        yield AIMessageChunk(content=f"{word} ")
    yield AIMessageChunk(content="", usage_metadata={"input_tokens": 3, "output_tokens": 5, "total_tokens": 8})


class Talk(MessagesState):
    """Messages, and a gate that the run waits for at its end."""

    gate: NotRequired[str]


async def _answer(state: Talk) -> dict[str, Any]:
    return {"messages": [await Script().ainvoke(state["messages"])]}


async def _rest(state: Talk) -> None:
    await opened(state.get("gate"))


tokens = StateGraph(Talk).add_sequence([("answer", _answer), ("rest", _rest)]).add_edge(START, "answer").compile()
"""One answer of a streaming model."""


@tool
async def add(a: int, b: int) -> str:
    """Add two numbers."""
    return str(a + b)


tools = (
    StateGraph(Talk)
    .add_node("model", _answer)
    .add_node("rest", _rest)
    .add_node("tools", ToolNode([add]))
    .add_edge(START, "model")
    .add_conditional_edges("model", tools_condition, {"tools": "tools", "__end__": "rest"})
    .add_edge("tools", "model")
    .compile()
)
"""A model that calls a tool when it is asked to `add 2 3`, and then answers."""
