"""The knowledge graph: entities, how they relate, and what is around one."""

from typing import Annotated

from fastapi import APIRouter, Query

from backend.api.dependency import Caller, Graph
from backend.core.error import EntityNotFound, Invalid, Unauthorized
from backend.dto.knowledge_graph import EntityKey, Label, RelationType
from backend.schema.knowledge_graph import EntitiesPut, EntityBody, EntityList, NeighbourhoodRead, RelationsPut
from backend.schema.problem import problems

router = APIRouter(prefix="/graph", tags=["knowledge graph"])

Key = Annotated[str, Query(min_length=1, max_length=255, description="What names the entity within its kind.")]


@router.get("/entities", summary="Find entities", responses=problems(Unauthorized, Invalid))
async def find_entities(
    caller: Caller,
    graph: Graph,
    text: Annotated[str, Query(max_length=255, description="A part of a key or a name; empty for all.")] = "",
    label: Annotated[Label | None, Query(description="Of this kind alone.")] = None,
    limit: Annotated[int, Query(ge=1, le=200, description="Most of a page.")] = 20,
) -> EntityList:
    """Return entities whose key or name holds a text; those that it begins first."""
    found = await graph.find(caller, label, text, limit=limit)
    return EntityList(items=[EntityBody.of(entity) for entity in found])


@router.post("/entities", summary="Put entities", status_code=204, responses=problems(Unauthorized, Invalid))
async def put_entities(body: EntitiesPut, caller: Caller, graph: Graph) -> None:
    """Add entities, or replace name and properties of those that are there."""
    await graph.put(caller, [entity.to_dto() for entity in body.entities], [])


@router.get(
    "/entities/{label}/{key:path}",
    summary="Look at an entity",
    responses=problems(Unauthorized, Invalid, EntityNotFound),
)
async def get_entity(label: Label, key: str, caller: Caller, graph: Graph) -> EntityBody:
    """Return one entity."""
    return EntityBody.of(await graph.get(caller, label, key))


@router.delete(
    "/entities/{label}/{key:path}",
    summary="Remove an entity",
    status_code=204,
    responses=problems(Unauthorized, Invalid, EntityNotFound),
)
async def remove_entity(label: Label, key: str, caller: Caller, graph: Graph) -> None:
    """Remove an entity with its relations."""
    await graph.remove(caller, label, key)


@router.post(
    "/relations",
    summary="Put relations",
    status_code=204,
    responses=problems(Unauthorized, Invalid, EntityNotFound),
)
async def put_relations(body: RelationsPut, caller: Caller, graph: Graph) -> None:
    """Relate entities that are there: all of these relations, or none."""
    await graph.put(caller, [], [relation.to_dto() for relation in body.relations])


@router.delete("/relations", summary="Remove a relation", status_code=204, responses=problems(Unauthorized, Invalid))
async def remove_relation(
    caller: Caller,
    graph: Graph,
    source_label: Annotated[Label, Query(description="Kind of the entity that it goes from.")],
    source_key: Key,
    type: Annotated[RelationType, Query(description="Which relation.")],
    target_label: Annotated[Label, Query(description="Kind of the entity that it goes to.")],
    target_key: Key,
) -> None:
    """Remove a relation; the entities stay. Nothing happens when there is none."""
    await graph.unrelate(caller, EntityKey(source_label, source_key), type, EntityKey(target_label, target_key))


@router.get("/neighbours", summary="Look around an entity", responses=problems(Unauthorized, Invalid, EntityNotFound))
async def neighbours(
    caller: Caller,
    graph: Graph,
    label: Annotated[Label, Query(description="Kind of the entity in the middle.")],
    key: Key,
    types: Annotated[
        list[RelationType] | None, Query(max_length=7, description="Which relations; all without.")
    ] = None,
    depth: Annotated[int, Query(ge=1, le=3, description="Relations to go.")] = 1,
    limit: Annotated[int, Query(ge=1, le=200, description="Most of a page.")] = 50,
) -> NeighbourhoodRead:
    """Return the entities that are at most so many relations away, in either direction, the nearest first."""
    return NeighbourhoodRead.of(await graph.neighbours(caller, label, key, types, depth=depth, limit=limit))
