"""All SQL of crons. `CronRepository` sees those of one tenant; `DueCrons`, for the scheduler, those of all."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import ColumnElement, Row, and_, bindparam, delete, func, insert, or_, select, update

from backend.core.error import CronNotFound
from backend.database.model import CronRow, table_of
from backend.dto.assistant import SortOrder
from backend.dto.cron import Cron, CronSearch, CronSortField
from backend.dto.principal import SCOPES, Principal
from backend.repository.containment import contained, passing
from backend.repository.scope import AcrossTenants, Scoped
from backend.util.containment import Filters

_crons = table_of(CronRow)
DISABLED_REASON = "disabled_reason"
"""The key of a cron's metadata that says why the server disabled it."""
_one = (_crons.c.tenant_id == bindparam("tenant")) & (_crons.c.cron_id == bindparam("cron"))


class CronRepository(Scoped):
    def insert(self, cron: Cron) -> None:
        """Add a cron."""
        values = {
            "tenant_id": self._tenant_id,
            "cron_id": cron.cron_id,
            "user_id": cron.owner.user_id,
            "owner": _kept(cron.owner),
            "created_at": cron.created_at,
            **_changeable(cron),
        }
        self._connection.execute(insert(_crons), values)

    def get(self, cron_id: UUID, *, only: Filters = None, lock: bool = False) -> Cron:
        """Return a cron; `lock` keeps others from changing it until the transaction ends.

        Raises:
            CronNotFound: no such cron, another tenant's, or one that `only` hides.
        """
        query = select(_crons).where(_one, *self._visible(only))
        if lock:
            query = query.with_for_update()
        row = self._connection.execute(query, {"tenant": self._tenant_id, "cron": cron_id}).one_or_none()
        if row is None:
            raise CronNotFound(cron_id)
        return _cron(row)

    def update(self, cron: Cron) -> None:
        """Write what can change of a cron; a server that is just starting its run has lost its claim."""
        statement = update(_crons).where(_one)
        statement = statement.values(claimed_until=None, owner=_kept(cron.owner), **_changeable(cron))
        self._connection.execute(statement, {"tenant": self._tenant_id, "cron": cron.cron_id})

    def delete(self, cron_id: UUID, *, only: Filters = None) -> None:
        """Remove a cron.

        Raises:
            CronNotFound: no such cron, another tenant's, or one that `only` hides.
        """
        statement = delete(_crons).where(_one, *self._visible(only))
        done = self._connection.execute(statement, {"tenant": self._tenant_id, "cron": cron_id})
        if done.rowcount == 0:
            raise CronNotFound(cron_id)

    def delete_of_assistant(self, assistant_id: UUID) -> None:
        """Remove the crons of an assistant (those of a thread go with its row)."""
        self._connection.execute(
            delete(_crons).where(_crons.c.tenant_id == self._tenant_id, _crons.c.assistant_id == assistant_id)
        )

    def search(
        self,
        wanted: CronSearch,
        *,
        limit: int,
        offset: int = 0,
        sort_by: CronSortField = "created_at",
        sort_order: SortOrder = "desc",
        only: Filters = None,
    ) -> list[Cron]:
        """Return crons in order; those without a value to sort by come last."""
        column = _crons.c[sort_by]
        if sort_order == "asc":
            order = column.asc().nulls_last(), _crons.c.cron_id.asc()
        else:
            order = column.desc().nulls_last(), _crons.c.cron_id.desc()
        query = select(_crons).where(self._matching(wanted, only)).order_by(*order).limit(limit).offset(offset)
        return [_cron(row) for row in self._connection.execute(query)]

    def count(self, wanted: CronSearch, *, only: Filters = None) -> int:
        query = select(func.count()).select_from(_crons).where(self._matching(wanted, only))
        return self._connection.scalar(query) or 0

    def _matching(self, wanted: CronSearch, only: Filters) -> ColumnElement[bool]:
        conditions = [_crons.c.tenant_id == self._tenant_id, *self._visible(only)]
        if wanted.assistant_id is not None:
            conditions.append(_crons.c.assistant_id == wanted.assistant_id)
        if wanted.thread_id is not None:
            conditions.append(_crons.c.thread_id == wanted.thread_id)
        if wanted.enabled is not None:
            conditions.append(_crons.c.enabled == wanted.enabled)
        if wanted.metadata:
            conditions.append(contained(self._connection, _crons.c.metadata, wanted.metadata))
        return and_(*conditions)

    def _visible(self, only: Filters) -> list[ColumnElement[bool]]:
        condition = passing(self._connection, _crons.c.metadata, only)
        return [] if condition is None else [condition]


class DueCrons(AcrossTenants):
    """The crons of all tenants by the time at which they fire, for the scheduler alone."""

    def next_date(self) -> datetime | None:
        """Return when a cron is due next, or a claim runs out; None when there is neither."""
        waiting = select(func.min(_crons.c.next_run_date)).where(_scheduled, _crons.c.claimed_until.is_(None))
        claimed = select(func.min(_crons.c.claimed_until)).where(_scheduled)
        dates = self._connection.scalar(waiting), self._connection.scalar(claimed)
        return min((date for date in dates if date is not None), default=None)

    def claim(self, now: datetime, until: datetime, *, limit: int) -> list[Cron]:
        """Return crons that are due, the longest overdue first, and keep them from other servers until `until`."""
        free = _scheduled, _crons.c.next_run_date <= now, _unclaimed(now)
        due = self._connection.execute(select(_crons).where(*free).order_by(_crons.c.next_run_date).limit(limit)).all()
        return [_cron(row) for row in due if self._claim(row, now, until)]

    def finish(self, cron: Cron, next_run_date: datetime | None) -> None:
        """Go on to the next firing, unless the cron was changed or deleted meanwhile."""
        statement = (
            update(_crons)
            .where(_one, _crons.c.next_run_date == cron.next_run_date, _crons.c.claimed_until.is_not(None))
            .values(next_run_date=next_run_date, claimed_until=None)
        )
        self._connection.execute(statement, {"tenant": cron.owner.tenant_id, "cron": cron.cron_id})

    def disable(self, cron: Cron, reason: str, now: datetime) -> bool:
        """Let a claimed cron fire no more, and say why in its metadata; whether it was not changed meanwhile."""
        statement = (
            update(_crons)
            .where(_one, _crons.c.next_run_date == cron.next_run_date, _crons.c.claimed_until.is_not(None))
            .values(
                enabled=False,
                metadata={**cron.metadata, DISABLED_REASON: reason},
                claimed_until=None,
                updated_at=now,
            )
        )
        done = self._connection.execute(statement, {"tenant": cron.owner.tenant_id, "cron": cron.cron_id})
        return done.rowcount == 1

    def _claim(self, row: Row[Any], now: datetime, until: datetime) -> bool:
        # What was read may be old: the row says who comes first.
        statement = (
            update(_crons)
            .where(_one, _crons.c.enabled.is_(True), _crons.c.next_run_date == row.next_run_date, _unclaimed(now))
            .values(claimed_until=until)
        )
        return self._connection.execute(statement, {"tenant": row.tenant_id, "cron": row.cron_id}).rowcount == 1


_scheduled = _crons.c.enabled & _crons.c.next_run_date.is_not(None)


def _unclaimed(now: datetime) -> ColumnElement[bool]:
    return or_(_crons.c.claimed_until.is_(None), _crons.c.claimed_until <= now)


def _changeable(cron: Cron) -> dict[str, Any]:
    return {
        "assistant_id": cron.assistant_id,
        "thread_id": cron.thread_id,
        "schedule": cron.schedule,
        "timezone": cron.timezone,
        "end_time": cron.end_time,
        "enabled": cron.enabled,
        "on_run_completed": cron.on_run_completed,
        "next_run_date": cron.next_run_date,
        "payload": cron.payload,
        "metadata": cron.metadata,
        "updated_at": cron.updated_at,
    }


def _kept(owner: Principal) -> dict[str, Any]:
    return {
        "roles": sorted(owner.roles),
        "user": None if owner.user is None else _plain(owner.user),
        "permissions": list(owner.permissions),
        "scopes": sorted(owner.scopes),
    }


def _plain(user: Mapping[str, Any]) -> Any:
    """What a project's authentication said of a user; what is not JSON in it becomes text."""
    return orjson.loads(orjson.dumps(dict(user), default=str, option=orjson.OPT_NON_STR_KEYS))


def _cron(row: Row[Any]) -> Cron:
    return Cron(
        cron_id=row.cron_id,
        owner=Principal(
            tenant_id=row.tenant_id,
            user_id=row.user_id,
            roles=frozenset(row.owner["roles"]),
            user=row.owner["user"],
            permissions=tuple(row.owner["permissions"]),
            scopes=frozenset(row.owner.get("scopes", SCOPES)),  # older ones were made before there were any
        ),
        assistant_id=row.assistant_id,
        thread_id=row.thread_id,
        schedule=row.schedule,
        timezone=row.timezone,
        end_time=row.end_time,
        enabled=row.enabled,
        on_run_completed=row.on_run_completed,
        next_run_date=row.next_run_date,
        payload=row.payload,
        metadata=row.metadata,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )
