"""One request to an account's API: with the key, at the pace that the account allows, tried again where that helps.

Failures become the vocabulary of `core/error.py`. Their texts are ours: what Freshdesk answers, and the address that
was asked, stay here.
"""

import asyncio
import base64
import json
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import orjson
from loguru import logger
from pydantic import SecretStr

from backend.core.collector.freshdesk.domain import Domain
from backend.core.collector.freshdesk.limiter import AccountLimiter, Sleep
from backend.core.collector.freshdesk.network import FreshdeskNetwork
from backend.core.collector.freshdesk.parser import clean
from backend.core.error import (
    Forbidden,
    NotFound,
    TooMany,
    Unauthorized,
    UpstreamFailed,
    UpstreamTimeout,
)

MAX_PAGE_BYTES = 64 * 1024 * 1024
TRIES = 4
"""Of a request that fails for no fault of ours."""
BACKOFF_SECONDS = 0.5
"""Before the second try; twice as long before each further one, up to half as much more at random."""
UNTOLD_TRIES = 3
"""Answers 429 without `Retry-After` that are waited for."""
UNTOLD_SECONDS = 10.0
LONGEST_BLOCK = 3600.0
"""For which a `Retry-After` is believed: no plan counts by more than an hour."""
_PARSE_IN_THREAD = 1024 * 1024
_MAX_ERROR_BYTES = 64 * 1024
"""Read of an answer that nobody looks at, so that its connection can be used again."""

OnRefused = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a request that succeeded."""

    data: Any
    more: bool
    """Whether the `Link` header names a next page."""


class _Passing(UpstreamFailed):
    """A failure that may be over at the next try."""


class Transport:
    """An account and a key. What happened to a key that is refused is told to `on_refused`."""

    def __init__(
        self,
        network: FreshdeskNetwork,
        domain: Domain,
        api_key: SecretStr,
        limiter: AccountLimiter,
        *,
        timeout: float,
        patience: float,
        on_refused: OnRefused | None = None,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._network = network
        self._base = network.base(domain)
        self._api_key = api_key
        self._limiter = limiter
        self._timeout = timeout
        self._patience = patience
        self._on_refused = on_refused
        self._sleep = sleep
        self.requests = 0

    async def get(
        self, path: str, query: Mapping[str, str | int] | None = None, *, cost: int = 1, urgent: bool = False
    ) -> Answer:
        """Ask for something. Raises what `SupportSource` says."""
        url = f"{self._base}{path}{f'?{urlencode(query)}' if query else ''}"
        return await self._try("GET", url, b"", cost=cost, urgent=urgent, tries=TRIES)

    async def post(self, path: str, body: Mapping[str, Any]) -> Answer:
        """Write something, once: what may have arrived is not sent again."""
        return await self._try("POST", f"{self._base}{path}", orjson.dumps(body), cost=1, urgent=True, tries=1)

    async def _try(self, method: str, url: str, body: bytes, *, cost: int, urgent: bool, tries: int) -> Answer:
        began, untold = time.monotonic(), 0
        tried = 0
        while True:
            left = self._patience - (time.monotonic() - began)
            try:
                async with self._limiter.request(cost, urgent=urgent, patience=left) as learn:
                    return await self._send(method, url, body, learn)
            except _Limited as limited:
                wait = limited.seconds
                if wait is None:
                    untold += 1
                    wait = UNTOLD_SECONDS
                # Nobody else of ours need find out. The wait itself is the limiter's.
                await self._limiter.block(min(wait, LONGEST_BLOCK))
                if untold > UNTOLD_TRIES or wait > left:
                    raise TooMany("The platform's request limit is used up.", max(1, round(wait))) from None
            except (_Passing, UpstreamTimeout) as failure:
                tried += 1
                if tried >= tries:
                    if isinstance(failure, UpstreamTimeout):
                        raise
                    raise UpstreamFailed(failure.detail) from None
                pause = BACKOFF_SECONDS * 2 ** (tried - 1) * random.uniform(1, 1.5)
                logger.debug("Freshdesk: try {tried} failed ({kind})", tried=tried, kind=type(failure).__name__)
                await self._sleep(pause)

    async def _send(self, method: str, url: str, body: bytes, learn: Callable[[Mapping[str, str]], None]) -> Answer:
        self.requests += 1
        secret = base64.b64encode(f"{self._api_key.get_secret_value()}:X".encode()).decode()
        headers = {
            "Authorization": f"Basic {secret}",
            "Accept": "application/json",
            "User-Agent": "Daedap",
            **({"Content-Type": "application/json"} if body else {}),
        }
        data = bytearray()
        try:
            async with self._network.api.stream(
                method, url, headers, body, pause=self._timeout, seconds=self._timeout * 3
            ) as reply:
                learn(reply.headers)
                good = 200 <= reply.status < 300
                async for chunk in reply.chunks:
                    data += chunk
                    if len(data) > (MAX_PAGE_BYTES if good else _MAX_ERROR_BYTES):
                        break
        except UpstreamTimeout:
            raise UpstreamTimeout("The platform did not answer in time.") from None
        except UpstreamFailed:
            raise _Passing("The platform could not be reached.") from None
        if not good:
            await self._refuse(reply.status, reply.headers)
        if len(data) > MAX_PAGE_BYTES:
            raise UpstreamFailed(f"The platform's answer is larger than {MAX_PAGE_BYTES} bytes.")
        link = reply.headers.get("link", "")
        read = _read if len(data) < _PARSE_IN_THREAD else _read_in_thread
        return Answer(await read(bytes(data)), 'rel="next"' in link or "rel=next" in link)

    async def _refuse(self, status: int, headers: Mapping[str, str]) -> None:
        """Raise what a status means; the body is not looked at, since it may be anything."""
        if status == 401:
            if self._on_refused is not None:
                await self._on_refused()
            raise Unauthorized("The platform refuses the API key.")
        if status == 403:
            raise Forbidden("The platform does not let this API key do that.")
        if status == 404:
            raise NotFound("The platform does not have it.")
        if status == 429:
            raise _Limited(_seconds(headers.get("retry-after")))
        if status >= 500:
            raise _Passing("The platform failed.", upstream_status=status)
        raise UpstreamFailed("The platform did not take the request.", upstream_status=status)


class _Limited(Exception):
    """An answer 429."""

    def __init__(self, seconds: float | None) -> None:
        super().__init__()
        self.seconds = seconds


async def _read(body: bytes) -> Any:
    return _parsed(body)


async def _read_in_thread(body: bytes) -> Any:
    return await asyncio.to_thread(_parsed, body)


def _parsed(body: bytes) -> Any:
    """Return the JSON of a body; a page of HTML with status 200 is a failure that passes, as at a maintenance."""
    if not body.strip():
        return None
    try:
        found = orjson.loads(body)
    except ValueError:
        try:  # half a character in one ticket must not cost the whole page
            found = clean(json.loads(body, parse_constant=_no_constant))
        except (ValueError, RecursionError):
            raise _Passing("The platform answered with something that is not JSON.") from None
    else:
        if b"\\u0000" in body:
            found = clean(found)
    return found


def _no_constant(name: str) -> Any:
    raise ValueError(name)


def _seconds(text: str | None) -> float | None:
    """Return the seconds of a `Retry-After`; a date, which Freshdesk does not send, counts as none."""
    try:
        seconds = float(text or "")
    except ValueError:
        return None
    return seconds if 0 <= seconds < 1e6 else None
