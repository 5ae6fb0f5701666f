"""Computes the vectors of the shipped corpus anew: `.venv/bin/python script/make_sample_vectors.py`.

Needed after a change of the corpus, of the chunking or of the offline model; a test says so.
"""

import asyncio

import numpy as np

from backend.core.embedding_manager import EmbeddingManager
from backend.core.retrieval.precomputed import digest
from backend.service.sample import SAMPLE_VECTORS, sample_texts


async def main() -> None:
    """Write the file."""
    embedder = EmbeddingManager.build("use-multilingual")
    await embedder.open()
    texts = list(dict.fromkeys(sample_texts()))
    vectors = np.asarray(await embedder.embed(texts, bulk=True), np.float16)
    await embedder.close()
    digests = np.frombuffer(b"".join(digest(text) for text in texts), np.uint8).reshape(len(texts), -1)
    np.savez_compressed(SAMPLE_VECTORS, key=np.array(embedder.key), digests=digests, vectors=vectors)


if __name__ == "__main__":
    asyncio.run(main())
