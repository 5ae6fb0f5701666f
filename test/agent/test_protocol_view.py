"""Runs of other dialects as events of the thread protocol, what is closed with their end, and filters of events."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.core.run.protocol_event import EventFilter, Shown, encode, shown
from backend.core.run.protocol_view import RunView
from backend.dto.event import Cursor, Event
from backend.dto.run import Dialect, Run, RunRequest

RUN = Run(
    run_id=uuid4(),
    thread_id=uuid4(),
    tenant_id="t",
    user_id="u",
    status="running",
    attempt=1,
    request=RunRequest("graph"),
    cancel_action=None,
    result=None,
    created_at=datetime(2026, 1, 1, tzinfo=UTC),
    updated_at=datetime(2026, 1, 1, tzinfo=UTC),
)


def view(dialect: Dialect, *events: tuple[str, Any]) -> list[Shown]:
    """Return what a run that said these events is in the protocol."""
    reader = RunView(replace(RUN, request=RunRequest("graph", dialect=dialect)))
    said = [Event(Cursor(1, seq), name, orjson.dumps(data)) for seq, (name, data) in enumerate(events, 1)]
    return [one for event in said for one in reader.show(event)]


def told(events: list[Shown]) -> list[tuple[str, Any]]:
    """Return methods, and of what has states the state."""
    return [(event.method, event.content().get("event")) for event in events]


def blocks(events: list[Shown]) -> list[Any]:
    parts = [event.content() for event in events if event.method == "messages"]
    return [part["content"] for part in parts if part["event"] == "content-block-finish"]


def test_a_run_of_the_chat_api_is_told_with_its_words_tools_and_parts() -> None:
    events = view(
        "chat",
        ("start", {"agent": "graph", "attempt": 1}),
        ("tool", {"name": "search", "id": "c1", "status": "called", "args": {"q": "x"}}),
        ("tool", {"name": "search", "id": "c1", "status": "success"}),
        ("token", {"text": "Hello ", "node": "answer", "message_id": "m1"}),
        ("token", {"text": "you", "node": "answer", "message_id": "m1"}),
        ("citation", {"index": 1}),
        ("usage", {}),
        ("done", {"status": "success", "answer": "Hello you"}),
    )
    assert told(events) == [
        ("lifecycle", "running"),
        ("tools", "tool-started"),
        ("tools", "tool-finished"),
        ("messages", "message-start"),
        ("messages", "content-block-start"),
        ("messages", "content-block-delta"),
        ("messages", "content-block-delta"),
        ("custom", None),
        ("messages", "content-block-finish"),
        ("messages", "message-finish"),
        ("lifecycle", "completed"),
    ]
    assert blocks(events) == [{"type": "text", "text": "Hello you"}]
    assert events[7].content() == {"name": "citation", "payload": {"index": 1}}


def test_what_a_chat_asks_is_asked_at_its_end() -> None:
    events = view(
        "chat",
        ("start", {}),
        ("interrupt", {"interrupts": [{"id": "i1", "value": "Shall we?"}]}),
        ("done", {"status": "interrupted", "interrupts": [{"id": "i1", "value": "Shall we?"}]}),
    )
    assert told(events) == [("lifecycle", "running"), ("input.requested", None), ("lifecycle", "interrupted")]
    assert events[1].content() == {"interrupt_id": "i1", "payload": "Shall we?", "value": "Shall we?"}


@pytest.mark.parametrize(
    ("last", "end"),
    [
        (("end", {"status": "success"}), {"event": "completed"}),
        (("end", {"status": "interrupted"}), {"event": "interrupted"}),
        (("end", {"status": "timeout"}), {"event": "failed", "error": "The run was stopped at its time limit."}),
        (("error", {"error": "ValueError", "message": "no"}), {"event": "failed", "error": "no"}),
        (("error", {"title": "T", "detail": "bad"}), {"event": "failed", "error": "bad"}),
        (("done", None), {"event": "completed"}),
    ],
)
def test_every_end_of_a_run_is_the_last_life_of_its_root(last: tuple[str, Any], end: dict[str, str]) -> None:
    events = view("agent", ("metadata", {}), last)
    assert events[-1].content() == {**end, "graph_name": "graph"}


def test_messages_of_the_first_protocol_come_in_blocks_in_both_of_its_forms() -> None:
    call = {"name": "add", "args": {"a": 1}, "id": "c1", "type": "tool_call"}
    grown = view(
        "agent",
        ("messages/metadata", {"m1": {}}),
        ("messages/partial", [{"type": "ai", "id": "m1", "content": "He"}]),
        ("messages/partial", [{"type": "ai", "id": "m1", "content": "Hello"}]),
        ("messages/complete", [{"type": "ai", "id": "m1", "content": "Hello", "tool_calls": [call]}]),
        ("messages/complete", [{"type": "human", "id": "m2", "content": "ignored"}]),
    )
    pieces = view(
        "agent",
        ("messages", [{"type": "AIMessageChunk", "id": "m1", "content": "Hel"}, {"langgraph_node": "n"}]),
        ("messages", [{"type": "AIMessageChunk", "id": "m1", "content": [{"type": "text", "text": "lo"}]}, {}]),
        (
            "messages",
            [
                {
                    "type": "AIMessageChunk",
                    "id": "m1",
                    "content": "",
                    "tool_call_chunks": [{"name": "add", "args": '{"a": ', "id": "c1", "index": 0}],
                },
                {},
            ],
        ),
        (
            "messages",
            [
                {
                    "type": "AIMessageChunk",
                    "id": "m1",
                    "content": "",
                    "tool_call_chunks": [{"name": None, "args": "1}", "id": None, "index": 0}],
                    "chunk_position": "last",
                },
                {},
            ],
        ),
    )
    whole = [
        {"type": "text", "text": "Hello"},
        {"type": "tool_call", "id": "c1", "name": "add", "args": {"a": 1}},
    ]
    assert blocks(grown) == blocks(pieces) == whole


def test_subgraphs_of_the_first_protocol_begin_when_they_are_heard_of_and_end_with_the_run() -> None:
    events = view(
        "agent",
        ("metadata", {}),
        ("values|child:1|inner:2", {"a": 1, "__interrupt__": [{"id": "i1", "value": "?"}]}),
        ("values", {"a": 0, "__interrupt__": [{"id": "i1", "value": "?"}]}),
        ("end", {"status": "success"}),
    )
    assert [(event.method, len(event.namespace), event.content().get("event")) for event in events] == [
        ("lifecycle", 0, "running"),
        ("lifecycle", 2, "started"),
        ("values", 2, None),
        ("values", 0, None),
        ("input.requested", 2, None),
        ("lifecycle", 2, "interrupted"),
        ("lifecycle", 0, "interrupted"),
    ]


def test_what_a_lost_run_leaves_open_is_closed_with_its_end() -> None:
    said = shown("x", "lifecycle", ["child:1"], {"event": "started", "graph_name": "child"})
    reader = RunView(replace(RUN, request=RunRequest("graph", dialect="protocol")))
    (kept,) = reader.show(Event(Cursor(1, 1), "lifecycle", said.data))
    assert kept.data == said.data
    last = reader.show(Event(Cursor(1, 2), "error", b'{"error":"WorkerLost","message":"gone"}'))
    assert [(event.namespace, event.content()["event"]) for event in last] == [(["child:1"], "failed"), ([], "failed")]
    assert len({event.data for event in last}) == 2


def test_each_event_that_is_made_of_one_has_an_id_of_its_own_and_the_same_for_all() -> None:
    events = [("start", {}), ("token", {"text": "a", "node": "n", "message_id": "m"}), ("done", {})]
    first, second = view("chat", *events), view("chat", *events)
    assert [event.data for event in first] == [event.data for event in second]
    ids = [orjson.loads(event.data)["event_id"] for event in first]
    assert len(set(ids)) == len(ids)


NASTY = st.text(alphabet=st.sampled_from('ab:|"\\],{}\n') | st.characters(codec="utf-8"), max_size=20)


@given(namespace=st.lists(NASTY, max_size=4), data=st.dictionaries(NASTY, NASTY, max_size=3))
def test_the_namespace_of_an_event_is_read_back_whatever_is_in_it(namespace: list[str], data: dict[str, str]) -> None:
    event = shown("id", "custom", namespace, data, node='n"],"timestamp":')
    assert event.namespace == namespace
    whole = orjson.loads(event.numbered(7))
    assert (whole["seq"], whole["params"]["data"], whole["params"]["namespace"]) == (7, data, namespace)


@pytest.mark.parametrize(
    ("prefix", "depth", "wanted"),
    [
        ([], None, True),
        ([], 1, False),
        ([], 2, True),
        (["a"], None, True),
        (["a"], 0, False),
        (["a:1"], 1, True),
        (["a:2"], None, False),
        (["b"], None, False),
        (["a", "b"], 0, True),
        (["a", "b", "c"], None, False),
    ],
)
def test_a_namespace_is_wanted_by_its_beginning(prefix: list[str], depth: int | None, wanted: bool) -> None:
    event = shown("id", "values", ["a:1", "b:2"], {})
    assert EventFilter(frozenset({"values"}), (tuple(prefix),), depth).wants(event) is wanted


@pytest.mark.parametrize(
    ("data", "channel", "wanted"),
    [
        ({"name": "x", "payload": 1}, "custom:x", True),
        ({"name": "x", "payload": 1}, "custom", True),
        ({"name": "x", "payload": 1}, "custom:y", False),
        ("text", "custom:x", False),
        ({"a": 1}, "custom", True),
        ({"a": 1}, "values", False),
    ],
)
def test_a_custom_part_is_wanted_by_its_name(data: Any, channel: str, wanted: bool) -> None:
    assert EventFilter(frozenset({channel})).wants(shown("id", "custom", [], data)) is wanted


def test_what_json_cannot_say_ends_no_stream() -> None:
    assert orjson.loads(encode({"big": 2**70, "half": "\ud800", "thing": object(), 1: {3}}))["1"] == [3]
