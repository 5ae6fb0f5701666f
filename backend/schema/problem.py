"""What a failure looks like on the wire."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from backend.core.error import DomainError, TooMany, Unauthorized

MEDIA_TYPE = "application/problem+json"
ONE, SEVERAL = FORMS = ("<one>", "<several>")
"""Which of its forms a body has: Pydantic puts it into the places of errors, where no client has written it."""


class Problem(BaseModel):
    """A problem document (RFC 9457). Further members depend on the type."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(examples=["/problems/thread-not-found"], description="What went wrong, for a machine.")
    title: str = Field(examples=["No such thread"])
    status: int = Field(examples=[404])
    detail: str = Field(description="What went wrong here, for a person.")
    instance: str | None = Field(None, description="The path that was asked for.")
    request_id: str | None = Field(None, description="The X-Request-ID under which the server logged it.")


def headers(error: DomainError) -> dict[str, str]:
    """Return the response headers that belong to the failure."""
    made = {"Cache-Control": "no-store"}
    if isinstance(error, Unauthorized):
        made["WWW-Authenticate"] = "Bearer"
    if isinstance(error, TooMany):
        made["Retry-After"] = str(error.retry_after)
    return made


def problems(*errors: type[DomainError]) -> dict[int | str, dict[str, Any]]:
    """Return the OpenAPI description of the failures that a route can answer: `responses=problems(ThreadNotFound)`."""
    described: dict[int | str, dict[str, Any]] = {}
    for error in errors:
        entry = described.setdefault(
            error.status,
            {"description": "", "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}},
        )
        entry["description"] = f"{entry['description']}; {error.title}".removeprefix("; ")
    return described
