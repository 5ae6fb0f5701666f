"""Request ids, times and the one line that each request leaves in the log."""

from uuid import UUID

import pytest

from backend.middleware.tracking import TrackingMiddleware
from test.frame.asgi import call, client, logged, small_app

app = TrackingMiddleware(small_app())


async def test_a_request_gets_an_id_that_goes_out_and_into_the_application() -> None:
    async with client(app) as http:
        answer = await http.get("/who")
    assert UUID(answer.headers["x-request-id"]).version == 7
    assert answer.json()["request_id"] == answer.headers["x-request-id"]


async def test_a_sane_id_that_comes_in_is_kept() -> None:
    async with client(app) as http:
        answer = await http.get("/who", headers={"X-Request-ID": "trace-1:2.3_4"})
    assert answer.headers["x-request-id"] == answer.json()["request_id"] == "trace-1:2.3_4"


@pytest.mark.parametrize("evil", ["", " ", "a b", "x" * 65, "a\x1b[2J", "é", "{x}", "a;b", "-x", "<script>"])
async def test_an_id_that_is_not_sane_is_replaced(evil: str) -> None:
    sent = await call(app, "/who", headers=[("x-request-id", evil)])
    kept = dict(sent[0]["headers"])[b"x-request-id"].decode()
    assert UUID(kept).version == 7


async def test_two_requests_do_not_share_their_state() -> None:
    async with client(app) as http:
        first, second = await http.get("/who"), await http.get("/who")
    assert first.json()["request_id"] != second.json()["request_id"]


async def test_the_time_of_a_stream_is_that_of_its_first_byte_and_the_log_has_the_whole() -> None:
    with logged() as records:
        sent = await call(app, "/stream")
    in_header = float(dict(sent[0]["headers"])[b"x-process-time"])
    line = records[-1]["extra"]
    assert in_header < 0.05 <= line["seconds"]
    assert line["first_byte"] == pytest.approx(in_header, abs=1e-5)


async def test_a_request_leaves_one_line_without_its_query() -> None:
    with logged() as records:
        async with client(app) as http:
            await http.get("/missing/abc?access_token=hidden", headers={"X-Request-ID": "r-1"})
    lines = [record for record in records if record["name"] == "backend.middleware.tracking"]
    assert len(lines) == 1
    assert lines[0]["message"].startswith("GET /missing/abc 404 in ")
    assert lines[0]["extra"]["request_id"] == "r-1"
    assert lines[0]["level"].name == "INFO"


async def test_probes_leave_their_lines_at_debug() -> None:
    with logged() as records:
        async with client(app) as http:
            await http.get("/health")
    assert [record["level"].name for record in records] == ["DEBUG"]


async def test_a_bug_is_logged_once_with_its_traceback_and_answered_with_nothing_but_500() -> None:
    with logged("ERROR") as records:
        async with client(app) as http:
            answer = await http.get("/bug", headers={"X-Request-ID": "r-1"})
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-request-id"] == "r-1"
    assert answer.json() == {
        "type": "/problems/internal-server-error",
        "title": "Internal Server Error",
        "status": 500,
        "detail": "Internal Server Error",
        "instance": "/bug",
        "request_id": "r-1",
    }
    assert len(records) == 1
    failure = records[0]["exception"]
    assert isinstance(failure.value, RuntimeError)
    assert records[0]["extra"]["request_id"] == "r-1"


async def test_a_bug_outside_of_the_web_framework_is_answered_too() -> None:
    async def broken(scope: object, receive: object, send: object) -> None:
        raise RuntimeError("secret detail")

    async with client(TrackingMiddleware(broken)) as http:
        answer = await http.get("/x")
    assert (answer.status_code, answer.json()["detail"]) == (500, "Internal Server Error")


async def test_a_stream_that_breaks_off_is_left_incomplete_and_logged_once() -> None:
    with logged() as records:
        sent = await call(app, "/broken-stream")
    assert sent[-1]["more_body"]
    assert [record["level"].name for record in records] == ["ERROR", "INFO"]
    assert records[-1]["extra"]["status"] == 500


async def test_a_socket_has_an_id_and_a_line_too() -> None:
    async def accepting(scope: object, receive: object, send: object) -> None:
        await send({"type": "websocket.accept"})  # type: ignore[operator]
        await send({"type": "websocket.close", "code": 1000})  # type: ignore[operator]

    with logged() as records:
        sent = await call(TrackingMiddleware(accepting), "/ws", kind="websocket", headers=[("x-request-id", "r-1")])
    assert dict(sent[0]["headers"])[b"x-request-id"] == b"r-1"
    assert records[-1]["message"].startswith("WS /ws 101 in ")
