"""Asking Redis where the answer may be missing: a bounded wait, and a while of not asking after a failure."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from loguru import logger
from redis.exceptions import RedisError

T = TypeVar("T")


class Away(Exception):
    """Redis does not answer, or did not a moment ago and is not asked again yet."""


class RedisGuard:
    """Lets through what asks Redis while it answers; what it is used for goes on without it otherwise.

    Its going and its coming back are one line each in the log, however many ask meanwhile.
    """

    def __init__(
        self,
        what: str,
        *,
        seconds: float = 0.5,
        pause: float = 5.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Guard `what` (a few words for the log); an answer may take `seconds`, after a failure it rests `pause`."""
        self._what = what
        self._seconds = seconds
        self._pause = pause
        self._clock = clock
        self._rests_until = 0.0
        self._is_away = False

    async def ask(self, question: Callable[[], Awaitable[T]], *, seconds: float | None = None) -> T:
        """Return the answer.

        Raises:
            Away: there is none.
        """
        began = self._clock()
        if self._is_away and began < self._rests_until:
            raise Away
        try:
            async with asyncio.timeout(self._seconds if seconds is None else seconds):
                answer = await question()
        except (RedisError, OSError) as error:  # a TimeoutError is an OSError
            self._rests_until = self._clock() + self._pause
            if not self._is_away:
                self._is_away = True
                logger.warning("Redis does not answer ({reason}): {what}", reason=type(error).__name__, what=self._what)
            raise Away from error
        if self._is_away and began >= self._rests_until:  # not an answer to what was asked before it went
            self._is_away = False
            logger.info("Redis answers again; it had been so: {what}", what=self._what)
        return answer
