"""`daedap demo freshdesk`: a simulated support desk, a server, and a reply to a ticket, from nothing to the note.

The server is a process of its own and is used as any client would use it, over HTTP alone.
"""

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

import backend
from backend.cli.demo_text import TEXTS
from backend.cli.demo_view import View
from backend.cli.http_client import HttpClient, open_http
from backend.cli.terminal import DONE, REFUSED, STOPPED, WAITS, CommandError, run
from backend.config.setting import Settings
from backend.core.lock.data_folder import owner_of
from backend.util.language import Language, language

if TYPE_CHECKING:
    from backend.simulator.freshdesk import FreshdeskSimulator

START_SECONDS = 60.0
STOP_SECONDS = 15.0
LOOK_SECONDS = 0.05
CANDIDATES = 40
"""Tickets that are looked at until one is chosen."""
LIMIT_PER_MINUTE = 100_000
"""Of the simulated account: a real plan's would make the collection last a minute or two."""


@dataclass(frozen=True, slots=True)
class Demo:
    """What to show."""

    ticket: int | None = None
    lang: Language = "ko"
    yes: bool = False
    keep: bool = False
    data: Path | None = None


def demo(wanted: Demo) -> int:
    """Show it, and return the exit code."""
    try:
        return run(_demo(wanted))
    except asyncio.CancelledError:
        raise CommandError(TEXTS[wanted.lang]["stopped"], STOPPED) from None


async def _demo(wanted: Demo) -> int:
    from backend.simulator.freshdesk import FreshdeskSimulator, demo_account

    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    began = time.monotonic()
    view = View(wanted.lang)
    with _folder(wanted.data) as folder:
        desk = await asyncio.to_thread(FreshdeskSimulator, [demo_account()], limit_per_minute=LIMIT_PER_MINUTE)
        try:
            view.say("desk", url=desk.url)
            defaults = Settings.model_construct()  # whatever this machine's are
            async with _server(folder, desk.root_url) as url, open_http(url, None, defaults) as server:
                view.say("server", url=url, seconds=time.monotonic() - began)
                code = await Show(wanted, server, desk, view).run()
                view.say("took", seconds=time.monotonic() - began)
                if wanted.keep:
                    view.keep(url, desk.url)
                    await _until_interrupted()
                return code
        finally:
            await asyncio.to_thread(desk.close)


class Show:
    """The demo over a server that runs."""

    def __init__(self, wanted: Demo, server: HttpClient, desk: "FreshdeskSimulator", view: View) -> None:
        self._wanted = wanted
        self._server = server
        self._desk = desk
        self._view = view

    async def run(self) -> int:
        await self._collect()
        newest = await self._server.call("GET", "/api/v1/tickets", limit=5)
        self._view.tickets(await self._server.call("GET", "/api/v1/tickets/statistics"), newest["items"])
        ticket = await self._choose()
        self._view.ticket(ticket)
        waits = await self._draft(ticket["ticket_id"])
        if waits is None:
            return REFUSED
        return await self._decide(ticket["ticket_id"], *waits)

    async def _collect(self) -> None:
        """Install the account, and follow the collection that begins with it."""
        from backend.simulator.freshdesk import DEMO_KEY

        domain = f"{self._desk.account.subdomain}.freshdesk.com"
        made = await self._server.call("POST", "/setup/install", {"domain": domain, "api_key": DEMO_KEY})
        job_id = made["job_id"]
        if job_id is None:
            job_id = (await self._server.call("POST", "/api/v1/sync/jobs", {"kind": "full"}))["job_id"]
        job: dict[str, Any] = {}
        with self._view.progress(self._desk.account.count()) as show:
            async with aclosing(self._server.follow("GET", f"/api/v1/sync/jobs/{job_id}/events")) as events:
                async for _, job in events:
                    show(job)
        if job["status"] != "success":
            raise CommandError(str(job.get("error") or job["status"]))
        self._view.say("collected", **job["counts"])

    async def _choose(self) -> dict[str, Any]:
        """Return the ticket that is wanted, or one that the knowledge base answers, rather one that is not solved."""
        if self._wanted.ticket is not None:
            found: dict[str, Any] = await self._server.call("GET", f"/api/v1/tickets/{self._wanted.ticket}")
            return found
        page = await self._server.call("GET", "/api/v1/tickets", limit=100)
        asked = [one for one in page["items"] if language(one["title"]) == self._wanted.lang]
        asked.sort(key=lambda one: one["status_name"] in {"resolved", "closed"})
        best: tuple[float, dict[str, Any]] | None = None
        for ticket in asked[:CANDIDATES]:
            question = self._view.plain(f"{ticket['title']}\n{ticket['description']}")[:1000]
            found = await self._server.call("POST", "/api/v1/knowledge/search", {"query": question, "limit": 3})
            if best is None or found["evidence"] > best[0]:
                best = found["evidence"], ticket
            if found["enough"]:
                break
        if best is None:
            raise CommandError(self._view.text("nothing"))
        return best[1]

    async def _draft(self, ticket_id: str) -> tuple[str, dict[str, Any]] | None:
        """Show the draft as it comes; return its run and what waits for a decision, or None when it was refused."""
        events = self._server.follow("POST", f"/api/v1/tickets/{ticket_id}/drafts", {"stream": True})
        async with aclosing(events) as reading:
            async for name, data in reading:
                if name == "error":
                    raise CommandError(str(data.get("detail") or data.get("title")))
                self._view.heard(name, data)
                if name == "done" and data.get("interrupts"):
                    review: dict[str, Any] = data["interrupts"][0]["value"]
                    self._view.review(review)
                    return data["run_id"], review
                if name == "done":
                    return None
        raise CommandError(self._view.text("broken"))

    async def _decide(self, ticket_id: str, run_id: str, review: dict[str, Any]) -> int:
        decision = await self._decision(review)
        if decision is None:
            raise CommandError(self._view.text("waits"), WAITS)
        done = await self._server.call("POST", f"/api/v1/drafts/{run_id}/decision", decision)
        self._view.decided(done)
        if decision["action"] != "reject":
            self._view.note(await self._note(ticket_id))
        return DONE

    async def _decision(self, review: dict[str, Any]) -> dict[str, Any] | None:
        """Return what the person decides; None when there is nobody."""
        if self._wanted.yes:
            return {"action": "accept", "write_note": True}
        if not sys.stdin.isatty():
            return None
        while True:
            match (await self._read(self._view.text("ask"))).lower():
                case "a" | "accept" | "y" | "":
                    return {"action": "accept", "write_note": True}
                case "r" | "reject" | "n":
                    return {"action": "reject"}
                case "e" | "edit":
                    lines: list[str] = []
                    while (line := await self._read(self._view.text("edit") if not lines else "")) != ".":
                        lines.append(line)
                    text = "\n".join(lines).strip() or review["reply"]
                    return {"action": "edit", "text": text, "write_note": True}

    async def _read(self, prompt: str) -> str:
        """Read one line; not with input() in a thread, which at Ctrl-C would wait for the next line."""
        self._view.prompt(prompt)
        loop = asyncio.get_running_loop()
        typed = asyncio.Event()
        loop.add_reader(sys.stdin, typed.set)
        try:
            await typed.wait()
        finally:
            loop.remove_reader(sys.stdin)
        line = sys.stdin.readline()
        if not line:
            raise CommandError(self._view.text("waits"), WAITS)
        return line.strip()

    async def _note(self, ticket_id: str) -> dict[str, Any]:
        """Return the newest note of the ticket, asked of the desk itself."""
        from backend.simulator.freshdesk import DEMO_KEY

        path = f"{self._desk.url}/api/v2/tickets/{ticket_id}/conversations"
        notes: list[dict[str, Any]] = []
        async with httpx.AsyncClient(auth=(DEMO_KEY, "X"), trust_env=False) as http:
            page = 1
            while found := (await http.get(path, params={"per_page": 100, "page": page})).raise_for_status().json():
                notes += [one for one in found if one["private"]]
                page += 1
        if not notes:
            raise CommandError(self._view.text("no_note"))
        return max(notes, key=lambda one: int(one["id"]))


@contextmanager
def _folder(data: Path | None) -> Iterator[Path]:
    """Give the folder of the server's data; one that nobody named goes at the end."""
    if data is None:
        with tempfile.TemporaryDirectory(prefix="daedap-demo-") as made:
            yield Path(made)
        return
    folder = data.expanduser().absolute()
    folder.mkdir(parents=True, exist_ok=True)
    if owner_of(folder) is not None:
        raise CommandError(f"A server is at work in {folder} already.")
    yield folder


@asynccontextmanager
async def _server(folder: Path, desk_url: str) -> AsyncIterator[str]:
    """Run a server over the folder and give its address; it stops with this process, however that ends."""
    process = _start(folder, _environment(folder, desk_url))
    try:
        yield await _address(process, folder)
    finally:
        await asyncio.to_thread(_stop, process)


def _start(folder: Path, environment: dict[str, str]) -> subprocess.Popen[bytes]:
    with (folder / "demo.log").open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "backend.cli.demo_server"],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            cwd=folder,
            env=environment,
            process_group=0,  # Ctrl-C reaches this process alone, which then stops that one
        )


def _environment(folder: Path, desk_url: str) -> dict[str, str]:
    """Return the environment of the server: its settings are the demo's own, whatever this machine's are."""
    own = {name.upper() for name in Settings.model_fields}
    kept = {name: value for name, value in os.environ.items() if name.upper() not in own}
    return {
        **kept,
        "PYTHONPATH": os.pathsep.join(filter(None, [str(Path(backend.__file__).parents[1]), kept.get("PYTHONPATH")])),
        "HOST": "127.0.0.1",
        "PORT": "0",
        "DATA_DIR": str(folder),
        "FRESHDESK_URL": desk_url,
        "SAMPLE_CORPUS": "false",
        "LOG_FILE_PATH": "None",
        "SYNC_INTERVAL_MINUTES": "0",
    }


async def _address(process: subprocess.Popen[bytes], folder: Path) -> str:
    """Return where the server is, once it is ready.

    Raises:
        CommandError: it does not start; the last it wrote is told.
    """
    deadline = time.monotonic() + START_SECONDS
    async with httpx.AsyncClient(timeout=5, trust_env=False) as http:
        while process.poll() is None and time.monotonic() < deadline:
            owner = owner_of(folder)
            if owner is not None and owner["url"]:
                with suppress(httpx.HTTPError):
                    if (await http.get(f"{owner['url']}/health/ready")).is_success:
                        return str(owner["url"])
            await asyncio.sleep(LOOK_SECONDS)
    written = (folder / "demo.log").read_text("utf-8", "replace").strip().splitlines()
    raise CommandError("\n".join(["The server does not start:", *written[-5:]]))


def _stop(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None  # it is a pipe
    process.stdin.close()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


async def _until_interrupted() -> None:
    """Wait for Ctrl-C, which here is the way to end."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGINT, stop.set)
    try:
        await stop.wait()
    finally:
        loop.remove_signal_handler(signal.SIGINT)
