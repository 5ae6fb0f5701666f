"""Who asks."""

from dataclasses import dataclass

DEFAULT_TENANT = "default"
"""The tenant of a server that knows only one."""


@dataclass(frozen=True, slots=True)
class Principal:
    """The one who asks, made once at the door from the credentials."""

    tenant_id: str
    user_id: str
    roles: frozenset[str] = frozenset()
