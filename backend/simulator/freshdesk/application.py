"""The simulator as an ASGI application: whose request it is, what it costs, who asks, and what goes wrong."""

import base64
import binascii
import re
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import parse_qs, parse_qsl

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from backend.simulator.freshdesk.account import Account
from backend.simulator.freshdesk.api import FreshdeskApi
from backend.simulator.freshdesk.ask import Refused, answer
from backend.simulator.freshdesk.attachment import PATH, Storage
from backend.simulator.freshdesk.fault import TOO_MANY, Faults, Message, Receive, Send, answer_wrongly
from backend.simulator.freshdesk.limit import Kind, Limiter, Plan, Verdict

_API = re.compile(r"(?:/(?P<subdomain>[a-z0-9][a-z0-9-]*))?(?P<path>/api/v2(?:/.*)?)")
_INVALID_KEY = {"code": "invalid_credentials", "message": "You have to be logged in to perform this action."}
_LOGGED = 100_000


@dataclass(frozen=True, slots=True)
class Asked:
    """One request that came, and what was said."""

    at: datetime
    method: str
    subdomain: str | None
    """None: no account's, as a file's."""
    path: str
    """Below the account: `/api/v2/tickets`."""
    query: str
    status: int
    """0 when the connection was ended instead."""
    credits: int
    had_key: bool
    """Whether it bore an `Authorization`: links to files must not."""
    user_agent: str | None


class Simulator:
    """The ASGI application. Make it with `create_simulator`."""

    def __init__(
        self,
        accounts: Sequence[Account],
        *,
        plan: Plan,
        limit_per_minute: int | None,
        clock: Callable[[], datetime],
        faults: Faults,
        retry_after: bool,
        link_seconds: float,
        search_lag: timedelta,
        files_origin: str | None,
    ) -> None:
        self.accounts = {account.subdomain: account for account in accounts}
        self.clock = clock
        self.faults = faults
        self.retry_after = retry_after
        """Whether a 429 says how long to wait."""
        self.files_origin = files_origin
        """Where links to files point; None is where the request came to."""
        self.limiters = {account.subdomain: Limiter(plan, clock, limit_per_minute) for account in accounts}
        self.requests: deque[Asked] = deque(maxlen=_LOGGED)
        self.count = 0
        """Requests since the start."""
        self.started = threading.Event()
        self._storage = Storage(list(accounts), clock=clock, link_seconds=link_seconds)
        self._routers = {
            account.subdomain: FreshdeskApi(account, self._signer(account), clock=clock, search_lag=search_lag).router()
            for account in accounts
        }

    def _signer(self, account: Account) -> Callable[[dict[str, object], str], dict[str, object]]:
        return lambda attachment, origin: self._storage.sign(account, attachment, self.files_origin or origin)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        if scope["type"] != "http":
            return
        match = _API.fullmatch(scope["path"])
        subdomain = (match["subdomain"] or next(iter(self.accounts))) if match else None
        path = match["path"] if match else scope["path"]
        call = _Call(self, scope, subdomain, path)
        fault = self.faults.take(path)
        if fault is None:
            await call(scope, receive, send)
            status = call.status
        else:
            status = await answer_wrongly(fault, call, scope, receive, send)
        self.count += 1
        self.requests.append(
            Asked(
                self.clock(),
                scope["method"],
                subdomain,
                path,
                scope["query_string"].decode("ascii", "replace"),
                status,
                call.credits,
                call.header("authorization") is not None,
                call.header("user-agent"),
            )
        )

    async def respond(self, call: "_Call", receive: Receive) -> Response:
        """Return the answer to a request: counted first, then the key, the limit and the route."""
        if call.subdomain is None:
            if call.path.startswith(PATH):
                return self._storage.answer(call.path, dict(parse_qsl(call.scope["query_string"].decode("ascii"))))
            return Response(status_code=404)
        account = self.accounts.get(call.subdomain)
        if account is None:
            return Response(status_code=404)
        verdict = self.limiters[account.subdomain].take(call.cost(), call.kind())
        call.credits = verdict.used
        agent = account.agents.get(account.api_keys.get(_key(call.header("authorization")), 0))
        if agent is None:  # counted, and still no 429: that would say that the key is known
            return _with_limits(answer(_INVALID_KEY, 401), verdict)
        if not verdict.allowed:
            headers = {"retry-after": str(verdict.retry_after)} if self.retry_after else None
            return _with_limits(answer({"message": TOO_MANY}, 429, headers), verdict)
        origin = f"http://{call.header('host') or '127.0.0.1'}"
        prefix = call.scope["path"].removesuffix(call.path)
        scope = {**call.scope, "path": call.path.removeprefix("/api/v2") or "/", "root_path": ""}
        scope["state"] = {"agent": agent, "origin": origin, "base": f"{origin}{prefix}/api/v2"}
        return _with_limits(await self._route(account, scope, receive), verdict)

    async def _route(self, account: Account, scope: Message, receive: Receive) -> Response:
        kept: list[Message] = []

        async def keep(message: Message) -> None:
            kept.append(message)

        request = Request(scope, receive)
        await request.body()  # whole, before the account is held: nothing waits while it is

        async def again() -> Message:
            return {"type": "http.request", "body": request._body, "more_body": False}

        try:
            with account.lock:
                await self._routers[account.subdomain](scope, again, keep)
        except Refused as refusal:
            return (
                Response(status_code=refusal.status) if refusal.body is None else answer(refusal.body, refusal.status)
            )
        except HTTPException as refusal:
            return _plain(refusal.status_code, scope["method"], dict(refusal.headers or {}))
        status, headers = kept[0]["status"], kept[0]["headers"]
        if status in {404, 405} and not any(name == b"content-type" and b"json" in value for name, value in headers):
            return _plain(status, scope["method"], {name.decode(): value.decode() for name, value in headers})
        response = Response(b"".join(message.get("body", b"") for message in kept[1:]), status)
        response.raw_headers = list(headers)
        return response

    async def _live(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                await send({"type": "lifespan.startup.complete"})
                self.started.set()
            else:
                await send({"type": "lifespan.shutdown.complete"})
                return


class _Call:
    """One request on its way: an ASGI application that remembers what it said."""

    def __init__(self, simulator: Simulator, scope: Message, subdomain: str | None, path: str) -> None:
        self._simulator = simulator
        self.scope = scope
        self.subdomain = subdomain
        self.path = path
        self.status = 0
        self.credits = 0

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        response = await self._simulator.respond(self, receive)
        self.status = response.status_code
        await response(scope, receive, send)

    def header(self, name: str) -> str | None:
        for key, value in self.scope["headers"]:
            if key == name.encode():
                return str(value.decode("latin-1"))
        return None

    def cost(self) -> int:
        """Return the credits: one, and for each `include` one more on a single object, two on a list."""
        included = parse_qs(self.scope["query_string"].decode("ascii", "replace")).get("include", [])
        names = sum(len(text.split(",")) for text in included)
        return 1 + names * (1 if re.fullmatch(r"/api/v2/\w+/\d+", self.path) else 2)

    def kind(self) -> Kind | None:
        below = self.path.removeprefix("/api/v2")
        if self.scope["method"] == "GET":
            return "ticket_list" if below == "/tickets" else "contact_list" if below == "/contacts" else None
        if below.startswith("/tickets"):
            return "create" if below == "/tickets" else "update"
        return None


def create_simulator(
    account: Account | Sequence[Account],
    *,
    plan: Plan = "enterprise",
    limit_per_minute: int | None = None,
    clock: Callable[[], datetime] | None = None,
    faults: Faults | None = None,
    retry_after: bool = True,
    link_seconds: float = 300.0,
    search_lag: timedelta = timedelta(0),
    files_origin: str | None = None,
) -> Simulator:
    """Return an ASGI application that answers as Freshdesk does.

    Args:
        account: One or several. Each is below `/{subdomain}/api/v2`, the first one below `/api/v2` too.
        plan: Whose limits hold, for each account on its own.
        limit_per_minute: A total that replaces the plan's.
        clock: The time, for the limits and the links; the first account's when it is not given.
        faults: What is to go wrong.
        retry_after: Whether a 429 says how long to wait.
        link_seconds: How long a link to a file works.
        search_lag: How far the search's index lags behind.
        files_origin: `http://host:port` of the links to files; where the request came to when it is not given.
    """
    accounts = [account] if isinstance(account, Account) else list(account)
    return Simulator(
        accounts,
        plan=plan,
        limit_per_minute=limit_per_minute,
        clock=clock or accounts[0].clock,
        faults=faults or Faults(),
        retry_after=retry_after,
        link_seconds=link_seconds,
        search_lag=search_lag,
        files_origin=files_origin,
    )


def _key(authorization: str | None) -> str:
    """Return the user of HTTP Basic; whatever the password is, as with Freshdesk."""
    scheme, _, value = (authorization or "").partition(" ")
    if scheme.lower() != "basic":
        return ""
    try:
        return base64.b64decode(value, validate=True).decode().partition(":")[0]
    except (binascii.Error, UnicodeDecodeError):
        return ""


def _plain(status: int, method: str, headers: dict[str, str]) -> Response:
    """Return the refusals of the router in Freshdesk's shapes: an unknown path has no body at all."""
    if status != 405:
        return Response(status_code=status)
    # Starlette adds HEAD to GET, which Freshdesk does not name.
    allow = ", ".join(
        name for name in (headers.get("allow") or headers.get("Allow") or "").split(", ") if name != "HEAD"
    )
    message = f"{method} method is not allowed. It should be one of these method(s): {allow}"
    return answer({"code": "method_not_allowed", "message": message}, 405, {"allow": allow})


def _with_limits(response: Response, verdict: Verdict) -> Response:
    response.headers["x-ratelimit-total"] = str(verdict.total)
    response.headers["x-ratelimit-remaining"] = str(verdict.remaining)
    response.headers["x-ratelimit-used-currentrequest"] = str(verdict.used)
    response.headers["x-freshdesk-api-version"] = "latest=v2; requested=v2"
    return response
