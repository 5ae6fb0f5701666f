"""`daedap sync`: what it asks of the server, and what the person at the terminal reads."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from typer.testing import CliRunner, Result

from backend.api import problem
from backend.api.v1 import sync
from backend.cli import sync as command
from backend.cli.app import app
from backend.cli.http_client import HttpClient
from backend.cli.terminal import CommandError
from backend.core.error import UpstreamFailed
from backend.middleware.tracking import TrackingMiddleware
from test.sync.desk import KIM, Desk, open_database, open_office


@pytest.fixture
def desk(in_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """A desk of 12 tickets that the server of the command collects from."""
    monkeypatch.setenv("LANG", "C.UTF-8")
    desk = Desk()
    desk.fill(12)

    @asynccontextmanager
    async def open_server(settings: Any, tenant: str) -> AsyncIterator[HttpClient]:
        async with open_database(in_folder / "rows.db") as database, open_office(database, desk) as office:
            routes = FastAPI()
            routes.state.container = SimpleNamespace(sync_service=lambda: office.service)
            problem.install(routes)
            routes.include_router(sync.router, prefix="/api/v1")

            async def as_kim(scope: Any, receive: Any, send: Any) -> None:
                scope.setdefault("state", {})["principal"] = KIM
                await routes(scope, receive, send)

            transport = httpx.ASGITransport(TrackingMiddleware(as_kim))
            async with httpx.AsyncClient(transport=transport, base_url="http://server") as http:
                yield HttpClient(http, 1000)

    monkeypatch.setattr(command, "open_server", open_server)
    return desk


def run(*options: str) -> Result:
    return CliRunner().invoke(app, ["sync", *options])


def test_a_collection_that_is_watched_says_what_came_of_it(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    desk.failing = lambda what, which: UpstreamFailed("Nonsense.") if which == "3" else None
    assert command.sync(full=True, watch=True, platform="freshdesk", tenant="default") == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "Collected: 12 tickets read, 11 of them new or changed" in out
    assert "1 items could not be read" in out


def test_a_collection_that_fails_is_told_with_its_exit_code(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    desk.failing = lambda what, which: UpstreamFailed("Nonsense.") if what == "list" else None
    assert command.sync(full=False, watch=True, platform="freshdesk", tenant="default") == 1
    assert "The collection failed: Nonsense. It can be resumed" in " ".join(capsys.readouterr().out.split())


def test_a_collection_goes_on_without_the_command(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.sync(full=False, watch=False, platform="freshdesk", tenant="default") == 0
    assert "has begun" in capsys.readouterr().out


def test_a_platform_that_is_not_installed_is_told(desk: Desk) -> None:
    with pytest.raises(CommandError, match="zendesk does not exist"):
        command.sync(full=False, watch=True, platform="zendesk", tenant="default")


def test_without_a_server_nothing_is_collected(in_folder: Path) -> None:
    assert "No server is at work" in str(run("--full").exception)
