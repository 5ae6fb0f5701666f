"""What commands ask for, whoever does it: this process, or the server that owns the data folder."""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol
from uuid import UUID

from backend.cli.terminal import CommandError
from backend.config.setting import Settings
from backend.core.lock.data_folder import owner_of
from backend.dto.knowledge import FileReport
from backend.dto.principal import DEFAULT_TENANT


@dataclass(frozen=True, slots=True)
class Question:
    text: str
    agent: str = "answer"
    model: str | None = None
    thread_id: UUID | None = None

    def body(self) -> dict[str, Any]:
        """Return it as `POST /api/v1/chat` takes it."""
        asked: dict[str, Any] = {"message": self.text, "agent": self.agent, "model": self.model}
        return asked | {"thread_id": str(self.thread_id) if self.thread_id else None}


class Said(NamedTuple):
    """An event of a run (`docs/events.md`)."""

    name: str
    data: dict[str, Any]


class Client(Protocol):
    """Does a tenant's bidding. Closing one of these generators before its end stops what it follows."""

    def ask(self, question: Question) -> AsyncGenerator[Said]:
        """Begin a run and yield what it says, up to `done` or `error`."""

    def resume(self, run_id: UUID, answer: Any) -> AsyncGenerator[Said]:
        """Answer a run that waits, and yield what the new run says."""

    def ingest(self, paths: Sequence[Path]) -> AsyncGenerator[list[FileReport]]:
        """Take in files and folders; yield what became of the files, each once.

        Raises:
            CommandError: the server stopped before the last file.
        """


@asynccontextmanager
async def open_client(settings: Settings, tenant: str = DEFAULT_TENANT) -> AsyncIterator[Client]:
    """Give the client of a tenant: through the server if one owns the data folder, in this process otherwise.

    Raises:
        CommandError: there is no such tenant, or another command is at work in the folder.
    """
    token = _token(settings, tenant)
    owner = owner_of(settings.data_dir)
    if owner is None:
        from backend.cli.local_client import open_local

        async with open_local(settings, token) as local:
            yield local
    elif owner["url"]:
        from backend.cli.http_client import open_http

        async with open_http(owner["url"], token, settings) as remote:
            yield remote
    else:
        raise CommandError(
            f"Another command (process {owner['pid']}) is at work in {settings.data_dir}; try again when it has ended."
        )


def _token(settings: Settings, tenant: str) -> str | None:
    if settings.auth_mode == "disabled":
        if tenant != DEFAULT_TENANT:
            raise CommandError(f"With AUTH_MODE=disabled there is only the tenant {DEFAULT_TENANT}, not {tenant!r}.")
        return None
    token = settings.tokens.get(tenant)
    if token is None:
        known = ", ".join(settings.tokens)
        raise CommandError(f"There is no token for the tenant {tenant!r}; ACCESS_TOKEN and TENANT_TOKENS have {known}.")
    return token.get_secret_value()
