"""What our OpenAPI document says of authentication and of failures: the same as the door asks for and answers."""

import re
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

from backend.api.route import is_json_of_any_type
from backend.core.error import DomainError, Forbidden, Invalid, TooLarge, TooMany, Unauthorized
from backend.middleware.agent_door import is_agent_path
from backend.middleware.auth import BearerTokenAuthMiddleware, is_webhook
from backend.middleware.openai_error import PREFIX as OPENAI
from backend.middleware.rate import RateMiddleware
from backend.schema.problem import MEDIA_TYPE, Problem
from backend.service.permission import needed

SCHEMES: dict[str, Any] = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "A token of the server's settings, an access token of a login, or an API key.",
    },
    "api_key": {
        "type": "apiKey",
        "in": "header",
        "name": "x-api-key",
        "description": "The same, as the clients of the LangGraph SDK send it.",
    },
}
_METHODS = frozenset({"get", "put", "post", "delete", "options", "head", "patch", "trace"})
_REF = "#/components/schemas/"
_FRAMEWORKS = ("HTTPValidationError", "ValidationError")
"""What FastAPI says that it answers to what is not valid; nobody gets that from us."""
_UNSAID: dict[str, Any] = {"application/json": {"schema": {}}}
_NOT_JSON = "The body is not JSON"
_NO_TYPE = (415, "The body does not say that it is JSON")
_AGENT_ERROR = {
    "type": "object",
    "properties": {"detail": {"type": "string", "description": "What went wrong, for a person."}},
    "required": ["detail"],
}
_OPENAI_ERROR = {
    "type": "object",
    "properties": {
        "error": {
            "type": "object",
            "properties": {
                "message": {"type": "string"},
                "type": {"type": "string"},
                "param": {"type": ["string", "null"]},
                "code": {"type": ["string", "null"]},
            },
            "required": ["message", "type", "param", "code"],
        }
    },
    "required": ["error"],
}


def secured(document: dict[str, Any]) -> dict[str, Any]:
    """Return a document of ours in which every operation says how its callers show who they are, but for public ones.

    With `AUTH_MODE=disabled` nobody needs to, which a document that is kept and shared does not show.
    """
    paths = {
        path: item
        if is_public(path)
        else {
            name: {**part, "security": [{scheme: []} for scheme in SCHEMES]} if name in _METHODS else part
            for name, part in item.items()
        }
        for path, item in document.get("paths", {}).items()
    }
    components = {**document.get("components", {}), "securitySchemes": SCHEMES}
    return {**document, "paths": paths, "components": components}


def is_public(path: str) -> bool:
    """Whether the door asks nobody at a path of the document."""
    door = BearerTokenAuthMiddleware
    return path in door.PUBLIC | door.LOGIN | door.DOCS or is_webhook(path.replace("{platform}", "freshdesk"))


def with_failures(document: dict[str, Any]) -> dict[str, Any]:
    """Return a document of ours in which every operation says what it answers when it refuses, in its door's own form.

    What the door and the frame refuse (who asks, how often, what is no JSON, too large or not valid) no route can
    know of, so it is said here once for all of them.
    """
    made = deepcopy(document)
    for path, item in made.get("paths", {}).items():
        for method, operation in item.items():
            if method in _METHODS:
                _describe(method.upper(), path, operation)
    schemas = made.setdefault("components", {}).setdefault("schemas", {})
    schemas.setdefault("Problem", Problem.model_json_schema())
    schemas |= {"AgentError": _AGENT_ERROR, "OpenAIError": _OPENAI_ERROR}
    for name in _FRAMEWORKS:
        schemas.pop(name, None)
    return made


def _describe(method: str, path: str, operation: dict[str, Any]) -> None:
    answers = operation["responses"]
    validates = _is_frameworks(answers.get("422")) and answers.pop("422") is not None
    media, schema = _form(path)
    content = {media: {"schema": {"$ref": f"{_REF}{schema}"}}}
    for status, answer in answers.items():
        if status >= "4" and answer.get("content") in (None, _UNSAID):
            answer["content"] = content
    has_body = "requestBody" in operation
    refusals = [*_refusals(method, path, has_body=has_body, validates=validates)]
    if has_body and _needs_json(path, operation):
        refusals.append(_NO_TYPE)
    for status, title in refusals:
        known = answers.get(str(status))
        if known is None:
            answers[str(status)] = {"description": title, "content": content}
        elif title not in known["description"]:
            known["description"] += f"; {title}"
    operation["responses"] = dict(sorted(answers.items()))


def _refusals(method: str, path: str, *, has_body: bool, validates: bool) -> Iterator[tuple[int, str]]:
    def of(error: type[DomainError]) -> tuple[int, str]:
        return error.status, error.title

    openai = path.startswith(OPENAI)
    if not is_public(path):
        yield of(Unauthorized)
        if needed(method, re.sub(r"\{[^}]*\}", "x", path)) is not None:
            yield of(Forbidden)
    if not is_public(path) and path not in RateMiddleware.EXEMPT:
        yield of(TooMany)
    if has_body:
        yield (422 if is_agent_path(path) else 400), _NOT_JSON
        yield of(TooLarge)
    if validates:
        yield (400 if openai else Invalid.status), Invalid.title


def _needs_json(path: str, operation: dict[str, Any]) -> bool:
    is_json = "application/json" in operation["requestBody"]["content"]
    return is_json and not is_agent_path(path) and not is_json_of_any_type(operation)


def _form(path: str) -> tuple[str, str]:
    """Return the media type and the schema in which a door tells of failures."""
    if is_agent_path(path):
        return "application/json", "AgentError"
    if path.startswith(OPENAI):
        return "application/json", "OpenAIError"
    return MEDIA_TYPE, "Problem"


def _is_frameworks(answer: Any) -> bool:
    return answer is not None and f"{_REF}{_FRAMEWORKS[0]}" in str(answer)
