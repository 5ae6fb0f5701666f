"""`daedap demo freshdesk`: the real command, from nothing to the private note (000-22).

The times are a sanity limit on a busy machine, not what a person waits.
"""

import os
import pty
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from test.cli.conftest import Terminal, until

SECONDS = 240.0
HAN = re.compile(r"[가-힣]")


def shown(terminal: Terminal, *options: str) -> tuple[int, str, str]:
    process = terminal.start("demo", "freshdesk", *options)
    try:
        out, err = process.communicate(timeout=SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    return process.returncode, out, err


@contextmanager
def showing(
    terminal: Terminal, *options: str, stdin: int = subprocess.DEVNULL
) -> Iterator["tuple[subprocess.Popen[str], Path, Path]"]:
    """Begin a demo whose outputs go to files."""
    out, err = terminal.folder / "out", terminal.folder / "err"
    with out.open("w") as said, err.open("w") as told:
        process = terminal.start("demo", "freshdesk", *options, stdin=stdin, stdout=said, stderr=told)
        try:
            yield process, out, err
        finally:
            process.kill()
            process.wait()


def wait_for(path: Path, text: str, process: "subprocess.Popen[str]") -> None:
    deadline = time.monotonic() + SECONDS
    while text not in path.read_text("utf-8"):
        assert process.poll() is None, path.read_text("utf-8")
        assert time.monotonic() < deadline, path.read_text("utf-8")
        time.sleep(0.1)


def server_of(err: str) -> str:
    return re.findall(r"http://127\.0\.0\.1:\d+(?![\d/])", err)[0]


def is_gone(url: str) -> bool:
    try:
        httpx.get(f"{url}/health", timeout=2, trust_env=False)
    except httpx.TransportError:
        return True
    return False


def temporary(terminal: Terminal) -> Path:
    folder = terminal.folder / "tmp"
    folder.mkdir()
    terminal.variables["TMPDIR"] = str(folder)
    return folder


def test_a_draft_with_sources_is_accepted_and_its_note_is_in_freshdesk(terminal: Terminal) -> None:
    folder = temporary(terminal)
    # Settings of the machine are not the demo's.
    terminal.variables |= {"DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none", "AUTH_MODE": "token"}
    began = time.monotonic()
    code, out, err = shown(terminal, "--yes")
    assert code == 0, err
    assert time.monotonic() - began < SECONDS
    for heading in ("티켓 통계", "최근 티켓", "요약", "비슷한 티켓", "초안", "출처", "고객에게 보낼 답변"):
        assert f"\n{heading}\n" in out
    draft = out.split("\n초안\n")[1].split("\n출처\n")[0]
    cited = set(re.findall(r"\[(\d)\]", draft))
    sources = set(re.findall(r"^ \[(\d)\] ", out.split("\n출처\n")[1], re.MULTILINE))
    assert HAN.search(draft)
    assert cited
    assert cited == sources
    reply = out.split("\n고객에게 보낼 답변\n")[1].split("╭")[0].split()
    note = re.sub(r"[│╰─╯]", " ", out.split("Freshdesk에 남은 비공개 메모")[1].partition("╮")[2]).split()
    assert note == reply
    assert is_gone(server_of(err))
    assert list(folder.iterdir()) == []


def test_what_cannot_go_on_is_an_exit_code_and_a_kept_folder_is_used_again(terminal: Terminal) -> None:
    code, _, err = shown(terminal, "--ticket", "99999999", "--data", "kept")
    assert code == 1
    assert "99999999" in err.strip().splitlines()[-1]
    assert "Traceback" not in err
    code, out, err = shown(terminal, "--lang", "en", "--data", "kept")
    assert code == 4, err
    assert "Ticket #" in out
    assert "run this at a terminal, or use --yes" in err
    assert (terminal.folder / "kept").is_dir()
    assert is_gone(server_of(err))


def test_a_person_edits_the_draft_and_a_server_that_is_kept_answers_until_ctrl_c(terminal: Terminal) -> None:
    folder = temporary(terminal)
    master, slave = pty.openpty()
    try:
        with showing(terminal, "--lang", "en", "--keep", stdin=slave) as (process, out, err):
            wait_for(err, "[a]ccept", process)
            os.write(master, b"e\nAnother reply, by hand.\n.\n")
            wait_for(out, "curl -u", process)
            url = server_of(err.read_text("utf-8"))
            said = out.read_text("utf-8")
            assert "Another reply, by hand." in said.split("The private note in Freshdesk")[1]
            assert f"curl {url}/api/v1/tickets/statistics" in said
            assert httpx.get(f"{url}/api/v1/tickets/statistics", trust_env=False).json()["total"] > 300
            process.send_signal(signal.SIGINT)
            assert process.wait(60) == 0
    finally:
        os.close(master)
        os.close(slave)
    assert is_gone(url)
    assert list(folder.iterdir()) == []


def test_ctrl_c_in_the_middle_leaves_nothing(terminal: Terminal) -> None:
    for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 130)):
        terminal.variables.pop("TMPDIR", None)
        folder = terminal.folder / f"tmp-{code}-{number}"
        folder.mkdir()
        terminal.variables["TMPDIR"] = str(folder)
        with showing(terminal, "--yes") as (process, _, err):
            wait_for(err, "서버가 준비되었습니다", process)
            url = server_of(err.read_text("utf-8"))
            process.send_signal(number)
            assert process.wait(60) == code
        assert "Traceback" not in err.read_text("utf-8")
        assert is_gone(url)
        assert list(folder.iterdir()) == []


def test_a_demo_that_is_killed_takes_its_server_with_it(terminal: Terminal) -> None:
    temporary(terminal)
    with showing(terminal, "--yes") as (process, _, err):
        wait_for(err, "서버가 준비되었습니다", process)
        url = server_of(err.read_text("utf-8"))
        process.kill()
        process.wait()
    until(lambda: is_gone(url), "the end of the server")
