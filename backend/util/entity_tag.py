"""What a client has of a thing already (RFC 9110 §13.1.2)."""

import re

_TAG = re.compile(r'\s*(?:W/)?("[\x21\x23-\x7e\x80-\xff]*")\s*(?:,|$)')


def has_already(if_none_match: str | None, etag: str) -> bool:
    """Whether an `If-None-Match` names the tag of what is there: `*` names any, and a weak one is as good here."""
    if if_none_match is None:
        return False
    if if_none_match.strip() == "*":
        return True
    return etag.removeprefix("W/") in _TAG.findall(if_none_match)
