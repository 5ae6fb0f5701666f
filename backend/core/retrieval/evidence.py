"""The evidence gate: do the passages that were found answer the question, or only resemble it?

Two signs are weighed: how much of the question, by the weight of its words, stands in one passage (`coverage`), and how
alike the best passage is in meaning (`cosine`). Neither is enough alone: a question from elsewhere meets common words,
and a good answer may use other words.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from backend.core.retrieval.tokenizer import terms


@dataclass(frozen=True, slots=True)
class Gate:
    """A logistic rule: `evidence` is the chance that the question is about this corpus."""

    bias: float
    coverage: float
    cosine: float
    threshold: float = 0.5

    def evidence(self, coverage: float, cosine: float) -> float:
        return 1.0 / (1.0 + math.exp(-(self.bias + self.coverage * coverage + self.cosine * cosine)))


# Fitted by `bench/retrieval.py` on KorQuAD, the K-Startup notices and Banking77 (-5.5, 9.7, 6.2), the bias half a point
# lower: to ask again is better than to invent. AUROC .997 and more for questions from another corpus, .986 for those of
# KorQuAD over the half of it that has no answer to them.
_GATES = {"use-multilingual-512": Gate(bias=-6.0, coverage=10.0, cosine=6.0)}
# Not fitted: words decide, since how alike is alike differs from model to model.
_DEFAULT = Gate(bias=-5.0, coverage=8.0, cosine=3.0)


def gate_for(embedding_key: str) -> Gate:
    """Return the rule that was fitted for the embedding model."""
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
