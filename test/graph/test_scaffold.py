"""`daedap new` and `daedap graph show`: what is written works, and nothing is written over."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from backend.core.error import AgentNotFound, Invalid, InvalidGraph
from backend.core.graph.registry import GraphRegistry
from backend.service.scaffold import new_graph, new_node, show

ROOT = Path(__file__).parents[2]


@pytest.fixture
async def registry(tmp_path: Path) -> GraphRegistry:
    registry = GraphRegistry(tmp_path / "extension")
    await registry.open()
    return registry


def run_pytest(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", "-p", "no:asyncio", "."]
    return subprocess.run(
        command,
        cwd=folder,
        env={"PYTHONPATH": str(ROOT), "PATH": "", "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )


async def test_a_new_graph_and_a_new_node_pass_the_tests_that_are_written_with_them(tmp_path, registry):
    new_graph("greeter", tmp_path)
    new_node("note_length", "answer", tmp_path / "extension", registry=registry, after="retrieve")
    new_node("first_thing", "example", tmp_path / "extension", registry=registry)
    done = run_pytest(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "4 passed" in done.stdout


async def test_a_new_graph_is_served_by_its_langgraph_json(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    written = new_graph("greeter_two", tmp_path)
    assert [str(path.relative_to(tmp_path)) for path in written] == [
        "greeter_two/__init__.py",
        "greeter_two/chain_builder.py",
        "greeter_two/graph_orchestrator.py",
        "greeter_two/graph_state.py",
        "greeter_two/node/__init__.py",
        "greeter_two/node/reply.py",
        "greeter_two/prompt_manager.py",
        "test_greeter_two.py",
        "langgraph.json",
    ]
    registry = GraphRegistry(tmp_path / "extension", [tmp_path / "langgraph.json"])
    await registry.open()
    assert registry.errors() == {}
    assert registry.get("greeter_two").name == "greeter_two"
    assert registry.describe("greeter_two").takes_context is True


def test_a_new_graph_leaves_the_other_entries_as_they_are(tmp_path):
    config = tmp_path / "langgraph.json"
    config.write_text('{"graphs": {"mine": "./mine.py:graph"}, "env": {"A": "1"}}', encoding="utf-8")
    new_graph("greeter", tmp_path)
    assert json.loads(config.read_text()) == {
        "graphs": {"mine": "./mine.py:graph", "greeter": "./greeter/graph_orchestrator.py:graph"},
        "env": {"A": "1"},
    }


@pytest.mark.parametrize("there", ["greeter/graph_state.py", "test_greeter.py"])
def test_nothing_is_written_over_and_nothing_is_left_half_written(tmp_path, there):
    path = tmp_path / there
    path.parent.mkdir(exist_ok=True)
    path.write_text("mine")
    with pytest.raises(Invalid, match="is there already; nothing was written"):
        new_graph("greeter", tmp_path)
    assert [file for file in tmp_path.rglob("*") if file.is_file()] == [path]
    assert path.read_text() == "mine"


def test_a_graph_that_langgraph_json_has_is_not_entered_twice(tmp_path):
    (tmp_path / "langgraph.json").write_text('{"graphs": {"greeter": "./mine.py:graph"}}', encoding="utf-8")
    with pytest.raises(Invalid, match="already has a graph 'greeter'"):
        new_graph("greeter", tmp_path)
    assert not (tmp_path / "greeter").exists()


def test_a_langgraph_json_that_is_none_is_left_alone(tmp_path):
    (tmp_path / "langgraph.json").write_text("{", encoding="utf-8")
    with pytest.raises(InvalidGraph, match="is not JSON"):
        new_graph("greeter", tmp_path)
    assert not (tmp_path / "greeter").exists()


@pytest.mark.parametrize("name", ["", "Greeter", "1st", "a-b", "../up", "class", "test_it", "a" * 41, "인사", "a b"])
async def test_a_name_that_is_no_python_name_is_refused(tmp_path, registry, name):
    for write in (
        lambda: new_graph(name, tmp_path / "new"),
        lambda: new_node(name, "answer", tmp_path / "new", registry=registry),
    ):
        with pytest.raises(Invalid, match="cannot be the name"):
            write()
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("name", ["json", "backend", "example"])
def test_a_name_of_another_package_is_refused(tmp_path, name):
    with pytest.raises(Invalid, match="is taken by a Python package"):
        new_graph(name, tmp_path)


async def test_a_node_is_refused_where_it_has_no_place(tmp_path, registry):
    with pytest.raises(AgentNotFound, match=r"no agent 'anser'\. There are: answer, copilot, example, summary"):
        new_node("mine", "anser", tmp_path, registry=registry)
    with pytest.raises(Invalid, match="already has a node 'retrieve'"):
        new_node("retrieve", "answer", tmp_path, registry=registry)
    with pytest.raises(Invalid, match="has no node 'fetch'; it has check_citations, condense"):
        new_node("mine", "answer", tmp_path, registry=registry, after="fetch")
    new_node("mine", "answer", tmp_path, registry=registry)
    with pytest.raises(Invalid, match="is there already"):
        new_node("mine", "answer", tmp_path, registry=registry)


async def test_the_picture_shows_the_order_the_choices_and_who_added_what(tmp_path, registry, monkeypatch):
    monkeypatch.chdir(tmp_path)
    new_node("mine", "answer", tmp_path / "extension", registry=registry, after="gate")
    registry = GraphRegistry(tmp_path / "extension")
    await registry.open()
    shown = show(registry, "answer")
    assert shown.text.splitlines() == [
        "start            --> condense",
        "condense         --> retrieve",
        "retrieve         --> gate",
        "gate             --> mine",
        "mine             -?> generate or refuse    (added by extension/mine.py)",
        "generate         --> check_citations",
        "check_citations  --> end",
        "refuse           --> end",
    ]
    assert "mine -.-> generate" in shown.mermaid
