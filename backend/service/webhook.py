"""Webhooks: when a run has ended, the address that its request named hears of it.

The message is written as a row in the transaction that ends the run, so that a killed server loses none, and a task
sends what is due. It may be heard more than once, always under the same `webhook-id`. Headers and signature are those
of Standard Webhooks 1.0.0 (https://www.standardwebhooks.com).
"""

import asyncio
import random
import re
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit
from uuid import UUID

import orjson
from loguru import logger
from pydantic import SecretStr
from sqlalchemy import Connection

from backend.core.egress import MAX_URL_LENGTH, Egress, EgressPolicy
from backend.core.error import DomainError, Invalid, InvalidGraph, TargetRefused, Unavailable, UpstreamFailed
from backend.core.graph.project import WebhookConfig
from backend.core.run.wire import dumps
from backend.database.base import Database
from backend.repository.webhook import Delivery, DueDeliveries, queue_delivery
from backend.util.id_generator import new_id
from backend.util.webhook_signature import sign, signing_key

DELAYS = (5.0, 15.0, 45.0, 135.0, 400.0)
"""Seconds between the tries, give or take a fifth: six tries in ten minutes."""
CLAIM_SECONDS = 60
"""In which a try must have ended; then another server may make it."""
LONGEST_SLEEP = 30.0
"""Seconds after which the table is looked at anyway: another server may have written to it, and died."""
AT_ONCE = 32
AT_ONCE_OF_ONE_TENANT = 8
"""So that addresses that never answer hold up only their owner's messages."""
_LOOK_AT = 200
_PAUSE = 5.0
"""Seconds before the next try when the database does not answer."""
_GONE = 410
_TEMPLATE = re.compile(r"\$\{\{\s*env\.(\w+)\s*\}\}")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, 5.6.2


def webhook_policy(config: WebhookConfig | None) -> EgressPolicy:
    """Return where webhooks may go by `webhooks.url` of a `langgraph.json`."""
    url = None if config is None else config.url
    if url is None:
        return EgressPolicy()
    return EgressPolicy(
        require_https=url.require_https,
        allowed_domains=url.allowed_domains,
        allowed_ports=url.allowed_ports,
        max_url_length=url.max_url_length or MAX_URL_LENGTH,
        allow_loopback=not url.disable_loopback,
        allow_private=not url.disable_private_ips,
    )


def webhook_headers(config: WebhookConfig | None, environ: Mapping[str, str]) -> dict[str, str]:
    """Return `webhooks.headers` of a `langgraph.json` with its `${{ env.NAME }}` filled in.

    Raises:
        InvalidGraph: a header cannot be sent, or names a variable that is not set or lacks `env_prefix`.
    """
    if config is None:
        return {}

    def value(found: re.Match[str]) -> str:
        name = found[1]
        if not name.startswith(config.env_prefix):
            raise InvalidGraph(f'"webhooks.headers": the variable {name} does not begin with {config.env_prefix}.')
        if name not in environ:
            raise InvalidGraph(f'"webhooks.headers": the variable {name} is not set.')
        return environ[name]

    headers = {name.lower(): _TEMPLATE.sub(value, template) for name, template in config.headers.items()}
    for name, text in headers.items():
        if not (_HEADER_NAME.fullmatch(name) and text.isascii() and text.isprintable()):
            raise InvalidGraph(f'"webhooks.headers": {name!r} or its value cannot be a header.')
    return headers


def webhook_payload(
    run_wire: Mapping[str, Any],
    *,
    status: str,
    started_at: datetime | None,
    ended_at: datetime | None,
    values: Any,
    error: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Return the message of a run's end; `error` has `error`, the exception's name, and `message`.

    `webhook_sent_at` joins it when it is sent.
    """
    payload = {
        **run_wire,
        "status": status,
        "run_started_at": started_at,
        "run_ended_at": ended_at,
        "values": values,
    }
    return payload if error is None else {**payload, "error": dict(error)}


class WebhookService:
    """`async with webhooks:` sends what is due; `wake()` after a transaction that has queued something."""

    def __init__(
        self,
        database: Database,
        egress: Egress,
        clock: Callable[[], datetime],
        *,
        config: WebhookConfig | None = None,
        environ: Mapping[str, str] | None = None,
        secret: SecretStr | None = None,
        disabled: bool = False,
    ) -> None:
        self._database = database
        self._egress = egress
        self._clock = clock
        self._config = config
        self._environ = environ or {}
        self._key = None if secret is None else signing_key(secret.get_secret_value())
        self._disabled = disabled
        self._headers: dict[str, str] = {}
        self._sending: Counter[str] = Counter()
        self._claimed: dict[UUID, Delivery] = {}
        self._stopping = asyncio.Event()
        self._woken = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Begin to send.

        Raises:
            InvalidGraph: the configured headers cannot be sent.
        """
        self._headers = webhook_headers(self._config, self._environ)
        self._task = asyncio.create_task(self._loop(), name="webhooks")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task is not None:
            self._stopping.set()
            self.wake()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
            await self._give_back()
        await self._egress.close()

    async def check(self, url: str) -> None:
        """Refuse an address that may not be called.

        Raises:
            Invalid: there are no webhooks on this server.
            TargetRefused: the policy does not allow it, or the host has no address.
        """
        if self._disabled:
            raise Invalid("Webhooks are switched off on this server.")
        if url.startswith("/"):
            raise TargetRefused("A webhook needs a whole URL: this server does not call its own routes.")
        await self._egress.check(url)

    def enqueue_in(
        self, connection: Connection, tenant_id: str, run_id: UUID, url: str, payload: Mapping[str, Any]
    ) -> None:
        """Queue a message in the transaction that ends the run; `wake()` when it is committed."""
        fields = None if self._config is None else self._config.allowed_fields
        if fields is not None:
            payload = {name: value for name, value in payload.items() if name in fields}
        queue_delivery(connection, Delivery(new_id(), tenant_id, run_id, url, dumps(payload), 0), self._clock())

    def wake(self) -> None:
        """Look at the table again: something was queued."""
        self._woken.set()

    async def _loop(self) -> None:
        tasks: set[asyncio.Task[None]] = set()
        while not self._stopping.is_set():
            self._woken.clear()
            try:
                for delivery in await self._claim():
                    self._sending[delivery.tenant_id] += 1
                    task = asyncio.create_task(self._deliver(delivery))
                    tasks.add(task)
                    task.add_done_callback(tasks.discard)
                delay = await self._sleep_seconds()
            except Unavailable as error:
                logger.warning("webhooks could not be looked at: {error}", error=error.detail)
                delay = _PAUSE
            except Exception:  # noqa: BLE001 - one failure must not end all sending
                logger.exception("webhooks could not be looked at")
                delay = _PAUSE
            if self._stopping.is_set():
                break
            with suppress(TimeoutError):
                async with asyncio.timeout(delay):
                    await self._woken.wait()
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _give_back(self) -> None:
        """Let others send at once what this server has claimed and not sent: they need not wait for the claim's end."""
        left, now = list(self._claimed.values()), self._clock()
        self._claimed.clear()
        if not left:
            return

        def work(connection: Connection) -> None:
            for delivery in left:
                DueDeliveries(connection).give_back(delivery, now)

        with suppress(DomainError):  # then it is sent when its claim runs out
            await self._database.write(work)

    def _full(self) -> list[str]:
        return [tenant for tenant, count in self._sending.items() if count >= AT_ONCE_OF_ONE_TENANT]

    async def _claim(self) -> list[Delivery]:
        room = AT_ONCE - self._sending.total()
        if room <= 0:
            return []
        now, full = self._clock(), self._full()
        due = await self._database.read(
            lambda connection: DueDeliveries(connection).due(now, limit=_LOOK_AT, without=full)
        )
        sending = self._sending.copy()
        chosen: list[tuple[UUID, datetime]] = []
        for delivery_id, tenant_id, due_at in due:
            if len(chosen) < room and sending[tenant_id] < AT_ONCE_OF_ONE_TENANT:
                sending[tenant_id] += 1
                chosen.append((delivery_id, due_at))
        if not chosen:
            return []
        until = now + timedelta(seconds=CLAIM_SECONDS)

        def work(connection: Connection) -> list[Delivery]:
            deliveries = DueDeliveries(connection)
            claimed = [deliveries.claim(delivery_id, due_at, until) for delivery_id, due_at in chosen]
            return [delivery for delivery in claimed if delivery is not None]

        deliveries = await self._database.write(work)
        self._claimed.update((delivery.delivery_id, delivery) for delivery in deliveries)
        return deliveries

    async def _sleep_seconds(self) -> float:
        if self._sending.total() >= AT_ONCE:
            return LONGEST_SLEEP  # the end of one wakes
        full = self._full()
        first = await self._database.read(lambda connection: DueDeliveries(connection).next_date(without=full))
        if first is None:
            return LONGEST_SLEEP
        return min(max((first - self._clock()).total_seconds(), 0), LONGEST_SLEEP)

    async def _deliver(self, delivery: Delivery) -> None:
        with logger.contextualize(run_id=str(delivery.run_id)):
            try:
                await self._try(delivery)
            except DomainError as error:
                logger.warning("the outcome of a webhook could not be kept: {error}", error=error.detail)
            except Exception:  # noqa: BLE001 - where the delivery's task ends
                logger.exception("a webhook could not be sent; it is tried again")
            finally:
                self._sending[delivery.tenant_id] -= 1
                if not self._sending[delivery.tenant_id]:
                    del self._sending[delivery.tenant_id]
                self.wake()
            self._claimed.pop(delivery.delivery_id, None)

    async def _try(self, delivery: Delivery) -> None:
        # The path and the query of a webhook's URL are often its secret: the log gets the host alone.
        host = urlsplit(delivery.url).hostname
        try:
            await self._send(delivery)
        except DomainError as error:
            last = delivery.attempts > len(DELAYS) or isinstance(error, TargetRefused | _Gone)
            logger.warning(
                "webhook to {host} failed, try {attempt}{end}: {error}",
                host=host,
                attempt=delivery.attempts,
                end=", given up" if last else "",
                error=error.detail,
            )
            if not last:
                delay = DELAYS[delivery.attempts - 1] * random.uniform(0.8, 1.2)
                due_at = self._clock() + timedelta(seconds=delay)
                await self._database.write(lambda connection: DueDeliveries(connection).postpone(delivery, due_at))
                return
        else:
            logger.debug("webhook to {host} was heard", host=host)
        await self._database.write(lambda connection: DueDeliveries(connection).delete(delivery))

    async def _send(self, delivery: Delivery) -> None:
        now = self._clock()
        body = self._stamped(delivery.body, now)
        message_id, timestamp = str(delivery.delivery_id), int(now.timestamp())
        headers = {
            "user-agent": "Daedap",
            **self._headers,
            "content-type": "application/json",
            "webhook-id": message_id,
            "webhook-timestamp": str(timestamp),
        }
        if self._key is not None:
            headers["webhook-signature"] = sign(self._key, message_id, timestamp, body)
        reply = await self._egress.post(delivery.url, body, headers)
        if reply.status == _GONE:
            raise _Gone("the address is gone (410).")
        if not 200 <= reply.status < 300:
            raise UpstreamFailed(f"it answered with status {reply.status}.")

    def _stamped(self, body: bytes, now: datetime) -> bytes:
        fields = None if self._config is None else self._config.allowed_fields
        if fields is not None and "webhook_sent_at" not in fields:
            return body
        # Into the JSON object as it is: it may be large, and is not read again.
        comma = b"" if body == b"{}" else b","
        return body[:-1] + comma + b'"webhook_sent_at":' + orjson.dumps(now) + b"}"


class _Gone(UpstreamFailed):
    """The receiver wants to hear no more (Standard Webhooks)."""
