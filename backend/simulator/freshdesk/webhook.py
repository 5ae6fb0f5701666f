"""The automation "Trigger webhook": tells an address of what changes, and tries again after 5, 30 and 60 minutes."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Self

import httpx

from backend.simulator.freshdesk.account import Account, Change
from backend.simulator.freshdesk.limit import Limiter
from backend.simulator.freshdesk.view import STATUS_NAMES

LADDER = (timedelta(minutes=5), timedelta(minutes=30), timedelta(minutes=60))
"""How long after a failure the next attempt is made; after the last, the admins get a mail and that is all."""
POSTPONED, DROPPED = timedelta(hours=1), timedelta(hours=24)
"""A webhook counts as a request: beyond the account's limit it waits, and after a day it is dropped."""
SECRET_HEADER = "X-Webhook-Secret"  # noqa: S105 - the name of a header
_EVENTS: Mapping[str, str] = {
    "ticket_created": "{ticket_action:created}",
    "ticket_updated": "{ticket_action:update}",
    "ticket_deleted": "{ticket_action:delete}",
    "note_added": "{note_type:private}",
    "reply_sent": "{reply_sent:sent}",
    "customer_replied": "{customer_reply:reply}",
}


@dataclass(slots=True)
class Delivery:
    """One message, until it has arrived or was given up."""

    payload: dict[str, Any]
    due: datetime
    since: datetime
    attempts: int = 0
    status: int | None = None
    """What the receiver said last; None is nothing, or no attempt yet."""


@dataclass(slots=True)
class Mail:
    """What the admins get when a webhook was given up."""

    subject: str
    delivery: Delivery


@dataclass(slots=True)
class Outbox:
    waiting: list[Delivery] = field(default_factory=list)
    arrived: list[Delivery] = field(default_factory=list)
    mails: list[Mail] = field(default_factory=list)
    dropped: list[Delivery] = field(default_factory=list)


class WebhookSender:
    """Sends `{"freshdesk_webhook": {…}}` for every change of a ticket.

    Nothing is sent before `deliver()` is called, or all the time between `start()` and `close()`: so a test holds the
    clock and the moment in its hands.
    """

    def __init__(
        self,
        account: Account,
        url: str,
        *,
        secret: str | None = None,
        clock: Callable[[], datetime] | None = None,
        limiter: Limiter | None = None,
        timeout: float = 10.0,
    ) -> None:
        """Watch an account.

        Args:
            account: Whose changes are told.
            url: The receiver.
            secret: Sent as `X-Webhook-Secret`; Freshdesk itself signs nothing.
            clock: When an attempt is due; the account's clock when it is not given.
            limiter: What the messages count against.
            timeout: Seconds that the receiver may take.
        """
        self._account = account
        self._url = url
        self._clock = clock or account.clock
        self._limiter = limiter
        self._client = httpx.Client(timeout=timeout, headers={} if secret is None else {SECRET_HEADER: secret})
        self._outbox = Outbox()
        self._sending = threading.Lock()
        self._wake = threading.Event()
        self._closed = False
        self._thread: threading.Thread | None = None
        account.watchers.append(self._changed)

    @property
    def outbox(self) -> Outbox:
        """What waits, what arrived, and what was given up."""
        return self._outbox

    def start(self) -> Self:
        """Deliver from now on, in a thread."""
        self._thread = threading.Thread(target=self._run, name="freshdesk-webhooks", daemon=True)
        self._thread.start()
        return self

    def close(self) -> None:
        """Watch and send no more."""
        if self._changed in self._account.watchers:
            self._account.watchers.remove(self._changed)
        self._closed = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join(timeout=15)
        self._client.close()

    def deliver(self) -> int:
        """Make every attempt that is due, and return how many arrived."""
        with self._sending:
            now = self._clock()
            due = [delivery for delivery in self._outbox.waiting if delivery.due <= now]
            return sum(self._attempt(delivery, now) for delivery in due)

    def _changed(self, change: Change) -> None:
        if change.event not in _EVENTS:
            return
        now = self._clock()
        self._outbox.waiting.append(Delivery(self._payload(change), now, now))
        self._wake.set()

    def _payload(self, change: Change) -> dict[str, Any]:
        ticket = self._account.ticket(change.id) or {}
        contact = self._account.contacts.get(ticket.get("requester_id", 0), {})
        fields = {
            "ticket_id": change.id,
            "ticket_subject": ticket.get("subject"),
            "ticket_status": STATUS_NAMES.get(ticket.get("status", 0)),
            "ticket_url": f"https://{self._account.subdomain}.freshdesk.com/a/tickets/{change.id}",
            "ticket_contact_name": contact.get("name"),
            "ticket_contact_email": contact.get("email"),
            "triggered_event": _EVENTS[change.event],
        }
        return {"freshdesk_webhook": fields}

    def _attempt(self, delivery: Delivery, now: datetime) -> bool:
        outbox = self._outbox
        if self._limiter is not None and not self._limiter.take(1).allowed:
            if now - delivery.since >= DROPPED:
                outbox.waiting.remove(delivery)
                outbox.dropped.append(delivery)
            else:
                delivery.due = now + POSTPONED
            return False
        delivery.attempts += 1
        try:
            delivery.status = self._client.post(self._url, json=delivery.payload).status_code
        except httpx.HTTPError:
            delivery.status = None
        if delivery.status is not None and delivery.status < 300:
            outbox.waiting.remove(delivery)
            outbox.arrived.append(delivery)
            return True
        if delivery.attempts > len(LADDER):
            outbox.waiting.remove(delivery)
            outbox.mails.append(Mail(f"Webhook failed: {self._url}", delivery))
        else:
            delivery.due = now + LADDER[delivery.attempts - 1]
        return False

    def _run(self) -> None:
        while not self._closed:
            self._wake.wait(1.0)
            self._wake.clear()
            if not self._closed:
                self.deliver()
