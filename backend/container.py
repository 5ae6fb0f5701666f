"""How the parts are put together. The container builds; `main.lifespan` opens and closes."""

import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING, Any
from uuid import UUID
from zoneinfo import ZoneInfo

from dependency_injector import containers, providers
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from sqlalchemy import text

from backend.config.setting import Settings
from backend.core.cache import Caches, cache_store
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
from backend.core.password import PasswordHasher
from backend.core.rate import RateLimiter, rate_limiter
from backend.core.retrieval.hybrid_search import HybridSearch
from backend.core.run.event_log import EventLog
from backend.core.run.executor import RunExecutor
from backend.core.run.serde import checkpoint_serde
from backend.core.run.wire import dumps
from backend.core.secret_box import SecretBox
from backend.core.storage import open_storages
from backend.database.base import Database
from backend.database.session import build_database
from backend.dto.principal import Principal
from backend.dto.run import Run
from backend.dto.store import StoreTtl
from backend.dto.sync import SyncJob
from backend.dto.tenant import Limits
from backend.dto.thread import TtlRule
from backend.dto.usage import Usage
from backend.repository.checkpoint import Checkpointer, Fence
from backend.repository.passage_index import SqlitePassageIndexes
from backend.service.a2a import A2AService
from backend.service.access import AccessControl, load_auth
from backend.service.access_token import AccessTokens
from backend.service.admission import Admission
from backend.service.api_key import ApiKeyService
from backend.service.assistant import AssistantService
from backend.service.assistant_dependents import AssistantDependents
from backend.service.attachment import AttachmentService
from backend.service.audit import SERVER, AuditService
from backend.service.auth import Authenticator, HeaderVerifier
from backend.service.budget import Budget
from backend.service.command import CommandService
from backend.service.cron import CronService
from backend.service.cron_scheduler import CronScheduler
from backend.service.desk import DeskService
from backend.service.document_store import DocumentStore
from backend.service.event_store import DatabaseEventStore
from backend.service.feedback import FeedbackService
from backend.service.file import FileService
from backend.service.graph_store import GraphStore
from backend.service.hand_over import SWEEP_SECONDS, HandOverService
from backend.service.health import Check, HealthService
from backend.service.index_worker import IndexWorker
from backend.service.ingest import IngestService
from backend.service.installation_secret import InstallationSecrets
from backend.service.knowledge import KnowledgeService
from backend.service.knowledge_graph import KnowledgeGraphService
from backend.service.limit import LimitBook
from backend.service.mcp import McpService
from backend.service.platform_removal import PlatformRemoval
from backend.service.platform_webhook import PlatformWebhookService
from backend.service.purge import TenantPurge
from backend.service.rate import RateService
from backend.service.request_log import DatabaseRequestLog, RequestLogService
from backend.service.retention import RetentionService
from backend.service.run import RunService
from backend.service.run_header import configurable_headers
from backend.service.run_ledger import RunLedger
from backend.service.run_priority import RunPriority, load_priority
from backend.service.run_request import RunStarter
from backend.service.run_webhook import RunWebhook
from backend.service.run_worker import RunWorker
from backend.service.setup import SetupService
from backend.service.similar import SimilarService
from backend.service.store import StoreService
from backend.service.store_embedding import store_index
from backend.service.subscription import SubscriptionService
from backend.service.summary import SummaryService
from backend.service.summary_backlog import ROUND_SECONDS, SummaryBacklog
from backend.service.support_index import SupportIndex
from backend.service.sweeper import Sweep, Sweeper
from backend.service.sync import SyncService
from backend.service.tenant import TenantService
from backend.service.thread import ThreadService
from backend.service.thread_state import ThreadStateService
from backend.service.ticket import TicketService
from backend.service.token import TokenService
from backend.service.usage import UsageService
from backend.service.usage_recorder import UsageRecorder
from backend.service.user import UserService
from backend.service.webhook import WebhookService, webhook_policy
from backend.util.clock import utc_now

if TYPE_CHECKING:
    from backend.core.collector.platform import Platform
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


def _caches(redis: "RedisConnection | None", settings: Settings) -> Caches:
    return Caches(cache_store(None if redis is None else redis.client), settings.cache_ttl)


def _rate_limiter(redis: "RedisConnection | None") -> RateLimiter:
    return rate_limiter(None if redis is None else redis.client)


def _default_limits(settings: Settings) -> Limits:
    return Limits(
        requests_per_minute=settings.rate_limit_per_minute,
        user_requests_per_minute=settings.user_rate_limit_per_minute,
        daily_tokens=settings.daily_tokens,
        user_daily_tokens=settings.user_daily_tokens,
        daily_cost=settings.daily_cost,
        user_daily_cost=settings.user_daily_cost,
    )


def _noting(recorder: UsageRecorder) -> Callable[[Run, Usage], None]:
    def note(run: Run, usage: Usage) -> None:
        recorder.note(run.tenant_id, run.user_id, run.request.agent, usage, run_id=run.run_id)

    return note


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


def _sweeps(
    projects: "ServedProjects",
    threads: ThreadService,
    store: StoreService,
    log: DatabaseRequestLog,
    tokens: TokenService,
    summaries: SummaryService,
    summary_backlog: SummaryBacklog,
    hand_over: HandOverService,
    ingest: IngestService,
    syncs: SyncService,
    webhooks: PlatformWebhookService,
    retention: RetentionService,
    purge: TenantPurge,
) -> list[tuple[float, Sweep]]:
    thread_ttl, store_ttl = projects.checkpointer.ttl, projects.store.ttl
    every = [config and config.sweep_interval_minutes for config in (thread_ttl, store_ttl)]
    limit = thread_ttl and thread_ttl.sweep_limit
    sweep_threads: Sweep = partial(threads.sweep, limit) if limit else threads.sweep_all
    return [
        ((every[0] or 1) * 60, sweep_threads),
        ((every[1] or 1) * 60, store.sweep),
        (3600, log.sweep),
        (3600, tokens.sweep),
        (3600, summaries.sweep),
        (ROUND_SECONDS, summary_backlog.sweep),
        (SWEEP_SECONDS, hand_over.sweep),
        (3600, ingest.sweep),
        (3600, syncs.sweep),
        (3600, webhooks.sweep),
        (3600, retention.sweep),
        (3600, purge.sweep),
    ]


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


def _authenticator(
    settings: Settings,
    tenants: TenantService,
    access_tokens: TokenService,
    api_keys: ApiKeyService,
    headers: HeaderVerifier,
) -> Authenticator:
    return Authenticator(
        settings.tokens if settings.auth_mode == "token" else None,
        operator=settings.admin_token,
        tenants=tenants,
        access_tokens=access_tokens,
        api_keys=api_keys,
        headers=headers,
    )


def _platforms(redis: "RedisConnection | None", settings: Settings) -> "Mapping[str, Platform]":
    from backend.core.collector.freshdesk.limiter import Limiters
    from backend.core.collector.freshdesk.network import FreshdeskNetwork
    from backend.core.collector.freshdesk.platform import FreshdeskPlatform

    limiters = Limiters(settings.max_concurrent_requests, redis=None if redis is None else redis.client)
    network = FreshdeskNetwork(settings.freshdesk_url)
    freshdesk = FreshdeskPlatform(
        network, limiters, timeout=settings.request_timeout, patience=settings.freshdesk_patience
    )
    return {freshdesk.name: freshdesk}


# Installing begins and ends collections, which need what is installed: these look the others up when they are called.


def _collecting(container: "Container") -> Callable[[str, str], Awaitable[UUID | None]]:
    async def collect(tenant_id: str, platform: str) -> UUID | None:
        job: SyncJob = await container.sync_service().start(Principal(tenant_id, SERVER), "full", platform)
        return job.job_id

    return collect


def _rereading(container: "Container") -> Callable[[str, str, Sequence[str]], Awaitable[object]]:
    async def reread(tenant_id: str, platform: str, tickets: Sequence[str]) -> None:
        await container.sync_service().changed(tenant_id, platform, tickets)

    return reread


def _tenant_deleted(container: "Container") -> Callable[[str], None]:
    return lambda tenant_id: container.tenant_purge().wake(tenant_id)


def _tenant_purge(container: "Container") -> TenantPurge:
    return TenantPurge(
        container.database(),
        container.run_service(),
        container.lock(),
        container.clock(),
        stops=(lambda tenant_id: _removal(container).stop(tenant_id), container.ingest_service().purge),
        places=(
            container.passage_indexes().purge,
            container.chroma_manager().purge,
            container.file_service().purge,
            container.caches().purge,
        ),
    )


def _removal(container: "Container") -> PlatformRemoval:
    return PlatformRemoval(
        container.database(), container.sync_service(), container.support_index(), container.attachment_service()
    )


def _stopping(container: "Container") -> Callable[[str, str], Awaitable[object]]:
    return lambda tenant_id, platform: _removal(container).stop(tenant_id, platform)


def _purging(container: "Container") -> Callable[[str, str], Awaitable[object]]:
    return lambda tenant_id, platform: _removal(container).purge(tenant_id, platform)


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
    __self__ = providers.Self()
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

    # tenants and people
    secret_box = providers.Singleton(SecretBox, set.secret_key_path, set.secret_keys)
    tenant_service = providers.Singleton(
        TenantService,
        database,
        clock,
        known=set.tokens,
        on_deleted=providers.Singleton(_tenant_deleted, __self__),
    )
    audit_service = providers.Singleton(AuditService, database)
    password_hasher = providers.Singleton(PasswordHasher)
    api_key_service = providers.Singleton(ApiKeyService, database, clock)
    user_service = providers.Singleton(UserService, database, password_hasher, api_key_service, clock)
    token_service = providers.Singleton(
        TokenService,
        database,
        tenant_service,
        user_service,
        providers.Singleton(AccessTokens, secret_box, set.access_token_ttl),
        password_hasher,
        clock,
        refresh_ttl=set.refresh_token_ttl,
    )

    # cache and limits
    caches = providers.Singleton(_caches, redis, settings)
    limit_book = providers.Singleton(
        LimitBook, tenant_service.provided.limits, providers.Singleton(_default_limits, settings)
    )
    rate_service = providers.Singleton(RateService, providers.Singleton(_rate_limiter, redis), limit_book)
    budget_zone = providers.Singleton(ZoneInfo, set.budget_timezone)
    budget = providers.Singleton(Budget, database, limit_book, clock, zone=budget_zone)
    usage_recorder = providers.Singleton(UsageRecorder, database, clock, budget.provided.count)
    usage_service = providers.Singleton(UsageService, database, budget, clock, zone=budget_zone)
    request_log = providers.Singleton(DatabaseRequestLog, database, clock, keep_days=set.request_log_retention_days)
    request_log_service = providers.Singleton(RequestLogService, request_log, clock, set.request_log)

    file_storages = providers.Singleton(
        open_storages,
        set.files_url,
        set.storage_path,
        max_bytes=set.max_file_bytes,
        endpoint=set.s3_endpoint_url,
        access_key=set.s3_access_key,
        secret_key=set.s3_secret_key,
        bucket=set.s3_bucket_name,
        region=set.s3_region,
    )

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

    # the support desk
    attachment_service = providers.Singleton(
        AttachmentService,
        database,
        file_storages,
        file_reader,
        folder=set.storage_path.joinpath.call(".incoming"),
        max_bytes=set.max_file_bytes,
        clock=clock,
    )
    knowledge_graph_service = providers.Singleton(KnowledgeGraphService, database, clock)
    summary_service = providers.Singleton(
        SummaryService,
        database,
        llm_manager,
        lock,
        clock,
        settings=tenant_service.provided.settings,
        check_budget=budget.provided.check,
        note=usage_recorder.provided.note,
        batch_size=set.batch_size,
        max_tokens=set.llm_max_tokens,
    )
    summary_backlog = providers.Singleton(
        SummaryBacklog,
        database,
        summary_service,
        llm_manager,
        clock,
        settings=tenant_service.provided.settings,
    )
    platforms = providers.Singleton(_platforms, redis, settings)
    installation_secrets = providers.Singleton(InstallationSecrets, secret_box)
    setup_service = providers.Singleton(
        SetupService,
        database,
        platforms,
        installation_secrets,
        tenant_service,
        clock,
        caches=caches,
        on_installed=providers.Singleton(_collecting, __self__),
        stop=providers.Singleton(_stopping, __self__),
        purge=providers.Singleton(_purging, __self__),
    )
    platform_webhook_service = providers.Singleton(
        PlatformWebhookService,
        database,
        installation_secrets,
        clock,
        on_changed=providers.Singleton(_rereading, __self__),
        is_active=tenant_service.provided.is_active,
    )
    support_index = providers.Singleton(
        SupportIndex,
        database,
        passage_indexes,
        chroma_manager,
        embedding_manager,
        document_store,
        files=attachment_service,
        graphs=knowledge_graph_service,
    )
    index_worker = providers.Singleton(IndexWorker, database, support_index)
    ticket_service = providers.Singleton(
        TicketService,
        database,
        clock,
        on_changed=index_worker.provided.wake,
        on_removed=support_index.provided.remove,
    )
    similar_service = providers.Singleton(SimilarService, database, search, clock)
    feedback_service = providers.Singleton(FeedbackService, database, clock)
    desk_service = providers.Singleton(
        DeskService, database, similar_service, search, summary_service, setup_service.provided.source, clock
    )

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
        desk=desk_service.provided.bound,
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
        counted=budget.provided.count,
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
        used=providers.Singleton(_noting, usage_recorder),
    )

    # use cases
    authenticator = providers.Singleton(
        _authenticator,
        settings,
        tenant_service,
        token_service,
        api_key_service,
        setup_service.provided.verify_headers,
    )
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
        RunService,
        database,
        run_ledger,
        run_worker,
        run_executor,
        event_log,
        clock,
        run_priority,
        budget=budget.provided.check,
        admission=providers.Singleton(
            Admission,
            graph_registry,
            llm_manager,
            tenant_service.provided.settings,
            tenant_service.provided.is_active,
        ),
    )
    hand_over_service = providers.Singleton(HandOverService, database, run_ledger, run_worker, event_log, clock)
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
    file_service = providers.Singleton(FileService, file_storages, tenant_service.provided.limits)
    sync_service = providers.Singleton(
        SyncService,
        database,
        setup_service.provided.source,
        lock,
        index=support_index,
        files=attachment_service,
        interval_minutes=set.sync_interval_minutes,
        clock=clock,
    )
    retention_service = providers.Singleton(
        RetentionService, database, support_index, attachment_service, knowledge_graph_service, clock
    )
    tenant_purge = providers.Singleton(_tenant_purge, __self__)
    sweeper = providers.Singleton(
        Sweeper,
        providers.Singleton(
            _sweeps,
            projects,
            thread_service,
            store_service,
            request_log,
            token_service,
            summary_service,
            summary_backlog,
            hand_over_service,
            ingest_service,
            sync_service,
            platform_webhook_service,
            retention_service,
            tenant_purge,
        ),
    )
    health_service = providers.Singleton(
        HealthService,
        providers.Singleton(_checks, database, chroma_manager, graph_registry, redis),
        version,
        set.environment,
        optional=("redis", "agents"),
    )
