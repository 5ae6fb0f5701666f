"""The store on the wire."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from backend.dto.store import StoreItem

Labels = Annotated[list[str], Field(max_length=64)]
Limit = Annotated[int, Field(ge=0, le=1000)]
Offset = Annotated[int, Field(ge=0, le=99_000)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="ignore")


class StorePut(_Body):
    namespace: Labels
    key: str
    value: dict[str, Any]
    index: Literal[False] | list[str] | None = Field(
        None, description="The paths to index for search, e.g. `text` or `notes[*].title`; false for none."
    )
    ttl: float | None = Field(
        None,
        description="Minutes for which the item lives after it was last written or read; null for good. Left out, the"
        " server's default.",
    )


class StoreDelete(_Body):
    namespace: Labels
    key: str


class StoreSearch(_Body):
    namespace_prefix: Labels
    filter: Annotated[dict[str, Any], Field(max_length=64)] | None = Field(
        None, description="Values by key; or `$eq`, `$ne`, `$gt`, `$gte`, `$lt`, `$lte` by key."
    )
    limit: Limit = 10
    """0 means as many as when it is left out."""
    offset: Offset = 0
    query: Annotated[str, Field(max_length=32_000)] | None = Field(None, description="What to look for by meaning.")
    refresh_ttl: bool | None = None


class StoreNamespaces(_Body):
    prefix: Labels | None = None
    suffix: Labels | None = None
    max_depth: Annotated[int, Field(ge=0)] | None = None
    limit: Limit = 100
    offset: Offset = 0


def item_wire(item: StoreItem) -> dict[str, Any]:
    """Return an item as the API shows it."""
    return {
        "namespace": item.namespace,
        "key": item.key,
        "value": item.value,
        "created_at": item.created_at,
        "updated_at": item.updated_at,
    }


def found_wire(item: StoreItem) -> dict[str, Any]:
    """Return an item as a search shows it."""
    return {**item_wire(item), "score": item.score}
