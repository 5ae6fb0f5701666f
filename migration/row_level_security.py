"""PostgreSQL's row-level security, as the migrations switch it on: a row is seen and written only for its tenant.

The server names the tenant of each transaction in the setting `daedap.tenant` (`backend/database/tenant_scope.py`), or
`*` for everyone's rows. Without a name it is NULL, or empty where an earlier transaction of the connection had one, and
nothing is seen. FORCE binds the owner of the tables, who is the server itself; only a superuser and a role with
BYPASSRLS are not bound.

A later migration that adds a table calls `enable(op, ["its_name"])`. What is written here has been run on databases:
change a policy in a new migration, not by changing these texts.
"""

from collections.abc import Iterable
from typing import Any

TABLES = (
    "api_keys",
    "articles",
    "assistant_versions",
    "assistants",
    "attachments",
    "audit_log",
    "checkpoints",
    "conversations",
    "crons",
    "documents",
    "feedback",
    "graph_entities",
    "graph_relations",
    "installations",
    "integrated_objects",
    "job_files",
    "jobs",
    "platform_events",
    "refresh_tokens",
    "request_log",
    "run_events",
    "runs",
    "store_items",
    "store_vectors",
    "summaries",
    "sync_cursors",
    "sync_issues",
    "sync_jobs",
    "sync_seen",
    "tenants",
    "thread_metadata",
    "thread_priorities",
    "threads",
    "tickets",
    "usage",
    "users",
    "webhook_deliveries",
    "writes",
    "written_notes",
)
"""Those of the revision 0003: every table of a tenant that there was."""

# A subquery is worked out once a statement, and not once a row.
_NAMED = "(SELECT nullif(current_setting('daedap.tenant', true), ''))"
_EVERYONE = f"{_NAMED} = '*'"
_OWN = f"tenant_id = {_NAMED} OR {_EVERYONE}"
_THREAD = (
    f"starts_with(thread_id, {_NAMED} || ':') OR ({_NAMED} = 'default' AND strpos(thread_id, ':') = 0) OR {_EVERYONE}"
)
"""Checkpoints have the columns of LangGraph's own tables: their tenant is the beginning of the thread's name."""
_RUN = f"{_EVERYONE} OR EXISTS (SELECT FROM runs WHERE runs.run_id = run_events.run_id)"
"""An event is its run's, and the runs have a policy themselves."""
_CONDITIONS = {"checkpoints": _THREAD, "writes": _THREAD, "run_events": _RUN}
_SHARED = ("assistants", "assistant_versions")
"""Their rows of the tenant "" are the graphs' default assistants, which every tenant sees."""


def enable(op: Any, tables: Iterable[str] = TABLES) -> None:
    """Show the rows of the tables only to their tenants, from here on; SQLite has nothing like it."""
    if op.get_context().dialect.name != "postgresql":
        return
    for table in tables:
        condition = _CONDITIONS.get(table, _OWN)
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY of_tenant ON {table} USING ({condition}) WITH CHECK ({condition})")
        if table in _SHARED:
            op.execute(f"CREATE POLICY shared ON {table} FOR SELECT USING (tenant_id = '' AND {_NAMED} IS NOT NULL)")


def disable(op: Any, tables: Iterable[str] = TABLES) -> None:
    """Take back what `enable` did."""
    if op.get_context().dialect.name != "postgresql":
        return
    for table in tables:
        if table in _SHARED:
            op.execute(f"DROP POLICY shared ON {table}")
        op.execute(f"DROP POLICY of_tenant ON {table}")
        op.execute(f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY")
