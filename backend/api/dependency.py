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
    from backend.service.assistant import AssistantService
    from backend.service.cron import CronService
    from backend.service.health import HealthService
    from backend.service.ingest import IngestService
    from backend.service.knowledge import KnowledgeService
    from backend.service.run import RunService
    from backend.service.store import StoreService
    from backend.service.thread import ThreadService
    from backend.service.thread_state import ThreadStateService


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


async def health_service(connection: HTTPConnection) -> "HealthService":
    return container_of(connection).health_service()


async def graph_registry(connection: HTTPConnection) -> "GraphRegistry":
    return container_of(connection).graph_registry()


async def llm_manager(connection: HTTPConnection) -> "LLMManager":
    return container_of(connection).llm_manager()


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
Health = Annotated["HealthService", Depends(health_service)]
Agents = Annotated["GraphRegistry", Depends(graph_registry)]
Models = Annotated["LLMManager", Depends(llm_manager)]
Settings = Annotated["ServerSettings", Depends(settings)]
