"""Every request and every socket gets an id, one line in the log, and an end: the outermost of our middlewares.

- `X-Request-ID`: a sane one that comes in is kept, else one is made; it goes out, into every line logged on the way,
  and into problem documents.
- `X-Process-Time`: seconds until the answer began. Headers leave before the body, so of a stream this is the time to
  its first byte; the log line has both that (`first_byte`) and the whole (`seconds`).
- A failure that nobody expected is logged here, once, and answered with a bare 500.
"""

import re
import time
from collections.abc import Callable, Mapping

from loguru import logger
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocketDisconnect

from backend.dto.principal import Principal
from backend.middleware.reply import refuse
from backend.util.id_generator import new_id

CLIENT_LEFT = 499
"""Logged as the status when the client left before the answer began (as nginx has it)."""
PATH_LIMIT = 200
"""Characters of a path that are logged."""
_SANE_ID = re.compile(rb"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}")
_QUIET_PATHS = frozenset({"/health", "/health/live", "/health/ready"})
"""Asked for every few seconds, by machines: their lines are for debugging."""


Saw = Callable[[Principal | None, str, str, str, int, float], None]
"""Takes who asked, the request's id, its method, path and status, and the seconds until its end."""


class TrackingMiddleware:
    """Puts `request_id` into `scope["state"]`, a fresh dictionary for each request."""

    def __init__(
        self,
        app: ASGIApp,
        logged: Callable[[Scope], Mapping[str, str]] | None = None,
        saw: Saw | None = None,
    ) -> None:
        """`logged` gives the headers of a request that its log line has (`http.logging_headers` of a project).

        `saw` is told of each request that has ended, for the request log of its tenant.
        """
        self.app = app
        self._logged = logged
        self._saw = saw

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        kind = scope["type"]
        if kind not in {"http", "websocket"}:
            await self.app(scope, receive, send)
            return
        began = time.perf_counter()
        request_id = _incoming_id(scope) or str(new_id())
        state = scope["state"] = {**scope.get("state", {}), "request_id": request_id}
        first_byte: float | None = None
        status = CLIENT_LEFT

        async def tracked(message: Message) -> None:
            nonlocal first_byte, status
            event = message["type"]
            if event in {"http.response.start", "websocket.accept"}:
                first_byte = time.perf_counter() - began
                status = message.get("status", 101)
                message = {
                    **message,
                    "headers": [
                        *message.get("headers", ()),
                        (b"x-request-id", request_id.encode()),
                        (b"x-process-time", b"%.6f" % first_byte),
                    ],
                }
            elif event == "websocket.close" and first_byte is None:
                status = 403  # what the server answers to a handshake that is closed
            try:
                await send(message)
            except OSError as error:
                if event != "websocket.accept":
                    raise
                raise WebSocketDisconnect(1006) from error  # the client left while the door asked who it is

        with logger.contextualize(request_id=request_id):
            try:
                await self.app(scope, receive, tracked)
            except (ClientDisconnect, WebSocketDisconnect):
                pass  # the client left: an end like any other
            except Exception:  # noqa: BLE001  # the request ends here
                logger.exception("{path} failed", path=scope["path"][:PATH_LIMIT])
                if kind == "http" and first_byte is None:
                    await refuse(scope, tracked, RuntimeError())
                elif kind == "websocket":
                    await send({"type": "websocket.close", "code": 1011})
                # A stream that broke off is left incomplete: the server then cuts the connection, as it must.
                status = 500
            finally:
                principal = state.get("principal")
                seconds = time.perf_counter() - began
                if self._saw is not None:
                    self._saw(principal, request_id, scope.get("method", "WS"), scope["path"], status, seconds)
                logger.log(
                    "DEBUG" if scope["path"] in _QUIET_PATHS else "INFO",
                    "{method} {path} {status} in {seconds:.4f} s",
                    method=scope.get("method", "WS"),
                    path=scope["path"][:PATH_LIMIT],
                    status=status,
                    seconds=round(seconds, 6),
                    first_byte=None if first_byte is None else round(first_byte, 6),
                    tenant_id=principal.tenant_id if principal is not None else None,
                    **({} if self._logged is None else {"headers": self._logged(scope)}),
                )


def _incoming_id(scope: Scope) -> str | None:
    for name, value in scope["headers"]:
        if name == b"x-request-id":
            return value.decode("ascii") if _SANE_ID.fullmatch(value) else None
    return None
