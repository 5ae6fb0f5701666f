"""Threads: conversations and what was said in them."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from langchain_core.messages import BaseMessage
from sqlalchemy import Connection

from backend.core.error import ThreadBusy
from backend.core.run.encoder import text_of
from backend.database.base import Database
from backend.dto.principal import Principal
from backend.dto.thread import Thread
from backend.repository.checkpoint import Checkpointer
from backend.repository.thread import ThreadRepository
from backend.util.id_generator import new_id

_ROLES = {"human": "user", "ai": "assistant"}


class ThreadService:
    def __init__(self, database: Database, checkpointer: Checkpointer, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._checkpointer = checkpointer
        self._clock = clock

    async def create(
        self, principal: Principal, *, thread_id: UUID | None = None, metadata: dict[str, Any] | None = None
    ) -> Thread:
        """Make a thread.

        Raises:
            ThreadExists: its id is taken.
        """
        now = self._clock()
        thread = Thread(thread_id or new_id(), principal.tenant_id, "idle", None, metadata or {}, now, now)
        await self._database.write(lambda connection: ThreadRepository(connection, principal.tenant_id).insert(thread))
        return thread

    async def get(self, principal: Principal, thread_id: UUID) -> Thread:
        """Return a thread.

        Raises:
            ThreadNotFound: no such thread, or another tenant's.
        """
        return await self._database.read(
            lambda connection: ThreadRepository(connection, principal.tenant_id).get(thread_id)
        )

    async def update(self, principal: Principal, thread_id: UUID, metadata: dict[str, Any]) -> Thread:
        """Merge `metadata` into the thread's; a value of None takes its key out.

        Raises:
            ThreadNotFound: no such thread, or another tenant's.
        """

        def work(connection: Connection) -> Thread:
            threads = ThreadRepository(connection, principal.tenant_id)
            thread = threads.get(thread_id, lock=True)
            merged = {key: value for key, value in {**thread.metadata, **metadata}.items() if value is not None}
            now = self._clock()
            threads.update(thread_id, now=now, metadata=merged)
            return replace(thread, metadata=merged, updated_at=now)

        return await self._database.write(work)

    async def delete(self, principal: Principal, thread_id: UUID) -> None:
        """Remove a thread with its runs, events and checkpoints.

        Raises:
            ThreadNotFound: no such thread, or another tenant's.
            ThreadBusy: a run is active on it.
        """
        saver = self._checkpointer.bound(principal.tenant_id)

        def work(connection: Connection) -> None:
            threads = ThreadRepository(connection, principal.tenant_id)
            if threads.get(thread_id, lock=True).status == "busy":
                raise ThreadBusy(thread_id)
            saver.delete_in(connection, [thread_id])
            threads.delete(thread_id)

        await self._database.write(work)

    async def values(self, principal: Principal, thread_id: UUID) -> dict[str, Any]:
        """Return the thread's state as its last checkpoint has it; empty before the first.

        Raises:
            ThreadNotFound: no such thread, or another tenant's.
        """
        await self.get(principal, thread_id)
        saver = self._checkpointer.bound(principal.tenant_id)
        last = await saver.aget_tuple({"configurable": {"thread_id": str(thread_id)}})
        return {} if last is None else dict(last.checkpoint["channel_values"])

    async def messages(self, principal: Principal, thread_id: UUID) -> list[dict[str, Any]]:
        """Return what was said, oldest first, each with `id`, `role`, `content`; answers also with `citations`.

        Raises:
            ThreadNotFound: no such thread, or another tenant's.
        """
        found = (await self.values(principal, thread_id)).get("messages")
        messages = [item for item in found if isinstance(item, BaseMessage)] if isinstance(found, list) else []
        return [_message(message) for message in messages]

    async def list(
        self,
        principal: Principal,
        *,
        limit: int = 20,
        before: UUID | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> list[Thread]:
        """Return threads, the last changed first; `before` is the last thread of the page before.

        Raises:
            ThreadNotFound: there is no thread `before`.
        """

        def work(connection: Connection) -> Any:
            threads = ThreadRepository(connection, principal.tenant_id)
            behind = None
            if before is not None:
                behind = threads.get(before).updated_at, before
            return threads.list(limit=limit, before=behind, metadata=metadata)

        return await self._database.read(work)


def _message(message: BaseMessage) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "id": message.id,
        "role": _ROLES.get(message.type, message.type),
        "content": text_of(message),
    }
    if citations := message.additional_kwargs.get("citations"):
        shown["citations"] = citations
    return shown
