import json
from pathlib import Path

import pytest

from backend.core.error import InvalidFile
from backend.service.data_set import read_data_set
from backend.service.evaluation import Evaluation
from test.retrieval.fake import WordEmbedder

FRUIT = ["사과", "포도", "수박", "참외", "자두", "딸기", "복숭아", "살구"]


def write_pairs(folder: Path, things: list[str]) -> Path:
    folder.mkdir(parents=True)
    lines = [
        {
            "query": f"{thing} 농장은 어디에 있나?",
            "document": f"{thing} 농장은 {n}번 마을에 있다.",
            "answer": f"{n}번 마을",
        }
        for n, thing in enumerate(things)
    ]
    (folder / "pairs.jsonl").write_text("\n".join(json.dumps(line, ensure_ascii=False) for line in lines), "utf-8")
    return folder


async def test_pairs_are_indexed_asked_and_measured(tmp_path: Path) -> None:
    folder = write_pairs(tmp_path / "fruit", FRUIT)
    write_pairs(folder / "outside", ["잠수함", "기관차", "우주선", "트랙터"])
    said: list[tuple[str, int, int]] = []
    report = await Evaluation(WordEmbedder()).run(folder, progress=lambda *what: said.append(what))
    assert (report.data_set, report.documents, report.questions) == ("fruit", 8, 8)
    assert report.value("R@1") == report.value("nDCG@10") == report.value("right document cited") == 1.0
    assert report.value("answer in the sentence") == 1.0
    assert 0 < report.value("answer char F1") < 1
    assert report.value("refusal AUROC") == 1.0
    assert report.value("query p95") >= report.value("query p50") > 0
    assert ("index", 8, 8) in said
    assert said[-1] == ("ask from elsewhere", 4, 4)


async def test_another_folder_may_hold_the_foreign_questions_and_fewer_may_be_asked(tmp_path: Path) -> None:
    folder = write_pairs(tmp_path / "fruit", FRUIT)
    report = await Evaluation(WordEmbedder()).run(folder, outside=write_pairs(tmp_path / "other", FRUIT), limit=3)
    assert report.questions == 3
    assert 0.2 < report.value("refusal AUROC") < 0.8  # the same questions are not told apart


async def test_intents_are_measured_by_precision(tmp_path: Path) -> None:
    rows = [f"{thing} 값이 얼마인가요 {n},{thing}" for thing in FRUIT for n in range(12)]
    (tmp_path / "train.csv").write_text("\n".join(["text,category", *rows]), "utf-8")
    (tmp_path / "test.csv").write_text("text,category\n사과 값이 얼마죠,사과\n수박 값 알려줘,수박", "utf-8")
    report = await Evaluation(WordEmbedder()).run(tmp_path)
    assert (report.value("P@1"), report.value("P@10")) == (1.0, 1.0)
    with pytest.raises(KeyError):
        report.value("R@1")


def test_korquads_paragraphs_are_documents(tmp_path: Path) -> None:
    asked = {"question": "어디?", "answers": [{"text": "서울", "answer_start": 0}, {"text": "서울", "answer_start": 0}]}
    content = {"data": [{"title": "수도", "paragraphs": [{"context": "서울이다.", "qas": [asked]}]}]}
    (tmp_path / "dev.json").write_text(json.dumps(content), "utf-8")
    data = read_data_set(tmp_path)
    (document,) = data.documents
    assert (document.title, document.text) == ("수도", "서울이다.")
    assert data.questions[0].right == frozenset({document.name})
    assert data.questions[0].answers == ("서울",)


def test_a_notices_title_asks_for_it_and_is_not_shown(tmp_path: Path) -> None:
    notice = {"biz_pbanc_nm": "창업 교육 모집", "pbanc_ctnt": "초보자를 위한 과정입니다.", "supt_regin": "전국"}
    (tmp_path / "notices.json").write_text(json.dumps({"notices": [notice, {"pbanc_ctnt": "제목 없음"}]}), "utf-8")
    data = read_data_set(tmp_path)
    assert [question.text for question in data.questions] == ["창업 교육 모집"]
    assert [(document.title, document.text) for document in data.documents] == [("", "초보자를 위한 과정입니다.\n전국")]


@pytest.mark.parametrize("content", [None, "not json", '{"query": "a"}', "[1]"])
def test_a_folder_that_holds_no_data_set_says_so(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "a.jsonl").write_text(content, "utf-8")
    with pytest.raises(InvalidFile, match="data set"):
        read_data_set(tmp_path)
