"""The port of the request log: a line a request, for those who look after a tenant."""

from typing import Protocol
from uuid import UUID

from backend.dto.request_log import RequestLine


class RequestLog(Protocol):
    """Every implementation promises what is said; `test/contract/test_request_log_contract.py` holds them to it."""

    def add(self, line: RequestLine) -> None:
        """Keep a line, soon. It never waits and never fails: a line that cannot be kept is dropped and counted."""

    async def flush(self) -> None:
        """Return when what was added can be read."""

    async def list(self, tenant_id: str, *, limit: int, before: UUID | None = None) -> list[RequestLine]:
        """Return a tenant's lines, the newest first, behind the one named `before`."""

    async def sweep(self) -> int:
        """Remove what has been kept long enough; return how many lines that were."""
