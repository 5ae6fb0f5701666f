"""`HEAD` where there is `GET` (RFC 9110 §9.1): answered by the same route, whose body the server leaves out.

Starlette's own routes do so; FastAPI's do not.
"""

from starlette.applications import Starlette
from starlette.routing import Match
from starlette.types import Scope

_LASTING = frozenset({"stream", "events", "join", "export", "mcp"})
"""Last parts of the paths whose answer waits, flows or is all there is: nobody is served by making it for its head."""


def takes(app: Starlette, scope: Scope, method: str) -> bool:
    """Return whether a route of the application takes a method at the scope's path."""
    asked = {**scope, "method": method}
    return any(route.matches(asked)[0] == Match.FULL for route in app.router.routes)


def takes_head(app: Starlette, scope: Scope) -> bool:
    """Return whether `HEAD` is answered at the scope's path: by a route for it, or by the one for `GET`."""
    return takes(app, scope, "HEAD") or (_is_quick(scope["path"]) and takes(app, scope, "GET"))


def as_get(app: Starlette, scope: Scope) -> Scope:
    """Return the scope of a `HEAD` with the method that the application answers it by."""
    if takes(app, scope, "HEAD") or not _is_quick(scope["path"]):
        return scope
    return {**scope, "method": "GET"} if takes(app, scope, "GET") else scope


def _is_quick(path: str) -> bool:
    return path.rpartition("/")[2] not in _LASTING
