"""Searching where an article may be there in several languages: of each one, as if the others were not there.

What is left out is left out before the evidence is weighed. A question and what answers it are then compared in one
language wherever that can be, and an article that is there twice is no better witness than one that is there once.
"""

from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Protocol
from uuid import UUID

from backend.core.retrieval.fusion import Ranker
from backend.core.retrieval.hybrid_search import Kind, Ranking
from backend.database.base import Database
from backend.dto.knowledge import Corpus, Passage, Retrieval
from backend.repository.article import ArticleRepository
from backend.service.support_index import ARTICLE
from backend.util.language import Language, language


class Search(Protocol):
    """Makes rankers."""

    def bound(self, tenant_id: str, *corpora: Corpus) -> Ranker: ...


class OneLanguageSearch:
    """Makes rankers whose rankings have of each article one language: the question's, or else what fits best."""

    def __init__(self, db: Database, search: Search) -> None:
        self._db = db
        self._search = search

    def bound(self, tenant_id: str, *corpora: Corpus) -> "OneLanguageRanker":
        return OneLanguageRanker(self._db, self._search.bound(tenant_id, *corpora), tenant_id)


class OneLanguageRanker:
    """The `Retriever` and `Ranker` of one tenant."""

    def __init__(self, db: Database, ranker: Ranker, tenant_id: str, asked: Language | None = None) -> None:
        self._db = db
        self._ranker = ranker
        self._tenant_id = tenant_id
        self._asked = asked

    def asked_in(self, asked: Language) -> "OneLanguageRanker":
        """Return one for questions in a language, whatever each of them looks like: a title may be a product's name."""
        return OneLanguageRanker(self._db, self._ranker, self._tenant_id, asked)

    async def retrieve(self, query: str, *, limit: int = 6) -> Retrieval:
        ranking = await self.rank(query)
        return Retrieval(query=query, passages=ranking.merged(limit), evidence=ranking.evidence, enough=ranking.enough)

    async def rank(self, query: str, *, without: Collection[str] = (), kind: Kind | None = None) -> Ranking:
        asked = self._asked or language(query)
        ranking = await self._ranker.rank(query, without=without, kind=kind)
        others = await self._others(ranking.passages, asked)
        if not others:
            return ranking
        again = await self._ranker.rank(query, without={*without, *others}, kind=kind)
        return await self.narrowed(again, asked)  # what took their place may be there twice, too

    async def narrowed(self, ranking: Ranking, asked: Language) -> Ranking:
        """Return a ranking without the passages of articles that it also has in a better language."""
        others = await self._others(ranking.passages, asked)
        kept = tuple(passage for passage in ranking.passages if passage.document_id not in others)
        return replace(ranking, passages=kept) if others else ranking

    async def _others(self, passages: Sequence[Passage], asked: Language) -> set[str]:
        """Return the documents that say what another one says in a better language."""
        ids = _articles(passages)
        if len(ids) < 2:
            return set()
        known = await self._db.read(lambda c: ArticleRepository(c, self._tenant_id).originals([*ids.values()]))
        chosen: dict[str, str] = {}
        others: set[str] = set()
        for passage in sorted(passages, key=lambda passage: not _is_in(passage, asked)):  # stable: by rank otherwise
            article = ids.get(passage.source)
            if article in known and chosen.setdefault(known[article], passage.document_id) != passage.document_id:
                others.add(passage.document_id)
        return others


def _articles(passages: Sequence[Passage]) -> dict[str, UUID]:
    """Return the articles that passages are of, by their sources; a document may have any name."""
    found = {}
    for source in {passage.source for passage in passages if passage.source.startswith(ARTICLE)}:
        with suppress(ValueError):
            found[source] = UUID(source.removeprefix(ARTICLE))
    return found


def _is_in(passage: Passage, asked: Language) -> bool:
    return passage.language is not None and passage.language.partition("-")[0].lower() == asked
