"""Who asks."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

DEFAULT_TENANT = "default"
"""The tenant of a server that knows only one."""

SCOPES = frozenset({"chat", "knowledge:read", "knowledge:write", "tickets:read", "tickets:write", "sync", "admin"})
"""Parts of a tenant: talking to agents (threads, runs, assistants, store), documents, tickets, collecting from
platforms, and its people, keys, limits and reports."""
DESK_AGENTS = ("copilot", "summary")
"""The agents of the support desk: their threads and runs hold what customers and agents wrote."""
OPERATE = "operate"
"""The part of the server that belongs to no tenant: making, suspending and purging tenants."""


@dataclass(frozen=True, slots=True)
class Principal:
    """The one who asks, made once at the door from the credentials."""

    tenant_id: str
    user_id: str
    roles: frozenset[str] = frozenset()
    user: Mapping[str, Any] | None = None
    """What a project's own authentication said of the user, with its `identity`; None without one."""
    permissions: tuple[str, ...] = ()
    """What that authentication permits; its handlers look at them."""
    scopes: frozenset[str] = SCOPES
    """Which parts of the server are open to it (`SCOPES`, for an operator also `OPERATE`)."""

    @property
    def hidden(self) -> tuple[str, ...]:
        """The agents whose threads and runs are not there for it: those of the desk, for who may not read tickets."""
        return () if "tickets:read" in self.scopes else DESK_AGENTS

    def may(self, scope: str) -> bool:
        """Return whether a part of the server is open to it."""
        return scope in self.scopes
