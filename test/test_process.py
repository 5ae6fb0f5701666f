"""What the tests stand on: ports that nobody else gets, and programs that are like those of a command."""

import os
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from test.forked import ROOT, start
from test.server import free_port


def test_a_free_port_is_kept_for_a_server_of_ours() -> None:
    port = free_port()
    with socket.socket() as other, pytest.raises(OSError, match="in use"):
        other.bind(("127.0.0.1", port))
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))
    with socket.create_server(("127.0.0.1", port)), socket.create_connection(("127.0.0.1", port)):
        pass


def test_a_program_has_its_own_folder_environment_and_exit_code(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "import os, sys\nprint(__name__, os.getcwd(), sys.argv[1:], sorted(os.environ), flush=True)\nsys.exit(7)\n"
    )
    (tmp_path / "endless.py").write_text("import time\nprint('here', flush=True)\ntime.sleep(600)\n")
    environment = {"PYTHONPATH": str(ROOT), "ONLY": "this"}
    output = tmp_path / "output"
    with output.open("wb") as file:
        program = start("mine", "a", "b c", cwd=tmp_path, env=environment, stdout=file, stderr=file)
        assert program.wait(60) == program.poll() == 7
        program.kill()  # it has ended: nobody is hit
        endless = start("endless", cwd=tmp_path, env=environment, stdout=file, stderr=file)
        with pytest.raises(subprocess.TimeoutExpired):
            endless.wait(0.1)
        assert endless.poll() is None
        os.kill(endless.pid, 0)
        endless.kill()
        assert endless.wait(60) == -signal.SIGKILL
    first = output.read_text().splitlines()[0]
    assert first == f"__main__ {tmp_path} {['a', 'b c']} {['ONLY', 'PYTHONPATH']}"
