"""The Freshdesk simulator, over real HTTP: each rule of the API that a client may meet (I-11).

What a client must live with is proven here, so that the tests of the client may rely on it: the 30 days, the 300 pages,
the credits, links that run out, and what goes wrong on the way.
"""

import io
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import httpx
import pytest

from backend.simulator.freshdesk import (
    AGENT_KEY,
    DEMO_KEY,
    Account,
    FreshdeskSimulator,
    demo_account,
    generated_account,
)

NOW = datetime(2026, 11, 20, 3, 0, tzinfo=UTC)
EVER = "2000-01-01T00:00:00Z"
ALL = {"updated_since": EVER, "per_page": "100", "order_by": "updated_at", "order_type": "asc"}


class Clock:
    """A time that stands until it is moved."""

    def __init__(self, now: datetime = NOW) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def forward(self, **much: float) -> None:
        self.now += timedelta(**much)


@contextmanager
def client(freshdesk: FreshdeskSimulator, key: str = DEMO_KEY, password: str = "X") -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"{freshdesk.url}/api/v2", auth=(key, password), timeout=10) as http:
        yield http


@pytest.fixture(scope="module")
def desk() -> Iterator[FreshdeskSimulator]:
    """A desk that no test changes."""
    with FreshdeskSimulator(demo_account(clock=Clock()), plan="unlimited") as freshdesk:
        yield freshdesk


@pytest.fixture(scope="module")
def http(desk: FreshdeskSimulator) -> Iterator[httpx.Client]:
    with client(desk) as opened:
        yield opened


@pytest.fixture(scope="module")
def bare() -> Iterator[httpx.Client]:
    """A client without a key, for links that bear their own signature."""
    with httpx.Client(timeout=60) as opened:
        yield opened


@pytest.fixture
def clock() -> Clock:
    return Clock()


def small(clock: Clock) -> Account:
    return generated_account(20, 2, now=NOW - timedelta(hours=1), clock=clock)


def ticket_of(source: FreshdeskSimulator | Account, number: int) -> dict[str, Any]:
    account = source if isinstance(source, Account) else source.account
    ticket = account.ticket(number)
    assert ticket is not None
    return ticket


def pages(http: httpx.Client, path: str, **query: str) -> Iterator[list[dict[str, Any]]]:
    answer = http.get(path, params=query)
    while True:
        assert answer.status_code == 200, answer.text
        yield answer.json()
        if "next" not in answer.links:
            return
        answer = http.get(answer.links["next"]["url"])


def everything(http: httpx.Client, path: str, **query: str) -> list[dict[str, Any]]:
    return [item for page in pages(http, path, **query) for item in page]


# Who asks


@pytest.mark.parametrize("password", ["X", ""])
def test_a_key_is_the_user_of_http_basic_with_any_password(desk, password):
    """(000-22)"""
    with client(desk, password=password) as http:
        me = http.get("/agents/me")
    assert me.status_code == 200
    assert me.json()["contact"]["email"].endswith("@ondam.example")


@pytest.mark.parametrize("authorization", [None, "Basic daedap-demo-api-key", "Bearer daedap-demo-api-key", "Basic !!"])
def test_a_key_that_is_not_in_basic_form_is_refused(desk, bare, authorization):
    """(000-22)"""
    headers = {} if authorization is None else {"authorization": authorization}
    answer = bare.get(f"{desk.url}/api/v2/tickets", headers=headers)
    assert answer.status_code == 401
    assert answer.json() == {
        "code": "invalid_credentials",
        "message": "You have to be logged in to perform this action.",
    }


def test_an_agent_without_the_right_is_refused_in_freshdesks_words(desk):
    with client(desk, AGENT_KEY) as http:
        assert http.get("/agents/me").status_code == 200
        answer = http.get("/agents")
        seen = everything(http, "/tickets", **ALL)
        foreign = next(n for n in desk.account.ids() if ticket_of(desk, n)["group_id"] != seen[0]["group_id"])
        assert http.get(f"/tickets/{foreign}").status_code == 403
    assert answer.status_code == 403
    assert answer.json() == {"code": "access_denied", "message": "You are not authorized to perform this action."}
    assert len({ticket["group_id"] for ticket in seen}) == 1


@pytest.mark.parametrize("path", ["/tickets/999999999", "/nothing/of/that", "/contacts/5", "/solutions/articles/7"])
def test_what_is_not_there_is_a_404_without_a_body(http, path):
    answer = http.get(path)
    assert answer.status_code == 404
    assert answer.content == b""


def test_a_wrong_method_and_a_wrong_content_type_are_refused(http):
    wrong = http.delete("/agents/me")
    assert wrong.status_code == 405
    assert wrong.headers["allow"] == "GET"
    assert wrong.json()["code"] == "method_not_allowed"
    form = http.post("/tickets/1/notes", data={"body": "x"})
    assert form.status_code == 415
    assert form.json()["code"] == "invalid_content_type"
    broken = http.post("/tickets/1/notes", content=b"{", headers={"content-type": "application/json"})
    assert (broken.status_code, broken.json()["code"]) == (400, "invalid_json")


def test_accounts_are_told_apart_by_their_path_and_know_nothing_of_each_other(bare):
    """(000-50)"""
    other = generated_account(10, subdomain="other-desk")
    other.api_keys = {"other-key": next(iter(other.agents))}
    with FreshdeskSimulator([generated_account(10, subdomain="desk"), other]) as freshdesk:
        key, own = (DEMO_KEY, "X"), ("other-key", "X")
        assert bare.get(f"{freshdesk.url_of('other-desk')}/api/v2/agents/me", auth=own).status_code == 200
        assert bare.get(f"{freshdesk.url_of('other-desk')}/api/v2/agents/me", auth=key).status_code == 401
        assert bare.get(f"{freshdesk.url_of('nobody')}/api/v2/agents/me", auth=key).status_code == 404
        assert bare.get(f"{freshdesk.root_url}/api/v2/agents/me", auth=key).status_code == 200


# Lists


def test_without_a_bound_only_tickets_of_the_last_30_days_are_listed(http):
    recent, whole = everything(http, "/tickets"), everything(http, "/tickets", updated_since=EVER)
    assert 30 < len(recent) < len(whole)
    assert min(ticket["created_at"] for ticket in recent) >= "2026-10-21T03:00:00Z"
    assert [ticket["created_at"] for ticket in recent] == sorted((t["created_at"] for t in recent), reverse=True)


def test_a_list_has_pages_a_link_to_the_next_and_no_total(http):
    first = http.get("/tickets", params={"updated_since": EVER})
    assert len(first.json()) == 30
    assert re.fullmatch(
        r'<http://127\.0\.0\.1:\d+/daedap-demo/api/v2/tickets\?.*page=2>; rel="next"', first.headers["link"]
    )
    assert not [name for name in first.headers if "total" in name and "ratelimit" not in name]
    *_, last = pages(http, "/tickets", **ALL)
    assert 0 < len(last) <= 100
    beyond = http.get("/tickets", params={**ALL, "page": "250"})
    assert beyond.json() == []
    assert "link" not in beyond.headers


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"per_page": "101"}, "per_page"),
        ({"per_page": "0"}, "per_page"),
        ({"page": "x"}, "page"),
        ({"order_by": "subject"}, "order_by"),
        ({"order_type": "up"}, "order_type"),
        ({"filter": "all"}, "filter"),
        ({"include": "conversations"}, "include"),
        ({"updated_since": "yesterday"}, "updated_since"),
        ({"since": "2026-01-01"}, "since"),
        ({"email": "nobody@nowhere.example"}, "email"),
    ],
)
def test_a_bad_field_is_named(http, query, field):
    answer = http.get("/tickets", params=query)
    assert answer.status_code == 400
    assert answer.json()["description"] == "Validation failed"
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert set(answer.json()["errors"][0]) == {"field", "message", "code"}


def test_all_tickets_come_once_in_the_order_of_their_change(http, desk):
    tickets = everything(http, "/tickets", **ALL)
    assert [ticket["id"] for ticket in tickets] == desk.account.ids()
    assert len(tickets) >= 300
    assert [ticket["updated_at"] for ticket in tickets] == sorted(ticket["updated_at"] for ticket in tickets)


def test_the_bound_is_inclusive_and_a_second_may_hold_more_than_a_page(http):
    tickets = everything(http, "/tickets", **ALL)
    seconds = [ticket["updated_at"] for ticket in tickets]
    busiest = max(set(seconds), key=seconds.count)
    assert seconds.count(busiest) > 100
    since = everything(http, "/tickets", **{**ALL, "updated_since": busiest})
    assert [ticket["id"] for ticket in since] == [t["id"] for t in tickets if t["updated_at"] >= busiest]


def test_page_301_is_refused_and_a_second_that_fills_300_pages_cannot_be_passed():
    account = generated_account(30_200, 0, same_second=30_150)
    with FreshdeskSimulator(account, plan="unlimited") as freshdesk, client(freshdesk) as http:
        last = http.get("/tickets", params={**ALL, "page": "300"})
        assert "page=301" in last.links["next"]["url"]
        refused = http.get(last.links["next"]["url"])
        assert refused.status_code == 400
        assert refused.json() == {
            "description": "Validation failed",
            "errors": [
                {
                    "field": "page",
                    "message": "You cannot access tickets beyond the 300th page. Please provide a smaller page number.",
                    "code": "invalid_value",
                }
            ],
        }
        again = http.get("/tickets", params={**ALL, "updated_since": last.json()[-1]["updated_at"]})
        assert again.json()[0]["id"] == 1  # the window does not move: all share one second


def test_spam_and_deleted_tickets_are_only_in_their_own_lists(http, desk):
    live = {ticket["id"] for ticket in everything(http, "/tickets", **ALL)}
    spam = everything(http, "/tickets", filter="spam")
    deleted = everything(http, "/tickets", filter="deleted")
    assert len(spam) >= 5
    assert all(ticket["spam"] for ticket in spam)
    assert len(deleted) >= 3
    assert all(ticket["deleted"] for ticket in deleted)
    assert not live & {ticket["id"] for ticket in spam + deleted}
    assert http.get(f"/tickets/{deleted[0]['id']}").json()["deleted"] is True


def test_tickets_are_listed_by_requester_company_and_order(http, desk):
    contact = ticket_of(desk, 300)["requester_id"]
    email = http.get(f"/contacts/{contact}").json()["email"]
    by_id = everything(http, "/tickets", requester_id=str(contact), **ALL)
    by_mail = everything(http, "/tickets", email=email, **ALL)
    assert [ticket["id"] for ticket in by_id] == [ticket["id"] for ticket in by_mail]
    assert {ticket["requester_id"] for ticket in by_id} == {contact}
    by_status = everything(http, "/tickets", updated_since=EVER, order_by="status", order_type="asc", per_page="100")
    assert [ticket["status"] for ticket in by_status] == sorted(ticket["status"] for ticket in by_status)
    assert {2, 3, 4, 5, 6, 7} == {ticket["status"] for ticket in by_status}


def test_a_list_has_descriptions_requesters_and_stats_only_when_asked(http):
    plain = http.get("/tickets", params=ALL).json()[0]
    assert not {"description", "description_text", "requester", "stats", "conversations", "attachments"} & set(plain)
    rich = http.get("/tickets", params={**ALL, "include": "description,requester,stats,company"}).json()[0]
    assert rich["description"].startswith("<")
    assert rich["description_text"]
    assert set(rich["requester"]) == {"id", "name", "email", "mobile", "phone"}
    assert set(rich["company"]) == {"id", "name"}
    assert {"resolved_at", "closed_at", "first_responded_at", "pending_since"} <= set(rich["stats"])


def test_a_ticket_embeds_at_most_ten_conversations_the_oldest_first():
    account = demo_account(clock=Clock())
    for position in range(40):
        account.add_conversation(9, f"<p>Message {position}</p>", private=position % 2 == 0)
    with FreshdeskSimulator(account) as freshdesk, client(freshdesk) as http:
        whole = everything(http, "/tickets/9/conversations")
        one = http.get("/tickets/9", params={"include": "conversations,requester,company,stats"}).json()
        first = http.get("/tickets/9/conversations")
        hundred = http.get("/tickets/9/conversations", params={"per_page": "100"})
    assert len(whole) >= 40
    assert len(first.json()) == 30
    assert len(hundred.json()) == len(whole)
    assert one["conversations"] == whole[:10]
    assert [item["created_at"] for item in whole] == sorted(item["created_at"] for item in whole)
    assert "attachments" in one
    assert "description" in one


def test_a_search_has_pages_of_30_and_no_eleventh():
    account = generated_account(400, 0, now=NOW)
    with FreshdeskSimulator(account, plan="unlimited") as freshdesk, client(freshdesk) as http:
        found = http.get("/search/tickets", params={"query": '"status:4 OR (status:5 AND priority:>2)"'}).json()
        assert len(found["results"]) == 30
        assert found["total"] > 100
        assert all(t["status"] == 4 or (t["status"] == 5 and t["priority"] >= 2) for t in found["results"])
        assert http.get("/search/tickets", params={"query": '"status:5"', "page": "11"}).status_code == 400
        for bad in ("status:2", '"subject:login"', '"status:2 AND"', '"' + "status:2 OR " * 60 + 'status:2"'):
            assert http.get("/search/tickets", params={"query": bad}).status_code == 400, bad
        freshdesk.account.update_ticket(1, tags=["just-now"], updated_at="2026-11-20T03:00:00Z")
        tagged = http.get("/search/tickets", params={"query": "\"tag:'just-now'\""}).json()
        assert [ticket["id"] for ticket in tagged["results"]] == [1]


# Limits


def test_every_answer_tells_the_limit_and_includes_cost_credits(clock):
    with FreshdeskSimulator(small(clock), clock=clock) as freshdesk, client(freshdesk) as http:
        spent, headers = [], httpx.Headers()
        for path, query in [
            ("/tickets/9", {}),
            ("/tickets/9", {"include": "conversations,requester"}),
            ("/tickets", {"include": "description,requester,stats"}),
            ("/tickets/99999", {}),
        ]:
            headers = http.get(path, params=query).headers
            spent.append(int(headers["x-ratelimit-used-currentrequest"]))
    assert spent == [1, 3, 7, 1]
    assert headers["x-ratelimit-total"] == "700"
    assert headers["x-ratelimit-remaining"] == str(700 - sum(spent))


def test_beyond_the_limit_a_429_says_when_to_come_back(clock):
    with (
        FreshdeskSimulator(small(clock), clock=clock, limit_per_minute=3) as freshdesk,
        client(freshdesk) as http,
    ):
        assert [http.get("/agents/me").status_code for _ in range(3)] == [200, 200, 200]
        clock.forward(seconds=20)
        refused = http.get("/agents/me")
        assert refused.status_code == 429
        assert refused.headers["retry-after"] == "40"
        assert refused.headers["x-ratelimit-remaining"] == "0"
        # Another key is of the same account.
        assert http.get("/agents/me", auth=(AGENT_KEY, "X")).status_code == 429
        # A wrong key is not told so: a 429 proves a key.
        assert http.get("/agents/me", auth=("wrong", "X")).status_code == 401
        clock.forward(seconds=40)
        assert http.get("/agents/me").status_code == 200


def test_a_429_may_come_without_retry_after(clock):
    with (
        FreshdeskSimulator(small(clock), clock=clock, limit_per_minute=0, retry_after=False) as freshdesk,
        client(freshdesk) as http,
    ):
        refused = http.get("/agents/me")
    assert refused.status_code == 429
    assert "retry-after" not in refused.headers


def test_the_plan_growth_allows_twenty_lists_of_tickets_a_minute(clock):
    with (
        FreshdeskSimulator(small(clock), clock=clock, plan="growth") as freshdesk,
        client(freshdesk) as http,
    ):
        answers = [http.get("/tickets", params={"per_page": "1"}).status_code for _ in range(21)]
        assert answers == [200] * 20 + [429]
        assert http.get("/tickets/9").status_code == 200


# Files


def test_links_to_files_run_out_and_reading_the_ticket_again_gives_a_new_one(clock, bare):
    account = demo_account(clock=clock)
    number = next(n for n in account.ids() if _names(account, n) & {"사업자등록증.pdf"})
    with (
        FreshdeskSimulator(account, clock=clock, link_seconds=60, separate_files=True) as freshdesk,
        client(freshdesk) as http,
    ):
        first = http.get(f"/tickets/{number}").json()["attachments"][0]
        file = bare.get(first["attachment_url"])
        assert file.status_code == 200
        assert file.content.startswith(b"%PDF")
        assert len(file.content) == first["file_size"]
        assert file.headers["content-type"] == first["content_type"]
        assert httpx.URL(first["attachment_url"]).port != httpx.URL(freshdesk.url).port
        clock.forward(seconds=61)
        late = bare.get(first["attachment_url"])
        assert late.status_code == 403
        assert late.headers["content-type"].startswith("application/xml")
        assert "<Code>AccessDenied</Code><Message>Request has expired</Message>" in late.text
        again = http.get(f"/tickets/{number}").json()["attachments"][0]
        assert again["id"] == first["id"]
        assert bare.get(again["attachment_url"]).content == file.content
        forged = bare.get(again["attachment_url"].replace("Expires=60", "Expires=6000"))
        assert forged.status_code == 403
        assert "SignatureDoesNotMatch" in forged.text
        assert [asked.had_key for asked in freshdesk.requests if asked.subdomain is None] == [False] * 4


def test_the_demo_has_files_that_are_well_damaged_lost_and_short_lived(http, desk, bare):
    from pypdf import PdfReader

    files = {}
    for number in desk.account.ids():
        if _names(desk.account, number):
            for attachment in http.get(f"/tickets/{number}").json()["attachments"]:
                files[attachment["name"]] = bare.get(attachment["attachment_url"])
    assert "BUSINESS REGISTRATION" in PdfReader(io.BytesIO(files["사업자등록증.pdf"].content)).pages[0].extract_text()
    assert files["문의내용.docx"].content.startswith(b"PK")
    assert files["screenshot.png"].content.startswith(b"\x89PNG")
    assert b"E-1042" in files["error.log.txt"].content
    assert not files["견적서(손상).pdf"].content.rstrip().endswith(b"%%EOF")
    assert files["거래명세서.pdf"].status_code == 404
    assert "NoSuchKey" in files["거래명세서.pdf"].text
    assert files["임시_로그.txt"].status_code == 200


def _names(account: Account, number: int) -> set[str]:
    return {attachment["name"] for attachment in ticket_of(account, number)["attachments"]}


# People and knowledge


def test_people_groups_companies_and_fields_are_read(http, desk):
    agents = everything(http, "/agents", per_page="2")
    assert [agent["id"] for agent in agents] == list(desk.account.agents)
    assert len(everything(http, "/groups")) == 5
    assert len(everything(http, "/companies")) == 12
    contacts = everything(http, "/contacts", per_page="100")
    assert all(re.fullmatch(r"010-0000-\d{4}", contact["mobile"]) for contact in contacts)
    assert everything(http, "/contacts", _updated_since="2026-11-19T00:00:00Z") == []
    status = next(field for field in http.get("/ticket_fields").json() if field["name"] == "status")
    assert status["choices"]["6"][0] == "Waiting on Customer"
    assert status["choices"]["7"][0] == "Waiting on Third Party"


def test_the_knowledge_base_is_walked_through_nested_folders_of_every_visibility(http):
    def below(folder: dict[str, Any]) -> Iterator[dict[str, Any]]:
        yield folder
        for nested in everything(http, f"/solutions/folders/{folder['id']}/subfolders"):
            yield from below(nested)

    categories = everything(http, "/solutions/categories")
    top = [f for c in categories for f in everything(http, f"/solutions/categories/{c['id']}/folders")]
    folders = [folder for each in top for folder in below(each)]
    articles = [a for f in folders for a in everything(http, f"/solutions/folders/{f['id']}/articles")]
    assert len(categories) == 3
    assert len(top) < len(folders)
    assert {folder["visibility"] for folder in folders} == {1, 2, 3, 4, 5, 6, 7}
    assert len({article["id"] for article in articles}) == len(articles) >= 40
    assert {article["status"] for article in articles} == {1, 2}
    by_folder = {folder["id"]: folder["visibility"] for folder in folders}
    assert all(article["folder_visibility"] == by_folder[article["folder_id"]] for article in articles)
    assert next(f for f in folders if f["visibility"] == 4)["company_ids"]


def test_an_article_is_read_in_its_languages(http, desk):
    translated = next(article for article in desk.account.articles.values() if article["translations"])
    single = next(article for article in desk.account.articles.values() if not article["translations"])
    path = f"/solutions/articles/{translated['id']}"
    assert http.get(path).json()["title"] == http.get(f"{path}/ko").json()["title"] == translated["title"]
    assert http.get(f"{path}/en").json()["title"].isascii()
    assert http.get(f"/solutions/articles/{single['id']}/en").status_code == 404
    assert http.get(f"{path}/fr").status_code == 404
    assert http.get("/solutions/categories/en").json()[0]["name"] == "User guide"


# What an account holds


def test_the_demo_is_always_the_same_and_korean_and_english():
    one, two = (demo_account(now=NOW, clock=Clock()) for _ in range(2))
    numbers = one.ids()
    assert numbers == two.ids()
    assert [ticket_of(one, n) for n in numbers] == [ticket_of(two, n) for n in numbers]
    assert [one.conversations(n) for n in numbers] == [two.conversations(n) for n in numbers]
    assert one.articles == two.articles
    korean = [n for n in numbers if re.search("[가-힣]", ticket_of(one, n)["subject"])]
    assert 150 < len(korean) < len(numbers) - 60


def test_the_demo_has_what_makes_support_mail_hard():
    account = demo_account(now=NOW, clock=Clock())
    tickets = [ticket_of(account, number) for number in account.ids()]
    messages = [message for number in account.ids() for message in account.conversations(number)]
    texts = "\n".join([ticket["description"] for ticket in tickets] + [message["body"] for message in messages])
    for sign in ("gmail_quote", "gmail_signature", "MsoNormal", "[자동응답]", "<b>From:</b>", "님이 작성:", "wrote:"):
        assert sign in texts, sign
    assert re.search(r"\d{6}-[12]99999\d", texts)  # residents' numbers of a region that is not
    assert re.search(r"4111[- ]1111[- ]1111[- ]1111", texts)
    assert "E-1042" in texts
    assert any(message["private"] for message in messages)
    assert any(message["automation_id"] for message in messages)
    assert any("merged into ticket" in message["body_text"] for message in messages)
    assert "{" not in "".join(ticket["subject"] for ticket in tickets)
    assert not re.search(r"\{(?!id\})\w+\}", texts)  # every slot was filled
    for ticket in tickets:
        times = [ticket["created_at"], *(m["created_at"] for m in account.conversations(ticket["id"]))]
        assert times == sorted(times)
        assert ticket["updated_at"] >= times[0]


def test_a_generated_desk_is_the_same_each_time_and_as_long_as_asked():
    account = generated_account(2_000, 5.0, now=NOW)
    other = generated_account(2_000, 5.0, now=NOW)
    threads = [account.conversations(number) for number in range(1, 2_001)]
    assert 4.7 < sum(len(thread) for thread in threads) / 2_000 < 5.3
    assert [ticket_of(account, n) for n in (1, 777, 2_000)] == [ticket_of(other, n) for n in (1, 777, 2_000)]
    ids = [message["id"] for thread in threads for message in thread]
    assert len(set(ids)) == len(ids)
    seconds = [ticket_of(account, number)["updated_at"] for number in account.ids()]
    assert seconds == sorted(seconds)
    assert max(map(seconds.count, set(seconds))) == 250


# Changes


def test_a_change_moves_a_ticket_to_the_end_of_the_changes(clock):
    account = generated_account(300, 2, now=NOW - timedelta(hours=1), clock=clock)
    with FreshdeskSimulator(account, clock=clock) as freshdesk, client(freshdesk) as http:
        since = {**ALL, "updated_since": "2026-11-20T02:30:00Z"}
        assert everything(http, "/tickets", **since) == []
        account.update_ticket(7, status=4)
        clock.forward(seconds=5)
        account.add_conversation(3, "<p>다시 문의드립니다.</p>", incoming=True)
        clock.forward(seconds=5)
        account.edit_conversation(3, account.conversations(3)[-1]["id"], "<p>수정했습니다.</p>")
        account.delete_ticket(8)
        account.mark_spam(9)
        account.erase_ticket(10)
        assert everything(http, "/tickets", **since)[0]["status"] == 4
        assert [ticket["id"] for ticket in everything(http, "/tickets", **since)] == [7, 3]
        assert [ticket["id"] for ticket in everything(http, "/tickets", filter="deleted", **since)] == [8]
        assert [ticket["id"] for ticket in everything(http, "/tickets", filter="spam", **since)] == [9]
        assert http.get("/tickets/10").status_code == 404
        assert http.get("/tickets/3/conversations").json()[-1]["body_text"] == "수정했습니다."
        assert len(everything(http, "/tickets", **ALL)) == 297
        account.restore_ticket(8)
        assert [ticket["id"] for ticket in everything(http, "/tickets", **since)] == [7, 3, 8]


def test_a_merge_closes_one_ticket_and_tells_both(clock):
    account = demo_account(clock=clock)
    account.merge(20, 30)
    with FreshdeskSimulator(account, clock=clock) as freshdesk, client(freshdesk) as http:
        assert http.get("/tickets/20").json()["status"] == 5
        assert (
            http.get("/tickets/20/conversations").json()[-1]["body_text"]
            == "This ticket is closed and merged into ticket 30"
        )
        assert http.get("/tickets/30/conversations").json()[-1]["body_text"].startswith("Merged from ticket 20")


def test_notes_and_replies_are_written_and_bump_the_ticket(clock):
    account = demo_account(clock=clock, now=NOW - timedelta(days=1))
    with FreshdeskSimulator(account, clock=clock) as freshdesk, client(freshdesk) as http:
        note = http.post("/tickets/12/notes", json={"body": "<p>확인 중</p>"})
        assert (note.status_code, note.json()["private"], note.json()["source"]) == (201, True, 2)
        assert note.json()["user_id"] == http.get("/agents/me").json()["id"]
        reply = http.post("/tickets/12/reply", json={"body": "<p>해결했습니다.</p>"})
        assert (reply.status_code, reply.json()["private"], reply.json()["incoming"]) == (201, False, False)
        missing = http.post("/tickets/12/notes", json={"private": True})
        assert missing.json()["errors"][0] == {
            "field": "body",
            "message": "It should be a/an String",
            "code": "missing_field",
        }
        assert http.put("/tickets/12", json={"status": 4, "tags": ["done"]}).json()["status"] == 4
        assert http.put("/tickets/12", json={"colour": "red"}).status_code == 400
        assert http.get("/tickets/12").json()["updated_at"] == "2026-11-20T03:00:00Z"
        made = http.post(
            "/tickets", json={"subject": "문의", "description": "<p>안녕하세요</p>", "email": "new@shop.example"}
        )
        assert made.status_code == 201
        assert http.delete(f"/tickets/{made.json()['id']}").status_code == 204
        bulk = http.post("/tickets/bulk_update", json={"bulk_action": {"ids": [1, 2], "properties": {"status": 5}}})
        assert bulk.status_code == 202
        assert [message["id"] for message in http.get("/tickets/12/conversations").json()][-2:] == [
            note.json()["id"],
            reply.json()["id"],
        ]


def test_an_article_is_hidden_moved_out_of_sight_and_deleted(clock):
    account = demo_account(clock=clock)
    with FreshdeskSimulator(account, clock=clock) as freshdesk, client(freshdesk) as http:
        first, second, *_ = account.articles
        account.hide_article(first)
        assert http.get(f"/solutions/articles/{first}").json()["status"] == 1
        folder = account.articles[second]["folder_id"]
        account.set_visibility(folder, 3)
        assert http.get(f"/solutions/folders/{folder}").json()["visibility"] == 3
        assert http.get(f"/solutions/articles/{second}").json()["folder_visibility"] == 3
        account.delete_article(first)
        assert http.get(f"/solutions/articles/{first}").status_code == 404


# Webhooks


class Receiver:
    """What a webhook is sent to."""

    def __init__(self) -> None:
        self.status = 200
        self.got: list[tuple[dict[str, Any], str | None]] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                receiver.got.append((body, self.headers.get("x-webhook-secret")))
                self.send_response(receiver.status)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/hook"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    opened = Receiver()
    yield opened
    opened.close()


def test_a_change_is_told_with_the_secret(clock, receiver):
    with FreshdeskSimulator(small(clock), clock=clock) as freshdesk:
        sender = freshdesk.send_webhooks(receiver.url, secret="s3cret", background=False)
        freshdesk.account.update_ticket(5, status=4)
        assert sender.deliver() == 1
    body, secret = receiver.got[0]
    assert secret == "s3cret"
    assert body["freshdesk_webhook"]["ticket_id"] == 5
    assert body["freshdesk_webhook"]["ticket_status"] == "Resolved"
    assert "@" in body["freshdesk_webhook"]["ticket_contact_email"]


def test_a_failed_webhook_is_tried_again_after_5_30_and_60_minutes_and_then_a_mail_is_sent(clock, receiver):
    receiver.status = 500
    with FreshdeskSimulator(small(clock), clock=clock) as freshdesk:
        sender = freshdesk.send_webhooks(receiver.url, background=False)
        freshdesk.account.update_ticket(5, status=4)
        attempts = []
        for minute in range(120):
            before = len(receiver.got)
            sender.deliver()
            attempts += [minute] * (len(receiver.got) - before)
            clock.forward(minutes=1)
        assert attempts == [0, 5, 35, 95]
        assert not sender.outbox.waiting
        assert [mail.delivery.status for mail in sender.outbox.mails] == [500]


def test_webhooks_count_against_the_limit_wait_an_hour_and_are_dropped_after_a_day(clock, receiver):
    with FreshdeskSimulator(small(clock), clock=clock, limit_per_minute=0) as freshdesk:
        sender = freshdesk.send_webhooks(receiver.url, background=False)
        freshdesk.account.update_ticket(5, status=4)
        for _ in range(24):
            sender.deliver()
            assert sender.outbox.waiting[0].due == clock.now + timedelta(hours=1)
            clock.forward(hours=1)
        sender.deliver()
        assert (sender.outbox.waiting, len(sender.outbox.dropped), receiver.got) == ([], 1, [])


# What goes wrong


def test_faults_happen_to_the_next_requests_and_are_over(desk):
    with client(desk) as http:
        for kind, status in (("html_500", 500), ("html_502", 502), ("html_200", 200)):
            desk.faults.add(kind, path=r"/tickets$", times=2)
            assert http.get("/agents/me").status_code == 200
            for _ in range(2):
                page = http.get("/tickets")
                assert page.status_code == status
                assert page.headers["content-type"].startswith("text/html")
            assert http.get("/tickets").headers["content-type"].startswith("application/json")


def test_a_storm_of_429_comes_with_and_without_retry_after(desk):
    with client(desk) as http:
        desk.faults.add("too_many", times=2, retry_after=7)
        desk.faults.add("too_many", retry_after=None)
        answers = [http.get("/agents/me") for _ in range(4)]
    assert [answer.status_code for answer in answers] == [429, 429, 429, 200]
    assert [answer.headers.get("retry-after") for answer in answers] == ["7", "7", None, None]


def test_answers_are_cut_reset_slowed_and_mislabelled(desk):
    with client(desk) as http:
        desk.faults.add("truncated")
        with pytest.raises(json.JSONDecodeError):
            http.get("/tickets").json()
        desk.faults.add("cut")
        with pytest.raises(httpx.RemoteProtocolError):
            http.get("/tickets")
        desk.faults.add("reset")
        with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
            http.get("/tickets")
        desk.faults.add("slow", seconds=0.3)
        with http.stream("GET", "/tickets") as answer:
            assert len(list(answer.iter_raw())) > 5
        desk.faults.add("slow", seconds=20)
        with pytest.raises(httpx.ReadTimeout):
            http.get("/tickets", timeout=0.2)
        desk.faults.add("wrong_type")
        mislabelled = http.get("/tickets")
        assert mislabelled.headers["content-type"] == "text/html"
        assert len(mislabelled.json()) == 30


def test_items_are_malformed_and_descriptions_are_huge(desk):
    with client(desk) as http:
        desk.faults.add("malformed_items")
        items = http.get("/tickets").json()
        assert len(items) == 30
        whole = [item for item in items if isinstance(item, dict) and isinstance(item.get("id"), int)]
        assert len(whole) >= 15
        assert None in items
        assert any(isinstance(item.get("updated_at"), int) for item in whole)
        desk.faults.add("huge_description", path=r"/tickets/9$")
        assert len(http.get("/tickets/9").json()["description"].encode()) > 9_000_000


def test_a_fault_may_wait_for_some_requests_and_the_log_tells_what_was_asked(desk):
    desk.faults.add("html_500", after=2)
    with client(desk) as http:
        assert [http.get("/agents/me").status_code for _ in range(4)] == [200, 200, 500, 200]
    last = desk.requests[-1]
    assert (last.method, last.path, last.status, last.credits, last.subdomain) == (
        "GET",
        "/api/v2/agents/me",
        200,
        1,
        "daedap-demo",
    )
    assert desk.count(r"/agents/me$") >= 4
