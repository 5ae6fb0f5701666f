"""Uploads that are not what they say, that explode, or that name places they should not."""

import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from test.collector.make_files import docx, make_hostile, pdf
from test.hostile.target import ALICE, UPLOAD_BYTES, Target, refused

UPLOAD = "/api/v1/knowledge/upload"
NAMES = {
    "../../../../etc/cron.d/evil.md": "etc/cron.d/evil.md",
    "..\\..\\windows\\evil.md": "windows/evil.md",
    "/etc/passwd.md": "etc/passwd.md",
    "C:\\evil.md": "evil.md",
    "a/./b//../c.md": "a/b/c.md",
    "\u202egpj.md": "gpj.md",
    "=cmd|' & calc'!A0.md": "=cmd|' & calc'!A0.md",
    "<img src=x onerror=alert(1)>.md": "<img src=x onerror=alert(1)>.md",
    "a" * 3000 + ".md": None,
    "가" * 400 + ".md": None,
}


@pytest.fixture
def alice(target: Target) -> Iterator[httpx.Client]:
    with target.client() as client:
        yield client


def ended(alice: httpx.Client, answer: httpx.Response) -> dict[str, Any]:
    """Return a job when it is over."""
    assert answer.status_code == 202, answer.text
    path = answer.headers["location"]
    stream = alice.get(f"{path}/events").text
    assert stream.count("event: done") == 1, stream
    job: dict[str, Any] = alice.get(path).json()
    return job


def test_each_hostile_file_is_reported_with_its_reason_and_stops_no_other(
    target: Target, alice: httpx.Client, tmp_path: Path
) -> None:
    hostile = make_hostile(tmp_path)
    sent: list[tuple[str, bytes]] = [(path.name, path.read_bytes()) for path, _ in hostile.values()]
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("[Content_Types].xml", "<Types/>")
        packed.writestr("word/document.xml", b"\0" * 300_000_000)
    assert len(bomb.getvalue()) < 1_000_000
    sent += [
        ("bomb.docx", bomb.getvalue()),
        ("encrypted.pdf", pdf(password="secret")),
        ("really-a.pdf", docx()),
        ("really-text.docx", b"hello"),
        ("program.md", b"\x7fELF" + bytes(range(256)) * 50),
        ("nothing.md", b""),
        ("script.sh", b"#!/bin/sh\nrm -rf /\n"),
        ("page.html.exe", b"MZ" + b"\0" * 500),
        ("deep.json", b"[" * 100_000 + b"]" * 100_000),
        ("number.json", b"9" * 100_000),
        ("good.md", "# 제목\n\n좋은 문서다.".encode()),
    ]
    # One name each: the same name twice in one job would be two versions of one document.
    files = [("files", (f"{number}/{name}", content)) for number, (name, content) in enumerate(sent)]
    size = sum(len(content) for _, content in sent)
    assert size < UPLOAD_BYTES, size
    job = ended(alice, alice.post(UPLOAD, files=files))
    assert job["status"] == "success"
    assert job["total"] == job["done"] == len(files)
    outcomes = {report["source"]: report for report in job["reports"]}
    assert len(outcomes) == len(files)
    taken = {source for source, report in outcomes.items() if report["outcome"] != "failed"}
    assert f"{len(files) - 1}/good.md" in taken
    assert len(taken) <= 3, taken  # of the others, only what can honestly be read as text
    for source, report in outcomes.items():
        if source not in taken:
            assert report["code"], report
            assert report["reason"].isascii(), report
            assert any("가" <= letter <= "힣" for letter in report["reason_ko"]), report
            assert "Traceback" not in report["reason"]
            assert "/tmp/" not in report["reason"]


def test_the_name_of_a_file_leads_nowhere(target: Target, alice: httpx.Client, tmp_path: Path) -> None:
    files = [("files", (name, f"# {number}\n\nText {number}.".encode())) for number, name in enumerate(NAMES)]
    job = ended(alice, alice.post(UPLOAD, files=files))
    sources = {report["source"] for report in job["reports"]}
    assert {name for name in NAMES.values() if name} <= sources
    assert all(len(source) <= 1000 for source in sources)
    assert not any(".." in source or source.startswith("/") or "\\" in source for source in sources)
    assert not Path("/etc/cron.d/evil.md").exists()


def multipart(*parts: str, boundary: str = "x", end: str = "--x--\r\n") -> bytes:
    return "".join(f"--{boundary}\r\n{part}\r\n" for part in parts).encode() + end.encode()


PART = 'Content-Disposition: form-data; name="files"; filename="{}"\r\n\r\ntext'
FORMS: dict[str, tuple[str, bytes]] = {
    "no boundary": ("multipart/form-data", multipart(PART.format("a.md"))),
    "a boundary that is not there": ("multipart/form-data; boundary=y", multipart(PART.format("a.md"))),
    "a huge boundary": ("multipart/form-data; boundary=" + "y" * 20_000, multipart(PART.format("a.md"))),
    "no end": ("multipart/form-data; boundary=x", multipart(PART.format("a.md"), end="")),
    "no parts": ("multipart/form-data; boundary=x", b"--x--\r\n"),
    "nothing": ("multipart/form-data; boundary=x", b""),
    "no names": ("multipart/form-data; boundary=x", multipart("Content-Type: text/plain\r\n\r\ntext")),
    "another field": (
        "multipart/form-data; boundary=x",
        multipart('Content-Disposition: form-data; name="file"; filename="a.md"\r\n\r\ntext'),
    ),
    "a field that is no file": (
        "multipart/form-data; boundary=x",
        multipart('Content-Disposition: form-data; name="files"\r\n\r\ntext'),
    ),
    "a part with many headers": (
        "multipart/form-data; boundary=x",
        multipart("".join(f"X-{number}: 1\r\n" for number in range(5000)) + PART.format("a.md")),
    ),
    "2000 files": ("multipart/form-data; boundary=x", multipart(*[PART.format("a.md")] * 2000)),
    "20,000 fields": (
        "multipart/form-data; boundary=x",
        multipart(*['Content-Disposition: form-data; name="a"\r\n\r\nb'] * 20_000),
    ),
    "a field of a megabyte": (
        "multipart/form-data; boundary=x",
        multipart('Content-Disposition: form-data; name="files"\r\n\r\n' + "a" * 2_000_000),
    ),
    "JSON": ("application/json", json.dumps({"files": ["a"]}).encode()),
    "urlencoded": ("application/x-www-form-urlencoded", b"files=" + b";a" * 100_000),
    "another charset": ("multipart/form-data; boundary=x; charset=utf-7", multipart(PART.format("+AC4-/a.md"), end="")),
}


@pytest.mark.parametrize("what", FORMS)
def test_a_form_that_is_none_is_refused(alice: httpx.Client, what: str) -> None:
    kind, body = FORMS[what]
    answer = alice.post(UPLOAD, content=body, headers={"Content-Type": kind})
    refused(answer, 400, 413, 422)


@pytest.mark.parametrize("name", ["a\0.md", "\ud800.md", "\r\n.md", "", ".", "..", "....//....//a.md"])
def test_a_file_without_a_usable_name_is_refused_or_renamed(alice: httpx.Client, name: str) -> None:
    head = b'--x\r\nContent-Disposition: form-data; name="files"; filename="' + name.encode("utf-8", "surrogatepass")
    body = head + b'"\r\nContent-Type: text/markdown\r\n\r\n# A\n\nText.\r\n--x--\r\n'
    answer = alice.post(UPLOAD, content=body, headers={"Content-Type": "multipart/form-data; boundary=x"})
    if answer.status_code == 202:
        (report,) = ended(alice, answer)["reports"]
        assert report["source"]
        assert "\0" not in report["source"]
        assert ".." not in report["source"].split("/")
    else:
        refused(answer, 400, 422)


def test_an_upload_beyond_the_limit_is_refused_with_and_without_a_length(target: Target, alice: httpx.Client) -> None:
    def endless() -> Iterator[bytes]:
        yield multipart(PART.format("big.md"), end="")[:-6]
        for _ in range(UPLOAD_BYTES // 65536 + 4):
            yield b"a" * 65536

    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    refused(alice.post(UPLOAD, content=endless(), headers=headers), 413)
    refused(alice.post(UPLOAD, files=[("files", ("big.md", b"a" * (UPLOAD_BYTES + 1)))]), 413)
    told = f"Content-Type: multipart/form-data; boundary=x\r\nContent-Length: {UPLOAD_BYTES * 1000}"
    head = f"POST {UPLOAD} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {ALICE}\r\n{told}\r\n\r\n"
    assert target.raw(head.encode(), wait=3).startswith(b"HTTP/1.1 413")


def test_a_sender_who_stops_in_the_middle_leaves_no_job(target: Target, alice: httpx.Client) -> None:
    before = alice.get("/api/v1/knowledge/jobs").json()["items"]
    body = multipart(PART.format("half.md"), end="")
    head = f"POST {UPLOAD} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {ALICE}\r\n"
    head += "Content-Type: multipart/form-data; boundary=x\r\nContent-Length: 500000\r\n\r\n"
    for _ in range(5):
        target.raw(head.encode() + body, wait=1)
    assert [job["job_id"] for job in alice.get("/api/v1/knowledge/jobs").json()["items"]] == [
        job["job_id"] for job in before
    ]
