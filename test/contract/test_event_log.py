"""The event log: whoever reads from wherever gets what was said since, in order and once, or hears that it is gone."""

import asyncio
from collections.abc import Sequence
from random import Random
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Connection

from backend.core.error import Gone, Unavailable
from backend.core.run import event_log
from backend.core.run.event_log import Batch, Channel, EventLog
from backend.database.base import Database
from backend.dto.event import START, Cursor, Event
from backend.dto.run import Run
from backend.repository.run_event import AllRunEvents
from backend.service.event_store import DatabaseEventStore
from test.engine_fixture import ALICE, Engine, FakeClock, request, until

Seen = list[tuple[Cursor, bytes]]


class MemoryStore:
    """A store that keeps batches in a list, can be held up and can fail."""

    def __init__(self) -> None:
        self.batches: list[Batch] = []
        self.fails = False
        self.failed = 0

    async def append(self, batches: Sequence[Batch]) -> None:
        await asyncio.sleep(0)
        if self.fails:
            self.failed += 1
            raise Unavailable("The store is broken.")
        self.batches += batches
        for batch in batches:
            self.batches = [
                one
                for one in self.batches
                if (one.run_id, one.attempt) != (batch.run_id, batch.attempt)
                or one.events[-1].cursor.seq >= batch.first
            ]

    async def after(self, tenant_id: str, run_id: UUID, cursor: Cursor) -> list[Event]:
        await asyncio.sleep(0)
        found = [event for batch in self.batches if batch.run_id == run_id for event in batch.events]
        return sorted((event for event in found if event.cursor > cursor), key=lambda event: event.cursor)

    async def last(self, tenant_id: str, run_id: UUID) -> Cursor | None:
        found = await self.after(tenant_id, run_id, START)
        return found[-1].cursor if found else None


def say(channel: Channel, count: int) -> None:
    for _ in range(count):
        channel.append("token", b'{"n":%d}' % (channel.seq + 1))


def finish(log: EventLog, store: MemoryStore, channel: Channel) -> None:
    """End a run as the worker does: what is left goes to the store with the last event, then readers see that."""
    events = channel.seal("done", b'{"n":"end"}')
    store.batches.append(Batch(channel.run_id, channel.attempt, events))
    log.end(channel, events[-1])


async def read(log: EventLog, run_id: UUID, after: Cursor = START) -> Seen:
    async with asyncio.timeout(60):
        return [(event.cursor, event.data) async for batch in log.read("t", run_id, after) for event in batch]


def expected(count: int, after: int = 0) -> Seen:
    """The tokens of a first attempt and its end."""
    tokens = [(Cursor(1, seq), b'{"n":%d}' % seq) for seq in range(after + 1, count + 1)]
    return [*tokens, (Cursor(1, count + 1), b'{"n":"end"}')]


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


def begun(log: EventLog, run_id: UUID | None = None, *, attempt: int = 1) -> Channel:
    channel = log.channel(run_id or uuid4(), "t", new=attempt == 1)
    channel.begin(attempt)
    return channel


@pytest.mark.parametrize("seed", range(6))
async def test_readers_that_drop_and_come_back_anywhere_get_each_event_once_and_in_order(store: MemoryStore, seed: int):
    """A writer in bursts, with flushes and trims; readers who leave after some events and come back where they were."""
    random = Random(seed)
    log = EventLog(store, limit=100_000)
    channel = begun(log)
    total = 600
    finished: list[Seen] = []

    async def reader(number: int) -> None:
        own = Random(seed * 100 + number)
        cursor = Cursor(1, own.randrange(total // 2)) if number % 2 else START
        first = cursor.seq
        seen: Seen = []
        while not seen or seen[-1][1] != b'{"n":"end"}':
            patience = own.randrange(1, 60)
            async for batch in log.read("t", channel.run_id, cursor):
                for event in batch[:patience]:
                    seen.append((event.cursor, event.data))
                    cursor = event.cursor
                patience -= len(batch)
                if own.random() < 0.3:
                    await asyncio.sleep(0)
                if patience <= 0:
                    break
        assert seen == expected(total, first)
        finished.append(seen)

    async def writer() -> None:
        while channel.seq < total:
            say(channel, min(random.randrange(1, 30), total - channel.seq))
            if random.random() < 0.5:
                await log.flush()
            if random.random() < 0.3:
                channel._trim()
            await asyncio.sleep(0)
        finish(log, store, channel)

    say(channel, total // 2)
    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        for number in range(20):
            group.create_task(reader(number))
        group.create_task(writer())
    assert len(finished) == 20


@pytest.mark.parametrize("seed", range(4))
async def test_where_little_is_kept_a_reader_gets_all_or_hears_that_it_is_gone(store: MemoryStore, seed: int):
    log = EventLog(store, limit=40)
    channel = begun(log)
    outcomes: list[str] = []

    async def reader(number: int) -> None:
        own = Random(seed * 100 + number)
        seen: Seen = []
        try:
            async for batch in log.read("t", channel.run_id, START):
                seen += [(event.cursor, event.data) for event in batch]
                for _ in range(own.randrange(0, 12)):
                    await asyncio.sleep(0)
        except Gone:
            outcomes.append("gone")
            assert seen == expected(len(seen))[:-1]
        else:
            outcomes.append("all")
            assert seen == expected(800)

    async def writer() -> None:
        random = Random(seed)
        while channel.seq < 800:
            say(channel, min(random.randrange(1, 25), 800 - channel.seq))
            if random.random() < 0.8:
                await log.flush()
            for _ in range(random.randrange(3)):
                await asyncio.sleep(0)
        finish(log, store, channel)

    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        for number in range(30):
            group.create_task(reader(number))
        group.create_task(writer())
    assert len(outcomes) == 30
    assert channel.dropped > 0


async def test_a_reader_that_pauses_while_memory_goes_on_reads_on_from_the_store(store: MemoryStore):
    log = EventLog(store, limit=50)
    channel = begun(log)
    say(channel, 10)
    reading = log.read("t", channel.run_id, START)
    seen = [event.cursor.seq for event in await anext(reading)]
    for _ in range(5):
        say(channel, 8)
        await log.flush()
    channel._trim()
    finish(log, store, channel)
    async with asyncio.timeout(60):
        seen += [event.cursor.seq async for batch in reading for event in batch]
    assert seen == list(range(1, 52))


async def test_between_the_store_and_memory_nothing_falls_through(store: MemoryStore):
    """The reader pauses on what came from the store; memory forgets what was next."""
    first = EventLog(store, limit=1000)
    channel = begun(first)
    say(channel, 5)
    await first.flush()
    log = EventLog(store, limit=20)
    again = begun(log, channel.run_id, attempt=2)
    say(again, 3)
    reading = log.read("t", channel.run_id, START)
    seen = [event.cursor for event in await anext(reading)]
    for _ in range(10):
        say(again, 10)
        await log.flush()
    finish(log, store, again)
    with pytest.raises(Gone):
        async with asyncio.timeout(60):
            seen += [event.cursor async for batch in reading for event in batch]
    assert seen == [*(Cursor(1, seq) for seq in range(1, 6)), *(Cursor(2, seq) for seq in range(1, len(seen) - 4))]


async def test_after_a_restart_a_reader_goes_on_in_the_next_attempt(store: MemoryStore):
    first = EventLog(store, limit=1000)
    channel = begun(first)
    say(channel, 7)
    await first.flush()
    say(channel, 3)  # said and perhaps shown, but never kept: the process dies

    log = EventLog(store, limit=1000)
    again = begun(log, channel.run_id, attempt=2)
    say(again, 2)
    reading = asyncio.create_task(read(log, channel.run_id, Cursor(1, 9)))
    from_start = asyncio.create_task(read(log, channel.run_id))
    await asyncio.sleep(0)
    say(again, 2)
    finish(log, store, again)

    second = [Cursor(2, seq) for seq in range(1, 6)]
    assert [cursor for cursor, _ in await reading] == second
    assert [cursor for cursor, _ in await from_start] == [*(Cursor(1, seq) for seq in range(1, 8)), *second]
    assert [cursor for cursor, _ in await read(log, channel.run_id, Cursor(2, 3))] == second[3:]


async def test_a_hole_in_what_is_kept_is_told(store: MemoryStore):
    """The store failed for a while: what was said then is lost to who comes later, and must not be passed over."""
    log = EventLog(store, limit=1000)
    channel = begun(log)
    say(channel, 3)
    await log.flush()
    say(channel, 3)
    store.fails = True
    with pytest.raises(Unavailable):
        await log.flush()
    store.fails = False
    say(channel, 3)
    live = asyncio.create_task(read(log, channel.run_id))
    await asyncio.sleep(0)
    finish(log, store, channel)

    assert await live == expected(9)  # memory had it all
    with pytest.raises(Gone):
        await read(log, channel.run_id)
    assert await read(log, channel.run_id, Cursor(1, 7)) == expected(9, 7)


async def test_who_waits_is_woken_by_the_event_itself(store: MemoryStore, monkeypatch: pytest.MonkeyPatch):
    log = EventLog(store, limit=1000)
    channel = begun(log)
    seen: list[Event] = []

    async def reader() -> None:
        async for batch in log.read("t", channel.run_id, START):
            seen.extend(batch)

    reading = asyncio.create_task(reader())
    for _ in range(3):
        await asyncio.sleep(0)
    handles = len(asyncio.get_running_loop()._scheduled)  # type: ignore[attr-defined]
    assert handles == 0  # it waits for no timer
    channel.append("token", b"{}")
    for _ in range(3):
        await asyncio.sleep(0)
    assert len(seen) == 1
    finish(log, store, channel)
    await reading


async def test_nothing_is_left_of_readers_that_went_away_or_of_runs_that_ended(store: MemoryStore):
    log = EventLog(store, limit=1000)
    channel = begun(log)
    readers = [asyncio.create_task(read(log, channel.run_id)) for _ in range(50)]
    waiters = [log.next_run("t", channel.run_id) for _ in range(50)]
    for _ in range(3):
        await asyncio.sleep(0)
    assert len(channel._waiters) == 50
    for reader in readers:
        reader.cancel()
    for waiter in waiters:
        waiter.cancel()
    await asyncio.gather(*readers, return_exceptions=True)
    await asyncio.sleep(0)
    assert channel._waiters == []
    assert log._threads == {}
    finish(log, store, channel)
    assert log._channels == {}


async def test_who_waits_for_a_run_that_this_process_lets_go_of_is_released(store: MemoryStore):
    log = EventLog(store, limit=1000)
    channel = begun(log)
    say(channel, 2)
    reading = asyncio.create_task(read(log, channel.run_id))
    for _ in range(3):
        await asyncio.sleep(0)
    log.close()
    assert [cursor.seq for cursor, _ in await reading] == [1, 2]


async def test_memory_is_bounded_in_events_and_in_bytes(store: MemoryStore, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(event_log, "TRIM_BYTES", 10_000)
    log = EventLog(store, limit=100)
    channel = begun(log)
    for _ in range(50):
        say(channel, 10)
        await log.flush()
    assert len(channel.events) <= 110
    for _ in range(50):
        channel.append("token", b"x" * 1000)
        await log.flush()
    assert sum(len(event.data) for event in channel.events) <= 11_000


async def test_what_a_sealed_attempt_still_says_is_not_heard(store: MemoryStore):
    log = EventLog(store, limit=100)
    channel = begun(log)
    say(channel, 2)
    last = channel.seal("done", b'{"n":"end"}')[-1]
    say(channel, 5)
    log.end(channel, last)
    assert [event.cursor.seq for event in channel.events] == [1, 2, 3]


async def test_one_broken_flush_does_not_end_flushing(store: MemoryStore, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(event_log, "FLUSH_SECONDS", 0.001)
    log = EventLog(store, limit=100)
    flushing = asyncio.create_task(log.flush_forever())
    channel = begun(log)
    store.fails = True
    say(channel, 1)

    async def tried() -> bool:
        return store.failed > 0

    async def kept() -> bool:
        return bool(store.batches)

    await until(tried)
    store.fails = False
    say(channel, 1)
    await until(kept)
    flushing.cancel()
    assert [event.cursor.seq for event in store.batches[0].events] == [2]


# --- the store in the database


@pytest.fixture
async def run(engine: Engine) -> Run:
    return (await engine.ledger.create(ALICE, request("echo", "hi"), thread_id=None, begin=True)).run


def events_of(attempt: int, first: int, count: int) -> list[Event]:
    return [Event(Cursor(attempt, seq), "token", b'{"n":%d}' % seq) for seq in range(first, first + count)]


async def test_the_database_gives_back_what_it_was_given_from_any_cursor(engine: Engine, run: Run):
    store = DatabaseEventStore(engine.database)
    await store.append([Batch(run.run_id, 1, events_of(1, 1, 3)), Batch(run.run_id, 1, events_of(1, 4, 1))])
    await store.append([Batch(run.run_id, 1, events_of(1, 5, 4))])

    everything = events_of(1, 1, 8)
    for seq in range(9):
        assert await store.after("default", run.run_id, Cursor(1, seq)) == everything[seq:]
    assert await store.after("default", run.run_id, START) == everything
    assert await store.after("default", run.run_id, Cursor(2, 0)) == []
    assert await store.last("default", run.run_id) == Cursor(1, 8)


async def test_another_tenant_reads_nothing(engine: Engine, run: Run):
    store = DatabaseEventStore(engine.database)
    await store.append([Batch(run.run_id, 1, events_of(1, 1, 3))])
    assert await store.after("other", run.run_id, START) == []
    assert await store.last("other", run.run_id) is None


async def test_events_of_an_attempt_that_was_taken_over_are_not_kept(engine: Engine, run: Run):
    store = DatabaseEventStore(engine.database)
    await engine.ledger.release(run)
    await engine.ledger.claim(run)
    await store.append([Batch(run.run_id, 1, events_of(1, 1, 3)), Batch(run.run_id, 2, events_of(2, 1, 1))])
    assert await store.after("default", run.run_id, START) == events_of(2, 1, 1)


async def test_a_run_that_is_gone_does_not_keep_the_others_events_from_the_store(engine: Engine, run: Run):
    store = DatabaseEventStore(engine.database)
    await store.append([Batch(uuid4(), 1, events_of(1, 1, 3)), Batch(run.run_id, 1, events_of(1, 1, 3))])
    assert await store.last("default", run.run_id) == Cursor(1, 3)


async def test_what_is_beyond_the_limit_is_trimmed_by_whole_batches(engine: Engine, run: Run):
    store = DatabaseEventStore(engine.database)
    for first in range(1, 40, 4):
        await store.append([Batch(run.run_id, 1, events_of(1, first, 4), max(1, first - 8))])
    kept = await store.after("default", run.run_id, START)
    assert kept == events_of(1, kept[0].cursor.seq, 40 - kept[0].cursor.seq + 1)
    assert 8 <= len(kept) <= 16


async def test_events_expire_with_their_run_and_then_are_gone(engine: Engine, clock: FakeClock):
    run = await engine.end(await engine.ask("echo", "hi"))
    assert len(await engine.events(run)) > 2
    clock.advance(3601)
    await engine.worker.sweep()
    with pytest.raises(Gone):
        await engine.events(run)
    assert (await engine.runs.get(ALICE, run.run_id)).status == "success"


async def test_the_sweep_spares_what_is_young_or_has_not_ended(engine: Engine, run: Run, clock: FakeClock):
    store = DatabaseEventStore(engine.database)
    await store.append([Batch(run.run_id, 1, events_of(1, 1, 3))])
    clock.advance(10_000)
    await engine.worker.sweep()
    assert len(await store.after("default", run.run_id, START)) == 3


async def test_the_sweep_is_done_in_portions(database: Database, engine: Engine, clock: FakeClock):
    runs = [await engine.ask("echo", "hi") for _ in range(5)]
    for run in runs:
        await engine.end(run)
    later = clock.now.replace(year=clock.now.year + 1)

    def expire(connection: Connection) -> int:
        return AllRunEvents(connection).expire(later, limit=2)

    assert [await database.write(expire) for _ in range(4)] == [2, 2, 1, 0]
    for run in runs:
        assert (await engine.runs.get(ALICE, run.run_id)).status == "success"
