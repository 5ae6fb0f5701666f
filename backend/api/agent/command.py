"""Commands of the thread protocol, from their JSON to their answers; over HTTP and on a socket they are the same."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from pydantic import ValidationError
from starlette.requests import HTTPConnection

from backend.api.agent.access import authorize, authorize_run
from backend.api.dependency import container_of, principal_of
from backend.core.error import DomainError, Forbidden, Unauthorized
from backend.dto.run import RunRequest
from backend.schema.agent.protocol import (
    CheckpointsParams,
    ForkParams,
    InjectParams,
    RespondParams,
    StartParams,
    StateParams,
    TreeParams,
)
from backend.service.command import Answer, CommandError, unknown_interrupt
from backend.service.run_request import RunBody
from backend.util.containment import Filters

Result = dict[str, Any]
_ERRORS_SHOWN = 3
_ID_SHOWN = 100


class Commands:
    """Executes the commands of one caller on one thread."""

    def __init__(self, connection: HTTPConnection, thread_id: UUID) -> None:
        self._connection = connection
        self._thread_id = thread_id
        self._container = container_of(connection)
        self._principal = principal_of(connection)
        self._service = self._container.command_service()
        self._methods: dict[str, Callable[[Any], Awaitable[Result]]] = {
            "run.start": self._start,
            "input.respond": self._respond,
            "input.inject": self._inject,
            "state.get": self._state,
            "state.listCheckpoints": self._checkpoints,
            "state.fork": self._fork,
            "agent.getTree": self._tree,
        }

    async def execute(self, method: str, params: Any) -> Result:
        """Return the result of a command.

        Raises:
            CommandError, DomainError, ValidationError: it is answered with an error; see `refused`.
        """
        handle = self._methods.get(method)
        if handle is None:
            if method.startswith("subscription."):
                raise CommandError("not_supported", f"{method} needs a WebSocket.")
            raise CommandError("unknown_command", f"Unknown protocol command: {method[:60]}")
        return await handle({} if params is None else params)

    async def _start(self, params: Any) -> Result:
        body = StartParams.model_validate(params).body()
        asked = await self._asked(body, "create_run")
        run = await self._service.start(self._principal, self._thread_id, asked.request, only=asked.only)
        return {"run_id": run.run_id}

    async def _respond(self, params: Any) -> Result:
        given = RespondParams.model_validate(params)
        last = await self._service.settled(self._principal, self._thread_id, only=await self._reading())
        if last is None:
            raise unknown_interrupt(given.responses[0].interrupt_id)
        asked = await self._asked(given.body(last.request.assistant_id or last.request.agent), "create_run")
        answers = [Answer(one.interrupt_id, one.response, one.namespace) for one in given.responses]
        await self._service.answer(self._principal, last, asked.request, answers, only=asked.only)
        return {}

    async def _inject(self, params: Any) -> Result:
        given = InjectParams.model_validate(params)
        if given.namespace:
            raise CommandError("not_supported", "Only the root graph can be told something.")
        run = await self._service.active(self._principal, self._thread_id, only=await self._reading())
        asked = await self._asked(given.body(run.request.assistant_id or run.request.agent), "create_run")
        await self._service.inject(self._principal, self._thread_id, asked.request, only=asked.only)
        return {}

    async def _fork(self, params: Any) -> Result:
        given = ForkParams.model_validate(params)
        last = await self._service.forked(
            self._principal, self._thread_id, given.checkpoint_id, only=await self._reading()
        )
        asked = await self._asked(given.body(last.request.assistant_id or last.request.agent), "update")
        run = await self._service.fork(
            self._principal, self._thread_id, given.checkpoint_id, asked.request, only=asked.only
        )
        return {"run_id": run.run_id, "thread_id": run.thread_id}

    async def _state(self, params: Any) -> Result:
        given = StateParams.model_validate(params)
        return await self._service.state(
            self._principal, self._thread_id, given.namespace, given.keys, only=await self._reading()
        )

    async def _checkpoints(self, params: Any) -> Result:
        given = CheckpointsParams.model_validate(params)
        found = await self._service.checkpoints(
            self._principal,
            self._thread_id,
            given.namespace,
            given.limit,
            given.before,
            only=await self._reading(),
        )
        return {"checkpoints": found}

    async def _tree(self, params: Any) -> Result:
        given = TreeParams.model_validate(params)
        only = await self._reading()
        return {"tree": await self._service.tree(self._principal, self._thread_id, given.run_id, only=only)}

    async def _reading(self) -> Filters:
        return await authorize(self._connection, "threads", "read", {"thread_id": self._thread_id})

    async def _asked(self, body: RunBody, action: str) -> "_Asked":
        """Return what the engine is asked for, as the project's authorization has it."""
        allowed = await authorize_run(self._connection, body, self._thread_id, action)
        request = await self._container.run_starter().request(
            self._principal,
            body,
            configurable=self._container.run_headers()(self._connection.headers),
            metadata=allowed.metadata,
            dialect="protocol",
            only_assistants=allowed.assistants,
        )
        return _Asked(request, allowed.only)


@dataclass(frozen=True, slots=True)
class _Asked:
    request: RunRequest
    only: Filters


def success(command_id: int, result: Result) -> dict[str, Any]:
    """Return the answer to a command."""
    return {"type": "success", "id": command_id, "result": result, "meta": {"applied_through_seq": 0}}


def refused(command_id: Any, error: CommandError | DomainError | ValidationError) -> dict[str, Any]:
    """Return the answer to a command that failed."""
    if isinstance(error, CommandError):
        code, message = error.code, error.message
    elif isinstance(error, ValidationError):
        code, message = "invalid_argument", told(error)
    elif isinstance(error, Forbidden | Unauthorized):
        code, message = "permission_denied", error.detail
    else:
        code, message = "unknown_error", f"{error.status}: {error.detail}"
    return {"type": "error", "id": command_id, "error": code, "message": message}


def told(error: ValidationError) -> str:
    """Return in one line what is wrong with what was sent."""
    found = error.errors(include_url=False, include_input=False, include_context=False)[:_ERRORS_SHOWN]
    lines = []
    for one in found:
        place = ".".join(str(part)[:60] for part in one["loc"])
        message = one["msg"].removeprefix("Value error, ")[:500]
        ours = one["type"] == "value_error"  # says itself what is meant
        lines.append(message if ours or not place else f"{place}: {message}")
    return "; ".join(lines)


def command_of(found: Any) -> tuple[int, str] | None:
    """Return the id and the method of a command; None when it is none."""
    if not isinstance(found, Mapping):
        return None
    command_id, method = found.get("id"), found.get("method")
    if not isinstance(command_id, int) or isinstance(command_id, bool) or abs(command_id) >= 2**53:
        return None
    return (command_id, method) if isinstance(method, str) else None


NO_JSON: dict[str, Any] = {
    "type": "error",
    "id": None,
    "error": "invalid_argument",
    "message": "Protocol commands must be valid JSON.",
}


def malformed(found: Any) -> dict[str, Any]:
    """Return the answer to what is no command."""
    named = found.get("id") if isinstance(found, Mapping) else None
    return {
        "type": "error",
        "id": named if isinstance(named, str | int) and len(str(named)) <= _ID_SHOWN else None,
        "error": "invalid_argument",
        "message": "Protocol commands must include an integer id and string method.",
    }
