"""Assistants for tests: a few graphs of every kind, served without the rest of the server."""

import operator
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Any, TypedDict

from langchain_core.messages import AIMessage
from langgraph.constants import END, START
from langgraph.func import entrypoint
from langgraph.graph import MessagesState, StateGraph
from langgraph.pregel import Pregel
from pydantic import BaseModel

from backend.core.error import AgentNotFound
from backend.dto.agent import AgentInfo

Graph = Pregel[Any, Any, Any, Any]


class Context(TypedDict, total=False):
    model: str
    temperature: float


class Question(TypedDict):
    question: str


class Answer(TypedDict):
    answer: str


class Work(Question, Answer):
    steps: Annotated[list[str], operator.add]


class Count(BaseModel):
    """A pydantic state."""

    n: int = 0


class Opaque:
    pass


class Odd(TypedDict):
    copy: Opaque
    __hidden: int
    y: int


@dataclass
class Size:
    size: int = 3


def say(state: MessagesState) -> dict[str, Any]:
    del state
    return {"messages": [AIMessage("hi")]}


def think(state: Work) -> dict[str, Any]:
    return {"answer": state["question"], "steps": ["think"]}


def add(state: Count) -> dict[str, Any]:
    return {"n": state.n + 1}


def nothing(state: Odd) -> dict[str, Any]:
    del state
    return {}


def _chat() -> Graph:
    builder = StateGraph(MessagesState)
    builder.add_node("say", say)
    builder.add_edge(START, "say")
    builder.add_conditional_edges("say", lambda state: END, {"enough": END, "again": "say"})
    return builder.compile()


def _context() -> Graph:
    builder = StateGraph(Work, context_schema=Context, input_schema=Question, output_schema=Answer)
    builder.add_node("think", think, metadata={"color": "red"})
    builder.add_edge(START, "think")
    return builder.compile(interrupt_before=["think"])


def _nested() -> Graph:
    inner = StateGraph(Count)
    inner.add_node("add", add)
    inner.add_edge(START, "add")
    middle = StateGraph(Count)
    middle.add_node("inner", inner.compile())
    middle.add_edge(START, "inner")
    outer = StateGraph(Count, context_schema=Size)
    outer.add_node("middle", middle.compile())
    outer.add_node("plain", add)
    outer.add_edge(START, "middle")
    outer.add_edge("middle", "plain")
    return outer.compile(name="Nested one")


def _odd() -> Graph:
    builder = StateGraph(Odd)
    builder.add_node("nothing", nothing)
    builder.add_edge(START, "nothing")
    return builder.compile()


@entrypoint()
def _function(n: int) -> int:
    return n + 1


class ServedGraphs:
    """Graphs by name, as `core/graph/registry.py` serves them; those in `made` are made for each use."""

    def __init__(self) -> None:
        self.graphs: dict[str, Graph] = {
            "chat": _chat(),
            "context": _context(),
            "nested": _nested(),
            "odd": _odd(),
            "function": _function,
        }
        self.made: set[str] = set()
        self.uses: list[dict[str, Any]] = []

    def names(self) -> list[str]:
        return sorted(self.graphs)

    def describe(self, name: str) -> AgentInfo:
        if name not in self.graphs:
            raise AgentNotFound(name, self.names())
        return AgentInfo(name, name.title(), f"The graph {name}.", built_in=False)

    def static(self, name: str) -> Graph | None:
        self.describe(name)
        return None if name in self.made else self.graphs[name]

    @asynccontextmanager
    async def use(
        self, name: str, *, config: Any = None, access_context: str, user: Mapping[str, Any] | None = None
    ) -> AsyncIterator[Graph]:
        self.describe(name)
        self.uses.append({"name": name, "config": config, "access_context": access_context, "user": user})
        yield self.graphs[name]
