"""Letting in who shows an API key of the platform: an agent of an account that is installed here.

A request names a tenant, a platform, a domain and a key. The tenant is the one that has installed the account, and no
other. The installation's own key is compared by its hash. Another agent's key is shown to the platform, at the host
that is installed, and what it says stands in the cache for some minutes (`CACHE_TTL`), for all servers with the same
Redis; how often a tenant's door asks is bounded, since whoever comes to it could otherwise use up the account's limit.

The cache knows a key by the hash that the server's secret key makes: who reads it learns no key, and who writes into it
cannot say that one of theirs is good.
"""

import re
import time
from collections import deque
from collections.abc import Callable, Mapping

from pydantic import SecretStr

from backend.core.cache import Caches
from backend.core.collector.platform import Platform
from backend.core.error import Forbidden, Invalid, NotFound, TooMany, Unauthorized, UpstreamFailed
from backend.database.base import Database
from backend.dto.principal import Principal
from backend.repository.installation import AllInstallations, InstallationRepository, Kept
from backend.service.installation_secret import InstallationSecrets
from backend.service.permission import ROLES

VERDICT = "verdict"
"""Kind of what is cached: the agent whose key it is."""
REFUSAL = "refusal"
"""Kind of what is cached: that a key is nobody's."""
QUESTIONS = 20
"""Unknown keys of one account that are shown to the platform within a minute."""
MAX_KEY_LENGTH = 200
_TENANT = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_REFUSED = "The tenant, the domain and the API key do not belong together."


class PlatformDoor:
    """Whoever is uninstalled is out at once; a key that is taken back at the platform works on while it is cached."""

    def __init__(
        self,
        database: Database,
        platforms: Mapping[str, Platform],
        secrets: InstallationSecrets,
        caches: Caches,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._platforms = platforms
        self._secrets = secrets
        self._caches = caches
        self._clock = clock
        self._asked: dict[tuple[str, str], deque[float]] = {}

    async def verify(self, tenant_id: str | None, platform: str, domain: str | None, api_key: SecretStr) -> Principal:
        """Return who shows a key.

        Raises:
            Unauthorized: the four do not belong together; which of them does not, it does not say.
            TooMany: too many unknown keys were shown.
            UpstreamFailed, UpstreamTimeout: the platform cannot be asked.
        """
        key = api_key.get_secret_value()
        if not 0 < len(key) <= MAX_KEY_LENGTH or not key.isascii() or not key.isprintable():
            raise Unauthorized(_REFUSED)
        kept = await self._installed(tenant_id, platform, domain)
        if kept is None:
            raise Unauthorized(_REFUSED)
        key_hash = self._secrets.hash(key)
        if self._secrets.is_key(kept, key_hash):
            agent_id = str(kept.installation.account.get("agent_id", ""))
        else:
            agent_id = await self._agent(kept, api_key, key_hash)
        return Principal(
            tenant_id=kept.installation.tenant_id,
            user_id=f"{platform}:{agent_id}",
            roles=frozenset({"agent"}),
            scopes=ROLES["agent"],
        )

    async def forget(self, tenant_id: str, platform: str) -> None:
        """Forget what was said of an installation's keys, on every server that shares the cache."""
        cache = self._caches.of(tenant_id)
        for kind in (VERDICT, REFUSAL):
            await cache.delete_matching(kind, (platform,))

    async def _installed(self, tenant_id: str | None, platform: str, domain: str | None) -> Kept | None:
        known = self._platforms.get(platform)
        if known is None or not (tenant_id or domain) or not (tenant_id is None or _TENANT.fullmatch(tenant_id)):
            return None
        host: str | None = None
        if domain:
            try:
                host = await known.domain_of(domain)
            except Invalid:
                return None
        if tenant_id:
            kept = await self._database.read(
                lambda connection: InstallationRepository(connection, tenant_id).find(platform)
            )
        else:
            assert host is not None  # one of the two was given
            kept = await self._database.read(lambda connection: AllInstallations(connection).find(platform, host))
        if kept is None or kept.installation.status != "installed":
            return None
        return kept if host in {None, kept.installation.domain} else None

    async def _agent(self, kept: Kept, api_key: SecretStr, key_hash: str) -> str:
        """Return whose key it is, as the platform says or lately said."""
        found = kept.installation
        cache = self._caches.of(found.tenant_id)
        key = (found.platform, found.domain, key_hash)

        async def ask() -> str:
            if await cache.get(REFUSAL, key):
                raise Unauthorized(_REFUSED)
            agent_id = await self._ask(kept, api_key)
            if agent_id is None:
                await cache.set(REFUSAL, key, value=True)
                raise Unauthorized(_REFUSED)
            return agent_id

        return str(await cache.get_or_make(VERDICT, key, ask))

    async def _ask(self, kept: Kept, api_key: SecretStr) -> str | None:
        """Return whose key it is, as the platform says; None when it does not accept it."""
        found = kept.installation
        now = self._clock()
        asked = self._asked.setdefault((found.tenant_id, found.platform), deque())
        while asked and asked[0] <= now - 60:
            asked.popleft()
        if len(asked) >= QUESTIONS:
            raise TooMany("Too many API keys were tried; wait a minute.", max(1, round(asked[0] + 60 - now)))
        asked.append(now)
        source = await self._platforms[found.platform].connect(found.domain, api_key, hurried=True)
        try:
            account = await source.check()
        except (Unauthorized, Forbidden, NotFound):
            return None
        finally:
            await source.close()
        if not account.agent_id:
            raise UpstreamFailed("The platform did not say whose API key it is.")
        return account.agent_id
