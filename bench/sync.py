"""`python -m bench.sync [TICKETS]`: collecting a whole desk, and what a second collection of it costs.

Freshdesk is simulated in a process of its own, without a limit, so that what is measured is ours; a real account's
limit (700 credits a minute on its largest plan) is far below that.
"""

import asyncio
import json
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import uvloop
from rich.console import Console
from rich.table import Table

from bench.client import Client
from bench.side import HERE, server

TICKETS = 20_000
CONVERSATIONS = 5.0
MEMORY_GOAL = 400
"""MB."""
_JOBS = "/api/v1/sync/jobs"
_SIMULATOR = """
import sys, time
from backend.simulator.freshdesk import (DEMO_KEY, FreshdeskSimulator, generated_account)
account = generated_account(int(sys.argv[1]), float(sys.argv[2]))
with FreshdeskSimulator(account, plan="unlimited") as running:
    print(running.url, account.subdomain, DEMO_KEY, flush=True)
    time.sleep(86_400)
"""


async def main(tickets: int) -> None:
    table = Table("collection", "seconds", "tickets", "changed", "messages", "requests", "peak memory", "goal")
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        settings = await stack.enter_async_context(_freshdesk(tickets))
        door = await stack.enter_async_context(server(folder / "sync", {}, **settings))
        client = await stack.enter_async_context(Client(door.port))
        # The start installs the account, and that begins the first collection.
        for kind, goal in (("full", f"{MEMORY_GOAL} MB"), ("incremental", "")):
            began = time.perf_counter()
            if kind == "incremental":
                status, answer = await client.post(_JOBS, {"kind": kind})
                assert status == 202, answer
            job, memory = await _ended(client, door.process)
            assert (job["kind"], job["status"]) == (kind, "success"), job
            counts = [str(job["counts"][name]) for name in ("tickets", "changed", "conversations", "requests")]
            table.add_row(kind, f"{time.perf_counter() - began:.1f}", *counts, f"{memory / 1e6:.0f} MB", goal)
    Console(width=150).print(table)


async def _ended(client: Client, process: Any) -> tuple[dict[str, Any], int]:
    """Return the newest job at its end, and the most memory that the process had until then, in bytes."""
    memory = 0
    while True:
        memory = max(memory, process.memory_info().rss)
        jobs = json.loads((await client.get(_JOBS))[1])["items"]
        if jobs and jobs[0]["ended_at"] is not None:
            return jobs[0], memory
        await asyncio.sleep(0.2)


@asynccontextmanager
async def _freshdesk(tickets: int) -> AsyncIterator[dict[str, str]]:
    """Run a simulated account; give the settings of a server that has it installed."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", _SIMULATOR, str(tickets), str(CONVERSATIONS)),
        cwd=HERE.parent,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        url, subdomain, key = (await process.stdout.readline()).decode().split()
        yield {
            "FRESHDESK_URL": urlsplit(url)._replace(path="").geturl(),
            "FRESHDESK_DOMAIN": f"{subdomain}.freshdesk.com",
            "FRESHDESK_API_KEY": key,
            "SAMPLE_CORPUS": "false",
            "SYNC_INTERVAL_MINUTES": "0",
        }
    finally:
        process.kill()
        await process.wait()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else TICKETS))
