"""What a knowledge graph promises (002-17 to 002-20), on SQLite and on PostgreSQL."""

import asyncio
from collections.abc import Callable

import pytest

from backend.core.error import EntityNotFound, Invalid
from backend.core.knowledge_graph import MAX_BATCH, MAX_FOUND, KnowledgeGraph
from backend.database.base import Database
from backend.dto.knowledge_graph import Entity, EntityKey, GraphPart, Neighbourhood, Relation
from backend.service.knowledge_graph import KnowledgeGraphService

HOSTILE = ["x' OR 1=1 --", "a`]->() DETACH DELETE n //", "%", "_", "\\", '"', "가나 다", "$1", ":tenant"]


@pytest.fixture
def graphs(database: Database) -> KnowledgeGraphService:
    return KnowledgeGraphService(database)


@pytest.fixture
def graph(graphs: KnowledgeGraphService) -> KnowledgeGraph:
    return graphs.of("acme")


def code(key: str, name: str | None = None, **properties: object) -> Entity:
    return Entity(label="error_code", key=key, name=name or key, properties=properties)


def ticket(key: str) -> Entity:
    return Entity(label="ticket", key=key, name=f"#{key}")


def related(source: Entity, type_: str, target: Entity, **properties: object) -> Relation:
    return Relation(source=source.id, type=type_, target=target.id, properties=properties)


def shape(found: Neighbourhood) -> dict[str, int]:
    return {one.entity.key: one.distance for one in found.neighbours}


async def test_an_entity_is_put_replaced_found_and_removed(graph: KnowledgeGraph) -> None:
    await graph.put_entities([code("E-1", "first", level=1), code("E-2")])
    await graph.put_entities([code("E-1", "second", level=2)])
    await graph.put_entities([code("E-1", "third"), code("E-3")], keep=True)

    assert await graph.get("error_code", "E-1") == code("E-1", "second", level=2)
    assert [entity.key for entity in await graph.find("error_code", "e-")] == ["E-2", "E-3", "E-1"]
    assert await graph.remove("error_code", "E-1") is True
    assert await graph.remove("error_code", "E-1") is False
    with pytest.raises(EntityNotFound):
        await graph.get("error_code", "E-1")


@pytest.mark.parametrize("asked", ["ÉCLAIR ÜBER Ж", "éclair über ж", "Éclair"])
async def test_an_entity_is_found_whatever_the_case_of_its_letters(graph: KnowledgeGraph, asked: str) -> None:
    sold = Entity(label="product", key="Éclair Über Ж", name="과자")
    await graph.put_entities([sold])
    assert await graph.find("product", asked) == [sold]


async def test_one_name_may_be_of_two_kinds(graph: KnowledgeGraph) -> None:
    """(002-17): identified by name only."""
    await graph.put_entities([code("42"), ticket("42")])

    assert (await graph.get("ticket", "42")).name == "#42"
    assert (await graph.get("error_code", "42")).name == "42"


async def test_a_relation_to_what_is_not_there_is_an_error_and_nothing_is_related(graph: KnowledgeGraph) -> None:
    """(002-18): a missing node is silently ignored."""
    await graph.put_entities([ticket("1"), code("E-1")])

    with pytest.raises(EntityNotFound) as refused:
        await graph.put_relations(
            [related(ticket("1"), "mentions", code("E-1")), related(ticket("1"), "mentions", code("E-9"))]
        )

    assert refused.value.members == {"label": "error_code", "key": "E-9"}
    assert (await graph.neighbours("ticket", "1")).relations == ()


async def test_a_relation_is_there_once_however_often_it_is_put(graph: KnowledgeGraph) -> None:
    """(002-18): duplicates."""
    one, two = ticket("1"), code("E-1")
    await graph.put_entities([one, two])
    await graph.put_relations([related(one, "mentions", two), related(one, "mentions", two, times=2)])
    await graph.put_relations([related(one, "mentions", two, times=3)])

    assert (await graph.neighbours("ticket", "1")).relations == (related(one, "mentions", two, times=3),)
    assert await graph.unrelate(one.id, "mentions", two.id) is True
    assert await graph.unrelate(one.id, "mentions", two.id) is False
    assert shape(await graph.neighbours("ticket", "1")) == {}


async def test_neighbours_are_found_in_both_directions_and_by_the_shortest_way(graph: KnowledgeGraph) -> None:
    a, b, c, d, e = (ticket(key) for key in "abcde")
    await graph.put_entities([a, b, c, d, e])
    await graph.put_relations(
        [
            related(a, "related_to", b),
            related(c, "related_to", b),
            related(c, "solved_by", d),
            related(d, "related_to", e),
            related(a, "solved_by", c),
            related(a, "related_to", a),
        ]
    )

    assert shape(await graph.neighbours("ticket", "a")) == {"b": 1, "c": 1}
    assert shape(await graph.neighbours("ticket", "a", depth=2)) == {"b": 1, "c": 1, "d": 2}
    assert shape(await graph.neighbours("ticket", "a", depth=3)) == {"b": 1, "c": 1, "d": 2, "e": 3}
    assert shape(await graph.neighbours("ticket", "e", depth=3)) == {"d": 1, "c": 2, "a": 3, "b": 3}
    only = await graph.neighbours("ticket", "a", {"related_to"}, depth=3)
    assert shape(only) == {"b": 1, "c": 2}
    assert {relation.type for relation in only.relations} == {"related_to"}
    assert shape(await graph.neighbours("ticket", "a", depth=3, limit=3)) == {"b": 1, "c": 1, "d": 2}


async def test_a_hub_gives_no_more_than_was_asked_for(graph: KnowledgeGraph) -> None:
    hub, many = code("hub"), [ticket(f"{number:04}") for number in range(MAX_BATCH)]
    await graph.put_entities([hub])
    await graph.put_entities(many)
    await graph.put_relations([related(one, "mentions", hub) for one in many])

    found = await graph.neighbours("error_code", "hub", depth=3, limit=10_000)
    few = await graph.neighbours("ticket", "0000", depth=2, limit=3)

    assert len(found.neighbours) == MAX_FOUND
    assert shape(few) == {"hub": 1, "0001": 2, "0002": 2}


async def test_an_entity_goes_with_its_relations(graph: KnowledgeGraph) -> None:
    one, two = ticket("1"), code("E-1")
    await graph.put_entities([one, two])
    await graph.put_relations([related(one, "mentions", two)])

    await graph.remove("error_code", "E-1")
    await graph.put_entities([two])

    assert shape(await graph.neighbours("ticket", "1")) == {}


async def test_what_goes_out_from_an_entity_is_replaced_as_a_whole(graph: KnowledgeGraph) -> None:
    one, two, a, b = ticket("1"), ticket("2"), code("A"), code("B")
    await graph.put_entities([one, two, a, b])
    await graph.put_relations(
        [related(one, "mentions", a), related(two, "mentions", a), related(one, "related_to", two)]
    )

    await graph.relate_only(one.id, {"mentions"}, [related(one, "mentions", b)])

    assert {(r.type, r.target.key) for r in (await graph.neighbours("ticket", "1")).relations} == {
        ("mentions", "B"),
        ("related_to", "2"),
    }
    assert shape(await graph.neighbours("error_code", "A")) == {"2": 1}
    with pytest.raises(Invalid):
        await graph.relate_only(one.id, {"mentions"}, [related(two, "mentions", b)])
    with pytest.raises(EntityNotFound):
        await graph.relate_only(ticket("9").id, {"mentions"}, [])


async def test_what_was_read_in_a_ticket_is_remembered_once_and_forgotten(graphs: KnowledgeGraphService) -> None:
    one, a, b = ticket("1"), code("A"), code("B")
    await graphs.of("acme").put_entities([code("A", "Better name", why="a person wrote it")])

    first = GraphPart(source=one.id, entities=(one, a), relations=(related(one, "mentions", a),))
    other = GraphPart(source=ticket("2").id, entities=(ticket("2"), a), relations=())
    await graphs.remember("acme", [first, other])
    await graphs.remember("acme", [first, other])
    again = GraphPart(source=one.id, entities=(one, a, b), relations=(related(one, "mentions", b),))
    await graphs.remember("acme", [again])

    found = await graphs.of("acme").neighbours("ticket", "1")
    assert shape(found) == {"B": 1}
    assert (await graphs.of("acme").get("error_code", "A")).name == "Better name"
    await graphs.forget("acme", [one.id, one.id])
    assert shape(await graphs.of("acme").neighbours("error_code", "B")) == {}
    await graphs.of("beta").put_entities([one])
    await graphs.purge("acme")
    assert await graphs.of("acme").find(None, "") == []
    assert await graphs.of("beta").find(None, "") == [one]


async def test_tenants_have_graphs_of_their_own(graphs: KnowledgeGraphService) -> None:
    """(002-17): no tenant."""
    mine, theirs = graphs.of("acme"), graphs.of("beta")
    one, two = ticket("1"), code("E-1")
    await mine.put_entities([one, two])
    await mine.put_relations([related(one, "mentions", two)])
    await theirs.put_entities([one])

    assert await theirs.find(None, "") == [one]
    assert shape(await theirs.neighbours("ticket", "1")) == {}
    with pytest.raises(EntityNotFound):
        await theirs.put_relations([related(one, "mentions", two)])
    with pytest.raises(EntityNotFound):
        await theirs.get("error_code", "E-1")
    assert await theirs.remove("error_code", "E-1") is False
    assert await theirs.unrelate(one.id, "mentions", two.id) is False
    assert shape(await mine.neighbours("ticket", "1")) == {"E-1": 1}


@pytest.mark.parametrize("text", HOSTILE)
async def test_no_name_is_ever_a_part_of_a_query(graph: KnowledgeGraph, text: str) -> None:
    """(002-17, 002-18, 002-19)"""
    odd, other = code(text), ticket("other")
    await graph.put_entities([odd, other])
    await graph.put_relations([related(other, "mentions", odd, text=text)])

    assert await graph.get("error_code", text) == odd
    assert await graph.find(None, text) == [odd]
    assert shape(await graph.neighbours("ticket", "other")) == {text: 1}
    for call in (
        graph.get(text, "x"),
        graph.find(text, "x"),
        graph.remove(text, "x"),
        graph.neighbours("ticket", "other", {text}),
        graph.put_entities([Entity(label=text, key="x", name="x")]),
        graph.put_relations([related(other, text, odd)]),
        graph.unrelate(other.id, text, odd.id),
    ):
        with pytest.raises(Invalid):
            await call
    assert len(await graph.find(None, "")) == 2


@pytest.mark.parametrize(
    "entity",
    [
        code(""),
        code("x" * 256),
        code("a\x00b"),
        code("a\nb"),
        code("a", "n" * 501),
        code("a", b=object()),
        code("a", b="x" * 9000),
        code("a", b="\x00"),
        Entity(label="error_code", key="a", name="a", properties={"\ud800": 1}),
    ],
)
async def test_what_cannot_be_kept_is_refused(graph: KnowledgeGraph, entity: Entity) -> None:
    with pytest.raises(Invalid):
        await graph.put_entities([entity])
    assert await graph.find(None, "") == []


async def test_bounds_hold(graph: KnowledgeGraph) -> None:
    await graph.put_entities([ticket("1")])

    too_many = [ticket(str(number)) for number in range(MAX_BATCH + 1)]
    calls: list[Callable[[], object]] = [
        lambda: graph.put_entities(too_many),
        lambda: graph.neighbours("ticket", "1", depth=4),
        lambda: graph.neighbours("ticket", "1", depth=0),
        lambda: graph.find(None, "x" * 300),
    ]
    for call in calls:
        with pytest.raises(Invalid):
            await call()  # type: ignore[misc]
    await graph.put_entities([])
    await graph.put_relations([])


async def test_writers_at_once_leave_one_of_each(graph: KnowledgeGraph) -> None:
    entities = [code(f"E-{number}") for number in range(20)]
    relations = [related(entities[0], "related_to", entity) for entity in entities[1:]]

    async def write(number: int) -> None:
        turned = entities[number:] + entities[:number]
        await graph.put_entities(turned)
        await graph.put_relations(relations[::-1] if number % 2 else relations)

    async with asyncio.timeout(60):
        await asyncio.gather(*(write(number) for number in range(8)))

    assert len(await graph.find("error_code", "", limit=100)) == 20
    assert len((await graph.neighbours(*EntityKey("error_code", "E-0"))).relations) == 19
