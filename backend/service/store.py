"""The rules of long-term memory as the API offers it. What is written goes through the store that graphs use."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, Literal

from langgraph.store.base import NOT_PROVIDED, InvalidNamespaceError, Item, NotProvided, SearchItem
from sqlalchemy import Connection

from backend.core.error import BadRequest, Invalid
from backend.database.base import Database
from backend.dto.principal import Principal
from backend.dto.store import StoreItem, StoreNamespace
from backend.repository.store_item import AllStoreItems
from backend.service.graph_store import GraphStore
from backend.util.containment import Filters
from backend.util.item_filter import InvalidFilter

SWEEP_BATCH = 500


def checked_namespace(labels: Sequence[object]) -> StoreNamespace:
    """Return a namespace, or the pattern of one.

    Raises:
        Invalid: a label is empty, or has a dot, or is no text; half of a surrogate pair is none.
    """
    for label in labels:
        if not isinstance(label, str) or not label or "." in label or (not label.isprintable() and _is_broken(label)):
            raise Invalid(f"Namespace label {repr(label)[:100]} must be a non-empty string without periods")
    return tuple(str(label) for label in labels)


def _is_broken(text: str) -> bool:
    return any("\ud800" <= letter <= "\udfff" for letter in text)


class StoreService:
    """`only` in what follows: items whose value does not pass it are not there."""

    def __init__(self, database: Database, store: GraphStore, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._store = store
        self._clock = clock

    async def put(
        self,
        principal: Principal,
        namespace: Sequence[str],
        key: str,
        value: dict[str, Any],
        *,
        index: Literal[False] | list[str] | None = None,
        ttl: float | NotProvided | None = NOT_PROVIDED,
        only: Filters = None,
    ) -> None:
        """Write an item, or over the one that is there.

        `index` names the paths to index, None the configured ones, False none. `ttl` is in minutes, None for good;
        left out, the configured one.

        Raises:
            Invalid, TooLarge: the namespace, the key or the value breaks a bound.
            BadRequest: the namespace is empty or reserved.
            Conflict: the item is there, and hidden by `only`.
        """
        async with self._bound(principal, only) as store:
            await store.aput(checked_namespace(namespace), key, value, index, ttl=ttl)

    async def find(
        self,
        principal: Principal,
        namespace: Sequence[str],
        key: str,
        *,
        refresh_ttl: bool | None = None,
        only: Filters = None,
    ) -> StoreItem | None:
        """Return an item; it lives on from now, if `refresh_ttl` or the configuration says so.

        Raises:
            Invalid: the namespace or the key breaks a bound.
        """
        async with self._bound(principal, only) as store:
            item = await store.aget(checked_namespace(namespace), key, refresh_ttl=refresh_ttl)
        return None if item is None else _item(item)

    async def delete(self, principal: Principal, namespace: Sequence[str], key: str, *, only: Filters = None) -> None:
        """Remove an item, if it is there.

        Raises:
            Invalid: the namespace or the key breaks a bound.
        """
        labels = checked_namespace(namespace)
        if labels:  # else there cannot be one
            async with self._bound(principal, only) as store:
                await store.adelete(labels, key)

    async def search(
        self,
        principal: Principal,
        prefix: Sequence[str],
        *,
        wanted: dict[str, Any] | None = None,
        query: str | None = None,
        limit: int = 10,
        offset: int = 0,
        refresh_ttl: bool | None = None,
        only: Filters = None,
    ) -> list[StoreItem]:
        """Return the items under a namespace that match the filter `wanted`.

        With a query, those come first whose texts are nearest to it, and those that are not indexed last; without, or
        without an index, the oldest first.

        Raises:
            Invalid: a bound is broken.
            BadRequest: the filter has an operator that does not exist.
            Unavailable: it took too long.
        """
        async with self._bound(principal, only) as store:
            found = await store.asearch(
                checked_namespace(prefix),
                query=query,
                filter=wanted,
                limit=limit,
                offset=offset,
                refresh_ttl=refresh_ttl,
            )
        return [_item(item) for item in found]

    async def list_namespaces(
        self,
        principal: Principal,
        *,
        prefix: Sequence[str] | None = None,
        suffix: Sequence[str] | None = None,
        max_depth: int | None = None,
        limit: int = 100,
        offset: int = 0,
        only: Filters = None,
    ) -> list[StoreNamespace]:
        """Return the namespaces that hold items, in order, cut to `max_depth` labels; `*` stands for any one label.

        Raises:
            Invalid: a bound is broken.
            Unavailable: it took too long.
        """
        async with self._bound(principal, only) as store:
            return await store.alist_namespaces(
                prefix=checked_namespace(prefix or ()),
                suffix=checked_namespace(suffix or ()),
                max_depth=max_depth,
                limit=limit,
                offset=offset,
            )

    async def sweep(self) -> int:
        """Remove the items of all tenants whose time has run out, some at a time; return how many there were."""
        total = 0
        while True:
            gone = await self._database.write(self._expire, durable=False)
            total += gone
            if gone < SWEEP_BATCH:
                return total

    def _expire(self, connection: Connection) -> int:
        return AllStoreItems(connection).expire(self._clock(), SWEEP_BATCH)

    @asynccontextmanager
    async def _bound(self, principal: Principal, only: Filters) -> AsyncIterator[GraphStore]:
        try:
            yield self._store.bound(principal.tenant_id, only=only, durable=True)
        except (InvalidNamespaceError, InvalidFilter) as error:
            raise BadRequest(str(error)) from None


def _item(item: Item | SearchItem) -> StoreItem:
    return StoreItem(
        item.namespace,
        item.key,
        item.value,
        item.created_at,
        item.updated_at,
        score=item.score if isinstance(item, SearchItem) else None,
    )
