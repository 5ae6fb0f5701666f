"""Where requests of this client may go: the API, with the key, and the hosts of files, without it."""

import re
from urllib.parse import urlsplit

from backend.core.collector.freshdesk.domain import Domain
from backend.core.egress import Egress, EgressPolicy
from backend.core.error import TargetRefused

_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
_S3 = re.compile(
    # A bucket's own name is in the path or before `s3`; nothing else of Amazon's cloud is called.
    r"(?:[a-z0-9][a-z0-9.-]*\.)?s3(?:[.-](?:dualstack\.)?[a-z]{2}(?:-[a-z]+)+-\d)?\.amazonaws\.com"
)
_OWN = re.compile(r"(?:[a-z0-9-]+\.)+(?:freshdesk|freshworks)\.com")


def is_file_host(host: str) -> bool:
    """Whether Freshdesk keeps files under this name: its own names, and Amazon S3."""
    return bool(_OWN.fullmatch(host) or _S3.fullmatch(host))


class FreshdeskNetwork:
    """The connections of all accounts. With a development URL, everything goes to a simulator on this machine."""

    def __init__(self, url: str | None = None) -> None:
        self._url = url.rstrip("/") if url else None
        if self._url is None:
            api = EgressPolicy(require_https=True, allowed_domains=("*.freshdesk.com",), allowed_ports=(443,))
            files = EgressPolicy(require_https=True, allowed_ports=(443,), max_url_length=8192)
        else:
            parts = urlsplit(self._url)
            host = parts.hostname or ""
            api = EgressPolicy(allowed_domains=(host,), allowed_ports=(parts.port or 80,), allow_loopback=True)
            files = EgressPolicy(allow_loopback=True, max_url_length=8192)
        self.api = Egress(api)
        self._files = Egress(files)

    def base(self, domain: Domain) -> str:
        """Return what an account's API paths begin with."""
        root = f"https://{domain.host}" if self._url is None else f"{self._url}/{domain.subdomain}"
        return f"{root}/api/v2"

    def files(self, url: str) -> Egress:
        """Return what may fetch a file from this address.

        Raises:
            TargetRefused: no files of Freshdesk are there.
        """
        host = self._files.target(url).host
        if not (is_file_host(host) if self._url is None else host in _LOOPBACK):
            raise TargetRefused("The attachment is not at one of Freshdesk's hosts.")
        return self._files

    async def close(self) -> None:
        await self.api.close()
        await self._files.close()
