"""A server's door and the routes behind it: tenants, people, keys, and a few paths that other roles may or may not."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request, WebSocket
from pydantic import SecretStr

from backend.api import problem
from backend.api.v1 import api_key, audit, auth, tenant, user
from backend.core.error import Forbidden, Unauthorized
from backend.core.password import PasswordHasher
from backend.core.secret_box import SecretBox
from backend.database.base import Database
from backend.database.sqlite import SqliteDatabase
from backend.dto.principal import Principal
from backend.middleware.auth import BearerTokenAuthMiddleware
from backend.middleware.tracking import TrackingMiddleware
from backend.service.access_token import AccessTokens
from backend.service.api_key import ApiKeyService
from backend.service.audit import AuditService
from backend.service.auth import Authenticator
from backend.service.export import ExportService
from backend.service.failure_limit import FailureLimit
from backend.service.permission import ROLES
from backend.service.tenant import TenantService
from backend.service.token import TokenService
from backend.service.user import UserService

OPERATOR, ACME, OTHER = "operators-token", "acmes-token", "others-token"
PASSWORD = "correct horse battery"


class Clock:
    """The time, or some of it later or earlier."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


class House:
    """The parts, wired as the container does it."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.database = database
        self.clock = Clock()
        self.secrets = SecretBox(folder / "secret.key")
        self.tenants = TenantService(database, self.clock, known=["acme", "other"])
        passwords = PasswordHasher()
        self.keys = ApiKeyService(database, self.clock)
        self.users = UserService(database, passwords, self.keys, self.clock)
        self.access_tokens = AccessTokens(self.secrets, 900)
        self.logins = TokenService(
            database,
            self.tenants,
            self.users,
            self.access_tokens,
            passwords,
            self.clock,
            refresh_ttl=86_400,
            address_failures=FailureLimit(1000),
            account_failures=FailureLimit(5),
        )
        self.asked: list[tuple[Any, ...]] = []
        self.authenticator = Authenticator(
            {"acme": SecretStr(ACME), "other": SecretStr(OTHER)},
            FailureLimit(1000),
            operator=SecretStr(OPERATOR),
            tenants=self.tenants,
            access_tokens=self.logins,
            api_keys=self.keys,
            headers=self._verify,
        )
        self.app = self._app()

    async def _verify(self, tenant_id: str | None, platform: str, domain: str | None, key: SecretStr) -> Principal:
        """An installation of the tenant acme at acme.freshdesk.com, with one agent's key."""
        self.asked.append((tenant_id, platform, domain))
        if tenant_id not in {None, "acme"} or domain != "acme.freshdesk.com":
            raise Unauthorized("These headers do not belong together.")
        if key.get_secret_value() != "agents-key":
            raise Forbidden("The platform refuses the key.")
        return Principal("acme", "freshdesk:1", frozenset({"agent"}), scopes=ROLES["agent"])

    def _app(self) -> Any:
        app = self.routes = FastAPI()
        app.state.container = SimpleNamespace(
            tenant_service=lambda: self.tenants,
            user_service=lambda: self.users,
            token_service=lambda: self.logins,
            api_key_service=lambda: self.keys,
            audit_service=lambda: AuditService(self.database),
            export_service=lambda: ExportService(self.database, self.clock),
        )
        problem.install(app)
        for part in (auth, tenant, user, api_key, audit):
            app.include_router(part.router, prefix="/api/v1")

        @app.api_route("/api/v1/tickets", methods=["GET", "POST"])
        @app.api_route("/api/v1/tickets/search", methods=["POST"])
        @app.api_route("/api/v1/knowledge/documents", methods=["GET", "POST"])
        @app.api_route("/api/v1/chat", methods=["POST"])
        @app.api_route("/setup/freshdesk", methods=["GET"])
        @app.api_route("/nowhere/in/the/table", methods=["GET"])
        async def who(request: Request) -> dict[str, Any]:
            principal: Principal = request.state.principal
            return {"tenant_id": principal.tenant_id, "user_id": principal.user_id}

        @app.websocket("/ws/chat")
        async def echo(socket: WebSocket) -> None:
            await socket.accept()
            while True:
                await socket.send_text(await socket.receive_text())

        return TrackingMiddleware(BearerTokenAuthMiddleware(app, self.authenticator))

    def client(self, token: str | None = None, **headers: str) -> httpx.AsyncClient:
        sent = {**({} if token is None else {"Authorization": f"Bearer {token}"}), **headers}
        return httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url="http://test", headers=sent)

    async def ask(self, method: str, path: str, token: str | None = None, **options: Any) -> httpx.Response:
        async with self.client(token) as http:
            return await http.request(method, path, **options)

    async def make(self, role: str, *, email: str | None = None, by: str = ACME) -> dict[str, Any]:
        """Make a user of the tenant whose token it is."""
        body = {"email": email or f"{role}@acme.example", "role": role, "password": PASSWORD}
        made = await self.ask("POST", "/api/v1/users", by, json=body)
        assert made.status_code == 201, made.text
        found: dict[str, Any] = made.json()
        return found

    async def log_in(self, email: str, password: str = PASSWORD, tenant: str = "acme") -> httpx.Response:
        body = {"tenant_id": tenant, "email": email, "password": password}
        return await self.ask("POST", "/api/v1/auth/login", json=body)

    async def login_of(self, role: str) -> dict[str, Any]:
        """Make a user and return what its login gives."""
        await self.make(role)
        found: dict[str, Any] = (await self.log_in(f"{role}@acme.example")).json()
        return found

    async def actions(self, token: str = ACME) -> list[str]:
        """Return what the audit log says, the oldest first."""
        page = (await self.ask("GET", "/api/v1/audit", token, params={"limit": 200})).json()
        return [entry["action"] for entry in reversed(page["items"])]


@asynccontextmanager
async def opened(database: Database, folder: Path) -> AsyncIterator[House]:
    async with AsyncExitStack():
        house = House(database, folder)
        await house.tenants.open()
        yield house


@pytest.fixture
async def house(database: Database, tmp_path: Path) -> AsyncIterator[House]:
    """On SQLite and on PostgreSQL."""
    async with opened(database, tmp_path) as made:
        yield made


@pytest.fixture
async def home(file: SqliteDatabase, tmp_path: Path) -> AsyncIterator[House]:
    """On SQLite alone."""
    async with opened(file, tmp_path) as made:
        yield made
