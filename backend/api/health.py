"""Whether the server lives, is ready, and how its parts are. Needs no token, and tells no secret."""

from fastapi import APIRouter, Response

from backend.api.dependency import Health
from backend.schema.health import AliveRead, HealthRead

router = APIRouter(prefix="/health", tags=["health"])
_NOT_READY: dict[int | str, dict[str, object]] = {503: {"model": HealthRead, "description": "Not ready"}}


@router.get("", responses=_NOT_READY)
async def health(service: Health, response: Response) -> HealthRead:
    """Return the state of the server and of each part; the status is 503 when it is not ready."""
    report = await service.report()
    response.status_code = 200 if report.ready else 503
    response.headers["Cache-Control"] = "no-store"
    return HealthRead.of(report)


@router.get("/ready", responses=_NOT_READY)
async def ready(service: Health, response: Response) -> HealthRead:
    """Return 200 when requests should be sent here, 503 when a needed part fails or the server is stopping."""
    return await health(service, response)


@router.get("/live")
async def live() -> AliveRead:
    """Return 200 as long as the process answers at all: it need not be restarted."""
    return AliveRead()
