"""The one place where an exception becomes a problem document (RFC 9457) of an HTTP response.

DomainError              its status, slug and members
RequestValidationError   422 with `errors`; 400 when the body is not JSON, 415 when it does not say that it is
HTTPException            404, 405 and what else the framework answers
anything else            500 and nothing but "Internal Server Error"; middleware/tracking.py logs it, once
"""

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from backend.api.head import takes, takes_head
from backend.core.error import DomainError
from backend.core.problem import document, problem
from backend.core.run.wire import dumps
from backend.schema.problem import FORMS, MEDIA_TYPE, headers, problems

__all__ = ["install", "problem", "problems"]

ERROR_LIMIT = 20
"""Validation errors that one answer lists."""
TEXT_LIMIT = 300
"""Characters of one of their messages, which may quote what was sent."""
_UNREADABLE = "There was an error parsing the body"
"""What FastAPI says, with 400, of a body in which it finds no JSON for another reason than its grammar."""
_NOT_JSON = ("not-json", "The body is not JSON")
_OF_STATUS = {
    404: ("not-found", "Not found"),
    413: ("too-large", "Too large"),
    416: ("range-not-satisfiable", "No such part of the file"),
    422: ("invalid", "Invalid"),
}


def install(app: FastAPI) -> None:
    """Make every failure of the application a problem document."""
    app.add_exception_handler(DomainError, _domain_error)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(Exception, _unknown_error)


async def answer(request: Request, error: DomainError | RequestValidationError | HTTPException) -> Response:
    """Return the problem document of an expected failure, where no handler of the application sees it."""
    if isinstance(error, DomainError):
        return await _domain_error(request, error)
    if isinstance(error, RequestValidationError):
        return await _validation_error(request, error)
    return await _http_error(request, error)


async def _domain_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, DomainError)  # for the type; it is registered for nothing else
    return _answer(problem(error, request.scope["path"], _request_id(request)), headers(error))


async def _validation_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    if isinstance(error.body, bytes) and error.body:  # FastAPI reads as JSON only what says that it is
        return await _http_error(
            request, HTTPException(415, "The body is read as JSON: send it with `Content-Type: application/json`.")
        )
    found = error.errors()
    if found and found[0]["type"] == "json_invalid":
        (slug, title), status = _NOT_JSON, 400
        reason = found[0].get("ctx", {}).get("error", "it cannot be read")
        detail = f"The body is not JSON: {str(reason)[:TEXT_LIMIT]} at character {found[0]['loc'][-1]}."
        members: dict[str, Any] = {}
    else:
        slug, title, status = "invalid", "The request cannot be honoured", 422
        detail = "; ".join(f"{_place(item['loc'])}: {_message(item)}" for item in found[:3])
        members = {
            "errors": [  # never the value itself: it may be a secret, or a megabyte
                {"loc": _location(item["loc"]), "msg": _message(item), "type": item["type"]}
                for item in found[:ERROR_LIMIT]
            ]
        }
    made = document(
        slug, title, status, detail, instance=request.scope["path"], request_id=_request_id(request), members=members
    )
    return _answer(made)


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    status = error.status_code
    phrase = HTTPStatus(status).phrase if status in HTTPStatus else "Error"
    slug, title = _OF_STATUS.get(status, (re.sub(r"[^a-z]+", "-", phrase.lower()), phrase))
    detail = str(error.detail)
    if status == 400 and detail == _UNREADABLE:
        slug, title = _NOT_JSON
        detail = "The body is not JSON: it is not in Unicode, or nested too deeply."
    if detail == phrase and status == 404:
        detail = "There is nothing at this path."
    elif detail == phrase and status == 405:
        detail = f"This path does not take {request.method}."
    made = document(slug, title, status, detail, instance=request.scope["path"], request_id=_request_id(request))
    return _answer(made, {**(error.headers or {}), "Allow": _methods(request)} if status == 405 else error.headers)


async def _unknown_error(request: Request, error: Exception) -> Response:
    return _answer(problem(error, request.scope["path"], _request_id(request)))


def _answer(made: dict[str, Any], headers: Mapping[str, str] | None = None) -> Response:
    body = dumps(made)  # whatever stands in it, such as half a character of what was asked for
    return Response(body, made["status"], headers=dict(headers or {}), media_type=MEDIA_TYPE)


def _request_id(request: Request) -> str | None:
    found: str | None = request.scope.get("state", {}).get("request_id")
    return found


def _location(parts: tuple[int | str, ...]) -> list[int | str]:
    said = [part for part in parts if part not in FORMS]
    return [part if isinstance(part, int) else part[:100] for part in said[:10]]


def _message(item: Mapping[str, Any]) -> str:
    text: str = item["msg"]
    return text.removeprefix("Value error, ")[:TEXT_LIMIT]


def _methods(request: Request) -> str:
    """Return all methods that the path takes: the framework names only those of the first route that has it."""
    app, scope = request.app, request.scope
    taken = [
        method
        for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
        if (takes_head(app, scope) if method == "HEAD" else takes(app, scope, method))
    ]
    return ", ".join(taken)


def _place(parts: tuple[int | str, ...]) -> str:
    return ".".join(map(str, _location(parts)))
