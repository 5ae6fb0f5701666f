"""Files of tenants: in a folder by default, in S3 or what speaks its protocol. `base.py` says what both promise."""

from pathlib import Path
from typing import TYPE_CHECKING

from backend.core.storage.base import FileStorage, FileStorages

if TYPE_CHECKING:
    from pydantic import SecretStr

__all__ = ["FileStorage", "FileStorages", "open_storages"]


def open_storages(
    url: str | None,
    folder: Path,
    *,
    max_bytes: int,
    endpoint: str | None = None,
    access_key: "SecretStr | None" = None,
    secret_key: "SecretStr | None" = None,
    bucket: str | None = None,
    region: str = "us-east-1",
) -> FileStorages:
    """Return where files are kept: in the bucket of `url` (`s3://bucket/prefix`) or `bucket`, else below `folder`."""
    if url is None and bucket is not None:
        url = f"s3://{bucket}"
    if url is None:
        from backend.core.storage.local_storage import LocalStorages

        return LocalStorages(folder, max_bytes=max_bytes)
    from backend.core.storage.s3_storage import S3Storages

    name, _, prefix = url.removeprefix("s3://").partition("/")
    return S3Storages(
        name,
        prefix.strip("/"),
        spool=folder,
        max_bytes=max_bytes,
        endpoint=endpoint,
        access_key=access_key,
        secret_key=secret_key,
        region=region,
    )
