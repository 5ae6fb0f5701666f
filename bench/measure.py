"""What is measured of one thing that is done many times, the same on every side."""

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable

Seen = dict[str, float]
"""What one round of a thing was: `runs` and `events` in it, and moments of its own, in seconds."""
Figures = dict[str, float]
Once = Callable[[], Awaitable[Seen]]


async def several(once: Once, count: int, at_once: int) -> Figures:
    """Do it `count` times, `at_once` at a time.

    Returns `rate` and `events` a second, `last`, the seconds until the last one ended, `p50` and `p99` of one in ms,
    and of each moment the median in ms.
    """
    todo = iter(range(count))
    seen: list[Seen] = []
    whole: list[float] = []

    async def work() -> None:
        for _ in todo:
            began = time.perf_counter()
            seen.append(await once())
            whole.append(time.perf_counter() - began)

    began = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(at_once)))
    took = time.perf_counter() - began
    whole.sort()
    totals = {name: sum(one.pop(name, default) for one in seen) for name, default in (("runs", 1), ("events", 0))}
    return {
        "runs": totals["runs"],
        "rate": totals["runs"] / took,
        "events": totals["events"] / took,
        "last": took,
        "p50": statistics.median(whole) * 1000,
        "p99": whole[min(int(len(whole) * 0.99), len(whole) - 1)] * 1000,
        **{name: statistics.median(one[name] for one in seen) * 1000 for name in seen[0]},
    }
