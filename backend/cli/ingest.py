"""`daedap ingest`: a progress bar, then what became of each file."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from contextlib import aclosing
from pathlib import Path

from backend.cli.client import Client
from backend.cli.open_client import open_client
from backend.cli.terminal import DONE, FAILED, command_settings, out, printable, run, side, terminal_language
from backend.core.collector.file.folder import find_files
from backend.core.error import InvalidFile
from backend.dto.knowledge import FileOutcome, FileReport
from backend.service.ingest import MAX_FILES
from backend.util.language import Language

SHOWN = 40
"""Rows of files that were taken in; those that failed are all shown."""
_TEXTS: dict[Language, dict[str, str]] = {
    "en": {
        "file": "file", "outcome": "outcome", "chunks": "passages", "reason": "reason",
        "added": "added", "updated": "updated", "unchanged": "unchanged", "failed": "failed",
        "more": "… and {count} more", "reading": "Reading", "sum": "{total} files: {counts}; {chunks} passages.",
        "count": "{count} {outcome}",
    },
    "ko": {
        "file": "파일", "outcome": "결과", "chunks": "구절", "reason": "이유",
        "added": "추가", "updated": "갱신", "unchanged": "그대로", "failed": "실패",
        "more": "… 외 {count}개", "reading": "읽는 중", "sum": "파일 {total}개: {counts}. 구절 {chunks}개.",
        "count": "{outcome} {count}",
    },
}  # fmt: skip
_STYLES: dict[FileOutcome, str] = {"added": "green", "updated": "green", "unchanged": "dim", "failed": "red"}


def ingest(paths: Sequence[Path], tenant: str) -> int:
    """Take in files and folders, and return the exit code."""
    reports = run(_ingest(paths, tenant))
    _tabulate(reports)
    return FAILED if any(report.outcome == "failed" for report in reports) else DONE


async def _ingest(paths: Sequence[Path], tenant: str) -> list[FileReport]:
    async with open_client(command_settings(), tenant) as client:
        return await take_in(client, paths)


async def take_in(client: Client, paths: Sequence[Path]) -> list[FileReport]:
    """Take in files and folders behind a progress bar; return what became of each file.

    Raises:
        InvalidFile: there is nothing at one of the paths, or nothing that can be read; nothing was taken in then.
        TooLarge: a folder holds too many files.
    """
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    total = sum(await asyncio.gather(*(asyncio.to_thread(_count, path) for path in paths)))
    reports: list[FileReport] = []
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=side()) as bar:
        task = bar.add_task(_TEXTS[terminal_language()]["reading"], total=total)
        async with aclosing(client.ingest(paths)) as steps:
            async for new in steps:
                reports += new
                bar.update(task, completed=len(reports))
    return reports


def _count(path: Path) -> int:
    files = find_files(path, MAX_FILES).files
    if not files:
        raise InvalidFile(f"Nothing in {path} can be read.", code="unsupported")
    return len(files)


def _tabulate(reports: Sequence[FileReport]) -> None:
    from rich.table import Table

    korean = terminal_language() == "ko"
    texts = _TEXTS[terminal_language()]
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column(texts["file"], overflow="fold")
    table.add_column(texts["outcome"], no_wrap=True)
    table.add_column(texts["chunks"], justify="right", no_wrap=True)
    table.add_column(texts["reason"], overflow="fold")
    failed = [report for report in reports if report.outcome == "failed"]
    taken = [report for report in reports if report.outcome != "failed"]
    for report in (*taken[:SHOWN], *failed):
        reason = (report.reason_ko if korean else None) or report.reason or ""
        outcome = texts[report.outcome]
        chunks = str(report.chunks) if report.outcome != "failed" else ""
        style = _STYLES[report.outcome]
        table.add_row(printable(report.source), outcome, chunks, printable(reason), style=style)
    out().print(table)
    if len(taken) > SHOWN:
        out().print(texts["more"].format(count=len(taken) - SHOWN), style="dim")
    counted = Counter(report.outcome for report in reports)
    counts = ", ".join(texts["count"].format(count=count, outcome=texts[each]) for each, count in counted.items())
    chunks_in_all = sum(report.chunks for report in reports)
    out().print(texts["sum"].format(total=len(reports), counts=counts, chunks=chunks_in_all))
