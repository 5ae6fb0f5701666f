"""Reading a request as Freshdesk does, and refusing it in Freshdesk's words."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from backend.simulator.freshdesk.account import LANGUAGES
from backend.simulator.freshdesk.blank import moment_of
from backend.simulator.freshdesk.desk import ADMIN_ROLE

Json = dict[str, Any]
MAX_PER_PAGE = 100
WRITABLE = frozenset(
    "subject description status priority type tags group_id responder_id custom_fields due_by source company_id "
    "association_type product_id email_config_id".split()
)


class Refused(Exception):
    """An answer that is not 2xx."""

    def __init__(self, status: int, body: Json | None = None) -> None:
        super().__init__(status)
        self.status, self.body = status, body


def invalid(field: str, message: str, code: str = "invalid_value") -> Refused:
    """Return the refusal of one bad field."""
    error = {"field": field, "message": message, "code": code}
    return Refused(400, {"description": "Validation failed", "errors": [error]})


def answer(body: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return JSON as Freshdesk sends it."""
    return Response(orjson.dumps(body), status, headers, "application/json; charset=utf-8")


@dataclass(frozen=True, slots=True)
class Page:
    number: int
    size: int

    @property
    def offset(self) -> int:
        return (self.number - 1) * self.size


DENIED = "You are not authorized to perform this action."


def in_scope(agent: Json, ticket: Json) -> bool:
    """Tell whether an agent may see a ticket: 1 all, 2 those of the own groups, 3 the own ones."""
    if agent["ticket_scope"] == 1 or ticket["responder_id"] == agent["id"]:
        return True
    return agent["ticket_scope"] == 2 and ticket["group_id"] in agent["group_ids"]


def require_admin(request: Request) -> None:
    """Refuse whoever is no administrator."""
    if ADMIN_ROLE not in request.state.agent["role_ids"]:
        raise Refused(403, {"code": "access_denied", "message": DENIED})


def page_of(request: Request) -> Page:
    """Return which page is asked for."""
    query = request.query_params
    number = number_of(query.get("page", "1"), "page")
    size = number_of(query.get("per_page", "30"), "per_page")
    if size > MAX_PER_PAGE:
        raise invalid("per_page", f"It should be a Positive Integer less than or equal to {MAX_PER_PAGE}")
    return Page(number, size)


def number_of(text: str, field: str) -> int:
    """Return a positive number."""
    if not re.fullmatch(r"[0-9]{1,18}", text) or int(text) < 1:
        raise invalid(field, "It should be a/an Positive Integer", "datatype_mismatch")
    return int(text)


def choice_of(text: str, field: str, choices: tuple[str, ...]) -> str:
    """Return one of the words that are allowed."""
    if text not in choices:
        raise invalid(field, f"It should be one of these values: '{','.join(choices)}'")
    return text


def includes_of(request: Request, allowed: tuple[str, ...]) -> frozenset[str]:
    """Return what is to be embedded."""
    text = request.query_params.get("include")
    if text is None:
        return frozenset()
    names = frozenset(text.split(","))
    if not names <= set(allowed):
        raise invalid("include", f"It should be one of these values: '{','.join(allowed)}'")
    return names


def moment_in(text: str, field: str) -> datetime:
    """Return a moment; one without a zone is in UTC."""
    # A `+` in a query that was not escaped arrives as a space.
    try:
        moment = moment_of(text.replace(" ", "+"))
    except ValueError:
        raise invalid(field, "It should be in the 'combined date and time ISO8601' format") from None
    return moment if moment.tzinfo else moment_of(f"{moment.isoformat()}+00:00")


def language_of(request: Request) -> str | None:
    """Return the language in which the path ends; None for the account's own."""
    last = request.scope["path"].rpartition("/")[2]
    return last if last in LANGUAGES[1:] else None


async def body_of(request: Request) -> Json:
    """Return the JSON object that was sent."""
    kind = request.headers.get("content-type", "")
    if kind.partition(";")[0].strip().lower() != "application/json":
        message = f"Content-Type header is set to {kind or 'nothing'}. It should be set to application/json"
        raise Refused(415, {"code": "invalid_content_type", "message": message})
    try:
        body = orjson.loads(await request.body())
    except orjson.JSONDecodeError:
        body = None
    if not isinstance(body, dict):
        raise Refused(400, {"code": "invalid_json", "message": "Request body has invalid json format"})
    return body


def text_in(body: Json, field: str) -> str:
    """Return a text that must be there."""
    value = body.get(field)
    if not isinstance(value, str) or not value.strip():
        code = "missing_field" if value is None else "invalid_value" if isinstance(value, str) else "datatype_mismatch"
        raise invalid(field, "It should be a/an String", code)
    return value


def changes_in(body: Json) -> Json:
    """Return the fields of a ticket that are to be changed."""
    for name, value in body.items():
        if name not in WRITABLE:
            raise invalid(name, "Unexpected/invalid field in request", "invalid_field")
        if name in {"status", "priority"} and (not isinstance(value, int) or isinstance(value, bool)):
            raise invalid(name, "It should be a/an Integer", "datatype_mismatch")
    if "priority" in body and body["priority"] not in {1, 2, 3, 4}:
        raise invalid("priority", "It should be one of these values: '1,2,3,4'")
    if "status" in body and body["status"] not in {2, 3, 4, 5, 6, 7}:
        raise invalid("status", "It should be one of these values: '2,3,4,5,6,7'")
    return body
