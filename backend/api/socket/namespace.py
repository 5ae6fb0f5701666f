"""Socket.IO: people chatting, several of them on one thread.

Every call is acknowledged, by `{"ok": true, …}` or `{"problem": {…}}`. Engine.IO's send queue has no bound of its own,
so nothing is put into it that the client does not keep up with: the events of a thread leave in batches, and the next
one only after the client has acknowledged the one before; between them a viewer is a cursor into the event log and
nothing else. What is only nice to know (who types, who is there) is left out for a client that lags.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import UUID

import orjson
import socketio
from loguru import logger
from pydantic import BaseModel, ValidationError
from socketio.exceptions import ConnectionRefusedError as Refused
from starlette.types import Message, Receive, Scope, Send

from backend.api.socket.follow import ACK_SECONDS, CALL_SECONDS, THREAD_LIMIT, follow_thread, notice, refusal
from backend.core.error import Conflict, DomainError, Forbidden, Invalid, TooMany, Unauthorized
from backend.dto.event import START, Cursor
from backend.dto.principal import Principal
from backend.schema.hand_over import ClaimRead
from backend.schema.socket import (
    CancelCall,
    ChatCall,
    ClaimCall,
    JoinCall,
    LeaveCall,
    PingCall,
    ReleaseCall,
    ResumeCall,
    TypingCall,
)
from backend.service.auth import Credentials, credentials_of
from backend.service.hand_over import CLAIM
from backend.service.permission import allowed

if TYPE_CHECKING:
    from backend.config.setting import Settings
    from backend.container import Container
    from backend.service.auth import Authenticator
    from backend.service.hand_over import HandOverService
    from backend.service.rate import RateService
    from backend.service.run import RunService
    from backend.service.thread import ThreadService

PATH = "/socket.io"
BATCH_BYTES = 64 * 1024
"""Most bytes of one batch, but for a single event that is larger."""
LAG_LIMIT = 32
"""Packets waiting for a client, above which it is told no more of what is only nice to know."""
PACKET_LIMIT = 256
"""Packets waiting for a client that goes on calling, above which it is disconnected."""
TYPING_SECONDS = 0.5
PING_SECONDS = 10
RECHECK_SECONDS = 30.0
"""Between two looks at whether what a client came in with still opens; each of its calls is a look too."""


class _Stalled(Exception):
    """The client does not acknowledge what it is sent."""


class _Client:
    """One connected client."""

    def __init__(self, sid: str, eio_sid: str, principal: Principal, credentials: Credentials | None) -> None:
        """`credentials` is None where the door has settled who it is."""
        self.sid = sid
        self.eio_sid = eio_sid
        self.principal = principal
        self.credentials = credentials
        self.pumps: dict[UUID, asyncio.Task[None]] = {}
        self.typed: dict[UUID, float] = {}
        # One batch is under way to a client, whatever the number of threads that it follows.
        self.turn = asyncio.Lock()


class SocketNamespace(socketio.AsyncNamespace):  # type: ignore[misc]  # python-socketio is not typed
    """The handlers. Rooms are named here, and entered after the thread was found to be the tenant's."""

    def __init__(
        self,
        authenticator: "Authenticator",
        runs: Callable[[], "RunService"],
        threads: Callable[[], "ThreadService"],
        rates: Callable[[], "RateService"],
        hand_over: Callable[[], "HandOverService"],
        *,
        max_chars: int,
        max_bytes: int,
        ack_seconds: float = ACK_SECONDS,
    ) -> None:
        super().__init__("/")
        self._authenticator = authenticator
        self._runs = runs
        self._threads = threads
        self._rates = rates
        self._hand_over = hand_over
        self._telling: set[asyncio.Task[None]] = set()
        self._context = {"max_chars": max_chars}
        self._max_bytes = max_bytes
        self._ack_seconds = ack_seconds
        self._clients: dict[str, _Client] = {}
        self._guard: asyncio.Task[None] | None = None
        self._calls: dict[str, tuple[type[BaseModel], Callable[[_Client, Any], Awaitable[dict[str, Any]]]]] = {
            "chat": (ChatCall, self._chat),
            "join": (JoinCall, self._join),
            "leave": (LeaveCall, self._leave),
            "cancel": (CancelCall, self._cancel),
            "resume": (ResumeCall, self._resume),
            "claim": (ClaimCall, self._claim),
            "release": (ReleaseCall, self._release),
            "typing": (TypingCall, self._typing),
            "ping": (PingCall, self._ping),
        }

    async def close(self) -> None:
        """Let every client go. Its connection is closed, since a client that is told to leave does not come back."""
        if self._guard is not None:
            self._guard.cancel()
            self._guard = None
        for client in list(self._clients.values()):
            await self._disconnect(client.sid)
        for socket in list(self.server.eio.sockets.values()):
            await _hang_up(socket, abort=False)

    async def trigger_event(self, event: object, *args: Any) -> Any:
        """Take whatever comes: python-socketio calls this for its own events, and for any name that a client sends."""
        if event == "connect" and self._is_own_connect(args):
            return await self._connect(*args)
        sid = args[0]
        if event == "disconnect" and not self.server.manager.is_connected(sid, self.namespace):
            return await self._disconnect(sid)
        client = self._clients.get(sid)
        if client is None:
            return {"problem": refusal(Unauthorized("This socket is not connected."))}
        if self._waiting(client) > PACKET_LIMIT:
            logger.info("a client calls without reading and was dropped")
            await self._drop(client)
            return None
        with logger.contextualize(tenant_id=client.principal.tenant_id):
            if not await self._is_welcome(client):
                return None
            return await self._answer(client, event, args[1:])

    async def _answer(self, client: _Client, event: object, args: tuple[Any, ...]) -> dict[str, Any]:
        try:
            if event != "typing":  # which a person causes by the dozen, and which has a limit of its own
                await self._rates().check(client.principal)
            if not isinstance(event, str) or event not in self._calls:
                raise Invalid(f"There is no such call. There are: {', '.join(self._calls)}.")
            if len(args) > 1:
                raise Invalid("A call has one argument.")
            model, handle = self._calls[event]
            call = model.model_validate(args[0] if args else {}, context=self._context)
            async with asyncio.timeout(CALL_SECONDS):
                return {"ok": True, **await handle(client, call)}
        except (DomainError, ValidationError, TimeoutError) as error:
            return {"problem": refusal(error)}
        except Exception as error:  # noqa: BLE001  # one call ends here, and not the socket
            logger.exception("a Socket.IO call failed")
            return {"problem": refusal(error)}

    # Coming and going.

    def _is_own_connect(self, args: tuple[Any, ...]) -> bool:
        """Whether the server calls. A client can send an event named `connect`, with an environment of its making."""
        if len(args) < 2 or args[0] in self._clients:
            return False
        eio_sid = self.server.manager.eio_sid_from_sid(args[0], self.namespace)
        return eio_sid is not None and self.server.environ.get(eio_sid) is args[1]

    async def _connect(self, sid: str, environ: Mapping[str, Any], auth: object = None) -> None:
        scope = environ["asgi.scope"]
        address = scope["client"][0] if scope.get("client") else ""
        token = auth.get("token") if isinstance(auth, dict) else None
        known: Principal | None = scope.get("state", {}).get("principal")
        credentials: Credentials | None = None
        try:
            if known is not None:  # the door asked a project's own authentication, or needs none
                principal = known
            else:
                credentials = credentials_of(scope["headers"]) if token is None else Credentials(token=token)
                principal = await self._authenticator.identify(credentials, address)
                _refuse_unless_allowed(principal)
        except DomainError as error:
            raise Refused(error.detail, refusal(error)) from None
        eio_sid = self.server.manager.eio_sid_from_sid(sid, self.namespace)
        self._clients[sid] = _Client(sid, eio_sid, principal, credentials)
        if self._guard is None:
            self._guard = asyncio.create_task(self._look_again(), name="socket-guard")

    async def _is_welcome(self, client: _Client) -> bool:
        """Return whether what a client came in with still opens; else it is sent away."""
        if client.credentials is None:
            return True
        try:
            client.principal = await self._authenticator.recheck(client.credentials)
            _refuse_unless_allowed(client.principal)
        except (Unauthorized, Forbidden):
            logger.info("a socket was closed: what it came in with no longer opens")
            await self._drop(client)
            return False
        return True

    async def _look_again(self) -> None:
        while True:
            await asyncio.sleep(RECHECK_SECONDS)
            for client in list(self._clients.values()):
                try:
                    await self._is_welcome(client)
                except Exception:  # noqa: BLE001  # a task of ours: the others are looked at too
                    logger.exception("a socket could not be looked at again")
                await asyncio.sleep(0)  # there may be thousands

    async def _disconnect(self, sid: str) -> None:
        client = self._clients.pop(sid, None)
        if client is None:
            return
        here = asyncio.current_task()
        for task in client.pumps.values():
            if task is not here:
                task.cancel()
        for thread_id in client.pumps:
            await self.leave_room(sid, _room(client, thread_id))
            await self._tell_presence(client, thread_id)

    # The calls.

    async def _chat(self, client: _Client, call: ChatCall) -> dict[str, Any]:
        if not call.keep:
            raise Invalid("Here every conversation is kept; keep=false is for /api/v1/chat and /ws/chat.")
        if call.thread_id not in client.pumps:
            self._refuse_when_full(client)
        run = await self._runs().start(
            client.principal,
            call.run_request(call.idempotency_key),
            thread_id=call.thread_id,
            idempotency_key=call.idempotency_key,
        )
        await self._watch(client, run.thread_id, (run.run_id, START))
        return {"run_id": str(run.run_id), "thread_id": str(run.thread_id)}

    async def _join(self, client: _Client, call: JoinCall) -> dict[str, Any]:
        thread = await self._threads().get(client.principal, call.thread_id)
        after = call.after.cursor if call.after is not None else None
        old = client.pumps.get(call.thread_id)
        if old is None:
            self._refuse_when_full(client)
        elif after is not None:
            client.pumps.pop(call.thread_id).cancel()
        await self._watch(client, call.thread_id, after)
        return {
            "thread_id": str(thread.thread_id),
            "status": thread.status,
            "viewers": self._viewers(client, call.thread_id),
        }

    async def _leave(self, client: _Client, call: LeaveCall) -> dict[str, Any]:
        task = client.pumps.pop(call.thread_id, None)
        if task is not None:
            task.cancel()
            client.typed.pop(call.thread_id, None)
            await self.leave_room(client.sid, _room(client, call.thread_id))
            await self._tell_presence(client, call.thread_id)
        return {"thread_id": str(call.thread_id)}

    async def _cancel(self, client: _Client, call: CancelCall) -> dict[str, Any]:
        run = await self._runs().cancel(client.principal, call.run_id, call.action)
        return {"run_id": str(run.run_id), "thread_id": str(run.thread_id)}

    async def _resume(self, client: _Client, call: ResumeCall) -> dict[str, Any]:
        run = await self._runs().resume(client.principal, call.run_id, call.answer)
        if run.thread_id in client.pumps or len(client.pumps) < THREAD_LIMIT:
            await self._watch(client, run.thread_id, (run.run_id, START))
        return {"run_id": str(run.run_id), "thread_id": str(run.thread_id)}

    async def _claim(self, client: _Client, call: ClaimCall) -> dict[str, Any]:
        claim = await self._hand_over().claim(client.principal, call.thread_id, call.seconds)
        return ClaimRead.of(call.thread_id, claim).model_dump(mode="json")

    async def _release(self, client: _Client, call: ReleaseCall) -> dict[str, Any]:
        await self._hand_over().release(client.principal, call.thread_id)
        return ClaimRead.of(call.thread_id, None).model_dump(mode="json")

    async def _typing(self, client: _Client, call: TypingCall) -> dict[str, Any]:
        if call.thread_id not in client.pumps:
            raise Conflict("Join the thread first.")
        now = asyncio.get_running_loop().time()
        if call.typing and now - client.typed.get(call.thread_id, 0.0) < TYPING_SECONDS:
            raise TooMany(f"At most every {TYPING_SECONDS} seconds.", 1)
        client.typed[call.thread_id] = now
        shown = {"thread_id": str(call.thread_id), "user_id": client.principal.user_id, "typing": call.typing}
        await self._tell_room(client, call.thread_id, "typing", shown, but=client.sid)
        return {}

    async def _ping(self, client: _Client, _: PingCall) -> dict[str, Any]:
        return {"user_id": client.principal.user_id}

    # Following.

    @staticmethod
    def _refuse_when_full(client: _Client) -> None:
        if len(client.pumps) >= THREAD_LIMIT:
            raise Invalid(f"One socket follows at most {THREAD_LIMIT} threads; leave one first.")

    async def _watch(self, client: _Client, thread_id: UUID, after: tuple[UUID, Cursor] | None) -> None:
        """Let the client follow a thread that is its tenant's, unless it does or has gone."""
        if thread_id in client.pumps or client.sid not in self._clients:
            return
        client.pumps[thread_id] = asyncio.create_task(self._pump(client, thread_id, after))
        await self.enter_room(client.sid, _room(client, thread_id))
        await self._tell_presence(client, thread_id)

    async def _pump(self, client: _Client, thread_id: UUID, after: tuple[UUID, Cursor] | None) -> None:
        """Send the thread's events, a batch at a time, until the client leaves, goes or stalls."""
        try:
            with self._runs().listening(client.principal, thread_id, partial(self._hear, client)):
                async with aclosing(follow_thread(self._runs(), client.principal, thread_id, after)) as batches:
                    async for batch in self._bounded(batches, thread_id):
                        await self._deliver(client, batch)
        except _Stalled:
            logger.info("a client acknowledged nothing for {seconds} s and was dropped", seconds=self._ack_seconds)
            await self._drop(client)
        except Exception:  # noqa: BLE001  # a task of ours ends here
            logger.exception("a viewer of thread {thread_id} could not be served", thread_id=thread_id)
            await self._drop(client)
        finally:
            if client.pumps.get(thread_id) is asyncio.current_task():
                del client.pumps[thread_id]

    def _hear(self, client: _Client, name: str, data: bytes) -> None:
        """Pass on who has taken a thread over, or given it back."""
        if name == CLAIM and self._waiting(client) <= LAG_LIMIT:
            task = asyncio.create_task(self.emit(CLAIM, orjson.Fragment(data), to=client.sid))
            self._telling.add(task)
            task.add_done_callback(self._telling.discard)

    async def _bounded(self, batches: AsyncIterator[list[bytes]], thread_id: UUID) -> AsyncIterator[list[bytes]]:
        """Cut batches to size; an event too large for a message is not sent, and the client told to fetch it."""
        async for events in batches:
            part: list[bytes] = []
            size = 0
            for event in events:
                sent = event
                if len(event) > self._max_bytes:
                    detail = f"An event of {len(event)} bytes is too large for a message."
                    data = {"detail": detail, "messages": f"/api/v1/threads/{thread_id}/messages", "following": True}
                    sent = notice("resync", data, None, thread_id)
                if part and size + len(sent) > BATCH_BYTES:
                    yield part
                    part, size = [], 0
                part.append(sent)
                size += len(sent)
            yield part

    async def _deliver(self, client: _Client, events: list[bytes]) -> None:
        body = orjson.Fragment(b'{"events":[%b]}' % b",".join(events))
        async with client.turn:
            acknowledged = asyncio.get_running_loop().create_future()

            def received(*_: object) -> None:
                if not acknowledged.done():
                    acknowledged.set_result(None)

            await self.emit("events", body, to=client.sid, callback=received)
            try:
                async with asyncio.timeout(self._ack_seconds):
                    await acknowledged
            except TimeoutError:
                raise _Stalled from None

    async def _drop(self, client: _Client) -> None:
        """End a connection that may not even take a goodbye."""
        await self._disconnect(client.sid)
        socket = self.server.eio.sockets.get(client.eio_sid)
        if socket is not None:
            await _hang_up(socket, abort=True)

    # Who is there.

    def _viewers(self, client: _Client, thread_id: UUID) -> list[dict[str, Any]]:
        here = self.server.manager.get_participants(self.namespace, _room(client, thread_id))
        users = Counter(self._clients[sid].principal.user_id for sid, _ in here if sid in self._clients)
        return [{"user_id": user, "connections": count} for user, count in sorted(users.items())]

    async def _tell_presence(self, client: _Client, thread_id: UUID) -> None:
        shown = {"thread_id": str(thread_id), "viewers": self._viewers(client, thread_id)}
        await self._tell_room(client, thread_id, "presence", shown)

    async def _tell_room(
        self, client: _Client, thread_id: UUID, event: str, data: dict[str, Any], *, but: str | None = None
    ) -> None:
        for sid, _ in list(self.server.manager.get_participants(self.namespace, _room(client, thread_id))):
            viewer = self._clients.get(sid)
            if viewer is not None and sid != but and self._waiting(viewer) <= LAG_LIMIT:
                await self.emit(event, data, to=sid)

    def _waiting(self, client: _Client) -> int:
        socket = self.server.eio.sockets.get(client.eio_sid)
        return 0 if socket is None else int(socket.queue.qsize())


def _refuse_unless_allowed(principal: Principal) -> None:
    if not allowed(principal, "GET", PATH):
        raise Forbidden("Your role or key does not allow this.")


def _room(client: _Client, thread_id: UUID) -> str:
    return f"t:{client.principal.tenant_id}:th:{thread_id}"


async def _hang_up(socket: Any, *, abort: bool) -> None:
    """Close an Engine.IO connection, without a goodbye (`abort`) or with one; neither is waited for."""
    await socket.close(wait=False, abort=abort)
    await socket.queue.put(None)  # ends the task that writes, which closes the connection


class _Server(socketio.AsyncServer):  # type: ignore[misc]  # python-socketio is not typed
    """Lets a client go whose WebSocket carries no Engine.IO packets; the library itself would fail on them."""

    async def handle_request(self, scope: Scope, receive: Receive, send: Send) -> Any:
        async def packets() -> Message:
            message = await receive()
            if message["type"] == "websocket.receive" and message.get("bytes") is None:
                text = message.get("text") or ""
                if not text or text[0] not in "0123456":
                    return {"type": "websocket.disconnect", "code": 1002}
            return message

        return await super().handle_request(scope, packets, send)


class _Json:
    """The JSON of Socket.IO's packets; what is bytes of JSON already (`orjson.Fragment`) goes in as it is."""

    @staticmethod
    def dumps(value: object, **_: object) -> str:
        return orjson.dumps(value, default=str).decode()

    @staticmethod
    def loads(text: str | bytes, **_: object) -> Any:
        return orjson.loads(text)


def build_socket_server(container: "Container", settings: "Settings") -> socketio.AsyncServer:
    """Return the Socket.IO server with its handlers; `socketio.ASGIApp` puts it beside the application."""
    # Garbage from clients would fill the log with traces; what fails in our handlers is logged there.
    quiet = logging.getLogger("socketio.quiet")
    quiet.setLevel(logging.CRITICAL)
    server = _Server(
        async_mode="asgi",
        # Calls of one client are handled in order, and it is not read further meanwhile.
        async_handlers=False,
        cors_allowed_origins=_origin_check(settings.cors_origins),
        cors_credentials=False,
        ping_interval=PING_SECONDS,
        ping_timeout=PING_SECONDS,
        max_http_buffer_size=settings.max_message_bytes,
        json=_Json,
        logger=quiet,
        engineio_logger=quiet,
    )
    server.register_namespace(
        SocketNamespace(
            container.authenticator(),
            container.run_service,
            container.thread_service,
            container.rate_service,
            container.hand_over_service,
            max_chars=settings.max_question_chars,
            max_bytes=settings.max_message_bytes,
        )
    )
    return server


async def close_socket_server(server: socketio.AsyncServer) -> None:
    """Let every client go, and end what Socket.IO does in the background; more than once is no harm."""
    await server.namespace_handlers["/"].close()
    if server.eio.service_task_handle is not None:  # there is none before the first connection
        await server.shutdown()


def _origin_check(allowed: tuple[str, ...]) -> Callable[[str | None, Mapping[str, Any]], bool]:
    """Return what lets in pages of this server and of the origins that are allowed; browsers do not check sockets."""
    known = frozenset(origin.rstrip("/").lower() for origin in allowed)

    def check(origin: str | None, environ: Mapping[str, Any]) -> bool:
        host = environ.get("HTTP_HOST", "").lower()
        asked = (origin or "").lower()
        return not asked or "*" in known or asked in known or asked in {f"http://{host}", f"https://{host}"}

    return check
