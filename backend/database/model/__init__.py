"""One table a file; importing this package knows them all."""

from backend.database.model.assistant import AssistantRow, AssistantVersionRow
from backend.database.model.base import Base, table_of
from backend.database.model.checkpoint import CheckpointRow, WriteRow
from backend.database.model.cron import CronRow
from backend.database.model.document import DocumentRow
from backend.database.model.job import JobFileRow, JobRow
from backend.database.model.run import RunRow
from backend.database.model.run_event import RunEventRow
from backend.database.model.store_item import StoreItemRow, StoreVectorRow
from backend.database.model.thread import ThreadMetadataRow, ThreadRow
from backend.database.model.thread_priority import ThreadPriorityRow
from backend.database.model.usage import UsageRow
from backend.database.model.webhook import WebhookDeliveryRow

__all__ = [
    "AssistantRow",
    "AssistantVersionRow",
    "Base",
    "CheckpointRow",
    "CronRow",
    "DocumentRow",
    "JobFileRow",
    "JobRow",
    "RunEventRow",
    "RunRow",
    "StoreItemRow",
    "StoreVectorRow",
    "ThreadMetadataRow",
    "ThreadPriorityRow",
    "ThreadRow",
    "UsageRow",
    "WebhookDeliveryRow",
    "WriteRow",
    "table_of",
]
