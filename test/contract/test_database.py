"""What both databases promise (`backend/database/base.py`)."""

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import Connection
from sqlalchemy.util import await_only

from backend.core.error import Invalid, ThreadBusy, Unavailable
from backend.database.base import Database
from backend.database.postgres import TURNS, PostgresDatabase
from backend.database.session import build_database
from backend.database.sqlite import SqliteDatabase

MB = 1024 * 1024
TABLE = "CREATE TABLE notes (id INTEGER PRIMARY KEY, body TEXT NOT NULL)"


def add(note: int, body: str = "x") -> Callable[[Connection], None]:
    def work(connection: Connection) -> None:
        connection.exec_driver_sql(f"INSERT INTO notes VALUES ({note}, '{body}')")

    return work


def notes(connection: Connection) -> list[int]:
    return list(connection.exec_driver_sql("SELECT id FROM notes ORDER BY id").scalars())


def create(connection: Connection) -> None:
    connection.exec_driver_sql(TABLE)


@pytest.fixture
async def store(database: Database) -> Database:
    await database.write(create)
    return database


async def test_a_unit_of_work_that_fails_leaves_nothing_and_its_error_reaches_the_one_who_asked(store: Database):
    def half(connection: Connection) -> None:
        add(1)(connection)
        raise ThreadBusy("t")

    with pytest.raises(ThreadBusy):
        await store.write(half)

    assert await store.read(notes) == []


async def test_a_unit_of_work_that_the_database_refuses_does_not_harm_its_neighbours(store: Database):
    answers = await asyncio.gather(*(store.write(add(note // 2)) for note in range(40)), return_exceptions=True)

    assert sum(answer is None for answer in answers) == 20
    assert await store.read(notes) == list(range(20))


async def test_what_was_answered_is_seen_by_the_next_read(store: Database):
    for note in range(20):
        await store.write(add(note), durable=False)
        assert len(await store.read(notes)) == note + 1


async def test_a_unit_of_work_returns_what_its_function_returns(store: Database):
    def work(connection: Connection) -> list[int]:
        add(7)(connection)
        return notes(connection)

    assert await store.write(work) == [7]


async def test_writers_at_once_lose_nothing(store: Database):
    def count_up(connection: Connection) -> None:
        connection.exec_driver_sql("UPDATE notes SET body = CAST(CAST(body AS INTEGER) + 1 AS TEXT) WHERE id = 1")

    await store.write(add(1, "0"))
    await asyncio.gather(*(store.write(count_up, durable=number % 2 == 0) for number in range(100)))

    def body(connection: Connection) -> str:
        return str(connection.exec_driver_sql("SELECT body FROM notes WHERE id = 1").scalar_one())

    assert await store.read(body) == "100"


async def test_a_read_sees_one_state_also_while_others_write(store: Database):
    """The read pauses between its two queries until a write has been committed."""
    await store.write(add(1))
    loop = asyncio.get_running_loop()
    between, written = asyncio.Event(), threading.Event()

    def twice(connection: Connection) -> tuple[list[int], list[int]]:
        first = notes(connection)
        loop.call_soon_threadsafe(between.set)
        if not written.wait(60):
            raise TimeoutError
        return first, notes(connection)

    if isinstance(store, PostgresDatabase):
        # A unit of work blocks the loop there, so another loop's connection writes.
        def twice(connection: Connection) -> tuple[list[int], list[int]]:
            first = notes(connection)

            async def write() -> None:
                other = PostgresDatabase(store.url.render_as_string(hide_password=False))
                await other.open()
                await other.write(add(2))
                await other.close()

            thread = threading.Thread(target=asyncio.run, args=(write(),))
            thread.start()
            thread.join(5)
            return first, notes(connection)

        before, after = await store.read(twice)
    else:
        reading = asyncio.create_task(store.read(twice))
        async with asyncio.timeout(60):
            await between.wait()
            await store.write(add(2))
            written.set()
            before, after = await reading

    assert before == after == [1]
    assert await store.read(notes) == [1, 2]


async def test_close_finishes_what_was_asked_for(make_database: Callable[[], Database], store: Database):
    second = make_database()
    await second.open()
    asked = [asyncio.create_task(second.write(add(note))) for note in range(30)]
    await asyncio.sleep(0)
    if isinstance(second, PostgresDatabase):
        await asyncio.gather(*asked)
    await second.close()
    async with asyncio.timeout(60):
        await asyncio.gather(*asked)

    assert await store.read(notes) == list(range(30))


async def test_who_asks_a_closed_database_hears_so(make_database: Callable[[], Database]):
    closed = make_database()
    with pytest.raises(Unavailable):
        await closed.read(notes)
    await closed.open()
    await closed.close()
    with pytest.raises(Unavailable):
        await closed.write(add(1))


async def test_who_asks_a_database_that_is_closing_is_answered(tmp_path: Path):
    database = SqliteDatabase(tmp_path / "test.db")
    await database.open()
    await database.write(create)
    release = threading.Event()

    def slow(connection: Connection) -> None:
        release.wait(60)

    busy = asyncio.create_task(database.write(slow))
    await asyncio.sleep(0)
    closing = asyncio.create_task(database.close())
    for _ in range(10):
        await asyncio.sleep(0.001)
    late = asyncio.create_task(database.write(add(1)))
    await asyncio.sleep(0)
    release.set()
    async with asyncio.timeout(60):
        await asyncio.gather(busy, closing)
        with pytest.raises(Unavailable):
            await late


async def test_a_write_whose_asker_went_away_is_done_whole_or_not_at_all(store: Database):
    def pair(number: int) -> Callable[[Connection], None]:
        def work(connection: Connection) -> None:
            add(2 * number)(connection)
            add(2 * number + 1)(connection)

        return work

    asked = [asyncio.create_task(store.write(pair(number))) for number in range(40)]
    for number, task in enumerate(asked):
        if number % 2:
            await asyncio.sleep(0)
            task.cancel()
    await asyncio.gather(*asked, return_exceptions=True)
    await store.write(add(1000))

    found = set(await store.read(notes))
    assert all((2 * number in found) == (2 * number + 1 in found) for number in range(40))
    assert {2 * number for number in range(0, 40, 2)} <= found


async def test_text_that_postgresql_cannot_hold_is_invalid_there(store: Database):
    def work(connection: Connection) -> None:
        marker = "?" if connection.dialect.name == "sqlite" else "$1"
        connection.exec_driver_sql(f"INSERT INTO notes VALUES (1, {marker})", ("nul \x00",))

    if store.dialect == "postgresql":
        with pytest.raises(Invalid):
            await store.write(work)
        assert await store.read(notes) == []
    else:
        await store.write(work)
        assert await store.read(notes) == [1]


@pytest.mark.parametrize("number", [2**31, 2**63, "five"])
async def test_a_number_that_the_driver_cannot_send_is_invalid_and_no_failure_of_postgresql(
    store: Database, number: int | str
):
    def work(connection: Connection) -> None:
        marker = "?" if connection.dialect.name == "sqlite" else "$1"
        connection.exec_driver_sql(f"INSERT INTO notes VALUES ({marker}, 'x')", (number,))

    if store.dialect == "postgresql":
        with pytest.raises(Invalid):
            await store.write(work)
    assert await store.read(notes) == []


async def test_a_folder_that_cannot_be_made_is_unavailable(tmp_path: Path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(Unavailable, match="cannot be opened"):
        await SqliteDatabase(tmp_path / "file" / "test.db").open()


async def test_a_file_that_is_no_database_is_unavailable(tmp_path: Path):
    (tmp_path / "test.db").write_bytes(b"this is no database at all" * 100)
    with pytest.raises(Unavailable, match="cannot be opened"):
        await SqliteDatabase(tmp_path / "test.db").open()


@pytest.mark.parametrize("name", ["a b.db", "50%.db", "what?.db", "no#1.db", "한글.db", "a&mode=memory.db"])
async def test_any_file_name_is_taken_as_it_is(tmp_path: Path, name: str):
    database = SqliteDatabase(tmp_path / name)
    await database.open()
    await database.write(create)
    await database.write(add(1))
    found = await database.read(notes)
    await database.close()

    assert found == [1]
    assert (tmp_path / name).exists()


async def test_a_server_that_does_not_answer_is_unavailable():
    with pytest.raises(Unavailable):
        await PostgresDatabase("postgresql://nobody@127.0.0.1:1/none").open()


async def test_a_database_that_is_not_there_is_unavailable(postgres_server: str):
    with pytest.raises(Unavailable):
        await PostgresDatabase(f"{postgres_server}/not_there").open()


async def test_a_pool_without_a_free_connection_is_unavailable(postgres_url: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("backend.database.postgres.POOL", 1)
    monkeypatch.setattr("backend.database.postgres.WAIT_SECONDS", 0.05)
    database = PostgresDatabase(postgres_url)
    await database.open()
    answers = await asyncio.gather(
        *(database.read(lambda c: c.exec_driver_sql("SELECT pg_sleep(0.2)").scalar()) for _ in range(2)),
        return_exceptions=True,
    )
    await database.close()

    assert sorted(type(answer).__name__ for answer in answers) == ["Unavailable", "str"] or any(
        isinstance(answer, Unavailable) for answer in answers
    )


async def test_two_writers_that_wait_for_each_other_both_come_to_their_end(postgres_url: str):
    database = PostgresDatabase(postgres_url)
    await database.open()
    await database.write(create)
    await database.write(lambda c: [add(note)(c) for note in (1, 2)])
    both_hold_one = asyncio.Barrier(2)
    begun = 0

    def change(*order: int) -> Callable[[Connection], None]:
        def work(connection: Connection) -> None:
            nonlocal begun
            begun += 1
            first, second = order
            connection.exec_driver_sql(f"UPDATE notes SET body = body || 'y' WHERE id = {first}")
            if begun <= 2:
                await_only(both_hold_one.wait())
            connection.exec_driver_sql(f"UPDATE notes SET body = body || 'y' WHERE id = {second}")

        return work

    await asyncio.gather(database.write(change(1, 2)), database.write(change(2, 1)))

    bodies = await database.read(lambda c: list(c.exec_driver_sql("SELECT body FROM notes").scalars()))
    assert bodies == ["xyy", "xyy"]
    assert begun == 3
    await database.close()


async def test_work_that_is_sent_back_again_and_again_is_unavailable(postgres_url: str):
    database = PostgresDatabase(postgres_url)
    await database.open()
    begun = 0

    def work(connection: Connection) -> None:
        nonlocal begun
        begun += 1
        connection.exec_driver_sql("DO $$ BEGIN RAISE SQLSTATE '40P01'; END $$")

    with pytest.raises(Unavailable):
        await database.write(work)
    assert begun == TURNS
    await database.close()


async def test_a_migration_waits_for_as_long_as_it_takes(postgres_url: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("backend.database.postgres.STATEMENT_SECONDS", 0.1)

    def long(connection: Connection) -> str:
        return str(connection.exec_driver_sql("SELECT 'done' FROM pg_sleep(0.3)").scalar())

    url = SecretStr(postgres_url)
    ordinary, migrating = build_database(url, Path()), build_database(url, Path(), migrating=True)
    await ordinary.open()
    await migrating.open()
    with pytest.raises(Unavailable):
        await ordinary.write(long)
    assert await migrating.write(long) == "done"
    await ordinary.close()
    await migrating.close()


async def test_a_full_disk_is_unavailable_and_passes(tmp_path: Path):
    database = SqliteDatabase(tmp_path / "test.db")
    await database.open()
    await database.write(create)

    def limit(pages: int) -> Callable[[Connection], None]:
        def work(connection: Connection) -> None:
            connection.exec_driver_sql(f"PRAGMA max_page_count={pages}")

        return work

    await database.write(limit(3))
    answers = await asyncio.gather(
        database.write(add(1)), database.write(add(2, "y" * 100_000)), return_exceptions=True
    )
    assert isinstance(answers[1], Unavailable)
    kept = await database.read(notes)
    await database.write(limit(100_000))
    await database.write(add(3))
    found = await database.read(notes)
    await database.close()

    assert kept == ([1] if answers[0] is None else [])
    assert found == [*kept, 3]


async def test_a_file_that_another_process_writes_is_waited_for_and_then_unavailable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("backend.database.sqlite.BUSY_SECONDS", 0.02)
    first, second = SqliteDatabase(tmp_path / "test.db"), SqliteDatabase(tmp_path / "test.db")
    await first.open()
    await first.write(create)
    await second.open()
    loop = asyncio.get_running_loop()
    begun, release = asyncio.Event(), threading.Event()

    def hold(connection: Connection) -> None:
        add(1)(connection)
        loop.call_soon_threadsafe(begun.set)
        release.wait(60)

    holding = asyncio.create_task(first.write(hold))
    async with asyncio.timeout(60):
        await begun.wait()
        with pytest.raises(Unavailable):
            await second.write(add(2))
        release.set()
        await holding
        await second.write(add(3))
    found = await first.read(notes)
    await first.close()
    await second.close()

    assert found == [1, 3]


async def test_sqlite_keeps_its_settings(tmp_path: Path):
    database = SqliteDatabase(tmp_path / "test.db")
    await database.open()

    def setting(name: str) -> Callable[[Connection], object]:
        return lambda connection: connection.exec_driver_sql(f"PRAGMA {name}").scalar()

    names = ("journal_mode", "foreign_keys", "busy_timeout", "secure_delete")
    found = {name: await database.write(setting(name)) for name in names}
    synced = await database.write(setting("synchronous")), await database.write(setting("synchronous"), durable=False)
    await database.close()

    assert found == {"journal_mode": "wal", "foreign_keys": 1, "busy_timeout": 5000, "secure_delete": 1}
    assert synced == (2, 1)  # FULL, NORMAL


@pytest.mark.parametrize(("old", "smaller"), [(False, True), (True, False)])
async def test_what_was_removed_is_given_back_to_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, old: bool, smaller: bool
):
    monkeypatch.setattr("backend.database.sqlite.SPARE", MB)
    path = tmp_path / "test.db"
    if old:  # made before files were made so; it keeps its size, and nothing else is wrong with it
        with sqlite3.connect(path) as made:
            made.execute("PRAGMA journal_mode=WAL")
            made.execute("CREATE TABLE before (id INTEGER)")
        made.close()
    database = SqliteDatabase(path)
    await database.open()
    await database.write(create)
    for note in range(20):
        await database.write(add(note, "x" * MB), durable=False)
    await database.write(lambda c: c.exec_driver_sql("DELETE FROM notes WHERE id <> 7"))
    await database.tidy()
    assert await database.read(lambda c: c.exec_driver_sql("SELECT length(body) FROM notes").scalar()) == MB
    assert await database.read(lambda c: c.exec_driver_sql("PRAGMA integrity_check").scalar()) == "ok"
    await database.close()

    assert (path.stat().st_size < 3 * MB) is smaller


async def test_tidying_takes_nothing_away(store: Database):
    await store.write(add(1))
    await store.tidy()
    assert await store.read(notes) == [1]


async def test_readers_cannot_write(store: Database):
    with pytest.raises(Exception, match=r"read-?only"):
        await store.read(add(1))
