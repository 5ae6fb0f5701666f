"""Calls of the server to itself, within the process: `langgraph_sdk.get_client()` without an address.

Such a call passes no authentication: it is made in the name of whoever the run that makes it belongs to, and outside of
any run as the tenant `default`. The transport hands bodies on as they come, so that streams are streams, and runs the
application on the server's own loop, from wherever it is called.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, MutableMapping
from contextvars import Context, ContextVar
from typing import Any, ClassVar

import httpx
from loguru import logger

from backend.dto.principal import DEFAULT_TENANT, Principal

_Receive = Callable[[], Awaitable[Any]]
_Send = Callable[[Any], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], _Receive, _Send], Awaitable[None]]
"""An ASGI application."""
LEAVE_SECONDS = 5.0
"""How long an application may take to see that its reader has left."""

NOBODY = Principal(DEFAULT_TENANT, "loopback")
"""Who calls from outside of any run: the project's own routes and its start."""

_caller: ContextVar[Principal] = ContextVar("loopback_caller", default=NOBODY)


class acting_as:  # noqa: N801  # used like a function
    """`with acting_as(principal):` makes what is called inside, in tasks and threads too, call in their name.

    A class and no generator: every run passes here.
    """

    __slots__ = ("_principal", "_token")

    def __init__(self, principal: Principal) -> None:
        self._principal = principal

    def __enter__(self) -> None:
        self._token = _caller.set(self._principal)

    def __exit__(self, *_: object) -> None:
        _caller.reset(self._token)


class _Server:
    """The application that is called, and its loop: there is one server in a process."""

    app: App | None = None
    loop: asyncio.AbstractEventLoop | None = None


def install_loopback() -> None:
    """Make clients without an address come here. Before any code of a project is imported, which may make one."""
    from langgraph_sdk._async import client

    # The SDK asks for its transport by this name, and waits for a server to tell transports their application; it does
    # not tell the ones made later. Ours look for the application when they are used.
    client.get_asgi_transport = lambda: LoopbackTransport  # type: ignore[attr-defined, assignment]  # a hook that has no name of its own


def open_loopback(app: App) -> None:
    """Answer the clients by `app` from now on, on the running loop."""
    from langgraph_sdk.client import configure_loopback_transports

    _Server.app, _Server.loop = app, asyncio.get_running_loop()
    configure_loopback_transports(app)


def close_loopback(app: App) -> None:
    """Answer no client by `app` any more."""
    if _Server.app is app:
        _Server.app = _Server.loop = None


class LoopbackTransport(httpx.AsyncBaseTransport):
    """Made by the SDK, for each client one."""

    def __init__(self, app: object = None, root_path: str = "", **_: object) -> None:
        """Take what the SDK says; the application is looked for at each request."""
        self.app = app

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer as the server would.

        Raises:
            httpx.ConnectError: no server is open in this process.
        """
        if _Server.app is None or _Server.loop is None:
            raise httpx.ConnectError("No server is open in this process.", request=request)
        body = await request.aread()
        state = {"principal": _caller.get(), "loopback": True}
        call = _Call(_Server.app, _scope(request, state), body)
        if asyncio.get_running_loop() is _Server.loop:
            status, headers = await call.begin()
            return httpx.Response(status, headers=headers, stream=_Body(call), request=request)
        # Called on another loop (`asyncio.run` in a synchronous node): all of it runs on the server's.
        whole = asyncio.run_coroutine_threadsafe(call.whole(), _Server.loop)
        status, headers, content = await asyncio.wrap_future(whole)
        return httpx.Response(status, headers=headers, content=content, request=request)


def is_loopback(scope: Mapping[str, Any]) -> bool:
    """Tell whether a request was made within this process; nothing on the wire can say so."""
    return (scope.get("state") or {}).get("loopback") is True


class _Call:
    """One request to the application, in a task of its own."""

    _running: ClassVar[set[asyncio.Task[None]]] = set()
    """An application may go on after its answer, and the loop alone does not keep a task."""

    def __init__(self, app: App, scope: dict[str, Any], body: bytes) -> None:
        self._app = app
        self._scope = scope
        self._body: bytes | None = body
        self._left = asyncio.Event()
        self._complete = False
        self._sent: asyncio.Queue[Any] = asyncio.Queue(maxsize=16)
        self._task: asyncio.Task[None] | None = None

    async def begin(self) -> tuple[int, list[tuple[bytes, bytes]]]:
        """Start the application; return the status and the headers of its answer."""
        # In an empty context, or a run that this call starts would take itself for a part of the one that calls.
        self._task = asyncio.get_running_loop().create_task(self._run(), context=Context())
        self._running.add(self._task)
        self._task.add_done_callback(self._running.discard)
        try:
            first = await self._sent.get()
        except BaseException:
            await self.end()
            raise
        if not isinstance(first, dict):
            raise first or httpx.RemoteProtocolError("The server gave no answer.")
        return first["status"], list(first["headers"])

    async def parts(self) -> AsyncIterator[bytes]:
        """Yield the body."""
        while (part := await self._sent.get()) is not None:
            if isinstance(part, BaseException):
                raise part
            yield part

    async def whole(self) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
        """Return the answer when all of it is there."""
        status, headers = await self.begin()
        try:
            return status, headers, b"".join([part async for part in self.parts()])
        finally:
            await self.end()

    async def end(self) -> None:
        """Let the application know that nobody listens any more, and wait for it to see that."""
        self._left.set()
        while not self._sent.empty():  # it may wait for room
            self._sent.get_nowait()
        if self._complete or self._task is None:
            return
        await asyncio.wait({self._task}, timeout=LEAVE_SECONDS)
        self._task.cancel()

    async def _run(self) -> None:
        failure: BaseException | None = None
        try:
            await self._app(self._scope, self._receive, self._send)
        except Exception as error:  # noqa: BLE001 - it is raised where the answer is read
            failure = error
        if self._complete and failure is not None:
            logger.opt(exception=failure).error("a call within the process failed after its answer")
        await self._put(failure)

    async def _receive(self) -> dict[str, Any]:
        if self._body is not None:
            body, self._body = self._body, None
            return {"type": "http.request", "body": body, "more_body": False}
        await self._left.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            await self._put({"status": message["status"], "headers": message.get("headers", [])})
        elif message["type"] == "http.response.body":
            if message.get("body"):
                await self._put(bytes(message["body"]))
            if not message.get("more_body", False):
                await self._put(None)

    async def _put(self, what: Any) -> None:
        if self._complete or self._left.is_set():
            return
        self._complete = what is None or isinstance(what, BaseException)
        await self._sent.put(what)


class _Body(httpx.AsyncByteStream):
    def __init__(self, call: _Call) -> None:
        self._call = call

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for part in self._call.parts():
            yield part

    async def aclose(self) -> None:
        await self._call.end()


def _scope(request: httpx.Request, state: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": request.method,
        "scheme": request.url.scheme,
        "path": request.url.path,
        "raw_path": request.url.raw_path.split(b"?")[0],
        "query_string": request.url.query,
        "root_path": "",
        "headers": [(name.lower(), value) for name, value in request.headers.raw],
        "server": (request.url.host, request.url.port or 80),
        "client": ("127.0.0.1", 0),
        "state": state,
    }
