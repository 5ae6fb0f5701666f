"""Summaries over HTTP, with a model that is scripted over HTTP too."""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI
from pydantic import SecretStr
from sqlalchemy import func, select, update

from backend.api import problem
from backend.api.v1 import summary
from backend.config.setting import ModelAlias
from backend.config.setting import Settings as ServerSettings
from backend.core.error import BudgetExceeded
from backend.core.llm_manager import LLMManager
from backend.core.lock.memory_lock import MemoryLock
from backend.database.model import SummaryRow, TicketRow, table_of
from backend.database.sqlite import SqliteDatabase
from backend.dto.principal import OPERATE, Principal
from backend.dto.tenant import TenantChange
from backend.dto.usage import Usage
from backend.middleware.auth import BearerTokenAuthMiddleware
from backend.middleware.tracking import TrackingMiddleware
from backend.repository.ticket import TicketRepository
from backend.service import summary_backlog
from backend.service.auth import Authenticator
from backend.service.summary import KEPT, SummaryService
from backend.service.summary_backlog import SummaryBacklog
from backend.service.tenant import TenantService
from backend.service.ticket_text import read_ticket_text
from test.engine_fixture import FakeClock, of_everyone
from test.repository.test_ticket import NOW, make_message, make_ticket
from test.simulator.openai_simulator import OpenAISimulator, Turn

GOOD = {
    "problem": "E-402 오류로 [EMAIL_1]의 결제가 되지 않았다.",
    "cause": "",
    "solution": "카드를 다시 등록하도록 안내했다.",
    "result": "해결되었다.",
    "keywords": ["결제", "E-402", "카드"],
}


@dataclass
class Desk:
    """The routes over a database and a model, clients of two tenants, and what was used."""

    database: SqliteDatabase
    service: SummaryService
    endpoint: OpenAISimulator
    http: httpx.AsyncClient
    stranger: httpx.AsyncClient
    clock: FakeClock
    settings: dict[str, Any] = field(default_factory=dict)
    used: list[tuple[str, str, str | None, Usage]] = field(default_factory=list)
    broke: set[str] = field(default_factory=set)
    """The users whose budget is used up."""

    async def collect(self, number: int = 1001, *replies: str, tenant: str = "default", **changes: Any) -> None:
        values: dict[str, Any] = {
            "title": "카드 결제 오류",
            "description": "<p>kim@example.com 계정에서 카드 결제가 안 됩니다. 오류는 E-402 입니다.</p>",
            "requester_name": None,
        }
        ticket = make_ticket(number, **(values | changes))
        messages = [
            make_message(number * 100 + place, content=text, author_type="agent") for place, text in enumerate(replies)
        ]

        def work(connection: Any) -> None:
            tickets = TicketRepository(connection, tenant)
            tickets.put("freshdesk", [ticket], NOW)
            tickets.put_conversations("freshdesk", str(number), messages, NOW)

        await self.database.write(work)

    def script(self, **changes: Any) -> None:
        self.endpoint.script(Turn(json.dumps({**GOOD, **changes}, ensure_ascii=False)))

    async def get(self, number: int = 1001, **query: Any) -> dict[str, Any]:
        answer = await self.http.get(f"/api/v1/tickets/{number}/summary", params=query)
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.json()
        return body

    async def kept(self) -> int:
        count: int = await self.database.read(
            lambda connection: connection.execute(select(func.count()).select_from(table_of(SummaryRow))).scalar_one()
        )
        return count


@pytest.fixture
async def desk(file: SqliteDatabase) -> AsyncIterator[Desk]:
    async with AsyncExitStack() as stack:
        endpoint = await stack.enter_async_context(OpenAISimulator())
        models = LLMManager(
            ServerSettings(
                _env_file=None,
                openai_base_url=endpoint.url,
                llm_aliases={"gpt-5": ModelAlias(target="gpt-5.4", input_price=2.0, output_price=10.0)},
                llm_max_retries=0,
            )
        )
        await models.open()
        stack.push_async_callback(models.close)
        settings: dict[str, Any] = {}
        used: list[tuple[str, str, str | None, Usage]] = []
        broke: set[str] = set()

        async def chosen(tenant_id: str) -> dict[str, Any]:
            return settings

        class Budget:
            async def hold(self, principal: Principal, run_id: UUID) -> None:
                if principal.tenant_id in broke:
                    raise BudgetExceeded("The day's budget is used up.", 60)

            def release(self, run_id: UUID, usage: Usage) -> None: ...

        def note(tenant_id: str, user_id: str, agent: str | None, usage: Usage, *, run_id: UUID) -> None:
            used.append((tenant_id, user_id, agent, usage))

        clock = FakeClock()
        service = SummaryService(
            file,
            models,
            MemoryLock(),
            clock,
            settings=chosen,
            budget=Budget(),
            note=note,
            batch_size=2,
        )
        app = FastAPI()
        app.state.container = SimpleNamespace(summary_service=lambda: service)
        problem.install(app)
        app.include_router(summary.router, prefix="/api/v1")
        authenticator = Authenticator({"default": SecretStr("alice"), "other": SecretStr("mallory")})
        whole: Any = TrackingMiddleware(BearerTokenAuthMiddleware(app, authenticator))
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
        yield Desk(file, service, endpoint, clients[0], clients[1], clock, settings, used, broke)


def slug(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    return answer.status_code, answer.json()["type"].removeprefix("/problems/")


async def test_a_summary_is_made_once_and_shows_what_the_model_never_saw(desk: Desk) -> None:
    """(000-27, 000-29, 000-34, I-6)"""
    await desk.collect(1001, "카드를 다시 등록해 주세요.")
    desk.script()
    made = await desk.get()
    assert made["summary"]["problem"] == "E-402 오류로 kim@example.com의 결제가 되지 않았다."
    assert made["summary"]["keywords"] == ["결제", "E-402", "카드"]
    assert (made["ticket_id"], made["platform"], made["cached"]) == ("1001", "freshdesk", False)
    assert (made["summary"]["model"], made["summary"]["prompt"]) == ("default", "summary/summarize@1.ko")
    assert "kim@example.com" not in json.dumps([request.body for request in desk.endpoint.requests])

    again = await desk.get()
    assert again == {**made, "cached": True}
    assert await desk.get(refresh=True) == made
    assert len(desk.endpoint.requests) == 2
    (tenant, _, agent, usage), _ = desk.used
    assert (tenant, agent, usage.model, usage.calls) == ("default", "summary", "default", 1)
    assert usage.input_tokens > 0
    assert usage.cost > 0


async def test_a_ticket_that_changed_is_summarised_anew(desk: Desk) -> None:
    await desk.collect()
    desk.script()
    await desk.get()
    await desk.collect(1001, "카드를 다시 등록해 주세요.", platform_updated_at=NOW + timedelta(days=1))
    assert (await desk.get())["cached"] is False
    assert len(desk.endpoint.requests) == 2


async def test_each_language_and_model_has_its_own(desk: Desk) -> None:
    await desk.collect()
    desk.script()
    assert (await desk.get(language="en"))["summary"]["prompt"] == "summary/summarize@1.en"
    assert (await desk.get(language="ko"))["cached"] is False
    assert (await desk.get(model="gpt-5"))["summary"]["model"] == "gpt-5"
    assert (await desk.get(model="extractive"))["summary"]["model"] == "extractive"
    assert len(desk.endpoint.requests) == 3


async def test_the_ticket_keeps_its_summary_without_personal_data(desk: Desk) -> None:
    await desk.collect()
    desk.script()
    await desk.get()
    ticket = await desk.database.read(lambda connection: TicketRepository(connection, "default").find("1001"))
    assert ticket.summary is not None
    assert ticket.summary["problem"] == GOOD["problem"]


async def test_a_tenant_that_lets_no_text_out_gets_summaries_by_rules(desk: Desk) -> None:
    await desk.collect()
    desk.settings["external_llm"] = False
    made = await desk.get(model="gpt-5")
    assert made["summary"]["model"] == "extractive"
    assert "E-402" in made["summary"]["problem"]
    assert not desk.endpoint.requests
    assert not desk.used


async def test_the_tenants_language_goes_before_the_tickets(desk: Desk) -> None:
    await desk.collect()
    desk.script()
    desk.settings["language"] = "en"
    assert (await desk.get())["summary"]["language"] == "en"
    assert (await desk.get(language="ko"))["summary"]["language"] == "ko"


async def test_many_who_ask_at_once_share_one_call(desk: Desk) -> None:
    await desk.collect()
    desk.script()
    async with asyncio.timeout(30):
        made = await asyncio.gather(*(desk.get() for _ in range(8)))
    assert sum(not each["cached"] for each in made) == 1
    assert len(desk.endpoint.requests) == 1


@pytest.mark.parametrize(
    "turn",
    [Turn("no json"), Turn(json.dumps(GOOD), finish_reason="length")],
    ids=["no json", "cut off"],
)
async def test_an_answer_that_cannot_be_used_is_never_kept(desk: Desk, turn: Turn) -> None:
    """(000-33)"""
    await desk.collect()
    desk.endpoint.script(turn)
    made = await desk.get()
    assert (made["summary"]["model"], made["summary"]["fallback"]) == ("extractive", True)
    assert "E-402" in made["summary"]["problem"]
    assert await desk.kept() == 0
    desk.script()
    assert (await desk.get())["summary"]["fallback"] is False


async def test_a_model_that_fails_is_a_problem_without_its_words(desk: Desk) -> None:
    """(000-35)"""
    await desk.collect()
    desk.endpoint.script(Turn(status=429, headers={"retry-after": "7"}))
    answer = await desk.http.get("/api/v1/tickets/1001/summary")
    assert slug(answer) == (429, "too-many")
    assert answer.headers["retry-after"] == "7"
    desk.endpoint.script(Turn(status=500))
    answer = await desk.http.get("/api/v1/tickets/1001/summary")
    assert slug(answer) == (502, "upstream-failed")
    assert "secret upstream text" not in answer.text
    assert await desk.kept() == 0


async def test_who_has_no_budget_left_gets_what_is_kept_and_nothing_new(desk: Desk) -> None:
    await desk.collect(1001)
    await desk.collect(1002)
    desk.script()
    await desk.get(1001)
    desk.broke.add("default")
    assert (await desk.get(1001))["cached"] is True
    assert slug(await desk.http.get("/api/v1/tickets/1002/summary")) == (429, "budget-exceeded")
    assert len(desk.endpoint.requests) == 1


async def test_another_tenants_ticket_is_not_found(desk: Desk) -> None:
    await desk.collect()
    assert slug(await desk.stranger.get("/api/v1/tickets/1001/summary")) == (404, "ticket-not-found")
    batch = (await desk.stranger.post("/api/v1/summaries", json={"ticket_ids": ["1001"]})).json()
    assert batch["items"][0]["problem"]["status"] == 404
    assert not desk.endpoint.requests


async def test_what_is_asked_wrongly_is_refused(desk: Desk) -> None:
    await desk.collect()
    path = "/api/v1/tickets/1001/summary"
    assert slug(await desk.http.get(path, params={"model": "gpt-3"})) == (422, "unsupported-model")
    assert (await desk.http.get(path, params={"language": "fr"})).status_code == 422
    assert slug(await desk.http.get("/api/v1/tickets/none/summary")) == (404, "ticket-not-found")
    wrong: list[dict[str, Any]] = [{}, {"ticket_ids": []}, {"ticket_ids": ["1"] * 101}, {"ticket_ids": [""]}]
    for body in [*wrong, {"ticket_ids": ["1"], "x": 1}]:
        assert (await desk.http.post("/api/v1/summaries", json=body)).status_code == 422


async def test_a_batch_has_an_outcome_for_each_ticket(desk: Desk) -> None:
    """(000-26)"""
    for number in (1001, 1002, 1003):
        await desk.collect(number)
    desk.script()
    await desk.get(1002)
    answer = await desk.http.post("/api/v1/summaries", json={"ticket_ids": ["1003", "1002", "9999", "1001", "1003"]})
    body = answer.json()
    assert answer.status_code == 200
    assert [(item["ticket_id"], item["outcome"]) for item in body["items"]] == [
        ("1003", "made"),
        ("1002", "cached"),
        ("9999", "failed"),
        ("1001", "made"),
        ("1003", "made"),
    ]
    assert body["failed"] == 1
    assert body["items"][2]["problem"]["type"] == "/problems/ticket-not-found"
    assert body["items"][0]["summary"]["summary"]["keywords"] == ["결제", "E-402", "카드"]
    assert len(desk.endpoint.requests) == 3


async def test_a_run_gets_the_kept_summary_with_placeholders(desk: Desk) -> None:
    await desk.collect()
    desk.script()
    text = await read_ticket_text(desk.database, "default", "1001")
    model = desk.service._models.get("gpt-5")
    first = await desk.service.of_text("default", text, model, "ko")
    assert first.problem == GOOD["problem"]
    assert await desk.service.of_text("default", text, model, "ko") == first
    assert len(desk.endpoint.requests) == 1
    assert not desk.used  # the run's own meter counts


async def test_old_summaries_are_swept(desk: Desk) -> None:
    await desk.collect()
    await desk.get(model="extractive")
    await desk.service.sweep()
    assert await desk.kept() == 1
    desk.clock.advance(KEPT.total_seconds() + 1)
    await desk.service.sweep()
    assert await desk.kept() == 0


# --- ahead of time


class Model:
    """Says whether there is a language model."""

    extractive = False

    def is_extractive(self, alias: str | None = None) -> bool:
        return self.extractive


async def backlog_of(desk: Desk, model: Model | None = None) -> SummaryBacklog:
    """Return the backlog of a desk whose tenant `default` wants all of its tickets summarised."""

    async def chosen(tenant_id: str) -> dict[str, Any]:
        return desk.settings

    tenants = TenantService(desk.database, desk.clock)
    await tenants.ensure("other")
    made = await tenants.ensure("default")
    operator = Principal("default", "root", scopes=frozenset({OPERATE}))
    await tenants.update(operator, "default", TenantChange(settings={"summaries": "all"}), made.version)
    return SummaryBacklog(desk.database, desk.service, model or Model(), desk.clock, settings=chosen)


async def indexed(desk: Desk) -> None:
    """Say that every ticket is in the index, as it is soon after a collection."""
    tickets = update(table_of(TicketRow)).values(is_processed=True)
    await desk.database.write(of_everyone(lambda connection: connection.execute(tickets).rowcount))


async def test_all_tickets_of_a_tenant_are_summarised_ahead_and_once(desk: Desk) -> None:
    backlog = await backlog_of(desk)
    for number in (1, 2, 3):
        await desk.collect(number)
        desk.script()
    await desk.collect(4, deleted=True)
    await desk.collect(5, spam=True)
    await desk.collect(6, tenant="other")
    await backlog.sweep()
    assert not desk.endpoint.requests  # what is not in the index yet is still changing
    await indexed(desk)
    await backlog.sweep()
    await backlog.sweep()
    assert len(desk.endpoint.requests) == 3
    assert {(tenant, user) for tenant, user, _, _ in desk.used} == {("default", "server")}
    assert (await desk.get(2))["cached"]

    await desk.collect(2, "카드를 다시 등록해 주세요.")  # it changes
    await indexed(desk)
    desk.script()
    await backlog.sweep()
    assert len(desk.endpoint.requests) == 4


async def test_of_many_tickets_a_round_takes_some_and_comes_to_all(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(summary_backlog, "MOST", 2)
    monkeypatch.setattr(summary_backlog, "LOOKED_AT", 3)
    backlog = await backlog_of(desk)
    for number in range(11):
        await desk.collect(number)
        desk.script()
    await indexed(desk)
    made = []
    for _ in range(12):
        await backlog.sweep()
        made.append(len(desk.endpoint.requests))
    assert made[-1] == 11
    assert all(later - earlier <= 2 for earlier, later in itertools.pairwise([0, *made]))


async def test_nothing_is_summarised_ahead_without_a_model_or_where_no_text_may_go_out(desk: Desk) -> None:
    model = Model()
    backlog = await backlog_of(desk, model)
    await desk.collect(1)
    await indexed(desk)
    model.extractive = True
    await backlog.sweep()
    model.extractive = False
    desk.settings["external_llm"] = False
    await backlog.sweep()
    assert (len(desk.endpoint.requests), await desk.kept()) == (0, 0)
    desk.settings.clear()
    desk.script()
    await backlog.sweep()
    assert await desk.kept() == 1


async def test_a_used_up_budget_ends_the_day_and_a_model_that_fails_is_asked_again_later(desk: Desk) -> None:
    backlog = await backlog_of(desk)
    await desk.collect(1)
    await indexed(desk)
    desk.broke.add("default")
    await backlog.sweep()
    desk.broke.clear()
    desk.script()
    await backlog.sweep()
    assert not desk.endpoint.requests
    desk.clock.advance(61)
    await backlog.sweep()
    assert (len(desk.endpoint.requests), await desk.kept()) == (1, 1)

    await desk.collect(2)
    await indexed(desk)
    desk.endpoint.script(Turn(status=500))
    await backlog.sweep()
    await backlog.sweep()
    assert (len(desk.endpoint.requests), await desk.kept()) == (2, 1)
    desk.clock.advance(3601)
    desk.script()
    await backlog.sweep()
    assert await desk.kept() == 2
