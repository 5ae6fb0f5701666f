"""All SQL of tenants. A tenant sees its own row alone; `AllTenants` sees them all."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import Row, func, or_, select, update

from backend.core.error import TenantNotFound, VersionConflict
from backend.database.model import TenantRow, table_of
from backend.dto.tenant import Limits, Tenant
from backend.repository.scope import AcrossTenants, Scoped
from backend.repository.upsert import insert_into

_tenants = table_of(TenantRow)


class TenantRepository(Scoped):
    """The row of one tenant."""

    def find(self) -> Tenant | None:
        """Return the tenant; None when it has no row."""
        query = select(_tenants).where(_tenants.c.tenant_id == self._tenant_id)
        row = self._connection.execute(query).one_or_none()
        return None if row is None else _tenant(row)

    def get(self) -> Tenant:
        """Return the tenant.

        Raises:
            TenantNotFound: it has no row.
        """
        found = self.find()
        if found is None:
            raise TenantNotFound(self._tenant_id)
        return found

    def insert(self, tenant: Tenant) -> bool:
        """Add the row; return False, and change nothing, when there is one."""
        made = insert_into(self._connection, _tenants)
        values = _changeable(tenant) | {
            "tenant_id": self._tenant_id,
            "version": 1,
            "created_at": tenant.created_at,
            "updated_at": tenant.updated_at,
        }
        return self._connection.execute(made.on_conflict_do_nothing(), values).rowcount == 1

    def update(self, tenant: Tenant, now: datetime) -> Tenant:
        """Write what can change of a tenant that was read at `tenant.version`; return it as it is then.

        Raises:
            VersionConflict: somebody else changed it since.
        """
        statement = (
            update(_tenants)
            .where(_tenants.c.tenant_id == self._tenant_id, _tenants.c.version == tenant.version)
            .values(version=tenant.version + 1, updated_at=now, **_changeable(tenant))
        )
        if self._connection.execute(statement).rowcount == 0:
            raise VersionConflict(f"Tenant {self._tenant_id}", self.get().version)
        return self.get()

    def bury(self, now: datetime) -> bool:
        """Say that nothing is left of a deleted tenant but the row that keeps its id; return whether that is news."""
        statement = (
            update(_tenants)
            .where(
                _tenants.c.tenant_id == self._tenant_id,
                _tenants.c.status == "deleted",
                _tenants.c.purged_at.is_(None),
            )
            .values(
                name=self._tenant_id,
                plan="default",
                limits={},
                platform=None,
                domain=None,
                settings={},
                version=_tenants.c.version + 1,
                updated_at=now,
                purged_at=now,
            )
        )
        return self._connection.execute(statement).rowcount == 1


class AllTenants(AcrossTenants):
    """Every tenant of the server: for its operator, and for what removes data whose time is over."""

    def list(self, limit: int, after: str | None = None) -> list[Tenant]:
        """Return tenants by their ids."""
        query = select(_tenants).order_by(_tenants.c.tenant_id).limit(limit)
        if after is not None:
            query = query.where(_tenants.c.tenant_id > after)
        return [_tenant(row) for row in self._connection.execute(query)]

    def count(self) -> int:
        return self._connection.scalar(select(func.count()).select_from(_tenants)) or 0

    def that_chose(self, setting: str, value: str) -> Sequence[str]:
        """Return active tenants that chose a setting's value."""
        query = select(_tenants.c.tenant_id).where(
            _tenants.c.status == "active", _tenants.c.settings[setting].as_string() == value
        )
        return self._connection.scalars(query.order_by(_tenants.c.tenant_id)).all()

    def deleted(self, since: datetime) -> Sequence[str]:
        """Return deleted tenants of which something may be left: those that were not purged before `since`."""
        purged = _tenants.c.purged_at
        query = select(_tenants.c.tenant_id).where(
            _tenants.c.status == "deleted", or_(purged.is_(None), purged >= since)
        )
        return self._connection.scalars(query.order_by(_tenants.c.tenant_id)).all()


def _changeable(tenant: Tenant) -> dict[str, Any]:
    return {
        "name": tenant.name,
        "status": tenant.status,
        "plan": tenant.plan,
        "limits": {name: value for name, value in asdict(tenant.limits).items() if value is not None},
        "platform": tenant.platform,
        "domain": tenant.domain,
        "settings": dict(tenant.settings),
    }


def _tenant(row: Row[Any]) -> Tenant:
    return Tenant(
        tenant_id=row.tenant_id,
        name=row.name,
        status=row.status,
        plan=row.plan,
        limits=Limits(**row.limits),
        platform=row.platform,
        domain=row.domain,
        settings=row.settings,
        version=row.version,
        created_at=row.created_at,
        updated_at=row.updated_at,
        purged_at=row.purged_at,
    )
