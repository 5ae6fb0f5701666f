"""The three sides that are compared: the graph alone, a server written by hand, and ours. Each is a process."""

import asyncio
import json
import os
import socket
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol

import psutil

from bench.client import Client
from bench.measure import Figures, several
from bench.scenario import Scenario, through

HERE = Path(__file__).parent
READY_SECONDS = 60


class Side(Protocol):
    @property
    def process(self) -> psutil.Process: ...

    async def measure(self, name: str, count: int, at_once: int) -> Figures: ...


class InProcess:
    """`bench/in_process.py`, which answers a line with a line."""

    def __init__(self, talk: asyncio.subprocess.Process) -> None:
        self._talk = talk
        self.process = psutil.Process(talk.pid)

    async def measure(self, name: str, count: int, at_once: int) -> Figures:
        assert self._talk.stdin is not None
        assert self._talk.stdout is not None
        self._talk.stdin.write(json.dumps({"name": name, "count": count, "at_once": at_once}).encode() + b"\n")
        answer: Figures = json.loads(await self._talk.stdout.readline())
        return answer


class Door:
    """A server, asked through HTTP."""

    def __init__(self, process: psutil.Process, port: int, scenarios: Mapping[str, Scenario]) -> None:
        self.process = process
        self.port = port
        self._scenarios = scenarios

    async def measure(self, name: str, count: int, at_once: int) -> Figures:
        clients = [await Client(self.port).__aenter__() for _ in range(at_once)]
        try:
            return await several(through(list(clients), self._scenarios[name]), count, at_once)
        finally:
            for client in clients:
                await client.__aexit__(None, None, None)


async def measured(side: Side, name: str, count: int, at_once: int) -> Figures:
    """Return a side's figures, with `cpu`, the ms of its process a run, and `memory`, what it grew in kB a stream."""
    memory = side.process.memory_info().rss
    peak = memory

    async def watch() -> None:
        nonlocal peak
        while True:
            peak = max(peak, side.process.memory_info().rss)
            await asyncio.sleep(0.1)

    watching = asyncio.create_task(watch())
    before = sum(side.process.cpu_times()[:2])
    try:
        figures = await side.measure(name, count, at_once)
    finally:
        watching.cancel()
    figures["cpu"] = (sum(side.process.cpu_times()[:2]) - before) / figures["runs"] * 1000
    figures["memory"] = (peak - memory) / 1000 / at_once
    return figures


@asynccontextmanager
async def in_process() -> AsyncIterator[InProcess]:
    pipe = asyncio.subprocess.PIPE
    talk = await asyncio.create_subprocess_exec(sys.executable, "-m", "bench.in_process", stdin=pipe, stdout=pipe)
    try:
        yield InProcess(talk)
    finally:
        assert talk.stdin is not None
        talk.stdin.close()
        await talk.wait()


@asynccontextmanager
async def by_hand(folder: Path, scenarios: Mapping[str, Scenario]) -> AsyncIterator[Door]:
    """The server of `bench/hand_written.py`."""
    port = free_port()
    command = [sys.executable, "-m", "bench.hand_written", str(port), str(folder / "by_hand.db")]
    async with _running(port, command, HERE.parent, {}) as process:
        yield Door(process, port, scenarios)


@asynccontextmanager
async def server(folder: Path, scenarios: Mapping[str, Scenario], **settings: str) -> AsyncIterator[Door]:
    """A server of ours with data of its own, ready."""
    port = free_port()
    folder.mkdir(parents=True, exist_ok=True)
    own = {"PORT": str(port), "DATA_DIR": str(folder / "data"), "LOG_LEVEL": "WARNING", **settings}
    async with _running(port, [sys.executable, "-m", "backend.main"], folder, own) as process:
        yield Door(process, port, scenarios)


def measured_graphs() -> dict[str, str]:
    """The settings of a server that serves the graphs that are measured."""
    return {"GRAPH_CONFIG": str(HERE / "langgraph.json"), "SAMPLE_CORPUS": "false"}


@asynccontextmanager
async def _running(
    port: int, command: list[str], folder: Path, settings: Mapping[str, str]
) -> AsyncIterator[psutil.Process]:
    process = psutil.Popen(command, env={**os.environ, **settings}, cwd=folder)
    try:
        async with asyncio.timeout(READY_SECONDS):
            while not await _is_ready(port):
                assert process.poll() is None, f"{command} ended"
                await asyncio.sleep(0.01)
        yield process
    finally:
        process.terminate()
        await asyncio.to_thread(process.wait, 30)


async def _is_ready(port: int) -> bool:
    try:
        async with Client(port) as client:
            return (await client.get("/health/ready"))[0] == 200
    except OSError:
        return False


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
