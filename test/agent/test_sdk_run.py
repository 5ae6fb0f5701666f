"""Runs: starting, waiting, listing, cancelling, and what happens to two of them on one thread."""

import asyncio
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from langgraph_sdk.errors import ConflictError, NotFoundError, UnprocessableEntityError

from test.agent_fixture import Gate, Hook, Sdk, collect, default_assistant, ended, held, new_thread, until

COUNTED = {"total": 3, "log": ["one", "two", "three"]}
RUN_FIELDS = {
    "run_id",
    "thread_id",
    "assistant_id",
    "created_at",
    "updated_at",
    "status",
    "metadata",
    "kwargs",
    "multitask_strategy",
}


async def trail(sdk: Sdk, thread_id: str) -> list[str]:
    """Return what the graph `gate` has done on a thread."""
    values: Any = (await sdk.threads.get_state(thread_id))["values"]
    return values["trail"]


# --- starting and waiting


async def test_a_run_is_created_at_once_and_told_whole(sdk: Sdk, gate: Gate, mark: dict[str, str]):
    thread_id = await new_thread(sdk)
    run = await sdk.runs.create(
        thread_id, "gate", input=gate.input, metadata=mark, stream_mode=["values", "updates"], config={"tags": ["t"]}
    )
    assert set(run) >= RUN_FIELDS
    assert run["status"] in {"pending", "running"}
    assert run["thread_id"] == thread_id
    assert run["assistant_id"] == default_assistant("gate")
    assert UUID(run["run_id"]).version == 7
    assert run["metadata"]["mark"] == mark["mark"]
    assert run["multitask_strategy"] == "enqueue"
    kwargs: Any = run["kwargs"]
    assert kwargs["input"] == gate.input
    assert kwargs["stream_mode"] == ["values", "updates"]
    found = await sdk.runs.get(thread_id, run["run_id"])
    assert found["created_at"] == run["created_at"]
    gate.open()
    assert await ended(sdk, thread_id, run["run_id"]) == "success"


async def test_wait_returns_the_final_values_and_says_where_the_run_is(sdk: Sdk):
    thread_id = await new_thread(sdk)
    created: list[Any] = []
    values = await sdk.runs.wait(thread_id, "counter", input={"total": 0}, on_run_created=created.append)
    assert values == COUNTED
    (run,) = await sdk.runs.list(thread_id)
    assert created == [{"run_id": run["run_id"], "thread_id": thread_id}]
    answer = await sdk.http.client.post(
        f"/threads/{thread_id}/runs/wait", json={"assistant_id": "counter", "input": {"total": 0}}
    )
    where = answer.headers["Content-Location"]
    assert where.startswith(f"/threads/{thread_id}/runs/")
    assert answer.headers["Location"] == f"{where}/join"


async def test_create_and_stream_say_where_the_run_is(sdk: Sdk):
    thread_id = await new_thread(sdk)
    body = {"assistant_id": "counter", "input": {"total": 0}}
    created = await sdk.http.client.post(f"/threads/{thread_id}/runs", json=body)
    run_id = created.json()["run_id"]
    assert created.headers["Content-Location"] == f"/threads/{thread_id}/runs/{run_id}"
    streamed = await sdk.http.client.post(f"/threads/{thread_id}/runs/stream", json=body)
    where = streamed.headers["Content-Location"]
    assert where.startswith(f"/threads/{thread_id}/runs/")
    assert streamed.headers["Location"] == f"{where}/stream"
    assert streamed.headers["Content-Type"].startswith("text/event-stream")
    assert streamed.headers["Cache-Control"] == "no-store"


async def test_a_functional_graph_remembers_what_it_saved(sdk: Sdk):
    thread_id = await new_thread(sdk)
    assert await sdk.http.post(f"/threads/{thread_id}/runs/wait", json={"assistant_id": "functional", "input": 3}) == 6
    assert await sdk.http.post(f"/threads/{thread_id}/runs/wait", json={"assistant_id": "functional", "input": 5}) == 13


async def test_messages_are_plain_json(sdk: Sdk):
    thread_id = await new_thread(sdk)
    values: Any = await sdk.runs.wait(thread_id, "echo", input={"messages": [{"role": "user", "content": "hi"}]})
    assert [(message["type"], message["content"]) for message in values["messages"]] == [
        ("human", "hi"),
        ("ai", "echo: hi"),
    ]
    assert all(message["id"] for message in values["messages"])


async def test_a_failed_run_says_why_and_does_not_fail_the_request(sdk: Sdk):
    thread_id = await new_thread(sdk)
    answer = await sdk.http.client.post(
        f"/threads/{thread_id}/runs/wait", json={"assistant_id": "failing", "input": {"total": 0}}
    )
    assert answer.status_code == 200
    assert answer.json()["__error__"]["error"] == "ValueError"
    assert "on purpose" in answer.json()["__error__"]["message"]
    with pytest.raises(Exception, match="ValueError: it fails on purpose"):
        await sdk.runs.wait(thread_id, "failing", input={"total": 0})
    runs = await sdk.runs.list(thread_id)
    assert [run["status"] for run in runs] == ["error", "error"]
    state = await sdk.threads.get_state(thread_id)
    assert state["next"] == ["fail"]
    assert "on purpose" in str(state["tasks"][0]["error"])


async def test_what_cannot_be_serialized_harms_nobody_else(sdk: Sdk):
    thread_id = await new_thread(sdk)
    run = await sdk.runs.create(thread_id, "unserializable", input={"thing": 1})
    assert await ended(sdk, thread_id, run["run_id"]) in {"error", "success"}
    assert await sdk.runs.wait(None, "counter", input={"total": 0}) == COUNTED
    assert (await sdk.threads.get(thread_id))["thread_id"] == thread_id


async def test_a_synchronous_node_does_not_stop_the_others(sdk: Sdk):
    slow = asyncio.create_task(sdk.runs.wait(None, "blocking", input={"seconds": 1.0}))
    thread_id = await new_thread(sdk)
    assert await sdk.runs.wait(thread_id, "counter", input={"total": 0}) == COUNTED
    assert not slow.done()
    assert (await slow)["slept"] is True


async def test_unknown_assistants_and_threads_are_refused(sdk: Sdk):
    thread_id = await new_thread(sdk)
    with pytest.raises(NotFoundError):
        await sdk.runs.create(thread_id, str(uuid4()), input={})
    with pytest.raises(UnprocessableEntityError):
        await sdk.runs.create(thread_id, "nowhere", input={})
    with pytest.raises(NotFoundError):
        await sdk.runs.create(str(uuid4()), "counter", input={})
    with pytest.raises(UnprocessableEntityError):
        await sdk.http.post(f"/threads/{thread_id}/runs", json={"input": {}})
    with pytest.raises(UnprocessableEntityError):
        await sdk.http.post(
            f"/threads/{thread_id}/runs", json={"assistant_id": "counter", "multitask_strategy": "queue"}
        )


async def test_a_missing_thread_is_made_when_asked(sdk: Sdk):
    thread_id = str(uuid4())
    assert await sdk.runs.wait(thread_id, "counter", input={"total": 0}, if_not_exists="create") == COUNTED
    assert (await sdk.threads.get(thread_id))["metadata"]["graph_id"] == "counter"


async def test_a_run_after_some_seconds_waits_until_then(sdk: Sdk):
    thread_id = await new_thread(sdk)
    begin = datetime.now().astimezone()
    run = await sdk.runs.create(thread_id, "counter", input={"total": 0}, after_seconds=1)
    assert run["status"] == "pending"
    assert (datetime.fromisoformat(str(run["created_at"])) - begin).total_seconds() > 0.9
    assert (await sdk.runs.get(thread_id, run["run_id"]))["status"] == "pending"
    assert await sdk.runs.join(thread_id, run["run_id"]) == COUNTED
    assert (datetime.now().astimezone() - begin).total_seconds() > 0.9


# --- without a thread


async def test_a_run_without_a_thread_leaves_none(sdk: Sdk, mark: dict[str, str]):
    assert await sdk.runs.wait(None, "counter", input={"total": 0}, metadata=mark) == COUNTED
    answer = await sdk.http.client.post("/runs/wait", json={"assistant_id": "counter", "input": {"total": 0}})
    where = answer.headers["Content-Location"].split("/")
    assert (where[1], where[3]) == ("threads", "runs")

    async def gone() -> int:
        return (await sdk.http.client.get(f"/threads/{where[2]}")).status_code

    assert await until(gone, lambda status: status == 404)


async def test_a_run_without_a_thread_keeps_one_when_asked(sdk: Sdk):
    answer = await sdk.http.client.post(
        "/runs/wait", json={"assistant_id": "counter", "input": {"total": 0}, "on_completion": "keep"}
    )
    thread_id = answer.headers["Content-Location"].split("/")[2]
    assert (await sdk.threads.get_state(thread_id))["values"] == COUNTED


async def test_a_run_without_a_thread_is_created_in_the_background(sdk: Sdk, hook: Hook):
    run = await sdk.runs.create(None, "counter", input={"total": 0}, webhook=hook.url)
    assert run["status"] in {"pending", "running"}
    told = await hook.call()
    assert told["run_id"] == run["run_id"]
    assert told["status"] == "success"


async def test_a_batch_of_runs_is_created_in_order(sdk: Sdk, hook: Hook):
    payloads: Any = [
        {"assistant_id": "counter", "input": {"total": number}, "webhook": hook.url, "metadata": {"number": number}}
        for number in (0, 10)
    ]
    runs = await sdk.runs.create_batch(payloads)
    assert [run["metadata"]["number"] for run in runs] == [0, 10]
    told = [await hook.call(), await hook.call()]
    assert {body["run_id"]: body["values"]["total"] for body in told} == {runs[0]["run_id"]: 3, runs[1]["run_id"]: 13}


# --- reading


async def test_runs_are_listed_newest_first(sdk: Sdk, gate: Gate):
    thread_id = await new_thread(sdk)
    await sdk.runs.wait(thread_id, "counter", input={"total": 0})
    await sdk.runs.wait(thread_id, "failing", input={"total": 0}, raise_error=False)
    run_id = await held(sdk, gate, thread_id)
    runs = await sdk.runs.list(thread_id)
    assert [run["status"] for run in runs] == ["running", "error", "success"]
    assert runs[0]["run_id"] == run_id
    assert [run["run_id"] for run in await sdk.runs.list(thread_id, limit=1, offset=1)] == [runs[1]["run_id"]]
    assert [run["run_id"] for run in await sdk.runs.list(thread_id, status="success")] == [runs[2]["run_id"]]
    selected = await sdk.runs.list(thread_id, select=["run_id", "status"])
    assert all(set(run) == {"run_id", "status"} for run in selected)


async def test_a_deleted_run_is_gone(sdk: Sdk):
    thread_id = await new_thread(sdk)
    await sdk.runs.wait(thread_id, "counter", input={"total": 0})
    (run,) = await sdk.runs.list(thread_id)
    await sdk.runs.delete(thread_id, run["run_id"])
    assert await sdk.runs.list(thread_id) == []
    for ask in (
        sdk.runs.get(thread_id, run["run_id"]),
        sdk.runs.delete(thread_id, run["run_id"]),
        sdk.runs.cancel(thread_id, run["run_id"]),
    ):
        with pytest.raises(NotFoundError):
            await ask


async def test_a_run_of_another_thread_is_not_found_here(sdk: Sdk):
    mine, other = await new_thread(sdk), await new_thread(sdk)
    await sdk.runs.wait(other, "counter", input={"total": 0})
    (run,) = await sdk.runs.list(other)
    with pytest.raises(NotFoundError):
        await sdk.runs.get(mine, run["run_id"])


async def test_join_waits_for_a_run_and_reads_an_ended_one(sdk: Sdk, gate: Gate):
    thread_id = await new_thread(sdk)
    run_id = await held(sdk, gate, thread_id)
    joining = asyncio.create_task(sdk.runs.join(thread_id, run_id))
    assert not joining.done()
    gate.open()
    values = await joining
    assert values["trail"] == ["before", "hold", "after"]
    assert await sdk.runs.join(thread_id, run_id) == values


async def test_join_of_a_failed_and_of_an_asking_run_is_as_wait(sdk: Sdk):
    thread_id = await new_thread(sdk)
    run = await sdk.runs.create(thread_id, "failing", input={"total": 0})
    joined = await sdk.runs.join(thread_id, run["run_id"])
    assert joined["__error__"]["error"] == "ValueError"
    thread_id = await new_thread(sdk)
    run = await sdk.runs.create(thread_id, "ask", input={})
    joined = await sdk.runs.join(thread_id, run["run_id"])
    assert joined["__interrupt__"][0]["value"] == {"question": "Shall we?"}


# --- cancelling


async def test_an_interrupted_run_keeps_its_finished_steps(sdk: Sdk, gate: Gate):
    thread_id = await new_thread(sdk)
    run_id = await held(sdk, gate, thread_id)
    await sdk.runs.cancel(thread_id, run_id, wait=True)
    assert await ended(sdk, thread_id, run_id) == "interrupted"
    assert await trail(sdk, thread_id) == ["before"]
    assert (await sdk.threads.get(thread_id))["status"] != "busy"
    gate.open()
    values: Any = await sdk.runs.wait(thread_id, "gate", input=None)
    assert values["trail"] == ["before", "hold", "after"]


async def test_a_rolled_back_run_was_never_there(sdk: Sdk, gate: Gate):
    thread_id = await new_thread(sdk)
    run_id = await held(sdk, gate, thread_id)
    await sdk.runs.cancel(thread_id, run_id, action="rollback", wait=True)

    async def status() -> int:
        return (await sdk.http.client.get(f"/threads/{thread_id}/runs/{run_id}")).status_code

    await until(status, lambda found: found == 404)
    assert not (await sdk.threads.get_state(thread_id))["values"]
    assert await sdk.threads.get_history(thread_id) == []


async def test_a_rollback_keeps_what_was_there_before(sdk: Sdk, gate: Gate):
    thread_id = await new_thread(sdk)
    await sdk.runs.wait(thread_id, "gate", input={"gate": ""})
    run = await sdk.runs.create(thread_id, "gate", input=gate.input)
    await until(lambda: sdk.threads.get_state(thread_id), lambda state: state["next"] == ["hold"])
    await sdk.runs.cancel(thread_id, run["run_id"], action="rollback", wait=True)
    state: Any = await until(lambda: sdk.threads.get_state(thread_id), lambda found: found["next"] == [])
    assert state["values"]["trail"] == ["before", "hold", "after"]


async def test_cancel_without_waiting_is_accepted(sdk: Sdk, gate: Gate):
    thread_id = await new_thread(sdk)
    run_id = await held(sdk, gate, thread_id)
    answer = await sdk.http.client.post(f"/threads/{thread_id}/runs/{run_id}/cancel", params={"wait": 0})
    assert answer.status_code == 202
    assert await ended(sdk, thread_id, run_id) == "interrupted"
    with pytest.raises(NotFoundError):
        await sdk.runs.cancel(thread_id, run_id)


async def test_a_cancelled_run_says_why(sdk: Sdk, gate: Gate):
    thread_id = await new_thread(sdk)
    run_id = await held(sdk, gate, thread_id)
    url = f"/threads/{thread_id}/runs/{run_id}/cancel"
    rolled_back = await sdk.http.client.post(url, params={"action": "rollback", "reason": "taken"})
    assert rolled_back.status_code == 422
    await sdk.runs.cancel(thread_id, run_id, params={"reason": "taken"})
    await ended(sdk, thread_id, run_id)
    (run,) = await sdk.runs.list(thread_id, select=["run_id", "cancel_reason"])
    assert run["cancel_reason"].startswith("taken:")


async def test_a_waiting_run_is_interrupted_at_once(sdk: Sdk, gate: Gate):
    thread_id = await new_thread(sdk)
    await held(sdk, gate, thread_id)
    waiting = await sdk.runs.create(thread_id, "gate", input=gate.input)
    await sdk.runs.cancel(thread_id, waiting["run_id"])
    assert (await sdk.runs.get(thread_id, waiting["run_id"]))["status"] == "interrupted"


async def test_an_action_that_is_none_is_unprocessable(sdk: Sdk, gate: Gate):
    thread_id = await new_thread(sdk)
    run_id = await held(sdk, gate, thread_id)
    answer = await sdk.http.client.post(f"/threads/{thread_id}/runs/{run_id}/cancel", params={"action": "explode"})
    assert answer.status_code == 422
    assert (await sdk.runs.get(thread_id, run_id))["status"] == "running"


async def test_several_runs_are_cancelled_at_once(sdk: Sdk, gate: Gate):
    thread_id = await new_thread(sdk)
    first = await held(sdk, gate, thread_id)
    second = (await sdk.runs.create(thread_id, "gate", input=gate.input))["run_id"]
    await sdk.runs.cancel_many(thread_id=thread_id, run_ids=[first, second])
    assert [await ended(sdk, thread_id, run_id) for run_id in (first, second)] == ["interrupted", "interrupted"]
    with pytest.raises(NotFoundError):
        await sdk.runs.cancel_many(thread_id=thread_id, run_ids=[first])
    with pytest.raises(UnprocessableEntityError):
        await sdk.http.post("/runs/cancel", json={"run_ids": [first], "status": "all"})
    with pytest.raises(UnprocessableEntityError):
        await sdk.http.post("/runs/cancel", json={"status": "tired"})


# --- two runs on one thread


async def test_a_second_run_is_rejected_when_asked(sdk: Sdk, gate: Gate):
    thread_id = await new_thread(sdk)
    await held(sdk, gate, thread_id)
    with pytest.raises(ConflictError):
        await sdk.runs.create(thread_id, "gate", input=gate.input, multitask_strategy="reject")
    assert len(await sdk.runs.list(thread_id)) == 1


async def test_runs_queue_up_in_order(sdk: Sdk, gate: Gate):
    thread_id = await new_thread(sdk)
    first = await held(sdk, gate, thread_id)
    others = [
        (await sdk.runs.create(thread_id, "counter", input={"total": 0, "log": [name]}))["run_id"]
        for name in ("second", "third")
    ]
    assert [(await sdk.runs.get(thread_id, run_id))["status"] for run_id in others] == ["pending", "pending"]
    gate.open()
    values = await sdk.runs.join(thread_id, others[-1])
    assert values["log"] == ["second", "one", "two", "three", "third", "one", "two", "three"]
    assert await ended(sdk, thread_id, first) == "success"


async def test_a_second_run_interrupts_the_first_when_asked(sdk: Sdk, gate: Gate):
    thread_id = await new_thread(sdk)
    first = await held(sdk, gate, thread_id)
    values: Any = await sdk.runs.wait(thread_id, "gate", input={"gate": ""}, multitask_strategy="interrupt")
    assert values["trail"] == ["before", "before", "hold", "after"]
    assert await ended(sdk, thread_id, first) == "interrupted"


async def test_a_second_run_rolls_the_first_back_when_asked(sdk: Sdk, gate: Gate):
    thread_id = await new_thread(sdk)
    first = await held(sdk, gate, thread_id)
    values: Any = await sdk.runs.wait(thread_id, "gate", input={"gate": ""}, multitask_strategy="rollback")
    assert values["trail"] == ["before", "hold", "after"]
    with pytest.raises(NotFoundError):
        await sdk.runs.get(thread_id, first)


# --- configuration


async def test_the_configuration_is_that_of_assistant_and_run(sdk: Sdk):
    assistant = await sdk.assistants.create(
        "reader", config={"configurable": {"a": "assistant", "b": "assistant"}, "tags": ["x"], "recursion_limit": 11}
    )
    thread_id = await new_thread(sdk)
    values: Any = await sdk.runs.wait(
        thread_id,
        assistant["assistant_id"],
        input={},
        config={"configurable": {"b": "run", "c": "run", "__secret": "x"}},
        metadata={"purpose": "test"},
        headers={"x-flavour": "plum", "x-api-key": "not-to-be-seen"},
    )
    seen = values["seen"]["configurable"]
    assert (seen["a"], seen["b"], seen["c"]) == ("assistant", "run", "run")
    (run,) = await sdk.runs.list(thread_id)
    assert (seen["thread_id"], seen["run_id"]) == (thread_id, run["run_id"])
    assert (seen["graph_id"], seen["assistant_id"]) == ("reader", assistant["assistant_id"])
    assert seen["x-flavour"] == "plum"
    assert "user-agent" in seen
    assert not {"x-api-key", "__secret", "authorization"} & set(seen)
    assert values["seen"]["recursion_limit"] == 11
    assert values["seen"]["metadata"]["purpose"] == "test"
    assert values["seen"]["metadata"]["run_id"] == run["run_id"]


async def test_the_context_is_the_assistants_overlaid_by_the_runs(sdk: Sdk):
    assistant = await sdk.assistants.create("context", context={"name": "Ada", "tone": "kind"})
    assert await sdk.runs.wait(None, assistant["assistant_id"], input={}) == {"said": "kind Ada"}
    said = await sdk.runs.wait(None, assistant["assistant_id"], input={}, context={"tone": "stern"})
    assert said == {"said": "stern Ada"}
    assert await sdk.runs.wait(None, "context", input={}) == {"said": "plain nobody"}
    said = await sdk.runs.wait(None, "context", input={}, config={"configurable": {"name": "Bob"}})
    assert said == {"said": "plain Bob"}


async def test_a_graph_uses_the_store(sdk: Sdk, mark: dict[str, str]):
    for note, notes in (("tea", ["tea"]), ("milk", ["milk", "tea"])):
        values: Any = await sdk.runs.wait(None, "remember", input={"user": mark["mark"], "note": note})
        assert values["notes"] == notes
    item = await sdk.store.get_item(["memory", mark["mark"]], "tea")
    assert item["value"] == {"text": "tea"}


async def test_a_graph_asks_its_own_server(sdk: Sdk):
    values: Any = await sdk.runs.wait(None, "loopback", input={})
    assert values["answer"] == {"total": 42, "log": ["one", "two", "three"]}


# --- webhooks


async def test_a_webhook_is_told_of_the_end(sdk: Sdk, hook: Hook):
    thread_id = await new_thread(sdk)
    await sdk.runs.wait(thread_id, "counter", input={"total": 0}, webhook=hook.url)
    told = await hook.call()
    (run,) = await sdk.runs.list(thread_id)
    assert (told["run_id"], told["thread_id"], told["status"]) == (run["run_id"], thread_id, "success")
    assert told["values"] == COUNTED
    assert told["run_started_at"] <= told["run_ended_at"] <= told["webhook_sent_at"]

    await sdk.runs.wait(thread_id, "failing", input={"total": 0}, webhook=hook.url, raise_error=False)
    told = await hook.call()
    assert told["status"] == "error"
    assert told["error"]["error"] == "ValueError"


async def test_a_webhook_that_is_no_address_is_unprocessable(sdk: Sdk):
    for wrong in ("ftp://example.com/x", "nonsense", "http://"):
        with pytest.raises(UnprocessableEntityError):
            await sdk.runs.create(None, "counter", input={"total": 0}, webhook=wrong)


# --- the connection


async def test_a_run_is_cancelled_with_its_connection_when_asked(sdk: Sdk, gate: Gate):
    thread_id = await new_thread(sdk)
    async for _ in sdk.runs.stream(thread_id, "gate", input=gate.input, on_disconnect="cancel"):
        state = await sdk.threads.get_state(thread_id)
        if state["next"] == ["hold"]:
            break
    (run,) = await sdk.runs.list(thread_id)
    assert await ended(sdk, thread_id, run["run_id"]) == "interrupted"


async def test_a_run_goes_on_without_its_connection(sdk: Sdk, gate: Gate):
    thread_id = await new_thread(sdk)
    async for part in sdk.runs.stream(thread_id, "gate", input=gate.input):
        if part.event == "values":
            break
    gate.open()
    (run,) = await sdk.runs.list(thread_id)
    assert await ended(sdk, thread_id, run["run_id"]) == "success"


async def test_a_joined_run_is_cancelled_with_the_connection_when_asked(sdk: Sdk, gate: Gate):
    thread_id = await new_thread(sdk)
    run_id = await held(sdk, gate, thread_id)
    joining = asyncio.create_task(
        collect(sdk.runs.join_stream(thread_id, run_id, cancel_on_disconnect=True, stream_mode="values"))
    )
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(joining, 0.5)
    assert await ended(sdk, thread_id, run_id) == "interrupted"


async def test_the_connection_of_a_long_wait_is_kept_alive(sdk: Sdk, gate: Gate, agent_url: str):
    thread_id, streamed = await new_thread(sdk), await new_thread(sdk)
    body = {"assistant_id": "gate", "input": gate.input}

    async def first(path: str, wanted: bytes) -> bytes:
        """Return what has come when the sign of life does."""
        seen = b""
        async with httpx.AsyncClient(timeout=60) as client, client.stream("POST", agent_url + path, json=body) as got:
            async for part in got.aiter_raw():
                seen += part
                if wanted in seen:
                    break
        return seen

    waited, stream = await asyncio.gather(
        first(f"/threads/{thread_id}/runs/wait", b"\n"), first(f"/threads/{streamed}/runs/stream", b": heartbeat")
    )
    assert waited.strip() == b""
    assert b"event: metadata\r\n" in stream
