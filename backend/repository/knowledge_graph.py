"""All SQL of the knowledge graph. The tenant is bound once, so that no statement can forget it."""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, case, delete, exists, func, literal, or_, select, tuple_

from backend.core.error import EntityNotFound
from backend.database.model import EntityRow, RelationRow, table_of
from backend.dto.knowledge_graph import Entity, EntityKey, Neighbour, Neighbourhood, Relation
from backend.repository.scope import Scoped
from backend.repository.upsert import batches, upsert

_entities, _relations = table_of(EntityRow), table_of(RelationRow)
_e, _r = _entities.c, _relations.c
_source = (_r.source_label, _r.source_key)
_target = (_r.target_label, _r.target_key)
_ends = (*_source, _r.type, *_target)
_ENTITY_KEY = ("tenant_id", "label", "key")
_RELATION_KEY = ("tenant_id", "source_label", "source_key", "type", "target_label", "target_key")


class KnowledgeGraphRepository(Scoped):
    """The entities and relations of one tenant."""

    def put_entities(self, entities: Iterable[Entity], now: datetime, *, keep: bool = False) -> None:
        """Add entities, or replace name and properties of those that are there; with `keep` these stay as they are."""
        rows = {
            entity.id: {
                "tenant_id": self._tenant_id,
                "label": entity.label,
                "key": entity.key,
                "name": entity.name,
                "properties": dict(entity.properties),
                "updated_at": now,
            }
            for entity in entities
        }
        upsert(
            self._connection,
            _entities,
            list(rows.values()),
            key=_ENTITY_KEY,
            change=("name", "properties", "updated_at"),
            where=(lambda old, new: literal(False)) if keep else None,
        )

    def put_relations(self, relations: Iterable[Relation], now: datetime) -> None:
        """Add relations, or replace the properties of those that are there.

        Raises:
            EntityNotFound: an end of one is not there.
        """
        found = {(relation.source, relation.type, relation.target): relation for relation in relations}
        self._expect({end for source, _, target in found for end in (source, target)})
        self._upsert(found.values(), now)

    def relate_only(
        self, sources: Collection[EntityKey], types: Collection[str], relations: Sequence[Relation], now: datetime
    ) -> None:
        """Make these the only relations of some types that go out from entities; one that is there stays as it is.

        Raises:
            EntityNotFound: an end of one, or a source, is not there.
        """
        wanted = {(relation.source, relation.type, relation.target): relation for relation in relations}
        self._expect({*sources, *(target for _, _, target in wanted)})
        there: set[tuple[EntityKey, str, EntityKey]] = set()
        for label, keys in _by_label(sources):
            query = select(*_ends).where(
                self._my_relations, _r.source_label == label, _r.source_key.in_(keys), _r.type.in_(sorted(types))
            )
            there |= {
                (EntityKey(row[0], row[1]), row[2], EntityKey(row[3], row[4]))
                for row in self._connection.execute(query)
            }
        for source, type_, target in sorted(there - wanted.keys()):
            self.unrelate(source, type_, target)
        self._upsert([relation for key, relation in wanted.items() if key not in there], now)

    def _upsert(self, relations: Collection[Relation], now: datetime) -> None:
        rows = [
            {
                "tenant_id": self._tenant_id,
                "source_label": relation.source.label,
                "source_key": relation.source.key,
                "type": relation.type,
                "target_label": relation.target.label,
                "target_key": relation.target.key,
                "properties": dict(relation.properties),
                "updated_at": now,
            }
            for relation in relations
        ]
        upsert(self._connection, _relations, rows, key=_RELATION_KEY, change=("properties", "updated_at"))

    def get(self, found: EntityKey) -> Entity:
        """Return an entity.

        Raises:
            EntityNotFound: no such entity, or another tenant's.
        """
        row = self._connection.execute(
            select(_entities).where(self._my_entities, _is((_e.label, _e.key), found))
        ).one_or_none()
        if row is None:
            raise EntityNotFound(found.label, found.key)
        return _entity(row)

    def neighbours(
        self, center: EntityKey, types: Collection[str] | None, depth: int, limit: int, relations: int
    ) -> Neighbourhood:
        """Return the entities around one, level by level, and at most so many relations among them.

        Raises:
            EntityNotFound: there is no entity to begin with.
        """
        middle = self.get(center)
        seen, edge, found = {center}, [center], list[Neighbour]()
        for distance in range(1, depth + 1):
            reached = self._next(edge, seen, types, limit - len(found))
            if not reached:
                break
            by_key = self._many(reached)
            found += [Neighbour(entity=by_key[key], distance=distance) for key in reached if key in by_key]
            seen.update(reached)
            edge = reached
            if len(found) >= limit:
                break
        return Neighbourhood(center=middle, neighbours=tuple(found), relations=self._among(seen, types, relations))

    def find(self, label: str | None, text: str, limit: int) -> list[Entity]:
        """Return entities whose key or name holds a text, whatever its case; those that it begins first."""
        query = select(_entities).where(
            self._my_entities,
            or_(_holds(_e.name, text), _holds(_e.key, text)),
        )
        if label is not None:
            query = query.where(_e.label == label)
        first = case((_begins(_e.key, text) | _begins(_e.name, text), 0), else_=1)
        query = query.order_by(first, _e.name, _e.label, _e.key).limit(limit)
        return [_entity(row) for row in self._connection.execute(query)]

    def remove(self, found: EntityKey) -> bool:
        """Remove an entity; its relations go with it (`ON DELETE CASCADE`)."""
        done = self._connection.execute(delete(_entities).where(self._my_entities, _is((_e.label, _e.key), found)))
        return done.rowcount == 1

    def unrelate(self, source: EntityKey, type_: str, target: EntityKey) -> bool:
        done = self._connection.execute(
            delete(_relations).where(self._my_relations, _is(_source, source), _r.type == type_, _is(_target, target))
        )
        return done.rowcount == 1

    def remove_collected(self, platform: str, limit: int) -> int:
        """Remove at most so many of what was collected from a platform; return how many.

        That is its tickets and companies, and at the end the error codes that were read in tickets and that nothing
        names any more. Products are the tenant's own.
        """
        ours = _e.label.in_(("ticket", "company")) & _begins(_e.key, f"{platform}:")
        if removed := self._remove_some(ours, limit):
            return removed
        named = exists().where(
            self._my_relations,
            or_(
                and_(_r.target_label == _e.label, _r.target_key == _e.key),
                and_(_r.source_label == _e.label, _r.source_key == _e.key),
            ),
        )
        return self._remove_some((_e.label == "error_code") & ~named, limit)

    def _remove_some(self, condition: ColumnElement[bool], limit: int) -> int:
        found = select(_e.label, _e.key).where(self._my_entities, condition).order_by(_e.label, _e.key).limit(limit)
        removed = 0
        for label, keys in _by_label([EntityKey(*row) for row in self._connection.execute(found)]):
            removed += self._connection.execute(
                delete(_entities).where(self._my_entities, _e.label == label, _e.key.in_(keys))
            ).rowcount
        return removed

    def purge(self) -> int:
        """Remove the whole graph of the tenant."""
        return self._connection.execute(delete(_entities).where(self._my_entities)).rowcount

    @property
    def _my_entities(self) -> ColumnElement[bool]:
        return _e.tenant_id == self._tenant_id

    @property
    def _my_relations(self) -> ColumnElement[bool]:
        return _r.tenant_id == self._tenant_id

    def _expect(self, keys: Collection[EntityKey]) -> None:
        """Raise for one that is not there; those that are there stay until the end of the transaction."""
        there: set[EntityKey] = set()
        for label, some in _by_label(keys):
            query = select(_e.label, _e.key).where(self._my_entities, _e.label == label, _e.key.in_(some))
            query = query.order_by(_e.key).with_for_update(read=True, key_share=True)
            there |= {EntityKey(*row) for row in self._connection.execute(query)}
        for key in sorted(keys):
            if key not in there:
                raise EntityNotFound(key.label, key.key)

    def _next(
        self, edge: Sequence[EntityKey], seen: Collection[EntityKey], types: Collection[str] | None, limit: int
    ) -> list[EntityKey]:
        """Return entities that are one relation away from `edge` and not seen yet, in a fixed order."""
        found: set[EntityKey] = set()
        known = [list(key) for key in seen]
        for near, far in ((_source, _target), (_target, _source)):
            for label, keys in _by_label(edge):
                # First all that is near, by the index that begins with it: sorting would lead SQLite to the other one,
                # which is in order but has to be read as a whole.
                reached = (
                    select(far[0].label("label"), far[1].label("key"))
                    .where(self._my_relations, near[0] == label, near[1].in_(keys), *_of_types(types))
                    .cte("reached")
                    .prefix_with("MATERIALIZED")
                )
                query = (
                    select(reached.c.label, reached.c.key)
                    .distinct()
                    .where(tuple_(reached.c.label, reached.c.key).not_in(known))
                    .order_by(reached.c.label, reached.c.key)
                    .limit(limit)
                )
                found |= {EntityKey(*row) for row in self._connection.execute(query)}
        return sorted(found)[:limit]

    def _many(self, keys: Collection[EntityKey]) -> dict[EntityKey, Entity]:
        found: dict[EntityKey, Entity] = {}
        for label, some in _by_label(keys):
            query = select(_entities).where(self._my_entities, _e.label == label, _e.key.in_(some))
            found |= {entity.id: entity for entity in map(_entity, self._connection.execute(query))}
        return found

    def _among(self, keys: Collection[EntityKey], types: Collection[str] | None, limit: int) -> tuple[Relation, ...]:
        found: list[Relation] = []
        ends = [list(key) for key in keys]
        for label, some in _by_label(keys):
            query = (
                select(_relations)
                .where(
                    self._my_relations,
                    _r.source_label == label,
                    _r.source_key.in_(some),
                    tuple_(*_target).in_(ends),
                    *_of_types(types),
                )
                .order_by(*_ends)
                .limit(limit - len(found))
            )
            found += [_relation(row) for row in self._connection.execute(query)]
        return tuple(found)


def _by_label(keys: Collection[EntityKey]) -> list[tuple[str, list[str]]]:
    """Return the keys of each label. SQLite uses no index for pairs in a list, so each label is asked for by itself."""
    by_label: dict[str, list[str]] = {}
    for label, key in sorted(keys):
        by_label.setdefault(label, []).append(key)
    return [(label, list(batch)) for label, some in by_label.items() for batch in batches(some)]


def _is(columns: tuple[ColumnElement[str], ColumnElement[str]], key: EntityKey) -> ColumnElement[bool]:
    return and_(columns[0] == key.label, columns[1] == key.key)


def _of_types(types: Collection[str] | None) -> list[ColumnElement[bool]]:
    return [] if types is None else [_r.type.in_(sorted(types))]


def _holds(column: ColumnElement[str], text: str) -> ColumnElement[bool]:
    return func.lower(column).contains(text.lower(), autoescape=True)


def _begins(column: ColumnElement[str], text: str) -> ColumnElement[bool]:
    return func.lower(column).startswith(text.lower(), autoescape=True)


def _entity(row: Row[Any]) -> Entity:
    return Entity(label=row.label, key=row.key, name=row.name, properties=row.properties)


def _relation(row: Row[Any]) -> Relation:
    return Relation(
        source=EntityKey(row.source_label, row.source_key),
        type=row.type,
        target=EntityKey(row.target_label, row.target_key),
        properties=row.properties,
    )
