"""Crons: runs that come again and again."""

from typing import TYPE_CHECKING, Any
from uuid import UUID

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from backend.api.agent.access import authorize
from backend.api.agent.reply import done, page, reply, selected
from backend.api.dependency import Assistants, Caller, Crons
from backend.core.error import AssistantNotFound, BadRequest, Invalid
from backend.dto.assistant import Assistant
from backend.dto.cron import CronSearch
from backend.dto.principal import Principal
from backend.schema.agent.cron import CronCreate, CronFilter, CronPatch, CronSearchBody, cron_wire, sent_fields
from backend.util.containment import Filters

if TYPE_CHECKING:
    from backend.service.assistant import AssistantService

router = APIRouter(tags=["crons"])


@router.post("/runs/crons", summary="Run an assistant on a schedule")
async def create_cron(
    body: CronCreate, request: Request, caller: Caller, assistants: Assistants, crons: Crons
) -> Response:
    """Start a run on a new thread whenever the schedule says so."""
    assistant = await _assistant(request, caller, assistants, body)
    payload, metadata = await _created(request, caller, body, None)
    made = await crons.create(caller, body.draft(assistant.assistant_id, payload, metadata))
    return reply(cron_wire(made))


@router.post("/threads/{thread_id}/runs/crons", summary="Run an assistant on a thread, on a schedule")
async def create_cron_of_thread(
    thread_id: UUID, body: CronCreate, request: Request, caller: Caller, assistants: Assistants, crons: Crons
) -> Response:
    """Start a run on this thread whenever the schedule says so."""
    only_threads = await authorize(request, "threads", "read", {"thread_id": thread_id})
    assistant = await _assistant(request, caller, assistants, body)
    payload, metadata = await _created(request, caller, body, thread_id)
    made = await crons.create(
        caller,
        body.draft(assistant.assistant_id, payload, metadata),
        thread_id=thread_id,
        only_threads=only_threads,
    )
    return reply(cron_wire(made))


@router.post("/runs/crons/search", summary="Find crons")
async def search_crons(
    body: CronSearchBody, request: Request, caller: Caller, assistants: Assistants, crons: Crons
) -> Response:
    """Return the crons that match, the newest first; `X-Pagination-Next` says where the next page begins."""
    wanted, only = await _wanted(request, assistants, body, limit=body.limit, offset=body.offset)
    found = await crons.search(
        caller,
        wanted,
        limit=body.limit + 1,
        offset=body.offset,
        sort_by=body.sort_by or "created_at",
        sort_order=body.sort_order or "desc",
        only=only,
    )
    items = [selected(cron_wire(one), body.select or None) for one in found[: body.limit]]
    return page(items, limit=body.limit, offset=body.offset, more=len(found) > body.limit)


@router.post("/runs/crons/count", summary="Count crons")
async def count_crons(
    body: CronFilter, request: Request, caller: Caller, assistants: Assistants, crons: Crons
) -> Response:
    """Return how many crons match."""
    wanted, only = await _wanted(request, assistants, body, limit=0, offset=0)
    return reply(await crons.count(caller, wanted, only=only))


@router.get("/runs/crons/{cron_id}", summary="Look at a cron")
async def get_cron(cron_id: UUID, request: Request, caller: Caller, crons: Crons) -> Response:
    """Return one cron."""
    only = await authorize(request, "crons", "read", {"cron_id": cron_id})
    return reply(cron_wire(await crons.get(caller, cron_id, only=only)))


@router.patch("/runs/crons/{cron_id}", summary="Change a cron")
async def update_cron(cron_id: UUID, body: CronPatch, request: Request, caller: Caller, crons: Crons) -> Response:
    """Change what is sent. The next firing is found anew: none is made up for."""
    payload = sent_fields(body)
    if not payload:
        raise BadRequest("Request body cannot be empty")
    value: dict[str, Any] = {"cron_id": cron_id, "payload": payload, "metadata": dict(body.metadata or {})}
    if body.schedule:
        value["schedule"] = body.schedule
    only = await authorize(request, "crons", "update", value)
    change = body.change(value["payload"], value["metadata"])
    return reply(cron_wire(await crons.update(caller, cron_id, change, only=only)))


@router.delete("/runs/crons/{cron_id}", summary="Delete a cron", status_code=204)
async def delete_cron(cron_id: UUID, request: Request, caller: Caller, crons: Crons) -> Response:
    """Delete a cron; runs that it has started go on."""
    only = await authorize(request, "crons", "delete", {"cron_id": cron_id})
    await crons.delete(caller, cron_id, only=only)
    return done()


async def _assistant(
    request: Request, caller: Principal, assistants: "AssistantService", body: CronCreate
) -> Assistant:
    """Return whom the cron is to run, and refuse now what each of its runs would be refused for."""
    name = str(body.assistant_id)
    only = await authorize(request, "assistants", "read", {"assistant_id": body.assistant_id})
    try:
        assistant = await assistants.resolve(caller, name, only=only)
    except Invalid:  # no graph of this name: for crons that is an assistant which is not there
        raise AssistantNotFound(name[:100]) from None
    body.request(assistant, configurable={})
    return assistant


async def _created(
    request: Request, caller: Principal, body: CronCreate, thread_id: UUID | None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return payload and metadata as the project's rules leave them."""
    value: dict[str, Any] = {
        "payload": sent_fields(body),
        "schedule": body.schedule,
        "cron_id": None,
        "thread_id": thread_id,
        "user_id": caller.user_id,
        "end_time": body.end_time,
        "metadata": dict(body.metadata or {}),
    }
    await authorize(request, "crons", "create", value)
    return value["payload"], value["metadata"]


async def _wanted(
    request: Request, assistants: "AssistantService", body: CronFilter, *, limit: int, offset: int
) -> tuple[CronSearch, Filters]:
    assistant_id = None if body.assistant_id is None else assistants.id_of(str(body.assistant_id))
    value: dict[str, Any] = {
        "assistant_id": assistant_id,
        "thread_id": body.thread_id,
        "metadata": body.metadata or {},
        "limit": limit,
        "offset": offset,
    }
    only = await authorize(request, "crons", "search", value)
    return CronSearch(assistant_id, body.thread_id, body.enabled, value["metadata"]), only
