"""Files that are kept for a tenant."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFile:
    """A file and what is known of its content."""

    key: str
    """Its path within its tenant's files."""
    size: int
    """Bytes."""
    content_type: str
    """As its content says, whatever its name or its sender claim."""
    sha256: str | None
    """Of the content, in hex; None for an object that another program has put into the bucket."""
    etag: str
    """Changes with the content; in quotes, as HTTP writes it."""
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class FileEntry:
    """A file in a list: what can be told without opening it."""

    key: str
    size: int
    etag: str
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class FilePage:
    files: tuple[FileEntry, ...]
    next: str | None = None
    """The `after` of the next page; None at the end."""
