"""Which agents there are: the built-in ones, their added nodes, and the graphs of a `langgraph.json`."""

import asyncio
import importlib
import pkgutil
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from langgraph.graph.state import CompiledStateGraph
from langgraph.pregel import Pregel
from loguru import logger

import backend.core.graph
from backend.core.error import AgentNotFound, InvalidGraph
from backend.core.graph.context import Context
from backend.core.graph.factory import AccessContext, GraphFactory
from backend.core.graph.loader import Loaded, compiled, load_graph
from backend.core.graph.node import Node
from backend.core.graph.orchestrator import Orchestrator
from backend.core.graph.project import GraphEntry, Project, ServedProjects
from backend.core.graph.project_reader import open_projects
from backend.core.graph.slot import read_added
from backend.dto.agent import AgentInfo

if TYPE_CHECKING:
    from langchain_core.runnables import RunnableConfig
    from langgraph.store.base import BaseStore

Graph = Pregel[Any, Any, Any, Any]


class GraphRegistry:
    """The agents of this process, none with a checkpointer of its own: who runs one brings it.

    Most are compiled once (`static`). A graph whose factory takes a config or a runtime, or is a context manager, is
    made for each use; `use` is for both kinds.
    """

    def __init__(self, extension_dir: Path, projects: ServedProjects | Sequence[Path] = ()) -> None:
        """Take the folder of added nodes, and the `langgraph.json` files, opened already or not."""
        self._extension_dir = extension_dir
        self._given = projects
        self._built_in = {orchestrator.NAME: orchestrator for orchestrator in _orchestrators()}
        self._added: dict[str, list[Node]] = {}
        self._graphs: dict[str, Graph] = {}
        self._factories: dict[str, tuple[GraphFactory, GraphEntry]] = {}
        self._transformers: dict[str, Any] = {}
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
        given = self._given
        projects = given if isinstance(given, ServedProjects) else open_projects(given)
        for project, entry in projects.graphs:
            await self._load(project, entry)
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
        return AgentInfo(
            name,
            orchestrator.TITLE,
            orchestrator.DESCRIPTION,
            scope=orchestrator.SCOPE,
            answers_ask_no_model=orchestrator.ANSWERS_ASK_NO_MODEL,
        )

    def static(self, name: str) -> Graph | None:
        """Return the graph of an agent; None when it is made for each use.

        Raises:
            AgentNotFound: there is none of this name.
            InvalidGraph: it stands in `langgraph.json` and could not be loaded.
        """
        if name in self._factories:
            return None
        graph = self._graphs.get(name)
        if graph is None:
            graph = self._graphs[name] = self._orchestrator(name).build(self._added.get(name, ()))
        return graph

    def get(self, name: str) -> CompiledStateGraph[Any, Any, Any, Any]:
        """Return the graph of an agent that is compiled once.

        Raises:
            AgentNotFound, InvalidGraph: as `static`; or it is made for each use.
        """
        graph = self.static(name)
        if graph is None:
            raise InvalidGraph(f"Graph {name!r} is made anew for each use.", agent=name)
        return graph  # type: ignore[return-value]  # a functional-API graph is a Pregel and runs alike

    @asynccontextmanager
    async def use(
        self,
        name: str,
        *,
        config: "RunnableConfig | None" = None,
        access_context: AccessContext = "threads.read",
        user: Mapping[str, Any] | None = None,
        store: "BaseStore | None" = None,
        context: Any = None,
    ) -> AsyncIterator[Graph]:
        """Hand out the graph of an agent for one use; what its factory opened is closed afterwards.

        Args:
            name: the agent.
            config: for a factory that takes one.
            access_context: what it is for; only for `threads.create_run` does a factory see an execution.
            user: of the project's own authentication.
            store: that a factory may use.
            context: of the run, as it was sent.

        Raises:
            AgentNotFound: there is none of this name.
            Forbidden: its factory wants a user, and there is none.
            InvalidGraph: it could not be loaded or made.
        """
        if name not in self._factories:
            await self.prepare(name)
            yield self.get(name)
            return
        factory, entry = self._factories[name]
        async with factory.use(
            config=config, access_context=access_context, user=user, store=store, context=context
        ) as made:
            yield compiled(made, entry)

    def transformers(self, name: str) -> list[Any]:
        """Return new stream transformers, those of `stream_transformers()` in the module of the agent's graph.

        Each is a factory as `StateGraph.compile(transformers=…)` takes it, or a transformer. They hold what one stream
        was, so ask for each run.
        """
        made = self._transformers.get(name)
        return [] if made is None else list(made())

    async def prepare(self, name: str) -> None:
        """Build an agent that is asked for the first time, off the loop: it may import much. Raises what `get` does."""
        if name not in self._graphs:
            await asyncio.to_thread(self.static, name)

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

    async def _load(self, project: Project, entry: GraphEntry) -> None:
        name = entry.graph_id
        try:
            loaded = await load_graph(entry)
        except InvalidGraph as problem:
            logger.error("graph {name} is not served: {problem}", name=name, problem=problem.detail)
            self._errors[name] = problem.detail
            self._built_in.pop(name, None)  # its name is taken: the built-in agent must not answer in its place
            self._graphs.pop(name, None)
            return
        if name in self._built_in:
            logger.warning("the configured graph {name} takes the place of the built-in agent", name=name)
        self._add(project, entry, loaded)

    def _add(self, project: Project, entry: GraphEntry, loaded: Loaded) -> None:
        name, made = entry.graph_id, loaded.made
        if isinstance(made, GraphFactory):
            self._graphs.pop(name, None)
            self._factories[name] = made, entry
        else:
            self._graphs[name] = made
        if loaded.transformers is not None:
            self._transformers[name] = loaded.transformers
        self._loaded[name] = AgentInfo(
            name,
            title=name,
            description=entry.description or f"A graph of {project.path.name}.",
            built_in=False,
            takes_context=not isinstance(made, GraphFactory) and takes_context(made),
        )


def takes_context(graph: Graph) -> bool:
    """Tell whether the nodes of a graph get our `Context` by `runtime.context`."""
    return getattr(graph, "context_schema", None) is Context


def _orchestrators() -> Iterator[Orchestrator]:
    """Make the `GraphOrchestrator` of every agent: each folder of `core/graph/` is one."""
    for folder in pkgutil.iter_modules(backend.core.graph.__path__):
        if folder.ispkg:
            module = importlib.import_module(f"{backend.core.graph.__name__}.{folder.name}.graph_orchestrator")
            yield module.GraphOrchestrator()
