"""All SQL of the request log."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, delete, insert, select, tuple_

from backend.database.model.base import table_of
from backend.database.model.request_log import RequestLogRow
from backend.dto.request_log import RequestLine
from backend.repository.scope import AcrossTenants, Scoped

_log = table_of(RequestLogRow)
_NAMES = [column.name for column in _log.columns]


class RequestLogRepository(Scoped):
    """What one tenant asked."""

    def add(self, lines: Sequence[RequestLine]) -> None:
        """Keep lines of the tenant's."""
        rows = [{name: getattr(line, name) for name in _NAMES} | {"tenant_id": self._tenant_id} for line in lines]
        self._connection.execute(insert(_log), rows)

    def list(self, *, limit: int, before: UUID | None = None) -> list[RequestLine]:
        """Return lines, the newest first, behind the one named `before`."""
        query = select(_log).where(_log.c.tenant_id == self._tenant_id).order_by(_log.c.log_id.desc()).limit(limit)
        if before is not None:
            query = query.where(_log.c.log_id < before)
        return [_line(row) for row in self._connection.execute(query)]


class AllRequestLogs(AcrossTenants):
    """The lines of all tenants, for the sweeper alone."""

    def remove_before(self, moment: datetime, *, limit: int) -> int:
        """Remove at most `limit` lines that are older; return how many."""
        key = tuple_(_log.c.tenant_id, _log.c.log_id)
        old = select(_log.c.tenant_id, _log.c.log_id).where(_log.c.created_at < moment)
        old = old.order_by(_log.c.created_at).limit(limit)
        return self._connection.execute(delete(_log).where(key.in_(old))).rowcount


def _line(row: Row[Any]) -> RequestLine:
    return RequestLine(**{name: getattr(row, name) for name in _NAMES})
