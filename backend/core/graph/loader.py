"""The graphs of a `langgraph.json`, in the form of LangGraph's own server.

`graphs` maps an id to `./file.py:name` or `package.module:name`, or to `{"path": …, "description": …}`. The name is a
compiled graph, a `StateGraph`, or a function that makes one, from nothing or from a config, with or without `async`.
`dependencies` are put on the import path, `env` (a map, or a `.env` file) into the environment.
"""

import asyncio
import importlib
import inspect
import json
import os
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.graph import StateGraph
from langgraph.pregel import Pregel

from backend.core.error import InvalidGraph
from backend.core.graph.slot import import_file

MAX_GRAPHS = 200
MAX_CONFIG_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class GraphEntry:
    """One graph as the file names it, not yet imported."""

    graph_id: str
    source: str
    """File or module."""
    attribute: str
    description: str


@dataclass(frozen=True, slots=True)
class GraphConfig:
    path: Path
    graphs: tuple[GraphEntry, ...]
    import_paths: tuple[Path, ...]
    env: dict[str, str]

    @property
    def folder(self) -> Path:
        """From which the file's paths are read."""
        return self.path.parent


def read_config(path: Path) -> GraphConfig:
    """Return what a `langgraph.json` says; nothing is imported.

    Raises:
        InvalidGraph: there is no such file, or it is not of that form; the sentence names the file and the key.
    """
    path = path.absolute()
    try:
        if path.stat().st_size > MAX_CONFIG_BYTES:
            raise InvalidGraph(f"{path}: is larger than {MAX_CONFIG_BYTES} bytes.")
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as problem:
        raise InvalidGraph(f"{path}: cannot be read: {problem.strerror}.") from None
    except ValueError as problem:
        raise InvalidGraph(f"{path}: is not JSON: {problem}.") from None
    graphs = data.get("graphs") if isinstance(data, dict) else None
    if not isinstance(graphs, dict) or not graphs:
        raise InvalidGraph(f'{path}: "graphs" must map a name to "./file.py:graph".')
    if len(graphs) > MAX_GRAPHS:
        raise InvalidGraph(f'{path}: "graphs" has {len(graphs)} entries; {MAX_GRAPHS} are the most.')
    return GraphConfig(
        path=path,
        graphs=tuple(_entry(path, graph_id, value) for graph_id, value in graphs.items()),
        import_paths=_import_paths(path, data.get("dependencies", [])),
        env=_env(path, data.get("env", {})),
    )


def prepare(config: GraphConfig) -> None:
    """Set the environment and the import path. What the process's environment already says is left as it is."""
    for name, value in config.env.items():
        os.environ.setdefault(name, value)
    for path in reversed(config.import_paths):
        if str(path) not in sys.path:
            sys.path.insert(0, str(path))


async def load_graph(
    config: GraphConfig, entry: GraphEntry, run_config: RunnableConfig | None = None
) -> Pregel[Any, Any, Any, Any]:
    """Import one graph and return it compiled, without a checkpointer of its own: the server brings one.

    Raises:
        InvalidGraph: it cannot be imported or made, or is no graph; the sentence says why.
    """
    where = f"{config.path}: graph {entry.graph_id!r} ({entry.source}:{entry.attribute})"
    module = await asyncio.to_thread(_import, config, entry, where)
    try:
        made: Any = getattr(module, entry.attribute)
    except AttributeError:
        there = [name for name, value in vars(module).items() if isinstance(value, (Pregel, StateGraph))]
        raise InvalidGraph(
            f"{where}: there is no such name; the graphs there are {', '.join(there) or 'none'}."
        ) from None
    if not isinstance(made, (Pregel, StateGraph)) and callable(made):
        made = await _make(made, run_config or {"configurable": {}}, where)
    if isinstance(made, StateGraph):
        try:
            made = made.compile(name=entry.graph_id)
        except ValueError as problem:
            raise InvalidGraph(f"{where}: cannot be compiled: {problem}") from problem
    if not isinstance(made, Pregel):
        raise InvalidGraph(f"{where}: is {type(made).__name__}, not a graph.")
    return made.copy({"checkpointer": None}) if made.checkpointer is not None else made


async def _make(factory: Callable[..., Any], run_config: RunnableConfig, where: str) -> Any:
    needed = [
        parameter
        for parameter in inspect.signature(factory).parameters.values()
        if parameter.default is parameter.empty
        and parameter.kind in {parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY}
    ]
    if len(needed) > 1:
        names = ", ".join(parameter.name for parameter in needed)
        raise InvalidGraph(f"{where}: takes {names}; a factory takes nothing or a config.")
    call: Callable[[], Any] = factory
    if needed and needed[0].kind is inspect.Parameter.KEYWORD_ONLY:
        call = lambda: factory(**{needed[0].name: run_config})  # noqa: E731 - one of three forms of a call
    elif needed:
        call = lambda: factory(run_config)  # noqa: E731 - as above
    try:
        made = await call() if inspect.iscoroutinefunction(factory) else await asyncio.to_thread(call)
        return await made if isinstance(made, Awaitable) else made
    except Exception as problem:  # a foreign function: whatever it raises, the message must say which graph it was
        raise InvalidGraph(f"{where}: cannot be made: {type(problem).__name__}: {problem}") from problem


def _import(config: GraphConfig, entry: GraphEntry, where: str) -> Any:
    if not entry.source.endswith(".py"):
        try:
            return importlib.import_module(entry.source)
        except Exception as problem:  # a foreign module, as in `import_file`
            raise InvalidGraph(f"{where}: cannot be imported: {type(problem).__name__}: {problem}") from problem
    file = (config.folder / entry.source).resolve()
    if not file.is_file():
        raise InvalidGraph(f"{where}: there is no file {file}.")
    # Under the dotted name of its place, so that two graphs in one folder share their modules and two of one file
    # name do not meet.
    folders = "_".join(part for part in file.parent.parts if part.strip("/\\"))
    name = f"daedap_graph.{folders}.{file.stem}"
    return sys.modules.get(name) or import_file(file, f"daedap_graph.{folders}", InvalidGraph)


def _entry(path: Path, graph_id: str, value: object) -> GraphEntry:
    description = ""
    if isinstance(value, dict):
        description = str(value.get("description") or "")
        value = value.get("path")
    source, colon, attribute = str(value).rpartition(":") if isinstance(value, str) else ("", "", "")
    if not (source and colon and attribute.isidentifier()):
        raise InvalidGraph(f'{path}: "graphs.{graph_id}" must be "./file.py:graph" or "package.module:graph".')
    if not graph_id or len(graph_id) > 100:
        raise InvalidGraph(f'{path}: "graphs" has a name of {len(graph_id)} characters; 1 to 100 are allowed.')
    return GraphEntry(graph_id, source, attribute, description)


def _import_paths(path: Path, dependencies: object) -> tuple[Path, ...]:
    """Folders among the dependencies, and their `src`; names of packages must be installed already."""
    if not isinstance(dependencies, list) or not all(isinstance(item, str) for item in dependencies):
        raise InvalidGraph(f'{path}: "dependencies" must be a list of folders and package names.')
    found: dict[Path, None] = {}
    for item in [".", *dependencies]:
        folder = (path.parent / item).resolve()
        if item.startswith(".") and not folder.is_dir():
            raise InvalidGraph(f'{path}: "dependencies" names the folder {item!r}, which is not there.')
        if item.startswith("."):
            found |= {folder: None}
            found |= {folder / "src": None} if (folder / "src").is_dir() else {}
    return tuple(found)


def _env(path: Path, env: object) -> dict[str, str]:
    if isinstance(env, dict):
        return {str(name): str(value) for name, value in env.items()}
    if not isinstance(env, str):
        raise InvalidGraph(f'{path}: "env" must be a map or the name of a file.')
    file = (path.parent / env).resolve()
    if not file.is_file():
        raise InvalidGraph(f'{path}: "env" names the file {env!r}, which is not there.')
    from dotenv import dotenv_values

    return {name: value for name, value in dotenv_values(file).items() if value is not None}
