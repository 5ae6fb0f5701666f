"""Who may run which agent with which model: asked before any run begins, whichever door it came through."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any, Protocol

from backend.core.error import Forbidden
from backend.core.llm_manager import DEFAULT, EXTRACTIVE
from backend.dto.agent import AgentInfo
from backend.dto.principal import OPERATE, Principal
from backend.dto.run import RunRequest


class Agents(Protocol):
    def describe(self, name: str) -> AgentInfo: ...


class Models(Protocol):
    def is_extractive(self, alias: str | None = None) -> bool: ...


class Admission:
    def __init__(
        self,
        agents: Agents,
        models: Models,
        settings: Callable[[str], Awaitable[Mapping[str, Any]]],
        is_active: Callable[[str], Awaitable[bool]],
    ) -> None:
        """`settings` are what a tenant chose (`TenantSettings`); `is_active` is false of one that is suspended."""
        self._is_active = is_active
        self._agents = agents
        self._models = models
        self._settings = settings

    async def __call__(self, principal: Principal, request: RunRequest) -> RunRequest:
        """Return the request as it is to be run: for a tenant that lets no text out, by the extractive model.

        Only agents that take our `Context` get their model from the server; the graphs of a `langgraph.json` bring
        their own, and whoever installs them answers for that.

        Raises:
            Forbidden: the agent needs more than the caller may, or the named model is outside of this server; or the
                tenant is suspended, which the door asks too, but not for a cron.
        """
        if not principal.may(OPERATE) and not await self._is_active(principal.tenant_id):
            raise Forbidden("This tenant is suspended.")
        agent = self._agents.describe(request.agent)
        if agent.scope is not None and not principal.may(agent.scope):
            raise Forbidden(f"The agent {agent.name} needs the scope {agent.scope}.")
        if not agent.takes_context or self._models.is_extractive(request.model):
            return request
        if (await self._settings(principal.tenant_id)).get("external_llm", True):
            return request
        if request.model not in {None, DEFAULT}:
            raise Forbidden(
                f"This tenant lets no text out to language models (external_llm is false), so {request.model!r} cannot"
                f" answer; leave the model out, or name {EXTRACTIVE!r}.",
                model=request.model,
            )
        return replace(request, model=EXTRACTIVE)
