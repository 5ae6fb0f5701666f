"""PostgreSQL's row-level security: what a statement that forgets its tenant finds, and what the policies cover (X7).

The role of the tests is an ordinary one that owns the tables, as the server's is.
"""

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Connection, event, insert, select, text, update
from sqlalchemy.exc import DBAPIError

import migration
from backend.cli.diagnosis import diagnose
from backend.config.setting import Settings
from backend.database.migrate import migrate
from backend.database.model import AssistantRow, Base, RunEventRow, RunRow, ThreadRow, TicketRow, table_of
from backend.database.postgres import PostgresDatabase
from backend.database.tenant_scope import EVERYONE, name_tenant
from backend.dto.thread import Thread
from backend.repository.checkpoint import Checkpointer
from backend.repository.scope import AcrossTenants, Bound, Scoped
from backend.repository.thread import AllThreads, ThreadRepository
from backend.repository.ticket import TicketRepository
from test.repository.test_tenant_scope import classes
from test.repository.test_ticket import NOW, make_ticket

TENANTS = ("acme", "globex")
BY_OTHER_MEANS = {"checkpoints", "writes", "run_events"}
"""They have no column for it: a thread's name and a run say whose they are."""


class Careless(Scoped):
    """A repository as it must not be: no statement of it names the tenant."""

    def tickets(self) -> list[str]:
        return sorted(row.tenant_id for row in self._connection.execute(select(table_of(TicketRow))))

    def rename(self) -> int:
        return self._connection.execute(update(table_of(TicketRow)).values(title="taken over")).rowcount

    def remove(self) -> int:
        return self._connection.execute(text("DELETE FROM tickets")).rowcount

    def give_away(self, tenant_id: str) -> None:
        self._connection.execute(update(table_of(TicketRow)).values(tenant_id=tenant_id))

    def count(self, table: str) -> int:
        return int(self._connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one())


class CarelessAcross(AcrossTenants):
    def tickets(self) -> list[str]:
        return sorted(row.tenant_id for row in self._connection.execute(select(table_of(TicketRow))))


@pytest.fixture
async def postgres(prepared_postgres_url: str) -> AsyncIterator[PostgresDatabase]:
    """A database in which two tenants have a ticket each."""
    database = PostgresDatabase(prepared_postgres_url)
    await database.open()
    for tenant_id in TENANTS:
        await database.write(lambda c, t=tenant_id: TicketRepository(c, t).put("api", [make_ticket(1)], NOW))  # type: ignore[misc]
    yield database
    await database.close()


async def refused(done: Awaitable[Any]) -> None:
    with pytest.raises(DBAPIError, match="row-level security"):
        await done


@pytest.mark.parametrize("tenant_id", TENANTS)
async def test_a_statement_that_forgets_its_tenant_finds_only_its_own_rows(
    postgres: PostgresDatabase, tenant_id: str
) -> None:
    """(X7, 000-14) The second wall stands where the first one has a hole."""
    other = TENANTS[1 - TENANTS.index(tenant_id)]
    assert await postgres.read(lambda c: Careless(c, tenant_id).tickets()) == [tenant_id]
    assert await postgres.write(lambda c: Careless(c, tenant_id).rename()) == 1
    await refused(postgres.write(lambda c: Careless(c, tenant_id).give_away(other)))
    assert await postgres.write(lambda c: Careless(c, tenant_id).remove()) == 1
    left = await postgres.read(lambda c: TicketRepository(c, other).find("1"))
    assert left.data.title != "taken over"


async def test_a_transaction_that_names_no_tenant_sees_and_writes_nothing(postgres: PostgresDatabase) -> None:
    """(X7) Also on a connection of the pool that was somebody's a moment ago."""

    def unnamed(connection: Connection) -> list[int]:
        return [
            connection.execute(select(table_of(TicketRow))).fetchall().__len__(),
            connection.execute(text("DELETE FROM tickets")).rowcount,
            connection.execute(text("SELECT count(*) FROM assistants")).scalar_one(),
        ]

    def shared(connection: Connection) -> None:
        name_tenant(connection, EVERYONE)
        connection.execute(insert(table_of(AssistantRow)), assistant())

    await postgres.write(shared)
    for _ in range(3):
        assert await postgres.write(unnamed) == [0, 0, 0]
        assert await postgres.read(lambda c: Careless(c, "acme").tickets()) == ["acme"]
    await refused(postgres.write(lambda c: c.execute(insert(table_of(AssistantRow)), assistant())))
    await refused(postgres.write(lambda c: c.execute(insert(table_of(AssistantRow)), assistant(tenant_id="acme"))))


async def test_a_name_that_no_statement_followed_is_not_the_next_transactions(postgres: PostgresDatabase) -> None:
    """The pool hands out the connection that came back last."""
    for _ in range(3):
        await postgres.write(lambda c: name_tenant(c, "acme"))
        assert await postgres.read(lambda c: c.execute(select(table_of(TicketRow))).all()) == []


async def test_repositories_of_several_tenants_take_turns_in_one_transaction(postgres: PostgresDatabase) -> None:
    def work(connection: Connection) -> list[list[str]]:
        acme, globex = (Careless(connection, tenant_id) for tenant_id in TENANTS)
        every = CarelessAcross(connection)
        return [one.tickets() for one in (acme, globex, every, acme, every, globex)]

    assert await postgres.read(work) == [["acme"], ["globex"], [*TENANTS], ["acme"], [*TENANTS], ["globex"]]


@pytest.mark.parametrize("name", ["x', true); DROP TABLE tickets; --", "it's", "\\", "회사", "*'"])
async def test_a_name_is_never_more_than_a_name(postgres: PostgresDatabase, name: str) -> None:
    def work(connection: Connection) -> Any:
        name_tenant(connection, name)
        return connection.execute(text("SELECT current_setting('daedap.tenant')")).scalar_one()

    assert await postgres.read(work) == name
    assert await postgres.read(lambda c: Careless(c, name).tickets()) == []


async def test_the_name_costs_no_statement_of_its_own(postgres: PostgresDatabase) -> None:
    """It goes with BEGIN, and is sent again only when it changes."""

    def work(connection: Connection) -> list[str]:
        seen: list[str] = []
        event.listen(connection, "before_cursor_execute", lambda *given: seen.append(given[2]))
        for _ in range(2):
            Careless(connection, "acme").tickets()
            TicketRepository(connection, "acme").statuses()
        Careless(connection, "globex").tickets()
        return [statement for statement in seen if "set_config" in statement]

    assert len(await postgres.read(work)) == 1


async def test_events_and_checkpoints_are_seen_through_their_runs_and_threads(postgres: PostgresDatabase) -> None:
    """They have no tenant of their own."""
    config = {"configurable": {"thread_id": "1", "checkpoint_ns": "", "checkpoint_id": "1"}}
    for tenant_id in (*TENANTS, "default", "acm"):
        run_id = uuid4()

        def work(connection: Connection, tenant_id: str = tenant_id, run_id: UUID = run_id) -> None:
            ThreadRepository(connection, tenant_id).insert(Thread(run_id, tenant_id, "idle", None, {}, NOW, NOW))
            connection.execute(insert(table_of(RunRow)), run(tenant_id, run_id))
            row = {"run_id": run_id, "attempt": 1, "seq": 1, "count": 1, "data": b"done {}"}
            connection.execute(insert(table_of(RunEventRow)), row)

        await postgres.write(work)
        await Checkpointer(postgres, tenant_id=tenant_id).aput_writes(config, [("c", "v")], "task")  # type: ignore[arg-type]
    for tenant_id in (*TENANTS, "default", "acm"):
        for table in ("run_events", "writes", "runs"):
            assert await postgres.read(lambda c, t=table, of=tenant_id: Careless(c, of).count(t)) == 1, (  # type: ignore[misc]
                table,
                tenant_id,
            )
    assert await postgres.read(lambda c: Careless(c, "nobody").count("writes")) == 0
    theirs = "INSERT INTO writes VALUES ('globex:1', '', '2', 't', '', 0, 'c', 'json', '')"
    await refused(postgres.write(lambda c: Careless(c, "acme")._connection.execute(text(theirs))))


async def test_default_assistants_are_everybodys_to_see_and_nobodys_to_write(postgres: PostgresDatabase) -> None:
    def shared(connection: Connection) -> None:
        name_tenant(connection, EVERYONE)
        connection.execute(insert(table_of(AssistantRow)), assistant())

    await postgres.write(shared)
    assert await postgres.read(lambda c: Careless(c, "acme").count("assistants")) == 1
    for statement in ("UPDATE assistants SET name = 'mine'", "DELETE FROM assistants"):
        changed = await postgres.write(lambda c, s=statement: Careless(c, "acme")._connection.execute(text(s)).rowcount)  # type: ignore[misc]
        assert changed == 0
    with_it = insert(table_of(AssistantRow))
    await refused(postgres.write(lambda c: Careless(c, "acme")._connection.execute(with_it, assistant())))


def test_whatever_keeps_a_connection_names_its_transaction() -> None:
    """A repository with a connection of its own making would see nothing on PostgreSQL, or too much."""
    keeping = [one for one in classes() if "connection" in inspect.signature(one).parameters]
    assert len(keeping) > 30
    assert [one.__name__ for one in keeping if not issubclass(one, Bound)] == []


async def test_sweepers_see_every_tenants_rows(postgres: PostgresDatabase) -> None:
    for tenant_id in TENANTS:
        thread = Thread(uuid4(), tenant_id, "idle", None, {}, NOW, NOW)
        await postgres.write(lambda c, t=thread: ThreadRepository(c, t.tenant_id).insert(t))  # type: ignore[misc]
    assert await postgres.read(lambda c: AllThreads(c)._connection.execute(select(table_of(ThreadRow))).rowcount) == 2


def policies(connection: Connection) -> dict[str, tuple[bool, bool, list[str]]]:
    """Return of each table whether its security is on, whether it binds the owner, and its policies."""
    rows = connection.execute(
        text(
            "SELECT relname, relrowsecurity, relforcerowsecurity, array(SELECT polname::text FROM pg_policy"
            " WHERE polrelid = pg_class.oid ORDER BY 1) FROM pg_class"
            " WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
        )
    )
    return {name: (on, forced, list(names)) for name, on, forced, names in rows}


async def test_every_table_of_a_tenant_has_a_policy(postgres: PostgresDatabase) -> None:
    """(X7) Whoever adds a table calls `enable` for it in the migration."""
    found = await postgres.read(policies)
    wanted = {table.name for table in Base.metadata.sorted_tables if "tenant_id" in table.c} | BY_OTHER_MEANS
    assert wanted == {table.name for table in Base.metadata.sorted_tables}
    assert {name for name in wanted if found[name][:2] != (True, True) or "of_tenant" not in found[name][2]} == set()
    assert {name for name, (_, _, names) in found.items() if len(names) > 1} == {"assistants", "assistant_versions"}


async def test_the_policies_come_with_the_migration_and_go_with_it(postgres_url: str) -> None:
    await migrate(PostgresDatabase(postgres_url))
    database = PostgresDatabase(postgres_url)
    await database.open()
    try:
        await database.write(to("0002"))
        assert {kept for kept in (await database.read(policies)).values() if kept != (False, False, [])} == set()
        await database.write(to("head"))
        assert (await database.read(policies))["tickets"] == (True, True, ["of_tenant"])
    finally:
        await database.close()


def to(revision: str) -> Callable[[Connection], None]:
    """Return a unit of work that brings the database to a revision."""
    from alembic import command
    from alembic.config import Config

    def work(connection: Connection) -> None:
        config = Config()
        config.set_main_option("script_location", str(Path(migration.__file__).parent))
        config.attributes["connection"] = connection
        (command.upgrade if revision == "head" else command.downgrade)(config, revision)

    return work


async def test_doctor_tells_of_a_role_that_no_policy_binds(
    prepared_postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """(X7) A superuser would be past the second wall, and nobody would know."""
    monkeypatch.chdir(tmp_path)

    async def said(url: str) -> list[tuple[str, bool]]:
        settings = Settings(_env_file=None, data_dir=tmp_path / "data", port=0, database_url=url)
        found = [each for each in await diagnose(settings) if each.subject == "DATABASE_URL"]
        return [(each.level, "row-level security" in each.text) for each in found]

    assert await said(prepared_postgres_url) == [("ok", False), ("ok", True)]
    assert await said(prepared_postgres_url.replace("daedap@", "postgres@")) == [("ok", False), ("missing", True)]


def assistant(tenant_id: str = "") -> dict[str, Any]:
    return {
        "tenant_id": tenant_id,
        "assistant_id": uuid4(),
        "graph_id": "chat",
        "config": {},
        "context": {},
        "metadata": {},
        "name": "chat",
        "folded_name": "chat",
        "version": 1,
        "created_at": NOW,
        "updated_at": NOW,
    }


def run(tenant_id: str, run_id: UUID) -> dict[str, Any]:
    return {
        "run_id": run_id,
        "tenant_id": tenant_id,
        "thread_id": run_id,
        "user_id": "alice",
        "status": "success",
        "attempt": 1,
        "losses": 0,
        "request": {},
        "created_at": NOW,
        "updated_at": NOW,
    }
