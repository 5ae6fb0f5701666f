"""What `daedap doctor` looks at. Nothing is changed, no model is asked, and no secret is shown."""

import errno
import os
import shutil
import socket
import sqlite3
import stat
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, SecretStr

from backend.config.setting import LOOPBACK, ModelAlias, Settings
from backend.core.lock.data_folder import owner_of

Level = Literal["ok", "note", "missing", "danger"]

SHORTEST_TOKEN = 16
LOW_DISK = 2 * 1024**3
NO_DISK = 256 * 1024**2
SOON_DAYS = 60
REACH_SECONDS = 2.0
WAL_FIXED = (3, 51, 3)
"""https://sqlite.org/wal.html#walresetbug"""
NETWORK_DISKS = frozenset(
    "9p afs ceph cifs fuse.ceph fuse.glusterfs fuse.rclone fuse.s3fs fuse.sshfs glusterfs lustre ncpfs nfs nfs4 smb3"
    " smbfs virtiofs".split()
)
SHUTDOWNS = {
    "gpt-3.5-turbo": date(2026, 10, 23),
    "gpt-4": date(2026, 10, 23),
    "gpt-4-turbo": date(2026, 10, 23),
    "gpt-4.1": date(2027, 1, 14),
    "gpt-4.1-mini": date(2027, 1, 14),
    "gpt-4.1-nano": date(2026, 10, 23),
    "gpt-4o": date(2027, 1, 14),
    "gpt-4o-mini": date(2027, 1, 14),
    "gpt-5": date(2026, 12, 11),
    "gpt-5-mini": date(2026, 12, 11),
    "gpt-5-nano": date(2026, 12, 11),
    "gpt-5.1": date(2027, 4, 1),
    "gpt-5.4-nano": date(2027, 4, 1),
    "o1": date(2026, 10, 23),
    "o3": date(2026, 12, 11),
    "o3-mini": date(2026, 10, 23),
    "o4-mini": date(2026, 10, 23),
}
"""OpenAI's models that end, as the list of models in its SDK (openai 3.52) has them."""


@dataclass(frozen=True, slots=True)
class Finding:
    level: Level
    subject: str
    text: str


async def diagnose(settings: Settings) -> list[Finding]:
    """Return all findings: about who may come in, the data, the machine, the models, the agents."""
    return [
        *_access(settings),
        *_data(settings),
        *_machine(settings),
        *[finding async for finding in _walls(settings)],
        *_models(settings, date.today()),  # noqa: DTZ011  # a day more or less does not matter
        *[finding async for finding in _agents(settings)],
    ]


def shown_settings(settings: Settings) -> dict[str, Any]:
    """Return every setting by its variable; of a secret only whether it is set."""
    return {name.upper(): _shown(name, getattr(settings, name)) for name in type(settings).model_fields}


def _shown(name: str, value: Any) -> Any:
    if isinstance(value, SecretStr):
        return "set"
    if value is None and name.endswith(("_key", "_token", "_url")) and name != "openai_base_url":
        return "not set"
    if isinstance(value, BaseModel):
        return {key: _shown(key, item) for key, item in value}
    if isinstance(value, dict):
        return {key: _shown(str(key), item) for key, item in value.items()}
    if isinstance(value, tuple):
        return list(value)
    if isinstance(value, Path):
        return str(value)
    return _without_password(value) if isinstance(value, str) else value


def _without_password(text: str) -> str:
    scheme, mark, rest = text.partition("://")
    place, slash, path = rest.partition("/")
    return f"{scheme}{mark}…@{place.rpartition('@')[2]}{slash}{path}" if mark and "@" in place else text


def _access(settings: Settings) -> Iterator[Finding]:
    if settings.auth_mode == "disabled":
        if settings.environment != "development":
            yield Finding(
                "danger", "AUTH_MODE", f"disabled in {settings.environment}: set AUTH_MODE=token and ACCESS_TOKEN."
            )
        elif "*" in settings.cors_origins:
            yield Finding(
                "danger", "CORS_ORIGINS", "* without a token: any page that a browser here shows can read everything."
            )
        else:
            yield Finding("note", "AUTH_MODE", "disabled: everybody on this machine may do everything.")
    else:
        yield Finding("ok", "AUTH_MODE", f"token, for {', '.join(settings.tokens)}.")
    known = [
        ("ACCESS_TOKEN" if tenant == "default" else "TENANT_TOKENS", tenant, token)
        for tenant, token in settings.tokens.items()
    ]
    if settings.admin_token is not None:
        known.append(("ADMIN_TOKEN", "the operator", settings.admin_token))
    for name, whose, token in known:
        if len(token.get_secret_value()) < SHORTEST_TOKEN:
            yield Finding(
                "danger",
                name,
                f"The token of {whose} has fewer than {SHORTEST_TOKEN} characters and can be guessed:"
                " python -c 'import secrets; print(secrets.token_urlsafe(32))' makes one.",
            )
    if settings.host not in LOOPBACK:
        yield Finding("note", "HOST", f"{settings.host} is reached from other machines: put TLS in front.")
    env = Path(".env")
    if env.is_file() and open_to_others(env):
        yield Finding("danger", ".env", "Everybody on this machine can read it: chmod 600 .env")


def _data(settings: Settings) -> Iterator[Finding]:
    folder = settings.data_dir.absolute()
    place = nearest(folder)
    owner = owner_of(folder)
    if owner is not None and owner["url"]:
        yield Finding("ok", "DATA_DIR", f"{folder}: process {owner['pid']} serves it on {owner['url']}.")
    elif owner is not None:
        yield Finding("note", "DATA_DIR", f"{folder}: process {owner['pid']} is at work in it.")
    elif not os.access(place, os.W_OK | os.X_OK):
        yield Finding("danger", "DATA_DIR", f"{place} cannot be written by this user.")
    else:
        yield Finding("ok", "DATA_DIR", f"{folder}: {'nobody serves it now' if place == folder else 'not made yet'}.")
    if place == folder and open_to_others(folder):
        yield Finding("danger", "DATA_DIR", f"Everybody on this machine can read {folder}: chmod 700 {folder}")
    mounts = Path("/proc/self/mounts")
    kind = disk_kind(place.resolve(), mounts.read_text("utf-8", "replace")) if mounts.exists() else None
    if kind in NETWORK_DISKS:
        yield Finding(
            "danger", "DATA_DIR", f"{folder} stands on a network disk ({kind}): SQLite and the vectors break there."
        )
    free = shutil.disk_usage(place).free
    level: Level = "danger" if free < NO_DISK else "note" if free < LOW_DISK else "ok"
    yield Finding(level, "disk", f"{free / 1024**3:.1f} GiB are free{'.' if level == 'ok' else ': make room.'}")
    yield from _port(settings, owner["url"] if owner else None)


def _port(settings: Settings, served: str | None) -> Iterator[Finding]:
    if settings.port == 0 or (served and urlsplit(served).port == settings.port):
        return
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            taken = error.errno == errno.EADDRINUSE
            reason = "another program listens there" if taken else error.strerror or str(error)
            yield Finding("danger", "PORT", f"{settings.host}:{settings.port} cannot be opened: {reason}.")
        else:
            yield Finding("ok", "PORT", f"{settings.host}:{settings.port} is free.")


def _machine(settings: Settings) -> Iterator[Finding]:
    version = sqlite3.sqlite_version
    if sqlite3.sqlite_version_info < WAL_FIXED:
        yield Finding(
            "note",
            "SQLite",
            f"{version} has the WAL-reset bug (before 3.51.3). Daedap does not meet it, since one connection alone"
            " writes a file: let no other program write to the files in DATA_DIR.",
        )
    else:
        yield Finding("ok", "SQLite", f"{version}.")
    for name, port, address in (
        ("DATABASE_URL", 5432, settings.database_url),
        ("REDIS_URL", 6379, settings.redis_url),
    ):
        if address is not None:
            yield _reach(name, address.get_secret_value(), port)


def _reach(name: str, address: str, usual_port: int) -> Finding:
    try:
        place = urlsplit(address)
        host, port = place.hostname or "localhost", place.port or usual_port
    except ValueError:
        return Finding("danger", name, "is not an address.")
    try:
        with socket.create_connection((host, port), REACH_SECONDS):
            return Finding("ok", name, f"{host}:{port} is there.")
    except OSError as error:
        return Finding("danger", name, f"{host}:{port} cannot be reached: {error.strerror or error}.")


async def _walls(settings: Settings) -> AsyncIterator[Finding]:
    """Whether the database itself keeps tenants apart; one that cannot be reached was told of already."""
    if settings.database_url is None:
        return
    address = settings.database_url.get_secret_value()
    if _reach("DATABASE_URL", address, 5432).level != "ok":
        return
    from backend.core.error import Unavailable
    from backend.database.postgres import PostgresDatabase
    from backend.database.tenant_scope import is_bound

    database = PostgresDatabase(address)
    try:
        await database.open()
        bound = await database.read(is_bound)
    except Unavailable:
        yield Finding("danger", "DATABASE_URL", "The database does not let the server in.")
        return
    finally:
        await database.close()
    if bound:
        yield Finding("ok", "DATABASE_URL", "Its row-level security keeps tenants apart.")
    else:
        yield Finding(
            "missing",
            "DATABASE_URL",
            "Its role is a superuser or has BYPASSRLS, so its row-level security does not keep tenants apart: give"
            " the server an ordinary role that owns its tables.",
        )


def _models(settings: Settings, today: date) -> Iterator[Finding]:
    if not settings.has_llm and not any(alias.base_url for alias in settings.llm_aliases.values()):
        yield Finding(
            "missing",
            "OPENAI_API_KEY",
            "No language model: answers are sentences of the sources. OPENAI_API_KEY, or OPENAI_BASE_URL, gives one.",
        )
    elif settings.has_llm:
        endpoint = _without_password(settings.openai_base_url or "OpenAI")
        key = "with a key" if settings.openai_api_key else "without a key"
        yield Finding("ok", "model", f"{settings.openai_model or 'gpt-5'} at {endpoint}, {key}.")
    if settings.embedding_model != "use-multilingual" and settings.openai_api_key is None:
        yield Finding("missing", "EMBEDDING_MODEL", f"{settings.embedding_model} needs OPENAI_API_KEY.")
    addresses = {settings.openai_base_url, *(alias.base_url for alias in settings.llm_aliases.values())}
    for address in sorted(filter(None, addresses)):
        place = urlsplit(address)
        host = place.hostname or ""
        if place.scheme != "https" and host not in LOOPBACK and not host.startswith("127."):
            yield Finding(
                "danger", "OPENAI_BASE_URL", f"{_without_password(address)}: prompts and keys travel unencrypted."
            )
    yield from _shutdowns(settings, today)


def _shutdowns(settings: Settings, today: date) -> Iterator[Finding]:
    aliases = dict(settings.llm_aliases)
    if settings.openai_model:
        aliases = {"default": ModelAlias(target=settings.openai_model), **aliases}
    for name, alias in aliases.items():
        address = alias.base_url or settings.openai_base_url or "https://api.openai.com/v1"
        configured = alias.base_url or settings.has_llm
        ends = SHUTDOWNS.get(alias.target)
        if not configured or ends is None or urlsplit(address).hostname != "api.openai.com":
            continue
        left = (ends - today).days
        text = f"{name} stands for {alias.target}, which " + (f"ends on {ends}" if left > 0 else f"ended on {ends}")
        yield Finding("danger" if left <= SOON_DAYS else "note", "LLM_ALIASES", f"{text}: give it another target.")


async def _agents(settings: Settings) -> AsyncIterator[Finding]:
    from backend.core.error import InvalidGraph
    from backend.core.graph.registry import GraphRegistry

    registry = GraphRegistry(settings.extension_dir, settings.graph_config)
    try:
        await registry.open()
    except InvalidGraph as error:
        yield Finding("danger", "agents", f"The server does not start: {error.detail}")
        return
    added = [f"{node.name} in {name}" for name in registry.names() for node in registry.added(name)]
    nodes = f"; added nodes: {', '.join(added)}" if added else ""
    yield Finding("ok", "agents", f"{', '.join(registry.names())}{nodes}.")
    for problem in registry.errors().values():
        yield Finding("danger", "agents", problem)


def nearest(path: Path) -> Path:
    """Return the path, or the folder above it that is there already."""
    return next(place for place in (path, *path.parents) if place.exists())


def open_to_others(path: Path) -> bool:
    """Tell whether every user of the machine can read the file or folder, and get to it."""
    path = path.resolve()
    if not path.stat().st_mode & stat.S_IROTH:
        return False
    return all(folder.stat().st_mode & stat.S_IXOTH for folder in path.parents)


def disk_kind(path: Path, mounts: str) -> str | None:
    """Return the file system on which a resolved path stands, by the lines of /proc/mounts; None when none has it."""
    best: tuple[int, str | None] = (-1, None)
    for line in mounts.splitlines():
        _, point, kind, *_ = [*line.split(" "), "", "", ""]
        place = Path(point.encode().decode("unicode_escape").encode("latin-1", "replace").decode("utf-8", "replace"))
        # The last of equal ones lies on top.
        if path.is_relative_to(place) and len(place.parts) >= best[0]:
            best = len(place.parts), kind
    return best[1]
