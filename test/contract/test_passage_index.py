"""What every `PassageIndex` promises."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import replace
from pathlib import Path

import pytest

from backend.core.error import InvalidId, PassageNotFound
from backend.core.retrieval.base import PassageIndexes
from backend.core.retrieval.tokenizer import question_terms
from backend.database.sqlite import SqliteDatabase
from backend.dto.knowledge import Passage
from backend.repository.passage_index import SqlitePassageIndexes


@pytest.fixture
async def indexes(tmp_path: Path) -> AsyncGenerator[PassageIndexes]:
    indexes = SqlitePassageIndexes(tmp_path, open_files=2)
    yield indexes
    await indexes.close()


def passage(document: str, position: int, text: str, *, title: str = "") -> Passage:
    return Passage(f"{document}-{position}", document, title, ("장", "절"), text, position, "https://x.kr/1", "a.md")


async def found(indexes: PassageIndexes, question: str, tenant: str = "default", limit: int = 10) -> list[str]:
    matches = await indexes.of(tenant).search(question_terms(question), limit)
    return [hit.passage.passage_id for hit in matches.hits]


async def test_a_passage_comes_back_as_it_was_given(indexes: PassageIndexes) -> None:
    given = passage("a", 0, "환불은 7일 안에 됩니다.", title="환불 안내")
    await indexes.of("default").replace("a", [given])
    assert await indexes.of("default").get("a-0") == given


async def test_korean_words_meet_whatever_particle_they_have(indexes: PassageIndexes) -> None:
    await indexes.of("default").replace("a", [passage("a", 0, "대한민국에서는 서울이 수도이다.")])
    await indexes.of("default").replace("b", [passage("b", 0, "일본의 수상은 도쿄에 있다.")])
    await indexes.of("default").replace("c", [passage("c", 0, "바나나는 노랗다.")])
    assert (await found(indexes, "대한민국의 수도는 어디인가?"))[0] == "a-0"


async def test_headings_are_searched_too(indexes: PassageIndexes) -> None:
    index = indexes.of("default")
    for number in range(4):
        await index.replace(str(number), [passage(str(number), 0, "7일 안에 됩니다.", title=f"안내 {number}")])
    await index.replace("r", [passage("r", 0, "7일 안에 됩니다.", title="반품 규정")])
    assert await found(indexes, "반품") == ["r-0"]


async def test_replacing_twice_is_replacing_once(indexes: PassageIndexes) -> None:
    index = indexes.of("default")
    passages = [passage("a", number, f"사과 {number}") for number in range(3)]
    await index.replace("a", passages)
    once = await index.search(["w사과"], 10)
    await index.replace("a", passages)
    assert await index.search(["w사과"], 10) == once
    assert await index.count() == 3


async def test_a_new_version_leaves_nothing_of_the_old_one(indexes: PassageIndexes) -> None:
    index = indexes.of("default")
    await index.replace("a", [passage("a", 0, "포도"), passage("a", 1, "사과")])
    await index.replace("a", [passage("a", 0, "수박")])
    assert await found(indexes, "포도 사과") == []
    assert await found(indexes, "수박") == ["a-0"]
    assert await index.ids("a") == ["a-0"]
    assert (await index.search(["포도", "w포도"], 5)).frequencies == {}
    with pytest.raises(PassageNotFound):
        await index.get("a-1")


async def test_a_removed_document_is_gone_and_removing_it_again_is_nothing(indexes: PassageIndexes) -> None:
    index = indexes.of("default")
    await index.replace("a", [passage("a", 0, "포도")])
    await index.remove("a")
    await index.remove("a")
    assert await found(indexes, "포도") == []
    assert (await index.statistics()).passages == (await index.statistics()).characters == 0


async def test_a_passage_of_another_document_is_refused_and_nothing_is_written(indexes: PassageIndexes) -> None:
    index = indexes.of("default")
    with pytest.raises(ValueError, match="another document"):
        await index.replace("a", [passage("a", 0, "포도"), passage("b", 0, "사과")])
    assert await index.count() == 0


async def test_a_replacement_that_fails_leaves_the_old_version_whole(indexes: PassageIndexes) -> None:
    index = indexes.of("default")
    await index.replace("a", [passage("a", 0, "포도")])
    twice = [passage("a", 0, "수박"), replace(passage("a", 1, "사과"), passage_id="a-0")]
    with pytest.raises(Exception, match="UNIQUE"):
        await index.replace("a", twice)
    assert await found(indexes, "포도") == ["a-0"]
    assert await found(indexes, "수박") == []


async def test_passages_are_found_in_the_order_asked_for_and_unknown_ones_left_out(indexes: PassageIndexes) -> None:
    index = indexes.of("default")
    await index.replace("a", [passage("a", number, str(number)) for number in range(5)])
    names = [one.passage_id for one in await index.find(["a-3", "nothing", "a-0", "a-4"])]
    assert names == ["a-3", "a-0", "a-4"]


async def test_around_gives_the_neighbours_in_the_documents_order(indexes: PassageIndexes) -> None:
    index = indexes.of("default")
    await index.replace("a", [passage("a", number, str(number)) for number in range(6)])
    await index.replace("b", [passage("b", 2, "other")])
    assert [one.position for one in await index.around("a", 1, 2)] == [0, 1, 2, 3]


async def test_another_tenants_passages_are_not_there(indexes: PassageIndexes) -> None:
    await indexes.of("one").replace("a", [passage("a", 0, "비밀번호는 포도")])
    assert await found(indexes, "포도", tenant="two") == []
    assert await indexes.of("two").find(["a-0"]) == []
    assert await indexes.of("two").around("a", 0, 5) == []
    with pytest.raises(PassageNotFound):
        await indexes.of("two").get("a-0")


@pytest.mark.parametrize("tenant", ["", "../one", "One", "a/b", "a.db", "-a", "a" * 64, "가", "a\x00"])
def test_what_is_not_a_tenants_name_names_no_file(indexes: PassageIndexes, tenant: str) -> None:
    with pytest.raises(InvalidId):
        indexes.of(tenant)


@pytest.mark.parametrize(
    "hostile",
    [
        '" OR "*',
        "head:포도",
        "NEAR(a b)",
        "a*",
        "포도) OR (사과",
        "'; DROP TABLE passage; --",
        '"',
        "\x00",
        "-포도",
        "",
    ],
)
async def test_a_term_is_only_ever_looked_up(indexes: PassageIndexes, hostile: str) -> None:
    index = indexes.of("default")
    await index.replace("a", [passage("a", 0, "포도")])
    assert (await index.search([hostile], 10)).hits == ()
    assert [hit.passage.passage_id for hit in (await index.search([hostile, "포도"], 10)).hits] == ["a-0"]


async def test_equal_passages_come_in_the_order_of_document_and_position(indexes: PassageIndexes) -> None:
    index = indexes.of("default")
    for name in ("c", "a", "b"):
        await index.replace(name, [passage(name, 0, "포도"), passage(name, 1, "포도")])
    assert await found(indexes, "포도") == ["a-0", "a-1", "b-0", "b-1", "c-0", "c-1"]


async def test_more_tenants_than_open_files_all_answer_at_once(indexes: PassageIndexes) -> None:
    async def one(tenant: str) -> list[str]:
        await indexes.of(tenant).replace("a", [passage("a", 0, f"과일 {tenant}")])
        return await found(indexes, "과일", tenant=tenant)

    tenants = [f"tenant-{number}" for number in range(6)]
    assert await asyncio.gather(*map(one, tenants)) == [["a-0"]] * 6
    assert await asyncio.gather(*(indexes.of(tenant).count() for tenant in tenants)) == [1] * 6


async def test_an_index_of_another_tokenizer_is_made_again(tmp_path: Path) -> None:
    indexes = SqlitePassageIndexes(tmp_path)
    await indexes.of("default").replace("a", [passage("a", 0, "포도")])
    await indexes.close()
    database = SqliteDatabase(tmp_path / "default.db")
    await database.open()

    def spoil(connection: object) -> None:
        connection.exec_driver_sql("INSERT INTO term (term) VALUES ('delete-all')")  # type: ignore[attr-defined]
        connection.exec_driver_sql("UPDATE meta SET tokenizer = 0")  # type: ignore[attr-defined]

    await database.write(spoil)
    await database.close()
    again = SqlitePassageIndexes(tmp_path)
    assert await found(again, "포도") == ["a-0"]
    await again.of("default").remove("a")
    assert await found(again, "포도") == []
    await again.close()


async def test_an_index_of_before_there_were_languages_is_read_and_written(tmp_path: Path) -> None:
    indexes = SqlitePassageIndexes(tmp_path)
    await indexes.of("default").replace("a", [passage("a", 0, "포도")])
    await indexes.close()
    database = SqliteDatabase(tmp_path / "default.db")
    await database.open()
    await database.write(lambda c: c.exec_driver_sql("ALTER TABLE passage DROP COLUMN language"))
    await database.close()
    again = SqlitePassageIndexes(tmp_path)
    assert await found(again, "포도") == ["a-0"]
    await again.of("default").replace("b", [replace(passage("b", 0, "grape"), language="en")])
    assert [(await again.of("default").get(name)).language for name in ("a-0", "b-0")] == [None, "en"]
    await again.close()
