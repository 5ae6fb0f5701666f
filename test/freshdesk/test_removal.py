"""Uninstalling with purge: (000-57)."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from backend.core.collector.freshdesk.client import PLATFORM
from backend.database.base import Database
from backend.dto.principal import Principal
from backend.dto.sync import SyncCounts, SyncJob
from backend.dto.ticket import ArticleData, ConversationData, TicketData, TicketFilter
from backend.repository.article import ArticleRepository
from backend.repository.installation import InstallationRepository, PlatformEventRepository
from backend.repository.ticket import TicketRepository
from backend.service import platform_removal
from backend.service.platform_removal import PlatformRemoval

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Parts:
    """Stands for collections, index and files, and notes what it is asked."""

    def __init__(self) -> None:
        self.heard: list[Any] = []
        self.jobs = [self._job("running"), self._job("success"), self._job("paused")]

    def _job(self, status: Any) -> SyncJob:
        return SyncJob(
            job_id=uuid4(),
            tenant_id="alice",
            platform=PLATFORM,
            kind="full",
            status=status,
            stage="tickets",
            counts=SyncCounts(),
            created_at=NOW,
            updated_at=NOW,
        )

    async def active(self, principal: Principal, platform: str | None = None) -> Sequence[UUID]:
        assert (principal.tenant_id, platform) == ("alice", PLATFORM)
        return [job.job_id for job in self.jobs if not job.ended]

    async def cancel(self, principal: Principal, job_id: UUID) -> SyncJob:
        self.heard.append(("cancel", job_id))
        return self.jobs[0]

    async def wait(self, principal: Principal, job_id: UUID) -> SyncJob:
        self.heard.append(("wait", job_id))
        return self.jobs[0]

    async def purge(self, tenant_id: str, platform: str | None = None) -> None:
        self.heard.append(("purge", tenant_id, platform))

    async def remove(self, tenant_id: str, tickets: Sequence[UUID]) -> None:
        self.heard.append(("tickets", tenant_id, len(tickets)))

    async def forget_threads(self, tenant_id: str) -> None:
        self.heard.append(("threads", tenant_id))

    async def remove_articles(self, tenant_id: str, articles: Sequence[UUID]) -> None:
        self.heard.append(("articles", tenant_id, len(articles)))


async def fill(database: Database, tenant_id: str) -> None:
    tickets = [
        TicketData(
            ticket_id=str(n),
            title="t",
            description="d",
            status=2,
            status_name="open",
            priority=1,
            platform_updated_at=NOW,
        )
        for n in range(1, 8)
    ]
    message = ConversationData(conversation_id="1", content="c", message_type="public", author_type="customer")
    articles = [
        ArticleData(
            article_id=str(n), title="a", description="d", audience="customer", published=True, platform_updated_at=NOW
        )
        for n in range(1, 6)
    ]

    def work(connection: Any) -> None:
        TicketRepository(connection, tenant_id).put(PLATFORM, tickets, NOW)
        TicketRepository(connection, tenant_id).put_conversations(PLATFORM, "1", [message], NOW)
        ArticleRepository(connection, tenant_id).put(PLATFORM, articles, NOW)
        PlatformEventRepository(connection, tenant_id).add(PLATFORM, "k" * 64, NOW)

    await database.write(work)


async def left(database: Database, tenant_id: str) -> tuple[int, int, bool]:
    return await database.read(
        lambda c: (
            TicketRepository(c, tenant_id).count(TicketFilter()),
            ArticleRepository(c, tenant_id).count(),
            PlatformEventRepository(c, tenant_id).seen(PLATFORM, "k" * 64),
        )
    )


async def test_what_was_collected_goes_and_another_tenants_stays(database: Database, monkeypatch: Any) -> None:
    monkeypatch.setattr(platform_removal, "BATCH", 2)
    for tenant_id in ("alice", "mallory"):
        await fill(database, tenant_id)
    parts = Parts()
    removal = PlatformRemoval(database, parts, parts, parts, forget_threads=parts.forget_threads)
    for _ in range(2):  # once more does no harm
        await removal.purge("alice", PLATFORM)
        await database.write(lambda c: InstallationRepository(c, "alice").delete(PLATFORM))
    assert await left(database, "alice") == (0, 0, False)
    assert await left(database, "mallory") == (7, 5, True)
    assert sum(entry[2] for entry in parts.heard if entry[0] == "articles") == 5
    assert sum(entry[2] for entry in parts.heard if entry[0] == "tickets") == 7
    assert ("purge", "alice", PLATFORM) in parts.heard
    assert "mallory" not in str(parts.heard)


async def test_only_collections_that_have_not_ended_are_stopped_and_waited_for(database: Database) -> None:
    parts = Parts()
    await PlatformRemoval(database, parts, parts, parts, forget_threads=parts.forget_threads).stop("alice", PLATFORM)
    running, _, paused = (job.job_id for job in parts.jobs)
    assert parts.heard == [("cancel", running), ("cancel", paused), ("wait", running), ("wait", paused)]
