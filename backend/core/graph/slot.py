"""Added nodes: files of an `extension/` folder, and installed packages' entry points of the group `daedap.node`.

# extension/greet.py
AGENT = "answer"
AFTER = ("retrieve",)        # or BEFORE = ("generate",) or REPLACE = "generate"

async def greet(state: GraphState, runtime: Runtime[Context]) -> dict[str, Any]: ...
"""

import importlib.util
import sys
from collections.abc import Iterable, Sequence
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType

from backend.core.error import InvalidGraph, InvalidSlot
from backend.core.graph.node import Node, read_node, shown

ENTRY_POINT = "daedap.node"
MAX_ADDED = 200
"""Files that an extension folder may have."""


def read_added(extension_dir: Path, agents: Sequence[str]) -> dict[str, list[Node]]:
    """Return the added nodes of each agent.

    Raises:
        InvalidSlot: a file is no node, or names an agent that is not there; in one sentence that says which.
    """
    added: dict[str, list[Node]] = {agent: [] for agent in agents}
    for module in [*_files(extension_dir), *_installed()]:
        node = read_node(module)
        agent = getattr(module, "AGENT", None)
        if not isinstance(agent, str) or agent not in added:
            said = f"AGENT is {agent!r}" if agent is not None else "does not say its AGENT"
            raise InvalidSlot(f"{node.file}: {said}; the agents that take nodes are {', '.join(agents)}.")
        added[agent].append(node)
    return added


def import_file(path: Path, prefix: str, error: type[InvalidGraph]) -> ModuleType:
    """Return the module of a Python file, executed once under a name of its own.

    Raises:
        InvalidGraph: `error`, when it is no Python or fails; the sentence names the file and the line.
    """
    path = path.absolute()
    name = f"{prefix}.{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise error(f"{shown(path)}: is not a Python file.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as problem:  # whatever a foreign file does, the message says that it is this file
        del sys.modules[name]
        raise error(
            f"{shown(path)}: cannot be imported: {type(problem).__name__}: {problem}{_line(problem, path)}"
        ) from problem
    return module


def _files(folder: Path) -> Iterable[ModuleType]:
    """Import each node of the folder, in order of name; `_helper.py`, `conftest.py` and tests are no nodes."""
    if not folder.is_dir():
        return
    paths = sorted(
        path for path in folder.glob("*.py") if not path.name.startswith(("_", "test_")) and path.name != "conftest.py"
    )
    if len(paths) > MAX_ADDED:
        raise InvalidSlot(f"{shown(folder)}: has {len(paths)} files; {MAX_ADDED} added nodes are the most.")
    for path in paths:
        if not path.stem.isidentifier():
            raise InvalidSlot(
                f"{shown(path)}: a node's file is named like its coroutine, so the name must be a Python name."
            )
        yield import_file(path, "daedap_extension", InvalidSlot)


def _installed() -> Iterable[ModuleType]:
    for entry in sorted(entry_points(group=ENTRY_POINT), key=lambda each: each.name):
        try:
            module = entry.load()
        except Exception as problem:  # as above: a foreign package
            raise InvalidSlot(f"The entry point {entry.name} = {entry.value} cannot be loaded: {problem}.") from problem
        if not isinstance(module, ModuleType):
            raise InvalidSlot(f"The entry point {entry.name} = {entry.value} is not a module.")
        yield module


def _line(problem: BaseException, path: Path) -> str:
    if isinstance(problem, SyntaxError):
        return "."  # its text has the line
    trace = problem.__traceback__
    line = None
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == str(path):
            line = trace.tb_lineno
        trace = trace.tb_next
    return f" (line {line})." if line else "."
