"""The shipped corpus: notices of K-Startup (창업진흥원), so that the first question has an answer."""

import json
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

from backend.core.collector.file.document import Limits
from backend.core.collector.file.markdown import read_markdown
from backend.core.retrieval.chunking import chunk, index_text
from backend.repository.job import JobFile

_FOLDER = Path(__file__).resolve().parent.parent / "sample"
SAMPLE = _FOLDER / "kstartup.jsonl"
"""A document a line: `source`, `title`, `text` (Markdown), `url`, `metadata`."""
SAMPLE_VECTORS = _FOLDER / "kstartup.npz"
"""The vectors of its passages by the offline model (see `core/retrieval/precomputed.py`)."""


def read_sample(path: Path = SAMPLE) -> tuple[str, list[JobFile]]:
    """Return the corpus' version and its documents."""
    data = path.read_bytes()
    files = []
    for line in data.splitlines():
        record = json.loads(line)
        source = record.pop("source")
        files.append(JobFile(source, content=record))
    return sha256(data).hexdigest(), files


def sample_texts() -> Iterator[str]:
    """Yield what is embedded of each passage of the corpus."""
    for file in read_sample()[1]:
        content = file.content or {}
        document = read_markdown(content["text"], content["title"], Limits())
        for piece in chunk(document.sections):
            yield index_text(document.title, piece.path, piece.text)
