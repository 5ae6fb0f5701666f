"""The OpenAI-compatible door, through OpenAI's own client over real HTTP."""

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import httpx
import openai
import orjson
import pytest
import uvicorn
from fastapi import FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send

from backend.api import problem
from backend.api.openai import completion
from backend.api.openai.router import router
from backend.config.setting import Settings
from backend.core.error import DomainError, Forbidden, Unauthorized, Unavailable
from backend.dto.agent import AgentInfo
from backend.dto.event import Cursor, Event
from backend.dto.principal import Principal
from backend.dto.run import RunRequest
from backend.middleware.limit import BodyLimitMiddleware
from backend.middleware.openai_error import OpenAIErrorMiddleware
from backend.middleware.reply import refuse
from backend.schema.openai import ChatCompletionRequest
from test.server import free_port

TOKEN = "right"
ASK: Any = [{"role": "user", "content": "언제 신청하나요?"}]
CITATION = {
    "index": 1,
    "passage_id": "p1",
    "document_id": "d1",
    "title": "공고",
    "path": [],
    "url": "https://example.com/1",
    "score": 0.9,
}
DONE = {
    "run_id": "r1",
    "thread_id": None,
    "status": "success",
    "answer": "3월 5일부터 [1]",
    "message_id": "m1",
    "citations": [CITATION],
    "refused": False,
    "usage": {"model": "default", "input_tokens": 7, "output_tokens": 4, "cost": 0.0, "calls": 1, "latency": 0.1},
}
START = ("start", {"run_id": "r1", "thread_id": None, "agent": "answer", "attempt": 1, "model": "default"})
TOKENS = [("token", {"text": text, "node": "generate", "message_id": "m1"}) for text in ("3월 ", "5일부터", " [1]")]


class FakeRuns:
    """A `RunService` whose runs say what the test has written."""

    def __init__(self) -> None:
        self.says: list[tuple[str, dict[str, Any]]] = [START, *TOKENS, ("done", DONE)]
        self.asked: list[RunRequest] = []
        self.begun = asyncio.Event()
        self.hold = asyncio.Event()
        self.hold.set()
        self.closed = asyncio.Event()

    async def stateless(self, principal: Principal, request: RunRequest) -> AsyncIterator[list[Event]]:
        self.asked.append(request)
        self.begun.set()
        try:
            for seq, (name, data) in enumerate(self.says):
                if seq == 2:
                    await self.hold.wait()
                yield [Event(Cursor(1, seq), name, orjson.dumps(data))]
        finally:
            self.closed.set()


class FakeAgents:
    def names(self) -> list[str]:
        return ["answer", "example"]

    def describe(self, name: str) -> AgentInfo:
        return AgentInfo(name, name.title(), f"What {name} does.")


class Door:
    """Lets in who has the token, as the real middleware does."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            if (b"authorization", f"Bearer {TOKEN}".encode()) not in scope["headers"]:
                await refuse(scope, send, Unauthorized("Invalid access token"))
                return
            scope["state"] = {"principal": Principal("default", "someone"), "request_id": "q"}
        await self.app(scope, receive, send)


class Server(uvicorn.Server):
    """Says when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        self.ready.set()


@pytest.fixture
def runs() -> FakeRuns:
    return FakeRuns()


@pytest.fixture
async def url(runs: FakeRuns) -> AsyncIterator[str]:
    app = FastAPI()
    app.include_router(router)
    problem.install(app)
    app.add_middleware(BodyLimitMiddleware, max_bytes=100_000)
    app.add_middleware(Door)
    app.add_middleware(OpenAIErrorMiddleware)
    app.state.container = SimpleNamespace(
        run_service=lambda: runs,
        graph_registry=FakeAgents,
        llm_manager=lambda: SimpleNamespace(names=lambda: ["default", "gpt-5", "extractive"]),
        settings=lambda: Settings(_env_file=None, max_question_chars=1000),
    )
    port = free_port()
    server = Server(uvicorn.Config(app, port=port, log_config=None, ws="none", lifespan="off"))
    task = asyncio.create_task(server.serve())
    async with asyncio.timeout(60):
        await server.ready.wait()
    yield f"http://127.0.0.1:{port}/v1"
    server.should_exit = True
    runs.hold.set()
    await task


@pytest.fixture
async def client(url: str) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=url, api_key=TOKEN, max_retries=0, timeout=10) as made:
        yield made


async def test_an_answer_comes_whole_with_usage_and_sources(client: openai.AsyncOpenAI, runs: FakeRuns) -> None:
    answer = await client.chat.completions.create(model="answer", messages=ASK)
    message = answer.choices[0].message
    assert (answer.id, answer.object, answer.model) == ("chatcmpl-r1", "chat.completion", "answer")
    assert (message.role, message.content, answer.choices[0].finish_reason) == ("assistant", "3월 5일부터 [1]", "stop")
    assert answer.usage
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.usage.total_tokens) == (7, 4, 11)
    assert message.annotations
    assert message.annotations[0].url_citation.url == CITATION["url"]
    assert message.annotations[0].url_citation.start_index == str(message.content).index("[1]")
    assert message.model_extra == {"citations": [CITATION], "refused": False}
    assert runs.asked[0].agent == "answer"


async def test_an_answer_is_streamed_and_the_last_chunks_bring_sources_and_usage(client: openai.AsyncOpenAI) -> None:
    stream = await client.chat.completions.create(
        model="answer", messages=ASK, stream=True, stream_options={"include_usage": True}
    )
    chunks = [chunk async for chunk in stream]
    texts = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices and chunk.choices[0].delta.content]
    assert texts == ["3월 ", "5일부터", " [1]"]
    assert chunks[0].choices[0].delta.role == "assistant"
    *_, last, usage = chunks
    assert last.choices[0].finish_reason == "stop"
    assert last.choices[0].delta.model_extra
    assert last.choices[0].delta.model_extra["citations"] == [CITATION]
    assert usage.choices == []
    assert usage.usage
    assert usage.usage.total_tokens == 11
    assert {chunk.id for chunk in chunks} == {"chatcmpl-r1"}
    assert all(chunk.usage is None for chunk in chunks[:-1])


async def test_usage_is_streamed_only_when_it_is_asked_for(url: str) -> None:
    async with httpx.AsyncClient(headers={"Authorization": f"Bearer {TOKEN}"}, timeout=60) as http:
        answer = await http.post(f"{url}/chat/completions", json={"messages": ASK, "stream": True})
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.text.endswith("data: [DONE]\n\n")
    assert "usage" not in answer.text


async def test_tokens_arrive_while_the_run_goes_on_and_silence_is_filled(
    client: openai.AsyncOpenAI, runs: FakeRuns, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(completion.with_heartbeats, "__defaults__", (0.05,))
    runs.hold.clear()
    async with asyncio.timeout(60):
        stream = await client.chat.completions.create(model="answer", messages=ASK, stream=True)
        async for chunk in stream:
            if chunk.choices and chunk.choices[0].delta.content:
                break
        assert not runs.closed.is_set()
        runs.hold.set()
        rest = [chunk.choices[0].delta.content async for chunk in stream]
    assert rest[:2] == ["5일부터", " [1]"]


@pytest.mark.parametrize("refusal", [Unauthorized("Invalid access token"), Forbidden("This tenant is suspended.")])
async def test_the_stream_of_who_would_not_be_let_in_any_more_ends(
    runs: FakeRuns, refusal: DomainError, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(completion, "RECHECK_SECONDS", 0.01)
    runs.hold.clear()

    async def check() -> None:
        raise refusal

    asked = ChatCompletionRequest.model_validate({"messages": ASK, "stream": True})
    events = completion.with_heartbeats(runs.stateless(Principal("t", "u"), RunRequest(agent="answer")), 0.02)
    async with asyncio.timeout(60):
        said = b"".join([part async for part in completion.follow(completion.Completion(asked), events, check)])
    assert refusal.detail.encode() in said
    assert b"[DONE]" not in said
    assert runs.closed.is_set()


async def test_a_stream_goes_on_while_that_cannot_be_found_out(runs: FakeRuns, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(completion, "RECHECK_SECONDS", 0.0)
    checks = 0

    async def check() -> None:
        nonlocal checks
        checks += 1
        raise Unavailable("The database does not answer.")

    asked = ChatCompletionRequest.model_validate({"messages": ASK, "stream": True})
    events = completion.with_heartbeats(runs.stateless(Principal("t", "u"), RunRequest(agent="answer")))
    async with asyncio.timeout(60):
        said = b"".join([part async for part in completion.follow(completion.Completion(asked), events, check)])
    assert said.endswith(b"data: [DONE]\n\n")
    assert checks > 0


@pytest.mark.parametrize("streamed", [True, False])
async def test_a_run_is_stopped_when_its_client_goes_away(url: str, runs: FakeRuns, streamed: bool) -> None:
    runs.hold.clear()
    body = {"messages": ASK, "stream": streamed}
    async with asyncio.timeout(60):
        async with httpx.AsyncClient(headers={"Authorization": f"Bearer {TOKEN}"}, timeout=5) as http:
            asking = asyncio.create_task(http.post(f"{url}/chat/completions", json=body))
            await runs.begun.wait()
            asking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asking
        await runs.closed.wait()


@pytest.mark.parametrize(
    ("model", "agent", "alias"),
    [
        ("answer", "answer", None),
        ("example", "example", None),
        ("gpt-5", "answer", "gpt-5"),
        ("example:gpt-5", "example", "gpt-5"),
    ],
)
async def test_a_model_is_an_agent_an_alias_or_both(
    client: openai.AsyncOpenAI, runs: FakeRuns, model: str, agent: str, alias: str | None
) -> None:
    await client.chat.completions.create(model=model, messages=ASK)
    assert (runs.asked[0].agent, runs.asked[0].model) == (agent, alias)
    assert (await client.models.retrieve(model)).id == model


async def test_agents_and_aliases_are_listed(client: openai.AsyncOpenAI) -> None:
    listed = await client.models.list()
    assert [card.id for card in listed.data] == ["answer", "example", "default", "gpt-5", "extractive"]


async def test_every_role_and_form_of_message_is_taken(client: openai.AsyncOpenAI, runs: FakeRuns) -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"at": 1}'}}
    messages: Any = [
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "One"}, {"type": "text", "text": "two"}]},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "seen"},
        {"role": "user", "content": "And?", "name": "kim"},
    ]
    await client.chat.completions.create(model="answer", messages=messages, temperature=0.2, seed=1, user="u")
    system, user, assistant, tool, last = runs.asked[0].input["messages"]
    assert system["role"] == "system"
    assert user["content"] == "One\ntwo"
    assert assistant["tool_calls"] == [call]
    assert (tool["role"], tool["tool_call_id"]) == ("tool", "c1")
    assert last["name"] == "kim"


@pytest.mark.parametrize("stream", [True, False])
async def test_a_run_that_fails_at_once_has_its_status_in_either_form(
    client: openai.AsyncOpenAI, runs: FakeRuns, stream: bool
) -> None:
    failure = {
        "type": "/problems/too-many",
        "title": "Too many requests",
        "status": 429,
        "detail": "Later.",
        "retry_after": 7,
    }
    runs.says = [START, ("error", failure)]
    with pytest.raises(openai.RateLimitError) as caught:
        await client.chat.completions.create(model="answer", messages=ASK, stream=stream)
    assert caught.value.code == "rate_limit_exceeded"
    assert caught.value.response.headers["retry-after"] == "7"


async def test_a_run_that_fails_later_ends_the_stream_with_an_error(client: openai.AsyncOpenAI, runs: FakeRuns) -> None:
    failure = {"type": "/problems/upstream-failed", "title": "x", "status": 502, "detail": "The model failed."}
    runs.says = [START, TOKENS[0], ("error", failure)]
    stream = await client.chat.completions.create(model="answer", messages=ASK, stream=True)
    with pytest.raises(openai.APIError, match="The model failed"):
        _ = [chunk async for chunk in stream]


async def test_an_agent_that_stops_to_ask_is_an_error_here(client: openai.AsyncOpenAI, runs: FakeRuns) -> None:
    runs.says = [START, ("interrupt", {"interrupts": []}), ("done", {**DONE, "status": "interrupted", "answer": None})]
    with pytest.raises(openai.ConflictError):
        await client.chat.completions.create(model="answer", messages=ASK)


async def test_an_answer_that_is_not_streamed_by_its_node_comes_in_one_piece(
    client: openai.AsyncOpenAI, runs: FakeRuns
) -> None:
    runs.says = [START, ("done", {**DONE, "answer": None, "output": {"sum": 3}})]
    stream = await client.chat.completions.create(model="example", messages=ASK, stream=True)
    texts = [chunk.choices[0].delta.content async for chunk in stream]
    assert '{"sum":3}' in texts


@pytest.mark.parametrize(
    ("body", "status", "code", "param"),
    [
        ({"model": "gpt-3.5", "messages": ASK}, 404, "model_not_found", "model"),
        ({"model": "answer"}, 400, "invalid", "messages"),
        ({"messages": []}, 400, "invalid", "messages"),
        ({"messages": [{"role": "wizard", "content": "x"}]}, 400, "invalid", "messages.0.role"),
        ({"messages": [{"role": "user"}]}, 400, "invalid", "messages.0"),
        ({"messages": [{"role": "tool", "content": "x"}]}, 400, "invalid", "messages.0"),
        ({"messages": [{"role": "system", "content": "x"}]}, 400, "invalid", None),
        ({"messages": ASK, "n": 2}, 400, "invalid", None),
        ({"messages": ASK, "temperature": 2.5}, 400, "invalid", "temperature"),
        ({"messages": ASK, "max_tokens": 0}, 400, "invalid", "max_tokens"),
        ({"messages": ASK, "stop": ["a", "b", "c", "d", "e"]}, 400, "invalid", "stop"),
        ({"messages": ASK, "tools": [{"type": "function"}]}, 400, "invalid", None),
        ({"messages": ASK, "response_format": {"type": "json_object"}}, 400, "invalid", None),
        ({"messages": [{"role": "user", "content": "x" * 1001}]}, 400, "invalid", "messages"),
        ({"messages": [{"role": "user", "content": "x" * 200_000}]}, 413, "too_large", None),
    ],
)
async def test_what_cannot_be_honoured_is_refused_in_openais_words(
    url: str, runs: FakeRuns, body: dict[str, Any], status: int, code: str, param: str | None
) -> None:
    async with httpx.AsyncClient(headers={"Authorization": f"Bearer {TOKEN}"}, timeout=60) as http:
        answer = await http.post(f"{url}/chat/completions", json=body)
    error = answer.json()["error"]
    assert (answer.status_code, error["type"], error["code"]) == (status, "invalid_request_error", code)
    assert error["param"] == param
    assert error["message"]
    assert not runs.asked


async def test_what_is_not_json_not_there_or_not_allowed_is_refused_in_openais_words(url: str) -> None:
    async with httpx.AsyncClient(timeout=60) as http:
        refused = await http.get(f"{url}/models")
        known = {"Authorization": f"Bearer {TOKEN}"}
        garbled = await http.post(
            f"{url}/chat/completions", content="{not json", headers=known | {"Content-Type": "application/json"}
        )
        untyped = await http.post(f"{url}/chat/completions", content="{not json", headers=known)
        missing = await http.get(f"{url}/nothing", headers=known)
        wrong = await http.get(f"{url}/chat/completions", headers=known)
    answers = [refused, garbled, untyped, missing, wrong]
    assert [answer.status_code for answer in answers] == [401, 400, 415, 404, 405]
    assert all(set(answer.json()["error"]) == {"message", "type", "param", "code"} for answer in answers)
    assert refused.json()["error"]["code"] == "invalid_api_key"
    assert refused.headers["www-authenticate"] == "Bearer"
