"""All SQL of knowledge-base articles."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from typing import Any, NamedTuple
from uuid import UUID

import orjson
from sqlalchemy import (
    ColumnElement,
    Row,
    Uuid,
    bindparam,
    case,
    delete,
    false,
    func,
    literal,
    or_,
    select,
    tuple_,
    update,
)

from backend.core.error import ArticleNotFound, Invalid
from backend.database.model import ArticleRow, table_of
from backend.database.model.base import UtcDateTime
from backend.dto.integrated_object import ObjectData
from backend.dto.ticket import Article, ArticleData, Audience
from backend.repository.integrated_object import CONTENT_LIMIT, IntegratedObjectRepository
from backend.repository.scope import Scoped
from backend.repository.upsert import Columns, Put, batches, fitting, upsert
from backend.util.id_generator import new_id
from backend.util.plain_text import plain_text
from backend.util.storable import storable_json, storable_text

READABLE: Mapping[Audience, tuple[Audience, ...]] = {
    "customer": ("customer",),
    "member": ("customer", "member"),
    "agent": ("customer", "member", "agent"),
}
"""Whose articles each audience may read; what is not published only the desk may."""

_articles = table_of(ArticleRow)
_KEY = ("tenant_id", "platform", "article_id")
_CHANGE = (
    *("title", "description", "audience", "published", "folder_id", "category_id", "path", "url", "tags"),
    *("language", "translation_of", "content_hash", "platform_created_at", "platform_updated_at"),
)
_of_id = (_articles.c.tenant_id == bindparam("tenant")) & (_articles.c.id == bindparam("article"))


class Translation(NamedTuple):
    article_id: str
    original: str
    """The original's `article_id`."""
    language: str


class ArticleRepository(Scoped):
    """The articles of one tenant, with their integrated objects."""

    def put(self, platform: str, articles: Sequence[ArticleData], now: datetime) -> dict[str, Put]:
        """Add articles, or bring those that are there up to what the platform says, as `TicketRepository.put` does.

        When an article changes, who may read its translations changes with it, at once.

        Raises:
            Invalid: a platform's id is empty or too long.
        """
        made: dict[str, ArticleData] = {}
        for one in articles:
            if not 0 < len(one.article_id) <= 64 or storable_text(one.article_id) != one.article_id:
                raise Invalid("An article's id has 1 to 64 characters, none of them NUL.")
            earlier = made.get(one.article_id)
            if earlier is None or not _is_older(_stamp(one), _stamp(earlier)):
                made[one.article_id] = one
        known = self._known(platform, made)
        rows: dict[str, dict[str, Any]] = {}
        for article_id, one in made.items():
            row = self._row(platform, one, now)
            old = known.get(article_id)
            if old is None or (row["content_hash"], row["platform_updated_at"]) != (old[1], old[2]):
                rows[article_id] = row
        written = upsert(
            self._connection,
            _articles,
            list(rows.values()),
            key=_KEY,
            change=_CHANGE,
            also=_consequences,
            where=lambda old, new: or_(
                old["platform_updated_at"].is_(None), new["platform_updated_at"] >= old["platform_updated_at"]
            ),
            returning=("article_id", "id"),
        )
        outcome = {article_id: Put(old[0], "unchanged") for article_id, old in known.items()}
        news: list[ArticleData] = []
        for one_written in written:
            article_id = one_written.article_id
            if one_written.id == rows[article_id]["id"]:
                outcome[article_id] = Put(one_written.id, "added")
            elif article_id not in known or known[article_id][1] != rows[article_id]["content_hash"]:
                outcome[article_id] = Put(one_written.id, "changed")
            else:
                continue
            news.append(made[article_id])
        if missing := made.keys() - outcome.keys():
            outcome |= {each: Put(old[0], "unchanged") for each, old in self._known(platform, missing).items()}
        self._objects().put(platform, "article", [_object_data(one) for one in news], now)
        # Of a new article there are none yet; and without an index, each look for them reads all articles.
        changed = {
            one.article_id: one
            for one in news
            if one.translation_of is None and outcome[one.article_id].outcome == "changed"
        }
        self._close_translations(platform, changed, now)
        return outcome

    def get(self, article: UUID, *, audience: Audience = "agent") -> Article:
        """Return an article.

        Raises:
            ArticleNotFound: no such article, another tenant's, or one that the audience may not read.
        """
        query = select(_articles).where(*self._where(None, audience), _articles.c.id == article)
        row = self._connection.execute(query).one_or_none()
        if row is None:
            raise ArticleNotFound(article)
        return _article(row)

    def find(self, article_id: str, platform: str) -> Article:
        """Return an article by the platform's id.

        Raises:
            ArticleNotFound: no such article, or another tenant's.
        """
        query = select(_articles).where(
            _articles.c.tenant_id == self._tenant_id,
            _articles.c.platform == platform,
            _articles.c.article_id == storable_text(article_id),
        )
        row = self._connection.execute(query).one_or_none()
        if row is None:
            raise ArticleNotFound(article_id[:100])
        return _article(row)

    def count(self, *, platform: str | None = None, audience: Audience = "agent") -> int:
        where = self._where(platform, audience)
        return self._connection.scalar(select(func.count()).select_from(_articles).where(*where)) or 0

    def translations(self, platform: str) -> list[Translation]:
        """Return which translations are here."""
        c = _articles.c
        query = select(c.article_id, c.translation_of, c.language).where(
            c.tenant_id == self._tenant_id, c.platform == platform, c.translation_of.is_not(None)
        )
        return [Translation(row[0], row[1], row[2] or "") for row in self._connection.execute(query)]

    def primary_language(self, platform: str) -> str | None:
        """Return what the originals are written in, as far as it was ever said."""
        c = _articles.c
        query = select(c.language).where(
            c.tenant_id == self._tenant_id,
            c.platform == platform,
            c.translation_of.is_(None),
            c.language.is_not(None),
        )
        return self._connection.scalar(query.limit(1))

    def originals(self, articles: Sequence[UUID]) -> dict[UUID, str]:
        """Return of which article each is a version: all translations of one have its name, and so has it itself."""
        c = _articles.c
        found: dict[UUID, str] = {}
        for some in batches([*articles]):
            query = select(c.id, c.platform, func.coalesce(c.translation_of, c.article_id)).where(
                c.tenant_id == self._tenant_id, c.id.in_(some)
            )
            found |= {row[0]: f"{row[1]}:{row[2]}" for row in self._connection.execute(query)}
        return found

    def unprocessed(self, limit: int) -> Sequence[Article]:
        """Return articles that are not in the index as they stand."""
        query = (
            select(_articles)
            .where(_articles.c.tenant_id == self._tenant_id, _articles.c.is_processed.is_(False))
            .order_by(_articles.c.id)
            .limit(limit)
        )
        return [_article(row) for row in self._connection.execute(query)]

    def mark_processed(self, done: Sequence[tuple[UUID, str]]) -> None:
        """Mark articles as being in the index as they stand, where their content is still the one of the hash."""
        if done:
            self._connection.execute(
                update(_articles)
                .where(_of_id, _articles.c.content_hash == bindparam("digest"))
                .values(is_processed=True),
                [{**self._id(article), "digest": digest} for article, digest in done],
            )

    def keep_only(self, platform: str, ids: Collection[str]) -> Sequence[UUID]:
        """Remove the platform's other articles, after a complete reading of it; return which those were."""
        keep = set(ids)
        query = select(_articles.c.id, _articles.c.article_id).where(
            _articles.c.tenant_id == self._tenant_id, _articles.c.platform == platform
        )
        gone = [row for row in self._connection.execute(query) if row.article_id not in keep]
        for some in batches([row.id for row in gone]):
            self._connection.execute(
                delete(_articles).where(_articles.c.tenant_id == self._tenant_id, _articles.c.id.in_(some))
            )
        self._objects().delete(platform, "article", [row.article_id for row in gone])
        return [row.id for row in gone]

    def purge(self, platform: str | None = None) -> int:
        """Remove articles and their objects for good, of one platform or of all; return how many there were."""
        where = [_articles.c.tenant_id == self._tenant_id]
        if platform is not None:
            where.append(_articles.c.platform == platform)
        rows = self._connection.execute(
            delete(_articles).where(*where).returning(_articles.c.platform, _articles.c.article_id)
        ).all()
        for name in {row.platform for row in rows}:
            self._objects().delete(name, "article", [row.article_id for row in rows if row.platform == name])
        return len(rows)

    def list(
        self,
        *,
        platform: str | None = None,
        audience: Audience = "agent",
        limit: int,
        before: tuple[datetime, UUID] | None = None,
    ) -> list[Article]:
        """Return what an audience may read, the last changed first, from behind `before` on."""
        where = self._where(platform, audience)
        if before is not None:
            place = tuple_(literal(before[0], UtcDateTime), literal(before[1], Uuid))
            where.append(tuple_(_articles.c.platform_updated_at, _articles.c.id) < place)
        query = select(_articles).where(*where)
        query = query.order_by(_articles.c.platform_updated_at.desc(), _articles.c.id.desc()).limit(limit)
        return [_article(row) for row in self._connection.execute(query)]

    def close_languages(self, platform: str, shown: Collection[str], now: datetime) -> None:
        """Let none but the desk read translations to other languages than these."""
        c = _articles.c
        query = select(c.id, c.content_hash).where(
            c.tenant_id == self._tenant_id,
            c.platform == platform,
            c.translation_of.is_not(None),
            c.language.not_in(list(shown)),
            c.audience != "agent",
        )
        for row in self._connection.execute(query).all():
            self._close(row.id, row.content_hash, "agent", now)

    def _close_translations(self, platform: str, originals: Mapping[str, ArticleData], now: datetime) -> None:
        """Let nobody read a translation who may not read its original; whom it lets in, the next reading of it says."""
        c = _articles.c
        for some in batches([*originals]):
            query = select(c.id, c.translation_of, c.audience, c.content_hash).where(
                c.tenant_id == self._tenant_id, c.platform == platform, c.translation_of.in_(some)
            )
            for row in self._connection.execute(query).all():
                original = originals[row.translation_of]
                audience = original.audience if original.published else "agent"
                if audience not in READABLE[row.audience]:
                    self._close(row.id, row.content_hash, audience, now)

    def _close(self, article: UUID, content_hash: str, audience: Audience, now: datetime) -> None:
        values = {
            "audience": audience,
            # Another one than that of what is being indexed, so that this is indexed as well.
            "content_hash": sha256(f"{content_hash} {audience}".encode()).hexdigest(),
            "is_processed": False,
            "version": _articles.c.version + 1,
            "updated_at": now,
        }
        of_id = (_articles.c.tenant_id == self._tenant_id) & (_articles.c.id == article)
        self._connection.execute(update(_articles).where(of_id).values(values))

    def _where(self, platform: str | None, audience: Audience) -> Any:
        where: Any = [_articles.c.tenant_id == self._tenant_id]
        if platform is not None:
            where.append(_articles.c.platform == platform)
        if audience != "agent":
            where += [_articles.c.audience.in_(READABLE[audience]), _articles.c.published.is_(True)]
        return where

    def _known(self, platform: str, ids: Collection[str]) -> dict[str, tuple[UUID, str, datetime | None]]:
        found: dict[str, tuple[UUID, str, datetime | None]] = {}
        c = _articles.c
        for some in batches([*ids]):
            query = select(c.article_id, c.id, c.content_hash, c.platform_updated_at).where(
                c.tenant_id == self._tenant_id, c.platform == platform, c.article_id.in_(some)
            )
            found |= {row[0]: (row[1], row[2], row[3]) for row in self._connection.execute(query)}
        return found

    def _objects(self) -> IntegratedObjectRepository:
        return IntegratedObjectRepository(self._connection, self._tenant_id)

    def _id(self, article: UUID) -> dict[str, Any]:
        return {"tenant": self._tenant_id, "article": article}

    def _row(self, platform: str, data: ArticleData, now: datetime) -> dict[str, Any]:
        matters = [
            *(data.title, data.description, data.audience, data.published, data.folder_id, data.category_id),
            *(data.path, data.url, data.tags, data.platform_created_at),
            *(data.language, data.translation_of),
            [[file.attachment_id, file.name, file.size] for file in data.attachments],
        ]
        return fitting(
            _articles,
            {
                "tenant_id": self._tenant_id,
                "id": new_id(),
                "platform": platform,
                "article_id": data.article_id,
                "title": storable_text(data.title),
                "description": storable_text(data.description),
                "audience": data.audience,
                "published": data.published,
                "folder_id": data.folder_id,
                "category_id": data.category_id,
                "path": orjson.Fragment(storable_json(list(data.path))),
                "url": None if data.url is None else storable_text(data.url),
                "tags": orjson.Fragment(storable_json(list(data.tags))),
                "language": data.language,
                "translation_of": data.translation_of,
                "content_hash": sha256(storable_json(matters)).hexdigest(),
                "is_processed": False,
                "version": 1,
                "platform_created_at": data.platform_created_at or now,
                "platform_updated_at": _stamp(data) or now,
                "created_at": now,
                "updated_at": now,
            },
        )


def _consequences(old: Columns, new: Columns) -> Mapping[str, ColumnElement[Any]]:
    same = old["content_hash"] == new["content_hash"]
    return {
        "is_processed": case((same, old["is_processed"]), else_=false()),
        "version": case((same, old["version"]), else_=old["version"] + 1),
        "updated_at": case((same, old["updated_at"]), else_=new["updated_at"]),
    }


def _stamp(data: ArticleData) -> datetime | None:
    return data.platform_updated_at or data.platform_created_at


def _is_older(one: datetime | None, other: datetime | None) -> bool:
    return one is not None and other is not None and one < other


def _object_data(data: ArticleData) -> ObjectData:
    original: Mapping[str, Any] = data.original or {"article_id": data.article_id, "title": data.title}
    return ObjectData(
        original_id=data.article_id,
        original_data=original,
        integrated_content=f"{data.title}\n\n{plain_text(data.description, CONTENT_LIMIT)}".strip(),
        parent_id=data.folder_id,
        metadata={
            "audience": data.audience,
            "published": data.published,
            "path": list(data.path),
            "language": data.language,
        },
        platform_created_at=data.platform_created_at,
        platform_updated_at=data.platform_updated_at,
    )


def _article(row: Row[Any]) -> Article:
    return Article(
        id=row.id,
        tenant_id=row.tenant_id,
        platform=row.platform,
        created_at=row.created_at,
        updated_at=row.updated_at,
        is_processed=row.is_processed,
        content_hash=row.content_hash,
        data=ArticleData(
            article_id=row.article_id,
            title=row.title,
            description=row.description,
            audience=row.audience,
            published=row.published,
            folder_id=row.folder_id,
            category_id=row.category_id,
            path=tuple(row.path),
            url=row.url,
            tags=tuple(row.tags),
            language=row.language,
            translation_of=row.translation_of,
            platform_created_at=row.platform_created_at,
            platform_updated_at=row.platform_updated_at,
        ),
    )
