"""The knowledge graph, in the server's own database.

Why not a graph database: a tenant's graph is small (thousands of entities), its questions go three relations deep at
most, and here it is in the same file, the same backup and the same transactions as the tickets that it is made from. An
index on either end of a relation answers them in milliseconds. Another implementation of the port may replace it.
"""

from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime

from backend.core.error import EntityNotFound, Invalid
from backend.core.knowledge_graph import (
    MAX_DEPTH,
    MAX_FOUND,
    MAX_KEY,
    MAX_RELATIONS,
    KnowledgeGraph,
    check_entities,
    check_key,
    check_label,
    check_relations,
    check_types,
)
from backend.database.base import Database
from backend.dto.knowledge_graph import Entity, EntityKey, GraphPart, Neighbourhood, Relation
from backend.dto.principal import Principal
from backend.repository.knowledge_graph import KnowledgeGraphRepository

__all__ = ["KnowledgeGraphService", "SqlKnowledgeGraph"]

_READ = frozenset({"about", "mentions", "requested_by"})
"""What texts are read for; other relations of a ticket are a person's."""
_PARTS = 20
"""Parts that are written in one transaction: some ten milliseconds."""


class SqlKnowledgeGraph:
    """The `KnowledgeGraph` of one tenant, in the database."""

    def __init__(
        self,
        database: Database,
        tenant_id: str,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._database = database
        self._tenant_id = tenant_id
        self._clock = clock

    async def put_entities(self, entities: Sequence[Entity], *, keep: bool = False) -> None:
        check_entities(entities)
        now = self._clock()
        if entities:
            await self._database.write(
                lambda c: KnowledgeGraphRepository(c, self._tenant_id).put_entities(entities, now, keep=keep)
            )

    async def put_relations(self, relations: Sequence[Relation]) -> None:
        check_relations(relations)
        now = self._clock()
        if relations:
            await self._database.write(
                lambda c: KnowledgeGraphRepository(c, self._tenant_id).put_relations(relations, now)
            )

    async def relate_only(self, source: EntityKey, types: Collection[str], relations: Sequence[Relation]) -> None:
        check_key(source)
        check_types(types)
        check_relations(relations)
        if any(relation.source != source or relation.type not in types for relation in relations):
            raise Invalid("Each relation goes out from the entity, and is of one of the types.")
        now = self._clock()
        await self._database.write(
            lambda c: KnowledgeGraphRepository(c, self._tenant_id).relate_only([source], types, relations, now)
        )

    async def get(self, label: str, key: str) -> Entity:
        found = EntityKey(label, key)
        check_key(found)
        return await self._database.read(lambda c: KnowledgeGraphRepository(c, self._tenant_id).get(found))

    async def neighbours(
        self, label: str, key: str, types: Collection[str] | None = None, *, depth: int = 1, limit: int = 50
    ) -> Neighbourhood:
        center = EntityKey(label, key)
        check_key(center)
        check_types(types or ())
        if not 1 <= depth <= MAX_DEPTH:
            raise Invalid(f"The depth is 1 to {MAX_DEPTH}.")
        most = max(1, min(limit, MAX_FOUND))
        return await self._database.read(
            lambda c: KnowledgeGraphRepository(c, self._tenant_id).neighbours(center, types, depth, most, MAX_RELATIONS)
        )

    async def find(self, label: str | None, text: str, *, limit: int = 20) -> list[Entity]:
        if label is not None:
            check_label(label)
        if len(text) > MAX_KEY or "\x00" in text:
            raise Invalid(f"The text has at most {MAX_KEY} characters, all of which can be seen.")
        most = max(1, min(limit, MAX_FOUND))
        return await self._database.read(lambda c: KnowledgeGraphRepository(c, self._tenant_id).find(label, text, most))

    async def remove(self, label: str, key: str) -> bool:
        found = EntityKey(label, key)
        check_key(found)
        return await self._database.write(lambda c: KnowledgeGraphRepository(c, self._tenant_id).remove(found))

    async def unrelate(self, source: EntityKey, type: str, target: EntityKey) -> bool:
        check_key(source)
        check_key(target)
        check_types([type])
        return await self._database.write(
            lambda c: KnowledgeGraphRepository(c, self._tenant_id).unrelate(source, type, target)
        )


class KnowledgeGraphService:
    """Gives each tenant its graph."""

    def __init__(self, database: Database, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._database = database
        self._clock = clock

    def of(self, tenant_id: str) -> KnowledgeGraph:
        """Return the graph of a tenant."""
        return SqlKnowledgeGraph(self._database, tenant_id, self._clock)

    async def remember(self, tenant_id: str, parts: Sequence[GraphPart]) -> None:
        """Make the graph say of each source what its part says: no less, and of what is read in texts no more.

        Entities that are there keep their name and properties: a person may have given them better ones.
        """
        for part in parts:
            check_entities(part.entities)
            check_relations(part.relations)
        now = self._clock()

        def work(graph: KnowledgeGraphRepository, some: Sequence[GraphPart]) -> None:
            graph.put_entities((entity for part in some for entity in part.entities), now, keep=True)
            relations = [relation for part in some for relation in part.relations]
            graph.relate_only([part.source for part in some], _READ, relations, now)

        for at in range(0, len(parts), _PARTS):
            some = parts[at : at + _PARTS]
            await self._database.write(lambda c: work(KnowledgeGraphRepository(c, tenant_id), some), durable=False)  # noqa: B023 - awaited within this turn

    async def forget(self, tenant_id: str, sources: Sequence[EntityKey]) -> None:
        """Take out of the graph what is there no more; nothing happens to what is not in it."""
        for source in sources:
            await self.of(tenant_id).remove(*source)

    async def purge(self, tenant_id: str) -> None:
        """Remove the whole graph of a tenant."""
        await self._database.write(lambda c: KnowledgeGraphRepository(c, tenant_id).purge())

    async def put(self, principal: Principal, entities: Sequence[Entity], relations: Sequence[Relation]) -> None:
        """Add or replace entities, then relations."""
        graph = self.of(principal.tenant_id)
        await graph.put_entities(entities)
        await graph.put_relations(relations)

    async def get(self, principal: Principal, label: str, key: str) -> Entity:
        """Return an entity. Raises EntityNotFound."""
        return await self.of(principal.tenant_id).get(label, key)

    async def find(self, principal: Principal, label: str | None, text: str, *, limit: int) -> list[Entity]:
        """Return entities whose key or name holds a text."""
        return await self.of(principal.tenant_id).find(label, text, limit=limit)

    async def neighbours(
        self, principal: Principal, label: str, key: str, types: Collection[str] | None, *, depth: int, limit: int
    ) -> Neighbourhood:
        """Return what is around an entity. Raises EntityNotFound."""
        return await self.of(principal.tenant_id).neighbours(label, key, types, depth=depth, limit=limit)

    async def remove(self, principal: Principal, label: str, key: str) -> None:
        """Remove an entity with its relations. Raises EntityNotFound."""
        if not await self.of(principal.tenant_id).remove(label, key):
            raise EntityNotFound(label, key)

    async def unrelate(self, principal: Principal, source: EntityKey, type: str, target: EntityKey) -> None:
        """Remove a relation; nothing happens when there is none."""
        await self.of(principal.tenant_id).unrelate(source, type, target)
