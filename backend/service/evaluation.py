"""Measures retrieval on a data set (`data_set.py`), through the same parts that serve: `daedap eval DIR`.

A folder `outside/` in the data set's, or a second folder, holds questions about something else, which should be
refused.
"""

import asyncio
import hashlib
import math
import random
import statistics
import tempfile
import time
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from backend.core.chroma_manager import ChromaManager
from backend.core.collector.file.document import ParsedDocument
from backend.core.graph.passage_prompt import PromptPassage
from backend.core.model.extract import choose
from backend.core.retrieval.base import Embedder
from backend.core.retrieval.chunking import Section
from backend.core.retrieval.hybrid_search import HybridRetriever, HybridSearch, Ranking
from backend.database.model.base import Base
from backend.database.sqlite import SqliteDatabase
from backend.repository.passage_index import SqlitePassageIndexes
from backend.service.data_set import DataSet, Question, Source, read_data_set
from backend.service.document_store import DocumentStore, Incoming

TENANT = "evaluation"
DEPTH = 10
BATCH = 200
"""Documents that are written at once."""
OUTSIDE_MOST = 500
"""Questions from elsewhere that are asked."""
ANSWER_PASSAGES = 6
"""Passages that an answer is made of, as the answering agent takes them."""
_SEED = 20_260_101

Progress = Callable[[str, int, int], None]
"""Told what is being done, how much of it is done, and how much there is."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the result."""

    name: str
    value: float
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    data_set: str
    documents: int
    questions: int
    seconds: float
    """What the indexing took."""
    figures: tuple[Figure, ...]

    def value(self, name: str) -> float:
        """Return the figure of this name.

        Raises:
            KeyError: it was not measured.
        """
        return {figure.name: figure.value for figure in self.figures}[name]


class Evaluation:
    """Puts a data set into a throw-away knowledge base, as an ingestion would, and asks it every question."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder

    async def run(
        self, folder: Path, *, outside: Path | None = None, limit: int | None = None, progress: Progress | None = None
    ) -> Report:
        """Return the figures of the data set in `folder`; `limit` asks only so many questions, drawn evenly.

        Raises:
            InvalidFile: the folder holds no data set of a known form.
        """
        say = progress or (lambda _stage, _done, _total: None)
        data = await asyncio.to_thread(read_data_set, folder)
        inside = folder / "outside"
        elsewhere = outside or (inside if await asyncio.to_thread(inside.is_dir) else None)
        foreign = (await asyncio.to_thread(read_data_set, elsewhere)).questions if elsewhere else ()
        if limit is not None:
            data = replace(data, questions=drawn(data.questions, limit))
        start = time.perf_counter()
        async with self.knowledge(data, say) as search:
            seconds = time.perf_counter() - start
            asked = await _ask(search, data.questions, "ask", say)
            strangers = await _ask(search, drawn(foreign, OUTSIDE_MOST), "ask from elsewhere", say)
        figures = (*_figures(data, asked), *_refusal(asked, strangers))
        return Report(data.name, len(data.documents), len(data.questions), seconds, figures)

    @asynccontextmanager
    async def knowledge(self, data: DataSet, say: Progress) -> AsyncGenerator[HybridRetriever]:
        """Give the retriever over a knowledge base of the data set's documents, which is removed at the end."""
        async with AsyncExitStack() as stack:
            place = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="daedap-eval-")))
            database = SqliteDatabase(place / "documents.db")
            await database.open()
            stack.push_async_callback(database.close)
            passages = SqlitePassageIndexes(place / "keyword")
            stack.push_async_callback(passages.close)
            vectors = ChromaManager(place / "vectors", self._embedder)
            stack.push_async_callback(vectors.close)
            await database.write(Base.metadata.create_all)
            await _write(DocumentStore(database, passages, vectors, self._embedder), data.documents, say)
            yield HybridSearch(passages=passages, vectors=vectors, embedder=self._embedder).bound(TENANT)


@dataclass(frozen=True, slots=True)
class _Asked:
    question: Question
    ranking: Ranking
    seconds: float
    answer: str
    """What the extractive model would say; empty when the question has no known answer to compare it with."""
    cited: str | None
    """The document it would cite first."""

    @property
    def documents(self) -> list[str]:
        """The documents that were found, best first, each once."""
        return list(dict.fromkeys(passage.source for passage in self.ranking.passages))


async def _write(store: DocumentStore, documents: Sequence[Source], say: Progress) -> None:
    for start in range(0, len(documents), BATCH):
        batch = documents[start : start + BATCH]
        await store.put(TENANT, [_incoming(document) for document in batch])
        say("index", start + len(batch), len(documents))


def _incoming(document: Source) -> Incoming:
    return Incoming(
        source=document.name,
        parsed=ParsedDocument(document.title, [Section((), document.text)], "text/plain"),
        digest=hashlib.sha256(document.text.encode()).hexdigest(),
        size=len(document.text.encode()),
    )


async def _ask(search: HybridRetriever, questions: Sequence[Question], stage: str, say: Progress) -> list[_Asked]:
    asked = []
    for number, question in enumerate(questions, start=1):
        start = time.perf_counter()
        ranking = await search.rank(question.text)
        seconds = time.perf_counter() - start
        answer, cited = _answer(question, ranking) if question.answers else ("", None)
        asked.append(_Asked(question, ranking, seconds, answer, cited))
        if number % 100 == 0 or number == len(questions):
            say(stage, number, len(questions))
    return asked


def _answer(question: Question, ranking: Ranking) -> tuple[str, str | None]:
    passages = ranking.merged(ANSWER_PASSAGES)
    shown = [PromptPassage(number, passage.title, passage.text) for number, passage in enumerate(passages, start=1)]
    chosen = choose(question.text, shown)
    return (chosen[0].text, passages[chosen[0].index - 1].source) if chosen else ("", None)


def _figures(data: DataSet, asked: Sequence[_Asked]) -> Iterator[Figure]:
    if data.similar:
        for depth in (1, DEPTH):
            right = [sum(name in one.question.right for name in one.documents[:depth]) / depth for one in asked]
            yield Figure(f"P@{depth}", statistics.fmean(right))
    else:
        ranks = [_rank(one) for one in asked]
        for depth in (1, 3, 5, DEPTH):
            yield Figure(f"R@{depth}", statistics.fmean(rank <= depth for rank in ranks))
        near = [rank if rank <= DEPTH else math.inf for rank in ranks]
        yield Figure(f"MRR@{DEPTH}", statistics.fmean(1 / rank for rank in near))
        yield Figure(f"nDCG@{DEPTH}", statistics.fmean(1 / math.log2(rank + 1) for rank in near))
    answered = [one for one in asked if one.question.answers]
    if answered:
        yield Figure("right document cited", statistics.fmean(one.cited in one.question.right for one in answered))
        yield Figure("answer in the sentence", statistics.fmean(_holds(one) for one in answered))
        yield Figure(
            "answer char F1", statistics.fmean(max(map(_overlap(one), one.question.answers)) for one in answered)
        )
    times = sorted(one.seconds * 1000 for one in asked)
    yield Figure("query p50", times[len(times) // 2], "ms")
    yield Figure("query p95", times[int(len(times) * 0.95)], "ms")


def _refusal(asked: Sequence[_Asked], strangers: Sequence[_Asked]) -> Iterator[Figure]:
    own = [one.ranking.evidence for one in asked]
    yield Figure("false refusals", statistics.fmean(not one.ranking.enough for one in asked))
    if strangers:
        other = sorted(one.ranking.evidence for one in strangers)
        # The chance that a question of ours has more evidence than one from elsewhere; a tie is half a win.
        wins = sum((bisect_left(other, value) + bisect_right(other, value)) / 2 for value in own)
        yield Figure("refusal AUROC", wins / (len(own) * len(other)))
        yield Figure("false answers", statistics.fmean(one.ranking.enough for one in strangers))


def _rank(one: _Asked) -> float:
    return next((rank for rank, name in enumerate(one.documents, start=1) if name in one.question.right), math.inf)


def _holds(one: _Asked) -> bool:
    said = _letters(one.answer)
    return any(_letters(answer) in said for answer in one.question.answers)


def _overlap(one: _Asked) -> Callable[[str], float]:
    """Return what gives the F1 of the answer's letters, as KorQuAD's own measure has it."""
    said = Counter(_letters(one.answer))

    def score(answer: str) -> float:
        wanted = Counter(_letters(answer))
        common = (said & wanted).total()
        return 2 * common / (said.total() + wanted.total()) if common else 0.0

    return score


def _letters(text: str) -> str:
    return "".join(letter for letter in text.lower() if letter.isalnum())


def drawn(questions: Sequence[Question], most: int) -> tuple[Question, ...]:
    """Draw `most` of the questions, always the same ones, in their order."""
    if len(questions) <= most:
        return tuple(questions)
    chosen = random.Random(_SEED).sample(range(len(questions)), most)  # a sample, not a secret
    return tuple(questions[number] for number in sorted(chosen))
