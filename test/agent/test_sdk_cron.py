"""Crons, as the official client asks for them."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest
from langgraph_sdk.errors import BadRequestError, NotFoundError, UnprocessableEntityError

from test.agent_fixture import Sdk, default_assistant, new_thread

NEVER = "0 0 29 2 *"
"""A schedule that does not come due while the tests run (but on one day of four years)."""


async def test_a_cron_is_created_for_a_thread_and_for_none(sdk: Sdk, mark: dict[str, str]):
    free: Any = await sdk.crons.create(
        "counter", schedule=NEVER, input={"total": 1}, metadata=mark, timezone="Asia/Seoul", on_run_completed="keep"
    )
    assert free["assistant_id"] == default_assistant("counter")
    assert (free["schedule"], free["timezone"], free["enabled"]) == (NEVER, "Asia/Seoul", True)
    assert free["thread_id"] is None
    assert free["on_run_completed"] == "keep"
    assert free["payload"]["input"] == {"total": 1}
    due = datetime.fromisoformat(free["next_run_date"])
    assert due.astimezone(ZoneInfo("Asia/Seoul")).strftime("%d %b %H:%M") == "29 Feb 00:00"

    thread_id = await new_thread(sdk)
    bound: Any = await sdk.crons.create_for_thread(
        thread_id, "counter", schedule=NEVER, input={"total": 1}, metadata=mark, multitask_strategy="reject"
    )
    assert bound["thread_id"] == thread_id
    found = await sdk.crons.search(metadata=mark)
    assert {cron["cron_id"] for cron in found} == {free["cron_id"], bound["cron_id"]}
    for cron in found:
        await sdk.crons.delete(cron["cron_id"])


async def test_a_cron_is_changed_read_and_deleted(sdk: Sdk, mark: dict[str, str]):
    end = datetime.now(UTC) + timedelta(days=4000)
    made: Any = await sdk.crons.create("counter", schedule=NEVER, metadata=mark, end_time=end)
    cron_id = made["cron_id"]
    assert abs(datetime.fromisoformat(made["end_time"]) - end) < timedelta(seconds=1)
    changed = await sdk.crons.update(cron_id, schedule="30 4 29 2 *", enabled=False, end_time=None)
    assert (changed["schedule"], changed["enabled"], changed["end_time"]) == ("30 4 29 2 *", False, None)
    got = await sdk.http.get(f"/runs/crons/{cron_id}")
    assert got["cron_id"] == cron_id
    await sdk.crons.delete(cron_id)
    for ask in (sdk.crons.delete(cron_id), sdk.crons.update(cron_id, enabled=True)):
        with pytest.raises(NotFoundError):
            await ask


async def test_crons_are_searched_and_counted(sdk: Sdk, mark: dict[str, str]):
    thread_id = await new_thread(sdk)
    first: Any = await sdk.crons.create("counter", schedule=NEVER, metadata=mark)
    second: Any = await sdk.crons.create("echo", schedule=NEVER, metadata=mark, enabled=False)
    third: Any = await sdk.crons.create_for_thread(thread_id, "echo", schedule=NEVER, metadata=mark)
    ids = [cron["cron_id"] for cron in (first, second, third)]

    async def found(**query: Any) -> list[str]:
        return [cron["cron_id"] for cron in await sdk.crons.search(metadata=mark, **query)]

    assert await found(sort_by="created_at", sort_order="asc") == ids
    assert await found(sort_by="created_at", sort_order="asc", limit=1, offset=1) == [ids[1]]
    assert await found(enabled=False) == [ids[1]]
    assert await found(thread_id=thread_id) == [ids[2]]
    assert set(await found(assistant_id=default_assistant("echo"))) == set(ids[1:])
    assert await sdk.crons.count(metadata=mark) == 3
    assert await sdk.crons.count(metadata=mark, thread_id=thread_id) == 1
    selected = await sdk.crons.search(metadata=mark, select=["cron_id", "schedule"])
    assert all(set(cron) == {"cron_id", "schedule"} for cron in selected)
    answer = await sdk.http.client.post("/runs/crons/search", json={"metadata": mark, "limit": 2})
    assert answer.headers["X-Pagination-Next"] == "2"
    for cron_id in ids:
        await sdk.crons.delete(cron_id)


@pytest.mark.parametrize(
    "body",
    [
        {"schedule": "every day"},
        {"schedule": "61 * * * *"},
        {"schedule": NEVER, "timezone": "Mars/Phobos"},
        {"schedule": NEVER, "on_run_completed": "explode"},
        {},
    ],
)
async def test_a_cron_that_makes_no_sense_is_unprocessable(sdk: Sdk, body: dict[str, Any]):
    with pytest.raises(UnprocessableEntityError):
        await sdk.http.post("/runs/crons", json={"assistant_id": "counter", **body})


async def test_a_cron_of_what_is_not_there_is_not_found(sdk: Sdk):
    with pytest.raises(NotFoundError):
        await sdk.crons.create(str(uuid4()), schedule=NEVER)
    with pytest.raises(NotFoundError):
        await sdk.crons.create_for_thread(str(uuid4()), "counter", schedule=NEVER)


async def test_a_change_of_nothing_is_a_bad_request(sdk: Sdk):
    made: Any = await sdk.crons.create("counter", schedule=NEVER)
    with pytest.raises(BadRequestError):
        await sdk.http.patch(f"/runs/crons/{made['cron_id']}", json={})
    await sdk.crons.delete(made["cron_id"])


async def test_crons_go_with_their_thread_and_their_assistant(sdk: Sdk, mark: dict[str, str]):
    thread_id = await new_thread(sdk)
    assistant = await sdk.assistants.create("counter")
    await sdk.crons.create_for_thread(thread_id, "counter", schedule=NEVER, metadata=mark)
    await sdk.crons.create(assistant["assistant_id"], schedule=NEVER, metadata=mark)
    await sdk.threads.delete(thread_id)
    assert await sdk.crons.count(metadata=mark) == 1
    await sdk.assistants.delete(assistant["assistant_id"])
    assert await sdk.crons.count(metadata=mark) == 0
