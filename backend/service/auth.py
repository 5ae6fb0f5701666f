"""Who is it? The one place where credentials become a `Principal`, for HTTP, WebSocket and Socket.IO alike.

Four kinds are taken: the static tokens of the settings, access tokens (JWT), API keys, and the four headers of a
support desk's own application, whose key is compared with that of the tenant's installation.
"""

import hmac
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple

from loguru import logger
from pydantic import SecretStr

from backend.core.error import BadRequest, Forbidden, TooMany, Unauthorized
from backend.dto.principal import DEFAULT_TENANT, OPERATE, SCOPES, Principal
from backend.service.access_token import AccessTokens, Expired
from backend.service.api_key import ApiKeyService
from backend.service.failure_limit import FailureLimit
from backend.service.tenant import TenantService
from backend.service.token import TokenService

if TYPE_CHECKING:
    from loguru import Record

OWNER = "owner"
"""The role of who holds a tenant's token: all of the tenant is theirs."""
OPERATOR = "operator"
"""The role and the `user_id` of who holds the server's own token."""
HEADER_REQUIRED = "Authorization header required"
INVALID_FORMAT = "Invalid authorization header format"
INVALID_TOKEN = "Invalid access token"  # noqa: S105  # what the caller is told
WRONG_HEADERS = "The tenant headers are not those of an installation."
TOKEN_LIMIT = 4096
"""Characters; what is longer is not hashed."""
PLATFORMS = frozenset({"freshdesk"})
"""Whose applications may come in with the tenant headers."""

HeaderVerifier = Callable[[str | None, str, str | None, SecretStr], Awaitable[Principal]]
"""From tenant (None: whose the domain is), platform, domain and the platform's API key to who that is; raises
Unauthorized or Forbidden."""

_SPELLINGS: Mapping[str, tuple[bytes, ...]] = {
    "X-Tenant-ID": (b"x-tenant-id", b"x-company-id"),
    "X-Platform": (b"x-platform",),
    "X-Domain": (b"x-domain", b"x-freshdesk-domain"),
    "X-API-Key": (b"x-api-key", b"x-freshdesk-api-key"),
}
_OLDER = frozenset({b"x-freshdesk-domain", b"x-freshdesk-api-key"})
_MARKS = frozenset({b"x-platform", *_OLDER})
"""Without one of these, `x-api-key` is a token of this server (as the official LangGraph clients send it)."""
_NAMES = frozenset({b"authorization", *(name for names in _SPELLINGS.values() for name in names)})
_TENANT = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")


def _name(record: "Record") -> None:
    record["name"] = "middleware.bearer_auth"


_log = logger.patch(_name)


class Credentials(NamedTuple):
    """What a client sent to say who it is; the first that is there counts."""

    authorization: str | None = None
    """The `Authorization` header (RFC 6750 §2.1)."""
    headers: Mapping[bytes, str] | None = None
    """The tenant headers."""
    token: object = None
    """A token by itself, which may be anything that a client sent; None is none."""

    def __repr__(self) -> str:
        return "Credentials(…)"  # they are secrets


class _Harmless(Unauthorized):
    """Refused, but no guess: there was nothing, or what was good once."""


def credentials_of(headers: Iterable[tuple[bytes, bytes]]) -> Credentials:
    """Return what the headers of a request say; their names are in lower case, as ASGI has them."""
    found: dict[bytes, str] = {}
    for name, value in headers:
        if name in _NAMES:
            # Of two, this server and one before it may believe different ones.
            found[name] = "" if name in found else value.decode("utf-8", "replace")
    authorization = found.get(b"authorization")
    if authorization is None and _MARKS & found.keys():
        return Credentials(headers=found)
    return Credentials(authorization, token=found.get(b"x-api-key"))


class Authenticator:
    """Knows who may come in; without any token (`AUTH_MODE=disabled`) everybody is the local owner and operator."""

    def __init__(
        self,
        tokens: Mapping[str, SecretStr] | None,
        failures: FailureLimit | None = None,
        *,
        operator: SecretStr | None = None,
        tenants: TenantService | None = None,
        access_tokens: TokenService | None = None,
        api_keys: ApiKeyService | None = None,
        headers: HeaderVerifier | None = None,
    ) -> None:
        """Take what there is to know; what is None lets nobody in.

        Args:
            tokens: the token of each tenant that the settings name; None lets everybody in.
            failures: counts them by the client's address.
            operator: the token of the server's operator.
            tenants: says which are suspended.
            access_tokens: of the users who have logged in.
            api_keys: of the tenants.
            headers: compares the tenant headers with an installation.
        """
        self.enabled = tokens is not None
        self._failures = failures or FailureLimit()
        known = [(token, Principal(tenant, tenant, frozenset({OWNER}))) for tenant, token in (tokens or {}).items()]
        if operator is not None:
            roles = frozenset({OWNER, OPERATOR})
            known.append((operator, Principal(DEFAULT_TENANT, OPERATOR, roles, scopes=SCOPES | {OPERATE})))
        # Digests are of one length, so that comparing them tells nothing, not even how long a token is.
        self._known = tuple((_digest(token.get_secret_value()), principal) for token, principal in known)
        self._local = Principal(DEFAULT_TENANT, "local", frozenset({OWNER}), scopes=SCOPES | {OPERATE})
        self._tenants = tenants
        self._access_tokens = access_tokens
        self._api_keys = api_keys
        self._headers = headers

    async def identify(self, credentials: Credentials, address: str = "") -> Principal:
        """Return who sends these credentials.

        `address` is the client's, for counting failures.

        Raises:
            Unauthorized: there are none, or they are nobody's.
            Forbidden: the tenant is suspended, or its platform's key is another.
            BadRequest: the tenant headers contradict themselves.
            TooMany: the address failed too often in the last minute; its credentials are not looked at.
        """
        if not self.enabled:
            return self._local
        if seconds := self._failures.wait(address):
            raise TooMany(f"Too many failed attempts. Try again in {seconds} seconds.", seconds)
        try:
            principal = await self._find(credentials)
        except (Unauthorized, Forbidden, BadRequest) as error:
            _log.warning("refused {address}: {reason}", address=address or "an unknown address", reason=error.detail)
            # Who sends nothing guesses nothing: a browser or a probe without a token must not lock its neighbours
            # out; nor must who has not noticed yet that its token has expired.
            if not isinstance(error, _Harmless) and self._failures.count(address):
                _log.warning("{address} failed too often and is refused for a while", address=address)
            raise
        if self._tenants is not None:
            await self._tenants.admit(principal)
        _log.debug("the token of {tenant_id} was accepted", tenant_id=principal.tenant_id)
        return principal

    async def recheck(self, credentials: Credentials) -> Principal:
        """Return who came in with these credentials, if they would still open: for connections that last.

        Raises:
            Unauthorized: they have expired or were revoked.
            Forbidden: the tenant was suspended.
        """
        if not self.enabled:
            return self._local
        principal = await self._find(credentials)
        if self._tenants is not None:
            await self._tenants.admit(principal)
        return principal

    async def authenticate(self, token: object, address: str = "") -> Principal:
        """Return who holds a token, which may be anything that a client sent; None is none.

        Raises what `identify` does.
        """
        return await self.identify(Credentials(token=token), address)

    async def authenticate_header(self, header: str | None, address: str = "") -> Principal:
        """Return who sends this `Authorization` header. Raises what `identify` does."""
        return await self.identify(Credentials(header), address)

    async def _find(self, credentials: Credentials) -> Principal:
        if credentials.authorization is not None:
            scheme, _, token = credentials.authorization.partition(" ")
            token = token.strip()
            if scheme.lower() != "bearer" or not token or " " in token:
                raise Unauthorized(INVALID_FORMAT)
            return await self._by_token(token)
        if credentials.headers is not None:
            return await self._by_headers(credentials.headers)
        if credentials.token is None:
            raise _Harmless(HEADER_REQUIRED)
        return await self._by_token(credentials.token)

    async def _by_token(self, token: object) -> Principal:
        if not isinstance(token, str) or not token or len(token) > TOKEN_LIMIT:
            raise Unauthorized(INVALID_TOKEN)
        digest = _digest(token)
        found: Principal | None = None
        for known, principal in self._known:  # all of them, whichever is right: the time tells nothing
            if hmac.compare_digest(known, digest):
                found = principal
        if found is not None:
            return found
        if self._api_keys is not None and self._api_keys.looks_like_one(token):
            found = await self._api_keys.find(token)
            if found is None and await self._api_keys.is_known(token):
                raise _Harmless(INVALID_TOKEN)
        elif self._access_tokens is not None and AccessTokens.looks_like_one(token):
            try:
                found = await self._access_tokens.find(token)
            except Expired:
                raise _Harmless(INVALID_TOKEN) from None
            except Unauthorized:
                raise Unauthorized(INVALID_TOKEN) from None
            if found is None:  # it is signed, and was revoked
                raise _Harmless(INVALID_TOKEN)
        if found is None:
            raise Unauthorized(INVALID_TOKEN)
        return found

    async def _by_headers(self, headers: Mapping[bytes, str]) -> Principal:
        if self._headers is None:
            raise Unauthorized(WRONG_HEADERS)
        sent = {name: {headers[one] for one in spellings if one in headers} for name, spellings in _SPELLINGS.items()}
        if _OLDER & headers.keys():  # this spelling has the platform in its names, and no tenant
            sent["X-Platform"] = sent["X-Platform"] or {"freshdesk"}
        for name, values in sent.items():
            if not values and (name != "X-Tenant-ID" or not _OLDER & headers.keys()):
                raise _Harmless(f"{name} header is required")
            if len(values) > 1 or "" in values:
                raise BadRequest(f"{name} was sent twice, in several ways that differ, or empty.")
        tenant_id, platform, domain, key = (next(iter(values), "") for values in sent.values())
        if platform.lower() not in PLATFORMS:
            raise BadRequest(f"There is no platform {platform[:40]!r}. There are: {', '.join(sorted(PLATFORMS))}.")
        if (tenant_id and not _TENANT.fullmatch(tenant_id)) or len(domain) > 255 or len(key) > TOKEN_LIMIT:
            raise Unauthorized(WRONG_HEADERS)
        principal = await self._headers(tenant_id or None, platform.lower(), domain, SecretStr(key))
        if tenant_id and principal.tenant_id != tenant_id:
            raise Unauthorized(WRONG_HEADERS)
        return principal


def _digest(token: str) -> bytes:
    return sha256(token.encode("utf-8", "surrogatepass")).digest()
