"""What a support desk, its customers and whoever asks for it can send that nobody should."""

import io
import time
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import httpx
import pytest

from backend.simulator.freshdesk import Account, FreshdeskSimulator
from backend.simulator.freshdesk.fault import FaultKind
from test.hostile.conftest import SECRET
from test.hostile.target import MALLORY, UPLOAD_BYTES, Target, refused
from test.hostile.world import FIRST_TICKET, KEYS, MALLORY_DESK, Desk, ended, until

INJECTIONS = (
    "' OR '1'='1",
    "'; DROP TABLE tickets; --",
    "1) OR (SELECT 1 FROM tickets)--",
    "%",
    "_" * 12,
    "\\",
    "$.a[*]",
    '"]} || true',
    "$[?(@.a)]",
    "{$ne: null}",
    "zanz*",
    '" OR "a"*',
    "NEAR(a b)",
    "\x1f",
    "a\x00b",
    "\ud7ff\uffff",
    "9" * 400,
    "-1",
    "1e400",
    "9999-12-31T23:59:59.999999+23:59",
    "x" * 900,
)
LISTS = (
    "/api/v1/tickets",
    "/api/v1/tickets/export",
    "/api/v1/tickets/statistics",
    "/api/v1/conversations",
    "/api/v1/articles",
    "/api/v1/objects",
    "/api/v1/attachments",
    "/api/v1/feedback",
    "/api/v1/files",
    "/api/v1/graph/entities",
    "/api/v1/graph/neighbours",
    "/api/v1/users",
    "/api/v1/api-keys",
    "/api/v1/audit",
    "/api/v1/request-log",
    "/api/v1/usage",
    "/api/v1/usage/me",
    "/api/v1/sync/jobs",
    "/setup/installations",
)


@pytest.fixture
def alice(target: Target, alices_desk: Desk) -> Iterator[httpx.Client]:
    with target.client() as client:
        yield client


@pytest.fixture
def mallory(target: Target) -> Iterator[httpx.Client]:
    with target.client(MALLORY) as client:
        yield client


@pytest.fixture(scope="module")
def parameters(attacked_server: Target) -> dict[str, list[str]]:
    """The names of what each list can be asked for."""
    with attacked_server.client() as client:
        paths = client.get("/openapi.json").json()["paths"]
    return {
        path: [one["name"] for one in paths[path]["get"].get("parameters", []) if one["in"] == "query"]
        for path in LISTS
    }


# Filters and cursors.


@pytest.mark.parametrize("path", LISTS)
def test_no_filter_or_cursor_says_anything_to_the_database(
    mallory: httpx.Client, alices_desk: Desk, parameters: dict[str, list[str]], path: str
) -> None:
    """(A4) Whatever stands in a parameter: a plain answer about one's own, or a refusal."""
    needed = {"label": "topic", "key": "x"} if path.endswith("neighbours") else {}
    for name in parameters[path]:
        for value in INJECTIONS:
            answer = mallory.get(path, params={**needed, name: value})
            assert answer.status_code in {200, 400, 403, 404, 422}, (name, value, answer.text)
            assert SECRET not in answer.text
            if answer.status_code != 200:
                refused(answer, answer.status_code)


def test_wildcards_of_like_are_letters(alice: httpx.Client) -> None:
    for text in ("%", "_", "\\", "*", "' OR ''='"):
        assert alice.get("/api/v1/tickets", params={"text": text}).json()["total"] == 0
        assert alice.get("/api/v1/tickets", params={"tag": text}).json()["total"] == 0
        assert alice.get("/api/v1/graph/entities", params={"text": text}).json()["items"] == []
    assert alice.get("/api/v1/tickets", params={"text": "PRINTER"}).json()["total"] >= 3


def test_every_list_has_a_limit(alice: httpx.Client, parameters: dict[str, list[str]]) -> None:
    for path in LISTS:
        for name in {"limit", "depth"} & set(parameters[path]):
            for value in ("0", "-1", "100000", "9" * 30):
                refused(alice.get(path, params={"label": "topic", "key": "x", name: value}), 422)


@pytest.mark.parametrize("ticket", ["%00", "..", "%2e%2e%2f", "a" * 5000, "'--", "%F0%9F%98%80", "export%2f", "%ff"])
def test_strange_ids_of_tickets_are_not_found(mallory: httpx.Client, ticket: str) -> None:
    for tail in ("", "/conversations", "/similar", "/summary"):
        answer = mallory.get(f"/api/v1/tickets/{ticket}{tail}")
        if answer.status_code not in {200, 307}:  # 307: it ends in a slash
            refused(answer, 404, 405, 422)
        assert SECRET not in answer.text


# Files.

OUTSIDE = (
    "../../../../etc/passwd",
    "a/../../default/files/plan-790.txt",
    "..\\..\\windows\\system32",
    "/etc/passwd",
    "//etc/passwd",
    "a\x00.txt",
    "a/./b",
    "a//b",
    ".incoming/x",
    "~/x",
    "C:\\x",
    "a\nb",
    "\u202etxt.exe",
    "x" * 300,
    "/".join("x" * 200 for _ in range(5)),
    "\ufeff",
    " ",
    ".",
    "..",
    "con\u0000",
    "a\ud7ff\uffff",
)


@pytest.mark.parametrize("path", OUTSIDE)
def test_no_path_leads_out_of_a_tenants_files(mallory: httpx.Client, alices_desk: Desk, path: str) -> None:
    """A path is refused, or is a file of one's own that comes back as it was sent."""
    address = f"/api/v1/files/{quote(path, safe='')}"
    mark = uuid4().hex.encode()
    for put in (
        lambda: mallory.put(address, content=mark),
        lambda: mallory.post("/api/v1/files", files={"file": ("x", mark)}, data={"path": path}),
        lambda: mallory.post("/api/v1/files", files={"file": (path, mark)}),
    ):
        answer = put()
        if answer.status_code in {200, 201}:
            kept = answer.json()["path"]
            back = mallory.get(f"/api/v1/files/{quote(kept, safe='')}")
            assert back.content == mark
            assert back.headers["content-disposition"].startswith("attachment")
            assert mallory.delete(f"/api/v1/files/{quote(kept, safe='')}").status_code == 204
        else:
            refused(answer, 400, 404, 405, 409, 422)
    assert b"root:" not in mallory.get(address).content
    assert SECRET not in mallory.get(address).text


def test_a_file_is_never_a_page(mallory: httpx.Client) -> None:
    for name, kind, content in (
        ("x.html", "text/html", b"<script>alert(1)</script>"),
        ("x.svg", "image/svg+xml", b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>"),
        ("x.txt", "text/html; charset=utf-7", b"+ADw-script+AD4-"),
        ('x"; filename="y.html', "a/b\r\nX-Evil: 1", b"x"),
    ):
        address = f"/api/v1/files/{quote(name, safe='')}"
        sent = mallory.put(address, content=content, headers={"Content-Type": kind.replace("\r\n", " ")})
        assert sent.status_code == 201, sent.text
        back = mallory.get(address)
        assert back.headers["x-content-type-options"] == "nosniff"
        assert "sandbox" in back.headers["content-security-policy"]
        assert back.headers["content-disposition"].startswith("attachment;")
        assert "x-evil" not in back.headers
        assert mallory.delete(address).status_code == 204


def test_ranges_are_one_part_or_the_whole(mallory: httpx.Client) -> None:
    assert mallory.put("/api/v1/files/r.bin", content=b"0123456789").status_code == 201
    many = "bytes=" + ",".join("0-" for _ in range(300))
    for asked, status, got in (
        ("bytes=2-4", 206, b"234"),
        ("bytes=-3", 206, b"789"),
        ("bytes=9-99999999999999999", 206, b"9"),
        ("bytes=10-", 416, None),
        ("bytes=-0", 416, None),
        ("bytes=" + "9" * 5000 + "-", 200, b"0123456789"),
        ("bytes=4-2", 200, b"0123456789"),
        (many, 200, b"0123456789"),
        ("lines=1-2", 200, b"0123456789"),
    ):
        answer = mallory.get("/api/v1/files/r.bin", headers={"Range": asked})
        assert answer.status_code == status, asked
        assert got is None or answer.content == got
    assert mallory.delete("/api/v1/files/r.bin").status_code == 204


def test_many_large_uploads_at_once_do_not_fill_the_memory(target: Target) -> None:
    """A file goes through the server in blocks, however many there are."""
    size = UPLOAD_BYTES // 2

    def blocks() -> Iterator[bytes]:
        for _ in range(size // 65_536):
            yield b"x" * 65_536

    def put(number: int) -> int:
        with target.client(MALLORY) as client:
            return client.put(f"/api/v1/files/large/{number}.bin", content=blocks()).status_code

    before = _memory(target)
    with ThreadPoolExecutor(20) as pool:
        statuses = set(pool.map(put, range(60)))
    assert statuses == {201}
    assert _memory(target) - before < 100 * 1024 * 1024  # all of them have 120 MiB
    with target.client(MALLORY) as client:
        for number in range(60):
            assert client.delete(f"/api/v1/files/large/{number}.bin").status_code == 204


def _memory(target: Target) -> int:
    with open(f"/proc/{target.process.pid}/statm") as file:
        return int(file.read().split()[1]) * 4096


# Exports.


def test_no_cell_of_an_export_is_a_formula(mallory: httpx.Client) -> None:
    bad = ("=cmd|' /C calc'!A0", "+1+1", "-2+3", "@SUM(A1)", "\t=1", " =1", "＝1", '"=1', "a\r\n=1", "%0A=1")
    tickets = [{"ticket_id": f"csv-{n}", "title": title, "tags": [title]} for n, title in enumerate(bad)]
    assert mallory.post("/api/v1/tickets", json={"tickets": tickets}).status_code == 201
    try:
        import csv

        table = mallory.get("/api/v1/tickets/export", params={"format": "csv"}).text.removeprefix("\ufeff")
        rows = list(csv.reader(io.StringIO(table)))
        assert len(rows) == 1 + len(bad)
        for row in rows:
            assert not [cell for cell in row if cell.lstrip(" ")[:1] in tuple("=+-@\t\r＝＋－＠") and cell]
    finally:
        for ticket in tickets:
            assert mallory.delete(f"/api/v1/tickets/{ticket['ticket_id']}").status_code == 204


# Webhooks.


def test_a_webhook_is_refused_or_heard_at_once_whatever_stands_in_it(target: Target, alices_desk: Desk) -> None:
    """Also by who knows the secret: no body keeps the server busy or is believed."""
    right = {"X-Webhook-Secret": alices_desk.webhook_secret}
    bodies: dict[bytes, set[int]] = {
        b"": {422},
        b"\xff\xfe\x00": {422},
        b"[" * 60_000: {422},
        b'{"ticket_id": 1e999}': {422},
        b'{"ticket_id": -1}': {422},
        b'{"ticket_id": "1; DROP TABLE tickets"}': {422},
        b'{"ticket_id": ' + b"9" * 60_000 + b"}": {422},
        b"<x><ticket_id>" + b" " * 60_000 + b"x": {422},
        b"<x><ticket_id>1" + b" " * 60_000 + b"x": {422},
        b"<!DOCTYPE x [<!ENTITY e SYSTEM 'file:///etc/passwd'>]><ticket_id>&e;</ticket_id>": {422},
        b"&".join(b"a=1" for _ in range(15_000)): {422},
        b'{"ticket_id": 1}' + b" " * 70_000: {413},
        b'{"ticket_id": 999999999999}': {202},  # nobody's: it is read again, and not found
    }
    with target.client(None, address=target.stranger()) as desk:
        for body, statuses in bodies.items():
            began = time.monotonic()
            answer = desk.post("/setup/freshdesk/webhook/default", content=body, headers=right)
            assert answer.status_code in statuses, (body[:60], answer.text)
            assert time.monotonic() - began < 15, body[:60]
        dated = {"freshdesk_webhook": {"ticket_id": FIRST_TICKET, "ticket_updated_at": "2026-05-01T09:00:00Z"}}
        said = [desk.post("/setup/freshdesk/webhook/default", json=dated, headers=right).json() for _ in range(3)]
        assert [one["status"] for one in said] == ["accepted", "duplicate", "duplicate"]
        for secret in ("", "x" * 5000, alices_desk.webhook_secret[:-1], alices_desk.webhook_secret + "x"):
            refused(
                desk.post("/setup/freshdesk/webhook/default", json=dated, headers={"X-Webhook-Secret": secret}), 401
            )
        address = f"/setup/freshdesk/webhook/default?secret={alices_desk.webhook_secret}"
        refused(desk.post(address, json=dated), 401)


# Installing.


@pytest.mark.parametrize(
    "domain",
    [
        f"{MALLORY_DESK}.freshdesk.com.evil.tld",
        f"evil.tld/{MALLORY_DESK}.freshdesk.com",
        f"evil.tld#{MALLORY_DESK}.freshdesk.com",
        f"user:pass@{MALLORY_DESK}.freshdesk.com",
        "http://127.0.0.1:22",
        "169.254.169.254",
        "[::1]",
        "..",
        "a..b",
        "xn--",
        "аlice-desk",  # its first letter is Cyrillic
        "a" * 2048,
        "alice-desk\r\nHost: evil.tld",
        "alice-desk.freshdesk.com:8080",
        "file:///etc/passwd",
    ],
)
def test_a_foreign_domain_is_refused(
    target: Target, mallory: httpx.Client, freshdesk: FreshdeskSimulator, domain: str
) -> None:
    before = freshdesk.application.count
    for path in ("/setup/test-freshdesk-connection", "/setup/install"):
        refused(mallory.post(path, json={"domain": domain, "api_key": KEYS[MALLORY_DESK]}), 422)
    assert freshdesk.application.count == before


@pytest.mark.parametrize("domain", ["localhost", "0x7f000001", "2130706433"])
def test_what_looks_like_a_host_is_the_name_of_an_account(mallory: httpx.Client, domain: str) -> None:
    body = {"domain": domain, "api_key": KEYS[MALLORY_DESK]}
    assert refused(mallory.post("/setup/install", json=body), 400)["type"] == "/problems/key-refused"


@pytest.mark.parametrize(
    ("fault", "status"),
    [("html_200", 502), ("malformed_items", 502)],
)
def test_a_desk_that_answers_nonsense_is_no_failure_of_ours(
    mallory: httpx.Client, freshdesk: FreshdeskSimulator, fault: FaultKind, status: int
) -> None:
    freshdesk.faults.add(fault, times=None)
    try:
        body = {"domain": MALLORY_DESK, "api_key": KEYS[MALLORY_DESK]}
        refused(mallory.post("/setup/test-freshdesk-connection", json=body), status)
    finally:
        freshdesk.faults.clear()


# What customers write.


def test_a_desk_full_of_traps_is_collected_all_the_same(
    target: Target, mallory: httpx.Client, freshdesk: FreshdeskSimulator
) -> None:
    """10 MB descriptions, bombs, broken files and strange names: each is cut, refused or kept as a plain file."""
    account = freshdesk.application.accounts[MALLORY_DESK]
    number = 1000
    texts = {
        "huge": "<p>" + "blue printer " * 800_000 + "</p>",
        "deep": "<div>" * 50_000 + "deep printer" + "</div>" * 50_000,
        "unclosed": "<p <a <b " * 20_000,
        "script": "<script>alert(1)</script><img src=x onerror=alert(1)><p>script printer</p>",
        "nul": "nul \x00 printer \ud800",
        "empty": "",
        "entities": "&amp;" * 100_000,
        "quotes": "> " * 100_000,
        "placeholders": "[EMAIL_1] [PHONE_1] [NAME_1] {{ticket}} ${7*7} %(x)s",
    }
    names = ("../../etc/passwd", "a\x00b.txt", "x" * 500 + ".txt", "\u202ecod.exe", "a/b\\c", "", "=1+1.csv", ".")
    files = [account.new_file(name, "text/plain", b"A printer.") for name in names]
    files += [
        account.new_file("bomb.docx", "application/zip", _bomb()),
        account.new_file("broken.pdf", "application/pdf", b"%PDF-1.7\n" + b"\xff" * 5000),
        account.new_file("gone.txt", "text/plain", None),
        account.new_file("liar.txt", "text/plain", b"short", size=10**12),
    ]
    try:
        for at, text in enumerate(texts.values()):
            _add(account, number + at, text, files if at == 0 else [])
        began = time.monotonic()
        before = _memory(target)
        installed = mallory.post("/setup/install", json={"domain": MALLORY_DESK, "api_key": KEYS[MALLORY_DESK]})
        assert installed.status_code == 200, installed.text
        job = ended(mallory, installed.json()["job_id"])
        assert job["status"] == "success", job
        assert _memory(target) - before < 400 * 1024 * 1024
        until(mallory, "/api/v1/tickets/statistics", lambda counts: not counts["unprocessed"])
        assert time.monotonic() - began < 25
        found = mallory.get("/api/v1/tickets", params={"platform": "freshdesk", "limit": 100}).json()
        assert found["total"] == len(texts)
        assert len(mallory.get(f"/api/v1/tickets/{number}").content) < 5_000_000
        for at in range(len(texts)):
            answer = mallory.get(f"/api/v1/tickets/{number + at}/summary", params={"model": "extractive"})
            assert answer.status_code == 200, answer.text
            assert mallory.get(f"/api/v1/tickets/{number + at}/similar").status_code == 200
        kept = mallory.get("/api/v1/attachments", params={"limit": 100}).json()["items"]
        assert len(kept) == len(files)
        for one in kept:
            answer = mallory.get(f"/api/v1/attachments/{one['id']}/content")
            if one["status"] == "stored":
                assert answer.status_code == 200
                assert answer.headers["content-disposition"].startswith("attachment")
            else:
                refused(answer, 404)
                assert one["reason"]
    finally:
        assert mallory.delete("/setup/freshdesk", params={"purge": True}).status_code == 204
    assert mallory.get("/api/v1/attachments").json()["total"] == 0


def _add(account: Account, number: int, text: str, files: list[Any]) -> None:
    account.add_ticket(
        "The printer", text.encode("utf-8", "replace").decode(), requester_id=21, id=number, files=files, silent=True
    )


def _bomb() -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        archive.writestr("word/document.xml", b"<a>" + b" " * 150_000_000)
    return made.getvalue()
