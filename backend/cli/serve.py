"""`daedap serve`, and `--reload`: a parent that starts the server again when what it serves has changed."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path

from loguru import logger

import backend
from backend.cli.terminal import CommandError
from backend.config.setting import Settings, load_settings

LOOK_SECONDS = 0.5
DRAIN_SECONDS = 1.0
"""How long a restart lets runs end; the rest is given back, and the next process goes on with it."""
MARGIN_SECONDS = 10.0
MAX_FILES = 20_000
"""Files that are watched; a folder with more is not one of code."""
_WATCHED = {".py", ".json", ".toml", ".yaml", ".yml"}
_PASSED_OVER = {"__pycache__", "node_modules", "site-packages"}

Stamp = dict[str, tuple[int, int]]
"""Of each file, when it was changed last and its size."""


def serve(*, host: str | None, port: int | None, config: Sequence[Path] | None, reload: bool) -> int:
    """Serve until told to stop; return the exit code.

    Raises:
        SettingError: a setting or an option is wrong.
    """
    given = {"host": host, "port": port, "graph_config": tuple(config or ()) or None}
    options = {name: value for name, value in given.items() if value is not None}
    settings = load_settings(**options)
    for path in config or ():
        if not path.is_file():
            raise CommandError(f"There is no file {path}.")
    if not reload:
        from backend.main import serve as serve_until_stopped

        return serve_until_stopped(settings)
    from backend.config.logging import flush_logging, setup_logging

    setup_logging(settings.model_copy(update={"log_file_path": None}))
    command = [sys.executable, "-m", "backend.cli", "serve"]
    for name, value in (("--host", host), ("--port", port), *(("--config", path) for path in config or ())):
        command += [name, str(value)] if value is not None else []
    try:
        return Reloader(command, lambda: look(settings), settings.drain_seconds).run()
    finally:
        flush_logging()


class Reloader:
    """Keeps a server process running, a new one for each change. Told to stop, it stops the server and ends."""

    def __init__(self, command: list[str], look: Callable[[], Stamp], drain_seconds: float) -> None:
        self._command = command
        self._look = look
        self._drain_seconds = min(drain_seconds, DRAIN_SECONDS)
        self._stopping = False

    def run(self) -> int:
        """Return the exit code of the last process."""
        for name in (signal.SIGINT, signal.SIGTERM):
            signal.signal(name, self._stop)
        code = 0
        while not self._stopping:
            seen = self._look()
            # In a group of its own: Ctrl-C reaches this process alone, which then stops that one, once.
            process = subprocess.Popen(
                self._command, process_group=0, env={**os.environ, "DRAIN_SECONDS": str(self._drain_seconds)}
            )
            code = self._watch(process, seen)
        return code

    def _stop(self, *_: object) -> None:
        self._stopping = True

    def _watch(self, process: subprocess.Popen[bytes], seen: Stamp) -> int:
        """Return the exit code of the process, once it has ended and something has changed or everything ends."""
        said = False
        while not self._stopping:
            time.sleep(LOOK_SECONDS)
            ended = process.poll()
            if ended == 0:
                self._stopping = True  # somebody stopped it in order
                break
            if ended is not None and not said:
                logger.error("the server ended with code {code}; waiting for a change", code=ended)
                said = True
            now = self._look()
            if now != seen:
                logger.info("changed: {files}; starting again", files=", ".join(changed(seen, now)[:5]))
                break
        return self._end(process)

    def _end(self, process: subprocess.Popen[bytes]) -> int:
        if process.poll() is None:
            process.terminate()
        try:
            return process.wait(self._drain_seconds + MARGIN_SECONDS)
        except subprocess.TimeoutExpired:
            logger.warning("the server does not stop; it is killed, and its runs are resumed")
            process.kill()
            return process.wait()


def stamp(roots: list[Path], passed_over: Collection[Path] = ()) -> Stamp:
    """Return the state of the code in folders, and of single files; what is not there is not in it.

    Hidden folders, environments and caches are passed over, and the folders named.
    """
    found: Stamp = {}
    for root in roots:
        for path in _files(root, passed_over) if root.is_dir() else [root]:
            try:
                status = path.stat()
            except OSError:
                continue
            found[str(path)] = status.st_mtime_ns, status.st_size
            if len(found) == MAX_FILES:
                return found
    return found


def changed(before: Stamp, after: Stamp) -> list[str]:
    """Return the files that came, went or changed, in order."""
    return sorted({path for path, _ in before.items() ^ after.items()})


def _files(root: Path, passed_over: Collection[Path]) -> Iterator[Path]:
    for folder, folders, names in os.walk(root):
        if "pyvenv.cfg" in names:  # an environment, whatever its name
            folders.clear()
            continue
        folders[:] = [
            name
            for name in folders
            if not name.startswith(".") and name not in _PASSED_OVER and Path(folder, name) not in passed_over
        ]
        for name in names:
            if os.path.splitext(name)[1] in _WATCHED:
                yield Path(folder, name)


def look(settings: Settings) -> Stamp:
    """Return the state of what the server is made of: its own code, the added nodes, the projects, `.env`.

    What the server itself writes is passed over, or its own work would start it again. The projects are read anew: the
    change may be in what a file names.
    """
    from backend.core.error import InvalidGraph
    from backend.core.graph.project_reader import read_project

    roots = [Path(backend.__file__).parent, settings.extension_dir, Path(".env")]
    for path in (given.absolute() for given in settings.graph_config):
        try:
            project = read_project(path)
        except InvalidGraph:  # being edited; the server says what is wrong with it
            roots.append(path.parent)
            continue
        folders = {folder.parent if folder.name == "src" else folder for folder in project.import_paths}
        roots += sorted(folders | {path.parent})
        roots += [path] + ([project.env_file] if project.env_file is not None else [])
    logs = settings.log_file_path
    written = {settings.data_dir.absolute()} | ({logs.absolute().parent} if logs is not None else set())
    return stamp(roots, written)
