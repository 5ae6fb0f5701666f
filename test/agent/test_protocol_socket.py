"""The thread protocol on a WebSocket: commands, answers and events on one connection."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import orjson
import pytest
import websockets
from websockets.asyncio.client import ClientConnection

from test.agent.test_protocol import ends, is_life
from test.agent_fixture import WAIT_SECONDS, Tenants

Json = dict[str, Any]
HELLO = {"messages": [{"role": "user", "content": "hello"}]}


class Socket:
    """A client of the wire: what comes is either the answer to a command, or an event."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.events: list[Json] = []
        self.count = 0

    async def ask(self, method: str, **params: Any) -> Json:
        """Send a command; return its answer. Events that come before it are kept."""
        self.count += 1
        await self.say(orjson.dumps({"id": self.count, "method": method, "params": params}))
        while True:
            found = await self.take()
            if found["type"] != "event":
                assert found["id"] == self.count
                return found
            self.events.append(found)

    async def do(self, method: str, **params: Any) -> Json:
        answer = await self.ask(method, **params)
        assert answer["type"] == "success", answer
        return answer["result"]

    async def say(self, message: bytes) -> None:
        await self.connection.send(message.decode())

    async def take(self) -> Json:
        async with asyncio.timeout(WAIT_SECONDS):
            return orjson.loads(await self.connection.recv())

    async def until_end(self) -> list[Json]:
        """Return the events up to the end of a run."""
        while not (self.events and ends(self.events[-1])):
            self.events.append(await self.take())
        found, self.events = self.events, []
        return found


@asynccontextmanager
async def connected(url: str, thread_id: str, **options: Any) -> AsyncIterator[Socket]:
    address = f"{url.replace('http', 'ws', 1)}/threads/{thread_id}/stream/events"
    async with websockets.connect(address, **options) as connection:
        yield Socket(connection)


@pytest.fixture
async def socket(agent_url: str) -> AsyncIterator[Socket]:
    """A socket on a thread that is not there yet."""
    async with connected(agent_url, str(uuid4())) as found:
        yield found


async def start(socket: Socket, assistant_id: str = "echo", given: Any = HELLO) -> str:
    run_id: str = (await socket.do("run.start", assistant_id=assistant_id, input=given))["run_id"]
    return run_id


async def test_a_socket_carries_commands_and_the_events_of_all_runs(socket: Socket) -> None:
    first = await socket.do("subscription.subscribe", channels=["lifecycle"])
    assert (first["replayed_events"], len(first["subscription_id"])) == (0, 36)
    for _ in range(2):
        await start(socket)
        events = await socket.until_end()
        assert [event["params"]["data"]["event"] for event in events] == ["running", "completed"]


async def test_a_later_subscription_is_shown_what_was_and_the_earlier_one_is_not(socket: Socket) -> None:
    await socket.do("subscription.subscribe", channels=["lifecycle"])
    await start(socket)
    before = await socket.until_end()
    later = await socket.do("subscription.subscribe", channels=["values", "messages"])
    shown = [await socket.take() for _ in range(later["replayed_events"])]
    assert {event["method"] for event in shown} == {"values", "messages"}
    await start(socket)
    after = await socket.until_end()
    assert {event["method"] for event in after} == {"values", "messages", "lifecycle"}
    ids = [event["event_id"] for event in [*before, *shown, *after]]
    assert len(ids) == len(set(ids))
    assert after[-1]["seq"] > before[-1]["seq"]


async def test_an_event_that_several_subscriptions_want_comes_once(socket: Socket) -> None:
    await socket.do("subscription.subscribe", channels=["lifecycle"])
    await socket.do("subscription.subscribe", channels=["lifecycle", "values"])
    await start(socket)
    events = await socket.until_end()
    assert len({event["event_id"] for event in events}) == len(events)
    assert sum(is_life(event, "running") for event in events) == 1


async def test_subscriptions_end_when_they_are_told_to(socket: Socket) -> None:
    lives = await socket.do("subscription.subscribe", channels=["lifecycle"])
    states = await socket.do("subscription.subscribe", channels=["values"])
    await socket.do("subscription.unsubscribe", subscription_id=states["subscription_id"])
    await start(socket)
    assert {event["method"] for event in await socket.until_end()} == {"lifecycle"}
    again = await socket.ask("subscription.unsubscribe", subscription_id=states["subscription_id"])
    assert again["error"] == "no_such_subscription"
    await socket.do("subscription.unsubscribe", subscription_id=lives["subscription_id"])


async def test_a_subscription_can_be_read_again_from_behind_an_event(socket: Socket) -> None:
    lives = await socket.do("subscription.subscribe", channels=["lifecycle"])
    await start(socket)
    running, completed = await socket.until_end()
    again = await socket.do("subscription.reconnect", subscription_id=lives["subscription_id"], since=running["seq"])
    assert (again["replayed_events"], again["restored"]) == (1, True)
    assert (await socket.take())["event_id"] == completed["event_id"]
    gone = await socket.ask("subscription.reconnect", subscription_id=lives["subscription_id"])
    assert gone["error"] == "no_such_subscription"


async def test_another_socket_goes_on_where_one_was_lost(agent_url: str) -> None:
    thread_id = str(uuid4())
    async with connected(agent_url, thread_id) as first:
        await first.do("subscription.subscribe", channels=["lifecycle", "values"])
        await start(first)
        events = await first.until_end()
    async with connected(agent_url, thread_id) as second:
        since = events[0]["seq"]
        found = await second.do("subscription.reconnect", channels=["lifecycle", "values"], since=since)
        assert found["replayed_events"] == len(events) - 1
        assert [event["event_id"] for event in await second.until_end()] == [one["event_id"] for one in events[1:]]


async def test_one_socket_has_so_many_subscriptions_and_no_more(socket: Socket) -> None:
    for _ in range(50):
        await socket.do("subscription.subscribe", channels=["values"])
    assert (await socket.ask("subscription.subscribe", channels=["values"]))["error"] == "invalid_argument"


async def test_what_is_no_command_is_refused_and_the_socket_stays(socket: Socket) -> None:
    for message in (b"{", b"[]", b'{"id": "a"}', b'{"id": true, "method": "run.start"}'):
        await socket.say(message)
        refused = await socket.take()
        assert (refused["type"], refused["error"]) == ("error", "invalid_argument")
    assert (await socket.ask("subscription.subscribe", channels=["nothing"]))["error"] == "invalid_argument"
    assert (await socket.ask("subscription.fly"))["error"] == "unknown_command"
    assert (await socket.ask("run.fly"))["error"] == "unknown_command"
    await start(socket)


async def test_a_socket_that_says_nothing_but_garbage_is_closed(socket: Socket) -> None:
    for _ in range(5):
        await socket.say(b"nonsense")
    for _ in range(5):
        await socket.take()
    with pytest.raises(websockets.ConnectionClosed) as closed:
        await socket.take()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1008


async def test_what_cannot_be_followed_closes_with_its_status(agent_url: str) -> None:
    async with connected(agent_url, "not-an-id") as socket:
        with pytest.raises(websockets.ConnectionClosed) as closed:
            await socket.take()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 4422


async def test_a_browser_shows_its_token_as_a_subprotocol(tenants: Tenants) -> None:
    thread_id = str(uuid4())
    async with connected(tenants.url, thread_id, subprotocols=["bearer", tenants.alice]) as hers:
        assert hers.connection.subprotocol == "bearer"
        await hers.do("subscription.subscribe", channels=["lifecycle"])
        await start(hers)
        await hers.until_end()
    async with connected(tenants.url, thread_id, subprotocols=["bearer", tenants.mallory]) as his:
        assert (await his.do("subscription.subscribe", channels=["lifecycle"]))["replayed_events"] == 0
        assert (await his.ask("agent.getTree"))["error"] == "no_such_run"
    with pytest.raises(websockets.InvalidStatus):
        async with connected(tenants.url, thread_id):
            pass
