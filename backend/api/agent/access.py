"""What the caller may do, by the rules of a project's own authentication (`langgraph_sdk.Auth`)."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from starlette.requests import HTTPConnection

from backend.api.dependency import container_of, principal_of
from backend.service.run_request import RunBody
from backend.util.containment import Filters
from backend.util.id_generator import default_assistant_id


async def authorize(connection: HTTPConnection, resource: str, action: str, value: dict[str, Any]) -> Filters:
    """Ask the project's handlers; return what the rows that are meant must pass, None when all do.

    A handler may change `value` (stamp an owner, move a store namespace): read from it afterwards what was asked.

    Raises:
        Forbidden: a handler says no.
    """
    access = container_of(connection).access_control()
    if not access.enabled:
        return None
    filters: Filters = await access.check(principal_of(connection), resource, action, value)
    return filters


@dataclass(frozen=True, slots=True)
class RunAccess:
    """What the project's handlers say of a run that is to be made."""

    only: Filters = None
    """What its thread must pass."""
    assistants: Filters = None
    """What its assistant must pass."""
    metadata: dict[str, Any] | None = None
    """The run's, as the handlers left them."""


async def authorize_run(
    connection: HTTPConnection, body: RunBody, thread_id: UUID | None, action: str = "create_run"
) -> RunAccess:
    """Ask the handlers about a new run. A graph's default assistant is everybody's, and nobody is asked about it.

    Raises:
        Forbidden: a handler says no.
    """
    if not container_of(connection).access_control().enabled:
        return RunAccess()
    container = container_of(connection)
    assistant_id = container.assistant_service().id_of(str(body.assistant_id))
    value: dict[str, Any] = {
        "thread_id": thread_id,
        "assistant_id": assistant_id,
        "metadata": dict(body.metadata or {}),
        "if_not_exists": body.if_not_exists or "reject",
        "kwargs": body.model_dump(include={"input", "command", "config", "context"}, exclude_none=True),
    }
    only = await authorize(connection, "threads", action, value)
    assistants = None
    if assistant_id not in map(default_assistant_id, container.graph_registry().names()):
        assistants = await authorize(connection, "assistants", "read", {"assistant_id": assistant_id})
    return RunAccess(only, assistants, value["metadata"])
