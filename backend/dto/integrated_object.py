"""Whatever came from a platform, as it came."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from backend.dto.ticket import ObjectType


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectData:
    """An object as the platform has it."""

    original_id: str
    original_data: Mapping[str, Any]
    """The platform's JSON."""
    integrated_content: str
    """Its text, as it can be read."""
    parent_id: str | None = None
    """The platform's id of the ticket or folder that it belongs to."""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    platform_created_at: datetime | None = None
    platform_updated_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class IntegratedObject:
    """An object as it is kept."""

    id: UUID
    tenant_id: str
    platform: str
    object_type: ObjectType
    version: int
    created_at: datetime
    """When it was taken in."""
    updated_at: datetime
    deleted_at: datetime | None
    """When it was found gone from the platform."""
    summary: str | None
    data: ObjectData
