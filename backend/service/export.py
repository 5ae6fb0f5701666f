"""Taking along all that a tenant has here: one stream, in bounded memory, without secrets."""

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy import Connection, Table

from backend.core.error import Forbidden, Unauthorized
from backend.database.base import Database
from backend.dto.principal import Principal
from backend.repository.export import ExportRepository, Place, Row, tables_for
from backend.service.audit import AuditPen

PAGE = 50
"""Rows that are in memory at once: a ticket may have megabytes."""
FORMAT = 1


@dataclass(frozen=True, slots=True)
class ExportPage:
    """Rows of one table."""

    table: str
    rows: Sequence[Row]


class ExportService:
    """Reads page by page: what is changed meanwhile is in the export as it was or as it is, and nothing twice."""

    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._clock = clock

    async def begin(
        self, principal: Principal, check: Callable[[], Awaitable[None]] | None = None
    ) -> AsyncIterator[dict[str, Any] | ExportPage]:
        """Record who takes the data along; return what to send: a head, pages, and an end with the counts.

        A table is in it when the caller may read it. `check` is asked before each page, and ends it with an error where
        it raises Unauthorized or Forbidden: who was let in an hour ago may not be any more.
        """
        now = self._clock()
        tables = tables_for(principal.scopes)
        names = [str(table.name) for table in tables]
        pen = AuditPen.of(principal)
        await self._database.write(
            lambda c: pen.write(c, principal.tenant_id, "tenant.exported", now, principal.tenant_id, tables=names)
        )
        head = {"format": FORMAT, "tenant_id": principal.tenant_id, "exported_at": now, "tables": names}
        return self._pages(principal.tenant_id, head, tables, check)

    async def _pages(
        self, tenant_id: str, head: dict[str, Any], tables: Sequence[Table], check: Callable[[], Awaitable[None]] | None
    ) -> AsyncIterator[dict[str, Any] | ExportPage]:
        yield {"export": head}
        counts: Counter[str] = Counter({str(table.name): 0 for table in tables})
        for table in tables:
            after: Place | None = None
            while True:
                try:
                    if check is not None:
                        await check()
                except (Unauthorized, Forbidden) as error:
                    yield {"error": error.detail}
                    return
                rows, after = await self._database.read(partial(_page, tenant_id, table, after))
                counts[str(table.name)] += len(rows)
                yield ExportPage(str(table.name), rows)
                if after is None:
                    break
        yield {"end": dict(counts)}


def _page(tenant_id: str, table: Table, after: Place | None, connection: Connection) -> tuple[list[Row], Place | None]:
    return ExportRepository(connection, tenant_id).page(table, PAGE, after)
