"""The knowledge base: categories, folders in folders, articles, and their translations.

Who may read an article is the strictest of what the folders above it say.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any

from backend.core.collector.freshdesk import parser
from backend.core.collector.freshdesk.parser import BadValue, Folder
from backend.core.collector.platform import ArticlePage, BadItem
from backend.core.error import Forbidden, NotFound
from backend.dto.ticket import ArticleData

DEEPEST_FOLDER = 10
BATCH = 100
SINGLY = 2
"""Of a folder, so many articles are asked for one by one: its list costs a request for each hundred that it has."""

Rows = Callable[[str], AsyncIterator[Any]]
"""Yields the rows of the list at a path."""
ReadArticle = Callable[[str], Awaitable[Any]]


class ArticleWalk:
    """One reading of the whole knowledge base; every folder is read once, however they hang together."""

    def __init__(self, rows: Rows, read: ReadArticle, host: str) -> None:
        self._rows = rows
        self._read = read
        self._host = host
        self._seen: set[str] = set()

    async def pages(self) -> AsyncIterator[ArticlePage]:
        """Yield the articles; what cannot be read is told as bad, and makes the reading an incomplete one."""
        async for category in self._rows("/solutions/categories"):
            try:
                category_id = parser.id_of(category.get("id") if isinstance(category, dict) else None)
            except BadValue as problem:
                yield _lost("category-unknown", problem.code, problem.reason)
                continue
            root = Folder("", category_id, (parser.name_of(category),), "customer")
            async for page in self._below(f"/solutions/categories/{category_id}/folders", root, 1):
                yield page

    async def _below(self, path: str, parent: Folder, depth: int) -> AsyncIterator[ArticlePage]:
        """Yield the articles of the folders in a list, and of those in them."""
        try:
            folders = [row async for row in self._rows(path)]
        except (Forbidden, NotFound) as error:
            if not parent.folder_id or isinstance(error, Forbidden):  # accounts without nested folders answer 404
                yield _lost(f"folders-of-{parent.folder_id or parent.category_id}", "unreadable", error.detail)
            return
        for raw in folders:
            row = raw if isinstance(raw, dict) else {}
            try:
                folder_id = parser.id_of(row.get("id"))
            except BadValue as problem:
                yield _lost(f"folder-unknown-in-{parent.category_id}", problem.code, problem.reason)
                continue
            if folder_id in self._seen:
                continue
            self._seen.add(folder_id)
            folder = Folder(
                folder_id,
                parent.category_id,
                (*parent.path, parser.name_of(row)),
                parser.strictest(parent.audience, parser.audience_of(row.get("visibility"))),
            )
            async for page in self._articles(folder):
                yield page
            if row.get("sub_folders_count") == 0 or row.get("hierarchy_depth") == 0:
                continue
            if depth >= DEEPEST_FOLDER:
                yield _lost(f"folders-of-{folder_id}", "too-deep", "Folders are nested too deeply.")
                continue
            async for page in self._below(f"/solutions/folders/{folder_id}/subfolders", folder, depth + 1):
                yield page

    async def _articles(self, folder: Folder) -> AsyncIterator[ArticlePage]:
        articles: list[ArticleData] = []
        bad: list[BadItem] = []
        try:
            async for row in self._rows(f"/solutions/folders/{folder.folder_id}/articles"):
                await self._take(row, folder, articles, bad)
                if len(articles) + len(bad) >= BATCH:
                    yield ArticlePage(articles=tuple(articles), bad=tuple(bad))
                    articles, bad = [], []
        except (Forbidden, NotFound) as error:
            bad.append(_part(f"articles-of-{folder.folder_id}", "unreadable", error.detail))
        if articles or bad:
            yield ArticlePage(articles=tuple(articles), bad=tuple(bad))

    async def _take(self, row: Any, folder: Folder, articles: list[ArticleData], bad: list[BadItem]) -> None:
        try:
            article_id = parser.id_of(row.get("id") if isinstance(row, dict) else None)
        except BadValue as problem:  # it may be any
            bad.append(_part(f"unknown-in-{folder.folder_id}-{len(articles) + len(bad)}", problem.code, problem.reason))
            return
        try:
            if "description" not in row and "description_text" not in row:  # a list may leave the text out
                row = await self._read(article_id)
            made = parser.article(row, folder, self._host)
            if made.article_id != article_id:
                raise BadValue("bad-id", "It is another article.")
            articles.append(made)
        except BadValue as problem:
            bad.append(_item(article_id, problem.code, problem.reason))
        except NotFound:
            return  # removed just now
        except Forbidden as error:
            bad.append(_item(article_id, "unreadable", error.detail))


class TranslationWalk:
    """One reading of what some articles are translated to, in one language."""

    def __init__(self, rows: Rows, read: ReadArticle, host: str, language: str) -> None:
        self._rows = rows
        self._read = read
        self._host = host
        self._language = language

    async def pages(self, originals: Sequence[ArticleData]) -> AsyncIterator[ArticlePage]:
        """Yield the translations, folder by folder."""
        folders: dict[str, dict[str, ArticleData]] = {}
        for one in originals:
            folders.setdefault(one.folder_id or "", {})[one.article_id] = one
        for folder_id, wanted in folders.items():
            articles: list[ArticleData] = []
            bad: list[BadItem] = []
            try:
                async for row in self._found(folder_id, wanted):
                    await self._take(row, wanted, articles, bad)
                    if len(articles) + len(bad) >= BATCH:
                        yield ArticlePage(articles=tuple(articles), bad=tuple(bad))
                        articles, bad = [], []
            except NotFound:
                pass  # the folder is not translated, and then nothing in it is
            except Forbidden as error:
                bad.append(_part(f"articles-of-{folder_id}:{self._language}", "unreadable", error.detail))
            if articles or bad:
                yield ArticlePage(articles=tuple(articles), bad=tuple(bad))

    async def _found(self, folder_id: str, wanted: Mapping[str, ArticleData]) -> AsyncIterator[Any]:
        """Yield what may be the translations of a folder's articles."""
        if len(wanted) <= SINGLY or not folder_id:
            for article_id in wanted:
                yield {"id": article_id}
            return
        async for row in self._rows(f"/solutions/folders/{folder_id}/articles/{self._language}"):
            yield row

    async def _take(
        self, row: Any, wanted: Mapping[str, ArticleData], articles: list[ArticleData], bad: list[BadItem]
    ) -> None:
        try:
            article_id = parser.id_of(row.get("id") if isinstance(row, dict) else None)
        except BadValue as problem:  # it may be any
            bad.append(_part(f"unknown:{self._language}-{len(articles) + len(bad)}", problem.code, problem.reason))
            return
        if article_id not in wanted:
            return
        name = f"{article_id}:{self._language}"
        try:
            if "description" not in row and "description_text" not in row:
                row = await self._read(f"{article_id}/{self._language}")
            articles.append(parser.translation(row, wanted[article_id], self._language, self._host))
        except BadValue as problem:
            bad.append(_item(name, problem.code, problem.reason))
        except NotFound:
            return  # not translated
        except Forbidden as error:
            bad.append(_item(name, "unreadable", error.detail))


def _item(original_id: str, code: str, reason: str) -> BadItem:
    return BadItem(object_type="article", original_id=original_id, code=code, reason=reason)


def _part(original_id: str, code: str, reason: str) -> BadItem:
    """Return a part of the knowledge base that could not be seen: what is in it may be there all the same."""
    return BadItem(object_type="folder", original_id=original_id, code=code, reason=reason)


def _lost(original_id: str, code: str, reason: str) -> ArticlePage:
    return ArticlePage(articles=(), bad=(_part(original_id, code, reason),))
