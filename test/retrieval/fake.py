"""An embedder that needs no model: texts with the same words are alike."""

from collections.abc import Sequence
from zlib import crc32

import numpy as np

from backend.core.retrieval.tokenizer import terms


class WordEmbedder:
    """Adds one direction a term. Counts what it was asked for."""

    def __init__(self, dimensions: int = 256, name: str = "words") -> None:
        self.dimensions = dimensions
        self.key = f"{name}-{dimensions}"
        self.texts: list[str] = []

    async def embed(self, texts: Sequence[str], *, bulk: bool = False) -> list[list[float]]:
        self.texts.extend(texts)
        return [self._vector(text) for text in texts]

    def _vector(self, text: str) -> list[float]:
        vector = np.zeros(self.dimensions, np.float32)
        for term in terms(text):
            vector += np.random.default_rng(crc32(term.encode())).standard_normal(self.dimensions)
        length = float(np.linalg.norm(vector))
        return [float(value) for value in (vector / length if length else vector)]
