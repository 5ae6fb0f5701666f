"""The plain chat API over real HTTP: whole answers, lines, breaks, refusals (002-1 to 002-8, X11, X12, I-7)."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any
from uuid import UUID

import httpx
import orjson
import pytest
from fastapi import FastAPI
from langchain_core.messages import AIMessage
from langgraph.graph import MessagesState
from langgraph.types import interrupt

from backend.api import problem
from backend.api.chat.plain_stream import PlainLines, plainly
from backend.api.sse import EventStream
from backend.core.error import Gone, TooMany, UpstreamFailed
from backend.dto.event import Cursor, Event
from test.door_fixture import QUESTION_CHARS, Door
from test.engine_fixture import Gate, graph_of

ROOT = "/api/chat"
HELLO: list[dict[str, Any]] = [{"role": "user", "content": "hello there"}]


def lines(text: str) -> list[tuple[str | None, dict[str, Any]]]:
    """Read a stream as a client does that splits at empty lines: the id and the JSON of each event, no comments."""
    found = []
    for block in text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.split("\n") if line and not line.startswith(":"))
        if fields:
            assert fields.keys() <= {"id", "data"}, "an event with a name is no `message`"
            found.append((fields.get("id"), orjson.loads(fields["data"])))
    return found


def said(events: list[tuple[str | None, dict[str, Any]]]) -> str:
    return "".join(data.get("content", "") for _, data in events)


def body(agent: str = "echo", **more: Any) -> dict[str, Any]:
    return {"messages": HELLO, "agent": agent, **more}


@pytest.mark.parametrize("path", [ROOT, f"{ROOT}/"])
async def test_an_answer_comes_whole_and_leaves_nothing(door: Door, path: str) -> None:
    """(002-1, 002-2)"""
    before = await door.engine.count()
    answer = await door.http.post(path, json=body(temperature=2.0, model="default"))
    assert answer.status_code == 200
    found = answer.json()
    assert found["content"].strip() == "echo hello there"
    assert (found["model"], found["refused"], found["citations"], found["status"]) == ("default", False, [], "success")
    assert (found["run_id"], found["thread_id"]) == (None, None)
    assert await door.engine.count() == before


async def test_the_whole_conversation_is_given_to_the_agent(door: Door) -> None:
    async def count(state: MessagesState) -> dict[str, Any]:
        return {"messages": [AIMessage(" | ".join(f"{one.type}: {one.text}" for one in state["messages"]))]}

    door.engine.agents.graphs["count"] = graph_of(count)
    talk = [
        *HELLO,
        {"role": "assistant", "content": "hi"},
        {"role": "user", "content": [{"type": "text", "text": "?"}]},
    ]
    answer = await door.http.post(ROOT, json={"messages": talk, "agent": "count"})
    assert answer.json()["content"] == "human: hello there | ai: hi | human: ?"


async def test_a_kept_conversation_goes_on_and_is_another_tenants_nowhere(door: Door) -> None:
    first = (await door.http.post(ROOT, json=body(keep=True))).json()
    thread_id, run_id = UUID(first["thread_id"]), first["run_id"]
    talk = [*HELLO, {"role": "assistant", "content": "echo"}, {"role": "user", "content": "again"}]
    again = body(keep=True, thread_id=str(thread_id)) | {"messages": talk}
    assert (await door.http.post(ROOT, json=again)).json()["thread_id"] == str(thread_id)
    assert await door.engine.said(thread_id) == ["hello there", "echo hello there", "again", "echo again"]
    assert (await door.stranger.post(ROOT, json=again)).status_code == 404
    assert (await door.stranger.get(f"{ROOT}/stream/{run_id}")).status_code == 404


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"messages": []}, "at least 1"),
        ({"messages": [*HELLO] * 101}, "at most 100"),
        ({"messages": [{"role": "system", "content": "Obey."}, *HELLO]}, "no system message"),
        ({"messages": [{"role": "tool", "content": "42"}, *HELLO]}, "no tool message"),
        ({"messages": [{"role": "assistant", "content": "hi"}]}, "last message must be the user's"),
        ({"messages": [{"role": "user", "content": ""}]}, "at least 1"),
        ({"messages": [{"role": "user", "content": " \n"}]}, "empty"),
        ({"messages": [{"role": "user", "content": "a\0b"}]}, "NUL"),
        ({"messages": [{"role": "user", "content": "x" * (QUESTION_CHARS + 1)}]}, str(QUESTION_CHARS)),
        ({"messages": [{"role": "user"}]}, "required"),
        ({"messages": [{"role": "user", "content": {"a": 1}}]}, "content"),
        ({"messages": "hello"}, "list"),
        ({"temperature": 2.1}, "less than or equal to 2"),
        ({"temperature": -0.1}, "greater than or equal to 0"),
        ({"temperature": "hot"}, "number"),
        ({"model": "no-such-model"}, "no-such-model"),
        ({"model": ""}, "model"),
        ({"temprature": 1}, "extra"),
        ({"thread_id": "0193a000-0000-7000-8000-000000000000"}, "keep=false"),
        ({"keep": "yes"}, "boolean"),
    ],
)
async def test_what_cannot_be_honoured_is_refused_before_a_stream_begins(
    door: Door, change: dict[str, Any], reason: str
) -> None:
    """(002-3, 002-4, 002-5, X11)"""
    for path in (ROOT, f"{ROOT}/stream"):
        answer = await door.http.post(path, json=body() | change)
        assert answer.status_code == 422, answer.text
        found = answer.json()
        assert answer.headers["content-type"] == "application/problem+json"
        assert found["error"] == found["title"]
        assert reason.lower() in answer.text.lower()


@pytest.mark.parametrize("hostile", [b"", b"[]", b"null", b'{"messages":', b"\xff\xfe", b'{"messages": [{"role": 1}]}'])
async def test_a_hostile_body_is_a_problem_and_no_crash(door: Door, hostile: bytes) -> None:
    answer = await door.http.post(ROOT, content=hostile, headers={"content-type": "application/json"})
    assert answer.status_code in {400, 422}
    assert answer.json()["error"] == answer.json()["title"]


async def test_deep_nesting_and_large_bodies_are_refused(door: Door) -> None:
    deep = b'{"messages": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    answer = await door.http.post(ROOT, content=deep, headers={"content-type": "application/json"})
    assert answer.status_code in {400, 422}
    large = await door.http.post(ROOT, content=b'"' + b"x" * 3_000_000 + b'"')
    assert (large.status_code, large.json()["error"]) == (413, large.json()["title"])


async def test_who_is_not_known_is_told_so_in_the_same_form(door: Door) -> None:
    async with httpx.AsyncClient(base_url=door.url, timeout=60) as nobody:
        refused = await nobody.post(ROOT, json=body())
    assert (refused.status_code, refused.json()["error"]) == (401, refused.json()["title"])


async def test_a_stream_is_lines_of_content_and_an_end(door: Door) -> None:
    """(002-8, X12)"""
    before = await door.engine.count()
    answer = await door.http.post(f"{ROOT}/stream", json=body())
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["cache-control"] == "no-cache, no-transform"
    assert answer.headers["x-accel-buffering"] == "no"
    events = lines(answer.text)
    assert said(events).strip() == "echo hello there"
    end = events[-1][1]
    assert (end["done"], end["answer"].strip(), end["model"]) == (True, "echo hello there", "default")
    assert (end["run_id"], end["thread_id"]) == (None, None)
    assert sum("done" in data for _, data in events) == 1
    assert all(event_id for event_id, _ in events)
    assert await door.engine.count() == before


async def test_an_agent_that_speaks_in_one_piece_is_streamed_too(door: Door) -> None:
    async def speak(state: MessagesState) -> dict[str, Any]:
        return {"messages": [AIMessage("all at once")]}

    door.engine.agents.graphs["speak"] = graph_of(speak)
    events = lines((await door.http.post(f"{ROOT}/stream", json=body("speak"))).text)
    assert said(events) == "all at once"
    assert events[-1][1]["done"]


async def test_a_kept_stream_is_read_on_behind_the_last_id_with_nothing_missed_or_doubled(door: Door) -> None:
    """(002-8, I-7)"""
    answer = await door.http.post(f"{ROOT}/stream", json=body(keep=True))
    whole = lines(answer.text)
    assert answer.headers["location"] == f"{ROOT}/stream/{answer.headers['x-run-id']}"
    for position, (event_id, _) in enumerate(whole[:-1]):
        rest = await door.http.get(answer.headers["location"], headers={"Last-Event-ID": str(event_id)})
        assert lines(rest.text) == whole[position + 1 :]
    assert lines((await door.http.get(answer.headers["location"])).text) == whole
    wrong = await door.http.get(answer.headers["location"], headers={"Last-Event-ID": "x"})
    assert (wrong.status_code, wrong.json()["error"]) == (422, wrong.json()["title"])


async def test_a_run_that_is_not_kept_stops_when_its_reader_leaves_and_a_kept_one_goes_on(door: Door) -> None:
    """(002-8)"""
    for keep in (False, True):
        gate, cancelled, ended = Gate(), asyncio.Event(), asyncio.Event()

        async def hold(
            state: MessagesState, gate: Gate = gate, cancelled: asyncio.Event = cancelled, ended: asyncio.Event = ended
        ) -> dict[str, Any]:
            try:
                await gate.passed()
            except asyncio.CancelledError:
                cancelled.set()
                raise
            ended.set()
            return {"messages": [AIMessage("held")]}

        door.engine.agents.graphs["hold"] = graph_of(hold)
        async with door.http.stream("POST", f"{ROOT}/stream", json=body("hold", keep=keep)):
            async with asyncio.timeout(60):
                await gate.entered.wait()
        async with asyncio.timeout(60):
            if keep:
                gate.open.set()
                await ended.wait()
            else:
                await cancelled.wait()


async def test_a_silent_stream_beats(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """(002-8)"""
    monkeypatch.setitem(EventStream.__init__.__kwdefaults__ or {}, "heartbeat", 0.02)
    gate = Gate()
    door.engine.agents.graphs["hold"] = graph_of(gate.node)
    text = ""
    async with door.http.stream("POST", f"{ROOT}/stream", json=body("hold")) as answer:
        async with asyncio.timeout(60):
            async for part in answer.aiter_text():
                text += part
                if ": heartbeat\n\n" in text:
                    gate.open.set()
    assert lines(text)[-1][1]["answer"] == "passed"


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (UpstreamFailed("The model does not answer."), 502, "upstream-failed"),
        (TooMany("Slowly.", retry_after=7), 429, None),
        (RuntimeError("secret of the upstream"), 500, "agent-failed"),
    ],
)
@pytest.mark.parametrize("keep", [False, True])
async def test_a_failure_has_its_status_and_no_text_of_an_exception(
    door: Door, error: Exception, status: int, code: str | None, keep: bool
) -> None:
    """(002-3, 002-6, 002-7, 002-8, X11)"""

    async def fail(state: MessagesState) -> dict[str, Any]:
        raise error

    door.engine.agents.graphs["fail"] = graph_of(fail)
    answer = await door.http.post(ROOT, json=body("fail", keep=keep))
    found = answer.json()
    assert (answer.status_code, found["error"]) == (status, found["title"])
    if status == 429:
        assert (answer.headers["retry-after"], found["retry_after"]) == ("7", 7)
    stream = await door.http.post(f"{ROOT}/stream", json=body("fail", keep=keep))
    ((_, last),) = lines(stream.text)
    assert last["error"]["status"] == status
    assert code is None or last["error"]["code"] == code
    assert last["error"].get("retry_after") == (7 if status == 429 else None)
    assert "secret" not in answer.text + stream.text


async def test_too_many_requests_say_when_to_come_back() -> None:
    """(002-6)"""
    app = FastAPI()
    problem.install(app)

    @app.post(f"{ROOT}/refused")
    async def refused() -> None:
        raise TooMany("Too many requests.", retry_after=12)

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://door") as http:
        answer = await http.post(f"{ROOT}/refused")
    found = answer.json()
    assert (answer.status_code, answer.headers["retry-after"], found["retry_after"]) == (429, "12", 12)
    assert (found["error"], found["detail"]) == (found["title"], "Too many requests.")


async def test_a_question_of_the_agent_is_told_and_answered_elsewhere(door: Door) -> None:
    async def ask(state: MessagesState) -> dict[str, Any]:
        return {"messages": [AIMessage(f"then {interrupt('sure?')}")]}

    door.engine.agents.graphs["ask"] = graph_of(ask)
    waits = (await door.http.post(ROOT, json=body("ask", keep=True))).json()
    assert [one["value"] for one in waits["interrupts"]] == ["sure?"]
    done = await door.http.post(f"/api/v1/runs/{waits['run_id']}/resume", json={"answer": "yes"})
    assert done.json()["answer"] == "then yes"


async def test_events_that_are_no_longer_kept_end_the_stream_with_a_word() -> None:
    async def gone() -> AsyncGenerator[list[Event]]:
        yield [Event(Cursor(1, 2), "token", b'{"text":"half "}')]
        raise Gone("The events asked for are no longer kept.")

    lines_of = PlainLines(None, kept=True)
    written = [lines_of(events) async for events in plainly(gone())]
    assert [data for _, data in lines(b"".join(written).decode())] == [
        {"content": "half "},
        {"error": {"code": "gone", "message": "The events asked for are no longer kept.", "status": 410}},
    ]


def test_an_answer_that_begins_anew_says_so() -> None:
    written = PlainLines(None, kept=True, after=Cursor(1, 2))(
        [
            Event(Cursor(2, 1), "start", b'{"attempt":2}'),
            Event(Cursor(2, 2), "token", b'{"text":"whole"}'),
            Event(Cursor(2, 3), "done", b'{"status":"success","answer":"whole","run_id":"r"}'),
        ]
    )
    events = lines(written.decode())
    assert [data for _, data in events[:-1]] == [{"restart": True}, {"content": "whole"}]
    assert events[-1][0] == "2-3"
