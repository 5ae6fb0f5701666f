"""Conversations."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from starlette.responses import Response

from backend.api.dependency import Caller, Threads
from backend.core.error import ThreadBusy, ThreadExists, ThreadNotFound, Unauthorized
from backend.schema.problem import problems
from backend.schema.thread import MessageList, MessageRead, ThreadCreate, ThreadList, ThreadRead, ThreadUpdate

router = APIRouter(prefix="/threads", tags=["threads"])

LIST_LIMIT = 100


@router.post("", summary="Begin a conversation", status_code=201, responses=problems(Unauthorized, ThreadExists))
async def create_thread(
    caller: Caller, threads: Threads, response: Response, thread: ThreadCreate | None = None
) -> ThreadRead:
    """Make an empty thread. `POST /chat` makes one by itself when it is given none."""
    wanted = thread or ThreadCreate()
    made = await threads.create(caller, thread_id=wanted.thread_id, metadata=wanted.metadata)
    response.headers["Location"] = f"/api/v1/threads/{made.thread_id}"
    return ThreadRead.of(made)


@router.get("", summary="List conversations", responses=problems(Unauthorized, ThreadNotFound))
async def list_threads(
    caller: Caller,
    threads: Threads,
    limit: Annotated[int, Query(ge=1, le=LIST_LIMIT, description="Most of a page.")] = 20,
    before: Annotated[UUID | None, Query(description="`next` of the page before.")] = None,
) -> ThreadList:
    """Return threads, the last changed first."""
    # One more than asked for tells whether there is another page.
    found = await threads.list(caller, limit=limit + 1, before=before)
    page = found[:limit]
    return ThreadList(
        items=[ThreadRead.of(thread) for thread in page],
        next=page[-1].thread_id if len(found) > limit else None,
    )


@router.get("/{thread_id}", summary="Look at a conversation", responses=problems(Unauthorized, ThreadNotFound))
async def get_thread(thread_id: UUID, caller: Caller, threads: Threads) -> ThreadRead:
    """Return one thread."""
    return ThreadRead.of(await threads.get(caller, thread_id))


@router.patch("/{thread_id}", summary="Change its metadata", responses=problems(Unauthorized, ThreadNotFound))
async def update_thread(thread_id: UUID, change: ThreadUpdate, caller: Caller, threads: Threads) -> ThreadRead:
    """Merge metadata into the thread's, key by key; a value of null takes its key out."""
    return ThreadRead.of(await threads.update(caller, thread_id, change.metadata))


@router.delete(
    "/{thread_id}",
    summary="Delete a conversation",
    status_code=204,
    responses=problems(Unauthorized, ThreadNotFound, ThreadBusy),
)
async def delete_thread(thread_id: UUID, caller: Caller, threads: Threads) -> None:
    """Delete the thread with all that was said in it."""
    await threads.delete(caller, thread_id)


@router.get("/{thread_id}/messages", summary="Read a conversation", responses=problems(Unauthorized, ThreadNotFound))
async def list_messages(thread_id: UUID, caller: Caller, threads: Threads) -> MessageList:
    """Return what was said, oldest first; answers come with their sources."""
    said = await threads.messages(caller, thread_id)
    return MessageList(thread_id=thread_id, items=[MessageRead.model_validate(message) for message in said])
