"""Installing, over the real database and a Freshdesk on this machine, through the routes."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from fastapi import FastAPI, Request, Response
from pydantic import SecretStr
from sqlalchemy import select, update

from backend.api import problem
from backend.api.setup.router import router
from backend.core.cache import Caches, cache_store
from backend.core.collector.freshdesk.platform import FreshdeskPlatform
from backend.core.collector.platform import Platform
from backend.core.error import (
    Conflict,
    InstallationNotFound,
    SyncActive,
    TooMany,
    Unauthorized,
)
from backend.core.redis import RedisConnection
from backend.core.secret_box import SecretBox
from backend.database.base import Database
from backend.database.model import AuditRow, InstallationRow, PlatformEventRow, TenantRow, table_of
from backend.dto.principal import OPERATE, SCOPES, Principal
from backend.service.installation_secret import InstallationSecrets
from backend.service.platform_door import QUESTIONS
from backend.service.platform_webhook import PlatformWebhookService, read_hint
from backend.service.setup import SetupService
from backend.service.tenant import TenantService
from backend.simulator.freshdesk import FreshdeskSimulator
from test.engine_fixture import FakeClock, of_everyone, until
from test.freshdesk.conftest import AGENT_KEY, KEY, OTHER_KEY

OPERATOR = Principal("default", "root", frozenset({"operator"}), scopes=SCOPES | {OPERATE})
ALICE = Principal("alice", "alice-1")
MALLORY = Principal("mallory", "mallory-1")
PEOPLE = {"operator": OPERATOR, "alice": ALICE, "mallory": MALLORY}
on_both = pytest.mark.parametrize("empty_database", ["sqlite", "postgresql"], indirect=True)
ACME = {"platform": "freshdesk", "domain": "acme.freshdesk.com", "api_key": KEY}


@dataclass
class Office:
    """The services, clients for three people, and what the callbacks heard."""

    database: Database
    setup: SetupService
    box: SecretBox
    tenants: TenantService
    platforms: dict[str, Platform]
    operator: httpx.AsyncClient
    alice: httpx.AsyncClient
    mallory: httpx.AsyncClient
    nobody: httpx.AsyncClient
    heard: list[Any] = field(default_factory=list)
    job_id: UUID = field(default_factory=uuid4)
    active: bool = False

    async def rows(self, model: Any) -> list[Any]:
        return await self.database.read(of_everyone(lambda c: list(c.execute(select(table_of(model))))))

    async def actions(self) -> list[str]:
        return [row.action for row in await self.rows(AuditRow) if row.action.startswith("installation")]


@pytest.fixture
async def office(
    database: Database, platform: FreshdeskPlatform, clock: FakeClock, tmp_path: Path
) -> AsyncIterator[Office]:
    box = SecretBox(tmp_path / "secret.key")
    tenants = TenantService(database, clock)
    secrets = InstallationSecrets(box)
    made: Office

    async def on_installed(tenant_id: str, name: str) -> UUID:
        made.heard.append(("installed", tenant_id, name))
        if made.active:
            raise SyncActive(made.job_id)
        return made.job_id

    async def on_changed(tenant_id: str, name: str, tickets: Sequence[str]) -> None:
        made.heard.append(("changed", tenant_id, name, tuple(tickets)))

    def noting(what: str) -> Any:
        async def note(tenant_id: str, name: str) -> None:
            made.heard.append((what, tenant_id, name))

        return note

    platforms: dict[str, Platform] = {"freshdesk": platform}
    setup = SetupService(
        database,
        platforms,
        secrets,
        tenants,
        clock,
        caches=Caches(cache_store()),
        on_installed=on_installed,
        stop=noting("stopped"),
        purge=noting("purged"),
    )
    webhooks = PlatformWebhookService(database, secrets, clock, on_changed=on_changed, is_active=_active)
    app = FastAPI()
    app.state.container = SimpleNamespace(setup_service=lambda: setup, platform_webhook_service=lambda: webhooks)
    problem.install(app)
    app.include_router(router)

    @app.middleware("http")
    async def door(request: Request, call_next: Any) -> Response:
        request.state.principal = PEOPLE.get(request.headers.get("x-who", ""))
        answer: Response = await call_next(request)
        return answer

    def client(who: str) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://test", headers={"x-who": who} if who else {}
        )

    async with client("operator") as operator, client("alice") as alice, client("mallory") as mallory, client("") as no:
        made = Office(database, setup, box, tenants, platforms, operator, alice, mallory, no)
        yield made


async def test_an_installation_is_kept_encrypted_and_begins_to_collect(office: Office) -> None:
    """(000-47, 000-53, 000-54, 000-56, X1)"""
    tried = await office.alice.post("/setup/test-freshdesk-connection", json=ACME)
    assert tried.status_code == 200, tried.text
    assert {name: tried.json()[name] for name in ("status", "tenant_id", "company_id", "platform")} == {
        "status": "success",
        "tenant_id": "alice",
        "company_id": "alice",
        "platform": "freshdesk",
    }
    assert office.heard == []
    assert await office.rows(InstallationRow) == []

    answer = await office.alice.post("/setup/install", json=ACME)
    assert answer.status_code == 200, answer.text
    made = answer.json()
    assert (made["status"], made["tenant_id"], made["company_id"]) == ("installed", "alice", "alice")
    assert made["next_steps"] == ["collect", "embed", "index"]
    assert made["job_id"] == str(office.job_id)
    assert made["webhook"]["url"] == "/setup/freshdesk/webhook/alice"
    assert len(made["webhook"]["secret"]) >= 40
    assert office.heard == [("installed", "alice", "freshdesk")]

    row = (await office.rows(InstallationRow))[0]
    assert KEY not in str(row)
    assert made["webhook"]["secret"] not in str(row)
    assert await (await office.setup.source("alice")).check()
    assert await office.actions() == ["installation.added"]
    assert KEY not in str(await office.rows(AuditRow))
    assert [one.domain for one in await office.rows(TenantRow) if one.tenant_id == "alice"] == ["acme.freshdesk.com"]
    shown = (await office.alice.get("/setup/installations")).text
    assert "acme.freshdesk.com" in shown
    assert KEY not in shown
    assert (await office.mallory.get("/setup/installations")).json() == {"items": []}


@on_both
async def test_installing_again_renews_the_key_and_shows_no_secret(office: Office) -> None:
    """(000-56) Idempotent, also while a collection is under way."""
    first = (await office.alice.post("/setup/install", json=ACME)).json()
    office.active = True
    again = await office.alice.post("/setup/install", json={**ACME, "domain": "https://ACME.freshdesk.com/a/"})
    assert again.status_code == 200, again.text
    assert again.json()["webhook"]["secret"] is None
    assert again.json()["job_id"] == first["job_id"]
    assert len(await office.rows(InstallationRow)) == 1
    heard = await office.nobody.post(
        first["webhook"]["url"], headers={"X-Webhook-Secret": first["webhook"]["secret"]}, json={"ticket_id": 1}
    )
    assert heard.status_code == 202
    assert await office.actions() == ["installation.added", "installation.renewed"]


@on_both
async def test_two_who_install_at_once_get_one_installation(office: Office) -> None:
    answers = await asyncio.gather(
        office.alice.post("/setup/install", json=ACME), office.mallory.post("/setup/install", json=ACME)
    )
    assert sorted(answer.status_code for answer in answers) == [200, 409]
    assert len(await office.rows(InstallationRow)) == 1


async def test_an_account_has_one_tenant_and_nobody_learns_whose_it_is(office: Office) -> None:
    """(000-50) Not even that it is installed, without a key that opens it."""
    await office.alice.post("/setup/install", json=ACME)
    taken = await office.mallory.post("/setup/install", json=ACME)
    assert taken.status_code == 409
    assert taken.json()["type"].endswith("already-there")
    assert "alice" not in taken.text
    guess = await office.mallory.post("/setup/install", json={**ACME, "api_key": "guessed"})
    assert guess.status_code == 400
    assert await office.setup.status(MALLORY) == []


async def test_another_account_needs_the_data_of_the_first_to_go(office: Office, freshdesk: FreshdeskSimulator) -> None:
    await office.alice.post("/setup/install", json=ACME)
    other = {"domain": "other", "api_key": OTHER_KEY}
    for _ in range(2):
        answer = await office.alice.post("/setup/install", json=other)
        assert (answer.status_code, "purge" in answer.json()["detail"]) == (409, True)
        assert (await office.alice.delete("/setup/freshdesk")).status_code in {204, 404}
    assert (await office.alice.delete("/setup/freshdesk", params={"purge": True})).status_code == 204
    assert ("purged", "alice", "freshdesk") in office.heard
    assert (await office.alice.post("/setup/install", json=other)).status_code == 200


async def test_a_typing_error_in_the_query_changes_nothing(office: Office) -> None:
    await office.alice.post("/setup/install", json=ACME)
    for params in ({"purg": "true"}, {"tenant": "mallory"}, {"purge": "true", "tenantid": "mallory"}):
        for method, path in (("DELETE", "/setup/freshdesk"), ("POST", "/setup/freshdesk/webhook-secret")):
            answer = await office.alice.request(method, path, params=params)
            assert (answer.status_code, answer.json()["type"]) == (422, "/problems/invalid")
    listed = (await office.alice.get("/setup/installations", params={"_": "1"})).json()["items"]
    assert [one["status"] for one in listed] == ["installed"]


@on_both
async def test_an_uninstalled_account_may_be_another_tenants(office: Office) -> None:
    """(000-57)"""
    await office.alice.post("/setup/install", json=ACME)
    assert (await office.alice.delete("/setup/freshdesk")).status_code == 204
    assert office.heard[-1] == ("stopped", "alice", "freshdesk")
    row = (await office.rows(InstallationRow))[0]
    assert (row.status, row.api_key, row.api_key_hash, row.webhook_secret) == ("uninstalled", "", "", "")
    with pytest.raises(InstallationNotFound):
        await office.setup.source("alice")
    assert (await office.mallory.post("/setup/install", json=ACME)).status_code == 200
    assert (await office.alice.post("/setup/install", json=ACME)).status_code == 409
    listed = (await office.alice.get("/setup/installations")).json()["items"]
    assert [(one["domain"], one["status"]) for one in listed] == [("acme.freshdesk.com", "uninstalled")]
    assert (await office.alice.delete("/setup/freshdesk", params={"purge": True})).status_code == 204
    assert (await office.alice.delete("/setup/freshdesk", params={"purge": True})).status_code == 404


async def test_nothing_is_installed_for_a_tenant_that_was_deleted(office: Office) -> None:
    """Its data would be out of everybody's reach; and the domain of a customer who returns suggests its name."""
    await office.operator.post("/setup/install", json=ACME)
    await office.tenants.delete(OPERATOR, "acme")
    for body in (ACME, ACME | {"tenant_id": "acme"}):
        refused = await office.operator.post("/setup/install", json=body)
        assert (refused.status_code, refused.json()["type"]) == (409, "/problems/conflict")
    assert len(office.heard) == 1
    assert (await office.actions()) == ["installation.added"]


async def test_whose_tenant_it_is_only_an_operator_may_say(office: Office) -> None:
    """(000-50, 000-63, X1) No default tenant, and no client's word for it."""
    for name in ("tenant_id", "company_id"):
        foreign = await office.alice.post("/setup/install", json={**ACME, name: "mallory"})
        assert foreign.status_code == 404
    assert await office.rows(InstallationRow) == []
    made = await office.operator.post("/setup/install", json=ACME)
    assert made.json()["tenant_id"] == "acme"
    named = {"domain": "other", "api_key": OTHER_KEY, "company_id": "branch-2"}
    assert (await office.operator.post("/setup/install", json=named)).json()["tenant_id"] == "branch-2"
    shown = await office.operator.get("/setup/installations", params={"tenant_id": "branch-2"})
    assert [one["tenant_id"] for one in shown.json()["items"]] == ["branch-2"]
    for method, path in (("GET", "/setup/installations"), ("DELETE", "/setup/freshdesk")):
        foreign = await office.alice.request(method, path, params={"tenant_id": "acme"})
        assert foreign.status_code == 404


@pytest.mark.parametrize(
    ("body", "status", "slug"),
    [
        ({"platform": "servicenow"}, 422, "invalid"),
        ({"domain": "acme.freshdesk.com.evil.tld"}, 422, "invalid"),
        ({"domain": "evil.tld/acme.freshdesk.com"}, 422, "invalid"),
        ({"api_key": "wrong"}, 400, "key-refused"),
        ({"domain": "nobody"}, 400, "key-refused"),
        ({"api_key": ""}, 422, "invalid"),
        ({"api_key": "x" * 201}, 422, "invalid"),
        ({"tenant_id": "../x"}, 422, "invalid"),
        ({"extra": 1}, 422, "invalid"),
    ],
)
async def test_what_is_refused_has_its_own_status_and_repeats_no_key(
    office: Office, body: dict[str, Any], status: int, slug: str
) -> None:
    """(000-52, 000-54, 000-55) A 400 stays a 400, an unknown platform is no 500, a refused key no 401 of ours."""
    for path in ("/setup/test-freshdesk-connection", "/setup/install"):
        answer = await office.alice.post(path, json={**ACME, **body})
        assert (answer.status_code, answer.json()["type"].rpartition("/")[2]) == (status, slug), answer.text
        assert not body.get("api_key") or body["api_key"] not in answer.text
        assert KEY not in answer.text
    assert office.heard == []


async def test_an_upstream_that_fails_is_a_502(office: Office, freshdesk: FreshdeskSimulator) -> None:
    """(000-51, 000-55)"""
    freshdesk.faults.add("html_502", times=None)
    answer = await office.alice.post("/setup/test-freshdesk-connection", json=ACME)
    assert answer.status_code == 502
    assert "html" not in answer.text.lower()


async def test_a_new_key_replaces_the_old_one_only_if_it_works(office: Office) -> None:
    """(000-57)"""
    assert (await office.alice.post("/setup/freshdesk/key", json={"api_key": AGENT_KEY})).status_code == 404
    await office.alice.post("/setup/install", json=ACME)
    assert (await office.alice.post("/setup/freshdesk/key", json={"api_key": "wrong"})).status_code == 400
    assert (await (await office.setup.source("alice")).check()).agent_id == "11"
    changed = await office.alice.post("/setup/freshdesk/key", json={"api_key": AGENT_KEY})
    assert (changed.status_code, changed.json()["account"]["agent_id"]) == (200, "12")
    assert (await (await office.setup.source("alice")).check()).agent_id == "12"
    assert await office.actions() == ["installation.added", "installation.key_rotated"]


@on_both
async def test_a_key_that_is_refused_later_marks_the_installation(
    office: Office, freshdesk: FreshdeskSimulator
) -> None:
    await office.alice.post("/setup/install", json=ACME)
    source = await office.setup.source("alice")
    del freshdesk.account.api_keys[KEY]
    with pytest.raises(Unauthorized):
        await source.ticket("1")
    assert [one.status for one in await office.setup.status(ALICE)] == ["refused"]
    with pytest.raises(Conflict):
        await office.setup.source("alice")
    with pytest.raises(Unauthorized):
        await office.setup.verify_headers("alice", "freshdesk", None, SecretStr(KEY))
    await office.alice.post("/setup/freshdesk/key", json={"api_key": AGENT_KEY})
    with pytest.raises(Unauthorized):  # the old source, which says nothing about the new key
        await source.ticket("1")
    assert [one.status for one in await office.setup.status(ALICE)] == ["installed"]
    assert await office.actions() == ["installation.added", "installation.refused", "installation.key_rotated"]


async def test_secrets_move_to_a_new_key_of_the_server(office: Office, clock: FakeClock, tmp_path: Path) -> None:
    """(000-56) Key id and rotation; and a blob of one tenant is of no use in another's row."""
    made = (await office.alice.post("/setup/install", json=ACME)).json()
    old = SecretStr((tmp_path / "secret.key").read_text().strip())
    new = SecretStr("bmV3LW5ldy1uZXctbmV3LW5ldy1uZXctbmV3LW5ldyE=")
    both = SecretBox(tmp_path / "none.key", (new, old))
    renewed = SetupService(
        office.database,
        office.platforms,
        InstallationSecrets(both),
        office.tenants,
        clock,
        caches=Caches(cache_store()),
    )
    before = (await office.rows(InstallationRow))[0]
    assert await renewed.rotate_secrets() == 1
    assert await renewed.rotate_secrets() == 0
    after = (await office.rows(InstallationRow))[0]
    assert (after.key_id, after.api_key_hash) == (both.key_id, before.api_key_hash)
    assert await (await renewed.source("alice")).check()
    webhooks = PlatformWebhookService(
        office.database, InstallationSecrets(both), clock, on_changed=_nothing, is_active=_active
    )
    assert await webhooks.take("alice", "freshdesk", made["webhook"]["secret"], b'{"ticket_id": 5}') == ("5",)

    async def suspended(tenant_id: str) -> bool:
        return tenant_id != "alice"

    webhooks = PlatformWebhookService(
        office.database, InstallationSecrets(both), clock, on_changed=_refused, is_active=suspended
    )
    with pytest.raises(Unauthorized, match="secret is wrong"):
        await webhooks.take("alice", "freshdesk", made["webhook"]["secret"], b'{"ticket_id": 5}')

    moved = update(table_of(InstallationRow)).values(tenant_id="mallory", domain="m.freshdesk.com")
    await office.database.write(of_everyone(lambda connection: connection.execute(moved).rowcount))
    with pytest.raises(Exception, match="cannot be read"):
        await renewed.source("mallory")


async def _nothing(*_: Any) -> None:
    return None


async def _active(_: str) -> bool:
    return True


async def _refused(*_: Any) -> None:
    raise AssertionError("the webhook of a suspended tenant was followed")


@on_both
async def test_an_agent_comes_in_with_a_key_of_the_installed_account(
    office: Office, freshdesk: FreshdeskSimulator
) -> None:
    """The four have to belong together: another tenant's name, another domain, another platform let nobody in."""
    await office.alice.post("/setup/install", json=ACME)
    await office.mallory.post("/setup/install", json={"domain": "other", "api_key": OTHER_KEY})
    verify, before = office.setup.verify_headers, len(freshdesk.requests)

    own = await verify("alice", "freshdesk", "acme.freshdesk.com", SecretStr(KEY))
    assert (own.tenant_id, own.user_id, own.roles) == ("alice", "freshdesk:11", frozenset({"agent"}))
    assert not own.may("admin")
    assert not own.may("sync")
    assert await verify(None, "freshdesk", "https://acme.freshdesk.com", SecretStr(KEY)) == own
    assert len(freshdesk.requests) == before  # the installed key is known by its hash
    for _ in range(3):
        assert (await verify("alice", "freshdesk", None, SecretStr(AGENT_KEY))).user_id == "freshdesk:12"
    assert len(freshdesk.requests) == before + 1  # and another agent's for some minutes

    wrong: list[tuple[str | None, str, str | None, str]] = [
        ("mallory", "freshdesk", "acme.freshdesk.com", KEY),
        ("mallory", "freshdesk", None, KEY),
        ("alice", "freshdesk", "other.freshdesk.com", KEY),
        ("alice", "freshdesk", "acme.freshdesk.com.evil.tld", KEY),
        ("alice", "servicenow", "acme.freshdesk.com", KEY),
        ("nobody", "freshdesk", None, KEY),
        ("alice\x00", "freshdesk", None, KEY),
        (None, "freshdesk", None, KEY),
        ("alice", "freshdesk", None, ""),
        ("alice", "freshdesk", None, "ключ"),
        ("alice", "freshdesk", None, "guessed"),
    ]
    for four in wrong:
        with pytest.raises(Unauthorized) as refused:
            await verify(*four[:3], SecretStr(four[3]))
        assert "do not belong together" in refused.value.detail


async def test_guessing_keys_does_not_use_up_the_accounts_limit(office: Office, freshdesk: FreshdeskSimulator) -> None:
    await office.alice.post("/setup/install", json=ACME)
    before = len(freshdesk.requests)
    for n in range(QUESTIONS):
        with pytest.raises(Unauthorized):
            await office.setup.verify_headers("alice", "freshdesk", None, SecretStr(f"guess-{n}"))
    with pytest.raises(TooMany):
        await office.setup.verify_headers("alice", "freshdesk", None, SecretStr("one-more"))
    assert len(freshdesk.requests) == before + QUESTIONS
    assert await office.setup.verify_headers("alice", "freshdesk", None, SecretStr(KEY))


async def test_many_who_come_with_one_new_key_ask_the_platform_once(
    office: Office, freshdesk: FreshdeskSimulator
) -> None:
    await office.alice.post("/setup/install", json=ACME)
    before = len(freshdesk.requests)
    for key, agents in ((AGENT_KEY, {"freshdesk:12"}), ("guess", set[str]())):
        verify = [office.setup.verify_headers("alice", "freshdesk", None, SecretStr(key)) for _ in range(2 * QUESTIONS)]
        found = await asyncio.gather(*verify, return_exceptions=True)
        assert {one.user_id for one in found if isinstance(one, Principal)} == agents
        assert all(isinstance(one, Principal | Unauthorized) for one in found)
    assert len(freshdesk.requests) == before + 2


async def test_servers_share_what_the_platform_said_of_a_key_until_the_account_changes(
    office: Office, freshdesk: FreshdeskSimulator, clock: FakeClock, valkey_url: str
) -> None:
    async with AsyncExitStack() as stack:

        async def server() -> tuple[SetupService, Caches]:
            connection = RedisConnection(SecretStr(valkey_url))
            await connection.open()
            stack.push_async_callback(connection.close)
            caches = Caches(cache_store(connection.client))
            await caches.open()
            stack.push_async_callback(caches.close)
            secrets = InstallationSecrets(office.box)
            made = SetupService(office.database, office.platforms, secrets, office.tenants, clock, caches=caches)
            return made, caches

        (here, _), (there, far) = await server(), await server()
        await office.alice.post("/setup/install", json=ACME)
        before = len(freshdesk.requests)
        lee, guess = SecretStr(AGENT_KEY), SecretStr("guess")
        for setup in (here, there, here):
            assert (await setup.verify_headers("alice", "freshdesk", None, lee)).user_id == "freshdesk:12"
            with pytest.raises(Unauthorized):
                await setup.verify_headers("alice", "freshdesk", None, guess)
        assert len(freshdesk.requests) == before + 2

        freshdesk.account.api_keys.pop(AGENT_KEY)
        await here.rotate(ALICE, "freshdesk", SecretStr(KEY))
        with pytest.raises(Unauthorized):
            await here.verify_headers("alice", "freshdesk", None, lee)

        async def heard() -> bool:
            return far.figures()["entries"] == 0

        await until(heard)
        with pytest.raises(Unauthorized):
            await there.verify_headers("alice", "freshdesk", None, lee)

        await here.uninstall(ALICE, "freshdesk")
        with pytest.raises(Unauthorized):  # also of the installation's own key, and at once
            await there.verify_headers("alice", "freshdesk", None, SecretStr(KEY))


async def test_the_start_installs_what_the_settings_name_once(office: Office, freshdesk: FreshdeskSimulator) -> None:
    """(000-58)"""
    for _ in range(3):
        await office.setup.install_default("freshdesk", "acme", SecretStr(KEY))
    assert office.heard == [("installed", "default", "freshdesk")]
    assert len(freshdesk.requests) == 1
    await office.setup.install_default("freshdesk", "acme.evil.tld", SecretStr(KEY))  # is told in the log alone


async def test_webhooks_are_heard_with_the_secret_in_its_header_and_nowhere_else(office: Office) -> None:
    """(I-3)"""
    made = (await office.alice.post("/setup/install", json=ACME)).json()["webhook"]
    url, secret, body = made["url"], made["secret"], {"freshdesk_webhook": {"ticket_id": 12}}
    refused = [
        await office.nobody.post(url, json=body),
        await office.nobody.post(url, json=body, params={"secret": secret}),
        await office.nobody.post(url, json={**body, "secret": secret}),
        await office.nobody.post(url, json=body, headers={"X-Webhook-Secret": f"{secret}x"}),
        await office.nobody.post(url, json=body, headers={"X-Webhook-Secret": secret[:-1]}),
        await office.nobody.post("/setup/freshdesk/webhook/mallory", json=body, headers={"X-Webhook-Secret": secret}),
        await office.nobody.post("/setup/freshdesk/webhook/ALICE", json=body, headers={"X-Webhook-Secret": secret}),
        await office.nobody.post("/setup/zendesk/webhook/alice", json=body, headers={"X-Webhook-Secret": secret}),
    ]
    texts = {answer.json()["detail"] for answer in refused}
    assert {answer.status_code for answer in refused} == {401}
    assert len(texts) == 1  # which of it is wrong is not said
    assert office.heard == [("installed", "alice", "freshdesk")]

    answer = await office.nobody.post(url, json=body, headers={"X-Webhook-Secret": secret})
    assert (answer.status_code, answer.json()) == (202, {"status": "accepted", "tickets": ["12"]})
    assert office.heard[-1] == ("changed", "alice", "freshdesk", ("12",))

    new = (await office.alice.post("/setup/freshdesk/webhook-secret")).json()["secret"]
    assert (await office.nobody.post(url, json=body, headers={"X-Webhook-Secret": secret})).status_code == 401
    assert (await office.nobody.post(url, json=body, headers={"X-Webhook-Secret": new})).status_code == 202
    await office.alice.delete("/setup/freshdesk")
    for dead in (new, ""):
        assert (await office.nobody.post(url, json=body, headers={"X-Webhook-Secret": dead})).status_code == 401


@on_both
async def test_a_webhook_that_comes_again_is_known_by_when_its_ticket_changed(office: Office, clock: FakeClock) -> None:
    """(I-3) Without that moment two changes look alike, so none is passed over."""
    made = (await office.alice.post("/setup/install", json=ACME)).json()["webhook"]

    async def send(**fields: Any) -> str:
        answer = await office.nobody.post(
            made["url"], headers={"X-Webhook-Secret": made["secret"]}, json={"freshdesk_webhook": fields}
        )
        assert answer.status_code == 202, answer.text
        return str(answer.json()["status"])

    exact = {"ticket_id": "#7", "ticket_updated_at": "2026-01-01T00:00:05Z"}
    assert [await send(**exact) for _ in range(3)] == ["accepted", "duplicate", "duplicate"]
    assert await send(**{**exact, "ticket_updated_at": "2026-01-01T00:00:01Z"}) == "accepted"  # late, and harmless
    assert [await send(ticket_id=7) for _ in range(2)] == ["accepted", "accepted"]
    assert [await send(ticket_id=7, ticket_updated_at="an hour ago") for _ in range(2)] == ["accepted", "accepted"]
    clock.advance(8 * 86_400)
    assert await send(**{**exact, "ticket_id": 8}) == "accepted"
    secrets = InstallationSecrets(office.box)
    await PlatformWebhookService(office.database, secrets, clock, on_changed=_nothing, is_active=_active).sweep()
    assert len(await office.rows(PlatformEventRow)) == 1


async def test_a_webhook_is_small_and_names_a_ticket(office: Office) -> None:
    made = (await office.alice.post("/setup/install", json=ACME)).json()["webhook"]
    headers = {"X-Webhook-Secret": made["secret"]}
    for body, status in ((b"x" * 70_000, 413), (b"", 422), (b"{}", 422), (b"\xff\xfe", 422), (b"[" * 60_000, 422)):
        assert (await office.nobody.post(made["url"], content=body, headers=headers)).status_code == status
    assert len(office.heard) == 1


@pytest.mark.parametrize(
    ("body", "tickets"),
    [
        (b'{"freshdesk_webhook":{"ticket_id":12,"ticket_subject":"x"}}', ("12",)),
        (b'{"freshdesk_webhook":{"ticket_id":"12"}}', ("12",)),
        (b'{"ticket_id": 12}', ("12",)),
        (b'[{"ticket_id": 12}, {"ticket_id": 13}, {"ticket_id": 12}]', ("12", "13")),
        (b"freshdesk_webhook%5Bticket_id%5D=12&freshdesk_webhook%5Bticket_subject%5D=x", ("12",)),
        (b"freshdesk_webhook=%7B%22ticket_id%22%3A12%7D", ("12",)),
        (b"<?xml version='1.0'?><freshdesk_webhook><ticket_id>12</ticket_id></freshdesk_webhook>", ("12",)),
        (b"<freshdesk-webhook><ticket-id type='integer'>12</ticket-id></freshdesk-webhook>", ("12",)),
        (b"<!DOCTYPE x [<!ENTITY e SYSTEM 'file:///etc/passwd'>]><ticket_id>&e;</ticket_id>", ()),
        (b'{"ticket_id": true}', ()),
        (b'{"ticket_id": -1}', ()),
        (b'{"ticket_id": 1e3}', ()),
        (b'{"ticket_id": "1 or 1=1"}', ()),
        (b'{"ticket_id": {"a": 1}}', ()),
        (b'{"ticket_id": 99999999999999999999}', ()),
        (b"null", ()),
    ],
)
def test_a_hint_is_read_from_json_a_form_or_xml(body: bytes, tickets: tuple[str, ...]) -> None:
    assert read_hint(body).tickets == tickets


async def test_the_install_page_stands_alone_and_holds_no_secret(office: Office) -> None:
    """(000-47)"""
    answer = await office.nobody.get("/setup/freshdesk/iparams.html")
    assert answer.status_code == 200
    for name in ("postConfigs", "getConfigs", "validate"):
        assert f"function {name}(" in answer.text
    assert "unsafe-inline" not in answer.headers["content-security-policy"]
    assert "src=" not in answer.text
    assert (
        await office.nobody.get("/setup/freshdesk/iparams.html", headers={"if-none-match": answer.headers["etag"]})
    ).status_code == 304
