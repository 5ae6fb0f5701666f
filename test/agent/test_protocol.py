"""The thread protocol over HTTP: commands, and the events of a thread by SSE."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import orjson
import pytest
from langgraph_sdk.client import LangGraphClient

from test.agent_fixture import WAIT_SECONDS, Gate, Tenants, agent_server, client_of

pytestmark = pytest.mark.xdist_group("protocol")

ALL = ["values", "updates", "messages", "tools", "lifecycle", "input", "checkpoints", "tasks", "custom"]
QUESTION: dict[str, Any] = {"messages": [{"role": "user", "content": "add 2 3"}]}

Json = dict[str, Any]


class Thread:
    """A thread as a client of the wire sees it."""

    def __init__(self, http: httpx.AsyncClient, thread_id: str | None = None) -> None:
        self.http = http
        self.thread_id = thread_id or str(uuid4())

    async def ask(self, method: str, **params: Any) -> Json:
        """Send a command; return its answer."""
        body = {"id": 7, "method": method, "params": params}
        answer = await self.http.post(f"/threads/{self.thread_id}/commands", json=body)
        assert answer.status_code == 200, answer.text
        found: Json = answer.json()
        assert found["id"] == 7
        return found

    async def do(self, method: str, **params: Any) -> Json:
        """Send a command that is to succeed; return its result."""
        answer = await self.ask(method, **params)
        assert answer["type"] == "success", answer
        return answer["result"]

    async def code(self, method: str, **params: Any) -> str:
        """Send a command that is to fail; return the code of the error."""
        answer = await self.ask(method, **params)
        assert answer["type"] == "error", answer
        return answer["error"]

    async def stream(self, channels: list[str] = ALL, **filters: Any) -> AsyncGenerator[Json]:
        body = {"channels": channels, **filters}
        async with self.http.stream("POST", f"/threads/{self.thread_id}/stream/events", json=body) as answer:
            assert answer.status_code == 200, await answer.aread()
            assert answer.headers["content-type"].startswith("text/event-stream")
            told: Json = {}
            async for line in answer.aiter_lines():
                name, _, value = line.partition(": ")
                if name:
                    told[name] = value
                elif "data" in told:
                    event = orjson.loads(told["data"])
                    assert (told["event"], told["id"]) == (event["method"], str(event["seq"]))
                    told = {}
                    yield event

    async def events(
        self, channels: list[str] = ALL, until: Callable[[Json], bool] | None = None, **filters: Any
    ) -> list[Json]:
        """Return the events up to the one for which `until` is true, by default the end of a run."""
        found = []
        async with asyncio.timeout(WAIT_SECONDS), aclosing(self.stream(channels, **filters)) as stream:
            async for event in stream:
                found.append(event)
                if (until or ends)(event):
                    return found
        raise AssertionError(f"It ended without it: {found}")


def ends(event: Json) -> bool:
    """Whether this is the end of a run."""
    return is_life(event, "completed", "failed", "interrupted") and event["params"]["namespace"] == []


def is_life(event: Json, *states: str) -> bool:
    return event["method"] == "lifecycle" and event["params"]["data"]["event"] in states


def ends_times(count: int) -> Callable[[Json], bool]:
    """Whether this is the end of the `count`th run."""
    left = count

    def until(event: Json) -> bool:
        nonlocal left
        left -= ends(event)
        return left == 0

    return until


def data_of(events: list[Json], method: str, namespace: list[str] | None = None) -> list[Any]:
    return [
        event["params"]["data"]
        for event in events
        if event["method"] == method and (namespace is None or event["params"]["namespace"] == namespace)
    ]


@pytest.fixture
async def thread(agent_url: str) -> AsyncIterator[Thread]:
    """A thread that is not there yet, on the server of the conformance graphs."""
    async with httpx.AsyncClient(base_url=agent_url, timeout=WAIT_SECONDS) as http:
        yield Thread(http)


@pytest.fixture(scope="session")
def protocol_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server of graphs with transformers of their own."""
    config = Path(__file__).parent / "protocol_graph" / "langgraph.json"
    with agent_server(tmp_path_factory.mktemp("protocol"), config=config) as url:
        yield url


@pytest.fixture
async def own(protocol_url: str) -> AsyncIterator[Thread]:
    """A thread that is not there yet, on that server."""
    async with httpx.AsyncClient(base_url=protocol_url, timeout=WAIT_SECONDS) as http:
        yield Thread(http)


# What a run says.


async def test_every_channel_is_filled_for_a_graph_compiled_without_transformers(thread: Thread) -> None:
    await thread.do("run.start", assistant_id="tools", input=QUESTION)
    said = {event["method"] for event in await thread.events()}
    assert said == set(ALL) - {"input", "custom"}


async def test_a_run_begins_and_ends_on_the_root_and_is_counted_from_one(thread: Thread) -> None:
    started = await thread.do("run.start", assistant_id="counter", input={"total": 0, "log": []})
    events = await thread.events()
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert len({event["event_id"] for event in events}) == len(events)
    assert data_of(events[:1], "lifecycle") == [{"event": "running", "graph_name": "counter"}]
    assert data_of(events[-1:], "lifecycle") == [{"event": "completed", "graph_name": "counter"}]
    run = (await thread.http.get(f"/threads/{thread.thread_id}/runs/{started['run_id']}")).json()
    assert run["status"] == "success"
    assert (await thread.http.get(f"/threads/{thread.thread_id}")).json()["metadata"]["graph_id"] == "counter"


async def test_the_checkpoint_of_a_state_is_told_right_before_it(thread: Thread) -> None:
    await thread.do("run.start", assistant_id="counter", input={"total": 0, "log": []})
    events = await thread.events(
        ["values", "checkpoints"], until=lambda event: event["params"]["data"].get("total") == 3
    )
    states = [index for index, event in enumerate(events) if event["method"] == "values"]
    assert [events[index - 1]["method"] for index in states] == ["checkpoints"] * 4
    saved = data_of(events, "checkpoints")
    assert [one["step"] for one in saved] == [-1, 0, 1, 2, 3]
    assert [one.get("parent_id") for one in saved] == [None, *(one["id"] for one in saved[:-1])]


async def test_a_message_comes_in_blocks_and_its_parts_make_the_whole(thread: Thread) -> None:
    await thread.do("run.start", assistant_id="tokens", input={"messages": [{"role": "user", "content": "hello you"}]})
    events = await thread.events(["messages", "lifecycle"])
    parts = data_of(events, "messages")
    assert [part["event"] for part in parts if part["event"] != "content-block-delta"] == [
        "message-start",
        "content-block-start",
        "content-block-finish",
        "message-finish",
    ]
    text = "".join(part["delta"]["text"] for part in parts if part["event"] == "content-block-delta")
    assert text == "You said: hello you " == parts[-2]["content"]["text"]
    assert parts[-1]["usage"]["total_tokens"] == 8
    assert {event["params"].get("node") for event in events if event["method"] == "messages"} == {"answer"}


async def test_a_message_that_no_model_streams_is_told_as_well(thread: Thread) -> None:
    await thread.do("run.start", assistant_id="echo", input={"messages": [{"role": "user", "content": "hi"}]})
    parts = data_of(await thread.events(["messages", "lifecycle"]), "messages")
    assert [part["content"]["text"] for part in parts if part["event"] == "content-block-finish"] == ["echo: hi"]


async def test_a_tool_is_told_with_its_answer_also_as_a_message_of_its_own(thread: Thread) -> None:
    await thread.do("run.start", assistant_id="tools", input=QUESTION)
    events = await thread.events()
    started, finished = data_of(events, "tools")
    call_id = started["tool_call_id"]
    assert (started["tool_name"], started["input"], finished["output"]["content"]) == ("add", {"a": 2, "b": 3}, "5")
    parts = data_of(events, "messages", [f"tools:{call_id}"])
    assert (parts[0]["role"], parts[0]["tool_call_id"]) == ("tool", call_id)
    assert parts[2]["delta"]["text"] == parts[2]["content"]["text"] == parts[3]["content"]["text"] == "5"


async def test_states_show_messages_without_what_is_empty_but_with_what_they_cost(thread: Thread) -> None:
    await thread.do("run.start", assistant_id="tokens", input={"messages": [{"role": "user", "content": "hi"}]})
    question, answer = data_of(await thread.events(["values", "lifecycle"]), "values")[-1]["messages"]
    assert question == {"type": "human", "content": "hi", "id": question["id"]}
    assert (answer["type"], answer["usage_metadata"]["total_tokens"]) == ("ai", 8)


async def test_what_a_node_writes_is_told_as_it_is(thread: Thread) -> None:
    await thread.do("run.start", assistant_id="writer", input={"total": 0, "log": []})
    written = data_of(await thread.events(["custom", "lifecycle"]), "custom")
    assert written == [{"progress": 0}, {"progress": 1}, {"progress": 2}]


async def test_a_subgraph_begins_before_it_says_anything_and_ends_under_its_name(thread: Thread) -> None:
    await thread.do("run.start", assistant_id="nested", input={"answers": []})
    events = [event for event in await thread.events() if event["params"]["namespace"]]
    (namespace,) = {tuple(event["params"]["namespace"]) for event in events}
    assert namespace[0].startswith("child:")
    first = events[0]["params"]["data"]
    assert (first["event"], first["graph_name"]) == ("started", "child")
    assert first["trigger_call_id"] == namespace[0].removeprefix("child:")
    lives = [event["params"]["data"]["event"] for event in events if event["method"] == "lifecycle"]
    assert lives == ["started", "interrupted"]


async def test_a_failure_is_the_end_of_a_run(thread: Thread) -> None:
    await thread.do("run.start", assistant_id="failing", input={"total": 0, "log": []})
    (*_, last) = await thread.events(["lifecycle"])
    assert last["params"]["data"]["event"] == "failed"
    assert "it fails on purpose" in last["params"]["data"]["error"]


async def test_a_run_that_is_stopped_ends_with_its_subgraphs(own: Thread) -> None:
    started = await own.do("run.start", assistant_id="slow_child", input={"items": []})
    await own.events(["lifecycle"], until=lambda event: is_life(event, "started"))
    stopped = await own.http.post(f"/threads/{own.thread_id}/runs/{started['run_id']}/cancel")
    assert stopped.status_code == 202
    events = await own.events(["lifecycle"])
    assert [(event["params"]["namespace"] != [], event["params"]["data"]["event"]) for event in events] == [
        (False, "running"),
        (True, "started"),
        (True, "interrupted"),
        (False, "interrupted"),
    ]


async def test_the_transformers_of_a_graph_and_of_its_module_have_channels_of_their_own(own: Thread) -> None:
    await own.do("run.start", assistant_id="counted", input={"items": []})
    events = await own.events(["custom:count", "lifecycle"])
    assert data_of(events, "custom") == [{"name": "count", "payload": {"updates": count}} for count in (1, 2)]
    named = data_of(await own.events(["custom:node", "lifecycle"]), "custom")
    assert [one["payload"] for one in named] == ["one", "two"]
    both = {one["name"] for one in data_of(await own.events(["custom", "lifecycle"]), "custom")}
    assert both == {"count", "node"}


async def test_a_graph_without_transformers_has_those_of_its_module(own: Thread) -> None:
    await own.do("run.start", assistant_id="plain", input={"items": []})
    assert [one["name"] for one in data_of(await own.events(), "custom")] == ["node", "node"]


async def test_the_parts_of_two_messages_that_are_written_at_once_can_be_told_apart(own: Thread) -> None:
    await own.do("run.start", assistant_id="pair", input={"messages": []})
    parts = data_of(await own.events(["messages", "lifecycle"]), "messages")
    texts: dict[tuple[str, str], str] = {}
    last = "", ""
    for part in parts:
        if part["event"] == "message-start":
            last = part["id"], part["run_id"]
            texts[last] = ""
        elif part["event"] == "content-block-delta":
            # what names no message is of the only one that is being written
            key = (part["id"], part["run_id"]) if "id" in part or len(texts) > 1 else last
            texts[key] += part["delta"]["text"]
    assert sorted(texts.values()) == ["a1 a2 a3", "b1 b2 b3"]


# Subscriptions.


async def test_a_stream_may_be_opened_before_the_thread_is_there(thread: Thread) -> None:
    async with asyncio.timeout(WAIT_SECONDS), asyncio.TaskGroup() as group:
        reading = group.create_task(thread.events(["lifecycle"]))
        await asyncio.sleep(0)
        await thread.do("run.start", assistant_id="echo", input={"messages": [{"role": "user", "content": "hi"}]})
    assert [event["params"]["data"]["event"] for event in reading.result()] == ["running", "completed"]


async def test_a_stream_stays_open_over_the_ends_of_runs_and_goes_on_counting(thread: Thread) -> None:
    for _ in range(2):
        await thread.do("run.start", assistant_id="counter", input={"total": 0, "log": []})
    events = await thread.events(until=ends_times(2))
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert [data["event"] for data in data_of(events, "lifecycle")] == ["running", "completed"] * 2


async def test_a_number_means_the_same_on_every_connection_whatever_it_filters(thread: Thread) -> None:
    await thread.do("run.start", assistant_id="nested", input={"answers": []})
    numbers = {event["event_id"]: event["seq"] for event in await thread.events()}
    narrow = await thread.events(["lifecycle", "input"])
    assert {event["event_id"]: event["seq"] for event in narrow}.items() <= numbers.items()
    assert {event["method"] for event in narrow} == {"lifecycle", "input.requested"}


async def test_what_a_client_has_seen_is_not_shown_again(thread: Thread) -> None:
    await thread.do("run.start", assistant_id="counter", input={"total": 0, "log": []})
    events = await thread.events()
    rest = await thread.events(since=events[4]["seq"])
    assert [event["event_id"] for event in rest] == [event["event_id"] for event in events[5:]]


async def test_a_client_that_has_seen_more_than_is_kept_is_shown_all_of_it(thread: Thread) -> None:
    await thread.do("run.start", assistant_id="counter", input={"total": 0, "log": []})
    events = await thread.events()
    again = await thread.events(since=10_000)
    assert [event["event_id"] for event in again] == [event["event_id"] for event in events]


async def test_namespaces_and_depth_choose_graphs(thread: Thread) -> None:
    await thread.do("run.start", assistant_id="nested", input={"answers": []})
    events = await thread.events()

    async def spaces(**filters: Any) -> set[int]:
        wanted = await thread.events(["values", "lifecycle"], until=ends_in(filters), **filters)
        return {len(event["params"]["namespace"]) for event in wanted}

    def ends_in(filters: Json) -> Callable[[Json], bool]:
        inner = filters["namespaces"] != [[]]
        return (lambda event: is_life(event, "interrupted") and event["params"]["namespace"] != []) if inner else ends

    assert {len(event["params"]["namespace"]) for event in events} == {0, 1}
    assert await spaces(namespaces=[[]], depth=0) == {0}
    assert await spaces(namespaces=[[]], depth=1) == {0, 1}
    assert await spaces(namespaces=[["child"]]) == {1}


async def test_a_run_of_the_first_protocol_is_seen_in_the_second(thread: Thread, sdk: LangGraphClient) -> None:
    await sdk.threads.create(thread_id=thread.thread_id)
    stream = sdk.runs.stream(
        thread.thread_id,
        "tools",
        input=QUESTION,
        stream_mode=["values", "messages-tuple", "updates"],
        stream_resumable=True,
    )
    async for _ in stream:
        pass
    events = await thread.events()
    assert [data["event"] for data in data_of(events, "lifecycle")] == ["running", "completed"]
    finished = [part["content"] for part in data_of(events, "messages") if part["event"] == "content-block-finish"]
    assert [block["type"] for block in finished] == ["tool_call", "text"]
    assert finished[0]["args"] == {"a": 2, "b": 3}
    assert finished[1]["text"] == "The sum is 5 . "
    assert [next(iter(update)) for update in data_of(events, "updates")][:3] == ["model", "tools", "model"]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"channels": []},
        {"channels": "values"},
        {"channels": ["values", "nothing"]},
        {"channels": ["custom:"]},
        {"channels": [{"a": 1}]},
        {"channels": ["values"] * 101},
        {"channels": ["values"], "namespaces": [[]] * 101},
        {"channels": ["values"], "namespaces": [["a"] * 51]},
        {"channels": ["values"], "namespaces": [[1]]},
        {"channels": ["values"], "depth": -1},
        {"channels": ["values"], "since": "x"},
    ],
)
async def test_a_filter_that_means_nothing_is_refused(thread: Thread, body: Json) -> None:
    answer = await thread.http.post(f"/threads/{thread.thread_id}/stream/events", json=body)
    assert answer.status_code == 400
    assert answer.json()["detail"]


# Commands.


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"method": "run.start"}', b'{"id": "1", "method": "x"}', b'{"id": 1}'])
async def test_what_is_no_command_is_refused(thread: Thread, body: bytes) -> None:
    answer = await thread.http.post(f"/threads/{thread.thread_id}/commands", content=body)
    assert answer.status_code == 400


async def test_commands_that_cannot_be_done_say_why(thread: Thread) -> None:
    assert await thread.code("run.fly") == "unknown_command"
    assert await thread.code("run.start") == "invalid_argument"
    assert await thread.code("run.start", assistant_id="nobody", input={}) == "unknown_error"
    assert await thread.code("run.start", assistant_id="echo", config="x") == "invalid_argument"
    assert await thread.code("subscription.subscribe", channels=["values"]) == "not_supported"
    assert await thread.code("agent.getTree") == "no_such_run"
    assert await thread.code("input.respond", interrupt_id="x", response=1) == "no_such_run"
    assert await thread.code("input.respond") == "invalid_argument"
    message = {"role": "user", "content": "hi"}
    assert await thread.code("input.inject", namespace=[], message=message) == "no_such_run"
    assert await thread.code("state.fork", checkpoint_id="nothing") == "no_such_checkpoint"


async def asked(thread: Thread, assistant_id: str) -> list[Json]:
    """Start a run that asks, and return what it asks."""
    await thread.do("run.start", assistant_id=assistant_id, input={"answers": []})
    return [event["params"] for event in await thread.events(["input", "lifecycle"]) if "payload" in str(event)]


async def test_an_interrupt_is_answered_once(thread: Thread) -> None:
    (question,) = await asked(thread, "ask")
    assert question["data"]["payload"] == question["data"]["value"] == {"question": "Shall we?"}
    given = {"interrupt_id": question["data"]["interrupt_id"], "namespace": question["namespace"]}
    both = await asyncio.gather(*(thread.ask("input.respond", **given, response="yes") for _ in range(2)))
    assert sorted(answer.get("error", "") for answer in both) == ["", "no_such_interrupt"]
    events = await thread.events(until=ends_times(2))
    assert data_of(events, "input.answered") == [{"interrupt_ids": [given["interrupt_id"]]}]
    assert data_of(events, "values")[-1] == {"answers": ["opened", "asked: yes", "closed"]}
    assert await thread.code("input.respond", **given, response="no") == "no_such_interrupt"


async def test_several_interrupts_are_answered_together(thread: Thread) -> None:
    questions = await asked(thread, "ask_two")
    responses = [
        {"interrupt_id": one["data"]["interrupt_id"], "namespace": [], "response": one["data"]["value"].upper()}
        for one in questions
    ]
    assert await thread.do("input.respond", responses=responses) == {}
    values = data_of(await thread.events(until=ends_times(2)), "values")[-1]
    assert sorted(values["answers"]) == ["closed", "left: LEFT?", "right: RIGHT?"]


async def test_one_of_several_interrupts_leaves_the_others_waiting(thread: Thread) -> None:
    first, second = await asked(thread, "ask_two")
    await thread.do("input.respond", interrupt_id=first["data"]["interrupt_id"], namespace=[], response="1")
    events = await thread.events(until=ends_times(2))
    assert is_life(events[-1], "interrupted")
    waiting = [data["interrupt_id"] for data in data_of(events, "input.requested")]
    assert waiting[-1] == second["data"]["interrupt_id"]
    await thread.do("input.respond", interrupt_id=waiting[-1], namespace=[], response="2")
    assert is_life((await thread.events(until=ends_times(3)))[-1], "completed")


async def test_an_interrupt_of_a_subgraph_is_asked_and_answered_in_its_namespace(thread: Thread) -> None:
    (question,) = await asked(thread, "nested")
    given = {"interrupt_id": question["data"]["interrupt_id"], "response": "yes"}
    assert question["namespace"][0].startswith("child:")
    assert await thread.code("input.respond", **given, namespace=["elsewhere"]) == "no_such_interrupt"
    await thread.do("input.respond", **given, namespace=question["namespace"])
    assert is_life((await thread.events(until=ends_times(2)))[-1], "completed")


async def test_an_answer_brings_an_update_and_a_place_to_go_on(thread: Thread) -> None:
    (question,) = await asked(thread, "ask")
    await thread.do(
        "input.respond",
        interrupt_id=question["data"]["interrupt_id"],
        namespace=[],
        response="yes",
        update={"answers": ["by the way"]},
    )
    values = data_of(await thread.events(until=ends_times(2)), "values")[-1]
    assert values["answers"] == ["opened", "by the way", "asked: yes", "closed"]


async def test_an_answer_waits_for_the_run_that_is_about_to_ask(thread: Thread, gate: Gate) -> None:
    await thread.do("run.start", assistant_id="gate", input=gate.input)
    async with asyncio.timeout(WAIT_SECONDS), asyncio.TaskGroup() as group:
        answering = group.create_task(thread.code("input.respond", interrupt_id="x", namespace=[], response=1))
        await asyncio.sleep(0)
        gate.open()
    assert answering.result() == "no_such_interrupt"


async def test_the_input_of_a_run_on_a_thread_that_waits_is_its_answer(thread: Thread) -> None:
    await asked(thread, "ask")
    await thread.do("run.start", assistant_id="ask", input="certainly")
    values = data_of(await thread.events(until=ends_times(2)), "values")[-1]
    assert values["answers"] == ["opened", "asked: certainly", "closed"]


@pytest.mark.parametrize("name", ["multitaskStrategy", "multitask_strategy"])
async def test_a_busy_thread_can_be_refused_in_both_spellings(thread: Thread, gate: Gate, name: str) -> None:
    await thread.do("run.start", assistant_id="gate", input=gate.input)
    answer = await thread.ask("run.start", assistant_id="gate", input=gate.input, **{name: "reject"})
    assert (answer["type"], answer["message"][:4]) == ("error", "409:")


async def test_something_can_be_said_to_a_thread_at_work(thread: Thread, gate: Gate) -> None:
    message = {"role": "user", "content": "hi"}
    await thread.do("run.start", assistant_id="gate", input=gate.input)
    assert await thread.code("input.inject", namespace=[], message=message) == "not_supported"
    assert await thread.code("input.inject", namespace=["child"], message=message) == "not_supported"


async def test_states_can_be_read_and_forked(thread: Thread) -> None:
    await thread.do("run.start", assistant_id="counter", input={"total": 0, "log": []})
    await thread.events()
    state = await thread.do("state.get", namespace=[], keys=["total"])
    assert state["values"] == {"total": 3}
    newest, before = (await thread.do("state.listCheckpoints", limit=2))["checkpoints"]
    assert (newest["id"], newest["step"]) == (state["checkpoint"]["id"], 3)
    assert (newest["parent_id"], before["step"]) == (before["id"], 2)
    older = await thread.do("state.listCheckpoints", limit=1, before=before["id"])
    assert older["checkpoints"][0]["step"] == 1
    forked = await thread.do("state.fork", checkpoint_id=before["id"])
    assert forked["thread_id"] == thread.thread_id
    values = data_of(await thread.events(until=ends_times(2)), "values")
    assert values[-1] == {"total": 3, "log": ["one", "two", "three"]}
    assert await thread.code("state.get", namespace=["nobody:1"]) == "no_such_namespace"
    assert await thread.code("state.fork", checkpoint_id="' OR 1=1 --") == "no_such_checkpoint"


async def test_a_run_can_fork_by_its_configuration(thread: Thread) -> None:
    await thread.do("run.start", assistant_id="counter", input={"total": 0, "log": []})
    saved = data_of(await thread.events(), "checkpoints")
    config = {"configurable": {"checkpoint_id": saved[1]["id"]}}
    await thread.do("run.start", assistant_id="counter", input=None, config=config)
    values = data_of(await thread.events(until=ends_times(2)), "values")
    assert values[-1] == {"total": 3, "log": ["one", "two", "three"]}


async def test_the_tree_tells_where_each_graph_of_a_run_stands(thread: Thread) -> None:
    await asked(thread, "nested")
    tree = (await thread.do("agent.getTree"))["tree"]
    (child,) = tree["children"]
    assert (tree["graph_name"], tree["status"], tree["namespace"]) == ("nested", "interrupted", [])
    assert (child["graph_name"], child["status"], child["children"]) == ("child", "interrupted", [])


async def test_nothing_of_a_thread_is_shown_to_another_tenant(tenants: Tenants) -> None:
    async with (
        client_of(tenants.url, Authorization=f"Bearer {tenants.alice}") as alice,
        client_of(tenants.url, Authorization=f"Bearer {tenants.mallory}") as mallory,
    ):
        hers = Thread(alice.http.client)
        his = Thread(mallory.http.client, hers.thread_id)
        (question,) = await asked(hers, "ask")
        given = {"interrupt_id": question["data"]["interrupt_id"], "namespace": [], "response": "mine"}
        assert await his.code("input.respond", **given) == "no_such_run"
        assert await his.code("agent.getTree") == "no_such_run"
        assert await his.code("state.get") == "unknown_error"
        checkpoints = (await hers.do("state.listCheckpoints"))["checkpoints"]
        assert await his.code("state.fork", checkpoint_id=checkpoints[0]["id"]) == "no_such_checkpoint"
        # A thread of his with the same id is another one: what he sees of it is what he does.
        await his.do("run.start", assistant_id="echo", input={"messages": [{"role": "user", "content": "hi"}]})
        assert {data.get("graph_name") for data in data_of(await his.events(["lifecycle"]), "lifecycle")} == {"echo"}
        assert is_life((await hers.events(["lifecycle"]))[-1], "interrupted")
