"""Commands where no server runs: they do the work themselves, and leave the folder as a server would."""

import signal
import sqlite3
import subprocess
from contextlib import closing

import pytest

from test.cli.conftest import HANDBOOK, Terminal, ended, until

pytestmark = pytest.mark.timeout(120)  # each command is a process that opens the whole server


def test_ask_docs_answers_from_the_folder_as_it_is_now(terminal: Terminal) -> None:
    handbook = terminal.write(HANDBOOK)
    first = terminal.run("ask", "직원의 연차 휴가는 며칠인가요?", "--docs", "handbook")
    assert first.code == 0, first.err
    assert "15일" in first.out
    assert "[1] 휴가 규정 › 연차 휴가" in first.out
    assert "2/2" in first.err
    assert not (terminal.folder / "data" / "sqlite-data").exists()  # the server's own documents are not touched
    (handbook / "휴가.md").unlink()
    second = terminal.run("ask", "직원의 연차 휴가는 며칠인가요?", "--docs", "handbook")
    assert second.code == 3, second.out


def test_what_is_taken_in_without_a_server_is_there_for_the_next_command(terminal: Terminal) -> None:
    terminal.write(HANDBOOK)
    taken = terminal.run("ingest", "handbook")
    assert taken.code == 0, taken.err
    assert taken.out.splitlines()[-1] == "2 files: 2 added; 2 passages."
    asked = terminal.start("ask", "When are train tickets refunded?")
    until(lambda: (terminal.folder / "data/.daedap").read_text() != "", "the folder's owner")
    other = terminal.run("ask", "When are train tickets refunded?")
    answer = ended(asked)
    assert (answer.code, "within 30 days" in answer.out) == (0, True)
    assert other.code in {0, 1}  # it may have come when the first was through
    if other.code:
        assert "at work in data; try again when it has ended." in other.err


def test_ctrl_c_stops_a_command_that_works_itself(terminal: Terminal) -> None:
    terminal.write({f"{number}.md": f"# Rule {number}\n\n{'It holds for all. ' * 60}" for number in range(300)}, "many")
    command = terminal.start("ingest", "many", stderr=subprocess.STDOUT)
    until(lambda: job(terminal) == "running", "the job")
    command.send_signal(signal.SIGINT)
    result = ended(command)
    assert (result.code, result.out.rstrip().endswith("Stopped.")) == (130, True)
    assert job(terminal) == "cancelled"


def job(terminal: Terminal) -> str | None:
    """How the one ingestion stands."""
    file = terminal.folder / "data/sqlite-data/daedap/sqlite.db"
    try:
        with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as database:
            found = database.execute("SELECT status FROM jobs").fetchone()
    except sqlite3.OperationalError:  # it is being made
        return None
    return found[0] if found else None


def test_a_wrong_setting_is_named_and_no_command_begins(terminal: Terminal) -> None:
    terminal.variables |= {"HOST": "0.0.0.0", "PORT": "high"}
    results = [terminal.run("serve"), terminal.run("ask", "Hello")]
    for result in results:
        assert result.code == 2
        assert "PORT: " in result.err
        assert "Traceback" not in result.err
    assert not (terminal.folder / "data").exists()
