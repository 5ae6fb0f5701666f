"""`daedap serve --reload`: the code changes, the runs go on."""

import json
import signal
import sys
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest

from backend.cli.serve import Reloader, changed, stamp
from test.cli.conftest import Terminal, ended, serving, until

SLOW = """
import asyncio
from pathlib import Path

from langchain_core.messages import AIMessage
from langgraph.graph import START, MessagesState, StateGraph

HERE = Path(__file__).parent


async def work(state):
    with (HERE / "begun").open("a") as file:
        file.write("x")
    while not (HERE / "go").exists():
        await asyncio.sleep(0.05)
    return {"messages": [AIMessage("This is version ONE.")], "answer": "This is version ONE."}


graph = StateGraph(MessagesState).add_node(work).add_edge(START, "work")
"""


@pytest.mark.timeout(120)
def test_a_change_of_the_code_loses_no_run_and_no_reader(terminal: Terminal) -> None:
    graphs = terminal.write(
        {"slow.py": SLOW, "langgraph.json": json.dumps({"graphs": {"slow": "./slow.py:graph"}})}, "g"
    )
    begun = graphs / "begun"
    for served in serving(terminal, "--reload", "--config", "g/langgraph.json"):
        command = terminal.start("ask", "How long?", "--agent", "slow")
        until(lambda: begun.exists() and begun.read_text() == "x", "the run")
        (graphs / "slow.py").write_text(SLOW.replace("ONE", "TWO"), "utf-8")
        until(lambda: begun.read_text() == "xx", "the run's second attempt")
        (graphs / "go").touch()
        result = ended(command)
        assert (result.code, result.out) == (0, "This is version TWO.\n"), served.log.read_text()
        (graphs / "go").unlink()
        stopped = terminal.start("ask", "How long?", "--agent", "slow")
        until(lambda: begun.read_text() == "xxx", "another run")
        stopped.send_signal(signal.SIGINT)
        result = ended(stopped)
        assert (result.code, result.out, result.err) == (130, "", "Stopped.\n")
        (graphs / "go").touch()  # what is not stopped would end now
        assert last_run(served.url)["status"] == "interrupted"
        log = served.log.read_text()
        assert "slow.py; starting again" in log
        assert "Traceback" not in log


def last_run(url: str) -> dict[str, Any]:
    with httpx.Client(base_url=f"{url}/api/v1", timeout=60, trust_env=False) as http:
        thread = http.get("/threads").json()["items"][0]["thread_id"]

        def run() -> dict[str, Any]:
            found: dict[str, Any] = http.get(f"/threads/{thread}/runs").json()["items"][0]
            return found

        until(lambda: run()["status"] not in {"pending", "running"}, "the run's end")
        return run()


def test_code_that_cannot_start_waits_for_its_repair(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signal, "signal", lambda *_: None)  # the handlers of the test run stay
    tries, code = tmp_path / "tries.txt", tmp_path / "code.py"
    code.write_text(f"open({str(tries)!r}, 'a').write('x')\nraise SystemExit(3)\n")

    def repair() -> None:
        until(tries.exists, "the first try")
        code.write_text(f"open({str(tries)!r}, 'a').write('y')\n")

    person = threading.Thread(target=repair)
    person.start()
    assert Reloader([sys.executable, str(code)], lambda: stamp([code]), 0).run() == 0
    person.join()
    assert tries.read_text() == "xy"


def test_what_changed_is_found(tmp_path: Path) -> None:
    for name in ("kept.py", "edited.py", "gone.py", "picture.png", ".venv/hidden.py", "__pycache__/made.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("1")
    before = stamp([tmp_path, tmp_path / ".env"])
    assert {Path(name).name for name in before} == {"kept.py", "edited.py", "gone.py"}
    (tmp_path / "edited.py").write_text("longer")
    (tmp_path / "gone.py").unlink()
    (tmp_path / ".env").write_text("PORT=1")
    found = changed(before, stamp([tmp_path, tmp_path / ".env"]))
    assert [Path(name).name for name in found] == [".env", "edited.py", "gone.py"]
