"""A route for the few requests that must be quick."""

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError
from starlette.requests import Request
from starlette.responses import Response

from backend.core.error import Invalid, InvalidId

IDEMPOTENCY_KEY_LIMIT = 255


class HotRoute(APIRoute):
    """A route that is documented like any other, and whose endpoint gets the bare request.

    FastAPI's dependencies and response models cost more than the rest of the door (97 against 38 µs a request), so
    the endpoint reads the body and writes the answer by itself.
    """

    def get_route_handler(self) -> Callable[[Request], Awaitable[Response]]:  # type: ignore[override]  # any awaitable will do
        endpoint: Callable[[Request], Awaitable[Response]] = self.endpoint
        return endpoint


def body_of(model: type[BaseModel], examples: dict[str, Any]) -> dict[str, Any]:
    """Return the OpenAPI text of a body that the endpoint reads by itself."""
    content = {"application/json": {"schema": model.model_json_schema(), "examples": examples}}
    return {"required": True, "content": content}


def is_json_of_any_type(operation: dict[str, Any]) -> bool:
    """Return whether an operation of the document reads its body by itself, whatever type it says to be."""
    content = operation.get("requestBody", {}).get("content", {})
    return "properties" in content.get("application/json", {}).get("schema", {})  # FastAPI would have referred to it


def header(name: str, description: str) -> dict[str, Any]:
    """Return the OpenAPI text of a request header that the endpoint reads by itself."""
    return {"name": name, "in": "header", "required": False, "description": description, "schema": {"type": "string"}}


def path_id(name: str, description: str) -> dict[str, Any]:
    """Return the OpenAPI text of an id in the path that the endpoint reads by itself."""
    schema = {"type": "string", "format": "uuid"}
    return {"name": name, "in": "path", "required": True, "description": description, "schema": schema}


def not_valid(error: ValidationError, body: bytes) -> RequestValidationError:
    """Return the error as FastAPI would have raised it for the body."""
    found: list[dict[str, Any]] = [
        {**item, "loc": ("body", *item["loc"])} for item in error.errors(include_url=False, include_input=False)
    ]
    if found[0]["type"] == "json_invalid":
        reason, _, place = found[0]["ctx"]["error"].partition(" at line ")
        line, _, column = place.partition(" column ")
        before = body.split(b"\n")[: int(line or 1) - 1]
        position = sum(len(part) + 1 for part in before) + max(int(column or 1) - 1, 0)
        found[0] |= {"loc": ("body", position), "ctx": {"error": reason}}
    return RequestValidationError(found)


def parse_id(text: str) -> UUID:
    """Return the id that is written in the usual form, with dashes.

    Raises:
        InvalidId: it is not.
    """
    try:
        if len(text) == 36:
            return UUID(text)
    except ValueError:
        pass
    raise InvalidId(f"{text[:40]!r} is not an id.")


def idempotency_key(text: str | None) -> str | None:
    """Return the `Idempotency-Key`, checked.

    Raises:
        Invalid: it is empty, too long, or not printable ASCII.
    """
    if text is None:
        return None
    if not 0 < len(text) <= IDEMPOTENCY_KEY_LIMIT or not (text.isascii() and text.isprintable()):
        raise Invalid(f"An Idempotency-Key has 1 to {IDEMPOTENCY_KEY_LIMIT} printable ASCII characters.")
    return text
