"""A toy embedding: a bag of words in sixteen buckets, so that texts that share words are near each other."""

from math import sqrt
from zlib import crc32

DIMENSIONS = 16


async def embed(texts: list[str]) -> list[list[float]]:
    """Return a vector of length one for each text."""
    return [_vector(text) for text in texts]


def _vector(text: str) -> list[float]:
    counts = [0.0] * DIMENSIONS
    for word in text.lower().split():
        counts[crc32(word.strip(".,:;{}\"'").encode()) % DIMENSIONS] += 1
    length = sqrt(sum(count * count for count in counts)) or 1.0
    return [count / length for count in counts]
