"""Crons, as the official client sees them. No firing is waited for: `test/service/test_cron.py` has those."""

import json
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

import httpx
import pytest
from langgraph_sdk.client import LangGraphClient
from langgraph_sdk.errors import APIStatusError

from test.agent_fixture import GRAPH_CONFIG, agent_server, client_of, default_assistant, new_thread

FIELDS = {
    *("cron_id", "assistant_id", "thread_id", "user_id", "end_time", "schedule", "timezone", "payload"),
    *("next_run_date", "metadata", "on_run_completed", "enabled", "created_at", "updated_at"),
}
YEARLY = "0 0 1 1 *"
ABSENT = "99999999-9999-4999-8999-999999999999"


async def make(sdk: LangGraphClient, schedule: str = YEARLY, **options: Any) -> dict[str, Any]:
    # The client says that it returns a run; what comes is the cron.
    made: Any = await sdk.crons.create(options.pop("assistant", "echo"), schedule=schedule, **options)
    return made


async def status_of(sdk: LangGraphClient, method: str, path: str, body: Any = None) -> int:
    response = await sdk.http.client.request(method, path, json=body)
    assert isinstance(response, httpx.Response)
    if response.status_code >= 400:
        assert set(response.json()) == {"detail"}
    return response.status_code


async def test_a_cron_shows_what_was_asked_for_and_when_it_fires_next(
    sdk: LangGraphClient, mark: dict[str, str]
) -> None:
    cron = await make(
        sdk,
        input={"text": "hi"},
        metadata=mark,
        config={"configurable": {"k": "v"}, "tags": ["t"]},
        timezone=ZoneInfo("Asia/Seoul"),
        stream_mode=["values"],
        interrupt_before=["echo"],
    )
    assert set(cron) == FIELDS
    assert cron["assistant_id"] == cron["payload"]["assistant_id"] == default_assistant("echo")
    assert (cron["thread_id"], cron["end_time"], cron["on_run_completed"], cron["enabled"]) == (
        None,
        None,
        "delete",
        True,
    )
    assert (cron["schedule"], cron["timezone"]) == (YEARLY, "Asia/Seoul")
    assert cron["metadata"] == cron["payload"]["metadata"] == mark
    assert cron["payload"]["input"] == {"text": "hi"}
    assert cron["payload"]["config"] == {"configurable": {"k": "v", "cron_id": cron["cron_id"]}, "tags": ["t"]}
    fires = datetime.fromisoformat(cron["next_run_date"])
    assert fires > datetime.now(UTC)
    assert cron["next_run_date"].endswith("+00:00")
    assert fires.astimezone(ZoneInfo("Asia/Seoul")).strftime("%m-%d %H:%M") == "01-01 00:00"
    assert await sdk.http.get(f"/runs/crons/{cron['cron_id']}") == cron


async def test_a_cron_of_a_thread_goes_with_it(sdk: LangGraphClient) -> None:
    thread_id = await new_thread(sdk)
    cron: Any = await sdk.crons.create_for_thread(thread_id, "echo", schedule=YEARLY, multitask_strategy="interrupt")
    assert (cron["thread_id"], cron["on_run_completed"]) == (thread_id, None)
    assert [one["cron_id"] for one in await sdk.crons.search(thread_id=thread_id)] == [cron["cron_id"]]
    await sdk.threads.delete(thread_id)
    assert await sdk.crons.count(thread_id=thread_id) == 0
    assert await status_of(sdk, "GET", f"/runs/crons/{cron['cron_id']}") == 404


async def test_a_cron_of_an_assistant_goes_with_it(sdk: LangGraphClient) -> None:
    assistant = await sdk.assistants.create("echo")
    cron = await make(sdk, assistant=assistant["assistant_id"])
    await sdk.assistants.delete(assistant["assistant_id"])
    assert await status_of(sdk, "GET", f"/runs/crons/{cron['cron_id']}") == 404


async def test_a_change_replaces_what_is_sent_and_leaves_the_rest(sdk: LangGraphClient, mark: dict[str, str]) -> None:
    cron = await make(sdk, metadata=mark, input={"text": "a"}, webhook=None)
    end = datetime(2099, 1, 1, tzinfo=UTC)
    changed: Any = await sdk.crons.update(
        cron["cron_id"], schedule="0 9 * * *", timezone="Asia/Seoul", end_time=end, metadata={"b": 2}, enabled=False
    )
    assert changed["metadata"] == {**mark, "b": 2}
    assert (changed["schedule"], changed["timezone"], changed["enabled"]) == ("0 9 * * *", "Asia/Seoul", False)
    assert datetime.fromisoformat(changed["end_time"]) == end
    assert datetime.fromisoformat(changed["next_run_date"]).hour == 0
    assert changed["payload"]["input"] == {"text": "a"}
    cleared: Any = await sdk.crons.update(cron["cron_id"], end_time=None, on_run_completed="keep")
    assert (cleared["end_time"], cleared["on_run_completed"]) == (None, "keep")
    assert cleared["schedule"] == "0 9 * * *"
    await sdk.crons.delete(cron["cron_id"])
    assert await status_of(sdk, "DELETE", f"/runs/crons/{cron['cron_id']}") == 404


async def test_an_end_in_the_past_leaves_nothing_to_fire(sdk: LangGraphClient) -> None:
    cron = await make(sdk, "* * * * *", end_time=datetime(2020, 1, 1, tzinfo=UTC))
    assert cron["next_run_date"] is None


async def test_crons_are_found_sorted_cut_and_counted(sdk: LangGraphClient, mark: dict[str, str]) -> None:
    made = [
        await make(sdk, f"{minute} 0 1 1 *", metadata={**mark, "n": minute}, enabled=minute != 1) for minute in range(3)
    ]
    ids = [one["cron_id"] for one in made]
    response = await sdk.http.client.post("/runs/crons/search", json={"metadata": mark, "limit": 2})
    assert [one["cron_id"] for one in response.json()] == ids[:0:-1]
    assert (response.headers["x-pagination-total"], response.headers["x-pagination-next"]) == ("3", "2")
    last = await sdk.http.client.post("/runs/crons/search", json={"metadata": mark, "limit": 2, "offset": 2})
    assert [one["cron_id"] for one in last.json()] == ids[:1]
    assert last.headers["x-pagination-total"] == "3"
    assert "x-pagination-next" not in last.headers
    found = await sdk.crons.search(metadata=mark, sort_by="next_run_date", sort_order="asc", select=["cron_id"])
    assert found == [{"cron_id": one} for one in ids]
    assert [one["cron_id"] for one in await sdk.crons.search(metadata=mark, enabled=False)] == [ids[1]]
    assert len(await sdk.crons.search(metadata=mark, assistant_id="echo")) == 3
    assert await sdk.crons.search(metadata=mark, assistant_id=default_assistant("failing")) == []
    assert await sdk.crons.count(metadata={"n": 2, **mark}) == 1


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"schedule": "bad"}, 422),
        ({"schedule": "*/5 * * * * *"}, 422),
        ({"schedule": "0 0 30 2 *"}, 422),
        ({"timezone": "Mars/Olympus"}, 422),
        ({"end_time": "soon"}, 422),
        ({"enabled": "maybe"}, 422),
        ({"on_run_completed": "burn"}, 422),
        ({"webhook": "http://169.254.169.254/latest"}, 422),
        ({"webhook": "/own/route"}, 422),
        ({"stream_mode": ["sideways"]}, 422),
        ({"config": {"configurable": 5}}, 422),
        ({"config": {"recursion_limit": 0}}, 422),
        ({"config": {"configurable": {"a": 1}}, "context": {"b": 1}}, 400),
        ({"schedule": None}, 422),
        ({"assistant_id": None}, 422),
        ({"assistant_id": "nowhere"}, 404),
        ({"assistant_id": ABSENT}, 404),
    ],
)
async def test_what_cannot_be_honoured_is_refused(sdk: LangGraphClient, body: dict[str, Any], status: int) -> None:
    whole = {"assistant_id": "echo", "schedule": YEARLY, **body}
    assert (
        await status_of(sdk, "POST", "/runs/crons", {key: whole[key] for key in whole if whole[key] is not None})
        == status
    )


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", f"/threads/{ABSENT}/runs/crons", {"assistant_id": "echo", "schedule": YEARLY}, 404),
        ("POST", "/threads/x/runs/crons", {"assistant_id": "echo", "schedule": YEARLY}, 422),
        ("GET", f"/runs/crons/{ABSENT}", None, 404),
        ("GET", "/runs/crons/x", None, 422),
        ("DELETE", f"/runs/crons/{ABSENT}", None, 404),
        ("PATCH", f"/runs/crons/{ABSENT}", {"enabled": False}, 404),
        ("PATCH", f"/runs/crons/{ABSENT}", {}, 400),
        ("PATCH", f"/runs/crons/{ABSENT}", {"schedule": None}, 422),
        ("PATCH", f"/runs/crons/{ABSENT}", {"timezone": None}, 422),
        ("PATCH", f"/runs/crons/{ABSENT}", {"assistant_id": "echo"}, 422),
        ("POST", "/runs/crons/search", {"limit": 0}, 422),
        ("POST", "/runs/crons/search", {"limit": 1001}, 422),
        ("POST", "/runs/crons/search", {"offset": -1}, 422),
        ("POST", "/runs/crons/search", {"select": ["password"]}, 422),
        ("POST", "/runs/crons/search", {"sort_by": "payload"}, 422),
        ("POST", "/runs/crons/search", {"thread_id": "x"}, 422),
        ("POST", "/runs/crons/search", {"assistant_id": "nowhere"}, 422),
        ("POST", "/runs/crons/search", {}, 200),
        ("POST", "/runs/crons/count", {}, 200),
    ],
)
async def test_each_wrong_request_has_its_status(
    sdk: LangGraphClient, method: str, path: str, body: Any, status: int
) -> None:
    assert await status_of(sdk, method, path, body) == status


async def test_crons_of_another_tenant_are_not_there(alice: LangGraphClient, mallory: LangGraphClient) -> None:
    mark = {"mark": uuid4().hex}
    cron = await make(alice, metadata=mark)
    assert await mallory.crons.search(metadata=mark) == []
    assert await mallory.crons.count(metadata=mark) == 0
    with pytest.raises(APIStatusError) as caught:
        await mallory.crons.update(cron["cron_id"], enabled=False)
    assert caught.value.status_code == 404
    for method in ("GET", "DELETE"):
        assert await status_of(mallory, method, f"/runs/crons/{cron['cron_id']}") == 404
    assert await alice.http.get(f"/runs/crons/{cron['cron_id']}") == cron


AUTH = """
from langgraph_sdk import Auth

auth = Auth()

@auth.authenticate
async def who(headers: dict) -> dict:
    name = (headers.get(b"x-user") or b"").decode()
    if not name:
        raise Auth.exceptions.HTTPException(status_code=401, detail="who are you?")
    return {"identity": name, "org": "acme"}

@auth.on
async def own(ctx: Auth.types.AuthContext, value: dict) -> dict:
    value.setdefault("metadata", {})["owner"] = ctx.user.identity
    return {"owner": ctx.user.identity}

@auth.on.crons.delete
async def never(ctx: Auth.types.AuthContext, value: dict) -> bool:
    return False

@auth.on.assistants
async def anybody(ctx: Auth.types.AuthContext, value: dict) -> bool:
    return True
"""


@pytest.fixture(scope="module")
def guarded_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server with an authentication of its own, where everybody sees only what is theirs."""
    folder = tmp_path_factory.mktemp("guarded")
    for name in ("basic.py", "waiting.py"):
        shutil.copy(GRAPH_CONFIG.parent / name, folder)
    (folder / "auth.py").write_text(AUTH)
    config = {"dependencies": ["."], "graphs": {"counter": "./basic.py:counter"}, "auth": {"path": "./auth.py:auth"}}
    (folder / "langgraph.json").write_text(json.dumps(config))
    with agent_server(folder, config=folder / "langgraph.json") as url:
        yield url


async def test_a_projects_own_rules_hold_for_crons(guarded_url: str) -> None:
    async with client_of(guarded_url, **{"x-user": "bob"}) as bob, client_of(guarded_url, **{"x-user": "eve"}) as eve:
        cron = await make(bob, assistant="counter", metadata={"a": 1})
        assert cron["metadata"] == {"a": 1, "owner": "bob"}
        assert cron["user_id"] == "bob"
        assert [one["cron_id"] for one in await bob.crons.search()] == [cron["cron_id"]]
        assert await eve.crons.search() == []
        assert (await bob.crons.count(), await eve.crons.count()) == (1, 0)
        assert await status_of(eve, "GET", f"/runs/crons/{cron['cron_id']}") == 404
        assert await status_of(eve, "PATCH", f"/runs/crons/{cron['cron_id']}", {"enabled": False}) == 404
        assert await status_of(bob, "DELETE", f"/runs/crons/{cron['cron_id']}") == 403
        thread_id = str(uuid4())
        await bob.runs.create(thread_id, "counter", input={"total": 0}, if_not_exists="create")
        body = {"assistant_id": "counter", "schedule": YEARLY}
        assert await status_of(eve, "POST", f"/threads/{thread_id}/runs/crons", body) == 404
        assert await status_of(bob, "POST", f"/threads/{thread_id}/runs/crons", body) == 200
