"""How the parts are put together. The container builds; `main.lifespan` opens and closes."""

import os
from collections.abc import Callable, Mapping
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING, Any
from uuid import UUID

from dependency_injector import containers, providers
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from sqlalchemy import text

from backend.config.setting import Settings
from backend.core.chroma_manager import ChromaManager
from backend.core.collector.file.pool import FileReader
from backend.core.egress import Egress
from backend.core.embedding_manager import EmbeddingManager
from backend.core.error import Unavailable
from backend.core.graph.project_reader import open_projects
from backend.core.graph.registry import GraphRegistry
from backend.core.llm_manager import LLMManager
from backend.core.lock import DistributedLock, get_redis_lock
from backend.core.lock.data_folder import DataFolder
from backend.core.retrieval.hybrid_search import HybridSearch
from backend.core.run.event_log import EventLog
from backend.core.run.executor import RunExecutor
from backend.core.run.serde import checkpoint_serde
from backend.core.run.wire import dumps
from backend.database.base import Database
from backend.database.session import build_database
from backend.dto.run import Run
from backend.dto.store import StoreTtl
from backend.dto.thread import TtlRule
from backend.repository.checkpoint import Checkpointer, Fence
from backend.repository.passage_index import SqlitePassageIndexes
from backend.service.a2a import A2AService
from backend.service.access import AccessControl, load_auth
from backend.service.assistant import AssistantService
from backend.service.assistant_dependents import AssistantDependents
from backend.service.auth import Authenticator
from backend.service.command import CommandService
from backend.service.cron import CronService
from backend.service.cron_scheduler import CronScheduler
from backend.service.document_store import DocumentStore
from backend.service.event_store import DatabaseEventStore
from backend.service.graph_store import GraphStore
from backend.service.health import Check, HealthService
from backend.service.ingest import IngestService
from backend.service.knowledge import KnowledgeService
from backend.service.mcp import McpService
from backend.service.run import RunService
from backend.service.run_header import configurable_headers
from backend.service.run_ledger import RunLedger
from backend.service.run_priority import RunPriority, load_priority
from backend.service.run_request import RunStarter
from backend.service.run_webhook import RunWebhook
from backend.service.run_worker import RunWorker
from backend.service.store import StoreService
from backend.service.store_embedding import store_index
from backend.service.subscription import SubscriptionService
from backend.service.sweeper import Sweep, Sweeper
from backend.service.thread import ThreadService
from backend.service.thread_state import ThreadStateService
from backend.service.webhook import WebhookService, webhook_policy
from backend.util.clock import utc_now

if TYPE_CHECKING:
    from backend.core.graph.project import HeaderConfig, SerdeConfig, ServedProjects, StoreTtlConfig, ThreadTtlConfig
    from backend.core.redis import RedisConnection
    from backend.service.thread_state import OnStateUpdate


def _redis(settings: Settings) -> "RedisConnection | None":
    if settings.redis_url is None:
        return None
    from backend.core.redis import RedisConnection

    return RedisConnection(settings.redis_url)


def _lock(redis: "RedisConnection | None", settings: Settings) -> DistributedLock:
    return get_redis_lock(None if redis is None else redis.client, ttl=settings.lock_ttl)


def _serde(config: "SerdeConfig | None") -> JsonPlusSerializer:
    if config is None:
        return checkpoint_serde()
    return checkpoint_serde(config.allowed_msgpack_modules, config.allowed_json_modules)


def _stores(store: GraphStore) -> Callable[[Run, bool], GraphStore]:
    def bound(run: Run, has_row: bool) -> GraphStore:
        return store.bound(run.tenant_id, Fence(run.run_id, run.attempt) if has_row else None)

    return bound


def _thread_ttl(config: "ThreadTtlConfig | None") -> TtlRule | None:
    if config is None or config.default_ttl is None:
        return None
    return TtlRule(config.strategy, config.default_ttl)


def _sweeps(projects: "ServedProjects", threads: ThreadService, store: StoreService) -> list[tuple[float, Sweep]]:
    thread_ttl, store_ttl = projects.checkpointer.ttl, projects.store.ttl
    every = [config and config.sweep_interval_minutes for config in (thread_ttl, store_ttl)]
    limit = thread_ttl and thread_ttl.sweep_limit
    sweep_threads: Sweep = partial(threads.sweep, limit) if limit else threads.sweep_all
    return [((every[0] or 1) * 60, sweep_threads), ((every[1] or 1) * 60, store.sweep)]


def _store_ttl(config: "StoreTtlConfig | None") -> StoreTtl:
    return StoreTtl() if config is None else StoreTtl(config.refresh_on_read, config.default_ttl)


def _egress(projects: "ServedProjects") -> Egress:
    return Egress(webhook_policy(projects.webhooks))


def _state_updates(log: EventLog) -> "OnStateUpdate":
    async def told(tenant_id: str, thread_id: UUID, state: dict[str, Any]) -> None:
        log.say(tenant_id, thread_id, "state_update", lambda: dumps({"state": state, "thread_id": thread_id}))

    return told


def _run_headers(config: "HeaderConfig") -> Callable[[Mapping[str, str]], dict[str, str]]:
    return lambda headers: configurable_headers(headers, config)


def _authenticator(settings: Settings) -> Authenticator:
    return Authenticator(settings.tokens if settings.auth_mode == "token" else None)


def _checks(
    database: Database, chroma: ChromaManager, graphs: GraphRegistry, redis: "RedisConnection | None"
) -> dict[str, Check]:
    async def database_answers() -> None:
        await database.read(lambda connection: connection.execute(text("SELECT 1")).scalar_one())

    async def chroma_answers() -> None:
        client = await chroma.client()
        await chroma.read(client.heartbeat)

    async def agents_are_served() -> None:
        if errors := graphs.errors():
            raise Unavailable(f"These graphs could not be loaded: {', '.join(sorted(errors))}. The log says why.")

    checks: dict[str, Check] = {
        "database": database_answers,
        "chroma": chroma_answers,
        "agents": agents_are_served,
    }
    if redis is not None:
        checks["redis"] = redis.ping
    return checks


class Container(containers.DeclarativeContainer):
    settings = providers.Dependency(instance_of=Settings)
    set = settings.provided
    version = providers.Object(version("daedap"))
    clock = providers.Object(utc_now)
    url = providers.Object("")
    """Where the server can be reached; set when its port is open."""

    # where things are kept
    data_folder = providers.Singleton(DataFolder, set.data_dir)
    database = providers.Singleton(build_database, set.database_url, set.sqlite_path)
    migrated_database = providers.Factory(build_database, set.database_url, set.sqlite_path, foreign_keys=False)
    projects = providers.Singleton(open_projects, set.graph_config)
    """The `langgraph.json` files together, read but not imported."""
    checkpointer = providers.Singleton(
        Checkpointer, database, serde=providers.Singleton(_serde, projects.provided.checkpointer.serde)
    )
    redis = providers.Singleton(_redis, settings)
    lock = providers.Singleton(_lock, redis, settings)

    # models and knowledge
    llm_manager = providers.Singleton(LLMManager, settings)
    embedding_manager = providers.Singleton(
        EmbeddingManager.build,
        set.embedding_model,
        dimensions=set.embedding_dimensions,
        api_key=set.openai_api_key,
        base_url=set.openai_base_url,
        timeout=set.llm_timeout,
        max_retries=set.llm_max_retries,
        cache_size=set.embedding_cache_size,
    )
    chroma_manager = providers.Singleton(ChromaManager, set.chroma_path, embedding_manager)
    passage_indexes = providers.Singleton(SqlitePassageIndexes, set.keyword_dir)
    search = providers.Singleton(
        HybridSearch, passages=passage_indexes, vectors=chroma_manager, embedder=embedding_manager
    )
    document_store = providers.Singleton(
        DocumentStore, database, passage_indexes, chroma_manager, embedding_manager, clock
    )
    file_reader = providers.Singleton(FileReader, set.ingest_concurrency, set.ingest_timeout, set.ingest_memory_bytes)

    # runs
    graph_registry = providers.Singleton(GraphRegistry, set.extension_dir, projects)
    graph_store = providers.Singleton(
        GraphStore,
        database,
        clock,
        index=providers.Singleton(store_index, projects.provided.store.index, embedding_manager),
        ttl=providers.Singleton(_store_ttl, projects.provided.store.ttl),
    )
    event_store = providers.Singleton(DatabaseEventStore, database)
    event_log = providers.Singleton(EventLog, event_store, limit=set.event_limit)
    run_executor = providers.Singleton(
        RunExecutor,
        graph_registry,
        llm_manager,
        search.provided.bound,
        clock,
        max_tokens=set.llm_max_tokens,
        store=providers.Singleton(_stores, graph_store),
    )
    webhook_service = providers.Singleton(
        WebhookService,
        database,
        providers.Singleton(_egress, projects),
        clock,
        config=projects.provided.webhooks,
        environ=os.environ,
        secret=set.webhook_secret,
        disabled=projects.provided.http.disable_webhooks,
    )
    run_ledger = providers.Singleton(
        RunLedger,
        database,
        checkpointer,
        clock,
        max_losses=set.run_max_losses,
        idempotency_seconds=set.idempotency_ttl,
        webhook=providers.Singleton(RunWebhook, webhook_service),
        default_ttl=providers.Singleton(_thread_ttl, projects.provided.checkpointer.ttl),
    )
    run_worker = providers.Singleton(
        RunWorker,
        run_ledger,
        run_executor,
        event_log,
        checkpointer,
        database,
        clock,
        concurrency=set.run_concurrency,
        timeout=set.run_timeout,
        drain_seconds=set.drain_seconds,
        event_ttl=set.event_ttl,
        idempotency_ttl=set.idempotency_ttl,
    )

    # use cases
    authenticator = providers.Singleton(_authenticator, settings)
    auth = providers.Singleton(load_auth, projects.provided.auth)
    access_control = providers.Singleton(AccessControl, auth)
    thread_state_service = providers.Singleton(
        ThreadStateService,
        database,
        checkpointer,
        graph_registry,
        clock,
        on_state_update=providers.Singleton(_state_updates, event_log),
    )
    store_service = providers.Singleton(StoreService, database, graph_store, clock)
    run_priority = providers.Singleton(
        RunPriority,
        providers.Singleton(load_priority, projects.provided.priority),
        database,
        graph_registry.provided.names,
    )
    run_service = providers.Singleton(
        RunService, database, run_ledger, run_worker, run_executor, event_log, clock, run_priority
    )
    thread_service = providers.Singleton(
        ThreadService,
        database,
        checkpointer,
        clock,
        default_ttl=providers.Singleton(_thread_ttl, projects.provided.checkpointer.ttl),
        stop_runs=run_service.provided.stop_all,
    )
    assistant_service = providers.Singleton(
        AssistantService,
        database,
        graph_registry,
        clock,
        dependents=providers.Singleton(AssistantDependents, database, run_service, thread_service),
    )
    run_starter = providers.Singleton(
        RunStarter, run_service, assistant_service, webhook_service.provided.check, access_control
    )
    subscription_service = providers.Singleton(SubscriptionService, database, event_log, event_store)
    command_service = providers.Singleton(
        CommandService, database, run_service, thread_state_service, subscription_service, graph_registry, event_log
    )
    mcp_service = providers.Singleton(McpService, assistant_service, run_service)
    a2a_service = providers.Singleton(
        A2AService, database, assistant_service, run_service, thread_service, thread_state_service, clock
    )
    run_headers = providers.Singleton(_run_headers, projects.provided.http.configurable_headers)
    """Which headers of a request its run may read."""
    cron_scheduler = providers.Singleton(CronScheduler, database, run_starter.provided.start_cron, clock)
    cron_service = providers.Singleton(
        CronService,
        database,
        webhook_service.provided.check,
        cron_scheduler.provided.wake,
        clock,
    )
    sweeper = providers.Singleton(Sweeper, providers.Singleton(_sweeps, projects, thread_service, store_service))
    knowledge_service = providers.Singleton(KnowledgeService, database, document_store, search)
    ingest_service = providers.Singleton(
        IngestService,
        database,
        document_store,
        file_reader,
        files_path=set.files_path,
        max_upload_bytes=set.max_upload_bytes,
        concurrency=set.ingest_concurrency,
        clock=clock,
    )
    health_service = providers.Singleton(
        HealthService,
        providers.Singleton(_checks, database, chroma_manager, graph_registry, redis),
        version,
        set.environment,
        optional=("redis", "agents"),
    )
