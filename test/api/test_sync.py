"""Collecting over HTTP: begin, watch, pause, resume, cancel, what failed, what is here (I-3, 002-26)."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from fastapi import FastAPI
from pydantic import SecretStr

from backend.api import problem
from backend.api.v1 import sync
from backend.core.error import UpstreamFailed
from backend.middleware.auth import BearerTokenAuthMiddleware
from backend.middleware.tracking import TrackingMiddleware
from backend.service.auth import Authenticator
from test.door_fixture import parse
from test.sync.desk import Desk, Office, open_database, open_office

ROOT = "/api/v1/sync"


@dataclass
class Door:
    """The routes over an office, and clients for them."""

    office: Office
    http: httpx.AsyncClient
    stranger: httpx.AsyncClient

    async def begin(self, **wanted: Any) -> str:
        answer = await self.http.post(f"{ROOT}/jobs", json=wanted)
        assert answer.status_code == 202, answer.text
        assert answer.headers["location"] == f"{ROOT}/jobs/{answer.json()['job_id']}"
        return str(answer.headers["location"])

    async def collect(self, **wanted: Any) -> dict[str, Any]:
        """Collect, following the events to the end."""
        stream = await self.http.get(f"{await self.begin(**wanted)}/events")
        last: dict[str, Any] = parse(stream.text)[-1].data
        return last


@pytest.fixture
async def door(tmp_path: Path) -> AsyncIterator[Door]:
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(open_database(tmp_path / "rows.db"))
        office = await stack.enter_async_context(open_office(database, Desk()))
        app = FastAPI()
        app.state.container = SimpleNamespace(sync_service=lambda: office.service)
        problem.install(app)
        app.include_router(sync.router, prefix="/api/v1")
        door = Authenticator({"acme": SecretStr("kim"), "globex": SecretStr("lee"), "nobody": SecretStr("park")})
        transport = httpx.ASGITransport(TrackingMiddleware(BearerTokenAuthMiddleware(app, door)))
        clients = [
            await stack.enter_async_context(
                httpx.AsyncClient(
                    transport=transport, base_url="http://door", headers={"Authorization": f"Bearer {token}"}
                )
            )
            for token in ("kim", "lee")
        ]
        yield Door(office, *clients)


async def test_a_collection_is_begun_and_followed_to_its_end(door: Door):
    door.office.desk.fill(25)
    door.office.desk.publish(1)
    path = await door.begin(kind="full")
    stream = await door.http.get(f"{path}/events")
    events = parse(stream.text)
    assert [event.name for event in events[:-1]] == ["progress"] * (len(events) - 1)
    assert len(events) > 3
    last = events[-1]
    assert (last.name, last.data["status"], last.data["stage"]) == ("done", "success", "done")
    assert (last.data["counts"]["changed"], last.data["counts"]["articles"]) == (25, 1)
    again = await door.http.get(f"{path}/events", headers={"Last-Event-ID": str(last.id)})
    assert [(event.name, event.id) for event in parse(again.text)] == [("done", last.id)]
    assert (await door.http.get(path)).json() == last.data
    status = (await door.http.get(f"{ROOT}/status")).json()["platforms"]
    (here,) = status
    assert (here["tickets"], here["articles"], here["unprocessed"]) == (25, 1, 0)
    assert here["last_job"]["job_id"] == last.data["job_id"]
    cursors = {cursor["object_type"]: cursor["complete"] for cursor in here["cursors"]}
    assert cursors == {"ticket": True, "deleted": True, "spam": True, "article": True}


async def test_an_unknown_event_id_is_refused(door: Door):
    path = await door.begin()
    refused = await door.http.get(f"{path}/events", headers={"Last-Event-ID": "yesterday"})
    assert (refused.status_code, refused.json()["type"].rsplit("/")[-1]) == (422, "invalid-cursor")


async def test_a_job_is_paused_resumed_and_cancelled(door: Door):
    reached, go = asyncio.Event(), asyncio.Event()

    async def gate(what: str, which: str) -> None:
        if which == "15":
            reached.set()
            await go.wait()

    door.office.desk.fill(30)
    door.office.desk.gate = gate
    path = await door.begin(kind="full")
    async with asyncio.timeout(60):
        await reached.wait()
    refused = await door.http.post(f"{ROOT}/jobs", json={})
    assert (refused.status_code, refused.json()["job_id"]) == (409, path.rsplit("/")[-1])
    asked = (await door.http.post(f"{path}/pause")).json()
    assert (asked["status"], asked["wanted"]) == ("running", "pause")
    go.set()
    job_id = asked["job_id"]
    assert (await door.office.until(UUID(job_id), lambda job: job.status != "running")).status == "paused"
    reached.clear()
    go.clear()
    door.office.desk.gate = None
    assert (await door.http.post(f"{path}/resume")).status_code == 202
    ended = parse((await door.http.get(f"{path}/events")).text)[-1].data
    assert (ended["status"], ended["counts"]["changed"]) == ("success", 30)
    for what in ("pause", "resume"):
        refused = await door.http.post(f"{path}/{what}")
        assert (refused.status_code, refused.json()["status"]) == (409, 409)
        assert "has ended (success)" in refused.json()["detail"]
    assert (await door.http.post(f"{path}/cancel")).json()["status"] == "success"


async def test_jobs_and_issues_come_in_pages(door: Door):
    door.office.desk.fill(12)
    door.office.desk.failing = lambda what, which: UpstreamFailed("Nonsense.") if which in {"3", "5", "7"} else None
    jobs = [await door.collect(kind="full"), await door.collect(), await door.collect(kind="ticket", ticket_ids=["3"])]
    assert [job["counts"]["failed"] for job in jobs] == [3, 3, 1]
    seen: list[str] = []
    before: dict[str, Any] = {}
    while True:
        page = (await door.http.get(f"{ROOT}/jobs", params={"limit": 2, **before})).json()
        seen += [job["job_id"] for job in page["items"]]
        assert page["total"] == 3
        if page["next"] is None:
            break
        before = {"before": page["next"]}
    assert seen == [job["job_id"] for job in reversed(jobs)]
    issues = f"{ROOT}/jobs/{jobs[0]['job_id']}/issues"
    first = (await door.http.get(issues, params={"limit": 2})).json()
    second = (await door.http.get(issues, params={"limit": 2, "after": first["next"]})).json()
    found = [issue["original_id"] for page in (first, second) for issue in page["items"]]
    assert (found, first["total"], second["next"]) == (["3", "5", "7"], 3, None)
    assert (await door.http.get(issues, params={"after": "nonsense"})).status_code == 422


@pytest.mark.parametrize(
    "body",
    [
        {"kind": "everything"},
        {"platform": "../x"},
        {"kind": "ticket"},
        {"kind": "full", "ticket_ids": ["1"]},
        {"kind": "incremental", "reread": True},
        {"kind": "ticket", "ticket_ids": ["1/../2"]},
        {"kind": "ticket", "ticket_ids": ["1"] * 501},
        {"options": {}},
    ],
)
async def test_a_body_that_contradicts_itself_is_refused(door: Door, body: dict[str, Any]):
    assert (await door.http.post(f"{ROOT}/jobs", json=body)).status_code == 422


async def test_another_tenants_job_is_not_there(door: Door):
    job = await door.collect()
    path = f"{ROOT}/jobs/{job['job_id']}"
    for method, url in (
        ("GET", path),
        ("GET", f"{path}/issues"),
        ("GET", f"{path}/events"),
        ("POST", f"{path}/pause"),
        ("POST", f"{path}/resume"),
        ("POST", f"{path}/cancel"),
        ("GET", f"{ROOT}/jobs/{uuid4()}"),
    ):
        answer = await door.stranger.request(method, url)
        assert (answer.status_code, answer.json()["type"].rsplit("/")[-1]) == (404, "job-not-found"), url
    assert (await door.stranger.get(f"{ROOT}/jobs")).json() == {"items": [], "next": None, "total": 0}
    assert (await door.stranger.get(f"{ROOT}/status")).json() == {"platforms": []}
