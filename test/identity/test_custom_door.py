"""Tenants and permissions where a project brings its own authentication, and where there is none."""

from pathlib import Path
from typing import Any

from langgraph_sdk import Auth

from backend.core.graph.project import AuthConfig, Reference
from backend.dto.principal import Principal
from backend.middleware.auth import BearerTokenAuthMiddleware
from backend.middleware.custom_auth import CustomAuthMiddleware
from backend.middleware.tracking import TrackingMiddleware
from backend.service.auth import Authenticator
from test.frame.asgi import call, client
from test.identity.conftest import OPERATOR, House

CONFIG = AuthConfig(path=Reference(Path("langgraph.json"), "auth.path", "auth.py", "auth"))


def guarded(house: House) -> Any:
    auth = Auth()

    @auth.authenticate
    async def who(authorization: str | None) -> dict[str, Any]:
        return {"identity": "ada", "tenant_id": authorization or "default"}

    return TrackingMiddleware(CustomAuthMiddleware(house.routes, auth, CONFIG, admit=house.tenants.admit))


async def test_a_projects_own_users_may_all_but_operate_the_server(home: House) -> None:
    async with client(guarded(home)) as http:
        for path in ("/api/v1/users", "/api/v1/tickets", "/setup/freshdesk", "/nowhere/in/the/table"):
            assert (await http.get(path, headers={"Authorization": "acme"})).status_code == 200
        for method, path in (("GET", "/api/v1/tenants"), ("POST", "/api/v1/tenants/other/suspend")):
            assert (await http.request(method, path, headers={"Authorization": "acme"})).status_code == 403


async def test_a_suspended_tenant_is_out_and_one_that_nobody_made_is_in(home: House) -> None:
    await home.ask("POST", "/api/v1/tenants/acme/suspend", OPERATOR)
    async with client(guarded(home)) as http:
        codes = {}
        for tenant in ("acme", "other", "never-made"):
            codes[tenant] = (await http.get("/api/v1/tickets", headers={"Authorization": tenant})).status_code
    assert codes == {"acme": 403, "other": 200, "never-made": 200}


async def test_without_authentication_the_local_user_operates_the_server_too(home: House) -> None:
    app = BearerTokenAuthMiddleware(home.routes, Authenticator(None, tenants=home.tenants))
    async with client(app) as http:
        me = (await http.get("/api/v1/auth/me")).json()
        assert (me["user_id"], "operate" in me["scopes"], "admin" in me["scopes"]) == ("local", True, True)
        assert (await http.get("/api/v1/tenants")).json()["total"] == 3


async def test_a_route_that_a_project_adds_is_for_who_may_chat(home: House) -> None:
    async def seen(scope: Any, receive: Any, send: Any) -> None:
        del receive
        principal: Principal = scope["state"]["principal"]
        await send({"type": "http.response.start", "status": 200, "headers": [(b"x", principal.user_id.encode())]})
        await send({"type": "http.response.body"})

    app = BearerTokenAuthMiddleware(seen, home.authenticator)
    codes = {}
    for role in ("viewer", "agent"):
        headers = [("authorization", f"Bearer {(await home.login_of(role))['access_token']}")]
        for path in ("/added", "/api/v1/users"):
            sent = await call(app, path, headers=headers, state={"custom_route": True})
            codes[role, path] = sent[0]["status"]
    assert codes == {
        ("viewer", "/added"): 403,
        ("agent", "/added"): 200,
        ("viewer", "/api/v1/users"): 403,
        ("agent", "/api/v1/users"): 403,
    }
