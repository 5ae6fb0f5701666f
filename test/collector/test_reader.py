"""What is read of each kind of file, and what is refused."""

from contextlib import suppress
from pathlib import Path
from random import Random

import pytest

from backend.core.collector.file.charset import decode
from backend.core.collector.file.document import Limits
from backend.core.collector.file.reader import read_file
from backend.core.collector.file.reason import REASONS
from backend.core.collector.file.sniff import SUFFIXES
from backend.core.error import InvalidFile
from test.collector.make_files import LINES, TITLE, make_good, make_hostile, pdf

WITHOUT_TITLE = {".txt", ".csv", ".json", ".jsonl", ".hwp"}
WITHOUT_HEADING = {".txt", ".csv"}
WITHOUT_TABLE = {".txt", ".pdf", ".json", ".jsonl", ".hwp"}


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return make_good(tmp_path_factory.mktemp("good"))


def write(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def text_of(path: Path) -> str:
    return "\n\n".join(section.text for section in read_file(path).sections)


def code_of(path: Path, limits: Limits | None = None, name: str | None = None) -> str:
    with pytest.raises(InvalidFile) as refusal:
        read_file(path, limits, name)
    code: str = refusal.value.members["code"]
    assert refusal.value.detail
    assert refusal.value.members["detail_ko"] != refusal.value.detail
    return code


@pytest.mark.parametrize(
    "suffix", [".md", ".txt", ".html", ".pdf", ".docx", ".xlsx", ".csv", ".json", ".jsonl", ".hwpx", ".hwp"]
)
def test_every_kind_of_file_gives_its_text_title_headings_and_rows(good: dict[str, Path], suffix: str) -> None:
    document = read_file(good[suffix])
    text = "\n".join(section.text for section in document.sections)
    assert document.title == ("rules" if suffix in WITHOUT_TITLE else TITLE)
    assert all(line in text for line in LINES)
    if suffix not in WITHOUT_HEADING:
        assert all(section.path[0] == "제1장 휴가" for section in document.sections)
    if suffix not in WITHOUT_TABLE:
        assert "근속: 3년; 일수: 16일" in text


@pytest.mark.parametrize("suffix", sorted(SUFFIXES))
def test_a_file_without_bytes_is_refused_whatever_it_is_called(tmp_path: Path, suffix: str) -> None:
    assert code_of(write(tmp_path, f"file{suffix}", b"")) == "empty"


def test_hostile_files_are_refused_with_their_reason(tmp_path: Path) -> None:
    found = {name: (code_of(path), code) for name, (path, code) in make_hostile(tmp_path).items()}
    assert {name: codes for name, codes in found.items() if codes[0] != codes[1]} == {}


def test_every_reason_is_said_in_both_languages() -> None:
    for english, korean in REASONS.values():
        assert english.isascii()
        assert any("가" <= letter <= "힣" for letter in korean)


def test_a_file_beyond_a_limit_is_refused_and_not_cut(tmp_path: Path, good: dict[str, Path]) -> None:
    assert code_of(good[".md"], Limits(max_bytes=10)) == "too_large"
    assert code_of(good[".md"], Limits(max_chars=10)) == "too_much_text"
    assert code_of(good[".csv"], Limits(max_rows=1)) == "too_many_rows"
    assert code_of(good[".xlsx"], Limits(max_cells=3)) == "too_many_rows"
    assert code_of(good[".docx"], Limits(max_rows=1)) == "too_many_rows"
    assert code_of(good[".jsonl"], Limits(max_rows=1)) == "too_many_rows"
    assert code_of(write(tmp_path, "long.pdf", pdf(pages=3)), Limits(max_pages=2)) == "too_many_pages"
    assert code_of(tmp_path / "gone.md") == "not_found"


def test_the_name_that_a_file_was_sent_under_counts(tmp_path: Path) -> None:
    staged = write(tmp_path, "0", "# 제목\n\n본문")
    assert read_file(staged, name="docs/guide.md").title == "제목"
    assert code_of(staged, name="guide.pdf") == "mismatch"


def test_a_pdf_that_only_forbids_printing_is_read(tmp_path: Path) -> None:
    assert LINES[0] in text_of(write(tmp_path, "owner.pdf", pdf(password="")))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp949", "euc-kr"])
def test_korean_text_is_read_in_every_character_set_that_korean_tools_write(tmp_path: Path, encoding: str) -> None:
    text = "연차 휴가는 15일이며 미리 신청한다."
    assert text_of(write(tmp_path, "memo.txt", text.encode(encoding))) == text
    assert (
        text_of(write(tmp_path, "table.csv", f"항목,내용\n휴가,{text}\n".encode(encoding)))
        == f"항목: 휴가; 내용: {text}"
    )


def test_latin_text_is_not_taken_for_korean() -> None:
    text = "Grüße aus München, schöne Straße, café, über, größer"
    assert decode(text.encode("latin-1")) == text


def test_one_broken_letter_does_not_cost_a_text() -> None:
    data = ("연차 휴가는 15일이다. " * 40).encode()
    assert decode(data[:20] + b"\xff" + data[20:]).count("연차 휴가는") == 40
    assert decode(data[:-2]).startswith("연차 휴가는 15일이다.")


def test_damaged_files_are_read_or_refused_and_nothing_else(tmp_path: Path, good: dict[str, Path]) -> None:
    random = Random(3)
    for suffix, path in good.items():
        for _ in range(12):
            data = bytearray(path.read_bytes())
            for _ in range(random.choice((1, 3, 30))):
                data[random.randrange(len(data))] = random.randrange(256)
            data = data[: random.choice((len(data), random.randrange(1, len(data))))]
            damaged = write(tmp_path, f"damaged{suffix}", bytes(data))
            with suppress(InvalidFile):
                read_file(damaged)


def test_a_page_in_the_character_set_that_it_declares(tmp_path: Path) -> None:
    page = '<html><head><meta charset="euc-kr"><title>공지</title></head><body><p>접수 기간은 3월까지</p></body></html>'
    document = read_file(write(tmp_path, "page.html", page.encode("cp949")))
    assert (document.title, document.sections[0].text) == ("공지", "접수 기간은 3월까지")


def test_markdown_keeps_the_tree_of_its_headings(tmp_path: Path) -> None:
    text = "# Guide\n\nintro\n\n## A\n\none\n\n### A1\n\ntwo\n\n## B\n\n```\n# not a heading\n```\n\n"
    text += "Heading\n-------\n\nthree\n"
    document = read_file(write(tmp_path, "guide.md", text))
    assert document.title == "Guide"
    assert [(section.path, section.text) for section in document.sections] == [
        ((), "intro"),
        (("A",), "one"),
        (("A", "A1"), "two"),
        (("B",), "# not a heading"),
        (("Heading",), "three"),
    ]


def test_markdown_marks_are_taken_away_and_addresses_kept(tmp_path: Path) -> None:
    text = "**신청**은 [여기](https://example.com/apply)에서. ![그림](a.png) [안내](./b.md) <!-- secret --> 2 * 3 * 4"
    document = text_of(write(tmp_path, "memo.md", text))
    assert document == "신청은 여기 (https://example.com/apply)에서. 그림 안내 2 * 3 * 4"


def test_front_matter_names_a_markdown_document(tmp_path: Path) -> None:
    document = read_file(write(tmp_path, "post.md", '---\ntitle: "연차 안내"\ntags: [a]\n---\n\n본문이다.\n'))
    assert (document.title, document.sections[0].text) == ("연차 안내", "본문이다.")


def test_a_page_is_read_without_what_stands_around_it(tmp_path: Path) -> None:
    page = (
        "<html><head><title>공지</title></head><body><header>로고</header><nav>메뉴</nav>"
        "<div>첫 <b>문장</b>이다.<br>둘째 줄<div style='display: none'>숨김</div></div>"
        "<ul><li>하나</li><li>둘</li></ul>"
        "<footer>바닥</footer><script>x()</script></body></html>"
    )
    text = text_of(write(tmp_path, "page.html", page))
    assert text == "첫 문장이다.\n둘째 줄\n\n- 하나\n\n- 둘"


def test_a_page_that_was_saved_as_text_is_read_as_a_page(tmp_path: Path) -> None:
    assert text_of(write(tmp_path, "page.txt", "<!doctype html><p>안녕</p><script>x</script>")) == "안녕"


def test_a_table_whose_cells_hold_the_delimiter_keeps_them(tmp_path: Path) -> None:
    text = 'name;note\nKim;"a; b"\n"Lee ""L""";"two\nlines"\n'
    assert text_of(write(tmp_path, "table.csv", text)) == 'name: Kim; note: a; b\nname: Lee "L"; note: two lines'


def test_nested_json_names_each_value_by_its_way(tmp_path: Path) -> None:
    text = '{"name": "제품", "price": {"won": 1000, "open": true}, "tags": ["a", "b"], "none": null}'
    document = read_file(write(tmp_path, "item.json", text))
    assert document.sections[0].path == ("제품",)
    assert document.sections[0].text == "price.won: 1000\nprice.open: true\ntags: a, b"


def test_the_same_file_is_always_read_alike(good: dict[str, Path]) -> None:
    for path in good.values():
        assert read_file(path) == read_file(path)
