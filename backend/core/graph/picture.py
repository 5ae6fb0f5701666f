"""A graph as text for a terminal, and as Mermaid for a page."""

from dataclasses import dataclass
from typing import Any

from langgraph.constants import END, START
from langgraph.pregel import Pregel

from backend.core.graph.node import Node

_SHOWN = {START: "start", END: "end"}


@dataclass(frozen=True, slots=True)
class Picture:
    text: str
    mermaid: str
    """Source of a Mermaid flowchart; GitHub, most editors and mermaid.live draw it."""


def picture(graph: Pregel[Any, Any, Any, Any], added: list[Node]) -> Picture:
    """Return the picture of `graph`, in which the `added` nodes are marked with their files."""
    drawing = graph.get_graph()
    arrows: dict[str, list[tuple[str, bool]]] = {name: [] for name in drawing.nodes}
    for edge in drawing.edges:
        arrows[edge.source].append((edge.target, edge.conditional))
    files = {node.name: node.file for node in added}
    order = [name for name in _in_order(arrows) if name != END]
    width = max(len(_SHOWN.get(name, name)) for name in order)
    lines = []
    for name in order:
        chosen = len(arrows[name]) > 1 and any(conditional for _, conditional in arrows[name])
        goals = (" or " if chosen else ", ").join(_SHOWN.get(goal, goal) for goal, _ in arrows[name])
        line = f"{_SHOWN.get(name, name):<{width}}  {'-?>' if chosen else '-->'} {goals or 'end'}"
        lines.append(f"{line}    (added by {files[name]})" if name in files else line)
    return Picture("\n".join(lines), drawing.draw_mermaid())


def _in_order(arrows: dict[str, list[tuple[str, bool]]]) -> list[str]:
    """Return the nodes as they run: each after all from which it is reached, where no circle forbids that."""
    order: list[str] = []
    done: set[str] = set()
    roots = sorted(arrows, key=lambda name: name != START)
    todo = [(root, False) for root in reversed(roots)]
    while todo:
        name, left = todo.pop()
        if left:
            order.append(name)
        elif name not in done:
            done.add(name)
            todo.append((name, True))
            todo += [(goal, False) for goal, _ in arrows[name]]
    return order[::-1]
