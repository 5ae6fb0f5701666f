"""An event loop that a graph cannot end.

asyncio lets SystemExit and KeyboardInterrupt out of any task, through the loop, to whoever runs it: one `sys.exit()` in
a node, or in a thread that a node waits for, and the whole server is gone. The same happens, with uvloop, when an
exception whose own text cannot be made is to be logged. What was raised stands in the task by then, so those who wait
for it learn of it as of any other failure; the loop has lost nothing and can simply go on.

Nodes without `async` have threads of the loop's executor. asyncio's own has a handful of them, so that a few slow nodes
hold up all others, and at the end it waits until the last one returns, which may be never.
"""

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import uvloop
from loguru import logger

LEAVE_SECONDS = 2.0
"""How long threads may take to end when the loop does."""
LOOK_SECONDS = 1.0
BLOCKED_SECONDS = 1.0
_NAME = "node"


class SturdyLoop(uvloop.Loop):
    """Goes on after whatever a task or a callback let out, as long as `outliving_exits` says so."""

    outlives = False

    def __init__(self, threads: int) -> None:
        """Take the most threads at once that nodes may block."""
        super().__init__()
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=_NAME)
        self.set_default_executor(self._pool)

    def run_forever(self) -> None:
        while True:
            try:
                return super().run_forever()
            except BaseException as error:
                if not self.outlives:
                    raise
                # Each task that waits for the first raises it again, so this is no place for more than a hint.
                logger.debug("a task let {kind} out, and the server goes on", kind=type(error).__name__)

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:
        """Let the threads end; one that does not is left behind, and `left_behind` names it."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        until = self.time() + LEAVE_SECONDS
        while left_behind() and self.time() < until:  # noqa: ASYNC110 - threads set no event when they end
            await asyncio.sleep(0.01)


def left_behind() -> list[str]:
    """Return the names of threads in which nodes still are: Python itself would wait for them at its end."""
    return [thread.name for thread in threading.enumerate() if thread.name.startswith(f"{_NAME}_")]


async def watch_for_blocking() -> None:
    """Say in the log when something held up the loop, and with it all runs: a coroutine that does not await."""
    loop = asyncio.get_running_loop()
    while True:
        began = loop.time()
        await asyncio.sleep(LOOK_SECONDS)
        held = loop.time() - began - LOOK_SECONDS
        if held > BLOCKED_SECONDS:
            logger.warning("all runs were held up for {seconds:.1f} s: asynchronous code blocks", seconds=held)


@contextmanager
def outliving_exits() -> Iterator[None]:
    """Herein the running loop goes on; signals must have handlers of their own, since Ctrl-C would raise just that."""
    loop = asyncio.get_running_loop()
    if not isinstance(loop, SturdyLoop):
        yield
        return
    loop.outlives = True
    try:
        yield
    finally:
        loop.outlives = False
