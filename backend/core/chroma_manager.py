"""Vectors in an embedded Chroma: a collection for each tenant, corpus and embedding model, all in one folder.

Two processes on one Chroma folder corrupt it without a word (a later start crashes, or vectors are missing), so the
folder has an owner, one process, who holds a lock on its file `.owner` for as long as it lives.
"""

import asyncio
import fcntl
import os
import re
import shutil
import sqlite3
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, get_args

import numpy as np
from langchain_core.embeddings import Embeddings
from loguru import logger

from backend.core.error import IndexMismatch, Unavailable
from backend.core.retrieval.base import Embedder
from backend.dto.knowledge import KNOWLEDGE, Corpus

if TYPE_CHECKING:
    from chromadb.api import ClientAPI
    from chromadb.api.models.Collection import Collection as ChromaCollection
    from langchain_chroma import Chroma

T = TypeVar("T")

BATCH = 500
"""Vectors in one write: Chroma is fastest from a few hundred up, and a search may come between two batches."""
READERS = 2
_INDEX = {"hnsw": {"space": "cosine", "ef_construction": 200, "ef_search": 200, "max_neighbors": 32}}
_PAGE = 500
_EMBED_SECONDS = 120.0
_SEGMENT = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class ChromaManager:
    """Owns the folder; hands out the vectors of each tenant (`of`), and LangChain vector stores (`vector_store`)."""

    def __init__(self, path: Path, embedder: Embedder) -> None:
        self._path = path
        self._embedder = embedder
        self._owner: int | None = None
        self._client: ClientAPI | None = None
        self._collections: dict[str, ChromaCollection] = {}
        """By prefix."""
        self._opening = asyncio.Lock()
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="chroma-read")
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="chroma-write")

    async def open(self) -> None:
        """Become the owner of the folder, and load Chroma: half a second that the first question need not wait.

        Raises:
            Unavailable: another process owns it; the message says which.
        """
        await self.client()

    async def close(self) -> None:
        await asyncio.to_thread(self._readers.shutdown, cancel_futures=True)
        await asyncio.to_thread(self._writer.shutdown)
        self._collections.clear()
        if self._client is not None:
            await asyncio.to_thread(self._client.close)  # type: ignore[attr-defined]  # only `Client` declares it
            self._client = None
        if self._owner is not None:
            os.close(self._owner)  # which gives the lock back; the file stays, since another may be waiting for it
            self._owner = None

    def of(self, tenant_id: str, corpus: Corpus = KNOWLEDGE) -> "ChromaVectorIndex":
        """Return the vectors of one of the tenant's corpora."""
        return ChromaVectorIndex(self, tenant_id, corpus)

    async def vector_store(self, tenant_id: str, name: str) -> "Chroma":
        """Return a LangChain vector store of the tenant, for what a graph wants to find again by meaning.

        It is kept beside the knowledge, in a collection of its own (`name`: 1 to 64 letters, digits, `_` and `-`), with
        the server's embedding model. Use its `a…` methods.

        Raises:
            ValueError: `name` cannot be used.
        """
        if not (0 < len(name) <= 64 and name.isascii() and name.replace("_", "").replace("-", "").isalnum()):
            raise ValueError(f"{name!r} is not a name of a vector store.")
        client = await self.client()
        embeddings = LangChainEmbeddings(self._embedder, asyncio.get_running_loop())

        def make() -> "Chroma":
            from langchain_chroma import Chroma

            return Chroma(
                client=client,
                # Passages have the prefix `t-`, so no name given here can reach them.
                collection_name=f"s-{tenant_id}.{name}.{self._embedder.key}",
                embedding_function=embeddings,
                collection_configuration=_INDEX,  # type: ignore[arg-type]  # a plain dict is a CreateCollectionConfiguration
            )

        return await self.write(make)

    async def purge(self, tenant_id: str, corpora: Collection[Corpus] | None = None) -> None:
        """Remove the vectors of these corpora, of every embedding model; for None, whatever is kept of the tenant.

        It is also the way to another embedding model: embed again afterwards.
        """
        client = await self.client()
        prefixes = [_prefix(tenant_id, corpus) for corpus in (get_args(Corpus) if corpora is None else corpora)]
        prefixes += [f"s-{tenant_id}."] if corpora is None else []

        def work() -> None:
            for prefix in prefixes:
                for name in _names(client, prefix):
                    client.delete_collection(name)
            _remove_strays(self._path)

        for prefix in prefixes:
            self._collections.pop(prefix, None)
        await self.write(work)

    async def collection(self, tenant_id: str, corpus: Corpus = KNOWLEDGE) -> "ChromaCollection":
        """Return the collection of one of the tenant's corpora, made when there is none.

        Raises:
            IndexMismatch: it was made with another model.
        """
        prefix = _prefix(tenant_id, corpus)
        known = self._collections.get(prefix)
        if known is not None:
            return known
        client = await self.client()
        async with self._opening:
            if prefix not in self._collections:
                self._collections[prefix] = await self.write(lambda: self._open_collection(client, prefix))
        return self._collections[prefix]

    async def client(self) -> "ClientAPI":
        """Return the client, opened at the first call."""
        if self._client is None:
            async with self._opening:
                if self._owner is None:
                    self._owner = await asyncio.to_thread(_own, self._path)
                if self._client is None:
                    self._client = await self.write(self._connect)
        return self._client

    async def read(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._readers, work)

    async def write(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._writer, work)

    def _connect(self) -> "ClientAPI":
        import chromadb
        from chromadb.config import Settings

        client = chromadb.PersistentClient(self._path, settings=Settings(anonymized_telemetry=False))
        _remove_strays(self._path)
        return client

    def _open_collection(self, client: "ClientAPI", prefix: str) -> "ChromaCollection":
        made_with = {"model": self._embedder.key, "dimensions": self._embedder.dimensions}
        own = prefix + self._embedder.key
        names = _names(client, prefix)
        if own not in names:
            for other in names:
                if client.get_collection(other, embedding_function=None).count():
                    raise _mismatch(other.removeprefix(prefix), self._embedder.key)
        collection = client.get_or_create_collection(
            own,
            embedding_function=None,
            metadata=made_with,
            configuration=_INDEX,  # type: ignore[arg-type]  # a plain dict is a CreateCollectionConfiguration
        )
        remembered = collection.metadata or {}
        if any(remembered.get(name) != value for name, value in made_with.items()):
            raise _mismatch(f"{remembered.get('model')} ({remembered.get('dimensions')})", self._embedder.key)
        return collection


class ChromaVectorIndex:
    """A `VectorIndex` of one tenant: a collection."""

    def __init__(self, manager: ChromaManager, tenant_id: str, corpus: Corpus) -> None:
        self._manager = manager
        self._tenant_id = tenant_id
        self._corpus: Corpus = corpus

    async def upsert(self, passage_ids: Sequence[str], vectors: Sequence[Sequence[float]]) -> None:
        collection = await self._manager.collection(self._tenant_id, self._corpus)
        for start in range(0, len(passage_ids), BATCH):
            ids = list(passage_ids[start : start + BATCH])
            array = np.asarray(vectors[start : start + BATCH], np.float32)
            await self._manager.write(partial(collection.upsert, ids=ids, embeddings=array))

    async def remove(self, passage_ids: Sequence[str]) -> None:
        collection = await self._manager.collection(self._tenant_id, self._corpus)
        for start in range(0, len(passage_ids), BATCH):
            await self._manager.write(partial(collection.delete, ids=list(passage_ids[start : start + BATCH])))

    async def query(self, vector: Sequence[float], limit: int) -> list[tuple[str, float]]:
        collection = await self._manager.collection(self._tenant_id, self._corpus)

        def work() -> list[tuple[str, float]]:
            array = np.asarray([vector], np.float32)
            found = collection.query(query_embeddings=array, n_results=limit, include=["distances"])
            distances = found["distances"]
            assert distances is not None  # they are included
            pairs = [(name, 1.0 - float(away)) for name, away in zip(found["ids"][0], distances[0], strict=True)]
            # Equal cosines are ordered by id, so that a search always answers the same.
            return sorted(pairs, key=lambda pair: (-pair[1], pair[0]))

        return await self._manager.read(work)


class LangChainEmbeddings(Embeddings):
    """Our embedder as LangChain's, for its vector stores, which embed in a thread."""

    def __init__(self, embedder: Embedder, loop: asyncio.AbstractEventLoop) -> None:
        self._embedder = embedder
        self._loop = loop

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return self._wait(texts, bulk=True)

    def embed_query(self, text: str) -> list[float]:
        return self._wait([text], bulk=False)[0]

    async def aembed_documents(self, texts: list[str]) -> list[list[float]]:
        return await self._embedder.embed(texts, bulk=True)

    async def aembed_query(self, text: str) -> list[float]:
        return (await self._embedder.embed([text]))[0]

    def _wait(self, texts: list[str], *, bulk: bool) -> list[list[float]]:
        try:
            running = asyncio.get_running_loop()
        except RuntimeError:
            running = None
        if running is self._loop:
            raise RuntimeError("this would wait for itself: use the vector store's async methods")
        call = asyncio.run_coroutine_threadsafe(self._embedder.embed(texts, bulk=bulk), self._loop)
        return call.result(_EMBED_SECONDS)


def _prefix(tenant_id: str, corpus: Corpus) -> str:
    # A tenant's name has no dot, so no tenant's prefix begins another's, and no two names are the same.
    return f"t-{tenant_id}." if corpus == KNOWLEDGE else f"c-{tenant_id}.{corpus}."


def _names(client: "ClientAPI", prefix: str) -> list[str]:
    names: list[str] = []
    for offset in range(0, client.count_collections(), _PAGE):
        names.extend(found.name for found in client.list_collections(limit=_PAGE, offset=offset))
    return [name for name in names if name.startswith(prefix)]


def _remove_strays(path: Path) -> None:
    """Remove the folders of collections that are no more: Chroma forgets a collection, and leaves its vectors there.

    It has to be done by the thread that writes: none other makes a collection meanwhile. Only its own tables know which
    folder is whose. That closing them drops the locks that Chroma's own SQLite has on the file does no harm: it keeps
    account of them by itself, and no other process has the folder.
    """
    with closing(sqlite3.connect(f"{(path / 'chroma.sqlite3').resolve().as_uri()}?mode=ro", uri=True)) as database:
        segments = {str(segment) for (segment,) in database.execute("SELECT id FROM segments")}
    for folder in path.iterdir():
        if _SEGMENT.fullmatch(folder.name) and folder.name not in segments:
            shutil.rmtree(folder)
            logger.debug("removed {folder}, the vectors of a collection that is no more", folder=folder)


def _mismatch(built: str, configured: str) -> IndexMismatch:
    return IndexMismatch(
        f"The vectors were made with {built}, and EMBEDDING_MODEL is {configured} now."
        " Set it back, or ingest the documents again.",
        built_with=built,
        configured=configured,
    )


def _own(path: Path) -> int:
    """Lock the folder for this process and write our number into the lock's file."""
    path.mkdir(parents=True, exist_ok=True)
    file = path / ".owner"
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        holder = os.read(descriptor, 32).decode(errors="replace").strip() or "unknown"
        os.close(descriptor)
        raise Unavailable(
            f"The folder {path} is in use by the process {holder} (lock {file})."
            " Two processes would corrupt it: stop that one, or set another DATA_DIR.",
            pid=holder,
        ) from error
    os.ftruncate(descriptor, 0)
    os.write(descriptor, str(os.getpid()).encode())
    logger.debug("{path} is ours", path=path)
    return descriptor
