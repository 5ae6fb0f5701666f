"""Several questions about one matter, and one ranking of what they find together."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from backend.core.retrieval.evidence import Rule
from backend.core.retrieval.hybrid_search import NOTHING, Kind, Ranking
from backend.dto.knowledge import Passage

Thresholds = Mapping[Rule, float]
"""From which evidence on there is enough: the mean over several questions has another scale than that of one."""


class Ranker(Protocol):
    async def rank(self, query: str, *, without: Collection[str] = (), kind: Kind | None = None) -> Ranking: ...


async def rank_together(
    ranker: Ranker,
    queries: Sequence[str],
    thresholds: Thresholds,
    *,
    without: Collection[str] = (),
    kind: Kind | None = None,
) -> Ranking:
    """Return what the questions find together, by the mean of the scores; they are asked at once.

    The evidence is their mean, too: what only one of them finds convincing was found by accident more often than not.
    """
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(ranker.rank(query, without=without, kind=kind)) for query in queries]
    return fuse([task.result() for task in tasks], thresholds)


def fuse(rankings: Sequence[Ranking], thresholds: Thresholds) -> Ranking:
    """Return one ranking. Its signs are those of the question with the most evidence."""
    found = [ranking for ranking in rankings if ranking.passages]
    if not found:
        return NOTHING
    best: dict[str, Passage] = {}
    total: dict[str, float] = {}
    for ranking in found:
        for passage in ranking.passages:
            best.setdefault(passage.passage_id, passage)
            total[passage.passage_id] = total.get(passage.passage_id, 0.0) + passage.score
    ranked = [replace(passage, score=total[name] / len(rankings)) for name, passage in best.items()]
    ranked.sort(key=lambda passage: (-passage.score, passage.document_id, passage.position))
    evidence = sum(ranking.evidence for ranking in found) / len(rankings)
    signs = max(found, key=lambda ranking: ranking.evidence).signs
    # Across languages likeness is all there is, and lies more often: one question that went across decides.
    needed = max(thresholds[ranking.signs.rule] for ranking in found)
    return Ranking(passages=tuple(ranked), signs=signs, evidence=evidence, enough=evidence >= needed)
