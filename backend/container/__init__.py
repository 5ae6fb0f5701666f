"""How the parts are put together. The container builds; `main.lifespan` opens and closes."""

import os
from importlib.metadata import version
from zoneinfo import ZoneInfo

from dependency_injector import containers, providers

from backend.config.setting import Settings
from backend.container import part
from backend.core.chroma_manager import ChromaManager
from backend.core.collector.file.pool import FileReader
from backend.core.embedding_manager import EmbeddingManager
from backend.core.graph.project_reader import open_projects
from backend.core.graph.registry import GraphRegistry
from backend.core.llm_manager import LLMManager
from backend.core.lock.data_folder import DataFolder
from backend.core.password import PasswordHasher
from backend.core.retrieval.hybrid_search import HybridSearch
from backend.core.run.event_log import EventLog
from backend.core.run.executor import RunExecutor
from backend.core.secret_box import SecretBox
from backend.core.storage import open_storages
from backend.database.session import build_database
from backend.repository.checkpoint import Checkpointer
from backend.repository.passage_index import SqlitePassageIndexes
from backend.service.a2a import A2AService
from backend.service.access import AccessControl, load_auth
from backend.service.access_token import AccessTokens
from backend.service.admission import Admission
from backend.service.api_key import ApiKeyService
from backend.service.assistant import AssistantService
from backend.service.assistant_dependents import AssistantDependents
from backend.service.attachment import AttachmentService
from backend.service.audit import AuditService
from backend.service.budget import Budget
from backend.service.command import CommandService
from backend.service.cron import CronService
from backend.service.cron_scheduler import CronScheduler
from backend.service.desk import DeskService
from backend.service.document_store import DocumentStore
from backend.service.event_store import DatabaseEventStore
from backend.service.export import ExportService
from backend.service.feedback import FeedbackService
from backend.service.file import FileService
from backend.service.graph_store import GraphStore
from backend.service.hand_over import HandOverService
from backend.service.health import HealthService
from backend.service.index_worker import IndexWorker
from backend.service.ingest import IngestService
from backend.service.installation_secret import InstallationSecrets
from backend.service.knowledge import KnowledgeService
from backend.service.knowledge_graph import KnowledgeGraphService
from backend.service.limit import LimitBook
from backend.service.mcp import McpService
from backend.service.one_language import OneLanguageSearch
from backend.service.platform_webhook import PlatformWebhookService
from backend.service.rate import RateService
from backend.service.request_log import DatabaseRequestLog, RequestLogService
from backend.service.retention import RetentionService
from backend.service.run import RunService
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
from backend.service.summary_backlog import SummaryBacklog
from backend.service.support_index import SupportIndex
from backend.service.sweeper import Sweeper
from backend.service.sync import SyncService
from backend.service.tenant import TenantService
from backend.service.thread import ThreadService
from backend.service.thread_state import ThreadStateService
from backend.service.ticket import TicketService
from backend.service.ticket_thread import TicketThreadService
from backend.service.token import TokenService
from backend.service.usage import UsageService
from backend.service.usage_recorder import UsageRecorder
from backend.service.user import UserService
from backend.service.webhook import WebhookService
from backend.util.clock import utc_now


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
    migrated_database = providers.Factory(build_database, set.database_url, set.sqlite_path, migrating=True)
    projects = providers.Singleton(open_projects, set.graph_config)
    """The `langgraph.json` files together, read but not imported."""
    checkpointer = providers.Singleton(
        Checkpointer, database, serde=providers.Singleton(part.serde, projects.provided.checkpointer.serde)
    )
    redis = providers.Singleton(part.redis, settings)
    lock = providers.Singleton(part.lock, redis, settings)

    # tenants and people
    secret_box = providers.Singleton(SecretBox, set.secret_key_path, set.secret_keys)
    tenant_service = providers.Singleton(
        TenantService,
        database,
        clock,
        known=set.tokens,
        on_changed=providers.Singleton(part.tenant_changed, __self__),
        on_deleted=providers.Singleton(part.tenant_deleted, __self__),
    )
    audit_service = providers.Singleton(AuditService, database)
    export_service = providers.Singleton(ExportService, database, clock)
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
    caches = providers.Singleton(part.caches, redis, settings)
    limit_book = providers.Singleton(
        LimitBook, tenant_service.provided.limits, providers.Singleton(part.default_limits, settings)
    )
    rate_service = providers.Singleton(RateService, providers.Singleton(part.limiter, redis), limit_book)
    budget_zone = providers.Singleton(ZoneInfo, set.budget_timezone)
    budget = providers.Singleton(
        Budget,
        database,
        limit_book,
        clock,
        zone=budget_zone,
        answer_tokens=set.llm_max_tokens,
        answer_cost=providers.Singleton(part.answer_cost, settings),
    )
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
        limits=tenant_service.provided.limits,
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
        budget=budget,
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
    platforms = providers.Singleton(part.platforms, redis, settings)
    installation_secrets = providers.Singleton(InstallationSecrets, secret_box)
    setup_service = providers.Singleton(
        SetupService,
        database,
        platforms,
        installation_secrets,
        tenant_service,
        clock,
        caches=caches,
        on_installed=providers.Singleton(part.collecting, __self__),
        stop=providers.Singleton(part.stopping, __self__),
        purge=providers.Singleton(part.purging, __self__),
    )
    platform_webhook_service = providers.Singleton(
        PlatformWebhookService,
        database,
        installation_secrets,
        clock,
        on_changed=providers.Singleton(part.rereading, __self__),
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
        forget_threads=providers.Singleton(part.forgetting, __self__),
    )
    index_worker = providers.Singleton(IndexWorker, database, support_index)
    ticket_service = providers.Singleton(
        TicketService,
        database,
        clock,
        on_changed=index_worker.provided.wake,
        on_removed=providers.Singleton(part.unfinding, __self__),
    )
    similar_service = providers.Singleton(SimilarService, database, search, clock)
    one_language_search = providers.Singleton(OneLanguageSearch, database, search)
    feedback_service = providers.Singleton(FeedbackService, database, clock)
    desk_service = providers.Singleton(
        DeskService,
        database,
        similar_service,
        one_language_search,
        summary_service,
        setup_service.provided.source,
        clock,
    )

    # runs
    graph_registry = providers.Singleton(GraphRegistry, set.extension_dir, projects)
    graph_store = providers.Singleton(
        GraphStore,
        database,
        clock,
        index=providers.Singleton(store_index, projects.provided.store.index, embedding_manager),
        ttl=providers.Singleton(part.store_ttl, projects.provided.store.ttl),
    )
    event_store = providers.Singleton(DatabaseEventStore, database)
    event_log = providers.Singleton(EventLog, event_store, limit=set.event_limit)
    run_executor = providers.Singleton(
        RunExecutor,
        graph_registry,
        llm_manager,
        one_language_search.provided.bound,
        clock,
        max_tokens=set.llm_max_tokens,
        store=providers.Singleton(part.stores, graph_store),
        desk=desk_service.provided.bound,
    )
    webhook_service = providers.Singleton(
        WebhookService,
        database,
        providers.Singleton(part.egress, projects),
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
        default_ttl=providers.Singleton(part.thread_ttl, projects.provided.checkpointer.ttl),
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
        used=providers.Singleton(part.noting, usage_recorder),
        budget=budget,
    )

    # use cases
    authenticator = providers.Singleton(
        part.authenticator,
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
        on_state_update=providers.Singleton(part.state_updates, event_log),
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
        budget=budget,
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
        default_ttl=providers.Singleton(part.thread_ttl, projects.provided.checkpointer.ttl),
        stop_runs=run_service.provided.stop_all,
    )
    ticket_thread_service = providers.Singleton(TicketThreadService, database, run_service, thread_service)
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
    run_headers = providers.Singleton(part.run_headers, projects.provided.http.configurable_headers)
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
        RetentionService,
        database,
        support_index,
        attachment_service,
        knowledge_graph_service,
        clock,
        forget_threads=ticket_thread_service.provided.forget,
    )
    tenant_purge = providers.Singleton(part.tenant_purge, __self__)
    sweeper = providers.Singleton(
        Sweeper,
        providers.Singleton(
            part.sweeps,
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
            ticket_thread_service,
            tenant_purge,
            database,
            file_storages,
        ),
    )
    health_service = providers.Singleton(
        HealthService,
        providers.Singleton(part.checks, database, chroma_manager, graph_registry, redis),
        version,
        set.environment,
        optional=("redis", "agents"),
    )
