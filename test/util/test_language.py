"""Which language a person writes, and when a question leans on the one before."""

import pytest

from backend.util.language import language, leans_on_history, letter_pairs, overlap, terms


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("신청 기간은 언제인가요?", "ko"),
        ("K-Startup AI TIPS R&D 일정?", "ko"),
        ("FastAPI LangGraph Redis 비교", "ko"),
        ("ㅇㅇ", "ko"),
        ("When is the deadline?", "en"),
        ("What does 예비창업패키지 mean?", "en"),
        ("How do I apply for 청년창업사관학교?", "en"),
        ("Please 알려줘", "ko"),
        ("", "en"),
        ("123 ???", "en"),
    ],
)
def test_the_language_is_that_of_the_sentence_not_of_the_names_in_it(text, expected):
    assert language(text) == expected


def test_the_words_that_carry_meaning_have_no_endings():
    assert terms("예비창업패키지의 신청 기간은 언제까지인가요?") == ["예비창업패키지", "신청", "기간"]
    assert terms("What is the deadline of the R&D grant?") == ["deadline", "grant"]


@pytest.mark.parametrize(
    "question",
    ["금액은?", "그럼 언제까지인가요?", "그 사업의 지원 금액은?", "and the deadline?", "What about its budget?", "네"],
)
def test_a_short_or_pointing_question_leans_on_what_was_said(question):
    assert leans_on_history(question)


@pytest.mark.parametrize(
    "question",
    [
        "예비창업패키지 신청 기간은 언제인가요?",
        "서울 청년창업사관학교의 입교 조건을 알려주세요",
        "How large is the TIPS grant for startups?",
        "그리고 서울 지역의 청년창업사관학교 입교 조건과 마감 날짜를 알려주세요",
    ],
)
def test_a_question_that_says_it_all_does_not(question):
    assert not leans_on_history(question)


def test_overlap_is_the_share_of_a_sentence_that_the_texts_have_too():
    pairs = letter_pairs("접수는 3월에 마감합니다")
    assert overlap("접수 마감은 3월", pairs) == 1.0
    assert overlap("우주 항공권 지급", pairs) == 0.0
    assert overlap("", pairs) == 1.0
