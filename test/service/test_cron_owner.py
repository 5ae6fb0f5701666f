"""A cron lends its runs what its owner may when it fires, and ends with its owner."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from backend.database.base import Database
from backend.dto.cron import Cron, CronChange
from backend.dto.principal import SCOPES, Principal
from backend.dto.tenant import ApiKey, User
from backend.repository.api_key import ApiKeyRepository
from backend.repository.cron import DISABLED_REASON
from backend.repository.user import UserRepository
from backend.service.cron import CronService
from backend.service.cron_scheduler import CronScheduler
from backend.service.permission import ROLES
from test.engine_fixture import FakeClock
from test.service.test_cron import Crons

TENANT = "default"
NOW = datetime(2026, 1, 1, tzinfo=UTC)
LATER = "2026-01-01T01:00:00+00:00"
LATEST = "2026-01-01T03:00:00+00:00"


@pytest.fixture
def crons(database: Database, clock: FakeClock) -> Crons:
    return Crons(database, clock)


async def make_key(database: Database, *scopes: str, expires_at: datetime | None = None) -> tuple[ApiKey, Principal]:
    key = ApiKey(
        key_id=uuid4(),
        tenant_id=TENANT,
        name="narrow",
        prefix="ddp_",
        scopes=scopes,
        created_by="alice",
        created_at=NOW,
        expires_at=expires_at,
    )
    await database.write(lambda c: ApiKeyRepository(c, TENANT).add(key, uuid4().hex))
    return key, Principal(TENANT, f"key:{key.key_id}", scopes=frozenset(scopes))


async def make_user(database: Database, role: str) -> tuple[User, Principal]:
    user = User(
        user_id=uuid4(),
        tenant_id=TENANT,
        email=f"{uuid4().hex}@desk.example",
        name="Mina",
        role=role,
        status="active",
        token_version=0,
        created_at=NOW,
        updated_at=NOW,
    )
    await database.write(lambda c: UserRepository(c, TENANT).insert(user, None))
    return user, Principal(TENANT, str(user.user_id), frozenset({role}), scopes=ROLES[role])


async def change(database: Database, user: User, **values: Any) -> None:
    await database.write(lambda c: UserRepository(c, TENANT).change(user.user_id, NOW, **values))


async def is_disabled(crons: Crons, cron: Cron, word: str) -> None:
    await crons.at(LATER)
    await crons.at(LATEST)
    assert crons.starter.asked == []
    found = await crons.again(cron)
    assert not found.enabled
    assert word in found.metadata[DISABLED_REASON]
    assert found.metadata["own"] == 1


async def test_the_cron_of_a_revoked_key_is_disabled_and_says_why(crons: Crons) -> None:
    key, owner = await make_key(crons.database, "chat")
    cron = await crons.make(principal=owner, metadata={"own": 1})
    await crons.database.write(lambda c: ApiKeyRepository(c, TENANT).revoke(key.key_id, NOW))
    await is_disabled(crons, cron, "revoked")
    again = await crons.service.update(owner, cron.cron_id, CronChange(enabled=True))
    assert again.metadata == {"own": 1}


async def test_the_cron_of_an_expired_key_is_disabled(crons: Crons) -> None:
    _, owner = await make_key(crons.database, "chat", expires_at=NOW + timedelta(minutes=5))
    await is_disabled(crons, await crons.make(principal=owner, metadata={"own": 1}), "expired")


async def test_the_cron_of_a_key_without_a_row_is_disabled(crons: Crons) -> None:
    owner = Principal(TENANT, f"key:{uuid4()}", scopes=frozenset({"chat"}))
    await is_disabled(crons, await crons.make(principal=owner, metadata={"own": 1}), "gone")


async def test_the_cron_of_a_disabled_user_is_disabled(crons: Crons) -> None:
    user, owner = await make_user(crons.database, "agent")
    cron = await crons.make(principal=owner, metadata={"own": 1})
    await change(crons.database, user, status="disabled")
    await is_disabled(crons, cron, "disabled")


async def test_the_cron_of_a_deleted_user_is_disabled(crons: Crons) -> None:
    user, owner = await make_user(crons.database, "agent")
    cron = await crons.make(principal=owner, metadata={"own": 1})
    await crons.database.write(lambda c: UserRepository(c, TENANT).delete(user.user_id))
    await is_disabled(crons, cron, "deleted")


async def test_the_cron_of_who_may_no_longer_chat_is_disabled(crons: Crons) -> None:
    user, owner = await make_user(crons.database, "agent")
    cron = await crons.make(principal=owner, metadata={"own": 1})
    await change(crons.database, user, role="viewer")
    await is_disabled(crons, cron, "may not talk")


async def test_the_cron_of_an_uninstalled_desk_is_disabled(crons: Crons) -> None:
    owner = Principal(TENANT, "freshdesk:11", frozenset({"agent"}), scopes=ROLES["agent"])
    await is_disabled(crons, await crons.make(principal=owner, metadata={"own": 1}), "installation")


async def test_the_cron_of_who_may_less_by_now_lends_no_more(crons: Crons) -> None:
    user, owner = await make_user(crons.database, "admin")
    cron = await crons.make(principal=owner)
    await change(crons.database, user, role="agent")
    await crons.at(LATER)
    assert crons.starter.asked[0]["principal"].scopes == ROLES["agent"]
    assert (await crons.again(cron)).enabled


async def test_a_promotion_does_not_widen_a_cron(crons: Crons) -> None:
    user, owner = await make_user(crons.database, "agent")
    await crons.make(principal=owner)
    await change(crons.database, user, role="admin")
    await crons.at(LATER)
    assert crons.starter.asked[0]["principal"].scopes == ROLES["agent"]


async def test_who_has_no_row_stays_as_it_was(crons: Crons) -> None:
    token = Principal(TENANT, "default", frozenset({"owner"}))
    own = Principal(TENANT, str(uuid4()), user={"identity": "bob"})
    for owner in (token, own):
        await crons.make(principal=owner)
    await crons.at(LATER)
    assert [one["principal"].scopes for one in crons.starter.asked] == [SCOPES, SCOPES]


async def test_who_changes_what_a_cron_does_lends_it_no_more_than_they_have(crons: Crons) -> None:
    _, narrow = await make_key(crons.database, "chat")
    cron = await crons.make()
    await crons.service.update(narrow, cron.cron_id, CronChange(enabled=True, metadata={"own": 1}))
    assert (await crons.again(cron)).owner.scopes == SCOPES
    await crons.service.update(narrow, cron.cron_id, CronChange(payload={"input": {"ticket_id": "1"}}))
    await crons.at(LATER)
    assert crons.starter.asked[0]["principal"].scopes == {"chat"}


async def test_a_cron_that_was_changed_meanwhile_is_not_disabled(crons: Crons, database: Database) -> None:
    key, owner = await make_key(database, "chat")
    cron = await crons.make(principal=owner)
    await database.write(lambda c: ApiKeyRepository(c, TENANT).revoke(key.key_id, NOW))
    service: CronService = crons.service
    scheduler: CronScheduler = crons.scheduler
    crons.clock.now = datetime.fromisoformat(LATER)
    read = scheduler._owner

    async def late(one: Cron) -> Principal | None:
        await service.update(owner, cron.cron_id, CronChange(schedule="30 * * * *"))
        return await read(one)

    scheduler._owner = late  # type: ignore[method-assign, assignment]
    await scheduler.fire_due()
    found = await crons.again(cron)
    assert found.enabled
    assert DISABLED_REASON not in found.metadata
