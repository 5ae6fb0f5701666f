"""What the cache promises: in the process, in a real Valkey, and of the two together.

(000-32, 000-33, 002-14 to 002-16, 002-21 to 002-23, 003-17 to 003-21, 003-30, X9)
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr
from redis.asyncio import Redis

from backend.core.cache import MISS, Cache, Caches, Hit
from backend.core.cache.base import NAMESPACE, Entry
from backend.core.cache.memory_cache import MemoryStore
from backend.core.cache.redis_cache import RedisStore
from backend.core.cache.two_level_cache import TwoLevelStore
from backend.core.redis import RedisConnection
from backend.core.redis_guard import Away, RedisGuard
from backend.util.key_part import LONGEST, key_part
from test.engine_fixture import until
from test.server import free_port

TTL = {"default": 300, "embedding": 86_400, "off": 0}


class Clock:
    """Seconds of the epoch, as they really are, and more when moved: Valkey has a clock of its own."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return datetime.now(UTC).timestamp() + self.ahead


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def client(valkey_url: str) -> AsyncIterator[Redis]:
    connection = RedisConnection(SecretStr(valkey_url))
    await connection.open()
    yield connection.client
    await connection.close()


def two_level(client: Redis, clock: Clock, **options: Any) -> TwoLevelStore:
    options = {"guard": RedisGuard("a test", seconds=10)} | options
    return TwoLevelStore(MemoryStore(clock=clock), RedisStore(client, clock=clock), client, clock=clock, **options)


@pytest.fixture(params=["memory", "valkey", "two levels"])
async def caches(request: pytest.FixtureRequest, clock: Clock) -> AsyncIterator[Caches]:
    if request.param == "memory":
        yield Caches(MemoryStore(clock=clock), TTL, clock=clock)
        return
    connection = RedisConnection(SecretStr(request.getfixturevalue("valkey_url")))
    await connection.open()
    far = RedisStore(connection.client, clock=clock)
    made = Caches(far if request.param == "valkey" else two_level(connection.client, clock), TTL, clock=clock)
    await made.open()
    yield made
    await made.close()
    await connection.close()


@pytest.fixture
def tenant() -> str:
    return f"tenant-{uuid4().hex}"


@pytest.fixture
def cache(caches: Caches, tenant: str) -> Cache:
    return caches.of(tenant)


async def never() -> Any:
    raise AssertionError("it is there already")


def giving(value: Any) -> Callable[[], Awaitable[Any]]:
    async def make() -> Any:
        return value

    return make


# Values.


@pytest.mark.parametrize(
    "value", [None, True, 0, "", -1.5, "가나다", [], {}, b"", b"\x00\xff", {"a": [1, None, {"b": "c"}]}, 2**53]
)
async def test_what_is_set_is_got_and_none_is_no_miss(cache: Cache, value: Any) -> None:
    """(003-18, 002-15)"""
    assert await cache.get("kind", "key") is MISS
    await cache.set("kind", "key", value)
    found = await cache.get("kind", "key")
    assert found
    assert found == Hit(value)
    assert type(found.value) is type(value)
    assert await cache.get_or_make("kind", "key", never) == value


@pytest.mark.parametrize(
    "value",
    [datetime.now(UTC), uuid4(), (1, 2), {1: "a"}, {"a": {2, 3}}, float("nan"), [float("inf")], object(), 2**70],
)
async def test_what_would_come_back_as_something_else_is_refused(cache: Cache, value: Any) -> None:
    """(002-14)"""
    with pytest.raises(TypeError):
        await cache.set("kind", "key", value)
    assert await cache.get("kind", "key") is MISS


async def test_who_changes_a_value_that_was_got_changes_nobody_elses(cache: Cache) -> None:
    kept = {"list": [1]}
    await cache.set("kind", "key", kept)
    kept["list"].append(2)
    for _ in range(2):
        found = await cache.get("kind", "key")
        assert isinstance(found, Hit)
        assert found.value == {"list": [1]}
        found.value["list"].append(3)


# Keys.


async def test_no_two_names_share_a_value(caches: Caches, tenant: str) -> None:
    """(003-17, 002-15)"""
    names = [
        (tenant, "kind", "a:b"),
        (tenant, "kind", ("a", "b")),
        (tenant, "kind:a", "b"),
        (tenant, "kind", ("a", "b", "")),
        (tenant, "kind", ("", "a", "b")),
        (tenant, "kind", ()),
        (tenant, "kind", ""),
        (tenant, "kind", "a%3Ab"),
        (tenant, "kind", "A:B"),
        (tenant, "", "kind:a:b"),
        (f"{tenant}:kind", "a", "b"),
        (f"{tenant}:", "kind", "a:b"),
        (tenant, "kind", "x" * 1000),
        (tenant, "kind", "x" * 1001),
        (tenant, "kind", key_part("x" * 1000)),
        (tenant, "kind", "\ud800"),
        (tenant, "kind", "\n\x00"),
    ]
    for number, (owner, kind, key) in enumerate(names):
        await caches.of(owner).set(kind, key, number)
    for number, (owner, kind, key) in enumerate(names):
        assert await caches.of(owner).get(kind, key) == Hit(number), (owner, kind, key)


@given(st.text(), st.text())
def test_encoded_parts_are_as_different_as_what_they_encode(one: str, other: str) -> None:
    assert (key_part(one) == key_part(other)) == (one == other)
    assert not set(key_part(one)) & set("*?[]\\:{}^")
    assert len(key_part(one)) <= LONGEST


async def test_a_cache_needs_a_tenant(caches: Caches) -> None:
    with pytest.raises(ValueError, match="tenant"):
        caches.of("")


async def test_another_tenant_sees_and_deletes_nothing(caches: Caches, tenant: str) -> None:
    await caches.of(tenant).set("kind", "key", 1)
    stranger = caches.of(f"{tenant}-2")
    assert await stranger.get("kind", "key") is MISS
    assert not await stranger.delete("kind", "key")
    assert await stranger.delete_matching("kind") == 0
    assert await caches.of(tenant).get("kind", "key") == Hit(1)


# Deleting.


async def test_deleting_says_whether_something_was_there(cache: Cache, clock: Clock) -> None:
    """(003-19)"""
    assert not await cache.delete("kind", "key")
    await cache.set("kind", "key", None)
    assert await cache.delete("kind", "key")
    assert not await cache.delete("kind", "key")
    await cache.set("kind", "key", 1, ttl=5)
    clock.ahead = 10
    assert not await cache.delete("kind", "key")


async def test_what_begins_alike_is_deleted_by_whole_parts(cache: Cache) -> None:
    """(003-20)"""
    for key in [("a", "1"), ("a", "2"), ("a",), ("ab", "1"), ("b", "a")]:
        await cache.set("kind", key, 1)
    await cache.set("kind2", ("a", "1"), 1)
    assert await cache.delete_matching("kind", ("a",)) == 3
    assert await cache.get("kind", ("ab", "1")) == Hit(1)
    assert await cache.get("kind", ("b", "a")) == Hit(1)
    assert await cache.delete_matching("kind") == 2
    assert await cache.get("kind2", ("a", "1")) == Hit(1)


@pytest.mark.parametrize("sign", ["*", "?", "[a-z]", "\\", "a*", "[^b]", "{a,b}"])
async def test_signs_of_patterns_are_only_letters(caches: Caches, tenant: str, sign: str) -> None:
    """(003-17)"""
    mine, other = caches.of(sign + tenant), caches.of(tenant)
    for one in (mine, other):
        await one.set("kind", ("a", "1"), 1)
        await one.set("kind", (sign, "1"), 1)
    assert await mine.delete_matching("kind", (sign,)) == 1
    assert await other.get("kind", ("a", "1")) == Hit(1)
    assert await mine.get("kind", ("a", "1")) == Hit(1)
    assert await mine.delete_matching(sign) == 0


async def test_many_are_deleted_in_batches(cache: Cache, caches: Caches) -> None:
    for number in range(1200):
        await cache.set("kind", ("many", str(number)), number)
    assert await cache.delete_matching("kind", ("many",)) == 1200
    assert await cache.get("kind", ("many", "7")) is MISS


# How long.


async def test_a_value_is_gone_after_its_seconds(cache: Cache, clock: Clock) -> None:
    """(002-23, X9)"""
    await cache.set("kind", "own", 1, ttl=10)
    await cache.set("kind", "default", 1)
    await cache.set("embedding", "kind", 1)
    for ahead, left in [(9, 3), (11, 2), (299, 2), (301, 1), (86_399, 1), (86_401, 0)]:
        clock.ahead = ahead
        found = [await cache.get(*name) for name in [("kind", "own"), ("kind", "default"), ("embedding", "kind")]]
        assert len([one for one in found if one]) == left, ahead


async def test_zero_seconds_keep_nothing_and_are_not_the_default(cache: Cache) -> None:
    """(003-18)"""
    await cache.set("kind", "key", 1)
    await cache.set("kind", "key", 2, ttl=0)
    assert await cache.get("kind", "key") is MISS
    await cache.set("off", "key", 1)
    assert await cache.get("off", "key") is MISS
    assert await cache.get_or_make("off", "key", giving(3)) == 3
    assert await cache.get("off", "key") is MISS
    for ttl in (-1, float("inf"), float("nan")):
        with pytest.raises(ValueError, match="seconds"):
            await cache.set("kind", "key", 1, ttl=ttl)


async def test_setting_again_begins_the_seconds_anew(cache: Cache, clock: Clock) -> None:
    await cache.set("kind", "key", 1, ttl=10)
    clock.ahead = 8
    await cache.set("kind", "key", 2, ttl=10)
    clock.ahead = 16
    assert await cache.get("kind", "key") == Hit(2)


# Making.


class Maker:
    """Counts how often it is asked, and waits until it may answer."""

    def __init__(self, value: Any = "made") -> None:
        self.value = value
        self.calls = 0
        self.began = asyncio.Event()
        self.may = asyncio.Event()
        self.cancelled = False

    async def __call__(self) -> Any:
        self.calls += 1
        self.began.set()
        try:
            await self.may.wait()
        except asyncio.CancelledError:
            self.cancelled = True
            raise
        if isinstance(self.value, Exception):
            raise self.value
        return self.value


async def test_many_who_ask_at_once_make_it_once(cache: Cache, caches: Caches, tenant: str) -> None:
    """(002-15, 002-22)"""
    maker = Maker({"a": [1]})
    asking = [asyncio.create_task(caches.of(tenant).get_or_make("kind", "key", maker)) for _ in range(50)]
    await maker.began.wait()
    maker.may.set()
    found = await asyncio.gather(*asking)
    assert maker.calls == 1
    assert found == [{"a": [1]}] * 50
    assert found[0] is not found[1]
    assert await cache.get("kind", "key") == Hit({"a": [1]})
    assert caches.figures()["in_flight"] == 0


async def test_none_that_was_made_is_kept(cache: Cache) -> None:
    assert await cache.get_or_make("kind", "key", giving(None)) is None
    assert await cache.get_or_make("kind", "key", never) is None


async def test_a_failure_is_everybodys_and_is_not_kept(cache: Cache) -> None:
    """(000-33)"""
    maker = Maker(LookupError("no"))
    asking = [asyncio.create_task(cache.get_or_make("kind", "key", maker)) for _ in range(3)]
    await maker.began.wait()
    await joined(cache, "kind", "key", 3)
    maker.may.set()
    results = await asyncio.gather(*asking, return_exceptions=True)
    assert [type(one) for one in results] == [LookupError] * 3
    assert maker.calls == 1
    assert await cache.get("kind", "key") is MISS
    assert await cache.get_or_make("kind", "key", giving("now")) == "now"


async def test_what_cannot_be_kept_is_a_failure(cache: Cache) -> None:
    with pytest.raises(TypeError):
        await cache.get_or_make("kind", "key", giving((1, 2)))
    assert await cache.get("kind", "key") is MISS


async def test_who_is_cancelled_leaves_the_others_their_value(cache: Cache) -> None:
    maker = Maker()
    first = asyncio.create_task(cache.get_or_make("kind", "key", maker))
    await maker.began.wait()
    second = asyncio.create_task(cache.get_or_make("kind", "key", never))
    await joined(cache, "kind", "key", 2)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    maker.may.set()
    assert await second == "made"
    assert not maker.cancelled


async def test_with_the_last_who_is_cancelled_the_making_ends(cache: Cache, caches: Caches) -> None:
    maker = Maker()
    asking = asyncio.create_task(cache.get_or_make("kind", "key", maker))
    await maker.began.wait()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert caches.figures()["in_flight"] == 0
    assert await cache.get_or_make("kind", "key", giving("anew")) == "anew"
    assert maker.cancelled


@pytest.mark.parametrize("how", ["one", "all"])
async def test_what_is_made_from_what_is_outdated_is_not_kept(cache: Cache, how: str) -> None:
    maker = Maker("old")
    asking = asyncio.create_task(cache.get_or_make("kind", ("a", "1"), maker))
    await maker.began.wait()
    if how == "one":
        await cache.delete("kind", ("a", "1"))
    else:
        await cache.delete_matching("kind", ("a",))
    assert await cache.get_or_make("kind", ("a", "1"), giving("new")) == "new"
    maker.may.set()
    assert await asking == "old"
    assert await cache.get("kind", ("a", "1")) == Hit("new")


async def joined(cache: Cache, kind: str, key: str, count: int) -> None:
    """Return when so many wait for a value."""

    async def are() -> bool:
        flight = cache._caches._flights.get(cache._key(kind, key))
        return flight is not None and flight.waiting == count

    await until(are)


async def test_it_counts(cache: Cache, caches: Caches) -> None:
    """(003-30)"""
    await cache.get("kind", "key")
    await cache.set("kind", "key", 1)
    await cache.get("kind", "key")
    figures = caches.figures()
    assert (figures["hits"], figures["misses"]) == (1, 1)


# In the process.


async def test_what_was_used_last_stays(clock: Clock) -> None:
    """(002-23)"""
    cache = Caches(MemoryStore(entries=3, clock=clock), clock=clock).of("t")
    for key in "abc":
        await cache.set("kind", key, key)
    await cache.get("kind", "a")
    await cache.set("kind", "d", "d")
    assert [bool(await cache.get("kind", key)) for key in "abcd"] == [True, False, True, True]


async def test_bytes_are_bounded_for_a_tenant_and_in_all(clock: Clock) -> None:
    store = MemoryStore(tenant_bytes=10_000, total_bytes=25_000, clock=clock)
    caches = Caches(store, clock=clock)
    for tenant in "abcd":
        for number in range(100):
            await caches.of(tenant).set("kind", str(number), b"x" * 500)
            assert store.figures()["bytes"] <= 25_000
    assert not await caches.of("a").get("kind", "99")
    assert await caches.of("d").get("kind", "99")
    await caches.of("d").set("kind", "99", b"x" * 20_000)
    assert not await caches.of("d").get("kind", "99"), "an old value must not stay for one that is too large"
    for tenant in "abcd":
        await caches.of(tenant).delete_matching("kind")
    assert store.figures() == {"entries": 0, "bytes": 0}


async def test_one_tenant_does_not_push_out_what_is_anothers(clock: Clock) -> None:
    """(A13)"""
    caches = Caches(MemoryStore(entries=10, clock=clock), clock=clock)
    await caches.of("quiet").set("kind", "key", 1)
    for number in range(1000):
        await caches.of("loud").set("kind", str(number), number)
    assert await caches.of("quiet").get("kind", "key") == Hit(1)


# Redis.


async def test_what_is_not_ours_is_a_miss_and_nothing_is_executed(client: Redis, clock: Clock, tenant: str) -> None:
    """(A5)"""
    ends = int((clock() + 60) * 1000).to_bytes(8)
    pickled = b"\x80\x04\x8c\x08builtins\x8c\x04exec\x93."
    for forged in (b"", b"x", pickled, ends, ends + b"j{", ends + pickled, ends + b"j" + pickled, b"\xff" * 20):
        cache = Caches(RedisStore(client, clock=clock), clock=clock).of(tenant)
        await client.set(cache._key("kind", "key"), forged)
        assert await cache.get("kind", "key") is MISS
        assert await cache.get_or_make("kind", "key", giving("own")) == "own"
        assert await cache.get("kind", "key") == Hit("own")


async def test_keys_in_redis_end_by_themselves(client: Redis, clock: Clock, tenant: str) -> None:
    cache = Caches(RedisStore(client, clock=clock), clock=clock).of(tenant)
    await cache.set("kind", "key", 1, ttl=100)
    assert 98_000 < await client.pttl(cache._key("kind", "key")) <= 100_000


# Two processes.


@pytest.fixture
async def others(client: Redis, clock: Clock, valkey_url: str) -> AsyncIterator[list[Caches]]:
    """Two processes' caches over one Valkey, each with a connection of its own."""
    connection = RedisConnection(SecretStr(valkey_url))
    made = [Caches(two_level(one, clock), TTL, clock=clock) for one in (client, connection.client)]
    for one in made:
        await one.open()
    yield made
    for one in made:
        await one.close()
    await connection.close()


@pytest.mark.parametrize("change", ["set", "delete", "matching"])
async def test_what_one_process_changes_the_other_lets_go_of(others: list[Caches], tenant: str, change: str) -> None:
    """(002-23)"""
    here, there = (one.of(tenant) for one in others)
    await here.set("kind", ("a", "1"), "old")
    assert await there.get("kind", ("a", "1")) == Hit("old")
    if change == "set":
        await here.set("kind", ("a", "1"), "new")
    elif change == "delete":
        assert await here.delete("kind", ("a", "1"))
    else:
        assert await here.delete_matching("kind", ("a",)) == 1
    wanted = Hit("new") if change == "set" else MISS

    async def is_known() -> bool:
        return await there.get("kind", ("a", "1")) == wanted

    await until(is_known)


async def test_what_another_process_outdated_meanwhile_is_not_kept(others: list[Caches], tenant: str) -> None:
    here, there = (one.of(tenant) for one in others)
    maker = Maker("old")
    asking = asyncio.create_task(here.get_or_make("kind", "key", maker))
    await maker.began.wait()
    await there.delete("kind", "key")

    async def is_outdated() -> bool:
        return others[0].figures()["in_flight"] == 0

    await until(is_outdated)
    maker.may.set()
    assert await asking == "old"
    assert await there.get("kind", "key") is MISS
    assert await here.get("kind", "key") is MISS


async def test_after_a_flush_nothing_is_there_beyond_what_is_at_hand(
    others: list[Caches], tenant: str, client: Redis, clock: Clock
) -> None:
    here, there = (one.of(tenant) for one in others)
    await here.set("kind", "key", 1)
    await client.flushdb()
    assert await there.get("kind", "key") is MISS
    clock.ahead = 31  # by then, nothing is at hand without a look at Redis
    assert await here.get("kind", "key") is MISS
    assert await here.get_or_make("kind", "key", giving(2)) == 2


async def test_at_hand_a_value_is_no_longer_than_its_seconds(others: list[Caches], tenant: str, clock: Clock) -> None:
    here, there = (one.of(tenant) for one in others)
    await here.set("kind", "key", 1, ttl=10)
    clock.ahead = 8
    assert await there.get("kind", "key") == Hit(1)
    clock.ahead = 11
    assert await there.get("kind", "key") is MISS
    assert await here.get("kind", "key") is MISS


# Without Redis.


class Breakable:
    """A guard's clock and a client that can be sent to where nobody listens."""

    def __init__(self, client: Redis) -> None:
        self._client = client
        self._nobody = Redis(host="127.0.0.1", port=free_port(), socket_connect_timeout=0.2)
        self.broken = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._nobody if self.broken else self._client, name)

    async def aclose(self) -> None:
        await self._nobody.aclose()


async def test_without_redis_it_goes_on_and_what_was_deleted_meanwhile_stays_deleted(
    client: Redis, clock: Clock, tenant: str
) -> None:
    """(000-61: Redis is for speed, never for correctness)"""
    breakable: Any = Breakable(client)
    guard = RedisGuard("a test", pause=0.0)
    caches = Caches(two_level(breakable, clock, guard=guard), TTL, clock=clock)
    cache = caches.of(tenant)
    other = Caches(RedisStore(client, clock=clock), clock=clock).of(tenant)
    for key in ("deleted", "changed", "matching", "kept"):
        await cache.set("kind", key, "old")
    breakable.broken = True
    assert await cache.delete("kind", "deleted")
    await cache.set("kind", "changed", "new")
    assert await cache.delete_matching("kind", ("matching",)) == 1
    assert await cache.get("kind", "kept") == Hit("old")
    assert await cache.get("kind", "changed") == Hit("new")
    assert await cache.get("kind", "deleted") is MISS
    assert await cache.get_or_make("kind", "fresh", giving(1)) == 1
    assert await other.get("kind", "deleted") == Hit("old"), "Redis has not heard of it yet"
    breakable.broken = False
    assert await cache.get("kind", "deleted") is MISS
    assert await cache.get("kind", "matching") is MISS
    assert await other.get("kind", "deleted") is MISS
    assert await other.get("kind", "changed") is MISS
    assert await other.get("kind", "kept") == Hit("old")
    clock.ahead = 31
    assert await cache.get("kind", "changed") is MISS, "never from before"
    await breakable.aclose()


async def test_more_deletions_than_are_remembered_delete_all(
    client: Redis, clock: Clock, tenant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backend.core.cache.two_level_cache.OWED", 5)
    breakable: Any = Breakable(client)
    store = two_level(breakable, clock, guard=RedisGuard("a test", pause=0.0))
    key = f"{NAMESPACE}{tenant}:kind:key:"
    await store.set(key, Entry(b"j1", clock() + 60))
    breakable.broken = True
    for number in range(7):
        await store.delete(f"{NAMESPACE}{tenant}:kind:{number}:")
    breakable.broken = False
    assert await store.get("another") is None
    assert await client.exists(key) == 0
    await breakable.aclose()


async def test_a_guard_asks_no_more_for_a_while_and_then_again() -> None:
    now = 0.0
    asked = 0
    fails = True

    async def question() -> str:
        nonlocal asked
        asked += 1
        if fails:
            raise ConnectionError
        return "answer"

    guard = RedisGuard("a test", pause=5, clock=lambda: now)
    for _ in range(10):
        with pytest.raises(Away):
            await guard.ask(question)
    assert asked == 1
    now, fails = 6.0, False
    assert await guard.ask(question) == "answer"
    assert asked == 2


async def test_a_guard_waits_no_longer_than_it_may() -> None:
    guard = RedisGuard("a test", seconds=0.01)
    with pytest.raises(Away):
        await guard.ask(asyncio.Event().wait)
