"""One table a file; importing this package knows them all."""

from backend.database.model.assistant import AssistantRow, AssistantVersionRow
from backend.database.model.base import Base, table_of
from backend.database.model.checkpoint import CheckpointRow, WriteRow
from backend.database.model.cron import CronRow
from backend.database.model.desk import FeedbackRow, SummaryRow, TicketThreadRow, WrittenNoteRow
from backend.database.model.document import DocumentRow
from backend.database.model.job import JobFileRow, JobRow
from backend.database.model.knowledge_graph import EntityRow, RelationRow
from backend.database.model.request_log import RequestLogRow
from backend.database.model.run import RunRow
from backend.database.model.run_event import RunEventRow
from backend.database.model.store_item import StoreItemRow, StoreVectorRow
from backend.database.model.sync import PlatformEventRow, SyncCursorRow, SyncIssueRow, SyncJobRow, SyncSeenRow
from backend.database.model.tenant import ApiKeyRow, AuditRow, InstallationRow, RefreshTokenRow, TenantRow, UserRow
from backend.database.model.thread import ThreadMetadataRow, ThreadRow
from backend.database.model.thread_priority import ThreadPriorityRow
from backend.database.model.ticket import ArticleRow, AttachmentRow, ConversationRow, IntegratedObjectRow, TicketRow
from backend.database.model.usage import UsageRow
from backend.database.model.webhook import WebhookDeliveryRow

__all__ = [
    "ApiKeyRow",
    "ArticleRow",
    "AssistantRow",
    "AssistantVersionRow",
    "AttachmentRow",
    "AuditRow",
    "Base",
    "CheckpointRow",
    "ConversationRow",
    "CronRow",
    "DocumentRow",
    "EntityRow",
    "FeedbackRow",
    "InstallationRow",
    "IntegratedObjectRow",
    "JobFileRow",
    "JobRow",
    "PlatformEventRow",
    "RefreshTokenRow",
    "RelationRow",
    "RequestLogRow",
    "RunEventRow",
    "RunRow",
    "StoreItemRow",
    "StoreVectorRow",
    "SummaryRow",
    "SyncCursorRow",
    "SyncIssueRow",
    "SyncJobRow",
    "SyncSeenRow",
    "TenantRow",
    "ThreadMetadataRow",
    "ThreadPriorityRow",
    "ThreadRow",
    "TicketRow",
    "TicketThreadRow",
    "UsageRow",
    "UserRow",
    "WebhookDeliveryRow",
    "WriteRow",
    "WrittenNoteRow",
    "table_of",
]
