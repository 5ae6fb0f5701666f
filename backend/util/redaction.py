"""Takes out of a log what may not be in it: secrets, by value, key or form, and control characters.

Redaction is the second wall. The first is that nothing logs a secret.
"""

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

MASK = "***"
TEXT_LIMIT = 16_384
"""Characters of one text; the rest is cut."""
ITEM_LIMIT = 50
"""Items of one list or mapping; the rest is cut."""
KEY_LIMIT = 200
DEPTH_LIMIT = 4
SHORTEST_SECRET = 6
"""A known secret that is shorter would blot out ordinary words, and is masked by its key or its form alone."""

_NAME = (
    r"pass(?:word|wd|phrase)|pwd|secret|token|authorization|cookie|credentials?|"
    r"api[_-]?key|access[_-]?key|service[_-]?key|private[_-]?key|signing[_-]?key|crtfc[_-]?key"
)
_SECRET_KEY = re.compile(rf"(?:{_NAME}|(?:^|[_-])dsn)$", re.IGNORECASE)
"""A key that ends so names a secret: `token` and `accessToken` do, `input_tokens` does not."""
_FORMS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL), MASK),
    (re.compile(r"(://[^\s:/@]*:)[^\s/?#]+@"), rf"\1{MASK}@"),
    (re.compile(r"(authorization[\"']?\s*[=:]\s*[\"']?)(?:[a-z]+\s+)?[^\s\"',;]+", re.IGNORECASE), rf"\1{MASK}"),
    (re.compile(r"\b(bearer)\s+[\w.~+/=-]{6,}", re.IGNORECASE), rf"\1 {MASK}"),
    (
        re.compile(
            rf"((?:{_NAME})[\"']?\s*[=:]\s*)(?:\"(?:[^\"\\]|\\.)*\"?|'(?:[^'\\]|\\.)*'?|[^\s\"'&,;)}}\]]+)",
            re.IGNORECASE,
        ),
        rf"\1{MASK}",
    ),
    (re.compile(r"\beyJ[\w-]{4,}\.[\w-]+(?:\.[\w-]*)?"), MASK),
    (re.compile(r"\b(?:sk|pk|rk)-[\w-]{8,}"), MASK),
    (re.compile(r"\b(?:gh[pousr]_\w{20,}|xox[abprs]-[\w-]{10,}|AKIA[0-9A-Z]{16})"), MASK),
)
_HINTS = (
    *("pass", "pwd", "secret", "token", "authorization", "cookie", "credential", "key", "bearer", "://"),
    *("eyj", "sk-", "pk-", "rk-", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "xox", "akia"),
)
"""Cheap to look for: most texts have none of these, and are then not searched by the expressions."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Line breaks and escape sequences forge lines or drive a terminal; bidirectional marks reorder them; lone
surrogates cannot be written as UTF-8."""


def visible(text: str) -> str:
    r"""Return the text on one line: each control character is written out, a line break as `\n`."""
    if text.isascii() and text.isprintable():
        return text
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)


class Redactor:
    """Masks secrets: the ones that it is told, and whatever has the name or the form of one."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        known = sorted({secret for secret in secrets if len(secret) >= SHORTEST_SECRET}, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, known))) if known else None

    def text(self, text: str) -> str:
        """Return the text without secrets, and no longer than `TEXT_LIMIT`."""
        size = len(text)
        if size > TEXT_LIMIT:
            text = text[: 2 * TEXT_LIMIT]  # bounds the search; a secret across the final cut is still seen whole
        if self._known is not None:
            text = self._known.sub(MASK, text)
        lower = text.lower()
        for hint in _HINTS:  # a plain loop: with `any` it takes three times as long, for each text that is logged
            if hint in lower:
                for form, replacement in _FORMS:
                    text = form.sub(replacement, text)
                break
        if size > TEXT_LIMIT:
            text = f"{text[:TEXT_LIMIT]}… ({size - TEXT_LIMIT} characters cut)"
        return text

    def line(self, text: str) -> str:
        """Return the text without secrets, on one line."""
        return visible(self.text(text))

    def block(self, text: str) -> str:
        """Return the text without secrets; its line breaks stay, other control characters are written out."""
        return "\n".join(map(visible, self.text(text).split("\n")))

    def mapping(self, values: Mapping[Any, Any], depth: int = 0) -> dict[str, Any]:
        """Return the values as plain JSON without secrets: one under a secret's key is masked whole."""
        clean: dict[str, Any] = {}
        for key, value in values.items():
            if len(clean) >= ITEM_LIMIT:
                clean["…"] = f"{len(values) - ITEM_LIMIT} more"
                break
            name, secret = _key(key if isinstance(key, str) else _written(key))
            if self._known is not None:
                name = self._known.sub(MASK, name)
            clean[name] = MASK if secret and _can_be_secret(value) else self._value(value, depth)
        return clean

    def _value(self, value: Any, depth: int) -> Any:
        if value is None or isinstance(value, bool | float):
            return value
        if isinstance(value, int):
            return value if -(2**63) <= value < 2**63 else str(value)
        if isinstance(value, str):
            return self.line(value)
        if depth < DEPTH_LIMIT:
            if isinstance(value, Mapping):
                return self.mapping(value, depth + 1)
            if isinstance(value, list | tuple | set | frozenset):
                items = [self._value(item, depth + 1) for _, item in zip(range(ITEM_LIMIT), value, strict=False)]
                return [*items, f"{len(value) - ITEM_LIMIT} more"] if len(value) > ITEM_LIMIT else items
        return self.line(_written(value))


def secret_values(values: Mapping[str, Any]) -> list[str]:
    """Return the texts that stand under a secret's key, longest first: they may stand in a message too."""
    found = [value for key, value in values.items() if isinstance(value, str) and _key(key)[1]]
    return sorted((value for value in found if len(value) >= SHORTEST_SECRET), key=len, reverse=True)


@lru_cache(maxsize=1024)
def _key(key: str) -> tuple[str, bool]:
    """Return the key as it may be written, and whether it names a secret."""
    return _PLAIN.line(key[:KEY_LIMIT]), _SECRET_KEY.search(key) is not None


def _can_be_secret(value: Any) -> bool:
    return value is not None and not isinstance(value, bool)


def _written(value: Any) -> str:
    try:
        return str(value)
    except Exception:  # noqa: BLE001  # a foreign object that cannot be shown must not cost the line that shows it
        return f"<{type(value).__name__}>"


_PLAIN = Redactor()
