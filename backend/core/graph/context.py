"""What a node may use: handed to it as `runtime.context`, never checkpointed, overridden by tests."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from langchain_core.language_models import BaseChatModel

from backend.core.graph.desk import Desk
from backend.core.retrieval.base import Retriever


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    tenant_id: str
    user_id: str
    model: BaseChatModel
    """The run's model; streams like any LangChain chat model."""
    sampling: Mapping[str, Any] = field(default_factory=dict)
    """How the caller wants the answer written (`RunRequest.sampling`)."""
    retriever: Retriever
    """Bound to the tenant."""
    clock: Callable[[], datetime]
    """The time now, with its zone."""
    max_tokens: int = 2048
    """Budget of one answer."""
    has_llm: bool = True
    """False when the built-in extractive model answers."""
    desk: Desk | None = None
    """The tenant's support desk; None outside a server."""

    @property
    def writer(self) -> BaseChatModel:
        """The run's model as it writes the answer: with what the caller asked of it.

        Steps on the way there use `model`: an answer of ten words does not make its search shorter.
        """
        sampled = getattr(self.model, "sampled", None)
        written: BaseChatModel = sampled(self.sampling) if self.sampling and sampled is not None else self.model
        return written
