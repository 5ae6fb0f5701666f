"""Assistants: graphs with saved configurations."""

from typing import Annotated, Any
from uuid import UUID, uuid4

from fastapi import APIRouter, Path, Query
from starlette.requests import Request
from starlette.responses import Response

from backend.api.agent.access import authorize
from backend.api.agent.reply import done, page, reply, selected
from backend.api.dependency import Assistants, Caller
from backend.core.error import Invalid
from backend.dto.assistant import UNTITLED, AssistantChange
from backend.schema.agent.assistant import (
    AssistantCreate,
    AssistantFilter,
    AssistantPatch,
    AssistantSearch,
    VersionChoice,
    VersionSearch,
    assistant_wire,
    version_wire,
)

router = APIRouter(prefix="/assistants", tags=["assistants"])

AnyId = Annotated[str, Path(description="The UUID of an assistant, or a graph id for its default one.")]


@router.post("", summary="Create an assistant")
async def create_assistant(body: AssistantCreate, request: Request, caller: Caller, assistants: Assistants) -> Response:
    """Save a configuration of a graph as version 1 of an assistant."""
    value: dict[str, Any] = {
        "assistant_id": body.assistant_id or uuid4(),
        "graph_id": body.graph_id,
        "config": body.config or {},
        "context": body.context,
        "metadata": body.metadata or {},
        "name": body.name or UNTITLED,
    }
    only = await authorize(request, "assistants", "create", value)
    made = await assistants.create(
        caller,
        value["graph_id"],
        assistant_id=value["assistant_id"],
        config=value["config"],
        context=value["context"],
        metadata=value["metadata"],
        name=value["name"],
        description=body.description,
        if_exists=body.if_exists,
        only=only,
    )
    return reply(assistant_wire(made))


@router.post("/search", summary="Find assistants")
async def search_assistants(
    body: AssistantSearch, request: Request, caller: Caller, assistants: Assistants
) -> Response:
    """Return the assistants that match, the newest first; `X-Pagination-Next` says where the next page begins."""
    value: dict[str, Any] = {
        "graph_id": body.graph_id,
        "metadata": body.metadata or {},
        "limit": body.limit,
        "offset": body.offset,
    }
    only = await authorize(request, "assistants", "search", value)
    found, more = await assistants.search(
        caller,
        body.query(value["metadata"]),
        limit=body.limit,
        offset=body.offset,
        sort_by=body.sort_by or "created_at",
        sort_order=body.sort_order or "desc",
        only=only,
    )
    items = [selected(assistant_wire(one), body.select or None) for one in found]
    return page(items, limit=body.limit, offset=body.offset, more=more)


@router.post("/count", summary="Count assistants")
async def count_assistants(body: AssistantFilter, request: Request, caller: Caller, assistants: Assistants) -> Response:
    """Return how many assistants match."""
    value: dict[str, Any] = {"graph_id": body.graph_id, "metadata": body.metadata or {}, "limit": 0, "offset": 0}
    only = await authorize(request, "assistants", "search", value)
    return reply(await assistants.count(caller, body.query(value["metadata"]), only=only))


@router.get("/{assistant_id}", summary="Look at an assistant")
async def get_assistant(assistant_id: UUID, request: Request, caller: Caller, assistants: Assistants) -> Response:
    """Return one assistant."""
    only = await authorize(request, "assistants", "read", {"assistant_id": assistant_id})
    return reply(assistant_wire(await assistants.get(caller, assistant_id, only=only)))


@router.patch("/{assistant_id}", summary="Change an assistant")
async def update_assistant(
    assistant_id: UUID, body: AssistantPatch, request: Request, caller: Caller, assistants: Assistants
) -> Response:
    """Merge metadata, replace everything else that is given, and keep the result as a new version."""
    value: dict[str, Any] = {
        "assistant_id": assistant_id,
        "graph_id": body.graph_id,
        "config": body.config or {},
        "context": body.context,
        "metadata": body.metadata or {},
        "name": body.name,
    }
    only = await authorize(request, "assistants", "update", value)
    change = AssistantChange(
        graph_id=value["graph_id"],
        config=body.config if body.config is None and not value["config"] else value["config"],
        context=value["context"],
        metadata=value["metadata"],
        name=value["name"],
        description=body.description,
    )
    return reply(assistant_wire(await assistants.update(caller, assistant_id, change, only=only)))


@router.delete("/{assistant_id}", summary="Delete an assistant", status_code=204)
async def delete_assistant(
    assistant_id: UUID,
    request: Request,
    caller: Caller,
    assistants: Assistants,
    delete_threads: Annotated[bool, Query(description="Delete the threads that it ran on, too.")] = False,
) -> Response:
    """Delete an assistant with its versions and crons; its active runs are cancelled."""
    only = await authorize(request, "assistants", "delete", {"assistant_id": assistant_id})
    threads_only = None
    if delete_threads:
        # Whoever may delete the assistant may still not delete the threads of others.
        value: dict[str, Any] = {"thread_id": None, "metadata": {"assistant_id": str(assistant_id)}}
        threads_only = await authorize(request, "threads", "delete", value)
    await assistants.delete(caller, assistant_id, delete_threads=delete_threads, only=only, threads_only=threads_only)
    return done()


@router.get("/{assistant_id}/graph", summary="Draw its graph")
async def draw_graph(
    assistant_id: AnyId,
    request: Request,
    caller: Caller,
    assistants: Assistants,
    xray: Annotated[str, Query(description="`true`, or a depth: show the insides of subgraphs.")] = "",
) -> Response:
    """Return the nodes and edges of the assistant's graph."""
    depth = _depth(xray)
    wanted = assistants.id_of(assistant_id)
    only = await authorize(request, "assistants", "read", {"assistant_id": wanted})
    return reply(await assistants.graph(caller, wanted, xray=depth, only=only))


@router.get("/{assistant_id}/schemas", summary="Read its schemas")
async def get_schemas(assistant_id: AnyId, request: Request, caller: Caller, assistants: Assistants) -> Response:
    """Return the JSON schemas of the graph's input, output, state and context; null where there is none."""
    wanted = assistants.id_of(assistant_id)
    only = await authorize(request, "assistants", "read", {"assistant_id": wanted})
    return reply(await assistants.schemas(caller, wanted, only=only))


@router.get("/{assistant_id}/subgraphs", summary="Read the schemas of its subgraphs")
@router.get("/{assistant_id}/subgraphs/{namespace:path}", summary="Read the schemas of a subgraph")
async def get_subgraphs(
    assistant_id: AnyId,
    request: Request,
    caller: Caller,
    assistants: Assistants,
    namespace: str | None = None,
    recurse: Annotated[bool, Query(description="Go into the subgraphs of subgraphs.")] = False,
) -> Response:
    """Return the schemas of the subgraphs by their namespaces, `outer|inner`."""
    wanted = assistants.id_of(assistant_id)
    only = await authorize(request, "assistants", "read", {"assistant_id": wanted})
    found = await assistants.subgraphs(caller, wanted, namespace=namespace or None, recurse=recurse, only=only)
    return reply(found)


@router.post("/{assistant_id}/versions", summary="List its versions")
async def list_versions(
    assistant_id: UUID, body: VersionSearch, request: Request, caller: Caller, assistants: Assistants
) -> Response:
    """Return what the assistant has been, newest first."""
    only = await authorize(request, "assistants", "read", {"assistant_id": assistant_id})
    found = await assistants.versions(
        caller, assistant_id, metadata=body.metadata, limit=body.limit, offset=body.offset, only=only
    )
    return reply([version_wire(version) for version in found])


@router.post("/{assistant_id}/latest", summary="Take up an old version again")
async def set_latest(
    assistant_id: UUID, body: VersionChoice, request: Request, caller: Caller, assistants: Assistants
) -> Response:
    """Make the assistant what it was in a version; the next change counts on from the highest."""
    value: dict[str, Any] = {"assistant_id": assistant_id, "version": body.version}
    only = await authorize(request, "assistants", "update", value)
    return reply(assistant_wire(await assistants.set_latest(caller, assistant_id, body.version, only=only)))


def _depth(xray: str) -> bool | int:
    """Return how deep to draw.

    Raises:
        Invalid: it is no `true`, no `false` and no number from 1 on.
    """
    text = xray.lower()
    if text in {"", "false"}:
        return False
    if text == "true":
        return True
    if text.isascii() and text.isdigit() and len(text) <= 9 and int(text) > 0:
        return int(text)
    raise Invalid("xray is true, false, or a depth from 1 on.")
