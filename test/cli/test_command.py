"""The commands that need neither a server nor the data folder, and the help of all."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from backend.cli.app import app, run_app
from backend.cli.terminal import printable
from test.cli.conftest import ROOT, Terminal

COMMANDS = [
    "serve",
    "ask",
    "ingest",
    "sync",
    "eval",
    "doctor",
    "demo",
    "demo freshdesk",
    "graph",
    "graph list",
    "graph show",
    "new",
    "new graph",
    "new node",
]


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_every_command_has_a_help(command: str) -> None:
    result = CliRunner().invoke(app, [*command.split(), "--help"])
    assert result.exit_code == 0
    assert "Usage: " in result.output


def test_no_command_is_without_a_test_of_its_help() -> None:
    named = [command.name or command.callback.__name__ for command in app.registered_commands if command.callback]
    groups = [str(group.name) for group in app.registered_groups]
    assert sorted([*named, *groups]) == sorted(command for command in COMMANDS if " " not in command)


def test_the_docs_have_every_command_and_every_option() -> None:
    text = (ROOT / "docs/terminal.md").read_text("utf-8")
    for command in COMMANDS:
        if command not in {"graph", "new"}:
            assert f"daedap {command}" in text
            shown = CliRunner().invoke(app, [*command.split(), "--help"], env={"COLUMNS": "200"}).output
            options = set(re.findall(r"^│ \*? *(--[a-z]+)", shown, re.MULTILINE))
            assert "--help" in options
            assert all(option in text for option in options), (command, options)


def test_a_wrong_option_is_exit_code_2() -> None:
    assert CliRunner().invoke(app, ["ask", "Hello", "--colour"]).exit_code == 2
    assert CliRunner().invoke(app, ["serve", "--port", "70000"]).exit_code == 2


def test_the_start_imports_nothing_heavy(terminal: Terminal) -> None:
    heavy = "{'pydantic', 'sqlalchemy', 'langgraph', 'fastapi', 'chromadb', 'httpx', 'numpy'}"
    code = f"import sys, backend.cli.app; assert not {heavy} & sys.modules.keys(), {heavy} & sys.modules.keys()"
    subprocess.run([sys.executable, "-c", code], env=terminal.variables, check=True)


def test_agents_are_listed_and_drawn_with_what_was_added(in_folder: Path) -> None:
    runner = CliRunner()
    assert runner.invoke(app, ["new", "node", "greet", "--agent", "answer", "--after", "retrieve"]).exit_code == 0
    listed = runner.invoke(app, ["graph", "list"])
    assert {"answer", "example"} <= {line.split()[0] for line in listed.output.splitlines()}
    drawn = runner.invoke(app, ["graph", "show", "answer"])
    assert "(added by extension/greet.py)" in drawn.output
    assert "graph TD;" in runner.invoke(app, ["graph", "show", "answer", "--mermaid"]).output
    assert runner.invoke(app, ["graph", "show", "answer", "--output", "picture.mmd"]).exit_code == 0
    assert "greet" in (in_folder / "picture.mmd").read_text()


def test_a_new_graph_is_listed_by_its_config(in_folder: Path) -> None:
    runner = CliRunner()
    made = runner.invoke(app, ["new", "graph", "greeter", "--folder", "mine"])
    assert made.exit_code == 0
    assert "daedap serve --config mine/langgraph.json" in made.output
    assert "greeter" in runner.invoke(app, ["graph", "list", "--config", "mine/langgraph.json"]).output


def test_what_cannot_be_made_is_one_sentence(
    in_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["daedap", "new", "node", "Greet!", "--agent", "answer"])
    with pytest.raises(SystemExit) as caught:
        run_app()
    written = capsys.readouterr()
    assert (caught.value.code, written.out) == (1, "")
    assert written.err.startswith("'Greet!' cannot be the name")
    assert written.err.count("\n") == 1


def test_eval_writes_the_figures(in_folder: Path) -> None:
    pairs = [
        ("연차 휴가는 며칠인가요?", "1년 이상 근무하면 연차 휴가는 15일이다."),
        ("Trains?", "Train tickets are refunded."),
    ]
    lines = [json.dumps({"query": query, "document": document}) for query, document in pairs]
    (in_folder / "pairs.jsonl").write_text("\n".join(lines))
    result = CliRunner().invoke(app, ["eval", "."])
    assert result.exit_code == 0, result.output
    figures = dict(line.split()[:2] for line in result.output.splitlines() if line.startswith("R@"))
    assert figures["R@1"] == "1.0000"
    assert not (in_folder / "data").exists()


def test_a_document_cannot_command_the_terminal() -> None:
    assert printable("\x1b]0;owned\x07답\x9b31m\r\n\t끝") == "]0;owned답31m\n\t끝"
