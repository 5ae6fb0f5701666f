import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from backend.core.chroma_manager import ChromaManager
from backend.core.embedding_manager import EmbeddingManager
from backend.core.retrieval.base import Embedder, Statistics
from backend.core.retrieval.chunking import Section
from backend.core.retrieval.hybrid_search import ARTICLES, MERGED, MESSAGES, HybridRetriever, HybridSearch, weights_for
from backend.core.retrieval.indexer import Indexer, Readable
from backend.repository.passage_index import SqlitePassageIndexes
from test.retrieval.fake import WordEmbedder

ARTICLE = (
    " 이 안내문은 고객센터에서 2026년에 펴냈으며, 자세한 내용은 누리집의 알림 마당에서 언제든지 다시 볼 수 있습니다."
    * 3
)
DOCUMENTS = {
    "refund": ("환불 안내", "구매한 날부터 7일 안에 환불을 신청할 수 있습니다. 환불금은 카드사로 돌아갑니다."),
    "delivery": ("배송 안내", "배송은 주문한 다음 날부터 이틀이 걸립니다. 제주도는 하루가 더 걸립니다."),
    "password": ("계정", "비밀번호를 잊었으면 로그인 화면에서 재설정 메일을 받으십시오. 오류 코드는 4012입니다."),
    "other-error": ("오류", "로그인 오류 코드 4013은 계정이 잠겼다는 뜻입니다. 고객센터에 전화하십시오."),
}


@dataclass
class Knowledge:
    passages: SqlitePassageIndexes
    vectors: ChromaManager
    embedder: Embedder

    def search(self, tenant: str = "default") -> HybridRetriever:
        search = HybridSearch(passages=self.passages, vectors=self.vectors, embedder=self.embedder)
        return search.bound(tenant)

    def indexer(self, tenant: str = "default") -> Indexer:
        return Indexer(tenant, passages=self.passages, vectors=self.vectors, embedder=self.embedder)

    async def add(self, name: str, text: str, title: str = "", tenant: str = "default") -> int:
        document = Readable(document_id=name, title=title, sections=[Section((), text)], source=name)
        return await self.indexer(tenant).replace(document)

    async def found(self, query: str, tenant: str = "default", limit: int = 6) -> list[str]:
        return [one.document_id for one in (await self.search(tenant).retrieve(query, limit=limit)).passages]


@asynccontextmanager
async def opened(folder: Path, embedder: Embedder) -> AsyncGenerator[Knowledge]:
    passages = SqlitePassageIndexes(folder / "keyword")
    vectors = ChromaManager(folder / "vectors", embedder)
    try:
        yield Knowledge(passages, vectors, embedder)
    finally:
        await vectors.close()
        await passages.close()


async def fill(knowledge: Knowledge) -> None:
    for name, (title, text) in DOCUMENTS.items():
        await knowledge.add(name, text + ARTICLE, title)


@pytest.fixture
async def knowledge(tmp_path: Path) -> AsyncGenerator[Knowledge]:
    async with opened(tmp_path, WordEmbedder()) as knowledge:
        yield knowledge


@pytest.fixture
async def filled(knowledge: Knowledge) -> Knowledge:
    await fill(knowledge)
    return knowledge


async def test_the_real_model_finds_and_judges(tmp_path: Path) -> None:
    embedder = EmbeddingManager.build("use-multilingual")
    async with opened(tmp_path, embedder) as knowledge:
        await fill(knowledge)
        best = {
            "환불은 며칠 안에 신청하나요?": "refund",
            "제주도까지 얼마나 걸리나요?": "delivery",
            "오류 코드 4013이 무엇인가요?": "other-error",
            "4012": "password",
            "How many days do I have to ask for my money back?": "refund",  # no word in common: found by meaning
        }
        assert {query: (await knowledge.found(query))[0] for query in best} == best
        own = await knowledge.search().retrieve("구매한 뒤 환불을 신청할 수 있는 기간은?")
        foreign = await knowledge.search().retrieve("임진왜란 때 한산도 대첩을 이끈 장군은 누구인가?")
        assert own.enough
        assert not foreign.enough
        assert own.evidence > foreign.evidence + 0.5
    await embedder.close()


async def test_what_is_found_says_where_it_is_from_and_how_well_it_fits(filled: Knowledge) -> None:
    found = await filled.search().retrieve("환불 신청 기간", limit=3)
    scores = [one.score for one in found.passages]
    assert (found.passages[0].title, found.passages[0].source) == ("환불 안내", "refund")
    assert scores == sorted(scores, reverse=True)
    assert all(0 <= score <= 1 for score in scores)
    assert found.passages[0].keyword_score > 0
    assert found.passages[0].vector_score > 0
    assert len(found.passages) == 3


async def test_a_question_without_words_finds_nothing(filled: Knowledge) -> None:
    for query in ("", "   ", "?!…", "\x00", "👍"):
        found = await filled.search().retrieve(query)
        assert (found.passages, found.evidence, found.enough) == ((), 0.0, False)


async def test_an_empty_knowledge_base_has_no_evidence(knowledge: Knowledge) -> None:
    found = await knowledge.search().retrieve("환불 기간은?")
    assert (found.passages, found.enough) == ((), False)


async def test_a_question_of_a_megabyte_is_answered(filled: Knowledge) -> None:
    assert (await filled.found("환불 신청 기간 " + "가나다라 " * 200_000))[0] == "refund"


async def test_another_tenants_documents_are_never_found(filled: Knowledge) -> None:
    await filled.add("secret", "환불을 신청할 수 있는 기간은 99일입니다." + ARTICLE, "환불 안내", tenant="other")
    assert await filled.found("환불 신청 기간", tenant="other") == ["secret"]
    assert "secret" not in await filled.found("환불 신청 기간 99일", limit=10)
    assert await filled.found("환불 신청 기간", tenant="third") == []


async def test_the_same_question_always_finds_the_same(filled: Knowledge) -> None:
    search = filled.search()
    first = await search.retrieve("로그인 오류 코드")
    assert await asyncio.gather(*(search.retrieve("로그인 오류 코드") for _ in range(8))) == [first] * 8


async def test_neighbours_are_read_as_one_text_and_not_more_than_a_few(knowledge: Knowledge) -> None:
    sentences = [
        f"한라산 등산로 {number}번 구간은 봄마다 통제하며 자세한 일정은 매년 다시 정합니다." for number in range(90)
    ]
    assert await knowledge.add("long", " ".join(sentences), "한라산") > MERGED
    best, *rest = (await knowledge.search().retrieve("한라산 등산로 통제 구간", limit=3)).passages
    parts = await knowledge.passages.of("default").around("long", best.position, 99)
    inside = [part for part in parts if part.text in best.text]
    assert len(inside) > 1
    assert all(len([part for part in parts if part.text in one.text]) <= MERGED for one in [best, *rest])
    numbers = [word for word in best.text.split() if word.endswith("번")]
    assert numbers == sorted(set(numbers), key=lambda word: int(word[:-1]))  # in order, and no sentence twice


async def test_a_new_version_is_found_and_the_old_one_is_not(filled: Knowledge) -> None:
    await filled.add("refund", "환불은 이제 30일까지 됩니다." + ARTICLE, "환불 안내")
    (best, *_) = (await filled.search().retrieve("환불 기간")).passages
    assert "30일" in best.text
    assert (await filled.vectors.collection("default")).count() == len(DOCUMENTS)


async def test_a_removed_document_is_not_found(filled: Knowledge) -> None:
    await filled.indexer().remove("refund")
    await filled.indexer().remove("refund")
    assert "refund" not in await filled.found("환불 신청 기간")
    assert (await filled.vectors.collection("default")).count() == len(DOCUMENTS) - 1


async def test_a_document_written_half_is_whole_after_it_is_written_again(
    filled: Knowledge, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(Exception):
        pass

    async def die(*_: object) -> None:
        raise Killed

    changed = "환불은 이제 30일까지 됩니다." + ARTICLE
    with monkeypatch.context() as patch:
        patch.setattr("backend.repository.passage_index.SqlitePassageIndex.replace_all", die)
        with pytest.raises(Killed):
            await filled.add("refund", changed, "환불 안내")
    between = (await filled.search().retrieve("환불 신청 기간")).passages[0]
    assert "7일" in between.text  # until it is whole, the old version answers
    await filled.add("refund", changed, "환불 안내")
    assert "30일" in (await filled.search().retrieve("환불 기간")).passages[0].text
    assert (await filled.vectors.collection("default")).count() == len(DOCUMENTS)


def test_short_texts_are_searched_by_meaning_and_long_ones_by_words() -> None:
    assert weights_for(Statistics(passages=100, characters=6_000)) == MESSAGES
    assert weights_for(Statistics(passages=100, characters=45_000)) == ARTICLES
    assert weights_for(Statistics(passages=0, characters=0)).meaning(0.5) > 0
    assert ARTICLES.meaning(1.0) < ARTICLES.meaning(0.3) < MESSAGES.meaning(0.3)
