"""The door: who comes in, with what, and what the others are told."""

from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from backend.core.error import TooMany, Unauthorized
from backend.middleware.auth import BearerTokenAuthMiddleware
from backend.middleware.tracking import TrackingMiddleware
from backend.service.auth import Authenticator
from backend.service.failure_limit import FailureLimit
from test.frame.asgi import call, client, logged, small_app

TOKEN, OTHER = "token-of-default", "토큰-of-acme"


def guarded(limit: int = 1000, **options: Any) -> TrackingMiddleware:
    tokens = {"default": SecretStr(TOKEN), "acme": SecretStr(OTHER)}
    authenticator = Authenticator(tokens, FailureLimit(limit))
    return TrackingMiddleware(BearerTokenAuthMiddleware(small_app(), authenticator, **options))


def unguarded(**options: Any) -> TrackingMiddleware:
    return TrackingMiddleware(BearerTokenAuthMiddleware(small_app(), Authenticator(None), **options))


async def get(app: Any, path: str = "/who", **headers: str) -> httpx.Response:
    async with client(app) as http:
        return await http.get(path, headers=headers)


@pytest.mark.parametrize(("token", "tenant"), [(TOKEN, "default"), (OTHER, "acme")])
@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
async def test_each_token_opens_its_own_tenant(token: str, tenant: str, scheme: str) -> None:
    async with client(guarded()) as http:
        answer = await http.get("/who", headers=[(b"authorization", f"{scheme} {token}".encode())])
    assert answer.json()["tenant_id"] == tenant


@pytest.mark.parametrize(
    ("header", "text"),
    [
        (None, "Authorization header required"),
        ("", "Invalid authorization header format"),
        ("Bearer", "Invalid authorization header format"),
        ("Bearer ", "Invalid authorization header format"),
        (TOKEN, "Invalid authorization header format"),
        ("Basic dXNlcjpwYXNz", "Invalid authorization header format"),
        (f"Bearer {TOKEN} x", "Invalid authorization header format"),
        ("Bearer wrong", "Invalid access token"),
        (f"Bearer {TOKEN}x", "Invalid access token"),
        (f"Bearer {TOKEN[:-1]}", "Invalid access token"),
        (f"Bearer {TOKEN.upper()}", "Invalid access token"),
        ("Bearer " + "x" * 100_000, "Invalid access token"),
    ],
)
async def test_the_three_refusals(header: str | None, text: str) -> None:
    answer = await get(guarded(), **({} if header is None else {"Authorization": header}))
    assert answer.status_code == 401
    assert answer.json()["detail"] == text
    assert answer.json()["type"] == "/problems/unauthorized"
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["www-authenticate"] == "Bearer"


async def test_two_authorization_headers_are_refused() -> None:
    async with client(guarded()) as http:
        pair = [("Authorization", "Bearer wrong"), ("Authorization", f"Bearer {TOKEN}")]
        assert (await http.get("/who", headers=pair)).status_code == 401
        assert (await http.get("/who", headers=pair[::-1])).status_code == 401


async def test_a_token_in_the_address_opens_nothing() -> None:
    async with client(guarded()) as http:
        answer = await http.get("/who", params={"access_token": TOKEN, "token": TOKEN})
    assert answer.status_code == 401


@pytest.mark.parametrize("path", ["/", "/health", "/docs", "/redoc", "/openapi.json"])
async def test_public_paths_need_no_token(path: str) -> None:
    assert (await get(guarded(), path)).status_code == 200


@pytest.mark.parametrize(
    "path", ["/health/", "/healthx", "/health/../who", "//", "/docs/x", "/who", "/openapi.json/", "/Health", "/nowhere"]
)
async def test_a_path_that_only_begins_like_a_public_one_needs_a_token(path: str) -> None:
    sent = await call(guarded(), path)
    assert sent[0]["status"] == 401


@pytest.mark.parametrize("path", ["/docs", "/redoc", "/openapi.json"])
async def test_the_docs_can_be_closed(path: str) -> None:
    assert (await get(guarded(docs_public=False), path)).status_code == 401


async def test_a_host_header_does_not_make_a_path_public() -> None:
    sent = await call(guarded(), "/who", headers=[("host", "localhost/health?")])
    assert sent[0]["status"] == 401


async def test_a_failure_is_logged_with_the_request_id_and_without_the_token() -> None:
    with logged() as records:
        await get(guarded(), Authorization="Bearer guessed-token", **{"X-Request-ID": "r-1"})
    refusal = next(record for record in records if record["name"] == "middleware.bearer_auth")
    assert refusal["level"].name == "WARNING"
    assert refusal["extra"]["request_id"] == "r-1"
    assert "Invalid access token" in refusal["message"]
    assert "guessed-token" not in str(records)


async def test_the_tenant_is_in_what_is_logged() -> None:
    with logged() as records:
        await get(guarded(), Authorization=f"Bearer {TOKEN}")
    assert records[-1]["extra"]["tenant_id"] == "default"


async def test_who_guesses_too_often_is_refused_for_a_while_even_with_the_right_token() -> None:
    app = guarded(limit=3)
    for _ in range(3):
        assert (await get(app, Authorization="Bearer wrong")).status_code == 401
    for header in ("Bearer wrong", f"Bearer {TOKEN}", "nonsense"):
        answer = await get(app, Authorization=header)
        assert answer.status_code == 429
        assert 0 < int(answer.headers["retry-after"]) <= 60
    async with client(app, address="192.0.2.99") as http:
        assert (await http.get("/who", headers={"Authorization": f"Bearer {TOKEN}"})).status_code == 200
    assert (await get(app, "/health")).status_code == 200


async def test_who_sends_nothing_does_not_lock_anybody_out() -> None:
    app = guarded(limit=3)
    for _ in range(10):
        assert (await get(app)).status_code == 401
    assert (await get(app, Authorization=f"Bearer {TOKEN}")).status_code == 200


def test_a_window_of_failures_passes() -> None:
    now = 100.0
    failures = FailureLimit(2, 60, clock=lambda: now)
    assert not failures.count("a")
    assert failures.count("a")
    assert failures.wait("a") == 60
    now = 159.5
    assert failures.wait("a") == 1
    now = 160.0
    assert failures.wait("a") == 0
    assert not failures.count("a")


def test_counting_failures_takes_bounded_memory() -> None:
    failures = FailureLimit(2, 60, addresses=100)
    for number in range(10_000):
        failures.count(f"192.0.{number // 250}.{number % 250}")
    assert len(failures._failures) == 100


def test_a_network_of_ipv6_is_counted_as_one_client() -> None:
    failures = FailureLimit(3, 60)
    for number in range(3):
        failures.count(f"2001:db8::{number}")
    assert failures.wait("2001:db8::ffff")
    assert not failures.wait("2001:db8:0:1::1")


@pytest.mark.parametrize("token", [TOKEN, OTHER])
async def test_socket_io_asks_the_same_authenticator(token: str) -> None:
    authenticator = Authenticator({"default": SecretStr(TOKEN), "acme": SecretStr(OTHER)})
    assert (await authenticator.authenticate(token)).tenant_id in {"default", "acme"}


@pytest.mark.parametrize("token", ["", "wrong", "\ud800", 1, True, [TOKEN], {"token": TOKEN}, b"token-of-default"])
async def test_whatever_else_a_socket_sends_as_its_token_is_refused(token: object) -> None:
    with pytest.raises(Unauthorized, match="Invalid access token"):
        await Authenticator({"default": SecretStr(TOKEN)}).authenticate(token)


async def test_socket_io_guesses_are_counted_too() -> None:
    authenticator = Authenticator({"default": SecretStr(TOKEN)}, FailureLimit(2))
    for _ in range(2):
        with pytest.raises(Unauthorized):
            await authenticator.authenticate("wrong", "192.0.2.1")
    with pytest.raises(TooMany):
        await authenticator.authenticate(TOKEN, "192.0.2.1")


async def test_a_websocket_comes_in_with_the_header() -> None:
    sent = await call(guarded(), "/ws", kind="websocket", headers=[("authorization", f"Bearer {TOKEN}")])
    assert sent[0]["type"] == "websocket.accept"
    assert '"tenant_id":"default"' in sent[1]["text"]


async def test_a_browsers_websocket_comes_in_with_the_subprotocol_which_the_application_does_not_see() -> None:
    sent = await call(guarded(), "/ws", kind="websocket", subprotocols=["bearer", TOKEN])
    assert sent[0]["type"] == "websocket.accept"
    assert sent[0]["subprotocol"] == "bearer"
    assert TOKEN not in sent[1]["text"]


@pytest.mark.parametrize(
    "subprotocols", [[], ["bearer"], ["bearer", "wrong"], [TOKEN], ["chat", TOKEN], ["bearer", TOKEN, "x"]]
)
async def test_a_websocket_without_the_token_is_closed_before_it_is_accepted(subprotocols: list[str]) -> None:
    sent = await call(guarded(), "/ws", kind="websocket", subprotocols=subprotocols)
    assert [message["type"] for message in sent] == ["websocket.close"]
    assert sent[0]["code"] == 4401


async def test_a_websocket_with_the_token_in_its_address_is_closed() -> None:
    sent = await call(guarded(), "/ws", kind="websocket", query_string=f"token={TOKEN}".encode())
    assert sent[0]["type"] == "websocket.close"


async def test_socket_io_is_let_through_and_its_neighbours_are_not() -> None:
    assert (await call(guarded(), "/socket.io/"))[0]["status"] == 404  # the small application has no Socket.IO
    assert (await call(guarded(), "/socket.io"))[0]["status"] == 401
    assert (await call(guarded(), "/socket.iox/"))[0]["status"] == 401


async def test_without_authentication_everybody_is_the_local_owner() -> None:
    assert (await get(unguarded())).json()["tenant_id"] == "default"


@pytest.mark.parametrize("host", ["localhost", "localhost:8000", "127.0.0.1:8000", "[::1]:8000", "LOCALHOST"])
async def test_without_authentication_the_loopback_names_are_answered(host: str) -> None:
    assert (await call(unguarded(), "/who", headers=[("host", host)]))[0]["status"] == 200


@pytest.mark.parametrize("kind", ["http", "websocket"])
@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "127.0.0.1.nip.io", "0.0.0.0:8000", "localhost:8000@evil", "x"]
)
async def test_without_authentication_a_rebound_host_name_is_refused(host: str, kind: str) -> None:
    sent = await call(unguarded(), "/ws" if kind == "websocket" else "/", kind=kind, headers=[("host", host)])
    assert sent[0].get("status", sent[0].get("code")) in {403, 4403}


@pytest.mark.parametrize("kind", ["http", "websocket"])
@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        ("http://localhost:8000", True),
        ("http://app.example", True),
        ("http://evil.example", False),
        ("http://localhost:3000", True),
        ("http://127.0.0.1:5173", True),
        ("http://localhost.evil.example:3000", False),
        ("http://localhost:3000.evil.example", False),
        ("null", False),
        ("http://app.example.evil", False),
    ],
)
async def test_without_authentication_another_sites_page_is_refused(origin: str, allowed: bool, kind: str) -> None:
    app = unguarded(cors_origins=["http://app.example/"])
    path = "/ws" if kind == "websocket" else "/who"
    sent = await call(app, path, kind=kind, headers=[("host", "localhost:8000"), ("origin", origin)])
    first = sent[0].get("status", sent[0].get("code", sent[0]["type"]))
    assert first in ({200, "websocket.accept"} if allowed else {403, 4403})


async def test_without_authentication_any_origin_may_be_let_in() -> None:
    headers = [("host", "localhost"), ("origin", "http://anything.example")]
    assert (await call(unguarded(cors_origins=["*"]), "/who", headers=headers))[0]["status"] == 200
