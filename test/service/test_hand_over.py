"""A person takes a thread over: what runs stops, what waits waits, nobody starts another (I-5, 000-72)."""

import asyncio
from collections.abc import Callable
from typing import Any

import orjson
import pytest

from backend.core.error import RunEnded, ThreadBusy, ThreadClaimed, ThreadNotFound
from backend.database.base import Database
from backend.dto.principal import Principal
from backend.dto.run import Run
from backend.dto.thread import TtlRule
from backend.service.hand_over import CLAIM
from backend.service.thread import ThreadService
from test.engine_fixture import ALICE, MALLORY, Agents, Engine, FakeClock, Gate, graph_of, request

BOB = Principal("default", "bob", scopes=frozenset({"chat"}))


@pytest.fixture
def gate(agents: Agents) -> Gate:
    made = Gate()
    agents.graphs["gated"] = graph_of(made.node)
    return made


async def entered(gate: Gate) -> None:
    async with asyncio.timeout(60):
        await gate.entered.wait()


async def test_a_claim_stops_what_runs_and_holds_what_waits_until_it_is_released(engine: Engine, gate: Gate) -> None:
    running = await engine.ask("gated", "one")
    await entered(gate)
    waiting = await engine.ask("echo", "two", running.thread_id)

    claim = await engine.hand_over.claim(BOB, running.thread_id, 900)

    assert claim.user_id == "bob"
    assert (await engine.end(running)).status == "interrupted"
    await engine.rests(running.thread_id)
    assert (await engine.runs.get(ALICE, waiting.run_id)).status == "queued"
    with pytest.raises(ThreadClaimed) as refused:
        await engine.ask("echo", "three", running.thread_id)
    assert refused.value.members["user_id"] == "bob"
    with pytest.raises(ThreadClaimed):  # who holds it is a person, and no run of theirs begins either
        await engine.runs.start(BOB, request("echo", "four"), thread_id=running.thread_id)

    await engine.hand_over.release(BOB, running.thread_id)

    assert (await engine.end(waiting)).status == "success"
    assert await engine.hand_over.find(ALICE, running.thread_id) is None
    assert (await engine.end(await engine.ask("echo", "five", running.thread_id))).status == "success"


async def test_of_two_people_one_gets_it_and_may_renew_it(engine: Engine, clock: FakeClock) -> None:
    thread = await engine.threads.create(ALICE)
    both = await asyncio.gather(
        engine.hand_over.claim(ALICE, thread.thread_id, 900),
        engine.hand_over.claim(BOB, thread.thread_id, 900),
        return_exceptions=True,
    )
    won = [one for one in both if not isinstance(one, BaseException)]
    assert len(won) == 1
    assert [type(one) for one in both if isinstance(one, BaseException)] == [ThreadClaimed]
    holder = ALICE if won[0].user_id == "alice" else BOB

    clock.advance(600)
    renewed = await engine.hand_over.claim(holder, thread.thread_id, 900)
    assert (renewed.until - won[0].until).total_seconds() == pytest.approx(600, abs=1)


async def test_only_the_holder_or_an_administrator_gives_it_back(engine: Engine) -> None:
    thread = await engine.threads.create(ALICE)
    await engine.hand_over.claim(ALICE, thread.thread_id, 900)
    with pytest.raises(ThreadClaimed):
        await engine.hand_over.release(BOB, thread.thread_id)
    admin = Principal("default", "carol", scopes=frozenset({"chat", "admin"}))
    await engine.hand_over.release(admin, thread.thread_id)
    await engine.hand_over.release(BOB, thread.thread_id)  # nobody has it: nothing happens


async def test_another_tenants_thread_cannot_be_taken_seen_or_given_back(engine: Engine) -> None:
    thread = await engine.threads.create(ALICE)
    await engine.hand_over.claim(ALICE, thread.thread_id, 900)
    with pytest.raises(ThreadNotFound):
        await engine.hand_over.claim(MALLORY, thread.thread_id, 900)
    with pytest.raises(ThreadNotFound):
        await engine.hand_over.find(MALLORY, thread.thread_id)
    with pytest.raises(ThreadNotFound):
        await engine.hand_over.release(MALLORY, thread.thread_id)


async def test_a_claim_that_runs_out_lets_what_waits_go_on(engine: Engine, gate: Gate, clock: FakeClock) -> None:
    running = await engine.ask("gated", "one")
    await entered(gate)
    waiting = await engine.ask("echo", "two", running.thread_id)
    await engine.hand_over.claim(BOB, running.thread_id, 900)
    await engine.end(running)
    await engine.rests(running.thread_id)

    clock.advance(899)
    await engine.hand_over.sweep()
    assert (await engine.runs.get(ALICE, waiting.run_id)).status == "queued"
    clock.advance(2)
    assert await engine.hand_over.find(ALICE, running.thread_id) is None
    await engine.hand_over.sweep()

    assert (await engine.end(waiting)).status == "success"


async def test_a_new_run_after_the_end_of_a_claim_comes_behind_what_waited(
    engine: Engine, gate: Gate, clock: FakeClock
) -> None:
    running = await engine.ask("gated", "one")
    await entered(gate)
    waiting = await engine.ask("echo", "two", running.thread_id)
    await engine.hand_over.claim(BOB, running.thread_id, 900)
    await engine.end(running)
    clock.advance(901)

    new = await engine.ask("echo", "three", running.thread_id)  # nobody has swept yet

    await engine.end(new)
    said = await engine.said(running.thread_id)
    assert said == ["one", "two", "echo two", "three", "echo three"]
    assert (await engine.runs.get(ALICE, waiting.run_id)).status == "success"


async def test_a_run_that_waits_for_a_place_does_not_begin_on_a_claimed_thread(
    database: Database, agents: Agents, clock: FakeClock, gate: Gate
) -> None:
    engine = Engine(database, agents, clock, concurrency=1)
    async with engine.worker:
        first = await engine.ask("gated", "one")
        await entered(gate)
        pending = await engine.ask("echo", "two")  # on a thread of its own, and there is no place for it
        assert pending.status == "pending"
        await engine.hand_over.claim(BOB, pending.thread_id, 900)
        gate.open.set()
        await engine.end(first)
        assert (await engine.end(await engine.ask("echo", "three"))).status == "success"
        assert (await engine.runs.get(ALICE, pending.run_id)).status == "queued"
        assert (await engine.threads.get(ALICE, pending.thread_id)).status == "idle"

        await engine.hand_over.release(BOB, pending.thread_id)
        assert (await engine.end(pending)).status == "success"


async def test_a_claim_outlives_the_server_and_its_waiting_runs_too(
    make_database: Callable[[], Database], agents: Agents, clock: FakeClock, gate: Gate
) -> None:
    database = make_database()
    await database.open()
    engine = Engine(database, agents, clock)
    worker = await engine.worker.__aenter__()
    running = await engine.ask("gated", "one")
    await entered(gate)
    waiting = await engine.ask("echo", "two", running.thread_id)
    await engine.ledger.hold(BOB, running.thread_id, clock.now.replace(year=2027))  # and dies before it stops the run
    engine.database.kill()
    gate.open.set()

    again = make_database()
    await again.open()
    other = Engine(again, agents, clock)
    async with other.worker:
        assert (await other.runs.get(ALICE, running.run_id)).status == "interrupted"
        assert (await other.runs.get(ALICE, waiting.run_id)).status == "queued"
        with pytest.raises(ThreadClaimed):
            await other.ask("echo", "three", running.thread_id)
        await other.hand_over.release(BOB, running.thread_id)
        assert (await other.end(waiting)).status == "success"
    await again.close()
    for task in worker._tasks | set(worker._background):
        task.cancel()
    await database.close()


async def test_what_is_asked_to_wait_for_its_time_waits_for_the_person_as_well(engine: Engine) -> None:
    thread = await engine.threads.create(ALICE)
    later = await engine.runs.start(ALICE, request("echo", "later"), thread_id=thread.thread_id, after_seconds=5)
    await engine.hand_over.claim(BOB, thread.thread_id, 900)
    assert await engine.ledger.wake(later) is None
    assert (await engine.runs.get(ALICE, later.run_id)).status == "queued"


async def test_a_waiting_run_of_a_claimed_thread_can_be_cancelled(engine: Engine, gate: Gate) -> None:
    running = await engine.ask("gated", "one")
    await entered(gate)
    waiting = await engine.ask("echo", "two", running.thread_id)
    await engine.hand_over.claim(BOB, running.thread_id, 900)
    await engine.end(running)
    await engine.runs.cancel(ALICE, waiting.run_id)
    with pytest.raises(RunEnded):
        await engine.runs.cancel(ALICE, waiting.run_id)
    await engine.hand_over.release(BOB, running.thread_id)
    assert (await engine.threads.get(ALICE, running.thread_id)).status == "idle"


async def test_an_expired_claim_does_not_let_a_refusing_run_past_what_waits(
    engine: Engine, gate: Gate, clock: FakeClock
) -> None:
    running = await engine.ask("gated", "one")
    await entered(gate)
    waiting = await engine.ask("echo", "two", running.thread_id)
    await engine.hand_over.claim(BOB, running.thread_id, 900)
    await engine.end(running)
    clock.advance(901)
    with pytest.raises(ThreadBusy):
        await engine.ask("echo", "three", running.thread_id, multitask_strategy="reject")
    await engine.hand_over.sweep()
    assert (await engine.end(waiting)).status == "success"


async def test_who_listens_to_the_thread_is_told(engine: Engine) -> None:
    thread = await engine.threads.create(ALICE)
    heard: list[tuple[str, Any]] = []
    with engine.runs.listening(ALICE, thread.thread_id, lambda name, data: heard.append((name, orjson.loads(data)))):
        await engine.hand_over.claim(BOB, thread.thread_id, 900)
        await engine.hand_over.release(BOB, thread.thread_id)
    assert [name for name, _ in heard] == [CLAIM, CLAIM]
    assert heard[0][1]["claim"]["user_id"] == "bob"
    assert heard[1][1]["claim"] is None


async def claimed_with_a_waiting_run(engine: Engine, gate: Gate) -> Run:
    """Return a run that waits on a thread which Bob has."""
    running = await engine.ask("gated", "one")
    await entered(gate)
    waiting = await engine.ask("echo", "two", running.thread_id)
    await engine.hand_over.claim(BOB, running.thread_id, 900)
    await engine.end(running)
    await engine.rests(running.thread_id)
    return waiting


async def test_a_thread_that_a_person_has_does_not_expire(engine: Engine, gate: Gate, clock: FakeClock) -> None:
    waiting = await claimed_with_a_waiting_run(engine, gate)
    await engine.threads.change(ALICE, waiting.thread_id, ttl=TtlRule("delete", 1))
    clock.advance(600)
    await engine.threads.sweep()
    assert (await engine.hand_over.find(ALICE, waiting.thread_id)) is not None
    clock.advance(301)
    await engine.threads.sweep()  # before anybody saw that the claim has run out
    await engine.hand_over.sweep()
    assert (await engine.end(waiting)).status == "success"
    clock.advance(120)
    await engine.threads.sweep()
    with pytest.raises(ThreadNotFound):
        await engine.threads.get(ALICE, waiting.thread_id)


@pytest.mark.parametrize("how", ["delete", "prune"])
async def test_who_waits_for_a_run_hears_that_its_thread_went_while_a_person_had_it(
    engine: Engine, gate: Gate, clock: FakeClock, how: str
) -> None:
    waiting = await claimed_with_a_waiting_run(engine, gate)
    threads = ThreadService(engine.database, engine.checkpointer, clock, stop_runs=engine.runs.stop_all)
    watching = asyncio.create_task(engine.events(waiting))
    with pytest.raises(ThreadBusy):
        await threads.delete(ALICE, waiting.thread_id)
    if how == "delete":
        await threads.delete(ALICE, waiting.thread_id, stop=True)
    else:
        assert await threads.prune(ALICE, [waiting.thread_id], "delete") == 1
    assert (await watching)[-1].name == "done"
    with pytest.raises(ThreadNotFound):
        await engine.hand_over.claim(BOB, waiting.thread_id, 900)
