"""Cross-origin requests, for those that come from a page: a request without `Origin` costs nothing."""

from typing import Any

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send


class CorsMiddleware:
    """Starlette's, which also rewrites the answers to programs, passed by where no page asks."""

    def __init__(self, app: ASGIApp, **options: Any) -> None:
        """Take the options of Starlette's middleware."""
        self.app = app
        self._cors = CORSMiddleware(app, **options)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and any(name == b"origin" for name, _ in scope["headers"]):
            await self._cors(scope, receive, send)
        else:
            await self.app(scope, receive, send)
