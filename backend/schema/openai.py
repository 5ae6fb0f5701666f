"""The wire of the OpenAI-compatible door: Chat Completions and models, as OpenAI's clients send and read them."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, JsonValue, StringConstraints, model_validator

from backend.util.id_generator import new_id

MAX_MESSAGES = 500
MAX_MESSAGE_CHARS = 200_000
DEFAULT_AGENT = "answer"
"""Who answers when only a language model is named."""

Text = Annotated[str, StringConstraints(max_length=MAX_MESSAGE_CHARS)]


class TextPart(BaseModel):
    """A part of a message; agents read text alone."""

    type: Literal["text", "refusal"]
    text: Text = ""
    refusal: Text = ""


class Function(BaseModel):
    name: Annotated[str, StringConstraints(min_length=1, max_length=128)]
    arguments: Text = "{}"


class ToolCall(BaseModel):
    id: Annotated[str, StringConstraints(max_length=128)]
    type: Literal["function"] = "function"
    function: Function


class Message(BaseModel):
    """One message of the conversation."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: Text | Annotated[list[TextPart], Field(max_length=100)] | None = None
    name: Annotated[str, StringConstraints(max_length=128)] | None = None
    tool_calls: Annotated[list[ToolCall], Field(max_length=128)] | None = None
    tool_call_id: Annotated[str, StringConstraints(max_length=128)] | None = None

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.role == "tool" and not self.tool_call_id:
            raise ValueError("A tool message needs the tool_call_id that it answers.")
        if self.content is None and not (self.role == "assistant" and self.tool_calls):
            raise ValueError("A message needs content.")
        return self

    @property
    def text(self) -> str:
        if isinstance(self.content, list):
            return "\n".join(part.text or part.refusal for part in self.content)
        return self.content or ""

    def state(self) -> dict[str, Any]:
        """Return the message as a graph's state takes it."""
        made: dict[str, Any] = {
            "role": "system" if self.role == "developer" else self.role,
            "content": self.text,
            "id": str(new_id()),
        }
        if self.name:
            made["name"] = self.name
        if self.role == "assistant" and self.tool_calls:
            made["tool_calls"] = [call.model_dump() for call in self.tool_calls]
        if self.role == "tool":
            made["tool_call_id"] = self.tool_call_id
        return made


class StreamOptions(BaseModel):
    include_usage: bool = False


StopText = Annotated[str, StringConstraints(min_length=1, max_length=500)]
_SAMPLING = {"temperature", "top_p", "presence_penalty", "frequency_penalty", "stop", "seed"}


def _listed(stop: Any) -> Any:
    return [stop] if isinstance(stop, str) else stop


class ChatCompletionRequest(BaseModel):
    """A conversation to go on with.

    `temperature`, `max_tokens` and the like hold for the call that writes the answer; a model that does not know one of
    them (reasoning models take no temperature) is not told, and the built-in extractive model takes none. What would
    change the form of the answer and cannot be given is refused.
    """

    model_config = ConfigDict(
        extra="ignore",
        json_schema_extra={
            "examples": [
                {
                    "model": "answer",
                    "messages": [{"role": "user", "content": "예비창업자가 신청할 수 있는 지원사업은 무엇인가요?"}],
                    "stream": True,
                    "stream_options": {"include_usage": True},
                }
            ]
        },
    )

    model: Annotated[str, StringConstraints(min_length=1, max_length=256)] = Field(
        DEFAULT_AGENT,
        description="An agent (`answer`), a model's alias (`gpt-5`: the agent `answer` uses it), or `answer:gpt-5`.",
    )
    messages: list[Message] = Field(min_length=1, max_length=MAX_MESSAGES)
    stream: bool | None = False
    stream_options: StreamOptions | None = None
    n: int | None = None
    tools: list[JsonValue] | None = None
    functions: list[JsonValue] | None = None
    response_format: dict[str, JsonValue] | None = None
    modalities: list[str] | None = None
    logprobs: bool | None = None
    temperature: Annotated[float, Field(ge=0, le=2, allow_inf_nan=False)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] | None = None
    presence_penalty: Annotated[float, Field(ge=-2, le=2, allow_inf_nan=False)] | None = None
    frequency_penalty: Annotated[float, Field(ge=-2, le=2, allow_inf_nan=False)] | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = Field(
        None, description="Of the answer; the server's own limit (`LLM_MAX_TOKENS`) stays."
    )
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = Field(None, description="The newer name of the same.")
    stop: Annotated[list[StopText], BeforeValidator(_listed), Field(max_length=4)] | None = Field(
        None, description="A text, or up to four, at which the answer ends."
    )
    seed: Annotated[int, Field(ge=-(2**63), lt=2**63)] | None = None

    @model_validator(mode="after")
    def _can_be_given(self) -> Self:
        if self.n not in {None, 1}:
            raise ValueError("n: an agent gives one answer.")
        if self.tools or self.functions:
            raise ValueError("tools: an agent has its own tools, and calls none of the caller's.")
        if self.response_format and self.response_format.get("type", "text") != "text":
            raise ValueError("response_format: an agent answers in text.")
        if set(self.modalities or ()) - {"text"}:
            raise ValueError("modalities: an agent answers in text.")
        if self.logprobs:
            raise ValueError("logprobs: an agent has none.")
        if not any(message.role == "user" for message in self.messages):
            raise ValueError("messages: there is no message of the user.")
        return self

    @property
    def sampling(self) -> dict[str, Any]:
        """How the answer is to be written, for `RunRequest.sampling`."""
        given = self.model_dump(include=_SAMPLING, exclude_none=True)
        limit = self.max_completion_tokens or self.max_tokens
        return given if limit is None else {**given, "max_tokens": limit}

    @property
    def question(self) -> str:
        """The user's last message."""
        return next(message.text for message in reversed(self.messages) if message.role == "user")


class ModelCard(BaseModel):
    """Something that can be named as `model`."""

    id: str
    object: Literal["model"] = "model"
    created: int = 0
    owned_by: str = "daedap"
    description: str = ""


class ModelList(BaseModel):
    object: Literal["list"] = "list"
    data: list[ModelCard]


class Usage(BaseModel):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class AnswerMessage(BaseModel):
    """The answer. `citations` and `refused` are ours; other clients pass over them."""

    role: Literal["assistant"] = "assistant"
    content: str
    refusal: None = None
    annotations: list[dict[str, Any]] = Field(description="Sources with a URL, where the answer cites them.")
    citations: list[dict[str, Any]] = Field(description="All sources: `index` is the number in the text, as in `[1]`.")
    refused: bool = Field(description="Whether the documents were not enough to answer from.")


class Choice(BaseModel):
    index: int = 0
    message: AnswerMessage
    logprobs: None = None
    finish_reason: Literal["stop", "length"] = "stop"


class ChatCompletion(BaseModel):
    """The whole answer."""

    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int = Field(description="Seconds since 1970.")
    model: str = Field(description="As it was asked for.")
    choices: list[Choice]
    usage: Usage


def completion_id(run_id: UUID | str) -> str:
    return f"chatcmpl-{run_id}"


def openai_error(problem: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
    """Return the status and the body by which OpenAI's API would say what a problem document says."""
    status = int(problem.get("status", 500))
    slug = str(problem.get("type", "")).rpartition("/")[2]
    errors = problem.get("errors") or ()
    param = problem.get("param") or next((_param(error.get("loc", ())) for error in errors), None)
    if status == 422:
        status = 400
    kind = "server_error" if status >= 500 else "invalid_request_error"
    code = problem.get("code") or slug.replace("-", "_") or None
    if status == 401:
        kind, code = "authentication_error", "invalid_api_key"
    elif status == 403:
        kind = "permission_error"
    elif status == 429:
        kind, code = "rate_limit_error", "rate_limit_exceeded"
    message = str(problem.get("detail") or problem.get("title") or "The request failed.")
    return status, {"error": {"message": message, "type": kind, "param": param, "code": code}}


def _param(location: Any) -> str | None:
    parts = [str(part) for part in location if part != "body"]
    return ".".join(parts) or None
