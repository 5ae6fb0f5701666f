"""Rate limits: the buckets, in the process and in a real Valkey, and what a client sees.

(002-6, 000-61, A13)
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest
from pydantic import SecretStr
from redis.asyncio import Redis
from starlette.types import Message, Receive, Scope, Send

from backend.core.error import TenantNotFound, TooMany, Unavailable
from backend.core.rate import Bucket, RateLimiter
from backend.core.rate.memory_rate import MemoryRate
from backend.core.rate.redis_rate import RedisRate
from backend.core.redis import RedisConnection
from backend.core.redis_guard import RedisGuard
from backend.dto.principal import Principal
from backend.dto.tenant import Limits
from backend.middleware.rate import RateMiddleware
from backend.service.limit import LimitBook, no_limits
from backend.service.rate import RateService
from test.server import free_port

ALICE = Principal("default", "alice")


class Time:
    """Seconds that pass when they are told to: in the process' limiter, and in Valkey's buckets."""

    def __init__(self, client: Redis | None = None) -> None:
        self.now = 1000.0
        self._client = client

    def __call__(self) -> float:
        return self.now

    async def advance(self, seconds: float, *keys: str) -> None:
        self.now += seconds
        if self._client is not None:  # its clock is its own: the buckets are made older
            for key in keys:
                at = await self._client.hget(key, "at")
                assert at is not None
                await self._client.hset(key, "at", f"{float(at) - seconds:.6f}")


@pytest.fixture(params=["memory", "valkey"])
async def limited(request: pytest.FixtureRequest) -> AsyncIterator[tuple[RateLimiter, Time]]:
    if request.param == "memory":
        time = Time()
        yield MemoryRate(clock=time), time
        return
    connection = RedisConnection(SecretStr(request.getfixturevalue("valkey_url")))
    await connection.open()
    time = Time(connection.client)
    patient = RedisGuard("a test", seconds=10)
    yield RedisRate(connection.client, MemoryRate(clock=time), patient), time
    await connection.close()


@pytest.fixture
def key() -> str:
    return f"daedap:rate:{{{uuid4().hex}}}:"


async def test_a_minutes_worth_at_once_then_evenly(limited: tuple[RateLimiter, Time], key: str) -> None:
    limiter, time = limited
    bucket = Bucket(key, 6)
    found = [await limiter.take([bucket]) for _ in range(7)]
    assert [one.allowed for one in found] == [True] * 6 + [False]
    assert [one.remaining for one in found] == [5, 4, 3, 2, 1, 0, 0]
    assert (found[0].limit, found[0].retry_after) == (6, 0)
    assert 9 <= found[6].retry_after <= 10
    assert 59 <= found[6].reset <= 60
    await time.advance(10, key)
    assert (await limiter.take([bucket])).allowed
    assert not (await limiter.take([bucket])).allowed
    await time.advance(3600, key)
    assert (await limiter.take([bucket])).remaining == 5, "no more than a minute's worth is saved up"


async def test_who_is_refused_by_one_bucket_takes_from_none(limited: tuple[RateLimiter, Time], key: str) -> None:
    limiter, _ = limited
    tenant, alice, bob = Bucket(key, 10), Bucket(f"{key}alice:", 2), Bucket(f"{key}bob:", 5)
    found = [await limiter.take([tenant, alice]) for _ in range(20)]
    assert (found[-1].allowed, found[-1].limit) == (False, 2)
    assert [(await limiter.take([tenant, bob])).allowed for _ in range(6)] == [True] * 5 + [False]
    assert (await limiter.take([tenant])).remaining == 2, "2 of alice, 5 of bob and this one"


async def test_buckets_of_others_are_not_touched(limited: tuple[RateLimiter, Time], key: str) -> None:
    limiter, _ = limited
    for _ in range(3):
        await limiter.take([Bucket(key, 1)])
    assert (await limiter.take([Bucket(f"{key}2", 1)])).allowed


async def test_a_limit_that_is_lowered_holds_at_once(limited: tuple[RateLimiter, Time], key: str) -> None:
    limiter, _ = limited
    await limiter.take([Bucket(key, 100)])
    found = [await limiter.take([Bucket(key, 2)]) for _ in range(3)]
    assert [one.allowed for one in found] == [True, True, False]


async def test_zero_lets_nobody_through(limited: tuple[RateLimiter, Time], key: str) -> None:
    limiter, _ = limited
    found = await limiter.take([Bucket(key, 0)])
    assert (found.allowed, found.remaining, found.retry_after) == (False, 0, 60)


async def test_of_many_at_once_no_more_get_through(limited: tuple[RateLimiter, Time], key: str) -> None:
    limiter, _ = limited
    found = await asyncio.gather(*(limiter.take([Bucket(key, 20)]) for _ in range(60)))
    assert sum(one.allowed for one in found) == 20


async def test_two_processes_count_together(valkey_url: str, key: str) -> None:
    connections = [RedisConnection(SecretStr(valkey_url)) for _ in range(2)]
    limiters = [RedisRate(one.client, MemoryRate(), RedisGuard("a test", seconds=10)) for one in connections]
    found = [await limiters[number % 2].take([Bucket(key, 5)]) for number in range(8)]
    assert sum(one.allowed for one in found) == 5
    assert 0 < await connections[0].client.pttl(key) <= 61_000
    for one in connections:
        await one.close()


async def test_without_redis_each_process_counts_for_itself(key: str) -> None:
    client = Redis(host="127.0.0.1", port=free_port(), socket_connect_timeout=0.2)
    limiter = RedisRate(client, MemoryRate())
    found = [await limiter.take([Bucket(key, 2)]) for _ in range(3)]
    assert [one.allowed for one in found] == [True, True, False]
    await client.aclose()


async def test_the_memory_of_buckets_is_bounded() -> None:
    limiter = MemoryRate(most=100)
    for number in range(1000):
        await limiter.take([Bucket(str(number), 5)])
    assert len(limiter._buckets) == 100


# Which limits hold.


async def test_a_tenants_own_limits_take_the_place_of_the_servers() -> None:
    now = 0.0
    own = {"default": Limits(requests_per_minute=7), "strict": Limits(daily_tokens=0)}
    asked: list[str] = []

    async def limits(tenant_id: str) -> Limits:
        asked.append(tenant_id)
        if tenant_id not in own:
            raise TenantNotFound(tenant_id)
        return own[tenant_id]

    book = LimitBook(limits, Limits(requests_per_minute=5, daily_tokens=9), seconds=5, clock=lambda: now)
    assert await book.of("default") == Limits(requests_per_minute=7, daily_tokens=9)
    assert await book.of("strict") == Limits(requests_per_minute=5, daily_tokens=0)
    assert await book.of("unknown") == Limits(requests_per_minute=5, daily_tokens=9)
    own["default"] = Limits()
    assert (await book.of("default")).requests_per_minute == 7
    assert asked == ["default", "strict", "unknown"]
    now = 6
    assert (await book.of("default")).requests_per_minute == 5
    own["default"] = Limits(requests_per_minute=1)
    book.forget("default")
    assert (await book.of("default")).requests_per_minute == 1


async def test_limits_that_are_changed_while_they_are_read_are_read_again() -> None:
    own, reading, changed = Limits(requests_per_minute=7), asyncio.Event(), asyncio.Event()

    async def limits(tenant_id: str) -> Limits:
        del tenant_id
        found = own
        reading.set()
        await changed.wait()
        return found

    book = LimitBook(limits, Limits())
    early = asyncio.create_task(book.of("a"))
    await reading.wait()
    own = Limits(requests_per_minute=1)
    book.forget("a")
    changed.set()
    await early
    assert (await book.of("a")).requests_per_minute == 1


async def test_while_the_database_is_away_the_last_known_limits_hold() -> None:
    now, away = 0.0, False

    async def limits(tenant_id: str) -> Limits:
        if away:
            raise Unavailable("away")
        return Limits(requests_per_minute=7)

    book = LimitBook(limits, Limits(requests_per_minute=5), seconds=5, clock=lambda: now)
    await book.of("a")
    now, away = 6, True
    assert (await book.of("a")).requests_per_minute == 7
    assert (await book.of("b")).requests_per_minute == 5


# What a client sees.


def scope_of(principal: Principal | None, path: str = "/x", kind: str = "http") -> Scope:
    state = {} if principal is None else {"principal": principal}
    return {"type": kind, "path": path, "method": "GET", "headers": [], "state": state}


async def ask(app: RateMiddleware, scope: Scope) -> list[Message]:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.request"}

    await app(scope, receive, send)
    return sent


async def answering(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"a", b"b")]})
    await send({"type": "http.response.body", "body": b""})


def middleware(**limits: int) -> RateMiddleware:
    return RateMiddleware(answering, RateService(MemoryRate(), LimitBook(no_limits, Limits(**limits))))


async def test_an_answer_under_a_limit_says_how_it_stands() -> None:
    app = middleware(requests_per_minute=3)
    start = (await ask(app, scope_of(ALICE)))[0]
    assert dict(start["headers"]) == {
        b"a": b"b",
        b"x-ratelimit-limit": b"3",
        b"x-ratelimit-remaining": b"2",
        b"x-ratelimit-reset": b"20",
    }


async def test_without_a_limit_nothing_is_counted_and_nothing_said() -> None:
    class Never:
        async def take(self, buckets: Any) -> Any:
            raise AssertionError("there is no limit")

    app = RateMiddleware(answering, RateService(Never(), LimitBook(no_limits, Limits())))
    start = (await ask(app, scope_of(ALICE)))[0]
    assert start["headers"] == [(b"a", b"b")]


async def test_a_user_is_refused_while_the_tenants_others_are_not() -> None:
    app = middleware(requests_per_minute=100, user_requests_per_minute=1)
    statuses = [(await ask(app, scope_of(ALICE)))[0]["status"] for _ in range(2)]
    other = (await ask(app, scope_of(Principal("default", "bob"))))[0]["status"]
    foreign = (await ask(app, scope_of(Principal("other", "alice"))))[0]["status"]
    assert (statuses, other, foreign) == ([200, 429], 200, 200)


@pytest.mark.parametrize("path", ["/health", "/health/ready", "/", "/socket.io/"])
async def test_what_is_asked_for_by_machines_does_not_count(path: str) -> None:
    app = middleware(requests_per_minute=1)
    for _ in range(3):
        assert (await ask(app, scope_of(ALICE, path)))[0]["status"] == 200
    assert (await ask(app, scope_of(None)))[0]["status"] == 200
    assert (await ask(app, scope_of(ALICE)))[0]["status"] == 200


async def test_a_websocket_that_is_one_too_many_is_closed() -> None:
    app = middleware(requests_per_minute=1)
    await ask(app, scope_of(ALICE, kind="websocket"))
    (closed,) = await ask(app, scope_of(ALICE, kind="websocket"))
    assert (closed["type"], closed["code"]) == ("websocket.close", 4429)


async def test_a_call_on_a_socket_is_refused_with_when_to_come_back() -> None:
    service = RateService(MemoryRate(), LimitBook(no_limits, Limits(requests_per_minute=1)))
    await service.check(ALICE)
    with pytest.raises(TooMany) as caught:
        await service.check(ALICE)
    assert caught.value.retry_after == 60
