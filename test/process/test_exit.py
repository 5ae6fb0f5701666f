"""Graphs that end the process, or keep it from ending."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from test.agent_fixture import WAIT_SECONDS, agent_server

CONFIG = Path(__file__).parents[1] / "hostile" / "graph" / "langgraph.json"


@contextmanager
def server(folder: Path) -> Iterator[httpx.Client]:
    with (
        agent_server(folder, config=CONFIG, RUN_MAX_LOSSES="2") as url,
        httpx.Client(base_url=url, timeout=WAIT_SECONDS) as client,
    ):
        yield client


def test_a_run_that_ends_the_process_again_and_again_is_given_up(tmp_path: Path) -> None:
    """`os._exit()` nobody survives: the next start takes the run up, and after `RUN_MAX_LOSSES` no more."""
    with server(tmp_path) as client:
        thread_id = client.post("/threads", json={}).json()["thread_id"]
        body = {"assistant_id": "fail", "input": {"how": "os._exit"}}
        run_id = client.post(f"/threads/{thread_id}/runs", json=body).json()["run_id"]
        run = f"/threads/{thread_id}/runs/{run_id}"
        with pytest.raises(httpx.TransportError):
            client.get(f"{run}/join")
    # The second attempt ends the server while it starts, or soon after.
    with pytest.raises((AssertionError, httpx.TransportError)), server(tmp_path) as client:
        client.get(f"{run}/join")
    with server(tmp_path) as client:
        assert client.get(run).json()["status"] == "error"
        assert client.get(f"/threads/{thread_id}").json()["status"] == "error"
        assert client.post("/runs/wait", json={"assistant_id": "echo", "input": {"said": "hi"}}).json()["said"] == "hi"


def test_a_node_that_never_comes_back_does_not_keep_the_server_from_stopping(tmp_path: Path) -> None:
    with server(tmp_path) as client:
        thread_id = client.post("/threads", json={}).json()["thread_id"]
        body = {"assistant_id": "block", "input": {"how": 120}}
        assert client.post(f"/threads/{thread_id}/runs", json=body).status_code == 200
        began = time.monotonic()
    assert time.monotonic() - began < 45
