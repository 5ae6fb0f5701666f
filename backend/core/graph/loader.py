"""What a `langgraph.json` names, imported: graphs, and the objects of its other sections.

A graph is a compiled graph, a `StateGraph`, or a function that makes one, from nothing, from a config
(`RunnableConfig`), from a `langgraph_sdk.runtime.ServerRuntime` or from both, with or without `async`, or as a context
manager that stays open while the graph is used.
"""

import asyncio
import importlib
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from langgraph.graph import StateGraph
from langgraph.pregel import Pregel

from backend.core.error import InvalidGraph
from backend.core.graph.factory import GraphFactory
from backend.core.graph.project import GraphEntry, Reference
from backend.core.graph.slot import import_file

Graph = Pregel[Any, Any, Any, Any]


@dataclass(frozen=True, slots=True)
class Loaded:
    """A graph of a `langgraph.json`: made once, or by a factory for each use."""

    made: Graph | GraphFactory
    transformers: Callable[[], Sequence[Any]] | None = None
    """The module's own `stream_transformers`, when it has one."""


async def load_graph(entry: GraphEntry) -> Loaded:
    """Import one graph and return it compiled, without a checkpointer of its own: the server brings one.

    Raises:
        InvalidGraph: it cannot be imported or made, or is no graph; the sentence says why.
    """
    reference = entry.reference
    module = await asyncio.to_thread(import_module, reference)
    transformers = getattr(module, "stream_transformers", None)
    made = _attribute(module, reference, (Pregel, StateGraph))
    if not isinstance(made, (Pregel, StateGraph)) and callable(made):
        factory = GraphFactory.of(made, entry)
        made = factory
        if not factory.takes_anything:
            once = await factory.call()
            if not isinstance(once, (AbstractAsyncContextManager, AbstractContextManager)):
                made = once
    if not isinstance(made, GraphFactory):
        made = compiled(made, entry)
    return Loaded(made, transformers if callable(transformers) else None)


def compiled(made: Any, entry: GraphEntry) -> Graph:
    """Return what a file or a factory gave as a graph that runs.

    Raises:
        InvalidGraph: it is none, or cannot be compiled.
    """
    if isinstance(made, StateGraph):
        try:
            made = made.compile(name=entry.graph_id)
        except ValueError as problem:
            raise InvalidGraph(f"{entry.reference.where}: cannot be compiled: {problem}") from problem
    if not isinstance(made, Pregel):
        raise InvalidGraph(f"{entry.reference.where}: is {type(made).__name__}, not a graph.")
    return made.copy({"checkpointer": None}) if made.checkpointer is not None else made


def load_object(reference: Reference) -> Any:
    """Import and return what a reference names; it blocks, so call it in a thread or before anything is served.

    Raises:
        InvalidGraph: it cannot be imported, or there is no such name.
    """
    return _attribute(import_module(reference), reference, ())


def import_module(reference: Reference) -> ModuleType:
    """Import the file or module of a reference, once; it blocks.

    Raises:
        InvalidGraph: there is none, or it fails.
    """
    where = reference.where
    if reference.is_script:
        raise InvalidGraph(f"{where}: is JavaScript or TypeScript; this server runs Python.")
    if not reference.source.endswith(".py"):
        return _import_name(reference.source, where)
    file = (reference.config.parent / reference.source).resolve()
    if not file.is_file():
        raise InvalidGraph(f"{where}: there is no file {file}.")
    name = _package_name(file)
    if name is not None:
        # A file of a package is that package's module: its relative imports work, and no class is there twice.
        module = _import_name(name, where)
        if module.__file__ is not None and Path(module.__file__).resolve() == file:
            return module
    # Under the dotted name of its place, so that two files of one name do not meet.
    folders = "_".join(part for part in file.parent.parts if part.strip("/\\"))
    name = f"daedap_graph.{folders}.{file.stem}"
    return sys.modules.get(name) or import_file(file, f"daedap_graph.{folders}", InvalidGraph)


def _import_name(name: str, where: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except Exception as problem:  # a foreign module: whatever it raises, the message must say where it is named
        raise InvalidGraph(f"{where}: cannot be imported: {type(problem).__name__}: {problem}") from problem


def _package_name(file: Path) -> str | None:
    """Return the name by which a file of a package can be imported; None when it is in none on the import path."""
    parts = [] if file.stem == "__init__" else [file.stem]
    folder = file.parent
    while (folder / "__init__.py").is_file():
        parts.insert(0, folder.name)
        folder = folder.parent
    in_package = len(parts) > (file.stem != "__init__")
    if not in_package or str(folder) not in sys.path or not all(part.isidentifier() for part in parts):
        return None
    return ".".join(parts)


def _attribute(module: ModuleType, reference: Reference, kinds: tuple[type, ...]) -> Any:
    try:
        return getattr(module, reference.attribute)
    except AttributeError:
        there = [name for name, value in vars(module).items() if kinds and isinstance(value, kinds)]
        hint = f"; the graphs there are {', '.join(there) or 'none'}" if kinds else ""
        raise InvalidGraph(f"{reference.where}: there is no such name{hint}.") from None
