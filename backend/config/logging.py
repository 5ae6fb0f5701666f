"""Logs: everything, the standard library's loggers too, goes through loguru to stderr and, if set, a file.

One line a record. Console: `time | LEVEL | module:function:line - message`. JSON: `timestamp` (UTC, with Z), `level`,
`logger`, `function`, `line`, `message`, `extra` (with `request_id`, `tenant_id` and `run_id` where there are such) and,
of a failure, `exception`. Secrets are masked in all of them and control characters written out (util/redaction.py).

The file rotates into `app.YYYY-MM-DD.log.gz`, a second one of the same day into `app.YYYY-MM-DD.2.log.gz`.
"""

import bz2
import gzip
import logging
import lzma
import os
import shutil
import sys
import threading
import time
import traceback
import zipfile
from collections.abc import Callable, Iterator
from datetime import UTC
from multiprocessing.context import BaseContext
from pathlib import Path
from queue import SimpleQueue
from typing import Any
from urllib.parse import unquote, urlsplit

import orjson
from loguru import logger
from pydantic import SecretStr

from backend.config.setting import SettingError, Settings
from backend.util.redaction import MASK, Redactor, secret_values

FILE_MODE = 0o640
FOLDER_MODE = 0o750
QUEUE_LIMIT = 65_536
"""Lines that may wait for a slow disk or terminal; after that, whoever logs waits too."""
GATHER_SECONDS = 0.005
"""How long a line may wait for others that are written with it."""

_CONSOLE = (
    "<green>{at}</green> | <level>{level.name: <8}</level> | <cyan>{name}:{function}:{line}</cyan> - "
    "<level>{text}</level>\n"
)
_QUIET = (
    *("aiosqlite", "alembic", "asyncio", "chromadb", "httpcore", "httpcore2", "httpx", "httpx2", "langchain"),
    *("langsmith", "multipart", "openai"),
)
"""Talkative below WARNING; httpx even writes whole addresses, with their query strings."""
_SERVERS = ("engineio.server", "socketio.server")
"""These add a handler of their own to their logger unless it has a level."""


def setup_logging(settings: Settings) -> None:
    """Send all logs where the settings say. May be called again, and then replaces what was set up.

    Raises:
        SettingError: the file cannot be opened, or its rotation or retention cannot be understood.
    """
    logger.remove()
    shared: dict[str, Any] = {
        "level": settings.log_level,
        "format": _Renderer(Redactor(_secrets(settings)), as_json=settings.log_format == "json"),
        "enqueue": True,
        "context": _InProcess(),
        "backtrace": False,
        "diagnose": False,  # it would print the values of variables
    }
    logger.add(sys.stderr, **shared)
    if settings.log_file_path is not None:
        try:
            settings.log_file_path.parent.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
            logger.add(
                settings.log_file_path,
                rotation=settings.log_rotation,
                retention=settings.log_retention,
                compression=_Archive(settings.log_file_path, settings.log_compression),
                opener=_open_private,
                encoding="utf-8",
                **shared,
            )
        except OSError as error:
            raise SettingError(f"LOG_FILE_PATH: {settings.log_file_path} cannot be written: {error.strerror}") from None
        except ValueError as error:
            raise SettingError(f"LOG_ROTATION, LOG_RETENTION: {error}") from None
    _take_over(settings.log_level)


def flush_logging() -> None:
    """Wait until every line that was logged so far is written. For the end of the process."""
    logger.complete()


def _secrets(settings: Settings) -> Iterator[str]:
    """Yield every secret of the settings, and the passwords inside the addresses."""
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        for secret in value.values() if isinstance(value, dict) else (value,):
            if isinstance(secret, SecretStr):
                text = secret.get_secret_value()
                yield text
                if "://" in text and (password := urlsplit(text).password):
                    yield from (password, unquote(password))


class _Renderer:
    """Makes the text of a record, once for all handlers, and says into which template it goes."""

    def __init__(self, redactor: Redactor, *, as_json: bool) -> None:
        self._redactor = redactor
        self._text = self._json if as_json else self._console
        self._template = "{text}\n" if as_json else _CONSOLE

    def __call__(self, record: Any) -> str:
        # Loguru copies the record after this call: what is added here is there for the template.
        if "text" not in record:
            for secret in secret_values(record["extra"]):
                record["message"] = record["message"].replace(secret, MASK)
            record["text"] = self._text(record)
        return self._template

    def _console(self, record: dict[str, Any]) -> str:
        record["at"] = record["time"].replace(tzinfo=None).isoformat(" ", "milliseconds")
        text = self._redactor.line(record["message"])
        failure = record["exception"]
        if failure is None or failure.value is None:
            return text
        # Indented, so that no line of a failure's text can pass for a record.
        return text + "".join(f"\n    {line}" for line in self._traceback(record).splitlines())

    def _json(self, record: dict[str, Any]) -> str:
        moment = record["time"].astimezone(UTC).replace(tzinfo=None)
        document = {
            "timestamp": f"{moment.isoformat(timespec='milliseconds')}Z",
            "level": record["level"].name,
            "logger": record["name"],
            "function": record["function"],
            "line": record["line"],
            "message": self._redactor.line(record["message"]),
            "extra": self._redactor.mapping(record["extra"]),
        }
        failure = record["exception"]
        if failure is not None and failure.value is not None:
            document["exception"] = {"type": type(failure.value).__name__, "traceback": self._traceback(record)}
        return orjson.dumps(document).decode()

    def _traceback(self, record: dict[str, Any]) -> str:
        text = "".join(traceback.format_exception(record["exception"].value))
        for secret in secret_values(record["extra"]):
            text = text.replace(secret, MASK)
        return self._redactor.block(text).rstrip()


class _LineQueue(SimpleQueue[Any]):
    """A queue with a bound, and a reader that takes what has gathered, so that it wakes seldom.

    Waking for each line, it would take the interpreter from the event loop each time.
    """

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        while self.qsize() >= QUEUE_LIMIT:  # each thread may exceed it by one
            time.sleep(GATHER_SECONDS)
        super().put(item)

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        if self.empty():
            time.sleep(GATHER_SECONDS)
        return super().get()


class _InProcess(BaseContext):
    """Makes loguru's `enqueue=True` use a queue between threads.

    Its own is a pipe between processes, for which each record is pickled: several times the cost of the line itself,
    and a record that cannot be pickled is lost.
    """

    def SimpleQueue(self) -> Any:  # noqa: N802  # the name in multiprocessing
        return _LineQueue()

    def Event(self) -> Any:  # noqa: N802
        return threading.Event()

    def Lock(self) -> Any:  # noqa: N802
        return threading.Lock()


def _open_private(path: str, flags: int) -> int:
    descriptor = os.open(path, flags, FILE_MODE)
    os.fchmod(descriptor, FILE_MODE)  # also where the umask, or a file that was there, says otherwise
    return descriptor


class _Archive:
    """Gives a file that was rotated out its dated name, and compresses it.

    Loguru names it by the second it was begun; the specification's `app.2024-11-25.log.gz` is the day of its last line.
    """

    def __init__(self, path: Path, compression: str | None) -> None:
        self._path = path.absolute()
        self._compression = compression

    def __call__(self, rotated: str) -> None:
        source = Path(rotated)
        times = source.stat()
        target = self._free_name(time.strftime("%Y-%m-%d", time.localtime(times.st_mtime)))
        if self._compression is None:
            source.rename(target)
            return
        # Written under another name first: a file with the final name is always whole.
        unfinished = target.with_name(f"{target.name}.part")
        _compress(source, unfinished, self._compression)
        os.utime(unfinished, ns=(times.st_atime_ns, times.st_mtime_ns))  # the retention goes by it
        unfinished.rename(target)
        source.unlink()

    def _free_name(self, day: str) -> Path:
        stem, suffix = self._path.stem, self._path.suffix
        ending = f".{self._compression}" if self._compression else ""
        number = 1
        while True:
            part = f"{stem}.{day}{suffix}" if number == 1 else f"{stem}.{day}.{number}{suffix}"
            plain, final = self._path.with_name(part), self._path.with_name(part + ending)
            if not (plain.exists() or final.exists()):
                return final
            number += 1


_OPENERS: dict[str, Callable[..., Any]] = {"gz": gzip.open, "bz2": bz2.open, "xz": lzma.open}


def _compress(source: Path, target: Path, kind: str) -> None:
    with source.open("rb") as read, open(target, "wb", opener=_open_private) as written:
        if kind == "zip":
            with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as packed:
                packed.write(source, target.name.removesuffix(".zip.part"))
        else:
            with _OPENERS[kind](written, "wb") as packed:
                shutil.copyfileobj(read, packed)


class _Intercept(logging.Handler):
    """Hands the records of the standard library's loggers to loguru, under their own names."""

    def emit(self, record: logging.LogRecord) -> None:
        def origin(target: Any) -> None:
            target.update(name=record.name, function=record.funcName, line=record.lineno)

        level = record.levelname if record.levelname in _LEVELS else record.levelno
        logger.patch(origin).opt(exception=record.exc_info).log(level, "{}", record.getMessage())


def _is_not_of_a_socket(record: logging.LogRecord) -> bool:
    """Tell whether middleware/tracking.py does not write this line; uvicorn's has the whole address, query and all."""
    return record.levelno > logging.INFO or not ("WebSocket" in record.msg or record.msg.startswith("connection "))


_LEVELS = frozenset({"DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"})


def _take_over(level: str) -> None:
    """Make every logger of the standard library, made already or later, go through loguru once."""
    number = logger.level(level).no
    logging.basicConfig(handlers=[_Intercept()], level=number, force=True)
    for name in list(logging.root.manager.loggerDict):
        library = logging.getLogger(name)
        library.handlers.clear()
        library.propagate = True
    for name in (*_QUIET, *_SERVERS):
        logging.getLogger(name).setLevel(max(number, logging.WARNING))
    logging.getLogger("pypdf").setLevel(logging.ERROR)
    logging.getLogger("uvicorn.access").propagate = False
    logging.getLogger("uvicorn.error").addFilter(_is_not_of_a_socket)
    logging.captureWarnings(True)
