"""Knowledge over HTTP: documents, uploads, jobs, searches, citations."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import httpx
import pytest
from fastapi import FastAPI
from pydantic import SecretStr

from backend.api import problem
from backend.api.v1 import citation, knowledge
from backend.api.v1.knowledge import is_upload
from backend.middleware.auth import BearerTokenAuthMiddleware
from backend.middleware.limit import BodyLimitMiddleware
from backend.middleware.tracking import TrackingMiddleware
from backend.service.auth import Authenticator
from test.collector.make_files import LINES, make_good, make_hostile
from test.door_fixture import parse
from test.ingest_fixture import Library, open_library

ROOT = "/api/v1/knowledge"
UPLOAD_BYTES = 300_000


@dataclass
class Desk:
    """The routes over a library, and clients for them."""

    library: Library
    http: httpx.AsyncClient
    stranger: httpx.AsyncClient

    async def upload(self, *files: tuple[str, bytes]) -> dict[str, Any]:
        """Upload files and return the job at its end."""
        sent = await self.http.post(f"{ROOT}/upload", files=[("files", file) for file in files])
        assert sent.status_code == 202, sent.text
        stream = await self.http.get(f"{sent.headers['location']}/events")
        job: dict[str, Any] = parse(stream.text)[-1].data
        return job


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with AsyncExitStack() as stack:
        library = await stack.enter_async_context(open_library(tmp_path / "data", max_upload_bytes=UPLOAD_BYTES))
        authenticator = Authenticator({"default": SecretStr("alice"), "other": SecretStr("mallory")})
        app = FastAPI()
        app.state.container = SimpleNamespace(
            knowledge_service=lambda: library.knowledge, ingest_service=lambda: library.ingest
        )
        problem.install(app)
        for part in (knowledge, citation):
            app.include_router(part.router, prefix="/api/v1")
        whole: Any = BodyLimitMiddleware(app, 100_000, [(is_upload, UPLOAD_BYTES)])
        whole = TrackingMiddleware(BearerTokenAuthMiddleware(whole, authenticator))
        clients = [
            await stack.enter_async_context(
                httpx.AsyncClient(
                    transport=httpx.ASGITransport(whole),
                    base_url="http://test",
                    headers={"Authorization": f"Bearer {token}"},
                )
            )
            for token in ("alice", "mallory")
        ]
        yield Desk(library, *clients)


def problem_of(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.status_code, answer.json()["type"]


async def test_a_text_is_added_found_cited_changed_and_removed(desk: Desk) -> None:
    text = {
        "source": "rules/leave",
        "title": "휴가 규정",
        "text": "## 연차\n\n연차 휴가는 15일이다.",
        "metadata": {"a": 1},
    }
    added = await desk.http.post(f"{ROOT}/documents", json=text)
    path = added.headers["location"]
    assert (added.status_code, added.json()["outcome"]) == (201, "added")
    again = await desk.http.post(f"{ROOT}/documents", json=text)
    assert (again.status_code, again.json()["outcome"]) == (200, "unchanged")

    found = (await desk.http.post(f"{ROOT}/search", json={"query": "연차 휴가는 며칠인가요?"})).json()
    (passage,) = found["passages"]
    assert (passage["title"], passage["path"], passage["text"]) == ("휴가 규정", ["연차"], "연차 휴가는 15일이다.")
    assert 0 < passage["score"] <= 1
    cited = (await desk.http.get(f"/api/v1/citations/{passage['passage_id']}")).json()
    assert cited["passage"]["text"] == "연차 휴가는 15일이다."
    assert cited["document"]["metadata"] == {"a": 1}

    changed = await desk.http.post(f"{ROOT}/documents", json={**text, "text": "연차 휴가는 16일이다."})
    assert (changed.status_code, changed.json()["outcome"]) == (200, "updated")
    assert problem_of(await desk.http.get(f"/api/v1/citations/{passage['passage_id']}")) == (
        404,
        "/problems/passage-not-found",
    )
    assert (await desk.http.get(path)).json()["created_at"] == added.json()["created_at"]
    assert (await desk.http.delete(path)).status_code == 204
    assert problem_of(await desk.http.get(path)) == (404, "/problems/document-not-found")
    assert (await desk.http.post(f"{ROOT}/search", json={"query": "연차 휴가"})).json()["passages"] == []


async def test_a_citation_comes_with_what_stands_around_it(desk: Desk) -> None:
    text = "\n\n".join(f"## 제{number}조\n\n" + f"{number}조의 내용은 이러하다. " * 60 for number in range(1, 5))
    added = (await desk.http.post(f"{ROOT}/documents", json={"title": "규정", "text": text})).json()
    (cited,) = await desk.library.passages.of("default").around(added["document_id"], 1, 0)
    near = (await desk.http.get(f"/api/v1/citations/{cited.passage_id}")).json()
    assert [one["position"] for one in near["before"]] == [0]
    assert [one["position"] for one in near["after"]] == [2]
    alone = (await desk.http.get(f"/api/v1/citations/{cited.passage_id}", params={"radius": 0})).json()
    assert (alone["before"], alone["after"]) == ([], [])


async def test_files_are_uploaded_and_each_is_reported(desk: Desk, tmp_path: Path) -> None:
    good, bad = make_good(tmp_path / "good"), make_hostile(tmp_path / "bad")
    small = [bad[name][0] for name in ("an encrypted PDF", "a text called PDF", "a billion laughs", "nothing at all")]
    files = [(path.name, path.read_bytes()) for path in (*good.values(), *small)]
    job = await desk.upload(*files)
    assert (job["status"], job["done"], job["failed"]) == ("success", 15, 4)
    listed = (await desk.http.get(f"{ROOT}/jobs/{job['job_id']}")).json()
    codes = {report["source"]: report["code"] for report in listed["reports"] if report["outcome"] == "failed"}
    assert codes == {
        "secret.pdf": "encrypted",
        "text.pdf": "mismatch",
        "laughs.hwpx": "unsafe_archive",
        "empty.pdf": "empty",
    }
    found = (await desk.http.post(f"{ROOT}/search", json={"query": LINES[1]})).json()
    assert {passage["document_id"] for passage in found["passages"]}


async def test_a_job_is_followed_and_gone_on_with_after_a_break(desk: Desk) -> None:
    files = [(f"{number}.md", f"{number}번 글".encode()) for number in range(20)]
    job = await desk.upload(*files)
    path = f"{ROOT}/jobs/{job['job_id']}"
    frames = parse((await desk.http.get(f"{path}/events")).text)
    assert [frame.name for frame in frames][-1] == "done"
    assert sorted(report["source"] for frame in frames for report in frame.data["reports"]) == sorted(
        name for name, _ in files
    )
    rest = parse((await desk.http.get(f"{path}/events", headers={"Last-Event-ID": "1-15"})).text)
    assert sum(len(frame.data["reports"]) for frame in rest) == 5
    assert (rest[-1].name, rest[-1].id) == ("done", "1-20")
    for bad in ("x", "1-", "-5", "9" * 40):
        answer = await desk.http.get(f"{path}/events", headers={"Last-Event-ID": bad})
        assert problem_of(answer) == (422, "/problems/invalid-cursor")


async def test_a_running_job_is_cancelled(desk: Desk) -> None:
    desk.library.embedder.gate = asyncio.Event()
    files = [("files", (f"{number}.md", "글".encode())) for number in range(60)]
    sent = await desk.http.post(f"{ROOT}/upload", files=files)
    await desk.library.embedder.waiting.wait()
    cancelled = await desk.http.post(f"{sent.headers['location']}/cancel")
    assert (cancelled.status_code, cancelled.json()["status"]) == (202, "running")
    desk.library.embedder.gate.set()
    frames = parse((await desk.http.get(f"{sent.headers['location']}/events")).text)
    assert frames[-1].data["status"] == "cancelled"
    (listed,) = (await desk.http.get(f"{ROOT}/jobs")).json()["items"]
    assert listed["status"] == "cancelled"


async def test_documents_are_listed_in_pages(desk: Desk) -> None:
    for number in range(5):
        await desk.http.post(f"{ROOT}/documents", json={"title": f"문서 {number}", "text": "내용"})
    titles: list[str] = []
    page: dict[str, Any] = {"next": None}
    while True:
        params = {"limit": 2} | ({"before": page["next"]} if page["next"] else {})
        page = (await desk.http.get(f"{ROOT}/documents", params=params)).json()
        titles += [document["title"] for document in page["items"]]
        assert (page["documents"], page["passages"]) == (5, 5)
        if page["next"] is None:
            break
    assert titles == [f"문서 {number}" for number in range(4, -1, -1)]


async def test_another_tenants_knowledge_is_not_found(desk: Desk) -> None:
    job = await desk.upload(("secret.md", "비밀 내용".encode()))
    (document,) = (await desk.http.get(f"{ROOT}/documents")).json()["items"]
    (passage,) = (await desk.http.post(f"{ROOT}/search", json={"query": "비밀"})).json()["passages"]
    for method, path in (
        ("GET", f"{ROOT}/documents/{document['document_id']}"),
        ("DELETE", f"{ROOT}/documents/{document['document_id']}"),
        ("GET", f"{ROOT}/jobs/{job['job_id']}"),
        ("GET", f"{ROOT}/jobs/{job['job_id']}/events"),
        ("POST", f"{ROOT}/jobs/{job['job_id']}/cancel"),
        ("GET", f"/api/v1/citations/{passage['passage_id']}"),
    ):
        foreign, unknown = (
            await desk.stranger.request(method, path),
            await desk.http.request(
                method,
                path.replace(document["document_id"], str(uuid4()))
                .replace(job["job_id"], str(uuid4()))
                .replace(passage["passage_id"], "0" * 32),
            ),
        )
        assert foreign.status_code == unknown.status_code == 404
        assert foreign.json()["type"] == unknown.json()["type"]
    for path in (f"{ROOT}/documents", f"{ROOT}/jobs"):
        assert (await desk.stranger.get(path)).json()["items"] == []
    assert (await desk.stranger.post(f"{ROOT}/search", json={"query": "비밀 내용"})).json()["passages"] == []
    assert (await desk.http.get(f"{ROOT}/documents")).json()["documents"] == 1


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("documents", {"title": "a"}),
        ("documents", {"title": "", "text": "a"}),
        ("documents", {"title": "a", "text": "a", "sorce": "typo"}),
        ("documents", {"title": "a", "text": "a", "url": "javascript:alert(1)"}),
        ("documents", {"title": "a\nb", "text": "a"}),
        ("documents", {"title": "a", "text": " \n "}),
        ("search", {"query": "  "}),
        ("search", {"query": "a", "limit": 0}),
        ("search", {"query": "a", "limit": 51}),
        ("search", {"query": "가" * 2001}),
        ("search", {"question": "a"}),
        ("search", []),
    ],
)
async def test_a_body_that_cannot_be_honoured_is_refused(desk: Desk, path: str, body: Any) -> None:
    assert problem_of(await desk.http.post(f"{ROOT}/{path}", json=body))[0] == 422


async def test_a_list_has_a_bound_and_a_cursor_of_its_own(desk: Desk) -> None:
    for params in ({"limit": 0}, {"limit": 101}, {"before": "x"}, {"before": "A" * 32}, {"before": "A" * 100}):
        answer = await desk.http.get(f"{ROOT}/documents", params=params)
        assert answer.status_code in ({422, 200} if params.get("before") == "A" * 32 else {422})
    assert (await desk.http.get(f"{ROOT}/documents/nonsense")).status_code == 422
    assert (await desk.http.get(f"{ROOT}/jobs", params={"before": "x"})).status_code == 422


async def test_an_upload_without_files_or_too_large_is_refused(desk: Desk) -> None:
    assert (await desk.http.post(f"{ROOT}/upload")).status_code == 422
    large = await desk.http.post(f"{ROOT}/upload", files=[("files", ("a.md", b"a" * (UPLOAD_BYTES + 1)))])
    assert problem_of(large) == (413, "/problems/too-large")
    fits = await desk.http.post(f"{ROOT}/upload", files=[("files", ("a.md", b"a " * 100_000))])
    assert fits.status_code == 202
    elsewhere = await desk.http.post(f"{ROOT}/documents", json={"title": "a", "text": "a" * 200_000})
    assert problem_of(elsewhere) == (413, "/problems/too-large")
    broken = await desk.http.post(
        f"{ROOT}/upload", content=b"--x\r\nnonsense", headers={"Content-Type": "multipart/form-data; boundary=y"}
    )
    assert broken.status_code in {400, 422}


async def test_nobody_gets_in_without_a_token(desk: Desk) -> None:
    for method, path in (("GET", f"{ROOT}/documents"), ("POST", f"{ROOT}/upload"), ("GET", "/api/v1/citations/a")):
        answer = await desk.http.request(method, path, headers={"Authorization": ""})
        assert answer.status_code == 401
