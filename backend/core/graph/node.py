"""One node: a file with a coroutine of its name, which says where it stands.

    AFTER = ("retrieve",)    # what runs before it; START for the first. Also, in an added node, BEFORE or REPLACE.
    READS = ("documents",)   # optional: keys of the state, checked at start
    WRITES = ("documents",)

A node that chooses what runs next returns `Command[Literal["refuse", "generate"]]`.
"""

import inspect
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from langgraph.types import Command

from backend.core.error import InvalidGraph, InvalidSlot

NodeFunction = Callable[..., Awaitable[Any]]
Place = Literal["AFTER", "BEFORE", "REPLACE"]
PLACES: tuple[Place, ...] = ("AFTER", "BEFORE", "REPLACE")


@dataclass(frozen=True, slots=True)
class Node:
    """A node as its file declares it."""

    name: str
    function: NodeFunction
    file: str
    """For messages: where a person finds it."""
    place: Place
    targets: tuple[str, ...]
    """The nodes that `place` names."""
    choices: tuple[str, ...]
    """Where its `Command` may lead; empty when it does not choose."""
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()


def read_node(
    module: ModuleType, *, places: tuple[Place, ...] = PLACES, error: type[InvalidGraph] = InvalidSlot
) -> Node:
    """Return the node that `module` declares.

    Raises:
        InvalidGraph: `error`, in one sentence that names the file.
    """
    name = module.__name__.rpartition(".")[2]
    file = _file(module)
    function = getattr(module, name, None)
    if not inspect.iscoroutinefunction(function):
        there = [key for key, value in vars(module).items() if inspect.iscoroutinefunction(value)]
        raise error(f"{file}: has no coroutine named {name!r} as the file is; it has {_listed(there)}.")
    declared = [place for place in places if hasattr(module, place)]
    if len(declared) > 1:
        raise error(f"{file}: declares {' and '.join(declared)}; a node has one place.")
    if not declared:
        raise error(f"{file}: does not say where the node runs; declare {' or '.join(places)}.")
    place = declared[0]
    targets = _names(getattr(module, place), f"{file}: {place}", error)
    if not targets or (place != "AFTER" and len(targets) != 1):
        raise error(
            f"{file}: {place} names {_listed(targets)};"
            f" it must name {'at least' if place == 'AFTER' else 'just'} one node."
        )
    return Node(
        name=name,
        function=function,
        file=file,
        place=place,
        targets=targets,
        choices=_choices(function, file, error),
        reads=_names(getattr(module, "READS", ()), f"{file}: READS", error),
        writes=_names(getattr(module, "WRITES", ()), f"{file}: WRITES", error),
    )


def shown(path: Path) -> str:
    """Return `path` as a person at the terminal would write it."""
    try:
        return str(path.absolute().relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def state_keys(state: type[Any]) -> tuple[str, ...]:
    """Return the keys of a graph's state."""
    return tuple(get_type_hints(state))


def check_state(node: Node, agent: str, keys: tuple[str, ...], error: type[InvalidGraph] = InvalidSlot) -> None:
    """Check the keys that `node` declares.

    Raises:
        InvalidGraph: `error`, when the state of `agent` lacks one.
    """
    for word, declared in (("reads", node.reads), ("writes", node.writes)):
        for key in declared:
            if key not in keys:
                raise error(
                    f"{node.file}: {node.name} {word} {key!r}, which the state of agent {agent!r} does not have;"
                    f" it has {_listed(keys)}."
                )


def check_update(node: Node, agent: str, keys: frozenset[str], update: object) -> None:
    """Check what `node` returned: LangGraph drops a key that it does not know without a word.

    Raises:
        InvalidGraph: the update has a key that the state lacks.
    """
    if isinstance(update, Mapping) and not keys.issuperset(update):
        unknown = sorted(str(key) for key in update if key not in keys)
        raise InvalidGraph(
            f"{node.file}: {node.name} returned {_listed(unknown)}, which the state of agent {agent!r} does not have;"
            f" it has {_listed(sorted(keys))}."
        )


def _choices(function: NodeFunction, file: str, error: type[InvalidGraph]) -> tuple[str, ...]:
    """Return the names in `Command[Literal[…]]` of the return annotation, also in a union."""
    try:
        returned = get_type_hints(function).get("return")
    except NameError as problem:
        raise error(f"{file}: an annotation of {function.__name__!r} cannot be read: {problem}.") from None
    for part in (returned, *get_args(returned)):
        if part is Command or (get_origin(part) is Command and get_origin(get_args(part)[0]) is not Literal):
            raise error(
                f'{file}: returns a Command that does not say where it leads; write Command[Literal["a", "b"]].'
            )
        if get_origin(part) is Command:
            return tuple(str(name) for name in get_args(get_args(part)[0]))
    return ()


def _names(value: object, where: str, error: type[InvalidGraph]) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,)
    if isinstance(value, (tuple, list)) and all(isinstance(name, str) for name in value):
        return tuple(value)
    raise error(f"{where} must be a tuple of names.")


def _file(module: ModuleType) -> str:
    return module.__name__ if module.__file__ is None else shown(Path(module.__file__))


def _listed(names: tuple[str, ...] | list[str]) -> str:
    return ", ".join(names) if names else "none"
