"""What is found of a desk, when it is, and by whom (000-30, 000-43, 000-50 ⚠)."""

from typing import Any

import pytest

from backend.core.error import UpstreamFailed
from backend.core.retrieval.tokenizer import question_terms
from backend.dto.knowledge_graph import Entity
from backend.dto.ticket import AttachmentData, ConversationData, TicketData, TicketFilter
from backend.repository.attachment import AttachmentRepository
from backend.repository.ticket import TicketRepository
from backend.service.platform_removal import PlatformRemoval
from test.desk_agent.conftest import NOW, House, message
from test.engine_fixture import until


async def _unprocessed(house: House) -> int:
    wanted = TicketFilter(is_processed=False)
    return await house.container.database().read(lambda c: TicketRepository(c, "default").count(wanted))


async def _index(house: House) -> None:
    async for _ in house.container.support_index().work("default"):
        pass


async def test_a_ticket_that_is_sent_here_is_found_without_more(house: House) -> None:
    body = {"title": "Passport photo upload fails", "description": "The passport photo is refused as too blurry."}
    assert (await house.http.post("/api/v1/tickets", json=body)).status_code in {200, 201}

    async def found() -> bool:
        answer = await house.http.post("/api/v1/tickets/search", json={"query": "blurry passport photo"})
        return any(one["title"].startswith("Passport") for one in answer.json()["items"])

    await until(found)
    theirs = await house.stranger.post("/api/v1/tickets/search", json={"query": "blurry passport photo"})
    assert "assport" not in theirs.text


async def test_a_ticket_is_not_like_itself(house: House) -> None:
    items = (await house.http.get("/api/v1/tickets/42/similar")).json()
    assert next(one["ticket_id"] for one in items["items"]) == "17"
    assert "42" not in [one["ticket_id"] for one in items["items"]]
    lone = (await house.http.get("/api/v1/tickets/99/similar")).json()
    assert lone["enough"] is False  # the only ticket that it is about is the one that asks


async def test_what_cannot_be_embedded_stays_to_be_indexed_and_is_tried_again(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """(000-43)"""
    manager = house.container.embedding_manager()

    async def fail(*_: Any, **__: Any) -> Any:
        raise UpstreamFailed("The embedding model answered 500.")

    with monkeypatch.context() as broken:
        broken.setattr(type(manager), "embed", fail)
        body = {"title": "Warranty of a toaster", "description": "Is my toaster under warranty?"}
        assert (await house.http.post("/api/v1/tickets", json=body)).status_code in {200, 201}
        with pytest.raises(UpstreamFailed):
            await _index(house)
        assert await _unprocessed(house) == 1
    await _index(house)
    assert await _unprocessed(house) == 0


async def test_a_language_models_summary_is_not_replaced_by_rules_until_the_ticket_changes(house: House) -> None:
    database = house.container.database()

    def look(connection: Any) -> Any:
        return TicketRepository(connection, "default").find("42", "freshdesk")

    ticket = await database.read(look)
    assert ticket.summary["model"] == "extractive"
    written = {**ticket.summary, "model": "gpt", "problem": "Written by a model."}

    def keep(connection: Any) -> None:
        repository = TicketRepository(connection, "default")
        repository.set_summary(ticket.id, written, ticket.content_hash)
        repository.remove("freshdesk", ["42"], now=NOW, spam=True)  # only to have it indexed anew
        repository.remove("freshdesk", ["42"], now=NOW, spam=False)

    await database.write(keep)
    await _index(house)
    assert (await database.read(look)).summary["problem"] == "Written by a model."

    def change(connection: Any) -> None:
        TicketRepository(connection, "default").put_conversations("freshdesk", "42", [message("42-9", "Done.")], NOW)

    await database.write(change)
    await _index(house)
    assert (await database.read(look)).summary["model"] == "extractive"


async def test_the_text_of_attachments_finds_their_ticket_cleared_of_personal_data(house: House) -> None:
    database = house.container.database()
    text = b"The annual subscription was charged twice to the card of Minji Kim, minji.kim@example.com."
    storage = house.container.file_storages().of("default")

    def put(connection: Any) -> Any:
        files = AttachmentRepository(connection, "default")
        data = AttachmentData(attachment_id="f1", name="statement.txt", size=len(text))
        files.put("freshdesk", "ticket", "42", "42", False, [data], NOW)
        return files.pending(1)[0]

    attachment = await database.write(put)
    folder = f"attachments/freshdesk/{attachment.id.hex}"
    await storage.put(f"{folder}/text.txt", text)
    await database.write(
        lambda c: AttachmentRepository(c, "default").stored(
            attachment.id, f"{folder}/content/statement.txt", "0" * 64, len(text), "text/plain", NOW, has_text=True
        )
    )
    assert await _unprocessed(house) == 1
    query = {"query": "charged twice for the annual subscription"}
    await _index(house)

    found = (await house.http.post("/api/v1/tickets/search", json=query)).json()
    assert found["items"][0]["ticket_id"] == "42"
    kept = house.container.passage_indexes().of("default", "ticket")
    passages = await kept.find(await kept.ids(f"{found['items'][0]['id']}/files"))
    assert ["charged twice" in passage.text for passage in passages] == [True]
    assert "Minji" not in passages[0].text
    assert "minji.kim" not in passages[0].text


async def test_tickets_stand_in_the_knowledge_graph_with_their_error_codes_and_products(house: House) -> None:
    graph = house.container.knowledge_graph_service().of("default")
    around = await graph.neighbours("ticket", "freshdesk:60")
    assert [one.entity.key for one in around.neighbours] == ["AUTH-401"]

    await graph.put_entities([Entity(label="product", key="refund", name="Refund")])

    def touch(connection: Any) -> None:
        TicketRepository(connection, "default").put_conversations("freshdesk", "17", [message("17-9", "ok")], NOW)

    await house.container.database().write(touch)
    await _index(house)
    around = await graph.neighbours("product", "refund")
    assert [one.entity.key for one in around.neighbours] == ["freshdesk:17"]


async def test_a_deleted_ticket_is_found_no_more(house: House) -> None:
    await house.container.database().write(
        lambda c: TicketRepository(c, "default").remove("freshdesk", ["17"], now=NOW, deleted=True)
    )
    before = (await house.http.get("/api/v1/tickets/42/similar")).json()["items"]
    assert "17" not in [one["ticket_id"] for one in before]  # at once, though it is in the index
    await _index(house)
    found = (await house.http.post("/api/v1/tickets/search", json={"query": "refund order 5512"})).json()["items"]
    assert "17" not in [one["ticket_id"] for one in found]


async def _say(house: House, tickets: list[TicketData], said: dict[str, list[ConversationData]]) -> None:
    def put(connection: Any) -> None:
        repository = TicketRepository(connection, "default")
        repository.put("freshdesk", tickets, NOW)
        for number, messages in said.items():
            repository.put_conversations("freshdesk", number, messages, NOW)

    await house.container.database().write(put)
    await _index(house)


def _data(number: str, title: str, text: str) -> TicketData:
    return TicketData(
        ticket_id=number,
        title=title,
        description=text,
        status=2,
        status_name="open",
        priority=2,
        platform_created_at=NOW,
    )


@pytest.mark.parametrize("others", [0, 300])
async def test_a_rare_word_of_an_answer_or_a_note_finds_its_ticket_first(house: House, others: int) -> None:
    """On a small desk, where all vectors are near, and on a large one, where most are not looked at (000-30)."""
    crowd = [
        _data(f"c{number}", f"Parcel {number} is late", f"Where is my parcel to street {number}? 배송이 늦습니다.")
        for number in range(others)
    ]
    said = {
        "60": [message("60-1", "Please set the option quuxflag and sign in again.")],
        "99": [message("99-1", "서버 증설 요청함, 작업번호 PLT-5521.", kind="note")],
    }
    await _say(house, crowd, said)
    for query, number in {"quuxflag": "60", "PLT-5521": "99", "서버 증설": "99", "the quuxflag option": "60"}.items():
        items = (await house.http.post("/api/v1/tickets/search", json={"query": query})).json()["items"]
        assert items[0]["ticket_id"] == number, query


async def test_uninstalling_a_platform_leaves_the_tickets_of_others_findable(house: House) -> None:
    """(000-57)"""
    body = {"title": "Passport photo upload fails", "description": "The passport photo is refused as too blurry."}
    assert (await house.http.post("/api/v1/tickets", json=body)).status_code in {200, 201}
    await _index(house)
    await house.container.database().write(  # what is hidden may be in the index still
        lambda c: TicketRepository(c, "default").remove("freshdesk", ["17"], now=NOW, spam=True)
    )
    own = house.container
    removal = PlatformRemoval(
        own.database(),
        own.sync_service(),
        own.support_index(),
        own.attachment_service(),
        forget_threads=own.ticket_thread_service().forget,
    )
    await removal.purge("default", "freshdesk")

    found = (await house.http.post("/api/v1/tickets/search", json={"query": "blurry passport photo"})).json()
    assert [one["title"] for one in found["items"]] == ["Passport photo upload fails"]
    passages = own.passage_indexes().of("default", "ticket")
    assert (await passages.search(question_terms("refund of a broken order 5512"), 10)).hits == ()
    theirs = await house.stranger.post("/api/v1/tickets/search", json={"query": "refund of order 9911"})
    assert theirs.json()["items"]
