"""The request log in the database, and what of the requests goes into it.

`REQUEST_LOG` is `off` by default. Every request has its line in the server's own log already; this one is for a
tenant's administrators, and costs each request a few microseconds and each half second a write, which the quickest
routes, that write nothing otherwise, would feel. `errors` costs nothing while all goes well.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from sqlalchemy import Connection

from backend.core.request_log import RequestLog
from backend.database.base import Database
from backend.dto.principal import Principal
from backend.dto.request_log import RequestLine
from backend.repository.request_log import AllRequestLogs, RequestLogRepository
from backend.service.batch_writer import BatchWriter
from backend.util.id_generator import new_id

RequestLogMode = Literal["off", "errors", "all"]
SWEEP_BATCH = 500
PATH_LIMIT = 2000
USER_LIMIT = 255
METHOD_LIMIT = 16


class DatabaseRequestLog:
    """The `RequestLog` in the table `request_log`."""

    def __init__(
        self,
        database: Database,
        clock: Callable[[], datetime],
        *,
        keep_days: float,
        most: int = 10_000,
        seconds: float = 0.5,
    ) -> None:
        """Lines are removed after `keep_days`; at most this many wait to be written, which is done each `seconds`."""
        self._database = database
        self._clock = clock
        self._keep = timedelta(days=keep_days)
        self._writer: BatchWriter[RequestLine] = BatchWriter(
            "lines of the request log", self._write, most=most, seconds=seconds
        )

    @property
    def dropped(self) -> int:
        """How many lines were not kept since the start."""
        return self._writer.dropped

    async def open(self) -> None:
        await self._writer.open()

    async def close(self) -> None:
        await self._writer.close()

    def add(self, line: RequestLine) -> None:
        self._writer.add(line)

    async def flush(self) -> None:
        """Return when what was added can be read. Raises what `BatchWriter.flush` does."""
        await self._writer.flush()

    async def list(self, tenant_id: str, *, limit: int, before: UUID | None = None) -> list[RequestLine]:
        return await self._database.read(
            lambda connection: RequestLogRepository(connection, tenant_id).list(limit=limit, before=before)
        )

    async def sweep(self) -> int:
        """Remove what has been kept long enough, a batch at a time; return how many lines that were."""
        cutoff = self._clock() - self._keep
        removed = 0
        while True:
            count = await self._database.write(
                lambda connection: AllRequestLogs(connection).remove_before(cutoff, limit=SWEEP_BATCH), durable=False
            )
            removed += count
            if count < SWEEP_BATCH:
                return removed

    async def _write(self, lines: Sequence[RequestLine]) -> None:
        by_tenant: dict[str, list[RequestLine]] = {}
        for line in lines:
            by_tenant.setdefault(line.tenant_id, []).append(line)

        def work(connection: Connection) -> None:
            for tenant_id, own in by_tenant.items():
                RequestLogRepository(connection, tenant_id).add(own)

        await self._database.write(work, durable=False)


class RequestLogService:
    """Takes the ends of requests, and shows a tenant its own."""

    def __init__(self, log: RequestLog, clock: Callable[[], datetime], mode: RequestLogMode) -> None:
        self._log = log
        self._clock = clock
        self.enabled = mode != "off"
        self._least_status = 400 if mode == "errors" else 0

    def saw(
        self, principal: Principal | None, request_id: str, method: str, path: str, status: int, seconds: float
    ) -> None:
        """Take note of a request that has ended; one of nobody (refused at the door, or public) is nobody's to see."""
        if principal is None or not self.enabled or status < self._least_status:
            return
        self._log.add(
            RequestLine(
                log_id=new_id(),
                tenant_id=principal.tenant_id,
                user_id=_plain(principal.user_id)[:USER_LIMIT],
                request_id=request_id,
                method=method[:METHOD_LIMIT],
                path=_plain(path)[:PATH_LIMIT],
                status=status,
                milliseconds=round(seconds * 1000, 3),
                created_at=self._clock(),
            )
        )

    async def list(self, principal: Principal, *, limit: int, before: UUID | None = None) -> list[RequestLine]:
        """Return the lines of the caller's tenant, the newest first, behind the one named `before`."""
        return await self._log.list(principal.tenant_id, limit=limit, before=before)


def _plain(text: str) -> str:
    """Return a text without what a database refuses: NULs, and halves of characters."""
    return text.encode("utf-8", "replace").decode().replace("\x00", "\N{REPLACEMENT CHARACTER}")
