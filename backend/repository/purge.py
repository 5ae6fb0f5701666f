"""Removes all rows of a tenant, whichever table they are in, a few at a time.

The tables are taken from the models, so that one that is added later is emptied without anybody thinking of it; what is
to stay has to be named here.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from uuid import UUID

from sqlalchemy import ColumnElement, Table, delete, func, select, tuple_

from backend.database.model import (
    ApiKeyRow,
    Base,
    CheckpointRow,
    CronRow,
    InstallationRow,
    RefreshTokenRow,
    RunEventRow,
    RunRow,
    ThreadRow,
    WriteRow,
    table_of,
)
from backend.repository.scope import Scoped

KEPT = frozenset({"tenants", "usage", "audit_log"})
"""What outlives a tenant: that there was one and its name is taken, what is to be paid for it, and who did what."""

_runs, _threads = table_of(RunRow), table_of(ThreadRow)
_events, _checkpoints, _writes = table_of(RunEventRow), table_of(CheckpointRow), table_of(WriteRow)
_UNENDED = ("queued", "pending", "running")


def own_tables() -> list[Table]:
    """Return the tables that are emptied: first what lets somebody or something in, and none before its children."""
    doors = [table_of(row) for row in (InstallationRow, ApiKeyRow, RefreshTokenRow, CronRow)]
    others = [table for table in reversed(Base.metadata.sorted_tables) if "tenant_id" in table.c and table not in doors]
    return [table for table in (*doors, *others) if table.name not in KEPT]


class PurgeRepository(Scoped):
    """The rows of one tenant. What removes takes at most so many rows and says how many: ask until there are none."""

    def remove(self, table: Table, limit: int) -> int:
        """Remove rows of a table that has a `tenant_id`; those that belong to them go with them."""
        return self._some(table, table.c.tenant_id == self._tenant_id, limit)

    def active_threads(self, limit: int) -> list[UUID]:
        """Return threads whose runs have not all ended."""
        query = select(_runs.c.thread_id).where(_runs.c.tenant_id == self._tenant_id, _runs.c.status.in_(_UNENDED))
        return list(self._connection.scalars(query.distinct().limit(limit)))

    def threads(self, limit: int) -> list[UUID]:
        query = select(_threads.c.thread_id).where(_threads.c.tenant_id == self._tenant_id)
        return list(self._connection.scalars(query.limit(limit)))

    def remove_history(self, threads: Collection[UUID], limit: int) -> Mapping[str, int]:
        """Remove what runs said and what they saved on threads, then the runs; return how much of which table."""
        mine = (_runs.c.tenant_id == self._tenant_id) & _runs.c.thread_id.in_(threads)
        keys = [self._key(thread) for thread in threads]
        return self._first(
            (
                (_events, _events.c.run_id.in_(select(_runs.c.run_id).where(mine))),
                (_writes, _writes.c.thread_id.in_(keys)),
                (_checkpoints, _checkpoints.c.thread_id.in_(keys)),
                (_runs, mine),
            ),
            limit,
        )

    def remove_threads(self, threads: Collection[UUID]) -> int:
        """Remove threads whose history is gone."""
        mine = (_threads.c.tenant_id == self._tenant_id) & _threads.c.thread_id.in_(threads)
        return self._connection.execute(delete(_threads).where(mine)).rowcount

    def remove_strays(self, limit: int) -> Mapping[str, int]:
        """Remove checkpoints and writes of threads that have no row; return how much of which table."""
        return self._first([(table, self._saved(table)) for table in (_writes, _checkpoints)], limit)

    def _first(self, steps: Iterable[tuple[Table, ColumnElement[bool]]], limit: int) -> Mapping[str, int]:
        """Remove from the first of several tables that has any."""
        for table, condition in steps:
            if removed := self._some(table, condition, limit):
                return {str(table.name): removed}
        return {}

    def _some(self, table: Table, condition: ColumnElement[bool], limit: int) -> int:
        key: Sequence[ColumnElement[object]] = list(table.primary_key)
        found = select(*key).where(condition).limit(limit)
        chosen = key[0].in_(found) if len(key) == 1 else tuple_(*key).in_(found)
        return self._connection.execute(delete(table).where(chosen)).rowcount

    def _key(self, thread: object) -> str:
        """As `Checkpointer` names threads; the tenant `default`, whose threads have no prefix, is never purged."""
        return f"{self._tenant_id}:{thread}"

    def _saved(self, table: Table) -> ColumnElement[bool]:
        column, prefix = table.c.thread_id, self._key("")
        if self._connection.dialect.name == "sqlite":  # bytewise, so what begins so is one range of the index
            return (column >= prefix) & (column < prefix[:-1] + ";")
        return func.starts_with(column, prefix)
