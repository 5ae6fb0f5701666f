"""How large a request may be."""

from collections.abc import AsyncIterator

import pytest

from backend.middleware.limit import BodyLimitMiddleware
from backend.middleware.tracking import TrackingMiddleware
from test.frame.asgi import client, logged, small_app

app = TrackingMiddleware(BodyLimitMiddleware(small_app(), 1000, [(lambda path: path == "/upload", 5000)]))


async def chunks(number: int) -> AsyncIterator[bytes]:
    for _ in range(number):
        yield b"x" * 100


@pytest.mark.parametrize("path", ["/body", "/raw", "/who", "/nowhere"])
async def test_a_body_that_says_it_is_too_large_is_refused_unread(path: str) -> None:
    async with client(app) as http:
        answer = await http.post(path, content=b"x" * 1001)
    assert answer.status_code == 413
    assert answer.headers["content-type"] == "application/problem+json"
    document = answer.json()
    assert (document["type"], document["limit"]) == ("/problems/too-large", 1000)
    assert document["request_id"] == answer.headers["x-request-id"]


@pytest.mark.parametrize("path", ["/body", "/raw"])
async def test_a_body_without_a_length_is_counted(path: str) -> None:
    with logged("ERROR") as records:
        async with client(app) as http:
            answer = await http.post(path, content=chunks(11), headers={"content-type": "application/json"})
    assert answer.status_code == 413
    assert answer.json()["type"] == "/problems/too-large"
    assert records == []


async def test_an_application_without_a_framework_is_answered_for() -> None:
    async def reading(scope: object, receive: object, send: object) -> None:
        while True:
            await receive()  # type: ignore[operator]

    async with client(BodyLimitMiddleware(reading, 1000)) as http:
        answer = await http.post("/x", content=chunks(11))
    assert answer.status_code == 413


async def test_a_body_of_just_the_limit_passes() -> None:
    async with client(app) as http:
        assert (await http.post("/raw", content=b"x" * 1000)).json() == 1000
        assert (await http.post("/raw", content=chunks(10))).json() == 1000


async def test_an_upload_may_be_larger() -> None:
    async with client(app) as http:
        assert (await http.post("/upload", files={"file": ("a.txt", b"x" * 4000)})).json() == 4000
        assert (await http.post("/upload", files={"file": ("a.txt", b"x" * 5000)})).status_code == 413


@pytest.mark.parametrize("length", ["9" * 30, "1001"])
async def test_a_length_is_believed_only_when_it_refuses(length: str) -> None:
    async with client(app) as http:
        answer = await http.post("/raw", content=b"", headers={"content-length": length})
    assert answer.status_code == 413
