"""Nothing of a deleted tenant is left, and nothing of another's is lost (000-57, I-6, I-8)."""

import asyncio
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from backend.core.error import Conflict, Unavailable
from backend.core.lock.memory_lock import MemoryLock
from backend.database.base import Database
from backend.database.model import Base, ConversationRow, RunEventRow, table_of
from backend.dto.principal import OPERATE, Principal
from backend.dto.tenant import AuditFilter
from backend.repository.audit import AuditRepository
from backend.repository.purge import KEPT, own_tables
from backend.service import purge as purging
from backend.service.purge import TenantPurge
from backend.service.tenant import TenantService
from test.purge.rows import CHILDREN, counts, fill, put_another

NOW = datetime(2026, 1, 1, tzinfo=UTC)
OPERATOR = Principal("default", "operator", scopes=frozenset({OPERATE}))


class Elsewhere:
    """Stands for the runs, the background work and the places outside of the database."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, str]] = []
        self.failures = 0

    async def stop_all(self, principal: Principal, thread_id: UUID) -> None:
        self.heard.append(("run", principal.tenant_id))

    async def stop(self, tenant_id: str) -> None:
        self.heard.append(("stop", tenant_id))

    async def empty(self, tenant_id: str) -> None:
        self.heard.append(("empty", tenant_id))
        if self.failures:
            self.failures -= 1
            raise Unavailable("The files cannot be reached.")

    async def also(self, tenant_id: str) -> None:
        self.heard.append(("also", tenant_id))


class Told(TenantPurge):
    """Says when it came to an end, good or bad."""

    ended: asyncio.Queue[None]

    async def purge(self, tenant_id: str) -> Counter[str]:
        try:
            return await super().purge(tenant_id)
        finally:
            self.ended.put_nowait(None)

    async def end(self) -> None:
        async with asyncio.timeout(60):
            await self.ended.get()


def purge_of(database: Database, elsewhere: Elsewhere, clock: Callable[[], datetime] = lambda: NOW) -> Told:
    places = (elsewhere.empty, elsewhere.also)
    made = Told(database, elsewhere, MemoryLock(), clock, stops=(elsewhere.stop,), places=places, retry_seconds=0.01)
    made.ended = asyncio.Queue()
    return made


async def deleted(database: Database, *tenants: str, on_deleted: Any = None) -> TenantService:
    """Fill the tables for these tenants and for `other`, then delete them."""
    service = TenantService(database, lambda: NOW, on_deleted=on_deleted)
    for tenant_id in ("other", *tenants):
        await fill(database, tenant_id)
    for tenant_id in tenants:
        await service.delete(OPERATOR, tenant_id)
    return service


def test_every_table_is_some_tenants_or_is_named_here() -> None:
    """A table that says neither whose a row is nor is one of `CHILDREN` would be forgotten by the purge, silently."""
    nobodys = {table.name for table in Base.metadata.sorted_tables if "tenant_id" not in table.c}
    assert nobodys == set(CHILDREN)
    assert {table.name for table in own_tables()} | KEPT | nobodys == set(Base.metadata.tables)
    assert {"tenants", "usage", "audit_log"} == KEPT


async def test_no_table_has_a_row_of_a_purged_tenant_left(database: Database) -> None:
    # `acme2` begins as the purged tenant's name does, and must not be taken for it.
    service = await deleted(database, "acme")
    await fill(database, "acme2")
    before = await counts(database, "other"), await counts(database, "acme2")
    assert len(before[0]) == len(Base.metadata.tables)
    elsewhere = Elsewhere()
    removed = await purge_of(database, elsewhere).purge("acme")
    assert (await counts(database, "acme")).keys() == KEPT
    assert (await counts(database, "other"), await counts(database, "acme2")) == before
    assert removed["tickets"] == removed["users"] == removed["run_events"] == removed["checkpoints"] == 1
    assert {tenant for _, tenant in elsewhere.heard} == {"acme"}
    tenant = await service.read("acme")
    assert (tenant.status, tenant.purged_at, tenant.name, tenant.domain) == ("deleted", NOW, "acme", None)
    log = await database.read(lambda c: AuditRepository(c, "acme").list(AuditFilter(action="tenant.purged"), 5))
    assert [entry.detail["removed"]["conversations"] for entry in log] == [1]


async def test_large_tables_go_in_portions(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(purging, "BATCH", 3)
    await deleted(database, "acme")
    for number in range(10):
        await put_another(database, table_of(ConversationRow), "acme", id=uuid4(), conversation_id=f"{number}")
        await put_another(database, table_of(RunEventRow), "acme", seq=number + 2)
    portions: list[int] = []
    write = database.write

    async def watched(work: Any, **options: Any) -> Any:
        done = await write(work, **options)
        portions.extend([done] if isinstance(done, int) else done.values() if isinstance(done, dict) else ())
        return done

    monkeypatch.setattr(database, "write", watched)
    removed = await purge_of(database, Elsewhere()).purge("acme")
    assert (removed["conversations"], removed["run_events"]) == (11, 11)
    assert max(portions) == 3
    assert (await counts(database, "acme")).keys() == KEPT


async def test_a_purge_that_was_cut_off_goes_on_with_the_next_start(database: Database) -> None:
    service = await deleted(database, "acme")
    elsewhere = Elsewhere()
    elsewhere.failures = 1
    with pytest.raises(Unavailable):
        await purge_of(database, elsewhere).purge("acme")
    assert ("also", "acme") in elsewhere.heard  # a place that cannot be reached keeps nothing in the others
    assert (await service.read("acme")).purged_at is None
    after = purge_of(database, elsewhere)
    await after.open()
    try:
        await after.end()
    finally:
        await after.close()
    assert (await service.read("acme")).purged_at == NOW
    assert (await counts(database, "acme")).keys() == KEPT


async def test_a_place_that_fails_is_tried_again(database: Database) -> None:
    service = await deleted(database, "acme")
    elsewhere = Elsewhere()
    elsewhere.failures = 1
    purge = purge_of(database, elsewhere)
    await purge.open()
    try:
        await purge.end()  # with a failure
        await purge.end()
        assert (await service.read("acme")).purged_at == NOW
    finally:
        await purge.close()


async def test_deleting_begins_it_and_what_comes_late_goes_too(database: Database) -> None:
    elsewhere = Elsewhere()
    now = NOW
    purge = purge_of(database, elsewhere, lambda: now)
    await purge.open()
    try:
        service = await deleted(database, "acme", on_deleted=purge.wake)
        await purge.end()
        first = await service.read("acme")
        assert first.purged_at == NOW
        await fill(database, "acme", without=KEPT)  # a request that was let in before
        await purge.sweep()
        await purge.end()
        assert (await counts(database, "acme")).keys() == KEPT
        assert (await service.read("acme")).purged_at == first.purged_at
        elsewhere.heard.clear()
        now += timedelta(days=2)
        await purge.sweep()
        assert purge._waiting == {}  # long after, nothing is looked for any more
    finally:
        await purge.close()


async def test_a_tenant_that_is_not_deleted_loses_nothing(database: Database) -> None:
    service = await deleted(database, "acme")
    before = await counts(database, "other")
    with pytest.raises(Conflict):
        await purge_of(database, Elsewhere()).purge("other")
    await service.suspend(OPERATOR, "other")
    with pytest.raises(Conflict):
        await purge_of(database, Elsewhere()).purge("other")
    assert {**before, "audit_log": 2} == await counts(database, "other")


async def test_the_servers_own_tenant_cannot_be_deleted(database: Database) -> None:
    service = TenantService(database, lambda: NOW)
    await service.open()
    with pytest.raises(Conflict):
        await service.delete(Principal("elsewhere", "operator", scopes=frozenset({OPERATE})), "default")
