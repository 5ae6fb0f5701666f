"""Who asks."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

DEFAULT_TENANT = "default"
"""The tenant of a server that knows only one."""


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
