"""Nothing is in a summary that is not in its ticket: numbers, dates, amounts, ids, addresses, placeholders (000-29)."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.core.desk.grounding import Grounds, grounded

TICKET = Grounds(
    "주문 20240105-0001, 금액 30,000원, 결제일 2024-01-05 15:30, 코드 E-1001, 버전 v3.2.1, 용량 5GB, [EMAIL_1],"
    " https://example.com/help, 이자 3.50%, 05번 창구, 3만 5천 명"
)


@pytest.mark.parametrize(
    "sentence",
    ["3만원을 결제했다.", "30000원", "2024년 1월 5일", "2024.01.05 결제", "E-1001이 난다.", "e-1001", "v3.2.1", "5 GB",
     "[EMAIL_1]에게 보냈다.", "https://example.com/help 를 본다.", "이자는 3.5%", "20240105-0001", "5번", "15:30",
     "숫자가 없다."],
)  # fmt: skip
def test_what_the_ticket_says_in_other_words_holds(sentence: str) -> None:
    assert TICKET.hold(sentence)


@pytest.mark.parametrize(
    "sentence",
    ["4만원", "30,001원", "2024년 2월 5일", "E-1002", "E-10011", "3.2.2", "[EMAIL_2]", "https://evil.example/help",
     "https://example.com/help?leak=1", "kim@example.com", "0001-20240105", "3.51", "100명", "A1B2", "6GB"],
)  # fmt: skip
def test_what_the_ticket_does_not_say_does_not_hold(sentence: str) -> None:
    assert not TICKET.hold(sentence)


def test_only_the_sentence_that_does_not_hold_is_dropped() -> None:
    text = "코드 E-1001이 났다. 환불액은 99,000원이다. 다시 결제했다."
    assert grounded(text, TICKET, 500) == "코드 E-1001이 났다. 다시 결제했다."


def test_mark_up_and_images_are_taken_out() -> None:
    text = "![x](https://example.com/help) <img src=x> [도움말](https://evil.example) 을 봤다."
    kept = grounded(text, TICKET, 500)
    assert "](" not in kept
    assert "<" not in kept
    assert "evil" not in kept


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="가나 .0123456789,E-", max_size=120), st.integers(5, 60))
def test_every_number_that_is_kept_stands_in_the_ticket_also_where_it_is_cut(text: str, limit: int) -> None:
    kept = grounded(text, TICKET, limit)
    assert len(kept) <= limit
    known = {"20240105", "1", "30000", "2024", "5", "15", "30", "1001", "3.2.1", "3.5", "3", "35000"}
    for number in re.findall(r"[0-9]+(?:,[0-9]{3})*", kept):
        assert (number.replace(",", "").lstrip("0") or "0") in known | {"0", "2", "50", "5000"}
