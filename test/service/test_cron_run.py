"""Crons with the real engine behind them: what becomes of the threads, and what runs know of their cron."""

from datetime import UTC, datetime
from typing import Any, cast
from uuid import UUID, uuid4

import pytest
from langchain_core.runnables import RunnableConfig
from langgraph.graph import MessagesState

from backend.core.error import ThreadNotFound
from backend.dto.assistant import Assistant
from backend.dto.cron import Cron, CronDraft
from backend.dto.principal import Principal
from backend.dto.run import Run
from backend.service.access import AccessControl
from backend.service.assistant import AssistantService
from backend.service.cron import CronService
from backend.service.cron_scheduler import CronScheduler
from backend.service.run_request import RunStarter
from test.engine_fixture import ALICE, Agents, Engine, FakeClock, graph_of

ASSISTANT = uuid4()
INPUT = {"messages": [{"role": "user", "content": "hi"}]}


class OneAssistant:
    """There is one assistant, of the graph `spy`."""

    async def resolve(self, principal: Principal, assistant_id: str, only: Any = None) -> Assistant:
        del only
        assert assistant_id == str(ASSISTANT)
        now = datetime.now(UTC)
        return Assistant(ASSISTANT, principal.tenant_id, "spy", {}, {}, {}, "spy", None, 1, now, now)


class Crons:
    def __init__(self, engine: Engine, clock: FakeClock) -> None:
        self.engine = engine
        self.clock = clock
        self.runs: list[Run] = []
        self.starter = RunStarter(engine.runs, cast(AssistantService, OneAssistant()), self._check, AccessControl(None))
        self.scheduler = CronScheduler(engine.database, self._start, clock)
        self.service = CronService(engine.database, self._check, self.scheduler.wake, clock)

    async def _check(self, url: str) -> None:
        raise AssertionError(url)

    async def _start(self, *arguments: Any, **options: Any) -> Run:
        self.runs.append(await self.starter.start_cron(*arguments, **options))
        return self.runs[-1]

    async def make(self, thread_id: UUID | None = None, **options: Any) -> Cron:
        draft = CronDraft(ASSISTANT, "0 * * * *", payload={"input": INPUT}, **options)
        return await self.service.create(ALICE, draft, thread_id=thread_id)

    async def fire(self) -> Run:
        """Let an hour pass; return the run that was started, when it has ended."""
        self.clock.advance(3600)
        before = len(self.runs)
        await self.scheduler.fire_due()
        (run,) = self.runs[before:]
        async for _ in self.engine.runs.events(ALICE, run):
            pass
        return run


@pytest.fixture
def seen() -> list[dict[str, Any]]:
    """What the nodes of the runs find in their configuration."""
    return []


@pytest.fixture
def crons(lite: Engine, agents: Agents, clock: FakeClock, seen: list[dict[str, Any]]) -> Crons:
    async def spy(state: MessagesState, config: RunnableConfig) -> dict[str, Any]:
        del state
        seen.append({"configurable": config["configurable"], "metadata": config["metadata"]})
        return {}

    agents.graphs["spy"] = graph_of(spy)
    return Crons(lite, clock)


async def test_a_run_knows_its_cron(crons: Crons, seen: list[dict[str, Any]]) -> None:
    cron = await crons.make(metadata={"m": 1}, on_run_completed="keep")
    run = await crons.fire()
    assert (run.user_id, run.request.metadata) == ("alice", {"m": 1, "cron_id": str(cron.cron_id)})
    (found,) = seen
    assert found["configurable"]["cron_id"] == str(cron.cron_id)
    assert found["metadata"]["m"] == 1


async def test_a_thread_that_was_made_for_a_run_goes_with_it(crons: Crons) -> None:
    await crons.make()
    first, second = await crons.fire(), await crons.fire()
    assert first.thread_id != second.thread_id
    for run in (first, second):
        with pytest.raises(ThreadNotFound):
            await crons.engine.rests(run.thread_id)


async def test_or_it_is_kept(crons: Crons) -> None:
    await crons.make(on_run_completed="keep")
    first, second = await crons.fire(), await crons.fire()
    assert first.thread_id != second.thread_id
    for run in (first, second):
        await crons.engine.rests(run.thread_id)
        assert await crons.engine.said(run.thread_id) == ["hi"]


async def test_runs_on_a_thread_of_its_own_follow_each_other(crons: Crons) -> None:
    thread_id = (await crons.engine.threads.create(ALICE)).thread_id
    await crons.make(thread_id)
    first, second = await crons.fire(), await crons.fire()
    assert {first.thread_id, second.thread_id} == {thread_id}
    await crons.engine.rests(thread_id)
    assert await crons.engine.said(thread_id) == ["hi", "hi"]
