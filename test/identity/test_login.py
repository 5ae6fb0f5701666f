"""Logging in, staying logged in, and being let go (001-18, 001-25, X8, I-8)."""

import asyncio
from datetime import timedelta
from threading import current_thread
from typing import Any
from uuid import UUID

import pytest

from backend.core.error import Unauthorized
from backend.core.password import PasswordHasher, is_guessable
from backend.service.failure_limit import FailureLimit
from backend.service.token import WRONG_LOGIN
from test.identity.conftest import ACME, OPERATOR, OTHER, PASSWORD, House

ME = "/api/v1/auth/me"


async def status(house: House, token: str, path: str = ME) -> int:
    return (await house.ask("GET", path, token)).status_code


async def refresh(house: House, token: str) -> Any:
    return await house.ask("POST", "/api/v1/auth/refresh", json={"refresh_token": token})


async def test_a_user_logs_in_and_is_who_the_token_says(house: House) -> None:
    made = await house.make("agent", email="  Mina@Acme.Example ")
    answer = await house.log_in("MINA@acme.example")
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    login = answer.json()
    assert (login["token_type"], login["expires_in"]) == ("bearer", 900)
    assert login["user"]["user_id"] == made["user_id"]
    me = (await house.ask("GET", ME, login["access_token"])).json()
    assert (me["tenant_id"], me["company_id"], me["roles"]) == ("acme", "acme", ["agent"])
    assert me["scopes"] == ["chat", "knowledge:read", "tickets:read", "tickets:write"]
    assert me["user"]["email"] == "mina@acme.example"
    assert me["user"]["last_login_at"] is not None
    assert (await house.actions())[-2:] == ["user.created", "user.logged_in"]


async def test_company_id_is_another_name_of_tenant_id(home: House) -> None:
    """(X1)"""
    await home.make("agent")
    body = {"company_id": "acme", "email": "agent@acme.example", "password": PASSWORD}
    assert (await home.ask("POST", "/api/v1/auth/login", json=body)).status_code == 200
    body = {"email": "agent@acme.example", "password": PASSWORD}  # of the tenant `default`, who is nobody
    assert (await home.ask("POST", "/api/v1/auth/login", json=body)).status_code == 401


async def test_whatever_is_wrong_with_a_login_the_answer_is_the_same(home: House) -> None:
    user = await home.make("agent")
    await home.ask(
        "PATCH", f"/api/v1/users/{(await home.make('viewer'))['user_id']}", ACME, json={"status": "disabled"}
    )
    answers = [
        await home.log_in("agent@acme.example", "wrong password"),
        await home.log_in("nobody@acme.example"),
        await home.log_in("agent@acme.example", tenant="other"),
        await home.log_in("agent@acme.example", tenant="no-such-tenant"),
        await home.log_in("viewer@acme.example"),
        await home.log_in("agent@acme.example", "x" * 1000),
        await home.log_in("agent@acme.example", PASSWORD + "x" * 300),
    ]
    assert {(answer.status_code, answer.json()["detail"]) for answer in answers} == {(401, WRONG_LOGIN)}
    assert user["user_id"] not in str([answer.text for answer in answers])


async def test_a_user_without_a_password_cannot_log_in(home: House) -> None:
    body = {"email": "sso@acme.example", "role": "agent"}
    assert (await home.ask("POST", "/api/v1/users", ACME, json=body)).status_code == 201
    for password in ("", "None", "null", PASSWORD):
        answer = await home.log_in("sso@acme.example", password)
        assert answer.status_code in {401, 422}


async def test_a_password_written_in_parts_of_hangul_is_the_same_password() -> None:
    hasher = PasswordHasher()
    kept = await hasher.hash("비밀번호입니다")
    assert kept.startswith("$argon2id$")
    assert await hasher.verify(kept, "비밀번호입니다") == (True, None)
    assert await hasher.verify(kept, "비밀번호입니다.") == (False, None)
    assert await hasher.verify(None, "비밀번호입니다") == (False, None)
    assert await hasher.verify("not a hash", "비밀번호입니다") == (False, None)


async def test_hashes_are_made_in_two_threads_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each thread that makes one leaves 19 MiB with the allocator: not every thread of the process may."""
    hasher = PasswordHasher()
    threads: set[str] = set()
    monkeypatch.setattr(hasher, "_compare", lambda kept, plain: threads.add(current_thread().name))
    await asyncio.gather(*(hasher.verify(None, "secret") for _ in range(40)))
    assert threads <= {"password_0", "password_1"}


async def test_an_older_weaker_hash_is_made_again_at_the_next_login(home: House) -> None:
    from argon2 import PasswordHasher as Argon2

    from backend.repository.user import UserRepository

    user_id = UUID((await home.make("agent"))["user_id"])
    weak = Argon2(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)

    def kept(connection: Any) -> str | None:
        return UserRepository(connection, "acme").password_hash(user_id)

    await home.database.write(lambda c: UserRepository(c, "acme").rehash(user_id, kept(c) or "", weak))
    assert (await home.log_in("agent@acme.example")).status_code == 200
    assert "m=19456" in (await home.database.read(kept) or "")
    assert (await home.log_in("agent@acme.example")).status_code == 200


async def test_an_account_is_closed_for_a_while_after_some_failures_from_wherever_they_come(home: House) -> None:
    await home.make("agent")
    for _ in range(5):
        assert (await home.log_in("agent@acme.example", "wrong password")).status_code == 401
    answer = await home.log_in("agent@acme.example")
    assert answer.status_code == 429
    assert 0 < int(answer.headers["retry-after"]) <= 300
    await home.make("viewer")
    assert (await home.log_in("viewer@acme.example")).status_code == 200


async def test_a_login_that_failed_is_in_the_audit_log_of_whose_it_was_to_be(house: House) -> None:
    user = await house.make("agent")
    await house.log_in("agent@acme.example", "wrong password")
    await house.log_in("nobody@acme.example", "wrong password")
    await house.log_in("agent@acme.example", "wrong password", tenant="nowhere")
    await house.ask("PATCH", f"/api/v1/users/{user['user_id']}", ACME, json={"status": "disabled"})
    await house.log_in("agent@acme.example")
    params = {"action": "user.login_failed"}
    page = (await house.ask("GET", "/api/v1/audit", ACME, params=params)).json()
    said = [(one["actor"], one["target"], one["address"], one["detail"]["reason"]) for one in page["items"]]
    assert said == [("nobody", user["user_id"], "127.0.0.1", reason) for reason in ("disabled", "wrong password")]
    for tenant in ("nowhere", "other"):
        params = {"tenant_id": tenant, "action": "user.login_failed"}
        assert (await house.ask("GET", "/api/v1/audit", OPERATOR, params=params)).json()["total"] == 0


async def test_many_guesses_at_once_are_no_more_than_one_after_the_other(home: House) -> None:
    await home.make("agent")
    answers = await asyncio.gather(*(home.log_in("agent@acme.example", "wrong password") for _ in range(30)))
    assert sorted(answer.status_code for answer in answers) == [401] * 5 + [429] * 25


async def test_who_logs_in_often_is_not_locked_out(home: House) -> None:
    await home.make("agent")
    assert {(await home.log_in("agent@acme.example")).status_code for _ in range(8)} == {200}


def test_a_failure_that_was_none_is_taken_back() -> None:
    failures = FailureLimit(2)
    for _ in range(5):
        failures.count("a")
        failures.forgive("a")
    assert not failures.wait("a")
    failures.count("a")
    failures.count("a")
    assert failures.wait("a")
    failures.forgive("nobody")


# Refresh tokens.


async def test_a_refresh_token_gives_the_next_tokens(house: House) -> None:
    login = await house.login_of("agent")
    after = (await refresh(house, login["refresh_token"])).json()
    assert after["refresh_token"] != login["refresh_token"]
    assert await status(house, after["access_token"]) == 200
    assert (await refresh(house, after["refresh_token"])).status_code == 200


async def test_a_refresh_token_that_comes_again_ends_its_login_at_once_and_is_recorded(house: House) -> None:
    login = await house.login_of("agent")
    stolen = (await refresh(house, login["refresh_token"])).json()
    assert await status(house, stolen["access_token"]) == 200
    assert (await refresh(house, login["refresh_token"])).status_code == 401
    assert (await refresh(house, stolen["refresh_token"])).status_code == 401
    assert await status(house, stolen["access_token"]) == 401
    assert await status(house, login["access_token"]) == 401
    assert "refresh_token.reused" in await house.actions()
    assert (await house.log_in("agent@acme.example")).status_code == 200


async def test_another_login_of_the_same_user_outlives_the_stolen_one(home: House) -> None:
    login = await home.login_of("agent")
    other = (await home.log_in("agent@acme.example")).json()
    await refresh(home, login["refresh_token"])
    await refresh(home, login["refresh_token"])
    assert await status(home, other["access_token"]) == 200
    assert (await refresh(home, other["refresh_token"])).status_code == 200


async def test_of_refreshes_at_once_exactly_one_wins_and_the_login_lives(house: House) -> None:
    login = await house.login_of("agent")
    answers = await asyncio.gather(*(refresh(house, login["refresh_token"]) for _ in range(8)))
    won = [answer.json() for answer in answers if answer.status_code == 200]
    assert [answer.status_code for answer in answers].count(401) == 7
    assert len(won) == 1
    assert await status(house, won[0]["access_token"]) == 200
    assert (await refresh(house, won[0]["refresh_token"])).status_code == 200


@pytest.mark.parametrize("token", ["x", "ddr_" + "A" * 43, "가", "\ud800", "' OR 1=1 --"])
async def test_an_unknown_refresh_token_is_refused(home: House, token: str) -> None:
    with pytest.raises(Unauthorized):
        await home.logins.refresh(token)
    await home.logins.log_out(token)  # nothing to end


async def test_guesses_of_refresh_tokens_are_counted(home: House) -> None:
    login = await home.login_of("agent")
    home.logins._address_failures = FailureLimit(3)
    for number in range(3):
        assert (await refresh(home, f"ddr_{number:043}")).status_code == 401
    assert (await refresh(home, login["refresh_token"])).status_code == 429


async def test_a_refresh_token_is_good_for_its_time_alone(home: House) -> None:
    login = await home.login_of("agent")
    home.clock.ahead = timedelta(seconds=86_401)
    assert (await refresh(home, login["refresh_token"])).status_code == 401
    assert await home.logins.sweep() == 1
    home.clock.ahead = timedelta()
    assert (await refresh(home, login["refresh_token"])).status_code == 401


async def test_logging_out_ends_the_login_and_its_access_token_at_once(house: House) -> None:
    login = await house.login_of("agent")
    other = (await house.log_in("agent@acme.example")).json()
    body = {"refresh_token": login["refresh_token"]}
    assert (await house.ask("POST", "/api/v1/auth/logout", json=body)).status_code == 204
    assert await status(house, login["access_token"]) == 401
    assert (await refresh(house, login["refresh_token"])).status_code == 401
    assert await status(house, other["access_token"]) == 200
    for _ in range(2):  # who holds a dead token cannot fill the log with it
        assert (await house.ask("POST", "/api/v1/auth/logout", json=body)).status_code == 204
    assert (await house.actions()).count("user.logged_out") == 1


async def test_logging_out_everywhere_ends_every_login(house: House) -> None:
    logins = [await house.login_of("agent"), (await house.log_in("agent@acme.example")).json()]
    answer = await house.ask("POST", "/api/v1/auth/logout-all", logins[0]["access_token"])
    assert answer.status_code == 204
    for login in logins:
        assert await status(house, login["access_token"]) == 401
        assert (await refresh(house, login["refresh_token"])).status_code == 401
    assert (await house.log_in("agent@acme.example")).status_code == 200


async def test_another_server_learns_of_a_revocation_within_seconds(home: House, tmp_path: Any) -> None:
    """The same database and keys, and caches of its own."""
    other = House(home.database, tmp_path)
    now = 0.0
    other.users._recent._clock = lambda: now
    login = await home.login_of("agent")
    assert await status(other, login["access_token"]) == 200
    await home.ask("POST", "/api/v1/auth/logout-all", login["access_token"])
    now = 5.1
    assert await status(other, login["access_token"]) == 401


async def test_a_new_password_needs_the_old_one_and_ends_every_other_login(house: House) -> None:
    login = await house.login_of("agent")
    wrong = {"current_password": "wrong password", "new_password": "another good one"}
    answer = await house.ask("POST", "/api/v1/auth/password", login["access_token"], json=wrong)
    assert answer.status_code == 401
    right = wrong | {"current_password": PASSWORD}
    answer = await house.ask("POST", "/api/v1/auth/password", login["access_token"], json=right)
    assert answer.status_code == 200
    assert await status(house, login["access_token"]) == 401
    assert (await refresh(house, login["refresh_token"])).status_code == 401
    assert await status(house, answer.json()["access_token"]) == 200
    assert (await house.log_in("agent@acme.example")).status_code == 401
    assert (await house.log_in("agent@acme.example", "another good one")).status_code == 200


@pytest.mark.parametrize(
    "password",
    (
        "12345678 password P@ssw0rd1! qwer1234! 1q2w3e4r aaaaaaaa 20240101 01012345678 acme2026! Admin@2026 zyxwvuts "
        "passwordpassword 비밀번호1234 mina1234 Mina@Acme.example asdfghjkl"
    ).split(),
)
async def test_a_password_that_is_guessed_first_is_refused_wherever_it_is_set(home: House, password: str) -> None:
    user = {"email": "mina@acme.example", "role": "agent"}
    made = await home.ask("POST", "/api/v1/users", ACME, json={**user, "password": password})
    assert (made.status_code, made.json()["type"]) == (422, "/problems/invalid")
    path = "/api/v1/users/" + (await home.make("agent", email="mina@acme.example"))["user_id"]
    assert (await home.ask("PATCH", path, ACME, json={"password": password})).status_code == 422
    token = (await home.log_in("mina@acme.example")).json()["access_token"]
    body = {"current_password": PASSWORD, "new_password": password}
    assert (await home.ask("POST", "/api/v1/auth/password", token, json=body)).status_code == 422
    assert await status(home, token) == 200  # and nothing has ended


@pytest.mark.parametrize(
    "password", ["tr0ub4dor&3", "Xk3!vt9#", "오늘도 바다에 가고 싶다", "31415 92653 58979", "mina walks at night"]
)
def test_a_password_that_nobody_guesses_first_is_taken(password: str) -> None:
    assert not is_guessable(password, ("mina", "mina@acme.example", "acme"))


@pytest.mark.parametrize("password", ["short", "x" * 257, ""])
async def test_a_password_has_8_to_256_characters(home: House, password: str) -> None:
    body = {"email": "a@acme.example", "role": "agent", "password": password}
    answer = await home.ask("POST", "/api/v1/users", ACME, json=body)
    assert answer.status_code == 422
    assert not password or password not in answer.text
    token = (await home.login_of("viewer"))["access_token"]
    body = {"current_password": PASSWORD, "new_password": password}
    assert (await home.ask("POST", "/api/v1/auth/password", token, json=body)).status_code == 422


async def test_a_disabled_or_removed_user_is_out_at_once(house: House) -> None:
    for change in ("disable", "remove"):
        made = await house.make("agent", email=f"{change}@acme.example")
        login = (await house.log_in(f"{change}@acme.example")).json()
        assert await status(house, login["access_token"]) == 200
        path = f"/api/v1/users/{made['user_id']}"
        if change == "disable":
            assert (await house.ask("PATCH", path, ACME, json={"status": "disabled"})).status_code == 200
        else:
            assert (await house.ask("DELETE", path, ACME)).status_code == 204
        assert await status(house, login["access_token"]) == 401
        assert (await refresh(house, login["refresh_token"])).status_code == 401
        assert (await house.log_in(f"{change}@acme.example")).status_code == 401


async def test_a_token_is_nobody_who_could_log_out_or_change_a_password(home: House) -> None:
    me = (await home.ask("GET", ME, OTHER)).json()
    assert (me["tenant_id"], me["user"], me["roles"]) == ("other", None, ["owner"])
    assert (await home.ask("POST", "/api/v1/auth/logout-all", OTHER)).status_code == 404
    assert (await home.ask("GET", "/api/v1/users/me", OTHER)).status_code == 404
    body = {"current_password": PASSWORD, "new_password": PASSWORD}
    assert (await home.ask("POST", "/api/v1/auth/password", OTHER, json=body)).status_code == 404
