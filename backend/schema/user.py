"""A tenant's people on the wire."""

from datetime import datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, SecretStr, StringConstraints, field_validator
from pydantic_core import PydanticCustomError

from backend.core.password import MAX_LENGTH, MIN_LENGTH
from backend.dto.tenant import User, UserChange, UserStatus

Role = Literal["owner", "admin", "agent", "viewer"]
Email = Annotated[
    str, StringConstraints(strip_whitespace=True, max_length=320, pattern=r"^[^@\s\x00-\x1f]{1,64}@[^@\s\x00-\x1f]+$")
]
PersonName = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=255, pattern=r"^[^\x00-\x1f]+$")
]

USER_EXAMPLES: dict[str, Any] = {
    "agent": {
        "summary": "Somebody who answers tickets",
        "value": {"email": "mina@acme.example", "name": "김미나", "role": "agent", "password": "correct horse battery"},
    }
}


def check_password(password: SecretStr) -> SecretStr:
    """Return a new password as it is; refuse one that is too short or too long."""
    if not MIN_LENGTH <= len(password.get_secret_value()) <= MAX_LENGTH:
        raise PydanticCustomError("password", f"A password has {MIN_LENGTH} to {MAX_LENGTH} characters.")
    return password


class UserCreate(BaseModel):
    """A new user."""

    model_config = ConfigDict(extra="forbid")

    email: Email
    name: PersonName | None = Field(None, description="Without one, the e-mail address.")
    role: Role = Field("agent", description="One that may nothing which you may not.")
    password: SecretStr | None = Field(None, description="Of 8 to 256 characters; without one there is no login.")

    @field_validator("password")
    @classmethod
    def _password(cls, value: SecretStr | None) -> SecretStr | None:
        return None if value is None else check_password(value)


class UserUpdate(BaseModel):
    """What of a user is to be changed. All but another name ends every login of the user."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"role": "viewer"}]})

    email: Email | None = Field(None, description="By which the user logs in from then on.")
    name: PersonName | None = None
    role: Role | None = None
    status: UserStatus | None = None
    password: SecretStr | None = None

    @field_validator("password")
    @classmethod
    def _password(cls, value: SecretStr | None) -> SecretStr | None:
        return None if value is None else check_password(value)

    def change(self) -> UserChange:
        password = None if self.password is None else self.password.get_secret_value()
        return UserChange(email=self.email, name=self.name, role=self.role, status=self.status, password=password)


class UserRead(BaseModel):
    """A user."""

    user_id: UUID
    tenant_id: str
    email: str
    name: str
    role: Role
    status: UserStatus
    created_at: datetime
    updated_at: datetime
    last_login_at: datetime | None

    @classmethod
    def of(cls, user: User) -> Self:
        return cls.model_validate({name: getattr(user, name) for name in cls.model_fields})


class UserList(BaseModel):
    """Users, the newest first."""

    items: list[UserRead]
    next: str | None = Field(None, description="Ask with it as `before` for the next page; None when there is none.")
    total: int
