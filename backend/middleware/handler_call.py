"""Calling an authentication handler of a project's own: what it takes is read from its parameters, once.

By name it may take `request, body, path, method, path_params, query_params, headers, authorization, user, scopes,
scope`; a parameter may also be a `Depends` of FastAPI, whose function is called by the same rules.
"""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import orjson
from starlette.datastructures import QueryParams
from starlette.requests import HTTPConnection, Request
from starlette.types import Message, Receive, Scope

from backend.core.error import Forbidden, InvalidGraph

NAMES = frozenset(
    {
        "request",
        "body",
        "path",
        "method",
        "path_params",
        "query_params",
        "headers",
        "authorization",
        "user",
        "scopes",
        "scope",
    }
)


class Replay:
    """What of a request's body was read before the application, which then gets it all the same."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._read: list[Message] = []

    async def read(self) -> Message:
        """Receive for who reads ahead."""
        message = await self._receive()
        self._read.append(message)
        return message

    async def receive(self) -> Message:
        """Receive for the application."""
        return self._read.pop(0) if self._read else await self._receive()


@dataclass(frozen=True, slots=True)
class HandlerCall:
    """A function, and where each of its parameters comes from: a name, or the call of a dependency."""

    function: Callable[..., Any]
    parameters: tuple[tuple[inspect.Parameter, "str | HandlerCall"], ...]

    @classmethod
    def of(cls, function: Callable[..., Any], where: str, depth: int = 0) -> "HandlerCall":
        """Return how a function is called.

        Raises:
            InvalidGraph: it takes something that no request has; `where` begins the sentence.
        """
        try:
            hints = get_type_hints(
                function if inspect.isroutine(function) else type(function).__call__, None, None, True
            )
        except Exception:  # noqa: BLE001 - a foreign annotation may name what is imported for type checkers alone
            hints = {}
        found: list[tuple[inspect.Parameter, str | HandlerCall]] = []
        for parameter in inspect.signature(function).parameters.values():
            dependency = _dependency(parameter.default, hints.get(parameter.name))
            if dependency is not None:
                if depth == 10 or inspect.isgeneratorfunction(dependency) or inspect.isasyncgenfunction(dependency):
                    raise InvalidGraph(f"{where}: the dependency {parameter.name!r} must be a plain function.")
                found.append((parameter, cls.of(dependency, where, depth + 1)))
            elif _is_connection(hints.get(parameter.name)):
                found.append((parameter, "request"))
            elif parameter.name in NAMES:
                found.append((parameter, parameter.name))
            elif parameter.default is parameter.empty and parameter.kind not in {
                parameter.VAR_POSITIONAL,
                parameter.VAR_KEYWORD,
            }:
                raise InvalidGraph(
                    f"{where}: a handler cannot take {parameter.name!r}; it may take {', '.join(sorted(NAMES))}."
                )
        return cls(function, tuple(found))

    @property
    def needs(self) -> frozenset[str]:
        """The names that it takes, with those of its dependencies."""
        own = [{source} if isinstance(source, str) else source.needs for _, source in self.parameters]
        return frozenset().union(*own)

    async def call(self, scope: Scope, replay: Replay) -> Any:
        """Call the function for a request; one without `async` in a thread.

        Raises:
            Forbidden: it takes the request, and this is a WebSocket, which has none.
            Exception: what the function raised.
        """
        needs = self.needs
        if "request" in needs and scope["type"] != "http":
            raise Forbidden("The server's authentication needs an HTTP request, which a WebSocket is not.")
        request = Request(scope, replay.read) if scope["type"] == "http" else None
        given: dict[str, Any] = {"request": request}
        for name in needs - {"request"}:
            given[name] = await _json(request) if name == "body" else _value(name, scope)
        return await self._run(given, {})

    async def _run(self, given: dict[str, Any], done: dict[Any, Any]) -> Any:
        positional: list[Any] = []
        named: dict[str, Any] = {}
        for parameter, source in self.parameters:
            if isinstance(source, str):
                value = given[source]
            else:
                if source.function not in done:
                    done[source.function] = await source._run(given, done)
                value = done[source.function]
            if parameter.kind is parameter.POSITIONAL_ONLY:
                positional.append(value)
            else:
                named[parameter.name] = value
        if inspect.iscoroutinefunction(self.function):
            return await self.function(*positional, **named)
        made = await asyncio.to_thread(self.function, *positional, **named)
        return await made if isinstance(made, Awaitable) else made


def _dependency(default: Any, hint: Any) -> Callable[..., Any] | None:
    from fastapi.params import Depends

    marks = [default, *(get_args(hint)[1:] if get_origin(hint) is Annotated else ())]
    for mark in marks:
        if isinstance(mark, Depends):
            return mark.dependency
    return None


def _is_connection(hint: Any) -> bool:
    return isinstance(hint, type) and issubclass(hint, HTTPConnection)


def _value(name: str, scope: Scope) -> Any:
    match name:
        case "path":
            return scope.get("root_path", "") + scope["path"]
        case "method":
            return scope.get("method", "WEBSOCKET")
        case "path_params":
            return dict(scope.get("path_params") or {})
        case "query_params":
            return QueryParams(scope.get("query_string", b""))
        case "headers":
            return dict(scope["headers"])
        case "authorization":
            values = [value for key, value in scope["headers"] if key == b"authorization"]
            # Of two, this server and one before it may believe different ones.
            return values[0].decode("utf-8", "replace") if len(values) == 1 else None
        case "user":
            return scope.get("user")
        case "scopes":
            return []
        case _:
            return scope


async def _json(request: Request | None) -> Any:
    """Return the body as what it says in JSON; None when it is empty or none."""
    if request is None:
        return None
    try:
        return orjson.loads(await request.body())
    except orjson.JSONDecodeError:
        return None
