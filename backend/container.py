"""How the parts are put together. The container builds; `main.lifespan` opens and closes."""

from importlib.metadata import version
from typing import TYPE_CHECKING

from dependency_injector import containers, providers
from sqlalchemy import text

from backend.config.setting import Settings
from backend.core.chroma_manager import ChromaManager
from backend.core.collector.file.pool import FileReader
from backend.core.embedding_manager import EmbeddingManager
from backend.core.error import Unavailable
from backend.core.graph.registry import GraphRegistry
from backend.core.llm_manager import LLMManager
from backend.core.lock import DistributedLock, get_redis_lock
from backend.core.lock.data_folder import DataFolder
from backend.core.retrieval.hybrid_search import HybridSearch
from backend.core.run.event_log import EventLog
from backend.core.run.executor import RunExecutor
from backend.database.base import Database
from backend.database.session import build_database
from backend.repository.checkpoint import Checkpointer
from backend.repository.passage_index import SqlitePassageIndexes
from backend.service.auth import Authenticator
from backend.service.document_store import DocumentStore
from backend.service.event_store import DatabaseEventStore
from backend.service.health import Check, HealthService
from backend.service.ingest import IngestService
from backend.service.knowledge import KnowledgeService
from backend.service.run import RunService
from backend.service.run_ledger import RunLedger
from backend.service.run_worker import RunWorker
from backend.service.thread import ThreadService
from backend.util.clock import utc_now

if TYPE_CHECKING:
    from backend.core.redis import RedisConnection


def _redis(settings: Settings) -> "RedisConnection | None":
    if settings.redis_url is None:
        return None
    from backend.core.redis import RedisConnection

    return RedisConnection(settings.redis_url)


def _lock(redis: "RedisConnection | None", settings: Settings) -> DistributedLock:
    return get_redis_lock(None if redis is None else redis.client, ttl=settings.lock_ttl)


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
    checkpointer = providers.Singleton(Checkpointer, database)
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
    graph_registry = providers.Singleton(GraphRegistry, set.extension_dir, set.graph_config)
    event_log = providers.Singleton(EventLog, providers.Singleton(DatabaseEventStore, database), limit=set.event_limit)
    run_executor = providers.Singleton(
        RunExecutor, graph_registry, llm_manager, search.provided.bound, clock, max_tokens=set.llm_max_tokens
    )
    run_ledger = providers.Singleton(
        RunLedger,
        database,
        checkpointer,
        clock,
        max_losses=set.run_max_losses,
        idempotency_seconds=set.idempotency_ttl,
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
    thread_service = providers.Singleton(ThreadService, database, checkpointer, clock)
    run_service = providers.Singleton(RunService, database, run_ledger, run_worker, run_executor, event_log, clock)
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
