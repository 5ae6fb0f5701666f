"""Which account a text names: the one place where a Freshdesk domain is read.

What somebody types becomes the host that an API key is sent to, so nothing is guessed: the text is matched whole, and
only a single plain label before `.freshdesk.com` passes. `a.freshdesk.com.evil.tld`, names with a user, a port, a dot
at the end or letters of other scripts are no Freshdesk domains.
"""

import re
from dataclasses import dataclass

from backend.core.error import Invalid

MAX_LENGTH = 2048
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_BARE = re.compile(_LABEL)
_HOST = re.compile(rf"(?:https://)?({_LABEL})\.freshdesk\.com(?:[/?#][!-~]*)?")


@dataclass(frozen=True, slots=True)
class Domain:
    """A Freshdesk account."""

    subdomain: str

    @property
    def host(self) -> str:
        return f"{self.subdomain}.freshdesk.com"


def parse_domain(text: str) -> Domain:
    """Return the account that `acme`, `acme.freshdesk.com` or `https://acme.freshdesk.com/…` names.

    Raises:
        Invalid: it is none of these.
    """
    # Only ASCII is lowered: elsewhere a letter may become one that it was not (the Kelvin sign a k).
    lowered = text.strip(" \t\r\n")
    if len(lowered) <= MAX_LENGTH and lowered.isascii():
        lowered = lowered.lower()
        found = _HOST.fullmatch(lowered)
        label = found[1] if found else lowered if _BARE.fullmatch(lowered) else ""
        if label and not label.startswith("xn--"):
            return Domain(label)
    raise Invalid("The domain must be a Freshdesk address such as acme.freshdesk.com.")
