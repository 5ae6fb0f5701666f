"""All SQL of the store. The tenant is bound once, so that no statement can forget it.

A namespace is kept as its labels joined by dots (no label has one), so what is under it is one range of the primary
key. An item whose time has run out is not there for any statement here, whether it was swept yet or not.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    and_,
    bindparam,
    case,
    delete,
    null,
    or_,
    select,
    tuple_,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from backend.core.error import TooLarge
from backend.database.model import StoreItemRow, StoreVectorRow, table_of
from backend.database.prepared import Prepared
from backend.dto.store import StoreItem, StoreNamespace
from backend.repository.scope import AcrossTenants, Scoped

MOST_READ_CHARS = 64 * 1024 * 1024
"""Of the values that one transaction reads."""

Place = tuple[str, str]
"""Where an item is: its namespace, joined, and its key."""

_items = table_of(StoreItemRow)
_vectors = table_of(StoreVectorRow)
_PRIMARY = ("tenant_id", "namespace", "key")
_one = and_(
    _items.c.tenant_id == bindparam("tenant"),
    _items.c.namespace == bindparam("at"),
    _items.c.key == bindparam("name"),
)
_of_one = and_(
    _vectors.c.tenant_id == bindparam("tenant"),
    _vectors.c.namespace == bindparam("at"),
    _vectors.c.key == bindparam("name"),
)
_lives = or_(_items.c.expires_at.is_(None), _items.c.expires_at > bindparam("now"))
_columns = (
    _items.c.namespace,
    _items.c.key,
    _items.c.value,
    _items.c.created_at,
    _items.c.updated_at,
    _items.c.ttl_minutes,
)
_find = Prepared(select(*_columns).where(_one, _lives))
_delete = Prepared(delete(_items).where(_one))
_delete_vectors = Prepared(delete(_vectors).where(_of_one))
_touch = Prepared(
    update(_items)
    .where(_one, _lives, _items.c.ttl_minutes == bindparam("minutes"))
    .values(expires_at=bindparam("until"))
)


def _put_statement(insert: Any) -> Prepared:
    statement = insert(_items)
    new = statement.excluded
    changed = {name: new[name] for name in ("value", "updated_at", "ttl_minutes", "expires_at")}
    # What has expired was not there any more: what is written in its place is new.
    gone = _items.c.expires_at <= new["updated_at"]
    changed["created_at"] = case((gone, new["created_at"]), else_=_items.c.created_at)
    return Prepared(statement.on_conflict_do_update(index_elements=_PRIMARY, set_=changed))


def _put_vectors_statement(insert: Any) -> Prepared:
    statement = insert(_vectors)
    changed = {name: statement.excluded[name] for name in ("model", "count", "data")}
    return Prepared(statement.on_conflict_do_update(index_elements=_PRIMARY, set_=changed))


_put = {"sqlite": _put_statement(sqlite.insert), "postgresql": _put_statement(postgresql.insert)}
_put_vectors = {
    "sqlite": _put_vectors_statement(sqlite.insert),
    "postgresql": _put_vectors_statement(postgresql.insert),
}


@dataclass(frozen=True, slots=True)
class Vectors:
    """What an item's texts became."""

    model: str
    count: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Candidate:
    """An item as a search looks at it."""

    created_at: datetime
    place: Place
    value: str | None
    """JSON, if it was asked for."""
    vectors: Vectors | None


def joined(namespace: Sequence[str]) -> str:
    """Return the namespace as it is kept."""
    return ".".join(namespace)


class StoreItemRepository(Scoped):
    """The items of one tenant."""

    def __init__(self, connection: Connection, tenant_id: str) -> None:
        super().__init__(connection, tenant_id)
        self._left = MOST_READ_CHARS

    def find(self, place: Place, now: datetime) -> StoreItem | None:
        """Return an item.

        Raises:
            TooLarge: with what was read before, it is too much.
        """
        rows = _find.run(self._connection, {**self._key(place), "now": now})
        return self._item(rows[0]) if rows else None

    def put(
        self, place: Place, value: str, now: datetime, *, ttl: float | None = None, vectors: Vectors | None = None
    ) -> None:
        """Write an item, or over the one that is there; the moment of its creation stays, its old vectors do not."""
        dialect = self._connection.dialect.name
        primary = {"tenant_id": self._tenant_id, "namespace": place[0], "key": place[1]}
        _put[dialect].run(
            self._connection,
            {
                **primary,
                "value": value,
                "created_at": now,
                "updated_at": now,
                "ttl_minutes": ttl,
                "expires_at": None if ttl is None else now + timedelta(minutes=ttl),
            },
        )
        if vectors is None:
            _delete_vectors.run(self._connection, self._key(place))
            return
        _put_vectors[dialect].run(
            self._connection,
            {**primary, "model": vectors.model, "count": vectors.count, "data": vectors.data},
        )

    def delete(self, place: Place) -> None:
        """Remove an item, if it is there; its vectors go with it."""
        _delete.run(self._connection, self._key(place))

    def touch(self, items: Sequence[StoreItem], now: datetime) -> None:
        """Let items live on from now; one whose time was changed since it was read keeps what it has."""
        # In one order everywhere: two that lock the same rows in two orders would wait for each other.
        for place, minutes in sorted({((joined(item.namespace), item.key), item.ttl) for item in items if item.ttl}):
            until = now + timedelta(minutes=minutes)
            _touch.run(self._connection, {**self._key(place), "now": now, "minutes": minutes, "until": until})

    def oldest(self, prefix: StoreNamespace, now: datetime, *, limit: int, offset: int) -> list[StoreItem]:
        """Return the items under a namespace and in it, the first made first.

        Raises:
            TooLarge: they are too much together.
        """
        query = select(*_columns).where(self._under(prefix), _lives)
        query = query.order_by(_items.c.created_at, _items.c.namespace, _items.c.key).limit(limit).offset(offset)
        return [self._item(row) for row in self._connection.execute(query, {"now": now})]

    def page(
        self,
        prefix: StoreNamespace,
        now: datetime,
        *,
        after: Place | None,
        limit: int,
        with_value: bool,
        with_vectors: bool,
    ) -> list[Candidate]:
        """Return the items under a namespace and in it, in order of their places, from behind `after` on."""
        columns: list[Any] = [_items.c.namespace, _items.c.key, _items.c.created_at]
        columns.append(_items.c.value if with_value else null())
        columns += [_vectors.c.model, _vectors.c["count"], _vectors.c.data] if with_vectors else [null()] * 3
        beyond = None if after is None else tuple_(_items.c.namespace, _items.c.key) > tuple_(*after)
        query: Select[Any] = select(*columns).where(self._under(prefix, beyond), _lives)
        if with_vectors:
            query = query.outerjoin(_vectors, and_(*(_vectors.c[name] == _items.c[name] for name in _PRIMARY)))
        query = query.order_by(_items.c.namespace, _items.c.key).limit(limit)
        return [_candidate(*row) for row in self._connection.execute(query, {"now": now}).all()]

    def namespaces(self, prefix: StoreNamespace, now: datetime, *, after: str, limit: int) -> list[str]:
        """Return the namespaces under one and itself that hold items, joined and in order, from behind `after` on."""
        query = (
            select(_items.c.namespace)
            .where(self._under(prefix, _items.c.namespace > after if after else None), _lives)
            .distinct()
            .order_by(_items.c.namespace)
            .limit(limit)
        )
        return list(self._connection.scalars(query, {"now": now}))

    def _under(self, prefix: StoreNamespace, beyond: ColumnElement[bool] | None = None) -> ColumnElement[bool]:
        """The condition that an item is under a namespace or in it; `beyond` is where in there a page begins.

        There is one lower bound alone: of two, SQLite may choose the looser one, and read all pages before.
        """
        mine = _items.c.tenant_id == self._tenant_id
        if not prefix:
            return mine if beyond is None else and_(mine, beyond)
        root = joined(prefix)
        # "/" is what comes behind "." byte by byte; "users-old" lies between "users" and "users." and is no child.
        return and_(
            mine,
            _items.c.namespace >= root if beyond is None else beyond,
            _items.c.namespace < f"{root}/",
            or_(_items.c.namespace == root, _items.c.namespace >= f"{root}."),
        )

    def _item(self, row: Sequence[Any]) -> StoreItem:
        namespace, key, value, created_at, updated_at, ttl = row
        self._left -= len(value)
        if self._left < 0:
            raise TooLarge(f"The items have more than {MOST_READ_CHARS} characters together; ask for fewer (limit).")
        return StoreItem(
            tuple(namespace.split(".")), key, orjson.loads(value), _moment(created_at), _moment(updated_at), ttl
        )

    def _key(self, place: Place) -> dict[str, Any]:
        return {"tenant": self._tenant_id, "at": place[0], "name": place[1]}


class AllStoreItems(AcrossTenants):
    """The items of every tenant: only for the sweep."""

    def expire(self, now: datetime, limit: int = 500) -> int:
        """Remove some items whose time has run out; return how many."""
        key = tuple_(*(_items.c[name] for name in _PRIMARY))
        found = select(*(_items.c[name] for name in _PRIMARY)).where(_items.c.expires_at <= now)
        found = found.order_by(_items.c.expires_at).limit(limit)
        if self._connection.dialect.name == "postgresql":
            found = found.with_for_update(skip_locked=True)
        gone = [tuple(row) for row in self._connection.execute(found)]
        if gone:
            self._connection.execute(delete(_items).where(key.in_(gone)))
        return len(gone)


def _candidate(
    namespace: str,
    key: str,
    created_at: datetime,
    value: str | None,
    model: str | None,
    count: int | None,
    data: bytes | None,
) -> Candidate:
    vectors = None if model is None or count is None or data is None else Vectors(model, count, data)
    return Candidate(created_at, (namespace, key), value, vectors)


def _moment(value: Any) -> datetime:
    """A prepared statement on SQLite gives a moment as its text."""
    return value if isinstance(value, datetime) else datetime.fromisoformat(value).replace(tzinfo=UTC)
