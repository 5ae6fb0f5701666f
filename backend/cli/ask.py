"""`daedap ask`: the answer as it comes, then its sources."""

import asyncio
import hashlib
import json
import sys
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

from backend.cli.client import Client, Question, Said
from backend.cli.open_client import open_client
from backend.cli.terminal import DONE, REFUSED, WAITS, CommandError, command_settings, out, printable, run, side
from backend.config.setting import Settings
from backend.util.language import Language, language

_TEXTS: dict[Language, dict[str, str]] = {
    "en": {
        "sources": "Sources",
        "go_on": "To go on: --thread {thread_id}",
        "again": "(The server was started again; the answer begins anew.)",
        "waits": "It waits for an answer",
        "waiting": "The agent waits for an answer: POST /api/v1/runs/{run_id}/resume gives it.",
        "timeout": "The run was stopped at its time limit.",
        "interrupted": "The run was stopped.",
        "unread": "{count} files could not be read; `daedap ingest {docs}` says why.",
    },
    "ko": {
        "sources": "출처",
        "go_on": "이어서 물으려면: --thread {thread_id}",
        "again": "(서버가 다시 시작되어 답을 처음부터 다시 씁니다.)",
        "waits": "답을 기다립니다",
        "waiting": "에이전트가 답을 기다립니다. POST /api/v1/runs/{run_id}/resume 로 답할 수 있습니다.",
        "timeout": "제한 시간이 지나 실행을 멈췄습니다.",
        "interrupted": "실행이 중단되었습니다.",
        "unread": "파일 {count}개를 읽지 못했습니다. `daedap ingest {docs}` 명령이 이유를 보여 줍니다.",
    },
}


def ask(question: Question, *, docs: Path | None, tenant: str) -> int:
    """Ask, and return the exit code."""
    return run(_ask(question, docs, tenant))


async def _ask(question: Question, docs: Path | None, tenant: str) -> int:
    texts = _TEXTS[language(question.text)]
    settings = command_settings()
    async with open_client(settings, tenant) if docs is None else _open_docs(settings, docs, texts) as client:
        done = await _show(client.ask(question), texts)
        while waits := done.get("interrupts"):
            answer = await _answer(waits[0].get("value"), texts)
            if answer is None:
                raise CommandError(texts["waiting"].format(run_id=done["run_id"]), WAITS)
            done = await _show(client.resume(UUID(done["run_id"]), answer), texts)
    if done["status"] != "success":
        raise CommandError(texts.get(done["status"], done["status"]))
    _list_sources(done.get("citations") or [], texts)
    side().print(texts["go_on"].format(thread_id=done["thread_id"]), style="dim")
    return REFUSED if done.get("refused") else DONE


async def _show(events: AsyncGenerator[Said], texts: dict[str, str]) -> dict[str, Any]:
    """Write the answer as it comes; return the data of `done`."""
    message: object = None
    async with aclosing(events) as run_says:
        async for name, data in run_says:
            if name == "start" and data.get("attempt", 1) > 1 and message is not None:
                message = None
                out().print(f"\n{texts['again']}", style="dim")
            elif name == "token":
                if message not in {None, data["message_id"]}:
                    out().print("\n")
                message = data["message_id"]
                out().out(printable(data["text"]), end="")
            elif name == "error":
                if message is not None:
                    out().print()
                raise CommandError(str(data.get("detail") or data.get("title")))
            elif name == "done":
                _end(data, streamed=message is not None)
                return data
    raise CommandError("The server stopped before the answer was whole; it goes on when it is back.")


def _end(done: dict[str, Any], *, streamed: bool) -> None:
    """End the answer's last line; an answer that did not come in pieces is written whole."""
    if streamed:
        out().print()
    elif done.get("answer"):
        out().out(printable(done["answer"]))
    elif done.get("output") is not None and not done.get("interrupts"):
        out().out(json.dumps(done["output"], ensure_ascii=False, indent=2))


def _list_sources(citations: list[dict[str, Any]], texts: dict[str, str]) -> None:
    """Write the sources, each on a line of its own that is never wrapped: an address can then be copied."""
    if not citations:
        return
    out().print()
    out().print(texts["sources"], style="bold")
    for cited in sorted(citations, key=lambda cited: int(cited["index"])):
        label = " › ".join([cited["title"], *cited.get("path", [])])
        out().out(printable(f" [{cited['index']}] {label} ({cited.get('score', 0):.2f})"))
        if cited.get("url"):
            out().out(printable(f"     {cited['url']}"))


async def _answer(value: object, texts: dict[str, str]) -> object:
    """Ask the person at the terminal; None when there is nobody. JSON is taken as such, anything else as text."""
    if not sys.stdin.isatty():
        return None
    shown = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    side().print(f"{texts['waits']}: {printable(shown)}", style="bold")
    loop = asyncio.get_running_loop()
    typed = asyncio.Event()
    loop.add_reader(sys.stdin, typed.set)  # not input() in a thread: at Ctrl-C that would wait for the next line
    try:
        await typed.wait()
    finally:
        loop.remove_reader(sys.stdin)
    line = sys.stdin.readline().strip()
    try:
        return json.loads(line) if line else None
    except ValueError:
        return line


@asynccontextmanager
async def _open_docs(settings: Settings, docs: Path, texts: dict[str, str]) -> AsyncIterator[Client]:
    """Give a client whose documents are those of the folder, as it is now, and no other."""
    from backend.cli.ingest import take_in
    from backend.cli.local_client import open_local

    async with open_local(_of_its_own(settings, docs), None) as client:
        reports = await take_in(client, [docs])
        read = {report.source for report in reports if report.outcome != "failed"}
        await client.keep_only(read)
        if failed := len(reports) - len(read):
            side().print(texts["unread"].format(count=failed, docs=docs), style="yellow")
        yield client


def _of_its_own(settings: Settings, docs: Path) -> Settings:
    """Return the settings of the place where the documents of a folder alone are kept: a part of the data folder.

    It is kept, so that the next question reads only what has changed; deleting it loses nothing but that, and the
    conversations about the folder.
    """
    place = docs.expanduser().resolve()
    marks = (str(place), settings.embedding_model, str(settings.embedding_dimensions))
    name = f"{place.name or 'root'}-{hashlib.sha256('|'.join(marks).encode()).hexdigest()[:12]}"
    return settings.model_copy(
        update={
            "data_dir": settings.data_dir / "ask" / name,
            "sample_corpus": False,
            "database_url": None,
            "redis_url": None,
            "auth_mode": "disabled",
        }
    )
