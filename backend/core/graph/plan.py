"""Where the nodes of an agent stand: laid out from what each says of itself, then opened for the added ones.

Two kinds of arrow. An *edge* is always taken. A *route* is one of those between which a node chooses: the choice has a
label (the name that the node's `Command` gives) and leads to a node, at first the one of that name. To insert a node is
to bend arrows, so that a choice survives what is put before or after it:

    BEFORE generate:  gate ─generate─> ADDED ──> generate            (the route is bent, its label stays)
    AFTER gate:       gate ─────────> ADDED ─refuse─> refuse         (the added node passes the choice on)
                                            └generate─> generate
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from langgraph.constants import END, START

from backend.core.error import InvalidGraph, InvalidSlot
from backend.core.graph.node import Node, check_state, state_keys


@dataclass(slots=True)
class Plan:
    agent: str
    nodes: dict[str, Node] = field(default_factory=dict)
    edges: dict[str, list[str]] = field(default_factory=dict)
    routes: dict[str, dict[str, str]] = field(default_factory=dict)
    """For each node that chooses, or passes a choice on: label to node."""
    carriers: set[str] = field(default_factory=set)
    """Added nodes that pass on the choice of the node before them."""
    added: set[str] = field(default_factory=set)

    def successors(self, name: str) -> list[str]:
        """Return the nodes that may follow `name`, in order."""
        following = self.routes[name].values() if name in self.routes else self.edges.get(name, [])
        return list(dict.fromkeys(following))

    def joins(self) -> dict[str, list[str]]:
        """Return the nodes that wait for several others, and for which.

        Where nothing before them chose, all of those run, at their own pace: without waiting, a node would run once for
        each. Behind a choice only some of them run, and waiting for the others would never end.
        """
        before: dict[str, list[str]] = {}
        for name in (START, *self.nodes):
            for target in self.successors(name):
                before.setdefault(target, []).append(name)

        def chosen(name: str) -> bool:
            return name in self.routes or any(chosen(source) for source in before.get(name, ()))

        return {
            name: sources
            for name, sources in before.items()
            if len(sources) > 1 and name in self.nodes and START not in sources and not any(map(chosen, sources))
        }


def lay_out(agent: str, nodes: Iterable[Node], state: type[Any]) -> Plan:
    """Return the plan of an agent's own nodes.

    Raises:
        InvalidGraph: a name is wrong, there is a cycle, a node is never reached, or a state key is missing.
    """
    plan = Plan(agent)
    for node in nodes:
        check_state(node, agent, state_keys(state), InvalidGraph)
        plan.nodes[node.name] = node
        if node.choices:
            plan.routes[node.name] = {label: label for label in node.choices}
    for node in plan.nodes.values():
        for target in node.targets:
            if target != START and target not in plan.nodes:
                raise InvalidGraph(f"{node.file}: AFTER names {_unknown(plan, target)}")
            if target not in plan.routes:
                plan.edges.setdefault(target, []).append(node.name)
            elif node.name not in plan.routes[target]:
                raise InvalidGraph(
                    f"{node.file}: AFTER names {target!r}, which chooses among {_listed(plan.routes[target])}"
                    f" and never leads to {node.name!r}."
                )
    for node in plan.nodes.values():
        for label in node.choices:
            if label != END and label not in plan.nodes:
                raise InvalidGraph(f"{node.file}: {node.name} leads to {_unknown(plan, label)}")
        if not node.choices:
            plan.edges.setdefault(node.name, [END])
    _check(plan)
    return plan


def insert(plan: Plan, added: Iterable[Node], state: type[Any]) -> None:
    """Put the added nodes in their places. Several at one place run in the order of their names.

    Raises:
        InvalidSlot: in one sentence: which file, which agent, what is there instead.
    """
    waiting = sorted(added, key=lambda node: (node.place != "REPLACE", not node.choices, node.name))
    names = {node.name: node for node in waiting}
    if len(names) < len(waiting):
        twice = next(node for node in waiting if names[node.name] is not node)
        raise InvalidSlot(
            f"{twice.file}: agent {plan.agent!r} gets a node {twice.name!r} twice, also from {names[twice.name].file}."
        )
    replaced: dict[str, Node] = {}
    for node in waiting:
        check_state(node, plan.agent, state_keys(state))
        if node.name in plan.nodes and not (node.place == "REPLACE" and node.targets == (node.name,)):
            raise InvalidSlot(
                f"{node.file}: agent {plan.agent!r} already has a node {node.name!r}; name the file otherwise."
            )
    while waiting:
        ready = [
            node
            for node in waiting
            if all(target in {START, END} or target in plan.nodes or target in replaced for target in node.targets)
        ]
        if not ready:
            raise _misplaced(plan, waiting, names)
        # Each one after a node goes directly behind it, so the last by name is put there first.
        forward = [node for node in ready if node.place != "AFTER"]
        for node in forward + [node for node in reversed(ready) if node.place == "AFTER"]:
            targets = tuple(replaced[target].name if target in replaced else target for target in node.targets)
            if node.place == "REPLACE":
                if node.targets[0] in replaced:
                    raise InvalidSlot(
                        f"{node.file}: replaces {node.targets[0]!r} of agent {plan.agent!r},"
                        f" which {replaced[node.targets[0]].file} replaces already."
                    )
                _replace(plan, node, targets[0])
                replaced[node.targets[0]] = node
            elif node.place == "BEFORE":
                _insert_before(plan, node, targets[0])
            else:
                _insert_after(plan, node, targets)
            _lead(plan, node, replaced)
        waiting = [node for node in waiting if node not in ready]
    _check(plan, InvalidSlot)


def _replace(plan: Plan, node: Node, target: str) -> None:
    if target in {START, END}:
        raise InvalidSlot(f"{node.file}: REPLACE names {target!r} of agent {plan.agent!r}, which is no node.")
    if target in plan.routes and not node.choices:
        raise InvalidSlot(
            f"{node.file}: replaces {target!r} of agent {plan.agent!r}, which chooses among"
            f" {_listed(plan.routes[target])}, so it must return Command[Literal[…]] with these names."
        )
    order = [(node.name, node) if name == target else (name, old) for name, old in plan.nodes.items()]
    plan.nodes = dict(order)
    plan.added.add(node.name)
    plan.edges[node.name] = plan.edges.pop(target, [])
    plan.routes.pop(target, None)
    _bend(plan, target, node.name)


def _insert_before(plan: Plan, node: Node, target: str) -> None:
    if target == START:
        raise InvalidSlot(
            f"{node.file}: nothing runs before the start of agent {plan.agent!r}; write AFTER = (START,)."
        )
    _bend(plan, target, node.name)
    _put(plan, node)
    plan.edges[node.name] = [target]


def _insert_after(plan: Plan, node: Node, targets: tuple[str, ...]) -> None:
    if END in targets:
        raise InvalidSlot(f"{node.file}: nothing runs after the end of agent {plan.agent!r}; write BEFORE = (END,).")
    ways = {tuple(plan.successors(target)) for target in targets}
    if len(ways) > 1 or (len(targets) > 1 and any(target in plan.routes for target in targets)):
        raise InvalidSlot(
            f"{node.file}: AFTER names {_listed(node.targets)} of agent {plan.agent!r}, which lead to different nodes;"
            " name one of them."
        )
    _put(plan, node)
    for target in targets:
        if target in plan.routes:
            if not node.choices:
                plan.routes[node.name] = plan.routes[target]
                plan.carriers.add(node.name)
            plan.routes[target] = dict.fromkeys(plan.routes[target], node.name)
        else:
            plan.edges[node.name] = plan.edges.get(target, [END])
            plan.edges[target] = [node.name]


def _lead(plan: Plan, node: Node, replaced: dict[str, Node]) -> None:
    """Let an added node that chooses lead where it says; the arrows that its place gave it are not taken."""
    if not node.choices:
        return
    plan.edges.pop(node.name, None)
    plan.routes[node.name] = {}
    for label in node.choices:
        goal = replaced[label].name if label in replaced else label
        if goal != END and goal not in plan.nodes:
            raise InvalidSlot(f"{node.file}: {node.name} leads to {_unknown(plan, label)}")
        plan.routes[node.name][label] = goal


def _put(plan: Plan, node: Node) -> None:
    plan.nodes[node.name] = node
    plan.added.add(node.name)


def _bend(plan: Plan, old: str, new: str) -> None:
    """Lead every arrow to `old` to `new`."""
    for targets in plan.edges.values():
        targets[:] = [new if target == old else target for target in targets]
    for routes in plan.routes.values():
        for label, target in routes.items():
            routes[label] = new if target == old else target


def _misplaced(plan: Plan, waiting: list[Node], names: dict[str, Node]) -> InvalidSlot:
    for node in waiting:
        for target in node.targets:
            if target not in plan.nodes and target not in names and target not in {START, END}:
                return InvalidSlot(f"{node.file}: {node.place} names {_unknown(plan, target)}")
    files = ", ".join(node.file for node in waiting)
    circle = _listed([node.name for node in waiting])
    return InvalidSlot(
        f"{files}: the added nodes {circle} of agent {plan.agent!r} wait for each other, which is a cycle."
    )


def _check(plan: Plan, error: type[InvalidGraph] = InvalidGraph) -> None:
    """Check that every node is reached from the start, and that no edges make a circle that nothing ends."""
    circle = _circle(plan)
    if circle:
        files = ", ".join(dict.fromkeys(plan.nodes[name].file for name in circle))
        raise error(f"{files}: agent {plan.agent!r} has a cycle that nothing ends: {' → '.join([*circle, circle[0]])}.")
    seen = {START}
    todo = [START]
    while todo:
        for name in plan.successors(todo.pop()):
            if name not in seen:
                seen.add(name)
                todo.append(name)
    for name, node in plan.nodes.items():
        if name not in seen:
            raise error(
                f"{node.file}: nothing leads to {name!r} of agent {plan.agent!r}; it has {_listed(plan.nodes)}."
            )


def _circle(plan: Plan) -> list[str]:
    """Return the nodes of a circle of edges, if there is one. A circle with a route in it can end, so it is none."""
    done: set[str] = set()
    for first in plan.edges:
        path: list[str] = []
        todo = [(first, 0)]
        while todo:
            name, depth = todo.pop()
            del path[depth:]
            if name in path:
                return path[path.index(name) :]
            if name in done or name in plan.routes:
                continue
            path.append(name)
            todo += [(target, depth + 1) for target in plan.edges.get(name, [])]
        done.update(path)
    return []


def _unknown(plan: Plan, name: str) -> str:
    return f"{name!r}, which agent {plan.agent!r} does not have; it has {_listed(plan.nodes)}."


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names) or "none"
