"""Graphs that use what the server gives them: context, configuration, the store, a client of the server itself."""

from dataclasses import dataclass
from typing import Any, NotRequired, TypedDict

from langchain_core.runnables import RunnableConfig
from langgraph.func import entrypoint, task
from langgraph.graph import START, StateGraph
from langgraph.runtime import Runtime
from langgraph_sdk import get_client


@dataclass
class Manner:
    """The context of `context`."""

    name: str = "nobody"
    tone: str = "plain"


class Said(TypedDict):
    """What was said."""

    said: NotRequired[str]


async def _speak(state: Said, runtime: Runtime[Manner]) -> dict[str, Any]:
    return {"said": f"{runtime.context.tone} {runtime.context.name}"}


context = StateGraph(Said, context_schema=Manner).add_node("speak", _speak).add_edge(START, "speak").compile()
"""Says what its context holds."""


class Seen(TypedDict):
    """What a node could see of its configuration."""

    seen: NotRequired[dict[str, Any]]


async def _look(state: Seen, config: RunnableConfig) -> dict[str, Any]:
    seen = {
        "configurable": _plain(config.get("configurable", {})),
        "metadata": _plain(config.get("metadata", {})),
        "tags": list(config.get("tags") or []),
        "recursion_limit": config.get("recursion_limit", 0),
    }
    return {"seen": seen}


def _plain(values: Any) -> dict[str, Any]:
    return {
        name: value
        for name, value in values.items()
        if not name.startswith("__") and isinstance(value, str | int | float | bool)
    }


reader = StateGraph(Seen).add_node("look", _look).add_edge(START, "look").compile()
"""Returns its configuration."""


class Memory(TypedDict):
    """A note, and all notes of its user."""

    user: str
    note: str
    notes: NotRequired[list[str]]


async def _remember(state: Memory, runtime: Runtime) -> dict[str, Any]:
    assert runtime.store is not None
    namespace = ("memory", state["user"])
    await runtime.store.aput(namespace, state["note"], {"text": state["note"]})
    found = await runtime.store.asearch(namespace, limit=100)
    return {"notes": sorted(item.value["text"] for item in found)}


remember = StateGraph(Memory).add_node("remember", _remember).add_edge(START, "remember").compile()
"""Keeps a note in the store and returns all notes of the user."""


class Call(TypedDict):
    """What a node asked of its own server."""

    answer: NotRequired[dict[str, Any]]


async def _call(state: Call) -> dict[str, Any]:
    client = get_client()
    thread = await client.threads.create()
    answer = await client.runs.wait(thread["thread_id"], "counter", input={"total": 39})
    assert isinstance(answer, dict)
    return {"answer": answer}


loopback = StateGraph(Call).add_node("call", _call).add_edge(START, "call").compile()
"""Runs another graph through a client without an address."""


@task
async def _double(number: int) -> int:
    return 2 * number


@entrypoint()
async def functional(number: int, *, previous: int | None = None) -> entrypoint.final[int, int]:
    """Return the double of the number and what was saved before; save the number."""
    doubled = await _double(number)
    return entrypoint.final(value=doubled + (previous or 0), save=number)
