"""A `langgraph.json`: its graphs in each form, several files at once, and what it asks of the server."""

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from loguru import logger

from backend.cli.serve import look
from backend.config.setting import Settings
from backend.core.error import Forbidden, InvalidGraph
from backend.core.graph.project_reader import read_project, read_projects
from backend.core.graph.registry import GraphRegistry, takes_context

BASE = """
import contextlib, threading, time
from dataclasses import dataclass
from typing import TypedDict
from langchain_core.runnables import RunnableConfig
from langgraph.func import entrypoint
from langgraph.graph import StateGraph, START
from langgraph_sdk.runtime import ServerRuntime

class State(TypedDict):
    text: str

SEEN = []

def said(text):
    def speak(state: State) -> State:
        return {"text": f"{text}:{state['text']}"}
    return StateGraph(State).add_node("speak", speak).add_edge(START, "speak")
"""

FACTORIES = {
    "config": "def make(config: RunnableConfig): return said(config['configurable']['who'])",
    "untyped": "async def make(anything): return said(anything['configurable']['who']).compile()",
    "optional": "def make(config: RunnableConfig | None = None): return said(config['configurable']['who'])",
    "runtime": "async def make(runtime: ServerRuntime): return said(runtime.ensure_user().identity)",
    "by name": "def make(runtime): return said(runtime.user['identity'])",
    "both": "def make(rt: ServerRuntime, config: RunnableConfig): return said(rt.user.identity)",
    "either order": "def make(config, runtime): return said(runtime.user.identity)",
    "keyword": "async def make(*, runtime): return said(runtime.user.identity)",
    "later annotations": "def make(rt: 'ServerRuntime[None]'): return said(rt.user.identity)",
    "async manager": (
        "@contextlib.asynccontextmanager\nasync def make(config: RunnableConfig):\n"
        "    yield said(config['configurable']['who'])"
    ),
    "manager": "@contextlib.contextmanager\ndef make(runtime: ServerRuntime):\n    yield said(runtime.user.identity)",
    "manager of nothing": "@contextlib.asynccontextmanager\nasync def make():\n    yield said('ada')",
}

Opened = Callable[..., Awaitable[GraphRegistry]]


@pytest.fixture
def opened(tmp_path: Path) -> Opened:
    """Write a graph file and a `langgraph.json` for it, and open the registry over it."""

    async def open_registry(code: str, graphs: dict[str, Any] | None = None, **more: Any) -> GraphRegistry:
        (tmp_path / "agent.py").write_text(BASE + code + "\n", encoding="utf-8")
        path = tmp_path / "langgraph.json"
        path.write_text(json.dumps({"graphs": graphs or {"it": "./agent.py:make"}, **more}), encoding="utf-8")
        registry = GraphRegistry(tmp_path / "extension", [path])
        await registry.open()
        return registry

    return open_registry


async def answer(registry: GraphRegistry, **options: Any) -> str:
    async with registry.use("it", **options) as graph:
        result = await graph.ainvoke({"text": "hi"})
    return str(result["text"])


@pytest.mark.parametrize("form", FACTORIES)
async def test_a_factory_is_called_for_each_use_with_what_it_takes(opened: Opened, form: str) -> None:
    registry = await opened(FACTORIES[form])
    assert registry.errors() == {}
    assert registry.static("it") is None
    for who in ("ada", "ada" if form == "manager of nothing" else "bob"):
        config = {"configurable": {"who": who}}
        assert await answer(registry, config=config, user={"identity": who}) == f"{who}:hi"


async def test_a_factory_that_takes_nothing_is_called_once(opened: Opened) -> None:
    registry = await opened("def make():\n    SEEN.append(1)\n    return said(str(len(SEEN)))")
    graph = registry.static("it")
    assert graph is not None
    assert graph is registry.static("it")
    assert await answer(registry) == await answer(registry) == "1:hi"


async def test_a_factory_sees_an_execution_only_in_a_run(opened: Opened) -> None:
    code = (
        "@dataclass\nclass Mine:\n    tone: str\n\n"
        "def make(runtime: ServerRuntime[Mine]):\n"
        "    run = runtime.execution_runtime\n"
        "    return said(f'{runtime.access_context} {run.context.tone if run else None} {runtime.store}')"
    )
    registry = await opened(code)
    assert await answer(registry, access_context="assistants.read") == "assistants.read None None:hi"
    store: Any = "the store"
    run = await answer(registry, access_context="threads.create_run", context={"tone": "soft"}, store=store)
    assert run == "threads.create_run soft the store:hi"


async def test_what_a_factory_changes_in_its_config_is_not_the_callers(opened: Opened) -> None:
    registry = await opened("def make(config):\n    config['configurable']['x'] = 1\n    return said('a')")
    given: Any = {"configurable": {}}
    await answer(registry, config=given)
    assert given == {"configurable": {}}


async def test_a_context_manager_is_left_after_the_use_also_by_an_error(opened: Opened, tmp_path: Path) -> None:
    code = (
        "@contextlib.asynccontextmanager\nasync def make(config):\n"
        f"    import pathlib\n    file = pathlib.Path({str(tmp_path)!r}) / 'left'\n"
        "    try:\n        yield said('a')\n    except ZeroDivisionError:\n        file.write_text('by an error')\n"
        "        raise\n    else:\n        file.write_text('in order')"
    )
    registry = await opened(code)
    assert await answer(registry) == "a:hi"
    assert (tmp_path / "left").read_text() == "in order"
    with pytest.raises(ZeroDivisionError):
        async with registry.use("it"):
            raise ZeroDivisionError
    assert (tmp_path / "left").read_text() == "by an error"


async def test_a_factory_that_wants_a_user_refuses_nobody_and_its_failures_name_the_graph(opened: Opened) -> None:
    registry = await opened(
        "def make(runtime):\n    runtime.ensure_user()\n    return 5",
    )
    with pytest.raises(Forbidden, match="No authenticated user"):
        await answer(registry)
    with pytest.raises(InvalidGraph, match=r"graph 'it' \(\./agent\.py:make\): is int, not a graph"):
        await answer(registry, user={"identity": "ada"})


async def test_imports_and_factories_do_not_run_on_the_loop(opened: Opened) -> None:
    code = (
        "IMPORTED = threading.current_thread() is threading.main_thread()\n"
        "def make(config):\n"
        "    return said(f'{IMPORTED} {threading.current_thread() is threading.main_thread()}')"
    )
    assert await answer(await opened(code)) == "False False:hi"


async def test_the_functional_api_is_served(opened: Opened) -> None:
    registry = await opened("@entrypoint()\nasync def make(text: str) -> str:\n    return text.upper()")
    async with registry.use("it") as graph:
        assert await graph.ainvoke("hi") == "HI"
        assert not takes_context(graph)


async def test_stream_transformers_beside_a_graph_are_made_for_each_run(opened: Opened) -> None:
    registry = await opened("make = said('a')\ndef stream_transformers():\n    return [object()]")
    first, second = registry.transformers("it"), registry.transformers("it")
    assert len(first) == len(second) == 1
    assert first[0] is not second[0]
    assert registry.transformers("answer") == []


async def test_a_file_of_a_package_is_that_packages_module(opened: Opened, tmp_path: Path) -> None:
    package = tmp_path / "src" / "shop_agent"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "tone.py").write_text("TONE = 'soft'\n")
    (package / "graph.py").write_text(BASE + "from .tone import TONE\nmake = said(TONE)\n")
    registry = await opened("", {"it": "./src/shop_agent/graph.py:make", "too": "shop_agent.graph:make"})
    assert registry.errors() == {}
    assert await answer(registry) == "soft:hi"
    graph = __import__("shop_agent.graph").graph
    assert graph.__name__ == "shop_agent.graph"


async def test_a_graph_in_javascript_is_told_apart(opened: Opened) -> None:
    registry = await opened("make = said('a')", {"it": "./agent.py:make", "web": "./agent.ts:graph"})
    assert "it" in registry.names()
    assert "is JavaScript or TypeScript" in registry.errors()["web"]


def write(folder: Path, **content: Any) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / "langgraph.json"
    path.write_text(json.dumps({"graphs": {folder.name: "a.b:c"}, **content}), encoding="utf-8")
    return path


async def test_several_projects_are_served_beside_the_built_in_agents(tmp_path: Path) -> None:
    paths = []
    for name in ("one", "two"):
        paths.append(write(tmp_path / name, graphs={name: "./agent.py:make"}))
        (tmp_path / name / "agent.py").write_text(BASE + f"make = said({name!r})", encoding="utf-8")
    registry = GraphRegistry(tmp_path / "extension", paths)
    await registry.open()
    assert {"one", "two", "answer"} <= set(registry.names())
    for name in ("one", "two"):
        graph = registry.static(name)
        assert graph is not None
        assert await graph.ainvoke({"text": "hi"}) == {"text": f"{name}:hi"}


def test_two_projects_cannot_have_a_graph_of_one_name_or_each_say_who_may_come_in(tmp_path: Path) -> None:
    one, two = write(tmp_path / "one"), write(tmp_path / "two", graphs={"one": "a.b:c"})
    with pytest.raises(InvalidGraph, match=f'{two}: "graphs.one" stands in {one} too'):
        read_projects([one, two])
    auth = {"path": "./auth.py:auth"}
    one, two = write(tmp_path / "one", auth=auth), write(tmp_path / "two", auth=auth)
    with pytest.raises(InvalidGraph, match=f'{two}: "auth" stands in {one} too'):
        read_projects([one, two])


def test_the_sections_are_read(tmp_path: Path) -> None:
    path = write(
        tmp_path / "it",
        store={
            "index": {"dims": 8, "embed": "./embed.py:texts", "fields": ["$"]},
            "ttl": {"default_ttl": 10, "refresh_on_read": False, "sweep_interval_minutes": 1},
        },
        checkpointer={"ttl": {"strategy": "keep_latest", "default_ttl": 5}, "serde": {"allowed_msgpack_modules": None}},
        auth={"path": "./auth.py:auth", "cache": {"cache_keys": ["authorization"], "ttl_seconds": 5}},
        http={"app": "./web.py:app", "configurable_headers": {"includes": ["x-*"], "excludes": ["x-no"]}},
        webhooks={"url": {"allowed_domains": ["*.example.com"]}, "headers": {"a": "${{ env.LG_WEBHOOK_A }}"}},
    )
    served = read_projects([path])
    assert served.store.index is not None
    assert (served.store.index.dims, str(served.store.index.embed)) == (8, "./embed.py:texts")
    assert served.store.ttl is not None
    assert (served.store.ttl.default_ttl, served.store.ttl.refresh_on_read) == (10.0, False)
    assert served.checkpointer.ttl is not None
    assert served.checkpointer.ttl.strategy == "keep_latest"
    assert served.checkpointer.serde is not None
    assert served.checkpointer.serde.allowed_msgpack_modules is None
    assert served.auth is not None
    assert (served.auth.path.attribute, served.auth.cache and served.auth.cache.cache_keys) == (
        "auth",
        ("authorization",),
    )
    assert served.http.app is not None
    assert served.http.app.where == f'{path}: "http.app" (./web.py:app)'
    assert served.webhooks is not None
    assert served.webhooks.url is not None
    assert served.webhooks.url.require_https is True
    model = read_project(write(tmp_path / "model", store={"index": {"dims": 3, "embed": "openai:text-embedding-3"}}))
    assert model.store is not None
    assert model.store.index is not None
    assert model.store.index.embed == "openai:text-embedding-3"


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ({"store": 3}, '"store" must be a map'),
        ({"store": {"index": {"embed": "a:b"}}}, '"store.index.dims": '),
        ({"store": {"index": {"dims": 3, "embed": "nothing"}}}, '"store.index.embed": must be "provider:model"'),
        ({"store": {"ttl": {"default_ttl": -1}}}, '"store.ttl.default_ttl": '),
        ({"checkpointer": {"ttl": {"strategy": "burn"}}}, '"checkpointer.ttl.strategy": '),
        ({"checkpointer": {"backend": "mongo"}}, '"checkpointer.backend" is not supported'),
        ({"checkpointer": {"path": "./a.py:b"}}, '"checkpointer.path" is not supported'),
        ({"store": {"path": "./a.py:b"}}, '"store.path" is not supported'),
        ({"encryption": {"path": "./a.py:b"}}, '"encryption" is not supported'),
        ({"priority": {}}, '"priority.path": '),
        ({"auth": {}}, '"auth.path": '),
        ({"auth": {"path": "nothing"}}, '"auth.path": must be "./file.py:name"'),
        ({"http": {"middleware_order": "none"}}, '"http.middleware_order": '),
        ({"http": {"mount_prefix": "api"}}, '"http.mount_prefix" must begin with "/"'),
        ({"webhooks": {"url": {"allowed_ports": [0]}}}, '"webhooks.url.allowed_ports.0": '),
    ],
)
def test_a_wrong_section_is_told_with_its_file_and_key(tmp_path: Path, content: Any, sentence: str) -> None:
    path = write(tmp_path / "it", **content)
    with pytest.raises(InvalidGraph) as caught:
        read_project(path)
    assert caught.value.detail.startswith(f"{path}: ")
    assert sentence in caught.value.detail


def test_keys_of_images_are_let_pass_and_unknown_ones_are_warned_of(tmp_path: Path) -> None:
    path = write(
        tmp_path / "it",
        python_version="3.12",
        dockerfile_lines=[],
        grahps={},
        http={"disable_thread": True},
        store={"ttl": {"defaul_ttl": 3}},
    )
    said: list[tuple[str, str]] = []
    sink = logger.add(lambda message: said.append((message.record["level"].name, message.record["message"])))
    try:
        read_projects([path])
    finally:
        logger.remove(sink)
    assert said == [
        ("INFO", f"{path}: these concern the building of an image alone: dockerfile_lines, python_version"),
        (
            "WARNING",
            f"{path}: these keys are unknown and do nothing: grahps, http.disable_thread, store.ttl.defaul_ttl",
        ),
    ]


def test_a_reload_watches_each_project_with_its_dependencies_and_environment(tmp_path: Path) -> None:
    watched = [
        write(tmp_path / "one", dependencies=["../lib"], env=touch(tmp_path / "one" / "prod.env").name),
        write(tmp_path / "two"),
        *map(touch, (tmp_path / "one" / "deep" / "data" / "tool.py", tmp_path / "lib" / "src" / "shared.py")),
        tmp_path / "one" / "prod.env",
    ]
    for passed_over in (".venv/a.py", ".git/a.py", "node_modules/a.json", "__pycache__/a.py", "environment/a.py"):
        touch(tmp_path / "one" / passed_over)
    touch(tmp_path / "one" / "environment" / "pyvenv.cfg")
    touch(tmp_path / "one" / "kept" / "by_the_server.json")
    settings = Settings(
        _env_file=None,
        graph_config=(watched[0], watched[1]),
        data_dir=tmp_path / "one" / "kept",
        extension_dir=tmp_path / "extension",
    )
    found = {Path(name) for name in look(settings) if Path(name).is_relative_to(tmp_path)}
    assert found == set(watched)
    watched[0].write_text("{")  # being edited: it is watched all the same
    assert watched[0] in {Path(name) for name in look(settings)}


def touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path
