"""What of a mail its sender wrote (I-5)."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.core.desk.cleaning import MAX_TEXT_CHARS, clean, is_auto_reply
from test.desk.mail import EN, KO, LATER_SIGNED, SIGNED, UNSIGNED, Mail

OWN = "결제할 때 E-1001 오류가 납니다."

QUOTES = {
    "gmail, ko": f"{OWN}\n\n2024년 3월 5일 (화) 오후 3:21, 상담원 <help@example.com>님이 작성:\n\n> 안녕하세요\n>"
    " 고객님",
    "gmail, en": f"{OWN}\n\nOn Mon, Mar 4, 2024 at 3:21 PM Support <help@example.com> wrote:\n\n> Hello\n> there",
    "gmail, wrapped": f"{OWN}\n\nOn Mon, Mar 4, 2024 at 3:21 PM Support\n<help@example.com> wrote:\n> Hello\n> there",
    "gmail, html": f"<div>{OWN}</div><div class='gmail_quote'><div class='gmail_attr'>On Mon Support wrote:</div>"
    "<blockquote>Hello</blockquote></div>",
    "outlook, ko": f"{OWN}\n\n보낸 사람: 상담원\n보낸 날짜: 2024년 3월 5일\n받는 사람: 홍길동\n제목:"
    " 문의\n\n안녕하세요 고객님",
    "outlook, en": f"{OWN}\n\n________________________________\nFrom: Support\nSent: Monday\nTo: Kim\nSubject:"
    " Re\n\nHello",
    "original, en": f"{OWN}\n\n-----Original Message-----\nFrom: Support\n\nHello",
    "original, ko": f"{OWN}\n\n-----원본 메시지-----\n보낸사람: 상담원\n\n안녕하세요",
    "mail list": f"{OWN}\n\n> Hello\n> there",
    "thunderbird": f"<p>{OWN}</p><div class='moz-cite-prefix'>On 3/5/24, Support wrote:</div><blockquote"
    " type='cite'>Hello"
    "</blockquote>",
    "helpdesk": f"{OWN}\n\n##- Please type your reply above this line -##\n\nHello there",
}
FOOTERS = {
    "mark": f"{OWN}\n\n-- \n홍길동\n서울전자 개발팀",
    "ko": f"{OWN}\n\n감사합니다.\n홍길동 드림\n010-1234-5678",
    "en": f"{OWN}\n\nBest regards,\nGildong Hong\nSeoul Electronics | Tel. 02-123-4567",
    "signed": f"{OWN}\n\n홍길동 올림",
    "iphone": f"{OWN}\n\nSent from my iPhone",
    "iphone, ko": f"{OWN}\n\n나의 iPhone에서 보냄",
    "outlook": f"{OWN}\n\nGet Outlook for iOS",
    "disclaimer, ko": f"{OWN}\n\n본 메일은 지정된 수신인만을 위한 것이며, 무단으로 사용하거나 배포할 수 없습니다.",
    "disclaimer, en": f"{OWN}\n\nThis e-mail is confidential and intended only for the addressee.\nPlease delete it.",
    "both": f"{OWN}\n\nRegards,\nKim\n\nCONFIDENTIALITY NOTICE: you may not be the intended recipient.",
    "gmail": f"<p>{OWN}</p><div class='gmail_signature'>홍길동<br>서울전자</div>",
}


@pytest.mark.parametrize("mail", [pytest.param(mail, id=name) for name, mail in (QUOTES | FOOTERS).items()])
def test_quotes_signatures_and_footers_are_taken_away(mail: str) -> None:
    assert clean(mail) == OWN


@pytest.mark.parametrize("mail", SIGNED, ids=lambda mail: mail.name)
def test_a_signature_is_taken_away_however_it_is_written(mail: Mail) -> None:
    assert clean(mail.text) == mail.said


def test_of_signatures_that_the_rules_do_not_know_most_are_taken_away() -> None:
    right = [mail for mail in LATER_SIGNED if clean(mail) in {KO, EN}]
    assert len(right) >= 15, set(LATER_SIGNED) - set(right)


@pytest.mark.parametrize("mail", UNSIGNED)
def test_what_only_looks_like_a_signature_stays(mail: str) -> None:
    assert clean(mail) == mail
    assert clean(mail, "Tom Becker") == mail


@pytest.mark.parametrize(
    ("mail", "sender"),
    [(f"{EN}\n\nTom", "Tom"), (f"{KO}\n\n김서연", "김서연"), (f"{EN}\n\nTom Becker\nSeoul", "Tom  Becker")],
)
def test_a_name_alone_is_a_signature_when_it_is_the_senders(mail: str, sender: str) -> None:
    assert clean(mail, sender) in {KO, EN}
    assert clean(mail, "Somebody Else") == mail


def test_what_stands_below_and_between_quotes_stays() -> None:
    mail = (
        "On Mon, Support <a@b.co> wrote:\n> Which version?\n> Which system?\nVersion 3.2.\n\n"
        "> Since when?\n> Daily?\nYes."
    )
    assert clean(mail) == "Version 3.2.\n\nYes."


@pytest.mark.parametrize(
    ("mail", "text"),
    [
        ("> 원래 메일\n> 입니다", "원래 메일\n입니다"),
        ("<blockquote>원래 메일</blockquote>", "원래 메일"),
        ("감사합니다.", "감사합니다."),
        ("Sent from my iPhone", "Sent from my iPhone"),
        ("From: a\nTo: b\nSubject: c\n\nbody", "From: a\nTo: b\nSubject: c\n\nbody"),
    ],
)
def test_a_mail_that_is_nothing_else_is_kept(mail: str, text: str) -> None:
    assert clean(mail) == text


@pytest.mark.parametrize(
    "mail",
    [
        (
            "FYI\n\n---------- Forwarded message ---------\nFrom: Kim\nDate: Mon\nSubject: Broken\nTo: Support\n\nThe"
            " printer is broken."
        ),
        (
            "<p>FYI</p><div class='gmail_quote'>---------- Forwarded message ---------<br>Kim<br><br>The printer is"
            " broken."
            "</div>"
        ),
    ],
)
def test_what_is_forwarded_is_the_content(mail: str) -> None:
    assert "The printer is broken." in clean(mail)


@pytest.mark.parametrize(
    "text",
    [
        "안녕하세요.\n오류가 납니다.\n\n감사합니다.\n주문번호 12345",
        "Thanks,\nit works now.",
        "설정\n> 계정 메뉴가 없습니다.",
        "From: Seoul 로 가는 표를 사고 싶습니다.",
        "1 < 2 and x <y> 3\n<kim@example.com>에게 보냈습니다.",
    ],
)
def test_in_doubt_a_line_stays(text: str) -> None:
    assert clean(text) == text


def test_html_becomes_text_with_lists_tables_and_links() -> None:
    page = (
        "<style>p{}</style><p>안내 <b>문서</b>는 <a href='https://example.com/guide'>여기</a>&nbsp;있습니다.</p>"
        "<ol><li>연다<li>닫는다</ol><ul><li>하나</li></ul>"
        "<table><tr><th>이름</th><th>값</th></tr><tr><td><p>A</p></td><td><p>1</p></td></tr></table>"
        "<pre>x = 1\ny = 2</pre>첫 줄<br>둘째 줄<script>alert(1)</script>"
    )
    assert clean(page) == (
        "안내 문서는 여기 (https://example.com/guide) 있습니다.\n\n1. 연다\n2. 닫는다\n\n- 하나\n\n이름 | 값\nA | 1\n\n"
        "x = 1\ny = 2\n\n첫 줄\n둘째 줄"
    )


@pytest.mark.parametrize(
    "hidden",
    [
        "<p style='display: none'>secret</p>",
        "<span style='FONT-SIZE:0px'>secret</span>",
        "<div hidden>secret</div>",
        "<div style='visibility:hidden'><p>secret</p></div>",
        "<!-- secret -->",
        "<template>secret</template>",
        "<title>secret</title>",
        "<p style='opacity:0'>secret",
    ],
)
def test_what_a_reader_does_not_see_is_not_read(hidden: str) -> None:
    assert clean(f"<p>보이는 글</p>{hidden}") == "보이는 글"


def test_letters_without_a_width_are_taken_out() -> None:
    assert clean("igno\u200bre\u202e this\u00ad") == "ignore this"


@pytest.mark.parametrize(
    "piece",
    ["<div>", "<div></div></p>", "<b><i><font>", "<a href='x'>y", "<table><tr><td>", "<div class='", "<!--", "<p>x",
     "<span></q>", "On x\n", "From: x\n", "> x\n", "-----\n", "감사합니다\n", "\n", " ", "-", "<", "&amp;", "가나다 ",
     "<script>", "<blockquote class=gmail_quote>Forwarded message"],
)  # fmt: skip
def test_ten_megabytes_take_less_than_a_second(piece: str) -> None:
    mail = "<p>" + piece * (10_000_000 // len(piece))
    begun = time.process_time()
    text = clean(mail)
    is_auto_reply(text, {})
    assert time.process_time() - begun < 1
    assert len(text) <= MAX_TEXT_CHARS


_FRAGMENTS = st.sampled_from(
    ["<p>", "</p>", "<div class='gmail_quote'>", "</div>", "<td>", "<li>", "<br>", "<a href='https://x.y'>", "</a>",
     "<pre>", "<blockquote>", "<!--", "-->", "<style>", "</", "\n", "> ", "On a wrote:", "감사합니다.", "-- ",
     "From: a", "&lt;", "'", '"']
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(st.lists(_FRAGMENTS | st.text(max_size=20), max_size=30).map("".join))
def test_any_text_is_cleaned_and_cleaning_again_changes_no_word_of_plain_text(mail: str) -> None:
    text = clean(mail)
    assert len(text) <= 3 * len(mail) + 10
    assert text == text.strip()
    assert "\n\n\n" not in text


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="가나 \n>.-감사합니다On wrote:<1", max_size=200))
def test_a_cleaned_plain_text_is_never_longer_and_never_lost(text: str) -> None:
    cleaned = clean(text)
    assert len(cleaned) <= len(text)
    assert any(map(str.isalnum, cleaned)) == any(map(str.isalnum, text))


AUTOMATIC = [
    "안녕하세요. 현재 부재 중이오니 급한 용무는 전화 바랍니다.",
    "휴가 중입니다. 3월 10일에 복귀합니다.",
    "이 메일은 자동으로 발송된 메일입니다.",
    "고객님의 문의가 정상적으로 접수되었습니다.",
    "Automatic reply: Re: Order\nI am back on Monday.",
    "I am currently out of the office until March 10.",
    "We have received your request and will reply soon.",
    "Delivery Status Notification (Failure)\nYour message could not be delivered.",
]
WRITTEN = [
    "자동응답 메일이 발송되지 않습니다. 설정을 확인해 주세요.",
    "Why does the automatic reply fail with an error?",
    "부재중 설정은 어디에서 하나요?",
    "메일 접수가 되었는지 알려 주세요.",
    "담당자입니다. 확인 결과 정상입니다.",
    "We have received your message. " + "Please open the settings and reset the password of your account. " * 4,
]


@pytest.mark.parametrize("text", AUTOMATIC)
def test_an_automatic_reply_is_known(text: str) -> None:
    assert is_auto_reply(text, {})


@pytest.mark.parametrize("text", WRITTEN)
def test_what_a_person_writes_about_them_is_none(text: str) -> None:
    assert not is_auto_reply(text, {})


def test_headers_and_senders_tell_it_too() -> None:
    assert is_auto_reply("hello", {"headers": {"Auto-Submitted": "auto-replied"}})
    assert is_auto_reply("hello", {"from_email": "MAILER-DAEMON@example.com"})
    assert not is_auto_reply("hello", {"headers": {"Auto-Submitted": "no"}, "from_email": "kim@example.com"})
