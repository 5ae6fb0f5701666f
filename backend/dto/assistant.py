"""A graph with its saved configuration."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

SHARED = ""
"""The tenant of the graphs' default assistants, which every tenant sees."""
UNTITLED = "Untitled"

AssistantSort = Literal["assistant_id", "graph_id", "name", "created_at", "updated_at"]
SortOrder = Literal["asc", "desc"]


@dataclass(frozen=True, slots=True)
class Assistant:
    """One assistant, with the content of its current version. Many readers share it: nobody changes its mappings."""

    assistant_id: UUID
    tenant_id: str
    graph_id: str
    config: dict[str, Any]
    """`tags`, `recursion_limit`, `configurable` and whatever else was given."""
    context: dict[str, Any]
    metadata: dict[str, Any]
    name: str
    description: str | None
    version: int
    """The current one; not the highest when an older one was taken up again."""
    created_at: datetime
    updated_at: datetime

    @property
    def shared(self) -> bool:
        """Whether it is a graph's default assistant, which no tenant has changed for itself."""
        return self.tenant_id == SHARED


@dataclass(frozen=True, slots=True)
class AssistantVersion:
    """What an assistant was from one change to the next."""

    assistant_id: UUID
    version: int
    graph_id: str
    config: dict[str, Any]
    context: dict[str, Any]
    metadata: dict[str, Any]
    name: str
    description: str | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class AssistantChange:
    """What to change; None leaves it as it is."""

    graph_id: str | None = None
    config: dict[str, Any] | None = None
    context: dict[str, Any] | None = None
    metadata: dict[str, Any] | None = None
    """Merged, key by key; everything else replaces what was."""
    name: str | None = None
    description: str | None = None


@dataclass(frozen=True, slots=True)
class AssistantQuery:
    """What to look for; all that is given must hold."""

    metadata: dict[str, Any] | None = None
    """Contained in the assistant's."""
    graph_id: str | None = None
    name: str | None = None
    """A part of the name, upper case and lower case alike."""
