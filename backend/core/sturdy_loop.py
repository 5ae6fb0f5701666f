"""An event loop that a graph cannot end.

asyncio lets SystemExit and KeyboardInterrupt out of any task, through the loop, to whoever runs it: one `sys.exit()` in
a node, or in a thread that a node waits for, and the whole server is gone. The exception stands in the task by then, so
those who wait for it learn of it as of any other; the loop has lost nothing and can simply go on.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import uvloop
from loguru import logger


class SturdyLoop(uvloop.Loop):
    """Goes on after a SystemExit or KeyboardInterrupt of a task, as long as `outliving_exits` says so."""

    outlives = False

    def run_forever(self) -> None:
        while True:
            try:
                return super().run_forever()
            except (SystemExit, KeyboardInterrupt) as error:
                if not self.outlives:
                    raise
                # Each task that waits for this one raises it again, so this is no place for more than a hint.
                logger.debug("a task ended with {kind}; the server goes on", kind=type(error).__name__)


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
