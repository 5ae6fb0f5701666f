"""What is put out of a model's and an index's sight (I-6)."""

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.core.desk.personal_data import redact, restore

PERSONAL = [
    ("EMAIL", "hong.gildong+work@example.co.kr"),
    ("EMAIL", "hong (at) example.com"),
    ("PHONE", "010-1234-5678"),
    ("PHONE", "01012345678"),
    ("PHONE", "010 1234 5678"),
    ("PHONE", "+82-10-1234-5678"),
    ("PHONE", "+82 10 1234 5678"),
    ("PHONE", "02-123-4567"),
    ("PHONE", "(031) 123-4567"),
    ("PHONE", "070-1234-5678"),
    ("PHONE", "(212) 555-7890"),
    ("PHONE", "212-555-7890"),
    ("PHONE", "+44 20 7946 0958"),
    ("RRN", "900101-1234567"),
    ("RRN", "900101-1******"),
    ("RRN", "9001011234568"),
    ("RRN", "850315-6123456"),
    ("CARD", "4111-1111-1111-1111"),
    ("CARD", "4111 1111 1111 1111"),
    ("CARD", "5500005555555559"),
    ("CARD", "3782 822463 10005"),
    ("BRN", "120-81-47521"),
    ("LICENCE", "11-23-456789-01"),
    ("LICENCE", "서울 12-345678-90"),
    ("PASSPORT", "M12345678"),
    ("PASSPORT", "M123A4567"),
    ("SSN", "123-45-6789"),
    ("ACCOUNT", "DE89 3704 0044 0532 0130 00"),
    ("ACCOUNT", "DE89370400440532013000"),
    ("PHONE", "０１０－１２３４－５６７８"),
    ("PHONE", "010·1234·5678"),
    ("PHONE", "010/1234/5678"),
    ("PHONE", "010 - 1234 - 5678"),
    ("PHONE", "010-1234-\n5678"),
    ("PHONE", "010—1234—5678"),
    ("PHONE", "0082-10-1234-5678"),
    ("PHONE", "07700 900123"),
    ("RRN", "９００１０１－１２３４５６７"),
    ("RRN", "900101-\n1234567"),
    ("RRN", "900101-1●●●●●●"),
    ("RRN", "900101-*******"),
    ("RRN", "9 0 0 1 0 1 - 1 2 3 4 5 6 7"),
    ("CARD", "４１１１－１１１１－１１１１－１１１１"),
    ("CARD", "4111-1111-\n1111-1111"),
    ("CARD", "4111.1111.1111.1111"),
    ("EMAIL", "hong＠example.com"),
    ("EMAIL", "hong @ example.com"),
    ("EMAIL", "hong@네이버.com"),
    ("PCCC", "P123456789012"),
    ("IP", "2001:db8::1"),
    ("ADDRESS", "성남시 분당구 판교역로 235"),
    ("ADDRESS", "서울 송파구 올림픽로 300 롯데월드타워 101동 202호"),
    ("ADDRESS", "123 Main Street, Springfield, IL 62704"),
    ("IP", "203.0.113.9"),
    ("ADDRESS", "서울특별시 강남구 테헤란로 123, 4층"),
    ("ADDRESS", "경기도 성남시 분당구 판교역로 235"),
    ("ADDRESS", "서울시강남구테헤란로123"),
    ("ADDRESS", "서울특별시강남구역삼동123-45"),
    ("ADDRESS", "경기도성남시분당구판교역로235번길12 101동1203호"),
    ("ADDRESS", "서울시강남구 테헤란로 123"),
    ("ADDRESS", "경기도성남시 분당구 판교역로 235"),
    ("PHONE", "공일공 일이삼사 오육칠팔"),
    ("PHONE", "공일공-일이삼사-오육칠팔"),
    ("PHONE", "공일공에 일이삼사에 오육칠팔"),
    ("PHONE", "영일영 다시 삼삼삼삼 다시 공공일일"),
    ("PHONE", "공일공일이삼사오육칠팔"),
    ("PHONE", "010-일이삼사-오육칠팔"),
    ("PHONE", "0 1 0 1 2 3 4 5 6 7 8"),
    ("PHONE", "𝟎𝟏𝟎-𝟏𝟐𝟑𝟒-𝟓𝟔𝟕𝟖"),
    ("EMAIL", "minji92 골뱅이 naver.com"),
    ("EMAIL", "minji92골뱅이네이버닷컴"),
    ("HANDLE", "t.me/minji_92"),
    ("HANDLE", "open.kakao.com/o/gAbc12d"),
]
NOT_PERSONAL = [
    "주문번호 20240105-0001234",
    "주문번호: 240105-1234567",
    "송장번호 1234-5678-9012",
    "order number 212-555-7890",
    "오류 코드 E-1001",
    "error M12345678",
    "0x80070005",
    "2024-01-05 15:30:12",
    "2024.01.05",
    "1,234,567원",
    "$1,299.99",
    "v1.2.3.4",
    "버전 203.0.113.9",
    "펌웨어 10.15.7.1",
    "192.168.0.1",
    "127.0.0.1",
    "1700000000000",
    "1588-1234",
    "iPhone 15 Pro 256GB",
    "978-89-123-4567-8",
    "2023-2024",
    "npm install pkg@1.2.3",
    "123-45-67890",
    "4111-1111-1111-1112",
    "우리 회사 1234567890",
    "티켓 #123456",
    "10:30 ~ 18:00",
    "3학년 2반 15번",
    "전화 1588-1234",
    "전화는 2024-01-05 에 했습니다",
    "비밀번호는 8자리 이상",
    "비밀번호: 재설정했습니다",
    "password is wrong",
    "주소 변경시 3번째 항목",
    "배송지 변경 2건",
    "필요시 앞으로 10분",
    "이름은 필수입니다",
    "이름이 잘못 나옵니다",
    "담당자 확인 부탁드립니다",
    "받는 사람 정보가 없습니다",
    "저는 사용자입니다",
    "name: Settings",
    "우리 3-4-5 팀",
    "하나 2024-01-05",
    "std::vector",
    "2024.01.05.1200",
    "생일 쿠폰 2장",
    "Open 3 Orders in Settings",
    "부산출고시 별도로 3건",
    "서울도착시 추가로 2일",
    "서울시 강남구청 방향으로 2시간",
    "대전시내로3시간",
    "카카오톡 채널 3개",
    "카톡 아이디 login 이 안 됩니다",
    "카카오톡 아이디가 없습니다",
    "카카오톡 ID 로그인",
    "텔레그램 봇 API v2",
    "LINE Pay 2건",
    "Line 12: syntax error",
    "Discord account settings",
    "골뱅이 무침",
    "공일 이후",
    "육칠팔 월",
    "카카오톡: https://pf.kakao.com",
]


@pytest.mark.parametrize(("kind", "text"), PERSONAL)
@pytest.mark.parametrize("frame", ["{}", "제 것은 {} 입니다.", "({})", "내용: {}\n다음 줄"])
def test_personal_data_is_replaced_whole(kind: str, text: str, frame: str) -> None:
    said = frame.format(text)
    redaction = redact([said])
    assert redaction.texts == (frame.format(f"[{kind}_1]"),)
    assert redaction.placeholders == {f"[{kind}_1]": text}


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("카톡 아이디는 minjikim 이에요", "카톡 아이디는 [HANDLE_1] 이에요"),
        ("카카오톡 아이디: minji.kim", "카카오톡 아이디: [HANDLE_1]"),
        ("카톡 minji92로 연락 주세요", "카톡 minji92로 연락 주세요"),
        ("카톡 아이디 minji92로 연락 주세요", "카톡 아이디 [HANDLE_1]로 연락 주세요"),
        ("카톡 ID minjikim입니다", "카톡 ID [HANDLE_1]입니다"),
        ("텔레그램 @minjikim 으로 주세요", "텔레그램 [HANDLE_1] 으로 주세요"),
        ("My Telegram is @minjikim.", "My Telegram is [HANDLE_1]."),
        ("Telegram: @minji_92", "Telegram: [HANDLE_1]"),
        ("LINE ID: minji-92", "LINE ID: [HANDLE_1]"),
        ("LINE ID is minjikim", "LINE ID is [HANDLE_1]"),
        ("위챗 아이디 = minji92", "위챗 아이디 = [HANDLE_1]"),
    ],
)
def test_what_somebody_is_called_in_a_messenger_is_replaced(text: str, redacted: str) -> None:
    assert redact([text]).texts == (redacted,)


@pytest.mark.parametrize("text", NOT_PERSONAL)
@pytest.mark.parametrize("frame", ["{}", "{} 입니다.", "문의: {}"])
def test_what_only_resembles_it_stays(text: str, frame: str) -> None:
    assert redact([frame.format(text)]).texts == (frame.format(text),)


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("국민은행 123456-04-123456 으로 환불", "국민은행 [ACCOUNT_1] 으로 환불"),
        ("계좌번호: 110-123-456789", "계좌번호: [ACCOUNT_1]"),
        ("3333-01-1234567 카카오뱅크", "[ACCOUNT_1] 카카오뱅크"),
        ("여권 S12345678", "여권 [PASSPORT_1]"),
        ("주민등록번호 9001011234567", "주민등록번호 [RRN_1]"),
        ("신한 110-123-456789", "신한 [ACCOUNT_1]"),
        ("KB국민 12345604123456", "KB국민 [ACCOUNT_1]"),
        ("사업자번호: 120 81 47521", "사업자번호: [BRN_1]"),
        ("전화 0212345678", "전화 [PHONE_1]"),
        ("call me at 2125557890", "call me at [PHONE_1]"),
        ("생년월일: 1990년 1월 1일", "생년월일: [BIRTH_1]"),
        ("차량번호 12가 3456", "차량번호 [PLATE_1]"),
        ("비밀번호는 hunter2!", "비밀번호는 [SECRET_1]"),
        ("주소: 강남구 테헤란로 123, 4층", "[ADDRESS_1]"),
    ],
)
def test_a_word_before_it_tells_what_a_number_is(text: str, redacted: str) -> None:
    assert redact([text]).texts == (redacted,)


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("제 성함은 홍길동입니다. 홍길동 앞으로", "제 성함은 [NAME_1]입니다. [NAME_1] 앞으로"),
        ("성함: 홍길동 / 환불", "성함: [NAME_1] / 환불"),
        ("국민은행 예금주 박영희", "국민은행 예금주 [NAME_1]"),
        ("받는 분: 최민수님", "받는 분: [NAME_1]님"),
        ("저는 김영희라고 합니다", "저는 [NAME_1]라고 합니다"),
        ("My name is Jane Porter and I", "My name is [NAME_1] and I"),
        ("Cardholder: Jane Q Porter", "Cardholder: [NAME_1]"),
    ],
)
def test_a_name_that_a_text_announces_is_replaced_wherever_it_stands(text: str, redacted: str) -> None:
    assert redact([text]).texts == (redacted,)
    name = redact([text]).placeholders["[NAME_1]"]
    assert redact([text, f"{name} called"]).texts[1] == "[NAME_1] called"


def test_the_same_is_called_the_same_in_all_texts_of_a_ticket() -> None:
    redaction = redact(["010-1234-5678 a@b.co", "c@d.co, 010-1234-5678", "A: a@b.co"])
    assert redaction.texts == ("[PHONE_1] [EMAIL_1]", "[EMAIL_2], [PHONE_1]", "A: [EMAIL_1]")


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("홍길동입니다. 홍길동님께", "[NAME_1]입니다. [NAME_1]님께"),
        ("김민 대리와 김민수 과장, 김민이", "[NAME_1] 대리와 김민수 과장, [NAME_1]이"),
        ("John Smith wrote; john smith's, Johnsmithson", "[NAME_1] wrote; [NAME_2]'s, Johnsmithson"),
        ("고객 문의, support 팀", "고객 문의, support 팀"),
    ],
)
def test_the_names_that_a_ticket_gives_are_replaced(text: str, redacted: str) -> None:
    names = ["홍길동", "김민", "John Smith", "고객", "Support", None, "", "a@b.co"]
    assert redact([text], names).texts == (redacted,)


def test_a_placeholder_that_stands_in_a_text_already_is_nobodys() -> None:
    texts = ["[EMAIL_1] 은 a@b.co 가 아닙니다", "[EMAIL_2]"]
    redaction = redact(texts)
    assert redaction.texts == ("[EMAIL_1] 은 [EMAIL_3] 가 아닙니다", "[EMAIL_2]")
    assert [restore(text, redaction.placeholders) for text in redaction.texts] == texts
    assert restore("[EMAIL_1] [EMAIL_3] [EMAIL_9]", redaction.placeholders) == "[EMAIL_1] a@b.co [EMAIL_9]"


def test_what_is_restored_is_not_looked_through_again() -> None:
    assert restore("[NAME_1]", {"[NAME_1]": "[NAME_2]", "[NAME_2]": "x"}) == "[NAME_2]"


_PIECES = st.sampled_from(
    [text for _, text in PERSONAL]
    + NOT_PERSONAL
    + ["[EMAIL_1]", "[PHONE_2]", "[", "]", " ", "\n", "홍길동", "EMAIL_1", "국민은행 "]
)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.lists(_PIECES | st.text(max_size=10), max_size=12).map("".join), max_size=5))
def test_restoring_gives_back_exactly_what_was_redacted(texts: list[str]) -> None:
    redaction = redact(texts, ["홍길동"])
    assert [restore(text, redaction.placeholders) for text in redaction.texts] == texts
    assert redact(texts, ["홍길동"]) == redaction


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from([text for _, text in PERSONAL]), min_size=1, max_size=6))
def test_no_address_or_number_is_left_in_any_order(pieces: list[str]) -> None:
    redacted = redact([" / ".join(pieces)]).texts[0]
    assert re.sub(r"\[[A-Z]+_[0-9]+\]| / ", "", redacted) == ""


@pytest.mark.parametrize(
    "piece",
    [
        "1",
        "1-",
        "a@",
        "a.",
        "+82 ",
        "국민은행 ",
        "서울 가시 ",
        " 1",
        "DE89 ",
        "AB12",
        "a@b.co ",
        "홍길",
        "010-",
        "1.",
        "a:",
        "(",
        "M",
        "공일공 ",
        "0 ",
        "서울시가시",
        "카톡 ",
        "카톡 id ",
        "카톡 아이디 a.",
        "a골뱅이",
        "a.b",
    ],
)
def test_the_time_grows_with_the_text_alone(piece: str) -> None:
    begun = time.process_time()
    redact([piece * (200_000 // len(piece))], ["홍길동", "John Smith"])
    assert time.process_time() - begun < 1.5
