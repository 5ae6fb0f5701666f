"""What every agent's `GraphOrchestrator` does: it finds the nodes, puts each in its place, and builds the graph."""

import functools
import importlib
import pkgutil
from collections.abc import Sequence
from types import ModuleType
from typing import Annotated, Any, ClassVar, TypedDict, get_type_hints

from langgraph.channels import EphemeralValue
from langgraph.graph import StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.types import Command, Send

from backend.core.error import InvalidGraph, InvalidSlot
from backend.core.graph.context import Context
from backend.core.graph.node import Node, check_update, read_node, state_keys
from backend.core.graph.plan import Plan, insert, lay_out

Graph = CompiledStateGraph[Any, Context, Any, Any]

_ROUTE = "route"
"""State key, for one step: the choice that an added node passes on."""


class Orchestrator:
    """One agent. A subclass names it, its state and the package of its nodes, and knows no node by name."""

    NAME: ClassVar[str]
    TITLE: ClassVar[str]
    DESCRIPTION: ClassVar[str]
    STATE: ClassVar[type[Any]]
    NODES: ClassVar[ModuleType]

    SCOPE: ClassVar[str | None] = None
    """What its caller must be allowed beside talking to agents (`dto/principal.py SCOPES`)."""
    ANSWERS_ASK_NO_MODEL: ClassVar[bool] = False
    """Whether no model is asked behind its interrupts: their answers are let in when the day's budget is used up."""

    takes_nodes: ClassVar[bool] = True
    """Whether nodes can be added to the agent; one without nodes of its own says False and overrides `build`."""

    def plan(self, added: Sequence[Node] = ()) -> Plan:
        """Return where the agent's nodes and the `added` ones stand.

        Raises:
            InvalidGraph: the agent's own nodes do not fit together.
            InvalidSlot: an added node has no such place.
        """
        modules = sorted(module.name for module in pkgutil.iter_modules(self.NODES.__path__))
        own = [
            read_node(importlib.import_module(f"{self.NODES.__name__}.{name}"), places=("AFTER",), error=InvalidGraph)
            for name in modules
        ]
        if not own:
            raise InvalidGraph(f"{self.NODES.__name__}: agent {self.NAME!r} has no node.")
        plan = lay_out(self.NAME, own, self.STATE)
        insert(plan, added, self.STATE)
        return plan

    def build(self, added: Sequence[Node] = ()) -> Graph:
        """Return the agent's graph, without a checkpointer. Raises as `plan` does."""
        plan = self.plan(added)
        state: Any = self.STATE
        if plan.carriers:
            if _ROUTE in state_keys(self.STATE):
                raise InvalidSlot(f"Agent {self.NAME!r} has a state key {_ROUTE!r}, so nothing can run after a choice.")
            state = _with_route(self.STATE)
        keys = frozenset(state_keys(self.STATE))
        builder: StateGraph[Any, Context, Any, Any] = StateGraph(
            state, context_schema=Context, input_schema=self.STATE, output_schema=self.STATE
        )
        for name, node in plan.nodes.items():
            # The state is given, not taken from the node's annotation: an added file could bring in keys unseen.
            builder.add_node(
                name,
                _step(plan, node, keys),
                input_schema=state if name in plan.carriers else self.STATE,
                destinations=tuple(plan.successors(name)) if name in plan.routes else None,
            )
        joins = plan.joins()
        for target, sources in joins.items():
            builder.add_edge(sources, target)
        for name, targets in plan.edges.items():
            if name not in plan.routes:
                for target in targets:
                    if target not in joins:
                        builder.add_edge(name, target)
        return builder.compile(name=self.NAME)


def _with_route(state: type[Any]) -> Any:
    keys = {**get_type_hints(state, include_extras=True), _ROUTE: Annotated[list[Any], EphemeralValue]}
    make: Any = TypedDict  # as a value: mypy reads a direct call as a declaration, whose keys it wants to see
    return make("RoutedState", keys, total=False)


def _step(plan: Plan, node: Node, keys: frozenset[str]) -> Any:
    """Return what LangGraph runs for `node`: itself, with what it returns checked and its choice led along the plan."""
    routes = plan.routes.get(node.name)
    carries = node.name in plan.carriers

    # `wraps`, so that LangGraph sees the node's own parameters and hands it runtime, config, store or writer.
    @functools.wraps(node.function)
    async def step(values: dict[str, Any], **given: Any) -> Any:
        chosen: list[Any] = []
        if carries:
            values = dict(values)
            chosen = values.pop(_ROUTE, [])
        result = await node.function(values, **given)
        update = result.update if isinstance(result, Command) else result
        check_update(node, plan.agent, keys, update)
        if routes is None:
            if isinstance(result, Command) and result.goto:
                raise InvalidGraph(
                    f"{node.file}: {node.name} chose {result.goto!r}, but does not declare that it chooses;"
                    ' write -> Command[Literal["a", "b"]].'
                )
            return result
        if isinstance(result, Command):
            if result.graph is not None:
                return result
            chosen = [result.goto] if isinstance(result.goto, (str, Send)) else list(result.goto)
        return _lead(plan, node, routes, chosen, update)

    return step


def _lead(plan: Plan, node: Node, routes: dict[str, str], chosen: list[Any], update: Any) -> Command[Any]:
    goals: list[str | Send] = []
    for choice in chosen:
        label = choice.node if isinstance(choice, Send) else choice
        goal = routes.get(label)
        if goal is None:
            raise InvalidGraph(f"{node.file}: {node.name} chose {label!r}; it declares {', '.join(routes)}.")
        if isinstance(choice, Send) and goal in plan.carriers:
            raise InvalidGraph(f"{node.file}: {node.name} sends to {label!r}, and {goal!r} stands between.")
        goals.append(Send(goal, choice.arg) if isinstance(choice, Send) else goal)
    if not goals:
        raise InvalidGraph(f"{node.file}: {node.name} chose nothing; it declares {', '.join(routes)}.")
    if any(isinstance(goal, str) and goal in plan.carriers for goal in goals):
        update = {**(update or {}), _ROUTE: chosen}
    return Command(update=update, goto=goals)
