"""What both kinds of socket have in common: reading a call, naming its failure, following a thread."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import TYPE_CHECKING, Any
from uuid import UUID

import orjson
from pydantic import ValidationError

from backend.core.error import DomainError, Gone
from backend.core.problem import document, problem
from backend.dto.event import Cursor
from backend.dto.principal import Principal
from backend.schema.event import socket_event

if TYPE_CHECKING:
    from backend.service.run import RunService

THREAD_LIMIT = 16
"""Threads that one socket follows at once."""
CALL_SECONDS = 30.0
"""How long a call may take; runs are not waited for."""
ACK_SECONDS = 30.0
"""How long a client may take to receive what it was sent."""
_ERRORS_SHOWN = 3
_TEXT_LIMIT = 300


def refusal(error: Exception) -> dict[str, Any]:
    """Return the problem document of a call that failed; of a bug it says nothing."""
    if isinstance(error, ValidationError):
        found = error.errors(include_url=False, include_input=False, include_context=False)[:_ERRORS_SHOWN]
        told = [
            f"{'.'.join(str(part)[:100] for part in item['loc'])}: {item['msg'][:_TEXT_LIMIT]}".removeprefix(": ")
            for item in found
        ]
        return document("invalid", "The request cannot be honoured", 422, "; ".join(told))
    if isinstance(error, TimeoutError):
        return document("unavailable", "Not ready", 503, f"This took longer than {CALL_SECONDS:.0f} seconds.")
    return problem(error)


def notice(name: str, data: Mapping[str, Any], run_id: UUID | None = None, thread_id: UUID | None = None) -> bytes:
    """Return an event that the door says and no run: it has no id."""
    shown = {
        "event": name,
        "id": None,
        "run_id": run_id and str(run_id),
        "thread_id": thread_id and str(thread_id),
        "data": data,
    }
    return orjson.dumps(shown, default=str)


async def follow_thread(
    runs: "RunService", principal: Principal, thread_id: UUID, after: tuple[UUID, Cursor] | None
) -> AsyncGenerator[list[bytes]]:
    """Yield the thread's events as sockets send them, in batches of all there is; it ends only when it must.

    When events are gone, a `resync` tells to fetch the thread's messages, and what is to come follows. It says
    `"following": false`, and nothing follows, when what the active run says is itself not all kept.
    """
    while True:
        told = 0
        try:
            async with aclosing(runs.thread_events(principal, thread_id, after)) as batches:  # type: ignore[type-var]  # a generator
                async for run_id, events in batches:
                    told += len(events)
                    yield [socket_event(event, run_id, thread_id) for event in events]
            return
        except Gone as error:
            again = told > 0 or after is not None
            data = {
                "detail": error.detail,
                "messages": f"/api/v1/threads/{thread_id}/messages",
                "following": again,
            }
            yield [notice("resync", data, after and after[0], thread_id)]
            if not again:
                return
            after = None
        except DomainError as error:
            yield [notice("error", problem(error), None, thread_id)]
            return
