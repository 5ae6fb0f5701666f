"""Commands beside a server that owns the data folder: they talk to it."""

import json
import os
import pty
import signal
import subprocess
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from backend.cli.app import app
from test.cli.conftest import HANDBOOK, Served, ended, until

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def filled(served: Served) -> Served:
    """The server, with the handbook taken in by the command."""
    served.terminal.write({**HANDBOOK, "empty.md": ""})
    result = served.terminal.run("ingest", "handbook")
    assert result.code == 1, result.err  # for the empty file
    rows = [" ".join(line.split()) for line in result.out.splitlines()]
    assert "handbook/travel/train.md added 1" in rows
    assert "handbook/휴가.md added 1" in rows
    assert "handbook/empty.md failed The file is empty." in rows
    assert rows[-1] == "3 files: 1 failed, 2 added; 2 passages."
    assert "3/3" in result.err
    return served


def get(served: Served, path: str) -> list[dict[str, Any]]:
    headers = {"Authorization": "Bearer a-long-token-of-default"}
    answer = httpx.get(f"{served.url}/api/v1/{path}", headers=headers, trust_env=False)
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


def test_the_server_took_the_files_in_under_their_names(filled: Served) -> None:
    sources = sorted(document["source"] for document in get(filled, "knowledge/documents"))
    assert sources == ["handbook/travel/train.md", "handbook/휴가.md"]


def test_an_answer_comes_with_its_sources_and_the_conversation_goes_on(filled: Served) -> None:
    first = filled.terminal.run("ask", "직원의 연차 휴가는 며칠인가요?")
    assert first.code == 0, first.err
    assert "연차 휴가는 15일" in first.out
    assert "\n출처\n [1] 휴가 규정 › 연차 휴가 (" in first.out
    thread = first.err.strip().removeprefix("이어서 물으려면: --thread ")
    second = filled.terminal.run("ask", "When are train tickets refunded?", "--thread", thread)
    assert second.code == 0, second.err
    assert "within 30 days" in second.out
    assert "\nSources\n [1] Travel expenses › Trains (" in second.out
    assert [message["role"] for message in get(filled, f"threads/{thread}/messages")] == [
        "user",
        "assistant",
        "user",
        "assistant",
    ]


def test_another_tenant_has_other_documents_and_a_refusal_is_exit_code_3(filled: Served) -> None:
    result = filled.terminal.run("ask", "직원의 연차 휴가는 며칠인가요?", "--tenant", "acme")
    assert (result.code, "\n출처\n" in result.out) == (3, False)
    assert "근거를 찾지 못했습니다" in result.out


def test_what_has_not_changed_is_not_taken_in_again_and_a_korean_terminal_reads_korean(filled: Served) -> None:
    filled.terminal.variables["LANG"] = "ko_KR.UTF-8"
    try:
        result = filled.terminal.run("ingest", "handbook/travel", "handbook/휴가.md", "handbook/empty.md")
    finally:
        filled.terminal.variables["LANG"] = "C.UTF-8"
    assert "파일이 비어 있습니다." in result.out
    assert "travel/train.md" in result.out
    assert result.code == 1


def test_what_the_server_refuses_is_one_sentence(filled: Served) -> None:
    commands = [
        ("ask", "Hello", "--agent", "nobody"),
        ("ask", "Hello", "--thread", "01936f0a-5a3e-7bbd-9d2b-2f6f1c5f9a10"),
        ("ask", "Hello", "--tenant", "nobody"),
        ("ingest", "handbook", "nowhere"),
    ]
    results = [ended(process) for process in [filled.terminal.start(*command) for command in commands]]
    assert [(result.code, result.out) for result in results] == [(1, "")] * 4
    assert results[0].err.startswith("There is no agent 'nobody'.")
    assert results[1].err == "Thread 01936f0a-5a3e-7bbd-9d2b-2f6f1c5f9a10 does not exist.\n"
    assert results[2].err.startswith("There is no token for the tenant 'nobody'")
    assert results[3].err.startswith("There is no file or folder ")


def test_a_token_that_the_server_does_not_know_is_told(filled: Served) -> None:
    known = filled.terminal.variables["ACCESS_TOKEN"]
    filled.terminal.variables["ACCESS_TOKEN"] = "another-long-token"
    try:
        result = filled.terminal.run("ask", "Hello")
    finally:
        filled.terminal.variables["ACCESS_TOKEN"] = known
    assert (result.code, result.out) == (1, "")
    assert "does not take the token" in result.err
    assert "another-long-token" not in result.err


def test_a_person_at_the_terminal_answers_an_agent_that_waits(filled: Served) -> None:
    person, their_terminal = pty.openpty()
    command = filled.terminal.start(
        "ask", "/ask 비가 오나요?", "--agent", "example", stdin=their_terminal, stderr=their_terminal
    )
    os.close(their_terminal)
    os.write(person, b"true\n")
    result = ended(command)
    shown = os.read(person, 4096).decode()
    os.close(person)
    assert result.code == 0, shown
    assert "답을 기다립니다" in shown
    assert result.out.strip()


def test_without_a_person_an_agent_that_waits_is_exit_code_4(filled: Served) -> None:
    result = filled.terminal.run("ask", "/ask Is it raining?", "--agent", "example")
    assert result.code == 4
    assert "/resume gives it." in result.err


def test_ctrl_c_stops_an_ingestion_in_order(filled: Served) -> None:
    many = {f"{number}.md": f"# Rule {number}\n\n{'It holds for everybody. ' * 60}" for number in range(300)}
    filled.terminal.write(many, "many")
    command = filled.terminal.start("ingest", "many", stderr=subprocess.STDOUT)
    until(lambda: any(job["total"] == 50 and job["done"] for job in get(filled, "knowledge/jobs")), "the first file")
    command.send_signal(signal.SIGINT)
    result = ended(command)
    assert result.code == 130
    assert result.out.rstrip().endswith("Stopped.")
    until(lambda: get(filled, "knowledge/jobs")[0]["status"] == "cancelled", "the job's end")


def test_doctor_says_who_serves_the_data_folder_and_no_secret(
    filled: Served, in_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(filled.terminal.folder)
    result = CliRunner().invoke(app, ["doctor", "--json"], env=filled.terminal.variables)
    said = [each["text"] for each in json.loads(result.output)["findings"] if each["subject"] == "DATA_DIR"]
    assert said[0].endswith(f" serves it on {filled.url}.")
    assert "a-long-token" not in result.output
