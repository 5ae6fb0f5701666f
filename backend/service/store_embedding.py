"""Which embedding makes store items findable: the server's own, or the one that a `langgraph.json` names."""

import asyncio
from typing import TYPE_CHECKING

from loguru import logger

from backend.core.error import InvalidGraph, Unavailable
from backend.core.graph.loader import load_object
from backend.core.graph.project import Reference, StoreIndexConfig
from backend.core.retrieval.base import Embedder
from backend.dto.store import StoreIndex

if TYPE_CHECKING:
    from langchain_core.embeddings import Embeddings

_MODEL_CHARS = 255


def store_index(config: StoreIndexConfig | None, embedder: Embedder) -> StoreIndex:
    """Return how items are indexed; nothing is imported or called yet."""
    if config is None:

        async def embed(texts: list[str]) -> list[list[float]]:
            return await embedder.embed(texts, bulk=True)

        async def embed_query(text: str) -> list[float]:
            return (await embedder.embed([text]))[0]

        return StoreIndex(embed, model=embedder.key[:_MODEL_CHARS], embed_query=embed_query)
    named = _Named(config.embed)
    return StoreIndex(
        named.embed,
        fields=config.fields or ("$",),
        # The end of a long name says more than its beginning: the function, and the size.
        model=f"{config.embed}-{config.dims}"[-_MODEL_CHARS:],
        dims=config.dims,
        embed_query=named.embed_query,
    )


class _Named:
    """An embedding that a project names, imported at its first use."""

    def __init__(self, name: Reference | str) -> None:
        self._name = name
        self._lock = asyncio.Lock()
        self._embeddings: Embeddings | None = None

    async def embed(self, texts: list[str]) -> list[list[float]]:
        return await (await self._loaded()).aembed_documents(texts)

    async def embed_query(self, text: str) -> list[float]:
        return await (await self._loaded()).aembed_query(text)

    async def _loaded(self) -> "Embeddings":
        async with self._lock:
            if self._embeddings is None:
                try:
                    self._embeddings = await asyncio.to_thread(_load, self._name)
                except (InvalidGraph, ImportError, ValueError) as error:
                    logger.error("the store's embedding {name} cannot be loaded: {error}", name=self._name, error=error)
                    raise Unavailable(
                        "The embedding that store.index names cannot be loaded; the log says why."
                    ) from error
            return self._embeddings


def _load(name: Reference | str) -> "Embeddings":
    from langgraph.store.base import ensure_embeddings

    return ensure_embeddings(load_object(name) if isinstance(name, Reference) else name)
