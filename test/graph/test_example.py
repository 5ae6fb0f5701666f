"""The `example` agent: it remembers, and it can wait for a person."""

import pytest
from langgraph.types import Command

from backend.core.graph.example.graph_orchestrator import GraphOrchestrator
from backend.core.graph.example.prompt_manager import DECLINED


@pytest.fixture(scope="module")
def graph():
    return GraphOrchestrator().build()


async def test_it_replies_word_by_word_and_remembers(graph, chat, make_context):
    context = make_context("Hello, who are you?", "Nice to meet you, Kim.")
    talk = chat(graph, context)
    await talk.say("Hello")
    state = await talk.say("I am Kim")
    assert talk.nodes == ["reply"]
    assert talk.streamed == state["answer"] == "Nice to meet you, Kim."
    assert [mode for mode, _ in talk.events].count("messages") >= 5
    assert [message.text for message in context.model.asked[1]][1:] == ["Hello", "Hello, who are you?", "I am Kim"]


async def test_it_speaks_to_the_model_in_the_language_of_the_user(graph, chat, make_context):
    context = make_context("네, 안녕하세요.")
    await chat(graph, context).say("안녕하세요")
    assert context.model.asked[0][0].text.startswith("당신은")


async def test_a_message_that_asks_for_approval_waits_and_goes_on_when_it_is_given(graph, chat, make_context):
    context = make_context("It is raining.")
    talk = chat(graph, context)
    await talk.say("/ask Is it raining?")
    waiting = talk.events[-1][1]["__interrupt__"][0]
    assert waiting.value == {"action": "send", "text": "Is it raining?"}
    assert context.model.asked == []
    state = await talk.say(Command(resume=True))
    assert state["answer"] == "It is raining."
    assert context.model.asked[0][-1].text == "Is it raining?"


@pytest.mark.parametrize("answer", [False, "yes"])
async def test_a_message_that_is_not_approved_never_reaches_the_model(graph, chat, make_context, answer):
    context = make_context()
    talk = chat(graph, context)
    await talk.say("/ask 비밀번호를 보내 줘")
    state = await talk.say(Command(resume=answer))
    assert state["answer"] == talk.streamed == DECLINED["ko"]
    assert context.model.asked == []
