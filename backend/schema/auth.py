"""Logging in, on the wire."""

from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from backend.dto.principal import DEFAULT_TENANT, Principal
from backend.schema.tenant import TENANT_ALIASES, TenantId
from backend.schema.user import UserRead, check_password

LOGIN_EXAMPLES: dict[str, Any] = {
    "tenant": {
        "summary": "Somebody of a tenant",
        "value": {"tenant_id": "acme", "email": "mina@acme.example", "password": "correct horse battery"},
    }
}


class LoginRequest(BaseModel):
    """Who logs in."""

    model_config = ConfigDict(extra="forbid")

    tenant_id: TenantId = Field(DEFAULT_TENANT, validation_alias=TENANT_ALIASES)
    email: str = Field(min_length=1, max_length=320)
    password: SecretStr = Field(min_length=1, max_length=1024)


class RefreshRequest(BaseModel):
    """The refresh token of a login."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"refresh_token": "the-one-of-the-login"}]}
    )

    refresh_token: SecretStr = Field(min_length=1, max_length=256)


class PasswordChange(BaseModel):
    """The password that is, and the one that shall be."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"current_password": "correct horse battery", "new_password": "staple correct horse"}]
        },
    )

    current_password: SecretStr = Field(min_length=1, max_length=1024)
    new_password: SecretStr

    _password = field_validator("new_password")(check_password)


class LoginResult(BaseModel):
    """What lets a user in."""

    access_token: str = Field(description="Send it as `Authorization: Bearer …`.")
    token_type: Literal["bearer"] = "bearer"  # noqa: S105  # of the OAuth 2.0 answer (RFC 6750)
    expires_in: int = Field(examples=[900], description="Seconds for which the access token is good.")
    refresh_token: str = Field(description="Good once, for the next two tokens; keep it secret.")
    user: UserRead


class Me(BaseModel):
    """Who asks, and what is open to it."""

    tenant_id: str
    company_id: str = Field(description="The same.")
    user_id: str
    roles: list[str]
    scopes: list[str]
    user: UserRead | None = Field(None, description="None for a token or a key, which is nobody's.")

    @classmethod
    def of(cls, principal: Principal, user: UserRead | None) -> Self:
        return cls(
            tenant_id=principal.tenant_id,
            company_id=principal.tenant_id,
            user_id=principal.user_id,
            roles=sorted(principal.roles),
            scopes=sorted(principal.scopes),
            user=user,
        )
