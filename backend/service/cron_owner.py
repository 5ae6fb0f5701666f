"""What the owner of a cron may do at the moment it fires: months may have passed since it was made."""

from dataclasses import replace
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection

from backend.core.error import ApiKeyNotFound
from backend.dto.principal import Principal
from backend.repository.api_key import ApiKeyRepository
from backend.repository.installation import InstallationRepository
from backend.repository.user import UserRepository
from backend.service.api_key import USER_PREFIX
from backend.service.auth import PLATFORMS
from backend.service.permission import ROLES


def owner_now(connection: Connection, owner: Principal, now: datetime) -> Principal | str:
    """Return an owner with those of its scopes that it still has, or in words why it has none.

    Users, API keys and the applications of a support desk have rows to be asked. Who came in by a token of the settings
    or by a project's own authentication has none, and stays as it was.
    """
    if owner.user is not None:
        return owner
    scopes = _scopes(connection, owner, now)
    if scopes is None or isinstance(scopes, str):
        return scopes or owner
    left = owner.scopes & scopes
    return replace(owner, scopes=left) if "chat" in left else "its owner may not talk to agents any more"


def _scopes(connection: Connection, owner: Principal, now: datetime) -> frozenset[str] | str | None:
    """Return what an owner may, or why it is gone; None for one without a row."""
    kind, _, rest = owner.user_id.partition(":")
    if f"{kind}:" == USER_PREFIX and (key_id := _uuid(rest)) is not None:
        try:
            key = ApiKeyRepository(connection, owner.tenant_id).get(key_id)
        except ApiKeyNotFound:
            return "the API key of its owner is gone"
        if key.revoked_at is not None:
            return "the API key of its owner was revoked"
        if key.expires_at is not None and key.expires_at <= now:
            return "the API key of its owner has expired"
        return frozenset(key.scopes)
    if kind in PLATFORMS and rest:
        kept = InstallationRepository(connection, owner.tenant_id).find(kind)
        if kept is None or kept.installation.status == "uninstalled":
            return "the installation of its owner is gone"
        return ROLES["agent"]
    if (user_id := _uuid(owner.user_id)) is not None and owner.roles:
        user = UserRepository(connection, owner.tenant_id).find(user_id)
        if user is None:
            return "its owner was deleted"
        if user.status != "active":
            return "its owner was disabled"
        return ROLES[user.role]
    return None


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
