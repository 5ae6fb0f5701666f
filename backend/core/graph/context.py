"""What a node may use: handed to it as `runtime.context`, never checkpointed, overridden by tests."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from langchain_core.language_models import BaseChatModel

from backend.core.graph.desk import Desk
from backend.core.retrieval.base import Retriever


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    tenant_id: str
    user_id: str
    model: BaseChatModel
    """The run's model; streams like any LangChain chat model."""
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
