"""Following all runs of a thread: what is kept, what comes, and what is no longer kept."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any
from uuid import UUID, uuid4

import pytest
from langgraph.config import get_stream_writer
from langgraph.graph import MessagesState

from backend.core.error import ThreadNotFound
from backend.core.run.protocol_event import CHANNELS, EventFilter
from backend.database.sqlite import SqliteDatabase
from backend.dto.principal import Principal
from backend.repository.run_event import AllRunEvents
from backend.service.event_store import DatabaseEventStore
from backend.service.subscription import Numbered, Subscription, SubscriptionService
from test.engine_fixture import ALICE, Agents, Engine, FakeClock, graph_of, until

ALL = EventFilter(frozenset(CHANNELS))
OPTIONS: dict[str, Any] = {"dialect": "protocol", "stream_resumable": True}


def service_of(engine: Engine) -> SubscriptionService:
    return SubscriptionService(engine.database, engine.log, DatabaseEventStore(engine.database))


async def follow(
    service: SubscriptionService, thread_id: UUID, *, ends: int = 1, who: Principal = ALICE
) -> list[Numbered]:
    """Return the events of a thread up to the end of so many runs."""
    found: list[Numbered] = []
    async with asyncio.timeout(60), aclosing(service.read(who, thread_id, Subscription(ALL))) as batches:
        async for batch in batches:
            for one in batch:
                found.append(one)
                ends -= is_end(one)
                if ends == 0:
                    return found
    raise AssertionError(found)


def is_end(found: Numbered) -> bool:
    return (
        found.event.method == "lifecycle"
        and not found.event.namespace
        and found.event.content()["event"] in {"completed", "failed", "interrupted"}
    )


async def so_far(service: SubscriptionService, thread_id: UUID, who: Principal = ALICE) -> list[Numbered]:
    async with asyncio.timeout(60):
        return [one async for batch in service.so_far(who, thread_id) for one in batch]


async def test_runs_are_followed_one_after_the_other_with_one_count(engine: Engine) -> None:
    service = service_of(engine)
    first = await engine.ask("echo", "one", **OPTIONS)
    await engine.end(first)
    second = await engine.ask("echo", "two", first.thread_id)
    found = await follow(service, first.thread_id, ends=2)
    assert [one.seq for one in found] == list(range(1, len(found) + 1))
    assert {one.place[0] for one in found} == {first.run_id, second.run_id}
    assert [one.place for one in found] == sorted(one.place for one in found)
    await engine.rests(first.thread_id)
    assert await so_far(service, first.thread_id) == found


async def test_what_is_there_now_is_told_without_waiting_for_more(engine: Engine, agents: Agents) -> None:
    reached, let = asyncio.Event(), asyncio.Event()

    async def hold(state: MessagesState) -> dict[str, Any]:
        reached.set()
        await let.wait()
        return {}

    agents.graphs["hold"] = graph_of(hold)
    run = await engine.ask("hold", "x", **OPTIONS)
    async with asyncio.timeout(60):
        await reached.wait()
    service = service_of(engine)
    now = await so_far(service, run.thread_id)
    assert [one.event.method for one in now][:1] == ["lifecycle"]
    assert not any(map(is_end, now))
    tree = await service.tree(ALICE, run)
    assert [event.content()["event"] for event in tree] == ["running"]
    let.set()
    assert (await follow(service, run.thread_id))[: len(now)] == now


async def test_a_thread_that_is_not_there_is_waited_for_and_another_tenants_is_not_seen(engine: Engine) -> None:
    service = service_of(engine)
    run = await engine.ask("echo", "one", **OPTIONS)
    await engine.end(run)
    mallory = Principal("mallory", "mallory")
    assert await so_far(service, run.thread_id, mallory) == []
    assert await so_far(service, uuid4()) == []
    await service.check(mallory, run.thread_id, None)
    with pytest.raises(ThreadNotFound):
        await service.check(mallory, run.thread_id, {"owner": "m"})
    with pytest.raises(ThreadNotFound):
        await service.check(ALICE, run.thread_id, {"owner": "a"})


async def test_runs_whose_events_have_expired_are_left_out_and_hide_no_new_ones(
    engine: Engine, clock: FakeClock
) -> None:
    service = service_of(engine)
    old = await engine.ask("echo", "old", **OPTIONS)
    await engine.end(old)
    seen = (await so_far(service, old.thread_id))[-1].seq
    clock.advance(7200)
    limit = clock()
    await engine.database.write(lambda connection: AllRunEvents(connection).expire(limit))
    new = await engine.ask("echo", "new", old.thread_id, **OPTIONS)
    await engine.end(new)
    found = await so_far(service, old.thread_id)
    assert {one.place[0] for one in found} == {new.run_id}
    # Who comes back with a number that nobody gives any more is shown everything, and not nothing.
    subscription = await service.subscribe(ALICE, old.thread_id, ALL, seen + 1000)
    assert [one for one in found if subscription.wants(one)] == found


async def test_what_comes_after_a_client_came_back_is_never_held_to_be_seen(engine: Engine) -> None:
    service = service_of(engine)
    first = await engine.ask("echo", "one", **OPTIONS)
    await engine.end(first)
    seen = await so_far(service, first.thread_id)
    subscription = await service.subscribe(ALICE, first.thread_id, ALL, len(seen))
    second = await engine.ask("echo", "two", first.thread_id, **OPTIONS)
    found = await follow(service, first.thread_id, ends=2)
    assert {one.place[0] for one in found if subscription.wants(one)} == {second.run_id}


@pytest.fixture
async def short(file: SqliteDatabase, agents: Agents, clock: FakeClock) -> AsyncIterator[Engine]:
    """An engine that keeps few events of a run."""
    made = Engine(file, agents, clock, event_limit=100)
    async with made.worker:
        yield made


async def test_the_numbers_of_a_long_run_count_what_is_no_longer_kept(short: Engine, agents: Agents) -> None:
    wanted: asyncio.Queue[int] = asyncio.Queue()

    async def talk(state: MessagesState) -> dict[str, Any]:
        write = get_stream_writer()
        while count := await wanted.get():
            for number in range(count):
                write(number)
        return {}

    agents.graphs["talk"] = graph_of(talk)
    run = await short.ask("talk", "x", **OPTIONS)
    channel = short.log.channel(run.run_id, run.tenant_id)
    for part in range(1, 6):
        await wanted.put(200)

        async def said(part: int = part) -> bool:
            return channel.seq >= 200 * part

        await until(said)
        await short.log.flush()
    service = service_of(short)
    assert (await so_far(service, run.thread_id))[0].seq > 500
    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        late = group.create_task(follow(service, run.thread_id))
        await wanted.put(1)
        await wanted.put(0)
    found = late.result()
    assert is_end(found[-1])
    assert [one.seq for one in found] == [one.place[1].seq for one in found]
