"""The thread protocol, version 2 of streaming: commands over HTTP, events over SSE, both on a WebSocket.

A connection follows a thread, not a run: it may be there before the first one, and stays when one has ended.
"""

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from typing import Any
from uuid import UUID

import orjson
from fastapi import APIRouter, WebSocket
from loguru import logger
from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.websockets import WebSocketDisconnect, WebSocketState

from backend.api.agent.access import authorize
from backend.api.agent.command import NO_JSON, Commands, command_of, malformed, refused, success, told
from backend.api.agent.reply import reply
from backend.api.dependency import Caller, container_of, principal_of
from backend.api.route import parse_id
from backend.api.socket.peer import Closed, Peer
from backend.api.sse import EventStream, frame
from backend.core.error import BadRequest, DomainError
from backend.core.run.agent_encoder import error_data
from backend.core.run.wire import dumps
from backend.dto.principal import Principal
from backend.schema.agent.protocol import FilterParams, ReconnectParams, UnsubscribeParams
from backend.service.command import CommandError
from backend.service.subscription import Numbered, Subscription, SubscriptionService
from backend.util.containment import Filters
from backend.util.id_generator import new_id

router = APIRouter(tags=["thread protocol"])

SUBSCRIPTION_LIMIT = 50
"""Subscriptions of one socket."""
GARBAGE_LIMIT = 5
"""Messages in a row that nobody understands, after which a socket is closed."""
CALL_SECONDS = 30.0
GATHER_SECONDS = 0.02
"""How long a socket waits for further subscriptions before it shows what is kept.

Clients send several at once, and stop listening at the end of a run: the JavaScript one would miss the states of a
quick run, if its subscription to the lifecycle were shown the end before the one to the states is read.
"""
_STREAM_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


@router.post("/threads/{thread_id}/commands", summary="Command a thread")
async def command(thread_id: UUID, request: Request) -> Response:
    """Execute one command of the thread protocol; what fails is told in the answer, with status 200."""
    found = await _json(request)
    named = command_of(found)
    if named is None:
        return reply(malformed(found), status=400)
    command_id, method = named
    try:
        result = await Commands(request, thread_id).execute(method, found.get("params"))
    except (CommandError, DomainError, ValidationError) as error:
        return reply(refused(command_id, error))
    return reply(success(command_id, result))


@router.post("/threads/{thread_id}/stream/events", summary="Follow a thread")
async def stream_events(thread_id: UUID, request: Request, caller: Caller) -> Response:
    """Send the events of the thread that are asked for: those that are kept, then those to come, over all its runs.

    The thread need not be there yet.
    """
    found = await _json(request)
    try:
        asked = FilterParams.model_validate(found)
    except ValidationError as error:
        raise BadRequest(told(error)) from None
    only = await authorize(request, "threads", "read", {"thread_id": thread_id})
    service = container_of(request).subscription_service()
    await service.check(caller, thread_id, only)
    subscription = await service.subscribe(caller, thread_id, asked.filter, asked.since or 0, only=only)
    batches = service.read(caller, thread_id, subscription, only=only)
    return EventStream(batches, resync={}, headers=_STREAM_HEADERS, encode=_frames, failed=error_data)


@router.websocket("/threads/{thread_id}/stream/events")
async def socket(websocket: WebSocket, thread_id: str) -> None:
    """Send and take both on one connection; a refusal closes it with 4000 and the status it had over HTTP."""
    await websocket.accept()
    settings = container_of(websocket).settings()
    try:
        found = parse_id(thread_id)
        only = await authorize(websocket, "threads", "read", {"thread_id": found})
        service = container_of(websocket).subscription_service()
        await service.check(principal_of(websocket), found, only)
    except DomainError as error:
        await websocket.close(4000 + error.status, error.detail[:100])
        return
    await _Socket(
        websocket, principal_of(websocket), found, service, only, max_bytes=settings.max_message_bytes
    ).serve()


async def _json(request: Request) -> Any:
    try:
        return orjson.loads(await request.body())
    except orjson.JSONDecodeError:
        raise BadRequest("Invalid JSON body") from None


def _frames(events: Sequence[Numbered]) -> bytes:
    return b"".join([frame(found.event.method, found.wire(), found.seq) for found in events])


class _Socket(Peer):
    """One connection: one reader of the thread, for all subscriptions together.

    A new subscription lets the reader begin again; those that were there before are not shown again what they know.
    """

    def __init__(
        self,
        websocket: WebSocket,
        principal: Principal,
        thread_id: UUID,
        service: SubscriptionService,
        only: Filters,
        *,
        max_bytes: int,
    ) -> None:
        super().__init__(websocket)
        self._principal = principal
        self._thread_id = thread_id
        self._service = service
        self._only = only
        self._max_bytes = max_bytes
        self._commands = Commands(websocket, thread_id)
        self._rates = container_of(websocket).rate_service()
        self._subscriptions: dict[str, Subscription] = {}
        self._reader: asyncio.Task[None] | None = None

    async def serve(self) -> None:
        """Talk until the client goes, stalls, or says nothing but garbage."""
        try:
            async with asyncio.TaskGroup() as self._group:
                try:
                    await self._listen()
                finally:
                    if self._reader is not None:
                        self._reader.cancel()
        except* (Closed, WebSocketDisconnect):
            pass
        if self._websocket.application_state is WebSocketState.CONNECTED:
            await self._hang_up(1001)

    async def _listen(self) -> None:
        garbage = 0
        while True:
            message = await self._websocket.receive()
            if message["type"] == "websocket.disconnect":
                return
            text = message.get("text") or message.get("bytes") or b""
            if len(text) > self._max_bytes:
                await self._close(1009)
            understood = await self._take(text)
            garbage = 0 if understood else garbage + 1
            if garbage >= GARBAGE_LIMIT:
                await self._close(1008)

    async def _take(self, text: str | bytes) -> bool:
        """Answer one message; return whether it was a command."""
        try:
            found = orjson.loads(text)
        except orjson.JSONDecodeError:
            await self._send(dumps(NO_JSON))
            return False
        named = command_of(found)
        if named is None:
            await self._send(dumps(malformed(found)))
            return False
        command_id, method = named
        before = set(self._subscriptions)
        params = found.get("params")
        try:
            async with asyncio.timeout(CALL_SECONDS):
                await self._rates.check(self._principal)
                if method.startswith("subscription."):
                    result = await self._subscription(method, {} if params is None else params)
                else:
                    result = await self._commands.execute(method, params)
        except (CommandError, DomainError, ValidationError) as error:
            answer = refused(command_id, error)
        except TimeoutError:
            answer = refused(command_id, CommandError("unknown_error", "503: This took too long."))
        except Exception:  # noqa: BLE001 - one command ends here, and not the socket
            logger.exception("a command of the thread protocol failed")
            answer = refused(command_id, CommandError("unknown_error", "500: Internal Server Error"))
        else:
            answer = success(command_id, result)
        await self._send(dumps(answer))
        if set(self._subscriptions) - before:
            self._reader = self._group.create_task(self._read())
        return True

    # Subscriptions.

    async def _subscription(self, method: str, params: Any) -> dict[str, Any]:
        if method == "subscription.subscribe":
            return await self._subscribe(FilterParams.model_validate(params))
        if method == "subscription.reconnect":
            return await self._reconnect(params)
        if method == "subscription.unsubscribe":
            self._find(UnsubscribeParams.model_validate(params).subscription_id)
            del self._subscriptions[params["subscription_id"]]
            return {}
        raise CommandError("unknown_command", f"Unknown protocol command: {method[:60]}")

    async def _reconnect(self, params: Any) -> dict[str, Any]:
        if isinstance(params, dict) and "channels" in params:  # from another socket, which is gone
            return {**await self._subscribe(FilterParams.model_validate(params)), "restored": True}
        given = ReconnectParams.model_validate(params)
        old = self._find(given.subscription_id)
        del self._subscriptions[given.subscription_id]
        asked = await self._service.subscribe(
            self._principal, self._thread_id, old.filter, given.since, only=self._only
        )
        return {**await self._add(asked), "restored": True}

    async def _subscribe(self, asked: FilterParams) -> dict[str, Any]:
        if len(self._subscriptions) >= SUBSCRIPTION_LIMIT:
            raise CommandError("invalid_argument", f"One socket has at most {SUBSCRIPTION_LIMIT} subscriptions.")
        subscription = await self._service.subscribe(
            self._principal, self._thread_id, asked.filter, asked.since or 0, only=self._only
        )
        return await self._add(subscription)

    async def _add(self, subscription: Subscription) -> dict[str, Any]:
        count = 0
        async with aclosing(self._service.so_far(self._principal, self._thread_id, only=self._only)) as batches:
            async for batch in batches:
                count += sum(map(subscription.wants, batch))
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.wait({self._reader})
        subscription_id = str(new_id())
        self._subscriptions[subscription_id] = subscription
        return {"subscription_id": subscription_id, "replayed_events": count}

    def _find(self, subscription_id: str) -> Subscription:
        found = self._subscriptions.get(subscription_id)
        if found is None:
            raise CommandError("no_such_subscription", f"Unknown subscription: {subscription_id[:60]}")
        return found

    async def _read(self) -> None:
        await asyncio.sleep(GATHER_SECONDS)
        try:
            async with aclosing(self._service.follow(self._principal, self._thread_id, only=self._only)) as batches:
                async for batch in batches:
                    for found in batch:
                        if any(subscription.wants(found) for subscription in self._subscriptions.values()):
                            await self._send(found.wire())
                    for subscription in self._subscriptions.values():
                        if subscription.after is None or subscription.after < batch[-1].place:
                            subscription.after = batch[-1].place
        except DomainError as error:
            await self._close(4000 + error.status)
