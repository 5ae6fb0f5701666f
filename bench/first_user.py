"""What the first user feels: from the start to the first answer over the sample corpus."""

import asyncio
import json
import statistics
import time
from pathlib import Path
from typing import Any

from rich.table import Table

from bench.client import Client
from bench.side import HERE, server

CHAT = "/api/v1/chat/stream"


async def first_user(folder: Path) -> Table:
    table = Table("what", "measured", "goal", title="The first user", title_justify="left")
    for attempt in ("first", "later"):
        began = time.perf_counter()
        async with server(folder / "first_user", {}) as door, Client(door.port) as client:
            table.add_row(f"start to ready, {attempt} start", f"{time.perf_counter() - began:.2f} s", "4 s")
            async with asyncio.timeout(60):
                while not await _is_searchable(client):  # noqa: ASYNC110 - it is another process
                    await asyncio.sleep(0.1)
            table.add_row("sample corpus searchable after", f"{time.perf_counter() - began:.2f} s", "")
            if attempt == "first":
                continue
            table.add_row("idle memory", f"{door.process.memory_info().rss / 1e6:.0f} MB", "300 MB")
            firsts, wholes = await _answers(client)
            for name, found, goal in (("first token", firsts, "300 ms"), ("whole", wholes, "1 s")):
                shown = f"{statistics.median(found) * 1000:.0f} ms, max {max(found) * 1000:.0f} ms"
                table.add_row(f"answer over the sample corpus, {len(found)} questions: {name}, p50", shown, goal)
    return table


async def _is_searchable(client: Client) -> bool:
    found = json.loads((await client.get("/api/v1/knowledge/jobs"))[1])
    return bool(found["items"]) and all(job["status"] == "success" for job in found["items"])


async def _answers(client: Client) -> tuple[list[float], list[float]]:
    questions = _texts(json.loads((HERE.parent / "backend/sample/questions.json").read_text()))
    firsts: list[float] = []
    wholes: list[float] = []
    for question in questions * 3:
        began = time.perf_counter()
        status, answer = await client.post(CHAT, {"message": question})
        assert status == 200, answer
        assert b"event: done" in answer, answer
        wholes.append(time.perf_counter() - began)
        firsts.extend(at - began for at in client.times(b"event: token")[:1])
    return firsts, wholes


def _texts(found: Any) -> list[str]:
    if isinstance(found, str):
        return [found]
    if isinstance(found, dict):
        found = [found["question"]] if "question" in found else list(found.values())
    return [text for value in found for text in _texts(value)]
