"""Graphs whose streams have transformers of their own: one that is compiled in, one that the module gives to all."""

import asyncio
import operator
from typing import Annotated, Any, TypedDict

from langgraph.graph import START, StateGraph
from langgraph.stream import StreamChannel, StreamTransformer


class State(TypedDict):
    items: Annotated[list[str], operator.add]


class Counter(StreamTransformer):
    """Counts updates, on the channel `custom:count`."""

    required_stream_modes = ("updates",)

    def init(self) -> dict[str, Any]:
        self.channel: StreamChannel[dict[str, int]] = StreamChannel("count")
        self.count = 0
        return {"count": self.channel}

    def process(self, event: Any) -> bool:
        if event["method"] == "updates":
            self.count += 1
            self.channel.push({"updates": self.count})
        return True


class Namer(StreamTransformer):
    """Says the name of each node that ends, on the channel `custom:node`."""

    required_stream_modes = ("updates",)

    def init(self) -> dict[str, Any]:
        self.channel: StreamChannel[str] = StreamChannel("node")
        return {"node": self.channel}

    def process(self, event: Any) -> bool:
        if event["method"] == "updates":
            self.channel.push(next(iter(event["params"]["data"])))
        return True


def stream_transformers() -> list[Any]:
    """What every graph of this module streams besides."""
    return [Namer]


async def _one(state: State) -> dict[str, Any]:
    return {"items": ["one"]}


async def _two(state: State) -> dict[str, Any]:
    return {"items": ["two"]}


def _builder() -> "StateGraph[Any, Any, Any, Any]":
    return StateGraph(State).add_sequence([("one", _one), ("two", _two)]).add_edge(START, "one")


counted = _builder().compile(transformers=[Counter])
plain = _builder().compile()


async def _sleep(state: State) -> dict[str, Any]:
    await asyncio.sleep(60)
    return {}


_child = StateGraph(State).add_node("sleep", _sleep).add_edge(START, "sleep").compile()
slow_child = StateGraph(State).add_node("child", _child).add_edge(START, "child").compile()
"""Sleeps in a subgraph until it is stopped."""
