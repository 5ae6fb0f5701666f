"""Webhooks over real HTTP to a server on this machine; the clock is moved by hand, so that no retry is waited for."""

import asyncio
import base64
import hashlib
import hmac
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import orjson
import pytest
from loguru import logger
from pydantic import SecretStr
from sqlalchemy import Connection, func, select

from backend.core.egress import Egress, EgressPolicy
from backend.core.error import Invalid, InvalidGraph, TargetRefused
from backend.core.graph.project import WebhookConfig, WebhookUrlConfig
from backend.database.base import Database
from backend.database.model import WebhookDeliveryRow
from backend.service.webhook import (
    AT_ONCE_OF_ONE_TENANT,
    CLAIM_SECONDS,
    DELAYS,
    WebhookService,
    webhook_headers,
    webhook_payload,
    webhook_policy,
)
from backend.util.webhook_signature import signing_key
from test.engine_fixture import FakeClock, of_everyone, until

KEY = b"k" * 32
SECRET = SecretStr("whsec_" + base64.b64encode(KEY).decode())
RUN = UUID("22222222-2222-4222-8222-222222222222")


class Receiver:
    """A server that hears webhooks: it answers with the next of `statuses`, then with 200."""

    def __init__(self) -> None:
        self.heard: list[tuple[dict[str, str], bytes]] = []
        self.statuses: list[int] = []
        self.hold: asyncio.Event | None = None
        self.waiting = 0
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
            body = await reader.readexactly(int(headers["content-length"]))
            self.waiting += 1
            if self.hold is not None:
                await self.hold.wait()
            self.waiting -= 1
            self.heard.append((headers, body))
            status = self.statuses.pop(0) if self.statuses else 200
            writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    made = Receiver()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook?token=hidden"
    async with server:
        yield made
        if made.hold is not None:
            made.hold.set()


class Hooks:
    """One server process' webhooks."""

    def __init__(self, database: Database, clock: FakeClock) -> None:
        self.database = database
        self.clock = clock

    def service(self, egress: Egress | None = None, **options: Any) -> WebhookService:
        return WebhookService(
            self.database, egress or Egress(EgressPolicy(allow_loopback=True)), self.clock, secret=SECRET, **options
        )

    async def queue(self, service: WebhookService, url: str, tenant: str = "default", **payload: Any) -> None:
        await self.database.write(lambda c: service.enqueue_in(c, tenant, RUN, url, payload or {"status": "success"}))
        service.wake()

    async def left(self) -> int:
        def count(connection: Connection) -> int:
            return connection.scalar(select(func.count()).select_from(WebhookDeliveryRow)) or 0

        return await self.database.read(of_everyone(count))

    async def rests(self) -> bool:
        """Whether nothing is being sent: a claim lasts for another time than any delay."""
        dates = await self.database.read(of_everyone(lambda c: list(c.scalars(select(WebhookDeliveryRow.due_at)))))
        return all(abs((date - self.clock.now).total_seconds() - CLAIM_SECONDS) > 1 for date in dates)

    async def is_empty(self) -> bool:
        return await self.left() == 0


@pytest.fixture
def hooks(database: Database, clock: FakeClock) -> Hooks:
    return Hooks(database, clock)


async def _try(hooks: Hooks, service: WebhookService, receiver: Receiver) -> None:
    """Let the next try be made, and its delay pass."""
    before = len(receiver.heard)
    service.wake()

    async def tried() -> bool:
        return len(receiver.heard) > before and await hooks.rests()

    await until(tried)
    hooks.clock.advance(max(DELAYS) * 2)


async def test_a_message_reaches_its_address_signed_as_standard_webhooks_says(hooks: Hooks, receiver: Receiver) -> None:
    async with hooks.service() as service:
        await hooks.queue(service, receiver.url, run_id=RUN, status="success", values={"answer": "네"})
        await until(hooks.is_empty)
    ((headers, body),) = receiver.heard
    told = orjson.loads(body)
    sent_at = datetime.fromisoformat(told.pop("webhook_sent_at"))
    assert told == {"run_id": str(RUN), "status": "success", "values": {"answer": "네"}}
    assert headers["content-type"] == "application/json"
    assert int(headers["webhook-timestamp"]) == int(sent_at.timestamp())
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    wanted = base64.b64encode(hmac.new(KEY, signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{wanted}"


async def test_a_message_that_was_not_heard_is_sent_again_later_under_the_same_id(
    hooks: Hooks, receiver: Receiver
) -> None:
    receiver.statuses = [500, 302]
    async with hooks.service() as service:
        await hooks.queue(service, receiver.url)
        for _ in range(3):
            await _try(hooks, service, receiver)
        await until(hooks.is_empty)
    assert len(receiver.heard) == 3
    assert len({headers["webhook-id"] for headers, _ in receiver.heard}) == 1
    assert len({headers["webhook-signature"] for headers, _ in receiver.heard}) == 3


async def test_after_the_last_try_a_message_is_given_up_without_telling_its_url(
    hooks: Hooks, receiver: Receiver
) -> None:
    said: list[str] = []
    sink = logger.add(said.append, format="{message}")
    receiver.statuses = [500] * 10
    try:
        async with hooks.service() as service:
            await hooks.queue(service, receiver.url)
            for _ in range(len(DELAYS) + 1):
                await _try(hooks, service, receiver)
            await until(hooks.is_empty)
    finally:
        logger.remove(sink)
    assert len(receiver.heard) == len(DELAYS) + 1
    assert "given up" in said[-1]
    assert "127.0.0.1" in said[-1]
    assert "hidden" not in "".join(said)


async def test_a_receiver_that_is_gone_is_not_asked_again(hooks: Hooks, receiver: Receiver) -> None:
    receiver.statuses = [410]
    async with hooks.service() as service:
        await hooks.queue(service, receiver.url)
        await until(hooks.is_empty)
    assert len(receiver.heard) == 1


async def test_what_a_dead_server_was_sending_is_sent_by_the_next_one(hooks: Hooks, receiver: Receiver) -> None:
    hold = receiver.hold = asyncio.Event()

    async def arrived() -> bool:
        return receiver.waiting == 1

    async with hooks.service() as dying:
        await hooks.queue(dying, receiver.url)
        await until(arrived)
        dying._claimed.clear()  # who is killed gives nothing back
    assert await hooks.left() == 1
    receiver.hold = None
    hooks.clock.advance(CLAIM_SECONDS + 1)
    async with hooks.service():
        await until(hooks.is_empty)
    assert len(receiver.heard) == 1
    hold.set()


async def test_what_a_stopped_server_was_sending_is_sent_at_once_by_the_next_one(
    hooks: Hooks, receiver: Receiver
) -> None:
    hold = receiver.hold = asyncio.Event()

    async def arrived() -> bool:
        return receiver.waiting == AT_ONCE_OF_ONE_TENANT

    def tries(connection: Connection) -> set[int]:
        return set(connection.scalars(select(WebhookDeliveryRow.attempts)))

    async with hooks.service() as stopping:
        for _ in range(AT_ONCE_OF_ONE_TENANT):
            await hooks.queue(stopping, receiver.url)
        await until(arrived)
    assert await hooks.left() == AT_ONCE_OF_ONE_TENANT
    assert await hooks.database.read(of_everyone(tries)) == {0}  # a server that is stopped uses none of them up
    receiver.hold = None
    async with hooks.service():
        await until(hooks.is_empty)
    assert len(receiver.heard) == AT_ONCE_OF_ONE_TENANT
    hold.set()


async def test_a_message_of_a_transaction_that_failed_is_never_sent(hooks: Hooks, receiver: Receiver) -> None:
    service = hooks.service()

    def work(connection: Connection) -> None:
        service.enqueue_in(connection, "default", RUN, receiver.url, {"status": "success"})
        raise RuntimeError("the run did not end after all")

    with pytest.raises(RuntimeError):
        await hooks.database.write(work)
    assert await hooks.is_empty()


async def test_two_servers_send_a_message_once(hooks: Hooks, receiver: Receiver) -> None:
    async with hooks.service() as one, hooks.service() as other:
        for _ in range(20):
            await hooks.queue(one, receiver.url)
            other.wake()
        await until(hooks.is_empty)
    ids = [headers["webhook-id"] for headers, _ in receiver.heard]
    assert len(ids) == len(set(ids)) == 20


async def test_an_address_that_never_answers_holds_up_only_its_owner(hooks: Hooks, receiver: Receiver) -> None:
    stuck = Receiver()
    stuck.hold = asyncio.Event()
    server = await asyncio.start_server(stuck.serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    async with server, hooks.service() as service:
        for _ in range(AT_ONCE_OF_ONE_TENANT * 5):
            await hooks.queue(service, url, "mallory")

        async def full() -> bool:
            return stuck.waiting == AT_ONCE_OF_ONE_TENANT

        await until(full)
        await hooks.queue(service, receiver.url, "default")

        async def heard() -> bool:
            return len(receiver.heard) == 1

        await until(heard)
        assert stuck.waiting == AT_ONCE_OF_ONE_TENANT
        stuck.hold.set()


async def test_a_name_that_leads_here_when_it_is_called_is_given_up_at_once(hooks: Hooks, receiver: Receiver) -> None:
    answers = [["93.184.215.14"], ["127.0.0.1"]]

    async def resolve(host: str) -> Sequence[str]:
        del host
        return answers.pop(0)

    url = receiver.url.replace("127.0.0.1", "rebinding.example")
    async with hooks.service(Egress(EgressPolicy(), resolve=resolve)) as service:
        await service.check(url)
        await hooks.queue(service, url)
        await until(hooks.is_empty)
    assert receiver.heard == []


async def test_configured_headers_and_fields_are_sent_and_no_others(hooks: Hooks, receiver: Receiver) -> None:
    config = WebhookConfig(
        headers={"Authorization": "Bearer ${{ env.LG_WEBHOOK_TOKEN }}", "Webhook-Id": "forged"},
        allowed_fields=("run_id", "status"),
    )
    async with hooks.service(config=config, environ={"LG_WEBHOOK_TOKEN": "t0ken"}) as service:
        await hooks.queue(service, receiver.url, run_id="r", status="success", values={"secret": 1})
        await until(hooks.is_empty)
    ((headers, body),) = receiver.heard
    assert headers["authorization"] == "Bearer t0ken"
    assert headers["webhook-id"] != "forged"
    assert orjson.loads(body) == {"run_id": "r", "status": "success"}


@pytest.mark.parametrize("url", ["http://127.0.0.1/", "http://localhost/", "http://10.0.0.1/", "/own/route", "x"])
async def test_by_default_this_machine_and_private_networks_are_refused(hooks: Hooks, url: str) -> None:
    with pytest.raises(TargetRefused):
        await hooks.service(Egress(webhook_policy(None))).check(url)


async def test_webhooks_can_be_switched_off(hooks: Hooks) -> None:
    with pytest.raises(Invalid, match="switched off"):
        await hooks.service(disabled=True).check("https://example.com/")


def test_the_policy_is_that_of_the_file() -> None:
    assert webhook_policy(None) == EgressPolicy()
    assert webhook_policy(WebhookConfig(url=WebhookUrlConfig())).require_https
    url = WebhookUrlConfig(
        require_https=False,
        allowed_domains=("*.example.com",),
        allowed_ports=(8443,),
        max_url_length=100,
        disable_loopback=False,
        disable_private_ips=False,
    )
    assert webhook_policy(WebhookConfig(url=url)) == EgressPolicy(
        allowed_domains=("*.example.com",),
        allowed_ports=(8443,),
        max_url_length=100,
        allow_loopback=True,
        allow_private=True,
    )


@pytest.mark.parametrize(
    "value", ["${{ env.HOME }}", "${{ env.LG_WEBHOOK_MISSING }}", "${{ env.LG_WEBHOOK_BAD }}", "a\r\nb: c"]
)
def test_a_header_that_cannot_be_sent_stops_the_start(value: str) -> None:
    environ = {"HOME": "/root", "LG_WEBHOOK_BAD": "a\r\nInjected: b"}
    with pytest.raises(InvalidGraph, match=r"webhooks\.headers"):
        webhook_headers(WebhookConfig(headers={"x-test": value}), environ)


def test_the_message_is_the_run_with_its_end() -> None:
    wire = {"run_id": uuid4(), "status": "pending", "metadata": {}}
    now = datetime(2026, 1, 1, tzinfo=UTC)
    told = webhook_payload(
        wire, status="error", started_at=now, ended_at=now, values=None, error={"error": "ValueError", "message": "x"}
    )
    assert told["status"] == "error"
    assert told["run_started_at"] == told["run_ended_at"] == now
    assert told["error"] == {"error": "ValueError", "message": "x"}
    assert "error" not in webhook_payload(wire, status="success", started_at=now, ended_at=now, values={})


@pytest.mark.parametrize("secret", ["short", "whsec_", "whsec_" + base64.b64encode(b"x" * 23).decode(), "%" * 40])
def test_a_secret_that_cannot_sign_is_refused(secret: str) -> None:
    with pytest.raises(ValueError, match="base64"):
        signing_key(secret)
