"""Long-term memory: items under namespaces."""

from typing import Any

from fastapi import APIRouter, Query
from langgraph.store.base import NOT_PROVIDED
from starlette.requests import Request
from starlette.responses import Response

from backend.api.agent.access import authorize
from backend.api.agent.reply import done, reply
from backend.api.dependency import Caller, Store, container_of
from backend.core.error import BadRequest
from backend.schema.agent.store import (
    StoreDelete,
    StoreNamespaces,
    StorePut,
    StoreSearch,
    found_wire,
    item_wire,
)
from backend.service.store import checked_namespace
from backend.util.containment import Filters

router = APIRouter(prefix="/store", tags=["store"])

# A handler of the project's own authentication may change what is asked for (that is how users are kept apart), so
# everything is read back from what it was given.


@router.put("/items", summary="Write an item", status_code=204)
async def put_item(request: Request, body: StorePut, caller: Caller, store: Store) -> Response:
    """Write an item, or over the one that is there."""
    asked: dict[str, Any] = {
        "namespace": checked_namespace(body.namespace),
        "key": body.key,
        "value": body.value,
        "index": body.index,
        "ttl": body.ttl,
    }
    only = await _authorize(request, "put", asked)
    sets_ttl = "ttl" in body.model_fields_set or asked["ttl"] is not None
    await store.put(
        caller,
        asked["namespace"],
        asked["key"],
        asked["value"],
        index=asked["index"],
        ttl=asked["ttl"] if sets_ttl else NOT_PROVIDED,
        only=only,
    )
    return done()


@router.get("/items", summary="Read an item")
async def get_item(
    request: Request,
    caller: Caller,
    store: Store,
    namespace: str = Query("", description="The labels, joined by dots."),
    key: str | None = Query(None, description="What names the item within its namespace; it is needed."),
    refresh_ttl: bool | None = Query(None, description="Whether the item lives on for being read."),
) -> Response:
    """Return an item, or null."""
    labels = checked_namespace(namespace.split("."))
    if key is None:
        raise BadRequest("Key is required")
    asked: dict[str, Any] = {"namespace": labels, "key": key, "refresh_ttl": refresh_ttl}
    only = await _authorize(request, "get", asked)
    item = await store.find(caller, asked["namespace"], asked["key"], refresh_ttl=asked["refresh_ttl"], only=only)
    return reply(None if item is None else item_wire(item))


@router.delete("/items", summary="Remove an item", status_code=204)
async def delete_item(request: Request, body: StoreDelete, caller: Caller, store: Store) -> Response:
    """Remove an item, if it is there."""
    asked: dict[str, Any] = {"namespace": checked_namespace(body.namespace), "key": body.key}
    only = await _authorize(request, "delete", asked)
    await store.delete(caller, asked["namespace"], asked["key"], only=only)
    return done()


@router.post("/items/search", summary="Search items")
async def search_items(request: Request, body: StoreSearch, caller: Caller, store: Store) -> Response:
    """Return the items under a namespace that match a filter, nearest to the query first."""
    asked: dict[str, Any] = {
        "namespace": checked_namespace(body.namespace_prefix),
        "filter": body.filter,
        "limit": body.limit or 10,
        "offset": body.offset,
        "query": body.query,
        "refresh_ttl": body.refresh_ttl,
    }
    only = await authorize(request, "store", "search", asked)
    found = await store.search(
        caller,
        asked["namespace"] or (),
        wanted=asked["filter"],
        query=asked["query"],
        limit=asked["limit"],
        offset=asked["offset"],
        refresh_ttl=asked["refresh_ttl"],
        only=only,
    )
    return reply({"items": [found_wire(item) for item in found]})


@router.post("/namespaces", summary="List namespaces")
async def list_namespaces(request: Request, body: StoreNamespaces, caller: Caller, store: Store) -> Response:
    """Return the namespaces that hold items; in `prefix` and `suffix`, `*` stands for any one label."""
    asked: dict[str, Any] = {
        "namespace": None if body.prefix is None else checked_namespace(body.prefix),
        "suffix": None if body.suffix is None else checked_namespace(body.suffix),
        "max_depth": body.max_depth,
        "limit": body.limit,
        "offset": body.offset,
    }
    only = await _authorize(request, "list_namespaces", asked)
    found = await store.list_namespaces(
        caller,
        prefix=asked["namespace"],
        suffix=asked["suffix"],
        max_depth=asked["max_depth"],
        limit=asked["limit"],
        offset=asked["offset"],
        only=only,
    )
    return reply({"namespaces": found})


async def _authorize(request: Request, action: str, asked: dict[str, Any]) -> Filters:
    """Ask the handlers; return what items must pass.

    A handler of everything (`@auth.on`) that answers with an owner means metadata, which items have not: its filter
    counts for searches alone, as on the original server. One for the store means the items' values.
    """
    only = await authorize(request, "store", action, asked)
    return None if container_of(request).access_control().is_general("store", action) else only
