"""Which headers of a request its run gets to see, by `http.configurable_headers` of a `langgraph.json`."""

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase

from backend.core.graph.project import HeaderConfig

NEVER = frozenset({"authorization", "x-api-key", "x-tenant-id", "x-service-key"})
"""Headers that no run gets to see, whatever a project includes."""
DEFAULT = ("x-*", "user-agent")
"""What a project that says nothing includes."""


def configurable_headers(headers: Mapping[str, str], config: HeaderConfig) -> dict[str, str]:
    """Return the request headers that go into a run's `configurable`, by name in small letters."""
    includes = DEFAULT if config.includes is None else config.includes
    found: dict[str, str] = {}
    for given, value in headers.items():
        name = given.lower()
        if name not in NEVER and _among(name, includes) and not _among(name, config.excludes or ()):
            found[name] = value
    return found


def _among(name: str, patterns: Iterable[str]) -> bool:
    # `*` is the one wildcard; a bracket stands for itself.
    return any(fnmatchcase(name, pattern.lower().replace("[", "[[]")) for pattern in patterns)
