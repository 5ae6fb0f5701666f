"""The store as graphs use it: a LangGraph `BaseStore` over our database. The API writes through it too.

Reads in one `abatch` see the state before its writes, and of several writes of one item the last counts, as in
langgraph's own stores. The reads by key and the writes of an `abatch` are one transaction; searches read in pages.
"""

import asyncio
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import copy
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import orjson
from langgraph.store.base import (
    BaseStore,
    GetOp,
    InvalidNamespaceError,
    Item,
    ListNamespacesOp,
    MatchCondition,
    Op,
    PutOp,
    Result,
    SearchItem,
    SearchOp,
    TTLConfig,
    validate_op_namespace,
)
from sqlalchemy import Connection

from backend.core.error import Conflict, Invalid, TooLarge, Unavailable
from backend.database.base import Database
from backend.database.tenant_scope import name_tenant
from backend.dto.principal import DEFAULT_TENANT
from backend.dto.store import StoreIndex, StoreItem, StoreNamespace, StoreTtl
from backend.repository.checkpoint import Fence
from backend.repository.store_item import Place, StoreItemRepository, Vectors, joined
from backend.service.store_index import Indexed, ItemIndex, check_paths
from backend.service.store_search import Query, StoreReader, literal_part
from backend.util.containment import Filters, passes
from backend.util.item_filter import check_filter, matches

MOST_LABELS = 64
MOST_CHARS = 512
"""Of a label, and of a key."""
MOST_PLACE_BYTES = 2048
"""Of a namespace and a key together: an entry of PostgreSQL's index has 2,704 bytes at most."""
MOST_VALUE_BYTES = 1024 * 1024
MOST_TTL_MINUTES = 100 * 366 * 24 * 60
MOST_REACH = 100_000
"""Of offset and limit together."""
SEARCH_SECONDS = 30
_SYNC_SECONDS = 120


class GraphStore(BaseStore):
    """The items of one tenant; `bound` gives the one for a run or a request."""

    supports_ttl = True

    def __init__(
        self,
        database: Database,
        clock: Callable[[], datetime],
        *,
        index: StoreIndex | None = None,
        ttl: StoreTtl | None = None,
    ) -> None:
        """`index` None: a search's query is ignored, as in langgraph's stores without an index."""
        times = ttl or StoreTtl()
        self.ttl_config = TTLConfig(refresh_on_read=times.refresh_on_read, default_ttl=times.default_ttl)
        self._database = database
        self._clock = clock
        self._index = None if index is None else ItemIndex(index)
        self._tenant_id = DEFAULT_TENANT
        self._fence: Fence | None = None
        self._only: Filters = None
        self._durable = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = 0
        """The loop's."""

    def bound(
        self, tenant_id: str, fence: Fence | None = None, *, only: Filters = None, durable: bool = False
    ) -> "GraphStore":
        """Return a store that sees only `tenant_id`'s items.

        With a fence it writes only for that attempt of a run. Items whose value does not pass `only` are not there for
        it. `durable` waits for the disk; a run need not, since its end does.
        """
        store = copy(self)
        store._tenant_id = tenant_id
        store._fence = fence
        store._only = only or None
        store._durable = durable
        store._loop = asyncio.get_running_loop()
        store._thread = threading.get_ident()
        return store

    def batch(self, ops: Iterable[Op]) -> list[Result]:
        """Do what a synchronous node asks for from its thread; its question goes to the loop."""
        if self._loop is None:
            raise RuntimeError("The synchronous methods need a store that `bound` made.")
        if threading.get_ident() == self._thread:
            raise RuntimeError("In a coroutine, await the asynchronous method: this one would block all runs.")
        return asyncio.run_coroutine_threadsafe(self._do(list(ops)), self._loop).result(_SYNC_SECONDS)

    async def abatch(self, ops: Iterable[Op]) -> list[Result]:
        """Do several things at once.

        Raises:
            InvalidNamespaceError: a label is empty or has a dot, or an item has no namespace.
            InvalidFilter: a filter has an operator that does not exist.
            Invalid, TooLarge: a bound is broken, or a value is not JSON.
            Conflict: an item to write is there already, and is not one of those that may be seen.
            Fenced: the run was taken over by another attempt.
            Unavailable: a search took too long, or the database does not answer.
            UpstreamFailed, UpstreamTimeout: the embedding model does not answer as it should.
        """
        asked = list(ops)
        if self._loop is not None and asyncio.get_running_loop() is not self._loop:
            # a node that runs a loop of its own, in its thread
            return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self._do(asked), self._loop))
        return await self._do(asked)

    async def _do(self, ops: Sequence[Op]) -> list[Result]:
        for op in ops:
            _check(op)
        results: list[Result] = [None] * len(ops)
        gets = {number: op for number, op in enumerate(ops) if isinstance(op, GetOp)}
        puts = await self._prepared([op for op in ops if isinstance(op, PutOp)])
        live_on: list[StoreItem] = []
        """What was read, and begins its time anew."""
        for number, op in enumerate(ops):
            if isinstance(op, SearchOp):
                found = await _in_time(self._search(op))
                results[number] = [_search_item(item) for item in found]
                live_on += found if op.refresh_ttl else ()
            elif isinstance(op, ListNamespacesOp):
                results[number] = await _in_time(self._namespaces(op))
        items: dict[int, StoreItem] = {}
        if puts:
            items = await self._database.write(partial(self._write, gets, puts), durable=self._durable)
        elif gets:
            items = await self._database.read(partial(self._find, gets))
        for number, item in items.items():
            results[number] = _graph_item(item)
            if gets[number].refresh_ttl:
                live_on.append(item)
        if any(item.ttl for item in live_on):
            await self._database.write(partial(self._touch, live_on), durable=False)
        return results

    async def _prepared(self, ops: Sequence[PutOp]) -> "list[_Put]":
        """Return what is to be written, with its vectors.

        In order of place: two that lock the same rows in two orders would wait for each other.
        """
        last = {(joined(op.namespace), op.key): op for op in ops}
        ordered = sorted((_Put(place, op, number) for number, (place, op) in enumerate(last.items())), key=_place)
        if self._index is not None:
            wanted = [put for put in ordered if put.json is not None and put.op.index is not False]
            indexed = [
                Indexed(put.op.value or {}, len(put.json or ""), put.op.index if put.op.index is not False else None)
                for put in wanted
            ]
            if wanted:
                for put, vectors in zip(wanted, await self._index.vectors(indexed), strict=True):
                    put.vectors = vectors
        return ordered

    def _find(self, gets: Mapping[int, GetOp], connection: Connection) -> dict[int, StoreItem]:
        items = StoreItemRepository(connection, self._tenant_id)
        now = self._clock()
        found = {}
        for number, op in gets.items():
            item = items.find((joined(op.namespace), op.key), now)
            if item is not None and passes(item.value, self._only):
                found[number] = item
        return found

    def _write(self, gets: Mapping[int, GetOp], puts: "Sequence[_Put]", connection: Connection) -> dict[int, StoreItem]:
        name_tenant(connection, self._tenant_id)
        if self._fence is not None:
            self._fence.check(connection)
        items = StoreItemRepository(connection, self._tenant_id)
        found = self._find(gets, connection)
        start = self._clock()
        for put in puts:
            now = start + timedelta(microseconds=put.number)
            if self._only is not None:
                there = items.find(put.place, now)
                if there is not None and not passes(there.value, self._only):
                    if put.json is None:
                        continue  # for this caller there is nothing to delete
                    raise Conflict("The item exists.")
            if put.json is None:
                items.delete(put.place)
            else:
                items.put(put.place, put.json, now, ttl=put.op.ttl, vectors=put.vectors)
        return found

    def _touch(self, items: Sequence[StoreItem], connection: Connection) -> None:
        StoreItemRepository(connection, self._tenant_id).touch(items, self._clock())

    async def _search(self, op: SearchOp) -> list[StoreItem]:
        query = None
        if op.query and self._index is not None:
            query = Query(await self._index.query(op.query), self._index.model)
        wanted = partial(_matches, op.filter) if op.filter else None
        return await self._reader().search(
            op.namespace_prefix, wanted=wanted, query=query, limit=op.limit, offset=op.offset
        )

    async def _namespaces(self, op: ListNamespacesOp) -> list[StoreNamespace]:
        conditions = op.match_conditions or ()
        prefixes = [literal_part(condition.path) for condition in conditions if condition.match_type == "prefix"]
        return await self._reader().namespaces(
            max(prefixes, key=len, default=()),
            lambda namespace: all(_fits(condition, namespace) for condition in conditions),
            max_depth=op.max_depth,
            limit=op.limit,
            offset=op.offset,
        )

    def _reader(self) -> StoreReader:
        visible = None if self._only is None else partial(_passes, self._only)
        return StoreReader(self._database, self._tenant_id, self._clock(), visible)


class _Put:
    """An item to write, or to remove, as the database takes it."""

    def __init__(self, place: Place, op: PutOp, number: int) -> None:
        self.place = place
        self.op = op
        self.number = number
        """Its place in the batch: so many microseconds later it is made, since searches show the oldest first."""
        self.json = None if op.value is None else _json(op.value)
        self.vectors: Vectors | None = None


def _place(put: _Put) -> Place:
    return put.place


async def _in_time(question: Any) -> Any:
    try:
        async with asyncio.timeout(SEARCH_SECONDS):
            return await question
    except TimeoutError as error:
        raise Unavailable(
            f"The search took longer than {SEARCH_SECONDS} seconds: search under a longer namespace."
        ) from error


def _check(op: Op) -> None:
    validate_op_namespace(op)
    if isinstance(op, GetOp | PutOp):
        _check_labels(op.namespace)
        _check_place(op.namespace, op.key)
    if isinstance(op, PutOp):
        if not op.namespace:
            raise InvalidNamespaceError("Namespace cannot be empty.")
        if isinstance(op.index, list):
            check_paths(op.index)
        if op.ttl is not None and not 0 < op.ttl <= MOST_TTL_MINUTES:
            raise Invalid("ttl is a number of minutes, more than 0 and at most a hundred years.")
    elif isinstance(op, SearchOp):
        _check_labels(op.namespace_prefix)
        _check_reach(op.limit, op.offset)
        if op.filter:
            check_filter(op.filter)
    elif isinstance(op, ListNamespacesOp):
        for condition in op.match_conditions or ():
            _check_labels(condition.path)
        _check_reach(op.limit, op.offset)
        if op.max_depth is not None and op.max_depth < 0:
            raise Invalid("max_depth is 0 or more.")


def _check_labels(namespace: Sequence[str]) -> None:
    if len(namespace) > MOST_LABELS:
        raise Invalid(f"A namespace has {MOST_LABELS} labels at most.")
    if any(len(label) > MOST_CHARS for label in namespace):
        raise Invalid(f"A namespace label has {MOST_CHARS} characters at most.")


def _check_place(namespace: Sequence[str], key: str) -> None:
    if len(key) > MOST_CHARS:
        raise Invalid(f"A key has {MOST_CHARS} characters at most.")
    try:
        size = len(f"{joined(namespace)}{key}".encode())
    except UnicodeEncodeError:
        raise Invalid("A namespace or key is not text.") from None
    if size > MOST_PLACE_BYTES:
        raise Invalid(f"A namespace and a key have {MOST_PLACE_BYTES} bytes together at most.")
    if "\0" in key:
        raise Invalid("A key cannot hold a NUL character.")


def _check_reach(limit: int, offset: int) -> None:
    if limit < 0 or offset < 0:
        raise Invalid("limit and offset are 0 or more.")
    if limit + offset > MOST_REACH:
        raise Invalid(f"offset and limit reach to item {MOST_REACH} at most.")


def _json(value: Mapping[str, Any]) -> str:
    try:
        data = orjson.dumps(dict(value))
    except TypeError as error:
        raise Invalid(f"A value of the store must be JSON: {error}.") from None
    if len(data) > MOST_VALUE_BYTES:
        raise TooLarge(f"A value of the store has {MOST_VALUE_BYTES} bytes of JSON at most; this one has {len(data)}.")
    return data.decode()


def _fits(condition: MatchCondition, namespace: StoreNamespace) -> bool:
    path = condition.path
    if len(namespace) < len(path):
        return False
    part = namespace[: len(path)] if condition.match_type == "prefix" else namespace[len(namespace) - len(path) :]
    return all(asked in {"*", label} for asked, label in zip(path, part, strict=True))


def _matches(wanted: Mapping[str, Any], value: dict[str, Any]) -> bool:
    return matches(value, wanted)


def _passes(only: Filters, value: dict[str, Any]) -> bool:
    return passes(value, only)


def _graph_item(item: StoreItem) -> Item:
    return Item(
        value=item.value,
        key=item.key,
        namespace=item.namespace,
        created_at=item.created_at,
        updated_at=item.updated_at,
    )


def _search_item(item: StoreItem) -> SearchItem:
    return SearchItem(
        value=item.value,
        key=item.key,
        namespace=item.namespace,
        created_at=item.created_at,
        updated_at=item.updated_at,
        score=item.score,
    )
