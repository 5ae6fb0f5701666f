"""API keys on the wire."""

from datetime import datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from backend.dto.tenant import ApiKey
from backend.schema.user import PersonName

Scope = Literal["chat", "knowledge:read", "knowledge:write", "tickets:read", "tickets:write", "sync", "admin"]

API_KEY_EXAMPLES: dict[str, Any] = {
    "widget": {
        "summary": "For a chat widget",
        "value": {"name": "website widget", "scopes": ["chat", "knowledge:read"], "expires_at": "2030-01-01T00:00:00Z"},
    }
}


class ApiKeyCreate(BaseModel):
    """A new API key."""

    model_config = ConfigDict(extra="forbid")

    name: PersonName
    scopes: Annotated[list[Scope], Field(min_length=1, max_length=16, description="None that is not your own.")]
    expires_at: AwareDatetime | None = Field(None, description="Without one it is good until it is revoked.")


class ApiKeyRead(BaseModel):
    """An API key, without its secret."""

    key_id: UUID
    name: str
    prefix: str = Field(examples=["ddp_3xK9aP2q"], description="How it begins.")
    scopes: list[str]
    created_by: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None = Field(description="To the minute.")

    @classmethod
    def of(cls, key: ApiKey) -> Self:
        return cls.model_validate(
            {name: getattr(key, name) for name in ApiKeyRead.model_fields} | {"scopes": [*key.scopes]}
        )


class ApiKeyCreated(ApiKeyRead):
    """A new API key, with its secret, which is never shown again."""

    api_key: str = Field(description="Send it as `Authorization: Bearer …` or `x-api-key: …`.")

    @classmethod
    def made(cls, key: ApiKey, secret: str) -> Self:
        return cls(**ApiKeyRead.of(key).model_dump(), api_key=secret)


class ApiKeyList(BaseModel):
    """API keys, the newest first."""

    items: list[ApiKeyRead]
    next: str | None = Field(None, description="Ask with it as `before` for the next page; None when there is none.")
    total: int
