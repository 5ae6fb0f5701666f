"""What the evidence gate decides over the shipped corpus, with the shipped vectors, as a first start has them.

`gate_questions.json` holds questions that the notices answer, in Korean and in English, and questions from outside. The
constants of the gate were fitted with the even ones, and the bounds here are for the odd ones. Which signs the gate
weighs was decided with all of them in view, so a bound is what must not get worse, not an estimate for other questions.
"""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from backend.core.chroma_manager import ChromaManager
from backend.core.collector.file.document import Limits
from backend.core.collector.file.markdown import read_markdown
from backend.core.embedding_manager import EmbeddingManager
from backend.core.retrieval.hybrid_search import HybridSearch
from backend.core.retrieval.indexer import Indexer, Readable
from backend.core.retrieval.precomputed import PrecomputedEmbedder
from backend.dto.knowledge import Retrieval
from backend.repository.passage_index import SqlitePassageIndexes
from backend.service.sample import SAMPLE, SAMPLE_VECTORS, read_sample

QUESTIONS: dict[str, list[dict[str, Any]]] = json.loads(
    Path(__file__).with_name("gate_questions.json").read_text("utf-8")
)
TRY: dict[str, list[dict[str, str]]] = json.loads(SAMPLE.with_name("questions.json").read_text("utf-8"))


async def _found(folder: Path, questions: list[str]) -> dict[str, Retrieval]:
    embedder = EmbeddingManager.build("use-multilingual")
    passages = SqlitePassageIndexes(folder / "keyword")
    vectors = ChromaManager(folder / "vectors", embedder)
    try:
        known = PrecomputedEmbedder(embedder, SAMPLE_VECTORS)
        await Indexer("default", passages=passages, vectors=vectors, embedder=known).replace(*_documents())
        search = HybridSearch(passages=passages, vectors=vectors, embedder=embedder).bound("default")
        return {question: await search.retrieve(question) for question in questions}
    finally:
        await vectors.close()
        await passages.close()
        await embedder.close()


def _documents() -> list[Readable]:
    documents = []
    for file in read_sample()[1]:
        content = file.content or {}
        parsed = read_markdown(content["text"], content["title"], Limits())
        documents.append(
            Readable(document_id=file.source, title=parsed.title, sections=parsed.sections, source=file.source)
        )
    return documents


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Retrieval]:
    asked = [one["question"] for part in (*QUESTIONS.values(), *TRY.values()) for one in part]
    return asyncio.run(_found(tmp_path_factory.mktemp("sample"), asked))


def _answered(found: dict[str, Retrieval], kind: str) -> float:
    held_out = QUESTIONS[kind][1::2]
    return sum(found[one["question"]].enough for one in held_out) / len(held_out)


def test_korean_questions_that_the_notices_answer_are_answered(found: dict[str, Retrieval]) -> None:
    assert _answered(found, "korean") >= 0.9


def test_most_english_questions_over_korean_notices_are_answered(found: dict[str, Retrieval]) -> None:
    assert _answered(found, "english") >= 0.7


def test_questions_from_outside_are_refused(found: dict[str, Retrieval]) -> None:
    assert _answered(found, "outside") <= 0.05


@pytest.mark.parametrize(("kind", "least"), [("korean", 0.95), ("english", 0.9)])
def test_the_right_notice_is_among_what_is_found(found: dict[str, Retrieval], kind: str, least: float) -> None:
    known = [one for one in QUESTIONS[kind] if "sources" in one]
    right = [any(passage.source in one["sources"] for passage in found[one["question"]].passages) for one in known]
    assert sum(right) / len(right) >= least


@pytest.mark.parametrize("one", TRY["answered"], ids=lambda one: one["question"])
def test_a_question_to_try_is_answered_from_its_notice(found: dict[str, Retrieval], one: dict[str, str]) -> None:
    assert found[one["question"]].enough
    assert one["source"] in [passage.source for passage in found[one["question"]].passages[:3]]


@pytest.mark.parametrize("one", TRY["refused"], ids=lambda one: one["question"])
def test_a_question_to_try_from_outside_is_refused(found: dict[str, Retrieval], one: dict[str, str]) -> None:
    assert not found[one["question"]].enough
