"""Crons and their scheduler, with a clock that is moved by hand; the runs that they start are only written down."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from backend.core.error import CronNotFound, Invalid, TargetRefused, ThreadBusy, ThreadNotFound, Unavailable
from backend.database.base import Database
from backend.dto.cron import Cron, CronChange, CronDraft, CronSearch
from backend.dto.principal import Principal
from backend.dto.run import Run, RunRequest
from backend.dto.thread import Thread
from backend.repository.thread import ThreadRepository
from backend.service.cron import CronService
from backend.service.cron_scheduler import CLAIM_SECONDS, LONGEST_SLEEP, CronScheduler
from test.engine_fixture import ALICE, MALLORY, FakeClock

ASSISTANT = UUID("11111111-1111-4111-8111-111111111111")


class Starter:
    """Starts nothing and remembers what it was asked for; the same key is the same run."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.failures: list[Exception] = []
        self.started = asyncio.Event()

    async def __call__(
        self,
        principal: Principal,
        payload: Mapping[str, Any],
        *,
        thread_id: UUID | None,
        on_completion: str,
        idempotency_key: str,
    ) -> Run:
        if self.failures:
            raise self.failures.pop(0)
        self.asked.append(
            {
                "principal": principal,
                "payload": payload,
                "thread_id": thread_id,
                "on_completion": on_completion,
                "key": idempotency_key,
            }
        )
        self.started.set()
        now = datetime.now(UTC)
        return Run(
            run_id=uuid4(),
            thread_id=thread_id or uuid4(),
            tenant_id=principal.tenant_id,
            user_id=principal.user_id,
            status="pending",
            attempt=0,
            request=RunRequest(agent="echo"),
            cancel_action=None,
            result=None,
            created_at=now,
            updated_at=now,
        )

    @property
    def keys(self) -> list[str]:
        return [one["key"] for one in self.asked]


class Crons:
    """The service and a scheduler over one database."""

    def __init__(self, database: Database, clock: FakeClock) -> None:
        self.clock = clock
        self.database = database
        self.starter = Starter()
        self.scheduler = CronScheduler(database, self.starter, clock)
        self.service = CronService(database, self._check, self.scheduler.wake, clock)

    async def _check(self, url: str) -> None:
        if "127.0.0.1" in url:
            raise TargetRefused("it is this machine")

    async def make(self, schedule: str = "0 * * * *", principal: Principal = ALICE, **options: Any) -> Cron:
        thread_id = options.pop("thread_id", None)
        return await self.service.create(principal, CronDraft(ASSISTANT, schedule, **options), thread_id=thread_id)

    async def thread(self, principal: Principal = ALICE, **metadata: Any) -> UUID:
        now = self.clock()
        thread = Thread(uuid4(), principal.tenant_id, "idle", None, metadata, now, now)
        await self.database.write(lambda c: ThreadRepository(c, principal.tenant_id).insert(thread))
        return thread.thread_id

    async def at(self, moment: str) -> float:
        """Move the clock and let the scheduler look; return how long it would sleep then."""
        self.clock.now = datetime.fromisoformat(moment)
        return await self.scheduler.fire_due()

    async def again(self, cron: Cron) -> Cron:
        return await self.service.get(cron.owner, cron.cron_id)


@pytest.fixture
def crons(database: Database, clock: FakeClock) -> Crons:
    """The clock stands at 2026-01-01, midnight UTC."""
    return Crons(database, clock)


async def test_a_cron_fires_when_it_is_due_and_not_before(crons: Crons) -> None:
    cron = await crons.make("0 9 * * *", timezone="Asia/Seoul", payload={"input": {"a": 1}}, metadata={"m": 1})
    assert cron.next_run_date == datetime(2026, 1, 2, tzinfo=UTC)
    assert await crons.at("2026-01-01T23:59:59+00:00") == pytest.approx(1, abs=0.01)
    assert crons.starter.asked == []
    await crons.at("2026-01-02T00:00:01+00:00")
    (asked,) = crons.starter.asked
    assert asked["payload"]["input"] == {"a": 1}
    assert asked["payload"]["assistant_id"] == str(ASSISTANT)
    assert asked["payload"]["metadata"] == {"m": 1, "cron_id": str(cron.cron_id)}
    assert (asked["thread_id"], asked["on_completion"]) == (None, "delete")
    assert (await crons.again(cron)).next_run_date == datetime(2026, 1, 3, tzinfo=UTC)
    await crons.scheduler.fire_due()
    assert len(crons.starter.asked) == 1


async def test_its_runs_are_those_of_who_made_it(crons: Crons) -> None:
    user = {"identity": "bob", "org": {"id": 7}, "since": datetime(2026, 1, 1, tzinfo=UTC)}
    bob = Principal("default", "bob", frozenset({"editor"}), user, ("crons:write",))
    await crons.make(principal=bob)
    await crons.at("2026-01-01T01:00:00+00:00")
    principal = crons.starter.asked[0]["principal"]
    assert (principal.tenant_id, principal.user_id, principal.roles) == ("default", "bob", {"editor"})
    assert principal.user["org"] == {"id": 7}
    assert principal.permissions == ("crons:write",)


async def test_what_speaks_of_the_cron_is_not_sent_to_its_runs(crons: Crons) -> None:
    payload = {
        "schedule": "0 * * * *",
        "timezone": "UTC",
        "enabled": True,
        "on_run_completed": "keep",
        "context": {"k": 1},
    }
    cron = await crons.make(payload=payload, on_run_completed="keep")
    assert cron.payload["config"] == {"configurable": {"cron_id": str(cron.cron_id)}}
    await crons.at("2026-01-01T01:00:00+00:00")
    (asked,) = crons.starter.asked
    assert asked["payload"] == {
        "assistant_id": str(ASSISTANT),
        "context": {"k": 1},
        "config": {},
        "metadata": {"cron_id": str(cron.cron_id)},
    }
    assert asked["on_completion"] == "keep"


async def test_firings_that_were_missed_are_made_up_for_by_one_run(crons: Crons) -> None:
    cron = await crons.make("0 * * * *")
    await crons.at("2026-01-01T09:30:00+00:00")
    assert len(crons.starter.asked) == 1
    assert (await crons.again(cron)).next_run_date == datetime(2026, 1, 1, 10, tzinfo=UTC)


async def test_two_servers_fire_a_cron_once(crons: Crons) -> None:
    for _ in range(30):
        await crons.make("0 * * * *")
    other = CronScheduler(crons.database, crons.starter, crons.clock)
    crons.clock.now = datetime(2026, 1, 1, 1, tzinfo=UTC)
    await asyncio.gather(*(scheduler.fire_due() for scheduler in (crons.scheduler, other) for _ in range(3)))
    assert len(crons.starter.asked) == 30
    assert len(set(crons.starter.keys)) == 30


async def test_what_a_dead_server_had_claimed_is_started_under_the_same_key(crons: Crons) -> None:
    cron = await crons.make("0 * * * *")

    async def dies(*_: Any, **__: Any) -> Run:
        raise asyncio.CancelledError  # as when the process is stopped in the middle

    dying = CronScheduler(crons.database, dies, crons.clock)
    crons.clock.now = datetime(2026, 1, 1, 1, tzinfo=UTC)
    with pytest.raises(asyncio.CancelledError):
        await dying.fire_due()
    assert await crons.scheduler.fire_due() == pytest.approx(LONGEST_SLEEP)
    assert crons.starter.asked == []
    crons.clock.advance(CLAIM_SECONDS + 1)
    await crons.scheduler.fire_due()
    assert crons.starter.keys == [f"cron:{cron.cron_id}:2026-01-01 01:00:00+00:00"]


async def test_a_server_that_is_not_ready_does_not_use_up_the_firing(crons: Crons) -> None:
    await crons.make("0 0 * * *")
    crons.starter.failures = [Unavailable("full")]
    await crons.at("2026-01-02T00:00:00+00:00")
    assert crons.starter.asked == []
    crons.clock.advance(CLAIM_SECONDS + 1)
    await crons.scheduler.fire_due()
    assert len(crons.starter.asked) == 1


@pytest.mark.parametrize("failure", [ThreadBusy("x"), RuntimeError("a bug")])
async def test_a_run_that_cannot_be_started_is_left_out_and_the_others_go_on(crons: Crons, failure: Exception) -> None:
    first, second = await crons.make("0 * * * *"), await crons.make("0 * * * *")
    crons.starter.failures = [failure]
    await crons.at("2026-01-01T01:00:00+00:00")
    assert len(crons.starter.asked) == 1
    for cron in (first, second):
        assert (await crons.again(cron)).next_run_date == datetime(2026, 1, 1, 2, tzinfo=UTC)


async def test_nothing_fires_behind_the_end(crons: Crons) -> None:
    end = datetime(2026, 1, 1, 2, 30, tzinfo=UTC)
    cron = await crons.make("0 * * * *", end_time=end)
    await crons.at("2026-01-01T02:10:00+00:00")
    assert (await crons.again(cron)).next_run_date is None
    assert await crons.at("2026-01-01T03:00:00+00:00") == LONGEST_SLEEP
    assert len(crons.starter.asked) == 1
    again = await crons.service.update(ALICE, cron.cron_id, CronChange(has_end_time=True))
    assert (again.end_time, again.next_run_date) == (None, datetime(2026, 1, 1, 4, tzinfo=UTC))


async def test_a_firing_that_was_missed_is_not_made_up_for_behind_the_end(crons: Crons) -> None:
    await crons.make("0 1 * * *", end_time=datetime(2026, 1, 1, 2, tzinfo=UTC))
    await crons.at("2026-01-01T05:00:00+00:00")
    assert crons.starter.asked == []


async def test_a_cron_that_is_switched_off_does_not_fire_and_nothing_is_made_up_for(crons: Crons) -> None:
    cron = await crons.make("0 * * * *", enabled=False)
    await crons.at("2026-01-01T05:30:00+00:00")
    on = await crons.service.update(ALICE, cron.cron_id, CronChange(enabled=True))
    assert on.next_run_date == datetime(2026, 1, 1, 6, tzinfo=UTC)
    await crons.scheduler.fire_due()
    assert crons.starter.asked == []
    await crons.at("2026-01-01T06:00:00+00:00")
    assert len(crons.starter.asked) == 1


async def test_a_cron_that_is_changed_while_its_run_starts_keeps_its_new_schedule(crons: Crons) -> None:
    cron = await crons.make("0 * * * *")

    async def slow(principal: Principal, payload: Mapping[str, Any], **options: Any) -> Run:
        await crons.service.update(ALICE, cron.cron_id, CronChange(schedule="30 12 * * *"))
        return await crons.starter(principal, payload, **options)

    crons.clock.now = datetime(2026, 1, 1, 1, tzinfo=UTC)
    await CronScheduler(crons.database, slow, crons.clock).fire_due()
    assert (await crons.again(cron)).next_run_date == datetime(2026, 1, 1, 12, 30, tzinfo=UTC)


async def test_the_running_scheduler_wakes_when_it_is_told_to_look(crons: Crons) -> None:
    async with crons.scheduler, asyncio.timeout(60):
        await crons.make("0 * * * *")
        crons.clock.now = datetime(2026, 1, 1, 1, tzinfo=UTC)
        crons.scheduler.wake()
        await crons.starter.started.wait()
    assert len(crons.starter.asked) == 1


async def test_an_empty_table_is_looked_at_seldom(crons: Crons) -> None:
    assert await crons.scheduler.fire_due() == LONGEST_SLEEP


async def test_a_thread_takes_its_crons_with_it(crons: Crons) -> None:
    thread_id = await crons.thread()
    cron, other = await crons.make(thread_id=thread_id), await crons.make()
    assert cron.on_run_completed is None
    await crons.database.write(lambda c: ThreadRepository(c, "default").delete(thread_id))
    with pytest.raises(CronNotFound):
        await crons.again(cron)
    await crons.again(other)


async def test_an_assistant_takes_its_crons_with_it(crons: Crons) -> None:
    await crons.make()
    foreign = await crons.make(principal=MALLORY)
    await crons.service.delete_of_assistant(ALICE, ASSISTANT)
    assert await crons.service.count(ALICE, CronSearch()) == 0
    await crons.again(foreign)


async def test_a_cron_needs_a_thread_that_is_there_and_may_be_seen(crons: Crons) -> None:
    hidden, foreign = await crons.thread(owner="bob"), await crons.thread(MALLORY)
    for thread_id in (uuid4(), foreign):
        with pytest.raises(ThreadNotFound):
            await crons.make(thread_id=thread_id)
    with pytest.raises(ThreadNotFound):
        await crons.service.create(
            ALICE, CronDraft(ASSISTANT, "* * * * *"), thread_id=hidden, only_threads={"owner": "alice"}
        )


async def test_another_tenants_or_hidden_cron_is_not_found(crons: Crons) -> None:
    cron = await crons.make(metadata={"owner": "alice"})
    for principal, only in ((MALLORY, None), (ALICE, {"owner": "bob"})):
        with pytest.raises(CronNotFound):
            await crons.service.get(principal, cron.cron_id, only=only)
        with pytest.raises(CronNotFound):
            await crons.service.update(principal, cron.cron_id, CronChange(enabled=False), only=only)
        with pytest.raises(CronNotFound):
            await crons.service.delete(principal, cron.cron_id, only=only)
        assert await crons.service.search(principal, CronSearch(), limit=10, only=only) == []
        assert await crons.service.count(principal, CronSearch(), only=only) == 0
    assert await crons.again(cron) == cron


@pytest.mark.parametrize(
    "draft",
    [
        CronDraft(ASSISTANT, "bad"),
        CronDraft(ASSISTANT, "* * * * *", timezone="Mars/Olympus"),
        CronDraft(ASSISTANT, "* * * * *", payload={"webhook": "http://127.0.0.1/"}),
        CronDraft(ASSISTANT, "* * * * *", payload={"input": 2**70}),
        CronDraft(ASSISTANT, "* * * * *", payload={"input": "\ud800"}),
    ],
)
async def test_what_cannot_be_honoured_is_refused(crons: Crons, draft: CronDraft) -> None:
    with pytest.raises(Invalid):
        await crons.service.create(ALICE, draft)


async def test_a_cron_of_a_thread_cannot_delete_it(crons: Crons) -> None:
    cron = await crons.make(thread_id=await crons.thread())
    with pytest.raises(Invalid, match="on_run_completed"):
        await crons.service.update(ALICE, cron.cron_id, CronChange(on_run_completed="delete"))
    with pytest.raises(Invalid, match="on_run_completed"):
        await crons.make(thread_id=await crons.thread(), on_run_completed="delete")


async def test_crons_are_found_by_what_they_are_and_hold(crons: Crons) -> None:
    thread_id = await crons.thread()
    plain = await crons.make("0 1 * * *", metadata={"a": {"b": [1, 2]}, "c": 1})
    off = await crons.make("0 2 * * *", enabled=False)
    bound = await crons.make("0 3 * * *", thread_id=thread_id)

    async def found(wanted: CronSearch, **options: Any) -> list[UUID]:
        return [one.cron_id for one in await crons.service.search(ALICE, wanted, limit=10, **options)]

    assert await found(CronSearch()) == [bound.cron_id, off.cron_id, plain.cron_id]
    assert await found(CronSearch(), sort_by="next_run_date", sort_order="asc") == [
        plain.cron_id,
        off.cron_id,
        bound.cron_id,
    ]
    assert (await found(CronSearch(), sort_by="thread_id", sort_order="desc"))[0] == bound.cron_id
    assert await found(CronSearch(metadata={"a": {"b": [2]}})) == [plain.cron_id]
    assert await found(CronSearch(metadata={"c": "1"})) == []
    assert await found(CronSearch(enabled=False)) == [off.cron_id]
    assert await found(CronSearch(thread_id=thread_id)) == [bound.cron_id]
    assert await found(CronSearch(assistant_id=uuid4())) == []
    assert await found(CronSearch(), offset=2) == [plain.cron_id]
    assert await crons.service.count(ALICE, CronSearch(enabled=True)) == 2


async def test_a_change_merges_metadata_and_replaces_the_rest(crons: Crons) -> None:
    payload = {"input": 1, "metadata": {"a": 1}, "config": {"tags": ["t"], "configurable": {"k": 1}}}
    cron = await crons.make(payload=payload, metadata={"a": 1})
    crons.clock.advance(1)
    sent = {"input": 2, "metadata": {"b": 2}, "config": {"configurable": {"z": 1}}}
    changed = await crons.service.update(ALICE, cron.cron_id, CronChange(payload=sent, metadata={"b": 2}))
    assert changed.metadata == {"a": 1, "b": 2}
    assert changed.payload["input"] == 2
    assert changed.payload["config"] == {"configurable": {"z": 1, "cron_id": str(cron.cron_id)}}
    assert changed.updated_at - cron.updated_at >= timedelta(seconds=1)
    assert await crons.again(cron) == changed
