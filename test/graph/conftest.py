"""Fakes for what is not ours to run: the model and the search."""

import json
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.messages.tool import tool_call_chunk
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langgraph.checkpoint.memory import InMemorySaver

from backend.core.graph.context import Context
from backend.dto.knowledge import Passage, Retrieval


class ScriptedModel(GenericFakeChatModel):
    """Says its lines in turn, word by word, and remembers what it was asked."""

    asked: list[list[BaseMessage]]

    def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        self.asked.append(messages)
        return super()._generate(messages, *args, **kwargs)

    def _stream(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> Iterator[ChatGenerationChunk]:
        line = self._generate(messages).generations[0].message
        assert isinstance(line, AIMessage)
        calls = [
            tool_call_chunk(name=call["name"], args=json.dumps(call["args"]), id=call["id"], index=place)
            for place, call in enumerate(line.tool_calls)
        ]
        for word in re.split(r"(?<=\s)", line.text):
            yield ChatGenerationChunk(message=AIMessageChunk(content=word, tool_call_chunks=calls))

    def bind_tools(self, tools: Sequence[Any], **kwargs: Any) -> "ScriptedModel":
        return self


class ScriptedRetriever:
    """Finds the same passages whatever is searched for, and remembers what was."""

    def __init__(self, passages: Sequence[Passage], evidence: float) -> None:
        self.passages = tuple(passages)
        self.evidence = evidence
        self.queries: list[str] = []

    async def retrieve(self, query: str, *, limit: int = 6) -> Retrieval:
        self.queries.append(query)
        return Retrieval(query, self.passages[:limit], self.evidence, self.evidence >= 0.5)


def make_passage(number: int, text: str, title: str = "예비창업패키지 모집 공고") -> Passage:
    return Passage(
        passage_id=f"p{number}",
        document_id=f"d{number}",
        title=title,
        path=(title, "신청"),
        text=text,
        position=number,
        url=f"https://example.org/{number}",
        score=0.9 - number / 10,
    )


class Chat:
    """One thread of one agent, as the run engine drives it."""

    def __init__(self, graph: Any, context: Context) -> None:
        self.graph = graph.copy({"checkpointer": InMemorySaver()})
        self.context = context
        self.config = {"configurable": {"thread_id": "t"}}
        self.events: list[tuple[str, Any]] = []

    async def say(self, message: Any) -> dict[str, Any]:
        """Run one turn; `message` is a text, or a Command. Return the state after it."""
        given = {"messages": [{"role": "user", "content": message}]} if isinstance(message, str) else message
        self.events = [
            event
            async for event in self.graph.astream(
                given, self.config, context=self.context, stream_mode=["updates", "custom", "messages"]
            )
        ]
        return (await self.graph.aget_state(self.config)).values

    @property
    def nodes(self) -> list[str]:
        return [name for mode, update in self.events if mode == "updates" for name in update]

    @property
    def streamed(self) -> str:
        return "".join(part[0].text for mode, part in self.events if mode == "messages")

    def custom(self, kind: str) -> list[dict[str, Any]]:
        return [event for mode, event in self.events if mode == "custom" and event["type"] == kind]


@pytest.fixture
def scripted():
    return lambda *lines: ScriptedModel(messages=iter(lines), asked=[])


@pytest.fixture
def passage():
    return make_passage


@pytest.fixture
def make_context(scripted):
    def make(*lines: str | AIMessage, passages: Sequence[Passage] = (), evidence: float = 0.9, **given: Any) -> Context:
        return Context(
            tenant_id="acme",
            user_id="kim",
            model=scripted(*lines),
            retriever=ScriptedRetriever(passages, evidence),
            clock=lambda: datetime(2026, 11, 21, tzinfo=UTC),
            **given,
        )

    return make


@pytest.fixture
def chat():
    return Chat
