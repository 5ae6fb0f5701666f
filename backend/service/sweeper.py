"""Removes what has been kept long enough, a little at a time."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Self

from loguru import logger

Sweep = Callable[[], Awaitable[Any]]


class Sweeper:
    """`async with sweeper:` sweeps each of its places now and then."""

    def __init__(self, sweeps: Sequence[tuple[float, Sweep]]) -> None:
        """Each place with the seconds between two sweeps."""
        self._sweeps = sweeps
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self._tasks = [
            asyncio.create_task(self._forever(seconds, sweep), name="sweep") for seconds, sweep in self._sweeps
        ]
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @staticmethod
    async def _forever(seconds: float, sweep: Sweep) -> None:
        while True:
            await asyncio.sleep(seconds)
            try:
                await sweep()
            except Exception:  # noqa: BLE001 - a task of ours
                logger.exception("the sweep failed")
