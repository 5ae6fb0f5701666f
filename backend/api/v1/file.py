"""Files: kept, listed, given out, removed."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Form, Query, UploadFile
from fastapi import File as FormFile
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from backend.api.dependency import Caller, Files
from backend.api.download import BINARY, download
from backend.core.error import Conflict, FileNotFound, Invalid, InvalidId, TooLarge, Unauthorized, Unavailable
from backend.core.storage.base import BLOCK, safe_name
from backend.schema.file import FileList, FileRead, LinkRead
from backend.schema.problem import problems
from backend.util.clock import utc_now

router = APIRouter(prefix="/files", tags=["files"])

LIST_LIMIT = 1000
_ROOT = "/api/v1/files"


def is_file_upload(path: str) -> bool:
    """Whether a body may be as large as a file on this path."""
    return path == _ROOT or path.startswith(f"{_ROOT}/")


@router.get("", summary="List files", responses=problems(Unauthorized, InvalidId, Unavailable))
async def list_files(
    caller: Caller,
    files: Files,
    folder: Annotated[str, Query(max_length=800, description="A folder; empty for all.")] = "",
    limit: Annotated[int, Query(ge=1, le=LIST_LIMIT, description="Most of a page.")] = 100,
    after: Annotated[str | None, Query(max_length=800, description="`next` of the page before.")] = None,
) -> FileList:
    """Return the files in a folder and in those below it, by their names."""
    return FileList.of(await files.list(caller, folder, limit=limit, after=after))


@router.post(
    "",
    summary="Upload a file from a form",
    status_code=201,
    responses=problems(Unauthorized, InvalidId, TooLarge, Conflict, Unavailable),
)
async def upload_file(
    caller: Caller,
    files: Files,
    response: Response,
    file: Annotated[UploadFile, FormFile(description="The content; its own name is used without `path`.")],
    path: Annotated[str | None, Form(max_length=800, description="Where it is to be kept.")] = None,
) -> FileRead:
    """Keep a file, in place of what was there. A program had better send it with `PUT`."""
    name = path or safe_name(file.filename or "file")
    is_new, stored = await files.put(caller, name, _form_blocks(file), content_type=file.content_type)
    if not is_new:
        response.status_code = 200
    return FileRead.of(stored)


@router.put(
    "/{path:path}",
    summary="Keep a file",
    status_code=201,
    responses=problems(Unauthorized, InvalidId, TooLarge, Conflict, Unavailable),
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
        }
    },
)
async def put_file(path: str, request: Request, caller: Caller, files: Files, response: Response) -> FileRead:
    """Keep the body as a file, in place of what was there (200 then). It is there whole, or not at all."""
    is_new, stored = await files.put(
        caller, path, _body_blocks(request), content_type=request.headers.get("content-type")
    )
    if not is_new:
        response.status_code = 200
    return FileRead.of(stored)


@router.head("/{path:path}", include_in_schema=False)
@router.get(
    "/{path:path}",
    summary="Download a file",
    response_class=Response,
    responses=BINARY | problems(Unauthorized, InvalidId, FileNotFound, Unavailable),
)
async def get_file(path: str, request: Request, caller: Caller, files: Files) -> Response:
    """Return the content, or the one part of it that `Range` names; `HEAD` returns what is known of it."""
    file = await files.stat(caller, path)
    name = file.key.rpartition("/")[2]
    return await download(request, file, name, lambda start, end: files.read(caller, path, start, end))


@router.delete(
    "/{path:path}",
    summary="Remove a file",
    status_code=204,
    responses=problems(Unauthorized, InvalidId, FileNotFound, Unavailable),
)
async def delete_file(path: str, caller: Caller, files: Files) -> None:
    """Remove a file."""
    await files.delete(caller, path)


@router.post(
    "/{path:path}/link",
    summary="Make a link to a file",
    responses=problems(Unauthorized, InvalidId, FileNotFound, Conflict, Unavailable),
)
async def link_file(
    path: str,
    caller: Caller,
    files: Files,
    seconds: Annotated[int, Query(ge=1, le=86_400, description="For how long it works.")] = 300,
) -> LinkRead:
    """Return an address from which anybody may fetch the file for a while. It needs files that are kept in S3."""
    url = await files.link(caller, path, seconds)
    return LinkRead(url=url, expires_at=utc_now() + timedelta(seconds=seconds))


async def _form_blocks(file: UploadFile) -> AsyncIterator[bytes]:
    while block := await file.read(BLOCK):
        yield block


async def _body_blocks(request: Request) -> AsyncIterator[bytes]:
    try:
        async for block in request.stream():
            yield block
    except ClientDisconnect:
        raise Invalid("The client left before the file was whole.") from None
