"""How single parts are made, where it takes more than a call. A `container` is looked into when it is whole."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import UUID

from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from sqlalchemy import text

from backend.config.setting import Settings
from backend.core.cache import Caches, cache_store
from backend.core.chroma_manager import ChromaManager
from backend.core.egress import Egress
from backend.core.error import Unavailable
from backend.core.graph.registry import GraphRegistry
from backend.core.lock import DistributedLock, get_redis_lock
from backend.core.rate import RateLimiter, rate_limiter
from backend.core.run.event_log import EventLog
from backend.core.run.serde import checkpoint_serde
from backend.core.run.wire import dumps
from backend.core.storage import FileStorages
from backend.database.base import Database
from backend.dto.principal import Principal
from backend.dto.run import Run
from backend.dto.store import StoreTtl
from backend.dto.sync import SyncJob
from backend.dto.tenant import Limits
from backend.dto.thread import TtlRule
from backend.dto.usage import Usage
from backend.repository.checkpoint import Fence
from backend.service.api_key import ApiKeyService
from backend.service.audit import SERVER
from backend.service.auth import Authenticator, HeaderVerifier
from backend.service.graph_store import GraphStore
from backend.service.hand_over import SWEEP_SECONDS, HandOverService
from backend.service.health import Check
from backend.service.ingest import IngestService
from backend.service.platform_removal import PlatformRemoval
from backend.service.platform_webhook import PlatformWebhookService
from backend.service.purge import TenantPurge
from backend.service.request_log import DatabaseRequestLog
from backend.service.retention import RetentionService
from backend.service.run_header import configurable_headers
from backend.service.store import StoreService
from backend.service.summary import SummaryService
from backend.service.summary_backlog import ROUND_SECONDS, SummaryBacklog
from backend.service.sweeper import Sweep
from backend.service.sync import SyncService
from backend.service.tenant import TenantService
from backend.service.thread import ThreadService
from backend.service.ticket_thread import TicketThreadService
from backend.service.token import TokenService
from backend.service.usage_recorder import UsageRecorder
from backend.service.webhook import webhook_policy

if TYPE_CHECKING:
    from backend.core.collector.platform import Platform
    from backend.core.graph.project import HeaderConfig, SerdeConfig, ServedProjects, StoreTtlConfig, ThreadTtlConfig
    from backend.core.redis import RedisConnection
    from backend.service.thread_state import OnStateUpdate


def redis(settings: Settings) -> "RedisConnection | None":
    if settings.redis_url is None:
        return None
    from backend.core.redis import RedisConnection

    return RedisConnection(settings.redis_url)


def lock(redis: "RedisConnection | None", settings: Settings) -> DistributedLock:
    return get_redis_lock(None if redis is None else redis.client, ttl=settings.lock_ttl)


def caches(redis: "RedisConnection | None", settings: Settings) -> Caches:
    return Caches(cache_store(None if redis is None else redis.client), settings.cache_ttl)


def limiter(redis: "RedisConnection | None") -> RateLimiter:
    return rate_limiter(None if redis is None else redis.client)


def default_limits(settings: Settings) -> Limits:
    return Limits(
        requests_per_minute=settings.rate_limit_per_minute,
        user_requests_per_minute=settings.user_rate_limit_per_minute,
        daily_tokens=settings.daily_tokens,
        user_daily_tokens=settings.user_daily_tokens,
        daily_cost=settings.daily_cost,
        user_daily_cost=settings.user_daily_cost,
    )


def answer_cost(settings: Settings) -> float:
    """Return the US dollars that the longest answer of the dearest model costs."""
    dearest = max((alias.output_price for alias in settings.llm_aliases.values()), default=0.0)
    return settings.llm_max_tokens * dearest / 1_000_000


def noting(recorder: UsageRecorder) -> Callable[[Run, Usage], None]:
    def note(run: Run, usage: Usage) -> None:
        recorder.note(run.tenant_id, run.user_id, run.request.agent, usage, run_id=run.run_id)

    return note


def serde(config: "SerdeConfig | None") -> JsonPlusSerializer:
    if config is None:
        return checkpoint_serde()
    return checkpoint_serde(config.allowed_msgpack_modules, config.allowed_json_modules)


def stores(store: GraphStore) -> Callable[[Run, bool], GraphStore]:
    def bound(run: Run, has_row: bool) -> GraphStore:
        return store.bound(run.tenant_id, Fence(run.run_id, run.attempt) if has_row else None)

    return bound


def thread_ttl(config: "ThreadTtlConfig | None") -> TtlRule | None:
    if config is None or config.default_ttl is None:
        return None
    return TtlRule(config.strategy, config.default_ttl)


def sweeps(
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
    ticket_threads: TicketThreadService,
    purge: TenantPurge,
    database: Database,
    files: FileStorages,
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
        (3600, ticket_threads.sweep),
        (3600, purge.sweep),
        (3600, database.tidy),
        (3600, files.tidy),
    ]


def store_ttl(config: "StoreTtlConfig | None") -> StoreTtl:
    return StoreTtl() if config is None else StoreTtl(config.refresh_on_read, config.default_ttl)


def egress(projects: "ServedProjects") -> Egress:
    return Egress(webhook_policy(projects.webhooks))


def state_updates(log: EventLog) -> "OnStateUpdate":
    async def told(tenant_id: str, thread_id: UUID, state: dict[str, Any]) -> None:
        log.say(tenant_id, thread_id, "state_update", lambda: dumps({"state": state, "thread_id": thread_id}))

    return told


def run_headers(config: "HeaderConfig") -> Callable[[Mapping[str, str]], dict[str, str]]:
    return lambda headers: configurable_headers(headers, config)


def authenticator(
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


def platforms(redis: "RedisConnection | None", settings: Settings) -> "Mapping[str, Platform]":
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


def collecting(container: Any) -> Callable[[str, str], Awaitable[UUID | None]]:
    async def collect(tenant_id: str, platform: str) -> UUID | None:
        job: SyncJob = await container.sync_service().start(Principal(tenant_id, SERVER), "full", platform)
        return job.job_id

    return collect


def rereading(container: Any) -> Callable[[str, str, Sequence[str]], Awaitable[object]]:
    async def reread(tenant_id: str, platform: str, tickets: Sequence[str]) -> None:
        await container.sync_service().changed(tenant_id, platform, tickets)

    return reread


def tenant_changed(container: Any) -> Callable[[str], None]:
    return lambda tenant_id: container.limit_book().forget(tenant_id)


def tenant_deleted(container: Any) -> Callable[[str], None]:
    return lambda tenant_id: container.tenant_purge().wake(tenant_id)


def tenant_purge(container: Any) -> TenantPurge:
    return TenantPurge(
        container.database(),
        container.run_service(),
        container.lock(),
        container.clock(),
        stops=(lambda tenant_id: removal(container).stop(tenant_id), container.ingest_service().purge),
        places=(
            container.passage_indexes().purge,
            container.chroma_manager().purge,
            container.file_service().purge,
            container.caches().purge,
        ),
    )


def removal(container: Any) -> PlatformRemoval:
    return PlatformRemoval(
        container.database(),
        container.sync_service(),
        container.support_index(),
        container.attachment_service(),
        forget_threads=container.ticket_thread_service().forget,
    )


def forgetting(container: Any) -> Callable[[str], Awaitable[object]]:
    return lambda tenant_id: container.ticket_thread_service().forget(tenant_id)


def unfinding(container: Any) -> Callable[[str, Sequence[UUID]], Awaitable[object]]:
    async def remove(tenant_id: str, tickets: Sequence[UUID]) -> None:
        await container.support_index().remove(tenant_id, tickets)
        await container.ticket_thread_service().forget(tenant_id)

    return remove


def stopping(container: Any) -> Callable[[str, str], Awaitable[object]]:
    return lambda tenant_id, platform: removal(container).stop(tenant_id, platform)


def purging(container: Any) -> Callable[[str, str], Awaitable[object]]:
    return lambda tenant_id, platform: removal(container).purge(tenant_id, platform)


def checks(
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
