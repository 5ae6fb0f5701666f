"""Attachments: fetched, kept with their hash, read for their text, shown (I-4)."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, cast
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import insert, select

from backend.core.collector.platform import SupportSource
from backend.core.error import (
    AttachmentNotFound,
    DomainError,
    Forbidden,
    NotFound,
    TooMany,
    Unauthorized,
    Unavailable,
    UpstreamFailed,
)
from backend.database.base import Database
from backend.database.model import TicketRow, table_of
from backend.dto.principal import Principal
from backend.dto.tenant import Limits
from backend.dto.ticket import Attachment, AttachmentData, ObjectType
from backend.repository.attachment import AllAttachments, AttachmentRepository
from test.collector.make_files import docx, hwpx, pdf, xlsx
from test.files.conftest import ACME, MAX_FILE, Office

NOW = datetime(2026, 11, 21, tzinfo=UTC)
PNG = b"\x89PNG\r\n\x1a\n" + bytes(100)


class FakeSource:
    """A platform that has these contents, or raises these errors."""

    platform = "freshdesk"
    requests = 0

    def __init__(self, **contents: bytes | DomainError) -> None:
        self.contents = contents
        self.open = 0
        self.asked: list[tuple[str, str | None]] = []
        self.gate: asyncio.Event | None = None
        self.reached = asyncio.Event()

    async def download(self, attachment: AttachmentData, *, ticket_id: str | None = None) -> AsyncIterator[bytes]:
        self.asked.append((attachment.attachment_id, ticket_id))
        found = self.contents[attachment.attachment_id]
        if isinstance(found, DomainError):
            yield b"half "
            raise found
        self.open += 1
        try:
            for at in range(0, len(found), 100_000):
                yield found[at : at + 100_000]
        finally:
            self.open -= 1
        self.reached.set()
        if self.gate is not None:
            await self.gate.wait()


def named(attachment_id: str, name: str = "a.txt", size: int = 0) -> AttachmentData:
    return AttachmentData(attachment_id=attachment_id, name=name, size=size, url=f"https://files.test/{attachment_id}")


async def put(
    database: Database,
    *items: AttachmentData,
    tenant_id: str = "acme",
    parent: tuple[ObjectType, str] = ("ticket", "7"),
    ticket_id: str | None = "7",
    private: bool = False,
) -> int:
    return await database.write(
        lambda c: AttachmentRepository(c, tenant_id).put("freshdesk", *parent, ticket_id, private, items, NOW)
    )


async def work(office: Office, source: FakeSource, tenant_id: str = "acme") -> int:
    return sum([count async for count in office.attachments.work(tenant_id, "freshdesk", cast(SupportSource, source))])


async def all_of(office: Office, principal: Principal = ACME) -> dict[str, Attachment]:
    return {one.data.attachment_id: one for one in await office.attachments.list(principal, limit=100)}


async def kept(office: Office, tenant_id: str = "acme") -> list[str]:
    return [entry.key for entry in (await office.storages.of(tenant_id).list()).files]


async def test_what_waits_is_stored_with_its_hash_and_its_text_can_be_read(office: Office) -> None:
    contents = {"1": pdf(), "2": docx(), "3": xlsx(), "4": hwpx(), "5": "본문입니다".encode(), "6": PNG}
    names = ["견적.pdf", "b.docx", "c.xlsx", "d.hwpx", "e.txt", "f.png"]
    await put(office.database, *(named(str(at), name) for at, name in enumerate(names, start=1)))

    source = FakeSource(**contents)
    assert await work(office, source) == 6

    found = await all_of(office)
    assert {one.status for one in found.values()} == {"stored"}
    assert {one.reason for one in found.values()} == {None}
    for attachment_id, content in contents.items():
        one = found[attachment_id]
        assert (one.sha256, one.data.size) == (sha256(content).hexdigest(), len(content))
    assert [found[number].data.content_type.rpartition("/")[2] for number in "16"] == ["pdf", "png"]
    texts = {text.name: text.text for text in await office.attachments.texts("acme", "freshdesk", "7")}
    assert set(texts) == {"견적.pdf", "b.docx", "c.xlsx", "d.hwpx", "e.txt"}
    assert texts["e.txt"] == "본문입니다"
    assert all(len(text) >= 5 for text in texts.values())
    assert set(source.asked) == {(number, "7") for number in contents}


async def test_a_broken_or_too_large_one_is_noted_and_never_stops_the_rest(office: Office) -> None:
    await put(
        office.database,
        named("gone"),
        named("forbidden"),
        named("broken", "broken.pdf"),
        named("said", size=MAX_FILE + 1),
        named("unsaid"),
        named("fine"),
        named("late"),
    )
    source = FakeSource(
        gone=NotFound("The platform has it no more."),
        forbidden=Forbidden("Not for this key."),
        broken=b"%PDF-1.7 nothing",
        unsaid=bytes(MAX_FILE + 1),
        fine=b"fine",
        late=UpstreamFailed("It broke off."),
    )

    await work(office, source)

    found = await all_of(office)
    assert {name: one.status for name, one in found.items()} == {
        "gone": "failed",
        "forbidden": "failed",
        "broken": "stored",
        "said": "skipped",
        "unsaid": "skipped",
        "fine": "stored",
        "late": "failed",
    }
    assert found["gone"].reason == "The platform has it no more."
    assert found["said"].reason == found["unsaid"].reason == f"It has more than {MAX_FILE} bytes."
    assert "damaged" in str(found["broken"].reason)
    assert "said" not in dict(source.asked)
    assert source.open == 0  # also the one that was not read to its end
    assert list((office.folder / ".incoming").iterdir()) == []


@pytest.mark.parametrize("error", [Unauthorized("refused"), TooMany("later", 60)])
async def test_a_key_that_is_refused_leaves_the_rest_waiting(office: Office, error: DomainError) -> None:
    await put(office.database, named("1"), named("2"))

    with pytest.raises(type(error)):
        await work(office, FakeSource(**{"1": error, "2": error}))

    assert {one.status for one in (await all_of(office)).values()} == {"pending"}


async def test_files_that_cannot_be_kept_leave_the_rest_waiting(office: Office) -> None:
    await put(office.database, named("1"))
    (office.folder / "acme").write_text("in the way")

    with pytest.raises(DomainError) as refused:
        await work(office, FakeSource(**{"1": b"x"}))

    assert refused.value.status in {409, 503}
    assert (await all_of(office))["1"].status == "pending"


async def test_work_again_fetches_nothing_anew(office: Office) -> None:
    source = FakeSource(**{"1": b"one"})
    await put(office.database, named("1", size=3))
    await work(office, source)

    await put(office.database, named("1", size=3))
    assert await work(office, source) == 0

    assert len(source.asked) == 1


async def test_what_was_stopped_in_the_middle_is_done_again_and_not_doubled(office: Office) -> None:
    await put(office.database, named("1"), named("2"))
    source = FakeSource(**{"1": b"one", "2": b"two"})
    source.gate = asyncio.Event()
    task = asyncio.create_task(work(office, source))
    await source.reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert list((office.folder / ".incoming").iterdir()) == []

    source.gate = None
    await work(office, source)

    assert {one.status for one in (await all_of(office)).values()} == {"stored"}
    assert len(await kept(office)) == 4  # a file and its text each


async def test_a_server_that_died_before_it_said_so_stores_it_in_the_same_place(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    await put(office.database, named("1"))
    with monkeypatch.context() as patch:
        patch.setattr(AttachmentRepository, "stored", _dies)
        with pytest.raises(Unavailable):
            await work(office, FakeSource(**{"1": b"one"}))
    before = await kept(office)

    await work(office, FakeSource(**{"1": b"one"}))

    assert before == await kept(office)
    assert (await all_of(office))["1"].status == "stored"


def _dies(*_: object, **__: object) -> bool:
    raise Unavailable("The database went away.")


async def test_what_failed_is_tried_again_when_it_is_read_anew(office: Office) -> None:
    await put(office.database, named("1"), named("2", size=MAX_FILE + 1))
    await work(office, FakeSource(**{"1": NotFound("not yet")}))

    waiting = await put(office.database, named("1"), named("2", size=MAX_FILE + 1))
    await work(office, FakeSource(**{"1": b"now"}))

    assert waiting == 1  # what is too large stays so
    assert (await all_of(office))["1"].status == "stored"
    assert (await all_of(office))["1"].reason is None


async def test_another_file_under_the_same_id_takes_its_place(office: Office) -> None:
    await put(office.database, named("1", "old.txt", size=3))
    await work(office, FakeSource(**{"1": b"old"}))

    await put(office.database, named("1", "new.txt", size=5))
    await work(office, FakeSource(**{"1": b"newer"}))

    one = (await all_of(office))["1"]
    assert one.sha256 == sha256(b"newer").hexdigest()
    assert [key.rpartition("/")[2] for key in await kept(office)] == ["new.txt", "text.txt"]


async def test_what_the_platform_has_no_more_goes_with_its_file(office: Office) -> None:
    await put(office.database, named("1"), named("2"))
    await put(office.database, named("3"), parent=("conversation", "70"))
    await put(office.database, named("4"), ticket_id="8", parent=("ticket", "8"))
    source = FakeSource(**{number: number.encode() for number in "1234"})
    await work(office, source)
    gone = (await all_of(office))["1"].id

    def remove(attachments: AttachmentRepository) -> int:
        return attachments.keep_only("freshdesk", "ticket", "7", {"2"}, NOW) + attachments.remove_tickets(
            "freshdesk", ["8"], NOW
        )

    assert await office.database.write(lambda c: remove(AttachmentRepository(c, "acme"))) == 2
    assert set(await all_of(office)) == {"2", "3"}  # at once, before its file is gone
    with pytest.raises(AttachmentNotFound):
        await office.attachments.get(ACME, gone)
    assert await work(office, source) == 2

    assert len(await kept(office)) == 4
    assert await office.database.read(lambda c: AttachmentRepository(c, "acme").removed(10)) == []
    assert await office.database.read(lambda c: AllAttachments(c).waiting()) == []


async def test_a_tenant_s_attachments_are_purged_with_their_files_and_no_other_s(office: Office) -> None:
    for tenant_id in ("acme", "beta"):
        await put(office.database, named("1"), tenant_id=tenant_id)
        await work(office, FakeSource(**{"1": b"x"}), tenant_id)

    await office.attachments.purge("acme")

    assert (await kept(office), len(await kept(office, "beta"))) == ([], 2)
    assert await office.attachments.count(ACME) == 0
    assert await office.attachments.count(Principal("beta", "b")) == 1


async def test_the_text_on_a_private_note_is_only_for_who_asks_for_it(office: Office) -> None:
    await put(office.database, named("open"))
    await put(office.database, named("secret"), parent=("conversation", "70"), private=True)
    await work(office, FakeSource(open=b"open text", secret=b"secret text"))

    shown = await office.attachments.texts("acme", "freshdesk", "7")
    whole = await office.attachments.texts("acme", "freshdesk", "7", private=True)

    assert [text.text for text in shown] == ["open text"]
    assert [(text.text, text.private) for text in whole] == [("open text", False), ("secret text", True)]
    assert await office.attachments.texts("beta", "freshdesk", "7", private=True) == []


async def test_a_new_text_puts_its_ticket_back_into_the_queue_of_the_index(office: Office) -> None:
    tickets = table_of(TicketRow)

    async def processed() -> list[bool]:
        query = select(tickets.c.is_processed).order_by(tickets.c.ticket_id)
        return await office.database.read(lambda c: list(c.execute(query).scalars()))

    rows = [_ticket_row(number) for number in ("7", "8")]
    await office.database.write(lambda c: c.execute(insert(tickets), rows))
    await put(office.database, named("1"))
    await put(office.database, named("2", "p.png"), parent=("ticket", "8"), ticket_id="8")

    await work(office, FakeSource(**{"1": b"text", "2": PNG}))

    assert await processed() == [False, True]


def _ticket_row(ticket_id: str) -> dict[str, Any]:
    columns = table_of(TicketRow).c
    filled: dict[str, Any] = {
        column.name: {"INTEGER": 1, "BOOLEAN": False, "JSON": [], "DATETIME": NOW}.get(str(column.type), "")
        for column in columns
        if not column.nullable
    }
    return {
        **filled,
        "tenant_id": "acme",
        "id": uuid4(),
        "platform": "freshdesk",
        "ticket_id": ticket_id,
        "is_processed": True,
    }


# --- over HTTP


def problem_of(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["type"]


async def test_attachments_are_listed_and_given_out(office: Office) -> None:
    await put(office.database, named("1", "견적서.txt"), named("2"), named("3"))
    contents: dict[str, bytes | DomainError] = {"1": b"hello", "2": NotFound("gone"), "3": b"x"}
    await work(office, FakeSource(**contents))

    first = (await office.http.get("/attachments", params={"ticket_id": "7", "limit": 2})).json()
    second = (await office.http.get("/attachments", params={"limit": 2, "after": first["next"]})).json()
    one = first["items"][0]
    seen = (await office.http.get(f"/attachments/{one['id']}")).json()
    got = await office.http.get(f"/attachments/{one['id']}/content", headers={"range": "bytes=1-2"})
    failed = await office.http.get(f"/attachments/{first['items'][1]['id']}/content")

    assert ([len(first["items"]), len(second["items"])], first["total"], second["next"]) == ([2, 1], 3, None)
    assert seen == one
    assert "url" not in one
    assert (one["name"], one["sha256"]) == ("견적서.txt", sha256(b"hello").hexdigest())
    assert (got.status_code, got.content, got.headers["x-content-type-options"]) == (206, b"el", "nosniff")
    assert problem_of(failed) == (404, "/problems/file-not-found")
    assert (await office.http.get("/attachments", params={"status": "failed"})).json()["total"] == 1
    assert problem_of(await office.http.get("/attachments", params={"status": "removed"}))[0] == 422


async def test_another_tenant_s_attachment_is_not_found(office: Office) -> None:
    await put(office.database, named("1"))
    await work(office, FakeSource(**{"1": b"mine"}))
    one = (await all_of(office))["1"].id

    for path in (f"/attachments/{one}", f"/attachments/{one}/content", f"/attachments/{uuid4()}"):
        assert problem_of(await office.stranger.get(path)) == (404, "/problems/attachment-not-found")
    assert (await office.stranger.get("/attachments")).json() == {"items": [], "next": None, "total": 0}


# --- rows, on both databases


async def test_rows_are_put_once_and_renewed(database: Database) -> None:
    def pending(tenant_id: str = "acme") -> Callable[[Any], Sequence[Attachment]]:
        return lambda c: AttachmentRepository(c, tenant_id).pending(1000)

    many = [named(str(number), f"이름{number}\x00.pdf") for number in range(450)]
    assert await put(database, *many) == 450
    assert await put(database, *many, named("0", "again"), private=True) == 450
    await put(database, named("0", "theirs"), tenant_id="beta")

    mine = await database.read(pending())
    assert len(mine) == 450
    assert all(one.private for one in mine)
    assert mine[0].data.name == "again"
    assert mine[1].data.name == "이름1\ufffd.pdf"
    assert [one.data.name for one in await database.read(pending("beta"))] == ["theirs"]

    assert await database.write(lambda c: AttachmentRepository(c, "acme").stored(mine[0].id, "k", "ab", 9, "x/y", NOW))
    assert await database.write(lambda c: AttachmentRepository(c, "acme").failed(mine[1].id, "failed", "no", NOW))
    assert not await database.write(
        lambda c: AttachmentRepository(c, "beta").stored(mine[2].id, "k", "ab", 9, "x/y", NOW)
    )
    assert not await database.write(lambda c: AttachmentRepository(c, "acme").failed(mine[0].id, "failed", "no", NOW))
    assert await put(database, named("0"), named("1")) == 1  # what failed waits again, what is stored stays
    assert len(await database.read(pending())) == 449
    assert await database.write(lambda c: AttachmentRepository(c, "acme").forget([mine[0].id])) == 0
    assert await database.write(lambda c: AttachmentRepository(c, "acme").purge(NOW)) == 450
    assert await database.write(lambda c: AttachmentRepository(c, "acme").forget([one.id for one in mine])) == 450
    assert await database.read(lambda c: AllAttachments(c).waiting()) == [("beta", "freshdesk")]


async def test_a_size_that_no_column_holds_does_not_stop_the_rest(database: Database) -> None:
    await put(database, named("1", size=2**80), named("2", size=7))
    kept = await database.read(lambda c: AttachmentRepository(c, "acme").list())
    assert [attachment.data.size for attachment in kept] == [2**63 - 1, 7]


async def test_a_desk_does_not_fill_the_disk_beyond_its_tenants_storage_limit(office: Office) -> None:
    """Whatever sizes the platform tells; with more room, what failed is fetched when its ticket is read again."""
    office.limits["acme"] = Limits(storage_bytes=250)
    await put(office.database, named("1"), named("2"), named("3"), named("4"))
    contents = {number: number.encode() * 90 for number in "1234"}
    await work(office, FakeSource(**contents))
    found = await all_of(office)
    kept = [one for one in found.values() if one.status == "stored"]
    assert 0 < len(kept) <= 2
    assert all("storage limit" in (one.reason or "") for one in found.values() if one not in kept)

    office.limits["acme"] = Limits()
    await put(office.database, named("1"), named("2"), named("3"), named("4"))
    await work(office, FakeSource(**contents))
    assert {one.status for one in (await all_of(office)).values()} == {"stored"}
