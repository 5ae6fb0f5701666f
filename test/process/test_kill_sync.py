"""A process that collects from a Freshdesk, killed at random moments: the tables then equal an undisturbed reading."""

import asyncio
import os
import signal
import sqlite3
import sys
from pathlib import Path
from random import Random, SystemRandom

import pytest

from backend.simulator.freshdesk import FreshdeskSimulator, generated_account
from test.sync.desk import contents_of

ROOT = Path(__file__).parents[2]
TICKETS = 600


async def begin(rows: Path, freshdesk: FreshdeskSimulator) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "test.sync.process", str(rows), freshdesk.url, freshdesk.account.subdomain),
        cwd=rows.parent,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def to_the_end(rows: Path, freshdesk: FreshdeskSimulator) -> None:
    process = await begin(rows, freshdesk)
    out, errors = await process.communicate()
    assert out.split() == [b"success", str(TICKETS).encode(), b"0"], errors.decode()[-3000:]


def changed(rows: Path) -> int:
    """Return how many tickets are there, while somebody writes."""
    with sqlite3.connect(f"file:{rows}?mode=ro", uri=True) as connection:
        try:
            count: int = connection.execute("SELECT count(*) FROM tickets").fetchone()[0]
        except sqlite3.OperationalError:
            return 0  # the tables are not made yet
    return count


@pytest.mark.timeout(300)
async def test_a_collection_that_is_killed_ten_times_equals_an_undisturbed_one(tmp_path: Path):
    """(000-64, 002-26)"""
    seed = int(os.environ.get("KILL_SEED") or SystemRandom().randrange(10**6))
    print(f"KILL_SEED={seed}")
    random = Random(seed)
    with FreshdeskSimulator(generated_account(TICKETS, 3.0), plan="unlimited") as freshdesk:
        calm, wild = tmp_path / "calm.db", tmp_path / "wild.db"
        await to_the_end(calm, freshdesk)
        requests = freshdesk.count()
        for death in range(10):
            process = await begin(wild, freshdesk)
            # Not before it is at work: each life reads some more, and then dies somewhere in it.
            at = freshdesk.count() + random.randrange(5, 45)
            async with asyncio.timeout(40):
                while freshdesk.count() < at and process.returncode is None:  # noqa: ASYNC110 - it is another process
                    await asyncio.sleep(0.005)
            assert process.returncode is None, (death, changed(wild))
            process.send_signal(signal.SIGKILL)
            await process.communicate()
        assert 0 < changed(wild) < TICKETS
        await to_the_end(wild, freshdesk)
        assert freshdesk.count() - requests < requests * 2
    assert contents_of(wild) == contents_of(calm)
