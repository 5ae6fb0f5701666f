"""Webhooks of a real server. What is told of a run's end is in `test_sdk_run.py`; here is who may be told, and how."""

import base64
import hashlib
import hmac
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Queue
from threading import Thread
from typing import Any

import orjson
import pytest
from langgraph_sdk.errors import APIStatusError

from test.agent_fixture import GRAPH_CONFIG, WAIT_SECONDS, agent_server, client_of
from test.server import free_port

KEY = b"0123456789abcdef0123456789abcdef"
SECRET = "whsec_" + base64.b64encode(KEY).decode()


@contextmanager
def receiver(port: int) -> Iterator["Queue[tuple[dict[str, str], bytes]]"]:
    """Hear webhooks on a port; what is heard is put into the queue as headers and body."""
    heard: Queue[tuple[dict[str, str], bytes]] = Queue()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            heard.put(({name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield heard
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


async def test_a_receiver_that_was_away_is_told_by_the_servers_next_start(tmp_path: Path) -> None:
    port = free_port()
    with agent_server(tmp_path, WEBHOOK_SECRET=SECRET) as url:
        async with client_of(url) as sdk:
            run = await sdk.runs.create(None, "counter", input={"total": 0}, webhook=f"http://127.0.0.1:{port}/hook")
    with receiver(port) as heard, agent_server(tmp_path, WEBHOOK_SECRET=SECRET):
        headers, body = heard.get(timeout=WAIT_SECONDS * 2)
    told = orjson.loads(body)
    assert (told["run_id"], told["status"]) == (run["run_id"], "success")
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    wanted = base64.b64encode(hmac.new(KEY, signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{wanted}"


@pytest.fixture(scope="module")
def strict_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server whose `langgraph.json` says nothing of webhooks."""
    folder = tmp_path_factory.mktemp("strict")
    for name in ("basic.py", "waiting.py"):
        shutil.copy(GRAPH_CONFIG.parent / name, folder)
    config = {"dependencies": ["."], "graphs": {"echo": "./basic.py:echo"}}
    (folder / "langgraph.json").write_text(json.dumps(config))
    with agent_server(folder, config=folder / "langgraph.json") as url:
        yield url


@pytest.mark.parametrize(
    "webhook",
    [
        *("http://127.0.0.1:1/", "http://localhost:1/", "http://[::1]:1/", "http://0.0.0.0:1/", "http://2130706433:1/"),
        *("http://169.254.169.254/latest/meta-data", "http://10.0.0.1/", "http://[::ffff:127.0.0.1]:1/"),
        *("/threads", "//127.0.0.1/", "ftp://example.com/", "https://user:secret@example.com/", "x"),
    ],
)
async def test_by_default_nothing_that_is_not_public_is_called(strict_url: str, webhook: str) -> None:
    async with client_of(strict_url) as sdk:
        with pytest.raises(APIStatusError) as run:
            await sdk.runs.create(None, "echo", input={}, webhook=webhook)
        with pytest.raises(APIStatusError) as cron:
            await sdk.crons.create("echo", schedule="0 0 1 1 *", webhook=webhook)
    for caught in (run, cron):
        assert caught.value.status_code == 422
        assert "echo" not in str(caught.value)  # the webhook is what is refused, not the graph
        assert "secret" not in str(caught.value)
