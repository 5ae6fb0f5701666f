"""The page at `/`: what is running, a box to ask, and how to ask from a program. One file, nothing from elsewhere."""

import base64
import re
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

router = APIRouter(include_in_schema=False)

_FILE = Path(__file__).parent.parent / "page" / "index.html"
_ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="8" fill="#0f766e"/>'
    '<path d="M9 8h9a6 6 0 0 1 0 12h-3l-5 5v-5H9z" fill="#fff"/></svg>'
)


@dataclass(frozen=True, slots=True)
class _Page:
    body: bytes
    headers: dict[str, str]


@router.api_route("/", methods=["GET", "HEAD"])
async def page(request: Request) -> Response:
    """Return the page; nothing in it is secret, and what it shows it asks for with the visitor's own token."""
    accept = request.headers.get("accept", "")
    if "application/json" in accept and "text/html" not in accept:  # clients of the Agent Server API ask here as at /ok
        return Response(b'{"ok":true,"services":{}}', media_type="application/json", headers={"Vary": "Accept"})
    found = _page()
    if request.headers.get("if-none-match") == found.headers["ETag"]:
        return Response(status_code=304, headers=found.headers)
    return Response(found.body, headers=found.headers, media_type="text/html")


@router.get("/favicon.ico")
async def icon() -> Response:
    """Return the page's icon."""
    return Response(_ICON, media_type="image/svg+xml", headers={"Cache-Control": "max-age=86400"})


@cache
def _page() -> _Page:
    """Read the page once; its policy allows the style and the script that stand in it, by their hashes, and no more."""
    body = _FILE.read_bytes()
    text = body.decode()
    policy = "; ".join(
        [
            "default-src 'none'",
            f"script-src {_hashes(text, 'script')}",
            f"style-src {_hashes(text, 'style')}",
            "connect-src 'self'",
            "img-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        ]
    )
    headers = {
        "Content-Security-Policy": policy,
        "Cache-Control": "no-cache",
        "ETag": f'"{sha256(body).hexdigest()[:16]}"',
        "Referrer-Policy": "no-referrer",
        "Vary": "Accept",
        "X-Content-Type-Options": "nosniff",
    }
    return _Page(body, headers)


def _hashes(text: str, tag: str) -> str:
    found = re.findall(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
    return " ".join(f"'sha256-{base64.b64encode(sha256(part.encode()).digest()).decode()}'" for part in found)
