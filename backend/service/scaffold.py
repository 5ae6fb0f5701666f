"""`daedap new` and `daedap graph show`: working examples to start from, and the picture of an agent.

A new graph is a copy of the `example` agent under another name, so what developers get is what runs and is tested here.
"""

import importlib.util
import json
import keyword
import re
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from backend.core.error import Invalid, InvalidGraph
from backend.core.graph.picture import Picture, picture
from backend.core.graph.registry import GraphRegistry

_EXAMPLE = "backend.core.graph.example"
_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")


def show(registry: GraphRegistry, name: str) -> Picture:
    """Return the picture of an agent, added nodes included.

    Raises:
        AgentNotFound: there is none of this name.
    """
    return picture(registry.get(name), registry.added(name))


def new_graph(name: str, folder: Path) -> list[Path]:
    """Write a working agent `name` with its test into `folder`, and enter it in the `langgraph.json` there.

    Returns:
        What was written: the agent's files, its test, and `langgraph.json`, whose other entries stay as they are.

    Raises:
        Invalid: the name cannot be used, or something of this name is there already; nothing is written then.
    """
    _check_name(name)
    if name == "example" or importlib.util.find_spec(name) is not None:
        raise Invalid(f"The name {name!r} is taken by a Python package; choose another.")
    new = {folder / name / path: _as(name, text) for path, text in _example(files(_EXAMPLE))}
    new[folder / name / "__init__.py"] = f'"""The `{name}` agent."""\n'
    main = folder / name / "graph_orchestrator.py"
    new[main] = new[main].replace("import Orchestrator", "import Graph, Orchestrator") + _FACTORY
    new[folder / f"test_{name}.py"] = _GRAPH_TEST.replace("NAME", name)
    config = folder / "langgraph.json"
    entered = _enter(config, name)
    _write(new)
    config.write_text(entered, encoding="utf-8")
    return [*sorted(new), config]


def new_node(name: str, agent: str, folder: Path, *, registry: GraphRegistry, after: str | None = None) -> list[Path]:
    """Write a working node `name` for `agent` with its test into the extension folder.

    Args:
        name: of the file and its coroutine.
        agent: one of those that take nodes.
        folder: the extension folder.
        registry: opened; it knows the agents and their nodes.
        after: the node behind which it runs; without one, it is the first.

    Returns:
        The node's file and its test.

    Raises:
        Invalid: the name or the place cannot be used, or the file is there already; nothing is written then.
    """
    _check_name(name)
    nodes = registry.nodes(agent)
    if name in nodes:
        raise Invalid(f"Agent {agent!r} already has a node {name!r}; choose another name.")
    if after is not None and after not in nodes:
        raise Invalid(f"Agent {agent!r} has no node {after!r}; it has {', '.join(nodes)}.")
    place = f'("{after}",)' if after else "(START,)"
    imports = "" if after else "from langgraph.constants import START\n"
    source = (
        _NODE.replace("AGENT_NAME", agent).replace("NAME", name).replace("PLACE", place).replace("IMPORTS", imports)
    )
    test = _NODE_TEST.replace("AGENT_NAME", agent).replace("NAME", name)
    new = {folder / f"{name}.py": source, folder / f"test_{name}.py": test}
    _write(new)
    return list(new)


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name) or keyword.iskeyword(name) or name.startswith("test_"):
        raise Invalid(
            f"{name[:60]!r} cannot be the name: use small letters, digits and underscores, a letter first, at most 40,"
            " no word of Python's own, and not test_ in front."
        )


def _example(folder: Traversable, inside: str = "") -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for item in folder.iterdir():
        if item.is_dir() and item.name != "__pycache__":
            found += _example(item, f"{inside}{item.name}/")
        elif item.name.endswith(".py"):
            found.append((f"{inside}{item.name}", item.read_text(encoding="utf-8")))
    return found


def _as(name: str, text: str) -> str:
    """Return a file of the example under another name."""
    text = text.replace(_EXAMPLE, name).replace('"example"', f'"{name}"').replace("`example`", f"`{name}`")
    title = name.replace("_", " ").capitalize()
    return re.sub(r'(TITLE: ClassVar = )".*"', rf'\1"{title}"', text)


def _enter(config: Path, name: str) -> str:
    """Return the text of `config` with the graph entered."""
    data: object = {"dependencies": ["."], "graphs": {}}
    if config.exists():
        try:
            data = json.loads(config.read_text(encoding="utf-8"))
        except ValueError as problem:
            raise InvalidGraph(f"{config}: is not JSON: {problem}.") from None
    graphs = data.setdefault("graphs", {}) if isinstance(data, dict) else None
    if not isinstance(graphs, dict):
        raise InvalidGraph(f'{config}: "graphs" must map a name to "./file.py:graph".')
    if name in graphs:
        raise Invalid(f"{config} already has a graph {name!r}; choose another name.")
    graphs[name] = f"./{name}/graph_orchestrator.py:graph"
    return json.dumps(data, indent=2, ensure_ascii=False) + "\n"


def _write(new: dict[Path, str]) -> None:
    """Write all of the files, or none when one is there."""
    for path in new:
        if path.exists():
            raise Invalid(f"{path} is there already; nothing was written.")
    for path, text in new.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:  # never over a file that came in between
            file.write(text)


_FACTORY = '''

def graph() -> Graph:
    """Return the agent's graph: what `langgraph.json` names."""
    return GraphOrchestrator().build()
'''

_FAKES = '''

class NoRetriever:
    async def retrieve(self, query: str, *, limit: int = 6) -> Retrieval:
        return Retrieval(query, (), 0.0, enough=False)


def context(*lines: str) -> Context:
    """What the nodes may use, with a model that says `lines` in turn."""
    return Context(
        tenant_id="default",
        user_id="tester",
        model=GenericFakeChatModel(messages=iter(lines)),
        retriever=NoRetriever(),
        clock=lambda: datetime.now(UTC),
    )
'''

_GRAPH_TEST = (
    '''"""The `NAME` agent, with a model that says what it is told."""

import asyncio
from datetime import UTC, datetime

from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command

from backend.core.graph.context import Context
from backend.dto.knowledge import Retrieval
from NAME.graph_orchestrator import graph
'''
    + _FAKES
    + """

def say(agent, given, *lines: str) -> dict:
    config = {"configurable": {"thread_id": "test"}}
    return asyncio.run(agent.ainvoke(given, config, context=context(*lines)))


def human(text: str) -> dict:
    return {"messages": [{"role": "user", "content": text}]}


def test_it_replies_and_remembers():
    agent = graph().copy({"checkpointer": InMemorySaver()})
    assert say(agent, human("Hello"), "Hello, who are you?")["answer"] == "Hello, who are you?"
    state = say(agent, human("I am Kim"), "Nice to meet you, Kim.")
    assert [message.text for message in state["messages"]] == [
        "Hello",
        "Hello, who are you?",
        "I am Kim",
        "Nice to meet you, Kim.",
    ]


def test_it_waits_for_a_person_when_it_is_told_to():
    agent = graph().copy({"checkpointer": InMemorySaver()})
    paused = say(agent, human("/ask Is it raining?"))
    assert paused["__interrupt__"][0].value["text"] == "Is it raining?"
    assert say(agent, Command(resume=True), "It is.")["answer"] == "It is."
"""
)

_NODE = '''"""NAME: added to the agent `AGENT_NAME`. `daedap graph show AGENT_NAME` shows where it runs."""

from typing import Any

IMPORTSfrom langgraph.runtime import Runtime
from loguru import logger

from backend.core.graph.context import Context

AGENT = "AGENT_NAME"
AFTER = PLACE  # or BEFORE = ("…",), or REPLACE = "…"
READS = ("messages",)


async def NAME(state: dict[str, Any], runtime: Runtime[Context]) -> dict[str, Any]:
    """Tell the reader how long the conversation is. Reads `messages`, changes nothing.

    What is returned changes the state: {"answer": "…"}. What is written to the stream reaches the client as it is.
    """
    runtime.stream_writer({"type": "NAME", "messages": len(state["messages"])})
    logger.info("NAME: tenant {tenant}", tenant=runtime.context.tenant_id)
    return {}
'''

_NODE_TEST = (
    '''"""The added node `NAME` in its agent, with a model that says what it is told."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

from langchain_core.language_models.fake_chat_models import GenericFakeChatModel

from backend.core.graph.context import Context
from backend.core.graph.registry import GraphRegistry
from backend.dto.knowledge import Retrieval
'''
    + _FAKES
    + """

async def run() -> list[tuple[str, dict]]:
    registry = GraphRegistry(Path(__file__).parent)
    await registry.open()
    given = {"messages": [{"role": "user", "content": "Hello"}]}
    modes = ["updates", "custom"]
    agent = registry.get("AGENT_NAME")
    return [event async for event in agent.astream(given, context=context("Hello."), stream_mode=modes)]


def test_it_runs_in_its_place_and_speaks():
    events = asyncio.run(run())
    assert "NAME" in [node for mode, update in events if mode == "updates" for node in update]
    assert ("custom", {"type": "NAME", "messages": 1}) in events
"""
)
