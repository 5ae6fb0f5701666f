"""What runs say: one log, any number of readers, each with a cursor.

An event is serialized once and kept here while its run lives; the store has it within `FLUSH_SECONDS`. A reader takes
what is behind its cursor, first from the store, then from memory, then waits. So a reader costs its cursor, a slow one
holds nothing up, and one that comes back anywhere misses nothing and gets nothing twice.
"""

import asyncio
from bisect import bisect_right
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from loguru import logger

from backend.core.error import Gone
from backend.dto.event import START, Cursor, Event
from backend.dto.run import Run

FLUSH_SECONDS = 0.02
TRIM_BYTES = 8 * 1024 * 1024
"""Most bytes of events that one run keeps in memory."""
LINGER_SECONDS = 120.0
"""How long a run that is kept nowhere can still be read when it has ended, if its stream can be resumed."""
GLANCE_SECONDS = 15.0
"""How long one that cannot be resumed."""
LINGERERS = 1000
"""Most such runs."""


class EventStore(Protocol):
    """Where events outlive the process."""

    async def append(self, batches: Sequence["Batch"]) -> None:
        """Keep batches; those of an attempt that is no longer current are dropped."""

    async def after(self, tenant_id: str, run_id: UUID, cursor: Cursor) -> list[Event]:
        """Return a run's kept events behind `cursor`, in order."""

    async def last(self, tenant_id: str, run_id: UUID) -> Cursor | None:
        """Return where the last kept event of a run is."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Consecutive events of one attempt; `first` is the oldest sequence number still to be kept."""

    run_id: UUID
    attempt: int
    events: Sequence[Event]
    first: int = 1


class Channel:
    """The events of one run, in this process."""

    __slots__ = (
        "_bytes",
        "_limit",
        "_log",
        "_waiters",
        "attempt",
        "body",
        "closed",
        "complete",
        "dropped",
        "events",
        "flushed",
        "forgotten",
        "run",
        "run_id",
        "sealed",
        "seq",
        "tenant_id",
    )

    def __init__(self, run_id: UUID, tenant_id: str, limit: int, log: "EventLog | None") -> None:
        """A channel without a log is kept nowhere else and read from here alone."""
        self.run_id = run_id
        self.tenant_id = tenant_id
        self.attempt = 0
        self.seq = 0
        self.events: list[Event] = []
        self.dropped = 0
        """How many events have left memory: the absolute position of `events[0]`."""
        self.forgotten = START
        """The last event that has left memory."""
        self.flushed = 0
        """Absolute position up to which the store has them."""
        self.sealed = False
        """Whether the attempt may say no more: it has ended, or was abandoned."""
        self.closed = False
        self.run: Run | None = None
        """The run itself, where no row tells of it, or none will."""
        self.body: bytes | None = None
        """What those are told who wait for the end alone; there when the run has ended in this process."""
        self.complete = log is None
        """Whether all that the run ever said was said here."""
        self._limit = limit
        self._log = log
        self._bytes = 0
        self._waiters: list[asyncio.Future[None]] = []

    def begin(self, attempt: int) -> None:
        """From here on, events belong to `attempt`."""
        self.attempt = attempt
        self.seq = 0
        self.sealed = False

    def append(self, name: str, data: bytes) -> None:
        """Say something; readers wake, and the store has it soon."""
        if self.sealed:
            return
        self.seq += 1
        self.events.append(Event(Cursor(self.attempt, self.seq), name, data))
        self._bytes += len(data)
        if self._log is not None and len(self.events) - (self.flushed - self.dropped) == 1:
            self._log.dirty(self)
        if len(self.events) > self._limit or self._bytes > TRIM_BYTES:
            self._trim()
        if self._waiters:
            self._wake()

    def take_unflushed(self) -> Batch | None:
        """Return what the store does not have, and count it as handed over."""
        fresh = self.events[self.flushed - self.dropped :]
        if not fresh:
            return None
        self.flushed = self.dropped + len(self.events)
        return Batch(self.run_id, self.attempt, fresh, max(1, self.seq - self._limit + 1))

    def seal(self, name: str, data: bytes) -> list[Event]:
        """Let the attempt say no more; return what the store does not have, with the last event behind it.

        That one is shown to readers by `end`, when the end is recorded.
        """
        self.sealed = True
        batch = self.take_unflushed()
        last = Event(Cursor(self.attempt, self.seq + 1), name, data)
        return [*(batch.events if batch is not None else ()), last]

    def end(self, last: Event | None = None) -> None:
        """Show the last event; nothing more comes from this process."""
        if last is not None:
            self.events.append(last)
            self.flushed += 1
        self.closed = True
        self._wake()

    def position(self, cursor: Cursor) -> int:
        """Return the absolute position of the first event behind `cursor`."""
        return self.dropped + bisect_right(self.events, cursor, key=lambda event: event.cursor)

    async def wait(self, position: int) -> None:
        """Return when there is something at `position`, or nothing will be."""
        if self.closed or self.dropped + len(self.events) > position:
            return
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            await waiter
        finally:
            with suppress(ValueError):
                self._waiters.remove(waiter)

    async def ended(self) -> None:
        """Return when the run has ended, or left this process."""
        while not self.closed:
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            try:
                await waiter
            finally:
                with suppress(ValueError):
                    self._waiters.remove(waiter)

    async def follow(self, cursor: Cursor) -> AsyncIterator[list[Event]]:
        """Yield what is behind `cursor`, in batches of all there is, until the run ends or leaves this process.

        Raises:
            Gone: the reader has fallen behind what is kept in memory.
        """
        position = self.position(cursor) if cursor >= self.forgotten else -1
        while True:
            if position < self.dropped:
                raise Gone("The events after this one are no longer kept.")
            batch = self.events[position - self.dropped :]
            if batch:
                position += len(batch)
                yield batch
                if batch[-1].ends_run:
                    return
            elif self.closed:
                return
            else:
                await self.wait(position)

    def _wake(self) -> None:
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)
        self._waiters.clear()

    def _trim(self) -> None:
        """Forget the older half of what the store has (or, without a store, of all)."""
        can = (self.flushed - self.dropped) if self._log is not None else len(self.events)
        count = min(can, len(self.events) // 2)
        if count <= 0:
            return
        self._bytes -= sum(len(event.data) for event in self.events[:count])
        self.forgotten = self.events[count - 1].cursor
        del self.events[:count]
        self.dropped += count


class EventLog:
    """The channels of the runs in this process, and the way to what the store has of the others."""

    def __init__(self, store: EventStore, *, limit: int) -> None:
        self._store = store
        self._limit = limit
        self._channels: dict[UUID, Channel] = {}
        self._dirty: list[Channel] = []
        self._wanted = asyncio.Event()
        self._handing = asyncio.Lock()
        self._in_hand: set[UUID] = set()
        self._threads: dict[tuple[str, UUID], list[asyncio.Future[None]]] = {}
        self._lingering: deque[UUID] = deque()
        self._listeners: dict[tuple[str, UUID], list[Callable[[str, bytes], None]]] = {}

    def channel(self, run_id: UUID, tenant_id: str, *, new: bool = False, kept: bool = True) -> Channel:
        """Return the channel of a run that has not ended: whoever makes or takes up a run asks before its readers.

        `new` says that the run was just made, so that there is nothing of it in the store; `kept` False keeps its
        events in memory alone.
        """
        channel = self._channels.get(run_id)
        if channel is None:
            channel = self._channels[run_id] = Channel(run_id, tenant_id, self._limit, self if kept else None)
            channel.complete = new or not kept
        return channel

    def find(self, tenant_id: str, run_id: UUID) -> Channel | None:
        """Return the channel of a tenant's run that lives here, or ended here a moment ago."""
        channel = self._channels.get(run_id)
        return channel if channel is not None and channel.tenant_id == tenant_id else None

    def ephemeral(self, run_id: UUID, tenant_id: str, *, found: bool = False) -> Channel:
        """Return a channel that is kept nowhere else; `found` lets others read it by its run's id."""
        channel = Channel(run_id, tenant_id, self._limit, None)
        if found:
            self._channels[run_id] = channel
        return channel

    def end(self, channel: Channel, last: Event | None = None, *, linger: bool = False) -> None:
        """Show the last event and let the channel go; whoever still reads it holds it.

        `linger` lets others find it for a while: there is no row that could tell them of its run.
        """
        channel.end(last)
        if not linger:
            self._channels.pop(channel.run_id, None)
            return
        kept = channel.run is None or channel.run.request.stream_resumable
        self._lingering.append(channel.run_id)
        if len(self._lingering) > LINGERERS:
            self._channels.pop(self._lingering.popleft(), None)
        asyncio.get_running_loop().call_later(LINGER_SECONDS if kept else GLANCE_SECONDS, self._let_go, channel.run_id)

    def _let_go(self, run_id: UUID) -> None:
        self._channels.pop(run_id, None)
        with suppress(ValueError):
            self._lingering.remove(run_id)

    async def read(
        self, tenant_id: str, run_id: UUID, after: Cursor, *, ended: bool = True
    ) -> AsyncIterator[list[Event]]:
        """Yield the run's events behind `after`: those that are kept, then, while it lives here, those to come.

        A run that has not `ended` and is not here may not have said anything yet.

        Raises:
            Gone: events between `after` and what is kept are lost to this reader.
        """
        channel = self._channels.get(run_id)
        if channel is not None and channel.tenant_id != tenant_id:
            channel = None
        behind = channel is None or not self._reaches(channel, after)
        while True:
            if behind:
                kept = await self._kept(tenant_id, run_id, after, ended=ended and channel is None)
                if kept:
                    after = kept[-1].cursor
                    yield kept
                    if kept[-1].ends_run:
                        return
                elif channel is not None and after < channel.forgotten:
                    raise Gone("The events after this one are no longer kept.")
            if channel is None:
                return
            try:
                async for batch in channel.follow(after):
                    after = batch[-1].cursor
                    yield batch
            except Gone:  # a slow reader, and memory has gone on without it: the store may still have what comes next
                behind = True
            else:
                return

    async def _kept(self, tenant_id: str, run_id: UUID, after: Cursor, *, ended: bool) -> list[Event]:
        """Return what the store has behind `after`, if nothing is missing in it."""
        kept = await self._store.after(tenant_id, run_id, after)
        before = after
        for event in kept:
            if _gap(before, event.cursor):
                raise Gone("The events after this one are no longer kept.")
            before = event.cursor
        if not kept and ended:
            last = await self._store.last(tenant_id, run_id)
            if last is None or after < last:
                raise Gone("The events of this run are no longer kept.")
        return kept

    @staticmethod
    def _reaches(channel: Channel, after: Cursor) -> bool:
        """Whether memory alone holds everything behind `after`."""
        if channel.complete and not channel.dropped:
            return True
        return bool(channel.events) and after >= channel.events[0].cursor

    def dirty(self, channel: Channel) -> None:
        self._dirty.append(channel)
        self._wanted.set()

    def close(self) -> None:
        """Let go of the runs that are still here: their readers end, and read on after the next start."""
        for channel in list(self._channels.values()):
            self.end(channel)

    async def flush(self) -> None:
        """Hand to the store whatever it does not have."""
        channels, self._dirty = self._dirty, []
        batches = [batch for channel in channels if (batch := channel.take_unflushed()) is not None]
        if batches:
            async with self._handing:
                self._in_hand = {batch.run_id for batch in batches}
                try:
                    await self._store.append(batches)
                finally:
                    self._in_hand = set()

    async def settle(self, channel: Channel) -> None:
        """Return when the store has what was handed over of a run: its last events may have been quicker."""
        if channel.run_id in self._in_hand:
            async with self._handing:
                pass

    async def flush_forever(self) -> None:
        """Flush every `FLUSH_SECONDS` while something is said. A store that fails costs replay, not runs."""
        while True:
            await self._wanted.wait()
            await asyncio.sleep(FLUSH_SECONDS)
            self._wanted.clear()
            try:
                await self.flush()
            except Exception:  # noqa: BLE001 - a task of ours
                logger.exception("events could not be kept")

    # A thread's readers wait here for its next run.

    def announce(self, tenant_id: str, thread_id: UUID) -> None:
        """Wake those who wait for a run on the thread."""
        for waiter in self._threads.pop((tenant_id, thread_id), ()):
            if not waiter.done():
                waiter.set_result(None)

    @contextmanager
    def listening(self, tenant_id: str, thread_id: UUID, hear: Callable[[str, bytes], None]) -> Iterator[None]:
        """Let `hear` be told what is said of a thread outside its runs."""
        key = (tenant_id, thread_id)
        self._listeners.setdefault(key, []).append(hear)
        try:
            yield
        finally:
            self._listeners[key].remove(hear)
            if not self._listeners[key]:
                del self._listeners[key]

    def say(self, tenant_id: str, thread_id: UUID, name: str, data: Callable[[], bytes]) -> None:
        """Tell those who listen to a thread; `data` is only asked for when somebody does."""
        listeners = self._listeners.get((tenant_id, thread_id))
        if listeners:
            said = data()
            for hear in list(listeners):
                hear(name, said)

    def next_run(self, tenant_id: str, thread_id: UUID) -> asyncio.Future[None]:
        """Return a future that is done when a run has been made on the thread; cancel it when it is not needed."""
        waiter = asyncio.get_running_loop().create_future()
        key = (tenant_id, thread_id)
        self._threads.setdefault(key, []).append(waiter)
        waiter.add_done_callback(lambda _: self._forget(key, waiter))
        return waiter

    def _forget(self, key: tuple[str, UUID], waiter: asyncio.Future[None]) -> None:
        waiters = self._threads.get(key)
        if waiters is not None and waiter in waiters:
            waiters.remove(waiter)
            if not waiters:
                del self._threads[key]


def _gap(after: Cursor, first: Cursor) -> bool:
    """Whether events are missing between a cursor and the first event behind it that is kept."""
    if first.attempt == after.attempt:
        return first.seq != after.seq + 1
    return first.seq != 1
