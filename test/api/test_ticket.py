"""Tickets, messages, articles and objects over HTTP."""

import asyncio
import csv
import io
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from fastapi import FastAPI
from pydantic import SecretStr

from backend.api import problem
from backend.api.v1 import ticket
from backend.database.sqlite import SqliteDatabase
from backend.middleware.auth import BearerTokenAuthMiddleware
from backend.middleware.limit import BodyLimitMiddleware
from backend.middleware.tracking import TrackingMiddleware
from backend.repository.article import ArticleRepository
from backend.repository.ticket import TicketRepository
from backend.service import ticket as service
from backend.service.auth import Authenticator
from backend.service.ticket import TicketService
from test.repository.test_ticket import NOW, make_article, make_message, make_ticket

ROOT = "/api/v1/tickets"
BODY_BYTES = 2_000_000


@dataclass
class Desk:
    """The routes over a database, clients of two tenants, and what an index would have heard."""

    database: SqliteDatabase
    http: httpx.AsyncClient
    stranger: httpx.AsyncClient
    changed: list[str] = field(default_factory=list)
    removed: list[tuple[str, list[UUID]]] = field(default_factory=list)

    async def collect(self, *tickets: Any, tenant: str = "default") -> None:
        """Put tickets as a collection from a platform does."""
        await self.database.write(lambda c: TicketRepository(c, tenant).put("freshdesk", tickets, NOW))

    async def talk(self, ticket_id: str, *messages: Any, tenant: str = "default") -> None:
        await self.database.write(
            lambda c: TicketRepository(c, tenant).put_conversations("freshdesk", ticket_id, messages, NOW)
        )

    async def add(self, **body: Any) -> dict[str, Any]:
        answer = await self.http.post(ROOT, json={"title": "결제 오류", **body})
        assert answer.status_code in {200, 201}, answer.text
        return (await self.http.get(f"{ROOT}/{answer.json()['items'][0]['id']}")).json()


@pytest.fixture
async def desk(file: SqliteDatabase) -> AsyncIterator[Desk]:
    async with AsyncExitStack() as stack:
        changed: list[str] = []
        removed: list[tuple[str, list[UUID]]] = []

        async def forget(tenant_id: str, tickets: Any) -> None:
            removed.append((tenant_id, list(tickets)))

        tickets = TicketService(file, on_changed=changed.append, on_removed=forget)
        app = FastAPI()
        app.state.container = SimpleNamespace(ticket_service=lambda: tickets)
        problem.install(app)
        app.include_router(ticket.router, prefix="/api/v1")
        authenticator = Authenticator({"default": SecretStr("alice"), "other": SecretStr("mallory")})
        whole: Any = BodyLimitMiddleware(app, BODY_BYTES)
        whole = TrackingMiddleware(BearerTokenAuthMiddleware(whole, authenticator))
        clients = [
            await stack.enter_async_context(
                httpx.AsyncClient(
                    transport=httpx.ASGITransport(whole),
                    base_url="http://test",
                    headers={"Authorization": f"Bearer {token}"},
                )
            )
            for token in ("alice", "mallory")
        ]
        yield Desk(file, clients[0], clients[1], changed, removed)


def slug(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    return answer.status_code, answer.json()["type"].removeprefix("/problems/")


async def test_a_ticket_that_was_sent_is_read_back(desk: Desk) -> None:
    body = {
        "ticket_id": "1001",
        "title": "카드 결제가 안 됩니다",
        "description": "오류 E-402",
        "status": "resolved",
        "priority": "high",
        "requester_email": "Customer@Example.com",
        "tags": ["billing"],
        "custom_fields": {"region": "서울"},
    }
    sent = await desk.http.post(ROOT, json=body)
    assert sent.status_code == 201
    (item,) = sent.json()["items"]
    assert (item["ticket_id"], item["outcome"]) == ("1001", "added")
    read = await desk.http.get(sent.headers["location"])
    found = read.json()
    assert found["id"] == item["id"]
    assert (found["status"], found["status_name"], found["priority"]) == (4, "resolved", 3)
    assert found["requester_email"] == "customer@example.com"
    assert (found["platform"], found["version"], found["is_processed"]) == ("api", 1, False)
    assert found == (await desk.http.get(f"{ROOT}/1001?platform=api")).json()
    assert desk.changed == ["default"]


async def test_the_same_id_again_changes_the_ticket_and_adds_none(desk: Desk) -> None:
    """(000-7) Idempotent: the same body twice is one ticket, unchanged."""
    body = {"ticket_id": "7", "title": "a"}
    outcomes = [await desk.http.post(ROOT, json={**body, **more}) for more in ({}, {}, {"title": "b"})]
    assert [one.json()["items"][0]["outcome"] for one in outcomes] == ["added", "unchanged", "changed"]
    assert [one.status_code for one in outcomes] == [201, 200, 200]
    page = (await desk.http.get(ROOT)).json()
    assert (page["total"], page["items"][0]["title"]) == (1, "b")


async def test_five_hundred_tickets_come_at_once_and_one_more_is_too_many(desk: Desk) -> None:
    several = [{"ticket_id": str(number), "title": f"티켓 {number}"} for number in range(500)]
    sent = await desk.http.post(ROOT, json={"tickets": several})
    assert sent.status_code == 201
    assert [one["ticket_id"] for one in sent.json()["items"]] == [one["ticket_id"] for one in several]
    assert slug(await desk.http.post(ROOT, json={"tickets": [*several, {"title": "x"}]})) == (422, "invalid")
    assert slug(await desk.http.post(ROOT, json={"tickets": [several[0], several[0]]})) == (422, "invalid")
    assert (await desk.http.get(ROOT)).json()["total"] == 500


@pytest.mark.parametrize(
    "body",
    [
        {"title": "x", "tenant_id": "other"},
        {"title": "x", "id": str(uuid4())},
        {"title": "x", "created_at": "2020-01-01T00:00:00Z"},
        {"title": "x", "version": 9},
        {"title": "x", "platform": "freshdesk"},
        {"title": "x", "is_processed": True},
        {"title": ""},
        {"title": "a\0b"},
        {"title": "x", "ticket_id": "statistics"},
        {"title": "x", "ticket_id": "../x"},
        {"title": "x", "ticket_id": "y" * 65},
        {"title": "x", "status": 10**30},
        {"title": "x", "status": "waiting"},
        {"title": "x", "priority": 5},
        {"title": "x", "requester_email": "no address"},
        {"title": "x", "custom_fields": {"a": 10**30}},
        {"title": "x", "custom_fields": {"a\0": 1}},
        {"title": "x", "tags": ["a"] * 101},
        {"title": "x", "description": "y" * 1_000_001},
        {"title": "x", "platform_updated_at": "2026-01-01T00:00:00"},
        {"title": "x", "platform_updated_at": "9999-12-31T23:59:59Z"},
        {"tickets": []},
        {"tickets": [{"title": "x", "tenant_id": "other"}]},
        [],
        None,
    ],
)
async def test_a_body_that_says_more_than_it_may_or_what_cannot_be_kept_is_refused(desk: Desk, body: Any) -> None:
    """(000-9, 003-13) No mass assignment through the API either."""
    assert slug(await desk.http.post(ROOT, json=body)) == (422, "invalid")
    assert (await desk.http.get(ROOT)).json()["total"] == 0


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"title": "\\ud800"}', 422),
        (b'{"title": "x", "custom_fields": ' + b'{"a":' * 150 + b"1" + b"}" * 151, 422),
        (b'{"title": "x", "custom_fields": ' + b'{"a":' * 100_000, 400),
        (b'{"title": "x", "description": "' + b"y" * 10_000_000 + b'"}', 413),
        (b'{"title": ', 400),
    ],
)
async def test_broken_deep_and_huge_bodies_are_refused(desk: Desk, body: bytes, status: int) -> None:
    answer = await desk.http.post(ROOT, content=body, headers={"content-type": "application/json"})
    assert slug(answer)[0] == status


async def test_a_change_needs_the_version_that_was_read(desk: Desk) -> None:
    """(003-14) Of two who change what they read, the second is told."""
    kept = await desk.add(ticket_id="1", tags=["a"], requester_name="김")
    path = f"{ROOT}/{kept['id']}"
    assert slug(await desk.http.patch(path, json={"title": "x"})) == (422, "invalid")
    assert slug(await desk.http.patch(path, json={"version": 1})) == (422, "invalid")
    bodies = [{"version": kept["version"], "title": title, "status": "closed"} for title in ("one", "two")]
    answers = await asyncio.gather(*(desk.http.patch(path, json=body) for body in bodies))
    assert sorted(answer.status_code for answer in answers) == [200, 409]
    refused = next(answer for answer in answers if answer.status_code == 409)
    assert slug(refused) == (409, "version-conflict")
    assert refused.json()["version"] == 2
    now = (await desk.http.get(path)).json()
    assert (now["version"], now["status_name"], now["tags"], now["requester_name"]) == (2, "closed", ["a"], "김")
    cleared = await desk.http.patch(path, json={"version": 2, "requester_name": None, "custom_fields": {"k": [1]}})
    assert (cleared.json()["requester_name"], cleared.json()["custom_fields"]) == (None, {"k": [1]})


@pytest.mark.parametrize("name", ["tenant_id", "company_id", "id", "platform", "ticket_id", "created_at", "deleted"])
async def test_a_change_cannot_say_whose_a_ticket_is(desk: Desk, name: str) -> None:
    """(003-14)"""
    kept = await desk.add()
    answer = await desk.http.patch(f"{ROOT}/{kept['id']}", json={"version": 1, "title": "x", name: "other"})
    assert slug(answer) == (422, "invalid")


@pytest.mark.parametrize("name", ["title", "status", "tags", "description", "custom_fields"])
async def test_what_a_ticket_always_has_cannot_be_taken_away(desk: Desk, name: str) -> None:
    kept = await desk.add()
    assert slug(await desk.http.patch(f"{ROOT}/{kept['id']}", json={"version": 1, name: None})) == (422, "invalid")


async def test_a_platforms_tickets_are_changed_at_the_platform(desk: Desk) -> None:
    await desk.collect(make_ticket(5))
    path = f"{ROOT}/5"
    assert slug(await desk.http.patch(path, json={"version": 1, "title": "x"})) == (409, "conflict")
    assert slug(await desk.http.delete(path)) == (409, "conflict")
    assert slug(await desk.http.post(f"{path}/conversations", json={"content": "x"})) == (409, "conflict")
    assert (await desk.http.get(path)).json()["title"] == "결제 오류 5"


async def test_a_removed_ticket_is_gone_with_its_messages_and_leaves_the_index(desk: Desk) -> None:
    kept = await desk.add(ticket_id="1")
    await desk.http.post(f"{ROOT}/1/conversations", json={"content": "x"})
    assert (await desk.http.delete(f"{ROOT}/1")).status_code == 204
    assert desk.removed == [("default", [UUID(kept["id"])])]
    assert slug(await desk.http.get(f"{ROOT}/1")) == (404, "ticket-not-found")
    assert (await desk.http.get("/api/v1/conversations")).json()["total"] == 0
    assert (await desk.http.get("/api/v1/objects")).json()["total"] == 0


async def test_messages_are_added_once_and_read_page_by_page(desk: Desk) -> None:
    """(003-16)"""
    await desk.add(ticket_id="1")
    path = f"{ROOT}/1/conversations"
    messages = [
        {"conversation_id": f"m{number}", "content": f"메시지 {number}", "message_type": kind}
        for number, kind in enumerate(["public", "private", "public", "note", "public"])
    ]
    sent = await desk.http.post(path, json={"conversations": messages})
    assert (sent.status_code, sent.json()["conversations"]) == (201, 5)
    again = await desk.http.post(path, json=messages[0])
    assert again.json()["conversations"] == 5
    public = (await desk.http.get(path)).json()
    assert [one["conversation_id"] for one in public["items"]] == ["m0", "m2", "m4"]
    assert public["total"] == 3
    seen: list[str] = []
    after: str | None = None
    while True:
        query = {"limit": "2", "include_private": "true"} | ({"after": after} if after else {})
        page = (await desk.http.get(path, params=query)).json()
        assert page["total"] == 5
        seen += [one["conversation_id"] for one in page["items"]]
        if (after := page["next"]) is None:
            break
    assert sorted(seen) == ["m0", "m1", "m2", "m3", "m4"]
    assert slug(await desk.http.post(path, json={"conversations": [messages[0]] * 2})) == (422, "invalid")
    assert slug(await desk.http.post(path, json={"content": "x", "tenant_id": "other"})) == (422, "invalid")


async def test_a_message_cannot_be_taken_from_another_ticket(desk: Desk) -> None:
    await desk.add(ticket_id="1")
    await desk.add(ticket_id="2")
    assert (await desk.http.post(f"{ROOT}/1/conversations", json={"conversation_id": "m", "content": "x"})).is_success
    stolen = await desk.http.post(f"{ROOT}/2/conversations", json={"conversation_id": "m", "content": "y"})
    assert slug(stolen) == (409, "conflict")


async def test_a_list_filters_by_names_and_numbers_and_counts_truly(desk: Desk) -> None:
    """(003-11)"""
    await desk.collect(
        *(make_ticket(number, status=2 + number % 3, status_name="x", priority=1 + number % 4) for number in range(30)),
        make_ticket(31, status=9, status_name="고객 대기"),
    )

    async def total(query: str) -> int:
        answer = await desk.http.get(f"{ROOT}?{query}&limit=3")
        assert answer.status_code == 200, answer.text
        page = answer.json()
        assert len(page["items"]) == min(3, page["total"])
        return int(page["total"])

    assert await total("status=open") == await total("status=2") == 10
    assert await total("status=open&status=4") == 20
    assert await total("status=고객 대기") == 1
    assert await total("priority=urgent") == await total("priority=4") == 7
    assert await total("priority=urgent&priority=1&status=open") == 6
    assert await total("text=오류 7") == 1
    assert await total("assignee_email=AGENT@example.com") == 31
    assert await total("deleted=true&spam=true") == 0
    for bad in (
        "status=nonsense",
        "priority=9",
        "limit=0",
        "limit=101",
        "limit=1e9",
        "before=xyz",
        "platform=a%00b",
        "updated_from=yesterday",
        "updated_from=2026-01-01T00:00:00",
        "created_to=2026-01-01",
        "assignee=agent@example.com",
        "stauts=open",
        "text=",
        "tag=%00",
    ):
        assert slug(await desk.http.get(f"{ROOT}?{bad}")) == (422, "invalid"), bad


async def test_pages_go_on_while_tickets_come_in(desk: Desk) -> None:
    """(000-11, 003-11)"""
    await desk.collect(*(make_ticket(number, platform_updated_at=NOW) for number in range(25)))
    seen: list[str] = []
    before: str | None = None
    while True:
        page = (await desk.http.get(ROOT, params={"limit": "10"} | ({"before": before} if before else {}))).json()
        seen += [one["ticket_id"] for one in page["items"]]
        await desk.collect(make_ticket(100 + len(seen), platform_updated_at=NOW + timedelta(1)))
        if (before := page["next"]) is None:
            break
    assert sorted(seen, key=int) == [str(number) for number in range(25)]


async def test_statistics_and_lists_of_messages_articles_and_objects(desk: Desk) -> None:
    """(000-3, 000-11, 003-15)"""
    await desk.collect(make_ticket(1), make_ticket(2, status=4, status_name="resolved"))
    await desk.talk("1", make_message(1), make_message(2, message_type="private", author_email="a@example.com"))
    articles = [make_article(1), make_article(2, audience="agent"), make_article(3, published=False)]
    await desk.database.write(lambda c: ArticleRepository(c, "default").put("freshdesk", articles, NOW))

    found = (await desk.http.get(f"{ROOT}/statistics")).json()
    assert (found["total"], found["by_status"]) == (2, {"open": 1, "resolved": 1})
    assert (await desk.http.get("/api/v1/conversations")).json()["total"] == 1
    private = (await desk.http.get("/api/v1/conversations?include_private=true&author_email=A@example.com")).json()
    assert [one["conversation_id"] for one in private["items"]] == ["c2"]

    page: dict[str, Any] = {}
    for audience, number in (("customer", 1), ("agent", 3)):
        page = (await desk.http.get(f"/api/v1/articles?audience={audience}")).json()
        assert (page["total"], len(page["items"])) == (number, number)
    hidden = next(one for one in page["items"] if one["article_id"] == "2")
    path = f"/api/v1/articles/{hidden['id']}"
    assert (await desk.http.get(path)).json() == hidden
    assert slug(await desk.http.get(f"{path}?audience=customer")) == (404, "article-not-found")

    page = (await desk.http.get("/api/v1/objects?limit=4")).json()
    assert (page["total"], len(page["items"]), page["items"][0]["original_data"]) == (7, 4, None)
    rest = (await desk.http.get(f"/api/v1/objects?limit=4&original=true&before={page['next']}")).json()
    assert (len(rest["items"]), rest["next"]) == (3, None)
    assert all(one["original_data"] for one in rest["items"])
    assert (await desk.http.get("/api/v1/objects?object_type=article&platform=freshdesk")).json()["total"] == 3


async def test_another_tenant_finds_nothing(desk: Desk) -> None:
    """(000-14, X7)"""
    kept = await desk.add(ticket_id="1")
    await desk.collect(make_ticket(5))
    article = make_article(1)
    await desk.database.write(lambda c: ArticleRepository(c, "default").put("freshdesk", [article], NOW))
    article_id = (await desk.http.get("/api/v1/articles")).json()["items"][0]["id"]
    for ticket_id in (kept["id"], "1", "5"):
        path = f"{ROOT}/{ticket_id}"
        for answer in (
            await desk.stranger.get(path),
            await desk.stranger.patch(path, json={"version": 1, "title": "x"}),
            await desk.stranger.delete(path),
            await desk.stranger.get(f"{path}/conversations"),
            await desk.stranger.post(f"{path}/conversations", json={"content": "x"}),
        ):
            assert slug(answer) == (404, "ticket-not-found")
    assert slug(await desk.stranger.get(f"/api/v1/articles/{article_id}")) == (404, "article-not-found")
    for path in (ROOT, "/api/v1/conversations", "/api/v1/articles", "/api/v1/objects"):
        assert (await desk.stranger.get(path)).json()["total"] == 0
    assert (await desk.stranger.get(f"{ROOT}/statistics")).json()["total"] == 0
    assert (await desk.stranger.get(f"{ROOT}/export")).content == b""
    assert (await desk.stranger.post(ROOT, json={"ticket_id": "1", "title": "mine"})).status_code == 201
    assert (await desk.http.get(f"{ROOT}/1")).json() == kept


async def test_an_export_has_each_ticket_once_though_one_changes_meanwhile(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "EXPORT_PAGE", 7)
    await desk.collect(*(make_ticket(number) for number in range(1, 31)))
    lines: list[dict[str, Any]] = []
    async with desk.http.stream("GET", f"{ROOT}/export", params={"status": "open"}) as answer:
        assert answer.headers["content-type"] == "application/x-ndjson"
        async for line in answer.aiter_lines():
            lines.append(json.loads(line))
            await desk.collect(make_ticket(25, title="changed", platform_updated_at=NOW + timedelta(1)))
    assert [int(one["ticket_id"]) for one in lines] == list(range(1, 31))
    assert slug(await desk.http.get(f"{ROOT}/export?status=nonsense")) == (422, "invalid")


async def test_a_spreadsheet_calculates_nothing_that_a_customer_wrote(desk: Desk) -> None:
    hostile = ["=HYPERLINK(1)", "+1", "-1+1", "@SUM(A1)", "\t=1", " =1", "＝1", 'a"b,c\nd']
    await desk.collect(*(make_ticket(number, title=title) for number, title in enumerate(hostile)))
    answer = await desk.http.get(f"{ROOT}/export?format=csv")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    text = answer.content.decode("utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert [row["title"] for row in rows[:7]] == [f"'{title}" for title in hostile[:7]]
    assert rows[7]["title"] == hostile[7]
    assert rows[0]["custom_fields"] == '{"cf_region":"서울"}'


async def test_long_descriptions_are_cut_in_lists_alone(desk: Desk) -> None:
    kept = await desk.add(description="가" * 100_000)
    assert len(kept["description"]) == 100_000
    assert len((await desk.http.get(ROOT)).json()["items"][0]["description"]) == 2000


async def test_the_place_of_an_error_is_what_the_client_has_written(desk: Desk) -> None:
    many = await desk.http.post(ROOT, json={"tickets": [{"title": "a", "status": "x"}]})
    one = await desk.http.post(ROOT, json={"title": "a", "status": "x"})
    assert {error["loc"][1] for error in many.json()["errors"]} == {"tickets"}
    assert {error["loc"][1] for error in one.json()["errors"]} == {"status"}
    assert "<" not in many.text + one.text
