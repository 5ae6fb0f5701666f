"""Events of runs, in the batches in which they were written: one row holds `count` events from `seq` on."""

from uuid import UUID

from sqlalchemy import ForeignKeyConstraint, Integer, LargeBinary, Uuid
from sqlalchemy.orm import Mapped, mapped_column

from backend.database.model.base import Base


class RunEventRow(Base):
    __tablename__ = "run_events"
    __table_args__ = (ForeignKeyConstraint(["run_id"], ["runs.run_id"], ondelete="CASCADE"),)

    run_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    attempt: Mapped[int] = mapped_column(Integer, primary_key=True)
    seq: Mapped[int] = mapped_column(Integer, primary_key=True)
    count: Mapped[int] = mapped_column(Integer)
    data: Mapped[bytes] = mapped_column(LargeBinary)
    """A line an event: its name, a space, its JSON."""
