"""Threads: conversations and what was said in them."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Literal
from uuid import UUID

from langchain_core.messages import BaseMessage
from sqlalchemy import Connection

from backend.core.error import Conflict, Forbidden, Invalid, ThreadBusy, ThreadExists, ThreadNotFound
from backend.core.run.encoder import text_of
from backend.database.base import Database
from backend.dto.principal import Principal
from backend.dto.thread import Thread, ThreadQuery, ThreadState, ThreadStatus, TtlRule, TtlStrategy
from backend.repository.checkpoint import Checkpointer
from backend.repository.run import RunRepository
from backend.repository.thread import AllThreads, ThreadRepository
from backend.repository.thread_search import ThreadSearch
from backend.repository.ticket_thread import TicketThreadRepository
from backend.util.containment import Filters, passes
from backend.util.id_generator import new_id

SCAN = 100_000
"""Most threads whose values a search looks at."""
SCAN_PAGE = 1000
"""Threads whose values are looked at before others have their turn."""
PAUSE = timedelta(minutes=1)
"""After which a thread is looked at again whose claim has just run out."""
SWEEP = 20
"""Threads whose time is over that one transaction deals with."""
PRUNE = 50
"""Threads that one transaction prunes."""

_ROLES = {"human": "user", "ai": "assistant"}


class ThreadService:
    """`only` is what an authorization handler lets its caller see: what does not pass is not there."""

    def __init__(
        self,
        database: Database,
        checkpointer: Checkpointer,
        clock: Callable[[], datetime],
        *,
        default_ttl: TtlRule | None = None,
        stop_runs: Callable[[Principal, UUID], Awaitable[None]] | None = None,
    ) -> None:
        """`default_ttl` is of threads that ask for none; `stop_runs` ends the active runs of a thread."""
        self._database = database
        self._checkpointer = checkpointer
        self._clock = clock
        self._default_ttl = default_ttl
        self._stop_runs = stop_runs

    async def create(
        self, principal: Principal, *, thread_id: UUID | None = None, metadata: dict[str, Any] | None = None
    ) -> Thread:
        """Make a thread.

        Raises:
            ThreadExists: its id is taken.
        """
        thread, _ = await self.ensure(principal, thread_id=thread_id, metadata=metadata)
        return thread

    async def ensure(
        self,
        principal: Principal,
        *,
        thread_id: UUID | None = None,
        metadata: dict[str, Any] | None = None,
        ttl: TtlRule | None = None,
        if_exists: Literal["raise", "do_nothing"] = "raise",
        only: Filters = None,
    ) -> tuple[Thread, bool]:
        """Make a thread or, with `do_nothing`, find the one that has the id; return it and whether it is new.

        Raises:
            ThreadExists: its id is taken.
            Forbidden: it would be of a graph whose threads the caller does not see.
        """
        if (metadata or {}).get("graph_id") in principal.hidden:
            raise Forbidden("Threads of the support desk need the scope tickets:read.")
        now = self._clock()
        rule = ttl or self._default_ttl
        expiry = None if rule is None else rule.since(now)
        thread = Thread(
            thread_id or new_id(), principal.tenant_id, "idle", None, metadata or {}, now, now, now, ttl=expiry
        )
        try:
            await self._database.write(
                lambda connection: ThreadRepository(connection, principal.tenant_id, principal.hidden).insert(thread)
            )
        except ThreadExists:
            if if_exists == "raise":
                raise
            try:
                return await self.get(principal, thread.thread_id, only=only), False
            except ThreadNotFound:
                raise ThreadExists(thread_id) from None  # somebody else's, or just deleted
        return thread, True

    async def get(self, principal: Principal, thread_id: UUID, *, only: Filters = None) -> Thread:
        """Return a thread.

        Raises:
            ThreadNotFound: no such thread, or another tenant's.
        """
        return await self._database.read(
            lambda connection: ThreadRepository(connection, principal.tenant_id, principal.hidden).get(
                thread_id, only=only
            )
        )

    async def look(self, principal: Principal, thread_id: UUID, *, only: Filters = None) -> tuple[Thread, ThreadState]:
        """Return a thread and what its last run left.

        Raises:
            ThreadNotFound: no such thread, or another tenant's.
        """
        return await self._database.read(
            lambda connection: ThreadRepository(connection, principal.tenant_id, principal.hidden).look(
                thread_id, only=only
            )
        )

    async def search(
        self,
        principal: Principal,
        query: ThreadQuery,
        *,
        limit: int = 10,
        offset: int = 0,
        only: Filters = None,
        state: bool = True,
    ) -> tuple[list[tuple[Thread, ThreadState]], bool]:
        """Return a page of what is looked for, and whether there is more; `state` False leaves the states out.

        Raises:
            Invalid: what is looked for is not JSON, or too many threads would have to be looked at.
        """
        tenant = principal.tenant_id
        if query.values is None:
            found = await self._database.read(
                lambda connection: ThreadSearch(connection, tenant, principal.hidden).page(
                    query, limit=limit + 1, offset=offset, only=only, state=state
                )
            )
            return found[:limit], len(found) > limit
        ids = (await self._with_values(principal, query, only, enough=offset + limit + 1))[offset:]
        page = await self._database.read(
            lambda connection: ThreadSearch(connection, tenant, principal.hidden).named(ids[:limit], state=state)
        )
        return page, len(ids) > limit

    async def count(self, principal: Principal, query: ThreadQuery, *, only: Filters = None) -> int:
        """Return how many threads there are of what is looked for.

        Raises: as `search` does.
        """
        if query.values is not None:
            return len(await self._with_values(principal, query, only))
        return await self._database.read(
            lambda connection: ThreadSearch(connection, principal.tenant_id, principal.hidden).count(query, only=only)
        )

    async def _with_values(
        self, principal: Principal, query: ThreadQuery, only: Filters, enough: int | None = None
    ) -> list[UUID]:
        """Return the threads whose values contain what is looked for: no index has these, so they are read in pages."""
        tenant = principal.tenant_id
        ids = await self._database.read(
            lambda connection: ThreadSearch(connection, tenant, principal.hidden).ids(query, limit=SCAN + 1, only=only)
        )
        if len(ids) > SCAN:
            raise Invalid(f"A search by values looks at {SCAN} threads at most: add ids, metadata or a status.")
        found: list[UUID] = []
        for at in range(0, len(ids), SCAN_PAGE):
            page = ids[at : at + SCAN_PAGE]

            def work(connection: Connection, page: list[UUID] = page) -> set[UUID]:
                return ThreadSearch(connection, tenant, principal.hidden).with_values(page, query.values)

            matching = await self._database.read(work)
            found += [each for each in page if each in matching]
            if enough is not None and len(found) >= enough:
                break
        return found

    async def update(self, principal: Principal, thread_id: UUID, metadata: dict[str, Any]) -> Thread:
        """Merge `metadata` into the thread's; a value of None takes its key out.

        Raises:
            ThreadNotFound: no such thread, or another tenant's.
        """

        def work(connection: Connection) -> Thread:
            threads = ThreadRepository(connection, principal.tenant_id, principal.hidden)
            thread = threads.get(thread_id, lock=True)
            merged = {key: value for key, value in {**thread.metadata, **metadata}.items() if value is not None}
            now = self._clock()
            threads.update(thread, now=now, metadata=merged)
            return replace(thread, metadata=merged, updated_at=now)

        return await self._database.write(work)

    async def change(
        self,
        principal: Principal,
        thread_id: UUID,
        *,
        metadata: dict[str, Any] | None = None,
        ttl: TtlRule | None = None,
        only: Filters = None,
    ) -> tuple[Thread, ThreadState]:
        """Merge `metadata` into the thread's, key by key and as they are, and set its time to live; return it.

        Raises:
            ThreadNotFound: no such thread, or another tenant's.
        """

        def work(connection: Connection) -> tuple[Thread, ThreadState]:
            threads = ThreadRepository(connection, principal.tenant_id, principal.hidden)
            thread = threads.get(thread_id, lock=True, only=only)
            now = self._clock()
            merged = {**thread.metadata, **metadata} if metadata else None
            threads.update(thread, now=now, metadata=merged, ttl=None if ttl is None else ttl.since(now))
            return threads.look(thread_id)

        return await self._database.write(work)

    async def copy(
        self,
        principal: Principal,
        thread_id: UUID,
        *,
        metadata: dict[str, Any] | None = None,
        only: Filters = None,
    ) -> tuple[Thread, ThreadState]:
        """Make a thread with the metadata and all the checkpoints of another, without its runs; return it.

        `metadata` are merged into the copy's.

        Raises:
            Conflict: no such thread, or another tenant's.
        """
        tenant = principal.tenant_id
        saver = self._checkpointer.bound(tenant)

        def work(connection: Connection) -> tuple[Thread, ThreadState]:
            threads = ThreadRepository(connection, tenant, principal.hidden)
            source = threads.find(thread_id, lock=True)
            if source is None or not passes(source.metadata, only):
                raise Conflict(f"Thread {thread_id} does not exist, so it cannot be copied.")
            now = self._clock()
            waits = saver.waits_in(connection, thread_id)
            status: ThreadStatus = ("interrupted" if waits else "idle") if source.status == "busy" else source.status
            ttl = None if self._default_ttl is None else self._default_ttl.since(now)
            made = replace(
                source,
                thread_id=new_id(),
                status=status,
                metadata={**source.metadata, **(metadata or {})},
                created_at=now,
                updated_at=now,
                state_updated_at=now,
                ttl=ttl,
            )
            threads.insert(made)
            threads.copy_state(thread_id, made.thread_id)
            TicketThreadRepository(connection, tenant).copy(thread_id, made.thread_id)
            saver.copy_in(connection, thread_id, made.thread_id)
            return threads.look(made.thread_id)

        return await self._database.write(work)

    async def prune(
        self, principal: Principal, thread_ids: Sequence[UUID], strategy: TtlStrategy, *, only: Filters = None
    ) -> int:
        """Remove threads, or all their checkpoints but the newest; return of how many.

        What is not there is left out, and so is a busy one whose checkpoints were to be removed: its run needs them.
        """
        tenant = principal.tenant_id
        saver = self._checkpointer.bound(tenant)
        wanted = list(dict.fromkeys(thread_ids))
        if strategy == "delete":
            await self._stop(principal, wanted, only)

        def work(connection: Connection, page: list[UUID]) -> int:
            threads = ThreadRepository(connection, tenant, principal.hidden)
            pruned = 0
            for thread_id in page:
                thread = threads.find(thread_id, lock=True)
                if thread is None or not passes(thread.metadata, only):
                    continue
                if strategy == "delete":
                    saver.delete_in(connection, [thread_id])
                    threads.delete(thread_id)
                elif thread.status == "busy":
                    continue
                else:
                    saver.prune_in(connection, [thread_id])
                pruned += 1
            return pruned

        pruned = 0
        wanted.sort()
        for at in range(0, len(wanted), PRUNE):
            pruned += await self._database.write(partial(work, page=wanted[at : at + PRUNE]))
        return pruned

    async def delete(self, principal: Principal, thread_id: UUID, *, stop: bool = False, only: Filters = None) -> None:
        """Remove a thread with its runs, events and checkpoints; `stop` ends the runs that are active.

        Raises:
            ThreadNotFound: no such thread, or another tenant's.
            ThreadBusy: a run is active on it, and is not to be stopped.
        """
        saver = self._checkpointer.bound(principal.tenant_id)
        if stop:
            await self._stop(principal, [thread_id], only)

        def work(connection: Connection) -> None:
            threads = ThreadRepository(connection, principal.tenant_id, principal.hidden)
            # What a run that began just now still wants to write is refused: its row goes with the thread.
            busy = threads.get(thread_id, lock=True, only=only).status == "busy"
            if not stop and (busy or RunRepository(connection, principal.tenant_id).waits(thread_id)):
                raise ThreadBusy(thread_id)
            saver.delete_in(connection, [thread_id])
            threads.delete(thread_id)

        await self._database.write(work)

    async def _stop(self, principal: Principal, thread_ids: Sequence[UUID], only: Filters) -> None:
        if self._stop_runs is None:
            return
        query = ThreadQuery(ids=tuple(thread_ids))

        def work(connection: Connection) -> list[UUID]:
            search = ThreadSearch(connection, principal.tenant_id, principal.hidden)
            found = search.ids(query, limit=len(thread_ids), only=only)
            busy = set(search.ids(replace(query, status="busy"), limit=len(thread_ids), only=only))
            runs = RunRepository(connection, principal.tenant_id)
            # One that a person has is not busy, and its runs wait all the same: somebody may wait for their end.
            return [thread_id for thread_id in found if thread_id in busy or runs.waits(thread_id)]

        for thread_id in await self._database.read(work):
            await self._stop_runs(principal, thread_id)

    async def sweep_all(self) -> None:
        """Deal with all threads whose time is over, in portions."""
        while await self.sweep() == SWEEP:
            pass

    async def sweep(self, limit: int = SWEEP) -> int:
        """Deal with threads whose time is over, of every tenant; return how many were looked at.

        Fewer than `limit` means that no more are due. One with an active run is left for another time, and so is one
        that a person has.
        """

        def work(connection: Connection) -> int:
            now = self._clock()
            everything = AllThreads(connection)
            due = everything.expiring(now, limit=limit)
            for thread in due:
                assert thread.ttl is not None
                saver = Checkpointer(self._database, tenant_id=thread.tenant_id)
                later = now + timedelta(minutes=max(thread.ttl.minutes, 1))
                if thread.ttl.expires_at > now:
                    everything.put_off(thread, thread.ttl.expires_at)
                elif thread.status == "busy":
                    everything.put_off(thread, later)
                elif thread.claim is not None:  # what waits on it goes on when it is given back
                    everything.put_off(thread, max(thread.claim.until, now + PAUSE))
                elif thread.ttl.strategy == "delete":
                    saver.delete_in(connection, [thread.thread_id])
                    ThreadRepository(connection, thread.tenant_id).delete(thread.thread_id)
                else:
                    saver.prune_in(connection, [thread.thread_id])
                    everything.put_off(thread, later)
            return len(due)

        return await self._database.write(work)

    async def values(self, principal: Principal, thread_id: UUID) -> dict[str, Any]:
        """Return the thread's state as its last checkpoint has it; empty before the first.

        Raises:
            ThreadNotFound: no such thread, or another tenant's.
        """
        await self.get(principal, thread_id)
        saver = self._checkpointer.bound(principal.tenant_id)
        last = await saver.aget_tuple({"configurable": {"thread_id": str(thread_id)}})
        return {} if last is None else dict(last.checkpoint["channel_values"])

    async def messages(self, principal: Principal, thread_id: UUID) -> list[dict[str, Any]]:
        """Return what was said, oldest first, each with `id`, `role`, `content`; answers also with `citations`.

        Raises:
            ThreadNotFound: no such thread, or another tenant's.
        """
        found = (await self.values(principal, thread_id)).get("messages")
        messages = [item for item in found if isinstance(item, BaseMessage)] if isinstance(found, list) else []
        return [_message(message) for message in messages]

    async def list(
        self,
        principal: Principal,
        *,
        limit: int = 20,
        before: UUID | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> list[Thread]:
        """Return threads, the last changed first; `before` is the last thread of the page before.

        Raises:
            ThreadNotFound: there is no thread `before`.
        """

        def work(connection: Connection) -> Any:
            threads = ThreadRepository(connection, principal.tenant_id, principal.hidden)
            behind = None
            if before is not None:
                behind = threads.get(before).updated_at, before
            return threads.list(limit=limit, before=behind, metadata=metadata)

        return await self._database.read(work)


def _message(message: BaseMessage) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "id": message.id,
        "role": _ROLES.get(message.type, message.type),
        "content": text_of(message),
    }
    if citations := message.additional_kwargs.get("citations"):
        shown["citations"] = citations
    return shown
