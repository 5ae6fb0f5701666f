"""All SQL of installations. Secrets come and go encrypted; `service/setup.py` alone reads them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, delete, exists, select, tuple_, update
from sqlalchemy.exc import IntegrityError

from backend.core.error import AlreadyThere
from backend.database.model import InstallationRow, PlatformEventRow, SyncCursorRow, table_of
from backend.dto.tenant import Installation
from backend.repository.scope import AcrossTenants, Scoped
from backend.repository.upsert import insert_into

_installations = table_of(InstallationRow)
_events = table_of(PlatformEventRow)
_cursors = table_of(SyncCursorRow)
_RELEASED = "#"
"""What follows it in a domain is not part of it: the tenant that no longer holds it, so that another one may."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealed:
    """The secrets of an installation, as they are kept."""

    api_key: str
    api_key_hash: str
    webhook_secret: str
    key_id: str


@dataclass(frozen=True, slots=True)
class Kept:
    installation: Installation
    sealed: Sealed


class InstallationRepository(Scoped):
    """The installations of one tenant, one a platform."""

    def find(self, platform: str) -> Kept | None:
        row = self._connection.execute(select(_installations).where(self._of(platform))).one_or_none()
        return None if row is None else _kept(row)

    def list(self) -> list[Installation]:
        query = select(_installations).where(_installations.c.tenant_id == self._tenant_id)
        found = self._connection.execute(query.order_by(_installations.c.platform))
        return [_kept(row).installation for row in found]

    def insert(self, platform: str, domain: str, account: Mapping[str, Any], sealed: Sealed, now: datetime) -> bool:
        """Add an installation; return whether the platform and the domain were free."""
        values = {
            "tenant_id": self._tenant_id,
            "platform": platform,
            "domain": domain,
            "status": "installed",
            "account": dict(account),
            **_secrets(sealed),
            "installed_at": now,
            "updated_at": now,
        }
        statement = insert_into(self._connection, _installations).values(values).on_conflict_do_nothing()
        return self._connection.execute(statement).rowcount == 1

    def replace(self, platform: str, domain: str, account: Mapping[str, Any], sealed: Sealed, now: datetime) -> None:
        """Put new secrets into an installation of this domain, which is then installed.

        Raises:
            AlreadyThere: another tenant has taken the domain meanwhile.
        """
        values = {"domain": domain, "status": "installed", "account": dict(account), "updated_at": now}
        statement = update(_installations).where(self._of(platform)).values(**values, **_secrets(sealed))
        try:
            self._connection.execute(statement)
        except IntegrityError:
            raise AlreadyThere("This account is installed already.") from None

    def reseal(self, platform: str, before: Sealed, sealed: Sealed, now: datetime) -> bool:
        """Replace the secrets if they are still those that were read."""
        condition = self._of(platform) & (_installations.c.api_key == before.api_key)
        condition &= _installations.c.webhook_secret == before.webhook_secret
        statement = update(_installations).where(condition).values(updated_at=now, **_secrets(sealed))
        return self._connection.execute(statement).rowcount == 1

    def refuse(self, platform: str, api_key_hash: str, now: datetime) -> bool:
        """Mark an installation whose key is refused, unless it has another one by now."""
        condition = self._of(platform) & (_installations.c.api_key_hash == api_key_hash)
        condition &= _installations.c.status == "installed"
        statement = update(_installations).where(condition).values(status="refused", updated_at=now)
        return self._connection.execute(statement).rowcount == 1

    def uninstall(self, platform: str, domain: str, now: datetime) -> None:
        """Forget the secrets; the row stays, since what was collected does."""
        nothing = Sealed(api_key="", api_key_hash="", webhook_secret="", key_id="")
        values = {"domain": f"{domain}{_RELEASED}{self._tenant_id}", "status": "uninstalled", "updated_at": now}
        statement = update(_installations).where(self._of(platform)).values(**values, **_secrets(nothing))
        self._connection.execute(statement)

    def delete(self, platform: str) -> None:
        """Remove an installation, with what was remembered of reading it: another one begins anew."""
        for table in (_events, _cursors, _installations):
            condition = (table.c.tenant_id == self._tenant_id) & (table.c.platform == platform)
            self._connection.execute(delete(table).where(condition))

    def _of(self, platform: str) -> Any:
        return (_installations.c.tenant_id == self._tenant_id) & (_installations.c.platform == platform)


class PlatformEventRepository(Scoped):
    """The webhooks that a tenant received, for telling which came before."""

    def seen(self, platform: str, event_key: str) -> bool:
        query = select(exists().where(self._of(platform), _events.c.event_key == event_key))
        return bool(self._connection.scalar(query))

    def add(self, platform: str, event_key: str, now: datetime) -> None:
        values = {"tenant_id": self._tenant_id, "platform": platform, "event_key": event_key, "created_at": now}
        statement = insert_into(self._connection, _events).values(values)
        self._connection.execute(statement.on_conflict_do_nothing())

    def _of(self, platform: str) -> Any:
        return (_events.c.tenant_id == self._tenant_id) & (_events.c.platform == platform)


class AllInstallations(AcrossTenants):
    """Every tenant's: for the door, which finds a tenant by its account, for renewing secrets, and for a sweep."""

    def find(self, platform: str, domain: str) -> Kept | None:
        """Return who has installed an account."""
        condition = (_installations.c.platform == platform) & (_installations.c.domain == domain)
        row = self._connection.execute(select(_installations).where(condition)).one_or_none()
        return None if row is None else _kept(row)

    def not_under(self, key_id: str) -> list[Kept]:
        """Return what is encrypted with other keys than this."""
        condition = (_installations.c.key_id != key_id) & (_installations.c.status != "uninstalled")
        return [_kept(row) for row in self._connection.execute(select(_installations).where(condition))]

    def forget_events(self, before: datetime, limit: int) -> int:
        """Remove at most so many webhooks that came before a moment; return how many."""
        key = tuple_(_events.c.tenant_id, _events.c.platform, _events.c.event_key)
        old = select(_events.c.tenant_id, _events.c.platform, _events.c.event_key).where(_events.c.created_at < before)
        return self._connection.execute(delete(_events).where(key.in_(old.limit(limit)))).rowcount


def _secrets(sealed: Sealed) -> dict[str, str]:
    return {
        "api_key": sealed.api_key,
        "api_key_hash": sealed.api_key_hash,
        "webhook_secret": sealed.webhook_secret,
        "key_id": sealed.key_id,
    }


def _kept(row: Row[Any]) -> Kept:
    installation = Installation(
        tenant_id=row.tenant_id,
        platform=row.platform,
        domain=row.domain.partition(_RELEASED)[0],
        status=row.status,
        account=row.account,
        key_id=row.key_id,
        installed_at=row.installed_at,
        updated_at=row.updated_at,
    )
    return Kept(
        installation,
        Sealed(
            api_key=row.api_key,
            api_key_hash=row.api_key_hash,
            webhook_secret=row.webhook_secret,
            key_id=row.key_id,
        ),
    )
