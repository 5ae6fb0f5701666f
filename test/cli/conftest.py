"""The real command, each time in an empty folder of its own."""

import logging
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from loguru import logger

from backend.config.setting import Settings
from test import forked
from test.server import free_port

ROOT = Path(__file__).parents[2]
PATIENCE = 90.0
HANDBOOK = {
    "휴가.md": "# 휴가 규정\n\n## 연차 휴가\n\n1년 이상 근무한 직원의 연차 휴가는 15일이다.\n",
    "travel/train.md": "# Travel expenses\n\n## Trains\n\nTrain tickets are refunded within 30 days of the trip.\n",
}


@dataclass
class Result:
    code: int
    out: str
    err: str


@dataclass
class Terminal:
    """A folder in which commands are given."""

    folder: Path
    variables: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        inherited = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
        own = {"PYTHONPATH": str(ROOT), "LANG": "C.UTF-8", "SAMPLE_CORPUS": "false", "COLUMNS": "120"}
        self.variables = {**inherited, **own, **self.variables}

    def start(self, *command: str, **options: Any) -> "subprocess.Popen[str]":
        pipes: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen(
            [sys.executable, "-m", "backend.cli", *command],
            cwd=self.folder,
            env=self.variables,
            text=True,
            encoding="utf-8",
            **(pipes | options),
        )

    def run(self, *command: str) -> Result:
        """Give a command and wait for its end; it starts sooner than with `start`, and at no terminal either."""
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            program = forked.start("backend.cli", *command, cwd=self.folder, env=self.variables, stdout=out, stderr=err)
            try:
                code = program.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                program.kill()
                raise AssertionError(f"it did not end: {command}") from None
            written = []
            for file in (out, err):
                file.seek(0)
                written.append(file.read().decode())
        return Result(code, *written)

    def write(self, files: dict[str, str], inside: str = "handbook") -> Path:
        for name, text in files.items():
            path = self.folder / inside / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
        return self.folder / inside


def ended(process: "subprocess.Popen[str]") -> Result:
    """Wait for a command and return what it wrote."""
    try:
        out, err = process.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        raise AssertionError(f"it did not end:\n{out}\n{err}") from None
    return Result(process.returncode, out, err)


def until(happened: Callable[[], bool], what: str) -> None:
    """Wait until another process has done something."""
    deadline = time.monotonic() + PATIENCE
    while not happened():
        assert time.monotonic() < deadline, f"waited in vain: {what}"
        time.sleep(0.05)


def is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health/ready", timeout=30, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False


@dataclass
class Served:
    """A terminal beside a running server."""

    terminal: Terminal
    url: str
    log: Path


def serving(terminal: Terminal, *options: str) -> Iterator[Served]:
    """Run a server in the terminal's folder."""
    port = free_port()
    log = terminal.folder / "server.log"
    with log.open("w") as file:
        server = terminal.start("serve", "--port", str(port), *options, stdout=file, stderr=file)
        try:
            url = f"http://127.0.0.1:{port}"
            until(lambda: is_ready(url) or server.poll() is not None, "the server")
            assert server.poll() is None, log.read_text()
            yield Served(terminal, url, log)
        finally:
            server.send_signal(signal.SIGTERM)
            try:
                server.wait(45)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()


@pytest.fixture
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder in which commands are given in this process, with no setting of the machine's own."""
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    handlers, level = logging.root.handlers[:], logging.root.level
    yield tmp_path
    logging.captureWarnings(False)
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)
    logger.remove()
    logger.add(sys.stderr)


@pytest.fixture
def terminal(tmp_path: Path) -> Terminal:
    """A terminal in an empty folder, with no server."""
    return Terminal(tmp_path)


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    """A terminal in a folder whose data a server owns, which asks for tokens."""
    with tempfile.TemporaryDirectory(prefix="daedap-cli-") as folder:
        tokens = {"ACCESS_TOKEN": "a-long-token-of-default", "TENANT_TOKENS": '{"acme": "a-long-token-of-acme"}'}
        yield from serving(Terminal(Path(folder), {"AUTH_MODE": "token", **tokens}))
