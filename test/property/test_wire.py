"""What graphs hold becomes JSON, whatever it is."""

import enum
import json
import warnings
from collections import deque, namedtuple
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any
from uuid import UUID

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.documents import Document
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    ChatMessage,
    ChatMessageChunk,
    FunctionMessage,
    FunctionMessageChunk,
    HumanMessage,
    HumanMessageChunk,
    RemoveMessage,
    SystemMessage,
    SystemMessageChunk,
    ToolMessage,
    ToolMessageChunk,
)
from langgraph.errors import GraphRecursionError, InvalidUpdateError
from langgraph.types import Command, Interrupt, Send, StateSnapshot
from pydantic import BaseModel, SecretStr, field_serializer

from backend.core.error import RunNotFound
from backend.core.run.wire import dumps, error_data


class Colour(enum.Enum):
    RED = "red"


class Model(BaseModel):
    when: datetime = datetime(2026, 1, 2, tzinfo=UTC)
    child: Any = None
    colour: Colour = Colour.RED


@dataclass
class Record:
    number: int = 1
    child: Any = None


class Nameless:
    pass


class Rude:
    def __repr__(self) -> str:
        raise ValueError("no")


class Old:
    """As models of pydantic 1 are."""

    def dict(self) -> dict[str, int]:
        return {"a": 1}


class RudeModel(BaseModel):
    def model_dump(self, **kwargs: Any) -> Any:
        raise KeyError("no")


class Shouting(HumanMessage):
    """A message whose fields are not all that it says."""

    @field_serializer("content")
    def shout(self, content: Any) -> str:
        return str(content).upper()


Point = namedtuple("Point", "x y")


MESSAGES: list[BaseMessage] = [
    HumanMessage("hi", id="1", name="Minji"),
    HumanMessage([{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {"url": "data:,"}}, "b"]),
    HumanMessage("hi", own="extra field"),
    HumanMessageChunk(content="h"),
    SystemMessage("s"),
    SystemMessageChunk(content="s"),
    AIMessage(
        "a",
        id="2",
        tool_calls=[{"name": "add", "args": {"a": 1}, "id": "c"}],
        invalid_tool_calls=[{"name": "add", "args": "{", "id": "d", "error": None}],
        usage_metadata={
            "input_tokens": 1,
            "output_tokens": 2,
            "total_tokens": 3,
            "output_token_details": {"reasoning": 1},
        },
        response_metadata={"finish_reason": "stop", "nested": {"model": Model()}},
        additional_kwargs={"reasoning": ["x"]},
    ),
    AIMessageChunk(content="a", id="3", tool_call_chunks=[{"name": "add", "args": '{"a"', "id": "c", "index": 0}]),
    AIMessageChunk(content=[{"type": "text", "text": "a", "index": 0}], chunk_position="last"),
    ToolMessage("3", tool_call_id="c", artifact={"rows": [Model(), 1]}, status="error"),
    ToolMessageChunk(content="3", tool_call_id="c"),
    FunctionMessage(content="f", name="fn"),
    FunctionMessageChunk(content="f", name="fn"),
    ChatMessage(content="c", role="critic"),
    ChatMessageChunk(content="c", role="critic"),
    RemoveMessage(id="4"),
    Shouting(content="quiet"),
]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_a_message_has_the_fields_that_its_model_dump_has(message: BaseMessage) -> None:
    expected = orjson.loads(orjson.dumps(message.model_dump()))

    found = json.loads(dumps(message))

    assert found == expected
    assert list(found) == list(expected)


def test_the_list_of_message_classes_is_whole() -> None:
    def below(kind: type[BaseMessage]) -> set[type[BaseMessage]]:
        return {kind}.union(*(below(child) for child in kind.__subclasses__()))

    known = {type(message) for message in MESSAGES}
    theirs = {kind for kind in below(BaseMessage) if kind.__module__.startswith("langchain_core.messages")}

    assert {kind.__name__ for kind in theirs - known} == {"BaseMessage", "BaseMessageChunk"}


SNAPSHOT = StateSnapshot({"a": 1}, ("n",), {"configurable": {}}, None, None, None, (), ())
VALUES: list[tuple[Any, Any]] = [
    (datetime(2026, 1, 2, 3, tzinfo=timezone(timedelta(hours=9))), "2026-01-02T03:00:00+09:00"),
    (date(2026, 1, 2), "2026-01-02"),
    (time(1, 2, tzinfo=UTC), "01:02:00+00:00"),
    (timedelta(seconds=2.5), 2.5),
    (Decimal("1.50"), 1.5),
    (Decimal("NaN"), None),
    (Decimal("1E+9999"), "1E+9999"),
    (float("nan"), None),
    (float("-inf"), None),
    (2**64 - 1, 2**64 - 1),
    (2**70, 2**70),
    (-(2**63) - 1, -(2**63) - 1),
    (1 << 5000, hex(1 << 5000)),
    (Colour.RED, "red"),
    (Path("/a/b"), "/a/b"),
    (UUID(int=7), "00000000-0000-0000-0000-000000000007"),
    (b"\x00\xff", "AP8="),
    (bytearray(b"abc"), "YWJj"),
    ({1}, [1]),
    (deque([1]), [1]),
    (range(2), [0, 1]),
    ({"a": 1}.keys(), ["a"]),
    (MappingProxyType({"a": 1}), {"a": 1}),
    (Point(1, {2}), {"x": 1, "y": [2]}),
    (np.float32(1.5), 1.5),
    (np.float64(2.5), 2.5),
    (np.int64(3), 3),
    (np.bool_(True), True),
    (np.arange(2), [0, 1]),
    (Model(child=HumanMessage("x", id="1")), {"when": "2026-01-02T00:00:00+00:00", "child": ..., "colour": "red"}),
    (Record(child=[Record()]), {"number": 1, "child": [{"number": 1, "child": None}]}),
    (Document("text", id="d"), {"id": "d", "metadata": {}, "page_content": "text", "type": "Document"}),
    (Old(), {"a": 1}),
    (Send("node", {"a": 1}), {"node": "node", "args": {"a": 1}}),
    (Command(update={"a": 1}, goto="n"), {"graph": None, "update": {"a": 1}, "resume": None, "goto": "n"}),
    (Interrupt({"q": 1}, id="i"), {"value": {"q": 1}, "id": "i", "response_schema": None}),
    (SNAPSHOT, {**SNAPSHOT._asdict(), "next": ["n"], "tasks": [], "interrupts": []}),
    (ValueError("no"), {"error": "ValueError", "message": "no"}),
    (SecretStr("hidden"), "**********"),
    (Model, "Model"),
    (dumps, "dumps"),
    (1 + 2j, "(1+2j)"),
    (Nameless(), "<Nameless>"),
    (Rude(), "<Rude>"),
    (RudeModel(), ""),
    ("a\ud800b", "a\ufffdb"),
    ("\ud83d\ude00", "😀"),
    ({"\ud800": 1, 2: 3, None: 4, (1, 2): 5}, {"\ufffd": 1, "2": 3, "null": 4, "(1, 2)": 5}),
    ({Colour.RED: 1, True: 2, UUID(int=1): 3}, {"red": 1, "true": 2, str(UUID(int=1)): 3}),
]


@pytest.mark.parametrize(("value", "expected"), VALUES, ids=lambda value: type(value).__name__)
@pytest.mark.parametrize("beside", [None, 2**80], ids=["the quick way", "the slow way"])
def test_a_value_is_told_as(value: Any, expected: Any, beside: Any) -> None:
    found = json.loads(dumps([value, beside]))

    if isinstance(value, Model):
        found[0]["child"] = ...
    assert found == [expected, beside]


def test_no_address_in_memory_is_told() -> None:
    for value in (object(), Nameless(), (n for n in [1]), partial(dumps), lambda: 0, VALUES.append, Rude().__repr__):
        assert b"0x" not in dumps({"value": value})


def test_what_closes_a_circle_is_cut() -> None:
    circle: dict[str, Any] = {"a": 1}
    circle["self"] = [circle, circle]

    assert json.loads(dumps(circle)) == {"a": 1, "self": ["…", "…"]}


def test_what_is_nested_without_end_is_cut() -> None:
    deep: list[Any] = []
    for _ in range(5000):
        deep = [deep]

    assert dumps(deep).startswith(b"[[[[")


def test_a_subclass_with_odd_fields_warns_nobody() -> None:
    message = Shouting(content="x")
    message.name = 5  # type: ignore[assignment] # what a graph may do

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert json.loads(dumps(message))["name"] == 5


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters())
    | st.text(st.characters(categories=["Cs"]))
    | st.binary()
    | st.decimals()
    | st.datetimes(timezones=st.none() | st.timezones())
    | st.times(timezones=st.none() | st.timezones())
    | st.timedeltas()
    | st.uuids()
    | st.complex_numbers()
    | st.fractions()
    | st.builds(HumanMessage, content=st.text(st.characters()))
)
KEYS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()) | st.binary() | st.datetimes()
DATA = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(KEYS, inner, max_size=4)
        | st.tuples(inner, inner)
        | st.builds(Record, child=inner)
        | st.builds(Model, child=inner)
        | st.builds(Interrupt, value=inner)
        | st.builds(ToolMessage, content=st.just("x"), tool_call_id=st.just("c"), artifact=inner)
    ),
    max_leaves=12,
)


@given(DATA)
def test_anything_is_json_on_one_line(data: Any) -> None:
    said = dumps(data)

    json.loads(said)
    assert b"\n" not in said
    assert b"\r" not in said


class Refused(Exception):
    pass


class BadInput(ValueError):
    pass


TEXTS: list[tuple[BaseException, str, str]] = [
    (ValueError("it broke: é"), "ValueError", "it broke: é"),
    (BadInput("no date"), "BadInput", "no date"),
    (KeyError("k"), "KeyError", "'k'"),
    (RuntimeError(), "RuntimeError", ""),
    (GraphRecursionError("limit"), "GraphRecursionError", "limit"),
    (InvalidUpdateError("Expected dict"), "InvalidUpdateError", "Expected dict"),
    (RunNotFound(UUID(int=1)), "RunNotFound", RunNotFound(UUID(int=1)).detail),
    (FileNotFoundError(2, "No such file", "/etc/key"), "FileNotFoundError", "An internal error occurred"),
    (ConnectionError("to 10.0.0.1"), "ConnectionError", "An internal error occurred"),
    (Refused("sk-secret"), "Refused", "An internal error occurred"),
    (ExceptionGroup("several", [ExceptionGroup("x", [ValueError("first")]), KeyError()]), "ValueError", "first"),
    (ValueError("x" * 20_000), "ValueError", "x" * 10_000),
]


@pytest.mark.parametrize(("error", "name", "text"), TEXTS, ids=lambda value: type(value).__name__)
def test_a_failure_is_told_by_its_class_and_what_is_meant_for_the_caller(
    error: BaseException, name: str, text: str
) -> None:
    assert error_data(error) == {"error": name, "message": text}
