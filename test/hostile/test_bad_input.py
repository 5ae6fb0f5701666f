"""What an HTTP client can send that nobody should: each gets a clear refusal, and the server does not notice."""

import json
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import httpx
import orjson
import pytest

from test.hostile.target import ALICE, BODY_BYTES, DSN_PASSWORD, Target, refused

DEEP = b"[" * 10_000 + b"]" * 10_000
JSON = {"Content-Type": "application/json"}
NOBODY = "00000000-0000-4000-8000-000000000000"
CHATS = (
    "/api/v1/chat",
    "/api/v1/chat/stream",
    f"/api/v1/threads/{NOBODY}/chat",
    f"/api/v1/threads/{NOBODY}/chat/stream",
)
TAKES_JSON = (
    *(("POST", path) for path in CHATS),
    ("POST", "/api/v1/threads"),
    ("PATCH", f"/api/v1/threads/{NOBODY}"),
    ("POST", f"/api/v1/runs/{NOBODY}/cancel"),
    ("POST", f"/api/v1/runs/{NOBODY}/resume"),
    ("POST", "/api/v1/knowledge/documents"),
    ("POST", "/api/v1/knowledge/search"),
    ("POST", "/v1/chat/completions"),
)
NOT_JSON: dict[str, bytes] = {
    "cut off": b'{"message": "hi',
    "two values": b'{"message": "hi"} {"message": "ho"}',
    "trailing comma": b'{"message": "hi",}',
    "single quotes": b"{'message': 'hi'}",
    "not UTF-8": b'{"message": "\xff\xfe"}',
    "UTF-16": '{"message": "hi", "text": "hi"}'.encode("utf-16-be")[1:],
    "an unknown escape": b'{"message": "\\x41"}',
    "XML": b"<?xml version='1.0'?><message>hi</message>",
    "a control character": b'{"message": "a\x01b"}',
    "a form": b"message=hi&agent=echo",
    "zeroes": b"\0" * 1000,
}
NOT_OBJECTS: dict[str, bytes] = {
    "a list": b"[]",
    "a text": b'"message"',
    "a number": b"7",
    "a number of 5000 digits": b"7" * 5000,
    "an unknown field": b'{"mesage": "hi"}',
    "deep lists": DEEP,
    "deep objects": b'{"message":' * 10_000 + b"1" + b"}" * 10_000,
    "infinity": b"Infinity",
}
STRANGE_IDS = (
    "1",
    "null",
    "undefined",
    "..",
    "%2e%2e%2f%2e%2e%2fetc%2fpasswd",
    "..%5c..%5cwindows",
    "'%20OR%20'1'='1",
    "1;DROP%20TABLE%20threads",
    "%00",
    "a%00b",
    "%ff%fe",
    "%F0%9F%98%80",
    "%EB%8C%80%EB%8B%B5",
    "*",
    "{thread_id}",
    "$ne",
    "a" * 5000,
    NOBODY + "%0d%0aX-Evil:%201",
    NOBODY[:-1],
    NOBODY + "0",
    "-1",
    "9" * 40,
)
LAST_EVENT_IDS = ("x", "1", "1-", "-", "-2", "1-1-1", "1-x", "a-1", "9" * 300 + "-1", "1-" + "9" * 30, "1.5-2", "+1-+2")
LIMITS = ("0", "-1", "101", "1000000000", "9" * 30, "1e3", "x", "", "1.5", "NaN", "١٠")


@pytest.fixture
def alice(target: Target) -> Iterator[httpx.Client]:
    with target.client() as client:
        yield client


@pytest.mark.parametrize("what", NOT_JSON)
def test_what_is_not_json_is_refused_by_every_route(alice: httpx.Client, what: str) -> None:
    for method, path in TAKES_JSON:
        refused(alice.request(method, path, content=NOT_JSON[what], headers=JSON), 400, 422)


@pytest.mark.parametrize("what", NOT_OBJECTS)
def test_json_of_another_form_is_refused_by_every_route(alice: httpx.Client, what: str) -> None:
    for method, path in TAKES_JSON:
        refused(alice.request(method, path, content=NOT_OBJECTS[what], headers=JSON), 400, 422)


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "x", ""])
def test_a_wrong_content_type_is_no_way_in(alice: httpx.Client, kind: str) -> None:
    for method, path in TAKES_JSON:
        answer = alice.request(method, path, content=b"%%garbage&a=b;c", headers={"Content-Type": kind})
        refused(answer, 400, 415, 422)


def test_a_method_that_a_path_does_not_take_is_answered_with_all_that_it_takes(alice: httpx.Client) -> None:
    for path, allowed in {
        "/api/v1/tickets": "GET, HEAD, POST",
        "/api/v1/tickets/1": "GET, HEAD, PATCH, DELETE",
        "/api/v1/files/a": "GET, HEAD, PUT, DELETE",
        "/rag/build": "POST",
    }.items():
        answer = alice.request("TRACE", path)
        assert (answer.status_code, answer.headers["allow"]) == (405, allowed), path


WRONG_CHATS: dict[str, dict[str, Any]] = {
    "nothing": {},
    "empty": {"message": ""},
    "blank": {"message": " \t\n\u3000\u00a0"},
    "null": {"message": None},
    "a number": {"message": 5},
    "a list": {"message": ["hi"]},
    "an object": {"message": {"text": "hi"}},
    "too long": {"message": "가" * 40_000},
    "NUL": {"message": "a\0b"},
    "both": {"message": "hi", "input": {}},
    "an input that is a text": {"input": "hi"},
    "NUL in the input": {"input": {"messages": [{"role": "user", "content": "\0"}]}},
    "NUL in a key": {"input": {"\0": 1}},
    "no such agent": {"agent": "nobody"},
    "an agent that is a path": {"agent": "../../etc/passwd"},
    "an agent that is empty": {"agent": ""},
    "an agent with a line": {"agent": "answer\n"},
    "a long agent": {"agent": "a" * 1000},
    "no such model": {"model": "gpt-99"},
    "a model that is a list": {"model": ["gpt-5"]},
    "an unknown field": {"mesage": "hi"},
    "a field of the engine": {"checkpoint_ns": "x"},
    "a config": {"config": {"configurable": {"thread_id": "x"}}},
    "keep as text": {"keep": "false"},
    "keep as number": {"keep": 0},
    "no such strategy": {"multitask_strategy": "explode"},
    "no such durability": {"durability": "forever"},
    "no time": {"timeout": 0},
    "less than no time": {"timeout": -5},
    "all the time": {"timeout": 1e300},
    "metadata that is a list": {"metadata": []},
    "too much metadata": {"metadata": {str(number): number for number in range(100)}},
    "a long key": {"metadata": {"k" * 100: 1}},
    "NUL in the metadata": {"metadata": {"a": ["\0"]}},
    "a number of 40 digits": {"metadata": {"a": 10**40}},
    "a number of 4000 digits": {"input": {"a": 10**4000}},
    "not an id": {"thread_id": "x"},
    "no such thread": {"thread_id": NOBODY},
    "a thread that is not kept": {"thread_id": NOBODY, "keep": False},
}


@pytest.mark.parametrize("what", WRONG_CHATS)
def test_a_chat_that_cannot_be_honoured_is_refused_before_its_first_byte(alice: httpx.Client, what: str) -> None:
    wrong = WRONG_CHATS[what]
    whole = {"agent": "echo", **({} if {"message", "input"} & set(wrong) or what == "nothing" else {"message": "hi"})}
    body = json.dumps({**whole, **wrong})
    for path in CHATS[:2]:
        refused(alice.post(path, content=body, headers=JSON), 400, 404, 422)


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "1e999", "-0", "1E400"])
def test_numbers_that_are_none_are_stored_nowhere(alice: httpx.Client, value: str) -> None:
    for method, path, body in (
        ("POST", "/api/v1/chat", '{"message": "hi", "agent": "echo", "metadata": {"a": %s}}'),
        ("POST", "/api/v1/chat", '{"message": "hi", "agent": "echo", "timeout": %s}'),
        ("POST", "/api/v1/chat", '{"input": {"messages": "hi", "a": %s}, "agent": "echo"}'),
        ("POST", "/api/v1/threads", '{"metadata": {"a": %s}}'),
        ("POST", "/api/v1/threads", '{"metadata": {"a": [{"b": %s}]}}'),
        ("POST", "/api/v1/knowledge/documents", '{"title": "t", "text": "t", "metadata": {"a": %s}}'),
        ("POST", "/api/v1/knowledge/search", '{"query": "t", "limit": %s}'),
        ("POST", "/v1/chat/completions", '{"model": "echo", "n": %s, "messages": [{"role": "user", "content": "t"}]}'),
    ):
        answer = alice.request(method, path, content=body % value, headers=JSON)
        assert answer.status_code < 500, (path, answer.text)
        if answer.status_code >= 400:
            refused(answer, 400, 422)
        elif path == "/api/v1/threads":
            assert alice.get(answer.headers["location"]).status_code == 200
            assert alice.delete(answer.headers["location"]).status_code == 204
        orjson.loads(answer.content)  # strict JSON, whatever came in
    assert alice.get("/api/v1/threads", params={"limit": 100}).status_code == 200


SURROGATES = (r"\ud800", r"a\udfffb", r"\udc00\ud800")
TEXTS: tuple[tuple[str, str, str], ...] = (
    ("POST", "/api/v1/chat", '{"message": "%s", "agent": "echo"}'),
    ("POST", "/api/v1/chat", '{"message": "hi", "agent": "%s"}'),
    ("POST", "/api/v1/chat", '{"message": "hi", "agent": "echo", "model": "%s"}'),
    ("POST", "/api/v1/chat", '{"message": "hi", "agent": "echo", "metadata": {"a": "%s"}}'),
    ("POST", "/api/v1/chat", '{"message": "hi", "agent": "echo", "metadata": {"%s": 1}}'),
    ("POST", "/api/v1/chat", '{"input": {"messages": "%s"}, "agent": "echo", "keep": false}'),
    ("POST", "/api/v1/threads", '{"metadata": {"a": "%s"}}'),
    ("POST", "/api/v1/threads", '{"metadata": {"%s": {"a": ["b"]}}}'),
    ("PATCH", "/api/v1/threads/{thread_id}", '{"metadata": {"a": "%s"}}'),
    ("POST", "/api/v1/knowledge/documents", '{"title": "%s", "text": "t"}'),
    ("POST", "/api/v1/knowledge/documents", '{"title": "t1", "text": "%s"}'),
    ("POST", "/api/v1/knowledge/documents", '{"title": "t2", "text": "t %s", "source": "%s"}'),
    ("POST", "/api/v1/knowledge/documents", '{"title": "t3", "text": "t", "url": "https://a.example/%s"}'),
    ("POST", "/api/v1/knowledge/documents", '{"title": "t4", "text": "t", "metadata": {"a": "%s"}}'),
    ("POST", "/api/v1/knowledge/search", '{"query": "%s"}'),
    ("POST", "/api/v1/knowledge/search", '{"query": "b\\" OR * NEAR(a %s"}'),
    ("POST", "/api/v1/runs/{run_id}/resume", '{"answer": "%s"}'),
    ("POST", "/api/v1/runs/{run_id}/resume", '{"answer": {"%s": 1}}'),
    ("POST", "/api/v1/runs/{run_id}/cancel", '{"action": "%s"}'),
    ("POST", "/v1/chat/completions", '{"model": "%s", "messages": [{"role": "user", "content": "hi"}]}'),
    ("POST", "/v1/chat/completions", '{"model": "echo", "messages": [{"role": "user", "content": "%s"}]}'),
    ("POST", "/v1/chat/completions", '{"model": "echo", "messages": [{"role": "user", "name": "%s", "content": "x"}]}'),
)


@pytest.mark.parametrize("text", [*SURROGATES, r"\u0000", r"a\u0000b", r"\uffff\ufffe", r"\u202e\u200b\u0007"])
def test_characters_that_are_none_never_break_a_route(alice: httpx.Client, text: str) -> None:
    for method, template, body in TEXTS:
        waiting = alice.post("/api/v1/chat", json={"message": "hi", "agent": "ask"}).json()
        path = template.format(**{name: waiting[name] for name in ("thread_id", "run_id")})
        answer = alice.request(method, path, content=body.replace("%s", text), headers=JSON)
        assert answer.status_code < 500, (path, body, answer.text)
        if answer.status_code >= 400:
            refused(answer, 400, 404, 409, 422)
        elif text in SURROGATES:
            pytest.fail(f"{path} took a lone surrogate in {body}")
        orjson.loads(answer.content)
        assert alice.get(f"/api/v1/threads/{waiting['thread_id']}/messages").status_code == 200
        assert alice.get(f"/api/v1/runs/{waiting['run_id']}").status_code == 200
        assert alice.delete(f"/api/v1/threads/{waiting['thread_id']}").status_code == 204
    assert alice.get("/api/v1/knowledge/documents", params={"limit": 100}).status_code == 200


def test_of_a_doubled_key_one_value_holds(alice: httpx.Client) -> None:
    body = b'{"message": "first", "message": "second", "agent": "nobody", "agent": "echo"}'
    answer = alice.post("/api/v1/chat", content=body, headers=JSON)
    assert answer.status_code == 200
    assert answer.json()["answer"] == "echo second"


@pytest.mark.parametrize("identifier", STRANGE_IDS)
def test_what_is_no_id_finds_nothing(alice: httpx.Client, identifier: str) -> None:
    for method, path in (
        ("GET", "/api/v1/threads/{}"),
        ("PATCH", "/api/v1/threads/{}"),
        ("DELETE", "/api/v1/threads/{}"),
        ("GET", "/api/v1/threads/{}/messages"),
        ("GET", "/api/v1/threads/{}/runs"),
        ("POST", "/api/v1/threads/{}/chat"),
        ("POST", "/api/v1/threads/{}/chat/stream"),
        ("GET", "/api/v1/runs/{}"),
        ("POST", "/api/v1/runs/{}/cancel"),
        ("POST", "/api/v1/runs/{}/resume"),
        ("GET", "/api/v1/runs/{}/stream"),
        ("GET", "/api/v1/knowledge/documents/{}"),
        ("DELETE", "/api/v1/knowledge/documents/{}"),
        ("GET", "/api/v1/knowledge/jobs/{}"),
        ("POST", "/api/v1/knowledge/jobs/{}/cancel"),
        ("GET", "/api/v1/knowledge/jobs/{}/events"),
        ("GET", "/api/v1/citations/{}"),
        ("GET", "/v1/models/{}"),
    ):
        if identifier == ".." or (identifier.startswith("%2e%2e%2f") and "chat" in path):
            continue  # the client, or the server, makes another path of it
        body: dict[str, Any] = {}
        body = {"message": "hi", "agent": "echo"} if path.endswith(("chat", "stream")) and method == "POST" else body
        body = {"answer": 1} if path.endswith("resume") else {"metadata": {}} if method == "PATCH" else body
        answer = alice.request(method, path.format(identifier), json=None if method == "GET" else body)
        assert "x-evil" not in answer.headers
        refused(answer, 404, 405, 422)


@pytest.mark.parametrize("last", LAST_EVENT_IDS)
def test_a_last_event_id_that_is_none_is_refused(alice: httpx.Client, last: str) -> None:
    run_id = alice.post("/api/v1/chat", json={"message": "hi", "agent": "echo"}).json()["run_id"]
    for path in (f"/api/v1/runs/{run_id}/stream", f"/api/v1/runs/{NOBODY}/stream"):
        refused(alice.get(path, headers={"Last-Event-ID": last}), 404, 422)
    refused(alice.get(f"/api/v1/knowledge/jobs/{NOBODY}/events", headers={"Last-Event-ID": last}), 404, 422)


@pytest.mark.parametrize("last", ["0-0", "999999999-999999999", "1-999999999", "0-5", "-1", "00000001-00000001"])
def test_a_last_event_id_of_another_stream_ends_at_once_and_never_fails(alice: httpx.Client, last: str) -> None:
    run_id = alice.post("/api/v1/chat", json={"message": "hi", "agent": "echo"}).json()["run_id"]
    answer = alice.get(f"/api/v1/runs/{run_id}/stream", headers={"Last-Event-ID": last})
    assert answer.status_code == 200
    names = [line.removeprefix("event: ") for line in answer.text.splitlines() if line.startswith("event: ")]
    assert "error" not in names


@pytest.mark.parametrize("limit", LIMITS)
def test_a_limit_that_is_none_is_refused(alice: httpx.Client, limit: str) -> None:
    for path in ("/api/v1/threads", "/api/v1/knowledge/documents", "/api/v1/knowledge/jobs"):
        refused(alice.get(path, params={"limit": limit}), 422)
    refused(alice.get(f"/api/v1/threads/{NOBODY}/runs", params={"limit": limit}), 404, 422)
    refused(alice.get("/api/v1/citations/x", params={"radius": limit}), *([404] if limit == "0" else [422]))
    if limit not in {"0", ""}:
        refused(alice.get(f"/api/v1/knowledge/jobs/{NOBODY}", params={"after": limit}), 404, 422)


@pytest.mark.parametrize(
    "before", ["x", "", "A" * 32, "____" * 8, "-" * 32, "가나다", "'; DROP TABLE documents; --", "\0", "a" * 5000]
)
def test_a_page_that_is_none_is_refused(alice: httpx.Client, before: str) -> None:
    for path in ("/api/v1/threads", "/api/v1/knowledge/documents", "/api/v1/knowledge/jobs"):
        answer = alice.get(path, params={"before": before})
        assert answer.status_code == 200 or refused(answer, 404, 422)


@pytest.mark.parametrize("key", ["", "k" * 256, "a\tb", "é"])
def test_an_idempotency_key_that_is_none_is_refused(target: Target, alice: httpx.Client, key: str) -> None:
    body = {"message": "hi", "agent": "echo"}
    headers = [(b"Idempotency-Key", key.encode())]
    refused(alice.post("/api/v1/chat", json=body, headers=headers), 422)


@pytest.mark.parametrize(
    "question",
    ['"', "*", "a AND", "NEAR(", "col:x", "^a", "a\nb", "' OR 1=1 --", "%_%", "(" * 1000, "가" * 2000, "😀" * 500],
)
def test_no_question_is_a_query_language(alice: httpx.Client, question: str) -> None:
    answer = alice.post("/api/v1/knowledge/search", json={"query": question})
    assert answer.status_code == 200, answer.text
    asked = {"message": question, "agent": "answer", "model": "extractive", "keep": False}
    assert alice.post("/api/v1/chat", json=asked).status_code == 200


def test_a_question_of_a_megabyte_is_refused(alice: httpx.Client) -> None:
    for size, statuses in ((BODY_BYTES - 200, (400, 413, 422)), (BODY_BYTES + 1, (413,))):
        for method, path in TAKES_JSON:
            field = "query" if "search" in path else "text" if "documents" in path else "message"
            body = {field: "a" * size}
            if "documents" in path:
                body["titel"] = "t"
            refused(alice.request(method, path, json=body), *statuses)


@pytest.mark.parametrize("path", ["/api/v1/chat", "/v1/chat/completions", "/api/v1/threads", "/", "/nowhere"])
def test_a_body_without_a_length_is_counted(alice: httpx.Client, path: str) -> None:
    def endless() -> Iterator[bytes]:
        for _ in range(BODY_BYTES // 65536 + 4):
            yield b" " * 65536

    answer = alice.post(path, content=endless(), headers=JSON)
    refused(answer, 405 if path == "/" else 404 if path == "/nowhere" else 413)


def head(method: str = "POST", path: str = "/api/v1/chat", *lines: str) -> bytes:
    fields = "".join(f"{line}\r\n" for line in lines)
    return f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {ALICE}\r\n{fields}\r\n".encode()


CHUNKED = ("Content-Type: application/json", "Transfer-Encoding: chunked")
RAW: dict[str, bytes] = {
    "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "no version": b"GET /\r\n\r\n",
    "another version": b"GET / HTTP/9.9\r\nHost: localhost\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a chunk that is none": head("POST", "/api/v1/chat", *CHUNKED) + b"zz\r\n{}\r\n0\r\n\r\n",
    "a chunk of a negative size": head("POST", "/api/v1/chat", *CHUNKED) + b"-5\r\n{}\r\n0\r\n\r\n",
    "a huge chunk": head("POST", "/api/v1/chat", *CHUNKED) + b"ffffffffffffffffff\r\n{}",
    "chunks that stop": head("POST", "/api/v1/chat", *CHUNKED) + b"5\r\nab",
    "a long chunk extension": head("POST", "/api/v1/chat", *CHUNKED) + b"2;" + b"a" * 70_000 + b"\r\n{}\r\n0\r\n\r\n",
    "a negative length": head("POST", "/api/v1/chat", "Content-Length: -1") + b"{}",
    "a length that is none": head("POST", "/api/v1/chat", "Content-Length: five") + b"{}",
    "two lengths": head("POST", "/api/v1/chat", "Content-Length: 2", "Content-Length: 5") + b"{}abc",
    "a length and chunks": head("POST", "/api/v1/chat", *CHUNKED, "Content-Length: 4") + b"0\r\n\r\n",
    "a body that stops": head("POST", "/api/v1/chat", "Content-Type: application/json", "Content-Length: 100") + b"{",
    "a huge length": head("POST", "/api/v1/chat", f"Content-Length: {10**17}") + b"{",
    "a length beyond 64 bits": head("POST", "/api/v1/chat", f"Content-Length: {10**40}") + b"{",
    "a space before the colon": head("GET", "/api/v1/threads", "X-Evil : 1"),
    "a folded header": head("GET", "/api/v1/threads", "X-Evil: 1\r\n  2"),
    "a NUL in a header": head("GET", "/api/v1/threads", "X-Evil: a\0b"),
    "a NUL in the path": head("GET", "/api/v1/threads\0"),
    "a header of 300 kB": head("GET", "/api/v1/threads", "X-Evil: " + "a" * 300_000),
    "20,000 headers": head("GET", "/api/v1/threads", *(f"X-Evil-{number}: 1" for number in range(20_000))),
    "a path of 300 kB": head("GET", "/api/v1/threads?" + "a" * 300_000),
    "a method that is none": head("EXPLODE", "/api/v1/threads"),
    "a whole address": head("GET", "http://evil.example/api/v1/threads"),
    "CONNECT": head("CONNECT", "evil.example:443"),
    "TRACE": head("TRACE", "/api/v1/threads"),
    "no host": b"GET /api/v1/threads HTTP/1.1\r\n\r\n",
    "a host that is none": b"GET /api/v1/threads HTTP/1.1\r\nHost: a b/c@d\r\n\r\n",
    "an upgrade to nothing": head("GET", "/api/v1/threads", "Upgrade: h2c", "Connection: Upgrade"),
    "a websocket without a key": head("GET", "/ws/chat", "Upgrade: websocket", "Connection: Upgrade"),
    "a websocket of version 1": head(
        "GET",
        "/ws/chat",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Version: 1",
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
    ),
    "a range": head("GET", "/openapi.json", "Range: bytes=" + ",".join(f"{n}-{n}" for n in range(2000))),
}


@pytest.mark.parametrize("what", RAW)
def test_what_is_hardly_http_is_answered_or_cut(target: Target, what: str) -> None:
    answer = target.raw(RAW[what], wait=2)
    status = answer.split(b" ", 2)[1] if answer.startswith(b"HTTP/1.1 ") else b""
    assert not status.startswith(b"5") or status == b"505", answer[:500]
    if what not in {"a range", "an upgrade to nothing", "a whole address", "TRACE", "a method that is none"}:
        allowed = {"no version", "a folded header", "20,000 headers", "a path of 300 kB"}
        assert not status.startswith(b"2") or what in allowed, answer[:500]
    assert b"X-Evil" not in answer
    assert b"Traceback" not in answer


def test_a_second_request_is_not_smuggled_behind_the_first(target: Target) -> None:
    inner = head("DELETE", f"/api/v1/threads/{NOBODY}")
    outer = head("POST", "/api/v1/threads", *CHUNKED, f"Content-Length: {len(inner) + 5}") + b"0\r\n\r\n" + inner
    answer = target.raw(outer, wait=2)
    assert b"thread-not-found" not in answer


def test_many_who_send_nothing_keep_nobody_waiting(target: Target) -> None:
    idle = []
    try:
        for number in range(200):
            connection = socket.create_connection(("127.0.0.1", target.port), timeout=5)
            connection.sendall(head()[: 20 + number % 40])
            idle.append(connection)
        with target.client() as alice:
            for _ in range(10):
                assert alice.get("/api/v1/threads").elapsed.total_seconds() < 1
    finally:
        for connection in idle:
            connection.close()


WRONG_COMPLETIONS: dict[str, dict[str, Any]] = {
    "no messages": {"messages": []},
    "messages that are none": {"messages": "hi"},
    "no user": {"messages": [{"role": "system", "content": "hi"}]},
    "no role": {"messages": [{"content": "hi"}]},
    "no such role": {"messages": [{"role": "root", "content": "hi"}]},
    "no content": {"messages": [{"role": "user"}]},
    "an image": {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "file:///"}}]}]},
    "too long": {"messages": [{"role": "user", "content": "a" * 250_000}]},
    "longer than a question": {"messages": [{"role": "user", "content": "a" * 40_000}]},
    "too many": {"messages": [{"role": "user", "content": "a"}] * 1000},
    "no such model": {"model": "gpt-99"},
    "no model": {"model": ""},
    "an agent without a model": {"model": "echo:"},
    "tools": {"tools": [{"type": "function", "function": {"name": "rm"}}]},
    "two answers": {"n": 2},
    "a huge n": {"n": 10**30},
    "JSON mode": {"response_format": {"type": "json_object"}},
    "a stream that is none": {"stream": "please"},
    "a tool answer to nothing": {"messages": [{"role": "tool", "content": "x"}, {"role": "user", "content": "x"}]},
}


@pytest.mark.parametrize("what", WRONG_COMPLETIONS)
def test_openais_clients_are_refused_in_openais_words(alice: httpx.Client, what: str) -> None:
    body = {"model": "echo", "messages": [{"role": "user", "content": "hi"}], **WRONG_COMPLETIONS[what]}
    for stream in ({}, {"stream": True}):
        answer = alice.post("/v1/chat/completions", content=json.dumps({**stream, **body}), headers=JSON)
        refused(answer, 400, 404, 413)


def test_unknown_paths_and_methods_are_told_apart(alice: httpx.Client) -> None:
    for path in (
        "/api",
        "/api/v1",
        "/api/v2/threads",
        "/v1",
        "/v1/embeddings",
        "/.env",
        "/data/../.env",
        "/api//v1/threads",
    ):
        assert alice.get(path).status_code == 404
    for path in ("/api/v1/chat", "/api/v1/knowledge/upload", "/api/v1/knowledge/search", "/v1/chat/completions"):
        refused(alice.request("PUT", path), 405)


def test_a_failing_model_is_a_502_that_tells_no_secret(target: Target, alice: httpx.Client) -> None:
    asked = {"message": "hi", "agent": "example", "keep": False}
    refused(alice.post("/api/v1/chat", json=asked), 502)
    streamed = alice.post("/api/v1/chat/stream", json=asked).text
    assert streamed.count("event: error") == 1
    assert "127.0.0.1" not in streamed
    whole = {"model": "example", "messages": [{"role": "user", "content": "hi"}]}
    refused(alice.post("/v1/chat/completions", json=whole), 502)
    refused(alice.post("/v1/chat/completions", json={**whole, "stream": True}), 502)


def test_the_same_key_at_the_same_moment_makes_one_run(target: Target) -> None:
    key = uuid4().hex
    body = {"message": "once", "agent": "echo"}
    with target.client() as alice, ThreadPoolExecutor(20) as pool:
        answers = list(
            pool.map(lambda _: alice.post("/api/v1/chat", json=body, headers={"Idempotency-Key": key}), range(40))
        )
        assert {answer.status_code for answer in answers} == {200}
        assert len({answer.json()["run_id"] for answer in answers}) == 1
        other = alice.post("/api/v1/chat", json={**body, "message": "twice"}, headers={"Idempotency-Key": key})
        refused(other, 409)
        thread_id = answers[0].json()["thread_id"]
        assert len(alice.get(f"/api/v1/threads/{thread_id}/messages").json()["items"]) == 2


def test_of_many_who_answer_an_interrupt_one_wins(target: Target) -> None:
    with target.client() as alice, ThreadPoolExecutor(20) as pool:
        waiting = alice.post("/api/v1/chat", json={"message": "hi", "agent": "ask"}).json()
        path = f"/api/v1/runs/{waiting['run_id']}/resume"
        answers = list(pool.map(lambda number: alice.post(path, json={"answer": number}), range(20)))
        assert sorted(answer.status_code for answer in answers) == [200] + [409] * 19
        assert len(alice.get(f"/api/v1/threads/{waiting['thread_id']}/runs").json()["items"]) == 2


def test_a_thread_is_not_deleted_under_its_run(target: Target, alice: httpx.Client) -> None:
    with alice.stream("POST", "/api/v1/chat/stream", json={"message": "hi", "agent": "wait"}) as stream:
        run_id, thread_id = stream.headers["x-run-id"], stream.headers["x-thread-id"]
        refused(alice.delete(f"/api/v1/threads/{thread_id}"), 409)
        refused(alice.post(f"/api/v1/runs/{run_id}/resume", json={"answer": 1}), 409)
        asked = {"message": "hi", "agent": "echo", "thread_id": thread_id, "multitask_strategy": "reject"}
        refused(alice.post("/api/v1/chat", json=asked), 409)
        assert alice.post(f"/api/v1/runs/{run_id}/cancel").status_code == 202
        assert "event: done" in stream.read().decode()
    refused(alice.post(f"/api/v1/runs/{run_id}/cancel"), 409)
    assert alice.delete(f"/api/v1/threads/{thread_id}").status_code == 204


def test_the_openapi_text_names_no_secret_and_no_default_of_one(target: Target, alice: httpx.Client) -> None:
    for path in ("/openapi.json", "/docs", "/redoc", "/", "/health", "/health/ready"):
        text = alice.get(path).text
        assert DSN_PASSWORD not in text
        assert "/tmp/" not in text
