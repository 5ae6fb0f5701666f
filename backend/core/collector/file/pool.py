"""Reads files in worker processes that may be killed at any time."""

import asyncio
import json
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from dataclasses import asdict
from pathlib import Path
from typing import Any, Self

from loguru import logger

import backend
from backend.core.collector.file.document import Limits, ParsedDocument
from backend.core.collector.file.reason import refused
from backend.core.collector.file.worker import LENGTH
from backend.core.error import InvalidFile
from backend.core.retrieval.chunking import Section

_FILES_PER_WORKER = 500
"""After so many files a worker is replaced: what a parser leaks goes with it."""
_MAX_ANSWER = 128 * 1024 * 1024
_START_SECONDS = 30.0


class FileReader:
    """Reads files one by one in each of `size` processes, which start when needed and stay warm until `rest`.

    Args:
        size: files read at once.
        timeout: seconds for one file, by the clock and of the processor.
        memory_bytes: memory that one worker may map.
    """

    def __init__(
        self, size: int = 1, timeout: float = 60.0, memory_bytes: int = 1024**3, limits: Limits | None = None
    ) -> None:
        self._timeout = timeout
        self._memory_bytes = memory_bytes
        self._limits = limits or Limits()
        self._slots = asyncio.Semaphore(size)
        self._workers: set[_Worker] = set()
        self._idle: list[_Worker] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def read(self, path: Path, name: str | None = None) -> ParsedDocument:
        """Return the text of the file at `path`, which was called `name`.

        Raises:
            InvalidFile: it cannot be read; the members `code` and `detail_ko` say why besides the detail.
        """
        async with self._slots:
            worker = self._idle.pop() if self._idle else await self._start()
            request = {
                "path": str(path.absolute()),
                "name": name or path.name,
                "limits": asdict(self._limits),
                "cpu_seconds": max(1, round(self._timeout)),
            }
            keep = False
            try:
                async with asyncio.timeout(self._timeout):
                    answer = await worker.ask(request)
                # A worker that ran out of memory may hold on to most of it.
                keep = answer.get("code") != "too_much_memory" and worker.asked < _FILES_PER_WORKER
            except TimeoutError:
                raise refused("too_slow", seconds=f"{self._timeout:g}") from None
            except (asyncio.IncompleteReadError, ConnectionError):
                status = await self._stop(worker)
                logger.warning("the file reader died with status {status}", status=status)
                raise refused("crashed") from None
            finally:
                if keep:
                    self._idle.append(worker)
                else:
                    await self._stop(worker)
        return _document(answer)

    async def rest(self) -> None:
        """End the workers that have nothing to do; the next file starts one again."""
        idle, self._idle = self._idle, []
        for worker in idle:
            await self._stop(worker)

    async def close(self) -> None:
        """End all workers, also those whose end somebody else was waiting for when it was cancelled."""
        self._idle.clear()
        for worker in list(self._workers):
            await self._stop(worker)

    async def _start(self) -> "_Worker":
        worker = await _Worker.start(self._memory_bytes)
        self._workers.add(worker)
        return worker

    async def _stop(self, worker: "_Worker") -> int:
        status = await worker.stop()
        self._workers.discard(worker)
        return status


def _document(answer: dict[str, Any]) -> ParsedDocument:
    if "code" in answer:
        if bug := answer.pop("bug", None):
            logger.error("a parser failed: {bug}", bug=bug)
        raise InvalidFile(answer.pop("detail"), **answer)
    sections = [Section(tuple(section["path"]), section["text"]) for section in answer["sections"]]
    return ParsedDocument(answer["title"], sections, answer["media_type"])


class _Worker:
    def __init__(self, process: Process) -> None:
        self._process = process
        self.asked = 0

    @classmethod
    async def start(cls, memory_bytes: int) -> Self:
        root = Path(backend.__file__).resolve().parent.parent
        async with asyncio.timeout(_START_SECONDS):
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                # -s and -P keep the user's and the current folder's modules out; PYTHONPATH below says all there is.
                "-s",
                "-P",
                "-m",
                "backend.core.collector.file.worker",
                str(memory_bytes),
                stdin=PIPE,
                stdout=PIPE,
                stderr=DEVNULL,
                cwd="/" if sys.platform != "win32" else None,
                env={"PYTHONPATH": str(root), "PYTHONUTF8": "1", "LANG": "C.UTF-8"},
            )
        return cls(process)

    async def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        self.asked += 1
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        data = json.dumps(request).encode()
        stdin.write(LENGTH.pack(len(data)) + data)
        await stdin.drain()
        size = LENGTH.unpack(await stdout.readexactly(LENGTH.size))[0]
        if size > _MAX_ANSWER:
            raise ConnectionError("the answer is too long")
        answer: dict[str, Any] = await asyncio.to_thread(json.loads, await stdout.readexactly(size))
        return answer

    async def stop(self) -> int:
        """Kill the process and return its status; it holds nothing that would have to be saved."""
        if self._process.returncode is None:
            self._process.kill()
        return await self._process.wait()
