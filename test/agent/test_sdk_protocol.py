"""The second generation of streaming: commands and events of a thread, over server-sent events and a WebSocket."""

import asyncio
from typing import Any
from uuid import uuid4

import httpx
import orjson
import pytest
from websockets.asyncio.client import connect

from test.agent_fixture import WAIT_SECONDS, Gate, Sdk, ended, held, new_thread, until

QUESTION = {"messages": [{"role": "user", "content": "good day"}]}
TRANSPORTS = pytest.mark.parametrize("transport", ["sse", "websocket"])


async def command(sdk: Sdk, thread_id: str, method: str, **params: Any) -> dict[str, Any]:
    """Send a command; return its answer."""
    answer = await sdk.http.client.post(
        f"/threads/{thread_id}/commands", json={"id": 7, "method": method, "params": params}
    )
    assert answer.status_code == 200, answer.text
    assert answer.json()["id"] == 7
    return answer.json()


async def started(sdk: Sdk, graph: str, given: Any, thread_id: str | None = None) -> tuple[str, str]:
    """Start a run by command; return the ids of its thread and of it."""
    thread_id = thread_id or str(uuid4())
    answer = await command(sdk, thread_id, "run.start", assistant_id=graph, input=given)
    assert answer["type"] == "success", answer
    return thread_id, answer["result"]["run_id"]


async def answered(sdk: Sdk, thread_id: str) -> list[str]:
    """Return all answers once the last node has run; a state's `next` is empty as soon as that node has written."""
    state = await until(lambda: sdk.threads.get_state(thread_id), lambda found: "closed" in found["values"]["answers"])
    return state["values"]["answers"]


def is_end(event: dict[str, Any]) -> bool:
    """Whether an event says that the whole run ended or stopped."""
    return (
        event["method"] == "lifecycle"
        and event["params"]["namespace"] == []
        and event["params"]["data"]["event"] in {"completed", "failed", "interrupted"}
    )


async def events_of(sdk: Sdk, thread_id: str, *channels: str, **body: Any) -> list[dict[str, Any]]:
    """Return the events of a thread up to the end of its (first) run."""
    seen: list[dict[str, Any]] = []
    name = identity = None
    url = f"/threads/{thread_id}/stream/events"
    async with (
        asyncio.timeout(WAIT_SECONDS),
        sdk.http.client.stream("POST", url, json={"channels": ["lifecycle", *channels], **body}) as answer,
    ):
        assert answer.status_code == 200
        async for line in answer.aiter_lines():
            if line.startswith("event: "):
                name = line.removeprefix("event: ")
            elif line.startswith("id: "):
                identity = line.removeprefix("id: ")
            elif line.startswith("data: "):
                seen.append(orjson.loads(line.removeprefix("data: ")))
            elif not line and name:
                assert (name, identity) == (seen[-1]["method"], str(seen[-1]["seq"]))
                name = None
                if is_end(seen[-1]):
                    break
    return seen


def data_of(events: list[dict[str, Any]], method: str, namespace: list[str] | None = None) -> list[Any]:
    """Return the data of the events of one method, of one namespace if that is given."""
    return [
        event["params"]["data"]
        for event in events
        if event["method"] == method and (namespace is None or event["params"]["namespace"] == namespace)
    ]


# --- as the Python client does it


@TRANSPORTS
async def test_a_run_is_started_and_its_values_followed(sdk: Sdk, transport: Any):
    async with asyncio.timeout(WAIT_SECONDS), sdk.threads.stream(assistant_id="counter", transport=transport) as thread:
        result = await thread.run.start(input={"total": 0})
        seen = [values async for values in thread.values]
        assert await thread.output == {"total": 3, "log": ["one", "two", "three"]}
        thread_id = thread.thread_id
    assert seen[-1]["total"] == 3
    run = await sdk.runs.get(thread_id, result["run_id"])
    assert run["status"] == "success"
    assert (await sdk.threads.get(thread_id))["metadata"]["graph_id"] == "counter"


@TRANSPORTS
async def test_a_message_is_followed_word_by_word(sdk: Sdk, gate: Gate, transport: Any):
    async with asyncio.timeout(WAIT_SECONDS), sdk.threads.stream(assistant_id="tokens", transport=transport) as thread:
        await thread.run.start(input={**QUESTION, **gate.input})
        messages = []
        async for message in thread.messages:  # its words come while it goes on
            messages.append(message)
            gate.open()
        texts = [[delta async for delta in message.text] for message in messages]
        values: Any = await thread.output
    assert texts == [["You ", "said: ", "good ", "day "]]
    assert values["messages"][-1]["type"] == "ai"


@TRANSPORTS
async def test_a_question_is_answered_on_the_stream(sdk: Sdk, transport: Any):
    async with asyncio.timeout(WAIT_SECONDS), sdk.threads.stream(assistant_id="ask", transport=transport) as thread:
        await thread.run.start(input={})
        async for _ in thread.values:  # ends at the question
            pass
        await until(_as_coroutine(lambda: thread.interrupted), bool)
        (asked,) = thread.interrupts
        assert asked["value"] == {"question": "Shall we?"}
        assert asked["namespace"] == []
        await thread.run.respond("yes")
        assert (await thread.output)["answers"] == ["opened", "asked: yes", "closed"]


def _as_coroutine(ask: Any) -> Any:
    async def asked() -> Any:
        return ask()

    return asked


async def test_a_failure_is_raised_from_the_output(sdk: Sdk):
    async with asyncio.timeout(WAIT_SECONDS), sdk.threads.stream(assistant_id="failing") as thread:
        await thread.run.start(input={"total": 0})
        with pytest.raises(Exception, match="on purpose"):
            await thread.output


async def test_children_are_found_with_their_name_and_end(sdk: Sdk, gate: Gate):
    async with asyncio.timeout(WAIT_SECONDS), sdk.threads.stream(assistant_id="nested") as thread:
        await thread.run.start(input=gate.input)
        found = []
        async for child in thread.subgraphs:
            found.append(child)
            gate.open()
    assert [child.graph_name for child in found] == ["child"]
    assert found[0].path[0].startswith("child:")


async def test_the_tree_of_the_agent_is_its_graph(sdk: Sdk):
    async with sdk.threads.stream(assistant_id="counter") as thread:
        tree = await thread.agent.get_tree()
    assert "one" in {node["id"] for node in tree["nodes"]}


async def test_an_existing_thread_is_taken_up_again(sdk: Sdk):
    thread_id = await new_thread(sdk)
    await sdk.runs.wait(thread_id, "counter", input={"total": 0})
    async with asyncio.timeout(WAIT_SECONDS), sdk.threads.stream(thread_id, assistant_id="counter") as thread:
        assert (await thread.output)["total"] == 3


async def test_tool_calls_are_followed_with_their_output(sdk: Sdk, gate: Gate):
    async with asyncio.timeout(WAIT_SECONDS), sdk.threads.stream(assistant_id="tools") as thread:
        await thread.run.start(input={"messages": [{"role": "user", "content": "add 2 3"}], **gate.input})
        calls = []
        async for call in thread.tool_calls:
            calls.append(call)
            gate.open()
        assert [(call.name, call.tool_call_id) for call in calls] == [("add", "call-1")]
        assert calls[0].input == {"a": 2, "b": 3}
        assert "5" in str(await calls[0].output)


# --- on the wire


async def test_events_have_an_envelope_and_count_up(sdk: Sdk):
    thread_id, _ = await started(sdk, "counter", {"total": 0})
    events = await events_of(sdk, thread_id, "values")
    assert [event["type"] for event in events] == ["event"] * len(events)
    sequence = [event["seq"] for event in events]
    assert sequence == sorted(set(sequence))
    identities = [event["event_id"] for event in events]
    assert len(set(identities)) == len(identities)
    assert all(isinstance(event["params"]["timestamp"], int) for event in events)
    life = data_of(events, "lifecycle", [])
    assert [data["event"] for data in life] == ["running", "completed"]
    assert life[0]["graph_name"] == "counter"
    assert [values["total"] for values in data_of(events, "values")][-1] == 3


async def test_what_was_is_replayed_to_who_comes_later(sdk: Sdk):
    thread_id, run_id = await started(sdk, "counter", {"total": 0})
    first = await events_of(sdk, thread_id, "values")
    assert await ended(sdk, thread_id, run_id) == "success"
    again = await events_of(sdk, thread_id, "values")
    assert [event["event_id"] for event in again] == [event["event_id"] for event in first]
    since = first[2]["seq"]
    rest = await events_of(sdk, thread_id, "values", since=since)
    assert [event["event_id"] for event in rest] == [event["event_id"] for event in first[3:]]


async def test_messages_are_told_in_blocks(sdk: Sdk):
    thread_id, _ = await started(sdk, "tokens", QUESTION)
    parts = data_of(await events_of(sdk, thread_id, "messages"), "messages")
    names = [part["event"] for part in parts]
    assert (names[0], names[-1]) == ("message-start", "message-finish")
    assert names[1:3] == ["content-block-start", "content-block-delta"]
    assert names[-2] == "content-block-finish"
    deltas = [part["delta"] for part in parts if part["event"] == "content-block-delta"]
    assert "".join(delta["text"] for delta in deltas if delta["type"] == "text-delta") == "You said: good day "
    assert parts[-1]["usage"]["total_tokens"] == 8


async def test_a_question_is_told_with_both_names_of_its_value(sdk: Sdk):
    thread_id, run_id = await started(sdk, "ask", {})
    events = await events_of(sdk, thread_id, "input")
    (asked,) = [event for event in events if event["method"] == "input.requested"]
    data = asked["params"]["data"]
    assert data["payload"] == data["value"] == {"question": "Shall we?"}
    assert data["interrupt_id"]
    assert events.index(asked) < len(events) - 1
    assert events[-1]["params"]["data"]["event"] == "interrupted"
    assert await ended(sdk, thread_id, run_id) == "success"


async def test_a_failure_is_told_by_the_lifecycle(sdk: Sdk):
    thread_id, _ = await started(sdk, "failing", {"total": 0})
    (*_, last) = data_of(await events_of(sdk, thread_id), "lifecycle")
    assert last["event"] == "failed"
    assert "on purpose" in str(last["error"])


@pytest.mark.parametrize(
    ("graph", "given", "channel"),
    [
        ("counter", {"total": 0}, "updates"),
        ("counter", {"total": 0}, "tasks"),
        ("counter", {"total": 0}, "checkpoints"),
        ("writer", {"total": 0}, "custom"),
        ("tools", {"messages": [{"role": "user", "content": "add 2 3"}]}, "tools"),
    ],
)
async def test_each_channel_is_filled_for_every_graph(sdk: Sdk, graph: str, given: Any, channel: str):
    thread_id, _ = await started(sdk, graph, given)
    assert len(data_of(await events_of(sdk, thread_id, channel), channel)) >= 2


async def test_namespaces_and_depth_narrow_what_comes(sdk: Sdk):
    thread_id, run_id = await started(sdk, "nested", {})
    assert await ended(sdk, thread_id, run_id) == "success"

    async def namespaces(**body: Any) -> set[str]:
        events = await events_of(sdk, thread_id, "values", **body)
        return {"/".join(part.split(":")[0] for part in event["params"]["namespace"]) for event in events}

    assert await namespaces() == {"", "child"}
    assert await namespaces(namespaces=[[]], depth=0) == {""}
    assert await namespaces(namespaces=[[]], depth=1) == {"", "child"}


async def test_only_the_channels_asked_for_come(sdk: Sdk):
    thread_id, _ = await started(sdk, "counter", {"total": 0})
    events = await events_of(sdk, thread_id)
    assert {event["method"] for event in events} == {"lifecycle"}


@pytest.mark.parametrize("body", [{"channels": []}, {"channels": ["colours"]}, {"channels": "values"}, {}])
async def test_a_filter_that_makes_no_sense_is_a_bad_request(sdk: Sdk, body: dict[str, Any]):
    thread_id = await new_thread(sdk)
    answer = await sdk.http.client.post(f"/threads/{thread_id}/stream/events", json=body)
    assert answer.status_code == 400


async def test_a_command_that_makes_no_sense_is_refused(sdk: Sdk):
    thread_id = await new_thread(sdk)
    unknown = await command(sdk, thread_id, "run.fly")
    assert (unknown["type"], unknown["error"]) == ("error", "unknown_command")
    wrong = await command(sdk, thread_id, "run.start", input={})
    assert (wrong["type"], wrong["error"]) == ("error", "invalid_argument")
    nobody = await command(sdk, thread_id, "input.respond", namespace=[], interrupt_id="0" * 32, response=1)
    assert (nobody["type"], nobody["error"]) == ("error", "no_such_interrupt")
    malformed = await sdk.http.client.post(f"/threads/{thread_id}/commands", json={"method": 3})
    assert malformed.status_code == 400


async def test_a_question_is_answered_once(sdk: Sdk):
    thread_id, run_id = await started(sdk, "ask", {})
    await ended(sdk, thread_id, run_id)
    (asked,) = (await sdk.threads.get_state(thread_id))["interrupts"]
    answer = {"namespace": [], "interrupt_id": asked["id"], "response": "yes"}
    assert (await command(sdk, thread_id, "input.respond", **answer))["type"] == "success"
    assert await answered(sdk, thread_id) == ["opened", "asked: yes", "closed"]
    again = await command(sdk, thread_id, "input.respond", **answer)
    assert (again["type"], again["error"]) == ("error", "no_such_interrupt")


async def test_two_questions_are_answered_in_one_step(sdk: Sdk):
    thread_id, run_id = await started(sdk, "ask_two", {})
    await ended(sdk, thread_id, run_id)
    asked = (await sdk.threads.get_state(thread_id))["interrupts"]
    responses = [{"namespace": [], "interrupt_id": found["id"], "response": found["value"].upper()} for found in asked]
    assert (await command(sdk, thread_id, "input.respond", responses=responses))["type"] == "success"
    assert sorted(await answered(sdk, thread_id)) == ["closed", "left: LEFT?", "right: RIGHT?"]


async def test_input_to_a_thread_that_asks_is_the_answer(sdk: Sdk):
    thread_id, run_id = await started(sdk, "ask", {})
    await ended(sdk, thread_id, run_id)
    await started(sdk, "ask", "yes", thread_id)
    assert await answered(sdk, thread_id) == ["opened", "asked: yes", "closed"]


async def test_a_run_can_be_started_from_an_old_state(sdk: Sdk):
    thread_id = await new_thread(sdk)
    await sdk.runs.wait(thread_id, "counter", input={"total": 0})
    old = (await sdk.threads.get_history(thread_id))[2]["checkpoint"]["checkpoint_id"]
    answer = await command(
        sdk,
        thread_id,
        "run.start",
        assistant_id="counter",
        input={"total": 50},
        config={"configurable": {"checkpoint_id": old}},
    )
    assert await ended(sdk, thread_id, answer["result"]["run_id"]) == "success"
    assert (await sdk.threads.get_state(thread_id))["values"]["total"] == 54


@pytest.mark.parametrize("name", ["multitaskStrategy", "multitask_strategy"])
async def test_a_second_run_is_rejected_when_asked_in_either_spelling(sdk: Sdk, gate: Gate, name: str):
    thread_id = await new_thread(sdk)
    await held(sdk, gate, thread_id)
    answer = await command(sdk, thread_id, "run.start", assistant_id="gate", input={"gate": ""}, **{name: "reject"})
    assert answer["type"] == "error"


async def test_states_are_read_listed_and_forked_by_command(sdk: Sdk):
    thread_id = await new_thread(sdk)
    await sdk.runs.wait(thread_id, "counter", input={"total": 0})
    state = await command(sdk, thread_id, "state.get", namespace=[])
    assert state["type"] == "success", state
    assert state["result"]["values"]["total"] == 3
    listed = await command(sdk, thread_id, "state.listCheckpoints", namespace=[], limit=2)
    assert listed["type"] == "success", listed
    newest, older = listed["result"]["checkpoints"]
    assert (newest["step"], older["step"]) == (3, 2)
    more = await command(sdk, thread_id, "state.listCheckpoints", before=older["id"])
    assert [found["step"] for found in more["result"]["checkpoints"]] == [1, 0, -1]
    fork = await command(sdk, thread_id, "state.fork", checkpoint_id=older["id"], input={"total": 100})
    assert fork["type"] == "success", fork
    assert await ended(sdk, fork["result"]["thread_id"], fork["result"]["run_id"]) == "success"
    values = (await sdk.threads.get_state(fork["result"]["thread_id"]))["values"]
    assert values["total"] == 105


async def test_a_socket_carries_commands_answers_and_events(sdk: Sdk, agent_url: str):
    thread_id = str(uuid4())
    url = agent_url.replace("http", "ws", 1) + f"/threads/{thread_id}/stream/events"
    async with asyncio.timeout(WAIT_SECONDS), connect(url) as socket:

        async def send(number: int, method: str, **params: Any) -> dict[str, Any]:
            await socket.send(orjson.dumps({"id": number, "method": method, "params": params}).decode())
            while True:
                frame = orjson.loads(await socket.recv())
                if frame.get("id") == number:
                    return frame
                events.append(frame)

        events: list[dict[str, Any]] = []
        subscribed = await send(1, "subscription.subscribe", channels=["values", "lifecycle"])
        assert subscribed["type"] == "success"
        assert subscribed["result"]["subscription_id"]
        begun = await send(2, "run.start", assistant_id="counter", input={"total": 0})
        assert begun["type"] == "success"
        while not (events and is_end(events[-1])):
            events.append(orjson.loads(await socket.recv()))
        assert data_of(events, "values")[-1]["total"] == 3
        unknown = await send(3, "run.fly")
        assert unknown["error"] == "unknown_command"
        gone = await send(4, "subscription.unsubscribe", subscription_id=subscribed["result"]["subscription_id"])
        assert gone["type"] == "success"
        twice = await send(5, "subscription.unsubscribe", subscription_id=subscribed["result"]["subscription_id"])
        assert twice["error"] == "no_such_subscription"


async def test_what_is_said_to_a_thread_at_work_is_heard(sdk: Sdk, gate: Gate):
    thread_id, _ = await started(sdk, "tokens", {**QUESTION, **gate.input})
    await until(lambda: sdk.threads.get_state(thread_id), lambda state: state["next"] == ["rest"])
    said = {"role": "user", "content": "and more"}
    answer = await command(sdk, thread_id, "input.inject", namespace=[], message=said)
    assert answer["type"] == "success", answer
    gate.open()
    state = await until(lambda: sdk.threads.get_state(thread_id), lambda found: len(found["values"]["messages"]) == 4)
    assert state["values"]["messages"][2]["content"] == "and more"


async def test_a_new_socket_goes_on_where_the_old_one_was(sdk: Sdk, agent_url: str):
    thread_id, run_id = await started(sdk, "counter", {"total": 0})
    assert await ended(sdk, thread_id, run_id) == "success"
    events = await events_of(sdk, thread_id, "values")
    url = agent_url.replace("http", "ws", 1) + f"/threads/{thread_id}/stream/events"
    params = {"channels": ["values", "lifecycle"], "since": events[2]["seq"]}
    seen: list[dict[str, Any]] = []
    async with asyncio.timeout(WAIT_SECONDS), connect(url) as socket:
        await socket.send(orjson.dumps({"id": 1, "method": "subscription.subscribe", "params": params}).decode())
        while not (seen and is_end(seen[-1])):
            frame = orjson.loads(await socket.recv())
            if frame["type"] == "event":
                seen.append(frame)
    assert [event["event_id"] for event in seen] == [event["event_id"] for event in events[3:]]


async def test_a_connection_outlives_a_run(sdk: Sdk, agent_url: str):
    thread_id, _ = await started(sdk, "counter", {"total": 0})
    totals = []
    async with (
        asyncio.timeout(WAIT_SECONDS),
        httpx.AsyncClient(base_url=agent_url, timeout=WAIT_SECONDS) as client,
        client.stream("POST", f"/threads/{thread_id}/stream/events", json={"channels": ["values"]}) as answer,
    ):
        async for line in answer.aiter_lines():
            if not line.startswith("data: "):
                continue
            totals.append(orjson.loads(line.removeprefix("data: "))["params"]["data"]["total"])
            if totals[-1] == 3:
                await started(sdk, "counter", {"total": 10}, thread_id)
            if totals[-1] == 16:
                break
    assert {3, 13, 16} <= set(totals)
