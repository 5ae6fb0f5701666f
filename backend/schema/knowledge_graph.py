"""The knowledge graph on the wire."""

from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field

from backend.dto.knowledge_graph import Entity, EntityKey, Label, Neighbourhood, Relation, RelationType

Key = Annotated[str, Field(min_length=1, max_length=255, examples=["E-1042"])]


class EntityRef(BaseModel):
    model_config = ConfigDict(extra="forbid")

    label: Label
    key: Key

    def to_key(self) -> EntityKey:
        return EntityKey(self.label, self.key)


class EntityBody(EntityRef):
    """An entity."""

    name: str = Field(min_length=1, max_length=500, examples=["E-1042"])
    properties: dict[str, Any] = Field(default_factory=dict)

    def to_dto(self) -> Entity:
        return Entity(label=self.label, key=self.key, name=self.name, properties=self.properties)

    @classmethod
    def of(cls, entity: Entity) -> Self:
        return cls.model_validate(
            {"label": entity.label, "key": entity.key, "name": entity.name, "properties": dict(entity.properties)}
        )


class RelationBody(BaseModel):
    """A relation, from its source to its target."""

    model_config = ConfigDict(extra="forbid")

    source: EntityRef
    type: RelationType
    target: EntityRef
    properties: dict[str, Any] = Field(default_factory=dict)

    def to_dto(self) -> Relation:
        return Relation(
            source=self.source.to_key(), type=self.type, target=self.target.to_key(), properties=self.properties
        )

    @classmethod
    def of(cls, relation: Relation) -> Self:
        return cls.model_validate(
            {
                "source": relation.source._asdict(),
                "type": relation.type,
                "target": relation.target._asdict(),
                "properties": dict(relation.properties),
            }
        )


class EntitiesPut(BaseModel):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "entities": [
                        {"label": "error_code", "key": "E-402", "name": "E-402", "properties": {"area": "billing"}}
                    ]
                }
            ]
        }
    )

    entities: list[EntityBody] = Field(min_length=1, max_length=500)


class RelationsPut(BaseModel):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "relations": [
                        {
                            "source": {"label": "ticket", "key": "freshdesk:1001"},
                            "type": "mentions",
                            "target": {"label": "error_code", "key": "E-402"},
                        }
                    ]
                }
            ]
        }
    )

    relations: list[RelationBody] = Field(min_length=1, max_length=500)


class EntityList(BaseModel):
    items: list[EntityBody]


class NeighbourRead(BaseModel):
    entity: EntityBody
    distance: int = Field(description="Relations on the shortest way to it.")


class NeighbourhoodRead(BaseModel):
    """What is around an entity."""

    center: EntityBody
    neighbours: list[NeighbourRead] = Field(description="The nearest first.")
    relations: list[RelationBody] = Field(description="Among all of these.")

    @classmethod
    def of(cls, found: Neighbourhood) -> Self:
        return cls(
            center=EntityBody.of(found.center),
            neighbours=[
                NeighbourRead(entity=EntityBody.of(one.entity), distance=one.distance) for one in found.neighbours
            ],
            relations=[RelationBody.of(relation) for relation in found.relations],
        )
