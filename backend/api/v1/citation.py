"""What a citation names."""

from typing import Annotated

from fastapi import APIRouter, Path, Query

from backend.api.dependency import Caller, Knowledge
from backend.core.error import DocumentNotFound, PassageNotFound, Unauthorized
from backend.schema.knowledge import CitationRead
from backend.schema.problem import problems

router = APIRouter(prefix="/citations", tags=["knowledge"])


@router.get(
    "/{passage_id}",
    summary="Look up a citation",
    responses=problems(Unauthorized, PassageNotFound, DocumentNotFound),
)
async def get_citation(
    passage_id: Annotated[str, Path(max_length=128)],
    caller: Caller,
    knowledge: Knowledge,
    radius: Annotated[int, Query(ge=0, le=5, description="Passages to show before and after it.")] = 1,
) -> CitationRead:
    """Return the passage with what stands around it. A passage that was rewritten since is gone (404)."""
    found = await knowledge.passage(caller, passage_id, radius=radius)
    return CitationRead.of(found.document, found.passage, found.before, found.after)
