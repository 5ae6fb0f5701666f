"""The evidence gate: do the passages that were found answer the question, or only resemble it?

Two signs are weighed: how much of the question, by the weight of its words, stands in one passage (`coverage`), and how
alike the best passage is in meaning (`cosine`). Neither is enough alone: a question from elsewhere meets common words,
and a good answer may use other words.

An English question over Korean passages shares no words with its answer, nor a Korean one with an English text. Then
meaning decides, by a rule of its own: the scale of the cosine is another one across languages. What stays as it is in
either language is an acronym (KAC, LIPS), so one that stands in a passage tells much.
"""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from backend.core.retrieval.tokenizer import terms

Rule = Literal["same", "foreign", "foreign messages"]
"""Whether question and passages are in one language; across languages, short messages have a rule of their own."""


@dataclass(frozen=True, slots=True)
class Signs:
    """What speaks for the passages that were found."""

    rule: Rule
    coverage: float
    """Share of the question, by the weight of its words, that stands in one of the best passages, 0..1."""
    cosine: float
    """Likeness in meaning of the best passages' nearest; across languages, the `lift` of the nearest."""
    acronyms: float = 0.0
    """Across languages: as `coverage`, of the question's acronyms alone; 0 when it has none."""


@dataclass(frozen=True, slots=True)
class Gate:
    """A logistic rule: `evidence` is the chance that the question is about this corpus."""

    bias: float
    coverage: float
    cosine: float
    acronyms: float = 0.0
    threshold: float = 0.5

    def evidence(self, signs: Signs) -> float:
        weighed = self.coverage * signs.coverage + self.cosine * signs.cosine + self.acronyms * signs.acronyms
        return 1.0 / (1.0 + math.exp(-(self.bias + weighed)))


# Fitted by `bench/retrieval.py`. "same": on KorQuAD, the K-Startup notices, Banking77 and half of the questions of
# `test/retrieval/gate_questions.json`. The others: on English questions about KorQuAD's articles and the notices, and
# Korean ones about Banking77, each against the questions of the other sets; a little stricter than what was fitted,
# since to ask again is better than to invent.
_GATES: dict[str, dict[Rule, Gate]] = {
    "use-multilingual-512": {
        "same": Gate(bias=-5.7, coverage=10.3, cosine=5.7),
        "foreign": Gate(bias=-0.4, coverage=3.8, cosine=16.5, acronyms=3.3),
        "foreign messages": Gate(bias=-3.3, coverage=0.0, cosine=15.8),
    }
}
# Not fitted: words decide where they can, since how alike is alike differs from model to model.
_DEFAULT: dict[Rule, Gate] = {
    "same": Gate(bias=-5.0, coverage=8.0, cosine=3.0),
    "foreign": Gate(bias=-0.5, coverage=3.5, cosine=12.0, acronyms=3.0),
    "foreign messages": Gate(bias=-2.5, coverage=0.0, cosine=12.0),
}


def gates_for(embedding_key: str) -> Mapping[Rule, Gate]:
    """Return the rules that were fitted for the embedding model."""
    return _GATES.get(embedding_key, _DEFAULT)


_LEAST_PASSAGES = 1_000
"""A small corpus says little about which words are common, so its passages are counted as among so many."""


def weights(question: Iterable[str], frequencies: Mapping[str, int], passages: int) -> dict[str, float]:
    """Return how much each term of the question tells: its inverse document frequency, as BM25 has it.

    A term that occurs nowhere weighs most: that a passage lacks it is what gives a foreign question away.
    """
    passages = max(passages, _LEAST_PASSAGES)
    return {
        term: math.log(1 + (passages - frequencies.get(term, 0) + 0.5) / (frequencies.get(term, 0) + 0.5))
        for term in question
    }


def coverage(weight: Mapping[str, float], text: str) -> float:
    """Return the share, 0..1, of the question's weight whose terms stand in `text`."""
    total = sum(weight.values())
    if not total:
        return 0.0
    present = set(terms(text))
    return sum(value for term, value in weight.items() if term in present) / total


_CHANCE = 0.06
"""How far the cosines of a question with passages that have nothing to do with it are spread."""
_LEAST_DRAWN = 100
"""Passages below which chance is not taken to shrink: the nearest of one is near to everything."""


def lift(cosines: Sequence[float], passages: int) -> float:
    """Return how much more alike than by chance the nearest passages are; their cosines come highest first.

    A question about what a corpus holds is near to several passages, so the last of the nearest counts as much as the
    first. The highest of many cosines is high by chance alone: of `n` normal ones, about `sqrt(2 ln n)` deviations.
    """
    if not cosines:
        return 0.0
    return (cosines[0] + cosines[-1]) / 2 - _CHANCE * math.sqrt(2 * math.log(max(passages, _LEAST_DRAWN)))


_ACRONYM = re.compile(r"(?<![A-Za-z])[A-Z]{3,}(?![A-Za-z])")
_HANGUL = re.compile(r"[가-힣]")
_LATIN = re.compile(r"[A-Za-z]")


def acronyms(question: str) -> frozenset[str]:
    """Return the terms of the words in capitals; one of two letters (US, IT) is too often a word."""
    return frozenset(terms(" ".join(_ACRONYM.findall(question))))


def is_korean_question(text: str) -> bool:
    """Return whether there is any Hangul: a Korean question may be full of Latin names, an English one has none."""
    return _HANGUL.search(text) is not None


def is_korean_text(text: str) -> bool:
    """Return whether at least half of the letters are Hangul."""
    return len(_HANGUL.findall(text)) >= max(len(_LATIN.findall(text)), 1)
