"""The documents say what the code does: settings, problem types and events have no line too few and none too many."""

import re
from pathlib import Path
from typing import get_args

import pytest
from pydantic_core import PydanticUndefined

from backend.config.setting import Settings
from backend.core.error import DomainError
from backend.dto.event import ChatEventName
from backend.schema.event import EVENTS

ROOT = Path(__file__).resolve().parent.parent
COMPOSE_ONLY = {
    "DAEDAP_PORT", "MINIO_PASSWORD", "MONGODB_PASSWORD", "NEO4J_PASSWORD", "POSTGRES_PASSWORD", "QDRANT_API_KEY",
    "VALKEY_PASSWORD",
}  # fmt: skip


def text(path: str) -> str:
    return (ROOT / path).read_text("utf-8")


def first_column(path: str) -> list[str]:
    """The names that the tables of a document begin their rows with."""
    return re.findall(r"^\| `([^`]+)` \|", text(path), re.MULTILINE)


def setting_names() -> list[str]:
    return [name.upper() for name in Settings.model_fields]


def example_values() -> dict[str, str]:
    return dict(re.findall(r"^#?([A-Z][A-Z0-9_]*)=(.*)$", text(".env.example"), re.MULTILINE))


def problem_types(kind: type[DomainError] = DomainError) -> dict[str, int]:
    found = {} if kind is DomainError else {kind.slug: kind.status}
    for child in kind.__subclasses__():
        found |= problem_types(child)
    return found


def test_the_example_file_has_every_setting_in_order_and_no_other() -> None:
    assert [name for name in example_values() if name not in COMPOSE_ONLY] == setting_names()


def test_the_example_file_shows_the_defaults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in setting_names():
        monkeypatch.delenv(name, raising=False)
    file = tmp_path / ".env"
    file.write_text(re.sub(r"^#(?=[A-Z])", "", text(".env.example"), flags=re.MULTILINE), "utf-8")
    assert Settings(_env_file=file).model_dump() == Settings(_env_file=None).model_dump()


def test_the_passwords_of_compose_are_in_the_example_file() -> None:
    used = set(re.findall(r"(?<!\$)\$\{([A-Z0-9_]+)", text("compose.yaml")))
    assert used - set(setting_names()) == COMPOSE_ONLY


def test_the_table_of_settings_has_every_setting_in_order_and_no_other() -> None:
    assert first_column("docs/settings.md") == setting_names()


def test_the_table_of_settings_shows_the_defaults() -> None:
    shown = dict(re.findall(r"^\| `([A-Z0-9_]+)` \| ([^|]+) \|", text("docs/settings.md"), re.MULTILINE))
    written = example_values()
    for name, field in Settings.model_fields.items():
        assert field.default is not PydanticUndefined or field.default_factory is not None
        default = written[name.upper()]
        if name == "llm_aliases":
            assert default in text("docs/settings.md")
        else:
            assert shown[name.upper()] == (f"`{default}`" if default else "none")


def test_the_table_of_errors_has_every_problem_type_with_its_status() -> None:
    rows = re.findall(r"^\| `([a-z-]+)` \| (\d+) \|", text("docs/errors.md"), re.MULTILINE)
    assert {slug: int(status) for slug, status in rows} == problem_types()


def test_the_table_of_events_has_every_event() -> None:
    assert first_column("docs/events.md") == [*get_args(ChatEventName), "resync"]
    assert set(EVENTS) == {*get_args(ChatEventName), "resync"}


def test_links_between_documents_lead_somewhere() -> None:
    documents = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "test").glob("*.md")]
    for document in documents:
        for link in re.findall(r"\]\(([^)#\s]+)", document.read_text("utf-8")):
            if not re.match(r"[a-z]+:", link):
                assert (document.parent / link).exists(), f"{document.relative_to(ROOT)} links to {link}"
