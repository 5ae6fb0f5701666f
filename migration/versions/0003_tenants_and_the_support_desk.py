"""tenants and the support desk

Revision ID: 0003
Revises: 0002
Created: 2026-11-21
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from migration import row_level_security

revision: str = "0003"
down_revision: str | Sequence[str] | None = "0002"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "api_keys",
        sa.Column("tenant_id", sa.String(length=63), nullable=False),
        sa.Column("key_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("prefix", sa.String(length=16), nullable=False),
        sa.Column("key_hash", sa.String(length=64), nullable=False),
        sa.Column("scopes", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("created_by", sa.String(length=255), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("tenant_id", "key_id", name=op.f("pk_api_keys")),
        sa.UniqueConstraint("key_hash", name=op.f("uq_api_keys_key_hash")),
    )
    with op.batch_alter_table("api_keys", schema=None) as batch_op:
        batch_op.create_index("ix_api_keys_tenant", ["tenant_id", "created_at", "key_id"], unique=False)

    op.create_table(
        "articles",
        sa.Column("tenant_id", sa.String(length=63), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("platform", sa.String(length=20), nullable=False),
        sa.Column("article_id", sa.String(length=64), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("audience", sa.String(length=16), nullable=False),
        sa.Column("published", sa.Boolean(), nullable=False),
        sa.Column("folder_id", sa.String(length=64), nullable=True),
        sa.Column("category_id", sa.String(length=64), nullable=True),
        sa.Column("path", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("url", sa.Text(), nullable=True),
        sa.Column("tags", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("content_hash", sa.String(length=64), nullable=False),
        sa.Column("is_processed", sa.Boolean(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("platform_created_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("platform_updated_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_articles")),
        sa.UniqueConstraint(
            "tenant_id", "platform", "article_id", name=op.f("uq_articles_tenant_id_platform_article_id")
        ),
    )
    with op.batch_alter_table("articles", schema=None) as batch_op:
        batch_op.create_index("ix_articles_processed", ["tenant_id", "is_processed", "id"], unique=False)
        batch_op.create_index("ix_articles_recent", ["tenant_id", "platform_updated_at", "id"], unique=False)

    op.create_table(
        "attachments",
        sa.Column("tenant_id", sa.String(length=63), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("platform", sa.String(length=20), nullable=False),
        sa.Column("attachment_id", sa.String(length=64), nullable=False),
        sa.Column("parent_type", sa.String(length=16), nullable=False),
        sa.Column("parent_id", sa.String(length=64), nullable=False),
        sa.Column("ticket_id", sa.String(length=64), nullable=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("content_type", sa.String(length=255), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("url", sa.Text(), nullable=True),
        sa.Column("private", sa.Boolean(), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("file_key", sa.Text(), nullable=True),
        sa.Column("sha256", sa.String(length=64), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_attachments")),
        sa.UniqueConstraint(
            "tenant_id", "platform", "attachment_id", name=op.f("uq_attachments_tenant_id_platform_attachment_id")
        ),
    )
    with op.batch_alter_table("attachments", schema=None) as batch_op:
        batch_op.create_index(
            "ix_attachments_parent", ["tenant_id", "platform", "parent_type", "parent_id"], unique=False
        )
        batch_op.create_index("ix_attachments_status", ["tenant_id", "status", "id"], unique=False)
        batch_op.create_index("ix_attachments_ticket", ["tenant_id", "platform", "ticket_id"], unique=False)

    op.create_table(
        "audit_log",
        sa.Column("tenant_id", sa.String(length=63), nullable=False),
        sa.Column("audit_id", sa.Uuid(), nullable=False),
        sa.Column("actor", sa.String(length=255), nullable=False),
        sa.Column("action", sa.String(length=63), nullable=False),
        sa.Column("target", sa.String(length=255), nullable=True),
        sa.Column("detail", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("address", sa.String(length=64), nullable=True),
        sa.Column("request_id", sa.String(length=128), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "audit_id", name=op.f("pk_audit_log")),
    )
    op.create_table(
        "feedback",
        sa.Column("tenant_id", sa.String(length=63), nullable=False),
        sa.Column("feedback_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.String(length=255), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("platform", sa.String(length=20), nullable=True),
        sa.Column("ticket_id", sa.String(length=64), nullable=True),
        sa.Column("run_id", sa.Uuid(), nullable=True),
        sa.Column("thread_id", sa.Uuid(), nullable=True),
        sa.Column("draft", sa.Text(), nullable=False),
        sa.Column("final", sa.Text(), nullable=True),
        sa.Column("comment", sa.Text(), nullable=True),
        sa.Column("metadata", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "feedback_id", name=op.f("pk_feedback")),
    )
    with op.batch_alter_table("feedback", schema=None) as batch_op:
        batch_op.create_index("ix_feedback_recent", ["tenant_id", "created_at", "feedback_id"], unique=False)
        batch_op.create_index("ix_feedback_ticket", ["tenant_id", "ticket_id"], unique=False)

    op.create_table(
        "graph_entities",
        sa.Column("tenant_id", sa.String(length=63), nullable=False),
        sa.Column("label", sa.String(length=32), nullable=False),
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("properties", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "label", "key", name=op.f("pk_graph_entities")),
    )
    op.create_table(
        "installations",
        sa.Column("tenant_id", sa.String(length=63), nullable=False),
        sa.Column("platform", sa.String(length=20), nullable=False),
        sa.Column("domain", sa.String(length=255), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("account", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("api_key", sa.Text(), nullable=False),
        sa.Column("api_key_hash", sa.String(length=64), nullable=False),
        sa.Column("webhook_secret", sa.Text(), nullable=False),
        sa.Column("key_id", sa.String(length=32), nullable=False),
        sa.Column("installed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "platform", name=op.f("pk_installations")),
        sa.UniqueConstraint("platform", "domain", name=op.f("uq_installations_platform_domain")),
    )
    op.create_table(
        "integrated_objects",
        sa.Column("tenant_id", sa.String(length=63), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("platform", sa.String(length=20), nullable=False),
        sa.Column("object_type", sa.String(length=16), nullable=False),
        sa.Column("original_id", sa.String(length=64), nullable=False),
        sa.Column("parent_id", sa.String(length=64), nullable=True),
        sa.Column("original_data", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("integrated_content", sa.Text(), nullable=False),
        sa.Column("summary", sa.Text(), nullable=True),
        sa.Column("metadata", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("content_hash", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("platform_created_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("platform_updated_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_integrated_objects")),
        sa.UniqueConstraint(
            "tenant_id",
            "platform",
            "object_type",
            "original_id",
            name=op.f("uq_integrated_objects_tenant_id_platform_object_type_original_id"),
        ),
    )
    with op.batch_alter_table("integrated_objects", schema=None) as batch_op:
        batch_op.create_index(
            "ix_integrated_objects_recent", ["tenant_id", "object_type", "updated_at", "id"], unique=False
        )

    op.create_table(
        "platform_events",
        sa.Column("tenant_id", sa.String(length=63), nullable=False),
        sa.Column("platform", sa.String(length=20), nullable=False),
        sa.Column("event_key", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "platform", "event_key", name=op.f("pk_platform_events")),
    )
    with op.batch_alter_table("platform_events", schema=None) as batch_op:
        batch_op.create_index("ix_platform_events_age", ["created_at"], unique=False)

    op.create_table(
        "request_log",
        sa.Column("tenant_id", sa.String(length=63), nullable=False),
        sa.Column("log_id", sa.Uuid(), nullable=False),
        sa.Column("request_id", sa.String(length=128), nullable=False),
        sa.Column("user_id", sa.String(length=255), nullable=False),
        sa.Column("method", sa.String(length=16), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("milliseconds", sa.Float(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "log_id", name=op.f("pk_request_log")),
    )
    with op.batch_alter_table("request_log", schema=None) as batch_op:
        batch_op.create_index("ix_request_log_age", ["created_at"], unique=False)

    op.create_table(
        "summaries",
        sa.Column("tenant_id", sa.String(length=63), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("summary", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "digest", name=op.f("pk_summaries")),
    )
    with op.batch_alter_table("summaries", schema=None) as batch_op:
        batch_op.create_index("ix_summaries_age", ["created_at"], unique=False)

    op.create_table(
        "sync_cursors",
        sa.Column("tenant_id", sa.String(length=63), nullable=False),
        sa.Column("platform", sa.String(length=20), nullable=False),
        sa.Column("object_type", sa.String(length=16), nullable=False),
        sa.Column("updated_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("complete", sa.Boolean(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "platform", "object_type", name=op.f("pk_sync_cursors")),
    )
    op.create_table(
        "sync_jobs",
        sa.Column("tenant_id", sa.String(length=63), nullable=False),
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("platform", sa.String(length=20), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("wanted", sa.String(length=16), nullable=True),
        sa.Column("stage", sa.String(length=16), nullable=False),
        sa.Column("counts", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("options", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("state", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.String(length=255), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("tenant_id", "job_id", name=op.f("pk_sync_jobs")),
    )
    with op.batch_alter_table("sync_jobs", schema=None) as batch_op:
        batch_op.create_index("ix_sync_jobs_status", ["status"], unique=False)
        batch_op.create_index(
            "uq_sync_jobs_active",
            ["tenant_id", "platform"],
            unique=True,
            sqlite_where=sa.text("status IN ('pending', 'running', 'paused') AND kind <> 'ticket'"),
            postgresql_where=sa.text("status IN ('pending', 'running', 'paused') AND kind <> 'ticket'"),
        )

    op.create_table(
        "tenants",
        sa.Column("tenant_id", sa.String(length=63), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("plan", sa.String(length=63), nullable=False),
        sa.Column("limits", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("platform", sa.String(length=20), nullable=True),
        sa.Column("domain", sa.String(length=255), nullable=True),
        sa.Column("settings", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("purged_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("tenant_id", name=op.f("pk_tenants")),
    )
    op.create_table(
        "tickets",
        sa.Column("tenant_id", sa.String(length=63), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("platform", sa.String(length=20), nullable=False),
        sa.Column("ticket_id", sa.String(length=64), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("status_name", sa.String(length=255), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("source", sa.Integer(), nullable=True),
        sa.Column("type", sa.String(length=255), nullable=True),
        sa.Column("requester_id", sa.String(length=64), nullable=True),
        sa.Column("requester_email", sa.String(length=320), nullable=True),
        sa.Column("requester_name", sa.String(length=255), nullable=True),
        sa.Column("assignee_id", sa.String(length=64), nullable=True),
        sa.Column("assignee_email", sa.String(length=320), nullable=True),
        sa.Column("assignee_name", sa.String(length=255), nullable=True),
        sa.Column("group_id", sa.String(length=64), nullable=True),
        sa.Column("customer_company_id", sa.String(length=64), nullable=True),
        sa.Column("tags", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("is_processed", sa.Boolean(), nullable=False),
        sa.Column("spam", sa.Boolean(), nullable=False),
        sa.Column("deleted", sa.Boolean(), nullable=False),
        sa.Column("merged_into", sa.String(length=64), nullable=True),
        sa.Column("conversations", sa.Integer(), nullable=False),
        sa.Column("content_hash", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("platform_created_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("platform_updated_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("resolved_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("lookup", sa.Text(), nullable=False),
        sa.Column("lookup_cut", sa.Boolean(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("custom_fields", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("summary", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=True),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_tickets")),
        sa.UniqueConstraint("tenant_id", "platform", "ticket_id", name=op.f("uq_tickets_tenant_id_platform_ticket_id")),
    )
    with op.batch_alter_table("tickets", schema=None) as batch_op:
        batch_op.create_index(
            "ix_tickets_assignee",
            [
                "tenant_id",
                "assignee_email",
                "deleted",
                "spam",
                "platform_updated_at",
                "id",
                "status",
                "priority",
                "is_processed",
            ],
            unique=False,
        )
        batch_op.create_index(
            "ix_tickets_cut",
            ["tenant_id"],
            unique=False,
            sqlite_where=sa.text("lookup_cut"),
            postgresql_where=sa.text("lookup_cut"),
        )
        batch_op.create_index("ix_tickets_processed", ["tenant_id", "is_processed", "id"], unique=False)
        batch_op.create_index(
            "ix_tickets_recent",
            [
                "tenant_id",
                "platform_updated_at",
                "id",
                "deleted",
                "spam",
                "status",
                "priority",
                "is_processed",
                "platform",
                "assignee_email",
                "requester_email",
                "lookup",
            ],
            unique=False,
        )
        batch_op.create_index(
            "ix_tickets_requester",
            [
                "tenant_id",
                "requester_email",
                "deleted",
                "spam",
                "platform_updated_at",
                "id",
                "status",
                "priority",
                "is_processed",
            ],
            unique=False,
        )
        batch_op.create_index(
            "ix_tickets_statistics",
            ["tenant_id", "deleted", "spam", "status", "priority", "is_processed", "status_name", "platform"],
            unique=False,
        )

    op.create_table(
        "users",
        sa.Column("tenant_id", sa.String(length=63), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("email", sa.String(length=320), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=True),
        sa.Column("token_version", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_login_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("tenant_id", "user_id", name=op.f("pk_users")),
        sa.UniqueConstraint("tenant_id", "email", name=op.f("uq_users_tenant_id_email")),
    )
    op.create_table(
        "written_notes",
        sa.Column("tenant_id", sa.String(length=63), nullable=False),
        sa.Column("platform", sa.String(length=20), nullable=False),
        sa.Column("note_key", sa.String(length=64), nullable=False),
        sa.Column("ticket_id", sa.String(length=64), nullable=False),
        sa.Column("conversation_id", sa.String(length=64), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "platform", "note_key", name=op.f("pk_written_notes")),
    )
    op.create_table(
        "conversations",
        sa.Column("tenant_id", sa.String(length=63), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("platform", sa.String(length=20), nullable=False),
        sa.Column("ticket", sa.Uuid(), nullable=False),
        sa.Column("ticket_id", sa.String(length=64), nullable=False),
        sa.Column("conversation_id", sa.String(length=64), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("message_type", sa.String(length=16), nullable=False),
        sa.Column("author_type", sa.String(length=16), nullable=False),
        sa.Column("author_id", sa.String(length=64), nullable=True),
        sa.Column("author_email", sa.String(length=320), nullable=True),
        sa.Column("author_name", sa.String(length=255), nullable=True),
        sa.Column("attachments", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("platform_created_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("platform_updated_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "ticket"],
            ["tickets.tenant_id", "tickets.id"],
            name=op.f("fk_conversations_tickets"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_conversations")),
        sa.UniqueConstraint(
            "tenant_id", "platform", "conversation_id", name=op.f("uq_conversations_tenant_id_platform_conversation_id")
        ),
    )
    with op.batch_alter_table("conversations", schema=None) as batch_op:
        batch_op.create_index(
            "ix_conversations_author",
            ["tenant_id", "author_email", "platform_created_at", "id", "message_type"],
            unique=False,
        )
        batch_op.create_index(
            "ix_conversations_recent", ["tenant_id", "platform_created_at", "id", "message_type"], unique=False
        )
        batch_op.create_index(
            "ix_conversations_ticket", ["tenant_id", "ticket", "platform_created_at", "id"], unique=False
        )

    op.create_table(
        "graph_relations",
        sa.Column("tenant_id", sa.String(length=63), nullable=False),
        sa.Column("source_label", sa.String(length=32), nullable=False),
        sa.Column("source_key", sa.String(length=255), nullable=False),
        sa.Column("type", sa.String(length=32), nullable=False),
        sa.Column("target_label", sa.String(length=32), nullable=False),
        sa.Column("target_key", sa.String(length=255), nullable=False),
        sa.Column("properties", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "source_label", "source_key"],
            ["graph_entities.tenant_id", "graph_entities.label", "graph_entities.key"],
            name="fk_graph_relations_source",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "target_label", "target_key"],
            ["graph_entities.tenant_id", "graph_entities.label", "graph_entities.key"],
            name="fk_graph_relations_target",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint(
            "tenant_id",
            "source_label",
            "source_key",
            "type",
            "target_label",
            "target_key",
            name=op.f("pk_graph_relations"),
        ),
    )
    with op.batch_alter_table("graph_relations", schema=None) as batch_op:
        batch_op.create_index(
            "ix_graph_relations_target",
            ["tenant_id", "target_label", "target_key", "type", "source_label", "source_key"],
            unique=False,
        )

    op.create_table(
        "refresh_tokens",
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("tenant_id", sa.String(length=63), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("family_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["tenant_id", "user_id"],
            ["users.tenant_id", "users.user_id"],
            name=op.f("fk_refresh_tokens_users"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_refresh_tokens")),
    )
    with op.batch_alter_table("refresh_tokens", schema=None) as batch_op:
        batch_op.create_index("ix_refresh_tokens_expiry", ["expires_at"], unique=False)
        batch_op.create_index("ix_refresh_tokens_family", ["tenant_id", "family_id"], unique=False)

    op.create_table(
        "sync_issues",
        sa.Column("tenant_id", sa.String(length=63), nullable=False),
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("object_type", sa.String(length=16), nullable=False),
        sa.Column("original_id", sa.String(length=64), nullable=False),
        sa.Column("code", sa.String(length=63), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "job_id"],
            ["sync_jobs.tenant_id", "sync_jobs.job_id"],
            name=op.f("fk_sync_issues_sync_jobs"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "job_id", "object_type", "original_id", name=op.f("pk_sync_issues")),
    )
    op.create_table(
        "sync_seen",
        sa.Column("tenant_id", sa.String(length=63), nullable=False),
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("original_id", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "job_id"],
            ["sync_jobs.tenant_id", "sync_jobs.job_id"],
            name=op.f("fk_sync_seen_sync_jobs"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "job_id", "original_id", name=op.f("pk_sync_seen")),
    )
    with op.batch_alter_table("documents", schema=None) as batch_op:
        batch_op.add_column(sa.Column("corpus", sa.String(length=16), server_default="knowledge", nullable=False))

    with op.batch_alter_table("threads", schema=None) as batch_op:
        batch_op.add_column(sa.Column("claimed_by", sa.String(length=255), nullable=True))
        batch_op.add_column(sa.Column("claimed_until", sa.DateTime(timezone=True), nullable=True))
        batch_op.create_index(
            "ix_threads_claimed",
            ["claimed_until"],
            unique=False,
            sqlite_where=sa.text("claimed_until IS NOT NULL"),
            postgresql_where=sa.text("claimed_until IS NOT NULL"),
        )

    with op.batch_alter_table("usage", schema=None) as batch_op:
        batch_op.add_column(sa.Column("agent", sa.String(length=255), nullable=True))
        batch_op.create_index("ix_usage_user_time", ["tenant_id", "user_id", "created_at"], unique=False)

    row_level_security.enable(op)


def downgrade() -> None:
    row_level_security.disable(op)

    with op.batch_alter_table("usage", schema=None) as batch_op:
        batch_op.drop_index("ix_usage_user_time")
        batch_op.drop_column("agent")

    with op.batch_alter_table("threads", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_threads_claimed",
            sqlite_where=sa.text("claimed_until IS NOT NULL"),
            postgresql_where=sa.text("claimed_until IS NOT NULL"),
        )
        batch_op.drop_column("claimed_until")
        batch_op.drop_column("claimed_by")

    with op.batch_alter_table("documents", schema=None) as batch_op:
        batch_op.drop_column("corpus")

    op.drop_table("sync_seen")
    op.drop_table("sync_issues")
    with op.batch_alter_table("refresh_tokens", schema=None) as batch_op:
        batch_op.drop_index("ix_refresh_tokens_family")
        batch_op.drop_index("ix_refresh_tokens_expiry")

    op.drop_table("refresh_tokens")
    with op.batch_alter_table("graph_relations", schema=None) as batch_op:
        batch_op.drop_index("ix_graph_relations_target")

    op.drop_table("graph_relations")
    with op.batch_alter_table("conversations", schema=None) as batch_op:
        batch_op.drop_index("ix_conversations_ticket")
        batch_op.drop_index("ix_conversations_recent")
        batch_op.drop_index("ix_conversations_author")

    op.drop_table("conversations")
    op.drop_table("written_notes")
    op.drop_table("users")
    with op.batch_alter_table("tickets", schema=None) as batch_op:
        batch_op.drop_index("ix_tickets_statistics")
        batch_op.drop_index("ix_tickets_requester")
        batch_op.drop_index("ix_tickets_recent")
        batch_op.drop_index("ix_tickets_processed")
        batch_op.drop_index(
            "ix_tickets_cut", sqlite_where=sa.text("lookup_cut"), postgresql_where=sa.text("lookup_cut")
        )
        batch_op.drop_index("ix_tickets_assignee")

    op.drop_table("tickets")
    op.drop_table("tenants")
    with op.batch_alter_table("sync_jobs", schema=None) as batch_op:
        batch_op.drop_index(
            "uq_sync_jobs_active",
            sqlite_where=sa.text("status IN ('pending', 'running', 'paused') AND kind <> 'ticket'"),
            postgresql_where=sa.text("status IN ('pending', 'running', 'paused') AND kind <> 'ticket'"),
        )
        batch_op.drop_index("ix_sync_jobs_status")

    op.drop_table("sync_jobs")
    op.drop_table("sync_cursors")
    with op.batch_alter_table("summaries", schema=None) as batch_op:
        batch_op.drop_index("ix_summaries_age")

    op.drop_table("summaries")
    with op.batch_alter_table("request_log", schema=None) as batch_op:
        batch_op.drop_index("ix_request_log_age")

    op.drop_table("request_log")
    with op.batch_alter_table("platform_events", schema=None) as batch_op:
        batch_op.drop_index("ix_platform_events_age")

    op.drop_table("platform_events")
    with op.batch_alter_table("integrated_objects", schema=None) as batch_op:
        batch_op.drop_index("ix_integrated_objects_recent")

    op.drop_table("integrated_objects")
    op.drop_table("installations")
    op.drop_table("graph_entities")
    with op.batch_alter_table("feedback", schema=None) as batch_op:
        batch_op.drop_index("ix_feedback_ticket")
        batch_op.drop_index("ix_feedback_recent")

    op.drop_table("feedback")
    op.drop_table("audit_log")
    with op.batch_alter_table("attachments", schema=None) as batch_op:
        batch_op.drop_index("ix_attachments_ticket")
        batch_op.drop_index("ix_attachments_status")
        batch_op.drop_index("ix_attachments_parent")

    op.drop_table("attachments")
    with op.batch_alter_table("articles", schema=None) as batch_op:
        batch_op.drop_index("ix_articles_recent")
        batch_op.drop_index("ix_articles_processed")

    op.drop_table("articles")
    with op.batch_alter_table("api_keys", schema=None) as batch_op:
        batch_op.drop_index("ix_api_keys_tenant")

    op.drop_table("api_keys")
