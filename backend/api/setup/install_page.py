"""The page that installs Freshdesk. One file, nothing from elsewhere, and no secret in it."""

import base64
import re
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path

from starlette.responses import Response

from backend.util.entity_tag import has_already

_FILE = Path(__file__).parent / "iparams.html"


@dataclass(frozen=True, slots=True)
class _Page:
    body: bytes
    headers: dict[str, str]


def install_page(known: str | None) -> Response:
    """Return the page, or that it is as the browser knows it."""
    page = _page()
    if has_already(known, page.headers["ETag"]):
        return Response(status_code=304, headers=page.headers)
    return Response(page.body, headers=page.headers, media_type="text/html")


@cache
def _page() -> _Page:
    """Read the page once; its policy allows the style and the script that stand in it, by their hashes, and no more."""
    body = _FILE.read_bytes()
    text = body.decode()
    policy = "; ".join(
        [
            "default-src 'none'",
            f"script-src {_hash(text, 'script')}",
            f"style-src {_hash(text, 'style')}",
            "connect-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        ]
    )
    return _Page(
        body,
        {
            "Content-Security-Policy": policy,
            "Cache-Control": "no-cache",
            "ETag": f'"{sha256(body).hexdigest()[:32]}"',
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
        },
    )


def _hash(text: str, tag: str) -> str:
    found = re.findall(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
    return " ".join(f"'sha256-{base64.b64encode(sha256(part.encode()).digest()).decode()}'" for part in found)
