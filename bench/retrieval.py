"""Fits the evidence gate: `python -m bench.retrieval FOLDER FOLDER …`, each a data set (`backend/service/data_set.py`).

Every data set is asked its own questions, which it can answer, and those of all the others, which it cannot. Where the
documents have titles, half of the titles are also asked about the other half: the hardest case, questions of the same
kind whose answer is not there. A logistic rule on coverage and cosine is fitted to all of them, each side of each pair
counting the same. Prints the constants for `backend/core/retrieval/evidence.py` and what the rule would do there.
"""

import argparse
import asyncio
from pathlib import Path

import numpy as np
import numpy.typing as npt

from backend.core.embedding_manager import EmbeddingManager
from backend.service.data_set import DataSet, read_data_set
from backend.service.evaluation import Evaluation, drawn

QUESTIONS = 400
_RIDGE = 1e-3
_STEPS = 50

Rows = npt.NDArray[np.float64]


async def signs(evaluation: Evaluation, corpus: DataSet, askers: list[DataSet]) -> dict[str, Rows]:
    """Return one row `(1, coverage, cosine)` for each question that each asker puts to the corpus."""
    found = {}
    async with evaluation.knowledge(corpus, lambda *_: None) as search:
        for asker in askers:
            rankings = [await search.rank(question.text) for question in drawn(asker.questions, QUESTIONS)]
            found[asker.name] = np.array([(1.0, ranking.coverage, ranking.cosine) for ranking in rankings])
    return found


def halves(data: DataSet) -> list[DataSet]:
    """Return the data set in two, no title in both; nothing when it has no titles."""
    titles = sorted({document.title for document in data.documents})
    if len(titles) < 2:
        return []
    parts = []
    for number in range(2):
        documents = tuple(one for one in data.documents if one.title in titles[number::2])
        names = {one.name for one in documents}
        questions = tuple(one for one in data.questions if one.right <= names)
        parts.append(DataSet(f"{data.name} (half {number + 1})", documents, questions))
    return parts


def fit(own: list[Rows], foreign: list[Rows]) -> npt.NDArray[np.float64]:
    """Return bias, coverage and cosine of the rule that tells `own` from `foreign` best (Newton's method)."""
    rows = np.concatenate(own + foreign)
    wanted = np.concatenate([np.ones(sum(map(len, own))), np.zeros(sum(map(len, foreign)))])
    weight = np.concatenate([np.full(len(part), 1 / len(side) / len(part)) for side in (own, foreign) for part in side])
    constants = np.zeros(3)
    for _ in range(_STEPS):
        chance = 1 / (1 + np.exp(-rows @ constants))
        slope = rows.T @ (weight * (wanted - chance)) - _RIDGE * constants
        bend = (rows * (weight * chance * (1 - chance))[:, None]).T @ rows + _RIDGE * np.eye(3)
        constants = constants + np.linalg.solve(bend, slope)
    return constants


def auroc(own: Rows, foreign: Rows) -> float:
    return float((own[:, None] > foreign[None, :]).mean() + (own[:, None] == foreign[None, :]).mean() / 2)


async def main(folders: list[Path]) -> None:
    embedder = EmbeddingManager.build("use-multilingual")
    sets = [read_data_set(folder) for folder in folders]
    corpora = [(one, sets) for one in sets] + [(parts[0], parts) for one in sets if (parts := halves(one))]
    found = {corpus.name: await signs(Evaluation(embedder), corpus, askers) for corpus, askers in corpora}
    own = [rows[name] for name, rows in found.items()]
    foreign = [rows for corpus, asked in found.items() for name, rows in asked.items() if name != corpus]
    bias, coverage, cosine = constants = fit(own, foreign)
    print(f"{embedder.key}: bias={bias:.1f} coverage={coverage:.1f} cosine={cosine:.1f}")
    for corpus, asked in found.items():
        inside = asked[corpus] @ constants
        print(f"{corpus}: refuses {np.mean(inside < 0):.1%} of its own questions")
        for name, rows in asked.items():
            if name != corpus:
                outside = rows @ constants
                print(f"  {name}: AUROC {auroc(inside, outside):.4f}, answers {np.mean(outside >= 0):.1%}")
    await embedder.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="+")
    asyncio.run(main(parser.parse_args().folder))
