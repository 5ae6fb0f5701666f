"""What the guides show is run as it is printed: each guide's blocks in order, as one script or one program.

The server has an operator, and stands before a simulated Freshdesk; otherwise only the port differs from the print.
"""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from backend.core.graph.registry import GraphRegistry
from backend.simulator.freshdesk import FreshdeskSimulator
from test.forked import start
from test.readme.test_readme import COMMAND_SECONDS, ROOT, START_SECONDS, blocks, stop
from test.server import free_port

GUIDES = ("tenants", "support-desk", "storage")
TRANSLATED = ("tenants", "support-desk")
TOKENS = {"ADMIN_TOKEN": "an-operators-token-for-the-guides", "ACCESS_TOKEN": "a-tenants-token-for-the-guides"}


@dataclass(frozen=True)
class Reader:
    """Somebody who does what a guide says, in a folder of their own."""

    folder: Path
    url: str

    def run(self, command: list[str], text: str) -> str:
        text = text.replace("http://127.0.0.1:8000", self.url)
        result = subprocess.run(
            command, input=text, capture_output=True, text=True, encoding="utf-8", cwd=self.folder, check=False,
            timeout=COMMAND_SECONDS, env={"PATH": os.environ["PATH"], "LANG": "C.UTF-8", **TOKENS},
        )  # fmt: skip
        assert result.returncode == 0, f"{result.stdout}\n{result.stderr}"
        return result.stdout


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    folder, port = tmp_path_factory.mktemp("guides"), free_port()
    with FreshdeskSimulator(plan="unlimited") as freshdesk:
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "LANG": "C.UTF-8",
            "PYTHONPATH": str(ROOT),
            "DATA_DIR": str(folder / "data"),
            "PORT": str(port),
            "AUTH_MODE": "token",
            **TOKENS,
            "FRESHDESK_URL": freshdesk.root_url,
            "SAMPLE_CORPUS": "false",
        }
        log = folder / "log"
        with log.open("wb") as output:
            process = start("backend.main", cwd=folder, env=environment, stdout=output, stderr=output)
        url, until = f"http://127.0.0.1:{port}", time.monotonic() + START_SECONDS
        try:
            while True:
                try:
                    if httpx.get(f"{url}/health/ready", timeout=30).status_code == 200:
                        break
                except httpx.TransportError:
                    pass
                assert process.poll() is None, log.read_text("utf-8")[-2000:]
                assert time.monotonic() < until, log.read_text("utf-8")[-2000:]
                time.sleep(0.05)
            yield Reader(folder, url)
        finally:
            stop(process)


@pytest.mark.parametrize("guide", [name for name in GUIDES if blocks(f"docs/{name}.md", "sh")])
def test_every_command_of_a_guide_is_answered(reader: Reader, guide: str) -> None:
    if shutil.which("curl") is None:
        pytest.skip("there is no curl here")
    script = "\n".join(blocks(f"docs/{guide}.md", "sh"))
    reader.run(
        ["bash", "-e", "-o", "pipefail", "-s"], f'curl() {{ command curl -sS --fail-with-body "$@"; }}\n{script}'
    )


@pytest.mark.parametrize("guide", [name for name in GUIDES if blocks(f"docs/{name}.md", "python")])
def test_every_program_of_a_guide_comes_to_its_end(reader: Reader, guide: str) -> None:
    program = "\n".join(blocks(f"docs/{guide}.md", "python"))
    said = reader.run([sys.executable, "-W", "error", "-"], program)
    if guide == "support-desk":
        assert "The draft:" in said
        assert "Kept: edit" in said


@pytest.mark.parametrize("guide", TRANSLATED)
def test_a_guide_shows_the_same_in_both_languages(guide: str) -> None:
    for tongue in ("sh", "python", ""):
        assert blocks(f"docs/{guide}.ko.md", tongue) == blocks(f"docs/{guide}.md", tongue)


async def test_the_node_of_the_docs_finds_its_place_in_copilot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    [code] = [code for code in blocks("docs/extending.md", "python") if 'AGENT = "copilot"' in code]
    file = tmp_path / code.partition("\n")[0].removeprefix("# ")
    file.parent.mkdir()
    file.write_text(code, "utf-8")
    registry = GraphRegistry(file.parent)
    await registry.open()
    drawn = registry.get("copilot").get_graph()
    assert [edge.target for edge in drawn.edges if edge.source == file.stem] == ["draft"]
