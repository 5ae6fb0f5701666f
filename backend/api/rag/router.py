"""`/rag/build`: a list of texts becomes a part of the knowledge base, as an ingestion that outlives the server."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Body
from starlette.responses import Response

from backend.api.dependency import Caller, Ingest
from backend.core.error import Invalid, JobNotFound, TooLarge, TooMany, Unauthorized
from backend.schema.problem import problems
from backend.schema.rag_build import BUILD_EXAMPLES, BuildRead, BuildRequest

router = APIRouter(prefix="/rag", tags=["knowledge"])


def is_build(path: str) -> bool:
    """Whether a body may be larger than others on this path."""
    return path in {"/rag/build", "/rag/build/"}


@router.post(
    "/build",
    summary="Take in texts",
    status_code=202,
    responses=problems(Unauthorized, TooLarge, TooMany, Invalid),
)
@router.post("/build/", status_code=202, include_in_schema=False)
async def build(
    wanted: Annotated[BuildRequest, Body(openapi_examples=BUILD_EXAMPLES)],
    caller: Caller,
    ingest: Ingest,
    response: Response,
) -> BuildRead:
    """Take in texts as a job, which goes on after a restart; `GET /rag/build/{task_id}` says how far it is."""
    job = await ingest.submit_texts(caller, wanted.texts())
    response.headers["Location"] = f"/rag/build/{job.job_id}"
    return BuildRead.of(job)


@router.get("/build/{task_id}", summary="Look at a build", responses=problems(Unauthorized, JobNotFound))
async def get_build(task_id: UUID, caller: Caller, ingest: Ingest) -> BuildRead:
    """Return how far it is, and what became of each document."""
    job = await ingest.get(caller, task_id)
    if job.kind != "text":
        raise JobNotFound(task_id)
    return BuildRead.of(job)
