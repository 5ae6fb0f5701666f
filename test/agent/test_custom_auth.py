"""A project's own authentication: who comes in, and what they may do."""

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any
from uuid import uuid4

import pytest
from fastapi import Depends, Request, WebSocket
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from langgraph_sdk import Auth
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route, WebSocketRoute
from starlette.types import ASGIApp

from backend.core.error import Forbidden, InvalidGraph, Refused
from backend.core.graph.project import AuthCacheConfig, AuthConfig, Reference
from backend.dto.principal import Principal
from backend.middleware.custom_auth import CustomAuthMiddleware
from backend.service.access import AccessControl, load_auth
from test.frame.asgi import call, client

CONFIG = AuthConfig(path=Reference(Path("/p/langgraph.json"), '"auth.path"', "./auth.py", "auth"))


async def who(request: Any) -> JSONResponse:
    principal: Principal = request.state.principal
    return JSONResponse(
        {
            "tenant": principal.tenant_id,
            "identity": principal.user_id,
            "permissions": principal.permissions,
            "user": principal.user,
            "starlette": [request.user.identity, request.auth.scopes],
            "body": (await request.body()).decode(),
        }
    )


async def public(request: Any) -> JSONResponse:
    return JSONResponse(getattr(request.state, "principal", None) is None)


async def socket(socket: WebSocket) -> None:
    await socket.accept()
    await socket.send_json(socket.state.principal.user_id)
    await socket.close()


def guarded(handler: Callable[..., Any], config: AuthConfig = CONFIG, **options: Any) -> ASGIApp:
    routes = [Route("/who", who, methods=["GET", "POST"]), Route("/ok", public), WebSocketRoute("/ws", socket)]
    auth = Auth()
    auth.authenticate(handler)
    return CustomAuthMiddleware(Starlette(routes=routes), auth, config, **options)


async def test_a_handler_gets_any_of_the_documented_parameters() -> None:
    seen: dict[str, Any] = {}

    async def handler(
        request: Request,
        body: Any,
        path: str,
        method: str,
        path_params: Any,
        query_params: Any,
        headers: dict[bytes, bytes],
        authorization: str | None,
        user: Any,
        scopes: Any,
        scope: Any,
    ) -> dict[str, Any]:
        seen.update(locals())
        return {"identity": "ada", "permissions": ["read"], "org": "o", "tenant_id": "acme"}

    async with client(guarded(handler)) as http:
        answer = await http.post("/who?a=1", json={"x": [1]}, headers={"Authorization": "Bearer t"})
    assert answer.json() == {
        "tenant": "acme",
        "identity": "ada",
        "permissions": ["read"],
        "user": {
            "identity": "ada",
            "display_name": "ada",
            "is_authenticated": True,
            "permissions": ["read"],
            "org": "o",
            "tenant_id": "acme",
        },
        "starlette": ["ada", ["read"]],
        "body": '{"x":[1]}',
    }
    assert seen["request"].url.path == "/who"
    assert seen["body"] == {"x": [1]}
    assert (seen["path"], seen["method"], seen["path_params"], dict(seen["query_params"])) == (
        "/who",
        "POST",
        {},
        {"a": "1"},
    )
    assert seen["headers"][b"authorization"] == b"Bearer t"
    assert (seen["authorization"], seen["user"], seen["scopes"]) == ("Bearer t", None, [])
    assert seen["scope"]["path"] == "/who"


async def test_a_handler_may_be_synchronous_and_does_not_run_on_the_loop() -> None:
    def handler(authorization: str | None) -> str:
        return f"{authorization} {threading.current_thread() is threading.main_thread()}"

    async with client(guarded(handler)) as http:
        answer = await http.get("/who", headers={"Authorization": "ada"})
    assert (answer.json()["identity"], answer.json()["tenant"]) == ("ada False", "default")


@pytest.mark.parametrize("tenant", ["../etc", "Ünï", "a" * 64, "", None, 5, ["acme"]])
async def test_what_is_no_tenants_name_does_not_choose_a_tenant(tenant: Any) -> None:
    async with client(guarded(lambda: {"identity": "ada", "tenant_id": tenant})) as http:
        assert (await http.get("/who")).json()["tenant"] == "default"


async def test_a_handler_may_depend_on_functions_as_routes_of_fastapi_do() -> None:
    calls = []

    def database() -> str:
        calls.append("database")
        return "db"

    async def token(
        bearer: Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())], store: str = Depends(database)
    ) -> str:
        return f"{bearer.credentials} of {store}"

    async def handler(token: str = Depends(token), store: str = Depends(database)) -> str:
        return token

    async with client(guarded(handler)) as http:
        answer = await http.get("/who", headers={"Authorization": "Bearer ada"})
        assert answer.json()["identity"] == "ada of db"
        assert calls == ["database"]
        assert (await http.get("/who")).status_code in {401, 403}


def test_a_handler_that_takes_something_else_is_refused_at_the_start() -> None:
    with pytest.raises(InvalidGraph, match=r'"auth.path" \(\./auth\.py:auth\): a handler cannot take \'token\''):
        guarded(lambda token: token)


async def test_a_refusal_has_the_handlers_status_sentence_and_headers() -> None:
    async def handler() -> str:
        raise Auth.exceptions.HTTPException(status_code=402, detail="pay first", headers={"X-Why": "money"})

    async with client(guarded(handler)) as http:
        answer = await http.get("/who")
    assert (answer.status_code, answer.json()["detail"], answer.headers["x-why"]) == (402, "pay first", "money")


@pytest.mark.parametrize("said", [None, {}, {"identity": ""}, {"identity": 5}, {"permissions": []}, object()])
async def test_an_answer_without_an_identity_lets_nobody_in(said: Any) -> None:
    async with client(guarded(lambda: said)) as http:
        assert (await http.get("/who")).status_code == 400


async def test_a_handler_that_fails_lets_nobody_in() -> None:
    async def handler() -> str:
        raise RuntimeError("secret")

    with pytest.raises(RuntimeError):  # the outermost middleware makes a bare 500 of it
        await call(guarded(handler), "/who")


async def test_public_paths_need_nobody_and_only_they() -> None:
    async def handler() -> str:
        raise Auth.exceptions.HTTPException()

    async with client(guarded(handler)) as http:
        assert (await http.get("/ok")).json() is True
        for path in ("/who", "/ok/", "/nothing", "/socket.io/"):
            assert (await http.get(path)).status_code == 401


async def test_a_websocket_passes_the_same_door_but_not_a_handler_that_takes_the_request() -> None:
    async def handler(authorization: str | None, method: str) -> str:
        if authorization is None:
            raise Auth.exceptions.HTTPException(status_code=401)
        return f"{authorization} {method}"

    async def with_request(request: Request) -> str:
        return "ada"

    app = guarded(handler)
    sent = await call(app, "/ws", kind="websocket", headers=[("authorization", "ada")])
    assert [message["type"] for message in sent] == ["websocket.accept", "websocket.send", "websocket.close"]
    assert sent[1]["text"] == '"ada WEBSOCKET"'
    refused = await call(app, "/ws", kind="websocket")
    assert [(message["type"], message["code"]) for message in refused] == [("websocket.close", 4401)]
    refused = await call(guarded(with_request), "/ws", kind="websocket")
    assert [(message["type"], message["code"]) for message in refused] == [("websocket.close", 4403)]


async def test_an_answer_is_kept_for_a_while_for_the_same_headers() -> None:
    asked: list[str | None] = []
    now = [0.0]

    async def handler(authorization: str | None) -> str:
        asked.append(authorization)
        return f"user of {authorization}"

    cache = AuthCacheConfig(cache_keys=("Authorization",), ttl_seconds=10, max_size=2)
    app = guarded(handler, AuthConfig(path=CONFIG.path, cache=cache), clock=lambda: now[0])
    async with client(app) as http:

        async def ask(token: str | None) -> str:
            headers = {} if token is None else {"Authorization": token}
            return str((await http.get("/who", headers=headers)).json()["identity"])

        for _ in range(3):
            assert await ask("a") == "user of a"
        assert asked == ["a"]
        now[0] = 11
        await ask("a")
        assert asked == ["a", "a"]
        for token in ("b", "c", "a"):  # the third of two pushed the first out
            assert await ask(token) == f"user of {token}"
        assert asked == ["a", "a", "b", "c", "a"]
        for _ in range(2):  # without any of the headers nothing tells one caller from another
            await ask(None)
        assert asked[-2:] == [None, None]


async def test_studio_comes_in_on_a_loopback_name_of_a_development_server_alone() -> None:
    async def handler() -> str:
        raise Auth.exceptions.HTTPException()

    studio = {"x-auth-scheme": "langsmith"}
    off = AuthConfig(path=CONFIG.path, disable_studio_auth=True)
    for app, host, status in (
        (guarded(handler, studio=True), "localhost:8000", 200),
        (guarded(handler, studio=True), "evil.example", 401),
        (guarded(handler), "localhost", 401),
        (guarded(handler, off, studio=True), "localhost", 401),
    ):
        async with client(app, host=host) as http:
            answer = await http.get("/who", headers=studio)
            assert answer.status_code == status
            if status == 200:
                assert answer.json()["user"]["kind"] == "StudioUser"
    auth = Auth()

    @auth.on
    async def only_studio(ctx: Any, value: Any) -> bool:
        return isinstance(ctx.user, Auth.types.StudioUser)

    access = AccessControl(auth)
    studio_user = Principal("default", "s", user={"identity": "s", "kind": "StudioUser"})
    assert await access.check(studio_user, "threads", "read", {}) is None
    with pytest.raises(Forbidden):
        await access.check(ADA, "threads", "read", {})


ADA = Principal("default", "ada", user={"identity": "ada", "org": "o"}, permissions=("threads:read",))


async def test_the_most_specific_handler_is_asked_and_no_other() -> None:
    auth = Auth()
    asked = []

    def handler(name: str) -> Callable[..., Any]:
        async def handle(ctx: Any, value: Any) -> None:
            asked.append(name)

        return handle

    auth.on(handler("all"))
    auth.on(actions="delete")(handler("delete"))
    auth.on.threads(handler("threads"))
    auth.on.threads.read(handler("threads.read"))
    auth.on.store(actions=["put"])(handler("store.put"))
    access = AccessControl(auth)
    for resource, action in (
        ("threads", "read"),
        ("threads", "delete"),
        ("threads", "create_run"),
        ("assistants", "delete"),
        ("assistants", "read"),
        ("store", "put"),
        ("store", "get"),
    ):
        assert await access.check(ADA, resource, action, {}) is None
    assert asked == ["threads.read", "threads", "threads", "delete", "all", "store.put", "all"]


async def test_a_handler_sees_who_asks_and_may_change_what_is_asked() -> None:
    auth = Auth()

    @auth.on
    async def stamp(ctx: Any, value: Any) -> dict[str, str]:
        assert (ctx.resource, ctx.action, ctx.permissions) == ("threads", "create", ["threads:read"])
        assert (ctx.user.identity, ctx.user["org"], ctx.user.org, "org" in ctx.user) == ("ada", "o", "o", True)
        assert (ctx.user.is_authenticated, ctx.user.display_name) == (True, "ada")
        value.setdefault("metadata", {})["owner"] = ctx.user.identity
        return {"owner": ctx.user.identity}

    value: dict[str, Any] = {"thread_id": uuid4()}
    assert await AccessControl(auth).check(ADA, "threads", "create", value) == {"owner": "ada"}
    assert value["metadata"] == {"owner": "ada"}


@pytest.mark.parametrize(
    ("result", "allowed"),
    [
        (None, None),
        (True, None),
        ({}, None),
        ({"owner": "ada"}, {"owner": "ada"}),
        ({"owner": {"$eq": "ada"}, "tags": {"$contains": ["a", "b"]}}, ...),
    ],
)
async def test_what_a_handler_returns_allows(result: Any, allowed: Any) -> None:
    assert await AccessControl(always(result)).check(ADA, "threads", "read", {}) == (
        result if allowed is ... else allowed
    )


def always(result: Any) -> Auth:
    auth = Auth()

    @auth.on
    async def handler(ctx: Any, value: Any) -> Any:
        if isinstance(result, Exception):
            raise result
        return result

    return auth


@pytest.mark.parametrize(
    ("result", "error", "sentence"),
    [
        (False, Forbidden, "Forbidden"),
        (AssertionError("not yours"), Forbidden, "not yours"),
        (AssertionError(), Forbidden, "Forbidden"),
        (Auth.exceptions.HTTPException(status_code=404, detail="hidden"), Refused, "hidden"),
        (RuntimeError("a bug"), RuntimeError, "a bug"),
        ("owner", TypeError, "which is no filter"),
        (5, TypeError, "which is no filter"),
        (["owner"], TypeError, "which is no filter"),
        ({"owner": {"$ne": "ada"}}, ValueError, "no filter '\\$ne'"),
    ],
)
async def test_what_a_handler_returns_or_raises_refuses(result: Any, error: type[Exception], sentence: str) -> None:
    with pytest.raises(error, match=sentence) as caught:
        await AccessControl(always(result)).check(ADA, "threads", "read", {})
    if isinstance(caught.value, Refused):
        assert caught.value.status == 404


async def test_without_handlers_nobody_is_asked_and_the_process_itself_may_do_everything() -> None:
    assert not AccessControl(None).enabled
    assert await AccessControl(None).check(ADA, "threads", "read", {}) is None
    access = AccessControl(always(False))
    assert access.enabled
    assert await access.check(Principal("default", "loopback"), "threads", "read", {}) is None


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        ("auth = 5", "is int, not a langgraph_sdk.Auth"),
        ("from langgraph_sdk import Auth\nauth = Auth()", "has no @auth.authenticate handler"),
        ("", "there is no such name"),
        ("raise RuntimeError('x')", "cannot be imported: RuntimeError: x"),
    ],
)
async def test_an_auth_that_cannot_be_used_stops_the_start(tmp_path: Path, code: str, sentence: str) -> None:
    (tmp_path / "auth.py").write_text(code)
    config = AuthConfig(path=Reference(tmp_path / "langgraph.json", '"auth.path"', "./auth.py", "auth"))
    with pytest.raises(InvalidGraph, match=sentence):
        await asyncio.to_thread(load_auth, config)
