"""Calls to addresses that callers name. The trap is a real server on this machine; names are resolved by a fake."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence

import pytest

from backend.core.egress import MAX_REPLY_BYTES, Egress, EgressPolicy
from backend.core.error import TargetRefused, UpstreamFailed, UpstreamTimeout

PUBLIC = "93.184.215.14"
OPEN = EgressPolicy(allow_loopback=True)
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Trap:
    """A server that keeps what it is sent, and gives each connection the same answer."""

    def __init__(self) -> None:
        self.requests: list[bytes] = []
        self.answer = OK
        self.silent = False
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            self.requests.append(await reader.readuntil(b"\r\n\r\n"))
            if self.silent:
                await reader.read()
            writer.write(self.answer)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


@pytest.fixture
async def trap() -> AsyncIterator[Trap]:
    made = Trap()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    async with server:
        yield made


Make = Callable[..., Egress]


@pytest.fixture
async def make() -> AsyncIterator[Make]:
    """Return how to make a client whose names have the given addresses."""
    made: list[Egress] = []

    def build(policy: EgressPolicy, *answers: Sequence[str]) -> Egress:
        left = list(answers)

        async def resolve(host: str) -> Sequence[str]:
            if not left:
                raise OSError(f"no address: {host}")
            return left.pop(0) if len(left) > 1 else left[0]

        made.append(Egress(policy, resolve=resolve))
        return made[-1]

    yield build
    for one in made:
        await one.close()


async def post(egress: Egress, url: str) -> int:
    return (await egress.post(url, b"{}", {"content-type": "application/json"})).status


REFUSED_HOSTS = [
    *("127.0.0.1", "127.8.8.8", "[::1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[64:ff9b::7f00:1]"),
    *("0.0.0.0", "[::]", "169.254.169.254", "[fe80::1]", "224.0.0.1", "255.255.255.255", "[ff02::1]"),
    *("10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1", "[fd00::1]", "[fec0::1]", "[::ffff:10.0.0.1]"),
    *("[2002:7f00:1::]", "[2001:0:4136:e378:8000:63bf:3fff:fdd2]"),
]


@pytest.mark.parametrize("host", REFUSED_HOSTS)
async def test_what_is_not_globally_reachable_is_refused(make: Make, host: str) -> None:
    with pytest.raises(TargetRefused):
        await make(EgressPolicy()).check(f"http://{host}/")


@pytest.mark.parametrize(
    "host", ["localhost", "localhost.", "2130706433", "0x7f.1", "0177.0.0.1", "127.1", "0x7f000001", "017700000001"]
)
async def test_a_spelling_of_this_machine_is_found_out_by_the_systems_resolver(trap: Trap, host: str) -> None:
    egress = Egress(EgressPolicy())
    with pytest.raises((TargetRefused, UpstreamFailed)):
        await post(egress, f"http://{host}:{trap.port}/")
    with pytest.raises(TargetRefused):
        await egress.check(f"http://{host}:{trap.port}/")
    await egress.close()
    assert trap.requests == []


@pytest.mark.parametrize(
    "url",
    [
        *("", "/relative", "example.com", "//example.com/", "ftp://example.com/", "file:///etc/passwd", "http://"),
        *("gopher://example.com/", "http:///path", "http://user:secret@example.com/", "http://example.com:0/"),
        *(
            "http://example.com:70000/",
            "http://exa mple.com/",
            "http://example.com/\r\nX: y",
            "http://example.com\\@a/",
        ),
        *(
            "http://ｅxample.com/",
            "http://[fe80::1%25eth0]/",
            "http://[::1",
            "http://%31%32%37.0.0.1/",
            "http://a/" + "b" * 2048,
        ),
    ],
)
async def test_what_is_no_plain_url_of_the_web_is_refused(make: Make, url: str) -> None:
    with pytest.raises(TargetRefused):
        await make(EgressPolicy(allow_loopback=True, allow_private=True), [PUBLIC]).check(url)


async def test_a_name_that_is_public_passes(make: Make) -> None:
    await make(EgressPolicy(), [PUBLIC]).check("https://example.com/hook?key=1#part")


async def test_a_name_without_an_address_is_refused(make: Make) -> None:
    with pytest.raises(TargetRefused, match="no address"):
        await make(EgressPolicy()).check("https://example.com/")


@pytest.mark.parametrize(
    ("policy", "good", "bad"),
    [
        (EgressPolicy(require_https=True), "https://a.com/", "http://a.com/"),
        (EgressPolicy(allowed_ports=(8443,)), "https://a.com:8443/", "https://a.com/"),
        (EgressPolicy(allowed_ports=(443,)), "https://a.com/", "http://a.com/"),
        (EgressPolicy(allowed_domains=("a.com",)), "https://A.com./", "https://b.a.com/"),
        (EgressPolicy(allowed_domains=("*.a.com",)), "https://b.a.com/", "https://a.com/"),
        (EgressPolicy(allowed_domains=("*.a.com",)), "https://c.b.a.com/", "https://evila.com/"),
        (EgressPolicy(max_url_length=16), "https://a.com/ab", "https://a.com/abc"),
    ],
)
async def test_the_policy_says_where_calls_may_go(make: Make, policy: EgressPolicy, good: str, bad: str) -> None:
    egress = make(policy, [PUBLIC])
    await egress.check(good)
    with pytest.raises(TargetRefused):
        await egress.check(bad)


async def test_private_addresses_may_be_allowed_and_this_machine_is_still_refused(make: Make) -> None:
    egress = make(EgressPolicy(allow_private=True))
    await egress.check("http://10.0.0.1/")
    for host in ("127.0.0.1", "169.254.169.254", "0.0.0.0", "[::ffff:127.0.0.1]"):
        with pytest.raises(TargetRefused):
            await egress.check(f"http://{host}/")


async def test_a_name_that_was_public_when_it_was_checked_cannot_lead_here_when_it_is_called(
    make: Make, trap: Trap
) -> None:
    egress = make(EgressPolicy(), [PUBLIC], ["127.0.0.1"])
    url = f"http://rebinding.example:{trap.port}/"
    await egress.check(url)
    with pytest.raises(TargetRefused):
        await post(egress, url)
    assert trap.requests == []


async def test_the_address_that_was_judged_is_the_one_that_is_called(make: Make, trap: Trap) -> None:
    """The second answer leads nowhere: were the name asked again for the connection, it would fail."""
    egress = make(OPEN, ["127.0.0.1"], ["127.255.255.254"])
    assert await post(egress, f"http://once.example:{trap.port}/hook?a=1") == 200
    head = trap.requests[0].decode().split("\r\n")
    assert head[0] == "POST /hook?a=1 HTTP/1.1"
    assert f"Host: once.example:{trap.port}" in head


async def test_of_several_addresses_those_that_are_allowed_are_tried_in_turn(make: Make, trap: Trap) -> None:
    egress = make(OPEN, ["10.0.0.1", "127.255.255.254", "127.0.0.1"])
    assert await post(egress, f"http://several.example:{trap.port}/") == 200


async def test_a_redirect_is_an_answer_and_not_followed(make: Make, trap: Trap) -> None:
    trap.answer = f"HTTP/1.1 307 X\r\nLocation: http://127.0.0.1:{trap.port}/\r\nContent-Length: 0\r\n\r\n".encode()
    assert await post(make(OPEN), f"http://127.0.0.1:{trap.port}/") == 307
    assert len(trap.requests) == 1


async def test_a_proxy_of_the_environment_is_not_used(make: Make, trap: Trap, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{trap.port}")
    monkeypatch.setenv("ALL_PROXY", f"http://127.0.0.1:{trap.port}")
    with pytest.raises(UpstreamFailed):
        await post(make(OPEN), "http://127.255.255.254:9/")
    assert trap.requests == []


async def test_no_more_of_an_answer_is_read_than_is_needed(make: Make, trap: Trap) -> None:
    trap.answer = b"HTTP/1.1 200 OK\r\nContent-Length: 10000000\r\n\r\n" + b"x" * 1_000_000
    reply = await make(OPEN).post(f"http://127.0.0.1:{trap.port}/", b"{}", {})
    assert (reply.status, len(reply.body)) == (200, MAX_REPLY_BYTES)


async def test_who_does_not_answer_is_given_up(make: Make, trap: Trap, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backend.core.egress.REQUEST_SECONDS", 0.1)
    trap.silent = True
    with pytest.raises(UpstreamTimeout, match=r"127\.0\.0\.1"):
        await post(make(OPEN), f"http://127.0.0.1:{trap.port}/")


async def test_a_name_server_that_does_not_answer_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backend.core.egress.RESOLVE_SECONDS", 0.05)

    async def never(host: str) -> Sequence[str]:
        del host
        return await asyncio.get_running_loop().create_future()

    with pytest.raises(TargetRefused, match="in time"):
        await Egress(EgressPolicy(), resolve=never).check("https://example.com/")


@pytest.mark.parametrize("answer", [b"", b"nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort"])
async def test_a_broken_answer_is_told_without_the_url(make: Make, trap: Trap, answer: bytes) -> None:
    trap.answer = answer
    with pytest.raises(UpstreamFailed) as caught:
        await post(make(OPEN), f"http://127.0.0.1:{trap.port}/services/secret-token")
    assert "secret-token" not in str(caught.value)
    assert caught.value.__cause__ is None
