"""Assistants in the tables, on SQLite and PostgreSQL."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from backend.core.error import AssistantNotFound
from backend.database.base import Database
from backend.dto.assistant import SHARED, Assistant, AssistantQuery
from backend.repository.assistant import AssistantRepository

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SERVED = ["chat"]
ALL = AssistantQuery()


def make_assistant(**values: Any) -> Assistant:
    made = Assistant(
        assistant_id=uuid4(),
        tenant_id="alpha",
        graph_id="chat",
        config={},
        context={},
        metadata={},
        name="Untitled",
        description=None,
        version=1,
        created_at=NOW,
        updated_at=NOW,
    )
    return replace(made, **values)


async def put(database: Database, *assistants: Assistant) -> None:
    for one in assistants:
        assert await database.write(lambda c: AssistantRepository(c, one.tenant_id, SERVED).insert(one))  # noqa: B023


async def find(database: Database, tenant_id: str, assistant_id: UUID, served: list[str] = SERVED) -> Assistant | None:
    return await database.read(lambda c: AssistantRepository(c, tenant_id, served).find(assistant_id))


async def names(
    database: Database,
    query: AssistantQuery = ALL,
    *,
    tenant_id: str = "alpha",
    served: list[str] = SERVED,
    **options: Any,
) -> list[str]:
    asked: dict[str, Any] = {
        "only": None,
        "sort_by": "created_at",
        "sort_order": "asc",
        "limit": 100,
        "offset": 0,
        **options,
    }
    found = await database.read(lambda c: AssistantRepository(c, tenant_id, served).search(query, **asked))
    count = await database.read(lambda c: AssistantRepository(c, tenant_id, served).count(query, only=asked["only"]))
    assert options.keys() & {"limit", "offset"} or count == len(found)
    return [one.name for one in found]


async def test_an_assistant_comes_back_as_it_was_put(database: Database) -> None:
    made = make_assistant(
        config={"tags": ["t"], "configurable": {"model": "m"}},
        context={"model": "m"},
        metadata={"deep": [{"ü": None}]},
        name="이름",
        description="설명",
        updated_at=NOW + timedelta(seconds=1),
    )
    await put(database, made)
    assert await find(database, "alpha", made.assistant_id) == made
    assert await find(database, "beta", made.assistant_id) is None


async def test_an_id_is_taken_once_by_a_tenant(database: Database) -> None:
    made = make_assistant()
    await put(database, made, replace(made, tenant_id="beta", name="beta's"))
    again = replace(made, name="again")
    assert not await database.write(lambda c: AssistantRepository(c, "alpha", SERVED).insert(again))
    assert await find(database, "alpha", made.assistant_id) == made


async def test_a_default_assistant_is_seen_by_all_while_its_graph_is_served(database: Database) -> None:
    shared = make_assistant(tenant_id=SHARED, name="shared")
    await put(database, shared)
    assert await find(database, "alpha", shared.assistant_id) == shared
    assert await names(database, tenant_id="beta") == ["shared"]
    assert await find(database, "alpha", shared.assistant_id, served=[]) is None
    assert await names(database, served=[]) == []


async def test_a_tenant_changes_a_default_assistant_for_itself_alone(database: Database) -> None:
    shared = make_assistant(tenant_id=SHARED, name="shared")
    await put(database, shared)

    def change(connection: Any) -> None:
        assistants = AssistantRepository(connection, "alpha", SERVED)
        claimed = assistants.claim(shared.assistant_id)
        assert claimed == replace(shared, tenant_id="alpha")
        changed = replace(claimed, name="mine", version=assistants.highest_version(shared.assistant_id) + 1)
        assistants.change(changed)
        assistants.add_version(changed)

    await database.write(change)
    assert await names(database) == ["mine"]
    assert await names(database, tenant_id="beta") == ["shared"]
    mine = await find(database, "alpha", shared.assistant_id)
    assert mine is not None
    versions = await database.read(
        lambda c: AssistantRepository(c, "alpha", SERVED).versions(mine, metadata=None, limit=10, offset=0)
    )
    assert [(one.version, one.name) for one in versions] == [(2, "mine"), (1, "shared")]

    assert await database.write(lambda c: AssistantRepository(c, "alpha", SERVED).delete(shared.assistant_id))
    assert await names(database) == ["shared"]
    assert not await database.write(lambda c: AssistantRepository(c, "alpha", SERVED).delete(shared.assistant_id))


async def test_what_is_not_there_cannot_be_claimed(database: Database) -> None:
    foreign = make_assistant(tenant_id="beta")
    await put(database, foreign)
    for assistant_id in (uuid4(), foreign.assistant_id):
        with pytest.raises(AssistantNotFound):
            await database.write(lambda c: AssistantRepository(c, "alpha", SERVED).claim(assistant_id))  # noqa: B023


async def test_a_part_of_the_name_finds_it_in_any_case_and_is_never_a_pattern(database: Database) -> None:
    await put(database, *(make_assistant(name=name) for name in ("Éclair 100%", "straße_x", "'; DROP TABLE--")))
    assert await names(database, AssistantQuery(name="éCLAIR")) == ["Éclair 100%"]
    assert await names(database, AssistantQuery(name="STRASSE")) == ["straße_x"]
    assert await names(database, AssistantQuery(name="%")) == ["Éclair 100%"]
    assert await names(database, AssistantQuery(name="_")) == ["straße_x"]
    assert await names(database, AssistantQuery(name="'; drop")) == ["'; DROP TABLE--"]
    assert await names(database, AssistantQuery(name="/")) == []


async def test_metadata_are_found_by_containment_and_hidden_by_filters(database: Database) -> None:
    await put(
        database,
        make_assistant(name="a", metadata={"owner": "ann", "kind": {"size": 1, "x": 2}, "tags": ["p", "q"]}),
        make_assistant(name="b", metadata={"owner": "bob", "kind": {"size": True}}),
    )
    assert await names(database, AssistantQuery(metadata={"kind": {"size": 1}})) == ["a"]
    assert await names(database, AssistantQuery(metadata={"tags": ["q"]})) == ["a"]
    assert await names(database, AssistantQuery(metadata={"') OR 1=1 --": "$.x"})) == []
    assert await names(database, only={"owner": "bob"}) == ["b"]
    assert await names(database, only={"tags": {"$contains": "p"}}) == ["a"]


async def test_a_search_sorts_and_pages(database: Database) -> None:
    made = [
        make_assistant(
            assistant_id=UUID(int=position),
            name=name,
            created_at=NOW + timedelta(seconds=position),
            updated_at=NOW - timedelta(seconds=position),
        )
        for position, name in enumerate(["b", "C", "a"])
    ]
    await put(database, *made)
    assert await names(database) == ["b", "C", "a"]
    assert await names(database, sort_order="desc") == ["a", "C", "b"]
    assert await names(database, sort_by="updated_at") == ["a", "C", "b"]
    assert await names(database, sort_by="name") == ["a", "b", "C"]
    assert await names(database, sort_by="assistant_id", sort_order="desc") == ["a", "C", "b"]
    assert await names(database, sort_by="graph_id", limit=2, offset=1) == ["C", "a"]
