"""How a node waits for the test: for a file that the test makes."""

import asyncio
import time
from pathlib import Path

GATE_SECONDS = 120
"""After which a gate that nobody opened lets its run go on."""


async def opened(gate: str | None) -> None:
    """Return when there is a file at the path; at once for no path."""
    until = time.monotonic() + GATE_SECONDS
    while gate and not Path(gate).exists() and time.monotonic() < until:  # noqa: ASYNC110 - another process makes it
        await asyncio.sleep(0.01)
