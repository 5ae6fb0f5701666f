"""Taking a thread over from the agents, and giving it back.

While a person has a thread, none of its runs begins, and nobody makes one, whichever door they use: the ledger sees to
that. What was running stops as `interrupted`, with its checkpoint; what waits goes on waiting, and begins when the
thread is given back or the claim runs out. Its state may be read and changed by hand all the while.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import orjson

from backend.core.run.event_log import EventLog
from backend.database.base import Database
from backend.dto.principal import Principal
from backend.dto.thread import ThreadClaim
from backend.repository.thread import ThreadRepository
from backend.service.run_ledger import RunLedger
from backend.service.run_worker import RunWorker

CLAIM = "claim"
"""What viewers of the thread are told: `{"thread_id", "claim": {"user_id", "until"} | null}`."""
SWEEP_SECONDS = 5.0
"""How long a claim that has run out may keep waiting runs; a new run does not wait for that."""
_BATCH = 100


class HandOverService:
    def __init__(
        self,
        database: Database,
        ledger: RunLedger,
        worker: RunWorker,
        log: EventLog,
        clock: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._ledger = ledger
        self._worker = worker
        self._log = log
        self._clock = clock

    async def find(self, principal: Principal, thread_id: UUID) -> ThreadClaim | None:
        """Return who has a thread; None when the agents do.

        Raises:
            ThreadNotFound: no such thread, or another tenant's.
        """
        thread = await self._database.read(
            lambda connection: ThreadRepository(connection, principal.tenant_id, principal.hidden).get(thread_id)
        )
        return thread.claimed(self._clock())

    async def claim(self, principal: Principal, thread_id: UUID, seconds: float) -> ThreadClaim:
        """Take a thread over for some time from now on; who has it already keeps it for that time.

        Raises:
            ThreadNotFound: no such thread, or another tenant's.
            ThreadClaimed: somebody else has it.
        """
        return await self._worker.whole(self._claim(principal, thread_id, seconds))

    async def _claim(self, principal: Principal, thread_id: UUID, seconds: float) -> ThreadClaim:
        held = await self._ledger.hold(principal, thread_id, self._clock() + timedelta(seconds=seconds))
        if held.stop is not None:
            self._worker.stop(held.stop.run_id)
        if held.demoted is not None:
            self._worker.withdraw(held.demoted)
        self._tell(principal.tenant_id, thread_id, held.claim)
        return held.claim

    async def release(self, principal: Principal, thread_id: UUID) -> None:
        """Give a thread back to the agents; its waiting runs go on. Nothing happens to one that nobody has.

        Raises:
            ThreadNotFound: no such thread, or another tenant's.
            ThreadClaimed: somebody else has it, and the caller is no administrator.
        """
        await self._worker.whole(self._release(principal, thread_id))

    async def _release(self, principal: Principal, thread_id: UUID) -> None:
        was_held, following = await self._ledger.let_go(principal, thread_id)
        if following is not None:
            self._worker.dispatch(following)
        if was_held:
            self._tell(principal.tenant_id, thread_id, None)

    async def sweep(self) -> None:
        """Let the runs go on whose thread nobody has any more: its claim has run out."""
        while freed := await self._worker.whole(self._sweep()):
            if freed < _BATCH:
                return

    async def _sweep(self) -> int:
        freed = await self._ledger.let_go_expired(_BATCH)
        for thread, following in freed:
            if following is not None:
                self._worker.dispatch(following)
            self._tell(thread.tenant_id, thread.thread_id, None)
        return len(freed)

    def _tell(self, tenant_id: str, thread_id: UUID, claim: ThreadClaim | None) -> None:
        shown: dict[str, Any] | None = None if claim is None else {"user_id": claim.user_id, "until": claim.until}
        self._log.say(tenant_id, thread_id, CLAIM, lambda: orjson.dumps({"thread_id": thread_id, "claim": shown}))
