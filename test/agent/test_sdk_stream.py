"""Streams of one run: modes, subgraphs, replays, reconnections."""

import asyncio
from itertools import pairwise
from typing import Any

import httpx
import pytest
from langgraph_sdk.client import LangGraphClient
from langgraph_sdk.errors import UnprocessableEntityError
from langgraph_sdk.schema import StreamPart

from test.agent_fixture import WAIT_SECONDS, Gate, Sdk, collect, ended, held, new_thread

QUESTION = {"messages": [{"role": "user", "content": "good day"}]}


async def stream(sdk: Sdk, graph: str, given: Any, mode: Any, **arguments: Any) -> list[StreamPart]:
    """Run a graph on a new thread; return the parts of its stream but for the one that ends it."""
    thread_id = await new_thread(sdk)
    parts = await collect(sdk.runs.stream(thread_id, graph, input=given, stream_mode=mode, **arguments))
    return [part for part in parts if part.event != "end"]


def data_of(parts: list[StreamPart], name: str) -> list[Any]:
    """Return the data of all events of one name."""
    return [part.data for part in parts if part.event == name]


async def test_the_first_event_names_the_run(sdk: Sdk):
    thread_id = await new_thread(sdk)
    parts = await collect(sdk.runs.stream(thread_id, "counter", input={"total": 0}))
    (run,) = await sdk.runs.list(thread_id)
    assert parts[0].event == "metadata"
    assert parts[0].data == {"run_id": run["run_id"], "attempt": 1}


async def test_values_are_the_state_after_each_step(sdk: Sdk):
    parts = await stream(sdk, "counter", {"total": 0}, "values")
    assert [part.event for part in parts] == ["metadata", "values", "values", "values", "values"]
    assert [values["total"] for values in data_of(parts, "values")] == [0, 1, 2, 3]


async def test_updates_are_what_each_node_wrote(sdk: Sdk):
    parts = await stream(sdk, "counter", {"total": 0}, "updates")
    assert data_of(parts, "updates") == [{name: {"total": 1, "log": [name]}} for name in ("one", "two", "three")]


async def test_message_tuples_are_deltas(sdk: Sdk):
    parts = await stream(sdk, "tokens", QUESTION, "messages-tuple")
    chunks = data_of(parts, "messages")
    assert "".join(chunk["content"] for chunk, _ in chunks) == "You said: good day "
    assert {chunk["type"] for chunk, _ in chunks} == {"AIMessageChunk"}
    assert len({chunk["id"] for chunk, _ in chunks}) == 1
    assert {about["langgraph_node"] for _, about in chunks} == {"answer"}
    assert chunks[0][1]["run_id"] == parts[0].data["run_id"]
    assert any(chunk.get("usage_metadata") for chunk, _ in chunks)


async def test_messages_are_accumulated(sdk: Sdk):
    parts = await stream(sdk, "tokens", QUESTION, "messages")
    names = [part.event for part in parts[1:]]
    assert names[0] == "messages/metadata"
    ((message_id, about),) = data_of(parts, "messages/metadata")[0].items()
    assert about["metadata"]["langgraph_node"] == "answer"
    texts = [messages[0]["content"] for messages in data_of(parts, "messages/partial")]
    assert texts == sorted(texts, key=len)
    assert texts[-1] == "You said: good day "
    assert {messages[0]["id"] for messages in data_of(parts, "messages/partial")} == {message_id}
    assert set(names) <= {"messages/metadata", "messages/partial", "messages/complete"}


async def test_tool_messages_come_whole(sdk: Sdk):
    parts = await stream(sdk, "tools", {"messages": [{"role": "user", "content": "add 2 3"}]}, "messages-tuple")
    by_type = [(message["type"], message) for message, _ in data_of(parts, "messages")]
    assert [message["content"] for kind, message in by_type if kind == "tool"] == ["5"]
    assert any(message.get("tool_call_chunks") for kind, message in by_type if kind == "AIMessageChunk")
    text = "".join(message["content"] for kind, message in by_type if kind == "AIMessageChunk")
    assert text == "The sum is 5 . "


async def test_custom_is_what_a_node_wrote(sdk: Sdk):
    parts = await stream(sdk, "writer", {"total": 0}, "custom")
    assert data_of(parts, "custom") == [{"progress": 0}, {"progress": 1}, {"progress": 2}]


async def test_tasks_are_told_when_they_start_and_end(sdk: Sdk):
    parts = await stream(sdk, "counter", {"total": 0}, "tasks")
    tasks = data_of(parts, "tasks")
    assert [task["name"] for task in tasks] == ["one", "one", "two", "two", "three", "three"]
    begin, end = tasks[:2]
    assert begin["id"] == end["id"]
    assert begin["triggers"]
    assert end["result"] == {"total": 1, "log": ["one"]}
    assert end["interrupts"] == []


async def test_checkpoints_are_told(sdk: Sdk):
    parts = await stream(sdk, "counter", {"total": 0}, "checkpoints")
    found = data_of(parts, "checkpoints")
    assert [checkpoint["next"] for checkpoint in found][-1] == []
    assert found[-1]["values"]["total"] == 3
    for before, after in pairwise(found):
        parent = after["parent_config"]["configurable"]["checkpoint_id"]
        assert parent == before["config"]["configurable"]["checkpoint_id"]


async def test_debug_tells_tasks_and_checkpoints(sdk: Sdk):
    parts = await stream(sdk, "counter", {"total": 0}, "debug")
    kinds = {found["type"] for found in data_of(parts, "debug")}
    assert kinds == {"checkpoint", "task", "task_result"}
    assert all({"step", "timestamp", "payload"} <= set(found) for found in data_of(parts, "debug"))


async def test_events_are_those_of_langchain(sdk: Sdk):
    parts = await stream(sdk, "tokens", QUESTION, "events")
    names = [found["event"] for found in data_of(parts, "events")]
    assert names[0] == "on_chain_start"
    assert names[-1] == "on_chain_end"
    assert "on_chat_model_stream" in names


async def test_several_modes_come_in_one_stream(sdk: Sdk):
    parts = await stream(sdk, "tokens", QUESTION, ["values", "updates", "messages-tuple", "custom"])
    assert {part.event for part in parts} == {"metadata", "values", "updates", "messages"}


@pytest.mark.parametrize("mode", ["lifecycle", "tools", "colours"])
async def test_a_mode_that_a_run_does_not_have_is_unprocessable(sdk: Sdk, mode: str):
    thread_id = await new_thread(sdk)
    with pytest.raises(UnprocessableEntityError):
        await sdk.http.post(
            f"/threads/{thread_id}/runs", json={"assistant_id": "counter", "input": {}, "stream_mode": [mode]}
        )


async def test_events_of_subgraphs_carry_their_path(sdk: Sdk):
    parts = await stream(sdk, "nested", {}, ["values", "updates"], stream_subgraphs=True)
    names = {part.event for part in parts}
    inside = {name for name in names if name.startswith("updates|child:")}
    assert len(inside) == 1
    assert {"values", "updates"} <= names
    assert data_of(parts, inside.pop())[0] == {"inside": {"answers": ["opened"]}}
    outside = await stream(sdk, "nested", {}, ["updates"])
    assert {part.event for part in outside} == {"metadata", "updates"}


async def test_a_question_is_told_in_values_and_updates(sdk: Sdk):
    parts = await stream(sdk, "ask", {}, ["values", "updates"])
    assert data_of(parts, "values")[-1]["__interrupt__"][0]["value"] == {"question": "Shall we?"}
    assert data_of(parts, "updates")[-1]["__interrupt__"][0]["value"] == {"question": "Shall we?"}


async def test_a_failure_is_the_last_event(sdk: Sdk):
    parts = await stream(sdk, "failing", {"total": 0}, "values")
    assert parts[-1].event == "error"
    assert parts[-1].data["error"] == "ValueError"
    assert "on purpose" in parts[-1].data["message"]


async def test_the_second_form_of_parts_is_the_clients_own(sdk: Sdk):
    thread_id = await new_thread(sdk)
    coming: Any = sdk.runs.stream(
        thread_id, "nested", input={}, stream_mode=["updates"], stream_subgraphs=True, version="v2"
    )
    parts: Any = await collect(coming)
    updates = [part for part in parts if part["type"] == "updates"]
    assert {len(part["ns"]) for part in updates} == {0, 1}


async def test_a_run_without_a_thread_is_streamed(sdk: Sdk):
    parts = await collect(sdk.runs.stream(None, "counter", input={"total": 0}))
    assert data_of(parts, "values")[-1]["total"] == 3


async def test_the_stream_of_a_run_without_a_thread_can_be_taken_up_where_it_says(sdk: Sdk, gate: Gate, agent_url: str):
    body = {"assistant_id": "gate", "input": gate.input, "stream_resumable": True, "on_disconnect": "continue"}
    async with httpx.AsyncClient(base_url=agent_url, timeout=WAIT_SECONDS) as client:
        async with client.stream("POST", "/runs/stream", json=body) as answer:
            where, parent = answer.headers["Location"], answer.headers["Content-Location"]
            assert parent.startswith("/runs/")
            async for line in answer.aiter_lines():
                if line.startswith("event: values"):
                    break
        gate.open()
        followed = await client.get(where, headers={"Last-Event-ID": "-1"})
        ended = await client.get(where, headers={"Last-Event-ID": "-1"})  # nothing of the run is kept by now
    assert (followed.status_code, ended.status_code) == (200, 200)
    assert "after" in followed.text
    assert _without_comments(ended.text) == _without_comments(followed.text)


# --- resuming


def _without_comments(text: str) -> list[str]:
    return [line for line in text.splitlines() if line and not line.startswith(":")]


async def test_only_resumable_streams_carry_ids_and_each_its_own(sdk: Sdk):
    plain = await stream(sdk, "counter", {"total": 0}, "values")
    assert not any(part.id for part in plain)
    parts = await stream(sdk, "counter", {"total": 0}, "values", stream_resumable=True)
    ids = [part.id for part in parts]
    assert all(ids)
    assert len(set(ids)) == len(ids)


async def test_an_ended_stream_is_replayed_whole_and_from_the_middle(sdk: Sdk):
    thread_id = await new_thread(sdk)
    whole = await collect(
        sdk.runs.stream(
            thread_id, "counter", input={"total": 0}, stream_mode=["values", "updates"], stream_resumable=True
        )
    )
    run_id = whole[0].data["run_id"]
    assert await ended(sdk, thread_id, run_id) == "success"
    again = await collect(sdk.runs.join_stream(thread_id, run_id, last_event_id="-1"))
    assert again == whole
    for index in (0, 3):
        rest = await collect(sdk.runs.join_stream(thread_id, run_id, last_event_id=whole[index].id))
        assert rest == whole[index + 1 :]
    without = await collect(sdk.runs.join_stream(thread_id, run_id))
    assert [part for part in without if part.event != "end"] == []


async def test_a_running_stream_is_replayed_and_then_followed(sdk: Sdk, gate: Gate):
    thread_id = await new_thread(sdk)
    run_id = await held(sdk, gate, thread_id, stream_resumable=True, stream_mode=["values"])
    trails = []
    async with asyncio.timeout(WAIT_SECONDS):
        async for part in sdk.runs.join_stream(thread_id, run_id, last_event_id="-1"):
            if part.event == "values":
                trails.append(part.data["trail"])
                if part.data["trail"] == ["before"]:
                    gate.open()
    assert trails == [[], ["before"], ["before", "hold"], ["before", "hold", "after"]]


async def test_without_an_id_only_what_is_new_comes(sdk: Sdk, gate: Gate):
    thread_id = await new_thread(sdk)
    run_id = await held(sdk, gate, thread_id, stream_resumable=True, stream_mode=["values"])
    joining = asyncio.create_task(collect(sdk.runs.join_stream(thread_id, run_id)))
    await asyncio.sleep(0.3)  # nothing tells from outside when it follows
    gate.open()
    trails = [part.data["trail"] for part in await joining if part.event == "values"]
    assert trails == [["before", "hold"], ["before", "hold", "after"]]


async def test_a_joined_stream_gives_the_modes_that_were_asked(sdk: Sdk, gate: Gate):
    thread_id = await new_thread(sdk)
    run_id = await held(
        sdk, gate, thread_id, stream_resumable=True, stream_mode=["values", "updates", "custom", "tasks"]
    )
    gate.open()
    parts = await collect(
        sdk.runs.join_stream(thread_id, run_id, stream_mode=["values", "updates"], last_event_id="-1")
    )
    assert {part.event for part in parts} - {"metadata", "end"} == {"values", "updates"}


async def test_an_id_that_is_none_is_refused(sdk: Sdk, gate: Gate):
    thread_id = await new_thread(sdk)
    run_id = await held(sdk, gate, thread_id, stream_resumable=True)
    answer = await sdk.http.client.get(
        f"/threads/{thread_id}/runs/{run_id}/stream", headers={"Last-Event-ID": "'; DROP TABLE runs"}
    )
    assert answer.status_code in {400, 422}


async def test_the_client_takes_up_a_stream_that_broke_off(sdk: Sdk, agent_url: str, gate: Gate):
    thread_id = await new_thread(sdk)

    class Breaking(httpx.AsyncHTTPTransport):
        """Breaks the body of the first stream off after its second event."""

        broken = 0

        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            answer = await super().handle_async_request(request)
            if self.broken or not request.url.path.endswith("/runs/stream"):
                return answer
            Breaking.broken += 1
            inner: Any = answer.stream

            async def some() -> Any:
                events = 0
                async for part in inner:
                    yield part
                    events += part.count(b"\r\n\r\n")
                    if events >= 2:
                        gate.open()
                        raise httpx.ReadError("broken on purpose")

            class Stream(httpx.AsyncByteStream):
                async def __aiter__(self) -> Any:
                    async for part in some():
                        yield part

                async def aclose(self) -> None:
                    await inner.aclose()

            return httpx.Response(answer.status_code, headers=answer.headers, stream=Stream())

    async with LangGraphClient(
        httpx.AsyncClient(base_url=agent_url, transport=Breaking(), timeout=WAIT_SECONDS)
    ) as client:
        parts = await collect(
            client.runs.stream(thread_id, "gate", input=gate.input, stream_mode="values", stream_resumable=True)
        )
    assert Breaking.broken == 1
    trails = [part.data["trail"] for part in parts if part.event == "values"]
    assert trails == [[], ["before"], ["before", "hold"], ["before", "hold", "after"]]


async def test_a_stream_is_framed_as_the_clients_expect(sdk: Sdk, agent_url: str):
    thread_id = await new_thread(sdk)
    async with httpx.AsyncClient(base_url=agent_url, timeout=WAIT_SECONDS) as client:
        answer = await client.post(
            f"/threads/{thread_id}/runs/stream",
            json={"assistant_id": "counter", "input": {"total": 0}, "stream_resumable": True},
        )
    assert answer.headers["X-Accel-Buffering"] == "no"
    blocks = [block for block in answer.text.split("\r\n\r\n") if block and not block.startswith(":")]
    for block in blocks:
        names = [line.split(": ", 1)[0] for line in block.split("\r\n")]
        assert sorted(names) == ["data", "event", "id"]
