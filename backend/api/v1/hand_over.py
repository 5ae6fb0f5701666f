"""Taking a thread over from the agents, and giving it back."""

from uuid import UUID

from fastapi import APIRouter

from backend.api.dependency import Caller, HandOver
from backend.core.error import ThreadClaimed, ThreadNotFound, Unauthorized
from backend.schema.hand_over import ClaimRead, ClaimRequest
from backend.schema.problem import problems

router = APIRouter(prefix="/threads", tags=["threads"])


@router.get("/{thread_id}/claim", summary="Who has a thread?", responses=problems(Unauthorized, ThreadNotFound))
async def get_claim(thread_id: UUID, caller: Caller, hand_over: HandOver) -> ClaimRead:
    """Return who has taken the thread over, and until when."""
    return ClaimRead.of(thread_id, await hand_over.find(caller, thread_id))


@router.post(
    "/{thread_id}/claim",
    summary="Take a thread over",
    responses=problems(Unauthorized, ThreadNotFound, ThreadClaimed),
)
async def claim_thread(
    thread_id: UUID, caller: Caller, hand_over: HandOver, asked: ClaimRequest | None = None
) -> ClaimRead:
    """Take a thread over from the agents, or keep it for longer: of two people, one gets it.

    A running run stops as `interrupted`, waiting ones wait, and nobody can start another until the thread is released
    or the time is over. Its state can be read and changed meanwhile.
    """
    return ClaimRead.of(thread_id, await hand_over.claim(caller, thread_id, (asked or ClaimRequest()).seconds))


@router.delete(
    "/{thread_id}/claim",
    summary="Give a thread back",
    status_code=204,
    responses=problems(Unauthorized, ThreadNotFound, ThreadClaimed),
)
async def release_thread(thread_id: UUID, caller: Caller, hand_over: HandOver) -> None:
    """Give the thread back to the agents; what waited goes on. For who has it, or an administrator."""
    await hand_over.release(caller, thread_id)
