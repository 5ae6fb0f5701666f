"""What a graph looks like from outside: its drawing, its JSON schemas, its subgraphs."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, Literal, Protocol, TypeVar

from langgraph.channels.base import BaseChannel
from langgraph.pregel import Pregel
from langgraph.pregel.protocol import PregelProtocol
from pydantic import Field, create_model
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core.core_schema import CoreSchema

from backend.core.error import Invalid, Unavailable
from backend.dto.agent import AgentInfo
from backend.dto.assistant import Assistant

T = TypeVar("T")
Graph = Pregel[Any, Any, Any, Any]
Json = dict[str, Any]

SECONDS = 30.0
"""After which a description is given up: a factory or a type of the project's own may hang."""
UNNAMED = "LangGraph"
"""How a graph is called that was given no name."""
_NO_SCHEMA = (RuntimeError, TypeError, ValueError, LookupError, NameError, AttributeError)
"""What Pydantic and LangGraph raise at types without a JSON schema (a `PydanticUserError` is a `RuntimeError`)."""


class Graphs(Protocol):
    """The graphs that are served, as `core/graph/registry.py` has them."""

    def names(self) -> list[str]: ...

    def describe(self, name: str) -> AgentInfo: ...

    def static(self, name: str) -> Graph | None: ...

    def use(
        self,
        name: str,
        *,
        config: Any = None,
        access_context: Literal["assistants.read"],
        user: Mapping[str, Any] | None = None,
    ) -> AbstractAsyncContextManager[Graph]: ...


class GraphView:
    """Describes the graphs of assistants. What is made of a graph that never changes is kept."""

    def __init__(self, graphs: Graphs) -> None:
        self._graphs = graphs
        self._kept: dict[tuple[str, str], Any] = {}

    async def draw(self, assistant: Assistant, user: Mapping[str, Any] | None, *, xray: bool | int = False) -> Json:
        """Return the nodes and edges of an assistant's graph.

        `xray` shows the insides of subgraphs, a number down to that depth.

        Raises:
            Invalid: the graph cannot be drawn.
        """
        kept = f"graph {xray}" if isinstance(xray, bool) else None
        return await self._describe(assistant, user, lambda graph: _drawn(graph, xray), kept)

    async def schemas(self, assistant: Assistant, user: Mapping[str, Any] | None) -> Json:
        """Return the JSON schemas of an assistant's graph; None for what has none."""
        found = await self._describe(assistant, user, _schemas, "schemas")
        return {"graph_id": assistant.graph_id, **found}

    async def subgraphs(
        self, assistant: Assistant, user: Mapping[str, Any] | None, *, namespace: str | None, recurse: bool
    ) -> dict[str, Json]:
        """Return the schemas of the subgraphs by their namespaces: all, or the one at `namespace`."""

        def subgraphs(graph: Graph) -> dict[str, Json]:
            found = graph.get_subgraphs(namespace=namespace, recurse=recurse)
            return {name: _schemas(subgraph) for name, subgraph in found}

        return await self._describe(assistant, user, subgraphs, f"subgraphs {recurse}" if namespace is None else None)

    async def _describe(
        self, assistant: Assistant, user: Mapping[str, Any] | None, make: Callable[[Graph], T], kept: str | None
    ) -> T:
        """Return what `make` says of the graph, made in a thread: drawing and schemas take milliseconds."""
        name = assistant.graph_id
        if kept is not None and (name, kept) in self._kept:
            found: T = self._kept[name, kept]
            return found
        try:
            async with (
                asyncio.timeout(SECONDS),
                self._graphs.use(
                    name, config=dict(assistant.config), access_context="assistants.read", user=user
                ) as graph,
            ):
                if graph.name == UNNAMED:
                    graph = graph.copy({"name": name})  # noqa: PLW2901 - the same graph under the name people know
                made = await asyncio.to_thread(make, graph)
        except TimeoutError:
            raise Unavailable(f"Graph {name!r} could not be described within {SECONDS:.0f} s.") from None
        if kept is not None and self._graphs.static(name) is not None:
            self._kept[name, kept] = made
        return made


def _drawn(graph: Graph, xray: bool | int) -> Json:
    try:
        drawn: Json = graph.get_graph(xray=xray).to_json()
    except NotImplementedError as error:
        raise Invalid(f"Graph {graph.name!r} cannot be drawn.") from error
    for node in drawn["nodes"]:
        if isinstance(data := node.get("data"), dict):
            data.pop("id", None)  # the Python class behind the node, which is nobody's business
    return drawn


def _schemas(graph: PregelProtocol[Any, Any, Any, Any]) -> Json:
    context = _or_none(graph.get_context_jsonschema) if isinstance(graph, Pregel) else None
    return {
        "input_schema": _or_none(graph.get_input_jsonschema),
        "output_schema": _or_none(graph.get_output_jsonschema),
        "state_schema": _or_none(lambda: _state_schema(graph)) if isinstance(graph, Pregel) else None,
        "config_schema": context or {},
        "context_schema": context,
    }


def _or_none(make: Callable[[], Json | None]) -> Json | None:
    try:
        return make()
    except _NO_SCHEMA:
        return None


class _Lenient(GenerateJsonSchema):
    """Lets everything be where a type has no JSON schema, so that one odd channel does not hide the others."""

    def handle_invalid_for_json_schema(self, schema: CoreSchema, error_info: str) -> JsonSchemaValue:
        del schema, error_info
        return {}


def _state_schema(graph: Graph) -> Json:
    """Return the schema of the channels that a graph shows, each of the type that a node may write into it."""
    channels = {name: graph.channels[name] for name in graph.stream_channels_list}
    # Names of channels are free; those of a model's fields are not (`copy`, `__end__`), so they stand as aliases.
    fields: dict[str, Any] = {
        f"field_{position}": (
            channel.UpdateType,
            Field(default=None, alias=name, title=name.lstrip("_").replace("_", " ").title()),
        )
        for position, (name, channel) in enumerate(channels.items())
        if isinstance(channel, BaseChannel)
    }
    model = create_model(graph.get_name("State"), __config__={"arbitrary_types_allowed": True}, **fields)
    return model.model_json_schema(schema_generator=_Lenient)
