"""Entities and how they relate."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

Label = Literal["product", "error_code", "company", "programme", "agency", "ticket", "article", "topic"]
RelationType = Literal["about", "mentions", "solved_by", "part_of", "offered_by", "requested_by", "related_to"]


class EntityKey(NamedTuple):
    """What names an entity within its tenant: two of one name may be of two kinds."""

    label: str
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Entity:
    label: str
    """One of `Label`; anything else is refused where it is written or asked for."""
    key: str
    name: str
    """For people to read."""
    properties: Mapping[str, Any] = field(default_factory=dict)

    @property
    def id(self) -> EntityKey:
        return EntityKey(self.label, self.key)


@dataclass(frozen=True, slots=True, kw_only=True)
class Relation:
    source: EntityKey
    type: str
    """One of `RelationType`."""
    target: EntityKey
    properties: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbour:
    entity: Entity
    distance: int
    """Relations on the shortest way to it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbourhood:
    """What is around an entity."""

    center: Entity
    neighbours: tuple[Neighbour, ...]
    """The nearest first."""
    relations: tuple[Relation, ...]
    """Among all of these."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphPart:
    """What a text says for the graph: the entity that it is of, those that it names, and how they relate."""

    source: EntityKey
    entities: tuple[Entity, ...]
    """With the source's own."""
    relations: tuple[Relation, ...]
    """All of them go out from the source."""
