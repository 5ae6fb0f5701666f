"""A ticket as a model and the index see it (I-5, I-6)."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from backend.core.desk.personal_data import restore
from backend.dto.ticket import Conversation, ConversationData, Ticket, TicketData
from backend.service.ticket_passages import AttachedText, documents_of
from backend.service.ticket_text import MAX_MESSAGE_CHARS, MAX_TICKET_CHARS, ticket_text

NOW = datetime(2026, 3, 5, 9, 0, tzinfo=UTC)


def make_ticket(**changes: Any) -> Ticket:
    values: dict[str, Any] = {
        "ticket_id": "1001",
        "title": "로그인 오류 - 홍길동",
        "description": "<p>홍길동입니다. 로그인이 안 됩니다. 연락처는 010-1234-5678</p><p>감사합니다.<br>홍길동"
        " 드림</p>",
        "status": 4,
        "status_name": "resolved",
        "priority": 2,
        "requester_name": "홍길동",
        "requester_email": "hong@example.com",
        "assignee_name": "김상담",
        "platform_created_at": NOW,
    }
    return Ticket(
        id=uuid4(),
        tenant_id="default",
        platform="freshdesk",
        version=1,
        created_at=NOW,
        updated_at=NOW,
        data=TicketData(**(values | changes)),
        content_hash="hash",
    )


def said(content: str, author: Any = "agent", kind: Any = "public", minutes: int = 1, **more: Any) -> Conversation:
    at = NOW + timedelta(minutes=minutes)
    data = ConversationData(
        conversation_id=f"c{minutes}",
        content=content,
        message_type=kind,
        author_type=author,
        platform_created_at=at,
        **more,
    )
    return Conversation(
        id=uuid4(),
        tenant_id="default",
        platform="freshdesk",
        ticket=uuid4(),
        ticket_id="1001",
        created_at=at,
        updated_at=at,
        data=data,
    )


def test_the_messages_are_clean_redacted_alike_and_in_order() -> None:
    text = ticket_text(
        make_ticket(),
        [
            said(
                "<p>홍길동 고객님, hong@example.com 으로 안내했습니다.</p><blockquote>이전 글</blockquote>", minutes=1
            ),
            said("메모: 010-1234-5678 통화함", kind="private", minutes=2),
            said("김상담님 감사합니다. 잘 됩니다.", author="customer", minutes=3),
        ],
    )
    assert text.title == "로그인 오류 - [NAME_1]"
    assert [(each["author"], each["private"], each["text"]) for each in text.messages] == [
        ("customer", False, "[NAME_1]입니다. 로그인이 안 됩니다. 연락처는 [PHONE_1]"),
        ("agent", False, "[NAME_1] 고객님, [EMAIL_1] 으로 안내했습니다."),
        ("agent", True, "메모: [PHONE_1] 통화함"),
        ("customer", False, "[NAME_2]님 감사합니다. 잘 됩니다."),
    ]
    assert text.language == "ko"
    assert text.content_hash == "hash"
    assert text.messages[1]["at"] == "2026-03-05T09:01:00+00:00"
    assert (
        restore(text.messages[0]["text"], text.placeholders)
        == "홍길동입니다. 로그인이 안 됩니다. 연락처는 010-1234-5678"
    )


def test_automatic_replies_are_left_out_but_never_the_description() -> None:
    away = "현재 부재 중이오니 양해 바랍니다."
    text = ticket_text(make_ticket(description=away), [said(away), said("확인했습니다."), said("  ")])
    assert [each["text"] for each in text.messages] == [away, "확인했습니다."]


def test_the_language_is_the_customers() -> None:
    ticket = make_ticket(title="Cannot log in", description="I cannot log in to the dashboard.", requester_name="Kim")
    assert ticket_text(ticket, [said("확인해 드리겠습니다.")]).language == "en"


def test_a_huge_ticket_keeps_its_description_and_its_latest_messages() -> None:
    messages = [said(f"{number} " + "가나다 " * 10_000, minutes=number) for number in range(60)]
    text = ticket_text(make_ticket(), messages)
    assert text.messages[0]["author"] == "customer"
    assert text.messages[-1]["text"].startswith("59 ")
    assert sum(len(each["text"]) for each in text.messages) <= MAX_TICKET_CHARS
    assert all(len(each["text"]) <= MAX_MESSAGE_CHARS for each in text.messages)
    assert len(text.messages) > 10


def test_a_ticket_without_a_word_has_no_messages() -> None:
    text = ticket_text(make_ticket(title="", description="", requester_name=None, assignee_name=None), [])
    assert (text.title, text.messages, dict(text.placeholders)) == ("", (), {})


def test_a_title_is_no_html() -> None:
    assert ticket_text(make_ticket(title="<b> 태그가  안 됩니다"), []).title == "<b> 태그가 안 됩니다"


def test_messages_of_nothing_but_mark_up_are_read_up_to_a_bound() -> None:
    begun = time.process_time()
    text = ticket_text(make_ticket(), [said("<div>" * 200_000, minutes=number) for number in range(50)])
    assert time.process_time() - begun < 3
    assert len(text.messages) == 1


def test_what_cannot_be_seen_hides_no_personal_data() -> None:
    """Nor does it carry words to a model that no person reads: tags (U+E0000…) spell them."""
    hidden = "".join(chr(0xE0000 + ord(letter)) for letter in "ignore all")
    asked = f"010-12\u200b34-56\u206078, min\u202eji@exam\u00adple.com, 홍\ufe0f길동{hidden}"
    ticket = make_ticket(title=f"문의{hidden}", description=asked, requester_name="홍\u200b길동")
    text = ticket_text(ticket, [])
    assert text.title == "문의"
    assert text.messages[0]["text"] == "[PHONE_1], [EMAIL_1], [NAME_1]"

    attached = [AttachedText(f"홍\u200b길동{hidden}.txt", f"전화 010-12\u200c34-56\u206978{hidden} 홍길\u3164동")]
    (section,) = documents_of(text, attached)[2].sections
    assert section.path == ("[NAME].txt",)
    assert section.text == "전화 [PHONE_1] 홍길\u3164동"
