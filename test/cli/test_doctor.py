"""`daedap doctor`: what is dangerous is said, and no secret is."""

import json
import socket
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from backend.cli.app import app
from backend.cli.diagnosis import (
    NETWORK_DISKS,
    _models,
    diagnose,
    disk_kind,
    open_to_others,
    shown_settings,
)
from backend.config.setting import Settings


def make(folder: Path, **values: Any) -> Settings:
    return Settings(_env_file=None, data_dir=folder / "data", port=0, **values)


async def dangers(settings: Settings) -> list[tuple[str, str]]:
    return [(found.subject, found.text) for found in await diagnose(settings) if found.level == "danger"]


async def test_the_defaults_are_not_dangerous_and_say_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = make(tmp_path)
    assert await dangers(settings) == []
    assert [found.subject for found in await diagnose(settings) if found.level == "missing"] == ["OPENAI_API_KEY"]


def test_a_dangerous_configuration_is_exit_code_1_and_named_without_its_secrets(in_folder: Path) -> None:
    env = in_folder / ".env"
    env.write_text("ACCESS_TOKEN=hidden-token\nOPENAI_API_KEY=sk-hidden-key\n")
    env.chmod(0o644)
    variables = {
        "AUTH_MODE": "token",
        "ADMIN_TOKEN": "hidden-as-well",
        "TENANT_TOKENS": '{"acme": "hidden-for-acme"}',
        "OPENAI_BASE_URL": "http://someone:hidden-word@models.example.com/v1",
        "REDIS_URL": "redis://:hidden-too@127.0.0.1:1/0",
    }
    machine = CliRunner().invoke(app, ["doctor", "--json"], env=variables)
    document = json.loads(machine.output)
    found = {each["subject"] for each in document["findings"] if each["level"] == "danger"}
    assert found >= {"ACCESS_TOKEN", "ADMIN_TOKEN", "TENANT_TOKENS", "OPENAI_BASE_URL", "REDIS_URL"}
    assert document["dangerous"]
    assert document["settings"]["ACCESS_TOKEN"] == "set"
    assert document["settings"]["DATABASE_URL"] == "not set"
    person = CliRunner().invoke(app, ["doctor"], env=variables)
    assert (machine.exit_code, person.exit_code) == (1, 1)
    assert "danger" in person.output
    assert "hidden" not in machine.output + person.output


def test_a_setting_that_cannot_be_used_is_a_danger(in_folder: Path) -> None:
    result = CliRunner().invoke(app, ["doctor"], env={"HOST": "0.0.0.0"})
    assert result.exit_code == 1
    assert "HOST: 0.0.0.0 can be reached from other machines" in " ".join(result.output.split())


def test_nothing_dangerous_is_exit_code_0(in_folder: Path) -> None:
    result = CliRunner().invoke(app, ["doctor"], env={"PORT": "0"})
    assert (result.exit_code, result.output.splitlines()[-1]) == (0, "Nothing is dangerous."), result.output


@pytest.mark.parametrize(
    ("values", "subject"),
    [
        ({"environment": "production"}, "AUTH_MODE"),
        ({"cors_origins": "*"}, "CORS_ORIGINS"),
        ({"auth_mode": "token", "tenant_tokens": {"acme": "0123456789abcde"}}, "TENANT_TOKENS"),
        ({"database_url": "postgresql://daedap@127.0.0.1:1/daedap"}, "DATABASE_URL"),
    ],
)
async def test_each_danger_is_found(
    values: dict[str, object], subject: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert [name for name, _ in await dangers(make(tmp_path, **values))] == [subject]


async def test_a_node_that_stops_the_start_is_found(tmp_path: Path) -> None:
    (tmp_path / "greet.py").write_text("AGENT = 'nobody'\nAFTER = ('x',)\nasync def greet(state, runtime):\n    ...\n")
    ((subject, text),) = await dangers(make(tmp_path, extension_dir=tmp_path))
    assert subject == "agents"
    assert "AGENT is 'nobody'" in text


async def test_a_port_in_use_is_found(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        settings = make(tmp_path).model_copy(update={"port": other.getsockname()[1]})
        ((subject, text),) = await dangers(settings)
    assert (subject, "another program listens there" in text) == ("PORT", True)


@pytest.mark.parametrize(
    ("path", "kind"),
    [("/", "ext4"), ("/srv/data", "nfs4"), ("/srv/database", "ext4"), ("/mnt/my disk/data", "fuse.sshfs")],
)
def test_the_disk_of_a_folder_is_known(path: str, kind: str) -> None:
    mounts = (
        "/dev/sda1 / ext4 rw 0 0\nproc /proc proc rw 0 0\nserver:/export /srv/data nfs4 rw 0 0\n"
        "me@there:/ /mnt/my\\040disk fuse.sshfs rw 0 0\n"
    )
    assert disk_kind(Path(path), mounts) == kind
    assert (kind in NETWORK_DISKS) == (kind != "ext4")


def test_a_file_is_open_to_others_only_where_they_can_get_to_it(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir(mode=0o755)
    file = folder / "file"
    file.touch(mode=0o644)
    file.chmod(0o644)
    for place in (tmp_path, *tmp_path.parents):
        if not place.stat().st_mode & 0o001:
            place.chmod(place.stat().st_mode | 0o001)
            if place == Path("/tmp"):
                break
    assert open_to_others(file)
    folder.chmod(0o700)
    assert not open_to_others(file)
    folder.chmod(0o755)
    file.chmod(0o640)
    assert not open_to_others(file)


def test_a_model_is_a_danger_shortly_before_its_end(tmp_path: Path) -> None:
    settings = make(tmp_path, openai_api_key="sk-key", llm_aliases={"gpt-5": {"target": "gpt-5"}})
    levels = []
    for today in (date(2026, 6, 1), date(2026, 11, 1), date(2027, 1, 1)):
        levels += [each.level for each in _models(settings, today) if each.subject == "LLM_ALIASES"]
    assert levels == ["note", "danger", "danger"]
    elsewhere = make(tmp_path, openai_base_url="https://models.example.com/v1", openai_model="gpt-5")
    assert not [each for each in _models(elsewhere, date(2027, 1, 1)) if each.subject == "LLM_ALIASES"]


def test_every_setting_is_shown_and_of_secrets_only_that_they_are_set(tmp_path: Path) -> None:
    settings = make(
        tmp_path,
        access_token="secret-1",
        tenant_tokens={"acme": "secret-2"},
        llm_aliases={"mine": {"target": "m", "base_url": "https://u:secret-3@h/v1", "api_key": "secret-4"}},
        redis_url="redis://:secret-5@h",
    )
    shown = shown_settings(settings)
    assert set(shown) == {name.upper() for name in Settings.model_fields}
    assert shown["TENANT_TOKENS"] == {"acme": "set"}
    assert shown["LLM_ALIASES"]["mine"]["base_url"] == "https://…@h/v1"
    assert "secret" not in json.dumps(shown)
