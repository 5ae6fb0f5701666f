"""Reading files in a process that may be killed."""

import asyncio
import os
import sys
from pathlib import Path

import pytest

from backend.core.collector.file.document import Limits
from backend.core.collector.file.pool import FileReader
from backend.core.collector.file.reader import read_file
from backend.core.error import InvalidFile
from test.collector.make_files import make_good, make_hostile

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="the kernel's limits are Linux'")


async def code_of(reader: FileReader, path: Path) -> str:
    with pytest.raises(InvalidFile) as refusal:
        await reader.read(path)
    code: str = refusal.value.members["code"]
    return code


async def test_a_process_reads_the_same_as_this_one(tmp_path: Path) -> None:
    async with FileReader(size=2) as reader:
        paths = list(make_good(tmp_path).values())
        assert await asyncio.gather(*map(reader.read, paths)) == [read_file(path) for path in paths]


async def test_hostile_files_are_refused_and_the_next_file_is_read(tmp_path: Path) -> None:
    good = make_good(tmp_path / "good")[".md"]
    async with FileReader() as reader:
        for name, (path, code) in make_hostile(tmp_path / "bad").items():
            assert (name, await code_of(reader, path)) == (name, code)
        assert await reader.read(good) == read_file(good)


async def test_a_file_that_takes_too_long_is_given_up_and_the_next_is_read(tmp_path: Path) -> None:
    good = make_good(tmp_path / "good")[".md"]
    async with FileReader(timeout=1.0) as reader:
        await reader.read(good)
        huge = tmp_path / "huge.json"
        huge.write_text("[" + "1," * 20_000_000 + "1]")
        assert await code_of(reader, huge) == "too_slow"
        assert await reader.read(good) == read_file(good)


async def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "endless.md")  # a pipe that nobody writes: opening it would wait for ever
    async with FileReader() as reader:
        assert await code_of(reader, tmp_path / "endless.md") == "not_found"


@LINUX
async def test_a_file_that_takes_too_much_memory_is_refused_and_the_next_is_read(tmp_path: Path) -> None:
    large = tmp_path / "large.json"
    large.write_text("[" + "{}," * 8_000_000 + "{}]")  # 24 MB, a gigabyte once it is parsed
    good = make_good(tmp_path / "good")[".md"]
    async with FileReader(memory_bytes=300 * 1024 * 1024) as reader:
        assert await code_of(reader, large) == "too_much_memory"
        assert await reader.read(good) == read_file(good)


async def test_the_process_knows_no_secret_of_this_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-canary")
    async with FileReader() as reader:
        await reader.read(make_good(tmp_path)[".md"])
        (worker,) = reader._idle
        environment = Path(f"/proc/{worker._process.pid}/environ")
        if environment.exists():
            assert b"canary" not in environment.read_bytes()


async def test_a_reading_that_is_cancelled_leaves_no_process(tmp_path: Path) -> None:
    huge = tmp_path / "huge.json"
    huge.write_text("[" + "1," * 20_000_000 + "1]")
    async with FileReader() as reader:
        await reader.read(make_good(tmp_path / "good")[".md"])
        (worker,) = reader._idle
        reading = asyncio.create_task(reader.read(huge))
        while reader._idle:  # noqa: ASYNC110  (the reader has no event for it, and needs one turn)
            await asyncio.sleep(0)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        assert worker._process.returncode is not None
        assert await reader.read(make_good(tmp_path / "good")[".md"])


async def test_limits_hold_in_the_process(tmp_path: Path) -> None:
    async with FileReader(limits=Limits(max_chars=5)) as reader:
        assert await code_of(reader, make_good(tmp_path)[".md"]) == "too_much_text"
