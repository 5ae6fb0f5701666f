"""Freshdesk as a `Platform`: every account over the same connections and limiters."""

import asyncio

from pydantic import SecretStr

from backend.core.collector.freshdesk.client import PLATFORM, FreshdeskClient
from backend.core.collector.freshdesk.domain import parse_domain
from backend.core.collector.freshdesk.limiter import Limiters, Sleep
from backend.core.collector.freshdesk.network import FreshdeskNetwork
from backend.core.collector.freshdesk.transport import OnRefused, Transport

HURRIED_SECONDS = 10.0
"""Of waiting for the account's limit, where a person waits too."""
HURRIED_TIMEOUT = 10.0


class FreshdeskPlatform:
    """Makes clients."""

    def __init__(
        self,
        network: FreshdeskNetwork,
        limiters: Limiters,
        *,
        timeout: float,
        patience: float,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        """`timeout` is in seconds for one answer, `patience` in seconds that one request waits for the limit."""
        self._network = network
        self._limiters = limiters
        self._timeout = timeout
        self._patience = patience
        self._sleep = sleep

    @property
    def name(self) -> str:
        return PLATFORM

    async def domain_of(self, text: str) -> str:
        return parse_domain(text).host

    async def tenant_of(self, domain: str) -> str:
        return parse_domain(domain).subdomain

    async def connect(
        self, domain: str, api_key: SecretStr, *, hurried: bool = False, on_refused: OnRefused | None = None
    ) -> FreshdeskClient:
        account = parse_domain(domain)
        transport = Transport(
            self._network,
            account,
            api_key,
            self._limiters.of(account.host),
            timeout=min(self._timeout, HURRIED_TIMEOUT) if hurried else self._timeout,
            patience=min(self._patience, HURRIED_SECONDS) if hurried else self._patience,
            on_refused=on_refused,
            sleep=self._sleep,
        )
        return FreshdeskClient(transport, self._network, account)

    async def close(self) -> None:
        await self._network.close()
