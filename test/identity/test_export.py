"""A tenant takes along all that is its own, and neither a secret nor anything of another's."""

from typing import Any
from uuid import UUID

import orjson
import pytest

from backend.core.error import Unauthorized
from backend.database.model import Base, TicketRow, table_of
from backend.dto.principal import Principal
from backend.repository.export import EXPORTED, LEFT_OUT
from backend.service import export
from backend.service.export import ExportPage, ExportService
from test.identity.conftest import ACME, OTHER, House
from test.purge.rows import CHILDREN, fill, put_another

PATH = "/api/v1/tenant/export"


def parsed(text: str) -> tuple[dict[str, Any], dict[str, list[dict[str, Any]]], dict[str, Any]]:
    """Return the head, the rows by their tables, and the end."""
    head, *lines, end = [orjson.loads(line) for line in text.splitlines()]
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in head["export"]["tables"]}
    for line in lines:
        rows[line["table"]].append(line["row"])
    return head["export"], rows, end


async def filled(house: House, *tenants: str) -> None:
    for tenant in tenants:
        await fill(house.database, tenant, without={"tenants", "store_vectors"})


def test_each_table_is_taken_along_or_stays_for_a_reason() -> None:
    assert sorted({*EXPORTED, *LEFT_OUT}) == sorted(Base.metadata.tables)
    assert not EXPORTED.keys() & LEFT_OUT.keys()
    assert all("tenant_id" in Base.metadata.tables[name].primary_key for name in EXPORTED)
    assert not EXPORTED.keys() & CHILDREN.keys()


async def test_an_export_has_a_row_of_each_table_and_says_how_many(house: House) -> None:
    await filled(house, "acme", "other")
    async with house.client(ACME) as http:
        answer = await http.get(PATH)
    assert answer.headers["content-type"] == "application/x-ndjson"
    assert answer.headers["content-disposition"] == 'attachment; filename="acme.ndjson"'
    head, rows, end = parsed(answer.text)
    assert (head["tenant_id"], head["tables"]) == ("acme", list(EXPORTED))
    assert end == {"end": {name: len(found) for name, found in rows.items()}}
    assert all(rows.values())
    assert {row["tenant_id"] for found in rows.values() for row in found} == {"acme"}
    assert "other" not in answer.text
    entry = (await house.ask("GET", "/api/v1/audit", ACME, params={"action": "tenant.exported"})).json()["items"][0]
    assert (entry["actor"], entry["detail"]["tables"]) == ("acme", list(EXPORTED))


async def test_no_secret_and_no_hash_of_one_leaves(house: House) -> None:
    await house.make("owner")
    body = {"name": "x", "scopes": ["chat"]}
    secret = (await house.ask("POST", "/api/v1/api-keys", ACME, json=body)).json()["api_key"]
    await filled(house, "acme")
    text = (await house.ask("GET", PATH, ACME)).text
    _, rows, _ = parsed(text)
    names = {name for found in rows.values() for row in found for name in row}
    assert not {name for name in names if any(part in name for part in ("hash", "secret", "password", "token"))}
    assert "api_key" not in names
    assert "owner@acme.example" in text
    assert secret not in text
    assert "argon2" not in text


async def test_who_may_not_read_tickets_takes_none_along(home: House) -> None:
    await filled(home, "acme")
    body = {"name": "x", "scopes": ["admin", "chat"]}
    key = (await home.ask("POST", "/api/v1/api-keys", ACME, json=body)).json()["api_key"]
    head, rows, _ = parsed((await home.ask("GET", PATH, key)).text)
    assert head["tables"] == list(rows)
    assert not {"tickets", "conversations", "articles", "feedback", "threads", "documents"} & rows.keys()
    assert {"users", "assistants", "store_items"} <= rows.keys()
    agent = await home.login_of("agent")
    assert (await home.ask("GET", PATH, agent["access_token"])).status_code == 403


async def test_many_rows_come_page_by_page_each_once(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "PAGE", 3)
    await filled(house, "acme", "other")
    tickets, versions = table_of(TicketRow), Base.metadata.tables["assistant_versions"]
    for number in range(7):
        ids = {"id": UUID(int=number), "ticket_id": str(number)}
        await put_another(house.database, tickets, "acme", **ids)
        await put_another(house.database, versions, "acme", version=number + 2)  # a key of two columns
    _, rows, end = parsed((await house.ask("GET", PATH, ACME)).text)
    for name, key in (("tickets", "id"), ("assistant_versions", "version")):
        assert len(rows[name]) == len({row[key] for row in rows[name]}) == end["end"][name] == 8
    assert len(parsed((await house.ask("GET", PATH, OTHER)).text)[1]["tickets"]) == 1


async def test_an_export_ends_without_its_end_when_who_asks_is_put_out_meanwhile(home: House) -> None:
    left = 3

    async def check() -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise Unauthorized("Invalid access token")

    parts = [part async for part in await ExportService(home.database, home.clock).begin(Principal("acme", "x"), check)]
    assert [part.table for part in parts if isinstance(part, ExportPage)] == ["tenants", "users", "api_keys"]
    assert parts[-1] == {"error": "Invalid access token"}
