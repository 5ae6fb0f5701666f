"""HTML to the plain text that Freshdesk gives beside it."""

import html
import re

_BREAK = re.compile(r"(?i)<br\s*/?>|</(?:p|div|li|tr|h[1-6]|blockquote|pre)>")
_TAG = re.compile(r"<[^>]*>")
_SPACES = re.compile(r"[ \t\xa0]+")
_LINES = re.compile(r"\s*\n\s*")


def text_of(body: str) -> str:
    """Return what a reader sees, a line for a block."""
    text = html.unescape(_TAG.sub("", _BREAK.sub("\n", body)))
    return _LINES.sub("\n", _SPACES.sub(" ", text)).strip()
