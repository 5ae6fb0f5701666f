"""All SQL of assistants. The tenant is bound once, so that no statement can forget it.

The graphs' default assistants are rows of the tenant "", whom every tenant sees as its own, as long as their graph is
served here. A tenant that changes one gets a copy under the same id, with its versions, and sees that from then on.
"""

from collections.abc import Collection
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    Table,
    and_,
    bindparam,
    delete,
    exists,
    func,
    insert,
    literal,
    or_,
    select,
    update,
)

from backend.core.error import AssistantNotFound
from backend.database.model import AssistantRow, AssistantVersionRow, table_of
from backend.database.tenant_scope import EVERYONE
from backend.dto.assistant import (
    SHARED,
    Assistant,
    AssistantQuery,
    AssistantSort,
    AssistantVersion,
    SortOrder,
)
from backend.repository.containment import contained, passing
from backend.repository.scope import Bound
from backend.repository.upsert import insert_into
from backend.util.containment import Filters

_assistants = table_of(AssistantRow)
_versions = table_of(AssistantVersionRow)
_own = (_assistants.c.tenant_id == bindparam("tenant")) & (_assistants.c.assistant_id == bindparam("assistant"))
_select_own = select(_assistants).where(_own)
_lock_own = _select_own.with_for_update()
_seen = (
    select(_assistants)
    .where(
        _assistants.c.tenant_id.in_([bindparam("tenant"), SHARED]), _assistants.c.assistant_id == bindparam("assistant")
    )
    .order_by(_assistants.c.tenant_id.desc())  # "" is the least of all texts: the tenant's own row comes first
    .limit(1)
)
_ORDER: dict[AssistantSort, ColumnElement[Any]] = {
    "assistant_id": _assistants.c.assistant_id,
    "graph_id": _assistants.c.graph_id,
    "name": _assistants.c.folded_name,
    "created_at": _assistants.c.created_at,
    "updated_at": _assistants.c.updated_at,
}


class AssistantRepository(Bound):
    def __init__(self, connection: Connection, tenant_id: str, served: Collection[str]) -> None:
        """Bind the tenant and the graphs whose default assistants are to be seen.

        The default ones themselves belong to everyone: only who is named for everyone may write them.
        """
        super().__init__(connection, EVERYONE if tenant_id == SHARED else tenant_id)
        self._tenant_id = tenant_id
        self._served = served

    def find(self, assistant_id: UUID) -> Assistant | None:
        """Return the tenant's assistant of this id, or a graph's default one."""
        row = self._connection.execute(_seen, {"tenant": self._tenant_id, "assistant": assistant_id}).one_or_none()
        if row is None or (row.tenant_id == SHARED and row.graph_id not in self._served):
            return None
        return _assistant(row)

    def get(self, assistant_id: UUID) -> Assistant:
        """Return an assistant.

        Raises:
            AssistantNotFound: no such assistant, or another tenant's.
        """
        found = self.find(assistant_id)
        if found is None:
            raise AssistantNotFound(assistant_id)
        return found

    def claim(self, assistant_id: UUID) -> Assistant:
        """Return an assistant that belongs to the tenant, and let nobody else change it until the transaction ends.

        A graph's default one is copied for that, with its versions.

        Raises:
            AssistantNotFound: no such assistant, or another tenant's.
        """
        if self.get(assistant_id).shared:
            self._copy(_assistants, assistant_id)
            self._copy(_versions, assistant_id)
        row = self._connection.execute(_lock_own, {"tenant": self._tenant_id, "assistant": assistant_id}).one_or_none()
        if row is None:  # deleted a moment ago, by another server
            raise AssistantNotFound(assistant_id)
        return _assistant(row)

    def insert(self, assistant: Assistant) -> bool:
        """Add an assistant with its first version; return False when the tenant has one of this id."""
        values = {"tenant_id": self._tenant_id, **_content(assistant), "created_at": assistant.created_at}
        added = self._connection.execute(
            self._insert_or_leave(_assistants).values(
                **values, folded_name=assistant.name.casefold(), updated_at=assistant.updated_at
            )
        )
        if added.rowcount == 0:
            return False
        self._connection.execute(insert(_versions).values(values))
        return True

    def change(self, assistant: Assistant) -> None:
        """Write what an assistant has become; `add_version` keeps it."""
        self._connection.execute(
            update(_assistants)
            .where(_own)
            .values(**_content(assistant), folded_name=assistant.name.casefold(), updated_at=assistant.updated_at),
            {"tenant": self._tenant_id, "assistant": assistant.assistant_id},
        )

    def add_version(self, assistant: Assistant) -> None:
        """Keep what an assistant is now as a version."""
        values = {"tenant_id": self._tenant_id, **_content(assistant), "created_at": assistant.updated_at}
        self._connection.execute(insert(_versions).values(values))

    def replace_version(self, assistant: Assistant) -> None:
        """Write over the version that an assistant has."""
        self._connection.execute(
            update(_versions)
            .where(
                _versions.c.tenant_id == self._tenant_id,
                _versions.c.assistant_id == assistant.assistant_id,
                _versions.c.version == assistant.version,
            )
            .values(**_content(assistant))
        )

    def highest_version(self, assistant_id: UUID) -> int:
        """Return the number of the newest version of one of the tenant's own assistants; 0 without any."""
        query = select(func.max(_versions.c.version)).where(self._versions_of(self._tenant_id, assistant_id))
        return self._connection.execute(query).scalar_one() or 0

    def version(self, assistant_id: UUID, version: int) -> AssistantVersion | None:
        """Return a version of one of the tenant's own assistants."""
        query = select(_versions).where(
            self._versions_of(self._tenant_id, assistant_id), _versions.c.version == version
        )
        row = self._connection.execute(query).one_or_none()
        return None if row is None else _version(row)

    def versions(
        self, assistant: Assistant, *, metadata: dict[str, Any] | None, limit: int, offset: int
    ) -> list[AssistantVersion]:
        """Return the versions of an assistant that contain `metadata`, newest first."""
        query = select(_versions).where(self._versions_of(assistant.tenant_id, assistant.assistant_id))
        if metadata:
            query = query.where(contained(self._connection, _versions.c.metadata, metadata))
        query = query.order_by(_versions.c.version.desc()).limit(limit).offset(offset)
        return [_version(row) for row in self._connection.execute(query)]

    def delete(self, assistant_id: UUID) -> bool:
        """Remove the tenant's own assistant of this id with its versions; return whether there was one."""
        done = self._connection.execute(
            delete(_assistants).where(_own), {"tenant": self._tenant_id, "assistant": assistant_id}
        )
        return done.rowcount > 0

    def search(
        self,
        query: AssistantQuery,
        *,
        only: Filters,
        sort_by: AssistantSort,
        sort_order: SortOrder,
        limit: int,
        offset: int,
    ) -> list[Assistant]:
        """Return a page of the assistants that the query means."""
        columns = [_ORDER[sort_by], _assistants.c.assistant_id]
        order = [column.asc() if sort_order == "asc" else column.desc() for column in columns]
        rows = self._where(select(_assistants), query, only).order_by(*order).limit(limit).offset(offset)
        return [_assistant(row) for row in self._connection.execute(rows)]

    def count(self, query: AssistantQuery, *, only: Filters) -> int:
        """Return how many assistants the query means."""
        rows = self._where(select(func.count()).select_from(_assistants), query, only)
        count: int = self._connection.execute(rows).scalar_one()
        return count

    def _where(self, rows: Select[Any], query: AssistantQuery, only: Filters) -> Select[Any]:
        copy = _assistants.alias("copy")
        unchanged = ~exists().where(
            copy.c.tenant_id == self._tenant_id, copy.c.assistant_id == _assistants.c.assistant_id
        )
        shared = and_(_assistants.c.tenant_id == SHARED, _assistants.c.graph_id.in_(list(self._served)), unchanged)
        rows = rows.where(or_(_assistants.c.tenant_id == self._tenant_id, shared))
        if query.metadata:
            rows = rows.where(contained(self._connection, _assistants.c.metadata, query.metadata))
        if query.graph_id is not None:
            rows = rows.where(_assistants.c.graph_id == query.graph_id)
        if query.name:
            rows = rows.where(_assistants.c.folded_name.contains(query.name.casefold(), autoescape=True))
        passes = passing(self._connection, _assistants.c.metadata, only)
        return rows if passes is None else rows.where(passes)

    def _versions_of(self, tenant_id: str, assistant_id: UUID) -> ColumnElement[bool]:
        return and_(_versions.c.tenant_id == tenant_id, _versions.c.assistant_id == assistant_id)

    def _copy(self, table: Table, assistant_id: UUID) -> None:
        """Copy what is shared of an assistant to the tenant, unless it is there: two may change it at once."""
        columns = [column for column in table.c if column.name != "tenant_id"]
        rows = select(literal(self._tenant_id), *columns).where(
            table.c.tenant_id == SHARED, table.c.assistant_id == assistant_id
        )
        self._connection.execute(
            self._insert_or_leave(table).from_select(["tenant_id", *(column.name for column in columns)], rows)
        )

    def _insert_or_leave(self, table: Table) -> Any:
        return insert_into(self._connection, table).on_conflict_do_nothing()


def _content(item: Assistant) -> dict[str, Any]:
    return {
        "assistant_id": item.assistant_id,
        "graph_id": item.graph_id,
        "config": item.config,
        "context": item.context,
        "metadata": item.metadata,
        "name": item.name,
        "description": item.description,
        "version": item.version,
    }


def _assistant(row: Row[Any]) -> Assistant:
    return Assistant(
        assistant_id=row.assistant_id,
        tenant_id=row.tenant_id,
        graph_id=row.graph_id,
        config=row.config,
        context=row.context,
        metadata=row.metadata,
        name=row.name,
        description=row.description,
        version=row.version,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def _version(row: Row[Any]) -> AssistantVersion:
    return AssistantVersion(
        assistant_id=row.assistant_id,
        version=row.version,
        graph_id=row.graph_id,
        config=row.config,
        context=row.context,
        metadata=row.metadata,
        name=row.name,
        description=row.description,
        created_at=row.created_at,
    )
