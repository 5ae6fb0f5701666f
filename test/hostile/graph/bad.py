"""Graphs that do what a graph should not: `how` of their input says which of it."""

import asyncio
import os
import sys
import threading
import time
from typing import Any, TypedDict

from langchain_core.runnables import RunnableConfig
from langgraph.config import get_stream_writer
from langgraph.graph import START, StateGraph
from langgraph.types import interrupt


class State(TypedDict, total=False):
    how: Any
    answer: Any


def _graph(node: Any) -> Any:
    builder = StateGraph(State)
    builder.add_node("node", node)
    builder.add_edge(START, "node")
    return builder.compile()


class Rude(BaseException):
    """An exception that `except Exception` does not catch."""


def _fail(state: State) -> State:
    match state["how"]:
        case "exit":
            sys.exit(3)
        case "exit with a text":
            sys.exit("/etc/secret")
        case "os._exit":
            os._exit(7)
        case "keyboard":
            raise KeyboardInterrupt
        case "generator":
            raise GeneratorExit
        case "stop":
            raise StopIteration
        case "async stop":
            raise StopAsyncIteration
        case "cancel":
            raise asyncio.CancelledError
        case "rude":
            raise Rude("rude")
        case "group":
            raise BaseExceptionGroup("rude", [Rude("rude"), SystemExit(3)])
        case "no text":
            raise _Mute
        case "huge text":
            raise ValueError("x" * 10_000_000)
        case "surrogate":
            raise ValueError("\ud800")
        case "thread":
            threading.Thread(target=lambda: 1 / 0).start()
            return {"answer": "done"}
    raise RuntimeError(state["how"])


class _Mute(Exception):
    def __str__(self) -> str:
        raise RuntimeError("an exception that cannot be told")

    __repr__ = __str__


async def _pick(state: State) -> State:
    if state["how"].startswith("task "):
        # In a task of its own that nobody waits for.
        kept.add(asyncio.create_task(_later(state["how"].removeprefix("task "))))
        await asyncio.sleep(0.01)
        return {"answer": "done"}
    return _fail(state)


async def _later(how: str) -> None:
    _fail({"how": how})


kept: set[Any] = set()


def exit_factory(config: RunnableConfig) -> Any:
    """A factory that ends the process when a run uses it."""
    if config.get("configurable", {}).get("how") == "exit":
        sys.exit(3)
    return _graph(_echo)


async def _echo(state: State) -> State:
    return {"answer": state["how"]}


def _sleep(state: State) -> State:
    time.sleep(state["how"])
    return {"answer": "slept"}


async def _sleep_loop(state: State) -> State:
    time.sleep(state["how"])
    return {"answer": "slept"}


async def _grow(state: State) -> State:
    return {"answer": "x" * (state["how"] * 1024 * 1024)}


def _recurse(state: State) -> State:
    if state["how"] == "python":
        return _recurse(state)
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    return {"answer": deep}


async def _spin(state: State) -> Any:
    return {"answer": 1}


class Thing:
    """Something that no serializer knows."""

    def __init__(self) -> None:
        self.lock = threading.Lock()

    def __repr__(self) -> str:
        return "a thing"


class Trap:
    """Something that fails when it is looked at."""

    def __repr__(self) -> str:
        raise RuntimeError("do not look")

    def __str__(self) -> str:
        raise RuntimeError("do not look")

    def __reduce__(self) -> Any:
        raise RuntimeError("do not look")

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError("do not look")


def _circle() -> Any:
    circle: list[Any] = []
    circle.append(circle)
    return circle


ODD: dict[str, Any] = {
    "a function": lambda: lambda: None,
    "a generator": lambda: (number for number in range(3)),
    "a lock": threading.Lock,
    "a thing": Thing,
    "a trap": Trap,
    "a circle": _circle,
    "a surrogate": lambda: "\ud800",
    "a NUL": lambda: "a\0b",
    "a big number": lambda: 10**400,
    "not a number": lambda: float("nan"),
    "bytes": lambda: b"\xff\x00",
    "a set": lambda: {1, "a", (2, 3)},
    "odd keys": lambda: {(1, 2): 3, None: 4, 5.5: 6, b"x": 7},
    "a class": lambda: Thing,
    "an exception": lambda: Rude("rude"),
    "a coroutine": lambda: asyncio.sleep(0),
}


async def _odd(state: State) -> State:
    what, where = state["how"]
    made = ODD[what]()
    if asyncio.iscoroutine(made):
        made.close()
    if where == "custom":
        get_stream_writer()(made)
        return {"answer": "done"}
    if where == "interrupt":
        return {"answer": interrupt(made)}
    return {"answer": made}


fail = _graph(_pick)
fail_sync = _graph(_fail)
block = _graph(_sleep)
block_loop = _graph(_sleep_loop)
grow = _graph(_grow)
recurse = _graph(_recurse)
odd = _graph(_odd)


def _loop() -> Any:
    builder = StateGraph(State)
    builder.add_node("node", _spin)
    builder.add_edge(START, "node")
    builder.add_edge("node", "node")
    return builder.compile()


spin = _loop()
