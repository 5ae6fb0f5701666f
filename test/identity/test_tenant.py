"""Tenants: made, changed, suspended, and kept apart (X1, X7, 000-13)."""

from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import Connection

from backend.config.setting import SettingError, load_settings
from backend.core.error import Forbidden, TenantNotFound, Unavailable
from backend.dto.tenant import Limits, TenantChange
from test.identity.conftest import ACME, OPERATOR, OTHER, PASSWORD, House

ROOT = "/api/v1/tenants"


async def test_the_operator_makes_a_tenant_and_its_first_owner_who_logs_in(house: House) -> None:
    body = {
        "company_id": "newcomer",
        "name": "새 회사",
        "limits": {"daily_tokens": 1000},
        "settings": {"language": "ko"},
        "owner": {"email": "Owner@newcomer.example", "password": PASSWORD},
    }
    answer = await house.ask("POST", ROOT, OPERATOR, json=body)
    assert answer.status_code == 201
    made = answer.json()
    assert (made["tenant_id"], made["company_id"], made["status"], made["version"]) == (
        "newcomer",
        "newcomer",
        "active",
        1,
    )
    assert made["limits"] == {"daily_tokens": 1000}
    assert made["settings"] == {
        "language": "ko",
        "external_llm": True,
        "retention_days": None,
        "summaries": "on_demand",
    }
    login = await house.log_in("owner@newcomer.example", tenant="newcomer")
    token = login.json()["access_token"]
    assert (await house.ask("GET", "/api/v1/tenant", token)).json() == made
    assert (await house.ask("GET", "/api/v1/users", token)).json()["total"] == 1
    assert await house.tenants.limits("newcomer") == Limits(daily_tokens=1000)
    assert (await house.ask("POST", ROOT, OPERATOR, json=body)).json()["type"] == "/problems/already-there"


async def test_a_tenant_whose_owner_cannot_be_made_is_not_made_either(house: House) -> None:
    """Its id would be taken, and nobody could ever come in."""
    for owner in (
        {"email": "x" * 65 + "@newcomer.example", "password": PASSWORD},
        {"email": "owner@newcomer.example", "password": "newcomer1234"},
    ):
        body = {"tenant_id": "newcomer", "owner": owner}
        assert (await house.ask("POST", ROOT, OPERATOR, json=body)).status_code == 422
        assert (await house.ask("GET", f"{ROOT}/newcomer", OPERATOR)).status_code == 404
    add = await house.users.newcomer(
        operator := await house.authenticator.authenticate(OPERATOR),
        "newcomer",
        email="owner@newcomer.example",
        name="",
        role="owner",
        password=PASSWORD,
    )

    def failing(connection: Connection) -> None:
        add(connection)
        raise Unavailable("The disk is full.")

    with pytest.raises(Unavailable):
        await house.tenants.create(operator, "newcomer", TenantChange(), failing)
    assert (await house.ask("GET", f"{ROOT}/newcomer", OPERATOR)).status_code == 404
    body = {"tenant_id": "newcomer", "owner": {"email": "owner@newcomer.example", "password": PASSWORD}}
    assert (await house.ask("POST", ROOT, OPERATOR, json=body)).status_code == 201


async def test_the_operator_gives_an_owner_to_a_tenant_that_has_none(house: House) -> None:
    await house.ask("POST", ROOT, OPERATOR, json={"tenant_id": "newcomer"})
    body = {"email": "Owner@newcomer.example", "password": PASSWORD}
    made = await house.ask("POST", f"{ROOT}/newcomer/owners", OPERATOR, json=body)
    assert (made.status_code, made.json()["role"], made.json()["tenant_id"]) == (201, "owner", "newcomer")
    assert (await house.log_in("owner@newcomer.example", tenant="newcomer")).status_code == 200


async def test_who_has_lost_the_password_of_an_owner_is_given_another_by_the_operator(house: House) -> None:
    login = await house.login_of("owner")
    user_id = login["user"]["user_id"]
    body = {"email": "owner@acme.example", "password": "staple correct horse"}
    again = await house.ask("POST", f"{ROOT}/acme/owners", OPERATOR, json=body)
    assert (again.status_code, again.json()["user_id"]) == (200, user_id)
    assert (await house.ask("GET", "/api/v1/auth/me", login["access_token"])).status_code == 401
    body = {"refresh_token": login["refresh_token"]}
    assert (await house.ask("POST", "/api/v1/auth/refresh", json=body)).status_code == 401
    assert (await house.log_in("owner@acme.example")).status_code == 401
    assert (await house.log_in("owner@acme.example", "staple correct horse")).status_code == 200
    params = {"action": "user.updated"}
    entry = (await house.ask("GET", "/api/v1/audit", ACME, params=params)).json()["items"][0]
    assert (entry["actor"], entry["target"], entry["detail"]["changed"]) == ("operator", user_id, ["password"])
    agent = await house.make("agent")
    await house.ask("PATCH", f"/api/v1/users/{agent['user_id']}", ACME, json={"status": "disabled"})
    body = {"email": "agent@acme.example", "password": "staple correct horse"}
    raised = (await house.ask("POST", f"{ROOT}/acme/owners", OPERATOR, json=body)).json()
    assert (raised["user_id"], raised["role"], raised["status"]) == (agent["user_id"], "owner", "active")


async def test_nobody_else_makes_an_owner_of_another_tenant_nor_one_of_a_deleted_or_unknown_one(house: House) -> None:
    login = await house.login_of("owner")
    body = {"email": "x@acme.example", "password": PASSWORD}
    for token in (login["access_token"], ACME, OTHER):
        assert (await house.ask("POST", f"{ROOT}/acme/owners", token, json=body)).status_code == 403
    with pytest.raises(Forbidden):  # also by who comes another way
        await house.users.appoint(
            await house.authenticator.authenticate(OTHER), "acme", email="x@acme.example", name="", password=PASSWORD
        )
    unknown = await house.ask("POST", f"{ROOT}/nowhere/owners", OPERATOR, json=body)
    assert (unknown.status_code, unknown.json()["type"]) == (404, "/problems/tenant-not-found")
    await house.ask("DELETE", f"{ROOT}/acme", OPERATOR)
    assert (await house.ask("POST", f"{ROOT}/acme/owners", OPERATOR, json=body)).status_code == 409


async def test_the_tenants_of_the_settings_have_rows_from_the_start(house: House) -> None:
    page = (await house.ask("GET", ROOT, OPERATOR, params={"limit": 2})).json()
    assert ([item["tenant_id"] for item in page["items"]], page["total"]) == (["acme", "default"], 3)
    rest = (await house.ask("GET", ROOT, OPERATOR, params={"after": page["next"]})).json()
    assert ([item["tenant_id"] for item in rest["items"]], rest["next"]) == (["other"], None)
    await house.tenants.open()  # once more
    assert (await house.ask("GET", ROOT, OPERATOR)).json()["total"] == 3


async def test_a_version_that_no_database_can_count_to_is_refused(house: House) -> None:
    for version in (2**31, 2**63, -1):
        answer = await house.ask("PATCH", "/api/v1/tenant", ACME, json={"version": version, "name": "Acme"})
        assert (answer.status_code, answer.json()["type"]) == (422, "/problems/invalid"), version
    last = await house.ask("PATCH", "/api/v1/tenant", ACME, json={"version": 2**31 - 1, "name": "Acme"})
    assert last.status_code == 409


async def test_a_suspended_tenant_is_out_at_once_with_all_that_lets_in_and_back_when_activated(house: House) -> None:
    login = await house.login_of("owner")
    key = (await house.ask("POST", "/api/v1/api-keys", ACME, json={"name": "x", "scopes": ["chat"]})).json()["api_key"]
    suspended = await house.ask("POST", f"{ROOT}/acme/suspend", OPERATOR)
    assert suspended.json()["status"] == "suspended"
    for token in (ACME, login["access_token"], key):
        answer = await house.ask("GET", "/api/v1/auth/me", token)
        assert (answer.status_code, answer.json()["type"]) == (403, "/problems/forbidden")
    assert (await house.log_in("owner@acme.example")).status_code == 403
    assert (await house.log_in("owner@acme.example", "wrong password")).status_code == 401  # it tells nobody else
    body = {"refresh_token": login["refresh_token"]}
    assert (await house.ask("POST", "/api/v1/auth/refresh", json=body)).status_code == 403
    assert (await house.ask("GET", "/api/v1/auth/me", OTHER)).status_code == 200
    await house.ask("POST", f"{ROOT}/acme/activate", OPERATOR)
    for token in (ACME, login["access_token"], key):
        assert (await house.ask("GET", "/api/v1/auth/me", token)).status_code == 200
    assert (await house.ask("POST", "/api/v1/auth/refresh", json=body)).status_code == 200
    assert [one for one in await house.actions() if one.startswith("tenant")] == [
        "tenant.created",
        "tenant.suspended",
        "tenant.activated",
    ]


async def test_the_operator_cannot_lock_itself_out(home: House) -> None:
    await home.ask("POST", f"{ROOT}/default/suspend", OPERATOR)
    assert (await home.ask("POST", f"{ROOT}/default/activate", OPERATOR)).status_code == 200
    assert (await home.ask("DELETE", f"{ROOT}/default", OPERATOR)).status_code == 409


async def test_a_deleted_tenant_does_not_come_back(house: House) -> None:
    assert (await house.ask("DELETE", f"{ROOT}/acme", OPERATOR)).json()["status"] == "deleted"
    assert (await house.ask("GET", "/api/v1/auth/me", ACME)).status_code == 403
    assert (await house.ask("POST", f"{ROOT}/acme/activate", OPERATOR)).status_code == 409
    assert (await house.ask("POST", ROOT, OPERATOR, json={"tenant_id": "acme"})).status_code == 409
    change = {"version": 2, "name": "Acme again"}
    assert (await house.ask("PATCH", f"{ROOT}/acme", OPERATOR, json=change)).status_code == 409
    await house.tenants.open()  # as the next start does
    assert (await house.ask("GET", "/api/v1/auth/me", ACME)).status_code == 403


async def test_another_server_learns_of_a_suspension_within_seconds(home: House, tmp_path: Any) -> None:
    other = House(home.database, tmp_path)
    now = 0.0
    other.tenants._recent._clock = lambda: now
    assert (await other.ask("GET", "/api/v1/auth/me", ACME)).status_code == 200
    await home.ask("POST", f"{ROOT}/acme/suspend", OPERATOR)
    now = 5.1
    assert (await other.ask("GET", "/api/v1/auth/me", ACME)).status_code == 403


async def test_a_tenant_changes_its_own_settings_and_nothing_else(house: House) -> None:
    """(000-13)"""
    mine = (await house.ask("GET", "/api/v1/tenant", ACME)).json()
    body = {"version": mine["version"], "name": "아크메", "settings": {"external_llm": False, "retention_days": 30}}
    changed = (await house.ask("PATCH", "/api/v1/tenant", ACME, json=body)).json()
    assert (changed["name"], changed["version"]) == ("아크메", mine["version"] + 1)
    settings = await house.tenants.settings("acme")
    assert settings == {"language": "auto", "external_llm": False, "retention_days": 30, "summaries": "on_demand"}
    stale = await house.ask("PATCH", "/api/v1/tenant", ACME, json=body)
    assert (stale.status_code, stale.json()["type"]) == (409, "/problems/version-conflict")
    assert stale.json()["version"] == changed["version"]
    back = {"version": changed["version"], "settings": {"retention_days": None}}
    assert (await house.ask("PATCH", "/api/v1/tenant", ACME, json=back)).json()["settings"]["retention_days"] is None
    for more in ({"limits": {"daily_tokens": 5}}, {"plan": "gold"}, {"status": "active"}, {"tenant_id": "other"}):
        answer = await house.ask("PATCH", "/api/v1/tenant", ACME, json={"version": 3, **more})
        assert answer.status_code == 422
    assert (await house.ask("GET", "/api/v1/tenant", OTHER)).json()["name"] == "other"


@pytest.mark.parametrize(
    "settings",
    [
        {"language": "fr"},
        {"external_llm": "perhaps"},
        {"retention_days": 0},
        {"retention_days": 3651},
        {"summaries": "never"},
        {"colour": "red"},
        {"colour": None},
        {"language": ["ko"]},
        {"__class__": "x"},
    ],
)
async def test_a_setting_that_is_none_is_refused(home: House, settings: dict[str, Any]) -> None:
    answer = await home.ask("PATCH", "/api/v1/tenant", ACME, json={"version": 1, "settings": settings})
    assert answer.status_code == 422


async def test_limits_are_set_and_taken_away(house: House) -> None:
    body: dict[str, Any] = {"version": 1, "plan": "gold", "limits": {"daily_tokens": 5, "daily_cost": 1.5}}
    changed = (await house.ask("PATCH", f"{ROOT}/acme", OPERATOR, json=body)).json()
    assert (changed["limits"], changed["plan"]) == ({"daily_tokens": 5, "daily_cost": 1.5}, "gold")
    assert await house.tenants.limits("acme") == Limits(daily_tokens=5, daily_cost=1.5)
    body = {"version": 2, "limits": {"daily_tokens": None}}
    assert (await house.ask("PATCH", f"{ROOT}/acme", OPERATOR, json=body)).json()["limits"] == {"daily_cost": 1.5}
    wrong = ({"daily_tokens": 0}, {"daily_cost": -1}, {"storage_bytes": "x"}, {"colour": 1}, {"storage_bytes": 2**60})
    for limits in wrong:
        answer = await house.ask("PATCH", f"{ROOT}/acme", OPERATOR, json={"version": 3, "limits": limits})
        assert answer.status_code == 422


async def test_nobody_but_the_operator_sees_tenants(home: House) -> None:
    login = await home.login_of("owner")
    key = {"name": "x", "scopes": ["admin", "sync", "chat"]}
    secret = (await home.ask("POST", "/api/v1/api-keys", ACME, json=key)).json()["api_key"]
    asked: list[tuple[str, str, dict[str, Any]]] = [
        ("GET", ROOT, {}),
        ("POST", ROOT, {"json": {"tenant_id": "mine"}}),
        ("GET", f"{ROOT}/acme", {}),
        ("GET", f"{ROOT}/other", {}),
        ("GET", f"{ROOT}/no-such", {}),
        ("PATCH", f"{ROOT}/acme", {"json": {"version": 1, "plan": "gold"}}),
        ("POST", f"{ROOT}/other/suspend", {}),
        ("POST", f"{ROOT}/acme/activate", {}),
        ("DELETE", f"{ROOT}/other", {}),
    ]
    for token in (ACME, login["access_token"], secret):
        answers = [await home.ask(method, path, token, **options) for method, path, options in asked]
        assert {(answer.status_code, answer.json()["detail"]) for answer in answers} == {
            (403, "Your role or key does not allow this.")
        }


@pytest.mark.parametrize("tenant", ["Acme", "a b", "-a", "a" * 64, "a/b", "가"])
async def test_a_tenant_id_that_is_none_is_refused(home: House, tenant: str) -> None:
    assert (await home.ask("POST", ROOT, OPERATOR, json={"tenant_id": tenant})).status_code == 422
    assert (await home.ask("GET", f"{ROOT}/{tenant}", OPERATOR)).status_code in {404, 422}


async def test_a_tenant_without_a_row_is_active_and_may_choose_settings(home: House) -> None:
    """As a project's own authentication names tenants."""
    from backend.dto.principal import Principal
    from backend.dto.tenant import TenantChange

    stranger = Principal("elsewhere", "somebody")
    await home.tenants.admit(stranger)
    assert await home.tenants.limits("elsewhere") == Limits()
    assert (await home.tenants.settings("elsewhere"))["language"] == "auto"
    with pytest.raises(TenantNotFound):
        await home.tenants.get("elsewhere")
    assert (await home.tenants.own(stranger)).version == 0
    changed = await home.tenants.update_own(stranger, TenantChange(settings={"language": "en"}), 0)
    assert (changed.version, await home.tenants.get("elsewhere")) == (2, changed)


async def test_ensure_makes_a_row_once_and_notes_the_platform(house: House) -> None:
    first = await house.tenants.ensure("fresh", name="Fresh", platform="freshdesk", domain="fresh.freshdesk.com")
    assert (first.name, first.platform, first.domain, first.version) == ("Fresh", "freshdesk", "fresh.freshdesk.com", 1)
    assert await house.tenants.ensure("fresh") == first
    moved = await house.tenants.ensure("fresh", name="ignored", domain="new.freshdesk.com")
    assert (moved.name, moved.platform, moved.domain) == ("Fresh", "freshdesk", "new.freshdesk.com")
    assert await house.tenants.get("fresh") == moved


def test_the_door_needs_one_token_of_any_kind() -> None:
    """(001-50, 001-51)"""
    with pytest.raises(SettingError, match="ACCESS_TOKEN"):
        load_settings(_env_file=None, auth_mode="token")
    assert load_settings(_env_file=None, auth_mode="token", admin_token="x").admin_token == SecretStr("x")
    with pytest.raises(SettingError, match="ADMIN_TOKEN") as caught:
        load_settings(_env_file=None, auth_mode="token", admin_token="same-token", access_token="same-token")
    assert "same-token" not in str(caught.value)


@pytest.mark.parametrize("name", ["access_token_ttl", "refresh_token_ttl"])
@pytest.mark.parametrize("value", [0, 10, 10**9])
def test_tokens_have_a_sensible_life(name: str, value: int) -> None:
    with pytest.raises(SettingError, match=name.upper()):
        load_settings(_env_file=None, **{name: value})
