"""Who is it? The one place where a credential becomes a `Principal`, for HTTP, WebSocket and Socket.IO alike."""

import hmac
import math
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from hashlib import sha256
from ipaddress import IPv6Address, ip_address
from typing import TYPE_CHECKING

from loguru import logger
from pydantic import SecretStr

from backend.core.error import TooMany, Unauthorized
from backend.dto.principal import DEFAULT_TENANT, Principal

if TYPE_CHECKING:
    from loguru import Record

OWNER = "owner"
"""The role of who holds a tenant's token: all of the tenant is theirs."""
HEADER_REQUIRED = "Authorization header required"
INVALID_FORMAT = "Invalid authorization header format"
INVALID_TOKEN = "Invalid access token"  # noqa: S105  # what the caller is told
TOKEN_LIMIT = 4096
"""Characters; what is longer is not hashed."""


def _name(record: "Record") -> None:
    record["name"] = "middleware.bearer_auth"


_log = logger.patch(_name)


class FailureLimit:
    """Counts failures by client address, in a window that begins with the first. Its memory is bounded.

    IPv6 addresses are counted by their /64, of which one customer usually has all.
    """

    def __init__(
        self,
        limit: int = 20,
        window: float = 60.0,
        *,
        addresses: int = 10_000,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limit = limit
        self._window = window
        self._addresses = addresses
        self._clock = clock
        self._failures: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def wait(self, address: str) -> int:
        """Return the whole seconds until the address may try again; 0 when it may now."""
        if not self._failures:
            return 0
        count, ends = self._failures.get(_network(address), (0, 0.0))
        left = ends - self._clock()
        return math.ceil(left) if count >= self._limit and left > 0 else 0

    def count(self, address: str) -> bool:
        """Count a failure; return whether the address is refused from now on."""
        now, network = self._clock(), _network(address)
        count, ends = self._failures.get(network, (0, 0.0))
        if ends <= now:
            count, ends = 0, now + self._window
            self._failures.pop(network, None)  # the order is that of the windows' ends
        self._failures[network] = (count + 1, ends)
        if len(self._failures) > self._addresses:
            self._failures.popitem(last=False)
        return count + 1 == self._limit


class Authenticator:
    """Knows the token of each tenant; with none at all (`AUTH_MODE=disabled`) everybody is the local owner."""

    def __init__(self, tokens: Mapping[str, SecretStr] | None, failures: FailureLimit | None = None) -> None:
        self.enabled = tokens is not None
        self._failures = failures or FailureLimit()
        # Digests are of one length, so that comparing them tells nothing, not even how long a token is.
        self._known = tuple(
            (_digest(token.get_secret_value()), Principal(tenant, tenant, frozenset({OWNER})))
            for tenant, token in (tokens or {}).items()
        )
        self._local = Principal(DEFAULT_TENANT, "local", frozenset({OWNER}))

    def authenticate(self, token: object, address: str = "") -> Principal:
        """Return who holds the token, which may be anything that a client sent; None is none.

        `address` is the client's, for counting failures.

        Raises:
            Unauthorized: there is no token, or it is nobody's.
            TooMany: the address failed too often in the last minute; its token is not looked at.
        """
        if not self.enabled:
            return self._local
        self._refuse_if_blocked(address)
        if token is None:
            raise self._failed(HEADER_REQUIRED, address)
        if not isinstance(token, str) or not token or len(token) > TOKEN_LIMIT:
            raise self._failed(INVALID_TOKEN, address)
        digest = _digest(token)
        found: Principal | None = None
        for known, principal in self._known:  # all of them, whichever is right: the time tells nothing
            if hmac.compare_digest(known, digest):
                found = principal
        if found is None:
            raise self._failed(INVALID_TOKEN, address)
        _log.debug("the token of {tenant_id} was accepted", tenant_id=found.tenant_id)
        return found

    def authenticate_header(self, header: str | None, address: str = "") -> Principal:
        """Return who sends this `Authorization` header (RFC 6750 §2.1). Raises what `authenticate` does."""
        if not self.enabled:
            return self._local
        if header is None:
            return self.authenticate(None, address)
        scheme, _, token = header.partition(" ")
        token = token.strip()
        if scheme.lower() != "bearer" or not token or " " in token:
            self._refuse_if_blocked(address)
            raise self._failed(INVALID_FORMAT, address)
        return self.authenticate(token, address)

    def _refuse_if_blocked(self, address: str) -> None:
        seconds = self._failures.wait(address)
        if seconds:
            raise TooMany(f"Too many failed attempts. Try again in {seconds} seconds.", seconds)

    def _failed(self, reason: str, address: str) -> Unauthorized:
        _log.warning("refused {address}: {reason}", address=address or "an unknown address", reason=reason)
        # Who sends nothing guesses nothing: a browser or a probe without a token must not lock its neighbours out.
        if reason != HEADER_REQUIRED and self._failures.count(address):
            _log.warning("{address} failed too often and is refused for a while", address=address)
        return Unauthorized(reason)


def _digest(token: str) -> bytes:
    return sha256(token.encode("utf-8", "surrogatepass")).digest()


def _network(address: str) -> str:
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is None:
        return str(IPv6Address(int(parsed) >> 64 << 64))
    return address
