"""The official client without async: one way through each of its parts."""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from langgraph_sdk import get_sync_client
from langgraph_sdk.client import SyncLangGraphClient
from langgraph_sdk.errors import NotFoundError

from test.agent_fixture import WAIT_SECONDS

COUNTED = {"total": 3, "log": ["one", "two", "three"]}


@pytest.fixture
def sdk(agent_url: str) -> Iterator[SyncLangGraphClient]:
    with get_sync_client(url=agent_url, api_key=None, timeout=WAIT_SECONDS) as client:
        yield client


def test_assistants(sdk: SyncLangGraphClient, mark: dict[str, str]):
    made = sdk.assistants.create("counter", metadata=mark)
    assert sdk.assistants.update(made["assistant_id"], name="new")["version"] == 2
    assert sdk.assistants.search(metadata=mark)[0]["name"] == "new"
    assert sdk.assistants.count(metadata=mark) == 1
    assert sdk.assistants.get_graph(made["assistant_id"])["nodes"]
    sdk.assistants.delete(made["assistant_id"])
    with pytest.raises(NotFoundError):
        sdk.assistants.get(made["assistant_id"])


def test_threads_and_states(sdk: SyncLangGraphClient, mark: dict[str, str]):
    thread_id = sdk.threads.create(metadata=mark)["thread_id"]
    assert sdk.runs.wait(thread_id, "counter", input={"total": 0}) == COUNTED
    assert sdk.threads.get_state(thread_id)["values"] == COUNTED
    sdk.threads.update_state(thread_id, {"total": 1})
    assert len(sdk.threads.get_history(thread_id)) == 6
    assert sdk.threads.search(metadata=mark)[0]["thread_id"] == thread_id
    assert sdk.threads.count(metadata=mark) == 1
    sdk.threads.delete(thread_id)
    with pytest.raises(NotFoundError):
        sdk.threads.get(thread_id)


def test_runs(sdk: SyncLangGraphClient):
    thread_id = sdk.threads.create()["thread_id"]
    run = sdk.runs.create(thread_id, "counter", input={"total": 0})
    assert sdk.runs.join(thread_id, run["run_id"]) == COUNTED
    parts = list(sdk.runs.stream(None, "counter", input={"total": 0}, stream_mode=["values", "updates"]))
    assert {part.event for part in parts} - {"end"} == {"metadata", "values", "updates"}
    resumable = list(sdk.runs.stream(thread_id, "counter", input={"total": 0}, stream_resumable=True))
    run_id = resumable[0].data["run_id"]
    assert list(sdk.runs.join_stream(thread_id, run_id, last_event_id="-1")) == resumable
    assert [found["status"] for found in sdk.runs.list(thread_id)] == ["success", "success"]
    with pytest.raises(NotFoundError):
        sdk.runs.cancel(thread_id, run_id)
    with pytest.raises(NotFoundError):
        sdk.runs.create(str(uuid4()), "counter", input={})


def test_store_and_crons(sdk: SyncLangGraphClient, mark: dict[str, str]):
    sdk.store.put_item([mark["mark"]], "k", {"v": 1})
    assert sdk.store.get_item([mark["mark"]], "k")["value"] == {"v": 1}
    assert [item["key"] for item in sdk.store.search_items([mark["mark"]])["items"]] == ["k"]
    sdk.store.delete_item([mark["mark"]], "k")
    cron: Any = sdk.crons.create("counter", schedule="0 0 29 2 *", metadata=mark)
    assert sdk.crons.count(metadata=mark) == 1
    sdk.crons.delete(cron["cron_id"])


def test_the_stream_of_a_thread(sdk: SyncLangGraphClient):
    with sdk.threads.stream(assistant_id="counter") as thread:
        thread.run.start(input={"total": 0})
        assert thread.output == COUNTED
