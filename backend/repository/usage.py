"""All SQL of the usage ledger."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, String, case, cast, func, insert, literal, select
from sqlalchemy.dialects import postgresql

from backend.database.model.base import table_of
from backend.database.model.usage import UsageRow
from backend.dto.usage import Usage, UsageGroup, UsageRecord, UsageSum
from backend.repository.scope import Scoped
from backend.repository.upsert import insert_into

_usage = table_of(UsageRow)
_SUMS: dict[str, ColumnElement[Any]] = {
    "runs": func.count(),
    "calls": func.coalesce(func.sum(_usage.c.calls), 0),
    "input_tokens": func.coalesce(func.sum(_usage.c.input_tokens), 0),
    "output_tokens": func.coalesce(func.sum(_usage.c.output_tokens), 0),
    "cost": func.coalesce(func.sum(_usage.c.cost), 0.0),
    "latency": func.coalesce(func.sum(_usage.c.latency), 0.0),
    "estimated": func.coalesce(func.sum(case((_usage.c.estimated, 1), else_=0)), 0),
}
Offsets = Sequence[tuple[datetime, int]]
"""Until when a clock is how many minutes ahead of UTC, in order."""


class UsageRepository(Scoped):
    """What the runs of one tenant used, and the server for it."""

    def add(self, run_id: UUID, user_id: str, usage: Usage, now: datetime, *, agent: str | None = None) -> None:
        """Record what a run used; once a run, when it ends. Other work of the server has an id of its own."""
        self._connection.execute(insert(_usage), self._row(run_id, user_id, usage, now, agent))

    def add_many(self, records: Sequence[UsageRecord]) -> None:
        """Record several of the tenant's, those that are there already left as they are."""
        statement = insert_into(self._connection, _usage).on_conflict_do_nothing(index_elements=["run_id"])
        self._connection.execute(
            statement,
            [
                self._row(record.run_id, record.user_id, record.usage, record.created_at, record.agent)
                for record in records
            ],
        )

    def _row(self, run_id: UUID, user_id: str, usage: Usage, now: datetime, agent: str | None) -> dict[str, Any]:
        return {
            "run_id": run_id,
            "tenant_id": self._tenant_id,
            "user_id": user_id,
            "model": usage.model,
            "input_tokens": usage.input_tokens,
            "output_tokens": usage.output_tokens,
            "cost": usage.cost,
            "latency": usage.latency,
            "calls": usage.calls,
            "estimated": usage.estimated,
            "created_at": now,
            "agent": agent,
        }

    def find(self, run_id: UUID) -> UsageRecord | None:
        """Return what a run used; None when it has not ended or used no model."""
        row = self._connection.execute(
            select(_usage).where(_usage.c.tenant_id == self._tenant_id, _usage.c.run_id == run_id)
        ).one_or_none()
        return None if row is None else _record(row)

    def total(self, since: datetime, until: datetime, user_id: str | None = None) -> UsageSum:
        """Return what was used from one moment on and before another, by all or by one."""
        columns = [column.label(name) for name, column in _SUMS.items()]
        row = self._connection.execute(select(*columns).where(*self._within(since, until, user_id))).one()
        return _sum(row)

    def ids(self, since: datetime, user_id: str | None = None, *, limit: int) -> list[UUID]:
        """Return the last runs that were recorded since a moment, at most `limit`."""
        conditions = [_usage.c.tenant_id == self._tenant_id, _usage.c.created_at >= since]
        if user_id is not None:
            conditions.append(_usage.c.user_id == user_id)
        query = select(_usage.c.run_id).where(*conditions).order_by(_usage.c.created_at.desc()).limit(limit)
        return list(self._connection.execute(query).scalars())

    def report(
        self,
        group_by: UsageGroup,
        since: datetime,
        until: datetime,
        *,
        offsets: Offsets,
        user_id: str | None = None,
        limit: int,
    ) -> tuple[list[tuple[str | None, UsageSum]], UsageSum]:
        """Return the sums of at most `limit` groups, and that of all, by one statement.

        Days are those of a clock that is as far ahead of UTC as `offsets` says.
        """
        key = self._day(offsets) if group_by == "day" else _COLUMNS[group_by]
        columns = [column.label(name) for name, column in _SUMS.items()]
        # Sums of sums, over all groups: the limit comes after them.
        totals = [func.sum(column).over().label(f"total_{name}") for name, column in _SUMS.items()]
        order = [key] if group_by == "day" else [_SUMS["cost"].desc(), _SUMS["calls"].desc(), key]
        query = (
            select(key.label("key"), *columns, *totals)
            .where(*self._within(since, until, user_id))
            .group_by(key)
            .order_by(*order)
            .limit(limit)
        )
        rows = self._connection.execute(query).all()
        groups = [(None if row.key is None else str(row.key), _sum(row)) for row in rows]
        return groups, _sum(rows[0], "total_") if rows else UsageSum()

    def _within(self, since: datetime, until: datetime, user_id: str | None) -> list[ColumnElement[bool]]:
        conditions: list[ColumnElement[bool]] = [
            _usage.c.tenant_id == self._tenant_id,
            _usage.c.created_at >= since,
            _usage.c.created_at < until,
        ]
        if user_id is not None:
            conditions.append(_usage.c.user_id == user_id)
        return conditions

    def _day(self, offsets: Offsets) -> ColumnElement[Any]:
        """Return the text of the day that a row was recorded on. Its numbers are ours, and stand in the statement."""
        *before, (_, last) = offsets
        if not before:
            return self._shifted(last)
        return case(
            *((_usage.c.created_at < until, self._shifted(minutes)) for until, minutes in before),
            else_=self._shifted(last),
        )

    def _shifted(self, minutes: int) -> ColumnElement[Any]:
        if self._connection.dialect.name == "sqlite":
            return func.date(_usage.c.created_at, literal(f"{minutes:+d} minutes", literal_execute=True), type_=String)
        utc = func.timezone(literal("UTC", literal_execute=True), _usage.c.created_at)
        ahead = cast(
            literal(timedelta(minutes=minutes).total_seconds(), literal_execute=True).concat(" seconds"),
            postgresql.INTERVAL,
        )
        return func.to_char(utc + ahead, literal("YYYY-MM-DD", literal_execute=True), type_=String)


_COLUMNS: dict[str, ColumnElement[Any]] = {
    "user": _usage.c.user_id,
    "agent": _usage.c.agent,
    "model": _usage.c.model,
}


def _sum(row: Row[Any], prefix: str = "") -> UsageSum:
    found = row._mapping
    return UsageSum(
        runs=int(found[f"{prefix}runs"]),
        calls=int(found[f"{prefix}calls"]),
        input_tokens=int(found[f"{prefix}input_tokens"]),
        output_tokens=int(found[f"{prefix}output_tokens"]),
        cost=float(found[f"{prefix}cost"]),
        latency=float(found[f"{prefix}latency"]),
        estimated=int(found[f"{prefix}estimated"]),
    )


def _record(row: Row[tuple[object, ...]]) -> UsageRecord:
    usage = Usage(
        model=row.model,
        input_tokens=row.input_tokens,
        output_tokens=row.output_tokens,
        cost=row.cost,
        calls=row.calls,
        latency=row.latency,
        estimated=row.estimated,
    )
    return UsageRecord(row.run_id, row.tenant_id, row.user_id, usage, row.created_at, row.agent)
