"""Long-term memory: items under namespaces, shared by a tenant's threads."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

StoreNamespace = tuple[str, ...]
"""Labels from the root down, e.g. `("users", "42", "facts")`; no label is empty or has a dot."""

Embed = Callable[[list[str]], Awaitable[list[list[float]]]]
"""Turns texts into vectors, all of one length, in order."""

EmbedQuery = Callable[[str], Awaitable[list[float]]]
"""Turns what is looked for into a vector of that length."""


@dataclass(frozen=True, slots=True)
class StoreItem:
    namespace: StoreNamespace
    key: str
    value: dict[str, Any]
    created_at: datetime
    updated_at: datetime
    ttl: float | None = None
    """Minutes for which it lives after it was last written or read; None for good."""
    score: float | None = None
    """How near it is to a search's query, -1 to 1; None without a query, or when it is not indexed."""


@dataclass(frozen=True, slots=True)
class StoreIndex:
    """How items are made findable by what they say."""

    embed: Embed
    fields: tuple[str, ...] = ("$",)
    """The paths in a value whose texts are embedded when an item does not name its own; `$` is the whole value."""
    model: str = ""
    """Names the vectors. Those of another model stay, and count as not indexed until their item is written again."""
    dims: int | None = None
    """The length that `embed`'s vectors must have; None for any."""
    embed_query: EmbedQuery | None = None
    """For models that read a question in another way; None when `embed` does for both."""


@dataclass(frozen=True, slots=True)
class StoreTtl:
    """How long items live."""

    refresh_on_read: bool = True
    """Whether reading an item lets it live on, when the reader does not say."""
    default_ttl: float | None = None
    """Minutes for items that are written without a time of their own; None for good."""
