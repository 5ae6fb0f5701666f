"""A tenant's people: roles that nobody climbs by themselves, and an owner that stays (001-25, I-8)."""

import asyncio
from typing import Any

import pytest

from backend.dto.principal import SCOPES
from test.identity.conftest import ACME, OPERATOR, OTHER, PASSWORD, House

ROOT = "/api/v1/users"
ROLES = ["viewer", "agent", "admin", "owner"]


async def token_of(house: House, role: str) -> str:
    token: str = (await house.login_of(role))["access_token"]
    return token


@pytest.mark.parametrize(
    ("role", "open_", "closed"),
    [
        (
            "viewer",
            [("GET", "/api/v1/tickets"), ("POST", "/api/v1/tickets/search"), ("GET", "/api/v1/knowledge/documents")],
            [("POST", "/api/v1/tickets"), ("POST", "/api/v1/chat"), ("GET", ROOT), ("GET", "/setup/freshdesk")],
        ),
        (
            "agent",
            [("GET", "/api/v1/tickets"), ("POST", "/api/v1/tickets"), ("POST", "/api/v1/chat"), ("GET", f"{ROOT}/me")],
            [
                ("POST", "/api/v1/knowledge/documents"),
                ("GET", ROOT),
                ("GET", "/api/v1/audit"),
                ("GET", "/api/v1/tenant"),
            ],
        ),
        (
            "admin",
            [("GET", ROOT), ("GET", "/setup/freshdesk"), ("POST", "/api/v1/chat"), ("GET", "/nowhere/in/the/table")],
            [("GET", "/api/v1/tenants"), ("POST", "/api/v1/tenants/acme/suspend")],
        ),
        (
            "owner",
            [("GET", ROOT), ("GET", "/api/v1/tenant")],
            [("GET", "/api/v1/tenants"), ("DELETE", "/api/v1/tenants/other")],
        ),
    ],
)
async def test_a_role_opens_its_own_parts_alone(
    home: House, role: str, open_: list[tuple[str, str]], closed: list[tuple[str, str]]
) -> None:
    async with home.client(await token_of(home, role)) as http:
        assert [(await http.request(*one)).status_code for one in open_] == [200] * len(open_)
        answers = [await http.request(*one) for one in closed]
    assert [(answer.status_code, answer.json()["type"]) for answer in answers] == [(403, "/problems/forbidden")] * len(
        closed
    )


async def test_a_user_is_made_read_listed_changed_and_removed(house: House) -> None:
    made = await house.make("agent")
    path = f"{ROOT}/{made['user_id']}"
    assert (await house.ask("GET", path, ACME)).json() == made
    changed = await house.ask("PATCH", path, ACME, json={"name": "김미나", "role": "viewer"})
    assert (changed.json()["name"], changed.json()["role"]) == ("김미나", "viewer")
    listed = (await house.ask("GET", ROOT, ACME)).json()
    assert (listed["items"], listed["next"], listed["total"]) == ([changed.json()], None, 1)
    assert (await house.ask("GET", ROOT, ACME, params={"role": "owner"})).json()["total"] == 0
    assert (await house.ask("DELETE", path, ACME)).status_code == 204
    assert (await house.ask("GET", path, ACME)).json()["type"] == "/problems/user-not-found"
    assert (await house.actions())[-3:] == ["user.created", "user.updated", "user.deleted"]


async def test_users_are_listed_in_pages_the_newest_first(house: House) -> None:
    made = [(await house.make("viewer", email=f"u{number}@acme.example"))["user_id"] for number in range(5)]
    seen: list[str] = []
    before: str | None = None
    while True:
        params = {"limit": 2, **({"before": before} if before else {})}
        page = (await house.ask("GET", ROOT, ACME, params=params)).json()
        seen += [item["user_id"] for item in page["items"]]
        before = page["next"]
        if before is None:
            break
    assert seen == made[::-1]


async def test_an_address_belongs_to_one_user_of_a_tenant_also_in_a_race(house: House) -> None:
    body = {"email": "mina@acme.example", "role": "agent"}
    answers = await asyncio.gather(*(house.ask("POST", ROOT, ACME, json=body) for _ in range(5)))
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409, 409]
    again = await house.ask("POST", ROOT, ACME, json={**body, "email": "MINA@ACME.EXAMPLE"})
    assert again.json()["type"] == "/problems/already-there"
    assert (await house.ask("POST", ROOT, OTHER, json=body)).status_code == 201


@pytest.mark.parametrize("role", ROLES)
async def test_nobody_gives_a_role_above_their_own(home: House, role: str) -> None:
    token = await token_of(home, role)
    codes = {}
    for wanted in ROLES:
        body = {"email": f"new-{wanted}@acme.example", "role": wanted, "password": PASSWORD}
        codes[wanted] = (await home.ask("POST", ROOT, token, json=body)).status_code
    allowed = {"viewer": [], "agent": [], "admin": ROLES[:3], "owner": ROLES}[role]
    assert codes == {wanted: 201 if wanted in allowed else 403 for wanted in ROLES}


async def test_an_admin_neither_becomes_owner_nor_touches_one(home: House) -> None:
    owner = await home.make("owner")
    login = await home.login_of("admin")
    token = login["access_token"]
    myself, above = f"{ROOT}/{login['user']['user_id']}", f"{ROOT}/{owner['user_id']}"
    refused = [
        await home.ask("PATCH", myself, token, json={"role": "owner"}),
        await home.ask("PATCH", above, token, json={"role": "viewer"}),
        await home.ask("PATCH", above, token, json={"password": "now it is mine"}),
        await home.ask("PATCH", above, token, json={"status": "disabled"}),
        await home.ask("PATCH", above, token, json={"name": "x"}),
        await home.ask("PATCH", above, token, json={"email": "mine@acme.example"}),
        await home.ask("DELETE", above, token),
    ]
    assert [answer.status_code for answer in refused] == [403] * 7
    assert (await home.ask("GET", above, token)).json()["role"] == "owner"


async def test_a_key_with_all_scopes_is_no_owner(home: House) -> None:
    body = {"name": "x", "scopes": sorted(SCOPES)}
    key = (await home.ask("POST", "/api/v1/api-keys", ACME, json=body)).json()["api_key"]
    made = await home.ask("POST", ROOT, key, json={"email": "a@acme.example", "role": "owner"})
    assert made.status_code == 403
    assert (await home.ask("POST", ROOT, key, json={"email": "a@acme.example", "role": "admin"})).status_code == 201


async def test_a_key_for_people_alone_makes_and_becomes_nobody_who_may_more(house: House) -> None:
    agent = f"{ROOT}/{(await house.make('agent'))['user_id']}"
    body = {"name": "x", "scopes": ["admin", "knowledge:read", "tickets:read"]}
    key = (await house.ask("POST", "/api/v1/api-keys", ACME, json=body)).json()["api_key"]
    refused = [
        await house.ask("POST", ROOT, key, json={"email": "a@acme.example", "role": "admin", "password": PASSWORD}),
        await house.ask("POST", ROOT, key, json={"email": "b@acme.example", "role": "agent", "password": PASSWORD}),
        await house.ask("PATCH", agent, key, json={"role": "admin"}),
        await house.ask("PATCH", agent, key, json={"password": "now it is mine"}),
    ]
    assert [answer.status_code for answer in refused] == [403] * 4
    assert (await house.log_in("agent@acme.example")).status_code == 200
    allowed = [
        await house.ask("POST", ROOT, key, json={"email": "v@acme.example", "role": "viewer", "password": PASSWORD}),
        await house.ask("PATCH", agent, key, json={"status": "disabled"}),  # taking away needs no more than the rank
        await house.ask("PATCH", agent, key, json={"role": "viewer", "password": "quite another one"}),
        await house.ask("DELETE", agent, key),
    ]
    assert [answer.status_code for answer in allowed] == [201, 200, 200, 204]


async def test_the_last_owner_stays(house: House) -> None:
    first = f"{ROOT}/{(await house.make('owner'))['user_id']}"
    for answer in (
        await house.ask("DELETE", first, ACME),
        await house.ask("PATCH", first, ACME, json={"role": "admin"}),
        await house.ask("PATCH", first, ACME, json={"status": "disabled"}),
    ):
        assert (answer.status_code, answer.json()["type"]) == (409, "/problems/conflict")
    second = f"{ROOT}/{(await house.make('owner', email='second@acme.example'))['user_id']}"
    await house.ask("PATCH", second, ACME, json={"status": "disabled"})
    assert (await house.ask("DELETE", first, ACME)).status_code == 409  # a disabled one does not count
    await house.ask("PATCH", second, ACME, json={"status": "active"})
    assert (await house.ask("DELETE", first, ACME)).status_code == 204
    assert (await house.ask("DELETE", second, ACME)).status_code == 409


async def test_two_owners_who_go_at_once_do_not_both_go(house: House) -> None:
    paths = [f"{ROOT}/{(await house.make('owner', email=f'o{n}@acme.example'))['user_id']}" for n in range(2)]
    answers = await asyncio.gather(*(house.ask("DELETE", path, ACME) for path in paths))
    assert sorted(answer.status_code for answer in answers) == [204, 409]


async def test_a_new_role_holds_at_once(house: House) -> None:
    login = await house.login_of("agent")
    path = f"{ROOT}/{login['user']['user_id']}"
    assert (await house.ask("POST", "/api/v1/chat", login["access_token"])).status_code == 200
    await house.ask("PATCH", path, ACME, json={"role": "viewer"})
    assert (await house.ask("POST", "/api/v1/chat", login["access_token"])).status_code == 401
    login = (await house.log_in("agent@acme.example")).json()
    assert (await house.ask("POST", "/api/v1/chat", login["access_token"])).status_code == 403
    assert (await house.ask("GET", "/api/v1/tickets", login["access_token"])).status_code == 200


async def test_a_new_name_ends_no_login(home: House) -> None:
    login = await home.login_of("agent")
    await home.ask("PATCH", f"{ROOT}/{login['user']['user_id']}", ACME, json={"name": "Mina"})
    assert (await home.ask("GET", f"{ROOT}/me", login["access_token"])).json()["name"] == "Mina"


async def test_a_new_address_is_that_of_the_next_login_and_ends_those_before(house: House) -> None:
    login = await house.login_of("agent")
    path = f"{ROOT}/{login['user']['user_id']}"
    changed = await house.ask("PATCH", path, ACME, json={"email": " New@Acme.example "})
    assert (changed.status_code, changed.json()["email"]) == (200, "new@acme.example")
    assert (await house.ask("GET", f"{ROOT}/me", login["access_token"])).status_code == 401
    body = {"refresh_token": login["refresh_token"]}
    assert (await house.ask("POST", "/api/v1/auth/refresh", json=body)).status_code == 401
    assert (await house.log_in("agent@acme.example")).status_code == 401
    again = (await house.log_in("new@acme.example")).json()
    await house.ask("PATCH", path, ACME, json={"email": "NEW@acme.example"})  # the same
    assert (await house.ask("GET", f"{ROOT}/me", again["access_token"])).status_code == 200
    entries = (await house.ask("GET", "/api/v1/audit", ACME, params={"action": "user.updated"})).json()["items"]
    assert entries[-1]["detail"]["changed"][0] == "email"
    assert "new@" not in str(entries)


async def test_an_address_that_another_one_has_is_not_taken_also_in_a_race(house: House) -> None:
    made = [await house.make(role) for role in ("agent", "viewer", "admin")]
    ask = house.ask
    taken = await ask("PATCH", f"{ROOT}/{made[0]['user_id']}", ACME, json={"email": made[1]["email"].upper()})
    assert (taken.status_code, taken.json()["type"]) == (409, "/problems/already-there")
    assert (await ask("GET", f"{ROOT}/{made[0]['user_id']}", ACME)).json()["email"] == made[0]["email"]
    body = {"email": "one@acme.example"}
    answers = await asyncio.gather(*(ask("PATCH", f"{ROOT}/{one['user_id']}", ACME, json=body) for one in made))
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409]
    assert (await ask("PATCH", f"{ROOT}/{made[0]['user_id']}", ACME, json={"email": "nobody"})).status_code == 422


async def test_another_tenants_user_is_not_found(home: House) -> None:
    made = await home.make("agent")
    path = f"{ROOT}/{made['user_id']}"
    for method, options in (("GET", {}), ("PATCH", {"json": {"name": "x"}}), ("DELETE", {})):
        for token in (OTHER, OPERATOR):
            answer = await home.ask(method, path, token, **options)
            assert (answer.status_code, answer.json()["type"]) == (404, "/problems/user-not-found")
    assert (await home.ask("GET", ROOT, OTHER)).json()["items"] == []
    assert (await home.ask("GET", path, ACME)).json() == made


@pytest.mark.parametrize(
    "body",
    [
        {"email": "no address"},
        {"email": "a@"},
        {"email": "a@b@c"},
        {"email": "a b@acme.example"},
        {"email": "x" * 320 + "@acme.example"},
        {"email": "x" * 65 + "@acme.example"},
        {"email": "a\n@acme.example"},
        {"email": "a@acme.example", "role": "operator"},
        {"email": "a@acme.example", "role": "root"},
        {"email": "a@acme.example", "status": "active"},
        {"email": "a@acme.example", "tenant_id": "other"},
        {"email": "a@acme.example", "name": "\x00"},
        {},
    ],
)
async def test_a_user_that_is_none_is_refused(home: House, body: dict[str, Any]) -> None:
    assert (await home.ask("POST", ROOT, ACME, json=body)).status_code == 422


async def test_the_audit_log_says_who_did_what_from_where_and_no_secret(house: House) -> None:
    """(I-8)"""
    login = await house.login_of("admin")
    async with house.client(login["access_token"], **{"X-Request-ID": "request-7"}) as http:
        body = {"email": "mina@acme.example", "role": "agent", "password": "a secret password"}
        made = (await http.post(ROOT, json=body)).json()
        page = (await http.get("/api/v1/audit", params={"action": "user.created", "limit": 1})).json()
    entry = page["items"][0]
    assert (entry["actor"], entry["target"]) == (login["user"]["user_id"], made["user_id"])
    assert (entry["address"], entry["request_id"]) == ("127.0.0.1", "request-7")
    assert page["total"] == 2
    whole = (await house.ask("GET", "/api/v1/audit", ACME, params={"limit": 200})).text
    assert "a secret password" not in whole
    assert "mina@" not in whole
    older = await house.ask("GET", "/api/v1/audit", ACME, params={"before": page["next"], "action": "user.created"})
    assert [one["audit_id"] for one in older.json()["items"]] != [entry["audit_id"]]
    until = {"until": entry["created_at"]}
    assert entry["audit_id"] not in (await house.ask("GET", "/api/v1/audit", ACME, params=until)).text
    since = {"since": entry["created_at"], "actor": login["user"]["user_id"]}
    assert (await house.ask("GET", "/api/v1/audit", ACME, params=since)).json()["total"] == 1
    assert (await house.ask("GET", "/api/v1/audit", OTHER)).json()["total"] == 1  # its own `tenant.created`


async def test_the_operator_reads_the_audit_log_of_any_tenant_and_nobody_else_does(house: House) -> None:
    await house.make("agent")
    theirs = {"tenant_id": "acme"}
    page = (await house.ask("GET", "/api/v1/audit", OPERATOR, params=theirs)).json()
    assert page == (await house.ask("GET", "/api/v1/audit", ACME, params=theirs)).json()
    assert [entry["action"] for entry in page["items"]] == ["user.created", "tenant.created"]
    await house.ask("DELETE", "/api/v1/tenants/acme", OPERATOR)
    page = (await house.ask("GET", "/api/v1/audit", OPERATOR, params=theirs)).json()
    assert page["items"][0]["action"] == "tenant.deleted"
    answer = await house.ask("GET", "/api/v1/audit", OTHER, params=theirs)
    assert (answer.status_code, answer.json()["type"]) == (404, "/problems/tenant-not-found")


@pytest.mark.parametrize(
    "params", [{"before": "x"}, {"limit": 0}, {"limit": 201}, {"since": "yesterday"}, {"action": "';--"}]
)
async def test_a_wrong_question_to_the_audit_log_is_refused(home: House, params: dict[str, Any]) -> None:
    assert (await home.ask("GET", "/api/v1/audit", ACME, params=params)).status_code == 422
