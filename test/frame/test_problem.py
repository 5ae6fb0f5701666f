"""Every failure leaves as a problem document."""

from typing import Any

import pytest

from backend.core.error import Fenced, ThreadBusy, Unauthorized
from backend.core.problem import problem
from backend.middleware.tracking import TrackingMiddleware
from backend.schema.problem import headers, problems
from test.frame.asgi import client, small_app

app = TrackingMiddleware(small_app())


async def ask(method: str, path: str, **request: Any) -> Any:
    async with client(app) as http:
        answer = await http.request(method, path, **request)
    assert answer.headers["content-type"] == "application/problem+json"
    document = answer.json()
    assert document["status"] == answer.status_code
    assert document["instance"] == path
    assert document["request_id"] == answer.headers["x-request-id"]
    return answer


async def test_an_expected_failure_has_its_status_slug_and_members() -> None:
    answer = await ask("GET", "/missing/abc")
    document = answer.json()
    assert answer.status_code == 404
    assert document["type"] == "/problems/thread-not-found"
    assert document["title"] == "No such thread"
    assert document["detail"] == "Thread abc does not exist."
    assert document["thread_id"] == "abc"


async def test_too_many_says_when_to_come_back() -> None:
    answer = await ask("GET", "/busy")
    assert (answer.status_code, answer.headers["retry-after"], answer.json()["retry_after"]) == (429, "7", 7)


async def test_a_member_does_not_replace_what_every_document_has() -> None:
    answer = await ask("GET", "/odd")
    document = answer.json()
    assert (answer.status_code, document["status"], document["type"]) == (500, 500, "/problems/error")
    assert document["path"] == "/odd"


async def test_a_wrong_body_is_told_field_by_field_without_repeating_it() -> None:
    answer = await ask("POST", "/body", json={"text": "x" * 11, "number": "hidden", "txet": "hidden"})
    document = answer.json()
    assert answer.status_code == 422
    assert document["type"] == "/problems/invalid"
    assert [(error["loc"], error["type"]) for error in document["errors"]] == [
        (["body", "text"], "string_too_long"),
        (["body", "number"], "int_parsing"),
        (["body", "txet"], "extra_forbidden"),
    ]
    assert "body.text" in document["detail"]
    assert "hidden" not in answer.text


async def test_a_thousand_wrong_fields_are_a_short_answer() -> None:
    answer = await ask("POST", "/body", json={f"{'k' * 1000}{number}": 1 for number in range(1000)})
    assert answer.status_code == 422
    assert len(answer.json()["errors"]) == 20
    assert len(answer.content) < 10_000


@pytest.mark.parametrize("body", ["{", '{"text": }', "\x00", "nul"])
async def test_what_is_not_json_is_400(body: str) -> None:
    answer = await ask("POST", "/body", content=body, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["type"]) == (400, "/problems/not-json")
    assert "not JSON" in answer.json()["detail"]


@pytest.mark.parametrize("body", [b'"\xff\xfe"', b"[" * 100_000])
async def test_what_cannot_even_be_read_as_json_is_the_callers_mistake(body: bytes) -> None:
    answer = await ask("POST", "/body", content=body, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["type"]) == (400, "/problems/not-json")
    assert "parsing" not in answer.text


async def test_a_body_that_does_not_say_that_it_is_json_is_told_what_to_say() -> None:
    for kind in ("text/plain", "application/x-www-form-urlencoded"):
        answer = await ask("POST", "/body", content=b'{"text": "a"}', headers={"content-type": kind})
        assert (answer.status_code, answer.json()["type"]) == (415, "/problems/unsupported-media-type")
        assert "Content-Type: application/json" in answer.json()["detail"]


async def test_a_path_and_a_method_that_are_not_there() -> None:
    missing = await ask("GET", "/nowhere")
    assert (missing.status_code, missing.json()["type"]) == (404, "/problems/not-found")
    wrong = await ask("DELETE", "/body")
    assert (wrong.status_code, wrong.json()["type"]) == (405, "/problems/method-not-allowed")
    assert wrong.headers["allow"] == "POST"


async def test_a_bug_tells_nothing() -> None:
    answer = await ask("GET", "/bug")
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert "RuntimeError" not in answer.text


def test_the_same_document_is_made_for_streams_and_sockets() -> None:
    made = problem(ThreadBusy("t-1"), "/ws/chat", "r-1")
    assert made["status"] == 409
    assert made["thread_id"] == "t-1"
    assert problem(ValueError("secret"))["detail"] == "Internal Server Error"


def test_unauthorized_names_the_scheme() -> None:
    assert headers(Unauthorized("x"))["WWW-Authenticate"] == "Bearer"


def test_a_route_can_describe_what_it_answers() -> None:
    described = problems(ThreadBusy, Fenced)
    assert list(described) == [409]
    assert described[409]["description"] == "The thread has an active run; Another attempt of the run has taken over"
