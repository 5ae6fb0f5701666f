"""The short way to the few requests that must be quick, past FastAPI's own layers."""

from collections.abc import Awaitable, Callable, Iterable

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute
from starlette.types import Receive, Scope, Send

from backend.api.problem import answer
from backend.api.route import HotRoute
from backend.core.error import DomainError


class HotPath:
    """Hands the requests of hot routes to their endpoints at once, and all others to the application.

    The same endpoints stand in the application too, where they are documented; FastAPI's middlewares, its search for
    the route and its exit stacks are most of what such a request would cost there. Errors are answered alike.
    """

    def __init__(self, app: FastAPI, routes: Iterable[BaseRoute], prefix: str) -> None:
        """Find the hot ones of `routes`, which the application has under `prefix`."""
        self._app = app
        self._prefix = prefix
        hot = [route for route in routes if isinstance(route, HotRoute)]
        self._exact = {prefix + route.path: route.endpoint for route in hot if not route.param_convertors}
        self._others = [route for route in hot if route.param_convertors]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        endpoint = self._find(scope) if scope["type"] == "http" and scope["method"] == "POST" else None
        if endpoint is None:
            await self._app(scope, receive, send)
            return
        scope["app"] = self._app
        request = Request(scope, receive, send)
        try:
            response = await endpoint(request)
        except (DomainError, RequestValidationError, HTTPException) as error:
            response = await answer(request, error)
        await response(scope, receive, send)

    def _find(self, scope: Scope) -> Callable[[Request], Awaitable[Response]] | None:
        path: str = scope["path"]
        endpoint: Callable[[Request], Awaitable[Response]] | None = self._exact.get(path)
        if endpoint is not None or not path.endswith(("/chat", "/chat/stream")):
            return endpoint
        for route in self._others:
            match = route.path_regex.match(path.removeprefix(self._prefix))
            if match is not None:
                scope["path_params"] = match.groupdict()
                return route.endpoint
        return None
