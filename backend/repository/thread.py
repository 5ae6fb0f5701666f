"""All SQL of threads. The tenant is bound once, so that no statement can forget it."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    and_,
    bindparam,
    delete,
    exists,
    func,
    insert,
    literal,
    or_,
    select,
    type_coerce,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import IntegrityError

from backend.core.error import ThreadExists, ThreadNotFound
from backend.database.base import dump_json
from backend.database.model import ThreadRow, table_of
from backend.database.prepared import Prepared
from backend.dto.thread import Thread, ThreadStatus

_threads = table_of(ThreadRow)
_one = (_threads.c.tenant_id == bindparam("tenant")) & (_threads.c.thread_id == bindparam("thread"))
_select = select(_threads).where(_one)
_lock = _select.with_for_update()
_insert = Prepared(insert(_threads))
_update = update(_threads).where(_one)
_set_status = Prepared(_update.values(status=bindparam("to"), updated_at=bindparam("now")))


class ThreadRepository:
    def __init__(self, connection: Connection, tenant_id: str) -> None:
        self._connection = connection
        self._tenant_id = tenant_id

    def insert(self, thread: Thread) -> None:
        """Add a thread.

        Raises:
            ThreadExists: its id is taken.
        """
        try:
            _insert.run(
                self._connection,
                {
                    "tenant_id": self._tenant_id,
                    "thread_id": thread.thread_id,
                    "status": thread.status,
                    "agent": thread.agent,
                    "metadata": thread.metadata,
                    "created_at": thread.created_at,
                    "updated_at": thread.updated_at,
                },
            )
        except IntegrityError as error:
            raise ThreadExists(thread.thread_id) from error

    def get(self, thread_id: UUID, *, lock: bool = False) -> Thread:
        """Return a thread; `lock` keeps others from changing it until the transaction ends.

        Raises:
            ThreadNotFound: no such thread, or another tenant's.
        """
        row = self._connection.execute(
            _lock if lock else _select, {"tenant": self._tenant_id, "thread": thread_id}
        ).one_or_none()
        if row is None:
            raise ThreadNotFound(thread_id)
        return _thread(row)

    def set_status(self, thread_id: UUID, status: ThreadStatus, now: datetime) -> None:
        _set_status.run(self._connection, {"tenant": self._tenant_id, "thread": thread_id, "to": status, "now": now})

    def lock(self, thread_id: UUID) -> None:
        """Let nobody else change the thread or its runs until the transaction ends.

        Whoever changes both asks first, also to end a run: two that lock a run and its thread in different orders would
        wait for each other. On SQLite the one writer is the lock.
        """
        if self._connection.dialect.name != "sqlite":
            self._connection.execute(_lock, {"tenant": self._tenant_id, "thread": thread_id})

    def update(
        self,
        thread_id: UUID,
        *,
        now: datetime,
        status: ThreadStatus | None = None,
        agent: str | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """Change what is given."""
        values: dict[str, Any] = {"updated_at": now}
        if status is not None:
            values["status"] = status
        if agent is not None:
            values["agent"] = agent
        if metadata is not None:
            values["metadata"] = metadata
        self._connection.execute(_update.values(**values), {"tenant": self._tenant_id, "thread": thread_id})

    def delete(self, thread_id: UUID) -> None:
        """Remove a thread; its runs and their events go with it.

        Raises:
            ThreadNotFound: no such thread, or another tenant's.
        """
        done = self._connection.execute(delete(_threads).where(_one), {"tenant": self._tenant_id, "thread": thread_id})
        if done.rowcount == 0:
            raise ThreadNotFound(thread_id)

    def list(
        self, *, limit: int, before: tuple[datetime, UUID] | None = None, metadata: dict[str, Any] | None = None
    ) -> list[Thread]:
        """Return threads, the last changed first, from behind `before` on; `metadata` keeps those with equal values."""
        query = select(_threads).where(_threads.c.tenant_id == self._tenant_id)
        if before is not None:
            moment, thread_id = before
            query = query.where(
                or_(
                    _threads.c.updated_at < moment,
                    and_(_threads.c.updated_at == moment, _threads.c.thread_id < thread_id),
                )
            )
        for key, value in (metadata or {}).items():
            query = query.where(self._has(key, value))
        query = query.order_by(_threads.c.updated_at.desc(), _threads.c.thread_id.desc()).limit(limit)
        return [_thread(row) for row in self._connection.execute(query)]

    def _has(self, key: str, value: Any) -> ColumnElement[bool]:
        """The condition that the metadata has a value, of the same type. Keys are data: in no path, in no SQL."""
        if self._connection.dialect.name == "postgresql":
            wanted = literal(JSONB.NULL if value is None else value, JSONB())
            return type_coerce(_threads.c.metadata, JSONB)[key] == wanted
        each = func.json_each(_threads.c.metadata).table_valued("key", "value", "type")
        conditions = [each.c.key == key, each.c.type.in_(_JSON_TYPES.get(type(value), ()))]
        if value is None or isinstance(value, bool):
            conditions[1] = each.c.type == dump_json(value)
        else:
            conditions.append(each.c.value == (dump_json(value) if isinstance(value, dict | list) else value))
        return exists().where(*conditions)


_JSON_TYPES: dict[type, tuple[str, ...]] = {
    str: ("text",),
    int: ("integer", "real"),
    float: ("integer", "real"),
    dict: ("object",),
    list: ("array",),
}
"""SQLite's names of the types; null, true and false are types of their own."""


def _thread(row: Row[Any]) -> Thread:
    return Thread(
        thread_id=row.thread_id,
        tenant_id=row.tenant_id,
        status=row.status,
        agent=row.agent,
        metadata=row.metadata,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )
