"""Installing a support platform, on the wire. `company_id` is another name of `tenant_id`."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, SecretStr

from backend.dto.tenant import Installation
from backend.service.setup import Installed, Tested

NEXT_STEPS = ("collect", "embed", "index")

PlatformName = Annotated[str, Field(min_length=1, max_length=20, pattern=r"^[a-z0-9_-]+$", examples=["freshdesk"])]
TenantName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$", examples=["acme"])]
PlatformKey = Annotated[SecretStr, Field(min_length=1, max_length=200, description="The platform's API key.")]

INSTALL_EXAMPLES: dict[str, Any] = {
    "freshdesk": {
        "summary": "Freshdesk",
        "value": {"platform": "freshdesk", "domain": "acme.freshdesk.com", "api_key": "your-freshdesk-api-key"},
    }
}


class InstallRequest(BaseModel):
    """An account of a platform, and a key that opens it."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    platform: PlatformName = "freshdesk"
    domain: Annotated[str, Field(min_length=1, max_length=2048, examples=["acme.freshdesk.com"])]
    api_key: PlatformKey
    tenant_id: TenantName | None = Field(
        None,
        validation_alias=AliasChoices("tenant_id", "company_id"),
        description="For an operator: whose account it is to be; without it, the domain's name. Others act for"
        " themselves.",
    )


class KeyRequest(BaseModel):
    """Another key of the same account."""

    model_config = ConfigDict(
        extra="forbid",
        hide_input_in_errors=True,
        json_schema_extra={"examples": [{"api_key": "another-key-of-the-account"}]},
    )

    api_key: PlatformKey


class ConnectionRead(BaseModel):
    """A connection that works."""

    status: Literal["success"] = "success"
    tenant_id: str
    company_id: str = Field(description="The same as `tenant_id`.")
    platform: str
    domain: str
    agent: str = Field(description="Whose key it is.")
    message: str

    @classmethod
    def of(cls, tested: Tested) -> Self:
        account = tested.account
        return cls(
            tenant_id=tested.tenant_id,
            company_id=tested.tenant_id,
            platform=account.platform,
            domain=account.domain,
            agent=account.agent_name or account.agent_id,
            message=f"{account.domain} accepts the API key.{_restriction(account.details)}",
        )


class InstallationRead(BaseModel):
    """An installed platform, without its secrets."""

    tenant_id: str
    company_id: str = Field(description="The same as `tenant_id`.")
    platform: str
    domain: str
    status: Literal["installed", "uninstalled", "refused"] = Field(
        description="`refused`: the platform no longer accepts the key; `uninstalled`: only what was collected is left."
    )
    account: Mapping[str, Any]
    webhook_url: str = Field(examples=["/setup/freshdesk/webhook/acme"])
    installed_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, found: Installation) -> Self:
        return cls(
            tenant_id=found.tenant_id,
            company_id=found.tenant_id,
            platform=found.platform,
            domain=found.domain,
            status=found.status,
            account=found.account,
            webhook_url=webhook_path(found),
            installed_at=found.installed_at,
            updated_at=found.updated_at,
        )


class InstallationList(BaseModel):
    items: list[InstallationRead]


class WebhookRead(BaseModel):
    """What the platform's automation rule needs, to tell of changes."""

    url: str = Field(examples=["/setup/freshdesk/webhook/acme"], description="On this server.")
    header: str = "X-Webhook-Secret"
    secret: str | None = Field(description="Shown once; None when it was shown before.")


class InstallResult(BaseModel):
    """What was installed, and what follows by itself."""

    status: Literal["installed"] = "installed"
    tenant_id: str
    company_id: str = Field(description="The same as `tenant_id`.")
    platform: str
    domain: str
    next_steps: list[str] = Field(examples=[list(NEXT_STEPS)])
    job_id: UUID | None = Field(description="The collection that has begun; None where none could.")
    webhook: WebhookRead

    @classmethod
    def of(cls, made: Installed) -> Self:
        found = made.installation
        return cls(
            tenant_id=found.tenant_id,
            company_id=found.tenant_id,
            platform=found.platform,
            domain=found.domain,
            next_steps=list(NEXT_STEPS),
            job_id=made.job_id,
            webhook=WebhookRead(url=webhook_path(found), secret=made.webhook_secret),
        )


class WebhookTaken(BaseModel):
    """A webhook that was heard."""

    status: Literal["accepted", "duplicate"]
    tickets: list[str] = Field(description="Which are read again.")


def _restriction(details: Mapping[str, Any]) -> str:
    """Say so when the key's agent does not see all tickets (scope 1): the others would never be collected."""
    if details.get("ticket_scope") in {None, 1}:
        return ""
    return " Its agent sees only some of the tickets; use an administrator's key to collect all of them."


def webhook_path(found: Installation) -> str:
    """Return where the platform's webhooks for a tenant go, on this server."""
    return f"/setup/{found.platform}/webhook/{found.tenant_id}"
