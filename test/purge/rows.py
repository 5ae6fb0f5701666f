"""A row in every table there is, for a tenant: whatever a table is for, what is in it is the tenant's."""

from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid5

from sqlalchemy import (
    Boolean,
    Connection,
    DateTime,
    Float,
    Integer,
    LargeBinary,
    Table,
    Text,
    Uuid,
    delete,
    func,
    insert,
    literal,
    select,
)
from sqlalchemy.types import TypeDecorator

from backend.database.base import Database
from backend.database.model import Base
from backend.database.tenant_scope import EVERYONE, name_tenant

_SPACE = UUID("018f0000-0000-7000-8000-000000000000")
FAR = datetime(2099, 1, 1, tzinfo=UTC)
"""Nothing that the server does by itself is due before."""
CHILDREN = {"run_events": "run_id", "checkpoints": "thread_id", "writes": "thread_id"}
"""Tables whose rows are some tenant's without naming it, and by what they are."""


def _value(column: Any, tenant_id: str) -> Any:
    """Return one value for a type and a tenant: so all that refers to each other does so rightly."""
    kind = column.type.impl if isinstance(column.type, TypeDecorator) else column.type
    if isinstance(kind, Uuid):
        return uuid5(_SPACE, tenant_id)
    if isinstance(kind, DateTime):
        return FAR
    if isinstance(kind, Boolean):
        return True
    if isinstance(kind, Integer | Float):
        return 1
    if isinstance(kind, LargeBinary):
        return b"x"
    return tenant_id if isinstance(kind, Text) or hasattr(kind, "length") else {}


def _row(table: Table, tenant_id: str) -> dict[str, Any]:
    row = {column.name: _value(column, tenant_id) for column in table.c}
    if table.name in {"checkpoints", "writes"}:
        row["thread_id"] = f"{tenant_id}:{uuid5(_SPACE, tenant_id)}"
    if table.name == "tenants":
        row |= {"status": "active", "limits": {}, "settings": {}, "purged_at": None}
    if table.name == "sync_jobs":
        row["status"] = "success"  # one that has not ended is waited for
    return row


async def fill(database: Database, tenant_id: str, *, without: Collection[str] = ()) -> None:
    """Put a row into each table."""

    def work(connection: Connection) -> None:
        name_tenant(connection, EVERYONE)
        for table in Base.metadata.sorted_tables:
            if table.name not in without:
                connection.execute(insert(table), _row(table, tenant_id))

    await database.write(work)


async def counts(database: Database, tenant_id: str) -> dict[str, int]:
    """Return how many rows of a tenant are in each table that has any."""

    def work(connection: Connection) -> dict[str, int]:
        name_tenant(connection, EVERYONE)
        found = {}
        for table in Base.metadata.sorted_tables:
            found[table.name] = connection.scalar(
                select(func.count()).select_from(table).where(_mine(table, tenant_id))
            )
        return {name: count for name, count in found.items() if count}

    return await database.read(work)


async def put_another(database: Database, table: Table, tenant_id: str, **values: Any) -> None:
    """Put one more row into a table."""

    def work(connection: Connection) -> None:
        name_tenant(connection, EVERYONE)
        connection.execute(insert(table), _row(table, tenant_id) | values)

    await database.write(work)


async def empty(database: Database, table: Table, tenant_id: str) -> None:
    def work(connection: Connection) -> None:
        name_tenant(connection, EVERYONE)
        connection.execute(delete(table).where(_mine(table, tenant_id)))

    await database.write(work)


def _mine(table: Table, tenant_id: str) -> Any:
    if "tenant_id" in table.c:
        return table.c.tenant_id == tenant_id
    if table.name == "run_events":
        return table.c.run_id == uuid5(_SPACE, tenant_id)
    if table.name in CHILDREN:
        return table.c.thread_id.startswith(f"{tenant_id}:")
    return literal(False)
