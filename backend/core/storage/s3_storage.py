"""Files in S3, or in what speaks its protocol: `<prefix>/<tenant>/<path>` in one bucket, through `obstore`.

A file is received into a local one first. So a broken upload leaves nothing in the bucket, not even parts that cost
money and that nobody sees, and what is known only at the end (hash, media type) can be told with the first byte.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loguru import logger

from backend.core.error import DomainError, FileNotFound, Invalid, Unavailable, UpstreamFailed
from backend.core.storage.base import BLOCK, LIST_LIMIT, LONGEST_LINK, check_path, check_tenant
from backend.core.storage.content import OCTETS, clear_stale, receive
from backend.dto.file import FileEntry, FilePage, StoredFile

if TYPE_CHECKING:
    from obstore import GetResult, ObjectMeta
    from obstore.store import S3Store
    from pydantic import SecretStr

_INCOMING = ".incoming"
_PART = 8 * 1024 * 1024
_PARTS_AT_ONCE = 2
"""Parts of an upload that are in memory."""
_CONNECT_SECONDS = 5.0
_SECONDS = 60.0
"""Without an answer."""
_WHOLE = timedelta(days=1)
"""For a whole file: who reads one over a slow line takes as long as that takes. The library would stop after 30 s."""
_RETRIES = 3
_SEEN_SECONDS = 30.0
"""For so long a bucket that was there is taken to be there."""
_SHA256 = "sha256"


class S3Storages:
    """The `FileStorages` in a bucket."""

    def __init__(
        self,
        bucket: str,
        prefix: str = "",
        *,
        spool: Path,
        max_bytes: int,
        endpoint: str | None = None,
        access_key: "SecretStr | None" = None,
        secret_key: "SecretStr | None" = None,
        region: str = "us-east-1",
    ) -> None:
        self._bucket = bucket
        self._prefix = f"{check_path(prefix)}/" if prefix else ""
        self.incoming = spool / _INCOMING
        self.max_bytes = max_bytes
        self._endpoint = endpoint
        self._access_key = access_key
        self._secret_key = secret_key
        self._region = region
        self._store: S3Store | None = None
        self._seen = float("-inf")

    async def open(self) -> None:
        await asyncio.to_thread(self.incoming.mkdir, parents=True, exist_ok=True, mode=0o700)
        await self.tidy()

    async def tidy(self) -> None:
        await asyncio.to_thread(clear_stale, self.incoming)

    async def close(self) -> None:
        self._store = None

    async def check(self) -> None:
        await self.look()
        self._seen = time.monotonic()

    def of(self, tenant_id: str) -> "S3Storage":
        return S3Storage(self, f"{self._prefix}{check_tenant(tenant_id)}/")

    @property
    def store(self) -> "S3Store":
        if self._store is None:
            from obstore.store import S3Store

            keys: dict[str, Any] = {}
            if self._access_key is not None and self._secret_key is not None:
                keys = {
                    "access_key_id": self._access_key.get_secret_value(),
                    "secret_access_key": self._secret_key.get_secret_value(),
                }
            if self._endpoint is not None:
                # What is not Amazon's seldom has a host name for each bucket.
                keys |= {"endpoint": self._endpoint, "virtual_hosted_style_request": False}
            self._store = S3Store(
                self._bucket,
                region=self._region,
                client_options={
                    "allow_http": (self._endpoint or "").startswith("http://"),
                    "connect_timeout": timedelta(seconds=_CONNECT_SECONDS),
                    "read_timeout": timedelta(seconds=_SECONDS),
                    "timeout": _WHOLE,
                },
                retry_config={"max_retries": _RETRIES, "retry_timeout": timedelta(seconds=_SECONDS)},
                **keys,
            )
        return self._store

    async def look(self) -> None:
        """Ask for one name in the bucket.

        Raises:
            Unavailable: there is no such bucket, or it cannot be reached.
        """
        from obstore import list as list_objects

        try:
            async with asyncio.timeout(_SECONDS):
                with suppress(StopAsyncIteration):
                    await anext(aiter(list_objects(self.store, chunk_size=1)))
        except TimeoutError:
            raise Unavailable("The file store does not answer.") from None
        except _errors() as error:
            raise _failure(error) from error

    async def missing(self, key: str) -> DomainError:
        """Return the error for "not found", which S3 also answers when there is no bucket at all."""
        if time.monotonic() - self._seen > _SEEN_SECONDS:
            await self.check()
        return FileNotFound(key)


class S3Storage:
    """The `FileStorage` of one tenant, in a bucket."""

    def __init__(self, storages: S3Storages, home: str) -> None:
        self._storages = storages
        self._home = home

    async def put(
        self,
        path: str,
        content: bytes | AsyncIterator[bytes],
        *,
        content_type: str | None = None,
        limit: int | None = None,
    ) -> StoredFile:
        from obstore import put_async

        key = check_path(path)
        most = self._storages.max_bytes
        received = await receive(
            self._storages.incoming,
            content,
            limit=most if limit is None else min(limit, most),
            declared=content_type,
        )
        try:
            await self._ask(
                key,
                put_async(
                    self._storages.store,
                    self._home + key,
                    received.path,
                    # Whoever follows a link to the bucket saves the file; no page runs in the bucket's name.
                    attributes={
                        "Content-Type": received.content_type,
                        "Content-Disposition": "attachment",
                        _SHA256: received.sha256,
                    },
                    chunk_size=_PART,
                    max_concurrency=_PARTS_AT_ONCE,
                ),
            )
        finally:
            await asyncio.to_thread(received.path.unlink, missing_ok=True)
        return await self.stat(key)

    async def open(self, path: str, start: int = 0, end: int | None = None) -> AsyncGenerator[bytes]:
        from obstore import get_async

        key = check_path(path)
        if start < 0 or (end is not None and end <= start):
            raise Invalid("A range begins at 0 or later and ends behind its beginning.")
        options: Any = {}
        if start or end is not None:
            size = (await self.stat(key)).size  # S3's own answer cannot be told from other failures
            if start >= size and (start or size):
                raise Invalid(f"The file ends at {size}.", size=size)
            if size:
                options = {"range": (start, size if end is None else min(end, size))}
        result: GetResult = await self._ask(
            key, get_async(self._storages.store, self._home + key, options=options or None)
        )
        blocks = aiter(result.stream(BLOCK))
        while True:
            try:
                async with asyncio.timeout(_SECONDS):
                    block = await anext(blocks)
            except StopAsyncIteration:
                return
            except TimeoutError:
                raise UpstreamFailed("The file store stopped in the middle of the file.") from None
            except _errors() as error:
                raise _failure(error) from error
            yield bytes(block)

    async def stat(self, path: str) -> StoredFile:
        from obstore import get_async

        key = check_path(path)
        found: GetResult = await self._ask(
            key, get_async(self._storages.store, self._home + key, options={"head": True})
        )
        meta, facts = found.meta, found.attributes
        return StoredFile(
            key=key,
            size=meta["size"],
            content_type=facts.get("Content-Type", OCTETS),
            sha256=facts.get(_SHA256),
            etag=_etag(meta),
            updated_at=meta["last_modified"],
        )

    async def delete(self, path: str) -> bool:
        from obstore import delete_async

        key = check_path(path)
        try:
            await self.stat(key)  # S3 answers the same whether it was there or not
        except FileNotFound:
            return False
        await self._ask(key, delete_async(self._storages.store, self._home + key))
        return True

    async def clear(self, folder: str = "") -> int:
        from obstore import delete_async

        removed, after = 0, None
        while True:
            page = await self.list(folder, after=after)
            if page.files:
                keys = [self._home + entry.key for entry in page.files]
                await self._ask(folder, delete_async(self._storages.store, keys))
            removed += len(page.files)
            if (after := page.next) is None:
                return removed

    async def list(self, folder: str = "", *, limit: int = LIST_LIMIT, after: str | None = None) -> FilePage:
        from obstore import list as list_objects

        top = self._home + (f"{check_path(folder)}/" if folder else "")
        limit = max(1, min(limit, LIST_LIMIT))
        found: list[FileEntry] = []
        try:
            async with asyncio.timeout(_SECONDS):
                async for objects in list_objects(
                    self._storages.store,
                    top.rstrip("/"),
                    offset=None if after is None else self._home + after,
                    chunk_size=limit + 1,
                ):
                    found += [
                        FileEntry(
                            key=meta["path"].removeprefix(self._home),
                            size=meta["size"],
                            etag=_etag(meta),
                            updated_at=meta["last_modified"],
                        )
                        for meta in objects
                    ]
                    if len(found) > limit:
                        break
        except TimeoutError:
            raise Unavailable("The file store does not answer.") from None
        except _errors() as error:
            raise _failure(error) from error
        return FilePage(files=tuple(found[:limit]), next=found[limit - 1].key if len(found) > limit else None)

    async def link(self, path: str, seconds: int) -> str | None:
        from obstore import sign_async

        if not 1 <= seconds <= LONGEST_LINK:
            raise Invalid(f"A link works for 1 to {LONGEST_LINK} seconds.")
        key = check_path(path)
        await self.stat(key)
        link: str = await self._ask(
            key, sign_async(self._storages.store, "GET", self._home + key, timedelta(seconds=seconds))
        )
        return link

    async def _ask[T](self, key: str, asked: Awaitable[T]) -> T:
        try:
            return await asked
        except FileNotFoundError:
            raise await self._storages.missing(key) from None
        except _errors() as error:
            raise _failure(error) from error


def _etag(meta: "ObjectMeta") -> str:
    return meta["e_tag"] or f'"{meta["last_modified"].isoformat()}-{meta["size"]:x}"'


def _errors() -> tuple[type[Exception], ...]:
    """Return what the library raises."""
    from obstore.exceptions import BaseError

    return BaseError, OSError, ValueError


def _failure(error: Exception) -> DomainError:
    """Return what a failure of the store means; its own words hold addresses, and are for the log alone."""
    from obstore.exceptions import PermissionDeniedError, UnauthenticatedError

    words = str(error)
    refused = isinstance(error, PermissionDeniedError | UnauthenticatedError) or "403 Forbidden" in words
    logger.error("the file store failed: {kind}", kind="refused" if refused else type(error).__name__)
    if refused:
        return Unavailable("The file store refuses the server's key.")
    if "NoSuchBucket" in words or isinstance(error, FileNotFoundError):
        return Unavailable("The file store has no such bucket.")
    if "non-2xx" in words:
        return UpstreamFailed("The file store answered with an error.")
    return Unavailable("The file store cannot be reached.")
