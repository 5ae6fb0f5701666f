"""A running simulator: a server of its own, in a thread."""

import re
import socket
import threading
from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from types import TracebackType
from typing import Self

from backend.simulator.freshdesk.account import Account
from backend.simulator.freshdesk.application import Asked, create_simulator
from backend.simulator.freshdesk.fault import Faults
from backend.simulator.freshdesk.limit import Plan
from backend.simulator.freshdesk.ready import demo_account
from backend.simulator.freshdesk.webhook import WebhookSender


class FreshdeskSimulator:
    """A running simulator, on a free loopback port, in a thread of its own.

    with FreshdeskSimulator(demo_account()) as freshdesk:
        httpx.get(f"{freshdesk.url}/api/v2/tickets", auth=(DEMO_KEY, "X"))
        freshdesk.faults.add("html_502", times=2)
        freshdesk.account.update_ticket(12, status=4)
    """

    def __init__(
        self,
        account: Account | Sequence[Account] | None = None,
        *,
        plan: Plan = "enterprise",
        limit_per_minute: int | None = None,
        clock: Callable[[], datetime] | None = None,
        faults: Faults | None = None,
        retry_after: bool = True,
        link_seconds: float = 300.0,
        search_lag: timedelta = timedelta(0),
        port: int = 0,
        separate_files: bool = False,
    ) -> None:
        """Start.

        Args:
            account: One or several; `demo_account()` when none is given.
            plan: See `create_simulator`, as for what follows.
            limit_per_minute: A total that replaces the plan's.
            clock: The time.
            faults: What is to go wrong.
            retry_after: Whether a 429 says how long to wait.
            link_seconds: How long a link to a file works.
            search_lag: How far the search's index lags behind.
            port: 0 takes a free one.
            separate_files: Whether links to files point to another port, and so to another origin.

        Raises:
            OSError: the port is taken.
            TimeoutError: the server did not start.
        """
        import uvicorn

        sockets = [_listen(port)]
        if separate_files:
            sockets.append(_listen(0))
        self.application = create_simulator(
            account if account is not None else demo_account(),
            plan=plan,
            limit_per_minute=limit_per_minute,
            clock=clock,
            faults=faults,
            retry_after=retry_after,
            link_seconds=link_seconds,
            search_lag=search_lag,
            files_origin=_origin(sockets[1]) if separate_files else None,
        )
        self.root_url = _origin(sockets[0])
        """Without a subdomain: the first account is below `/api/v2`, each one below `/{subdomain}/api/v2`."""
        config = uvicorn.Config(
            self.application,
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            ws="none",
            lifespan="on",
            timeout_graceful_shutdown=1,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": sockets}, name="freshdesk-simulator", daemon=True
        )
        self._senders: list[WebhookSender] = []
        self._thread.start()
        if not self.application.started.wait(30):
            raise TimeoutError("The simulator did not start within 30 seconds.")

    @property
    def account(self) -> Account:
        """The first account."""
        return next(iter(self.application.accounts.values()))

    @property
    def url(self) -> str:
        """The first account's base: `http://127.0.0.1:PORT/{subdomain}`; the API is below `/api/v2`."""
        return self.url_of(self.account.subdomain)

    def url_of(self, subdomain: str) -> str:
        """Return an account's base."""
        return f"{self.root_url}/{subdomain}"

    @property
    def faults(self) -> Faults:
        """What is to go wrong."""
        return self.application.faults

    @property
    def requests(self) -> deque[Asked]:
        """What was asked, the oldest first."""
        return self.application.requests

    def count(self, pattern: str = "") -> int:
        """Return how many of the logged requests have a path (below the account) in which a pattern is found."""
        return sum(1 for asked in tuple(self.requests) if re.search(pattern, asked.path))

    def send_webhooks(
        self,
        url: str,
        *,
        secret: str | None = None,
        subdomain: str | None = None,
        background: bool = True,
        clock: Callable[[], datetime] | None = None,
    ) -> WebhookSender:
        """Tell an address of every change of an account's tickets; the sender is closed with the simulator.

        Without `background` nothing is sent until its `deliver()` is called.
        """
        account = self.application.accounts[subdomain] if subdomain else self.account
        limiter = self.application.limiters[account.subdomain]
        sender = WebhookSender(account, url, secret=secret, clock=clock, limiter=limiter)
        self._senders.append(sender)
        return sender.start() if background else sender

    def close(self) -> None:
        """Stop; open connections are closed."""
        for sender in self._senders:
            sender.close()
        self._server.should_exit = True
        self._thread.join(timeout=15)

    def __enter__(self) -> Self:
        """Return the running simulator."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        self.close()


def _listen(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
    except OSError:
        listener.close()
        raise
    listener.listen(512)
    return listener


def _origin(listener: socket.socket) -> str:
    return f"http://127.0.0.1:{listener.getsockname()[1]}"
