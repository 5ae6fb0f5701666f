"""All SQL of the summaries that are kept. A summary is found by what it was made from, so it is never stale."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import and_, delete, exists, or_, select

from backend.database.model import SummaryRow, TicketRow, table_of
from backend.dto.desk import Summary
from backend.repository.scope import AcrossTenants, Scoped
from backend.repository.upsert import upsert
from backend.util.storable import storable_json

_summaries = table_of(SummaryRow)
_tickets = table_of(TicketRow)
_live = (
    (_tickets.c.tenant_id == _summaries.c.tenant_id)
    & (_tickets.c.id == _summaries.c.ticket)
    & _tickets.c.deleted.is_(False)
)
_of_gone = _summaries.c.ticket.is_not(None) & ~exists().where(_live)


class SummaryRepository(Scoped):
    """The summaries of one tenant."""

    def find(self, digest: str) -> Summary | None:
        """Return the summary that was made from exactly this; None when there is none."""
        kept = self._connection.execute(
            select(_summaries.c.summary).where(_summaries.c.tenant_id == self._tenant_id, _summaries.c.digest == digest)
        ).scalar_one_or_none()
        return None if kept is None else summary_of(kept)

    def put(self, summary: Summary, now: datetime, ticket: UUID | None = None) -> None:
        """Keep a summary under its digest; a newer one takes its place."""
        row = {
            "tenant_id": self._tenant_id,
            "digest": summary.digest,
            "ticket": ticket,
            "summary": orjson.Fragment(storable_json(summary_record(summary))),
            "created_at": now,
        }
        upsert(self._connection, _summaries, [row], key=("tenant_id", "digest"), change=("summary",))

    def remove_of_gone(self) -> None:
        """Remove those of tickets that are gone, or deleted at their platform."""
        self._connection.execute(delete(_summaries).where(_summaries.c.tenant_id == self._tenant_id, _of_gone))

    def purge(self, before: datetime | None = None) -> None:
        """Remove all of them, or those that were made before a moment: the tenant's data is to go."""
        mine = _summaries.c.tenant_id == self._tenant_id
        condition = mine if before is None else mine & (_summaries.c.created_at < before)
        self._connection.execute(delete(_summaries).where(condition))


class AllSummaries(AcrossTenants):
    """Across tenants: for the sweeper alone, which removes what is old or of tickets that are gone."""

    def tenants_of_gone(self) -> list[str]:
        """Return the tenants that have summaries of tickets that are gone, or deleted at their platform."""
        return list(self._connection.scalars(select(_summaries.c.tenant_id).where(_of_gone).distinct()))

    def remove_older(self, before: datetime, limit: int) -> int:
        """Remove at most `limit` summaries that were made before a moment; return how many."""
        c = _summaries.c
        found = self._connection.execute(
            select(c.tenant_id, c.digest).where(c.created_at < before).order_by(c.created_at).limit(limit)
        ).all()
        if found:
            self._connection.execute(
                delete(_summaries).where(
                    or_(*(and_(c.tenant_id == row.tenant_id, c.digest == row.digest) for row in found))
                )
            )
        return len(found)


def summary_record(summary: Summary) -> dict[str, Any]:
    """Return a summary as JSON, as it is kept; personal data are placeholders in it."""
    return {**asdict(summary), "keywords": list(summary.keywords)}


def summary_of(record: Mapping[str, Any]) -> Summary:
    """Return the summary of a record."""
    return Summary(**{**record, "keywords": tuple(record["keywords"])})
