"""All SQL of threads but their search. The tenant is bound once, so that no statement can forget it."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Text,
    and_,
    bindparam,
    cast,
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
from backend.database.base import dump_json, load_json
from backend.database.model import ThreadMetadataRow, ThreadRow, table_of
from backend.database.prepared import Prepared
from backend.dto.thread import Thread, ThreadClaim, ThreadState, ThreadStatus, ThreadTtl
from backend.repository.scope import AcrossTenants, Scoped
from backend.util.containment import Filters, passes
from backend.util.metadata_term import lines_of

_threads = table_of(ThreadRow)
_lines = table_of(ThreadMetadataRow)
_one = (_threads.c.tenant_id == bindparam("tenant")) & (_threads.c.thread_id == bindparam("thread"))
LARGE = ("error", "interrupts", "values")
"""Columns that only those read who show a thread's state."""
slim = [column for column in _threads.c if column.name not in LARGE]
whole = [*slim, *(cast(_threads.c[name], Text).label(name) for name in LARGE)]
"""All columns; the large ones as the JSON that they are."""
_select = select(*slim).where(_one)
_lock = _select.with_for_update()
_select_whole = select(*whole).where(_one)
_insert = Prepared(insert(_threads))
_update = update(_threads).where(_one)
_set_status = Prepared(_update.values(status=bindparam("to"), updated_at=bindparam("now")))
_begin_run = Prepared(
    _update.values(
        status=bindparam("to"),
        agent=bindparam("graph"),
        metadata=bindparam("described"),
        graph_id=bindparam("named_graph"),
        assistant_id=bindparam("named_assistant"),
        config=bindparam("configured"),
        updated_at=bindparam("now"),
    )
)
_settle = Prepared(
    _update.values(
        status=bindparam("to"),
        values=bindparam("left"),
        interrupts=bindparam("waiting"),
        error=bindparam("failure"),
        updated_at=bindparam("now"),
        state_updated_at=bindparam("now"),
    )
)
_copy_state = _update.values(
    {
        name: select(_threads.c[name])
        .where(_threads.c.tenant_id == bindparam("tenant"), _threads.c.thread_id == bindparam("source"))
        .correlate(None)
        .scalar_subquery()
        for name in ("values", "interrupts", "error")
    }
)
_add_lines = Prepared(insert(_lines))
_drop_lines = Prepared(
    delete(_lines).where(_lines.c.tenant_id == bindparam("tenant"), _lines.c.thread_id == bindparam("thread"))
)
_NUL = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")
"""A NUL character in JSON, with the backslashes before it that belong to others."""
COLUMNS = ("graph_id", "assistant_id")
"""Keys of the metadata that are columns, not lines of the index."""


def as_column(value: Any) -> str | None:
    """Return what the column of one of `COLUMNS` holds for its value in the metadata."""
    return value if isinstance(value, str) and len(value) <= 255 else None


def indexed_lines(metadata: Mapping[str, Any]) -> set[tuple[str, str]]:
    """Return the lines of `thread_metadata` that a thread's metadata have."""
    if not metadata:
        return set()
    in_columns = {key for key in COLUMNS if as_column(metadata.get(key)) is not None}
    return lines_of({key: value for key, value in metadata.items() if key not in in_columns})


class ThreadRepository(Scoped):
    def __init__(self, connection: Connection, tenant_id: str, hidden: Sequence[str] = ()) -> None:
        """Bind the tenant; threads of the graphs `hidden` (`Principal.hidden`) are not there."""
        super().__init__(connection, tenant_id)
        self._hidden = hidden

    def insert(self, thread: Thread) -> None:
        """Add a thread.

        Raises:
            ThreadExists: its id is taken.
        """
        ttl = thread.ttl
        try:
            _insert.run(
                self._connection,
                {
                    "tenant_id": self._tenant_id,
                    "thread_id": thread.thread_id,
                    "status": thread.status,
                    "agent": thread.agent,
                    "metadata": thread.metadata,
                    "graph_id": as_column(thread.metadata.get("graph_id")),
                    "assistant_id": as_column(thread.metadata.get("assistant_id")),
                    "created_at": thread.created_at,
                    "updated_at": thread.updated_at,
                    "state_updated_at": thread.state_updated_at,
                    "config": thread.config,
                    "values": None,
                    "interrupts": None,
                    "error": None,
                    "ttl_strategy": None if ttl is None else ttl.strategy,
                    "ttl_minutes": None if ttl is None else ttl.minutes,
                    "expires_at": None if ttl is None else ttl.expires_at,
                    "claimed_by": None,
                    "claimed_until": None,
                },
            )
        except IntegrityError as error:
            raise ThreadExists(thread.thread_id) from error
        self._index(thread.thread_id, set(), indexed_lines(thread.metadata))

    def get(self, thread_id: UUID, *, lock: bool = False, only: Filters = None) -> Thread:
        """Return a thread; `lock` keeps others from changing it until the transaction ends.

        Raises:
            ThreadNotFound: no such thread, another tenant's, or a hidden one; or `only` hides it.
        """
        thread = self.find(thread_id, lock=lock)
        if thread is None or not passes(thread.metadata, only):
            raise ThreadNotFound(thread_id)
        return thread

    def find(self, thread_id: UUID, *, lock: bool = False) -> Thread | None:
        """Return a thread, or None when there is no such thread."""
        row = self._connection.execute(_lock if lock else _select, self._at(thread_id)).one_or_none()
        return None if row is None or self._hides(row) else thread_of(row)

    def look(self, thread_id: UUID, *, only: Filters = None) -> tuple[Thread, ThreadState]:
        """Return a thread and its state, to be handed on.

        Raises:
            ThreadNotFound: no such thread, another tenant's, or `only` hides it.
        """
        row = self._connection.execute(_select_whole, self._at(thread_id)).one_or_none()
        if row is None or self._hides(row):
            raise ThreadNotFound(thread_id)
        thread = thread_of(row)
        if not passes(thread.metadata, only):
            raise ThreadNotFound(thread_id)
        return thread, state_of(row)

    def state(self, thread_id: UUID) -> ThreadState:
        """Return what the thread's last run left.

        Raises:
            ThreadNotFound: no such thread, or another tenant's.
        """
        _, state = self.look(thread_id)
        values = state.values
        return ThreadState(None if values is None else load_json(orjson.dumps(values)), state.interrupts, state.error)

    def set_status(self, thread_id: UUID, status: ThreadStatus, now: datetime) -> None:
        _set_status.run(self._connection, {**self._at(thread_id), "to": status, "now": now})

    def begin_run(
        self,
        thread: Thread,
        now: datetime,
        *,
        agent: str,
        metadata: Mapping[str, Any] | None = None,
        config: dict[str, Any] | None = None,
    ) -> None:
        """Make a thread busy with a run of `agent`; merge `metadata` into its own, and keep `config`."""
        described = {**thread.metadata, **metadata} if metadata else thread.metadata
        configured = thread.config if config is None else config
        if agent == thread.agent and described == thread.metadata and configured == thread.config:
            self.set_status(thread.thread_id, "busy", now)
            return
        _begin_run.run(
            self._connection,
            {
                **self._at(thread.thread_id),
                "to": "busy",
                "graph": agent,
                "described": described,
                "named_graph": as_column(described.get("graph_id")),
                "named_assistant": as_column(described.get("assistant_id")),
                "configured": configured,
                "now": now,
            },
        )
        if described != thread.metadata:
            self._index(thread.thread_id, indexed_lines(thread.metadata), indexed_lines(described))

    def settle(
        self,
        thread_id: UUID,
        status: ThreadStatus,
        now: datetime,
        *,
        values: Any,
        interrupts: Mapping[str, Any] | None = None,
        error: Any = None,
    ) -> None:
        """Keep what a run left; `values` may be JSON already (`orjson.Fragment`)."""
        _settle.run(
            self._connection,
            {
                **self._at(thread_id),
                "to": status,
                "left": self._storable(values),
                "waiting": self._storable(interrupts),
                "failure": self._storable(error),
                "now": now,
            },
        )

    def copy_state(self, source: UUID, target: UUID) -> None:
        """Keep with one thread what the last run of another left."""
        self._connection.execute(_copy_state, {**self._at(target), "source": source})

    def lock(self, thread_id: UUID) -> None:
        """Let nobody else change the thread or its runs until the transaction ends.

        Whoever changes both asks first, also to end a run: two that lock a run and its thread in different orders would
        wait for each other. On SQLite the one writer is the lock.
        """
        if self._connection.dialect.name != "sqlite":
            self._connection.execute(_lock, self._at(thread_id))

    def update(
        self, thread: Thread, *, now: datetime, metadata: dict[str, Any] | None = None, ttl: ThreadTtl | None = None
    ) -> None:
        """Change what is given of a thread that was read and locked in this transaction."""
        values: dict[str, Any] = {"updated_at": now}
        if metadata is not None:
            values |= {"metadata": metadata} | {key: as_column(metadata.get(key)) for key in COLUMNS}
        if ttl is not None:
            values |= {"ttl_strategy": ttl.strategy, "ttl_minutes": ttl.minutes, "expires_at": ttl.expires_at}
        self._connection.execute(_update.values(**values), self._at(thread.thread_id))
        if metadata is not None:
            self._index(thread.thread_id, indexed_lines(thread.metadata), indexed_lines(metadata))

    def set_claim(self, thread_id: UUID, claim: ThreadClaim | None) -> None:
        """Say who has taken over a thread that was locked in this transaction; None: nobody."""
        by, until = (None, None) if claim is None else (claim.user_id, claim.until)
        self._connection.execute(_update.values(claimed_by=by, claimed_until=until), self._at(thread_id))

    def delete(self, thread_id: UUID) -> None:
        """Remove a thread; its runs and their events go with it.

        Raises:
            ThreadNotFound: no such thread, or another tenant's.
        """
        done = self._connection.execute(delete(_threads).where(_one), self._at(thread_id))
        if done.rowcount == 0:
            raise ThreadNotFound(thread_id)

    def list(
        self, *, limit: int, before: tuple[datetime, UUID] | None = None, metadata: dict[str, Any] | None = None
    ) -> list[Thread]:
        """Return threads, the last changed first, from behind `before` on; `metadata` keeps those with equal values."""
        query = select(*slim).where(_threads.c.tenant_id == self._tenant_id)
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
        if self._hidden:
            query = query.where(func.coalesce(_threads.c.agent, _threads.c.graph_id, "").not_in(self._hidden))
        query = query.order_by(_threads.c.updated_at.desc(), _threads.c.thread_id.desc()).limit(limit)
        return [thread_of(row) for row in self._connection.execute(query)]

    def _index(self, thread_id: UUID, known: set[tuple[str, str]], wanted: set[tuple[str, str]]) -> None:
        """Bring the lines of the index from those of the metadata as they were to those as they are."""
        if known == wanted:
            return
        if known:
            _drop_lines.run(self._connection, self._at(thread_id))
        if wanted:
            of = {"tenant_id": self._tenant_id, "thread_id": thread_id}
            _add_lines.run(self._connection, [{**of, "path": path, "value": value} for path, value in sorted(wanted)])

    def _storable(self, value: Any) -> Any:
        """Return what a graph left without NUL characters: PostgreSQL's JSON cannot hold them."""
        if value is None or self._connection.dialect.name == "sqlite":
            return value
        text = dump_json(value)
        return orjson.Fragment(_NUL.sub(r"\1", text)) if "\\u0000" in text else value

    def _hides(self, row: Row[Any]) -> bool:
        """Of a thread without a run its metadata name the graph, as `service/thread_state.py graph_of` has it."""
        return bool(self._hidden) and (row.graph_id if row.agent is None else row.agent) in self._hidden

    def _at(self, thread_id: UUID) -> dict[str, Any]:
        return {"tenant": self._tenant_id, "thread": thread_id}

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


class AllThreads(AcrossTenants):
    """The threads of every tenant: only for the sweepers."""

    def expiring(self, now: datetime, *, limit: int) -> Sequence[Thread]:
        """Return threads whose time may be over, the longest overdue first.

        A run does not move the moment that the table has, so that it costs a run nothing: `Thread.ttl` says whether
        the thread rests since.
        """
        query = select(*slim).where(_threads.c.expires_at <= now).order_by(_threads.c.expires_at).limit(limit)
        return [thread_of(row) for row in self._connection.execute(query.with_for_update(skip_locked=True))]

    def unclaimed(self, now: datetime, *, limit: int) -> Sequence[Thread]:
        """Return threads whose claim has run out and was not cleared away."""
        query = select(*slim).where(_threads.c.claimed_until <= now).order_by(_threads.c.claimed_until).limit(limit)
        return [thread_of(row) for row in self._connection.execute(query)]

    def put_off(self, thread: Thread, until: datetime) -> None:
        """Look at a thread again at another moment."""
        self._connection.execute(
            _update.values(expires_at=until), {"tenant": thread.tenant_id, "thread": thread.thread_id}
        )


_JSON_TYPES: dict[type, tuple[str, ...]] = {
    str: ("text",),
    int: ("integer", "real"),
    float: ("integer", "real"),
    dict: ("object",),
    list: ("array",),
}
"""SQLite's names of the types; null, true and false are types of their own."""


def thread_of(row: Row[Any]) -> Thread:
    """Return a row with the columns `slim` as what it means."""
    ttl = None
    if row.expires_at is not None:
        expires_at = row.expires_at
        if row.state_updated_at is not None:  # a thread lives on from its last run
            expires_at = max(expires_at, row.state_updated_at + timedelta(minutes=row.ttl_minutes))
        ttl = ThreadTtl(strategy=row.ttl_strategy, minutes=row.ttl_minutes, expires_at=expires_at)
    claim = None if row.claimed_until is None else ThreadClaim(row.claimed_by, row.claimed_until)
    return Thread(
        thread_id=row.thread_id,
        tenant_id=row.tenant_id,
        status=row.status,
        agent=row.agent,
        metadata=row.metadata,
        created_at=row.created_at,
        updated_at=row.updated_at,
        state_updated_at=row.state_updated_at,
        config=row.config or {},
        ttl=ttl,
        claim=claim,
    )


def state_of(row: Row[Any]) -> ThreadState:
    """Return the state in a row with the columns `whole`."""
    return ThreadState(
        values=None if row.values is None else orjson.Fragment(row.values),
        interrupts={} if row.interrupts is None else load_json(row.interrupts),
        error=None if row.error is None else load_json(row.error),
    )
