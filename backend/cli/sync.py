"""`daedap sync`: lets the running server collect from a support desk, and shows how far it is."""

from contextlib import aclosing
from typing import TYPE_CHECKING

from backend.cli.open_client import open_server
from backend.cli.terminal import DONE, FAILED, command_settings, out, printable, run, side, terminal_language
from backend.util.language import Language

if TYPE_CHECKING:
    from backend.schema.sync import SyncJobRead

_TEXTS: dict[Language, dict[str, str]] = {
    "en": {
        "pending": "waiting", "tickets": "tickets", "removed": "what was deleted", "articles": "articles",
        "attachments": "attachments", "index": "index", "done": "done",
        "progress": "{stage}: {tickets} tickets, {changed} changed, {conversations} messages, {articles} articles,"
        " {requests} requests",
        "begun": "Collection {job_id} has begun; `--watch` follows it.",
        "success": "Collected: {tickets} tickets read, {changed} of them new or changed, {conversations} messages,"
        " {articles} articles, {attachments} attachments, {removed} gone, {requests} requests.",
        "failed": "{failed} items could not be read; the next collection tries them again.",
        "paused": "The collection was paused.", "cancelled": "The collection was cancelled.",
        "error": "The collection failed: {error}",
    },
    "ko": {
        "pending": "대기", "tickets": "티켓", "removed": "삭제된 항목", "articles": "지식 문서",
        "attachments": "첨부 파일", "index": "색인", "done": "완료",
        "progress": "{stage}: 티켓 {tickets}개, 변경 {changed}개, 메시지 {conversations}개, 문서 {articles}개,"
        " 요청 {requests}회",
        "begun": "수집 {job_id}을(를) 시작했습니다. `--watch`로 진행을 볼 수 있습니다.",
        "success": "수집 완료: 티켓 {tickets}개 확인, 변경 {changed}개, 메시지 {conversations}개, 문서 {articles}개,"
        " 첨부 {attachments}개, 삭제 {removed}개, 요청 {requests}회.",
        "failed": "항목 {failed}개를 읽지 못했습니다. 다음 수집에서 다시 시도합니다.",
        "paused": "수집이 일시 중지되었습니다.", "cancelled": "수집이 취소되었습니다.",
        "error": "수집에 실패했습니다: {error}",
    },
}  # fmt: skip


def sync(*, full: bool, watch: bool, platform: str, tenant: str) -> int:
    """Begin a collection and return the exit code."""
    job = run(_sync("full" if full else "incremental", platform, tenant, watch=watch))
    texts = _TEXTS[terminal_language()]
    counts = job.counts.model_dump()
    if not watch:
        out().print(texts["begun"].format(job_id=job.job_id))
        return DONE
    out().print(texts[job.status].format(**counts, error=printable(job.error or "")))
    if counts["failed"]:
        out().print(texts["failed"].format(failed=counts["failed"]))
    return FAILED if job.status == "error" else DONE


async def _sync(kind: str, platform: str, tenant: str, *, watch: bool) -> "SyncJobRead":
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    texts = _TEXTS[terminal_language()]
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    last: SyncJobRead | None = None
    async with open_server(command_settings(), tenant) as server:
        # How much there is nobody knows beforehand: platforms count nothing. So it shows what is done.
        with Progress(*columns, console=side(), disable=not watch) as bar:
            task = bar.add_task(texts["pending"], total=None)
            async with aclosing(server.collect(kind, platform, watch=watch)) as jobs:
                async for last in jobs:
                    stage = texts["pending"] if last.status == "pending" else texts[last.stage]
                    bar.update(task, description=texts["progress"].format(stage=stage, **last.counts.model_dump()))
                    if last.status == "paused":
                        break
    assert last is not None  # the job that was begun is the first
    return last
