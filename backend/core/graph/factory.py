"""A function of the project's own that makes a graph, called for each use of it."""

import asyncio
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, is_dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin, get_type_hints

from backend.core.error import Forbidden, InvalidGraph
from backend.core.graph.project import GraphEntry
from backend.core.user import as_user

if TYPE_CHECKING:
    from langchain_core.runnables import RunnableConfig
    from langgraph.store.base import BaseStore

AccessContext = Literal["threads.create_run", "threads.update", "threads.read", "assistants.read"]
"""What a graph is wanted for, as in `langgraph_sdk.runtime`."""

_RUNTIMES = frozenset({"ServerRuntime", "_ExecutionRuntime", "_ReadRuntime", "_ServerRuntimeBase"})


@dataclass(frozen=True, slots=True)
class _Parameter:
    name: str
    kind: Literal["config", "runtime"]
    positional_only: bool
    context: Any = None
    """The type that a runtime's context has by its annotation, `ServerRuntime[Context]`."""


@dataclass(frozen=True, slots=True)
class GraphFactory:
    """What it takes is read from the annotations of its parameters, else from their names."""

    entry: GraphEntry
    function: Callable[..., Any]
    parameters: tuple[_Parameter, ...]

    @classmethod
    def of(cls, function: Callable[..., Any], entry: GraphEntry) -> "GraphFactory":
        """Return the factory that a function is.

        Raises:
            InvalidGraph: it needs something else than a config and a runtime.
        """
        try:
            hints = get_type_hints(function)
        except Exception:  # noqa: BLE001 - a foreign annotation may name what is imported for type checkers alone
            hints = getattr(function, "__annotations__", {})
        found, strange = [], []
        undecided = []
        for parameter in inspect.signature(function).parameters.values():
            if parameter.kind in {parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD}:
                continue
            hint = hints.get(parameter.name)
            kind = _kind(parameter.name, hint)
            read = _Parameter(
                parameter.name,
                kind or "config",
                parameter.kind is parameter.POSITIONAL_ONLY,
                _context_type(hint) if kind == "runtime" else None,
            )
            if kind is not None:
                found.append(read)
            elif parameter.default is parameter.empty:
                strange.append(parameter.name)
                undecided.append(read)
        if not found and len(undecided) == 1:  # a single parameter of any name has always been the config
            found, strange = undecided, []
        if strange:
            raise InvalidGraph(
                f"{entry.reference.where}: takes {', '.join(strange)}; a factory takes nothing, a config"
                " (RunnableConfig), a runtime (ServerRuntime) or both."
            )
        return cls(entry, function, tuple(found))

    @property
    def takes_anything(self) -> bool:
        """Whether what it makes may differ from use to use."""
        return bool(self.parameters)

    @asynccontextmanager
    async def use(
        self,
        *,
        config: "RunnableConfig | None" = None,
        access_context: AccessContext = "threads.read",
        user: Mapping[str, Any] | None = None,
        store: "BaseStore | None" = None,
        context: Any = None,
    ) -> AsyncIterator[Any]:
        """Call the function and keep what it opened open.

        Yields:
            What it made: a graph, or whatever else it wrongly gave.

        Raises:
            Forbidden: it wants a user (`runtime.ensure_user()`), and there is none.
            InvalidGraph: it failed.
        """
        made = await self.call(config=config, access_context=access_context, user=user, store=store, context=context)
        if isinstance(made, AbstractAsyncContextManager):
            manager: AbstractAsyncContextManager[Any] = made
        elif isinstance(made, AbstractContextManager):
            manager = _Threaded(made)
        else:
            yield made
            return
        async with AsyncExitStack() as stack:
            try:
                entered = await stack.enter_async_context(manager)
            except Exception as problem:  # a foreign function, as in `call`
                raise self._failed(problem) from problem
            yield entered

    async def call(
        self,
        *,
        config: "RunnableConfig | None" = None,
        access_context: AccessContext = "assistants.read",
        user: Mapping[str, Any] | None = None,
        store: "BaseStore | None" = None,
        context: Any = None,
    ) -> Any:
        """Return what the function returns, awaited when it must be; it never blocks the loop. Raises as `use`."""
        positional: list[Any] = []
        named: dict[str, Any] = {}
        for parameter in self.parameters:
            value: Any
            if parameter.kind == "config":
                value = {**(config or {})}
                value["configurable"] = {**value.get("configurable", {})}
            else:
                value = _runtime(access_context, user, store, _typed(context, parameter.context))
            if parameter.positional_only:
                positional.append(value)
            else:
                named[parameter.name] = value
        try:
            if inspect.iscoroutinefunction(self.function):
                return await self.function(*positional, **named)
            made = await asyncio.to_thread(self.function, *positional, **named)
            return await made if isinstance(made, Awaitable) else made
        except Exception as problem:  # a foreign function: whatever it raises, the message must say which graph it was
            raise self._failed(problem) from problem

    def _failed(self, problem: Exception) -> Forbidden | InvalidGraph:
        if isinstance(problem, PermissionError):
            return Forbidden(f"Graph {self.entry.graph_id!r}: {problem}")
        return InvalidGraph(f"{self.entry.reference.where}: cannot be made: {type(problem).__name__}: {problem}")


class _Threaded(AbstractAsyncContextManager[Any]):
    """A context manager without `async`, entered and left in a thread."""

    def __init__(self, manager: AbstractContextManager[Any]) -> None:
        self._manager = manager

    async def __aenter__(self) -> Any:
        return await asyncio.to_thread(self._manager.__enter__)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        return await asyncio.to_thread(self._manager.__exit__, kind, error, trace)


def _kind(name: str, hint: Any) -> Literal["config", "runtime"] | None:
    for each in (hint, get_origin(hint), *get_args(hint)):
        text = each if isinstance(each, str) else getattr(each, "__name__", "")
        base = text.split("[")[0].split(".")[-1].strip(" |'\"")
        if base in _RUNTIMES:
            return "runtime"
        if base == "RunnableConfig":
            return "config"
    if name == "runtime":
        return "runtime"
    return "config" if name == "config" else None


def _context_type(hint: Any) -> Any:
    origin = get_origin(hint)
    return next(iter(get_args(hint)), None) if getattr(origin, "__name__", "") in _RUNTIMES else None


def _typed(context: Any, kind: Any) -> Any:
    """Return a context that came as a map in the type that the factory expects."""
    if (
        isinstance(context, Mapping)
        and isinstance(kind, type)
        and (is_dataclass(kind) or hasattr(kind, "model_fields"))
    ):
        return kind(**context)
    return context


def _runtime(access: AccessContext, user: Mapping[str, Any] | None, store: Any, context: Any) -> Any:
    # The only constructors there are: the module says that servers make these.
    from langgraph_sdk.runtime import _ExecutionRuntime, _ReadRuntime

    who = None if user is None else as_user(user)
    if access == "threads.create_run":
        return _ExecutionRuntime(access_context=access, user=who, store=store, context=context)
    return _ReadRuntime(access_context=access, user=who, store=store)
