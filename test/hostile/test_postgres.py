"""The same server on PostgreSQL: a conversation from end to end, and what PostgreSQL would choke on."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from test.conftest import make_database
from test.hostile.target import DSN_PASSWORD, MALLORY, Target, attacked, refused
from test.hostile.test_bad_input import JSON, TEXTS


@pytest.fixture(scope="module")
def kept_in_postgres(postgres_server: str) -> Iterator[Target]:
    asyncio.run(make_database(postgres_server, "hostile"))
    url = postgres_server.replace("daedap@", f"daedap:{DSN_PASSWORD}@", 1) + "/hostile"
    with TemporaryDirectory(prefix="daedap-postgres-") as folder, attacked(Path(folder), DATABASE_URL=url) as server:
        yield server


@pytest.fixture
def target(kept_in_postgres: Target) -> Iterator[Target]:
    yield kept_in_postgres
    kept_in_postgres.check()


def test_a_conversation_is_kept_read_again_and_hidden_from_others(target: Target) -> None:
    with target.client() as alice, target.client(MALLORY) as mallory:
        first = alice.post("/api/v1/chat", json={"message": "안녕", "agent": "echo", "metadata": {"곳": "서울"}}).json()
        assert first["answer"] == "echo 안녕"
        thread = f"/api/v1/threads/{first['thread_id']}"
        streamed = alice.post(f"{thread}/chat/stream", json={"message": "ask me", "agent": "ask"})
        run = streamed.headers["x-run-id"]
        assert "event: interrupt" in streamed.text
        assert alice.get(f"/api/v1/runs/{run}/stream").text == streamed.text
        last = streamed.text.split("id: ")[-2].split("\r\n")[0]
        rest = alice.get(f"/api/v1/runs/{run}/stream", headers={"Last-Event-ID": last}).text
        assert rest
        assert streamed.text.endswith(rest)
        answered = alice.post(f"/api/v1/runs/{run}/resume", json={"answer": "네"}).json()
        assert answered["answer"] == "you said 네"
        refused(alice.post(f"/api/v1/runs/{run}/resume", json={"answer": "again"}), 409)
        said = [item["content"] for item in alice.get(f"{thread}/messages").json()["items"]]
        assert said == ["안녕", "echo 안녕", "ask me", "you said 네"]
        assert len(alice.get(f"{thread}/runs").json()["items"]) == 3
        assert alice.patch(thread, json={"metadata": {"a": [1, 2.5, None, "나"]}}).status_code == 200
        body = {"title": "휴가 규정", "text": "# 휴가\n\n연차 휴가는 15일이다."}
        assert alice.post("/api/v1/knowledge/documents", json=body).status_code == 201
        asked = {"message": "연차 휴가는 며칠인가요?", "agent": "answer", "model": "extractive"}
        assert "15일" in alice.post("/api/v1/chat", json=asked).json()["answer"]
        for path in (thread, f"{thread}/messages", f"/api/v1/runs/{run}", f"/api/v1/runs/{run}/stream"):
            refused(mallory.get(path), 404)
        refused(mallory.delete(thread), 404)
        assert mallory.get("/api/v1/threads").json()["items"] == []
        assert mallory.post("/api/v1/threads", json={"thread_id": first["thread_id"]}).status_code == 201
        assert mallory.delete(thread).status_code == 204
        assert alice.delete(thread).status_code == 204
        refused(alice.get(f"/api/v1/runs/{run}/stream"), 404)


def test_what_postgresql_cannot_store_is_refused_and_never_a_failure(target: Target) -> None:
    with target.client() as alice:
        for text in (r"\u0000", r"\ud800", r"\uffff", r"\u202e\u0007"):
            for method, template, body in TEXTS:
                waiting = alice.post("/api/v1/chat", json={"message": "hi", "agent": "ask"}).json()
                path = template.format(**{name: waiting[name] for name in ("thread_id", "run_id")})
                answer = alice.request(method, path, content=body.replace("%s", text), headers=JSON)
                assert answer.status_code < 500, (path, body, answer.text)
        for number in ("NaN", "1e400", "9" * 19, "9" * 25, "9" * 400, "-0.0", "1e308", "5e-324"):
            answer = alice.post("/api/v1/threads", content=f'{{"metadata": {{"a": [{number}]}}}}', headers=JSON)
            assert answer.status_code in {201, 422}, (number, answer.text)
        for before in ("____" * 8, "A" * 32, "f_" * 16, "AAAA" * 7 + "____"):
            assert alice.get("/api/v1/knowledge/documents", params={"before": before}).status_code in {200, 422}
        for key in ("k" * 255, "'; --", "%s", "\\"):
            asked = {"message": "hi", "agent": "echo"}
            assert alice.post("/api/v1/chat", json=asked, headers={"Idempotency-Key": key}).status_code == 200
        for name in ("a\x01b.md", "\x7f.md", "a" * 255 + ".md"):
            assert alice.post("/api/v1/knowledge/upload", files=[("files", (name, b"# A\n\nB."))]).status_code == 202
