"""Checkpoints in our database: langgraph-checkpoint-sqlite's tables and serializer, our writer and our fence.

The stock `AsyncSqliteSaver` can read the file. What differs is how it is written: through the `Database` port, so that
checkpoints share commits with run rows and events, and, when bound to an attempt of a run, only while that attempt is
the current one: a zombie's checkpoint would become the head of the thread.
"""

import asyncio
import threading
from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from random import random
from typing import Any, Protocol, cast
from uuid import UUID

import orjson
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    WRITES_IDX_MAP,
    BaseCheckpointSaver,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
    get_checkpoint_id,
    get_checkpoint_metadata,
)
from langgraph.checkpoint.serde.base import SerializerProtocol
from langgraph.checkpoint.serde.types import INTERRUPT, RESUME
from langgraph.checkpoint.sqlite.utils import load_pending_writes
from sqlalchemy import Connection, text

from backend.core.error import Fenced
from backend.core.run.serde import checkpoint_serde
from backend.database.base import Database
from backend.database.prepared import Prepared
from backend.database.tenant_scope import name_tenant
from backend.dto.principal import DEFAULT_TENANT
from backend.dto.thread import ChannelSize, StorageSize

PAGE = 100
"""Checkpoints that a listing reads at once."""

Params = dict[str, Any]


def _sql(sql: str) -> Prepared:
    return Prepared(text(sql))


_FENCE = _sql("SELECT 1 FROM runs WHERE run_id = :run AND attempt = :attempt AND status = 'running'")
_FENCE_LOCK = _sql("SELECT 1 FROM runs WHERE run_id = :run AND attempt = :attempt AND status = 'running' FOR SHARE")
"""Where others write at the same moment, nobody takes over before this transaction ends."""
_PUT = _sql(
    "INSERT INTO checkpoints"
    " (thread_id, checkpoint_ns, checkpoint_id, parent_checkpoint_id, type, checkpoint, metadata)"
    " VALUES (:thread, :ns, :id, :parent, :type, :checkpoint, :metadata)"
    " ON CONFLICT (thread_id, checkpoint_ns, checkpoint_id) DO UPDATE SET parent_checkpoint_id ="
    " excluded.parent_checkpoint_id, type = excluded.type, checkpoint = excluded.checkpoint,"
    " metadata = excluded.metadata"
)
_PUT_WRITE = (
    "INSERT INTO writes (thread_id, checkpoint_ns, checkpoint_id, task_id, task_path, idx, channel, type, value)"
    " VALUES (:thread, :ns, :id, :task, :path, :idx, :channel, :type, :value)"
    " ON CONFLICT (thread_id, checkpoint_ns, checkpoint_id, task_id, idx) DO "
)
_ADD_WRITES = _sql(_PUT_WRITE + "NOTHING")
_SET_WRITES = _sql(
    _PUT_WRITE + "UPDATE SET task_path = excluded.task_path, channel = excluded.channel, type = excluded.type,"
    " value = excluded.value"
)
_COLUMNS = "thread_id, checkpoint_ns, checkpoint_id, parent_checkpoint_id, type, checkpoint, metadata"
_BY_ID = _sql(
    f"SELECT {_COLUMNS} FROM checkpoints WHERE thread_id = :thread AND checkpoint_ns = :ns AND checkpoint_id = :id"
)
_LATEST = _sql(
    f"SELECT {_COLUMNS} FROM checkpoints WHERE thread_id = :thread AND checkpoint_ns = :ns"
    " ORDER BY checkpoint_id DESC LIMIT 1"
)
_WRITES = _sql(
    "SELECT task_id, channel, type, value, task_path, idx FROM writes"
    " WHERE thread_id = :thread AND checkpoint_ns = :ns AND checkpoint_id = :id"
)
_WAITS = _sql(
    "SELECT 1 FROM writes WHERE thread_id = :thread AND checkpoint_ns = '' AND channel = :channel AND checkpoint_id ="
    " (SELECT max(checkpoint_id) FROM checkpoints WHERE thread_id = :thread AND checkpoint_ns = '') LIMIT 1"
)
_DELETE = (
    _sql("DELETE FROM checkpoints WHERE thread_id = :thread"),
    _sql("DELETE FROM writes WHERE thread_id = :thread"),
)
_OLDER = "WHERE thread_id = :thread AND checkpoint_ns = :ns AND checkpoint_id < :id"
_PRUNE = (_sql(f"DELETE FROM checkpoints {_OLDER}"), _sql(f"DELETE FROM writes {_OLDER}"))
_CHAIN = _sql(
    "SELECT checkpoint_id, parent_checkpoint_id, metadata FROM checkpoints"
    " WHERE thread_id = :thread AND checkpoint_ns = :ns AND checkpoint_id <= :id ORDER BY checkpoint_id DESC"
)
_ONE = "WHERE thread_id = :thread AND checkpoint_ns = :ns AND checkpoint_id = :id"
_DROP = (_sql(f"DELETE FROM checkpoints {_ONE}"), _sql(f"DELETE FROM writes {_ONE}"))
_NEWEST = _sql("SELECT max(checkpoint_id) FROM checkpoints WHERE thread_id = :thread")
_WRITES_SIZE = _sql("SELECT count(*), coalesce(sum(length(value)), 0) FROM writes WHERE thread_id = :thread")
_BLOBS = _sql(
    "SELECT checkpoint_ns, checkpoint_id, type, checkpoint, coalesce(length(metadata), 0) FROM checkpoints"
    " WHERE thread_id = :thread AND (checkpoint_ns > :ns OR (checkpoint_ns = :ns AND checkpoint_id > :after))"
    " ORDER BY checkpoint_ns, checkpoint_id LIMIT :limit"
)
_HEADS = _sql(
    "SELECT checkpoint_ns, max(checkpoint_id) FROM checkpoints WHERE thread_id = :thread GROUP BY checkpoint_ns"
)
_DROP_ANSWERS = _sql(
    "DELETE FROM writes WHERE thread_id = :thread AND checkpoint_ns = :ns AND checkpoint_id = :id"
    " AND channel = :channel"
)
_COPY = (
    _sql(
        "INSERT INTO checkpoints (thread_id, checkpoint_ns, checkpoint_id, parent_checkpoint_id, type, checkpoint,"
        " metadata) SELECT CAST(:target AS TEXT), checkpoint_ns, checkpoint_id, parent_checkpoint_id, type, checkpoint,"
        " metadata FROM checkpoints WHERE thread_id = :source"
    ),
    _sql(
        "INSERT INTO writes (thread_id, checkpoint_ns, checkpoint_id, task_id, task_path, idx, channel, type, value)"
        " SELECT CAST(:target AS TEXT), checkpoint_ns, checkpoint_id, task_id, task_path, idx, channel, type, value"
        " FROM writes WHERE thread_id = :source"
    ),
)
_RUN_OF = {
    "sqlite": "json_extract(CAST(metadata AS TEXT), '$.run_id')",
    "postgresql": "convert_from(metadata, 'UTF8')::jsonb ->> 'run_id'",
}


_HAS = {
    "sqlite": "json_contains(CAST(metadata AS TEXT), :filter) = 1",
    "postgresql": "convert_from(metadata, 'UTF8')::jsonb @> CAST(CAST(:filter AS TEXT) AS jsonb)",
}
_DELTAS = "counters_since_delta_snapshot"
"""LangGraph's list, in a checkpoint's metadata, of the channels whose value begins at an ancestor."""


class Guard(Protocol):
    """Who is asked before each write of a saver, within its transaction."""

    def check(self, connection: Connection) -> None:
        """Let the write pass, or raise."""

    def wrote(self, checkpoint_id: str) -> None:
        """Hear of a checkpoint that was saved."""


@dataclass(frozen=True, slots=True)
class Fence:
    """The attempt of a run in whose name a saver writes."""

    run_id: UUID
    attempt: int

    def check(self, connection: Connection) -> None:
        """Let the current attempt pass; the transaction is the run's tenant's already.

        Raises:
            Fenced: another attempt has taken over, or the run has ended.
        """
        run_id = self.run_id.hex if connection.dialect.name == "sqlite" else self.run_id
        fence = _FENCE if connection.dialect.name == "sqlite" else _FENCE_LOCK
        if not fence.run(connection, {"run": run_id, "attempt": self.attempt}):
            raise Fenced(self.run_id, self.attempt)

    def wrote(self, checkpoint_id: str) -> None:
        pass


class Checkpointer(BaseCheckpointSaver[str]):
    """A LangGraph checkpointer over our database; `bound` gives the one for a run."""

    def __init__(
        self,
        database: Database,
        *,
        tenant_id: str = DEFAULT_TENANT,
        fence: Guard | None = None,
        fresh: bool = False,
        serde: SerializerProtocol | None = None,
    ) -> None:
        """`fresh`: the thread is new in this run, so its first look-up needs no query."""
        super().__init__(serde=serde or _SERDE)
        self._database = database
        self._tenant_id = tenant_id
        self._fence = fence
        self._fresh = fresh
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = 0
        """The loop's."""

    def bound(self, tenant_id: str, fence: Guard | None = None, *, fresh: bool = False) -> "Checkpointer":
        """Return a saver that sees only `tenant_id`'s threads and, with a fence, writes only while that lets it."""
        saver = Checkpointer(self._database, tenant_id=tenant_id, fence=fence, fresh=fresh, serde=self.serde)
        saver._loop = asyncio.get_running_loop()
        saver._thread = threading.get_ident()
        return saver

    def with_allowlist(self, extra_allowlist: Collection[tuple[str, ...]]) -> "Checkpointer":
        """Return this saver: a graph's types are known to its serializer, and a copy would not share its state."""
        del extra_allowlist
        return self

    def _key(self, thread_id: object) -> str:
        """The thread's name in the file. Ids hold no colon where they come from us (they are UUIDs)."""
        return str(thread_id) if self._tenant_id == DEFAULT_TENANT else f"{self._tenant_id}:{thread_id}"

    def _mine(self) -> tuple[str, Params]:
        """The condition that a row is one of the tenant's."""
        if self._tenant_id == DEFAULT_TENANT:
            return "thread_id NOT LIKE '%:%'", {}
        prefix = self._key("")
        return "substr(thread_id, 1, :length) = :prefix", {"length": len(prefix), "prefix": prefix}

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        configurable = config["configurable"]
        checkpoint_id = get_checkpoint_id(config)
        if self._fresh and checkpoint_id is None:
            self._fresh = False
            return None
        params = {"thread": self._key(configurable["thread_id"]), "ns": configurable.get("checkpoint_ns", "")}

        def work(connection: Connection) -> tuple[Any, Sequence[Any]] | None:
            name_tenant(connection, self._tenant_id)
            if checkpoint_id is None:
                found = _LATEST.run(connection, params)
            else:
                found = _BY_ID.run(connection, {**params, "id": checkpoint_id})
            if not found:
                return None
            return found[0], _WRITES.run(connection, {**params, "id": found[0][2]})

        row = await self._database.read(work)
        return None if row is None else self._tuple(str(configurable["thread_id"]), *row)

    async def alist(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[CheckpointTuple]:
        """Yield checkpoints, newest first, read in pages: nobody who pauses here keeps others from writing."""
        configurable = {} if config is None else config["configurable"]
        conditions = []
        params: Params = {}
        if config is None:
            condition, params = self._mine()
            conditions.append(condition)
        if config is not None:
            conditions.append("thread_id = :thread")
            params["thread"] = self._key(configurable["thread_id"])
            if (ns := configurable.get("checkpoint_ns")) is not None:
                conditions.append("checkpoint_ns = :ns")
                params["ns"] = ns
            if (checkpoint_id := get_checkpoint_id(config)) is not None:
                conditions.append("checkpoint_id = :id")
                params["id"] = checkpoint_id
        if before is not None and (bound := get_checkpoint_id(before)) is not None:
            conditions.append("checkpoint_id < :before")
            params["before"] = bound
        if filter:
            conditions.append(_HAS[self._database.dialect])
            params["filter"] = orjson.dumps(filter).decode()
        where = f"WHERE {' AND '.join(conditions)}" if conditions else ""
        page = _sql(
            f"SELECT {_COLUMNS} FROM checkpoints {where}"
            " ORDER BY checkpoint_id DESC, thread_id, checkpoint_ns LIMIT :limit OFFSET :offset"
        )
        found = 0
        while limit is None or found < limit:
            size = PAGE if limit is None else min(PAGE, limit - found)

            def work(
                connection: Connection, offset: int = found, size: int = size
            ) -> Sequence[tuple[Any, Sequence[Any]]]:
                name_tenant(connection, self._tenant_id)
                return [
                    (row, _WRITES.run(connection, {"thread": row[0], "ns": row[1], "id": row[2]}))
                    for row in page.run(connection, {**params, "limit": size, "offset": offset})
                ]

            rows = await self._database.read(work)
            for row, writes in rows:
                yield self._tuple(str(configurable.get("thread_id", row[0].rpartition(":")[2])), row, writes)
            if len(rows) < size:
                return
            found += size

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        configurable = config["configurable"]
        kind, blob = self.serde.dumps_typed(checkpoint)
        params = {
            "thread": self._key(configurable["thread_id"]),
            "ns": configurable.get("checkpoint_ns", ""),
            "id": checkpoint["id"],
            "parent": configurable.get("checkpoint_id"),
            "type": kind,
            "checkpoint": blob,
            "metadata": orjson.dumps(
                get_checkpoint_metadata(config, metadata), default=str, option=orjson.OPT_NON_STR_KEYS
            ),
        }
        self._fresh = False
        await self._write(_PUT, params)
        if self._fence is not None:
            self._fence.wrote(checkpoint["id"])
        return {
            "configurable": {
                "thread_id": configurable["thread_id"],
                "checkpoint_ns": params["ns"],
                "checkpoint_id": checkpoint["id"],
            }
        }

    async def aput_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        configurable = config["configurable"]
        common = {
            "thread": self._key(configurable["thread_id"]),
            "ns": configurable.get("checkpoint_ns", ""),
            "id": configurable["checkpoint_id"],
            "task": task_id,
            "path": task_path,
        }
        rows = []
        for idx, (channel, value) in enumerate(writes):
            kind, blob = self.serde.dumps_typed(value)
            rows.append(
                {
                    **common,
                    "idx": WRITES_IDX_MAP.get(channel, idx),
                    "channel": channel,
                    "type": kind,
                    "value": blob,
                }
            )
        special = all(channel in WRITES_IDX_MAP for channel, _ in writes)
        await self._write(_SET_WRITES if special else _ADD_WRITES, rows)

    async def adelete_thread(self, thread_id: str) -> None:
        await self._database.write(lambda connection: self.delete_in(connection, [thread_id]))

    def delete_in(self, connection: Connection, thread_ids: Sequence[object]) -> None:
        """Delete threads' checkpoints as a part of a larger unit of work."""
        name_tenant(connection, self._tenant_id)
        for thread_id in thread_ids:
            for statement in _DELETE:
                statement.run(connection, {"thread": self._key(thread_id)})

    async def adelete_for_runs(self, run_ids: Sequence[str]) -> None:
        await self._database.write(lambda connection: self.delete_runs_in(connection, run_ids))

    def delete_runs_in(
        self, connection: Connection, run_ids: Sequence[object], thread_id: object | None = None
    ) -> None:
        """Delete what runs wrote as a part of a larger unit of work; `thread_id` spares the other threads' search."""
        name_tenant(connection, self._tenant_id)
        mine, common = self._mine()
        if thread_id is not None:
            mine, common = "thread_id = :thread", {"thread": self._key(thread_id)}
        condition = f"{mine} AND {_RUN_OF[connection.dialect.name]} = :run"
        find = _sql(f"SELECT thread_id, checkpoint_ns, checkpoint_id FROM checkpoints WHERE {condition}")
        for run_id in run_ids:
            for row in find.run(connection, {**common, "run": str(run_id)}):
                for table in ("checkpoints", "writes"):
                    _sql(
                        f"DELETE FROM {table} WHERE thread_id = :thread AND checkpoint_ns = :ns AND checkpoint_id = :id"
                    ).run(connection, {"thread": row[0], "ns": row[1], "id": row[2]})

    def waits_in(self, connection: Connection, thread_id: object) -> bool:
        """Return whether a thread stands at an interrupt, as a part of a larger unit of work."""
        name_tenant(connection, self._tenant_id)
        return bool(_WAITS.run(connection, {"thread": self._key(thread_id), "channel": INTERRUPT}))

    def drop_answers_in(self, connection: Connection, thread_id: object) -> None:
        """Forget the answers that wait at the thread's head, as a part of a larger unit of work.

        LangGraph keeps the answer of a run that is cancelled while its node works, and gives it, not the next one, to
        the node that asks again: a rejection would then act as the approval before it. So a stopped run takes its
        answer back; of several interrupts, those answered before must be answered again.
        """
        name_tenant(connection, self._tenant_id)
        thread = self._key(thread_id)
        for ns, head in _HEADS.run(connection, {"thread": thread}):
            _DROP_ANSWERS.run(connection, {"thread": thread, "ns": ns, "id": head, "channel": RESUME})

    def head_in(self, connection: Connection, thread_id: object) -> str | None:
        """Return the id of a thread's newest checkpoint of all namespaces, as a part of a larger unit of work."""
        name_tenant(connection, self._tenant_id)
        newest: str | None = _NEWEST.run(connection, {"thread": self._key(thread_id)})[0][0]
        return newest

    async def storage(self, thread_id: object) -> StorageSize:
        """Return what a thread's checkpoints take; they are read in pages and looked at in a thread."""
        thread = self._key(thread_id)

        def look(connection: Connection, statement: Prepared, params: Params) -> Sequence[Any]:
            name_tenant(connection, self._tenant_id)
            return statement.run(connection, params)

        writes, write_bytes = (
            await self._database.read(partial(look, statement=_WRITES_SIZE, params={"thread": thread}))
        )[0]
        sizes: dict[tuple[str, str], dict[Any, int]] = {}
        count = total = 0
        ns = after = ""
        while True:
            params = {"thread": thread, "ns": ns, "after": after, "limit": PAGE}
            rows = await self._database.read(partial(look, statement=_BLOBS, params=params))
            if not rows:
                break
            count += len(rows)
            total += sum(len(row[3]) + row[4] for row in rows)
            await asyncio.to_thread(self._measure, rows, sizes)
            ns, after = rows[-1][:2]
        channels: dict[str, ChannelSize] = {}
        for (_, channel), versions in sizes.items():
            known = channels.get(channel, ChannelSize(0, 0))
            channels[channel] = ChannelSize(known.versions + len(versions), known.bytes + sum(versions.values()))
        values = sum(channel.bytes for channel in channels.values())
        return StorageSize(count, max(total - values, 0), channels, writes, write_bytes)

    def _measure(self, rows: Sequence[Any], sizes: dict[tuple[str, str], dict[Any, int]]) -> None:
        for ns, _, kind, blob, _ in rows:
            checkpoint = self.serde.loads_typed((kind, blob))
            versions, values = checkpoint["channel_versions"], checkpoint["channel_values"]
            for channel, version in versions.items():
                known = sizes.setdefault((ns, channel), {})
                if version not in known:
                    known[version] = len(self.serde.dumps_typed(values[channel])[1]) if channel in values else 0

    async def acopy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        await self._database.write(lambda connection: self.copy_in(connection, source_thread_id, target_thread_id))

    def copy_in(self, connection: Connection, source: object, target: object) -> None:
        """Copy a thread's checkpoints and writes to another as a part of a larger unit of work."""
        name_tenant(connection, self._tenant_id)
        params = {"source": self._key(source), "target": self._key(target)}
        for statement in _COPY:
            statement.run(connection, params)

    async def aprune(self, thread_ids: Sequence[str], *, strategy: str = "keep_latest") -> None:
        """Delete threads' checkpoints (`delete`), or all but the newest of each namespace (`keep_latest`)."""
        if strategy not in {"keep_latest", "delete"}:
            raise ValueError(f"There is no pruning strategy {strategy!r}.")

        def work(connection: Connection) -> None:
            if strategy == "delete":
                self.delete_in(connection, thread_ids)
            else:
                self.prune_in(connection, thread_ids)

        await self._database.write(work)

    def prune_in(self, connection: Connection, thread_ids: Sequence[object]) -> None:
        """Keep the newest checkpoint of each namespace of threads, and what it needs, within a larger unit of work.

        The value of a `DeltaChannel` begins at an ancestor: those up to there stay.
        """
        name_tenant(connection, self._tenant_id)
        for thread_id in thread_ids:
            thread = self._key(thread_id)
            for ns, head in _HEADS.run(connection, {"thread": thread}):
                at = {"thread": thread, "ns": ns, "id": head}
                metadata = _BY_ID.run(connection, at)[0][6]
                if not (orjson.loads(metadata or b"{}").get(_DELTAS)):
                    for statement in _PRUNE:
                        statement.run(connection, at)
                    continue
                rows = {row[0]: row for row in _CHAIN.run(connection, at)}
                needed = _with_deltas(rows, head)
                for checkpoint_id in rows.keys() - needed:
                    for statement in _DROP:
                        statement.run(connection, {**at, "id": checkpoint_id})

    def get_next_version(self, current: str | None, channel: None) -> str:
        """Return a version that sorts after `current`, as langgraph-checkpoint-sqlite writes it."""
        number = 0 if current is None else int(str(current).split(".", maxsplit=1)[0])
        return f"{number + 1:032}.{random():016}"

    # A synchronous node may ask for state from its thread; its question goes to the loop.

    def get_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        return cast("CheckpointTuple | None", self._from_thread(self.aget_tuple(config)))

    def list(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> Iterator[CheckpointTuple]:
        async def collect() -> list[CheckpointTuple]:
            return [found async for found in self.alist(config, filter=filter, before=before, limit=limit)]

        yield from self._from_thread(collect())

    def put(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        return cast(RunnableConfig, self._from_thread(self.aput(config, checkpoint, metadata, new_versions)))

    def put_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        self._from_thread(self.aput_writes(config, writes, task_id, task_path))

    def delete_thread(self, thread_id: str) -> None:
        self._from_thread(self.adelete_thread(thread_id))

    def _from_thread(self, question: Any) -> Any:
        if self._loop is None:
            question.close()
            raise RuntimeError("The synchronous methods need a saver that `bound` made.")
        if threading.get_ident() == self._thread:
            question.close()
            raise RuntimeError("In a coroutine, await the asynchronous method: this one would block all runs.")
        return asyncio.run_coroutine_threadsafe(question, self._loop).result(60)

    async def _write(self, statement: Prepared, params: Params | Sequence[Params]) -> None:
        fence = self._fence

        def work(connection: Connection) -> None:
            name_tenant(connection, self._tenant_id)
            if fence is not None:
                fence.check(connection)
            statement.run(connection, cast(Any, params))

        await self._database.write(work, durable=False)

    def _tuple(self, thread_id: str, row: Any, writes: Sequence[Any]) -> CheckpointTuple:
        _, ns, checkpoint_id, parent_id, kind, checkpoint, metadata = row

        def config(of: str) -> RunnableConfig:
            return {"configurable": {"thread_id": thread_id, "checkpoint_ns": ns, "checkpoint_id": of}}

        return CheckpointTuple(
            config(checkpoint_id),
            self.serde.loads_typed((kind, checkpoint)),
            cast(CheckpointMetadata, orjson.loads(metadata) if metadata is not None else {}),
            config(parent_id) if parent_id else None,
            load_pending_writes(writes, self.serde),
        )


def _with_deltas(rows: Mapping[str, Any], head: str) -> set[str]:
    """Return the checkpoint and its ancestors back to the one where each of its delta channels is whole."""
    needed: set[str] = set()
    at: str | None = head
    missing: set[str] | None = None
    while at is not None and at in rows and missing != set():
        needed.add(at)
        _, parent, metadata = rows[at]
        deltas = set(orjson.loads(metadata or b"{}").get(_DELTAS) or ())
        missing = deltas if missing is None else missing & deltas
        at = parent
    return needed


_SERDE = checkpoint_serde()
