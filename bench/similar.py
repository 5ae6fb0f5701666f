"""How well and how fast similar tickets are found: `python -m bench.similar FOLDER`, the folder of Banking77.

Its `train.csv` (`text,category`) becomes tickets of an own desk, sent through the API of a real server over an empty
data folder; each question of `test.csv` is then asked by `POST /api/v1/tickets/search`. Prints P@1 (how often the first
ticket is of the question's own category) and the time of an answer as a client sees it, one question after another.
With `--drafts` it also prints what a draft of the copilot takes to its first word and to its end, by the extractive
model.
"""

import argparse
import asyncio
import csv
import os
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import batched
from pathlib import Path

import httpx
import uvloop
from rich.console import Console

from bench.side import free_port

BATCH = 100
START_SECONDS = 60
P_AT_1, P95 = 0.89, 80.0
"""What it must reach; the time in milliseconds."""
DRAFTS = 20


@asynccontextmanager
async def desk(folder: Path) -> AsyncIterator[httpx.AsyncClient]:
    """Serve an empty desk."""
    port = free_port()
    environment = {
        "PATH": os.environ["PATH"],
        "DATA_DIR": str(folder / "data"),
        "PORT": str(port),
        "SAMPLE_CORPUS": "false",
        "PYTHONPATH": str(Path(__file__).resolve().parent.parent),
    }
    with (folder / "log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "backend.main", cwd=folder, env=environment, stdout=log, stderr=log
        )
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            async with asyncio.timeout(START_SECONDS):
                while not await _is_ready(client):  # noqa: ASYNC110 - it is another process
                    await asyncio.sleep(0.1)
            yield client
    finally:
        process.send_signal(signal.SIGTERM)
        await process.wait()


async def _is_ready(client: httpx.AsyncClient) -> bool:
    try:
        return (await client.get("/health/ready")).status_code == 200
    except httpx.TransportError:
        return False


def questions(path: Path) -> list[tuple[str, str]]:
    """Return text and category of each line."""
    with path.open(encoding="utf-8", newline="") as file:
        return [(row["text"].strip(), row["category"]) for row in csv.DictReader(file)]


async def send(client: httpx.AsyncClient, tickets: list[tuple[str, str]]) -> float:
    """Send tickets; return the seconds until all are in the index."""
    begun = time.monotonic()
    for some in batched(list(enumerate(tickets)), BATCH):
        body = [
            {"ticket_id": str(number), "title": text[:100], "description": text, "tags": [category]}
            for number, (text, category) in some
        ]
        (await client.post("/api/v1/tickets", json={"tickets": body})).raise_for_status()
    while True:
        found = (await client.get("/api/v1/tickets", params={"is_processed": False, "limit": 1})).json()
        if not found["total"]:
            return time.monotonic() - begun
        await asyncio.sleep(0.5)


async def ask(client: httpx.AsyncClient, asked: list[tuple[str, str]], of: dict[str, str]) -> tuple[float, list[float]]:
    """Return P@1, and the milliseconds of each answer."""
    right = 0
    took = []
    for text, category in asked:
        begun = time.perf_counter()
        answer = await client.post("/api/v1/tickets/search", json={"query": text, "limit": 5})
        took.append((time.perf_counter() - begun) * 1000)
        items = answer.raise_for_status().json()["items"]
        right += bool(items) and of[items[0]["ticket_id"]] == category
    return right / len(asked), took


async def drafts(client: httpx.AsyncClient, count: int) -> tuple[list[float], list[float]]:
    """Return the milliseconds to the first word, and to the end, of drafts about the first tickets.

    Each ticket first gets a twin that was answered, since without evidence there is no draft.
    """
    first, whole = [], []
    for number in range(count):
        said = {"content": "Please open the app, choose the card, and follow the steps.", "author_type": "agent"}
        path = f"/api/v1/tickets/{number}/conversations"
        (await client.post(path, json={"conversations": [said]})).raise_for_status()
    await asyncio.sleep(2)
    for number in range(count):
        begun = time.perf_counter()
        at: float | None = None
        body = {"ticket_id": str(number)}
        asked = {"agent": "copilot", "input": body}
        async with client.stream("POST", "/api/v1/chat/stream", json=asked) as answer:
            async for line in answer.aiter_lines():
                if at is None and line.startswith("event: token"):
                    at = time.perf_counter()
        whole.append((time.perf_counter() - begun) * 1000)
        if at is not None:
            first.append((at - begun) * 1000)
    return first, whole


def _told(took: list[float]) -> str:
    parts = statistics.quantiles(took, n=100) if len(took) > 1 else took * 100
    return f"p50 {parts[49]:.1f} ms, p95 {parts[94]:.1f} ms"


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="with train.csv and test.csv")
    parser.add_argument("--questions", type=int, default=1000, help="of test.csv, evenly drawn")
    parser.add_argument("--drafts", action="store_true", help="also measure drafts")
    given = parser.parse_args()
    console = Console(width=120)
    tickets = questions(given.folder / "train.csv")
    every = questions(given.folder / "test.csv")
    asked = every[:: max(1, len(every) // given.questions)]
    with tempfile.TemporaryDirectory() as folder:
        async with desk(Path(folder)) as client:
            seconds = await send(client, tickets)
            console.print(f"{len(tickets)} tickets were taken in and indexed in {seconds:.0f} s")
            of = {str(number): category for number, (_, category) in enumerate(tickets)}
            precision, took = await ask(client, asked, of)
            console.print(
                f"{len(asked)} questions: P@1 {precision:.3f} (must {P_AT_1}), {_told(took)} (must {P95:g} ms)"
            )
            if given.drafts:
                first, whole = await drafts(client, DRAFTS)
                console.print(f"{len(first)} of {len(whole)} drafts: first word {_told(first)}; whole {_told(whole)}")


if __name__ == "__main__":
    uvloop.run(main())
