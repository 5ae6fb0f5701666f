"""Threads and their states: make, find, change, copy, prune and delete them."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Header, Path, Query
from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import Response

from backend.api.agent.access import authorize
from backend.api.agent.reply import done, page, reply
from backend.api.dependency import Caller, Threads, ThreadStates, container_of, principal_of
from backend.api.route import HotRoute, body_of, not_valid
from backend.core.error import DomainError, Invalid
from backend.core.run.state_wire import checkpoint_wire, state_wire
from backend.dto.thread import ThreadState
from backend.schema.agent.thread import (
    History,
    StateAt,
    StateSelect,
    StateUpdate,
    ThreadCount,
    ThreadCreate,
    ThreadPatch,
    ThreadPrune,
    ThreadSearch,
    found_wire,
    selected_state,
    storage_wire,
    thread_wire,
)
from backend.util.containment import Filters
from backend.util.id_generator import new_id

hot = APIRouter(prefix="/threads", tags=["threads"], route_class=HotRoute)
"""Routes whose endpoints read the bare request."""
router = APIRouter(prefix="/threads", tags=["threads"])

_CheckpointId = Annotated[str, Path(min_length=1, max_length=255)]
_Subgraphs = Annotated[bool, Query(description="Whether the tasks show the states of their subgraphs.")]
_Select = Annotated[StateSelect | None, Query(description="Only these fields.")]


@hot.post("", summary="Create a thread", openapi_extra={"requestBody": body_of(ThreadCreate, {})})
async def create_thread(request: Request) -> Response:
    """Make a thread, empty or with the states of `supersteps`."""
    raw = await request.body()
    try:
        body = ThreadCreate.model_validate_json(raw or b"{}")
    except ValidationError as error:
        raise not_valid(error, raw) from error
    container, caller = container_of(request), principal_of(request)
    value: dict[str, Any] = {
        "thread_id": body.thread_id or new_id(),
        "metadata": body.metadata or {},
        "if_exists": body.if_exists or "raise",
    }
    only = await authorize(request, "threads", "create", value)
    threads = container.thread_service()
    made, is_new = await threads.ensure(
        caller,
        thread_id=value["thread_id"],
        metadata=value["metadata"],
        ttl=None if body.ttl is None else body.ttl.rule(),
        if_exists=body.if_exists or "raise",
        only=only,
    )
    if is_new and not body.supersteps:
        return reply(thread_wire(made, ThreadState()))
    if not is_new:
        return reply(thread_wire(*await threads.look(caller, made.thread_id, only=only)))
    try:
        await container.thread_state_service().apply(
            caller, made.thread_id, [step.model_dump()["updates"] for step in body.supersteps or ()]
        )
    except DomainError:
        await threads.delete(caller, made.thread_id, stop=True)
        raise
    return reply(thread_wire(*await threads.look(caller, made.thread_id)))


@router.post("/search", summary="Find threads")
async def search_threads(body: ThreadSearch, request: Request, caller: Caller, threads: Threads) -> Response:
    """Return the threads that match, the last changed first; `X-Pagination-Next` says where the next page begins."""
    value: dict[str, Any] = {
        "metadata": body.metadata or {},
        "values": body.values or {},
        "status": body.status,
        "limit": body.limit,
        "offset": body.offset,
    }
    only = await authorize(request, "threads", "search", value)
    found, more = await threads.search(
        caller,
        body.query(value["metadata"]),
        limit=body.limit,
        offset=body.offset,
        only=only,
        state=body.needs_state,
    )
    items = [found_wire(thread, state, body) for thread, state in found]
    return page(items, limit=body.limit, offset=body.offset, more=more)


@router.post("/count", summary="Count threads")
async def count_threads(body: ThreadCount, request: Request, caller: Caller, threads: Threads) -> Response:
    """Return how many threads match."""
    value: dict[str, Any] = {"metadata": body.metadata or {}, "values": body.values or {}, "status": body.status}
    only = await authorize(request, "threads", "search", value)
    return reply(await threads.count(caller, body.query(value["metadata"]), only=only))


@router.post("/prune", summary="Remove threads or their old states")
async def prune_threads(body: ThreadPrune, request: Request, caller: Caller, threads: Threads) -> Response:
    """Remove threads, or keep only their newest states; those that are not there or, then, busy are left out."""
    # A handler is asked of each thread, as it is for one alone; most say the same of all.
    groups: list[tuple[Filters, list[UUID]]] = []
    for thread_id in body.thread_ids:
        only = await authorize(request, "threads", "delete", {"thread_id": thread_id})
        if groups and groups[-1][0] == only:
            groups[-1][1].append(thread_id)
        else:
            groups.append((only, [thread_id]))
    pruned = 0
    for only, thread_ids in groups:
        pruned += await threads.prune(caller, thread_ids, body.strategy, only=only)
    return reply({"pruned_count": pruned})


@router.get("/{thread_id}", summary="Look at a thread")
async def get_thread(
    thread_id: UUID,
    request: Request,
    caller: Caller,
    threads: Threads,
    include: Annotated[list[str] | None, Query(description="`ttl` shows when it expires.")] = None,
) -> Response:
    """Return one thread."""
    only = await _may_read(request, thread_id)
    shows_ttl = "ttl" in ",".join(include or ()).split(",")
    return reply(thread_wire(*await threads.look(caller, thread_id, only=only), ttl=shows_ttl))


@router.patch("/{thread_id}", summary="Change a thread")
async def patch_thread(
    thread_id: UUID,
    body: ThreadPatch,
    request: Request,
    caller: Caller,
    threads: Threads,
    prefer: Annotated[str | None, Header(description="`return=minimal` answers 204.")] = None,
) -> Response:
    """Merge metadata into the thread's, key by key, and set its time to live."""
    value: dict[str, Any] = {"thread_id": thread_id, "metadata": body.metadata or {}}
    only = await authorize(request, "threads", "update", value)
    changed = await threads.change(
        caller,
        thread_id,
        metadata=value["metadata"],
        ttl=None if body.ttl is None else body.ttl.rule(),
        only=only,
    )
    if prefer is not None and "return=minimal" in prefer.replace(" ", "").lower():
        return done()
    return reply(thread_wire(*changed))


@router.delete("/{thread_id}", summary="Delete a thread")
async def delete_thread(thread_id: UUID, request: Request, caller: Caller, threads: Threads) -> Response:
    """Delete a thread with its runs, crons and checkpoints; a run that is active is stopped."""
    only = await authorize(request, "threads", "delete", {"thread_id": thread_id})
    await threads.delete(caller, thread_id, stop=True, only=only)
    return done()


@router.post("/{thread_id}/copy", summary="Copy a thread")
async def copy_thread(thread_id: UUID, request: Request, caller: Caller, threads: Threads) -> Response:
    """Make a thread with the metadata and all the checkpoints of another, without its runs."""
    only = await _may_read(request, thread_id)
    value: dict[str, Any] = {"metadata": {}, "if_exists": "raise"}
    await authorize(request, "threads", "create", value)
    return reply(thread_wire(*await threads.copy(caller, thread_id, metadata=value["metadata"], only=only)))


@router.get("/{thread_id}/storage", summary="What a thread's checkpoints take")
async def get_storage(thread_id: UUID, request: Request, caller: Caller, states: ThreadStates) -> Response:
    """Return counts and bytes of checkpoints, of the channels' values in them, and of pending writes."""
    only = await _may_read(request, thread_id)
    return reply(storage_wire(thread_id, await states.storage(caller, thread_id, only=only)))


@router.get("/{thread_id}/state", summary="The state of a thread")
async def get_state(
    thread_id: UUID,
    request: Request,
    caller: Caller,
    states: ThreadStates,
    subgraphs: _Subgraphs = False,
    select: _Select = None,
) -> Response:
    """Return the newest state; of a thread that no graph has run on, an empty one."""
    only = await _may_read(request, thread_id)
    state = await states.get(caller, thread_id, subgraphs=subgraphs, only=only)
    return reply(selected_state(state_wire(state), select))


@router.get("/{thread_id}/state/{checkpoint_id}", summary="An earlier state of a thread")
async def get_state_at(
    thread_id: UUID,
    checkpoint_id: _CheckpointId,
    request: Request,
    caller: Caller,
    states: ThreadStates,
    subgraphs: _Subgraphs = False,
    select: _Select = None,
) -> Response:
    """Return the state at a checkpoint."""
    _check_text(checkpoint_id)
    only = await _may_read(request, thread_id)
    state = await states.get(
        caller, thread_id, checkpoint={"checkpoint_id": checkpoint_id}, subgraphs=subgraphs, only=only
    )
    return reply(selected_state(state_wire(state), select))


@router.post("/{thread_id}/state/checkpoint", summary="A state of a thread, or of a subgraph")
async def get_state_of(
    thread_id: UUID, body: StateAt, request: Request, caller: Caller, states: ThreadStates
) -> Response:
    """Return the state at a checkpoint, which may be a subgraph's."""
    only = await _may_read(request, thread_id)
    state = await states.get(
        caller, thread_id, checkpoint=body.checkpoint.place(), subgraphs=bool(body.subgraphs), only=only
    )
    return reply(selected_state(state_wire(state), body.select))


@router.post("/{thread_id}/state", summary="Change the state of a thread")
async def update_state(
    thread_id: UUID, body: StateUpdate, request: Request, caller: Caller, states: ThreadStates
) -> Response:
    """Save a state as if a node had written the values; after an earlier checkpoint it is a branch."""
    only = await authorize(request, "threads", "update", {"thread_id": thread_id})
    configurable = await states.update(
        caller, thread_id, body.values, as_node=body.as_node, checkpoint=body.place(), only=only
    )
    checkpoint = checkpoint_wire({"configurable": configurable})
    return reply(
        {
            "checkpoint": checkpoint,
            "configurable": checkpoint,
            "checkpoint_id": None if checkpoint is None else checkpoint["checkpoint_id"],
        }
    )


@router.get("/{thread_id}/history", summary="The states of a thread")
async def list_states(
    thread_id: UUID,
    request: Request,
    caller: Caller,
    states: ThreadStates,
    limit: Annotated[int, Query(ge=1, le=1000)] = 1,
    before: Annotated[str | None, Query(max_length=10_000, description="The id of a checkpoint.")] = None,
) -> Response:
    """Return states, newest first."""
    try:
        asked = History.of_query(limit, before)
    except ValidationError:
        raise Invalid("before: this is no checkpoint.") from None
    return await _history(thread_id, asked, request, caller, states)


@router.post("/{thread_id}/history", summary="The states of a thread, filtered")
async def search_states(
    thread_id: UUID, body: History, request: Request, caller: Caller, states: ThreadStates
) -> Response:
    """Return states, newest first: of a subgraph, before a checkpoint, or with certain metadata."""
    return await _history(thread_id, body, request, caller, states)


async def _history(thread_id: UUID, asked: History, request: Request, caller: Caller, states: ThreadStates) -> Response:
    only = await _may_read(request, thread_id)
    found = await states.history(
        caller,
        thread_id,
        limit=asked.limit,
        before=asked.before,
        metadata=asked.metadata,
        checkpoint=None if asked.checkpoint is None else asked.checkpoint.place(),
        only=only,
    )
    return reply([selected_state(state_wire(state), asked.select) for state in found])


async def _may_read(request: Request, thread_id: UUID) -> Filters:
    return await authorize(request, "threads", "read", {"thread_id": thread_id})


def _check_text(text: str) -> None:
    if "\0" in text:
        raise Invalid("A NUL character is in no id.")
