"""Fits the evidence gate: `python -m bench.retrieval FOLDER FOLDER …`, each a data set (`backend/service/data_set.py`).

Every data set is asked its own questions, which it can answer, and those of all the others, which it cannot. Where the
documents have titles, half of the titles are also asked about the other half: the hardest case, questions of the same
kind whose answer is not there. The shipped corpus takes part with every other question of
`test/retrieval/gate_questions.json`; the rest stays for the test.

A logistic rule on what speaks for the passages is fitted to all of them, each side of each pair counting the same.
Questions in another language than the passages get a rule of their own, where a corpus has such questions about itself.
Prints the constants for `backend/core/retrieval/evidence.py` and what each rule would do there.
"""

import argparse
import asyncio
import json
from pathlib import Path
from typing import get_args

import numpy as np
import numpy.typing as npt

from backend.core.embedding_manager import EmbeddingManager
from backend.core.retrieval.evidence import Rule
from backend.service.data_set import DataSet, Question, Source, read_data_set
from backend.service.evaluation import Evaluation, drawn
from backend.service.sample import read_sample

QUESTIONS = 400
LEAST = 10
"""Fewer questions of an asker under one rule say nothing about it."""
_GATE_QUESTIONS = Path(__file__).resolve().parent.parent / "test/retrieval/gate_questions.json"
_RIDGE = 1e-3
_STEPS = 50

Rows = npt.NDArray[np.float64]


Found = dict[tuple[str, str], Rows]
"""By corpus and asker."""


async def signs(evaluation: Evaluation, corpus: DataSet, askers: list[DataSet]) -> dict[Rule, Found]:
    """Return one row `(1, coverage, cosine, acronyms)` for each question that each asker puts to the corpus."""
    found: dict[Rule, Found] = {rule: {} for rule in get_args(Rule)}
    async with evaluation.knowledge(corpus, lambda *_: None) as search:
        for asker in askers:
            asked = [(await search.rank(question.text)).signs for question in drawn(asker.questions, QUESTIONS)]
            for rule, pairs in found.items():
                rows = [(1.0, one.coverage, one.cosine, one.acronyms) for one in asked if one.rule == rule]
                if len(rows) >= LEAST:
                    pairs[corpus.name, asker.name] = np.array(rows)
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


def shipped() -> tuple[DataSet, DataSet]:
    """Return the shipped corpus with questions that it answers, and questions that it does not."""
    documents = [
        Source(file.source, file.content["title"], file.content["text"]) for file in read_sample()[1] if file.content
    ]
    asked = {
        kind: tuple(Question(one["question"], frozenset(one.get("sources", ()))) for one in questions[::2])
        for kind, questions in json.loads(_GATE_QUESTIONS.read_text("utf-8")).items()
    }
    outside = asked.pop("outside")
    inside = tuple(question for questions in asked.values() for question in questions)
    return DataSet("shipped", tuple(documents), inside), DataSet("outside", (), outside)


def fit(own: list[Rows], foreign: list[Rows]) -> npt.NDArray[np.float64]:
    """Return the constants of the rule that tells `own` from `foreign` best (Newton's method), in a row's order."""
    rows = np.concatenate(own + foreign)
    wanted = np.concatenate([np.ones(sum(map(len, own))), np.zeros(sum(map(len, foreign)))])
    weight = np.concatenate([np.full(len(part), 1 / len(side) / len(part)) for side in (own, foreign) for part in side])
    constants = np.zeros(rows.shape[1])
    for _ in range(_STEPS):
        chance = 1 / (1 + np.exp(-rows @ constants))
        slope = rows.T @ (weight * (wanted - chance)) - _RIDGE * constants
        bend = (rows * (weight * chance * (1 - chance))[:, None]).T @ rows + _RIDGE * np.eye(len(constants))
        constants = constants + np.linalg.solve(bend, slope)
    return constants


def auroc(own: Rows, foreign: Rows) -> float:
    return float((own[:, None] > foreign[None, :]).mean() + (own[:, None] == foreign[None, :]).mean() / 2)


async def main(folders: list[Path]) -> None:
    embedder = EmbeddingManager.build("use-multilingual")
    sets = [read_data_set(folder) for folder in folders]
    corpora = [(one, sets) for one in sets] + [(parts[0], parts) for one in sets if (parts := halves(one))]
    sample, outside = shipped()
    corpora.append((sample, [sample, outside]))
    measured = [await signs(Evaluation(embedder), corpus, askers) for corpus, askers in corpora]
    await embedder.close()
    for rule in get_args(Rule):
        found = {pair: rows for one in measured for pair, rows in one[rule].items()}
        own = {corpus: rows for (corpus, asker), rows in found.items() if corpus == asker}
        foreign = {pair: rows for pair, rows in found.items() if pair[0] != pair[1]}
        if own and foreign:
            report(f"{embedder.key}, {rule}", own, foreign)


def report(name: str, own: dict[str, Rows], foreign: Found) -> None:
    constants = fit(list(own.values()), list(foreign.values()))
    bias, coverage, cosine, acronyms = constants
    print(f"{name}: bias={bias:.1f} coverage={coverage:.1f} cosine={cosine:.1f} acronyms={acronyms:.1f}")
    for corpus, inside in own.items():
        print(f"  {corpus}: refuses {np.mean(inside @ constants < 0):.1%} of its own questions")
    for (corpus, asker), outside in foreign.items():
        answered = f"answers {np.mean(outside @ constants >= 0):.1%}"
        separation = f", AUROC {auroc(own[corpus] @ constants, outside @ constants):.4f}" if corpus in own else ""
        print(f"  {corpus} asked by {asker}: {answered}{separation}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="+")
    asyncio.run(main(parser.parse_args().folder))
