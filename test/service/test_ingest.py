"""Ingestion jobs: what is taken in, watched, cancelled, and gone on with after a kill."""

import asyncio
import shutil
import signal
import sys
import unicodedata
from asyncio.subprocess import PIPE
from pathlib import Path
from random import Random
from uuid import uuid4

import pytest

from backend.core.error import (
    DocumentNotFound,
    IndexMismatch,
    InvalidFile,
    JobNotFound,
    NotFound,
    TooLarge,
    TooMany,
    UpstreamFailed,
)
from backend.core.retrieval.precomputed import PrecomputedEmbedder
from backend.dto.knowledge import Job
from backend.service import ingest
from backend.service.sample import SAMPLE_VECTORS, read_sample, sample_texts
from test.collector.make_files import make_good, make_hostile
from test.engine_fixture import ALICE, MALLORY
from test.ingest_fixture import FakeEmbedder, Library, file_vectors, open_library


class Sent:
    """A file that a client sends."""

    def __init__(self, filename: str | None, content: str | bytes) -> None:
        self.filename = filename
        self._left = content.encode() if isinstance(content, str) else content

    async def read(self, size: int = -1, /) -> bytes:
        size = len(self._left) if size < 0 else size
        block, self._left = self._left[:size], self._left[size:]
        return block


def make_folder(path: Path, count: int) -> Path:
    for number in range(count):
        file = path / f"part{number % 3}" / f"{number:03}.md"
        file.parent.mkdir(parents=True, exist_ok=True)
        paragraphs = "\n\n".join(
            f"{number}번 문서의 {line}째 문단은 {'내용이 길다. ' * 20}" for line in range(1 + number % 4)
        )
        file.write_text(f"# 문서 {number}\n\n{paragraphs}\n")
    return path


async def upload(library: Library, *files: Sent) -> Job:
    job = await library.ingest.submit_upload(ALICE, files)
    async with asyncio.timeout(30):
        return await library.ingest.wait(ALICE, job.job_id)


def outcomes(job: Job) -> dict[str, str]:
    return {report.source: report.outcome for report in job.reports}


async def test_a_folder_is_taken_in_and_every_kind_of_file_is_found(library: Library, tmp_path: Path) -> None:
    make_good(tmp_path / "handbook")
    job = await library.take_in(tmp_path / "handbook")
    assert (job.status, job.total, job.done, job.failed) == ("success", 11, 11, 0)
    assert set(outcomes(job).values()) == {"added"}
    documents, chunks, passages, vectors = await library.counts()
    assert (documents, chunks) == (11, job.chunks)
    assert chunks == passages == vectors
    found = await library.knowledge.search(ALICE, "연차 휴가는 며칠인가요?")
    assert any("연차 휴가는 15일이다." in passage.text for passage in found.passages)


async def test_one_bad_file_never_stops_the_rest_and_is_reported_with_its_reason(
    library: Library, tmp_path: Path
) -> None:
    make_good(tmp_path / "all")
    make_hostile(tmp_path / "all")
    job = await library.take_in(tmp_path / "all")
    assert job.status == "success"
    assert job.done == job.total
    assert list(outcomes(job).values()).count("added") == 11
    reports = {report.source: report for report in job.reports}
    encrypted = reports["all/secret.pdf"]
    assert (encrypted.outcome, encrypted.code, encrypted.chunks) == ("failed", "encrypted", 0)
    assert encrypted.reason == "The file is protected with a password; save it without one."
    assert encrypted.reason_ko == "암호가 걸린 파일입니다. 암호를 풀고 다시 올려 주세요."
    assert (await library.counts())[0] == 11


async def test_what_is_unchanged_is_left_alone_and_what_changed_replaces_its_passages(
    library: Library, tmp_path: Path
) -> None:
    folder = make_folder(tmp_path / "docs", 4)
    first = await library.take_in(folder)
    before = await library.counts()
    embedded = library.embedder.texts
    again = await library.take_in(folder)
    assert set(outcomes(again).values()) == {"unchanged"}
    assert (again.chunks, library.embedder.texts) == (first.chunks, embedded)
    assert await library.counts() == before

    (folder / "part0" / "000.md").write_text("# 새 제목\n\n전혀 다른 내용이다.\n")
    changed = await library.take_in(folder)
    assert outcomes(changed) == {**outcomes(again), "docs/part0/000.md": "updated"}
    documents, chunks, passages, vectors = await library.counts()
    assert documents == 4
    assert chunks == passages == vectors
    found = await library.knowledge.search(ALICE, "전혀 다른 내용", limit=20)
    assert [passage.title for passage in found.passages if "다른 내용" in passage.text] == ["새 제목"]


async def test_indexes_that_were_deleted_are_made_again_from_the_same_files(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "docs", 4)
    async with open_library(tmp_path / "data") as library:
        await library.take_in(folder)
        before = await library.counts()
    shutil.rmtree(tmp_path / "data" / "keyword")
    async with open_library(tmp_path / "data") as library:
        again = await library.take_in(folder)
        assert set(outcomes(again).values()) == {"updated"}
        assert await library.counts() == before


async def test_the_same_content_back_again_is_not_taken_for_unchanged(library: Library) -> None:
    await upload(library, Sent("a.md", "# 하나\n\n첫 내용"))
    await upload(library, Sent("a.md", "# 둘\n\n둘째 내용"))
    assert outcomes(await upload(library, Sent("a.md", "# 하나\n\n첫 내용"))) == {"a.md": "updated"}


async def test_an_upload_is_named_safely_and_leaves_no_file_behind(library: Library) -> None:
    decomposed = unicodedata.normalize("NFD", "휴가규정.md")
    job = await upload(
        library,
        Sent("../../etc/passwd.md", "하나"),
        Sent("C:\\docs\\report.md", "둘"),
        Sent(decomposed, "셋"),
        Sent("a\u202efdp.md", "넷"),
    )
    assert list(outcomes(job)) == ["etc/passwd.md", "docs/report.md", "휴가규정.md", "afdp.md"]
    await library.ingest.close()
    assert [path for path in library.files_path.rglob("*") if path.is_file()] == []


async def test_two_files_of_one_name_in_one_upload_are_two_versions(library: Library) -> None:
    job = await upload(library, Sent("a.md", "하나"), Sent("a.md", "둘"), Sent("b.md", "셋"))
    assert [report.outcome for report in job.reports] == ["added", "updated", "added"]
    assert (await library.counts())[0] == 2


async def test_a_file_that_is_too_large_refuses_the_upload_and_leaves_nothing(library: Library) -> None:
    with pytest.raises(TooLarge):
        await library.ingest.submit_upload(ALICE, [Sent("a.md", "a"), Sent("b.md", b"b" * (1024 * 1024 + 1))])
    assert await library.ingest.list(ALICE) == []
    assert [path for path in library.files_path.rglob("*") if path.is_file()] == []


async def test_the_same_file_from_many_at_once_is_one_document(library: Library) -> None:
    text = "# 제목\n\n" + "같은 내용이다. " * 300
    jobs = await asyncio.gather(*(library.ingest.submit_upload(ALICE, [Sent("a.md", text)]) for _ in range(10)))
    ended = await asyncio.gather(*(library.ingest.wait(ALICE, job.job_id) for job in jobs))
    assert [report.outcome for job in ended for report in job.reports].count("added") == 1
    documents, chunks, passages, vectors = await library.counts()
    assert documents == 1
    assert chunks == passages == vectors == ended[0].chunks


async def test_a_deleted_document_is_gone_from_all_three_places(library: Library) -> None:
    await upload(library, Sent("a.md", "지울 내용"), Sent("b.md", "남을 내용"))
    gone = next(one for one in await library.knowledge.list(ALICE) if one.source == "a.md")
    await library.knowledge.delete(ALICE, gone.document_id)
    assert await library.counts() == (1, 1, 1, 1)
    with pytest.raises(DocumentNotFound):
        await library.knowledge.get(ALICE, gone.document_id)
    assert outcomes(await upload(library, Sent("a.md", "지울 내용"))) == {"a.md": "added"}


async def test_another_tenant_sees_nothing_of_it(library: Library) -> None:
    job = await upload(library, Sent("a.md", "비밀 내용"))
    (document,) = await library.knowledge.list(ALICE)
    (passage,) = (await library.knowledge.search(ALICE, "비밀 내용")).passages
    assert await library.knowledge.list(MALLORY) == []
    assert await library.ingest.list(MALLORY) == []
    assert (await library.knowledge.search(MALLORY, "비밀 내용")).passages == ()
    for attempt in (
        library.ingest.get(MALLORY, job.job_id),
        library.ingest.cancel(MALLORY, job.job_id),
        library.knowledge.get(MALLORY, document.document_id),
        library.knowledge.delete(MALLORY, document.document_id),
        library.knowledge.passage(MALLORY, passage.passage_id),
    ):
        with pytest.raises(NotFound):
            await attempt
    same_name = await library.ingest.submit_upload(MALLORY, [Sent("a.md", "남의 내용")])
    await library.ingest.wait(MALLORY, same_name.job_id)
    assert (await library.knowledge.search(ALICE, "비밀 내용")).passages == (passage,)


async def test_progress_replays_what_was_and_follows_what_comes(library: Library, tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "docs", 40)
    library.embedder.gate = asyncio.Event()
    job = await library.ingest.submit_folder(ALICE, folder)
    await library.embedder.waiting.wait()
    assert (await library.ingest.get(ALICE, job.job_id)).reports == ()
    library.embedder.gate.set()
    states = [now async for now in library.ingest.progress(ALICE, job.job_id)]
    sources = [report.source for now in states for report in now.reports]
    assert len(sources) == len(set(sources)) == 40
    assert [now.done for now in states] == sorted(now.done for now in states)
    assert (states[-1].status, states[-1].done) == ("success", 40)
    late = [now async for now in library.ingest.progress(ALICE, job.job_id)]
    assert [report.source for now in late for report in now.reports] == sources
    behind = [now async for now in library.ingest.progress(ALICE, job.job_id, after=30)]
    assert [report.source for now in behind for report in now.reports] == sources[30:]


async def test_a_cancelled_job_stops_and_keeps_what_it_has(library: Library, tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "docs", 60)
    library.embedder.gate = asyncio.Event()
    job = await library.ingest.submit_folder(ALICE, folder)
    await library.embedder.waiting.wait()
    await library.ingest.cancel(ALICE, job.job_id)
    library.embedder.gate.set()
    ended = await library.ingest.wait(ALICE, job.job_id)
    assert ended.status == "cancelled"
    assert 0 < ended.done < 60
    documents, chunks, passages, vectors = await library.counts()
    assert documents == ended.done
    assert chunks == passages == vectors
    assert (await library.ingest.cancel(ALICE, job.job_id)).status == "cancelled"


async def test_an_index_of_another_model_ends_the_job_with_a_reason(library: Library, tmp_path: Path) -> None:
    library.embedder.failure = lambda texts: IndexMismatch("The index was made with another model.")
    job = await library.take_in(make_folder(tmp_path / "docs", 30))
    assert (job.status, job.error) == ("error", "The index was made with another model.")
    library.embedder.failure = lambda texts: None
    assert (await library.take_in(tmp_path / "docs")).status == "success"
    assert (await library.counts())[0] == 30


async def test_a_text_that_the_model_refuses_fails_alone(library: Library, tmp_path: Path) -> None:
    library.embedder.failure = lambda texts: (
        UpstreamFailed("The model refused a text.") if any("7번 문서" in text for text in texts) else None
    )
    job = await library.take_in(make_folder(tmp_path / "docs", 10))
    assert job.status == "success"
    assert [report.source for report in job.reports if report.outcome == "failed"] == ["docs/part1/007.md"]
    assert (await library.counts())[0] == 10  # its row waits for the next try
    library.embedder.failure = lambda texts: None
    assert outcomes(await library.take_in(tmp_path / "docs"))["docs/part1/007.md"] == "added"


async def test_a_job_goes_on_where_a_stopped_server_left_it(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "docs", 50)
    vectors = file_vectors(tmp_path / "data")
    async with open_library(tmp_path / "data", vectors=vectors) as library:
        library.embedder.gate = asyncio.Event()
        job = await library.ingest.submit_folder(ALICE, folder)
        sent = await library.ingest.submit_upload(ALICE, [Sent("late.md", "나중 내용")])
        await library.embedder.waiting.wait()
    async with open_library(tmp_path / "data", vectors=vectors) as library:
        ended = await library.ingest.wait(ALICE, job.job_id)
        assert (ended.status, ended.done, len(ended.reports)) == ("success", 50, 50)
        assert (await library.ingest.wait(ALICE, sent.job_id)).status == "success"
        documents, chunks, passages, kept = await library.counts()
        assert documents == 51
        assert chunks == passages == kept


async def test_a_killed_ingestion_run_again_has_the_same_passages_as_a_clean_one(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "docs", 90)
    async with open_library(tmp_path / "clean", vectors=file_vectors(tmp_path / "clean")) as library:
        await library.take_in(folder)
        clean = await library.counts()
    random = Random(7)
    data = tmp_path / "killed"
    killed = 0
    for _ in range(3):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "test.ingest_fixture", str(data), str(folder), stdout=PIPE
        )
        assert process.stdout is not None
        for _ in range(random.randrange(1, 22)):
            await process.stdout.readline()
        if process.returncode is None:
            process.send_signal(signal.SIGKILL)
        killed += await process.wait() == -signal.SIGKILL
    assert killed >= 2
    async with open_library(data, vectors=file_vectors(data)) as library:
        (job,) = await library.ingest.list(ALICE)
        ended = await library.ingest.wait(ALICE, job.job_id)
        assert (ended.status, ended.done, len(ended.reports)) == ("success", 90, 90)
        assert await library.counts() == clean


async def test_a_file_that_vanished_is_reported(library: Library, tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "docs", 3)
    library.embedder.gate = asyncio.Event()
    blocker = await library.ingest.submit_upload(ALICE, [Sent("a.md", "가")])
    other = await library.ingest.submit_upload(ALICE, [Sent("b.md", "나")])
    await library.embedder.waiting.wait()
    job = await library.ingest.submit_folder(ALICE, folder)
    (folder / "part1" / "001.md").unlink()
    library.embedder.gate.set()
    ended = await library.ingest.wait(ALICE, job.job_id)
    assert {report.source: report.code for report in ended.reports if report.code} == {"docs/part1/001.md": "not_found"}
    await library.ingest.wait(ALICE, blocker.job_id)
    await library.ingest.wait(ALICE, other.job_id)


async def test_a_folder_is_taken_in_without_links_hidden_and_foreign_files(library: Library, tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "docs", 1)
    (tmp_path / "secret.md").write_text("비밀")
    (folder / "link.md").symlink_to(tmp_path / "secret.md")
    (folder / ".hidden.md").write_text("숨김")
    (folder / ".git").mkdir()
    (folder / ".git" / "a.md").write_text("숨김")
    (folder / "picture.png").write_bytes(b"\x89PNG")
    job = await library.take_in(folder)
    assert (list(outcomes(job)), job.metadata["skipped"]) == (["docs/part0/000.md"], 1)
    for nothing in (tmp_path / "nowhere", tmp_path / "docs" / ".git" / ".." / ".hidden"):
        with pytest.raises(InvalidFile):
            await library.ingest.submit_folder(ALICE, nothing)


async def test_jobs_at_once_and_files_of_a_job_are_bounded(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingest, "MAX_FILES", 3)
    with pytest.raises(TooLarge):
        await library.ingest.submit_folder(ALICE, make_folder(tmp_path / "docs", 4))
    library.embedder.gate = asyncio.Event()
    for number in range(ingest.MAX_ACTIVE):
        await library.ingest.submit_upload(ALICE, [Sent(f"{number}.md", "가")])
    with pytest.raises(TooMany):
        await library.ingest.submit_upload(ALICE, [Sent("more.md", "가")])
    library.embedder.gate.set()


async def test_an_unknown_job_is_not_found(library: Library) -> None:
    with pytest.raises(JobNotFound):
        await anext(library.ingest.progress(ALICE, uuid4()))


async def test_the_sample_is_taken_in_once(library: Library, tmp_path: Path) -> None:
    corpus = tmp_path / "sample.jsonl"
    corpus.write_text(
        '{"source":"notice/1","title":"공고 하나","text":"## 대상\\n\\n예비창업자","url":"https://example.com/1","metadata":{"a":1}}\n'
    )
    job = await library.ingest.load_sample("default", corpus)
    assert job is not None
    assert (await library.ingest.wait(ALICE, job.job_id)).status == "success"
    (document,) = await library.knowledge.list(ALICE)
    assert (document.title, document.url, document.metadata) == ("공고 하나", "https://example.com/1", {"a": 1})
    await library.knowledge.delete(ALICE, document.document_id)
    assert await library.ingest.load_sample("default", corpus) is None
    assert (await library.counts())[0] == 0


def test_the_shipped_corpus_is_whole() -> None:
    _, files = read_sample()
    assert len(files) == 274
    assert len({file.source for file in files}) == 274
    for file in files:
        content = file.content or {}
        assert content["title"]
        assert len(content["text"]) > 100
        assert content["url"].startswith("https://www.k-startup.go.kr/")
        assert content["metadata"]["attribution"] == "K-Startup, 창업진흥원"


async def test_every_passage_of_the_shipped_corpus_has_its_vector() -> None:
    embedder = FakeEmbedder()
    embedder.key = "use-multilingual-512"
    vectors = await PrecomputedEmbedder(embedder, SAMPLE_VECTORS).embed(list(sample_texts()))
    assert embedder.texts == 0, "run script/make_sample_vectors.py"
    assert all(abs(sum(value * value for value in vector) - 1) < 1e-3 for vector in vectors)
