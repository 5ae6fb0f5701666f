"""Files on the wire."""

from datetime import datetime
from typing import Self

from pydantic import BaseModel, Field

from backend.dto.file import FileEntry, FilePage, StoredFile


class FileRead(BaseModel):
    """A file, without its content."""

    path: str = Field(examples=["견적/2026-11.pdf"])
    size: int = Field(description="Bytes.")
    content_type: str = Field(description="As the content itself says.", examples=["application/pdf"])
    sha256: str | None = Field(description="Of the content, in hex.")
    etag: str
    updated_at: datetime

    @classmethod
    def of(cls, file: StoredFile) -> Self:
        return cls(
            path=file.key,
            size=file.size,
            content_type=file.content_type,
            sha256=file.sha256,
            etag=file.etag,
            updated_at=file.updated_at,
        )


class FileListed(BaseModel):
    """A file in a list."""

    path: str
    size: int
    etag: str
    updated_at: datetime

    @classmethod
    def of(cls, entry: FileEntry) -> Self:
        return cls(path=entry.key, size=entry.size, etag=entry.etag, updated_at=entry.updated_at)


class FileList(BaseModel):
    items: list[FileListed]
    next: str | None = Field(description="`after` of the next page; null at the end.")

    @classmethod
    def of(cls, page: FilePage) -> Self:
        return cls(items=[FileListed.of(entry) for entry in page.files], next=page.next)


class LinkRead(BaseModel):
    url: str = Field(description="Whoever has it may fetch the file, without a key.")
    expires_at: datetime
