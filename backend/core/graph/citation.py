"""Source numbers in an answer: which of them exist, and which sentences their passages bear out."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from backend.util.language import Language, language, letter_pairs, overlap, terms

SUPPORT = 0.35
"""Share of a sentence's letter pairs that its passages must have: low, since an answer rightly rewords."""
MIN_TERMS = 3
"""A sentence with fewer words of its own ("네, 맞습니다.") says too little to be checked."""

_NUMBERS = re.compile(r"([ \t]?)\[(\d{1,4}(?:\s*[,，]\s*\d{1,4})*)\]")
_LINK = re.compile(  # possessive, or a long address without an end would take minutes
    r"(!?)\[([^\[\]\n]{0,1000})\]\(\s*+<?+((?:[^()\s<>]++|\([^()\s<>]*+\))*+)>?+(?:[^()\n]++|\([^()\n]*+\))*+\)"
)
_IMAGE = re.compile(r"!\[([^\[\]\n]{0,1000})\](?:\[[^\[\]\n]{0,1000}\])?")
"""What is left of images once links are gone: those whose address stands elsewhere in the text."""
_DEFINITION = re.compile(r"^[ \t>]*\[[^\[\]\n]{1,1000}\]:[ \t]*\n?[ \t]*<?([^\s<>]*)[^\n]*\n?", re.MULTILINE)
"""Where a Markdown link's or image's address stands elsewhere."""
_TAG = re.compile(
    r"</?(?:a|applet|area|audio|base|body|button|details|dialog|div|embed|form|frame|frameset|head|html|iframe|image|img"
    r"|input|link|marquee|math|meta|noscript|object|option|picture|portal|script|select|slot|source|span|style|svg"
    r"|template|textarea|title|track|video)\b[^<>]*>?"
    r"|<[a-z][a-z0-9:-]{0,30}[\s/][^<>]{0,2000}=[^<>]*>?"  # whichever: an attribute may run a script
    r"|<!--|<![A-Za-z\[][^<>]*>?|<\?[a-z][^<>]*>?",
    re.IGNORECASE,
)
_ADDRESS = re.compile(
    r"<?(?:\b(?:mailto|tel|sms|data|javascript|vbscript):[^\s<>\"'`|\[\]{}]+"
    r"|(?<![\w@./-])(?:[a-z0-9-]{1,63}\.){1,6}[a-z]{2,24}(?::\d{1,5})?/[^\s<>\"'`|\[\]{}?]{0,500}\?[^\s<>\"'`|\[\]{}]+"
    r"|\b[a-z][a-z0-9+.-]{1,20}://[^\s<>\"'`|\[\]{}]+|(?<![\w/:])(?://|www\.)[\w-]+\.[^\s<>\"'`|\[\]{}]+)>?",
    re.IGNORECASE,
)
_CLOSING = ".,;:!?。，、)>*_~"
_SENTENCE = re.compile(r"[^\n]*?(?:[.!?。](?:\s?\[\d{1,4}(?:\s*[,，]\s*\d{1,4})*\])*(?=\s|$)|\n|$)")


@dataclass(frozen=True, slots=True)
class Verdict:
    text: str
    """The answer without the numbers that no passage has."""
    cited: list[int]
    """The passages cited, in order of first use."""
    unsupported: list[str]
    """Sentences whose words the passages do not have, for a person to look at; they stay in the text."""


@dataclass(frozen=True, slots=True)
class _Source:
    pairs: set[str]
    language: Language


def check(answer: str, passages: Mapping[int, str]) -> Verdict:
    """Return `answer` with its source numbers held against the passages that were presented, by number."""

    def keep(match: re.Match[str]) -> str:
        known = [number for number in _split(match[2]) if number in passages]
        return match[1] + "".join(f"[{number}]" for number in known) if known else ""

    text = _NUMBERS.sub(keep, answer)
    while (again := _NUMBERS.sub(keep, text)) != text:  # what is taken out of "[[9]1]" leaves another number
        text = again
    cited = dict.fromkeys(number for match in _NUMBERS.finditer(text) for number in _split(match[2]))
    sources = {number: _Source(letter_pairs(passage), language(passage[:300])) for number, passage in passages.items()}
    unsupported = [sentence for sentence in _sentences(text) if not _supported(sentence, sources)]
    return Verdict(text, list(cited), unsupported)


def without_foreign_links(answer: str, known: Iterable[str]) -> str:
    """Return `answer` without images, and without the addresses that `known` does not have; labels and captions stay.

    A text may talk the model into an address that carries off what it has read (CVE-2025-32711), in whichever way
    Markdown or HTML write it; an image is fetched without a click. What was streamed is not undone by this: who renders
    it must not load images either.
    """
    if not any(sign in answer for sign in ("](", "/", "]:", "![", "<", ":", "www.", "WWW.")):
        return answer
    texts = list(known)

    def is_known(address: str) -> bool:
        return bool(address) and any(address in text for text in texts)

    def label(match: re.Match[str]) -> str:
        image, caption, address = match.groups()
        return match[0] if not image and is_known(address) else caption

    def bare(match: re.Match[str]) -> str:
        address = match[0].removeprefix("<").rstrip(_CLOSING)
        return match[0] if is_known(address) else match[0].removeprefix("<")[len(address) :].removesuffix(">")

    text = answer
    for _ in range(4):  # a caption may hold another link
        before, text = text, _LINK.sub(label, text)
        if text == before:
            break
    text = _IMAGE.sub(lambda match: match[1], text)
    text = _DEFINITION.sub(lambda match: match[0] if is_known(match[1]) else "", text)
    return _ADDRESS.sub(bare, _TAG.sub("", text))


def _split(numbers: str) -> list[int]:
    return [int(number) for number in re.split(r"[,，]", numbers)]


def _sentences(text: str) -> list[str]:
    return [match[0].strip() for match in _SENTENCE.finditer(text) if match[0].strip()]


def _supported(sentence: str, sources: Mapping[int, _Source]) -> bool:
    said = _NUMBERS.sub("", sentence)
    if len(terms(said)) < MIN_TERMS:
        return True
    cited = [sources[number] for match in _NUMBERS.finditer(sentence) for number in _split(match[2])]
    # A source in another language has other words: an English answer from Korean passages is not flagged.
    alike = [source for source in cited or sources.values() if source.language == language(said)]
    return not alike or overlap(said, set().union(*(source.pairs for source in alike))) >= SUPPORT
