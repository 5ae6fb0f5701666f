"""A server is killed in the middle of runs of the official client, and started again on the same folder."""

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from test.agent_fixture import GRAPH_CONFIG, ROOT, WAIT_SECONDS, Gate, _wait_until_ready, client_of, collect, held
from test.forked import Program, start
from test.server import free_port


class Life:
    """A server that can be killed and started again."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._folder = folder
        self._process: Program | None = None

    def start(self) -> None:
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
            "DATA_DIR": str(self._folder / "data"),
            "EXTENSION_DIR": str(self._folder / "extension"),
            "GRAPH_CONFIG": str(GRAPH_CONFIG),
            "PORT": str(self.port),
            "SAMPLE_CORPUS": "false",
            "DRAIN_SECONDS": "0",
        }
        log = self._folder / "log"
        with log.open("ab") as output:
            self._process = start("backend.main", cwd=self._folder, env=environment, stdout=output, stderr=output)
        _wait_until_ready(self.url, self._process, log)

    def end(self, how: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(how)
        self._process.wait(WAIT_SECONDS)


@pytest.fixture
def life(tmp_path: Path):
    life = Life(tmp_path)
    life.start()
    yield life
    life.end(signal.SIGTERM)


async def test_runs_of_the_official_client_survive_a_kill(life: Life, gate: Gate, tmp_path: Path):
    async with client_of(life.url) as sdk:
        thread = await sdk.threads.create(metadata={"kept": True})
        thread_id = thread["thread_id"]
        seen: list[Any] = []

        async def watch() -> None:
            # It reconnects by itself until the server has been away for too long.
            async for part in sdk.runs.join_stream(thread_id, run_id, last_event_id="-1"):
                seen.append(part)  # noqa: PERF401 - what was seen before the kill counts

        run_id = await held(sdk, gate, thread_id, stream_resumable=True, stream_mode=["values"])
        queued = await sdk.runs.create(thread_id, "counter", input={"total": 0})
        watching = asyncio.create_task(watch())
        async with asyncio.timeout(WAIT_SECONDS):
            while len(seen) < 3:  # noqa: ASYNC110 - the client has no event for it
                await asyncio.sleep(0.02)
        life.end(signal.SIGKILL)
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
    await asyncio.to_thread(life.start)
    gate.open()
    async with client_of(life.url) as sdk:
        assert await sdk.runs.join(thread_id, run_id) is not None
        assert (await sdk.runs.get(thread_id, run_id))["status"] == "success"
        rest = await collect(sdk.runs.join_stream(thread_id, run_id, last_event_id=seen[-1].id))
        ids = [part.id for part in [*seen, *rest]]
        assert len(set(ids)) == len(ids), "nothing comes twice"
        trails = [part.data["trail"] for part in [*seen, *rest] if part.event == "values"]
        assert trails[-1] == ["before", "hold", "after"], "nothing is done twice"
        assert [part.data["attempt"] for part in [*seen, *rest] if part.event == "metadata"] == [1, 2]
        assert rest[-1].event == "end"
        await sdk.runs.join(thread_id, queued["run_id"])
        assert (await sdk.runs.get(thread_id, queued["run_id"]))["status"] == "success"
        assert (await sdk.threads.get(thread_id))["status"] == "idle"
        assert await sdk.threads.count(metadata={"kept": True}) == 1
