"""A repository without a tenant is refused, and what one sends to the database always names its own (X7, 000-5)."""

import importlib
import inspect
import pkgutil
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import Connection, event, select, text

import backend.repository
from backend.core.error import DomainError
from backend.database.base import Database
from backend.database.model import Base, TicketRow, table_of
from backend.dto.ticket import TicketFilter
from backend.repository.article import ArticleRepository
from backend.repository.assistant import AssistantRepository
from backend.repository.conversation import ConversationRepository
from backend.repository.integrated_object import IntegratedObjectRepository
from backend.repository.scope import Scoped
from backend.repository.ticket import TicketRepository
from test.repository.test_ticket import NOW, make_article, make_message, make_ticket

TENANT = "only-this-tenant"
SCOPED_TABLES = {table.name for table in Base.metadata.tables.values() if "tenant_id" in table.c}
FREE = {"tenants"}
"""A tenant's own row may be asked for by its key alone, which is the tenant."""

SHARING = {AssistantRepository}
"""They also see rows that belong to nobody, whose tenant is the empty text: the default assistant of each graph."""


def classes() -> list[type]:
    """Return every class of the repositories."""
    found: dict[str, type] = {}
    for module in pkgutil.walk_packages(backend.repository.__path__, "backend.repository."):
        for name, one in inspect.getmembers(importlib.import_module(module.name), inspect.isclass):
            if one.__module__ == module.name:
                found[f"{module.name}.{name}"] = one
    return list(found.values())


def with_tenant() -> list[type]:
    return [
        one
        for one in classes()
        if one not in {Scoped, *SHARING} and list(inspect.signature(one).parameters)[:2] == ["connection", "tenant_id"]
    ]


@pytest.mark.parametrize("repository", with_tenant(), ids=lambda one: one.__name__)
@pytest.mark.parametrize("tenant_id", ["", None])
def test_a_repository_without_a_tenant_is_refused(repository: type, tenant_id: Any) -> None:
    """(000-5, X7) The tenant cannot be forgotten: it is asked for before anything else, and nothing is no tenant."""
    more = list(inspect.signature(repository).parameters.values())[2:]
    others = [None for parameter in more if parameter.default is inspect.Parameter.empty]
    with pytest.raises(ValueError, match="tenant"):
        repository(None, tenant_id, *others)


def test_whatever_takes_a_tenant_is_scoped() -> None:
    assert len(with_tenant()) > 15
    assert [one.__name__ for one in with_tenant() if not issubclass(one, Scoped)] == []


class Leak(AssertionError):
    """A statement on rows of tenants that does not name the tenant."""


@contextmanager
def watched(connection: Connection, tenant_id: str) -> Iterator[list[str]]:
    """Read every statement on its way to the database, and refuse one that could see another tenant's rows."""
    seen: list[str] = []

    def before(_: Any, __: Any, statement: str, parameters: Any, ___: Any, many: bool) -> None:
        tables = [
            name
            for name in re.findall(r'(?:from|into|update|join)\s+"?(\w+)', statement, re.I)
            if name in SCOPED_TABLES - FREE
        ]
        if not tables:
            return
        seen.append(statement)
        is_list = many and all(isinstance(one, dict | tuple | list) for one in parameters)
        for values in parameters if is_list else [parameters]:  # many rows of one INSERT come as one flat list
            given = values.values() if isinstance(values, dict) else values
            if not re.search(r"tenant_id\W", statement) or tenant_id not in given:
                raise Leak(statement)
        # Each place where rows come from has its own condition.
        conditions = len(re.findall(r"tenant_id\s*=", statement))
        if conditions < len(tables) and not re.match(r"\s*insert", statement, re.I):
            raise Leak(statement)

    event.listen(connection, "before_cursor_execute", before)
    try:
        yield seen
    finally:
        event.remove(connection, "before_cursor_execute", before)


def drive_tickets(connection: Connection) -> set[str]:
    """Call every public method of the repository; return their names."""
    r = TicketRepository(connection, TENANT)
    r.put("freshdesk", [make_ticket(number) for number in range(1, 5)], NOW)
    kept = r.find("1", "freshdesk")
    r.put("freshdesk", [make_ticket(1, title="new", platform_updated_at=NOW + timedelta(1))], NOW)
    r.put_conversations("freshdesk", "1", [make_message(1), make_message(2)], NOW)
    r.put_conversations("freshdesk", "1", [make_message(2)], NOW)
    kept = r.get(kept.id)
    r.update(kept.id, kept.version, kept.data, NOW)
    r.known("freshdesk", ["1", "2"])
    r.remove("freshdesk", ["2"], now=NOW, deleted=True)
    r.unseen("freshdesk", {"1"}, taken_before=NOW, after=kept.id, limit=5)
    r.get_many([kept.id])
    r.conversations(kept.id, 5, (NOW, kept.id), include_private=False)
    r.conversations_of([kept.id])
    every = TicketFilter(
        platform="freshdesk",
        status=(2,),
        priority=(1,),
        assignee_email="a@b",
        requester_email="a@b",
        tag="billing",
        is_processed=False,
        updated_from=NOW,
        updated_to=NOW,
        created_from=NOW,
        created_to=NOW,
        text="x",
    )
    for wanted in (TicketFilter(), every):
        r.list(wanted, 5, (NOW, kept.id))
        r.page(wanted, 5, (NOW, kept.id))
        r.walk(wanted, 5, kept.id)
        r.count(wanted)
    r.statistics("freshdesk")
    r.statuses()
    r.unprocessed(5)
    r.unsummarized(5, (NOW, kept.id), rules="rules")
    r.mark_processed([(kept.id, kept.content_hash)])
    r.set_summary(kept.id, {"problem": "x"}, kept.content_hash)
    r.delete(kept.id)
    r.purge("freshdesk")
    return set(vars(TicketRepository))


def drive_conversations(connection: Connection) -> set[str]:
    TicketRepository(connection, TENANT).put("api", [make_ticket(1)], NOW)
    ticket = TicketRepository(connection, TENANT).find("1").id
    r = ConversationRepository(connection, TENANT)
    r.replace("api", ticket, "1", [make_message(1)], NOW)
    r.replace("api", ticket, "1", [make_message(2)], NOW)
    r.of_ticket(ticket, limit=5, after=(NOW, ticket), include_private=False)
    r.of_tickets([ticket])
    r.count_of(ticket, include_private=False)
    r.taken("api", ["c1"], without=uuid4())
    terms: dict[str, Any] = {"author_email": "a@b", "created_from": NOW, "created_to": NOW, "include_private": False}
    r.list(**terms, limit=5, before=(NOW, ticket))
    r.count(**terms)
    return set(vars(ConversationRepository))


def drive_articles(connection: Connection) -> set[str]:
    r = ArticleRepository(connection, TENANT)
    r.put("freshdesk", [make_article(1), make_article(2)], NOW)
    kept = r.find("1", "freshdesk")
    r.get(kept.id, audience="customer")
    r.list(platform="freshdesk", audience="member", limit=5, before=(NOW, kept.id))
    r.count(platform="freshdesk", audience="customer")
    translated = replace(make_article(1), article_id="1:en", translation_of="1", language="en")
    r.put("freshdesk", [translated], NOW)
    assert [each.article_id for each in r.translations("freshdesk")] == ["1:en"]
    r.primary_language("freshdesk")
    r.originals([kept.id])
    r.close_languages("freshdesk", [], NOW)
    r.unprocessed(5)
    r.mark_processed([(kept.id, kept.content_hash)])
    r.keep_only("freshdesk", ["1"])
    r.purge("freshdesk")
    return set(vars(ArticleRepository))


def drive_objects(connection: Connection) -> set[str]:
    TicketRepository(connection, TENANT).put("api", [make_ticket(1), make_ticket(2), make_ticket(3)], NOW)
    r = IntegratedObjectRepository(connection, TENANT)
    (kept, *_) = r.get_by_tenant(platform="api", limit=3, before=(NOW + timedelta(9), uuid4()))
    r.put("api", "ticket", [kept.data], NOW)
    r.get(kept.id)
    r.count("ticket", platform="api")
    r.remove("api", "ticket", ["1"], NOW)
    r.delete("api", "ticket", ["1"])
    r.delete_of("api", "conversation", ["1"])
    r.purge("api")
    return set(vars(IntegratedObjectRepository))


@pytest.mark.parametrize("drive", [drive_tickets, drive_conversations, drive_articles, drive_objects])
async def test_every_statement_names_the_tenant(database: Database, drive: Callable[[Connection], set[str]]) -> None:
    """(X7, 000-14, 003-5)"""

    def work(connection: Connection) -> tuple[list[str], set[str]]:
        with watched(connection, TENANT) as seen:
            return seen, drive(connection)

    seen, methods = await database.write(work)
    assert len(seen) > 8
    called = set(re.findall(r"\br\.(\w+)\(", inspect.getsource(drive)))
    called |= set(re.findall(r"\)\.(find)\(", inspect.getsource(drive)))
    assert {name for name in methods if not name.startswith("_")} - called == set()


@pytest.mark.parametrize(
    "statement",
    [
        select(table_of(TicketRow)),
        select(table_of(TicketRow)).where(table_of(TicketRow).c.ticket_id == TENANT),
        select(table_of(TicketRow)).where(table_of(TicketRow).c.tenant_id == "another"),
        text(f"DELETE FROM tickets WHERE '{TENANT}' = :it AND ticket_id = 'x'").bindparams(it=TENANT),
        text(
            "UPDATE tickets SET title = ''"
            " WHERE ticket_id IN (SELECT ticket_id FROM conversations WHERE tenant_id = :t)"
        ).bindparams(t=TENANT),
    ],
)
async def test_the_watch_notices_a_statement_that_forgets_it(database: Database, statement: Any) -> None:
    def work(connection: Connection) -> None:
        with watched(connection, TENANT):
            connection.execute(statement)

    with pytest.raises(Leak):
        await database.write(work)


async def test_what_is_somebody_elses_is_an_error_that_tells_nothing(database: Database) -> None:
    def work(connection: Connection) -> None:
        TicketRepository(connection, "owner").put("api", [make_ticket(1)], NOW)
        kept = TicketRepository(connection, "owner").find("1")
        with pytest.raises(DomainError) as refused:
            TicketRepository(connection, TENANT).get(kept.id)
        with pytest.raises(DomainError) as unknown:
            TicketRepository(connection, TENANT).get(uuid4())
        assert type(refused.value) is type(unknown.value)

    await database.write(work)
