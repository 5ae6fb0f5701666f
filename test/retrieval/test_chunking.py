from hypothesis import given
from hypothesis import strategies as st

from backend.core.retrieval.chunking import MOST, TARGET, Section, chunk, index_text, size


def sentences(count: int) -> list[str]:
    return [f"이것은 {number}번째 문장이며 뜻은 따로 없습니다." for number in range(count)]


def test_a_short_document_is_one_passage_as_it_was() -> None:
    (only,) = chunk([Section((), "한 줄.\n\n두 번째 문단.")])
    assert (only.position, only.path, only.text) == (0, (), "한 줄.\n\n두 번째 문단.")


def test_nothing_gives_nothing() -> None:
    assert chunk([]) == chunk([Section(("A",), " \n ")]) == []


def test_sentences_stay_whole_and_none_is_lost() -> None:
    given = sentences(80)
    passages = chunk([Section((), " ".join(given))])
    assert len(passages) > 1
    assert all(size(one.text) <= TARGET for one in passages)
    assert [one.position for one in passages] == list(range(len(passages)))
    for sentence in given:
        assert any(sentence in one.text for one in passages)


def test_a_passage_begins_with_the_last_sentence_of_the_one_before() -> None:
    first, second, *_ = chunk([Section((), " ".join(sentences(80)))])
    assert second.text.startswith(first.text.rsplit(". ", 1)[-1])


def test_table_rows_are_never_cut_or_repeated() -> None:
    rows = [f"{number} | 항목 이름 {number} | 값 {number}" for number in range(120)]
    passages = chunk([Section((), "\n".join(rows))])
    assert [row for one in passages for row in one.text.splitlines()] == rows


def test_sections_of_different_headings_are_not_mixed() -> None:
    passages = chunk([Section(("가",), "가의 내용."), Section(("나",), "나의 내용.")])
    assert [(one.path, one.text) for one in passages] == [(("가",), "가의 내용."), (("나",), "나의 내용.")]


def test_a_small_section_joins_the_heading_above_and_keeps_its_own_as_text() -> None:
    (only,) = chunk([Section(("가",), "머리말."), Section(("가", "하나"), "내용.")])
    assert only.path == ("가",)
    assert only.text == "머리말.\n\n하나\n\n내용."


def test_the_index_sees_where_a_passage_stands_and_the_reader_does_not() -> None:
    assert index_text("제목", ("장", "절"), "본문") == "제목 > 장 > 절\n본문"
    assert index_text("", (), "본문") == "본문"


@given(st.lists(st.text(max_size=4000), max_size=4))
def test_no_passage_is_empty_or_larger_than_may_be_and_no_letter_is_lost(texts: list[str]) -> None:
    passages = chunk([Section((str(number),), text) for number, text in enumerate(texts)])
    for one in passages:
        assert one.text.strip()
        assert size(one.text) <= MOST + TARGET
    kept = set("".join(one.text for one in passages))
    assert {letter for text in texts for letter in text if not letter.isspace()} <= kept
