"""What happens on a thread, as the events of the thread protocol: all its runs, one after the other.

Who subscribes is first shown what is kept, then what comes, over the ends of runs and also before the first. Events are
counted over all of them, whether they are wanted or not, so that a number means the same on every connection. A
subscription costs a place in the log and no queue.
"""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Connection

from backend.core.error import Gone, ThreadNotFound
from backend.core.run.event_log import EventLog, EventStore
from backend.core.run.protocol_event import EventFilter, Shown
from backend.core.run.protocol_view import RunView
from backend.database.base import Database
from backend.dto.event import START, Cursor, Event
from backend.dto.principal import Principal
from backend.dto.run import Run
from backend.repository.run import RunRepository
from backend.repository.thread_history import ThreadHistory
from backend.util.containment import Filters

PAGE = 100
"""Runs that are looked up at once."""
_BEFORE = UUID(int=0)

Place = tuple[UUID, Cursor]
"""Where an event is: its run, and its cursor in it. Later events have greater places."""


class Numbered(NamedTuple):
    """An event with its number and its place on the thread."""

    seq: int
    place: Place
    event: Shown

    def wire(self) -> bytes:
        return self.event.numbered(self.seq)


@dataclass(frozen=True, slots=True)
class Edge:
    """What was there at one moment: the events up to the last run, of those that had not ended up to a cursor."""

    last: UUID = _BEFORE
    open: dict[UUID, Cursor] = field(default_factory=dict)

    def holds(self, place: Place) -> bool:
        """Return whether an event was there then."""
        run_id, cursor = place
        return run_id <= self.last and (run_id not in self.open or cursor <= self.open[run_id])


@dataclass(slots=True)
class Subscription:
    """What one reader wants of a thread."""

    filter: EventFilter
    since: int = 0
    """Of what was there when it began, what it does not need again: the events up to this number."""
    edge: Edge = field(default_factory=Edge)
    after: Place | None = None
    """The last event that it was shown."""

    def wants(self, found: Numbered) -> bool:
        if self.after is not None and found.place <= self.after:
            return False
        if found.seq <= self.since and self.edge.holds(found.place):
            return False
        return self.filter.wants(found.event)


class SubscriptionService:
    def __init__(self, database: Database, log: EventLog, store: EventStore) -> None:
        self._database = database
        self._log = log
        self._store = store

    async def check(self, principal: Principal, thread_id: UUID, only: Filters) -> None:
        """Make sure that the thread may be read; without `only` one that is yet to be made may be waited for.

        Raises:
            ThreadNotFound: it is hidden from who asks, or does not pass `only`, or is not there.
        """
        if only is None and not principal.hidden:
            return

        def refused(connection: Connection) -> bool:
            history = ThreadHistory(connection, principal.tenant_id, thread_id, only, principal.hidden)
            return history.is_hidden if only is None else not history.is_there

        if await self._database.read(refused):
            raise ThreadNotFound(thread_id)

    async def subscribe(
        self, principal: Principal, thread_id: UUID, wanted: EventFilter, since: int = 0, *, only: Filters = None
    ) -> Subscription:
        """Return a subscription that begins now; it has no need of the events up to number `since`.

        Where less than that is kept (a run was taken back, or its events have expired), all that is kept is shown
        again: clients drop by its id what they know.
        """
        if since <= 0:
            return Subscription(wanted)
        edge = await self._edge(principal, thread_id, only)
        total = 0
        async with aclosing(self._until(principal, thread_id, edge, only)) as batches:
            async for batch in batches:
                total = batch[-1].seq
        return Subscription(wanted, since if since <= total else 0, edge)

    async def so_far(
        self, principal: Principal, thread_id: UUID, *, only: Filters = None
    ) -> AsyncGenerator[list[Numbered]]:
        """Yield what is kept at this moment."""
        edge = await self._edge(principal, thread_id, only)
        async with aclosing(self._until(principal, thread_id, edge, only)) as batches:
            async for batch in batches:
                yield batch

    async def follow(
        self, principal: Principal, thread_id: UUID, *, only: Filters = None
    ) -> AsyncGenerator[list[Numbered]]:
        """Yield what is kept, then what comes, in batches of all there is; it never ends by itself."""
        tenant = principal.tenant_id
        counter = _Counter()
        reached, view = _BEFORE, None
        while True:
            coming = self._log.next_run(tenant, thread_id)
            try:
                found = await self._page(principal, thread_id, reached, only)
                for run in found:
                    if view is None or view.run.run_id != run.run_id:
                        view = _Following(run)
                    async with aclosing(self._events(run, view.cursor)) as batches:
                        async for batch in batches:
                            if shown := counter.number(view, batch):
                                yield shown
                    if not (view.ended or run.ended):
                        break  # made, and not yet here: it is about to be announced
                    reached = run.run_id
                else:
                    if len(found) == PAGE:
                        continue
                await coming
            finally:
                coming.cancel()

    async def read(
        self, principal: Principal, thread_id: UUID, subscription: Subscription, *, only: Filters = None
    ) -> AsyncGenerator[list[Numbered]]:
        """Yield the events that one subscription wants; it never ends by itself."""
        async with aclosing(self.follow(principal, thread_id, only=only)) as batches:
            async for batch in batches:
                if wanted := [found for found in batch if subscription.wants(found)]:
                    yield wanted

    async def tree(self, principal: Principal, run: Run) -> list[Shown]:
        """Return what a run has said of the life of its graphs until now."""
        edge = Edge(run.run_id, {} if run.ended else {run.run_id: self._position(run)})
        said: list[Shown] = []
        async with aclosing(self._kept(_Following(run), edge, _Counter())) as batches:
            async for batch in batches:
                said += [found.event for found in batch if found.event.method == "lifecycle"]
        return said

    async def _edge(self, principal: Principal, thread_id: UUID, only: Filters) -> Edge:
        tenant = principal.tenant_id

        def work(connection: Connection) -> tuple[Run | None, list[Run]]:
            newest = ThreadHistory(connection, tenant, thread_id, only, principal.hidden).newest()
            return newest, RunRepository(connection, tenant).after(thread_id, None, limit=PAGE)

        newest, unended = await self._database.read(work)
        if newest is None:
            return Edge()
        return Edge(newest.run_id, {run.run_id: self._position(run) for run in unended})

    def _position(self, run: Run) -> Cursor:
        channel = self._log.find(run.tenant_id, run.run_id)
        return START if channel is None else Cursor(channel.attempt, channel.seq)

    async def _until(
        self, principal: Principal, thread_id: UUID, edge: Edge, only: Filters
    ) -> AsyncGenerator[list[Numbered]]:
        counter = _Counter()
        reached = _BEFORE
        while True:
            found = await self._page(principal, thread_id, reached, only)
            for run in found:
                if run.run_id > edge.last:
                    return
                async with aclosing(self._kept(_Following(run), edge, counter)) as batches:
                    async for batch in batches:
                        yield batch
                reached = run.run_id
            if len(found) < PAGE:
                return

    async def _kept(self, view: "_Following", edge: Edge, counter: "_Counter") -> AsyncGenerator[list[Numbered]]:
        """Yield what an edge holds of a run; all of it is there, so that nothing is waited for."""
        run_id = view.run.run_id
        last = edge.open.get(run_id)
        if last == START:
            return
        async with aclosing(self._events(view.run, START)) as batches:
            async for batch in batches:
                within = [event for event in batch if edge.holds((run_id, event.cursor))]
                if shown := counter.number(view, within):
                    yield shown
                if last is not None and batch[-1].cursor >= last:
                    return

    async def _page(self, principal: Principal, thread_id: UUID, after: UUID, only: Filters) -> list[Run]:
        tenant, hidden = principal.tenant_id, principal.hidden
        return await self._database.read(
            lambda connection: ThreadHistory(connection, tenant, thread_id, only, hidden).after(after, limit=PAGE)
        )

    async def _events(self, run: Run, after: Cursor) -> AsyncGenerator[list[Event]]:
        """Yield a run's events behind `after`; what is no longer kept is left out."""
        while True:
            reading: AsyncIterator[list[Event]] = self._log.read(run.tenant_id, run.run_id, after, ended=run.ended)
            try:
                async for batch in reading:
                    after = batch[-1].cursor
                    yield batch
            except Gone:
                kept = await self._store.after(run.tenant_id, run.run_id, after)
                if kept:
                    after = kept[-1].cursor
                    yield kept
                    continue
                channel = self._log.find(run.tenant_id, run.run_id)
                if channel is None or channel.forgotten <= after:
                    return
                after = channel.forgotten
            else:
                return


class _Following:
    """Where a reader is in a run."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.view = RunView(run)
        self.cursor = START
        self.ended = False


class _Counter:
    """Numbers the events of a thread."""

    def __init__(self) -> None:
        self._seq = 0

    def number(self, following: _Following, events: list[Event]) -> list[Numbered]:
        found: list[Numbered] = []
        for event in events:
            before, at = following.cursor, event.cursor
            # What is no longer kept of a run counts too: otherwise the numbers of the rest would change with time.
            self._seq += at.seq - 1 - (before.seq if before.attempt == at.attempt else 0)
            following.cursor = at
            following.ended = event.ends_run
            for shown in following.view.show(event):
                self._seq += 1
                found.append(Numbered(self._seq, (following.run.run_id, at), shown))
        return found
