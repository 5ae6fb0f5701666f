"""The pace of an account, in a process and among several: (000-18, 000-62). The clock is moved by those who wait."""

import asyncio
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
from redis.asyncio import Redis

from backend.core.collector.freshdesk.limiter import AccountLimiter, Limiters
from backend.core.error import TooMany


class FakeTime:
    """A clock that jumps when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)


def said(total: int, remaining: int) -> dict[str, str]:
    return {"x-ratelimit-total": str(total), "x-ratelimit-remaining": str(remaining)}


async def ask(limiter: AccountLimiter, cost: int, answer: dict[str, str], *, urgent: bool = False) -> None:
    async with limiter.request(cost, urgent=urgent, patience=600) as learn:
        learn(answer)


async def test_work_waits_for_the_next_minute_and_leaves_some_credits_to_people() -> None:
    time = FakeTime()
    limiter = Limiters(5, clock=time, sleep=time.sleep).of("acme.freshdesk.com")
    await ask(limiter, 7, said(200, 12))

    await ask(limiter, 1, said(200, 11), urgent=True)
    assert time.slept == []
    await ask(limiter, 7, said(200, 193))  # 11 - 7 would leave less than the reserve of 10
    assert time.slept == [60.0]


async def test_the_credits_of_requests_under_way_are_counted() -> None:
    time = FakeTime()
    limiter = Limiters(5, clock=time, sleep=time.sleep).of("acme.freshdesk.com")
    await ask(limiter, 1, said(200, 24))
    async with limiter.request(7, patience=1) as learn, limiter.request(7, patience=1):
        learn(said(200, 17))
        with pytest.raises(TooMany) as refused:  # 24 - 14 leaves nothing beyond the reserve
            async with limiter.request(7, patience=1):
                pass
    assert 0 < refused.value.retry_after <= 60


async def test_an_answer_429_stops_all_who_ask_the_account_and_nobody_else() -> None:
    time = FakeTime()
    limiters = Limiters(5, clock=time, sleep=time.sleep)
    await limiters.of("acme.freshdesk.com").block(37)

    await ask(limiters.of("other.freshdesk.com"), 1, {})
    assert time.slept == []
    await ask(limiters.of("acme.freshdesk.com"), 1, {})
    assert time.slept == [37.0]


async def test_patience_has_an_end() -> None:
    time = FakeTime()
    limiter = Limiters(5, clock=time, sleep=time.sleep).of("acme.freshdesk.com")
    await limiter.block(100)
    with pytest.raises(TooMany) as refused:
        async with limiter.request(1, patience=99):
            pass
    assert refused.value.retry_after == 100


async def test_no_more_than_five_ask_one_account_at_once() -> None:
    limiters = Limiters(5)
    running = most = 0

    async def one() -> None:
        nonlocal running, most
        async with limiters.of("acme.freshdesk.com").request(1, patience=5):
            running += 1
            most = max(most, running)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            running -= 1

    await asyncio.gather(*(one() for _ in range(40)))
    assert most == 5


async def test_a_place_is_given_back_by_who_was_cancelled() -> None:
    limiter = Limiters(1).of("acme.freshdesk.com")
    for _ in range(3):
        entered = asyncio.Event()

        async def hold(entered: asyncio.Event = entered) -> None:
            async with limiter.request(1, patience=5):
                entered.set()
                await asyncio.Event().wait()

        task = asyncio.create_task(hold())
        await entered.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    async with asyncio.timeout(60):
        await ask(limiter, 1, {})


async def test_absurd_headers_teach_nothing() -> None:
    time = FakeTime()
    limiter = Limiters(5, clock=time, sleep=time.sleep).of("acme.freshdesk.com")
    for answer in (
        said(0, 0),
        {"x-ratelimit-total": "-1", "x-ratelimit-remaining": "²"},
        {"x-ratelimit-total": "9" * 99},
    ):
        await ask(limiter, 7, answer)
    await ask(limiter, 7, {})
    assert time.slept == []


@pytest.fixture
async def processes(valkey_url: str) -> AsyncIterator[tuple[Limiters, Limiters]]:
    """Two processes' limiters, of one Redis."""
    clients = [Redis.from_url(valkey_url) for _ in range(2)]
    yield Limiters(2, redis=clients[0]), Limiters(2, redis=clients[1])
    for client in clients:
        await client.aclose()


async def test_processes_share_the_places_of_an_account(processes: tuple[Limiters, Limiters]) -> None:
    here, there = processes
    account = uuid4().hex
    async with here.of(account).request(1, patience=5), here.of(account).request(1, patience=5):
        with pytest.raises(TooMany):
            async with there.of(account).request(1, patience=0.3):
                pass
    await ask(there.of(account), 1, {})


async def test_processes_share_what_they_learn(processes: tuple[Limiters, Limiters]) -> None:
    here, there = processes
    account = uuid4().hex
    await ask(here.of(account), 1, said(200, 12))
    with pytest.raises(TooMany):
        async with there.of(account).request(7, patience=1):
            pass
    await ask(there.of(account), 1, said(200, 11), urgent=True)

    await here.of(account).block(50)
    with pytest.raises(TooMany) as refused:
        async with there.of(account).request(1, urgent=True, patience=1):
            pass
    assert 45 <= refused.value.retry_after <= 50


async def test_without_an_answering_redis_a_process_goes_by_what_it_saw() -> None:
    client = Redis.from_url("redis://127.0.0.1:1", socket_connect_timeout=0.2)
    limiter = Limiters(2, redis=client).of("acme.freshdesk.com")
    await ask(limiter, 1, said(200, 12))
    with pytest.raises(TooMany):
        async with limiter.request(7, patience=1):
            pass
    await client.aclose()
