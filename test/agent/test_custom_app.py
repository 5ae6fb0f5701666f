"""What a project's `http` section makes of the server, and how the server calls itself."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request, Response
from fastapi.responses import StreamingResponse
from langgraph_sdk import Auth, get_client
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backend.api.agent.custom_app import CustomApp, compose, cors_options, describe, groups, prefixed
from backend.core.error import InvalidGraph
from backend.core.graph.project import AuthConfig, CorsConfig, HeaderConfig, HttpConfig, OpenApiConfig, Reference
from backend.core.loopback import NOBODY, acting_as, close_loopback, install_loopback, open_loopback
from backend.dto.principal import Principal
from backend.middleware.custom_auth import CustomAuthMiddleware
from backend.service.run_header import configurable_headers
from test.frame.asgi import call, client, logged

WHERE = Reference(Path("/p/langgraph.json"), '"http.app"', "./web.py", "app")


def core_app() -> FastAPI:
    app = FastAPI(openapi_url=None)

    @app.api_route("/{path:path}", methods=["GET", "POST"])
    async def everything(path: str, request: Request) -> dict[str, Any]:
        principal = getattr(request.state, "principal", None)
        return {"core": path, "who": principal and principal.user_id}

    return app


class Stamp:
    """A middleware of the project's own, which leaves a header on what passes it."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def stamped(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"x-stamp", b"1")]
            await send(message)

        await self.app(scope, receive, stamped)


def own_app(**options: Any) -> FastAPI:
    app = FastAPI(title="mine", **options)
    app.add_middleware(Stamp)

    @app.get("/mine/{name}")
    async def mine(name: str, request: Request) -> dict[str, Any]:
        """Say who asks."""
        principal = getattr(request.state, "principal", None)
        return {"mine": name, "who": principal and principal.user_id}

    @app.get("/threads/search")
    async def search() -> str:
        return "mine"

    @app.get("/ok")
    async def ok() -> str:
        return "mine"

    return app


def door(app: ASGIApp) -> ASGIApp:
    auth = Auth()

    @auth.authenticate
    async def handler(authorization: str | None) -> str:
        if authorization is None:
            raise Auth.exceptions.HTTPException(status_code=401)
        return authorization

    return CustomAuthMiddleware(app, auth, AuthConfig(path=WHERE))


def whole(http: HttpConfig | None = None, custom: Starlette | None = None) -> ASGIApp:
    http = http or HttpConfig()
    return prefixed(compose(core_app(), http, None if custom is None else CustomApp(custom), door), http)


ADA = {"Authorization": "ada"}


async def test_a_projects_routes_come_first_and_the_core_has_the_rest() -> None:
    async with client(whole(custom=own_app())) as http:
        assert (await http.get("/mine/a")).json() == {"mine": "a", "who": None}
        assert (await http.get("/threads/search", headers=ADA)).json() == "mine"
        # Of another method than theirs the route is ours still; what probes ask for and our documentation stay ours.
        assert (await http.post("/threads/search", headers=ADA)).json() == {"core": "threads/search", "who": "ada"}
        for path in ("ok", "docs", "openapi.json"):
            assert (await http.get(f"/{path}", headers=ADA)).json()["core"] == path
        assert (await http.get("/threads")).status_code == 401


async def test_a_projects_routes_may_be_mounted_and_included() -> None:
    from fastapi import APIRouter

    router = APIRouter(prefix="/inner")

    @router.get("/a")
    async def a() -> str:
        return "a"

    app = own_app()
    app.include_router(router)
    app.mount("/static", Starlette(routes=[Route("/file", lambda request: JSONResponse("file"))]))
    async with client(whole(custom=app)) as http:
        assert (await http.get("/inner/a")).json() == "a"
        assert (await http.get("/static/file")).json() == "file"


@pytest.mark.parametrize("order", ["middleware_first", "auth_first"])
async def test_a_projects_middlewares_stand_around_the_core_before_or_behind_the_door(order: Any) -> None:
    async with client(whole(HttpConfig(middleware_order=order), own_app())) as http:
        assert "x-stamp" in (await http.get("/threads", headers=ADA)).headers
        assert "x-stamp" in (await http.get("/mine/a")).headers
        refused = await http.get("/threads")
        assert (refused.status_code, "x-stamp" in refused.headers) == (401, order == "middleware_first")


@pytest.mark.parametrize("order", ["middleware_first", "auth_first"])
async def test_a_projects_routes_pass_the_door_when_they_are_to(order: Any) -> None:
    app = own_app()

    @app.get("/")
    async def front(request: Request) -> str:
        return str(request.state.principal.user_id)

    http_config = HttpConfig(middleware_order=order, enable_custom_route_auth=True)
    async with client(whole(http_config, app)) as http:
        assert (await http.get("/mine/a")).status_code == 401
        assert (await http.get("/mine/a", headers=ADA)).json() == {"mine": "a", "who": "ada"}
        # A path that is public as long as it is ours.
        assert (await http.get("/")).status_code == 401
        assert (await http.get("/", headers=ADA)).json() == "ada"


async def test_a_project_is_started_up_and_shut_down_with_the_server() -> None:
    seen: list[str] = []

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        seen.append("up")
        yield
        seen.append("down")

    async with CustomApp(own_app(lifespan=lifespan)).lifespan():
        assert seen == ["up"]
    assert seen == ["up", "down"]


def test_an_app_that_is_none_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "web.py").write_text("app = 5")
    config = HttpConfig(app=Reference(tmp_path / "langgraph.json", '"http.app"', "./web.py", "app"))
    with pytest.raises(InvalidGraph, match="is int, not a Starlette or FastAPI application"):
        CustomApp.load(config)
    assert CustomApp.load(HttpConfig()) is None


THREAD = "threads/01a1fe1f-6734-75b5-8970-1f561f97afca"


@pytest.mark.parametrize(
    ("switch", "gone", "there"),
    [
        ("disable_assistants", ["assistants", "assistants/search"], ["threads", "api/v1/assistants"]),
        (
            "disable_threads",
            ["threads", "threads/search", THREAD, f"{THREAD}/state", f"{THREAD}/stream"],
            [f"{THREAD}/runs", f"{THREAD}/runs/wait", f"{THREAD}/commands", "runs", "api/v1/threads"],
        ),
        (
            "disable_runs",
            ["runs", "runs/wait", "runs/crons/search", f"{THREAD}/runs", f"{THREAD}/runs/x/join", f"{THREAD}/commands"],
            [THREAD, f"{THREAD}/state"],
        ),
        ("disable_store", ["store/items", "store/namespaces"], ["threads"]),
        ("disable_mcp", ["mcp"], ["a2a/x"]),
        ("disable_a2a", ["a2a/x", ".well-known/agent-card.json"], ["mcp"]),
        ("disable_meta", ["info", "metrics", "docs", "openapi.json"], ["ok"]),
        ("disable_event_streaming", [f"{THREAD}/stream/events", f"{THREAD}/commands"], [f"{THREAD}/stream"]),
    ],
)
async def test_a_group_of_routes_can_be_switched_off(switch: str, gone: list[str], there: list[str]) -> None:
    switches: dict[str, Any] = {switch: True}
    async with client(whole(HttpConfig(**switches)), headers=ADA) as http:
        for path in gone:
            answer = await http.post(f"/{path}")
            assert (answer.status_code, answer.json()) == (404, {"detail": "Not Found"}), path
        for path in there:
            assert (await http.post(f"/{path}")).status_code == 200, path


async def test_a_websocket_of_a_switched_off_group_is_closed() -> None:
    app = whole(HttpConfig(disable_event_streaming=True))
    headers = [("authorization", "ada")]
    sent = await call(app, f"/{THREAD}/stream/events", kind="websocket", headers=headers)
    assert [(message["type"], message["code"]) for message in sent] == [("websocket.close", 4404)]


def test_paths_of_the_house_belong_to_no_group() -> None:
    assert [groups(path) for path in ("/api/v1/threads", "/", "/health/live", "/v1/models", "/threadsX")] == [set()] * 5


async def test_a_prefix_moves_the_agent_server_api_and_the_projects_routes() -> None:
    app = whole(HttpConfig(mount_prefix="/pre", disable_store=True), own_app())
    async with client(app, headers=ADA) as http:
        assert (await http.get("/pre/threads")).json() == {"core": "threads", "who": "ada"}
        assert (await http.get("/pre/mine/a")).json()["mine"] == "a"
        assert (await http.get("/pre/store/items")).status_code == 404
        for path in ("/threads", "/mine/a", "/prefix/threads", "/pre", "/pre/pre/store/items", "/openapi.json"):
            assert (await http.get(path)).status_code == 404, path
        for path in ("/ok", "/metrics", "/health/ready", "/api/v1/threads", "/"):
            assert (await http.get(path)).status_code == 200, path
    async with client(app) as http:
        assert (await http.get("/pre/ok")).status_code == 200
        assert (await http.get("/pre/threads")).status_code == 401


@pytest.mark.parametrize(
    ("config", "seen"),
    [
        (HeaderConfig(), {"x-foo", "user-agent", "x-secret-a"}),
        (HeaderConfig(includes=("my-*", "Authorization", "x-api-key")), {"my-a"}),
        (HeaderConfig(excludes=("X-Secret*",)), {"x-foo", "user-agent"}),
        (HeaderConfig(includes=("*",), excludes=("my-*", "accept")), {"x-foo", "user-agent", "x-secret-a"}),
        (HeaderConfig(includes=("*-foo", "user-*"), excludes=("x-f[o]o",)), {"x-foo", "user-agent"}),
        (HeaderConfig(includes=("x-", "foo")), set()),
        (HeaderConfig(includes=()), set()),
    ],
)
def test_a_run_sees_the_headers_that_it_may(config: HeaderConfig, seen: set[str]) -> None:
    secret = {"Authorization": "t", "x-api-key": "k", "x-tenant-id": "t", "x-service-key": "s"}
    sent = {"X-Foo": "1", "my-a": "2", "user-agent": "u", "accept": "*", "x-secret-a": "3"}
    found = configurable_headers(Headers(secret | sent), config)
    assert set(found) == seen
    assert found.get("x-foo", "1") == "1"


async def test_pages_of_the_origins_that_are_named_may_call() -> None:
    assert cors_options(None, (), ()) is None
    options = cors_options(CorsConfig(allow_origins=("https://a.example",)), ("https://b.example",), ("X-Run-ID",))
    assert options is not None
    async with client(CORSMiddleware(whole(), **options)) as http:
        preflight = {"Origin": "https://a.example", "Access-Control-Request-Method": "PATCH"}
        asked = {"Access-Control-Request-Headers": "x-auth-scheme", "Access-Control-Request-Private-Network": "true"}
        answer = await http.options("/threads", headers=preflight | asked)
        assert answer.status_code == 200
        assert answer.headers["access-control-allow-origin"] == "https://a.example"
        assert answer.headers["access-control-allow-private-network"] == "true"
        answer = await http.options("/threads", headers=preflight | {"Origin": "https://b.example"})
        assert answer.status_code == 400
        answer = await http.get("/ok", headers={"Origin": "https://a.example"})
        assert answer.headers["access-control-expose-headers"] == "X-Run-ID"


def test_the_openapi_document_has_a_projects_routes_and_its_authentication() -> None:
    ours: dict[str, Any] = {
        "openapi": "3.1.0",
        "paths": {"/threads": {"post": {"summary": "s"}}},
        "components": {"schemas": {"A": 1}},
    }
    auth = OpenApiConfig(
        securitySchemes={"Key": {"type": "apiKey", "in": "header", "name": "k"}},
        security=({"Key": []},),
        paths={"/threads": {"POST": [{"Key": ["x"]}]}, "/nowhere": {"GET": []}},
    )
    made = describe(ours, CustomApp(own_app()), auth)
    assert made["paths"]["/threads"]["post"] == {"summary": "s", "security": [{"Key": ["x"]}]}
    assert made["paths"]["/mine/{name}"]["get"]["description"] == "Say who asks."
    assert made["components"]["schemas"]["A"] == 1
    assert made["components"]["securitySchemes"]["Key"]["name"] == "k"
    assert made["security"] == [{"Key": []}]
    assert "/nowhere" not in made["paths"]
    assert "security" not in ours["paths"]["/threads"]["post"]
    plain = Starlette(routes=[Route("/plain/{x:int}", lambda request: Response()), Mount("/m", Starlette())])
    assert describe(ours, CustomApp(plain), None)["paths"]["/plain/{x}"].keys() == {"get", "head"}


# The client without an address.

RUNNING: ContextVar[str] = ContextVar("running", default="")


def called() -> FastAPI:
    app = FastAPI()

    @app.post("/threads")
    async def create(request: Request) -> dict[str, Any]:
        principal = request.state.principal
        return {"thread_id": principal.user_id, "tenant": principal.tenant_id, "seen": RUNNING.get()}

    @app.get("/slow")
    async def slow(request: Request) -> Response:
        async def parts() -> AsyncIterator[bytes]:
            yield b"event: one\r\ndata: 1\r\n\r\n"
            await request.app.state.go.wait()
            yield b"event: two\r\ndata: 2\r\n\r\n"

        async def watched() -> AsyncIterator[bytes]:
            try:
                async for part in parts():
                    yield part
            finally:
                request.app.state.left.set()

        return StreamingResponse(watched(), media_type="text/event-stream")

    @app.get("/broken")
    async def broken() -> None:
        raise RuntimeError("broken")

    return app


@pytest.fixture
async def inside() -> AsyncIterator[FastAPI]:
    """An application that the clients of this process reach, all of it behind the door."""
    install_loopback()
    app = called()
    app.state.go, app.state.left = asyncio.Event(), asyncio.Event()
    target = compose(app, HttpConfig(), None, door)
    open_loopback(target)
    yield app
    close_loopback(target)


async def test_a_client_without_an_address_calls_in_the_name_of_the_run(inside: FastAPI) -> None:
    async with get_client() as sdk:
        assert (await sdk.threads.create())["thread_id"] == NOBODY.user_id
        RUNNING.set("a graph")
        with acting_as(Principal("acme", "ada", user={"identity": "ada"})):
            made: Any = await sdk.threads.create()
        # Nothing of the run that calls is seen by what it calls: LangGraph would take one for a part of the other.
        assert made == {"thread_id": "ada", "tenant": "acme", "seen": ""}


async def test_a_client_that_is_older_than_the_server_finds_it() -> None:
    install_loopback()
    sdk = get_client()
    with pytest.raises(httpx.ConnectError, match="No server is open"):
        await sdk.threads.create()
    app = called()
    open_loopback(app)
    try:
        assert (await sdk.threads.create())["thread_id"] == NOBODY.user_id
    finally:
        close_loopback(app)


async def test_a_stream_comes_as_it_is_made_and_ends_when_its_reader_leaves(inside: FastAPI) -> None:
    async with get_client() as sdk, asyncio.timeout(60):
        async with sdk.http.client.stream("GET", "/slow") as answer:
            parts = answer.aiter_bytes()
            assert b"one" in await anext(parts)
            assert not inside.state.go.is_set()
            inside.state.go.set()
            assert b"two" in await anext(parts)
        inside.state.left.clear()
        inside.state.go.clear()
        async with sdk.http.client.stream("GET", "/slow") as answer:
            assert b"one" in await anext(answer.aiter_bytes())
        await inside.state.left.wait()


async def test_a_synchronous_node_may_call_from_a_loop_of_its_own(inside: FastAPI) -> None:
    async def call_in() -> Any:
        async with get_client() as sdk:
            return await sdk.threads.create()

    with acting_as(Principal("acme", "bob")):
        made = await asyncio.to_thread(lambda: asyncio.run(call_in()))
    assert (made["thread_id"], made["tenant"]) == ("bob", "acme")


async def test_a_failure_within_is_answered_as_on_the_wire_and_logged(inside: FastAPI) -> None:
    with logged("ERROR") as records:
        async with get_client() as sdk:
            assert (await sdk.http.client.get("/broken")).status_code == 500
    assert [record["message"] for record in records] == ["a call within the process failed after its answer"]


async def test_nothing_on_the_wire_can_say_that_it_comes_from_within() -> None:
    async with client(whole()) as http:
        for headers in ({"loopback": "true"}, {"x-loopback": "true"}, {"host": "api"}):
            assert (await http.get("/threads", headers=headers)).status_code == 401
        assert (await http.get("/noauth/threads")).status_code == 401


async def test_middleware_of_the_project_is_made_only_once(inside: FastAPI) -> None:
    made: list[int] = []

    class Counted(Stamp):
        def __init__(self, app: ASGIApp) -> None:
            super().__init__(app)
            made.append(1)

    async with client(whole(custom=Starlette(middleware=[Middleware(Counted)]))) as http:
        for _ in range(3):
            await http.get("/threads", headers=ADA)
    assert made == [1]
