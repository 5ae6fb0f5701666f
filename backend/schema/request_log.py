"""The request log on the wire."""

from datetime import datetime
from typing import Self
from uuid import UUID

from pydantic import BaseModel, Field

from backend.dto.request_log import RequestLine


class RequestLineRead(BaseModel):
    """One request."""

    log_id: UUID
    user_id: str
    request_id: str = Field(description="Its X-Request-ID, under which the server's own log has it too.")
    method: str = Field(examples=["POST"], description="`WS` for a WebSocket.")
    path: str = Field(examples=["/api/v1/chat"], description="Without its query.")
    status: int = Field(examples=[200], description="499: the client left before the answer began.")
    milliseconds: float = Field(examples=[12.4], description="Until its end; of a stream, the whole of it.")
    created_at: datetime

    @classmethod
    def of(cls, line: RequestLine) -> Self:
        return cls(
            log_id=line.log_id,
            user_id=line.user_id,
            request_id=line.request_id,
            method=line.method,
            path=line.path,
            status=line.status,
            milliseconds=line.milliseconds,
            created_at=line.created_at,
        )


class RequestLogPage(BaseModel):
    """Requests, the newest first. They are not counted: there may be millions."""

    items: list[RequestLineRead]
    next: str | None = Field(None, description="Ask with it as `before` for the next page; None when there is none.")
    mode: str = Field(examples=["errors"], description="Which requests are logged at present: `REQUEST_LOG`.")
