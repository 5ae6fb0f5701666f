"""What nodes get from `LLMManager`, against a real HTTP endpoint that does what the test scripts."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from langchain_core.messages import HumanMessage
from langchain_core.tools import tool
from pydantic import BaseModel

from backend.config.setting import ModelAlias, SettingError, Settings, load_settings
from backend.core.error import TooLarge, TooMany, UnsupportedModel, UpstreamFailed, UpstreamTimeout
from backend.core.graph.context import Context
from backend.core.llm_manager import LLMManager
from test.simulator.openai_simulator import OpenAISimulator, Turn

KEY = "sk-not-to-be-seen"
ALIASES = {
    "gpt-5": ModelAlias(target="gpt-5.4", input_price=2.0, output_price=10.0),
    "gpt-4o-mini": ModelAlias(target="gpt-5.4-mini", input_price=1.0, output_price=1.0),
    "local": ModelAlias(target="smollm2"),
}
ASK = [HumanMessage("How are you today?")]


@pytest.fixture
async def endpoint() -> AsyncIterator[OpenAISimulator]:
    async with OpenAISimulator() as simulator:
        yield simulator


def settings(**values: Any) -> Settings:
    return Settings(_env_file=None, **{"llm_aliases": ALIASES, "llm_max_retries": 2, **values})


@pytest.fixture
async def manager(endpoint: OpenAISimulator) -> AsyncIterator[LLMManager]:
    made = LLMManager(settings(openai_base_url=endpoint.url, openai_api_key=KEY), first_wait=0.001)
    await made.open()
    yield made
    await made.close()


async def test_an_answer_is_streamed_and_its_usage_counted(endpoint: OpenAISimulator, manager: LLMManager) -> None:
    endpoint.script(Turn("Fine, thank you very much."))
    meter = manager.meter("gpt-5")

    chunks = [chunk async for chunk in manager.get("gpt-5").astream(ASK, config={"callbacks": [meter]})]

    assert [chunk.text for chunk in chunks if chunk.text] == ["Fine,", " thank", " you", " very", " much."]
    usage = meter.usage
    assert (usage.model, usage.input_tokens, usage.output_tokens, usage.calls) == ("gpt-5", 4, 5, 1)
    assert usage.cost == pytest.approx((4 * 2.0 + 5 * 10.0) / 1_000_000)
    assert usage.latency > 0
    assert not usage.estimated
    assert endpoint.requests[0].headers["authorization"] == f"Bearer {KEY}"


async def test_invoke_streams_underneath_and_returns_the_whole_message(
    endpoint: OpenAISimulator, manager: LLMManager
) -> None:
    endpoint.script(Turn("One two three."))
    message = await manager.get().ainvoke(ASK)
    assert message.text == "One two three."
    assert message.usage_metadata
    assert message.usage_metadata["total_tokens"] == 4 + 3
    assert endpoint.requests[0].body["stream"] is True


async def test_a_synchronous_node_in_its_thread_may_invoke(endpoint: OpenAISimulator, manager: LLMManager) -> None:
    endpoint.script(Turn(status=500), Turn("From a thread."))
    message = await asyncio.to_thread(manager.get().invoke, ASK)
    assert message.text == "From a thread."
    with pytest.raises(RuntimeError, match="ainvoke"):
        manager.get().invoke(ASK)


@pytest.mark.parametrize(
    "failing",
    [
        Turn(status=500),
        Turn(status=429, headers={"retry-after-ms": "5"}),
        Turn(status=503, headers={"retry-after": "0"}),
        Turn(stop_after=0, stop="cut"),
        Turn(stop_after=0, stop="end"),
        Turn(text="", error={"message": "secret upstream text", "type": "server_error", "code": None}),
        Turn(text="", garbage=True),
    ],
    ids=["500", "429", "503", "cut", "ended", "error in the stream", "garbage"],
)
async def test_a_call_that_fails_before_its_first_token_is_made_again(
    endpoint: OpenAISimulator, manager: LLMManager, failing: Turn
) -> None:
    endpoint.script(failing, failing, Turn("At last."))
    assert (await manager.get().ainvoke(ASK)).text == "At last."
    assert len(endpoint.requests) == 3


@pytest.mark.parametrize("stop", ["cut", "end"])
async def test_nothing_is_tried_again_after_the_first_token(
    endpoint: OpenAISimulator, manager: LLMManager, stop: Any
) -> None:
    endpoint.script(Turn("One two three.", stop_after=2, stop=stop), Turn("Another answer."))
    meter = manager.meter()
    seen: list[str] = []

    async def read() -> None:
        async for chunk in manager.get().astream(ASK, config={"callbacks": [meter]}):
            seen.append(chunk.text)  # noqa: PERF401  # what was seen before the failure counts

    with pytest.raises(UpstreamFailed):
        await read()
    assert seen == ["One", " two"]
    assert len(endpoint.requests) == 1
    assert meter.usage.estimated
    assert meter.usage.output_tokens > 0


async def test_retries_end_and_the_error_has_no_word_of_the_endpoints(
    endpoint: OpenAISimulator, manager: LLMManager, caplog: pytest.LogCaptureFixture
) -> None:
    endpoint.script(Turn(status=500))
    meter = manager.meter("gpt-5")
    with pytest.raises(UpstreamFailed) as caught:
        await manager.get("gpt-5").ainvoke(ASK, config={"callbacks": [meter]})
    assert len(endpoint.requests) == 3
    assert caught.value.detail == "The model 'gpt-5' failed."
    assert "secret" not in f"{caught.value.detail} {caught.value.members} {caplog.text}"
    assert (meter.usage.calls, meter.usage.output_tokens, meter.usage.estimated) == (1, 0, False)


@pytest.mark.parametrize(
    ("turn", "error"),
    [
        (Turn(status=401), UpstreamFailed),
        (Turn(status=403), UpstreamFailed),
        (Turn(status=404), UpstreamFailed),
        (Turn(status=400), UpstreamFailed),
        (Turn(status=429, error={"message": "secret", "code": "insufficient_quota"}), UpstreamFailed),
        (Turn(status=400, error={"message": "secret", "code": "context_length_exceeded"}), TooLarge),
        (Turn(status=429, headers={"retry-after": "90"}), TooMany),
        (Turn(status=500, headers={"x-should-retry": "false"}), UpstreamFailed),
        (Turn(text="", finish_reason="length"), UpstreamFailed),
    ],
    ids=["401", "403", "404", "400", "quota", "too long", "wait too long", "told not to", "nothing but thoughts"],
)
async def test_what_another_try_cannot_help_is_not_tried_again(
    endpoint: OpenAISimulator, manager: LLMManager, turn: Turn, error: type[Exception]
) -> None:
    endpoint.script(turn)
    with pytest.raises(error) as caught:
        await manager.get().ainvoke(ASK)
    assert len(endpoint.requests) == 1
    assert "secret" not in str(caught.value)


async def test_the_caller_is_told_when_to_come_back(endpoint: OpenAISimulator, manager: LLMManager) -> None:
    endpoint.script(Turn(status=429, headers={"retry-after": "90"}))
    with pytest.raises(TooMany) as caught:
        await manager.get().ainvoke(ASK)
    assert caught.value.retry_after == 90


@pytest.mark.parametrize("turn", [Turn(silent=True), Turn("One two.", stop_after=0), Turn("One two.", stop_after=1)])
async def test_silence_ends_in_a_timeout_and_closes_the_connection(endpoint: OpenAISimulator, turn: Turn) -> None:
    manager = LLMManager(settings(openai_base_url=endpoint.url, llm_timeout=0.15), first_wait=0.001)
    await manager.open()
    endpoint.script(turn)
    with pytest.raises(UpstreamTimeout):
        await manager.get().ainvoke(ASK)
    async with asyncio.timeout(60):
        await endpoint.hung_up.wait()
    assert len(endpoint.requests) == 1
    await manager.close()


async def test_cancelling_closes_the_connection(endpoint: OpenAISimulator, manager: LLMManager) -> None:
    endpoint.script(Turn("One two three.", stop_after=1))
    began = asyncio.Event()
    meter = manager.meter()

    async def read() -> None:
        async for _ in manager.get().astream(ASK, config={"callbacks": [meter]}):
            began.set()

    reader = asyncio.create_task(read())
    async with asyncio.timeout(60):
        await began.wait()
        reader.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reader
        await endpoint.hung_up.wait()
    assert meter.usage.estimated  # what was said until then is charged


async def test_an_endpoint_that_is_not_there_is_a_failure(endpoint: OpenAISimulator) -> None:
    manager = LLMManager(settings(openai_base_url="http://127.0.0.1:1/v1"), first_wait=0.001)
    await manager.open()
    with pytest.raises(UpstreamFailed, match="could not be reached"):
        await manager.get().ainvoke(ASK)
    await manager.close()


async def test_a_fallback_answers_and_is_what_the_run_pays(endpoint: OpenAISimulator) -> None:
    manager = LLMManager(
        settings(openai_base_url=endpoint.url, llm_fallbacks="gpt-5,gpt-4o-mini", llm_max_retries=0), first_wait=0.001
    )
    await manager.open()
    endpoint.script(Turn(status=500), Turn("From the second."))
    meter = manager.meter("gpt-5")
    message = await manager.get("gpt-5").ainvoke(ASK, config={"callbacks": [meter]})
    assert message.text == "From the second."
    assert [request.body["model"] for request in endpoint.requests] == ["gpt-5.4", "gpt-5.4-mini"]
    assert meter.usage.cost == pytest.approx((4 + 3) / 1_000_000)
    await manager.close()


async def test_when_all_fail_the_error_is_of_the_model_that_was_asked(endpoint: OpenAISimulator) -> None:
    manager = LLMManager(
        settings(openai_base_url=endpoint.url, llm_fallbacks="gpt-4o-mini", llm_max_retries=0), first_wait=0.001
    )
    await manager.open()
    endpoint.script(Turn(status=429), Turn(status=401))
    with pytest.raises(TooMany, match="gpt-5"):
        await manager.get("gpt-5").ainvoke(ASK)
    await manager.close()


async def test_the_extractive_model_may_be_the_last_fallback(endpoint: OpenAISimulator) -> None:
    manager = LLMManager(settings(openai_base_url=endpoint.url, llm_fallbacks="extractive", llm_max_retries=0))
    await manager.open()
    endpoint.script(Turn(status=500))
    assert "No language model" in (await manager.get().ainvoke(ASK)).text
    await manager.close()


async def test_each_family_of_models_is_asked_as_it_wants(endpoint: OpenAISimulator, manager: LLMManager) -> None:
    for alias in ("gpt-5", "local"):
        await manager.get(alias).bind(temperature=0.3).ainvoke(ASK, stop=["\n"])
    reasoning, local = (request.body for request in endpoint.requests)
    assert not {"temperature", "stop", "max_tokens"} & reasoning.keys()
    assert reasoning["max_completion_tokens"] > 2048  # room to think
    assert (local["temperature"], local["stop"], local["max_tokens"]) == (0.3, ["\n"], 2048)
    assert "max_completion_tokens" not in local
    assert reasoning["stream_options"] == local["stream_options"] == {"include_usage": True}


async def test_a_caller_says_how_the_answer_is_written(endpoint: OpenAISimulator, manager: LLMManager) -> None:
    """(002-2)"""
    context = {"tenant_id": "t", "user_id": "u", "retriever": None, "clock": None}
    for alias in ("local", "gpt-5", "extractive"):
        asked: Any = Context(model=manager.get(alias), sampling={"temperature": 0.3, "max_tokens": 9}, **context)  # type: ignore[arg-type]
        await asked.writer.ainvoke(ASK)
        await asked.model.ainvoke(ASK)
    local, plain, reasoning, _ = (request.body for request in endpoint.requests)
    assert (local["temperature"], local["max_tokens"]) == (0.3, 9)
    assert ("temperature" in plain, plain["max_tokens"]) == (False, 2048)
    assert "temperature" not in reasoning


async def test_a_fallback_is_asked_the_same_way(endpoint: OpenAISimulator) -> None:
    made = LLMManager(
        settings(openai_base_url=endpoint.url, openai_api_key=KEY, llm_max_retries=0, llm_fallbacks=["local"])
    )
    await made.open()
    endpoint.script(Turn(status=500), Turn("Fine."))
    model: Any = made.get("gpt-5")
    await model.sampled({"temperature": 0.3}).ainvoke(ASK)
    assert endpoint.requests[1].body["temperature"] == 0.3
    await made.close()


async def test_tools_are_bound_and_called_as_with_any_chat_model(
    endpoint: OpenAISimulator, manager: LLMManager
) -> None:
    @tool
    def weather(city: str) -> str:
        """Return the weather."""
        return city

    endpoint.script(Turn("", tool_calls=({"id": "call_1", "name": "weather", "arguments": {"city": "Seoul"}},)))
    message = await manager.get().bind_tools([weather]).ainvoke(ASK)
    assert [(call["name"], call["args"]) for call in message.tool_calls] == [("weather", {"city": "Seoul"})]
    assert endpoint.requests[0].body["tools"][0]["function"]["name"] == "weather"


# The SDK's own type of a streamed answer has no room for the parsed object, of which Pydantic then warns.
@pytest.mark.filterwarnings("ignore:Pydantic serializer warnings")
async def test_structured_output_is_parsed(endpoint: OpenAISimulator, manager: LLMManager) -> None:
    class Verdict(BaseModel):
        good: bool

    endpoint.script(Turn('{"good": true}'))
    assert await manager.get("local").with_structured_output(Verdict).ainvoke(ASK) == Verdict(good=True)


async def test_an_endpoint_that_does_not_count_tokens_is_estimated(
    endpoint: OpenAISimulator, manager: LLMManager
) -> None:
    endpoint.script(Turn("One two three.", usage=False))
    meter = manager.meter()
    await manager.get().ainvoke(ASK, config={"callbacks": [meter]})
    assert meter.usage.estimated
    assert meter.usage.input_tokens > 0
    assert meter.usage.output_tokens > 0


async def test_the_key_of_one_endpoint_is_never_sent_to_another(endpoint: OpenAISimulator) -> None:
    aliases = {"other": ModelAlias(target="m", base_url=endpoint.url)}
    manager = LLMManager(settings(openai_api_key=KEY, llm_aliases=aliases))
    await manager.open()
    await manager.get("other").ainvoke(ASK)
    assert KEY not in str(endpoint.requests[0].headers)
    await manager.close()


def test_without_an_endpoint_only_the_extractive_model_is_there() -> None:
    manager = LLMManager(settings())
    assert manager.names() == ["default", "extractive"]
    assert not manager.has_llm
    assert manager.is_extractive()
    assert manager.get() is manager.get("extractive")
    with pytest.raises(UnsupportedModel, match="OPENAI_API_KEY"):
        manager.get("gpt-5")


def test_an_unknown_model_is_refused_and_the_known_ones_named() -> None:
    manager = LLMManager(settings(openai_api_key=KEY))
    assert manager.names() == ["default", "gpt-5", "gpt-4o-mini", "local", "extractive"]
    with pytest.raises(UnsupportedModel, match="gpt-4o-mini"):
        manager.get("gpt-3.5-turbo")
    with pytest.raises(UnsupportedModel):
        manager.meter("gpt-3.5-turbo")


@pytest.mark.parametrize(("wanted", "target"), [(None, "gpt-5.4"), ("gpt-4o-mini", "gpt-5.4-mini"), ("qwen3", "qwen3")])
async def test_the_default_is_the_model_of_the_settings(
    endpoint: OpenAISimulator, wanted: str | None, target: str
) -> None:
    manager = LLMManager(settings(openai_base_url=endpoint.url, openai_model=wanted))
    await manager.open()
    await manager.get().ainvoke(ASK)
    assert endpoint.requests[0].body["model"] == target
    await manager.close()


def test_a_fallback_that_is_no_model_stops_the_start() -> None:
    with pytest.raises(SettingError, match=r"LLM_FALLBACKS: .*nonsense"):
        load_settings(_env_file=None, llm_fallbacks="nonsense")
