"""A server is killed when a platform has a note: it is there once, and the decision is kept (000-39 ⚠)."""

import asyncio
import os
import signal
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from backend.simulator.freshdesk import DEMO_KEY, FreshdeskSimulator, generated_account
from test.agent_fixture import ROOT, WAIT_SECONDS, _wait_until_ready
from test.forked import Program, start
from test.server import free_port

TICKETS = 120
NOTE = "The parcel is on its way: <b>word for word</b>."


class Life:
    """A server with a simulated Freshdesk, which can be killed and started again."""

    def __init__(self, folder: Path, freshdesk: FreshdeskSimulator) -> None:
        self._folder = folder
        self._port = free_port()
        self._freshdesk = freshdesk
        self._process: Program | None = None
        self.url = f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
            "DATA_DIR": str(self._folder / "data"),
            "PORT": str(self._port),
            "SAMPLE_CORPUS": "false",
            "DRAIN_SECONDS": "0",
            "SYNC_INTERVAL_MINUTES": "0",
            "FRESHDESK_URL": urlsplit(self._freshdesk.url)._replace(path="").geturl(),
            "FRESHDESK_DOMAIN": f"{self._freshdesk.account.subdomain}.freshdesk.com",
            "FRESHDESK_API_KEY": DEMO_KEY,
        }
        log = self._folder / "log"
        with log.open("ab") as output:
            self._process = start("backend.main", cwd=self._folder, env=environment, stdout=output, stderr=output)
        _wait_until_ready(self.url, self._process, log)

    def end(self, how: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(how)
        self._process.wait(WAIT_SECONDS)


async def _collected(server: httpx.AsyncClient) -> None:
    async with asyncio.timeout(60):
        while True:
            jobs = (await server.get("/api/v1/sync/jobs")).json()["items"]
            if jobs and jobs[0]["ended_at"] is not None:
                assert jobs[0]["status"] == "success", jobs[0]
                return
            await asyncio.sleep(0.2)


async def _drafted(server: httpx.AsyncClient) -> tuple[str, dict[str, Any]]:
    """Return the first ticket that something is known about, and the run that waits with its draft."""
    tickets = (await server.get("/api/v1/tickets", params={"limit": 30})).json()["items"]
    for ticket in tickets:
        run = (await server.post(f"/api/v1/tickets/{ticket['ticket_id']}/drafts", json={})).json()
        if run["status"] == "interrupted":
            return ticket["ticket_id"], run
    raise AssertionError("There is no draft for any ticket.")


async def _idle(server: httpx.AsyncClient, thread_id: str) -> None:
    async with asyncio.timeout(60):
        while True:
            if (await server.get(f"/api/v1/threads/{thread_id}")).json()["status"] == "idle":
                return
            await asyncio.sleep(0.1)


async def _notes(freshdesk: FreshdeskSimulator, ticket_id: str) -> int:
    """Return how many notes of ours the ticket has at the platform."""
    async with httpx.AsyncClient(auth=(DEMO_KEY, "X"), timeout=60) as platform:
        answer = await platform.get(f"{freshdesk.url}/api/v2/tickets/{ticket_id}/conversations?per_page=100")
        return sum("word for word" in message["body_text"] for message in answer.raise_for_status().json())


@pytest.mark.timeout(180)
@pytest.mark.parametrize("seconds", [60.0, 0.0])
async def test_a_note_is_there_once_though_the_server_is_killed_behind_it(tmp_path: Path, seconds: float) -> None:
    """With its answer still on the way, and with the answer just here."""
    with FreshdeskSimulator(generated_account(TICKETS, 3.0), plan="unlimited") as freshdesk:
        life = Life(tmp_path, freshdesk)
        await asyncio.to_thread(life.start)
        try:
            async with httpx.AsyncClient(base_url=life.url, timeout=30) as server:
                await _collected(server)
                ticket_id, run = await _drafted(server)
                if seconds:
                    freshdesk.faults.add("slow", path=r"/notes$", seconds=seconds)
                body = {"action": "edit", "text": NOTE, "comment": "mine", "write_note": True}
                deciding = asyncio.create_task(server.post(f"/api/v1/drafts/{run['run_id']}/decision", json=body))
                async with asyncio.timeout(WAIT_SECONDS):
                    while not await _notes(freshdesk, ticket_id):  # noqa: ASYNC110 - it is another process
                        await asyncio.sleep(0.005)
                life.end(signal.SIGKILL)
                await asyncio.gather(deciding, return_exceptions=True)
            freshdesk.faults.clear()
            await asyncio.to_thread(life.start)
            async with httpx.AsyncClient(base_url=life.url, timeout=30) as server:
                await _idle(server, run["thread_id"])
                state = (await server.get(f"/threads/{run['thread_id']}/state")).json()["values"]
                assert (state["decision"]["action"], state["answer"]) == ("edit", NOTE)
                if seconds:
                    assert state["note_id"] is None
                    assert (
                        "not known whether" in state["messages"][-1]["content"]
                        or "확인" in state["messages"][-1]["content"]
                    )
                kept = (await server.get("/api/v1/feedback")).json()["items"]
                assert [(one["kind"], one["final"], one["comment"]) for one in kept] == [("edit", NOTE, "mine")]
                assert await _notes(freshdesk, ticket_id) == 1
        finally:
            life.end(signal.SIGTERM)
