"""A caller's temperature, limit and so on, from the doors to the request that writes the answer."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import openai
import pytest
from pydantic import SecretStr

from backend.config.setting import ModelAlias
from test.desk_agent.conftest import ALICE, House, open_house
from test.simulator.openai_simulator import OpenAISimulator, Turn

ASK: Any = [{"role": "user", "content": "What is a refund?"}]


@pytest.fixture
async def endpoint() -> AsyncIterator[OpenAISimulator]:
    async with OpenAISimulator() as made:
        yield made


@pytest.fixture
async def house(tmp_path: Path, endpoint: OpenAISimulator) -> AsyncIterator[House]:
    aliases = {"plain": ModelAlias(target="smollm2"), "thinking": ModelAlias(target="gpt-5.4")}
    key = SecretStr("sk-test")
    async with open_house(tmp_path, openai_base_url=endpoint.url, openai_api_key=key, llm_aliases=aliases) as made:
        yield made


@pytest.fixture
async def client(house: House) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=f"{house.url}/v1", api_key=ALICE, max_retries=0) as made:
        yield made


async def test_openais_parameters_reach_the_model_as_far_as_it_knows_them(
    client: openai.AsyncOpenAI, endpoint: OpenAISimulator
) -> None:
    for alias in ("plain", "thinking"):
        await client.chat.completions.create(
            model=f"example:{alias}",
            messages=ASK,
            temperature=0.3,
            top_p=0.5,
            max_completion_tokens=50,
            seed=7,
            stop="END",
            presence_penalty=1.0,
        )
    plain, thinking = (request.body for request in endpoint.requests)
    wanted = {"temperature": 0.3, "top_p": 0.5, "max_tokens": 50, "seed": 7, "stop": ["END"], "presence_penalty": 1.0}
    assert {name: plain.get(name) for name in wanted} == wanted
    assert not {"temperature", "top_p", "stop", "presence_penalty"} & thinking.keys()
    assert thinking["max_completion_tokens"] == 50 + 4096  # room to think


async def test_no_caller_gets_more_tokens_than_the_server_gives(
    client: openai.AsyncOpenAI, endpoint: OpenAISimulator
) -> None:
    await client.chat.completions.create(model="example:plain", messages=ASK, max_tokens=1_000_000)
    await client.chat.completions.create(model="example:plain", messages=ASK)
    assert [request.body["max_tokens"] for request in endpoint.requests] == [2048, 2048]
    assert "temperature" not in endpoint.requests[1].body  # nothing of one request stays for the next


@pytest.mark.parametrize("streamed", [False, True])
async def test_an_answer_that_was_broken_off_says_so(
    client: openai.AsyncOpenAI, endpoint: OpenAISimulator, streamed: bool
) -> None:
    endpoint.script(Turn("A refund is", finish_reason="length"))
    asked: Any = {"model": "example:plain", "messages": ASK, "max_tokens": 3, "stream": streamed}
    answer: Any = await client.chat.completions.create(**asked)
    if streamed:
        reasons = [chunk.choices[0].finish_reason async for chunk in answer]
        assert reasons[-1] == "length"
        assert set(reasons[:-1]) == {None}
    else:
        assert answer.choices[0].finish_reason == "length"


async def test_a_simple_chat_has_its_temperature(house: House, endpoint: OpenAISimulator) -> None:
    """(002-2)"""
    body = {"messages": ASK, "agent": "example", "model": "plain", "temperature": 0.9}
    answer = await house.http.post("/api/chat", json=body)
    assert answer.status_code == 200, answer.text
    assert endpoint.requests[0].body["temperature"] == 0.9


async def test_only_the_call_that_writes_the_answer_is_asked_so(
    client: openai.AsyncOpenAI, house: House, endpoint: OpenAISimulator
) -> None:
    await house.fill()
    talk = [
        *ASK,
        {"role": "assistant", "content": "Money."},
        {"role": "user", "content": "How long does it take?"},
    ]
    await client.chat.completions.create(model="answer:plain", messages=talk, temperature=1.5, max_tokens=9)
    before = [request.body for request in endpoint.requests if "temperature" not in request.body]
    assert before  # the question was made to stand alone first
    assert all(body["max_tokens"] == 2048 for body in before)
