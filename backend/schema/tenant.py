"""Tenants on the wire. `company_id` is another name of `tenant_id`."""

from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import (
    AliasChoices,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    SecretStr,
    StringConstraints,
    field_validator,
)

from backend.core.tenant_settings import TenantSettings
from backend.dto.tenant import Tenant, TenantChange, TenantStatus
from backend.schema.chat import Storable
from backend.schema.user import Email, PersonName, check_password

TENANT_ALIASES = AliasChoices("tenant_id", "company_id")
TenantId = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")]
_Line = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=255, pattern=r"^[^\x00-\x1f]+$")
]
_Plan = Annotated[str, StringConstraints(min_length=1, max_length=63, pattern=r"^[a-z0-9][a-z0-9_-]*$")]
_Count = Annotated[int, Field(ge=1, le=2**53)]
_Cost = Annotated[float, Field(gt=0, le=1e9, allow_inf_nan=False)]

TENANT_EXAMPLES: dict[str, Any] = {
    "owner": {
        "summary": "A tenant and its first owner",
        "value": {
            "tenant_id": "acme",
            "name": "아크메",
            "limits": {"daily_tokens": 1_000_000},
            "owner": {"email": "owner@acme.example", "password": "correct horse battery"},
        },
    },
    "plain": {"summary": "A tenant alone", "value": {"company_id": "acme", "name": "Acme"}},
}


OWNER_EXAMPLES: dict[str, Any] = {
    "owner": {
        "summary": "Who looks after the tenant from now on",
        "value": {"email": "owner@acme.example", "password": "correct horse battery"},
    }
}


class LimitsWrite(BaseModel):
    """Limits of a tenant and of each of its users; null takes one away, so that the server's own holds."""

    model_config = ConfigDict(extra="forbid")

    requests_per_minute: _Count | None = None
    user_requests_per_minute: _Count | None = None
    daily_tokens: _Count | None = None
    user_daily_tokens: _Count | None = None
    daily_cost: _Cost | None = Field(None, description="US dollars.")
    user_daily_cost: _Cost | None = None
    storage_bytes: _Count | None = None


class FirstOwner(BaseModel):
    """Somebody who is to be an owner."""

    model_config = ConfigDict(extra="forbid")

    email: Email
    password: SecretStr
    name: PersonName | None = None

    _password = field_validator("password")(check_password)


class _Change(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: _Line | None = None
    settings: dict[Annotated[str, StringConstraints(max_length=64)], JsonValue] = Field(
        default_factory=dict,
        max_length=32,
        description="Those to be changed; null puts a default back.",
        examples=[{"language": "ko", "external_llm": False}],
    )

    _storable = field_validator("settings")(Storable.func)


class _OperatorChange(_Change):
    plan: _Plan | None = None
    limits: LimitsWrite = Field(default_factory=LimitsWrite)

    def change(self) -> TenantChange:
        return TenantChange(
            name=self.name,
            plan=self.plan,
            limits=self.limits.model_dump(exclude_unset=True),
            settings=self.settings,
        )


class TenantCreate(_OperatorChange):
    """A new tenant."""

    tenant_id: TenantId = Field(validation_alias=TENANT_ALIASES)
    owner: FirstOwner | None = Field(None, description="The first of its people.")


class TenantUpdate(_OperatorChange):
    """What of a tenant is to be changed."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"version": 1, "plan": "gold", "limits": {"daily_tokens": 2_000_000}}]}
    )

    version: int = Field(
        ge=0, lt=2**31, description="That was read: what somebody else changed since is not overwritten."
    )


class OwnTenantUpdate(_Change):
    """What of one's own tenant is to be changed."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"version": 1, "settings": {"language": "ko", "summaries": "all"}}]}
    )

    version: int = Field(
        ge=0, lt=2**31, description="That was read: what somebody else changed since is not overwritten."
    )

    def change(self) -> TenantChange:
        return TenantChange(name=self.name, settings=self.settings)


class TenantRead(BaseModel):
    """A tenant."""

    tenant_id: str = Field(examples=["acme"])
    company_id: str = Field(description="The same.")
    name: str
    status: TenantStatus
    plan: str
    limits: dict[str, int | float] = Field(description="Those of its own.")
    platform: str | None
    domain: str | None
    settings: TenantSettings
    version: int
    created_at: datetime
    updated_at: datetime
    purged_at: datetime | None = Field(
        description="When the data of a deleted tenant were gone; null while some may be left."
    )

    @classmethod
    def of(cls, tenant: Tenant) -> Self:
        names = LimitsWrite.model_fields
        limits = {name: getattr(tenant.limits, name) for name in names if getattr(tenant.limits, name) is not None}
        return cls(
            tenant_id=tenant.tenant_id,
            company_id=tenant.tenant_id,
            name=tenant.name,
            status=tenant.status,
            plan=tenant.plan,
            limits=limits,
            platform=tenant.platform,
            domain=tenant.domain,
            settings=TenantSettings.read(tenant.settings),
            version=tenant.version,
            created_at=tenant.created_at,
            updated_at=tenant.updated_at,
            purged_at=tenant.purged_at,
        )


class TenantList(BaseModel):
    """Tenants by their ids."""

    items: list[TenantRead]
    next: str | None = Field(None, description="Ask with it as `after` for the next page; None when there is none.")
    total: int
