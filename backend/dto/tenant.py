"""Tenants, their people, and what lets those in."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

TenantStatus = Literal["active", "suspended", "deleted"]
UserStatus = Literal["active", "disabled"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a tenant, or each of its users, may use. None is no limit of its own: the server's setting holds."""

    requests_per_minute: int | None = None
    user_requests_per_minute: int | None = None
    daily_tokens: int | None = None
    user_daily_tokens: int | None = None
    daily_cost: float | None = None
    """US dollars."""
    user_daily_cost: float | None = None
    storage_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenant:
    tenant_id: str
    name: str
    status: TenantStatus
    plan: str
    limits: Limits
    platform: str | None
    domain: str | None
    settings: Mapping[str, Any]
    """What the tenant chose: `language`, `external_llm` (whether text may go to an outside model), `retention_days`,
    `summaries` (`on_demand` or `all`)."""
    version: int
    created_at: datetime
    updated_at: datetime
    purged_at: datetime | None = None
    """When the data of a deleted tenant were gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantChange:
    """What of a tenant is to be changed; None, or a name that is not there, leaves it as it is."""

    name: str | None = None
    plan: str | None = None
    limits: Mapping[str, int | float | None] = field(default_factory=dict)
    """None takes a limit away."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """None puts a default back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    user_id: UUID
    tenant_id: str
    email: str
    name: str
    role: str
    """owner, admin, agent or viewer."""
    status: UserStatus
    token_version: int
    """In every access token; raising it revokes them all."""
    created_at: datetime
    updated_at: datetime
    last_login_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UserChange:
    """What of a user is to be changed; None leaves it as it is."""

    email: str | None = None
    name: str | None = None
    role: str | None = None
    status: UserStatus | None = None
    password: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class UserFilter:
    """Which users; None is any."""

    role: str | None = None
    status: UserStatus | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    key_id: UUID
    tenant_id: str
    name: str
    prefix: str
    """Its first characters, by which a person tells keys apart."""
    scopes: tuple[str, ...]
    created_by: str
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    last_used_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    audit_id: UUID
    tenant_id: str
    actor: str
    action: str
    """A noun and what was done to it: `user.created`, `installation.removed`."""
    target: str | None
    detail: Mapping[str, Any] = field(default_factory=dict)
    """Never a secret, never the text of a message."""
    address: str | None = None
    request_id: str | None = None
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditFilter:
    """Which entries of the audit log; None is any."""

    action: str | None = None
    actor: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    """The first moment that is no longer meant."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """A tenant's account at a platform. Its secrets are read by `SetupService` alone."""

    tenant_id: str
    platform: str
    domain: str
    status: Literal["installed", "uninstalled", "refused"]
    """`refused`: the platform no longer accepts the key."""
    account: Mapping[str, Any]
    """What the platform said of the account: its plan, the agent whose key it is."""
    key_id: str
    """Which of the server's secret keys its secrets are encrypted with."""
    installed_at: datetime
    updated_at: datetime
