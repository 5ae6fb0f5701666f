"""Starts the runs of crons when they are due.

Each firing happens once, however many servers look at the same table: a server claims a cron by a conditional update,
starts the run under an idempotency key made of the cron and the moment, and then goes on to the next firing. One that
dies between these steps loses its claim after `CLAIM_SECONDS`, and whoever comes next finds the run already there or
starts it. A run is its owner's: who may do less than before lends it no more, and the cron of somebody who is gone is
disabled. Firings that were missed while no server ran are made up for by one run; then the schedule goes on from now.
"""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, Protocol, Self
from uuid import UUID

from loguru import logger
from sqlalchemy import Connection

from backend.core.error import DomainError, TooMany, Unavailable
from backend.database.base import Database
from backend.dto.cron import Cron, OnRunCompleted
from backend.dto.principal import Principal
from backend.dto.run import Run
from backend.repository.cron import DueCrons
from backend.service.cron_owner import owner_now
from backend.util.cron_schedule import next_firing

CLAIM_SECONDS = 60
"""In which a run must have been started."""
LONGEST_SLEEP = 30.0
"""Seconds after which the table is looked at anyway: another server may have written to it."""
_BATCH = 50
_PAUSE = 5.0
"""Seconds before the next try when the database does not answer."""
_OWN_FIELDS = frozenset({"schedule", "timezone", "end_time", "enabled", "on_run_completed"})
"""What of a payload speaks of the cron and not of its runs."""


class StartRun(Protocol):
    async def __call__(
        self,
        principal: Principal,
        payload: Mapping[str, Any],
        *,
        thread_id: UUID | None,
        on_completion: OnRunCompleted,
        idempotency_key: str,
    ) -> Run:
        """Start a run as a request of `principal` with this body would; the same key gives the same run again.

        Without a thread it gets a new one, which `on_completion` deletes or keeps when the run has ended.
        """


class CronScheduler:
    """`async with scheduler:` runs it; `wake()` after every change of a cron."""

    def __init__(self, database: Database, start_run: StartRun, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._start_run = start_run
        self._clock = clock
        self._woken = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._loop(), name="cron scheduler")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    def wake(self) -> None:
        """Look at the table again: a cron was made or changed."""
        self._woken.set()

    async def fire_due(self) -> float:
        """Start what is due; return the seconds until it is worth looking again.

        Raises:
            Unavailable: the database does not answer.
        """
        first = await self._next_date()
        now = self._clock()
        if first is not None and first <= now:
            until = now + timedelta(seconds=CLAIM_SECONDS)
            due = await self._database.write(lambda connection: DueCrons(connection).claim(now, until, limit=_BATCH))
            await asyncio.gather(*(self._fire(cron) for cron in due))
            first = await self._next_date()
        if first is None:
            return LONGEST_SLEEP
        return min(max((first - self._clock()).total_seconds(), 0), LONGEST_SLEEP)

    async def _next_date(self) -> datetime | None:
        return await self._database.read(lambda connection: DueCrons(connection).next_date())

    async def _loop(self) -> None:
        while True:
            self._woken.clear()
            try:
                delay = await self.fire_due()
            except Unavailable as error:
                logger.warning("crons could not be looked at: {error}", error=error.detail)
                delay = _PAUSE
            except Exception:  # noqa: BLE001 - one failure must not end all schedules
                logger.exception("crons could not be looked at")
                delay = _PAUSE
            with suppress(TimeoutError):
                async with asyncio.timeout(delay):
                    await self._woken.wait()

    async def _fire(self, cron: Cron) -> None:
        with logger.contextualize(cron_id=str(cron.cron_id)):
            try:
                if cron.end_time is None or self._clock() <= cron.end_time:
                    owner = await self._owner(cron)
                    if owner is None:
                        return
                    await self._start(replace(cron, owner=owner))
            except (Unavailable, TooMany) as error:  # the claim runs out, then it is tried again
                logger.warning("a cron could not start its run yet: {error}", error=error.detail)
                return
            except DomainError as error:
                logger.warning("a cron could not start its run: {error}", error=error.detail)
            except Exception:  # noqa: BLE001 - where the firing ends; the others go on
                logger.exception("a cron could not start its run")
            following = _following(cron, self._clock())
            try:
                await self._database.write(lambda connection: DueCrons(connection).finish(cron, following))
            except Unavailable as error:  # the claim runs out, and the key finds the run that was started
                logger.warning("a cron could not go on to its next firing yet: {error}", error=error.detail)

    async def _owner(self, cron: Cron) -> Principal | None:
        """Return a cron's owner with what it may do now; None when nothing is left of that: the cron is disabled."""
        now = self._clock()

        def work(connection: Connection) -> Principal | str:
            return owner_now(connection, cron.owner, now)

        found = await self._database.read(work)
        if isinstance(found, Principal):
            return found
        if await self._database.write(lambda connection: DueCrons(connection).disable(cron, found, now)):
            logger.warning("a cron was disabled: {reason}", reason=found)
        return None

    async def _start(self, cron: Cron) -> None:
        run = await self._start_run(
            cron.owner,
            _body(cron),
            thread_id=cron.thread_id,
            on_completion=cron.on_run_completed or "keep",
            idempotency_key=f"cron:{cron.cron_id}:{cron.next_run_date}",
        )
        logger.info("cron started run {run_id}", run_id=run.run_id)


def _body(cron: Cron) -> dict[str, Any]:
    """The body of the run that a cron starts; the cron's id, which its own payload shows too, is in the metadata."""
    fields = {name: value for name, value in cron.payload.items() if name not in _OWN_FIELDS}
    config = dict(fields.pop("config", {}))
    configurable = {key: value for key, value in config.pop("configurable", {}).items() if key != "cron_id"}
    if configurable:
        config["configurable"] = configurable
    return {**fields, "config": config, "metadata": {**cron.metadata, "cron_id": str(cron.cron_id)}}


def _following(cron: Cron, now: datetime) -> datetime | None:
    try:
        firing = next_firing(cron.schedule, cron.timezone, now)
    except ValueError as error:  # the time zone is gone with another version of its database
        logger.warning("a cron has no next firing: {error}", error=error)
        return None
    return firing if cron.end_time is None or firing <= cron.end_time else None
