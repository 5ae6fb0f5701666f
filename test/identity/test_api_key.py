"""API keys (I-8)."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from test.identity.conftest import ACME, OTHER, House

ROOT = "/api/v1/api-keys"
ME = "/api/v1/auth/me"


async def key(house: House, *scopes: str, token: str = ACME, **more: Any) -> dict[str, Any]:
    body = {"name": "widget", "scopes": list(scopes), **more}
    made = await house.ask("POST", ROOT, token, json=body)
    assert made.status_code == 201, made.text
    found: dict[str, Any] = made.json()
    return found


async def test_a_key_comes_in_by_either_header_with_its_scopes_alone(house: House) -> None:
    made = await key(house, "tickets:read")
    assert re.fullmatch(r"ddp_[A-Za-z0-9_-]{43}", made["api_key"])
    for headers in ({"Authorization": f"Bearer {made['api_key']}"}, {"x-api-key": made["api_key"]}):
        async with house.client(**headers) as http:
            assert (await http.get(ME)).json()["scopes"] == ["tickets:read"]
            assert (await http.get("/api/v1/tickets")).json()["tenant_id"] == "acme"
            assert (await http.post("/api/v1/tickets/search")).status_code == 200
            for method, path in [("POST", "/api/v1/tickets"), ("POST", "/api/v1/chat"), ("GET", ROOT)]:
                answer = await http.request(method, path)
                assert (answer.status_code, answer.json()["type"]) == (403, "/problems/forbidden")


async def test_a_key_is_shown_once_and_kept_as_its_hash(house: House) -> None:
    made = await key(house, "chat")
    secret = made["api_key"]
    listed = await house.ask("GET", ROOT, ACME)
    one = await house.ask("GET", f"{ROOT}/{made['key_id']}", ACME)
    log = await house.ask("GET", "/api/v1/audit", ACME)
    assert one.json()["prefix"] == secret[:12]
    assert not [text for text in (listed.text, one.text, log.text) if secret in text or secret[12:20] in text]

    def kept(connection: Any) -> str:
        return str(connection.exec_driver_sql("SELECT * FROM api_keys").all())

    assert secret not in await house.database.read(kept)


async def test_a_revoked_key_is_out_at_once_and_stays_in_the_list(house: House) -> None:
    made = await key(house, "chat")
    assert (await house.ask("GET", ME, made["api_key"])).status_code == 200
    revoked = await house.ask("DELETE", f"{ROOT}/{made['key_id']}", ACME)
    assert revoked.json()["revoked_at"] is not None
    answer = await house.ask("GET", ME, made["api_key"])
    assert (answer.status_code, answer.json()["detail"]) == (401, "Invalid access token")
    again = await house.ask("DELETE", f"{ROOT}/{made['key_id']}", ACME)
    assert again.json()["revoked_at"] == revoked.json()["revoked_at"]
    assert (await house.ask("GET", ROOT, ACME)).json()["total"] == 1
    assert (await house.actions())[-2:] == ["api_key.created", "api_key.revoked"]


async def test_a_key_ends_when_it_should(home: House) -> None:
    ends = datetime.now(UTC) + timedelta(hours=1)
    made = await key(home, "chat", expires_at=ends.isoformat())
    assert (await home.ask("GET", ME, made["api_key"])).status_code == 200
    home.clock.ahead = timedelta(hours=1, seconds=1)
    assert (await home.ask("GET", ME, made["api_key"])).status_code == 401
    body = {"name": "x", "scopes": ["chat"], "expires_at": ends.isoformat()}
    assert (await home.ask("POST", ROOT, ACME, json=body)).status_code == 422


async def test_the_last_use_is_noted_once_a_minute(home: House) -> None:
    made = await key(home, "chat")

    async def used() -> Any:
        return (await home.ask("GET", f"{ROOT}/{made['key_id']}", ACME)).json()["last_used_at"]

    assert await used() is None
    await home.ask("GET", ME, made["api_key"])
    first = await used()
    home.clock.ahead = timedelta(seconds=30)
    await home.ask("GET", ME, made["api_key"])
    assert await used() == first is not None
    home.clock.ahead = timedelta(seconds=61)
    await home.ask("GET", ME, made["api_key"])
    assert await used() > first


async def test_a_key_can_do_no_more_than_who_makes_it(home: House) -> None:
    made = await key(home, "admin", "chat")
    for scopes in (["chat", "sync"], ["tickets:read"], ["admin", "knowledge:write"]):
        answer = await home.ask("POST", ROOT, made["api_key"], json={"name": "x", "scopes": scopes})
        assert answer.status_code == 403
    assert (await home.ask("POST", ROOT, made["api_key"], json={"name": "x", "scopes": ["chat"]})).status_code == 201


@pytest.mark.parametrize("scopes", [[], ["operate"], ["*"], ["Admin"], [""], [1], ["chat"] * 17])
async def test_a_scope_that_is_none_is_refused(home: House, scopes: list[Any]) -> None:
    answer = await home.ask("POST", ROOT, ACME, json={"name": "x", "scopes": scopes})
    assert answer.status_code == 422


async def test_the_keys_that_a_revoked_key_made_end_with_it(home: House) -> None:
    first = await key(home, "admin", "chat")
    second = await key(home, "admin", "chat", token=first["api_key"])
    third = await key(home, "chat", token=second["api_key"])
    for made in (second, third):
        assert (await home.ask("GET", ME, made["api_key"])).status_code == 200
    await home.ask("DELETE", f"{ROOT}/{first['key_id']}", ACME)
    for made in (first, second, third):
        assert (await home.ask("GET", ME, made["api_key"])).status_code == 401


async def test_the_keys_of_who_may_do_less_end_where_they_could_do_more(house: House) -> None:
    login = await house.login_of("admin")
    small = await key(house, "chat", token=login["access_token"])
    large = await key(house, "sync", token=login["access_token"])
    path = f"/api/v1/users/{login['user']['user_id']}"
    assert (await house.ask("PATCH", path, ACME, json={"role": "agent"})).status_code == 200
    assert (await house.ask("GET", ME, small["api_key"])).status_code == 200
    assert (await house.ask("GET", ME, large["api_key"])).status_code == 401
    await house.ask("DELETE", path, ACME)
    assert (await house.ask("GET", ME, small["api_key"])).status_code == 401


async def test_another_tenants_key_is_not_found(home: House) -> None:
    made = await key(home, "chat")
    for method in ("GET", "DELETE"):
        answer = await home.ask(method, f"{ROOT}/{made['key_id']}", OTHER)
        assert (answer.status_code, answer.json()["type"]) == (404, "/problems/api-key-not-found")
    assert (await home.ask("GET", ROOT, OTHER)).json() == {"items": [], "next": None, "total": 0}
    assert (await home.ask("GET", ME, made["api_key"])).status_code == 200


async def test_keys_are_listed_in_pages(house: House) -> None:
    made = [(await key(house, "chat"))["key_id"] for _ in range(5)]
    seen: list[str] = []
    before: str | None = None
    while True:
        params = {"limit": 2, **({"before": before} if before else {})}
        page = (await house.ask("GET", ROOT, ACME, params=params)).json()
        assert page["total"] == 5
        seen += [item["key_id"] for item in page["items"]]
        before = page["next"]
        if before is None:
            break
    assert seen == made[::-1]
    assert (await house.ask("GET", ROOT, ACME, params={"before": "x"})).status_code == 422


async def test_a_key_opens_nothing_in_a_suspended_tenant(home: House) -> None:
    made = await key(home, "chat")
    assert (await home.ask("GET", ME, made["api_key"])).status_code == 200
    await home.ask("POST", "/api/v1/tenants/acme/suspend", "operators-token")
    assert (await home.ask("GET", ME, made["api_key"])).status_code == 403
