"""How the server says that it is well."""

from datetime import datetime
from typing import Literal, Self

from pydantic import BaseModel, Field

from backend.service.health import HealthReport

PartStatus = Literal["healthy", "unhealthy"]


class CheckRead(BaseModel):
    status: PartStatus
    latency_ms: float = Field(description="How long the check took.", examples=[0.4])
    detail: str | None = Field(None, description="Why the part is not well.")


class HealthRead(BaseModel):
    """The state of the server and of each of its parts."""

    status: Literal["healthy", "degraded", "unhealthy"] = Field(
        description="`degraded`: only parts fail that the server can do without."
    )
    service: str = "daedap"
    version: str
    environment: str
    timestamp: datetime
    draining: bool = Field(description="The server is stopping: it finishes what it has and takes nothing new.")
    services: dict[str, PartStatus] = Field(examples=[{"database": "healthy"}])
    checks: dict[str, CheckRead]

    @classmethod
    def of(cls, report: HealthReport) -> Self:
        checks = {
            name: CheckRead(
                status="healthy" if result.healthy else "unhealthy",
                latency_ms=round(result.latency * 1000, 3),
                detail=result.detail,
            )
            for name, result in report.checks.items()
        }
        return cls(
            status=report.status,
            version=report.version,
            environment=report.environment,
            timestamp=report.timestamp,
            draining=report.draining,
            services={name: check.status for name, check in checks.items()},
            checks=checks,
        )


class AliveRead(BaseModel):
    status: Literal["alive"] = "alive"
