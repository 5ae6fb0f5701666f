"""Nodes that are added to an agent by a file: where they run, and what a wrong one is told."""

from pathlib import Path

import pytest

from backend.core.error import InvalidGraph, InvalidSlot
from backend.core.graph.registry import GraphRegistry

TEXT = "신청 기간은 2026년 3월 2일부터 3월 20일까지이며 온라인으로만 접수합니다."


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "extension").mkdir()
    return tmp_path / "extension"


@pytest.fixture
def write(folder: Path):
    def write(name: str, place: str, body: str = "return {}", returns: str = "dict", agent: str = "answer") -> None:
        head = (
            "from typing import Literal\nfrom langgraph.graph import START, END\nfrom langgraph.types import Command\n"
        )
        source = f"{head}AGENT = {agent!r}\n{place}\n\nasync def {name}(state, runtime) -> {returns}:\n    {body}\n"
        (folder / f"{name}.py").write_text(source, encoding="utf-8")

    return write


async def opened(folder: Path) -> GraphRegistry:
    registry = GraphRegistry(folder)
    await registry.open()
    return registry


@pytest.fixture
def nodes_run(folder, chat, make_context, passage):
    """Return the nodes that run, in order, for a question that is (not) answered."""

    async def run(evidence: float = 0.9) -> list[str]:
        graph = (await opened(folder)).get("answer")
        talk = chat(graph, make_context(f"{TEXT} [1]", passages=[passage(1, TEXT)], evidence=evidence))
        await talk.say("신청 기간은 언제인가요?")
        return talk.nodes

    return run


async def refusal(folder: Path) -> str:
    with pytest.raises(InvalidSlot) as caught:
        await opened(folder)
    return caught.value.detail


@pytest.mark.parametrize(
    ("place", "answered"),
    [
        ("AFTER = (START,)", ["mine", "condense", "retrieve", "gate", "generate", "check_citations"]),
        ("AFTER = ('retrieve',)", ["condense", "retrieve", "mine", "gate", "generate", "check_citations"]),
        ("BEFORE = 'gate'", ["condense", "retrieve", "mine", "gate", "generate", "check_citations"]),
        ("AFTER = ('gate',)", ["condense", "retrieve", "gate", "mine", "generate", "check_citations"]),
        ("BEFORE = ('generate',)", ["condense", "retrieve", "gate", "mine", "generate", "check_citations"]),
        ("AFTER = ('check_citations',)", ["condense", "retrieve", "gate", "generate", "check_citations", "mine"]),
        ("BEFORE = (END,)", ["condense", "retrieve", "gate", "generate", "check_citations", "mine"]),
    ],
)
async def test_an_added_node_runs_in_its_place_and_the_choice_of_the_gate_survives(nodes_run, write, place, answered):
    write("mine", place)
    assert await nodes_run() == answered
    refused = await nodes_run(evidence=0.1)
    assert refused[-1 if refused[-1] != "mine" else -2] == "refuse"
    assert "generate" not in refused


async def test_a_node_before_one_of_the_choices_runs_for_that_one_alone(nodes_run, write):
    write("mine", "BEFORE = 'generate'")
    assert "mine" not in await nodes_run(evidence=0.1)


async def test_a_node_after_a_choice_runs_whatever_is_chosen(nodes_run, write):
    write("mine", "AFTER = 'gate'")
    assert await nodes_run(evidence=0.1) == ["condense", "retrieve", "gate", "mine", "refuse"]


async def test_the_choice_travels_through_several_added_nodes_in_the_order_of_their_names(nodes_run, write):
    write("a_first", "AFTER = 'gate'")
    write("b_second", "AFTER = 'gate'")
    write("c_third", "AFTER = 'b_second'")
    write("d_last", "BEFORE = 'generate'")
    assert await nodes_run() == [
        "condense", "retrieve", "gate", "a_first", "b_second", "c_third", "d_last", "generate", "check_citations",
    ]  # fmt: skip
    assert (await nodes_run(evidence=0.1))[-2:] == ["c_third", "refuse"]


async def test_the_passed_on_choice_does_not_reach_the_added_node_nor_the_result(
    folder, write, chat, make_context, passage
):
    write("mine", "AFTER = 'gate'", "assert 'route' not in state; return {'evidence': 1.0}")
    talk = chat((await opened(folder)).get("answer"), make_context(f"{TEXT} [1]", passages=[passage(1, TEXT)]))
    state = await talk.say("신청 기간은?")
    assert "route" not in state
    assert state["evidence"] == 1.0


async def test_two_nodes_at_one_place_run_in_the_order_of_their_names(nodes_run, write):
    for name in ("b", "a"):
        write(name, "AFTER = 'retrieve'")
    for name in ("y", "x"):
        write(name, "BEFORE = 'gate'")
    assert (await nodes_run())[2:-3] == ["a", "b", "x", "y"]


async def test_a_node_takes_the_place_of_another_also_for_those_that_name_the_other(nodes_run, write):
    write("template_answer", "REPLACE = 'generate'", "return {'answer': 'hello'}")
    write("log", "AFTER = 'generate'")
    assert (await nodes_run())[3:] == ["template_answer", "log", "check_citations"]


async def test_a_node_that_takes_the_place_of_a_choice_chooses_itself(nodes_run, write):
    write("strict_gate", "REPLACE = 'gate'", "return Command(goto='refuse')", "Command[Literal['refuse', 'generate']]")
    assert await nodes_run() == ["condense", "retrieve", "strict_gate", "refuse"]


async def test_an_added_node_may_choose_where_to_go(nodes_run, write):
    write("shortcut", "BEFORE = 'retrieve'", "return Command(goto=END)", "Command[Literal['retrieve', '__end__']]")
    assert await nodes_run() == ["condense", "shortcut"]


async def test_an_added_node_is_in_the_picture(folder, write):
    write("mine", "AFTER = 'retrieve'")
    picture = (await opened(folder)).get("answer").get_graph().draw_mermaid()
    assert "retrieve --> mine" in picture
    assert "mine --> gate" in picture


async def test_tests_and_helpers_in_the_folder_are_no_nodes(folder, write):
    write("mine", "AFTER = 'retrieve'")
    for name in ("test_mine.py", "_shared.py", "conftest.py"):
        (folder / name).write_text("raise RuntimeError", encoding="utf-8")
    assert [node.name for node in (await opened(folder)).added("answer")] == ["mine"]


NODES = "it has check_citations, condense, gate, generate, refuse, retrieve."
ANSWER_STATE = "messages, query, documents, evidence, enough, answer, citations, unsupported, refused"


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (
            {"place": "AFTER = 'retreive'"},
            f"extension/mine.py: AFTER names 'retreive', which agent 'answer' does not have; {NODES}",
        ),
        (
            {"place": "BEFORE = 'x'"},
            f"extension/mine.py: BEFORE names 'x', which agent 'answer' does not have; {NODES}",
        ),
        (
            {"place": "AFTER = 'gate'", "agent": "anser"},
            "extension/mine.py: AGENT is 'anser'; the agents that take nodes are answer, copilot, example, summary.",
        ),
        (
            {"place": ""},
            "extension/mine.py: does not say where the node runs; declare AFTER or BEFORE or REPLACE.",
        ),
        (
            {"place": "AFTER = 'gate'\nBEFORE = 'gate'"},
            "extension/mine.py: declares AFTER and BEFORE; a node has one place.",
        ),
        (
            {"place": "BEFORE = ('gate', 'refuse')"},
            "extension/mine.py: BEFORE names gate, refuse; it must name just one node.",
        ),
        ({"place": "AFTER = ()"}, "extension/mine.py: AFTER names none; it must name at least one node."),
        ({"place": "AFTER = 3"}, "extension/mine.py: AFTER must be a tuple of names."),
        (
            {"place": "BEFORE = (START,)"},
            "extension/mine.py: nothing runs before the start of agent 'answer'; write AFTER = (START,).",
        ),
        (
            {"place": "AFTER = (END,)"},
            "extension/mine.py: nothing runs after the end of agent 'answer'; write BEFORE = (END,).",
        ),
        (
            {"place": "AFTER = ('refuse', 'generate')"},
            (
                "extension/mine.py: AFTER names refuse, generate of agent 'answer', which lead to different nodes;"
                " name one of them."
            ),
        ),
        (
            {"place": "REPLACE = 'gate'"},
            (
                "extension/mine.py: replaces 'gate' of agent 'answer', which chooses among refuse, generate,"
                " so it must return Command[Literal[…]] with these names."
            ),
        ),
        (
            {"place": "AFTER = 'gate'", "returns": "Command[Literal['refuse', 'elsewhere']]"},
            (
                "extension/mine.py: mine leads to 'elsewhere', which agent 'answer' does not have;"
                " it has check_citations, condense, gate, generate, refuse, retrieve, mine."
            ),
        ),
        (
            {"place": "AFTER = 'gate'", "returns": "Command[Literal['refuse']]"},
            (
                "backend/core/graph/answer/node/check_citations.py: nothing leads to 'check_citations' of agent"
                " 'answer'; it has check_citations, condense, gate, generate, refuse, retrieve, mine."
            ),
        ),
        (
            {"place": "AFTER = 'gate'", "returns": "Command"},
            'extension/mine.py: returns a Command that does not say where it leads; write Command[Literal["a", "b"]].',
        ),
        (
            {"place": "AFTER = 'gate'\nREADS = ('docs',)"},
            (
                "extension/mine.py: mine reads 'docs', which the state of agent 'answer' does not have;"
                f" it has {ANSWER_STATE}."
            ),
        ),
        (
            {"place": "AFTER = 'gate'\nWRITES = ('mood',)"},
            (
                "extension/mine.py: mine writes 'mood', which the state of agent 'answer' does not have;"
                f" it has {ANSWER_STATE}."
            ),
        ),
    ],
)
async def test_a_wrong_place_stops_the_start_with_one_sentence_that_says_where(folder, write, given, sentence):
    write("mine", **given)
    said = await refusal(folder)
    assert said.endswith(sentence)


async def test_a_file_without_its_coroutine_stops_the_start(folder):
    (folder / "mine.py").write_text("AGENT = 'answer'\nAFTER = 'gate'\nasync def yours(state): ...\n", encoding="utf-8")
    assert await refusal(folder) == ("extension/mine.py: has no coroutine named 'mine' as the file is; it has yours.")


async def test_a_plain_function_is_no_coroutine(folder):
    (folder / "mine.py").write_text("AGENT = 'answer'\nAFTER = 'gate'\ndef mine(state): ...\n", encoding="utf-8")
    assert "has no coroutine named 'mine'" in await refusal(folder)


async def test_a_file_that_cannot_be_imported_is_named_with_its_line(folder):
    (folder / "mine.py").write_text("import os\n\nimport no_such_package\n", encoding="utf-8")
    assert await refusal(folder) == (
        "extension/mine.py: cannot be imported: ModuleNotFoundError: No module named 'no_such_package' (line 3)."
    )


async def test_a_file_without_an_agent_is_told_which_there_are(folder):
    (folder / "mine.py").write_text("AFTER = 'gate'\nasync def mine(state): ...\n", encoding="utf-8")
    assert await refusal(folder) == (
        "extension/mine.py: does not say its AGENT; the agents that take nodes are answer, copilot, example, summary."
    )


async def test_a_node_of_a_name_that_is_taken_stops_the_start(folder, write):
    write("retrieve", "AFTER = 'gate'")
    assert await refusal(folder) == (
        "extension/retrieve.py: agent 'answer' already has a node 'retrieve'; name the file otherwise."
    )


async def test_two_nodes_cannot_take_one_place(folder, write):
    write("one", "REPLACE = 'generate'")
    write("two", "REPLACE = 'generate'")
    assert await refusal(folder) == (
        "extension/two.py: replaces 'generate' of agent 'answer', which extension/one.py replaces already."
    )


async def test_added_nodes_that_name_each_other_are_a_cycle(folder, write):
    write("one", "AFTER = 'two'")
    write("two", "AFTER = 'one'")
    assert await refusal(folder) == (
        "extension/one.py, extension/two.py: the added nodes one, two of agent 'answer' wait for each other,"
        " which is a cycle."
    )


async def test_a_key_that_the_state_lacks_is_an_error_when_it_is_returned(folder, write, chat, make_context, passage):
    write("mine", "AFTER = 'retrieve'", "return {'summery': 'x'}")
    talk = chat((await opened(folder)).get("answer"), make_context(passages=[passage(1, TEXT)]))
    with pytest.raises(InvalidGraph) as caught:
        await talk.say("신청 기간은?")
    assert caught.value.detail.startswith(
        "extension/mine.py: mine returned summery, which the state of agent 'answer' does not have; it has answer,"
    )


async def test_a_choice_that_is_not_declared_is_an_error_when_it_is_made(folder, write, chat, make_context, passage):
    write("mine", "AFTER = 'retrieve'", "return Command(goto='refuse')")
    talk = chat((await opened(folder)).get("answer"), make_context(passages=[passage(1, TEXT)]))
    with pytest.raises(InvalidGraph, match="mine chose 'refuse', but does not declare that it chooses"):
        await talk.say("신청 기간은?")


async def test_a_node_of_an_installed_package_is_added(folder, write, monkeypatch, tmp_path):
    package = tmp_path / "site"
    (package / "acme_nodes.dist-info").mkdir(parents=True)
    (package / "acme_nodes.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-nodes\nVersion: 1\n")
    (package / "acme_nodes.dist-info" / "entry_points.txt").write_text("[daedap.node]\ngreet = acme_greet\n")
    (package / "acme_greet.py").write_text(
        "AGENT = 'answer'\nAFTER = 'retrieve'\nasync def acme_greet(state, runtime): return {}\n"
    )
    monkeypatch.syspath_prepend(str(package))
    assert [node.name for node in (await opened(folder)).added("answer")] == ["acme_greet"]
