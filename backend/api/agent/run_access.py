"""What the project's own authorization says of a run that MCP or A2A starts."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from starlette.requests import Request

from backend.api.agent.access import authorize
from backend.api.dependency import container_of
from backend.service.run_request import RunBody
from backend.util.containment import Filters


@dataclass(frozen=True, slots=True)
class RunAccess:
    """All is allowed, but for what stands here."""

    only: Filters = None
    """What the run's thread must pass."""
    assistants: Filters = None
    """What its assistant must pass."""
    metadata: dict[str, Any] | None = None
    """What the rules add to the run's metadata."""


async def run_access(request: Request, body: RunBody, thread_id: UUID | None) -> RunAccess:
    """Ask the project's rules for a new run.

    Raises:
        Forbidden: they say no.
    """
    if not container_of(request).access_control().enabled:
        return RunAccess()
    assistants = await authorize(request, "assistants", "read", {"assistant_id": body.assistant_id})
    value: dict[str, Any] = {
        "thread_id": thread_id,
        "assistant_id": body.assistant_id,
        "metadata": dict(body.metadata or {}),
        "if_not_exists": body.if_not_exists or "reject",
        "kwargs": body.model_dump(include={"input", "command", "config", "context"}, exclude_none=True),
    }
    only = await authorize(request, "threads", "create_run", value)
    return RunAccess(only, assistants, value["metadata"])
