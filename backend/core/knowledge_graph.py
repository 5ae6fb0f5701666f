"""The port to a knowledge graph, and what may stand in one.

Kinds of entities and of relations are closed lists, and what can be asked is the few questions below: there is no query
language, so nothing that a caller sends can become a part of one.
"""

import re
from collections.abc import Collection, Sequence
from typing import Protocol, get_args

import orjson

from backend.core.error import Invalid
from backend.dto.knowledge_graph import Entity, EntityKey, Label, Neighbourhood, Relation, RelationType

LABELS: frozenset[str] = frozenset(get_args(Label))
RELATION_TYPES: frozenset[str] = frozenset(get_args(RelationType))
MAX_KEY = 255
MAX_NAME = 500
MAX_PROPERTIES = 8 * 1024
"""Bytes of an entity's or a relation's properties, as JSON."""
MAX_BATCH = 500
MAX_DEPTH = 3
MAX_FOUND = 200
MAX_RELATIONS = 1000
"""Relations that are told of one neighbourhood."""
_UNSEEN = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


class KnowledgeGraph(Protocol):
    """The graph of one tenant. Every method raises `Invalid` for a kind that is not in the lists, and for odd names."""

    async def put_entities(self, entities: Sequence[Entity], *, keep: bool = False) -> None:
        """Add entities, or replace name and properties of those that are there; with `keep` these stay as they are."""

    async def put_relations(self, relations: Sequence[Relation]) -> None:
        """Relate entities; the same relation again replaces its properties. All of them, or none.

        Raises:
            EntityNotFound: an end of one is not there.
        """

    async def relate_only(self, source: EntityKey, types: Collection[str], relations: Sequence[Relation]) -> None:
        """Make these the only relations of some types that go out from an entity.

        Raises:
            EntityNotFound: an end of one is not there.
        """

    async def get(self, label: str, key: str) -> Entity:
        """Return an entity.

        Raises:
            EntityNotFound: there is none.
        """

    async def neighbours(
        self, label: str, key: str, types: Collection[str] | None = None, *, depth: int = 1, limit: int = 50
    ) -> Neighbourhood:
        """Return the entities within `depth` (at most 3) relations of some types, in either direction.

        Raises:
            EntityNotFound: there is no entity to begin with.
        """

    async def find(self, label: str | None, text: str, *, limit: int = 20) -> list[Entity]:
        """Return entities whose key or name holds a text; those that it begins first."""

    async def remove(self, label: str, key: str) -> bool:
        """Remove an entity with its relations; return whether it was there."""

    async def unrelate(self, source: EntityKey, type: str, target: EntityKey) -> bool:
        """Remove a relation; return whether it was there."""


def check_key(found: EntityKey) -> None:
    """Raise `Invalid` when this can name no entity."""
    check_label(found.label)
    if not 0 < len(found.key) <= MAX_KEY or _UNSEEN.search(found.key):
        raise Invalid(f"An entity's key has 1 to {MAX_KEY} characters, all of which can be seen.")


def check_label(label: str) -> None:
    if label not in LABELS:
        raise Invalid(f"There is no kind of entity {label[:50]!r}. There are: {', '.join(sorted(LABELS))}.")


def check_types(types: Collection[str]) -> None:
    for type_ in types:
        if type_ not in RELATION_TYPES:
            raise Invalid(f"There is no relation {type_[:50]!r}. There are: {', '.join(sorted(RELATION_TYPES))}.")


def check_entities(entities: Sequence[Entity]) -> None:
    """Raise `Invalid` when these cannot be kept."""
    _check_batch(entities)
    for entity in entities:
        check_key(entity.id)
        if not 0 < len(entity.name) <= MAX_NAME or _UNSEEN.search(entity.name):
            raise Invalid(f"An entity's name has 1 to {MAX_NAME} characters, all of which can be seen.")
        _check_properties(entity.properties)


def check_relations(relations: Sequence[Relation]) -> None:
    """Raise `Invalid` when these cannot be kept."""
    _check_batch(relations)
    for relation in relations:
        check_key(relation.source)
        check_key(relation.target)
        check_types([relation.type])
        _check_properties(relation.properties)


def _check_batch(items: Sequence[object]) -> None:
    if len(items) > MAX_BATCH:
        raise Invalid(f"At most {MAX_BATCH} at once.")


def _check_properties(properties: object) -> None:
    try:
        data = orjson.dumps(properties)
    except TypeError as error:
        raise Invalid("Properties have to be JSON.") from error
    if len(data) > MAX_PROPERTIES:
        raise Invalid(f"Properties may have at most {MAX_PROPERTIES} bytes.")
    if b"\\u0000" in data:
        raise Invalid("Properties may not hold the character U+0000.")
