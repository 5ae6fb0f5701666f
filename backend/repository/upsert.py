"""Add or replace, decided by the database: one statement for up to `BATCH` rows, on both databases."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, ColumnElement, Connection, Integer, Row, String, Table, Text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.base import ReadOnlyColumnCollection

from backend.dto.ticket import Outcome

BATCH = 500
"""Rows of one statement."""
NEVER = frozenset({"tenant_id", "id", "created_at"})
"""What no conflict may change: whose a row is, what it is called, and since when it is there."""

Columns = ReadOnlyColumnCollection[str, Any]
_INT_MAX, _BIG_MAX = 2**31 - 1, 2**63 - 1


@dataclass(frozen=True, slots=True)
class Put:
    """What became of one object: `unchanged` also stands for one that is there in a newer state."""

    id: UUID
    outcome: Outcome


def insert_into(connection: Connection, table: Table) -> postgresql.Insert | sqlite.Insert:
    """Return an `INSERT` that can say what is done where a row is there already: each database has its own."""
    return postgresql.insert(table) if connection.dialect.name == "postgresql" else sqlite.insert(table)


def upsert(
    connection: Connection,
    table: Table,
    rows: Sequence[Mapping[str, Any]],
    *,
    key: Sequence[str],
    change: Iterable[str],
    also: Callable[[Columns, Columns], Mapping[str, Any]] | None = None,
    where: Callable[[Columns, Columns], ColumnElement[bool]] | None = None,
    returning: Sequence[str] = (),
) -> list[Row[Any]]:
    """Insert rows; where `key` is taken, set the columns `change` to the new values. Return what was written.

    `also` gives further values from the columns as they are and as they were to be; where `where` is false of the two,
    the row stays as it is and is not among the returned. All rows have the same columns, and no key twice. They are
    written in the order of their keys, so that two writers of the same rows do not wait for each other.

    Raises:
        ValueError: a column of `NEVER` or of the key was to be changed: a mistake of ours.
    """
    statement = insert_into(connection, table)
    old, new = table.c, statement.excluded
    values: dict[str, Any] = {name: new[name] for name in change}
    if also is not None:
        values |= also(old, new)
    if kept := values.keys() & (NEVER | set(key)):
        raise ValueError(f"These columns never change: {', '.join(sorted(kept))}.")
    condition = None if where is None else where(old, new)
    statement = statement.on_conflict_do_update(index_elements=list(key), set_=values, where=condition)
    returned: list[Row[Any]] = []
    ordered = sorted(rows, key=lambda row: tuple(row[name] for name in key))
    for at in range(0, len(ordered), BATCH):
        batch = [dict(row) for row in ordered[at : at + BATCH]]
        if returning:
            found = connection.execute(statement.returning(*(table.c[name] for name in returning)), batch)
            returned += found.all()
        else:
            connection.execute(statement, batch)
    return returned


def insert_new(connection: Connection, table: Table, row: Mapping[str, Any], *, key: Sequence[str]) -> bool:
    """Insert a row unless `key` is taken; return whether it was inserted."""
    statement = insert_into(connection, table).on_conflict_do_nothing(index_elements=list(key))
    return connection.execute(statement, dict(row)).rowcount == 1


def batches[T](items: Sequence[T], size: int = BATCH) -> Iterable[Sequence[T]]:
    """Yield the items in pieces: a statement has a bound on its parameters."""
    for at in range(0, len(items), size):
        yield items[at : at + size]


def fitting(table: Table, row: dict[str, Any]) -> dict[str, Any]:
    """Cut what is too long or too large for its column, in place: one odd item must not stop the rest of its page."""
    for name, value in row.items():
        kind = table.c[name].type
        if isinstance(value, str) and isinstance(kind, String) and not isinstance(kind, Text):
            if kind.length is not None and len(value) > kind.length:
                row[name] = value[: kind.length]
        elif isinstance(value, int) and isinstance(kind, Integer):
            most = _BIG_MAX if isinstance(kind, BigInteger) else _INT_MAX
            row[name] = max(-most, min(value, most))
    return row
