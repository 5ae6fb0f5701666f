"""What a project's priority handler decided for a thread: one line a thread, and none at all without a handler."""

from uuid import UUID

from sqlalchemy import ForeignKeyConstraint, SmallInteger, String, Uuid
from sqlalchemy.orm import Mapped, mapped_column

from backend.database.model.base import Base
from backend.dto.priority import LONGEST_GROUP


class ThreadPriorityRow(Base):
    __tablename__ = "thread_priorities"
    __table_args__ = (
        ForeignKeyConstraint(
            ["tenant_id", "thread_id"], ["threads.tenant_id", "threads.thread_id"], ondelete="CASCADE"
        ),
    )

    tenant_id: Mapped[str] = mapped_column(String(63), primary_key=True)
    thread_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    priority: Mapped[int] = mapped_column(SmallInteger)
    fairness: Mapped[str | None] = mapped_column(String(LONGEST_GROUP))
