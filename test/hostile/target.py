"""A real server process to attack, with canaries for secrets, and what it must look like after each attack."""

import itertools
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx

from backend.middleware.agent_door import is_agent_path
from test.forked import Program, start
from test.server import free_port

ROOT = Path(__file__).parents[2]
PATIENCE = 90.0
ALICE = "canary-alice-4f1c9a77e2"
MALLORY = "canary-mallory-b83d05c161"
TWIN = "canary-twin-3c55d1e9f0"
"""Of a tenant that has, under the same ids, the same as Alice but for one word."""
OPERATOR = "canary-operator-18be02aa7d"
API_KEY = "sk-canary-0d92ab4471f3"
DSN_PASSWORD = "canary-dsn-77ab19c04e"
CANARIES = (ALICE, MALLORY, TWIN, OPERATOR, API_KEY, DSN_PASSWORD)
MESSAGE_BYTES = 64 * 1024
BODY_BYTES = 1024 * 1024
UPLOAD_BYTES = 4 * 1024 * 1024
_NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""One for all clients: making one takes longer than a request."""
_addresses = (f"127.{a}.{b}.1" for a, b in itertools.product(range(1, 255), range(1, 255)))


class Target:
    """A running server and its log."""

    def __init__(self, url: str, log: Path, process: Program) -> None:
        self.url = url
        self.ws_url = url.replace("http", "ws", 1) + "/ws/chat"
        self.port = int(url.rpartition(":")[2])
        self.process = process
        self.leaks: list[str] = []
        self._log = log
        self._read = 0

    @contextmanager
    def client(self, token: str | None = ALICE, *, address: str = "127.0.0.1") -> Iterator[httpx.Client]:
        """Give a client that looks for canaries in everything it gets."""
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        with httpx.Client(
            base_url=self.url,
            headers=headers,
            timeout=20,
            transport=httpx.HTTPTransport(local_address=address, verify=_NO_TLS),
            event_hooks={"response": [self._look]},
        ) as client:
            yield client

    def stranger(self) -> str:
        """Return a client address that has not failed yet: after twenty wrong tokens an address is refused."""
        return next(_addresses)

    def raw(self, data: bytes, *, wait: float = 5.0, half_close: bool = True) -> bytes:
        """Send bytes as they are, and return all that comes back."""
        answer = b""
        with socket.create_connection(("127.0.0.1", self.port), timeout=wait) as connection:
            try:
                connection.sendall(data)
                if half_close:
                    connection.shutdown(socket.SHUT_WR)
                while part := connection.recv(65536):
                    answer += part
            except (TimeoutError, ConnectionResetError, BrokenPipeError):
                pass
        self._search(answer.decode("utf-8", "replace"), "a raw answer")
        return answer

    def _look(self, response: httpx.Response) -> None:
        if "event-stream" not in response.headers.get("content-type", ""):
            response.read()
            self._search(response.text, str(response.request.url))
        self._search(str(response.headers), str(response.request.url))

    def _search(self, text: str, where: str) -> None:
        self.leaks += [f"{canary[:12]}… in {where}" for canary in CANARIES if canary in text]

    def lines(self) -> list[dict[str, Any]]:
        """Return what was logged since this was asked for the last time, up to a line that this call provokes."""
        mark = uuid4().hex
        with self.client(None) as client:
            client.get("/", headers={"X-Request-ID": mark})
        deadline = time.monotonic() + 10
        while mark.encode() not in (text := self._log.read_bytes()[self._read :]):
            assert time.monotonic() < deadline, "the server logs no more"
            time.sleep(0.01)
        self._read += len(text)
        self._search(text.decode(), "the log")
        return [_record(line) for line in text.decode().splitlines()]

    def check(self) -> None:
        """The server is up and well, has called nothing an error, and has told nobody a secret."""
        assert self.process.poll() is None, "the server is dead"
        with self.client(None) as client:
            assert client.get("/health/live").status_code == 200
            assert client.get("/health/ready").status_code == 200
        bad = [line for line in self.lines() if line["level"] not in {"TRACE", "DEBUG", "INFO", "WARNING"}]
        leaks, self.leaks = self.leaks, []
        assert not bad, json.dumps(bad, indent=1, ensure_ascii=False)[:5000]
        assert not leaks


def _record(line: str) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(line)
    except ValueError:
        return {"level": "not a log line", "message": line}
    return found


@contextmanager
def attacked(folder: Path, **variables: str) -> Iterator[Target]:
    """Run a server in a folder of its own."""
    shutil.copy(Path(__file__).with_name("agents.py"), folder / "hostile_agents.py")
    graphs = {name: f"./hostile_agents.py:{name}" for name in ("echo", "ask", "wait")}
    (folder / "langgraph.json").write_text(json.dumps({"dependencies": ["."], "graphs": graphs}))
    port = free_port()
    inherited = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
    own = {
        "PYTHONPATH": str(ROOT),
        "PORT": str(port),
        "DATA_DIR": str(folder / "data"),
        "SAMPLE_CORPUS": "false",
        "GRAPH_CONFIG": str(folder / "langgraph.json"),
        "AUTH_MODE": "token",
        "ACCESS_TOKEN": ALICE,
        "TENANT_TOKENS": json.dumps({"other": MALLORY, "twin": TWIN}),
        "ADMIN_TOKEN": OPERATOR,
        "SYNC_INTERVAL_MINUTES": "0",
        "REQUEST_LOG": "all",
        "OPENAI_API_KEY": API_KEY,
        "OPENAI_BASE_URL": "http://127.0.0.1:1/v1",  # nobody listens there
        "LLM_MAX_RETRIES": "0",
        "MAX_MESSAGE_BYTES": str(MESSAGE_BYTES),
        "MAX_BODY_BYTES": str(BODY_BYTES),
        "MAX_INPUT_BYTES": str(BODY_BYTES),
        "MAX_UPLOAD_BYTES": str(UPLOAD_BYTES),
        "INGEST_TIMEOUT": "10",
        "DRAIN_SECONDS": "1",
        "LOG_FORMAT": "json",
        "LOG_LEVEL": "DEBUG",
    }
    log = folder / "server.log"
    with log.open("wb") as output:
        process = start("backend.main", cwd=folder, env={**inherited, **own, **variables}, stdout=output, stderr=output)
        try:
            url = f"http://127.0.0.1:{port}"
            _until_ready(url, process, log)
            yield Target(url, log, process)
        finally:
            _stop(process)


def _stop(process: Program) -> None:
    for patience in (0.5, 20):  # the second signal ends what the first one waits for
        process.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(patience)
            return
    process.kill()
    process.wait()


def _until_ready(url: str, process: Program, log: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        alive = process.poll() is None and time.monotonic() < deadline
        assert alive, log.read_text(errors="replace")[-4000:]
        try:
            if httpx.get(f"{url}/health/ready", timeout=30, trust_env=False, verify=_NO_TLS).status_code == 200:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.05)


def refused(response: httpx.Response, *statuses: int) -> dict[str, Any]:
    """Check that a failure has the form that its door promises, and return it."""
    assert response.status_code in statuses, (response.request.url, response.status_code, response.text[:500])
    assert len(response.content) < 20_000, "what was sent comes back"
    if response.request.method == "HEAD":
        assert not response.content
        return {}
    document: dict[str, Any] = response.json()
    if is_agent_path(response.request.url.path):
        assert response.headers["content-type"] == "application/json"
        assert set(document) == {"detail"}
        assert document["detail"]
        assert response.headers["x-request-id"]
    elif response.request.url.path.startswith("/v1/"):
        assert response.headers["content-type"] == "application/json"
        assert set(document["error"]) == {"message", "type", "param", "code"}
        assert document["error"]["message"]
    else:
        assert response.headers["content-type"] == "application/problem+json"
        assert document["status"] == response.status_code
        assert document["request_id"] == response.headers["x-request-id"]
        assert all(document[name] for name in ("type", "title", "detail"))
    return document
