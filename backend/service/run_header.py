"""Which headers of a request its run gets to see, by `http.configurable_headers` of a `langgraph.json`."""

import re
from collections.abc import Mapping
from fnmatch import translate
from functools import lru_cache

from backend.core.graph.project import HeaderConfig

NEVER = frozenset({"authorization", "x-api-key", "x-tenant-id", "x-service-key"})
"""Headers that no run gets to see, whatever a project includes."""
DEFAULT = ("x-*", "user-agent")
"""What a project that says nothing includes."""


def configurable_headers(headers: Mapping[str, str], config: HeaderConfig) -> dict[str, str]:
    """Return the request headers that go into a run's `configurable`, by name in small letters."""
    includes = DEFAULT if config.includes is None else config.includes
    included, excluded = _any_of(includes), _any_of(config.excludes or ())
    found: dict[str, str] = {}
    for given, value in headers.items():
        name = given.lower()
        if name not in NEVER and included.fullmatch(name) and not excluded.fullmatch(name):
            found[name] = value
    return found


@lru_cache
def _any_of(patterns: tuple[str, ...]) -> re.Pattern[str]:
    """Return what matches a name of any of the patterns; without any it matches nothing."""
    # `*` is the one wildcard; a bracket stands for itself.
    return re.compile("|".join(translate(pattern.lower().replace("[", "[[]")) for pattern in patterns) or "(?!)")
