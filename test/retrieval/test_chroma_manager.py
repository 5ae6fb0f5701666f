import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from backend.core.chroma_manager import ChromaManager
from backend.core.error import IndexMismatch, Unavailable
from test.retrieval.fake import WordEmbedder


@pytest.fixture
async def chroma(tmp_path: Path) -> AsyncGenerator[ChromaManager]:
    manager = ChromaManager(tmp_path / "chroma", WordEmbedder(8))
    yield manager
    await manager.close()


def axis(number: int) -> list[float]:
    return [1.0 if place == number else 0.0 for place in range(8)]


async def test_the_nearest_come_first_with_their_cosine(chroma: ChromaManager) -> None:
    index = chroma.of("default")
    await index.upsert(["a", "b", "c"], [axis(0), axis(1), [0.6, 0.8, 0, 0, 0, 0, 0, 0]])
    near = await index.query(axis(0), 3)
    assert [name for name, _ in near] == ["a", "c", "b"]
    assert [cosine for _, cosine in near] == pytest.approx([1.0, 0.6, 0.0], abs=1e-5)


async def test_equally_near_ones_come_in_the_order_of_their_ids(chroma: ChromaManager) -> None:
    index = chroma.of("default")
    await index.upsert(["c", "a", "b"], [axis(1)] * 3)
    assert [name for name, _ in await index.query(axis(1), 3)] == ["a", "b", "c"]


async def test_upserting_again_replaces_and_removing_removes(chroma: ChromaManager) -> None:
    index = chroma.of("default")
    await index.upsert(["a", "b"], [axis(0), axis(1)])
    await index.upsert(["a"], [axis(2)])
    await index.remove(["b", "never there"])
    ((name, cosine),) = await index.query(axis(2), 5)
    assert name == "a"
    assert cosine == pytest.approx(1.0, abs=1e-5)


async def test_nothing_is_found_where_nothing_is(chroma: ChromaManager) -> None:
    await chroma.of("default").upsert([], [])
    await chroma.of("default").remove([])
    assert await chroma.of("default").query(axis(0), 5) == []


async def test_tenants_do_not_see_each_other_whatever_their_names(chroma: ChromaManager) -> None:
    tenants = ["a", "a-", "a-b", "a_b", "0", "x" * 63]
    for number, tenant in enumerate(tenants):
        await chroma.of(tenant).upsert([tenant], [axis(number)])
    for number, tenant in enumerate(tenants):
        assert [name for name, _ in await chroma.of(tenant).query(axis(number), 9)] == [tenant]


async def test_more_vectors_than_one_write_takes(chroma: ChromaManager) -> None:
    names = [f"p{number:04}" for number in range(1201)]
    index = chroma.of("default")
    await index.upsert(names, [axis(number % 8) for number in range(1201)])
    collection = await chroma.collection("default")
    assert collection.count() == 1201
    await index.remove(names[1:])
    assert collection.count() == 1


async def test_searches_and_writes_at_once_lose_nothing(chroma: ChromaManager) -> None:
    index = chroma.of("default")
    await index.upsert(["first"], [axis(0)])
    await asyncio.gather(
        *(index.upsert([f"p{number}"], [axis(number % 8)]) for number in range(60)),
        *(index.query(axis(0), 5) for _ in range(60)),
    )
    assert (await chroma.collection("default")).count() == 61


async def test_vectors_are_there_after_a_restart(tmp_path: Path) -> None:
    for _ in range(2):
        manager = ChromaManager(tmp_path, WordEmbedder(8))
        await manager.of("default").upsert(["a"], [axis(3)])
        assert [name for name, _ in await manager.of("default").query(axis(3), 2)] == ["a"]
        await manager.close()


async def test_another_embedding_model_is_refused_until_the_vectors_are_forgotten(tmp_path: Path) -> None:
    first = ChromaManager(tmp_path, WordEmbedder(8, "old"))
    await first.of("default").upsert(["a"], [axis(0)])
    await first.close()
    second = ChromaManager(tmp_path, WordEmbedder(8, "new"))
    with pytest.raises(IndexMismatch, match=r"old-8.*new-8"):
        await second.of("default").query(axis(0), 1)
    with pytest.raises(IndexMismatch):
        await second.of("default").upsert(["b"], [axis(0)])
    assert await second.of("other").query(axis(0), 1) == []
    await second.purge("default", ["knowledge"])
    await second.of("default").upsert(["b"], [axis(0)])
    assert [name for name, _ in await second.of("default").query(axis(0), 5)] == ["b"]
    await second.close()


async def test_vectors_that_are_removed_leave_no_folder_behind(tmp_path: Path) -> None:
    """Chroma forgets a collection, and leaves its vectors on the disk for good."""
    path = tmp_path / "chroma"

    def folders() -> set[str]:
        return {folder.name for folder in path.iterdir() if folder.is_dir()}

    chroma = ChromaManager(path, WordEmbedder(8))
    await chroma.of("other").upsert(["a"], [axis(0)])
    await chroma.of("other").query(axis(0), 1)
    before = folders()
    names = [str(number) for number in range(1200)]  # as many as Chroma writes into files of their own
    await chroma.of("mine").upsert(names, [axis(number % 8) for number in range(1200)])
    await chroma.of("mine").query(axis(0), 1)
    assert len(folders()) > len(before)
    await chroma.purge("mine")
    assert folders() == before
    assert [name for name, _ in await chroma.of("other").query(axis(0), 5)] == ["a"]
    await chroma.close()
    stray = path / "45babb78-7c19-4efe-af73-f4e6032ed477"  # of a server that left them
    stray.mkdir()
    (stray / "data_level0.bin").write_bytes(b"vectors")
    (path / "notes").mkdir()  # nobody's business
    again = ChromaManager(path, WordEmbedder(8))
    await again.open()
    assert folders() == before | {"notes"}
    assert [name for name, _ in await again.of("other").query(axis(0), 5)] == ["a"]
    await again.close()


async def test_a_second_owner_is_told_who_the_first_is(tmp_path: Path) -> None:
    first, second = ChromaManager(tmp_path, WordEmbedder(8)), ChromaManager(tmp_path, WordEmbedder(8))
    await first.open()
    with pytest.raises(Unavailable, match=rf"process {os.getpid()} .*\.owner"):
        await second.open()
    await first.close()
    await second.open()
    await second.close()


async def test_the_folder_is_free_when_its_owner_was_killed(tmp_path: Path) -> None:
    code = (
        "import asyncio, sys, pathlib\n"
        "from backend.core.chroma_manager import ChromaManager\n"
        "asyncio.run(ChromaManager(pathlib.Path(sys.argv[1]), None).open())\n"
        "print('mine', flush=True); sys.stdin.read()\n"
    )
    owner = subprocess.Popen(  # a short test of another process
        [sys.executable, "-c", code, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=Path(__file__).parents[2],
    )
    with owner:
        assert owner.stdout is not None
        assert await asyncio.to_thread(owner.stdout.readline) == b"mine\n"
        manager = ChromaManager(tmp_path, WordEmbedder(8))
        with pytest.raises(Unavailable, match=str(owner.pid)):
            await manager.open()
        owner.kill()
    await manager.open()
    await manager.close()


async def test_a_graph_gets_a_vector_store_of_its_own(chroma: ChromaManager) -> None:
    from langchain_core.documents import Document

    store = await chroma.vector_store("default", "notes")
    await store.aadd_documents([Document("사과는 빨갛다", id="1"), Document("바다는 파랗다", id="2")])
    found = await store.asimilarity_search("사과", k=1)
    assert [document.page_content for document in found] == ["사과는 빨갛다"]
    again = await chroma.vector_store("default", "notes")
    assert len(await again.asimilarity_search("사과", k=5)) == 2
    foreign = await chroma.vector_store("other", "notes")
    assert await foreign.asimilarity_search("사과", k=5) == []
    assert await chroma.of("default").query(axis(0), 5) == []


@pytest.mark.parametrize("name", ["", "a.b", "../x", "한글", "a" * 65, "a b"])
async def test_a_vector_store_needs_a_plain_name(chroma: ChromaManager, name: str) -> None:
    with pytest.raises(ValueError, match="vector store"):
        await chroma.vector_store("default", name)
