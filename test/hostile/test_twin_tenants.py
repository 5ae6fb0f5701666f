"""Two tenants with the same ids and, but for one word, the same texts: neither ever meets the other's word."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from test.hostile.conftest import SECRET, TWINS
from test.hostile.target import TWIN, Target, refused
from test.hostile.world import ALICE_DESK, ENTITY, FIRST_TICKET, KEYS, TICKETS, TWIN_DESK, Desk

TICKET = f"/api/v1/tickets/{FIRST_TICKET}"
PRINTER = "The printer says E-402 and turns blue. What helps?"
ASKED: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("GET", TICKET, {}),
    ("GET", f"{TICKET}/conversations", {"params": {"include_private": True}}),
    ("GET", f"{TICKET}/similar", {}),
    ("GET", f"{TICKET}/summary", {"params": {"model": "extractive"}}),
    ("GET", f"{TICKET}/summary", {"params": {"model": "extractive", "refresh": True}}),
    ("POST", "/api/v1/summaries", {"json": {"ticket_ids": [str(FIRST_TICKET)], "model": "extractive"}}),
    ("GET", "/api/v1/tickets", {"params": {"text": "printer", "limit": 100}}),
    ("GET", "/api/v1/tickets", {"params": {"text": SECRET}}),
    ("GET", "/api/v1/tickets", {"params": {"tag": SECRET}}),
    ("GET", "/api/v1/tickets", {"params": {"requester_email": f"choi@{SECRET}.example"}}),
    ("POST", "/api/v1/tickets/search", {"json": {"query": PRINTER, "limit": 50}}),
    ("GET", "/api/v1/tickets/export", {}),
    ("GET", "/api/v1/tickets/export", {"params": {"format": "csv", "text": "printer"}}),
    ("GET", "/api/v1/conversations", {"params": {"include_private": True}}),
    ("GET", "/api/v1/conversations", {"params": {"author_email": f"kim@{SECRET}.example", "include_private": True}}),
    ("GET", "/api/v1/articles", {}),
    ("GET", "/api/v1/objects", {"params": {"original": True}}),
    ("GET", "/api/v1/attachments", {"params": {"ticket_id": str(FIRST_TICKET)}}),
    ("POST", "/api/v1/knowledge/search", {"json": {"query": PRINTER, "limit": 50}}),
    ("POST", "/api/v1/chat", {"json": {"message": PRINTER, "agent": "answer", "model": "extractive", "keep": False}}),
    ("POST", "/api/chat", {"json": {"messages": [{"role": "user", "content": PRINTER}], "model": "extractive"}}),
    ("POST", f"{TICKET}/drafts", {"json": {"model": "extractive"}}),
    ("POST", "/runs/wait", {"json": {"assistant_id": "copilot", "input": {"ticket_id": str(FIRST_TICKET)}}}),
    ("POST", "/runs/wait", {"json": {"assistant_id": "summary", "input": {"ticket_id": str(FIRST_TICKET)}}}),
    ("GET", "/api/v1/files", {}),
    ("GET", "/api/v1/files/plan-790.txt", {}),
    ("GET", "/api/v1/graph/entities", {}),
    ("GET", "/api/v1/graph/entities", {"params": {"text": SECRET}}),
    ("GET", f"/api/v1/graph/entities/{ENTITY}/E-402", {}),
    ("GET", "/api/v1/graph/neighbours", {"params": {"label": ENTITY, "key": "E-402", "depth": 3, "limit": 200}}),
    (
        "GET",
        "/api/v1/graph/neighbours",
        {"params": {"label": "ticket", "key": f"freshdesk:{FIRST_TICKET}", "depth": 3}},
    ),
    ("GET", "/api/v1/users", {}),
    ("GET", "/api/v1/api-keys", {}),
    ("GET", "/api/v1/audit", {"params": {"limit": 100}}),
    ("GET", "/api/v1/feedback", {}),
    ("GET", "/api/v1/usage", {"params": {"group_by": "user"}}),
    ("GET", "/api/v1/tenant", {}),
    ("GET", "/setup/installations", {}),
    ("GET", "/api/v1/sync/status", {}),
    ("GET", "/api/v1/sync/jobs", {}),
    ("POST", "/threads/search", {"json": {"limit": 1000}}),
    ("POST", "/store/items/search", {"json": {"namespace_prefix": [], "limit": 1000}}),
)
OPEN_TO_DEFAULT_MODEL = {"/runs/wait"}
"""Their default model is out of reach: they end in a failure that must say nothing either."""


@pytest.fixture
def twin(target: Target, twins_desk: Desk) -> Iterator[httpx.Client]:
    with target.client(TWIN) as client:
        yield client


@pytest.fixture
def alice(target: Target, alices_desk: Desk) -> Iterator[httpx.Client]:
    with target.client() as client:
        yield client


def test_the_twins_have_the_same_ids(alices_desk: Desk, twins_desk: Desk, alice: httpx.Client) -> None:
    assert (alices_desk.path, alices_desk.key) == (twins_desk.path, twins_desk.key)
    assert alice.get(TICKET).json()["ticket_id"] == str(FIRST_TICKET)
    mine, others = vars(alices_desk), vars(twins_desk)
    for name in ("ticket_id", "article_id", "attachment_id", "draft_run_id", "draft_thread_id"):
        assert mine[name] != others[name], name  # our own ids are never the same


@pytest.mark.parametrize(("method", "path", "asked"), ASKED, ids=lambda value: value if isinstance(value, str) else "")
def test_neither_twin_meets_the_word_of_the_other(
    alice: httpx.Client, twin: httpx.Client, method: str, path: str, asked: dict[str, Any]
) -> None:
    for client, own, foreign in ((alice, SECRET, TWINS), (twin, TWINS, SECRET)):
        mine = {name: _with(own, value) for name, value in asked.items()}
        answer = client.request(method, path, **mine)
        assert answer.status_code < 300 or path in OPEN_TO_DEFAULT_MODEL, answer.text
        assert foreign not in answer.text
        stolen = client.request(method, path, **{name: _with(foreign, value) for name, value in asked.items()})
        assert foreign not in stolen.text.replace(f'"query":"{foreign}"', "")


def _with(word: str, value: Any) -> Any:
    """Return what is asked, by whoever's word it is."""
    if isinstance(value, dict):
        return {name: _with(word, one) for name, one in value.items()}
    return value.replace(SECRET, word) if isinstance(value, str) else value


def test_counts_are_ones_own(alice: httpx.Client, twin: httpx.Client) -> None:
    for client in (alice, twin):
        assert client.get("/api/v1/tickets", params={"limit": 1, "platform": "freshdesk"}).json()["total"] == TICKETS
        assert client.get("/api/v1/tickets/statistics").json()["total"] == TICKETS + 1  # and one of its own
        assert client.get("/api/v1/articles", params={"limit": 1}).json()["total"] == 2
        assert client.get("/api/v1/attachments", params={"limit": 1}).json()["total"] == TICKETS + 2
        found = client.get("/api/v1/tickets", params={"text": SECRET if client is twin else TWINS}).json()
        assert (found["items"], found["total"]) == ([], 0)
        assert len(client.post("/api/v1/tickets/search", json={"query": PRINTER, "limit": 50}).json()["items"]) <= 4


def test_a_cursor_of_the_other_twin_gives_ones_own_or_nothing(alice: httpx.Client, twin: httpx.Client) -> None:
    for path in ("/api/v1/tickets", "/api/v1/articles", "/api/v1/objects", "/api/v1/conversations"):
        first = alice.get(path, params={"limit": 1}).json()
        assert first["next"]
        behind = twin.get(path, params={"limit": 100, "before": first["next"]})
        assert behind.status_code == 200
        assert SECRET not in behind.text
        assert TWINS in behind.text or not behind.json()["items"]
    key = alice.get("/api/v1/attachments", params={"limit": 1}).json()["next"]
    assert SECRET not in twin.get("/api/v1/attachments", params={"after": key}).text


def test_the_keys_of_one_desk_do_not_open_the_other_tenant(target: Target, twins_desk: Desk, alices_desk: Desk) -> None:
    """(000-50) Tenant, domain and key belong together, in every spelling of the headers."""

    def asked(tenant: str, domain: str, key: str, address: str) -> httpx.Response:
        headers = {"X-Tenant-ID": tenant, "X-Platform": "freshdesk", "X-Domain": domain, "X-API-Key": key}
        with target.client(None, address=address) as client:
            return client.get("/api/v1/tickets", headers=headers)

    right = asked("default", ALICE_DESK, KEYS[ALICE_DESK], target.stranger())
    assert right.status_code == 200
    assert SECRET in right.text
    for tenant, domain, key in (
        ("default", TWIN_DESK, KEYS[TWIN_DESK]),
        ("default", ALICE_DESK, KEYS[TWIN_DESK]),
        ("default", TWIN_DESK, KEYS[ALICE_DESK]),
        ("twin", ALICE_DESK, KEYS[ALICE_DESK]),
        ("twin", TWIN_DESK, KEYS[ALICE_DESK]),
        ("twin", f"{TWIN_DESK}.freshdesk.com.evil.tld", KEYS[TWIN_DESK]),
        ("TWIN", TWIN_DESK, KEYS[TWIN_DESK]),
        ("twin'--", TWIN_DESK, KEYS[TWIN_DESK]),
        ("nobody", TWIN_DESK, KEYS[TWIN_DESK]),
    ):
        refused(asked(tenant, domain, key, target.stranger()), 401)
    with target.client(alices_desk.api_key) as narrow:  # a key's tenant is its own, whatever else is said
        said = narrow.get("/api/v1/agents", headers={"X-Tenant-ID": "twin", "X-Company-ID": "twin"})
        assert said.status_code == 200
        shown = narrow.get("/api/v1/auth/me", headers={"X-Tenant-ID": "twin"}).json()
        assert shown["tenant_id"] == "default"


def test_the_webhook_secret_of_one_tenant_is_none_for_the_other(
    target: Target, alices_desk: Desk, twins_desk: Desk
) -> None:
    body = {"freshdesk_webhook": {"ticket_id": FIRST_TICKET}}
    with target.client(None, address=target.stranger()) as nobody:
        for tenant, secret, status in (
            ("default", alices_desk.webhook_secret, 202),
            ("default", twins_desk.webhook_secret, 401),
            ("twin", alices_desk.webhook_secret, 401),
            ("twin", "", 401),
            ("other", alices_desk.webhook_secret, 401),
            ("nobody", alices_desk.webhook_secret, 401),
        ):
            answer = nobody.post(f"/setup/freshdesk/webhook/{tenant}", json=body, headers={"X-Webhook-Secret": secret})
            assert answer.status_code == status, (tenant, answer.text)
            assert SECRET not in answer.text


def test_what_one_twin_removes_the_other_keeps(target: Target, alice: httpx.Client, twin: httpx.Client) -> None:
    """Identical ids: a file, an entity, a ticket, at last the whole desk, with its index."""
    assert twin.delete("/api/v1/tickets/own-1").status_code == 204
    assert twin.delete("/api/v1/files/plan-790.txt").status_code == 204
    assert twin.delete(f"/api/v1/graph/entities/{ENTITY}/E-402").status_code == 204
    assert twin.delete("/setup/freshdesk", params={"purge": True}).status_code == 204
    for method, path, asked in ASKED:
        answer = twin.request(method, path, **asked)
        assert SECRET not in answer.text.replace(f'"query":"{SECRET}"', "")
    assert twin.get("/api/v1/tickets").json()["total"] == 0
    assert twin.get("/api/v1/attachments").json()["total"] == 0
    assert twin.post("/api/v1/tickets/search", json={"query": PRINTER}).json()["items"] == []
    assert alice.get("/api/v1/tickets").json()["total"] == TICKETS + 1
    assert len(alice.post("/api/v1/tickets/search", json={"query": PRINTER, "limit": 50}).json()["items"]) >= TICKETS
    files = alice.get("/api/v1/attachments").json()["items"]
    assert len(files) == TICKETS + 2
    for file in files:
        assert SECRET in alice.get(f"/api/v1/attachments/{file['id']}/content").text
    assert SECRET in alice.get("/api/v1/files/plan-790.txt").text
    assert SECRET in alice.get(f"/api/v1/graph/entities/{ENTITY}/E-402").text
    assert [one["status"] for one in alice.get("/setup/installations").json()["items"]] == ["installed"]
