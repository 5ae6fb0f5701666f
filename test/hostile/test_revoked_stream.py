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
async def test_the_stream_of_a_revoked_key_ends(refusal: DomainError) -> None:
    sent, checks = await _follow(refusal)
    assert sent[0]["status"] == 200
    assert b"event: error" in sent[-1]["body"]
    assert refusal.detail.encode() in sent[-1]["body"]
    assert sent[-1]["more_body"] is False
    assert checks == 1


async def test_a_stream_goes_on_while_that_cannot_be_found_out() -> None:
    sent, checks = await _follow(Unavailable("The database does not answer."), leaves_after=3)
    assert checks == 3  # it was still there when its reader left
    assert not any(b"event:" in message["body"] or not message["more_body"] for message in sent[1:])


async def _follow(refusal: DomainError, leaves_after: int | None = None) -> tuple[list[dict[str, Any]], int]:
    """Follow a stream whose reader is refused at each check; return what it was sent, and the checks.

    The reader stays, or leaves after so many checks.
    """
    assert sse.HEARTBEAT_SECONDS * sse.RECHECK_BEATS <= ENOUGH
    sent: list[dict[str, Any]] = []
    checks = 0
    left = asyncio.Event()

    async def check(_: Any) -> None:
        nonlocal checks
        checks += 1
        if checks == leaves_after:
            left.set()
        raise refusal

    async def receive() -> dict[str, Any]:
        await left.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    stream = EventStream(_silence(), resync={}, heartbeat=0.005)
    scope: dict[str, Any] = {"type": "http", "path": "/x", "headers": [], "state": {"recheck": check}}
    async with asyncio.timeout(ENOUGH):
        await stream(scope, receive, send)
    return sent, checks
