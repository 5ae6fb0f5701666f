"""Reads all rows of a tenant, table by table, a page at a time: for who takes the data along.

What is taken along is named here, and what is not: a table in neither fails a test, so that nobody forgets a new one,
and none leaves by mistake.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Table, literal, select, tuple_

from backend.database.model import Base
from backend.repository.scope import Scoped

Row = dict[str, Any]
Place = tuple[Any, ...]
"""Of a row in its table: what it sorts by."""

_DESK, _CHAT = frozenset({"tickets:read"}), frozenset({"chat"})
_KNOWLEDGE, _ADMIN = frozenset({"knowledge:read"}), frozenset({"admin"})
EXPORTED: Mapping[str, frozenset[str]] = {
    "tenants": _ADMIN,
    "users": _ADMIN,
    "api_keys": _ADMIN,
    "installations": _ADMIN,
    "audit_log": _ADMIN,
    "tickets": _DESK,
    "conversations": _DESK,
    "articles": _DESK,
    "attachments": _DESK,
    "feedback": _DESK,
    "documents": _KNOWLEDGE,
    "graph_entities": _KNOWLEDGE,
    "graph_relations": _KNOWLEDGE,
    "assistants": _CHAT,
    "assistant_versions": _CHAT,
    "threads": _CHAT | _DESK,  # those of the desk's agents hold tickets
    "store_items": _CHAT,
}
"""Tables in their order, with the scopes that reading them needs."""
LEFT_OUT: Mapping[str, str] = {
    "integrated_objects": "tickets, conversations and articles once more, as the platform sent them",
    "summaries": "a cache; a ticket has its summary",
    "store_vectors": "made of store_items",
    "thread_metadata": "an index of threads",
    "thread_priorities": "an index of threads",
    "ticket_threads": "which threads go with a ticket",
    "checkpoints": "the steps to the values of threads",
    "writes": "the steps to the values of threads",
    "runs": "how the values of threads came about",
    "run_events": "how the values of threads came about",
    "usage": "GET /api/v1/usage",
    "request_log": "GET /api/v1/request-log",
    "crons": "what the server does, not what it knows",
    "jobs": "what the server does, not what it knows",
    "job_files": "what the server does, not what it knows",
    "sync_jobs": "what the server does, not what it knows",
    "sync_issues": "what the server does, not what it knows",
    "sync_cursors": "what the server does, not what it knows",
    "sync_seen": "what the server does, not what it knows",
    "platform_events": "what the server does, not what it knows",
    "webhook_deliveries": "what the server does, not what it knows",
    "written_notes": "what the server does, not what it knows",
    "refresh_tokens": "what lets somebody in",
}
"""Tables that stay, and why."""
_UNSHOWN: Mapping[str, frozenset[str]] = {
    "users": frozenset({"password_hash", "token_version"}),
    "api_keys": frozenset({"key_hash"}),
    "installations": frozenset({"api_key", "api_key_hash", "webhook_secret", "key_id"}),
    "tickets": frozenset({"content_hash", "is_processed", "lookup", "lookup_cut"}),
    "articles": frozenset({"content_hash", "is_processed"}),
    "attachments": frozenset({"url", "file_key"}),  # links of the platform let in whoever has them
    "assistants": frozenset({"folded_name"}),
}
"""Columns that stay: secrets and their hashes, and what only this server has a use for."""


def tables_for(scopes: Collection[str]) -> list[Table]:
    """Return the tables that somebody may take along."""
    return [Base.metadata.tables[name] for name, needed in EXPORTED.items() if needed <= set(scopes)]


class ExportRepository(Scoped):
    """The rows of one tenant, without secrets."""

    def page(self, table: Table, limit: int, after: Place | None = None) -> tuple[list[Row], Place | None]:
        """Return rows of a table in the order of its key, and where the next page begins; None when there is none."""
        keys = [column for column in table.primary_key if column.name != "tenant_id"]
        shown = [column for column in table.c if column.name not in _UNSHOWN.get(str(table.name), ())]
        query = select(*shown, *(key.label(f"_{key.name}") for key in keys)).where(
            table.c.tenant_id == self._tenant_id, *self._behind(keys, after)
        )
        found = self._connection.execute(query.order_by(*keys).limit(limit)).all()
        names = [str(column.name) for column in shown]  # of a class of its own, which JSON does not know
        rows = [dict(zip(names, row, strict=False)) for row in found]
        place = tuple(found[-1][len(shown) :]) if keys and len(found) == limit else None
        return rows, place

    def _behind(self, keys: Sequence[ColumnElement[Any]], after: Place | None) -> list[ColumnElement[bool]]:
        if after is None:
            return []
        values = [literal(value, key.type) for key, value in zip(keys, after, strict=True)]
        return [keys[0] > values[0]] if len(keys) == 1 else [tuple_(*keys) > tuple_(*values)]
