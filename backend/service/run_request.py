"""From what a client sends to create a run (LangGraph Agent Server API) to what the engine is asked for.

HTTP bodies, crons and commands all have these fields.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, field_validator

from backend.core.error import BadRequest, Invalid
from backend.dto.assistant import Assistant
from backend.dto.principal import Principal
from backend.dto.run import Dialect, Durability, MultitaskStrategy, Run, RunRequest, StreamMode
from backend.service.access import AccessControl
from backend.service.assistant import AssistantService
from backend.service.run import RunService
from backend.util.containment import Filters

LONGEST_DELAY = 10 * 365 * 86_400.0

Nodes = list[Annotated[str, Field(max_length=255)]] | Literal["*"]


class CommandBody(BaseModel):
    model_config = ConfigDict(extra="ignore")

    resume: Any = None
    update: dict[str, Any] | list[tuple[str, Any]] | None = None
    goto: Any = None

    @field_validator("goto")
    @classmethod
    def _places(cls, goto: Any) -> Any:
        for one in goto if isinstance(goto, list) else [goto]:
            node = one.get("node") if isinstance(one, dict) else one
            if one is not None and not isinstance(node, str):
                raise ValueError("goto is a node's name, {node, input}, or a list of these")
        return goto


_NO_COMMAND = CommandBody()


class Tracer(BaseModel):
    model_config = ConfigDict(extra="ignore")

    project_name: str | None = None
    example_id: str | None = None


class RunBody(BaseModel):
    """What creates a run."""

    model_config = ConfigDict(extra="ignore")

    assistant_id: UUID | str
    input: Any = None
    command: CommandBody | None = None
    metadata: dict[str, Any] | None = None
    config: dict[str, Any] | None = None
    context: dict[str, Any] | None = None
    webhook: str | None = None
    interrupt_before: Nodes | None = None
    interrupt_after: Nodes | None = None
    stream_mode: StreamMode | list[StreamMode] | None = None
    stream_subgraphs: bool = False
    stream_resumable: bool = False
    feedback_keys: list[str] | None = None
    after_seconds: float | None = Field(None, ge=0, le=LONGEST_DELAY)
    durability: Durability | None = None
    checkpoint_during: bool | None = None
    langsmith_tracer: Tracer | None = None
    strict_resume: bool = False
    on_disconnect: Literal["continue", "cancel"] = "continue"

    # on a thread
    checkpoint: dict[str, Any] | None = None
    checkpoint_id: str | None = None
    multitask_strategy: MultitaskStrategy | None = None
    if_not_exists: Literal["reject", "create"] | None = None

    # without one
    on_completion: Literal["delete", "keep"] | None = None

    @field_validator("stream_subgraphs", "stream_resumable", "strict_resume", mode="before")
    @classmethod
    def _no(cls, value: Any) -> Any:
        return False if value is None else value

    @field_validator("on_disconnect", mode="before")
    @classmethod
    def _stay(cls, value: Any) -> Any:
        return "continue" if value is None else value

    @property
    def has_resume(self) -> bool:
        return self.command is not None and "resume" in self.command.model_fields_set

    def request(
        self,
        assistant: Assistant,
        *,
        configurable: Mapping[str, Any],
        metadata: Mapping[str, Any] | None = None,
        dialect: Dialect = "agent",
    ) -> RunRequest:
        """Return what the engine is asked for; `configurable` is what the server adds to the configuration.

        Raises:
            BadRequest: config and context contradict each other.
            Invalid: a field asks for what this server does not have.
        """
        if self.feedback_keys:
            raise Invalid("feedback_keys need LangSmith, which this server does not talk to.")
        config = self.config or {}
        own, context = _mirrored(config.get("configurable"), self.context)
        given = {key: value for key, value in _section(assistant.config, "configurable").items() if key[:2] != "__"}
        checkpoint = self.checkpoint
        if self.checkpoint_id is not None:
            checkpoint = {**(checkpoint or {}), "checkpoint_id": self.checkpoint_id}
        elif checkpoint is None and isinstance(own.get("checkpoint_id"), str):
            checkpoint = {key: own[key] for key in ("checkpoint_id", "checkpoint_ns", "checkpoint_map") if key in own}
        command = self.command or _NO_COMMAND
        modes = self.stream_mode or "values"
        return RunRequest(
            agent=assistant.graph_id,
            assistant_id=str(assistant.assistant_id),
            input=self.input,
            resume=command.resume,
            has_resume=self.has_resume and command.resume is not None,
            update=command.update,
            goto=command.goto,
            multitask_strategy=self.multitask_strategy or "enqueue",
            durability=self.durability or ("exit" if self.checkpoint_during is False else "async"),
            recursion_limit=_limit(config, assistant.config),
            metadata={**_section(config, "metadata"), **(self.metadata or {}), **(metadata or {})},
            configurable={**given, **own, **configurable},
            assistant_configurable=given,
            tags=[*_tags(assistant.config), *_tags(config)],
            options={key: config[key] for key in ("run_name", "max_concurrency") if config.get(key) is not None},
            context={**(assistant.context or {}), **context} or None,
            interrupt_before=self.interrupt_before,
            interrupt_after=self.interrupt_after,
            stream_mode=modes if isinstance(modes, list) else [modes],
            stream_subgraphs=self.stream_subgraphs,
            stream_resumable=self.stream_resumable,
            checkpoint=checkpoint,
            webhook=self.webhook,
            strict_resume=self.strict_resume,
            tracer=None if self.langsmith_tracer is None else self.langsmith_tracer.model_dump(),
            dialect=dialect,
        )


def _mirrored(configurable: Any, context: dict[str, Any] | None) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return both, each with what the other says: graphs read the one or the other."""
    if configurable is not None and not isinstance(configurable, dict):
        raise Invalid("config.configurable is an object.")
    if configurable and context:
        raise BadRequest("Cannot specify both config.configurable and context: give one of them, rather context.")
    if context:
        return dict(context), context
    return configurable or {}, configurable or {}


def _section(config: Mapping[str, Any], name: str) -> dict[str, Any]:
    found = config.get(name)
    return found if isinstance(found, dict) else {}


def _tags(config: Mapping[str, Any]) -> list[str]:
    found = config.get("tags")
    return [tag for tag in found if isinstance(tag, str)] if isinstance(found, list) else []


def _limit(config: Mapping[str, Any], default: Mapping[str, Any]) -> int | None:
    limit = config.get("recursion_limit", default.get("recursion_limit"))
    if limit is None:
        return None
    if isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit <= 100_000:
        raise Invalid("config.recursion_limit is a number from 1 to 100000.")
    return int(limit)


class RunStarter:
    """Starts runs from what clients send."""

    def __init__(
        self,
        runs: RunService,
        assistants: AssistantService,
        check_webhook: Callable[[str], Awaitable[None]],
        access: AccessControl,
    ) -> None:
        self._runs = runs
        self._assistants = assistants
        self._check_webhook = check_webhook
        self._access = access

    async def request(
        self,
        principal: Principal,
        body: RunBody,
        *,
        configurable: Mapping[str, Any] | None = None,
        metadata: Mapping[str, Any] | None = None,
        dialect: Dialect = "agent",
        only_assistants: Filters = None,
    ) -> RunRequest:
        """Return what the engine is asked for; `configurable` and `metadata` are what the server adds.

        Raises:
            AssistantNotFound, Invalid: there is no such assistant, or a field cannot be honoured.
            BadRequest: config and context contradict each other.
        """
        assistant = await self._assistants.resolve(principal, str(body.assistant_id), only=only_assistants)
        if body.webhook is not None:
            await self._check_webhook(body.webhook)
        added = {**(configurable or {}), **_user(principal)}
        return body.request(assistant, configurable=added, metadata=metadata, dialect=dialect)

    async def start(
        self,
        principal: Principal,
        body: RunBody,
        *,
        thread_id: UUID | None,
        configurable: Mapping[str, Any] | None = None,
        metadata: Mapping[str, Any] | None = None,
        dialect: Dialect = "agent",
        only: Filters = None,
        only_assistants: Filters = None,
        idempotency_key: str | None = None,
        cron_id: str | None = None,
    ) -> Run:
        """Start a run; without a thread on one of its own, which goes with it unless `on_completion` is `keep`.

        Raises what `request` and `RunService.start` do.
        """
        request = await self.request(
            principal,
            body,
            configurable=configurable,
            metadata=metadata,
            dialect=dialect,
            only_assistants=only_assistants,
        )
        return await self._runs.start(
            principal,
            request,
            thread_id=thread_id,
            if_missing=body.if_not_exists or "reject",
            after_seconds=body.after_seconds or 0,
            only=only,
            idempotency_key=idempotency_key,
            temporary=thread_id is None and body.on_completion != "keep",
            cron_id=cron_id,
        )

    async def start_cron(
        self,
        principal: Principal,
        payload: Mapping[str, Any],
        *,
        thread_id: UUID | None,
        on_completion: Literal["delete", "keep"],
        idempotency_key: str,
    ) -> Run:
        """Start a run of a cron, as far as the project's authorization still allows it to who made the cron.

        Raises what `start` does, and Forbidden.
        """
        body = RunBody.model_validate({**payload, "on_completion": on_completion})
        metadata = dict(body.metadata or {})
        only: Filters = None
        if self._access.enabled:
            value: dict[str, Any] = {"thread_id": thread_id, "assistant_id": body.assistant_id, "metadata": metadata}
            only = await self._access.check(principal, "threads", "create_run", value)
            metadata = value["metadata"]
        return await self.start(
            principal,
            body,
            thread_id=thread_id,
            configurable={"cron_id": metadata["cron_id"]} if "cron_id" in metadata else {},
            metadata=metadata,
            only=only,
            idempotency_key=idempotency_key,
            cron_id=metadata.get("cron_id"),
        )


def _user(principal: Principal) -> dict[str, Any]:
    """What nodes read of a project's own authentication."""
    known = principal.user is not None
    return {
        "langgraph_auth_user": dict(principal.user) if principal.user is not None else None,
        "langgraph_auth_user_id": principal.user_id if known else "",
        "langgraph_auth_permissions": list(principal.permissions),
    }
