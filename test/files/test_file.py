"""Files over HTTP (003-22 to 003-27, 003-31)."""

import asyncio
import os
from base64 import b64encode
from collections.abc import AsyncIterator
from hashlib import sha256
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from backend.config.setting import SettingError, load_settings
from backend.dto.tenant import Limits
from test.files.conftest import MAX_FILE, Office


def problem_of(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.status_code, answer.json()["type"]


async def test_a_file_is_kept_listed_given_out_and_removed(office: Office) -> None:
    content = b"%PDF-1.7 " + os.urandom(1000)
    path = f"/files/{quote('견적/2026 최종.pdf')}"

    kept = await office.http.put(path, content=content, headers={"content-type": "text/html"})
    again = await office.http.put(path, content=content)
    listed = (await office.http.get("/files", params={"folder": "견적"})).json()
    got = await office.http.get(path)
    removed = await office.http.delete(path)

    assert (kept.status_code, again.status_code) == (201, 200)
    assert kept.json()["content_type"] == "application/pdf"
    assert kept.json()["sha256"] == sha256(content).hexdigest()
    assert [item["path"] for item in listed["items"]] == ["견적/2026 최종.pdf"]
    assert listed["next"] is None
    assert got.content == content
    assert removed.status_code == 204
    assert problem_of(await office.http.get(path)) == (404, "/problems/file-not-found")
    assert problem_of(await office.http.delete(path)) == (404, "/problems/file-not-found")


async def test_no_browser_runs_what_somebody_uploaded(office: Office) -> None:
    page = b"<!doctype html><script>alert(document.cookie)</script>"
    await office.http.put(f"/files/{quote('그림.png')}", content=page, headers={"content-type": "image/png"})

    got = await office.http.get(f"/files/{quote('그림.png')}")

    assert got.headers["content-type"].startswith("text/html")
    assert got.headers["content-disposition"] == f"attachment; filename=\"png\"; filename*=UTF-8''{quote('그림.png')}"
    assert got.headers["x-content-type-options"] == "nosniff"
    assert got.headers["content-security-policy"] == "sandbox; default-src 'none'"


async def test_a_form_may_send_a_file_too(office: Office) -> None:
    named = await office.http.post("/files", files={"file": ("..\\보고서.csv", b"a,b\n1,2\n", "text/csv")})
    placed = await office.http.post("/files", files={"file": ("x", b"1")}, data={"path": "folder/y"})

    assert (named.status_code, named.json()["path"], named.json()["content_type"]) == (201, "보고서.csv", "text/csv")
    assert placed.json()["path"] == "folder/y"
    assert (await office.http.get("/files/folder/y")).content == b"1"


@pytest.mark.parametrize(
    ("asked", "part"),
    [
        ("bytes=0-9", (0, 10)),
        ("bytes=990-", (990, 1000)),
        ("bytes=-10", (990, 1000)),
        ("bytes=990-5000", (990, 1000)),
        ("bytes=-5000", (0, 1000)),
    ],
)
async def test_a_range_gives_one_part(office: Office, asked: str, part: tuple[int, int]) -> None:
    content = os.urandom(1000)
    await office.http.put("/files/a", content=content)

    got = await office.http.get("/files/a", headers={"range": asked})

    start, end = part
    assert got.status_code == 206
    assert got.content == content[start:end]
    assert got.headers["content-range"] == f"bytes {start}-{end - 1}/1000"


@pytest.mark.parametrize(
    "asked", ["bytes=0-1,5-6", "bytes=9-1", "bytes=-", "bytes=a-b", "lines=1-2", "bytes=" + "9" * 40]
)
async def test_a_range_that_is_none_gives_the_whole(office: Office, asked: str) -> None:
    await office.http.put("/files/a", content=b"0123456789")

    got = await office.http.get("/files/a", headers={"range": asked})

    assert (got.status_code, got.content) == (200, b"0123456789")


@pytest.mark.parametrize("asked", ["bytes=10-", "bytes=10-20", "bytes=-0"])
async def test_a_range_behind_the_end_is_refused(office: Office, asked: str) -> None:
    await office.http.put("/files/a", content=b"0123456789")

    got = await office.http.get("/files/a", headers={"range": asked})

    assert problem_of(got) == (416, "/problems/range-not-satisfiable")
    assert got.headers["content-range"] == "bytes */10"


async def test_a_part_of_a_file_that_has_changed_is_not_given(office: Office) -> None:
    old = (await office.http.put("/files/a", content=b"0123456789")).json()["etag"]
    await office.http.put("/files/a", content=b"abcdefghij")

    got = await office.http.get("/files/a", headers={"range": "bytes=5-", "if-range": old})

    assert (got.status_code, got.content) == (200, b"abcdefghij")


async def test_what_a_client_has_is_not_sent_again_and_head_sends_nothing(office: Office) -> None:
    kept = (await office.http.put("/files/a", content=b"0123456789")).json()

    for known in (kept["etag"], f"W/{kept['etag']}", f'"other", {kept["etag"]}', "*"):
        same = await office.http.get("/files/a", headers={"if-none-match": known})
        assert (same.status_code, same.content) == (304, b"")
    head = await office.http.head("/files/a")

    assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", "10")
    digest = b64encode(bytes.fromhex(kept["sha256"])).decode()
    assert head.headers["repr-digest"] == f"sha-256=:{digest}:"


async def test_an_empty_file_can_be_fetched(office: Office) -> None:
    await office.http.put("/files/a", content=b"")

    got = await office.http.get("/files/a")

    assert (got.status_code, got.content, got.headers["content-length"]) == (200, b"", "0")


async def test_another_tenant_s_file_is_not_found(office: Office) -> None:
    await office.http.put("/files/a", content=b"mine")

    assert problem_of(await office.stranger.get("/files/a")) == (404, "/problems/file-not-found")
    assert problem_of(await office.stranger.delete("/files/a")) == (404, "/problems/file-not-found")
    assert (await office.stranger.get("/files")).json()["items"] == []
    assert (await office.http.get("/files/a")).content == b"mine"


@pytest.mark.parametrize(
    "path", ["%2e%2e/beta/a", "a/%2e%2e/%2e%2e/x", "%2Fetc%2Fpasswd", "a%5Cb", "a%00b", "%E2%80%AEx"]
)
async def test_a_path_that_could_lead_elsewhere_is_refused(office: Office, path: str) -> None:
    """(003-23)"""
    for method in ("PUT", "GET", "DELETE"):
        answer = await office.http.request(method, f"/files/{path}", content=b"x" if method == "PUT" else None)
        assert problem_of(answer) == (422, "/problems/invalid-id")
    assert list(office.folder.iterdir()) == [office.folder / ".incoming"]


async def test_what_the_server_keeps_for_itself_is_no_file_of_the_tenant(office: Office) -> None:
    await office.storages.of("acme").put("attachments/freshdesk/1/content/a", b"private")

    assert problem_of(await office.http.get("/files/attachments/freshdesk/1/content/a"))[0] == 404
    assert (await office.http.get("/files")).json()["items"] == []


async def test_a_body_that_is_too_large_is_refused_before_and_while_it_comes(office: Office) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield bytes(100_000)

    said = await office.http.put("/files/a", content=bytes(MAX_FILE + 20_000))
    unsaid = await office.http.put("/files/a", content=endless())
    just = await office.http.put("/files/a", content=bytes(MAX_FILE))
    little = await office.http.put("/files/b", content=bytes(MAX_FILE + 1))

    assert problem_of(said) == problem_of(unsaid) == problem_of(little) == (413, "/problems/too-large")
    assert just.status_code == 201
    assert list((office.folder / ".incoming").iterdir()) == []


async def test_a_client_that_leaves_leaves_nothing(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    sent, ended = asyncio.Event(), asyncio.Event()
    own = office.files.put

    async def put(*args: Any, **options: Any) -> Any:
        try:
            return await own(*args, **options)
        finally:
            ended.set()

    async def half() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield bytes(50_000)
        sent.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(office.files, "put", put)
    async with asyncio.timeout(60):
        task = asyncio.create_task(office.http.put("/files/a", content=half()))
        await sent.wait()
        task.cancel()
        await ended.wait()

    assert list((office.folder / ".incoming").iterdir()) == []
    assert problem_of(await office.http.get("/files/a"))[0] == 404


async def test_a_tenant_that_has_used_up_its_room_is_refused(office: Office) -> None:
    office.limits["acme"] = Limits(storage_bytes=1000)

    first = await office.http.put("/files/a", content=bytes(900))
    more = await office.http.put("/files/b", content=bytes(200))
    instead = await office.http.put("/files/a", content=bytes(1000))
    full = await office.http.put("/files/b", content=b"x")

    assert (first.status_code, instead.status_code) == (201, 200)
    assert problem_of(more) == problem_of(full) == (413, "/problems/too-large")
    assert (await office.stranger.put("/files/a", content=bytes(2000))).status_code == 201


async def test_a_tenant_s_files_are_purged_and_no_other_s(office: Office) -> None:
    await office.http.put("/files/a/b", content=b"x")
    await office.storages.of("acme").put("attachments/freshdesk/1/content/a", b"x")
    await office.stranger.put("/files/a", content=b"theirs")

    assert await office.files.purge("acme") == 2

    assert (await office.storages.of("acme").list()).files == ()
    assert (await office.stranger.get("/files/a")).content == b"theirs"


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"files_url": "https://bucket/prefix"}, "FILES_URL"),
        ({"files_url": "s3://"}, "FILES_URL"),
        ({"s3_access_key": "key"}, "S3_SECRET_KEY"),
    ],
)
def test_a_wrong_place_for_files_stops_the_start(settings: dict[str, str], name: str) -> None:
    """(003-28)"""
    with pytest.raises(SettingError, match=name):
        load_settings(_env_file=None, **settings)


async def test_a_link_needs_s3(office: Office) -> None:
    await office.http.put("/files/a", content=b"x")

    assert problem_of(await office.http.post("/files/a/link")) == (409, "/problems/conflict")
    assert problem_of(await office.http.post("/files/nothing/link")) == (404, "/problems/file-not-found")


async def test_a_list_goes_on_where_it_ended(office: Office) -> None:
    """(003-27)"""
    for number in range(5):
        await office.http.put(f"/files/f/{number}", content=b"x")

    first = (await office.http.get("/files", params={"limit": 3})).json()
    second = (await office.http.get("/files", params={"limit": 3, "after": first["next"]})).json()

    assert [item["path"] for item in first["items"] + second["items"]] == [f"f/{number}" for number in range(5)]
    assert second["next"] is None
    assert problem_of(await office.http.get("/files", params={"after": "../x"}))[0] == 422
