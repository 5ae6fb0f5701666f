"""The client that talks to the server that owns the data folder, and keeps to it through its restarts."""

import asyncio
import os
import time
from collections.abc import AsyncGenerator, AsyncIterator, Container, Iterator, Sequence
from contextlib import ExitStack, aclosing, asynccontextmanager, suppress
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit
from uuid import UUID

import httpx
import orjson

from backend.cli.client import Question, Said
from backend.cli.terminal import CommandError
from backend.config.setting import Settings
from backend.core.collector.file.folder import find_files
from backend.core.collector.file.reason import refused
from backend.core.error import InvalidFile
from backend.dto.knowledge import FileReport
from backend.util.id_generator import new_id

if TYPE_CHECKING:
    from backend.schema.sync import SyncJobRead

PATIENCE_SECONDS = 60.0
"""How long a server that restarts is waited for."""
SILENCE_SECONDS = 20.0
"""A stream beats every 5 seconds; one that is silent for this long is dead."""
STOP_SECONDS = 5.0
PAUSE_SECONDS = 0.25
BATCH_FILES = 50
BATCH_BYTES = 8 * 1024 * 1024
ENVELOPE = 2048
"""Bytes of a request around the file."""
_ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  # where a server is that listens everywhere


class _NotReady(httpx.TransportError):
    """The server is starting or stopping."""


class _Frame(NamedTuple):
    name: str
    id: str | None
    data: bytes


class _File(NamedTuple):
    source: str
    """Its name among the documents."""
    path: Path
    size: int


class _Stream(NamedTuple):
    """Where a stream is begun. It is read on after a break at the `Location` that the answer names, or there again."""

    method: str
    path: str
    body: Any = None
    key: str | None = None
    """With an idempotency key, beginning it twice begins it once."""


@asynccontextmanager
async def open_http(url: str, token: str | None, settings: Settings) -> AsyncIterator["HttpClient"]:
    """Give a client for the server at `url`, which is on this machine: no proxy is asked."""
    host = urlsplit(url).hostname or ""
    if here := _ANYWHERE.get(host):
        url = url.replace(host, here, 1)
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    timeout = httpx.Timeout(SILENCE_SECONDS, connect=5.0)
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=timeout, trust_env=False) as http:
        yield HttpClient(http, settings.max_upload_bytes)


class HttpClient:
    def __init__(self, http: httpx.AsyncClient, max_upload_bytes: int) -> None:
        self._http = http
        self._max_upload_bytes = max_upload_bytes

    async def ask(self, question: Question) -> AsyncGenerator[Said]:
        stream = _Stream("POST", "/api/v1/chat/stream", question.body(), key=str(new_id()))
        async with aclosing(self._run(stream)) as events:
            async for said in events:
                yield said

    async def resume(self, run_id: UUID, answer: Any) -> AsyncGenerator[Said]:
        stream = _Stream("POST", f"/api/v1/runs/{run_id}/resume", {"answer": answer, "stream": True})
        async with aclosing(self._run(stream)) as events:
            async for said in events:
                yield said

    async def ingest(self, paths: Sequence[Path]) -> AsyncGenerator[list[FileReport]]:
        from backend.service.ingest import MAX_FILES

        files = [file for path in paths for file in (await asyncio.to_thread(find_files, path, MAX_FILES)).files]
        sendable, reports = await asyncio.to_thread(self._look, files)
        if reports:
            yield reports
        for batch in self._batches(sendable):
            async with aclosing(self._job(batch)) as states:
                async for done in states:
                    yield done

    async def collect(self, kind: str, platform: str, *, watch: bool) -> AsyncGenerator["SyncJobRead"]:
        """Begin to collect from a platform; yield the job, and with `watch` each of its states up to its end.

        It goes on when the command does not: the server does the work.
        """
        from backend.schema.sync import SyncJobRead

        answer = await self._http.post("/api/v1/sync/jobs", json={"kind": kind, "platform": platform})
        await _check(answer)
        job = SyncJobRead.model_validate_json(answer.content)
        yield job
        if watch:
            path = f"/api/v1/sync/jobs/{job.job_id}/events"
            async with aclosing(self._follow(_Stream("GET", path), until={"done"})) as frames:
                async for frame in frames:
                    yield SyncJobRead.model_validate_json(frame.data)

    async def call(self, method: str, path: str, body: Any = None, **query: Any) -> Any:
        """Return what the server answers to one request.

        Raises:
            CommandError: it refuses.
        """
        try:
            answer = await self._http.request(method, path, json=body, params=query or None)
            await _check(answer)
        except httpx.TransportError as error:
            raise CommandError(f"The server does not answer ({error}).") from error
        return orjson.loads(answer.content) if answer.content else None

    async def follow(self, method: str, path: str, body: Any = None) -> AsyncGenerator[Said]:
        """Yield the events of a stream, up to its last."""
        stream = _Stream(method, path, body)
        async with aclosing(self._follow(stream, until={"done", "error", "resync"})) as frames:
            async for frame in frames:
                yield Said(frame.name, orjson.loads(frame.data))

    async def _run(self, stream: _Stream) -> AsyncGenerator[Said]:
        run_id = None
        ended = False
        try:
            async with aclosing(self._follow(stream, until={"done", "error", "resync"})) as frames:
                async for frame in frames:
                    said = Said(frame.name, orjson.loads(frame.data))
                    run_id = said.data.get("run_id", run_id)
                    ended = said.name in {"done", "error"}
                    if said.name == "resync":
                        raise CommandError(str(said.data.get("detail")))
                    yield said
        finally:
            if run_id is not None and not ended:
                await self._stop(f"/api/v1/runs/{run_id}/cancel")

    async def _job(self, files: Sequence[_File]) -> AsyncGenerator[list[FileReport]]:
        from backend.schema.knowledge import JobRead

        job = JobRead.model_validate_json(await self._upload(files))
        path = f"/api/v1/knowledge/jobs/{job.job_id}"
        try:
            async with aclosing(self._follow(_Stream("GET", f"{path}/events"), until={"done"})) as frames:
                async for frame in frames:
                    job = JobRead.model_validate_json(frame.data)
                    yield [FileReport(**report.model_dump()) for report in job.reports]
        finally:
            if job.status in {"pending", "running"}:
                await self._stop(f"{path}/cancel")
        if job.status != "success":
            raise CommandError(job.error or "The ingestion was stopped.")

    async def _upload(self, files: Sequence[_File]) -> bytes:
        """Return the job that was made, as JSON."""
        patience = _Patience()
        while True:
            try:
                with ExitStack() as stack:
                    parts = [("files", (source, stack.enter_context(path.open("rb")))) for source, path, _ in files]
                    answer = await self._http.post("/api/v1/knowledge/upload", files=parts)
                await _check(answer)
                return answer.content
            except (httpx.ConnectError, _NotReady) as error:
                await patience.wait(error)

    def _look(self, files: Sequence[tuple[str, Path]]) -> tuple[list[_File], list[FileReport]]:
        """Tell the files that can be sent from those that cannot, which are reported."""
        limit = self._max_upload_bytes - ENVELOPE
        sendable: list[_File] = []
        reports = []
        for source, path in files:
            try:
                with path.open("rb") as file:
                    size = os.fstat(file.fileno()).st_size
                if size > limit:
                    raise refused("too_large", size=size, limit=limit)
                sendable.append(_File(source, path, size))
            except InvalidFile as error:
                reports.append(_failed(source, error))
            except OSError:
                reports.append(_failed(source, refused("not_found")))
        return sendable, reports

    def _batches(self, files: Sequence[_File]) -> Iterator[list[_File]]:
        """Yield what goes into one upload: the server's limit is on the whole of it."""
        limit = min(BATCH_BYTES, self._max_upload_bytes)
        batch: list[_File] = []
        size = 0
        for file in files:
            own = file.size + ENVELOPE
            if batch and (len(batch) == BATCH_FILES or size + own > limit):
                yield batch
                batch, size = [], 0
            batch.append(file)
            size += own
        if batch:
            yield batch

    async def _follow(self, stream: _Stream, *, until: Container[str]) -> AsyncGenerator[_Frame]:
        """Yield the events up to the first of `until`, each once, also when the server starts again between them."""
        method, path, body, key = stream
        patience = _Patience()
        last: str | None = None
        again = key is not None or method == "GET"
        while True:
            headers = {"Last-Event-ID": last} if last else {"Idempotency-Key": key} if key else {}
            try:
                async with self._http.stream(method, path, json=body, headers=headers) as answer:
                    await _check(answer)
                    if location := answer.headers.get("Location"):
                        method, path, body, key, again = "GET", location, None, None, True
                    async for frame in _frames(answer):
                        last = frame.id or last
                        patience = _Patience()
                        yield frame
                        if frame.name in until:
                            return
                await patience.wait(_NotReady("the stream ended before the run did"))
            except (httpx.ConnectError, _NotReady) as error:
                await patience.wait(error)
            except httpx.TransportError as error:
                if not again:
                    raise CommandError(f"The server broke off ({type(error).__name__}).") from error
                await patience.wait(error)

    async def _stop(self, path: str) -> None:
        """Ask the server to stop what was begun; it may have ended, or be gone."""
        with suppress(httpx.HTTPError):
            await self._http.post(path, json={}, timeout=STOP_SECONDS)


class _Patience:
    """Waits for a server that restarts, but not for ever."""

    def __init__(self) -> None:
        self._until = time.monotonic() + PATIENCE_SECONDS

    async def wait(self, error: httpx.TransportError) -> None:
        if time.monotonic() > self._until:
            raise CommandError(
                f"The server does not answer ({error}); what it was given goes on when it is back."
            ) from error
        await asyncio.sleep(PAUSE_SECONDS)


async def _check(answer: httpx.Response) -> None:
    """Raise what the server says against the request."""
    if answer.is_success:
        return
    await answer.aread()
    if answer.status_code == HTTPStatus.SERVICE_UNAVAILABLE:
        raise _NotReady("it is not ready")
    try:
        problem = orjson.loads(answer.content)
        detail = str(problem["detail"])
    except (ValueError, KeyError, TypeError):
        detail = f"The server answered {answer.status_code}; is it Daedap?"
    if answer.status_code == HTTPStatus.UNAUTHORIZED:
        detail = f"The server does not take the token of the settings ({detail}); was it started with other ones?"
    raise CommandError(detail)


async def _frames(answer: httpx.Response) -> AsyncGenerator[_Frame]:
    """Yield the events of a stream. Bytes are split, not lines of text: JSON may hold what Unicode calls a new line."""
    rest = b""
    async for part in answer.aiter_bytes():
        *blocks, rest = (rest + part).split(b"\r\n\r\n")
        for block in blocks:
            fields = dict(line.split(b": ", 1) for line in block.split(b"\r\n") if not line.startswith(b":"))
            if name := fields.get(b"event"):
                event_id = fields.get(b"id")
                yield _Frame(name.decode(), event_id.decode() if event_id else None, fields.get(b"data", b"{}"))


def _failed(source: str, error: InvalidFile) -> FileReport:
    members = error.members
    return FileReport(source, "failed", error.detail, code=members["code"], reason_ko=members["detail_ko"])
