"""What a tenant has, all of it: filled through the API and a simulated Freshdesk, a word in everything."""

import time
from dataclasses import dataclass
from typing import Any

import httpx

from backend.simulator.freshdesk import Account
from backend.simulator.freshdesk.desk import ADMIN_ROLE

ALICE_DESK, TWIN_DESK, MALLORY_DESK = "alice-desk", "twin-desk", "mallory-desk"
KEYS = {ALICE_DESK: "alice-desk-key", TWIN_DESK: "twin-desk-key", MALLORY_DESK: "mallory-desk-key"}
FIRST_TICKET = 790_000_001
TICKETS = 3
ENTITY = "error_code"
WAIT = 30.0
_AT = "2026-05-01T09:00:00Z"


def make_account(subdomain: str, word: str | None) -> Account:
    """Return a desk; those of two words have the same ids and, but for the word, the same texts. None: an empty one."""
    account = Account(subdomain)
    account.agents[11] = {
        "id": 11,
        "contact": {"name": "Kim", "email": f"kim@{word or 'nobody'}.example"},
        "role_ids": [ADMIN_ROLE],
        "ticket_scope": 1,
        "group_ids": [],
        "type": "support_agent",
    }
    account.api_keys[KEYS[subdomain]] = 11
    account.contacts[21] = {"id": 21, "name": "Choi", "email": f"choi@{word or 'nobody'}.example"}
    if word is None:
        return account
    account.categories[31] = {"id": 31, "name": f"All of {word}", "description": word, **_dates()}
    for folder, visibility in {41: 1, 42: 3}.items():  # for everybody, for agents
        account.folders[folder] = {
            "id": folder,
            "name": f"Folder {folder} of {word}",
            "description": None,
            "category_id": 31,
            "parent_folder_id": None,
            "hierarchy": [],
            "visibility": visibility,
            "company_ids": [],
            "contact_segment_ids": [],
            "company_segment_ids": [],
            "articles_count": 1,
            "sub_folders_count": 0,
            **_dates(),
        }
        file = account.new_file(f"{word}.txt", "text/plain", f"The {word} guide is long and blue.\n".encode())
        article = account.add_article(
            folder, f"How to mend the {word} printer", f"<p>Switch the {word} printer off and on again.</p>"
        )
        article["attachments"] = [account.attach(file)]
    for number in range(FIRST_TICKET, FIRST_TICKET + TICKETS):
        file = account.new_file(f"log-{word}.txt", "text/plain", f"The {word} printer said E-402.\n".encode())
        account.add_ticket(
            f"The {word} printer is blue",
            f"<p>My {word} printer says E-402 and turns blue. My number is 010-2345-67{number % 100:02}.</p>",
            requester_id=21,
            id=number,
            files=[file],
            created_at=_AT,
            updated_at=_AT,
            status=4,
            tags=[word],
            silent=True,
        )
        account.add_conversation(number, f"<p>Please switch the {word} printer off and on again.</p>")
        account.add_conversation(number, f"<p>Only we know that {word} printers are broken.</p>", private=True)
        account.add_conversation(number, f"<p>Thank you, the {word} printer works.</p>", incoming=True)
    return account


def _dates() -> dict[str, str]:
    return {"created_at": _AT, "updated_at": _AT}


@dataclass(frozen=True)
class Desk:
    """The ids of one of each kind of thing."""

    ticket_id: str
    own_ticket_id: str
    article_id: str
    attachment_id: str
    sync_job_id: str
    key_id: str
    user_id: str
    feedback_id: str
    task_id: str
    draft_run_id: str
    draft_thread_id: str
    path: str
    key: str
    """Of an entity."""
    api_key: str
    webhook_secret: str


def fill(client: httpx.Client, subdomain: str, word: str) -> Desk:
    """Give a tenant one of everything, each with the word in it."""

    def post(path: str, **asked: Any) -> Any:
        answer = client.post(path, **asked)
        assert answer.status_code < 300, (path, answer.text)
        return answer.json() if answer.content else None

    installed = post("/setup/install", json={"domain": subdomain, "api_key": KEYS[subdomain]})
    job = ended(client, installed["job_id"])
    assert job["status"] == "success", job
    tickets = until(client, "/api/v1/tickets", lambda page: page["total"] == TICKETS)["items"]
    number = str(FIRST_TICKET)
    ticket = next(one for one in tickets if one["ticket_id"] == number)
    until(client, "/api/v1/tickets/statistics", lambda counts: not counts["unprocessed"])
    attachments = client.get("/api/v1/attachments", params={"ticket_id": number}).json()["items"]
    articles = client.get("/api/v1/articles").json()["items"]
    own = post("/api/v1/tickets", json={"ticket_id": "own-1", "title": f"My {word}", "description": word})["items"][0]
    post("/api/v1/tickets/own-1/conversations", json={"content": f"Only {word}.", "message_type": "private"})
    key = post("/api/v1/api-keys", json={"name": f"{word} key", "scopes": ["chat", "knowledge:read"]})
    user = post(
        "/api/v1/users", json={"email": f"mina@{word}.example", "name": f"Mina {word}", "password": "correct horse"}
    )
    assert client.get(f"/api/v1/tickets/{number}/summary", params={"model": "extractive"}).status_code == 200
    given = {"kind": "edit", "draft": f"A {word} draft", "final": word, "comment": word, "ticket_id": number}
    feedback = post("/api/v1/feedback", json=given)
    build = post("/rag/build", json={"documents": [f"The {word} rule: printers are blue."]})
    until(client, f"/rag/build/{build['task_id']}", lambda task: task["status"] == "completed")
    entities = [{"label": ENTITY, "key": "E-402", "name": word, "properties": {"about": word}}]
    entities.append({"label": "product", "key": "printer", "name": f"{word} printer", "properties": {}})
    post("/api/v1/graph/entities", json={"entities": entities})
    source, target = ({"label": one["label"], "key": one["key"]} for one in entities)
    related = {"source": source, "type": "about", "target": target, "properties": {"about": word}}
    post("/api/v1/graph/relations", json={"relations": [related]})
    path = "plan-790.txt"
    post("/api/v1/files", files={"file": (path, f"The {word} plan.".encode(), "text/plain")})
    draft = post(f"/api/v1/tickets/{number}/drafts", json={"model": "extractive", "instruction": f"Mention {word}."})
    return Desk(
        ticket_id=ticket["id"],
        own_ticket_id=own["id"],
        article_id=articles[0]["id"],
        attachment_id=attachments[0]["id"],
        sync_job_id=installed["job_id"],
        key_id=key["key_id"],
        user_id=user["user_id"],
        feedback_id=feedback["feedback_id"],
        task_id=build["task_id"],
        draft_run_id=draft["run_id"],
        draft_thread_id=draft["thread_id"],
        path=path,
        key="E-402",
        api_key=key["api_key"],
        webhook_secret=installed["webhook"]["secret"],
    )


def ended(client: httpx.Client, job_id: str) -> Any:
    """Return a collection when it has ended."""
    return until(client, f"/api/v1/sync/jobs/{job_id}", lambda job: job["status"] not in {"pending", "running"})


def until(client: httpx.Client, path: str, wanted: Any) -> Any:
    """Return what a path says once it says what is wanted."""
    deadline = time.monotonic() + WAIT
    while True:
        answer = client.get(path)
        assert answer.status_code == 200, (path, answer.text)
        found = answer.json()
        if wanted(found):
            return found
        assert time.monotonic() < deadline, found
        time.sleep(0.05)
