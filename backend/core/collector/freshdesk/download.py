"""Files of tickets and articles: signed links to other hosts, which run out. The key never goes there."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from urllib.parse import urljoin

from backend.core.collector.freshdesk.network import FreshdeskNetwork
from backend.core.error import NotFound, TooLarge, UpstreamFailed, UpstreamTimeout

MAX_BYTES = 50 * 1024 * 1024
"""Freshdesk takes 20 MB for all files of a message."""
PAUSE_SECONDS = 30.0
TOTAL_SECONDS = 300.0
REDIRECTS = 3
_EXPIRED = frozenset({400, 401, 403, 404, 410})
"""What S3 and Freshdesk answer for a link that no longer holds."""
_MOVED = frozenset({301, 302, 303, 307, 308})

Renew = Callable[[], Awaitable[str | None]]


class _Expired(Exception):
    """The link no longer holds."""


async def download(network: FreshdeskNetwork, url: str | None, renew: Renew) -> AsyncGenerator[bytes]:
    """Yield the bytes behind a link; where it has run out, once more behind a new one.

    Raises:
        NotFound: there is no link that holds.
        TooLarge: it is larger than `MAX_BYTES`.
        TargetRefused: it leads to a host where Freshdesk keeps no files.
        UpstreamFailed, UpstreamTimeout: the host does not give it.
    """
    renewed = url is None
    link = url if url is not None else await renew()
    while link is not None:
        try:
            async with aclosing(_read(network, link)) as chunks:
                async for chunk in chunks:
                    yield chunk
        except _Expired:
            if renewed:
                break
            renewed, link = True, await renew()
        else:
            return
    raise NotFound("The attachment is no longer there.")


async def _read(network: FreshdeskNetwork, url: str) -> AsyncGenerator[bytes]:
    for _ in range(REDIRECTS + 1):
        egress = network.files(url)  # each address of a chain is judged
        try:
            async with egress.stream(
                "GET", url, {"User-Agent": "Daedap"}, pause=PAUSE_SECONDS, seconds=TOTAL_SECONDS
            ) as reply:
                if reply.status in _MOVED and "location" in reply.headers:
                    url = urljoin(url, reply.headers["location"])
                    continue
                if reply.status in _EXPIRED:
                    raise _Expired
                if reply.status != 200:
                    raise UpstreamFailed("The attachment could not be fetched.", upstream_status=reply.status)
                size = 0
                async for chunk in reply.chunks:
                    size += len(chunk)
                    if size > MAX_BYTES:
                        raise TooLarge(f"The attachment is larger than {MAX_BYTES} bytes.", limit=MAX_BYTES)
                    yield chunk
                return
        except UpstreamTimeout:
            raise UpstreamTimeout("The attachment could not be fetched in time.") from None
        except UpstreamFailed:
            raise UpstreamFailed("The attachment could not be fetched.") from None
    raise UpstreamFailed("The attachment's address leads on and on.")
