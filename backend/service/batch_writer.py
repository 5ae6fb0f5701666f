"""Writes what need not be waited for: a little later, many at once."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from itertools import islice

from loguru import logger

from backend.core.error import Unavailable

_CLOSE_SECONDS = 5.0


class BatchWriter[T]:
    """A bounded queue before a `write`. When it is full, what comes is dropped, counted, and the log says how many.

    While the database does not answer, what waits goes on waiting; what cannot be written otherwise is dropped.
    """

    def __init__(
        self,
        what: str,
        write: Callable[[Sequence[T]], Awaitable[None]],
        *,
        most: int = 10_000,
        batch: int = 500,
        seconds: float = 0.5,
        pause: float = 5.0,
        lost: Callable[[Sequence[T]], None] | None = None,
    ) -> None:
        """`what` is the plural of what is written, for the log; it gathers for `seconds` before it writes.

        `lost` is told of what is dropped.
        """
        self._what = what
        self._write = write
        self._most = most
        self._batch = batch
        self._seconds = seconds
        self._pause = pause
        self._lost = lost
        self._waiting: deque[T] = deque()
        self._writing = asyncio.Lock()
        self._came = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._unsaid = 0
        self.dropped = 0
        """How many were dropped since the start."""

    def add(self, item: T) -> None:
        """Have it written soon; never waits, never fails."""
        if len(self._waiting) >= self._most:
            self._drop([item])
            return
        self._waiting.append(item)
        self._came.set()

    async def open(self) -> None:
        self._task = asyncio.create_task(self._forever(), name=f"writes {self._what}")

    async def close(self) -> None:
        """Write what waits, as far as the database takes it in a few seconds."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
        try:
            async with asyncio.timeout(_CLOSE_SECONDS):
                await self.flush()
        except (TimeoutError, Unavailable):
            self._drop(list(self._waiting))
            self._waiting.clear()
        self._say()

    async def flush(self) -> None:
        """Write what waits.

        Raises:
            Unavailable: the database does not answer; it goes on waiting.
        """
        async with self._writing:
            while self._waiting:
                items = list(islice(self._waiting, self._batch))
                try:
                    await self._write(items)
                except Unavailable:
                    raise
                except Exception:  # noqa: BLE001 - one batch that cannot be written must not hold up all others
                    logger.exception("{what} could not be written", what=self._what)
                    self._drop(items)
                for _ in items:
                    self._waiting.popleft()

    async def _forever(self) -> None:
        while True:
            await self._came.wait()
            await asyncio.sleep(self._seconds)
            self._came.clear()
            try:
                await self.flush()
            except Unavailable as error:
                logger.warning("{what} wait to be written: {error}", what=self._what, error=error.detail)
                self._came.set()
                await asyncio.sleep(self._pause)
            self._say()

    def _drop(self, items: Sequence[T]) -> None:
        self.dropped += len(items)
        self._unsaid += len(items)
        if self._lost is not None:
            self._lost(items)

    def _say(self) -> None:
        if self._unsaid:
            logger.warning("{count} {what} were dropped, not written", count=self._unsaid, what=self._what)
            self._unsaid = 0
