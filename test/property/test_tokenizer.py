"""The terms of the keyword index, for any text."""

from hypothesis import given
from hypothesis import strategies as st

from backend.core.retrieval.tokenizer import MAX_TERM, numbers, question_terms, terms


@given(st.text())
def test_a_term_is_letters_and_digits_so_it_can_mean_nothing_to_a_query_language(text: str) -> None:
    for term in terms(text) + question_terms(text):
        assert term.isalnum()
        assert term == term.lower() or not term.isascii()
        assert len(term) <= MAX_TERM + 1


@given(st.text(), st.text())
def test_texts_side_by_side_have_the_terms_of_both(one: str, other: str) -> None:
    assert terms(f"{one}\n{other}") == terms(one) + terms(other)


@given(st.text())
def test_a_question_has_each_term_once_and_only_terms_of_its_text(text: str) -> None:
    asked = question_terms(text)
    assert len(set(asked)) == len(asked)
    assert set(asked) <= set(terms(text))


@given(st.text(alphabet="가나다라마바사아자차카타파하", min_size=2, max_size=8), st.sampled_from(["은", "을", "에서"]))
def test_a_korean_word_meets_itself_with_a_particle(word: str, particle: str) -> None:
    assert set(terms(word)) & set(terms(word + particle))


@given(st.integers(min_value=0, max_value=10**12))
def test_a_number_is_the_same_with_and_without_separators(number: int) -> None:
    assert terms(f"{number:,}") == terms(str(number)) == list(numbers(f"총 {number:,}원"))


def test_words_that_only_ask_are_left_out_of_a_question() -> None:
    assert question_terms("대한민국의 수도는 어디인가?") == question_terms("대한민국 수도")
    assert question_terms("What is the refund policy?") == question_terms("refund policy")


def test_a_question_of_nothing_but_asking_words_still_asks() -> None:
    assert question_terms("누구") == ["w누구", "누구"]


def test_english_forms_of_a_word_meet() -> None:
    assert terms("refunded refunds refunding") == ["refund"] * 3
