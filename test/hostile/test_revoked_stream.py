"""A stream that is being read ends soon after what its reader came in with no longer opens."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from backend.api import sse
from backend.api.sse import EventStream
from backend.core.error import DomainError, Forbidden, Unauthorized, Unavailable
from backend.dto.event import Event

ENOUGH = 60.0
"""Seconds within which it must have ended."""


async def _silence() -> AsyncGenerator[list[Event]]:
    await asyncio.sleep(3600)
    yield []


@pytest.mark.parametrize("refusal", [Unauthorized("Invalid access token"), Forbidden("This tenant is suspended.")])
async def test_the_stream_of_a_revoked_key_ends(refusal: DomainError, monkeypatch: pytest.MonkeyPatch) -> None:
    sent, checks = await _follow(refusal, monkeypatch)
    assert sent[0]["status"] == 200
    assert b"event: error" in sent[-1]["body"]
    assert refusal.detail.encode() in sent[-1]["body"]
    assert sent[-1]["more_body"] is False
    assert checks == 1


async def test_a_stream_goes_on_while_that_cannot_be_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TimeoutError):
        await _follow(Unavailable("The database does not answer."), monkeypatch)


async def _follow(refusal: DomainError, monkeypatch: pytest.MonkeyPatch) -> tuple[list[dict[str, Any]], int]:
    """Follow a stream whose reader is refused at the first check; return what it was sent, and the checks."""
    assert sse.HEARTBEAT_SECONDS * sse.RECHECK_BEATS <= ENOUGH
    sent: list[dict[str, Any]] = []
    checks = 0

    async def check(_: Any) -> None:
        nonlocal checks
        checks += 1
        raise refusal

    async def receive() -> dict[str, Any]:
        await asyncio.sleep(3600)
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    stream = EventStream(_silence(), resync={}, heartbeat=0.005)
    scope: dict[str, Any] = {"type": "http", "path": "/x", "headers": [], "state": {"recheck": check}}
    async with asyncio.timeout(0.5):
        await stream(scope, receive, send)
    return sent, checks
