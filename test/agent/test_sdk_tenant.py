"""Two tenants on one server: what belongs to one is not there for the other."""

import asyncio
import re
from typing import Any

import httpx
import pytest
from langgraph_sdk import get_client
from langgraph_sdk.errors import AuthenticationError, NotFoundError

from test.agent_fixture import Gate, Sdk, Tenants, default_assistant, ended, held, new_thread

pytestmark = pytest.mark.timeout(120)


async def test_without_a_token_nothing_is_answered_but_the_health(tenants: Tenants):
    async with httpx.AsyncClient(base_url=tenants.url, timeout=60) as client:
        for path in ("/assistants/search", "/threads", "/runs", "/store/items/search"):
            answer = await client.post(path, json={})
            assert answer.status_code == 401
            assert set(answer.json()) == {"detail"}
        assert (await client.get("/ok")).status_code == 200
        assert (await client.get("/info")).status_code == 200


async def test_the_token_comes_as_an_api_key_too(tenants: Tenants):
    async with get_client(url=tenants.url, api_key=tenants.alice) as client:
        assert await client.assistants.search()
    async with get_client(url=tenants.url, api_key="a-guess") as client:
        with pytest.raises(AuthenticationError):
            await client.assistants.search()


async def test_a_page_of_another_origin_may_ask_and_read_the_headers(tenants: Tenants):
    asked = {
        "Origin": tenants.page,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type,x-api-key",
        "Access-Control-Request-Private-Network": "true",
    }
    async with httpx.AsyncClient(base_url=tenants.url, timeout=60) as client:
        allowed = await client.options("/threads/search", headers=asked)
        assert allowed.status_code in {200, 204}
        assert allowed.headers["Access-Control-Allow-Private-Network"] == "true"
        stranger = await client.options("/threads/search", headers={**asked, "Origin": "https://elsewhere.example"})
        assert "Access-Control-Allow-Origin" not in stranger.headers
        answer = await client.post(
            "/threads/search", json={}, headers={"Origin": tenants.page, "x-api-key": tenants.alice}
        )
    assert answer.headers["Access-Control-Allow-Origin"] in {tenants.page, "*"}
    exposed = {name.strip().lower() for name in answer.headers["Access-Control-Expose-Headers"].split(",")}
    assert {"location", "content-location", "x-pagination-total", "x-pagination-next"} <= exposed


async def test_default_assistants_are_shared_and_changed_for_oneself_only(alice: Sdk, mallory: Sdk):
    shared = default_assistant("echo")
    assert (await alice.assistants.get(shared))["name"] == (await mallory.assistants.get(shared))["name"]
    await alice.assistants.update(shared, name="Alice's", metadata={"secret": 1})
    assert (await alice.assistants.get(shared))["name"] == "Alice's"
    assert "secret" not in (await mallory.assistants.get(shared))["metadata"]
    assert len([found for found in await alice.assistants.search(graph_id="echo") if found["graph_id"] == "echo"]) == 1


async def test_assistants_threads_and_runs_of_another_are_not_found(alice: Sdk, mallory: Sdk, mark: dict[str, str]):
    assistant = await alice.assistants.create("counter", metadata=mark)
    thread_id = await new_thread(alice, metadata=mark)
    await alice.runs.wait(thread_id, "counter", input={"total": 0}, metadata=mark)
    (run,) = await alice.runs.list(thread_id)
    checkpoint = (await alice.threads.get_state(thread_id))["checkpoint"]
    for ask in (
        mallory.assistants.get(assistant["assistant_id"]),
        mallory.assistants.update(assistant["assistant_id"], name="mine"),
        mallory.assistants.delete(assistant["assistant_id"]),
        mallory.assistants.get_versions(assistant["assistant_id"]),
        mallory.threads.get(thread_id),
        mallory.threads.update(thread_id, metadata={"owner": "mallory"}),
        mallory.threads.get_state(thread_id),
        mallory.threads.get_state(thread_id, checkpoint=checkpoint),
        mallory.threads.get_history(thread_id),
        mallory.threads.update_state(thread_id, {"total": 1}),
        mallory.threads.delete(thread_id),
        mallory.runs.list(thread_id),
        mallory.runs.get(thread_id, run["run_id"]),
        mallory.runs.delete(thread_id, run["run_id"]),
        mallory.runs.create(thread_id, "counter", input={}),
        mallory.runs.create(await new_thread(mallory), assistant["assistant_id"], input={}),
    ):
        with pytest.raises(NotFoundError):
            await ask
    answer = await mallory.http.client.get(f"/threads/{thread_id}/runs/{run['run_id']}/join")
    assert answer.status_code == 404
    assert await mallory.threads.search(metadata=mark) == []
    assert await mallory.threads.search(ids=[thread_id]) == []
    assert await mallory.threads.count(metadata=mark) == 0
    assert await mallory.assistants.search(metadata=mark) == []
    assert (await mallory.threads.prune([thread_id]))["pruned_count"] == 0
    assert (await alice.threads.get_state(thread_id))["values"]["total"] == 3


async def test_a_run_of_another_is_neither_watched_nor_cancelled(alice: Sdk, mallory: Sdk, gate: Gate):
    thread_id = await new_thread(alice)
    run_id = await held(alice, gate, thread_id, stream_resumable=True)
    for method, path in (
        ("POST", f"/threads/{thread_id}/runs/{run_id}/cancel"),
        ("GET", f"/threads/{thread_id}/runs/{run_id}/stream"),
        ("GET", f"/threads/{thread_id}/stream"),
        ("GET", f"/runs/{run_id}/stream"),
    ):
        assert (await mallory.http.client.request(method, path)).status_code == 404
    with pytest.raises(NotFoundError):
        await mallory.runs.cancel_many(thread_id=thread_id, run_ids=[run_id])
    await mallory.http.client.post("/runs/cancel", json={"status": "all"})
    gate.open()
    assert await ended(alice, thread_id, run_id) == "success"


async def test_an_id_of_another_is_free_or_taken_but_never_read(alice: Sdk, mallory: Sdk):
    thread_id = await new_thread(alice, metadata={"secret": 1})
    answer = await mallory.http.client.post("/threads", json={"thread_id": thread_id, "if_exists": "do_nothing"})
    assert answer.status_code in {200, 404, 409}
    assert "secret" not in answer.text
    assert (await alice.threads.get(thread_id))["metadata"] == {"secret": 1}


async def test_items_and_crons_of_another_are_not_there(alice: Sdk, mallory: Sdk, mark: dict[str, str]):
    await alice.store.put_item([mark["mark"]], "k", {"v": 1})
    assert await mallory.store.get_item([mark["mark"]], "k") is None
    assert (await mallory.store.search_items([mark["mark"]]))["items"] == []
    assert (await mallory.store.list_namespaces(prefix=[mark["mark"]]))["namespaces"] == []
    await mallory.store.delete_item([mark["mark"]], "k")
    assert (await alice.store.get_item([mark["mark"]], "k"))["value"] == {"v": 1}

    cron: Any = await alice.crons.create("counter", schedule="0 0 29 2 *", metadata=mark)
    assert await mallory.crons.search(metadata=mark) == []
    for ask in (mallory.crons.delete(cron["cron_id"]), mallory.crons.update(cron["cron_id"], enabled=False)):
        with pytest.raises(NotFoundError):
            await ask


async def test_what_a_graph_remembers_is_its_tenants(alice: Sdk, mallory: Sdk, mark: dict[str, str]):
    await alice.runs.wait(None, "remember", input={"user": mark["mark"], "note": "alice's"})
    values: Any = await mallory.runs.wait(None, "remember", input={"user": mark["mark"], "note": "mallory's"})
    assert values["notes"] == ["mallory's"]


async def test_events_of_another_thread_are_not_shown(alice: Sdk, mallory: Sdk):
    thread_id = await new_thread(alice)
    await alice.runs.wait(thread_id, "counter", input={"total": 7000})
    # Her own run on the thread of this id, which is another one, comes behind whatever there was of Alice's.
    assert set(await _totals(mallory, thread_id, 500, 503)) <= {500, 501, 502, 503}
    assert len(await alice.runs.list(thread_id)) == 1
    assert (await alice.threads.get_state(thread_id))["values"]["total"] == 7003
    assert not {500, 501, 502, 503} & set(await _totals(alice, thread_id, 2000, 9006))


async def _totals(sdk: Sdk, thread_id: str, more: int, last: int) -> list[int]:
    """Follow a thread and count on; return all totals that are shown, up to the last."""
    start = {"id": 1, "method": "run.start", "params": {"assistant_id": "counter", "input": {"total": more}}}
    seen = b""
    async with (
        asyncio.timeout(60),
        sdk.http.client.stream("POST", f"/threads/{thread_id}/stream/events", json={"channels": ["values"]}) as answer,
    ):
        started = (await sdk.http.client.post(f"/threads/{thread_id}/commands", json=start)).json()
        assert started["type"] == "success", started
        async for part in answer.aiter_bytes():
            seen += part
            found = [int(digits) for digits in re.findall(rb'"total": ?(\d+)', seen)]
            if last in found:
                return found
    raise AssertionError(seen)
