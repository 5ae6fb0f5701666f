"""The official JavaScript clients: the SDK, and both generations of its hook for React, in plain node.

`js/check.mjs` makes the checks; here each of them is a test. The packages come from the registry, by the
lock file and once: later runs find their folder again.
"""

import os
import re
import shutil
import subprocess
import tempfile
from hashlib import sha256
from pathlib import Path

import orjson
import pytest

FOLDER = Path(__file__).parent / "js"
SCRIPT = FOLDER / "check.mjs"
NAMES = re.findall(r'^  async (?:"([^"]+)"|(\w+))\(\) \{$', SCRIPT.read_text(), re.MULTILINE)
INSTALL_SECONDS = 240
RUN_SECONDS = 240

pytestmark = pytest.mark.timeout(INSTALL_SECONDS + RUN_SECONDS)


def _packages() -> Path:
    """Return the folder of the packages, installed if they are not."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("npm is not there to install the JavaScript client")
    lock = (FOLDER / "package-lock.json").read_bytes()
    cached = Path(tempfile.gettempdir()) / f"daedap-js-{os.getuid()}-{sha256(lock).hexdigest()[:16]}"
    if not cached.exists():
        made = Path(tempfile.mkdtemp(prefix="daedap-js-"))
        for name in ("package.json", "package-lock.json"):
            shutil.copy(FOLDER / name, made)
        command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        done = subprocess.run(command, cwd=made, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False)
        if done.returncode:
            shutil.rmtree(made)
            pytest.skip(f"the JavaScript client cannot be installed: {done.stderr[-300:]}")
        try:
            made.rename(cached)
        except OSError:  # another worker was quicker
            shutil.rmtree(made)
    return cached / "node_modules"


@pytest.fixture(scope="module")
def results(agent_url: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str | None]:
    """What went wrong in each check; None where nothing did."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not there to run the JavaScript client")
    folder = tmp_path_factory.mktemp("js")
    (folder / "node_modules").symlink_to(_packages())
    shutil.copy(SCRIPT, folder)
    (folder / "gate").mkdir()
    done = subprocess.run(
        [node, "check.mjs", agent_url, "gate"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=RUN_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    lines = [orjson.loads(line) for line in done.stdout.splitlines() if line.startswith('{"name"')]
    return {line["name"]: line.get("error") for line in lines}


@pytest.mark.parametrize("name", [quoted or plain for quoted, plain in NAMES])
def test_the_javascript_client(results: dict[str, str | None], name: str):
    assert name in results
    assert results[name] is None, results[name]
