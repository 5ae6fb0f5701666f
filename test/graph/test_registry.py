"""Which agents there are: built in, and of a `langgraph.json`."""

import json
from pathlib import Path

import pytest

from backend.core.error import AgentNotFound, InvalidGraph
from backend.core.graph.context import Context
from backend.core.graph.registry import GraphRegistry

GRAPH = """
from typing import TypedDict
from langgraph.graph import StateGraph, START

class State(TypedDict):
    text: str

async def shout(state: State) -> State:
    return {"text": state["text"].upper()}

builder = StateGraph(State).add_node(shout).add_edge(START, "shout")
graph = builder.compile()

def factory():
    return builder

def with_config(config):
    assert config["configurable"] == {}
    return builder.compile()

async def slow():
    return graph

async def keyword(*, config):
    return graph

def broken():
    raise RuntimeError("no key")

number = 5

def greedy(one, two): ...
"""


@pytest.fixture
def configured(tmp_path: Path):
    (tmp_path / "agent.py").write_text(GRAPH, encoding="utf-8")

    async def opened(graphs: dict, **more) -> GraphRegistry:
        path = tmp_path / "langgraph.json"
        path.write_text(json.dumps({"graphs": graphs, **more}), encoding="utf-8")
        registry = GraphRegistry(tmp_path / "extension", [path])
        await registry.open()
        return registry

    return opened


async def test_the_built_in_agents_are_there_and_are_described(tmp_path):
    registry = GraphRegistry(tmp_path)
    await registry.open()
    assert {"answer", "example"} <= set(registry.names())
    answer = registry.describe("answer")
    assert (answer.name, answer.title, answer.built_in) == ("answer", "Answer from documents", True)
    assert registry.get("answer") is registry.get("answer")
    assert registry.get("answer").checkpointer is None
    assert registry.get("answer").context_schema is Context


async def test_an_unknown_agent_is_told_which_there_are(tmp_path):
    registry = GraphRegistry(tmp_path)
    await registry.open()
    for ask in (registry.get, registry.describe):
        with pytest.raises(AgentNotFound, match=r"There is no agent 'anser'\. There are: answer, "):
            ask("anser")


@pytest.mark.parametrize("name", ["graph", "builder", "factory", "with_config", "slow", "keyword"])
async def test_a_graph_of_langgraph_json_is_served_in_each_of_its_forms(configured, name):
    registry = await configured({"loud": f"./agent.py:{name}"})
    assert registry.errors() == {}
    async with registry.use("loud") as graph:
        assert await graph.ainvoke({"text": "hi"}) == {"text": "HI"}
    assert "loud" in registry.names()
    assert registry.describe("loud").built_in is False
    assert registry.describe("loud").takes_context is False


async def test_a_graph_may_be_a_module_and_have_a_description(configured, tmp_path, monkeypatch):
    (tmp_path / "loud_package").mkdir()
    (tmp_path / "loud_package" / "inner.py").write_text(GRAPH, encoding="utf-8")
    monkeypatch.setattr("sys.path", list(__import__("sys").path))
    registry = await configured({"loud": {"path": "loud_package.inner:graph", "description": "Shouts."}})
    assert registry.describe("loud").description == "Shouts."
    assert await registry.get("loud").ainvoke({"text": "hi"}) == {"text": "HI"}


async def test_dependencies_and_environment_are_there_before_the_graph_is_imported(configured, tmp_path, monkeypatch):
    monkeypatch.setattr("sys.path", list(__import__("sys").path))
    monkeypatch.setenv("LOUD_TONE", "kept")
    monkeypatch.delenv("LOUD_WORD", raising=False)
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "loud_helper.py").write_text(
        "import os\nWORD = os.environ['LOUD_WORD'] + os.environ['LOUD_TONE']\n"
    )
    (tmp_path / "agent.py").write_text("import loud_helper\n" + GRAPH, encoding="utf-8")
    (tmp_path / ".env").write_text("LOUD_WORD=hey\nLOUD_TONE=soft\n")
    registry = await configured({"loud": "./agent.py:graph"}, dependencies=["./lib", "langchain"], env=".env")
    assert registry.errors() == {}
    assert __import__("loud_helper").WORD == "heykept"
    monkeypatch.delenv("LOUD_WORD")


async def test_a_graph_with_a_checkpointer_of_its_own_is_served_without(configured, tmp_path):
    source = (
        GRAPH + "\nfrom langgraph.checkpoint.memory import InMemorySaver\nkept = builder.compile(InMemorySaver())\n"
    )
    (tmp_path / "agent.py").write_text(source, encoding="utf-8")
    assert (await configured({"loud": "./agent.py:kept"})).get("loud").checkpointer is None


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("./agent.py:nothing", "there is no such name; the graphs there are builder, graph."),
        ("./agent.py:number", "is int, not a graph."),
        ("./agent.py:broken", "cannot be made: RuntimeError: no key"),
        ("./agent.py:greedy", "takes one, two; a factory takes nothing, a config (RunnableConfig), a runtime"),
        ("./nowhere.py:graph", "there is no file"),
        ("no_such_package:graph", "cannot be imported: ModuleNotFoundError: No module named 'no_such_package'"),
    ],
)
async def test_a_graph_that_fails_is_recorded_and_the_others_are_served(configured, path, reason):
    registry = await configured({"bad": path, "loud": "./agent.py:graph"})
    assert "bad" not in registry.names()
    assert await registry.get("loud").ainvoke({"text": "hi"}) == {"text": "HI"}
    assert f"graph 'bad' ({path})" in registry.errors()["bad"]
    assert reason in registry.errors()["bad"]
    with pytest.raises(InvalidGraph, match="graph 'bad'"):
        registry.get("bad")


async def test_a_failed_graph_of_a_built_in_name_is_not_answered_by_the_built_in_agent(configured):
    registry = await configured({"answer": "./agent.py:broken"})
    assert "answer" not in registry.names()
    with pytest.raises(InvalidGraph):
        registry.get("answer")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("{", "is not JSON"),
        ("[]", '"graphs" must map'),
        ('{"graphs": {}}', '"graphs" must map'),
        ('{"graphs": {"a": 3}}', '"graphs.a" must be "./file.py:graph"'),
        ('{"graphs": {"a": "file.py"}}', '"graphs.a" must be "./file.py:graph"'),
        ('{"graphs": {"a": "b:c"}, "dependencies": ["./none"]}', "names the folder './none', which is not there"),
        ('{"graphs": {"a": "b:c"}, "env": ".none"}', "names the file '.none', which is not there"),
        ('{"graphs": {"a": "b:c"}, "env": 3}', '"env" must be a map or the name of a file'),
    ],
)
async def test_a_wrong_langgraph_json_stops_the_start(tmp_path, content, sentence):
    path = tmp_path / "langgraph.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(InvalidGraph) as caught:
        await GraphRegistry(tmp_path, [path]).open()
    assert sentence in caught.value.detail
    assert str(path) in caught.value.detail


async def test_a_missing_langgraph_json_stops_the_start(tmp_path):
    with pytest.raises(InvalidGraph, match="cannot be read: No such file"):
        await GraphRegistry(tmp_path, [tmp_path / "langgraph.json"]).open()
