"""A whole server in this process, with a support desk: tickets and articles as a collection leaves them."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
import uvicorn
from dependency_injector import providers
from pydantic import SecretStr

from backend.config.setting import Settings
from backend.container import Container
from backend.core.error import DomainError
from backend.dto.ticket import ArticleData, ConversationData, TicketData
from backend.main import create_app, create_asgi, lifespan
from backend.repository.article import ArticleRepository
from backend.repository.ticket import TicketRepository
from backend.service.desk import DeskService
from test.door_fixture import Frame, Server, parse
from test.server import free_port

ALICE, MALLORY = "alices-token", "mallorys-token"
NOW = datetime(2026, 1, 5, tzinfo=UTC)
NOTE = "INTERNALNOTE the gateway password is hunter2"
INTERNAL = "INTERNALFOLDER refund above the limit only with the director's approval"
FOREIGN = "FOREIGNTENANT refunds are paid out in gold"
EMAIL, PHONE = "minji.kim@example.com", "010-1234-5678"


@dataclass
class Source:
    """A platform that takes notes."""

    notes: list[tuple[str, str]] = field(default_factory=list)
    failure: DomainError | None = None
    gate: asyncio.Event | None = None
    """If there is one, the platform has the note, and its answer is not here before this is set."""
    came: asyncio.Event = field(default_factory=asyncio.Event)

    async def add_note(self, ticket_id: str, body: str) -> str:
        if self.failure is not None:
            raise self.failure
        self.notes.append((ticket_id, body))
        self.came.set()
        if self.gate is not None:
            await self.gate.wait()
        return f"note-{len(self.notes)}"

    async def close(self) -> None: ...


@dataclass
class House:
    """A running server."""

    url: str
    container: Container
    http: httpx.AsyncClient
    """Of Alice, who may do everything in her tenant."""
    stranger: httpx.AsyncClient
    source: Source

    async def fill(self) -> None:
        """Put a small desk into the tables, and index it."""
        await self._put("default", _tickets(), _articles())
        foreign = [_ticket("42", "Refund of order 9911", f"{FOREIGN} for order 9911")]
        await self._put("other", foreign, [_article("1", "Refunds", f"<p>{FOREIGN}</p>", "customer")])

    async def _put(self, tenant: str, tickets: list[Any], articles: list[ArticleData]) -> None:
        def work(connection: Any) -> None:
            repository = TicketRepository(connection, tenant)
            repository.put("freshdesk", [ticket for ticket, _ in tickets], NOW)
            for ticket, said in tickets:
                repository.put_conversations("freshdesk", ticket.ticket_id, said, NOW)
            ArticleRepository(connection, tenant).put("freshdesk", articles, NOW)

        await self.container.database().write(work)
        async for _ in self.container.support_index().work(tenant):
            pass

    async def key(self, *scopes: str) -> str:
        """Return a new API key of Alice's tenant."""
        answer = await self.http.post("/api/v1/api-keys", json={"name": "a key", "scopes": list(scopes)})
        assert answer.status_code == 201, answer.text
        return str(answer.json()["api_key"])

    def client(self, token: str) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=self.url, headers={"Authorization": f"Bearer {token}"}, timeout=60)

    async def draft(self, ticket: str = "42", **body: Any) -> dict[str, Any]:
        """Return the run that waits with a draft."""
        answer = await self.http.post(f"/api/v1/tickets/{ticket}/drafts", json=body)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def decide(self, run_id: str, **body: Any) -> dict[str, Any]:
        answer = await self.http.post(f"/api/v1/drafts/{run_id}/decision", json=body)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def state(self, thread_id: str) -> dict[str, Any]:
        return dict((await self.http.get(f"/threads/{thread_id}/state")).json())

    async def chat(self, **body: Any) -> list[Frame]:
        """Return the events of a run of `copilot`."""
        answer = await self.http.post("/api/v1/chat/stream", json={"agent": "copilot", **body})
        assert answer.status_code == 200, answer.text
        return parse(answer.text)


def _ticket(number: str, title: str, text: str, *said: ConversationData, **changes: Any) -> tuple[TicketData, Any]:
    values: dict[str, Any] = {"status": 2, "status_name": "open", "priority": 2, "platform_created_at": NOW}
    data = TicketData(ticket_id=number, title=title, description=f"<p>{text}</p>", **(values | changes))
    return data, list(said)


def message(number: str, text: str, author: Any = "agent", kind: Any = "public") -> ConversationData:
    return ConversationData(
        conversation_id=number, content=text, message_type=kind, author_type=author, platform_created_at=NOW
    )


def _tickets() -> list[Any]:
    asked = (
        f"I would like a refund of order 7731, which came broken. This is Minji Kim,"
        f" my mail is {EMAIL} and my phone is {PHONE}."
        " How long does a refund take?"
    )
    return [
        _ticket(
            "42",
            "Refund of a broken order",
            asked,
            message("42-1", NOTE, kind="note"),
            requester_email=EMAIL,
            requester_name="Minji Kim",
        ),
        _ticket(
            "17",
            "Refund of order 5512",
            "My order 5512 came broken, and I would like a refund. How long does it take?",
            message("17-1", NOTE + " for 17", kind="private"),
            message("17-2", "The refund of a broken order is on your card within 5 working days."),
            status=5,
            status_name="closed",
        ),
        _ticket("60", "로그인 오류", "비밀번호를 바꾼 뒤 로그인이 되지 않습니다. 오류 코드는 AUTH-401 입니다."),
        _ticket("99", "Zeppelin timetable", "When does the next zeppelin to Antarctica leave from gate 12?"),
    ]


def _article(number: str, title: str, text: str, audience: Any) -> ArticleData:
    return ArticleData(
        article_id=number,
        title=title,
        description=text,
        audience=audience,
        published=True,
        url=f"https://help.example.com/{number}",
        platform_updated_at=NOW,
    )


def _articles() -> list[ArticleData]:
    refunds = (
        "<p>A broken order is refunded in full. A refund takes 5 working days from the day on which we have the"
        " parcel. Send the parcel back with the label that we mail you.</p>"
    )
    login = "<p>비밀번호를 바꾼 뒤 로그인이 되지 않으면(AUTH-401) 브라우저의 쿠키를 지우고 다시 로그인하세요.</p>"
    return [
        _article("1", "Refunds of broken orders", refunds, "customer"),
        _article("2", "로그인이 되지 않을 때", login, "customer"),
        _article("3", "Refunds: rules for agents", f"<p>{INTERNAL}. A refund of a broken order.</p>", "agent"),
    ]


@asynccontextmanager
async def open_house(folder: Path, **settings: Any) -> AsyncIterator[House]:
    """Serve everything over a folder."""
    made = Settings(
        _env_file=None,
        data_dir=folder,
        auth_mode="token",
        access_token=SecretStr(ALICE),
        tenant_tokens={"other": SecretStr(MALLORY)},
        sample_corpus=False,
        drain_seconds=0,
        **settings,
    )
    container = Container(settings=made)
    source = Source()

    async def of(tenant_id: str, platform: str) -> Any:
        assert (bool(tenant_id), platform) == (True, "freshdesk")
        return source

    desk = providers.Singleton(
        DeskService,
        container.database,
        container.similar_service,
        container.one_language_search,
        container.summary_service,
        of,
        container.clock,
    )
    container.desk_service.override(desk)
    app = create_app(container)
    whole = create_asgi(app)
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(lifespan(app))
        options: dict[str, Any] = {"log_config": None, "lifespan": "off", "ws": "websockets-sansio"}
        port = free_port()
        server = Server(uvicorn.Config(whole, port=port, access_log=False, timeout_graceful_shutdown=2, **options))
        task = asyncio.create_task(server.serve())
        async with asyncio.timeout(60):
            await server.ready.wait()
        url = f"http://127.0.0.1:{port}"
        clients = [
            await stack.enter_async_context(
                httpx.AsyncClient(base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=60)
            )
            for token in (ALICE, MALLORY)
        ]
        try:
            yield House(url, container, clients[0], clients[1], source)
        finally:
            server.stop.set()
            await task


Open = Callable[..., AbstractAsyncContextManager[House]]


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    """A server over a small desk, with the built-in extractive model."""
    async with open_house(tmp_path) as made:
        await made.fill()
        yield made


def last(frames: list[Frame]) -> Any:
    """Return the data of the last event of a stream."""
    return frames[-1].data


def plain(value: Any) -> str:
    """Return all that a value says, as one text to look for words in."""
    return orjson.dumps(value, default=str).decode()
