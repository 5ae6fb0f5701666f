"""What a `langgraph.json` says: its graphs, and what it asks of the server beside them. `project_reader` reads it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, cast

from pydantic import Field, PlainValidator, ValidationInfo

_SCRIPTS = (".ts", ".tsx", ".mts", ".cts", ".js", ".jsx", ".mjs", ".cjs")

Minutes = Annotated[float, Field(gt=0)]


@dataclass(frozen=True, slots=True)
class Reference:
    """Something in Python that a file names: `./file.py:name` or `package.module:name`."""

    config: Path
    """The `langgraph.json`, from whose folder a file's path is read."""
    key: str
    """Where in it the reference stands."""
    source: str
    """File or module."""
    attribute: str

    def __str__(self) -> str:
        return f"{self.source}:{self.attribute}"

    @property
    def where(self) -> str:
        """How a message begins that is about it."""
        return f"{self.config}: {self.key} ({self})"

    @property
    def is_script(self) -> bool:
        """Whether it is JavaScript or TypeScript, which needs another server."""
        return self.source.lower().endswith(_SCRIPTS)


@dataclass(frozen=True, slots=True)
class GraphEntry:
    """One graph as the file names it, not yet imported."""

    graph_id: str
    reference: Reference
    description: str


def parse_reference(config: Path, key: str, value: object) -> Reference | None:
    """Return what `./file.py:name` or `package.module:name` means; None when it is of another form."""
    source, colon, attribute = value.rpartition(":") if isinstance(value, str) else ("", "", "")
    if not (source and colon and attribute.isidentifier()):
        return None
    return Reference(config, key, source, attribute)


def _reference(value: object, info: ValidationInfo) -> Reference:
    """Return the reference that a key of a section is; the section's name comes with the validation's context."""
    context = cast(dict[str, Any], info.context)
    folder = ".index" if info.field_name == "embed" else ""
    reference = parse_reference(context["config"], f'"{context["section"]}{folder}.{info.field_name}"', value)
    if reference is None:
        raise ValueError('must be "./file.py:name" or "package.module:name"')
    return reference


def _embed(value: object, info: ValidationInfo) -> "Reference | str":
    """Return a model as `provider:name`, or the function of the project's own that embeds."""
    if not isinstance(value, str) or ":" not in value:
        raise ValueError('must be "provider:model", "./file.py:function" or "package.module:function"')
    source = value.rpartition(":")[0]
    return _reference(value, info) if source.endswith(".py") or "." in source else value


Named = Annotated[Reference, PlainValidator(_reference)]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreIndexConfig:
    """`store.index`: by what store items are found by meaning."""

    dims: Annotated[int, Field(ge=1, le=65_536)]
    embed: Annotated[Reference | str, PlainValidator(_embed)]
    """`provider:model`, or a function of the project."""
    fields: tuple[str, ...] | None = None
    """Paths in the value; `("$",)` (the default) is all of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreTtlConfig:
    """`store.ttl`, in minutes."""

    refresh_on_read: bool = True
    default_ttl: Minutes | None = None
    sweep_interval_minutes: Minutes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreConfig:
    index: StoreIndexConfig | None = None
    ttl: StoreTtlConfig | None = None
    path: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ThreadTtlConfig:
    """`checkpointer.ttl`, in minutes: what becomes of threads that nobody uses."""

    strategy: Literal["delete", "keep_latest"] = "delete"
    default_ttl: Minutes | None = None
    sweep_interval_minutes: Minutes | None = None
    sweep_limit: Annotated[int, Field(ge=1)] | None = None


Modules = bool | tuple[tuple[str, ...], ...] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SerdeConfig:
    """`checkpointer.serde`: which Python types may be made again from what is stored."""

    allowed_json_modules: Modules = None
    allowed_msgpack_modules: Modules = None
    pickle_fallback: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointerConfig:
    backend: Literal["default", "custom", "mongo"] = "default"
    path: str | None = None
    uri: str | None = None
    ttl: ThreadTtlConfig | None = None
    serde: SerdeConfig | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenApiConfig:
    """`auth.openapi`: what the OpenAPI document says of authentication, in OpenAPI's own words."""

    securitySchemes: dict[str, dict[str, Any]] = field(default_factory=dict)  # noqa: N815 - the file's name
    security: tuple[dict[str, list[str]], ...] = ()
    paths: dict[str, dict[str, list[dict[str, list[str]]]]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthCacheConfig:
    """`auth.cache`: for how long an answer of the authentication holds for the same values of some headers."""

    cache_keys: Annotated[tuple[str, ...], Field(min_length=1)]
    ttl_seconds: Annotated[float, Field(gt=0)] = 60.0
    max_size: Annotated[int, Field(ge=1, le=1_000_000)] = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthConfig:
    path: Named
    disable_studio_auth: bool = False
    allow_langsmith_api_keys: bool = False
    openapi: OpenApiConfig = field(default_factory=OpenApiConfig)
    cache: AuthCacheConfig | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HeaderConfig:
    """Header names, each with `*` as a wildcard; what is excluded is out, whatever else includes it."""

    includes: tuple[str, ...] | None = None
    excludes: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CorsConfig:
    """`http.cors`, in Starlette's words."""

    allow_origins: tuple[str, ...] = ()
    allow_methods: tuple[str, ...] = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
    allow_headers: tuple[str, ...] = ("*",)
    allow_credentials: bool = False
    allow_origin_regex: str | None = None
    expose_headers: tuple[str, ...] = ()
    max_age: Annotated[int, Field(ge=0)] = 600


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpConfig:
    app: Annotated[Reference | None, PlainValidator(lambda value, info: value and _reference(value, info))] = None
    cors: CorsConfig | None = None
    configurable_headers: HeaderConfig = field(default_factory=HeaderConfig)
    logging_headers: HeaderConfig | None = None
    middleware_order: Literal["auth_first", "middleware_first"] = "middleware_first"
    enable_custom_route_auth: bool = False
    mount_prefix: str = ""
    disable_assistants: bool = False
    disable_threads: bool = False
    disable_runs: bool = False
    disable_store: bool = False
    disable_mcp: bool = False
    disable_a2a: bool = False
    disable_meta: bool = False
    disable_ui: bool = False
    disable_webhooks: bool = False
    disable_event_streaming: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookUrlConfig:
    """`webhooks.url`: where webhooks may go. A file that has the key at all wants HTTPS unless it says otherwise."""

    require_https: bool = True
    allowed_domains: tuple[str, ...] = ()
    """Host names; `*.example.com` is every name below example.com."""
    allowed_ports: tuple[Annotated[int, Field(ge=1, le=65_535)], ...] = ()
    max_url_length: Annotated[int, Field(ge=1)] | None = None
    disable_loopback: bool = True
    """Whether this machine itself may not be called."""
    disable_private_ips: bool = True
    """Whether addresses of private networks may not be called."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookConfig:
    env_prefix: str = "LG_WEBHOOK_"
    """Of the variables that `headers` may name."""
    url: WebhookUrlConfig | None = None
    headers: dict[str, str] = field(default_factory=dict)
    """As the file has them, with `${{ env.NAME }}` not yet filled in."""
    allowed_fields: tuple[str, ...] | None = None
    """Which of a webhook's fields are sent; all of them without it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EncryptionConfig:
    path: Named


@dataclass(frozen=True, slots=True, kw_only=True)
class PriorityConfig:
    path: Named


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """One `langgraph.json`."""

    path: Path
    graphs: tuple[GraphEntry, ...]
    import_paths: tuple[Path, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    env_file: Path | None = None
    store: StoreConfig | None = None
    checkpointer: CheckpointerConfig | None = None
    auth: AuthConfig | None = None
    http: HttpConfig | None = None
    webhooks: WebhookConfig | None = None
    encryption: EncryptionConfig | None = None
    priority: PriorityConfig | None = None
    image_keys: tuple[str, ...] = ()
    """Keys of the file that concern the building of an image alone."""
    unknown_keys: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedProjects:
    """All that is served from `langgraph.json` files, and what they ask of the server as a whole."""

    projects: tuple[Project, ...] = ()
    store: StoreConfig = field(default_factory=StoreConfig)
    checkpointer: CheckpointerConfig = field(default_factory=CheckpointerConfig)
    auth: AuthConfig | None = None
    http: HttpConfig = field(default_factory=HttpConfig)
    webhooks: WebhookConfig | None = None
    priority: PriorityConfig | None = None

    @property
    def graphs(self) -> Iterator[tuple[Project, GraphEntry]]:
        """Each graph with its project."""
        return ((project, entry) for project in self.projects for entry in project.graphs)
