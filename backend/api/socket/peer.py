"""The other end of a WebSocket: it is sent one message at a time, and let go when it takes none."""

import asyncio
from contextlib import suppress
from typing import NoReturn

from fastapi import WebSocket
from loguru import logger
from starlette.websockets import WebSocketDisconnect

from backend.api.socket.follow import ACK_SECONDS


class Closed(Exception):
    """The conversation is over: the client has gone, stalled, or was sent away."""


class Peer:
    """What every WebSocket of ours does with its connection."""

    def __init__(self, websocket: WebSocket) -> None:
        self._websocket = websocket
        self._turn = asyncio.Lock()

    async def _send(self, message: bytes) -> None:
        """Send one message; whoever takes none for too long is dropped.

        Raises:
            Closed: it was, or another task has closed it.
        """
        try:
            async with asyncio.timeout(ACK_SECONDS), self._turn:
                await self._websocket.send_text(message.decode())
        except TimeoutError:
            logger.info("a socket took no bytes for {seconds} s and was dropped", seconds=ACK_SECONDS)
            raise Closed from None
        except RuntimeError:  # it was closed by another task in this moment
            raise Closed from None

    async def _close(self, code: int) -> NoReturn:
        await self._hang_up(code)
        raise Closed

    async def _hang_up(self, code: int) -> None:
        # What is closed already, or takes not even this, goes with its transport.
        with suppress(TimeoutError, RuntimeError, WebSocketDisconnect):
            async with asyncio.timeout(1):
                await self._websocket.close(code)
