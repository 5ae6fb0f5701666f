"""The knowledge base in a collection: the articles, and what they are translated to.

The articles are listed whole each time. A translation has a life of its own, which shows nowhere but in itself; so all
of a language is read by a full collection, when the language is new, and once a day. In between only translations of
what has changed are asked for.
"""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from hashlib import sha256
from typing import Any, Protocol

from loguru import logger
from sqlalchemy import Connection

from backend.core.collector.platform import ArticlePage, BadItem, Languages, SupportSource
from backend.core.error import UpstreamFailed, UpstreamTimeout
from backend.database.base import Database
from backend.dto.sync import SyncCounts, SyncCursor, SyncJob
from backend.dto.ticket import ArticleData
from backend.repository.article import ArticleRepository
from backend.repository.sync import SyncRepository
from backend.service.sync_writer import SyncWriter

WHOLE = timedelta(hours=24)
"""Between two readings of all translations to a language."""


class Advance(Protocol):
    """Writes as the job's attempt: `Collection`."""

    def __call__(
        self,
        work: Callable[[Connection], SyncCounts | None],
        *,
        state: dict[str, Any] | None = None,
        bad: Sequence[BadItem] = (),
    ) -> Awaitable[None]: ...


class ArticleReading:
    """One reading of the knowledge base, from its beginning to its end."""

    def __init__(
        self,
        database: Database,
        source: SupportSource,
        job: SyncJob,
        writer: SyncWriter,
        advance: Advance,
        clock: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._source = source
        self._job = job
        self._writer = writer
        self._advance = advance
        self._clock = clock
        self._whole = True
        self._kept: set[str] = set()
        """What is there, whether or not it could be read."""
        self._originals: dict[str, ArticleData] = {}
        """Without their texts."""
        self._texts: dict[str, bytes] = {}
        self._changed: set[str] = set()
        self._missing: set[str] = set()
        """Translations that were asked for and are not there."""

    async def read(self) -> None:
        """Read it all, and take away what it has no more; a reading that breaks off takes nothing away.

        The articles that are gone stand in the job's state then (`articles_gone`).
        """
        languages = await self._source.languages()
        primary = languages.primary if languages is not None else None
        if primary is None:  # it is not said now; what was said is not forgotten for that
            primary = await self._database.read(
                lambda c: ArticleRepository(c, self._job.tenant_id).primary_language(self._job.platform)
            )
        async with aclosing(self._source.articles()) as pages:  # type: ignore[type-var]  # a generator, by contract
            async for page in pages:
                await self._take(page, primary)
        for language in languages.others if languages else ():
            await self._read_language(language, shown=languages is not None and language in languages.shown)
        await self._end(languages)

    async def _take(self, page: ArticlePage, primary: str | None) -> None:
        articles = tuple(replace(each, language=each.language or primary) for each in page.articles)

        def put(c: Connection) -> None:
            self._changed |= self._writer.put_articles(c, replace(page, articles=articles))

        await self._advance(put, bad=page.bad)
        for each in articles:
            self._texts[each.article_id] = _digest(each)
            self._originals[each.article_id] = replace(each, description="", attachments=(), original={})
        self._kept.update(self._originals)
        self._kept.update(bad.original_id for bad in page.bad if bad.object_type == "article")
        self._whole = self._whole and all(bad.object_type == "article" for bad in page.bad)

    async def _read_language(self, language: str, *, shown: bool) -> None:
        """Read what is translated to a language of what may have changed; a language that fails costs only itself."""
        published = [each for each in self._originals.values() if each.published]
        kind = _kind(language)
        cursor = await self._database.read(lambda c: self._sync(c).cursor(self._job.platform, kind))
        everything = self._job.kind == "full" or cursor is None or self._clock() - cursor.updated_at >= WHOLE
        asked = published if everything else [each for each in published if self._may_differ(each, cursor)]
        found: set[str] = set()
        sound = True
        try:
            async with aclosing(self._source.translations(language, asked)) as pages:  # type: ignore[type-var]
                async for page in pages:
                    made = tuple(self._as_shown(each, shown=shown) for each in page.articles if self._differs(each))
                    await self._advance(
                        partial(self._put_translations, page=replace(page, articles=made)), bad=page.bad
                    )
                    found.update(each.article_id for each in made)
                    found.update(bad.original_id for bad in page.bad)
                    sound = sound and all(bad.object_type == "article" for bad in page.bad)
        except (UpstreamFailed, UpstreamTimeout) as error:
            logger.warning("translations to {language} are not read: {why}", language=language, why=error.detail)
            failed = BadItem(
                object_type="folder", original_id=f"articles:{language}", code=error.slug, reason=error.detail
            )
            await self._advance(lambda c: None, bad=[failed])
            return
        if sound:
            self._missing |= {f"{each.article_id}:{language}" for each in asked} - found
            stamps = [each.platform_updated_at for each in published if each.platform_updated_at is not None]
            until = max(stamps, default=None)
            await self._advance(
                lambda c: self._sync(c).move_cursor(
                    self._job.platform, kind, until, self._clock(), complete=True, seen=everything
                )
            )

    def _may_differ(self, original: ArticleData, cursor: SyncCursor | None) -> bool:
        since, at = cursor.updated_since if cursor else None, original.platform_updated_at
        return original.article_id in self._changed or since is None or at is None or at > since

    def _differs(self, translation: ArticleData) -> bool:
        """Whether it is one: what is not translated might be shown as it is."""
        return _digest(translation) != self._texts.get(translation.translation_of or "")

    def _as_shown(self, translation: ArticleData, *, shown: bool) -> ArticleData:
        return translation if shown else replace(translation, audience="agent")

    def _put_translations(self, c: Connection, page: ArticlePage) -> None:
        self._writer.put_articles(c, page)

    async def _end(self, languages: Languages | None) -> None:
        state: dict[str, Any] = {}
        platform = self._job.platform

        def end(c: Connection) -> SyncCounts:
            articles, sync = ArticleRepository(c, self._job.tenant_id), self._sync(c)
            for each in articles.translations(platform):
                original = self._originals.get(each.original)
                gone = (
                    each.original not in self._kept
                    or (original is not None and not original.published)
                    or (languages is not None and each.language not in languages.others)
                    or each.article_id in self._missing
                )
                if not gone:
                    self._kept.add(each.article_id)
            sync.move_cursor(platform, "article", None, self._clock(), complete=self._whole)
            if languages is not None:
                articles.close_languages(platform, languages.shown, self._clock())
                # One that comes back is read whole.
                sync.keep_cursors(platform, _kind(""), [_kind(each) for each in languages.others])
            gone_articles = articles.keep_only(platform, self._kept) if self._whole else []
            state["articles_gone"] = [str(each) for each in gone_articles]
            return SyncCounts(articles=len(self._kept), removed=len(gone_articles))

        await self._advance(end, state=state)

    def _sync(self, c: Connection) -> SyncRepository:
        return SyncRepository(c, self._job.tenant_id)


def _kind(language: str) -> str:
    """Name the cursor of a language."""
    return f"article:{language}"


def _digest(article: ArticleData) -> bytes:
    return sha256(f"{article.title}\n{article.description}".encode("utf-8", "replace")).digest()
