"""What a ticket is about, told for certain (I-13)."""

import time

import pytest

from backend.core.desk.entities import MAX_CODES, extract, ticket_part
from backend.core.knowledge_graph import check_entities, check_relations
from backend.dto.knowledge_graph import EntityKey


def keys(text: str, *products: str) -> list[str]:
    return [entity.key for entity in extract(text, products=products)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("E-1042 오류가 납니다", ["E-1042"]),
        ("로그인하면 E-1042가 떠요. err_connection_reset 아님", ["E-1042"]),
        ("(ERR_CONNECTION_RESET), then ERR404.", ["ERR_CONNECTION_RESET", "ERR404"]),
        ("ORA-00942: table or view; SQLSTATE[42S02]", ["ORA-00942", "SQLSTATE42S02"]),
        ("설치가 0x80070005 에서 멈춤", ["0x80070005"]),
        ("결제 PAY-5003, AUTH-401", ["PAY-5003", "AUTH-401"]),
        ("E-1042 and again E-1042", ["E-1042"]),
    ],
)
def test_error_codes_are_found(text: str, found: list[str]) -> None:
    assert keys(text) == found


@pytest.mark.parametrize(
    "text",
    [
        "주문번호 2026-1042, COVID-19, UTF-8, ISO-8859",
        "mail E-1042@example.com, https://x.test/E-1042, file E-1042.pdf",
        "MODE-1042X, THE-E-1042, 010-1234-5678",
        "ERROR: it failed. error 5",
        "0x12345678",
    ],
)
def test_what_only_looks_like_an_error_code_is_none(text: str) -> None:
    assert keys(text) == []


@pytest.mark.parametrize(
    ("text", "product", "there"),
    [
        ("클라우드 백업이 안 됩니다", "클라우드 백업", True),
        ("클라우드  백업에서", "클라우드 백업", True),
        ("멀티클라우드 백업", "클라우드 백업", False),
        ("MyApp을 켜면", "myapp", True),
        ("MyApps crash", "MyApp", False),
        ("use C++ (beta)", "C++", True),
        ("nothing", " ", False),
    ],
)
def test_products_are_those_that_the_tenant_named(text: str, product: str, there: bool) -> None:
    assert bool(keys(text, product)) is there


def test_a_ticket_s_place_in_the_graph() -> None:
    part = ticket_part(
        "freshdesk",
        "7",
        ["MyApp shows E-1042", "again E-1042"],
        tags=["클라우드  백업", "urgent"],
        products=["MyApp", "클라우드 백업", "Other"],
        company_id="31",
        company_name="가나상사",
    )

    assert part.source == EntityKey("ticket", "freshdesk:7")
    assert [entity.name for entity in part.entities] == ["#7", "MyApp", "E-1042", "클라우드 백업", "가나상사"]
    assert [(relation.type, relation.target.key) for relation in part.relations] == [
        ("about", "myapp"),
        ("mentions", "E-1042"),
        ("about", "클라우드 백업"),
        ("requested_by", "freshdesk:31"),
    ]
    check_entities(part.entities)
    check_relations(part.relations)


def test_hostile_text_takes_no_time_and_gives_only_what_can_be_kept() -> None:
    texts = ["ERR_" * 100_000, "E-" * 100_000, "\x00" * 1000, " ".join(f"E-{number:05}" for number in range(10_000))]
    begun = time.process_time()

    part = ticket_part(
        "freshdesk", "7", texts, products=["a" * 5000, "\x00", "(.*)+", *map(str, range(3000))], company_id="\x00"
    )
    many = extract(texts[-1])

    assert time.process_time() - begun < 2
    check_entities(part.entities)
    check_relations(part.relations)
    assert len(many) == MAX_CODES
