"""Bytes that others sent, given out so that no browser runs them: as a whole, or one part of them (RFC 9110 §14)."""

import re
from base64 import b64encode
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from backend.dto.file import StoredFile
from backend.util.entity_tag import has_already

Open = Callable[[int, int | None], AsyncGenerator[bytes]]
"""Returns the bytes from a position up to another, or to the end."""

_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")
_PLAIN = re.compile(r"[^A-Za-z0-9._-]+")

BINARY: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The file, to be saved: `Content-Disposition: attachment`, `X-Content-Type-Options: nosniff`.",
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    },
    206: {"description": "The part that `Range` asked for."},
    304: {"description": "The client has it already (`If-None-Match`)."},
    416: {"description": "The file ends before the part that was asked for."},
}


@dataclass(frozen=True, slots=True)
class _Part:
    start: int
    end: int


async def download(request: Request, file: StoredFile, name: str, read: Open) -> Response:
    """Return the response with a file, or with the one part of it that the request asks for.

    Whatever is wrong with the file is raised here, before the response has begun.
    """
    headers = _headers(file, name)
    if has_already(request.headers.get("if-none-match"), file.etag):
        return Response(status_code=304, headers=headers)
    part = _part(request, file)
    start, end, status = 0, file.size, 200
    if part is not None:
        start, end, status = part.start, part.end, 206
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{file.size}"
    headers["Content-Length"] = str(end - start)
    if request.method == "HEAD" or start == end:
        return Response(status_code=status, headers=headers, media_type=file.content_type)
    blocks = read(start, None if part is None else end)
    first = await anext(blocks, b"")
    return StreamingResponse(_rest(first, blocks), status, headers, file.content_type)


async def _rest(first: bytes, blocks: AsyncGenerator[bytes]) -> AsyncIterator[bytes]:
    async with aclosing(blocks):
        yield first
        async for block in blocks:
            yield block


def _part(request: Request, file: StoredFile) -> _Part | None:
    """Return the part that is asked for; None for the whole, which is also the answer to several parts at once."""
    asked = _RANGE.fullmatch(request.headers.get("range", "").replace(" ", ""))
    if asked is None or request.headers.get("if-range", file.etag) != file.etag:
        return None
    first, last = asked.groups()
    if first:
        start, end = int(first), min(int(last) + 1 if last else file.size, file.size)
        if last and int(last) < start:
            return None
    elif last:
        start, end = max(0, file.size - int(last)), file.size
    else:
        return None
    if start >= end:
        detail = f"The file has {file.size} bytes."
        raise HTTPException(416, detail, {"Content-Range": f"bytes */{file.size}", "Cache-Control": "no-store"})
    return _Part(start, end)


def _headers(file: StoredFile, name: str) -> dict[str, str]:
    plain = _PLAIN.sub("_", name).strip("_.")[:100] or "file"
    headers = {
        "ETag": file.etag,
        "Last-Modified": file.updated_at.strftime("%a, %d %b %Y %H:%M:%S GMT"),
        "Accept-Ranges": "bytes",
        "Content-Disposition": f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}",
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "sandbox; default-src 'none'",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Cache-Control": "private, no-cache",
    }
    if file.sha256 is not None:
        digest = b64encode(bytes.fromhex(file.sha256)).decode()
        headers["Repr-Digest"] = f"sha-256=:{digest}:"  # RFC 9530: of the whole file, also with a part
    return headers
