"""All SQL of integrated objects: every object of every kind, under tenant, platform, kind and the platform's id."""

from collections.abc import Collection, Sequence
from datetime import datetime
from hashlib import sha256
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import ColumnElement, Row, Uuid, delete, func, literal, or_, select, tuple_, update

from backend.core.error import NotFound
from backend.database.model import IntegratedObjectRow, table_of
from backend.database.model.base import UtcDateTime
from backend.dto.integrated_object import IntegratedObject, ObjectData
from backend.dto.ticket import ObjectType
from backend.repository.scope import Scoped
from backend.repository.upsert import Columns, Put, batches, fitting, upsert
from backend.util.id_generator import new_id
from backend.util.storable import storable_json, storable_text

CONTENT_LIMIT = 200_000
"""Characters of an object's text; its JSON is kept whole."""
LIMIT = 100
"""Most objects of one page."""
OBJECT_TYPES: tuple[ObjectType, ...] = ("ticket", "conversation", "article", "attachment")

_objects = table_of(IntegratedObjectRow)
_KEY = ("tenant_id", "platform", "object_type", "original_id")
_CHANGE = (
    *("parent_id", "original_data", "integrated_content", "metadata", "content_hash"),
    *("platform_created_at", "platform_updated_at", "updated_at", "deleted_at"),
)


class IntegratedObjectRepository(Scoped):
    """The objects of one tenant."""

    def put(
        self, platform: str, object_type: ObjectType, objects: Sequence[ObjectData], now: datetime
    ) -> dict[str, Put]:
        """Add objects, or replace what is there under their platform's ids; one in a newer state stays as it is.

        Returns, for each that was written, its id and whether it was added or changed.
        """
        made = {one.original_id: self._row(platform, object_type, one, now) for one in objects}
        written = upsert(
            self._connection,
            _objects,
            list(made.values()),
            key=_KEY,
            change=_CHANGE,
            also=lambda old, new: {"version": old["version"] + 1},
            where=_is_news,
            returning=("original_id", "id"),
        )
        return {
            row.original_id: Put(row.id, "added" if row.id == made[row.original_id]["id"] else "changed")
            for row in written
        }

    def remove(self, platform: str, object_type: ObjectType, ids: Collection[str], now: datetime) -> None:
        """Mark objects as gone from their platform."""
        for some in batches(list(ids)):
            self._connection.execute(
                update(_objects)
                .where(*self._of(platform, object_type), _objects.c.original_id.in_(some))
                .values(deleted_at=now, updated_at=now, version=_objects.c.version + 1)
            )

    def delete(self, platform: str, object_type: ObjectType, ids: Collection[str]) -> None:
        """Remove objects for good."""
        for some in batches(list(ids)):
            self._connection.execute(
                delete(_objects).where(*self._of(platform, object_type), _objects.c.original_id.in_(some))
            )

    def delete_of(self, platform: str, object_type: ObjectType, parents: Collection[str]) -> None:
        """Remove for good what belongs to these tickets or folders."""
        for some in batches(list(parents)):
            self._connection.execute(
                delete(_objects).where(*self._of(platform, object_type), _objects.c.parent_id.in_(some))
            )

    def purge(self, platform: str | None = None) -> int:
        """Remove everything, of one platform or of all; return how many there were."""
        where = [_objects.c.tenant_id == self._tenant_id]
        if platform is not None:
            where.append(_objects.c.platform == platform)
        return self._connection.execute(delete(_objects).where(*where)).rowcount

    def get(self, object_id: UUID) -> IntegratedObject:
        """Return an object.

        Raises:
            NotFound: no such object, or another tenant's.
        """
        row = self._connection.execute(
            select(_objects).where(_objects.c.tenant_id == self._tenant_id, _objects.c.id == object_id)
        ).one_or_none()
        if row is None:
            raise NotFound(f"Object {object_id} does not exist.", object_id=str(object_id))
        return _object(row)

    def count(self, object_type: ObjectType | None = None, *, platform: str | None = None) -> int:
        """Return how many objects there are, with those that are gone from their platform."""
        where = [_objects.c.tenant_id == self._tenant_id]
        if platform is not None:
            where.append(_objects.c.platform == platform)
        if object_type is not None:
            where.append(_objects.c.object_type == object_type)
        return self._connection.scalar(select(func.count()).select_from(_objects).where(*where)) or 0

    def get_by_tenant(
        self,
        object_type: ObjectType | None = None,
        *,
        platform: str | None = None,
        limit: int = LIMIT,
        before: tuple[datetime, UUID] | None = None,
    ) -> list[IntegratedObject]:
        """Return at most `LIMIT` + 1 objects, the last changed first, from behind `before` on."""
        limit = max(0, min(limit, LIMIT + 1))
        where: list[ColumnElement[bool]] = [_objects.c.tenant_id == self._tenant_id]
        if platform is not None:
            where.append(_objects.c.platform == platform)
        if before is not None:
            moment, object_id = before
            behind = tuple_(literal(moment, UtcDateTime), literal(object_id, Uuid))
            where.append(tuple_(_objects.c.updated_at, _objects.c.id) < behind)
        found: list[Row[Any]] = []
        for kind in OBJECT_TYPES if object_type is None else (object_type,):  # the index is by kind
            query = select(_objects).where(*where, _objects.c.object_type == kind)
            query = query.order_by(_objects.c.updated_at.desc(), _objects.c.id.desc()).limit(limit)
            found += self._connection.execute(query)
        found.sort(key=lambda row: (row.updated_at, row.id), reverse=True)
        return [_object(row) for row in found[:limit]]

    def _of(self, platform: str, object_type: ObjectType) -> tuple[ColumnElement[bool], ...]:
        return (
            _objects.c.tenant_id == self._tenant_id,
            _objects.c.platform == platform,
            _objects.c.object_type == object_type,
        )

    def _row(self, platform: str, object_type: ObjectType, data: ObjectData, now: datetime) -> dict[str, Any]:
        original = storable_json(dict(data.original_data))
        metadata = storable_json(dict(data.metadata))
        content = storable_text(data.integrated_content[:CONTENT_LIMIT])
        digest = sha256(b"\0".join((original, metadata, content.encode(), (data.parent_id or "").encode())))
        return fitting(
            _objects,
            {
                "tenant_id": self._tenant_id,
                "id": new_id(),
                "platform": platform,
                "object_type": object_type,
                "original_id": data.original_id,
                "parent_id": data.parent_id,
                "original_data": orjson.Fragment(original),
                "integrated_content": content,
                "metadata": orjson.Fragment(metadata),
                "content_hash": digest.hexdigest(),
                "version": 1,
                "platform_created_at": data.platform_created_at,
                "platform_updated_at": data.platform_updated_at,
                "created_at": now,
                "updated_at": now,
                "deleted_at": None,
            },
        )


def _is_news(old: Columns, new: Columns) -> ColumnElement[bool]:
    """Whether it is not as it was, and not from before what is there."""
    other = or_(old["content_hash"] != new["content_hash"], old["deleted_at"].is_not(None))
    stamps = old["platform_updated_at"], new["platform_updated_at"]
    return other & or_(*(stamp.is_(None) for stamp in stamps), stamps[1] >= stamps[0])


def _object(row: Row[Any]) -> IntegratedObject:
    return IntegratedObject(
        id=row.id,
        tenant_id=row.tenant_id,
        platform=row.platform,
        object_type=row.object_type,
        version=row.version,
        created_at=row.created_at,
        updated_at=row.updated_at,
        deleted_at=row.deleted_at,
        summary=row.summary,
        data=ObjectData(
            original_id=row.original_id,
            original_data=row.original_data,
            integrated_content=row.integrated_content,
            parent_id=row.parent_id,
            metadata=row.metadata,
            platform_created_at=row.platform_created_at,
            platform_updated_at=row.platform_updated_at,
        ),
    )
