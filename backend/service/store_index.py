"""What makes items findable: the texts of an item, their vectors, and how near those are to a query."""

import asyncio
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from langgraph.store.base import get_text_at_path

from backend.core.error import Invalid, UpstreamFailed, UpstreamTimeout
from backend.dto.store import StoreIndex
from backend.repository.store_item import Vectors

Matrix = npt.NDArray[np.float32]

MOST_PATHS = 32
MOST_PATH_CHARS = 256
MOST_CHOICES = 16
"""Fields in the braces of one path."""
MOST_TEXTS = 256
"""Of one item."""
MOST_TEXT_CHARS = 32_000
"""Of one text; a model reads less than this, and what comes behind it says little of the item."""
BATCH = 256
"""Texts that are embedded in one call."""
EMBED_SECONDS = 60
_INLINE_CHARS = 64_000


@dataclass(frozen=True, slots=True)
class Indexed:
    """An item to be embedded."""

    value: Mapping[str, Any]
    size: int
    """Characters of its JSON."""
    paths: Sequence[str] | None
    """Which parts; None for those that are configured."""


def check_paths(paths: Sequence[str]) -> None:
    """Let paths pass that can be followed in bounded time.

    Raises:
        Invalid: there are too many, or one is too long.
    """
    if len(paths) > MOST_PATHS:
        raise Invalid(f"An item is indexed by {MOST_PATHS} paths at most.")
    for path in paths:
        if len(path) > MOST_PATH_CHARS:
            raise Invalid(f"A path to index has {MOST_PATH_CHARS} characters at most.")
        if path.count(",") >= MOST_CHOICES:
            raise Invalid(f"A path to index chooses between {MOST_CHOICES} fields at most.")


class ItemIndex:
    """Embeds items and queries, always before a transaction, never within one."""

    def __init__(self, index: StoreIndex) -> None:
        check_paths(index.fields)
        self._index = index

    @property
    def model(self) -> str:
        return self._index.model

    async def vectors(self, items: Sequence[Indexed]) -> list[Vectors | None]:
        """Return the vectors of each item, None for one without any text.

        Raises:
            Invalid: an item has more texts than can be indexed.
            UpstreamFailed, UpstreamTimeout: the embedding does not answer as it should.
        """
        large = sum(item.size for item in items) > _INLINE_CHARS
        texts = await asyncio.to_thread(self._texts, items) if large else self._texts(items)
        unique = list(dict.fromkeys(text for of_one in texts for text in of_one))
        if not unique:
            return [None] * len(items)
        rows = {text: row for row, text in enumerate(unique)}
        matrix = await self._embed(unique)
        return [
            Vectors(self.model, len(of_one), matrix[[rows[text] for text in of_one]].tobytes()) if of_one else None
            for of_one in texts
        ]

    async def query(self, text: str) -> Matrix:
        """Return the vector of a query.

        Raises:
            UpstreamFailed, UpstreamTimeout: the embedding does not answer as it should.
        """
        embed_query = self._index.embed_query
        if embed_query is None:
            matrix = await self._embed([text[:MOST_TEXT_CHARS]])
        else:
            matrix = self._unit([await _in_time(embed_query(text[:MOST_TEXT_CHARS]))], 1)
        vector: Matrix = matrix[0]
        return vector

    def _texts(self, items: Iterable[Indexed]) -> list[list[str]]:
        return [self._texts_of(item) for item in items]

    def _texts_of(self, item: Indexed) -> list[str]:
        found: dict[str, None] = {}
        for path in self._index.fields if item.paths is None else item.paths:
            for text in get_text_at_path(item.value, path):
                if text.strip():
                    found[text[:MOST_TEXT_CHARS]] = None
            if len(found) > MOST_TEXTS:
                raise Invalid(
                    f"An item can be indexed by {MOST_TEXTS} texts at most; name fewer paths, or index=false."
                )
        return list(found)

    async def _embed(self, texts: list[str]) -> Matrix:
        parts = []
        for start in range(0, len(texts), BATCH):
            batch = texts[start : start + BATCH]
            parts.append(self._unit(await _in_time(self._index.embed(batch)), len(batch)))
        if len({part.shape[1] for part in parts}) > 1:
            raise UpstreamFailed("The embedding of the store gave vectors of different lengths.")
        return np.concatenate(parts)

    def _unit(self, vectors: Any, count: int) -> Matrix:
        try:
            matrix = np.asarray(vectors, dtype="<f4")
        except (TypeError, ValueError) as error:
            raise UpstreamFailed("The embedding of the store gave no vectors of one length.") from error
        if matrix.ndim != 2 or len(matrix) != count or matrix.shape[1] == 0 or not np.isfinite(matrix).all():
            raise UpstreamFailed(f"The embedding of the store gave no {count} vectors of one length.")
        if self._index.dims not in {None, matrix.shape[1]}:
            raise UpstreamFailed(
                f"The embedding of the store gives vectors of {matrix.shape[1]} numbers, and store.index.dims says"
                f" {self._index.dims}."
            )
        norms = np.linalg.norm(matrix, axis=1, keepdims=True)
        norms[norms == 0] = 1
        unit: Matrix = matrix / norms
        return unit


async def _in_time[T](answer: Awaitable[T]) -> T:
    try:
        async with asyncio.timeout(EMBED_SECONDS):
            return await answer
    except TimeoutError as error:
        raise UpstreamTimeout("The embedding of the store did not answer in time.") from error


def similarities(query: Matrix, model: str, found: Sequence[Vectors | None]) -> list[float | None]:
    """Return how near each item's nearest text is to the query (the cosine); None for one that is not indexed so."""
    scores: list[float | None] = [None] * len(found)
    size = query.nbytes
    usable = [
        (number, vectors)
        for number, vectors in enumerate(found)
        if vectors is not None and vectors.model == model and 0 < len(vectors.data) == vectors.count * size
    ]
    if not usable:
        return scores
    data = b"".join(vectors.data for _, vectors in usable)
    each = np.frombuffer(data, dtype="<f4").reshape(-1, len(query)) @ query
    starts = np.cumsum([0, *(vectors.count for _, vectors in usable[:-1])])
    for (number, _), score in zip(usable, np.maximum.reduceat(each, starts).tolist(), strict=True):
        scores[number] = score
    return scores
