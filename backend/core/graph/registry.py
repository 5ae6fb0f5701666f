"""Which agents there are: the built-in ones, their added nodes, and the graphs of a `langgraph.json`."""

import asyncio
import importlib
import pkgutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from langgraph.graph.state import CompiledStateGraph
from loguru import logger

import backend.core.graph
from backend.core.error import AgentNotFound, InvalidGraph
from backend.core.graph.context import Context
from backend.core.graph.loader import GraphConfig, load_graph, prepare, read_config
from backend.core.graph.node import Node
from backend.core.graph.orchestrator import Orchestrator
from backend.core.graph.slot import read_added
from backend.dto.agent import AgentInfo


class GraphRegistry:
    """The agents of this process; each is compiled once, without a checkpointer: who runs it brings one."""

    def __init__(self, extension_dir: Path, graph_config: Path | None = None) -> None:
        self._extension_dir = extension_dir
        self._graph_config = graph_config
        self._built_in = {orchestrator.NAME: orchestrator for orchestrator in _orchestrators()}
        self._added: dict[str, list[Node]] = {}
        self._graphs: dict[str, CompiledStateGraph[Any, Any, Any, Any]] = {}
        self._loaded: dict[str, AgentInfo] = {}
        self._errors: dict[str, str] = {}

    async def open(self) -> None:
        """Read the added nodes and the configured graphs, and check that everything fits.

        A graph of `langgraph.json` that cannot be loaded does not stop the others: `errors()` has it.

        Raises:
            InvalidSlot: an added node has no place; the sentence says which file, which agent and what is there.
            InvalidGraph: the `langgraph.json` cannot be read.
        """
        takers = [name for name, orchestrator in self._built_in.items() if orchestrator.takes_nodes]
        self._added = read_added(self._extension_dir, takers)
        for name in takers:
            self._graphs[name] = self._built_in[name].build(self._added[name])
        if self._graph_config is not None:
            await self._load(read_config(self._graph_config))
        added = [f"{agent}/{node.name}" for agent, nodes in self._added.items() for node in nodes]
        logger.info("agents: {agents}; added nodes: {added}", agents=self.names(), added=added)

    def names(self) -> list[str]:
        """Return the agents that can run, in order of name."""
        return sorted({*self._built_in, *self._loaded})

    def errors(self) -> dict[str, str]:
        """Return why each graph of `langgraph.json` that is not served could not be loaded."""
        return dict(self._errors)

    def describe(self, name: str) -> AgentInfo:
        """Return an agent as people see it.

        Raises:
            AgentNotFound: there is none of this name.
        """
        if name in self._loaded:
            return self._loaded[name]
        orchestrator = self._orchestrator(name)
        return AgentInfo(name, orchestrator.TITLE, orchestrator.DESCRIPTION)

    def get(self, name: str) -> CompiledStateGraph[Any, Any, Any, Any]:
        """Return the graph of an agent.

        Raises:
            AgentNotFound: there is none of this name.
            InvalidGraph: it stands in `langgraph.json` and could not be loaded.
        """
        graph = self._graphs.get(name)
        if graph is None:
            graph = self._graphs[name] = self._orchestrator(name).build(self._added.get(name, ()))
        return graph

    async def prepare(self, name: str) -> None:
        """Build an agent that is asked for the first time, off the loop: it may import much. Raises what `get` does."""
        if name not in self._graphs:
            await asyncio.to_thread(self.get, name)

    def added(self, name: str) -> list[Node]:
        """Return the nodes that are added to an agent."""
        return list(self._added.get(name, ()))

    def nodes(self, name: str) -> list[str]:
        """Return the nodes of a built-in agent, with the added ones.

        Raises:
            AgentNotFound: there is none of this name that takes nodes.
        """
        takers = [each for each, orchestrator in self._built_in.items() if orchestrator.takes_nodes]
        if name not in takers:
            raise AgentNotFound(name, takers)
        return list(self._built_in[name].plan(self._added.get(name, ())).nodes)

    def _orchestrator(self, name: str) -> Orchestrator:
        if name in self._errors:
            raise InvalidGraph(self._errors[name], agent=name)
        if name not in self._built_in:
            raise AgentNotFound(name, self.names())
        return self._built_in[name]

    async def _load(self, config: GraphConfig) -> None:
        prepare(config)
        for entry in config.graphs:
            name = entry.graph_id
            try:
                graph = await load_graph(config, entry)
            except InvalidGraph as problem:
                logger.error("graph {name} is not served: {problem}", name=name, problem=problem.detail)
                self._errors[name] = problem.detail
                self._built_in.pop(name, None)  # its name is taken: the built-in agent must not answer in its place
                self._graphs.pop(name, None)
                continue
            if name in self._built_in:
                logger.warning("the configured graph {name} takes the place of the built-in agent", name=name)
            self._graphs[name] = graph  # type: ignore[assignment]  # a functional-API graph is a Pregel and runs alike
            self._loaded[name] = AgentInfo(
                name,
                title=name,
                description=entry.description or f"A graph of {config.path.name}.",
                built_in=False,
                takes_context=getattr(graph, "context_schema", None) is Context,
            )


def _orchestrators() -> Iterator[Orchestrator]:
    """Make the `GraphOrchestrator` of every agent: each folder of `core/graph/` is one."""
    for folder in pkgutil.iter_modules(backend.core.graph.__path__):
        if folder.ispkg:
            module = importlib.import_module(f"{backend.core.graph.__name__}.{folder.name}.graph_orchestrator")
            yield module.GraphOrchestrator()
