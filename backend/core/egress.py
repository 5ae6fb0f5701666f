"""Calls to addresses that callers name: where they may go, and how they are made.

The policy has two halves. What the URL says (scheme, name, port) is checked before anything is asked. What its name
stands for is checked where the connection is made: the name is resolved once, the answer is judged, and the socket is
opened to that very address, so that no second answer can be another (DNS rebinding). Redirects are not followed and
proxies of the environment are not used, since either would be a way around.
"""

import asyncio
import re
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from backend.core.error import TargetRefused, Unavailable, UpstreamFailed, UpstreamTimeout

if TYPE_CHECKING:
    import httpcore2

Address = IPv4Address | IPv6Address
Resolve = Callable[[str], Awaitable[Sequence[str]]]
"""Returns the addresses of a name, best first; raises OSError when it has none."""

MAX_URL_LENGTH = 2048
RESOLVE_SECONDS = 5.0
CONNECT_SECONDS = 5.0
REQUEST_SECONDS = 10.0
"""For all of a request together."""
MAX_REPLY_BYTES = 64 * 1024
"""Of an answer that are read; the rest is not waited for."""
_CONNECTIONS = 64
_IDLE_SECONDS = 30.0
_RESOLVERS = 4
"""Threads that ask for names: of their own, since a name server that never answers would hold up everything else."""

_VISIBLE = re.compile(r"[!-~]+")
_NAME = re.compile(r"[a-z0-9_]([a-z0-9_.-]*[a-z0-9_.])?")
_PORTS = {"http": 80, "https": 443}
_NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052: the last 32 bits are an IPv4 address


@dataclass(frozen=True, slots=True, kw_only=True)
class EgressPolicy:
    """Where calls may go. Only what is globally reachable, unless it says otherwise."""

    require_https: bool = False
    allowed_domains: tuple[str, ...] = ()
    """Host names; `*.example.com` is every name below example.com. Empty for any."""
    allowed_ports: tuple[int, ...] = ()
    """Empty for any."""
    max_url_length: int = MAX_URL_LENGTH
    allow_loopback: bool = False
    """Whether this machine itself may be called."""
    allow_private: bool = False
    """Whether addresses of private networks may be called (RFC 1918, RFC 4193, RFC 6598)."""


@dataclass(frozen=True, slots=True)
class Target:
    """A URL whose words were checked."""

    scheme: str
    host: str
    port: int
    path: str
    """With the query."""

    @property
    def authority(self) -> str:
        """The host as it is written in a URL, with the port unless it is the usual one."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class EgressReply:
    status: int
    body: bytes
    """At most `MAX_REPLY_BYTES` of it."""


@dataclass(frozen=True, slots=True)
class EgressStream:
    """An answer that is still coming."""

    status: int
    headers: Mapping[str, str]
    """By names in lower case."""
    chunks: AsyncIterator[bytes]


class Egress:
    """The one client for addresses that callers name."""

    def __init__(self, policy: EgressPolicy, *, resolve: Resolve | None = None) -> None:
        self._policy = policy
        self._threads: ThreadPoolExecutor | None = None
        self._resolve = resolve or self._ask_system
        self._pool: httpcore2.AsyncConnectionPool | None = None
        self._opening = asyncio.Lock()

    def target(self, url: str) -> Target:
        """Return what a URL says.

        Raises:
            TargetRefused: it is no URL of the web, or its words are against the policy.
        """
        policy = self._policy
        if len(url) > policy.max_url_length:
            raise TargetRefused(f"The URL is longer than {policy.max_url_length} characters.")
        if not _VISIBLE.fullmatch(url) or "\\" in url:
            raise TargetRefused("The URL must be ASCII without spaces; write other names as punycode.")
        try:
            parts = urlsplit(url)
            host, port = (parts.hostname or "").rstrip("."), parts.port
        except ValueError:
            raise TargetRefused("The URL cannot be read.") from None
        if parts.scheme not in _PORTS or (policy.require_https and parts.scheme != "https"):
            raise TargetRefused(
                f"The URL must begin with {'https://' if policy.require_https else 'https:// or http://'}."
            )
        if "@" in parts.netloc:
            raise TargetRefused("The URL must not name a user.")
        if not (_is_address(host) if ":" in host else _NAME.fullmatch(host)):
            raise TargetRefused("The URL names no host.")
        port = _PORTS[parts.scheme] if port is None else port
        if port == 0 or (policy.allowed_ports and port not in policy.allowed_ports):
            raise TargetRefused(f"Port {port} may not be called.")
        if policy.allowed_domains and not any(_matches(host, domain.lower()) for domain in policy.allowed_domains):
            raise TargetRefused(f"{host} is not among the hosts that may be called.")
        return Target(parts.scheme, host, port, (parts.path or "/") + (f"?{parts.query}" if parts.query else ""))

    async def check(self, url: str) -> None:
        """Refuse what would be refused now; when the call is made, everything is checked again.

        Raises:
            TargetRefused: the URL is against the policy, or its host has no address that is not.
        """
        try:
            await self.addresses(self.target(url).host)
        except (UpstreamFailed, UpstreamTimeout) as error:
            raise TargetRefused(error.detail) from None

    async def addresses(self, host: str) -> list[Address]:
        """Return the addresses of a host that may be called, best first.

        Raises:
            TargetRefused: it has addresses, and none of them may be called.
            UpstreamFailed, UpstreamTimeout: it has no address, or none in time.
        """
        if _is_address(host):
            found: Sequence[str] = [host]
        else:
            try:
                async with asyncio.timeout(RESOLVE_SECONDS):
                    found = await self._resolve(host)
            except TimeoutError:
                raise UpstreamTimeout(f"The address of {host} could not be found in time.") from None
            except (OSError, UnicodeError):
                raise UpstreamFailed(f"{host} has no address.") from None
        judged = [(address, self._objection(address)) for address in map(_address, found)]
        allowed = [address for address, objection in judged if objection is None]
        if not allowed:
            if not judged:
                raise UpstreamFailed(f"{host} has no address.")
            raise TargetRefused(f"{host} may not be called: {judged[0][1]}.")
        return allowed

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> EgressReply:
        """Send a body and return the answer, whatever its status; a redirect is an answer too.

        Raises:
            TargetRefused: the policy does not allow it.
            UpstreamFailed, UpstreamTimeout: there is no answer, or none within `REQUEST_SECONDS`.
        """
        async with self.stream("POST", url, headers, body) as reply:
            read = bytearray()
            async for chunk in reply.chunks:
                read += chunk
                if len(read) >= MAX_REPLY_BYTES:
                    break
            return EgressReply(reply.status, bytes(read[:MAX_REPLY_BYTES]))

    @asynccontextmanager
    async def stream(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes = b"",
        *,
        pause: float = REQUEST_SECONDS,
        seconds: float = REQUEST_SECONDS,
    ) -> AsyncIterator[EgressStream]:
        """Send a request and give the answer while it comes, whatever its status; a redirect is an answer too.

        `pause` is how long nothing may come, `seconds` the time for all of it; how much is read is for the caller to
        bound.

        Raises:
            TargetRefused: the policy does not allow it.
            UpstreamFailed, UpstreamTimeout: there is no answer, or none in time.
        """
        target = self.target(url)
        pool = await self._opened()
        import httpcore2

        limits = dict.fromkeys(("read", "write", "pool"), pause) | {"connect": CONNECT_SECONDS}
        try:
            async with (
                asyncio.timeout(seconds),
                pool.stream(
                    method,
                    httpcore2.URL(scheme=target.scheme, host=target.host, port=target.port, target=target.path),
                    headers=[("Host", target.authority), *headers.items()],
                    content=body,
                    extensions={"timeout": limits},
                ) as response,
            ):
                names = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers}
                yield EgressStream(response.status, names, response.aiter_stream())
        except (httpcore2.TimeoutException, TimeoutError):
            raise UpstreamTimeout(f"{target.host} did not answer in time.") from None
        except (httpcore2.NetworkError, httpcore2.ProtocolError, OSError) as error:
            # The kind alone: what the library writes may repeat the URL, and that may hold a secret.
            raise UpstreamFailed(f"{target.host} did not answer: {type(error).__name__}.") from None

    async def close(self) -> None:
        pool, self._pool = self._pool, None
        if pool is not None:
            await pool.aclose()
        threads, self._threads = self._threads, None
        if threads is not None:
            threads.shutdown(wait=False, cancel_futures=True)

    async def _opened(self) -> "httpcore2.AsyncConnectionPool":
        async with self._opening:
            if self._pool is None:
                self._pool = await asyncio.to_thread(self._open)
            return self._pool

    def _open(self) -> "httpcore2.AsyncConnectionPool":
        """Takes 0.1 s, and reads the certificates: not done before the first call, and in a thread."""
        import httpcore2

        network = _PinnedNetwork(self.addresses, httpcore2.AnyIOBackend())
        return httpcore2.AsyncConnectionPool(
            ssl_context=httpcore2.default_ssl_context(),
            max_connections=_CONNECTIONS,
            max_keepalive_connections=_CONNECTIONS // 4,
            keepalive_expiry=_IDLE_SECONDS,
            network_backend=cast("httpcore2.AsyncNetworkBackend", network),
        )

    def _objection(self, address: Address) -> str | None:
        """Say why an address may not be called, if it may not."""
        if isinstance(address, IPv6Address):
            if address.ipv4_mapped is not None:
                return self._objection(address.ipv4_mapped)
            if address in _NAT64:
                return self._objection(IPv4Address(int(address) & 0xFFFFFFFF))
        if address.is_loopback:
            return None if self._policy.allow_loopback else "it is this machine"
        if address.is_unspecified or address.is_multicast or address.is_link_local or address.is_reserved:
            return "its address is no host's"  # among them the metadata services of clouds, at 169.254.169.254
        if isinstance(address, IPv6Address) and (address.sixtofour is not None or address.teredo is not None):
            return "its address is a tunnel's"
        if not address.is_global or (isinstance(address, IPv6Address) and address.is_site_local):
            return None if self._policy.allow_private else "its address is private"
        return None

    async def _ask_system(self, host: str) -> Sequence[str]:
        if self._threads is None:
            self._threads = ThreadPoolExecutor(_RESOLVERS, thread_name_prefix="resolve")
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(
            self._threads, lambda: socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
        )
        return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class _PinnedNetwork:
    """What the client opens its sockets with: a name becomes an address here and nowhere else."""

    def __init__(
        self, addresses: Callable[[str], Awaitable[list[Address]]], backend: "httpcore2.AsyncNetworkBackend"
    ) -> None:
        self._addresses = addresses
        self._backend = backend

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> "httpcore2.AsyncNetworkStream":
        import httpcore2

        failure: Exception = httpcore2.ConnectError("there is no address")
        for address in await self._addresses(host):
            try:
                return await self._backend.connect_tcp(str(address), port, timeout, local_address, socket_options)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                failure = error
        raise failure

    async def connect_unix_socket(self, path: str, **_: Any) -> "httpcore2.AsyncNetworkStream":
        raise Unavailable(f"Sockets of this machine are not called: {path}.")

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


def _matches(host: str, domain: str) -> bool:
    return host.endswith(domain[1:]) and host != domain[1:] if domain.startswith("*.") else host == domain


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return "%" not in host


def _address(text: str) -> Address:
    return ip_address(text.partition("%")[0])  # a zone says by which interface, and only link-local addresses have one
