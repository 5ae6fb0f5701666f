"""How a run of the thread protocol ends: stopped, failed in the middle of a message, with what no serializer knows."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, TypedDict

import orjson
from langchain_core.callbacks import AsyncCallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langgraph.graph import MessagesState
from langgraph.types import interrupt

from backend.dto.run import Run
from test.engine_fixture import ALICE, Agents, Engine, graph_of

OPTIONS: dict[str, Any] = {"dialect": "protocol", "stream_resumable": True}


async def said(engine: Engine, run: Run) -> list[tuple[str, Any]]:
    """Return methods and data of all events of a run but its last."""
    events = await engine.events(run)
    return [(event.name, orjson.loads(event.data)["params"]["data"]) for event in events[:-1]]


async def test_a_run_that_is_stopped_has_stopped_when_it_ends(lite: Engine, agents: Agents) -> None:
    reached, tidied = asyncio.Event(), False

    async def hold(state: MessagesState) -> dict[str, Any]:
        nonlocal tidied
        try:
            reached.set()
            await asyncio.Event().wait()
        finally:
            for _ in range(20):  # what a node does when it is stopped takes its time
                await asyncio.sleep(0)
            tidied = True
        return {}

    agents.graphs["hold"] = graph_of(hold)
    run = await lite.ask("hold", "x", **OPTIONS)
    async with asyncio.timeout(60):
        await reached.wait()
    await lite.runs.cancel(ALICE, run.run_id)
    ended = await lite.end(run)
    assert (ended.status, tidied) == ("interrupted", True)
    assert ended.result is not None
    assert ended.result["event"] == "interrupted"


class Stammer(BaseChatModel):
    """Breaks off in the middle of its first word."""

    @property
    def _llm_type(self) -> str:
        return "stammer"

    def _generate(self, messages: list[BaseMessage], *_: Any, **__: Any) -> ChatResult:
        raise NotImplementedError

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        yield ChatGenerationChunk(message=AIMessageChunk(content="Hel"))
        raise ValueError("out of breath")


async def test_a_message_that_breaks_off_is_told_to_have_failed(lite: Engine, agents: Agents) -> None:
    async def stammer(state: MessagesState) -> dict[str, Any]:
        return {"messages": [await Stammer().ainvoke(state["messages"])]}

    agents.graphs["stammer"] = graph_of(stammer)
    run = await lite.ask("stammer", "x", **OPTIONS)
    parts = [data for method, data in await said(lite, run) if method == "messages"]
    assert (parts[0]["event"], parts[-1]["event"]) == ("message-start", "error")
    assert parts[-1]["message"] == "out of breath"
    assert (await lite.end(run)).status == "error"


class Odd(TypedDict, total=False):
    thing: Any
    messages: list[Any]


async def test_what_no_serializer_knows_is_told_as_text_and_ends_no_stream(lite: Engine, agents: Agents) -> None:
    async def odd(state: Odd) -> dict[str, Any]:
        return {"thing": {"big": 2**70, "half": "\ud800"}}

    agents.graphs["odd"] = graph_of(odd, state=Odd)
    run = await lite.ask("odd", "x", **OPTIONS)
    assert [data["odd"]["thing"]["half"] for method, data in await said(lite, run) if method == "updates"] == ["\ufffd"]


async def test_a_breakpoint_ends_a_run_without_a_question(lite: Engine, agents: Agents) -> None:
    async def one(state: MessagesState) -> dict[str, Any]:
        return {}

    async def two(state: MessagesState) -> dict[str, Any]:
        return {}

    agents.graphs["pair"] = graph_of(one, two)
    run = await lite.ask("pair", "x", interrupt_before=["two"], **OPTIONS)
    methods = [method for method, _ in await said(lite, run)]
    assert "input.requested" not in methods
    ended = await lite.end(run)
    assert ended.result is not None
    assert (ended.status, ended.result["event"]) == ("success", "interrupted")


async def test_the_last_event_says_what_is_asked_and_where(lite: Engine, agents: Agents) -> None:
    async def ask(state: MessagesState) -> dict[str, Any]:
        return {"messages": [interrupt("who?")]}

    agents.graphs["ask"] = graph_of(ask)
    run = await lite.ask("ask", "x", **OPTIONS)
    ended = await lite.end(run)
    assert ended.result is not None
    (asked,) = ended.result["interrupts"]
    assert (asked["value"], asked["namespace"]) == ("who?", [])
