"""Installing a support platform: whose account it is, its key, and what follows from that.

Whose an account is, only a key proves that the platform accepts: a domain is never believed. Secrets are kept
encrypted, for the tenant and platform that they belong to, and shown once or never.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

from loguru import logger
from pydantic import SecretStr
from sqlalchemy import Connection

from backend.core.cache import Caches
from backend.core.collector.platform import AccountInfo, Platform, SupportSource
from backend.core.error import (
    AlreadyThere,
    Conflict,
    DomainError,
    Forbidden,
    InstallationNotFound,
    Invalid,
    KeyRefused,
    NotFound,
    SyncActive,
    Unauthorized,
    Unavailable,
)
from backend.database.base import Database
from backend.dto.principal import DEFAULT_TENANT, OPERATE, Principal
from backend.dto.tenant import Installation
from backend.repository.installation import AllInstallations, InstallationRepository, Kept, Sealed
from backend.repository.tenant import TenantRepository
from backend.service.audit import SERVER, AuditPen
from backend.service.auth import OPERATOR
from backend.service.installation_secret import InstallationSecrets
from backend.service.permission import asking_for
from backend.service.platform_door import PlatformDoor
from backend.service.tenant import TenantService

OnInstalled = Callable[[str, str], Awaitable[UUID | None]]
"""Begins to collect for a tenant and a platform, and returns the job."""
OnTenant = Callable[[str, str], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Tested:
    """A connection that works, and whose data it would be."""

    account: AccountInfo
    tenant_id: str


@dataclass(frozen=True, slots=True)
class Installed:
    installation: Installation
    webhook_secret: str | None
    """Of a new installation; it is not shown again."""
    job_id: UUID | None
    """The collection that was begun, or that is under way."""


async def _nothing(_tenant_id: str, _platform: str) -> None:
    return None


class SetupService:
    """`on_installed` begins a collection; `stop` ends what a tenant's platform is doing, `purge` removes its data."""

    def __init__(
        self,
        database: Database,
        platforms: Mapping[str, Platform],
        secrets: InstallationSecrets,
        tenants: TenantService,
        clock: Callable[[], datetime],
        *,
        caches: Caches,
        on_installed: OnInstalled = _nothing,
        stop: OnTenant = _nothing,
        purge: OnTenant = _nothing,
    ) -> None:
        self._database = database
        self._platforms = platforms
        self._secrets = secrets
        self._tenants = tenants
        self._clock = clock
        self._on_installed = on_installed
        self._stop = stop
        self._purge = purge
        self._door = PlatformDoor(database, platforms, secrets, caches)

    async def close(self) -> None:
        for platform in self._platforms.values():
            await platform.close()

    # For people.

    async def test_connection(
        self, principal: Principal, platform: str, domain: str, api_key: SecretStr, *, tenant_id: str | None = None
    ) -> Tested:
        """Ask the platform whether it accepts a key; nothing is kept.

        Raises:
            Invalid: there is no such platform, or the domain names no account.
            KeyRefused: the platform does not accept the key.
            TenantNotFound: the caller may not act for that tenant.
            TooMany, UpstreamFailed, UpstreamTimeout: the platform cannot be asked.
        """
        account = await self._checked(platform, domain, api_key)
        return Tested(account, self._tenant(principal, tenant_id, account.tenant_id))

    async def install(
        self, principal: Principal, platform: str, domain: str, api_key: SecretStr, *, tenant_id: str | None = None
    ) -> Installed:
        """Keep an account's key for a tenant and begin to collect; doing it again only renews the key.

        Raises:
            AlreadyThere: the account, or another account for this tenant, is installed.
            Invalid, KeyRefused, TenantNotFound, TooMany, UpstreamFailed, UpstreamTimeout: as `test_connection`.
        """
        tested = await self.test_connection(principal, platform, domain, api_key, tenant_id=tenant_id)
        return await self._install(AuditPen.of(principal), tested, api_key)

    async def install_default(self, platform: str, domain: str, api_key: SecretStr) -> None:
        """Install what the settings name, for the tenant `default`; at every start, and told if it fails."""
        try:
            host = await self._platform(platform).domain_of(domain)
            kept = await self._find(DEFAULT_TENANT, platform)
            same = kept is not None and kept.installation.domain == host and kept.installation.status == "installed"
            if kept is not None and same and self._secrets.is_key(kept, self._secrets.hash(api_key.get_secret_value())):
                return
            tested = Tested(await self._checked(platform, host, api_key), DEFAULT_TENANT)
            await self._install(AuditPen.of(SERVER), tested, api_key)
        except DomainError as error:
            logger.warning("FRESHDESK_DOMAIN could not be installed: {reason}", reason=error.detail)

    async def status(self, principal: Principal, *, tenant_id: str | None = None) -> list[Installation]:
        """Return a tenant's installations, the uninstalled ones whose data is still here among them."""
        tenant = self._own(principal, tenant_id)
        return await self._database.read(lambda connection: InstallationRepository(connection, tenant).list())

    async def rotate(
        self, principal: Principal, platform: str, api_key: SecretStr, *, tenant_id: str | None = None
    ) -> Installation:
        """Replace the account's key by another one that the platform accepts.

        Raises:
            InstallationNotFound: it is not installed.
            KeyRefused, TooMany, UpstreamFailed, UpstreamTimeout: as `test_connection`.
        """
        tenant = self._own(principal, tenant_id)
        kept = await self._installed(tenant, platform)
        account = await self._checked(platform, kept.installation.domain, api_key)
        secret = await asyncio.to_thread(self._secrets.webhook_secret, kept)
        sealed = await asyncio.to_thread(self._secrets.seal, tenant, platform, api_key.get_secret_value(), secret)
        await self._renew(AuditPen.of(principal), kept, account, sealed, "installation.key_rotated")
        await self._door.forget(tenant, platform)
        return (await self._installed(tenant, platform)).installation

    async def rotate_webhook_secret(
        self, principal: Principal, platform: str, *, tenant_id: str | None = None
    ) -> tuple[Installation, str]:
        """Make a new secret for webhooks, which is shown this once; the old one no longer holds.

        Raises:
            InstallationNotFound: it is not installed.
            Conflict: its secrets were changed at the same time.
        """
        tenant = self._own(principal, tenant_id)
        kept = await self._installed(tenant, platform)
        secret = self._secrets.new_secret()
        api_key = await asyncio.to_thread(self._secrets.api_key, kept)
        sealed = await asyncio.to_thread(self._secrets.seal, tenant, platform, api_key, secret)
        now, pen = self._clock(), AuditPen.of(principal)

        def work(connection: Connection) -> None:
            if not InstallationRepository(connection, tenant).reseal(platform, kept.sealed, sealed, now):
                raise Conflict("The installation was changed at the same time; try again.")
            pen.write(connection, tenant, "installation.webhook_secret_rotated", now, platform)

        await self._database.write(work)
        return (await self._installed(tenant, platform)).installation, secret

    async def uninstall(
        self, principal: Principal, platform: str, *, purge: bool = False, tenant_id: str | None = None
    ) -> None:
        """Delete the key and stop what collects; with `purge`, remove what was collected too.

        An installation that is gone already may still be purged.

        Raises:
            InstallationNotFound: there is none, nor data of one.
        """
        tenant = self._own(principal, tenant_id)
        kept = await self._find(tenant, platform)
        if kept is None or (kept.installation.status == "uninstalled" and not purge):
            raise InstallationNotFound(platform)
        now, pen, domain = self._clock(), AuditPen.of(principal), kept.installation.domain

        def forget(connection: Connection) -> None:
            InstallationRepository(connection, tenant).uninstall(platform, domain, now)
            pen.write(connection, tenant, "installation.removed", now, platform, domain=domain, purge=purge)

        await self._database.write(forget)  # first, so that nothing can go on collecting
        await self._door.forget(tenant, platform)
        await self._stop(tenant, platform)
        if purge:
            await self._purge(tenant, platform)
            # Only now: as long as the row is there, a purge that was cut off can be asked for again.
            await self._database.write(lambda connection: InstallationRepository(connection, tenant).delete(platform))

    # For the server.

    async def source(self, tenant_id: str, platform: str = "freshdesk") -> SupportSource:
        """Return a tenant's account.

        Raises:
            InstallationNotFound: it is not installed.
            Conflict: the platform has refused its key.
            Unavailable: its key cannot be decrypted.
        """
        kept = await self._installed(tenant_id, platform)
        if kept.installation.status == "refused":
            raise Conflict("The platform refuses the installation's API key; set another one.")
        api_key = SecretStr(await asyncio.to_thread(self._secrets.api_key, kept))
        refused = partial(self._refused, tenant_id, platform, kept.sealed.api_key_hash)
        return await self._platform(platform).connect(kept.installation.domain, api_key, on_refused=refused)

    async def verify_headers(
        self, tenant_id: str | None, platform: str, domain: str | None, api_key: SecretStr
    ) -> Principal:
        """Return who shows a key of the platform. Raises what `PlatformDoor.verify` does."""
        return await self._door.verify(tenant_id, platform, domain, api_key)

    async def rotate_secrets(self) -> int:
        """Encrypt again, with the server's first key, what another one encrypted; return how many installations.

        One whose secrets no key reads is left as it is, and named in the log: it needs its old key, or a new install.
        """
        key_id = await asyncio.to_thread(lambda: self._secrets.key_id)
        kept = await self._database.read(lambda connection: AllInstallations(connection).not_under(key_id))
        done = 0
        for one in kept:
            try:
                sealed = await asyncio.to_thread(self._again, one)
            except Unavailable as error:
                found = one.installation
                logger.error(
                    "the {platform} of {tenant} cannot be used: {reason}",
                    platform=found.platform,
                    tenant=found.tenant_id,
                    reason=error.detail,
                )
                continue
            done += await self._database.write(partial(self._reseal, one, sealed))
        return done

    def _again(self, kept: Kept) -> Sealed:
        found = kept.installation
        api_key, secret = self._secrets.api_key(kept), self._secrets.webhook_secret(kept)
        return self._secrets.seal(found.tenant_id, found.platform, api_key, secret)

    def _reseal(self, kept: Kept, sealed: Sealed, connection: Connection) -> bool:
        found = kept.installation
        return InstallationRepository(connection, found.tenant_id).reseal(
            found.platform, kept.sealed, sealed, self._clock()
        )

    async def _refused(self, tenant_id: str, platform: str, api_key_hash: str) -> None:
        now, pen = self._clock(), AuditPen.of(SERVER)

        def work(connection: Connection) -> bool:
            marked = InstallationRepository(connection, tenant_id).refuse(platform, api_key_hash, now)
            if marked:
                pen.write(connection, tenant_id, "installation.refused", now, platform)
            return marked

        if await self._database.write(work):
            logger.warning("{platform} refuses the key of tenant {tenant}", platform=platform, tenant=tenant_id)

    async def _install(self, pen: AuditPen, tested: Tested, api_key: SecretStr) -> Installed:
        account, tenant = tested.account, tested.tenant_id
        platform, domain, key = account.platform, account.domain, api_key.get_secret_value()
        secret = self._secrets.new_secret()
        sealed = await asyncio.to_thread(self._secrets.seal, tenant, platform, key, secret)
        now = self._clock()

        def work(connection: Connection) -> bool:
            owner = TenantRepository(connection, tenant).find()
            if owner is not None and owner.status == "deleted":  # whose name the account's may still suggest
                raise Conflict(f"Tenant {tenant} was deleted; name another for this account.")
            installations = InstallationRepository(connection, tenant)
            new = installations.insert(platform, domain, _account(account), sealed, now)
            if new:
                pen.write(connection, tenant, "installation.added", now, platform, domain=domain)
            return new

        new = await self._database.write(work)
        if not new:
            kept = await self._find(tenant, platform)
            if kept is None:
                raise AlreadyThere("This account is installed already.")  # never whose it is
            before = kept.installation
            if before.domain != domain:
                raise AlreadyThere(f"The data of {before.domain} is here; uninstall it with purge first.")
            new = before.status == "uninstalled"
            if not new:
                old = await asyncio.to_thread(self._secrets.webhook_secret, kept)
                sealed = await asyncio.to_thread(self._secrets.seal, tenant, platform, key, old)
            await self._renew(pen, kept, account, sealed, "installation.added" if new else "installation.renewed")
        await self._tenants.ensure(tenant, platform=platform, domain=domain)
        await self._door.forget(tenant, platform)
        installation = (await self._installed(tenant, platform)).installation
        try:
            job_id = await self._on_installed(tenant, platform)
        except SyncActive as active:
            job_id = UUID(active.members["job_id"])
        return Installed(installation, secret if new else None, job_id)

    async def _renew(self, pen: AuditPen, kept: Kept, account: AccountInfo, sealed: Sealed, action: str) -> None:
        tenant, platform, now = kept.installation.tenant_id, kept.installation.platform, self._clock()
        domain = kept.installation.domain

        def work(connection: Connection) -> None:
            InstallationRepository(connection, tenant).replace(platform, domain, _account(account), sealed, now)
            pen.write(connection, tenant, action, now, platform, domain=domain)

        await self._database.write(work)

    async def _checked(self, platform: str, domain: str, api_key: SecretStr) -> AccountInfo:
        """Return the account that a key opens. Raises what `test_connection` does."""
        source = await self._platform(platform).connect(domain, api_key, hurried=True)
        try:
            return await source.check()
        except (Unauthorized, Forbidden):
            raise KeyRefused("The platform does not accept this API key.") from None
        except NotFound:
            raise KeyRefused("The platform has no such account.") from None
        finally:
            await source.close()

    def _platform(self, name: str) -> Platform:
        found = self._platforms.get(name)
        if found is None:
            known = ", ".join(sorted(self._platforms))
            raise Invalid(f"There is no platform {name[:50]!r}. There are: {known}.")
        return found

    def _tenant(self, principal: Principal, wanted: str | None, suggested: str) -> str:
        """Return whose account it is to be: the caller's, or for an operator whose the request or the domain says.

        Who may operate a server without authentication is a person with one tenant, and gets it for that.

        Raises:
            TenantNotFound: another tenant's, for anybody else.
            Invalid: the domain suggests the server's own tenant, which only the request itself may name.
        """
        if not principal.may(OPERATE):
            return self._own(principal, wanted)
        if wanted is None and OPERATOR in principal.roles and suggested == DEFAULT_TENANT != principal.tenant_id:
            raise Invalid("Name the tenant: the domain's name is that of the server's own one.")
        return wanted or (suggested if OPERATOR in principal.roles else principal.tenant_id)

    def _own(self, principal: Principal, wanted: str | None) -> str:
        return asking_for(principal, wanted).tenant_id

    async def _find(self, tenant_id: str, platform: str) -> Kept | None:
        return await self._database.read(
            lambda connection: InstallationRepository(connection, tenant_id).find(platform)
        )

    async def _installed(self, tenant_id: str, platform: str) -> Kept:
        kept = await self._find(tenant_id, platform)
        if kept is None or kept.installation.status == "uninstalled":
            raise InstallationNotFound(platform[:50])
        return kept


def _account(account: AccountInfo) -> dict[str, Any]:
    return {
        "agent_id": account.agent_id,
        "agent_email": account.agent_email,
        "agent_name": account.agent_name,
        **account.details,
    }
