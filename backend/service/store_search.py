"""Reads much and keeps little: searches and listings that look at every item under a namespace, a page at a time.

Each page is a transaction of its own, so that a long search keeps nobody from the database; only the best so far stay
in memory. Comparing is done in a thread.
"""

import asyncio
import heapq
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Connection

from backend.database.base import Database
from backend.dto.store import StoreItem, StoreNamespace
from backend.repository.store_item import Candidate, Place, StoreItemRepository
from backend.service.store_index import Matrix, similarities

PAGE = 500
PAGE_OF_VALUES = 64
"""A value has up to a mebibyte."""

Wanted = Callable[[dict[str, Any]], bool]
Rank = tuple[int, float, datetime, Place]


@dataclass(frozen=True, slots=True)
class Query:
    """What items are compared with."""

    vector: Matrix
    model: str


class StoreReader:
    """The items of one tenant that are there at one moment, and that may be seen."""

    def __init__(self, database: Database, tenant_id: str, now: datetime, visible: Wanted | None) -> None:
        self._database = database
        self._tenant_id = tenant_id
        self._now = now
        self._visible = visible

    async def search(
        self, prefix: StoreNamespace, *, wanted: Wanted | None, query: Query | None, limit: int, offset: int
    ) -> list[StoreItem]:
        """Return items under a namespace: nearest to the query first, then those without vectors, oldest first."""
        if limit == 0:
            return []
        if wanted is None and query is None and self._visible is None:
            return await self._database.read(
                lambda connection: self._items(connection).oldest(prefix, self._now, limit=limit, offset=offset)
            )
        best: list[Rank] = []
        after: Place | None = None
        with_value = wanted is not None or self._visible is not None
        size = PAGE_OF_VALUES if with_value else PAGE
        while True:
            page = await self._page(prefix, after, size, with_value=with_value, with_vectors=query is not None)
            if page:
                best = await asyncio.to_thread(self._better, best, page, wanted, query, limit + offset)
                after = page[-1].place
            if len(page) < size:
                break
        return await self._read(best[offset : offset + limit], scored=query is not None)

    async def namespaces(
        self,
        prefix: StoreNamespace,
        fits: Callable[[StoreNamespace], bool],
        *,
        max_depth: int | None,
        limit: int,
        offset: int,
    ) -> list[StoreNamespace]:
        """Return the namespaces under `prefix` that fit, each cut to `max_depth` labels, in order."""
        best: list[StoreNamespace] = []
        most = limit + offset
        async for page in self._namespace_pages(prefix):
            found = {namespace[:max_depth] for namespace in page if fits(namespace)}
            best = heapq.nsmallest(most, found.union(best))
        return best[offset:]

    async def _namespace_pages(self, prefix: StoreNamespace) -> AsyncIterator[list[StoreNamespace]]:
        after = ""
        while self._visible is None:

            def work(connection: Connection, after: str = after) -> list[str]:
                return self._items(connection).namespaces(prefix, self._now, after=after, limit=PAGE)

            names = await self._database.read(work)
            yield [tuple(name.split(".")) for name in names]
            if len(names) < PAGE:
                return
            after = names[-1]
        place: Place | None = None
        while True:
            page = await self._page(prefix, place, PAGE_OF_VALUES, with_value=True, with_vectors=False)
            seen = await asyncio.to_thread(self._seen, page)
            yield [tuple(item.place[0].split(".")) for item in seen]
            if len(page) < PAGE_OF_VALUES:
                return
            place = page[-1].place

    async def _page(
        self, prefix: StoreNamespace, after: Place | None, size: int, *, with_value: bool, with_vectors: bool
    ) -> list[Candidate]:
        return await self._database.read(
            lambda connection: self._items(connection).page(
                prefix, self._now, after=after, limit=size, with_value=with_value, with_vectors=with_vectors
            )
        )

    def _better(
        self, best: list[Rank], page: Sequence[Candidate], wanted: Wanted | None, query: Query | None, most: int
    ) -> list[Rank]:
        kept = [item for item in page if self._passes(item, wanted)]
        scores: Iterable[float | None] = [None] * len(kept)
        if query is not None:
            scores = similarities(query.vector, query.model, [item.vectors for item in kept])
        ranks = [
            (1, 0.0, item.created_at, item.place) if score is None else (0, -score, item.created_at, item.place)
            for item, score in zip(kept, scores, strict=True)
        ]
        return heapq.nsmallest(most, best + ranks)

    def _seen(self, page: Sequence[Candidate]) -> list[Candidate]:
        return [item for item in page if self._passes(item, None)]

    def _passes(self, item: Candidate, wanted: Wanted | None) -> bool:
        if item.value is None:
            return True
        value = orjson.loads(item.value)
        return (self._visible is None or self._visible(value)) and (wanted is None or wanted(value))

    async def _read(self, ranks: Sequence[Rank], *, scored: bool) -> list[StoreItem]:
        def work(connection: Connection) -> list[StoreItem]:
            items = self._items(connection)
            found = []
            for without, distance, _, place in ranks:
                item = items.find(place, self._now)
                if item is not None:  # else it was deleted since
                    found.append(item if without or not scored else replace(item, score=-distance))
            return found

        return await self._database.read(work)

    def _items(self, connection: Connection) -> StoreItemRepository:
        return StoreItemRepository(connection, self._tenant_id)


def literal_part(path: Sequence[str]) -> StoreNamespace:
    """Return the labels of a pattern before its first `*`."""
    labels = list(path)
    return tuple(labels[: labels.index("*")] if "*" in labels else labels)
