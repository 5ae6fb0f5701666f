"""`/ws/chat`: JSON messages over a plain WebSocket.

The client says `{"type": "chat" | "join" | "leave" | "cancel" | "resume" | "ping", "ref": …, …}`; each call is answered
by `ok` or `error` with its `ref`, and the events of what is followed come between, one message each.

Nothing waits in a queue: whoever follows a run sends by itself, and waits for the client in the socket's own buffer.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from contextlib import aclosing
from typing import Any
from uuid import UUID

import orjson
from fastapi import APIRouter, WebSocket
from loguru import logger
from pydantic import BaseModel, ValidationError
from starlette.websockets import WebSocketDisconnect, WebSocketState

from backend.api.dependency import container_of, principal_of
from backend.api.socket.follow import CALL_SECONDS, THREAD_LIMIT, follow_thread, notice, refusal
from backend.api.socket.peer import Closed, Peer
from backend.api.sse import preceded
from backend.core.error import DomainError, Gone, Invalid, TooLarge
from backend.dto.event import START, Cursor, Event
from backend.dto.principal import Principal
from backend.schema.event import socket_event
from backend.schema.socket import CancelCall, ChatCall, JoinCall, LeaveCall, PingCall, ResumeCall
from backend.service.rate import RateService
from backend.service.run import RunService
from backend.service.thread import ThreadService
from backend.util.id_generator import new_id

router = APIRouter()

GARBAGE_LIMIT = 5
"""Messages in a row that nobody understands, after which the connection is closed."""
_REF_LIMIT = 64


@router.websocket("/ws/chat")
async def chat_socket(websocket: WebSocket) -> None:
    """Talk over a WebSocket; the middleware has settled who it is."""
    container = container_of(websocket)
    settings = container.settings()
    await ChatSocket(
        websocket,
        principal_of(websocket),
        container.run_service(),
        container.thread_service(),
        container.rate_service(),
        max_chars=settings.max_question_chars,
        max_bytes=settings.max_message_bytes,
    ).serve()


class ChatSocket(Peer):
    def __init__(
        self,
        websocket: WebSocket,
        principal: Principal,
        runs: RunService,
        threads: ThreadService,
        rates: RateService,
        *,
        max_chars: int,
        max_bytes: int,
    ) -> None:
        super().__init__(websocket)
        self._principal = principal
        self._runs = runs
        self._threads = threads
        self._rates = rates
        self._max_bytes = max_bytes
        self._context = {"max_chars": max_chars}
        self._following: dict[UUID, asyncio.Task[None]] = {}
        self._calls: dict[str, tuple[type[BaseModel], Callable[[Any], Awaitable[dict[str, Any]]]]] = {
            "chat": (ChatCall, self._chat),
            "join": (JoinCall, self._join),
            "leave": (LeaveCall, self._leave),
            "cancel": (CancelCall, self._cancel),
            "resume": (ResumeCall, self._resume),
            "ping": (PingCall, self._ping),
        }

    async def serve(self) -> None:
        """Talk until the client goes, stalls, or says nothing but garbage."""
        await self._websocket.accept()
        try:
            async with asyncio.TaskGroup() as self._group:
                try:
                    await self._listen()
                finally:
                    for task in self._following.values():
                        task.cancel()
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
            text = message.get("text") or ""
            if len(text) > self._max_bytes or len(message.get("bytes") or b"") > self._max_bytes:
                error = TooLarge(f"A message has at most {self._max_bytes} bytes.", limit=self._max_bytes)
                await self._send(notice("error", refusal(error)))
                await self._close(1009)
            understood = await self._take(text)
            garbage = 0 if understood else garbage + 1
            if garbage >= GARBAGE_LIMIT:
                await self._close(1008)

    async def _take(self, text: str) -> bool:
        """Answer one message; return whether it could be understood."""
        ref: str | int | None = None
        understood = False
        try:
            call = _object(text)
            ref = _ref(call.pop("ref", None))
            kind = call.pop("type", None)
            if not isinstance(kind, str) or kind not in self._calls:
                raise Invalid(f"`type` is one of {', '.join(self._calls)}.")
            model, handle = self._calls[kind]
            parsed = model.model_validate(call, context=self._context)
            understood = True
            async with asyncio.timeout(CALL_SECONDS):
                await self._rates.check(self._principal)
                answer = await handle(parsed)
        except (DomainError, ValidationError, TimeoutError) as error:
            await self._send(_reply("error", ref, {"data": refusal(error)}))
        except (Closed, WebSocketDisconnect):
            raise
        except Exception as error:  # noqa: BLE001  # one call ends here, and not the socket
            logger.exception("a call on /ws/chat failed")
            await self._send(_reply("error", ref, {"data": refusal(error)}))
        else:
            await self._send(_reply("pong" if kind == "ping" else "ok", ref, answer))
        return understood

    # The calls.

    async def _chat(self, call: ChatCall) -> dict[str, Any]:
        if not call.keep:
            self._refuse_when_full()
            batches = self._runs.stateless(self._principal, call.run_request())
            first = await anext(batches)  # refuses here, if it does
            run_id = orjson.loads(first[0].data).get("run_id")
            self._follow(new_id(), self._tell_stateless(run_id, preceded(first, batches)))
            return {"run_id": run_id, "thread_id": None}
        if call.thread_id not in self._following:
            self._refuse_when_full()
        run = await self._runs.start(
            self._principal,
            call.run_request(call.idempotency_key),
            thread_id=call.thread_id,
            idempotency_key=call.idempotency_key,
        )
        if run.thread_id not in self._following:
            self._follow(run.thread_id, self._tell_thread(run.thread_id, (run.run_id, START)))
        return {"run_id": str(run.run_id), "thread_id": str(run.thread_id)}

    async def _join(self, call: JoinCall) -> dict[str, Any]:
        thread = await self._threads.get(self._principal, call.thread_id)
        after = call.after.cursor if call.after is not None else None
        old = self._following.get(call.thread_id)
        if old is None or after is not None:
            if old is not None:
                old.cancel()
            else:
                self._refuse_when_full()
            self._follow(call.thread_id, self._tell_thread(call.thread_id, after))
        return {"thread_id": str(thread.thread_id), "status": thread.status}

    async def _leave(self, call: LeaveCall) -> dict[str, Any]:
        task = self._following.pop(call.thread_id, None)
        if task is not None:
            task.cancel()
        return {"thread_id": str(call.thread_id)}

    async def _cancel(self, call: CancelCall) -> dict[str, Any]:
        run = await self._runs.cancel(self._principal, call.run_id, call.action)
        return {"run_id": str(run.run_id), "thread_id": str(run.thread_id)}

    async def _resume(self, call: ResumeCall) -> dict[str, Any]:
        run = await self._runs.resume(self._principal, call.run_id, call.answer)
        if run.thread_id not in self._following and len(self._following) < THREAD_LIMIT:
            self._follow(run.thread_id, self._tell_thread(run.thread_id, (run.run_id, START)))
        return {"run_id": str(run.run_id), "thread_id": str(run.thread_id)}

    async def _ping(self, _: PingCall) -> dict[str, Any]:
        return {}

    # Following.

    def _refuse_when_full(self) -> None:
        if len(self._following) >= THREAD_LIMIT:
            raise Invalid(f"One socket follows at most {THREAD_LIMIT} threads; leave one first.")

    def _follow(self, key: UUID, telling: Coroutine[Any, Any, None]) -> None:
        task: asyncio.Task[None] = self._group.create_task(telling)
        self._following[key] = task

        def forget(ended: asyncio.Task[None]) -> None:
            if self._following.get(key) is ended:
                del self._following[key]

        task.add_done_callback(forget)

    async def _tell_thread(self, thread_id: UUID, after: tuple[UUID, Cursor] | None) -> None:
        async with aclosing(follow_thread(self._runs, self._principal, thread_id, after)) as batches:
            async for batch in batches:
                for event in batch:
                    await self._send(event)

    async def _tell_stateless(self, run_id: str, batches: AsyncGenerator[list[Event]]) -> None:
        try:
            async with aclosing(batches):
                async for batch in batches:
                    for event in batch:
                        await self._send(socket_event(event, run_id, None))
        except Gone as error:
            await self._send(notice("resync", {"detail": error.detail, "following": False}))
        except DomainError as error:
            await self._send(notice("error", refusal(error)))


def _object(text: str) -> dict[str, Any]:
    try:
        call = orjson.loads(text)
    except orjson.JSONDecodeError:
        raise Invalid("A message is a JSON object.") from None
    if not isinstance(call, dict):
        raise Invalid("A message is a JSON object.")
    return call


def _ref(value: object) -> str | int | None:
    """Return what the client wants its answer to be known by."""
    if value is None or (isinstance(value, int) and abs(value) < 2**53):
        return value
    if isinstance(value, str) and len(value) <= _REF_LIMIT:
        return value
    raise Invalid(f"`ref` is a number, or a text of at most {_REF_LIMIT} characters.")


def _reply(name: str, ref: str | int | None, members: dict[str, Any]) -> bytes:
    shown = {"event": name, "ref": ref, "id": None, "run_id": None, "thread_id": None, **members}
    return orjson.dumps(shown, default=str)
