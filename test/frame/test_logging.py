"""Logs: their two formats, their files, and what must never be in them."""

import asyncio
import gzip
import json
import logging
import re
import stat
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from loguru import logger

from backend.config.logging import flush_logging, setup_logging
from backend.config.setting import SettingError, Settings

Lines = Callable[[], list[str]]


@pytest.fixture
def log_file(tmp_path: Path) -> Iterator[Path]:
    """Where the test's log goes; what a set-up changed in the process is put back."""
    root, handlers, level = logging.getLogger(), logging.getLogger().handlers[:], logging.getLogger().level
    yield tmp_path / "logs" / "app.log"
    logger.remove()
    root.handlers[:], root.level = handlers, level
    logging.captureWarnings(False)


def start(log_file: Path, **settings: Any) -> Lines:
    setup_logging(Settings(_env_file=None, log_file_path=log_file, **settings))

    def lines() -> list[str]:
        flush_logging()
        return log_file.read_text(encoding="utf-8").splitlines()

    return lines


def last_document(lines: Lines) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(lines()[-1])
    return document


def test_a_console_line_has_the_specified_form(log_file: Path) -> None:
    lines = start(log_file)
    logger.info("User created: user_id={user_id}", user_id=123)
    assert re.fullmatch(
        r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} \| INFO     \| [\w.]*test_logging:"
        r"test_a_console_line_has_the_specified_form:\d+ - User created: user_id=123",
        lines()[-1],
    )


def test_a_json_line_has_the_specified_members(log_file: Path) -> None:
    lines = start(log_file, log_format="json")
    with logger.contextualize(request_id="r-1", tenant_id="acme", run_id="u-1"):
        logger.info("User created", user_id=123)
    document = last_document(lines)
    assert list(document) == ["timestamp", "level", "logger", "function", "line", "message", "extra"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", document["timestamp"])
    assert document["level"] == "INFO"
    assert document["logger"].endswith("test_logging")
    assert document["function"] == "test_a_json_line_has_the_specified_members"
    assert isinstance(document["line"], int)
    assert document["message"] == "User created"
    assert document["extra"] == {"request_id": "r-1", "tenant_id": "acme", "run_id": "u-1", "user_id": 123}


def test_stderr_and_the_file_say_the_same(log_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = start(log_file, log_format="json")
    logger.warning("안녕 {name}", name="대답")
    written = lines()
    assert len(written) == 1
    assert capsys.readouterr().err.splitlines() == written
    assert json.loads(lines()[-1])["message"] == "안녕 대답"


@pytest.mark.parametrize("log_format", ["console", "json"])
def test_secrets_reach_no_log(log_file: Path, log_format: str) -> None:
    lines = start(
        log_file,
        log_format=log_format,
        auth_mode="token",
        access_token="canary-setting-token",
        tenant_tokens={"acme": "canary-tenant-token"},
        openai_api_key="canary-model-key",
        database_url="postgresql://daedap:canary%2Fdsn@db.example/daedap",
    )
    jwt = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJjYW5hcnkifQ.c2lnbmF0dXJlLWNhbmFyeQ"
    texts = [
        "Authorization: Bearer canary.bearer-1",
        "authorization: Basic Y2FuYXJ5OmNhbmFyeQ==canary",
        "called with bearer CANARYBEARERTOKEN",
        "key sk-canary0123456789abcdef and sk-proj-canary_0123456789",
        f"jwt {jwt}",
        "connect postgresql+asyncpg://daedap:canary-pass@db:5432/x and redis://:canary-pass@cache:6379/0",
        "GET https://apis.data.go.kr/x?serviceKey=canary%2Bkey%3D%3D&page=1",
        "GET https://www.bizinfo.go.kr/x?crtfcKey=canarykey&a=1 access_token=canary-token&b=2",
        "{'password': 'canary word', \"api_key\": \"canary \\\" quoted\", 'x': 1}",
        "api-key=canary, client_secret: canary; cookie=canary",
        "the token canary-setting-token, the key canary-model-key, canary-tenant-token, canary/dsn",
        "-----BEGIN RSA PRIVATE KEY-----\ncanary\ncanary\n-----END RSA PRIVATE KEY-----",
    ]
    for text in texts:
        logger.info(text)
        logger.info("{}", text)
        logger.info("as a value", note=text, nested={"deep": [{"text": text}]})
        logging.getLogger("somebody.else").warning("%s", text)
        try:
            raise ValueError(text)
        except ValueError:
            logger.exception("it failed")
    named: dict[str, Any] = {
        "password": "canary-1",
        "accessToken": "canary-2",
        "OPENAI_API_KEY": "canary-3",
        "x-api-key": "canary-4",
        "refresh_token": b"canary-5",
        "database_dsn": ["canary-6"],
        "credentials": {"user": "canary-7"},
    }
    logger.info("by name", **named)
    logger.info("nested", headers={"Authorization": "canary-8", "Cookie": "canary-9"}, **{"canary-model-key": 1})
    logger.info("and in the text too: {password}", password="canary-password")
    written = "\n".join(lines())
    assert "canary" not in written.lower()
    assert jwt[-10:] not in written
    assert len(lines()) >= 5 * len(texts)
    assert "page=1" in written  # what is no secret stays
    assert "db.example" not in written
    assert "@cache:6379/0" in written


def test_words_that_only_look_like_secrets_stay(log_file: Path) -> None:
    lines = start(log_file, log_format="json")
    logger.info("risk-assessment done", input_tokens=12, output_tokens=5, idempotent=True, token=None)
    document = last_document(lines)
    assert document["message"] == "risk-assessment done"
    assert document["extra"] == {"input_tokens": 12, "output_tokens": 5, "idempotent": True, "token": None}


@pytest.mark.parametrize("log_format", ["console", "json"])
def test_a_logged_value_cannot_forge_a_line_or_drive_the_terminal(log_file: Path, log_format: str) -> None:
    lines = start(log_file, log_format=log_format)
    evil = (
        "a\r\n2026-01-01 00:00:00.000 | INFO     | x:y:1 - forged\x1b[2J\x9b31m\u2028\u202e\ud800 {not_a_field} <red>"
    )
    logger.info("name {name}", name=evil)
    logger.info(evil.replace("{not_a_field}", ""), key=evil, **{evil: 1})
    assert len(lines()) == 2
    for character in "\r\x1b\x9b\u2028\u202e":
        assert character not in log_file.read_text(encoding="utf-8")
    assert "{not_a_field} <red>" in lines()[0]
    assert r"\n2026-01-01" in lines()[0]


def test_a_failure_is_written_with_its_traceback_below_its_line(log_file: Path) -> None:
    lines = start(log_file)
    try:
        raise ValueError("first\n2026-01-01 00:00:00.000 | INFO     | x:y:1 - forged")
    except ValueError:
        logger.exception("it failed")
    written = lines()
    assert written[0].endswith("it failed")
    assert "Traceback (most recent call last):" in written[1]
    assert all(line.startswith("    ") for line in written[1:])


def test_a_failure_in_json_is_a_member_of_its_line(log_file: Path) -> None:
    lines = start(log_file, log_format="json")
    secret_local = "canary-local"
    try:
        raise KeyError(f"{len(secret_local)}")
    except KeyError:
        logger.exception("it failed")
    document = last_document(lines)
    assert len(lines()) == 1
    assert document["exception"]["type"] == "KeyError"
    assert "Traceback (most recent call last):" in document["exception"]["traceback"]
    assert "KeyError: '12'" in document["exception"]["traceback"]


def test_what_cannot_be_written_costs_no_line_and_no_megabyte(log_file: Path) -> None:
    class Hostile:
        def __str__(self) -> str:
            raise RuntimeError("no")

    lines = start(log_file, log_format="json")
    circle: list[Any] = []
    circle.append(circle)
    logger.info(
        "odd", hostile=Hostile(), circle=circle, huge=10**400, many=list(range(10_000)), not_a_number=float("nan")
    )
    logger.info("x" * 1_000_000, text="y" * 1_000_000)
    written = lines()
    assert len(written) == 2
    assert json.loads(written[0])["extra"]["hostile"] == "<Hostile>"
    assert len(json.loads(written[0])["extra"]["many"]) == 51
    assert len(written[1]) < 40_000


def test_the_standard_library_is_taken_over_once_and_under_its_own_name(log_file: Path) -> None:
    library = logging.getLogger("some.library")
    library.addHandler(logging.StreamHandler(sys.stderr))
    library.propagate = False
    lines = start(log_file, log_format="json")
    library.info("hello %s {braces}", "there")
    logging.getLogger("some.library.child").error("from the child")
    logging.getLogger("httpx").info("HTTP Request: GET https://x/?q=1")
    logging.getLogger("uvicorn.access").info("another access line")
    logging.getLogger("uvicorn.error").info('%s - "WebSocket %s" [accepted]', "127.0.0.1:5", "/ws?q=1")
    documents = [json.loads(line) for line in lines()]
    assert [(each["logger"], each["level"], each["message"]) for each in documents] == [
        ("some.library", "INFO", "hello there {braces}"),
        ("some.library.child", "ERROR", "from the child"),
    ]
    assert documents[0]["function"] == "test_the_standard_library_is_taken_over_once_and_under_its_own_name"


def test_warnings_are_logged(log_file: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        lines = start(log_file)
        warnings.warn("take care", UserWarning, stacklevel=1)
        logging.captureWarnings(False)
    assert "take care" in "".join(lines())


def test_the_level_holds_for_all(log_file: Path) -> None:
    lines = start(log_file, log_level="WARNING")
    logger.info("quiet")
    logging.getLogger("some.library").info("quiet")
    logger.warning("loud")
    assert [line.rsplit(" - ", 1)[1] for line in lines()] == ["loud"]


def test_setting_up_again_replaces_what_was_set_up(log_file: Path) -> None:
    start(log_file)
    lines = start(log_file)
    logger.info("once")
    assert len(lines()) == 1


async def test_every_line_is_there_after_the_flush(log_file: Path) -> None:
    lines = start(log_file)

    async def write(number: int) -> None:
        for count in range(50):
            logger.info("{number} {count}", number=number, count=count)
            await asyncio.sleep(0)

    await asyncio.gather(*(write(number) for number in range(10)))
    assert len(lines()) == 500


def test_two_rotations_on_a_day_keep_both_files(log_file: Path) -> None:
    lines = start(log_file, log_rotation="2 KB", log_format="json")
    for number in range(40):
        logger.info("line {number:03d}", number=number)
    kept = [json.loads(line)["extra"]["number"] for line in lines()]
    archives = sorted(log_file.parent.glob("app.*.log.gz"), key=_number)
    assert len(archives) >= 3
    day = re.compile(r"app\.\d{4}-\d\d-\d\d(?:\.\d+)?\.log\.gz")
    assert all(day.fullmatch(path.name) for path in archives)
    assert not list(log_file.parent.glob("*.part"))
    found = [
        json.loads(line)["extra"]["number"]
        for path in archives
        for line in gzip.decompress(path.read_bytes()).decode().splitlines()
    ]
    assert found + kept == list(range(40))


def _number(path: Path) -> int:
    part = path.name.split(".")[2]
    return int(part) if part.isdigit() else 1


@pytest.mark.parametrize("compression", ["gz", "bz2", "xz", "zip", None])
def test_log_files_are_for_the_owner_and_the_group_alone(log_file: Path, compression: str | None) -> None:
    log_file.parent.mkdir(parents=True)
    log_file.touch(0o666)
    lines = start(log_file, log_rotation="1 KB", log_compression=compression)
    for _ in range(30):
        logger.info("x" * 60)
    lines()
    files = list(log_file.parent.iterdir())
    assert len(files) >= 3
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o640}
    assert {path.suffix for path in files} == {".log", f".{compression}"} if compression else {".log"}


def test_files_past_their_time_are_removed_at_the_next_rotation(log_file: Path) -> None:
    import os

    lines = start(log_file, log_rotation="1 KB", log_retention="2 days")
    old = log_file.parent / "app.2020-01-01.log.gz"
    other = log_file.parent / "notes.txt"
    for path in (old, other):
        path.touch()
        os.utime(path, (0, 0))
    for _ in range(30):
        logger.info("x" * 60)
    lines()
    assert not old.exists()
    assert other.exists()


@pytest.mark.parametrize(
    ("setting", "value", "named"),
    [("log_rotation", "sometimes", "LOG_ROTATION"), ("log_retention", "for ever", "LOG_RETENTION")],
)
def test_a_rotation_that_means_nothing_stops_the_start(log_file: Path, setting: str, value: str, named: str) -> None:
    with pytest.raises(SettingError, match=named):
        start(log_file, **{setting: value})


def test_a_file_that_cannot_be_written_stops_the_start(tmp_path: Path, log_file: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SettingError, match="LOG_FILE_PATH"):
        start(tmp_path / "file" / "app.log")


def test_lines_are_written_when_the_process_ends_without_a_flush(tmp_path: Path) -> None:
    target = tmp_path / "app.log"
    program = (
        "from pathlib import Path; from loguru import logger\n"
        "from backend.config.setting import Settings; from backend.config.logging import setup_logging\n"
        f"setup_logging(Settings(_env_file=None, log_file_path=Path({str(target)!r})))\n"
        "for number in range(200): logger.info('line')\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, timeout=30)
    assert len(target.read_text().splitlines()) == 200
