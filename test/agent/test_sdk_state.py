"""States and their history: reading, changing by hand, going back, asking and answering."""

from typing import Any
from uuid import uuid4

import pytest
from langgraph_sdk.errors import BadRequestError, ConflictError, NotFoundError, UnprocessableEntityError

from test.agent_fixture import Gate, Sdk, held, new_thread

STATE_FIELDS = {
    "values",
    "next",
    "tasks",
    "checkpoint",
    "parent_checkpoint",
    "metadata",
    "created_at",
    "interrupts",
    "checkpoint_id",
    "parent_checkpoint_id",
}


async def counted(sdk: Sdk, total: int = 0) -> str:
    """Return a thread on which `counter` has run once."""
    thread_id = await new_thread(sdk)
    await sdk.runs.wait(thread_id, "counter", input={"total": total})
    return thread_id


async def asked(sdk: Sdk, graph: str = "ask") -> str:
    """Return a thread whose graph waits for an answer."""
    thread_id = await new_thread(sdk)
    await sdk.runs.wait(thread_id, graph, input={})
    return thread_id


async def answers(sdk: Sdk, thread_id: str) -> list[str]:
    return (await sdk.threads.get_state(thread_id))["values"]["answers"]


# --- reading


async def test_a_state_is_that_of_the_last_step(sdk: Sdk):
    thread_id = await counted(sdk)
    (run,) = await sdk.runs.list(thread_id)
    state: Any = await sdk.threads.get_state(thread_id)
    assert set(state) == STATE_FIELDS
    assert state["values"] == {"total": 3, "log": ["one", "two", "three"]}
    assert (state["next"], state["tasks"], state["interrupts"]) == ([], [], [])
    assert state["checkpoint"]["thread_id"] == thread_id
    assert state["checkpoint"]["checkpoint_ns"] == ""
    assert state["checkpoint"]["checkpoint_id"] == state["checkpoint_id"]
    assert state["parent_checkpoint"]["checkpoint_id"] == state["parent_checkpoint_id"]
    assert (state["metadata"]["source"], state["metadata"]["step"]) == ("loop", 3)
    assert state["metadata"]["run_id"] == run["run_id"]


async def test_a_thread_that_never_ran_has_an_empty_state(sdk: Sdk):
    state: Any = await sdk.threads.get_state(await new_thread(sdk))
    assert not state["values"]
    assert state["next"] == []
    assert await sdk.threads.get_history(await new_thread(sdk)) == []


async def test_an_earlier_state_is_read_by_its_id_and_by_its_checkpoint(sdk: Sdk):
    thread_id = await counted(sdk)
    history = await sdk.threads.get_history(thread_id)
    assert [state["values"]["total"] for state in history[:-1]] == [3, 2, 1, 0]
    wanted = history[1]
    by_id = await sdk.threads.get_state(thread_id, checkpoint_id=wanted["checkpoint"]["checkpoint_id"])
    by_checkpoint = await sdk.threads.get_state(thread_id, checkpoint=wanted["checkpoint"])
    assert by_id["values"] == by_checkpoint["values"] == {"total": 2, "log": ["one", "two"]}
    assert by_id["next"] == by_checkpoint["next"] == ["three"]


async def test_a_state_of_another_thread_is_not_found_here(sdk: Sdk):
    mine, other = await counted(sdk), await counted(sdk, 40)
    foreign = (await sdk.threads.get_state(other))["checkpoint"]["checkpoint_id"]
    answer = await sdk.http.client.get(f"/threads/{mine}/state/{foreign}")
    assert answer.status_code == 404 or not answer.json()["values"]


async def test_only_what_was_selected_of_a_state_comes(sdk: Sdk):
    thread_id = await counted(sdk)
    state = await sdk.threads.get_state(thread_id, select=["values", "next"])
    assert set(state) == {"values", "next"}
    assert state["values"]["total"] == 3
    part = await sdk.threads.get_state(thread_id, select=["values.total"])
    assert part["values"] == {"total": 3}
    history = await sdk.threads.get_history(thread_id, select=["checkpoint"])
    assert all(set(found) == {"checkpoint"} for found in history)


async def test_history_pages_by_all_three_forms_of_before(sdk: Sdk):
    thread_id = await counted(sdk)
    history = await sdk.threads.get_history(thread_id)
    assert len(history) == 5
    second = history[1]["checkpoint"]
    expected = [state["checkpoint"]["checkpoint_id"] for state in history[2:]]

    async def ids(before: Any) -> list[str]:
        found = await sdk.threads.get_history(thread_id, before=before)
        return [state["checkpoint"]["checkpoint_id"] for state in found]

    assert await ids({"configurable": {"checkpoint_id": second["checkpoint_id"]}}) == expected
    assert await ids(second) == expected
    assert await ids(second["checkpoint_id"]) == expected


async def test_history_is_bounded_and_filtered(sdk: Sdk):
    thread_id = await counted(sdk)
    assert len(await sdk.threads.get_history(thread_id, limit=2)) == 2
    found = await sdk.threads.get_history(thread_id, metadata={"source": "input"})
    assert [state["metadata"]["source"] for state in found if state["metadata"]] == ["input"]
    plain = await sdk.http.get(f"/threads/{thread_id}/history")
    assert len(plain) == 1
    assert len(await sdk.http.get(f"/threads/{thread_id}/history", params={"limit": 3})) == 3
    with pytest.raises(UnprocessableEntityError):
        await sdk.threads.get_history(thread_id, limit=1001)


async def test_history_of_a_subgraph_is_read_by_its_namespace(sdk: Sdk):
    thread_id = await asked(sdk, "nested")
    state = await sdk.threads.get_state(thread_id, subgraphs=True)
    (task,) = state["tasks"]
    inside: Any = task["state"]
    assert inside["next"] == ["ask"]
    namespace = inside["checkpoint"]["checkpoint_ns"]
    assert namespace.startswith("child:")
    history = await sdk.threads.get_history(thread_id, checkpoint={"checkpoint_ns": namespace})
    assert history[0]["next"] == ["ask"]
    assert {found["checkpoint"]["checkpoint_ns"] for found in history} == {namespace}


# --- changing by hand


async def test_a_change_by_hand_goes_through_the_reducers(sdk: Sdk):
    thread_id = await counted(sdk)
    changed: Any = await sdk.threads.update_state(thread_id, {"total": 10, "log": ["hand"]})
    assert changed["checkpoint"]["thread_id"] == thread_id
    assert changed["checkpoint"]["checkpoint_id"] == changed["checkpoint_id"]
    state = await sdk.threads.get_state(thread_id)
    assert state["values"] == {"total": 13, "log": ["one", "two", "three", "hand"]}
    assert state["metadata"]["source"] == "update"
    assert (await sdk.threads.get(thread_id))["values"]["total"] == 13


async def test_a_change_as_a_node_says_what_comes_next(sdk: Sdk):
    thread_id = await counted(sdk)
    await sdk.threads.update_state(thread_id, {"total": 10}, as_node="one")
    assert (await sdk.threads.get_state(thread_id))["next"] == ["two"]
    values = await sdk.runs.wait(thread_id, "counter", input=None)
    assert isinstance(values, dict)
    assert values["total"] == 15


async def test_a_change_that_makes_no_sense_is_a_bad_request(sdk: Sdk):
    with pytest.raises(BadRequestError):
        await sdk.threads.update_state(await counted(sdk), {"total": 1}, as_node="nobody")
    with pytest.raises(BadRequestError):
        await sdk.threads.update_state(await new_thread(sdk), {"total": 1})


async def test_a_busy_thread_cannot_be_changed_by_hand(sdk: Sdk, gate: Gate):
    thread_id = await new_thread(sdk)
    await held(sdk, gate, thread_id)
    with pytest.raises(ConflictError):
        await sdk.threads.update_state(thread_id, {"trail": ["hand"]})


async def test_a_change_of_an_old_state_forks_without_running(sdk: Sdk):
    thread_id = await counted(sdk)
    history = await sdk.threads.get_history(thread_id)
    old = history[2]["checkpoint"]
    fork = await sdk.threads.update_state(thread_id, {"total": 100}, checkpoint=old)
    state = await sdk.threads.get_state(thread_id)
    assert state["values"] == {"total": 101, "log": ["one"]}
    assert state["parent_checkpoint"]["checkpoint_id"] == old["checkpoint_id"]
    assert len(await sdk.runs.list(thread_id)) == 1
    by_id = await sdk.threads.update_state(thread_id, {"total": 200}, checkpoint_id=old["checkpoint_id"])
    assert by_id["checkpoint"] != fork["checkpoint"]
    assert (await sdk.threads.get_state(thread_id))["values"]["total"] == 201


# --- going back


async def test_a_run_from_an_old_state_is_a_new_branch(sdk: Sdk):
    thread_id = await counted(sdk)
    history = await sdk.threads.get_history(thread_id)
    old = history[2]["checkpoint"]
    assert old["checkpoint_id"]
    by_id = await sdk.runs.wait(thread_id, "counter", input=None, checkpoint_id=old["checkpoint_id"])
    by_checkpoint = await sdk.runs.wait(thread_id, "counter", input=None, checkpoint=old)
    assert by_id == by_checkpoint == {"total": 3, "log": ["one", "two", "three"]}
    longer = await sdk.threads.get_history(thread_id, limit=100)
    assert len(longer) > len(history)
    children = [
        state
        for state in longer
        if state["parent_checkpoint"] and state["parent_checkpoint"]["checkpoint_id"] == old["checkpoint_id"]
    ]
    assert len(children) >= 2


async def test_a_run_from_an_old_state_with_input_is_a_fork(sdk: Sdk):
    thread_id = await counted(sdk)
    old = (await sdk.threads.get_history(thread_id))[2]["checkpoint"]
    values = await sdk.runs.wait(thread_id, "counter", input={"total": 50}, checkpoint=old)
    assert values == {"total": 54, "log": ["one", "one", "two", "three"]}


async def test_a_run_from_a_state_that_is_not_there_does_not_start_afresh(sdk: Sdk):
    mine, other = await counted(sdk), await counted(sdk, 40)
    foreign = (await sdk.threads.get_state(other))["checkpoint"]["checkpoint_id"]
    for forged in (foreign, str(uuid4())):
        answer = await sdk.http.client.post(
            f"/threads/{mine}/runs/wait", json={"assistant_id": "counter", "input": None, "checkpoint_id": forged}
        )
        assert answer.status_code in {400, 404, 422} or "__error__" in answer.json()
    assert (await sdk.threads.get_state(mine))["values"]["total"] == 3


# --- asking and answering


async def test_a_question_is_told_and_its_answer_taken(sdk: Sdk):
    thread_id = await new_thread(sdk)
    values: Any = await sdk.runs.wait(thread_id, "ask", input={})
    assert values["answers"] == ["opened"]
    (asked_for,) = values["__interrupt__"]
    assert asked_for["value"] == {"question": "Shall we?"}
    (run,) = await sdk.runs.list(thread_id)
    assert run["status"] == "success"
    state = await sdk.threads.get_state(thread_id)
    assert state["next"] == ["ask"]
    assert [found["id"] for found in state["interrupts"]] == [asked_for["id"]]
    assert [found["id"] for found in state["tasks"][0]["interrupts"]] == [asked_for["id"]]

    values = await sdk.runs.wait(thread_id, "ask", command={"resume": "yes"})
    assert values["answers"] == ["opened", "asked: yes", "closed"]
    thread = await sdk.threads.get(thread_id)
    assert (thread["status"], thread["interrupts"]) == ("idle", {})


async def test_of_two_questions_one_can_be_answered_first(sdk: Sdk):
    thread_id = await new_thread(sdk)
    values: Any = await sdk.runs.wait(thread_id, "ask_two", input={})
    ids = {found["value"]: found["id"] for found in values["__interrupt__"]}
    values = await sdk.runs.wait(thread_id, "ask_two", command={"resume": {ids["right?"]: "R"}})
    assert [found["value"] for found in values["__interrupt__"]] == ["left?"]
    values = await sdk.runs.wait(thread_id, "ask_two", command={"resume": {ids["left?"]: "L"}})
    assert sorted(values["answers"]) == ["closed", "left: L", "right: R"]


async def test_both_questions_are_answered_at_once(sdk: Sdk):
    thread_id = await new_thread(sdk)
    values: Any = await sdk.runs.wait(thread_id, "ask_two", input={})
    resume = {found["id"]: found["value"].upper() for found in values["__interrupt__"]}
    values = await sdk.runs.wait(thread_id, "ask_two", command={"resume": resume})
    assert sorted(values["answers"]) == ["closed", "left: LEFT?", "right: RIGHT?"]


async def test_a_question_inside_a_subgraph_is_answered_from_outside(sdk: Sdk):
    thread_id = await asked(sdk, "nested")
    values: Any = await sdk.runs.wait(thread_id, "nested", command={"resume": "yes"})
    assert values["answers"][-2:] == ["asked: yes", "closed"]


async def test_an_answer_comes_with_a_change_and_a_way_to_go(sdk: Sdk):
    thread_id = await asked(sdk)
    values: Any = await sdk.runs.wait(thread_id, "ask", command={"resume": "yes", "update": {"answers": ["by hand"]}})
    assert set(values["answers"]) == {"opened", "by hand", "asked: yes", "closed"}

    thread_id = await counted(sdk)
    values = await sdk.runs.wait(thread_id, "counter", command={"goto": "three"})
    assert values["log"] == ["one", "two", "three", "three"]
    values = await sdk.runs.wait(
        thread_id, "counter", command={"goto": {"node": "three", "input": {}}, "update": {"log": ["hand"]}}
    )
    assert values["log"][-2:] == ["hand", "three"]


async def test_an_answer_needs_a_thread(sdk: Sdk):
    with pytest.raises(BadRequestError):
        await sdk.runs.create(None, "ask", command={"resume": "yes"})


async def test_an_answer_to_what_was_never_asked_changes_nothing(sdk: Sdk):
    thread_id = await asked(sdk)
    await sdk.runs.wait(thread_id, "ask", command={"resume": {"0" * 32: "yes"}}, raise_error=False)
    assert await answers(sdk, thread_id) == ["opened"]
    assert (await sdk.threads.get(thread_id))["status"] == "interrupted"


async def test_a_stale_answer_fails_when_it_is_to_be_strict(sdk: Sdk):
    thread_id = await asked(sdk)
    values: Any = await sdk.runs.wait(
        thread_id, "ask", command={"resume": {"0" * 32: "yes"}}, strict_resume=True, raise_error=False
    )
    assert values["__error__"]["error"] == "UnknownInterruptError"


async def test_a_run_stops_before_and_after_the_nodes_it_is_told(sdk: Sdk):
    thread_id = await new_thread(sdk)
    values: Any = await sdk.runs.wait(thread_id, "counter", input={"total": 0}, interrupt_before=["two"])
    assert values["log"] == ["one"]
    assert (await sdk.threads.get_state(thread_id))["next"] == ["two"]
    assert (await sdk.threads.get(thread_id))["status"] == "interrupted"
    values = await sdk.runs.wait(thread_id, "counter", input=None, interrupt_after="*")
    assert values["log"] == ["one", "two"]
    values = await sdk.runs.wait(thread_id, "counter", input=None)
    assert values["log"] == ["one", "two", "three"]


# --- durability


@pytest.mark.parametrize(
    ("durability", "states"), [({"durability": "sync"}, 5), ({"durability": "async"}, 5), ({"durability": "exit"}, 1)]
)
async def test_durability_says_how_many_states_are_kept(sdk: Sdk, durability: dict[str, Any], states: int):
    thread_id = await new_thread(sdk)
    await sdk.runs.wait(thread_id, "counter", input={"total": 0}, **durability)
    history = await sdk.threads.get_history(thread_id)
    assert len(history) == states
    assert history[0]["values"]["total"] == 3


@pytest.mark.parametrize(("during", "states"), [(True, 5), (False, 1)])
async def test_the_old_name_of_durability_counts_too(sdk: Sdk, during: bool, states: int):
    thread_id = await new_thread(sdk)
    body = {"assistant_id": "counter", "input": {"total": 0}, "checkpoint_during": during}
    await sdk.http.post(f"/threads/{thread_id}/runs/wait", json=body)
    assert len(await sdk.threads.get_history(thread_id)) == states


async def test_an_unknown_state_is_not_found(sdk: Sdk):
    thread_id = await counted(sdk)
    answer = await sdk.http.client.get(f"/threads/{uuid4()}/state/{uuid4()}")
    assert answer.status_code == 404
    with pytest.raises(NotFoundError):
        await sdk.threads.get_state(str(uuid4()), checkpoint={"checkpoint_id": thread_id})
