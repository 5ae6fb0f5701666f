"""Threads, as the official client asks for them; their states have a file of their own."""

import asyncio
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from langgraph_sdk.errors import ConflictError, NotFoundError, UnprocessableEntityError
from langgraph_sdk.schema import StreamPart

from test.agent_fixture import WAIT_SECONDS, Gate, Sdk, default_assistant, held, new_thread, until

FIELDS = {
    "thread_id",
    "created_at",
    "updated_at",
    "state_updated_at",
    "metadata",
    "status",
    "config",
    "values",
}


async def test_a_thread_is_created_with_what_was_asked(sdk: Sdk, mark: dict[str, str]):
    wanted = str(uuid4())
    made = await sdk.threads.create(thread_id=wanted, metadata=mark, graph_id="counter")
    assert made["thread_id"] == wanted
    assert made["metadata"] == {**mark, "graph_id": "counter"}
    assert made["status"] == "idle"
    assert not made["values"]
    found = await sdk.threads.get(wanted)
    assert set(found) >= FIELDS
    assert found["created_at"] == made["created_at"]
    assert datetime.fromisoformat(found["created_at"]).utcoffset() == timedelta(0)


async def test_a_taken_id_is_a_conflict_unless_nothing_is_to_be_done(sdk: Sdk, mark: dict[str, str]):
    made = await sdk.threads.create(metadata=mark)
    with pytest.raises(ConflictError):
        await sdk.threads.create(thread_id=made["thread_id"])
    same = await sdk.threads.create(thread_id=made["thread_id"], if_exists="do_nothing", metadata={"other": 1})
    assert same["metadata"] == mark


async def test_an_id_that_is_no_uuid_is_unprocessable(sdk: Sdk):
    with pytest.raises(UnprocessableEntityError):
        await sdk.threads.create(thread_id="mine")
    for path in ("/threads/mine", "/threads/mine/state", "/threads/mine/runs"):
        with pytest.raises(UnprocessableEntityError):
            await sdk.http.get(path)


async def test_what_is_not_there_is_not_found(sdk: Sdk):
    missing = str(uuid4())
    for ask in (
        sdk.threads.get(missing),
        sdk.threads.update(missing, metadata={}),
        sdk.threads.delete(missing),
        sdk.threads.get_state(missing),
        sdk.threads.get_history(missing),
        sdk.threads.update_state(missing, {"total": 1}),
        sdk.runs.list(missing),
        sdk.runs.create(missing, "counter", input={}),
    ):
        with pytest.raises(NotFoundError):
            await ask


async def test_a_thread_is_made_of_supersteps(sdk: Sdk):
    thread_id = await new_thread(
        sdk,
        graph_id="counter",
        supersteps=[
            {"updates": [{"values": {"total": 10, "log": ["begin"]}, "as_node": "__input__"}]},
            {"updates": [{"values": {"total": 10, "log": ["begin"]}, "as_node": "__start__"}]},
            {"updates": [{"values": {"total": 1, "log": ["hand"]}, "as_node": "one"}]},
        ],
    )
    state = await sdk.threads.get_state(thread_id)
    assert state["values"] == {"total": 11, "log": ["begin", "hand"]}
    assert state["next"] == ["two"]


async def test_an_update_merges_metadata(sdk: Sdk):
    made = await sdk.threads.create(metadata={"a": 1, "b": {"c": 1}})
    changed = await sdk.threads.update(made["thread_id"], metadata={"b": {"d": 2}, "e": 3})
    assert changed is not None
    assert changed["metadata"] == {"a": 1, "b": {"d": 2}, "e": 3}
    assert changed["updated_at"] > made["updated_at"]
    assert await sdk.threads.update(made["thread_id"], metadata={"f": 4}, return_minimal=True) is None
    assert (await sdk.threads.get(made["thread_id"]))["metadata"]["f"] == 4


async def test_a_deleted_thread_is_gone_with_its_runs(sdk: Sdk):
    thread_id = await new_thread(sdk)
    await sdk.runs.wait(thread_id, "counter", input={"total": 0})
    await sdk.threads.delete(thread_id)
    for ask in (sdk.threads.get(thread_id), sdk.threads.get_state(thread_id), sdk.runs.list(thread_id)):
        with pytest.raises(NotFoundError):
            await ask


async def test_a_thread_carries_graph_and_assistant_after_its_first_run(sdk: Sdk, mark: dict[str, str]):
    thread_id = await new_thread(sdk, metadata=mark)
    await sdk.runs.wait(thread_id, "counter", input={"total": 0})
    thread = await sdk.threads.get(thread_id)
    assert thread["metadata"] == {**mark, "graph_id": "counter", "assistant_id": default_assistant("counter")}
    assert thread["values"] == {"total": 3, "log": ["one", "two", "three"]}
    assert thread["status"] == "idle"


async def test_the_status_of_a_thread_follows_its_runs(sdk: Sdk, gate: Gate):
    thread_id = await new_thread(sdk)
    run_id = await held(sdk, gate, thread_id)
    assert (await sdk.threads.get(thread_id))["status"] == "busy"
    gate.open()
    await sdk.runs.join(thread_id, run_id)
    assert (await sdk.threads.get(thread_id))["status"] == "idle"

    await sdk.runs.wait(thread_id, "failing", input={"total": 0}, raise_error=False)
    failed = await sdk.threads.get(thread_id)
    assert failed["status"] == "error"
    assert "purpose" in str(failed["error"])

    paused = await new_thread(sdk)
    await sdk.runs.wait(paused, "ask", input={})
    thread = await sdk.threads.get(paused)
    assert thread["status"] == "interrupted"
    ((asked,),) = thread["interrupts"].values()
    assert asked["value"] == {"question": "Shall we?"}
    assert asked["id"]


async def test_search_filters_by_metadata_values_status_and_ids(sdk: Sdk, mark: dict[str, str]):
    plain = await new_thread(sdk, metadata={**mark, "user": {"name": "ada", "team": "x"}})
    counted = await new_thread(sdk, metadata=mark)
    await sdk.runs.wait(counted, "counter", input={"total": 4})
    paused = await new_thread(sdk, metadata=mark)
    await sdk.runs.wait(paused, "ask", input={})

    async def ids(**query: Any) -> set[str]:
        return {found["thread_id"] for found in await sdk.threads.search(metadata=mark, **query)}

    assert await ids() == {plain, counted, paused}
    assert await ids(values={"total": 7}) == {counted}
    assert await ids(status="interrupted") == {paused}
    assert await ids(status="idle") == {plain, counted}
    assert await ids(ids=[plain, paused]) == {plain, paused}
    found = await sdk.threads.search(metadata={**mark, "user": {"name": "ada"}})
    assert [thread["thread_id"] for thread in found] == [plain]
    assert await sdk.threads.search(metadata={**mark, "user') OR ('1'='1": "x"}) == []
    assert await sdk.threads.search(metadata={**mark, "user": {"$ne": "ada"}}) == []
    assert await sdk.threads.count(metadata=mark) == 3
    assert await sdk.threads.count(metadata=mark, status="interrupted") == 1
    assert await sdk.threads.count(metadata=mark, values={"total": 7}) == 1


async def test_search_sorts_pages_selects_and_extracts(sdk: Sdk, mark: dict[str, str]):
    first, second, third = [await new_thread(sdk, metadata={**mark, "number": number}) for number in range(3)]
    await sdk.runs.wait(second, "counter", input={"total": 0})

    async def ids(**query: Any) -> list[str]:
        return [found["thread_id"] for found in await sdk.threads.search(metadata=mark, **query)]

    assert await ids() == [second, third, first]
    assert await ids(sort_by="created_at", sort_order="asc") == [first, second, third]
    assert await ids(sort_by="created_at", sort_order="asc", limit=1, offset=1) == [second]
    assert await ids(sort_by="thread_id") == sorted([first, second, third], reverse=True)
    selected = await sdk.threads.search(metadata=mark, select=["thread_id", "status"])
    assert all(set(found) == {"thread_id", "status"} for found in selected)
    (extracted,) = await sdk.threads.search(
        ids=[second],
        select=["thread_id"],
        extract={"last": "values.log[-1]", "number": "metadata.number", "none": "values.nothing.here"},
    )
    assert extracted["thread_id"] == second
    assert extracted["extracted"] == {"last": "three", "number": 1, "none": None}


async def test_search_says_where_the_next_page_begins(sdk: Sdk, mark: dict[str, str]):
    for _ in range(3):
        await new_thread(sdk, metadata=mark)
    body = {"metadata": mark, "limit": 2}
    first = await sdk.http.client.post("/threads/search", json=body)
    assert (first.headers["X-Pagination-Next"], first.headers["X-Pagination-Total"]) == ("2", "3")
    last = await sdk.http.client.post("/threads/search", json={**body, "offset": 2})
    assert "X-Pagination-Next" not in last.headers
    assert last.headers["X-Pagination-Total"] == "3"


@pytest.mark.parametrize(
    "query",
    [
        {"limit": 0},
        {"limit": 1001},
        {"offset": -1},
        {"status": "asleep"},
        {"sort_by": "colour"},
        {"extract": {"a": "secrets.key"}},
        {"extract": {f"a{number}": "values.total" for number in range(11)}},
        {"metadata": "all"},
    ],
)
async def test_a_search_beyond_its_bounds_is_unprocessable(sdk: Sdk, query: dict[str, Any]):
    with pytest.raises(UnprocessableEntityError):
        await sdk.http.post("/threads/search", json=query)


async def test_json_that_is_none_is_unprocessable_and_said_so(sdk: Sdk):
    answer = await sdk.http.client.post("/threads/search", content=b"{no")
    assert answer.status_code == 422
    assert set(answer.json()) == {"detail"}


async def test_a_body_counts_whatever_its_content_type_says(sdk: Sdk, mark: dict[str, str]):
    thread_id = await new_thread(sdk, metadata=mark)
    answer = await sdk.http.client.post(
        "/threads/search", content=f'{{"ids": ["{thread_id}"]}}', headers={"Content-Type": "text/plain;charset=UTF-8"}
    )
    assert [thread["thread_id"] for thread in answer.json()] == [thread_id]


async def test_a_copy_has_the_states_but_not_the_runs(sdk: Sdk, mark: dict[str, str]):
    thread_id = await new_thread(sdk, metadata=mark)
    await sdk.runs.wait(thread_id, "counter", input={"total": 0})
    copied: Any = await sdk.threads.copy(thread_id)
    assert copied["thread_id"] != thread_id
    assert copied["metadata"] == (await sdk.threads.get(thread_id))["metadata"]
    before = await sdk.threads.get_history(thread_id)
    after = await sdk.threads.get_history(copied["thread_id"])
    assert [state["values"] for state in after] == [state["values"] for state in before]
    assert await sdk.runs.list(copied["thread_id"]) == []
    await sdk.runs.wait(copied["thread_id"], "counter", input={"total": 0})
    assert (await sdk.threads.get_state(copied["thread_id"]))["values"]["total"] == 6
    assert (await sdk.threads.get_state(thread_id))["values"]["total"] == 3


async def test_copying_what_is_not_there_is_a_conflict(sdk: Sdk):
    with pytest.raises(ConflictError):
        await sdk.threads.copy(str(uuid4()))


async def test_prune_keeps_the_latest_state_or_nothing(sdk: Sdk):
    kept, gone = await new_thread(sdk), await new_thread(sdk)
    for thread_id in (kept, gone):
        await sdk.runs.wait(thread_id, "counter", input={"total": 0})
    assert len(await sdk.threads.get_history(kept)) == 5
    assert await sdk.threads.prune([kept], strategy="keep_latest") == {"pruned_count": 1}
    (state,) = await sdk.threads.get_history(kept)
    assert state["values"]["total"] == 3
    assert await sdk.threads.prune([gone, str(uuid4())]) == {"pruned_count": 1}
    with pytest.raises(NotFoundError):
        await sdk.threads.get(gone)


async def test_a_pruned_thread_can_be_run_on(sdk: Sdk):
    thread_id = await new_thread(sdk)
    await sdk.runs.wait(thread_id, "counter", input={"total": 0})
    await sdk.threads.prune([thread_id], strategy="keep_latest")
    values = await sdk.runs.wait(thread_id, "counter", input={"total": 0})
    assert isinstance(values, dict)
    assert values["total"] == 6


async def test_time_to_live_is_kept_and_shown_when_asked(sdk: Sdk):
    plain = await sdk.threads.get(await new_thread(sdk, ttl=60))
    assert "ttl" not in plain
    shown: Any = await sdk.threads.get(plain["thread_id"], include=["ttl"])
    assert shown["ttl"]["strategy"] == "delete"
    assert shown["ttl"]["ttl_minutes"] == 60
    age = datetime.fromisoformat(shown["ttl"]["expires_at"]) - datetime.fromisoformat(shown["created_at"])
    assert timedelta(minutes=59) < age < timedelta(minutes=61)

    await sdk.threads.update(plain["thread_id"], metadata={}, ttl={"ttl": 30, "strategy": "keep_latest"})
    changed: Any = await sdk.threads.get(plain["thread_id"], include=["ttl"])
    assert (changed["ttl"]["strategy"], changed["ttl"]["ttl_minutes"]) == ("keep_latest", 30)


@pytest.mark.parametrize("ttl", [{"ttl": "soon"}, {"ttl": 5, "strategy": "burn"}])
async def test_a_time_to_live_that_is_none_is_unprocessable(sdk: Sdk, ttl: dict[str, Any]):
    with pytest.raises(UnprocessableEntityError):
        await sdk.http.post("/threads", json={"ttl": ttl})


async def test_storage_is_what_the_checkpoints_take(sdk: Sdk):
    thread_id = await new_thread(sdk)
    await sdk.runs.wait(thread_id, "counter", input={"total": 0})
    found: Any = await sdk.http.get(f"/threads/{thread_id}/storage")
    assert found["thread_id"] == thread_id
    assert found["checkpoints"]["count"] == 5
    assert found["total_bytes"] >= found["checkpoints"]["bytes"] > 0
    assert {"channel_values", "pending_writes"} <= set(found)


async def test_a_states_metadata_cannot_be_patched(sdk: Sdk):
    answer = await sdk.http.client.patch(f"/threads/{uuid4()}/state", json={"metadata": {}})
    assert answer.status_code == 405


async def test_a_thread_is_followed_over_its_runs(sdk: Sdk, gate: Gate):
    thread_id = await new_thread(sdk)
    run_id = await held(sdk, gate, thread_id, stream_mode=["values"])
    seen: list[Any] = []
    async for part in await sdk.threads.join_stream(thread_id, stream_mode=["run_modes", "lifecycle", "state_update"]):
        seen.append(part)
        if not gate.path.exists():
            gate.open()
        if part.event == "metadata" and part.data.get("status") == "run_done":
            if part.data["run_id"] != run_id:
                break
            await sdk.runs.create(thread_id, "counter", input={"total": 5}, stream_mode=["values"])
    done = [part.data["run_id"] for part in seen if part.event == "metadata" and part.data.get("status") == "run_done"]
    assert len(done) == 2
    assert any(part.event == "values" and part.data.get("total") == 8 for part in seen)


async def test_a_change_of_state_by_hand_is_told_to_who_follows(sdk: Sdk):
    thread_id = await new_thread(sdk)
    await sdk.runs.wait(thread_id, "counter", input={"total": 0})

    async def follow() -> Any:
        async for part in await sdk.threads.join_stream(thread_id, stream_mode="state_update"):
            if part.event == "state_update":
                return part.data
        return None

    following = asyncio.create_task(follow())

    async def change() -> bool:
        await sdk.threads.update_state(thread_id, {"total": 1})
        return following.done()

    await until(change, bool)  # the first ones may come before it follows
    data = await following
    assert data["thread_id"] == thread_id
    assert data["state"]["values"]["total"] > 3


async def test_a_mode_that_a_thread_does_not_have_is_unprocessable(sdk: Sdk):
    thread_id = await new_thread(sdk)
    answer = await sdk.http.client.get(f"/threads/{thread_id}/stream", params={"stream_modes": "colours"})
    assert answer.status_code == 422


async def test_who_follows_a_thread_can_go_on_where_the_connection_broke(sdk: Sdk, gate: Gate):
    thread_id = await new_thread(sdk)
    await held(sdk, gate, thread_id, stream_mode=["values"], stream_resumable=True)

    def is_last(part: StreamPart) -> bool:
        return part.event == "metadata" and part.data.get("status") == "run_done"

    async def follow(**arguments: Any) -> list[StreamPart]:
        seen = []
        async with asyncio.timeout(WAIT_SECONDS):
            async for part in await sdk.threads.join_stream(thread_id, stream_mode="run_modes", **arguments):
                gate.open()
                seen.append(part)
                if is_last(part):
                    break
        return seen

    live = await follow()
    trails = [part.data["trail"] for part in live if part.event == "values"]
    assert trails[-1] == ["before", "hold", "after"]
    middle = next(part for part in live if part.event == "values" and part.id)
    again = await follow(last_event_id=middle.id)
    assert again == live[live.index(middle) + 1 :]
