"""tickets of threads

Revision ID: 0006
Revises: 0005
Created: 2026-11-21
"""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from alembic import op

from migration import row_level_security

revision: str = "0006"
down_revision: str | Sequence[str] | None = "0005"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "ticket_threads",
        sa.Column("tenant_id", sa.String(length=63), nullable=False),
        sa.Column("thread_id", sa.Uuid(), nullable=False),
        sa.Column("ticket", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "thread_id"],
            ["threads.tenant_id", "threads.thread_id"],
            name=op.f("fk_ticket_threads_threads"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "thread_id", "ticket", name=op.f("pk_ticket_threads")),
    )
    row_level_security.enable(op, ["ticket_threads"])
    with op.batch_alter_table("summaries", schema=None) as batch_op:
        batch_op.add_column(sa.Column("ticket", sa.Uuid(), nullable=True))
    _tie()


def _tie() -> None:
    """Tie the desk's threads to the ticket that they were last about, which their values name."""
    connection = op.get_bind()
    if connection.dialect.name == "postgresql":
        connection.execute(sa.text("SELECT set_config('daedap.tenant', '*', true)"))
    threads = sa.table(
        "threads",
        sa.column("tenant_id", sa.String),
        sa.column("thread_id", sa.Uuid),
        sa.column("agent", sa.String),
        sa.column("values", sa.JSON),
    )
    ties = sa.table(
        "ticket_threads",
        sa.column("tenant_id", sa.String),
        sa.column("thread_id", sa.Uuid),
        sa.column("ticket", sa.Uuid),
    )
    # The id alone: a state has whole tickets and drafts in it, and those of all threads do not fit into the memory.
    named = threads.c["values"][("ticket", "id")].as_string()
    of_desk = sa.select(threads.c.tenant_id, threads.c.thread_id, named.label("named")).where(
        threads.c.agent.in_(("copilot", "summary")), named.is_not(None)
    )
    rows = [
        {"tenant_id": row.tenant_id, "thread_id": row.thread_id, "ticket": ticket}
        for row in connection.execute(of_desk)
        if (ticket := _id(row.named)) is not None
    ]
    if rows:
        connection.execute(ties.insert(), rows)


def _id(named: Any) -> UUID | None:
    """Return the ticket that a state names; anybody may have written the state."""
    try:
        return UUID(named) if isinstance(named, str) else None
    except ValueError:
        return None


def downgrade() -> None:
    with op.batch_alter_table("summaries", schema=None) as batch_op:
        batch_op.drop_column("ticket")
    op.drop_table("ticket_threads")
