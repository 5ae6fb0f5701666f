"""A process that collects from a Freshdesk, killed at random moments: the tables then equal an undisturbed reading."""

import asyncio
import os
import sqlite3
from contextlib import closing
from pathlib import Path
from random import Random, SystemRandom

import pytest

from backend.simulator.freshdesk import FreshdeskSimulator, generated_account
from test.agent_fixture import START_SECONDS, WAIT_SECONDS
from test.forked import Program, start
from test.sync.desk import contents_of

ROOT = Path(__file__).parents[2]
TICKETS = 600


async def begin(rows: Path, freshdesk: FreshdeskSimulator) -> Program:
    with rows.with_suffix(".out").open("wb") as out, rows.with_suffix(".err").open("wb") as errors:
        return await asyncio.to_thread(
            start,
            "test.sync.process",
            *(str(rows), freshdesk.url, freshdesk.account.subdomain),
            cwd=rows.parent,
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)},
            stdout=out,
            stderr=errors,
        )


async def to_the_end(rows: Path, freshdesk: FreshdeskSimulator) -> None:
    process = await begin(rows, freshdesk)
    await asyncio.to_thread(process.wait, START_SECONDS)
    told = rows.with_suffix(".out").read_text().split()
    assert told == ["success", str(TICKETS), "0"], rows.with_suffix(".err").read_text()[-3000:]


def changed(rows: Path) -> int:
    """Return how many tickets are there, while somebody writes."""
    with closing(sqlite3.connect(f"file:{rows}?mode=ro", uri=True)) as connection:
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
            async with asyncio.timeout(START_SECONDS):
                while freshdesk.count() < at and process.poll() is None:  # noqa: ASYNC110 - it is another process
                    await asyncio.sleep(0.005)
            assert process.poll() is None, (death, changed(wild))
            process.kill()
            await asyncio.to_thread(process.wait, WAIT_SECONDS)
        assert 0 < changed(wild) < TICKETS
        await to_the_end(wild, freshdesk)
        assert freshdesk.count() - requests < requests * 2
    assert contents_of(wild) == contents_of(calm)
