"""The data folder has one owner: the process that serves it. Two would corrupt what is in it."""

import fcntl
import json
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import TypedDict

from backend.core.error import Unavailable

_NAME = ".daedap"


class Owner(TypedDict):
    """Who serves a data folder, and where to ask."""

    pid: int
    url: str | None


class DataFolder:
    """Holds a folder for this process, from `claim` to `release` or to the process' end, however that comes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    def claim(self, url: str | None = None) -> None:
        """Make the folder if it is not there, and own it; `url` is where others can reach us.

        Raises:
            Unavailable: another process owns it, or it cannot be written.
        """
        try:
            self._path.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(self._path / _NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        except OSError as error:
            raise Unavailable(f"The data folder {self._path} cannot be written: {error.strerror}.") from error
        if not _locked(descriptor):
            os.close(descriptor)
            owner = owner_of(self._path)
            raise Unavailable(
                f"The data folder {self._path} is in use by process {owner['pid'] if owner else 'unknown'}."
                " Stop that one, or set another DATA_DIR."
            )
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps({"pid": os.getpid(), "url": url}).encode(), 0)
        self._descriptor = descriptor

    def release(self) -> None:
        if self._descriptor is not None:
            os.ftruncate(self._descriptor, 0)
            os.close(self._descriptor)
            self._descriptor = None


def _locked(descriptor: int) -> bool:
    """Lock the file. Somebody who only looks (`owner_of`) holds it for an instant, so one refusal is not the answer."""
    for pause in (0.01, 0.02, 0.05, 0.0):
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        time.sleep(pause)
    return False


def owner_of(path: Path) -> Owner | None:
    """Return who owns the data folder now; None when nobody does."""
    try:
        descriptor = os.open(path / _NAME, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        written = os.pread(descriptor, 4096, 0)
        found: Owner = json.loads(written) if written else {"pid": 0, "url": None}
        return found
    finally:
        os.close(descriptor)
    return None
