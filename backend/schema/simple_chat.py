"""The plain chat API on the wire: a conversation in, an answer out, whole or in `data:` lines."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self
from uuid import UUID

import orjson
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictBool, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from backend.dto.run import RunRequest
from backend.schema.chat import Name, Storable
from backend.schema.event import Citation, Interrupt, Usage
from backend.util.id_generator import new_id

MAX_MESSAGES = 100
MAX_MESSAGE_CHARS = 200_000
MAX_PARTS = 100

SIMPLE_CHAT_EXAMPLES: dict[str, Any] = {
    "korean": {
        "summary": "한국어로 묻기",
        "value": {"messages": [{"role": "user", "content": "예비창업자가 신청할 수 있는 지원사업은 무엇인가요?"}]},
    },
    "english": {
        "summary": "A conversation that goes on, and is kept",
        "value": {
            "messages": [
                {"role": "user", "content": "Which programmes can a pre-founder apply for?"},
                {"role": "assistant", "content": "The Pre-startup Package [1]."},
                {"role": "user", "content": "Until when?"},
            ],
            "keep": True,
        },
    },
}


def _role(role: object) -> object:
    if role in ("system", "developer"):
        raise PydanticCustomError(
            "role",
            "A caller gives no system message: what the agent is told is the agent's own. Use user or assistant.",
        )
    if role in ("tool", "function"):
        raise PydanticCustomError(
            "role", "A caller gives no tool message: the agent calls its own tools. Use user or assistant."
        )
    return role


class TextPart(BaseModel):
    """A part of a message; agents read text alone."""

    model_config = ConfigDict(extra="forbid")

    type: Literal["text"]
    text: Annotated[str, StringConstraints(max_length=MAX_MESSAGE_CHARS)]


class SimpleMessage(BaseModel):
    """One message of the conversation."""

    model_config = ConfigDict(extra="forbid")

    role: Annotated[Literal["user", "assistant"], BeforeValidator(_role)]
    content: (
        Annotated[str, StringConstraints(min_length=1, max_length=MAX_MESSAGE_CHARS), Storable]
        | Annotated[list[TextPart], Field(min_length=1, max_length=MAX_PARTS)]
    ) = Field(description="Text, or parts of it.")

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        text = self.text
        if not text.strip():
            raise PydanticCustomError("empty", "The message is empty.")
        if len(text) > MAX_MESSAGE_CHARS:
            raise PydanticCustomError(
                "too_long", "A message has at most {limit} characters.", {"limit": MAX_MESSAGE_CHARS}
            )
        return self

    @property
    def text(self) -> str:
        return self.content if isinstance(self.content, str) else "\n".join(part.text for part in self.content)


class SimpleChatRequest(BaseModel):
    """A conversation whose last message is the user's question."""

    model_config = ConfigDict(extra="forbid")

    messages: Annotated[list[SimpleMessage], Field(min_length=1, max_length=MAX_MESSAGES)]
    model: Name | None = Field(None, description="A model's alias; the default one when left out.")
    temperature: Annotated[float, Field(ge=0, le=2, allow_inf_nan=False)] | None = Field(
        None,
        description="0 to 2, for the call that writes the answer. Models that take none (reasoning models, the built-in"
        " extractive one) are not told.",
    )
    agent: Name = Field("answer", description="Which agent; `GET /api/v1/agents` lists them.")
    keep: StrictBool = Field(False, description="True: the conversation is stored, and a stream can be read on.")
    thread_id: UUID | None = Field(
        None,
        description="With `keep`, the conversation to go on with: it has the messages before, so only the last one is"
        " added.",
    )

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        if self.messages[-1].role != "user":
            raise PydanticCustomError("not_asked", "The last message must be the user's.")
        if self.thread_id is not None and not self.keep:
            raise PydanticCustomError("not_kept", "keep=false stores nothing, so it takes no thread_id.")
        return self

    @property
    def question(self) -> str:
        return self.messages[-1].text

    def run_request(self) -> RunRequest:
        """Return what the run engine is asked for."""
        said = self.messages if self.thread_id is None else self.messages[-1:]
        messages = [{"role": one.role, "content": one.text, "id": str(new_id())} for one in said]
        sampling = {} if self.temperature is None else {"temperature": self.temperature}
        return RunRequest(agent=self.agent, input={"messages": messages}, model=self.model, sampling=sampling)


class SimpleChatAnswer(BaseModel):
    """The answer, and what it rests on."""

    content: str
    model: str = Field(description="The alias that answered.", examples=["default"])
    usage: Usage | None = None
    citations: list[Citation] = Field(
        default_factory=list, description="`index` is the number in the text, as in `[1]`."
    )
    refused: bool = Field(False, description="Whether the documents were not enough to answer from.")
    status: str = Field("success", description="`interrupted` when it waits for an answer, or was cancelled.")
    interrupts: list[Interrupt] = Field(
        default_factory=list, description="What the agent waits for; `POST /api/v1/runs/{run_id}/resume` answers it."
    )
    run_id: UUID | None = Field(None, description="With `keep`.")
    thread_id: UUID | None = Field(None, description="With `keep`.")


def simple_answer(done: Mapping[str, Any], model: str | None, *, kept: bool) -> dict[str, Any]:
    """Return the body of `SimpleChatAnswer` for the data of a run's `done`; `model` is the alias that was asked for."""
    usage = done.get("usage")
    content = done.get("answer")
    if content is None and done.get("output") is not None:
        content = orjson.dumps(done["output"]).decode()
    return {
        "content": content or "",
        "model": (usage or {}).get("model") or model or "default",
        "usage": usage,
        "citations": done.get("citations") or [],
        "refused": bool(done.get("refused")),
        "status": done.get("status", "success"),
        "interrupts": done.get("interrupts") or [],
        "run_id": done.get("run_id") if kept else None,
        "thread_id": done.get("thread_id") if kept else None,
    }
