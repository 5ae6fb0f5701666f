"""Two tenants on one server: whatever Mallory asks for with Alice's ids, she gets nothing of Alice's, by any door."""

import asyncio
import base64
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import httpx
import orjson
import pytest
import socketio
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from backend.config.setting import Settings
from backend.container import Container
from backend.main import create_app
from backend.middleware.auth import BearerTokenAuthMiddleware
from test.hostile.conftest import SECRET
from test.hostile.target import ALICE, MALLORY, Target, refused
from test.hostile.world import ENTITY, KEYS, MALLORY_DESK, Desk

PUBLIC = BearerTokenAuthMiddleware.PUBLIC | BearerTokenAuthMiddleware.DOCS | BearerTokenAuthMiddleware.LOGIN
CHAT = {"message": "Whose secret is it?", "agent": "echo"}
TEXT = {"title": "Mine", "text": "# Mine\n\nNothing of anybody else."}
RUN = {"assistant_id": "echo", "input": {"messages": [{"role": "user", "content": "Whose secret is it?"}]}}
CRON = {"assistant_id": "echo", "schedule": "0 0 29 2 *"}
ITEM = {"namespace": ["memories", "all"], "key": "secret"}
FOLLOW = {"channels": ["values", "lifecycle"]}
MESSAGE = {"kind": "message", "messageId": "1", "role": "user", "parts": [{"kind": "text", "text": "hi"}]}
PLAIN = {"messages": [{"role": "user", "content": "Whose secret is it?"}], "agent": "echo"}
MINE = {"label": "topic", "key": "mine", "name": "Mine"}
TO_ITSELF = {
    "source": {"label": "topic", "key": "mine"},
    "type": "related_to",
    "target": {"label": "topic", "key": "mine"},
}
INSTALL = {"domain": MALLORY_DESK, "api_key": KEYS[MALLORY_DESK]}

BODIES: dict[tuple[str, str], dict[str, Any]] = {
    ("POST", "/api/v1/threads"): {"json": {}},
    ("GET", "/api/v1/threads"): {},
    ("GET", "/api/v1/threads/{thread_id}"): {},
    ("PATCH", "/api/v1/threads/{thread_id}"): {"json": {"metadata": {"mine": True}}},
    ("DELETE", "/api/v1/threads/{thread_id}"): {},
    ("GET", "/api/v1/threads/{thread_id}/messages"): {},
    ("GET", "/api/v1/threads/{thread_id}/runs"): {},
    ("POST", "/api/v1/threads/{thread_id}/chat"): {"json": CHAT},
    ("POST", "/api/v1/threads/{thread_id}/chat/stream"): {"json": CHAT},
    ("POST", "/api/v1/chat"): {"json": CHAT},
    ("POST", "/api/v1/chat/stream"): {"json": CHAT},
    ("GET", "/api/v1/runs/{run_id}"): {},
    ("POST", "/api/v1/runs/{run_id}/cancel"): {"json": {"action": "rollback"}},
    ("POST", "/api/v1/runs/{run_id}/resume"): {"json": {"answer": "yes"}},
    ("GET", "/api/v1/runs/{run_id}/stream"): {},
    ("GET", "/api/v1/agents"): {},
    ("GET", "/api/v1/knowledge/documents"): {},
    ("POST", "/api/v1/knowledge/documents"): {"json": TEXT},
    ("GET", "/api/v1/knowledge/documents/{document_id}"): {},
    ("DELETE", "/api/v1/knowledge/documents/{document_id}"): {},
    ("POST", "/api/v1/knowledge/upload"): {"files": [("files", ("mine.md", b"# Mine\n\nNothing else."))]},
    ("GET", "/api/v1/knowledge/jobs"): {},
    ("GET", "/api/v1/knowledge/jobs/{job_id}"): {},
    ("POST", "/api/v1/knowledge/jobs/{job_id}/cancel"): {},
    ("GET", "/api/v1/knowledge/jobs/{job_id}/events"): {},
    ("POST", "/api/v1/knowledge/search"): {"json": {"query": f"What is {SECRET}?", "limit": 50}},
    ("GET", "/api/v1/citations/{passage_id}"): {},
    ("POST", "/v1/chat/completions"): {
        "json": {"model": "answer:extractive", "messages": [{"role": "user", "content": f"What is {SECRET}?"}]}
    },
    ("GET", "/v1/models"): {},
    ("GET", "/v1/models/{model}"): {},
    ("WEBSOCKET", "/ws/chat"): {},
    # The Agent Server API.
    ("GET", "/metrics"): {},
    ("POST", "/assistants"): {"json": {"graph_id": "echo"}},
    ("POST", "/assistants/search"): {"json": {"limit": 1000}},
    ("POST", "/assistants/count"): {"json": {}},
    ("GET", "/assistants/{assistant_id}"): {},
    ("PATCH", "/assistants/{assistant_id}"): {"json": {"metadata": {"mine": True}}},
    ("DELETE", "/assistants/{assistant_id}"): {"params": {"delete_threads": True}},
    ("GET", "/assistants/{assistant_id}/graph"): {},
    ("GET", "/assistants/{assistant_id}/schemas"): {},
    ("GET", "/assistants/{assistant_id}/subgraphs"): {},
    ("GET", "/assistants/{assistant_id}/subgraphs/{namespace}"): {},
    ("POST", "/assistants/{assistant_id}/versions"): {"json": {}},
    ("POST", "/assistants/{assistant_id}/latest"): {"json": {"version": 1}},
    ("POST", "/threads"): {"json": {}},
    ("POST", "/threads/search"): {"json": {"limit": 1000}},
    ("POST", "/threads/count"): {"json": {}},
    ("POST", "/threads/prune"): {"json": {"thread_ids": []}},
    ("GET", "/threads/{thread_id}"): {"params": {"include": "ttl"}},
    ("PATCH", "/threads/{thread_id}"): {"json": {"metadata": {"mine": True}}},
    ("DELETE", "/threads/{thread_id}"): {},
    ("POST", "/threads/{thread_id}/copy"): {},
    ("GET", "/threads/{thread_id}/storage"): {},
    ("GET", "/threads/{thread_id}/state"): {"params": {"subgraphs": True}},
    ("POST", "/threads/{thread_id}/state"): {"json": {"values": {"messages": []}}},
    ("GET", "/threads/{thread_id}/state/{checkpoint_id}"): {},
    ("POST", "/threads/{thread_id}/state/checkpoint"): {"json": {"checkpoint": {}}},
    ("GET", "/threads/{thread_id}/history"): {"params": {"limit": 100}},
    ("POST", "/threads/{thread_id}/history"): {"json": {"limit": 100}},
    ("GET", "/threads/{thread_id}/stream"): {},
    ("POST", "/threads/{thread_id}/commands"): {"json": {"id": 1, "method": "state.get", "params": {}}},
    ("POST", "/threads/{thread_id}/stream/events"): {"json": FOLLOW},
    ("WEBSOCKET", "/threads/{thread_id}/stream/events"): {},
    ("POST", "/threads/{thread_id}/runs"): {"json": RUN},
    ("POST", "/threads/{thread_id}/runs/stream"): {"json": RUN},
    ("POST", "/threads/{thread_id}/runs/wait"): {"json": RUN},
    ("POST", "/threads/{thread_id}/runs/crons"): {"json": CRON},
    ("GET", "/threads/{thread_id}/runs"): {},
    ("GET", "/threads/{thread_id}/runs/{run_id}"): {},
    ("DELETE", "/threads/{thread_id}/runs/{run_id}"): {},
    ("GET", "/threads/{thread_id}/runs/{run_id}/join"): {},
    ("GET", "/threads/{thread_id}/runs/{run_id}/stream"): {"headers": {"Last-Event-ID": "-1"}},
    ("POST", "/threads/{thread_id}/runs/{run_id}/cancel"): {"params": {"action": "rollback"}},
    ("POST", "/runs"): {"json": RUN},
    ("POST", "/runs/stream"): {"json": RUN},
    ("POST", "/runs/wait"): {"json": RUN},
    ("POST", "/runs/batch"): {"json": [RUN]},
    ("POST", "/runs/cancel"): {"json": {"status": "all"}},
    ("GET", "/runs/{run_id}/join"): {},
    ("GET", "/runs/{run_id}/stream"): {"headers": {"Last-Event-ID": "-1"}},
    ("POST", "/runs/{run_id}/cancel"): {"params": {"action": "rollback"}},
    ("POST", "/runs/crons"): {"json": CRON},
    ("POST", "/runs/crons/search"): {"json": {"limit": 1000}},
    ("POST", "/runs/crons/count"): {"json": {}},
    ("GET", "/runs/crons/{cron_id}"): {},
    ("PATCH", "/runs/crons/{cron_id}"): {"json": {"enabled": False}},
    ("DELETE", "/runs/crons/{cron_id}"): {},
    ("PUT", "/store/items"): {"json": {"namespace": ["memories", "mine"], "key": "mine", "value": {"mine": True}}},
    ("GET", "/store/items"): {"params": {"namespace": "memories.all", "key": "secret"}},
    ("DELETE", "/store/items"): {"json": ITEM},
    ("POST", "/store/items/search"): {"json": {"namespace_prefix": [], "limit": 1000}},
    ("POST", "/store/namespaces"): {"json": {"limit": 1000}},
    ("POST", "/mcp"): {"json": {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}},
    ("GET", "/mcp"): {},
    ("DELETE", "/mcp"): {},
    ("POST", "/a2a/{assistant_id}"): {
        "json": {"jsonrpc": "2.0", "id": 1, "method": "message/send", "params": {"message": MESSAGE}}
    },
    ("GET", "/a2a/{assistant_id}"): {},
    ("DELETE", "/a2a/{assistant_id}"): {},
    ("GET", "/a2a/{assistant_id}/.well-known/agent-card.json"): {},
    ("GET", "/a2a/{assistant_id}/.well-known/agent.json"): {},
    ("GET", "/.well-known/agent-card.json"): {"params": {"assistant_id": "echo"}},
    # The plain chat, and texts as knowledge.
    ("POST", "/api/chat"): {"json": PLAIN},
    ("POST", "/api/chat/"): {"json": PLAIN},
    ("POST", "/api/chat/stream"): {"json": PLAIN},
    ("POST", "/api/chat/stream/"): {"json": PLAIN},
    ("GET", "/api/chat/stream/{run_id}"): {},
    ("POST", "/rag/build"): {"json": ["Nothing of anybody else."]},
    ("POST", "/rag/build/"): {"json": ["Nothing of anybody else."]},
    ("GET", "/rag/build/{task_id}"): {},
    # The tenant itself.
    ("GET", "/api/v1/auth/me"): {},
    ("POST", "/api/v1/auth/logout-all"): {},
    ("POST", "/api/v1/auth/password"): {"json": {"current_password": "nobody's", "new_password": "correct horse"}},
    ("GET", "/api/v1/tenant"): {},
    ("PATCH", "/api/v1/tenant"): {"json": {"version": 1, "name": "Mine"}},
    ("GET", "/api/v1/tenant/export"): {},
    ("GET", "/api/v1/tenants"): {},
    ("POST", "/api/v1/tenants"): {"json": {"tenant_id": "mine-too"}},
    ("GET", "/api/v1/tenants/{tenant_id}"): {},
    ("PATCH", "/api/v1/tenants/{tenant_id}"): {"json": {"version": 1, "name": "Mine"}},
    ("DELETE", "/api/v1/tenants/{tenant_id}"): {},
    ("POST", "/api/v1/tenants/{tenant_id}/owners"): {
        "json": {"email": "mallory@mallory.example", "password": "correct horse battery"}
    },
    ("POST", "/api/v1/tenants/{tenant_id}/suspend"): {},
    ("POST", "/api/v1/tenants/{tenant_id}/activate"): {},
    ("POST", "/api/v1/users"): {"json": {"email": "mine@mine.example", "name": "Mine"}},
    ("GET", "/api/v1/users"): {},
    ("GET", "/api/v1/users/me"): {},
    ("GET", "/api/v1/users/{user_id}"): {},
    ("PATCH", "/api/v1/users/{user_id}"): {"json": {"name": "Mine", "role": "viewer"}},
    ("DELETE", "/api/v1/users/{user_id}"): {},
    ("POST", "/api/v1/api-keys"): {"json": {"name": "Mine", "scopes": ["chat"]}},
    ("GET", "/api/v1/api-keys"): {"params": {"limit": 100}},
    ("GET", "/api/v1/api-keys/{key_id}"): {},
    ("DELETE", "/api/v1/api-keys/{key_id}"): {},
    ("GET", "/api/v1/audit"): {"params": {"limit": 100}},
    ("GET", "/api/v1/request-log"): {},
    ("GET", "/api/v1/usage"): {},
    ("GET", "/api/v1/usage/me"): {},
    # The support desk.
    ("GET", "/api/v1/tickets"): {"params": {"limit": 100}},
    ("POST", "/api/v1/tickets"): {"json": {"ticket_id": "mine-1", "title": "Mine"}},
    ("GET", "/api/v1/tickets/export"): {},
    ("POST", "/api/v1/tickets/search"): {"json": {"query": f"the {SECRET} printer", "limit": 50}},
    ("GET", "/api/v1/tickets/statistics"): {},
    ("GET", "/api/v1/tickets/{ticket}"): {},
    ("PATCH", "/api/v1/tickets/{ticket}"): {"json": {"version": 1, "title": "Mine"}},
    ("DELETE", "/api/v1/tickets/{ticket}"): {},
    ("GET", "/api/v1/tickets/{ticket}/conversations"): {"params": {"include_private": True}},
    ("POST", "/api/v1/tickets/{ticket}/conversations"): {"json": {"content": "Mine"}},
    ("POST", "/api/v1/tickets/{ticket_id}/drafts"): {"json": {}},
    ("GET", "/api/v1/tickets/{ticket_id}/similar"): {},
    ("GET", "/api/v1/tickets/{ticket_id}/summary"): {"params": {"model": "extractive"}},
    ("POST", "/api/v1/drafts/{run_id}/decision"): {"json": {"action": "accept", "write_note": True}},
    ("GET", "/api/v1/conversations"): {"params": {"include_private": True, "limit": 100}},
    ("GET", "/api/v1/articles"): {"params": {"limit": 100}},
    ("GET", "/api/v1/articles/{article_id}"): {},
    ("GET", "/api/v1/objects"): {"params": {"original": True, "limit": 100}},
    ("GET", "/api/v1/attachments"): {"params": {"limit": 100}},
    ("GET", "/api/v1/attachments/{attachment_id}"): {},
    ("GET", "/api/v1/attachments/{attachment_id}/content"): {},
    ("HEAD", "/api/v1/attachments/{attachment_id}/content"): {},
    ("POST", "/api/v1/summaries"): {"json": {"ticket_ids": ["mine-1"], "model": "extractive"}},
    ("GET", "/api/v1/feedback"): {"params": {"limit": 100}},
    ("POST", "/api/v1/feedback"): {"json": {"kind": "accept", "draft": "Mine", "platform": "api"}},
    ("GET", "/api/v1/threads/{thread_id}/claim"): {},
    ("POST", "/api/v1/threads/{thread_id}/claim"): {"json": {"seconds": 60}},
    ("DELETE", "/api/v1/threads/{thread_id}/claim"): {},
    # Files and the graph.
    ("POST", "/api/v1/files"): {"files": {"file": ("mine.txt", b"Mine", "text/plain")}},
    ("GET", "/api/v1/files"): {"params": {"limit": 1000}},
    ("GET", "/api/v1/files/{path}"): {},
    ("HEAD", "/api/v1/files/{path}"): {},
    ("PUT", "/api/v1/files/{path}"): {"content": b"Mine"},
    ("DELETE", "/api/v1/files/{path}"): {},
    ("POST", "/api/v1/files/{path}/link"): {},
    ("POST", "/api/v1/graph/entities"): {"json": {"entities": [MINE]}},
    ("GET", "/api/v1/graph/entities"): {"params": {"limit": 200}},
    ("GET", "/api/v1/graph/entities/{label}/{key}"): {},
    ("DELETE", "/api/v1/graph/entities/{label}/{key}"): {},
    ("GET", "/api/v1/graph/neighbours"): {"params": {"label": "topic", "key": "mine", "depth": 3, "limit": 200}},
    ("POST", "/api/v1/graph/relations"): {"json": {"relations": [TO_ITSELF]}},
    ("DELETE", "/api/v1/graph/relations"): {
        "params": {
            "source_label": "topic",
            "source_key": "mine",
            "type": "related_to",
            "target_label": "topic",
            "target_key": "mine",
        }
    },
    # Collecting.
    ("POST", "/api/v1/sync/jobs"): {"json": {"kind": "incremental"}},
    ("POST", "/setup/test-freshdesk-connection"): {"json": INSTALL},
    ("POST", "/setup/install"): {"json": INSTALL},
    ("GET", "/setup/installations"): {},
    ("POST", "/setup/{platform}/key"): {"json": {"api_key": KEYS[MALLORY_DESK]}},
    ("POST", "/setup/{platform}/webhook-secret"): {},
    ("POST", "/setup/{platform}/webhook/{tenant_id}"): {"json": {"ticket_id": 1}},
    ("GET", "/api/v1/sync/status"): {},
    ("GET", "/api/v1/sync/jobs"): {},
    ("GET", "/api/v1/sync/jobs/{job_id}"): {},
    ("GET", "/api/v1/sync/jobs/{job_id}/events"): {},
    ("GET", "/api/v1/sync/jobs/{job_id}/issues"): {},
    ("POST", "/api/v1/sync/jobs/{job_id}/cancel"): {},
    ("POST", "/api/v1/sync/jobs/{job_id}/pause"): {},
    ("POST", "/api/v1/sync/jobs/{job_id}/resume"): {},
    ("DELETE", "/setup/{platform}"): {"params": {"purge": True}},
}
"""How each route is asked that is not public. A route that is not here fails the test: think of its tenants first."""
SHARED = {
    "model": "answer",
    "namespace": "node",
    "label": ENTITY,
    "platform": "freshdesk",
    "tenant_id": "default",  # Alice's
}
"""What a path names that belongs to nobody."""
NEVER_DONE = {
    ("GET", "/mcp"): 405,
    ("DELETE", "/mcp"): 404,
    ("DELETE", "/a2a/{assistant_id}"): 405,
    ("POST", "/runs/cancel"): 404,  # while one has no run
    ("POST", "/api/v1/auth/logout-all"): 404,  # a token is nobody's
    ("POST", "/api/v1/auth/password"): 404,
    ("GET", "/api/v1/users/me"): 404,
    ("POST", "/api/v1/sync/jobs"): 404,  # while nothing is installed
    ("POST", "/api/v1/graph/relations"): 422,  # nothing is related to itself
    ("POST", "/setup/{platform}/webhook/{tenant_id}"): 401,
} | {key: 403 for key in BODIES if key[1].startswith("/api/v1/tenants")}
"""What is refused to whomever."""
TOLD_OTHERWISE = {
    ("POST", "/threads/{thread_id}/commands"),  # with 200
    ("POST", "/threads/{thread_id}/stream/events"),  # waits for a thread that is not there yet
    ("POST", "/a2a/{assistant_id}"),  # with 200
    ("GET", "/a2a/{assistant_id}"),  # these as errors of JSON-RPC
    ("GET", "/a2a/{assistant_id}/.well-known/agent-card.json"),
    ("GET", "/a2a/{assistant_id}/.well-known/agent.json"),
    ("PUT", "/api/v1/files/{path}"),  # makes a file of one's own
}
"""Routes that say in their own way that there is no such thing."""


@dataclass(frozen=True)
class Possessions:
    """One of each kind of thing, all Alice's."""

    thread_id: str
    run_id: str
    waiting_run_id: str
    document_id: str
    passage_id: str
    job_id: str
    assistant_id: str
    cron_id: str
    checkpoint_id: str
    idempotency_key: str
    desk: Desk

    def ids(self) -> dict[str, str]:
        """Return each under the name that paths have for it."""
        own = {name: value for name, value in vars(self).items() if name.endswith("_id")}
        desks = {name: value for name, value in vars(self.desk).items() if name.endswith("_id")}
        return own | desks | {"ticket": self.desk.own_ticket_id, "path": self.desk.path, "key": self.desk.key}


@pytest.fixture(scope="module")
def alices(attacked_server: Target, alices_desk: Desk) -> Possessions:
    with attacked_server.client() as alice:
        key = uuid4().hex
        chat = alice.post(
            "/api/v1/chat",
            json={"message": f"My secret is {SECRET}.", "agent": "echo", "metadata": {"about": SECRET}},
            headers={"Idempotency-Key": key},
        ).json()
        waiting = alice.post("/api/v1/chat", json={"message": f"Ask me about {SECRET}.", "agent": "ask"}).json()
        body = {"title": f"The {SECRET}", "text": f"# The {SECRET}\n\nThe {SECRET} is a blue bird of Alice's garden."}
        document = alice.post("/api/v1/knowledge/documents", json=body).json()
        found = alice.post("/api/v1/knowledge/search", json={"query": f"What is the {SECRET}?"}).json()
        job = alice.post(
            "/api/v1/knowledge/upload", files=[("files", (f"{SECRET}.md", f"# {SECRET}\n\nBlue.".encode()))]
        ).json()
        assert alice.get(f"/api/v1/knowledge/jobs/{job['job_id']}/events").text.count("event: done") == 1
        about = {"metadata": {"about": SECRET}}
        assistant = alice.post(
            "/assistants", json={"graph_id": "echo", "name": SECRET, "context": {"about": SECRET}, **about}
        ).json()
        assert alice.patch(f"/assistants/{assistant['assistant_id']}", json=about).json()["version"] == 2
        cron = alice.post("/runs/crons", json={**CRON, "input": {"messages": [SECRET]}, **about}).json()
        assert alice.put("/store/items", json={**ITEM, "value": {"about": SECRET}}).status_code == 204
        return Possessions(
            thread_id=chat["thread_id"],
            run_id=chat["run_id"],
            waiting_run_id=waiting["run_id"],
            document_id=document["document_id"],
            passage_id=found["passages"][0]["passage_id"],
            job_id=job["job_id"],
            assistant_id=assistant["assistant_id"],
            cron_id=cron["cron_id"],
            checkpoint_id=alice.get(f"/threads/{chat['thread_id']}/state").json()["checkpoint_id"],
            idempotency_key=key,
            desk=alices_desk,
        )


@pytest.fixture
def mallory(target: Target) -> Iterator[httpx.Client]:
    with target.client(MALLORY) as client:
        yield client


def routes() -> set[tuple[str, str]]:
    """Return every route of the application that needs to know who asks."""

    def walk(found: Any) -> Iterator[tuple[str, str]]:
        for route in found:
            if hasattr(route, "effective_candidates"):  # an included router
                yield from walk(route.effective_candidates())
                continue
            path = route.path or route.original_route.path
            for method in getattr(route, "methods", None) or {"WEBSOCKET"}:
                yield method, path.replace(":path}", "}")

    app = create_app(Container(settings=Settings(_env_file=None)))
    nothing_behind = PUBLIC | {"/docs/oauth2-redirect"}
    return {(method, path) for method, path in walk(app.routes) if path not in nothing_behind}


def kinds_of(path: str) -> list[str]:
    return [part[1:-1] for part in path.split("/") if part.startswith("{")]


def test_no_route_is_missing_here() -> None:
    assert routes() == set(BODIES)


@pytest.mark.parametrize("credential", ["none", "wrong", "empty", "basic", "two", "long", "in the address"])
def test_nobody_comes_in_without_a_token(target: Target, alices: Possessions, credential: str) -> None:
    ids = alices.ids() | SHARED
    headers: list[tuple[str, str]] = {
        "none": [],
        "wrong": [("Authorization", f"Bearer {ALICE[:-1]}")],
        "empty": [("Authorization", "Bearer")],
        "basic": [("Authorization", f"Basic {base64.b64encode(f'alice:{ALICE}'.encode()).decode()}")],
        "two": [("Authorization", f"Bearer {ALICE}"), ("Authorization", f"Bearer {MALLORY}")],
        "long": [("Authorization", f"Bearer {'x' * 6000}")],
        "in the address": [("Cookie", f"token={ALICE}"), ("Api-Key", ALICE)],
    }[credential]
    query = {"token": ALICE, "access_token": ALICE} if credential == "in the address" else {}
    address = target.stranger()
    for number, (method, template) in enumerate(key for key in BODIES if key[0] != "WEBSOCKET"):
        if number % 15 == 14:
            address = target.stranger()
        path = template
        for kind in kinds_of(path):
            path = path.replace(f"{{{kind}}}", ids[kind])
        body = BODIES[method, template]
        asked = {
            **body,
            "headers": [*headers, *body.get("headers", {}).items()],
            "params": {**query, **body.get("params", {})},
        }
        with target.client(None, address=address) as nobody:
            answer = nobody.request(method, path, **asked)
        refused(answer, 401)
        if not path.startswith("/v1/"):
            assert answer.headers["www-authenticate"] == "Bearer"
        assert SECRET not in answer.text


def test_another_tenants_ids_are_not_found_on_any_route(
    target: Target, alices: Possessions, mallory: httpx.Client
) -> None:
    own = mallory.post("/threads", json={}).json()["thread_id"]
    tried = 0
    others = itertools.cycle(alices.ids().values())
    for (method, template), body in BODIES.items():
        if method == "WEBSOCKET" or (method, template) in TOLD_OTHERWISE | set(NEVER_DONE):
            continue
        kinds = [kind for kind in kinds_of(template) if kind not in SHARED]
        tries = [(kind, value) for kind in kinds for value in (alices.ids()[kind], *itertools.islice(others, 7))]
        for kind, value in dict.fromkeys(tries):  # also those of another kind
            ids = {**SHARED, **alices.ids(), kind: value}
            for named in [ids] if len(kinds) == 1 or kind == "thread_id" else [ids, ids | {"thread_id": own}]:
                path = template.format(**named)
                answer = mallory.request(method, path, **body)
                missing = 409 if template.endswith("/copy") else 404
                refused(answer, missing, *([] if _is_uuid(value) else [422]))
                assert SECRET not in answer.text
                assert not [other for other in alices.ids().values() if other in answer.text and other not in path]
                tried += 1
    assert tried >= 500
    assert mallory.delete(f"/threads/{own}").status_code == 204


def test_another_tenants_thread_in_a_body_is_not_found(alices: Possessions, mallory: httpx.Client) -> None:
    for path in ("/api/v1/chat", "/api/v1/chat/stream"):
        for strategy in ("enqueue", "reject", "interrupt", "rollback"):
            answer = mallory.post(path, json={**CHAT, "thread_id": alices.thread_id, "multitask_strategy": strategy})
            refused(answer, 404)


def test_lists_counts_and_searches_show_nothing_of_another_tenant(alices: Possessions, mallory: httpx.Client) -> None:
    for (method, template), given in BODIES.items():
        body = given
        if method == "WEBSOCKET" or [kind for kind in kinds_of(template) if kind not in SHARED]:
            continue
        path = template.format(**SHARED)
        if (method, template) == ("PATCH", "/api/v1/tenant"):  # other tests of this server have changed it before
            body = {"json": {**body["json"], "version": mallory.get(path).json()["version"]}}
        answer = mallory.request(method, path, **body)
        assert answer.status_code < 300 or answer.status_code == NEVER_DONE.get((method, template)), (path, answer.text)
        shown = orjson.dumps(_without_the_question(answer.json())).decode() if _is_json(answer) else answer.text
        assert SECRET not in shown, path
        if path != "/api/v1/request-log":  # has what she asked for herself, with Alice's ids in it
            assert not [value for value in alices.ids().values() if value in shown], path
    logged = mallory.get("/api/v1/request-log").json()["items"]
    assert {line["user_id"] for line in logged} == {"other"}
    lists = ("tickets", "users", "api-keys", "feedback", "articles", "conversations", "attachments", "objects")
    for path in (f"/api/v1/{name}" for name in lists):
        page = mallory.get(path, params={"limit": 100}).json()
        assert page["total"] == len(page["items"]) < 100, path  # what is counted is what she is shown
    for path in ("/api/v1/articles", "/api/v1/attachments"):
        assert mallory.get(path).json()["total"] == 0, path
    counted = mallory.get("/api/v1/knowledge/documents", params={"limit": 100}).json()
    assert counted["documents"] == len(counted["items"])
    found = mallory.post("/api/v1/knowledge/search", json={"query": f"the {SECRET}", "limit": 50}).json()
    assert {passage["source"] for passage in found["passages"]} <= {item["source"] for item in counted["items"]}


def _is_uuid(text: str) -> bool:
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False


def _is_json(answer: httpx.Response) -> bool:
    return bool(answer.content) and answer.headers.get("content-type", "").startswith("application/json")


def _without_the_question(document: Any) -> Any:
    if not isinstance(document, dict):
        return document
    return {name: value for name, value in document.items() if name != "query"}


@pytest.mark.parametrize("path", ["/api/v1/threads", "/api/v1/knowledge/jobs"])
def test_a_page_behind_another_tenants_id_is_empty_or_refused(
    alices: Possessions, mallory: httpx.Client, path: str
) -> None:
    for value in (alices.thread_id, alices.job_id, alices.run_id):
        answer = mallory.get(path, params={"before": value})
        assert answer.status_code in {200, 404, 422}
        assert SECRET not in answer.text


def test_an_answer_is_never_made_from_another_tenants_documents(alices: Possessions, mallory: httpx.Client) -> None:
    question = f"What is the {SECRET}?"
    answer = mallory.post(
        "/api/v1/chat", json={"message": question, "agent": "answer", "model": "extractive", "keep": False}
    ).json()
    assert answer["citations"] == []
    assert "blue" not in answer["answer"]
    with_tools = {"model": "answer:extractive", "messages": [{"role": "user", "content": question}], "stream": True}
    stream = mallory.post("/v1/chat/completions", json=with_tools).text
    assert "[DONE]" in stream
    assert "blue" not in stream
    assert alices.passage_id not in stream


def test_another_tenants_idempotency_key_gives_a_run_of_ones_own(alices: Possessions, mallory: httpx.Client) -> None:
    body = {"message": f"My secret is {SECRET}.", "agent": "echo", "metadata": {"about": SECRET}}
    answer = mallory.post("/api/v1/chat", json=body, headers={"Idempotency-Key": alices.idempotency_key})
    assert answer.status_code == 200
    assert answer.json()["run_id"] != alices.run_id
    assert answer.json()["thread_id"] != alices.thread_id


def test_the_id_of_another_tenants_thread_can_be_ones_own_and_shares_nothing(
    target: Target, alices: Possessions, mallory: httpx.Client
) -> None:
    thread = f"/api/v1/threads/{alices.thread_id}"
    made = mallory.post("/api/v1/threads", json={"thread_id": alices.thread_id})
    assert made.status_code == 201, made.text
    try:
        assert mallory.get(f"{thread}/messages").json()["items"] == []
        assert mallory.get(f"{thread}/runs").json()["items"] == []
        assert mallory.post(f"{thread}/chat", json=CHAT).json()["answer"] == f"echo {CHAT['message']}"
        said = mallory.get(f"{thread}/messages")
        assert [item["role"] for item in said.json()["items"]] == ["user", "assistant"]
        assert SECRET not in said.text
        refused(mallory.get(f"/api/v1/runs/{alices.run_id}"), 404)
        refused(mallory.get(f"/api/v1/runs/{alices.run_id}/stream"), 404)
    finally:
        assert mallory.delete(thread).status_code == 204
    with target.client() as alice:
        kept = alice.get(f"{thread}/messages").json()["items"]
        assert [SECRET in item["content"] for item in kept] == [True, True]
        assert len(alice.get(f"{thread}/runs").json()["items"]) == 1
        assert alice.get(f"/api/v1/runs/{alices.run_id}/stream").text.count("event: done") == 1


def test_the_same_document_of_two_tenants_is_two_documents(target: Target, mallory: httpx.Client) -> None:
    body = {"title": "Shared title", "text": "# Shared\n\nThe same words in both."}
    with target.client() as alice:
        hers = alice.post("/api/v1/knowledge/documents", json=body).json()
        own = mallory.post("/api/v1/knowledge/documents", json=body).json()
        assert own["outcome"] == "added"
        assert own["document_id"] != hers["document_id"]
        assert mallory.delete(f"/api/v1/knowledge/documents/{own['document_id']}").status_code == 204
        assert alice.get(f"/api/v1/knowledge/documents/{hers['document_id']}").json()["chunks"] == hers["chunks"]
        found = alice.post("/api/v1/knowledge/search", json={"query": "the same words in both"}).json()
        assert hers["document_id"] in {passage["document_id"] for passage in found["passages"]}


def test_nothing_of_alices_was_lost_to_all_of_this(target: Target, alices: Possessions) -> None:
    with target.client() as alice:
        assert alice.get(f"/api/v1/threads/{alices.thread_id}").json()["metadata"] == {}
        assert alice.get(f"/assistants/{alices.assistant_id}").json()["metadata"]["about"] == SECRET
        assert alice.get(f"/runs/crons/{alices.cron_id}").json()["enabled"] is True
        assert alice.get(f"/api/v1/runs/{alices.run_id}").json()["status"] == "success"
        assert SECRET in alice.get(f"/api/v1/citations/{alices.passage_id}").text
        assert alice.get(f"/api/v1/knowledge/documents/{alices.document_id}").status_code == 200
        assert alice.get(f"/api/v1/knowledge/jobs/{alices.job_id}").json()["status"] == "success"
        answered = alice.post(f"/api/v1/runs/{alices.waiting_run_id}/resume", json={"answer": "yes"})
        assert answered.json().get("answer") == "you said yes", answered.text


# The Agent Server API.


def test_another_tenants_ids_in_a_body_are_not_found(alices: Possessions, mallory: httpx.Client) -> None:
    for path in ("/runs", "/runs/stream", "/runs/wait"):
        refused(mallory.post(path, json={**RUN, "assistant_id": alices.assistant_id}), 404)
    refused(mallory.post("/runs/batch", json=[RUN, {**RUN, "assistant_id": alices.assistant_id}]), 404)
    refused(mallory.post("/runs/crons", json={**CRON, "assistant_id": alices.assistant_id}), 404)
    cancelled = {"thread_id": alices.thread_id, "run_ids": [alices.run_id, alices.waiting_run_id]}
    refused(mallory.post("/runs/cancel", json=cancelled), 404)
    for strategy in ("delete", "keep_latest"):
        pruned = {"thread_ids": [alices.thread_id], "strategy": strategy}
        assert mallory.post("/threads/prune", json=pruned).json() == {"pruned_count": 0}
    ids = {"ids": [alices.thread_id]}
    assert mallory.post("/threads/search", json=ids).json() == []
    for path in ("/runs/crons/search", "/runs/crons/count"):
        for name in ("assistant_id", "thread_id"):
            assert mallory.post(path, json={name: getattr(alices, name)}).json() in ([], 0)


def test_another_tenants_checkpoint_is_nowhere_to_be_found(
    target: Target, alices: Possessions, mallory: httpx.Client
) -> None:
    """Neither on a thread of one's own, nor on one of the same id."""
    forged: dict[str, Any] = {"thread_id": alices.thread_id, "checkpoint_ns": "", "checkpoint_id": alices.checkpoint_id}
    others = mallory.post("/threads", json={}).json()["thread_id"]
    same = mallory.post("/threads", json={"thread_id": alices.thread_id}).json()["thread_id"]
    try:
        for thread_id in (others, same):
            thread = f"/threads/{thread_id}"
            mallory.post(f"{thread}/runs/wait", json=RUN)
            answers = [
                mallory.get(f"{thread}/state/{alices.checkpoint_id}"),
                mallory.post(f"{thread}/state/checkpoint", json={"checkpoint": forged}),
                mallory.post(f"{thread}/state", json={"values": {}, "checkpoint": forged}),
                mallory.post(f"{thread}/history", json={"before": forged, "limit": 100}),
                mallory.get(f"{thread}/history", params={"before": alices.checkpoint_id, "limit": 100}),
                mallory.post(f"{thread}/runs/wait", json={**RUN, "checkpoint": forged}),
                mallory.post(f"{thread}/runs/wait", json={**RUN, "checkpoint_id": alices.checkpoint_id}),
                mallory.post(f"{thread}/runs/wait", json={**RUN, "config": {"configurable": forged}}),
                mallory.post("/runs/wait", json={**RUN, "config": {"configurable": forged}}),
                mallory.post(f"{thread}/runs/wait", json={**RUN, "config": {"configurable": {"tenant_id": "default"}}}),
                mallory.get(f"{thread}/history", params={"limit": 1000}),
            ]
            for answer in answers:
                assert answer.status_code < 500, answer.text
                assert SECRET not in answer.text
    finally:
        for thread_id in (others, same):
            assert mallory.delete(f"/threads/{thread_id}").status_code == 204
    with target.client() as alice:
        assert alice.get(f"/threads/{alices.thread_id}/state").json()["checkpoint_id"] == alices.checkpoint_id


def test_another_tenants_memories_are_not_there(target: Target, alices: Possessions, mallory: httpx.Client) -> None:
    for prefix in ([], ["memories"], ["memories", "all"]):
        for more in ({}, {"query": SECRET}, {"filter": {"about": SECRET}}, {"filter": {"about": {"$ne": "x"}}}):
            found = mallory.post("/store/items/search", json={"namespace_prefix": prefix, **more, "limit": 1000}).json()
            assert [item["namespace"] for item in found["items"]] in ([], [["memories", "mine"]])
    assert mallory.request("DELETE", "/store/items", json=ITEM).status_code == 204
    assert mallory.put("/store/items", json={**ITEM, "value": {"mine": True}}).status_code == 204
    with target.client() as alice:
        kept = alice.get("/store/items", params={"namespace": "memories.all", "key": "secret"}).json()
        assert kept["value"] == {"about": SECRET}
    assert mallory.request("DELETE", "/store/items", json=ITEM).status_code == 204


def test_what_every_tenant_has_is_changed_for_oneself_alone(target: Target, mallory: httpx.Client) -> None:
    echo = "/assistants/" + mallory.post("/assistants/search", json={"graph_id": "echo"}).json()[-1]["assistant_id"]
    with target.client() as alice:
        before = alice.get(echo).json()
        mine = mallory.patch(echo, json={"name": "Mine", "metadata": {"mine": True}, "config": {"tags": ["mine"]}})
        assert mine.json()["name"] == "Mine"
        assert mine.json()["version"] == 2
        assert mallory.get(echo).json()["name"] == "Mine"
        assert alice.get(echo).json() == before
        assert [one["version"] for one in alice.post(f"{echo}/versions", json={}).json()] == [1]
        refused(alice.post(f"{echo}/latest", json={"version": 2}), 404)
        assert alice.post("/assistants/search", json={"metadata": {"mine": True}}).json() == []
        mallory.delete(echo)
        assert alice.get(echo).json() == before
        assert alice.post("/runs/wait", json=RUN).status_code == 200


def test_another_tenants_assistants_are_no_tools(alices: Possessions, mallory: httpx.Client) -> None:
    tools = mallory.post("/mcp", json={"jsonrpc": "2.0", "id": 1, "method": "tools/list"})
    assert len(tools.json()["result"]["tools"]) >= 3
    assert SECRET not in tools.text
    call = {"name": SECRET, "arguments": RUN["input"]}
    answer = mallory.post("/mcp", json={"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call}).json()
    assert "error" in answer or answer["result"]["isError"]
    assert "echo" not in str(answer)


def test_another_tenants_assistant_and_tasks_are_not_found_by_a2a(alices: Possessions, mallory: httpx.Client) -> None:
    card = ".well-known/agent-card.json"
    hers = f"a2a/{alices.assistant_id}"
    for path in (hers, f"{hers}/{card}", f"{hers}/.well-known/agent.json", f"{card}?assistant_id={hers[4:]}"):
        answer = mallory.get(f"/{path}")
        assert answer.status_code == 400
        assert answer.json()["error"]["message"] == f"Assistant {alices.assistant_id} does not exist."
    task = f"{alices.thread_id}:{alices.run_id}"
    own = mallory.post("/assistants", json={"graph_id": "echo"}).json()["assistant_id"]
    for assistant_id in (alices.assistant_id, own, "echo"):
        for method, params in (
            ("message/send", {"message": {**MESSAGE, "contextId": alices.thread_id, "taskId": task}}),
            ("message/stream", {"message": {**MESSAGE, "taskId": task}}),
            ("tasks/get", {"id": task}),
            ("tasks/cancel", {"id": task}),
            ("tasks/resubscribe", {"id": task}),
            ("ListTasks", {"contextId": alices.thread_id}),
            ("GetTask", {"id": task}),
            ("CancelTask", {"id": task}),
            ("SubscribeToTask", {"id": task}),
        ):
            call = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
            answer = mallory.post(f"/a2a/{assistant_id}", json=call, headers={"Accept": "*/*"})
            assert answer.status_code == 200, answer.text
            assert SECRET not in answer.text
            if method == "ListTasks" and assistant_id != alices.assistant_id:
                assert answer.json()["result"]["tasks"] == []
            else:
                assert "error" in answer.json(), (assistant_id, method, answer.text)
    assert mallory.delete(f"/assistants/{own}").status_code == 204


COMMANDS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("run.start", {"assistant_id": "echo", "input": {}, "config": {"configurable": {"tenant_id": "default"}}}),
    ("input.respond", {"interrupt_id": "0" * 32, "namespace": [], "response": "yes"}),
    ("input.inject", {"namespace": [], "message": {"role": "user", "content": "hi"}}),
    ("state.get", {}),
    ("state.storeSearch", {"namespace": [], "query": SECRET}),
    ("state.storePut", {"namespace": ["memories", "all"], "key": "secret", "value": {}}),
    ("state.listCheckpoints", {}),
    ("state.fork", {}),
    ("agent.getTree", {}),
)


def test_commands_on_another_tenants_thread_reach_nothing_of_it(
    target: Target, alices: Possessions, mallory: httpx.Client
) -> None:
    for method, params in COMMANDS:
        for more in ({}, {"checkpoint_id": alices.checkpoint_id, "checkpointId": alices.checkpoint_id}):
            call = {"id": 1, "method": method, "params": {**params, **more}}
            answer = mallory.post(f"/threads/{alices.thread_id}/commands", json=call)
            assert answer.status_code == 200, answer.text
            assert SECRET not in answer.text
    mallory.delete(f"/threads/{alices.thread_id}")  # `run.start` made one of the same id
    with target.client() as alice:
        assert alice.get(f"/threads/{alices.thread_id}/state").json()["checkpoint_id"] == alices.checkpoint_id
        assert len(alice.get(f"/threads/{alices.thread_id}/runs").json()) == 1


def test_the_stream_of_another_tenants_thread_is_silent(
    target: Target, alices: Possessions, mallory: httpx.Client
) -> None:
    """It may be followed before it is there, so it is not refused; what comes are one's own runs on it alone."""
    follow = {"json": {"channels": ["values", "messages", "lifecycle", "custom", "tasks", "checkpoints"]}}
    path = f"/threads/{alices.thread_id}/stream/events"
    said = {"role": "user", "content": "nothing but mine"}
    start = {"id": 1, "method": "run.start", "params": {"assistant_id": "echo", "input": {"messages": [said]}}}
    seen = ""
    with mallory.stream("POST", path, **follow) as stream:  # type: ignore[arg-type]  # its values differ
        assert stream.status_code == 200
        assert mallory.post(f"/threads/{alices.thread_id}/commands", json=start).status_code == 200
        for text in stream.iter_text():  # the own run comes behind whatever there is of the other's
            seen += text
            if "nothing but mine" in seen:
                break
    assert "nothing but mine" in seen
    assert SECRET not in seen
    mallory.delete(f"/threads/{alices.thread_id}")  # the one of the same id


# Sockets.


def calls(alices: Possessions, *extra: tuple[str, dict[str, Any]]) -> list[tuple[str, dict[str, Any]]]:
    thread, run = alices.thread_id, alices.run_id
    return [
        ("join", {"thread_id": thread}),
        ("join", {"thread_id": thread, "after": {"run_id": run, "id": "-1"}}),
        ("join", {"thread_id": run}),
        ("chat", {**CHAT, "thread_id": thread}),
        ("chat", {**CHAT, "thread_id": thread, "multitask_strategy": "rollback"}),
        ("cancel", {"run_id": run}),
        ("cancel", {"run_id": alices.waiting_run_id, "action": "rollback"}),
        ("resume", {"run_id": alices.waiting_run_id, "answer": "yes"}),
        ("resume", {"run_id": alices.desk.draft_run_id, "answer": {"action": "accept", "write_note": True}}),
        *extra,
    ]


async def test_a_websocket_gets_nothing_of_another_tenants(target: Target, alices: Possessions) -> None:
    async with connect(target.ws_url, additional_headers={"Authorization": f"Bearer {MALLORY}"}) as socket:
        for name, call in calls(alices):
            await socket.send(orjson.dumps({"type": name, "ref": 1, **call}).decode())
            async with asyncio.timeout(60):
                heard = orjson.loads(await socket.recv())
            assert heard["event"] == "error", heard
            assert heard["data"]["status"] == 404
            assert SECRET not in str(heard)
        await socket.send('{"type": "ping"}')
        assert orjson.loads(await socket.recv())["event"] == "pong"  # and nothing came before it


async def test_a_socket_of_another_tenants_thread_is_silent(target: Target, alices: Possessions) -> None:
    url = target.ws_url.replace("/ws/chat", f"/threads/{alices.thread_id}/stream/events")
    async with connect(url, additional_headers={"Authorization": f"Bearer {MALLORY}"}) as socket:
        filters = {"channels": ["values", "lifecycle", "tasks", "checkpoints"], "since": 0}
        calls = (("subscription.subscribe", filters), *COMMANDS[1:])
        for number, (method, params) in enumerate(calls):
            await socket.send(orjson.dumps({"id": number, "method": method, "params": params}).decode())
            async with asyncio.timeout(60):
                heard = orjson.loads(await socket.recv())
            assert heard["id"] == number  # the answer, and no event before it
            assert SECRET not in str(heard)
            if method == "subscription.subscribe":
                assert heard["result"]["replayed_events"] == 0


async def test_a_socket_io_client_gets_nothing_of_another_tenants(target: Target, alices: Possessions) -> None:
    told: list[Any] = []
    client = socketio.AsyncClient(reconnection=False)
    client.on("*", lambda *event: told.append(event))
    alice = socketio.AsyncClient(reconnection=False)
    await alice.connect(target.url, auth={"token": ALICE}, transports=["websocket"])
    try:
        await client.connect(target.url, auth={"token": MALLORY}, transports=["websocket"])
        assert (await alice.call("join", {"thread_id": alices.thread_id}, timeout=10))["ok"]
        hand_over = (("claim", {"thread_id": alices.thread_id}), ("release", {"thread_id": alices.thread_id}))
        for name, call in calls(alices, *hand_over):
            answer = await client.call(name, call, timeout=10)
            assert answer["problem"]["status"] == 404, answer
        refusal = await client.call("typing", {"thread_id": alices.thread_id}, timeout=10)
        assert refusal["problem"]["status"] == 409
        assert (await client.call("leave", {"thread_id": alices.thread_id}, timeout=10))["ok"]
        # A room of the same name is not the same room.
        made = await client.call("chat", {**CHAT, "idempotency_key": uuid4().hex}, timeout=10)
        assert made["thread_id"] != alices.thread_id
        assert (await alice.call("typing", {"thread_id": alices.thread_id}, timeout=10))["ok"]
        assert (await client.call("ping", {}, timeout=10))["ok"]
        assert SECRET not in str(told)
        assert alices.thread_id not in str(told)
    finally:
        await client.disconnect()
        await alice.disconnect()


async def test_sockets_are_closed_to_whoever_has_no_token(target: Target) -> None:
    for headers, protocols in (
        ({}, None),
        ({"Authorization": "Bearer nobody"}, None),
        ({"Cookie": f"token={ALICE}"}, None),
        ({}, ["bearer"]),
        ({}, ["bearer", "nobody"]),
        ({}, ["bearer", ALICE, MALLORY]),
    ):
        with pytest.raises(InvalidStatus) as refusal:
            await connect(
                f"{target.ws_url}?token={ALICE}",
                additional_headers=headers,
                subprotocols=protocols,  # type: ignore[arg-type]  # a list of texts
                local_addr=(target.stranger(), 0),
            )
        assert refusal.value.response.status_code == 403


@pytest.mark.parametrize("auth", [None, {}, {"token": "nobody"}, {"token": [ALICE]}, {"token": {"$ne": ""}}, [ALICE]])
def test_socket_io_is_closed_to_whoever_has_no_token(target: Target, auth: Any) -> None:
    with target.client(None, address=target.stranger()) as nobody:
        opened = nobody.get("/socket.io/", params={"EIO": 4, "transport": "polling", "token": ALICE})
        sid = orjson.loads(opened.content[1:])["sid"]
        polling = {"EIO": 4, "transport": "polling", "sid": sid}
        nobody.post("/socket.io/", params=polling, content=b"40" + (b"" if auth is None else orjson.dumps(auth)))
        assert nobody.get("/socket.io/", params=polling).text.startswith("44")
        for call in ('42["join",{"thread_id":"x"}]', '42["connect",{"asgi.scope":{}},{"token":"x"}]'):
            nobody.post("/socket.io/", params=polling, content=call)
