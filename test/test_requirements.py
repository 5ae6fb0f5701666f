"""The table of requirements is whole, and what it names is there."""

import ast
import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DOCUMENT = ROOT / "docs" / "requirements.md"
KEPT = {"yes", "partly", "no", "later", "not applicable"}
TOPS = (ROOT / "backend", ROOT)


def rows() -> list[list[str]]:
    lines = DOCUMENT.read_text("utf-8").splitlines()
    table = [line for line in lines if line.startswith("| ") and not line.startswith("| id |")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table]


def number(row: list[str]) -> str:
    return row[0].removesuffix("⚠").strip()


@cache
def functions(path: Path) -> frozenset[str]:
    tree = ast.parse(path.read_text("utf-8"))
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def test_no_number_is_missing_and_none_comes_twice() -> None:
    ranges = re.findall(r"\b(X|I-|\d{3}-)(\d+) to \1(\d+)", DOCUMENT.read_text("utf-8").split("\n\n- **kept**")[0])
    assert [name for name, _, _ in ranges] == ["X", "000-", "001-", "002-", "003-", "I-"]
    expected = [f"{name}{n}" for name, first, last in ranges for n in range(int(first), int(last) + 1)]
    assert [number(row) for row in rows()] == expected


def test_each_row_says_whether_it_is_kept_and_where() -> None:
    for row in rows():
        assert len(row) == 5, row
        _, what, kept, where, _ = row
        assert what
        assert kept in KEPT, row
        if kept in {"yes", "partly", "no"}:
            assert len(where) > 3, row


def test_what_would_be_a_hole_has_a_test() -> None:
    marked = [row for row in rows() if row[0].endswith("⚠")]
    assert len(marked) > 20
    for row in marked:
        assert "::test_" in row[4], row


def test_every_test_that_is_named_exists() -> None:
    named = [found for row in rows() for found in re.findall(r"`([^`]+\.py)::(\w+)`", row[4])]
    assert len(named) > 200
    missing = [f"{file}::{name}" for file, name in named if name not in functions(ROOT / "test" / file)]
    assert missing == []


def test_every_module_and_setting_that_is_named_exists() -> None:
    settings = (ROOT / ".env.example").read_text("utf-8")
    missing = []
    for row in rows():
        places = re.findall(r"`(\w[\w./]*\.py|\w+/[\w./]+)`", row[3])
        missing += [(row[0], place) for place in places if not any((top / place).exists() for top in TOPS)]
        variables = re.findall(r"`([A-Z][A-Z0-9]*_[A-Z0-9_]*[A-Z0-9])`", row[3])
        missing += [(row[0], name) for name in variables if f"{name}=" not in settings and row[2] != "no"]
    assert missing == []
