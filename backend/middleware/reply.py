"""How a middleware refuses: a problem document, written without the web framework, which it stands before."""

import orjson
from starlette.types import Scope, Send

from backend.core.error import DomainError
from backend.core.problem import problem
from backend.schema.problem import MEDIA_TYPE, headers


async def refuse(scope: Scope, send: Send, error: Exception) -> None:
    """Answer an HTTP request with the problem document of `error`."""
    document = problem(error, scope["path"], scope.get("state", {}).get("request_id"))
    body = orjson.dumps(document)
    fields = {
        "content-type": MEDIA_TYPE,
        "content-length": str(len(body)),
        **(headers(error) if isinstance(error, DomainError) else {}),
    }
    await send(
        {
            "type": "http.response.start",
            "status": document["status"],
            "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in fields.items()],
        }
    )
    await send({"type": "http.response.body", "body": body})
