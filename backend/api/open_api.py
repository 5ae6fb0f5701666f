"""What our OpenAPI document says of authentication: the same as the door asks for."""

from typing import Any

from backend.middleware.auth import BearerTokenAuthMiddleware, is_webhook

SCHEMES: dict[str, Any] = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "A token of the server's settings, an access token of a login, or an API key.",
    },
    "api_key": {
        "type": "apiKey",
        "in": "header",
        "name": "x-api-key",
        "description": "The same, as the clients of the LangGraph SDK send it.",
    },
}
_METHODS = frozenset({"get", "put", "post", "delete", "options", "head", "patch", "trace"})


def secured(document: dict[str, Any]) -> dict[str, Any]:
    """Return a document of ours in which every operation says how its callers show who they are, but for public ones.

    With `AUTH_MODE=disabled` nobody needs to, which a document that is kept and shared does not show.
    """
    paths = {
        path: item
        if is_public(path)
        else {
            name: {**part, "security": [{scheme: []} for scheme in SCHEMES]} if name in _METHODS else part
            for name, part in item.items()
        }
        for path, item in document.get("paths", {}).items()
    }
    components = {**document.get("components", {}), "securitySchemes": SCHEMES}
    return {**document, "paths": paths, "components": components}


def is_public(path: str) -> bool:
    """Whether the door asks nobody at a path of the document."""
    door = BearerTokenAuthMiddleware
    return path in door.PUBLIC | door.LOGIN | door.DOCS or is_webhook(path.replace("{platform}", "freshdesk"))
