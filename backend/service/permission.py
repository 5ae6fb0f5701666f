"""Who may do what: one table from method and path to the scope that a request needs, and what each role may.

The door asks for every request; a path that no rule names needs `admin`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from backend.core.error import TenantNotFound
from backend.dto.principal import OPERATE, SCOPES, Principal

READING = frozenset({"GET", "HEAD", "OPTIONS"})

ROLES: Mapping[str, frozenset[str]] = {
    "viewer": frozenset({"knowledge:read", "tickets:read"}),
    "agent": frozenset({"chat", "knowledge:read", "tickets:read", "tickets:write"}),
    "admin": SCOPES,
    "owner": SCOPES,
}
"""The roles of a tenant's people, the least first, and the scopes that each has."""
_RANKS = {role: rank for rank, role in enumerate(ROLES)}


@dataclass(frozen=True, slots=True)
class Rule:
    """What the paths of an area need."""

    read: str | None
    """The scope for GET and for those POSTs that only read; None: whoever has come in."""
    write: str | None
    """The scope for everything else."""
    queries: frozenset[str] = frozenset()
    """Last parts of the paths of POSTs that only read: their questions are too long for an address."""


def _all(scope: str | None) -> Rule:
    return Rule(scope, scope)


_CHAT = _all("chat")
_ADMIN = _all("admin")
_ANYBODY = _all(None)
_KNOWLEDGE = Rule("knowledge:read", "knowledge:write", frozenset({"search", "query", "similar", "stream"}))
_TICKETS = Rule("tickets:read", "tickets:write", frozenset({"search", "similar", "statistics"}))

PATHS: Mapping[str, Rule] = {
    "/": _ANYBODY,
    "/favicon.ico": _ANYBODY,
    "/metrics": _ANYBODY,
    "/api/v1/usage/me": _ANYBODY,
    "/api/v1/users/me": _ANYBODY,
}
"""Whole paths, which go before their areas."""
AREAS: Mapping[str, Rule] = {
    # what says that the server is there, and how it is used
    "/health": _ANYBODY,
    "/ok": _ANYBODY,
    "/info": _ANYBODY,
    "/docs": _ANYBODY,
    "/redoc": _ANYBODY,
    "/openapi.json": _ANYBODY,
    "/.well-known": _ANYBODY,
    # talking to agents
    "/api/v1/agents": _CHAT,
    "/api/v1/threads": _CHAT,
    "/api/v1/chat": _CHAT,
    "/api/v1/runs": _CHAT,
    "/api/chat": _CHAT,
    "/socket.io": _CHAT,
    "/ws": _CHAT,
    "/v1": _CHAT,
    "/threads": _CHAT,
    "/runs": _CHAT,
    "/assistants": _CHAT,
    "/store": _CHAT,
    "/mcp": _CHAT,
    "/a2a": _CHAT,
    # documents
    "/api/v1/knowledge": _KNOWLEDGE,
    "/api/v1/citations": _KNOWLEDGE,
    "/api/v1/files": Rule("knowledge:read", "knowledge:write"),  # a file may be named `search`
    "/api/v1/graph": _KNOWLEDGE,
    "/rag": _KNOWLEDGE,
    # the support desk
    "/api/v1/tickets": _TICKETS,
    "/api/v1/conversations": _TICKETS,
    "/api/v1/articles": _TICKETS,
    "/api/v1/objects": _TICKETS,
    "/api/v1/attachments": _TICKETS,
    "/api/v1/summaries": _TICKETS,
    "/api/v1/drafts": _TICKETS,
    "/api/v1/feedback": _TICKETS,
    "/api/v1/search": _TICKETS,
    "/setup": _all("sync"),
    "/api/v1/sync": _all("sync"),
    # the tenant itself
    "/api/v1/auth": _ANYBODY,
    "/api/v1/tenant": _ADMIN,
    "/api/v1/users": _ADMIN,
    "/api/v1/api-keys": _ADMIN,
    "/api/v1/audit": _ADMIN,
    "/api/v1/request-log": _ADMIN,
    "/api/v1/usage": _ADMIN,
    # the server
    "/api/v1/tenants": _all(OPERATE),
}
"""The beginnings of paths, in whole parts: one part, two below `/api`, three below `/api/v1`."""
_DENIED = _ADMIN


def rule_of(path: str) -> Rule | None:
    """Return the rule that names a path; None when there is none."""
    rule = PATHS.get(path)
    if rule is not None:
        return rule
    parts = path.split("/", 4)  # "", "api", "v1", "threads", rest
    if parts[0] or len(parts) < 2:
        return None
    if parts[1] != "api":
        return AREAS.get(f"/{parts[1]}")
    return AREAS.get("/".join(parts[: 4 if parts[2:3] == ["v1"] else 3]))


def needed(method: str, path: str) -> str | None:
    """Return the scope that a request needs; None when it is enough to have come in."""
    rule = rule_of(path) or _DENIED
    if method in READING or (rule.queries and method == "POST" and path.rpartition("/")[2] in rule.queries):
        return rule.read
    return rule.write


def allowed(principal: Principal, method: str, path: str) -> bool:
    """Return whether a request is open to who sends it. A WebSocket is a GET."""
    scope = needed(method, path)
    return scope is None or scope in principal.scopes


def rank_of(principal: Principal) -> int:
    """Return how high somebody stands: the highest role, or `admin` for a key with that scope."""
    ranks = [_RANKS[role] for role in principal.roles if role in _RANKS]
    if "admin" in principal.scopes:
        ranks.append(_RANKS["admin"])
    return max(ranks, default=-1)


def outranks(principal: Principal, role: str) -> bool:
    """Return whether somebody may change or take away a role: none above the own one."""
    return rank_of(principal) >= _RANKS[role]


def may_give(principal: Principal, role: str) -> bool:
    """Return whether somebody may give a role, or the password of who has it: then all that it may is the giver's.

    So a key for `admin` alone, whose rank is that of an administrator, makes nobody who reads tickets.
    """
    return outranks(principal, role) and ROLES[role] <= principal.scopes


def asking_for(principal: Principal, tenant_id: str | None) -> Principal:
    """Return who asks as one of another tenant, where an operator names it; without a name, who asks.

    Raises:
        TenantNotFound: it is another's, and the caller no operator.
    """
    if tenant_id is None or tenant_id == principal.tenant_id:
        return principal
    if not principal.may(OPERATE):
        raise TenantNotFound(tenant_id)
    return replace(principal, tenant_id=tenant_id)
