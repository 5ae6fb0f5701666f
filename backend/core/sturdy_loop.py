"""An event loop that a graph cannot end.

asyncio lets SystemExit and KeyboardInterrupt out of any task, through the loop, to whoever runs it: one `sys.exit()` in
a node, or in a thread that a node waits for, and the whole server is gone. The same happens, with uvloop, when an
exception whose own text cannot be made is to be logged. What was raised stands in the task by then, so those who wait
for it learn of it as of any other failure; the loop has lost nothing and can simply go on.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import uvloop
from loguru import logger


class SturdyLoop(uvloop.Loop):
    """Goes on after whatever a task or a callback let out, as long as `outliving_exits` says so."""

    outlives = False

    def run_forever(self) -> None:
        while True:
            try:
                return super().run_forever()
            except BaseException as error:
                if not self.outlives:
                    raise
                # Each task that waits for the first raises it again, so this is no place for more than a hint.
                logger.debug("a task let {kind} out, and the server goes on", kind=type(error).__name__)


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
