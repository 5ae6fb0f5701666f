"""What a run says in the Agent Server's dialect, of real graphs driven as the run engine drives them."""

import asyncio
import operator
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated, Any, TypedDict
from uuid import UUID, uuid4

import orjson
import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    HumanMessage,
    ToolMessage,
    message_chunk_to_message,
)
from langchain_core.messages.ai import add_ai_message_chunks
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.config import get_stream_writer
from langgraph.func import entrypoint
from langgraph.graph import END, START, StateGraph
from langgraph.graph.message import add_messages
from langgraph.prebuilt import ToolNode
from langgraph.types import Command, Interrupt, Send, interrupt

from backend.core.model.usage_meter import UsageMeter
from backend.core.run.agent_encoder import AgentEncoder
from backend.core.run.event_log import Channel
from backend.core.run.message_handler import MessageHandler
from backend.dto.run import Run, RunRequest
from backend.dto.usage import Usage

RUN_ID = UUID(int=1)
NOW = datetime(2026, 1, 2, tzinfo=UTC)
USAGE = Usage(model="x", input_tokens=0, output_tokens=0, cost=0, calls=0, latency=0)


class State(TypedDict, total=False):
    messages: Annotated[list[Any], add_messages]
    topic: Any
    log: Annotated[list[str], operator.add]


class Script(BaseChatModel):
    """Says the chunks it was given, one after the other."""

    chunks: list[AIMessageChunk]

    @property
    def _llm_type(self) -> str:
        return "script"

    def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        whole = message_chunk_to_message(add_ai_message_chunks(*self.chunks))
        return ChatResult(generations=[ChatGeneration(message=whole)])

    def _stream(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> Iterator[ChatGenerationChunk]:
        for chunk in self.chunks:
            yield ChatGenerationChunk(message=chunk.model_copy())


def words(text: str) -> Script:
    return Script(chunks=[AIMessageChunk(content=word) for word in text.split(" ")])


USED: Any = {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5}


def calling() -> Script:
    """A model that writes a call of the tool `add` in pieces."""

    def piece(args: str, **more: Any) -> AIMessageChunk:
        call: Any = {"name": None, "id": None, "args": args, "index": 0, **more}
        return AIMessageChunk(content="", tool_call_chunks=[call])

    return Script(
        chunks=[
            AIMessageChunk(content="I add.", additional_kwargs={"refusal": "no"}),
            AIMessageChunk(content=" Now", additional_kwargs={"refusal": "!"}),
            piece("", name="add", id="c"),
            piece('{"a": 1,'),
            piece(' "b": 2}'),
            AIMessageChunk(content=".", usage_metadata=USED),
            AIMessageChunk(content="", response_metadata={"finish_reason": "tool_calls"}),
        ]
    )


def blocks() -> Script:
    """A model whose content is a list of blocks, after some plain text."""
    texts = [{"type": "text", "text": text, "index": 0} for text in ("a", "b")]
    other: Any = {"type": "reasoning", "reasoning": "hm", "index": 1}
    contents: list[Any] = ["plain ", "text", [texts[0]], [texts[1]], [other]]
    return Script(chunks=[AIMessageChunk(content=content) for content in contents])


def chain(*nodes: Any) -> StateGraph[Any]:
    builder: StateGraph[Any] = StateGraph(State)
    before = START
    for node in nodes:
        name = getattr(node, "__name__", None) or node.name
        builder.add_node(name, node)
        builder.add_edge(before, name)
        before = name
    builder.add_edge(before, END)
    return builder


async def note(state: State) -> dict[str, Any]:
    return {"log": ["noted"]}


async def talk(state: State) -> dict[str, Any]:
    return {"messages": [await words("one two three").ainvoke(state["messages"])]}


async def talk_in_blocks(state: State) -> dict[str, Any]:
    return {"messages": [await blocks().ainvoke("x")]}


async def write(state: State) -> dict[str, Any]:
    for part in ({"a": 1}, "text", None, [1]):
        get_stream_writer()(part)
    return {"log": ["wrote"]}


async def ask(state: State) -> dict[str, Any]:
    return {"topic": interrupt({"question": "sure?"})}


async def fail(state: State) -> dict[str, Any]:
    raise ValueError("it broke")


async def returns(state: State) -> dict[str, Any]:
    return {
        "messages": [AIMessage("whole", id="w"), ToolMessage("3", tool_call_id="c", id="t"), HumanMessage("h", id="h")]
    }


@tool
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


async def agent(state: State) -> dict[str, Any]:
    done = any(isinstance(message, ToolMessage) for message in state["messages"])
    return {"messages": [await (words("It is 3.") if done else calling()).ainvoke(state["messages"])]}


def tools_agent() -> StateGraph[Any]:
    builder: StateGraph[Any] = StateGraph(State)
    builder.add_node("agent", agent)
    builder.add_node("tools", ToolNode([add]))
    builder.add_edge(START, "agent")
    builder.add_conditional_edges("agent", lambda state: "tools" if state["messages"][-1].tool_calls else END)
    builder.add_edge("tools", "agent")
    return builder


def fan_out() -> StateGraph[Any]:
    """Two tasks whose models take turns, word by word."""
    turns = asyncio.Barrier(2)

    async def fan(state: State) -> Command[Any]:
        return Command(goto=[Send("say", {"topic": "left"}), Send("say", {"topic": "right"})])

    class Turns(Script):
        async def _astream(self, *args: Any, **kwargs: Any) -> AsyncIterator[ChatGenerationChunk]:
            for chunk in self._stream(*args):
                async with asyncio.timeout(60):
                    await turns.wait()
                yield chunk

    async def say(state: State) -> dict[str, Any]:
        chunks = [AIMessageChunk(content=state["topic"]), AIMessageChunk(content="!")]
        return {"messages": [await Turns(chunks=chunks).ainvoke("x")]}

    builder: StateGraph[Any] = StateGraph(State)
    builder.add_node("fan", fan, destinations=("say",))
    builder.add_node("say", say)
    builder.add_edge(START, "fan")
    return builder


inner = chain(write, talk).compile(name="inner")
waiting_inner = chain(note, ask).compile(name="inner")
QUESTION = {"messages": [HumanMessage("hi", id="q")]}


@dataclass
class Said:
    encoder: AgentEncoder
    events: list[tuple[str, Any]] = field(default_factory=list)

    def of(self, *names: str) -> list[Any]:
        return [data for name, data in self.events if name in names]

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.events]


async def run(
    graph: Any, given: Any, *modes: Any, subgraphs: bool = False, streamed: bool = True, saved: bool = True
) -> Said:
    """Drive a graph as the run engine does, and return what was said."""
    if isinstance(graph, StateGraph):
        graph = graph.compile(checkpointer=InMemorySaver() if saved else None)
    request = RunRequest(agent="graph", stream_mode=list(modes), stream_subgraphs=subgraphs, dialect="agent")
    thread_id = uuid4()
    row = Run(RUN_ID, thread_id, "t", "u", "running", 2, request, None, None, NOW, NOW)
    channel = Channel(RUN_ID, "t", 10_000, None)
    encoder = AgentEncoder(channel, row, streamed=streamed)
    meter = UsageMeter("x", {})
    handler = MessageHandler(encoder.message, meter, subgraphs=encoder.subgraphs) if encoder.streamed else meter
    config = {"configurable": {"thread_id": str(thread_id)}, "callbacks": [handler], "run_id": RUN_ID}
    options = {"stream_mode": list(encoder.modes), "subgraphs": encoder.subgraphs}
    encoder.start("default")
    try:
        if encoder.wants_events:
            async for event in graph.astream_events(given, config, version="v2", **options):
                encoder.event(event)
        else:
            async for part in graph.astream(given, config, **options):
                ns, mode, payload = part if encoder.subgraphs else ((), *part)
                encoder.feed(mode, payload, ns)
    except ValueError:
        pass
    return Said(encoder, [(event.name, orjson.loads(event.data)) for event in channel.events])


async def test_the_first_event_names_the_run_and_its_attempt() -> None:
    said = await run(chain(note), {}, "values")

    assert said.events[0] == ("metadata", {"run_id": str(RUN_ID), "attempt": 2})


async def test_values_begin_with_the_input_and_end_with_the_answer_of_a_wait() -> None:
    said = await run(chain(note, talk), QUESTION, "values")

    first, *_, last = said.of("values")
    assert [message["id"] for message in first["messages"]] == ["q"]
    assert last["messages"][-1]["content"] == "onetwothree"
    assert orjson.loads(said.encoder.body()) == last
    assert said.encoder.finish("success", USAGE) == {"status": "success"}


@pytest.mark.parametrize("mode", ["updates", "custom", "tasks", "checkpoints", "debug", "values"])
async def test_only_what_was_asked_for_is_said(mode: str) -> None:
    said = await run(chain(write), {"log": []}, mode)

    assert set(said.names) == {"metadata", mode}
    assert orjson.loads(said.encoder.body()) == {"messages": [], "log": ["wrote"]}


async def test_a_node_may_write_anything() -> None:
    said = await run(chain(write), {"log": []}, "custom", "updates")

    assert said.of("custom") == [{"a": 1}, "text", None, [1]]
    assert said.of("updates") == [{"write": {"log": ["wrote"]}}]


async def test_a_task_is_told_when_it_begins_and_when_it_ends() -> None:
    said = await run(chain(note, fail), {}, "tasks")

    begins, ends, begins_too, fails = said.of("tasks")
    assert begins | {"id": 0, "metadata": 0} == {
        "id": 0,
        "name": "note",
        "input": {"messages": [], "log": []},
        "triggers": ["branch:to:note"],
        "metadata": 0,
    }
    assert ends == {"id": begins["id"], "name": "note", "error": None, "result": {"log": ["noted"]}, "interrupts": []}
    assert begins_too["name"] == "fail"
    assert fails["error"] == {"error": "ValueError", "message": "it broke"}


async def test_a_checkpoint_is_told_with_where_it_is_and_where_its_parent_is() -> None:
    said = await run(chain(note), {}, "checkpoints")

    first, second, _ = said.of("checkpoints")
    configurable = first["config"]["configurable"]
    assert first["checkpoint"] == {
        "checkpoint_id": configurable["checkpoint_id"],
        "checkpoint_ns": "",
        "thread_id": configurable["thread_id"],
    }
    assert first["parent_checkpoint"] is None
    assert second["parent_checkpoint"] == first["checkpoint"]
    assert second["next"] == ["note"]
    assert second["metadata"]["step"] == 0


async def test_the_debug_mode_tells_checkpoints_tasks_and_results_by_step() -> None:
    said = await run(chain(note, waiting_inner), {}, "debug", subgraphs=True)

    parts = said.of("debug")
    assert {part["type"] for part in parts} == {"checkpoint", "task", "task_result"}
    assert all(set(part) == {"step", "timestamp", "type", "payload"} for part in parts)
    before_inner = next(part["payload"] for part in parts if part["payload"].get("next") == ["inner"])
    (task,) = before_inner["tasks"]
    assert task == {
        "id": task["id"],
        "name": "inner",
        "interrupts": [],
        "checkpoint": {
            "checkpoint_ns": f"inner:{task['id']}",
            "thread_id": before_inner["checkpoint"]["thread_id"],
        },
    }
    (name,) = {name for name in said.names if name.startswith("debug|")}
    assert name == f"debug|inner:{task['id']}"
    assert "checkpoint_map" in said.of(name)[0]["payload"]["checkpoint"]


async def test_an_interrupt_is_said_with_the_state_and_with_the_updates() -> None:
    said = await run(chain(note, ask), {}, "values", "updates")

    (waiting,) = said.encoder.interrupts
    assert waiting["value"] == {"question": "sure?"}
    shown = [{**waiting, "response_schema": None}]
    assert said.events[-2:] == [
        ("updates", {"__interrupt__": shown}),
        ("values", {"messages": [], "log": ["noted"], "__interrupt__": shown}),
    ]
    assert orjson.loads(said.encoder.body()) == said.events[-1][1]
    assert said.encoder.values == {"messages": [], "log": ["noted"]}


async def test_all_interrupts_are_told_and_the_state_that_comes_after_them() -> None:
    asked = asyncio.Event()

    async def first(state: State) -> None:
        try:
            interrupt("one")
        finally:
            asked.set()

    async def second(state: State) -> None:
        interrupt("two", response_schema={"type": "string"})

    async def works(state: State) -> dict[str, Any]:
        async with asyncio.timeout(60):
            await asked.wait()
        return {"log": ["worked"]}

    builder: StateGraph[Any] = StateGraph(State)
    for node in (first, second, works):
        builder.add_node(node.__name__, node)
        builder.add_edge(START, node.__name__)
    said = await run(builder, {}, "values")

    values = {found["value"]: found for found in said.encoder.interrupts}
    assert set(values) == {"one", "two"}
    assert "response_schema" not in values["one"]
    assert values["two"]["response_schema"] == {"type": "string"}
    body = orjson.loads(said.encoder.body())
    assert {found["id"] for found in body.pop("__interrupt__")} == {found["id"] for found in values.values()}
    assert body == {"messages": [], "log": ["worked"]}


async def test_a_functional_graph_has_any_value_as_its_state() -> None:
    @entrypoint(checkpointer=InMemorySaver())
    async def number(given: int) -> int:
        return given + 1

    @entrypoint(checkpointer=InMemorySaver())
    async def asks(given: int) -> int:
        return int(interrupt("how many?"))

    assert (await run(number, 4, "updates")).encoder.body() == b"5"
    waiting = (await run(asks, 4, "updates")).encoder
    assert [found["value"] for found in orjson.loads(waiting.body())["__interrupt__"]] == ["how many?"]
    assert waiting.state() is None


async def test_the_names_of_what_subgraphs_say_have_their_namespace() -> None:
    said = await run(chain(note, inner), QUESTION, "values", "updates", "custom", "messages-tuple", subgraphs=True)

    (ns,) = {name.partition("|")[2] for name in said.names} - {""}
    assert ns.startswith("inner:")
    assert said.of(f"custom|{ns}") == [{"a": 1}, "text", None, [1]]
    assert [chunk["content"] for chunk, _ in said.of(f"messages|{ns}")] == ["one", "two", "three", ""]
    assert said.of(f"updates|{ns}")[0] == {"write": {"log": ["wrote"]}}
    assert said.of("updates")[0] == {"note": {"log": ["noted"]}}
    assert said.of("messages") == said.of("custom") == []
    assert said.of(f"values|{ns}")[0]["log"] == ["noted"]
    assert orjson.loads(said.encoder.body()) == said.of("values")[-1]


async def test_the_state_of_a_subgraph_is_not_taken_for_the_runs() -> None:
    async def clear(state: State) -> Any:
        raise ValueError

    said = await run(chain(note, chain(note, clear).compile(name="inner")), {}, "updates", subgraphs=True)

    assert said.encoder.values == {"messages": [], "log": ["noted"]}


async def test_an_interrupt_in_a_subgraph_is_the_runs_once() -> None:
    said = await run(chain(note, waiting_inner), {}, "values", subgraphs=True)

    assert len(said.encoder.interrupts) == 1
    assert len(orjson.loads(said.encoder.body())["__interrupt__"]) == 1


async def test_pieces_of_messages_come_with_the_metadata_of_their_node() -> None:
    said = await run(chain(talk), QUESTION, "messages-tuple")

    parts = said.of("messages")
    assert [chunk["content"] for chunk, _ in parts] == ["one", "two", "three", ""]
    assert {chunk["type"] for chunk, _ in parts} == {"AIMessageChunk"}
    assert parts[-1][0]["chunk_position"] == "last"
    assert all(metadata["langgraph_node"] == "talk" and metadata["langgraph_step"] == 1 for _, metadata in parts)
    assert list(parts[0][0]) == list(AIMessageChunk.model_fields)


async def test_extra_fields_of_a_piece_are_told() -> None:
    async def talks(state: State) -> dict[str, Any]:
        return {"messages": [await Script(chunks=[AIMessageChunk(content="a", own=1)]).ainvoke("x")]}

    said = await run(chain(talks), QUESTION, "messages-tuple")

    assert said.of("messages")[0][0]["own"] == 1


async def reference(graph: Any, given: Any) -> list[tuple[str, Any]]:
    """What the mode `messages` has to say, by LangGraph's own stream and LangChain's own sum of chunks."""
    said: list[tuple[str, Any]] = []
    sums: dict[Any, Any] = {}
    async for message, _ in graph.compile().astream(given, stream_mode="messages"):
        name = "messages/partial" if isinstance(message, AIMessageChunk) else "messages/complete"
        if message.id not in sums:
            said.append(("messages/metadata", ...))
        sums[message.id] = sums[message.id] + message if message.id in sums else message
        whole = orjson.loads(orjson.dumps(message_chunk_to_message(sums[message.id]).model_dump()))
        said.append((name, [whole | {"id": ...}]))
    return said


TALKS = {
    "text": lambda: chain(talk),
    "tool calls": tools_agent,
    "blocks": lambda: chain(talk_in_blocks),
    "whole messages": lambda: chain(returns),
    "two at once": fan_out,
    "one after the other": lambda: chain(talk, returns, talk_in_blocks),
}


@pytest.mark.parametrize("name", TALKS)
async def test_accumulated_messages_are_the_sums_of_their_pieces(name: str) -> None:
    expected = await reference(TALKS[name](), QUESTION)

    said = await run(TALKS[name](), QUESTION, "messages")

    found = [
        (event, ... if event == "messages/metadata" else [data[0] | {"id": ...}]) for event, data in said.events[1:]
    ]
    assert found == expected
    metadata = [key for data in said.of("messages/metadata") for key in data]
    assert metadata == list(dict.fromkeys(data[0]["id"] for data in said.of("messages/partial", "messages/complete")))


async def test_accumulated_messages_of_subgraphs_have_plain_names() -> None:
    said = await run(chain(inner), QUESTION, "messages", subgraphs=True)

    assert set(said.names) == {"metadata", "messages/metadata", "messages/partial"}
    ((_, described),) = said.of("messages/metadata")[0].items()
    assert described["metadata"]["langgraph_node"] == "talk"


async def test_asked_for_both_kinds_of_messages_only_the_pieces_are_said() -> None:
    said = await run(chain(talk), QUESTION, "messages", "messages-tuple")

    assert set(said.names) == {"metadata", "messages"}


async def test_a_piece_that_is_no_text_does_not_end_the_stream() -> None:
    async def talks(state: State) -> None:
        await Script(chunks=[AIMessageChunk(content="a\ud83d"), AIMessageChunk(content="b")]).ainvoke("x")

    assert [chunk["content"] for chunk, _ in (await run(chain(talks), {}, "messages-tuple")).of("messages")] == [
        "a\ufffd",
        "b",
        "",
    ]
    assert (await run(chain(talks), {}, "messages")).of("messages/partial")[1][0]["content"] == "a\ufffdb"


async def test_events_come_beside_the_parts_of_the_stream() -> None:
    modes = ("values", "updates", "custom", "messages-tuple")
    plain = await run(chain(write, talk), QUESTION, *modes)

    said = await run(chain(write, talk), QUESTION, "events", *modes)

    events = said.of("events")
    kinds = [(event["event"], event["name"]) for event in events]
    assert kinds[0][0] == "on_chain_start"
    assert kinds[-1][0] == "on_chain_end"
    assert events[0]["run_id"] == str(RUN_ID)
    assert ("on_chat_model_stream", "Script") in kinds
    assert not [event for event in events if event["event"] == "on_chain_stream" and not event["parent_ids"]]
    assert {name: len(said.of(name)) for name in set(plain.names)} == {
        name: len(plain.of(name)) for name in set(plain.names)
    }
    assert said.of("updates")[0] == plain.of("updates")[0]
    assert [chunk["content"] for chunk, _ in said.of("messages")] == ["one", "two", "three", ""]


async def test_events_alone_still_know_the_state_and_its_interrupts() -> None:
    said = await run(chain(note, waiting_inner), {}, "events", subgraphs=True)

    assert set(said.names) == {"metadata", "events"}
    body = orjson.loads(said.encoder.body())
    assert body["log"] == ["noted"]
    assert [found["value"] for found in body["__interrupt__"]] == [{"question": "sure?"}]


async def test_who_waits_for_the_end_alone_is_spared_the_events() -> None:
    said = await run(chain(write, talk), QUESTION, "values", "messages-tuple", "events", streamed=False)

    assert said.events == []
    assert said.encoder.modes == ("values",)
    assert orjson.loads(said.encoder.body())["messages"][-1]["content"] == "onetwothree"


async def test_the_state_is_serialized_as_it_is_at_the_end() -> None:
    encoder = (await run(chain(note), {}, "values")).encoder
    assert orjson.loads(encoder.state() or b"") == {"messages": [], "log": ["noted"]}

    encoder.feed("values", {"log": ["changed"], "__interrupt__": [Interrupt("why?", id="i")]})

    assert encoder.state() == b'{"log":["changed"]}'
    assert encoder.body() == b'{"log":["changed"],"__interrupt__":[{"value":"why?","id":"i","response_schema":null}]}'
