"""Assistants, as the official client asks for them."""

from typing import Any
from uuid import UUID, uuid4

import pytest
from langgraph_sdk.errors import BadRequestError, ConflictError, NotFoundError, UnprocessableEntityError

from test.agent_fixture import Sdk, default_assistant

FIELDS = {
    "assistant_id",
    "graph_id",
    "config",
    "context",
    "metadata",
    "name",
    "description",
    "version",
    "created_at",
    "updated_at",
}


async def test_each_graph_has_a_default_assistant_with_a_known_id(sdk: Sdk):
    found = await sdk.assistants.get(default_assistant("counter"))
    assert set(found) == FIELDS
    assert found["graph_id"] == "counter"
    assert found["version"] == 1
    assert found["metadata"] == {"created_by": "system"}


async def test_the_default_assistants_are_found_as_studio_looks_for_them(sdk: Sdk):
    found = await sdk.assistants.search(metadata={"created_by": "system"}, limit=100)
    assert {"echo", "counter", "ask", "functional"} <= {assistant["graph_id"] for assistant in found}


async def test_an_assistant_is_created_with_what_was_asked(sdk: Sdk, mark: dict[str, str]):
    wanted = str(uuid4())
    made = await sdk.assistants.create(
        "reader",
        config={"configurable": {"size": 3}, "tags": ["t"], "recursion_limit": 7},
        metadata=mark,
        assistant_id=wanted,
        name="Mine",
        description="A reader.",
    )
    assert set(made) == FIELDS
    assert made["assistant_id"] == wanted
    assert made["version"] == 1
    assert (made["name"], made["description"], made["metadata"]) == ("Mine", "A reader.", mark)
    assert made["config"] == {"configurable": {"size": 3}, "tags": ["t"], "recursion_limit": 7}
    assert made["context"] == {"size": 3}
    assert await sdk.assistants.get(wanted) == made


async def test_an_assistant_without_a_name_is_untitled(sdk: Sdk):
    made = await sdk.assistants.create("echo")
    assert made["name"] == "Untitled"
    UUID(made["assistant_id"])


async def test_context_is_mirrored_into_configurable(sdk: Sdk):
    made = await sdk.assistants.create("context", context={"name": "Ada"})
    assert made["context"] == {"name": "Ada"}
    assert made["config"]["configurable"] == {"name": "Ada"}


async def test_configurable_and_context_together_are_refused(sdk: Sdk):
    with pytest.raises(BadRequestError):
        await sdk.assistants.create("context", config={"configurable": {"a": 1}}, context={"name": "Ada"})


async def test_an_unknown_graph_is_not_found(sdk: Sdk):
    with pytest.raises(NotFoundError):
        await sdk.assistants.create("nowhere")


async def test_a_taken_id_is_a_conflict_unless_nothing_is_to_be_done(sdk: Sdk):
    made = await sdk.assistants.create("echo", name="first")
    with pytest.raises(ConflictError):
        await sdk.assistants.create("echo", assistant_id=made["assistant_id"])
    same = await sdk.assistants.create("echo", assistant_id=made["assistant_id"], if_exists="do_nothing", name="second")
    assert same == made


async def test_an_id_that_is_no_uuid_is_unprocessable(sdk: Sdk):
    with pytest.raises(UnprocessableEntityError):
        await sdk.assistants.create("echo", assistant_id="mine")
    with pytest.raises(UnprocessableEntityError):
        await sdk.assistants.get("mine")


async def test_an_unknown_id_is_not_found(sdk: Sdk):
    with pytest.raises(NotFoundError) as error:
        await sdk.assistants.get(str(uuid4()))
    assert set(error.value.response.json()) == {"detail"}


async def test_an_update_merges_metadata_and_makes_a_version(sdk: Sdk, mark: dict[str, str]):
    made = await sdk.assistants.create("reader", metadata={**mark, "a": 1}, name="old", config={"tags": ["t"]})
    changed = await sdk.assistants.update(made["assistant_id"], metadata={"b": 2}, config={"configurable": {"x": 1}})
    assert changed["version"] == 2
    assert changed["metadata"] == {**mark, "a": 1, "b": 2}
    assert changed["name"] == "old"
    assert changed["config"]["configurable"] == {"x": 1}
    assert "tags" not in changed["config"]


async def test_versions_are_listed_newest_first_and_an_old_one_can_be_taken_up_again(sdk: Sdk):
    made = await sdk.assistants.create("reader", name="one")
    assistant_id = made["assistant_id"]
    await sdk.assistants.update(assistant_id, name="two")
    assert [found["version"] for found in await sdk.assistants.get_versions(assistant_id)] == [2, 1]
    assert [found["version"] for found in await sdk.assistants.get_versions(assistant_id, limit=1, offset=1)] == [1]

    old = await sdk.assistants.set_latest(assistant_id, 1)
    assert (old["version"], old["name"]) == (1, "one")
    assert (await sdk.assistants.get(assistant_id))["version"] == 1
    next_one = await sdk.assistants.update(assistant_id, name="three")
    assert next_one["version"] == 3


async def test_versions_of_what_is_not_there_are_not_found(sdk: Sdk):
    made = await sdk.assistants.create("echo")
    with pytest.raises(NotFoundError):
        await sdk.assistants.set_latest(made["assistant_id"], 9)
    with pytest.raises(NotFoundError):
        await sdk.assistants.get_versions(str(uuid4()))


async def test_a_deleted_assistant_is_gone(sdk: Sdk):
    made = await sdk.assistants.create("echo")
    await sdk.assistants.delete(made["assistant_id"])
    with pytest.raises(NotFoundError):
        await sdk.assistants.get(made["assistant_id"])
    with pytest.raises(NotFoundError):
        await sdk.assistants.delete(made["assistant_id"])


async def test_threads_go_with_their_assistant_only_when_asked(sdk: Sdk):
    threads = {}
    for delete_threads in (False, True):
        made = await sdk.assistants.create("counter")
        thread = await sdk.threads.create()
        await sdk.runs.wait(thread["thread_id"], made["assistant_id"], input={"total": 0})
        await sdk.assistants.delete(made["assistant_id"], delete_threads=delete_threads)
        threads[delete_threads] = thread["thread_id"]
    assert (await sdk.threads.get(threads[False]))["values"]["total"] == 3
    with pytest.raises(NotFoundError):
        await sdk.threads.get(threads[True])


async def _three(sdk: Sdk, mark: dict[str, str]) -> list[dict[str, Any]]:
    made = [("echo", "Alpha", {"kind": {"size": 1}}), ("echo", "beta", {"kind": {"size": 2}}), ("counter", "Gamma", {})]
    return [
        dict(await sdk.assistants.create(graph, name=name, metadata={**mark, **more})) for graph, name, more in made
    ]


async def test_search_filters_by_metadata_graph_and_part_of_the_name(sdk: Sdk, mark: dict[str, str]):
    alpha, beta, gamma = (found["assistant_id"] for found in await _three(sdk, mark))

    async def ids(**query: Any) -> set[str]:
        return {found["assistant_id"] for found in await sdk.assistants.search(**query)}

    assert await ids(metadata=mark) == {alpha, beta, gamma}
    assert await ids(metadata={**mark, "kind": {"size": 2}}) == {beta}
    assert await ids(metadata=mark, graph_id="counter") == {gamma}
    assert await ids(metadata=mark, name="ALPH") == {alpha}
    assert await ids(metadata={**mark, "kind": "x' OR 1=1 --"}) == set()
    assert await sdk.assistants.count(metadata=mark) == 3
    assert await sdk.assistants.count(metadata=mark, graph_id="echo", name="a") == 2


async def test_search_sorts_pages_and_selects(sdk: Sdk, mark: dict[str, str]):
    alpha, beta, gamma = (found["assistant_id"] for found in await _three(sdk, mark))

    async def ids(**query: Any) -> list[str]:
        return [found["assistant_id"] for found in await sdk.assistants.search(metadata=mark, **query)]

    assert await ids() == [gamma, beta, alpha]
    assert await ids(sort_by="created_at", sort_order="asc") == [alpha, beta, gamma]
    assert await ids(sort_by="created_at", sort_order="asc", limit=1, offset=1) == [beta]
    selected = await sdk.assistants.search(metadata=mark, select=["assistant_id", "name"])
    assert all(set(found) == {"assistant_id", "name"} for found in selected)


async def test_search_says_where_the_next_page_begins(sdk: Sdk, mark: dict[str, str]):
    await _three(sdk, mark)
    first = await sdk.assistants.search(metadata=mark, limit=2, response_format="object")
    assert len(first["assistants"]) == 2
    assert first["next"] == "2"
    last = await sdk.assistants.search(metadata=mark, limit=2, offset=2, response_format="object")
    assert len(last["assistants"]) == 1
    assert last["next"] is None


@pytest.mark.parametrize("query", [{"limit": 0}, {"limit": 1001}, {"offset": -1}, {"sort_by": "color"}])
async def test_a_search_beyond_its_bounds_is_unprocessable(sdk: Sdk, query: dict[str, Any]):
    with pytest.raises(UnprocessableEntityError):
        await sdk.http.post("/assistants/search", json=query)


async def test_the_graph_is_drawn_by_assistant_and_by_graph_id(sdk: Sdk):
    made = await sdk.assistants.create("counter")
    drawn = await sdk.assistants.get_graph(made["assistant_id"])
    assert [node["id"] for node in drawn["nodes"]] == ["__start__", "one", "two", "three", "__end__"]
    assert {(edge["source"], edge["target"]) for edge in drawn["edges"]} >= {("__start__", "one"), ("one", "two")}
    assert await sdk.assistants.get_graph("counter") == drawn


async def test_the_graph_shows_its_inside_when_asked(sdk: Sdk):
    outside = await sdk.assistants.get_graph("nested")
    inside = await sdk.assistants.get_graph("nested", xray=True)
    assert "child" in {node["id"] for node in outside["nodes"]}
    assert "child:ask" in {node["id"] for node in inside["nodes"]}
    assert await sdk.assistants.get_graph("nested", xray=1) == inside
    with pytest.raises(UnprocessableEntityError):
        await sdk.http.get("/assistants/nested/graph", params={"xray": 0})


async def test_schemas_are_those_of_the_graph(sdk: Sdk):
    schemas = await sdk.assistants.get_schemas(default_assistant("context"))
    assert schemas["graph_id"] == "context"
    assert set(schemas["context_schema"]["properties"]) == {"name", "tone"}
    assert "said" in schemas["input_schema"]["properties"]
    assert "said" in schemas["output_schema"]["properties"]
    assert "said" in schemas["state_schema"]["properties"]
    assert "config_schema" in schemas
    messages = await sdk.assistants.get_schemas(default_assistant("echo"))
    assert "messages" in messages["input_schema"]["properties"]


async def test_subgraphs_are_named_with_their_schemas(sdk: Sdk):
    found = await sdk.assistants.get_subgraphs(default_assistant("nested"))
    assert set(found) == {"child"}
    assert "answers" in found["child"]["input_schema"]["properties"]
    assert await sdk.assistants.get_subgraphs(default_assistant("nested"), namespace="child") == found
    assert await sdk.assistants.get_subgraphs(default_assistant("counter"), recurse=True) == {}
