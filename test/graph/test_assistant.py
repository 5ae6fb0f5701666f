"""The `assistant` agent: a model that calls a tool, searches that run at once, and the sources it then has."""

import pytest
from langchain_core.messages import AIMessage

from backend.core.graph.assistant.graph_orchestrator import GraphOrchestrator
from backend.core.graph.assistant.prompt_manager import NO_MODEL, NOTHING_FOUND

PERIOD = "신청 기간은 2026년 3월 2일부터 3월 20일까지이며 온라인으로만 접수합니다."
MONEY = "선정된 예비창업자에게는 최대 1억원의 사업화 자금을 지원합니다."


@pytest.fixture(scope="module")
def graph():
    return GraphOrchestrator().build()


def search(*queries: str) -> AIMessage:
    calls = [
        {"name": "search_knowledge", "args": {"query": query}, "id": f"call-{place}"}
        for place, query in enumerate(queries)
    ]
    return AIMessage("", tool_calls=calls)


async def test_it_searches_answers_and_keeps_the_sources_that_exist(graph, chat, make_context, passage):
    context = make_context(search("신청 기간"), f"{PERIOD} [1] 끝입니다. [9]", passages=[passage(1, PERIOD)])
    talk = chat(graph, context)
    state = await talk.say("언제까지 신청하나요?")
    assert context.retriever.queries == ["신청 기간"]
    assert [source["passage_id"] for source in state["citations"]] == ["p1"]
    assert "[9]" not in state["answer"]
    assert state["messages"][-1].text == state["answer"]
    assert talk.custom("citation")[0]["index"] == 1
    assert talk.custom("tool")[0]["args"] == {"query": "신청 기간"}
    # The model is told whose words the passages are, and sees them escaped and numbered.
    assert '<passage index="1" title="예비창업패키지 모집 공고 &gt; 신청">' in context.model.asked[1][-1].text


async def test_searches_that_run_at_once_have_numbers_of_their_own(graph, chat, make_context, passage):
    context = make_context(
        search("기간", "금액"), f"{PERIOD} [1] {MONEY} [7]", passages=[passage(1, PERIOD), passage(2, MONEY)]
    )
    state = await chat(graph, context).say("기간과 금액은?")
    assert sorted(document["index"] for document in state["documents"]) == [1, 2, 6, 7]
    assert [(source["index"], source["passage_id"]) for source in state["citations"]] == [(1, "p1"), (7, "p2")]


async def test_what_is_not_certain_enough_is_not_shown_to_the_model(graph, chat, make_context, passage):
    context = make_context(search("달"), "문서에 없습니다.", passages=[passage(1, PERIOD)], evidence=0.1)
    state = await chat(graph, context).say("달에는 누가 사나요?")
    assert context.model.asked[1][-1].text == NOTHING_FOUND
    assert state["documents"] == []
    assert state["citations"] == []


async def test_the_next_turn_begins_without_the_passages_and_calls_of_the_last(graph, chat, make_context, passage):
    context = make_context(search("기간"), f"{PERIOD} [1]", "Hello Kim.", passages=[passage(1, PERIOD)])
    talk = chat(graph, context)
    await talk.say("신청 기간은?")
    state = await talk.say("Thanks! I am Kim.")
    assert state["documents"] == []
    assert state["citations"] == []
    asked = context.model.asked[-1]
    assert [message.type for message in asked] == ["system", "human", "ai", "human"]
    assert asked[0].text.startswith("You help people")


async def test_a_model_that_never_stops_searching_is_stopped(graph, chat, make_context, passage):
    context = make_context(*[search("기간")] * 50, passages=[passage(1, PERIOD)])
    await chat(graph, context).say("신청 기간은?")
    assert len(context.retriever.queries) == 8


@pytest.mark.parametrize(("question", "language"), [("신청 기간은?", "ko"), ("When is the deadline?", "en")])
async def test_without_a_language_model_it_says_so(graph, chat, make_context, question, language):
    talk = chat(graph, make_context(has_llm=False))
    state = await talk.say(question)
    assert talk.streamed == state["answer"] == NO_MODEL[language]
