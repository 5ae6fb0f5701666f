"""The client that works in this process: the server's parts, opened as the server opens them, without a port."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import orjson
from pydantic import ValidationError

from backend.cli.client import Question, Said
from backend.cli.terminal import CommandError
from backend.config.setting import Settings
from backend.container import Container
from backend.core.error import RunEnded
from backend.dto.knowledge import FileReport
from backend.dto.principal import Principal
from backend.dto.run import Run
from backend.main import create_app, whole_life
from backend.schema.chat import ChatRequest

if TYPE_CHECKING:
    from backend.dto.event import Event

DRAIN_SECONDS = 2.0
"""How long a command that ends waits for runs that a server left behind; the next start has them again."""
SAMPLE_SECONDS = 120.0
STOP_SECONDS = 10.0
PAGE = 100


@asynccontextmanager
async def open_local(settings: Settings, token: str | None) -> AsyncIterator["LocalClient"]:
    """Own the data folder for as long as the client is used.

    Raises:
        DomainError: a part cannot be opened.
    """
    container = Container(settings=settings.model_copy(update={"drain_seconds": DRAIN_SECONDS}))
    async with whole_life(create_app(container)):
        yield LocalClient(container, await container.authenticator().authenticate(token))


class LocalClient:
    def __init__(self, container: Container, principal: Principal) -> None:
        self._runs = container.run_service()
        self._ingest = container.ingest_service()
        self._knowledge = container.knowledge_service()
        self._max_chars = container.settings().max_question_chars
        self._principal = principal

    async def ask(self, question: Question) -> AsyncGenerator[Said]:
        try:
            asked = ChatRequest.read(orjson.dumps(question.body()), self._max_chars)
        except ValidationError as error:
            raise CommandError(str(error.errors()[0]["msg"])) from None
        await self._sample_is_in()
        run = await self._runs.start(self._principal, asked.run_request(), thread_id=asked.thread_id)
        async with aclosing(self._follow(run)) as events:
            async for said in events:
                yield said

    async def resume(self, run_id: UUID, answer: Any) -> AsyncGenerator[Said]:
        run = await self._runs.resume(self._principal, run_id, answer)
        async with aclosing(self._follow(run)) as events:
            async for said in events:
                yield said

    async def ingest(self, paths: Sequence[Path]) -> AsyncGenerator[list[FileReport]]:
        for path in paths:
            job = await self._ingest.submit_folder(self._principal, path)
            try:
                async with aclosing(self._ingest.progress(self._principal, job.job_id)) as states:
                    async for job in states:
                        yield list(job.reports)
            finally:
                if not job.ended:
                    await self._ingest.cancel(self._principal, job.job_id)
                    await self._until_ended(job.job_id, STOP_SECONDS)
            if job.status != "success":
                raise CommandError(job.error or "The ingestion was stopped.")

    async def keep_only(self, sources: set[str]) -> None:
        """Remove the documents with other sources than these."""
        before = None
        stale: list[UUID] = []
        while page := await self._knowledge.list(self._principal, limit=PAGE, before=before):
            stale += [document.document_id for document in page if document.source not in sources]
            before = page[-1].updated_at, page[-1].document_id
        for document_id in stale:
            await self._knowledge.delete(self._principal, document_id)

    async def _follow(self, run: Run) -> AsyncGenerator[Said]:
        batches = self._runs.events(self._principal, run)
        last: Event | None = None
        try:
            async for batch in batches:
                for last in batch:
                    yield Said(last.name, orjson.loads(last.data))
        finally:
            if last is None or not last.ends_run:
                with suppress(RunEnded):
                    await self._runs.cancel(self._principal, run.run_id)

    async def _sample_is_in(self) -> None:
        """Wait for the shipped corpus on a first start, so that the first question has an answer."""
        for job in await self._ingest.list(self._principal):
            if job.kind == "sample" and not job.ended:
                await self._until_ended(job.job_id, SAMPLE_SECONDS)

    async def _until_ended(self, job_id: UUID, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._ingest.wait(self._principal, job_id)
