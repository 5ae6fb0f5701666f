"""tickets by their making: the index of the list holds it, so that counting reads no row

Revision ID: 0004
Revises: 0003
Created: 2026-11-21
"""

from collections.abc import Sequence

from alembic import op

revision: str = "0004"
down_revision: str | Sequence[str] | None = "0003"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

_NAME = "ix_tickets_recent"
_FRONT = ("tenant_id", "platform_updated_at", "id", "deleted", "spam", "status", "priority", "is_processed", "platform")
_BACK = ("assignee_email", "requester_email", "lookup")


def upgrade() -> None:
    op.drop_index(_NAME, "tickets")
    op.create_index(_NAME, "tickets", [*_FRONT, "platform_created_at", *_BACK], unique=False)


def downgrade() -> None:
    op.drop_index(_NAME, "tickets")
    op.create_index(_NAME, "tickets", [*_FRONT, *_BACK], unique=False)
