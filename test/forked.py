"""Programs of ours as processes that are quick to start: forked from one that has imported them already.

Most of what a `python -m backend.main` does until it serves is to import: seconds of a processor, for each of some
hundred servers. Here one process of the test session imports once; each program is then a fork of it, with a folder,
an environment and outputs of its own, that runs the module as `python -m` does. It is a process like any other: it has
its own data, is signalled, killed and waited for. What depends on how a process *begins* (the arguments of the
interpreter, `PYTHON…` variables) is tested with a real command.

Run as a program (`python -m test.forked SOCKET`), it is the process that is forked from.
"""

import atexit
import functools
import gc
import json
import os
import runpy
import select
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from threading import Lock
from typing import Any, NoReturn, Protocol

ROOT = Path(__file__).parents[1]
MODULES = ("backend.main", "chromadb.api.client", "chromadb.telemetry.product", "langchain_openai", "backend.cli.app")
"""What the programs import, at once or before they are of use."""
_MESSAGE = 1024 * 1024
_NUMBER = struct.Struct("i")


class Program(Protocol):
    """A running program: what is used of `subprocess.Popen`."""

    @property
    def pid(self) -> int: ...

    @property
    def returncode(self) -> int | None: ...

    def poll(self) -> int | None:
        """Return the exit code once there is one; that of a signal is negative."""

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit code when there is one."""

    def send_signal(self, number: int, /) -> None: ...

    def kill(self) -> None: ...


class _Fork:
    """One that is forked."""

    def __init__(self, state: socket.socket) -> None:
        self._state = state
        self.returncode: int | None = None
        self.pid: int = self._next()

    def _next(self) -> int:
        told = self._state.recv(_NUMBER.size)
        if not told:
            raise RuntimeError("The process that programs are forked from has ended.")
        number: int = _NUMBER.unpack(told)[0]
        return number

    def poll(self) -> int | None:
        return self._look(0)

    def wait(self, timeout: float | None = None) -> int:
        code = self._look(timeout)
        if code is None:
            raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0)
        return code

    def _look(self, timeout: float | None) -> int | None:
        if self.returncode is None and select.select([self._state], [], [], timeout)[0]:
            self.returncode = self._next()
            self._state.close()
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class _Origin:
    """The process that programs are forked from."""

    def __init__(self) -> None:
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "test.forked", str(theirs.fileno())],
                cwd=ROOT,
                # Only a process of one thread is forked whole.
                env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"},
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )
        self._lock = Lock()
        atexit.register(self.close)

    def start(self, order: dict[str, Any], files: tuple[int, int, int]) -> _Fork:
        ours, theirs = socket.socketpair()
        with self._lock, theirs:
            socket.send_fds(self._control, [json.dumps(order).encode()], [*files, theirs.fileno()])
        return _Fork(ours)

    def close(self) -> None:
        self._control.close()
        self._process.wait()


@functools.cache
def _origin() -> _Origin:
    return _Origin()


def start(module: str, *arguments: str, cwd: Path, env: Mapping[str, str], stdout: Any, stderr: Any) -> Program:
    """Run a module as `python -m` does, with the given environment alone and open files for what it writes."""
    assert env["PYTHONPATH"] == str(ROOT), "it has been imported from there"
    if not hasattr(os, "pidfd_open"):  # only Linux tells of the end of a process and of a reader at once
        command = [sys.executable, "-m", module, *arguments]
        return subprocess.Popen(command, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr)
    with open(os.devnull, "rb") as nothing:
        order = {"module": module, "arguments": arguments, "cwd": str(cwd), "env": dict(env)}
        return _origin().start(order, (nothing.fileno(), stdout.fileno(), stderr.fileno()))


def _serve(control: socket.socket) -> dict[str, Any]:
    """Fork for each order; return one in the process that is to carry it out."""
    while True:
        message, files, *_ = socket.recv_fds(control, _MESSAGE, 4)
        if not message:
            sys.exit()
        while _ended():
            pass
        if os.fork() == 0:
            control.close()
            *streams, state = files
            if (program := os.fork()) != 0:
                _watch(program, streams, socket.socket(fileno=state))
            os.close(state)
            for number, stream in enumerate(streams):
                os.dup2(stream, number)
                os.close(stream)
            order: dict[str, Any] = json.loads(message)
            return order
        for file in files:
            os.close(file)


def _ended() -> bool:
    """Take note of one watcher that has ended, if there is one."""
    try:
        return os.waitpid(-1, os.WNOHANG)[0] != 0
    except ChildProcessError:
        return False


def _watch(program: int, streams: list[int], state: socket.socket) -> NoReturn:
    """Tell the id of a program and how it ended; who does not listen any more wants it no longer."""
    for stream in streams:
        os.close(stream)
    ends = os.pidfd_open(program)
    state.sendall(_NUMBER.pack(program))
    if state.fileno() in select.select([ends, state.fileno()], [], [])[0]:
        os.kill(program, signal.SIGKILL)
    code = os.waitstatus_to_exitcode(os.waitpid(program, 0)[1])
    with suppress(OSError):
        state.sendall(_NUMBER.pack(code))
    os._exit(0)


def _become(order: dict[str, Any]) -> None:
    """Be as `python -m` is where it begins."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.chdir(order["cwd"])
    os.environ.clear()
    os.environ.update(order["env"])
    time.tzset()
    sys.argv[:] = [order["module"], *order["arguments"]]
    sys.path[0] = order["cwd"]


def _main() -> None:
    from backend.core.embedding_manager import _load_offline

    for module in MODULES:
        import_module(module)
    _load_offline()
    # The module that is run is made anew, as `__main__`.
    del sys.modules["backend.main"]
    gc.freeze()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a terminal, meant for the tests: they end what they started
    order = _serve(socket.socket(fileno=int(sys.argv[1])))
    _become(order)
    runpy.run_module(order["module"], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    _main()
