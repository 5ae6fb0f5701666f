"""What `docs/extending.md` says is so."""

import re
from pathlib import Path

import pytest

from backend.core.error import InvalidSlot
from backend.core.graph.answer.graph_state import GraphState
from backend.core.graph.node import state_keys
from backend.core.graph.registry import GraphRegistry

DOCS = (Path(__file__).parents[2] / "docs" / "extending.md").read_text(encoding="utf-8")


@pytest.fixture
def sample(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    found = re.search(r"```python\n# (extension/\w+\.py)\n(.*?)```", DOCS, re.DOTALL)
    assert found is not None
    name, source = found.groups()
    (tmp_path / "extension").mkdir()
    (tmp_path / name).write_text(source, encoding="utf-8")
    return tmp_path / name


async def test_the_node_of_the_docs_runs(sample, chat, make_context, passage):
    registry = GraphRegistry(sample.parent)
    await registry.open()
    talk = chat(
        registry.get("answer"),
        make_context("네. [1]", passages=[passage(1, "2020년의 공고입니다."), passage(2, "2026년의 공고입니다.")]),
    )
    state = await talk.say("올해의 공고는?")
    assert [found["passage_id"] for found in state["documents"]] == ["p2", "p1"]
    assert talk.nodes[1:3] == ["retrieve", "prefer_recent"]


async def test_the_sentence_of_the_docs_is_the_one_that_a_wrong_name_gets(sample):
    sample.write_text(sample.read_text().replace('AFTER = ("retrieve",)', 'AFTER = ("retreive",)'))
    with pytest.raises(InvalidSlot) as caught:
        await GraphRegistry(sample.parent).open()
    assert f"```\n{caught.value.detail}\n```" in DOCS


def test_the_docs_name_every_key_of_the_state():
    table = DOCS.split("### The state of `answer`")[1].split("##")[0]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    assert set(re.findall(r"`(\w+)`", "".join(rows))) == set(state_keys(GraphState))


async def test_the_docs_name_every_built_in_agent(tmp_path):
    registry = GraphRegistry(tmp_path)
    await registry.open()
    assert set(re.findall(r"^\| `(\w+)` \|", DOCS.split("## A node")[0], re.MULTILINE)) == set(registry.names())
