"""A WebSocket whose client is asked again, now and then, whether it may still be there."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from types import TracebackType
from typing import Self

from loguru import logger
from starlette.types import Message, Receive, Send

from backend.core.error import DomainError, Forbidden, Unauthorized


class WatchedSocket:
    """`async with WatchedSocket(…) as socket:` give `socket.receive` to the application.

    The check is made before each message reaches the application, and every `seconds` while it waits for one. Whoever
    fails it is disconnected, and the application learns that like any other goodbye.
    """

    def __init__(self, receive: Receive, send: Send, check: Callable[[], Awaitable[None]], seconds: float) -> None:
        self._receive = receive
        self._send = send
        self._check = check
        self._seconds = seconds
        self._next: asyncio.Task[Message] | None = None
        self._gone: Message | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._next is not None:
            self._next.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await self._next

    async def receive(self) -> Message:
        """Return the next message of a client that may still be there."""
        while True:
            if self._gone is not None:
                return self._gone
            if self._next is None:  # else an earlier call was cancelled while it waited
                self._next = asyncio.ensure_future(self._receive())
            done, _ = await asyncio.wait({self._next}, timeout=self._seconds)
            if not done:
                await self._look()  # who fails is told of by the next turn
                continue
            message = self._next.result()
            self._next = None
            if message["type"] != "websocket.receive" or await self._look():
                return message

    async def _look(self) -> bool:
        """Return whether the client may stay."""
        try:
            await self._check()
        except (Unauthorized, Forbidden) as error:
            code = 4000 + error.status
            self._gone = {"type": "websocket.disconnect", "code": code, "reason": error.detail}
            logger.info("a socket was closed: what it came in with no longer opens")
            with suppress(RuntimeError):  # the application has closed it in this moment
                await self._send({"type": "websocket.close", "code": code, "reason": error.detail})
            return False
        except DomainError:  # it cannot be told now: whatever is asked for will fail by itself
            logger.warning("whether a socket may still be open could not be found out")
        return True
