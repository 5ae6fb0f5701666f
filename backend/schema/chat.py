"""A question and its answer."""

import math
from typing import Annotated, Any, Self
from uuid import UUID, uuid5

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    StrictBool,
    StringConstraints,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from backend.dto.run import Durability, MultitaskStrategy, RunRequest
from backend.schema.event import Citation, Interrupt, Usage
from backend.util.id_generator import new_id

MAX_METADATA_KEYS = 64
_MESSAGE_SPACE = UUID("0d3c8f52-1d5f-5c39-9b9a-6a1c0e6f7d21")


def _storable(value: Any) -> Any:
    """Return a JSON value as it is; refuse what not every database can store, the same on each of them."""
    if isinstance(value, str):
        if "\0" in value:
            raise PydanticCustomError("nul", "A NUL character cannot be stored.")
        try:
            value.encode()
        except UnicodeEncodeError:
            raise PydanticCustomError("surrogate", "Half of a surrogate pair is no character.") from None
    elif isinstance(value, int):
        if not -(2**63) <= value < 2**63:
            raise PydanticCustomError("too_large", "A whole number has at most 64 bits.")
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise PydanticCustomError("not_finite", "NaN and infinity are no JSON numbers.")
    elif isinstance(value, dict):
        for key, item in value.items():
            _storable(key)
            _storable(item)
    elif isinstance(value, list):
        for item in value:
            _storable(item)
    return value


Storable = AfterValidator(_storable)
Name = Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=r"^[^\x00-\x1f]+$")]
Metadata = Annotated[
    dict[Annotated[str, StringConstraints(max_length=64)], JsonValue], Field(max_length=MAX_METADATA_KEYS), Storable
]

CHAT_EXAMPLES: dict[str, Any] = {
    "korean": {
        "summary": "한국어로 묻기",
        "value": {"message": "예비창업자가 신청할 수 있는 지원사업은 무엇인가요?"},
    },
    "english": {
        "summary": "A question in English",
        "value": {"message": "Which programmes can a pre-founder apply for?"},
    },
    "stateless": {
        "summary": "One question, nothing stored",
        "value": {"message": "창업 지원사업의 신청 마감일은 언제인가요?", "keep": False},
    },
}


class ChatRequest(BaseModel):
    """What to ask, and how. Unknown fields are refused, so that a typing error does not pass for a setting."""

    model_config = ConfigDict(extra="forbid")

    message: Annotated[str, Storable] | None = Field(
        None, description="The question, in any language; at most `MAX_QUESTION_CHARS` characters (32,000 by default)."
    )
    input: Annotated[dict[str, JsonValue], Storable] | None = Field(
        None, description="The graph's whole input, instead of `message`: for graphs whose state is not a conversation."
    )
    agent: Name = Field("answer", description="Which agent; `GET /api/v1/agents` lists them.")
    thread_id: UUID | None = Field(None, description="The conversation to go on with; a new one when left out.")
    model: Name | None = Field(None, description="A model's alias; the default one when left out.")
    keep: StrictBool = Field(True, description="False: nothing is stored, and the run ends when the client goes away.")
    multitask_strategy: MultitaskStrategy = Field(
        "enqueue", description="What to do while the thread has an active run: wait, refuse, stop it, or undo it."
    )
    durability: Durability = Field(
        "async", description="When checkpoints are written: before the next step, beside it, or at the end only."
    )
    timeout: float | None = Field(None, gt=0, le=86_400, description="Seconds; the server's limit holds as well.")
    metadata: Metadata = Field(default_factory=dict, description="Kept with the run, for the caller's own use.")

    @field_validator("message")
    @classmethod
    def _asks_something(cls, message: str | None, info: ValidationInfo) -> str | None:
        if message is None:
            return None
        if not message.strip():
            raise PydanticCustomError("empty", "The message is empty.")
        limit = (info.context or {}).get("max_chars")
        if limit is not None and len(message) > limit:
            raise PydanticCustomError(
                "too_long",
                "The message has {length} characters; at most {limit} are taken.",
                {"length": len(message), "limit": limit},
            )
        return message

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        if (self.message is None) == (self.input is None):
            raise PydanticCustomError("message_or_input", "Give either a message or an input.")
        if not self.keep and self.thread_id is not None:
            raise PydanticCustomError("not_kept", "keep=false stores nothing, so it takes no thread_id.")
        return self

    @classmethod
    def read(cls, body: bytes | str, max_chars: int) -> Self:
        """Return the request that `body` writes in JSON.

        Raises:
            pydantic.ValidationError: it is not JSON, or says something that cannot be honoured.
        """
        return cls.model_validate_json(body, context={"max_chars": max_chars})

    def run_request(self, idempotency_key: str | None = None) -> RunRequest:
        """Return what the run engine is asked for.

        The id of the user's message follows from the idempotency key when there is one: the same request sent again
        is then equal to the first, to the last byte.
        """
        graph_input: Any = self.input
        if self.message is not None:
            message_id = uuid5(_MESSAGE_SPACE, idempotency_key) if idempotency_key else new_id()
            graph_input = {"messages": [{"role": "user", "content": self.message, "id": str(message_id)}]}
        return RunRequest(
            agent=self.agent,
            input=graph_input,
            model=self.model,
            multitask_strategy=self.multitask_strategy,
            durability=self.durability,
            timeout=self.timeout,
            metadata=dict(self.metadata),
        )


class ChatAnswer(BaseModel):
    """How the run ended: the data of its `done` event."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "run_id": "01936f0a-5a3e-7bbd-9d2b-2f6f1c5f9a10",
                "thread_id": "01936f0a-5a3e-7bbd-9d2b-2f6f1c5f9a0f",
                "status": "success",
                "answer": "예비창업패키지는 예비창업자를 대상으로 합니다 [1].",
                "message_id": "01936f0a-5a3e-7bbd-9d2b-2f6f1c5f9a11",
                "citations": [
                    {
                        "index": 1,
                        "passage_id": "c0ffee",
                        "document_id": "01936f0a-0000-7000-8000-000000000001",
                        "title": "2026년 예비창업패키지 모집공고",
                        "path": ["신청 자격"],
                        "url": "https://www.k-startup.go.kr/",
                        "score": 0.93,
                    }
                ],
                "refused": False,
                "usage": {
                    "model": "gpt-5",
                    "input_tokens": 812,
                    "output_tokens": 64,
                    "cost": 0.0014,
                    "calls": 1,
                    "latency": 0.9,
                },
                "interrupts": [],
            }
        }
    )

    run_id: UUID
    thread_id: UUID | None = Field(None, description="None when nothing was kept.")
    status: str = Field(
        description="`success`, also when the graph waits for an answer (`interrupts`); `interrupted` when cancelled."
    )
    answer: str | None = None
    message_id: str | None = None
    citations: list[Citation] = Field(default_factory=list)
    refused: bool = Field(False, description="Whether the documents were not enough to answer from.")
    finish_reason: str = Field("stop", description="`length`: the model broke off at its limit of tokens.")
    usage: Usage | None = None
    output: Any = Field(None, description="The last state of a graph that is not a conversation.")
    interrupts: list[Interrupt] = Field(default_factory=list, description="What the graph waits for.")
