"""agent server

Revision ID: 0002
Revises: 0001
Created: 2026-11-21
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0002"
down_revision: str | Sequence[str] | None = "0001"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "assistants",
        sa.Column("tenant_id", sa.String(length=63), nullable=False),
        sa.Column("assistant_id", sa.Uuid(), nullable=False),
        sa.Column("graph_id", sa.String(length=255), nullable=False),
        sa.Column("config", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("context", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("metadata", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("folded_name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "assistant_id", name=op.f("pk_assistants")),
    )
    with op.batch_alter_table("assistants", schema=None) as batch_op:
        batch_op.create_index("ix_assistants_made", ["tenant_id", "created_at", "assistant_id"], unique=False)

    op.create_table(
        "store_items",
        sa.Column("tenant_id", sa.String(length=63), nullable=False),
        sa.Column("namespace", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False),
        sa.Column("key", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ttl_minutes", sa.Float(), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "namespace", "key", name=op.f("pk_store_items")),
    )
    with op.batch_alter_table("store_items", schema=None) as batch_op:
        batch_op.create_index(
            "ix_store_items_expiry",
            ["expires_at"],
            unique=False,
            sqlite_where=sa.text("expires_at IS NOT NULL"),
            postgresql_where=sa.text("expires_at IS NOT NULL"),
        )

    op.create_table(
        "webhook_deliveries",
        sa.Column("delivery_id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.String(length=63), nullable=False),
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("delivery_id", name=op.f("pk_webhook_deliveries")),
    )
    with op.batch_alter_table("webhook_deliveries", schema=None) as batch_op:
        batch_op.create_index("ix_webhook_deliveries_due", ["due_at", "delivery_id"], unique=False)

    op.create_table(
        "assistant_versions",
        sa.Column("tenant_id", sa.String(length=63), nullable=False),
        sa.Column("assistant_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("graph_id", sa.String(length=255), nullable=False),
        sa.Column("config", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("context", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("metadata", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "assistant_id"],
            ["assistants.tenant_id", "assistants.assistant_id"],
            name=op.f("fk_assistant_versions_assistants"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "assistant_id", "version", name=op.f("pk_assistant_versions")),
    )
    op.create_table(
        "crons",
        sa.Column("tenant_id", sa.String(length=63), nullable=False),
        sa.Column("cron_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.String(length=255), nullable=False),
        sa.Column("owner", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("assistant_id", sa.Uuid(), nullable=False),
        sa.Column("thread_id", sa.Uuid(), nullable=True),
        sa.Column("schedule", sa.String(length=255), nullable=False),
        sa.Column("timezone", sa.String(length=255), nullable=True),
        sa.Column("end_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("on_run_completed", sa.String(length=16), nullable=True),
        sa.Column("next_run_date", sa.DateTime(timezone=True), nullable=True),
        sa.Column("claimed_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("payload", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("metadata", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "thread_id"],
            ["threads.tenant_id", "threads.thread_id"],
            name=op.f("fk_crons_threads"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "cron_id", name=op.f("pk_crons")),
    )
    with op.batch_alter_table("crons", schema=None) as batch_op:
        batch_op.create_index("ix_crons_assistant", ["tenant_id", "assistant_id"], unique=False)
        batch_op.create_index(
            "ix_crons_due",
            ["next_run_date"],
            unique=False,
            sqlite_where=sa.text("enabled = 1"),
            postgresql_where=sa.text("enabled"),
        )
        batch_op.create_index("ix_crons_recent", ["tenant_id", "created_at", "cron_id"], unique=False)
        batch_op.create_index("ix_crons_thread", ["tenant_id", "thread_id"], unique=False)

    op.create_table(
        "store_vectors",
        sa.Column("tenant_id", sa.String(length=63), nullable=False),
        sa.Column("namespace", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False),
        sa.Column("key", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False),
        sa.Column("model", sa.String(length=255), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "namespace", "key"],
            ["store_items.tenant_id", "store_items.namespace", "store_items.key"],
            name=op.f("fk_store_vectors_store_items"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "namespace", "key", name=op.f("pk_store_vectors")),
    )
    op.create_table(
        "thread_metadata",
        sa.Column("tenant_id", sa.String(length=63), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("thread_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "thread_id"],
            ["threads.tenant_id", "threads.thread_id"],
            name=op.f("fk_thread_metadata_threads"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "path", "value", "thread_id", name=op.f("pk_thread_metadata")),
        sqlite_with_rowid=False,
    )
    with op.batch_alter_table("thread_metadata", schema=None) as batch_op:
        batch_op.create_index("ix_thread_metadata_thread", ["tenant_id", "thread_id"], unique=False)

    op.create_table(
        "thread_priorities",
        sa.Column("tenant_id", sa.String(length=63), nullable=False),
        sa.Column("thread_id", sa.Uuid(), nullable=False),
        sa.Column("priority", sa.SmallInteger(), nullable=False),
        sa.Column("fairness", sa.String(length=256), nullable=True),
        sa.ForeignKeyConstraint(
            ["tenant_id", "thread_id"],
            ["threads.tenant_id", "threads.thread_id"],
            name=op.f("fk_thread_priorities_threads"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "thread_id", name=op.f("pk_thread_priorities")),
    )
    with op.batch_alter_table("runs", schema=None) as batch_op:
        batch_op.add_column(sa.Column("cancel_reason", sa.String(length=255), nullable=True))
        batch_op.add_column(sa.Column("start_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.create_index(
            "ix_runs_delayed",
            ["start_at"],
            unique=False,
            sqlite_where=sa.text("status = 'queued'"),
            postgresql_where=sa.text("status = 'queued'"),
        )

    with op.batch_alter_table("threads", schema=None) as batch_op:
        batch_op.add_column(sa.Column("graph_id", sa.String(length=255), nullable=True))
        batch_op.add_column(sa.Column("assistant_id", sa.String(length=255), nullable=True))
        batch_op.add_column(sa.Column("state_updated_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(
            sa.Column("config", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=True)
        )
        batch_op.add_column(
            sa.Column("values", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=True)
        )
        batch_op.add_column(
            sa.Column("interrupts", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=True)
        )
        batch_op.add_column(sa.Column("error", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=True))
        batch_op.add_column(sa.Column("ttl_strategy", sa.String(length=16), nullable=True))
        batch_op.add_column(sa.Column("ttl_minutes", sa.Float(), nullable=True))
        batch_op.add_column(sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.create_index(
            "ix_threads_assistant",
            ["tenant_id", "assistant_id"],
            unique=False,
            sqlite_where=sa.text("assistant_id IS NOT NULL"),
            postgresql_where=sa.text("assistant_id IS NOT NULL"),
        )
        batch_op.create_index(
            "ix_threads_expiring",
            ["expires_at"],
            unique=False,
            sqlite_where=sa.text("expires_at IS NOT NULL"),
            postgresql_where=sa.text("expires_at IS NOT NULL"),
        )
        batch_op.create_index(
            "ix_threads_graph",
            ["tenant_id", "graph_id"],
            unique=False,
            sqlite_where=sa.text("graph_id IS NOT NULL"),
            postgresql_where=sa.text("graph_id IS NOT NULL"),
        )
        batch_op.create_index("ix_threads_made", ["tenant_id", "created_at", "thread_id"], unique=False)
        batch_op.create_index(
            "ix_threads_restless",
            ["tenant_id", "status"],
            unique=False,
            sqlite_where=sa.text("status <> 'idle'"),
            postgresql_where=sa.text("status <> 'idle'"),
        )

    # The threads that are there: their metadata are compared one by one until they are written again.
    op.execute(
        "INSERT INTO thread_metadata (tenant_id, path, value, thread_id)"
        " SELECT tenant_id, '*', '', thread_id FROM threads WHERE CAST(metadata AS TEXT) <> '{}'"
    )
    for column in ("graph_id", "assistant_id"):
        if op.get_bind().dialect.name == "sqlite":
            found, kind = f"json_extract(metadata, '$.{column}')", f"json_type(metadata, '$.{column}') = 'text'"
        else:
            found, kind = f"metadata ->> '{column}'", f"jsonb_typeof(metadata -> '{column}') = 'string'"
        statement = "UPDATE threads SET {} = {} WHERE {} AND length({}) <= 255"
        op.execute(statement.format(column, found, kind, found))


def downgrade() -> None:
    with op.batch_alter_table("threads", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_threads_restless",
            sqlite_where=sa.text("status <> 'idle'"),
            postgresql_where=sa.text("status <> 'idle'"),
        )
        batch_op.drop_index("ix_threads_made")
        batch_op.drop_index(
            "ix_threads_graph",
            sqlite_where=sa.text("graph_id IS NOT NULL"),
            postgresql_where=sa.text("graph_id IS NOT NULL"),
        )
        batch_op.drop_index(
            "ix_threads_expiring",
            sqlite_where=sa.text("expires_at IS NOT NULL"),
            postgresql_where=sa.text("expires_at IS NOT NULL"),
        )
        batch_op.drop_index(
            "ix_threads_assistant",
            sqlite_where=sa.text("assistant_id IS NOT NULL"),
            postgresql_where=sa.text("assistant_id IS NOT NULL"),
        )
        batch_op.drop_column("expires_at")
        batch_op.drop_column("ttl_minutes")
        batch_op.drop_column("ttl_strategy")
        batch_op.drop_column("error")
        batch_op.drop_column("interrupts")
        batch_op.drop_column("values")
        batch_op.drop_column("config")
        batch_op.drop_column("state_updated_at")
        batch_op.drop_column("assistant_id")
        batch_op.drop_column("graph_id")

    with op.batch_alter_table("runs", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_runs_delayed", sqlite_where=sa.text("status = 'queued'"), postgresql_where=sa.text("status = 'queued'")
        )
        batch_op.drop_column("start_at")
        batch_op.drop_column("cancel_reason")

    op.drop_table("thread_priorities")
    with op.batch_alter_table("thread_metadata", schema=None) as batch_op:
        batch_op.drop_index("ix_thread_metadata_thread")

    op.drop_table("thread_metadata")
    op.drop_table("store_vectors")
    with op.batch_alter_table("crons", schema=None) as batch_op:
        batch_op.drop_index("ix_crons_thread")
        batch_op.drop_index("ix_crons_recent")
        batch_op.drop_index("ix_crons_due", sqlite_where=sa.text("enabled = 1"), postgresql_where=sa.text("enabled"))
        batch_op.drop_index("ix_crons_assistant")

    op.drop_table("crons")
    op.drop_table("assistant_versions")
    with op.batch_alter_table("webhook_deliveries", schema=None) as batch_op:
        batch_op.drop_index("ix_webhook_deliveries_due")

    op.drop_table("webhook_deliveries")
    with op.batch_alter_table("store_items", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_store_items_expiry",
            sqlite_where=sa.text("expires_at IS NOT NULL"),
            postgresql_where=sa.text("expires_at IS NOT NULL"),
        )

    op.drop_table("store_items")
    with op.batch_alter_table("assistants", schema=None) as batch_op:
        batch_op.drop_index("ix_assistants_made")

    op.drop_table("assistants")
