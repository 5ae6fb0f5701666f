"""What a distributed lock promises, of the one in the process and of the one in a real Valkey."""

import asyncio
import time
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
from pydantic import SecretStr

from backend.core.error import Invalid, LockLost, Unavailable
from backend.core.lock import DistributedLock, LeaseHandle, get_redis_lock
from backend.core.lock.memory_lock import MemoryLock
from backend.core.lock.redis_lock import RedisLock
from backend.core.redis import RedisConnection


@pytest.fixture(params=["memory", "valkey"])
async def lock(request: pytest.FixtureRequest) -> AsyncIterator[DistributedLock]:
    if request.param == "memory":
        yield get_redis_lock(ttl=5)
        return
    connection = RedisConnection(SecretStr(request.getfixturevalue("valkey_url")))
    await connection.open()
    yield get_redis_lock(connection.client, ttl=5)
    await connection.close()


@pytest.fixture
def name() -> str:
    return f"test-{uuid4().hex}"


async def test_the_lock_is_got_and_the_second_who_asks_is_refused(lock: DistributedLock, name: str) -> None:
    async with lock.lock(name, ttl=5) as first:
        assert first
        async with lock.lock(name, ttl=5) as second:
            assert not second
            assert second.fence == 0
        assert first  # leaving the failed try has not released it
    async with lock.lock(name) as third:
        assert third


async def test_acquire_extend_and_release_by_name(lock: DistributedLock, name: str) -> None:
    assert await lock.acquire(name, ttl=5, timeout=0.1)
    assert await lock.extend(name, 30)
    assert await lock.release(name)
    assert not await lock.release(name)
    assert not await lock.extend(name, 30)


async def test_each_acquisition_has_a_greater_fence(lock: DistributedLock, name: str) -> None:
    fences = []
    for _ in range(20):
        async with lock.lock(name) as held:
            fences.append(held.fence)
    assert fences == sorted(set(fences))
    assert fences[0] > 0


async def test_of_many_tasks_one_is_inside_at_a_time(lock: DistributedLock, name: str) -> None:
    inside, entered = 0, 0

    async def worker() -> None:
        nonlocal inside, entered
        async with lock.lock(name, ttl=5, timeout=20) as held:
            assert held
            assert inside == 0
            inside += 1
            await asyncio.sleep(0)
            entered += 1
            inside -= 1

    await asyncio.gather(*(worker() for _ in range(12)))
    assert entered == 12


async def test_another_task_can_neither_release_nor_extend_it_by_name(lock: DistributedLock, name: str) -> None:
    assert await lock.acquire(name)
    assert not await asyncio.create_task(lock.release(name))
    assert not await asyncio.create_task(lock.extend(name, 5))
    assert await lock.release(name)


async def test_a_task_that_failed_to_get_it_does_not_free_anothers(lock: DistributedLock, name: str) -> None:
    held = await lock.acquire(name)

    async def other() -> bool:
        assert not await lock.acquire(name)
        return await lock.release(name)

    assert not await asyncio.create_task(other())
    assert held
    assert not await asyncio.create_task(lock.acquire(name))
    assert await lock.release(held)


async def test_a_handle_can_be_released_from_any_task(lock: DistributedLock, name: str) -> None:
    held = await lock.acquire(name)
    assert await asyncio.create_task(lock.release(held))
    assert await lock.acquire(name)


async def test_it_ends_by_itself_and_its_late_holder_cannot_touch_the_next_ones(
    lock: DistributedLock, name: str
) -> None:
    late = await lock.acquire(name, ttl=0.05)
    following = await asyncio.create_task(lock.acquire(name, ttl=5, timeout=2))
    assert following
    assert following.fence > late.fence
    assert not late
    assert not await lock.extend(late, 5)
    assert not await lock.release(late)
    assert not await lock.acquire(name)  # still the next one's
    assert await lock.release(following)


async def test_extend_adds_to_the_time_that_is_left(lock: DistributedLock, name: str) -> None:
    assert await lock.acquire(name, ttl=0.4)
    assert await lock.extend(name, 5)
    assert not await asyncio.create_task(lock.acquire(name, timeout=0.6))


async def test_the_watchdog_holds_it_for_as_long_as_the_body_takes(lock: DistributedLock, name: str) -> None:
    async with lock.lock(name, ttl=0.4) as held:
        assert not await asyncio.create_task(lock.acquire(name, timeout=0.9))
        assert held
    assert await lock.acquire(name)


async def test_a_body_whose_lock_is_lost_is_cancelled(lock: DistributedLock, name: str) -> None:
    handles: list[LeaseHandle] = []

    async def body() -> None:
        async with lock.lock(name, ttl=0.3) as held:
            handles.append(held)
            await _steal(lock, name)
            await asyncio.wait_for(asyncio.Event().wait(), 60)

    began = time.monotonic()
    with pytest.raises(LockLost):
        await body()
    assert time.monotonic() - began < 30
    assert handles[0].lost.is_set()
    assert not handles[0]
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0  # the cancellation was the lock's, and is over
    assert not await lock.acquire(name)  # the thief's was not released


async def test_a_body_that_is_cancelled_from_outside_releases_the_lock(lock: DistributedLock, name: str) -> None:
    inside = asyncio.Event()

    async def body() -> None:
        async with lock.lock(name, ttl=5):
            inside.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(body())
    await asyncio.wait_for(inside.wait(), 60)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await lock.acquire(name)


async def test_a_body_that_fails_releases_the_lock_and_its_failure_goes_on(lock: DistributedLock, name: str) -> None:
    with pytest.raises(ZeroDivisionError):
        async with lock.lock(name):
            raise ZeroDivisionError
    assert await lock.acquire(name)


async def test_an_acquire_cancelled_at_any_moment_leaves_nothing_locked(lock: DistributedLock, name: str) -> None:
    names = [f"{name}-{number}" for number in range(120)]
    for number, each in enumerate(names):
        task = asyncio.create_task(lock.acquire(each, ttl=60))
        for _ in range(number % 12):
            await asyncio.sleep(0)
        if task.cancel():
            with pytest.raises(asyncio.CancelledError):
                await task
        else:  # it was quicker, and holds what it asked for
            assert await lock.release(task.result())
    stayed = [each for each in names if not await lock.acquire(each, timeout=1)]
    assert stayed == []


async def test_tenants_do_not_meet(lock: DistributedLock, name: str) -> None:
    one, other = lock.of("one"), lock.of("other")
    assert await one.acquire(name)
    assert await other.acquire(name)
    assert await lock.acquire(name)
    assert not await asyncio.create_task(lock.of("one").acquire(name))
    assert await lock.of("one").release(name)
    assert not await asyncio.create_task(other.acquire(name))


@pytest.mark.parametrize(("bad_name", "ttl"), [("", 5.0), ("x" * 201, 5.0), ("x", 0.0), ("x", -1.0)])
async def test_a_senseless_name_or_time_is_refused(lock: DistributedLock, bad_name: str, ttl: float) -> None:
    with pytest.raises(Invalid):
        await lock.acquire(bad_name, ttl=ttl)


async def test_fences_do_not_fall_back_when_the_server_is_emptied(valkey_url: str, name: str) -> None:
    connection = RedisConnection(SecretStr(valkey_url))
    lock = RedisLock(connection.client)
    before = await lock.acquire(name)
    await connection.client.delete(before.key, "daedap:lock-fence")  # what FLUSHALL does, to our keys alone
    after = await lock.acquire(name)
    assert after.fence > before.fence
    await connection.close()


async def test_a_lock_server_that_is_gone_is_an_expected_failure(unused_tcp_port: int, name: str) -> None:
    connection = RedisConnection(SecretStr(f"redis://:canary-password@127.0.0.1:{unused_tcp_port}"))
    with pytest.raises(Unavailable) as refused:
        await connection.open()
    assert "canary" not in refused.value.detail
    assert str(unused_tcp_port) in refused.value.detail
    with pytest.raises(Unavailable):
        await RedisLock(connection.client).acquire(name)
    await connection.close()


async def _steal(lock: DistributedLock, name: str) -> None:
    """Make another the holder, as after a pause that was longer than the lease."""
    key = lock._key(name)
    if isinstance(lock, MemoryLock):
        lock._locks._held[key] = ("thief", time.monotonic() + 60)
    else:
        assert isinstance(lock, RedisLock)
        await lock._take_script.registered_client.set(key, "thief", px=60_000)
