"""Settings: one frozen object, built once in `main.py` or `cli.py` and passed on; nothing else reads the environment.

A wrong value stops the start and names its variable. `.env.example` lists every one; a test compares the two.
"""

import re
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    StringConstraints,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from backend.util.secret_key import secret_key
from backend.util.webhook_signature import signing_key

TenantName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")]
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


class SettingError(Exception):
    """The settings cannot be used; the message names each variable and what is wrong with it."""


class ModelAlias(BaseModel):
    """One name that callers may ask for, and the model it stands for today."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    target: str
    """The model's name at the endpoint."""
    base_url: str | None = None
    """Another OpenAI-compatible endpoint than `OPENAI_BASE_URL`."""
    api_key: SecretStr | None = None
    """The key of that endpoint; `OPENAI_API_KEY` is never sent to it."""
    input_price: float = Field(0.0, ge=0)
    """US dollars per million prompt tokens."""
    output_price: float = Field(0.0, ge=0)
    """US dollars per million completion tokens."""


def _default_aliases() -> dict[str, ModelAlias]:
    """The seed's three names on models that are alive (gpt-5 ends 2026-12-11, gpt-4o and gpt-4o-mini 2027-01-14)."""
    return {
        "gpt-5": ModelAlias(target="gpt-5.4"),
        "gpt-4o": ModelAlias(target="gpt-5.4"),
        "gpt-4o-mini": ModelAlias(target="gpt-5.4-mini"),
    }


class Settings(BaseSettings):
    """Every setting of the server. The variable's name is the field's, in capitals."""

    model_config = SettingsConfigDict(
        env_file=".env", env_file_encoding="utf-8", frozen=True, extra="ignore", env_ignore_empty=True
    )

    # --- the server
    environment: Literal["development", "staging", "production"] = "development"
    host: str = "127.0.0.1"
    port: int = Field(8000, ge=0, le=65535)
    data_dir: Path = Path("data")
    """Everything that the server keeps."""
    cors_origins: Annotated[tuple[str, ...], NoDecode] = ()
    """Comma-separated origins that browsers may call from; `*` for any."""
    max_body_bytes: int = Field(2 * 1024 * 1024, ge=1024)
    """Largest request body but for uploads and the Agent Server API."""
    max_input_bytes: int = Field(20 * 1024 * 1024, ge=1024)
    """Largest request body of the Agent Server API, where messages may hold images."""
    max_upload_bytes: int = Field(50 * 1024 * 1024, ge=1024)
    max_message_bytes: int = Field(1024 * 1024, ge=1024)
    """Largest message on a socket, and the most that may wait for one slow socket."""
    max_question_chars: int = Field(32_000, ge=1)
    drain_seconds: float = Field(30.0, ge=0)
    """How long a stopping server waits for its runs before it hands them to the next start."""

    # --- who may come in
    auth_mode: Literal["disabled", "token", "custom"] = "disabled"
    """`disabled` binds to loopback only; `custom` is for a project that brings its own (`auth.path`)."""
    access_token: SecretStr | None = None
    """The token of the tenant `default`."""
    tenant_tokens: dict[TenantName, SecretStr] = Field(default_factory=dict)
    """JSON object: a token for each further tenant."""
    admin_token: SecretStr | None = None
    """The token of the server's operator, who makes, suspends and purges tenants and owns the tenant `default`."""
    secret_keys: Annotated[tuple[SecretStr, ...], NoDecode] = ()
    """Comma-separated base64 of 32 bytes each: encrypt stored secrets and sign access tokens, the first those that are
    new. Without them, `secret_key_path`."""
    access_token_ttl: int = Field(900, ge=60, le=900)
    """Seconds for which a login's access token is good."""
    refresh_token_ttl: int = Field(30 * 86_400, ge=900, le=365 * 86_400)
    """Seconds for which its refresh token is good; each use gives a new one."""
    docs_public: bool = True
    """Whether /docs, /redoc and /openapi.json need no token."""

    # --- logs
    log_level: Literal["TRACE", "DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    log_format: Literal["console", "json"] = "console"
    log_file_path: Path | None = None
    log_rotation: str = "100 MB"
    log_retention: str = "30 days"
    log_compression: Literal["gz", "bz2", "xz", "zip"] | None = "gz"

    # --- where things are kept
    database_url: SecretStr | None = None
    """`postgresql://…`; without it, SQLite under `DATA_DIR`."""
    use_orm: bool = True
    """Only true: there is one way to the data."""
    redis_url: SecretStr | None = None
    """`redis://…`; without it, locks are held in the process."""
    lock_ttl: float = Field(30.0, gt=0)
    """Seconds after which a lock whose holder died is free."""
    files_url: str | None = None
    """`s3://bucket/prefix`; without it and `S3_BUCKET_NAME`, files are kept under `DATA_DIR`."""
    max_file_bytes: int = Field(50 * 1024 * 1024, ge=1024)
    """Largest file or attachment that is kept."""
    s3_endpoint_url: str | None = None
    """Of a server that speaks S3's protocol; without it, Amazon's."""
    s3_access_key: SecretStr | None = None
    s3_secret_key: SecretStr | None = None
    s3_bucket_name: str | None = None
    """The bucket where `FILES_URL` names none."""
    s3_region: str = "us-east-1"

    # --- runs
    run_concurrency: int = Field(512, ge=1)
    """Runs that execute at once in this process; more wait as `pending`."""
    run_timeout: float = Field(3600.0, gt=0)
    """Seconds after which a run ends as `timeout`."""
    run_max_losses: int = Field(3, ge=1)
    """A run whose server died this often ends as `error`."""
    event_limit: int = Field(10_000, ge=100)
    """Events kept of one run; a reader further behind is told to `resync`."""
    event_ttl: float = Field(3600.0, ge=1)
    """Seconds for which the events of an ended run are kept."""
    idempotency_ttl: float = Field(86_400.0, ge=1)
    """Seconds for which an Idempotency-Key is remembered."""
    webhook_secret: SecretStr | None = None
    """Signs webhooks (Standard Webhooks): base64 of 24 bytes or more, with or without `whsec_` before it."""

    # --- cache and limits
    cache_ttl: dict[str, Annotated[float, Field(ge=0, allow_inf_nan=False)]] = Field(default_factory=dict)
    """JSON object: seconds for which each kind of value is cached, `default` for all others; a number is that alone."""
    rate_limit_per_minute: int | None = Field(None, ge=1)
    """Requests of one tenant."""
    user_rate_limit_per_minute: int | None = Field(None, ge=1)
    daily_tokens: int | None = Field(None, ge=1)
    """Tokens that one tenant may use in a day."""
    daily_cost: float | None = Field(None, gt=0)
    """US dollars that one tenant may use in a day."""
    user_daily_tokens: int | None = Field(None, ge=1)
    user_daily_cost: float | None = Field(None, gt=0)
    budget_timezone: str = "Asia/Seoul"
    """Whose days those of budgets and usage reports are."""
    request_log: Literal["off", "errors", "all"] = "off"
    """Which requests a tenant's administrators can look up; each has its line in the server's own log anyway."""
    request_log_retention_days: float = Field(30.0, gt=0, le=3650)

    # --- models
    openai_api_key: SecretStr | None = None
    openai_base_url: str | None = None
    """Any OpenAI-compatible endpoint. Without this and a key, the built-in extractive model answers."""
    openai_model: str | None = None
    """The model behind the default alias; without it, the target of `gpt-5`."""
    llm_aliases: dict[str, ModelAlias] = Field(default_factory=_default_aliases)
    """JSON object: what each model name stands for."""
    llm_fallbacks: Annotated[tuple[str, ...], NoDecode] = ()
    """Comma-separated aliases that are tried in turn when a model fails before its first token."""
    llm_timeout: float = Field(60.0, gt=0)
    """Seconds without a byte from the model."""
    llm_max_retries: int = Field(2, ge=0, le=10)
    llm_max_tokens: int = Field(2048, ge=1)
    """Most tokens of one answer."""
    batch_size: int = Field(10, ge=1, le=100)
    """Tickets of one batch that are summarised at once."""

    # --- knowledge
    embedding_model: Literal["use-multilingual", "text-embedding-3-large", "text-embedding-3-small"] = (
        "use-multilingual"
    )
    embedding_dimensions: int | None = Field(None, ge=64, le=3072)
    """Shortens OpenAI embeddings; the offline model has 512."""
    embedding_cache_size: int = Field(4096, ge=0)
    ingest_concurrency: int = Field(1, ge=1, le=16)
    """Files that are read at once."""
    ingest_timeout: float = Field(60.0, gt=0)
    """Seconds in which one file must have been read."""
    ingest_memory_bytes: int = Field(1024 * 1024 * 1024, ge=64 * 1024 * 1024)
    """Memory that reading one file may take."""
    sample_corpus: bool = True
    """Whether the first start loads the shipped K-Startup notices for the tenant `default`."""

    # --- support desks
    max_concurrent_requests: int = Field(5, ge=1, le=100)
    """Requests at once to one account of a support platform, of all servers that share a Redis."""
    request_timeout: float = Field(30.0, gt=0, le=40)
    """Seconds without a byte from the platform."""
    freshdesk_patience: float = Field(900.0, ge=0)
    """Seconds that one request of a collection waits when the account's limit is used up."""
    sync_interval_minutes: float = Field(15.0, ge=0, le=10_080)
    """Between two collections of what has changed at an installed platform; 0 is never."""
    platform: Literal["freshdesk"] = "freshdesk"
    """For development, with the next two: an account that the start installs for the tenant `default`."""
    freshdesk_domain: str | None = None
    freshdesk_api_key: SecretStr | None = None
    freshdesk_url: str | None = None
    """For development: `http://127.0.0.1:port` of a simulator, which then stands for every account."""

    # --- agents
    graph_config: Annotated[tuple[Path, ...], NoDecode] = ()
    """Comma-separated `langgraph.json` files, whose graphs are served beside the built-in agents."""
    extension_dir: Path = Path("extension")
    """Folder of nodes that are added to the built-in agents."""

    @field_validator("graph_config", mode="before")
    @classmethod
    def _paths(cls, value: object) -> object:
        """One path or several; the word None is none."""
        if isinstance(value, str):
            value = [part.strip() for part in value.split(",") if part.strip() not in {"", "None", "none"}]
        return () if value is None else (value,) if isinstance(value, Path) else value

    @field_validator("cache_ttl", mode="before")
    @classmethod
    def _default_ttl(cls, value: object) -> object:
        """A number is the seconds of all kinds."""
        return {"default": value} if isinstance(value, int | float) else value

    @field_validator("budget_timezone")
    @classmethod
    def _zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError):
            raise ValueError(f"there is no time zone {value!r}; Asia/Seoul is one, UTC another") from None
        return value

    @field_validator("secret_keys", mode="before")
    @classmethod
    def _keys(cls, value: object) -> object:
        """Several in one variable; each is looked at here, since a wrong one would be noticed at its first use."""
        if isinstance(value, str):
            value = tuple(SecretStr(part.strip()) for part in value.split(",") if part.strip())
        for key in value if isinstance(value, tuple | list) else ():
            secret_key(key.get_secret_value() if isinstance(key, SecretStr) else str(key))
        return () if value is None else value

    @field_validator("use_orm")
    @classmethod
    def _one_way(cls, value: bool) -> bool:
        if not value:
            raise ValueError("the server has one way to its data, and cannot do without it; leave the variable out")
        return value

    @field_validator("freshdesk_url")
    @classmethod
    def _on_this_machine(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"http://(?:127\.0\.0\.1|localhost|\[::1\]):\d{1,5}/?", value):
            raise ValueError("it is only for a simulator on this machine: http://127.0.0.1:port")
        return value

    @field_validator("webhook_secret")
    @classmethod
    def _signs(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            signing_key(value.get_secret_value())
        return value

    @field_validator("cors_origins", "llm_fallbacks", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("environment", mode="before")
    @classmethod
    def _environment(cls, value: object) -> object:
        short = {"dev": "development", "stg": "staging", "prod": "production"}
        return short.get(value.lower(), value.lower()) if isinstance(value, str) else value

    @field_validator("log_level", mode="before")
    @classmethod
    def _upper(cls, value: object) -> object:
        return value.upper() if isinstance(value, str) else value

    @field_validator("*", mode="before")
    @classmethod
    def _none(cls, value: object) -> object:
        """The word None (as the specification writes it) means that it is not set."""
        return None if isinstance(value, str) and value.strip() in {"None", "none"} else value

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if self.auth_mode == "disabled" and self.host not in LOOPBACK:
            raise ValueError(
                f"HOST: {self.host} can be reached from other machines, and AUTH_MODE=disabled binds to loopback only."
                " Set AUTH_MODE=token and ACCESS_TOKEN."
            )
        if self.auth_mode == "token" and not (self.access_token or self.tenant_tokens or self.admin_token):
            raise ValueError("ACCESS_TOKEN: AUTH_MODE=token needs a token.")
        if unknown := set(self.llm_fallbacks) - {"default", "extractive", *self.llm_aliases}:
            raise ValueError(f"LLM_FALLBACKS: there is no model {', '.join(sorted(unknown))}.")
        if self.files_url is not None and not re.fullmatch(r"s3://[a-z0-9][a-z0-9.-]{2,62}(/.*)?", self.files_url):
            raise ValueError("FILES_URL: it is `s3://` with a bucket, and a prefix behind it if you like.")
        if (self.freshdesk_domain is None) != (self.freshdesk_api_key is None):
            raise ValueError("FRESHDESK_API_KEY: FRESHDESK_DOMAIN and FRESHDESK_API_KEY go together.")
        if (self.s3_access_key is None) != (self.s3_secret_key is None):
            raise ValueError("S3_SECRET_KEY: S3_ACCESS_KEY and S3_SECRET_KEY go together.")
        tokens = [token.get_secret_value() for token in self.tokens.values()]
        if len(set(tokens)) != len(tokens):
            raise ValueError("TENANT_TOKENS: two tenants have the same token.")
        if self.admin_token is not None and self.admin_token.get_secret_value() in tokens:
            raise ValueError("ADMIN_TOKEN: a tenant has the same token.")
        return self

    @cached_property
    def tokens(self) -> dict[str, SecretStr]:
        """The token of each tenant."""
        own = {"default": self.access_token} if self.access_token else {}
        return {**own, **self.tenant_tokens}

    @property
    def sqlite_path(self) -> Path:
        """The one file of threads, runs, events and checkpoints."""
        return self.data_dir / "sqlite-data" / "daedap" / "sqlite.db"

    @property
    def keyword_dir(self) -> Path:
        """Folder of the keyword indexes, a file for each tenant."""
        return self.data_dir / "sqlite-data" / "keyword"

    @property
    def chroma_path(self) -> Path:
        return self.data_dir / "chromadb-data"

    @property
    def secret_key_path(self) -> Path:
        """The key that is made at first use where `SECRET_KEYS` is not set."""
        return self.data_dir / "secret.key"

    @property
    def files_path(self) -> Path:
        return self.data_dir / "files"

    @property
    def storage_path(self) -> Path:
        """Folder of the tenants' files and attachments; `files_path` is where uploads wait to be taken in."""
        return self.data_dir / "file-data"

    @property
    def has_llm(self) -> bool:
        """Whether a language model is configured; without one the extractive model answers."""
        return self.openai_api_key is not None or self.openai_base_url is not None


def load_settings(**overrides: object) -> Settings:
    """Return the settings of this process.

    Raises:
        SettingError: a value is wrong; the message names each variable.
    """
    try:
        return Settings(**overrides)  # type: ignore[arg-type]  # overrides are validated like variables
    except ValidationError as error:
        lines = []
        for problem in error.errors(include_url=False, include_input=False):
            name = ".".join(str(part) for part in problem["loc"]).upper()
            message = problem["msg"].removeprefix("Value error, ")
            lines.append(f"{name}: {message}" if name else message)
        raise SettingError("\n".join(lines)) from None
