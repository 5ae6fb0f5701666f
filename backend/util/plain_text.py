"""The text of HTML, quickly and roughly: for reading and looking through, not for showing."""

import html
import re

_TAG = re.compile(r"<(/?[a-zA-Z][^\s<>/]*|!--)?[^<>]*>")
"""It stops at the next `<`: what was never closed costs no second look."""
_SILENT = frozenset({"script", "style", "head", "title"})
_BLOCK = frozenset(
    {"br", "p", "div", "li", "tr", "table", "ul", "ol", "h1", "h2", "h3", "h4", "h5", "h6", "blockquote"}
)
_SPACE = re.compile(r"[^\S\n]+")
_LINES = re.compile(r"\s*\n\s*")


def plain_text(text: str, limit: int) -> str:
    """Return at most `limit` characters of text without tags, scripts and styles; plain text stays as it is.

    One pass, linear in the length whatever stands in it; at most the first `4 * limit` characters are looked at.
    """
    text = text[: 4 * limit]
    if "<" not in text:
        return (html.unescape(text) if "&" in text else text)[:limit].strip()
    parts: list[str] = []
    at, silent = 0, ""
    for tag in _TAG.finditer(text):
        if not silent:
            parts.append(text[at : tag.start()])
        at = tag.end()
        name = (tag[1] or "").lower()
        if silent:
            silent = "" if name == f"/{silent}" else silent
        elif name in _SILENT:
            silent = name
        elif name.removeprefix("/") in _BLOCK:
            parts.append("\n")
    if not silent:
        parts.append(text[at:])
    plain = _LINES.sub("\n", _SPACE.sub(" ", html.unescape("".join(parts))))
    return plain.strip()[:limit]
