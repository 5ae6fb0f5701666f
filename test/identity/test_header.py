"""The four headers of a support desk's application, in each of their spellings (000-15, X8)."""

from collections.abc import Sequence

import httpx
import pytest

from test.identity.conftest import ACME, OPERATOR, House

NEW = {
    "X-Tenant-ID": "acme",
    "X-Platform": "freshdesk",
    "X-Domain": "acme.freshdesk.com",
    "X-API-Key": "agents-key",
}
ALIAS = {"X-Company-ID": "acme", **{name: value for name, value in NEW.items() if name != "X-Tenant-ID"}}
OLDER = {"X-Freshdesk-Domain": "acme.freshdesk.com", "X-Freshdesk-API-Key": "agents-key"}


async def ask(house: House, headers: dict[str, str] | Sequence[tuple[str, str]]) -> httpx.Response:
    async with house.client() as http:
        return await http.get("/api/v1/auth/me", headers=headers)


@pytest.mark.parametrize(
    "headers",
    [
        NEW,
        ALIAS,
        OLDER,
        {**OLDER, "X-Tenant-ID": "acme"},
        {**OLDER, "X-Company-ID": "acme", "X-Platform": "freshdesk"},
        {**NEW, "X-Company-ID": "acme"},
        {**NEW, "X-Platform": "Freshdesk"},
        {name.lower(): value for name, value in NEW.items()},
    ],
)
async def test_each_spelling_lets_the_agent_of_the_installation_in(home: House, headers: dict[str, str]) -> None:
    me = (await ask(home, headers)).json()
    assert (me["tenant_id"], me["user_id"], me["roles"]) == ("acme", "freshdesk:1", ["agent"])
    assert "admin" not in me["scopes"]


@pytest.mark.parametrize("missing", NEW)
async def test_a_missing_header_is_named(home: House, missing: str) -> None:
    headers = {name: value for name, value in NEW.items() if name != missing}
    # Without the platform nothing says that these are tenant headers: the key is a token of ours.
    expected = "Invalid access token" if missing == "X-Platform" else f"{missing} header is required"
    answer = await ask(home, headers)
    assert (answer.status_code, answer.json()["detail"]) == (401, expected)
    assert not home.asked


@pytest.mark.parametrize("missing", OLDER)
async def test_a_missing_header_of_the_older_spelling_is_named(home: House, missing: str) -> None:
    answer = await ask(home, {name: value for name, value in OLDER.items() if name != missing})
    assert answer.json()["detail"] == f"{missing.replace('X-Freshdesk', 'X')} header is required"


@pytest.mark.parametrize("platform", ["zendesk", "freshservice", "../x", "fresh desk"])
async def test_an_unknown_platform_is_a_bad_request(home: House, platform: str) -> None:
    answer = await ask(home, {**NEW, "X-Platform": platform})
    assert (answer.status_code, answer.json()["type"]) == (400, "/problems/bad-request")


@pytest.mark.parametrize(
    "changes",
    [
        {"X-Tenant-ID": "other"},
        {"X-Tenant-ID": "no-such-tenant"},
        {"X-Tenant-ID": "default"},
        {"X-Domain": "other.freshdesk.com"},
        {"X-Domain": "acme.freshdesk.com.evil.example"},
        {"X-Domain": "evil.example#acme.freshdesk.com"},
    ],
)
async def test_what_does_not_belong_together_is_refused_alike(home: House, changes: dict[str, str]) -> None:
    """So that nobody learns which tenants and accounts there are."""
    answer = await ask(home, {**NEW, **changes})
    assert (answer.status_code, answer.json()["detail"]) == (401, "These headers do not belong together.")


@pytest.mark.parametrize("tenant", ["Acme", "a b", "x" * 100, "acme'--"])
async def test_what_is_no_tenant_does_not_reach_the_installations(home: House, tenant: str) -> None:
    assert (await ask(home, {**NEW, "X-Tenant-ID": tenant})).status_code == 401
    assert not home.asked


async def test_a_key_that_the_platform_refuses_is_forbidden(home: House) -> None:
    assert (await ask(home, {**NEW, "X-API-Key": "wrong"})).status_code == 403


@pytest.mark.parametrize("name", ["X-Tenant-ID", "X-Platform", "X-Domain", "X-API-Key"])
async def test_a_header_that_comes_twice_is_refused(home: House, name: str) -> None:
    for value in (NEW[name], "other"):
        pairs = [*NEW.items(), (name, value)]
        for headers in (pairs, pairs[::-1]):
            assert (await ask(home, headers)).status_code in {400, 401}
    assert not home.asked


async def test_two_spellings_that_differ_are_refused(home: House) -> None:
    for more in ({"X-Company-ID": "other"}, {"X-Freshdesk-Domain": "x.freshdesk.com"}, {"X-Freshdesk-API-Key": "x"}):
        assert (await ask(home, {**NEW, **more})).status_code == 400
    assert not home.asked


async def test_an_authorization_header_goes_first(home: House) -> None:
    me = (await ask(home, {**NEW, "Authorization": f"Bearer {ACME}"})).json()
    assert me["user_id"] == "acme"
    assert (await ask(home, {**NEW, "Authorization": "Bearer wrong"})).status_code == 401
    assert not home.asked


async def test_without_the_marks_the_key_is_a_token_of_ours(home: House) -> None:
    """As the official LangGraph clients send it."""
    assert (await ask(home, {"X-API-Key": ACME})).json()["user_id"] == "acme"
    assert (await ask(home, {"X-API-Key": ACME, "X-Tenant-ID": "other"})).json()["tenant_id"] == "acme"
    assert (await ask(home, {"X-API-Key": "agents-key", "X-Tenant-ID": "acme"})).status_code == 401


async def test_a_suspended_tenants_application_is_out(home: House) -> None:
    await home.ask("POST", "/api/v1/tenants/acme/suspend", OPERATOR)
    assert (await ask(home, NEW)).status_code == 403


async def test_where_nobody_can_verify_them_the_headers_open_nothing(home: House) -> None:
    home.authenticator._headers = None
    assert (await ask(home, NEW)).status_code == 401


async def test_a_verifier_that_names_another_tenant_is_not_believed(home: House) -> None:
    from backend.dto.principal import Principal

    async def confused(*_: object) -> Principal:
        return Principal("other", "x")

    home.authenticator._headers = confused
    assert (await ask(home, NEW)).status_code == 401


async def test_the_webhook_of_a_platform_needs_no_token_and_its_neighbours_do(home: House) -> None:
    """Its route compares a secret of its own."""
    codes = {}
    async with home.client() as http:
        for path in ("acme", "", "acme/", "acme/x", "../install", "acme%2Fx"):
            codes[path] = (await http.post(f"/setup/freshdesk/webhook/{path}")).status_code
    assert codes == {"acme": 404, "": 401, "acme/": 401, "acme/x": 401, "../install": 401, "acme%2Fx": 401}
