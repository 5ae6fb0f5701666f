"""`/api/v1`: the doors of the user's own applications."""

from fastapi import APIRouter, Depends

from backend.api.query import only_known_in_changes
from backend.api.v1 import (
    agent,
    api_key,
    attachment,
    audit,
    auth,
    chat,
    citation,
    draft,
    feedback,
    file,
    hand_over,
    knowledge,
    knowledge_graph,
    request_log,
    run,
    similar,
    summary,
    sync,
    tenant,
    thread,
    ticket,
    usage,
    user,
)

router = APIRouter(prefix="/api/v1", dependencies=[Depends(only_known_in_changes)])
for part in (
    agent,
    thread,
    hand_over,
    chat,
    run,
    knowledge,
    citation,
    usage,
    request_log,
    similar,
    ticket,
    auth,
    tenant,
    user,
    api_key,
    audit,
    summary,
    sync,
    draft,
    feedback,
    file,
    attachment,
    knowledge_graph,
):
    router.include_router(part.router)
