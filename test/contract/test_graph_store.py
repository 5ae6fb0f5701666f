"""The store that graphs use: first what langgraph's own in-memory store does as well, then what is ours."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any, cast

import pytest
from langchain_core.embeddings import Embeddings
from langgraph.store.base import (
    BaseStore,
    GetOp,
    InvalidNamespaceError,
    Item,
    ListNamespacesOp,
    MatchCondition,
    PutOp,
    SearchItem,
    SearchOp,
)
from langgraph.store.memory import InMemoryStore
from sqlalchemy import Connection, func, select

from backend.core.error import Conflict, Fenced, Invalid, TooLarge, Unavailable, UpstreamFailed
from backend.core.graph.project import Reference, StoreIndexConfig
from backend.database.base import Database
from backend.database.model import Base, StoreItemRow, StoreVectorRow, table_of
from backend.database.postgres import PostgresDatabase
from backend.database.sqlite import SqliteDatabase
from backend.dto.store import StoreIndex, StoreTtl
from backend.repository.checkpoint import Fence
from backend.service.graph_store import MOST_VALUE_BYTES, GraphStore
from backend.service.store import StoreService
from backend.service.store_embedding import store_index
from backend.util.id_generator import new_id
from test.engine_fixture import FakeClock, graph_of, of_everyone
from test.retrieval.fake import WordEmbedder

ROWS = [StoreItemRow, StoreVectorRow]


class Letters:
    """An embedding that counts letters, and its calls."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    async def __call__(self, texts: list[str]) -> list[list[float]]:
        self.texts += texts
        return [[float(text.count(letter)) for letter in "xyz"] + [0.01] for text in texts]


@pytest.fixture
def letters() -> Letters:
    return Letters()


async def with_tables(database: Database) -> Database:
    def create(connection: Connection) -> None:
        Base.metadata.create_all(connection, tables=[table_of(row) for row in ROWS])

    await database.write(create)
    return database


@pytest.fixture
async def tables(database: Database) -> Database:
    return await with_tables(database)


@pytest.fixture
def ours(tables: Database, letters: Letters, clock: FakeClock) -> GraphStore:
    return GraphStore(tables, clock, index=StoreIndex(letters, model="letters"))


@pytest.fixture(params=["langgraph", "sqlite", "postgresql"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str | Path | None:
    """Where the database of a store is; None for langgraph's own."""
    if request.param == "postgresql":
        return cast(str, request.getfixturevalue("prepared_postgres_url"))
    if request.param == "sqlite":
        return cast(Path, shutil.copy(request.getfixturevalue("sqlite_template"), tmp_path / "test.db"))
    return None


@pytest.fixture
async def store(address: str | Path | None, letters: Letters, clock: FakeClock) -> AsyncIterator[BaseStore]:
    """The reference, and ours on both databases."""
    if address is None:
        yield InMemoryStore(index={"dims": 4, "embed": cast(Any, letters)})
        return
    database = SqliteDatabase(address) if isinstance(address, Path) else PostgresDatabase(address)
    await database.open()
    await with_tables(database)
    yield GraphStore(database, clock, index=StoreIndex(letters, model="letters")).bound("default")
    await database.close()


@pytest.fixture
async def bound(ours: GraphStore) -> GraphStore:
    return ours.bound("default")


def keys(found: list[SearchItem]) -> list[str]:
    return [item.key for item in found]


async def count(database: Database, row: type[Base]) -> int:
    return await database.read(
        of_everyone(lambda connection: connection.execute(select(func.count()).select_from(table_of(row))).scalar_one())
    )


# --- as langgraph's own store


async def test_what_is_put_is_there_until_it_is_deleted(store: BaseStore):
    await store.aput(("users", "1"), "likes", {"food": ["김치", None, 1.5], "deep": {"a": {"b": True}}})
    await store.aput(("users", "1"), "likes", {"food": "rice"})

    item = await store.aget(("users", "1"), "likes")
    assert isinstance(item, Item)
    assert (item.namespace, item.key, item.value) == (("users", "1"), "likes", {"food": "rice"})
    assert item.created_at.tzinfo is not None

    await store.adelete(("users", "1"), "likes")
    assert await store.aget(("users", "1"), "likes") is None
    await store.adelete(("users", "1"), "never there")


async def test_a_namespace_is_no_prefix_of_a_word(store: BaseStore):
    for namespace in [("user",), ("user", "1"), ("user-old",), ("user-old", "1"), ("users",), ("user", "1", "a")]:
        await store.aput(namespace, "k", {"at": list(namespace)}, index=False)

    found = await store.asearch(("user",))
    assert {item.namespace for item in found} == {("user",), ("user", "1"), ("user", "1", "a")}
    assert {item.namespace for item in await store.asearch(("user", "1"))} == {("user", "1"), ("user", "1", "a")}
    assert len(await store.asearch(())) == 6


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({"n": 1}, ["a"]),
        ({"n": 1, "s": "x"}, ["a"]),
        ({"n": {"$eq": 2}}, ["b"]),
        ({"n": {"$ne": 1}}, ["b", "c"]),
        ({"n": {"$gt": 1}}, ["b", "c"]),
        ({"n": {"$gte": 1, "$lt": 3}}, ["a", "b"]),
        ({"n": {"$lte": 2.0}}, ["a", "b"]),
        ({"deep": {"p": 1}}, ["b"]),
        ({"deep": {}}, ["b"]),
        ({"list": [1, 2]}, ["c"]),
        ({"list": [1]}, []),
        ({"list": None}, ["a", "b"]),
        ({"deep.p": 1}, []),
        ({"s": "x' OR 1=1 --"}, []),
        ({"') OR 1=1 --": 1}, []),
        ({}, ["a", "b", "c"]),
    ],
)
async def test_a_filter_compares_values(store: BaseStore, wanted: dict[str, Any], expected: list[str]):
    for key, value in {
        "a": {"n": 1, "s": "x"},
        "b": {"n": 2, "s": "y", "deep": {"p": 1, "q": 2}},
        "c": {"n": 3, "list": [1, 2]},
    }.items():
        await store.aput(("f",), key, value, index=False)

    assert keys(await store.asearch(("f",), filter=wanted)) == expected


async def test_an_unknown_operator_is_refused(store: BaseStore):
    await store.aput(("f",), "a", {"n": 1})

    with pytest.raises(ValueError, match=r"\$in"):
        await store.asearch(("f",), filter={"n": {"$in": [1]}})


async def test_pages_of_a_search_meet_without_gaps(store: BaseStore):
    for number in range(7):
        await store.aput(("p",), f"{number}", {"n": number, "odd": bool(number % 2)}, index=False)

    assert keys(await store.asearch(("p",), limit=3)) == ["0", "1", "2"]
    assert keys(await store.asearch(("p",), limit=3, offset=5)) == ["5", "6"]
    assert keys(await store.asearch(("p",), limit=2, offset=1, filter={"odd": True})) == ["3", "5"]


async def test_a_query_finds_what_is_nearest(store: BaseStore):
    await store.aput(("d",), "ys", {"w": "yyy"})
    await store.aput(("d",), "mixed", {"w": "xy"})
    await store.aput(("d",), "xs", {"w": "xxxx"})
    await store.aput(("d",), "unindexed", {"w": "xxxx"}, index=False)
    await store.aput(("elsewhere",), "xs", {"w": "xxxx"})

    found = await store.asearch(("d",), query="x")
    assert keys(found) == ["xs", "mixed", "ys", "unindexed"]
    scores = [item.score for item in found]
    assert scores[0] == pytest.approx(1, abs=0.01)
    assert scores[1] == pytest.approx(0.707, abs=0.01)
    assert scores[2] == pytest.approx(0, abs=0.1)
    assert scores[3] is None
    assert keys(await store.asearch(("d",), query="y", limit=1)) == ["ys"]
    assert keys(await store.asearch(("d",), query="x", limit=1, offset=1)) == ["mixed"]
    assert keys(await store.asearch(("d",), query="x", filter={"w": "xy"})) == ["mixed"]
    assert [item.score for item in await store.asearch(("d",))] == [None] * 4


async def test_an_item_is_found_by_its_best_text(store: BaseStore):
    value = {"title": "yyy", "notes": [{"text": "zzz"}, {"text": "xxx"}], "other": "yyyyyyyyyyyyyyyy"}
    await store.aput(("d",), "notes", value, index=["title", "notes[*].text"])
    await store.aput(("d",), "title", value, index=["title"])

    found = await store.asearch(("d",), query="x")
    assert keys(found) == ["notes", "title"]
    assert found[0].score == pytest.approx(1, abs=0.01)


async def test_namespaces_are_listed_by_prefix_suffix_and_depth(store: BaseStore):
    for namespace in ["u.1", "u.1.p", "u.2", "v.2.p", "v.3.q.r", "u-x.1", "*.2"]:
        await store.aput(tuple(namespace.split(".")), "k", {}, index=False)

    async def listed(**options: Any) -> list[str]:
        return [".".join(namespace) for namespace in await store.alist_namespaces(**options)]

    assert await listed() == ["*.2", "u.1", "u.1.p", "u.2", "u-x.1", "v.2.p", "v.3.q.r"]
    assert await listed(prefix=("u",)) == ["u.1", "u.1.p", "u.2"]
    assert await listed(prefix=("*", "2")) == ["*.2", "u.2", "v.2.p"]
    assert await listed(suffix=("p",)) == ["u.1.p", "v.2.p"]
    assert await listed(prefix=("v",), suffix=("*", "r")) == ["v.3.q.r"]
    assert await listed(prefix=("u", "1", "p", "*")) == []
    assert await listed(max_depth=1) == ["*", "u", "u-x", "v"]
    assert await listed(max_depth=2, limit=2, offset=1) == ["u.1", "u.2"]
    assert await listed(limit=0) == []


async def test_a_batch_reads_before_it_writes_and_its_last_write_counts(store: BaseStore):
    await store.aput(("b",), "k", {"n": 0})

    results = await store.abatch(
        [
            PutOp(("b",), "k", {"n": 1}),
            GetOp(("b",), "k"),
            PutOp(("b",), "k", {"n": 2}),
            PutOp(("b",), "gone", {"n": 3}),
            SearchOp(("b",)),
            PutOp(("b",), "gone", None),
            ListNamespacesOp((MatchCondition("prefix", ("b",)),)),
        ]
    )

    assert cast(Item, results[1]).value == {"n": 0}
    assert [item.value for item in cast(list[SearchItem], results[4])] == [{"n": 0}]
    assert results[6] == [("b",)]
    assert [results[number] for number in (0, 2, 3, 5)] == [None] * 4
    assert [(item.key, item.value) for item in await store.asearch(("b",))] == [("k", {"n": 2})]


async def test_items_of_one_batch_keep_its_order(store: BaseStore):
    await store.abatch([PutOp(("b",), key, {}, False) for key in ("c", "a", "b")])

    assert keys(await store.asearch(("b",))) == ["c", "a", "b"]
    assert await store.asearch(("b",), limit=0) == []


@pytest.mark.parametrize("namespace", [(), ("a.b",), ("a", ""), ("langgraph",), ("a", "nul\0")])
async def test_a_namespace_that_cannot_be_is_refused(store: BaseStore, namespace: tuple[str, ...]):
    with pytest.raises(InvalidNamespaceError):
        await store.aput(namespace, "k", {})


# --- ours


async def test_a_changed_item_keeps_the_moment_of_its_creation(bound: GraphStore):
    await bound.aput(("a",), "k", {"n": 1})
    first = await bound.aget(("a",), "k")
    await bound.aput(("a",), "k", {"n": 2})
    second = await bound.aget(("a",), "k")

    assert first is not None
    assert second is not None
    assert second.created_at == first.created_at
    assert second.updated_at > first.updated_at


async def test_two_tenants_with_the_same_namespace_and_key_never_meet(ours: GraphStore):
    one, other = ours.bound("default"), ours.bound("other")
    await one.aput(("a",), "k", {"text": "xxx"})
    await other.aput(("a",), "k", {"text": "yyy"})
    await other.aput(("b",), "k", {"text": "xxx"})

    assert cast(Item, await one.aget(("a",), "k")).value == {"text": "xxx"}
    assert [item.value for item in await one.asearch((), query="y")] == [{"text": "xxx"}]
    assert [item.value for item in await one.asearch((), filter={"text": {"$ne": "zzz"}})] == [{"text": "xxx"}]
    assert await one.alist_namespaces() == [("a",)]
    await one.adelete(("b",), "k")
    await one.adelete(("a",), "k")
    assert len(await other.asearch(())) == 2


async def test_an_item_written_without_index_is_no_longer_found_by_meaning(bound: GraphStore, tables: Database):
    await bound.aput(("d",), "k", {"text": "xxx"})
    assert await count(tables, StoreVectorRow) == 1
    await bound.aput(("d",), "k", {"text": "xxx"}, index=False)

    assert await count(tables, StoreVectorRow) == 0
    assert [item.score for item in await bound.asearch(("d",), query="x")] == [None]


async def test_deleting_an_item_deletes_its_vectors(bound: GraphStore, tables: Database):
    await bound.aput(("d",), "k", {"text": "xxx"})
    await bound.adelete(("d",), "k")

    assert await count(tables, StoreVectorRow) == 0


async def test_one_text_in_many_items_is_embedded_once(bound: GraphStore, letters: Letters):
    await bound.abatch([PutOp(("d",), str(number), {"t": "same", "n": number}, ["t"]) for number in range(5)])

    assert letters.texts == ["same"]
    assert [item.score for item in await bound.asearch(("d",), query="same")] == [pytest.approx(1)] * 5


async def test_vectors_of_another_model_count_as_not_indexed(tables: Database, clock: FakeClock, letters: Letters):
    await GraphStore(tables, clock, index=StoreIndex(letters, model="old")).bound("default").aput(("d",), "k", {"t": 1})

    new = GraphStore(tables, clock, index=StoreIndex(letters, model="new")).bound("default")
    assert [item.score for item in await new.asearch(("d",), query="x")] == [None]


async def test_without_an_index_a_query_is_a_plain_search(tables: Database, clock: FakeClock):
    plain = GraphStore(tables, clock).bound("default")
    await plain.aput(("d",), "k", {"text": "x"}, index=["text"])

    assert [(item.key, item.score) for item in await plain.asearch(("d",), query="x")] == [("k", None)]


@pytest.mark.parametrize("vectors", [[], [[1.0], [2.0, 3.0]], [[float("nan")]], [[]], [[1.0], [1.0]], "no"])
async def test_an_embedding_that_answers_badly_writes_nothing(tables: Database, clock: FakeClock, vectors: Any):
    async def bad(texts: list[str]) -> Any:
        return vectors

    store = GraphStore(tables, clock, index=StoreIndex(bad)).bound("default")
    with pytest.raises(UpstreamFailed):
        await store.aput(("d",), "k", {"text": "x"})
    assert await count(tables, StoreItemRow) == 0


async def test_vectors_of_another_length_than_configured_are_refused(
    tables: Database, clock: FakeClock, letters: Letters
):
    store = GraphStore(tables, clock, index=StoreIndex(letters, dims=3)).bound("default")

    with pytest.raises(UpstreamFailed, match=r"4 numbers.*dims says 3"):
        await store.aput(("d",), "k", {"text": "x"})


async def test_a_search_over_many_pages_finds_the_best(bound: GraphStore, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("backend.service.store_search.PAGE", 3)
    monkeypatch.setattr("backend.service.store_search.PAGE_OF_VALUES", 2)
    for number in range(12):
        await bound.aput(("p", str(number % 4)), str(number), {"t": "x" * number + "y", "n": number}, index=["t"])

    assert keys(await bound.asearch(("p",), query="x", limit=3)) == ["11", "10", "9"]
    assert keys(await bound.asearch(("p",), query="x", limit=3, offset=9)) == ["2", "1", "0"]
    assert keys(await bound.asearch(("p",), filter={"n": {"$gte": 4}}, limit=3, offset=1)) == ["5", "6", "7"]
    assert await bound.alist_namespaces(max_depth=1) == [("p",)]
    assert len(await bound.alist_namespaces()) == 4
    assert await bound.alist_namespaces(limit=2, offset=1) == [("p", "1"), ("p", "2")]


async def test_an_expired_item_is_not_there_even_before_the_sweep(
    bound: GraphStore, clock: FakeClock, tables: Database
):
    await bound.aput(("t",), "k", {"text": "x"}, ttl=1)
    await bound.aput(("t", "stays"), "k", {"text": "x"})
    clock.advance(61)

    assert await bound.aget(("t",), "k") is None
    assert [item.namespace for item in await bound.asearch(("t",))] == [("t", "stays")]
    assert [item.namespace for item in await bound.asearch(("t",), query="x")] == [("t", "stays")]
    assert await bound.alist_namespaces() == [("t", "stays")]
    assert await count(tables, StoreItemRow) == 2


async def test_the_sweep_removes_what_has_expired_of_every_tenant(
    ours: GraphStore, clock: FakeClock, tables: Database, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("backend.service.store.SWEEP_BATCH", 2)
    service = StoreService(tables, ours, clock)
    for tenant in ("default", "other"):
        for number in range(3):
            await ours.bound(tenant).aput(("t",), str(number), {"text": "x"}, ttl=1)
        await ours.bound(tenant).aput(("t",), "stays", {"text": "x"}, ttl=2)
    assert await service.sweep() == 0
    clock.advance(61)

    assert await service.sweep() == 6
    assert await count(tables, StoreItemRow) == 2
    assert await count(tables, StoreVectorRow) == 2


async def test_reading_lets_an_item_live_on_unless_told_not_to(bound: GraphStore, clock: FakeClock):
    for key in ("got", "searched", "batched", "left"):
        await bound.aput(("t",), key, {"key": key}, ttl=1, index=False)
    clock.advance(40)
    await bound.aget(("t",), "got")
    await bound.asearch(("t",), filter={"key": "searched"})
    await bound.abatch([GetOp(("t",), "batched"), PutOp(("t",), "other", {})])
    await bound.aget(("t",), "left", refresh_ttl=False)
    await bound.asearch(("t",), filter={"key": "left"}, refresh_ttl=False)
    clock.advance(40)

    assert sorted(keys(await bound.asearch(("t",)))) == ["batched", "got", "other", "searched"]


async def test_the_configured_time_to_live_is_for_items_that_say_nothing(tables: Database, clock: FakeClock):
    times = StoreTtl(refresh_on_read=False, default_ttl=1)
    store = GraphStore(tables, clock, ttl=times).bound("default")
    await store.aput(("t",), "default", {})
    await store.aput(("t",), "longer", {}, ttl=3)
    await store.aput(("t",), "for good", {}, ttl=None)
    clock.advance(40)
    assert await store.aget(("t",), "default") is not None
    clock.advance(40)
    assert keys(await store.asearch(("t",))) == ["longer", "for good"]
    clock.advance(120)
    assert keys(await store.asearch(("t",))) == ["for good"]


async def test_what_is_written_over_an_expired_item_is_new(bound: GraphStore, clock: FakeClock):
    await bound.aput(("t",), "k", {"n": 1}, ttl=1)
    before = cast(Item, await bound.aget(("t",), "k")).created_at
    clock.advance(61)
    await bound.aput(("t",), "k", {"n": 2})

    assert cast(Item, await bound.aget(("t",), "k")).created_at >= before + timedelta(seconds=61)


@pytest.mark.parametrize("ttl", [0, -1, float("nan"), float("inf"), 1e12])
async def test_a_time_to_live_that_is_none_is_refused(bound: GraphStore, ttl: float):
    with pytest.raises(Invalid):
        await bound.aput(("t",), "k", {}, ttl=ttl)


async def test_every_bound_is_held(bound: GraphStore):
    deep: dict[str, Any] = {}
    for _ in range(300):
        deep = {"d": deep}
    refused: list[tuple[tuple[str, ...], str, dict[str, Any]]] = [
        (("l",) * 65, "k", {}),
        (("l" * 513,), "k", {}),
        (("n",), "k" * 513, {}),
        (("가" * 512,) * 2, "k", {}),
        (("n",), "nul\0", {}),
        (("n",), "lone \ud800", {}),
        (("n",), "k", {"lone": "\ud800"}),
        (("n",), "k", {"big": 2**70}),
        (("n",), "k", {"object": object()}),
        (("n",), "k", deep),
    ]
    for namespace, key, value in refused:
        with pytest.raises(Invalid):
            await bound.aput(namespace, key, value, index=False)
    with pytest.raises(TooLarge):
        await bound.aput(("n",), "k", {"long": "x" * MOST_VALUE_BYTES})
    for index in (["a"] * 33, ["a" * 257], ["{" + ",".join("a" * 17) + "}"]):
        with pytest.raises(Invalid):
            await bound.aput(("n",), "k", {"a": 1}, index=index)
    with pytest.raises(Invalid):
        await bound.aput(("n",), "k", {"many": [str(number) for number in range(300)]}, index=["many[*]"])
    with pytest.raises(Invalid):
        await bound.asearch(("n",), limit=100_001)
    with pytest.raises(ValueError, match="not JSON"):
        await bound.asearch(("n",), filter=deep)

    assert await bound.asearch(()) == []
    noise = "".join(Random(1).choices("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", k=512))
    longest = (noise, noise[::-1], noise[1:-1].swapcase())  # nothing that an index could compress
    await bound.aput(longest, noise, {"long": "x" * (MOST_VALUE_BYTES - 30), "nul": "\0"}, index=False)
    item = await bound.aget(longest, noise)
    assert item is not None
    assert item.value["nul"] == "\0"


async def test_a_search_whose_items_are_too_large_together_is_refused(
    bound: GraphStore, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("backend.repository.store_item.MOST_READ_CHARS", 1000)
    for number in range(3):
        await bound.aput(("n",), str(number), {"long": "x" * 400}, index=False)

    for options in ({}, {"filter": {"long": {"$ne": ""}}}):
        with pytest.raises(TooLarge):
            await bound.asearch(("n",), **cast(Any, options))
        assert len(await bound.asearch(("n",), limit=2, **cast(Any, options))) == 2


async def test_values_come_back_as_they_were_written(bound: GraphStore):
    value = {"z": 1, "a": [1.0, -0.0, 1e300, 2**63 - 1, -(2**63)], "": "", "null": None, "한글": "🙂\n\\"}
    await bound.aput(("v",), "", value, index=False)

    item = await bound.aget(("v",), "")
    assert item is not None
    assert list(item.value.items()) == list(value.items())


async def test_a_failed_batch_writes_nothing(bound: GraphStore):
    with pytest.raises(Invalid):
        await bound.abatch([PutOp(("b",), "one", {}), PutOp(("b",), "two", {"bad": object()})])

    assert await bound.aget(("b",), "one") is None


async def test_a_run_that_was_taken_over_writes_nothing(ours: GraphStore):
    zombie = ours.bound("default", Fence(new_id(), 1))

    with pytest.raises(Fenced):
        await zombie.aput(("a",), "k", {})
    assert await zombie.aget(("a",), "k") is None


async def test_items_that_do_not_pass_the_filters_are_not_there(ours: GraphStore):
    everyone = ours.bound("default")
    await everyone.aput(("mine",), "k", {"owner": "me", "text": "y"})
    await everyone.aput(("theirs",), "k", {"owner": "them", "text": "x"})
    mine = ours.bound("default", only={"owner": "me"})

    assert await mine.aget(("theirs",), "k") is None
    assert await mine.aget(("mine",), "k") is not None
    for found in (
        await mine.asearch(()),
        await mine.asearch((), query="x"),
        await mine.asearch((), filter={"text": {"$ne": "z"}}),
    ):
        assert [item.namespace for item in found] == [("mine",)]
    assert await mine.alist_namespaces() == [("mine",)]
    with pytest.raises(Conflict):
        await mine.aput(("theirs",), "k", {"owner": "me"})
    await mine.adelete(("theirs",), "k")
    await mine.adelete(("mine",), "k")
    assert [item.value["owner"] for item in await everyone.asearch(())] == ["them"]


async def test_a_graphs_nodes_use_the_store_synchronously_and_not(ours: GraphStore):
    def remember(state: dict[str, Any], *, store: BaseStore) -> dict[str, Any]:
        store.put(("notes",), "sync", {"text": "x"})
        return {"found": [item.key for item in store.search(("notes",), query="x")]}

    async def recall(state: dict[str, Any], *, store: BaseStore) -> dict[str, Any]:
        await store.aput(("notes",), "async", {"text": "y"})
        return {"found": [*state["found"], *(item.key for item in await store.asearch(("notes",), query="y"))]}

    def own_loop(state: dict[str, Any], *, store: BaseStore) -> dict[str, Any]:
        item = asyncio.run(store.aget(("notes",), "async"))
        return {"found": [*state["found"], "" if item is None else item.value["text"]]}

    graph = graph_of(remember, recall, own_loop, state=dict).copy({"store": ours.bound("default")})

    assert (await graph.ainvoke({"found": []}))["found"] == ["sync", "async", "sync", "y"]


async def test_a_synchronous_call_in_a_coroutine_is_refused(bound: GraphStore, ours: GraphStore):
    with pytest.raises(RuntimeError, match="await the asynchronous"):
        bound.get(("a",), "k")
    with pytest.raises(RuntimeError, match="bound"):
        await asyncio.to_thread(ours.get, ("a",), "k")


async def test_many_writers_of_one_item_leave_one(bound: GraphStore):
    async with asyncio.timeout(30):
        await asyncio.gather(
            *(
                bound.abatch([PutOp(("w",), key, {"by": number}) for key in (("a", "b") if number % 2 else ("b", "a"))])
                for number in range(20)
            )
        )

    found = await bound.asearch(("w",))
    assert len(found) == 2
    assert found[0].value == found[1].value


async def test_texts_without_numbers_compare_as_texts(bound: GraphStore):
    for key, day in [("a", "2026-01-01"), ("b", "2026-02-01"), ("c", None), ("d", True)]:
        await bound.aput(("f",), key, {"day": day}, index=False)

    assert keys(await bound.asearch(("f",), filter={"day": {"$gt": "2026-01-15"}})) == ["b"]
    assert keys(await bound.asearch(("f",), filter={"day": {"$lt": 5}})) == []
    assert keys(await bound.asearch(("f",), filter={"day": 1})) == []


class Counting(Embeddings):
    """An embedding of LangChain's, which reads questions in another way."""

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [[float(text.count("x")), 1.0] for text in texts]

    def embed_query(self, text: str) -> list[float]:
        return [float(text.count("q")), 1.0]


@pytest.mark.parametrize("name", ["count", "count_later", "counting"])
async def test_a_langgraph_json_names_the_embedding(tables: Database, clock: FakeClock, tmp_path: Path, name: str):
    (tmp_path / "own.py").write_text(
        "from test.contract.test_graph_store import Counting\n"
        "counting = Counting()\n"
        "def count(texts): return [[float(text.count('x') + text.count('q')), 1.0] for text in texts]\n"
        "async def count_later(texts): return count(texts)\n"
    )
    reference = Reference(tmp_path / "langgraph.json", "store.index.embed", "./own.py", name)
    index = store_index(StoreIndexConfig(dims=2, embed=reference, fields=("w",)), WordEmbedder())
    store = GraphStore(tables, clock, index=index).bound("default")
    await store.aput(("d",), "far", {"w": "y", "other": "xxxxxxxxxx"})
    await store.aput(("d",), "near", {"w": "xxxxx"})

    found = await store.asearch(("d",), query="qqqqq")
    assert keys(found) == ["near", "far"]
    assert [item.score for item in found] == [pytest.approx(1), pytest.approx(1 / 26**0.5)]


@pytest.mark.parametrize("name", ["gone", "nobody:model"])
async def test_an_embedding_that_cannot_be_loaded_is_the_servers_fault(
    file: SqliteDatabase, clock: FakeClock, name: str
):
    named = name if ":" in name else Reference(Path("langgraph.json"), "store.index.embed", "./gone.py", name)
    index = store_index(StoreIndexConfig(dims=2, embed=named), WordEmbedder())
    store = GraphStore(file, clock, index=index).bound("default")

    with pytest.raises(Unavailable):
        await store.aput(("d",), "k", {"text": "x"})
    await store.aput(("d",), "k", {"text": "x"}, index=False)


async def test_without_a_langgraph_json_the_servers_own_embedding_is_used(tables: Database, clock: FakeClock):
    store = GraphStore(tables, clock, index=store_index(None, WordEmbedder())).bound("default")
    await store.aput(("d",), "k", {"text": "창업 지원"})

    assert [item.score for item in await store.asearch(("d",), query='{"text": "창업 지원"}')] == [pytest.approx(1)]
