"""What a route may ask for, by a typed alias: `async def get_thread(thread_id: UUID, threads: Threads)`.

Every provider is a coroutine function, since FastAPI sends plain functions to a thread. The types stand in quotes:
FastAPI has no use for them, and importing this module then imports none of the services.
"""

from typing import TYPE_CHECKING, Annotated

from fastapi import Depends
from starlette.requests import HTTPConnection

from backend.dto.principal import Principal

if TYPE_CHECKING:
    from backend.config.setting import Settings as ServerSettings
    from backend.container import Container
    from backend.core.graph.registry import GraphRegistry
    from backend.core.llm_manager import LLMManager
    from backend.service.api_key import ApiKeyService
    from backend.service.assistant import AssistantService
    from backend.service.attachment import AttachmentService
    from backend.service.audit import AuditService
    from backend.service.cron import CronService
    from backend.service.export import ExportService
    from backend.service.feedback import FeedbackService
    from backend.service.file import FileService
    from backend.service.hand_over import HandOverService
    from backend.service.health import HealthService
    from backend.service.ingest import IngestService
    from backend.service.knowledge import KnowledgeService
    from backend.service.knowledge_graph import KnowledgeGraphService
    from backend.service.platform_webhook import PlatformWebhookService
    from backend.service.request_log import RequestLogService
    from backend.service.run import RunService
    from backend.service.setup import SetupService
    from backend.service.similar import SimilarService
    from backend.service.store import StoreService
    from backend.service.summary import SummaryService
    from backend.service.sync import SyncService
    from backend.service.tenant import TenantService
    from backend.service.thread import ThreadService
    from backend.service.thread_state import ThreadStateService
    from backend.service.ticket import TicketService
    from backend.service.token import TokenService
    from backend.service.usage import UsageService
    from backend.service.user import UserService


def container_of(connection: HTTPConnection) -> "Container":
    """Return the container of the app that serves this request or socket."""
    container: Container = connection.app.state.container
    return container


def principal_of(connection: HTTPConnection) -> Principal:
    """Return who asks; the middleware has put it there, or refused already."""
    principal: Principal = connection.state.principal
    return principal


async def caller(connection: HTTPConnection) -> Principal:
    return principal_of(connection)


async def thread_service(connection: HTTPConnection) -> "ThreadService":
    return container_of(connection).thread_service()


async def assistant_service(connection: HTTPConnection) -> "AssistantService":
    return container_of(connection).assistant_service()


async def thread_state_service(connection: HTTPConnection) -> "ThreadStateService":
    return container_of(connection).thread_state_service()


async def run_service(connection: HTTPConnection) -> "RunService":
    return container_of(connection).run_service()


async def store_service(connection: HTTPConnection) -> "StoreService":
    return container_of(connection).store_service()


async def cron_service(connection: HTTPConnection) -> "CronService":
    return container_of(connection).cron_service()


async def knowledge_service(connection: HTTPConnection) -> "KnowledgeService":
    return container_of(connection).knowledge_service()


async def ingest_service(connection: HTTPConnection) -> "IngestService":
    return container_of(connection).ingest_service()


async def file_service(connection: HTTPConnection) -> "FileService":
    return container_of(connection).file_service()


async def attachment_service(connection: HTTPConnection) -> "AttachmentService":
    return container_of(connection).attachment_service()


async def similar_service(connection: HTTPConnection) -> "SimilarService":
    return container_of(connection).similar_service()


async def feedback_service(connection: HTTPConnection) -> "FeedbackService":
    return container_of(connection).feedback_service()


async def hand_over_service(connection: HTTPConnection) -> "HandOverService":
    return container_of(connection).hand_over_service()


async def ticket_service(connection: HTTPConnection) -> "TicketService":
    return container_of(connection).ticket_service()


async def knowledge_graph_service(connection: HTTPConnection) -> "KnowledgeGraphService":
    return container_of(connection).knowledge_graph_service()


async def health_service(connection: HTTPConnection) -> "HealthService":
    return container_of(connection).health_service()


async def graph_registry(connection: HTTPConnection) -> "GraphRegistry":
    return container_of(connection).graph_registry()


async def llm_manager(connection: HTTPConnection) -> "LLMManager":
    return container_of(connection).llm_manager()


async def usage_service(connection: HTTPConnection) -> "UsageService":
    return container_of(connection).usage_service()


async def request_log_service(connection: HTTPConnection) -> "RequestLogService":
    return container_of(connection).request_log_service()


async def tenant_service(connection: HTTPConnection) -> "TenantService":
    return container_of(connection).tenant_service()


async def user_service(connection: HTTPConnection) -> "UserService":
    return container_of(connection).user_service()


async def token_service(connection: HTTPConnection) -> "TokenService":
    return container_of(connection).token_service()


async def api_key_service(connection: HTTPConnection) -> "ApiKeyService":
    return container_of(connection).api_key_service()


async def audit_service(connection: HTTPConnection) -> "AuditService":
    return container_of(connection).audit_service()


async def export_service(connection: HTTPConnection) -> "ExportService":
    return container_of(connection).export_service()


async def summary_service(connection: HTTPConnection) -> "SummaryService":
    return container_of(connection).summary_service()


async def sync_service(connection: HTTPConnection) -> "SyncService":
    return container_of(connection).sync_service()


async def setup_service(connection: HTTPConnection) -> "SetupService":
    return container_of(connection).setup_service()


async def platform_webhook_service(connection: HTTPConnection) -> "PlatformWebhookService":
    return container_of(connection).platform_webhook_service()


async def settings(connection: HTTPConnection) -> "ServerSettings":
    return container_of(connection).settings()


Caller = Annotated[Principal, Depends(caller)]
Threads = Annotated["ThreadService", Depends(thread_service)]
Assistants = Annotated["AssistantService", Depends(assistant_service)]
ThreadStates = Annotated["ThreadStateService", Depends(thread_state_service)]
Runs = Annotated["RunService", Depends(run_service)]
Store = Annotated["StoreService", Depends(store_service)]
Crons = Annotated["CronService", Depends(cron_service)]
Knowledge = Annotated["KnowledgeService", Depends(knowledge_service)]
Ingest = Annotated["IngestService", Depends(ingest_service)]
Files = Annotated["FileService", Depends(file_service)]
Attachments = Annotated["AttachmentService", Depends(attachment_service)]
Tickets = Annotated["TicketService", Depends(ticket_service)]
Similar = Annotated["SimilarService", Depends(similar_service)]
HandOver = Annotated["HandOverService", Depends(hand_over_service)]
FeedbackStore = Annotated["FeedbackService", Depends(feedback_service)]
Graph = Annotated["KnowledgeGraphService", Depends(knowledge_graph_service)]
Syncs = Annotated["SyncService", Depends(sync_service)]
Health = Annotated["HealthService", Depends(health_service)]
Agents = Annotated["GraphRegistry", Depends(graph_registry)]
Models = Annotated["LLMManager", Depends(llm_manager)]
UsageReports = Annotated["UsageService", Depends(usage_service)]
RequestLogs = Annotated["RequestLogService", Depends(request_log_service)]
Tenants = Annotated["TenantService", Depends(tenant_service)]
Users = Annotated["UserService", Depends(user_service)]
Logins = Annotated["TokenService", Depends(token_service)]
ApiKeys = Annotated["ApiKeyService", Depends(api_key_service)]
Audit = Annotated["AuditService", Depends(audit_service)]
Exports = Annotated["ExportService", Depends(export_service)]
Summaries = Annotated["SummaryService", Depends(summary_service)]
Setup = Annotated["SetupService", Depends(setup_service)]
PlatformWebhooks = Annotated["PlatformWebhookService", Depends(platform_webhook_service)]
Settings = Annotated["ServerSettings", Depends(settings)]
