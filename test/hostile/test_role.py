"""Every role and every narrow key at every route; and whom it still lets in when it was taken back."""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from types import SimpleNamespace
from typing import Any

import httpx
import orjson
import pytest
import socketio
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from backend.core.error import Forbidden
from backend.dto.principal import Principal
from backend.dto.run import RunRequest
from backend.service.admission import Admission
from test.hostile.target import OPERATOR, Target, refused
from test.hostile.test_tenant_matrix import BODIES, kinds_of

NOBODY = "00000000-0000-4000-8000-000000000000"
TENANT = "rolls"
PASSWORD = "correct horse battery"
ALL = frozenset({"chat", "knowledge:read", "knowledge:write", "tickets:read", "tickets:write", "sync", "admin"})
MAY: dict[str, frozenset[str]] = {
    "viewer": frozenset({"knowledge:read", "tickets:read"}),
    "agent": frozenset({"chat", "knowledge:read", "tickets:read", "tickets:write"}),
    "admin": ALL,
    "owner": ALL,
    "operator": ALL | {"operate"},
    **{f"key of {scope}": frozenset({scope}) for scope in sorted(ALL)},
}
"""Roles of people, the operator, and API keys of one scope, with what each may."""
ANYBODY = ("/api/v1/usage/me", "/api/v1/users/me", "/api/v1/auth/", "/metrics", "/.well-known/")
AREAS: tuple[tuple[tuple[str, ...], str, str], ...] = (
    (("/api/v1/tenants",), "operate", "operate"),
    (("/api/v1/tenant", "/api/v1/users", "/api/v1/api-keys", "/api/v1/audit"), "admin", "admin"),
    (("/api/v1/request-log", "/api/v1/usage"), "admin", "admin"),
    (("/setup/", "/api/v1/sync/"), "sync", "sync"),
    (("/api/v1/tickets/search",), "tickets:read", "tickets:read"),
    (("/api/v1/tickets", "/api/v1/conversations", "/api/v1/articles"), "tickets:read", "tickets:write"),
    (("/api/v1/objects", "/api/v1/attachments", "/api/v1/summaries"), "tickets:read", "tickets:write"),
    (("/api/v1/drafts", "/api/v1/feedback"), "tickets:read", "tickets:write"),
    (("/api/v1/knowledge/search",), "knowledge:read", "knowledge:read"),
    (("/api/v1/knowledge", "/api/v1/citations", "/api/v1/files"), "knowledge:read", "knowledge:write"),
    (("/api/v1/graph", "/rag/"), "knowledge:read", "knowledge:write"),
    (("/",), "chat", "chat"),
)
"""Beginnings of paths with what reading and what changing needs; the first that fits."""


def needed(method: str, path: str) -> str | None:
    if path.startswith(ANYBODY):
        return None
    reading, changing = next(area[1:] for area in AREAS if path.startswith(area[0]))
    return reading if method in {"GET", "HEAD"} else changing


@pytest.fixture(scope="module")
def tokens(attacked_server: Target) -> dict[str, str]:
    """What each comes in with."""
    found = {"operator": OPERATOR}
    with ExitStack() as stack:
        operator = stack.enter_context(attacked_server.client(OPERATOR))
        owner = {"email": "owner@rolls.example", "password": PASSWORD}
        made = operator.post("/api/v1/tenants", json={"tenant_id": TENANT, "owner": owner})
        assert made.status_code == 201, made.text
        nobody = stack.enter_context(attacked_server.client(None, address=attacked_server.stranger()))

        def log_in(email: str) -> str:
            login = {"tenant_id": TENANT, "email": email, "password": PASSWORD}
            answer = nobody.post("/api/v1/auth/login", json=login)
            assert answer.status_code == 200, answer.text
            return str(answer.json()["access_token"])

        found["owner"] = log_in("owner@rolls.example")
        boss = stack.enter_context(attacked_server.client(found["owner"]))
        for role in ("viewer", "agent", "admin"):
            user = {"email": f"{role}@rolls.example", "role": role, "password": PASSWORD}
            assert boss.post("/api/v1/users", json=user).status_code == 201
            found[role] = log_in(f"{role}@rolls.example")
        for scope in sorted(ALL):
            found[f"key of {scope}"] = make_key(boss, scope)["api_key"]
    return found


def make_key(client: httpx.Client, *scopes: str) -> Any:
    made = client.post("/api/v1/api-keys", json={"name": "narrow", "scopes": scopes})
    assert made.status_code == 201, made.text
    return made.json()


@pytest.fixture
def boss(target: Target, tokens: dict[str, str]) -> Iterator[httpx.Client]:
    with target.client(tokens["owner"]) as client:
        yield client


@pytest.mark.parametrize("who", MAY)
def test_each_route_opens_to_those_who_may_and_to_nobody_else(target: Target, tokens: dict[str, str], who: str) -> None:
    """Without a body and with ids that nobody has, so that what is open changes nothing."""
    with target.client(tokens[who]) as client:
        for method, template in BODIES:
            if method == "WEBSOCKET" or template == "/api/v1/auth/logout-all" or "webhook/{" in template:
                continue
            values = dict.fromkeys(kinds_of(template), NOBODY) | {"platform": "nowhere", "tenant_id": "nobody-here"}
            answer = client.request(method, template.format(**values))
            scope = needed(method, template)
            if scope is None or scope in MAY[who]:
                assert answer.status_code not in {401, 403}, (method, template, answer.text)
                assert answer.status_code < 500, (method, template, answer.text)
            else:
                refused(answer, 403)


async def test_sockets_open_to_those_who_may_chat(target: Target, tokens: dict[str, str]) -> None:
    for who, may in MAY.items():
        headers = {"Authorization": f"Bearer {tokens[who]}"}
        client = socketio.AsyncClient(reconnection=False)
        if "chat" in may:
            async with connect(target.ws_url, additional_headers=headers):
                pass
            await client.connect(target.url, auth={"token": tokens[who]}, transports=["websocket"])
            await client.disconnect()
        else:
            with pytest.raises(InvalidStatus):
                await connect(target.ws_url, additional_headers=headers)
            with pytest.raises(socketio.exceptions.ConnectionError):
                await client.connect(target.url, auth={"token": tokens[who]}, transports=["websocket"])


CASES = (
    ("/api/v1/chat", {"message": "ticket 1", "agent": "AGENT", "model": "extractive"}),
    ("/api/v1/chat", {"message": "ticket 1", "agent": "AGENT", "model": "extractive", "keep": False}),
    ("/api/v1/chat/stream", {"message": "ticket 1", "agent": "AGENT", "model": "extractive"}),
    ("/api/chat", {"messages": [{"role": "user", "content": "ticket 1"}], "agent": "AGENT"}),
    ("/api/chat/stream", {"messages": [{"role": "user", "content": "ticket 1"}], "agent": "AGENT"}),
    ("/v1/chat/completions", {"model": "AGENT:extractive", "messages": [{"role": "user", "content": "ticket 1"}]}),
    ("/runs/wait", {"assistant_id": "AGENT", "input": {"ticket_id": "1"}}),
    ("/runs/stream", {"assistant_id": "AGENT", "input": {"ticket_id": "1"}}),
    ("/runs", {"assistant_id": "AGENT", "input": {"ticket_id": "1"}}),
)


@pytest.mark.parametrize("agent", ["copilot", "summary"])
def test_a_key_for_chatting_does_not_reach_tickets_by_way_of_an_agent(
    target: Target, tokens: dict[str, str], agent: str
) -> None:
    with target.client(tokens["key of chat"]) as client:
        for path, body in CASES:
            refused(client.post(path, json=orjson.loads(orjson.dumps(body).replace(b"AGENT", agent.encode()))), 403)
        batch = [{"assistant_id": agent, "input": {"ticket_id": "1"}}]
        refused(client.post("/runs/batch", json=batch), 403)
        own = client.post("/assistants", json={"graph_id": agent}).json()["assistant_id"]
        refused(client.post("/runs/wait", json={"assistant_id": own, "input": {"ticket_id": "1"}}), 403)
        called = {"name": agent, "arguments": {"ticket_id": "1"}}
        answer = client.post("/mcp", json={"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": called})
        assert answer.json()["result"]["isError"]
        thread = client.post("/threads", json={}).json()["thread_id"]
        start = {"assistant_id": agent, "input": {"ticket_id": "1"}}
        answer = client.post(f"/threads/{thread}/commands", json={"id": 1, "method": "run.start", "params": start})
        assert answer.json()["error"] == "permission_denied"


def test_nobody_gives_more_than_they_have(target: Target, tokens: dict[str, str], boss: httpx.Client) -> None:
    with target.client(tokens["admin"]) as admin, target.client(tokens["agent"]) as agent:
        refused(agent.post("/api/v1/api-keys", json={"name": "more", "scopes": ["admin"]}), 403)
        refused(admin.post("/api/v1/users", json={"email": "x@rolls.example", "role": "owner"}), 403)
        owner = boss.get("/api/v1/users/me").json()["user_id"]
        for change in ({"role": "viewer"}, {"password": PASSWORD}, {"status": "disabled"}, {"name": "Mine"}):
            refused(admin.patch(f"/api/v1/users/{owner}", json=change), 403)
        refused(admin.delete(f"/api/v1/users/{owner}"), 403)
        me = admin.get("/api/v1/users/me").json()["user_id"]
        refused(admin.patch(f"/api/v1/users/{me}", json={"role": "owner"}), 403)
        for body in ({"limits": {"daily_tokens": 10**9}}, {"plan": "gold"}, {"status": "active"}, {"tenant_id": "x"}):
            refused(admin.patch("/api/v1/tenant", json={"version": 1, **body}), 422)
    with target.client(tokens["admin"]) as admin:
        assert admin.post("/api/v1/api-keys", json={"name": "x", "scopes": ["operate"]}).status_code == 422
    with target.client(make_key(boss, "admin", "chat")["api_key"]) as key:
        for scope in ("sync", "tickets:read"):
            refused(key.post("/api/v1/api-keys", json={"name": "more", "scopes": [scope]}), 403)


async def test_no_cron_of_a_suspended_tenant_starts_a_run() -> None:
    """It comes through no door; whatever does, may stand in it already."""

    async def no(_: str) -> bool:
        return False

    async def settings(_: str) -> Mapping[str, Any]:
        return {}

    agents: Any = SimpleNamespace(describe=lambda name: SimpleNamespace(name=name, scope=None, takes_context=False))
    admission = Admission(agents, agents, settings, no)
    wanted = RunRequest(agent="echo", input={})
    with pytest.raises(Forbidden):
        await admission(Principal(TENANT, "somebody"), wanted)
    assert await admission(Principal("default", "operator", scopes=ALL | {"operate"}), wanted) is wanted


async def test_sockets_of_a_key_that_was_revoked_are_closed(target: Target, boss: httpx.Client) -> None:
    made = make_key(boss, "chat")
    client = socketio.AsyncClient(reconnection=False)
    await client.connect(target.url, auth={"token": made["api_key"]}, transports=["websocket"])
    headers = {"Authorization": f"Bearer {made['api_key']}"}
    async with connect(target.ws_url, additional_headers=headers) as socket:
        await socket.send('{"type": "ping"}')
        assert orjson.loads(await socket.recv())["event"] == "pong"
        assert (await client.call("ping", {}, timeout=10))["ok"]
        revoked = await asyncio.to_thread(boss.delete, f"/api/v1/api-keys/{made['key_id']}")
        assert revoked.status_code == 200
        await socket.send('{"type": "ping"}')
        with pytest.raises(ConnectionClosed):
            await socket.recv()
    with pytest.raises((socketio.exceptions.TimeoutError, socketio.exceptions.BadNamespaceError)):
        await client.call("ping", {}, timeout=0.5)
    await client.disconnect()
    with target.client(made["api_key"]) as late:
        refused(late.get("/api/v1/threads"), 401)


async def test_a_suspended_tenant_is_shut_out_with_its_sockets(target: Target, tokens: dict[str, str]) -> None:
    who = ("owner", "viewer", "key of chat", "admin")
    headers = {"Authorization": f"Bearer {tokens['key of chat']}"}
    with target.client(OPERATOR) as operator:
        async with connect(target.ws_url, additional_headers=headers) as socket:
            try:
                assert operator.post(f"/api/v1/tenants/{TENANT}/suspend").status_code == 200
                for name in who:
                    with target.client(tokens[name], address=target.stranger()) as client:
                        refused(client.get("/api/v1/auth/me"), 403)
                with target.client(None, address=target.stranger()) as nobody:
                    login = {"tenant_id": TENANT, "email": "owner@rolls.example", "password": PASSWORD}
                    refused(nobody.post("/api/v1/auth/login", json=login), 403)
                    refused(nobody.post("/api/v1/auth/login", json={**login, "password": "wrong horse"}), 401)
                await socket.send('{"type": "ping"}')
                with pytest.raises(ConnectionClosed):
                    await socket.recv()
            finally:
                assert operator.post(f"/api/v1/tenants/{TENANT}/activate").status_code == 200
    for name in who:
        with target.client(tokens[name]) as client:
            assert client.get("/api/v1/auth/me").status_code == 200
