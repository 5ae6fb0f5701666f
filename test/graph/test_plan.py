"""An agent's own nodes: what does not fit together stops the start."""

from typing import TypedDict

import pytest

from backend.core.error import InvalidGraph
from backend.core.graph.node import Node
from backend.core.graph.plan import lay_out

START = "__start__"


class State(TypedDict):
    text: str


async def work(state: State) -> State:
    return state


def node(name: str, *after: str, choices: tuple[str, ...] = (), reads: tuple[str, ...] = ()) -> Node:
    return Node(name, work, f"node/{name}.py", "AFTER", after, choices, reads)


def test_nodes_stand_where_they_say_whatever_the_order_of_their_names():
    plan = lay_out("mine", [node("a", "b"), node("b", START), node("c", "a")], State)
    assert plan.edges == {START: ["b"], "b": ["a"], "a": ["c"], "c": ["__end__"]}


def test_two_nodes_may_run_side_by_side_and_meet_again():
    plan = lay_out("mine", [node("a", START), node("b", "a"), node("c", "a"), node("d", "b", "c")], State)
    assert plan.edges["a"] == ["b", "c"]
    assert plan.edges["b"] == plan.edges["c"] == ["d"]


def test_a_choice_may_lead_back():
    plan = lay_out("mine", [node("a", START), node("b", "a", choices=("a", "__end__"))], State)
    assert plan.routes == {"b": {"a": "a", "__end__": "__end__"}}


@pytest.mark.parametrize(
    ("nodes", "sentence"),
    [
        ([node("a", "b")], "node/a.py: AFTER names 'b', which agent 'mine' does not have; it has a."),
        (
            [node("a", START), node("b", "a", choices=("c",))],
            "node/b.py: b leads to 'c', which agent 'mine' does not have; it has a, b.",
        ),
        (
            [node("a", START, choices=("b",)), node("b", "a"), node("c", "a")],
            "node/c.py: AFTER names 'a', which chooses among b and never leads to 'c'.",
        ),
        (
            [node("a", START), node("b", "a", "c"), node("c", "b")],
            "node/b.py, node/c.py: agent 'mine' has a cycle that nothing ends: b → c → b.",
        ),
        ([node("a", "a")], "node/a.py: agent 'mine' has a cycle that nothing ends: a → a."),
        (
            [node("a", START), node("b", "c", choices=("c",)), node("c", "b")],
            "node/b.py: nothing leads to 'b' of agent 'mine'; it has a, b, c.",
        ),
        (
            [node("a", START, reads=("texts",))],
            "node/a.py: a reads 'texts', which the state of agent 'mine' does not have; it has text.",
        ),
    ],
)
def test_what_does_not_fit_is_said_in_one_sentence(nodes, sentence):
    with pytest.raises(InvalidGraph) as caught:
        lay_out("mine", nodes, State)
    assert caught.value.detail == sentence
