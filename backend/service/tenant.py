"""Tenants: who shares this server, whether they may come in, and what they chose."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, fields, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from backend.core.error import AlreadyThere, Conflict, Forbidden, Invalid, TenantNotFound, VersionConflict
from backend.core.tenant_settings import TenantSettings
from backend.database.base import Database
from backend.dto.principal import DEFAULT_TENANT, OPERATE, Principal
from backend.dto.tenant import Limits, Tenant, TenantChange, TenantStatus
from backend.repository.tenant import AllTenants, TenantRepository
from backend.service.audit import SERVER, AuditPen
from backend.service.recent import Recent

SUSPENDED = "This tenant is suspended."
_NO_LIMITS = Limits()
_LIMIT_NAMES = frozenset(field.name for field in fields(Limits))


class TenantService:
    """Reads are believed for a few seconds (`Recent`); what is changed here holds here at once."""

    def __init__(
        self,
        database: Database,
        clock: Callable[[], datetime],
        *,
        known: Sequence[str] = (),
        on_changed: Callable[[str], object] | None = None,
        on_deleted: Callable[[str], object] | None = None,
    ) -> None:
        """`known` are the tenants that the settings name.

        `on_changed` is told of one whose row was changed here, `on_deleted` of one that is deleted.
        """
        self._database = database
        self._clock = clock
        self._on_changed = on_changed
        self._on_deleted = on_deleted
        self._known = tuple(dict.fromkeys((DEFAULT_TENANT, *known)))
        self._recent: Recent[str, Tenant | None] = Recent(self._read)

    async def open(self) -> None:
        """Make the rows of the tenants that the settings name."""
        for tenant_id in self._known:
            await self.ensure(tenant_id)

    # For the door and for other services.

    async def admit(self, principal: Principal) -> None:
        """Let in who belongs to an active tenant, and the operator, who may have to activate one.

        Raises:
            Forbidden: the tenant is suspended or deleted.
        """
        fresh = self._recent.peek(principal.tenant_id)
        tenant = await self._recent.get(principal.tenant_id) if fresh is None else fresh[1]
        if tenant is not None and tenant.status != "active" and OPERATE not in principal.scopes:
            raise Forbidden(SUSPENDED)

    async def is_active(self, tenant_id: str) -> bool:
        """Return whether a tenant is neither suspended nor deleted; one without a row is active."""
        tenant = await self._recent.get(tenant_id)
        return tenant is None or tenant.status == "active"

    async def find(self, tenant_id: str) -> Tenant | None:
        """Return a tenant as it was a few seconds ago; None when it has no row."""
        return await self._recent.get(tenant_id)

    async def get(self, tenant_id: str) -> Tenant:
        """Return a tenant as it was a few seconds ago.

        Raises:
            TenantNotFound: it has no row.
        """
        tenant = await self._recent.get(tenant_id)
        if tenant is None:
            raise TenantNotFound(tenant_id)
        return tenant

    async def limits(self, tenant_id: str) -> Limits:
        """Return what a tenant may use; without a row, no limits of its own."""
        tenant = await self._recent.get(tenant_id)
        return _NO_LIMITS if tenant is None else tenant.limits

    async def settings(self, tenant_id: str) -> Mapping[str, Any]:
        """Return every setting of a tenant, with the defaults of those that it did not choose."""
        tenant = await self._recent.get(tenant_id)
        return TenantSettings.read({} if tenant is None else tenant.settings).model_dump()

    async def ensure(
        self, tenant_id: str, *, name: str | None = None, platform: str | None = None, domain: str | None = None
    ) -> Tenant:
        """Return a tenant, whose row is made when there is none; a platform and a domain are noted."""
        now = self._clock()
        pen = AuditPen.of(SERVER)
        fresh = _new(tenant_id, name or tenant_id, now, platform=platform, domain=domain)

        def work(connection: Connection) -> Tenant:
            tenants = TenantRepository(connection, tenant_id)
            if tenants.insert(fresh):
                pen.write(connection, tenant_id, "tenant.created", now, tenant_id)
                return tenants.get()
            tenant = tenants.get()
            noted = replace(tenant, platform=platform or tenant.platform, domain=domain or tenant.domain)
            return tenant if noted == tenant else tenants.update(noted, now)

        tenant = await self._database.write(work)
        self._forget(tenant_id)
        return tenant

    # For the operator.

    async def create(
        self,
        principal: Principal,
        tenant_id: str,
        change: TenantChange,
        add_owner: Callable[[Connection], object] | None = None,
    ) -> Tenant:
        """Make a tenant; `add_owner` is done with it, or neither is: its id would be taken, and nobody could come in.

        Raises:
            AlreadyThere: there is or was one of this id.
            Invalid: a setting or a limit is none of ours.
        """
        now = self._clock()
        pen = AuditPen.of(principal)
        tenant = _changed(_new(tenant_id, tenant_id, now), change)

        def work(connection: Connection) -> Tenant:
            tenants = TenantRepository(connection, tenant_id)
            if not tenants.insert(tenant):
                raise AlreadyThere(f"Tenant {tenant_id} exists already.", tenant_id=tenant_id)
            pen.write(connection, tenant_id, "tenant.created", now, tenant_id)
            if add_owner is not None:
                add_owner(connection)
            return tenants.get()

        made = await self._database.write(work)
        self._forget(tenant_id)
        return made

    async def list(self, *, limit: int, after: str | None = None) -> tuple[list[Tenant], int]:
        """Return tenants by their ids, and how many there are in all."""

        def work(connection: Connection) -> tuple[list[Tenant], int]:
            tenants = AllTenants(connection)
            return tenants.list(limit, after), tenants.count()

        return await self._database.read(work)

    async def read(self, tenant_id: str) -> Tenant:
        """Return a tenant as it is now.

        Raises:
            TenantNotFound: it has no row.
        """
        return await self._database.read(lambda connection: TenantRepository(connection, tenant_id).get())

    async def own(self, principal: Principal) -> Tenant:
        """Return the caller's tenant as it is now; one without a row shows the defaults, at version 0."""
        tenant_id = principal.tenant_id
        found = await self._database.read(lambda connection: TenantRepository(connection, tenant_id).find())
        return found or replace(_new(tenant_id, tenant_id, self._clock()), version=0)

    async def update(self, principal: Principal, tenant_id: str, change: TenantChange, version: int) -> Tenant:
        """Change a tenant that was read at `version`.

        Raises:
            TenantNotFound: it has no row.
            Conflict: it was deleted.
            VersionConflict: somebody else changed it since.
            Invalid: a setting or a limit is none of ours.
        """
        now = self._clock()
        pen = AuditPen.of(principal)

        def work(connection: Connection) -> Tenant:
            tenants = TenantRepository(connection, tenant_id)
            before = tenants.get()
            if before.status == "deleted":
                raise Conflict(f"Tenant {tenant_id} was deleted.")
            if before.version != version:
                raise VersionConflict(f"Tenant {tenant_id}", before.version)
            changed = _changed(before, change)
            after = tenants.update(changed, now)
            pen.write(connection, tenant_id, "tenant.updated", now, tenant_id, **_differences(before, after))
            return after

        tenant = await self._database.write(work)
        self._forget(tenant_id)
        return tenant

    async def update_own(self, principal: Principal, change: TenantChange, version: int) -> Tenant:
        """Change the caller's own tenant. Raises what `update` does."""
        if version == 0:  # as `own` shows one that has no row yet
            version = (await self.ensure(principal.tenant_id)).version
        return await self.update(principal, principal.tenant_id, change, version)

    async def suspend(self, principal: Principal, tenant_id: str) -> Tenant:
        """Keep a tenant's people, keys and tokens out. Raises TenantNotFound, or Conflict for a deleted one."""
        return await self._set_status(principal, tenant_id, "suspended")

    async def activate(self, principal: Principal, tenant_id: str) -> Tenant:
        """Let a suspended tenant in again. Raises TenantNotFound, or Conflict for a deleted one."""
        return await self._set_status(principal, tenant_id, "active")

    async def delete(self, principal: Principal, tenant_id: str) -> Tenant:
        """Mark a tenant as deleted, so that its data go: nobody of it comes in any more, and its id is not given again.

        An id that was given again would open the new tenant to what still holds the old one's name: tokens in the
        settings, links, backups.

        Raises:
            TenantNotFound: it has no row.
            Conflict: it is the operator's own, or the server's.
        """
        if tenant_id in {principal.tenant_id, DEFAULT_TENANT}:
            raise Conflict("The operator's own tenant cannot be deleted.")
        tenant = await self._set_status(principal, tenant_id, "deleted")
        if self._on_deleted is not None:
            self._on_deleted(tenant_id)
        return tenant

    async def _set_status(self, principal: Principal, tenant_id: str, status: TenantStatus) -> Tenant:
        now = self._clock()
        pen = AuditPen.of(principal)

        def work(connection: Connection) -> Tenant:
            tenants = TenantRepository(connection, tenant_id)
            tenant = tenants.get()
            if tenant.status == status:
                return tenant
            if tenant.status == "deleted":
                raise Conflict(f"Tenant {tenant_id} was deleted.")
            changed = tenants.update(replace(tenant, status=status), now)
            action = {"active": "tenant.activated", "suspended": "tenant.suspended", "deleted": "tenant.deleted"}
            pen.write(connection, tenant_id, action[status], now, tenant_id)
            return changed

        tenant = await self._database.write(work)
        self._forget(tenant_id)
        return tenant

    def _forget(self, tenant_id: str) -> None:
        """Believe nothing of before: the change is committed."""
        self._recent.forget(tenant_id)
        if self._on_changed is not None:
            self._on_changed(tenant_id)

    async def _read(self, tenant_id: str) -> Tenant | None:
        return await self._database.read(lambda connection: TenantRepository(connection, tenant_id).find())


def _new(tenant_id: str, name: str, now: datetime, *, platform: str | None = None, domain: str | None = None) -> Tenant:
    return Tenant(
        tenant_id=tenant_id,
        name=name,
        status="active",
        plan="default",
        limits=_NO_LIMITS,
        platform=platform,
        domain=domain,
        settings={},
        version=1,
        created_at=now,
        updated_at=now,
    )


def _changed(tenant: Tenant, change: TenantChange) -> Tenant:
    """Return a tenant with what a change names; raises Invalid."""
    limits = {**asdict(tenant.limits), **change.limits}
    if unknown := sorted(set(limits) - _LIMIT_NAMES):
        raise Invalid(f"There is no limit {unknown[0][:100]!r}.")
    settings = TenantSettings.read(tenant.settings).changed(change.settings)
    return replace(
        tenant,
        name=change.name if change.name is not None else tenant.name,
        plan=change.plan if change.plan is not None else tenant.plan,
        limits=Limits(**limits),
        settings=settings.model_dump(exclude_defaults=True),
    )


def _differences(before: Tenant, after: Tenant) -> dict[str, Any]:
    """Return what a change did, for the audit log."""
    names = ("name", "plan", "settings")
    shown = {name: getattr(after, name) for name in names if getattr(after, name) != getattr(before, name)}
    if before.limits != after.limits:
        shown["limits"] = {name: value for name, value in asdict(after.limits).items() if value is not None}
    return shown
