"""Which scope a request needs, and that every route has said so."""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from backend.config.setting import Settings
from backend.container import Container
from backend.dto.principal import OPERATE, SCOPES, Principal
from backend.main import create_app
from backend.service.permission import READING, ROLES, allowed, needed, rule_of


def routes(app: Any) -> Iterator[tuple[str, str]]:
    """Yield method and path of every route of an application, with what it includes."""
    for route in app.routes:
        candidates = route.effective_candidates() if hasattr(route, "effective_candidates") else [route]
        yield from _of(candidates)


def _of(candidates: Any) -> Iterator[tuple[str, str]]:
    for one in candidates:
        if hasattr(one, "effective_candidates"):
            yield from _of(one.effective_candidates())
            continue
        for method in getattr(one, "methods", None) or {"GET"}:  # a WebSocket has none
            yield method, (getattr(one, "starlette_route", None) or one).path or one.path


def test_every_route_is_named_by_a_rule(tmp_path: Path) -> None:
    app = create_app(Container(settings=Settings(_env_file=None, data_dir=tmp_path)))
    found = set(routes(app))
    assert ("POST", "/api/v1/auth/login") in found
    assert ("GET", "/ws/chat") in found
    assert ("POST", "/store/items/search") in found
    assert not sorted(path for _, path in found if rule_of(path) is None)


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        ("GET", "/api/v1/tickets", "tickets:read"),
        ("HEAD", "/api/v1/tickets/5", "tickets:read"),
        ("POST", "/api/v1/tickets/search", "tickets:read"),
        ("POST", "/api/v1/tickets/5/similar", "tickets:read"),
        ("POST", "/api/v1/tickets/5", "tickets:write"),
        ("POST", "/api/v1/files/reports/search", "knowledge:write"),
        ("DELETE", "/api/v1/tickets/search", "tickets:write"),
        ("POST", "/api/v1/knowledge/search", "knowledge:read"),
        ("POST", "/api/v1/knowledge/documents", "knowledge:write"),
        ("GET", "/api/v1/citations/5", "knowledge:read"),
        ("POST", "/setup/install", "sync"),
        ("GET", "/api/v1/sync/jobs", "sync"),
        ("GET", "/api/v1/tenant", "admin"),
        ("GET", "/api/v1/tenants", OPERATE),
        ("POST", "/api/v1/tenants/acme/suspend", OPERATE),
        ("GET", "/api/v1/users", "admin"),
        ("GET", "/api/v1/users/me", None),
        ("GET", "/api/v1/usage/me", None),
        ("GET", "/api/v1/usage", "admin"),
        ("GET", "/api/v1/auth/me", None),
        ("POST", "/threads/5/runs/stream", "chat"),
        ("PUT", "/store/items", "chat"),
        ("POST", "/api/v1/chat/stream", "chat"),
        ("GET", "/ws/chat", "chat"),
        # nobody has named these
        ("GET", "/nowhere", "admin"),
        ("GET", "/api/v2/tickets", "admin"),
        ("GET", "/api/v1", "admin"),
        ("GET", "/api/v1/", "admin"),
        ("GET", "/api/v1//tenants", "admin"),
        ("GET", "//threads", "admin"),
        ("GET", "/API/v1/tickets", "admin"),
        ("GET", "/api/v1/ticketsx", "admin"),
        ("GET", "/api/v1/usage/me/x", "admin"),
        ("GET", "", "admin"),
        ("GET", "api/v1/tickets", "admin"),
    ],
)
def test_what_a_request_needs(method: str, path: str, scope: str | None) -> None:
    assert needed(method, path) == scope


def test_a_role_has_no_more_than_the_one_above_it() -> None:
    scopes = [ROLES[role] for role in ("viewer", "agent", "admin", "owner")]
    assert all(lower <= higher for lower, higher in pairwise(scopes))
    assert scopes[-1] == SCOPES
    assert not any(OPERATE in one for one in scopes)


def test_an_owner_is_no_operator() -> None:
    owner = Principal("acme", "1", frozenset({"owner"}))
    assert allowed(owner, "GET", "/api/v1/tenant")
    assert not any(allowed(owner, method, "/api/v1/tenants") for method in [*READING, "POST", "DELETE"])
