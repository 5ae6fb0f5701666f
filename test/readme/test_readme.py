"""What the README and the API's pages show is run as it is printed, by a newcomer with a real server.

Only two things differ from the print: the port, and that the server runs from a folder which is thrown away.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from langgraph_sdk import get_sync_client

from test.forked import Program
from test.server import free_port

ROOT = Path(__file__).parents[2]
READMES = ("README.md", "README.ko.md")
AGENT_SERVER = "docs/agent-server.md"
PRINTED_PYTHON = (*READMES, "docs/api.md", "docs/socket.md")
START_SECONDS = 120
COMMAND_SECONDS = 180
DEADLINE = "8월 23일"
"""Until when one can register for the course that the examples ask about."""
REFUSALS = ("죄송합니다", "I'm sorry")
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`(\.venv/bin/daedap [^`]+)`")


def blocks(document: str, tongue: str) -> list[str]:
    found = _BLOCK.findall((ROOT / document).read_text("utf-8"))
    return [code for name, code in found if name == tongue]


def commands(document: str) -> list[str]:
    """Every command of a document's shell blocks, whole where it is continued in the next line."""
    lines = "".join(blocks(document, "sh")).replace("\\\n", "\\\0").splitlines()
    return [line.replace("\\\0", "\\\n") for line in lines if line.strip()]


@dataclass(frozen=True)
class Newcomer:
    """A person's folder, with what `make install` makes, and the server that they started."""

    folder: Path
    port: int

    @property
    def environment(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder / "home"),
            "LANG": "C.UTF-8",
            "PYTHONPATH": str(ROOT),
            "DATA_DIR": str(self.folder / "data"),
            "PORT": str(self.port),
        }

    def run(self, command: list[str], text: str | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, input=text or "", capture_output=True, text=True, encoding="utf-8", cwd=self.folder,
            env=self.environment, timeout=COMMAND_SECONDS, check=False,
        )  # fmt: skip

    def here(self, text: str) -> str:
        return text.replace("http://127.0.0.1:8000", f"http://127.0.0.1:{self.port}")


def serve(newcomer: Newcomer, command: list[str]) -> subprocess.Popen[bytes]:
    """Start a server; return when it is ready."""
    log = newcomer.folder / f"log-{newcomer.port}"
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=newcomer.folder, env=newcomer.environment, stdout=output, stderr=output)
    until = time.monotonic() + START_SECONDS
    while True:
        try:
            if httpx.get(newcomer.here("http://127.0.0.1:8000/health/ready"), timeout=30).status_code == 200:
                return process
        except httpx.TransportError:
            pass
        if process.poll() is not None or time.monotonic() > until:
            process.kill()
            raise AssertionError(f"The server did not start:\n{log.read_text('utf-8')[-2000:]}")
        time.sleep(0.05)


def stop(process: subprocess.Popen[bytes] | Program) -> None:
    process.send_signal(signal.SIGINT)
    try:
        process.wait(45)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(5)


@pytest.fixture(scope="module")
def newcomer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Newcomer]:
    folder = tmp_path_factory.mktemp("newcomer")
    (folder / ".venv").symlink_to(sys.prefix)
    files = {
        "contracts/supply.md": "# Supply\n\n## Payment\n\nThe buyer has to pay within 30 days of the invoice.\n",
        "계약서/공급.md": "# 공급 계약서\n\n## 대금 지급\n\n구매자는 대금을 30일 이내에 지급한다.\n",
        "documents/quota.md": "# Quota\n\nThe export quota of Gabon for zebrawood is 417 tonnes a year.\n",
    }
    for name, text in files.items():
        file = folder / "home" / name
        file.parent.mkdir(parents=True)
        file.write_text(text, "utf-8")
    person = Newcomer(folder, free_port())
    # What `make run` runs, once it has set up `.venv`.
    process = serve(person, [sys.executable, "-m", "backend.main"])
    try:
        wait_for_sample(person)
        yield person
    finally:
        stop(process)


def wait_for_sample(newcomer: Newcomer) -> None:
    """The sample corpus is taken in beside the first questions."""
    until = time.monotonic() + START_SECONDS
    while httpx.get(newcomer.here("http://127.0.0.1:8000/api/v1/knowledge/documents")).json()["documents"] < 274:
        assert time.monotonic() < until, "the sample corpus did not come"
        time.sleep(0.05)


def test_the_readmes_show_the_same_things_to_do() -> None:
    english, korean = (set(_INLINE.findall((ROOT / name).read_text("utf-8"))) for name in READMES)
    assert english == korean
    assert [len(blocks(name, "python")) for name in READMES] == [4, 4]
    assert {line for line in commands("README.md") if "make" in line} == {
        line for line in commands("README.ko.md") if "make" in line
    }


@pytest.mark.parametrize("document", READMES)
def test_every_curl_of_the_readme_is_answered(newcomer: Newcomer, document: str) -> None:
    if shutil.which("curl") is None:
        pytest.skip("there is no curl here")
    shown = [command for command in commands(document) if command.startswith("curl")]
    assert shown
    for command in shown:
        result = newcomer.run(["bash", "-ec", newcomer.here(command)])
        assert result.returncode == 0, result.stderr
        *_, event, _, data = [line for line in result.stdout.splitlines() if line]
        assert event == "event: done"
        done = json.loads(data.removeprefix("data: "))
        assert (done["status"], done["refused"]) == ("success", False)
        assert done["citations"]


@pytest.mark.parametrize("document", READMES)
def test_every_command_of_the_readme_works(newcomer: Newcomer, document: str) -> None:
    shown = [command for command in commands(document) if command.startswith(".venv/bin/daedap")]
    assert shown
    for command in shown:
        result = newcomer.run(["bash", "-ec", command])
        assert result.returncode == 0, f"{command}\n{result.stdout}\n{result.stderr}"
        if " ask " in command:
            assert "[1]" in result.stdout, command
        if " --docs " in command:
            assert "30" in result.stdout.partition("\n")[0], command
    left = [command for command in commands(document) if not command.startswith((".venv/bin/daedap", "curl"))]
    assert all("make run" in command for command in left), left


@pytest.mark.parametrize(
    ("document", "number"), [(name, number) for name in PRINTED_PYTHON for number in range(len(blocks(name, "python")))]
)
def test_every_program_that_is_printed_answers_and_ends(newcomer: Newcomer, document: str, number: int) -> None:
    program = newcomer.here(blocks(document, "python")[number])
    assert f":{newcomer.port}" in program
    result = newcomer.run([sys.executable, "-W", "error", "-"], program)
    assert result.returncode == 0, result.stderr
    assert not any(refusal in result.stdout for refusal in REFUSALS), result.stdout
    if document in READMES:
        assert DEADLINE in result.stdout
    else:
        assert "[1]" in result.stdout


@pytest.mark.parametrize("number", range(len(blocks(AGENT_SERVER, "sh"))))
def test_every_shell_block_of_the_agent_servers_page_is_answered(newcomer: Newcomer, number: int) -> None:
    if shutil.which("curl") is None:
        pytest.skip("there is no curl here")
    block = newcomer.here(blocks(AGENT_SERVER, "sh")[number])
    result = newcomer.run(["bash", "-ec", f'curl() {{ command curl -sS --fail-with-body "$@"; }}\n{block}'])
    assert result.returncode == 0, result.stdout + result.stderr
    # What is asked in the body of a 200 (a command, a stream, JSON-RPC) fails in its body too.
    assert not re.search(r'"isError": ?true|"type": ?"error"|"error": ?[{"]|^event: error', result.stdout, re.M), (
        result.stdout
    )
    if "SEO" in block:
        assert DEADLINE in said(result.stdout), result.stdout


def said(stream: str) -> str:
    """Return all that the tokens and messages of a stream say, put together."""
    return "".join(
        json.loads(f'"{text}"') for text in re.findall(r'"(?:content|text|delta)":"((?:[^"\\]|\\.)*)"', stream)
    )


@pytest.mark.parametrize("number", range(len(blocks(AGENT_SERVER, "python"))))
def test_every_program_of_the_agent_servers_page_answers_and_ends(newcomer: Newcomer, number: int) -> None:
    program = newcomer.here(blocks(AGENT_SERVER, "python")[number])
    result = newcomer.run([sys.executable, "-W", "error", "-"], program)
    assert result.returncode == 0, result.stderr
    assert (DEADLINE if "SEO" in program else "It says: All right, I did not send it.") in result.stdout


def test_an_agent_is_extended_made_tested_seen_and_served_as_the_table_says(newcomer: Newcomer) -> None:
    table = _INLINE.findall((ROOT / "README.md").read_text("utf-8"))
    steps = {" ".join(command.split()[1:3]): command for command in table}
    assert set(steps) == {"new node", "new graph", "graph show", "serve --config", "doctor"}
    for step, name in (("new node", "prefer_recent"), ("new graph", "greeter")):
        result = newcomer.run(["bash", "-ec", steps[step].replace("NAME", name)])
        assert result.returncode == 0, result.stderr
        # It says itself how what it wrote is tested.
        [test] = re.findall(r"^Test it: +(.+)$", result.stdout, re.MULTILINE)
        tested = newcomer.run(["bash", "-ec", test.replace("-m pytest", "-m pytest -q -p no:cacheprovider")])
        assert tested.returncode == 0, tested.stdout
    shown = newcomer.run(["bash", "-ec", steps["graph show"]])
    assert "added by extension/prefer_recent.py" in shown.stdout
    assert newcomer.run(["bash", "-ec", steps["doctor"]]).returncode == 0

    other = Newcomer(newcomer.folder, free_port())
    (newcomer.folder / "other").mkdir()
    command = steps["serve --config"].replace("path/", "")
    process = serve(other, ["env", f"DATA_DIR={newcomer.folder / 'other'}", "SAMPLE_CORPUS=false", *command.split()])
    try:
        question = {"message": "Hello", "agent": "greeter"}
        answer = httpx.post(other.here("http://127.0.0.1:8000/api/v1/chat"), json=question, timeout=30).json()
        with get_sync_client(url=other.here("http://127.0.0.1:8000")) as client:
            message: dict[str, Any] = {"messages": [{"role": "user", "content": "Hello"}]}
            values: Any = client.runs.wait(None, "greeter", input=message)
    finally:
        stop(process)
    assert values["messages"][-1]["content"] == answer["answer"]
    assert answer["status"] == "success"
    assert "No language model is configured" in answer["answer"]
