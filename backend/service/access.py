"""What a caller may do, by the handlers of a project's own `langgraph_sdk.Auth`."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from backend.core.error import Forbidden, InvalidGraph, Refused
from backend.core.graph.loader import load_object
from backend.core.graph.project import AuthConfig
from backend.core.user import as_user
from backend.dto.principal import Principal
from backend.util.containment import Filters, plain_filters

if TYPE_CHECKING:
    from langgraph_sdk import Auth

STUDIO_KIND = "StudioUser"
"""The `kind` of the user whom the development server takes LangGraph Studio for."""


def load_auth(config: AuthConfig | None) -> "Auth | None":
    """Import the `Auth` that a project names; it blocks.

    Raises:
        InvalidGraph: it cannot be imported, is none, or authenticates nobody.
    """
    if config is None:
        return None
    from langgraph_sdk import Auth

    auth = load_object(config.path)
    if not isinstance(auth, Auth):
        raise InvalidGraph(f"{config.path.where}: is {type(auth).__name__}, not a langgraph_sdk.Auth.")
    if auth._authenticate_handler is None:
        raise InvalidGraph(f"{config.path.where}: has no @auth.authenticate handler.")
    return auth


class AccessControl:
    """Asks one handler, the most specific: of resource and action, of the resource, of the action, or of all."""

    def __init__(self, auth: "Auth | None") -> None:
        """Take the project's `Auth`; without one everything is allowed."""
        self._handlers: dict[tuple[str, str], Any] = {}
        if auth is not None:
            self._handlers = {key: handlers[0] for key, handlers in auth._handlers.items()}
            for handler in auth._global_handlers:
                self._handlers["*", "*"] = handler

    @property
    def enabled(self) -> bool:
        """Whether there is any handler to ask."""
        return bool(self._handlers)

    async def check(self, principal: Principal, resource: str, action: str, value: dict[str, Any]) -> Filters:
        """Ask whether `principal` may do `action` to a `resource`.

        Args:
            principal: who asks. One without a user is this process itself (a route or a start-up of the project's own
                application that calls in), which may do everything: whoever comes through the door has one.
            resource: `assistants`, `threads`, `crons` or `store`.
            action: `create`, `read`, `update`, `delete`, `search`; of threads also `create_run`; of the store `put`,
                `get`, `search`, `delete`, `list_namespaces`.
            value: what was asked; a handler may change it.

        Returns:
            What the metadata of the rows must pass; None when every row will do.

        Raises:
            Forbidden: the handler says False, or an assertion in it fails.
            Refused: it raised an HTTP exception.
        """
        if principal.user is None:
            return None
        handler = self._handler(resource, action)
        if handler is None:
            return None
        try:
            result = await handler(ctx=_context(principal, resource, action), value=value)
        except AssertionError as error:
            raise Forbidden(str(error) or "Forbidden") from error
        except Exception as error:
            raise_refusal(error)
            raise
        if result is None or result is True:
            return None
        if result is False:
            raise Forbidden("Forbidden")
        return _filters(result)

    def is_general(self, resource: str, action: str) -> bool:
        """Whether it is the handler of everything (`@auth.on`) that is asked about this, and none of its own."""
        return not any(key in self._handlers for key in ((resource, action), (resource, "*")))

    def _handler(self, resource: str, action: str) -> Any:
        for key in ((resource, action), (resource, "*"), ("*", action), ("*", "*")):
            if key in self._handlers:
                return self._handlers[key]
        return None


def raise_refusal(error: Exception) -> None:
    """Raise a `Refused` when `error` is an HTTP exception, of `langgraph_sdk` or of any web framework.

    Raises:
        Refused: with its status, sentence and headers.
    """
    status = getattr(error, "status_code", None)
    if isinstance(status, int) and 400 <= status < 600:
        headers = getattr(error, "headers", None)
        raise Refused(str(getattr(error, "detail", "")), status, dict(headers or {})) from error


def sdk_user(said: Mapping[str, Any]) -> Any:
    """Return a user as handlers get it."""
    if said.get("kind") == STUDIO_KIND:
        from langgraph_sdk.auth.types import StudioUser

        return StudioUser(str(said["identity"]), is_authenticated=True)
    return as_user(said)


def _context(principal: Principal, resource: Any, action: Any) -> Any:
    from langgraph_sdk.auth.types import AuthContext

    user = sdk_user(principal.user or {})
    return AuthContext(permissions=list(principal.permissions), user=user, resource=resource, action=action)


def _filters(result: Any) -> Filters:
    """Return the filters of a handler; a form that we do not know must not let everything pass."""
    if not isinstance(result, Mapping) or not all(isinstance(key, str) for key in result):
        raise TypeError(f"An authorization handler returned {type(result).__name__}, which is no filter.")
    plain_filters(result)
    return dict(result) or None
