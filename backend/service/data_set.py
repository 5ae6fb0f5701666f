"""Reads the data sets that retrieval is measured on.

A folder may hold one of

- **questions**: `*.jsonl`, each line `{"query": …, "document": …, "title"?: …, "answer"?: …}`. The text of `document`
  is what the query should find; equal texts are one document.
- **KorQuAD / SQuAD 1.1**: `*.json` with `data[].paragraphs[].qas[]`. Each paragraph is a document.
- **intents**: `train.csv` and `test.csv` with the columns `text,category`. Each training message is a document; a hit
  is right when it has the message's intent.
- **notices**: `*.json` with `notices[]` as K-Startup gives them. A notice's title asks for the notice, whose title is
  not shown.
"""

import csv
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backend.core.error import InvalidFile


@dataclass(frozen=True, slots=True)
class Source:
    """A document of a data set."""

    name: str
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Question:
    text: str
    right: frozenset[str]
    """Names of the documents that answer it."""
    answers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DataSet:
    name: str
    documents: tuple[Source, ...]
    questions: tuple[Question, ...]
    similar: bool = False
    """Whether many documents are right, so precision counts and not the rank of the one."""


def read_data_set(folder: Path) -> DataSet:
    """Return the data set that `folder` holds.

    Raises:
        InvalidFile: none of a known form.
    """
    try:
        if (folder / "train.csv").is_file() and (folder / "test.csv").is_file():
            return _intents(folder)
        for file in sorted(folder.glob("*.jsonl")):
            return _pairs(folder.name, file)
        for file in sorted(folder.glob("*.json")):
            content = json.loads(file.read_text("utf-8"))
            if isinstance(content, dict) and "data" in content:
                return _paragraphs(folder.name, content)
            if isinstance(content, dict) and "notices" in content:
                return _notices(folder.name, content)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InvalidFile(f"{folder} cannot be read as a data set: {error}") from error
    raise InvalidFile(f"{folder} holds no data set: *.jsonl with query and document, KorQuAD's *.json, or train.csv.")


def _pairs(name: str, file: Path) -> DataSet:
    documents: dict[str, Source] = {}
    questions = []
    with file.open(encoding="utf-8") as lines:
        for line in lines:
            if not line.strip():
                continue
            pair = json.loads(line)
            text = str(pair["document"])
            document = documents.setdefault(
                text, Source(f"document-{len(documents)}", str(pair.get("title", "")), text)
            )
            answer = pair.get("answer")
            questions.append(Question(str(pair["query"]), frozenset({document.name}), (str(answer),) if answer else ()))
    return DataSet(name, tuple(documents.values()), tuple(questions))


def _paragraphs(name: str, content: dict[str, Any]) -> DataSet:
    documents: list[Source] = []
    questions = []
    for article in content["data"]:
        for paragraph in article["paragraphs"]:
            document = Source(f"paragraph-{len(documents)}", article.get("title", ""), paragraph["context"])
            documents.append(document)
            for asked in paragraph["qas"]:
                answers = dict.fromkeys(answer["text"] for answer in asked["answers"])
                questions.append(Question(asked["question"], frozenset({document.name}), tuple(answers)))
    return DataSet(name, tuple(documents), tuple(questions))


def _intents(folder: Path) -> DataSet:
    documents = []
    same: dict[str, set[str]] = {}
    for number, (text, category) in enumerate(_rows(folder / "train.csv")):
        documents.append(Source(f"message-{number}", "", text))
        same.setdefault(category, set()).add(f"message-{number}")
    frozen = {category: frozenset(names) for category, names in same.items()}
    questions = tuple(Question(text, frozen[category]) for text, category in _rows(folder / "test.csv"))
    return DataSet(folder.name, tuple(documents), questions, similar=True)


def _rows(file: Path) -> list[tuple[str, str]]:
    with file.open(encoding="utf-8", newline="") as lines:
        return [(row["text"], row["category"]) for row in csv.DictReader(lines)]


def _notices(name: str, content: dict[str, Any]) -> DataSet:
    documents = []
    questions = []
    for number, notice in enumerate(content["notices"]):
        title = str(notice.get("biz_pbanc_nm") or notice.get("intg_pbanc_biz_nm") or "")
        fields = ("pbanc_ctnt", "aply_trgt_ctnt", "biz_enyy", "supt_biz_clsfc", "supt_regin", "pbanc_ntrp_nm")
        text = "\n".join(str(notice[field]) for field in fields if notice.get(field))
        if title and text:
            documents.append(Source(f"notice-{number}", "", text))
            questions.append(Question(title, frozenset({f"notice-{number}"})))
    return DataSet(name, tuple(documents), tuple(questions))
