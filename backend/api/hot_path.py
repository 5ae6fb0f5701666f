"""The short way to the few requests that must be quick, past FastAPI's own layers."""

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, compile_path
from starlette.types import Receive, Scope, Send

from backend.api.head import as_get
from backend.api.problem import answer
from backend.api.route import HotRoute
from backend.core.error import DomainError

_Endpoint = Callable[[Request], Awaitable[Response]]


class HotPath:
    """Hands the requests of hot routes to their endpoints at once, and all others to the application.

    The same endpoints stand in the application too, where they are documented; FastAPI's middlewares, its search for
    the route and its exit stacks are most of what such a request would cost there. Errors are answered alike.
    """

    def __init__(self, app: FastAPI, routes: Mapping[str, Iterable[BaseRoute]]) -> None:
        """Find the hot ones of `routes`, which the application has under the prefixes that they are given by."""
        self._app = app
        self._exact: dict[str, _Endpoint] = {}
        self._others: dict[str, list[tuple[re.Pattern[str], _Endpoint]]] = {}
        """By the last part of their paths."""
        for prefix, under in routes.items():
            for route in under:
                if not isinstance(route, HotRoute):
                    continue
                path = prefix + route.path
                if not route.param_convertors:
                    self._exact[path] = route.endpoint
                else:
                    pattern = compile_path(path)[0]
                    self._others.setdefault(path.rpartition("/")[2], []).append((pattern, route.endpoint))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        endpoint = self._find(scope) if scope["type"] == "http" and scope["method"] == "POST" else None
        if endpoint is None:
            if scope["type"] == "http" and scope["method"] == "HEAD":
                scope = as_get(self._app, scope)
            await self._app(scope, receive, send)
            return
        scope["app"] = self._app
        request = Request(scope, receive, send)
        try:
            response = await endpoint(request)
        except (DomainError, RequestValidationError, HTTPException) as error:
            response = await answer(request, error)
        await response(scope, receive, send)

    def _find(self, scope: Scope) -> _Endpoint | None:
        path: str = scope["path"]
        endpoint = self._exact.get(path)
        if endpoint is not None:
            return endpoint
        for pattern, found in self._others.get(path.rpartition("/")[2], ()):
            match = pattern.match(path)
            if match is not None:
                scope["path_params"] = match.groupdict()
                return found
        return None
