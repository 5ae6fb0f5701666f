"""`daedap graph` and `daedap new`: look at the agents, and write examples to start from."""

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from backend.cli.terminal import command_settings, complain, out, run
from backend.config.setting import Settings
from backend.core.graph.registry import GraphRegistry
from backend.service import scaffold


def list_graphs(config: Sequence[Path] | None) -> None:
    """Write a table of the agents, and on standard error why others cannot be served."""
    from rich.table import Table

    registry = _registry(command_settings(), config)
    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading in ("agent", "title", "added nodes", "description"):
        table.add_column(heading)
    for name in registry.names():
        info = registry.describe(name)
        added = ", ".join(node.name for node in registry.added(name))
        table.add_row(name, info.title, added, info.description)
    out().print(table)
    for problem in registry.errors().values():
        complain(problem)


def show_graph(name: str, config: Sequence[Path] | None, *, mermaid: bool, output: Path | None) -> None:
    """Write the picture of an agent."""
    picture = scaffold.show(_registry(command_settings(), config), name)
    drawn = picture.mermaid if mermaid or (output is not None and output.suffix == ".mmd") else picture.text
    if output is None:
        out().out(drawn.rstrip())
    else:
        output.write_text(f"{drawn.rstrip()}\n", encoding="utf-8")
        out().print(f"written: {output}")


def new_graph(name: str, folder: Path) -> None:
    """Write an agent, and say how it is tested and served."""
    command_settings()
    _written(scaffold.new_graph(name, folder))
    inside = "" if folder == Path() else f"cd {folder}; "
    out().print(f"\nTest it:   {inside}{_program('python')} -m pytest test_{name}.py")
    out().print(f"Serve it:  {_program('daedap')} serve --config {folder / 'langgraph.json'}")
    out().print(f'Ask it:    {_program("daedap")} ask "Hello" --agent {name}')


def new_node(name: str, agent: str, after: str | None) -> None:
    """Write a node into the extension folder, and say how it is tested and looked at."""
    settings = command_settings()
    folder = settings.extension_dir
    _written(scaffold.new_node(name, agent, folder, registry=_registry(settings, None), after=after))
    out().print(f"\nTest it:     {_program('python')} -m pytest {folder / f'test_{name}.py'}")
    out().print(f"Look at it:  {_program('daedap')} graph show {agent}")


def _program(name: str) -> Path:
    """Return how `name` of this environment is called from here: without its folder when the shell finds it."""
    path = Path(sys.executable).parent / name
    if shutil.which(name) == str(path):
        return Path(name)
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _registry(settings: Settings, config: Sequence[Path] | None) -> GraphRegistry:
    registry = GraphRegistry(settings.extension_dir, config or settings.graph_config)
    run(registry.open())
    return registry


def _written(paths: list[Path]) -> None:
    for path in paths:
        out().print(f"written: {path}")
