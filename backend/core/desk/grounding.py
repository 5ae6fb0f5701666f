"""Whether what a summary states stands in its ticket: every number, date, amount, id, address and placeholder."""

import re
from collections.abc import Iterator

from backend.core.model.extract import split_sentences

_URL = re.compile(r"https?://[^\s<>\"')\]]+", re.IGNORECASE)
_EMAIL = re.compile(r"[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,6}")
_PLACEHOLDER = re.compile(r"\[[A-Z]{2,12}_[0-9]{1,9}\]")
_ID = re.compile(
    r"[A-Za-z][A-Za-z0-9]{0,60}(?:[-_#/.][A-Za-z0-9]{1,60}){0,6}|[0-9][0-9,.]{0,30}[A-Za-z][A-Za-z0-9]{0,60}"
)
_NUMBER = re.compile(r"[0-9]+(?:,[0-9]{3})+(?:\.[0-9]+)?|[0-9]+(?:\.[0-9]+)*")
_SCALED = re.compile(
    r"([0-9][0-9,]{0,20}(?:\.[0-9]{1,6})?) ?(천만|백만|만|억|천|thousand|million|billion|[kK](?![A-Za-z]))"
)
_SCALES = {
    "천": 10**3, "만": 10**4, "백만": 10**6, "천만": 10**7, "억": 10**8,
    "thousand": 10**3, "k": 10**3, "million": 10**6, "billion": 10**9,
}  # fmt: skip
_COMPOUND = re.compile(r"[0-9]+(?:-[0-9]+)+")
_UNIT = re.compile(r"^([0-9][0-9,.]*)[A-Za-z]{1,4}$")
_MARKDOWN = re.compile(r"!?\[([^\]\n]{0,200})\]\([^)\n]{0,2000}\)")
_TAG = re.compile(r"</?[A-Za-z!][^<>]{0,500}>")


class Grounds:
    """What a ticket states; built once, asked for each sentence of its summary."""

    def __init__(self, text: str) -> None:
        self._urls = {url.rstrip(".,;:") for url in _URL.findall(text)}
        self._marks = set(_PLACEHOLDER.findall(text))
        self._emails = {email.lower() for email in _EMAIL.findall(text)}
        self._ids = set(_ids(text))
        self._compounds = set(_COMPOUND.findall(text))
        self._numbers = set(_numbers(text))

    def hold(self, sentence: str) -> bool:
        """Return whether every fact of `sentence` that has a form stands in the ticket: 1,000 as 1000, 05 as 5 too."""
        if any(url.rstrip(".,;:") not in self._urls for url in _URL.findall(sentence)):
            return False
        if any(mark not in self._marks for mark in _PLACEHOLDER.findall(sentence)):
            return False
        if any(email.lower() not in self._emails for email in _EMAIL.findall(sentence)):
            return False
        rest = _PLACEHOLDER.sub(" ", _EMAIL.sub(" ", _URL.sub(" ", sentence)))
        for found in _ids(rest):
            unit = _UNIT.match(found)
            if found not in self._ids and (unit is None or _normal(unit[1]) not in self._numbers):
                return False
        if any(found not in self._compounds and not _is_date(found) for found in _COMPOUND.findall(_ID.sub(" ", rest))):
            return False
        scaled = _SCALED.sub(lambda match: " " if _scaled(match) in self._numbers else match[0], rest)
        return all(number in self._numbers for number in _numbers(scaled, pieces=False))


def sentences(text: str) -> list[str]:
    """Return the sentences of what a model wrote, without mark-up, links and images."""
    return split_sentences(_MARKDOWN.sub(r"\1", _TAG.sub(" ", text)))


def grounded(text: str, grounds: Grounds, limit: int, told: frozenset[str] = frozenset()) -> str:
    """Return the sentences of a model's `text` that hold, without mark-up, in at most `limit` characters.

    `told` are sentences that we told the model ourselves: none of a ticket's.
    """
    kept: list[str] = []
    room = limit
    for sentence in sentences(text[: 20 * limit]):
        if sentence in told or not grounds.hold(sentence):
            continue
        if len(sentence) > room:
            if not kept:
                kept.append(f"{sentence[: limit - 1].rstrip()}…")
            break
        kept.append(sentence)
        room -= len(sentence) + 1
    cut = " ".join(kept)
    # A number that is cut in the middle is another number.
    return cut if grounds.hold(cut) else cut.rpartition(" ")[0]


def _ids(text: str) -> Iterator[str]:
    """Yield what has both letters and digits: codes, versions, model names."""
    for match in _ID.finditer(text):
        if any("0" <= letter <= "9" for letter in match[0]):
            yield match[0].lower().rstrip(".,-_/#")


def _numbers(text: str, *, pieces: bool = True) -> Iterator[str]:
    """Yield the numbers of `text`; with `pieces`, also the parts of dates, and amounts written with 만 and 억."""
    bare = text if pieces else _ID.sub(" ", text)
    for match in _NUMBER.finditer(bare):
        parts = match[0].split(".")
        is_date = len(parts) > 2 and len(parts[0]) == 4
        if pieces or not is_date:
            yield _normal(match[0])
        if is_date:
            yield from map(_normal, parts)
    if pieces:
        yield from map(_scaled, _SCALED.finditer(text))


def _is_date(compound: str) -> bool:
    """Return whether it may be a date or a range, which another ticket writes with other signs."""
    first, *others = compound.split("-")
    return len(first) in {1, 2, 4} and all(len(other) <= 2 for other in others)


def _scaled(match: re.Match[str]) -> str:
    value = float(match[1].replace(",", "")) * _SCALES[match[2].lower()]
    return str(round(value))


def _normal(number: str) -> str:
    """Return 1000 for 1,000, 5 for 05 and 1 for 1.0; a version (1.2.0) stays as it is."""
    plain = number.replace(",", "").rstrip(".")
    whole, dot, rest = plain.partition(".")
    if not dot:
        return whole.lstrip("0") or "0"
    if "." in rest:
        return plain
    rest = rest.rstrip("0")
    return f"{whole.lstrip('0') or '0'}.{rest}" if rest else whole.lstrip("0") or "0"
