"""One table a file; importing this package knows them all."""

from backend.database.model.base import Base, table_of
from backend.database.model.checkpoint import CheckpointRow, WriteRow
from backend.database.model.document import DocumentRow
from backend.database.model.job import JobFileRow, JobRow
from backend.database.model.run import RunRow
from backend.database.model.run_event import RunEventRow
from backend.database.model.thread import ThreadRow
from backend.database.model.usage import UsageRow

__all__ = [
    "Base",
    "CheckpointRow",
    "DocumentRow",
    "JobFileRow",
    "JobRow",
    "RunEventRow",
    "RunRow",
    "ThreadRow",
    "UsageRow",
    "WriteRow",
    "table_of",
]
