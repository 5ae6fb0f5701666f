"""What a project's own `langgraph_sdk.Priority` decides for a thread: how soon its runs begin when many wait."""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from typing import TYPE_CHECKING, Any
from uuid import UUID

from loguru import logger
from sqlalchemy import Connection

from backend.core.error import InvalidGraph, ThreadNotFound, UpstreamFailed, UpstreamTimeout
from backend.core.graph.loader import load_object
from backend.core.graph.project import PriorityConfig
from backend.core.user import as_user
from backend.database.base import Database
from backend.dto.assistant import Assistant
from backend.dto.principal import Principal
from backend.dto.priority import FIRST, LAST, LONGEST_GROUP, PrioritySettings
from backend.dto.run import IfMissing, RunRequest
from backend.dto.thread import Thread
from backend.repository.assistant import AssistantRepository
from backend.repository.thread import ThreadRepository
from backend.repository.thread_priority import ThreadPriorityRepository
from backend.service.access import raise_refusal, sdk_user
from backend.util.containment import Filters, passes
from backend.util.id_generator import default_assistant_id

if TYPE_CHECKING:
    from langgraph_sdk import PriorityContext

PATIENCE_SECONDS = 10.0
"""How long the handler may take: somebody waits for the run to be made."""
DEFAULT_GROUP = "default"
"""The name of the fairness group of all who have none."""

Handler = Callable[["PriorityContext"], Awaitable[Any]]


def load_priority(config: PriorityConfig | None) -> Handler | None:
    """Import the `Priority` that a project names, and return its handler; it blocks.

    Raises:
        InvalidGraph: it cannot be imported, is none, or assigns nothing.
    """
    if config is None:
        return None
    from langgraph_sdk import Priority

    priority = load_object(config.path)
    if not isinstance(priority, Priority):
        raise InvalidGraph(f"{config.path.where}: is {type(priority).__name__}, not a langgraph_sdk.Priority.")
    handler = priority._assign_handler
    if handler is None:
        raise InvalidGraph(f"{config.path.where}: has no @priority.assign handler.")
    return handler


class RunPriority:
    """Asks the handler at the first run of a thread; what it said then holds for all that follow (langgraph_sdk)."""

    def __init__(
        self,
        handler: Handler | None,
        database: Database,
        graphs: Callable[[], Collection[str]],
        *,
        patience: float = PATIENCE_SECONDS,
    ) -> None:
        """`graphs` are those that are served; without a handler nobody is asked and all runs are alike."""
        self._handler = handler
        self._database = database
        self._graphs = graphs
        self._patience = patience

    @property
    def enabled(self) -> bool:
        """Whether there is a handler."""
        return self._handler is not None

    async def settings(
        self,
        principal: Principal,
        request: RunRequest,
        *,
        thread_id: UUID | None,
        if_missing: IfMissing = "reject",
        only: Filters = None,
        cron_id: str | None = None,
    ) -> PrioritySettings | None:
        """Return what holds for a run that is about to be made; None when there is no handler.

        Raises:
            ThreadNotFound: there is no such thread, or it does not pass `only`: the handler does not hear of it.
            Refused: the handler raised an HTTP exception.
            UpstreamFailed: it raised another one, or what it returned is no priority.
            UpstreamTimeout: it took too long.
        """
        if self._handler is None:
            return None
        thread, known, assistant = await self._database.read(
            lambda connection: self._known(connection, principal.tenant_id, request, thread_id)
        )
        if thread_id is not None and (not passes(thread.metadata, only) if thread else if_missing == "reject"):
            raise ThreadNotFound(thread_id)
        if known is not None:
            return known
        from langgraph_sdk import PriorityContext

        metadata = {} if assistant is None else assistant.metadata
        context = PriorityContext(
            user=_user(principal),
            permissions=list(principal.permissions),
            thread_id=None if thread_id is None else str(thread_id),
            thread_metadata=dict(request.metadata if thread is None else thread.metadata),
            assistant_id=str(_assistant_id(request)),
            graph_id=request.agent,
            assistant_metadata=dict(metadata),
            run_metadata=dict(request.metadata),
            cron_id=cron_id,
        )
        try:
            return _checked(await self._ask(self._handler, context))
        except ValueError as error:
            logger.error("the priority handler: {error}", error=error)
            raise UpstreamFailed(f"The priority handler of the server's project is wrong: {error}.") from error

    async def _ask(self, handler: Handler, context: "PriorityContext") -> Any:
        limit = asyncio.timeout(self._patience)
        try:
            async with limit:
                return await handler(context)
        except Exception as error:
            if isinstance(error, TimeoutError) and limit.expired():
                logger.error("the priority handler took more than {seconds:g} s", seconds=self._patience)
                raise UpstreamTimeout("The priority handler of the server's project took too long.") from error
            raise_refusal(error)
            logger.exception("the priority handler failed")
            raise UpstreamFailed("The priority handler of the server's project failed; its log says why.") from error

    def _known(
        self, connection: Connection, tenant: str, request: RunRequest, thread_id: UUID | None
    ) -> tuple[Thread | None, PrioritySettings | None, Assistant | None]:
        thread = known = None
        if thread_id is not None:
            thread = ThreadRepository(connection, tenant).find(thread_id)
        if thread_id is not None and thread is not None:
            known = ThreadPriorityRepository(connection, tenant).find(thread_id)
        assistant = AssistantRepository(connection, tenant, self._graphs()).find(_assistant_id(request))
        return thread, known, assistant


def _assistant_id(request: RunRequest) -> UUID:
    return UUID(request.assistant_id) if request.assistant_id else default_assistant_id(request.agent)


def _user(principal: Principal) -> Any:
    """Return the user as handlers get it; without an authentication of the project its identity is empty."""
    if principal.user is not None:
        return sdk_user(principal.user)
    return as_user({"identity": "", "is_authenticated": False, "tenant_id": principal.tenant_id})


def _checked(said: Any) -> PrioritySettings:
    """Return what a handler said as what it means; a key that is missing or None has its default.

    Raises:
        ValueError: it means nothing.
    """
    if said is None:
        return PrioritySettings()
    if not isinstance(said, dict):
        raise ValueError(f"it returned {type(said).__name__}, not a map or None")
    if unknown := said.keys() - {"priority", "fairness_group"}:
        raise ValueError(f"it returned unknown keys: {', '.join(sorted(map(str, unknown)))}")
    priority, group = said.get("priority"), said.get("fairness_group")
    if priority is None:
        priority = 0
    if isinstance(priority, bool) or not isinstance(priority, int) or not FIRST <= priority <= LAST:
        raise ValueError(f"a priority is an integer from {FIRST} to {LAST}")
    if group is not None and (not isinstance(group, str) or len(group) > LONGEST_GROUP or not _storable(group)):
        raise ValueError(f"a fairness group is a text of at most {LONGEST_GROUP} characters")
    return PrioritySettings(priority, None if group in {"", DEFAULT_GROUP} else group)


def _storable(text: str) -> bool:
    """Whether every database can keep it: no NUL (PostgreSQL), no lone surrogates."""
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)
