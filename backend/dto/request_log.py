"""What was asked of the server."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestLine:
    """One request, when it has ended."""

    log_id: UUID
    """Sorts by time."""
    tenant_id: str
    user_id: str
    request_id: str
    method: str
    """`WS` for a WebSocket."""
    path: str
    """Without its query, which may hold secrets."""
    status: int
    milliseconds: float
    """Until its end; of a stream, the whole of it."""
    created_at: datetime
