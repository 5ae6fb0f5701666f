"""Drafts of replies to tickets: the `copilot` agent, for who would rather name a ticket than a graph's input."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Body
from starlette.requests import Request
from starlette.responses import Response

from backend.api.dependency import Caller, Runs, Tickets
from backend.api.v1.chat import STREAM, follow, wait
from backend.core.error import (
    Forbidden,
    Invalid,
    NotInterrupted,
    RunNotFound,
    RunTimeout,
    ThreadBusy,
    ThreadClaimed,
    ThreadNotFound,
    TicketNotFound,
    Unauthorized,
    Unavailable,
    UnsupportedModel,
    UpstreamFailed,
)
from backend.dto.run import RunRequest
from backend.schema.chat import ChatAnswer
from backend.schema.draft import DRAFT_EXAMPLES, Decision, DraftRequest
from backend.schema.problem import problems

router = APIRouter(tags=["drafts"])

AGENT = "copilot"
_ANSWER: dict[int | str, dict[str, Any]] = {
    200: {
        "model": ChatAnswer,
        "description": "The run, which waits for a decision (`interrupts` has the draft); with `stream`, its events.",
        "content": STREAM[200]["content"],
    }
}
_FAILURES = problems(UpstreamFailed, Unavailable, RunTimeout)


@router.post(
    "/tickets/{ticket_id}/drafts",
    summary="Draft a reply",
    response_model=None,
    responses=_ANSWER
    | problems(
        Unauthorized, Forbidden, TicketNotFound, ThreadNotFound, ThreadBusy, ThreadClaimed, Invalid, UnsupportedModel
    )
    | _FAILURES,
)
async def draft_reply(
    ticket_id: str,
    request: Request,
    caller: Caller,
    runs: Runs,
    tickets: Tickets,
    asked: Annotated[DraftRequest | None, Body(openapi_examples=DRAFT_EXAMPLES)] = None,
) -> Response:
    """Summarize a ticket, find what is like it and what answers it, and draft a reply for the desk's agent alone.

    The run then waits: `POST /drafts/{run_id}/decision` accepts, edits or rejects the draft. Nothing is sent to the
    customer, ever.
    """
    asked = asked or DraftRequest()
    ticket = await tickets.get(caller, ticket_id, asked.platform)
    run = await runs.start(
        caller,
        RunRequest(
            agent=AGENT,
            input={
                "ticket_id": str(ticket.id),
                "messages": [{"role": "user", "content": asked.instruction}] if asked.instruction.strip() else [],
            },
            model=asked.model,
            multitask_strategy="reject",
            metadata={**asked.metadata, "ticket_id": ticket.data.ticket_id, "platform": ticket.platform},
        ),
        thread_id=asked.thread_id,
    )
    if asked.stream:
        return follow(runs.events(caller, run), run)
    return await wait(request, runs.events(caller, run), run)


@router.post(
    "/drafts/{run_id}/decision",
    summary="Accept, edit or reject a draft",
    response_model=None,
    responses=_ANSWER
    | problems(Unauthorized, RunNotFound, NotInterrupted, ThreadBusy, ThreadClaimed, Invalid)
    | _FAILURES,
)
async def decide(run_id: UUID, decision: Decision, request: Request, caller: Caller, runs: Runs) -> Response:
    """Answer the run that waits with its draft. What is decided is kept as feedback; of two decisions, one wins."""
    run = await runs.get(caller, run_id)
    if run.request.agent != AGENT:
        raise RunNotFound(run_id)
    given = decision.model_dump(exclude={"stream"})
    resumed = await runs.resume(caller, run_id, given)
    if decision.stream:
        return follow(runs.events(caller, resumed), resumed)
    return await wait(request, runs.events(caller, resumed), resumed)
