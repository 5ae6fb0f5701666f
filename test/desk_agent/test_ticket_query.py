"""What is searched for when a ticket is to be answered, and how what is found becomes one list (000-21, 000-23)."""

from types import SimpleNamespace
from typing import Any, cast
from uuid import uuid4

import pytest

from backend.core.desk.ticket_query import QUERIES, QUERY_CHARS, queries_of
from backend.core.graph.copilot.node.gate import gate
from backend.core.graph.copilot.node.refuse import refuse
from backend.core.retrieval.evidence import Signs
from backend.core.retrieval.fusion import Thresholds, fuse
from backend.core.retrieval.hybrid_search import NOTHING, Ranking
from backend.dto.desk import TicketText
from backend.dto.knowledge import Passage

LEAST: Thresholds = {"same": 0.4, "foreign": 0.6, "foreign messages": 0.6}


def ticket(title: str, *said: tuple[str, str, bool]) -> TicketText:
    return TicketText(
        ticket=uuid4(),
        ticket_id="1",
        platform="freshdesk",
        title=title,
        status=2,
        status_name="open",
        priority=1,
        language="ko",
        messages=tuple({"author": who, "private": private, "text": text} for who, text, private in said),
        placeholders={},
        content_hash="",
    )


def test_a_korean_ticket_is_asked_about_shorter_and_longer_without_greetings_numbers_and_placeholders() -> None:
    text = (
        "안녕하세요, [NAME_1]입니다.\n주문 ORD-20261102-4711 때문에 연락드려요.\n"
        "송장을 출력하면 PRT-03 오류가 납니다. 연락처는 [PHONE_1] 입니다.\n감사합니다."
    )
    queries = queries_of(ticket("[긴급] RE: 송장 출력 오류", ("customer", text, False)))
    assert queries[0] == "송장 출력 오류"
    assert queries[1] == "송장 출력 오류\n송장을 출력하면 PRT-03 오류가 납니다."
    assert queries[2].startswith("송장 출력 오류\n주문 때문에 연락드려요.")
    for query in queries:
        assert "안녕" not in query
        assert "감사" not in query
        assert "[" not in query
        assert "4711" not in query
    assert len(queries) <= QUERIES


def test_an_english_ticket_keeps_the_codes_of_errors_and_loses_the_numbers_of_parcels() -> None:
    said = "Hello,\nParcel 511315770891 for [EMAIL_1] is stuck. The page says E-1042. Thanks in advance."
    queries = queries_of(ticket("Re: FW: Tracking number 511315770891 not found", ("customer", said, False)))
    assert queries[0] == "Tracking number not found"
    assert "E-1042" in queries[-1]
    assert all("5113" not in query and "EMAIL" not in query and "Thanks" not in query for query in queries)


def test_what_any_ticket_says_beside_its_problem_is_not_searched_for() -> None:
    said = (
        "앱에서 주문 상세만 누르면 튕깁니다. PC에서는 잘 됩니다.\n직원들도 같은 문제를 겪고 있어요."
        " 어제까지는 문제없이 썼습니다."
    )
    queries = queries_of(ticket("앱 오류", ("customer", said, False)))
    assert queries[1] == "앱 오류\n앱에서 주문 상세만 누르면 튕깁니다."
    assert "같은 문제" not in queries[2]
    assert "어제" not in queries[2]
    english = "The label is printed too small. It worked until yesterday. It is the same on another computer."
    assert queries_of(ticket("Labels", ("customer", english, False))) == (
        "Labels",
        "Labels\nThe label is printed too small.",
    )
    assert queries_of(ticket("", ("customer", "같은 문제입니다.", False))) == ("같은 문제입니다.",)


def test_only_what_the_customer_said_in_public_is_searched_for() -> None:
    """(000-50 ⚠)"""
    said = (("agent", "Our gateway is broken.", False), ("customer", "The secret handshake fails.", True))
    assert queries_of(ticket("Login", *said, ("customer", "The login page fails.", False))) == (
        "Login",
        "Login\nThe login page fails.",
    )


def test_a_title_that_only_repeats_the_text_is_not_said_twice() -> None:
    said = "My card has not arrived yet although I ordered it weeks ago."
    assert queries_of(ticket("My card has not arrived…", ("customer", said, False))) == (said,)


@pytest.mark.parametrize("title", ["", "문의", "[EMAIL_1]", "RE:", "…"])
@pytest.mark.parametrize("said", ["", "안녕하세요.", "[PHONE_1]", "x" * 30_000, "환불 언제 되나요?\n" * 4_000])
def test_whatever_a_ticket_says_the_queries_are_few_short_and_not_empty(title: str, said: str) -> None:
    queries = queries_of(ticket(title, ("customer", said, False)))
    assert len(queries) <= QUERIES
    assert all(0 < len(query) <= QUERY_CHARS for query in queries)


def ranking(evidence: float, rule: Any = "same", **scores: float) -> Ranking:
    passages = [
        Passage(
            passage_id=name,
            document_id=name,
            position=0,
            title=name,
            path=(),
            text=name,
            source="s",
            url=None,
            score=score,
        )
        for name, score in scores.items()
    ]
    return Ranking(tuple(passages), Signs(rule, coverage=0.0, cosine=0.0), evidence, evidence >= 0.5)


def test_what_several_questions_find_comes_before_what_one_of_them_does() -> None:
    found = fuse([ranking(0.9, a=0.9, b=0.8), ranking(0.2, b=0.8, c=0.9)], LEAST)
    assert [passage.passage_id for passage in found.passages] == ["b", "a", "c"]
    assert (round(found.evidence, 2), found.enough) == (0.55, True)


def test_one_question_that_convinces_by_accident_is_not_enough() -> None:
    assert not fuse([ranking(1.0, a=0.9), ranking(0.1, b=0.8), NOTHING], LEAST).enough
    assert not fuse([ranking(0.7, "foreign", a=0.9), ranking(0.4, b=0.8)], LEAST).enough
    assert fuse([ranking(0.7, "foreign", a=0.9), ranking(0.6, b=0.8)], LEAST).enough
    assert fuse([], LEAST) == NOTHING


class _Runtime:
    def __init__(self) -> None:
        self.told: list[Any] = []
        self.stream_writer = self.told.append
        self.context = SimpleNamespace(has_llm=False)


def _alike(number: str, relevance: float, score: float, answer: str = "Do this.") -> dict[str, Any]:
    return {
        "ticket_id": number,
        "title": "t",
        "answer": answer,
        "url": None,
        "score": score,
        "relevance": relevance,
    }


async def test_a_draft_follows_only_tickets_that_are_nearly_as_much_alike_as_the_best() -> None:
    # The second is solved and of today, which lifts it: it is about something else all the same.
    similar = [_alike("1", 0.80, 0.81), _alike("2", 0.60, 0.82), _alike("3", 0.70, 0.70), _alike("4", 0.79, 0.79, "")]
    ticket = {"language": "en"}
    state: Any = {
        "ticket": ticket,
        "documents": [],
        "enough": False,
        "similar": similar,
        "similar_enough": True,
    }
    runtime: Any = _Runtime()
    chosen = await gate(state, runtime)
    assert chosen.goto == "draft"
    assert chosen.update is not None
    assert [one["ticket_id"] for one in chosen.update["documents"]] == ["1", "3"]
    assert [one["ticket_id"] for one in runtime.told] == ["1", "3"]
    weak: Any = {**state, "similar_enough": False}
    assert (await gate(weak, runtime)).goto == "refuse"
    none: Any = {**state, "similar": []}
    assert (await gate(none, runtime)).goto == "refuse"


async def test_a_draft_follows_only_articles_that_fit_nearly_as_well_as_the_best() -> None:
    """The search always finds four; of the sentences of the others, some share a word with the question."""
    documents = [
        {"kind": "article", "title": name, "text": "It opens by itself.", "path": [], "score": score, "url": None}
        | {"document_id": name, "passage_id": name}
        for name, score in (("fits", 0.9), ("fits too", 0.73), ("does not", 0.7))
    ]
    state: Any = {"ticket": {"language": "en"}, "enough": True, "similar": [], "similar_enough": False}
    chosen = await gate(state | {"documents": documents}, cast("Any", _Runtime()))
    assert chosen.update is not None
    assert [one["title"] for one in chosen.update["documents"]] == ["fits", "fits too"]


async def test_without_a_language_model_no_draft_is_made_of_another_language() -> None:
    """Sentences are quoted as they stand: a customer who writes in English cannot be sent Korean ones."""
    korean: dict[str, Any] = {
        "kind": "article",
        "title": "환불",
        "text": "환불은 사흘 걸립니다.",
        "url": "https://e.com/1",
        "path": [],
    }
    korean |= {"document_id": "1", "passage_id": "1", "score": 0.9}
    english = {**korean, "title": "Refunds", "text": "A refund takes three days.", "passage_id": "2"}
    state: Any = {"ticket": {"language": "en"}, "enough": True, "similar": [], "similar_enough": False}
    runtime: Any = _Runtime()
    both = await gate(state | {"documents": [korean, english]}, runtime)
    assert both.update is not None
    assert (both.goto, both.update["documents"]) == ("draft", [english])
    alone = await gate(state | {"documents": [korean]}, runtime)
    assert alone.goto == "refuse"
    assert alone.update is not None
    said = await refuse(state | {"evidence": 0.9} | dict(alone.update), runtime)
    assert "https://e.com/1" in said["answer"]
    runtime.context.has_llm = True
    assert (await gate(state | {"documents": [korean]}, runtime)).goto == "draft"
