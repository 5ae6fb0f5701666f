"""Commands and filters of the thread protocol, as clients send them."""

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from backend.core.run.protocol_event import CHANNELS, EventFilter, is_channel
from backend.service.run_request import RunBody, Tracer

FILTER_LIMIT = 100
"""Channels, and namespaces, of one subscription."""

Segment = Annotated[str, Field(max_length=1000)]
Namespace = Annotated[list[Segment], Field(max_length=50)]
Strategy = Literal["reject", "enqueue", "interrupt", "rollback"]


class Params(BaseModel):
    model_config = ConfigDict(extra="ignore")


class FilterParams(Params):
    """What is subscribed to."""

    channels: Annotated[list[Any], Field(max_length=FILTER_LIMIT, validate_default=True)] = []
    namespaces: Annotated[list[Namespace], Field(max_length=FILTER_LIMIT)] | None = None
    depth: Annotated[int, Field(ge=0, le=1000)] | None = None
    since: Annotated[int, Field(ge=0)] | None = None

    @field_validator("channels", mode="before")
    @classmethod
    def _some(cls, channels: Any) -> Any:
        if not isinstance(channels, list) or not channels:
            raise ValueError("channels is required and must be a non-empty array")
        return channels

    @field_validator("channels")
    @classmethod
    def _known(cls, channels: list[Any]) -> list[Any]:
        if unknown := [str(name)[:60] for name in channels if not is_channel(name)]:
            raise ValueError(
                f"channels contains unsupported entries: {', '.join(unknown[:5])}. "
                f"Allowed: {', '.join(CHANNELS)}, or any `custom:<name>`."
            )
        return channels

    @property
    def filter(self) -> EventFilter:
        return EventFilter(
            frozenset(self.channels), tuple(tuple(prefix) for prefix in self.namespaces or ()), self.depth
        )


class StartParams(Params):
    assistant_id: Annotated[str, Field(validate_default=True)] = ""
    input: Any = None
    config: dict[str, Any] | None = None
    metadata: dict[str, Any] | None = None
    context: dict[str, Any] | None = None
    langsmith_tracer: Tracer | None = None
    multitask_strategy: Strategy | None = None
    multitaskStrategy: Strategy | None = None  # noqa: N815 - the older spelling, which is sent beside the other

    @field_validator("assistant_id")
    @classmethod
    def _named(cls, assistant_id: str) -> str:
        if not assistant_id:
            raise ValueError("run.start requires an assistant_id.")
        return assistant_id

    def body(self) -> RunBody:
        """Return the run that is asked for."""
        return RunBody(
            assistant_id=self.assistant_id,
            input=self.input,
            config=self.config,
            metadata=self.metadata,
            context=self.context,
            langsmith_tracer=self.langsmith_tracer,
            multitask_strategy=self.multitask_strategy or self.multitaskStrategy,
            if_not_exists="create",
        )


class ResponseParams(Params):
    interrupt_id: str
    namespace: Namespace | None = None
    response: Any = None


class RespondParams(Params):
    """An answer to one interrupt, or `responses` to several."""

    responses: Annotated[list[ResponseParams], Field(min_length=1, max_length=1000)]
    update: dict[str, Any] | None = None
    goto: Any = None
    config: dict[str, Any] | None = None
    metadata: dict[str, Any] | None = None

    @model_validator(mode="before")
    @classmethod
    def _one(cls, params: Any) -> Any:
        if isinstance(params, dict) and params.get("responses") is None:
            if "interrupt_id" not in params:
                raise ValueError("input.respond requires an interrupt_id.")
            keys = ("interrupt_id", "namespace", "response")
            return {**params, "responses": [{key: params[key] for key in keys if key in params}]}
        return params

    def body(self, assistant_id: str) -> RunBody:
        """Return the run that goes on; the answers themselves are added when it is known that they are awaited."""
        command = {key: value for key, value in (("update", self.update), ("goto", self.goto)) if value is not None}
        given = {"assistant_id": assistant_id, "config": self.config, "metadata": self.metadata, "command": command}
        return RunBody.model_validate(given)


class MessageParams(BaseModel):
    model_config = ConfigDict(extra="allow")

    role: Literal["user", "system"]
    content: str
    name: str | None = None


class InjectParams(Params):
    namespace: Namespace = []
    message: MessageParams

    def body(self, assistant_id: str) -> RunBody:
        """Return the run that takes the message."""
        return RunBody(assistant_id=assistant_id, input={"messages": [self.message.model_dump(exclude_none=True)]})


class StateParams(Params):
    namespace: Namespace = []
    keys: Annotated[list[str], Field(max_length=1000)] | None = None


class CheckpointsParams(Params):
    namespace: Namespace = []
    limit: Annotated[int, Field(ge=1, le=1000)] = 10
    before: Annotated[str, Field(max_length=100)] | None = None


class ForkParams(Params):
    checkpoint_id: Annotated[str, Field(max_length=100)]
    input: Any = None
    config: dict[str, Any] | None = None

    def body(self, assistant_id: str) -> RunBody:
        """Return the run that begins at the checkpoint."""
        return RunBody(assistant_id=assistant_id, input=self.input, config=self.config)


class TreeParams(Params):
    run_id: UUID | None = None


class UnsubscribeParams(Params):
    subscription_id: str


class ReconnectParams(Params):
    """Read a subscription of this socket again from the beginning, or from behind an event."""

    subscription_id: str
    since: Annotated[int, Field(ge=0)] = 0
